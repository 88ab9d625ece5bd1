"""Champions and tuning on every labelled table: what is learned from what, what is left out, what is told."""

import pickle
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from tests.unit import small_data
from utils import datasets, settings
from utils.classifiers import champion_trials, compiled, payload_comparison, payload_marks, tuning_trials
from utils.datasets.contract import Roles
from utils.errors import SchemaError
from utils.evaluation import metrics
from utils.explain import explained
from utils.features import tables

BUDGET = replace(settings.budget("fast"), rows=2_000, bootstrap=80, repeats=2, trials=4)


def rows(seed=0, n=400, anomalies=0.2):
    rng = np.random.default_rng(seed)
    kinds = np.where(rng.random(n) < anomalies, "scan", "normal")
    points = rng.normal(0, 1, (n, 3)) + 1.5 * (kinds != "normal")[:, None]
    frame = pl.DataFrame(points, schema=["a", "b", "c"]).with_columns(
        pl.Series("service", rng.choice(["dns", "http"], n)),
        pl.Series("kind", kinds),
        pl.Series("is_anomaly", kinds != "normal"),
        pl.Series("split", np.where(rng.random(n) < 0.6, "train", "test")),
    )
    roles = Roles("row", features=("a", "b", "c", "service"), label="is_anomaly", anomaly_type="kind", split="split")
    return frame, roles


@pytest.fixture(scope="module")
def made():
    """A table that can be learned from, and one with a single anomaly on each side."""
    frame, roles = rows()
    anomalous = frame.filter("is_anomaly").group_by("split", maintain_order=True).head(1)
    scarce = pl.concat([frame.filter(~pl.col("is_anomaly")), anomalous.select(frame.columns)])
    return {
        "tiny": small_data.dataset({"rows": frame}, {"rows": roles}),
        "scarce": small_data.dataset({"rows": scarce}, {"rows": roles}, name="scarce"),
    }


@pytest.fixture(scope="module")
def champions(made):
    return champion_trials.run(made, BUDGET)


@pytest.fixture(scope="module")
def tuned(made):
    return tuning_trials.run(made, BUDGET, side_by_side_on="tiny")


def test_a_champion_decides_as_its_trial_says(champions, made):
    trial = champions.by_table["tiny", "rows"]
    test = made["tiny"]["rows"].filter(split="test")
    decisions = trial.champion.predict(test)
    assert (decisions == trial.decisions).all()
    assert trial.point["f1"] == pytest.approx(metrics.f1(test["is_anomaly"], decisions))
    assert trial.point["f1"] > 0.6
    assert champions.overview["f1"].to_list() == [trial.point["f1"]]
    assert champions.results("tiny")["rows_best_F1_f1"] == trial.point["f1"]


def test_test_rows_change_nothing_that_is_learned(champions, made):
    frame, roles = made["tiny"]["rows"], made["tiny"].roles["rows"]
    turned = frame.with_columns(
        pl.when(pl.col("split") == "test").then(~pl.col("is_anomaly")).otherwise("is_anomaly").alias("is_anomaly")
    )
    again = champion_trials.run({"tiny": small_data.dataset({"rows": turned}, {"rows": roles})}, BUDGET)
    first, second = champions.by_table["tiny", "rows"], again.by_table["tiny", "rows"]
    assert first.champion.threshold_.value_ == second.champion.threshold_.value_
    assert (first.found_on.scores == second.found_on.scores).all()


def test_a_table_that_cannot_be_divided_is_left_out_with_the_reason(champions, tuned):
    for trials in (champions, tuned):
        assert set(trials.notes) == {("scarce", "rows")}
        assert "cannot stand on" in trials.notes["scarce", "rows"]
        assert trials.results("scarce") == {}


def test_tuning_is_judged_by_rows_that_the_searches_never_saw(tuned):
    row = tuned.overview.row(0, named=True)
    assert row["verdict"] in ("helps", "noise", "harms")
    assert row["low"] <= row["difference"] <= row["high"]
    assert row["promised"] >= 0
    assert row["model"] == tuning_trials.OTHERWISE
    found = tuned.searches["tiny", "rows"]
    assert found.table["search"].to_list() == ["default", "random then grid", "random", "tpe"]
    assert len(set(found.table["fits"][1:])) == 1
    assert tuned.results("tiny")["rows_difference_average_precision"] == row["difference"]


def test_the_same_seed_gives_the_same_numbers(tuned, champions, made):
    again = tuning_trials.run({"tiny": made["tiny"]}, BUDGET, side_by_side_on="none")
    assert again.overview.equals(tuned.overview)
    once_more = champion_trials.run({"tiny": made["tiny"]}, BUDGET)
    assert once_more.overview.equals(champions.overview)


def test_the_threshold_for_new_kinds_comes_from_models_that_had_not_seen_the_kind():
    frame, roles = rows(n=800)
    rng = np.random.default_rng(1)
    kinds = np.where(frame["is_anomaly"], rng.choice(["a", "b", "c", "d"], frame.height), "normal")
    apart = {f"only_{name}": np.where(kinds == name, 4.0, 0.0) + rng.normal(0, 0.1, len(kinds)) for name in "abcd"}
    told = frame.with_columns(pl.Series("kind", kinds), **{name: pl.Series(values) for name, values in apart.items()})
    roles = replace(roles, features=(*roles.features, *apart))
    made = {"nsl_kdd": small_data.dataset({"rows": told}, {"rows": roles}, name="nsl_kdd")}
    trial = champion_trials.run(made, BUDGET).by_table["nsl_kdd", "rows"]
    assert trial.rule == champion_trials.NEW_KINDS
    thresholds = {name: threshold.value_ for name, threshold in trial.points.thresholds.items()}
    assert thresholds[champion_trials.NEW_KINDS] < thresholds[champion_trials.RULE]
    assert trial.champion.threshold_.value_ == thresholds[champion_trials.NEW_KINDS]
    assert "left out of training" in trial.point["chosen"]


def test_a_champion_is_explained_with_its_mistakes_and_where_they_gather(champions, made):
    trial = champions.by_table["tiny", "rows"]
    told = explained(trial, refits=2, most=3)
    frame = made["tiny"]["rows"].filter(split="test")
    false = (~frame["is_anomaly"] & pl.Series(trial.decisions)).sum()
    assert told.totals["false alarms"] == false
    assert set(told.importance["feature"]) == {"a", "b", "c", "service"}
    assert told.importance["feature"][-1] == "service"
    assert told.found.error < 1e-6
    assert told.stability is not None
    for outcome, place in told.places.items():
        assert 0 <= place < len(told.found), outcome
    assert told.mistakes.filter(mistake="false alarm").height == min(3, false)
    assert {"kind", "service"} >= set(told.slices["column"])
    assert f"false alarms: {false}," in told.summary


def test_a_champion_of_payloads_reads_the_payloads_themselves():
    data = {"waf": datasets.load("waf", "simulated", seed=1, budget="fast")}
    few = {"payloads": data["waf"]["payloads"].gather_every(6)}
    data = {"waf": replace(data["waf"], frames=few, roles={"payloads": data["waf"].roles["payloads"]})}
    processed = {"waf": tables.build(data["waf"])}
    trials = champion_trials.run(processed, BUDGET, data=data)
    board = payload_comparison.compared(trials, data, processed)
    assert board.select("texts", "truth").rows() == [
        (payload_comparison.ALIKE, "normal"),
        (payload_comparison.FORMS, "attack"),
        (payload_comparison.TEST, "normal"),
        (payload_comparison.TEST, "attack"),
    ]
    assert board["n"][2:].sum() == trials.by_table["waf", "payloads"].test.height
    alike, forms = board.rows(named=True)[:2]
    assert 2 * alike[payload_comparison.MARKS] < 0.12 < alike[payload_comparison.ONE_LIST]
    assert forms[payload_comparison.MARKS] > 0.7
    assert payload_comparison.sentence(board).startswith(f"waf payloads: of {alike['n']:,} benign look-alikes ")
    trial = trials.by_table["waf", "payloads"]
    champion = trial.champion
    assert trial.rule == payload_marks.LOOK_ALIKES
    assert champion.threshold_.value_ == trial.points.thresholds[payload_marks.LOOK_ALIKES].value_
    assert trial.test["payload"].to_list() == few["payloads"].filter(split="test")["payload"].to_list()
    assert compiled.parity(champion, compiled.compiled(champion), trial.test).differing == 0
    assert not compiled.compiled(champion).in_trees
    raw = data["waf"]["payloads"].head(50).select("payload")
    made = processed["waf"]["payloads"].head(50)
    assert (champion.score_samples(raw) == champion.score_samples(made)).all()
    assert (champion.score_samples(raw.to_pandas()) == champion.score_samples(made)).all()
    again = pickle.loads(pickle.dumps(champion))
    attacks = data["waf"]["payloads"].filter("is_anomaly").select("payload")
    decided = again.decide(attacks.to_dicts()).filter("decision")
    assert decided.height > attacks.height / 2
    assert decided["reasons"][0][0].startswith(("sqli: ", "xss: ", "cmdi: ", "path-traversal: "))
    with pytest.raises(SchemaError, match="payload"):
        champion.predict([{"text": "hello"}])


def test_a_champion_of_a_rare_class_is_explained_without_refits():
    frame, roles = rows(n=120)
    few = frame.filter("is_anomaly").group_by("split", maintain_order=True).head(2).select(frame.columns)
    rare = pl.concat([frame.filter(~pl.col("is_anomaly")), few])
    trials = champion_trials.run({"rare": small_data.dataset({"rows": rare}, {"rows": roles}, name="rare")}, BUDGET)
    told = explained(trials.by_table["rare", "rows"], refits=8, seed=0)
    assert told.stability is None
    assert "false alarms" in told.summary
