"""Figures of notebook 09: how far counting and sequence models get on log sessions, one by one and by kind of anomaly.

Every figure is made of aggregates. What differs by colour differs by symbol, dash, fill or place too, so that figures
can be read in greyscale.
"""

from collections.abc import Sequence

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
MEASURES = {"precision": ("#0072B2", "square"), "recall": ("#E69F00", "diamond")}
BELOW_TITLE = {"margin_t": 88, "legend_yanchor": "bottom", "legend_y": 1.01}
UNSORTED = 99


def detector_f1(
    board: pl.DataFrame, *, order: Sequence[str] = (), title: str = "Do sequence models beat counting?"
) -> go.Figure:
    """F1 with interval, precision and recall of each detector, by kind of detector; published ones are hollow.

    Args:
        board: one row a detector: ``detector``, ``kind`` and ``f1`` in 0..1; optionally ``low`` and ``high`` (interval
            of F1), ``precision``, ``recall``, and ``how`` (how the number was found, for the hover text). Rows of the
            kind "published" are the peers' own numbers.
        order: kinds from top to bottom; others follow in their order, published ones last.
        title: what the figure shows.

    Raises:
        SchemaError: if the board lacks a column.
    """
    require.columns(board, ("detector", "kind", "f1"), TABLE)
    shown = _grouped(board, order)
    axis = "per cent of the test part (the nearer to 100, the wider the scale)"
    figure = new_figure(title, axis, height=max(LEAST_HEIGHT, 170 + ROW * shown.height))
    marked = shown.drop_nulls("f1")
    if marked.is_empty():
        return nothing_to_show(figure, "no detector was judged")
    for name, (colour, symbol) in MEASURES.items():
        _add_points(figure, marked, name, name, {"color": colour, "symbol": f"{symbol}-open", "size": 8})
    published = pl.col("kind") == PUBLISHED
    solid, hollow = {"color": INK, "symbol": "circle", "size": 11}, {"color": INK, "symbol": "circle-open", "size": 11}
    _add_points(figure, marked.filter(~published), "f1", "F1", solid, interval=True)
    _add_points(figure, marked.filter(published), "f1", "F1 as published", hollow | {"line": {"width": 2}})
    labels = {"tickmode": "array", "tickvals": shown["place"].to_list(), "ticktext": shown["label"].to_list()}
    figure.update_yaxes(**labels, range=[shown.height - 0.4, -0.6], showgrid=False)
    _write_f1(figure, marked)
    figure.update_xaxes(**_stretched_axis(marked, ("f1", "low", *MEASURES)))
    return figure.update_layout(**BELOW_TITLE, margin_r=132)


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
    figure = new_figure(title, "F1 on all other sessions (%)")
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
        x=compact(100 * known["f1"]),
        y=known["name"].to_list(),
        name="one draw",
        mode="markers",
        marker={"color": TRAIN, "symbol": "circle-open", "size": 9},
        hovertemplate="%{y}: %{x:.1f} %",
    )
    _add_summary(figure, means, "worst", "worst draw", {"color": ANOMALY, "symbol": "x", "size": 9})
    _add_summary(
        figure, means, "mean", "mean", {"color": INK, "symbol": "line-ns", "size": 16, "line": {"width": 3}}, words=True
    )
    figure.update_xaxes(range=_range(known, ("f1",), room=8))
    return figure.update_yaxes(**rows_named(names), showgrid=False)


def truncation(
    ceiling: float | None,
    rows: pl.DataFrame,
    *,
    title: str = "How near does anything get to what a truncated log allows?",
) -> go.Figure:
    """F1 of each detector on the truncated log as bars, the computed ceiling as a line; published bars are hollow.

    Args:
        ceiling: highest F1 that any model of the sequences can reach, as
            :func:`utils.audit.sequences.f1_ceiling` computes it, in 0..1; ``None`` if it is unknown.
        rows: one row a detector: ``detector`` and ``f1`` in 0..1, and optionally ``low``, ``high`` and ``kind``
            ("published" for numbers of others).
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(rows, ("detector", "f1"), TABLE)
    names = short(rows["detector"], NAME_LENGTH)
    figure = new_figure(title, "F1 (%)", height=max(LEAST_HEIGHT - 60, 176 + (ROW + 8) * len(names)), margin_t=86)
    if not names:
        return nothing_to_show(figure, "no detector was judged")
    theirs = rows["kind"].eq_missing(PUBLISHED) if "kind" in rows.columns else pl.Series([False] * rows.height)
    figure.add_bar(
        x=compact(100 * rows["f1"]),
        y=names,
        orientation="h",
        marker={
            "color": ["white" if other else NORMAL for other in theirs],
            "line": {"color": [TRAIN if other else "#5F8DAE" for other in theirs], "width": 1.5},
        },
        error_x=_interval(rows, "f1"),
        hovertemplate="%{y}: %{x:.1f} %<extra></extra>",
        showlegend=False,
    )
    _add_values(figure, rows, names)
    if ceiling is not None and np.isfinite(ceiling):
        words = {"text": f"no model of the sequence gets beyond {100 * ceiling:.1f} %", "font_size": 12}
        line = {"color": ANOMALY, "width": 2, "dash": "dash"}
        figure.add_vline(x=100 * ceiling, line=line)
        figure.add_annotation(x=100 * ceiling, y=1.0, yref="paper", yanchor="bottom", showarrow=False, **words)
    figure.update_xaxes(range=[0, 100])
    return figure.update_yaxes(**rows_named(names), showgrid=False)


def recall_by_type(
    recalls: pl.DataFrame, *, most: int = 30, title: str = "Which kinds of anomaly does each detector find?"
) -> go.Figure:
    """Recall of each kind of anomaly by detector, with what gives the kind away.

    Args:
        recalls: one row a detector and kind: ``detector``, ``anomaly_type``, ``recall`` in 0..1, and optionally
            ``visible`` (in what the kind shows: "events", "counts" or "order") and ``sessions`` (of that kind).
        most: most kinds.
        title: what the figure shows.

    Raises:
        SchemaError: if the table lacks a column.
    """
    require.columns(recalls, ("detector", "anomaly_type", "recall"), TABLE)
    figure = new_figure(title, "", "kind of anomaly (what it shows in), sessions")
    if recalls.is_empty():
        return nothing_to_show(figure, "no kind of anomaly is known")
    kinds = _kinds(recalls).head(most)
    detectors = recalls["detector"].unique(maintain_order=True).to_list()
    table = recalls.pivot("detector", index="anomaly_type", values="recall", aggregate_function="first")
    table = kinds.join(table, on="anomaly_type", how="left", maintain_order="left", suffix=" of the detector")
    cells = np.column_stack([compact(100 * table[name]) for name in detectors])
    add_shares(figure, cells, short(detectors, 26), kinds["shown"].to_list(), "recall<br>(%)")
    figure.update_layout(height=max(LEAST_HEIGHT, 190 + ROW * kinds.height))
    return figure.update_xaxes(side="bottom", title_text="detector").update_yaxes(title_standoff=14)


def _grouped(board: pl.DataFrame, order: Sequence[str]) -> pl.DataFrame:
    """Detectors below a line with the name of their kind, best first, each with its place and label."""
    kinds = [*order, *(kind for kind in board["kind"].unique(maintain_order=True) if kind not in order)]
    kinds.sort(key=PUBLISHED.__eq__)
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


def _range(rows: pl.DataFrame, columns: Sequence[str], room: float = 3.0) -> list[float]:
    """Ends of an axis in per cent: a little below the lowest share, a little above 100."""
    given = rows.select(pl.col(name).cast(pl.Float64).fill_nan(None) for name in columns if name in rows.columns)
    lowest = given.min().transpose().to_series().min()
    least = 100 * float(lowest) if lowest is not None else 0.0  # type: ignore[arg-type]
    return [max(-1.0, 5 * np.floor((least - 1) / 5)), 100 + (100 - least) / 100 * room + 0.4]


def _add_summary(
    figure: go.Figure, means: pl.DataFrame, column: str, name: str, marker: dict[str, object], *, words: bool = False
) -> None:
    told = [
        f"{100 * mean:.1f} ± {100 * (sd or 0):.1f}" if n > 1 else f"{100 * mean:.1f}"
        for mean, sd, n in means.select("mean", "sd", "n").iter_rows()
    ]
    figure.add_scatter(
        x=compact(100 * means[column]),
        y=means["name"].to_list(),
        name=name,
        mode="markers+text" if words else "markers",
        text=told if words else None,
        textposition="top center",
        textfont_size=11,
        cliponaxis=False,
        marker=marker,
        hovertemplate=f"%{{y}}: {name} %{{x:.1f}} %<extra></extra>",
    )


def _add_values(figure: go.Figure, rows: pl.DataFrame, names: Sequence[str]) -> None:
    """Write F1 at the foot of each bar, where no line crosses it."""
    figure.add_scatter(
        x=[0.6] * len(names),
        y=list(names),
        mode="text",
        text=["" if value is None else f"{100 * value:.1f}" for value in rows["f1"].fill_nan(None)],
        textposition="middle right",
        textfont={"size": 12, "color": INK},
        showlegend=False,
        hoverinfo="skip",
    )


def _kinds(recalls: pl.DataFrame) -> pl.DataFrame:
    """Kinds of anomaly in the order of what they show in, with the name that is shown."""
    given = recalls.with_columns(
        pl.col("visible") if "visible" in recalls.columns else pl.lit(None, pl.String).alias("visible"),
        pl.col("sessions") if "sessions" in recalls.columns else pl.lit(None, pl.Int64).alias("sessions"),
    )
    kinds = given.group_by("anomaly_type", maintain_order=True).agg(pl.col("visible").first(), pl.col("sessions").max())
    places = {"events": 0, "counts": 1, "order": 2}
    ranked = kinds.with_columns(rank=pl.col("visible").replace_strict(places, default=UNSORTED, return_dtype=pl.Int64))
    ranked = ranked.sort("rank", "sessions", descending=[False, True], nulls_last=True, maintain_order=True)
    words = [
        f"{kind.replace('_', ' ')}{f' ({visible})' if visible else ''}{'' if n is None else f', {n:,.0f}'}"
        for kind, visible, n in ranked.select("anomaly_type", "visible", "sessions").iter_rows()
    ]
    return ranked.select("anomaly_type", pl.Series("shown", short(words, NAME_LENGTH)))
