"""The leaderboard: what is read from a store, who leads, whether the lead is real, and what the README shows."""

import json
import shutil
import sqlite3

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from utils import leaderboard, tracking
from utils.errors import DataError, TrackingError
from utils.leaderboard import __main__ as command
from utils.leaderboard import board, executions, reading, readme, shown, stages, standings
from utils.leaderboard.reading import Snapshot
from utils.leaderboard.standings import Entry, Gap

RULE_METRICS = {
    "flows_rule_f1": 0.7,
    "flows_rule_f1_low": 0.65,
    "flows_rule_f1_high": 0.75,
    "flows_trivial_f1": 0.2,
    "flows_false_alarm_rate": 0.05,
}
RULES = {
    "flows_rules": [
        {"feature": "bytes", "kind": "number", "direction": "low", "cut": 28.0, "rule": "…", "test_f1": 0.7},
        {"feature": "state", "kind": "nominal", "direction": "high", "cut": None, "rule": "…", "test_f1": 0.6},
    ],
    "flows_estimates": [{"metric": "f1", "unit": "flow", "threshold": "the highest F1"}],
}


def detector(name, auc, f1, width=0.01, **rest):
    limits = {"low": auc - width, "high": auc + width, "f1_low": f1 - width, "f1_high": f1 + width}
    return {"detector": name, "roc_auc": auc, "f1": f1, "nominal": 0.05, "real": 0.04, "seconds": 2.0, **limits, **rest}


DETECTORS = {
    "flows_detectors": [
        detector("GaussianMixture", 0.90, 0.8),
        detector("OneClassSVM", 0.95, 0.85),
        {"detector": "flag everything", "roc_auc": 0.5, "f1": 0.2},
    ]
}
POINTS = {
    "flows_operating_points": [
        {"rule": "best F1", "f1": 0.90, "f1_low": 0.88, "f1_high": 0.92, "alarms": 12.0, "chosen": "on training"},
        {"rule": "new kinds", "f1": 0.95, "f1_low": 0.94, "f1_high": 0.96, "alarms": 30.0, "chosen": "on kinds"},
    ],
    "flows_gains": [{"seconds": 3.0}, {"seconds": 5.0}],
    "protocols": [{"model": "LightGBM"}],
}
TUNING_METRICS = {
    "flows_best_F1_f1": 0.90,
    "flows_best_F1_expected_f1": 0.99,
    "flows_new_kinds_f1": 0.95,
    "flows_roc_auc": 0.97,
    "flows_difference_f1": 0.02,
    "flows_low_f1": 0.01,
    "flows_high_f1": 0.03,
}


def model(name, f1, **rest):
    return {"model": name, "f1": f1, "f1_low": f1 - 0.02, "f1_high": f1 + 0.02, "fit_seconds": 0.5, **rest}


CLASSIFIERS = {
    "flows_classifiers": [
        model("svc", 0.90, difference=-0.05, difference_low=-0.07, difference_high=-0.03, p_value=0.001),
        model("xgboost", 0.95, difference=0.0),
        model("dummy", 0.2),
    ]
}
DRAWS = {"a": [0.95, 0.96, 0.97, 0.95, 0.96, 0.97, 0.98, 0.99], "b": [0.9, 0.91, 0.92, 0.9, 0.91, 0.92, 0.93, 0.9]}
SEQUENCES = {
    "logs_detectors": [
        {"detector": "b", "seed": 1, "f1": 0.97, "low": 0.96, "high": 0.98, "real": 0.002, "threshold": "k"},
        {"detector": "a", "seed": 1, "f1": 0.96, "low": 0.95, "high": 0.97, "real": 0.001, "threshold": "vote"},
        {"detector": "net", "seed": 1, "f1": 0.99, "low": 0.98, "high": 1.0, "real": 0.001},
        {"detector": "flag everything", "seed": 1, "f1": 0.05},
    ],
    "logs_draws": [
        *({"detector": name, "draw": draw, "f1": f1} for name, each in DRAWS.items() for draw, f1 in enumerate(each)),
        {"detector": "net", "draw": 0, "f1": 0.99},
    ],
    "with_labels": [
        {
            "table": "logs",
            "protocol": "random 50",
            "model": "tree",
            "f1": 0.99,
            "low": 0.98,
            "high": 1.0,
            "shared": 0.7,
        },
        {
            "table": "logs",
            "protocol": "new sequences",
            "model": "tree",
            "f1": 0.9,
            "low": 0.8,
            "high": 1.0,
            "shared": 0.0,
        },
        {"table": "logs", "protocol": "new sequences", "model": "flag everything", "f1": 0.05, "shared": 0.0},
    ],
}


def run(data_set, stage, *, tables=None, metrics=None, **rest):
    """One run of a store that is made up; later ones are newer."""
    return {"data_set": data_set, "stage": stage, "tables": tables or {}, "metrics": metrics or {"any": 1.0}, **rest}


def snapshot(*runs, versions=(), executed=()):
    """A store in memory."""
    rows, numbers, texts = [], [], {}
    for place, one in enumerate(runs):
        name, tables = f"r{place}", one["tables"]
        listed = json.dumps([{"path": f"tables/{table}.json", "type": "table"} for table in tables])
        usual = {"source": "real", "budget": "full", "digest": "d", "status": "FINISHED", "record": "n"}
        usual |= {"notebook": f"{place:02}_x", "seed": "42", "experiment": one["data_set"]}
        rows.append(
            usual | {k: v for k, v in one.items() if k != "metrics"} | {"run": name, "started": place, "tables": listed}
        )
        numbers += [(name, metric, value) for metric, value in one["metrics"].items()]
        for table, content in tables.items():
            columns = list(dict.fromkeys(column for row in content for column in row))
            data = [[row.get(column) for column in columns] for row in content]
            texts[name, f"tables/{table}.json"] = json.dumps({"columns": columns, "data": data})
    rows += [{"experiment": "notebooks", "status": "FINISHED", "started": 0, **row} for row in executed]
    numbers += [(row["run"], "seconds", row["seconds"]) for row in executed if "seconds" in row]
    known = [{name: row.get(name) for name in reading.RUNS} for row in rows]
    return Snapshot(
        pl.DataFrame(known, schema=reading.RUNS).sort("started"),
        pl.DataFrame(numbers, schema=reading.METRICS, orient="row"),
        pl.DataFrame(versions, schema=reading.VERSIONS, orient="row"),
        "memory",
        lambda given, path: texts.get((given["run"], path)),
    )


RULE_RUN = run("net", "baseline", tables=RULES, metrics=RULE_METRICS)
DETECTOR_RUN = run("net", "detection", tables=DETECTORS, metrics={"flows_OneClassSVM_roc_auc": 0.95})
TUNING_RUN = run("net", "tuning", tables=POINTS, metrics=TUNING_METRICS)


def best(found, kind, data_set="net"):
    return found.best.row(by_predicate=(pl.col("kind") == kind) & (pl.col("data_set") == data_set), named=True)


def lead(found, kind):
    return found.leads.row(by_predicate=pl.col("kind") == kind, named=True)


# ---------------------------------------------------------------------------------------------------- stages


def test_the_rule_is_the_one_that_training_chose_and_says_how():
    row = best(leaderboard.build(snapshot(RULE_RUN)), stages.RULE)
    assert (row["method"], row["f1"], row["f1_low"], row["f1_high"]) == ("bytes ≤ 28", 0.7, 0.65, 0.75)
    assert (row["alarms"], row["trivial"], row["unit"], row["threshold"]) == (50.0, 0.2, "flow", "the highest F1")
    assert row["real"] is None
    assert "no interval of state in a list is stored" in row["lead"]


def test_a_rule_without_its_tables_is_read_from_metrics():
    row = best(leaderboard.build(snapshot(run("net", "baseline", metrics=RULE_METRICS))), stages.RULE)
    assert (row["method"], row["f1"], row["unit"]) == ("one rule", 0.7, "row")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"feature": "n", "kind": "number", "direction": "high", "cut": 2.12954}, "n ≥ 2.13"),
        ({"feature": "n", "kind": "number", "direction": "low", "cut": 1234567.0}, "n ≤ 1,234,567"),
        ({"feature": "n", "kind": "other", "rule": "n is odd"}, "n is odd"),
        ({}, "one rule"),
    ],
)
def test_rules_in_words(row, words):
    assert stages._rule_words(row) == words


def test_detectors_are_ranked_by_auc_and_the_trivial_answer_is_none_of_them():
    row = best(leaderboard.build(snapshot(DETECTOR_RUN)), stages.UNLABELLED)
    assert (row["method"], row["auc"], row["f1"], row["picked"]) == ("one class SVM", 0.95, 0.85, 2)
    assert (row["trivial"], row["alarms"], row["seconds"]) == (0.2, 40.0, 2.0)
    assert row["real"] is True


def test_the_lead_of_a_classifier_is_that_of_the_stored_paired_test():
    row = lead(leaderboard.build(snapshot(run("net", "selection", tables=CLASSIFIERS))), stages.SELECTION)
    assert (row["leader"], row["follower"]) == ("xgboost", "svc")
    assert (row["difference"], row["low"], row["high"], row["p_value"]) == (0.05, 0.03, 0.07, 0.001)
    assert row["real"] is True


def test_a_champion_stands_at_the_threshold_that_its_registered_version_carries():
    as_usual = leaderboard.build(snapshot(TUNING_RUN))
    of_version = leaderboard.build(snapshot(TUNING_RUN, versions=[("net", 3, "r0", True, "0.950 [0.940, 0.960]")]))
    assert (best(as_usual, stages.LABELLED)["f1"], best(as_usual, stages.LABELLED)["version"]) == (0.90, None)
    row = best(of_version, stages.LABELLED)
    assert (row["method"], row["f1"], row["alarms"], row["version"]) == ("LightGBM", 0.95, 30.0, 3)
    assert (row["seconds"], row["auc"]) == (4.0, 0.97)
    assert of_version.history.row(0, named=True)["name"] == "flows_new_kinds_f1"
    assert as_usual.history.row(0, named=True)["name"] == "flows_best_F1_f1"
    tuned = lead(of_version, stages.LABELLED)
    assert (tuned["leader"], tuned["real"]) == ("tuned", True)


def test_a_run_that_says_what_its_champion_is_and_by_which_rule_is_believed():
    said = run("net", "tuning", tables=POINTS, metrics=TUNING_METRICS, rule="new kinds", classifier="a vote")
    row = best(leaderboard.build(snapshot(said)), stages.LABELLED)
    assert (row["method"], row["f1"]) == ("a vote", 0.95)


def test_a_retrained_model_stands_on_the_board_where_it_holds_the_title():
    retrained = run("net", "retraining", tables={"flows_operating_points": POINTS["flows_operating_points"][:1]})
    retrained["metrics"] = {"flows_best_F1_f1": 0.90}
    kept = leaderboard.build(snapshot(TUNING_RUN, retrained, versions=[("net", 1, "r0", True, None)]))
    won = leaderboard.build(snapshot(TUNING_RUN, retrained, versions=[("net", 2, "r1", True, None)]))
    assert (best(kept, stages.LABELLED)["run"], best(kept, stages.LABELLED)["version"]) == ("r0", 1)
    assert (best(won, stages.LABELLED)["run"], best(won, stages.LABELLED)["version"]) == ("r1", 2)
    assert best(won, stages.LABELLED)["real"] is None
    assert kept.history.height == 2


def test_a_line_of_the_readme_speaks_of_one_table():
    events = run("net", "baseline", tables={}, metrics={"events_rule_f1": 0.99} | RULE_METRICS)
    text = readme.table(leaderboard.build(snapshot(events, DETECTOR_RUN)), {})
    assert "| .700 [.650, .750] `one rule` | .950 [.940, .960] one class SVM |" in text


def test_sequences_are_ranked_by_their_mean_over_all_draws_and_tested_over_them():
    found = leaderboard.build(snapshot(run("logs", "sequences", tables=SEQUENCES)))
    row = best(found, stages.SEQUENCES, "logs")
    assert (row["method"], row["f1"], row["worst"], row["trivial"]) == ("a", 0.96, 0.95, 0.05)
    assert row["mean"] == pytest.approx(sum(DRAWS["a"]) / len(DRAWS["a"]))
    tested = lead(found, stages.SEQUENCES)
    assert (tested["leader"], tested["follower"], tested["real"]) == ("a", "b", True)
    assert "Wilcoxon signed-rank test, 8 draws" in tested["method"]


def test_labelled_sequences_are_judged_by_the_protocol_that_shares_least_with_training():
    row = best(
        leaderboard.build(snapshot(run("logs", "sequences", tables=SEQUENCES))), stages.SEQUENCES_LABELLED, "logs"
    )
    assert (row["method"], row["f1"], row["trivial"]) == ("tree", 0.9, 0.05)
    assert row["protocol"] == "new sequences in each test part"


def test_rules_of_sessions_are_ranked_by_their_means_where_there_are_draws():
    novelty = [
        {"rule": "UnseenEvent", "f1": 0.9, "low": 0.89, "high": 0.91, "false_alarm_rate": 0.001, "sentence": "…"},
        {"rule": "BackOff", "f1": 0.8, "low": 0.79, "high": 0.81, "false_alarm_rate": 0.002, "sentence": "…"},
    ]
    draws = [{"rule": "UnseenEvent", "mean": 0.3, "min": 0.2}, {"rule": "BackOff", "mean": 0.85, "min": 0.7}]
    drawn = leaderboard.build(snapshot(run("logs", "baseline", tables={"novelty": novelty, "novelty_draws": draws})))
    row = best(drawn, stages.RULE, "logs")
    assert (row["method"], row["mean"], row["worst"], row["real"]) == ("back off", 0.85, 0.7, None)
    assert "means over draws are stored" in row["lead"]
    once = leaderboard.build(snapshot(run("logs", "baseline", tables={"novelty": novelty})))
    assert best(once, stages.RULE, "logs")["method"] == "unseen event"
    assert best(once, stages.RULE, "logs")["real"] is True
    alone = run("logs", "baseline", tables={"novelty": novelty[:1], "novelty_draws": draws[:1]})
    assert best(leaderboard.build(snapshot(alone)), stages.RULE, "logs")["lead"] == standings.ALONE


def test_fewer_features_and_graphs_are_read_from_their_boards():
    views = [
        {"model": "forest", "representation": "all features", "size": 9, "f1": 0.8, "low": 0.7, "high": 0.9},
        {
            "model": "forest",
            "representation": "codes",
            "size": 3,
            "f1": 0.9,
            "low": 0.8,
            "high": 1.0,
            "fit_seconds": 2.0,
        },
    ]
    edges = [
        {"detector": "history", "f1": 0.8, "low": 0.78, "high": 0.82, "roc_auc": 0.9, "real": 0.002, "seconds": 1.0},
        {"detector": "mean + k sigma", "f1": 0.3, "low": 0.28, "high": 0.32, "roc_auc": 0.7, "real": 0.01},
        {"detector": "with labels, volumes", "f1": 0.9, "low": 0.88, "high": 0.92, "roc_auc": 0.95, "real": 0.001},
        {"detector": "flag everything", "f1": 0.02, "low": 0.01, "high": 0.03, "roc_auc": 0.5, "real": 1.0},
    ]
    metrics = {"edges/history/f1": 0.8, "edges/with labels volumes/f1": 0.9}
    found = leaderboard.build(
        snapshot(
            run(
                "net",
                "representation",
                tables={"flows_representations": views},
                metrics={"flows_forest_all_features_9_f1": 0.8},
            ),
            run("net", "traffic graphs", tables={"edges": edges, "recalls": [{"kind": "scan"}]}, metrics=metrics),
        )
    )
    assert best(found, stages.FEWER)["method"] == "forest, codes (3)"
    assert best(found, stages.FEWER)["seconds"] == 2.0
    row = best(found, stages.GRAPHS)
    assert (row["method"], row["trivial"], row["real"], row["alarms"]) == ("history", 0.02, True, 2.0)
    assert best(found, stages.GRAPHS_LABELLED)["method"] == "with labels, volumes"
    assert dict(found.history.select("kind", "value").rows()) == {stages.FEWER: 0.8, stages.GRAPHS: 0.8}


def test_names_of_classes_in_words():
    names = ["OneClassSVM", "GaussianMixture", "LocalOutlierFactor", "session vote", "PCA", "autoencoder"]
    told = ["one class SVM", "gaussian mixture", "local outlier factor", "session vote", "PCA", "autoencoder"]
    assert [stages._spaced(name) for name in names] == told


# ---------------------------------------------------------------------------------------------------- leads


def entry(name, value, width):
    return Entry(name, value, value - width, value + width)


def test_intervals_that_are_apart_prove_a_lead_and_others_prove_nothing():
    apart = standings.by_intervals(entry("a", 0.9, 0.01), entry("b", 0.8, 0.01), "f1")
    overlap = standings.by_intervals(entry("a", 0.9, 0.06), entry("b", 0.8, 0.06), "f1")
    unknown = standings.by_intervals(entry("a", 0.9, 0.01), Entry("b", 0.8), "f1")
    assert (apart.real, overlap.real, unknown.real) == (True, None, None)
    assert "real" in apart.sentence
    assert "cannot be told" in overlap.sentence
    assert "no interval of b" in unknown.sentence
    assert "no interval of a" in standings.by_intervals(Entry("a"), entry("b", 0.8, 0.1), "f1").sentence


def test_the_best_of_several_needs_a_wider_gap():
    ahead, behind = entry("a", 0.9, 0.045), entry("b", 0.8, 0.045)
    assert standings.by_intervals(ahead, behind, "f1").real is True
    assert standings.by_intervals(ahead, behind, "f1", picked=(9, 1)).real is None


@hypothesis_settings(deadline=None, max_examples=60)
@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.3), st.floats(0, 0.3), st.integers(1, 30))
def test_picking_from_more_never_makes_a_lead_real(one, other, width, other_width, picked):
    ahead, behind = sorted((entry("a", one, width), entry("b", other, other_width)), key=lambda e: e.f1, reverse=True)
    cautious = standings.by_intervals(ahead, behind, "f1", picked=(picked, picked))
    assert not cautious.real or standings.by_intervals(ahead, behind, "f1").real


def test_a_paired_test_is_real_worse_or_nothing():
    assert standings.decided("a", "b", "f1", Gap(0.02, 0.01, 0.03, 0.01), "t").real is True
    assert standings.decided("a", "b", "f1", Gap(0.02, -0.01, 0.03, 0.2), "t").real is False
    assert standings.decided("a", "b", "f1", Gap(0.02, 0.01, 0.03, 0.02), "t", comparisons=9).real is False
    worse = standings.decided("a", "b", "f1", Gap(-0.02, -0.03, -0.01), "t")
    assert worse.real is False
    assert "really worse" in worse.sentence
    for gap in (Gap(None, None, None), Gap(0.1, None, None), Gap(0.1, float("nan"), 0.2)):
        assert standings.decided("a", "b", "f1", gap, "t").real is None


GAP = {"gap": -0.05, "gap_low": -0.08, "gap_high": -0.02, "gap_p_value": 0.002, "compared_by": "paired bootstrap"}


def against(name):
    """What a stored row says that was compared with the one of this name."""
    return GAP | {"compared_with": name}


@pytest.mark.parametrize(
    ("stage", "tables", "leader"),
    [
        (
            "baseline",
            {"flows_rules": [RULES["flows_rules"][0], RULES["flows_rules"][1] | against("…")]},
            "bytes ≤ 28",
        ),
        (
            "baseline",
            {
                "novelty": [
                    {"rule": name, "f1": f1, "low": 0.8, "high": 1.0} for name, f1 in (("OddOne", 0.9), ("x", 0.8))
                ],
                "novelty_draws": [{"rule": "OddOne", "mean": 0.9}, {"rule": "x", "mean": 0.85, **against("OddOne")}],
            },
            "odd one",
        ),
        (
            "detection",
            {
                "flows_detectors": [
                    detector("OneClassSVM", 0.95, 0.85, 0.2),
                    detector("GaussianMixture", 0.90, 0.8, 0.2, **against("OneClassSVM")),
                ]
            },
            "one class SVM",
        ),
        (
            "representation",
            {
                "flows_representations": [
                    {"model": "forest", "representation": "codes", "size": 5, "f1": 0.8, **against("forest, all (9)")},
                    {"model": "forest", "representation": "all", "size": 9, "f1": 0.85},
                ]
            },
            "forest, all (9)",
        ),
        (
            "graphs",
            {
                "edges": [
                    {"detector": name, "f1": f1, "low": f1 - 0.2, "high": f1 + 0.2, "roc_auc": 0.9} | found
                    for name, f1, found in (("history", 0.85, {}), ("volumes", 0.8, against("history")))
                ]
            },
            "history",
        ),
        (
            "sequences",
            {
                "with_labels": [
                    {"table": "logs", "protocol": "new sequences", "model": name, "f1": f1, "shared": 0.0} | found
                    for name, f1, found in (("tree", 0.9, {}), ("forest", 0.85, against("tree")))
                ]
            },
            "tree",
        ),
    ],
)
def test_a_stored_paired_test_decides_the_lead(stage, tables, leader):
    numbers = RULE_METRICS if "flows_rules" in tables else None
    found = board.build(snapshot(run("net", stage, tables=tables, metrics=numbers)))
    lead = found.leads.row(by_predicate=pl.col("leader") == leader, named=True)
    assert (lead["low"], lead["difference"], lead["high"], lead["method"]) == (0.02, 0.05, 0.08, "paired bootstrap")
    assert lead["real"] is True


def test_a_paired_test_with_another_than_the_leader_decides_nothing():
    rows = [detector("OneClassSVM", 0.95, 0.85, 0.2), detector("GaussianMixture", 0.90, 0.8, 0.2, **against("LOF"))]
    found = board.build(snapshot(run("net", "detection", tables={"flows_detectors": rows}))).leads.row(0, named=True)
    assert found["real"] is None
    assert found["method"] == "none"


def test_draws_that_cannot_be_tested_are_told():
    assert "one draw" in standings.by_draws("a", "b", [0.9], [0.8]).sentence
    assert "cannot be tested" in standings.by_draws("a", "b", [0.9, 0.8], [0.8]).sentence
    assert standings.by_draws("a", "b", [0.9] * 6, [0.9] * 6).real is False


# ---------------------------------------------------------------------------------------------------- the board


def test_stages_are_compared_where_they_judged_the_same_rows_only():
    same = leaderboard.build(snapshot(RULE_RUN, DETECTOR_RUN, TUNING_RUN))
    pairs = same.leads.filter(kind=leaderboard.ACROSS)
    assert pairs["real"].to_list() == [True, True, True]
    assert pairs["leader"].to_list()[0] == "no labels (one class SVM)"
    assert best(same, stages.LABELLED)["trivial"] == 0.2
    assert best(same, stages.UNLABELLED)["unit"] == "flow"

    other = leaderboard.build(snapshot(RULE_RUN, DETECTOR_RUN | {"digest": "other"}, TUNING_RUN | {"digest": None}))
    assert other.leads.filter(kind=leaderboard.ACROSS).is_empty()
    assert best(other, stages.LABELLED)["trivial"] is None


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([{"source": "simulated"}], 0.7),
        ([{"budget": "fast"}], 0.7),
        ([{"status": "FAILED"}], 0.7),
        ([{}], 0.5),
        ([{"source": "simulated"}, {}], 0.5),
    ],
)
def test_real_data_come_before_simulated_full_before_fast_and_new_before_old(others, expected):
    newer = [RULE_RUN | {"metrics": RULE_METRICS | {"flows_rule_f1": 0.5}} | other for other in others]
    assert best(leaderboard.build(snapshot(RULE_RUN, *newer)), stages.RULE)["f1"] == expected


def test_history_keeps_every_finished_run_apart():
    runs = [
        RULE_RUN,
        RULE_RUN | {"source": "simulated"},
        RULE_RUN | {"status": "FAILED"},
        RULE_RUN | {"budget": "fast"},
    ]
    found = leaderboard.build(snapshot(*runs))
    assert found.history.select("source", "budget").rows() == [
        ("real", "full"),
        ("simulated", "full"),
        ("real", "fast"),
    ]
    assert found.history["value"].to_list() == [0.7] * 3


def test_histories_of_stages_are_their_headlines():
    runs = [
        DETECTOR_RUN,
        run("net", "selection", metrics={"flows_svc_f1": 0.9, "flows_svc_fit_seconds": 1.0, "flows_rare_f1": 0.99}),
        run("logs", "sequences", metrics={"logs_draws/a/mean": 0.97, "logs_draws/a/min": 0.9, "logs/a/f1": 0.99}),
        run("logs", "baseline", metrics={"A_mean_f1": 0.8, "B_mean_f1": 0.9}),
        run("logs", "tuning", metrics={"nothing": 1.0}),
    ]
    history = leaderboard.build(snapshot(*runs)).history
    assert history["value"].to_list() == [0.95, 0.9, 0.97, 0.9]


def test_only_some_data_sets_and_simulated_data_only():
    store = snapshot(RULE_RUN, RULE_RUN | {"data_set": "mine", "source": "simulated"})
    assert leaderboard.build(store).best["data_set"].to_list() == ["net", "mine"]
    assert leaderboard.build(store, ["mine"]).best["data_set"].to_list() == ["mine"]
    assert leaderboard.build(store, source="simulated").best["data_set"].to_list() == ["mine"]


def test_runs_of_older_code_odd_tables_and_unknown_stages_are_passed_over():
    odd = [
        run("a", "detection", tables={"t_detectors": [{"detector": "x"}]}),
        run("a", "selection", tables={"t_classifiers": [{"model": "dummy", "f1": 0.1}]}),
        run("a", "tuning", tables={"t_operating_points": [{"rule": "other"}]}),
        run("a", "sequences", tables={"t_detectors": [{"detector": "x", "f1": "high"}], "with_labels": [{"f1": None}]}),
        run("a", "baseline", tables={"novelty": [{}]}),
        run("a", "graphs", tables={"edges": [{"detector": "x", "f1": None, "low": 0, "high": 0, "roc_auc": 0}]}),
        run("a", "of my own", tables={"t_detectors": [detector("X", 0.9, 0.9)]}),
        run("a", None),
    ]
    found = leaderboard.build(snapshot(*odd))
    assert found.best.filter(pl.col("f1").is_not_null() | pl.col("auc").is_not_null()).is_empty()
    assert shown.scored(found.best).height == found.best.height
    assert all(isinstance(sentence, str) for sentence in leaderboard.conclusions(found))


def test_an_older_run_stands_in_where_the_newest_has_nothing():
    assert best(leaderboard.build(snapshot(DETECTOR_RUN, run("net", "detection"))), stages.UNLABELLED)["run"] == "r0"


def test_two_tables_of_a_data_set_have_lines_of_their_own():
    both = {"flows_detectors": DETECTORS["flows_detectors"], "hosts_detectors": DETECTORS["flows_detectors"]}
    found = leaderboard.build(snapshot(run("net", "detection", tables=both)))
    assert found.best["table"].to_list() == ["flows", "hosts"]
    assert found.leads.filter(kind=leaderboard.ACROSS).is_empty()


def test_an_empty_store_is_one_sentence():
    found = leaderboard.build(snapshot())
    assert found.note == board.EMPTY
    assert leaderboard.conclusions(found) == [board.EMPTY]
    assert leaderboard.results(found)["standings"] == 0
    assert command.lines(found) == [board.EMPTY]
    for table in (leaderboard.scored(found.best), leaderboard.judged(found.best), leaderboard.verdicts(found.leads)):
        assert table.is_empty()
    assert leaderboard.costs(found).is_empty()


def test_what_people_read_says_the_same_as_the_numbers():
    executed = [{"run": "n", "notebook": "03_x", "name": "03_x", "seconds": 90.0, "param_SOURCE": "real"}]
    found = leaderboard.build(snapshot(RULE_RUN, DETECTOR_RUN, TUNING_RUN, executed=executed))
    assert leaderboard.scored(found.best)["F1"].to_list()[0] == "0.700 [0.650, 0.750]"
    assert leaderboard.scored(found.best)["AUC"].to_list() == [None, "0.950 [0.940, 0.960]", "0.970"]
    told = leaderboard.verdicts(found.leads)
    assert told["verdict"].to_list() == ["cannot be told", "real", "real", "real", "real", "real"]
    assert leaderboard.costs(found).row(0) == ("03_x", "ok", 90.0, "real", None)
    said = " ".join(leaderboard.conclusions(found))
    assert "net: with labels, LightGBM, F1 0.900 [0.880, 0.920]" in said
    assert "6 leads" not in said
    assert "*no labels* is really ahead of *one rule* in 1 of 1 data sets" in said
    assert "1 notebooks took 2 minutes" in said
    assert leaderboard.results(found)["net/flows/one rule/f1"] == 0.7


def test_a_rule_may_really_be_ahead_of_detectors():
    poor = {"flows_detectors": [detector("A", 0.9, 0.2), detector("B", 0.8, 0.1)]}
    found = leaderboard.build(snapshot(RULE_RUN, run("net", "detection", tables=poor)))
    assert "in 0 of 1 data sets, really behind in 1" in " ".join(leaderboard.conclusions(found))


# ---------------------------------------------------------------------------------------------------- executions


def test_the_newest_execution_of_a_notebook_tells_what_its_runs_recorded():
    executed = [
        {"run": "old", "notebook": "03_x", "seconds": 1.0, "started": 1},
        {"run": "n", "notebook": "03_x", "seconds": 9.0, "started": 5, "param_BUDGET": "full"},
        {"run": "bad", "notebook": "04_x", "started": 6, "status": "FAILED", "error": "broken", "budget": "fast"},
    ]
    plain = run("logs", "exploration", metrics={"rows": 1674.0, "anomaly_share": 0.33, "c": 1.0, "d": 2.0, "e": 3.0})
    sequences = run("logs", "sequences", tables=SEQUENCES)
    found = executions.newest(snapshot(RULE_RUN, plain, sequences, executed=executed))
    rule, data, drawn = found["03_x"].told
    assert (found["03_x"].seconds, found["03_x"].budget) == (9.0, "full")
    assert rule.results == ("one rule: F1 0.700 [0.650, 0.750], bytes ≤ 28",)
    assert data.results == ("rows 1,674, anomaly share 0.330, c 1, d 2",)
    assert drawn.results[0].startswith("sequences: F1 0.966 over draws, worst 0.950, a")
    assert (found["04_x"].status, found["04_x"].error, found["04_x"].budget) == ("failed", "broken", "fast")
    assert found["04_x"].told == ()


# ---------------------------------------------------------------------------------------------------- README

TEXT = f"""# Title
{readme.BEGIN}
| data set | evidence | rows | anomalies | what the audit found | one rule: F1 |
|---|---|--:|--:|---|---|
| `net` | flows of hosts | 1 | 2 % | 9 high, 9 open: a port tells | old |
{readme.END}
Rest
"""
EXPLORED = {"rows": 1674.0, "anomaly_share": 0.339, "findings_high": 3.0, "findings_high_open": 1.0}


def test_the_readme_keeps_the_words_and_takes_every_number_from_the_store():
    store = snapshot(run("net", "exploration", metrics=EXPLORED), RULE_RUN, DETECTOR_RUN, TUNING_RUN)
    text = readme.replaced(TEXT, leaderboard.build(store))
    (line,) = [line for line in text.splitlines() if line.startswith("| `net`")]
    assert line == (
        "| `net` | flows of hosts | 1,674 | 33.9 % | 3 high, 1 open: a port tells | .700 [.650, .750] `bytes ≤ 28` "
        "| .950 [.940, .960] one class SVM | .900 [.880, .920], 12 false alarms in 1,000 |"
    )
    assert text.startswith("# Title\n")
    assert text.endswith(f"{readme.END}\nRest\n")
    assert readme.replaced(text, leaderboard.build(store)) == text


def test_new_data_sets_logs_graphs_and_new_kinds_have_cells():
    edges = [{"detector": "a | b", "f1": 0.8, "low": 0.7, "high": 0.9, "roc_auc": None, "real": 0.0}]
    runs = [
        run("logs", "exploration", metrics={"rows": 5.0}, source="simulated"),
        run("logs", "sequences", tables=SEQUENCES),
        run("net", "graphs", tables={"edges": edges}),
        TUNING_RUN,
    ]
    versions = [("net", 1, "r3", True, "0.950 [0.940, 0.960]")]
    text = readme.replaced(TEXT, leaderboard.build(snapshot(*runs, versions=versions)))
    logs, net = (next(line for line in text.splitlines() if f"| `{name}`" in line) for name in ("logs", "net"))
    assert logs == (
        "| `logs` | – | 5 (simulated) | – | – | – | F1 .960 [.950, .970] a; .966 over draws, worst .950 "
        "| .900 [.800, 1.000] tree, new sequences in each test part | – |"
    )
    assert net == (
        "| `net` | flows of hosts | – | – | – | – | – | .950 [.940, .960], 30 false alarms in 1,000; by kinds left out "
        "| F1 .800 [.700, .900] a / b |"
    )


def test_a_readme_without_marks_or_a_store_without_results_is_refused(tmp_path):
    file = tmp_path / "README.md"
    with pytest.raises(DataError, match=r"README\.md cannot be read"):
        readme.update(file, leaderboard.build(snapshot(RULE_RUN)))
    file.write_text("nothing")
    with pytest.raises(DataError, match="must hold the lines"):
        readme.update(file, leaderboard.build(snapshot(RULE_RUN)))
    file.write_text(TEXT)
    with pytest.raises(DataError, match="No finished run"):
        readme.update(file, leaderboard.build(snapshot()))
    assert file.read_text() == TEXT
    assert readme.update(file, leaderboard.build(snapshot(RULE_RUN)))
    assert not readme.update(file, leaderboard.build(snapshot(RULE_RUN)))
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


def test_graphs_without_f1_show_their_auc():
    row = {"auc": 0.9, "auc_low": None, "auc_high": None, "f1": None, "method": "g"}
    assert readme.graphs_cell({stages.GRAPHS: row}) == "AUC .900 g"
    assert readme.graphs_cell({}) == readme.rule_cell({}) == "–"
    assert [readme.digits(value) for value in (0.5, 1.0, -0.25)] == [".500", "1.000", "-.250"]


# ---------------------------------------------------------------------------------------------------- a real store


@pytest.fixture(scope="module")
def recorded(empty_store, tmp_path_factory):
    """A store that the tracking package wrote: a rule, a nested and a failed run, a version, a notebook."""
    root = tmp_path_factory.mktemp("recorded")
    shutil.copy(empty_store, root / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANOMALY_ROOT", str(root))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("ANOMALY_SESSION", "s")
        with tracking.start("net", "rules", notebook="03_x", stage="baseline") as opened:
            opened.log_batch(tags={"data.name": "net", "data.source": "real", "data.digest": "d"})
            opened.log_table(pl.DataFrame(RULES["flows_rules"]), "flows_rules")
            opened.log_results(RULE_METRICS)
            with opened.child("trial") as nested:
                nested.log_metrics({"flows_rule_f1": 0.99})
        with pytest.raises(ZeroDivisionError), tracking.start("net", "bad", notebook="04_x", stage="detection"):
            _ = 1 / 0
        tracking.log_notebook("03_x", session="s", executed="{}", page="<p>", params={"SOURCE": "real"}, seconds=3.5)
        client = tracking.open_store()
        client.create_registered_model("net")
        source = f"{client.get_run(opened.id).info.artifact_uri}/model"
        made = client.create_model_version("net", source, opened.id, tags={"f1": "0.700 [0.650, 0.750]"})
        client.set_registered_model_alias("net", "champion", made.version)
        taken_back = client.create_model_version("net", source, opened.id, tags={"f1": "0.990 [0.980, 0.999]"})
        client.delete_model_version("net", taken_back.version)
        yield root / "mlflow.db"


def test_a_store_reads_the_same_from_its_file_and_through_a_client(recorded):
    from_file = reading.of_file(recorded)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{recorded}")
        through_client = reading.of_server(tracking.open_store(write=False))
        name = through_client.runs.row(by_predicate=pl.col("stage") == "baseline", named=True)
        assert through_client.table(name, "flows_rules") == from_file.table(name, "flows_rules") != []
        assert through_client.table(name, "none") == []
    assert from_file.runs.equals(through_client.runs)
    assert from_file.metrics.sort("run", "metric").equals(through_client.metrics.sort("run", "metric"))
    assert from_file.versions.equals(through_client.versions)
    assert from_file.versions.select("model", "version").rows() == [("net", 1)]


def test_the_board_of_a_recorded_store(recorded):
    found = leaderboard.build(reading.of_file(recorded))
    row = best(found, stages.RULE)
    assert (row["f1"], row["method"], row["notebook_seconds"]) == (0.7, "bytes ≤ 28", 3.5)
    assert found.history.height == 1
    assert found.executions.row(0, named=True)["source"] == "real"


def test_the_command_shows_and_writes(recorded, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{recorded}")
    monkeypatch.setenv("ANOMALY_ROOT", str(tmp_path))
    assert command.main([]) == 0
    assert "bytes ≤ 28" in capsys.readouterr().out
    (tmp_path / "README.md").write_text(TEXT)
    assert command.main(["readme"]) == command.main(["readme"]) == 0
    assert capsys.readouterr().out.splitlines() == ["README.md: written", "README.md: nothing has changed"]
    assert command.main(["readme", "--file", str(tmp_path / "none.md")]) == 2
    assert "none.md cannot be read" in capsys.readouterr().err


def test_artefacts_that_are_missing_broken_or_elsewhere_are_no_rows(tmp_path):
    beside = tmp_path / "mlartifacts"
    (beside / "tables").mkdir(parents=True)
    (beside / "tables" / "t.json").write_text('{"columns": ["a"], "data": [[1]]}')
    (beside / "tables" / "broken.json").write_text('{"columns": ["a"]')
    (beside / "tables" / "short.json").write_text('{"columns": ["a", "b"], "data": [[1]]}')
    store = Snapshot(*(pl.DataFrame(),) * 3, "x", lambda given, path: reading._file_beside(beside, given, path))
    assert store.table({"artifacts": "mlflow-artifacts:/"}, "t") == [{"a": 1}]
    assert store.table({"artifacts": f"file://{beside}"}, "t") == [{"a": 1}]
    for name in ("none", "broken", "short"):
        assert store.table({"artifacts": "mlflow-artifacts:/"}, name) == []
    assert store.table({"artifacts": None}, "t") == []


def test_no_store_is_an_empty_one_and_a_file_that_is_none_is_one_sentence(lab):
    assert leaderboard.read().note == board.EMPTY
    assert not lab.store_file.exists()
    with pytest.raises(TrackingError, match="there is no MLflow store"):
        reading.of_file(lab.store_file)
    lab.store_file.write_text("text")
    with pytest.raises(TrackingError, match="is no SQLite database"):
        leaderboard.read()
    lab.store_file.unlink()
    with sqlite3.connect(lab.store_file) as database:
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
    with pytest.raises(TrackingError, match="cannot be read as an MLflow store"):
        leaderboard.read()


def test_five_thousand_runs_are_read_with_one_query_each(recorded, tmp_path):
    """Nested and foreign runs by the thousand change nothing, and tables are opened for the chosen runs alone."""
    many = tmp_path / "mlflow.db"
    shutil.copy(recorded, many)
    with sqlite3.connect(many) as database:
        ((run_id,),) = database.execute("SELECT run_uuid FROM runs WHERE name = 'rules'").fetchall()
        for table in ("runs", "tags", "latest_metrics"):
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            values = ", ".join(f"c.n || '-' || {name}" if name == "run_uuid" else f'"{name}"' for name in columns)
            database.execute(
                f"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5000) "
                f"INSERT INTO {table} SELECT {values} FROM {table}, c WHERE run_uuid = '{run_id}'"
            )
    opened = []
    store = reading.of_file(many)
    counted = Snapshot(store.runs, store.metrics, store.versions, store.place, lambda run, path: opened.append(path))
    found = leaderboard.build(counted)
    assert found.history.height == 5001
    assert found.best.height == 1
    assert len(opened) < 10
