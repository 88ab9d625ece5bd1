"""Windows over the event sequences of sessions, against a loop that slices one list after the other."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.measure import in_turns
from benchmarks.registry import Bar, Row, Scale, case
from utils import settings
from utils.features import log_sessions
from utils.simulate import hdfs as simulator

WIDTH = 10
SESSIONS = 60_000
DATA = "simulator"
AGAINST = "a loop that slices lists"

Cut = tuple[list[list[int]], list[int]]


@case("log_windows", "features")
def windows_of_ten(scale: Scale) -> list[Row]:
    """Cut sessions into windows, from coded events and from the list column, and find the distinct windows.

    Ours ends with the windows as an array; the loop ends with a list of lists, which no model takes yet.
    """
    events = _events(min(scale.sessions, SESSIONS))
    words = log_sessions.Vocabulary.fit(events)
    coded, codes = log_sessions.encode(events, words), code_by_loop(events.to_list())
    cut, slices = log_sessions.windows(coded, WIDTH, begin=False, end=False), slice_by_loop(codes, WIDTH)
    works: dict[str, Callable[[], Any]] = {
        "cut": lambda: _arrays(coded),
        "loop cut": lambda: slice_by_loop(codes, WIDTH),
        "all": lambda: _arrays(log_sessions.encode(events, log_sessions.Vocabulary.fit(events))),
        "loop all": lambda: slice_by_loop(code_by_loop(events.to_list()), WIDTH),
        "distinct": lambda: log_sessions.distinct_windows(cut),
        "loop distinct": lambda: Counter(map(tuple, slices[0])),
    }
    cost = in_turns(works, scale.rounds)
    _require_same(cost["cut"].value, cost["loop cut"].value)
    _require_same(cost["all"].value, cost["loop all"].value)
    _require_same_counts(cost["distinct"].value, cost["loop distinct"].value)
    size = f"{len(coded):,} sessions, {len(cut):,} windows"
    claims = {"cut": Bar("ratio", 50), "all": None, "distinct": None}
    titles = {"cut": "windows of ten", "all": "windows of ten from the list column", "distinct": "distinct windows"}
    return [
        Row(titles[name], cost[name].median, cost[f"loop {name}"].median, bar, size, DATA, cost[name].peak_mb, AGAINST)
        for name, bar in claims.items()
    ]


def code_by_loop(lists: list[list[Any]]) -> list[list[int]]:
    """Number the events in sorted order and write every session with the numbers, one event at a time."""
    numbers = {event: number for number, event in enumerate(sorted({event for events in lists for event in events}))}
    return [[numbers[event] for event in events] for events in lists]


def slice_by_loop(lists: list[list[int]], width: int) -> Cut:
    """Slice every session at every place, as loglizer and DeepLog code does; windows and the session of each."""
    slices, session = [], []
    for number, events in enumerate(lists):
        for first in range(len(events) - width + 1):
            slices.append(events[first : first + width])
            session.append(number)
    return slices, session


def _arrays(coded: log_sessions.Sequences) -> tuple[NDArray[Any], NDArray[Any]]:
    cut = log_sessions.windows(coded, WIDTH, begin=False, end=False)
    return cut.values(), cut.session


def _events(sessions: int) -> pl.Series:
    """Simulate sessions; one list of event ids each."""
    tables = simulator.simulate(max(sessions, simulator.LEAST_SESSIONS), settings.SEED, line_blocks=1)
    events = tables["sessions"].join(tables["sequences"], on="sequence_id", maintain_order="left")["events"]
    return events.head(sessions)


def _require_same(ours: tuple[NDArray[Any], NDArray[Any]], baseline: Cut) -> None:
    """Check window by window.

    Raises:
        RuntimeError: if the two differ.
    """
    values, session = (np.array(part) for part in baseline)
    if not (np.array_equal(ours[0], values) and np.array_equal(ours[1], session)):
        raise RuntimeError("windows must be those of the slicing loop, found others: check log_sessions.windows")


def _require_same_counts(ours: log_sessions.DistinctWindows, baseline: Counter[tuple[int, ...]]) -> None:
    """Check distinct window by distinct window.

    Raises:
        RuntimeError: if the two differ.
    """
    if dict(zip(map(tuple, ours.values.tolist()), ours.counts.tolist(), strict=True)) != baseline:
        raise RuntimeError("distinct windows must be those of the loop: check log_sessions.distinct_windows")
