"""Challengers of one name decide one after another, whoever they are and wherever they run.

MLflow has no step that looks at an alias and moves it at once, so two challengers that meet the same champion could
both take its place, the worse one last. But its store gives every new version a number of its own, in order: a version
is registered with a tag that says that its challenge is open, and waits until those with lower numbers have decided.

What is guaranteed: each challenge is decided against the champion of its turn, and none is overwritten unseen. One
that says nothing for :data:`PATIENCE` seconds while others wait for it loses its turn, and finds that out before it
would move the alias. People who move an alias by hand are not waited for.

Source:
    Lamport, "A new solution of Dijkstra's concurrent programming problem", Communications of the ACM 17(8), 1974.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from utils.errors import TrackingError
from utils.tracking.store import stored

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

TAG = "challenge"
OPEN: Mapping[str, str] = MappingProxyType({TAG: "open"})
LOST = "lost"
PATIENCE = 120.0
PAUSE = 0.5
"""Seconds between two looks at those who are before."""

OVER = frozenset({"FINISHED", "FAILED", "KILLED"})
WHY_LOST = "it was silent for so long that others decided before it"


@contextlib.contextmanager
def turn(client: "MlflowClient", name: str, number: int) -> Iterator[None]:
    """Wait for the turn of a version that was registered with the tags :data:`OPEN`; the block decides.

    Raises:
        TrackingError: if the store cannot be read or written.
    """
    _wait(client, name, number)
    try:
        yield
    except BaseException:
        with contextlib.suppress(TrackingError):  # the first failure is the one to tell
            _close(client, name, number)
        raise
    _close(client, name, number)


def is_open(client: "MlflowClient", name: str, number: int) -> bool:
    """Whether a version may still decide: it is there, and has not lost its turn.

    Raises:
        TrackingError: if the store cannot be read.
    """
    return any(int(one.version) == number for one in _open(client, name))


def _close(client: "MlflowClient", name: str, number: int) -> None:
    if is_open(client, name, number):
        with stored(f"the end of the challenge of version {number} of model {name!r}"):
            client.delete_model_version_tag(name, str(number), TAG)


def _wait(client: "MlflowClient", name: str, number: int) -> None:
    before: list[int] = []
    last = time.monotonic() + PATIENCE
    while found := [one for one in _open(client, name) if int(one.version) < number and not _over(client, one)]:
        waiting = sorted(int(one.version) for one in found)
        if waiting != before:
            before, last = waiting, time.monotonic() + PATIENCE
        elif time.monotonic() > last:
            with stored(f"the lost turn of version {waiting[0]} of model {name!r}"):
                client.set_model_version_tag(name, str(waiting[0]), TAG, LOST)
            continue
        time.sleep(PAUSE)


def _open(client: "MlflowClient", name: str) -> list["ModelVersion"]:
    """Versions of a name whose challenge is open."""
    quote = '"' if "'" in name else "'"
    with stored(f"the search for versions of model {name!r}"):
        found = client.search_model_versions(f"name = {quote}{name}{quote}")
    return [one for one in found if (one.tags or {}).get(TAG) == OPEN[TAG]]


def _over(client: "MlflowClient", version: "ModelVersion") -> bool:
    """Whether the run that made a version has ended, so that nobody decides on it any more."""
    if not version.run_id:
        return True
    with stored(f"the search for the run of version {version.version} of model {version.name!r}"):
        return client.get_run(version.run_id).info.status in OVER
