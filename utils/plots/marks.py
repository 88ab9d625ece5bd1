"""Colour, symbol and name of each group of rows, the same in every figure, and values in the form that figures take."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
import polars as pl

from utils.evaluation.inputs import Values, as_series
from utils.plots.style import ANOMALY, NORMAL, QUALITATIVE, SEQUENTIAL, UNCLASSIFIED

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star", "pentagon", "hexagon")
SYMBOLS_3D = ("circle", "square", "diamond", "cross", "circle-open", "square-open", "diamond-open", "circle")
"""Three-dimensional figures have few symbols."""
NOISE, OTHERS = "noise", "other clusters"
LONGEST_NAME = 40


class Mark(NamedTuple):
    """How a group is drawn."""

    colour: str
    symbol: str
    symbol_3d: str


VERDICTS: Mapping[str, Mark] = {
    **dict.fromkeys(("normal", "good"), Mark(NORMAL, "circle", "circle")),
    **dict.fromkeys(("anomaly", "attack"), Mark(ANOMALY, "diamond", "diamond")),
    **dict.fromkeys(("unclassified", NOISE), Mark(UNCLASSIFIED, "x", "x")),
    OTHERS: Mark("#6B747C", "circle-open", "circle-open"),
}
"""Groups with a mark of their own; all others get the qualitative colours in turn."""


def names_of(groups: Values) -> pl.Series:
    """Names of groups: Boolean labels become normal and anomaly, numbers clusters, -1 noise, null unclassified."""
    series = as_series(groups)
    if series.dtype == pl.Boolean:
        named = series.replace_strict({True: "anomaly", False: "normal"}, default=None, return_dtype=pl.String)
    elif series.dtype.is_numeric():
        numbers = series.cast(pl.Int64)
        named = pl.select(
            pl.when(numbers < 0).then(pl.lit(NOISE)).otherwise(pl.lit("cluster ") + numbers.cast(pl.String))
        ).to_series()
        named = named.set(numbers.is_null(), None)
    else:
        named = series.cast(pl.String)
    return named.fill_null("unclassified").rename("group")


def ordered(names: pl.Series, most: int) -> list[str]:
    """Groups from the largest to the smallest, at most so many; verdicts are always among them and stand last."""
    sizes = names.value_counts().sort("count", names.name, descending=[True, False])
    found = sizes[names.name].to_list()
    own = [name for name in found if name not in VERDICTS]
    return own[:most] + [name for name in VERDICTS if name in found]


def marks_of(groups: Iterable[str]) -> dict[str, Mark]:
    """Mark of each group."""
    taken: dict[str, Mark] = {}
    plain = 0
    for name in groups:
        if name in VERDICTS:
            taken[name] = VERDICTS[name]
            continue
        colour, symbol = QUALITATIVE[plain % len(QUALITATIVE)], SYMBOLS[plain % len(SYMBOLS)]
        taken[name] = Mark(colour, symbol, SYMBOLS_3D[plain % len(SYMBOLS_3D)])
        plain += 1
    return taken


def short(names: Iterable[object], longest: int = LONGEST_NAME) -> list[str]:
    """Names that fit beside a figure, still different from each other."""
    shown: list[str] = []
    for name in map(str, names):
        cut = name if len(name) <= longest else f"{name[: longest - 1]}…"
        tries = 1
        while cut in shown:
            tries += 1
            cut = f"{name[: longest - 5]}… ({tries})"
        shown.append(cut)
    return shown


def compact(values: pl.Series | np.ndarray | Iterable[float | None]) -> np.ndarray:
    """Numbers in the form that plotly writes in the fewest characters; null becomes NaN."""
    series = values if isinstance(values, pl.Series) else pl.Series(np.asarray(list(values), dtype=np.float64))
    numbers = series.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    fits = np.nanmax(np.abs(numbers), initial=0.0) <= np.finfo(np.float32).max
    return numbers.astype(np.float32) if fits else numbers


def rows_named(names: Iterable[str]) -> dict[str, object]:
    """Axis with these names from top to bottom, whatever they look like."""
    return {"type": "category", "categoryorder": "array", "categoryarray": list(names)[::-1]}


def add_shares(figure: go.Figure, cells: np.ndarray, columns: Sequence[str], rows: Sequence[str], unit: str) -> None:
    """Draw a table of percentages as cells, the first row on top.

    Args:
        figure: an empty figure.
        cells: 0 to 100, NaN for nothing (rows, columns).
        columns: names of the columns.
        rows: names of the rows.
        unit: title of the colour bar.
    """
    figure.add_heatmap(
        z=cells,
        x=columns,
        y=rows,
        zmin=0,
        zmax=100,
        colorscale=SEQUENTIAL,
        texttemplate="%{z:.0f}",
        xgap=2,
        ygap=2,
        colorbar={"title": unit, "thickness": 12},
        hovertemplate="%{y}<br>%{x}: %{z:.1f} %<extra></extra>",
    )
    figure.update_xaxes(showgrid=False, tickangle=-30, type="category")
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category")
