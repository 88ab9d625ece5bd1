"""Drift of what a served model is asked: rows are put aside while requests are answered, and counted in bulk.

:meth:`DriftMonitor.add` only appends to a list, so a request pays a microsecond. Rows are read and counted when enough
wait, or when somebody asks. What is kept are counts and at most a few thousand rows that wait.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from utils.errors import LabError
from utils.evaluation.drift import Look, Profile, Watch
from utils.evaluation.drift.testing import ALPHA, SIZE
from utils.evaluation.drift.watch import WINDOW, State
from utils.evaluation.inputs import Bools, Floats, Values
from utils.serving.decisions import frame_of

Rows = pl.DataFrame | Sequence[Mapping[str, object]]
Read = Callable[[Any], pl.DataFrame]
MOST_WAITING = 4_096
BATCH = 256
"""Rows that wait before they are counted, where nobody else counts them."""

COUNTED, SHOWN = "counter", "gauge"


class Metric(NamedTuple):
    """One number to be watched.

    Attributes:
        name: with its unit; of a counter without ``_total``.
        help: what it is.
        kind: ``"counter"`` or ``"gauge"``.
        labels: names and values; the same names for each metric of one name.
        value: the number.
    """

    name: str
    help: str
    kind: str
    labels: Mapping[str, str]
    value: float


class _Waiting(NamedTuple):
    """Rows that were decided on and not counted yet."""

    rows: Rows
    scores: Floats
    decisions: Bools


class DriftMonitor:
    """Compares what a model is asked with what it learned from; many threads may use it at once."""

    def __init__(
        self,
        profile: Profile,
        read: Read | None = None,
        *,
        window: int = WINDOW,
        alpha: float = ALPHA,
        size: float = SIZE,
        inline: bool = True,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        """Say what rows are compared with.

        Args:
            profile: what training looked like.
            read: makes the columns of the profile from rows, ``model.monitored``; records come to it as a frame. Rows
                have the columns of the profile if it is not given.
            window: rows of a window.
            alpha: share of the windows that may give a false alarm.
            size: least size (Cohen's h) of a difference that matters.
            inline: whether :meth:`add` counts when 256 rows wait; else :meth:`flush` must be called by a thread that no
                request waits for, and rows that come while too many wait are skipped.
            most_waiting: rows that may wait.

        Raises:
            DataError: if the window is too short, or ``alpha`` does not lie between 0 and 1.
        """
        self._watch = Watch(profile, window=window, alpha=alpha, size=size)
        self._read = read
        self._most = BATCH if inline else most_waiting
        self._inline = inline
        self._waiting: list[_Waiting] = []
        self._rows_waiting = self._skipped = 0
        self._adding, self._counting = threading.Lock(), threading.RLock()

    def add(self, rows: Rows, scores: Values, decisions: Values) -> None:
        """Put rows aside that were decided on.

        Args:
            rows: n records, or a frame, as ``read`` takes them; they must not be changed afterwards.
            scores: their scores; for lines of a log those of their sessions (n,).
            decisions: true for an alarm (n,).
        """
        taken = _Waiting(rows, np.asarray(scores, dtype=np.float64), np.asarray(decisions, dtype=np.bool_))
        number = len(taken.scores)
        with self._adding:
            full = self._rows_waiting and self._rows_waiting + number > self._most
            if full and not self._inline:
                self._skipped += number
                return
            self._waiting.append(taken)
            self._rows_waiting += number
            due = self._inline and self._rows_waiting >= self._most
        if due:
            self.flush()

    def flush(self) -> list[Look]:
        """Count the rows that wait; rows that cannot be read are skipped.

        Returns:
            The comparisons with training that fell due.
        """
        with self._counting:
            with self._adding:
                waiting, self._waiting, self._rows_waiting = self._waiting, [], 0
            return [look for one in self._tables(waiting) for look in self._watch.add(*one)]

    @property
    def state(self) -> State:
        """``"too few rows"``, ``"ok"`` or ``"drifting"``; of the rows that are counted."""
        return self._watch.state

    def table(self) -> pl.DataFrame:
        """What the comparison that decides the state found, drifted columns first (see :func:`drift`)."""
        with self._counting:
            self.flush()
            look = self._watch.shown
        if look is None:
            return pl.DataFrame()
        return look.table.sort("drifted", "p_value", "size", descending=[True, False, True], maintain_order=True)

    def report(self) -> dict[str, Any]:
        """Tell what was found, in types that JSON has.

        Returns:
            ``state``, a ``sentence``; ``rows``, ``skipped``, ``windows`` and ``alarms`` so far, ``first_alarm`` (row);
            ``window`` (rows), ``next_look`` (rows to come), ``alpha`` and ``size``; of the comparison shown
            ``compared`` (rows) and ``columns``, one record each.
        """
        with self._counting:
            table = self.table()
            watch, look = self._watch, self._watch.shown
            return {
                "state": watch.state,
                "sentence": _sentence(watch, table),
                "rows": watch.rows,
                "skipped": self._skipped,
                "windows": watch.windows,
                "alarms": watch.alarms,
                "first_alarm": watch.first_alarm,
                "window": watch.window,
                "next_look": watch.waiting,
                "alpha": watch.alpha,
                "size": watch.size,
                "compared": 0 if look is None else look.counts.rows,
                "columns": table.to_dicts(),
            }

    def metrics(self) -> list[Metric]:
        """Numbers to be watched: the state, and of each column how far and how surely it differs from training."""
        with self._counting:
            table, watch = self.table(), self._watch
            drifted = int(table["drifted"].sum()) if table.width else 0
            whole = (
                ("anomaly_drift_state", "0 too few rows, 1 as in training, 2 drifting.", SHOWN, _STATES[watch.state]),
                ("anomaly_drift_columns", "Columns that drift.", SHOWN, drifted),
                ("anomaly_drift_rows", "Rows compared with training.", COUNTED, watch.rows),
                ("anomaly_drift_skipped_rows", "Rows not compared with training.", COUNTED, self._skipped),
                ("anomaly_drift_windows", "Windows of rows compared with training.", COUNTED, watch.windows),
                ("anomaly_drift_alarms", "Windows of rows that drifted.", COUNTED, watch.alarms),
            )
        return [Metric(name, text, kind, {}, float(value)) for name, text, kind, value in whole] + list(_of(table))

    def _tables(self, waiting: list[_Waiting]) -> Iterator[tuple[pl.DataFrame, Floats, Bools]]:
        """Rows that wait as tables: records with the same names together, apart where they cannot be read so."""
        alike: dict[Any, list[_Waiting]] = {}
        for place, one in enumerate(waiting):
            apart = isinstance(one.rows, pl.DataFrame) or not one.rows
            alike.setdefault(place if apart else tuple(one.rows[0]), []).append(one)
        for ones in alike.values():
            together = ones[0] if len(ones) == 1 else _joined(ones)
            frame = self._table(together.rows, len(together.scores))
            if frame is not None:
                yield frame, together.scores, together.decisions
            elif len(ones) == 1:
                self._skipped += len(together.scores)
            else:
                for one in ones:
                    yield from self._tables([one])

    def _table(self, rows: Any, number: int) -> pl.DataFrame | None:  # noqa: ANN401 (rows of any form)
        """The columns that are compared; none where the rows cannot be read."""
        try:
            frame = rows if isinstance(rows, pl.DataFrame) or not rows else frame_of(rows)
            frame = pl.DataFrame(frame) if self._read is None else self._read(frame)
        except (LabError, pl.exceptions.PolarsError, KeyError, TypeError, ValueError, OverflowError):
            return None
        return frame if frame.height == number else None


def _joined(waiting: Sequence[_Waiting]) -> _Waiting:
    """Records of many requests together, as reading them costs little more than reading one."""
    scores, decisions = (np.concatenate([one[place] for one in waiting]) for place in (1, 2))
    rows: list[Any] = [row for one in waiting for row in one.rows]
    return _Waiting(rows, scores, decisions)


_STATES: Mapping[State, int] = {"too few rows": 0, "ok": 1, "drifting": 2}


def _of(table: pl.DataFrame) -> Iterator[Metric]:
    """Metrics of the columns."""
    for row in table.to_dicts():
        labels = {"kind": row["kind"], "column": row["column"]}
        yield Metric(
            "anomaly_drift_size", "Size of the difference from training (Cohen's h).", SHOWN, labels, row["size"]
        )
        yield Metric("anomaly_drift_p_value", "p-value, corrected for all columns.", SHOWN, labels, row["p_value"])


def _sentence(watch: Watch, table: pl.DataFrame) -> str:
    """The state in words."""
    rate = f"false alarms: at most one window of {watch.window:,} rows in {1 / watch.alpha:,.0f}"
    if watch.shown is None:
        return f"too few rows to tell: {watch.rows:,}, compared first after {watch.waiting:,} more ({rate})"
    if watch.alarmed is None:
        return f"no column differs from training in {watch.shown.counts.rows:,} rows ({rate})"
    first = table.row(0, named=True)
    shares = f"{first['observed']:.1%} of the rows, expected {first['expected']:.1%}"
    found = f"{first['column']!r} is {first['where']} in {shares}"
    more = int(table["drifted"].sum()) - 1
    others = f", and {more} more columns differ" if more > 1 else ", and one more column differs" if more else ""
    return f"drifting: {found}{others} ({rate})"
