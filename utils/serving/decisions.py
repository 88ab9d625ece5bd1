"""The one function that decides, for the service and for whoever compares with it."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import polars as pl

from utils.classifiers.champion import Champion
from utils.detectors.log_monitor import LogMonitor
from utils.errors import LabError
from utils.evaluation.inputs import Floats
from utils.serving.answers import invalid
from utils.serving.remembered import EVENTS, Remembered

Explained = Literal["none", "alarms", "all"]
EXPLAINED: tuple[Explained, ...] = ("none", "alarms", "all")
Rows = Sequence[Mapping[str, Any]] | pl.DataFrame

PART = 2_000
"""Rows that are decided on at once, so that a decision that takes too long can be given up in between."""

EXPLAINED_PART = 200
TEXTS_PART = 50
"""The same where texts are read by the compiled form: each may be long."""

UNREADABLE = (pl.exceptions.PolarsError, ValueError, TypeError, OverflowError, ArithmeticError)
"""What a model raises on values that its checks let pass."""


class Profile(Protocol):
    """What is known of the scores of training."""

    def p_values(self, scores: Floats, /) -> Floats | None:
        """Share of normal training rows that score as high; nothing where that is not known."""


class Compiled(Protocol):
    """A champion in a form that scores records without a table."""

    def score_records(self, records: Sequence[Mapping[str, Any]], /) -> Floats:
        """Score; HIGHER = MORE ABNORMAL."""


class Deciding(Protocol):
    """What is needed to decide."""

    @property
    def model(self) -> Champion | LogMonitor:
        """The champion."""

    @property
    def profile(self) -> Profile | None:
        """Scores of training, for p-values of tables."""

    @property
    def compiled(self) -> Compiled | None:
        """The compiled form, if it passed its gate."""

    @property
    def remembered(self) -> Remembered:
        """Verdicts on sessions that were asked before."""


class GivenUp(LabError):
    """Nobody waits for this decision any more."""


@dataclass(frozen=True)
class Decided:
    """Decisions on n rows, or on the sessions that they make.

    Attributes:
        columns: values by name, n each: ``decision`` (true for an anomaly), ``score`` (higher is more abnormal),
            ``p_value`` (null where no scores of training are known), ``reasons`` and ``kind`` where there are some.
        threshold: that a score must reach.
    """

    columns: Mapping[str, Sequence[Any]]
    threshold: float

    @property
    def frame(self) -> pl.DataFrame:
        """The decisions as a table, with the threshold."""
        made = pl.DataFrame(dict(self.columns), infer_schema_length=None)
        return made.with_columns(threshold=pl.lit(self.threshold))


def decide(served: Deciding, rows: Rows, explained: Explained = "none", stop: threading.Event | None = None) -> Decided:
    """Decide on rows that were checked, as the champion itself does.

    Args:
        served: the champion with what belongs to it.
        rows: records or a frame of a table; a frame of ``line`` or of ``events`` of a log.
        explained: which rows get reasons.
        stop: set by whoever does not wait any longer.

    Raises:
        Refused: if the model cannot read the rows.
        GivenUp: if nobody waits any more.
    """
    model = served.model
    threshold = float(model.threshold_.value_)
    try:
        if isinstance(model, LogMonitor):
            return Decided(_sessions(served, model, rows, explained, stop), threshold)
        if served.compiled is None or explained == "all" or isinstance(rows, pl.DataFrame):
            columns = _joined(_table(model, rows, explained, stop))
        else:
            columns = _fast(served.compiled, model, rows, explained, stop)
    except GivenUp:
        raise
    except LabError as error:
        raise invalid(str(error), _field(model)) from error
    except UNREADABLE as error:
        said = f"the rows must be ones that the model can read, found values that it cannot ({type(error).__name__})"
        raise invalid(f"{said}: send values like those of training", _field(model)) from error
    scores = np.asarray(columns["score"], dtype=np.float64)
    p_values = None if served.profile is None else served.profile.p_values(scores)
    return Decided({**columns, "p_value": [None] * len(scores) if p_values is None else p_values.tolist()}, threshold)


def _field(model: object) -> str:
    return "lines" if isinstance(model, LogMonitor) else "rows"


def _fast(
    compiled: Compiled,
    model: Champion,
    rows: Sequence[Mapping[str, Any]],
    explained: Explained,
    stop: threading.Event | None,
) -> Mapping[str, Sequence[Any]]:
    """Decide by the compiled form, part by part; the champion itself gives reasons and kinds of alarms."""
    step, parts = PART if model.reader_ is None else TEXTS_PART, [np.zeros(0)]
    for start in range(0, len(rows), step):
        _go_on(stop)
        parts.append(compiled.score_records(rows[start : start + step]))
    scores = np.concatenate(parts)
    alarms = model.threshold_.predict(scores)
    columns: dict[str, list[Any]] = {"decision": alarms.tolist(), "score": scores.tolist()}
    if explained == "alarms":
        columns["reasons"] = [[] for _ in rows]
    if model.family_ is not None:
        columns["kind"] = [None] * len(rows)
    told = set(columns) & {"reasons", "kind"}
    _tell(
        model,
        rows,
        np.flatnonzero(alarms).tolist() if told else [],
        explained,
        stop,
        {name: columns[name] for name in told},
    )
    return columns


def _tell(
    model: Champion,
    rows: Sequence[Mapping[str, Any]],
    places: Sequence[int],
    explained: Explained,
    stop: threading.Event | None,
    columns: Mapping[str, list[Any]],
) -> None:
    """Fill in reasons and kinds of some rows, part by part."""
    step = PART if explained == "none" else EXPLAINED_PART
    for start in range(0, len(places), step):
        _go_on(stop)
        part = places[start : start + step]
        told = model.decide(frame_of([rows[place] for place in part]), explained=explained)
        for name, column in columns.items():
            for place, value in zip(part, told[name].to_list(), strict=True):
                column[place] = value


def _table(
    model: Champion, rows: Rows, explained: Explained, stop: threading.Event | None
) -> Iterator[Mapping[str, Sequence[Any]]]:
    """Decide on a table, part by part."""
    step = PART if explained == "none" else EXPLAINED_PART
    for start in range(0, len(rows), step):
        _go_on(stop)
        part = rows[start : start + step]
        frame = part if isinstance(part, pl.DataFrame) else frame_of(part)
        decided = model.decide(frame, explained=explained).drop("threshold")
        yield (decided.drop("reasons") if explained == "none" else decided).to_dict(as_series=False)


def _sessions(
    served: Deciding, model: LogMonitor, rows: Rows, explained: Explained, stop: threading.Event | None
) -> Mapping[str, Sequence[Any]]:
    """Decide on the sessions of a log; those that are lists of events and were asked before are known."""
    _go_on(stop)
    frame = rows if isinstance(rows, pl.DataFrame) else frame_of(rows)
    if explained == "none" and EVENTS in frame.columns:
        return served.remembered.columns(frame, lambda part: _judged(model, part, explained))
    return _judged(model, frame, explained)


def _judged(model: LogMonitor, frame: pl.DataFrame, explained: Explained) -> Mapping[str, Sequence[Any]]:
    """Let the model decide on lines or sessions."""
    decided = model.decide(frame, explained=explained).drop("threshold")
    shown = decided.drop("reasons") if explained == "none" else decided
    temporal = [name for name, dtype in shown.schema.items() if dtype.is_temporal()]
    return shown.with_columns(pl.col(temporal).cast(pl.String)).to_dict(as_series=False)


def frame_of(records: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Write checked records as a frame: whole numbers and fractions of one column together are fractions."""
    return pl.DataFrame([_column(name, [row[name] for row in records]) for name in records[0]])


def _column(name: str, values: list[Any]) -> pl.Series:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        return pl.Series(name, values, dtype=pl.Float64, strict=False)
    return pl.Series(name, values)


def _joined(parts: Iterator[Mapping[str, Sequence[Any]]]) -> Mapping[str, Sequence[Any]]:
    """Put parts together."""
    columns: dict[str, list[Any]] = {}
    for part in parts:
        for name, values in part.items():
            columns.setdefault(name, []).extend(values)
    return dict(columns)


def _go_on(stop: threading.Event | None) -> None:
    """Stop work that nobody waits for.

    Raises:
        GivenUp: if so.
    """
    if stop is not None and stop.is_set():
        raise GivenUp("nobody waits for this decision any more: it is given up")
