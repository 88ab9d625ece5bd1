"""Notebooks 04 and 05 on users' own data: ranked where nobody labelled, judged where somebody did."""

import numpy as np
import polars as pl
import pytest

from tests.notebooks.running import run
from utils import tracking

pytestmark = pytest.mark.slow

ENTRIES = """
[machines]
kind = "table"
files = ["own/machines.csv"]

[doors]
kind = "table"
files = ["own/doors.csv"]
columns = { label = "wrong", time = "when" }
anomaly = ["true"]
"""


def measured(rows, seed):
    """Two crowds of rows, and rows between them, the last ones, of which no column tells by itself."""
    rng = np.random.default_rng(seed)
    far = np.arange(rows) >= 0.9 * rows
    crowd = np.where(far, 2, rng.integers(0, 2, rows))
    levels = {"heat": (0, 5, 5), "speed": (0, 5, 0), "load": (0, 5, 5)}
    numbers = {name: (np.array(level)[crowd] + rng.normal(0, 0.7, rows)).round(3) for name, level in levels.items()}
    return pl.DataFrame(numbers), far


@pytest.fixture
def own(lab):
    """A table that nobody labelled, and one with labels and times."""
    (lab.data_dir / "own").mkdir(exist_ok=True)
    measured(400, 1)[0].write_csv(lab.data_dir / "own" / "machines.csv")
    frame, far = measured(600, 2)
    hours = np.random.default_rng(3).permutation(600)
    when = pl.Series("when", [f"2026-03-{1 + hour // 24:02d} {hour % 24:02d}:00:00" for hour in hours])
    frame.with_columns(when, pl.Series("wrong", far)).write_csv(lab.data_dir / "own" / "doors.csv")
    with lab.catalog_file.open("a", encoding="utf-8") as catalogue:
        catalogue.write(ENTRIES)
    return ["machines", "doors"]


def test_own_data_are_judged_or_ranked_with_reasons(own, guided, store, lab):
    shown = run(lab, "04", SOURCE="auto", DATASETS=[*own, *guided])
    assert "no labels: the most abnormal rows" in shown
    assert "doors, later days" in shown
    results = tracking.results("04_unsupervised_detectors", "doors")
    assert results["rows_NearestNeighbours_roc_auc"] > 0.95
    names = {entry.name for entry in tracking.open_store(write=False).search_experiments()}
    assert {*own, *guided} <= names


def test_own_data_are_clustered(own, guided, store, lab):
    shown = run(lab, "05", SOURCE="auto", DATASETS=[*own, *guided])
    assert "machines rows: what does each setting find" in shown
    assert tracking.results("05_dbscan_labelling", "doors")["rows_purity"] > 0.9
