"""Notebook 08 on a user's own table: the same numbers in its processes and here, and tables it cannot judge named."""

import pytest

from tests.notebooks.running import run
from tests.notebooks.test_detectors import measured
from utils import audit, datasets, settings, tracking
from utils.classifiers.representations import trials

pytestmark = pytest.mark.slow

NAME = "08_feature_representations"
ENTRIES = """
[doors]
kind = "table"
files = ["own/doors.csv"]
columns = { label = "wrong" }
anomaly = ["true"]

[few]
kind = "table"
files = ["own/few.csv"]
columns = { label = "wrong" }
anomaly = ["true"]
"""


@pytest.fixture
def own(lab):
    """A labelled table, and before it one with so few rows of a class that splits cannot be repeated."""
    (lab.data_dir / "own").mkdir(exist_ok=True)
    for name, rows in (("doors", 400), ("few", 60)):
        frame, far = measured(rows, 2)
        frame.with_columns(wrong=far).write_csv(lab.data_dir / "own" / f"{name}.csv")
    with lab.catalog_file.open("a", encoding="utf-8") as catalogue:
        catalogue.write(ENTRIES)
    return ["few", "doors"]


def test_own_tables_give_the_same_numbers_in_every_process(own, store, lab):
    shown = run(lab, "08", SOURCE="auto", DATASETS=own)
    assert "No connections at hand." in shown
    assert "is left out: repeated splits need" in shown
    data = datasets.load_all(own, "auto", seed=42, budget="fast")
    processed = {name: audit.admitted_tables(dataset, seed=42) for name, dataset in data.items()}
    _, plan = trials.plans(settings.budget("fast"), 42)
    found, left_out = trials.over_tables(processed, {}, otherwise=plan)
    assert set(left_out) == {("few", "rows")}
    results = tracking.results(NAME, "doors")
    assert results == trials.results(found, "doors")
    assert results["rows_random_forest_all_features_3_f1"] > 0.5
