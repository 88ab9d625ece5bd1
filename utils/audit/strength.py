"""How well one column alone tells the classes apart, measured out of fold.

Every column is turned into a few hundred codes (equal-frequency bins for numbers and times, one code for each distinct
value of anything else, one for missing values). The anomaly share of a code in four fifths of the rows is the score of
its rows in the last fifth: a decision tree on one column with binned splits, at the price of one count. Scores
are equal for all rows of one code and fold, so the area under the ROC curve is computed from the counts and never row
by row. Rare and unseen categories fall back to the overall share: identifiers get no credit for being unique.

Sources: Kaufman, Rosset, Perlich and Stitelman, "Leakage in Data Mining" (TKDD 2012), which looks at features that are
suspiciously good alone; Micci-Barreca, "A Preprocessing Scheme for High-Cardinality Categorical Attributes"
(SIGKDD Explorations 2001) for the smoothed shares.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from utils.settings import SEED

BINS = 256
"""Equal-frequency bins of a column of numbers: fine enough to see any threshold, too coarse to learn rows by heart."""

FOLDS = 5
SMOOTHING = 5.0
"""Rows of the overall share that are mixed into the share of every code."""

MIN_CLASS_ROWS = 10
"""Rows that each class must have: with 10 against 10, chance alone reaches an AUC of 0.97 once in 10,000 columns."""

Counts = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Strength:
    """What one column alone says about the label.

    Attributes:
        auc: out-of-fold area under the ROC curve; 0.5 says nothing.
        balanced_accuracy: mean of the two recalls when every code above the overall share is called anomalous.
        telling: the value that says most, in words; empty for columns of numbers that were binned.
    """

    auc: float
    balanced_accuracy: float
    telling: str = ""


@dataclass(frozen=True)
class Target:
    """Labels as numbers with their folds.

    Attributes:
        label: 0 or 1 for each row.
        fold: 0 to ``FOLDS - 1`` for each row, balanced within each class.
    """

    label: Codes
    fold: Codes

    @property
    def positives(self) -> int:
        """Number of anomalous rows."""
        return int(self.label.sum())

    @property
    def negatives(self) -> int:
        """Number of normal rows."""
        return len(self.label) - self.positives

    @property
    def usable(self) -> bool:
        """Whether both classes have enough rows for a measurement."""
        return min(self.positives, self.negatives) >= MIN_CLASS_ROWS

    @property
    def described(self) -> str:
        """Number of rows in words."""
        return f"{len(self.label):,} rows ({self.negatives:,} normal, {self.positives:,} anomalous)"


def target(labels: pl.Series, seed: int = SEED) -> Target:
    """Turn Boolean labels without nulls into numbers and draw the folds.

    Args:
        labels: Boolean series of length n.
        seed: seed of the folds.

    Returns:
        The labels with their folds.
    """
    label = labels.cast(pl.Int64).to_numpy()
    generator = np.random.default_rng(seed)
    fold = np.zeros(len(label), dtype=np.int64)
    for one_class in (0, 1):
        rows = np.flatnonzero(label == one_class)
        fold[generator.permutation(rows)] = np.arange(len(rows)) % FOLDS
    return Target(label, fold)


def codes(values: pl.Series, bins: int | None = None) -> Codes:
    """Number the distinct values of a column of any type.

    Args:
        values: the column.
        bins: most codes that a column of numbers or times gets; ``None`` for one code a distinct value.

    Returns:
        A code for each row: 0 for missing values (null or NaN), 1, 2, ... for the others, in order of size for numbers
        and times and in no order for the rest. Columns that hold Python objects count as missing.
    """
    if isinstance(values.dtype, pl.Object | pl.Null):
        return np.zeros(len(values), dtype=np.int64)
    plain = values.fill_nan(None) if values.dtype.is_float() else values
    keys = plain if is_ordered(values.dtype) else _hashed(plain)
    ranks = keys.rank("dense").fill_null(0).to_numpy().astype(np.int64)
    return _binned(ranks, bins) if bins and is_ordered(values.dtype) else ranks


def is_ordered(dtype: pl.DataType) -> bool:
    """Say whether values of a type have a size: numbers, times, truth values."""
    return dtype.is_numeric() or dtype.is_temporal() or isinstance(dtype, pl.Boolean)


def measure(values: pl.Series, on: Target, bins: int | None = BINS) -> Strength:
    """Measure what one column alone says about the label.

    Args:
        values: column of length n.
        on: labels of the same n rows.
        bins: as in :func:`codes`.

    Returns:
        What the column says, out of fold; both classes must be there (:attr:`Target.usable`).
    """
    code = codes(values, bins)
    counts = _count(code, on)
    by_score = _pool(_scores(counts, on), counts)
    telling = "" if len(counts) > BINS and is_ordered(values.dtype) and bins else _telling(values, code, counts)
    return Strength(_auc(by_score), _balanced_accuracy(counts, on), telling)


def _hashed(values: pl.Series) -> pl.Series:
    return pl.select(pl.when(values.is_not_null()).then(values.hash())).to_series()


def _binned(ranks: Codes, bins: int) -> Codes:
    """Merge neighbouring ranks into bins of about equal frequency; missing values (0) keep a code of their own."""
    sizes = np.bincount(ranks)
    sizes[0] = 0
    if np.count_nonzero(sizes) <= bins:
        return ranks
    middle = np.cumsum(sizes) - sizes / 2
    merged = (middle * bins / sizes.sum()).astype(np.int64).clip(0, bins - 1) + 1
    merged[0] = 0
    return np.asarray(merged[ranks], dtype=np.int64)


def _count(code: Codes, on: Target) -> Counts:
    """Count rows by code, fold and class: an array of shape (codes, folds, 2)."""
    size = int(code.max(initial=0)) + 1
    cells = np.bincount((code * FOLDS + on.fold) * 2 + on.label, minlength=size * FOLDS * 2)
    return cells.reshape(size, FOLDS, 2).astype(np.float64)


def _scores(counts: Counts, on: Target) -> Counts:
    """Smoothed anomaly share of each code in all folds but one: shape (codes, folds)."""
    others = counts.sum(axis=1, keepdims=True) - counts
    prior = on.positives / len(on.label)
    shares = (others[..., 1] + SMOOTHING * prior) / (others.sum(axis=2) + SMOOTHING)
    return np.asarray(np.round(shares, 12))


def _pool(scores: Counts, counts: Counts) -> Counts:
    """Count both classes at each distinct score, lowest first: shape (scores, 2)."""
    _, place = np.unique(scores.ravel(), return_inverse=True)
    flat = counts.reshape(-1, 2)
    return np.stack([np.bincount(place, flat[:, one_class]) for one_class in (0, 1)], axis=1)


def _auc(by_score: Counts) -> float:
    """Probability that an anomaly has the higher score, ties counting half (Mann and Whitney 1947)."""
    normal, anomalous = by_score.T
    below = np.cumsum(normal) - normal / 2
    return float((anomalous * below).sum() / (normal.sum() * anomalous.sum()))


def _balanced_accuracy(counts: Counts, on: Target) -> float:
    prior = on.positives / len(on.label)
    flagged = _scores(counts, on) > prior + 1e-9
    recall = counts[..., 1][flagged].sum() / on.positives
    specificity = counts[..., 0][~flagged].sum() / on.negatives
    return float((recall + specificity) / 2)


def _telling(values: pl.Series, code: Codes, counts: Counts) -> str:
    """Describe the value whose rows lie furthest from the overall share, counted in rows."""
    totals = counts.sum(axis=1)
    size = totals.sum(axis=1)
    share = totals[:, 1].sum() / size.sum()
    furthest = int(np.argmax(np.abs(totals[:, 1] - share * size)))
    if size[furthest] <= 1:
        return ""
    value: Any = values[int(np.argmax(code == furthest))]
    purity = totals[furthest, 1] / size[furthest]
    return f"{str(value)[:40]} ({int(size[furthest]):,} rows, {100 * purity:.1f} % anomalous)"
