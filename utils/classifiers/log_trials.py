"""What labels are worth on log sessions: supervised models under protocols that are easy, and that are not.

Nearly all sessions of a log are copies of each other, so a random split puts the same sequence on both sides, and much
of what it measures is memory. Each protocol therefore says which share of the anomalies of its test part occur in
training, and two protocols leave none there:

| protocol | what it asks |
|---|---|
| ``random 50`` | half of the sessions, whichever |
| ``random 10``, ``random 1`` | labels for a tenth or a hundredth of the sessions only |
| ``new sequences`` | half of the distinct sequences: no sequence stands on both sides |
| ``new count vectors`` | half of the distinct count vectors: no combination of event counts stands on both sides |

Decisions are made at a probability of one half, or at a threshold that is chosen on sessions of the training part which
the model has not learned from. Everything is counted in sessions. Only decisions are judged on the test part, once.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from utils import settings
from utils.classifiers.session_classifier import SessionClassifier
from utils.datasets.contract import Dataset, Roles
from utils.detectors.baselines.sessions import labelled_sessions
from utils.detectors.judging import Report, decided, label_of
from utils.detectors.session_counts import distinct_vectors
from utils.detectors.two_input import TwoInput
from utils.errors import DataError, LabError
from utils.evaluation import comparison, metrics, splits, thresholds
from utils.evaluation.estimates import mean_over_splits
from utils.evaluation.inputs import Bools, Floats, Ints, row_codes
from utils.features import log_sessions
from utils.features.tables import Table, weight_of
from utils.settings import Budget

TWO_INPUT = "two inputs"
RELATIONS = "relations of counts"
TRIVIAL = "flag everything"
HELD_BACK = 0.3
"""Share of a training part on which a threshold is chosen."""

EVENTS_A_ROW = 5
"""Events that a network may learn from for each row of the budget."""

BOARD = {
    **dict.fromkeys(("data set", "table", "protocol", "model"), pl.String),
    **dict.fromkeys(("f1", "low", "high", "precision", "recall", "shared"), pl.Float64),
    "splits": pl.Int64,
    "seconds": pl.Float64,
    "threshold": pl.String,
    **comparison.GAPS,
}
LEVELS = {
    **dict.fromkeys(("model", "unit"), pl.String),
    **dict.fromkeys(("f1", "low", "high", "precision", "recall", "published", "seconds"), pl.Float64),
    "splits": pl.Int64,
    "threshold": pl.String,
}
PUBLISHED_WINDOWS = 0.0
"""F1 that the earlier system's network with two inputs had on windows of HDFS_100k."""

HALF = "probability of one half"
CHOSEN = "highest F1 on held-back training sessions"
CHOSEN_WINDOWS = "highest F1 on windows of held-back training sessions"


@dataclass(frozen=True)
class Protocol:
    """How sessions are divided.

    Attributes:
        name: for tables and runs.
        test_share: share that goes to the test part.
        disjoint: what may not stand on both sides: ``"sequence"``, ``"vector"``, or nothing.
        network: whether the network with two inputs takes part, which costs more than all others.
    """

    name: str
    test_share: float
    disjoint: str | None = None
    network: bool = False


PROTOCOLS = (
    Protocol("random 50", 0.5, network=True),
    Protocol("random 10", 0.9),
    Protocol("random 1", 0.99),
    Protocol("new sequences", 0.5, "sequence"),
    Protocol("new count vectors", 0.5, "vector", network=True),
)


@dataclass(frozen=True)
class Model:
    """A classifier of sessions.

    Attributes:
        make: makes it from a seed.
        description: what it looks at.
    """

    make: Callable[[int], SessionClassifier]
    description: str


def _logistic_regression(seed: int) -> SessionClassifier:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2_000, random_state=seed))
    return SessionClassifier(linear, representation="counts", power=1.0)


def _decision_tree(seed: int) -> SessionClassifier:
    from sklearn.tree import DecisionTreeClassifier

    return SessionClassifier(DecisionTreeClassifier(random_state=seed), representation="counts", power=1.0)


def _random_forest(seed: int) -> SessionClassifier:
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(100, bootstrap=False, random_state=seed)
    return SessionClassifier(forest, representation="counts", power=1.0)


MODELS: Mapping[str, Model] = MappingProxyType(
    {
        "logistic regression": Model(_logistic_regression, "standardised counts"),
        "decision tree": Model(_decision_tree, "counts"),
        "random forest": Model(_random_forest, "counts"),
        RELATIONS: Model(lambda seed: SessionClassifier(), "which events occur, and which more often than which"),
    }
)
"""Classifiers on counts; the settings of the last were chosen by cross-validation inside training parts."""


@dataclass(frozen=True, eq=False)
class Supervised:
    """What labels are worth.

    Attributes:
        board: one row a table, protocol and model: ``data set``, ``table``, ``protocol``, ``model``, ``f1`` with
            ``low`` and ``high`` (corrected interval over splits; bootstrap for one split), ``precision``, ``recall``,
            ``shared`` (share of the test anomalies whose sequence occurs in training), ``splits``, ``seconds`` (of the
            processor, for one split), ``threshold``, and for the second classifier on counts of a protocol how far it
            is from the first (:func:`utils.evaluation.comparison.with_gaps`).
        notes: what was left out and why, one sentence each, by table.
    """

    board: pl.DataFrame
    notes: tuple[str, ...]

    def results(self, name: str) -> dict[str, float]:
        """Numbers of the tables of one data set for the record of a run."""
        chosen = self.board.filter(pl.col("data set") == name).select("table", "protocol", "model", "f1", "shared")
        found = {}
        for table, protocol, model, f1, shared in chosen.iter_rows():
            prefix = f"{_plain(table)}/supervised/{protocol}"
            found[f"{prefix}/{model}/f1"] = f1
            if shared is not None:
                found[f"{prefix}/shared"] = shared
        return {key: value for key, value in found.items() if np.isfinite(value)}


@dataclass(frozen=True, eq=False)
class Truncated:
    """What labels are worth on a log that ends in the middle of its sessions.

    Attributes:
        board: one row a model and unit (``session`` or ``window``): ``model``, ``unit``, ``f1`` with ``low`` and
            ``high`` over the splits, ``precision``, ``recall``, ``published`` (F1 of the earlier system), ``seconds``
            (of the processor, for one split), ``splits``, ``threshold``.
        notes: what was left out and why, one sentence each.
    """

    board: pl.DataFrame
    notes: tuple[str, ...]

    def results(self, prefix: str = "blocks") -> dict[str, float]:
        """Numbers for the record of a run.

        Args:
            prefix: beginning of the names.
        """
        rows = self.board.select("model", "unit", "f1").iter_rows()
        found = {f"{prefix}/supervised/{model}/{unit}_f1": f1 for model, unit, f1 in rows}
        return {name: value for name, value in found.items() if np.isfinite(value)}


def run(
    processed: Mapping[str, Dataset],
    budget: Budget,
    *,
    seed: int = settings.SEED,
    protocols: tuple[Protocol, ...] = PROTOCOLS,
    network: bool = True,
    report: Report | None = None,
) -> Supervised:
    """Judge supervised models on every labelled table of sessions.

    Args:
        processed: processed data sets by name.
        budget: says how many splits, and how long the network may learn.
        seed: of splits and models.
        protocols: how sessions are divided.
        network: whether the network with two inputs takes part, on one split.
        report: told what comes next.

    Returns:
        One row a table, protocol and model, and what was left out.
    """
    lines: list[_Line] = []
    notes: list[str] = []
    for (name, table), frame, roles in labelled_sessions(processed):
        try:
            rows = _Rows.of(frame, roles)
        except LabError as error:
            notes.append(f"{name}, {table}: left out, for {error}")
            continue
        for protocol in protocols:
            if report:
                report(f"{name} {table} {protocol.name}")
            works: list[tuple[str, Callable[[], list[_Line]]]] = [
                ("", partial(rows.judged, protocol, budget.repeats, seed))
            ]
            if network and protocol.network:
                works.append((f" ({TWO_INPUT})", partial(rows.network, protocol, budget, seed)))
            for what, work in works:
                try:
                    lines += [replace(line, table=(name, table), protocol=protocol.name) for line in work()]
                except LabError as error:
                    notes.append(f"{name}, {table}, {protocol.name}{what}: left out, for {error}")
    return Supervised(pl.DataFrame([line.row for line in lines], BOARD, orient="row"), tuple(notes))


def truncated(
    blocks: pl.DataFrame,
    budget: Budget,
    *,
    events: str = "events",
    label: str = "is_anomaly",
    train_share: float = 0.2,
    seed: int = settings.SEED,
) -> Truncated:
    """Judge supervised models on sessions of which one in five is learned from, at both levels.

    The sessions are divided as :func:`utils.evaluation.splits.stratified` does with the seeds ``seed``, ``seed + 1``,
    ..., as many as the budget repeats. The network with two inputs learns on the first third of these splits.

    Args:
        blocks: one row a session.
        budget: says how many splits, and how long the network may learn.
        events: list column of the events.
        label: column that is true for an anomaly; rows without are left out.
        train_share: share of the sessions to learn from.
        seed: of the first split.

    Returns:
        One row a model and unit, and what was left out.
    """
    notes: list[str] = []
    lines: list[_Line] = []
    try:
        rows = _Rows.of(blocks.filter(pl.col(label).is_not_null()), Roles("session", label=label, sequence=events))
        sides = [rows.stratified(1 - train_share, seed + draw) for draw in range(budget.repeats)]
        lines += rows.board(sides, 1 - train_share, seed)
        lines += rows.at_both_levels(sides[: max(1, budget.repeats // 3)], budget, seed, 1 - train_share)
    except LabError as error:
        notes.append(f"Supervised models are left out, for {error}")
    found = [line.level for line in lines]
    return Truncated(pl.DataFrame(found, LEVELS, orient="row"), tuple(notes))


class _Sides(NamedTuple):
    """How many sessions of each row are learned from, and how many are tested."""

    train: Ints
    test: Ints


@dataclass(frozen=True)
class _Line:
    """A row of a board."""

    model: str
    unit: str
    f1: float
    low: float
    high: float
    precision: float
    recall: float
    shared: float | None
    splits: int
    seconds: float
    threshold: str | None
    values: tuple[float, ...] = ()
    gap: tuple[object, ...] = (None,) * len(comparison.GAPS)
    table: Table = ("", "")
    protocol: str = ""

    @property
    def row(self) -> tuple[object, ...]:
        """As in :data:`BOARD`."""
        judged = (self.f1, self.low, self.high, self.precision, self.recall, self.shared)
        return (*self.table, self.protocol, self.model, *judged, self.splits, self.seconds, self.threshold, *self.gap)

    @property
    def level(self) -> tuple[object, ...]:
        """As in :data:`LEVELS`."""
        published = PUBLISHED_WINDOWS if (self.model, self.unit) == (TWO_INPUT, "window") else None
        judged = (self.f1, self.low, self.high, self.precision, self.recall, published)
        return (self.model, self.unit, *judged, self.seconds, self.splits, self.threshold)


class _Verdict(NamedTuple):
    """What one model did on one split: labels, decisions and weights of what was tested."""

    y: Bools
    flagged: Bools
    weight: Ints


@dataclass(frozen=True, eq=False)
class _Rows:
    """Distinct sequences with their labels.

    Attributes:
        frame: one row a sequence and label, with the column ``events``.
        y: label of each row.
        sessions: sessions of each row.
        sequence: number of the sequence of each row.
        vector: number of the count vector of each row.
        cell: number of count vector and label of each row; classifiers on counts see one row for each.
        first: a row of each such cell.
    """

    frame: pl.DataFrame
    y: Bools
    sessions: Ints
    sequence: Ints
    vector: Ints
    cell: Ints
    first: Ints

    @classmethod
    def of(cls, frame: pl.DataFrame, roles: Roles) -> "_Rows":
        """Reduce labelled sessions to distinct rows.

        Raises:
            DataError: if one class is missing.
        """
        events, label, weight = roles.sequence or "", label_of(roles), weight_of(frame, roles)
        counts = pl.Series(np.ones(frame.height, np.int64)) if weight is None else weight.cast(pl.Int64)
        seen = log_sessions.distinct(frame, events)
        anomalous = frame[label].cast(pl.Boolean).to_numpy()
        cell, inverse = np.unique(seen.inverse * 2 + anomalous, return_inverse=True)
        sequence, y = cell // 2, (cell % 2).astype(np.bool_)
        if y.all() or not y.any():
            raise DataError(f"both classes are needed, found {int(y.sum()):,} anomalies in {y.size:,} rows: label more")
        sessions = np.bincount(inverse, counts.to_numpy()).astype(np.int64)
        distinct = pl.DataFrame({"events": seen.events.gather(sequence)})
        vector = distinct_vectors(distinct, "events")[0].inverse
        _, first, cells = np.unique(vector * 2 + y, return_index=True, return_inverse=True)
        return cls(distinct, y, sessions, row_codes(pl.DataFrame(sequence)), vector, cells, first)

    def judged(self, protocol: Protocol, repeats: int, seed: int) -> list[_Line]:
        """What the classifiers on counts reach under a protocol."""
        sides = list(self.divided(protocol, self.sessions, protocol.test_share, repeats, seed))
        return self.board(sides, protocol.test_share, seed)

    def divided(self, protocol: Protocol, counts: Ints, share: float, repeats: int, seed: int) -> Iterator[_Sides]:
        """Divide so many sessions of each row as a protocol says, again and again."""
        if protocol.disjoint is None:
            yield from self._at_random(counts, share, repeats, seed)
            return
        group = self.sequence if protocol.disjoint == "sequence" else self.vector
        there = np.flatnonzero(counts > 0)
        unit, inverse = np.unique(group[there] * 2 + self.y[there], return_inverse=True)
        for split in splits.repeated(unit % 2 == 1, share, repeats, seed, unit // 2):
            tested = np.zeros(len(counts), dtype=np.bool_)
            tested[there] = np.isin(inverse, split.test)
            yield _Sides(np.where(tested, 0, counts), np.where(tested, counts, 0))

    def stratified(self, share: float, seed: int) -> _Sides:
        """Divide all sessions by one draw."""
        units = np.repeat(np.arange(len(self.y)), self.sessions)
        return self._sides(units, splits.stratified(self.y[units], share, seed))

    def _at_random(self, counts: Ints, share: float, repeats: int, seed: int) -> Iterator[_Sides]:
        units = np.repeat(np.arange(len(counts)), counts)
        for split in splits.repeated(self.y[units], share, repeats, seed):
            yield self._sides(units, split)

    def _sides(self, units: Ints, split: splits.Split) -> _Sides:
        train, test = (np.bincount(units[part], minlength=len(self.y)) for part in (split.train, split.test))
        return _Sides(train.astype(np.int64), test.astype(np.int64))

    def board(self, sides: list[_Sides], test_share: float, seed: int) -> list[_Line]:
        """Classifiers on counts, and what flagging everything gives."""
        shared = float(np.mean([self.shared(each) for each in sides]))
        everything = [_Verdict(self.y, np.ones_like(self.y), each.test) for each in sides]
        lines = [_line(TRIVIAL, "session", everything, test_share, 0.0, None, seed)]
        for name, model in MODELS.items():
            start = time.process_time()
            verdicts = [self._classified(model.make(seed + number), each) for number, each in enumerate(sides)]
            seconds = (time.process_time() - start) / len(sides)
            lines.append(_line(name, "session", verdicts, test_share, seconds, HALF, seed))
        return [replace(line, shared=shared) for line in _with_gap(lines, test_share)]

    def shared(self, sides: _Sides) -> float:
        """Share of the test anomalies whose sequence occurs in training."""
        known = np.bincount(self.sequence, sides.train)[self.sequence] > 0
        mass = sides.test * self.y
        return float(mass[known].sum() / mass.sum())

    def _classified(self, model: SessionClassifier, sides: _Sides) -> _Verdict:
        """Train on distinct count vectors and decide about those that are tested."""
        train, test = (np.bincount(self.cell, side, minlength=len(self.first)).astype(np.int64) for side in sides)
        frame, y = self.frame[self.first], self.y[self.first]
        model.fit(frame, y, train)
        tested = np.flatnonzero(test > 0)
        return _Verdict(y[tested], model.score_samples(frame[tested]) >= 0.5, test[tested])

    def network(self, protocol: Protocol, budget: Budget, seed: int) -> list[_Line]:
        """The network with two inputs on the first split, its threshold chosen on held-back training sessions."""
        start = time.process_time()
        sides = next(self.divided(protocol, self.sessions, protocol.test_share, budget.repeats, seed))
        inner = next(self.divided(protocol, self._bounded(sides.train, budget, seed), HELD_BACK, 1, seed))
        model = _two_input(budget, seed).fit(self.frame, self.y, inner.train)
        threshold = self._threshold(model, inner.test)
        tested = np.flatnonzero(sides.test > 0)
        flagged = threshold.predict(model.score_samples(self.frame[tested]))
        verdict = _Verdict(self.y[tested], flagged, sides.test[tested])
        seconds = time.process_time() - start
        line = _line(TWO_INPUT, "session", [verdict], protocol.test_share, seconds, CHOSEN, seed)
        return [replace(line, shared=self.shared(sides))]

    def _threshold(self, model: TwoInput, held_back: Ints) -> thresholds.BestF1:
        judged = np.flatnonzero(held_back > 0)
        scores = model.score_samples(self.frame[judged])
        return thresholds.BestF1().fit(scores, self.y[judged], held_back[judged])

    def _bounded(self, counts: Ints, budget: Budget, seed: int) -> Ints:
        """Leave rows out, at random, where there are more events than a network can learn from in its time."""
        lengths = self.frame["events"].list.len().fill_null(0).to_numpy().astype(np.int64) + 1
        order = np.random.default_rng(seed).permutation(np.flatnonzero(counts > 0))
        kept = order[np.cumsum(lengths[order]) <= EVENTS_A_ROW * budget.rows]
        bounded = np.zeros_like(counts)
        bounded[kept] = counts[kept]
        return bounded

    def at_both_levels(self, sides: list[_Sides], budget: Budget, seed: int, test_share: float) -> list[_Line]:
        """The network with two inputs on several splits, judged on sessions and on windows."""
        start = time.process_time()
        levels = [self._levels(each, budget, seed + number) for number, each in enumerate(sides)]
        seconds = (time.process_time() - start) / len(sides)
        return [
            _line(TWO_INPUT, unit, [level[place] for level in levels], test_share, seconds, chosen, seed)
            for place, (unit, chosen) in enumerate((("session", CHOSEN), ("window", CHOSEN_WINDOWS)))
        ]

    def _levels(self, sides: _Sides, budget: Budget, seed: int) -> tuple[_Verdict, _Verdict]:
        protocol = Protocol("", HELD_BACK)
        inner = next(self.divided(protocol, self._bounded(sides.train, budget, seed), HELD_BACK, 1, seed))
        model = _two_input(budget, seed).fit(self.frame, self.y, inner.train)
        tested = np.flatnonzero(sides.test > 0)
        flagged = self._threshold(model, inner.test).predict(model.score_samples(self.frame[tested]))
        sessions = _Verdict(self.y[tested], flagged, sides.test[tested])
        chance, y, weight = self._windows(model, inner.test)
        threshold = thresholds.BestF1().fit(chance, y, weight)
        chance, y, weight = self._windows(model, sides.test)
        return sessions, _Verdict(y, threshold.predict(chance), weight)

    def _windows(self, model: TwoInput, counts: Ints) -> tuple[Floats, Bools, Ints]:
        """Probability, label and number of the windows of so many sessions."""
        rows = np.flatnonzero(counts > 0)
        table = model.windows(self.frame[rows], self.y[rows])
        weight = counts[rows][table["session"].to_numpy()]
        return table["probability"].to_numpy(), table["label"].to_numpy(), weight


def _two_input(budget: Budget, seed: int) -> TwoInput:
    return TwoInput("events", epochs=min(2 * budget.epochs, 20), seed=seed)


def _line(
    model: str, unit: str, verdicts: list[_Verdict], test_share: float, seconds: float, threshold: str | None, seed: int
) -> _Line:
    """Put the verdicts of some splits together."""
    each = [decided(one.y, one.flagged, one.weight) for one in verdicts]
    values: dict[str, Any] = {name: [shares[name] for shares in each] for name in ("f1", "precision", "recall")}
    n = int(np.mean([one.weight.sum() for one in verdicts]))
    if len(verdicts) > 1:
        f1 = mean_over_splits("f1", values["f1"], test_share, unit, n, threshold)
    else:
        f1 = metrics.bootstrap("f1", *verdicts[0][:2], weight=verdicts[0].weight, unit=unit, seed=seed)
    precision, recall = (float(np.mean(values[name])) for name in ("precision", "recall"))
    reached = (f1.value, f1.low, f1.high, precision, recall)
    return _Line(model, unit, *reached, None, len(verdicts), seconds, threshold, tuple(values["f1"]))


def _with_gap(lines: list[_Line], test_share: float) -> list[_Line]:
    """Say of the second best classifier how far it is from the best, on the same splits."""

    def compare(place: int, other: int) -> comparison.Comparison:
        return comparison.corrected_t_test(lines[place].values, lines[other].values, test_share)

    names = pl.DataFrame({"model": [line.model for line in lines]})
    places = comparison.runner_up([None if line.model == TRIVIAL else line.f1 for line in lines])
    gaps = comparison.with_gaps(names, "model", compare, places)
    return [replace(line, gap=gap) for line, gap in zip(lines, gaps.drop("model").rows(), strict=True)]


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_. -]+", "_", name)
