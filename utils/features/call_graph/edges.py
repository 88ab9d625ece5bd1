"""Call graphs as they come: checks, the two forms of input, and edges as numbers."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from utils.datasets import require
from utils.datasets.dtypes import is_text
from utils.errors import DataError, SchemaError

Ints = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.float64]

ID, FROM, TO = "_id", "from", "to"


class Columns(NamedTuple):
    """Names of the columns with the graph and the two ends of an edge."""

    graph: str = ID
    source: str = FROM
    target: str = TO


class EdgeList(NamedTuple):
    """The edges of many graphs as numbers, graph after graph; an edge may still stand there several times.

    Attributes:
        ids: identifier of each graph, shape (graphs,).
        start: first edge of each graph and the number of all edges, shape (graphs + 1,).
        source: code of the source of each edge, shape (edges,).
        target: code of its destination, shape (edges,).
        place: place of each code in ``endpoints``, shape (endpoints,).
        endpoints: the distinct names of nodes as text, sorted, so that the order in which edges come does not matter.
    """

    ids: pl.Series
    start: Ints
    source: Ints
    target: Ints
    place: Ints
    endpoints: pl.Series


class _Raw(NamedTuple):
    """Edges in runs of one graph each.

    Attributes:
        ids: the wanted graphs.
        graph: place among ``ids`` of the graph of each run, -1 if nobody wants it, shape (runs,).
        length: edges of each run, shape (runs,).
        source: the end that each edge leaves, shape (edges,).
        target: the end that it enters, shape (edges,).
    """

    ids: pl.Series
    graph: Ints
    length: Ints
    source: pl.Series
    target: pl.Series

    def graph_of_edge(self) -> Ints:
        """Place among ``ids`` of the graph of each edge, shape (edges,)."""
        return np.repeat(self.graph, self.length)


def nest_edges(
    edges: pl.DataFrame, ids: pl.Series | None = None, *, graph: str = ID, source: str = FROM, target: str = TO
) -> pl.DataFrame:
    """Turn one row an edge into one row a graph, the form that scikit-learn can split.

    Args:
        edges: one row an edge; a row without both ends stands for a graph that may have no edge.
        ids: the graphs that are wanted, in this order, with or without edges; ``None`` for those of the frame in order
            of first appearance.
        graph: column that names the graph.
        source: column with the end that an edge leaves.
        target: column with the end that it enters.

    Returns:
        One row a graph: the column of the graph, and the two ends as lists in the order of the edges.

    Raises:
        SchemaError: if a column is missing or has a type that cannot name a graph or a node.
        DataError: if a row lacks its graph or one of its two ends, or ``ids`` repeats a graph.
    """
    columns = Columns(graph, source, target)
    raw = _without_empty(_read(edges, columns, ids), columns)
    ends = pl.DataFrame({"number": raw.graph_of_edge(), "source": raw.source, "target": raw.target})
    lists = ends.group_by("number", maintain_order=True).agg("source", "target")
    rows = pl.DataFrame({"number": np.arange(len(raw.ids)), "graph": raw.ids})
    nested = rows.join(lists, on="number", how="left", maintain_order="left")
    return nested.select(
        pl.col("graph").alias(graph), *(pl.col(old).fill_null([]).alias(new) for old, new in _ends(columns))
    )


def encode(frame: pl.DataFrame, columns: Columns, ids: pl.Series | None = None) -> EdgeList:
    """Number the nodes and put the edges in the order of the graphs.

    Args:
        frame: one row an edge, or one row a graph with lists of ends.
        columns: which columns hold the graph and the ends.
        ids: as for :func:`nest_edges`; only where a row is an edge.

    Raises:
        SchemaError: as :func:`nest_edges`.
        DataError: as :func:`nest_edges`, or if the two lists of a graph differ in length.
    """
    raw = _without_empty(_read(frame, columns, ids), columns)
    codes, endpoints = _coded(raw.source, raw.target)
    source, target = np.split(codes, [len(raw.source)])
    if np.any(raw.graph[1:] < raw.graph[:-1]):
        order = _stable_order(raw.graph_of_edge())
        source, target = source[order], target[order]
    start = np.zeros(len(raw.ids) + 1, np.int64)
    np.add.at(start, raw.graph + 1, raw.length)
    np.cumsum(start, out=start)
    by_text = endpoints.arg_sort()
    place = np.empty(len(by_text), np.int64)
    place[by_text.to_numpy()] = np.arange(len(by_text))
    return EdgeList(raw.ids, start, source, target, place, endpoints.gather(by_text))


def _ends(columns: Columns) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("source", columns.source), ("target", columns.target)


def _read(frame: pl.DataFrame, columns: Columns, ids: pl.Series | None) -> _Raw:
    _require_columns(frame, columns)
    if all(isinstance(frame.schema[name], pl.List | pl.Array) for name in columns[1:]):
        return _read_nested(frame, columns, ids)
    for name in columns[1:]:
        _require_node_type(name, frame.schema[name])
    return _read_long(frame, columns, ids)


def _read_nested(frame: pl.DataFrame, columns: Columns, ids: pl.Series | None) -> _Raw:
    if ids is not None:
        raise DataError("ids must be left out where each row is a graph, found some: choose the rows instead")
    source, target = (_as_list(frame[name]) for name in columns[1:])
    lengths = source.list.len().fill_null(0).to_numpy()
    odd = np.flatnonzero(lengths != target.list.len().fill_null(0).to_numpy())
    if len(odd):
        where = f"{columns.source!r} and {columns.target!r} of graph {frame[columns.graph][int(odd[0])]!r}"
        raise DataError(f"{where} must be lists of one length, found different ones: correct the edges")
    return _Raw(frame[columns.graph], np.arange(frame.height), lengths, _flat(source), _flat(target))


def _read_long(frame: pl.DataFrame, columns: Columns, ids: pl.Series | None) -> _Raw:
    graph = frame[columns.graph]
    _require_graph_type(graph)
    if graph.has_nulls():
        found = f"found none in {graph.null_count()} of {frame.height} rows"
        raise DataError(f"column {columns.graph!r} must name the graph of each edge, {found}: drop or complete them")
    if ids is not None and graph.dtype == pl.Null:
        graph = graph.cast(ids.dtype)
    first = _run_starts(graph)
    runs = graph.gather(first)
    wanted = runs.unique(maintain_order=True) if ids is None else _checked_ids(ids, graph)
    lengths = np.diff(first, append=frame.height)
    return _Raw(wanted, _places(runs, wanted), lengths, frame[columns.source], frame[columns.target])


def _run_starts(graph: pl.Series) -> Ints:
    """Rows in which another graph begins than that of the row before."""
    starts = np.flatnonzero(graph.ne_missing(graph.shift()).to_numpy())
    return starts.astype(np.int64)


def _places(values: pl.Series, among: pl.Series) -> Ints:
    """Place of each value among distinct ones, -1 where it is not there."""
    numbered = pl.DataFrame({"value": among}).with_row_index("place")
    joined = pl.DataFrame({"value": values}).join(numbered, on="value", how="left", maintain_order="left")
    return joined["place"].cast(pl.Int64).fill_null(-1).to_numpy()


def _without_empty(raw: _Raw, columns: Columns) -> _Raw:
    """Drop rows without ends and rows of graphs that nobody wants.

    Raises:
        DataError: if a row has only one of its two ends.
    """
    if not (raw.source.has_nulls() or raw.target.has_nulls() or np.any(raw.graph < 0)):
        return raw
    graph, no_source = raw.graph_of_edge(), raw.source.is_null()
    unlike = (no_source != raw.target.is_null()).arg_true()
    if len(unlike):
        row = int(unlike[0])
        where = f"in graph {raw.ids[int(graph[row])]!r}" if graph[row] >= 0 else f"in row {row}"
        both = f"both {columns.source!r} and {columns.target!r}"
        raise DataError(f"an edge must have {both}, found one without {where}: drop or complete it")
    keep = ~no_source.to_numpy() & (graph >= 0)
    chosen = pl.Series(keep)
    graph = graph[keep]
    return _Raw(raw.ids, graph, np.ones_like(graph), raw.source.filter(chosen), raw.target.filter(chosen))


def _coded(source: pl.Series, target: pl.Series) -> tuple[Ints, pl.Series]:
    """Give each distinct node a code: the codes of all sources, then of all targets, and the nodes as text."""
    if source.dtype == target.dtype and source.dtype.is_integer():
        both = pl.concat([source, target])
        distinct = both.unique()
        numbers = pl.Series(np.arange(len(distinct)), dtype=pl.UInt32)
        codes = both.replace_strict(distinct, numbers, return_dtype=pl.UInt32)
        return codes.to_numpy(), distinct.cast(pl.String)
    texts = pl.concat([source.cast(pl.String), target.cast(pl.String)])
    categories = pl.Categories.random()
    coded = texts.cast(pl.Categorical(categories))
    endpoints = categories.to_series()  # lives only as long as a column that uses it
    return coded.to_physical().to_numpy(), endpoints


def _stable_order(number: Ints) -> Ints:
    """Order by number, ties as they stand; sorting packed keys is much faster than ``argsort``."""
    bits = len(number).bit_length()
    keys = (number.astype(np.int64) << bits) | np.arange(len(number))
    keys.sort()
    order: Ints = keys & ((1 << bits) - 1)
    return order


def _flat(lists: pl.Series) -> pl.Series:
    return lists.explode(empty_as_null=False, keep_nulls=False)


def _as_list(lists: pl.Series) -> pl.Series:
    """Return a list column whose values can name nodes.

    Raises:
        SchemaError: if they cannot.
    """
    inner = lists.dtype.inner  # type: ignore[attr-defined]
    _require_node_type(lists.name, inner)
    return lists.cast(pl.List(inner)) if isinstance(lists.dtype, pl.Array) else lists


def _checked_ids(ids: pl.Series, graph: pl.Series) -> pl.Series:
    try:
        wanted = pl.Series(graph.name, ids).cast(graph.dtype)
    except pl.exceptions.PolarsError:
        raise SchemaError(
            f"ids must have the type of column {graph.name!r}, {graph.dtype}, found {ids.dtype}: convert them"
        ) from None
    if wanted.has_nulls() or wanted.is_duplicated().any():
        raise DataError("ids must name each graph once, found a repeated or missing one: make them unique")
    return wanted


def _require_columns(frame: pl.DataFrame, columns: Columns) -> None:
    require.frame(frame, "call graphs")
    if len(set(columns)) < len(columns):
        raise SchemaError(f"graph, source and target must be three columns, found {list(columns)}: name each")
    require.columns(frame, columns, "call graphs")


def _require_node_type(name: str, dtype: pl.DataType) -> None:
    if not (dtype.is_integer() or is_text(dtype) or dtype == pl.Null):
        raise SchemaError(f"column {name!r} must name nodes as texts or whole numbers, found {dtype}: convert it")


def _require_graph_type(graph: pl.Series) -> None:
    dtype = graph.dtype
    if dtype.is_nested() or dtype.is_float() or dtype in (pl.Object, pl.Decimal):
        wanted = "texts, whole numbers or times"
        raise SchemaError(f"column {graph.name!r} must name graphs by {wanted}, found {dtype}: convert it")
