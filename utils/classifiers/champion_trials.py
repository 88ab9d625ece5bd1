"""The candidate of each labelled table as it would be used: fitted, with its threshold, and judged once on test rows.

Training rows give everything: the model, scores out of fold, and from these the thresholds and calibrations. Test rows
are those of the table's own split.

A threshold that is best on attacks of known kinds is too high for new ones: a classifier is sure of what it has seen.
:data:`NEW_KINDS` is chosen on scores of models that had not seen any attack of the kind that they score, each kind of
attack standing in one fold as a whole.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import polars as pl
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from utils import compute, settings
from utils.classifiers import candidates, payload_marks
from utils.classifiers.adapters import sampled_rows
from utils.classifiers.candidates import Candidate
from utils.classifiers.champion import Champion, Reader
from utils.classifiers.operating_points import (
    OperatingPoints,
    Side,
    operating_points,
    out_of_fold_side,
    side_of,
    standard_rules,
)
from utils.classifiers.tuning.folds import fitted_to
from utils.classifiers.tuning.targets import target
from utils.compute.threads import limited
from utils.datasets.contract import Dataset, Roles
from utils.detectors.judging import Report, detectable, label_of, labelled_tables
from utils.detectors.payloads import MarkReader
from utils.errors import DataError
from utils.evaluation import inputs, metrics
from utils.evaluation.inputs import Bools, Ints
from utils.evaluation.metrics import Estimate
from utils.evaluation.splits import Split
from utils.evaluation.thresholds import BestF1, Fixed, Threshold
from utils.features import tables
from utils.features.tables import Table, weight_of
from utils.settings import Budget

RULE = "best F1"
"""The rule whose threshold a champion carries."""

NEW_KINDS = "new kinds"
"""The rule of a champion that is to find kinds of anomaly that training does not have."""

NEW_KINDS_EXPECTED = frozenset({"nsl_kdd"})
"""Data sets whose publishers say that the test part holds such kinds."""

RESAMPLES = 200
"""Draws behind the intervals of a champion's card."""

FEWEST_KINDS = 3
"""Kinds of anomaly below which leaving one out leaves too little to learn from."""

COLUMNS = (
    "data set",
    "table",
    "model",
    "rule",
    "f1",
    "f1_low",
    "f1_high",
    "precision",
    "recall",
    "alarms",
    "threshold",
)


@dataclass(frozen=True, eq=False)
class Trial:
    """A candidate on one table.

    Attributes:
        candidate: what was fitted, and why.
        champion: pipeline and threshold as one.
        rule: how that threshold was chosen: :data:`RULE`, :data:`NEW_KINDS` or
            :data:`utils.classifiers.payload_marks.LOOK_ALIKES`.
        train: rows that were learned from, all columns of the table.
        test: rows that judge.
        roles: what the columns mean.
        chosen_on: training rows with scores out of fold.
        found_on: test rows with scores.
        points: what each rule of choosing a threshold gives.
        seconds: CPU time of the fits.
    """

    candidate: Candidate
    champion: Champion
    rule: str
    train: pl.DataFrame
    test: pl.DataFrame
    roles: Roles
    chosen_on: Side
    found_on: Side
    points: OperatingPoints
    seconds: float

    @property
    def decisions(self) -> Bools:
        """Decisions of the champion on the test rows (n,)."""
        return self.points.decisions[self.rule]

    @property
    def point(self) -> dict[str, float]:
        """What the champion's threshold promised and what it does: the row of :attr:`OperatingPoints.points`."""
        return self.points.points.row(by_predicate=pl.col("rule") == self.rule, named=True)

    @property
    def estimates(self) -> list[Estimate]:
        """What the champion reaches on the test rows, each number with its interval."""
        return metrics.evaluate(
            self.found_on.y,
            self.found_on.scores,
            threshold=self.points.thresholds[self.rule],
            unit=self.roles.unit,
            weight=self.found_on.weight,
            groups=self.found_on.groups,
            resamples=RESAMPLES,
        )

    def about_new_kinds(self) -> str:
        """Say what the threshold for new kinds changes, in words; nothing where there is none."""
        if NEW_KINDS not in self.points.thresholds:
            return ""
        rows = {
            rule: self.points.points.row(by_predicate=pl.col("rule") == rule, named=True) for rule in (RULE, NEW_KINDS)
        }
        said = [f"F1 {row['f1']:.3f} with {row['alarms']:.1f} false alarms in 1,000" for row in rows.values()]
        return f"{said[0]} by known kinds, {said[1]} by kinds left out"

    def refitted(self, rows: Ints) -> Pipeline:
        """Fit the champion's pipeline again, on some training rows (row numbers, some perhaps twice)."""
        mass = None if self.chosen_on.weight is None else self.chosen_on.weight[rows]
        again = clone(self.champion.pipeline_)
        return cast(Pipeline, fitted_to(again, self.train[rows], target(self.chosen_on.y[rows], weight=mass)))


@dataclass(frozen=True, eq=False)
class Trials:
    """The candidates of all tables.

    Attributes:
        by_table: what became of each table.
        notes: why a table was left out.
    """

    by_table: Mapping[Table, Trial]
    notes: Mapping[Table, str]

    @property
    def overview(self) -> pl.DataFrame:
        """One row a table: model, F1 with its interval, precision, recall and alarms in 1,000 normal rows on test."""
        rows = [
            {"data set": name, "table": table, "model": trial.candidate.name, **trial.point}
            for (name, table), trial in self.by_table.items()
        ]
        return pl.DataFrame([{key: row[key] for key in COLUMNS} for row in rows], infer_schema_length=None)

    def results(self, name: str) -> dict[str, float]:
        """Numbers of the tables of one data set for the record of a run."""
        found: dict[str, float] = {}
        for (owner, table), trial in self.by_table.items():
            if owner == name:
                found |= trial.points.results(f"{table}_")
        return found


def run(
    processed: Mapping[str, Dataset],
    budget: Budget,
    *,
    data: Mapping[str, Dataset] | None = None,
    seed: int = settings.SEED,
    threads: int = 1,
    report: Report | None = None,
) -> Trials:
    """Fit and judge the candidate of every labelled table.

    Args:
        processed: processed data sets by name.
        budget: says how many rows are learned from at most, and how many draws make an interval.
        data: the data sets that the tables were made of: champions of texts then read the texts themselves.
        seed: of models, folds and draws.
        threads: threads of a fit.
        report: told the name of each table before its candidate is fitted.
    """
    jobs = [(*of_table, budget, seed, threads) for of_table in _tables(processed, data or {}, budget, seed)]
    tell = compute.teller(report, [" ".join(job[0]) for job in jobs])
    found, notes = {}, {}
    for (table, *_), trial in zip(jobs, compute.each(_judged_or_why, jobs, progress=tell), strict=True):
        if isinstance(trial, str):
            notes[table] = trial
        else:
            found[table] = trial
            trial.champion.reading(_reader(data[table[0]], table[1]) if data else None)
    return Trials(found, notes)


def judged(
    table: Table, frame: pl.DataFrame, roles: Roles, split: Split, budget: Budget, *, seed: int, threads: int = 1
) -> Trial:
    """Fit and judge the candidate of one table (arguments as :func:`run`).

    Raises:
        DataError: if training rows are too few to be divided.
    """
    rows = split.train[sampled_rows(frame[label_of(roles)].gather(split.train), budget.rows, seed)]
    train, test = frame[rows], frame[split.test]
    candidate, columns = _candidate(table, roles), detectable(train, roles)
    began = time.process_time()
    with limited(threads):
        pipeline = candidate.pipeline(columns, seed=seed, threads=threads)
        chosen_on = out_of_fold_side(pipeline, train, train[label_of(roles)], seed=seed, **_meaning(train, roles, True))
        known = target(chosen_on.y, weight=chosen_on.weight)
        fitted = fitted_to(clone(pipeline), train, known)
        rules = standard_rules() | _for_new_kinds(pipeline, train, roles, chosen_on, seed)
        rules |= payload_marks.threshold(train, chosen_on.scores)
    seconds = time.process_time() - began
    found_on = side_of(fitted, test, test[label_of(roles)], **_meaning(test, roles, roles.group is not None))
    points = operating_points(
        chosen_on, found_on, rules=rules, unit=roles.unit, resamples=budget.bootstrap // 4, seed=seed
    )
    rule = _rule(table, rules)
    learned = (train, chosen_on.y, chosen_on.weight, chosen_on.scores)
    champion = Champion.of_fitted(fitted, points.thresholds[rule], *learned)
    return Trial(candidate, champion, rule, train, test, roles, chosen_on, found_on, points, seconds)


def _tables(
    processed: Mapping[str, Dataset], data: Mapping[str, Dataset], budget: Budget, seed: int
) -> Iterator[tuple[Table, pl.DataFrame, Roles, Split]]:
    """The labelled tables; that of payloads has marks of attacks in place of traits of one list."""
    for table, frame, roles, split in labelled_tables(processed):
        dataset = data.get(table[0])
        if dataset is not None and payload_marks.applies(dataset, table[1]):
            yield table, *payload_marks.of_payloads(dataset, budget.rows, seed=seed)
        else:
            yield table, frame, roles, split


def _reader(dataset: Dataset, table: str) -> Reader | None:
    """What makes the columns that a champion reads from raw records."""
    return MarkReader() if payload_marks.applies(dataset, table) else tables.reader(dataset, table)


def _candidate(table: Table, roles: Roles) -> Candidate:
    return (
        payload_marks.CANDIDATE if payload_marks.LOOK_ALIKE in roles.withheld else candidates.of(table[0], binary=True)
    )


def _rule(table: Table, rules: Mapping[str, Threshold]) -> str:
    """The rule whose threshold the champion of a table carries."""
    if payload_marks.LOOK_ALIKES in rules:
        return payload_marks.LOOK_ALIKES
    return NEW_KINDS if table[0] in NEW_KINDS_EXPECTED and NEW_KINDS in rules else RULE


def _judged_or_why(
    table: Table, frame: pl.DataFrame, roles: Roles, split: Split, budget: Budget, seed: int, threads: int
) -> Trial | str:
    """The candidate of one table, or why there is none."""
    try:
        return judged(table, frame, roles, split, budget, seed=seed, threads=threads)
    except DataError as error:
        return str(error)


def _for_new_kinds(
    pipeline: Pipeline, train: pl.DataFrame, roles: Roles, chosen_on: Side, seed: int
) -> dict[str, Threshold]:
    """The threshold with the highest F1 on scores of models that had not seen the kind; none where kinds are few."""
    if chosen_on.kinds is None or chosen_on.kinds.filter(pl.Series(chosen_on.y)).n_unique() < FEWEST_KINDS:
        return {}
    kinds, rows = inputs.codes(chosen_on.kinds), inputs.row_codes(train.select(detectable(train, roles)))
    whole = np.where(chosen_on.y, kinds, rows + kinds.max() + 1)
    label = train[label_of(roles)]
    side = out_of_fold_side(pipeline, train, label, groups=whole, weight=chosen_on.weight, seed=seed)
    best = BestF1().fit(side.scores, side.y, side.weight)
    return {NEW_KINDS: Fixed(best.value_, f"the highest F1 ({best.point_.f1:.4f}) on kinds left out of training")}


def _meaning(rows: pl.DataFrame, roles: Roles, grouped: bool) -> dict[str, Any]:
    """Kinds, weights and groups of rows, where there are any."""
    return {
        "kinds": rows[roles.anomaly_type] if roles.anomaly_type else None,
        "weight": weight_of(rows, roles),
        "groups": rows[roles.group] if grouped and roles.group else None,
    }
