"""Figures of one log session: what came, what was expected, and how the nearest normal session differs.

What differs by colour differs by place, symbol or words too, so that figures can be read in greyscale. A figure shows
at most some forty steps, those around the one that stands out, and says what it leaves out.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
import polars as pl

from utils.plots.marks import compact, rows_named, short
from utils.plots.style import ANOMALY, INK, NORMAL, TRAIN, new_figure

if TYPE_CHECKING:
    from utils.explain.sessions import SessionExplanation

MOST_COLUMNS = 36
"""Steps side by side, so that each has room for its name."""

FEW_COLUMNS = 26
NAME_LENGTH = 4
"""Longest name of an event that fits into a column; where one is longer, letters stand for all of them."""

KEY_LINES, KEY_LENGTH = 12, 52
LETTERS = "abcdefghijklmnopqrstuvwxyz"
SAME, ONLY_HERE, ONLY_THERE = "#E8EDF2", "#E0A5AE", NORMAL
CELLS = {"same": 0.0, "only here": 1.0, "only there": 2.0}
LEAST_PROBABILITY = 1e-12
ROW, LINE = 34, 17
PANEL, STRIP, AROUND = 230, 74, 140
"""Heights in pixels: the bars, the two rows of events, title and axis."""

LETTER, GAP, AXIS = 8, 12, 760
"""Widths in pixels: a digit on the axis, the space between two labels, the axis."""

LONGEST_WORDS = 48
MOST_EVENTS, FEW_TIMES = 14, 12
SUBTITLE = "A bar is as high as its step was improbable; above it, what was expected most where something else came"
ENDS = {"end": "end", "end of session": "end"}


def session_picture(explanation: "SessionExplanation", *, title: str = "") -> go.Figure:
    """A session as a strip: how surprising each step was, what came, and the nearest normal session beneath.

    Bars are as high as a step was improbable (logarithmic). The name above a bar is what was expected most where
    something else came. Events that only one of the two sessions has at a place are shaded.

    Args:
        explanation: as :class:`utils.explain.SessionExplainer` gives it.
        title: what the figure shows.
    """
    name = explanation.name[:1].upper() + explanation.name[1:]
    figure = new_figure(title or f"{short([name])[0]}: what was unusual in this session?")
    columns = _columns(explanation)
    if columns.is_empty():
        return nothing_to_show(figure, "the session has no events")
    shown = _around(columns)
    labels = _labels(shown)
    surprising = shown["surprise"].drop_nulls().len() > 0
    key = _key(shown, labels, explanation)
    _arrange(figure, shown, key, _left_out(columns, shown), surprising=surprising)
    _add_strip(figure, shown, labels)
    if surprising:
        _add_surprise(figure, shown, labels)
    _add_mark(figure, shown, surprising=surprising)
    return figure


def counts_difference(
    explanation: "SessionExplanation",
    *,
    most: int = MOST_EVENTS,
    title: str = "In which counts does the session differ?",
) -> go.Figure:
    """Counts of the events in a session and in the nearest normal one, the largest difference on top.

    Args:
        explanation: as :class:`utils.explain.SessionExplainer` gives it.
        most: most events; those that differ come first.
        title: what the figure shows.
    """
    shown = explanation.counts.head(most)
    named = short([_named(name, text) for name, text in shown.select("event", "text").iter_rows()], 52)
    names = list(map(_plain, named))
    figure = new_figure(title, "times in the session", height=150 + ROW * max(len(names), 3))
    if shown.is_empty():
        return nothing_to_show(figure, "neither session has events")
    sessions = explanation.nearest["sessions"]
    normal = f"nearest normal ({sessions[0]:,.0f} in training)" if len(sessions) else "nearest normal"
    for column, name, colour in (("nearest", normal, NORMAL), ("here", explanation.name, ANOMALY)):
        figure.add_bar(
            x=compact(shown[column]),
            y=names,
            name=short([name])[0],
            orientation="h",
            marker_color=colour,
            text=[f"{count:,}" for count in shown[column]],
            textposition="outside",
            textfont_color=INK,
            cliponaxis=False,
            hovertemplate="%{y}: %{x:,}",
        )
    left = explanation.counts.height - shown.height
    if left > 0:
        figure.update_xaxes(title_text=f"times in the session ({left:,} events with smaller differences left out)")
    figure.update_layout(margin_t=88, legend_traceorder="reversed", barmode="group")
    few = shown.select(pl.max_horizontal("here", "nearest").max() < FEW_TIMES).item()
    figure.update_xaxes(rangemode="tozero", dtick=1 if few else None)
    return figure.update_yaxes(**rows_named(names), showgrid=False)


def _named(name: str, text: str | None) -> str:
    """Identifier and template of an event, or what there is of it."""
    if text is None:
        return name
    return f"{name}  {_tidy(text)}" if len(name) <= NAME_LENGTH else _tidy(text)


def _tidy(text: str) -> str:
    return " ".join(text.replace("<*>", " * ").split()).removeprefix("* ")


def _plain(text: str) -> str:
    """Text of a log that plotly shall not take for markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;")


def nothing_to_show(figure: go.Figure, words: str) -> go.Figure:
    """Say in a figure why it is empty."""
    figure.add_annotation(text=words, showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper")
    figure.update_xaxes(showticklabels=False, showgrid=False)
    return figure.update_yaxes(showticklabels=False, showgrid=False)


def _columns(explanation: "SessionExplanation") -> pl.DataFrame:
    """One row a place of the strip: what stands there in both sessions, and what is said about the step."""
    steps = explanation.steps
    pairs = explanation.aligned
    if pairs.is_empty():
        pairs = steps.head(explanation.n_events).select(
            "step", pl.col("event").alias("here"), pl.lit(None, pl.String).alias("usual"), pl.lit(True).alias("same")
        )
    if steps.height > explanation.n_events:
        ending = pl.DataFrame({"step": steps["step"].tail(1), "here": ["end"], "usual": ["end"], "same": [True]})
        pairs = pl.concat([pairs, ending])
    told = steps.select("step", "text", "expected", "likeliest", "likeliest_probability", "probability", "rank",
                        "surprise", "known", "mark")  # fmt: skip
    return pairs.join(told, on="step", how="left", maintain_order="left")


def _around(columns: pl.DataFrame) -> pl.DataFrame:
    """The columns around the one that stands out."""
    marked = columns["mark"].is_not_null().arg_true()
    middle = int(marked[0]) if len(marked) else 0
    first = max(0, min(middle - MOST_COLUMNS // 2, columns.height - MOST_COLUMNS))
    shown = columns[first : first + MOST_COLUMNS]
    # Where nothing stands beside the steps, nothing can be said to differ.
    return shown if shown["usual"].drop_nulls().len() else shown.with_columns(same=pl.lit(True))


def _left_out(columns: pl.DataFrame, shown: pl.DataFrame) -> str:
    first, last = (shown["step"].drop_nulls().min() or 1), (shown["step"].drop_nulls().max() or 0)
    steps = columns["step"].drop_nulls()
    parts = [
        f"{number:,} step{'s' if number > 1 else ''} {where}"
        for number, where in (((steps < first).sum(), "before"), ((steps > last).sum(), "after"))
        if number
    ]
    return f" ({' and '.join(parts)} left out)" if parts else ""


def _labels(shown: pl.DataFrame) -> dict[str, str]:
    """What stands in a cell for each event: its name, or a letter where names are long."""
    expected = shown.filter(pl.col("rank") > 1)["likeliest"]
    found = pl.concat([shown["here"], shown["usual"], expected]).drop_nulls().unique(maintain_order=True)
    names = [name for name in found if name not in ENDS]
    if all(len(name) <= NAME_LENGTH for name in names):
        return {name: name for name in names} | ENDS
    letters = [LETTERS[place] if place < len(LETTERS) else str(place + 1) for place in range(len(names))]
    return dict(zip(names, letters, strict=True)) | ENDS


def _key(shown: pl.DataFrame, labels: dict[str, str], explanation: "SessionExplanation") -> list[str]:
    """What the labels mean, those of events that differ or stand out first."""
    texts = dict(explanation.counts.select("event", "text").iter_rows())
    telling = shown.filter(~pl.col("same") | pl.col("mark").is_not_null())
    first = [*telling["here"].drop_nulls(), *telling["usual"].drop_nulls()]
    lines = []
    for name in dict.fromkeys([*first, *labels]):
        said = texts.get(name) or (name if labels[name] != name else "")
        if said and name not in ENDS:
            lines.append(f"<b>{labels[name]}</b> {_plain(short([_tidy(said)], KEY_LENGTH)[0])}")
    more = len(lines) - KEY_LINES
    return lines if more <= 0 else [*lines[: KEY_LINES - 1], f"and {more + 1} other events"]


def _arrange(figure: go.Figure, shown: pl.DataFrame, key: list[str], left_out: str, *, surprising: bool) -> None:
    """Set heights and axes: bars above, the strip below, the key beneath the axis."""
    panel = PANEL if surprising else 40
    below = 68 + LINE * math.ceil(len(key) / 2)
    plot = panel + STRIP
    figure.update_layout(
        height=plot + (84 if surprising else 64) + below,
        margin={"t": 84 if surprising else 64, "b": below, "l": 110},
        showlegend=False,
        bargap=0.3,
    )
    steps = shown.with_row_index("column").drop_nulls("step")
    widest = max((len(f"{step:,}") for step in steps["step"]), default=1)
    every = max(1, math.ceil(steps.height * (LETTER * widest + GAP) / AXIS))
    ticks = steps.filter((pl.col("step") - 1) % every == 0)
    figure.update_xaxes(
        title_text=f"step{left_out}",
        tickmode="array",
        tickvals=ticks["column"].to_list(),
        ticktext=[f"{step:,}" for step in ticks["step"]],
        range=[-0.6, max(shown.height, 8) - 0.4],
        showgrid=False,
        anchor="y2",
        tickangle=0,
        title_standoff=6,
        title_font_size=13,
    )
    figure.update_layout(
        yaxis={"domain": [STRIP / plot + 0.02, 1.0], "visible": surprising},
        yaxis2={"domain": [0.0, STRIP / plot - 0.02], "showgrid": False, "automargin": True, "anchor": "x"},
    )
    for column, lines in enumerate((key[: math.ceil(len(key) / 2)], key[math.ceil(len(key) / 2) :])):
        if lines:
            figure.add_annotation(
                text="<br>".join(lines), x=(0.0, 0.52)[column], y=-56 / plot, xref="paper", yref="paper",
                xanchor="left", yanchor="top", align="left", showarrow=False, font_size=11,
            )  # fmt: skip


def _add_strip(figure: go.Figure, shown: pl.DataFrame, labels: dict[str, str]) -> None:
    """Both sessions as rows of cells."""
    rows = [("this session", "here", "only here")]
    if shown["usual"].drop_nulls().len():
        rows.append(("nearest normal", "usual", "only there"))
    cells, texts = [], []
    for _, column, differs in rows:
        same = pl.col("same") & pl.col("known").fill_null(value=True)
        kind = pl.when(pl.col(column).is_null()).then(None).when(same).then(CELLS["same"]).otherwise(CELLS[differs])
        cells.append(compact(shown.select(kind.cast(pl.Float64)).to_series()))
        texts.append([_plain(labels.get(name, "")) if name else "" for name in shown[column]])
    figure.add_heatmap(
        z=np.vstack(cells),
        x=np.arange(shown.height),
        y=[name for name, *_ in rows],
        text=texts,
        texttemplate="%{text}",
        textfont={"size": 11 if shown.height <= FEW_COLUMNS else 9, "color": INK},
        zmin=-0.5,
        zmax=2.5,
        colorscale=_stepped((SAME, ONLY_HERE, ONLY_THERE)),
        showscale=False,
        xgap=2,
        ygap=4,
        yaxis="y2",
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    figure.update_layout(yaxis2={"autorange": "reversed", "type": "category"})


def _add_surprise(figure: go.Figure, shown: pl.DataFrame, labels: dict[str, str]) -> None:
    """Bars of the steps, and what was expected where something else came."""
    told = shown.with_row_index("column").drop_nulls("surprise")
    heights = np.minimum(compact(told["surprise"]), -math.log(LEAST_PROBABILITY))
    marked = told["mark"].is_not_null().to_numpy()
    figure.add_bar(
        x=told["column"].to_numpy(),
        y=heights,
        marker_color=np.where(marked, ANOMALY, TRAIN),
        customdata=told.select("here", pl.col("expected").fill_null(""), pl.col("text").fill_null("")).rows(),
        hovertemplate="%{customdata[0]} %{customdata[2]}<br>expected: %{customdata[1]}<extra></extra>",
    )
    other = told.with_columns(pl.Series("height", heights)).filter(
        (pl.col("rank") > 1) & pl.col("likeliest").is_not_null()
    )
    if other.height:
        figure.add_scatter(
            x=other["column"].to_numpy(),
            y=compact(other["height"]),
            text=[labels[name] for name in other["likeliest"]],
            mode="text",
            textposition="top center",
            textfont={"size": 10 if shown.height <= FEW_COLUMNS else 9, "color": "#5B6873"},
            hoverinfo="skip",
            cliponaxis=False,
        )
    highest = max(float(np.nanmax(heights, initial=0.0)), 1.5)
    powers = range(0, int(highest / math.log(10)) + 2)
    figure.update_layout(
        yaxis={
            "title": {"text": "probability of what came", "font": {"size": 13}, "standoff": 16},
            "tickvals": [math.log(10) * power for power in powers],
            "ticktext": [_share(power) for power in powers],
            "range": [0, 1.34 * highest],
        },
        title_subtitle={"text": SUBTITLE, "font": {"size": 12, "color": TRAIN}},
    )


def _add_mark(figure: go.Figure, shown: pl.DataFrame, *, surprising: bool) -> None:
    """Say in words what stands out."""
    marked = shown.with_row_index("column").filter(pl.col("mark").is_not_null())
    if marked.is_empty():
        return
    step = marked.row(0, named=True)
    left = step["column"] > shown.height / 2
    name = "the session ends" if step["here"] == "end" else _plain(short([step["here"]], 30)[0])
    never = " (never in training)" if step["known"] is False else ""
    words = f"<b>step {step['step']:,}: {name}</b>{never}"
    if step["expected"]:
        words += f"<br>{_plain(short(['expected ' + step['expected']], LONGEST_WORDS)[0])}"
    figure.add_annotation(
        text=words,
        x=step["column"],
        y=1.0 if surprising else 1.1,
        yref="y domain" if surprising else "y2 domain",
        xref="x",
        xanchor="right" if left else "left",
        yanchor="top" if surprising else "bottom",
        xshift=-12 if left else 12,
        align="right" if left else "left",
        showarrow=False,
        font={"size": 12, "color": ANOMALY},
        bgcolor="rgba(255,255,255,0.85)",
    )


def _share(power: int) -> str:
    return f"{100 / 10**power:g} %" if power <= 4 else f"10<sup>-{power}</sup>"


def _stepped(colours: Sequence[str]) -> list[list[object]]:
    """Colour scale of equal steps."""
    width = 1 / len(colours)
    return [[edge, colour] for place, colour in enumerate(colours) for edge in (place * width, (place + 1) * width)]
