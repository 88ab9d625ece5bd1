"""A pipeline on one split after the other: learned from training rows, the threshold too, judged once on test rows."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

import numpy as np
import polars as pl
from scipy.special import expit, logit, ndtr
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline

from utils import settings
from utils.classifiers.tuning.targets import class_formula
from utils.evaluation import intervals, metrics
from utils.evaluation.estimates import Estimate
from utils.evaluation.inputs import Floats, Ints, Values
from utils.evaluation.scoring import out_of_fold
from utils.evaluation.splits import Split
from utils.evaluation.thresholds import BestF1, Cuts, Fixed, Threshold

FOLDS = 5
"""Folds of training rows on whose scores a threshold is chosen."""

GRID = 200
"""Points of a smoothed curve."""

CERTAIN = 1e-4
"""Probabilities nearer to 0 or 1 count as this near."""

HALF = "0.5, not chosen"
MOST_LIKELY = "the most likely class"
Chosen = Callable[[Pipeline, pl.DataFrame, Values], Threshold]
"""Chooses a threshold for a pipeline (not fitted) on training rows and their labels."""


class SmoothF1(BestF1):
    """The threshold with the highest F1 to be expected if each score had been a little different.

    F1 of a few hundred scores is a jagged curve, and its highest tooth is where chance was kind. Here each score has
    normal noise on the scale of log-odds, and the F1 of the expected counts is a smooth curve.

    Args:
        width: standard deviation of the noise in log-odds; scores must be probabilities.
    """

    def __init__(self, width: float = 0.5) -> None:
        self.width = width

    def choose(self, cuts: Cuts) -> int:
        """Return the place of the decision that is nearest to the highest point of the smooth curve."""
        places = np.arange(2, cuts.values.size)
        scores = _log_odds(cuts.lowest[places])
        grid = np.linspace(scores.min(), scores.max(), GRID)
        reached = ndtr((scores[None, :] - grid[:, None]) / self.width)
        found, alarms = reached @ np.diff(cuts.found)[1:], reached @ np.diff(cuts.alarms)[1:]
        best = grid[int(np.argmax(self._worth(found, alarms, cuts)))]
        return int(cuts.places(np.array([expit(best)]))[0])

    def _worth(self, found: Floats, alarms: Floats, cuts: Cuts) -> Floats:
        """How good expected counts of anomalies found and false alarms are, at each point of the grid."""
        return np.asarray(2 * found / (found + alarms + cuts.anomalies))

    def _reason(self) -> str:
        return f"the highest F1 of the smoothed curve ({self.point_.f1:.4f} at the threshold)"


class SmoothErrors(SmoothF1):
    """The threshold with the fewest errors to be expected if each score had been a little different.

    Args:
        width: standard deviation of the noise in log-odds; wider than for F1, as errors among many rows are few.
    """

    def __init__(self, width: float = 2.0) -> None:
        super().__init__(width)

    def _worth(self, found: Floats, alarms: Floats, cuts: Cuts) -> Floats:
        return np.asarray(found - alarms)

    def _reason(self) -> str:
        return "the fewest errors of the smoothed curve"


class Chance(BaseEstimator):  # type: ignore[misc]
    """A pipeline whose score is the probability of an anomaly, also where it has a decision function besides."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline

    def fit(self, X: pl.DataFrame, y: Values) -> Self:
        """Learn from rows and their labels."""
        self.pipeline_ = clone(self.pipeline).fit(X, y)
        return self

    def score_samples(self, X: pl.DataFrame) -> Floats:
        """Probability of an anomaly (n,); HIGHER is more abnormal."""
        return np.asarray(self.pipeline_.predict_proba(X)[:, 1], dtype=np.float64)


class OutOfFold:
    """A threshold chosen on scores of training rows by models that have not seen them.

    One division into folds leaves much to chance where rows are few, so scores of several divisions can be taken
    together before the threshold is chosen.
    """

    def __init__(
        self,
        rule: Threshold | None = None,
        divisions: int = 1,
        *,
        groups: Ints | None = None,
        weight: Values | None = None,
        seed: int = settings.SEED,
    ) -> None:
        """Set what is chosen, and how often training rows are divided.

        Args:
            rule: says which threshold is best; the one with the highest F1 if not given.
            divisions: number of divisions into five folds.
            groups: group of each training row, none of which stands in two folds (n,).
            weight: how many rows each training row stands for (n,); models count it once.
            seed: of the first division.
        """
        self.rule = BestF1() if rule is None else rule
        self.divisions, self.groups, self.weight, self.seed = divisions, groups, weight, seed

    def __call__(self, pipeline: Pipeline, rows: pl.DataFrame, y: Values) -> Threshold:
        """Choose the threshold on training rows."""
        scores = [
            out_of_fold(Chance(pipeline), rows, y, FOLDS, groups=self.groups, seed=self.seed + part)
            for part in range(self.divisions)
        ]
        weight = None if self.weight is None else np.tile(np.asarray(self.weight), self.divisions)
        chosen: Threshold = clone(self.rule)
        return chosen.fit(np.concatenate(scores), np.tile(np.asarray(y), self.divisions), weight)

    def __str__(self) -> str:
        """Say how the threshold is chosen."""
        more = f", {self.divisions} divisions" if self.divisions > 1 else ""
        best = next(words for kind, words in WORDS.items() if isinstance(self.rule, kind))
        return f"{best} on out-of-fold scores of training rows ({FOLDS} folds{more})"


WORDS = {
    SmoothErrors: "fewest errors of the smoothed curve",
    SmoothF1: "best F1 of the smoothed curve",
    BestF1: "best F1",
}
"""How sentences call a rule; the first that fits."""


def half(pipeline: Pipeline, rows: pl.DataFrame, y: Values) -> Fixed:
    """Take 0.5 of the probability of an anomaly, whatever the training rows are."""
    return Fixed(0.5).fit(np.zeros(1), None)


def two_classes(
    pipeline: Pipeline,
    frame: pl.DataFrame,
    y: pl.Series,
    divisions: Iterable[Split],
    chosen: Callable[[Split], Chosen],
    weights: Callable[[Split], Mapping[str, Values]] = lambda split: {},
) -> pl.DataFrame:
    """Judge a pipeline that tells anomalies from normal rows on several splits.

    Args:
        pipeline: takes the frame; it is cloned.
        frame: n rows.
        y: true for an anomaly (n,).
        divisions: the splits.
        chosen: how the threshold of a split is chosen.
        weights: further weights of the test rows of a split, by a name that is added to ``f1_at_``.

    Returns:
        One row a split: ``split``, ``train``, ``test``, ``threshold``, ``f1``, ``average_precision``, ``roc_auc``,
        ``accuracy``, ``accuracy_at_half`` (for a threshold of 0.5), and ``f1_at_<name>`` for each weight.
    """
    rows = []
    for split in divisions:
        train, learned, judged = frame[split.train], y.gather(split.train), y.gather(split.test)
        threshold = chosen(split)(pipeline, train, learned)
        scores = Chance(pipeline).fit(train, learned).score_samples(frame[split.test])
        alarms = threshold.predict(scores)
        found = {
            "f1": metrics.f1(judged, alarms),
            "average_precision": metrics.average_precision(judged, scores),
            "roc_auc": metrics.roc_auc(judged, scores),
            "accuracy": metrics.accuracy(judged, alarms),
            "accuracy_at_half": metrics.accuracy(judged, scores >= 0.5),
        }
        found |= {f"f1_at_{name}": metrics.f1(judged, alarms, weight) for name, weight in weights(split).items()}
        rows.append({**_sizes(split), "threshold": threshold.value_, **found})
    return pl.DataFrame(rows)


def several_classes(
    pipeline: Pipeline, frame: pl.DataFrame, classes: pl.Series, divisions: Iterable[Split]
) -> tuple[pl.DataFrame, list[tuple[pl.Series, pl.Series]]]:
    """Judge a pipeline that names the class of a row on several splits.

    Args:
        pipeline: takes the frame; it is cloned.
        frame: n rows.
        classes: class of each row (n,).
        divisions: the splits.

    Returns:
        One row a split: ``split``, ``train``, ``test``, ``macro_f1``, ``accuracy``; and for each split the classes of
        its test rows with the decisions on them.
    """
    rows, decided = [], []
    for split in divisions:
        model = clone(pipeline).fit(frame[split.train], classes.gather(split.train))
        truth = classes.gather(split.test)
        called = pl.Series([str(name) for name in model.predict(frame[split.test])], dtype=pl.String)
        cells = confusion(truth, called)
        rows.append({**_sizes(split), "macro_f1": float(macro_f1(cells)), "accuracy": np.trace(cells) / cells.sum()})
        decided.append((truth, called))
    return pl.DataFrame(rows), decided


def class_table(decided: Iterable[tuple[pl.Series, pl.Series]]) -> pl.DataFrame:
    """Tabulate precision, recall and F1 of each class over the test rows of all splits together.

    Args:
        decided: classes of test rows, and decisions on them.

    Returns:
        One row a class, the worst first: ``class``, ``rows``, ``precision``, ``recall``, ``f1``.
    """
    pairs = list(decided)
    truth, called = (pl.concat([pair[side] for pair in pairs]) for side in (0, 1))
    names, cells = _names(truth, called), confusion(truth, called)
    found, rows, alarms = np.diag(cells), cells.sum(axis=1), cells.sum(axis=0)
    shares = {"precision": _share(found, alarms), "recall": _share(found, rows), "f1": _share(2 * found, rows + alarms)}
    return pl.DataFrame({"class": names, "rows": rows, **shares}).sort("f1", "class")


def confusion(truth: pl.Series, called: pl.Series) -> Ints:
    """Count decisions: one row a class, one column a decision, in alphabetical order of all names (k, k)."""
    names = _names(truth, called)
    place, decision = (
        side.replace_strict(names, range(len(names)), return_dtype=pl.Int64).to_numpy() for side in (truth, called)
    )
    counts = np.bincount(place * len(names) + decision, minlength=len(names) ** 2)
    return np.asarray(counts.reshape(len(names), -1), dtype=np.int64)


def macro_f1(cells: Floats | Ints) -> Floats:
    """Mean F1 of the classes that occur, each the same weight.

    Args:
        cells: counts of decisions, one row a class (..., k, k).

    Returns:
        One value a table of counts (...); classes without a row and without a decision are left out.
    """
    return class_formula("macro_f1")(np.asarray(cells, dtype=np.float64))


def macro_estimates(truth: pl.Series, called: pl.Series, unit: str, resamples: int, seed: int) -> tuple[Estimate, ...]:
    """Macro-F1 and accuracy of the decisions on one test part, with intervals.

    Args:
        truth: class of each test row (n,).
        called: decisions (n,).
        unit: what a row is.
        resamples: draws of the bootstrap, each with as many rows of each class.
        seed: of the draws.
    """
    cells = confusion(truth, called)
    strata = np.repeat(np.arange(len(cells)), len(cells))
    drawn = intervals.resample(cells.ravel(), resamples, seed, strata)
    values = np.concatenate([macro_f1(part.reshape(len(part), *cells.shape)) for part in drawn])
    value, right = float(macro_f1(cells)), float(np.trace(cells))
    macro = intervals.percentile(values, value, intervals.LEVEL, f"bootstrap within class, {resamples:,} resamples")
    share = intervals.wilson(right, float(cells.sum()))
    n = int(cells.sum())
    return (
        Estimate("macro_f1", value, macro.low, macro.high, unit, n, MOST_LIKELY, macro.how),
        Estimate("accuracy", right / n, share.low, share.high, unit, n, MOST_LIKELY, share.how),
    )


def _log_odds(probabilities: Floats) -> Floats:
    return np.asarray(logit(np.clip(probabilities, CERTAIN, 1 - CERTAIN)))


def _names(truth: pl.Series, called: pl.Series) -> list[str]:
    return sorted({*truth.unique().to_list(), *called.unique().to_list()})


def _share(part: Floats | Ints, whole: Floats | Ints) -> Floats:
    shape = np.broadcast(part, whole).shape
    return np.asarray(np.divide(part, whole, out=np.full(shape, np.nan), where=np.asarray(whole) > 0))


def _sizes(split: Split) -> dict[str, Any]:
    return {"split": split.name, "train": split.train.size, "test": split.test.size}
