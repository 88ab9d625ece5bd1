"""Figures of notebook 12: who won where, how that came about over runs, and what it cost.

Filled marks were judged on test rows, open ones by repeated splits of training rows: never the same rows, so that one
is not to be compared with the other. What differs by colour differs by symbol too, so that figures can be read in
greyscale.
"""

import html
from collections.abc import Mapping
from types import MappingProxyType

import plotly.graph_objects as go
import polars as pl

from utils.datasets import require
from utils.plots.detectors import BELOW_TITLE, TABLE
from utils.plots.marks import compact, rows_named
from utils.plots.style import ANOMALY, INK, QUALITATIVE, TRAIN, UNCLASSIFIED, new_figure

ROW = 24
"""Height of one row, in pixels."""

PANEL, ACROSS = 210, 3
"""Height of one panel of a history, in pixels, and how many stand side by side."""

LEAST_LOSS = 0.01
"""Per cent that are taken to lack where F1 is 100 %, so that a logarithmic axis can show it."""

BELOW_LONG_TITLE = BELOW_TITLE | {"margin_t": 128}

KINDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "one rule": (UNCLASSIFIED, "square"),
        "no labels": (QUALITATIVE[0], "circle"),
        "graphs": (QUALITATIVE[2], "pentagon"),
        "sequences": (QUALITATIVE[2], "triangle-up"),
        "with labels, defaults": (QUALITATIVE[1], "cross"),
        "fewer features": (QUALITATIVE[3], "star"),
        "with labels": (ANOMALY, "diamond"),
        "graphs, with labels": (ANOMALY, "hexagon"),
        "sequences, with labels": (ANOMALY, "triangle-down"),
    }
)
"""Colour and symbol of what a method learns from."""

OTHER = (INK, "x")
SPLITS = "repeated splits of training rows"
TRIVIAL = "flag everything"
INTERVAL = ("data_set", "source", "table", "kind", "method", "f1", "f1_low", "f1_high", "trivial", "protocol")
COSTS = ("data_set", "kind", "method", "f1", "seconds", "protocol")
HISTORY = ("data_set", "source", "budget", "kind", "started", "metric", "value")


def leaderboard_scores(best: pl.DataFrame, *, title: str = "Who won, and how sure is that?") -> go.Figure:
    """The best of each data set and kind with its interval, and the trivial answer beside it.

    Args:
        best: as :class:`utils.leaderboard.Leaderboard` has it: ``data_set``, ``source``, ``table``, ``kind``,
            ``method``, ``f1`` in 0..1 with ``f1_low`` and ``f1_high``, ``trivial``, ``protocol``.
        title: what the figure shows.

    Raises:
        SchemaError: if the frame lacks a column.
    """
    require.columns(best, INTERVAL, TABLE)
    shown = best.filter(pl.col("f1").is_not_null())
    figure = new_figure(title, "F1 (%)", height=240 + ROW * shown.height)
    figure.update_layout(**BELOW_LONG_TITLE)
    known = shown.drop_nulls("trivial")
    figure.add_scatter(
        x=compact(100 * known["trivial"]),
        y=_rows(known),
        name=TRIVIAL,
        mode="markers",
        marker={"symbol": "line-ns", "size": 12, "line": {"width": 2, "color": TRAIN}},
        hovertemplate="%{x:.1f} %",
    )
    for kind in _kinds(shown):
        _add_scores(figure, shown.filter(kind=kind), kind)
    return _named_rows(figure, shown).update_xaxes(range=[0, 102])


def leaderboard_costs(best: pl.DataFrame, *, title: str = "What does a better result cost?") -> go.Figure:
    """What lacks to F1 100 % against the CPU time of learning; rules, whose cost nobody measures, are left out.

    Args:
        best: as :class:`utils.leaderboard.Leaderboard` has it: ``data_set``, ``kind``, ``method``, ``f1`` in 0..1,
            ``seconds``, ``protocol``.
        title: what the figure shows.

    Raises:
        SchemaError: if the frame lacks a column.
    """
    require.columns(best, COSTS, TABLE)
    shown = best.filter(pl.col("seconds") > 0, pl.col("f1").is_not_null())
    figure = new_figure(
        title, "CPU time of learning (s, logarithmic)", "lacks to F1 100 % (%, logarithmic)", height=520
    )
    figure.update_layout(**BELOW_LONG_TITLE)
    for kind in _kinds(shown):
        part = shown.filter(kind=kind)
        figure.add_scatter(
            x=compact(part["seconds"]),
            y=compact((100 * (1 - part["f1"])).clip(LEAST_LOSS)),
            text=part["data_set"].to_list(),
            customdata=part["method"].to_list(),
            name=kind,
            mode="markers+text",
            textposition="top center",
            textfont_size=10,
            marker=_mark(kind, part),
            hovertemplate="%{text}, %{customdata}: %{y:.2g} % lack, %{x:.3g} s",
        )
    return figure.update_xaxes(type="log", dtick=1).update_yaxes(type="log", dtick=1, autorange="reversed")


def leaderboard_history(history: pl.DataFrame, *, title: str = "How did the results come about?") -> go.Figure:
    """The headline of every run over time, one panel a data set; simulated data and a fast budget have open marks.

    Args:
        history: as :class:`utils.leaderboard.Leaderboard` has it: ``data_set``, ``source``, ``budget``, ``kind``,
            ``started`` in milliseconds since 1970, ``metric``, ``value`` in 0..1.
        title: what the figure shows.

    Raises:
        SchemaError: if the frame lacks a column.
    """
    require.columns(history, HISTORY, TABLE)
    names = history["data_set"].unique(maintain_order=True).to_list()
    rows = max(1, -(-len(names) // ACROSS))
    figure = new_figure(title, height=210 + PANEL * rows).update_layout(**BELOW_LONG_TITLE)
    figure.set_subplots(rows, ACROSS, vertical_spacing=0.28 / rows, subplot_titles=names)
    told: set[str] = set()
    for place, name in enumerate(names):
        at = {"row": 1 + place // ACROSS, "col": 1 + place % ACROSS}
        own = history.filter(data_set=name)
        for (kind, source, budget), part in own.group_by("kind", "source", "budget", maintain_order=True):
            _add_history(figure, part, str(kind), (str(source), str(budget)), at, first=str(kind) not in told)
            told.add(str(kind))
        figure.update_yaxes(range=[_floor(own["value"]), 101], **at)
    figure.update_yaxes(title_text="value (%)", col=1).update_layout(legend_y=1 + 0.16 / rows)
    return figure.update_xaxes(type="date", nticks=3, tickformat="%b %d<br>%H:%M")


def _add_scores(figure: go.Figure, part: pl.DataFrame, kind: str) -> None:
    up, down = (part["f1_high"] - part["f1"]).clip(0), (part["f1"] - part["f1_low"]).clip(0)
    colour, _ = KINDS.get(kind, OTHER)
    bars = {"array": compact(100 * up), "arrayminus": compact(100 * down), "color": colour}
    figure.add_scatter(
        x=compact(100 * part["f1"]),
        y=_rows(part),
        customdata=part["method"].to_list(),
        name=kind,
        mode="markers",
        marker=_mark(kind, part),
        error_x={"type": "data", "thickness": 1.2, "width": 3, **bars},
        hovertemplate="%{customdata}: %{x:.1f} %",
    )


def _add_history(
    figure: go.Figure, part: pl.DataFrame, kind: str, made: tuple[str, str], at: dict[str, int], *, first: bool
) -> None:
    colour, symbol = KINDS.get(kind, OTHER)
    simulated, fast = made[0] == "simulated", made[1] == "fast"
    figure.add_scatter(
        x=pl.from_epoch(part["started"], "ms").to_list(),
        y=compact(100 * part["value"]),
        text=part["metric"].to_list(),
        name=kind,
        legendgroup=kind,
        showlegend=first,
        mode="lines+markers",
        line={"color": colour, "width": 1, "dash": "dot" if simulated else "solid"},
        marker={"color": colour, "symbol": f"{symbol}{'-open' * (simulated or fast)}", "size": 9},
        hovertemplate=f"{', '.join(made)}: %{{text}} %{{y:.1f}} %",
        **at,
    )


def _kinds(shown: pl.DataFrame) -> list[str]:
    """Kinds that occur, from what needs least to what needs most."""
    found = shown["kind"].unique(maintain_order=True).to_list()
    return [kind for kind in KINDS if kind in found] + [kind for kind in found if kind not in KINDS]


def _mark(kind: str, part: pl.DataFrame) -> dict[str, object]:
    """Filled on test rows, open on splits of training rows."""
    colour, symbol = KINDS.get(kind, OTHER)
    symbols = [f"{symbol}-open" if protocol == SPLITS else symbol for protocol in part["protocol"]]
    return {"color": colour, "symbol": symbols, "size": 10}


def _rows(part: pl.DataFrame) -> list[str]:
    """A key of each row: two tables of one data set may hold the same kind."""
    return part.select(pl.concat_str("data_set", "table", "kind", separator="/")).to_series().to_list()


def _named_rows(figure: go.Figure, shown: pl.DataFrame) -> go.Figure:
    """Name each row by its kind, the first of each table by data set and table too, and part tables by lines."""
    keys, texts = _rows(shown), shown["kind"].to_list()
    before = None
    for place, (name, table, source) in enumerate(shown.select("data_set", "table", "source").rows()):
        if (name, table) != before:
            simulated = ", simulated" * (source == "simulated")
            texts[place] = f"<b>{html.escape(name)}</b> {html.escape(table)}{simulated}   {texts[place]}"
            figure.add_hline(y=len(keys) - 0.5 - place, line={"color": "#C3CCD5", "width": 1})
        before = (name, table)
    return figure.update_yaxes(**rows_named(keys), tickmode="array", tickvals=keys, ticktext=texts, showgrid=False)


def _floor(values: pl.Series) -> float:
    """Where an axis of percentages begins that shows all of them."""
    lowest = values.min()
    return max(0.0, 100 * lowest - 8) if isinstance(lowest, float) else 0.0
