"""All measures together: which features stay, which go, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from utils.errors import SettingsError
from utils.features.selection.redundancy import LIMIT, Method, correlated_groups
from utils.features.selection.screening import gaps
from utils.features.selection.signal import mutual_information, predictive_power, single_feature_auc
from utils.features.selection.table import feature_names
from utils.settings import SEED

KEEP, CONSTANT, MISSING, TOO_GOOD_VERDICT, CORRELATED, WEAK = (
    "keep",
    "constant",
    "mostly missing",
    "too good to be true",
    "correlated",
    "no signal",
)
VERDICTS = (KEEP, TOO_GOOD_VERDICT, CORRELATED, WEAK, MISSING, CONSTANT)
MOST_MISSING = 0.95
LEAST_POWER = 0.01


@dataclass(frozen=True)
class Selection:
    """Which features stay.

    Attributes:
        kept: names of those that stay, in the order given.
        dropped: names of the others with the reason.
        too_good: names of those that alone tell the classes apart too well; explain them before a model sees them.
        table: one row a feature: all measures, ``verdict``, ``kept`` and ``why``.
    """

    kept: tuple[str, ...]
    dropped: dict[str, str]
    too_good: tuple[str, ...]
    table: pl.DataFrame


def select(
    frame: pl.DataFrame,
    label: str | None,
    features: Sequence[str] | None = None,
    *,
    correlation_limit: float = LIMIT,
    method: Method = "pearson",
    stands: Literal["strongest", "widest"] = "strongest",
    most_missing: float = MOST_MISSING,
    least_power: float = LEAST_POWER,
    drop_too_good: bool = False,
    weight: str | None = None,
    seed: int = SEED,
) -> Selection:
    """Choose features, with the reason for each that goes.

    In this order a feature goes because it is constant, mostly missing, too good to be true (only if asked to),
    correlated with one that stays, or says nothing alone: power below ``least_power`` and an AUC that may be 0.5.
    Without labels, or with one class only, the first two and the correlations decide.

    Args:
        frame: training rows only: whatever is chosen with other rows in view is chosen with the answer in view.
        label: Boolean column; ``None`` where nobody labelled the rows.
        features: columns to choose from; ``None`` for all but label and weight.
        correlation_limit: absolute correlation from which two features say the same.
        method: ``"pearson"`` or ``"spearman"``.
        stands: which of a group of correlated features stays: the ``"strongest"`` (highest AUC alone; without labels
            the one with most distinct values) or the ``"widest"`` (highest variance, as published for call graphs).
        most_missing: share of missing values from which a feature goes.
        least_power: predictive power below which a feature may say nothing.
        drop_too_good: drop features that alone reach an AUC of 0.98 instead of only naming them.
        weight: column with what each row counts.
        seed: seed of the cross-validation.

    Raises:
        SettingsError: if an argument has no meaning.
        SchemaError: if a column is missing or of the wrong type.
        DataError: if a weight is not usable.
    """
    if stands not in ("strongest", "widest"):
        raise SettingsError(f"stands must be strongest or widest, found {stands!r}: choose one of them")
    names = [name for name in feature_names(frame, features, label) if name != weight]
    table = _measured(frame, label, names, weight, seed)
    empty = pl.col("missing_share") >= most_missing
    good = pl.col("too_good").fill_null(False)
    table = table.with_columns(
        verdict=pl.when("constant")
        .then(pl.lit(CONSTANT))
        .when(empty)
        .then(pl.lit(MISSING))
        .when(good)
        .then(pl.lit(TOO_GOOD_VERDICT))
    )
    out = (CONSTANT, MISSING, *[TOO_GOOD_VERDICT] * drop_too_good)
    standing = table.filter(~pl.col("verdict").is_in(out).fill_null(False))
    strength = _strength(standing) if stands == "strongest" else None
    groups = correlated_groups(
        frame, standing["feature"].to_list(), method=method, limit=correlation_limit, strength=strength, weight=weight
    )
    return _decided(_judged(table, groups, least_power), drop_too_good=drop_too_good)


def _measured(
    frame: pl.DataFrame, label: str | None, names: Sequence[str], weight: str | None, seed: int
) -> pl.DataFrame:
    """All measures of all features, nulls where there is no label."""
    table = gaps(frame, names)
    if label is None:
        columns = ("auc", "auc_low", "auc_high", "rank_auc", "best_auc", "power", "information", "entropy_share")
        nothing = [pl.lit(None, pl.Float64).alias(name) for name in columns]
        return table.with_columns(*nothing, too_good=pl.lit(None, pl.Boolean))
    area = single_feature_auc(frame, label, names, weight=weight, seed=seed)
    power = predictive_power(frame, label, names, weight=weight, seed=seed).select("feature", "power")
    told = mutual_information(frame, label, names, weight=weight)
    for measured in (area.rename({"low": "auc_low", "high": "auc_high"}), power, told):
        table = table.join(measured, on="feature", how="left", maintain_order="left")
    return table


def _strength(table: pl.DataFrame) -> dict[str, float]:
    worth = table.select("feature", pl.coalesce("auc", pl.col("distinct").cast(pl.Float64)))
    return dict(worth.iter_rows())


def _judged(table: pl.DataFrame, groups: pl.DataFrame, least_power: float) -> pl.DataFrame:
    joined = table.join(groups.rename({"kept": "stands"}), on="feature", how="left", maintain_order="left")
    beside = ~pl.col("stands").fill_null(True)
    weak = (pl.col("power") < least_power) & (pl.col("auc_low") <= 0.5)
    verdict = (
        pl.when(pl.col("verdict").is_in([CONSTANT, MISSING]))
        .then("verdict")
        .when(beside)
        .then(pl.lit(CORRELATED))
        .when(pl.col("verdict").is_not_null())
        .then("verdict")
        .when(weak.fill_null(False))
        .then(pl.lit(WEAK))
        .otherwise(pl.lit(KEEP))
    )
    return joined.with_columns(verdict=verdict).drop("stands")


def _decided(table: pl.DataFrame, *, drop_too_good: bool) -> Selection:
    """Put the reasons into words."""
    staying = (KEEP,) if drop_too_good else (KEEP, TOO_GOOD_VERDICT)
    why = [_reason(row) for row in table.iter_rows(named=True)]
    full = table.with_columns(kept=pl.col("verdict").is_in(staying), why=pl.Series(why, dtype=pl.String))
    dropped = full.filter(~pl.col("kept"))
    return Selection(
        kept=tuple(full.filter("kept")["feature"]),
        dropped=dict(dropped.select("feature", "why").iter_rows()),
        too_good=tuple(full.filter(pl.col("too_good").fill_null(False))["feature"]),
        table=full,
    )


def _reason(row: dict[str, object]) -> str:
    reasons = {
        KEEP: "",
        CONSTANT: "has one value or none",
        MISSING: "lacks {missing_share:.1%} of its values",
        TOO_GOOD_VERDICT: "tells the classes apart alone: AUC {auc:.3f}; explain it before a model sees it",
        CORRELATED: "says what {representative} says: correlation {correlation:.3f}",
        WEAK: "says nothing alone: predictive power {power:.3f}, AUC {auc:.3f}",
    }
    return reasons[str(row["verdict"])].format(**row)
