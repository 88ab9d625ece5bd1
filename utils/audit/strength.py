"""How well one column alone tells the classes apart, measured out of fold.

The scores are those of :mod:`utils.features.target_encoding`: the anomaly share of a value (numbers and times in bins)
in four fifths of the rows is the score of its rows in the last fifth.

Source:
    Kaufman, Rosset, Perlich and Stitelman, "Leakage in Data Mining", TKDD 2012, which looks at features that are
    suspiciously good alone.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from utils.datasets.dtypes import is_ordered
from utils.features.target_encoding import (
    ENOUGH_ROWS,
    Codes,
    Numbers,
    assign_folds,
    bins,
    by_score,
    codes,
    count,
    elsewhere,
    most_bins,
    smoothed_share,
)
from utils.settings import SEED

FOLDS = 5


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
        return min(self.positives, self.negatives) >= ENOUGH_ROWS

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
    return Target(label, assign_folds(label, FOLDS, seed))


def measure(values: pl.Series, on: Target, *, binned: bool = True) -> Strength:
    """Measure what one column alone says about the label.

    Args:
        values: column of length n.
        on: labels of the same n rows.
        binned: whether neighbouring numbers or times are taken together; if not, each value stands for itself.

    Returns:
        What the column says, out of fold; both classes must be there (:attr:`Target.usable`).
    """
    weight, exact = np.ones(len(on.label)), codes(values)
    code = bins(exact, weight, most_bins(len(exact))) if binned and is_ordered(values.dtype) else exact
    cells = count(code, on.fold, on.label, weight, FOLDS)
    prior = on.positives / len(on.label)
    scores = smoothed_share(elsewhere(cells), prior)
    accuracy = _balanced_accuracy(cells, scores > prior + 1e-9)
    return Strength(_auc(*by_score(scores, cells)), accuracy, _telling(values, code, cells) if code is exact else "")


def _auc(normal: Numbers, anomalous: Numbers) -> float:
    """Probability that an anomaly has the higher score, ties counting half (Mann and Whitney 1947)."""
    below = np.cumsum(normal) - normal / 2
    return float((anomalous * below).sum() / (normal.sum() * anomalous.sum()))


def _balanced_accuracy(cells: Numbers, flagged: NDArray[np.bool_]) -> float:
    """Mean of the two recalls if the rows of some codes and folds are called anomalous."""
    normal, anomalous = cells[..., 0], cells[..., 1]
    return float((anomalous[flagged].sum() / anomalous.sum() + normal[~flagged].sum() / normal.sum()) / 2)


def _telling(values: pl.Series, code: Codes, cells: Numbers) -> str:
    """Describe the value whose rows lie furthest from the overall share, counted in rows."""
    totals = cells.sum(axis=1)
    size = totals.sum(axis=1)
    share = totals[:, 1].sum() / size.sum()
    furthest = int(np.argmax(np.abs(totals[:, 1] - share * size)))
    if size[furthest] <= 1:
        return ""
    value: Any = values[int(np.argmax(code == furthest))]
    purity = totals[furthest, 1] / size[furthest]
    return f"{str(value)[:40]} ({int(size[furthest]):,} rows, {100 * purity:.1f} % anomalous)"
