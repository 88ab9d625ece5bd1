"""Features of traffic between hosts: of each edge in a window of time, of each host, and of the whole graph.

```python
from utils.features import traffic_graphs

edges = traffic_graphs.edge_windows(flows, traffic_graphs.Columns("Src IP", "Dst IP", "Timestamp"))
features = traffic_graphs.TrafficFeatures().fit(edges.filter(pl.col("window") < 288))
features.edges(edges), features.hosts(edges), features.graph(edges)
```

What is usual is learned from the rows of training; besides, a row is described by its own window and by earlier windows
of its edge. Nothing comes from the future.
"""

from utils.features.traffic_graphs.history import EdgeHistory
from utils.features.traffic_graphs.structure import communities, graph_windows, modularity
from utils.features.traffic_graphs.transformer import EDGE_FEATURES, HOST_FEATURES, TrafficFeatures
from utils.features.traffic_graphs.windows import Columns, columns_of, edge_windows

__all__ = [
    "EDGE_FEATURES",
    "HOST_FEATURES",
    "Columns",
    "EdgeHistory",
    "TrafficFeatures",
    "columns_of",
    "communities",
    "edge_windows",
    "graph_windows",
    "modularity",
]
