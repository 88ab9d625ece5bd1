"""Figures of notebook 03 and later: what thresholds do, how rules rank, whether alarm rates hold.

Every figure is made of aggregates (at most :data:`MOST_POINTS` points a curve), never of rows of the data. Lines differ
in their dashes and marks in their shape, so that figures can be read in greyscale.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
import polars as pl

from utils.datasets import require
from utils.evaluation.inputs import Floats, Values, as_labels, finite_scores
from utils.evaluation.metrics import confusion
from utils.plots.style import GRID, INK, QUALITATIVE, SEQUENTIAL, TRAIN, VERDICTS, new_figure

MOST_POINTS = 200
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "diamond", "x", "triangle-up", "cross")
MEASURES = {"precision": ("#0072B2", "dash"), "recall": ("#E69F00", "dot"), "f1": (INK, "solid")}
"""Colour and dashes of what a threshold trades."""

FAR = 1e300
"""Scores beyond this are drawn here: their differences would not be numbers."""

LONGEST_NAME = 48
ROW = 22
"""Height of one bar in a figure, in pixels."""


def threshold_curve(
    curve: pl.DataFrame, threshold: float, *, title: str = "What does the threshold trade?"
) -> go.Figure:
    """Precision, recall and F1 over the threshold, with the chosen one.

    Args:
        curve: as :func:`~utils.evaluation.thresholds.curve` returns it.
        threshold: the chosen threshold; one beyond the scores is drawn at their end.
        title: what the figure shows.

    Raises:
        SchemaError: if the curve lacks a column.
    """
    require.columns(curve, ("threshold", *MEASURES), "the table of the figure")
    shown = _thinned(curve, "threshold")
    figure = new_figure(title, "threshold on the score (higher is more abnormal)", "share (%)")
    for name, (colour, dash) in MEASURES.items():
        figure.add_scatter(
            x=shown["threshold"].to_numpy(),
            y=_compact(100 * shown[name]),
            name="F1" if name == "f1" else name,
            mode="lines",
            line={"color": colour, "dash": dash, "width": 2.2},
            hovertemplate="%{x:.4g}: %{y:.1f} %",
        )
    _mark_chosen(figure, curve, threshold)
    return figure.update_yaxes(range=[0, 102])


def precision_recall(
    curves: Mapping[str, pl.DataFrame], *, share: float | None = None, title: str = "Precision against recall"
) -> go.Figure:
    """Precision against recall, one line a model.

    Args:
        curves: tables of :func:`~utils.evaluation.thresholds.curve` by name of the model.
        share: anomaly share of the rows in 0..1, drawn as what chance reaches.
        title: what the figure shows.

    Raises:
        SchemaError: if a curve lacks a column.
    """
    figure = new_figure(title, "recall: anomalies that are found (%)", "precision: alarms that are right (%)")
    for place, (name, curve) in enumerate(curves.items()):
        require.columns(curve, ("recall", "precision"), "the table of the figure")
        known = curve.drop_nulls("precision").sort("recall", "precision", descending=[False, True])
        _add_line(figure, place, name, _thinned(known, "recall"), "recall", "precision")
    if share is not None:
        _add_chance(figure, [0, 100], [100 * share] * 2)
    return figure.update_yaxes(range=[0, 102]).update_xaxes(range=[0, 102])


def roc(curves: Mapping[str, pl.DataFrame], *, title: str = "Found anomalies against false alarms") -> go.Figure:
    """Recall against the false-alarm rate, one line a model.

    Args:
        curves: tables of :func:`~utils.evaluation.thresholds.curve` by name of the model.
        title: what the figure shows.

    Raises:
        SchemaError: if a curve lacks a column.
    """
    figure = new_figure(title, "false alarms: normals that are flagged (%)", "recall: anomalies that are found (%)")
    for place, (name, curve) in enumerate(curves.items()):
        require.columns(curve, ("false_alarm_rate", "recall"), "the table of the figure")
        ranked = curve.sort("false_alarm_rate", "recall")
        _add_line(figure, place, name, _thinned(ranked, "false_alarm_rate"), "false_alarm_rate", "recall")
    _add_chance(figure, [0, 100], [0, 100])
    return figure.update_yaxes(range=[0, 102]).update_xaxes(range=[0, 102])


def alarm_rates(
    tables: Mapping[str, pl.DataFrame], *, title: str = "Does the real alarm rate hold what the nominal one promises?"
) -> go.Figure:
    """Real alarm rate among normals, with its interval, against the nominal one; the diagonal is the promise.

    Args:
        tables: tables of :func:`~utils.evaluation.conformal.alarm_table` by name of the model or data set.
        title: what the figure shows.

    Raises:
        SchemaError: if a table lacks a column.
    """
    figure = new_figure(title, "nominal alarm rate (%)", "real alarm rate among normals (%)")
    for place, (name, table) in enumerate(tables.items()):
        require.columns(table, ("nominal", "real", "low", "high"), "the table of the figure")
        shown = (100 * table.select("nominal", "real", "low", "high")).drop_nulls()
        figure.add_scatter(
            x=_compact(shown["nominal"]),
            y=_compact(shown["real"]),
            name=name,
            mode="lines+markers",
            line={"color": QUALITATIVE[place % len(QUALITATIVE)], "dash": DASHES[place % len(DASHES)]},
            marker={"symbol": SYMBOLS[place % len(SYMBOLS)], "size": 9},
            error_y={
                "type": "data",
                "array": _compact(shown["high"] - shown["real"]),
                "arrayminus": _compact(shown["real"] - shown["low"]),
                "thickness": 1.2,
            },
            hovertemplate="nominal %{x:.2f} %: real %{y:.2f} %",
        )
    most = max((100 * float(table["nominal"].max() or 0.0) for table in tables.values()), default=10.0)  # type: ignore[arg-type]
    _add_chance(figure, [0, 1.08 * most], [0, 1.08 * most], name="as promised")
    return figure.update_yaxes(rangemode="tozero").update_xaxes(rangemode="tozero")


def rule_scoreboard(
    board: pl.DataFrame, *, most: int = 15, title: str = "How far does one rule get, and does it hold?"
) -> go.Figure:
    """F1 of the best rules on training rows, and on test rows where known.

    Args:
        board: ``rule``, ``f1`` and optionally ``test_f1``, best first, as a fitted
            :class:`~utils.detectors.rules.FeatureRule` keeps it and ``compare`` extends it.
        most: most rules that are shown.
        title: what the figure shows.

    Raises:
        SchemaError: if the board lacks a column.
    """
    require.columns(board, ("rule", "f1"), "the table of the figure")
    shown = board.head(most)
    names = _shortened(shown["rule"].to_list())
    figure = new_figure(title, "F1 (%)", height=150 + ROW * len(names) * (2 if "test_f1" in shown.columns else 1))
    parts = (("training rows", "f1", TRAIN), ("test rows", "test_f1", INK))
    for name, column, colour in parts:
        if column in shown.columns:
            figure.add_bar(
                y=names,
                x=_compact(100 * shown[column].cast(pl.Float64).fill_null(float("nan"))),
                name=name,
                orientation="h",
                marker_color=colour,
                hovertemplate="%{y}: %{x:.1f} %",
            )
    figure.update_layout(legend_traceorder="normal", barmode="group")
    return figure.update_yaxes(autorange="reversed", showgrid=False).update_xaxes(range=[0, 100])


def score_distribution(
    scores: Values,
    y: Values,
    threshold: float | None = None,
    *,
    bins: int = 60,
    title: str = "Where do normals and anomalies score?",
) -> go.Figure:
    """Share of each class by score, in equal bins, with the threshold.

    Scores far beyond the others are drawn in the outermost bins, so that a few of them do not squeeze the rest.

    Args:
        scores: higher is more abnormal, length n.
        y: true for an anomaly, length n.
        threshold: the chosen threshold; one beyond the shown scores is drawn at their end.
        bins: number of bins, at most :data:`MOST_POINTS`.
        title: what the figure shows.

    Raises:
        DataError: if scores are NaN or labels missing.
    """
    values, anomalous = np.clip(finite_scores(scores), -FAR, FAR), as_labels(y)
    edges = _edges(values, min(bins, MOST_POINTS - 1))
    figure = new_figure(title, "score (higher is more abnormal)", "% of class")
    for verdict, members in (("normal", ~anomalous), ("anomaly", anomalous)):
        counts = np.histogram(np.clip(values[members], edges[0], edges[-1]), edges)[0]
        shares = 100 * counts / max(int(counts.sum()), 1)
        figure.add_scatter(
            x=edges,
            y=_compact(np.append(shares, 0.0)),
            name=verdict,
            mode="lines",
            line={
                "shape": "hv",
                "color": VERDICTS[verdict],
                "width": 2,
                "dash": "dash" if verdict == "normal" else "solid",
            },
            fill="tozeroy",
        )
    if threshold is not None:
        _add_threshold(figure, float(np.clip(threshold, edges[0], edges[-1])), threshold)
    return figure.update_yaxes(rangemode="tozero")


def chosen_where(
    table: pl.DataFrame,
    *,
    of: str = "data set",
    title: str = "What does choosing the threshold on the test rows pretend to gain?",
) -> go.Figure:
    """F1 with the threshold from training rows beside that with the best threshold on the test rows.

    Args:
        table: one row a data set (or model): its name in the column ``of``, ``honest_f1`` and ``optimistic_f1``, and
            optionally ``low`` and ``high``, the interval of the honest one, all in 0..1.
        of: column with the name.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(table, (of, "honest_f1", "optimistic_f1"), "the table of the figure")
    names = _shortened([str(name) for name in table[of]])
    figure = new_figure(title, "F1 on the test rows (%)", height=170 + 2 * ROW * len(names))
    figure.add_scatter(
        x=_compact(_pairs(100 * table["honest_f1"], 100 * table["optimistic_f1"])),
        y=[name for name in names for _ in range(3)],
        mode="lines",
        line={"color": TRAIN, "width": 3},
        connectgaps=False,
        showlegend=False,
        hoverinfo="skip",
    )
    _add_choice(figure, names, table["honest_f1"], "threshold from training rows (honest)", "circle", _interval(table))
    _add_choice(figure, names, table["optimistic_f1"], "best threshold on the test rows (optimistic)", "diamond-open")
    return figure.update_yaxes(autorange="reversed", showgrid=False, type="category")


def confusion_matrix(
    y: Values, flagged: Values, weight: Values | None = None, *, unit: str = "row", title: str = "What was decided?"
) -> go.Figure:
    """Numbers of rows by truth and decision, shaded by their share of the truth.

    Args:
        y: true for an anomaly, length n.
        flagged: true where flagged, length n.
        weight: how many rows each row stands for, length n.
        unit: what a row is, in the singular.
        title: what the figure shows.

    Raises:
        DataError: if labels or decisions are missing, or lengths differ.
    """
    found = confusion(y, flagged, weight)
    counts = np.array([[found.tn, found.fp], [found.fn, found.tp]], dtype=np.float64)
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-300)
    figure = new_figure(title, "decision", "truth", height=330, width=520)
    figure.add_heatmap(
        z=_compact(shares),
        x=["passed", "flagged"],
        y=[f"normal {unit}s", f"anomalous {unit}s"],
        zmin=0,
        zmax=100,
        colorscale=SEQUENTIAL,
        text=[
            [f"{count:,.0f}<br>{share:.1f} %" for count, share in zip(*row, strict=True)]
            for row in zip(counts, shares, strict=True)
        ],
        texttemplate="%{text}",
        xgap=3,
        ygap=3,
        colorbar={"title": "% of<br>the truth", "thickness": 12},
        hovertemplate="%{y}, %{x}: %{text}<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed", showgrid=False, title_standoff=14)
    return figure.update_xaxes(showgrid=False)


def _compact(values: pl.Series | Floats) -> np.ndarray:
    """Numbers in the form that plotly writes in the fewest characters."""
    return np.asarray(values, dtype=np.float32)


def _thinned(curve: pl.DataFrame, along: str) -> pl.DataFrame:
    """At most :data:`MOST_POINTS` rows of a curve: half evenly by rank, half evenly along one column, both ends."""
    if curve.height <= MOST_POINTS:
        return curve
    half = MOST_POINTS // 2
    values = np.clip(curve[along].to_numpy(), -FAR, FAR)
    even = np.searchsorted(values, np.linspace(values[0], values[-1], half))
    places = np.concatenate([np.linspace(0, curve.height - 1, half), even]).astype(np.int64)
    return curve[np.unique(np.clip(places, 0, curve.height - 1))]


def _mark_chosen(figure: go.Figure, curve: pl.DataFrame, threshold: float) -> None:
    thresholds = curve["threshold"].to_numpy()
    place = min(int(np.searchsorted(thresholds, threshold)), len(thresholds) - 1)
    at = float(np.clip(threshold, thresholds[0], thresholds[-1]))
    _add_threshold(figure, at, threshold)
    figure.add_scatter(
        x=[at],
        y=[100 * curve["f1"][place]],
        mode="markers",
        marker={"color": INK, "size": 10, "symbol": "circle-open", "line": {"width": 2}},
        name="chosen",
        hovertemplate=f"threshold {threshold:.4g}: F1 %{{y:.1f}} %<extra></extra>",
    )


def _add_threshold(figure: go.Figure, at: float, threshold: float) -> None:
    figure.add_vline(
        x=at,
        line={"color": INK, "width": 1.2, "dash": "dot"},
        annotation={"text": f"threshold {threshold:.4g}", "font_size": 11, "yanchor": "top"},
    )


def _add_line(figure: go.Figure, place: int, name: str, shown: pl.DataFrame, x: str, y: str) -> None:
    figure.add_scatter(
        x=_compact(100 * shown[x]),
        y=_compact(100 * shown[y]),
        name=name,
        mode="lines",
        line={
            "color": QUALITATIVE[place % len(QUALITATIVE)],
            "dash": DASHES[place % len(DASHES)],
            "width": 2.2,
        },
        hovertemplate=f"%{{x:.1f}} % {x.replace('_', ' ')}: %{{y:.1f}} % {y}",
    )


def _add_chance(figure: go.Figure, x: Sequence[float], y: Sequence[float], name: str = "chance") -> None:
    figure.add_scatter(
        x=list(x),
        y=list(y),
        name=name,
        mode="lines",
        line={"color": TRAIN, "width": 1, "dash": "dot"},
        hoverinfo="skip",
    )


def _edges(values: Floats, bins: int) -> Floats:
    """Bin edges over the bulk of the scores: at most 1.5 times the range of the middle 98 % beyond its ends."""
    if not values.size:
        return np.linspace(0.0, 1.0, bins + 1)
    first, third = np.quantile(values, [0.01, 0.99])
    reach = 1.5 * (third - first)
    low, high = max(values.min(), first - reach), min(values.max(), third + reach)
    if not low < high:
        low, high = values.min(), values.max()
    room = 0.5 * max(1.0, abs(low)) if low == high else 0.0
    return np.linspace(low - room, high + room, bins + 1)


def _shortened(names: Sequence[str]) -> list[str]:
    """Names that fit beside a figure and stay different."""
    short = [name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 2]}…" for name in names]
    return [name if short.count(name) == 1 else f"{name} ({place + 1})" for place, name in enumerate(short)]


def _pairs(left: pl.Series, right: pl.Series) -> Floats:
    """Left, right and a gap in turn."""
    return np.column_stack([left, right, np.full(len(left), np.nan)]).ravel().astype(np.float64)


def _interval(table: pl.DataFrame) -> dict[str, object] | None:
    if not {"low", "high"} <= set(table.columns):
        return None
    return {
        "type": "data",
        "array": _compact(100 * (table["high"] - table["honest_f1"])),
        "arrayminus": _compact(100 * (table["honest_f1"] - table["low"])),
        "thickness": 1.2,
        "color": GRID if table.is_empty() else INK,
    }


def _add_choice(
    figure: go.Figure,
    names: Sequence[str],
    f1: pl.Series,
    label: str,
    symbol: str,
    error: dict[str, object] | None = None,
) -> None:
    figure.add_scatter(
        x=_compact(100 * f1),
        y=list(names),
        mode="markers",
        name=label,
        error_x=error,
        marker={"color": INK, "size": 11, "symbol": symbol, "line": {"width": 2}},
        hovertemplate="%{y}: %{x:.1f} %",
    )
