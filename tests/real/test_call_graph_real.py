"""Call-graph features against true values of real graphs, as far as these can be checked without the graphs."""

import itertools

import numpy as np
import polars as pl
import pytest

from utils import datasets
from utils.features.call_graph import describe

pytestmark = pytest.mark.real

SAME = {
    "n_connections": "graph_num_edges",
    "n_unique_nodes": "graph_num_nodes",
    "n_self_loops": "graph_self_loops",
    "density": "graph_density",
    "max_source_out_degree": "graph_out_deg_max",
    "max_dest_in_degree": "graph_in_deg_max",
    "std_out_degree": "std_out_degree",
    "mean_page_rank": "mean_page_rank",
    "std_page_rank": "std_page_rank",
    "std_dest_in_degree": "std_local_source_degrees",
}
"""Our features and the names under which the reference has them."""


@pytest.fixture(scope="module")
def reference(mirror_dir):
    path = mirror_dir.parent / "reference" / "api_graph_features.parquet"
    if not path.is_file():
        pytest.skip(f"{path.name} is not beside the mirror: no true features of real graphs")
    return pl.read_parquet(path)


@pytest.fixture(scope="module")
def filled(reference):
    """Graphs with edges that upstream counted once."""
    return reference.filter(pl.col("graph_num_edges") > 0, pl.col("upstream_rows") == 1)


@pytest.fixture(scope="module")
def every_small_graph():
    """Features of all directed graphs on up to three nodes of which each has an edge."""
    rows = []
    for nodes in (1, 2, 3):
        pairs = list(itertools.product(range(nodes), repeat=2))
        for number in range(1, 1 << len(pairs)):
            edges = [pair for place, pair in enumerate(pairs) if number >> place & 1]
            if {node for edge in edges for node in edge} == set(range(nodes)):
                rows += [(f"{nodes}/{number}", *edge) for edge in edges]
    return describe(pl.DataFrame(rows, schema=["_id", "from", "to"], orient="row"))


def matches(real: pl.DataFrame, ours: pl.DataFrame, names: dict[str, str]) -> np.ndarray:
    """Tell which real graphs have the features of one of ours; the upstream PageRank stops at 1e-6 a node."""
    wanted = real.select(pl.col(names.values()).cast(pl.Float64)).to_numpy()
    known = ours.select(pl.col(names.keys()).cast(pl.Float64)).unique().to_numpy()
    tolerance = [5e-5 if "page_rank" in name else 1e-9 for name in names]
    near = np.abs(wanted[:, None] - known[None]) <= tolerance
    return (near | (np.isnan(wanted[:, None]) & np.isnan(known[None]))).all(axis=2).any(axis=1)


def test_each_small_real_graph_is_one_of_all_small_graphs(filled, every_small_graph):
    small = filled.filter(pl.col("graph_num_nodes") <= 3)
    assert small.height > 100
    assert small.filter(~pl.Series(matches(small, every_small_graph, SAME))).is_empty()


def test_the_published_local_deviation_is_that_of_destinations_not_of_sources(filled, every_small_graph):
    small = filled.filter(pl.col("graph_num_nodes") <= 3)
    other = {("std_source_out_degree" if ours == "std_dest_in_degree" else ours): name for ours, name in SAME.items()}
    assert not matches(small, every_small_graph, other).all()
    several = filled.filter(pl.col("n_connections") > 1)
    constant_in = several.filter(pl.col("graph_in_deg_max") == 1)
    assert constant_in.height > 20
    assert constant_in.filter(pl.col("std_local_source_degrees") != 0).is_empty()
    constant_out = several.filter(pl.col("graph_out_deg_max") == 1, pl.col("graph_in_deg_max") > 1)
    assert constant_out.height > 3
    assert constant_out.filter(pl.col("std_local_source_degrees") != 0).height > 3


def test_sizes_of_all_real_graphs_follow_our_definitions(reference):
    filled = reference.filter(pl.col("graph_num_edges") > 0)
    edges, nodes = filled["graph_num_edges"].to_numpy(), filled["graph_num_nodes"].to_numpy().astype(float)
    density = np.where(nodes > 1, edges / np.maximum(nodes * (nodes - 1), 1), 0)
    np.testing.assert_allclose(filled["graph_density"], density, rtol=1e-9)
    np.testing.assert_allclose(filled["mean_page_rank"], 1 / nodes, rtol=1e-9)
    np.testing.assert_array_equal(filled["n_connections"], edges * filled["upstream_rows"].to_numpy())
    alone = filled.filter((pl.col("graph_num_edges") == 1) & (pl.col("upstream_rows") == 1))
    assert alone["std_global_source_degrees"].null_count() == alone.height > 30


def test_the_loader_corrects_the_sizes_that_upstream_counted_four_times(reference, real_lab):
    features = datasets.load("api", "real")["features"].join(reference, on="_id", suffix="_upstream")
    several = features.filter(pl.col("upstream_rows") > 1)
    assert several.height == 7
    assert features["n_connections"].to_list() == features["graph_num_edges"].to_list()
    assert (several["n_connections_upstream"] == 4 * several["n_connections"]).all()
