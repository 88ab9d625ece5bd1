"""Is one model better than another, or was it luck? Paired comparisons, each with a plain verdict.

| what both models share | comparison |
|---|---|
| the same test rows, decisions | :func:`mcnemar` (accuracy), :func:`paired_bootstrap` (any metric) |
| the same test rows, scores | :func:`paired_bootstrap` |
| the same repeated splits | :func:`corrected_t_test` |
| the same data sets | :func:`wilcoxon`, :func:`sign_test` |

Differences are A minus B. A verdict names a better model only where the test and the interval both say so; a lower
false-alarm rate or Brier score is the better one.
"""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from scipy import stats

from utils import settings
from utils.errors import DataError
from utils.evaluation import counting, inputs, intervals
from utils.evaluation.counting import LOWER_IS_BETTER, Sample
from utils.evaluation.inputs import Bools, Floats, Values
from utils.evaluation.intervals import LEVEL, RESAMPLES, Interval

NAMES = ("A", "B")
MOST_DIGITS = 6
GAPS = {
    "compared_with": pl.String,
    **dict.fromkeys(("gap", "gap_low", "gap_high", "gap_p_value"), pl.Float64),
    "compared_by": pl.String,
}
"""Columns of a scoreboard that say how far its rows are from the one that they are compared with."""


@dataclass(frozen=True)
class Comparison:
    """What a paired comparison found.

    Attributes:
        metric: what was compared.
        difference: A minus B; NaN where the metric is not defined.
        low: lower limit of the difference; NaN where there is no interval.
        high: upper limit.
        p_value: chance of a difference so large between equal models, two-sided.
        method: how interval and p-value were found.
        verdict: the result in one sentence.
    """

    metric: str
    difference: float
    low: float
    high: float
    p_value: float
    method: str
    verdict: str

    def __str__(self) -> str:
        """The verdict."""
        return self.verdict


def mcnemar(
    y: Values,
    a: Values,
    b: Values,
    *,
    weight: Values | None = None,
    names: tuple[str, str] = NAMES,
    level: float = LEVEL,
) -> Comparison:
    """Compare the accuracy of two sets of decisions on the same rows: exact test, score-adjusted interval.

    Only rows on which one is right and the other wrong count; if the models are equal, each is right on half of them.

    Args:
        y: verdicts (rows,).
        a: decisions of the first model (rows,).
        b: decisions of the second model (rows,).
        weight: counts of equal units (rows,); whole numbers only.
        names: names of the models.
        level: nominal coverage.

    Raises:
        DataError: if the inputs do not fit together, there is no row, or weights are no counts.

    Source:
        McNemar 1947 (exact form: binomial test); Bonett and Price, "Adjusted Wald confidence interval for a difference
        of binomial proportions based on paired data", 2012.
    """
    rows = counting.sample(y, weight)
    if rows.importance is not None:
        raise DataError("McNemar's test counts units, found weights that are no whole numbers: use paired_bootstrap")
    right_a, right_b = (inputs.as_decisions(d, rows.y.size) == rows.y for d in (a, b))
    size, only_a, only_b = (
        int(counting.cells(mask.astype(np.int64), rows.counts, 2)[1])
        for mask in (np.ones_like(rows.y), right_a & ~right_b, right_b & ~right_a)
    )
    if not size:
        raise DataError("a comparison needs rows, found none: give those of the test part")
    difference = (only_a - only_b) / size
    p_value = float(stats.binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0
    found = _bonett_price(only_a, only_b, size, level)
    note = f"they differ in accuracy on {only_a + only_b:,} of {size:,} units"
    return _comparison("accuracy", difference, found, p_value, "exact McNemar test", names, level, note)


def paired_bootstrap(
    metric: str,
    y: Values,
    a: Values,
    b: Values,
    *,
    weight: Values | None = None,
    groups: Values | None = None,
    stratified: bool = False,
    names: tuple[str, str] = NAMES,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = settings.SEED,
) -> Comparison:
    """Compare any metric of two models on the same rows: both are computed on each resample.

    Args:
        metric: name of a metric, as in ``f1``, ``roc_auc``, ``recall_at_far_0.01``.
        y: verdicts (rows,).
        a: decisions of the first model, or scores for a metric of rankings (rows,).
        b: the same of the second model (rows,).
        weight: counts or importances (rows,).
        groups: rows of one group are drawn together (rows,).
        stratified: keep the number of anomalies and normals.
        names: names of the models.
        level: nominal coverage.
        resamples: number of draws.
        seed: seed of the draws.

    Returns:
        Percentile interval of the difference. The p-value is twice the smaller share of draws on one side of 0 (both
        sides count 0 itself), and never below what so few differing units could show: with d of them, 2^(1 - d).

    Raises:
        DataError: if there is no such metric or the inputs do not fit together.

    Source:
        Efron and Tibshirani, "An Introduction to the Bootstrap", 1993; Berg-Kirkpatrick et al., "An empirical
        investigation of statistical significance in NLP", 2012 (paired form).
    """
    rows = counting.sample(y, weight, groups)
    draw = _ranking_differences if counting.is_ranking(metric) else _decision_differences
    difference, drawn, differing = draw(metric, rows, a, b, resamples, seed, stratified)
    of = " of groups" if groups is not None else ""
    kept = ", stratified" if stratified else ""
    how = f"paired bootstrap {intervals.percent(level)}, {resamples:,} resamples{of}{kept}"
    found = intervals.percentile(drawn, difference, level, how)
    p_value = max(_two_sided(drawn), 2.0 ** (1 - min(differing, 1_000))) if drawn.size else np.nan
    note = f"{differing:,} {'groups' if of else 'units'} tell them apart"
    return _comparison(metric, difference, found, min(p_value, 1.0), found.how, names, level, note)


def corrected_t_test(
    a: Sequence[float] | Floats,
    b: Sequence[float] | Floats,
    test_share: float,
    *,
    metric: str = "f1",
    names: tuple[str, str] = NAMES,
    level: float = LEVEL,
) -> Comparison:
    """Compare two models over the same repeated splits, whose training parts overlap.

    Args:
        a: the metric of the first model, one value a split (splits,).
        b: that of the second model on the same splits (splits,).
        test_share: share of the rows that each test part had.
        metric: what was measured.
        names: names of the models.
        level: nominal coverage.

    Raises:
        DataError: if there are not two splits with values of both, or the share does not lie between 0 and 1.

    Source:
        Nadeau and Bengio, "Inference for the generalization error", Machine Learning 2003: corrected resampled t-test.
    """
    gaps = _differences(a, b, "splits", 2)
    mean, error = float(gaps.mean()), intervals.corrected_error(gaps, test_share)
    how = f"corrected resampled t-test, {gaps.size} splits"
    if np.ptp(gaps) <= 1e-12:
        p_value = 1.0 if abs(mean) <= 1e-12 else np.nan
        none = Interval(mean, mean, how) if p_value == 1.0 else Interval(np.nan, np.nan, how)
        return _comparison(metric, mean, none, p_value, how, names, level, "all splits gave the same difference")
    half = error * stats.t.ppf(intervals.tails(level)[1], gaps.size - 1)
    p_value = float(2 * stats.t.sf(abs(mean) / error, gaps.size - 1))
    found = Interval(float(mean - half), float(mean + half), how)
    return _comparison(metric, mean, found, p_value, how, names, level, f"{gaps.size} splits")


def wilcoxon(
    a: Sequence[float] | Floats,
    b: Sequence[float] | Floats,
    *,
    metric: str = "f1",
    names: tuple[str, str] = NAMES,
    level: float = LEVEL,
) -> Comparison:
    """Compare two models over several data sets by signed ranks; exact also with ties.

    Data sets on which both are equal say nothing to the test. The difference is the median of the pairwise means
    (Hodges and Lehmann, 1963), its interval the one that belongs to the test.

    Args:
        a: the metric of the first model, one value a data set (data sets,).
        b: that of the second model on the same data sets (data sets,).
        metric: what was measured.
        names: names of the models.
        level: nominal coverage.

    Raises:
        DataError: if there is no data set with values of both.

    Source:
        Wilcoxon 1945; Demsar, "Statistical comparisons of classifiers over multiple data sets", JMLR 2006.
    """
    gaps = _differences(a, b, "data sets", 1)
    told = gaps[gaps != 0]
    ranks = np.rint(2 * stats.rankdata(np.abs(told))).astype(np.int64)
    chance = np.cumsum(_sum_distribution(ranks))
    above, below = int(ranks[told > 0].sum()), int(ranks[told < 0].sum())
    p_value = min(1.0, 2 * float(chance[min(above, below)]))
    first, second = np.triu_indices(gaps.size)
    walsh = np.sort((gaps[first] + gaps[second]) / 2)
    untied = np.cumsum(_sum_distribution(np.arange(1, gaps.size + 1)))
    how = f"Wilcoxon signed-rank test, {gaps.size} data sets"
    found = _order_interval(walsh, untied, level, how)
    note = _least_p(told.size)
    return _comparison(metric, float(np.median(walsh)), found, p_value, how, names, level, note)


def sign_test(
    a: Sequence[float] | Floats,
    b: Sequence[float] | Floats,
    *,
    metric: str = "f1",
    names: tuple[str, str] = NAMES,
    level: float = LEVEL,
) -> Comparison:
    """Compare two models over several data sets by wins and losses, whatever the size of the difference.

    Args:
        a: the metric of the first model, one value a data set (data sets,).
        b: that of the second model on the same data sets (data sets,).
        metric: what was measured.
        names: names of the models.
        level: nominal coverage.

    Returns:
        The median difference with its distribution-free interval.

    Raises:
        DataError: if there is no data set with values of both.

    Source:
        Demsar, "Statistical comparisons of classifiers over multiple data sets", JMLR 2006.
    """
    gaps = _differences(a, b, "data sets", 1)
    wins, losses = int((gaps > 0).sum()), int((gaps < 0).sum())
    p_value = float(stats.binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0
    how = f"sign test, {wins} won, {losses} lost, {gaps.size - wins - losses} equal"
    chance = stats.binom.cdf(np.arange(gaps.size + 1), gaps.size, 0.5)
    found = _order_interval(np.sort(gaps), chance, level, how)
    note = _least_p(wins + losses)
    return _comparison(metric, float(np.median(gaps)), found, p_value, how, names, level, note)


def table(comparisons: Sequence[Comparison]) -> pl.DataFrame:
    """Tabulate comparisons for a notebook.

    Returns:
        ``metric``, ``verdict``, ``difference``, ``low``, ``high``, ``p_value``, ``method``.
    """
    number, text = pl.Float64, pl.String
    schema = {"metric": text, "verdict": text, "difference": number, "low": number, "high": number, "p_value": number}
    lines = [(c.metric, c.verdict, c.difference, c.low, c.high, c.p_value, c.method) for c in comparisons]
    return pl.DataFrame(lines, schema=schema | {"method": text}, orient="row")


def runner_up(values: Sequence[float | None], places: Iterable[int] | None = None) -> list[tuple[int, int]]:
    """Find the second highest value and the highest, for :func:`with_gaps`.

    Args:
        values: what models reached; the first of equal ones is ahead.
        places: which of them compete; all of them if not given.

    Returns:
        The places of both, as the only pair; none where fewer than two have a value.
    """
    reached = [(place, values[place]) for place in (range(len(values)) if places is None else places)]
    known = [(place, value) for place, value in reached if value is not None]
    ranked = [place for place, _ in sorted(known, key=lambda one: one[1], reverse=True)]
    return [(ranked[1], ranked[0])] if len(ranked) > 1 else []


def with_gaps(
    board: pl.DataFrame, names: str, compare: Callable[[int, int], Comparison], places: Iterable[tuple[int, int]]
) -> pl.DataFrame:
    """Add to a scoreboard how its rows compare with better ones.

    Args:
        board: one row a model.
        names: column with the names of the models.
        compare: takes the places of two rows, gives the comparison of the first with the second.
        places: which rows are compared with which; a comparison that is not possible leaves its cells empty.

    Returns:
        ``board`` with ``compared_with`` (name of the other model), ``gap`` (this minus the other) with ``gap_low`` and
        ``gap_high``, ``gap_p_value``, ``compared_by``; null where nothing was compared.
    """
    rows: list[dict[str, Any]] = [dict.fromkeys(GAPS) for _ in range(board.height)]
    for place, other in places:
        with contextlib.suppress(DataError):
            found = compare(place, other)
            limits = (found.difference, found.low, found.high, found.p_value)
            rows[place] = dict(zip(GAPS, (str(board[names][other]), *limits, found.method), strict=True))
    return board.hstack(pl.DataFrame(rows, schema=GAPS).fill_nan(None))


def _decision_differences(
    metric: str, rows: Sample, a: Values, b: Values, resamples: int, seed: int, stratified: bool
) -> tuple[float, Floats, int]:
    """Difference of a metric of decisions, its draws, and how many units tell the models apart."""
    formula = counting.decision_formula(metric)
    cell_a, cell_b = (counting.cell_of(rows.y, inputs.as_decisions(d, rows.y.size)) for d in (a, b))
    code, size = cell_a * counting.CELLS + cell_b, counting.CELLS**2
    anomalous = np.repeat(counting.ANOMALOUS_CELLS, counting.CELLS)
    whole = _difference_of_cells(formula, counting.cells(code, rows.weight, size))
    differing = _units_that_differ(rows, cell_a != cell_b)
    if np.isnan(whole):
        return float("nan"), np.empty(0), differing
    drawn = counting.draw_cells(code, rows, resamples, seed, stratified=stratified, anomalous=anomalous)
    return float(whole), _difference_of_cells(formula, drawn), differing


def _difference_of_cells(formula: Callable[[Floats], Floats], pairs: Floats) -> Floats:
    square = pairs.reshape(*pairs.shape[:-1], counting.CELLS, counting.CELLS)
    return np.asarray(formula(square.sum(axis=-1)) - formula(square.sum(axis=-2)))


def _ranking_differences(
    metric: str, rows: Sample, a: Values, b: Values, resamples: int, seed: int, stratified: bool
) -> tuple[float, Floats, int]:
    """Difference of a metric of rankings, its draws, and how many units tell the models apart."""
    formula = counting.ranking_formula(metric)
    scores = [inputs.as_scores(column, rows.y.size) for column in (a, b)]
    ranks = [stats.rankdata(column) for column in scores]
    differing = _units_that_differ(rows, ranks[0] != ranks[1])
    units, orders = counting.ranking_units(rows, *scores)

    def difference(drawn: Floats) -> Floats:
        first, second = (formula(counting.cumulate(drawn, order)) for order in orders)
        return np.asarray(first - second)

    whole = float(difference(units.counts[None, :].astype(np.float64))[0])
    if np.isnan(whole):
        return whole, np.empty(0), differing
    chunks = counting.draw(units, resamples, seed, stratified)
    return whole, np.concatenate([difference(drawn) for drawn in chunks]), differing


def _units_that_differ(rows: Sample, differs: Bools) -> int:
    if rows.groups is not None:
        return int(np.unique(rows.groups[differs]).size)
    return int(counting.cells(differs.astype(np.int64), rows.counts, 2)[1])


def _two_sided(drawn: Floats) -> float:
    """Twice the smaller share of draws on one side of 0, the data counted as one more draw."""
    known = drawn[~np.isnan(drawn)]
    tail = min(int((known <= 0).sum()), int((known >= 0).sum()))
    return 2 * (tail + 1) / (known.size + 1)


def _bonett_price(only_a: int, only_b: int, size: int, level: float) -> Interval:
    """Adjusted Wald interval of a difference of paired shares, cut at -1 and 1."""
    first, second = (only_a + 1) / (size + 2), (only_b + 1) / (size + 2)
    half = intervals.normal_quantile(level) * np.sqrt((first + second - (first - second) ** 2) / (size + 2))
    low, high = max(-1.0, first - second - half), min(1.0, first - second + half)
    return Interval(float(low), float(high), "Bonett and Price")


def _differences(a: Sequence[float] | Floats, b: Sequence[float] | Floats, what: str, least: int) -> Floats:
    """A minus B, where both have a value.

    Raises:
        DataError: if the two are not of one length or too few.
    """
    first, second = (np.asarray(values, dtype=np.float64) for values in (a, b))
    if first.shape != second.shape or first.ndim != 1:
        raise DataError(
            f"both models need a value on the same {what}, found {first.shape} and {second.shape}: pair them"
        )
    gaps = first - second
    known = gaps[~np.isnan(gaps)]
    if known.size < least:
        raise DataError(f"a comparison over {what} needs at least {least}, found {known.size} with values: add some")
    return known


def _sum_distribution(ranks: Floats | inputs.Ints) -> Floats:
    """Chance of each sum of ranks when each rank counts or not by the toss of a coin (sums 0, 1, ...)."""
    chance = np.ones(1)
    for rank in ranks.tolist():
        shifted = np.zeros(chance.size + rank)
        shifted[: chance.size] += chance / 2
        shifted[rank:] += chance / 2
        chance = shifted
    return chance


def _least_p(told: int) -> str:
    """Say how many data sets tell the models apart, and what p-value so few can give at the least."""
    return f"{told} data sets tell them apart, so p cannot fall below {_shown(min(1.0, 2.0 ** (1 - told)))}"


def _order_interval(ordered: Floats, chance: Floats, level: float, how: str) -> Interval:
    """Interval between order statistics: as many are cut off at each end as chance (cumulated) allows."""
    cut = int((chance <= intervals.tails(level)[0] + 1e-12).sum())
    if not cut:
        return Interval(np.nan, np.nan, how)
    return Interval(float(ordered[cut - 1]), float(ordered[ordered.size - cut]), how)


def _comparison(
    metric: str,
    difference: float,
    found: Interval,
    p_value: float,
    method: str,
    names: tuple[str, str],
    level: float,
    note: str,
) -> Comparison:
    verdict = _verdict(metric, difference, found, p_value, names, level, note)
    return Comparison(metric, difference, found.low, found.high, p_value, method, verdict)


def _verdict(
    metric: str, difference: float, found: Interval, p_value: float, names: tuple[str, str], level: float, note: str
) -> str:
    if np.isnan(difference):
        return f"no verdict: {metric} is not defined for both {names[0]} and {names[1]}"
    limits = sorted((found.low, found.high), key=abs)
    digits = _digits(found)
    if np.isnan(found.low) or np.isnan(p_value):
        return f"no difference shown: {note}"
    if found.low <= 0 <= found.high:
        held = f"interval [{found.low:.{digits}f}, {found.high:.{digits}f}] of {metric} holds 0"
        return f"no difference shown: {held}; {note}"
    if p_value >= 1 - level:
        return f"no difference shown: p = {_shown(p_value)} for {metric}; {note}"
    better = names[(difference > 0) == (metric in LOWER_IS_BETTER)]
    size, near, far = (f"{abs(number):.{digits}f}" for number in (difference, *limits))
    return f"{better} is better by {size} [{near}, {far}] {metric}"


def _digits(found: Interval) -> int:
    """Decimals that show two digits of the interval's width, at least three."""
    width = found.high - found.low
    return int(np.clip(np.ceil(-np.log10(width)) + 1, 3, MOST_DIGITS)) if width > 0 else 3


def _shown(p_value: float) -> str:
    return f"{p_value:.2g}"
