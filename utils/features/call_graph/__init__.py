"""Numbers from call graphs: which interface called which, one row of features a graph.

Graphs come as a long frame, one row an edge (by default the columns ``_id``, ``from``, ``to``), or with one row a graph
and lists of ends; :func:`nest_edges` turns the first form into the second, which is what scikit-learn splits and
pipelines need. A graph is a simple directed graph, as ``networkx.DiGraph`` is one: an edge that is named several times
counts once, a self-loop is an edge.

- :func:`describe`: local features, each from the one graph alone; nothing is fitted.
- :class:`CallGraphFeatures`: the same and global degrees, counted over the training graphs.

**Degrees over edges.** The published features (the course notebook on the API access behaviours) look at the degrees
of the two ends of each edge, so a node with k edges counts k times. The *local* degree of a source is its out-degree
in the graph, the *global* one its number of edges in all graphs; likewise for a destination and incoming edges.

| name | meaning |
|---|---|
| ``n_connections``, ``n_unique_nodes``, ``n_self_loops`` | edges, nodes, edges from a node to itself |
| ``n_sources``, ``n_destinations`` | nodes with at least one outgoing, incoming edge |
| ``density`` | edges / (n (n - 1)) for n nodes, 0 for one node; loops count as edges, so it may pass 1 |
| ``reciprocity`` | share of edges whose reverse is an edge; loops count as edges without a reverse |
| ``{avg,min,max,std}_source_out_degree`` | over edges: out-degree of the source |
| ``{avg,min,max,std}_dest_in_degree`` | over edges: in-degree of the destination |
| ``avg_degree`` | over nodes: edges / nodes, which is both the mean out-degree and the mean in-degree |
| ``std_out_degree``, ``std_in_degree`` | over nodes: deviation of the out-degree, in-degree |
| ``out_hub_share``, ``in_hub_share`` | largest out-degree, in-degree / edges |
| ``avg_clustering`` | mean clustering coefficient of the nodes of the undirected simple graph without loops |
| ``{mean,std,max}_page_rank`` | over nodes: PageRank with damping 0.85; the mean is 1 / n |
| ``{avg,min,max,std}_global_{source,dest}_degrees`` | over edges: global degree of the source, destination |
| ``std_local_source_degrees`` | the published name of ``std_dest_in_degree``: upstream took the wrong column |

Deviations are sample deviations. Over the edges of a graph with one edge there is none (null, NaN), as published; over
the nodes of a graph with one node it is 0. A graph without edges has counts and density 0 and nothing else.

Sources: density, reciprocity, clustering (Watts and Strogatz, Nature 393, 1998) and PageRank (Page et al., Stanford
1999) are those of networkx: ``density``, ``overall_reciprocity``, ``average_clustering``, ``pagerank``.
"""

from utils.features.call_graph.edges import nest_edges
from utils.features.call_graph.names import ALL, GLOBAL, LOCAL, PUBLISHED
from utils.features.call_graph.transformer import CallGraphFeatures, describe

__all__ = ["ALL", "GLOBAL", "LOCAL", "PUBLISHED", "CallGraphFeatures", "describe", "nest_edges"]
