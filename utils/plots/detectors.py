"""Figures of notebook 04: how far detectors without labels get, what they find, and why they say so.

Every figure is made of aggregates or of one record, never of all rows of the data. What differs by colour differs by
symbol, dash or place too, so that figures can be read in greyscale.
"""

import numpy as np
import plotly.graph_objects as go
import polars as pl

from utils.datasets import require
from utils.errors import DataError
from utils.evaluation.inputs import Floats, Values, as_series, finite_scores
from utils.plots.evaluation import FAR
from utils.plots.marks import add_shares, compact, rows_named, short
from utils.plots.style import ANOMALY, INK, NORMAL, QUALITATIVE, TRAIN, new_figure

ROW = 24
"""Height of one line of a figure, in pixels."""
LEAST_HEIGHT = 310
"""What the title of a vertical axis needs, in pixels."""
TRIVIAL = "flag everything"
TABLE = "the table of the figure"
MOST_BINS = 120
BELOW_TITLE = {"margin_t": 88, "legend_yanchor": "bottom", "legend_y": 1.01}
"""Room for a legend below the title."""
MEASURES = {
    "roc_auc": ("AUC of the ranking", "#0072B2", "circle", "low", "high"),
    "f1": ("F1 at the threshold", INK, "diamond", "f1_low", "f1_high"),
}
"""Name, colour, symbol and columns of the interval of what a scoreboard shows."""
GROUPS = {
    "normal": (NORMAL, "dash", "tozeroy"),
    "known attack": (ANOMALY, "solid", "tozeroy"),
    "new attack": (INK, "dot", None),
}
"""Colour, dashes and fill of the groups of rows whose scores are compared."""


def detector_scoreboard(
    board: pl.DataFrame, *, title: str = "How far does each detector get that has seen no attack?"
) -> go.Figure:
    """AUC and F1 of each detector with their intervals, and what flagging everything gives.

    Args:
        board: one row a detector: ``detector``, ``roc_auc`` and ``f1`` in 0..1, and optionally their intervals ``low``
            and ``high``, ``f1_low`` and ``f1_high``. The row ``flag everything`` is drawn as a line.
        title: what the figure shows.

    Raises:
        SchemaError: if the board lacks a column.
    """
    require.columns(board, ("detector", *MEASURES), TABLE)
    shown = board.filter(pl.col("detector") != TRIVIAL)
    names = short(shown["detector"])
    figure = new_figure(title, "AUC and F1 (%)", height=180 + ROW * len(names))
    for column, (words, colour, symbol, low, high) in MEASURES.items():
        figure.add_scatter(
            x=compact(100 * shown[column]),
            y=names,
            name=words,
            mode="markers",
            marker={"color": colour, "symbol": symbol, "size": 10},
            error_x=_interval(shown, column, low, high, colour),
            hovertemplate="%{y}: %{x:.1f} %",
        )
    _add_trivial(figure, board, names)
    figure.update_layout(**BELOW_TITLE).update_xaxes(range=[_lowest(shown), 101])
    return figure.update_yaxes(**rows_named(names))


def recall_map(
    recalls: pl.DataFrame, *, most: int = 30, title: str = "Which kinds of attack does each detector find?"
) -> go.Figure:
    """Recall of each kind of attack by detector; kinds that training rows do not hold are marked as new.

    Args:
        recalls: one row a detector and kind: ``detector``, ``kind``, ``recall`` in 0..1, ``rows`` (test rows of that
            kind) and optionally ``in_training``.
        most: most kinds, those with the most rows first.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(recalls, ("detector", "kind", "recall", "rows"), TABLE)
    kinds = _kinds(recalls).head(most)
    detectors = recalls["detector"].unique(maintain_order=True)
    table = recalls.join(kinds.select("kind"), on="kind", how="inner").pivot("detector", index="kind", values="recall")
    table = kinds.select("kind", "shown").join(table, on="kind", how="left", maintain_order="left")
    cells = np.column_stack([compact(100 * table[name]) for name in detectors]) if len(detectors) else np.empty((0, 0))
    figure = new_figure(
        title, "detector", "kind of attack (test rows)", height=max(LEAST_HEIGHT, 190 + ROW * table.height)
    )
    add_shares(figure, cells, short(detectors, 26), table["shown"].to_list(), "recall<br>(%)")
    return figure.update_xaxes(side="bottom").update_yaxes(title_standoff=14)


def score_groups(
    scores: Values,
    groups: Values,
    threshold: float | None = None,
    *,
    bins: int = 80,
    logarithmic: bool = False,
    title: str = "Where do normal rows, known attacks and new attacks score?",
) -> go.Figure:
    """Share of each group of rows by score, in equal bins over the bulk of the scores, with the threshold.

    Args:
        scores: higher is more abnormal (n,); those far beyond the others count in the outermost bins.
        groups: "normal", "known attack" or "new attack" of each row (n,); any other names get other colours.
        threshold: the chosen threshold.
        bins: number of bins, at most 120.
        logarithmic: bins of equal ratio, for positive scores with a long tail.
        title: what the figure shows.

    Raises:
        DataError: if a score is NaN, a group is missing, lengths differ, or a score is not positive where bins are
            logarithmic.
    """
    values, names = np.clip(finite_scores(scores), -FAR, FAR), as_series(groups).cast(pl.String)
    if len(names) != len(values) or names.null_count():
        counted = f"{len(names):,} of them, {names.null_count():,} missing"
        raise DataError(f"each of {len(values):,} scores must have a group, found {counted}: give one for each")
    edges = _bins(values, min(bins, MOST_BINS), logarithmic=logarithmic)
    figure = new_figure(title, "score (higher is more abnormal)", "% of the group")
    given = set(names.to_list())
    found = [*(name for name in GROUPS if name in given), *sorted(given - set(GROUPS))]
    for place, name in enumerate(found):
        _add_shares(figure, values[(names == name).to_numpy()], edges, name, place)
    if threshold is not None and len(values):
        _add_threshold(figure, float(np.clip(threshold, edges[0], edges[-1])), threshold)
    figure.update_layout(**BELOW_TITLE).update_xaxes(type="log" if logarithmic else "linear")
    return figure.update_yaxes(rangemode="tozero")


def reason_bars(reasons: pl.DataFrame, row: int = 0, *, title: str = "Why is this record abnormal?") -> go.Figure:
    """Features that make the score of one record, with its value and what is usual.

    Args:
        reasons: as :meth:`utils.detectors.table_detector.TableDetector.reasons` returns them: ``row``, ``feature``,
            ``value``, ``usual`` and ``share`` in 0..1.
        row: number of the record.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(reasons, ("row", "feature", "value", "usual", "share"), TABLE)
    shown = reasons.filter(pl.col("row") == row).sort("share", descending=True, maintain_order=True)
    names = short(shown["feature"])
    words = [
        f" {_cut(value)}   (usual: {_cut(usual)})" for value, usual in zip(shown["value"], shown["usual"], strict=True)
    ]
    figure = new_figure(title, "share of the score (%)", height=150 + 34 * max(len(names), 1))
    figure.add_bar(
        x=compact(100 * shown["share"]),
        y=names,
        orientation="h",
        marker_color=ANOMALY,
        text=words,
        textposition="outside",
        textfont={"color": INK},
        cliponaxis=False,
        hovertemplate="%{y}: %{x:.0f} %<br>%{text}<extra></extra>",
    )
    widest = float(shown["share"].max() or 0.5)  # type: ignore[arg-type]
    # Room for the words beside the longest bar.
    figure.update_xaxes(range=[0, 100 * widest * 2.6], tickvals=_ticks(100 * widest))
    if shown.is_empty():
        figure.add_annotation(text="nothing is more abnormal than usual", showarrow=False, x=0.5, y=0.5, xref="paper")
    return figure.update_yaxes(**rows_named(names), showgrid=False)


def learned_from_whom(
    table: pl.DataFrame,
    *,
    measure: str = "roc_auc",
    title: str = "What does learning from normal rows alone change?",
) -> go.Figure:
    """The same detectors learned from the mixture and from normal rows alone, joined by a line.

    Args:
        table: as :func:`utils.detectors.published.learned_from` returns it: ``detector``, ``learned from`` and the
            measure in 0..1; rows that learned from nothing are a dotted line.
        measure: column to compare by.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(table, ("detector", "learned from", measure), TABLE)
    learned = table.drop_nulls("learned from")
    names = short(learned["detector"].unique(maintain_order=True))
    figure = new_figure(title, {"roc_auc": "AUC (%)", "f1": "F1 (%)"}.get(measure, f"{measure} (%)"))
    _add_joints(figure, learned, names, measure)
    for (whom,), part in learned.group_by("learned from", maintain_order=True):
        first = whom == learned["learned from"][0]
        figure.add_scatter(
            x=compact(100 * part[measure]),
            y=short(part["detector"]),
            name=str(whom),
            mode="markers",
            marker={"color": TRAIN if first else INK, "symbol": "circle-open" if first else "circle", "size": 12},
            hovertemplate="%{y}: %{x:.1f} %",
        )
    trivial = table.filter(pl.col("learned from").is_null())[measure]
    if len(trivial):
        _add_line(figure, 100 * float(trivial[0]), TRIVIAL, names)
    figure.update_layout(height=200 + 40 * len(names), **BELOW_TITLE).update_xaxes(range=[0, 101])
    return figure.update_yaxes(**rows_named(names))


def _interval(table: pl.DataFrame, column: str, low: str, high: str, colour: str) -> dict[str, object] | None:
    if not {low, high} <= set(table.columns):
        return None
    up, down = (table[high] - table[column]).clip(0), (table[column] - table[low]).clip(0)
    bars = {"array": compact(100 * up), "arrayminus": compact(100 * down)}
    return {"type": "data", **bars, "thickness": 1.2, "width": 3, "color": colour}


def _add_trivial(figure: go.Figure, board: pl.DataFrame, names: list[str]) -> None:
    found = board.filter(pl.col("detector") == TRIVIAL)["f1"].drop_nulls()
    if len(found):
        _add_line(figure, 100 * float(found[0]), f"F1 of “{TRIVIAL}”", names)


def _add_line(figure: go.Figure, at: float, words: str, names: list[str]) -> None:
    figure.add_scatter(
        x=[at] * len(names),
        y=names,
        name=words,
        mode="lines",
        line={"color": TRAIN, "width": 1.5, "dash": "dot"},
        hovertemplate=f"{words}: {at:.1f} %<extra></extra>",
    )


def _lowest(shown: pl.DataFrame) -> float:
    """Left end of the axis: room below the lowest number, never above 40 %."""
    columns = [name for name in ("roc_auc", "f1", "low", "f1_low") if name in shown.columns]
    numbers = [float(shown[name].min()) for name in columns if shown[name].drop_nulls().len()]  # type: ignore[arg-type]
    return max(0.0, min([0.4, *numbers]) * 100 - 3)


def _kinds(recalls: pl.DataFrame) -> pl.DataFrame:
    """Kinds, known before new, largest first, with the name that is shown."""
    new = ~pl.col("in_training") if "in_training" in recalls.columns else pl.lit(False)
    kinds = recalls.group_by("kind").agg(pl.col("rows").max(), new.first().fill_null(value=False).alias("new"))
    kinds = kinds.sort("rows", "kind", descending=[True, False])
    marked = [
        f"{name}{', new' if new else ''} ({rows:,.0f})"
        for name, rows, new in kinds.select("kind", "rows", "new").iter_rows()
    ]
    return kinds.with_columns(pl.Series("shown", short(marked), dtype=pl.String))


def _bins(values: Floats, bins: int, *, logarithmic: bool) -> Floats:
    """Edges over the bulk of the scores.

    Raises:
        DataError: if bins are logarithmic and a score is not positive.
    """
    if not values.size:
        return np.linspace(0.0, 1.0, bins + 1)
    if logarithmic:
        if values.min() <= 0:
            found = f"found {values.min():.3g}"
            raise DataError(f"scores must be above 0 on a logarithmic scale, {found}: use equal bins")
        return np.asarray(np.exp(_bins(np.log(values), bins, logarithmic=False)))
    first, third = np.quantile(values, [0.01, 0.99])
    reach = third - first
    low, high = max(values.min(), first - reach), min(values.max(), third + reach)
    if not low < high:
        low, high = values.min(), values.max()
    room = 0.5 * max(1.0, abs(low)) if low == high else 0.0
    return np.linspace(low - room, high + room, bins + 1)


def _add_shares(figure: go.Figure, values: Floats, edges: Floats, name: str, place: int) -> None:
    colour, dash, fill = GROUPS.get(name, (QUALITATIVE[place % len(QUALITATIVE)], "longdash", None))
    counts = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
    figure.add_scatter(
        x=compact(edges),
        y=compact(np.append(100 * counts / max(counts.sum(), 1), 0.0)),
        name=f"{name} ({len(values):,})",
        mode="lines",
        line={"shape": "hv", "color": colour, "dash": dash, "width": 2},
        fill=fill,
        hovertemplate="%{x:.4g}: %{y:.1f} %",
    )


def _add_threshold(figure: go.Figure, at: float, threshold: float) -> None:
    figure.add_vline(
        x=at,
        line={"color": INK, "width": 1.2, "dash": "dot"},
        annotation={"text": f"threshold {threshold:.4g}", "font_size": 11, "yanchor": "top"},
    )


def _add_joints(figure: go.Figure, learned: pl.DataFrame, names: list[str], measure: str) -> None:
    ends = learned.group_by("detector", maintain_order=True).agg(
        pl.col(measure).min().alias("low"), pl.col(measure).max().alias("high")
    )
    gaps = np.column_stack([compact(100 * ends["low"]), compact(100 * ends["high"]), np.full(ends.height, np.nan)])
    figure.add_scatter(
        x=compact(gaps.ravel()),
        y=[name for name in names for _ in range(3)],
        mode="lines",
        line={"color": TRAIN, "width": 3},
        connectgaps=False,
        showlegend=False,
        hoverinfo="skip",
    )


def _ticks(most: float) -> list[float]:
    step = 5 if most <= 25 else 10 if most <= 50 else 20
    return [float(tick) for tick in range(0, int(most) + step, step) if tick <= 100]


def _cut(text: object, longest: int = 44) -> str:
    shown = str(text)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
