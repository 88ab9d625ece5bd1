import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.separation import area, best_single_column, clock_columns, conflicting_twins
from utils.errors import DataError
from utils.settings import BUDGETS
from utils.simulate import traffic

FAST = BUDGETS["fast"].simulated["traffic"]
WEEK = traffic.WINDOWS_A_WEEK
SCHEMA = {
    "window": pl.Int64,
    "time": pl.Datetime("us"),
    "src": pl.String,
    "dst": pl.String,
    "bytes": pl.Int64,
    "packets": pl.Int64,
    "flows": pl.Int64,
    "is_anomaly": pl.Boolean,
    "anomaly_type": pl.String,
}


@pytest.fixture(scope="module")
def week():
    return traffic.simulate(WEEK, 42)


@pytest.fixture(scope="module")
def windows(week):
    return week["windows"]


def of(windows, kind):
    return windows.filter(anomaly_type=kind)


def roles(week):
    return dict(week["hosts"].iter_rows())


def test_same_seed_same_traffic():
    first, again = traffic.simulate(60, 7), traffic.simulate(60, 7)
    assert all(first[k].equals(again[k]) for k in ("windows", "hosts"))
    assert not first["windows"].equals(traffic.simulate(60, 8)["windows"])


@settings(max_examples=30, deadline=None)
@given(size=st.integers(1, 120), seed=st.integers(0, 2**32 - 1), hosts=st.integers(4, 40), defects=st.booleans())
def test_any_size_and_any_number_of_hosts(size, seed, hosts, defects):
    tables = traffic.simulate(size, seed, defects=defects, hosts=hosts)
    frame, names = tables["windows"], set(tables["hosts"]["host"])
    assert dict(frame.schema) == SCHEMA
    assert len(tables["hosts"]) == hosts == len(names)
    assert set(frame["src"]) | set(frame["dst"]) <= names
    assert frame.select((pl.col("src") != pl.col("dst")).all()).item()
    assert frame.select("window", "src", "dst").is_unique().all()
    assert frame["window"].is_between(0, size - 1).all()
    assert frame["window"].is_sorted()
    minutes = (frame["time"].to_numpy() - traffic.START) / np.timedelta64(1, "m")
    assert np.array_equal(minutes, frame["window"].to_numpy() * 5)
    assert frame.select((pl.col("is_anomaly") == (pl.col("anomaly_type") != "normal")).all()).item()
    assert (frame["packets"] >= frame["flows"]).all()
    assert frame.select(((pl.col("flows") > 0) == (pl.col("bytes") > 0)).all()).item()
    assert frame["bytes"].min() >= 0
    if size < traffic.FEWEST_WINDOWS:
        assert not frame["is_anomaly"].any()


@pytest.mark.parametrize(
    ("size", "hosts", "message"), [(0, 24, "at least 1 time window, found 0"), (10, 3, "at least 4 hosts, found 3")]
)
def test_what_cannot_be_made_is_refused(size, hosts, message):
    with pytest.raises(DataError, match=message):
        traffic.simulate(size, 0, hosts=hosts)


def test_the_smallest_network_has_the_roles_that_links_need():
    assert sorted(traffic.simulate(1, 0, hosts=4)["hosts"]["role"]) == ["client", "dns", "gateway", "server"]
    large = traffic.simulate(1, 0, hosts=60)["hosts"]["role"].to_list()
    assert large.count("server") == 6
    assert large.count("client") > 40


def test_every_kind_of_episode_occurs_and_few_rows_are_anomalous(windows):
    assert set(windows["anomaly_type"]) == {"normal", *(a.name for a in traffic.ANOMALIES)}
    assert len(traffic.ANOMALIES) >= 6
    assert 0.005 < windows["is_anomaly"].mean() < 0.04


def test_traffic_follows_the_day_and_the_week(windows):
    volume = windows.filter(~pl.col("is_anomaly") & pl.col("src").str.starts_with("client")).with_columns(
        hour=pl.col("time").dt.hour(), weekend=pl.col("time").dt.weekday() > 5
    )

    def flows(start, stop, weekend):
        return volume.filter(pl.col("hour").is_between(start, stop), pl.col("weekend") == weekend)["flows"].sum()

    assert flows(9, 11, False) > 10 * flows(19, 21, False)
    assert flows(9, 11, False) / 5 > 2.5 * flows(9, 11, True) / 2
    backup = windows.filter(pl.col("dst").str.starts_with("backup"), ~pl.col("is_anomaly"))
    night = backup.filter(pl.col("time").dt.hour() < 5)
    assert night["bytes"].sum() > 0.8 * backup["bytes"].sum()


def test_tails_are_heavy(windows):
    usual = windows.filter(~pl.col("is_anomaly"), pl.col("bytes") > 0)
    edge = usual.with_columns((pl.col("bytes") / pl.col("bytes").median().over("src", "dst")).alias("ratio"))
    assert edge["ratio"].quantile(0.999) > 10


def test_scans_reach_many_hosts_or_make_many_small_flows(windows, week):
    scan = of(windows, "host_scan").group_by("window", "src").agg(pl.col("dst").n_unique())
    assert scan["dst"].max() >= len(week["hosts"]) - 2
    ports = of(windows, "port_scan")
    assert ports["flows"].median() > 50
    fresh = of(windows, "host_scan").filter(pl.col("flows") <= 3)
    assert (fresh["bytes"] / fresh["packets"]).median() < 80


def test_exfiltration_leaves_at_night_and_little_comes_back(windows, week):
    out = of(windows, "exfiltration")
    assert out["time"].dt.hour().max() < 9
    assert set(out["dst"].replace_strict(roles(week))) == {"gateway"}
    back = windows.join(out.select("window", src="dst", dst="src"), on=["window", "src", "dst"])
    assert out["bytes"].sum() > 20 * back["bytes"].sum()


def test_a_silent_host_has_rows_of_zeros_for_watched_edges_and_nobody_else_has(windows):
    silent = of(windows, "silent_host")
    assert len(silent) > 20
    assert silent.select(pl.col("bytes", "packets", "flows").max()).row(0) == (0, 0, 0)
    assert windows.filter(~pl.col("is_anomaly"))["flows"].min() == 1


def test_beacons_return_at_a_fixed_interval(windows):
    beacon = of(windows, "beacon").sort("src", "window")
    steps = beacon.select(pl.col("window").diff().over("src")).to_series().drop_nulls()
    assert (steps == 3).mean() > 0.8


def test_a_flood_has_many_sources_and_one_server(windows, week):
    flood = of(windows, "ddos").group_by("window").agg(pl.col("src").n_unique(), pl.col("dst").unique())
    assert flood["src"].min() >= 6
    assert set(flood["dst"].explode().replace_strict(roles(week))) == {"server"}


def test_lateral_movement_goes_from_a_client_to_several_machines(windows, week):
    moves = of(windows, "lateral_movement")
    assert set(moves["src"].replace_strict(roles(week))) == {"client"}
    assert moves.group_by("window", "src").agg(pl.col("dst").n_unique())["dst"].median() >= 4


def test_a_rule_of_three_sigma_finds_some_but_not_all(windows):
    mean, sigma = pl.col("bytes").mean().over("src", "dst"), pl.col("bytes").std().over("src", "dst").fill_null(0)
    scored = windows.with_columns(hit=pl.col("bytes") > mean + 3 * sigma)
    recall = dict(scored.group_by("anomaly_type").agg(pl.col("hit").mean()).iter_rows())
    assert recall["burst"] > 0.3
    assert recall["silent_host"] == 0
    assert recall["beacon"] < 0.3
    assert 0.02 < scored.filter("is_anomaly")["hit"].mean() < 0.6
    assert recall["normal"] < 0.03


@pytest.mark.parametrize("seed", [0, 8])
def test_clean_traffic_has_no_column_that_tells_all(seed):
    frame = traffic.simulate(FAST, seed)["windows"]
    label = frame["is_anomaly"].to_numpy()
    columns = pl.concat(
        [frame.drop("time", "is_anomaly", "anomaly_type"), clock_columns(frame["time"])], how="horizontal"
    )
    name, area = best_single_column(columns, label, ("window",))
    assert area < 0.97, name
    assert conflicting_twins(frame, ["bytes", "packets", "flows"], "is_anomaly") == 0


def test_defects_put_one_host_behind_everything_at_the_end():
    frame = traffic.simulate(FAST, 0, defects=True)["windows"]
    guilty = frame.filter("is_anomaly")
    assert guilty["window"].min() >= int(FAST * traffic.LATE)
    assert len(set(guilty["src"]) & set(guilty.filter(anomaly_type="port_scan")["src"])) == 1
    added = guilty.filter(
        pl.col("anomaly_type").is_in(["port_scan", "host_scan", "beacon", "ddos", "lateral_movement"])
    )
    assert added["src"].n_unique() == 1
    assert area(frame["window"].to_numpy(), frame["is_anomaly"].to_numpy()) > 0.85


def test_knots_are_ascending():
    knots = [k for a in traffic.ANOMALIES for k in (a.windows, a.flows, a.packets, a.size) if isinstance(k, tuple)]
    assert all(len(k) == 7 and list(k) == sorted(k) for k in knots)
    assert all(len(table) == 24 for table in traffic.RHYTHMS.values())
    assert np.all([link.rhythm in traffic.RHYTHMS for link in traffic.LINKS])
