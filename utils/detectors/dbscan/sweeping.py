"""Many settings of DBSCAN from one neighbour graph."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from utils.detectors.dbscan.graph import Labels, NeighbourGraph
from utils.detectors.dbscan.points import as_positive
from utils.errors import SettingsError
from utils.evaluation.inputs import Bools, Floats


@dataclass(frozen=True, eq=False)
class Sweep:
    """Clusterings of the same points with several settings.

    Attributes:
        eps: radius of each setting (s,).
        min_samples: weight of a core point of each setting (s,).
        labels: cluster of each point for each setting, -1 for noise (s, k).
        core: which points are core points (s, k).
        weight: rows that each point stands for (k,).
    """

    eps: Floats
    min_samples: Floats
    labels: Labels
    core: Bools
    weight: Floats

    @property
    def table(self) -> pl.DataFrame:
        """One row a setting: clusters, and shares of the rows (noise, core, border, largest cluster)."""
        total = self.weight.sum()
        noise = (self.labels < 0) @ self.weight / total
        core = self.core @ self.weight / total
        sizes = [np.bincount(labels[labels >= 0], self.weight[labels >= 0]) for labels in self.labels]
        return pl.DataFrame(
            {
                "eps": self.eps,
                "min_samples": self.min_samples,
                "clusters": self.labels.max(axis=1).astype(np.int64) + 1,
                "noise_share": noise,
                "core_share": core,
                "border_share": np.maximum(1 - noise - core, 0.0),
                "largest_share": [size.max() / total if size.size else 0.0 for size in sizes],
            }
        )

    def labels_of(self, eps: float, min_samples: float) -> Labels:
        """Labels of one setting (k,).

        Raises:
            SettingsError: if the setting was not swept.
        """
        found = np.flatnonzero((self.eps == eps) & (self.min_samples == min_samples))
        if not found.size:
            swept = f"eps {self.eps.min():g} to {self.eps.max():g} and min_samples "
            swept += f"{self.min_samples.min():g} to {self.min_samples.max():g}"
            asked = f"eps={eps:g} and min_samples={min_samples:g}"
            raise SettingsError(
                f"a setting must be one of the {len(self.eps)} that were swept ({swept}), found {asked}"
            )
        labels: Labels = self.labels[found[0]]
        return labels


def sweep(graph: NeighbourGraph, eps: Sequence[float], min_samples: Sequence[float]) -> Sweep:
    """Cluster with every pair of a radius and a weight of core points.

    For each ``min_samples`` the radii are gone through upwards, so that clusters are only ever united: each pair of
    neighbours is united once, whatever the number of radii.

    Args:
        graph: neighbours up to the largest radius.
        eps: radii, none above that of the graph.
        min_samples: weights within the radius, itself included, that make a core point.

    Returns:
        Clusterings by rising ``min_samples``, then rising ``eps``; each equal to that of scikit-learn's DBSCAN.

    Raises:
        SettingsError: if a setting is not positive or a radius too large.
    """
    steps = np.unique(graph._checked(np.asarray(eps)))
    least = np.unique([as_positive("min_samples", value) for value in min_samples])
    if not least.size:
        raise SettingsError("min_samples must be one number at least, found none: give some")
    near = graph._weigh(steps, float(least.max()))
    found = [graph._cluster(steps, near, float(value)) for value in least]
    labels, core = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Sweep(np.tile(steps, len(least)), np.repeat(least, len(steps)), labels, core, graph.weight)
