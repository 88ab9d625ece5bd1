"""API access behaviours: how clients walk through an API, as statistics and as call graphs.

Source: Kaggle ``tangodelta/api-access-behaviour-anomaly-dataset``, version 8. A behaviour is one call graph (which API
was called after which) with the statistics of all sessions that show it. The label comes from how many users share the
graph, so every statistic that betrays the number of users or sessions gives the label away and is withheld.
"""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from utils.datasets import schema
from utils.datasets.contract import ANOMALY_TYPE, LABEL, NORMAL, Assembled, Defect, Kind, Roles
from utils.errors import SchemaError

KIND: Kind = "call_graph"
BEHAVIOR_FILE = "supervised_dataset.csv"
GRAPH_FILE = "supervised_call_graphs.json"
FEATURE_FILE = "supervised_clean_data_w_features.parquet"
READS = (BEHAVIOR_FILE, GRAPH_FILE, FEATURE_FILE)
TRUTH = (
    "outlier: no second user shows this call graph (num_users = 1); normal: at least 101 users do. "
    "Set by the publishers from a clustering of call graphs, so it says 'rare', not 'malicious'."
)

ID = "_id"
DURATION = "inter_api_access_duration(sec)"
UNIQUENESS = "api_access_uniqueness"
SEQUENCE_LENGTH = "sequence_length(count)"
SESSION_DURATION = "vsession_duration(min)"
UNIQUE_APIS = "num_unique_apis"
UPSTREAM_ROWS = "upstream_rows"
OUTLIER = "outlier"
CLASSES = (NORMAL, OUTLIER)

BEHAVIOR_SCHEMA: schema.Schema = {
    ID: schema.Column(pl.String),
    DURATION: schema.Column(pl.Float64, nullable=True),
    UNIQUENESS: schema.Column(pl.Float64, nullable=True),
    SEQUENCE_LENGTH: schema.Column(pl.Float64),
    SESSION_DURATION: schema.Column(pl.Float64),
    "ip_type": schema.Column(pl.String),
    "num_sessions": schema.Column(pl.Float64),
    "num_users": schema.Column(pl.Float64),
    UNIQUE_APIS: schema.Column(pl.Float64),
    "source": schema.Column(pl.String),
    "classification": schema.Column(pl.String),
}
GRAPH_SCHEMA: schema.Schema = {
    ID: schema.Column(pl.String),
    "call_graph": schema.Column(pl.List(pl.Struct({"toId": pl.String, "fromId": pl.String})), nullable=True),
}
STD_GLOBAL_SOURCE = "std_global_source_degrees"
STD_LOCAL = "std_local_source_degrees"
PUBLISHED_FEATURES = (
    "n_connections",
    "avg_global_source_degrees",
    "min_global_source_degrees",
    "max_global_source_degrees",
    STD_GLOBAL_SOURCE,
    "avg_global_dest_degrees",
    "min_global_dest_degrees",
    "max_global_dest_degrees",
    STD_LOCAL,
)
FEATURE_SCHEMA: schema.Schema = {
    ID: schema.Column(pl.String),
    **{
        name: schema.Column(
            pl.Float64 if name.startswith(("avg", "std")) else pl.UInt32, nullable=name.startswith("std")
        )
        for name in PUBLISHED_FEATURES
    },
}
# The one behaviour with statistics but no edge: its row in the feature file was computed from a null edge.
EMPTY_GRAPH_ID = "286cf539-f6df-3af7-a0d9-fd9c0149b5d5"

FEATURES = (UNIQUE_APIS,)
POOLED = "is pooled over the sessions of all users that share the behaviour, and their number is the label"
WITHHELD = {
    "num_users": "is the label: 1 for every outlier, at least 101 for every normal behaviour",
    "num_sessions": "follows from the number of users: alone it ranks the classes with AUC above 0.99",
    UNIQUENESS: "distinct APIs over calls of all sessions: alone it ranks the classes with AUC above 0.99",
    SEQUENCE_LENGTH: f"{POOLED}: a mean over many users is hardly ever a whole number, that of one user always is",
    DURATION: f"{POOLED}: with {SESSION_DURATION} and {UNIQUE_APIS} it reaches AUC 0.995",
    SESSION_DURATION: f"{POOLED}: with {DURATION} and {UNIQUE_APIS} it reaches AUC 0.995",
    "ip_type": "every behaviour from a data centre is an outlier: compare within one kind of address",
    "source": "names one of two applications with different shares of outliers: use it to group results",
    UPSTREAM_ROWS: "how often the file repeats the row: only outliers are repeated",
}


def read(files: Mapping[str, Path]) -> dict[str, pl.DataFrame]:
    """Read the files that are at hand.

    Args:
        files: paths by file name; the graphs and the published features are optional.

    Returns:
        ``behaviors``, and where at hand ``edges`` (one row an edge, an empty graph as one row without ends) and
        ``features``.

    Raises:
        DataError: if the table of behaviours is not among them.
        SchemaError: if a file is not what it must be.
    """
    raw = {"behaviors": schema.read_csv(schema.take(files, BEHAVIOR_FILE), BEHAVIOR_SCHEMA)}
    schema.one_of(raw["behaviors"], "classification", CLASSES, BEHAVIOR_FILE)
    if GRAPH_FILE in files:
        raw["edges"] = _read_graphs(files[GRAPH_FILE])
    if FEATURE_FILE in files:
        raw["features"] = schema.read_parquet(files[FEATURE_FILE], FEATURE_SCHEMA)
    return raw


def assemble(raw: Mapping[str, pl.DataFrame]) -> Assembled:
    """Clean the raw tables and say what their columns mean.

    Behaviours stand once each, rows without statistics are dropped, edges are distinct, and the published features are
    corrected for the repetition of seven graphs.

    Raises:
        SchemaError: if one id stands for different behaviours.
    """
    behaviors, defects = _behaviors(raw["behaviors"])
    frames, roles = {"behaviors": behaviors}, {"behaviors": _behavior_roles()}
    if "edges" in raw:
        frames["edges"], found = _edges(raw["edges"], behaviors)
        roles["edges"] = Roles(unit="edge", identity=(ID, "from", "to"), group=ID)
        defects += found
    if "features" in raw:
        frames["features"], found = _features(raw["features"], behaviors)
        roles["features"] = _feature_roles()
        defects += found
    return Assembled(frames, roles, TRUTH, tuple(defects))


def _read_graphs(path: Path) -> pl.DataFrame:
    graphs = schema.read_json(path, GRAPH_SCHEMA)
    edges = graphs.explode("call_graph", empty_as_null=True).unnest("call_graph")
    edges = edges.select(ID, pl.col("fromId").alias("from"), pl.col("toId").alias("to"))
    half = edges["from"].is_null() != edges["to"].is_null()
    if half.any():
        graph = edges.filter(half)[ID][0]
        wanted = "edges with both fromId and toId"
        raise SchemaError(f"{path.name} must hold {wanted}, found one without in graph {graph!r}: {schema.REMEDY}")
    return edges


def _behaviors(raw: pl.DataFrame) -> tuple[pl.DataFrame, list[Defect]]:
    repeats = raw.select(ID).group_by(ID).agg(pl.len().alias(UPSTREAM_ROWS))
    once = raw.unique(maintain_order=True)
    if once[ID].is_duplicated().any():
        twice = once.filter(pl.col(ID).is_duplicated())[ID][0]
        raise SchemaError(f"each _id must stand for one behaviour, found two different rows for {twice!r}: correct one")
    known = once.drop_nulls([DURATION, UNIQUENESS])
    behaviors = known.with_columns(
        (pl.col("classification") == OUTLIER).alias(LABEL),
        pl.col(ANOMALY_TYPE if ANOMALY_TYPE in raw.columns else "classification").alias(ANOMALY_TYPE),
    ).join(repeats, on=ID, how="left", maintain_order="left", validate="1:1")
    ids = int((repeats[UPSTREAM_ROWS] > 1).sum())
    found = [
        Defect(f"{ids} behaviours stand several times, with the same values", raw.height - once.height, "kept once"),
        Defect("no statistics at all (sequence length 0)", once.height - known.height, "rows dropped"),
    ]
    return behaviors.drop("classification"), [defect for defect in found if defect.rows]


def _edges(raw: pl.DataFrame, behaviors: pl.DataFrame) -> tuple[pl.DataFrame, list[Defect]]:
    empty = raw.filter(pl.col("from").is_null())[ID].n_unique()
    filled = raw.drop_nulls(["from", "to"])
    edges = filled.unique(maintain_order=True)
    known = edges.join(behaviors.select(ID), on=ID, how="semi", maintain_order="left")
    found = [
        Defect("behaviours whose call graph is empty", empty, "no edges; they have no graph features"),
        Defect("edges that stand several times in a graph", filled.height - edges.height, "kept once"),
        Defect("edges of behaviours that are not in the table", edges.height - known.height, "dropped"),
    ]
    return known, [defect for defect in found if defect.rows]


def _features(raw: pl.DataFrame, behaviors: pl.DataFrame) -> tuple[pl.DataFrame, list[Defect]]:
    repeats = raw.select(ID).group_by(ID).agg(pl.len().alias(UPSTREAM_ROWS))
    once = raw.unique(ID, keep="first", maintain_order=True).join(repeats, on=ID, how="left", maintain_order="left")
    corrected = _without_repetition(once.filter(pl.col(ID) != EMPTY_GRAPH_ID))
    labelled = corrected.join(behaviors.select(ID, LABEL, ANOMALY_TYPE), on=ID, how="inner", maintain_order="left")
    several = int((once[UPSTREAM_ROWS] > 1).sum())
    transductive = sum("global" in name for name in PUBLISHED_FEATURES)
    found = [
        Defect(
            "graphs that were counted several times over: n_connections, std_global_source_degrees and "
            "std_local_source_degrees are wrong, global degrees of the same APIs a little too high",
            several,
            "the three columns recomputed exactly; global degrees cannot be repaired without the graphs",
        ),
        Defect("features of an empty graph, computed from a null edge", once.height - corrected.height, "row dropped"),
        Defect(
            f"{transductive} of the published features count edges over ALL graphs of the file, test graphs included",
            labelled.height,
            "kept as published; recompute them from training graphs where the graphs are at hand",
        ),
        Defect(
            f"{STD_LOCAL} is in truth the deviation of local DESTINATION degrees",
            labelled.height,
            "kept under its published name",
        ),
    ]
    return labelled.drop(UPSTREAM_ROWS), [defect for defect in found if defect.rows]


def _without_repetition(features: pl.DataFrame) -> pl.DataFrame:
    """Undo that a graph of n edges went in k times over.

    Repetition leaves mean, smallest and largest value alone. It multiplies the number of edges and each local degree by
    k, and the sum of squares of any edge value by k, which the sample deviation then divides by kn - 1, not n - 1.
    """
    times = pl.col(UPSTREAM_ROWS)
    published = pl.col("n_connections")
    edges = published // times
    factor = ((published - 1) / (times * (edges - 1))).sqrt()
    repeated = times > 1
    return features.with_columns(
        edges.cast(pl.UInt32).alias("n_connections"),
        _where(repeated, pl.when(edges > 1).then(pl.col(STD_GLOBAL_SOURCE) * factor), STD_GLOBAL_SOURCE),
        _where(repeated, pl.when(edges > 1).then(pl.col(STD_LOCAL) / times * factor), STD_LOCAL),
    )


def _where(condition: pl.Expr, value: pl.Expr, column: str) -> pl.Expr:
    return pl.when(condition).then(value).otherwise(pl.col(column)).alias(column)


def _behavior_roles() -> Roles:
    return Roles(
        unit="behaviour", label=LABEL, anomaly_type=ANOMALY_TYPE, features=FEATURES, identity=(ID,), withheld=WITHHELD
    )


def _feature_roles() -> Roles:
    counted = {name: "counted over all graphs of the file" for name in PUBLISHED_FEATURES if "global" in name}
    return Roles(
        unit="behaviour",
        label=LABEL,
        anomaly_type=ANOMALY_TYPE,
        features=PUBLISHED_FEATURES,
        identity=(ID,),
        notes=counted,
    )
