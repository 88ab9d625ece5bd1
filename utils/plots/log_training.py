"""Figures of notebook 09: what training saw, what was chosen on held-out sessions, and what work was saved.

Every figure is made of aggregates. What differs by colour differs by symbol, dash, fill or place too, so that figures
can be read in greyscale.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl

from utils.datasets import require
from utils.plots.marks import SYMBOLS, compact, rows_named, short
from utils.plots.sessions import nothing_to_show
from utils.plots.style import ANOMALY, GRID, INK, QUALITATIVE, TRAIN, new_figure

LINE = 42
"""Height of one line of a figure, in pixels."""

LEAST_HEIGHT = 260
NAME_LENGTH = 44
TABLE = "the table of the figure"
SHARES = {
    "nominal": ("held-out normals", TRAIN, "dash", "circle-open"),
    "real": ("normals of the test part", INK, "solid", "circle"),
}
"""Name, colour, dashes and symbol of each share of flagged normal sessions."""

BELOW_TITLE = {"margin_t": 88, "legend_yanchor": "bottom", "legend_y": 1.01}
NONE_CHOSEN = "no k is chosen: too few held-out normals<br>to promise so few alarms"
MOST_NETWORKS, MOST_TICKS = 5, 25
SEVERAL_TIMES = 4
"""Losses that differ by more than this factor get a logarithmic axis."""

LOSSES = {"loss": ("training", "dot"), "held_out": ("held out", "solid")}


def budget_curve(
    choices: pl.DataFrame, *, title: str = "How many alarms does each k promise, and how many does it raise?"
) -> go.Figure:
    """Alarms among normal sessions, held out and in the test part, and F1, for each k of the top-k rule.

    Args:
        choices: one row a k: ``k``, ``nominal`` (share of held-out normal training sessions flagged), and, as far as
            they are known, ``real`` (share of the normal test sessions flagged), ``f1``, all in 0..1, and ``chosen``
            (true for the k that was chosen on held-out sessions).
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(choices, ("k", "nominal"), TABLE)
    shown = choices.sort("k")
    figure = new_figure(title, "k: events that count as expected at a step", height=500, margin_b=70)
    if shown.is_empty():
        return nothing_to_show(figure, "no k was tried")
    for column, (name, colour, dash, symbol) in SHARES.items():
        _add_curve(figure, shown, column, name, colour, dash, symbol)
    _add_curve(figure, shown, "f1", "F1 in the test part", "#0072B2", "solid", "diamond", axis="y2")
    _mark_chosen(figure, shown)
    shares = shown.select(pl.col("nominal", "real") if "real" in shown.columns else pl.col("nominal"))
    kind = "log" if (shares.to_numpy() > 0).any() else "linear"
    upper = {"title": "normal sessions<br>flagged (%)", "type": kind, "dtick": 1}
    judged = "f1" in shown.columns and shown["f1"].drop_nulls().len() > 0
    if judged:
        lower = {"title": "F1 (%)", "domain": [0.0, 0.42], "anchor": "x", "automargin": True, "gridcolor": GRID}
        figure.update_layout(yaxis=upper | {"domain": [0.52, 1.0]}, yaxis2=lower, **BELOW_TITLE)
    else:
        figure.update_layout(yaxis=upper, **BELOW_TITLE, height=330)
    return figure.update_xaxes(dtick=1 if shown.height <= MOST_TICKS else None, anchor="y2" if judged else "y")


def training_curve(
    history: pl.DataFrame | Mapping[str, Any], *, title: str = "When does training stop helping held-out sessions?"
) -> go.Figure:
    """Loss on held-out normal sessions, and on training where known, by epoch, for several networks.

    Args:
        history: one row a network and epoch: ``network``, ``epoch`` from 1, ``held_out`` (nats a step), and optionally
            ``loss`` (on training sessions) and ``best`` (true for the epoch that was kept). Or fitted detectors by
            name, each with ``history_`` (losses of each member) and ``epochs_`` (the epoch that each kept).
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    if not isinstance(history, pl.DataFrame):
        history = _history(history)
    require.columns(history, ("network", "epoch", "held_out"), TABLE)
    both = "loss" in history.columns
    figure = new_figure(title, "epoch", "loss (nats a step)" if both else "loss on held-out sessions (nats a step)")
    if history.is_empty():
        return nothing_to_show(figure, "no network was trained")
    parts = history.partition_by("network", maintain_order=True)
    for place, part in enumerate(parts[:MOST_NETWORKS]):
        _add_network(figure, part.sort("epoch"), str(part["network"][0]), QUALITATIVE[place], SYMBOLS[place])
    for words, dash in LOSSES.values() if both else ():
        line = {"color": TRAIN, "dash": dash, "width": 2}
        figure.add_scatter(x=[None], y=[None], name=words, mode="lines", line=line)
    losses = np.concatenate([compact(history[name]) for name in LOSSES if name in history.columns])
    losses = losses[np.isfinite(losses)]
    wide = losses.size and losses.min() > 0 and losses.max() > SEVERAL_TIMES * losses.min()
    figure.update_yaxes(**({"type": "log", "dtick": "D2", "tickformat": ".2g"} if wide else {"type": "linear"}))
    if len(parts) > MOST_NETWORKS:
        figure.update_xaxes(title_text=f"epoch (the first {MOST_NETWORKS} of {len(parts)} networks)")
    legend = {"x": 0.0, "xanchor": "left", "y": -0.24, "yanchor": "top"}
    return figure.update_layout(legend=legend, margin_b=116, height=460)


def work_done_once(work: pl.DataFrame, *, title: str = "How much of the work is there only once?") -> go.Figure:
    """How many things there are, and how many distinct ones, on a logarithmic axis.

    Args:
        work: one row a thing (sessions, prefixes, windows): ``thing``, ``all`` and ``distinct``, both counts.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(work, ("thing", "all", "distinct"), TABLE)
    shown = work.drop_nulls().filter((pl.col("all") > 0) & (pl.col("distinct") > 0))
    names = short(shown["thing"], NAME_LENGTH)
    figure = new_figure(title, "number (logarithmic)", height=max(LEAST_HEIGHT, 170 + LINE * len(names)))
    if not names:
        return nothing_to_show(figure, "nothing was counted")
    ends = shown.select(pl.col("all", "distinct").cast(pl.Float64))
    gaps = np.column_stack([ends["distinct"], ends["all"], np.full(len(names), np.nan)])
    line = {"color": TRAIN, "width": 3}
    every = [name for name in names for _ in range(3)]
    figure.add_scatter(x=gaps.ravel(), y=every, mode="lines", line=line, showlegend=False, hoverinfo="skip")
    marks = {"distinct": ("distinct", INK, "circle", "middle left"), "all": ("all", "white", "circle", "middle right")}
    times = [
        f"  {whole:,.0f} ({whole / few:,.0f} times)" for few, whole in zip(ends["distinct"], ends["all"], strict=True)
    ]
    few = [f"{number:,.0f}  " for number in ends["distinct"]]
    for (column, (name, colour, symbol, position)), words in zip(marks.items(), (few, times), strict=True):
        figure.add_scatter(
            x=ends[column].to_numpy(),
            y=names,
            name=name,
            mode="markers+text",
            text=words,
            textposition=position,
            textfont_size=12,
            cliponaxis=False,
            marker={"color": colour, "symbol": symbol, "size": 12, "line": {"width": 2, "color": INK}},
            hovertemplate="%{y}: %{x:,}",
        )
    low, high = np.log10(float(np.nanmin(gaps))), np.log10(float(np.nanmax(gaps)))
    room = max(high - low, 1.0)
    figure.update_xaxes(type="log", range=[low - 0.22 * room, high + 0.36 * room], dtick=1)
    figure.update_layout(**BELOW_TITLE)
    return figure.update_yaxes(**rows_named(names), showgrid=False)


def _add_curve(
    figure: go.Figure, rows: pl.DataFrame, column: str, name: str, colour: str, dash: str, symbol: str, axis: str = "y"
) -> None:
    if column not in rows.columns or rows[column].drop_nulls().is_empty():
        return
    figure.add_scatter(
        x=rows["k"].to_numpy(),
        y=compact(100 * rows[column].cast(pl.Float64).replace(0.0, None)),
        yaxis=axis,
        name=name,
        mode="lines+markers",
        line={"color": colour, "dash": dash, "width": 2},
        marker={"symbol": symbol, "size": 9},
        hovertemplate=f"k = %{{x}}: %{{y:.2f}} % {name}<extra></extra>",
    )


def _mark_chosen(figure: go.Figure, rows: pl.DataFrame) -> None:
    """A line at the chosen k, or why there is none."""
    if "chosen" not in rows.columns:
        return
    look = {"yref": "paper", "y": 1.0, "yanchor": "top", "showarrow": False, "font": {"size": 12, "color": ANOMALY}}
    chosen = rows.filter(pl.col("chosen").fill_null(value=False))["k"]
    if chosen.is_empty():
        figure.add_annotation(text=NONE_CHOSEN, x=1.0, xref="paper", xanchor="right", align="right", **look)
    for k in chosen:
        line = {"color": ANOMALY, "width": 1.6, "dash": "dot"}
        figure.add_shape(type="line", x0=k, x1=k, y0=0, y1=1, yref="paper", line=line)
        text = f"chosen on held-out<br>normals: k = {k}"
        figure.add_annotation(text=text, x=k, xanchor="left", xshift=6, align="left", **look)


def _add_network(figure: go.Figure, part: pl.DataFrame, name: str, colour: str, symbol: str) -> None:
    """Both losses of one network, and the epoch that was kept."""
    shown = short([name], NAME_LENGTH)[0]
    for column, (words, dash) in LOSSES.items():
        if column not in part.columns:
            continue
        figure.add_scatter(
            x=part["epoch"].to_numpy(),
            y=compact(part[column]),
            name=shown,
            mode="lines",
            line={"color": colour, "dash": dash, "width": 2},
            legendgroup=name,
            showlegend=False,
            hovertemplate=f"epoch %{{x}}, {words}: %{{y:.4g}}",
        )
    kept = part.filter(pl.col("best").fill_null(value=False)) if "best" in part.columns else part.tail(1)
    figure.add_scatter(
        x=kept["epoch"].to_numpy(),
        y=compact(kept["held_out"]),
        name=shown,
        mode="lines+markers",
        line_color=colour,
        marker={"color": colour, "symbol": symbol, "size": 11, "line": {"color": INK, "width": 1}},
        legendgroup=name,
        hovertemplate="kept: epoch %{x}<extra></extra>",
    )


def _history(detectors: Mapping[str, Any]) -> pl.DataFrame:
    """Losses of the members of fitted detectors as a table."""
    kinds = {"network": pl.String, "epoch": pl.Int64, "held_out": pl.Float64, "best": pl.Boolean}
    rows = [
        (name if len(detector.history_) == 1 else f"{name}, {member + 1}", epoch, loss, epoch == kept)
        for name, detector in detectors.items()
        for member, (losses, kept) in enumerate(zip(detector.history_, detector.epochs_, strict=True))
        for epoch, loss in enumerate(losses, start=1)
    ]
    return pl.DataFrame(rows, schema=kinds, orient="row")
