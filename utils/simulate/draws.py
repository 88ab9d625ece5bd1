"""Drawing from declared tables: values from quantile knots, categories from weights, whole numbers from shares."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from utils.errors import DataError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Knots = float | tuple[float, ...]
K = TypeVar("K")

PROBABILITIES = np.array([0.0, 0.10, 0.25, 0.50, 0.75, 0.90, 1.0])
"""The probabilities at which a table of knots states its quantiles."""


def quantiles(rng: np.random.Generator, knots: Knots, size: int) -> Floats:
    """Draw from a distribution that is declared by seven quantiles.

    Between two knots the value is interpolated on a log(1 + x) scale, so that a heavy tail stays a tail.

    Args:
        rng: source of randomness.
        knots: a constant, or the minimum, the 10, 25, 50, 75 and 90 % quantiles and the maximum; none negative.
        size: how many values.

    Returns:
        Values, shape (size,).
    """
    if not isinstance(knots, tuple):
        return np.full(size, float(knots))
    return np.expm1(np.interp(rng.random(size), PROBABILITIES, np.log1p(knots)))


def whole(rng: np.random.Generator, knots: Knots, size: int) -> Ints:
    """Draw as :func:`quantiles` does and round to whole numbers."""
    return np.rint(quantiles(rng, knots, size)).astype(np.int64)


def pick(rng: np.random.Generator, weights: Mapping[K, float], size: int) -> npt.NDArray[Any]:
    """Draw keys of a table with probabilities in proportion to its values.

    Args:
        rng: source of randomness.
        weights: keys with their weights, not all zero.
        size: how many keys.
    """
    shares = np.fromiter(weights.values(), dtype=np.float64)
    keys = np.empty(len(weights), dtype=object)
    keys[:] = list(weights)
    return keys[rng.choice(len(keys), size=size, p=shares / shares.sum())]


def apportion(total: int, shares: Sequence[float] | Floats) -> Ints:
    """Divide a whole number in proportion to shares by the method of largest remainders (Hamilton).

    Args:
        total: what is to be divided.
        shares: one non-negative number a part, not all zero.

    Returns:
        Whole numbers, one a part, that add up to ``total``.
    """
    exact = total * np.asarray(shares, dtype=np.float64) / np.sum(shares)
    counts = np.floor(exact).astype(np.int64)
    left = total - int(counts.sum())
    counts[np.argsort(counts - exact, kind="stable")[:left]] += 1
    return counts


def check_size(size: int, unit: str) -> int:
    """Return ``size`` if a simulator can make that many units.

    Raises:
        DataError: if it is less than one.
    """
    if size < 1:
        raise DataError(f"a simulation needs a size of at least 1 {unit}, found {size}: ask for more")
    return size
