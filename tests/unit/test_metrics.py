"""Metrics agree with scikit-learn, intervals hold what they promise, and what is not defined is NaN everywhere."""

import dataclasses
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn import metrics as reference

from utils.errors import DataError
from utils.evaluation import counting, estimates, inputs, intervals, metrics, shares
from utils.evaluation.metrics import Estimate

quick = settings(deadline=None, max_examples=60)
DECISION = ("f1", "precision", "recall", "false_alarm_rate", "accuracy", "balanced_accuracy", "mcc")
RANKING = ("average_precision", "roc_auc", "recall_at_far_0.1", "average_precision_at_share_0.05")


@st.composite
def judged(draw, weights="none"):
    """Verdicts, decisions and tied scores of 1 to 60 rows, with weights."""
    size = draw(st.integers(1, 60))
    numbers = np.random.default_rng(draw(st.integers(0, 2**32)))
    y = numbers.random(size) < draw(st.sampled_from([0, 0.1, 0.5, 1]))
    scores = np.round(numbers.normal(size=size) + y, draw(st.integers(0, 2)))
    weight = {
        "none": None,
        "counts": numbers.integers(0, 5, size),
        "importances": np.round(numbers.random(size), 1),
    }[draw(st.sampled_from(["none", "counts", "importances"])) if weights == "any" else weights]
    return y, scores > 0.5, scores, weight


def expected(metric, y, given, weight):
    """The metric by scikit-learn, NaN where it is not defined."""
    anomalies, normals, alarms = (np.average(part, weights=weight) for part in (y, ~y, given > 0))
    w = {"sample_weight": weight}
    if metric == "f1":
        return reference.f1_score(y, given, **w) if anomalies + alarms else np.nan
    if metric == "precision":
        return reference.precision_score(y, given, **w) if alarms else np.nan
    if metric == "recall":
        return reference.recall_score(y, given, **w) if anomalies else np.nan
    if metric == "false_alarm_rate":
        return 1 - reference.recall_score(~y, ~given, **w) if normals else np.nan
    if metric == "accuracy":
        return reference.accuracy_score(y, given, **w)
    if metric == "balanced_accuracy":
        return reference.balanced_accuracy_score(y, given, **w) if anomalies and normals else np.nan
    if metric == "mcc":
        return reference.matthews_corrcoef(y, given, **w) if 0 < anomalies < 1 and 0 < alarms < 1 else np.nan
    if metric == "average_precision":
        return reference.average_precision_score(y, given, **w) if anomalies else np.nan
    if not (anomalies and normals):
        return np.nan
    if metric == "roc_auc":
        return reference.roc_auc_score(y, given, **w)
    if metric == "average_precision_at_share_0.05":
        part = np.where(y, 0.05 / anomalies, 0.95 / normals)
        return reference.average_precision_score(y, given, sample_weight=part if weight is None else part * weight)
    far, recall, _ = reference.roc_curve(y, given, drop_intermediate=False, **w)
    return recall[far <= 0.1 + 1e-9].max()


def by_name(estimates):
    return {estimate.name: estimate for estimate in estimates}


def binomial_bounds(share, trials):
    return 4 * np.sqrt(share * (1 - share) / trials)


class TestAgreement:
    @quick
    @given(judged(weights="any"), st.sampled_from(DECISION))
    def test_metrics_of_decisions(self, case, metric):
        y, alarms, _, weight = case
        if weight is not None and not weight.sum():
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wanted = expected(metric, y, alarms, weight)
        assert getattr(metrics, metric)(y, alarms, weight) == pytest.approx(wanted, abs=1e-9, nan_ok=True)
        assert by_name(metrics.evaluate(y, decisions=alarms, weight=weight, resamples=0))[metric].value == (
            pytest.approx(wanted, abs=1e-9, nan_ok=True)
        )

    @quick
    @given(judged(weights="any"), st.sampled_from(RANKING))
    def test_metrics_of_rankings(self, case, metric):
        y, _, scores, weight = case
        if weight is not None and not weight.sum():
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wanted = expected(metric, y, scores, weight)
        found = metrics.evaluate(y, scores, weight=weight, rates=[0.1], shares=0.05, resamples=0)
        assert by_name(found)[metric].value == pytest.approx(wanted, abs=1e-9, nan_ok=True)
        plain = {
            "average_precision": metrics.average_precision,
            "roc_auc": metrics.roc_auc,
            "recall_at_far_0.1": lambda y, s, w: metrics.recall_at_false_alarm_rate(y, s, 0.1, w),
        }
        if metric in plain:
            assert plain[metric](y, scores, weight) == pytest.approx(wanted, abs=1e-9, nan_ok=True)

    @quick
    @given(judged(weights="counts"))
    def test_a_count_is_as_good_as_so_many_rows(self, case):
        y, alarms, scores, counts = case
        rows = np.repeat(np.arange(y.size), counts)
        counted = metrics.evaluate(y, scores, decisions=alarms, weight=counts, shares=0.1, resamples=0)
        written = metrics.evaluate(y[rows], scores[rows], decisions=alarms[rows], shares=0.1, resamples=0)
        for one, other in zip(counted, written, strict=True):
            assert dataclasses.astuple(one)[:4] == pytest.approx(dataclasses.astuple(other)[:4], nan_ok=True)
            assert (one.n, one.interval) == (other.n, other.interval)

    @quick
    @given(judged())
    def test_confusion(self, case):
        y, alarms, _, _ = case
        tn, fp, fn, tp = reference.confusion_matrix(y, alarms, labels=[False, True]).ravel()
        assert metrics.confusion(y, alarms) == (tp, fp, fn, tn)

    @quick
    @given(judged(weights="importances"))
    def test_brier(self, case):
        y, _, scores, weight = case
        chance = 1 / (1 + np.exp(-scores))
        if weight.sum():
            wanted = reference.brier_score_loss(y, chance, sample_weight=weight, pos_label=True)
            assert metrics.brier(y, chance, weight) == pytest.approx(wanted)
        with pytest.raises(DataError, match=r"probabilities must lie in 0\.\.1, found 1 outside"):
            metrics.brier([True, False], [0.5, 1.5])
        assert np.isnan(metrics.brier([], []))

    def test_infinite_scores_are_scores(self):
        assert metrics.roc_auc([True, False, False], [np.inf, -np.inf, 0.0]) == 1.0
        assert metrics.average_precision([False, True, True], [np.inf, np.inf, 1.0]) == pytest.approx(7 / 12)


class TestNotDefined:
    @pytest.mark.parametrize(
        ("y", "alarms", "undefined"),
        [
            ([0, 0], [0, 1], {"recall", "balanced_accuracy", "mcc"}),
            ([0, 0], [0, 0], {"f1", "precision", "recall", "balanced_accuracy", "mcc"}),
            ([1, 1], [0, 1], {"false_alarm_rate", "balanced_accuracy", "mcc"}),
            ([0, 1], [0, 0], {"precision", "mcc"}),
            ([0, 1], [1, 1], {"mcc"}),
            ([], [], set(DECISION)),
        ],
    )
    def test_nan_in_every_function(self, y, alarms, undefined):
        found = by_name(metrics.evaluate(np.array(y, dtype=int), decisions=np.array(alarms, dtype=int)))
        groups = np.arange(len(y))
        drawn = by_name(metrics.evaluate(np.array(y, dtype=int), decisions=np.array(alarms, dtype=int), groups=groups))
        for metric in DECISION:
            assert np.isnan(getattr(metrics, metric)(np.array(y, int), np.array(alarms, int))) == (metric in undefined)
            for estimate in (found[metric], drawn[metric]):
                assert np.isnan(estimate.value) == (metric in undefined)
                assert estimate.interval.startswith("not defined: ") == (metric in undefined)
                assert np.isnan(estimate.low) == np.isnan(estimate.high) == (metric in undefined)

    @pytest.mark.parametrize(("y", "reason"), [([], "no rows"), ([0, 0], "no anomalies"), ([1, 1], "no normals")])
    def test_rankings_say_why(self, y, reason):
        found = by_name(metrics.evaluate(np.array(y, dtype=bool), np.arange(len(y)) * 1.0))
        assert found["roc_auc"].interval == found["recall_at_far_0.01"].interval == f"not defined: {reason}"
        assert np.isnan(found["average_precision"].value) == (reason != "no normals")

    def test_weights_of_zero(self):
        for zero in ([0, 0], [0.0, 0.0]):
            found = metrics.evaluate([True, False], [1.0, 0.0], threshold=0.5, weight=zero)
            assert all(np.isnan(estimate.value) for estimate in found)

    def test_it_is_shown_in_words(self):
        found = metrics.evaluate([False], decisions=[False])
        assert str(found[1]) == "not defined"
        assert found[1].interval == "not defined: no anomalies"


class TestTopK:
    @quick
    @given(judged(), st.integers(1, 60))
    def test_it_is_the_mean_over_the_orders_of_ties(self, case, k):
        y, _, scores, _ = case
        if k > y.size:
            with pytest.raises(DataError, match="k must be a number of units"):
                metrics.precision_at_k(y, scores, k)
            return
        above, tied = scores > np.sort(scores)[-k], scores == np.sort(scores)[-k]
        wanted = (y[above].sum() + (k - above.sum()) * y[tied].mean()) / k
        assert metrics.precision_at_k(y, scores, k) == pytest.approx(wanted)

    def test_units_are_counted(self):
        assert metrics.precision_at_k([True, False], [2.0, 1.0], 4, weight=[3, 2]) == 0.75

    def test_entities_by_period(self):
        y = [True, False, False, True, False, True]
        scores = [0.1, 0.9, 0.8, 0.7, 0.2, 0.5]
        cards = ["a", "a", "b", "c", "d", "e"]
        days = [1, 1, 1, 2, 2, 2]
        assert metrics.entity_precision_at_k(y, scores, cards, days, 1) == 1.0
        assert metrics.entity_precision_at_k(y, scores, cards, days, 2) == pytest.approx((0.5 + 1) / 2)
        assert metrics.entity_precision_at_k(y, scores, cards, days, 9) == pytest.approx((0.5 + 2 / 3) / 2)
        with pytest.raises(DataError, match="k of at least 1"):
            metrics.entity_precision_at_k(y, scores, cards, days, 0)


class TestInputs:
    @pytest.mark.parametrize("form", [list, tuple, np.array, pl.Series, pd.Series, lambda y: np.array(y, dtype=object)])
    def test_forms(self, form):
        assert metrics.f1(form([True, False, True]), form([True, True, False])) == 0.5
        assert metrics.f1(form([1, 0, 1]), form([1, 1, 0])) == 0.5

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: metrics.f1([True, None], [True, True]), "labels must be known in every row, found 1 of 2 missing"),
            (lambda: metrics.f1([2, 0], [True, True]), r"labels must be true or false \(or 1 and 0\), found 2"),
            (lambda: metrics.f1(["yes", "no"], [True, True]), "labels must be true or false .* found String"),
            (lambda: metrics.f1([[1, 0]], [[True, True]]), "labels must be one value a row, found List"),
            (lambda: metrics.f1([1, 0], [True]), "decisions must be given for each of 2 rows, found 1"),
            (lambda: metrics.roc_auc([1, 0], [0.1]), "scores must be given for each of 2 rows, found 1"),
            (lambda: metrics.roc_auc([1, 0], [0.1, np.nan]), "scores must be numbers, found NaN in 1 of 2 rows"),
            (lambda: metrics.roc_auc([1, 0], ["a", "b"]), "scores must be numbers, found String"),
            (lambda: metrics.f1([1, 0], [1, 0], [1, -1]), "weights must be finite and not negative, found 1 others"),
            (lambda: metrics.f1([1, 0], [1, 0], [1.0, np.inf]), "weights must be finite"),
            (lambda: metrics.f1([1, 0], [1, 0], [1]), "weights must be given for each of 2 rows"),
            (lambda: metrics.recall_at_false_alarm_rate([1, 0], [1, 0], 1.5), "a share or rate must lie in 0..1"),
            (lambda: metrics.evaluate([1, 0]), "needs scores, decisions or both, found neither"),
            (lambda: metrics.evaluate([1, 0], [1, 0], threshold=1, decisions=[1, 0]), "decisions are made already"),
            (lambda: metrics.evaluate([1, 0], [1, 0], threshold="best"), "words need decisions"),
            (lambda: metrics.evaluate([1, 0], threshold=1.0), "a threshold needs scores"),
            (lambda: metrics.evaluate([1, 0], [1, 0], shares={"normal": 1}), "shares by type need anomaly types"),
            (lambda: metrics.evaluate([1, 0], [1, 0], threshold=1, anomaly_type=["a"]), "for each of 2 rows, found 1"),
            (lambda: metrics.bootstrap("f2", [1, 0], [1, 0]), "a metric must be one of f1, .* found 'f2'"),
            (lambda: metrics.bootstrap("recall_at_far_2", [1, 0], [1, 0]), "must be a share between 0 and 1"),
            (lambda: metrics.bootstrap("f1_at_share_0", [1, 0], [1, 0]), "must be a share between 0 and 1"),
            (lambda: counting.ranking_formula("f1"), "computed from decisions, not scores"),
            (lambda: counting.decision_formula("roc_auc"), "computed from scores, not decisions"),
            (lambda: metrics.bootstrap("f1", [1, 0], [1, 0], resamples=-1), "needs units and resamples"),
            (lambda: metrics.bootstrap("f1", [1, 0], [1, 0], level=95), "level must lie between 0 and 1, found 95"),
        ],
    )
    def test_errors_say_what_is_wrong(self, call, message):
        with pytest.raises(DataError, match=message):
            call()

    @pytest.mark.parametrize(
        "mixed",
        [[1, 2, 3.5], (1, np.float64(2), 3.5), [np.int64(1), 2, 3.5], np.array([True, 2, 3.5], dtype=object)],
    )
    def test_numbers_of_several_types(self, mixed):
        assert inputs.as_scores(mixed).tolist() == [1.0, 2.0, 3.5]
        assert inputs.as_labels([1, 0.0, True]).tolist() == [True, False, True]

    @pytest.mark.parametrize("mixed", [[1, "a"], [1, [2]], [1, None, 2.5], [object(), 1]])
    def test_other_mixtures_are_refused(self, mixed):
        with pytest.raises(DataError, match="scores must be"):
            inputs.as_scores(mixed)


class TestEvaluate:
    rng = np.random.default_rng(1)
    y = rng.random(1_000) < 0.1
    scores = rng.normal(size=1_000) + 2 * y
    kinds = np.where(y, rng.choice(["dos", "scan"], 1_000), "normal")

    def test_what_each_number_is_about(self):
        found = by_name(metrics.evaluate(self.y, self.scores, threshold=1.5, unit="session"))
        alarms = self.scores >= 1.5
        assert found["recall"].n == self.y.sum()
        assert found["precision"].n == alarms.sum()
        assert found["false_alarm_rate"].n == (~self.y).sum()
        assert found["f1"].n == found["roc_auc"].n == 1_000
        assert {estimate.unit for estimate in found.values()} == {"session"}
        assert found["f1"].threshold == "fixed at 1.5"
        assert found["roc_auc"].threshold is None
        assert found["roc_auc"].interval == "Bayesian bootstrap 95 %, 1,000 draws"
        assert all(e.low <= e.value <= e.high and e.low < e.high for e in found.values())

    def test_a_fitted_threshold_decides_and_speaks(self):
        class Fitted:
            def predict(self, scores):
                return scores > 1

            def describe(self):
                return "best F1 on 300 scores"

        found = by_name(metrics.evaluate(self.y, self.scores, threshold=Fitted()))
        given = metrics.evaluate(self.y, decisions=self.scores > 1, threshold="best F1 on 300 scores")
        assert found["f1"] == by_name(given)["f1"]
        assert metrics.evaluate(self.y, decisions=self.y)[0].threshold == "decisions as given"

    @pytest.mark.parametrize("number", [1, 1.0, np.float32(1), np.int64(1)])
    def test_a_number_decides(self, number):
        found = metrics.evaluate(self.y, self.scores, threshold=number)
        assert (found[0].value, found[0].threshold) == (metrics.f1(self.y, self.scores >= 1), "fixed at 1")

    def test_deterministic_by_seed(self):
        first, again = (metrics.evaluate(self.y, self.scores, threshold=1.0, seed=3) for _ in range(2))
        other = metrics.evaluate(self.y, self.scores, threshold=1.0, seed=4)
        assert first == again
        assert by_name(first)["roc_auc"].low != by_name(other)["roc_auc"].low

    def test_types_by_their_verdicts(self):
        kinds = pl.Series([*self.kinds]).to_list()
        anomalies = np.flatnonzero(self.y)
        kinds[anomalies[0]], kinds[np.flatnonzero(~self.y)[0]] = None, "odd normal"
        found = by_name(metrics.evaluate(self.y, self.scores, threshold=1.0, anomaly_type=kinds))
        named = [name for name in found if name.startswith("recall/")]
        assert named == ["recall/dos", "recall/scan", "recall/unnamed"]
        assert sum(found[name].n for name in named) == self.y.sum()
        dos = self.y & (np.array(kinds) == "dos")
        assert found["recall/dos"].value == pytest.approx((self.scores[dos] >= 1.0).mean())

    def test_a_stated_share(self):
        found = by_name(metrics.evaluate(self.y, self.scores, threshold=1.0, shares=[0.01, 0.5]))
        recall, far = found["recall"].value, found["false_alarm_rate"].value
        precision = 0.01 * recall / (0.01 * recall + 0.99 * far)
        assert found["precision_at_share_0.01"].value == pytest.approx(precision)
        assert found["f1_at_share_0.01"].value == pytest.approx(2 * precision * recall / (precision + recall))
        weight = metrics.reweight(self.y, 0.01)
        assert metrics.precision(self.y, self.scores >= 1.0, weight) == pytest.approx(precision)
        ap = metrics.average_precision(self.y, self.scores, weight)
        assert found["average_precision_at_share_0.01"].value == pytest.approx(ap)
        assert found["precision_at_share_0.5"].value > found["precision_at_share_0.01"].value

    @pytest.mark.parametrize("groups", [False, True])
    def test_shares_of_types(self, groups):
        stated = {"normal": 0.97, "dos": 0.02, "scan": 0.01}
        groups = np.arange(1_000) // 4 if groups else None
        found = by_name(
            metrics.evaluate(self.y, self.scores, threshold=1.0, anomaly_type=self.kinds, shares=stated, groups=groups)
        )
        weight = metrics.reweight(self.kinds, stated)
        for metric in ("f1", "precision", "recall", "accuracy"):
            estimate = found[f"{metric}_at_stated_shares"]
            assert estimate.value == pytest.approx(getattr(metrics, metric)(self.y, self.scores >= 1.0, weight))
            assert estimate.low < estimate.value < estimate.high
            assert estimate.interval.startswith("bootstrap" if groups is not None else "Jeffreys")

    def test_no_false_alarm_is_no_promise(self):
        y, alarms = np.arange(540) < 40, np.arange(540) < 36
        found = by_name(metrics.evaluate(y, decisions=alarms, shares=0.001))
        assert found["precision_at_share_0.001"].value == 1.0
        assert found["precision_at_share_0.001"].low < 0.4
        assert found["false_alarm_rate"].high > 0.005
        assert found["f1"].high < 1.0
        assert found["mcc"].low < found["mcc"].value

    def test_a_perfect_ranking_of_few_anomalies_is_not_sure(self):
        y = np.arange(300) < 8
        found = metrics.evaluate(y, -np.arange(300.0), shares=0.01)
        assert all(estimate.value == estimate.high == 1.0 for estimate in found)
        assert all(0.3 < estimate.low < 0.98 for estimate in found)
        kept = metrics.evaluate(y, -np.arange(300.0), stratified=True)[0]
        assert kept.interval == ("bootstrap 95 %, 1,000 resamples, stratified, all equal, so they show no spread")

    def test_groups_widen_what_copies_narrow(self):
        copies = np.repeat(np.arange(1_000), 5)
        plain = by_name(metrics.evaluate(self.y[copies], self.scores[copies], threshold=1.0))
        honest = by_name(metrics.evaluate(self.y[copies], self.scores[copies], threshold=1.0, groups=copies))
        once = by_name(metrics.evaluate(self.y, self.scores, threshold=1.0))
        for name in ("f1", "recall", "average_precision", "roc_auc"):
            width = {
                key: found[name].high - found[name].low
                for key, found in (("plain", plain), ("honest", honest), ("once", once))
            }
            assert width["honest"] == pytest.approx(width["once"], rel=0.2)
            assert width["plain"] < 0.6 * width["honest"]
        assert honest["f1"].interval == "bootstrap 95 %, 1,000 resamples of groups"
        assert honest["f1"].value == once["f1"].value

    def test_importances_do_not_multiply_the_evidence(self):
        tenfold = by_name(metrics.evaluate(self.y, self.scores, threshold=1.0, weight=np.full(1_000, 10.0)))
        once = by_name(metrics.evaluate(self.y, self.scores, threshold=1.0))
        counted = by_name(metrics.evaluate(self.y, self.scores, threshold=1.0, weight=np.full(1_000, 10)))
        for name in ("f1", "recall", "roc_auc"):
            assert tenfold[name].n == once[name].n
            assert counted[name].n == 10 * once[name].n
            assert tenfold[name].high - tenfold[name].low == pytest.approx(once[name].high - once[name].low, rel=0.15)
            assert counted[name].high - counted[name].low < 0.4 * (once[name].high - once[name].low)

    def test_no_resamples_no_interval(self):
        found = by_name(metrics.evaluate(self.y, self.scores, threshold=1.0, resamples=0))
        assert np.isnan(found["roc_auc"].low)
        assert found["roc_auc"].interval == "no interval asked for"
        assert str(found["roc_auc"]) == f"{found['roc_auc'].value:.3f}"

    def test_table(self):
        found = metrics.evaluate(self.y, self.scores, threshold=1.0, unit="session")
        table = metrics.table(found)
        columns = ["metric", "estimate", "value", "low", "high", "unit", "n", "threshold", "interval"]
        assert table.columns == columns
        assert (
            table["estimate"][0] == str(found[0]) == f"{found[0].value:.3f} [{found[0].low:.3f}, {found[0].high:.3f}]"
        )
        assert table["value"].to_list() == [estimate.value for estimate in found]
        several = metrics.table({"rule": found, "forest": found[:2]}, of="detector")
        assert several["detector"].to_list() == ["rule"] * len(found) + ["forest"] * 2
        assert metrics.table([]).columns == columns


class TestPerType:
    def test_recall_of_each_type_with_wilson(self):
        kinds = ["normal", "dos", "dos", "dos", "dos", "sql"]
        dos, sql = metrics.per_type(kinds, [True, True, True, True, False, True], unit="flow", threshold="t")
        assert (dos.name, dos.value, dos.n, dos.unit, dos.threshold) == ("recall/dos", 0.75, 4, "flow", "t")
        low, high = 0.3006, 0.9544
        assert (dos.low, dos.high) == pytest.approx((low, high), abs=1e-4)
        assert (sql.value, sql.high) == (1.0, 1.0)
        assert sql.low == pytest.approx(0.2065, abs=1e-4)

    def test_weights(self):
        kinds, alarms = ["a"] * 20, np.arange(20) < 15
        counted = metrics.per_type(kinds, alarms, weight=[10] * 20)[0]
        assert (counted.n, counted.value) == (200, 0.75)
        assert counted.low == pytest.approx(intervals.wilson(150, 200).low)
        weighed = metrics.per_type(kinds, alarms, weight=[10.0] * 20)[0]
        assert (weighed.n, weighed.low) == (20, pytest.approx(intervals.wilson(15, 20).low))

    def test_groups(self):
        kinds, groups = np.repeat(["a", "b", "normal"], 40), np.arange(120) // 20
        found = metrics.per_type(kinds, groups % 2 == 0, groups=groups)
        assert [estimate.value for estimate in found] == [0.5, 0.5]
        assert (found[0].low, found[0].high) == (0, 1)
        assert "of groups" in found[0].interval

    def test_none_is_fine_and_missing_types_are_not(self):
        assert metrics.per_type(["normal"] * 3, [True] * 3) == []
        assert metrics.per_type([], []) == []
        with pytest.raises(DataError, match="anomaly types must be known in every row"):
            metrics.per_type(["a", None], [True, True])


class TestShares:
    def test_reweight_brings_classes_to_their_shares(self):
        kinds, counts = np.repeat(["a", "b", "normal"], [10, 30, 60]), np.arange(100) % 3 + 1
        weight = metrics.reweight(kinds, {"a": 0.1, "b": 0.2, "normal": 0.7}, counts)
        sums = [weight[kinds == name].sum() / weight.sum() for name in ("a", "b", "normal")]
        assert sums == pytest.approx([0.1, 0.2, 0.7])
        assert weight.sum() == pytest.approx(counts.sum())
        assert metrics.reweight([True, False, False], 0.5).tolist() == pytest.approx([1.5, 0.75, 0.75])

    @pytest.mark.parametrize(
        ("stated", "message"),
        [
            ({"a": 0.5}, "shares and classes must be the same, found no match for 'normal'"),
            ({"a": 0.5, "normal": 0.4, "z": 0.1}, "found no match for 'z'"),
            ({"a": 0.5, "normal": 0.4}, "shares must sum to 1, found 0.9"),
            ({"a": -0.5, "normal": 1.5}, "must lie in 0..1"),
        ],
    )
    def test_shares_fit_the_classes(self, stated, message):
        with pytest.raises(DataError, match=message):
            metrics.at_stated_shares(["a", "normal"], [True, False], stated)

    def test_a_share_of_zero_leaves_a_type_out(self):
        found = metrics.at_stated_shares(["a", "b", "normal"], [1, 0, 0], {"a": 0.5, "b": 0, "normal": 0.5})
        assert [estimate.value for estimate in found] == [1.0, 1.0, 1.0, 1.0]
        assert shares.as_share(0) == 0.0

    def test_nothing_is_drawn_unless_asked(self):
        kinds, stated = ["a", "normal"] * 5, {"a": 0.1, "normal": 0.9}
        found = metrics.at_stated_shares(kinds, [1, 0] * 5, stated, groups=range(10), resamples=0)
        assert found[0].value == 1.0
        assert found[0].interval == "no interval asked for"

    def test_weights_of_zero(self):
        found = metrics.at_stated_shares(["a", "normal"], [1, 0], {"a": 0.5, "normal": 0.5}, weight=[0.0, 0.0])
        assert all(np.isnan(estimate.value) for estimate in found)


class TestAggregate:
    def test_windows_to_sessions(self):
        frame = metrics.aggregate([1.0, 5.0, 2.0], ["s2", "s1", "s2"], y=[True, False, False])
        assert frame.columns == ["unit", "score", "rows", "is_anomaly"]
        assert frame.rows() == [("s2", 2.0, 2, True), ("s1", 5.0, 1, False)]
        assert metrics.aggregate([1.0, 3.0], [7, 7], "mean")["score"].to_list() == [2.0]
        assert metrics.aggregate([1.0, 3.0], [7, 7], "sum")["score"].to_list() == [4.0]
        assert metrics.aggregate([], []).height == 0

    def test_errors(self):
        with pytest.raises(DataError, match="scores can be put together by max, mean, sum, found 'median'"):
            metrics.aggregate([1.0], [1], "median")
        with pytest.raises(DataError, match="each row must name its unit, found 1"):
            metrics.aggregate([1.0, 2.0], ["a", None])


class TestDummy:
    @pytest.mark.parametrize(("anomalies", "normals"), [(3, 17), (40, 10), (1, 1), (5, 0)])
    def test_expectations_are_those_of_many_draws(self, anomalies, normals):
        rng, draws = np.random.default_rng(0), 20_000
        y = np.arange(anomalies + normals) < anomalies
        share = anomalies / y.size
        coins = rng.random((draws, y.size)) < share
        cell = np.stack([(coins & y).sum(1), (coins & ~y).sum(1), (~coins & y).sum(1), (~coins & ~y).sum(1)], axis=-1)
        coin = metrics.dummy(y).row(2, named=True)
        for metric in ("f1", "recall", "false_alarm_rate", "accuracy", "mcc"):
            drawn = counting.decision_formula(metric)(cell.astype(float))
            if np.isnan(coin[metric]):
                assert np.isnan(drawn).all()
                continue
            error = np.nanstd(drawn) / np.sqrt(draws)
            assert abs(np.nanmean(drawn) - coin[metric]) <= 5 * error + 1e-12
        orders = rng.permuted(np.tile(y, (draws, 1)), axis=1).astype(float)
        found = np.cumsum(orders, axis=1)
        ap = (orders * found / np.arange(1, y.size + 1)).sum(1) / anomalies
        assert abs(ap.mean() - coin["average_precision"]) <= 5 * ap.std() / np.sqrt(draws) + 1e-12

    def test_always_and_never(self):
        always, never, coin = metrics.dummy([True, False, False, False]).rows(named=True)
        assert [line["baseline"] for line in (always, never, coin)] == ["always", "never", "coin"]
        assert (always["f1"], always["recall"], always["average_precision"]) == (0.4, 1.0, 0.25)
        assert (never["f1"], never["false_alarm_rate"], np.isnan(never["precision"])) == (0.0, 0.0, True)

    def test_counts_and_importances(self):
        y = np.array([True, False])
        assert metrics.dummy(y, [10, 90]).equals(metrics.dummy(np.arange(100) < 10))
        endless = metrics.dummy(y, [0.1, 0.9]).row(2, named=True)
        assert (endless["f1"], endless["average_precision"]) == pytest.approx((0.1, 0.1))
        large = metrics.dummy(y, [57_000, 513_000]).row(2, named=True)
        assert large["f1"] == pytest.approx(0.1, abs=1e-4)

    def test_without_anomalies(self):
        for y in ([False, False], []):
            coin = metrics.dummy(np.array(y, dtype=bool)).row(2, named=True)
            assert np.isnan(coin["f1"])
            assert np.isnan(coin["average_precision"])


class TestBootstrap:
    rng = np.random.default_rng(3)
    y = rng.random(200) < 0.3
    scores = np.round(rng.normal(size=200) + y, 1)

    @pytest.mark.parametrize("stratified", [False, True])
    @pytest.mark.parametrize("metric", ["f1", "mcc", "average_precision", "roc_auc", "recall_at_far_0.1"])
    def test_draws_are_those_of_resampled_rows(self, metric, stratified):
        rng, draws = np.random.default_rng(0), 1_500
        ranking = counting.is_ranking(metric)
        values = self.scores if ranking else self.scores > 0.5
        sides = [np.flatnonzero(self.y), np.flatnonzero(~self.y)] if stratified else [np.arange(200)]
        slow = np.empty(draws)
        for k in range(draws):
            rows = np.concatenate([rng.choice(side, side.size) for side in sides])
            if ranking:
                slow[k] = counting.ranking_formula(metric)(
                    counting.ranking(counting.sample(self.y[rows]), values[rows])[0]
                )
            else:
                slow[k] = getattr(metrics, metric)(self.y[rows], values[rows])
        fast = metrics.bootstrap(metric, self.y, values, stratified=stratified, resamples=4_000)
        spread = slow.std()
        assert (fast.low, fast.high) == pytest.approx(np.quantile(slow, [0.025, 0.975]), abs=0.35 * spread)
        assert (", stratified" in fast.interval) == stratified

    @pytest.mark.parametrize("metric", ["f1", "roc_auc"])
    def test_weights_groups_and_rows_agree(self, metric):
        values = self.scores if metric == "roc_auc" else self.scores > 0.5
        alone = np.arange(200)
        ones = (
            {"weight": np.ones(200)},
            {"weight": np.ones(200, int)},
            {"groups": alone},
            {"groups": alone, **{"weight": np.ones(200)}},
        )
        plain = metrics.bootstrap(metric, self.y, values, resamples=4_000)
        for case in ones:
            found = metrics.bootstrap(metric, self.y, values, resamples=4_000, **case)
            assert found.value == pytest.approx(plain.value)
            assert (found.low, found.high) == pytest.approx((plain.low, plain.high), abs=0.012)

    @pytest.mark.parametrize("metric", ["f1", "average_precision"])
    def test_stratified_groups_keep_their_kinds(self, metric):
        groups = np.arange(200) // 2
        values = self.scores if metric == "average_precision" else self.scores > 0.5
        found = metrics.bootstrap(metric, self.y, values, groups=groups, stratified=True)
        assert found.low < found.value < found.high
        assert found.interval.endswith("resamples of groups, stratified")

    def test_importances_that_differ_from_row_to_row(self):
        weight = self.rng.random(200)
        for metric, values in (("f1", self.scores > 0.5), ("roc_auc", self.scores)):
            found = metrics.bootstrap(metric, self.y, values, weight=weight)
            assert found.low < found.value < found.high

    def test_draws_without_a_value_are_told(self):
        found = metrics.bootstrap("recall", np.arange(50) == 0, np.arange(50) == 0)
        assert ", all equal" in found.interval
        assert " without a value" in found.interval
        assert 330 < int(found.interval.split("resamples, ")[1].split()[0]) < 400

    def test_many_kinds_overflow_no_key(self, monkeypatch):
        rows = counting.sample(self.y, weight=self.rng.random(200))
        units, _ = counting.ranking_units(rows, self.scores, -self.scores)
        monkeypatch.setattr(counting, "LARGEST_KEY", 1_000)
        squeezed, _ = counting.ranking_units(rows, self.scores, -self.scores)
        assert np.array_equal(units.counts, squeezed.counts)

    def test_resample_draws_what_is_there(self):
        for counts in ([3, 0, 2], [500, 0, 1_000], [1, 1, 1]):
            counts = np.array(counts)
            drawn = np.concatenate(list(intervals.resample(counts, 3_000, 7)))
            assert drawn.shape == (3_000, 3)
            assert (drawn.sum(axis=1) == counts.sum()).all()
            assert drawn.mean(axis=0) == pytest.approx(counts, abs=5 * np.sqrt(counts.max() / 3_000))
        kept = np.concatenate(list(intervals.resample(np.array([3, 4, 5]), 50, 7, np.array([0, 1, 0]))))
        assert (kept[:, 1] == 4).all()
        assert not next(intervals.resample(np.array([3, 0]), 5, 7, np.array([0, 1])))[:, 1].any()


class TestOverSplits:
    def test_mean_and_corrected_interval(self):
        values = [0.9, 0.8, 0.85, 0.95]
        found = metrics.mean_over_splits("f1", values, 0.2, "row", 50)
        half = 3.1824463 * np.sqrt((1 / 4 + 0.25) * np.var(values, ddof=1))
        assert (found.value, found.low) == pytest.approx((0.875, 0.875 - half))
        assert found.high == pytest.approx(min(1.0, 0.875 + half))
        assert found.interval == ("4 repeated splits, mean and corrected t 95 %; sd 0.0645, min 0.8000, max 0.9500")

    def test_bounds(self):
        low = metrics.mean_over_splits("mcc", [-0.9, 0.9], 0.5, "row", 5).low
        assert (low, metrics.mean_over_splits("f1", [0.1, 0.9], 0.5, "row", 5).low) == (-1.0, 0.0)

    def test_one_split_and_none(self):
        one = metrics.mean_over_splits("f1", [0.7, np.nan], 0.2, "row", 5)
        assert (one.value, np.isnan(one.low), one.interval) == (0.7, True, "1 split, no interval")
        none = metrics.mean_over_splits("f1", [np.nan], 0.2, "row", 5)
        assert (str(none), none.interval) == ("not defined", "1 splits, no value")
        some = metrics.mean_over_splits("f1", [0.7, 0.8, np.nan], 0.2, "row", 5)
        assert some.interval.endswith("1 without a value")
        sure = metrics.mean_over_splits("f1", [1.0, 1.0], 0.2, "row", 5)
        assert (sure.low, sure.interval.endswith("all equal, so they show no spread")) == (1.0, True)
        with pytest.raises(DataError, match="the test share must lie between 0 and 1"):
            metrics.mean_over_splits("f1", [0.7, 0.8], 1.0, "row", 5)

    def test_runs_are_put_together_by_name(self):
        def run(f1, threshold, *more):
            return [Estimate("f1", f1, np.nan, np.nan, "row", 10, threshold), *more]

        extra = Estimate("recall/sql", 0.5, 0.1, 0.9, "row", 4)
        f1, sql = metrics.over_splits([run(0.8, "a", extra), run(0.9, "b")], 0.2)
        assert (f1.value, f1.n, f1.threshold) == (pytest.approx(0.85), 10, "chosen anew for each split")
        assert (sql.name, sql.value, sql.threshold) == ("recall/sql", 0.5, None)
        assert metrics.over_splits([], 0.2) == []


class TestCoverage:
    """Nominal 95 % intervals hold the truth about 95 % of the time, within sampling error."""

    @pytest.fixture(autouse=True)
    def _fewer_draws(self, monkeypatch):
        monkeypatch.setattr(estimates, "PRIOR_DRAWS", 1_000)

    def test_f1_recall_and_precision_from_the_cells(self):
        rng, repeats = np.random.default_rng(11), 800
        chances = np.array([0.04, 0.01, 0.02, 0.93])
        truth = {name: float(counting.decision_formula(name)(chances)) for name in DECISION}
        codes = np.arange(4)
        y, alarms = codes % 2 == 0, codes < 2
        held = dict.fromkeys(DECISION, 0)
        for k in range(repeats):
            found = metrics.evaluate(y, decisions=alarms, weight=rng.multinomial(400, chances), seed=k)
            for estimate in found:
                held[estimate.name] += estimate.low <= truth[estimate.name] <= estimate.high
        for name, hits in held.items():
            assert 0.93 - binomial_bounds(0.95, repeats) < hits / repeats < 0.975 + binomial_bounds(0.95, repeats), name

    def test_precision_at_a_share_when_false_alarms_are_rare(self):
        rng, repeats = np.random.default_rng(12), 400
        recall, far, share = 0.8, 0.004, 0.01
        truth = share * recall / (share * recall + (1 - share) * far)
        held = 0
        for k in range(repeats):
            hits, false = rng.binomial(60, recall), rng.binomial(500, far)
            cells = [hits, false, 60 - hits, 500 - false]
            found = by_name(metrics.evaluate([1, 0, 1, 0], decisions=[1, 1, 0, 0], weight=cells, shares=share, seed=k))[
                "precision_at_share_0.01"
            ]
            held += found.low <= truth <= found.high
        assert 0.92 < held / repeats < 0.995

    @pytest.mark.parametrize("missed", [0.0, 0.1])
    def test_rankings_with_few_anomalies(self, missed):
        rng, repeats, size = np.random.default_rng(18), 250, 250
        names = ("average_precision", "roc_auc", "recall_at_far_0.01")

        def draw(rows):
            y = rng.random(rows) < 0.1
            return y, np.where(y & (rng.random(rows) < missed), -4, rng.normal(size=rows) + 2.5 * y)

        truth = by_name(metrics.evaluate(*draw(400_000), resamples=0))
        held = dict.fromkeys(names, 0)
        for k in range(repeats):
            for one in metrics.evaluate(*draw(size), resamples=300, seed=k):
                held[one.name] += one.low <= truth[one.name].value <= one.high
        for name, hits in held.items():
            assert hits / repeats > 0.95 - binomial_bounds(0.95, repeats), name

    @pytest.mark.parametrize("metric", ["roc_auc", "f1"])
    def test_bootstrap(self, metric):
        rng, repeats = np.random.default_rng(13), 200
        tp, fp = 0.2 * norm.sf(1.1 - 1.5), 0.8 * norm.sf(1.1)
        truth = {"roc_auc": norm.cdf(1.5 / np.sqrt(2)), "f1": 2 * tp / (tp + fp + 0.2)}[metric]
        held = 0
        for k in range(repeats):
            y = rng.random(300) < 0.2
            scores = rng.normal(size=300) + 1.5 * y
            values = scores if metric == "roc_auc" else scores > 1.1
            found = metrics.bootstrap(metric, y, values, resamples=300, seed=k)
            held += found.low <= truth <= found.high
        assert 0.94 - binomial_bounds(0.95, repeats) < held / repeats < 0.95 + binomial_bounds(0.95, repeats)

    def test_groups_need_the_group_bootstrap(self):
        rng, repeats, truth = np.random.default_rng(14), 200, 0.7
        held = {"groups": 0, "rows": 0}
        groups = np.repeat(np.arange(60), 8)
        for k in range(repeats):
            luck = rng.beta(1.4, 0.6, 60)
            alarms = rng.random(480) < luck[groups]
            y = np.ones(480, dtype=bool)
            for name, given_groups in (("groups", groups), ("rows", None)):
                found = metrics.bootstrap("recall", y, alarms, groups=given_groups, resamples=300, seed=k)
                held[name] += found.low <= truth <= found.high
        assert 0.93 - binomial_bounds(0.95, repeats) < held["groups"] / repeats <= 0.99
        assert held["rows"] / repeats < 0.8

    def test_overlapping_splits_need_the_correction(self):
        rng, repeats, size = np.random.default_rng(15), 400, 100
        truth_rng = np.random.default_rng(16)
        trained = truth_rng.normal(size=(40_000, 1)) / np.sqrt(80)
        truth = (np.abs(truth_rng.normal(size=(40_000, 5)) - trained) < 1).mean()
        held = {"corrected": 0, "naive": 0}
        for _ in range(repeats):
            values = rng.normal(size=size)
            order = np.argsort(rng.random((10, size)), axis=1)
            centre = values[order[:, 20:]].mean(axis=1, keepdims=True)
            scores = (np.abs(values[order[:, :20]] - centre) < 1).mean(axis=1)
            found = intervals.repeats(scores, 0.2)
            half = 2.262 * scores.std(ddof=1) / np.sqrt(10)
            held["corrected"] += found.interval.low <= truth <= found.interval.high
            held["naive"] += abs(scores.mean() - truth) <= half
        assert held["corrected"] / repeats > 0.93
        assert held["naive"] / repeats < 0.85

    def test_wilson_holds_at_the_edge(self):
        rng, repeats = np.random.default_rng(17), 1_500
        for share, trials in ((0.98, 60), (0.5, 12), (0.9, 25)):
            hits = rng.binomial(trials, share, repeats)
            found = [intervals.wilson(hit, trials) for hit in hits]
            held = np.mean([one.low <= share <= one.high for one in found])
            assert 0.915 < held < 0.99

    def test_wilson_is_the_score_interval(self):
        found = intervals.wilson(15, 20)
        for limit in (found.low, found.high):
            assert abs(0.75 - limit) / np.sqrt(limit * (1 - limit) / 20) == pytest.approx(1.959964, abs=1e-5)
        assert np.isnan(intervals.wilson(0, 0).low)
        assert (intervals.wilson(0, 9).low, intervals.wilson(9, 9).high) == (0.0, 1.0)
        assert intervals.effective_size(np.array([1.0, 1.0, 2.0])) == pytest.approx(16 / 6)
        assert intervals.effective_size(np.zeros(2)) == 0.0


def test_what_would_give_wrong_numbers_in_silence_is_refused():
    with pytest.raises(DataError, match="a threshold must be a number, found NaN"):
        metrics.evaluate([True, False], [0.2, 0.1], threshold=float("nan"))
    with pytest.raises(DataError, match="a class with a share must have weight, found none in 'a'"):
        metrics.reweight(["a", "normal"], {"a": 0.5, "normal": 0.5}, [0, 1])
    assert metrics.reweight(["a", "normal"], {"a": 0.0, "normal": 1.0}, [0, 1]).tolist() == [0, 1]
