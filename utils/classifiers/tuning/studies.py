"""Studies on Optuna: quiet, pruned, kept and taken up again where they stopped, by one worker or by several.

One worker tries one point after the other in this process, so that a study does not depend on which trial ends first;
threads belong to the fits. Several workers are processes of their own (:mod:`.worker`), started here
(``ANOMALY_TUNING_WORKERS``), by hand or on other hosts.
"""

import hashlib
import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from utils.classifiers.tuning import tasks
from utils.classifiers.tuning.crew import Crew
from utils.classifiers.tuning.leases import LOST, REASON, Watch, worker_of
from utils.classifiers.tuning.plans import best_of
from utils.classifiers.tuning.storages import Kept, Location, in_reach, opened
from utils.classifiers.tuning.tasks import Search
from utils.classifiers.tuning.trials import Default, Trials
from utils.classifiers.tuning.trying import FITS, PAUSE, SECONDS, VALUES, Worker, finished
from utils.compute.threads import limited
from utils.errors import DataError, LabError

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

__all__ = ["DEFAULT", "FITS", "REASON", "SECONDS", "VALUES", "Default", "Done", "Progress", "Trials", "name_of",
           "progress_of", "quiet", "run"]  # fmt: skip

DEFAULT = "default"
"""What a study notes about the default parameters."""

ALREADY_REPORTED = "The reported value is ignored"
"""Optuna's remark on a trial that is tried again: the value of a fold is known, and the same."""


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
class Done:
    """A finished study.

    Attributes:
        trials: its trials by place.
        default: what the default parameters reach.
        location: where it is kept; ``None`` if in memory.
    """

    trials: "list[FrozenTrial]"
    default: Default
    location: Location | None

    @property
    def workers(self) -> int:
        """How many workers finished a trial."""
        return max(1, len({worker_of(trial) for trial in self.trials} - {""}))

    @property
    def retried(self) -> int:
        """How many trials were tried again because a worker was lost."""
        return sum(LOST in trial.user_attrs for trial in self.trials)


def run(
    trials: Trials,
    search: Search,
    *,
    name: str = "",
    location: Location | None = None,
    workers: int = 1,
    report: Callable[[Progress], object] | None = None,
) -> Done:
    """Try points until there are so many, those of an earlier, interrupted run included.

    Args:
        trials: how a point is tried.
        search: which points are tried.
        name: name of the study where it is kept.
        location: where that is; ``None`` to keep the study in memory only.
        workers: how many processes try points; with one, this process does.
        report: told after each trial.

    Raises:
        DataError: if the defaults or all trials failed, or workers are killed again and again.
        SettingsError: if the place cannot be used, or is lost on the way.
    """
    number = search.plan(trials.space, alone=True).size(search.trials)
    with quiet(), limited(trials.threads), in_reach(location):
        kept = opened(location, name)
        tell = _Teller(kept, number, report)
        done = _by_several(trials, search, kept, tell, workers) if workers > 1 else _alone(trials, search, kept, tell)
    if best_of(done.trials) is None:
        reason = next((one.user_attrs[REASON] for one in done.trials if REASON in one.user_attrs), "all were stopped")
        found = f"all of {len(done.trials)} failed ({reason.rstrip('.')})"
        raise DataError(f"{trials.choice.name} must be fitted by a trial, found that {found}: correct its space")
    return done


def name_of(trials: Trials, method: str, number: object) -> str:
    """Name of a study that says what it is about: other data, folds, space, metric or code make another study."""
    content = hashlib.sha256()
    X, wanted = trials.folds.X, trials.folds.wanted
    content.update((X.hash_rows().to_numpy() if isinstance(X, pl.DataFrame) else np.ascontiguousarray(X)).tobytes())
    for part in (wanted.y.astype(str), wanted.weight, *(split.test for split in trials.folds.splits)):
        content.update(b"" if part is None else str(part.tolist()).encode())
    features, space = sorted(trials.choice.features.items()), sorted(trials.space.items())
    settings = (features, space, trials.metric, trials.prune, trials.patience, trials.seed, method, number)
    content.update(repr((settings, trials.folds.columns, sorted(tasks.versions().items()))).encode())
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
        warnings.filterwarnings("ignore", ALREADY_REPORTED)
        try:
            yield
        finally:
            optuna.logging.set_verbosity(before)


@dataclass(eq=False)
class _Teller:
    """Tells of each finished trial once.

    Attributes:
        kept: the study.
        number: how many trials there will be.
        report: who is told.
        told: places that need no telling; those that were finished when the work began.
    """

    kept: Kept
    number: int
    report: Callable[[Progress], object] | None
    told: set[int] | None = None

    def finished(self) -> "list[FrozenTrial]":
        """The finished trials as they are now."""
        done = finished(self.kept.seen(), self.number)
        self.told = {trial.number for trial in done} if self.told is None else self.told
        return done

    def tell(self, default: Default) -> "list[FrozenTrial]":
        """Report what has been finished since the last time, the earliest first."""
        before = self.told or set()
        done = self.finished()
        known = [trial for trial in done if trial.number in before]
        for trial in sorted((one for one in done if one.number not in before), key=_ended):
            known.append(trial)
            if self.report:
                self.report(progress_of(known, self.number, default))
        self.told = {trial.number for trial in done}
        return done


def _alone(trials: Trials, search: Search, kept: Kept, teller: _Teller) -> Done:
    """Try one point after the other in this process."""
    teller.finished()
    default = _default(kept, trials)
    worker = Worker(kept, trials, search.plan(trials.space, alone=True), teller.number)
    for _ in worker.work():
        teller.tell(default)
    return Done(teller.tell(default), default, kept.location)


def _by_several(trials: Trials, search: Search, kept: Kept, teller: _Teller, workers: int) -> Done:
    """Start workers, watch them, and try the defaults meanwhile."""
    trials = replace(trials, threads=1)
    left = teller.number - len(teller.finished())
    with limited(1):
        if not left:
            default = _default(kept, trials)
            return Done(teller.tell(default), default, kept.location)
        tasks.write(kept, trials, search)
        kept.study.set_user_attr(tasks.NUMBER, max(teller.number, kept.study.user_attrs.get(tasks.NUMBER, 0)))
        watch = Watch()
        with Crew(tasks.location_of(kept), kept.study.study_name, min(workers, left)) as crew:
            default = _default(kept, trials)
            while len(done := teller.tell(default)) < teller.number:
                crew.tend(teller.number - len(done))
                watch.recover(kept, kept.seen())
                time.sleep(PAUSE)
    return Done(done, default, kept.location)


def _default(kept: Kept, trials: Trials) -> Default:
    """What the default parameters reach, computed once in the life of a study.

    Raises:
        DataError: if the classifier cannot be fitted with them.
    """
    if DEFAULT not in kept.study.user_attrs:
        began = time.process_time()
        try:
            values = list(trials.values({}))
        except LabError:
            raise
        except Exception as error:  # of any classifier
            reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
            raise DataError(
                f"{trials.choice.name} must be fitted by its defaults, found that it cannot be ({reason}): "
                "give it rows that it can learn from"
            ) from error
        kept.study.set_user_attr(DEFAULT, [values, time.process_time() - began])
    values, seconds = kept.study.user_attrs[DEFAULT]
    return Default(tuple(values), seconds)


def progress_of(done: "list[FrozenTrial]", number: int, default: Default) -> Progress:
    """How far a study is.

    Args:
        done: finished trials, the last one last.
        number: how many there will be.
        default: what the default parameters reach.
    """
    last, best = done[-1], best_of(done)
    score = float(last.value) if last.state.name == "COMPLETE" and last.value is not None else np.nan
    reached = default.score if best is None else max(default.score, float(best.value or 0.0))
    return Progress(len(done), number, score, reached)


def _ended(trial: "FrozenTrial") -> tuple[float, int]:
    ended = trial.datetime_complete
    return (ended.timestamp() if ended else np.inf), trial.number
