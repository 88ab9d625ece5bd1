"""What graphs look like: all graphs at once, a block of them at a time, with arrays instead of loops over graphs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from utils.features.call_graph import names
from utils.features.call_graph.edges import EdgeList, Floats, Ints

BLOCK_EDGES = 1 << 15
"""Edges of one block: few enough that its arrays stay in the processor's cache."""
BLOCK_GRAPHS = 1 << 12
"""Most graphs of one block: its number, that of a node and that of an edge share one 64-bit key."""
DAMPING = 0.85
STEPS = 150
"""Steps of the PageRank iteration: each leaves at most DAMPING of the error, all together less than 1e-10."""

Marks = npt.NDArray[np.uint64]


class Block(NamedTuple):
    """Some graphs, each with at least one edge, as one graph of separate parts.

    Attributes:
        rows: row of each graph in the result, shape (graphs,).
        node_start: first node of each graph, shape (graphs,).
        n_nodes: nodes of each graph, shape (graphs,).
        endpoint: place of each node among the endpoints of all graphs, shape (nodes,).
        out_degree: edges that leave each node, shape (nodes,).
        in_degree: edges that enter each node, shape (nodes,).
    """

    rows: Ints
    node_start: Ints
    n_nodes: Ints
    endpoint: Ints
    out_degree: Ints
    in_degree: Ints

    @property
    def n_edges(self) -> Ints:
        """Edges of each graph, shape (graphs,)."""
        return self.total(self.out_degree)

    def total(self, values: Ints) -> Ints:
        """Sum the values of the nodes of each graph."""
        sums: Ints = np.add.reduceat(values, self.node_start)
        return sums


class Edges(NamedTuple):
    """The distinct edges of a block, by source and then by target: numbers of nodes of the block."""

    source: Ints
    target: Ints


class Survey(NamedTuple):
    """What one pass over the edges finds.

    Attributes:
        values: local features, shape (graphs, features).
        blocks: nodes and degrees of all graphs that have edges.
        prints: a number for each graph that tells what edges it has, shape (graphs,); 0 if not asked for.
    """

    values: Floats
    blocks: list[Block]
    prints: Marks


def survey(edges: EdgeList, features: Sequence[str], marks: tuple[Marks, Marks] | None = None) -> Survey:
    """Compute local features of all graphs.

    Args:
        edges: the graphs.
        features: names of local features.
        marks: two random numbers for each endpoint, as source and as destination, if graphs are to be told apart.
    """
    graphs = len(edges.ids)
    values, prints = names.empty_values(features, graphs), np.zeros(graphs, np.uint64)
    blocks = []
    for block, distinct in _blocks(edges):
        values[block.rows] = _local(block, distinct, features)
        if marks is not None:
            prints[block.rows] = _print(block, distinct, marks)
        blocks.append(block)
    return Survey(values, blocks, prints)


def over_edges(value: Floats, weight: Ints, block: Block) -> tuple[Floats, Floats, Floats, Floats]:
    """Mean, minimum, maximum and sample deviation, for each graph, of a value that each edge takes from a node.

    Args:
        value: the value of each node, shape (nodes,).
        weight: number of edges that take it, shape (nodes,).
        block: the graphs.

    Returns:
        Four arrays, shape (graphs,); the deviation of a single edge is not a number.
    """
    used = np.flatnonzero(weight > 0)
    value, weight = value[used], weight[used]
    start = np.searchsorted(used, block.node_start)
    n_edges = np.add.reduceat(weight, start)
    mean = np.add.reduceat(value * weight, start) / n_edges
    deviation = value - np.repeat(mean, np.diff(start, append=len(value)))
    squares = np.add.reduceat(deviation * deviation * weight, start)
    free = np.where(n_edges > 1, n_edges - 1.0, np.nan)
    return mean, np.minimum.reduceat(value, start), np.maximum.reduceat(value, start), np.sqrt(squares / free)


def _blocks(edges: EdgeList) -> Iterator[tuple[Block, Edges]]:
    """Cut the graphs that have edges into blocks of whole graphs."""
    rows = np.flatnonzero(np.diff(edges.start))
    start = np.append(edges.start[rows], len(edges.source))
    low = 0
    while low < len(rows):
        high = int(np.searchsorted(start, start[low] + BLOCK_EDGES, side="right")) - 1
        high = min(max(high, low + 1), low + BLOCK_GRAPHS, len(rows))
        yield _block(edges, rows[low:high], start[low : high + 1])
        low = high


def _block(edges: EdgeList, rows: Ints, start: Ints) -> tuple[Block, Edges]:
    part = slice(int(start[0]), int(start[-1]))
    graph = np.repeat(np.arange(len(rows)), np.diff(start))
    bits = len(edges.endpoints).bit_length()
    ends = edges.place[np.concatenate([edges.source[part], edges.target[part]])]
    source, target, nodes = _local_nodes(graph, ends, bits)
    distinct = _distinct(source, target, len(nodes))
    out_degree = np.bincount(distinct.source, minlength=len(nodes))
    in_degree = np.bincount(distinct.target, minlength=len(nodes))
    node_start = np.searchsorted(nodes, np.arange(len(rows)) << bits)
    n_nodes = np.diff(node_start, append=len(nodes))
    endpoint = (nodes & ((1 << bits) - 1)).astype(np.uint32)
    return Block(rows, node_start, n_nodes, endpoint, out_degree, in_degree), distinct


def _local_nodes(graph: Ints, ends: Ints, bits: int) -> tuple[Ints, Ints, Ints]:
    """Number the nodes of a block, graph after graph, for the sources and then the targets of all edges.

    The keys (graph, endpoint, place) of all ends are sorted; a node begins where graph or endpoint changes, and the
    place says which end gets its number. Sorting keys is many times faster than finding an order of indices.
    """
    edges = len(graph)
    place_bits = (2 * edges).bit_length()
    keys = ends | np.tile(graph << bits, 2)
    keys <<= place_bits
    keys |= np.arange(2 * edges)
    keys.sort()
    node = keys >> place_bits
    keys &= (1 << place_bits) - 1
    first = _changes(node)
    number = np.empty(2 * edges, np.int64)
    number[keys] = np.cumsum(first) - 1
    return number[:edges], number[edges:], node[first]


def _distinct(source: Ints, target: Ints, nodes: int) -> Edges:
    """Sort edges and drop repeated ones."""
    bits = nodes.bit_length()
    keys = (source << bits) | target
    keys.sort()
    new = _changes(keys)
    kept = keys if new.all() else keys[new]
    return Edges(kept >> bits, kept & ((1 << bits) - 1))


def _changes(keys: Ints) -> npt.NDArray[np.bool_]:
    """Tell which of some sorted keys, at least one, is not that before it."""
    new = np.empty(len(keys), bool)
    new[0] = True
    np.not_equal(keys[1:], keys[:-1], out=new[1:])
    return new


def _graph_of(block: Block) -> Ints:
    return np.repeat(np.arange(len(block.rows)), block.n_nodes)


def _local(block: Block, edges: Edges, features: Sequence[str]) -> Floats:
    """Compute the wanted features, family by family; a family of which none is wanted costs nothing."""
    wanted = [names.MISNAMED.get(name, name) for name in features]
    found: dict[str, Ints | Floats] = {}
    for family, compute in _FAMILIES.items():
        if not set(family).isdisjoint(wanted):
            found |= zip(family, compute(block, edges), strict=True)
    values = np.empty((len(block.rows), len(wanted)))
    for place, name in enumerate(wanted):
        values[:, place] = found[name]
    return values


def _sizes(block: Block, edges: Edges) -> Sequence[Ints | Floats]:
    nodes, n_edges = block.n_nodes, block.n_edges
    loops = _graph_of(block)[edges.source[edges.source == edges.target]]
    pairs = np.maximum(nodes * (nodes - 1), 1)
    return (
        n_edges,
        nodes,
        np.bincount(loops, minlength=len(nodes)),
        block.total((block.out_degree > 0).astype(np.int64)),
        block.total((block.in_degree > 0).astype(np.int64)),
        np.where(nodes > 1, n_edges / pairs, 0.0),
    )


def _source_degrees(block: Block, edges: Edges) -> Sequence[Floats]:
    return over_edges(block.out_degree.astype(np.float64), block.out_degree, block)


def _dest_degrees(block: Block, edges: Edges) -> Sequence[Floats]:
    return over_edges(block.in_degree.astype(np.float64), block.in_degree, block)


def _node_degrees(block: Block, edges: Edges) -> Sequence[Floats]:
    n_edges = block.n_edges
    return (
        n_edges / block.n_nodes,
        _node_deviation(block.out_degree, block),
        _node_deviation(block.in_degree, block),
        np.maximum.reduceat(block.out_degree, block.node_start) / n_edges,
        np.maximum.reduceat(block.in_degree, block.node_start) / n_edges,
    )


def _node_deviation(value: Ints | Floats, block: Block) -> Floats:
    """Sample deviation over the nodes of each graph, 0 for one node."""
    mean = np.add.reduceat(value, block.node_start) / block.n_nodes
    deviation = value - np.repeat(mean, block.n_nodes)
    squares = np.add.reduceat(deviation * deviation, block.node_start)
    spread: Floats = np.sqrt(squares / np.maximum(block.n_nodes - 1, 1))
    return np.where(block.n_nodes > 1, spread, 0.0)


def _undirected(edges: Edges, nodes: int) -> tuple[Edges, Ints]:
    """Return the edges between different nodes without their direction, and the lower ends of those in both."""
    bits = nodes.bit_length()
    low, high = np.minimum(edges.source, edges.target), np.maximum(edges.source, edges.target)
    keys = ((low << bits) | high)[low != high]
    keys.sort()
    again = np.concatenate([[False], keys[1:] == keys[:-1]])[: len(keys)]
    single = keys[~again]
    return Edges(single >> bits, single & ((1 << bits) - 1)), keys[again] >> bits


def _reciprocity(block: Block, edges: Edges) -> Sequence[Floats]:
    _, mutual = _undirected(edges, len(block.endpoint))
    pairs = np.bincount(_graph_of(block)[mutual], minlength=len(block.rows))
    return (2 * pairs / block.n_edges,)


def _clustering(block: Block, edges: Edges) -> Sequence[Floats]:
    nodes = len(block.endpoint)
    links, _ = _undirected(edges, nodes)
    degree = np.bincount(links.source, minlength=nodes) + np.bincount(links.target, minlength=nodes)
    pairs = degree * (degree - 1) / 2
    share = _triangles(links, degree) / np.maximum(pairs, 1)
    return (np.add.reduceat(share, block.node_start) / block.n_nodes,)


def _triangles(links: Edges, degree: Ints) -> Ints:
    """Count the triangles at each node.

    Each link points from the end of lower degree to that of higher degree, so that hubs have few links to follow
    (Chiba and Nishizeki, SIAM J. Comput. 14, 1985), and each triangle is one path of two links closed by a third.
    """
    nodes = len(degree)
    swap = degree[links.source] > degree[links.target]
    low, high = np.where(swap, links.target, links.source), np.where(swap, links.source, links.target)
    towards = sparse.csr_array((np.ones(len(low), np.int64), (low, high)), shape=(nodes, nodes))
    closed = (towards @ towards).multiply(towards)
    between = (towards.T.tocsr() @ towards).multiply(towards)
    counted: Ints = closed.sum(axis=0) + closed.sum(axis=1) + between.sum(axis=1)
    return counted


def _page_rank(block: Block, edges: Edges) -> Sequence[Floats]:
    """Spread of PageRank in each graph.

    Where dead ends pass their rank to all nodes alike, as here and in networkx, PageRank is the solution of
    ``z = 1 + damping * A' z`` (A: links, each row divided by its out-degree), divided by its sum (Gleich, "PageRank
    beyond the web", SIAM Review 57, 2015). A fixed number of steps makes the result of a graph independent of the
    graphs beside it.
    """
    nodes = len(block.endpoint)
    start = np.concatenate([[0], np.cumsum(block.out_degree)]).astype(np.int32)
    weight = DAMPING / block.out_degree[edges.source]
    follow = sparse.csr_array((weight, edges.target.astype(np.int32), start), shape=(nodes, nodes)).T
    rank = np.ones(nodes)
    for _ in range(STEPS):
        rank = follow @ rank
        rank += 1.0
    rank /= np.repeat(np.add.reduceat(rank, block.node_start), block.n_nodes)
    return 1 / block.n_nodes, _node_deviation(rank, block), np.maximum.reduceat(rank, block.node_start)


def _print(block: Block, edges: Edges, marks: tuple[Marks, Marks]) -> Marks:
    """Sum one random number for each edge: equal for equal sets of edges, different for others but for 1 in 2^57."""
    of_source, of_target = (mark[block.endpoint] for mark in marks)
    number = of_source[edges.source] * of_target[edges.target]
    start = np.cumsum(block.n_edges) - block.n_edges
    prints: Marks = np.add.reduceat(number, start)
    return prints


_FAMILIES: Mapping[tuple[str, ...], Callable[[Block, Edges], Sequence[Ints | Floats]]] = MappingProxyType(
    {
        names.SIZES: _sizes,
        names.RECIPROCITY: _reciprocity,
        names.SOURCE_DEGREES: _source_degrees,
        names.DEST_DEGREES: _dest_degrees,
        names.NODE_DEGREES: _node_degrees,
        names.CLUSTERING: _clustering,
        names.PAGE_RANK: _page_rank,
    }
)
