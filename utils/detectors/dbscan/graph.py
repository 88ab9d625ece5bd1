"""One neighbour graph for all settings of DBSCAN up to a radius."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utils.detectors.dbscan.points import as_bytes, as_points, as_positive, compiled, in_words
from utils.detectors.dbscan.tree import Tree
from utils.errors import DataError, SettingsError
from utils.evaluation.inputs import Bools, Floats, Ints, Values

Labels = NDArray[np.int32]

BYTES_OF_PAIR = 48
"""Two leaves and three bounds, and room to sort them."""
SAMPLE = 200
"""Leaves whose neighbours are counted to say what would fit."""


class NeighbourGraph:
    """Which points may be within a radius of each other: a graph of the leaves of a k-d tree.

    Points are taken together in leaves of some dozens. An edge joins two leaves whose boxes are within the radius; it
    keeps the least and the greatest distance that the boxes allow, and edges are sorted by the least. So the edges for
    any smaller ``eps`` are the first ones; where the greatest distance is within ``eps`` all points of both leaves are
    neighbours; only between are distances computed, in float64, and only where they can change a result. Memory grows
    with pairs of leaves, less than a hundredth of the pairs of points.

    Two points are neighbours if the sum of their squared differences, column after column, is at most ``eps * eps``:
    the rule of scikit-learn's trees for single points.

    Attributes:
        points: the points (k, d).
        weight: weight of each point (k,).
        radius: largest radius that can be asked for.
        n_points: number of points k.
        n_edges: pairs of leaves within the radius.
        nbytes: bytes of the graph.
    """

    def __init__(
        self, points: ArrayLike, weight: Values | None = None, *, radius: float, memory: str | float = "2 GB"
    ) -> None:
        """Count the edges, refuse what does not fit, and build the graph.

        Args:
            points: distinct points (k, d) in order of first appearance, as :func:`distinct` gives them.
            weight: rows that each stands for (k,); ``None`` for 1 each.
            radius: largest distance of neighbours.
            memory: most bytes of the graph, or a text such as ``"2 GB"``.

        Raises:
            SettingsError: if the radius or the memory is no positive number.
            SchemaError: if the points are no matrix of numbers.
            DataError: if a point is not finite, or the graph would be larger than the memory; nothing was built then.
        """
        self.radius, limit = as_positive("the radius", radius), as_bytes(memory)
        self.points, self.weight = as_points(points, weight)
        self._require_room(limit)
        self._tree = Tree(self.points)
        self._build(limit)

    @property
    def n_points(self) -> int:
        """Number of points."""
        return len(self.points)

    @property
    def n_edges(self) -> int:
        """Number of pairs of leaves within the radius."""
        return len(self._pairs[0])

    @property
    def nbytes(self) -> int:
        """Bytes of the graph."""
        parts = (*self._pairs, *self._leaves, self._gap, self.weight)
        return int(self._tree.nbytes + sum(part.nbytes for part in parts))

    def with_weight(self, weight: Values) -> Self:
        """The same graph with other weights; points of weight 0 stay (they may be border points)."""
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy.weight = as_points(self.points, weight)[1]
        return copy

    def weights_within(self, eps: ArrayLike) -> Floats:
        """Weight within each radius of each point, the point itself included.

        Args:
            eps: radii (m,), none above ``radius``.

        Returns:
            Sums of weights, shape (m, k).

        Raises:
            SettingsError: if a radius is not positive or too large.
        """
        radii = self._checked(eps)
        steps = np.unique(radii)
        near = self._weigh(steps)
        return near[np.searchsorted(steps, radii)][:, self._tree.place]

    def clusters(self, eps: ArrayLike, min_samples: float) -> tuple[Labels, Bools]:
        """Cluster the points with several radii and one weight of core points.

        Args:
            eps: radii (m,), none above ``radius``.
            min_samples: weight within the radius, itself included, that makes a core point.

        Returns:
            Labels (m, k), -1 for noise, and which points are core points (m, k). Numbers of clusters are those of
            scikit-learn's DBSCAN: in order of their first core point; a border point belongs to the first cluster that
            has a core point within the radius.

        Raises:
            SettingsError: if a setting is not positive or a radius too large.
        """
        radii = self._checked(eps)
        steps = np.unique(radii)
        least = as_positive("min_samples", min_samples)
        labels, core = self._cluster(steps, self._weigh(steps, least), least)
        chosen = np.searchsorted(steps, radii)
        return labels[chosen], core[chosen]

    def _cluster(self, steps: Floats, near: Floats, least: float) -> tuple[Labels, Bools]:
        """Clusters for rising radii whose weights are known, by point."""
        kernel, known = compiled(), (self._tree.points, self._tree.tiles, *self._leaves, self._pairs, self._gap)
        core_at, limits = near >= least, steps * steps
        begins = np.where(core_at.any(axis=0), core_at.argmax(axis=0), len(steps))
        earliest = np.minimum.reduceat(begins, self._leaves[0])
        parent = np.arange(self.n_points)
        labels = np.full((len(steps), self.n_points), -1, np.int32)
        for step in range(len(steps)):
            kernel.unite(*known, begins, earliest, step, limits[step], parent)
            kernel.number(parent, core_at[step], self._tree.place, labels[step])
            kernel.border(*known, core_at[step], limits[step], labels[step])
        return labels[:, self._tree.place], core_at[:, self._tree.place]

    def _weigh(self, steps: Floats, enough: float = np.inf) -> Floats:
        """Weights within rising radii, by place (m, k); those from ``enough`` on may be too small."""
        known = (self._tree.points, self._tree.tiles, *self._leaves, self._pairs, self._gap)
        begin, end = self._leaves[:2]
        weight = self.weight[self._tree.order]
        near, whole = np.zeros((len(steps), self.n_points)), np.zeros((len(steps), len(begin)))
        load = np.add.reduceat(weight, begin)
        compiled().weigh(*known, weight, load, steps * steps, enough, near, whole)
        near += np.repeat(whole, end - begin, axis=1)
        return near

    def _checked(self, eps: ArrayLike) -> Floats:
        """Check radii.

        Raises:
            SettingsError: if there is none, or one is not positive or larger than that of the graph.
        """
        radii = np.array([as_positive("eps", value) for value in np.atleast_1d(np.asarray(eps)).tolist()])
        if not radii.size:
            raise SettingsError("eps must be one radius at least, found none: give some")
        if radii.max() > self.radius:
            raise SettingsError(
                f"eps must be at most the radius of the graph, {self.radius:g}, found {radii.max():g}: "
                "build the graph with a larger radius"
            )
        return radii

    def _require_room(self, limit: int) -> None:
        """Check that points and tree fit.

        Raises:
            DataError: if they do not.
        """
        rows, width = self.points.shape
        needed = rows * (24 * width + 40)
        if needed > limit:
            raise DataError(
                f"a neighbour graph of {rows:,} distinct points needs {in_words(needed)} for the points alone, more "
                f"than the {in_words(limit)} allowed: take {limit // (24 * width + 40):,} points or allow more memory"
            )

    def _build(self, limit: int) -> None:
        """Find the pairs of leaves within the radius and sort them by their least distance.

        Raises:
            DataError: if they do not fit.
        """
        begin, end, left, low, high = self._tree.nodes
        leaf = np.flatnonzero(left < 0)
        leaf = leaf[np.argsort(begin[leaf])]
        self._leaves = tuple(part[leaf] for part in (begin, end, low, high))
        most = max(limit - self._tree.nbytes, 0) // BYTES_OF_PAIR
        known = (begin, end, left, low, high, self.radius * self.radius, most)
        found = compiled().pair_leaves(*known, *_pairs(0))
        if found > most:
            raise DataError(self._refusal(limit, most))
        made = _pairs(found)
        compiled().pair_leaves(*known, *made)
        number = np.empty(len(left), np.int32)
        number[leaf] = np.arange(len(leaf), dtype=np.int32)
        order = np.argsort(made[2], kind="stable")
        self._gap: Floats = np.full(found, -1.0)
        self._pairs = (number[made[0]][order], number[made[1]][order], made[2][order], made[3][order])

    def _refusal(self, limit: int, most: int) -> str:
        """Say what would fit, from the distances of some leaves to all."""
        low, high = self._leaves[2:]
        chosen = np.random.default_rng(0).permutation(len(low))[:SAMPLE]
        gaps = [np.maximum(np.maximum(low - high[leaf], low[leaf] - high), 0.0) for leaf in chosen]
        squares = np.sort([np.square(gap).sum(axis=1) for gap in gaps], axis=None)
        scale = len(low) / len(chosen) / 2
        edges = max(np.searchsorted(squares, self.radius**2, side="right") * scale, most + 1)
        radius = float(np.sqrt(squares[min(int(most / scale), len(squares) - 1)]))
        smaller = f"a radius of at most about {radius:.3g} or " if 0 < radius < self.radius else ""
        return (
            f"a neighbour graph of {self.n_points:,} distinct points with radius {self.radius:g} needs about "
            f"{in_words(edges * BYTES_OF_PAIR + self._tree.nbytes)}, more than the {in_words(limit)} allowed: take "
            f"{smaller}about {int(self.n_points * np.sqrt(most / edges)):,} points, or allow more memory"
        )


def _pairs(size: int) -> tuple[Ints, Ints, Floats, Floats]:
    """Room for pairs of leaves and their bounds."""
    return tuple(np.empty(size, kind) for kind in (np.int32, np.int32, np.float32, np.float32))  # type: ignore[return-value]
