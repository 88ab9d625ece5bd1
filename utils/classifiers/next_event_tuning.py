"""Tuning of next-event networks by the loss on normal sessions, with Optuna: no anomaly is needed, and none is used.

The normal sessions are divided into three: most are learned from, some judge the trials and say when to stop, and some
are kept back until the end, when the best parameters stand beside the defaults once. Tokens are coded and laid out once
for all trials. A trial that is worse than the median of the others after as many epochs is stopped.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from sklearn.base import clone

from utils.classifiers import spaces
from utils.classifiers.spaces import OneOf, Real, Space, Value, Whole
from utils.classifiers.tuning.plans import plan_of
from utils.classifiers.tuning.storages import PRUNE_AFTER
from utils.classifiers.tuning.studies import DEFAULT, Progress, quiet
from utils.detectors.networks import Best, Course
from utils.detectors.next_event import NextEvent, lessons
from utils.detectors.next_event.estimator import check_parameters, design_of, normal_sessions, unseen_share
from utils.detectors.next_event.lessons import Lessons
from utils.detectors.next_event.prefixes import steps_of
from utils.detectors.next_event.recurrence import Network
from utils.detectors.next_event.training import train
from utils.errors import DataError, SettingsError
from utils.evaluation import intervals
from utils.evaluation.inputs import Floats, Values
from utils.features.log_sessions import Distinct, Sequences
from utils.settings import SEED

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import Trial

SPACE: Space = MappingProxyType(
    {
        "units": Whole(16, 96, log=True),
        "layers": Whole(1, 2),
        "embedding": OneOf((None, 4, 8, 16)),
        "dropout": Real(0.0, 0.5),
        "learning_rate": Real(2e-3, 3e-2, log=True),
    }
)
"""Parameters of :class:`~utils.detectors.next_event.NextEvent`; ``layers`` says how many layers have these units."""

TRIALS: dict[str, pl.DataType] = {
    "trial": pl.Int64(), "state": pl.String(), "loss": pl.Float64(), "epochs": pl.Int64(), "seconds": pl.Float64()
}  # fmt: skip

PARTS = 5
"""Parts of the normal sessions: three are learned from, one judges the trials, one is kept back."""

WARM_UP = 4
"""A trial runs for this share of its epochs (one in so many) before it can be stopped."""


@dataclass(frozen=True, eq=False)
class TunedNextEvent:
    """What a search found.

    Attributes:
        table: one row a trial, the defaults first (trial -1): ``trial``, ``state`` (``"default"``, ``"complete"``,
            ``"stopped"``), ``loss`` (nats a step on the validation sessions, lowest of its epochs; null if stopped),
            ``best`` (lowest so far), ``epochs``, ``seconds`` (CPU) and the parameters.
        parameters: the best parameters as those of the detector; empty if no trial was better than the defaults.
        default_loss: nats a step of the defaults on the sessions kept back.
        tuned_loss: the same of the best parameters.
        low: of the 95 % interval of the difference, tuned - default (bootstrap over sessions).
        high: its other end.
        sessions: number of sessions kept back.
        defaults: the detector with its own parameters, not fitted.
    """

    table: pl.DataFrame
    parameters: Mapping[str, Any]
    default_loss: float
    tuned_loss: float
    low: float
    high: float
    sessions: float
    defaults: NextEvent

    @property
    def helped(self) -> bool:
        """Whether the best parameters have a lower loss on sessions kept back, beyond noise."""
        return self.high < 0

    @property
    def sentence(self) -> str:
        """Whether tuning helped, in words."""
        tried = self.table.height - 1
        if not self.parameters:
            return f"Tuning did not help: none of {tried} trials was better than the defaults on validation sessions."
        verdict = "helped" if self.helped else "hurt" if self.low > 0 else "did not help beyond noise"
        return (
            f"Tuning {verdict}: {self.tuned_loss:.4f} nats a step instead of {self.default_loss:.4f} on "
            f"{self.sessions:,.0f} normal sessions kept back (difference {self.tuned_loss - self.default_loss:+.4f}, "
            f"95 % interval {self.low:+.4f} to {self.high:+.4f}), best of {tried} trials."
        )

    def detector(self, **settings: Any) -> NextEvent:  # noqa: ANN401 - any parameter of the detector
        """The detector with the best parameters, not fitted.

        Args:
            settings: other parameters to set, such as ``members``.
        """
        made: NextEvent = clone(self.defaults).set_params(**{**self.parameters, **settings})
        return made

    def results(self, prefix: str = "") -> dict[str, float]:
        """Numbers for the record of a run."""
        names = ("default_loss", "tuned_loss", "low", "high")
        return {f"{prefix}{name}": float(getattr(self, name)) for name in names}


def tune_next_event(
    X: pl.DataFrame,
    y: Values | None = None,
    weight: Values | None = None,
    *,
    detector: NextEvent | None = None,
    trials: int = 12,
    seconds: float | None = None,
    space: Space = SPACE,
    resamples: int = 1_000,
    seed: int = SEED,
    progress: Callable[[Progress], object] | None = None,
) -> TunedNextEvent:
    """Find good parameters of a next-event network on normal sessions alone.

    Args:
        X: one row a session, with a list column of events.
        y: true for an anomaly, shape (n,); anomalies and rows without a label are left out.
        weight: how many sessions each row stands for, shape (n,).
        detector: its parameters are the defaults, and those that are not searched; one network is trained a trial.
        trials: most trials beside the defaults.
        seconds: no trial begins after so much wall time; the result then depends on the machine. ``None``: no limit.
        space: what the parameters may be.
        resamples: bootstrap draws behind the interval.
        seed: of the division, the search and the draws.
        progress: told after each trial; its values are losses.

    Returns:
        The trials, the best parameters, and what they are worth on sessions that the search never saw.

    Raises:
        SettingsError: if there is no trial to make, or a parameter is out of range.
        DataError: if there are too few normal sessions to divide.
        SchemaError: if the column is missing or holds no lists of integers or texts.
    """
    usual = clone(detector or NextEvent()).set_params(progress=None)
    if trials < 1 or not space:
        raise SettingsError(f"a search needs a parameter to vary and at least 1 trial, found {trials}: give both")
    check_parameters(usual)
    search = _Search.of(usual, normal_sessions(X, y, weight, usual.events, usual.rare, usual.trusted), space, seed)
    search.run(trials, seconds, progress)
    return search.result(resamples, seed)


@dataclass(frozen=True, eq=False)
class _Tried:
    """One trial.

    Attributes:
        state: how it ended.
        parameters: as the space names them; none for the defaults.
        seconds: CPU time.
        network: what was trained; ``None`` if the trial was stopped.
        epochs: how many epochs it took.
    """

    state: str
    parameters: Mapping[str, Value]
    seconds: float
    network: Best | None
    epochs: int

    @property
    def loss(self) -> float:
        """Lowest loss on validation sessions, in nats a step."""
        return np.inf if self.network is None else min(self.network.history)

    def row(self, place: int, kinds: Mapping[str, pl.DataType]) -> dict[str, Any]:
        """What the table of trials says."""
        shown = {name: str(value) if kinds[name] == pl.String else value for name, value in self.parameters.items()}
        loss = self.loss if self.network else None
        return {
            "trial": place,
            "state": self.state,
            "loss": loss,
            "epochs": self.epochs,
            "seconds": self.seconds,
            **shown,
        }


@dataclass(frozen=True, eq=False)
class _Search:
    """Rows that are coded once, and the trials so far.

    Attributes:
        usual: detector with the default parameters.
        space: what is searched.
        seed: of division, search and networks.
        seen: distinct normal sessions.
        learned: rows to learn from.
        validation: rows that judge the trials.
        kept: sessions of each sequence that no trial sees.
        tried: the trials, the defaults first.
    """

    usual: NextEvent
    space: Space
    seed: int
    seen: Distinct
    learned: Lessons
    validation: Lessons
    kept: Floats
    tried: list[_Tried]

    @classmethod
    def of(cls, usual: NextEvent, seen: Distinct, space: Space, seed: int) -> "_Search":
        """Divide and code the sessions.

        Raises:
            DataError: if they are too few.
        """
        parts = lessons.divided(seen.counts, PARTS, seed)
        if not parts or min(part.sum() for part in parts) <= 0:
            wanted = f"a search needs {lessons.LEAST_SESSIONS} normal sessions and two different ones to divide"
            raise DataError(f"{wanted}, found {seen.counts.sum():g} and {len(seen.counts)}: give more, or the defaults")
        kept, validation, *rest = parts
        counts = np.sum(rest, axis=0)
        learned = lessons.rows_of(seen.sequences, counts, usual.window, usual.count_power)
        judged = lessons.rows_of(seen.sequences, validation, usual.window)
        return cls(usual, space, seed, seen, learned, judged, kept, [])

    def run(self, trials: int, seconds: float | None, progress: Callable[[Progress], object] | None) -> None:
        """Try the defaults, then points of the space until there are so many or the time is over."""
        plan, began = plan_of("tpe", self.space, trials, self.seed), time.monotonic()
        with quiet():
            import optuna

            self.tried.append(self._try(DEFAULT, {}, None))
            pruner = optuna.pruners.MedianPruner(PRUNE_AFTER, max(1, self.usual.epochs // WARM_UP))
            study = optuna.create_study(direction="minimize", pruner=pruner)
            while (done := len(self.tried) - 1) < trials and (seconds is None or time.monotonic() - began < seconds):
                study.sampler = plan.sampler(done, study.get_trials(deepcopy=False)) or study.sampler
                trial = study.ask()
                self.tried.append(self._try("complete", spaces.suggest(trial, self.space), trial))
                _tell(study, trial, self.tried[-1])
                if progress is not None:
                    last = self.tried[-1].loss
                    progress(Progress(done + 1, trials, last if np.isfinite(last) else np.nan, self._best.loss))

    def result(self, resamples: int, seed: int) -> TunedNextEvent:
        """Judge the best trial and the defaults by the sessions kept back."""
        rows = np.flatnonzero(self.kept)
        sequences, counts = self.seen.sequences.take(rows), self.kept[rows]
        default, best = (self._surprise(sequences, one) for one in (self.tried[0], self._best))
        steps = sequences.lengths + 1
        blocks = intervals.resample(np.ceil(counts).astype(np.int64), resamples, seed)
        drawn = np.concatenate([chosen @ (best - default) / (chosen @ steps) for chosen in blocks])
        usual_loss, loss = (float(counts @ each / (counts @ steps)) for each in (default, best))
        found = intervals.percentile(drawn, loss - usual_loss, intervals.LEVEL, "bootstrap")
        parameters = _settings(self._best.parameters)
        defaults = clone(self.usual)
        total = float(counts.sum())
        return TunedNextEvent(self._table(), parameters, usual_loss, loss, found.low, found.high, total, defaults)

    @property
    def _best(self) -> _Tried:
        return min(self.tried, key=lambda one: one.loss)

    def _try(self, state: str, parameters: Mapping[str, Value], trial: "Trial | None") -> _Tried:
        """Train one network, or begin to."""
        import optuna

        began, losses = time.process_time(), []

        def told(epoch: int, _: int, loss: float) -> None:
            losses.append(loss)
            if trial is not None:
                trial.report(min(losses), epoch)
                if trial.should_prune():
                    raise optuna.TrialPruned

        detector = clone(self.usual).set_params(**_settings(parameters))
        course = Course(detector.epochs, detector.patience, detector.learning_rate, told)
        design = design_of(detector, self.seen.sequences.vocabulary.unseen)
        try:
            network = train(self.learned, self.validation, design, course, detector.batch, self.seed)
        except optuna.TrialPruned:
            return _Tried("stopped", parameters, time.process_time() - began, None, len(losses))
        return _Tried(state, parameters, time.process_time() - began, network, len(losses))

    def _surprise(self, sequences: Sequences, tried: _Tried) -> Floats:
        """Sum of the surprises of each sequence."""
        found = np.zeros(len(sequences))
        cell = clone(self.usual).set_params(**_settings(tried.parameters)).cell
        network = [] if tried.network is None else [Network(tried.network.arrays, cell)]
        for steps in steps_of(sequences, network, unseen_share(self.seen), window=self.usual.window):
            found[steps.sequences] = np.add.reduceat(-np.log(steps.probability), steps.offsets[:-1])
        return found

    def _table(self) -> pl.DataFrame:
        """One row a trial."""
        kinds = {name: _kind(choice) for name, choice in self.space.items()}
        rows = [one.row(place, kinds) for place, one in enumerate(self.tried, -1)]
        frame = pl.DataFrame(rows, schema={**TRIALS, **kinds})
        best = pl.col("loss").cum_min().forward_fill().alias("best")
        return frame.with_columns(best).select("trial", "state", "loss", "best", "epochs", "seconds", *self.space)


def _tell(study: "Study", trial: "Trial", tried: _Tried) -> None:
    from optuna.trial import TrialState

    stopped = tried.network is None
    study.tell(trial, None if stopped else tried.loss, TrialState.PRUNED if stopped else None)


def _kind(choice: spaces.Range) -> pl.DataType:
    """Type of a column of parameters; choices among other things than whole numbers are shown as texts."""
    if isinstance(choice, OneOf) and not all(isinstance(value, int | None) for value in choice.values):
        return pl.String()
    return pl.Float64() if isinstance(choice, Real) else pl.Int64()


def _settings(parameters: Mapping[str, Value]) -> dict[str, Any]:
    """Parameters of the space as those of the detector: so many layers of so many units."""
    found: dict[str, Any] = dict(parameters)
    layers = found.pop("layers", 1)
    if "units" in found and not isinstance(found["units"], tuple):
        found["units"] = (found["units"],) * layers
    return found
