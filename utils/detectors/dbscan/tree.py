"""A k-d tree of distinct points: nearest point, radius that reaches a weight, pairs within a radius.

Source:
    Friedman, Bentley and Finkel, "An algorithm for finding best matches in logarithmic expected time", ACM TOMS 1977;
    Gray and Moore, "N-body problems in statistical learning", NIPS 2000 (two nodes at a time).
"""

from typing import Any

import numpy as np

from utils.detectors.dbscan.points import compiled
from utils.evaluation.inputs import Floats, Ints

LEAF = 32
"""Points of a leaf at most: compared one by one with those of another leaf."""


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
        self.order, *nodes = compiled().build(points, LEAF)
        self.place: Ints = np.empty_like(self.order)
        self.place[self.order] = np.arange(len(points))
        self.points = points[self.order]
        self.columns = np.ascontiguousarray(self.points.T)
        self.nodes: tuple[Any, ...] = tuple(nodes)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        parts = (self.order, self.place, self.points, self.columns, *self.nodes)
        return sum(part.nbytes for part in parts)

    def nearest(self, queries: Floats) -> tuple[Ints, Floats]:
        """Nearest point of each query; of equally near ones the first.

        Args:
            queries: shape (n, d).

        Returns:
            Numbers of points (n,), and squared distances (n,).
        """
        place, square = compiled().nearest(self.columns, *self.nodes, self.order, np.ascontiguousarray(queries))
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
        columns, masses = self.columns, weight[self.order]
        found: Floats = compiled().reach(columns, masses, *self.nodes, np.ascontiguousarray(queries), float(k), most)
        return found
