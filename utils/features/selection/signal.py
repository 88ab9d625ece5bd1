"""How much each feature says about the label when it stands alone.

Everything is counted, not fitted: a column becomes codes once, and a table of counts by code, fold and class holds all
that the measures need (:mod:`utils.features.target_encoding`). Missing values count as a value.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from utils.datasets import profile
from utils.datasets.dtypes import is_ordered
from utils.errors import SettingsError
from utils.evaluation.intervals import LEVEL, effective_size, normal_quantile
from utils.features.selection.table import Labelled, labelled
from utils.features.target_encoding import (
    ENOUGH_ROWS,
    Codes,
    Numbers,
    assign_folds,
    bins,
    by_score,
    codes,
    count,
    elsewhere,
    most_bins,
    smoothed_share,
    tally,
)
from utils.settings import SEED

FOLDS = 4
"""Folds of the published predictive power score."""

INFORMATION_BINS = 64
ROWS_A_BIN = 20
TOO_GOOD = 0.98
"""Area under the curve from which a feature alone must be explained before it is believed."""


def predictive_power(
    frame: pl.DataFrame,
    label: str,
    features: Sequence[str] | None = None,
    *,
    folds: int = FOLDS,
    seed: int = SEED,
    weight: str | None = None,
) -> pl.DataFrame:
    """Predictive power of one feature: how much of the naive error a decision tree on it alone avoids.

    The power is (F - N) / (1 - N), not below 0, where F is the F1 of both classes, weighted by their rows, of a full
    decision tree on the one feature in stratified cross-validation (mean over the folds), and N that of the better
    naive guess: always the more frequent class, or a random order of the labels. A full tree on one number
    predicts what the nearest training value says, so it is computed in closed form; texts that a fold did not see get
    the more frequent class.

    Args:
        frame: training rows only; those without a label are left out.
        label: Boolean column.
        features: columns to look at; ``None`` for all but the label.
        folds: parts of the cross-validation.
        seed: seed of the parts.
        weight: column with what each row counts.

    Returns:
        One row a feature: ``feature``, ``power`` in 0..1, ``f1`` (mean over folds), ``naive_f1``, ``low`` and ``high``
        (smallest and largest power of a fold); nulls if a class has fewer rows than folds.

    Raises:
        SettingsError: if there are fewer than two folds.
        SchemaError: if a column is missing or of the wrong type.
        DataError: if a weight is not usable.

    Source:
        Wetschoreck, Krabel, Krishnamurthy, "8080labs/ppscore", Zenodo 2020, doi 10.5281/zenodo.4091345.
    """
    rows = labelled(frame, label, features, weight)
    fold = _folds(rows, folds, seed)
    usable = rows.usable and np.bincount(rows.label, minlength=2).min() >= folds
    naive = _naive_f1(rows) if usable else None
    measured = [(name, *_power(rows.frame[name], rows, fold, folds, naive)) for name in rows.frame.columns]
    schema = {"feature": pl.String} | dict.fromkeys(("power", "f1", "naive_f1", "low", "high"), pl.Float64)
    return pl.DataFrame(measured, schema=schema, orient="row")


def single_feature_auc(
    frame: pl.DataFrame,
    label: str,
    features: Sequence[str] | None = None,
    *,
    folds: int = FOLDS + 1,
    seed: int = SEED,
    weight: str | None = None,
) -> pl.DataFrame:
    """Area under the ROC curve of one feature alone, for features of any type and any shape of dependence.

    ``auc`` scores each row by the smoothed anomaly share of its code (up to 256 bins, or its category) in the other
    folds, so direction and shape do not matter and rare values earn nothing (below 0.5, where noise ends up because
    the other folds have what this one lacks, it is 0.5). ``rank_auc`` takes the number itself as the score
    (:func:`utils.datasets.profile.rank_auc`: below 0.5 small values are anomalous; unweighted). Bins blur a sharp
    threshold, ranks see no shape, so ``best_auc`` is the stronger of both, in either direction of the ranks.

    Args:
        frame: training rows only; those without a label are left out.
        label: Boolean column.
        features: columns to look at; ``None`` for all but the label.
        folds: parts of the cross-validation.
        seed: seed of the parts.
        weight: column with what each row counts.

    Returns:
        One row a feature: ``feature``, ``auc`` with its 95 % interval ``low`` and ``high``, ``rank_auc`` (null for
        texts), ``best_auc`` (the ranks count from 10 rows of each class on), ``too_good`` (that is at least 0.98);
        nulls where a class is missing.

    Raises:
        SettingsError: if there are fewer than two folds.
        SchemaError: if a column is missing or of the wrong type.
        DataError: if a weight is not usable.

    Source:
        Hanley and McNeil, Radiology 143 (1982), and DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988), for the
        interval; Micci-Barreca, SIGKDD Explorations 3 (2001), for smoothed shares.
    """
    rows = labelled(frame, label, features, weight)
    fold = _folds(rows, folds, seed)
    nothing = (None, None, None)
    measured = [
        (name, *(_auc(rows.frame[name], rows, fold, folds) if rows.usable else nothing)) for name in rows.frame.columns
    ]
    table = pl.DataFrame(
        measured, schema={"feature": pl.String} | dict.fromkeys(("auc", "low", "high"), pl.Float64), orient="row"
    )
    ranked = table.join(_rank_auc(rows), on="feature", how="left", maintain_order="left")
    enough = np.bincount(rows.label, minlength=2).min() >= ENOUGH_ROWS
    by_rank = [pl.col("rank_auc"), 1 - pl.col("rank_auc")] if enough else []
    best = ranked.with_columns(best_auc=pl.max_horizontal("auc", *by_rank))
    return best.with_columns(too_good=pl.col("best_auc") >= TOO_GOOD)


def mutual_information(
    frame: pl.DataFrame, label: str, features: Sequence[str] | None = None, *, weight: str | None = None
) -> pl.DataFrame:
    """Information that one feature gives about the label, from counts in up to 64 bins of equal weight.

    The bias of counting is taken off (Miller-Madow), so a feature that says nothing scores about 0.

    Args:
        frame: training rows only; those without a label are left out.
        label: Boolean column.
        features: columns to look at; ``None`` for all but the label.
        weight: column with what each row counts.

    Returns:
        One row a feature: ``feature``, ``information`` in bits, ``entropy_share`` (of the label's entropy; Theil's
        uncertainty coefficient); nulls where a class is missing.

    Raises:
        SchemaError: if a column is missing or of the wrong type.
        DataError: if a weight is not usable.

    Source:
        Miller, "Note on the bias of information estimates" (1955); Theil, Econometrica 38 (1970).
    """
    rows = labelled(frame, label, features, weight)
    entropy = float(_entropy(tally(rows.label, rows.weight, 2))) if rows.usable else 0.0
    code = binned(rows) if entropy > 0 else {}
    found = [(name, _information(code[name], rows, rows.weight) if code else None) for name in rows.frame.columns]
    table = pl.DataFrame(found, schema={"feature": pl.String, "information": pl.Float64}, orient="row")
    return table.with_columns(entropy_share=pl.col("information") / (entropy or 1.0))


def binned(rows: Labelled) -> dict[str, Codes]:
    """Codes of all features in bins for :func:`information`, fewer where there are few rows."""
    most = int(np.clip(len(rows.label) // ROWS_A_BIN, 2, INFORMATION_BINS))
    return {name: bins(codes(rows.frame[name]), rows.weight, most) for name in rows.frame.columns}


def information(counts: Numbers, rows: Numbers | float) -> Numbers:
    """Mutual information in bits of tables of counts, less the bias of counting, not below 0.

    Args:
        counts: (..., codes, 2) weighted counts by code and class.
        rows: (...) number of rows behind them, or what so many weighted rows are worth.
    """
    joint = _entropy(counts.reshape(*counts.shape[:-2], -1))
    by_code, by_class = counts.sum(axis=-1), counts.sum(axis=-2)
    plain = _entropy(by_code) + _entropy(by_class) - joint
    extra = (counts > 0).sum(axis=(-2, -1)) - (by_code > 0).sum(axis=-1) - (by_class > 0).sum(axis=-1) + 1
    return np.asarray(np.maximum(plain - extra / (2 * np.log(2) * rows), 0.0))


def _folds(rows: Labelled, folds: int, seed: int) -> Codes:
    """Fold of each row.

    Raises:
        SettingsError: if there are fewer than two folds.
    """
    if folds < 2:
        raise SettingsError(f"folds must be 2 or more, found {folds}: choose such a number")
    return assign_folds(rows.label, folds, seed)


def _power(
    values: pl.Series, rows: Labelled, fold: Codes, folds: int, naive: float | None
) -> tuple[float | None, float | None, float | None, float | None, float | None]:
    if naive is None:
        return None, None, None, None, None
    code = codes(values)
    cells = count(code, fold, rows.label, rows.weight, folds)
    places = _positions(values, code) if is_ordered(values.dtype) else None
    said = _predicted(elsewhere(cells), places)
    f1 = _weighted_f1(cells, said)
    left = max(1 - naive, np.finfo(float).tiny)
    mean, low, high = (min(max(0.0, round((one - naive) / left, 12)), 1.0) for one in _spread(f1))
    return mean, float(f1.mean()), naive, low, high


def _spread(values: Numbers) -> tuple[float, float, float]:
    return float(values.mean()), float(values.min()), float(values.max())


def _positions(values: pl.Series, code: Codes) -> Numbers:
    """The number that each code stands for, in order of the codes; NaN for missing values."""
    numbers = values.to_physical() if values.dtype.is_temporal() else values
    plain = numbers.cast(pl.Float64).to_numpy()
    positions = np.full(int(code.max(initial=0)) + 1, np.nan)
    positions[code[code > 0]] = plain[code > 0]
    return positions


def _predicted(training: Numbers, places: Numbers | None) -> np.ndarray:
    """Whether each code is called anomalous in each fold: (codes, folds)."""
    seen = training.sum(axis=2) > 0
    said = training[..., 1] > training[..., 0]
    total = training.sum(axis=0)
    overall = total[:, 1] > total[:, 0]
    for fold in range(training.shape[1]):
        unseen = np.flatnonzero(~seen[:, fold])
        said[unseen, fold] = overall[fold]
        if places is not None:
            known = np.flatnonzero(seen[:, fold] & ~np.isnan(places))
            asked = unseen[~np.isnan(places[unseen])]
            if known.size and asked.size:
                said[asked, fold] = said[known[_nearest(places[known], places[asked])], fold]
    return said


def _nearest(known: Numbers, asked: Numbers) -> Codes:
    """Place of the nearest known value, the smaller of two equally near ones; both ascending."""
    right = np.searchsorted(known, asked).clip(1, max(len(known) - 1, 1))
    if len(known) == 1:
        return np.zeros(len(asked), dtype=np.int64)
    with np.errstate(invalid="ignore"):
        middle = known[right - 1] / 2 + known[right] / 2
    return np.asarray(np.where(asked <= middle, right - 1, right))


def _weighted_f1(cells: Numbers, said: np.ndarray) -> Numbers:
    """F1 of both classes weighted by their rows, in each fold."""
    flagged = said[..., None]
    positive = np.where(flagged, cells, 0.0).sum(axis=0)
    negative = np.where(flagged, 0.0, cells).sum(axis=0)
    support = positive + negative
    right = np.stack([negative[:, 0], positive[:, 1]], axis=1)
    called = np.stack([negative.sum(axis=1), positive.sum(axis=1)], axis=1)
    f1 = 2 * right / np.maximum(called + support, np.finfo(float).tiny)
    return np.asarray((f1 * support).sum(axis=1) / np.maximum(support.sum(axis=1), np.finfo(float).tiny))


def _naive_f1(rows: Labelled) -> float:
    """Expected weighted F1 of the better naive guess: the more frequent class, or the labels in a random order."""
    share = tally(rows.label, rows.weight, 2) / rows.weight.sum()
    common = float(share.max() * 2 * share.max() / (1 + share.max()))
    shuffled = float((share**2).sum())
    return max(common, shuffled)


def _auc(values: pl.Series, rows: Labelled, fold: Codes, folds: int) -> tuple[float, float, float]:
    code = codes(values)
    if is_ordered(values.dtype):
        code = bins(code, rows.weight, most_bins(len(code)))
    cells = count(code, fold, rows.label, rows.weight, folds)
    prior = float(rows.weight[rows.label == 1].sum() / rows.weight.sum())
    normal, anomalous = by_score(smoothed_share(elsewhere(cells), prior), cells)
    worth = tuple(effective_size(rows.weight[rows.label == one_class]) for one_class in (0, 1))
    return _area(normal, anomalous, worth)


def _area(normal: Numbers, anomalous: Numbers, worth: tuple[float, ...]) -> tuple[float, float, float]:
    """Area under the curve of counts at ascending scores, with the interval of DeLong et al. on the logit scale."""
    below = (np.cumsum(normal) - normal / 2) / normal.sum()
    above = (anomalous.sum() - np.cumsum(anomalous) + anomalous / 2) / anomalous.sum()
    area = float((anomalous * below).sum() / anomalous.sum())
    spread = (anomalous * (below - area) ** 2).sum() / anomalous.sum() / max(worth[1] - 1, 1)
    spread += (normal * (above - area) ** 2).sum() / normal.sum() / max(worth[0] - 1, 1)
    inside = min(max(area, 1e-9), 1 - 1e-9)
    reach = normal_quantile(LEVEL) * float(np.sqrt(spread)) / (inside * (1 - inside))
    middle = np.log(inside / (1 - inside))
    low, high = (float(1 / (1 + np.exp(-np.clip(middle + sign * reach, -700, 700)))) for sign in (-1, 1))
    return max(area, 0.5), min(low, area), max(high, area, 0.5)


def _rank_auc(rows: Labelled) -> pl.DataFrame:
    """Rank AUC of the numbers and truth values."""
    names = [name for name in rows.frame.columns if is_ordered(rows.frame.schema[name])]
    free = "label"
    while free in names:
        free += "_"
    numbers = pl.col(names).to_physical().cast(pl.Float64).fill_nan(None)
    table = pl.DataFrame({free: rows.label == 1}).hstack(rows.frame.select(numbers) if names else [])
    return profile.rank_auc(table, free, names).rename({"column": "feature"})


def _information(code: Codes, rows: Labelled, weight: Numbers) -> float:
    size = int(code.max(initial=0)) + 1
    counts = tally(code * 2 + rows.label, weight, 2 * size).reshape(size, 2)
    return float(information(counts, effective_size(weight)))


def _entropy(counts: Numbers) -> Numbers:
    """Entropy in bits of counts along the last axis."""
    total = counts.sum(axis=-1, keepdims=True)
    share = counts / np.where(total > 0, total, 1.0)
    return np.asarray(-(share * np.log2(np.where(share > 0, share, 1.0))).sum(axis=-1))
