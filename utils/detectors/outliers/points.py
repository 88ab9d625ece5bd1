"""Distinct points of a matrix with their counts, and samples of them that do not depend on the order of the rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utils.evaluation.inputs import Floats, Weights, observations

Places = NDArray[np.intp]
FOLD, MIX = np.uint64(29), np.uint64(32)
HASHED = 1 << 20
"""Numbers that are hashed at a time: few enough to stay in the processor's cache."""


@dataclass(frozen=True, eq=False)
class DistinctPoints:
    """The distinct rows of a matrix, in an order that depends on their values alone.

    Attributes:
        values: distinct rows, shape (k, d).
        counts: how many rows each stands for (importances are scaled to a mean of 1), shape (k,).
        inverse: place of each row of the matrix among the distinct ones, shape (n,).
    """

    values: Floats
    counts: Floats
    inverse: Places

    def __len__(self) -> int:
        return len(self.values)


def distinct_points(matrix: Floats, weight: Weights | None = None) -> DistinctPoints:
    """Find the distinct rows of a matrix; the rows that are equal in every number are one point.

    Rows are sorted by a 64-bit hash of their numbers and then compared number by number, so that the result is exact:
    should two different rows share a hash, they are sorted lexicographically instead.

    Args:
        matrix: finite numbers, shape (n, d); 0 and -0 are equal.
        weight: checked weights of the rows, shape (n,): whole numbers are counts.

    Returns:
        The distinct points; they are the same for every order of the rows.
    """
    plain = np.ascontiguousarray(matrix, dtype=np.float64) + 0.0
    _, first, inverse = np.unique(_hashes(plain), return_index=True, return_inverse=True)
    if len(first) < len(plain) and not np.array_equal(plain[first[inverse]], plain):
        _, first, inverse = np.unique(plain, axis=0, return_index=True, return_inverse=True)
        inverse = inverse.ravel()
    counts = np.bincount(inverse, observations(weight, len(plain)), minlength=len(first)).astype(np.float64)
    return DistinctPoints(plain[first], counts, inverse)


def kept_places(points: int, most: int | None, seed: int) -> Places:
    """Draw the points that a method keeps, each with the same chance.

    Args:
        points: how many there are.
        most: how many may be kept; ``None`` for all.
        seed: seed of the draw.

    Returns:
        Rising places, shape (min(points, most),).
    """
    if most is None or points <= most:
        return np.arange(points)
    return np.sort(np.random.default_rng(seed).choice(points, most, replace=False))


def drawn_rows(values: Floats, counts: Floats, most: int, seed: int) -> Floats:
    """Write distinct points out as rows again, or draw rows where there are more than a limit.

    Args:
        values: distinct points, shape (k, d).
        counts: how many rows each stands for, shape (k,).
        most: most rows.
        seed: seed of the draw.

    Returns:
        Rows, shape (m, d): each point as often as its count if the counts are whole and their sum is at most ``most``;
        otherwise that sum or ``most`` rows, whichever is less, drawn with chances in proportion to the counts.
    """
    total = counts.sum()
    if total <= most and np.array_equal(counts, np.round(counts)):
        return np.repeat(values, counts.astype(np.int64), axis=0)
    size = max(1, min(most, round(total)))
    drawn: Floats = values[np.random.default_rng(seed).choice(len(values), size, p=counts / total)]
    return drawn


def typical_places(counts: Floats, most: int) -> Places:
    """Choose rows at equal distances in the list of all rows: a sample in which points are as frequent as in the rows.

    Args:
        counts: how many rows each point stands for, shape (k,).
        most: most rows of the sample.

    Returns:
        Rising places of points, with repetitions, shape (min(most, sum of counts),), one at least.
    """
    reached = np.cumsum(counts)
    size = max(1, min(most, round(reached[-1])))
    return np.asarray(np.searchsorted(reached, (np.arange(size) + 0.5) / size * reached[-1]))


def weighted_quantiles(matrix: Floats, shares: Floats) -> Floats:
    """Quantiles of each column, shape (len(shares), d): always values that occur."""
    found: Floats = np.quantile(matrix, shares, axis=0, method="inverted_cdf")
    return found


def _hashes(matrix: Floats) -> NDArray[np.uint64]:
    """A 64-bit hash of each row: its numbers mixed, multiplied by odd numbers and added up modulo 2**64."""
    factors = np.random.default_rng(0).integers(1, 2**63, matrix.shape[1], dtype=np.uint64) * np.uint64(2) + np.uint64(
        1
    )
    found = np.empty(len(matrix), np.uint64)
    step = max(1, HASHED // matrix.shape[1])
    for start in range(0, len(matrix), step):
        bits = matrix[start : start + step].view(np.uint64)
        mixed = (bits ^ (bits >> MIX)) * factors
        mixed ^= mixed >> FOLD
        found[start : start + step] = mixed.sum(axis=1, dtype=np.uint64)
    return found
