"""Figures of notebook 08: what fewer, chosen or learned features are worth, what they lose, how far rankings agree.

What differs by colour differs by symbol and dash too, so that figures can be read in greyscale.
"""

import numpy as np
import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from utils.datasets import require
from utils.plots.marks import compact
from utils.plots.style import INK, QUALITATIVE, TRAIN, new_figure

TABLE = "the table of the figure"
ALL = "all features"
DASHES = ("solid", "dash", "dot", "dashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up")
SHIFT = 0.03
"""Points of one size stand side by side: so far apart, as a share of the size."""
LEAST_LOST = 0.01
"""Smallest share of the variance that is told apart from nothing, in per cent."""
NAMES = {"f1": "F1", "accuracy": "accuracy", "average_precision": "average precision"}
BELOW_PANELS = {
    "height": 460,
    "margin_t": 92,
    "margin_b": 120,
    "legend": {"orientation": "h", "x": 0.5, "xanchor": "center", "y": -0.3, "yanchor": "top"},
}
"""The legend stands below: above it would meet the names of the panels."""


def representation_scores(
    scores: pl.DataFrame, metric: str = "f1", *, title: str = "Are fewer, learned features as good?"
) -> go.Figure:
    """A metric by representation and number of columns, one panel a model, all features as a band.

    Args:
        scores: one row a model, representation, size and metric: ``model``, ``representation``, ``size``, ``metric``,
            ``value`` in 0..1 with its interval ``low`` and ``high`` (null where there is none).
        metric: which metric is drawn.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(scores, ("model", "representation", "size", "metric", "value", "low", "high"), TABLE)
    shown = scores.filter(metric=metric).with_columns(pl.col("value", "low", "high") * 100)
    models = shown["model"].unique(maintain_order=True).to_list()
    names = [name for name in shown["representation"].unique(maintain_order=True) if name != ALL]
    figure = _panels(title, models or [""], shared=True)
    for place, model in enumerate(models, start=1):
        part = shown.filter(model=model)
        _add_band(figure, part.filter(representation=ALL), _reach(shown), place)
        for number, name in enumerate(names):
            _add_curve(figure, part.filter(representation=name).sort("size"), name, (number, len(names)), place)
    figure.update_xaxes(title_text="number of columns", type="log", **_ticks(shown.filter(pl.col("size") > 0)))
    return figure.update_yaxes(title_text=f"{NAMES.get(metric, metric)} (%)", col=1)


def ranking_agreement(
    rankings: pl.DataFrame, *, title: str = "Do importance and elimination choose the same columns?"
) -> go.Figure:
    """Share of the best k columns that two rankings have in common: mean and range over splits, beside chance.

    Args:
        rankings: one row a split and ``k``: ``overlap`` and ``chance`` in 0..1.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(rankings, ("k", "overlap", "chance"), TABLE)
    grouped = rankings.group_by("k").agg(
        pl.col("chance").mean(),
        mean=pl.col("overlap").mean(),
        low=pl.col("overlap").min(),
        high=pl.col("overlap").max(),
    )
    table = grouped.sort("k")
    figure = new_figure(title, "best columns of each ranking", "in common (%)")
    _add_range(figure, table)
    figure.add_scatter(
        x=table["k"].to_list(),
        y=compact(100 * table["mean"]),
        name="in common, mean of the splits",
        mode="lines+markers",
        line={"color": INK, "width": 2},
        hovertemplate="best %{x}: %{y:.0f} %<extra></extra>",
    )
    figure.add_scatter(
        x=table["k"].to_list(),
        y=compact(100 * table["chance"]),
        name="by chance",
        mode="lines",
        line={"color": TRAIN, "width": 1.5, "dash": "dot"},
        hovertemplate="best %{x}: %{y:.0f} % by chance<extra></extra>",
    )
    figure.update_layout(margin_t=88, legend_y=1.01).update_xaxes(rangemode="tozero")
    return figure.update_yaxes(range=[0, 103])


def reconstruction(
    errors: pl.DataFrame, *, title: str = "How much of a row can be had back from so few numbers?"
) -> go.Figure:
    """Variance that principal components explain in training, and what is lost on held-out rows, beside codes.

    Losses below 0.01 % are drawn as that: they are rounding.

    Args:
        errors: one row a representation, size and split: ``representation``, ``size``, ``lost`` share of the variance
            of held-out rows and ``explained`` share of that of training (null where it is not known).
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(errors, ("representation", "size", "lost", "explained"), TABLE)
    measured = errors.with_columns((pl.col("lost") * 100).clip(LEAST_LOST), pl.col("explained") * 100)
    figure = _panels(title, ["explained in training", "lost on held-out rows"], shared=False)
    known = measured.drop_nulls("explained")
    for number, (name,) in enumerate(measured.select("representation").unique(maintain_order=True).iter_rows()):
        for place, (part, column) in enumerate(((known, "explained"), (measured, "lost")), start=1):
            _add_spread(figure, part.filter(representation=name), column, (name, number), place)
    figure.update_xaxes(title_text="number of columns", type="log", **_ticks(measured))
    figure.update_yaxes(title_text="share of the variance (%)", rangemode="tozero", col=1)
    fine = bool((measured["lost"] < 1).any())
    scale = {"type": "log", "dtick": 1, "exponentformat": "none"} if fine else {"rangemode": "tozero"}
    return figure.update_yaxes(**scale, col=2)


def _panels(title: str, names: list[str], *, shared: bool) -> go.Figure:
    drawn = make_subplots(1, len(names), subplot_titles=names, shared_yaxes=shared, horizontal_spacing=0.09)
    style = new_figure(title).layout
    drawn.update_layout(template=style.template, title=style.title, **BELOW_PANELS)
    return drawn


def _ticks(table: pl.DataFrame) -> dict[str, object]:
    """Ticks of a logarithmic axis at round numbers."""
    largest = max(table["size"].to_list(), default=1)
    values = [value for value in (1, 2, 5, 10, 25, 50, 100, 200, 500, 1_000) if value <= 2 * largest]
    return {"tickvals": values, "ticktext": [str(value) for value in values]}


def _reach(shown: pl.DataFrame) -> list[float]:
    """From left of the smallest size to right of the largest."""
    sizes = shown["size"].to_list() or [1]
    return [0.8 * min(sizes), 1.15 * max(sizes)]


def _add_band(figure: go.Figure, whole: pl.DataFrame, reach: list[float], place: int) -> None:
    """All features: a line and the band of its interval."""
    if whole.is_empty():
        return
    value, low, high, size = whole.select("value", "low", "high", "size").row(0)
    low, high = (value if limit is None or np.isnan(limit) else limit for limit in (low, high))
    shared = {"legendgroup": ALL, "col": place, "row": 1}
    figure.add_scatter(
        x=[*reach, *reach[::-1]],
        y=compact([high, high, low, low]),
        fill="toself",
        fillcolor="rgba(135, 150, 165, 0.25)",
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
        **shared,
    )
    figure.add_scatter(
        x=reach,
        y=compact([value, value]),
        name=ALL,
        mode="lines",
        line={"color": INK, "width": 1.5},
        showlegend=place == 1,
        hovertemplate=f"{ALL} ({size}): {value:.2f} %<extra></extra>",
        **shared,
    )


def _add_curve(figure: go.Figure, part: pl.DataFrame, name: str, of: tuple[int, int], place: int) -> None:
    """One representation: its sizes with intervals; those of one size stand side by side."""
    number, several = of
    colour, aside = QUALITATIVE[number % len(QUALITATIVE)], 1 + SHIFT * (number - (several - 1) / 2)
    figure.add_scatter(
        x=compact([aside * size for size in part["size"]]),
        y=compact(part["value"]),
        name=name,
        legendgroup=name,
        showlegend=place == 1,
        mode="lines+markers",
        line={"color": colour, "width": 1.5, "dash": DASHES[number % len(DASHES)]},
        marker={"symbol": SYMBOLS[number % len(SYMBOLS)], "size": 9},
        error_y={
            "type": "data",
            "array": compact((part["high"] - part["value"]).fill_nan(None)),
            "arrayminus": compact((part["value"] - part["low"]).fill_nan(None)),
            "thickness": 1.2,
            "width": 3,
        },
        customdata=part["size"].to_list(),
        hovertemplate="%{customdata} columns: %{y:.2f} %",
        row=1,
        col=place,
    )


def _add_range(figure: go.Figure, table: pl.DataFrame) -> None:
    places = table["k"].to_list()
    figure.add_scatter(
        x=[*places, *places[::-1]],
        y=compact([*(100 * table["high"]), *(100 * table["low"].reverse())]),
        fill="toself",
        fillcolor="rgba(0, 114, 178, 0.2)",
        line={"width": 0},
        mode="lines",
        name="range over the splits",
        hoverinfo="skip",
    )


def _add_spread(figure: go.Figure, part: pl.DataFrame, column: str, of: tuple[str, int], place: int) -> None:
    """Mean over the splits with the range as bars."""
    if part.is_empty():
        return
    name, number = of
    whole = part.group_by("size").agg(
        mean=pl.col(column).mean(), low=pl.col(column).min(), high=pl.col(column).max()
    )  # fmt: skip
    table = whole.sort("size")
    figure.add_scatter(
        x=table["size"].to_list(),
        y=compact(table["mean"]),
        name=name,
        legendgroup=name,
        showlegend=place == 2,
        mode="lines+markers",
        line={"color": QUALITATIVE[number % len(QUALITATIVE)], "dash": DASHES[number % len(DASHES)], "width": 2},
        marker={"symbol": SYMBOLS[number % len(SYMBOLS)], "size": 8},
        error_y={
            "type": "data",
            "array": compact(table["high"] - table["mean"]),
            "arrayminus": compact(table["mean"] - table["low"]),
            "thickness": 1.2,
            "width": 3,
        },
        hovertemplate="%{x} columns: %{y:.2f} %",
        row=1,
        col=place,
    )
