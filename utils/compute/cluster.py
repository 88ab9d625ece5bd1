"""Calls on a Dask cluster: sent once, done again where a worker dies, given back in order.

Arguments that several jobs have in common are tasks of their own: the scheduler keeps what they are made from, so they
survive any worker, and workers take them from each other. Workers check that they have the code of the caller, and hold
OpenMP and BLAS to one thread: threads of several workers on one machine wait for each other.
"""

import os
import pickle
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from utils.compute import versions
from utils.compute.jobs import Told, inside
from utils.errors import ComputeError, SettingsError

if TYPE_CHECKING:
    from distributed import Client, Future

Result = TypeVar("Result")

ANSWER = 10.0
"""Seconds within which a scheduler must answer."""

PATIENCE = 60.0
"""Seconds that a cluster may be without a worker."""

PULSE = 1.0
"""Seconds without a result after which the cluster is looked at."""

WORTH_SHARING = 10_000
"""Pickled bytes from which an argument that jobs have in common is sent on its own."""

_CLIENTS: dict[tuple[int, str], "Client"] = {}


@dataclass(frozen=True)
class _Shared:
    """Stands for an argument that is sent on its own: its place among those of the job."""

    place: int


def each(
    function: Callable[..., Result], jobs: Sequence[tuple[Any, ...]], address: str, progress: Told | None = None
) -> list[Result]:
    """Call a function once for every tuple of arguments, on the workers of a cluster.

    Args:
        function: can be imported by its name by the workers.
        jobs: the arguments of each call.
        address: of the scheduler.
        progress: told the place of each job that is done.

    Raises:
        SettingsError: if Dask is not installed.
        ComputeError: if the cluster does not answer, has no worker for a minute, has other versions, or a job ended
            its worker several times.
        Exception: the first error of a job, in the order of the jobs, as it is.
    """
    client = client_of(address)
    _Watch(client, address).wait()
    futures = _submitted(client, function, jobs)
    try:
        return _collected(futures, _Watch(client, address), progress)
    except BaseException:  # Ctrl-C too: nobody waits for what has not begun
        if client.status == "running":
            client.cancel(futures)  # type: ignore[no-untyped-call]
        raise


def client_of(address: str) -> "Client":
    """The connection of this process to a scheduler, made when it is first asked for.

    Raises:
        SettingsError: if Dask is not installed.
        ComputeError: if nobody answers.
    """
    key = os.getpid(), address
    if key not in _CLIENTS or _CLIENTS[key].status != "running":
        _CLIENTS[key] = _connected(address)
    return _CLIENTS[key]


def disconnect() -> None:
    """End all connections of this process."""
    while _CLIENTS:
        _, client = _CLIENTS.popitem()
        client.close(timeout=ANSWER)  # type: ignore[no-untyped-call]


def perform(wanted: bytes, call: bytes, *shared: Any) -> Any:  # noqa: ANN401 - values of any function
    """Do one call, in a worker.

    Args:
        wanted: versions of the caller, pickled.
        call: function and arguments, pickled.
        shared: arguments that were sent on their own.

    Raises:
        ComputeError: if the worker has other versions than the caller, or cannot import the function.
    """
    from threadpoolctl import threadpool_limits

    _require_same(pickle.loads(wanted))
    try:
        function, arguments = pickle.loads(call)
    except (ImportError, AttributeError) as error:
        raise ComputeError(
            f"a worker must be able to import what it is to call, found: {error}: put it in a module that is installed "
            "beside every worker"
        ) from None
    threadpool_limits(1)  # not given back: other jobs of this worker may be at work
    given = (shared[one.place] if isinstance(one, _Shared) else one for one in arguments)
    with inside():
        return function(*given)


def _call(wanted: bytes, call: bytes, *shared: Any) -> Any:  # noqa: ANN401 - values of any function
    from utils.compute import cluster

    return cluster.perform(wanted, call, *shared)


_call.__module__ = "__main__"
"""So it is sent as code, not as a name: a scheduler needs no ``utils``, and a worker without it can say so."""


def _require_same(wanted: dict[str, str]) -> None:
    """Refuse to work beside a caller with other versions.

    Raises:
        ComputeError: if there are differences.
    """
    found = versions.differences(wanted)
    if found:
        raise ComputeError(
            f"workers must have the versions of the process that calls them, found {', '.join(found)}: install the "
            "same commit and the same requirements beside every worker and start it again"
        )


def _connected(address: str) -> "Client":
    try:
        from distributed import Client
    except ImportError:
        raise SettingsError(
            f"ANOMALY_COMPUTE={address} needs Dask, which is not installed: pip install distributed"
        ) from None
    try:
        return Client(address, timeout=ANSWER, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ComputeError(
            f"a Dask scheduler must answer at {address} within {ANSWER:.0f} seconds, found none ({reason}): start "
            "one or correct ANOMALY_COMPUTE"
        ) from None


def _submitted(
    client: "Client", function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]]
) -> "list[Future[Any]]":  # fmt: skip
    import cloudpickle  # type: ignore[import-untyped]
    import dask

    run, name = uuid.uuid4().hex, getattr(function, "__name__", "call")
    wanted = pickle.dumps(dict(versions.of_this_process()))
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"}):
        sent = {
            known: client.submit(pickle.loads, packed, key=f"shared-{run}-{number}")
            for number, (known, packed) in enumerate(_in_common(jobs).items())
        }
        futures = []
        for place, job in enumerate(jobs):
            own = [sent[id(one)] for one in job if id(one) in sent]
            order = iter(range(len(own)))
            arguments = tuple(_Shared(next(order)) if id(one) in sent else one for one in job)
            call = cloudpickle.dumps((function, arguments))
            futures.append(client.submit(_call, wanted, call, *own, key=f"{name}-{run}-{place}"))
    return futures


def _in_common(jobs: Sequence[tuple[Any, ...]]) -> dict[int, bytes]:
    """Large arguments that are the same object in several jobs: pickled, by their identity."""
    import cloudpickle

    objects = {id(one): one for job in jobs for one in job if not isinstance(one, str | int | float | bool | None)}
    counts = Counter(known for job in jobs for known in {id(one) for one in job} & objects.keys())
    packed = {known: cloudpickle.dumps(objects[known]) for known, count in counts.items() if count > 1}
    return {known: data for known, data in packed.items() if len(data) >= WORTH_SHARING}


def _collected(futures: "list[Future[Any]]", watch: "_Watch", progress: Told | None) -> list[Any]:
    """Take results as they come; after an error only jobs before it are waited for, as their errors come first."""
    finished: SimpleQueue[Future[Any]] = SimpleQueue()
    places = {future.key: place for place, future in enumerate(futures)}
    for future in futures:
        future.add_done_callback(finished.put)  # type: ignore[no-untyped-call]
    results: dict[int, Any] = {}
    errors: dict[int, Exception] = {}
    waited = set(places.values())
    while waited:
        try:
            future = finished.get(timeout=PULSE)
        except Empty:
            watch.look()
            continue
        place = places[future.key]
        try:
            results[place] = _outcome(future, watch.address)
        except _Lost:
            if finished.empty():  # else another job may say why its result is gone
                watch.look()
            finished.put(future)
        except Exception as error:  # of any job: raised below, unless a job before this one has another
            errors[place] = error
            waited = {one for one in waited if one < place}
        else:
            waited.discard(place)
            if progress:
                progress(place)
    if errors:
        raise errors[min(errors)]
    return [results[place] for place in range(len(futures))]


def _outcome(future: "Future[Any]", address: str) -> Any:  # noqa: ANN401 - values of any function
    """What a job that was reported as done gave.

    Raises:
        _Lost: if the worker that had the result died; the job is being done again.
        ComputeError: if the scheduler is gone, or the job ended its worker several times.
        Exception: the error of the job.
    """
    from distributed import KilledWorker

    if future.status == "cancelled":
        raise ComputeError(f"the Dask scheduler at {address} ended before the work was done: start it and run again")
    if future.status != "error":
        try:
            return future.result(timeout=PATIENCE)
        except TimeoutError:
            raise _Lost from None
    try:
        return future.result(timeout=PATIENCE)
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] != "utils":
            raise
        raise ComputeError(
            f"workers must have the package utils of the process that calls them, found none ({error}): install the "
            "same commit beside every worker and start it again"
        ) from None
    except KilledWorker as error:
        raise ComputeError(
            f"a worker must outlive its job, found {error.allowed_failures + 1} that ended during one and the same "
            "(too little memory, or a crash): give workers more memory or the job less data"
        ) from None


class _Lost(Exception):
    """A result is gone with its worker and not yet made again."""


class _Watch:
    """Knows since when a cluster has no worker.

    Attributes:
        address: of the scheduler.
    """

    def __init__(self, client: "Client", address: str) -> None:
        self.address = address
        self._client = client
        self._seen = time.monotonic()

    def wait(self) -> None:
        """Wait until there is a worker.

        Raises:
            ComputeError: if there is none for too long.
        """
        try:
            self._client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError:
            self._give_up()

    def look(self) -> None:
        """See whether there is a worker.

        Raises:
            ComputeError: if there has been none for too long.
        """
        with suppress(OSError):  # a scheduler that has just ended withdraws all jobs, which says more
            if self._client.scheduler_info(n_workers=1)["workers"]:
                self._seen = time.monotonic()
        if time.monotonic() - self._seen > PATIENCE:
            self._give_up()

    def _give_up(self) -> NoReturn:
        raise ComputeError(
            f"a cluster must have a worker, found none at {self.address} for {PATIENCE:.0f} seconds: start some with "
            f"dask worker {self.address}"
        )
