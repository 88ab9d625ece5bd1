"""The loader of API behaviours on hand-made files of the published form."""

import json
import statistics

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.loading import assert_roles_complete, refused, rows_of, write
from utils.datasets import api
from utils.errors import DataError
from utils.simulate import api as simulate

HEADER = (
    ",_id,inter_api_access_duration(sec),api_access_uniqueness,sequence_length(count),vsession_duration(min),ip_type,"
    "num_sessions,num_users,num_unique_apis,source,classification\n"
)
REPEATED = "3,four,0.2,0.5,4.0,7,default,3.0,1.0,4.0,E,outlier\n"
BEHAVIORS = (
    HEADER
    + "0,one,0.01,0.002,16.2,519,default,9299.0,8447.0,302.0,E,normal\n"
    + "1,null,,,0.0,1,datacenter,1.0,1.0,0.0,E,outlier\n"
    + "2,two,59.25,0.8,5.0,3,datacenter,2.0,1.0,2.0,F,outlier\n"
    + REPEATED * 4
    + f"7,{api.EMPTY_GRAPH_ID},0.007,0.5,2.0,1,default,2.0,1.0,1.0,E,outlier\n"
)
FOUR = [("a", "a"), ("a", "b"), ("b", "c"), ("c", "b")]
GRAPHS = [
    ("one", [("a", "b"), ("b", "b")]),
    ("null", []),
    ("two", [("x", "y")]),
    *[("four", FOUR)] * 4,
    (api.EMPTY_GRAPH_ID, []),
]


def graph_json(graphs=GRAPHS):
    return json.dumps(
        [{"_id": key, "call_graph": [{"toId": to, "fromId": source} for source, to in edges]} for key, edges in graphs]
    )


def per_edge(edges):
    """The published local degree of each edge: how many edges of the graph have its destination."""
    ends = [to for _, to in edges]
    return [ends.count(to) for to in ends]


def feature_row(key, edges, degrees, times=1):
    """Features as the published notebook computes them from a graph that stands ``times`` times in the file."""
    values = degrees * times
    return {
        "_id": key,
        "n_connections": len(edges) * times,
        "avg_global_source_degrees": statistics.mean(values),
        "min_global_source_degrees": min(values),
        "max_global_source_degrees": max(values),
        "std_global_source_degrees": statistics.stdev(values) if len(values) > 1 else None,
        "avg_global_dest_degrees": statistics.mean(values),
        "min_global_dest_degrees": min(values),
        "max_global_dest_degrees": max(values),
        "std_local_source_degrees": (
            statistics.stdev([degree * times for degree in per_edge(edges)] * times) if len(values) > 1 else None
        ),
    }


def feature_table(rows):
    dtypes = {name: column.dtype for name, column in api.FEATURE_SCHEMA.items()}
    return pl.DataFrame(rows, schema=dtypes, orient="row")


FEATURES = feature_table(
    [
        feature_row("one", GRAPHS[0][1], [7, 2]),
        feature_row("two", GRAPHS[2][1], [1]),
        *[feature_row("four", FOUR, [9, 9, 3, 1], times=4)] * 4,
        feature_row(api.EMPTY_GRAPH_ID, [(None, None)], [5]),
    ]
)


@pytest.fixture
def files(tmp_path):
    paths = write(tmp_path, {api.BEHAVIOR_FILE: BEHAVIORS, api.GRAPH_FILE: graph_json()})
    FEATURES.write_parquet(tmp_path / api.FEATURE_FILE)
    return paths | {api.FEATURE_FILE: tmp_path / api.FEATURE_FILE}


@pytest.fixture
def assembled(files):
    return api.assemble(api.read(files))


def test_all_frames_have_complete_roles(assembled):
    assert list(assembled.frames) == ["behaviors", "edges", "features"]
    assert_roles_complete(assembled)


def test_behaviors_stand_once_each(assembled):
    behaviors = assembled.frames["behaviors"]
    assert behaviors["_id"].to_list() == ["one", "two", "four", api.EMPTY_GRAPH_ID]
    assert behaviors["upstream_rows"].to_list() == [1, 1, 4, 1]
    assert behaviors["is_anomaly"].to_list() == [False, True, True, True]
    assert behaviors["anomaly_type"].to_list() == ["normal", "outlier", "outlier", "outlier"]
    assert rows_of(assembled, "stand several times, with the same values") == 3
    assert rows_of(assembled, "no statistics") == 1


def test_edges_are_distinct_and_belong_to_a_behaviour(assembled):
    edges = assembled.frames["edges"]
    assert edges.rows() == [
        ("one", "a", "b"),
        ("one", "b", "b"),
        ("two", "x", "y"),
        *[("four", source, to) for source, to in FOUR],
    ]
    assert rows_of(assembled, "call graph is empty") == 2
    assert rows_of(assembled, "edges that stand several times") == 12


def test_edges_of_unknown_behaviours_are_dropped(files):
    raw = api.read(files)
    raw["edges"] = pl.concat([raw["edges"], pl.DataFrame({"_id": ["stranger"], "from": ["a"], "to": ["b"]})])
    assembled = api.assemble(raw)
    assert "stranger" not in assembled.frames["edges"]["_id"]
    assert rows_of(assembled, "behaviours that are not in the table") == 1


def test_features_are_those_of_the_graph_taken_once(assembled):
    features = assembled.frames["features"]
    assert features["_id"].to_list() == ["one", "two", "four"]
    four = features.row(2, named=True)
    true = feature_row("four", FOUR, [9, 9, 3, 1])
    assert {name: four[name] for name in true} == pytest.approx(true)
    assert features.row(0, named=True)["std_local_source_degrees"] == 0.0
    assert features["is_anomaly"].to_list() == [False, True, True]
    assert rows_of(assembled, "counted several times over") == 1
    assert rows_of(assembled, "null edge") == 1
    assert rows_of(assembled, "7 of the published features count edges over ALL graphs") == 3
    assert rows_of(assembled, "DESTINATION") == 3


@settings(max_examples=50, deadline=None)
@given(
    times=st.integers(2, 6),
    graph=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(1, 400)), min_size=1, max_size=25),
)
def test_repetition_is_undone_exactly(times, graph):
    edges, degrees = [(source, to) for source, to, _ in graph], [degree for _, _, degree in graph]
    raw = feature_table([feature_row("four", edges, degrees, times)] * times)
    behaviors = pl.DataFrame({"_id": ["four"], "is_anomaly": [True], "anomaly_type": ["outlier"]})
    corrected, _ = api._features(raw, behaviors)
    true = feature_row("four", edges, degrees)
    found = {name: corrected.row(0, named=True)[name] for name in true}
    assert found == pytest.approx(true, abs=1e-6)


def test_a_graph_of_one_edge_has_no_deviation_however_often_it_stands(files):
    raw = api.read(files) | {"features": feature_table([feature_row("two", [("x", "y")], [3], times=4)] * 4)}
    row = api.assemble(raw).frames["features"].row(0, named=True)
    assert row["n_connections"] == 1
    assert row["std_global_source_degrees"] is None
    assert row["std_local_source_degrees"] is None


def test_only_the_table_of_behaviours_is_needed(files):
    assembled = api.assemble(api.read({api.BEHAVIOR_FILE: files[api.BEHAVIOR_FILE]}))
    assert list(assembled.frames) == ["behaviors"]
    assert_roles_complete(assembled)
    refused(lambda: api.read({}), api.BEHAVIOR_FILE, "make data", error=DataError)


def test_what_betrays_the_number_of_users_is_no_feature(assembled):
    roles = assembled.roles["behaviors"]
    assert {"num_users", "num_sessions", "api_access_uniqueness", "sequence_length(count)", "ip_type"} <= set(
        roles.withheld
    )
    assert roles.features == ("num_unique_apis",)


def test_clean_files_have_no_defect(tmp_path):
    clean = HEADER + "0,one,0.01,0.002,16.2,519,default,9299.0,8447.0,302.0,E,normal\n"
    paths = write(tmp_path, {api.BEHAVIOR_FILE: clean, api.GRAPH_FILE: graph_json(GRAPHS[:1])})
    assert api.assemble(api.read(paths)).defects == ()


def test_one_id_for_two_behaviours_is_refused(tmp_path):
    paths = write(tmp_path, {api.BEHAVIOR_FILE: BEHAVIORS + REPEATED.replace("0.2", "0.3")})
    refused(lambda: api.assemble(api.read(paths)), "two different rows", "'four'")


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("num_users", "users", ["column 'num_users'"]),
        ("8447.0", "many", ["'num_users'", "'many' in row 1"]),
        (",F,outlier", ",F,strange", ["'classification'", "normal, outlier", "'strange' in row 3"]),
        (",8447.0,", ",,", ["'num_users'", "found nothing in row 1"]),
    ],
)
def test_bad_tables_are_refused(tmp_path, old, new, parts):
    paths = write(tmp_path, {api.BEHAVIOR_FILE: BEHAVIORS.replace(old, new)})
    refused(lambda: api.read(paths), api.BEHAVIOR_FILE, *parts)


@pytest.mark.parametrize(
    ("graphs", "parts"),
    [
        (graph_json()[:-20], ["complete JSON list"]),
        ('[{"_id": "one", "call_graph": [{"toId": "a"}]}]', ["both fromId and toId", "'one'"]),
        ('[{"call_graph": []}]', ["'_id'", "found nothing in row 1"]),
    ],
)
def test_bad_graphs_are_refused(tmp_path, graphs, parts):
    paths = write(tmp_path, {api.BEHAVIOR_FILE: BEHAVIORS, api.GRAPH_FILE: graphs})
    refused(lambda: api.read(paths), api.GRAPH_FILE, *parts)


def test_a_graph_that_is_null_is_an_empty_graph(tmp_path):
    text = '[{"_id": "one", "call_graph": null}, {"_id": "two", "call_graph": [{"toId": "x", "fromId": "y"}]}]'
    paths = write(tmp_path, {api.BEHAVIOR_FILE: BEHAVIORS, api.GRAPH_FILE: text})
    assembled = api.assemble(api.read(paths))
    assert assembled.frames["edges"].rows() == [("two", "y", "x")]
    assert rows_of(assembled, "call graph is empty") == 1


def test_simulated_graphs_survive_the_file(tmp_path):
    simulated = simulate.simulate(60, 3)
    graphs = [
        (key[0], list(zip(edges["from"], edges["to"], strict=True)))
        for key, edges in simulated["edges"].group_by("_id", maintain_order=True)
    ]
    paths = write(tmp_path, {api.GRAPH_FILE: graph_json(graphs)})
    simulated["behaviors"].drop("anomaly_type").write_csv(tmp_path / api.BEHAVIOR_FILE)
    read = api.read(paths | {api.BEHAVIOR_FILE: tmp_path / api.BEHAVIOR_FILE})
    assert read["edges"].equals(simulated["edges"].select(read["edges"].columns))
    assert read["behaviors"].equals(simulated["behaviors"].select(read["behaviors"].columns))
