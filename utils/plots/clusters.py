"""Figures of notebook 05: which radius, which clusters, what they hold, and where they lie in the space of features.

Figures of curves and tables are made of aggregates; the feature space shows a sample of projected rows, thinned where
marks would cover each other. What differs by colour differs by symbol or hatching too.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
import polars as pl
from numpy.typing import ArrayLike
from plotly.subplots import make_subplots

from utils.datasets import require
from utils.errors import DataError, SchemaError
from utils.evaluation.inputs import Floats, Ints, Values, finite_scores
from utils.plots.marks import OTHERS, Mark, add_shares, compact, marks_of, names_of, ordered, rows_named, short
from utils.plots.style import ANOMALY, INK, NORMAL, QUALITATIVE, SEQUENTIAL, TRAIN, UNCLASSIFIED, new_figure

TABLE = "the table of the figure"
ROW = 22
MOST_POINTS = 200
MOST_MARKS = {2: 420, 3: 200}
"""Rows that a feature space shows by its dimensions: what can be told apart, and what a notebook can carry."""
CELLS = {2: 90, 3: 24}
"""Cells along each axis within which rows of one group cover each other."""
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
SYMBOLS = ("circle", "square", "diamond", "x", "triangle-up")
PARTS = {
    "good": (NORMAL, ""),
    "attack": (ANOMALY, "/"),
    "unclassified": (UNCLASSIFIED, "."),
}
"""Colour and hatching of what a cluster is made of."""
PANELS = {
    "clusters": ("clusters", ".0f", 1.0),
    "noise_share": ("noise (% of rows)", ".1f", 100.0),
    "stability": ("stability (ARI, 100 = the same again)", ".0f", 100.0),
}
"""Title, format and factor of what a sweep shows."""


def k_distance_curve(
    distances: Mapping[str, Values],
    knees: Mapping[str, float] | None = None,
    *,
    title: str = "Which radius do the distances to the neighbours suggest?",
) -> go.Figure:
    """Sorted neighbour distances on a logarithmic scale, one line a neighbour, with the radius of each knee.

    Args:
        distances: distances of the rows, in any order, by name of the neighbour ("18th neighbour"); zeros are left
            out, as they have no logarithm, but keep their places.
        knees: radius to mark, by the same names.
        title: what the figure shows.

    Raises:
        DataError: if a distance is NaN or there is none at all.
    """
    figure = new_figure(title, "rows, by rising distance (%)", "distance (units of the features)")
    for place, (name, values) in enumerate(distances.items()):
        curve = np.sort(finite_scores(values))
        if not curve.size:
            raise DataError(f"a curve of distances needs at least one, found none for {name!r}: give some")
        colour, dash = QUALITATIVE[place % len(QUALITATIVE)], DASHES[place % len(DASHES)]
        rows, heights = _thinned(curve)
        line = {"color": colour, "dash": dash, "width": 2.2}
        figure.add_scatter(x=rows, y=heights, name=name, mode="lines", line=line, hovertemplate="%{x:.1f} %: %{y:.4g}")
        if knees and name in knees:
            _add_knee(figure, curve, knees[name], name, colour, SYMBOLS[place % len(SYMBOLS)])
    figure.update_layout(legend={"orientation": "v", "x": 0.02, "xanchor": "left", "y": 0.98, "yanchor": "top"})
    return figure.update_yaxes(type="log", exponentformat="power").update_xaxes(range=[0, 101])


def sweep_map(
    table: pl.DataFrame,
    chosen: tuple[float, float] | None = None,
    *,
    title: str = "What does each setting find, and does it find the same again?",
) -> go.Figure:
    """Clusters, noise and stability over radius and weight of a core point, with the chosen setting framed.

    Args:
        table: one row a setting: ``eps``, ``min_samples`` and any of ``clusters``, ``noise_share`` and ``stability``
            (both 0..1); settings that were not tried stay empty.
        chosen: radius and weight of the chosen setting; if not given, that of a Boolean column ``chosen``.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(table, ("eps", "min_samples"), TABLE)
    panels = [name for name in PANELS if name in table.columns]
    if not panels:
        raise SchemaError(f"{TABLE} must have one of {', '.join(PANELS)}, found none: add what the sweep found")
    radii, weights = (table[name].unique().sort() for name in ("eps", "min_samples"))
    shown = table.unique(["eps", "min_samples"], keep="first", maintain_order=True)
    figure = make_subplots(len(panels), 1, subplot_titles=[PANELS[name][0] for name in panels], vertical_spacing=0.16)
    for place, name in enumerate(panels, start=1):
        _add_sweep(figure, _cells(shown, name, radii, weights), radii, weights, name, place)
    place_of = chosen or _chosen(shown)
    if place_of is not None:
        _frame(figure, radii, weights, place_of, len(panels))
    plain = new_figure(title)
    figure.update_layout(template=plain.layout.template, title=plain.layout.title, margin_t=100)
    figure.update_layout(height=120 + len(panels) * (78 + 26 * len(weights)))
    figure.update_xaxes(title_text="eps (units of the features)", row=len(panels), col=1)
    return figure.update_annotations(font_size=12)


def cluster_composition(
    table: pl.DataFrame, *, most: int = 25, title: str = "What are the clusters made of, and what are they called?"
) -> go.Figure:
    """Share of good, attack and neither in each cluster, the largest cluster first.

    Args:
        table: one row a cluster: ``cluster``, ``rows``, and shares 0..1 in any of ``good``, ``attack`` and
            ``unclassified``, or ``attack_events`` and ``unclassified_events`` as
            :attr:`utils.detectors.labelling.ClusterLabels.table` has them; optionally ``label``, its name.
        most: most clusters; how many are left out is said.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(table, ("cluster", "rows"), TABLE)
    if {"attack_events", "unclassified_events"} <= set(table.columns):
        table = _with_shares(table)
    parts = [name for name in PARTS if name in table.columns]
    if not parts:
        raise SchemaError(f"{TABLE} must have shares in one of {', '.join(PARTS)}, found none: name them so")
    ranked = table.sort("rows", descending=True, maintain_order=True)
    shown, names = ranked.head(most), _named_clusters(ranked.head(most))
    figure = new_figure(
        _with_rest(title, ranked, most), "share of the cluster's rows (%)", height=170 + ROW * len(names)
    )
    for part in parts:
        colour, hatching = PARTS[part]
        figure.add_bar(
            x=compact(100 * shown[part]),
            y=names,
            name=part,
            orientation="h",
            marker={
                "color": colour,
                "pattern": {"shape": hatching, "fillmode": "overlay", "fgcolor": "white", "size": 5},
            },
            hovertemplate="%{y}: %{x:.1f} %",
        )
    figure.update_layout(barmode="stack", legend_traceorder="normal", margin_t=88).update_xaxes(range=[0, 100.5])
    return figure.update_yaxes(**rows_named(names), showgrid=False)


def evidence_map(
    table: pl.DataFrame,
    evidence: Sequence[str] | None = None,
    *,
    most: int = 25,
    title: str = "On what evidence are the clusters named?",
) -> go.Figure:
    """Share of the rows of each cluster that each kind of evidence speaks of.

    Args:
        table: one row a cluster: ``cluster``, ``rows``, shares 0..1 in the columns of the evidence (null where it is
            not known), and optionally ``label``, its name.
        evidence: names of those columns; if not given, those with a column ``<name>_known``, as
            :attr:`utils.detectors.labelling.ClusterLabels.table` has them.
        most: most clusters, the largest first.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    if evidence is None:
        evidence = [name for name in table.columns if f"{name}_known" in table.columns]
    require.columns(table, ("cluster", "rows", *evidence), TABLE)
    ranked = table.sort("rows", descending=True, maintain_order=True)
    shown, names = ranked.head(most), _named_clusters(ranked.head(most))
    cells = np.column_stack([compact(100 * shown[name]) for name in evidence]) if evidence else np.empty((0, 0))
    figure = new_figure(_with_rest(title, ranked, most), "evidence", height=210 + ROW * len(names))
    add_shares(figure, cells, [name.replace("_", " ") for name in evidence], names, "% of<br>the rows")
    return figure.update_layout(margin_t=88)


def explained_bars(table: pl.DataFrame, *, title: str = "Which columns do the clusters follow?") -> go.Figure:
    """Share of the variance of each column that lies between the clusters.

    Args:
        table: ``stands_for`` and ``explained`` (0..1, null for a constant column), and optionally ``column``, as
            :attr:`utils.detectors.published.AddressBlocks.components` has them.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(table, ("stands_for", "explained"), TABLE)
    known = table.drop_nulls("explained")
    prefix = known["column"].replace("-", "") if "column" in known.columns else pl.Series([""] * known.height)
    names = short(f"{name} {words}".strip() for name, words in zip(prefix, known["stands_for"], strict=True))
    figure = new_figure(title, "variance between clusters (% of the column's variance)", height=150 + ROW * len(names))
    figure.add_bar(
        x=compact(100 * known["explained"]),
        y=names,
        orientation="h",
        marker_color=TRAIN,
        text=[f"{100 * share:.1f}" for share in known["explained"]],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:.1f} %<extra></extra>",
    )
    return figure.update_xaxes(range=[0, 106]).update_yaxes(**rows_named(names), showgrid=False)


def feature_space(
    coordinates: ArrayLike,
    groups: Values,
    *,
    axes: Sequence[str] = (),
    most_groups: int = 7,
    title: str = "Where do the groups lie in the space of features?",
) -> go.Figure:
    """Projected rows in two or three dimensions, one colour and symbol a group.

    Args:
        coordinates: of a sample of rows (m, 2) or (m, 3), as :func:`utils.detectors.projection.project` gives them.
            Of rows of one group that cover each other one is drawn, and at most 420 (200 in 3-D) in all.
        groups: group of each of these rows (m,): cluster numbers (-1 is noise), Boolean labels, or names.
        axes: titles of the axes.
        most_groups: groups with a colour of their own, the largest ones; verdicts and noise always have theirs.
        title: what the figure shows.

    Raises:
        DataError: if the coordinates are not finite, not two or three, or do not fit the groups.
    """
    places, names = _placed(coordinates), names_of(groups)
    if len(names) != len(places):
        raise DataError(f"each of {len(places):,} rows must have a group, found {len(names):,}: give one for each")
    drawn, beyond = _framed(places)
    kept = ordered(names, most_groups)
    shown = names.to_frame().select(pl.when(pl.col("group").is_in(kept)).then("group").otherwise(pl.lit(OTHERS)))
    group, rows = shown["group"], _visible(drawn, shown["group"])
    figure = new_figure(f"{title}<br><sub>{beyond}</sub>" if beyond else title, height=500, margin_t=80)
    present = set(group.to_list())
    for name, mark in marks_of(name for name in dict.fromkeys([*kept, OTHERS]) if name in present).items():
        members = rows[(group.gather(rows) == name).to_numpy()]
        _add_marks(figure, drawn[members], f"{name} ({int((group == name).sum()):,})", mark)
    titles = [*axes, *(f"coordinate {place + 1}" for place in range(len(axes), places.shape[1]))]
    return _in_space(figure, titles) if places.shape[1] == 3 else _in_plane(figure, titles)


def _thinned(curve: Floats) -> tuple[np.ndarray, np.ndarray]:
    """Places (%) and heights of a rising curve: half by rank, half towards its upper end; zeros are left out."""
    last = len(curve) - 1
    half = MOST_POINTS // 2
    tail = last - np.geomspace(1, last + 1, half) + 1
    places = np.unique(np.concatenate([np.linspace(0, last, half), tail]).round().clip(0, last).astype(np.int64))
    places = places[curve[places] > 0]
    return compact(100 * (places + 1) / (last + 1)), compact(curve[places])


def _add_knee(figure: go.Figure, curve: Floats, radius: float, name: str, colour: str, symbol: str) -> None:
    within = 100 * float(np.searchsorted(curve, radius, side="right")) / len(curve)
    figure.add_scatter(
        x=[within],
        y=[radius],
        name=f"knee of the {name}: {radius:.3g}",
        mode="markers",
        marker={"color": colour, "symbol": symbol, "size": 12, "line": {"color": INK, "width": 1.5}},
        hovertemplate=f"{radius:.4g}<extra></extra>",
    )


def _cells(table: pl.DataFrame, name: str, radii: pl.Series, weights: pl.Series) -> Floats:
    """Values of a grid of settings, NaN where none was tried."""
    cells = np.full((len(weights), len(radii)), np.nan)
    across, down = radii.search_sorted(table["eps"]), weights.search_sorted(table["min_samples"])
    cells[np.asarray(down), np.asarray(across)] = compact(table[name])
    return cells


def _add_sweep(figure: go.Figure, cells: Floats, radii: pl.Series, weights: pl.Series, name: str, place: int) -> None:
    title, digits, factor = PANELS[name]
    figure.add_heatmap(
        z=(factor * cells).astype(np.float32),
        x=_numbers(radii),
        y=_numbers(weights),
        colorscale=SEQUENTIAL,
        showscale=False,
        texttemplate=f"%{{z:{digits}}}",
        xgap=2,
        ygap=2,
        hovertemplate=f"eps %{{x}}, min_samples %{{y}}: %{{z:{digits}}}<extra>{title}</extra>",
        row=place,
        col=1,
    )
    figure.update_xaxes(type="category", showgrid=False, row=place, col=1)
    figure.update_yaxes(type="category", showgrid=False, title_text="min_samples", row=place, col=1)


def _chosen(table: pl.DataFrame) -> tuple[float, float] | None:
    if "chosen" not in table.columns:
        return None
    found = table.filter(pl.col("chosen")).select("eps", "min_samples")
    return (float(found["eps"][0]), float(found["min_samples"][0])) if found.height else None


def _frame(figure: go.Figure, radii: pl.Series, weights: pl.Series, chosen: tuple[float, float], panels: int) -> None:
    """Frame one cell of every panel."""
    across, down = (
        int(np.argmin(np.abs(axis.to_numpy() - value))) for axis, value in zip((radii, weights), chosen, strict=True)
    )
    for place in range(1, panels + 1):
        figure.add_shape(
            type="rect",
            x0=across - 0.5,
            x1=across + 0.5,
            y0=down - 0.5,
            y1=down + 0.5,
            line={"color": ANOMALY, "width": 3},
            row=place,
            col=1,
        )


def _numbers(values: pl.Series) -> list[str]:
    """Numbers as short texts that stay different."""
    for digits in range(3, 18):
        texts = [f"{value:.{digits}g}" for value in values]
        if len(set(texts)) == len(texts):
            return texts
    return [repr(value) for value in values]


def _named_clusters(table: pl.DataFrame) -> list[str]:
    labels = table["label"] if "label" in table.columns else [None] * table.height
    return short(
        f"{name} ({rows:,.0f} rows){f': {label}' if label else ''}"
        for name, rows, label in zip(names_of(table["cluster"]), table["rows"], labels, strict=True)
    )


def _with_shares(table: pl.DataFrame) -> pl.DataFrame:
    """Shares of what the events of each cluster are called."""
    attack, rest = (pl.col(f"{name}_events") / pl.col("rows") for name in ("attack", "unclassified"))
    return table.with_columns(good=1 - attack - rest, attack=attack, unclassified=rest)


def _with_rest(title: str, ranked: pl.DataFrame, most: int) -> str:
    rest = ranked[most:]
    if rest.is_empty():
        return title
    return f"{title}<br><sub>{rest.height:,} smaller clusters with {rest['rows'].sum():,.0f} rows are not shown</sub>"


def _placed(coordinates: ArrayLike) -> Floats:
    places = np.asarray(coordinates, dtype=np.float64)
    if places.ndim != 2 or places.shape[1] not in CELLS or not np.isfinite(places).all():
        found = f"the shape {places.shape}" if np.isfinite(places).all() else "some that are not finite"
        raise DataError(
            f"a feature space is drawn of two or three finite coordinates a row, found {found}: project first"
        )
    return places


def _visible(places: Floats, groups: pl.Series) -> Ints:
    """Rows to draw: one of those of a group in one cell; if these are too many, evenly of all groups."""
    width = np.maximum(np.ptp(places, axis=0), np.finfo(float).tiny) if len(places) else np.ones(places.shape[1])
    cells = np.floor((places - places.min(axis=0, initial=np.inf)) / width * CELLS[places.shape[1]]).astype(np.int64)
    table = pl.DataFrame(cells).with_columns(groups.alias("group")).with_row_index("row")
    first = table.unique([*table.columns[1:]], keep="first", maintain_order=True)
    most = MOST_MARKS[places.shape[1]]
    # The k-th row of each group in turn: small groups are whole before large ones are thinned.
    turn = first.with_columns(pl.int_range(pl.len()).shuffle(seed=0).over("group").alias("turn"))
    return np.sort(turn.sort("turn", maintain_order=True).head(most)["row"].to_numpy().astype(np.int64))


def _add_marks(figure: go.Figure, places: Floats, name: str, mark: Mark) -> None:
    x, y, *z = (compact(_rounded(column)) for column in places.T)
    if z:
        marker = {"color": mark.colour, "symbol": mark.symbol_3d, "size": 4}
        figure.add_scatter3d(x=x, y=y, z=z[0], name=name, mode="markers", marker=marker)
    else:
        marker = {"color": mark.colour, "symbol": mark.symbol, "size": 7, "line": {"width": 0.4, "color": "white"}}
        figure.add_scatter(x=x, y=y, name=name, mode="markers", marker=marker)


def _rounded(values: Floats) -> Floats:
    """Three significant digits of the largest value: more cannot be seen."""
    largest = float(np.abs(values).max(initial=0.0))
    if not largest:
        return values
    unit = 10.0 ** (np.floor(np.log10(largest)) - 2)
    return np.asarray(np.round(values / unit) * unit)


def _framed(places: Floats) -> tuple[Floats, str]:
    """Move rows far from the bulk to the edge, so that they do not squeeze the rest, and say how many."""
    if not len(places):
        return places, ""
    low, high = np.quantile(places, [0.01, 0.99], axis=0)
    reach = np.where(high > low, 0.5 * (high - low), np.ptp(places, axis=0))
    drawn = np.clip(places, low - reach, high + reach)
    beyond = int((drawn != places).any(axis=1).sum())
    return drawn, f"{beyond:,} of {len(places):,} rows lie farther out and are drawn at the edge" if beyond else ""


def _in_plane(figure: go.Figure, titles: Sequence[str]) -> go.Figure:
    figure.update_layout(xaxis_title_text=titles[0], yaxis_title_text=titles[1])
    return figure.update_layout(legend={"orientation": "v", "x": 1.01, "xanchor": "left", "y": 1.0, "yanchor": "top"})


def _in_space(figure: go.Figure, titles: Sequence[str]) -> go.Figure:
    """Three plain axes; grids and backgrounds would make most of the still image."""
    plain = {
        **dict.fromkeys(("showbackground", "showgrid", "zeroline", "showspikes", "showticklabels"), False),
        **{"showline": True, "linecolor": TRAIN, "linewidth": 2},
    }
    axes = {
        f"{name}axis": plain | {"title": {"text": title.split(" (")[0], "font": {"size": 12}}}
        for name, title in zip("xyz", titles, strict=True)
    }
    camera = {"eye": {"x": 1.75, "y": 1.5, "z": 1.0}, "center": {"x": 0, "y": 0, "z": -0.12}}
    figure.update_layout(scene=axes | {"camera": camera, "domain": {"x": [0, 0.74]}}, width=600, height=420)
    figure.update_layout(margin={"l": 0, "r": 0, "b": 0}, legend_itemsizing="constant")
    return figure.update_layout(legend={"orientation": "v", "x": 0.76, "xanchor": "left", "y": 0.95, "yanchor": "top"})
