"""The pictures that suit a data set, chosen by what its columns are, so a user's own data get them too."""

import re
from collections import Counter
from collections.abc import Iterator

import plotly.graph_objects as go
import polars as pl

from utils.datasets import profile
from utils.datasets.contract import Dataset, Roles
from utils.plots import exploration

TEXT_LENGTH = 6.0
TEXT_DISTINCT = 200
MOST_POINTS = 400
FEW_KINDS = 2
MOST_TEXTS = 2


def portraits(dataset: Dataset) -> dict[str, go.Figure]:
    """Draw a data set: kinds of anomaly, time, sessions, text, call graphs and host pairs, where it has them.

    Returns:
        Figures by a name that is good for a file, such as ``"flows_timeline"``.
    """
    drawn = [(frame, kind, figure) for frame in dataset.frames for kind, figure in _portraits_of(dataset, frame)]
    titles = Counter(figure.layout.title.text for _, _, figure in drawn)
    for frame, _, figure in drawn:
        if titles[figure.layout.title.text] > 1:
            figure.update_layout(title_text=f"{figure.layout.title.text} ({frame})")
    return {re.sub(r"[^\w.-]+", "_", f"{frame}_{kind}"): figure for frame, kind, figure in drawn}


def _portraits_of(dataset: Dataset, frame: str) -> Iterator[tuple[str, go.Figure]]:
    data, roles = dataset[frame], dataset.roles[frame]
    if data.is_empty():
        return
    if roles.anomaly_type and (roles.split or data[roles.anomaly_type].n_unique() > FEW_KINDS):
        yield "kinds", exploration.composition(dataset, frame)
    if roles.time and data.schema[roles.time].is_temporal():
        yield "timeline", exploration.timeline(dataset, frame)
    if roles.sequence and (roles.label or not any(other.label for other in dataset.roles.values())):
        yield "sessions", exploration.session_profile(dataset, _weighted_sequences(dataset, frame), roles.unit)
    for column in _free_text(data, roles):
        yield f"{column}_characters", exploration.text_profile(dataset, frame, column)
    if {"from", "to"} <= set(data.columns):
        yield "graphs", exploration.graph_profile(dataset, *_graph_tables(dataset, frame))
    if {"src", "dst", "bytes"} <= set(data.columns):
        yield "hosts", exploration.host_matrix(dataset, data.group_by("src", "dst").agg(pl.col("bytes").sum()))


def _weighted_sequences(dataset: Dataset, frame: str) -> pl.DataFrame:
    data, roles = dataset[frame], dataset.roles[frame]
    key = str(roles.sequence)
    counted = data.select(key, profile.class_of(data, roles)).group_by(key, "class").agg(count=pl.len())
    if isinstance(data.schema[key], pl.List):
        return counted.rename({key: "events"})
    holder = next(
        name for name, other in dataset.frames.items() if name != frame and {key, "events"} <= set(other.columns)
    )
    return counted.join(dataset[holder].select(key, "events"), on=key)


def _free_text(data: pl.DataFrame, roles: Roles) -> list[str]:
    """Text features of labelled frames that are long and varied enough for their characters to say something."""
    names = [name for name in roles.features if roles.label and data.schema.get(name) == pl.String]
    facts = (
        data.select(
            *(pl.col(name).str.len_chars().mean().alias(f"{name} length") for name in names),
            *(pl.col(name).n_unique().alias(f"{name} distinct") for name in names),
        ).row(0, named=True)
        if names
        else {}
    )
    telling = [
        name
        for name in names
        if (facts[f"{name} length"] or 0) >= TEXT_LENGTH and facts[f"{name} distinct"] >= TEXT_DISTINCT
    ]
    return sorted(telling, key=lambda name: -facts[f"{name} length"])[:MOST_TEXTS]


def _graph_tables(dataset: Dataset, frame: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    edges = dataset[frame]
    key = next(name for name in edges.columns if name not in {"from", "to"})
    sizes = edges.group_by(key).agg(edges=pl.len())
    owner = next((name for name, roles in dataset.roles.items() if roles.label and key in dataset[name].columns), None)
    if owner is None:
        labelled = sizes.with_columns(pl.lit("unclassified").alias("class"))
    else:
        verdicts = dataset[owner].select(key, profile.class_of(dataset[owner], dataset.roles[owner]))
        labelled = sizes.join(verdicts, on=key)
    ends = pl.concat([edges.select(key, endpoint="from"), edges.select(key, endpoint="to")]).unique()
    shares = ends.group_by("endpoint").agg(share=pl.len() / max(sizes.height, 1)).sort("share", descending=True)
    return labelled, shares.head(MOST_POINTS).select("share").with_row_index("rank", offset=1)
