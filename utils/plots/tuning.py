"""Figures of notebook 07: what a search saw, whether tuning helps, where thresholds stand, what probabilities mean.

Every figure is made of aggregates. What differs by colour differs by symbol, dash or place too, so that figures can be
read in greyscale.
"""

import plotly.graph_objects as go
import polars as pl

from utils.datasets import require
from utils.plots.evaluation import DASHES, SYMBOLS
from utils.plots.marks import compact, rows_named, short
from utils.plots.style import ANOMALY, INK, NORMAL, QUALITATIVE, TRAIN, UNCLASSIFIED, new_figure

TABLE = "the table of the figure"
ROW = 30
"""Height of one line of a figure, in pixels."""
BELOW_TITLE = {"margin_t": 88, "legend_yanchor": "bottom", "legend_y": 1.01}
"""Room for a legend below the title."""
STATES = {"complete": (NORMAL, "circle"), "stopped": (UNCLASSIFIED, "x"), "failed": (ANOMALY, "diamond")}
"""Colour and symbol of trials by how they ended."""
VERDICTS = {"helps": ("#0072B2", "circle"), "noise": (TRAIN, "circle-open"), "harms": (ANOMALY, "diamond")}
"""Colour and symbol of gains by their verdict."""
POINTS = {"precision": ("#0072B2", "square"), "recall": ("#E69F00", "diamond"), "f1": (INK, "circle")}
"""Colour and symbol of what a threshold gives."""
WORDS = {"f1": "F1"}
BEFORE = "before"


def search_history(
    history: pl.DataFrame, *, metric: str = "score", title: str = "What did the search find, and when?"
) -> go.Figure:
    """Score of each trial, the best so far, and what the defaults reach.

    Args:
        history: as :meth:`utils.classifiers.tuning.Tuned.history` returns it, or several of them with a column
            ``search``.
        metric: what was maximised, for the axis.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(history, ("trial", "state", "score", "best", "default"), TABLE)
    figure = new_figure(title, "trial", f"{metric.replace('_', ' ')} in cross-validation")
    searches = _searches(history)
    for place, (name, part) in enumerate(searches.items()):
        if len(searches) == 1:
            _add_trials(figure, part)
        _add_best(figure, part, name, place)
    if history.height:
        known = float(history["default"][0])
        last = int(history["trial"].max() or 0)  # type: ignore[arg-type]
        figure.add_scatter(
            x=[0, max(last, 1)],
            y=[known, known],
            name="defaults",
            mode="lines",
            line={"color": TRAIN, "width": 1.5, "dash": "dot"},
            hovertemplate=f"defaults: {known:.4f}<extra></extra>",
        )
    return figure.update_layout(**BELOW_TITLE)


def parameter_importance(importance: pl.DataFrame, *, title: str = "Which parameters mattered?") -> go.Figure:
    """Share of the differences between trials that each parameter explains.

    Args:
        importance: as :meth:`utils.classifiers.tuning.Tuned.importance` returns it.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(importance, ("parameter", "importance"), TABLE)
    names = short(importance["parameter"])
    figure = new_figure(title, "importance (%)", height=150 + ROW * max(len(names), 2))
    figure.add_bar(
        x=compact(100 * importance["importance"]),
        y=names,
        orientation="h",
        marker_color=NORMAL,
        hovertemplate="%{y}: %{x:.1f} %<extra></extra>",
    )
    if importance.is_empty():
        _say(figure, "too few complete trials, or all scored alike")
    return figure.update_xaxes(rangemode="tozero").update_yaxes(**rows_named(names), showgrid=False)


def default_against_tuned(
    gains: pl.DataFrame, *, of: str = "classifier", title: str = "Does tuning help beyond noise?"
) -> go.Figure:
    """Difference that tuning makes on outer test rows, with its interval; what holds 0 is noise.

    Args:
        gains: one row a classifier (or table): its name in the column ``of``, ``difference``, ``low``, ``high`` and
            ``verdict`` (``helps``, ``noise``, ``harms``), optionally ``promised``, what the search itself promised.
        of: column with the name.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(gains, (of, "difference", "low", "high", "verdict"), TABLE)
    names = short(gains[of])
    figure = new_figure(title, "tuned minus default (points of 100)", height=180 + ROW * max(len(names), 2))
    figure.add_vline(x=0, line={"color": INK, "width": 1})
    shown = gains.with_columns(pl.Series("shown", names, dtype=pl.String))
    for verdict, (colour, symbol) in VERDICTS.items():
        part = shown.filter(pl.col("verdict") == verdict)
        if part.height:
            _add_gains(figure, part, verdict, colour, symbol)
    if "promised" in gains.columns:
        figure.add_scatter(
            x=compact(100 * gains["promised"]),
            y=names,
            name="promised by the search",
            mode="markers",
            marker={"color": INK, "symbol": "line-ns-open", "size": 14, "line": {"width": 2}},
            hovertemplate="%{y}: promised %{x:+.2f}<extra></extra>",
        )
    return figure.update_layout(**BELOW_TITLE).update_yaxes(**rows_named(names))


def threshold_choices(
    points: pl.DataFrame, *, title: str = "Do the chosen thresholds hold what they promised?"
) -> go.Figure:
    """Precision, recall and F1 of each rule: expected on out-of-fold rows (open), found on test rows (filled).

    Args:
        points: as :attr:`utils.classifiers.operating_points.OperatingPoints.points` holds it.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    needed = [f"{part}{name}{end}" for name in POINTS for part, end in (("expected_", ""), ("", ""), ("", "_low"))]
    require.columns(points, ("rule", *needed), TABLE)
    rules = short(points["rule"])
    rows = [f"{rule}: {WORDS.get(name, name)}" for rule in rules for name in POINTS]
    figure = new_figure(title, "share (%)", height=170 + ROW * max(len(rows), 3))
    for name, (colour, symbol) in POINTS.items():
        lines, words = [f"{rule}: {WORDS.get(name, name)}" for rule in rules], WORDS.get(name, name)
        figure.add_scatter(
            x=compact(100 * points[name]),
            y=lines,
            name=f"{words}, found on test rows",
            mode="markers",
            marker={"color": colour, "symbol": symbol, "size": 11},
            error_x=_bars(points, name, colour),
            hovertemplate="%{y}: found %{x:.1f} %<extra></extra>",
        )
        figure.add_scatter(
            x=compact(100 * points[f"expected_{name}"]),
            y=lines,
            name=f"{words}, expected",
            mode="markers",
            marker={"color": colour, "symbol": f"{symbol}-open", "size": 11, "line": {"width": 2}},
            hovertemplate="%{y}: expected %{x:.1f} %<extra></extra>",
        )
    figure.update_layout(**BELOW_TITLE | {"margin_t": 110}).update_xaxes(range=[0, 101])
    return figure.update_yaxes(**rows_named(rows))


def calibration_curve(reliability: pl.DataFrame, *, title: str = "Does a probability mean what it says?") -> go.Figure:
    """Observed share of anomalies against the predicted probability, with intervals; the diagonal is what is meant.

    Args:
        reliability: as :attr:`utils.classifiers.operating_points.OperatingPoints.reliability` holds it:
            ``calibration``, ``predicted``, ``observed``, ``low``, ``high``, all shares.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(reliability, ("calibration", "predicted", "observed", "low", "high"), TABLE)
    figure = new_figure(title, "predicted probability of an anomaly (%)", "observed anomalies (%)")
    figure.add_scatter(
        x=[0, 100],
        y=[0, 100],
        name="as it says",
        mode="lines",
        line={"color": TRAIN, "width": 1, "dash": "dot"},
        hoverinfo="skip",
    )
    for place, ((name,), part) in enumerate(reliability.group_by("calibration", maintain_order=True)):
        colour = INK if name == BEFORE else QUALITATIVE[place % len(QUALITATIVE)]
        figure.add_scatter(
            x=compact(100 * part["predicted"]),
            y=compact(100 * part["observed"]),
            name="before calibration" if name == BEFORE else str(name),
            mode="lines+markers",
            line={"color": colour, "dash": DASHES[place % len(DASHES)], "width": 1.6},
            marker={"symbol": SYMBOLS[place % len(SYMBOLS)], "size": 8},
            error_y=_limits(part, "observed", "low", "high", colour),
            hovertemplate="said %{x:.1f} %: was %{y:.1f} %",
        )
    figure.update_layout(**BELOW_TITLE)
    return figure.update_yaxes(range=[-2, 102]).update_xaxes(range=[-2, 102])


def natural_shares(
    shares: pl.DataFrame, *, title: str = "How many alarms are right where anomalies are rare?"
) -> go.Figure:
    """Precision of each rule over the share of anomalies, on a logarithmic axis, with intervals.

    Args:
        shares: as :attr:`utils.classifiers.operating_points.OperatingPoints.shares` holds it.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(shares, ("rule", "share", "precision", "low", "high"), TABLE)
    figure = new_figure(title, "share of anomalies (%)", "precision: alarms that are right (%)")
    for place, ((name,), part) in enumerate(shares.sort("share").group_by("rule", maintain_order=True)):
        colour = QUALITATIVE[place % len(QUALITATIVE)]
        figure.add_scatter(
            x=100 * part["share"].to_numpy(),
            y=compact(100 * part["precision"]),
            name=str(name),
            mode="lines+markers",
            line={"color": colour, "dash": DASHES[place % len(DASHES)], "width": 2},
            marker={"symbol": SYMBOLS[place % len(SYMBOLS)], "size": 9},
            error_y=_limits(part, "precision", "low", "high", colour),
            hovertemplate="at %{x:.3g} %: %{y:.1f} %",
        )
    ticks = sorted({float(100 * share) for share in shares["share"]})
    figure.update_layout(**BELOW_TITLE).update_yaxes(range=[-2, 102])
    return figure.update_xaxes(type="log", tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks])


def _searches(history: pl.DataFrame) -> dict[str, pl.DataFrame]:
    if "search" not in history.columns:
        return {"best so far": history}
    return {str(name): part for (name,), part in history.group_by("search", maintain_order=True)}


def _add_trials(figure: go.Figure, part: pl.DataFrame) -> None:
    """Mark each trial; those without a score stand at the lower edge."""
    floor = (
        part.select(pl.min_horizontal(pl.col("score").min(), pl.col("default").min())).item() if part.height else None
    )
    for state, (colour, symbol) in STATES.items():
        found = part.filter(pl.col("state") == state)
        if found.height:
            figure.add_scatter(
                x=found["trial"].to_numpy(),
                y=compact(found["score"].fill_null(floor)),
                name=f"{state} ({found.height})",
                mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 8},
                hovertemplate="trial %{x}: %{y:.4f}" if state == "complete" else f"trial %{{x}}: {state}",
            )


def _add_best(figure: go.Figure, part: pl.DataFrame, name: str, place: int) -> None:
    figure.add_scatter(
        x=part["trial"].to_numpy(),
        y=compact(part["best"]),
        name=name,
        mode="lines",
        line={"shape": "hv", "color": (INK, *QUALITATIVE)[place % 9], "dash": DASHES[place % len(DASHES)], "width": 2},
        hovertemplate="best by trial %{x}: %{y:.4f}",
    )


def _add_gains(figure: go.Figure, part: pl.DataFrame, verdict: str, colour: str, symbol: str) -> None:
    figure.add_scatter(
        x=compact(100 * part["difference"]),
        y=part["shown"].to_list(),
        name=verdict,
        mode="markers",
        marker={"color": colour, "symbol": symbol, "size": 11, "line": {"width": 2}},
        error_x=_limits(part, "difference", "low", "high", colour),
        hovertemplate="%{y}: %{x:+.2f}",
    )


def _bars(points: pl.DataFrame, name: str, colour: str) -> dict[str, object] | None:
    high = f"{name}_high"
    return _limits(points, name, f"{name}_low", high, colour) if high in points.columns else None


def _limits(part: pl.DataFrame, middle: str, low: str, high: str, colour: str) -> dict[str, object]:
    """Bars from the lower to the upper limit, in hundredths."""
    up, down = (part[high] - part[middle]).clip(0), (part[middle] - part[low]).clip(0)
    return {
        "type": "data",
        "array": compact(100 * up),
        "arrayminus": compact(100 * down),
        "thickness": 1.2,
        "width": 3,
        "color": colour,
    }


def _say(figure: go.Figure, words: str) -> None:
    figure.add_annotation(text=words, showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper")
