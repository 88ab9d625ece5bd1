"""The real data sets, each loaded once, in a laboratory that nothing else reads or writes."""

import shutil
from functools import cache
from pathlib import Path

import pytest

from utils import datasets

CATALOG = Path(__file__).resolve().parents[2] / "data" / "catalog.toml"


@pytest.fixture(scope="session")
def real_data(mirror_dir, tmp_path_factory):
    """A function that gives a data set of the mirror by its name."""
    root = tmp_path_factory.mktemp("real")
    (root / "data").mkdir()
    shutil.copy(CATALOG, root / "data" / CATALOG.name)

    @cache
    def load(name):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ANOMALY_ROOT", str(root))
            patch.setenv("ANOMALY_OFFLINE", "1")
            patch.setenv("ANOMALY_DATA_MIRROR", str(mirror_dir))
            return datasets.load(name, "real")

    return load


@pytest.fixture(scope="session")
def loghub(mirror_dir):
    """The folder of raw logs beside the mirror."""
    folder = mirror_dir.parent / "loghub"
    if not folder.is_dir():
        pytest.skip(f"no raw logs beside the mirror: {folder} is missing")
    return folder
