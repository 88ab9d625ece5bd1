"""Studies on Optuna: quiet, one trial at a time, pruned, stored in a local file and taken up again where they stopped.

Parallel trials would make a study depend on which one ends first, so trials run one after the other and threads belong
to the fits.
"""

import hashlib
import logging
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator

from utils.classifiers import spaces
from utils.classifiers.spaces import Space, Value
from utils.classifiers.tuning import early
from utils.classifiers.tuning.folds import Folds, Part, Tunable, classifier_of, fitted_to
from utils.classifiers.tuning.plans import Plan, best_of
from utils.classifiers.tuning.targets import judged
from utils.compute.threads import limited
from utils.errors import DataError, SettingsError
from utils.evaluation.inputs import Floats

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial, Trial

REASON, SECONDS, FITS, VALUES = "reason", "seconds", "fits", "values"
"""What a study notes about a trial beside its values."""

DEFAULT = "default"
PRUNE_AFTER = 4
"""Complete trials before one can be stopped early."""


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


class Progress(NamedTuple):
    """How far a study is.

    Attributes:
        done: finished trials.
        trials: how many there will be.
        score: value of the last one; NaN if it was stopped or failed.
        best: the best value so far.
    """

    done: int
    trials: int
    score: float
    best: float

    def __str__(self) -> str:
        """In words: ``trial 3 of 20: 0.9312, best 0.9340``."""
        shown = "stopped" if np.isnan(self.score) else f"{self.score:.4f}"
        return f"trial {self.done} of {self.trials}: {shown}, best {self.best:.4f}"


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


def run(
    trials: Trials,
    plan: Plan,
    number: int,
    storage: Path | None,
    name: str,
    report: Callable[[Progress], object] | None = None,
) -> "tuple[list[FrozenTrial], Default]":
    """Try points until there are so many, those of an earlier, interrupted run included.

    Args:
        trials: how a point is tried.
        plan: which point is tried next.
        number: number of trials.
        storage: SQLite file; ``None`` to keep the study in memory only.
        name: name of the study in the file.
        report: told after each trial.

    Returns:
        The trials in order, and what the default parameters reach.

    Raises:
        DataError: if every trial failed.
        SettingsError: if the file cannot be used.
    """
    with quiet(), limited(trials.threads):
        study = _opened(storage, name)
        default = _default(study, trials)
        while len(done := finished(study)) < number:
            sampler = plan.sampler(done)
            if sampler is None:
                break
            study.sampler = sampler
            _try(study, trials, done)
            if report:
                report(_progress(finished(study), number, default))
        done = finished(study)[:number]
    if best_of(done) is None:
        reason = next((trial.user_attrs[REASON] for trial in done if REASON in trial.user_attrs), "all were stopped")
        found = f"all of {len(done)} failed ({reason.rstrip('.')})"
        raise DataError(f"{trials.choice.name} must be fitted by a trial, found that {found}: correct its space")
    return done, default


def finished(study: "Study") -> "list[FrozenTrial]":
    """Trials that ended by themselves: complete, stopped early, or failed for a reason; not those interrupted."""
    return [
        trial
        for trial in study.get_trials(deepcopy=False)
        if trial.state.name in ("COMPLETE", "PRUNED") or REASON in trial.user_attrs
    ]


def name_of(trials: Trials, method: str, number: object) -> str:
    """Name of a study that says what it is about: other data, folds, space or metric make another study."""
    content = hashlib.sha256()
    X, wanted = trials.folds.X, trials.folds.wanted
    content.update((X.hash_rows().to_numpy() if isinstance(X, pl.DataFrame) else np.ascontiguousarray(X)).tobytes())
    for part in (wanted.y.astype(str), wanted.weight, *(split.test for split in trials.folds.splits)):
        content.update(b"" if part is None else str(part.tolist()).encode())
    features, space = sorted(trials.choice.features.items()), sorted(trials.space.items())
    settings = (features, space, trials.metric, trials.prune, trials.patience, trials.seed, method, number)
    content.update(repr((settings, trials.folds.columns)).encode())
    return f"{trials.choice.name} {method} {content.hexdigest()[:16]}"


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna from writing; its setting is put back afterwards."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "IProgress not found")  # of its progress bar, which is not used
        import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=optuna.exceptions.ExperimentalWarning)
        try:
            yield
        finally:
            optuna.logging.set_verbosity(before)


def _opened(storage: Path | None, name: str) -> "Study":
    """Open a study, or make it; trials that an interruption left behind are given up."""
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    pruner = optuna.pruners.MedianPruner(n_startup_trials=PRUNE_AFTER, n_warmup_steps=0)
    try:
        if storage is not None:
            storage.parent.mkdir(parents=True, exist_ok=True)
        kept = None if storage is None else _store(storage.resolve())
        study = optuna.create_study(
            storage=kept, study_name=name, direction="maximize", pruner=pruner, load_if_exists=True
        )
    except (SQLAlchemyError, OSError, RuntimeError) as error:
        found = f"{storage} cannot be used ({str(error).splitlines()[0]})"
        raise SettingsError(f"a study is kept in an SQLite file, found that {found}: name another file") from None
    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    return study


def _store(file: Path) -> "RDBStorage":
    """Open an SQLite file that does not wait for the disk: a study survives its process, if not a loss of power."""
    from optuna.storages import RDBStorage

    def connected() -> sqlite3.Connection:
        connection = sqlite3.connect(file, check_same_thread=False, timeout=60)
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    return RDBStorage(f"sqlite:///{file}", engine_kwargs={"creator": connected})


def _default(study: "Study", trials: Trials) -> Default:
    """What the default parameters reach, computed once in the life of a study."""
    if DEFAULT not in study.user_attrs:
        began = time.process_time()
        values = list(trials.values({}))
        study.set_user_attr(DEFAULT, [values, time.process_time() - began])
    values, seconds = study.user_attrs[DEFAULT]
    return Default(tuple(values), seconds)


def _try(study: "Study", trials: Trials, done: "Sequence[FrozenTrial]") -> None:
    """Try one point: fold by fold, stopped early where it is below the median, known values where it is known."""
    from optuna.trial import TrialState

    trial = study.ask()
    parameters = spaces.suggest(trial, trials.space)
    known = next((one for one in done if one.state.name == "COMPLETE" and one.params == trial.params), None)
    began = time.process_time()
    try:
        values = known.user_attrs[VALUES] if known else _judged_by_folds(trial, trials, parameters)
    except Exception as error:
        trial.set_user_attr(REASON, (str(error) or type(error).__name__).splitlines()[0])
        study.tell(trial, state=TrialState.FAIL)
        return
    trial.set_user_attr(VALUES, values)
    trial.set_user_attr(FITS, 0 if known else len(values))
    trial.set_user_attr(SECONDS, time.process_time() - began)
    complete = len(values) == len(trials.folds.splits)
    study.tell(trial, float(np.mean(values)) if complete else None, None if complete else TrialState.PRUNED)


def _judged_by_folds(trial: "Trial", trials: Trials, parameters: Mapping[str, Value]) -> list[float]:
    """Values of the folds; fewer than there are if the trial was stopped."""
    seen: list[float] = []
    for value in trials.values(parameters):
        seen.append(value)
        trial.report(float(np.mean(seen)), len(seen))
        if trials.prune and len(seen) < len(trials.folds.splits) and trial.should_prune():
            break
    return seen


def _progress(done: "Sequence[FrozenTrial]", number: int, default: Default) -> Progress:
    last, best = done[-1], best_of(done)
    score = float(last.value) if last.state.name == "COMPLETE" and last.value is not None else np.nan
    reached = default.score if best is None else max(default.score, float(best.value or 0.0))
    return Progress(len(done), number, score, reached)


def _key(parameters: Mapping[str, Value]) -> str:
    return repr(sorted(parameters.items()))
