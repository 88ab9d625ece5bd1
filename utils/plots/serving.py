"""Figures of notebook 11: how long a client waits for an answer."""

import plotly.graph_objects as go
import polars as pl

from utils.datasets import require
from utils.plots.marks import SYMBOLS, rows_named
from utils.plots.style import INK, QUALITATIVE, TRAIN, new_figure

LINE = 30
"""Height of one line of a figure, in pixels."""

TABLE = "the table of latencies"
COLUMNS = ("model", "clients", "p50_ms", "p95_ms", "p99_ms")


def waiting_times(latencies: pl.DataFrame, *, title: str = "How long does a client wait for one answer?") -> go.Figure:
    """Median, 95th and 99th percentile of the time to an answer, for each model and number of clients.

    Args:
        latencies: one row a model and number of clients: ``model``, ``clients``, ``p50_ms``, ``p95_ms``, ``p99_ms``
            (milliseconds), as :func:`utils.serving.trials.speeds` gives it.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(latencies, COLUMNS, TABLE)
    shown = latencies.with_columns(
        where=pl.format("{}, {} at a time", "model", "clients").str.replace(", 1 at a time$", ", one at a time")
    )
    names = shown["where"].to_list()
    figure = new_figure(title, "milliseconds, logarithmic", height=170 + LINE * len(names), margin_l=190)
    for row in shown.iter_rows(named=True):
        figure.add_scatter(
            x=[row["p50_ms"], row["p99_ms"]],
            y=[row["where"]] * 2,
            mode="lines",
            line={"color": TRAIN, "width": 2},
            showlegend=False,
            hoverinfo="skip",
        )
    for place, (column, name, colour) in enumerate(
        (("p50_ms", "median", INK), ("p95_ms", "95 %", QUALITATIVE[0]), ("p99_ms", "99 %", QUALITATIVE[5]))
    ):
        figure.add_scatter(
            x=shown[column],
            y=names,
            mode="markers",
            name=name,
            marker={"color": colour, "symbol": SYMBOLS[place], "size": 9},
        )
    return figure.update_layout(xaxis={"type": "log", "dtick": 1}, yaxis=rows_named(names))
