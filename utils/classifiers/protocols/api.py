"""API access behaviours: published features of call graphs, and all features of call graphs, one row a behaviour.

Rows of data centres are left out, as published: all of them are outliers. Copies of a behaviour are kept once.
``num_users``, ``num_sessions`` and ``api_access_uniqueness`` are never among the inputs: the label was made of them.

Global degrees count an interface's edges over ALL graphs of the file, test graphs among them. They need no label, but
a graph of tomorrow has not been counted: they are transductive, and so is every figure that rests on them. The raw
graphs of the real data are not at hand, so the published values are all there is.

Division: stratified at random, and besides so that equal feature vectors never stand on both sides.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from utils import settings
from utils.classifiers import candidates
from utils.classifiers.candidates import Candidate
from utils.classifiers.protocols import trials
from utils.classifiers.protocols.outcome import Earlier, Outcome, means
from utils.classifiers.protocols.trials import OutOfFold, SmoothF1
from utils.datasets import require
from utils.datasets.contract import LABEL, Dataset
from utils.evaluation import splits
from utils.evaluation.splits import Split
from utils.features.call_graph import PUBLISHED
from utils.settings import Budget

NAME, TABLE, UNIT = "api", "graphs", "behaviour"
IP_TYPE, DEFAULT, ID = "ip_type", "default", "_id"
NEVER = ("num_users", "num_sessions", "api_access_uniqueness")
"""Columns that the label was made of."""

REFERENCE = "api_graph_features.parquet"
TRANSDUCTIVE = "global degrees are counted over all graphs, those of the test part among them (transductive)"
NINE, ALL = "nine published features", "all features of the graphs"
TEST_SHARE = 0.2
METRICS = ("f1", "average_precision", "roc_auc")
EARLIER = {
    NINE: Earlier(
        {"f1": 0.954, "average_precision": 0.9825, "roc_auc": 0.9892},
        "best of three published notebooks (F1 .916 to .954): one split, threshold chosen on the test part, copies of "
        "outliers on both sides",
    ),
    ALL: Earlier(how="published with columns that give the answer away only"),
}


def run(
    data: Mapping[str, Dataset], processed: Mapping[str, Dataset], budget: Budget, *, seed: int, threads: int
) -> Iterator[Outcome | str]:
    """Judge the candidate on the published features, and on all features where they are at hand.

    Args:
        data: data sets by name.
        processed: their processed tables.
        budget: says how many splits.
        seed: of the models and of the choice of thresholds; the splits are the same whatever it is.
        threads: threads of a model.

    Yields:
        What was reached, or a sentence about what cannot be measured.
    """
    dataset = processed.get(NAME)
    if dataset is None or NAME not in data or TABLE not in dataset.frames:
        return
    frame = behaviours(dataset)
    for name, rows in ((NINE, frame), (ALL, graph_features(data[NAME], frame))):
        if rows is None:
            yield f"{NAME}, {name}: the table {REFERENCE} is not beside the real files, so this is left out."
            continue
        columns = [*PUBLISHED] if name == NINE else [each for each in rows.columns if each != LABEL]
        if missing := [column for column in columns if column not in rows.columns]:
            yield f"{NAME}, {name}: the table {TABLE} lacks {', '.join(missing)}, so this is left out."
            continue
        for grouped in (False, True):
            yield judged(rows, columns, name, budget.repeats, grouped=grouped, seed=seed, threads=threads)


def behaviours(dataset: Dataset) -> pl.DataFrame:
    """Rows of the processed table that the protocol takes: no data centres; features and label only.

    Args:
        dataset: the processed tables.

    Raises:
        SchemaError: if there is no label.
    """
    frame, roles = dataset[TABLE], dataset.roles[TABLE]
    require.columns(frame, [LABEL], "the table of call graphs")
    ordinary = frame.filter(pl.col(IP_TYPE) == DEFAULT) if IP_TYPE in frame.columns else frame
    return ordinary.select(LABEL, *(name for name in roles.features if name not in NEVER))


def graph_features(dataset: Dataset, frame: pl.DataFrame) -> pl.DataFrame | None:
    """All features of the call graphs, with ratios of them: one row a behaviour.

    Args:
        dataset: the data set as it was loaded.
        frame: of :func:`behaviours`; it has all features where the graphs are at hand.

    Returns:
        Label and features; nothing if neither the graphs nor the table of reference are at hand.
    """
    if "edges" in dataset.frames:
        return frame
    path = reference()
    if dataset.source != "real" or path is None:
        return None
    known = dataset["behaviors"].select(ID, LABEL, IP_TYPE)
    rows = pl.read_parquet(path).join(known, on=ID, how="inner", maintain_order="left")
    return _with_ratios(rows.filter((pl.col(IP_TYPE) == DEFAULT) & (pl.col("graph_num_edges") > 0)))


def reference() -> Path | None:
    """The table of reference beside the mirror of the real files, if there is one."""
    mirror = settings.current().data_mirror
    path = mirror.parent / "reference" / REFERENCE if mirror else None
    return path if path and path.is_file() else None


def judged(
    frame: pl.DataFrame,
    columns: list[str],
    name: str,
    repeats: int,
    *,
    grouped: bool = False,
    candidate: Candidate | None = None,
    first: int = 0,
    seed: int = settings.SEED,
    threads: int = 1,
) -> Outcome:
    """Judge a candidate on several splits.

    Args:
        frame: features and label, one row a behaviour.
        columns: the features to take.
        name: of the protocol.
        repeats: number of splits.
        grouped: whether equal feature vectors stay on one side.
        candidate: what is judged; that of the data set if not given.
        first: seed of the first split; the next ones follow.
        seed: of the model and of the choice of thresholds.
        threads: threads of the model.
    """
    chosen = candidate or candidates.of(NAME)
    vectors = splits.distinct_rows(frame, columns)
    y = frame[LABEL]

    def divided(number: int) -> Split:
        if grouped:
            return splits.grouped(y, vectors, TEST_SHARE, number)
        return splits.stratified(y, TEST_SHARE, number)

    def rule(split: Split) -> OutOfFold:
        groups = vectors[split.train] if grouped else None
        return OutOfFold(SmoothF1(), groups=groups, seed=seed)

    pipeline = chosen.pipeline(columns, seed=seed, threads=threads)
    each = trials.two_classes(pipeline, frame, y, (divided(first + k) for k in range(repeats)), rule)
    side = ", equal vectors on one side" if grouped else ""
    threshold = str(OutOfFold(SmoothF1()))
    return Outcome(
        table=(NAME, TABLE),
        name=f"{name}{side}",
        model=chosen.name,
        unit=UNIT,
        divided=f"one row an id, no data centres, {1 - TEST_SHARE:.0%} at random within class{side}",
        threshold=threshold,
        each=each,
        estimates=means(each, METRICS, UNIT, threshold),
        earlier=EARLIER[name] if not grouped else Earlier(),
        note=TRANSDUCTIVE,
    )


def _with_ratios(rows: pl.DataFrame) -> pl.DataFrame:
    """Features of the reference table that are no copies of each other, and how they compare with the graph's size."""
    size, nodes, loops = pl.col("graph_num_edges"), pl.col("graph_num_nodes"), pl.col("graph_self_loops")
    hub = {side: pl.col(f"graph_{side}_deg_max") for side in ("out", "in")}
    mean = {side: pl.col(f"graph_{side}_deg_mean") for side in ("out", "in")}
    sources, destinations = size / mean["out"], size / mean["in"]
    return rows.with_columns(
        n_connections=size,
        edges_per_node=size / nodes,
        edges_for_nodes=size / nodes.cast(pl.Float64).pow(1.3),
        self_loop_share=loops / size,
        self_loops_per_node=loops / nodes,
        self_loops_per_source=loops / sources,
        out_hub_share=hub["out"] / size,
        in_hub_share=hub["in"] / size,
        out_hub_reach=hub["out"] / nodes,
        in_hub_reach=hub["in"] / nodes,
        out_degree_spread=pl.col("graph_out_deg_std") / mean["out"],
        in_degree_spread=pl.col("graph_in_deg_std") / mean["in"],
        hubs=hub["in"] / hub["out"],
        page_rank_spread=pl.col("std_page_rank") * nodes,
        n_sources=sources,
        n_destinations=destinations,
        source_share=sources / nodes,
        destination_share=destinations / nodes,
        n_entries=nodes - destinations,
        n_ends=nodes - sources,
        n_passed=sources + destinations - nodes,
    ).drop(ID, IP_TYPE, "upstream_rows", "graph_num_edges", "min_in_degree", "min_clustering_coefficient")
