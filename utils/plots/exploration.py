"""Figures of notebook 01: what is in the data, by class, before anything is modelled.

Every figure carries aggregates (counts, bins, shares), never rows of the data.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from utils.datasets import profile
from utils.datasets.contract import Dataset
from utils.plots.style import DIVERGING, INK, SEQUENTIAL, SEVERITY, TRAIN, VERDICTS, new_figure

VERDICT_ORDER = ("normal", "anomaly", "unclassified")
SMALL_MULTIPLES = 3
TEXT_CLASSES = {
    "letters": r"[A-Za-z]",
    "digits": r"[0-9]",
    "spaces": r"\s",
    "quotes": r"['\"`]",
    "< > ( ) { }": r"[<>(){}\[\]]",
    ". / \\": r"[./\\]",
    "% & = ;": r"[%&=;]",
    "- # * |": r"[-#*|]",
    "not ASCII": r"[^\x00-\x7F]",
}


def balance(data: Mapping[str, Dataset]) -> go.Figure:
    """Share of normal, anomalous and unclassified rows in every frame that has labels."""
    counted = {
        f"{key}: {name}": profile.class_counts(frame, dataset.roles[name])
        for key, dataset in data.items()
        for name, frame in dataset.frames.items()
    }
    labelled = {place: counts for place, counts in counted.items() if counts["normal"] + counts["anomaly"]}
    places = [
        f"{place}  {counts['anomaly'] / (counts['normal'] + counts['anomaly']):.1%}"
        for place, counts in labelled.items()
    ]
    figure = new_figure("How rare are anomalies?", "share of rows (%)", height=140 + 30 * len(places), barmode="stack")
    for verdict in VERDICT_ORDER:
        rows = [counts[verdict] for counts in labelled.values()]
        if any(rows):
            figure.add_bar(
                y=places,
                x=[100 * counts[verdict] / sum(counts.values()) for counts in labelled.values()],
                name=verdict,
                orientation="h",
                marker_color=VERDICTS[verdict],
                customdata=rows,
                hovertemplate="%{y}<br>%{x:.2f} % (%{customdata:,} rows)",
            )
    figure.update_layout(legend_traceorder="normal")
    return figure.update_yaxes(autorange="reversed", showgrid=False).update_xaxes(range=[0, 100])


def composition(dataset: Dataset, frame: str, most: int = 25) -> go.Figure:
    """Share of the most frequent kinds of row; where a split is published, both parts side by side."""
    counts = profile.type_counts(dataset[frame], dataset.roles[frame])
    parts = counts["split"].unique().sort(descending=True).to_list()
    kinds = counts.group_by("type").agg(pl.col("share").max(), held_by=pl.col("split"))
    kinds = kinds.sort("share", "type").tail(most)
    only_test = len(parts) > 1
    labels = {
        kind: f"{kind} (test only)" if only_test and held_by == ["test"] else kind
        for kind, _, held_by in kinds.iter_rows()
    }
    figure = new_figure(
        f"{dataset.name}: kinds of {dataset.roles[frame].unit}",
        "share of its part (%), logarithmic",
        height=160 + 24 * len(labels) * (1.4 if only_test else 1),
        xaxis={"type": "log", "dtick": 1},
        showlegend=only_test,
    )
    for part in parts:
        _add_kinds(figure, counts.filter((pl.col("split") == part) & pl.col("type").is_in(list(labels))), part, labels)
    return figure.update_yaxes(categoryorder="array", categoryarray=list(labels.values()), showgrid=False)


def distributions(dataset: Dataset, frame: str, most: int = 6, bins: int = 30) -> go.Figure:
    """Histograms by class of the numeric features that alone separate the classes best."""
    data, roles = dataset[frame], dataset.roles[frame]
    names = profile.most_separating(data, roles, most)
    rows = max(math.ceil(len(names) / SMALL_MULTIPLES), 1)
    figure = _grid(f"{dataset.name}: features that differ most between the classes", names, rows)
    for place, name in enumerate(names):
        row, column = divmod(place, SMALL_MULTIPLES)
        counted, logarithmic = profile.histogram(data, roles, name, bins)
        if counted.height:
            _add_histogram(figure, counted, row + 1, column + 1, logarithmic=logarithmic, legend=place == 0)
    figure.update_yaxes(title_text="% of class", col=1)
    return figure


def correlation_map(dataset: Dataset, frame: str, rows: int, seed: int, most: int = 32) -> go.Figure:
    """Spearman rank correlations of the numeric features, alike ones side by side."""
    roles = dataset.roles[frame]
    names = profile.numeric(dataset[frame], roles.features)[:most]
    square = profile.correlations(dataset[frame], names, rows, seed)
    labels = square["column"].to_list()
    if not labels:
        figure = new_figure(f"{dataset.name}: fewer than two numeric features of {frame} vary, so none correlate")
        return figure.update_layout(height=90).update_xaxes(visible=False).update_yaxes(visible=False)
    size = max(420, 150 + 15 * len(labels))
    figure = new_figure(f"{dataset.name}: which features say the same?", height=size, width=size + 110)
    figure.add_heatmap(
        z=_compact(square.drop("column").to_numpy()),
        x=labels,
        y=labels,
        zmin=-1,
        zmax=1,
        colorscale=DIVERGING,
        colorbar={"title": "Spearman", "thickness": 12},
        hovertemplate="%{x}<br>%{y}<br>%{z:.2f}<extra></extra>",
    )
    figure.update_xaxes(tickangle=-60, tickfont_size=10, showgrid=False)
    return figure.update_yaxes(autorange="reversed", tickfont_size=10, showgrid=False)


def timeline(dataset: Dataset, frame: str) -> go.Figure:
    """Rows of each class over time: are anomalies spread out, or one burst that a clock would find?"""
    counted = profile.timeline(dataset[frame], dataset.roles[frame])
    every = str(counted["every"].first()) if counted.height else "1d"
    figure = new_figure(
        f"{dataset.name}: when did it happen?",
        "time",
        f"rows per {every} (logarithmic)",
        yaxis={"type": "log", "dtick": 1},
    )
    for verdict in VERDICT_ORDER:
        part = counted.filter(pl.col("class") == verdict)
        if part.height:
            figure.add_scatter(
                x=part["time"].to_list(),
                y=_compact(part["rows"]),
                name=verdict,
                mode="markers",
                marker={"color": VERDICTS[verdict], "size": 4, "symbol": "x" if verdict == "anomaly" else "square"},
            )
    return figure


def session_profile(dataset: Dataset, events: pl.DataFrame, unit: str) -> go.Figure:
    """Length of sessions and share of sessions that hold each event, by class.

    Args:
        dataset: names the figure.
        events: one row a session (or a distinct one with ``count``): ``events`` list, ``class``, ``count``.
        unit: what a session is called.
    """
    figure = make_subplots(
        1,
        2,
        column_widths=[0.45, 0.55],
        horizontal_spacing=0.12,
        subplot_titles=(f"events in a {unit}", f"{unit}s that hold the event"),
    )
    shown = _events(events)
    for verdict in VERDICT_ORDER:
        part = events.filter(pl.col("class") == verdict)
        if part.height:
            _add_sessions(figure, part, verdict, shown)
    figure.update_xaxes(type="log", dtick=1, row=1, col=1).update_yaxes(title_text="% of class", row=1, col=1)
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=shown, row=1, col=2)
    figure.update_yaxes(type="log", dtick=1, row=1, col=2)
    return _dressed(figure, f"{dataset.name}: sessions by class")


def text_profile(dataset: Dataset, frame: str, column: str) -> go.Figure:
    """Mean share of character classes in a text column, by anomaly type: attacks write another alphabet."""
    roles = dataset.roles[frame]
    texts = dataset[frame].filter(pl.col(column).is_not_null())
    texts = texts.with_columns(pl.col(roles.anomaly_type) if roles.anomaly_type else profile.class_of(texts, roles))
    by = roles.anomaly_type or "class"
    length = pl.col(column).str.len_chars().clip(1)
    shares = [
        (pl.col(column).str.count_matches(pattern) / length).mean().alias(name)
        for name, pattern in TEXT_CLASSES.items()
    ]
    table = texts.group_by(by).agg(*shares, rows=pl.len()).sort("rows", descending=True)
    labels = [f"{name} ({rows:,})" for name, rows in table.select(by, "rows").iter_rows()]
    figure = new_figure(f"{dataset.name}: what characters is {column} made of?", height=160 + 26 * len(labels))
    figure.add_heatmap(
        z=(100 * table.select(*TEXT_CLASSES).to_numpy()).round(2),
        x=list(TEXT_CLASSES),
        y=labels,
        zmin=0,
        zmax=40,
        colorscale=SEQUENTIAL,
        colorbar={"title": "% of<br>characters", "thickness": 12},
        texttemplate="%{z:.1f}",
        hovertemplate="%{y}<br>%{x}: %{z:.1f} %<extra></extra>",
    )
    return figure.update_yaxes(autorange="reversed", showgrid=False)


def audit_map(findings: pl.DataFrame) -> go.Figure:
    """Which check found what in which data set; a number counts the findings of the worst severity there.

    Args:
        findings: ``data set``, ``code``, ``severity``, one row a finding.
    """
    ranks = {"low": 1, "medium": 2, "high": 3}
    ranked = findings.with_columns(rank=pl.col("severity").replace_strict(ranks, return_dtype=pl.Int8))
    worst = ranked.group_by("data set", "code").agg(pl.col("rank").max(), rows=pl.len()).sort("code", "data set")
    codes, sets = worst["code"].unique().sort().to_list(), worst["data set"].unique().sort().to_list()
    cell = {
        (name, code): (rank, rows)
        for name, code, rank, rows in worst.select("data set", "code", "rank", "rows").iter_rows()
    }
    figure = new_figure("What the audit found", "check", height=180 + 34 * len(sets))
    figure.add_heatmap(
        z=[[cell.get((name, code), (0, 0))[0] for code in codes] for name in sets],
        x=codes,
        y=sets,
        zmin=0,
        zmax=3,
        text=[[cell[name, code][1] if (name, code) in cell else "" for code in codes] for name in sets],
        texttemplate="%{text}",
        colorscale=_stepped(["#F4F7FA", SEVERITY["low"], SEVERITY["medium"], SEVERITY["high"]]),
        xgap=3,
        ygap=3,
        colorbar={
            "tickvals": [0.375, 1.125, 1.875, 2.625],
            "ticktext": ["none", "low", "medium", "high"],
            "thickness": 12,
        },
        hovertemplate="%{y}, %{x}: %{text} finding(s)<extra></extra>",
    )
    return figure.update_xaxes(showgrid=False, type="category").update_yaxes(showgrid=False)


def _compact(values: pl.Series | np.ndarray | Sequence[float]) -> np.ndarray:
    """Numbers in the form that plotly writes in the fewest characters."""
    return np.asarray(values, dtype=np.float32)


def _add_kinds(figure: go.Figure, counts: pl.DataFrame, part: str, labels: Mapping[str, str]) -> None:
    figure.add_bar(
        y=[labels[kind] for kind in counts["type"]],
        x=_compact(100 * counts["share"]),
        name=part,
        orientation="h",
        marker_color=INK if part == "test" else TRAIN,
        customdata=_compact(counts["rows"]),
        hovertemplate="%{y}<br>%{x:.3g} % (%{customdata:,} rows)",
    )


def _stepped(colours: Sequence[str]) -> list[list[object]]:
    step = 1 / len(colours)
    return [[edge, colour] for place, colour in enumerate(colours) for edge in (place * step, (place + 1) * step)]


def _grid(title: str, names: Sequence[str], rows: int) -> go.Figure:
    titles = [name if len(name) <= 32 else f"{name[:30]}…" for name in names]
    figure = make_subplots(
        rows, SMALL_MULTIPLES, subplot_titles=titles, horizontal_spacing=0.08, vertical_spacing=0.32 / rows
    )
    return _dressed(figure, title).update_layout(height=120 + 210 * rows, barmode="overlay")


def _dressed(figure: go.Figure, title: str) -> go.Figure:
    plain = new_figure(title)
    figure.update_layout(template=plain.layout.template, title=plain.layout.title, margin_t=96, legend_y=1.06)
    return figure.update_annotations(font_size=12)


def _add_histogram(
    figure: go.Figure, counted: pl.DataFrame, row: int, column: int, *, logarithmic: bool, legend: bool
) -> None:
    for verdict in VERDICT_ORDER:
        part = counted.filter(pl.col("class") == verdict)
        if part.height:
            edges, shares = _steps(part, logarithmic=logarithmic)
            figure.add_scatter(
                x=_compact(edges),
                y=_compact(shares),
                name=verdict,
                legendgroup=verdict,
                showlegend=legend,
                mode="lines",
                line={"shape": "hv", "color": VERDICTS[verdict], "width": 1.8},
                fill="tozeroy",
                row=row,
                col=column,
            )
            figure.update_xaxes(**_axis(edges, logarithmic=logarithmic), row=row, col=column)


def _events(events: pl.DataFrame, most: int = 40) -> list[str]:
    """The events that most sessions hold, in natural order (E2 before E10)."""
    held = events.select(event=pl.col("events").list.unique(), count="count").explode("event")
    frequent = held.group_by("event").agg(pl.col("count").sum()).sort("count", "event", descending=True).head(most)
    return sorted(map(str, frequent["event"]), key=lambda name: (len(name), name))


def _steps(part: pl.DataFrame, *, logarithmic: bool) -> tuple[list[float], list[float]]:
    """Corners of a histogram's outline: bin edges and per cent, neighbours of equal height drawn as one.

    A first edge of zero, which a logarithmic axis cannot show, moves to half of the second.
    """
    edges = [*part["left"].to_list(), part["right"][-1]]
    if logarithmic and edges[0] == 0:
        edges[0] = edges[1] / 2
    shares = [*(100 * part["share"]).round(3).to_list(), 0.0]
    last = len(edges) - 1
    kept = [place for place in range(len(edges)) if place in (0, last) or shares[place] != shares[place - 1]]
    return [float(f"{edges[place]:.5g}") for place in kept], [shares[place] for place in kept]


def _axis(edges: Sequence[float], *, logarithmic: bool) -> dict[str, object]:
    """The axis under a histogram, as wide as its bins."""
    if not logarithmic:
        return {"type": "linear", "range": [edges[0], edges[-1]]}
    low, high = math.log10(edges[0]), math.log10(edges[-1])
    return {"type": "log", "range": [low, high], "dtick": max(1, round((high - low) / 4))}


def _add_sessions(figure: go.Figure, part: pl.DataFrame, verdict: str, shown: Sequence[str]) -> None:
    total = part["count"].sum()
    lengths = (
        part.group_by(length=pl.col("events").list.len()).agg(share=100 * pl.col("count").sum() / total).sort("length")
    )
    held = part.select(event=pl.col("events").list.unique(), count="count").explode("event")
    frequency = held.group_by("event").agg(share=100 * pl.col("count").sum() / total).sort("event")
    frequency = frequency.filter(pl.col("event").cast(pl.String).is_in(shown))
    colour = VERDICTS[verdict]
    figure.add_scatter(
        x=_compact(lengths["length"]),
        y=_compact(lengths["share"]),
        name=verdict,
        legendgroup=verdict,
        mode="lines+markers",
        marker_size=4,
        line_color=colour,
        row=1,
        col=1,
    )
    figure.add_bar(
        x=[str(event) for event in frequency["event"]],
        y=_compact(frequency["share"]),
        name=verdict,
        legendgroup=verdict,
        showlegend=False,
        marker_color=colour,
        row=1,
        col=2,
    )


def graph_profile(dataset: Dataset, sizes: pl.DataFrame, popularity: pl.DataFrame) -> go.Figure:
    """Size of the call graphs by class, and how many graphs share each endpoint: a few hubs serve everybody.

    Args:
        dataset: names the figure.
        sizes: one row a graph: ``class``, ``edges``.
        popularity: one row an endpoint, most popular first: ``rank``, ``share`` of the graphs that hold it.
    """
    figure = make_subplots(
        1, 2, horizontal_spacing=0.12, subplot_titles=("edges in a call graph", "endpoints, most shared first")
    )
    for verdict in VERDICT_ORDER:
        edges = sizes.filter(pl.col("class") == verdict)["edges"].sort()
        if edges.len():
            places = (edges.rank("max") / edges.len() * 100).round(2)
            curve = pl.DataFrame({"edges": edges, "share": places}).unique("edges", maintain_order=True)
            figure.add_scatter(
                x=_compact(curve["edges"]),
                y=_compact(curve["share"]),
                name=verdict,
                mode="lines",
                line={"shape": "hv", "color": VERDICTS[verdict], "width": 2.5},
                row=1,
                col=1,
            )
    figure.add_scatter(
        x=_compact(popularity["rank"]),
        y=_compact(100 * popularity["share"]),
        mode="lines",
        line_color=INK,
        showlegend=False,
        row=1,
        col=2,
    )
    figure.update_xaxes(type="log", dtick=1).update_yaxes(title_text="% of class with at most so many", row=1, col=1)
    figure.update_yaxes(type="log", dtick=1, title_text="% of graphs that hold it", row=1, col=2)
    return _dressed(figure, f"{dataset.name}: call graphs by class")


def host_matrix(dataset: Dataset, volume: pl.DataFrame) -> go.Figure:
    """Traffic between every pair of hosts.

    Args:
        dataset: names the figure.
        volume: ``src``, ``dst``, ``bytes`` summed over time.
    """
    wide = volume.sort("src", "dst").pivot("dst", index="src", values="bytes").sort("src")
    targets = sorted(name for name in wide.columns if name != "src")
    exponent = wide.select(pl.col(targets).cast(pl.Float64).log1p() / math.log(10)).to_numpy().round(2)
    size = max(420, 160 + 18 * wide.height)
    figure = new_figure(f"{dataset.name}: who talks to whom?", "to", "from", height=size, width=size + 140)
    figure.add_heatmap(
        z=_compact(exponent),
        x=targets,
        y=wide["src"].to_list(),
        colorscale=SEQUENTIAL,
        colorbar={"title": "bytes, log10", "thickness": 12},
        hovertemplate="%{y} to %{x}: 10^%{z:.1f} bytes<extra></extra>",
    )
    return figure.update_yaxes(autorange="reversed", tickfont_size=10).update_xaxes(tickangle=-60, tickfont_size=10)
