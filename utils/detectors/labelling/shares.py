"""Shares of evidence in clusters, with intervals, and how many attacks the company of events tells of."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from utils.evaluation.inputs import Bools, Floats, Ints
from utils.evaluation.intervals import wilson


@dataclass(frozen=True, eq=False)
class Shares:
    """Share of one evidence in each cluster (clusters,): NaN where it is not known of a single event.

    Attributes:
        found: events that have the evidence.
        known: events of which it is known whether they have it.
        share: found / known.
        low: lower limit of Wilson's interval.
        high: upper limit.
    """

    found: Floats
    known: Floats
    share: Floats
    low: Floats
    high: Floats

    @property
    def least(self) -> Floats:
        """Lower limits, 0 where nothing is known."""
        return np.nan_to_num(self.low, nan=0.0)

    @property
    def most(self) -> Floats:
        """Upper limits, 1 where nothing is known."""
        return np.nan_to_num(self.high, nan=1.0)


@dataclass(frozen=True)
class Rates:
    """How often attacks and other events have an evidence, learned without labels.

    Attributes:
        attack: share among the events whose content is an alarm.
        other: share among the events without any alarm; some of them are attacks, so it is a little high.
        informative: whether the first is clearly above the second.
    """

    attack: float
    other: float
    informative: bool

    def ratios(self, flags: Bools, known: Bools) -> Floats:
        """Likelihood ratio of attack against other for each event; 1 where it is not known or says nothing."""
        if not self.informative:
            return np.ones(len(flags))
        with_it, without = self.attack / self.other, (1 - self.attack) / (1 - self.other)
        return np.where(known, np.where(flags, with_it, without), 1.0)

    def mixture(self, share: Floats) -> Floats:
        """Share of attacks that a mixture with this share of the evidence has, unbounded."""
        return np.asarray((share - self.other) / (self.attack - self.other))


def count(flags: Bools, known: Bools, clusters: Ints, size: int, level: float) -> Shares:
    """Count an evidence in each cluster.

    Args:
        flags: whether each event has it (n,).
        known: whether that is known (n,).
        clusters: cluster of each event, 0 to ``size`` - 1 (n,).
        size: number of clusters.
        level: nominal coverage of the intervals.
    """
    found = np.bincount(clusters, flags & known, minlength=size).astype(np.float64)
    trials = np.bincount(clusters, known, minlength=size).astype(np.float64)
    limits = np.array([_limits(*pair, level) for pair in zip(found.tolist(), trials.tolist(), strict=True)])
    limits = limits.reshape(size, 2)
    share = np.divide(found, trials, out=np.full(size, np.nan), where=trials > 0)
    return Shares(found, trials, share, limits[:, 0], limits[:, 1])


def learn_rates(flags: Bools, known: Bools, reference: Bools, alarms: Bools, level: float, contrast: float) -> Rates:
    """Learn how often attacks and others have an evidence, from events that are alarms for another reason.

    Args:
        flags: whether each event has the evidence (n,).
        known: whether that is known (n,).
        reference: events that are alarms by their content (n,).
        alarms: events with any alarm (n,).
        level: nominal coverage of the intervals.
        contrast: least difference of the two shares.

    Returns:
        Shares, each with half an event added to both sides; informative where the intervals do not touch and the
        difference is at least ``contrast``.
    """
    places = np.where(reference, 0, 1)[known & (reference | ~alarms)]
    both = count(flags[known & (reference | ~alarms)], np.ones(len(places), dtype=np.bool_), places, 2, level)
    attack, other = (both.found + 0.5) / (both.known + 1)
    apart = bool(both.least[0] > both.most[1]) and float(attack - other) >= contrast
    return Rates(float(attack), float(other), apart)


@cache
def _limits(found: float, trials: float, level: float) -> tuple[float, float]:
    interval = wilson(found, trials, level)
    return interval.low, interval.high
