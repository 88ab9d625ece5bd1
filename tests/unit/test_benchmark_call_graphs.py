"""Structure of the call-graph benchmarks at tiny sizes; nothing here looks at how long anything took."""

import sys
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from benchmarks import call_graphs, measure, registry
from benchmarks.registry import Scale

TINY = Scale(rounds=1, sessions=40)
pytestmark = pytest.mark.usefixtures("lab")


@pytest.fixture(autouse=True)
def _no_repeats(monkeypatch):
    monkeypatch.setattr(measure, "LEAST_SECONDS", 1e-9)
    monkeypatch.setattr(measure, "gc", SimpleNamespace(collect=lambda: None))


@pytest.fixture(scope="module")
def edges():
    return call_graphs.simulated_edges(40)


def test_the_case_gives_its_rows_and_the_peak_of_a_process_of_its_own(monkeypatch):
    monkeypatch.setattr(call_graphs, "SAMPLE", 10)
    rows = registry.CASES["call_graphs"](TINY)
    assert [str(row.bar) for row in rows if row.bar] == [">= 20x"]
    assert len(rows) == 3
    assert all(row.ours > 0 and row.baseline > 0 for row in rows)
    assert rows[0].size.startswith("40 graphs")
    assert rows[0].peak_mb is None or 50 < rows[0].peak_mb < call_graphs.MOST_MB


def test_the_latency_case_takes_one_graph_of_usual_size():
    rows = registry.CASES["call_graph_latency"](TINY)
    assert [row.baseline for row in rows] == [None, None]
    assert all(row.size.endswith(" edges") for row in rows)


def test_the_loop_is_timed_on_whole_graphs(edges, monkeypatch):
    monkeypatch.setattr(call_graphs, "SAMPLE", 7)
    sample = call_graphs.sampled(edges)
    assert sample["_id"].n_unique() == 7
    whole = edges.filter(pl.col("_id").is_in(sample["_id"].unique().implode()))
    assert sample.equals(whole)


def test_no_graph_loses_all_its_edges(monkeypatch):
    monkeypatch.setattr(call_graphs, "EDGES_A_GRAPH", 2)
    edges = call_graphs.simulated_edges(40)
    assert edges["_id"].n_unique() == 40
    assert edges.height < 160


def test_different_features_are_not_accepted(edges):
    loop = call_graphs.published_by_loop(edges)
    ours = call_graphs.published(edges)
    call_graphs._require_same(ours, loop, call_graphs.TOLERANCE)
    with pytest.raises(RuntimeError, match="must be those of networkx"):
        call_graphs._require_same(ours + np.array([1e-3, *[0] * 8]), loop, call_graphs.TOLERANCE)


@pytest.mark.parametrize(("printed", "found"), [("null", None), ("123.5", 123.5)])
def test_the_peak_is_what_the_process_says(printed, found, edges, monkeypatch):
    monkeypatch.setattr(call_graphs.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=printed))
    assert call_graphs.peak_mb(edges) == found


def test_too_much_memory_is_not_accepted(edges, monkeypatch):
    monkeypatch.setattr(call_graphs.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout="2000"))
    with pytest.raises(RuntimeError, match="at most 1500 MB, found 2000"):
        call_graphs.peak_mb(edges)


def test_without_networkx_the_case_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(RuntimeError, match="needs networkx, found none: install"):
        registry.CASES["call_graphs"](TINY)
