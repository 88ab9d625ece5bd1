"""A Dask cluster of separate processes: a scheduler, and workers that can be killed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import eventually
from utils import compute
from utils.compute import cluster as connections
from utils.compute import versions

REPOSITORY = Path(__file__).resolve().parents[2]
SCHEDULER = "import sys; sys.modules['utils'] = None; from distributed.cli.dask_scheduler import main; main()"
"""A scheduler without the package."""
WORKER = "from distributed.cli.dask_worker import main; main()"
LIMIT = 60
"""Seconds until a process must have begun."""


class Cluster:
    """Processes of a cluster on free ports of this machine, with a copy of the package that nobody edits.

    Args:
        folder: empty folder for its files.
    """

    def __init__(self, folder):
        self.folder, self.workers = folder, []
        shutil.copytree(REPOSITORY / "utils", folder / "installed" / "utils")
        # A job may end one worker and no more.
        self._environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(folder / "installed"), str(REPOSITORY)]),
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
            "OMP_NUM_THREADS": "1",
            "POLARS_MAX_THREADS": "1",
        }
        self._environment.pop("ANOMALY_COMPUTE", None)
        known = folder / "scheduler.json"
        self.scheduler = self._started(SCHEDULER, "--port", "0", "--scheduler-file", str(known))
        eventually(
            lambda: self.scheduler.poll() is not None or (known.exists() and known.read_text().endswith("}")), LIMIT
        )
        assert self.scheduler.poll() is None, "the scheduler ended"
        self.address = json.loads(known.read_text())["address"]

    def have(self, number):
        """Start workers until there are so many."""
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        while len(self.workers) < number:
            scratch = ("--local-directory", str(self.folder))
            self.workers.append(self._started(WORKER, self.address, "--no-nanny", "--nthreads", "1", *scratch))
        connections.client_of(self.address).wait_for_workers(number, timeout=LIMIT)

    def kill_one(self, *_):
        """Kill the first worker, once: what is left is another number of workers than :meth:`have` made."""
        if self.workers and all(worker.poll() is None for worker in self.workers):
            self.workers[0].kill()
            self.workers[0].wait()

    @property
    def killed(self):
        return sum(worker.poll() is not None for worker in self.workers)

    def stop(self):
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()

    def _started(self, program, *arguments):
        command = [sys.executable, "-c", program, "--host", "127.0.0.1", "--no-dashboard", *arguments]
        with (self.folder / "log").open("a") as log:
            return subprocess.Popen(
                command, env=self._environment, cwd=self.folder, stdout=log, stderr=subprocess.STDOUT
            )


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    """A cluster without workers."""
    pytest.importorskip("distributed", reason="Dask is not installed (extra dask)")
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(versions, "PACKAGE", made.folder / "installed" / "utils")
        versions.of_this_process.cache_clear()
        try:
            yield made
        finally:
            versions.of_this_process.cache_clear()
            compute.disconnect()
            made.stop()


@pytest.fixture
def dask(machines, monkeypatch):
    """A cluster of two workers that the settings name."""
    machines.have(2)
    monkeypatch.setenv("ANOMALY_COMPUTE", machines.address)
    return machines
