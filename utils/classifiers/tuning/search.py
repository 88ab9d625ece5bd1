"""Find good parameters by cross-validation on training rows, and say what the search saw."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from sklearn.pipeline import Pipeline

from utils import settings
from utils.classifiers import spaces
from utils.classifiers.spaces import Space, Value
from utils.classifiers.tuning import studies
from utils.classifiers.tuning.folds import Folds, Tunable, pipeline_of
from utils.classifiers.tuning.plans import best_of, plan_of
from utils.classifiers.tuning.storages import Place, location_of
from utils.classifiers.tuning.studies import FITS, REASON, SECONDS, VALUES, Done, Progress, Trials, quiet
from utils.classifiers.tuning.targets import folds_of, metric_of, target
from utils.classifiers.tuning.tasks import Search
from utils.errors import SettingsError
from utils.evaluation.inputs import Floats, Values
from utils.evaluation.scoring import Table

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

COLUMNS = {"trial": pl.Int64, "state": pl.String, "score": pl.Float64, "best": pl.Float64, "folds": pl.Int64,
           "sd": pl.Float64, "fits": pl.Int64, "seconds": pl.Float64, "reason": pl.String}  # fmt: skip
FEWEST_COMPLETE = 4
"""Complete trials below which nothing can be said of single parameters."""

EVALUATORS = ("fanova", "ped-anova")


@dataclass(frozen=True, eq=False)
class Tuned:
    """What a search found.

    Attributes:
        choice: what was tuned.
        method: how points were chosen.
        metric: what was maximised.
        parameters: the best parameters; empty where no trial beat the defaults.
        score: their value in cross-validation. It is the best of many and therefore optimistic: see
            :mod:`utils.classifiers.nested` for what is left of it.
        default_score: the value of the default parameters on the same folds.
        trials: one row a trial, the defaults first: ``trial``, ``state`` (``default``, ``complete``, ``stopped``,
            ``failed``), ``score``, ``best`` so far, ``folds`` judged, ``sd`` over them, ``fits``, ``seconds`` (CPU),
            ``reason`` of a failure, and a column for each parameter.
        seconds: CPU time of all trials.
        fits: number of fits.
        folds: number of folds.
        notes: a sentence for each departure from what was asked for, and on the work of several workers.
        workers: how many workers finished a trial.
        retried: how many trials were tried again because their worker was lost; each counts once.
        kept: where the study is kept, without a password; ``None`` if nowhere.
        scores: scores of all rows out of fold with the best parameters (rows,), ``None`` for several classes.
        default_scores: the same with the default parameters.
        seed: seed of folds, draws and classifier.
    """

    choice: str
    method: str
    metric: str
    parameters: dict[str, Value]
    score: float
    default_score: float
    trials: pl.DataFrame
    seconds: float
    fits: int
    folds: int
    notes: tuple[str, ...]
    workers: int
    retried: int
    kept: str | None
    scores: Floats | None
    default_scores: Floats | None
    seed: int
    _space: Space = field(repr=False)
    _done: "tuple[FrozenTrial, ...]" = field(repr=False)

    @property
    def gain(self) -> float:
        """By how much the best trial beats the defaults on the folds it was chosen by: optimistic, never negative."""
        return self.score - self.default_score

    def history(self) -> pl.DataFrame:
        """One row a trial: ``trial``, ``score`` (null where stopped or failed), ``best`` so far, ``default``."""
        shown = self.trials.filter(pl.col("state") != studies.DEFAULT).select("trial", "state", "score", "best")
        return shown.with_columns(default=pl.lit(self.default_score))

    def importance(self, by: str = "fanova") -> pl.DataFrame:
        """How much each parameter mattered among the trials.

        Args:
            by: ``"fanova"``, share of the variance of the score (Hutter, Hoos and Leyton-Brown, ICML 2014), or
                ``"ped-anova"``, what sets the best tenth apart (Watanabe, Bansal and Hutter, IJCAI 2023), cheaper.

        Returns:
            ``parameter``, ``importance`` (they sum to 1), most important first; without a row where fewer than four
            trials are complete or all scored alike.

        Raises:
            SettingsError: if there is no such way.
        """
        return _importance(self._done, by, self.seed)

    def results(self, prefix: str = "") -> dict[str, float]:
        """Numbers for the record of a run."""
        numbers = {"score": self.score, "default_score": self.default_score, "gain": self.gain}
        spent = {"trials": float(len(self._done)), "fits": float(self.fits), "seconds": self.seconds}
        return {f"{prefix}{name}": value for name, value in (numbers | spent).items()}


def tune(
    X: Table,
    y: Values,
    choice: Tunable,
    *,
    method: str = "tpe",
    trials: int = 20,
    folds: int = 3,
    metric: str | None = None,
    space: Space | None = None,
    stages: tuple[int, int, int] | None = None,
    groups: Values | None = None,
    weight: Values | None = None,
    columns: Sequence[str] | None = None,
    prune: bool = True,
    patience: int | None = None,
    storage: Place | None = None,
    threads: int = 1,
    seed: int = settings.SEED,
    progress: Callable[[Progress], object] | None = None,
    shared: Folds | None = None,
) -> Tuned:
    """Search parameters by cross-validation. The defaults compete too, and win ties.

    The same arguments and data give the same trials, also when a stored study was interrupted and resumed.

    With ``ANOMALY_TUNING_WORKERS`` above 1 so many processes of this machine try points, each with one thread, and any
    other worker of the same storage may join (:mod:`.worker`). Points by chance, on a grid and in stages are those of a
    single worker; which of them are stopped early depends on what is finished by then, so give ``prune=False`` where
    the trials must be the same too. The points of ``"tpe"`` depend on which trials end first.

    Args:
        X: TRAINING rows: polars frame with named columns, or matrix of numbers (n rows).
        y: true for an anomaly, or the class of each row (n,).
        choice: what is tuned; its space names the classifier's parameters.
        method: ``"tpe"``, ``"random"``, ``"grid"`` (the finest even grid within the number of trials) or ``"random then
            grid"`` (random search, coarse and fine grid around the best, as the earlier system for web events did).
        trials: number of trials beside the defaults.
        folds: number of folds; fewer are made where a class has fewer rows or groups.
        metric: what is maximised: for verdicts any metric of :mod:`utils.evaluation.metrics` (default average
            precision), for classes one of ``macro_f1`` (default), ``weighted_f1``, ``accuracy``,
            ``balanced_accuracy``.
        space: another space than the choice's own.
        stages: trials of the stages of ``"random then grid"``.
        groups: group of each row; none stands on both sides of a fold (n,).
        weight: how many rows each row stands for (n,).
        columns: columns of the frame to use; all of them if not given.
        prune: stop trials that are below the median of the others on the same folds.
        patience: rounds without gain after which boosting stops, judged by rows held out inside the training part of
            each fold; the parameters then name the rounds that the folds needed. ``None`` to use all rounds.
        storage: journal file or PostgreSQL URL in which the study is kept and taken up again; if not given, what
            ``ANOMALY_STUDIES`` says, for several workers the journal among the processed data, else nothing is kept.
        threads: threads of a fit; the results of some models depend on it in the last digits.
        seed: seed of folds, draws and classifier.
        progress: told after each trial.
        shared: folds of the same rows from an earlier search, so that features are not computed again.

    Raises:
        DataError: if labels are missing or of one class, folds cannot be made, or the defaults or all trials could not
            be fitted.
        SettingsError: if method, metric, space or storage mean nothing.
    """
    divided, notes = _divided(X, y, folds, groups, weight, columns, seed) if shared is None else (shared, ())
    searched = choice.space if space is None else space
    chosen = metric_of(divided.wanted, metric)
    plan_of(method, searched, trials, seed, stages)
    number = trials if stages is None or method != "random then grid" else sum(stages)
    plotted = Trials(choice, searched, divided, chosen, prune, patience, threads, seed)
    workers = settings.current().tuning_workers
    location = location_of(storage, workers=workers)
    kind = number if method in ("grid", "random then grid") else "any"
    name = studies.name_of(plotted, method, kind) if location else ""
    search = Search(method, number, stages, seed)
    done = studies.run(plotted, search, name=name, location=location, workers=workers, report=progress)
    return _summary(plotted, method, done, notes)


def best_pipeline(tuned: Tuned, choice: Tunable, *, columns: Sequence[str] | None = None, threads: int = 1) -> Pipeline:
    """Make an unfitted pipeline for frames with the parameters that a search found."""
    return pipeline_of(choice, tuned.parameters, tuned.seed, threads, columns)


def share_folds(
    X: Table,
    y: Values,
    *,
    folds: int = 3,
    groups: Values | None = None,
    weight: Values | None = None,
    columns: Sequence[str] | None = None,
    seed: int = settings.SEED,
) -> Folds:
    """Divide rows once for several searches (arguments and errors as :func:`tune`)."""
    return _divided(X, y, folds, groups, weight, columns, seed)[0]


def _divided(
    X: Table,
    y: Values,
    folds: int,
    groups: Values | None,
    weight: Values | None,
    columns: Sequence[str] | None,
    seed: int,
) -> tuple[Folds, tuple[str, ...]]:
    wanted = target(y, groups, weight, rows=len(X))
    made, notes = folds_of(wanted, folds, seed)
    return Folds(X, wanted, made, columns), notes


def _summary(tried: Trials, method: str, study: Done, notes: tuple[str, ...]) -> Tuned:
    done, default = study.trials, study.default
    best, usual = best_of(done), default.score
    wins = best is not None and best.value is not None and best.value > usual
    parameters = spaces.read(best.params, tried.space) if wins and best is not None else {}
    with quiet():
        binary = tried.folds.wanted.binary
        scores, usual_scores = (tried.out_of_fold(point) if binary else None for point in (parameters, {}))
        rounds = tried.rounds(parameters)
    table = _table(done, default, tried.space)
    return Tuned(
        choice=tried.choice.name,
        method=method,
        metric=tried.metric,
        parameters=parameters | rounds,
        score=float(best.value) if wins and best is not None and best.value is not None else usual,
        default_score=usual,
        trials=table,
        seconds=float(table["seconds"].sum()),
        fits=int(table["fits"].sum()),
        folds=len(tried.folds.splits),
        notes=(*notes, *_shared_work(study, method)),
        workers=study.workers,
        retried=study.retried,
        kept=None if study.location is None else str(study.location),
        scores=scores,
        default_scores=usual_scores,
        seed=tried.seed,
        _space=tried.space,
        _done=tuple(done),
    )


def _shared_work(study: Done, method: str) -> tuple[str, ...]:
    """What several workers mean for the result."""
    found = []
    if study.workers > 1:
        found.append(f"{len(study.trials)} trials by {study.workers} workers, kept in {study.location}")
        if method == "tpe":
            found.append("points of tpe by several workers depend on which trials end first")
    if study.retried:
        found.append(f"tried again because a worker was lost: {study.retried} of {len(study.trials)} trials")
    return tuple(found)


def _table(done: "list[FrozenTrial]", default: studies.Default, space: Space) -> pl.DataFrame:
    """One row a trial, the defaults first."""
    names = {"COMPLETE": "complete", "PRUNED": "stopped"}
    rows: list[dict[str, Any]] = [_row(-1, studies.DEFAULT, default.values, len(default.values), default.seconds)]
    for place, trial in enumerate(done):
        noted, state = trial.user_attrs, names.get(trial.state.name, "failed")
        row = _row(place, state, noted.get(VALUES, ()), noted.get(FITS, 0), noted.get(SECONDS, 0.0))
        rows.append(row | {"reason": noted.get(REASON)} | _shown(trial, space))
    frame = pl.DataFrame(rows, schema=COLUMNS | {name: _type(choice) for name, choice in space.items()})
    return frame.with_columns(best=pl.col("score").cum_max().forward_fill())


def _row(place: int, state: str, values: Sequence[float], fits: int, seconds: float) -> dict[str, Any]:
    whole = state in ("complete", studies.DEFAULT)
    return {
        "trial": place,
        "state": state,
        "score": float(np.mean(values)) if whole else None,
        "folds": len(values),
        "sd": float(np.std(values, ddof=1)) if whole and len(values) > 1 else None,
        "fits": fits,
        "seconds": seconds,
    }


def _type(choice: spaces.Range) -> pl.DataType:
    kinds: dict[type, pl.DataType] = {spaces.Whole: pl.Int64(), spaces.Real: pl.Float64()}
    return kinds.get(type(choice), pl.String())


def _shown(trial: "FrozenTrial", space: Space) -> dict[str, Any]:
    """Parameters of a trial as a table holds them: choices by their text."""
    values = spaces.read(trial.params, space) if len(trial.params) == len(space) else {}
    return {name: str(one) if isinstance(space[name], spaces.OneOf) else one for name, one in values.items()}


def _importance(done: "Sequence[FrozenTrial]", by: str, seed: int) -> pl.DataFrame:
    import optuna

    if by not in EVALUATORS:
        raise SettingsError(f"importance goes by {' or '.join(EVALUATORS)}, found {by!r}: choose one of them")
    complete = [trial for trial in done if trial.state.name == "COMPLETE"]
    schema = {"parameter": pl.String, "importance": pl.Float64}
    if len(complete) < FEWEST_COMPLETE or len({trial.value for trial in complete}) < 2:
        return pl.DataFrame(schema=schema)
    with quiet():
        study = optuna.create_study(direction="maximize")
        study.add_trials(complete)
        evaluator = (
            optuna.importance.FanovaImportanceEvaluator(seed=seed)
            if by == "fanova"
            else optuna.importance.PedAnovaImportanceEvaluator()
        )
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return pl.DataFrame(list(found.items()), schema=schema, orient="row")
