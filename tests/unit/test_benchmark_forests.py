"""Forests row by row beside other libraries, at a tiny size; ONNX Runtime itself is not needed."""

from pathlib import Path
from types import SimpleNamespace

import joblib
import numpy as np
import pytest

from benchmarks import forests, measure, registry
from benchmarks.registry import Scale

TINY = Scale(rounds=1, lines=400)
pytestmark = pytest.mark.usefixtures("lab")


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    monkeypatch.setattr(measure, "LEAST_SECONDS", 1e-9)
    monkeypatch.setattr(measure, "gc", SimpleNamespace(collect=lambda: None))
    monkeypatch.setattr(forests, "SINGLES", 20)
    monkeypatch.setattr(forests, "SLOW_SINGLES", 2)
    monkeypatch.setattr(forests, "TREES", 5)


@pytest.fixture
def onnx(monkeypatch):
    """The script of ONNX Runtime, with scikit-learn in its place and so much between them."""
    between = SimpleNamespace(gap=0.0)

    def json_of(script, forest, rows, chances, python):
        found = joblib.load(forest).predict_proba(np.load(rows))[:, 1]
        np.save(chances, found + between.gap)
        return {"one by one": 0.25, "many": 0.01}

    monkeypatch.setattr(forests, "json_of", json_of)
    monkeypatch.setattr(forests.peers, "found", lambda peer: (Path("python"), ""))
    return between


def test_both_libraries_stand_beside_ours(onnx):
    usual, single = registry.CASES["forests"](TINY)
    assert usual.baseline > 0
    assert (single.baseline, single.problem) == (0.25, "")
    assert usual.ours == single.ours > 0
    assert single.size.startswith("20 rows x ")


def test_other_probabilities_are_not_accepted(onnx, monkeypatch):
    onnx.gap = 1e-3
    with pytest.raises(RuntimeError, match="ONNX Runtime must give the same"):
        forests.forest_by_row(TINY)
    monkeypatch.setattr(forests, "scores_of", lambda forest: (lambda rows: np.full(len(rows), 0.3), True))
    with pytest.raises(RuntimeError, match=r"check compiled\.forest"):
        forests.forest_by_row(TINY)


def test_without_onnx_the_reason_is_told(onnx, monkeypatch):
    monkeypatch.setattr(forests.peers, "found", lambda peer: (None, "no network"))
    assert [row.problem for row in forests.forest_by_row(TINY)] == ["", "no network"]
