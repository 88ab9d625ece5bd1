import pickle

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import combine_pvalues, false_discovery_control
from sklearn.base import clone

from utils.errors import DataError
from utils.evaluation.conformal import (
    ConformalCombination,
    ConformalPValues,
    alarm_table,
    benjamini_hochberg,
    combine,
)
from utils.evaluation.intervals import wilson

QUICK = settings(max_examples=60, deadline=None)
REPEATS = 200
RATES = (0.01, 0.05, 0.10)
SCORES = st.lists(st.integers(-3, 3), min_size=1, max_size=30)
SOURCES = {
    "continuous": lambda rng, n: rng.standard_t(3, size=n),
    "discrete": lambda rng, n: rng.poisson(1.5, size=n).astype(float),
    "mostly one value": lambda rng, n: np.where(rng.random(n) < 0.93, 0.0, rng.random(n)),
}


def error(rate, n, m):
    """Standard error of a mean over the repeats: the calibration and the new rows both vary."""
    return np.sqrt(rate * (1 - rate) * (1 / n + 1 / m) / REPEATS)


@QUICK
@given(SCORES, SCORES)
def test_p_values_are_the_definition(calibration, scores):
    p = ConformalPValues().fit(calibration).p_values(scores)
    by_hand = [(1 + sum(c >= s for c in calibration)) / (len(calibration) + 1) for s in scores]
    assert np.allclose(p, by_hand)


@QUICK
@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(1, 5)), min_size=1, max_size=20), SCORES)
def test_counts_stand_for_repeated_rows(calibration, scores):
    values, weight = (np.array(column) for column in zip(*calibration, strict=True))
    weighted = ConformalPValues().fit(values, weight=weight)
    plain = ConformalPValues().fit(np.repeat(values, weight))
    assert np.allclose(weighted.p_values(scores), plain.p_values(scores))
    assert weighted.n_calibration_ == weight.sum()


@QUICK
@given(SCORES, SCORES)
def test_smoothed_p_values_lie_between_the_strict_and_the_plain_one(calibration, scores):
    smoothed = ConformalPValues(smoothed=True, seed=1).fit(calibration)
    p = smoothed.p_values(scores)
    plain = ConformalPValues().fit(calibration).p_values(scores)
    higher = np.array([sum(c > s for c in calibration) for s in scores]) / (len(calibration) + 1)
    assert (p <= plain + 1e-12).all()
    assert (p > higher).all()
    assert np.array_equal(p, smoothed.p_values(scores))


@pytest.mark.parametrize("source", SOURCES)
def test_nominal_alarm_rates_hold_over_200_repeats(source):
    rng, n, m = np.random.default_rng(11), 499, 500
    plain, smoothed = np.empty((REPEATS, 3)), np.empty((REPEATS, 3))
    for place in range(REPEATS):
        scores = SOURCES[source](rng, n + m)
        fitted = ConformalPValues().fit(scores[:n])
        plain[place] = [fitted.predict(scores[n:], rate).mean() for rate in RATES]
        fitted = ConformalPValues(smoothed=True, seed=place).fit(scores[:n])
        smoothed[place] = [fitted.predict(scores[n:], rate).mean() for rate in RATES]
    for rate, real, exact in zip(RATES, plain.mean(axis=0), smoothed.mean(axis=0), strict=True):
        assert real < rate + 4 * error(rate, n, m)
        assert abs(exact - rate) < 4 * error(rate, n, m)
        if source == "continuous":
            assert abs(real - rate) < 4 * error(rate, n, m)


@pytest.mark.parametrize("method", ["fisher", "min", "mean"])
@pytest.mark.parametrize("detectors", ["alike", "opposed", "discrete"])
def test_combinations_of_dependent_detectors_hold_their_rates(method, detectors):
    rng, n, m = np.random.default_rng(5), 299, 300
    real = np.empty((REPEATS, 3))
    for place in range(REPEATS):
        shared = rng.normal(size=n + m)
        own = rng.normal(size=n + m)
        columns = {
            "alike": [shared, shared + 0.1 * own, shared],
            "opposed": [shared, -shared, own],
            "discrete": [shared.round(), own.round(), (shared + own).round()],
        }[detectors]
        table = np.column_stack(columns)
        fitted = ConformalCombination(method).fit(table[:n])
        real[place] = [fitted.predict(table[n:], rate).mean() for rate in RATES]
    for rate, mean in zip(RATES, real.mean(axis=0), strict=True):
        assert mean < rate + 4 * error(rate, n, m)
        if detectors != "discrete":
            assert mean > rate - 4 * error(rate, n, m) - 3 / n


def test_fisher_by_theory_fails_on_dependent_detectors_and_calibration_repairs_it():
    rng, n = np.random.default_rng(2), 20_000
    shared = rng.normal(size=2 * n)
    table = np.column_stack([shared + 0.1 * rng.normal(size=2 * n) for _ in range(4)])
    p = np.column_stack([ConformalPValues().fit(rng.normal(scale=1.005, size=n)).p_values(one) for one in table.T])
    by_theory = combine(p[n:], "fisher")
    repaired = combine(p[n:], "fisher", calibration=p[:n])
    assert (by_theory <= 0.01).mean() > 0.03
    assert (repaired <= 0.01).mean() == pytest.approx(0.01, abs=0.004)


def test_combining_by_theory_is_what_the_books_say():
    p = np.array([[0.01, 0.2, 0.5], [0.9, 0.8, 1.0], [0.02, 0.02, 0.02]])
    assert np.allclose(combine(p, "fisher"), [combine_pvalues(row, "fisher").pvalue for row in p])
    assert np.allclose(combine(p, "min"), [0.03, 1.0, 0.06])
    assert np.allclose(combine(p, "mean"), [2 * 0.71 / 3, 1.0, 0.04])
    assert np.allclose(combine(pl.DataFrame(p, schema=["a", "b", "c"]), "min"), combine(p, "min"))


def test_a_combination_finds_what_single_detectors_overlook():
    rng, n = np.random.default_rng(3), 2_000
    normal = rng.normal(size=(n, 3))
    odd = rng.normal(size=(200, 3)) + 1.6
    recall = {}
    for method in ("fisher", "min"):
        recall[method] = ConformalCombination(method).fit(normal).predict(odd, 0.01).mean()
    single = ConformalPValues().fit(normal[:, 0]).predict(odd[:, 0], 0.01).mean()
    assert recall["fisher"] > recall["min"] > single
    scores = ConformalCombination().fit(normal).score_samples(odd)
    assert scores.mean() > ConformalCombination().fit(normal).score_samples(normal).mean()


def test_rows_with_the_same_p_values_in_another_order_are_ties():
    table = np.array([[1.0, 3.0, 2.0], [3.0, 2.0, 1.0], [2.0, 1.0, 3.0]])
    fitted = ConformalCombination("fisher").fit(table)
    assert len(fitted.combined_.scores_) == 1


def test_a_combination_leaves_anomalies_out_and_counts_weights():
    rng = np.random.default_rng(8)
    table, y = rng.normal(size=(60, 2)), np.arange(60) % 5 == 0
    weight = rng.integers(0, 4, 60)
    fitted = ConformalCombination("min").fit(table, y, weight)
    plain = ConformalCombination("min").fit(np.repeat(table[~y], weight[~y], axis=0))
    new = rng.normal(size=(20, 2))
    assert np.allclose(fitted.p_values(new), plain.p_values(new))


@pytest.mark.parametrize(
    "fitted",
    [ConformalPValues().fit(np.arange(9.0)), ConformalCombination("mean").fit(np.arange(18.0).reshape(9, 2))],
    ids=["p-values", "combination"],
)
def test_fitted_objects_can_be_stored_and_cloned_and_take_no_rows(fitted):
    rows = np.array([[3.0, 4.0], [99.0, 99.0]])
    rows = rows[:, 0] if isinstance(fitted, ConformalPValues) else rows
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.p_values(rows), fitted.p_values(rows))
    # Combined, the highest calibration row ties with a row that is higher: the price of using all rows twice.
    assert again.p_values(rows)[1] == pytest.approx(0.1 if isinstance(fitted, ConformalPValues) else 0.2)
    assert again.p_values(rows[:0]).shape == (0,)
    assert clone(fitted).get_params() == fitted.get_params()


def test_benjamini_hochberg_agrees_with_scipy():
    rng = np.random.default_rng(4)
    p = np.concatenate([rng.random(200), rng.random(40) * 0.001])
    for any_dependence, method in ((False, "bh"), (True, "by")):
        expected = false_discovery_control(p, method=method) <= 0.1
        assert np.array_equal(benjamini_hochberg(p, 0.1, any_dependence=any_dependence), expected)
        assert expected.any()
    assert benjamini_hochberg([], 0.1).tolist() == []
    assert benjamini_hochberg([], 0.1, any_dependence=True).tolist() == []
    assert not benjamini_hochberg([0.9, 1.0], 0.1).any()


def test_benjamini_hochberg_controls_false_discoveries_of_conformal_p_values():
    rng, n, m, anomalies, rate = np.random.default_rng(6), 1_000, 300, 60, 0.2
    false = np.empty(REPEATS)
    power = np.empty(REPEATS)
    for place in range(REPEATS):
        new = rng.normal(size=m) + np.where(np.arange(m) < anomalies, 3.0, 0.0)
        flagged = benjamini_hochberg(ConformalPValues().fit(rng.normal(size=n)).p_values(new), rate)
        false[place] = flagged[anomalies:].sum() / max(flagged.sum(), 1)
        power[place] = flagged[:anomalies].mean()
    bound = rate * (m - anomalies) / m
    assert false.mean() < bound + 4 * false.std() / np.sqrt(REPEATS)
    assert false.mean() > bound / 2
    assert power.mean() > 0.5


def test_the_alarm_table_puts_the_real_rate_beside_the_nominal():
    p = np.append(np.arange(1, 1_001) / 1_000, np.full(50, 0.02))
    y = np.arange(1_050) >= 1_000
    table = alarm_table(p, y)
    assert table["nominal"].to_list() == [0.01, 0.05, 0.10]
    assert np.allclose(table["real"], [0.01, 0.05, 0.10])
    assert table["recall"].to_list() == [0.0, 1.0, 1.0]
    assert table["alarms"].to_list() == [10.0, 100.0, 150.0]
    assert table["precision"][1] == 0.5
    assert table["f1"][1] == pytest.approx(2 / 3)
    assert (table["low"][1], table["high"][1]) == pytest.approx((wilson(50, 1_000).low, wilson(50, 1_000).high))
    assert table["normals"].to_list() == [1_000.0] * 3


def test_the_alarm_table_takes_scores_with_a_calibration():
    rng = np.random.default_rng(1)
    calibration, scores, y = rng.normal(size=300), rng.normal(size=400), rng.random(400) < 0.2
    p = ConformalPValues().fit(calibration).p_values(scores)
    assert alarm_table(scores, y, calibration=calibration).equals(alarm_table(p, y))


def test_a_class_that_is_missing_leaves_nulls():
    only_normal = alarm_table([0.5, 0.9, 0.01], [0, 0, 0], rates=[0.05, 0.001])
    assert only_normal["recall"].to_list() == [None, None]
    assert only_normal["precision"].to_list() == [0.0, None]
    assert only_normal["real"].to_list() == [pytest.approx(1 / 3), 0.0]
    only_anomalies = alarm_table([0.5, 0.01], [1, 1], rates=[0.05])
    assert only_anomalies.select("real", "low", "high", "recall").row(0) == (None, None, None, 0.5)


def test_counts_and_importances_differ_in_the_interval_only():
    p, y, weight = np.linspace(0.01, 1, 100), np.zeros(100, dtype=bool), np.full(100, 4)
    rows, counts, importances = (alarm_table(p, y, [0.1], weight=w) for w in (None, weight, weight * 1.0))
    assert rows["real"][0] == counts["real"][0] == importances["real"][0] == 0.1
    widths = [table["high"][0] - table["low"][0] for table in (rows, counts, importances)]
    assert widths[1] < widths[0]
    assert widths[2] == pytest.approx(widths[0])


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: ConformalPValues().fit([]), "found none"),
        (lambda: ConformalPValues().fit([1.0, 2.0], [1, 1]), "found none"),
        (lambda: ConformalPValues().fit([1.0, 2.0], weight=[0, 0]), "found none"),
        (lambda: ConformalPValues().fit([1.0, np.nan]), "NaN"),
        (lambda: ConformalPValues().fit([1.0, 2.0], [0]), "for each of 2 rows, found 1"),
        (lambda: ConformalPValues().fit([1.0]).predict([1.0], 5), "share such as 0.05"),
        (lambda: ConformalCombination("product").fit([[1.0]]), "fisher, min, mean"),
        (lambda: ConformalCombination().fit([1.0, 2.0]), "rows x detectors"),
        (lambda: ConformalCombination().fit([[1.0, np.nan]]), "1 NaN"),
        (lambda: ConformalCombination().fit([[1.0, 2.0]]).p_values([[1.0]]), "2 detectors are needed, found 1"),
        (lambda: combine([[0.0, 0.5]]), "above 0 and at most 1"),
        (lambda: combine([[0.1, 0.5]], "fisher", [[0.5]]), "2 and 1"),
        (lambda: benjamini_hochberg([1.5]), "above 0 and at most 1"),
        (lambda: benjamini_hochberg([0.5], 0), "between 0 and 1"),
        (lambda: alarm_table([3.2], [0]), "calibrate scores first"),
        (lambda: alarm_table([0.2], [0, 1]), "for each of 1 rows, found 2"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(action, message):
    with pytest.raises(DataError, match=message):
        action()


def test_texts_are_no_p_values():
    with pytest.raises(DataError, match="p-values must be a table of numbers, found other values"):
        combine([["a", "b"], ["c", "d"]])
