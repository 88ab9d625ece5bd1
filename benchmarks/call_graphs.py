"""Call-graph features of all graphs at once, against a loop over graphs with networkx.

The loop is timed on a sample of the same graphs, and its time scaled by the number of edges: for all of them it would
take minutes. What it finds for the sample is compared with what ours finds for the same sample.
"""

import json
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

from benchmarks import peers
from benchmarks.apart import json_of
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
PEER_SCRIPT = Path(__file__).parent / "graph_peers.py"

Features = np.ndarray[Any, np.dtype[np.float64]]


@case("call_graphs", "features")
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
    scaled = edges.height / sample.height
    peak = peak_mb(edges)
    return [
        *(
            _row(titles[name], cost[name], cost[f"loop {name}"].median * scaled, bar, size, "networkx, graph by graph")
            for name, bar in claims.items()
        ),
        Row("call graphs: memory for the nine features", peak, None, Bar("megabytes", MOST_MB), size, DATA, peak,
            unit="MB", problem="" if peak else "this system does not tell the peak memory of a process"),
    ]  # fmt: skip


@case("call_graph_peers", "features")
def other_libraries(scale: Scale) -> list[Row]:
    """The nine published features beside loops over graphs of compiled libraries, on a sample; the same features."""
    edges = simulated_edges(min(scale.sessions, GRAPHS))
    sample = sampled(edges)
    mine = published(sample)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graphs.json"
        parts = sample.partition_by("_id", maintain_order=True)
        path.write_text(json.dumps([part.select("from", "to").rows() for part in parts]), encoding="utf-8")
        for peer in (peers.RUSTWORKX, peers.IGRAPH):
            ours = in_turns({"ours": lambda: published(edges)}, 1)["ours"]
            seconds, why = _of_library(peer, path, mine)
            scaled = seconds and seconds * edges.height / sample.height
            size = f"{edges['_id'].n_unique():,} graphs, {edges.height:,} edges; {peer[0]} on {SAMPLE}, scaled by edges"
            rows.append(Row("call graphs: nine published features", ours.median, scaled, None, size, DATA,
                            ours.peak_mb, f"{peer[0]}, graph by graph", problem=why))  # fmt: skip
    return rows


@case("call_graph_latency", "features")
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
        _row("one call graph: nine published features", cost["published"], None, bar, size),
        _row("one call graph: all features", cost["all"], None, bar, size),
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
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "edges.parquet"
        edges.write_parquet(path)
        peak: float | None = json_of("benchmarks.call_graphs", str(path))
    return peak


def _of_library(peer: tuple[str, str], path: Path, mine: Features) -> tuple[float | None, str]:
    """CPU seconds of another library for the graphs of a file, or why there are none."""
    python, why = peers.found(peer)
    if python is None:
        return None, why
    found = json_of(str(PEER_SCRIPT), str(path), peer[0], python=str(python))
    _require_same(mine, np.array(found["features"], dtype=np.float64), TOLERANCE)
    return float(found["seconds"]), ""


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
        raise RuntimeError(
            "features must be those of the loop over graphs, found others: check utils.features.call_graph"
        )


def _row(title: str, ours: Measured, baseline: float | None, bar: Bar | None, size: str, against: str = "") -> Row:
    return Row(title, ours.median, baseline, bar, size, DATA, ours.peak_mb, against)


if __name__ == "__main__":
    table = pl.read_parquet(sys.argv[1])
    print(json.dumps(in_turns({"published": lambda: published(table)}, 1)["published"].peak_mb))
