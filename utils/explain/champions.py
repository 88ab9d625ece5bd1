"""Everything that is told about a champion beside its numbers: what it looks at, why it decides, where it errs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from sklearn.pipeline import Pipeline

from utils import settings
from utils.classifiers.champion_trials import Trial
from utils.evaluation.inputs import Ints
from utils.explain.importance import Stability, examples, importance, stability
from utils.explain.mistakes import mistakes, totals
from utils.explain.shapley import Shapley, affordable, drawn, shapley
from utils.explain.slices import sliceable, slices
from utils.features.tables import weight_of

SECONDS = 2.0
"""About how long the Shapley values of one champion may take."""

REFITTED = 3_000
"""Training rows that a refit learns from at most; stability needs several."""


@dataclass(frozen=True, eq=False)
class Explained:
    """What is told about one champion.

    Attributes:
        found: Shapley values of a sample of test rows, the examples among them.
        importance: mean absolute value of each column with its interval.
        stability: importances of refits on resampled training rows; ``None`` where none was asked for, or a class is so
            rare that a resample had none of it.
        places: rows of ``found`` by outcome: the surest true alarm, false alarm and miss, as far as there are any.
        mistakes: false alarms and misses with reasons and nearest training rows.
        totals: how many mistakes there are.
        slices: error rates by kind of anomaly and by columns of few values, largest excess first.
    """

    found: Shapley
    importance: pl.DataFrame
    stability: Stability | None
    places: Mapping[str, int]
    mistakes: pl.DataFrame
    totals: Mapping[str, float]
    slices: pl.DataFrame

    @property
    def summary(self) -> str:
        """The most important columns, how stable that is, and how many mistakes there are, in one sentence."""
        columns = ", ".join(self.importance["feature"].head(3))
        steady = f" {self.stability.describe()}" if self.stability else ""
        false, missed = self.totals["false alarms"], self.totals["misses"]
        return f"it looks at {columns} first; false alarms: {false:,.0f}, misses: {missed:,.0f}.{steady}"


def explained(trial: Trial, *, refits: int = 0, most: int = 10, seed: int = settings.SEED) -> Explained:
    """Explain a champion on its test rows.

    Args:
        trial: the champion with its rows, as :func:`utils.classifiers.champion_trials.run` gives it.
        refits: refits on resampled training rows; 0 for none, else at least two.
        most: most mistakes of each kind.
        seed: of what is drawn.

    Raises:
        DataError: if Shapley values do not add up.
    """
    chosen = examples(trial.found_on.y, trial.decisions, trial.found_on.scores)
    number = affordable(trial.champion, trial.test.height, SECONDS)
    numbers = np.union1d(drawn(trial.test, number, seed), np.array(list(chosen.values()), dtype=np.int64))
    found = shapley(trial.champion, trial.test[numbers], trial.train, seed=seed)
    weight = weight_of(trial.test, trial.roles)
    given = trial.test, trial.found_on.y, trial.decisions
    return Explained(
        found,
        importance(found, None if weight is None else weight.gather(numbers), seed=seed),
        _stability(trial, numbers, refits, seed) if refits else None,
        {name: int(np.searchsorted(numbers, row)) for name, row in chosen.items()},
        mistakes(trial.champion, *given[:2], trial.train, trial.chosen_on.y, weight, most=most),
        totals(*given[1:], weight),
        slices(*given, _by(trial), weight),
    )


class _OneClassError(Exception):
    """A resample holds one class only."""


def _stability(trial: Trial, numbers: Ints, refits: int, seed: int) -> Stability | None:
    """Refit on resampled rows, not too many; nothing where a resample has one class only."""
    rows = drawn(trial.train, REFITTED, seed)
    train = trial.train[rows]
    groups = train[trial.roles.group] if trial.roles.group else None

    def refitted(places: Ints) -> Pipeline:
        if len(np.unique(trial.chosen_on.y[rows[places]])) < 2:
            raise _OneClassError
        return trial.refitted(rows[places])

    try:
        return stability(refitted, len(rows), trial.test[numbers], train, refits=refits, groups=groups, seed=seed)
    except _OneClassError:
        return None


def _by(trial: Trial) -> list[str]:
    """Columns to slice by: the kind of anomaly, and features of few values."""
    kind = [trial.roles.anomaly_type] if trial.roles.anomaly_type else []
    return [*kind, *sliceable(trial.test, list(trial.champion.feature_names_in_))]
