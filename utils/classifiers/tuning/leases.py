"""Who works on which trial, and what becomes of the trial of a worker that is gone.

A worker that takes a trial notes its name on it and counts up as long as it lives. A trial whose count stands still for
:data:`GRACE` seconds of the observer's own clock, or whose process is known to have ended on this machine, goes back
to be tried again with the same parameters: clocks of hosts are never compared. A trial that cost :data:`RETRIES` + 1
workers fails, with that as its reason.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from utils.classifiers.tuning.storages import LEASE, NOBODY, Kept

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

LOST, REASON = "lost", "reason"
"""What is noted on a trial: the workers that it was lost with, why it failed."""

BEAT = 15.0
"""Seconds between two signs of life."""

GRACE = 120.0
"""Seconds without one after which a worker counts as gone."""

RETRIES = 2
"""How often a trial is tried again."""


@cache
def machine() -> str:
    """Name of this machine, and of the container on it where process numbers are its own."""
    with suppress(OSError):
        return f"{socket.gethostname()}:{Path('/proc/self/ns/pid').stat().st_ino}"
    return socket.gethostname()


def worker_name() -> str:
    """Name of this process that no other has: machine, process number, time of its start."""
    return f"{machine()}/{os.getpid()}/{_began(os.getpid())}"


def is_gone(worker: str) -> bool:
    """Whether a worker is known to have ended; of another machine's workers nothing is known."""
    import psutil

    where, _, rest = worker.rpartition("/")[0].rpartition("/")
    if where != machine() or not rest.isdecimal():
        return False
    try:
        zombie = psutil.Process(int(rest)).status() == psutil.STATUS_ZOMBIE
        return zombie or _began(int(rest)) != worker.rpartition("/")[2]
    except psutil.NoSuchProcess:
        return True


def _began(process: int) -> str:
    """When a process began: on Linux in ticks since the machine started, which setting the clock does not change.

    Raises:
        psutil.NoSuchProcess: if it has ended.

    Source:
        proc(5): field 22 of ``/proc/<process>/stat``; the name before it may hold blanks and brackets.
    """
    import psutil

    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
    return f"{psutil.Process(process).create_time():.2f}"


def worker_of(trial: "FrozenTrial") -> str:
    """Who works on a trial, or did; empty where nobody has said."""
    return str(trial.user_attrs.get(LEASE, NOBODY)[0])


def is_held(kept: Kept, number: int, worker: str) -> bool:
    """Whether a trial is running and still that of a worker; it is not once the worker was believed gone."""
    now = kept.storage.get_trial(kept.id_of(number))
    return now.state.name == "RUNNING" and worker_of(now) == worker


@contextmanager
def held(kept: Kept, number: int, worker: str) -> Iterator[None]:
    """Give signs of life for a trial as long as the body runs; a study in memory needs none."""
    if kept.location is None:
        yield
        return
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import SQLAlchemyError

    over = threading.Event()

    def beat() -> None:
        count = 1
        while not over.wait(BEAT):
            with suppress(OptunaError, SQLAlchemyError, OSError, KeyError):
                if not is_held(kept, number, worker):
                    return  # another worker has it now, whose name would be overwritten
                kept.note(number, LEASE, [worker, count, time.time()])
            count += 1

    kept.note(number, LEASE, [worker, 0, time.time()])
    thread = threading.Thread(target=beat, name="signs of life", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class Watch:
    """An observer of running trials."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[object, float]] = {}

    def recover(self, kept: Kept, seen: "Sequence[FrozenTrial]") -> int:
        """Put back the trials of workers that are gone.

        Args:
            kept: the study.
            seen: its trials as they are now.

        Returns:
            How many were lost.
        """
        if kept.location is None:
            return 0
        lost = [trial for trial in seen if trial.state.name == "RUNNING" and self._is_lost(trial)]
        for trial in lost:
            lose(kept, trial)
        return len(lost)

    def _is_lost(self, trial: "FrozenTrial") -> bool:
        now, sign = time.monotonic(), trial.user_attrs.get(LEASE)
        before, since = self._seen.setdefault(trial.number, (sign, now))
        if sign != before:
            self._seen[trial.number] = (sign, now)
            return False
        return is_gone(worker_of(trial)) or now - since > GRACE


def lose(kept: Kept, trial: "FrozenTrial") -> None:
    """Put back a trial whose worker is gone, or fail it when it has cost too many."""
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.trial import TrialState

    now = kept.storage.get_trial(kept.id_of(trial.number))
    if now.state != TrialState.RUNNING or now.user_attrs.get(LEASE) != trial.user_attrs.get(LEASE):
        return
    workers = [*now.user_attrs.get(LOST, []), worker_of(now)]
    with suppress(UpdateFinishedTrialError):  # somebody else has seen it too, or the worker lives after all
        kept.note(trial.number, LOST, workers)
        if len(workers) <= RETRIES:
            kept.put_back(trial.number)
            return
        kept.note(trial.number, REASON, f"its worker was lost {len(workers)} times")
        kept.storage.set_trial_state_values(kept.id_of(trial.number), TrialState.FAIL)
