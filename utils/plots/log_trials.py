"""Figures of notebook 09: how far counting and sequence models get on log sessions, one by one and by kind of anomaly.

Every figure is made of aggregates. What differs by colour differs by symbol, dash, fill or place too, so that figures
can be read in greyscale.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
import polars as pl

from utils.datasets import require
from utils.evaluation.inputs import Floats
from utils.plots.marks import add_shares, compact, rows_named, short
from utils.plots.sessions import nothing_to_show
from utils.plots.style import ANOMALY, INK, NORMAL, TRAIN, new_figure

ROW, DRAWS_ROW = 25, 42
LEAST_HEIGHT = 310
LEAST_MISSING = 0.0005
TICKS = (0.0, 50.0, 80.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.9, 100.0)
NAME_LENGTH = 44
TABLE = "the table of the figure"
PUBLISHED = "published"
TRIVIAL_KIND = "trivial"
ORDER = (
    "counting: novelty rules",
    "counting: classic",
    "sequence model",
    "vote of several",
    "beginnings of sessions",
    TRIVIAL_KIND,
)
"""Kinds of detectors from top to bottom."""

CEILING = "ceiling of any model"
SUBTITLE = "in brackets what gives the kind away, after it the number of sessions"
HOW = "how it was found"
MEASURES = {"precision": ("#0072B2", "square"), "recall": ("#E69F00", "diamond")}
BELOW_TITLE = {"margin_t": 88, "legend_yanchor": "bottom", "legend_y": 1.01}
HALF = 0.5
UNSORTED = 99


def detector_f1(
    board: pl.DataFrame,
    published: pl.DataFrame | None = None,
    *,
    kinds: Mapping[str, str] | None = None,
    order: Sequence[str] = (),
    title: str = "Do sequence models beat counting?",
) -> go.Figure:
    """F1 with interval, precision and recall of each detector, by kind of detector; published ones are hollow.

    Args:
        board: one row a detector: ``detector`` and ``f1`` in 0..1; optionally ``low`` and ``high`` (interval of F1),
            ``precision``, ``recall``, ``threshold`` (how it was chosen, for the hover text) and ``kind``.
        published: the peers' own numbers: ``detector``, ``f1`` and optionally ``how it was found``.
        kinds: kind of each detector, where the board has no column ``kind``; those of
            :mod:`utils.detectors.log_trials` by default.
        order: kinds from top to bottom; others follow in their order, published ones last.
        title: what the figure shows.

    Raises:
        SchemaError: if the board lacks a column.
    """
    require.columns(board, ("detector", "f1"), TABLE)
    shown = _grouped(_of_all(board, published, kinds), order)
    axis = "per cent of the test part (the nearer to 100, the wider the scale)"
    figure = new_figure(title, axis, height=max(LEAST_HEIGHT, 170 + ROW * shown.height))
    marked = shown.drop_nulls("f1")
    if marked.is_empty():
        return nothing_to_show(figure, "no detector was judged")
    for name, (colour, symbol) in MEASURES.items():
        _add_points(figure, marked, name, name, {"color": colour, "symbol": f"{symbol}-open", "size": 8})
    theirs = pl.col("kind") == PUBLISHED
    solid, hollow = {"color": INK, "symbol": "circle", "size": 11}, {"color": INK, "symbol": "circle-open", "size": 11}
    _add_points(figure, marked.filter(~theirs), "f1", "F1", solid, interval=True)
    _add_points(figure, marked.filter(theirs), "f1", "F1 as published", hollow | {"line": {"width": 2}})
    labels = {"tickmode": "array", "tickvals": shown["place"].to_list(), "ticktext": shown["label"].to_list()}
    figure.update_yaxes(**labels, range=[shown.height - 0.4, -0.6], showgrid=False)
    _write_f1(figure, marked)
    figure.update_xaxes(**_stretched_axis(marked, ("f1", "low", *MEASURES)))
    return figure.update_layout(**BELOW_TITLE, margin_r=132)


def protocol_f1(
    board: pl.DataFrame, *, title: str = "What are labels worth where the same sessions were not seen before?"
) -> go.Figure:
    """F1 with interval, precision and recall of supervised models, by the protocol that divided the sessions.

    Args:
        board: one row a protocol and model: ``protocol``, ``model``, ``f1`` in 0..1, and optionally ``low``, ``high``,
            ``precision``, ``recall``, ``threshold`` and ``shared`` (share of the test anomalies whose sequence training
            holds too), as :func:`utils.classifiers.log_trials.run` has it.
        title: what the figure shows.

    Raises:
        SchemaError: if the board lacks a column.
    """
    require.columns(board, ("protocol", "model", "f1"), TABLE)
    tables = board["table"].n_unique() if "table" in board.columns else 0
    where = pl.format(" of {}", "table") if tables > 1 else pl.lit("")
    seen = board.with_columns(pl.col("protocol") + where)
    if "shared" in board.columns:
        share = (100 * pl.col("shared").mean().over("protocol")).round().cast(pl.Int64)
        words = pl.format("{}: {} % of anomalies seen", "protocol", share)
        seen = seen.with_columns(pl.coalesce(words, "protocol").alias("protocol"))
    seen = seen.drop("kind", "detector", strict=False).rename({"protocol": "kind", "model": "detector"})
    return detector_f1(seen, order=seen["kind"].unique(maintain_order=True).to_list(), title=title)


def draw_spread(
    values: pl.DataFrame, *, title: str = "How much of a result is luck of the training draw?"
) -> go.Figure:
    """F1 of each random draw of training sessions, one strip a detector; mean and worst are marked.

    Args:
        values: one row a detector and draw: ``detector`` and ``f1`` in 0..1.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(values, ("detector", "f1"), TABLE)
    known = values.with_columns(pl.col("f1").cast(pl.Float64).fill_nan(None)).drop_nulls("f1")
    figure = new_figure(title, "F1 on all other sessions in per cent (the nearer to 100, the wider the scale)")
    if known.is_empty():
        return nothing_to_show(figure, "no draw was judged")
    means = known.group_by("detector", maintain_order=True).agg(
        pl.col("f1").mean().alias("mean"), pl.col("f1").min().alias("worst"), pl.col("f1").std().alias("sd"), n=pl.len()
    )
    means = means.sort("mean", descending=True, maintain_order=True)
    means = means.with_columns(pl.Series("name", short(means["detector"], NAME_LENGTH)))
    known = known.join(means.select("detector", "name"), on="detector")
    names = means["name"].to_list()
    figure.update_layout(height=max(LEAST_HEIGHT, 160 + DRAWS_ROW * len(names)), **BELOW_TITLE)
    figure.add_scatter(
        x=_stretched(known["f1"]),
        y=known["name"].to_list(),
        name="one draw",
        mode="markers",
        marker={"color": TRAIN, "symbol": "circle-open", "size": 9},
        hoverinfo="skip",
    )
    _add_summary(figure, means, "worst", "worst draw", {"color": ANOMALY, "symbol": "x", "size": 9})
    _add_summary(
        figure, means, "mean", "mean", {"color": INK, "symbol": "line-ns", "size": 16, "line": {"width": 3}}, words=True
    )
    figure.update_xaxes(**_stretched_axis(known, ("f1",)))
    return figure.update_yaxes(**rows_named(names), showgrid=False)


def truncation(
    rows: pl.DataFrame,
    ceiling: float | None = None,
    published: pl.DataFrame | None = None,
    *,
    title: str = "How near does anything get to what a truncated log allows?",
) -> go.Figure:
    """F1 of each detector on the truncated log as bars, the computed ceiling as a line; published bars are hollow.

    Args:
        rows: one row a detector: ``detector`` and ``f1`` in 0..1, and optionally ``low`` and ``high``, and
            ``learns from`` (``"labels"`` is drawn darker). A row "ceiling of any model" is the line.
        ceiling: highest F1 that any model of the sequences can reach, in 0..1, where no row says it.
        published: the peers' own numbers, ``detector`` and ``f1``; those among the rows are not drawn twice.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(rows, ("detector", "f1"), TABLE)
    computed = rows.filter(pl.col("detector") == CEILING)["f1"].drop_nulls()
    highest = float(computed[0]) if len(computed) else ceiling
    theirs = [] if published is None else published["detector"].to_list()
    own = rows.filter(~pl.col("detector").is_in([CEILING, *theirs]))
    parts = {
        "learned from normal sessions": (own.filter(~_with_labels(own)), NORMAL, "#5F8DAE"),
        "learned from labels": (own.filter(_with_labels(own)), TRAIN, "#5B6873"),
        PUBLISHED: (rows.clear() if published is None else published, "white", TRAIN),
    }
    known = pl.concat([part.select("detector", pl.col("f1").cast(pl.Float64)) for part, *_ in parts.values()])
    figure = new_figure(title, "F1 (%)", height=max(LEAST_HEIGHT, 200 + (ROW + 4) * known.height), margin_t=118)
    if known.is_empty():
        return nothing_to_show(figure, "no detector was judged")
    names = dict(zip(known["detector"], short(known["detector"], NAME_LENGTH), strict=True))
    for name, (part, colour, edge) in parts.items():
        if part.height:
            _add_bars(figure, part, [names[each] for each in part["detector"]], name, colour, edge)
    ranked = known.sort("f1", descending=True, nulls_last=True, maintain_order=True)
    if highest is not None and np.isfinite(highest):
        _add_ceiling(figure, highest)
    legend = {"yref": "container", "y": 1 - 54 / figure.layout.height, "yanchor": "top", "traceorder": "normal"}
    place = {"y": 1 - 24 / figure.layout.height, "yanchor": "top"}
    figure.update_layout(barmode="overlay", legend=legend, title=place).update_xaxes(range=[0, 100])
    return figure.update_yaxes(**rows_named([names[each] for each in ranked["detector"]]), showgrid=False)


def recall_by_type(
    recalls: pl.DataFrame, *, most: int = 30, title: str = "Which kinds of anomaly does each detector find?"
) -> go.Figure:
    """Recall of each kind of anomaly by detector, with what gives the kind away.

    Args:
        recalls: one row a detector and kind: ``detector``, ``kind``, ``recall`` in 0..1, and optionally ``visible`` (in
            what the kind shows: "events", "counts" or "order"), ``rows`` (sessions of that kind) and ``real`` (share of
            normal sessions that the detector flags), as :func:`utils.detectors.log_trials.per_type` has it.
        most: most kinds.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(recalls, ("detector", "kind", "recall"), TABLE)
    figure = new_figure(title, "", "kind of anomaly", margin_t=88)
    if recalls.is_empty():
        return nothing_to_show(figure, "no kind of anomaly is known")
    kinds = _kinds(recalls).head(most)
    detectors = recalls["detector"].unique(maintain_order=True).to_list()
    table = recalls.pivot("detector", index="kind", values="recall", aggregate_function="first")
    table = kinds.join(table, on="kind", how="left", maintain_order="left", suffix=" of the detector")
    cells = np.column_stack([compact(100 * table[name]) for name in detectors])
    add_shares(figure, cells, _with_alarms(recalls, detectors), kinds["shown"].to_list(), "recall<br>(%)")
    figure.update_layout(height=max(LEAST_HEIGHT, 230 + ROW * kinds.height))
    if {"visible", "rows"} & set(recalls.columns):
        figure.update_layout(title_subtitle={"text": SUBTITLE, "font": {"size": 12, "color": TRAIN}})
    return figure.update_xaxes(side="bottom", title_text="detector").update_yaxes(title_standoff=14)


def _of_all(board: pl.DataFrame, published: pl.DataFrame | None, kinds: Mapping[str, str] | None) -> pl.DataFrame:
    """Own and published detectors as one table with their kind and how the number was found."""
    if "kind" not in board.columns:
        known = _kinds_of_detectors() if kinds is None else kinds
        board = board.with_columns(pl.col("detector").replace_strict(known, default="other").alias("kind"))
    board = board.rename({"threshold": "how"} if "threshold" in board.columns else {})
    if published is None:
        return board
    require.columns(published, ("detector", "f1"), TABLE)
    others = published.with_columns(pl.lit(PUBLISHED).alias("kind")).rename({HOW: "how"}, strict=False)
    return pl.concat([board, others.select("detector", "kind", "f1", pl.col("^how$"))], how="diagonal_relaxed")


def _kinds_of_detectors() -> dict[str, str]:
    from utils.detectors.judging import TRIVIAL
    from utils.detectors.log_trials import candidates

    vote, networks = (candidates.VOTE, candidates.WIDE), (*candidates.NETWORKS, *candidates.OPEN)
    groups = (candidates.RULES, candidates.COUNTS, networks, vote, candidates.BEGINNINGS, (TRIVIAL,))
    return {name: kind for kind, names in zip(ORDER, groups, strict=True) for name in names}


def _grouped(board: pl.DataFrame, order: Sequence[str]) -> pl.DataFrame:
    """Detectors below a line with the name of their kind, best first, each with its place and label."""
    order = order or ORDER
    kinds = [*order, *(kind for kind in board["kind"].unique(maintain_order=True) if kind not in order)]
    kinds.sort(key=lambda kind: (kind == PUBLISHED, kind == TRIVIAL_KIND))
    parts = []
    for kind in kinds:
        part = board.filter(pl.col("kind").eq_missing(kind)).sort("f1", descending=True, nulls_last=True)
        if part.height:
            head = pl.DataFrame({"label": [f"<b>{kind or 'other'}</b>"]})
            parts += [head, part.with_columns(pl.Series("label", short(part["detector"], NAME_LENGTH)))]
    shown = pl.concat(parts, how="diagonal") if parts else board.with_columns(label="detector")
    return shown.with_row_index("place")


def _add_points(
    figure: go.Figure, rows: pl.DataFrame, column: str, name: str, marker: dict[str, object], *, interval: bool = False
) -> None:
    """One mark a detector, at its place; how the number was found is in the hover text."""
    if column not in rows.columns or rows[column].drop_nulls().is_empty():
        return
    shown = rows.drop_nulls(column)
    how = shown["how"].fill_null("") if "how" in shown.columns else pl.repeat("", shown.height, eager=True)
    figure.add_scatter(
        x=_stretched(shown[column]),
        y=shown["place"].to_numpy(),
        name=name,
        mode="markers",
        marker=marker,
        error_x=_stretched_interval(shown, column) if interval else None,
        text=[
            f"{detector}: {name} {100 * value:.2f} %<br>{said}"
            for detector, value, said in zip(shown["detector"], shown[column], how, strict=True)
        ],
        hovertemplate="%{text}<extra></extra>",
    )


def _stretched(shares: pl.Series) -> Floats:
    """Shares so that each halving of what is missing to 1 is one step, down to one in two thousand."""
    missing = 1.0 - shares.cast(pl.Float64).to_numpy()
    return np.asarray(-np.log2(np.clip(missing, LEAST_MISSING, 1.0)), dtype=np.float32)


def _stretched_interval(rows: pl.DataFrame, column: str) -> dict[str, object] | None:
    if not {"low", "high"} <= set(rows.columns):
        return None
    low, middle, high = (_stretched(rows[name]) for name in ("low", column, "high"))
    bars = {"array": np.maximum(high - middle, 0), "arrayminus": np.maximum(middle - low, 0)}
    return {"type": "data", **bars, "thickness": 1.2, "width": 3, "color": INK}


def _stretched_axis(rows: pl.DataFrame, columns: Sequence[str]) -> dict[str, object]:
    """Ticks in per cent and ends of an axis of stretched shares."""
    values = np.concatenate([_stretched(rows[name]) for name in columns if name in rows.columns])
    ticks = _stretched(pl.Series(TICKS) / 100)
    ends = [float(np.nanmin(values)) - 0.25, -float(np.log2(LEAST_MISSING)) + 0.3]
    return {"tickmode": "array", "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in TICKS], "range": ends}


def _write_f1(figure: go.Figure, rows: pl.DataFrame) -> None:
    """F1 and its interval as numbers, in a column on the right."""
    limits = {"low", "high"} <= set(rows.columns)
    for row in rows.iter_rows(named=True):
        known = limits and row["low"] is not None and row["high"] is not None
        interval = f" [{100 * row['low']:.1f}, {100 * row['high']:.1f}]" if known else ""
        figure.add_annotation(
            text=f"<b>{100 * row['f1']:.1f}</b>{interval}",
            x=1.01,
            xref="paper",
            y=row["place"],
            xanchor="left",
            showarrow=False,
            font_size=12,
        )


def _interval(rows: pl.DataFrame, column: str) -> dict[str, object] | None:
    """Bars from ``low`` to ``high`` of a share, in hundredths."""
    if not {"low", "high"} <= set(rows.columns):
        return None
    up, down = (rows["high"] - rows[column]).clip(0), (rows[column] - rows["low"]).clip(0)
    bars = {"array": compact(100 * up), "arrayminus": compact(100 * down)}
    return {"type": "data", **bars, "thickness": 1.2, "width": 3, "color": INK}


def _add_summary(
    figure: go.Figure, means: pl.DataFrame, column: str, name: str, marker: dict[str, object], *, words: bool = False
) -> None:
    told = [
        f"{100 * mean:.1f} ± {100 * (sd or 0):.1f}" if n > 1 else f"{100 * mean:.1f}"
        for mean, sd, n in means.select("mean", "sd", "n").iter_rows()
    ]
    figure.add_scatter(
        x=_stretched(means[column]),
        y=means["name"].to_list(),
        name=name,
        mode="markers+text" if words else "markers",
        text=told if words else None,
        textposition="top center",
        textfont_size=11,
        cliponaxis=False,
        marker=marker,
        customdata=compact(100 * means[column]),
        hovertemplate=f"%{{y}}: {name} %{{customdata:.1f}} %<extra></extra>",
    )


def _with_labels(rows: pl.DataFrame) -> pl.Series:
    """Whether each detector learned from labels."""
    if "learns from" not in rows.columns:
        return pl.repeat(value=False, n=rows.height, eager=True)
    return rows["learns from"].fill_null("") == "labels"


def _add_bars(figure: go.Figure, rows: pl.DataFrame, names: list[str], name: str, colour: str, edge: str) -> None:
    """Bars with F1 written at the foot of each, where no line crosses it."""
    figure.add_bar(
        x=compact(100 * rows["f1"].cast(pl.Float64)),
        y=names,
        name=name,
        orientation="h",
        marker={"color": colour, "line": {"color": edge, "width": 1.5}},
        error_x=_interval(rows, "f1"),
        hovertemplate="%{y}: %{x:.1f} %",
    )
    figure.add_scatter(
        x=[0.6] * len(names),
        y=names,
        mode="text",
        text=["" if value is None else f"{100 * value:.1f}" for value in rows["f1"].cast(pl.Float64).fill_nan(None)],
        textposition="middle right",
        textfont={"size": 12, "color": INK},
        showlegend=False,
        hoverinfo="skip",
    )


def _add_ceiling(figure: go.Figure, highest: float) -> None:
    words = f"no model of the sequence gets beyond {100 * highest:.1f} %"
    figure.add_vline(x=100 * highest, line={"color": ANOMALY, "width": 2, "dash": "dash"})
    figure.add_annotation(
        x=100 * highest,
        y=1.0,
        yref="paper",
        xanchor="right" if highest > HALF else "left",
        yanchor="bottom",
        showarrow=False,
        text=words,
        font={"size": 12, "color": ANOMALY},
    )


def _kinds(recalls: pl.DataFrame) -> pl.DataFrame:
    """Kinds of anomaly in the order of what they show in, with the name that is shown."""
    given = recalls.with_columns(
        pl.col("visible") if "visible" in recalls.columns else pl.lit(None, pl.String).alias("visible"),
        pl.col("rows") if "rows" in recalls.columns else pl.lit(None, pl.Int64).alias("rows"),
    )
    kinds = given.group_by("kind", maintain_order=True).agg(pl.col("visible").first(), pl.col("rows").max())
    places = {"events": 0, "counts": 1, "order": 2}
    ranked = kinds.with_columns(rank=pl.col("visible").replace_strict(places, default=UNSORTED, return_dtype=pl.Int64))
    ranked = ranked.sort("rank", "rows", descending=[False, True], nulls_last=True, maintain_order=True)
    words = [
        f"{kind.replace('_', ' ')}{f' ({visible})' if visible else ''}{'' if n is None else f', {n:,.0f}'}"
        for kind, visible, n in ranked.select("kind", "visible", "rows").iter_rows()
    ]
    return ranked.select("kind", pl.Series("shown", short(words, NAME_LENGTH)))


def _with_alarms(recalls: pl.DataFrame, detectors: Sequence[str]) -> list[str]:
    """Names of detectors, with their share of false alarms where it is known."""
    names = short(detectors, 26)
    if "real" not in recalls.columns:
        return names
    real = dict(recalls.group_by("detector").agg(pl.col("real").first()).iter_rows())
    return [
        name if real[detector] is None else f"{name}<br>({100 * real[detector]:.2g} % false alarms)"
        for name, detector in zip(names, detectors, strict=True)
    ]
