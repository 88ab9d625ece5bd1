"""Trials on traffic: how time is divided, what is found, and what is refused."""

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from utils import datasets
from utils.datasets.contract import Dataset, Roles
from utils.detectors import traffic_trials
from utils.detectors.traffic_trials import COMBINED, PUBLISHED
from utils.detectors.traffic_trials.trial import stretches, vouched_rate
from utils.errors import DataError


@pytest.fixture(scope="module")
def simulated():
    return datasets.load("traffic", "simulated", seed=3, budget="fast")


@pytest.fixture(scope="module")
def trial(simulated):
    made, _ = traffic_trials.prepare({"traffic": simulated}, hosts=8, seed=3)
    return traffic_trials.run(made["traffic"], resamples=20, seed=3)


def own(rows, **roles):
    """A data set of one's own flows."""
    named = {"time": "at", "identity": ("from", "to")} | roles
    frame = pl.DataFrame(rows)
    return Dataset(
        "own", "table", "real", "own files", "sha256:0", "", {"rows": frame}, {"rows": Roles("flow", **named)}
    )


def flows(minutes, odd=()):
    start = datetime(2024, 3, 4)
    rows = [
        {"at": start + timedelta(minutes=m), "from": f"h{m % 3}", "to": "s", "bytes": 100, "bad": False}
        for m in minutes
    ]
    return rows + [{"at": start + timedelta(minutes=m), "from": "h9", "to": "s", "bytes": 9, "bad": True} for m in odd]


def test_weeks_follow_each_other(trial):
    traffic = trial.traffic
    window, guilty = traffic.edges["window"].to_numpy(), traffic.edges["is_anomaly"].to_numpy()
    assert window[traffic.learned].max() < window[traffic.held].min() <= window[traffic.held].max() < 2 * 2_016
    assert window[traffic.judged].min() == 2 * 2_016
    assert not guilty[traffic.learned | traffic.held].any()
    assert guilty[traffic.judged].any()
    assert guilty[traffic.past].any()
    assert "1 of 3 weeks" in traffic.divided


def test_quiet_days_are_the_past_where_there_are_any():
    traffic = traffic_trials.edges_of(
        own(flows(range(0, 3 * 1_440, 7), odd=[1_440 + 600, 2 * 1_440 + 30]), label="bad")
    )
    window = traffic.edges["window"].to_numpy()
    assert window[traffic.judged].min() == 288
    assert window[traffic.held].max() < 288
    assert "before the first attack" in traffic.divided


def test_days_or_windows_do_where_there_are_no_weeks():
    by_days = traffic_trials.edges_of(own(flows(range(0, 6 * 1_440, 11))))
    by_windows = traffic_trials.edges_of(own(flows(range(0, 600, 3))))
    assert "2 of 6 days" in by_days.divided
    assert "windows" in by_windows.divided
    for traffic in (by_days, by_windows):
        assert not traffic.labelled
        assert (traffic.learned.astype(int) + traffic.held + traffic.judged == 1).all()


def test_data_without_hosts_are_left_out_with_a_sentence(simulated):
    nothing = own([{"at": datetime(2024, 1, 1), "user": "u"}], identity=())
    short = own(flows(range(20)))
    made, notes = traffic_trials.prepare({"nothing": nothing, "short": short}, seed=3)
    assert made == {}
    assert "nothing is left out" in notes[0]
    assert "source" in notes[0]
    assert "short is left out" in notes[1]
    assert "at least 12 windows" in notes[1]
    with pytest.raises(DataError, match="at least 3 weeks"):
        traffic_trials.prepare({"traffic": simulated}, weeks=2)[0].popitem()


def test_a_past_without_normal_rows_is_refused():
    rows = flows(range(0, 600, 3))
    guilty = [row | {"bad": row["at"] < datetime(2024, 3, 4, 4)} for row in rows]
    with pytest.raises(DataError, match="normal rows"):
        traffic_trials.edges_of(own(guilty, label="bad"))


def test_history_and_graph_find_far_more_than_the_published_rule(trial):
    board = {row["detector"]: row for row in trial.board.iter_rows(named=True)}
    assert board[COMBINED]["f1"] > 0.7
    assert board[COMBINED]["f1"] > board[PUBLISHED]["f1"] + 0.3
    assert board[COMBINED]["low"] <= board[COMBINED]["f1"] <= board[COMBINED]["high"]
    assert board[COMBINED]["real"] < 3 * trial.rate
    assert board["flag everything"]["recall"] == 1
    assert board[traffic_trials.LABELS]["kind"] == "with labels of the past"


def test_every_visible_kind_is_found(trial):
    found = trial.recalls.filter(pl.col("detector") == COMBINED)
    recall = dict(found.select("kind", "recall").iter_rows())
    for kind in ("host_scan", "port_scan", "silent_host", "exfiltration", "ddos", "lateral_movement"):
        assert recall[kind] > 0.6, kind
    shown = traffic_trials.shows(trial)
    assert set(shown["kind"]) == set(recall)
    assert "silence" in shown.filter(kind="silent_host")["shows in"][0]
    assert shown["hidden"].is_between(0, 1).all()


def test_decisions_are_those_of_thresholds_from_the_past(trial):
    held = trial.scores[COMBINED][trial.traffic.held]
    threshold = trial.thresholds[COMBINED].value_
    assert (held >= threshold).mean() <= trial.rate
    judged = trial.scores[COMBINED][trial.traffic.judged]
    assert ((judged >= threshold) == trial.alarms[COMBINED]).all()


def test_hosts_are_judged_by_what_leaves_them(trial):
    hosts = {row["detector"]: row for row in trial.hosts.iter_rows(named=True)}
    assert hosts[f"edges: {COMBINED}"]["f1"] > hosts[f"edges: {PUBLISHED}"]["f1"]
    kinds = trial.host_recalls.filter(pl.col("detector") == f"edges: {COMBINED}")
    assert kinds.filter(kind="host_scan")["recall"][0] > 0.8


def test_results_are_numbers_with_names(trial):
    results = trial.results("x/")
    assert results[f"x/edges/{COMBINED.replace(',', '')}/f1"] == pytest.approx(
        trial.board.filter(detector=COMBINED)["f1"][0]
    )
    assert all(np.isfinite(value) for value in results.values())
    assert "x/recall/host_scan/recall" in results


def test_stretches_end_after_an_hour_of_rest():
    rows = pl.DataFrame({"window": [1, 2, 14, 40, 5], "anomaly_type": ["scan"] * 4 + ["normal"]})
    found = stretches(rows, {"d": np.array([False, True, False, False, True])})
    assert found.select("rows", "recall").row(0) == (2, 0.5)


def test_scenes_show_the_same_hour_before(trial):
    normal, odd = traffic_trials.scene(trial, "host_scan").values()
    assert odd["flagged"].any()
    assert not normal["flagged"].any()
    assert normal["time"][0].time() == odd["time"][0].time()
    assert normal["time"][0] < odd["time"][0]
    assert "highest score" in list(traffic_trials.scene(trial))[1]
    points = traffic_trials.mean_edges(trial)
    assert points.filter(kind="normal").height > 0
    assert points["flows"].min() > 0


def test_unlabelled_traffic_is_ranked_all_the_same():
    rows = flows(range(0, 6 * 1_440, 11))
    burst = [{"at": datetime(2024, 3, 9, 12), "from": "h0", "to": f"x{n}", "bytes": 5, "bad": True} for n in range(30)]
    traffic = traffic_trials.edges_of(own(rows + burst))
    trial = traffic_trials.run(traffic, only=(PUBLISHED, COMBINED), resamples=0)
    assert trial.board["f1"].null_count() == trial.board.height
    assert trial.recalls.is_empty()
    assert trial.best == COMBINED
    assert traffic_trials.scene(trial)
    assert traffic_trials.mean_edges(trial).height
    flagged = trial.judged.filter(pl.Series(trial.alarms[COMBINED]))
    assert set(flagged["dst"].to_list()) >= {f"x{n}" for n in range(30)}


def test_few_rows_vouch_for_a_higher_rate_only():
    assert vouched_rate(1_000_000) == traffic_trials.RATE
    assert vouched_rate(99) == pytest.approx(0.03)


def test_other_circumstances(simulated, monkeypatch):
    table = traffic_trials.circumstances({"traffic": simulated}, (4,), usual=4, resamples=0, seed=3)
    assert table.select("hosts", "past").unique().sort("past").rows() == [(4, "as it was"), (4, "cleaned")]
    assert traffic_trials.circumstances({}).is_empty()


def test_a_past_as_it_was_holds_anomalies(simulated):
    made, _ = traffic_trials.prepare({"traffic": simulated}, hosts=4, unlabelled=True, seed=3)
    traffic = made["traffic"]
    assert traffic.edges["is_anomaly"].to_numpy()[traffic.learned].any()
    assert replace(traffic, name="x").name == "x"
