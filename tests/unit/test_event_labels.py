"""Web events of data sets, labelled and scored; payloads judged on what was not learned from; published steps again."""

import polars as pl
import pytest

from tests.unit import small_data
from utils.datasets import load
from utils.detectors import event_labels, payload_trials, replays
from utils.detectors.event_labels import label_events


@pytest.fixture(scope="module")
def simulated():
    return load("waf", "simulated", seed=5, budget="fast")


@pytest.fixture(scope="module")
def labelled(simulated):
    told = []
    found = label_events({"waf": simulated}, rows=1_500, report=told.append)
    assert told == ["waf payloads", "waf events"]
    return found


def test_events_are_labelled_and_scored(labelled):
    events = labelled["waf", "events"]
    assert events.events.height == 1_500
    assert len(events.clusters) == len(events.labeller.labels_) == 1_500
    assert events.score("attack") > 0.8
    assert events.score("good") < 0.05
    called = events.labeller.labels_ == "attack"
    assert events.score("attack") == pytest.approx(called.filter(events.truth).mean())


def test_clusters_stand_beside_k_means(labelled):
    table = labelled["waf", "events"].agreements()
    assert table["method"].to_list()[0] == "DBSCAN"
    assert table["purity"].min() >= table["majority_share"].min()


def test_results_name_the_simulated_events_apart(labelled):
    own = event_labels.results(labelled, "waf")
    assert own["events_attacks_found"] == labelled["waf", "events"].score()
    apart = event_labels.results({("waf, simulated", "events"): labelled["waf", "events"]}, "waf")
    assert set(apart) == {name.replace("events_", "events_simulated_") for name in own if name.startswith("events_")}
    assert event_labels.results(labelled, "api") == {}


def test_answers_have_no_part_in_the_labels(simulated):
    frame = simulated["events"].head(400)
    roles = simulated.roles["events"]
    turned = frame.with_columns(is_anomaly=~pl.col("is_anomaly"), anomaly_type=pl.lit("normal"))
    first, second = (
        label_events({"waf": small_data.dataset({"events": each}, {"events": roles}, "waf", "events")})["waf", "events"]
        for each in (frame, turned)
    )
    assert first.labeller.labels_.equals(second.labeller.labels_)


def test_events_without_labels_are_labelled_but_not_scored(simulated):
    frame = simulated["events"].head(300).drop("is_anomaly", "anomaly_type")
    roles = simulated.roles["events"]
    plain = type(roles)(roles.unit, identity=roles.identity, features=roles.features)
    (found,) = label_events(
        {"mine": small_data.dataset({"events": frame}, {"events": plain}, "mine", "events")}
    ).values()
    assert found.scores.height == 0
    assert found.agreements().height == 0
    assert found.score() != found.score()
    assert set(event_labels.results({("mine", "events"): found}, "mine")) == {"events_unclassified"}


def test_tables_without_texts_are_passed_over():
    assert label_events({"tiny": small_data.table()}) == {}


def test_payloads_are_judged_by_what_was_not_learned_from(simulated):
    found = payload_trials.run({"tiny": small_data.table(), "waf": simulated}, seed=3, small=True)
    assert set(found.table["judged by"]) == {payload_trials.UNSEEN, payload_trials.LOOK_ALIKES, payload_trials.TEST}
    alike = found.table.filter(pl.col("judged by") == payload_trials.LOOK_ALIKES)
    assert alike["family"].to_list() == ["normal"]
    assert alike["attack"][0] <= payload_trials.RATE + 1e-9
    tested = found.table.filter(pl.col("judged by") == payload_trials.TEST)
    assert tested["texts"].sum() == simulated["payloads"].filter(split="test").height
    assert ((found.table["low"] <= found.table["attack"]) & (found.table["attack"] <= found.table["high"])).all()
    assert f"{alike['attack'][0]:.3f}" in found.summary
    assert found.results["payloads_look_alikes_normal"] == alike["attack"][0]


def test_no_payloads_no_trial():
    assert payload_trials.run({"tiny": small_data.table()}) is None


def test_published_events_are_repeated_where_there_are_some(simulated):
    again = replays.replay_events({"waf": simulated})
    assert {"DBSCAN", "naming by size"} == set(again.steps["step"])
    assert "not at hand" in again.summary
    assert again.knees is not None
    nothing = replays.replay_events({})
    assert (nothing.steps.height, nothing.knees, nothing.blocks) == (0, None, None)


def test_published_connections_are_repeated_where_there_are_some():
    again = replays.replay_connections({"nsl_kdd": load("nsl_kdd", "simulated", seed=5, budget="fast")})
    assert again.steps.height
    assert again.flagged.height == 4
    assert set(again.learned["learned from"].drop_nulls()) == {"normals and attacks", "normals alone"}
    assert again.clusters.height
    assert replays.replay_connections({}).steps.height == 0
