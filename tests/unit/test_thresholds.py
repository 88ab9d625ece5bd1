import pickle

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, precision_recall_curve, roc_curve
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from utils.errors import DataError
from utils.evaluation.scoring import abnormality, out_of_fold
from utils.evaluation.splits import k_fold
from utils.evaluation.thresholds import (
    AlarmRate,
    BestF1,
    Fixed,
    LowestCost,
    curve,
    cuts_of,
    published_threshold,
)

QUICK = settings(max_examples=60, deadline=None)
LABELLED = st.lists(
    st.tuples(st.sampled_from([-1e9, -2.5, 0.0, 0.1, 0.2, 1.0, 3.0, 1e300]), st.booleans(), st.integers(0, 4)),
    min_size=2,
    max_size=25,
).filter(lambda rows: len({label for _, label, weight in rows if weight}) == 2)


def sample(n=2_000, seed=0, shift=2.0, share=0.1):
    rng = np.random.default_rng(seed)
    y = rng.random(n) < share
    return rng.normal(size=n) + shift * y, y


def parts(rows):
    return (np.array(column) for column in zip(*rows, strict=True))


def f1_by_hand(scores, y, weight, threshold):
    flagged = scores >= threshold
    hit = weight[flagged & y].sum()
    return 2 * hit / (weight[flagged].sum() + weight[y].sum())


@QUICK
@given(LABELLED)
def test_best_f1_is_the_best_of_all_decisions_and_ties_go_to_the_lowest(rows):
    scores, y, weight = parts(rows)
    fitted = BestF1().fit(scores, y, weight)
    tried = [f1_by_hand(scores, y, weight, value) for value in np.unique(scores)]
    assert fitted.point_.f1 == pytest.approx(max(tried))
    assert f1_by_hand(scores, y, weight, fitted.value_) == pytest.approx(max(tried))
    as_good = np.unique(scores)[np.isclose(tried, max(tried), rtol=1e-12)]
    assert np.array_equal(fitted.predict(scores), scores >= as_good[0])


@QUICK
@given(LABELLED, st.sampled_from([(1.0, 1.0), (10.0, 1.0), (0.0, 1.0), (1.0, 7.0)]))
def test_lowest_cost_is_the_lowest_of_all_decisions_and_of_none(rows, costs):
    scores, y, weight = parts(rows)
    miss, false_alarm = costs

    def cost(flagged):
        return (miss * weight[y & ~flagged].sum() + false_alarm * weight[flagged & ~y].sum()) / weight.sum()

    fitted = LowestCost(miss, false_alarm).fit(scores, y, weight)
    tried = [cost(scores >= value) for value in np.unique(scores)] + [cost(np.zeros(len(y), dtype=bool))]
    assert cost(fitted.predict(scores)) == pytest.approx(min(tried), abs=1e-12)
    assert fitted.cost_ == pytest.approx(min(tried), abs=1e-12)


@QUICK
@given(LABELLED, st.sampled_from([0.01, 0.1, 0.25, 0.5, 0.9]))
def test_an_alarm_rate_is_never_exceeded_and_no_lower_threshold_would_hold(rows, rate):
    scores, y, weight = parts(rows)
    fitted = AlarmRate(rate).fit(scores, y, weight)
    normal = np.repeat(scores[~y], weight[~y])
    n = len(normal)
    flagged = int(fitted.predict(normal).sum())
    assert flagged <= rate * n
    assert np.isinf(fitted.value_) or (1 + flagged) / (n + 1) <= rate
    lower = normal[normal < fitted.value_]
    if lower.size:
        assert (1 + (normal >= lower.max()).sum()) / (n + 1) > rate


@QUICK
@given(LABELLED)
def test_weights_count_rows(rows):
    scores, y, weight = parts(rows)
    repeated = np.repeat(scores, weight), np.repeat(y, weight)
    for threshold in (BestF1(), LowestCost(3, 1), AlarmRate(0.3)):
        weighted, plain = clone(threshold).fit(scores, y, weight), clone(threshold).fit(*repeated)
        assert np.array_equal(weighted.predict(repeated[0]), plain.predict(repeated[0]))
        assert weighted.point_.f1 == pytest.approx(plain.point_.f1)


@QUICK
@given(LABELLED)
def test_thresholds_stand_clear_of_the_scores(rows):
    scores, y, weight = parts(rows)
    cuts = cuts_of(scores, y, weight)
    distinct = np.unique(scores)
    for value in cuts.values[1:]:
        below, above = distinct[distinct < value], distinct[distinct >= value]
        if below.size and above.size:
            assert value == pytest.approx((below[-1] + above[0]) / 2)
    assert len(cuts.values) == len(distinct) + 2
    assert (np.diff(cuts.values[1:]) < 0).all()


def test_a_row_whose_score_comes_out_a_hair_different_is_decided_alike():
    scores, y = sample()
    fitted = BestF1().fit(scores, y)
    assert np.array_equal(fitted.predict(scores), fitted.predict(scores * (1 + 1e-12)))
    same = np.full(50, 0.3)
    assert not AlarmRate(0.1).fit(same).predict(same + 1e-16 + same * 1e-15).any()


def test_the_curve_agrees_with_scikit_learn():
    scores, y = sample()
    scores = scores.round(1)
    table = curve(scores, y)
    assert table["threshold"].is_sorted()
    assert table.height == len(np.unique(scores)) + 1
    precision, recall, thresholds = precision_recall_curve(y, scores)
    lowest = [scores[scores >= value].min() for value in table["threshold"][:-1]]
    assert np.allclose(lowest, thresholds)
    assert np.allclose(table["precision"][:-1], precision[:-1])
    assert np.allclose(table["recall"], recall)
    false_alarms, _, _ = roc_curve(y, scores, drop_intermediate=False)
    assert np.allclose(table["false_alarm_rate"][::-1], false_alarms)
    assert table["f1"][10] == pytest.approx(f1_score(y, scores >= table["threshold"][10]))


def test_the_curve_ends_with_flagging_nothing():
    table = curve([1, 2, 2, 3], [0, 1, 0, 1], miss=4, false_alarm=2)
    assert table["threshold"].to_list()[1:3] == [1.5, 2.5]
    assert table["precision"].to_list() == [0.5, pytest.approx(2 / 3), 1.0, None]
    assert table["cost"].to_list() == [1.0, 0.5, 1.0, 2.0]
    assert table["f1"][-1] == 0.0


def test_endless_scores_are_the_largest_and_smallest():
    scores, y = [-np.inf, 0.0, 1.0, np.inf, np.inf], [0, 0, 0, 1, 1]
    fitted = BestF1().fit(scores, y)
    assert fitted.predict(scores).tolist() == [False, False, False, True, True]
    strict = AlarmRate(0.4).fit([1.0, 2.0, np.inf, np.inf])
    assert not strict.predict([np.inf]).any()


def test_neighbouring_floats_leave_no_room_and_are_still_told_apart():
    low = 1.0
    high = np.nextafter(low, 2.0)
    fitted = BestF1().fit([low, low, high], [0, 0, 1])
    assert fitted.predict([low, high]).tolist() == [False, True]


def test_too_few_normals_flag_nothing_and_say_so():
    fitted = AlarmRate(0.01).fit(np.arange(50.0))
    assert fitted.value_ == np.inf
    assert not fitted.predict([1e300]).any()
    assert "50 normals cannot vouch for a rate of 0.01" in fitted.describe()
    assert np.isfinite(AlarmRate(0.01).fit(np.arange(99.0)).value_)


def test_importances_are_one_observation_each():
    scores, y = sample(500)
    plain = AlarmRate(0.05).fit(scores, y)
    scaled = AlarmRate(0.05).fit(scores, y, np.full(500, 1_000.5))
    assert scaled.value_ == plain.value_
    assert scaled.n_normals_ == pytest.approx(plain.n_normals_)


def test_alarm_rates_hold_over_repeats_on_new_normals():
    rng = np.random.default_rng(7)
    n, m, repeats = 399, 400, 200
    rates = {0.01: [], 0.05: [], 0.10: []}
    for _ in range(repeats):
        scores = rng.gamma(2.0, size=n + m)
        for rate, real in rates.items():
            real.append(AlarmRate(rate).fit(scores[:n]).predict(scores[n:]).mean())
    for rate, real in rates.items():
        error = np.sqrt(rate * (1 - rate) * (1 / n + 1 / m) / repeats)
        assert rate - 1 / n - 4 * error < np.mean(real) < rate + 4 * error


@pytest.mark.parametrize("threshold", [BestF1(), LowestCost(5, 1), AlarmRate(0.1), Fixed(1.5)])
def test_every_threshold_can_be_cloned_stored_and_described(threshold):
    scores, y = sample()
    fitted = clone(threshold).fit(pl.Series(scores), pl.Series(y))
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.predict(scores), scores >= fitted.value_)
    assert again.predict([]).shape == (0,)
    assert fitted.predict(scores).dtype == bool
    assert "on 2,000 scores" in fitted.describe()
    flagged = fitted.predict(scores)
    assert fitted.point_.recall == pytest.approx(flagged[y].mean())
    assert fitted.point_.false_alarm_rate == pytest.approx(flagged[~y].mean())
    with pytest.raises(NotFittedError):
        clone(threshold).predict(scores)


def test_the_sentences_say_how():
    scores, y = sample()
    assert "the highest F1 (0." in BestF1().fit(scores, y).describe()
    assert "a miss costs 5, a false alarm 1" in LowestCost(5, 1).fit(scores, y).describe()
    assert "at most 0.1 of normals flagged (0.0" in AlarmRate(0.1).fit(scores, y).describe()
    assert "given, not chosen" in Fixed(1.5).fit(scores).describe()


def test_a_fixed_threshold_is_kept_to_the_last_digit():
    fitted = Fixed(1.0).fit([0.0, 1.0, 2.0], [0, 0, 1])
    assert fitted.value_ == 1.0
    assert fitted.point_.false_alarm_rate == 0.5
    assert Fixed(9.0).fit([0.0, 1.0]).point_.threshold == 9.0


def test_the_published_way_is_at_least_as_good_on_its_own_rows():
    scores, y = sample(200)
    train, test = slice(0, 100), slice(100, 200)
    honest = BestF1().fit(scores[train], y[train])
    optimistic = published_threshold(scores[test], y[test])
    assert optimistic.f1 >= f1_score(y[test], honest.predict(scores[test]))
    assert optimistic.f1 == pytest.approx(max(f1_score(y[test], scores[test] >= value) for value in scores[test]))
    tried = published_threshold(scores[test], y[test], candidates=scores[train])
    by_hand = {value: f1_score(y[test], scores[test] >= value) for value in scores[train]}
    assert tried.f1 == pytest.approx(max(by_hand.values()))
    assert by_hand[tried.threshold] == pytest.approx(tried.f1)
    with pytest.raises(DataError, match="thresholds to try"):
        published_threshold(scores, y, candidates=[])


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: BestF1().fit([1.0, np.nan], [0, 1]), "NaN"),
        (lambda: BestF1().fit([1.0, None], [0, 1]), "scores"),
        (lambda: BestF1().fit([], []), "found none"),
        (lambda: BestF1().fit([1.0, 2.0]), "give y, or take AlarmRate"),
        (lambda: BestF1().fit([1.0, 2.0], [1, 1]), "anomalies and normals are both needed"),
        (lambda: BestF1().fit([1.0, 2.0], [0, 1], [1, 0]), "anomalies and normals are both needed"),
        (lambda: BestF1().fit([1.0, 2.0], [0, 1], [0, 0]), "above 0"),
        (lambda: BestF1().fit([1.0, 2.0], [0, 1, 1]), "for each of 2 rows, found 3"),
        (lambda: BestF1().fit([1.0, 2.0], [0, 2]), "labels"),
        (lambda: LowestCost(-1, 1).fit([1.0, 2.0], [0, 1]), "at least 0"),
        (lambda: LowestCost(0, 0).fit([1.0, 2.0], [0, 1]), "above 0"),
        (lambda: AlarmRate(5).fit([1.0, 2.0]), "share such as 0.05"),
        (lambda: AlarmRate(0.1).fit([1.0, 2.0], [1, 1]), "normal rows, found none in 2 rows"),
        (lambda: Fixed(np.nan).fit([1.0]), "found NaN"),
        (lambda: Fixed(1).fit([1.0]).predict([np.nan]), "NaN"),
        (lambda: curve([1.0, 2.0], [0, 0]), "both needed"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(action, message):
    with pytest.raises(DataError, match=message):
        action()


class Distance:
    """Detector of the house: distance from the mean of what it was fitted on."""

    def __init__(self):
        self.rows = 0

    def get_params(self, deep=True):
        return {}

    def fit(self, X, y=None, weight=None):
        values = X["a"].to_numpy() if isinstance(X, pl.DataFrame) else X[:, 0]
        self.mean_ = np.average(values, weights=weight)
        self.seen_ = None if y is None else np.asarray(y)
        return self

    def score_samples(self, X):
        if self.seen_ is not None and self.seen_.any():
            return np.full(len(X), -1.0)
        return np.abs(X["a"].to_numpy() - self.mean_)


def test_out_of_fold_scores_come_from_models_that_have_not_seen_the_row():
    scores, y = sample(300, shift=4)
    X = np.column_stack([scores, np.arange(300.0)])
    model = make_pipeline(StandardScaler(), LogisticRegression())
    folds = k_fold(y, 3, seed=5)
    found = out_of_fold(model, X, y, folds)
    for fold in folds:
        expected = clone(model).fit(X[fold.train], y[fold.train]).decision_function(X[fold.test])
        assert np.allclose(found[fold.test], expected)
    assert np.array_equal(found, out_of_fold(model, X, y, [(fold.train, fold.test) for fold in folds]))
    assert np.array_equal(out_of_fold(model, X, y, 3, seed=5), found)


def test_out_of_fold_takes_frames_weights_groups_and_normals_only():
    scores, y = sample(200)
    X = pl.DataFrame({"a": scores})
    group = np.arange(200) // 2
    by_group = out_of_fold(Distance(), X, folds=4, groups=group)
    assert by_group.shape == (200,)
    assert len(np.unique((np.abs(by_group) * 0 + group)[::2])) == 100
    only_normals = out_of_fold(Distance(), X, y, 4, only_normals=True)
    assert (only_normals >= 0).all()
    assert (out_of_fold(Distance(), X, y, 4) == -1).all()
    weighted = out_of_fold(Distance(), X, folds=4, weight=np.where(y, 50, 1))
    assert not np.allclose(weighted, out_of_fold(Distance(), X, folds=4))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"folds": [(np.arange(5), np.arange(5, 10)), (np.arange(5), np.arange(5, 10))]}, "exactly one test part"),
        ({"only_normals": True}, "needs labels"),
        ({"folds": 1}, "fold"),
    ],
)
def test_folds_that_do_not_score_each_row_once_are_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        out_of_fold(Distance(), pl.DataFrame({"a": np.arange(10.0)}), **arguments)


def test_weights_need_an_estimator_that_takes_them():
    class Plain(Distance):
        def fit(self, X, y=None):
            return super().fit(X, y)

    with pytest.raises(DataError, match="Plain must take weights"):
        out_of_fold(Plain(), pl.DataFrame({"a": np.arange(10.0)}), folds=2, weight=np.ones(10))


@pytest.mark.parametrize(
    "estimator",
    [
        IsolationForest(n_estimators=20, random_state=0),
        make_pipeline(StandardScaler(), GaussianMixture(random_state=0)),
    ],
)
def test_detectors_of_scikit_learn_are_turned_round(estimator):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    estimator.fit(X)
    scores = abnormality(estimator, np.array([[0.0, 0.0], [9.0, 9.0]]))
    assert scores[1] > scores[0]


def test_classifiers_score_by_margin_or_probability():
    scores, y = sample(300, shift=4)
    X = scores[:, None]
    for model in (LinearSVC(), LogisticRegression()):
        assert np.corrcoef(abnormality(model.fit(X, y), X), scores)[0, 1] > 0.8

    class Probable:
        def predict_proba(self, X):
            return np.column_stack([1 - X[:, 0], X[:, 0]])

    assert abnormality(Probable(), np.array([[0.3], [0.6]])).tolist() == [0.3, 0.6]


def test_an_estimator_without_scores_or_with_one_class_is_refused():
    class Lonely:
        def predict_proba(self, X):
            return np.ones((len(X), 1))

    with pytest.raises(DataError, match="train on both classes"):
        abnormality(Lonely(), np.ones((2, 1)))
    with pytest.raises(DataError, match="StandardScaler has none"):
        abnormality(StandardScaler(), np.ones((2, 1)))
