"""What detectors do with attacks of kinds that they have never seen: three protocols, the same for every table.

| protocol | learned from | judged by | needs |
|---|---|---|---|
| :func:`later_days` | the earlier days | the later days, with whatever attacks they bring | labels, times |
| :func:`left_out_families` | all kinds of attack but one | that kind, other normal rows | labels, kinds |
| :func:`ranked` | normal and abnormal rows alike, fold by fold | nothing: an order to look at | neither |

Detectors that learn from labels, from normal rows alone, and from both stand side by side. A score becomes a conformal
p-value against normal rows of training that its model has not seen, and a row raises an alarm if its p-value is at most
the nominal alarm rate. The real rate is the share of the normal test rows that raise one: the two differ where normal
traffic has changed, so both are told, and :func:`alarm_budget` learns from the earlier days how far they part.

Rows of one group (exact twins, sessions) stand on one side of every division that calibrates, and count as one piece of
evidence in every interval (effective size of Kish, 1965).

Sources:
    Bates, Candès, Lei, Romano and Sesia, "Testing for outliers with conformal p-values", Annals of Statistics 2023.
    Genovese, Roeder and Wasserman, "False discovery control with p-value weighting", Biometrika 93 (2006).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator, is_classifier

from utils import settings
from utils.datasets.contract import NORMAL, Dataset, Roles
from utils.datasets.wording import listed
from utils.detectors.ensembles import Ensemble
from utils.detectors.judging import label_of
from utils.errors import DataError, LabError, SettingsError
from utils.evaluation import metrics, scoring, splits
from utils.evaluation.conformal import ConformalPValues
from utils.evaluation.inputs import Bools, Floats, Ints, as_alarm_rate
from utils.evaluation.intervals import effective_size, wilson
from utils.evaluation.splits import Split
from utils.features import tables

LATER_SHARE = 0.4
"""Share of the rows that the later days should have: days stay whole, so it is met as nearly as they allow."""

TEST_SHARE = 0.4
"""Share of the normal rows that judge the real alarm rate where a family is left out."""

RATES = (0.01, 0.05)
GRID = tuple(round(0.005 * step, 3) for step in range(2, 21))
"""Nominal alarm rates among which a budget is chosen."""

NATURAL = "natural_weight"
"""Column with the number of rows in the wild that a row stands for, where a sample has levelled the classes."""

UNNAMED = "unnamed"
NO_ANOMALY = "it learns from labels, and the rows to learn from hold no anomaly"
RESAMPLES = 200
Members = Callable[[int], Mapping[str, BaseEstimator]]
Report = Callable[[str], object]
ALARMS = {
    "detector": pl.String,
    **dict.fromkeys(("nominal", "real", "low", "high", "recall", "precision"), pl.Float64),
    **dict.fromkeys(("f1", "f1_low", "f1_high", "f1_sd", "roc_auc"), pl.Float64),
    **dict.fromkeys(("natural_precision", "natural_f1"), pl.Float64),
    **dict.fromkeys(("anomalies", "normals", "seeds"), pl.Int64),
}
FAMILIES = {
    "detector": pl.String,
    "nominal": pl.Float64,
    "family": pl.String,
    **dict.fromkeys(("recall", "low", "high"), pl.Float64),
    **dict.fromkeys(("n", "groups"), pl.Int64),
    "known": pl.Boolean,
    "real": pl.Float64,
}
BUDGET = {"part": pl.String, **dict.fromkeys(("nominal", "real", "low", "high"), pl.Float64), "normals": pl.Int64}
RANKED = {"row": pl.Int64, "share_as_high": pl.Float64, "loudest": pl.String, "why": pl.String}


@dataclass(frozen=True)
class Recipe:
    """Members, and the detectors that are made of them; fixed before the rows that judge are looked at.

    Attributes:
        members: makes the unfitted members by name for a seed. Classifiers learn from labels, all others from normal
            rows; each takes a frame as it is.
        detectors: for each detector, the share of the alarm budget that each of its members has; shares sum to 1.
        rate: nominal alarm rate at which the detectors decide.
        held_out: share of the normal training rows that calibrates, or number of folds.
        most_of_a_kind: most rows of one kind of anomaly that classifiers learn from, so that no kind rules the others.
    """

    members: Members
    detectors: Mapping[str, Mapping[str, float]]
    rate: float = 0.05
    held_out: float | int = 4
    most_of_a_kind: int | None = 1_000

    def of(self, *names: str) -> "Recipe":
        """The same recipe with some of its detectors."""
        return replace(self, detectors={name: self.detectors[name] for name in names})


@dataclass(frozen=True, eq=False)
class NewAttacks:
    """What detectors did under one protocol.

    Attributes:
        protocol: what was learned from and judged by, in words.
        alarms: one row a detector and ``nominal`` alarm rate: ``real`` rate among normal rows with interval ``low`` and
            ``high``; ``recall``, ``precision``, ``f1`` with interval; ``f1_sd`` over seeds; ``roc_auc``; precision and
            F1 with the weights of the wild (``natural_``, null without such weights); ``anomalies``, ``normals``,
            ``seeds``. Means over seeds.
        families: one row a detector, nominal rate and kind of anomaly: ``recall`` with interval, ``n`` rows in
            ``groups``, whether the kind was ``known`` in training, ``real`` alarm rate of the very models.
        left_out: detectors that could not be fitted, with the reason.
    """

    protocol: str
    alarms: pl.DataFrame
    families: pl.DataFrame
    left_out: Mapping[str, str] = field(default_factory=dict)

    def side_by_side(self, nominal: float) -> pl.DataFrame:
        """Recall of each kind of anomaly, one column a detector.

        Args:
            nominal: one of the nominal rates.

        Returns:
            ``family``, ``n``, ``groups``, ``known`` and the detectors; families in alphabetical order.
        """
        chosen = self.families.filter((pl.col("nominal") - nominal).abs() < 1e-9)
        keys = ["family", "n", "groups", "known"]
        return chosen.pivot("detector", index=keys, values="recall", maintain_order=True).sort("family")

    def results(self, nominal: float, detector: str) -> dict[str, float]:
        """Numbers of one detector for the record of a run: those of ``alarms``, and the worst recall of a family."""
        near = (pl.col("nominal") - nominal).abs() < 1e-9
        found: dict[str, float] = {}
        for row in self.alarms.filter(near, detector=detector).iter_rows(named=True):
            found = {name: float(value) for name, value in row.items() if isinstance(value, float | int)}
        recalls = self.families.filter(near, detector=detector)["recall"]
        return found | ({"worst_family_recall": float(np.min(recalls.to_numpy()))} if len(recalls) else {})


@dataclass(frozen=True, eq=False)
class AlarmBudget:
    """The nominal alarm rate that keeps the real one within a limit, as far as the earlier days can tell.

    Attributes:
        rate: the nominal rate chosen.
        most: the limit of the real rate.
        table: one row a ``part`` (a day of the training rows that was not learned from, or ``"all"``) and ``nominal``
            rate: ``real`` rate with interval ``low`` and ``high``, ``normals``.
    """

    rate: float
    most: float
    table: pl.DataFrame


@dataclass(frozen=True, eq=False)
class SharedBudget:
    """One p-value from those of several members: the smallest, each divided by its share of the alarm budget.

    At a nominal rate r a member with the share s decides much as it would alone at r s. The statistic is calibrated as
    a whole, so that the rate holds whatever the dependence between members.

    Attributes:
        shares: share of each member, summing to 1.
        each: fitted p-values of each member.
        together: fitted p-values of the statistic.
    """

    shares: Mapping[str, float]
    each: Mapping[str, ConformalPValues]
    together: ConformalPValues

    @classmethod
    def fitted(cls, shares: Mapping[str, float], calibration: pl.DataFrame) -> "SharedBudget":
        """Learn the scores of normal rows (one column a member, among others) that no member was trained on."""
        each = {name: ConformalPValues().fit(calibration[name]) for name in shares}
        own = {name: one.as_high(calibration[name]) / one.n_calibration_ for name, one in each.items()}
        return cls(shares, each, ConformalPValues().fit(_loudest(own, shares).max(axis=1)))

    def spoken(self, scores: pl.DataFrame) -> Floats:
        """How loud each member is, HIGHER = MORE ABNORMAL, shape (rows, members)."""
        return _loudest({name: one.p_values(scores[name]) for name, one in self.each.items()}, self.shares)

    def score_samples(self, scores: pl.DataFrame) -> Floats:
        """The statistic, HIGHER = MORE ABNORMAL, shape (rows,)."""
        return np.asarray(self.spoken(scores).max(axis=1))

    def p_values(self, scores: pl.DataFrame) -> Floats:
        """p-values above 0 and at most 1, LOW is abnormal, shape (rows,)."""
        return self.together.p_values(self.score_samples(scores))


@dataclass(frozen=True, eq=False)
class Learned:
    """The fitted members of a recipe and the detectors made of them.

    Attributes:
        ensembles: those that learned from normal rows, and those that learned from labels.
        detectors: fitted, by name.
        columns: what tells rows apart; equal rows are scored once.
        left_out: detectors that could not be fitted, with the reason.
    """

    ensembles: tuple[Ensemble, ...]
    detectors: Mapping[str, SharedBudget]
    columns: tuple[str, ...]
    left_out: Mapping[str, str]

    def member_scores(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Score rows with each member; HIGHER = MORE ABNORMAL, one column a member."""
        place = splits.distinct_rows(frame, self.columns)
        first = np.unique(place, return_index=True)[1]
        parts = [ensemble.member_scores(frame[first]) for ensemble in self.ensembles]
        return pl.concat(parts, how="horizontal")[place]

    def p_values(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Compare rows with normal rows of training; LOW is abnormal, one column a detector."""
        scores = self.member_scores(frame)
        return pl.DataFrame({name: one.p_values(scores) for name, one in self.detectors.items()})


def possible(frame: pl.DataFrame, roles: Roles) -> pl.DataFrame:
    """Tell which protocols a table allows.

    Args:
        frame: a table as :func:`rows_of` gives it.
        roles: what its columns mean.

    Returns:
        One row a protocol: ``protocol``, ``possible``, ``why`` not.
    """
    lines = [("later days", _why_no_days(frame, roles)), ("left-out families", _why_no_families(frame, roles))]
    lines.append(("ranked", ""))
    return pl.DataFrame(
        [(name, not why, why) for name, why in lines], schema=["protocol", "possible", "why"], orient="row"
    )


def rows_of(data: Dataset, processed: Dataset | None = None, table: str | None = None) -> tuple[pl.DataFrame, Roles]:
    """Put the times and natural weights of a data set beside the features of its processed table.

    Args:
        data: as :func:`utils.datasets.load` gives it.
        processed: its tables, as :func:`utils.features.tables.build` makes them; the data themselves if not given.
        table: name of the table; the main one if not given.

    Returns:
        The rows and what their columns mean; a time that the table no longer has is there if the rows are those of the
        data. Rows whose time or label is missing are left out where others have one.

    Raises:
        DataError: if there is no such table.
    """
    made = processed or data
    name = table or made.main
    if name not in made.frames:
        raise DataError(f"a table must be one of {listed(list(made.frames))}, found {name!r}: choose one of them")
    frame, roles = made[name], made.roles[name]
    source = data.roles.get(name)
    if source is not None and data[name].height == frame.height:
        beside = [each for each in (source.time, NATURAL) if each in data[name].columns and each not in frame.columns]
        frame = pl.concat([frame, data[name].select(beside)], how="horizontal")
        roles = replace(roles, time=source.time)
    needed = [column for column in (roles.label, roles.time) if column and frame[column].count()]
    frame = frame.drop_nulls(needed)
    return frame, replace(roles, features=tuple(tables.measurable(frame, roles)))


def learn(
    frame: pl.DataFrame, roles: Roles, recipe: Recipe, *, seed: int = settings.SEED, known: Ensemble | None = None
) -> Learned:
    """Fit the members of a recipe and calibrate its detectors on normal rows that no member has seen.

    Args:
        frame: training rows, and no others.
        roles: what the columns mean; without a label all rows count as normal.
        recipe: what to fit.
        seed: of the members and of the division.
        known: an ensemble of the same members that learned from the same normal rows with the same seed, if there is
            one: what learns from normal rows alone is not fitted again.

    Raises:
        SettingsError: if the recipe names a member that there is none of.
        DataError: if the normal rows are too few to be divided.
    """
    anomalous = frame[roles.label].to_numpy().astype(bool) if roles.label else np.zeros(frame.height, dtype=bool)
    members, detectors, left_out = _usable(recipe, seed, bool(anomalous.any()))
    labelled = {name: one for name, one in members.items() if is_classifier(one)}
    others = {name: one for name, one in members.items() if name not in labelled}
    rows = np.flatnonzero(~anomalous | _drawn(frame, roles, anomalous, recipe.most_of_a_kind, seed))
    groups = pl.Series(_groups(frame, roles))
    normal = np.flatnonzero(~anomalous)
    ensembles = []
    if others:
        alone = Ensemble(others, held_out=recipe.held_out, seed=seed)
        ensembles.append(known or alone.fit(frame[normal], groups=groups[normal]))
    if labelled:
        taught = Ensemble(labelled, held_out=recipe.held_out, seed=seed)
        ensembles.append(taught.fit(frame[rows], anomalous[rows], groups=groups[rows]))
    calibration = pl.concat([each.calibration_ for each in ensembles], how="horizontal")
    fitted = {name: SharedBudget.fitted(shares, calibration) for name, shares in detectors.items()}
    return Learned(tuple(ensembles), fitted, roles.features, left_out)


def split_by_days(frame: pl.DataFrame, roles: Roles, later: float = LATER_SHARE) -> Split:
    """Divide rows into earlier and later days, or by their times where they are of one day or no dates.

    Args:
        frame: a table whose rows all have a time.
        roles: what its columns mean.
        later: share of the rows that the later part should have.

    Raises:
        DataError: if there are no times, or all are equal.
    """
    return splits.by_time(_parts_of_time(frame, roles), later)


def later_days(
    frame: pl.DataFrame,
    roles: Roles,
    recipe: Recipe,
    *,
    split: Split | None = None,
    rates: Sequence[float] = RATES,
    seeds: Sequence[int] = (settings.SEED,),
    resamples: int = RESAMPLES,
    report: Report | None = None,
) -> NewAttacks:
    """Learn from the earlier days and judge by the later ones.

    Args:
        frame: a table with labels and times.
        roles: what its columns mean.
        recipe: the detectors.
        split: rows to learn from and to judge by; :func:`split_by_days` if not given.
        rates: nominal alarm rates; that of the recipe is added.
        seeds: each fits everything anew.
        resamples: bootstrap resamples of groups of rows behind the intervals of F1.
        report: told what comes next.

    Raises:
        DataError: if there is no label or no time, or the earlier days have too few normal rows.
    """
    label = label_of(roles)
    sides = split or split_by_days(frame, roles)
    train, test = frame[sides.train], frame[sides.test]
    found, left_out = [], {}
    for place, seed in enumerate(seeds):
        _tell(report, f"earlier to later days, seed {place + 1} of {len(seeds)}")
        learned = learn(train, roles, recipe, seed=seed)
        found.append(learned.p_values(test))
        left_out = dict(learned.left_out)
    judged = _Judged.of(test, roles, set(_kinds(train, roles).filter(train[label])))
    nominal = _rates(rates, recipe)
    words = f"learned from {sides.train.size:,} earlier rows, judged by {sides.test.size:,} later ones"
    return NewAttacks(words, judged.alarms(found, nominal, resamples), judged.families(found, nominal), left_out)


def left_out_families(
    frame: pl.DataFrame,
    roles: Roles,
    recipe: Recipe,
    *,
    families: Mapping[str, str] | None = None,
    rates: Sequence[float] = RATES,
    seed: int = settings.SEED,
    report: Report | None = None,
) -> NewAttacks:
    """Leave out one kind of attack after the other and look for it with what the others taught.

    The normal rows are divided once; detectors that learn from them alone are fitted once. A training row whose group
    is tested is left out.

    Args:
        frame: a table with labels and kinds of anomaly.
        roles: what its columns mean.
        recipe: the detectors.
        families: kinds that are left out together: the name of the family for each kind that has one.
        rates: nominal alarm rates; that of the recipe is added.
        seed: of members and divisions.
        report: told what comes next.

    Raises:
        DataError: if there is no label or there are fewer than two kinds, or the normal rows are too few.
    """
    label_of(roles)
    kinds = _kinds(frame, roles).replace(families or {})
    groups = pl.Series(_groups(frame, roles))
    parts = splits.leave_one_group_out(kinds, TEST_SHARE, seed, groups=groups)
    nominal = _rates(rates, recipe)
    common = _common_normals(parts, kinds)
    found: list[NewAttacks] = []
    alone: Ensemble | None = None
    for place, part in enumerate(parts):
        _tell(report, f"{part.name}, {place + 1} of {len(parts)}")
        keep = (kinds.gather(part.train) != NORMAL).to_numpy() | np.isin(part.train, common)
        learned = learn(frame[part.train[keep]], roles, recipe, seed=seed, known=alone)
        alone = next((each for each in learned.ensembles if not _taught(each)), None)
        test = frame[part.test].with_columns(kinds.gather(part.test).alias(roles.anomaly_type or UNNAMED))
        judged = _Judged.of(test, replace(roles, anomaly_type=roles.anomaly_type or UNNAMED), set())
        p_values = [learned.p_values(test)]
        found.append(
            NewAttacks("", judged.alarms(p_values, nominal, 0), judged.families(p_values, nominal), learned.left_out)
        )
    words = f"{len(parts)} kinds of attack left out one by one, {TEST_SHARE:.0%} of the normal rows judge"
    return NewAttacks(words, _mean_alarms(found), pl.concat([each.families for each in found]), found[0].left_out)


def alarm_budget(
    train: pl.DataFrame,
    roles: Roles,
    recipe: Recipe,
    detector: str,
    *,
    most: float = 0.05,
    grid: Sequence[float] = GRID,
    seed: int = settings.SEED,
    report: Report | None = None,
) -> AlarmBudget:
    """Choose a nominal alarm rate on earlier days alone, so that the real rate of later days stays within a limit.

    Each day of the training rows but the first is judged by what the days before it taught. The highest nominal rate is
    chosen at which the upper limit of the real rate, all judged days together, is within the limit.

    Args:
        train: training rows with labels and times, and no others.
        roles: what the columns mean.
        recipe: holds the detector.
        detector: its name.
        most: highest real alarm rate.
        grid: nominal rates to choose among.
        seed: of members and divisions.
        report: told what comes next.

    Returns:
        The rate and what it was chosen by; the lowest of the grid if none holds the limit.

    Raises:
        DataError: if there is no label or no time, or the days have too few normal rows.
    """
    label = label_of(roles)
    days = _parts_of_time(train, roles)
    shown = days if days.n_unique() <= len(days) ** 0.5 else days.rank("ordinal").qcut(4).cast(pl.String)
    order = shown.unique(maintain_order=False).sort()
    chosen, judged = recipe.of(detector), []
    for day in order[1:]:
        _tell(report, f"what earlier days teach about {day}")
        now = train.filter((shown == day) & ~train[label])
        if now.height:
            p = learn(train.filter(shown < day), roles, chosen, seed=seed).p_values(now)
            if detector in p.columns:
                judged.append((str(day), p[detector].to_numpy(), _groups(now, roles)))
    if not judged:
        raise DataError(f"a budget needs normal rows on at least 2 days, found {order.len()} days: give a rate instead")
    return _budget(judged, most, grid)


def ranked(
    frame: pl.DataFrame, roles: Roles, recipe: Recipe, detector: str, *, most: int = 20, seed: int = settings.SEED
) -> pl.DataFrame:
    """Order rows by abnormality without any label: each is scored by members that have seen neither it nor its twins.

    Args:
        frame: any table with features.
        roles: what its columns mean; labels are not used.
        recipe: holds the detector; only members that need no labels take part.
        detector: its name.
        most: rows that are listed.
        seed: of members and folds.

    Returns:
        The most abnormal rows, most abnormal first: ``row`` (its number), ``share_as_high`` (share of all rows that are
        as abnormal), ``loudest`` member, ``why`` in its words where it can explain.

    Raises:
        DataError: if no member can do without labels, or the rows are too few to be divided.
    """
    members, detectors, _ = _usable(recipe.of(detector), seed, taught=False)
    if detector not in detectors:
        raise DataError(f"detector {detector!r} must have members that need no labels, found none: choose another one")
    columns = pl.Series(_groups(frame, roles))
    folds = splits.k_fold(None, recipe.held_out if isinstance(recipe.held_out, int) else 4, seed, columns)
    scores = pl.DataFrame({name: scoring.out_of_fold(one, frame, folds=folds) for name, one in members.items()})
    fitted = SharedBudget.fitted(detectors[detector], scores)
    spoken = fitted.spoken(scores)
    rows = np.argsort(-spoken.max(axis=1), kind="stable")[:most]
    loudest = [list(members)[place] for place in spoken[rows].argmax(axis=1)]
    words = _explained(members, frame, rows, loudest)
    share = fitted.p_values(scores)[rows]
    return pl.DataFrame([rows, share, loudest, words], schema=RANKED)


@dataclass(frozen=True, eq=False)
class _Judged:
    """Test rows and what is known about them."""

    y: Bools
    kinds: pl.Series
    groups: Ints
    natural: pl.Series | None
    known: set[str]

    @classmethod
    def of(cls, test: pl.DataFrame, roles: Roles, known: set[str]) -> "_Judged":
        y = test[label_of(roles)].to_numpy().astype(bool)
        natural = test[NATURAL] if NATURAL in test.columns and not test[NATURAL].null_count() else None
        return cls(y, _kinds(test, roles), _groups(test, roles), natural, known)

    def alarms(self, p_values: Sequence[pl.DataFrame], rates: Sequence[float], resamples: int) -> pl.DataFrame:
        """One row a detector and rate."""
        lines = [
            {"detector": name, "nominal": rate, **self._line([p[name].to_numpy() for p in p_values], rate, resamples)}
            for name in p_values[0].columns
            for rate in rates
        ]
        return pl.DataFrame(lines, schema=ALARMS).fill_nan(None)

    def families(self, p_values: Sequence[pl.DataFrame], rates: Sequence[float]) -> pl.DataFrame:
        """One row a detector, rate and kind of anomaly."""
        lines = []
        for name in p_values[0].columns:
            for rate in rates:
                alarms = np.mean([p[name].to_numpy() <= rate for p in p_values], axis=0)
                real = _mean(alarms[~self.y])
                for kind, rows in self._rows_of_kinds.items():
                    share, low, high = _share(alarms[rows], self.groups[rows])
                    groups = np.unique(self.groups[rows]).size
                    lines.append((name, rate, kind, share, low, high, rows.size, groups, kind in self.known, real))
        return pl.DataFrame(lines, schema=FAMILIES, orient="row").fill_nan(None)

    @cached_property
    def _rows_of_kinds(self) -> dict[str, Ints]:
        kinds = self.kinds.filter(pl.Series(self.y)).unique().sort()
        return {kind: np.flatnonzero(self.y & (self.kinds == kind).to_numpy()) for kind in kinds}

    def _line(self, p_values: Sequence[Floats], rate: float, resamples: int) -> dict[str, float]:
        decided = [p <= rate for p in p_values]
        real, low, high = _share(np.mean(decided, axis=0)[~self.y], self.groups[~self.y])
        f1 = [metrics.f1(self.y, flagged) for flagged in decided]
        limits = [self._f1_limits(flagged, resamples) for flagged in decided]
        line = {
            **{"real": real, "low": low, "high": high},
            "recall": _mean([metrics.recall(self.y, flagged) for flagged in decided]),
            "precision": _mean([metrics.precision(self.y, flagged) for flagged in decided]),
            "f1": _mean(f1),
            "f1_low": min(limit[0] for limit in limits),
            "f1_high": max(limit[1] for limit in limits),
            "f1_sd": float(np.std(f1, ddof=1)) if len(f1) > 1 else np.nan,
            "roc_auc": _mean([metrics.roc_auc(self.y, -p) for p in p_values]),
            **{"anomalies": int(self.y.sum()), "normals": int((~self.y).sum()), "seeds": len(decided)},
        }
        if self.natural is not None:
            line["natural_precision"] = _mean([metrics.precision(self.y, each, self.natural) for each in decided])
            line["natural_f1"] = _mean([metrics.f1(self.y, each, self.natural) for each in decided])
        return line

    def _f1_limits(self, flagged: Bools, resamples: int) -> tuple[float, float]:
        if not resamples:
            return np.nan, np.nan
        found = metrics.bootstrap("f1", self.y, flagged, groups=self.groups, resamples=resamples)
        return found.low, found.high


def _why_no_days(frame: pl.DataFrame, roles: Roles) -> str:
    if roles.label is None:
        return "nobody labelled the rows"
    if roles.time is None or roles.time not in frame.columns:
        return "the rows have no time"
    try:
        sides = split_by_days(frame, roles)
    except LabError as error:
        return str(error)
    if frame[sides.train].filter(~pl.col(roles.label)).is_empty():
        return "the earlier rows hold no normal one"
    return "" if frame[roles.label].gather(sides.test).n_unique() == 2 else "the later rows are all of one class"


def _why_no_families(frame: pl.DataFrame, roles: Roles) -> str:
    if roles.label is None:
        return "nobody labelled the rows"
    kinds = _kinds(frame, roles).filter(frame[roles.label]).n_unique()
    return "" if kinds > 1 else f"a kind can be left out only where others stay, found {kinds}"


def _usable(
    recipe: Recipe, seed: int, taught: bool
) -> tuple[dict[str, BaseEstimator], dict[str, Mapping[str, float]], dict[str, str]]:
    """Members, the detectors that can be fitted, and the others with the reason.

    Where there is no anomaly to learn from, a detector goes on with its members that need none.
    """
    made = dict(recipe.members(seed))
    named = {name for shares in recipe.detectors.values() for name in shares}
    if unknown := sorted(named - made.keys()):
        what = f"detectors must be made of members {listed(list(made))}"
        raise SettingsError(f"{what}, found {listed(unknown)}: name one of these")
    fit = {name: one for name, one in made.items() if name in named and (taught or not is_classifier(one))}
    detectors: dict[str, Mapping[str, float]] = {}
    for name, shares in recipe.detectors.items():
        rest = {member: share for member, share in shares.items() if member in fit}
        if rest:
            detectors[name] = {member: share / sum(rest.values()) for member, share in rest.items()}
    left_out = {name: NO_ANOMALY for name in recipe.detectors if name not in detectors}
    if not detectors:
        what = f"detectors {listed(list(left_out))} must have anomalies to learn from, found none"
        raise DataError(f"{what}: take one that learns from normal rows")
    return fit, detectors, left_out


def _drawn(frame: pl.DataFrame, roles: Roles, anomalous: Bools, most: int | None, seed: int) -> Bools:
    """Which anomalies classifiers learn from: rows that are new before copies, at most so many of a kind."""
    if most is None:
        return anomalous
    order = np.random.default_rng(seed).permutation(frame.height)
    shuffled = pl.DataFrame({"row": order, "kind": _kinds(frame, roles)[order], "group": _groups(frame, roles)[order]})
    ranked = shuffled.filter(pl.Series(anomalous[order])).with_columns(
        copy=pl.int_range(pl.len()).over("kind", "group")
    )
    chosen = ranked.sort("copy", maintain_order=True).group_by("kind").head(most)["row"].to_numpy()
    drawn = np.zeros(frame.height, dtype=bool)
    drawn[chosen] = True
    return drawn


def _kinds(frame: pl.DataFrame, roles: Roles) -> pl.Series:
    """Kind of each row, ``"normal"`` for normal ones."""
    normal = ~frame[label_of(roles)]
    named = pl.col(roles.anomaly_type).cast(pl.String) if roles.anomaly_type in frame.columns else pl.lit(UNNAMED)
    named = pl.when(named == NORMAL).then(None).otherwise(named).fill_null(UNNAMED)
    return frame.select(pl.when(normal).then(pl.lit(NORMAL)).otherwise(named).alias("kind")).to_series()


def _groups(frame: pl.DataFrame, roles: Roles) -> Ints:
    """Number of the group of each row; exact twins where the rows have no groups."""
    columns = [roles.group] if roles.group in frame.columns else list(roles.features)
    return splits.distinct_rows(frame, columns)


def _parts_of_time(frame: pl.DataFrame, roles: Roles) -> pl.Series:
    """Days of the rows; the times as they are where they are of one day or no dates.

    Raises:
        DataError: if there are no times.
    """
    if roles.time is None or roles.time not in frame.columns:
        raise DataError("earlier and later rows are told by their times, found none: use left_out_families")
    times = frame[roles.time]
    days = times.dt.date() if isinstance(times.dtype, pl.Datetime) else times
    return days if days.n_unique() > 1 else times


def _common_normals(parts: Sequence[Split], kinds: pl.Series) -> Ints:
    """Normal rows that are in the training part of every split."""
    normal = np.flatnonzero((kinds == NORMAL).to_numpy())
    for part in parts:
        normal = np.intersect1d(normal, part.train, assume_unique=True)
    return normal


def _taught(ensemble: Ensemble) -> bool:
    return any(is_classifier(one) for one in ensemble.members.values())


def _rates(rates: Sequence[float], recipe: Recipe) -> list[float]:
    return sorted({as_alarm_rate(rate) for rate in (*rates, recipe.rate)})


def _loudest(p_values: Mapping[str, Floats], shares: Mapping[str, float]) -> Floats:
    """-log of each p-value over the share of its member, without the last digits, so that ties stay ties."""
    return np.round(np.column_stack([np.log(share) - np.log(p_values[name]) for name, share in shares.items()]), 10)


def _share(alarms: Floats, groups: Ints) -> tuple[float, float, float]:
    """Mean of alarms and its Wilson interval, in which rows of one group are one piece of evidence."""
    if not alarms.size:
        return np.nan, np.nan, np.nan
    size = effective_size(np.unique(groups, return_counts=True)[1].astype(np.float64))
    share = float(alarms.mean())
    interval = wilson(share * size, size)
    return share, interval.low, interval.high


def _mean(values: Sequence[float] | Floats) -> float:
    return float(np.mean(values)) if len(values) else np.nan


def _mean_alarms(found: Sequence[NewAttacks]) -> pl.DataFrame:
    """Means over the families that were left out, each family counting alike."""
    numbers = [name for name, dtype in ALARMS.items() if dtype == pl.Float64 and name != "nominal"]
    together = pl.concat([each.alarms for each in found]).group_by("detector", "nominal", maintain_order=True)
    return together.agg(pl.col(numbers).mean(), pl.col("anomalies").sum(), pl.col("normals", "seeds").first())


def _budget(judged: Sequence[tuple[str, Floats, Ints]], most: float, grid: Sequence[float]) -> AlarmBudget:
    """Compare nominal with real rates, day by day and together, and choose."""
    p = np.concatenate([each[1] for each in judged])
    offsets = np.cumsum([0, *(each[2].max() + 1 for each in judged)])
    groups = np.concatenate([each[2] + start for each, start in zip(judged, offsets, strict=False)])
    parts = [*judged, ("all", p, groups)]
    lines = [
        (name, rate, *_share((values <= rate).astype(np.float64), own), values.size)
        for name, values, own in parts
        for rate in sorted(grid)
    ]
    table = pl.DataFrame(lines, schema=BUDGET, orient="row")
    held = table.filter((pl.col("part") == "all") & (pl.col("high") <= most))["nominal"]
    return AlarmBudget(float(np.max(held.to_numpy())) if len(held) else min(grid), most, table)


def _explained(
    members: Mapping[str, BaseEstimator], frame: pl.DataFrame, rows: Ints, loudest: Sequence[str]
) -> list[str]:
    """What the loudest member of each row says about it, fitted on all other rows."""
    words = [""] * len(rows)
    rest = np.setdiff1d(np.arange(frame.height), rows)
    for name in dict.fromkeys(loudest):
        places = [place for place, spoken in enumerate(loudest) if spoken == name]
        if hasattr(members[name], "explain") and rest.size:
            said = members[name].fit(frame[rest]).explain(frame[rows[places]])
            for place, sentence in zip(places, said, strict=True):
                words[place] = sentence
    return words


def _tell(report: Report | None, words: str) -> None:
    if report is not None:
        report(words)
