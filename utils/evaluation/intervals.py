"""How sure a number is: intervals of shares, resampling of units, repeated splits.

Nothing here knows a metric. :func:`resample` says how often each unit is drawn; whoever computes a metric multiplies
what the units hold with it, so rows are never copied.

Sources:
    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927; Brown, Cai and DasGupta,
    "Interval estimation for a binomial proportion", Statistical Science 2001 (Wilson and Jeffreys intervals); Efron and
    Tibshirani, "An Introduction to the Bootstrap", 1993 (percentile interval); Nadeau and Bengio, "Inference for the
    generalization error", Machine Learning 2003 (repeated splits overlap).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from utils.errors import DataError
from utils.evaluation.inputs import Floats, Ints, as_fraction, as_test_share

LEVEL = 0.95
RESAMPLES = 1_000
NO_SPREAD = "all equal, so they show no spread"
CHUNK = 1 << 18
"""Numbers that are drawn at once: two megabytes, so that they stay in the processor's cache."""

CHEAP_UNITS = 20
"""Drawing units one by one costs less than one binomial draw a kind of unit up to so many units a kind."""


@dataclass(frozen=True)
class Interval:
    """Two limits and the way they were found; NaN where there are none."""

    low: float
    high: float
    how: str


@dataclass(frozen=True)
class Repeats:
    """What several splits gave.

    Attributes:
        mean: mean over the splits.
        sd: sample standard deviation; NaN for one split.
        least: smallest value.
        most: largest value.
        splits: number of splits with a value.
        interval: corrected t-interval of the mean.
    """

    mean: float
    sd: float
    least: float
    most: float
    splits: int
    interval: Interval


def wilson(successes: float, trials: float, level: float = LEVEL) -> Interval:
    """Wilson's score interval of a share.

    Args:
        successes: how many of the trials, not necessarily whole.
        trials: how many there were; for unequal weights the effective number (:func:`effective_size`).
        level: nominal coverage.

    Returns:
        Limits within 0..1; NaN without trials.

    Raises:
        DataError: if the level does not lie between 0 and 1.
    """
    how = f"Wilson {percent(level)}"
    if trials <= 0:
        return Interval(np.nan, np.nan, how)
    z = normal_quantile(level)
    share, spread = successes / trials, z**2 / trials
    centre = (share + spread / 2) / (1 + spread)
    half = z * np.sqrt(share * (1 - share) / trials + spread / (4 * trials)) / (1 + spread)
    low = 0.0 if successes <= 0 else max(0.0, centre - half)
    high = 1.0 if successes >= trials else min(1.0, centre + half)
    return Interval(float(low), float(high), how)


def effective_size(weight: Floats) -> float:
    """Number of equal units that say as much as these unequal ones: (sum w)^2 / sum w^2 (Kish, 1965)."""
    squares = float(np.square(weight).sum())
    return float(weight.sum()) ** 2 / squares if squares else 0.0


def percentile(values: Floats, value: float, level: float, how: str) -> Interval:
    """Interval between the outer percentiles of drawn values, the value itself always inside.

    Args:
        values: a metric in each draw (draws,); NaN where the draw had none.
        value: the metric in the data.
        level: nominal coverage.
        how: name of the method; what made it less than it seems is added.
    """
    known = values[~np.isnan(values)]
    if not known.size or np.isnan(value):
        return Interval(np.nan, np.nan, how)
    notes = [how]
    if known.size < values.size:
        notes.append(f"{values.size - known.size:,} without a value")
    if known.min() == known.max():
        notes.append(NO_SPREAD)
    low, high = np.quantile(known, tails(level))
    return Interval(min(float(low), value), max(float(high), value), ", ".join(notes))


def resample(counts: Ints, resamples: int, seed: int, strata: Ints | None = None) -> Iterator[Ints]:
    """Draw as many units as there are, with replacement, again and again.

    Args:
        counts: how many equal units of each kind there are (kinds,).
        resamples: number of draws.
        seed: seed; the same one gives the same draws.
        strata: stratum of each kind; each stratum keeps its number of units. ``None`` for one stratum.

    Yields:
        How often units of each kind were drawn, a few resamples at a time (resamples of this chunk, kinds).

    Raises:
        DataError: if there are no units or no resamples.
    """
    if resamples < 1 or not counts.sum():
        raise DataError(f"a bootstrap needs units and resamples, found {counts.sum():,} and {resamples:,}: give some")
    rng = np.random.default_rng(seed)
    members = [np.arange(counts.size)] if strata is None else [np.flatnonzero(strata == s) for s in np.unique(strata)]
    for rows in chunks(resamples, counts.size):
        drawn = np.empty((rows, counts.size), dtype=np.int64)
        for kinds in members:
            drawn[:, kinds] = _multinomial(rng, counts[kinds], len(drawn))
        yield drawn


def chunks(draws: int, size: int) -> Iterator[int]:
    """Divide draws into lots of which each, times ``size``, fits the processor's cache."""
    step = max(1, CHUNK // max(size, 1))
    return (min(step, draws - start) for start in range(0, draws, step))


def corrected_error(values: Floats, test_share: float) -> float:
    """Standard error of the mean over repeated splits, which share most of their training rows.

    The variance is taken times 1/J + test/train instead of 1/J (J splits): the resampled t-test of Nadeau and Bengio
    (2003), section 5.

    Args:
        values: one value a split (J,), at least two.
        test_share: share of the rows that each test part had.

    Raises:
        DataError: if the share does not lie between 0 and 1.
    """
    ratio = as_test_share(test_share) / (1 - test_share)
    return float(np.sqrt((1 / values.size + ratio) * values.var(ddof=1)))


def repeats(
    values: Sequence[float] | Floats,
    test_share: float,
    *,
    level: float = LEVEL,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> Repeats:
    """Summarise one number over repeated splits.

    Args:
        values: one value a split; NaN where a split had none.
        test_share: share of the rows that each test part had.
        level: nominal coverage.
        bounds: smallest and largest possible value; the interval is cut there.

    Returns:
        Mean, spread, extremes and the corrected t-interval, which needs at least two splits.

    Raises:
        DataError: if the level or the share does not lie between 0 and 1.
    """
    from scipy.special import stdtrit

    given = np.asarray(values, dtype=np.float64)
    known = given[~np.isnan(given)]
    if not known.size:
        return Repeats(np.nan, np.nan, np.nan, np.nan, 0, Interval(np.nan, np.nan, f"{given.size} splits, no value"))
    mean = float(known.mean())
    if known.size == 1:
        return Repeats(mean, np.nan, mean, mean, 1, Interval(np.nan, np.nan, "1 split, no interval"))
    half = corrected_error(known, test_share) * float(stdtrit(known.size - 1, tails(level)[1]))
    limits = max(mean - half, bounds[0]), min(mean + half, bounds[1])
    sd, least, most = float(known.std(ddof=1)), float(known.min()), float(known.max())
    how = f"{known.size} repeated splits, mean and corrected t {percent(level)}"
    spread = f"sd {sd:.4f}, min {least:.4f}, max {most:.4f}"
    missing = f", {given.size - known.size} without a value" if known.size < given.size else ""
    alike = "" if most > least else f", {NO_SPREAD}"
    interval = Interval(float(limits[0]), float(limits[1]), f"{how}; {spread}{missing}{alike}")
    return Repeats(mean, sd, least, most, known.size, interval)


def tails(level: float) -> tuple[float, float]:
    """Probabilities below the lower and the upper limit.

    Raises:
        DataError: if the level does not lie between 0 and 1.
    """
    as_fraction(level, "an interval's level", "write 95 % as 0.95")
    return (1 - level) / 2, (1 + level) / 2


def normal_quantile(level: float) -> float:
    """Half width of a two-sided interval in standard errors: 1.96 for 95 %."""
    return NormalDist().inv_cdf(tails(level)[1])


def percent(share: float) -> str:
    """Write a share as in ``95 %``."""
    return f"{100 * share:.6g} %"


def _multinomial(rng: np.random.Generator, counts: Ints, draws: int) -> Ints:
    """Draw sum(counts) units with replacement, the cheaper of two ways."""
    units = int(counts.sum())
    if not units:
        return np.zeros((draws, counts.size), dtype=np.int64)
    if units > CHEAP_UNITS * counts.size:
        return rng.multinomial(units, counts / units, size=draws)
    kind = None if units == counts.size and counts.all() else np.repeat(np.arange(counts.size), counts)
    picks = (rng.integers(0, units, units) for _ in range(draws))
    return np.stack([np.bincount(p if kind is None else kind[p], minlength=counts.size) for p in picks])
