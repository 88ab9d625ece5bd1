"""Notebook 10 on users' own flows: edges are judged without labels, and what is no traffic is left out."""

from datetime import datetime, timedelta

import pytest

from tests.notebooks.running import run
from utils import tracking

pytestmark = pytest.mark.slow

NAME = "10_traffic_graphs"
ENTRY = """
[plant]
kind = "table"
files = ["own/plant.csv"]
columns = { time = "when" }
"""


@pytest.fixture
def plant(lab):
    """Six days of flows between machines, with one hour on the last day in which one of them calls all others."""
    start, lines = datetime(2024, 5, 6), ["when,src,dst,bytes,packets"]
    for minute in range(0, 6 * 1_440, 7):
        when = start + timedelta(minutes=minute)
        lines += [f"{when},machine-{minute % 5},hub,{100 + minute % 13},{1 + minute % 3}"]
        if when.day == 11 and when.hour == 12:
            lines += [f"{when},machine-1,machine-{other},60,1" for other in range(5, 40)]
    (lab.data_dir / "own").mkdir(exist_ok=True)
    (lab.data_dir / "own" / "plant.csv").write_text("\n".join(lines) + "\n")
    with lab.catalog_file.open("a", encoding="utf-8") as catalogue:
        catalogue.write(ENTRY)
    return "plant"


def test_own_flows_are_judged_and_other_data_left_out(plant, guided, store, lab):
    shown = run(lab, "10", SOURCE="auto", DATASETS=[plant, *guided])
    assert "machine-1" in shown
    assert "has no labels" in shown
    results = tracking.results(NAME, plant)
    flagged = results["edges/history and graph p-values/real"]
    assert 0.02 < flagged < 0.6
