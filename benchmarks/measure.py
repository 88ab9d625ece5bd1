"""Measure CPU seconds and peak memory inside one process.

CPU seconds (user and system, all threads) hardly change with the load of the machine, wall seconds do. Ours and the
baseline take turns, so that whatever drifts touches both, and the median of the rounds counts. Within a round a short
piece of work is repeated and its mean taken, as ``timeit`` does.
"""

import gc
import re
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STATUS = Path("/proc/self/status")
RESET_PEAK = Path("/proc/self/clear_refs")
LEAST_SECONDS = 0.3


@dataclass(frozen=True)
class Measured:
    """What several rounds of one piece of work cost and returned.

    Attributes:
        seconds: CPU seconds of one call, for each round.
        peak_mb: highest resident memory of the process in any round, in MB; ``None`` where it cannot be read.
        value: what the last round returned.
    """

    seconds: tuple[float, ...]
    peak_mb: float | None
    value: Any

    @property
    def median(self) -> float:
        """Median CPU seconds."""
        return statistics.median(self.seconds)


def in_turns(works: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, Measured]:
    """Run pieces of work in turns, in every round each for at least 0.3 CPU seconds."""
    rows: dict[str, list[tuple[float, float | None, Any]]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            rows[name].append(_round(work))
    return {name: _summary(measured) for name, measured in rows.items()}


def _round(work: Callable[[], Any]) -> tuple[float, float | None, Any]:
    gc.collect()
    _reset_peak()
    begin, calls, spent = time.process_time(), 0, 0.0
    while spent < LEAST_SECONDS:
        value = work()
        calls, spent = calls + 1, time.process_time() - begin
    return spent / calls, _peak_mb(), value


def _summary(measured: list[tuple[float, float | None, Any]]) -> Measured:
    seconds, peaks, values = zip(*measured, strict=True)
    known = [peak for peak in peaks if peak is not None]
    return Measured(seconds, max(known, default=None), values[-1])


def _reset_peak() -> None:
    """Forget the peak so far; Linux only (proc(5), ``/proc/pid/clear_refs``)."""
    try:
        RESET_PEAK.write_text("5")
    except OSError:
        return


def _peak_mb() -> float | None:
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text())
    except OSError:
        return None
    return int(found[1]) / 1e3 if found else None
