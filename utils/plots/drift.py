"""Figures of drift: where rows differ from those of training, and which shifts a watch finds, after how many rows."""

import numpy as np
import plotly.graph_objects as go
import polars as pl

from utils.datasets import require
from utils.plots.marks import SYMBOLS, add_shares, compact, rows_named, short
from utils.plots.style import ANOMALY, INK, TRAIN, UNCLASSIFIED, new_figure

TABLE = "the table of the figure"
QUIET = "none"
"""How tries without a shift begin in the tables of drift."""

ROW = 34
"""Height of one line of a figure, in pixels."""
BELOW_TITLE = {"margin_t": 88, "legend_yanchor": "bottom", "legend_y": 1.01}
MARKS = {True: ("drifted", ANOMALY, "diamond"), False: ("as in training", UNCLASSIFIED, "circle")}
LONGEST = 60


def drift_columns(
    table: pl.DataFrame, *, most: int = 12, title: str = "Where do rows differ from those of training?"
) -> go.Figure:
    """Expected and observed share of rows, column by column, where the difference tells most.

    Args:
        table: as :func:`utils.evaluation.drift.drift` returns it.
        most: columns that are shown, those that drifted first, then by size.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(table, ("column", "where", "expected", "observed", "size", "drifted"), TABLE)
    shown = table.sort("drifted", "size", descending=True, maintain_order=True).head(most)
    names = short((f"{name}: {where}" for name, where in shown.select("column", "where").iter_rows()), LONGEST)
    figure = new_figure(title, "rows (%)", height=150 + ROW * max(len(names), 2)).update_layout(**BELOW_TITLE)
    _add_gaps(figure, shown, names)
    figure.add_scatter(
        x=compact(100 * shown["expected"]),
        y=names,
        name="expected",
        mode="markers",
        marker={"symbol": "line-ns-open", "size": 14, "color": INK, "line": {"width": 2}},
        hovertemplate="%{y}<br>expected in %{x:.2f} % of the rows<extra></extra>",
    )
    for drifted, (name, colour, symbol) in MARKS.items():
        chosen = shown["drifted"] == drifted
        part = shown.filter(chosen)
        if part.height:
            figure.add_scatter(
                x=compact(100 * part["observed"]),
                y=[one for one, this in zip(names, chosen, strict=True) if this],
                name=name,
                mode="markers",
                marker={"symbol": symbol, "size": 10, "color": colour},
                customdata=part["size"].round(3).to_list(),
                hovertemplate="%{y}<br>found in %{x:.2f} % of the rows, size %{customdata}<extra></extra>",
            )
    figure.update_xaxes(range=[-3, 103])
    return figure.update_yaxes(rows_named(names), automargin=True)


def drift_shifts(
    trials: pl.DataFrame, *, by: str = "model", title: str = "How often is a shift found, and is it quiet without one?"
) -> go.Figure:
    """Share of the tries in which the watch gave an alarm, each shift and each model, as a table of cells.

    Args:
        trials: as :func:`utils.evaluation.drift.drift_trial` returns it, with a column that says of which model (or
            which window).
        by: that column.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(trials, (by, "shift", "share", "rows"), TABLE)
    groups, kinds = (list(dict.fromkeys(trials[name].cast(pl.String))) for name in (by, "shift"))
    kinds.sort(key=lambda kind: not kind.startswith(QUIET))
    cells, rows = np.full((2, len(kinds), len(groups)), np.nan)
    for group, kind, share, waited in trials.select(pl.col(by).cast(pl.String), "shift", "share", "rows").iter_rows():
        place = kinds.index(kind), groups.index(group)
        cells[place] = np.nan if share is None else 100 * share
        rows[place] = np.nan if waited is None else waited
    figure = new_figure(title, by, height=190 + ROW * len(kinds))
    add_shares(figure, cells, groups, kinds, "alarms (%)")
    words = [["" if np.isnan(one) else f" after {one:,.0f} rows" for one in line] for line in rows]
    return figure.update_traces(
        customdata=words, hovertemplate="%{y}<br>%{x}: alarm in %{z:.1f} % of the tries%{customdata}<extra></extra>"
    )


def drift_power(trials: pl.DataFrame, *, title: str = "After how many rows is a shift found?") -> go.Figure:
    """Median number of rows until the first alarm, each shift against the size of the window.

    Args:
        trials: as :func:`utils.evaluation.drift.drift_trial` returns it, for several windows, with a column ``window``.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(trials, ("window", "shift", "share", "rows"), TABLE)
    found = trials.filter(~pl.col("shift").str.starts_with(QUIET) & pl.col("rows").is_not_null())
    figure = new_figure(title, "rows of a window", "median rows until the alarm").update_layout(**BELOW_TITLE)
    for place, (kind, part) in enumerate(found.sort("window").group_by("shift", maintain_order=True)):
        figure.add_scatter(
            x=part["window"].to_list(),
            y=compact(part["rows"]),
            name=str(kind[0]),
            mode="lines+markers",
            marker={"symbol": SYMBOLS[place % len(SYMBOLS)], "size": 9},
            customdata=(100 * part["share"]).round(1).to_list(),
            hovertemplate="%{fullData.name}: after %{y:,.0f} rows, in %{customdata} % of the tries<extra></extra>",
        )
    figure.update_xaxes(type="log", tickvals=found["window"].unique().sort().to_list())
    return figure.update_yaxes(type="log")


def _add_gaps(figure: go.Figure, shown: pl.DataFrame, names: list[str]) -> None:
    """Lines from what was expected to what was found."""
    pairs = shown.select(pl.col("expected", "observed") * 100).iter_rows()
    x, y = [], []
    for name, (expected, observed) in zip(names, pairs, strict=True):
        x += [expected, observed, None]
        y += [name, name, None]
    figure.add_scatter(x=x, y=y, mode="lines", line={"color": TRAIN, "width": 2}, hoverinfo="skip", showlegend=False)
