"""What metrics are made of: the four confusion cells, and the counts above each threshold; formulas and resamples.

A metric is a formula over arrays whose last axis holds the cells (true alarms, false alarms, misses, true silences) or
the thresholds, so the same lines compute one value or a thousand resamples of it. A resample never copies rows: it
multiplies how often each kind of unit was drawn with what a unit of the kind adds to the cells.

One rule for all formulas: where the denominator is empty the metric is not defined and is NaN, never 0 or 1.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from utils.errors import DataError
from utils.evaluation import inputs
from utils.evaluation.inputs import Bools, Floats, Ints, Values
from utils.evaluation.intervals import chunks, resample

CELLS = 4
ANOMALOUS_CELLS = np.array([True, False, True, False])
LARGEST_KEY = 1 << 62
PRIOR = 0.25
"""Units of each class that the Bayesian bootstrap puts above, and below, all scores."""

LOWER_IS_BETTER = frozenset({"false_alarm_rate", "brier"})
"""Metrics of which less is better."""


class Ranking(NamedTuple):
    """Weight of the anomalies and of the normals at or above each distinct score, highest score first.

    Attributes:
        tp: anomalies (..., thresholds).
        fp: normals (..., thresholds).
    """

    tp: Floats
    fp: Floats


class Order(NamedTuple):
    """Kinds of units by falling score.

    Attributes:
        kind: the kind that stands at each place (places,); ``None`` where place and kind are the same.
        tp: what one unit adds to the anomalies (places,).
        fp: what one unit adds to the normals (places,).
        ends: last place of each distinct score (thresholds,); ``None`` where every place ends one.
    """

    kind: Ints | None
    tp: Floats
    fp: Floats
    ends: Ints | None


class Units(NamedTuple):
    """What a resample draws from.

    Attributes:
        counts: how many units of each kind there are (kinds,).
        anomalous: whether a unit of the kind holds an anomaly (kinds,).
    """

    counts: Ints
    anomalous: Bools


@dataclass(frozen=True)
class Sample:
    """Verdicts and how each row counts; see :mod:`utils.evaluation.inputs` for the two kinds of weight.

    Attributes:
        y: true for an anomaly (rows,).
        counts: how many units each row stands for, or ``None``.
        importance: how much each row counts, or ``None``.
        groups: number of the row's group; groups are drawn as a whole. ``None`` where rows are independent.
    """

    y: Bools
    counts: Ints | None = None
    importance: Floats | None = None
    groups: Ints | None = None

    @property
    def weight(self) -> Ints | Floats | None:
        """Counts or importances, whichever were given."""
        return self.counts if self.counts is not None else self.importance

    @property
    def independent(self) -> bool:
        """Whether the cells alone say how sure a metric is: equal units, no groups."""
        return self.importance is None and self.groups is None

    def keep(self, rows: Bools) -> "Sample":
        """Take some of the rows."""
        return Sample(
            self.y[rows],
            None if self.counts is None else self.counts[rows],
            None if self.importance is None else self.importance[rows],
            None if self.groups is None else np.unique(self.groups[rows], return_inverse=True)[1].astype(np.int64),
        )


def sample(y: Values, weight: Values | None = None, groups: Values | None = None) -> Sample:
    """Check verdicts, weights and groups.

    Raises:
        DataError: if they do not fit together or hold what they must not.
    """
    labels = inputs.as_labels(y)
    weights = inputs.as_weights(weight, labels.size)
    named = None if groups is None else inputs.codes(groups, labels.size)
    if weights is not None and weights.dtype.kind == "i":
        return Sample(labels, weights.astype(np.int64), None, named)
    return Sample(labels, None, None if weights is None else weights.astype(np.float64), named)


def cell_of(y: Bools, alarms: Bools) -> Ints:
    """Number the confusion cell of each row: 0 true alarm, 1 false alarm, 2 miss, 3 true silence."""
    return (2 * ~alarms + ~y).astype(np.int64)


def cells(code: Ints, weight: Ints | Floats | None, size: int = CELLS) -> Floats:
    """Add up the weight in each cell (size,)."""
    return np.bincount(code, weight, minlength=size).astype(np.float64)


def draw_cells(
    code: Ints, rows: Sample, resamples: int, seed: int, *, stratified: bool = False, anomalous: Bools = ANOMALOUS_CELLS
) -> Floats:
    """Resample units and add up the weight in each cell.

    Args:
        code: cell of each row (rows,).
        rows: how they count and which belong together.
        resamples: number of draws.
        seed: seed of the draws.
        stratified: keep the number of units with and without an anomaly.
        anomalous: which cells hold anomalies (cells,).

    Returns:
        Weight in each cell (resamples, cells).
    """
    holds, units = _cell_units(code, rows, anomalous)
    return np.concatenate([drawn @ holds for drawn in draw(units, resamples, seed, stratified)])


def draw(units: Units, resamples: int, seed: int, stratified: bool) -> Iterator[Floats]:
    """Draw units with replacement, a few resamples at a time (resamples of the chunk, kinds)."""
    strata = units.anomalous.astype(np.int64) if stratified else None
    return (drawn.astype(np.float64) for drawn in resample(units.counts, resamples, seed, strata))


def ranking(rows: Sample, scores: Floats) -> tuple[Ranking, Floats]:
    """Cumulate weight from the highest score down.

    Returns:
        Weight at or above each distinct score, and the distinct scores, highest first (thresholds,).
    """
    distinct, place = np.unique(-scores, return_inverse=True)
    tp, fp = (
        np.cumsum(np.bincount(place, _only(rows.weight, of), minlength=distinct.size)) for of in (rows.y, ~rows.y)
    )
    return Ranking(tp.astype(np.float64), fp.astype(np.float64)), -distinct


def ranking_units(rows: Sample, *scores: Floats) -> tuple[Units, tuple[Order, ...]]:
    """Find the kinds of units behind one or several score columns of the same rows.

    Rows of equal verdict, scores and weight are one kind. For one column of scores, normals between two successive
    anomalies are one kind as well: their order changes neither AP nor ROC-AUC nor the recall at a false-alarm rate.
    """
    places = [np.unique(-column, return_inverse=True)[1].astype(np.int64) for column in scores]
    if rows.groups is not None:
        weight = np.ones(rows.y.size) if rows.weight is None else rows.weight.astype(np.float64)
        orders = tuple(_order(place, rows.y, weight, rows.groups) for place in places)
        size = int(rows.groups.max(initial=-1)) + 1
        holders = np.bincount(rows.groups, rows.y, minlength=size) > 0
        return Units(np.ones(size, dtype=np.int64), holders), orders
    if len(places) == 1:
        places = [_merged(places[0], rows.y)]
    first, kind = _kinds(rows, places)
    counts = np.bincount(kind, rows.counts, minlength=first.size).astype(np.int64)
    unit = np.ones(first.size) if rows.importance is None else rows.importance[first]
    orders = tuple(_order(place[first], rows.y[first], unit, np.arange(first.size)) for place in places)
    return Units(counts, rows.y[first]), orders


def cumulate(drawn: Floats, order: Order) -> Ranking:
    """Cumulate drawn units along an order: (resamples, kinds) to (resamples, thresholds)."""
    taken = drawn if order.kind is None else drawn[:, order.kind]
    tp, fp = (np.cumsum(taken * part, axis=1) for part in (order.tp, order.fp))
    return Ranking(tp, fp) if order.ends is None else Ranking(tp[:, order.ends], fp[:, order.ends])


def draw_rankings(units: Units, order: Order, draws: int, seed: int) -> Iterator[Ranking]:
    """Draw rankings of independent units by the Bayesian bootstrap, a few at a time.

    Each unit gets a random weight in place of a whole number of copies, and a quarter of a unit of each class stands
    above and below all scores (:data:`PRIOR`), so that a perfect ranking of few anomalies is not taken for a sure one.

    Source:
        Rubin, "The Bayesian bootstrap", Annals of Statistics 1981; Muliere and Secchi, "Bayesian nonparametric
        predictive inference and bootstrap techniques", 1996 (with prior observations).
    """
    rng = np.random.default_rng(seed)
    for rows in chunks(draws, units.counts.size):
        ranks = cumulate(rng.standard_gamma(units.counts, size=(rows, units.counts.size)), order)
        above, below = rng.standard_gamma(PRIOR, size=(2, 2, rows, 1))
        tp, fp = (
            np.concatenate([first, first + part, first + part[:, -1:] + last], axis=1)
            for first, part, last in zip(above, ranks, below, strict=True)
        )
        yield Ranking(tp, fp)


def is_ranking(metric: str) -> bool:
    """Tell whether a metric is computed from scores; the others are computed from decisions.

    Raises:
        DataError: if there is no such metric.
    """
    name, _ = _parse(metric)
    return name in RANKING or name in RANKING_AT


def decision_formula(metric: str) -> Callable[[Floats], Floats]:
    """Look up the formula of a metric of decisions, from cells (..., 4) to values (...).

    Raises:
        DataError: if there is no such metric or it needs scores.
    """
    name, at = _parse(metric)
    if name in DECISION:
        return DECISION[name]
    if name in DECISION_AT:
        return lambda cell: DECISION_AT[name](cell, at)
    raise DataError(f"metric {metric!r} is computed from scores, not decisions: give scores")


def ranking_formula(metric: str) -> Callable[[Ranking], Floats]:
    """Look up the formula of a metric of scores, from (..., thresholds) to values (...).

    Raises:
        DataError: if there is no such metric or it needs decisions.
    """
    name, at = _parse(metric)
    if name in RANKING:
        return RANKING[name]
    if name in RANKING_AT:
        return lambda ranks: RANKING_AT[name](ranks, at)
    raise DataError(f"metric {metric!r} is computed from decisions, not scores: apply a threshold")


def ratio(part: Floats, whole: Floats | float) -> Floats:
    """Divide; where the whole is empty the ratio is not defined and is NaN."""
    quotient = np.full(np.broadcast(part, whole).shape, np.nan)
    return np.asarray(np.divide(part, whole, out=quotient, where=whole > 0))


def _f1(cell: Floats) -> Floats:
    return ratio(2 * cell[..., 0], 2 * cell[..., 0] + cell[..., 1] + cell[..., 2])


def _precision(cell: Floats) -> Floats:
    return ratio(cell[..., 0], cell[..., 0] + cell[..., 1])


def _recall(cell: Floats) -> Floats:
    return ratio(cell[..., 0], cell[..., 0] + cell[..., 2])


def _false_alarm_rate(cell: Floats) -> Floats:
    return ratio(cell[..., 1], cell[..., 1] + cell[..., 3])


def _accuracy(cell: Floats) -> Floats:
    return ratio(cell[..., 0] + cell[..., 3], cell.sum(axis=-1))


def _balanced_accuracy(cell: Floats) -> Floats:
    return (_recall(cell) + 1 - _false_alarm_rate(cell)) / 2


def _mcc(cell: Floats) -> Floats:
    tp, fp, fn, tn = np.moveaxis(cell, -1, 0)
    scale = np.sqrt(tp + fp) * np.sqrt(tp + fn) * np.sqrt(tn + fp) * np.sqrt(tn + fn)
    return np.clip(ratio(tp * tn - fp * fn, scale), -1, 1)


def _at_share(cell: Floats, share: float) -> Floats:
    """Cells as they would be with that share of anomalies, rates unchanged."""
    recall, far = _recall(cell), _false_alarm_rate(cell)
    parts = (share * recall, (1 - share) * far, share * (1 - recall), (1 - share) * (1 - far))
    return np.stack(parts, axis=-1)


def _average_precision(ranks: Ranking) -> Floats:
    gain = np.diff(ranks.tp, axis=-1, prepend=0)
    total = ranks.tp + ranks.fp
    precision = np.divide(ranks.tp, total, out=np.zeros_like(total), where=total > 0)
    return ratio(np.einsum("...i,...i->...", gain, precision), _last(ranks.tp))


def _roc_auc(ranks: Ranking) -> Floats:
    width = np.diff(ranks.fp, axis=-1, prepend=0)
    before = ranks.tp - np.diff(ranks.tp, axis=-1, prepend=0) / 2
    return ratio(np.einsum("...i,...i->...", width, before), _last(ranks.tp) * _last(ranks.fp))


def _recall_at_false_alarm_rate(ranks: Ranking, rate: float) -> Floats:
    normals = _last(ranks.fp)
    allowed = ranks.fp <= (rate * normals * (1 + 1e-12))[..., None]
    best = np.max(np.where(allowed, ranks.tp, 0), axis=-1, initial=0)
    return np.where(normals > 0, ratio(best, _last(ranks.tp)), np.nan)


def _average_precision_at_share(ranks: Ranking, share: float) -> Floats:
    tp = share * ratio(ranks.tp, _last(ranks.tp)[..., None])
    fp = (1 - share) * ratio(ranks.fp, _last(ranks.fp)[..., None])
    known = ~np.isnan(tp + fp).any(axis=-1)
    return np.where(known, _average_precision(Ranking(np.nan_to_num(tp), np.nan_to_num(fp))), np.nan)


DECISION: Mapping[str, Callable[[Floats], Floats]] = {
    "f1": _f1,
    "precision": _precision,
    "recall": _recall,
    "false_alarm_rate": _false_alarm_rate,
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "mcc": _mcc,
}
DECISION_AT: Mapping[str, Callable[[Floats, float], Floats]] = {
    "f1_at_share": lambda cell, share: _f1(_at_share(cell, share)),
    "precision_at_share": lambda cell, share: _precision(_at_share(cell, share)),
}
RANKING: Mapping[str, Callable[[Ranking], Floats]] = {
    "average_precision": _average_precision,
    "roc_auc": _roc_auc,
}
RANKING_AT: Mapping[str, Callable[[Ranking, float], Floats]] = {
    "recall_at_far": _recall_at_false_alarm_rate,
    "average_precision_at_share": _average_precision_at_share,
}
AT = re.compile(r"(\w+_at_(?:share|far))_(\d*\.?\d+(?:e-?\d+)?)")


def _parse(metric: str) -> tuple[str, float]:
    """Split a name as in ``recall_at_far_0.01`` into the metric and its number."""
    if metric in DECISION or metric in RANKING:
        return metric, np.nan
    found = AT.fullmatch(metric)
    names = [*DECISION, *RANKING, *(f"{name}_0.01" for name in (*DECISION_AT, *RANKING_AT))]
    if not found or (found[1] not in DECISION_AT and found[1] not in RANKING_AT):
        raise DataError(f"a metric must be one of {', '.join(names)}, found {metric!r}: choose one of them")
    number = float(found[2])
    if not 0 <= number <= 1 or ("share" in found[1] and not 0 < number < 1):
        raise DataError(f"the number in metric {metric!r} must be a share between 0 and 1: correct it")
    return found[1], number


def _last(cumulated: Floats) -> Floats:
    return np.asarray(cumulated[..., -1]) if cumulated.shape[-1] else np.zeros(cumulated.shape[:-1])


def _only(weight: Ints | Floats | None, rows: Bools) -> Floats:
    return rows.astype(np.float64) if weight is None else weight.astype(np.float64) * rows


def _cell_units(code: Ints, rows: Sample, anomalous: Bools) -> tuple[Floats, Units]:
    """Find the kinds of units and what one of each adds to the cells (kinds, cells)."""
    size = anomalous.size
    if rows.groups is not None:
        groups = int(rows.groups.max(initial=-1)) + 1
        sums = cells(rows.groups * size + code, rows.weight, groups * size).reshape(groups, size)
        holds, counts = np.unique(sums, axis=0, return_counts=True)
        return holds, Units(counts.astype(np.int64), (holds @ anomalous) > 0)
    if rows.importance is None:
        return np.eye(size), Units(cells(code, rows.counts, size).astype(np.int64), anomalous)
    each, number = np.unique(rows.importance, return_inverse=True)
    kinds, counts = np.unique(number * size + code, return_counts=True)
    holds = np.zeros((kinds.size, size))
    holds[np.arange(kinds.size), kinds % size] = each[kinds // size]
    return holds, Units(counts.astype(np.int64), anomalous[kinds % size])


def _merged(place: Ints, y: Bools) -> Ints:
    """Renumber the places of scores so that neighbouring places without an anomaly are one."""
    pure = np.bincount(place, y) == 0
    starts = np.ones(pure.size, dtype=np.bool_)
    starts[1:] = ~(pure[1:] & pure[:-1])
    renumbered = np.cumsum(starts) - 1
    return renumbered[place].astype(np.int64)


def _kinds(rows: Sample, places: list[Ints]) -> tuple[Ints, Ints]:
    """Number the rows that are alike in places, verdict and importance: a row of each kind, the kind of each row.

    Kinds are numbered by falling score of the first column.
    """
    columns = [*places, rows.y.astype(np.int64)]
    if rows.importance is not None:
        columns.append(np.unique(rows.importance, return_inverse=True)[1].astype(np.int64))
    key, size = np.zeros(rows.y.size, dtype=np.int64), 1
    for column in columns:
        values = int(column.max(initial=0)) + 1
        if size * values > LARGEST_KEY:
            key = np.unique(key, return_inverse=True)[1].astype(np.int64)
            size = int(key.max(initial=0)) + 1
        key, size = key * values + column, size * values
    _, first, kind = np.unique(key, return_index=True, return_inverse=True)
    return first.astype(np.int64), kind.astype(np.int64)


def _order(place: Ints, y: Bools, weight: Floats, kind: Ints) -> Order:
    order = np.argsort(place, kind="stable")
    ranked = place[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if ranked.size else ranked
    same = np.array_equal(kind[order], np.arange(order.size))
    anomalies, sorted_weight = y[order], weight[order]
    return Order(
        None if same else kind[order],
        sorted_weight * anomalies,
        sorted_weight * ~anomalies,
        None if ends.size == ranked.size else ends,
    )
