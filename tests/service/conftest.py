"""The real service, started once on a copy of the committed reference store."""

import shutil
import subprocess
from pathlib import Path

import pytest

from utils.serving import client

ROOT = Path(__file__).resolve().parents[2]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "ANOMALY_OFFLINE": "1"}


def copy_of_store(folder: Path) -> Path:
    """Copy the committed store into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if (ROOT / ".git").exists():
        archive = subprocess.run(
            ["git", "-C", str(ROOT), "archive", "HEAD", "mlflow.db", "mlartifacts", "data/catalog.toml"],
            capture_output=True,
            check=True,
        ).stdout
        subprocess.run(["tar", "x", "-C", str(folder)], input=archive, check=True)
    else:
        shutil.copytree(ROOT / "mlartifacts", folder / "mlartifacts")
        shutil.copy(ROOT / "mlflow.db", folder / "mlflow.db")
        shutil.copytree(ROOT / "data", folder / "data")
    return folder


def variables(folder: Path) -> dict[str, str]:
    """Environment of a service on a store."""
    return {**ONE_THREAD, "ANOMALY_ROOT": str(folder), "MLFLOW_TRACKING_URI": ""}


@pytest.fixture(scope="session")
def reference(tmp_path_factory):
    """A copy of the committed store that tests may change."""
    if not (ROOT / "mlflow.db").exists():
        pytest.skip("no reference store is committed: no mlflow.db")
    return copy_of_store(tmp_path_factory.mktemp("served") / "lab")


@pytest.fixture(scope="session")
def service(reference):
    """The service of all champions of the copy."""
    with client.running(arguments=["--watch-seconds", "0.2"], environment=variables(reference)) as running:
        yield running


@pytest.fixture
def in_reference(reference, monkeypatch):
    """This process works on the same copy."""
    for name, value in variables(reference).items():
        monkeypatch.setenv(name, value)
    return reference
