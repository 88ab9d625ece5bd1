"""Do clusters stay when rows are drawn again?"""

from typing import NamedTuple

import numpy as np

from utils.detectors.dbscan.graph import NeighbourGraph
from utils.detectors.dbscan.points import as_positive
from utils.errors import SettingsError
from utils.evaluation.clustering import adjusted_rand
from utils.evaluation.inputs import Floats, Ints
from utils.settings import SEED


class Stability(NamedTuple):
    """Agreement of clusterings of resampled rows with that of all rows.

    Attributes:
        mean: mean adjusted Rand index on the points that both have.
        lowest: the lowest of them.
        values: one a resample.
        clusters: clusters of each resample.
    """

    mean: float
    lowest: float
    values: Floats
    clusters: Ints


def stability(
    graph: NeighbourGraph, eps: float, min_samples: float, *, resamples: int = 10, seed: int = SEED
) -> Stability:
    """Cluster bootstrap samples of the rows and compare each with the clustering of all rows.

    A sample draws as many rows as there are, with replacement, so that densities stay what they are. Only the weights
    of the points change: the neighbours are found once. Noise counts as one cluster.

    Args:
        graph: neighbours up to ``eps`` or more.
        eps: radius.
        min_samples: weight of core points.
        resamples: samples, from 1 on.
        seed: of the samples.

    Returns:
        Adjusted Rand indices on the points of each sample, weighted with the rows that they stand for.

    Raises:
        SettingsError: if a setting is out of range.

    Source:
        Hennig, "Cluster-wise assessment of cluster stability", Computational Statistics & Data Analysis 2007.
    """
    if resamples < 1:
        raise SettingsError(f"stability needs at least 1 resample, found {resamples}: ask for more")
    steps, least = graph._checked(eps), as_positive("min_samples", min_samples)
    whole = graph._cluster(steps, graph._weigh(steps, least), least)[0][0]
    random, total = np.random.default_rng(seed), graph.weight.sum()
    values, clusters = np.empty(resamples), np.empty(resamples, np.int64)
    for sample in range(resamples):
        drawn = random.multinomial(max(1, round(total)), graph.weight / total)
        labels = _of_sample(graph.with_weight(drawn), steps, least)
        there = drawn > 0
        values[sample] = adjusted_rand(labels[there], whole[there], _counts(graph.weight[there]))
        clusters[sample] = labels[there].max() + 1
    return Stability(float(values.mean()), float(values.min()), values, clusters)


def _of_sample(graph: NeighbourGraph, steps: Floats, least: float) -> Ints:
    """Labels of a sample; points that were not drawn connect nothing."""
    near = graph._weigh(steps, least)
    near[:, graph.weight[graph._tree.order] == 0] = -np.inf
    labels: Ints = graph._cluster(steps, near, least)[0][0].astype(np.int64)
    return labels


def _counts(weight: Floats) -> Ints | None:
    """Whole weights as counts; importances are not counted."""
    return weight.astype(np.int64) if np.array_equal(weight, np.round(weight)) else None
