"""DBSCAN on distinct points with weights: one neighbour graph for many settings, labels for new rows.

:func:`distinct` finds the points, :class:`NeighbourGraph` the pairs within a radius, :func:`sweep` clusters with every
pair of ``eps`` and ``min_samples``; :func:`k_distances` and :func:`knee` suggest an ``eps``; :func:`exemplars` and
:func:`stability` describe what was found.
:class:`DBSCAN` is one clustering that labels new rows, :class:`CoreDistance` an outlier detector.
"""

from utils.detectors.dbscan.clusters import exemplars
from utils.detectors.dbscan.core_distance import CoreDistance
from utils.detectors.dbscan.distances import k_distances, knee
from utils.detectors.dbscan.estimator import DBSCAN
from utils.detectors.dbscan.graph import NeighbourGraph
from utils.detectors.dbscan.points import Distinct, distinct
from utils.detectors.dbscan.stability import Stability, stability
from utils.detectors.dbscan.sweeping import Sweep, sweep

__all__ = [
    "DBSCAN",
    "CoreDistance",
    "Distinct",
    "NeighbourGraph",
    "Stability",
    "Sweep",
    "distinct",
    "exemplars",
    "k_distances",
    "knee",
    "stability",
    "sweep",
]
