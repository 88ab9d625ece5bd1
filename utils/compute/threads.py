"""How many threads a fit may start: those of the cores that nobody else is using.

OpenMP and BLAS start one thread a core and make them wait for each other. On a machine that is busy with something
else, the waiting costs many times the work. :func:`free_cores` looks how much is free, :func:`limited` holds native
libraries to it.
"""

import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from utils import settings
from utils.errors import SettingsError

CGROUP = Path("/sys/fs/cgroup")
"""Where Linux tells a container how much processor time it has."""

WATCHED = 0.2
"""Seconds for which the processor is watched."""


def free_cores(seconds: float = WATCHED) -> int:
    """Number of cores that this process may use and that others leave free, at least 1.

    Taken into account are the affinity of the process, the processor quota of its container (control groups version 1
    and 2) and what other processes use. Results of some models depend on the number of threads in their last digits:
    ask once and give the same number to all that must be comparable.

    Where work goes to a cluster this is 1, whatever this machine has: every worker there is one process, and as many
    run as there are cores.

    Args:
        seconds: how long to watch what others use; 0 to trust the load of the last minute, this process included.

    Raises:
        SettingsError: if the time is negative.
    """
    if seconds < 0:
        raise SettingsError(f"the processor can be watched for 0 seconds or more, found {seconds}: give a time")
    if settings.current().compute != settings.LOCAL:
        return 1
    allowed = min(float(_affinity()), _quota())
    return max(1, round(allowed - _used_by_others(seconds)))


@contextmanager
def limited(threads: int | None = None) -> Iterator[int]:
    """Hold OpenMP and BLAS of this process to so many threads, and give them back afterwards.

    Args:
        threads: most threads; ``None`` for :func:`free_cores`.

    Yields:
        The number of threads.

    Raises:
        SettingsError: if the number is not positive.
    """
    from threadpoolctl import threadpool_limits

    number = free_cores() if threads is None else threads
    if number < 1:
        raise SettingsError(f"a fit needs at least 1 thread, found {number}: give a positive number")
    with threadpool_limits(limits=number):
        yield number


def _affinity() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota(root: Path = CGROUP) -> float:
    """Cores' worth of processor time that the container has, ``inf`` without a limit."""
    try:
        return _version_two(root)
    except (OSError, ValueError):
        pass
    try:
        return _version_one(root)
    except (OSError, ValueError):
        return math.inf


def _version_two(root: Path) -> float:
    limit, period = (root / "cpu.max").read_text().split()
    return math.inf if limit == "max" else _cores(int(limit), int(period))


def _version_one(root: Path) -> float:
    limit, period = (int((root / "cpu" / f"cpu.cfs_{part}_us").read_text()) for part in ("quota", "period"))
    return _cores(limit, period)


def _cores(limit: int, period: int) -> float:
    return limit / period if limit > 0 and period > 0 else math.inf


def _used_by_others(seconds: float) -> float:
    """Cores that other processes keep busy."""
    import psutil

    if not seconds:
        return float(psutil.getloadavg()[0])
    began = time.process_time()
    busy = psutil.cpu_percent(interval=seconds) / 100 * (psutil.cpu_count() or 1)
    return max(0.0, float(busy) - (time.process_time() - began) / seconds)
