"""Conformal p-values in a few thousand numbers: never below the exact ones, exact where they are small.

:class:`utils.evaluation.conformal.ConformalPValues` keeps every distinct calibration score. Of these the ones among the
highest 5 % are kept, of the others as many as tell p-values apart that differ by a hundredth. A score between two that
are kept gets the p-value of the lower: p-values can only become larger, so what they promise holds.

The calibration are scores out of fold: models that have seen other training rows gave them. For such scores Vovk,
"Cross-conformal predictors", Annals of Mathematics and Artificial Intelligence 2015, finds p-values that are valid but
for a small error; the share of held-out normal rows below each level says how small.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import polars as pl

from utils.errors import DataError
from utils.evaluation.conformal import ConformalPValues
from utils.evaluation.inputs import LARGEST, Floats, Ints, Values

EXACT_BELOW = 0.05
"""p-values below this one are exact."""

MOST_EXACT = 2_500
"""Distinct scores that are kept among the highest; more are thinned from the lowest of them on."""

APART = 0.01
"""Ratio of neighbouring p-values, less 1, where they are not exact."""


@dataclass(frozen=True, eq=False)
class Steps:
    """p-values of scores as a falling step function.

    Attributes:
        scores: calibration scores that are kept, rising (k,).
        at_least: calibration rows that count as at least as high as a score above the one before, up to each (k,).
        rows: calibration rows.
    """

    scores: Floats
    at_least: Floats
    rows: float

    @classmethod
    def of(cls, exact: ConformalPValues) -> Self:
        """Keep what is needed of fitted p-values."""
        kept = _kept(exact.at_least_[:-1], exact.n_calibration_)
        above = exact.at_least_[kept[:-1] + 1]
        return cls(exact.scores_[kept], np.concatenate([exact.at_least_[:1], above]), exact.n_calibration_)

    def p_values(self, scores: Values) -> Floats:
        """Compare scores with those of normal training rows.

        Args:
            scores: HIGHER = MORE ABNORMAL (n,); may be empty.

        Returns:
            p-values above 0 and at most 1 (n,); LOW is abnormal.

        Raises:
            DataError: if a score is NaN or no number.
        """
        given = scores if isinstance(scores, np.ndarray | pl.Series) else np.asarray(scores)
        found = np.asarray(given, dtype=np.float64)
        if np.isnan(found).any():
            raise DataError(f"scores must be numbers, found NaN in {int(np.isnan(found).sum()):,}: score these rows")
        places = np.searchsorted(self.scores, np.clip(found, -LARGEST, LARGEST), side="left")
        return np.asarray(self._levels[places])

    @cached_property
    def _levels(self) -> Floats:
        return np.asarray((1 + np.append(self.at_least, 0.0)) / (1 + self.rows))

    def to_dict(self) -> dict[str, Any]:
        """Write the steps in types that JSON has; numbers that must stay exact are written as bytes."""
        whole = bool((self.at_least == np.rint(self.at_least)).all())
        falls = -np.diff(self.at_least, append=0.0)
        falling = falls.astype(np.int64).tolist() if whole else _written(self.at_least)
        return {"rows": self.rows, "scores": _written(self.scores), "at_least": falling}

    @classmethod
    def from_dict(cls, written: Mapping[str, Any]) -> Self:
        """Read steps that :meth:`to_dict` wrote.

        Raises:
            DataError: if they are no falling steps.
        """
        scores, falling = _read(written["scores"]), written["at_least"]
        at_least = np.cumsum(falling[::-1], dtype=np.float64)[::-1] if isinstance(falling, list) else _read(falling)
        steps = cls(scores, at_least, float(written["rows"]))
        falling = len(scores) == len(at_least) > 0 and (np.diff(scores) > 0).all() and (np.diff(at_least) < 0).all()
        if not (falling and at_least[0] <= steps.rows):
            raise DataError(f"p-values of a profile must fall, found {len(scores)} steps that do not: make it again")
        return steps


def _kept(at_least: Floats, rows: float) -> Ints:
    """Places of the scores that are kept, rising: all of the highest, the last always, of others a few."""
    p = (1 + at_least) / (1 + rows)
    exact = np.flatnonzero(p < EXACT_BELOW)[-MOST_EXACT:]
    first = int(exact[0]) if exact.size else len(p)
    level = np.floor(np.log(p[:first]) / np.log1p(APART))
    ends = np.flatnonzero(np.diff(level, append=-np.inf))
    return np.unique(np.concatenate([ends, exact, [len(p) - 1]])).astype(np.int64)


def _written(values: Floats) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f8").tobytes()).decode("ascii")


def _read(text: str) -> Floats:
    try:
        return np.frombuffer(base64.b64decode(text, validate=True), dtype="<f8").astype(np.float64)
    except (ValueError, TypeError) as error:
        raise DataError(f"p-values of a profile cannot be read ({error}): make it again") from None
