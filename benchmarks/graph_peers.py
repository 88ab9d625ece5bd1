"""Nine features of call graphs by a loop over graphs; run by a Python that has the library, see ``benchmarks.peers``.

``python graph_peers.py FILE rustworkx|igraph``: the file is JSON, a list of graphs, each a list of [source, target].
Prints JSON: CPU seconds from these lists to features, and the features of each graph.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

Edges = list[list[str]]


def main(path: str, library: str) -> None:
    """Compute the features and print them."""
    np, degrees_of = import_module("numpy"), READERS[library](import_module(library))
    edges_of = json.loads(Path(path).read_text(encoding="utf-8"))
    begin = time.process_time()
    graphs = [list(degrees_of(edges)) for edges in edges_of]
    out, into = Counter(), Counter()
    for graph in graphs:
        for name, leaving, arriving in graph:
            out[name] += leaving
            into[name] += arriving
    features = [features_of(np, edges, graph, out, into) for edges, graph in zip(edges_of, graphs, strict=True)]
    seconds = time.process_time() - begin
    print(json.dumps({"seconds": seconds, "features": features}))


def features_of(np: Any, edges: Edges, graph: Any, out: Counter[str], into: Counter[str]) -> list[float | None]:  # noqa: ANN401
    """The nine features of one graph: its edges, and the degrees of their ends over all graphs and in this one."""
    arrivals = {name: arriving for name, _, arriving in graph}
    sources = np.array([out[source] for source, _ in edges])
    targets = np.array([into[target] for _, target in edges])
    local = np.array([arrivals[target] for _, target in edges])
    several = len(edges) > 1
    found = [
        len(edges),
        *(sources.mean(), sources.min(), sources.max(), sources.std(ddof=1) if several else None),
        *(targets.mean(), targets.min(), targets.max()),
        local.std(ddof=1) if several else None,
    ]
    return [None if value is None else float(value) for value in found]


def rustworkx(library: Any) -> Callable[[Edges], Iterator[tuple[str, int, int]]]:  # noqa: ANN401 - a module
    """Name, edges that leave and edges that arrive, of each node of a graph."""

    def degrees_of(edges: Edges) -> Iterator[tuple[str, int, int]]:
        names = list(dict.fromkeys(name for edge in edges for name in edge))
        place = {name: at for at, name in enumerate(names)}
        graph = library.PyDiGraph()
        graph.add_nodes_from(names)
        graph.add_edges_from_no_data([(place[source], place[target]) for source, target in edges])
        return ((name, graph.out_degree(at), graph.in_degree(at)) for at, name in enumerate(names))

    return degrees_of


def igraph(library: Any) -> Callable[[Edges], Iterator[tuple[str, int, int]]]:  # noqa: ANN401 - a module
    """Name, edges that leave and edges that arrive, of each node of a graph."""

    def degrees_of(edges: Edges) -> Iterator[tuple[str, int, int]]:
        graph = library.Graph.TupleList(edges, directed=True)
        return zip(graph.vs["name"], graph.outdegree(), graph.indegree(), strict=True)

    return degrees_of


READERS = {"rustworkx": rustworkx, "igraph": igraph}

if __name__ == "__main__":
    main(*sys.argv[1:])
