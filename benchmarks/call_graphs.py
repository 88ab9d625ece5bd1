"""Call-graph features of all graphs at once, against a loop over graphs with networkx.

The loop is timed on a sample of the same graphs, and its time scaled by the number of edges: for all of them it would
take minutes. What it finds for the sample is compared with what ours finds for the same sample.
"""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl

from benchmarks.measure import Measured, in_turns
from benchmarks.registry import Bar, Row, Scale, case
from utils import settings
from utils.features.call_graph import PUBLISHED, CallGraphFeatures, describe, nest_edges
from utils.simulate import api as simulator

GRAPHS = 35_000
EDGES_A_GRAPH = 5_000_000 / GRAPHS
SAMPLE = 700
MOST_MB = 1_500
TOLERANCE = 1e-9
PAGE_RANK = ("mean_page_rank", "std_page_rank", "max_page_rank")
CLUSTERING = ("avg_clustering",)
DATA = "simulator"

Features = np.ndarray[Any, np.dtype[np.float64]]


@case("call_graphs")
def degrees_of_call_graphs(scale: Scale) -> list[Row]:
    """Compute the nine published features, which are about degrees, and the shape features on their own."""
    networkx()
    edges = simulated_edges(min(scale.sessions, GRAPHS))
    sample = sampled(edges)
    works: dict[str, Callable[[], Any]] = {
        "published": lambda: published(edges),
        "loop published": lambda: published_by_loop(sample),
        "clustering": lambda: describe(edges, features=CLUSTERING),
        "loop clustering": lambda: clustering_by_loop(sample),
        "page rank": lambda: describe(edges, features=PAGE_RANK),
        "loop page rank": lambda: page_rank_by_loop(sample),
    }
    cost = in_turns(works, scale.rounds)
    _require_same(published(sample), cost["loop published"].value, TOLERANCE)
    _require_same(_values(sample, CLUSTERING), cost["loop clustering"].value, TOLERANCE)
    # The loop stops when PageRank moves by less than 1e-6 a node, which is its usual setting; ours goes on to 1e-10.
    _require_same(_values(sample, PAGE_RANK), cost["loop page rank"].value, 1e-2)
    size = f"{edges['_id'].n_unique():,} graphs, {edges.height:,} edges; networkx on {SAMPLE}, scaled by edges"
    claims = {"published": Bar("ratio", 20), "clustering": None, "page rank": None}
    titles = {
        "published": "call graphs: nine published features",
        "clustering": "call graphs: clustering",
        "page rank": "call graphs: PageRank",
    }
    peaks = {"published": peak_mb(edges)}
    scaled = edges.height / sample.height
    return [
        _row(titles[name], cost[name], cost[f"loop {name}"].median * scaled, bar, size, peaks.get(name))
        for name, bar in claims.items()
    ]


@case("call_graph_latency")
def one_call_graph(scale: Scale) -> list[Row]:
    """Compute all features of one graph of usual size with a fitted transformer, as a service does."""
    graphs = nest_edges(simulated_edges(min(scale.sessions, 2_000)))
    usual = graphs["from"].list.len()
    one = graphs[int((usual - int(EDGES_A_GRAPH)).abs().arg_min() or 0)]
    few, everything = CallGraphFeatures(PUBLISHED).fit(graphs), CallGraphFeatures().fit(graphs)
    works = {"published": lambda: few.transform(one), "all": lambda: everything.transform(one)}
    cost = in_turns(works, scale.rounds)
    size = f"{one['from'].list.len().item()} edges"
    bar = Bar("seconds", 0.01)
    return [
        _row("one call graph: nine published features", cost["published"], None, bar, size, None),
        _row("one call graph: all features", cost["all"], None, bar, size, None),
    ]


def simulated_edges(graphs: int) -> pl.DataFrame:
    """Simulate call graphs and leave out edges at random until there are 143 a graph, as in the claim."""
    edges = simulator.simulate(graphs, settings.SEED)["edges"]
    share = min(1.0, graphs * EDGES_A_GRAPH / edges.height)
    kept = np.random.default_rng(settings.SEED).random(edges.height) < share
    first = (edges["_id"] != edges["_id"].shift()).fill_null(True)
    return edges.filter(first | pl.Series(kept))


def sampled(edges: pl.DataFrame) -> pl.DataFrame:
    """Draw the graphs on which the loop is timed."""
    ids = edges["_id"].unique(maintain_order=True)
    drawn = ids.sample(min(SAMPLE, len(ids)), seed=settings.SEED)
    return edges.join(drawn.to_frame(), on="_id", how="semi", maintain_order="left")


def published(edges: pl.DataFrame) -> Features:
    """Compute the nine published features, degrees counted over all graphs that are given."""
    values: Features = CallGraphFeatures(PUBLISHED, degrees="transductive").fit_transform(edges)
    return values


def published_by_loop(edges: pl.DataFrame) -> Features:
    """Compute the same with one ``networkx.DiGraph`` after the other."""
    graphs = list(_graphs(edges))
    out = Counter(source for graph in graphs for source, _ in graph.edges)
    into = Counter(target for graph in graphs for _, target in graph.edges)
    return np.array([_published_of(graph.edges, dict(graph.in_degree()), out, into) for graph in graphs])


def clustering_by_loop(edges: pl.DataFrame) -> Features:
    """Compute the mean clustering coefficient of one graph after the other."""
    nx = networkx()
    return np.array([[nx.average_clustering(nx.Graph(graph))] for graph in _graphs(edges)])


def page_rank_by_loop(edges: pl.DataFrame) -> Features:
    """Compute mean, sample deviation and maximum of PageRank of one graph after the other."""
    nx = networkx()
    ranks = [np.array(list(nx.pagerank(graph).values())) for graph in _graphs(edges)]
    return np.array([[rank.mean(), rank.std(ddof=1) if len(rank) > 1 else 0.0, rank.max()] for rank in ranks])


def peak_mb(edges: pl.DataFrame) -> float | None:
    """Measure the peak memory of the nine features in a process of their own, the edges included.

    Returns:
        MB, or nothing where it cannot be read.

    Raises:
        RuntimeError: if it is above the claim.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "edges.parquet"
        edges.write_parquet(path)
        command = [sys.executable, "-m", "benchmarks.call_graphs", str(path)]
        found = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    peak: float | None = json.loads(found.stdout)
    if peak is not None and peak > MOST_MB:
        raise RuntimeError(
            f"call-graph features must need at most {MOST_MB} MB, found {peak:.0f}: find the large array"
        )
    return peak


def networkx() -> ModuleType:
    """Import the baseline, which only this case and the tests need.

    Raises:
        RuntimeError: if it is not installed.
    """
    try:
        return import_module("networkx")
    except ImportError:
        raise RuntimeError("the baseline needs networkx, found none: install the packages of the extra 'dev'") from None


def _graphs(edges: pl.DataFrame) -> Iterator[Any]:
    nx = networkx()
    for part in edges.partition_by("_id", maintain_order=True):
        graph = nx.DiGraph()
        graph.add_edges_from(part.select("from", "to").iter_rows())
        yield graph


def _published_of(
    edges: Sequence[tuple[str, str]], arrivals: Mapping[str, int], out: Counter[str], into: Counter[str]
) -> list[float]:
    """Compute the nine features of one graph, in their order."""
    sources = np.array([out[source] for source, _ in edges])
    targets = np.array([into[target] for _, target in edges])
    local = np.array([arrivals[target] for _, target in edges])
    several = len(edges) > 1
    return [
        len(edges),
        *(sources.mean(), sources.min(), sources.max(), sources.std(ddof=1) if several else np.nan),
        *(targets.mean(), targets.min(), targets.max()),
        local.std(ddof=1) if several else np.nan,
    ]


def _values(edges: pl.DataFrame, features: tuple[str, ...]) -> Features:
    return describe(edges, features=features).drop("_id").to_numpy()


def _require_same(ours: Features, baseline: Features, tolerance: float) -> None:
    """Check graph by graph and feature by feature.

    Raises:
        RuntimeError: if the two differ.
    """
    if not np.allclose(ours, baseline, rtol=tolerance, atol=tolerance, equal_nan=True):
        raise RuntimeError("features must be those of networkx, found others: check utils.features.call_graph")


def _row(title: str, ours: Measured, baseline: float | None, bar: Bar | None, size: str, peak: float | None) -> Row:
    return Row(title, ours.median, baseline, bar, size, DATA, peak or ours.peak_mb)


if __name__ == "__main__":
    table = pl.read_parquet(sys.argv[1])
    print(json.dumps(in_turns({"published": lambda: published(table)}, 1)["published"].peak_mb))
