"""The protocols: later days, families left out, budgets of alarms, and an order where nobody labelled anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator, is_classifier

from utils import compute, settings
from utils.datasets.contract import NORMAL, Roles
from utils.detectors.ensembles import Ensemble
from utils.detectors.judging import Report, label_of
from utils.detectors.new_attacks.judging import ALARMS, Judged, NewAttacks, share_of
from utils.detectors.new_attacks.learning import Recipe, SharedBudget, learn, scored, usable
from utils.detectors.new_attacks.rows import UNNAMED, groups_of, kinds_of, parts_of_time, split_by_days
from utils.errors import DataError
from utils.evaluation import scoring, splits
from utils.evaluation.inputs import Floats, Ints, as_alarm_rate
from utils.evaluation.splits import Split

TEST_SHARE = 0.4
"""Share of the normal rows that judge the real alarm rate where a family is left out."""

CALIBRATION = 0.3
"""Share of the normal training rows that calibrates there: what learns from labels is fitted once a family."""

RATES = (0.01, 0.05)
GRID = tuple(round(0.0025 * step, 4) for step in range(4, 41))
"""Nominal alarm rates among which a budget is chosen."""

FOLDS = 4
MOST_DAYS = 7
"""More days are put together to a few parts of equal numbers of rows."""

PARTS = 4
RESAMPLES = 200
BUDGET = {"part": pl.String, **dict.fromkeys(("nominal", "real", "low", "high"), pl.Float64), "normals": pl.Int64}
RANKED = {"row": pl.Int64, "share_as_high": pl.Float64, "loudest": pl.String, "why": pl.String}


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
    names = [f"earlier to later days, seed {place + 1} of {len(seeds)}" for place in range(len(seeds))]
    learned = compute.each(
        _later, [(train, test, roles, recipe, seed) for seed in seeds], progress=compute.teller(report, names)
    )
    found, left_out = [p_values for p_values, _ in learned], learned[-1][1]
    judged = Judged.of(test, roles, set(kinds_of(train, roles).filter(train[label])))
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
    held_out: float | int = CALIBRATION,
    seed: int = settings.SEED,
    report: Report | None = None,
) -> NewAttacks:
    """Leave out one kind of attack after the other and look for it with what the others taught.

    The normal rows are divided once, and what learns from them alone is fitted and scores once. A training row whose
    group is tested is left out.

    Args:
        frame: a table with labels and kinds of anomaly.
        roles: what its columns mean.
        recipe: the detectors.
        families: kinds that are left out together: the name of the family for each kind that has one.
        rates: nominal alarm rates; that of the recipe is added.
        held_out: in place of that of the recipe.
        seed: of members and divisions.
        report: told what comes next.

    Returns:
        ``families`` as measured; in ``alarms`` each family counts alike, and what depends on their sizes is null.

    Raises:
        DataError: if there is no label or there are fewer than two kinds, or the normal rows are too few.
    """
    column = roles.anomaly_type or UNNAMED
    named = frame.with_columns(kinds_of(frame, roles).replace(families or {}).alias(column))
    meaning, chosen = replace(roles, anomaly_type=column), replace(recipe, held_out=held_out)
    parts = splits.leave_one_group_out(named[column], TEST_SHARE, seed, groups=pl.Series(groups_of(named, roles)))
    normal = _common_normals(parts, named[column])
    nominal = _rates(rates, recipe)
    alone = _learned_alone(named[normal], meaning, chosen, seed)
    known = scored(alone, named, roles.features)
    jobs = [(named, meaning, chosen, normal, part, seed, nominal, alone, known) for part in parts]
    names = [f"{part.name}, {place + 1} of {len(parts)}" for place, part in enumerate(parts)]
    found = compute.each(_without_family, jobs, progress=compute.teller(report, names))
    words = f"{len(parts)} kinds of attack left out one by one, {TEST_SHARE:.0%} of the normal rows judge"
    return NewAttacks(words, _mean_alarms([each[0] for each in found]), pl.concat([each[1] for each in found]))


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

    Each day of the training rows but the first is judged by what the days before it taught, if they taught enough. The
    highest nominal rate is chosen at which the upper limit of the real rate, all judged days together, is within the
    limit.

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
    days = parts_of_time(train, roles)
    if days.n_unique() > MOST_DAYS:
        days = (days.rank("min").cast(pl.Int64) - 1) * PARTS // len(days) + 1
    chosen, judged, problem = recipe.of(detector), [], "of one day only"
    for day in days.unique().sort()[1:]:
        _tell(report, f"what earlier days teach about {day}")
        now = train.filter((days == day) & ~train[label])
        try:
            p = learn(train.filter(days < day), roles, chosen, seed=seed).p_values(now)[detector]
        except DataError as error:
            problem = f"that {error}"
            continue
        judged.append((str(day), p.to_numpy(), groups_of(now, roles)))
    if not sum(len(p) for _, p, _ in judged):
        raise DataError(f"a budget needs normal rows on at least 2 days, found {problem}; or give a rate instead")
    return _budget([each for each in judged if len(each[1])], most, grid)


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
    members, detectors, _ = usable(recipe.of(detector), seed, taught=False)
    columns = pl.Series(groups_of(frame, roles))
    folds = splits.k_fold(None, recipe.held_out if isinstance(recipe.held_out, int) else FOLDS, seed, columns)
    scores = pl.DataFrame({name: scoring.out_of_fold(one, frame, folds=folds) for name, one in members.items()})
    fitted = SharedBudget.fitted(detectors[detector], scores)
    spoken = fitted.spoken(scores)
    rows = np.argsort(-spoken.max(axis=1), kind="stable")[:most]
    voices = spoken[rows].argmax(axis=1)
    loudest = [fitted.names[place] for place in voices]
    speakers = [next(iter(fitted.voices[place].each)) for place in voices]
    words = _explained(members, frame, rows, speakers)
    share = fitted.p_values(scores)[rows]
    return pl.DataFrame([rows, share, loudest, words], schema=RANKED)


def _common_normals(parts: Sequence[Split], kinds: pl.Series) -> Ints:
    """Normal rows that are in the training part of every split, rising."""
    times = np.bincount(np.concatenate([part.train for part in parts]), minlength=len(kinds))
    return np.flatnonzero((times == len(parts)) & (kinds == NORMAL).to_numpy())


def _later(
    train: pl.DataFrame, test: pl.DataFrame, roles: Roles, recipe: Recipe, seed: int
) -> tuple[pl.DataFrame, dict[str, str]]:
    """What one seed says of the later days, and the detectors that it had to leave out."""
    learned = learn(train, roles, recipe, seed=seed)
    return learned.p_values(test), dict(learned.left_out)


def _without_family(
    named: pl.DataFrame,
    roles: Roles,
    recipe: Recipe,
    normal: Ints,
    part: Split,
    seed: int,
    nominal: Sequence[float],
    alone: Ensemble | None,
    known: pl.DataFrame,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Alarms and families of one part: learned from all kinds but those that it tests."""
    attacks = part.train[(named[str(roles.anomaly_type)] != NORMAL).to_numpy()[part.train]]
    learned = learn(named[np.union1d(normal, attacks)], roles, recipe, seed=seed, alone=alone)
    p_values = [learned.p_values(named[part.test], alone=known[part.test] if known.width else known)]
    judged = Judged.of(named[part.test], roles, set())
    return judged.alarms(p_values, nominal, 0), judged.families(p_values, nominal)


def _learned_alone(normal: pl.DataFrame, roles: Roles, recipe: Recipe, seed: int) -> Ensemble | None:
    """What the members that need no labels learn from the normal rows; nothing if there is no such member."""
    members, _, _ = usable(recipe, seed, taught=True)
    if all(is_classifier(one) for one in members.values()):
        return None
    return learn(normal, roles, recipe, seed=seed).alone


def _rates(rates: Sequence[float], recipe: Recipe) -> list[float]:
    return sorted({as_alarm_rate(rate) for rate in (*rates, recipe.rate)})


def _mean_alarms(found: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Means over the families that were left out; precision and F1 depend on their sizes and are left null."""
    kept = ["real", "low", "high", "recall", "roc_auc"]
    together = pl.concat(found).group_by("detector", "nominal", maintain_order=True)
    means = together.agg(pl.col(kept).mean(), pl.col("anomalies").sum(), pl.col("normals", "seeds").first())
    empty = [pl.lit(None, dtype).alias(name) for name, dtype in ALARMS.items() if name not in means.columns]
    return means.with_columns(empty).select(*ALARMS)


def _budget(judged: Sequence[tuple[str, Floats, Ints]], most: float, grid: Sequence[float]) -> AlarmBudget:
    """Compare nominal with real rates, day by day and together, and choose."""
    p = np.concatenate([each[1] for each in judged])
    offsets = np.cumsum([0, *(each[2].max() + 1 for each in judged)])
    groups = np.concatenate([each[2] + start for each, start in zip(judged, offsets, strict=False)])
    parts = [*judged, ("all", p, groups)]
    lines = [
        (name, rate, *share_of((values <= rate).astype(np.float64), own), values.size)
        for name, values, own in parts
        for rate in sorted(grid)
    ]
    table = pl.DataFrame(lines, schema=BUDGET, orient="row")
    held = table.filter((pl.col("part") == "all") & (pl.col("high") <= most))["nominal"]
    return AlarmBudget(float(np.max(held.to_numpy())) if len(held) else min(grid), most, table)


def _explained(
    members: Mapping[str, BaseEstimator], frame: pl.DataFrame, rows: Ints, speakers: Sequence[str]
) -> list[str]:
    """What one member that is loud about a row says about it, fitted on all rows but those that are explained."""
    words = [""] * len(rows)
    rest = np.setdiff1d(np.arange(frame.height), rows)
    for name in dict.fromkeys(speakers):
        places = [place for place, spoken in enumerate(speakers) if spoken == name]
        if hasattr(members[name], "explain") and rest.size:
            said = members[name].fit(frame[rest]).explain(frame[rows[places]])
            for place, sentence in zip(places, said, strict=True):
                words[place] = sentence
    return words


def _tell(report: Report | None, words: str) -> None:
    if report is not None:
        report(words)
