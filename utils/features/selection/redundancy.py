"""Features that say the same: groups of strongly correlated ones, and who stands for each."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import polars as pl

from utils.datasets import require
from utils.errors import SchemaError, SettingsError
from utils.features.selection.table import feature_names, numeric, weights
from utils.features.target_encoding import Numbers

Method = Literal["pearson", "spearman"]
Grouping = Literal["representative", "connected"]
METHODS = ("pearson", "spearman")
GROUPINGS = ("representative", "connected")
LIMIT = 0.95
FEATURE = "feature"

_SCHEMA = {
    "feature": pl.String,
    "group": pl.Int64,
    "representative": pl.String,
    "correlation": pl.Float64,
    "kept": pl.Boolean,
}


def correlation(
    frame: pl.DataFrame, features: Sequence[str] | None = None, *, method: Method = "pearson", weight: str | None = None
) -> pl.DataFrame:
    """Correlate all pairs of numeric features, each pair on the rows that have both.

    Args:
        frame: training rows only.
        features: columns; those that are no numbers or truth values are left out.
        method: ``"pearson"``, or ``"spearman"`` for the same on ranks, ties sharing theirs.
        weight: column with what each row counts.

    Returns:
        A square frame with a leading ``feature`` column; 0 for pairs of which one is constant, 1 on the diagonal.

    Raises:
        SettingsError: if the method does not exist.
        SchemaError: if a column is missing, or is called as the leading one.
    """
    require.choice("method", method, METHODS)
    names = _names(frame, features, weight)
    if FEATURE in names:
        raise SchemaError(f"no feature must be called {FEATURE!r}, as the column of names is, found one: rename it")
    matrix = _matrix(frame, names, method, weights(frame, weight))
    return pl.DataFrame(matrix, schema=names).insert_column(0, pl.Series(FEATURE, names, dtype=pl.String))


def correlated_groups(
    frame: pl.DataFrame,
    features: Sequence[str] | None = None,
    *,
    method: Method = "pearson",
    limit: float = LIMIT,
    grouping: Grouping = "representative",
    strength: Mapping[str, float] | None = None,
    weight: str | None = None,
) -> pl.DataFrame:
    """Find groups of features that say the same, and name one that stands for each.

    The strongest feature that is not yet in a group stands for a group: of all that correlate with it
    (``grouping="representative"``: nothing is left out that is not close to what stays), or of all that are linked
    to it in steps (``"connected"``: the connected components, whose ends may have little to do with each other).

    Args:
        frame: training rows only.
        features: columns; those that are no numbers or truth values are in no group.
        method: ``"pearson"`` or ``"spearman"``.
        limit: absolute correlation from which two features say the same.
        grouping: ``"representative"`` or ``"connected"``.
        strength: how much each feature is worth; ``None`` for its variance, as published for call graphs. Variances
            depend on units: give strengths where columns have different ones.
        weight: column with what each row counts.

    Returns:
        One row a feature, in the order given: ``feature``, ``group`` (0, 1, ... by first member, null outside groups),
        ``representative`` (null outside groups), ``correlation`` with it, ``kept``.

    Raises:
        SettingsError: if method, grouping or limit have no meaning.
        SchemaError: if a column is missing.
    """
    require.choice("method", method, METHODS)
    require.choice("grouping", grouping, GROUPINGS)
    if not 0 < limit <= 1:
        raise SettingsError(f"limit must be above 0 and at most 1, found {limit}: choose such a number")
    every = [name for name in feature_names(frame, features) if name != weight]
    names = numeric(frame, every)
    counted = weights(frame, weight)
    matrix = _matrix(frame, names, method, counted)
    worth = _variances(frame, names, counted) if strength is None else _strengths(names, strength)
    leader = _leaders(np.abs(matrix) >= limit, worth, grouping)
    return _table(every, names, leader, matrix)


def _names(frame: pl.DataFrame, features: Sequence[str] | None, weight: str | None) -> list[str]:
    return [name for name in numeric(frame, feature_names(frame, features)) if name != weight]


def _values(frame: pl.DataFrame, names: Sequence[str]) -> Numbers:
    """Values (rows, columns), NaN where there is none; infinities count as such."""
    values = frame.select(pl.col(names).cast(pl.Float64)).to_numpy(order="fortran")
    return np.where(np.isfinite(values), values, np.nan)


def _ranks(frame: pl.DataFrame, names: Sequence[str]) -> Numbers:
    known = pl.col(names).cast(pl.Float64).fill_nan(None)
    return frame.select(known.rank("average").cast(pl.Float64)).to_numpy(order="fortran")


def _matrix(frame: pl.DataFrame, names: Sequence[str], method: str, weight: Numbers) -> Numbers:
    """Weighted pairwise correlations; 0 where a pair shares fewer than three rows or one does not vary there."""
    if not names or frame.is_empty():
        return np.eye(len(names))
    values = _ranks(frame, names) if method == "spearman" else _values(frame, names)
    known = (~np.isnan(values)).astype(np.float64)
    standard = _standardised(values, weight)
    if known.all():
        return _clean(_complete(standard, weight), known)
    return _clean(_pairwise(standard, known, weight), known)


def _standardised(values: Numbers, weight: Numbers) -> Numbers:
    """Columns with mean 0 and deviation 1, divided by their largest first so that none overflows; 0 where missing."""
    largest = np.nanmax(np.abs(np.where(np.isnan(values), 0.0, values)), axis=0, initial=0.0)
    scaled = values / np.where(largest > 0, largest, 1.0)
    counted = weight[:, None] * ~np.isnan(scaled)
    total = np.maximum(counted.sum(axis=0), np.finfo(float).tiny)
    filled = np.nan_to_num(scaled)
    mean = (counted * filled).sum(axis=0) / total
    centred = np.where(np.isnan(scaled), 0.0, scaled - mean)
    deviation = np.sqrt((counted * centred**2).sum(axis=0) / total)
    rounding = 8 * np.finfo(float).eps * np.maximum(np.abs(mean), 1e-300)
    return np.asarray(np.where(deviation > rounding, centred / np.where(deviation > rounding, deviation, 1.0), 0.0))


def _complete(standard: Numbers, weight: Numbers) -> Numbers:
    root = standard * np.sqrt(weight / max(weight.sum(), np.finfo(float).tiny))[:, None]
    return np.asarray(root.T @ root)


def _pairwise(standard: Numbers, known: Numbers, weight: Numbers) -> Numbers:
    """Each pair on the rows that have both: sums over pairs as products of matrices."""
    counted = known * weight[:, None]
    weighted = standard * weight[:, None]
    rows, sums = counted.T @ known, weighted.T @ known
    squares = (standard * weighted).T @ known
    with np.errstate(divide="ignore", invalid="ignore"):
        covariance = weighted.T @ standard - sums * sums.T / rows
        variance = np.maximum(squares - sums**2 / rows, 0.0)
        says = np.minimum(variance, variance.T) > 1e-12 * np.maximum(rows, 1e-300)
        return np.where(says, covariance / np.sqrt(variance * variance.T), 0.0)


def _clean(matrix: Numbers, known: Numbers) -> Numbers:
    shared = known.T @ known
    kept = np.where(np.isfinite(matrix) & (shared > 2), matrix, 0.0)
    np.fill_diagonal(kept, 1.0)
    return np.clip(kept, -1.0, 1.0)


def _variances(frame: pl.DataFrame, names: Sequence[str], weight: Numbers) -> Numbers:
    if not names or frame.is_empty():
        return np.zeros(len(names))
    values = np.ma.masked_invalid(_values(frame, names))
    with np.errstate(over="ignore"):
        mean = np.ma.average(values, axis=0, weights=np.broadcast_to(weight[:, None], values.shape))
        spread = np.ma.average((values - mean) ** 2, axis=0, weights=np.broadcast_to(weight[:, None], values.shape))
    return np.asarray(np.ma.filled(spread, 0.0), dtype=np.float64)


def _strengths(names: Sequence[str], strength: Mapping[str, float]) -> Numbers:
    given = np.asarray([strength.get(name, -np.inf) for name in names], dtype=np.float64)
    return np.where(np.isnan(given), -np.inf, given)


def _leaders(alike: np.ndarray, worth: Numbers, grouping: str) -> np.ndarray:
    """Place of the feature that stands for each; itself if it stands for itself."""
    leader = np.full(len(worth), -1)
    if grouping == "connected" and len(worth):
        from scipy.sparse.csgraph import connected_components

        component = connected_components(alike, directed=False)[1]
        alike = component[:, None] == component
    for place in np.argsort(-worth, kind="stable"):
        if leader[place] < 0:
            leader[(leader < 0) & alike[place]] = place
            leader[place] = place
    return leader


def _table(every: list[str], names: list[str], leader: np.ndarray, matrix: Numbers) -> pl.DataFrame:
    size = np.bincount(leader, minlength=len(names)) if len(names) else np.zeros(0, dtype=int)
    places = {name: place for place, name in enumerate(names)}
    numbers: dict[int, int] = {}
    rows: list[tuple[object, ...]] = []
    for name in every:
        place = places.get(name)
        if place is None or size[leader[place]] < 2:
            rows.append((name, None, None, None, True))
            continue
        head = int(leader[place])
        group = numbers.setdefault(head, len(numbers))
        rows.append((name, group, names[head], float(matrix[place, head]), place == head))
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")
