"""One function for many independent calls: :func:`each` does them here, in processes or on a Dask cluster.

A job must depend on its arguments only: it draws from its own seed, changes nothing that it is given and keeps nothing
for the next job. Then order and place change nothing in the results.
"""

import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, NamedTuple, TypeVar

from utils import settings
from utils.errors import ComputeError, LabError, SettingsError

Result = TypeVar("Result")
Told = Callable[[int], object]
"""Told the place of a job in the list of jobs."""


class _Failed(NamedTuple):
    """The error of a job."""

    error: Exception


_INSIDE: ContextVar[bool] = ContextVar("inside a job of a cluster", default=False)


def each(
    function: Callable[..., Result],
    jobs: Sequence[tuple[Any, ...]],
    *,
    workers: int = 1,
    progress: Told | None = None,
) -> list[Result]:
    """Call a function once for every tuple of arguments.

    With ``ANOMALY_COMPUTE`` naming a scheduler the calls are spread over its workers: an argument that several jobs
    have in common (the same object) is sent once, a call whose worker dies is done again by another one. A job that
    calls this function itself does those calls where it is.

    Args:
        function: can be imported by its name, also by the workers.
        jobs: the arguments of each call.
        workers: most processes of this machine; 1 for this process. A cluster takes all workers that it has.
        progress: told the place of each job: before it begins in this process, when it is done elsewhere.

    Returns:
        What the calls give, in the order of the jobs.

    Raises:
        SettingsError: if the number of workers is not positive, or Dask is named and not installed.
        ComputeError: if the cluster does not answer, has no worker for a minute, has other versions, or a job ended
            its worker several times, or its process once.
        Exception: the first error of a job, in the order of the jobs, as it is.
    """
    if workers < 1:
        raise SettingsError(f"work needs at least 1 worker, found {workers}: give a positive number")
    address = _scheduler()
    if address and len(jobs) > 1:
        from utils.compute import cluster

        return cluster.each(function, jobs, address, progress)
    if min(workers, len(jobs)) > 1:
        return _in_processes(function, jobs, workers, progress)
    return _here(function, jobs, progress)


def teller(report: Callable[[str], object] | None, names: Sequence[str]) -> Told | None:
    """Make progress of jobs into words.

    Args:
        report: told the name of a job; ``None`` for nobody.
        names: of the jobs.
    """
    return None if report is None else lambda place: report(names[place])


def backend() -> AbstractContextManager[Any]:
    """Let joblib's own parallel loops (``n_jobs`` of scikit-learn) run where :func:`each` does.

    The laboratory divides its work by :func:`each`, which sends what jobs share once; this is for code of users that
    is written with joblib, such as ``with backend(): cross_validate(..., n_jobs=-1)``.

    Returns:
        A context; it changes nothing where work is done on this machine.

    Raises:
        SettingsError: if Dask is named and not installed.
        ComputeError: if the cluster does not answer.
    """
    address = _scheduler()
    if not address:
        return nullcontext()
    from joblib import parallel_config  # type: ignore[import-untyped]

    from utils.compute import cluster

    context: AbstractContextManager[Any] = parallel_config("dask", client=cluster.client_of(address))
    return context


def disconnect() -> None:
    """Leave the cluster; the next call of :func:`each` finds it again."""
    if _dask_was_used():
        from utils.compute import cluster

        cluster.disconnect()


@contextmanager
def inside() -> Iterator[None]:
    """Mark that a worker of a cluster is at work, so that jobs of jobs stay with it."""
    token = _INSIDE.set(True)
    try:
        yield
    finally:
        _INSIDE.reset(token)


def _scheduler() -> str:
    """The address of the scheduler, empty where work is done on this machine."""
    named = settings.current().compute
    return "" if named == settings.LOCAL or _INSIDE.get() else named


def _dask_was_used() -> bool:
    import sys

    return "utils.compute.cluster" in sys.modules


def _here(
    function: Callable[..., Result], jobs: Sequence[tuple[Any, ...]], progress: Told | None
) -> list[Result]:  # fmt: skip
    results = []
    for place, job in enumerate(jobs):
        if progress:
            progress(place)
        results.append(function(*job))
    return results


def _in_processes(
    function: Callable[..., Result], jobs: Sequence[tuple[Any, ...]], workers: int, progress: Told | None
) -> list[Result]:
    from concurrent.futures.process import BrokenProcessPool

    from joblib import Parallel, delayed

    with warnings.catch_warnings():
        # A worker that is replaced because its memory has grown is no news: its calls are done by the next one.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs were given")
        # Neither is it that jobs behind the first error were done in vain: the error is.
        warnings.filterwarnings("ignore", r"\d+ tasks ")
        calls = Parallel(n_jobs=min(workers, len(jobs)), return_as="generator")
        try:
            with closing(calls(delayed(_outcome)(function, job) for job in jobs)) as outcomes:
                return list(_told(outcomes, progress))
        except BrokenProcessPool as error:
            found = str(error).partition("\n")[0] or type(error).__name__
            raise ComputeError(
                f"a process must outlive its job, found: {found} Work with fewer processes, or give the job less data"
            ) from None


def _outcome(function: Callable[..., Result], job: tuple[Any, ...]) -> Result | _Failed:
    """What a call gives, or its error: joblib would raise the error that comes first, not that of the first job."""
    try:
        return function(*job)
    except Exception as error:
        if not isinstance(error, LabError):  # whose sentence says enough; of others the place would be lost
            error.add_note("".join(traceback.format_exception(error)))
        return _Failed(error)


def _told(outcomes: Iterable[Result | _Failed], progress: Told | None) -> Iterator[Result]:
    """Results in the order of the jobs.

    Raises:
        Exception: the first error, in that order.
    """
    for place, outcome in enumerate(outcomes):
        if isinstance(outcome, _Failed):
            raise outcome.error
        if progress:
            progress(place)
        yield outcome
