"""Paired comparisons: right tests, honest intervals, plain verdicts."""

from itertools import product

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from utils.errors import DataError
from utils.evaluation import comparison, metrics

quick = settings(deadline=None, max_examples=40)
halves = st.integers(-6, 6).map(lambda number: number / 2)


def two_models(rng, rows=400, noise=0.5):
    y = rng.random(rows) < 0.3
    first = rng.normal(size=rows) + 1.5 * y
    return y, first, first + noise * rng.normal(size=rows)


class TestMcNemar:
    @quick
    @given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=60))
    def test_exact_p_value_and_difference(self, rows):
        y, a, b = (np.array(column) for column in zip(*rows, strict=True))
        found = comparison.mcnemar(y, a, b)
        only_a, only_b = ((a == y) & (b != y)).sum(), ((b == y) & (a != y)).sum()
        assert found.difference == pytest.approx(metrics.accuracy(y, a) - metrics.accuracy(y, b))
        told = only_a + only_b
        wanted = min(1.0, 2 * stats.binom.cdf(min(only_a, only_b), told, 0.5)) if told else 1.0
        assert found.p_value == pytest.approx(wanted)
        assert found.low <= found.difference <= found.high or y.size < 5

    def test_counts_stand_for_rows(self):
        y, a, b = [True, True, False, False], [True, False, False, True], [False, True, False, False]
        counts = [30, 10, 100, 5]
        rows = np.repeat(np.arange(4), counts)
        written = comparison.mcnemar(np.array(y)[rows], np.array(a)[rows], np.array(b)[rows])
        assert comparison.mcnemar(y, a, b, weight=counts) == written
        assert "45 of 145 units" in written.verdict or "better" in written.verdict

    def test_verdicts(self):
        y = np.ones(200, dtype=bool)
        good, poor = np.arange(200) < 190, np.arange(200) < 150
        better = comparison.mcnemar(y, poor, good, names=("rule", "forest"))
        assert better.verdict.startswith("forest is better by 0.200 [0.14")
        assert better.difference == -0.2
        assert str(better) == better.verdict
        alike = comparison.mcnemar(y, good, good)
        assert (alike.p_value, alike.difference) == (1.0, 0.0)
        assert alike.verdict.startswith("no difference shown: interval [")
        assert alike.verdict.endswith("of accuracy holds 0; they differ in accuracy on 0 of 200 units")

    def test_the_interval_alone_is_not_enough(self):
        y = np.ones(12, dtype=bool)
        found = comparison.mcnemar(y, y, np.arange(12) >= 5)
        assert found.p_value == pytest.approx(0.0625)
        assert found.low > 0
        assert found.verdict.startswith("no difference shown: p = 0.062 for accuracy; they differ")

    def test_interval_covers(self):
        rng, repeats, held = np.random.default_rng(5), 1_500, 0
        chances = np.array([0.08, 0.03, 0.89])
        y = np.ones(3, dtype=bool)
        for _ in range(repeats):
            counts = rng.multinomial(150, chances)
            found = comparison.mcnemar(y, [True, False, True], [False, True, True], weight=counts)
            held += found.low <= 0.05 <= found.high
        assert 0.93 < held / repeats < 0.975

    def test_errors(self):
        with pytest.raises(DataError, match="found weights that are no whole numbers: use paired_bootstrap"):
            comparison.mcnemar([True], [True], [True], weight=[0.5])
        with pytest.raises(DataError, match="a comparison needs rows, found none"):
            comparison.mcnemar([], [], [])
        with pytest.raises(DataError, match="decisions must be given for each of 2 rows, found 1"):
            comparison.mcnemar([True, False], [True, False], [True])


class TestPairedBootstrap:
    @pytest.mark.parametrize("metric", ["f1", "mcc", "roc_auc", "average_precision", "recall_at_far_0.05"])
    def test_both_are_computed_on_the_same_rows(self, metric):
        rng, draws = np.random.default_rng(1), 1_200
        y, first, second = two_models(rng, 250)
        ranking = metric not in ("f1", "mcc")
        a, b = (first, second) if ranking else (first > 1, second > 1)
        whole, slow = None, np.empty(draws)
        plain = {
            "roc_auc": metrics.roc_auc,
            "average_precision": metrics.average_precision,
            "recall_at_far_0.05": lambda y, s: metrics.recall_at_false_alarm_rate(y, s, 0.05),
        }.get(metric) or getattr(metrics, metric)
        whole = plain(y, a) - plain(y, b)
        for k in range(draws):
            rows = rng.integers(0, 250, 250)
            slow[k] = plain(y[rows], a[rows]) - plain(y[rows], b[rows])
        fast = comparison.paired_bootstrap(metric, y, a, b, resamples=4_000)
        assert fast.difference == pytest.approx(whole)
        assert (fast.low, fast.high) == pytest.approx(np.quantile(slow, [0.025, 0.975]), abs=0.35 * slow.std())

    @pytest.mark.parametrize("metric", ["f1", "roc_auc"])
    @pytest.mark.parametrize("extra", ["counts", "importances", "groups", "stratified"])
    def test_weights_and_groups_of_one_change_nothing_but_chance(self, metric, extra):
        y, first, second = two_models(np.random.default_rng(2))
        a, b = (first, second) if metric == "roc_auc" else (first > 1, second > 1)
        more = {
            "counts": {"weight": np.ones(400, dtype=int)},
            "importances": {"weight": np.ones(400)},
            "groups": {"groups": np.arange(400)},
            "stratified": {"stratified": True},
        }[extra]
        plain = comparison.paired_bootstrap(metric, y, a, b, resamples=3_000)
        found = comparison.paired_bootstrap(metric, y, a, b, resamples=3_000, **more)
        assert found.difference == pytest.approx(plain.difference)
        assert (found.low, found.high) == pytest.approx((plain.low, plain.high), abs=0.01)

    def test_copies_are_no_evidence(self):
        y, first, second = two_models(np.random.default_rng(3))
        copies = np.repeat(np.arange(400), 10)
        once = comparison.paired_bootstrap("f1", y, first > 1, second > 1)
        many = comparison.paired_bootstrap("f1", y[copies], first[copies] > 1, second[copies] > 1)
        honest = comparison.paired_bootstrap("f1", y[copies], first[copies] > 1, second[copies] > 1, groups=copies)
        assert honest.high - honest.low == pytest.approx(once.high - once.low, rel=0.15)
        assert many.high - many.low < 0.5 * (once.high - once.low)
        assert "resamples of groups" in honest.method

    def test_equal_models_are_told_apart_no_more_often_than_promised(self):
        rng, repeats = np.random.default_rng(4), 250
        wrong = {"f1": 0, "roc_auc": 0}
        for k in range(repeats):
            y = rng.random(100) < 0.3
            first, second = (rng.normal(size=100) + 1.5 * y for _ in range(2))
            for metric, a, b in (("f1", first > 1, second > 1), ("roc_auc", first, second)):
                found = comparison.paired_bootstrap(metric, y, a, b, resamples=200, seed=k)
                wrong[metric] += "better" in found.verdict
        bound = 4 * np.sqrt(0.05 * 0.95 / repeats)
        for times in wrong.values():
            assert 0.05 - bound < times / repeats < 0.06 + bound

    def test_a_real_difference_is_found(self):
        y, first, second = two_models(np.random.default_rng(6), 3_000, noise=1.5)
        found = comparison.paired_bootstrap("roc_auc", y, second, first, names=("blunt", "sharp"))
        assert found.verdict.startswith("sharp is better by 0.1")
        assert found.verdict.endswith("roc_auc")
        assert found.p_value < 0.01
        assert found.low < found.difference < found.high < 0

    def test_lower_is_better_for_false_alarms(self):
        y = np.zeros(500, dtype=bool)
        loud, quiet = np.arange(500) < 60, np.arange(500) < 10
        found = comparison.paired_bootstrap("false_alarm_rate", y, loud, quiet, names=("loud", "quiet"))
        assert found.difference == pytest.approx(0.1)
        assert found.verdict.startswith("quiet is better by 0.100 [")

    def test_few_differing_units_show_nothing(self):
        y = np.ones(3, dtype=bool)
        found = comparison.paired_bootstrap("recall", y, y, ~y)
        assert found.p_value == 0.25
        assert found.verdict == "no difference shown: p = 0.25 for recall; 3 units tell them apart"
        groups = comparison.paired_bootstrap(
            "recall", np.ones(90, bool), np.ones(90, bool), np.zeros(90, bool), groups=np.arange(90) % 3
        )
        assert groups.p_value == 0.25
        assert groups.verdict.endswith("3 groups tell them apart")

    def test_same_scores_and_undefined_metrics(self):
        y, first, _ = two_models(np.random.default_rng(7))
        same = comparison.paired_bootstrap("roc_auc", y, first, 2 * first)
        assert (same.difference, same.p_value) == (0.0, 1.0)
        assert same.verdict.endswith("holds 0; 0 units tell them apart")
        for metric, a in (("roc_auc", first), ("precision", np.zeros(400, dtype=bool))):
            none = comparison.paired_bootstrap(metric, np.zeros(400, dtype=bool), a, a)
            assert none.verdict == f"no verdict: {metric} is not defined for both A and B"
            assert np.isnan(none.p_value)
            assert np.isnan(none.low)

    def test_deterministic_by_seed(self):
        y, first, second = two_models(np.random.default_rng(8))
        results = [comparison.paired_bootstrap("f1", y, first > 1, second > 1, seed=seed) for seed in (1, 1, 2)]
        assert results[0] == results[1] != results[2]


class TestCorrectedT:
    def test_against_the_formula(self):
        a, b = np.array([0.9, 0.85, 0.92, 0.88, 0.91]), np.array([0.88, 0.86, 0.85, 0.86, 0.87])
        found = comparison.corrected_t_test(a, b, 0.2)
        gaps = a - b
        error = np.sqrt((1 / 5 + 0.25) * gaps.var(ddof=1))
        assert found.difference == pytest.approx(gaps.mean())
        assert found.p_value == pytest.approx(2 * stats.t.sf(gaps.mean() / error, 4))
        assert found.high - found.difference == pytest.approx(stats.t.ppf(0.975, 4) * error)
        assert found.method == "corrected resampled t-test, 5 splits"
        assert found.verdict.startswith("no difference shown: interval [")

    def test_far_more_cautious_than_the_plain_test(self):
        rng = np.random.default_rng(1)
        a, b = 0.9 + 0.01 * rng.normal(size=30), 0.894 + 0.01 * rng.normal(size=30)
        assert stats.ttest_rel(a, b).pvalue < 0.05 < comparison.corrected_t_test(a, b, 0.2).p_value

    def test_verdicts(self):
        a = [0.950, 0.951, 0.949, 0.950]
        better = comparison.corrected_t_test(a, [0.90, 0.90, 0.90, 0.91], 0.2, names=("lstm", "count"))
        assert better.verdict.startswith("lstm is better by 0.04")
        alike = comparison.corrected_t_test(a, a, 0.2)
        assert (alike.p_value, alike.low, alike.high) == (1.0, 0.0, 0.0)
        constant = comparison.corrected_t_test([0.9, 0.9], [0.8, 0.8], 0.2)
        assert np.isnan(constant.p_value)
        assert constant.verdict == "no difference shown: all splits gave the same difference"

    def test_pairs_without_a_value_are_left_out(self):
        a, b = [0.9, np.nan, 0.8, 0.85], [0.8, 0.7, 0.75, np.nan]
        assert comparison.corrected_t_test(a, b, 0.2) == comparison.corrected_t_test([0.9, 0.8], [0.8, 0.75], 0.2)

    def test_errors(self):
        with pytest.raises(DataError, match="over splits needs at least 2, found 1"):
            comparison.corrected_t_test([0.9], [0.8], 0.2)
        with pytest.raises(DataError, match=r"a value on the same splits, found \(1,\) and \(2,\)"):
            comparison.corrected_t_test([0.9], [0.8, 0.7], 0.2)
        with pytest.raises(DataError, match="test share must lie between 0 and 1, found 1"):
            comparison.corrected_t_test([0.9, 0.8], [0.8, 0.9], 1)


class TestWilcoxon:
    @quick
    @given(st.lists(halves, min_size=1, max_size=9))
    def test_exact_also_with_ties(self, gaps):
        gaps = np.array(gaps)
        found = comparison.wilcoxon(gaps, np.zeros(gaps.size))
        told = gaps[gaps != 0]
        ranks = stats.rankdata(np.abs(told))
        signs = np.array(list(product((0, 1), repeat=told.size)))
        sums, seen = signs @ ranks, ranks[told > 0].sum()
        tail = min((sums <= seen + 1e-9).mean(), (sums >= seen - 1e-9).mean())
        assert found.p_value == pytest.approx(min(1.0, 2 * tail))

    @quick
    @given(st.lists(st.integers(1, 10**6), min_size=6, max_size=25, unique=True), st.data())
    def test_agrees_with_scipy_without_ties(self, sizes, data):
        signs = data.draw(st.lists(st.sampled_from([-1, 1]), min_size=len(sizes), max_size=len(sizes)))
        gaps = np.array(sizes) * np.array(signs) / 10**6
        found = comparison.wilcoxon(gaps, np.zeros(gaps.size))
        assert found.p_value == pytest.approx(stats.wilcoxon(gaps, method="exact").pvalue)
        inside = found.low <= 0 <= found.high
        assert inside == (found.p_value > 0.05)

    def test_interval_covers(self):
        rng, repeats, held = np.random.default_rng(9), 800, 0
        for gaps in rng.laplace(0.02, 0.05, size=(repeats, 10)):
            found = comparison.wilcoxon(gaps, np.zeros(10))
            held += found.low <= 0.02 <= found.high
        assert 0.95 - 4 * np.sqrt(0.05 * 0.95 / repeats) < held / repeats < 0.985

    def test_verdicts(self):
        a, b = [0.9, 0.8, 0.7, 0.95, 0.6, 0.5], [0.8, 0.7, 0.65, 0.9, 0.5, 0.45]
        assert comparison.wilcoxon(a, b).verdict == "A is better by 0.075 [0.050, 0.100] f1"
        few = comparison.wilcoxon(a[:5], b[:5])
        assert few.verdict == "no difference shown: 5 data sets tell them apart, so p cannot fall below 0.062"
        assert np.isnan(few.low)
        with pytest.raises(DataError, match="over data sets needs at least 1, found 0"):
            comparison.wilcoxon([np.nan], [0.5])


class TestSignTest:
    def test_wins_and_losses(self):
        gaps = np.array([0.1, 0.2, 0.05, 0.3, 0.02, 0.07, 0.11, -0.01, 0.0])
        found = comparison.sign_test(gaps, np.zeros(9))
        assert found.p_value == pytest.approx(stats.binomtest(7, 8).pvalue)
        assert found.difference == pytest.approx(0.07)
        assert (found.low, found.high) == (0.0, 0.2)
        assert found.method == "sign test, 7 won, 1 lost, 1 equal"
        assert comparison.sign_test([0.5], [0.5]).p_value == 1.0

    def test_interval_covers(self):
        rng, repeats, held = np.random.default_rng(10), 800, 0
        for gaps in rng.exponential(size=(repeats, 12)) - np.log(2):
            found = comparison.sign_test(gaps, np.zeros(12))
            held += found.low <= 0 <= found.high
        assert 0.95 - 4 * np.sqrt(0.05 * 0.95 / repeats) < held / repeats < 0.985


def test_table():
    found = [comparison.sign_test([0.9, 0.8], [0.7, 0.6], metric="roc_auc")]
    table = comparison.table(found)
    assert table.columns == ["metric", "verdict", "difference", "low", "high", "p_value", "method"]
    assert table.row(0)[:2] == ("roc_auc", found[0].verdict)
    assert comparison.table([]).schema["p_value"] == pl.Float64


def test_a_scoreboard_says_how_far_its_rows_are_from_better_ones():
    board = pl.DataFrame({"model": ["a", "b", "c"]})
    values = {"a": [0.9, 0.8, 0.7, 0.9, 0.8, 0.7, 0.9, 0.8], "b": [0.8, 0.7, 0.6, 0.8, 0.7, 0.5, 0.8, 0.7]}

    def compare(place, other):
        return comparison.wilcoxon(values[board["model"][place]], values[board["model"][other]])

    first, second, last = comparison.with_gaps(board, "model", compare, [(1, 0)]).to_dicts()
    found = compare(1, 0)
    assert second["compared_with"] == "a"
    assert [second[name] for name in ("gap", "gap_low", "gap_high", "gap_p_value", "compared_by")] == [
        found.difference,
        found.low,
        found.high,
        found.p_value,
        found.method,
    ]
    assert second["gap_high"] < 0
    assert {first[name] for name in comparison.GAPS} == {last[name] for name in comparison.GAPS} == {None}
    values["b"] = [float("nan")] * 8
    impossible = comparison.with_gaps(board, "model", compare, [(1, 0)])
    assert impossible.select(*comparison.GAPS).null_count().row(0) == (3,) * len(comparison.GAPS)
    assert comparison.with_gaps(board, "model", compare, []).columns == ["model", *comparison.GAPS]


def test_the_runner_up_is_the_second_highest_of_those_that_compete():
    assert comparison.runner_up([0.5, None, 0.9, 0.7]) == [(3, 2)]
    assert comparison.runner_up([0.5, None, 0.9, 0.7], [0, 1, 3]) == [(0, 3)]
    assert comparison.runner_up([0.9, 0.9]) == [(1, 0)]
    assert comparison.runner_up([0.9, None]) == comparison.runner_up([]) == []


@pytest.mark.parametrize("test", [comparison.wilcoxon, comparison.sign_test])
def test_no_p_value_is_said_to_be_above_one(test):
    found = test([0.5, 0.6], [0.5, 0.6])
    assert found.p_value == 1
    assert found.verdict.endswith("0 data sets tell them apart, so p cannot fall below 1")
