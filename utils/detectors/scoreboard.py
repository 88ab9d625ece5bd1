"""What each detector finds that has learned from normal training rows alone, on every processed table.

A quarter of the normal training rows is held out: it gives the threshold, by a nominal alarm rate, no more. No anomaly
is seen before the test rows, and no test row before the judgement. Equal rows stay on one side of that division.
"""

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from utils import settings
from utils.datasets import require
from utils.datasets.contract import Dataset, Roles
from utils.detectors.judging import TRIVIAL, Report, detectable, label_of, labelled_tables, recalls
from utils.detectors.outliers import DETECTORS, Choice
from utils.detectors.outliers.points import kept_places
from utils.detectors.table_detector import TableDetector
from utils.errors import DataError
from utils.evaluation import comparison, metrics, splits
from utils.evaluation.inputs import Bools, Floats, Ints, as_alarm_rate, row_codes
from utils.evaluation.metrics import Estimate
from utils.evaluation.splits import Split
from utils.evaluation.thresholds import AlarmRate
from utils.features.flows import FlowFeatures
from utils.features.tables import Table, weight_of

HELD_OUT = 0.25
FEWEST_NORMALS = 40
"""Normal training rows below which neither a detector nor a threshold can be learned."""
SHOWN = ("roc_auc", "average_precision", "f1", "recall", "precision")
BOARD = {
    "detector": pl.String,
    **dict.fromkeys(("roc_auc", "low", "high", "average_precision"), pl.Float64),
    **dict.fromkeys(("f1", "f1_low", "f1_high", "recall", "precision", "nominal", "real"), pl.Float64),
    "seconds": pl.Float64,
}


@dataclass(frozen=True)
class Scored:
    """One fitted detector with its scores and its threshold.

    Attributes:
        detector: learned from the normal training rows that were not held out.
        threshold: from the held-out normal rows.
        held: scores of the held-out normal rows.
        test: scores of the test rows.
        seconds: CPU time of learning and scoring.
        estimates: what :func:`utils.evaluation.metrics.evaluate` says of the test rows.
    """

    detector: TableDetector
    threshold: AlarmRate
    held: Floats
    test: Floats
    seconds: float
    estimates: Sequence[Estimate]

    @property
    def alarms(self) -> Bools:
        """Decisions on the test rows."""
        return self.threshold.predict(self.test)

    def estimate(self, name: str) -> Estimate:
        """Find an estimate by the name of its metric."""
        return next(each for each in self.estimates if each.name == name)


@dataclass(frozen=True)
class Scoreboard:
    """The detectors on one table.

    Attributes:
        board: one row a detector, best first by ``roc_auc`` (with interval ``low``, ``high``): ``average_precision``,
            ``f1`` (with ``f1_low``, ``f1_high``), ``recall`` and ``precision`` at the threshold, ``nominal`` and
            ``real`` alarm rate among normals, ``seconds`` of CPU time. The second row also says how far its AUC is
            from the best (:func:`utils.evaluation.comparison.with_gaps`). The last row, ``flag everything``, is the
            trivial baseline.
        scored: detectors, thresholds and scores by name.
        test: the test rows.
        learned: the normal rows that were learned from.
        y: labels of the test rows.
        weight: how many rows each test row stands for.
        places: rows of the table that the test rows are.
        kinds: types of anomaly that training rows hold.
    """

    board: pl.DataFrame
    scored: Mapping[str, Scored]
    test: pl.DataFrame
    learned: pl.DataFrame
    y: pl.Series
    weight: pl.Series | None
    places: Ints
    kinds: frozenset[str]

    def recalls(self, kinds: pl.Series) -> pl.DataFrame:
        """Recall of each kind of anomaly.

        Args:
            kinds: kind of each row of the whole table, ``"normal"`` for normal rows.

        Returns:
            One row a detector and kind: ``detector``, ``kind``, ``rows``, ``recall`` with interval ``low`` and
            ``high``, ``in_training`` (whether rows of that kind are among the training rows of the table).
        """
        alarms = {name: scored.alarms for name, scored in self.scored.items()}
        known = pl.col("kind").is_in(list(self.kinds))
        return recalls(kinds.gather(self.places), alarms, self.weight).with_columns(in_training=known)

    def score_groups(self, kinds: pl.Series) -> tuple[Floats, pl.Series, float]:
        """Scores of the best detector on the test rows, the group of each row, and the threshold.

        Args:
            kinds: kind of each row of the whole table, ``"normal"`` for normal rows.

        Returns:
            Scores (n,), ``normal``, ``known attack`` or ``new attack`` for each (n,), and where alarms begin.
        """
        best, tested = self.scored[self.best], kinds.gather(self.places)
        known = pl.when(tested.is_in(list(self.kinds))).then(pl.lit("known attack")).otherwise(pl.lit("new attack"))
        groups = pl.select(pl.when(self.y).then(known).otherwise(pl.lit("normal")).alias("group"))["group"]
        return best.test, groups, best.threshold.value_

    def reasons(self, rows: int = 2) -> pl.DataFrame:
        """Why the most abnormal test rows are so abnormal to the best detector (see :class:`TableDetector`)."""
        return self.scored[self.best].detector.reasons(self.most_abnormal(rows))

    def explained(self, rows: int = 2) -> pl.DataFrame:
        """The same in one sentence a row: ``detector``, ``most abnormal test rows``."""
        sentences = self.scored[self.best].detector.explain(self.most_abnormal(rows))
        return pl.DataFrame({"detector": self.best, "most abnormal test rows": sentences})

    def most_abnormal(self, rows: int) -> pl.DataFrame:
        """Test rows with the highest scores of the best detector, equal rows once."""
        scores = self.scored[self.best].test
        columns = self.scored[self.best].detector.feature_names_in_.tolist()
        order = np.argsort(-scores, kind="stable")
        return self.test[order].unique(columns, keep="first", maintain_order=True).head(rows)

    @property
    def best(self) -> str:
        """The detector with the highest AUC."""
        return str(self.board["detector"][0])


def scoreboards(
    processed: Mapping[str, Dataset],
    *,
    rate: float = 0.05,
    rows: int = 10_000,
    resamples: int = 200,
    names: Sequence[str] | None = None,
    seed: int = settings.SEED,
    report: Report | None = None,
) -> dict[Table, Scoreboard]:
    """Judge every detector on every table with labels on both sides of its split.

    Args:
        processed: processed data sets by name.
        rate: nominal alarm rate, the share of held-out normal rows above the threshold.
        rows: most normal rows that are learned from; beyond, a sample is drawn.
        resamples: bootstrap resamples behind each interval of a ranking.
        names: detectors, by their names in :data:`utils.detectors.outliers.DETECTORS`; all of them if not given.
        seed: of every random draw.
        report: told the name of each table before its detectors are fitted.

    Returns:
        A scoreboard by table; those are left out whose normal training rows are too few or too much alike.

    Raises:
        SettingsError: if there is no detector of a name.
        DataError: if the rate is not between 0 and 1.
    """
    as_alarm_rate(rate)
    for detector in names or ():
        require.choice("a detector", detector, DETECTORS)
    found = {}
    for table, frame, roles, split in labelled_tables(processed):
        normal = _normal_rows(frame, roles, split)
        if len(normal) >= FEWEST_NORMALS:
            if report:
                report(" ".join(table))
            plan = _Plan(rate, rows, resamples, seed)
            with contextlib.suppress(DataError):
                found[table] = _scoreboard(frame, roles, split, normal, plan, names or tuple(DETECTORS))
    return found


def results(boards: Mapping[Table, Scoreboard], name: str) -> dict[str, float]:
    """Numbers of the detectors on the tables of one data set for the record of a run."""
    return {
        f"{table}_{row['detector']}_{measure}": row[measure]
        for (owner, table), found in boards.items()
        if owner == name
        for row in found.board.filter(pl.col("detector") != TRIVIAL).iter_rows(named=True)
        for measure in ("roc_auc", "f1", "real")
    }


def held_out(normal: pl.DataFrame, roles: Roles, seed: int, share: float = HELD_OUT) -> Split:
    """Hold out a share of normal rows; equal rows, and rows of one group, stay on one side.

    Args:
        normal: normal training rows.
        roles: what the columns mean.
        seed: of the draw.
        share: share of the rows that is held out.

    Raises:
        DataError: if all rows are equal, or of one group.
    """
    groups = normal[roles.group] if roles.group else row_codes(normal.select(detectable(normal, roles)))
    return splits.grouped(None, groups, share, seed)


@dataclass(frozen=True)
class _Plan:
    """How much work is done, and what is asked for."""

    rate: float
    rows: int
    resamples: int
    seed: int


@dataclass(frozen=True)
class _Sides:
    """Rows to learn from, rows for the threshold, rows to judge."""

    learned: pl.DataFrame
    held: pl.DataFrame
    test: pl.DataFrame


def _normal_rows(frame: pl.DataFrame, roles: Roles, split: Split) -> Ints:
    anomalous = frame[label_of(roles)].gather(split.train).to_numpy().astype(bool)
    return np.asarray(split.train[~anomalous])


def _scoreboard(
    frame: pl.DataFrame, roles: Roles, split: Split, normal: Ints, plan: _Plan, names: Sequence[str]
) -> Scoreboard:
    halves = held_out(frame[normal], roles, plan.seed)
    offered = normal[halves.train]
    learned = offered[kept_places(len(offered), plan.rows, plan.seed)]
    sides = _Sides(frame[learned], frame[normal[halves.test]], frame[split.test])
    columns = detectable(sides.learned, roles)
    scored = {name: _score(DETECTORS[name], columns, sides, roles, plan) for name in names}
    y, weight = sides.test[label_of(roles)], weight_of(sides.test, roles)
    kinds = frame[roles.anomaly_type].gather(split.train) if roles.anomaly_type else pl.Series(dtype=pl.String)
    return Scoreboard(
        board=_board(scored, y, weight, plan),
        scored=scored,
        learned=sides.learned,
        test=sides.test,
        places=split.test,
        y=y,
        weight=weight,
        kinds=frozenset(kinds.drop_nulls()),
    )


def _score(choice: Choice, columns: list[str], sides: _Sides, roles: Roles, plan: _Plan) -> Scored:
    """Learn, choose the threshold, score the test rows."""
    began = time.process_time()
    features = FlowFeatures(roles, columns=columns, **choice.features)
    detector = TableDetector(choice.factory(plan.seed, plan.rows), features)
    detector.fit(sides.learned, weight=weight_of(sides.learned, roles))
    held, test = detector.score_samples(sides.held), detector.score_samples(sides.test)
    threshold = AlarmRate(plan.rate).fit(held, weight=weight_of(sides.held, roles))
    seconds = time.process_time() - began
    estimates = metrics.evaluate(
        sides.test[label_of(roles)],
        test,
        threshold=threshold,
        unit=roles.unit,
        weight=weight_of(sides.test, roles),
        resamples=plan.resamples,
        seed=plan.seed,
    )
    return Scored(detector, threshold, held, test, seconds, estimates)


def _board(scored: Mapping[str, Scored], y: pl.Series, weight: pl.Series | None, plan: _Plan) -> pl.DataFrame:
    rows = [
        {"detector": name, "nominal": plan.rate, "seconds": each.seconds, **_numbers(each)}
        for name, each in scored.items()
    ]
    board = pl.DataFrame(rows, schema=BOARD).sort("roc_auc", descending=True, nulls_last=True)
    names = board["detector"]

    def compare(place: int, other: int) -> comparison.Comparison:
        scores = (scored[names[place]].test, scored[names[other]].test)
        return comparison.paired_bootstrap(
            "roc_auc", y, *scores, weight=weight, resamples=plan.resamples, seed=plan.seed
        )

    board = comparison.with_gaps(board, "detector", compare, comparison.runner_up(board["roc_auc"].to_list()))
    always = metrics.dummy(y, weight).filter(baseline="always").rename({"false_alarm_rate": "real"})
    trivial = always.select(pl.lit(TRIVIAL).alias("detector"), *(name for name in always.columns if name in BOARD))
    return pl.concat([board, trivial], how="diagonal_relaxed").fill_nan(None)


def _numbers(scored: Scored) -> dict[str, float]:
    auc, f1 = scored.estimate("roc_auc"), scored.estimate("f1")
    intervals = {"low": auc.low, "high": auc.high, "f1_low": f1.low, "f1_high": f1.high}
    shown = {name: scored.estimate(name).value for name in SHOWN}
    return {**shown, **intervals, "real": scored.estimate("false_alarm_rate").value}
