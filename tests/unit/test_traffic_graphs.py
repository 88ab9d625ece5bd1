"""Features of traffic graphs: windows, history, beats, structure, and that nothing comes from the future."""

from datetime import datetime, timedelta

import networkx as nx
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.datasets.contract import Roles
from utils.errors import DataError, SchemaError
from utils.features import traffic_graphs
from utils.features.traffic_graphs import beats, structure
from utils.features.traffic_graphs.history import EdgeHistory
from utils.simulate import traffic

DAY = 288
COLUMNS = traffic_graphs.Columns("src", "dst", "time", ("bytes",), ("packets",), "flows")


def edges_of(rows):
    return traffic_graphs.edge_windows(rows, COLUMNS, label="is_anomaly", kind="anomaly_type")


@pytest.fixture(scope="module")
def edges():
    """Three days of a small network, and one more to judge."""
    return edges_of(traffic.simulate(4 * DAY, 5, hosts=8)["windows"])


@pytest.fixture(scope="module")
def fitted(edges):
    usual = edges.filter((pl.col("window") < 3 * DAY) & ~pl.col("is_anomaly"))
    return traffic_graphs.TrafficFeatures().fit(usual)


def flow(minute, source="a", target="b", size=100, **more):
    return {
        "at": datetime(2024, 1, 1, 0, 0) + timedelta(minutes=minute),
        "from": source,
        "to": target,
        "size": size,
    } | more


def test_flows_become_edges_in_windows():
    flows = pl.DataFrame(
        [
            flow(1),
            flow(4, size=50),
            flow(6),
            flow(7, "b", "a", size=7),
            flow(8, None),
            flow(12, port=80, bad=True, why="scan"),
        ],
        schema_overrides={"port": pl.Int64, "bad": pl.Boolean, "why": pl.String},
    )
    columns = traffic_graphs.Columns("from", "to", "at", ("size",), port="port")
    made = traffic_graphs.edge_windows(flows, columns, label="bad", kind="why")
    assert made["window"].to_list() == [0, 1, 1, 2]
    assert made["bytes"].to_list() == [150.0, 100.0, 7.0, 100.0]
    assert made["flows"].to_list() == [2.0, 1.0, 1.0, 1.0]
    assert made["answer"].to_list() == [0.0, 7.0, 100.0, 0.0]
    assert made["anomaly_type"].to_list() == ["normal", "normal", "normal", "scan"]
    assert made["time"][2] == datetime(2024, 1, 1, 0, 5)


def test_windows_of_edges_stay_as_they_are(edges):
    again = traffic_graphs.edge_windows(edges, COLUMNS, label="is_anomaly", kind="anomaly_type")
    assert again.equals(edges.select(again.columns))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda rows: rows.drop("bytes"), SchemaError, "bytes"),
        (lambda rows: rows.clear(), DataError, "found none"),
        (lambda rows: rows.with_columns(src=pl.lit(None, pl.String)), DataError, "found none"),
    ],
)
def test_tables_that_are_no_traffic_are_refused(edges, change, error, words):
    with pytest.raises(error, match=words):
        edges_of(change(edges))


def test_a_window_needs_a_length(edges):
    with pytest.raises(DataError, match="above 0"):
        traffic_graphs.edge_windows(edges, COLUMNS, every=timedelta(0))


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("Src IP", "Dst IP"), True),
        (("source_address", "destination_address"), True),
        (("from", "to"), True),
        (("client", "server"), True),
        (("user", "item"), False),
        (("source", "amount"), False),
    ],
)
def test_columns_are_found_by_their_names(names, found):
    frame = pl.DataFrame(
        {names[0]: ["a"], names[1]: ["b"], "t": [datetime(2024, 1, 1)], "Bytes": [1], "dst_port": [80]}
    )
    columns = traffic_graphs.columns_of(frame, Roles(unit="flow", time="t"))
    assert (columns is not None) is found
    if columns:
        assert (columns.source, columns.destination, columns.bytes, columns.port) == (*names, ("Bytes",), "dst_port")
        assert traffic_graphs.columns_of(frame, Roles(unit="flow")) is None


def test_a_history_knows_the_usual_number_at_that_time():
    """Ten flows a window by day, one every other window by night, for four working days."""
    rows = []
    for window in range(4 * DAY):
        by_day = 8 <= window % DAY // 12 < 18
        if by_day or window % 2:
            rows.append(flow(5 * window, n=10 if by_day else 1))
    made = traffic_graphs.edge_windows(
        pl.DataFrame(rows), traffic_graphs.Columns("from", "to", "at", ("size",), flows="n")
    )
    history = EdgeHistory().fit(made)
    _, rate, active = history.expected(made)
    by_day = ((made["time"].dt.hour() >= 9) & (made["time"].dt.hour() < 17)).to_numpy()
    by_night = (made["time"].dt.hour() < 7).to_numpy()
    assert rate[by_day] == pytest.approx(10, rel=0.1)
    assert rate[by_night] == pytest.approx(0.5, rel=0.4)
    assert active[by_day].min() > 0.9 > 0.7 > active[by_night].max()
    many = made.with_columns(pl.col("flows") * 20)
    assert (history.surprise(many)["flows_surprise"] > history.surprise(made)["flows_surprise"] + 1).all()
    silent = made.with_columns(flows=pl.lit(0.0))
    assert (
        history.surprise(silent)["silence_surprise"][by_day].min()
        > history.surprise(silent)["silence_surprise"][by_night].max()
    )


def test_a_new_edge_is_one_that_the_past_does_not_hold(edges, fitted):
    surprise = fitted.history_.surprise(edges)["new_edge_surprise"]
    known = edges.join(fitted.history_.edges_, on=["src", "dst"], how="semi").height
    assert (surprise > 0).sum() == edges.height - known > 0


def test_a_history_needs_rows(edges):
    with pytest.raises(DataError, match="found none"):
        EdgeHistory().fit(edges.clear())


def test_features_of_edges_are_finite_and_in_order(edges, fitted):
    found = fitted.edges(edges)
    assert tuple(found.columns) == traffic_graphs.EDGE_FEATURES
    assert found.height == edges.height
    assert np.isfinite(found.to_numpy()).all()
    assert fitted.edges(edges.clear()).shape == (0, len(traffic_graphs.EDGE_FEATURES))


def test_nothing_comes_from_the_future(edges, fitted):
    cut = 3 * DAY + DAY // 2
    early = edges.filter(pl.col("window") <= cut)
    whole = fitted.edges(edges).head(early.height)
    assert np.allclose(fitted.edges(early).to_numpy(), whole.to_numpy())
    hosts = fitted.hosts(edges).filter(pl.col("window") <= cut)
    assert hosts.equals(fitted.hosts(early))


def test_a_scan_shows_in_the_fan_out_of_its_source_alone(edges, fitted):
    last = int(edges["window"].max())
    hosts = sorted(set(edges["src"]) | set(edges["dst"]))
    scanner = "client-01"
    scan = (
        edges.filter(pl.col("window") == last)
        .head(1)
        .join(pl.DataFrame({"dst": [host for host in hosts if host != scanner]}), how="cross", suffix="_new")
    )
    scan = scan.with_columns(
        src=pl.lit(scanner), dst="dst_new", window=pl.lit(last + 1, pl.Int64), flows=pl.lit(1.0)
    ).select(edges.columns)
    found = fitted.edges(pl.concat([edges, scan])).tail(scan.height)
    assert found["fan_out_surprise"].min() > 3
    usual = fitted.hosts(edges)["fan_out_surprise"]
    assert usual.quantile(0.95) < found["fan_out_surprise"].min()


def test_a_silent_host_shows_on_its_edges(edges, fitted):
    noon = 3 * DAY + DAY // 2
    window = edges.filter(pl.col("window") == noon)
    quiet = window.with_columns(
        pl.when((pl.col("src") == "dns-01") | (pl.col("dst") == "dns-01")).then(0.0).otherwise("flows").alias("flows")
    )
    found = fitted.edges(quiet)
    of_host = ((window["src"] == "dns-01") | (window["dst"] == "dns-01")).to_numpy()
    assert found["host_silence"].to_numpy()[of_host].min() > 1
    assert found["host_silence"].to_numpy()[~of_host].max() == 0


def test_ports_count_where_they_are_known():
    rows = [flow(5 * w, port=p) for w in range(40) for p in ([80] if w < 39 else range(60))]
    columns = traffic_graphs.Columns("from", "to", "at", ("size",), port="port")
    made = traffic_graphs.edge_windows(pl.DataFrame(rows), columns)
    found = traffic_graphs.TrafficFeatures().fit(made.head(30)).edges(made)
    assert found["ports_deviation"][-1] > 5 > abs(found["ports_deviation"][0])


@pytest.mark.parametrize("period", [3, 5, 12])
def test_a_steady_beat_scores_above_chance(period):
    rng = np.random.default_rng(7)
    regular = np.arange(0, 600, period)
    random = np.sort(rng.choice(600, len(regular), replace=False))
    window, edge = np.concatenate([regular, random]), np.repeat([0, 1], len(regular))
    active, slots = np.array([[0.05], [1 / period]]), np.zeros(600 + beats.REACH, dtype=np.int64)
    found = beats.beats(edge, window, np.ones(len(edge)), active, slots, 2_016)
    assert np.median(found[edge == 0]) > 10 > np.quantile(found[edge == 1], 0.9)


def test_an_edge_that_is_active_all_the_time_has_no_beat():
    window = np.arange(300)
    active, slots = np.full((2, 1), 0.3), np.zeros(300 + beats.REACH, dtype=np.int64)
    ordered = beats.beats(np.zeros(300, dtype=np.int64), window, np.ones(300), active, slots, 2_016)
    assert np.median(ordered) < 2
    assert not beats.beats(np.zeros(300, dtype=np.int64), window, np.zeros(300), active, slots, 2_016).any()


def test_beats_are_the_same_where_memory_is_short(monkeypatch, edges, fitted):
    before = fitted.edges(edges)["beat"]
    monkeypatch.setattr(beats, "MOST_CELLS", 1)
    assert fitted.edges(edges)["beat"].equals(before)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 12), st.integers(0, 10_000))
def test_communities_are_as_good_as_single_moves_allow(size, seed):
    rng = np.random.default_rng(seed)
    weight = np.triu(rng.random((size, size)) * (rng.random((size, size)) < 0.4), 1)
    groups = traffic_graphs.communities(weight)
    value = traffic_graphs.modularity(weight, groups)
    assert value >= traffic_graphs.modularity(weight, np.arange(size)) - 1e-9
    assert value >= traffic_graphs.modularity(weight, np.zeros(size, dtype=np.int64)) - 1e-9
    if weight.any():
        graph = nx.from_numpy_array(weight + weight.T)
        parts = [set(np.flatnonzero(groups == group)) for group in np.unique(groups)]
        assert value == pytest.approx(nx.community.modularity(graph, parts))


def test_two_cliques_are_two_communities():
    block = np.kron(np.eye(2), np.ones((5, 5))) - np.eye(10)
    block[4, 5] = block[5, 4] = 0.1
    assert traffic_graphs.communities(block).tolist() == [0] * 5 + [1] * 5
    assert traffic_graphs.modularity(np.zeros((3, 3)), np.arange(3)) == 0


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=20), st.integers(0, 99))
def test_the_change_of_a_partition_is_a_distance(groups, seed):
    one = np.array(groups)
    other = np.random.default_rng(seed).permutation(one)
    change = structure.partition_change(one, other)
    assert 0 <= change <= 1
    assert structure.partition_change(one, one) == pytest.approx(0)
    assert change == pytest.approx(structure.partition_change(other, one))


def test_a_graph_is_described_window_by_window(edges, fitted):
    graph = fitted.graph(edges)
    assert graph["window"].to_list() == sorted(set(edges.filter(pl.col("flows") > 0)["window"]))
    first = edges.filter((pl.col("window") == graph["window"][0]) & (pl.col("flows") > 0))
    row = graph.row(0, named=True)
    assert (row["edges"], row["bytes"]) == (first.height, first["bytes"].sum())
    assert row["hosts"] == len(set(first["src"]) | set(first["dst"]))
    for name in ("density", "reciprocity", "largest_share", "evenness", "crossing_share", "community_change"):
        assert graph[name].is_between(0, 1).all(), name
    assert structure.graph_windows(edges)["new_edges"].sum() == 0


HOURS = traffic_graphs.Columns("s", "d", "t", bytes=("n",), flows="f")


def flows_of_an_hour(**columns):
    noon = datetime(2024, 1, 1, 12)
    table = {"s": list("aab"), "d": list("bba"), "t": [noon] * 3, "n": [1, 2, 3], "f": [1.0, float("nan"), -2.0]}
    return pl.DataFrame(table | columns)


def test_anomalies_without_a_kind_are_no_normals_and_flows_that_are_no_amounts_do_not_count():
    rows = flows_of_an_hour(y=[True, True, True], k=pl.Series([None, None, "scan"], dtype=pl.String))
    made = traffic_graphs.edge_windows(rows, HOURS, label="y", kind="k")
    assert made["anomaly_type"].to_list() == ["anomaly", "scan"]
    assert made["flows"].to_list() == [1.0, 0.0]
    mixed = traffic_graphs.edge_windows(rows.with_columns(k=pl.Series([None, "x", "x"])), HOURS, label="y", kind="k")
    assert mixed["anomaly_type"].to_list() == ["x", "x"]


def test_traffic_of_other_types_is_refused_in_one_sentence():
    with pytest.raises(SchemaError, match="column 'n' must hold numbers of traffic, found String: convert it"):
        traffic_graphs.edge_windows(flows_of_an_hour(n=["1", "2", "x"]), HOURS)
    with pytest.raises(SchemaError, match="column 't' must hold the times of traffic, found String: parse it first"):
        traffic_graphs.edge_windows(flows_of_an_hour(t=["noon"] * 3), HOURS)
