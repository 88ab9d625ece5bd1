"""Who stands where: methods that one notebook judged alike, and whether the first is really ahead of the second.

A lead is real (``True``) only where a test says so. It is not shown (``False``) where a test was made and found
nothing, and unknown (``None``) where the store holds nothing that could be tested.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import NamedTuple

from utils.errors import DataError

TEST_PART = "test part"
TRAINING_SPLITS = "repeated splits of training rows"
LEVEL = 0.05
WORDS = {"f1": "F1", "auc": "AUC", "mean": "mean F1"}
OVERLAP = "their 95 % intervals overlap, and no results row by row are stored for a paired test"
UNIT = "row"
ALONE = "nothing was judged beside it"


class Gap(NamedTuple):
    """A difference, leader minus follower, with its interval and two-sided p-value; ``None`` for what is not known."""

    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None = None


class Behind(NamedTuple):
    """How far a method was found to be behind another on the same rows or splits: that one's name, gap, and test."""

    leader: str
    gap: Gap
    method: str


@dataclass(frozen=True)
class Entry:
    """What one method reached.

    Attributes:
        method: its name, or the rule in words.
        f1: F1, with the limits of its interval.
        auc: area under the ROC curve, with the limits of its interval.
        mean: mean F1 over draws of the training part, with the worst of them.
        alarms: false alarms in 1,000 normal units.
        seconds: CPU seconds of learning.
        threshold: how the threshold was chosen.
        stored: its name in the stored table, where that is another one.
        behind: its distance from a better one, where that was tested.
    """

    method: str
    f1: float | None = None
    f1_low: float | None = None
    f1_high: float | None = None
    auc: float | None = None
    auc_low: float | None = None
    auc_high: float | None = None
    mean: float | None = None
    worst: float | None = None
    alarms: float | None = None
    seconds: float | None = None
    threshold: str = ""
    stored: str = ""
    behind: Behind | None = None

    def value(self, metric: str) -> float:
        """Return a number of it; minus infinity where it has none, so that it is sorted last."""
        found = getattr(self, metric)
        return float("-inf") if found is None else float(found)


@dataclass(frozen=True)
class Lead:
    """How far one method is ahead of another.

    Attributes:
        leader: the one ahead.
        follower: the other one; empty where there is none.
        metric: what was compared.
        difference: leader minus follower; ``None`` where one of them has no such number.
        low: lower limit of the difference, where a test gives one.
        high: upper limit.
        p_value: two-sided, where a test gives one.
        method: how it was tested.
        real: whether the lead is real; ``None`` where nobody can tell.
        sentence: all of it in words.
    """

    leader: str
    follower: str = ""
    metric: str = "f1"
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    method: str = "none"
    real: bool | None = None
    sentence: str = ALONE


@dataclass(frozen=True)
class Standing:
    """The methods that one notebook judged by one protocol on one table.

    Attributes:
        kind: what they learned from: see :data:`utils.leaderboard.stages.KINDS`.
        table: name of the table of the data set.
        entries: best first.
        ranked_by: the metric that put them in order.
        protocol: on which rows, and how often, they were judged.
        lead: of the first over the second.
        trivial: F1 of the trivial answer, "flag everything", under the same protocol.
        unit: what one judged row is.
        picked: how many methods the first was picked from by the very numbers shown; 1 where it was chosen beforehand.
    """

    kind: str
    table: str
    entries: Sequence[Entry]
    ranked_by: str = "f1"
    protocol: str = TEST_PART
    lead: Lead = field(default_factory=lambda: Lead(""))
    trivial: float | None = None
    unit: str = UNIT
    picked: int = 1

    @property
    def best(self) -> Entry:
        """The first one."""
        return self.entries[0]


def by_intervals(leader: Entry, follower: Entry, metric: str, *, picked: tuple[int, int] = (1, 1)) -> Lead:
    """Compare two methods of which only intervals are stored.

    Intervals of 95 % that do not touch prove a difference, whatever the correlation of the two: the standard error of
    a difference is at most the sum of both. Intervals that overlap prove nothing. A method that was picked as the best
    of several by the same rows flatters itself, so its interval is first widened to hold for all of these at once.

    Args:
        leader: the one that is ahead.
        follower: the other one.
        metric: ``f1`` or ``auc``.
        picked: from how many methods each was picked by these numbers; 1 where it was chosen beforehand.

    Source:
        Schenker and Gentleman, "On judging the significance of differences by examining the overlap between confidence
        intervals", The American Statistician 2001.
    """
    ours, theirs = getattr(leader, metric), getattr(follower, metric)
    difference = None if ours is None or theirs is None else ours - theirs
    low = _widened(ours, getattr(leader, f"{metric}_low"), picked[0])
    high = _widened(theirs, getattr(follower, f"{metric}_high"), picked[1])
    head = f"{leader.method} over {follower.method}{_by(difference, metric)}"
    if low is None or high is None:
        missing = leader.method if low is None else follower.method
        said = f"{head}: cannot be tested, as no interval of {missing} is stored"
        return Lead(leader.method, follower.method, metric, difference, sentence=said)
    apart = low > high
    allowed = ", also when widened for the best of several" if max(picked) > 1 else ""
    said = f"{head}: real, their 95 % intervals are apart{allowed}" if apart else f"{head}: cannot be told: {OVERLAP}"
    method = "intervals apart" if apart else "none"
    return Lead(leader.method, follower.method, metric, difference, method=method, real=apart or None, sentence=said)


def by_draws(leader: str, follower: str, ours: Sequence[float], theirs: Sequence[float], *, picked: int = 2) -> Lead:
    """Compare two methods over the same draws of the training part by Wilcoxon's signed ranks.

    The training parts hardly overlap, so their differences are taken as independent; the test speaks of other draws
    from the same log, not of other logs.

    Args:
        leader: name of the one that is ahead.
        follower: name of the other one.
        ours: F1 of the leader (draws,).
        theirs: F1 of the follower on the same draws (draws,).
        picked: from how many methods the leader was picked by these draws; its p-value is multiplied accordingly
            (Bonferroni).

    Source:
        Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 2006.
    """
    from utils.evaluation.comparison import wilcoxon

    if len(ours) < 2:
        return Lead(leader, follower, "mean", sentence=f"{leader} over {follower}: cannot be tested on one draw")
    try:
        found = wilcoxon(ours, theirs, names=(leader, follower))
    except DataError as error:
        return Lead(leader, follower, "mean", sentence=f"{leader} over {follower}: cannot be tested: {error}")
    how = f"Wilcoxon signed-rank test, {len(ours)} draws"
    gap = Gap(found.difference, found.low, found.high, found.p_value)
    return decided(leader, follower, "mean", gap, how, comparisons=picked - 1)


def between(leader: Entry, follower: Entry, metric: str, *, picked: tuple[int, int] = (1, 1)) -> Lead:
    """Compare two methods by the paired test that was stored with them, or else by their intervals.

    Args:
        leader: the one that is ahead.
        follower: the other one.
        metric: ``f1``, ``auc`` or ``mean``.
        picked: as in :func:`by_intervals`; the p-value of a paired test is multiplied accordingly (Bonferroni).
    """
    tested = follower.behind
    if tested and tested.leader == (leader.stored or leader.method):
        names = (leader.method, follower.method)
        return decided(*names, metric, tested.gap, tested.method, comparisons=max(picked) - 1)
    return by_intervals(leader, follower, metric, picked=picked)


def decided(
    leader: str,
    follower: str,
    metric: str,
    gap: Gap,
    method: str,
    *,
    comparisons: int = 1,
) -> Lead:
    """Make a lead of the numbers of a paired test; it is real where the interval of the difference lies above zero.

    Args:
        leader: the one that is ahead.
        follower: the other one.
        metric: what was compared.
        gap: what the test gave.
        method: name of the test.
        comparisons: by how many comparisons the leader was found; the p-value is multiplied by it (Bonferroni).
    """
    difference, low, high, p_value = gap
    head = f"{leader} {'over' if (difference or 0) >= 0 else 'against'} {follower}"
    if difference is None or low is None or high is None or not math.isfinite(low + high):
        said = f"{head}{_by(difference, metric)}: cannot be tested, as no test with an interval is at hand"
        return Lead(leader, follower, metric, difference, sentence=said)
    p_value = None if p_value is None else min(1.0, p_value * max(1, comparisons))
    real = low > 0 and (p_value is None or p_value < LEVEL)
    shown = f"{_by(difference, metric)} [{low:+.4f}, {high:+.4f}]{'' if p_value is None else f', p = {p_value:.2g}'}"
    verdict = "real" if real else "really worse" if high < 0 else "no difference shown"
    said = f"{head}{shown}: {verdict} ({method})"
    return Lead(leader, follower, metric, difference, low, high, p_value, method, real, said)


def _by(difference: float | None, metric: str) -> str:
    if difference is None:
        return ""
    digits = 3 if abs(difference) >= 0.0095 or not difference else 4
    return f" by {difference:.{digits}f} {WORDS.get(metric, metric)}"


def _widened(value: float | None, limit: float | None, picked: int) -> float | None:
    """A limit of an interval that holds for all of several methods at once (Bonferroni, normal tails)."""
    if value is None or limit is None:
        return None
    return value + (limit - value) * _quantile(max(1, picked)) / _quantile(1)


def _quantile(methods: int) -> float:
    """Standard errors that a two-sided interval reaches which holds for so many methods at once."""
    return -NormalDist().inv_cdf(LEVEL / 2 / methods)
