"""What training looked like, in counts: enough to tell later whether a model is asked the same, and no row.

A profile is written beside each registered model. It holds how many training rows lie in each cell of each column, how
many held-out rows lie in each cell of the scores and above the threshold, and the steps of the p-values.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import polars as pl

from utils.errors import DataError, SchemaError
from utils.evaluation.conformal import ConformalPValues
from utils.evaluation.drift import cells
from utils.evaluation.drift.cells import Names, Numbers
from utils.evaluation.drift.steps import Steps
from utils.evaluation.inputs import Floats, Ints, Values, as_labels, as_scores, as_series, as_weights, observations

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

    A model that learned from normal rows alone is asked about anomalies, too. Its profile is a quiet one: of what is
    asked, rows that raise an alarm are left out wherever they are compared with training, and only their share is.

    Attributes:
        rows: training rows.
        inputs: the columns that the model reads.
        scores: scores of rows that the model has not learned from; ``None`` where there are none.
        alarms: how many of them raise an alarm; of training rows out of fold where no others are known.
        steps: p-values among the scores of normal rows; ``None`` where there are none.
        quiet: whether only rows without an alarm are compared.
        always: inputs that are compared in all rows even so, such as what is unknown to the model.
    """

    rows: int
    inputs: tuple[Numbers | Names, ...]
    scores: Numbers | None = None
    alarms: Names | None = None
    steps: Steps | None = None
    quiet: bool = False
    always: tuple[str, ...] = ()

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
        _require([one.name for one in self.inputs], frame, "rows")
        told = self._decided(frame.height, scores, decisions)
        kept = frame
        if self.quiet and ALARM in told:
            calm = ~told[ALARM]
            kept = frame.filter(calm)
            told |= {SCORE: told[SCORE].filter(calm)} if SCORE in told else {}
        found = [one.count((frame if one.name in self.always else kept)[one.name]) for one in self.inputs]
        found += [one.count(told[one.name]) for one in self.columns[len(self.inputs) :]]
        return Counts(frame.height, np.concatenate([*found, np.zeros(0, dtype=np.int64)]))

    def none(self) -> Counts:
        """No rows at all."""
        return Counts(0, np.zeros(self.bounds[-1], dtype=np.int64))

    @cached_property
    def bounds(self) -> Ints:
        """Where the cells of each column begin, and where the last end (columns + 1,)."""
        return np.cumsum([0, *(len(one.counts) for one in self.columns)])

    def scored(
        self, scores: Values, alarms: Values | None = None, *, y: Values | None = None, weight: Values | None = None
    ) -> "Profile":
        """Add p-values and the share of alarms, from scores out of fold in any order of the rows.

        These scores are not what later scores are compared with: a model of all training rows spreads its scores wider
        than models of a part of them do. :meth:`expecting` takes scores of the model itself.

        Args:
            scores: scores of training rows by models that had not seen them, HIGHER = MORE ABNORMAL (m,).
            alarms: whether these reach the threshold (m,).
            y: true for an anomaly (m,); p-values are calibrated on the others, on all rows without labels.
            weight: how many rows each row stands for, or importances (m,).

        Raises:
            DataError: if lengths differ, scores are NaN, or no row is normal.
        """
        found = as_scores(scores)
        given = as_weights(weight, len(found))
        steps = Steps.of(ConformalPValues().fit(found, y, given))
        told = None if alarms is None else as_labels(alarms, len(found))
        return replace(
            self, steps=steps, alarms=None if told is None else _alarms(told, observations(given, len(found)))
        )

    def expecting(
        self, scores: Values, alarms: Values, weight: Values | None = None, *, frame: pl.DataFrame | None = None
    ) -> "Profile":
        """Expect scores and alarms as on rows that the model has not learned from.

        Args:
            scores: of such rows by the model itself, HIGHER = MORE ABNORMAL (m,).
            alarms: its decisions on them, true for an alarm (m,).
            weight: how many rows each row stands for, or importances (m,).
            frame: the columns of training, for the inputs that are always compared (m rows).

        Raises:
            SchemaError: if a column is missing.
            DataError: if there is no row, lengths differ, or scores are NaN.
        """
        found = as_scores(scores)
        told = as_labels(alarms, len(found))
        if not told.size:
            raise DataError("scores are expected as on rows that were held out, found none: give some")
        mass = observations(as_weights(weight, len(told)), len(told))
        shown = ~told if self.quiet else np.ones(len(told), dtype=np.bool_)
        counted = Numbers.of(SCORE, pl.Series(found[shown]), mass[shown])
        inputs = self.inputs if frame is None else tuple(self._expected(one, frame, mass) for one in self.inputs)
        return replace(self, inputs=inputs, scores=counted, alarms=_alarms(told, mass))

    def _expected(self, one: Numbers | Names, frame: pl.DataFrame, mass: Floats) -> Numbers | Names:
        """An input with the counts of rows with and without an alarm, where these are compared."""
        if one.name not in self.always:
            return one
        _require([one.name], frame, "held-out rows")
        return replace(one, counts=one.count(frame[one.name], mass))

    def _decided(self, rows: int, scores: Values | None, decisions: Values | None) -> dict[str, pl.Series]:
        """Scores and alarms as series, those that are counted."""
        wanted = ((self.scores, scores, "scores", as_scores), (self.alarms, decisions, "decisions", as_labels))
        lacking = [what for one, given, what, _ in wanted if one is not None and given is None]
        if lacking:
            raise DataError(f"{lacking[0]} must be counted with the rows, found none: give them")
        return {
            one.name: pl.Series(take(given, rows))
            for one, given, _, take in wanted
            if one is not None and given is not None
        }

    def to_json(self) -> str:
        """Write the profile as JSON, the same text each time."""
        written = {
            "version": VERSION,
            "rows": self.rows,
            "quiet": self.quiet,
            "always": list(self.always),
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
            bool(written["quiet"]),
            tuple(map(str, written["always"])),
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
    quiet: bool = False,
    always: Sequence[str] = (),
) -> Profile:
    """Describe training rows in counts.

    Args:
        frame: training rows, n rows.
        scores: their scores by models that had not seen them, HIGHER = MORE ABNORMAL (n,).
        alarms: whether these scores reach the threshold (n,).
        y: true for an anomaly (n,); p-values are calibrated on the others, on all rows without labels.
        weight: how many rows each row stands for, or importances (n,).
        columns: the columns that the model reads; all by default.
        quiet: whether the rows are normal ones, so that only rows without an alarm are compared with them.
        always: columns that are compared in all rows even so.

    Raises:
        SchemaError: if a column is missing.
        DataError: if lengths differ, there is no row, or scores are NaN.
    """
    if not frame.height:
        raise DataError("a profile describes training rows, found none: give some")
    mass = as_weights(weight, frame.height)
    chosen = frame.columns if columns is None else list(columns)
    _require(chosen, frame, "training rows")
    inputs = tuple(made for name in chosen if (made := cells.column_of(name, frame[name], mass)) is not None)
    rows = int(np.rint(observations(mass, frame.height).sum()))
    bare = Profile(rows, inputs, quiet=quiet, always=tuple(always))
    if scores is None:
        return bare
    if len(as_series(scores)) != frame.height:
        raise DataError(f"scores must be one a row, found {len(as_series(scores)):,} for {frame.height:,}: align them")
    return bare.scored(scores, alarms, y=y, weight=mass)


def _require(names: Sequence[str], frame: pl.DataFrame, what: str) -> None:
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise SchemaError(f"{what} must have the columns of the profile, {missing[0]!r} is missing: read them first")


def _alarms(told: np.ndarray, mass: Floats) -> Names:
    """Rows with and without an alarm, both known whether or not there are any."""
    flagged = float(mass[told].sum())
    return Names(ALARM, ("true", "false"), np.rint([0, 0, flagged, mass.sum() - flagged]).astype(np.int64))
