"""What Shapley values say together: how much each column matters, whether that is stable, and how one column works."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from scipy import stats

from utils.datasets import require
from utils.detectors.usual_values import number, quoted
from utils.errors import DataError
from utils.evaluation import intervals
from utils.evaluation.inputs import (
    Bools,
    Floats,
    Ints,
    Values,
    as_decisions,
    as_labels,
    as_weights,
    codes,
    finite_scores,
)
from utils.evaluation.intervals import LEVEL, RESAMPLES
from utils.explain.shapley import Shapley, shapley
from utils.settings import SEED

OTHERS = "other columns"
TRUE_ALARM, FALSE_ALARM, MISS = "true alarm", "false alarm", "miss"
IMPORTANCE = {"feature": pl.String, "importance": pl.Float64, "low": pl.Float64, "high": pl.Float64}


@dataclass(frozen=True, eq=False)
class Stability:
    """How much the importances of columns depend on the training rows that happened to be drawn.

    Attributes:
        correlations: rank correlation of the importances of each pair of refits (pairs,).
        importances: one row a column: ``feature``, ``importance`` (mean over the refits), ``low`` and ``high`` (least
            and most of them), ``least_rank`` and ``most_rank`` (1 is the most important).
        refits: number of refits.
    """

    correlations: Floats
    importances: pl.DataFrame
    refits: int

    @property
    def mean(self) -> float:
        """Mean rank correlation; 1 where the order never changes."""
        return float(self.correlations.mean())

    def describe(self) -> str:
        """Say in one sentence how stable the order of the columns is."""
        least = float(self.correlations.min())
        return (
            f"Over {self.refits} refits on training rows drawn with replacement the importances correlate by "
            f"{self.mean:.3f} in rank (least {least:.3f})."
        )


def importance(
    found: Shapley,
    weight: Values | None = None,
    *,
    groups: Values | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> pl.DataFrame:
    """Mean absolute Shapley value of each column, with a bootstrap interval over rows.

    Args:
        found: Shapley values (n rows).
        weight: how many rows each row stands for (n,).
        groups: rows of one group are drawn together (n,).
        level: nominal coverage.
        resamples: number of draws.
        seed: of the draws.

    Returns:
        One row a column, the most important first: ``feature``, ``importance``, ``low``, ``high``, in the unit of the
        values.

    Raises:
        DataError: if lengths differ or a weight is no number from 0 on.

    Source:
        Lundberg et al., Nature Machine Intelligence 2 (2020) (mean absolute value); Efron and Tibshirani, "An
        Introduction to the Bootstrap", 1993.
    """
    sizes = np.abs(found.values.to_numpy())
    mass = as_weights(weight, len(sizes))
    counts = np.ones(len(sizes)) if mass is None else mass.astype(np.float64)
    units = np.arange(len(sizes)) if groups is None else codes(groups, len(sizes))
    total = np.bincount(units, counts)
    sums = np.zeros((len(total), sizes.shape[1]))
    np.add.at(sums, units, sizes * counts[:, None])
    rng = np.random.default_rng(seed)
    times = rng.multinomial(len(total), np.full(len(total), 1 / len(total)), size=resamples).astype(np.float64)
    with np.errstate(invalid="ignore"):
        means = (times @ sums) / (times @ total)[:, None]
    whole = sums.sum(axis=0) / total.sum()
    limits = [intervals.percentile(means[:, place], float(whole[place]), level, "") for place in range(len(whole))]
    columns = (found.values.columns, whole, [one.low for one in limits], [one.high for one in limits])
    made = pl.DataFrame(dict(zip(IMPORTANCE, columns, strict=True)), schema=IMPORTANCE)
    return made.sort("importance", "feature", descending=[True, False])


def stability(
    fit: Callable[[Ints], Any],
    training_rows: int,
    explained: pl.DataFrame,
    background: pl.DataFrame | None = None,
    *,
    refits: int = 5,
    groups: Values | None = None,
    seed: int = SEED,
    **options: Any,  # noqa: ANN401 - options of shapley
) -> Stability:
    """Refit on resampled training rows and compare the importances.

    Args:
        fit: given row numbers of training rows (some twice), returns a fitted model for :func:`shapley`.
        training_rows: number of training rows.
        explained: rows that each refit explains, always the same.
        background: as in :func:`shapley`.
        refits: number of refits, at least two.
        groups: groups of the training rows, drawn together (training_rows,).
        seed: of the draws.
        **options: further arguments of :func:`shapley`.

    Raises:
        DataError: if there are fewer than two refits, or a refit cannot be explained.

    Source:
        Nogueira, Sechidis and Brown, "On the stability of feature selection algorithms", JMLR 2018 (resampling);
        Spearman 1904.
    """
    if refits < 2:
        raise DataError(f"stability is seen from two refits on, found {refits}: ask for more")
    rng = np.random.default_rng(seed)
    units = np.arange(training_rows) if groups is None else codes(groups, training_rows)
    order = np.argsort(units, kind="stable")
    starts = np.searchsorted(units[order], np.arange(int(units.max()) + 2))
    names: list[str] = []
    sizes = []
    for _ in range(refits):
        drawn = rng.integers(len(starts) - 1, size=len(starts) - 1)
        rows = np.concatenate([order[starts[unit] : starts[unit + 1]] for unit in drawn])
        found = shapley(fit(rows), explained, background, seed=seed, **options)
        names = names or found.values.columns
        means = dict(zip(found.values.columns, np.abs(found.values.to_numpy()).mean(axis=0).tolist(), strict=True))
        names += [name for name in means if name not in names]
        sizes.append(means)
    return _stability(np.array([[means.get(name, 0.0) for name in names] for means in sizes]), names)


def single(found: Shapley, row: int = 0, most: int = 10) -> pl.DataFrame:
    """What makes the output of one row, the largest value first: the steps of a waterfall.

    Args:
        found: Shapley values.
        row: number of the row.
        most: most columns; those beyond are one step, ``other columns``.

    Returns:
        ``feature``, ``value`` (of the column, in words), ``contribution``, ``start`` and ``end`` (output before and
        after the step; the first starts at the base, the last ends at the output).

    Raises:
        DataError: if there is no such row.
    """
    if not 0 <= row < len(found):
        raise DataError(f"a row in 0..{len(found) - 1} can be shown, found {row}: choose one of them")
    values = found.values.row(row)
    order = sorted(range(len(values)), key=lambda place: -abs(values[place]))
    kept, left = order[:most], order[most:]
    names = [found.values.columns[place] for place in kept] + [OTHERS] * bool(left)
    steps = [values[place] for place in kept] + [sum(values[place] for place in left)] * bool(left)
    words = [_words(found.rows[name][row]) for name in names[: len(kept)]] + [f"{len(left)} of them"] * bool(left)
    ends = found.base + np.cumsum(steps) if steps else np.empty(0)
    columns = {"feature": names, "value": words, "contribution": steps, "start": ends - np.asarray(steps), "end": ends}
    kinds = {"feature": pl.String, "value": pl.String}
    return pl.DataFrame(columns, schema={name: kinds.get(name, pl.Float64) for name in columns})


def dependence(found: Shapley, column: str) -> pl.DataFrame:
    """Values of one column beside their Shapley values.

    Args:
        found: Shapley values.
        column: name of the column.

    Returns:
        ``value`` (a number, or a text for names), ``shapley``, sorted by value.

    Raises:
        SchemaError: if there is no such column.
    """
    require.columns(found.values, [column], "the explanation")
    values = found.rows[column]
    if isinstance(values.dtype, pl.Duration):
        values = values.dt.total_microseconds() / 1e6
    plain = values.cast(pl.Float64) if values.dtype.is_numeric() else values.cast(pl.String)
    return pl.DataFrame({"value": plain, "shapley": found.values[column]}).sort("value", "shapley")


def examples(y: Values, decisions: Values, scores: Values) -> dict[str, int]:
    """Choose one row of each outcome worth looking at: the surest true alarm, false alarm and miss.

    Args:
        y: true for an anomaly (n,).
        decisions: true for an alarm (n,).
        scores: higher is more abnormal (n,).

    Returns:
        Row number by outcome: the ``"true alarm"`` and the ``"false alarm"`` with the highest score, the ``"miss"``
        with the lowest; outcomes that do not occur are left out.

    Raises:
        DataError: if lengths differ, or a score is NaN.
    """
    ranks = finite_scores(scores)
    labels, alarms = as_labels(y, len(ranks)), as_decisions(decisions, len(ranks))
    outcomes: Sequence[tuple[str, Bools, Floats]] = (
        (TRUE_ALARM, labels & alarms, ranks),
        (FALSE_ALARM, ~labels & alarms, ranks),
        (MISS, labels & ~alarms, -ranks),
    )
    return {name: int(np.flatnonzero(rows)[merit[rows].argmax()]) for name, rows, merit in outcomes if rows.any()}


def _stability(sizes: Floats, names: list[str]) -> Stability:
    """Compare importances (refits, columns)."""
    ranks = stats.rankdata(-sizes, axis=1, method="min")
    first, second = np.triu_indices(len(sizes), 1)
    together = np.array([_correlation(sizes[a], sizes[b]) for a, b in zip(first, second, strict=True)])
    table = pl.DataFrame(
        {
            "feature": names,
            "importance": sizes.mean(axis=0),
            "low": sizes.min(axis=0),
            "high": sizes.max(axis=0),
            "least_rank": ranks.min(axis=0).astype(np.int64),
            "most_rank": ranks.max(axis=0).astype(np.int64),
        }
    )
    return Stability(together, table.sort("importance", "feature", descending=[True, False]), len(sizes))


def _correlation(a: Floats, b: Floats) -> float:
    """Spearman's rank correlation; 1 where neither ranks anything."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float(np.ptp(a) == np.ptp(b))
    return float(stats.spearmanr(a, b).statistic)


def _words(value: object) -> str:
    if value is None:
        return "missing"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return quoted(str(value))
    return number(float(value))
