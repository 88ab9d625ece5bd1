"""Verdicts on sessions that were asked before: logs repeat themselves, so most sessions are decided on once."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

EVENTS, SESSION = "events", "session"
MOST = 1_000_000
"""Events of all sessions that are remembered: some 50 MB where they are texts."""

LONGEST = 500
"""Events of a session above which it is hardly asked again."""

Columns = Mapping[str, Sequence[Any]]
Verdict = tuple[Any, ...]


class Remembered:
    """Verdicts of one model by sequence of events; many threads may use it at once.

    Args:
        most: events of all sessions that are kept; those that were asked longest ago are forgotten first.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most, self._events = most, 0
        self._verdicts: dict[tuple[Any, ...], Verdict] = {}
        self._names: tuple[str, ...] = ()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._verdicts)

    def columns(self, sessions: pl.DataFrame, decide: Callable[[pl.DataFrame], Columns]) -> Columns:
        """Decide on sessions, on each distinct one that is not known only once.

        Args:
            sessions: a list column ``events``, n rows.
            decide: decides on some of them; what it says of a session must depend on its events alone.

        Returns:
            What ``decide`` would say of all of them; sessions are numbered from 1 on (n,).
        """
        keys = [tuple(events or ()) for events in sessions[EVENTS].to_list()]
        found = self._known(keys)
        new = {key: place for place, key in enumerate(keys) if key not in found}
        if new or not self._names:
            told = decide(sessions[list(new.values())])
            self._names = tuple(name for name in told if name != SESSION)
            made = dict(zip(new, zip(*(told[name] for name in self._names), strict=True), strict=True))
            found |= made
            self._keep(made)
        verdicts = list(zip(*map(found.__getitem__, keys), strict=True)) or [()] * len(self._names)
        numbered = [str(place) for place in range(1, len(keys) + 1)]
        return {SESSION: numbered, **dict(zip(self._names, map(list, verdicts), strict=True))}

    def _known(self, keys: Sequence[tuple[Any, ...]]) -> dict[tuple[Any, ...], Verdict]:
        """Verdicts that are known, which now count as asked last."""
        with self._lock:
            found = {key: self._verdicts.pop(key) for key in dict.fromkeys(keys) if key in self._verdicts}
            self._verdicts |= found
        return found

    def _keep(self, made: Mapping[tuple[Any, ...], Verdict]) -> None:
        """Remember verdicts, and forget the oldest."""
        with self._lock:
            for key, verdict in made.items():
                if len(key) <= LONGEST and key not in self._verdicts:
                    self._verdicts[key] = verdict
                    self._events += len(key) + 1
            while self._events > self._most:
                oldest = next(iter(self._verdicts))
                del self._verdicts[oldest]
                self._events -= len(oldest) + 1
