"""A point of a space on the folds: fitted, judged fold by fold, scores and rounds remembered."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator

from utils.classifiers.spaces import Space, Value
from utils.classifiers.tuning import early
from utils.classifiers.tuning.folds import Folds, Part, Tunable, classifier_of, fitted_to
from utils.classifiers.tuning.targets import judged
from utils.compute.threads import limited
from utils.evaluation.inputs import Floats


class Default(NamedTuple):
    """What the default parameters reach.

    Attributes:
        values: value of each fold.
        seconds: CPU time.
    """

    values: tuple[float, ...]
    seconds: float

    @property
    def score(self) -> float:
        """Mean over the folds."""
        return float(np.mean(self.values))


@dataclass(frozen=True, eq=False)
class Trials:
    """Everything that a study needs to try a point.

    Attributes:
        choice: what is tuned.
        space: what its parameters may be.
        folds: the rows.
        metric: what is maximised.
        prune: whether a trial that is below the median of the others on the same folds is stopped.
        patience: rounds without gain after which boosting stops (:mod:`.early`); ``None`` to use all rounds.
        threads: threads of a fit.
        seed: seed of the classifier.
    """

    choice: Tunable
    space: Space
    folds: Folds
    metric: str
    prune: bool
    patience: int | None
    threads: int
    seed: int
    scores: dict[str, Floats] = field(default_factory=dict)
    used: dict[str, list[int]] = field(default_factory=dict)

    @property
    def parts(self) -> list[Part]:
        """The folds as the choice wants them."""
        return self.folds.parts(self.choice.features)

    def values(self, parameters: Mapping[str, Value]) -> Iterator[float]:
        """Value of each fold in turn; the scores of the judged rows are kept."""
        kept, used = np.full(self.folds.wanted.y.size, np.nan), []
        for part in self.parts:
            model, rounds = self.fitted(parameters, part)
            used += [] if rounds is None else [rounds]
            value, scores = judged(model, part.judged, part.wanted, self.metric)
            if scores is not None:
                kept[part.rows] = scores
            yield value
        key = _key(parameters)
        self.scores[key], self.used[key] = kept, used

    def out_of_fold(self, parameters: Mapping[str, Value]) -> Floats | None:
        """Scores of all rows by models that have not seen them, fitted again only if they are not known."""
        key = _key(parameters)
        if key not in self.scores:
            with limited(self.threads):
                list(self.values(parameters))
        return self.scores[key] if self.folds.wanted.binary else None

    def rounds(self, parameters: Mapping[str, Value]) -> dict[str, Value]:
        """The mean number of rounds that the folds needed, by the name of the parameter; empty without early stopping.

        Defaults keep the number of rounds that they name.
        """
        if self.patience is None or not parameters:
            return {}
        self.out_of_fold(parameters)
        family = early.family_of(classifier_of(self.choice, parameters, self.seed, self.threads))
        used = self.used[_key(parameters)]
        return {early.ROUNDS[family]: max(1, round(float(np.mean(used))))} if family and used else {}

    def fitted(self, parameters: Mapping[str, Value], part: Part) -> tuple[BaseEstimator, int | None]:
        """Fit the classifier on the training rows of a fold; how many rounds it used, if it stopped by itself."""
        classifier = classifier_of(self.choice, parameters, self.seed, self.threads)
        if self.patience is None or not parameters:
            return fitted_to(classifier, part.learned, part.known), None
        return early.fitted_until(classifier, part, self.patience, self.seed)


def _key(parameters: Mapping[str, Value]) -> str:
    return repr(sorted(parameters.items()))
