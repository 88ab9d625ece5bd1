"""What an interrupted registration leaves in the store, and how it is taken back.

The alias moves last, in one step of the store: before it, nothing that was written is used by anybody. A registration
that is cut short takes back the version and the files of its model; one that was killed cannot, so the next retraining
of the same data set does it.
"""

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from utils.tracking.models import discard
from utils.tracking.runs import Run
from utils.tracking.store import open_store, stored

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

STAGE = "retraining"
"""Tag ``stage`` of the runs of this package."""

GIVEN_UP = 6 * 3_600_000
"""Milliseconds after which an open run of a retraining counts as killed."""

KILLED = "the process was killed before the run ended"


@contextlib.contextmanager
def taken_back(run: Run) -> Iterator[None]:
    """Take back what the block has registered from a run if it fails or is interrupted.

    A version that holds an alias already is complete and stays.
    """
    try:
        yield
    except BaseException:
        with contextlib.suppress(Exception):  # the first failure is the one to tell
            take_back(run.client, run.id, run.experiment_id)
        raise


def sweep(name: str) -> int:
    """End the runs that killed retrainings of a data set left open, and take back what they had registered.

    Returns:
        How many there were.

    Raises:
        TrackingError: if the store cannot be used.
    """
    client = open_store()
    with stored("the end of killed runs"):
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            return 0
        before = time.time_ns() // 1_000_000 - GIVEN_UP
        left = f"tags.stage = '{STAGE}' and attributes.status = 'RUNNING' and attributes.start_time < {before}"
        found = client.search_runs([experiment.experiment_id], left)
        for entry in found:
            take_back(client, entry.info.run_id, experiment.experiment_id)
            client.set_tag(entry.info.run_id, "error", KILLED)
            client.set_terminated(entry.info.run_id, "KILLED")
    return len(found)


def take_back(client: "MlflowClient", run_id: str, experiment_id: str) -> None:
    """Delete the versions of a run that no alias names, its models that no version is made of, and their files."""
    kept = set()
    for version in client.search_model_versions(f"run_id = '{run_id}'"):
        named = client.get_model_version(version.name, version.version)
        if named.aliases:
            kept.add(str(named.source).removeprefix("models:/"))
            continue
        client.delete_model_version(version.name, version.version)
        _delete_if_empty(client, version.name)
    for model in client.search_logged_models([experiment_id], f"source_run_id = '{run_id}'"):
        if model.model_id not in kept:
            discard(client, model.model_id)


def _delete_if_empty(client: "MlflowClient", name: str) -> None:
    if not client.search_model_versions(f"name = '{name}'"):
        client.delete_registered_model(name)
