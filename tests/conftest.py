"""Fixtures that every test may use: a laboratory in an empty folder, the real files, and no way out to the internet."""

import os
import shutil
import socket
from pathlib import Path

import pytest

from utils import settings, tracking

pytest_plugins = ["tests.guide", "tests.moved_store", "tests.postgres"]

REPOSITORY = Path(__file__).resolve().parents[1]
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@pytest.fixture(autouse=True)
def _no_outside_network(monkeypatch):
    """Refuse every connection that is not to this machine, at once, as a machine without a network does."""
    connect = socket.socket.connect

    def guarded(self, address):
        if isinstance(address, tuple) and address[0] not in LOOPBACK:
            raise OSError(101, f"network is unreachable: {address[0]}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """Settings of a laboratory in an empty folder: the project's catalogue, no cache, no mirror, no network."""
    root = tmp_path / "lab"
    (root / "data").mkdir(parents=True)
    shutil.copy(REPOSITORY / "data" / "catalog.toml", root / "data" / "catalog.toml")
    monkeypatch.setenv("ANOMALY_ROOT", str(root))
    monkeypatch.setenv("ANOMALY_OFFLINE", "1")
    monkeypatch.delenv("ANOMALY_DATA_MIRROR", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return settings.current()


@pytest.fixture(scope="session")
def mirror_dir():
    """Folder with the real files; the test is skipped where there is none."""
    named = os.environ.get("ANOMALY_DATA_MIRROR")
    if not named:
        pytest.skip("ANOMALY_DATA_MIRROR is not set: no real files to read")
    folder = Path(named).resolve()
    if not folder.is_dir():
        pytest.fail(f"ANOMALY_DATA_MIRROR names {folder}, which is no folder")
    return folder


@pytest.fixture
def real_lab(mirror_dir, lab, monkeypatch):
    """A laboratory that reads the real files from the mirror."""
    monkeypatch.setenv("ANOMALY_DATA_MIRROR", str(mirror_dir))
    return settings.current()


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """A new MLflow store, made once: its database file."""
    root = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANOMALY_ROOT", str(root))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        tracking.open_store()
    return root / "mlflow.db"


@pytest.fixture
def store(lab, empty_store):
    """A laboratory with a new MLflow store of its own: its database file."""
    shutil.copy(empty_store, lab.store_file)
    return lab.store_file
