"""Notebook 12: it says in one sentence that a store is empty, and shows own data sets beside the project's.

Its cells run in this process; :mod:`tests.notebooks.test_notebooks` runs it in a kernel, as users do.
"""

from pathlib import Path

import IPython.display
import nbformat
import polars as pl
import pytest

from tests.unit.test_leaderboard import DETECTORS, RULE_METRICS, RULES
from utils import tracking
from utils.leaderboard.board import EMPTY
from utils.plots import static

NAME = "12_leaderboard"
NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / f"{NAME}.ipynb"


@pytest.fixture
def run(store, monkeypatch):
    """A function that runs the cells on the laboratory's store and returns the words that they show."""
    shown = []
    monkeypatch.setattr(IPython.display, "display", lambda *given: shown.extend(given))
    monkeypatch.setattr(static, "svg", lambda figure: "<svg/>")

    def _run():
        names = {}
        for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
            if cell.cell_type == "code":
                exec(compile(cell.source, NAME, "exec"), names)
        return " ".join(str(getattr(each, "data", "")) for each in shown), names

    return _run


def test_an_empty_store_is_one_sentence(run):
    told, names = run()
    assert EMPTY in told
    assert names["scores"] is None
    assert tracking.results(NAME)["standings"] == 0


def test_own_data_sets_are_shown_with_what_their_lead_is_worth(run):
    stages = {
        "baseline": ("flows_rules", RULES["flows_rules"], RULE_METRICS),
        "detection": ("flows_detectors", DETECTORS["flows_detectors"], {"flows_OneClassSVM_roc_auc": 0.95}),
    }
    for stage, (table, rows, results) in stages.items():
        with tracking.start("mine", stage, notebook="03_x", stage=stage) as opened:
            opened.log_batch(tags={"data.name": "mine", "data.source": "simulated", "data.digest": "d"})
            opened.log_table(pl.DataFrame(rows), table)
            opened.log_results(results)
    told, names = run()
    assert "SIMULATED DATA: results on mine come from simulators" in told
    assert "*no labels* is really ahead of *one rule* in 1 of 1 data sets" in told
    assert names["within"]["leader"].to_list() == ["bytes ≤ 28", "one class SVM"]
    assert tracking.results(NAME)["mine/flows/one rule/f1"] == pytest.approx(0.7)
    (recorded,) = tracking.open_store().search_runs(["2"], f"tags.notebook = '{NAME}'")
    assert recorded.data.tags["stage"] == "leaderboard"
