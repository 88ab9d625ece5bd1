"""Distinct points with weights: what is clustered once, however often it occurs."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from utils.detectors.outliers.base import as_matrix
from utils.errors import DataError, SettingsError
from utils.evaluation.inputs import Floats, Ints, Values, as_weights

UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
"""Decimal units of memory."""


class Distinct(NamedTuple):
    """The distinct rows of a matrix in order of first appearance.

    Attributes:
        points: distinct rows (k, d), float64.
        weight: sum of the weights of the rows that are equal to each (k,).
        first: first row that each is equal to (k,).
        inverse: point of each row (n,).
    """

    points: Floats
    weight: Floats
    first: Ints
    inverse: Ints


def distinct(X: ArrayLike, weight: Values | None = None) -> Distinct:
    """Find the distinct rows of a matrix, in order of first appearance.

    Args:
        X: rows, shape (n, d): finite numbers; 0 and -0 are equal.
        weight: what each row counts for, shape (n,), numbers from 0 on; ``None`` for 1 each.

    Returns:
        The distinct points; as long as rows are equal in every number they are one point.

    Raises:
        SchemaError: if ``X`` is no matrix of numbers.
        DataError: if it holds NaN or infinity, or weights do not fit.
    """
    rows = np.ascontiguousarray(as_matrix(X, "DBSCAN")) + 0.0
    mass = as_weights(weight, len(rows))
    first, inverse = compiled().group_rows(rows.view(np.uint64))
    counted = np.bincount(inverse, mass, minlength=len(first)).astype(np.float64)
    return Distinct(rows[first], counted, first, inverse)


def compiled() -> Any:  # noqa: ANN401 (a module of compiled functions)
    """Return the compiled loops; the first call of a process imports numba."""
    from utils.detectors.dbscan import _kernel

    return _kernel


def as_points(points: ArrayLike, weight: Values | None) -> tuple[Floats, Floats]:
    """Check points and their weights, 1 each where none are given.

    Raises:
        SchemaError: if the points are no matrix of numbers.
        DataError: if there is none, one is not finite, or weights do not fit.
    """
    matrix = np.ascontiguousarray(as_matrix(points, "DBSCAN"))
    if not matrix.size:
        raise DataError(f"DBSCAN needs points with at least one column, found the shape {matrix.shape}: give some")
    mass = as_weights(weight, len(matrix))
    return matrix, np.ones(len(matrix)) if mass is None else mass.astype(np.float64)


def as_positive(name: str, value: object) -> float:
    """Check a setting that must be a finite number above 0.

    Raises:
        SettingsError: if it is not.
    """
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not 0 < float(value) < np.inf:  # type: ignore[arg-type]
        raise SettingsError(f"{name} must be a finite number above 0, found {value!r}: choose such a number")
    return float(value)  # type: ignore[arg-type]


def as_bytes(memory: str | float) -> int:
    """Read an amount of memory: bytes, or a text such as ``"2 GB"`` (decimal units B, KB, MB, GB, TB).

    Raises:
        SettingsError: if it is no amount above 0.
    """
    if not isinstance(memory, str):
        return int(as_positive("memory", memory))
    number, unit = memory.strip().upper(), "B"
    for name in sorted(UNITS, key=len, reverse=True):
        if number.endswith(name):
            number, unit = number.removesuffix(name), name
            break
    try:
        return int(as_positive("memory", float(number)) * UNITS[unit])
    except ValueError:
        raise SettingsError(f"memory must be bytes or a text such as '2 GB', found {memory!r}: write it so") from None


def in_words(size: float) -> str:
    """Write an amount of memory, as ``2 GB``."""
    unit = max((name for name in UNITS if UNITS[name] <= max(size, 1)), key=UNITS.__getitem__)
    return f"{size / UNITS[unit]:,.3g} {unit}"
