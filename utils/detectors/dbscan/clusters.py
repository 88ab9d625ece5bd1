"""Points that show what a cluster is made of."""

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from utils.detectors.dbscan.points import as_points
from utils.detectors.outliers.points import kept_places
from utils.errors import SettingsError
from utils.evaluation import inputs
from utils.evaluation.inputs import Floats, Ints, Values
from utils.settings import SEED

CANDIDATES = 500
"""Points of a cluster among which exemplars are looked for."""


def exemplars(
    points: ArrayLike, labels: Values, weight: Values | None = None, *, most: int = 3, seed: int = SEED
) -> pl.DataFrame:
    """Choose points that show a cluster: its medoid, then each time the point farthest from those chosen.

    Args:
        points: distinct points (k, d).
        labels: cluster of each, -1 for noise (k,); noise has no exemplars.
        weight: rows that each stands for (k,).
        most: exemplars of a cluster.
        seed: of the sample of candidates in clusters of more than 500 points.

    Returns:
        ``cluster``, ``rank`` (0 is the medoid), ``point`` (its number) and ``rows`` that it stands for.

    Raises:
        SettingsError: if ``most`` is below 1.
        SchemaError: if the points are no matrix of numbers.
        DataError: if the parts do not have the same length.

    Source:
        Gonzalez, "Clustering to minimize the maximum intercluster distance", TCS 1985 (farthest first).
    """
    if most < 1:
        raise SettingsError(f"a cluster must have at least 1 exemplar, found {most}: choose more")
    places, mass, names = _checked(points, labels, weight)
    rows = []
    for name, members in _members(names):
        if name >= 0:
            chosen = members[_spread(places[members], mass[members], most, seed)]
            rows += [(name, rank, int(point), float(mass[point])) for rank, point in enumerate(chosen)]
    schema = {"cluster": pl.Int64, "rank": pl.Int64, "point": pl.Int64, "rows": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _checked(points: ArrayLike, labels: Values, weight: Values | None) -> tuple[Floats, Floats, Ints]:
    places, mass = as_points(points, weight)
    return places, mass, inputs.as_scores(labels, len(places), "labels").astype(np.int64)


def _members(names: Ints) -> list[tuple[int, Ints]]:
    """Points of each label."""
    order = np.argsort(names, kind="stable")
    found, first = np.unique(names[order], return_index=True)
    return list(zip(found.tolist(), np.split(order, first[1:]), strict=True))


def _distances(points: Floats, one: Floats) -> Floats:
    found: Floats = np.sqrt(((points - one) ** 2).sum(axis=1))
    return found


def _candidates(mass: Floats, seed: int) -> Ints:
    """Points of a cluster that are looked at: all, or a sample."""
    return kept_places(len(mass), CANDIDATES, seed)


def _medoid(points: Floats, mass: Floats, seed: int) -> int:
    """Candidate with the least sum of distances to the candidates, by weight."""
    looked = _candidates(mass, seed)
    near, load = points[looked], mass[looked]
    sums = [_distances(near, one) @ load for one in near]
    return int(looked[int(np.argmin(sums))])


def _spread(points: Floats, mass: Floats, most: int, seed: int) -> Ints:
    """The medoid, then the candidate farthest from all chosen before."""
    looked = _candidates(mass, seed)
    chosen = [_medoid(points, mass, seed)]
    far = _distances(points[looked], points[chosen[0]])
    while len(chosen) < most and far.max() > 0:
        chosen.append(int(looked[int(far.argmax())]))
        far = np.minimum(far, _distances(points[looked], points[chosen[-1]]))
    return np.array(chosen)
