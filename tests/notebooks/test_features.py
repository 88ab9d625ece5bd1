"""Notebook 02: what it writes, what it refuses, and what it records."""

import re

import pytest

from tests.notebooks.running import run
from utils import audit, datasets, tracking
from utils.features import tables

NAME = "02_feature_engineering"
TORN = """
[torn]
kind = "log"
files = ["own/torn.log"]
header = '(?P<time>\\S+ \\S+) (?P<content>.*)'
session = 'req-\\d+'
labels = "own/torn_labels.csv"
anomaly = ["bad"]
"""

STEPS = ("the cart was opened", "payment of 12 EUR began", "stock was reserved", "an order was sent")

pytestmark = pytest.mark.slow


@pytest.fixture
def torn(lab):
    """A user's log in which sessions of the same events are normal and bad in turn."""
    lines = [f"2024-05-01 08:{n // 60:02}:{n % 60:02} [req-{n}] {what}" for n in range(300) for what in STEPS[n % 4 :]]
    labels = [f"req-{n},{('good', 'bad')[n // 4 % 2]}" for n in range(300)]
    (lab.data_dir / "own").mkdir(exist_ok=True)
    (lab.data_dir / "own" / "torn.log").write_text("\n".join(lines) + "\n")
    (lab.data_dir / "own" / "torn_labels.csv").write_text("\n".join(["session,label", *labels]) + "\n")
    with lab.catalog_file.open("a", encoding="utf-8") as catalogue:
        catalogue.write(TORN)
    return "torn"


def test_tables_are_written_and_a_contradiction_is_refused(guided, torn, store, lab):
    names = ["api", "hdfs", *guided, torn]
    shown = run(lab, "02", SOURCE="auto", DATASETS=names)
    for name in names:
        loaded = datasets.load(name, budget="fast")
        written = tables.read(name, loaded.source)
        assert written.digest == tables.current(loaded).digest
        assert [finding for finding in audit.check(written) if finding.severity == "high"] == []
        found = tracking.results(NAME, name)
        assert found["tables"] == len(written.frames)
        assert found["rows"] == sum(frame.height for frame in written.frames.values())
    assert "SIMULATED DATA: api" in shown
    refused = tables.read(torn, "real")
    assert list(refused.frames) == ["templates"]
    assert "A008 Equal rows carry different labels." in refused.missing["sessions"]
    assert "A008 Equal rows carry different labels." in shown
    assert re.search(r"1 refused by the audit\s*\(torn sessions\)", shown.replace("\\n", "\n"))
    api = tables.read("api", "simulated")
    assert tracking.results(NAME, "api")["graphs_features"] == len(api.roles["graphs"].features)
    assert tracking.results(NAME, "api")["graphs_best_single_auc"] < 0.99
    assert -1 <= tracking.results(NAME, "api")["graphs_stability"] <= 1


@pytest.mark.real
def test_sessions_of_the_truncated_log_are_refused(real_lab, store):
    shown = run(real_lab, "02", SOURCE="real", DATASETS=["hdfs"])
    written = tables.read("hdfs", "real")
    assert set(written.frames) == {"sequences", "templates"}
    assert "A008" in written.missing["blocks"]
    assert "1 refused by the audit" in shown
    assert "hdfs blocks" in shown
    assert tracking.results(NAME, "hdfs")["tables"] == 2
