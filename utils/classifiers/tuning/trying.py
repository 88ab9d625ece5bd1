"""The loop of a worker: take the next place of a study, try its point, note what came out, until all are finished.

A trial's number in its study is its place among the trials. The storage hands each number out once, and lets one
worker alone turn a waiting trial into a running one and a running one into a finished one. A lost trial keeps its
number and its parameters. So each place is finished exactly once, whoever worked on it and however often.
"""

import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from utils.classifiers import spaces
from utils.classifiers.spaces import Space, Value
from utils.classifiers.tuning.leases import REASON, Watch, held, is_held, worker_name
from utils.classifiers.tuning.plans import Plan, given
from utils.classifiers.tuning.storages import Kept
from utils.classifiers.tuning.trials import Trials

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial, Trial

SECONDS, FITS, VALUES = "seconds", "fits", "values"
"""What a study notes about a trial beside its value."""

ENDINGS = (signal.SIGINT, signal.SIGTERM)
PAUSE = 0.2
"""Seconds between two looks at a study in which there is nothing to take."""


def finished(seen: "Sequence[FrozenTrial]", number: int) -> "list[FrozenTrial]":
    """Those of the first so many trials that are complete, stopped early or failed."""
    return [trial for trial in seen[:number] if trial.state.is_finished()]


@dataclass(frozen=True, eq=False)
class Worker:
    """One worker of one study.

    Attributes:
        kept: the study.
        trials: how a point is tried.
        plan: which point has which place.
        number: how many trials there will be.
        name: who this is.
    """

    kept: Kept
    trials: Trials
    plan: Plan
    number: int
    name: str = field(default_factory=worker_name)

    def work(self) -> "Iterator[list[FrozenTrial]]":
        """Try points until all are finished.

        Yields:
            The finished trials by place, after each trial of this worker.
        """
        watch = Watch()
        while True:
            seen = self.kept.seen()
            done = finished(seen, self.number)
            if len(done) == self.number:
                return
            watch.recover(self.kept, seen)
            if not self._tried(seen, done):
                time.sleep(PAUSE)
                continue
            yield finished(self.kept.seen(), self.number)

    def take(self, seen: "Sequence[FrozenTrial]", done: "Sequence[FrozenTrial]") -> "tuple[Trial, BaseSampler] | None":
        """Take the first place that waits, or the next one, if its point can be said already.

        Args:
            seen: all trials of the study by place.
            done: those that are finished.

        Returns:
            The trial, and where its point comes from; ``None`` if there is nothing to take now.
        """
        place = next((trial.number for trial in seen if trial.state.name == "WAITING"), len(seen))
        if place >= self.number or self.plan.sampler(place, done) is None:
            return None
        trial = self.kept.study.ask() if place == len(seen) else self.kept.taken_up(place)
        if trial is None:
            return None
        sampler = self.plan.sampler(trial.number, done) if trial.number < self.number else None
        if sampler is None:
            self.kept.put_back(trial.number)
            return None
        return trial, sampler

    def _tried(self, seen: "Sequence[FrozenTrial]", done: "Sequence[FrozenTrial]") -> bool:
        """Try the next point, if there is one; interrupted, it goes back, and what others finished stays as it is."""
        from optuna.exceptions import UpdateFinishedTrialError

        with ExitStack() as stack:
            stack.enter_context(_uninterrupted())
            taken = self.take(seen, done)
            if taken is None:
                return False
            trial, sampler = taken
            try:
                stack.close()  # an interruption that came meanwhile is raised here
                with held(self.kept, trial.number, self.name):
                    self.judge(trial, sampler, done)
            except UpdateFinishedTrialError:
                return True
            except BaseException:
                with suppress(UpdateFinishedTrialError):
                    self.kept.put_back(trial.number)
                raise
        return True

    def judge(self, trial: "Trial", sampler: "BaseSampler", done: "Sequence[FrozenTrial]") -> None:
        """Fold by fold, stopped early where it is below the median, known values where the point is known.

        Args:
            trial: a trial that this worker has taken.
            sampler: where its point comes from.
            done: finished trials.

        Raises:
            OptunaError: if the storage fails, or the trial was finished by another worker meanwhile.
        """
        from optuna.exceptions import OptunaError

        self.kept.study.sampler = _whole(trial, self.trials.space, sampler, done)
        parameters = spaces.suggest(trial, self.trials.space)
        known = next((one for one in done if one.state.name == "COMPLETE" and one.params == trial.params), None)
        began, reason = time.process_time(), None
        values: list[float] = []
        try:
            values = known.user_attrs[VALUES] if known else self._values(trial, parameters)
        except OptunaError:  # says nothing about the point, which is to be tried again
            raise
        except Exception as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
        fits = 0 if known else len(values)
        self._finish(trial, values, reason, {FITS: fits, SECONDS: time.process_time() - began})

    def _values(self, trial: "Trial", parameters: Mapping[str, Value]) -> list[float]:
        """Values of the folds; fewer than there are if the trial was stopped."""
        seen: list[float] = []
        for value in self.trials.values(parameters):
            seen.append(value)
            trial.report(float(np.mean(seen)), len(seen))
            if self.trials.prune and len(seen) < self._folds and trial.should_prune():
                break
        return seen

    def _finish(self, trial: "Trial", values: Sequence[float], reason: str | None, spent: Mapping[str, float]) -> None:
        """Note what came out, unless the trial was taken from this worker as it seemed to be gone."""
        from optuna.trial import TrialState

        if self.kept.location is not None and not is_held(self.kept, trial.number, self.name):
            return
        noted = {REASON: reason} if reason else {VALUES: list(values), **spent}
        for key, value in noted.items():
            trial.set_user_attr(key, value)
        complete = len(values) == self._folds
        state = TrialState.FAIL if reason else None if complete else TrialState.PRUNED
        with suppress(ValueError):  # of Optuna, where the trial is no longer running
            self.kept.study.tell(trial, float(np.mean(values)) if complete and not reason else None, state)

    @property
    def _folds(self) -> int:
        return len(self.trials.folds.splits)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let Ctrl-C and requests to end wait until the body is over; other threads than the main one get none anyway."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.signal(number, lambda one, _: came.append(one)) for number in ENDINGS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def _whole(trial: "Trial", space: Space, sampler: "BaseSampler", done: "Sequence[FrozenTrial]") -> "BaseSampler":
    """A source of the same point for a trial that was interrupted while its parameters were drawn.

    What is left to draw would be drawn with the numbers meant for what was drawn already.
    """
    if not 0 < len(trial.params) < len(space):
        return sampler
    import optuna

    aside = optuna.create_study(direction="maximize", sampler=sampler)
    aside.add_trials(done)
    return given(spaces.suggest(aside.ask(), space), space)
