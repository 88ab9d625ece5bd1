"""Local features without fitting, and the transformer that adds global degrees."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from utils.datasets import require
from utils.errors import DataError, SchemaError
from utils.features.call_graph import names
from utils.features.call_graph.edges import FROM, ID, TO, Columns, EdgeList, Floats, Ints, encode
from utils.features.call_graph.structure import Block, Marks, Survey, over_edges, survey

Flags = npt.NDArray[np.bool_]

COUNTED = ("inductive", "transductive")


def describe(
    edges: pl.DataFrame,
    ids: pl.Series | None = None,
    *,
    features: Sequence[str] = names.LOCAL,
    graph: str = ID,
    source: str = FROM,
    target: str = TO,
) -> pl.DataFrame:
    """Compute the local features of call graphs; ``utils.features.call_graph`` says what each one means.

    Args:
        edges: one row an edge, or one row a graph with the ends as lists (:func:`nest_edges`). A row without both ends
            is no edge but keeps its graph; a repeated edge counts once.
        ids: the graphs that are wanted, in this order, with or without edges; ``None`` for those of the frame in order
            of first appearance. Only where a row is an edge.
        features: some of ``LOCAL``; clustering and PageRank are the slow ones.
        graph: column that names the graph.
        source: column with the end that an edge leaves.
        target: column with the end that it enters.

    Returns:
        One row a graph: its identifier and the features, counts and extreme degrees as Int64, others as Float64; null
        where a feature is not defined.

    Raises:
        SchemaError: if a column is missing or has a type that cannot name a graph or a node.
        DataError: if a row lacks its graph or one of its two ends, or ``ids`` repeats a graph.
        SettingsError: if a feature is unknown.
    """
    wanted = names.check_features(features, names.LOCAL)
    coded = encode(edges, Columns(graph, source, target), ids)
    return _table(coded.ids, graph, survey(coded, wanted).values, wanted)


class CallGraphFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Local features of call graphs and global degrees of their nodes.

    The global degree of a source is the number of edges that leave it in the *training graphs*, that of a destination
    the number of edges that enter it. A graph that was not among the training graphs is added to them before its own
    features are computed, alone and for itself, so that degrees mean the same on both sides: each graph counts its own
    edges once, and an endpoint that was never seen has its local degree. Other graphs of the same call change nothing.

    Which graphs were training graphs is told by their edges, not by their identifiers: the training graphs give the
    same values again whenever they are transformed, a new graph under an old identifier is new, and a new graph with
    exactly the edges of a training graph has that graph's features. What is kept is one number a training graph and two
    an endpoint, no edges.

    ``degrees="transductive"`` counts as the published notebook does: over all graphs of the call, training and test
    graphs together, whatever was fitted. **Test graphs then shape the features of training graphs**: scores are
    optimistic, and the features of a graph depend on those beside it. It is there to reproduce published figures: give
    all graphs in one call, and split the rows afterwards.

    Rows come in the order of the graphs: of the rows where each is a graph, of first appearance where each is an edge.

    Args:
        features: which features, in this order; ``ALL``, ``LOCAL``, ``GLOBAL`` and ``PUBLISHED`` are lists of them.
        degrees: ``"inductive"`` or ``"transductive"``.
        graph: column that names the graph.
        source: column with the end that an edge leaves.
        target: column with the end that it enters.

    Attributes:
        endpoints_: names of the nodes of the training graphs as text, sorted.
        source_degrees_: edges of the training graphs that leave each of them, shape (endpoints,).
        dest_degrees_: edges of the training graphs that enter each of them, shape (endpoints,).
        graphs_: one number for each distinct training graph that has edges, sorted.
    """

    def __init__(
        self,
        features: Sequence[str] = names.ALL,
        degrees: Literal["inductive", "transductive"] = "inductive",
        graph: str = ID,
        source: str = FROM,
        target: str = TO,
    ) -> None:
        self.features = features
        self.degrees = degrees
        self.graph = graph
        self.source = source
        self.target = target

    def fit(self, X: pl.DataFrame, y: object = None) -> Self:
        """Count the degrees of the training graphs.

        Args:
            X: one row an edge, or one row a graph with the ends as lists.
            y: ignored.

        Raises:
            SchemaError: if a column is missing or has a type that cannot name a graph or a node.
            DataError: if there is no graph, or a row lacks its graph or one of its two ends.
            SettingsError: if a feature or the way to count degrees is unknown.
        """
        self._learn(X, ())
        return self

    def fit_transform(self, X: pl.DataFrame, y: object = None) -> Floats:
        """Count the degrees of the training graphs and compute their features, in one pass over the edges.

        Raises:
            LabError: as :meth:`fit`.
        """
        wanted = self._wanted()
        return self._features(self._learn(X, _local(wanted)), wanted)

    def transform(self, X: pl.DataFrame) -> Floats:
        """Compute the features of graphs.

        Args:
            X: as in :meth:`fit`; no graph at all gives no row.

        Returns:
            One row a graph, shape (graphs, features); not a number where a feature is not defined.

        Raises:
            LabError: as :meth:`fit`.
        """
        wanted = self._wanted()
        return self._features(self._look(X, wanted), wanted)

    def describe(self, X: pl.DataFrame, ids: pl.Series | None = None) -> pl.DataFrame:
        """Compute the features of graphs as a table with their identifiers.

        Args:
            X: as in :meth:`fit`.
            ids: the graphs that are wanted, in this order, as in the function :func:`describe`.

        Returns:
            One row a graph: its identifier and the features, typed as in the function :func:`describe`.

        Raises:
            LabError: as :meth:`fit`.
        """
        wanted = self._wanted()
        seen = self._look(X, wanted, ids)
        return _table(seen.edges.ids, self.graph, self._features(seen, wanted), wanted)

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[np.object_]:
        """Names of the features, in their order."""
        return np.asarray(self._wanted(), dtype=object)

    def _wanted(self) -> tuple[str, ...]:
        require.choice("degrees", self.degrees, COUNTED)
        return names.check_features(self.features, names.ALL)

    def _columns(self) -> Columns:
        return Columns(self.graph, self.source, self.target)

    def _learn(self, X: pl.DataFrame, local: Sequence[str]) -> "_Seen":
        self._wanted()
        edges = encode(X, self._columns())
        if edges.ids.is_empty():
            raise DataError("the training graphs must be at least one, found no row: give graphs to learn from")
        place = np.arange(len(edges.endpoints))
        found = survey(edges, local, _marks(place))
        self.endpoints_ = edges.endpoints.alias("endpoint")
        self.source_degrees_, self.dest_degrees_ = _totals(found.blocks, len(place))
        self.graphs_ = np.unique(found.prints[np.diff(edges.start) > 0])
        return _Seen(edges, place, found)

    def _look(self, X: pl.DataFrame, wanted: Sequence[str], ids: pl.Series | None = None) -> "_Seen":
        check_is_fitted(self, "endpoints_")
        edges = encode(X, self._columns(), ids)
        if not _global(wanted):
            return _Seen(edges, np.empty(0, np.int64), survey(edges, wanted))
        place = _find(edges.endpoints, self.endpoints_)
        strangers = np.flatnonzero(place < 0)
        place[strangers] = len(self.endpoints_) + np.arange(len(strangers))
        return _Seen(edges, place, survey(edges, _local(wanted), _marks(place)))

    def _features(self, seen: "_Seen", wanted: Sequence[str]) -> Floats:
        """Put local and global features together, in the order that is wanted."""
        local, beyond = _local(wanted), _global(wanted)
        if not beyond:
            return seen.found.values
        degrees, own = self._degrees(seen)
        values = np.concatenate([seen.found.values, names.empty_values(beyond, len(own))], axis=1)
        for block in seen.found.blocks:
            values[block.rows, len(local) :] = _global_degrees(block, degrees, own[block.rows], beyond)
        return values[:, [(*local, *beyond).index(name) for name in wanted]]

    def _degrees(self, seen: "_Seen") -> tuple[list[Ints], Flags]:
        """Degrees of the endpoints of some graphs, and which graphs add their own edges to them."""
        graphs, endpoints = len(seen.edges.ids), len(seen.place)
        if self.degrees == "transductive":
            return _totals(seen.found.blocks, endpoints), np.zeros(graphs, bool)
        known = seen.place < len(self.endpoints_)
        totals: list[Ints] = [np.zeros(endpoints, np.int64), np.zeros(endpoints, np.int64)]
        for total, counted in zip(totals, (self.source_degrees_, self.dest_degrees_), strict=True):
            total[known] = counted[seen.place[known]]
        return totals, ~_is_in(seen.found.prints, self.graphs_)


class _Seen(NamedTuple):
    """Graphs on their way to features.

    Attributes:
        edges: the graphs as numbers.
        place: place of each of their endpoints among the fitted ones, those never seen numbered after these.
        found: local features and degrees.
    """

    edges: EdgeList
    place: Ints
    found: Survey


def _table(ids: pl.Series, graph: str, values: Floats, features: Sequence[str]) -> pl.DataFrame:
    if graph in features:
        raise SchemaError(f"the column of the graph must not be called {graph!r}, as a feature is: rename it")
    return pl.DataFrame([ids.alias(graph), *names.to_columns(values, features)])


def _local(features: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in features if name not in names.GLOBAL)


def _global(features: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in features if name in names.GLOBAL)


def _find(values: pl.Series, among: pl.Series) -> Ints:
    """Place of each text among sorted ones, -1 where it is not there."""
    if among.is_empty():
        return np.full(len(values), -1)
    place = among.search_sorted(values).clip(0, len(among) - 1)
    return np.where((among.gather(place) == values).to_numpy(), place.to_numpy().astype(np.int64), -1)


def _is_in(values: Marks, among: Marks) -> Flags:
    """Tell which values are among sorted ones."""
    if not len(among):
        return np.zeros(len(values), bool)
    found: Flags = among[np.searchsorted(among, values).clip(max=len(among) - 1)] == values
    return found


def _marks(endpoint: Ints) -> tuple[Marks, Marks]:
    """Two random numbers for each endpoint, the same in every process (SplitMix64, Steele et al., OOPSLA 2014)."""
    return _mixed(2 * endpoint.astype(np.uint64)), _mixed(2 * endpoint.astype(np.uint64) + np.uint64(1))


def _mixed(number: Marks) -> Marks:
    mixed = (number + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _totals(blocks: Sequence[Block], endpoints: int) -> list[Ints]:
    """Count the edges of some graphs that leave and that enter each endpoint."""
    totals: list[Ints] = [np.zeros(endpoints, np.int64), np.zeros(endpoints, np.int64)]
    for block in blocks:
        for total, degree in zip(totals, (block.out_degree, block.in_degree), strict=True):
            np.add.at(total, block.endpoint, degree)
    return totals


def _global_degrees(block: Block, totals: Sequence[Ints], own: Flags, wanted: Sequence[str]) -> Floats:
    """Statistics over edges of the global degrees, to which the graphs that are marked add their own edges."""
    add = np.repeat(own, block.n_nodes)
    found: dict[str, Floats] = {}
    sides = zip((names.GLOBAL_SOURCE, names.GLOBAL_DEST), (block.out_degree, block.in_degree), totals, strict=True)
    for family, degree, total in sides:
        if not set(family).isdisjoint(wanted):
            value = (total[block.endpoint] + np.where(add, degree, 0)).astype(np.float64)
            found |= zip(family, over_edges(value, degree, block), strict=True)
    return np.stack([found[name] for name in wanted], axis=1)
