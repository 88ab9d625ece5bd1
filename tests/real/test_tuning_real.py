"""Tuning and operating points on real rows: what the searches of the earlier systems buy, and whether points hold."""

import numpy as np
import polars as pl
import pytest

from utils.classifiers import operating_points as points
from utils.classifiers import spaces
from utils.classifiers.nested import gains
from utils.classifiers.tuning import pipeline_of, side_by_side, tune
from utils.classifiers.zoo import ZOO
from utils.detectors.judging import detectable
from utils.evaluation import splits
from utils.features import tables

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def graphs(real_data):
    made = tables.build(real_data("api"))
    return made["graphs"], made.roles["graphs"]


@pytest.fixture(scope="module")
def payloads(real_data):
    made = tables.build(real_data("waf"))
    return made["payloads"], made.roles["payloads"]


def test_no_search_beats_the_default_forest_on_families_of_payloads(payloads):
    frame, roles = payloads
    made = side_by_side(
        frame,
        frame[roles.anomaly_type],
        splits.published(frame, roles),
        ZOO["random forest"],
        space=spaces.FOREST_OF_THE_EVENTS,
        trials=4,
        folds=2,
        metric="weighted_f1",
        columns=detectable(frame, roles),
        resamples=100,
    )
    lines = made.table
    assert lines["search"].to_list() == ["default", "random then grid", "random", "tpe"]
    assert lines["fits"].to_list()[1:] == [10, 10, 10]
    assert lines["test"].min() > 0.995
    assert lines["difference"].drop_nulls().max() < 0.002
    assert (lines["low"].drop_nulls() <= 0).all()


def test_tuning_the_boosting_of_the_call_graphs_is_noise(graphs):
    frame, roles = graphs
    made = gains(
        frame,
        frame[roles.label],
        ZOO["hist gradient boosting"],
        space=spaces.HISTOGRAM_TREES_OF_THE_GRAPHS,
        outer=3,
        trials=4,
        folds=2,
        groups=frame[roles.group],
        columns=detectable(frame, roles),
        metric="roc_auc",
    )
    found = {row["metric"]: row for row in made.summary.iter_rows(named=True)}
    assert made.verdict == "noise"
    assert abs(found["roc_auc"]["difference"]) < 0.005
    assert found["roc_auc"]["default"] > 0.985
    assert found["f1"]["default"] > 0.9


def test_the_same_seed_finds_the_same_on_real_rows(graphs):
    frame, roles = graphs
    given = {"columns": detectable(frame, roles), "groups": frame[roles.group], "trials": 3, "folds": 2}
    one, two = (tune(frame, frame[roles.label], ZOO["lightgbm"], **given) for _ in range(2))
    assert one.trials.drop("seconds").equals(two.trials.drop("seconds"))
    np.testing.assert_array_equal(one.scores, two.scores)


def test_points_of_the_call_graphs_hold_what_they_promise(graphs):
    frame, roles = graphs
    split = splits.grouped(frame[roles.label], frame[roles.group], 0.3)
    pipeline = pipeline_of(ZOO["extra trees"], {}, 0, columns=detectable(frame, roles))
    train, test = frame[split.train], frame[split.test]
    y, kinds = train[roles.label], train[roles.anomaly_type]
    chosen_on = points.out_of_fold_side(pipeline, train, y, kinds=kinds, groups=train[roles.group])
    model = pipeline.fit(train, y.to_numpy())
    found_on = points.side_of(model, test, test[roles.label], kinds=test[roles.anomaly_type])
    made = points.operating_points(chosen_on, found_on, miss=10, false_alarm=1, budget=20, unit=roles.unit)
    line = {row["rule"]: row for row in made.points.iter_rows(named=True)}
    assert line["best F1"]["f1"] > 0.88
    assert abs(line["best F1"]["f1"] - line["best F1"]["expected_f1"]) < 0.05
    assert line["lowest cost"]["recall"] > line["best F1"]["recall"]
    assert line["alarm budget"]["alarms_low"] <= 20
    assert line["lowest cost"]["cost"] == made.points["cost"].min()
    assert {each.name: each.value for each in made.ranking}["average_precision"] > 0.97
    calibrated = made.calibration.filter(pl.col("calibration") != "before")
    assert calibrated["brier"].min() < 0.06
    assert calibrated["ece"].max() < 0.06
