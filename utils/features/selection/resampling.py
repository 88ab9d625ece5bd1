"""Would other rows have chosen the same features? The choice is made again on many resamples and compared."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from utils.errors import DataError, SettingsError
from utils.evaluation.intervals import LEVEL, effective_size, normal_quantile, wilson
from utils.features.selection.signal import binned, information
from utils.features.selection.table import Labelled, labelled
from utils.features.target_encoding import Numbers, tally
from utils.settings import SEED

MOST_CHOSEN = 10
HIGH, LOW = 0.75, 0.4
"""From the first on agreement is excellent, below the second poor (Fleiss et al. 2003, quoted by Nogueira et al.)."""


@dataclass(frozen=True)
class Stability:
    """How much a choice of features depends on the rows.

    Attributes:
        table: one row a feature: ``feature``, ``frequency`` (share of resamples that chose it) with its 95 % interval
            ``low`` and ``high``, ``chosen`` (on all rows), ``mean_rank`` (1 is best); most frequent first.
        index: Nogueira's stability index: 1 is always the same choice, 0 what chance gives.
        low: lower end of its 95 % interval.
        high: upper end.
        top: number of features that each resample chose.
        resamples: number of resamples.
    """

    table: pl.DataFrame
    index: float
    low: float
    high: float
    top: int
    resamples: int

    @property
    def verdict(self) -> str:
        """The index in a word: excellent, fair or poor."""
        return "excellent" if self.index >= HIGH else "fair" if self.index >= LOW else "poor"


def stability(
    frame: pl.DataFrame,
    label: str,
    features: Sequence[str] | None = None,
    *,
    top: int | None = None,
    resamples: int = 50,
    seed: int = SEED,
    weight: str | None = None,
) -> Stability:
    """Choose the most informative features on many bootstrap resamples and measure how alike the choices are.

    A resample draws the rows of each class with replacement; features are ranked by mutual information with the label
    (:func:`utils.features.selection.mutual_information`; bins are those of all rows).

    Args:
        frame: training rows only; those without a label are left out.
        label: Boolean column.
        features: columns to choose from; ``None`` for all but the label.
        top: how many to choose; ``None`` for ten, or half of the features where those are fewer.
        resamples: number of resamples, at least 2.
        seed: seed of the resamples.
        weight: column with what each row counts.

    Raises:
        SettingsError: if ``top`` or ``resamples`` are too small.
        SchemaError: if a column is missing or of the wrong type.
        DataError: if a class or every feature is missing, or a weight is not usable.

    Source:
        Nogueira, Sechidis and Brown, "On the Stability of Feature Selection Algorithms", JMLR 18 (2018).
    """
    if (top is not None and top < 1) or resamples < 2:
        found = f"top must be 1 or more and resamples 2 or more, found {top} and {resamples}"
        raise SettingsError(f"{found}: choose such numbers")
    rows = labelled(frame, label, features, weight)
    names = rows.frame.columns
    if not rows.usable or not names:
        raise DataError(f"stability needs rows of both classes of {label!r} and a feature, found none: give others")
    scores, whole = _scores(rows, resamples, np.random.default_rng(seed))
    most = min(top or max(1, min(MOST_CHOSEN, len(names) // 2)), len(names))
    chosen = _best(scores, most)
    index, low, high = stability_index(chosen)
    table = _table(names, scores, chosen, _best(whole[None], most)[0])
    return Stability(table, index, low, high, most, resamples)


def stability_index(chosen: np.ndarray) -> tuple[float, float, float]:
    """Stability of choices, with its 95 % interval.

    Args:
        chosen: (choices, features) Boolean, true where a choice holds a feature; at least two choices.

    Returns:
        The index (1 without any difference, about 0 for chance), and the ends of its interval; 1 where every choice
        holds all features or none.

    Source:
        Nogueira et al. 2018, definition 4 and theorem 7.
    """
    times, features = chosen.shape
    frequency = chosen.mean(axis=0)
    size = frequency.sum() / features
    chance = size * (1 - size)
    if chance <= 0:
        return 1.0, 1.0, 1.0
    index = float(1 - (times / (times - 1) * frequency * (1 - frequency)).mean() / chance)
    share = chosen.mean(axis=1)
    single = (chosen * frequency).mean(axis=1) - share * size
    single += index / 2 * (2 * size * share - share - size + 1)
    single /= chance
    variance = 4 / times**2 * float(((single - single.mean()) ** 2).sum())
    reach = normal_quantile(LEVEL) * variance**0.5
    return index, index - reach, min(index + reach, 1.0)


def _scores(rows: Labelled, resamples: int, generator: np.random.Generator) -> tuple[Numbers, Numbers]:
    """Information of each feature on each resample, (resamples, features), and on all rows, (features,)."""
    drawn = np.vstack([np.ones(len(rows.label)), *(_resample(rows, generator) for _ in range(resamples))])
    weight = drawn * rows.weight
    worth = np.asarray([effective_size(one) for one in weight])
    scores = np.column_stack([_informations(code, rows, weight, worth) for code in binned(rows).values()])
    return scores[1:], scores[0]


def _resample(rows: Labelled, generator: np.random.Generator) -> Numbers:
    """How often each row is drawn, class by class."""
    drawn = np.zeros(len(rows.label))
    for one_class in (0, 1):
        members = np.flatnonzero(rows.label == one_class)
        drawn[members] = np.bincount(generator.integers(0, len(members), len(members)), minlength=len(members))
    return drawn


def _informations(code: np.ndarray, rows: Labelled, weight: Numbers, worth: Numbers) -> Numbers:
    size = 2 * (int(code.max(initial=0)) + 1)
    place = code * 2 + rows.label
    counts = np.stack([tally(place, one, size) for one in weight])
    return information(counts.reshape(len(weight), -1, 2), worth)


def _best(scores: Numbers, most: int) -> np.ndarray:
    """Mark the highest scores of each row, the first of equal ones."""
    places = np.argsort(-scores, axis=1, kind="stable")[:, :most]
    marked = np.zeros(scores.shape, dtype=bool)
    np.put_along_axis(marked, places, True, axis=1)
    return marked


def _table(names: Sequence[str], scores: Numbers, chosen: np.ndarray, whole: np.ndarray) -> pl.DataFrame:
    ranks = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1) + 1
    limits = [wilson(times, len(chosen)) for times in chosen.sum(axis=0).tolist()]
    table = pl.DataFrame(
        {
            "feature": list(names),
            "frequency": chosen.mean(axis=0),
            "low": [one.low for one in limits],
            "high": [one.high for one in limits],
            "chosen": whole,
            "mean_rank": ranks.mean(axis=0),
        }
    )
    return table.sort("frequency", "mean_rank", descending=[True, False], maintain_order=True)
