"""Figures of notebook 10: graphs of hosts, clouds of edges, and when which kind of anomaly was seen.

Every figure is made of sums or means by host, edge or window. What differs by colour differs by dash, symbol, width or
place too, so that figures can be read in greyscale.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from utils.datasets import require
from utils.evaluation.inputs import Floats, Values, finite_scores
from utils.plots.marks import compact, marks_of, rows_named, short
from utils.plots.sessions import nothing_to_show
from utils.plots.style import ANOMALY, GRID, HEIGHT, INK, NORMAL, SEQUENTIAL, WIDTH, new_figure

TABLE = "the table of the figure"
SRC, DST, WINDOW, TIME = "src", "dst", "window", "time"
VOLUMES = ("bytes", "packets", "flows")
NORMAL_KIND = "normal"

PANEL = 500
REACH = 1.75
LABEL_SIZE = 10
LABEL_FROM = 1.15
CHARACTER = 5.6
"""Pixels of a character of a label."""

MOST_LABELS = 40
LABEL_GAP = 0.11
"""Least distance of two names on the circle of radius 1."""

MOST_ARROWS = 40
MOST_EDGES = 70
NODE_SIZES = (6.0, 26.0)
WIDTHS = (0.6, 1.4, 2.6, 4.4)
GREYS = ("#D3D9DF", "#B3BCC5", "#8796A5", "#5D6B78")
SHORT_LABEL = 16
BINS = 50
MOST_POINTS = 150
"""Most points of a line over time; windows are joined where there are more."""


def host_layout(hosts: Sequence[str], groups: Mapping[str, int] | None = None) -> dict[str, tuple[float, float]]:
    """Places of hosts on a circle, those of one group side by side; the same for every window.

    Args:
        hosts: names; their order counts inside a group.
        groups: community of each host, by name; hosts without one stand last.

    Returns:
        Horizontal and vertical place of each host, on a circle of radius 1 from the top on, clockwise.
    """
    known = groups or {}
    ordered = sorted(dict.fromkeys(hosts), key=lambda host: (known.get(host, len(known) + 1), host))
    turns = 2 * np.pi * (np.arange(len(ordered)) + 0.5) / max(len(ordered), 1)
    return {host: (float(np.sin(turn)), float(np.cos(turn))) for host, turn in zip(ordered, turns, strict=True)}


def host_graph(
    panels: Mapping[str, pl.DataFrame],
    layout: Mapping[str, tuple[float, float]],
    *,
    most: int = MOST_EDGES,
    title: str = "Who talks to whom, and how much?",
) -> go.Figure:
    """Graphs of hosts side by side: a line an edge, as wide as its bytes, and a circle a host, as large as its traffic.

    Args:
        panels: title of each panel and its edges: ``src``, ``dst``, ``bytes``, and optionally ``flagged`` (true for an
            edge that is drawn as an anomaly). Rows of one edge are added up.
        layout: place of each host (see :func:`host_layout`); the same in all panels.
        most: most edges of a panel that are drawn beside the flagged ones, those with the most bytes first.
        title: what the figure shows.

    Raises:
        SchemaError: if a panel lacks a column.
    """
    figure = make_subplots(1, max(len(panels), 1), subplot_titles=list(panels), horizontal_spacing=0.01)
    figure.update_layout(new_figure(title, width=max(WIDTH, PANEL * len(panels)), height=PANEL + 100).layout)
    drawn = {name: _edges(rows) for name, rows in panels.items()}
    everything = pl.concat([rows.select("bytes") for rows in drawn.values()]) if drawn else pl.DataFrame()
    if not everything.height or not layout:
        return nothing_to_show(figure, "no edge to show")
    limits = np.quantile(np.log1p(everything["bytes"].to_numpy()), [0.5, 0.8, 0.95])
    loads = {name: _loads(rows) for name, rows in drawn.items()}
    largest = max(max(load.values(), default=1.0) for load in loads.values())
    labelled = _labelled(drawn.values(), loads.values(), layout)
    for column, (name, rows) in enumerate(drawn.items(), start=1):
        _draw_edges(figure, rows.filter(~pl.col("flagged")).head(most), layout, limits, column)
        _draw_flagged(figure, rows.filter("flagged"), layout, column)
        _draw_hosts(figure, loads[name], layout, largest, labelled, column)
    figure.update_xaxes(visible=False, range=[-REACH, REACH])
    figure.update_yaxes(visible=False, range=[-REACH, REACH])
    legend = {"x": 0.5, "xanchor": "center", "y": -0.02, "yanchor": "top", "itemsizing": "trace"}
    return figure.update_layout(margin={"l": 8, "r": 8, "t": 84, "b": 44}, legend=legend)


def edge_cloud(
    edges: pl.DataFrame, *, most: int = 1_500, title: str = "Where do odd edges lie among the others?"
) -> go.Figure:
    """Bytes, packets and flows of edges in three dimensions, on logarithmic axes, by kind.

    Args:
        edges: one row a point: ``bytes``, ``packets``, ``flows`` (means of an edge, say), ``kind`` (``"normal"`` for
            normal ones).
        most: most points of a kind, at equal distances in the table.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(edges, (*VOLUMES, "kind"), TABLE)
    figure = new_figure(title, width=620, height=500, margin_t=56)
    kinds = [NORMAL_KIND, *sorted(set(edges["kind"].to_list()) - {NORMAL_KIND})]
    marks = marks_of(kinds)
    for kind in kinds:
        part = edges.filter(pl.col("kind") == kind)
        part = part.gather_every(max(1, -(-part.height // most)))
        x, y, z = (compact((part[name].cast(pl.Float64) + 1).log10()) for name in VOLUMES)
        usual = kind == NORMAL_KIND
        figure.add_scatter3d(
            x=x,
            y=y,
            z=z,
            name=kind.replace("_", " "),
            mode="markers",
            marker={
                "size": 2 if usual else 3.2,
                "color": "#B9C4CE" if usual else marks[kind].colour,
                "symbol": marks[kind].symbol_3d,
                "opacity": 0.55 if usual else 0.95,
            },
            hovertemplate=f"{kind}: 10^%{{x:.1f}} bytes, 10^%{{y:.1f}} packets, 10^%{{z:.1f}} flows<extra></extra>",
        )
    powers = {"tickmode": "array", "tickvals": list(range(13)), "ticktext": [_power(n) for n in range(13)]}
    axes = {
        axis: powers
        | {"title": name, "gridcolor": GRID, "backgroundcolor": "white", "tickfont_size": 9, "title_font_size": 11}
        for axis, name in zip(("xaxis", "yaxis", "zaxis"), VOLUMES, strict=True)
    }
    camera = {"eye": {"x": 1.35, "y": -1.5, "z": 0.55}, "center": {"z": -0.1}}
    figure.update_layout(scene=axes | {"camera": camera, "aspectmode": "cube"}, margin={"l": 0, "r": 0, "b": 0})
    return figure.update_layout(
        legend={"orientation": "v", "x": 1.0, "xanchor": "right", "y": 0.95, "yanchor": "top", "font_size": 10}
    )


def volume_histograms(
    counts: Mapping[str, pl.DataFrame], *, title: str = "Do volumes tell odd edges from usual ones?"
) -> go.Figure:
    """Histograms of volumes of edges in windows, normal and anomalous ones laid over each other.

    Args:
        counts: for each volume a table of bins: ``low`` and ``high`` (edges of the bin), ``normal`` and ``anomaly``
            (rows in it), as :func:`binned` makes it.
        title: what the figure shows.
    """
    figure = make_subplots(1, max(len(counts), 1), subplot_titles=list(counts), horizontal_spacing=0.06)
    figure.update_layout(new_figure(title, height=HEIGHT - 40, margin_t=104).layout)
    for column, table in enumerate(counts.values(), start=1):
        middle = compact((table["low"] * table["high"]).sqrt())
        for name, colour, dash, fill in (("normal", NORMAL, "solid", "tozeroy"), ("anomaly", ANOMALY, "dot", None)):
            share = table[name] / max(table[name].sum(), 1) * 100
            figure.add_scatter(
                x=middle,
                y=compact(share),
                name=name,
                legendgroup=name,
                showlegend=column == 1,
                mode="lines",
                line={"color": colour, "width": 2.2, "dash": dash, "shape": "hvh"},
                fill=fill,
                hovertemplate=f"{name}: %{{y:.1f}} % at %{{x:.3~s}}<extra></extra>",
                row=1,
                col=column,
            )
    figure.update_xaxes(type="log", exponentformat="SI", dtick=2)
    figure.update_yaxes(title_text="share of rows (%)", col=1, row=1)
    return figure.update_layout(legend={"y": 1.1})


def binned(edges: pl.DataFrame, anomalous: Values, bins: int = BINS) -> dict[str, pl.DataFrame]:
    """Count edges in bins of equal ratio of bytes, packets and flows, for :func:`volume_histograms`.

    Args:
        edges: ``bytes``, ``packets``, ``flows``, n rows.
        anomalous: true for an anomaly, shape (n,).
        bins: bins of each volume.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(edges, VOLUMES, TABLE)
    guilty = np.asarray(anomalous, dtype=bool)
    found = {}
    for name in VOLUMES:
        values = edges[name].cast(pl.Float64).to_numpy() + 1
        limits = np.geomspace(1, max(values.max(initial=1.0), 10.0) * 1.001, min(bins, 12 * len(name)) + 1)
        usual, odd = (np.histogram(values[part], limits)[0] for part in (~guilty, guilty))
        found[f"{name} + 1"] = pl.DataFrame({"low": limits[:-1], "high": limits[1:], "normal": usual, "anomaly": odd})
    return found


def frequency_map(
    counts: pl.DataFrame, column: str, *, most: int = 60, title: str = "How often does who talk when?"
) -> go.Figure:
    """Heat map of how often each host sends, by destination or by hour of the day.

    Args:
        counts: ``src``, the column, and ``frequency`` (share of windows, 0..1), one row a cell.
        column: ``"dst"`` or ``"hour"``.
        most: most hosts on an axis, the busiest first.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(counts, (SRC, column, "frequency"), TABLE)
    busy = counts.group_by(SRC).agg(pl.col("frequency").sum()).sort("frequency", SRC, descending=[True, False])
    hosts = sorted(busy[SRC].head(most).to_list())
    if column == DST:
        others = counts.group_by(DST).agg(pl.col("frequency").sum()).sort("frequency", DST, descending=[True, False])
        across: list[object] = sorted(others[DST].head(most).to_list())
    else:
        across = sorted(counts[column].unique().to_list())
    height = max(360, 170 + 15 * len(hosts))
    figure = new_figure(title, "hour of the day" if column != DST else "to", "from", height=height)
    if not hosts:
        return nothing_to_show(figure, "nobody talks")
    place = {(row[0], row[1]): row[2] for row in counts.select(SRC, column, "frequency").iter_rows()}
    cells = np.array([[100 * place.get((host, other), np.nan) for other in across] for host in hosts])
    figure.add_heatmap(
        z=cells.astype(np.float32),
        x=short(across, SHORT_LABEL) if column == DST else across,
        y=short(hosts, SHORT_LABEL),
        colorscale=SEQUENTIAL,
        zmin=0,
        zmax=100,
        xgap=1,
        ygap=1,
        colorbar={"title": "share of<br>windows (%)", "thickness": 12},
        hovertemplate="%{y}, %{x}: %{z:.1f} %<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed", tickfont_size=10, showgrid=False, type="category", dtick=1)
    figure.update_yaxes(title_standoff=14)
    angle = -60 if column == DST else 0
    return figure.update_xaxes(tickangle=angle, tickfont_size=10, showgrid=False, type="category", dtick=1)


def frequencies(edges: pl.DataFrame, column: str) -> pl.DataFrame:
    """Share of the windows in which each host sends to whom, or at which hour, for :func:`frequency_map`.

    Args:
        edges: ``window``, ``time``, ``src``, ``dst``, ``flows``; rows without a flow do not count.
        column: ``"dst"`` or ``"hour"``.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(edges, (WINDOW, TIME, SRC, DST, "flows"), TABLE)
    hours = edges.with_columns(pl.col(TIME).dt.hour().alias("hour"))
    windows = hours.group_by("hour").agg(pl.col(WINDOW).n_unique().alias("windows"))
    active = hours.filter(pl.col("flows") > 0)
    found = active.group_by(SRC, column).agg(pl.col(WINDOW).n_unique().alias("seen"))
    if column == DST:
        return found.with_columns((pl.col("seen") / max(edges[WINDOW].n_unique(), 1)).alias("frequency")).drop("seen")
    joined = found.join(windows, on="hour")
    return joined.with_columns((pl.col("seen") / pl.col("windows")).alias("frequency")).drop("seen", "windows")


def score_timeline(
    rows: pl.DataFrame,
    scores: Values,
    threshold: float,
    *,
    title: str = "When was what seen, and what was missed?",
) -> go.Figure:
    """Highest score of each window over time with the threshold, and below it the episodes that truly happened.

    Args:
        rows: ``window``, ``time`` and optionally ``anomaly_type``, n rows.
        scores: higher is more abnormal, shape (n,).
        threshold: rows with a score of at least this raise an alarm.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(rows, (WINDOW, TIME), TABLE)
    known = rows.with_columns(pl.Series("score", finite_scores(scores)))
    kinds = _kinds_over_time(known, threshold, _step(known))
    figure = make_subplots(
        2, 1, shared_xaxes=True, vertical_spacing=0.04, row_heights=[0.52, 0.48] if kinds else [0.97, 0.03]
    )
    figure.update_layout(new_figure(title, height=300 + (70 + 22 * len(kinds) if kinds else 0), margin_t=96).layout)
    windows = known.group_by(WINDOW).agg(pl.col(TIME).first(), pl.col("score").max()).sort(WINDOW)
    if not windows.height:
        return nothing_to_show(figure, "no window to show")
    step = _step(windows)
    thinned = windows.group_by(pl.col(WINDOW) // step, maintain_order=True).agg(
        pl.col(TIME).first(), pl.col("score").max()
    )
    times = thinned[TIME].to_list()
    line = {"color": "#5F8DAE", "width": 1, "shape": "hv"}
    figure.add_scatter(x=times, y=compact(thinned["score"]), name="highest score of a window", mode="lines", line=line)
    figure.add_scatter(
        x=[times[0], times[-1]], y=[threshold] * 2, name="threshold", mode="lines",
        line={"color": INK, "dash": "dash", "width": 1.5},
    )  # fmt: skip
    if kinds:
        _draw_kinds(figure, kinds)
    figure.update_yaxes(title_text="score", row=1, col=1)
    return figure.update_layout(legend={"y": 1.03})


def graph_timeline(
    graph: pl.DataFrame, columns: Mapping[str, str], *, title: str = "How does the whole graph change?"
) -> go.Figure:
    """Numbers that describe the graph of each window over time, one panel each; joined windows show the highest count.

    Args:
        graph: ``time`` and the columns, one row a window.
        columns: name of each column and its title.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(graph, (TIME, *columns), TABLE)
    figure = make_subplots(max(len(columns), 1), 1, shared_xaxes=True, vertical_spacing=0.05)
    figure.update_layout(new_figure(title, height=120 + 110 * max(len(columns), 1), margin_t=70).layout)
    counts = [name for name in columns if graph.schema[name].is_integer()]
    joined = [pl.col(name).max() if name in counts else pl.col(name).mean() for name in columns]
    step = max(1, -(-graph.height // MOST_POINTS))
    places = pl.int_range(pl.len()) // step
    shown = graph.group_by(places.alias("part"), maintain_order=True).agg(pl.col(TIME).first(), *joined)
    for row, (column, words) in enumerate(columns.items(), start=1):
        line = {"color": INK if row % 2 else "#5F8DAE", "width": 1}
        figure.add_scatter(x=shown[TIME].to_list(), y=compact(shown[column]), name=words, mode="lines", line=line,
                           showlegend=False, row=row, col=1)  # fmt: skip
        figure.update_yaxes(title_text=words, title_font_size=11, row=row, col=1)
    return figure


def _edges(rows: pl.DataFrame) -> pl.DataFrame:
    """Edges with their bytes added up, those with the most first."""
    require.columns(rows, (SRC, DST, "bytes"), TABLE)
    flagged = pl.col("flagged").any() if "flagged" in rows.columns else pl.lit(False).alias("flagged")
    return rows.group_by(SRC, DST).agg(pl.col("bytes").cast(pl.Float64).sum(), flagged).sort("bytes", descending=True)


def _loads(edges: pl.DataFrame) -> dict[str, float]:
    """Bytes that each host sends and receives."""
    ends = [edges.select(pl.col(side).alias("host"), "bytes") for side in (SRC, DST)]
    return dict(pl.concat(ends).group_by("host").agg(pl.col("bytes").sum()).sort("host").iter_rows())


def _labelled(
    drawn: Iterable[pl.DataFrame], loads: Iterable[Mapping[str, float]], layout: Mapping[str, tuple[float, float]]
) -> set[str]:
    """Hosts that are named: all if there is room, else those with flagged edges and the busiest."""
    if len(layout) <= MOST_LABELS:
        return set(layout)
    flagged = pl.concat([rows.filter("flagged").select(SRC, DST) for rows in drawn])
    senders = flagged[SRC].value_counts(sort=True)[SRC].to_list()
    busiest = sorted(((load, host) for each in loads for host, load in each.items()), reverse=True)
    wanted = dict.fromkeys([*senders, *(host for _, host in busiest), *flagged[DST].to_list()])
    named: list[str] = []
    for host in (host for host in wanted if host in layout):
        gaps = [np.hypot(layout[host][0] - layout[other][0], layout[host][1] - layout[other][1]) for other in named]
        if min(gaps, default=2.0) >= LABEL_GAP:
            named.append(host)
    return set(named[:MOST_LABELS])


def _draw_edges(
    figure: go.Figure, edges: pl.DataFrame, layout: Mapping[str, tuple[float, float]], limits: Floats, column: int
) -> None:
    """Lines of usual edges in four widths."""
    size = np.searchsorted(limits, np.log1p(edges["bytes"].to_numpy()))
    for step, (width, colour) in enumerate(zip(WIDTHS, GREYS, strict=True)):
        part = edges.filter(pl.Series(size == step))
        xs, ys = _lines(part, layout)
        figure.add_scatter(
            x=xs, y=ys, mode="lines", line={"width": width, "color": colour}, name=_SIZES[step], hoverinfo="skip",
            legendgroup=_SIZES[step], showlegend=column == 1, row=1, col=column,
        )  # fmt: skip


_SIZES = ("edge, fewer bytes", "more", "many", "most bytes")


def _draw_flagged(
    figure: go.Figure, edges: pl.DataFrame, layout: Mapping[str, tuple[float, float]], column: int
) -> None:
    """Anomalous edges, dark red and dashed, with an arrow head near the destination; thin and plain where many."""
    if edges.is_empty():
        return
    xs, ys = _lines(edges, layout)
    few = edges.height <= MOST_ARROWS
    line = {"width": 2.2 if few else 0.8, "color": ANOMALY, "dash": "5px,2px" if few else "solid"}
    figure.add_scatter(
        x=xs, y=ys, mode="lines", line=line, name="anomalous edge",
        legendgroup="anomalous", hoverinfo="skip", row=1, col=column,
    )  # fmt: skip
    ends = [
        (layout[a], layout[b], a, b, n)
        for a, b, n in edges.select(SRC, DST, "bytes").iter_rows()
        if a in layout and b in layout
    ]
    tips = [(0.14 * a[0] + 0.86 * b[0], 0.14 * a[1] + 0.86 * b[1]) for a, b, *_ in ends]
    angles = [float(np.degrees(np.arctan2(b[0] - a[0], b[1] - a[1]))) for a, b, *_ in ends]
    figure.add_scatter(
        x=[tip[0] for tip in tips], y=[tip[1] for tip in tips], mode="markers", showlegend=False,
        marker={"symbol": "arrow", "size": 10 if few else 0, "angle": angles, "color": ANOMALY},
        hovertext=[f"{a} to {b}: {n:,.0f} bytes" for *_, a, b, n in ends], hoverinfo="text", row=1, col=column,
    )  # fmt: skip


def _lines(
    edges: pl.DataFrame, layout: Mapping[str, tuple[float, float]]
) -> tuple[list[float | None], list[float | None]]:
    """Ends of lines one after the other, with gaps between them."""
    xs: list[float | None] = []
    ys: list[float | None] = []
    for one, other in edges.select(SRC, DST).iter_rows():
        if one in layout and other in layout:
            xs += [round(layout[one][0], 4), round(layout[other][0], 4), None]
            ys += [round(layout[one][1], 4), round(layout[other][1], 4), None]
    return xs, ys


def _draw_hosts(
    figure: go.Figure,
    load: Mapping[str, float],
    layout: Mapping[str, tuple[float, float]],
    largest: float,
    labelled: set[str],
    column: int,
) -> None:
    """Circles of hosts, their area as their traffic, and names along the radius."""
    hosts = list(layout)
    share = np.sqrt(np.array([load.get(host, 0.0) for host in hosts]) / max(largest, 1.0))
    sizes = NODE_SIZES[0] + (NODE_SIZES[1] - NODE_SIZES[0]) * share
    colours = [NORMAL if host in load else "white" for host in hosts]
    marker = {"size": sizes.round(1), "color": colours, "opacity": 1, "line": {"color": INK, "width": 1}}
    figure.add_scatter(
        x=[round(layout[host][0], 4) for host in hosts], y=[round(layout[host][1], 4) for host in hosts],
        mode="markers", marker=marker,
        name="host, area: bytes sent and received (empty: silent)", legendgroup="hosts", showlegend=column == 1,
        hovertext=[f"{host}: {load.get(host, 0):,.0f} bytes" for host in hosts], hoverinfo="text", row=1, col=column,
    )  # fmt: skip
    a_pixel = 2 * REACH / (PANEL * 0.93)
    for host in sorted(labelled & set(layout)):
        x, y = layout[host]
        text = host if len(host) <= SHORT_LABEL else f"{host[: SHORT_LABEL - 1]}…"
        far = LABEL_FROM + len(text) * CHARACTER / 2 * a_pixel
        turn = float(np.degrees(np.arctan2(y, x)))
        angle = -turn if abs(turn) <= 90 else 180 - turn
        figure.add_annotation(
            x=x * far, y=y * far, text=text, textangle=angle, showarrow=False, font_size=LABEL_SIZE, row=1, col=column
        )


def _step(rows: pl.DataFrame) -> int:
    """How many windows are joined into a point of a line over time."""
    if rows.is_empty():
        return 1
    first, last = rows.select(pl.col(WINDOW).min().alias("first"), pl.col(WINDOW).max().alias("last")).row(0)
    return max(1, -(-(int(last) - int(first) + 1) // MOST_POINTS))


def _kinds_over_time(rows: pl.DataFrame, threshold: float, step: int) -> dict[str, tuple[list[object], list[int]]]:
    """Windows of each kind, in time order, and whether any row of the kind was flagged there (2) or not (1)."""
    if "anomaly_type" not in rows.columns:
        return {}
    odd = rows.filter(pl.col("anomaly_type") != NORMAL_KIND)
    part = (pl.col(WINDOW) // step).alias(WINDOW)
    found = odd.group_by("anomaly_type", part).agg(pl.col(TIME).first(), (pl.col("score") >= threshold).any())
    parts = found.sort("anomaly_type", WINDOW).partition_by("anomaly_type", as_dict=True)
    return {
        str(kind): (part[TIME].to_list(), (part["score"].cast(pl.Int64) + 1).to_list())
        for (kind,), part in parts.items()
    }


def _draw_kinds(figure: go.Figure, kinds: Mapping[str, tuple[list[object], list[int]]]) -> None:
    """A strip a kind: high dark ticks where it was found, low light ones where it was missed."""
    names = {kind: kind.replace("_", " ") for kind in kinds}
    styles = ((2, "found", INK, 13, 2), (1, "missed", ANOMALY, 6, 2))
    for state, words, colour, size, width in styles:
        xs, ys = [], []
        for kind, (times, states) in kinds.items():
            at = [time for time, each in zip(times, states, strict=True) if each == state]
            xs += at
            ys += [names[kind]] * len(at)
        marker = {"symbol": "line-ns", "size": size, "color": colour, "line": {"width": width, "color": colour}}
        figure.add_scatter(x=xs, y=ys, mode="markers", marker=marker, name=f"anomaly, {words}", row=2, col=1)
    figure.update_yaxes(**rows_named(names.values()), dtick=1, showgrid=True, row=2, col=1)


def _power(exponent: int) -> str:
    """1, 10, 100, then 1 k, 1 M, 1 G."""
    unit = ("", " k", " M", " G", " T")[exponent // 3]
    return f"{10 ** (exponent % 3)}{unit}"
