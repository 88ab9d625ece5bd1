"""Structure of the DBSCAN benchmarks at tiny sizes; nothing here looks at how long anything took."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import dbscan, intelex_fits, registry
from benchmarks.registry import Scale

TINY = Scale(rounds=1, sessions=400)
pytestmark = pytest.mark.usefixtures("lab", "no_repeats")


@pytest.fixture
def memory(monkeypatch):
    """Memory as if it had been measured in processes of their own."""
    found = {"ours": 10.0, "theirs": 200.0, "published": 50.0}
    monkeypatch.setattr(dbscan, "memory_of", lambda name, rows: found[name])
    return found


@pytest.mark.parametrize(
    ("case", "bars"),
    [
        ("dbscan_sweep", [">= 5x"]),
        ("dbscan_fit", ["< 15 s", "< 2,000 MB", "< 0.4 s"]),
        ("dbscan_repeats", [">= 10x", ">= 10x"]),
    ],
)
def test_each_case_gives_its_rows(case, bars, memory):
    rows = registry.CASES[case](TINY)
    assert [str(row.bar) for row in rows if row.bar] == bars
    assert all(row.ours > 0 and row.data in (dbscan.SIMULATED, "simulator") for row in rows)


def test_too_much_memory_misses_its_bar(memory):
    memory.update(theirs=50.0, published=3_000.0)
    assert [row.met for row in dbscan.fit_repeated_rows(TINY) if row.unit == "MB"] == [False]
    assert [row.met for row in dbscan.fit_and_label(TINY) if row.unit == "MB"] == [False]


@pytest.fixture
def intelex(monkeypatch):
    """The script that the other library runs, with scikit-learn's DBSCAN in its place."""
    monkeypatch.setitem(sys.modules, "sklearnex.cluster", SimpleNamespace(DBSCAN=dbscan.Reference))
    monkeypatch.setattr(dbscan.peers, "found", lambda peer: (Path("python"), ""))

    def json_of(script, *arguments, python):
        printed = []
        monkeypatch.setattr(intelex_fits, "print", printed.append, raising=False)
        intelex_fits.main(*arguments)
        return json.loads(printed[0])

    monkeypatch.setattr(dbscan, "json_of", json_of)


def test_beside_another_library(intelex, monkeypatch):
    (row,) = registry.CASES["dbscan_peer"](TINY)
    assert row.baseline > 0
    assert row.problem == ""
    assert row.size == "400 x 9; adjusted Rand index 1.0000 or more, noise differs in 0 rows at most"
    monkeypatch.setattr(dbscan.peers, "found", lambda peer: (None, "no network"))
    (row,) = registry.CASES["dbscan_peer"](TINY)
    assert (row.baseline, row.problem) == (None, "no network")


def test_how_far_labels_agree_is_told():
    labels = np.repeat([0, 1, -1], 50)
    same = dbscan._agreement([labels], [np.repeat([5, 2, -1], 50)])
    assert same == "adjusted Rand index 1.0000 or more, noise differs in 0 rows at most"
    other = labels.copy()
    other[:3] = -1
    assert dbscan._agreement([labels, labels], [labels, other]).endswith("noise differs in 3 rows at most")


def test_other_labels_are_not_accepted():
    labels = np.array([0, 0, -1])
    dbscan._require_same([labels], [labels.copy()])
    for other in ([np.array([1, 1, -1])], [labels, labels], []):
        with pytest.raises(RuntimeError, match="those of scikit-learn"):
            dbscan._require_same([labels], other)


def test_points_are_made_where_no_file_is_at_hand():
    rows, data = dbscan.published_points(500)
    assert (rows.shape, data) == ((500, 9), dbscan.SIMULATED)
    assert len(np.unique(rows, axis=0)) == 400
    assert len(np.unique(dbscan.repeated_points(500), axis=0)) == 100


def test_memory_is_that_of_a_process(monkeypatch):
    monkeypatch.setattr(dbscan, "_reset_peak", lambda: None)
    assert dbscan.added_memory("ours", 300) > 0
    monkeypatch.setattr(dbscan, "json_of", lambda *arguments: len(arguments))
    assert dbscan.memory_of("theirs", 300) == 3.0
