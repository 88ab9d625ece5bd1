"""One neighbour graph for all settings of DBSCAN up to a radius."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utils.detectors.dbscan.points import as_bytes, as_points, as_positive, compiled, in_words
from utils.detectors.dbscan.tree import Tree
from utils.errors import DataError, SettingsError
from utils.evaluation.inputs import Bools, Floats, Ints, Values

Labels = NDArray[np.int32]

BYTES_OF_PAIR = 8
SAMPLE = 500
"""Points whose neighbours are counted to say what would fit."""


class NeighbourGraph:
    """All pairs of distinct points within a radius, each kept once with its distance (8 bytes a pair).

    The distance is kept in single precision; where it is equal to that of a radius, the exact one is computed again. So
    every answer is that of float64: two points are neighbours if the sum of their squared differences, column after
    column, is at most ``eps * eps``, as in scikit-learn's trees.

    Attributes:
        weight: weight of each point (k,).
        radius: largest radius that can be asked for.
        n_points: number of points k.
        n_pairs: pairs of different points within the radius.
    """

    def __init__(
        self, points: ArrayLike, weight: Values | None = None, *, radius: float, memory: str | float = "2 GB"
    ) -> None:
        """Count the pairs, refuse what does not fit, and build the graph.

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
        self._points, self.weight = as_points(points, weight)
        self._tree = Tree(self._points)
        self._build((limit - self._tree.nbytes - 16 * self.n_points) // BYTES_OF_PAIR, limit)

    @property
    def n_points(self) -> int:
        """Number of points."""
        return len(self._points)

    @property
    def n_pairs(self) -> int:
        """Number of pairs of different points within the radius."""
        return len(self._others)

    @property
    def points(self) -> Floats:
        """The points (k, d)."""
        return self._points

    @property
    def nbytes(self) -> int:
        """Bytes of the graph."""
        parts = (self._offsets, self._others, self._squares, self.weight)
        return self._tree.nbytes + sum(part.nbytes for part in parts)

    def with_weight(self, weight: Values) -> Self:
        """The same graph with other weights; points of weight 0 stay (they may be border points)."""
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy.weight = as_points(self._points, weight)[1]
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
        labels, core = self._cluster(steps, self._weigh(steps), as_positive("min_samples", min_samples))
        chosen = np.searchsorted(steps, radii)
        return labels[chosen], core[chosen]

    def _cluster(self, steps: Floats, near: Floats, least: float) -> tuple[Labels, Bools]:
        """Clusters for rising radii whose weights are known, by point."""
        core_at = near >= least
        begins = np.where(core_at.any(axis=0), core_at.argmax(axis=0), len(steps))
        limits, rounded = _limits(steps)
        pairs = (self._tree.points, self._offsets, self._others, self._squares)
        parent = np.arange(self.n_points)
        labels = np.full((len(steps), self.n_points), -1, np.int32)
        for step in range(len(steps)):
            compiled().unite(*pairs, begins, step, limits, rounded, parent)
            compiled().number(parent, core_at[step], self._tree.place, labels[step])
            compiled().border(*pairs, core_at[step], limits[step], rounded[step], labels[step])
        return labels[:, self._tree.place], core_at[:, self._tree.place]

    def _weigh(self, steps: Floats) -> Floats:
        """Weights within rising radii, by place (m, k)."""
        limits, rounded = _limits(steps)
        pairs = (self._tree.points, self._offsets, self._others, self._squares)
        near = compiled().weigh(*pairs, self.weight[self._tree.order], limits, rounded)
        return np.ascontiguousarray(near[:, :-1].T)

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

    def _build(self, most: int, limit: int) -> None:
        tree, square = self._tree, self.radius * self.radius
        known = (tree.points, tree.columns, *tree.nodes, square)
        counts, found = compiled().count_pairs(*known, max(most, 0))
        if found > most:
            raise DataError(self._refusal(limit))
        self._offsets: Ints = np.concatenate([[0], np.cumsum(counts)])
        self._others, self._squares = np.empty(found, np.int32), np.empty(found, np.float32)
        compiled().fill_pairs(*known, self._offsets, self._others, self._squares)

    def _refusal(self, limit: int) -> str:
        """Say what would fit, from the neighbours of some points."""
        chosen = np.random.default_rng(0).permutation(self.n_points)[:SAMPLE]
        squares = np.sort(_squares_to(self._points, chosen), axis=None)
        scale = self.n_points / len(chosen) / 2
        pairs = np.searchsorted(squares, self.radius**2, side="right") * scale
        fitting = max(limit - self._tree.nbytes - 16 * self.n_points, 0) / BYTES_OF_PAIR
        rows = int(self.n_points * min(1.0, np.sqrt(fitting / max(pairs, 1))))
        radius = float(np.sqrt(squares[min(int(fitting / scale), len(squares) - 1)]))
        return (
            f"a neighbour graph of {self.n_points:,} distinct points with radius {self.radius:g} would need about "
            f"{in_words(pairs * BYTES_OF_PAIR)}, more than the {in_words(limit)} allowed: take a radius of at most "
            f"about {min(radius, self.radius):.3g} or about {rows:,} points, allow more memory, or fit DBSCAN for one setting"
        )


def _limits(steps: Floats) -> tuple[Floats, NDArray[np.float32]]:
    """Squared radii and an infinite one, exact and in single precision."""
    limits = np.append(steps * steps, np.inf)
    with np.errstate(over="ignore"):
        return limits, limits.astype(np.float32)


def _squares_to(points: Floats, chosen: Ints) -> Floats:
    """Squared distances of some points to all others."""
    found = np.empty((len(chosen), len(points) - 1))
    for at, row in enumerate(chosen):
        found[at] = np.delete(((points - points[row]) ** 2).sum(axis=1), row)
    return found
