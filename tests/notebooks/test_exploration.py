"""Notebook 01 on data that are not simulated: a user's own, and the real files."""

import pytest

from tests.notebooks.running import run
from utils import audit, datasets, tracking

NAME = "01_exploration"
DOCUMENTED_LEAKS = {
    "api": ("A001", "num_users"),
    "cicids2017": ("A002", "Dst Port"),
    "hdfs": ("A009", "F1 0.668"),
    "nsl_kdd": ("A013", "difficulty"),
}

pytestmark = pytest.mark.slow


def test_own_data_appear_beside_the_projects(guided, store, lab):
    shown = run(lab, "01", DATASETS=[*guided, "traffic"])
    for name in guided:
        loaded = datasets.load(name)
        assert tracking.results(NAME, name)["rows"] == loaded[loaded.main].height
        assert f">{name}</td>" in shown
    assert "SIMULATED DATA: traffic" in shown


@pytest.mark.real
def test_every_data_set_of_the_mirror_is_real(real_lab, store):
    shown = run(real_lab, "01", SOURCE="auto")
    for name in ("api", "waf", "nsl_kdd", "cicids2017", "hdfs"):
        loaded = datasets.load(name, "real")
        assert loaded.source == "real"
        assert f"SIMULATED DATA: {name}" not in shown
        assert tracking.results(NAME, name)["rows"] == loaded[loaded.main].height
    for name, (code, sign) in DOCUMENTED_LEAKS.items():
        found = [finding for finding in audit.check(datasets.load(name, "real")) if finding.code == code]
        assert any(sign in f"{finding.what} {finding.evidence}" for finding in found)
        assert code in shown
