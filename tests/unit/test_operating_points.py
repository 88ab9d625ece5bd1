"""Operating points: thresholds and calibrations from out-of-fold rows, judged on test rows."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC

from utils.classifiers import operating_points as points
from utils.classifiers.operating_points import Calibrator, Side, operating_points
from utils.errors import DataError, SettingsError
from utils.evaluation import metrics, scoring, splits
from utils.evaluation.thresholds import Fixed
from utils.features.flows import FlowFeatures


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(3)
    values = rng.normal(size=(500, 3))
    y = values[:, 0] + values[:, 1] + rng.normal(size=500) > 1.2
    kinds = pl.Series(np.where(y, np.where(values[:, 2] > 0, "scan", "flood"), "normal"))
    return values, y, kinds


@pytest.fixture(scope="module")
def sides(rows):
    values, y, kinds = rows
    split = splits.stratified(y, 0.4)
    forest = RandomForestClassifier(30, min_samples_leaf=3, random_state=0)
    chosen_on = points.out_of_fold_side(forest, values[split.train], y[split.train], kinds=kinds.gather(split.train))
    model = forest.fit(values[split.train], y[split.train])
    return chosen_on, points.side_of(model, values[split.test], y[split.test], kinds=kinds.gather(split.test))


@pytest.fixture(scope="module")
def found(sides):
    return operating_points(*sides, miss=5.0, false_alarm=1.0, budget=20.0)


def test_thresholds_are_chosen_on_training_rows_alone(sides, found):
    chosen_on, found_on = sides
    turned = Side(~found_on.y, -found_on.scores)
    other = operating_points(chosen_on, turned, miss=5.0, false_alarm=1.0, budget=20.0)
    assert other.points["threshold"].to_list() == found.points["threshold"].to_list()
    assert found.points["rule"].to_list() == ["best F1", "lowest cost", "alarm budget"]


def test_each_rule_is_best_at_its_own_aim_among_all_thresholds(sides, found):
    best = found.curves["out of fold"]
    line = {row["rule"]: row for row in found.points.iter_rows(named=True)}
    assert line["best F1"]["expected_f1"] == pytest.approx(best["f1"].max())
    assert line["lowest cost"]["expected_cost"] == pytest.approx(best["cost"].min())
    assert line["alarm budget"]["expected_alarms"] <= 20.0
    assert line["lowest cost"]["threshold"] <= line["best F1"]["threshold"] <= line["alarm budget"]["threshold"]


def test_what_is_found_is_counted_on_test_rows(sides, found):
    _, test = sides
    for row, cells in zip(found.points.iter_rows(named=True), found.confusion.iter_rows(named=True), strict=True):
        flagged = test.scores >= row["threshold"]
        assert cells["tp"] == (flagged & test.y).sum()
        assert cells["fn"] == (~flagged & test.y).sum()
        assert row["f1"] == metrics.f1(test.y, flagged)
        assert row["alarms"] == pytest.approx(1000 * (flagged & ~test.y).sum() / (~test.y).sum())
        assert row["cost"] == pytest.approx((5 * cells["fn"] + cells["fp"]) / test.y.size)
        np.testing.assert_array_equal(found.decisions[row["rule"]], flagged)
        for name in ("precision", "recall", "f1", "alarms"):
            assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]


def test_each_class_and_each_kind_of_anomaly_has_its_line(sides, found):
    _, test = sides
    assert found.classes.height == 6
    normal = found.classes.row(0, named=True)
    cells = found.confusion.row(0, named=True)
    assert normal["class"] == "normal"
    assert normal["recall"] == cells["tn"] / (cells["tn"] + cells["fp"])
    assert normal["rows"] == (~test.y).sum()
    assert set(found.kinds["kind"]) == {"scan", "flood"}
    line = found.kinds.row(by_predicate=(pl.col("rule") == "best F1") & (pl.col("kind") == "scan"), named=True)
    mine = (test.kinds == "scan").to_numpy()
    assert line["recall"] == found.decisions["best F1"][mine].mean()
    assert line["rows"] == mine.sum()


def test_precision_falls_where_anomalies_are_rare(found):
    for (_,), part in found.shares.group_by("rule"):
        assert part.sort("share")["precision"].is_sorted()
    row = found.shares.row(by_predicate=(pl.col("rule") == "best F1") & (pl.col("share") == 0.01), named=True)
    point = found.points.row(0, named=True)
    hits, alarms = 0.01 * point["recall"], 0.99 * point["alarms"] / 1000
    assert row["precision"] == pytest.approx(hits / (hits + alarms))
    assert row["alarms"] == pytest.approx(1000 * (hits + alarms))


def test_other_rules_can_be_given(sides):
    made = operating_points(*sides, rules={"half": Fixed(0.5)}, shares=())
    assert made.points["rule"].to_list() == ["half"]
    assert made.points["threshold"].to_list() == [0.5]
    assert made.shares.is_empty()


def test_a_threshold_given_is_not_fitted_itself(sides):
    rule = Fixed(0.5)
    operating_points(*sides, rules={"half": rule}, resamples=0)
    assert not hasattr(rule, "value_")


def test_results_are_plain_finite_numbers(found):
    numbers = found.results("test_")
    assert numbers["test_best_F1_f1"] == found.points["f1"][0]
    assert {"test_average_precision", "test_ece_before", "test_brier_isotonic"} <= set(numbers)
    assert all(isinstance(value, float) and np.isfinite(value) for value in numbers.values())


@pytest.mark.parametrize("budget", [0.0, 1000.0, -1.0])
def test_a_budget_that_is_none_is_refused(sides, budget):
    with pytest.raises(SettingsError, match="between 0 and 1,000, found"):
        operating_points(*sides, budget=budget)


def test_a_budget_that_few_rows_cannot_vouch_for_flags_nothing(sides):
    made = operating_points(*sides, budget=0.5)
    line = made.points.row(2, named=True)
    assert np.isinf(line["threshold"])
    assert "cannot vouch" in line["chosen"]
    assert line["recall"] == line["alarms"] == 0.0


def test_training_rows_of_one_class_choose_nothing(sides):
    chosen_on, found_on = sides
    with pytest.raises(DataError, match="both needed"):
        operating_points(Side(np.ones(5, dtype=bool), np.arange(5.0)), found_on)
    alone = operating_points(
        chosen_on, Side(np.zeros(4, dtype=bool), np.linspace(0, 1, 4), kinds=pl.Series(["normal"] * 4))
    )
    assert alone.kinds.is_empty()
    assert list(alone.curves) == ["out of fold"]
    assert np.isnan(alone.points["recall"][0])


def test_weights_are_rows_written_down_so_many_times(sides):
    chosen_on, found_on = sides
    twice = [
        Side(side.y, side.scores, side.probabilities, side.kinds, np.full(side.y.size, 2))
        for side in (chosen_on, found_on)
    ]
    one, two = operating_points(chosen_on, found_on, budget=50.0), operating_points(*twice, budget=50.0)
    assert two.points["threshold"].head(2).to_list() == one.points["threshold"].head(2).to_list()
    assert (two.confusion["tp"] == 2 * one.confusion["tp"]).head(2).all()
    assert two.points["f1"][0] == pytest.approx(one.points["f1"][0])
    assert two.points["f1_high"][0] < one.points["f1_high"][0]
    assert two.calibration["brier"][0] == pytest.approx(one.calibration["brier"][0])
    grouped = Side(found_on.y, found_on.scores, groups=np.arange(found_on.y.size) // 4)
    assert operating_points(chosen_on, grouped).points["f1_low"][0] != one.points["f1_low"][0]


def test_calibration_learns_what_scores_mean():
    rng = np.random.default_rng(0)
    truth = rng.random(4_000)
    y = rng.random(4_000) < truth
    for method, scores in (("isotonic", truth**4), ("sigmoid", 30 + 5 * np.log(truth / (1 - truth)))):
        said = Calibrator(method).fit(scores[:2_000], y[:2_000]).predict(scores[2_000:])
        assert ((said >= 0) & (said <= 1)).all()
        assert np.abs(said - truth[2_000:]).mean() < 0.04
        assert points.expected_calibration_error(points.reliability(y[2_000:], said)) < 0.04
    raw = points.reliability(y, truth**4)
    assert points.expected_calibration_error(raw) > 0.15


@given(st.integers(0, 10_000), st.sampled_from(points.METHODS), st.sampled_from((1e-9, 1.0, 1e12)))
@settings(deadline=None, max_examples=30)
def test_calibration_keeps_the_order_of_scores(seed, method, size):
    rng = np.random.default_rng(seed)
    y = np.arange(60) % 3 == 0
    scores = size * (rng.normal(size=60) + y)
    said = Calibrator(method).fit(scores, y).predict(np.sort(scores))
    assert (np.diff(said) >= -1e-12).all()
    assert ((said >= 0) & (said <= 1)).all()


@pytest.mark.parametrize("method", points.METHODS)
def test_calibration_of_odd_scores(method):
    y = [True, False] * 10
    constant = Calibrator(method).fit([0.3] * 20, y).predict([0.3, -np.inf, np.inf])
    assert constant[0] == pytest.approx(0.5, abs=0.01)
    perfect = Calibrator(method).fit([1.0, 0.0] * 10, y).predict([1.0, 0.0])
    assert perfect[0] > 0.9 > 0.1 > perfect[1]
    assert Calibrator(method).fit([np.inf, 0.0] * 10, y).predict([np.inf])[0] > 0.5
    with pytest.raises(DataError, match="both needed"):
        Calibrator(method).fit([1.0, 2.0], [True, True])


def test_no_other_calibration_is_known():
    with pytest.raises(SettingsError, match="method must be one of"):
        Calibrator("beta").fit([1.0, 2.0], [True, False])


def test_platts_targets_keep_a_few_rows_from_certainty():
    said = Calibrator("sigmoid").fit([0.0, 0.0, 1.0, 1.0], [False, False, True, True]).predict([0.0, 1.0])
    assert said == pytest.approx([0.25, 0.75], abs=0.01)


def test_bins_of_a_reliability_curve_hold_equally_many_rows():
    said = np.linspace(0, 1, 1_000)
    bent = points.reliability(said > 0.5, said)
    assert bent["rows"].to_list() == [100.0] * 10
    assert bent["predicted"].is_sorted()
    assert (bent["low"] <= bent["observed"]).all()
    assert (bent["observed"] <= bent["high"]).all()


def test_equal_probabilities_share_a_bin():
    bent = points.reliability([True, False, True, False, False], [0.5, 0.5, 0.5, 0.9, 0.9], bins=4)
    assert bent["rows"].to_list() == [3.0, 2.0]
    assert bent["observed"].to_list() == pytest.approx([2 / 3, 0.0])
    assert points.expected_calibration_error(bent) == pytest.approx(0.6 * (2 / 3 - 0.5) + 0.4 * 0.9)
    weighted = points.reliability([True, False], [0.5, 0.9], weight=[3, 1], bins=4)
    assert weighted["rows"].to_list() == [3.0, 1.0]
    none = points.reliability([], [])
    assert none.is_empty()
    assert np.isnan(points.expected_calibration_error(none))


def test_what_is_no_probability_is_refused():
    with pytest.raises(DataError, match=r"0\.\.1, found 1 outside"):
        points.reliability([True, False], [0.5, 1.5])


def test_scores_out_of_fold_are_those_of_models_that_have_not_seen_the_row(rows):
    values, y, _ = rows
    model = LogisticRegression()
    side = points.out_of_fold_side(model, values, y, folds=4, seed=5)
    np.testing.assert_array_equal(side.scores, scoring.out_of_fold(model, values, y, 4, seed=5))
    odds = np.exp(side.scores)
    np.testing.assert_allclose(side.probabilities, odds / (1 + odds))
    given_folds = points.out_of_fold_side(model, values, y, folds=splits.k_fold(y, 4, 5))
    np.testing.assert_array_equal(given_folds.scores, side.scores)


def test_a_model_without_probabilities_is_calibrated_all_the_same(rows):
    values, y, _ = rows
    side = points.out_of_fold_side(LinearSVC(), values, y)
    assert side.probabilities is None
    made = operating_points(side, side)
    assert made.calibration["calibration"].to_list() == ["isotonic", "sigmoid"]


def test_pipelines_on_frames_take_weights_and_groups(rows):
    values, y, _ = rows
    frame = pl.DataFrame(values, schema=["a", "b", "c"], orient="row")
    pipeline = Pipeline([("features", FlowFeatures()), ("classifier", LogisticRegression())])
    groups = np.arange(500) // 5
    side = points.out_of_fold_side(pipeline, frame, y, weight=[1, 3] * 250, groups=groups)
    plain = points.out_of_fold_side(pipeline, frame, y, groups=groups)
    assert side.weight.tolist() == [1, 3] * 250
    assert not np.array_equal(side.scores, plain.scores)
    test = points.side_of(pipeline.fit(frame, y), frame, y, weight=[1, 3] * 250, groups=groups)
    assert test.groups.max() == 99


def test_a_tiny_table_gets_fewer_folds():
    side = points.out_of_fold_side(LogisticRegression(), np.arange(12.0)[:, None], np.arange(12) > 9)
    assert np.isfinite(side.scores).all()
