"""Figures of notebook 06: what classifiers reach and cost, and what helps where a class is rare.

Every figure is made of means over folds, never of rows of the data. What differs by colour differs by symbol or place
too, so that figures can be read in greyscale.
"""

import numpy as np
import plotly.graph_objects as go
import polars as pl

from utils.datasets import require
from utils.evaluation.counting import LOWER_IS_BETTER
from utils.evaluation.inputs import Floats
from utils.plots.detectors import BELOW_TITLE, ROW, TABLE
from utils.plots.marks import compact, rows_named, short
from utils.plots.style import ANOMALY, INK, NORMAL, TRAIN, new_figure

BEST, EQUAL = "best", "not told from the best"
VERDICTS = {
    "best": (ANOMALY, "diamond"),
    "not told from the best": (INK, "circle"),
    "worse": (TRAIN, "circle-open"),
    "no verdict": (TRAIN, "x"),
}
"""Colour and symbol of what the comparison with the best model says."""
DUMMY = "dummy"
WORDS = {"f1": "F1", "roc_auc": "AUC", "average_precision": "average precision", "brier": "Brier score"}
FRONT = "nothing is better and cheaper"
AREA = (800, 320)
"""Size of the plotted area of the figure of costs, in pixels."""
LETTER = 6.0
"""Width of a letter of a name in it, in pixels."""
PLACES = tuple(
    (dx, dy)
    for far in (20, 36, 52, 68, 84, 100, 120, 140, 160, 180, 200)
    for dx in (0, 34, -34, 60, -60)
    for dy in (-far, far)
)
"""Where a name may stand beside its point, nearest first."""
Box = tuple[float, float, float, float]
"""Left, top, right and bottom of a rectangle."""


def model_scoreboard(
    board: pl.DataFrame, *, metric: str = "f1", title: str = "Which classifiers are as good as the best?"
) -> go.Figure:
    """The models of a table with their intervals, marked by what the comparison with the best says.

    Args:
        board: as :class:`utils.classifiers.model_selection.Board` has it: ``model``, the metric in 0..1 with ``_low``
            and ``_high``, ``verdict``. The row ``dummy`` is drawn as a line.
        metric: measure to show.
        title: what the figure shows.

    Raises:
        SchemaError: if the board lacks a column.
    """
    require.columns(board, ("model", metric, f"{metric}_low", f"{metric}_high", "verdict"), TABLE)
    shown = board.filter(pl.col("model") != DUMMY)
    names = short(shown["model"])
    words = WORDS.get(metric, metric)
    figure = new_figure(title, f"{words} (%)", height=190 + ROW * len(names))
    for verdict, (colour, symbol) in VERDICTS.items():
        part = shown.filter(verdict=verdict)
        if part.height:
            _add_points(figure, part, metric, verdict, colour, symbol)
    dummy = board.filter(model=DUMMY)[metric].drop_nulls()
    if len(dummy) and len(names):
        _add_dummy(figure, 100 * float(dummy[0]), names)
    figure.update_layout(**BELOW_TITLE).update_xaxes(range=_reach(board, metric))
    return figure.update_yaxes(**rows_named(names))


def score_against_cost(
    board: pl.DataFrame, *, metric: str = "f1", title: str = "What does a better classifier cost?"
) -> go.Figure:
    """Score of each model against the CPU time of a fit, with the line of those that nothing dominates.

    Args:
        board: as :class:`utils.classifiers.model_selection.Board` has it: ``model``, the metric in 0..1 with ``_low``
            and ``_high``, ``fit_seconds``, ``front``. The row ``dummy`` is left out.
        metric: measure to show.
        title: what the figure shows.

    Raises:
        SchemaError: if the board lacks a column.
    """
    needed = ("model", metric, f"{metric}_low", f"{metric}_high", "fit_seconds", "front")
    require.columns(board, needed, TABLE)
    shown = board.filter(pl.col("model") != DUMMY).drop_nulls([metric, "fit_seconds"]).sort("fit_seconds", metric)
    figure = new_figure(title, "CPU time of a fit (s, logarithmic)", f"{WORDS.get(metric, metric)} (%)", height=480)
    figure.update_layout(**BELOW_TITLE)
    front = shown.filter("front")
    figure.add_scatter(
        x=compact(front["fit_seconds"]),
        y=compact(100 * front[metric]),
        mode="lines",
        name=FRONT,
        line={"color": ANOMALY, "width": 1.5, "dash": "dot", "shape": "hv"},
        hoverinfo="skip",
    )
    for on_front, name, colour, symbol in (
        (True, "on that line", ANOMALY, "diamond"),
        (False, "others", INK, "circle"),
    ):
        part = shown.filter(pl.col("front") == on_front)
        if part.height:
            _add_costs(figure, part, metric, name, colour, symbol)
    if shown.height:
        _add_labels(figure, shown, metric)
    return figure


def imbalance_comparison(
    board: pl.DataFrame, *, metric: str = "f1", title: str = "What helps where a class is rare?"
) -> go.Figure:
    """Each treatment of a rare class: as it decides, and with its threshold moved.

    Args:
        board: as :class:`utils.classifiers.imbalance.Treatments` has it: ``treatment``, the metric in 0..1 and, where
            the threshold is moved, ``<metric>_moved``; each with ``_low`` and ``_high``.
        metric: measure to show.
        title: what the figure shows.

    Raises:
        SchemaError: if the board lacks a column.
    """
    require.columns(board, ("treatment", metric, f"{metric}_low", f"{metric}_high"), TABLE)
    names = short(board["treatment"])
    words = WORDS.get(metric, metric)
    shown = board.rename({"treatment": "model"})
    moved = f"{metric}_moved"
    figure = new_figure(title, f"{words} ({_unit(metric)})", height=210 + 34 * len(names)).update_layout(**BELOW_TITLE)
    both = moved in board.columns
    _add_points(figure, shown, metric, "at one half" if both else words, NORMAL, "circle")
    if both:
        _add_points(figure, shown, moved, "threshold moved", ANOMALY, "diamond")
    ends = [_reach(shown, column) for column in (metric, moved) if column in board.columns]
    figure.update_xaxes(range=[min(low for low, _ in ends), max(high for _, high in ends)])
    return figure.update_yaxes(**rows_named(names))


def _unit(metric: str) -> str:
    return "× 100, lower is better" if metric in LOWER_IS_BETTER else "%"


def _add_points(figure: go.Figure, part: pl.DataFrame, metric: str, name: str, colour: str, symbol: str) -> None:
    figure.add_scatter(
        x=compact(100 * part[metric]),
        y=short(part["model"]),
        name=name,
        mode="markers",
        marker={"color": colour, "symbol": symbol, "size": 10},
        error_x=_bars(part, metric, colour),
        hovertemplate="%{y}: %{x:.2f} %",
    )


def _add_costs(figure: go.Figure, part: pl.DataFrame, metric: str, name: str, colour: str, symbol: str) -> None:
    figure.add_scatter(
        x=compact(part["fit_seconds"]),
        y=compact(100 * part[metric]),
        text=short(part["model"]),
        name=name,
        mode="markers",
        marker={"color": colour, "symbol": symbol, "size": 9},
        error_y=_bars(part, metric, colour),
        hovertemplate="%{text}: %{y:.2f} %, %{x:.3g} s",
    )


def _add_labels(figure: go.Figure, shown: pl.DataFrame, metric: str) -> None:
    """Set both axes and write each name where it covers neither a point nor another name."""
    exponents = np.log10(shown["fit_seconds"].to_numpy())
    room = max(0.15, 0.12 * float(np.ptp(exponents)))
    left, right = float(exponents.min()) - room, float(exponents.max()) + room
    low, high = _reach(shown, metric)
    names = short(shown["model"])
    heights = 100 * shown[metric].to_numpy()
    points = np.column_stack([(exponents - left) / (right - left) * AREA[0], (high - heights) / (high - low) * AREA[1]])
    for name, x, y, (ax, ay) in zip(names, exponents, heights, _offsets(points, names), strict=True):
        words = {"text": name, "font_size": 11, "bgcolor": "rgba(255,255,255,0.7)", "borderpad": 0}
        arrow = {"showarrow": True, "arrowhead": 0, "arrowwidth": 0.6, "arrowcolor": TRAIN}
        figure.add_annotation(x=float(x), y=float(y), ax=ax, ay=ay, **words, **arrow)
    figure.update_xaxes(type="log", range=[left, right], dtick=1)
    figure.update_yaxes(range=[low, high])


def _offsets(points: Floats, names: list[str]) -> list[tuple[int, int]]:
    """Where each name goes, in pixels from its point: the nearest place that is free; right and down are positive.

    Args:
        points: places of the points in the plotted area, in pixels from its upper left corner (n, 2).
        names: what is written (n,).
    """
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y in points]
    found = []
    for (x, y), name in zip(points, names, strict=True):
        half = LETTER * len(name) / 2 + 2
        boxes = {(dx, dy): (x + dx - half, y + dy - 8, x + dx + half, y + dy + 8) for dx, dy in PLACES}
        free = [place for place, box in boxes.items() if _inside(box) and not any(_meet(box, other) for other in taken)]
        chosen = free[0] if free else PLACES[0]
        taken.append(boxes[chosen])
        found.append(chosen)
    return found


def _inside(box: Box) -> bool:
    return box[0] >= 0 and box[1] >= 0 and box[2] <= AREA[0] and box[3] <= AREA[1]


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _add_dummy(figure: go.Figure, at: float, names: list[str]) -> None:
    figure.add_scatter(
        x=[at] * len(names),
        y=names,
        name=DUMMY,
        mode="lines",
        line={"color": TRAIN, "width": 1.5, "dash": "dot"},
        hovertemplate=f"{DUMMY}: {at:.1f} %<extra></extra>",
    )


def _bars(part: pl.DataFrame, metric: str, colour: str) -> dict[str, object]:
    up, down = (part[f"{metric}_high"] - part[metric]).clip(0), (part[metric] - part[f"{metric}_low"]).clip(0)
    arrays = {"array": compact(100 * up), "arrayminus": compact(100 * down)}
    return {"type": "data", **arrays, "thickness": 1.1, "width": 3, "color": colour}


def _reach(board: pl.DataFrame, metric: str) -> list[float]:
    """Axis from below the lowest number to just above 100 %; from 0 to above the highest where lower is better."""
    ends = pl.col(metric, f"{metric}_low", f"{metric}_high").fill_nan(None)
    found = board.select(low=pl.min_horizontal(ends).min(), high=pl.max_horizontal(ends).max()).row(0)
    low, high = (100 * float(end) if end is not None else place for end, place in zip(found, (0.0, 100.0), strict=True))
    if metric in LOWER_IS_BETTER:
        return [0.0, 1.1 * high]
    return [max(0.0, low - max(1.0, 0.08 * (100 - low))), 100 + max(0.3, 0.05 * (100 - low))]
