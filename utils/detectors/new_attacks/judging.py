"""What alarms are worth: real alarm rates, recall of each family, F1 as it is and as it would be in the wild."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import polars as pl

from utils.datasets.contract import Roles
from utils.detectors.judging import label_of
from utils.detectors.new_attacks.rows import NATURAL, groups_of, kinds_of
from utils.evaluation import metrics
from utils.evaluation.inputs import Bools, Floats, Ints
from utils.evaluation.intervals import effective_size, wilson

ALARMS = {
    "detector": pl.String,
    **dict.fromkeys(("nominal", "real", "low", "high", "recall", "precision"), pl.Float64),
    **dict.fromkeys(("f1", "f1_low", "f1_high", "f1_sd", "roc_auc"), pl.Float64),
    **dict.fromkeys(("natural_precision", "natural_f1"), pl.Float64),
    **dict.fromkeys(("anomalies", "normals", "seeds"), pl.Int64),
}
FAMILIES = {
    "detector": pl.String,
    "nominal": pl.Float64,
    "family": pl.String,
    **dict.fromkeys(("recall", "low", "high"), pl.Float64),
    **dict.fromkeys(("n", "groups"), pl.Int64),
    "known": pl.Boolean,
    "real": pl.Float64,
}
CLOSE = 1e-9


@dataclass(frozen=True, eq=False)
class NewAttacks:
    """What detectors did under one protocol.

    Attributes:
        protocol: what was learned from and judged by, in words.
        alarms: one row a detector and ``nominal`` alarm rate: ``real`` rate among normal rows with interval ``low`` and
            ``high``; ``recall``, ``precision``, ``f1`` with interval; ``f1_sd`` over seeds; ``roc_auc``; precision and
            F1 with the weights of the wild (``natural_``, null without such weights); ``anomalies``, ``normals``,
            ``seeds``. Means over seeds.
        families: one row a detector, nominal rate and kind of anomaly: ``recall`` with interval, ``n`` rows in
            ``groups``, whether the kind was ``known`` in training, ``real`` alarm rate of the very models.
        left_out: detectors that could not be fitted, with the reason.
    """

    protocol: str
    alarms: pl.DataFrame
    families: pl.DataFrame
    left_out: Mapping[str, str] = field(default_factory=dict)

    def at(self, nominal: float) -> pl.DataFrame:
        """The rows of ``families`` at one of the nominal rates."""
        return self.families.filter(_near(nominal))

    def side_by_side(self, nominal: float) -> pl.DataFrame:
        """Recall of each kind of anomaly, one column a detector.

        Args:
            nominal: one of the nominal rates.

        Returns:
            ``family``, ``n``, ``groups``, ``known`` and the detectors; families in alphabetical order.
        """
        keys = ["family", "n", "groups", "known"]
        return self.at(nominal).pivot("detector", index=keys, values="recall", maintain_order=True).sort("family")

    def results(self, nominal: float, detector: str) -> dict[str, float]:
        """Numbers of one detector for the record of a run: those of ``alarms``, and the worst recall of a family."""
        found: dict[str, float] = {}
        for row in self.alarms.filter(_near(nominal), detector=detector).iter_rows(named=True):
            found = {name: float(value) for name, value in row.items() if isinstance(value, float | int)}
        recalls = self.at(nominal).filter(detector=detector)["recall"]
        return found | ({"worst_family_recall": float(np.min(recalls.to_numpy()))} if len(recalls) else {})


@dataclass(frozen=True, eq=False)
class Judged:
    """Test rows and what is known about them."""

    y: Bools
    kinds: pl.Series
    groups: Ints
    natural: pl.Series | None
    known: set[str]

    @classmethod
    def of(cls, test: pl.DataFrame, roles: Roles, known: set[str]) -> "Judged":
        """Take test rows; ``known`` are the kinds of anomaly that training had."""
        y = test[label_of(roles)].to_numpy().astype(bool)
        natural = test[NATURAL] if NATURAL in test.columns and not test[NATURAL].null_count() else None
        return cls(y, kinds_of(test, roles), groups_of(test, roles), natural, known)

    def alarms(self, p_values: Sequence[pl.DataFrame], rates: Sequence[float], resamples: int) -> pl.DataFrame:
        """One row a detector and rate."""
        lines = [
            {"detector": name, "nominal": rate, **self._line([p[name].to_numpy() for p in p_values], rate, resamples)}
            for name in p_values[0].columns
            for rate in rates
        ]
        return pl.DataFrame(lines, schema=ALARMS).fill_nan(None)

    def families(self, p_values: Sequence[pl.DataFrame], rates: Sequence[float]) -> pl.DataFrame:
        """One row a detector, rate and kind of anomaly."""
        lines = []
        for name in p_values[0].columns:
            for rate in rates:
                alarms = np.mean([p[name].to_numpy() <= rate for p in p_values], axis=0)
                real = mean_of(alarms[~self.y])
                for kind, rows in self._rows_of_kinds.items():
                    share, low, high = share_of(alarms[rows], self.groups[rows])
                    groups = np.unique(self.groups[rows]).size
                    lines.append((name, rate, kind, share, low, high, rows.size, groups, kind in self.known, real))
        return pl.DataFrame(lines, schema=FAMILIES, orient="row").fill_nan(None)

    @cached_property
    def _rows_of_kinds(self) -> dict[str, Ints]:
        kinds = self.kinds.filter(pl.Series(self.y)).unique().sort()
        return {kind: np.flatnonzero(self.y & (self.kinds == kind).to_numpy()) for kind in kinds}

    def _line(self, p_values: Sequence[Floats], rate: float, resamples: int) -> dict[str, float]:
        decided = [p <= rate for p in p_values]
        real, low, high = share_of(np.mean(decided, axis=0)[~self.y], self.groups[~self.y])
        f1 = [metrics.f1(self.y, flagged) for flagged in decided]
        limits = [self._f1_limits(flagged, resamples) for flagged in decided]
        line = {
            **{"real": real, "low": low, "high": high},
            "recall": mean_of([metrics.recall(self.y, flagged) for flagged in decided]),
            "precision": mean_of([metrics.precision(self.y, flagged) for flagged in decided]),
            "f1": mean_of(f1),
            "f1_low": min(limit[0] for limit in limits),
            "f1_high": max(limit[1] for limit in limits),
            "f1_sd": float(np.std(f1, ddof=1)) if len(f1) > 1 else np.nan,
            "roc_auc": mean_of([metrics.roc_auc(self.y, -p) for p in p_values]),
            **{"anomalies": int(self.y.sum()), "normals": int((~self.y).sum()), "seeds": len(decided)},
        }
        if self.natural is not None:
            line["natural_precision"] = mean_of([metrics.precision(self.y, each, self.natural) for each in decided])
            line["natural_f1"] = mean_of([metrics.f1(self.y, each, self.natural) for each in decided])
        return line

    def _f1_limits(self, flagged: Bools, resamples: int) -> tuple[float, float]:
        if not resamples:
            return np.nan, np.nan
        found = metrics.bootstrap("f1", self.y, flagged, groups=self.groups, resamples=resamples)
        return found.low, found.high


def _near(nominal: float) -> pl.Expr:
    return (pl.col("nominal") - nominal).abs() < CLOSE


def share_of(alarms: Floats, groups: Ints) -> tuple[float, float, float]:
    """Mean of alarms and its Wilson interval, in which rows of one group are one piece of evidence."""
    if not alarms.size:
        return np.nan, np.nan, np.nan
    size = effective_size(np.unique(groups, return_counts=True)[1].astype(np.float64))
    share = float(alarms.mean())
    interval = wilson(share * size, size)
    return share, interval.low, interval.high


def mean_of(values: Sequence[float] | Floats) -> float:
    """Mean of some values, NaN of none."""
    return float(np.mean(values)) if len(values) else np.nan
