"""Whether counted rows are like those of training: an exact test of each column, one rate of false alarms for all.

For each column the rows in sets of cells (below and above each bound, between two, missing, of one name) are compared
with those of training. If new rows are drawn as training rows were, then of the rows of both kinds in a set as many are
new as in a draw without replacement: the hypergeometric law of Fisher's exact test. For bounds that were chosen on the
training rows themselves the same law holds (a precedence test). No distribution is assumed and none is approximated;
the tail is bounded by a geometric series, so p-values are never too small, however few rows there are.

Two corrections: the smallest of a column's p-values counts as many times as it has sets (Bonferroni), columns are
corrected by Holm. So one call finds drift where there is none with a probability of at most ``alpha``.

A drift must also be large enough to matter: by Cohen's h, the difference of the arcsines of two shares, of at least 0.2
("small effect"), such as from 0 to 1 %, from 5 to 10 % or from 50 to 60 %.

Sources:
    Fisher, "Statistical Methods for Research Workers", 1934; Nelson, "Tables for a precedence life test", Technometrics
    1963, and Balakrishnan and Ng, "Precedence-Type Tests and Applications", 2006 (bounds from one of the samples);
    Holm, Scandinavian Journal of Statistics 1979; Cohen, "Statistical Power Analysis for the Behavioral
    Sciences", 1988.
"""

from typing import NamedTuple

import numpy as np
import polars as pl

from utils.evaluation.drift.profile import Counts, Profile
from utils.evaluation.inputs import Bools, Floats, Ints, as_fraction

ALPHA = 0.001
SIZE = 0.2
COLUMNS: dict[str, type[pl.DataType]] = {
    "kind": pl.String,
    "column": pl.String,
    "where": pl.String,
    "expected": pl.Float64,
    "observed": pl.Float64,
    "size": pl.Float64,
    "distance": pl.Float64,
    "p_value": pl.Float64,
    "drifted": pl.Boolean,
}


class _Telling(NamedTuple):
    """The set of a column that tells most."""

    place: int
    expected: float
    observed: float
    size: float
    distance: float
    log_p: float


def drift(profile: Profile, counts: Counts, *, alpha: float = ALPHA, size: float = SIZE) -> pl.DataFrame:
    """Compare counted rows with those of training.

    Args:
        profile: what training looked like.
        counts: what was asked, as :meth:`Profile.count` counts it.
        alpha: probability of a false alarm of this call, all columns together.
        size: least size (Cohen's h) of a difference that matters.

    Returns:
        One row a column: ``kind`` (input, score or alarm), ``column``, ``where`` the difference is most telling in
        words (``"11 or more"``), the ``expected`` and the ``observed`` share of rows there, ``size`` (Cohen's h),
        ``distance`` (total variation: the share of rows that lie in other cells than expected; chance alone gives
        some), ``p_value`` (corrected for all columns) and whether it ``drifted``: significant and large enough.

    Raises:
        DataError: if ``alpha`` does not lie between 0 and 1.
    """
    level = as_fraction(alpha, "the rate of false alarms", "give a share such as 0.001")
    if not profile.columns or not counts.rows:
        return pl.DataFrame(schema=COLUMNS)
    found = _telling(profile, counts, size)
    p = _holm(np.array([one.log_p for one in found]))
    rows = [
        (
            kind,
            column.name,
            column.said(one.place),
            *one[1:-1],
            corrected,
            bool(corrected <= level and one.size >= size),
        )
        for kind, column, one, corrected in zip(profile.kinds, profile.columns, found, p.tolist(), strict=True)
    ]
    return pl.DataFrame(dict(zip(COLUMNS, zip(*rows, strict=True), strict=True)), schema=COLUMNS)


def excess(before: Ints, rows_before: int | Ints, now: Ints, rows_now: int | Ints) -> Floats:
    """Bound the probability that at least as many new rows lie in a set as do, if they are drawn as the others were.

    Args:
        before: training rows in each set (k,).
        rows_before: training rows, of all sets or of each (k,).
        now: new rows in each set (k,).
        rows_now: new rows, of all sets or of each (k,).

    Returns:
        Logarithms of upper bounds of p-values, 0 at most (k,).

    Source:
        The terms of the hypergeometric law fall at least as fast as a geometric series beyond its mode, as their ratio
        falls.
    """
    from scipy.special import gammaln

    both, everything = (before + now).astype(np.float64), np.asarray(rows_before + rows_now, dtype=np.float64)
    drawn, new = np.asarray(rows_now, dtype=np.float64), now.astype(np.float64)

    def choose(n: Floats, k: Floats) -> Floats:
        return np.asarray(gammaln(np.add(n, 1)) - gammaln(np.add(k, 1)) - gammaln(np.subtract(n, k) + 1))

    log_term = choose(drawn, new) + choose(everything - drawn, both - new) - choose(everything, both)
    ratio = (drawn - new) * (both - new) / ((new + 1) * (everything - drawn - both + new + 1))
    falling = ratio < 1
    bound = log_term - np.log1p(-np.where(falling, ratio, 0.0))
    return np.asarray(np.where(falling & (new > 0), np.minimum(bound, 0.0), 0.0))


def _telling(profile: Profile, counts: Counts, size: float) -> list[_Telling]:
    """Compare the columns, all sets of all of them at once."""
    columns = profile.columns
    parts = np.split(counts.cells, profile.bounds[1:-1])
    ends = np.cumsum([0, *(len(column.sets) for column in columns)])
    known, asked = (np.array([part.sum() for part in each]) for each in ([one.counts for one in columns], parts))
    before = np.concatenate([column.sets @ column.counts for column in columns])
    now = np.concatenate([column.sets @ part for column, part in zip(columns, parts, strict=True)])
    rows_before, rows_now = (np.repeat(rows, np.diff(ends)) for rows in (known, asked))
    log_p = excess(before, rows_before, now, rows_now)
    expected, observed = before / np.maximum(rows_before, 1), now / np.maximum(rows_now, 1)
    effect = 2 * np.abs(np.arcsin(np.sqrt(observed)) - np.arcsin(np.sqrt(expected)))
    found = []
    for place, (column, part) in enumerate(zip(columns, parts, strict=True)):
        start, end = ends[place : place + 2]
        best = _most_telling(log_p[start:end], effect[start:end] >= size)
        distance = np.abs(column.counts / max(known[place], 1) - part / max(asked[place], 1)).sum() / 2
        corrected = min(0.0, float(log_p[start + best]) + float(np.log(end - start)))
        there, seen, apart = (float(one[start + best]) for one in (expected, observed, effect))
        found.append(_Telling(best, there, seen, apart, float(distance), corrected))
    return found


def _most_telling(log_p: Floats, large: Bools) -> int:
    """The set with the smallest p-value, among those with a large difference where one of them has any weight."""
    among = np.where(large, log_p, 0.0)
    return int(among.argmin() if among.min() < 0 else log_p.argmin())


def _holm(log_p: Floats) -> Floats:
    """p-values corrected for their number."""
    order = np.argsort(log_p, kind="stable")
    steps = log_p[order] + np.log(np.arange(len(log_p), 0, -1))
    corrected = np.empty(len(log_p))
    corrected[order] = np.exp(np.minimum(np.maximum.accumulate(steps), 0.0))
    return corrected
