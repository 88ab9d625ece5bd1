"""Distances to the k-th neighbour and the knee of their curve, from which eps is chosen."""

import numpy as np
from numpy.typing import ArrayLike

from utils.detectors.dbscan.points import as_points, as_positive
from utils.detectors.dbscan.tree import Tree
from utils.errors import DataError
from utils.evaluation.inputs import Floats, Values, as_scores, as_weights


def k_distances(points: ArrayLike, k: float, weight: Values | None = None) -> Floats:
    """Distance of each point to its k-th neighbour, the point itself being the first.

    It is the smallest radius within which the points weigh k: a point is a core point of DBSCAN with ``min_samples=k``
    exactly where ``eps`` is not below it. A point that stands for 20 rows has its 18th neighbour at 0.

    Args:
        points: distinct points (n, d).
        k: number of neighbours, by weight.
        weight: rows that each stands for (n,); ``None`` for 1 each.

    Returns:
        Distances (n,).

    Raises:
        SettingsError: if ``k`` is not positive.
        SchemaError: if the points are no matrix of numbers.
        DataError: if a point is not finite, weights do not fit, or all points together weigh less than ``k``.

    Source:
        Ester, Kriegel, Sander and Xu, "A density-based algorithm for discovering clusters", KDD 1996, section 4.2.
    """
    wanted = as_positive("k", k)
    places, mass = as_points(points, weight)
    if mass.sum() < wanted:
        raise DataError(f"the {k:g}-th neighbour needs as many rows, found {mass.sum():g}: take a smaller k")
    return root(Tree(places).reach(places, mass, wanted))


def root(squares: Floats) -> Floats:
    """Smallest distances whose squares are not below the given ones."""
    found = np.sqrt(squares)
    up: Floats = np.where(found * found < squares, np.nextafter(found, np.inf), found)
    return up


def knee(values: Values, sensitivity: float = 1.0, weight: Values | None = None) -> float:
    """Find where a rising convex curve of sorted values turns upwards (Kneedle).

    The curve of the sorted values is scaled to the unit square and its height below the diagonal is read from the
    largest value down. The knee is the first local maximum after which the height falls by more than ``sensitivity``
    times the mean distance between neighbouring rows before it rises again. So a higher sensitivity asks for a longer
    flat part below the knee and finds a lower one.

    Args:
        values: k-distances, in any order (n,).
        sensitivity: Kneedle's S, from 0 on.
        weight: rows that each value stands for (n,); ``None`` for 1 each.

    Returns:
        The value at the knee.

    Raises:
        SettingsError: if the sensitivity is no positive number.
        DataError: if values or weights are not usable, or the curve has no knee.

    Source:
        Satopaa, Albrecht, Irwin and Raghavan, "Finding a 'Kneedle' in a haystack: detecting knee points in system
        behavior", ICDCS Workshops 2011.
    """
    strength = as_positive("sensitivity", sensitivity)
    heights = as_scores(values, what="k-distances")
    if not np.isfinite(heights).all():
        raise DataError("k-distances must be finite to have a knee, found infinite ones: take a smaller k")
    mass = as_weights(weight, len(heights))
    steps, inverse = np.unique(heights, return_inverse=True)
    rows = np.bincount(inverse, mass, minlength=len(steps)).astype(np.float64)
    steps, rows = steps[rows > 0], rows[rows > 0]
    if len(steps) < 3:
        raise DataError(f"a knee needs 3 different distances, found {len(steps)}: choose eps yourself")
    return _first_knee(steps, rows, strength)


def _first_knee(steps: Floats, rows: Floats, strength: float) -> float:
    """Knee of a curve of rising values that each stand for some rows; equal values are a flat part.

    Raises:
        DataError: if there is none.
    """
    last = np.cumsum(rows) - 1
    width = max(last[-1], np.finfo(float).tiny)
    ends = np.column_stack([np.ones(len(rows), np.bool_), rows > 1]).ravel()
    values = np.repeat(steps, 2)[ends][::-1]
    places = np.column_stack([last - np.maximum(rows - 1, 0), last]).ravel()[ends][::-1] / width
    below = places - (values - steps[0]) / (steps[-1] - steps[0])
    falls = np.diff(below) < 0
    tops = np.flatnonzero(falls & ~np.concatenate([[False], falls[:-1]]))
    bottoms = np.flatnonzero(falls & ~np.concatenate([falls[1:], [False]])) + 1
    deep = np.flatnonzero(below[tops] - below[bottoms] > strength / width)
    deep = deep[tops[deep] > 0]
    if not deep.size:
        raise DataError(
            f"the curve of {last[-1] + 1:,.0f} distances has no knee at sensitivity {strength:g}: "
            "lower the sensitivity or choose eps yourself"
        )
    return float(values[tops[deep[0]]])
