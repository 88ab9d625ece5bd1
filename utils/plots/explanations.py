"""Figures of explanations: what a model looks at, why it decides on one record, and where it errs.

Figures of points draw a bounded sample, so that they stay small. What differs by colour differs by symbol or place too.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
import polars as pl

from utils.datasets import require
from utils.evaluation.inputs import Floats, Ints
from utils.plots.marks import compact, rows_named, short
from utils.plots.style import ANOMALY, DIVERGING, INK, NORMAL, TRAIN, new_figure
from utils.settings import SEED

if TYPE_CHECKING:
    from utils.explain.shapley import Shapley

ROW = 24
LEAST_HEIGHT = 310
TABLE = "the table of the figure"
MOST_FEATURES = 15
MOST_POINTS = 400
"""Points of one figure: some 55 kB as SVG."""

MOST_BARS = 25
SEVERAL_DECADES = 1_000
NAME_LENGTH = 46
LINE_LENGTH = 46
"""Characters of a name with its value."""

BELOW_TITLE = {"margin_t": 88, "legend_yanchor": "bottom", "legend_y": 1.01}
OUTCOMES = {"false alarm": (NORMAL, "circle"), "miss": (ANOMALY, "diamond")}
"""Colour and symbol of each kind of mistake: those of the class that was mistaken."""


def importance_bars(
    table: pl.DataFrame,
    *,
    most: int = MOST_FEATURES,
    unit: str = "log-odds",
    title: str = "Which columns does the model look at?",
) -> go.Figure:
    """Mean absolute Shapley value of each column with its interval, the most important on top.

    Args:
        table: as :func:`utils.explain.importance` or :class:`utils.explain.Stability` has it: ``feature``,
            ``importance``, ``low``, ``high``.
        most: most columns.
        unit: unit of the values.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(table, ("feature", "importance", "low", "high"), TABLE)
    shown = table.sort("importance", descending=True, maintain_order=True).head(most)
    names = short(shown["feature"], NAME_LENGTH)
    figure = new_figure(title, f"mean absolute Shapley value ({unit})", height=_height(len(names)))
    up, down = (shown["high"] - shown["importance"]).clip(0), (shown["importance"] - shown["low"]).clip(0)
    figure.add_bar(
        x=compact(shown["importance"]),
        y=names,
        orientation="h",
        marker_color=TRAIN,
        error_x={"type": "data", "array": compact(up), "arrayminus": compact(down), "color": INK, "thickness": 1.2},
        hovertemplate="%{y}: %{x:.3g}<extra></extra>",
    )
    return figure.update_yaxes(**rows_named(names), showgrid=False)


def beeswarm(
    found: "Shapley",
    *,
    most: int = 8,
    points: int = MOST_POINTS,
    seed: int = SEED,
    title: str = "In which direction does each column push?",
) -> go.Figure:
    """Shapley values of a sample of rows, one line a column, coloured by whether the column's value is low or high.

    Names have no order, so their points are open and grey.

    Args:
        found: Shapley values.
        most: most columns, the most important ones.
        points: most points of the figure.
        seed: of the sample.
        title: what the figure shows.
    """
    from utils.explain.importance import importance

    names = importance(found, resamples=1)["feature"].head(most).to_list()
    rng = np.random.default_rng(seed)
    rows = np.arange(len(found))
    if len(rows) * len(names) > points:
        rows = np.sort(rng.choice(rows, max(1, points // max(len(names), 1)), replace=False))
    figure = new_figure(
        title, f"Shapley value ({found.scale}); to the right: more abnormal", height=_height(len(names), 30)
    )
    shown = short(names, NAME_LENGTH)
    parts = [_swarm(found, name, rows, place) for place, name in enumerate(names)]
    for ordered in (True, False):
        kept = [part for part in parts if (part[2] is not None) == ordered]
        if kept:
            _add_swarm(figure, kept, ordered=ordered)
    figure.add_vline(x=0, line={"color": INK, "width": 1})
    ticks = {"tickmode": "array", "tickvals": list(range(len(names))), "ticktext": shown}
    figure.update_layout(**BELOW_TITLE)
    return figure.update_yaxes(**ticks, autorange="reversed", showgrid=False)


def waterfall(
    found: "Shapley",
    row: int = 0,
    *,
    most: int = 10,
    threshold: float | None = None,
    title: str = "Why was this record decided so?",
) -> go.Figure:
    """Steps from the mean output to the output of one row; steps to the abnormal side are dark, others light.

    Args:
        found: Shapley values.
        row: number of the row.
        most: most columns; the rest is one step.
        threshold: the threshold on the scale of the values, drawn as a line.
        title: what the figure shows.

    Raises:
        DataError: if there is no such row.
    """
    from utils.explain.importance import single

    steps = single(found, row, most)
    names = short((_valued(*pair) for pair in steps.select("feature", "value").iter_rows()), LINE_LENGTH)
    figure = new_figure(title, f"output of the model ({found.scale})", height=_height(len(names), 28))
    up = steps["contribution"] >= 0
    figure.add_bar(
        base=compact(steps["start"]),
        x=compact(steps["contribution"]),
        y=names,
        orientation="h",
        marker={
            "color": [ANOMALY if more else NORMAL for more in up],
            "pattern": {"shape": ["" if more else "/" for more in up], "fgcolor": INK, "size": 5, "solidity": 0.15},
        },
        text=[f" {step:+.3g} " for step in steps["contribution"]],
        textposition="outside",
        textfont={"color": INK},
        cliponaxis=False,
        hovertemplate="%{y}: %{text}<extra></extra>",
        showlegend=False,
    )
    _add_mark(figure, names, found.base, f"mean {found.base:.3g}", "dot")
    _add_mark(figure, names, float(found.output[row]), f"this record {found.output[row]:.3g}", "solid")
    if threshold is not None and np.isfinite(threshold):
        _add_mark(figure, names, threshold, f"threshold {threshold:.3g}", "dash")
    ends = [found.base, *steps["start"], *steps["end"], *([threshold] if threshold is not None else [])]
    known = [end for end in ends if np.isfinite(end)]
    room = 0.16 * ((max(known) - min(known)) or 1.0)
    figure.update_layout(**BELOW_TITLE).update_xaxes(range=[min(known) - room, max(known) + room])
    return figure.update_yaxes(**rows_named(names), showgrid=False)


def dependence_plot(
    found: "Shapley",
    column: str,
    *,
    points: int = MOST_POINTS,
    most_names: int = 12,
    logarithmic: bool | None = None,
    seed: int = SEED,
    title: str | None = None,
) -> go.Figure:
    """Shapley values of one column by its value: points for numbers, boxes for names.

    Args:
        found: Shapley values.
        column: name of the column.
        points: most points.
        most_names: most names, the most frequent ones.
        logarithmic: whether the axis shows decades (0, 1, 10, 100, ...); by default where values from 0 on span three.
        seed: of the sample of points.
        title: what the figure shows.

    Raises:
        SchemaError: if there is no such column.
    """
    from utils.explain.importance import dependence

    table = dependence(found, column).drop_nulls("value")
    heading = title or f"How does {_cut(column, 40)} move the output?"
    figure = new_figure(heading, column, f"Shapley value ({found.scale})")
    figure.add_hline(y=0, line={"color": INK, "width": 1})
    if not table["value"].dtype.is_numeric():
        return _add_names(figure, table, most_names)
    if table.height > points:
        table = table[np.sort(np.random.default_rng(seed).choice(table.height, points, replace=False))]
    spread = _spans_decades(table["value"]) if logarithmic is None else logarithmic
    values = table["value"].to_numpy()
    figure.add_scatter(
        x=compact(_decades(values) if spread else values),
        y=compact(table["shapley"]),
        mode="markers",
        marker={"color": TRAIN, "size": 5, "symbol": "circle-open"},
        hovertemplate="%{y:.3g}<extra></extra>",
    )
    return figure.update_xaxes(**_decade_ticks(values)) if spread else figure


def slice_bars(
    table: pl.DataFrame,
    *,
    most: int = MOST_BARS,
    title: str = "Among which rows does the model err more than elsewhere?",
) -> go.Figure:
    """Error rate of each slice with its interval, the largest excess of errors on top; beyond chance is dark.

    Args:
        table: as :func:`utils.explain.slices` returns it.
        most: most slices.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(table, ("column", "value", "rows", "errors", "rate", "low", "high", "beyond_chance"), TABLE)
    shown = table.head(most)
    words = [
        f"{column} = {_cut(value, 24)} ({rows:,.0f})"
        for column, value, rows in shown.select("column", "value", "rows").iter_rows()
    ]
    names = short(words, 48)
    figure = new_figure(title, "errors (% of the rows of the slice)", height=_height(len(names)))
    for beyond, colour, symbol, name in (
        (True, ANOMALY, "diamond", "more errors than chance explains"),
        (False, TRAIN, "circle", "within chance"),
    ):
        chosen = (shown["beyond_chance"] == beyond).to_numpy()
        part = shown.filter(pl.Series(chosen))
        up, down = 100 * (part["high"] - part["rate"]).clip(0), 100 * (part["rate"] - part["low"]).clip(0)
        figure.add_scatter(
            x=compact(100 * part["rate"]),
            y=[one for one, kept in zip(names, chosen, strict=True) if kept],
            mode="markers",
            name=name,
            marker={"color": colour, "symbol": symbol, "size": 9},
            error_x={"type": "data", "array": compact(up), "arrayminus": compact(down), "thickness": 1.2, "width": 3},
            hovertemplate="%{y}: %{x:.2f} %<extra></extra>",
        )
    figure.update_layout(**BELOW_TITLE).update_xaxes(rangemode="tozero")
    return figure.update_yaxes(**rows_named(names))


def mistakes_plot(
    table: pl.DataFrame, *, title: str = "How sure are the mistakes, and is anything like them in training?"
) -> go.Figure:
    """Mistakes by how far their score is from the threshold and how far they are from training; contradicted ones open.

    Args:
        table: as :func:`utils.explain.mistakes` returns it.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(table, ("row", "mistake", "score", "threshold", "distance", "same_other"), TABLE)
    figure = new_figure(title, "score minus threshold", "distance to the nearest training row")
    for kind, (colour, symbol) in OUTCOMES.items():
        for same in (False, True):
            part = table.filter((pl.col("mistake") == kind) & (pl.col("same_other") == same))
            if part.is_empty():
                continue
            figure.add_scatter(
                x=compact(part["score"] - part["threshold"]),
                y=compact(part["distance"]),
                mode="markers",
                name=f"{kind}{', same features with the other label in training' * same} ({part.height})",
                marker={
                    "color": colour,
                    "symbol": f"{symbol}-open" if same else symbol,
                    "size": 10,
                    "line": {"color": INK if not same else colour, "width": 0.8 if not same else 2},
                },
                customdata=part["row"].to_list(),
                hovertemplate="row %{customdata}: %{x:.3g}, %{y:.3g}<extra></extra>",
            )
    figure.add_vline(x=0, line={"color": INK, "width": 1, "dash": "dot"})
    return figure.update_layout(**BELOW_TITLE).update_yaxes(rangemode="tozero")


def _height(lines: int, line: int = ROW) -> int:
    return max(LEAST_HEIGHT, 160 + line * lines)


def _valued(name: str, value: object) -> str:
    """A name with its value; of a long name the beginning, so that the value is always seen."""
    shown = f" = {_cut(value)}"
    return f"{_cut(name, LINE_LENGTH - len(shown))}{shown}"


def _cut(text: object, longest: int = 28) -> str:
    shown = str(text)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


Swarm = tuple[Floats, Floats, Floats | None]


def _swarm(found: "Shapley", name: str, rows: Ints, place: int) -> Swarm:
    """Places of the points of one column: value, height on its line, and rank of the column's value (0 to 1)."""
    values = found.values[name].to_numpy()[rows]
    column = found.rows[name][rows]
    return values, place + _spread(values), _ranks(column)


def _spread(values: Floats, bins: int = 60) -> Floats:
    """Heights within a line, so that points of like value stand above each other and not upon each other."""
    width = float(np.ptp(values)) or 1.0
    cell = np.minimum((bins * (values - values.min()) / width).astype(np.int64), bins - 1)
    order = np.argsort(cell, kind="stable")
    starts = np.searchsorted(cell[order], cell)
    rank = np.empty(len(values))
    rank[order] = np.arange(len(values))
    rank -= starts
    size = np.bincount(cell, minlength=bins)[cell]
    height = np.where(rank % 2 == 0, rank, -rank - 1) / 2
    return np.asarray(0.8 * height / max(float(size.max()), 8.0))


def _ranks(column: pl.Series) -> Floats | None:
    """Rank of each value from 0 (low) to 1 (high), nothing for names."""
    if isinstance(column.dtype, pl.Boolean):
        column = column.cast(pl.Int8)
    if isinstance(column.dtype, pl.Duration):
        column = column.to_physical()
    if not column.dtype.is_numeric():
        return None
    known = column.cast(pl.Float64).fill_nan(None)
    ranks = np.asarray(known.rank("average").to_numpy(), dtype=np.float64)
    if np.isnan(ranks).all():
        return np.full(len(ranks), 0.5)
    least, width = np.nanmin(ranks), np.ptp(ranks[~np.isnan(ranks)])
    return np.nan_to_num((ranks - least) / (width or 1.0), nan=0.5)


def _spans_decades(values: pl.Series) -> bool:
    numbers = values.to_numpy()
    return bool(len(numbers) and numbers.min() >= 0 and numbers.max() > SEVERAL_DECADES * max(np.median(numbers), 1.0))


def _decades(values: Floats) -> Floats:
    """Numbers on a scale of decades that has a place for 0."""
    return np.asarray(np.sign(values) * np.log10(1 + np.abs(values)))


def _decade_ticks(values: Floats) -> dict[str, object]:
    last = int(np.ceil(np.log10(1 + np.abs(values).max(initial=1.0))))
    shown = [0, *(10**power for power in range(0, last + 1, max(1, last // 6)))]
    return {
        "tickmode": "array",
        "tickvals": [float(np.log10(1 + one)) for one in shown],
        "ticktext": [f"{one:,}" for one in shown],
    }


def _add_swarm(figure: go.Figure, parts: Sequence[Swarm], *, ordered: bool) -> None:
    x, y = (np.concatenate([part[place] for part in parts]) for place in (0, 1))
    colour: dict[str, object] = {"color": TRAIN}
    if ordered:
        ranks = np.concatenate([part[2] for part in parts if part[2] is not None])
        bar = {"title": "value of<br>the column", "thickness": 12, "tickvals": [0, 1], "ticktext": ["low", "high"]}
        colour = {"color": compact(ranks), "colorscale": DIVERGING, "cmin": 0, "cmax": 1, "colorbar": bar}
    figure.add_scatter(
        x=compact(x),
        y=compact(y),
        mode="markers",
        name="numbers" if ordered else "names (no order)",
        marker={"size": 5, "symbol": "circle" if ordered else "circle-open"} | colour,
        hoverinfo="x",
        showlegend=not ordered,
    )


def _add_mark(figure: go.Figure, names: list[str], at: float, words: str, dash: str) -> None:
    """An upright line that the legend explains."""
    figure.add_scatter(
        x=[at] * len(names),
        y=names,
        name=words,
        mode="lines",
        line={"color": INK, "width": 1.3, "dash": dash},
        hoverinfo="name",
    )


def _add_names(figure: go.Figure, table: pl.DataFrame, most: int) -> go.Figure:
    """One box a name: quartiles and range of the Shapley values."""
    kept = table["value"].value_counts().sort("count", "value", descending=[True, False]).head(most)
    for name in kept["value"].to_list():
        values = table.filter(pl.col("value") == name)["shapley"].to_numpy()
        low, first, middle, third, high = np.quantile(values, [0, 0.25, 0.5, 0.75, 1]).tolist()
        figure.add_box(
            x=[_cut(name)],
            q1=[first],
            median=[middle],
            q3=[third],
            lowerfence=[low],
            upperfence=[high],
            name=f"{_cut(name)} ({len(values):,})",
            line_color=INK,
            fillcolor=NORMAL,
            showlegend=False,
        )
    return figure.update_xaxes(type="category")
