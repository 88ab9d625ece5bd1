"""Notebooks 06 and 07 on users' own data: compared, tuned, registered where somebody labelled, left out elsewhere."""

import pytest

from tests.notebooks.running import run
from tests.notebooks.test_detectors import own  # noqa: F401 - a fixture
from utils import tracking

pytestmark = pytest.mark.slow


def test_own_data_are_compared(own, guided, store, lab):  # noqa: F811
    shown = run(lab, "06", SOURCE="auto", DATASETS=[*own, *guided])
    assert "doors rows: which classifiers are as good as the best?" in shown
    results = tracking.results("06_classifier_selection", "doors")
    assert results["rows_random_forest_f1"] > 0.9
    assert results["rows_dummy_f1"] < 0.5


def test_own_data_have_a_champion_that_decides(own, guided, store, lab):  # noqa: F811
    shown = run(lab, "07", SOURCE="auto", DATASETS=[*own, *guided])
    assert "doors: version 1 is champion: nobody held the title." in shown
    assert "false alarms: " in shown
    champion = tracking.load_model("doors")
    alarm, normal = {"heat": 5, "speed": 0, "load": 5}, {"heat": 0, "speed": 0, "load": 0}
    decided = champion.decide([alarm, normal])
    assert decided["decision"].to_list() == [True, False]
    assert decided["reasons"][0].len() > 0
