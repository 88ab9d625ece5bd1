"""What training looked like, in counts: enough to tell later whether a model is asked the same, and no row.

A profile is written beside each registered model. It holds how many training rows lie in each cell of each column, in
each cell of the scores out of fold, and above the threshold; and the steps of the p-values.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import polars as pl

from utils.errors import DataError, SchemaError
from utils.evaluation.conformal import ConformalPValues
from utils.evaluation.drift import cells, steps
from utils.evaluation.drift.cells import Names, Numbers
from utils.evaluation.drift.steps import Steps
from utils.evaluation.inputs import Floats, Ints, Values, as_labels, as_scores, as_weights, observations

FILE = "profile.json"
"""Name of the file beside a model."""

VERSION = 1
SCORE, ALARM = "score", "alarm"
INPUT = "input"


@dataclass(frozen=True)
class Counts:
    """Rows that were counted in the cells of a profile; counts of several places add up.

    Attributes:
        rows: number of rows.
        cells: rows in each cell of each column, one column after the other (cells,).
    """

    rows: int
    cells: Ints

    def __add__(self, other: "Counts") -> "Counts":
        """Rows of both."""
        return Counts(self.rows + other.rows, self.cells + other.cells)


@dataclass(frozen=True, eq=False)
class Profile:
    """What training looked like.

    Attributes:
        rows: training rows.
        inputs: the columns that the model reads.
        scores: scores of rows by models that had not seen them; ``None`` where there are none.
        alarms: whether these scores reach the threshold.
        steps: p-values among the scores of normal rows; ``None`` where there are none.
    """

    rows: int
    inputs: tuple[Numbers | Names, ...]
    scores: Numbers | None = None
    alarms: Names | None = None
    steps: Steps | None = None

    @property
    def columns(self) -> tuple[Numbers | Names, ...]:
        """All that is counted: inputs, then scores and alarms where they are known."""
        return (*self.inputs, *(one for one in (self.scores, self.alarms) if one is not None))

    @property
    def kinds(self) -> tuple[str, ...]:
        """Whether each of :attr:`columns` is an input, the score or the alarm."""
        told = [kind for kind, one in ((SCORE, self.scores), (ALARM, self.alarms)) if one is not None]
        return (*[INPUT] * len(self.inputs), *told)

    def p_values(self, scores: Values) -> Floats | None:
        """Share of normal training rows that score as high, never below the exact conformal p-value.

        Args:
            scores: HIGHER = MORE ABNORMAL (n,).

        Returns:
            p-values (n,), LOW is abnormal; ``None`` where the model has no scores out of fold.

        Raises:
            DataError: if a score is NaN or no number.
        """
        return None if self.steps is None else self.steps.p_values(scores)

    def count(self, frame: pl.DataFrame, scores: Values | None = None, decisions: Values | None = None) -> Counts:
        """Count rows in the cells of training.

        Args:
            frame: the columns of training, n rows.
            scores: their scores (n,), where the profile has scores.
            decisions: true for an alarm (n,), where the profile has alarms.

        Raises:
            SchemaError: if a column is missing.
            DataError: if scores or decisions are needed and missing, or their number is not n.
        """
        missing = [one.name for one in self.inputs if one.name not in frame.columns]
        if missing:
            raise SchemaError(f"rows must have the columns of the profile, {missing[0]!r} is missing: read them first")
        found = [one.count(frame[one.name]) for one in self.inputs]
        found += [one.count(values) for one, values in self._decided(frame.height, scores, decisions)]
        return Counts(frame.height, np.concatenate([*found, np.zeros(0, dtype=np.int64)]))

    def none(self) -> Counts:
        """No rows at all."""
        return Counts(0, np.zeros(self.bounds[-1], dtype=np.int64))

    @cached_property
    def bounds(self) -> Ints:
        """Where the cells of each column begin, and where the last end (columns + 1,)."""
        return np.cumsum([0, *(len(one.counts) for one in self.columns)])

    def _decided(
        self, rows: int, scores: Values | None, decisions: Values | None
    ) -> list[tuple[Numbers | Names, pl.Series]]:
        """Scores and alarms with the columns that count them."""
        wanted = ((self.scores, scores, "scores"), (self.alarms, decisions, "decisions"))
        lacking = [what for one, given, what in wanted if one is not None and given is None]
        if lacking:
            raise DataError(f"{lacking[0]} must be counted with the rows, found none: give them")
        read = (as_scores, as_labels)
        return [
            (one, pl.Series(take(given, rows)))
            for (one, given, _), take in zip(wanted, read, strict=True)
            if one is not None and given is not None
        ]

    def to_json(self) -> str:
        """Write the profile as JSON, the same text each time."""
        written = {
            "version": VERSION,
            "rows": self.rows,
            "inputs": [one.to_dict() for one in self.inputs],
            "scores": None if self.scores is None else self.scores.to_dict(),
            "alarms": None if self.alarms is None else self.alarms.to_dict(),
            "p_values": None if self.steps is None else self.steps.to_dict(),
        }
        return json.dumps(written, allow_nan=False, ensure_ascii=False, separators=(",", ":")) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a profile that :meth:`to_json` wrote.

        Raises:
            DataError: if the text is no profile, or one of another version.
        """
        try:
            written = json.loads(text)
            return cls._read(written)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            found = f"{type(error).__name__}: {error}"
            raise DataError(f"{FILE} must be a profile of training, found {found}: register the model again") from None

    @classmethod
    def _read(cls, written: Mapping[str, Any]) -> Self:
        if written.get("version") != VERSION:
            found = written.get("version")
            raise DataError(f"{FILE} must be of version {VERSION}, found {found}: register the model again")
        scores, alarms = (None if (one := written[name]) is None else cells.from_dict(one) for name in WRITTEN)
        return cls(
            int(written["rows"]),
            tuple(cells.from_dict(one) for one in written["inputs"]),
            scores if isinstance(scores, Numbers) else None,
            alarms if isinstance(alarms, Names) else None,
            None if written["p_values"] is None else Steps.from_dict(written["p_values"]),
        )


WRITTEN = ("scores", "alarms")


def profile_of(
    frame: pl.DataFrame,
    scores: Values | None = None,
    alarms: Values | None = None,
    *,
    y: Values | None = None,
    weight: Values | None = None,
    columns: Sequence[str] | None = None,
) -> Profile:
    """Describe training rows in counts.

    Args:
        frame: training rows, n rows.
        scores: their scores by models that had not seen them, HIGHER = MORE ABNORMAL (n,).
        alarms: whether these scores reach the threshold (n,).
        y: true for an anomaly (n,); p-values are calibrated on the others, on all rows without labels.
        weight: how many rows each row stands for, or importances (n,).
        columns: the columns that the model reads; all by default.

    Raises:
        SchemaError: if a column is missing.
        DataError: if lengths differ, there is no row, or scores are NaN.
    """
    if not frame.height:
        raise DataError("a profile describes training rows, found none: give some")
    mass = as_weights(weight, frame.height)
    chosen = frame.columns if columns is None else list(columns)
    unknown = [name for name in chosen if name not in frame.columns]
    if unknown:
        raise SchemaError(f"training rows must have the columns of the profile, {unknown[0]!r} is missing: give it")
    inputs = tuple(made for name in chosen if (made := cells.column_of(name, frame[name], mass)) is not None)
    rows = int(np.rint(observations(mass, frame.height).sum()))
    if scores is None:
        return Profile(rows, inputs)
    found = as_scores(scores, frame.height)
    told = None if alarms is None else as_labels(alarms, frame.height)
    return Profile(
        rows,
        inputs,
        Numbers.of(SCORE, pl.Series(found), observations(mass, frame.height)),
        None if told is None else _alarms(told, observations(mass, frame.height)),
        Steps.of(ConformalPValues().fit(found, y, mass)),
    )


def _alarms(told: np.ndarray, mass: Floats) -> Names:
    """Rows with and without an alarm, both known whether or not there are any."""
    flagged = float(mass[told].sum())
    return Names(ALARM, ("true", "false"), np.rint([0, 0, flagged, mass.sum() - flagged]).astype(np.int64))


__all__ = ["FILE", "Counts", "Profile", "profile_of", "steps"]
