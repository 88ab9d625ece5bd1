"""Which classifiers deserve tuning, and at what cost: the whole zoo on the training rows of every labelled table.

All models see the same folds of the TRAINING rows; test rows are not touched here. Copies of a row, and rows of one
group, stay in one fold; a table with a time is cut into blocks of time instead, each judged by models of the blocks
before it. Columns are transformed once a fold for all models that want the same.

**Threshold.** F1 needs one. That of a fold is chosen by F1 on the out-of-fold scores of the other folds of the same
round (with blocks of time: of the blocks before it), never on rows that it judges. ROC-AUC and average precision need
none. The models behind those scores have seen the judged rows; that this is not optimistic was measured: against an
inner cross-validation, which takes five times the fits, F1 of three models on three real tables is .009 lower on
average, .004 higher at most.

**Interval and verdict.** Folds and rounds share training rows; means have the corrected t-interval of Nadeau and
Bengio (2003), and each model is compared with the best by the corrected t-test on the same folds, each at 5 %: of
twenty models as good as the best, one is called worse by chance.
"""

import contextlib
import pickle
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from utils import compute, settings
from utils.classifiers import zoo
from utils.classifiers.adapters import sampled_rows
from utils.compute.threads import limited
from utils.datasets.contract import Dataset, Roles
from utils.detectors.judging import Report, detectable, label_of
from utils.errors import DataError, LabError
from utils.evaluation import comparison, intervals, metrics, splits
from utils.evaluation.inputs import Bools, Floats, Ints, Weights, as_weights
from utils.evaluation.scoring import abnormality
from utils.evaluation.splits import Split
from utils.evaluation.thresholds import BestF1
from utils.features.flows import FlowFeatures
from utils.features.tables import Table, weight_of
from utils.settings import Budget

MEASURES = ("f1", "roc_auc", "average_precision")
COSTS = ("fit_seconds", "predict_microseconds", "size_kb")
BEST, EQUAL, WORSE, NO_VERDICT = "best", "not told from the best", "worse", "no verdict"
SIGNIFICANCE = 1 - intervals.LEVEL
FEWEST_FOLDS = 2


@dataclass(frozen=True)
class Effort:
    """How much work a comparison may do.

    Attributes:
        rows: most training rows of a table; beyond, a sample with the shares of the kinds of row is drawn.
        folds: parts that the rows are divided into, fewer where a class has fewer rows or groups.
        rounds: how often they are divided anew.
    """

    rows: int = 6_000
    folds: int = 5
    rounds: int = 2


EFFORTS: Mapping[str, Effort] = {"fast": Effort(1_000, 3, 1), "full": Effort(12_000, 5, 2)}


def effort(budget: Budget) -> Effort:
    """What a budget allows, such that all classifiers on all tables take minutes."""
    return EFFORTS.get(budget.name, Effort(rows=budget.rows // 5))


@dataclass(frozen=True, eq=False)
class Board:
    """All classifiers on one table.

    Attributes:
        board: one row a model, best first: ``model``, ``f1``, ``roc_auc`` and ``average_precision`` (each with its
            interval ``_low``, ``_high``), ``fit_seconds`` (CPU time of preprocessing and fitting, median of the folds),
            ``predict_microseconds`` (CPU time a row, likewise), ``size_kb`` (of the pickled pipeline), ``learned_rows``
            (of a fold), ``difference`` to the best (with ``difference_low``, ``difference_high``), ``p_value``,
            ``verdict``, ``front`` (no model is both better and cheaper to fit), ``worth_tuning``.
        folds: one row a model and fold: ``model``, ``fold``, the three measures, the costs.
        metric: the measure that the models are ranked and compared by.
        how: rows, folds and threshold, in one sentence.
        left_out: models that could not be fitted, each with the reason.
    """

    board: pl.DataFrame
    folds: pl.DataFrame
    metric: str
    how: str
    left_out: Mapping[str, str]

    @property
    def best(self) -> str:
        """The model with the highest mean."""
        return str(self.board["model"][0])

    @cached_property
    def worth_tuning(self) -> tuple[str, ...]:
        """The best model and those that cannot be told from it, cheapest first."""
        return tuple(self.board.filter("worth_tuning").sort("fit_seconds")["model"])

    @property
    def summary(self) -> str:
        """What the comparison found, in two sentences."""
        if self.board.is_empty():
            return f"No model could be fitted: {'; '.join(f'{name}: {why}' for name, why in self.left_out.items())}."
        first = self.board.row(0, named=True)
        score = _interval(first, self.metric)
        others = self.board.filter(pl.col("verdict") == EQUAL).height
        cheapest = self.worth_tuning[0] if self.worth_tuning else first["model"]
        cost = self.board.filter(model=cheapest)["fit_seconds"][0]
        dummy = self.board.filter(model=zoo.DUMMY)[self.metric]
        beside = f" (dummy {dummy[0]:.3f})" if len(dummy) else ""
        return (
            f"{first['model']} leads with {self.metric} {score}{beside}; {others} of the other "
            f"{self.board.height - 1} models cannot be told from it, the cheapest of all these is {cheapest} "
            f"({cost:.2g} CPU s a fit). {self.how}"
        )


def compare(
    processed: Mapping[str, Dataset],
    work: Effort | None = None,
    *,
    names: Sequence[str] | None = None,
    metric: str = "f1",
    seed: int = settings.SEED,
    threads: int = 1,
    report: Report | None = None,
) -> dict[Table, Board]:
    """Compare the classifiers on every table with both classes among its training rows.

    Args:
        processed: processed data sets by name.
        work: how many rows, folds and rounds.
        names: classifiers by their names in :data:`utils.classifiers.zoo.ZOO`; all of them if not given.
        metric: ``"f1"``, ``"roc_auc"`` or ``"average_precision"``: what models are ranked and compared by.
        seed: of every random draw; the same seed gives the same scores.
        threads: that a fit may start.
        report: told the name of each table, and of each round in it, before its models are fitted.

    Returns:
        A board by table; :func:`left_out` says why the other tables have none.

    Raises:
        DataError: if there is no such measure.
        SettingsError: if there is no such classifier.
    """
    if metric not in MEASURES:
        raise DataError(f"models are compared by {', '.join(MEASURES)}, found {metric!r}: choose one of them")
    chosen = [zoo.choice(name) for name in names or zoo.ZOO]
    tasks = {}
    for table, frame, roles in _labelled(processed):
        with contextlib.suppress(LabError):  # left_out says why
            tasks[table] = training_task(frame, roles, work or Effort(), seed)
    folds = [(table, fold) for table, task in tasks.items() for fold in task.folds]
    tell = compute.teller(report, [f"{' '.join(table)}: {fold.name}" for table, fold in folds])
    jobs = [(tasks[table], fold.split, chosen, seed, threads) for table, fold in folds]
    judged = iter(compute.each(_judged_fold, jobs, progress=tell))
    return {table: _board(task, [next(judged) for _ in task.folds], metric) for table, task in tasks.items()}


def left_out(processed: Mapping[str, Dataset], work: Effort | None = None, *, seed: int = settings.SEED) -> list[str]:
    """Say which labelled tables cannot be compared on, and why, one sentence each."""
    found = []
    for table, frame, roles in _labelled(processed):
        try:
            training_task(frame, roles, work or Effort(), seed)
        except LabError as error:
            found.append(f"{' '.join(table)} is left out: {error}.")
    return found


def results(boards: Mapping[Table, Board], name: str) -> dict[str, float]:
    """Numbers of the models on the tables of one data set for the record of a run."""
    return {
        f"{table}_{row['model'].replace(' ', '_')}_{measure}": row[measure]
        for (owner, table), found in boards.items()
        if owner == name
        for row in found.board.iter_rows(named=True)
        for measure in (*MEASURES, *COSTS)
        if row[measure] is not None
    }


def overview(boards: Mapping[Table, Board]) -> pl.DataFrame:
    """The models over all tables: mean rank, how often best or not told from the best, and CPU seconds in all.

    Returns:
        One row a model, best mean rank first: ``model``, ``tables``, ``mean_rank``, ``best``, ``worth_tuning`` (tables
        where it is), ``fit_seconds`` and ``predict_microseconds`` (medians over the tables).
    """
    ranked = [
        found.board.select("model", "verdict", "worth_tuning", *COSTS).with_columns(
            rank=found.board[found.metric].rank("average", descending=True)
        )
        for found in boards.values()
    ]
    if not ranked:
        raise DataError("an overview needs a table that was compared on, found none: give data with labels")
    grouped = pl.concat(ranked).group_by("model").agg(
        tables=pl.len(),
        mean_rank=pl.col("rank").mean(),
        best=(pl.col("verdict") == BEST).sum(),
        worth_tuning=pl.col("worth_tuning").sum(),
        fit_seconds=pl.col("fit_seconds").median(),
        predict_microseconds=pl.col("predict_microseconds").median(),
    )  # fmt: skip
    return grouped.sort("mean_rank", "model")


@dataclass(frozen=True, eq=False)
class Fold:
    """Rows to learn from, rows to judge, and the folds whose out-of-fold scores give the threshold.

    Attributes:
        name: round and fold.
        split: rows of the task.
        threshold_from: places of other folds in the list of all folds.
    """

    name: str
    split: Split
    threshold_from: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Task:
    """Training rows of one table with their folds.

    Attributes:
        frame: rows.
        roles: what their columns mean.
        y: true for an anomaly (n,).
        weight: how many rows each row stands for (n,), or ``None``.
        columns: features.
        folds: in the order in which they are judged.
        test_share: share of the rows that a fold judges.
        how: rows and folds in one sentence.
    """

    frame: pl.DataFrame
    roles: Roles
    y: Bools
    weight: Weights | None
    columns: list[str]
    folds: list[Fold]
    test_share: float
    how: str


@dataclass(frozen=True, eq=False)
class _Trial:
    """What one model reached on one fold: scores of the judged rows and costs, or why there are none."""

    scores: Floats = field(default_factory=lambda: np.empty(0))
    costs: Mapping[str, float] = field(default_factory=dict)
    failure: str = ""


def _labelled(processed: Mapping[str, Dataset]) -> Iterator[tuple[Table, pl.DataFrame, Roles]]:
    for name, dataset in processed.items():
        for table, frame in dataset.frames.items():
            if dataset.roles[table].label:
                yield (name, table), frame, dataset.roles[table]


def training_task(frame: pl.DataFrame, roles: Roles, work: Effort, seed: int = settings.SEED) -> Task:
    """Take the training rows of a labelled table, not too many, and divide them into folds.

    Args:
        frame: all rows of a table.
        roles: what its columns mean.
        work: how many rows, folds and rounds.
        seed: of the draw of rows and folds.

    Raises:
        DataError: if training holds one class, there is no column to learn from, a class is too small for two folds, or
            nothing varies in a fold.
    """
    label = label_of(roles)
    training = frame.filter(pl.col(label).is_not_null())
    if roles.split:
        training = training.filter(pl.col(roles.split) == "train")
    if training[label].n_unique() < 2:
        raise DataError(f"training needs both classes, found one in {training.height:,} rows: label or add the others")
    columns = detectable(training, roles)
    if not columns:
        raise DataError("a model needs a column to learn from, found none: name features in the entry of the data set")
    rows = training[sampled_rows(kinds_of(training, roles), work.rows, seed)]
    folds, share, words = _folds(rows, roles, columns, work, seed)
    for fold in folds:
        FlowFeatures(roles, columns=columns, **zoo.TREES).fit(rows[fold.split.train])
    among = "" if rows.height == training.height else f" drawn from {training.height:,}"
    anomalies = f"{int(rows[label].sum()):,} of them anomalies"
    how = f"{rows.height:,} training rows{among}, {anomalies}, {words}; test rows were not touched"
    weight = weight_of(rows, roles)
    mass = None if weight is None else as_weights(weight, rows.height)
    return Task(rows, roles, rows[label].to_numpy().astype(bool), mass, columns, folds, share, how)


def kinds_of(rows: pl.DataFrame, roles: Roles) -> pl.Series:
    """Kind of each row, ``"unknown"`` where nobody said; the label where there are no kinds (n,)."""
    return rows[roles.anomaly_type or label_of(roles)].cast(pl.String).fill_null("unknown")


def _folds(
    rows: pl.DataFrame, roles: Roles, columns: list[str], work: Effort, seed: int
) -> tuple[list[Fold], float, str]:
    """Divide rows by time, by group or at random.

    Raises:
        DataError: if a class is too small to stand in two folds.
    """
    if roles.time and roles.time in rows.columns and rows[roles.time].null_count() == 0:
        blocks = work.folds + 2
        return (
            _blocks(rows, roles, blocks),
            1 / blocks,
            f"{blocks} blocks of time, each judged by models of those before",
        )
    groups = rows[roles.group] if roles.group else splits.distinct_rows(rows, columns)
    number = _possible_folds(rows[label_of(roles)], groups, work.folds, seed)
    found: list[Fold] = []
    for turn in range(work.rounds):
        first = len(found)
        for place, split in enumerate(splits.k_fold(rows[label_of(roles)], number, seed + turn, groups)):
            others = tuple(first + other for other in range(number) if other != place)
            found.append(Fold(f"round {turn + 1}, {split.name}", split, others))
    kept = f"rows of one {roles.group}" if roles.group else "equal rows"
    often = "once" if work.rounds == 1 else f"{work.rounds} times"
    return found, 1 / number, f"divided {often} into {number} folds with {kept} in one fold"


def _possible_folds(y: pl.Series, groups: Any, wanted: int, seed: int) -> int:  # noqa: ANN401 - values
    """The most folds, up to a number, in each of which both classes stand.

    Raises:
        DataError: if two are too many.
    """
    for number in range(wanted, FEWEST_FOLDS, -1):
        try:
            splits.k_fold(y, number, seed, groups)
        except DataError:
            continue
        return number
    splits.k_fold(y, FEWEST_FOLDS, seed, groups)
    return FEWEST_FOLDS


def _blocks(rows: pl.DataFrame, roles: Roles, blocks: int) -> list[Fold]:
    """Blocks of time of about equal size; the first is learned from only, the second gives the first threshold only.

    Raises:
        DataError: if a block, or what is before it, lacks a class.
    """
    time_of, label = str(roles.time), rows[label_of(roles)].to_numpy().astype(bool)
    rank = rows[time_of].rank("min").to_numpy().astype(np.int64) - 1
    block = rank * blocks // rows.height
    found = []
    for place in range(1, blocks):
        train, test = np.flatnonzero(block < place), np.flatnonzero(block == place)
        if not (0 < label[train].sum() < train.size and 0 < label[test].sum() < test.size):
            raise DataError(
                f"each block of time must hold both classes, found one in block {place + 1} of {blocks} or before it: "
                f"leave the role time of {time_of!r} out, or give more rows"
            )
        found.append(Fold(f"block {place + 1}", Split(f"block {place + 1}", train, test), tuple(range(place - 1))))
    return found


def _board(task: Task, judged: Sequence[Mapping[str, _Trial]], metric: str) -> Board:
    """Measure and rank the models that could be fitted on all folds."""
    trials = {name: [fold[name] for fold in judged] for name in judged[0]}
    failed = {name: one.failure for name, found in trials.items() for one in reversed(found) if one.failure}
    folds = pl.concat(
        [_measured(task, name, trial) for name, trial in trials.items() if name not in failed] or [_nothing()]
    )
    words = "thresholds by F1 on the out-of-fold scores of the other folds"
    return Board(_ranked(folds, task, metric), folds, metric, f"{task.how}; {words}.", failed)


def _alike(chosen: Sequence[zoo.Choice]) -> Iterator[list[zoo.Choice]]:
    """Models that want the same of the columns."""
    wanted: dict[str, list[zoo.Choice]] = {}
    for each in chosen:
        wanted.setdefault(each.preprocessing, []).append(each)
    yield from wanted.values()


def _judged_fold(
    task: Task, split: Split, chosen: Sequence[zoo.Choice], seed: int, threads: int
) -> dict[str, _Trial]:  # fmt: skip
    """Fit and score all models on one fold."""
    with limited(threads):
        found = [_judged_alike(task, split, same, seed, threads) for same in _alike(chosen)]
    trials = {name: trial for same in found for name, trial in same.items()}
    return {each.name: trials[each.name] for each in chosen}


def _judged_alike(
    task: Task, split: Split, chosen: Sequence[zoo.Choice], seed: int, threads: int
) -> dict[str, _Trial]:  # fmt: skip
    """Transform the columns of a fold once, then fit and score one model after the other."""
    began = time.process_time()
    features = FlowFeatures(task.roles, columns=task.columns, **chosen[0].features)
    learned = features.fit(task.frame[split.train]).transform(task.frame[split.train])
    fitted = time.process_time()
    judged = features.transform(task.frame[split.test])
    costs = fitted - began, time.process_time() - fitted
    size = len(pickle.dumps(features))
    trials = {}
    for each in chosen:
        try:
            scores, cost = _fit_and_score(each, task, split, (learned, judged), seed, threads)
            trials[each.name] = _Trial(scores, _whole(cost, costs, size, split))
        except Exception as error:  # a model that cannot be fitted is left out and named, the others go on
            why = str(error).strip() if isinstance(error, LabError) else _said(error)
            trials[each.name] = _Trial(failure=why)
    return trials


def _fit_and_score(
    each: zoo.Choice, task: Task, split: Split, matrices: tuple[Any, Any], seed: int, threads: int
) -> tuple[Floats, dict[str, float]]:
    learned, judged = matrices
    arguments = {"sample_weight": task.weight[split.train]} if task.weight is not None and each.weights else {}
    began = time.process_time()
    model = each.classifier(seed, threads).fit(learned, task.y[split.train], **arguments)
    fitted = time.process_time()
    scores = abnormality(model, judged)
    done = time.process_time()
    cost = {"fit_seconds": fitted - began, "predict_microseconds": done - fitted, "size_kb": len(pickle.dumps(model))}
    return scores, cost | {"learned_rows": min(each.most_rows or len(learned), len(learned))}


def _whole(cost: dict[str, float], features: tuple[float, float], size: int, split: Split) -> dict[str, float]:
    """Costs of the whole pipeline, as if its columns had been transformed for it alone."""
    return {
        "fit_seconds": cost["fit_seconds"] + features[0],
        "predict_microseconds": 1e6 * (cost["predict_microseconds"] + features[1]) / split.test.size,
        "size_kb": (cost["size_kb"] + size) / 1_000,
        "learned_rows": cost["learned_rows"],
    }


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no reason given'}"


FOLDS = {
    "model": pl.String,
    "fold": pl.String,
    **dict.fromkeys((*MEASURES, *COSTS), pl.Float64),
    "learned_rows": pl.Int64,
}


def _nothing() -> pl.DataFrame:
    return pl.DataFrame(schema=FOLDS)


def _measured(task: Task, name: str, trials: Sequence[_Trial]) -> pl.DataFrame:
    """Measures of one model on each fold; F1 is missing where no fold before it gives a threshold."""
    rows = []
    scores_of = [trial.scores for trial in trials]
    for fold, trial, scores in zip(task.folds, trials, scores_of, strict=True):
        y, weight = task.y[fold.split.test], _of(task.weight, fold.split.test)
        threshold = _threshold(task, fold, scores_of)
        measured = {
            "f1": None if threshold is None else metrics.f1(y, threshold.predict(scores), weight),
            "roc_auc": metrics.roc_auc(y, scores, weight),
            "average_precision": metrics.average_precision(y, scores, weight),
        }
        rows.append({"model": name, "fold": fold.name, **measured, **trial.costs})
    return pl.DataFrame(rows, schema=FOLDS)


def _threshold(task: Task, fold: Fold, scores_of: Sequence[Floats]) -> BestF1 | None:
    if not fold.threshold_from:
        return None
    others = [task.folds[place].split.test for place in fold.threshold_from]
    rows = np.concatenate(others)
    scores = np.concatenate([scores_of[place] for place in fold.threshold_from])
    return BestF1().fit(scores, task.y[rows], _of(task.weight, rows))


def _of(weight: Weights | None, rows: Ints) -> Weights | None:
    return None if weight is None else weight[rows]


def _ranked(folds: pl.DataFrame, task: Task, metric: str) -> pl.DataFrame:
    """One row a model: means with intervals, costs, and what the comparison with the best says."""
    rows = [_mean(part, str(name), task) for (name,), part in folds.group_by("model", maintain_order=True)]
    if not rows:
        return pl.DataFrame(schema=_board_schema())
    best = max(rows, key=lambda row: row[metric])["model"]
    values = {str(name): part[metric].to_numpy() for (name,), part in folds.group_by("model", maintain_order=True)}
    for row in rows:
        row |= _against(values[row["model"]], values[best], row["model"] == best, task.test_share, metric)
        row["verdict"] = _verdict(row)
        row["worth_tuning"] = row["verdict"] in (BEST, EQUAL) and bool(zoo.ZOO[row["model"]].space)
        row["front"] = not any(_dominates(other, row, metric) for other in rows)
    board = pl.DataFrame(rows, schema=_board_schema())
    return board.sort(pl.col("verdict") == BEST, metric, descending=True, nulls_last=True, maintain_order=True)


def _board_schema() -> dict[str, Any]:
    number = pl.Float64
    measures = {f"{name}{end}": number for name in MEASURES for end in ("", "_low", "_high")}
    against = dict.fromkeys(("difference", "difference_low", "difference_high", "p_value"), number)
    costs = {**dict.fromkeys(COSTS, number), "learned_rows": pl.Int64}
    verdict = {"verdict": pl.String, "front": pl.Boolean, "worth_tuning": pl.Boolean}
    return {"model": pl.String, **measures, **costs, **against, **verdict}


def _mean(part: pl.DataFrame, name: str, task: Task) -> dict[str, Any]:
    row: dict[str, Any] = {"model": name}
    for measure in MEASURES:
        values = part[measure].to_numpy().astype(np.float64)
        found = metrics.mean_over_splits(measure, values, task.test_share, task.roles.unit, part.height)
        row |= {measure: found.value, f"{measure}_low": found.low, f"{measure}_high": found.high}
    row |= {cost: part[cost].median() for cost in COSTS}
    return row | {"learned_rows": part["learned_rows"].max()}


def _against(own: Floats, best: Floats, is_best: bool, test_share: float, metric: str) -> dict[str, float | None]:
    """Difference to the best over the folds, with interval and p-value."""
    nothing = dict.fromkeys(("difference", "difference_low", "difference_high", "p_value"))
    if is_best:
        return {**nothing, "difference": 0.0}
    try:
        found = comparison.corrected_t_test(own, best, test_share, metric=metric)
    except DataError:
        return {**nothing}
    limits = {"difference_low": found.low, "difference_high": found.high}
    return {"difference": found.difference, **limits, "p_value": found.p_value}


def _verdict(row: Mapping[str, Any]) -> str:
    if row["p_value"] is None:
        return BEST if row["difference"] == 0.0 else NO_VERDICT
    if np.isnan(row["p_value"]):
        # Every fold shows the same difference: there is no spread to test it against.
        return WORSE
    return WORSE if row["p_value"] < SIGNIFICANCE else EQUAL


def _dominates(other: Mapping[str, Any], row: Mapping[str, Any], metric: str) -> bool:
    """Whether another model is as good and as cheap to fit, and better or cheaper."""
    as_good = other[metric] >= row[metric] and other["fit_seconds"] <= row["fit_seconds"]
    return bool(as_good and (other[metric] > row[metric] or other["fit_seconds"] < row["fit_seconds"]))


def _interval(row: Mapping[str, Any], metric: str) -> str:
    low, high = row[f"{metric}_low"], row[f"{metric}_high"]
    limits = "" if low is None or np.isnan(low) else f" [{low:.3f}, {high:.3f}]"
    return f"{row[metric]:.3f}{limits}"
