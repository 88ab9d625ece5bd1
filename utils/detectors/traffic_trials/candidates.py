"""Detectors of odd edges and hosts; each learns from one part of the past, and another part gives its threshold."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import polars as pl

from utils.datasets.contract import LABEL
from utils.detectors.outliers import IsolationForest
from utils.detectors.rules import MeanPlusSigma
from utils.detectors.traffic_trials.tables import Traffic
from utils.evaluation.conformal import ConformalCombination
from utils.evaluation.inputs import Bools, Floats
from utils.features.tables.rows import pair_features
from utils.features.traffic_graphs.windows import DST, PORTS, SRC, VOLUMES

TREES, SAMPLE = 100, 2_048
MOST_NORMALS = 40_000
"""Normal rows that a classifier learns from, at equal distances in time; of anomalies it takes all."""

MAD_TO_SIGMA = 1.4826
LEAST_MAD = 0.1

PUBLISHED = "mean + k sigma"
PUBLISHED_K = "mean + 3 sigma, k as published"
ROBUST = "median and MAD of each edge"
RAW_FOREST = "isolation forest on volumes"
NEW_EDGE = "new edge"
FOREST = "isolation forest on graph features"
HISTORY = "history of the edge"
GRAPH = "graph around the edge"
COMBINED = "history and graph, p-values"
LABELS = "with labels, volumes and proportions"
LABELS_GRAPH = "with labels, graph features"

OF_HISTORY = (
    "flows_surprise",
    "silence_surprise",
    "packets_a_flow_deviation",
    "bytes_a_packet_deviation",
    "beat",
)
OF_GRAPH = ("new_edge_surprise", "fan_out_surprise", "fan_in_surprise", "host_silence")
OF_HOSTS = (
    "fan_out_surprise",
    "fan_in_surprise",
    "new_edges",
    "host_silence",
    "flows_out_deviation",
    "bytes_out_deviation",
    "balance_deviation",
)
KINDS: Mapping[str, str] = MappingProxyType(
    {
        PUBLISHED: "volumes",
        PUBLISHED_K: "volumes",
        ROBUST: "volumes",
        RAW_FOREST: "volumes",
        NEW_EDGE: "graph and history",
        FOREST: "graph and history",
        HISTORY: "graph and history",
        GRAPH: "graph and history",
        COMBINED: "graph and history",
        LABELS: "with labels of the past",
        LABELS_GRAPH: "with labels of the past",
    }
)
"""Kind of each detector, for figures."""


def edge_scores(traffic: Traffic, features: pl.DataFrame, seed: int) -> dict[str, Callable[[], Floats]]:
    """Name the detectors of edges; each gives scores of all rows when called, HIGHER = MORE ABNORMAL.

    Args:
        traffic: edges of n rows and their parts.
        features: columns of :class:`~utils.features.traffic_graphs.TrafficFeatures`, n rows.
        seed: of forests.
    """
    edges, learned = traffic.edges, traffic.learned
    volumes = [*VOLUMES, *([PORTS] if PORTS in edges.columns else [])]
    ports = tuple(name for name in features.columns if name.startswith(PORTS))
    raw, described = edges.select(volumes).to_numpy(), signed_away(features).to_numpy()
    return {
        PUBLISHED: lambda: _mean_plus_sigma(edges, learned, volumes),
        ROBUST: lambda: _robust(edges, learned),
        RAW_FOREST: lambda: _forest(raw, learned, seed),
        NEW_EDGE: lambda: features["new_edge_surprise"].to_numpy(),
        FOREST: lambda: _forest(described, learned, seed),
        HISTORY: lambda: combined(features, traffic.held, (*OF_HISTORY, *ports)),
        GRAPH: lambda: combined(features, traffic.held, OF_GRAPH),
        COMBINED: lambda: combined(features, traffic.held, (*OF_HISTORY, *OF_GRAPH, *ports)),
    }


def labelled_scores(traffic: Traffic, features: pl.DataFrame, seed: int) -> dict[str, Callable[[], Floats]]:
    """Name the classifiers that learn from the labels of the past; each gives scores of all rows when called.

    Args:
        traffic: edges of n rows and their parts.
        features: as :func:`edge_scores`.
        seed: of the classifier.
    """
    proportions = pl.concat([traffic.edges.select(VOLUMES), pair_features(traffic.edges)], how="horizontal")
    return {
        LABELS: lambda: _classifier(traffic, proportions.to_numpy(), seed),
        LABELS_GRAPH: lambda: _classifier(
            traffic, pl.concat([proportions, signed_away(features)], how="horizontal").to_numpy(), seed
        ),
    }


def host_scores(hosts: pl.DataFrame, learned: Bools, held: Bools, seed: int) -> dict[str, Callable[[], Floats]]:
    """Name the detectors of hosts by their own features; each gives scores of all rows when called.

    Args:
        hosts: rows of :meth:`~utils.features.traffic_graphs.TrafficFeatures.hosts`, m rows.
        learned: rows to learn from, shape (m,).
        held: rows for p-values, shape (m,).
        seed: of the forest.
    """
    features = signed_away(hosts.drop("window", "time", "host"))
    return {
        "isolation forest on host features": lambda: _forest(features.to_numpy(), learned, seed),
        "host features, p-values": lambda: combined(features, held, OF_HOSTS),
    }


def signed_away(features: pl.DataFrame) -> pl.DataFrame:
    """Take deviations without their sign: too much is as odd as too little."""
    return features.with_columns(pl.col(name).abs() for name in features.columns if name.endswith("_deviation"))


def combined(features: pl.DataFrame, held: Bools, names: Sequence[str]) -> Floats:
    """Combine features by the smallest of their conformal p-values; HIGHER = MORE ABNORMAL, shape (n,)."""
    table = signed_away(features.select(name for name in names if name in features.columns)).to_numpy()
    return ConformalCombination("min").fit(table[held]).score_samples(table)


def _mean_plus_sigma(edges: pl.DataFrame, learned: Bools, volumes: Sequence[str]) -> Floats:
    usual = edges.filter(pl.Series(learned))
    varying = [name for name in volumes if usual[name].n_unique() > 1]
    if not varying:
        return np.zeros(edges.height)
    return MeanPlusSigma(3.0, features=varying).fit(usual).score_samples(edges)


def _robust(edges: pl.DataFrame, learned: Bools) -> Floats:
    """Largest distance of a volume from the median of its edge, in MADs; unknown edges are compared with all."""
    logs = edges.select(SRC, DST, *(pl.col(name).cast(pl.Float64).log1p() for name in VOLUMES))
    usual = logs.filter(pl.Series(learned))
    middle = [pl.col(name).median().alias(f"{name}_middle") for name in VOLUMES]
    spread = [(pl.col(name) - pl.col(name).median()).abs().median().alias(f"{name}_mad") for name in VOLUMES]
    joined = logs.join(usual.group_by(SRC, DST).agg(middle + spread), on=[SRC, DST], how="left", maintain_order="left")
    whole = usual.select(middle + spread).row(0, named=True)
    apart = [
        (pl.col(name) - pl.col(f"{name}_middle").fill_null(whole[f"{name}_middle"])).abs()
        / (MAD_TO_SIGMA * pl.col(f"{name}_mad").fill_null(whole[f"{name}_mad"])).clip(LEAST_MAD)
        for name in VOLUMES
    ]
    return joined.select(pl.max_horizontal(apart)).to_series().to_numpy()


def _forest(table: Floats, learned: Bools, seed: int) -> Floats:
    return IsolationForest(TREES, sample=SAMPLE, seed=seed).fit(table[learned]).score_samples(table)


def _classifier(traffic: Traffic, table: Floats, seed: int) -> Floats:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    guilty = traffic.edges[LABEL].to_numpy()
    learned = np.flatnonzero(learned_with_labels(traffic))
    normal = learned[~guilty[learned]]
    normal = normal[:: max(1, len(normal) // MOST_NORMALS)]
    rows = np.concatenate([normal, learned[guilty[learned]]])
    model = HistGradientBoostingClassifier(max_iter=100, early_stopping=False, random_state=seed)
    with threadpool_limits(1):
        return np.asarray(model.fit(table[rows], guilty[rows]).predict_proba(table)[:, 1])


def learned_with_labels(traffic: Traffic) -> Bools:
    """Rows of the past that come no later than those the others learn from, anomalies among them, shape (n,)."""
    window = traffic.edges["window"].to_numpy()
    return np.asarray(window <= window[traffic.learned].max())
