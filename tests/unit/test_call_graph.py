"""Call-graph features against networkx, and what global degrees mean for old and new graphs."""

import math
import pickle
import subprocess
import sys

import networkx as nx
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from utils.errors import DataError, SchemaError, SettingsError
from utils.features import call_graph
from utils.features.call_graph import ALL, GLOBAL, LOCAL, PUBLISHED, CallGraphFeatures, describe, nest_edges, structure

Graph = list[tuple[str, str]]
TOLERANCE = {"rtol": 1e-9, "atol": 1e-9}

EDGES = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")), min_size=1, max_size=20)
GRAPHS = st.lists(EDGES, min_size=1, max_size=7)
FEW = settings(deadline=None, max_examples=40)


def random_graphs(count: int, seed: int) -> list[Graph]:
    """Graphs of 1 to 40 interfaces of a common stock, from chains to nearly complete ones, hubs and loops included."""
    rng = np.random.default_rng(seed)
    graphs = []
    for _ in range(count):
        nodes = rng.choice(60, size=int(rng.integers(1, 41)), replace=False)
        edges = int(rng.integers(1, 2 + len(nodes) ** rng.uniform(0.5, 2)))
        weight = rng.dirichlet(np.full(len(nodes), rng.choice([0.2, 5.0])))
        ends = rng.choice(nodes, size=(edges, 2), p=weight)
        graphs.append([(f"/api/{source}", f"/api/{target}") for source, target in ends])
    return graphs


def long(graphs: list[Graph], start: int = 0) -> pl.DataFrame:
    rows = [(f"g{number}", *edge) for number, graph in enumerate(graphs, start) for edge in graph]
    return pl.DataFrame(rows, schema={"_id": pl.String, "from": pl.String, "to": pl.String}, orient="row")


def spread(values: list[float]) -> tuple[float, float, float, float]:
    deviation = np.std(values, ddof=1) if len(values) > 1 else math.nan
    return float(np.mean(values)), min(values), max(values), float(deviation)


def node_deviation(values) -> float:
    return float(np.std(list(values), ddof=1)) if len(values) > 1 else 0.0


def local_by_networkx(edges: Graph) -> dict[str, float]:
    graph = nx.DiGraph(edges)
    out, into = dict(graph.out_degree()), dict(graph.in_degree())
    rank = list(nx.pagerank(graph, tol=1e-14, max_iter=1000).values())
    plain = nx.Graph(graph)
    plain.remove_edges_from(list(nx.selfloop_edges(plain)))
    found = {
        "n_connections": graph.number_of_edges(),
        "n_unique_nodes": graph.number_of_nodes(),
        "n_self_loops": nx.number_of_selfloops(graph),
        "n_sources": sum(degree > 0 for degree in out.values()),
        "n_destinations": sum(degree > 0 for degree in into.values()),
        "density": nx.density(graph),
        "reciprocity": nx.overall_reciprocity(graph),
        "avg_degree": np.mean(list(out.values())),
        "std_out_degree": node_deviation(out.values()),
        "std_in_degree": node_deviation(into.values()),
        "out_hub_share": max(out.values()) / graph.number_of_edges(),
        "in_hub_share": max(into.values()) / graph.number_of_edges(),
        "avg_clustering": nx.average_clustering(plain),
        "mean_page_rank": np.mean(rank),
        "std_page_rank": node_deviation(rank),
        "max_page_rank": max(rank),
    }
    for name, degrees in (
        ("source_out_degree", [out[source] for source, _ in graph.edges]),
        ("dest_in_degree", [into[target] for _, target in graph.edges]),
    ):
        found |= zip(
            (f"{statistic}_{name}" for statistic in ("avg", "min", "max", "std")), spread(degrees), strict=True
        )
    return found


def together(graphs: list[Graph]) -> nx.MultiDiGraph:
    everything = nx.MultiDiGraph()
    for graph in graphs:
        everything.add_edges_from(nx.DiGraph(graph).edges)
    return everything


def global_by_networkx(edges: Graph, everything: nx.MultiDiGraph) -> dict[str, float]:
    """Global features of a graph where degrees are those in a multigraph."""
    own = nx.DiGraph(edges).edges
    out, into = dict(everything.out_degree()), dict(everything.in_degree())
    found = {}
    for side, degrees in (
        ("source", [out[source] for source, _ in own]),
        ("dest", [into[target] for _, target in own]),
    ):
        names = (f"{statistic}_global_{side}_degrees" for statistic in ("avg", "min", "max", "std"))
        found |= zip(names, spread(degrees), strict=True)
    return found


def expected(graphs: list[Graph], counted: list[Graph], features=ALL) -> np.ndarray:
    rows, everything = [], together(counted)
    for graph in graphs:
        found = local_by_networkx(graph) | global_by_networkx(graph, everything)
        found["std_local_source_degrees"] = found["std_dest_in_degree"]
        rows.append([found[name] for name in features])
    return np.array(rows, dtype=float)


@pytest.fixture(scope="module")
def graphs():
    return random_graphs(220, seed=7)


@pytest.fixture(scope="module")
def by_networkx(graphs):
    return expected(graphs, graphs)


@pytest.fixture(scope="module")
def fitted(graphs):
    return CallGraphFeatures().fit(long(graphs[:150]))


def test_every_feature_of_220_random_graphs_is_that_of_networkx(graphs, by_networkx):
    ours = CallGraphFeatures().fit_transform(long(graphs))
    np.testing.assert_allclose(ours, by_networkx, **TOLERANCE)
    table = describe(long(graphs))
    assert table.columns == ["_id", *LOCAL]
    np.testing.assert_allclose(table.select(LOCAL).to_numpy(), by_networkx[:, : len(LOCAL)], **TOLERANCE)


@FEW
@given(GRAPHS)
def test_small_graphs_are_those_of_networkx(graphs):
    np.testing.assert_allclose(CallGraphFeatures().fit_transform(long(graphs)), expected(graphs, graphs), **TOLERANCE)


@FEW
@given(GRAPHS)
def test_published_features_are_counted_over_all_graphs_together(graphs):
    ours = CallGraphFeatures(PUBLISHED, degrees="transductive").fit_transform(long(graphs))
    np.testing.assert_allclose(ours, expected(graphs, graphs, PUBLISHED), **TOLERANCE)


@FEW
@given(GRAPHS, EDGES)
def test_a_new_graph_joins_the_training_graphs_before_it_is_counted(train, graph):
    model = CallGraphFeatures(GLOBAL).fit(long(train))
    known = {frozenset(one) for one in train}
    counted = train if frozenset(graph) in known else [*train, graph]
    np.testing.assert_allclose(model.transform(long([graph])), expected([graph], counted, GLOBAL), **TOLERANCE)


def test_many_new_graphs_do_not_change_each_other(graphs, fitted):
    train, new = graphs[:150], graphs[160:175]
    counted = [[*train, graph] for graph in new]
    wanted = np.concatenate([expected([graph], those) for graph, those in zip(new, counted, strict=True)])
    np.testing.assert_allclose(fitted.transform(long(new)), wanted, **TOLERANCE)
    one_by_one = np.concatenate([fitted.transform(long([graph])) for graph in new])
    np.testing.assert_array_equal(fitted.transform(long(new)), one_by_one)


@pytest.mark.parametrize("degrees", ["inductive", "transductive"])
def test_training_graphs_transformed_again_give_the_same_values(degrees, graphs):
    model = CallGraphFeatures(degrees=degrees)
    first = model.fit_transform(long(graphs))
    np.testing.assert_array_equal(model.transform(long(graphs)), first)
    np.testing.assert_array_equal(clone(model).fit(long(graphs)).transform(long(graphs)), first)


def test_some_training_graphs_transformed_alone_give_the_same_values(graphs, fitted):
    everything = fitted.transform(long(graphs[:150]))
    np.testing.assert_array_equal(fitted.transform(long(graphs[30:33][::-1])), everything[30:33][::-1])


def test_transductive_counts_the_graphs_of_the_call_whatever_was_fitted(graphs):
    model = CallGraphFeatures(degrees="transductive").fit(long(graphs[:150]))
    np.testing.assert_array_equal(model.transform(long(graphs)), clone(model).fit_transform(long(graphs)))
    np.testing.assert_array_equal(model.transform(long(graphs[150:])), clone(model).fit_transform(long(graphs[150:])))


def test_test_graphs_shape_training_rows_only_where_degrees_are_transductive(graphs):
    train, everything = long(graphs[:150]), long(graphs)
    inductive = CallGraphFeatures(GLOBAL).fit(train)
    transductive = CallGraphFeatures(GLOBAL, degrees="transductive").fit(train)
    np.testing.assert_array_equal(inductive.transform(everything)[:150], inductive.transform(train))
    assert not np.array_equal(transductive.transform(everything)[:150], transductive.transform(train))


def test_a_new_graph_under_an_old_identifier_is_new():
    train = [[("a", "b"), ("a", "c")], [("a", "b")]]
    model = CallGraphFeatures(("max_global_source_degrees",)).fit(long(train))
    assert model.transform(long([[("a", "d")], train[1]])).ravel().tolist() == [4, 3]
    assert model.transform(long(train, start=77)).ravel().tolist() == [3, 3]


def test_an_endpoint_that_was_never_seen_has_its_local_degree():
    model = CallGraphFeatures(("max_global_source_degrees", "max_global_dest_degrees")).fit(long([[("a", "b")]]))
    assert model.transform(long([[("x", "y"), ("x", "z"), ("x", "b")]])).tolist() == [[3, 2]]


def test_training_graphs_that_are_equal_count_each():
    train = long([[("a", "b")], [("a", "b")], [("b", "a")]])
    model = CallGraphFeatures(("max_global_source_degrees",))
    assert model.fit_transform(train).ravel().tolist() == [2, 2, 1]
    assert model.transform(train).ravel().tolist() == [2, 2, 1]


def test_published_names_and_their_order():
    names = CallGraphFeatures(PUBLISHED).get_feature_names_out().tolist()
    assert names[0] == "n_connections"
    assert names[-1] == "std_local_source_degrees"
    assert len(names) == 9
    assert set(names) - {"std_local_source_degrees"} <= set(ALL)


def test_the_misnamed_column_holds_the_deviation_of_destination_degrees():
    edges = long([[("a", "x"), ("b", "x"), ("c", "x"), ("c", "y")]])
    row = describe(edges, features=("std_local_source_degrees", "std_dest_in_degree", "std_source_out_degree"))
    assert row.row(0)[1:] == pytest.approx((1.0, 1.0, math.sqrt(1 / 3)))


def test_one_edge_has_no_deviation_and_one_node_no_spread():
    row = describe(long([[("a", "a")]])).row(0, named=True)
    assert row["std_source_out_degree"] is None
    assert row["std_out_degree"] == row["std_page_rank"] == row["density"] == row["reciprocity"] == 0
    assert (row["n_self_loops"], row["max_page_rank"]) == (1, 1)


def test_graphs_without_edges_have_counts_and_nothing_else():
    edges = pl.concat(
        [long([[("a", "b")]]), pl.DataFrame({"_id": ["e"], "from": [None], "to": [None]})], how="vertical_relaxed"
    )
    model = CallGraphFeatures().fit(edges)
    for table in (
        describe(edges, ids=pl.Series(["none", "e", "g0"])),
        model.describe(edges, pl.Series(["none", "e", "g0"])),
    ):
        assert table["_id"].to_list() == ["none", "e", "g0"]
        assert table["n_connections"].to_list() == [0, 0, 1]
        empty = table.head(2).drop("_id")
        assert {column.name for column in empty if column.null_count() == 0} == {
            "n_connections", "n_unique_nodes", "n_self_loops", "n_sources", "n_destinations", "density"
        }  # fmt: skip
    values = model.transform(edges)
    assert values.shape == (2, len(ALL))
    np.testing.assert_array_equal(values[1], model.describe(edges).drop("_id").to_numpy().astype(float)[1])


def test_types_of_the_table():
    schema = describe(long([[("a", "b")]])).schema
    whole = [name for name, dtype in schema.items() if dtype == pl.Int64]
    assert whole == [
        "n_connections", "n_unique_nodes", "n_self_loops", "n_sources", "n_destinations", "min_source_out_degree",
        "max_source_out_degree", "min_dest_in_degree", "max_dest_in_degree",
    ]  # fmt: skip
    assert all(schema[name] == pl.Float64 for name in set(LOCAL) - set(whole))


def test_repeated_edges_count_once_and_their_order_does_not_matter(graphs):
    edges = long(graphs[:40])
    order = edges["_id"].unique(maintain_order=True)
    shuffled = pl.concat([edges, edges]).sample(fraction=1, shuffle=True, seed=3)
    assert_frame_equal(describe(shuffled, ids=order), describe(edges))
    in_order = shuffled["_id"].unique(maintain_order=True)
    assert describe(shuffled)["_id"].to_list() == in_order.to_list()
    train = CallGraphFeatures(GLOBAL).fit(edges)
    np.testing.assert_array_equal(train.transform(shuffled), train.describe(edges, in_order).drop("_id").to_numpy())


def test_blocks_do_not_show(graphs, monkeypatch):
    whole = CallGraphFeatures().fit_transform(long(graphs))
    for edges, most in ((1, 1), (50, 3), (1 << 30, 1 << 10)):
        monkeypatch.setattr(structure, "BLOCK_EDGES", edges)
        monkeypatch.setattr(structure, "BLOCK_GRAPHS", most)
        np.testing.assert_allclose(CallGraphFeatures().fit_transform(long(graphs)), whole, rtol=1e-14)


def test_a_row_a_graph_gives_what_a_row_an_edge_gives(graphs, fitted):
    edges = pl.concat(
        [long(graphs), pl.DataFrame({"_id": ["empty"], "from": [None], "to": [None]})], how="vertical_relaxed"
    )
    nested = nest_edges(edges)
    assert nested.columns == ["_id", "from", "to"]
    assert nested["from"].list.len().to_list() == [*map(len, graphs), 0]
    assert nested["to"][3].to_list() == [target for _, target in graphs[3]]
    assert_frame_equal(describe(nested), describe(edges))
    np.testing.assert_array_equal(fitted.transform(nested), fitted.transform(edges))
    np.testing.assert_array_equal(CallGraphFeatures().fit_transform(nested), CallGraphFeatures().fit_transform(edges))


def test_nesting_takes_the_graphs_that_are_wanted():
    edges = long([[("a", "b"), ("b", "c")], [("a", "a")]])
    nested = nest_edges(edges, pl.Series(["g1", "new", "g0"]))
    assert nested.rows() == [("g1", ["a"], ["a"]), ("new", [], []), ("g0", ["a", "b"], ["b", "c"])]
    assert nest_edges(edges.clear()).rows() == []
    for nothing in (edges.clear(), pl.DataFrame(schema=["_id", "from", "to"])):
        assert nest_edges(nothing, pl.Series(["x"])).rows() == [("x", [], [])]
        assert describe(nest_edges(nothing, pl.Series(["x"])))["n_connections"].to_list() == [0]


def test_other_column_names_even_odd_ones():
    edges = long([[("a", "b"), ("b", "a")], [("a", "c")]])
    names = {"graph": "^.*$", "source": "number", "target": ""}
    odd = edges.rename({"_id": "^.*$", "from": "number", "to": ""}).with_columns(other=pl.lit(1.5))
    assert_frame_equal(describe(odd, **names).rename({"^.*$": "_id"}), describe(edges))
    nested = nest_edges(odd, **names)
    assert nested.columns == ["^.*$", "number", ""]
    model = CallGraphFeatures(**names)
    np.testing.assert_array_equal(model.fit_transform(nested), CallGraphFeatures().fit_transform(edges))
    assert model.describe(odd).columns[0] == "^.*$"


WAYS = {
    "numbers": lambda texts: texts.replace_strict({"a": -5, "b": 2**62, "c": 0}, return_dtype=pl.Int64),
    "small numbers": lambda texts: texts.replace_strict({"a": 250, "b": 3, "c": 0}, return_dtype=pl.UInt8),
    "large numbers": lambda texts: texts.replace_strict({"a": 2**64 - 1, "b": 2**63, "c": 1}, return_dtype=pl.UInt64),
    "categories": lambda texts: texts.cast(pl.Categorical),
    "enumeration": lambda texts: texts.cast(pl.Enum(["c", "b", "a", "z"])),
    "long texts": lambda texts: texts + "-ü" * 50,
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_endpoints_are_texts_or_numbers_of_any_kind(way):
    edges = long([[("a", "b"), ("b", "a"), ("a", "a")], [("a", "c")], [("c", "c"), ("b", "c")]])
    named = edges.with_columns(way(edges["from"]), way(edges["to"]))
    train = CallGraphFeatures()
    np.testing.assert_array_equal(train.fit_transform(named), CallGraphFeatures().fit_transform(edges))
    np.testing.assert_array_equal(train.transform(nest_edges(named)), train.transform(named))


def test_a_number_and_its_digits_are_one_endpoint():
    texts = long([[("1", "22"), ("22", "1")], [("1", "3")]])
    numbers = texts.with_columns(pl.col("from").cast(pl.Int32), pl.col("to").cast(pl.Int64))
    model = CallGraphFeatures(GLOBAL).fit(texts)
    np.testing.assert_array_equal(model.transform(numbers), model.transform(texts))
    np.testing.assert_array_equal(
        model.transform(texts.with_columns(pl.col("to").cast(pl.UInt8))), model.transform(texts)
    )


@pytest.mark.parametrize("dtype", [pl.Int8, pl.UInt64, pl.Categorical, pl.Date, pl.Datetime("us"), pl.Boolean])
def test_graphs_are_named_by_texts_numbers_or_times(dtype):
    ids = pl.Series("_id", [1, 1, 0]).cast(pl.String if dtype == pl.Categorical else pl.Int64).cast(dtype)
    edges = pl.DataFrame([ids, pl.Series("from", ["a", "b", "a"]), pl.Series("to", ["b", "b", "a"])])
    table = describe(edges)
    assert table.schema["_id"] == dtype
    assert table["_id"].to_list() == ids.unique(maintain_order=True).to_list()
    assert table["n_connections"].to_list() == [2, 1]


def test_no_rows_give_no_rows(fitted):
    for nothing in (long([]), nest_edges(long([])), pl.DataFrame(schema=["_id", "from", "to"])):
        assert describe(nothing).shape == (0, 1 + len(LOCAL))
        assert fitted.transform(nothing).shape == (0, len(ALL))


def test_training_graphs_may_have_no_edges_but_there_must_be_one():
    nothing = pl.DataFrame({"_id": ["a"], "from": [[]], "to": [[]]})
    model = CallGraphFeatures(("n_connections", "max_global_source_degrees")).fit(nothing)
    np.testing.assert_array_equal(model.transform(nothing), [[0, np.nan]])
    assert model.transform(long([[("a", "b"), ("a", "c")]])).tolist() == [[2, 2]]
    with pytest.raises(DataError, match="at least one, found no row"):
        CallGraphFeatures().fit(long([]))


def test_chosen_features_come_in_their_order(graphs, fitted):
    chosen = ("max_global_dest_degrees", "density", "std_local_source_degrees", "avg_global_source_degrees")
    model = CallGraphFeatures(chosen).fit(long(graphs[:150]))
    everything = dict(zip(ALL, fitted.transform(long(graphs)).T, strict=True))
    everything["std_local_source_degrees"] = everything["std_dest_in_degree"]
    np.testing.assert_array_equal(model.transform(long(graphs)).T, [everything[name] for name in chosen])
    assert model.get_feature_names_out().tolist() == list(chosen)
    assert model.describe(long(graphs)).columns == ["_id", *chosen]
    local = CallGraphFeatures(LOCAL).fit(long(graphs[:150])).transform(long(graphs))
    np.testing.assert_array_equal(local, fitted.transform(long(graphs))[:, : len(LOCAL)])


def test_large_degrees_keep_their_last_digit():
    hub = [("hub", f"n{number}") for number in range(30_000)]
    table = CallGraphFeatures().fit(long([hub, [("hub", "n0")]])).describe(long([hub]))
    assert table["max_global_source_degrees"].item() == 30_001
    assert table["std_global_source_degrees"].item() == 0
    assert table["avg_global_dest_degrees"].item() == pytest.approx(1 + 1 / 30_000, abs=1e-12)
    assert table["avg_clustering"].item() == 0


def test_a_deep_copy_of_the_fitted_state_in_another_process_gives_the_same(graphs, fitted, tmp_path):
    new = nest_edges(long(graphs[140:170]))
    (tmp_path / "model").write_bytes(pickle.dumps((fitted, new)))
    code = (
        "import pickle, sys, numpy as np, pathlib; folder = pathlib.Path(sys.argv[1])\n"
        "model, new = pickle.loads((folder / 'model').read_bytes()); np.save(folder / 'out.npy', model.transform(new))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), fitted.transform(new))


def test_no_training_edge_is_kept(graphs, fitted):
    state = {name: value for name, value in vars(fitted).items() if name.endswith("_")}
    assert set(state) == {"endpoints_", "source_degrees_", "dest_degrees_", "graphs_"}
    assert len(fitted.endpoints_) == len({node for graph in graphs[:150] for edge in graph for node in edge})
    assert len(fitted.graphs_) == len({frozenset(graph) for graph in graphs[:150]})
    assert fitted.source_degrees_.sum() == sum(len(set(graph)) for graph in graphs[:150])


def test_it_works_in_a_pipeline_with_cross_validation(graphs):
    nested = nest_edges(long(graphs))
    y = (nested["from"].list.len() > 30).to_numpy()
    pipeline = make_pipeline(CallGraphFeatures(("n_connections", "max_global_source_degrees")), LogisticRegression())
    assert cross_val_score(pipeline, nested, y, cv=3).min() > 0.8
    frame = CallGraphFeatures(GLOBAL).set_output(transform="polars").fit_transform(nested)
    assert frame.columns == list(GLOBAL)


def test_a_transformer_must_be_fitted_first():
    with pytest.raises(NotFittedError):
        CallGraphFeatures().transform(long([[("a", "b")]]))


GOOD = {"_id": ["g", "g"], "from": ["a", "b"], "to": ["b", "c"]}
BAD = {
    "no column": ({"_id": ["g"], "from": ["a"]}, SchemaError, "must have the column 'to', found"),
    "fractions": (GOOD | {"to": [0.5, 1.0]}, SchemaError, "must name nodes as texts or whole numbers, found Float64"),
    "half a list": (GOOD | {"to": [["a"], ["b"]]}, SchemaError, r"'to' must name nodes .* found List"),
    "lists of fractions": (
        {"_id": ["g"], "from": [[0.5]], "to": [[1.5]]}, SchemaError, "'from' must name nodes as texts or whole numbers"
    ),
    "graphs by fractions": (GOOD | {"_id": [0.5, 1.0]}, SchemaError, "'_id' must name graphs by texts"),
    "no graph": (GOOD | {"_id": ["g", None]}, DataError, "must name the graph of each edge, found none in 1 of 2"),
    "half an edge": (GOOD | {"to": ["b", None]}, DataError, "both 'from' and 'to', found one without in graph 'g'"),
    "lists of two lengths": (
        {"_id": ["g"], "from": [["a", "b"]], "to": [["a"]]}, DataError, "of graph 'g' must be lists of one length"
    ),
    "half an edge in a list": (
        {"_id": ["h"], "from": [["a", None]], "to": [["a", "b"]]}, DataError, "found one without in graph 'h'"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("columns", "error", "message"), BAD.values(), ids=BAD)
def test_bad_graphs_are_refused_with_one_sentence(columns, error, message, fitted):
    frame = pl.DataFrame(columns)
    for use in (describe, nest_edges, fitted.transform, CallGraphFeatures().fit):
        if use is nest_edges and isinstance(frame["from"].dtype, pl.List):
            continue
        with pytest.raises(error, match=message) as refused:
            use(frame)
        assert "\n" not in str(refused.value)


def test_lists_that_are_missing_are_empty_graphs():
    frame = pl.DataFrame({"_id": [1, 2], "from": [None, ["a"]], "to": [None, ["b"]]})
    assert describe(frame)["n_connections"].to_list() == [0, 1]
    arrays = pl.DataFrame({"_id": [1], "from": [["a", "b"]], "to": [["b", "c"]]})
    arrays = arrays.with_columns(pl.col("from", "to").cast(pl.Array(pl.String, 2)))
    assert describe(arrays)["n_connections"].to_list() == [2]


def test_what_is_no_polars_frame_is_refused():
    for other in (pd.DataFrame(GOOD), pl.LazyFrame(GOOD), GOOD):
        with pytest.raises(SchemaError, match="must be a polars DataFrame, found"):
            describe(other)


def test_one_column_cannot_be_two_things():
    with pytest.raises(SchemaError, match="must be three columns"):
        describe(pl.DataFrame(GOOD), target="from")
    with pytest.raises(SchemaError, match="must not be called 'density'"):
        describe(pl.DataFrame(GOOD).rename({"_id": "density"}), graph="density")


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        (["g", "g"], DataError, "name each graph once"),
        (["g", None], DataError, "name each graph once"),
        ([["g"]], SchemaError, "ids must have the type"),
    ],
)
def test_bad_ids_are_refused(ids, error, message):
    with pytest.raises(error, match=message):
        describe(pl.DataFrame(GOOD), ids=pl.Series(ids))


def test_ids_and_rows_that_are_graphs_exclude_each_other():
    with pytest.raises(DataError, match="each row is a graph"):
        describe(nest_edges(pl.DataFrame(GOOD)), ids=pl.Series(["g"]))


def test_half_an_edge_of_a_graph_that_nobody_wants_is_named_by_its_row():
    with pytest.raises(DataError, match="in row 1"):
        describe(pl.DataFrame(GOOD | {"to": ["b", None]}), ids=pl.Series(["other"]))


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ((), "at least one feature"),
        (("density", "density"), "each once"),
        (("densty",), r"found 'densty' \(did you mean 'density'\?\)"),
        (("n_connections", 3), "found 3"),
    ],
)
def test_unknown_features_are_refused_when_it_is_fitted(features, message):
    model = CallGraphFeatures(features)
    for use in (model.fit, model.fit_transform):
        with pytest.raises(SettingsError, match=message):
            use(pl.DataFrame(GOOD))
    with pytest.raises(SettingsError, match=message):
        describe(pl.DataFrame(GOOD), features=features)


def test_other_wrong_settings_are_refused():
    with pytest.raises(SettingsError, match="degrees must be one of 'inductive', 'transductive', found 'both'"):
        CallGraphFeatures(degrees="both").fit(pl.DataFrame(GOOD))
    with pytest.raises(SettingsError, match="avg_global_dest_degrees"):
        describe(pl.DataFrame(GOOD), features=["avg_global_dest_degrees"])


def test_one_name_is_a_feature_too():
    assert describe(pl.DataFrame(GOOD), features="n_connections").columns == ["_id", "n_connections"]


def test_the_documentation_names_every_feature():
    text = call_graph.__doc__
    for pattern in (
        "{avg,min,max,std}_global_{source,dest}_degrees",
        "{mean,std,max}_page_rank",
        "std_local_source_degrees",
    ):
        assert pattern in text
    plain = [name for name in LOCAL if not any(part in name for part in ("_out_degree", "_in_degree", "page_rank"))]
    assert [name for name in plain if f"``{name}``" not in text] == []
