"""Structure of the call-graph benchmarks at tiny sizes; nothing here looks at how long anything took."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from benchmarks import call_graphs, graph_peers, registry
from benchmarks.registry import Scale

TINY = Scale(rounds=1, sessions=40)
pytestmark = pytest.mark.usefixtures("lab", "no_repeats")


@pytest.fixture(scope="module")
def edges():
    return call_graphs.simulated_edges(40)


def test_the_case_gives_its_rows_and_the_peak_of_a_process_of_its_own(monkeypatch):
    monkeypatch.setattr(call_graphs, "SAMPLE", 10)
    rows = registry.CASES["call_graphs"](TINY)
    assert [str(row.bar) for row in rows if row.bar] == [">= 20x", "< 1,500 MB"]
    assert all(row.ours > 0 and row.baseline > 0 for row in rows[:3])
    assert rows[0].size.startswith("40 graphs")
    assert rows[3].problem or 50 < rows[3].ours < call_graphs.MOST_MB


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
    with pytest.raises(RuntimeError, match="must be those of the loop"):
        call_graphs._require_same(ours + np.array([1e-3, *[0] * 8]), loop, call_graphs.TOLERANCE)


@pytest.mark.parametrize("found", [None, 123.5])
def test_the_peak_is_what_the_process_says(found, edges, monkeypatch):
    monkeypatch.setattr(call_graphs, "json_of", lambda *_: found)
    assert call_graphs.peak_mb(edges) == found


class Digraph:
    """What the loops need of a graph library."""

    def __init__(self):
        self.edges = []

    def add_nodes_from(self, names):
        self.names = names

    def add_edges_from_no_data(self, edges):
        self.edges = edges

    def out_degree(self, node):
        return sum(source == node for source, _ in self.edges)

    def in_degree(self, node):
        return sum(target == node for _, target in self.edges)

    @classmethod
    def TupleList(cls, edges, directed):
        graph = cls()
        names = sorted({name for edge in edges for name in edge})
        graph.edges, graph.vs = edges, {"name": names}
        graph.outdegree = lambda: [graph.out_degree(name) for name in names]
        graph.indegree = lambda: [graph.in_degree(name) for name in names]
        return graph


@pytest.fixture
def libraries(monkeypatch):
    """The scripts of both libraries, with a graph of our own."""
    for name in ("rustworkx", "igraph"):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(PyDiGraph=Digraph, Graph=Digraph))
    monkeypatch.setattr(call_graphs.peers, "found", lambda peer: (Path("python"), ""))
    monkeypatch.setattr(call_graphs, "SAMPLE", 6)

    def json_of(script, *arguments, python):
        printed = []
        monkeypatch.setattr(graph_peers, "print", printed.append, raising=False)
        graph_peers.main(*arguments)
        return json.loads(printed[0])

    monkeypatch.setattr(call_graphs, "json_of", json_of)


def test_other_libraries_find_the_same_features(libraries, monkeypatch):
    rows = registry.CASES["call_graph_peers"](TINY)
    assert [row.against.split(",")[0] for row in rows] == ["rustworkx", "igraph"]
    assert all(row.baseline > 0 and not row.problem for row in rows)
    monkeypatch.setattr(call_graphs.peers, "found", lambda peer: (None, "no network"))
    assert {row.problem for row in registry.CASES["call_graph_peers"](TINY)} == {"no network"}


def test_without_networkx_the_case_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(RuntimeError, match="needs networkx, found none: install"):
        registry.CASES["call_graphs"](TINY)
