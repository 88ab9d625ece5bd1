"""A k-d tree of distinct points: nearest point, radius that reaches a weight, pairs within a radius.

Source:
    Friedman, Bentley and Finkel, "An algorithm for finding best matches in logarithmic expected time", ACM TOMS 1977;
    Gray and Moore, "N-body problems in statistical learning", NIPS 2000 (two nodes at a time).
"""

from typing import Any

import numpy as np

from utils.detectors.dbscan.points import compiled
from utils.evaluation.inputs import Floats, Ints

LEAVES = ((12, 32), (np.inf, 128))
"""Most columns, and most points of a leaf then. Measured: with few columns boxes tell small leaves apart; with many
they overlap anyway, and larger leaves spend less on boxes."""


class Tree:
    """Points in the order of a k-d tree; *places* are positions in that order.

    Attributes:
        order: point at each place (k,).
        place: place of each point (k,).
        points: the points by place (k, d).
    """

    def __init__(self, points: Floats) -> None:
        """Build the tree.

        Args:
            points: distinct points (k, d), k >= 1.
        """
        leaf = next(size for most, size in LEAVES if points.shape[1] <= most)
        self.order, *nodes = compiled().build(points, leaf)
        self.place: Ints = np.empty_like(self.order)
        self.place[self.order] = np.arange(len(points))
        self.points = points[self.order]
        self.nodes: tuple[Any, ...] = tuple(nodes)
        self.tiles: Floats = compiled().tile(self.points, *nodes[:3])

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        parts = (self.order, self.place, self.points, self.tiles, *self.nodes)
        return sum(part.nbytes for part in parts)

    def nearest(self, queries: Floats) -> tuple[Ints, Floats]:
        """Nearest point of each query; of equally near ones the first.

        Args:
            queries: shape (n, d).

        Returns:
            Numbers of points (n,), and squared distances (n,).
        """
        place, square = compiled().nearest(self.tiles, *self.nodes, self.order, np.ascontiguousarray(queries))
        return self.order[place], square

    def reach(self, queries: Floats, weight: Floats, k: float) -> Floats:
        """Squared radius around each query within which the points weigh k; infinite where all weigh less.

        Args:
            queries: shape (n, d).
            weight: weight of each point (k,).
            k: weight to reach, above 0.
        """
        above = weight[weight > 0]
        most = len(above) if not len(above) else min(len(above), int(np.ceil(k / above.min())) + 1)
        tiles, masses = self.tiles, weight[self.order]
        found: Floats = compiled().reach(tiles, masses, *self.nodes, np.ascontiguousarray(queries), float(k), most)
        return found
