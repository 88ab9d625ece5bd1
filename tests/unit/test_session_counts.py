"""Classic detectors on the count vectors of sessions: one battery for all, then what each knows."""

import pickle
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from utils.detectors import session_counts
from utils.detectors.outliers import IsolationForest, NearestNeighbours
from utils.detectors.session_counts import CountInvariants, CountOutliers, CountPCA, distinct_vectors, q_limit
from utils.errors import DataError, SchemaError, SettingsError

DETECTORS = {
    "pca": CountPCA(),
    "pca, log": CountPCA(weighting="log"),
    "invariants": CountInvariants(),
    "forest": CountOutliers(IsolationForest(10, sample=64)),
    "neighbours": CountOutliers(NearestNeighbours(1), weighting="counts"),
}
battery = pytest.mark.parametrize("detector", DETECTORS.values(), ids=DETECTORS)


def table(lists, dtype=pl.String, **columns):
    return pl.DataFrame({"events": pl.Series(lists, dtype=pl.List(dtype)), **columns})


def session(blocks, reads=1, closed=None):
    return ["open"] * blocks + ["read"] * reads + ["close"] * (blocks if closed is None else closed) + ["end"]


def normals(n=400, seed=0):
    rng = np.random.default_rng(seed)
    pairs = zip(rng.integers(1, 5, n).tolist(), rng.integers(0, 4, n).tolist(), strict=True)
    return table([session(blocks, reads) for blocks, reads in pairs])


@pytest.fixture(scope="module")
def known():
    return normals()


@battery
def test_broken_sessions_score_above_every_normal_one(detector, known):
    fitted = clone(detector).fit(known)
    broken = table([session(1, 40, closed=9), session(3, 2, closed=0)])
    scores, usual = fitted.score_samples(broken), fitted.score_samples(known)
    if detector is DETECTORS["forest"]:
        assert scores[0] > np.median(usual)
    else:
        assert scores.min() > usual.max()
    assert fitted.score_samples(broken).dtype == np.float64


@battery
def test_distinct_sessions_with_weights_give_the_same_detector(detector, known):
    grouped = known.group_by("events", maintain_order=True).len()
    whole, reduced = clone(detector).fit(known), clone(detector).fit(grouped, weight=grouped["len"])
    asked = pl.concat([known.head(20), table([session(2, 9, closed=0)])])
    assert whole.n_sessions_ == reduced.n_sessions_ == known.height
    if not isinstance(detector, CountOutliers) or isinstance(detector, CountPCA):
        np.testing.assert_allclose(whole.score_samples(asked), reduced.score_samples(asked), atol=1e-9)
    else:
        assert np.corrcoef(whole.score_samples(asked), reduced.score_samples(asked))[0, 1] > 0.9


@battery
def test_anomalies_and_unlabelled_rows_are_left_out(detector, known):
    odd = table([session(1, 0, closed=50)] * 30)
    y = pl.Series([False] * known.height + [True] * 15 + [None] * 15)
    mixed = clone(detector).fit(pl.concat([known, odd]), y)
    alone = clone(detector).fit(known)
    np.testing.assert_array_equal(mixed.score_samples(odd), alone.score_samples(odd))


@battery
def test_sentences_are_one_a_session_and_name_events(detector, known):
    fitted = clone(detector).fit(known)
    asked = table([session(1, 40, closed=9), session(3, 1), session(1, 40, closed=9)])
    told = fitted.explain(asked)
    assert len(told) == 3
    assert told[0] == told[2] != told[1]
    assert "event" in told[0]
    assert fitted.explain(asked[:0]) == []


@battery
def test_strange_sessions_are_scored(detector, known):
    fitted = clone(detector).fit(known)
    strange = table([[], None, ["never seen"], [None, "read"], ["read"] * 10_000])
    scores = fitted.score_samples(strange)
    assert scores.shape == (5,)
    assert np.isfinite(scores).all()
    assert len(fitted.explain(strange)) == 5
    assert fitted.score_samples(strange[:0]).shape == (0,)


@battery
def test_pickles_answer_alike(detector, known):
    fitted = clone(detector).fit(known)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.score_samples(known), fitted.score_samples(known))


@battery
def test_bad_input_is_refused(detector, known):
    with pytest.raises(NotFittedError):
        clone(detector).score_samples(known)
    with pytest.raises(DataError, match="needs normal sessions"):
        clone(detector).fit(known, [True] * known.height)
    with pytest.raises(SchemaError, match="events"):
        clone(detector).fit(known.rename({"events": "other"}))
    with pytest.raises(SchemaError, match="one kind"):
        clone(detector).fit(known).score_samples(table([[1, 2]], pl.Int64))


@battery
@given(lists=st.lists(st.lists(st.integers(0, 3), max_size=6), min_size=1, max_size=12))
@settings(max_examples=5, deadline=None)
def test_any_sessions_can_be_learned_and_scored(detector, lists):
    sessions = table(lists, pl.UInt8)
    fitted = clone(detector).fit(sessions)
    scores = fitted.score_samples(sessions)
    assert np.isfinite(scores).all()
    order = np.random.default_rng(0).permutation(len(lists))
    np.testing.assert_allclose(fitted.score_samples(sessions[order.tolist()]), scores[order])


def test_vectors_are_distinct_and_weighted():
    sessions = table([["b", "a"], ["a", "b"], ["b"], [], ["b"]])
    vectors, vocabulary = distinct_vectors(sessions, "events", weight=[1, 2, 3, 4, 5])
    assert vocabulary.events.to_list() == ["a", "b"]
    assert vectors.counts.toarray().tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert vectors.weight.tolist() == [3, 8, 4]
    assert vectors.inverse.tolist() == [0, 0, 1, 2, 1]


def test_parts_are_bounded_and_give_the_same_scores(known, monkeypatch):
    fitted = CountPCA().fit(known)
    whole = fitted.score_samples(known)
    monkeypatch.setattr(session_counts, "CELLS", 12)
    np.testing.assert_allclose(fitted.score_samples(known), whole)
    np.testing.assert_allclose(CountPCA().fit(known).q_limit_, fitted.q_limit_)


class TestPCA:
    def test_score_is_the_squared_residual(self, known):
        fitted = CountPCA(2).fit(known)
        assert fitted.detector_.n_components_ == 2
        np.testing.assert_allclose(fitted.score_samples(known), fitted.detector_.score_samples(matrix(known)) ** 2)

    def test_limit_holds_for_normal_deviates(self):
        rng = np.random.default_rng(0)
        spread = np.linspace(0.5, 1.5, 20)
        squared = ((rng.normal(size=(50_000, 20)) * np.sqrt(spread)) ** 2).sum(axis=1)
        for alpha in (0.05, 0.01):
            assert np.mean(squared > q_limit(np.diag(spread), alpha)) == pytest.approx(alpha, rel=0.15)

    def test_limit_of_one_direction_is_that_of_chi_square(self):
        assert q_limit(np.array([[2.0]]), 0.05) == pytest.approx(2 * 3.84, rel=0.05)

    def test_limit_of_nothing_is_nothing(self):
        assert q_limit(np.zeros((3, 3)), 0.01) == 0.0

    def test_limit_of_an_odd_spectrum_is_found(self):
        spread = np.array([1.0, *[0.004] * 200])
        limit = q_limit(np.diag(spread), 0.01)
        assert 1.5 < limit < 20

    def test_sentence_says_on_which_side_of_the_limit(self, known):
        fitted = CountPCA().fit(known)
        below, above = fitted.explain(table([session(2, 1), session(2, 1, closed=9)]))
        assert "below the limit" in below
        assert "event close (9 times" in above
        assert "above the limit" in above

    def test_tf_idf_forgets_what_every_session_has(self, known):
        fitted = CountPCA(weighting="tf-idf").fit(known)
        assert fitted.factor_[fitted.vocabulary_.places(["end"])] == 0
        assert fitted.factor_[fitted.vocabulary_.places(["read"])] > 0
        unseen = fitted.score_samples(table([session(2, 1), [*session(2, 1), "strange"]]))
        assert unseen[0] < fitted.q_limit_ + 1e-9 < unseen[1]

    @pytest.mark.parametrize("wrong", [{"alpha": 0.0}, {"weighting": "cosine"}, {"components": 2.5}])
    def test_parameters_are_checked(self, wrong, known):
        with pytest.raises((SettingsError, DataError)):
            CountPCA(**wrong).fit(known)


class TestInvariants:
    def test_equalities_are_found_and_named(self, known):
        fitted = CountInvariants().fit(known)
        assert fitted.sentences_[0].startswith("unseen events = 0")
        assert "event end = 1 (in 100.00%)" in fitted.sentences_
        assert "event close = event open (in 100.00%)" in fitted.sentences_
        told = fitted.explain(table([session(3, 1, closed=4), session(3, 1)]))
        assert told[0] == "event close = event open broken: 4 against 3"
        assert told[1] == f"all {len(fitted.invariants_)} invariants hold"

    def test_ratios_and_sums_are_found(self):
        rng = np.random.default_rng(0)
        lists = []
        for a, b in rng.integers(1, 6, (200, 2)).tolist():
            lists.append(["a"] * a + ["b"] * b + ["sum"] * (a + b) + ["x"] * (2 * a))
        fitted = CountInvariants().fit(table(lists))
        equations = [sentence.split(" (in")[0] for sentence in fitted.sentences_]
        assert equations == ["unseen events = 0", "2 x event a = event x", "event sum = event a + event b"]

    def test_what_follows_from_others_is_left_out(self):
        lists = [[*"abc"] * count for count in (1, 2, 3, 4) * 10]
        fitted = CountInvariants().fit(table(lists))
        assert len(fitted.invariants_) == 3

    def test_exceptions_are_allowed_and_weigh_less(self, known):
        few = pl.concat([known, table([session(2, 1, closed=1)] * 4)])
        strict, lax = CountInvariants().fit(known), CountInvariants().fit(few)
        broken = table([session(2, 1, closed=7)])
        assert 0 < lax.score_samples(broken)[0] < strict.score_samples(broken)[0]
        assert not any("close = " in each for each in CountInvariants(0.999).fit(few).sentences_)

    def test_rare_events_give_no_invariants(self, known):
        few = pl.concat([known, table([["odd", "odder"]] * 2)])
        assert not any("odd" in each for each in CountInvariants().fit(few).sentences_)

    def test_unseen_events_break_one(self, known):
        told = CountInvariants().fit(known).explain(table([[*session(2), "strange"]]))
        assert told == ["unseen events = 0 broken: 1 against 0"]

    def test_few_sessions_give_no_invariants_but_the_first(self):
        assert len(CountInvariants().fit(table([["a"]] * 3)).invariants_) == 1

    def test_parameters_are_checked(self, known):
        with pytest.raises(SettingsError, match="least_share"):
            CountInvariants(0.2).fit(known)


class TestOutliers:
    def test_forest_is_the_default(self, known):
        fitted = CountOutliers(seed=3).fit(known.head(50))
        assert isinstance(fitted.detector_, IsolationForest)
        assert fitted.detector_.seed == 3

    def test_sentence_names_count_and_usual_count(self, known):
        told = CountOutliers(NearestNeighbours(1)).fit(known).explain(table([session(2, 30)]))[0]
        assert told.startswith("unusual counts of event read (30 times, 1.")

    def test_fractional_weights_are_importances(self, known):
        fitted = CountOutliers(NearestNeighbours(1)).fit(known, weight=np.full(known.height, 0.5))
        assert fitted.n_sessions_ == known.height / 2


def test_scores_are_the_same_in_another_process():
    code = (
        "from tests.unit.test_session_counts import *\n"
        "k = normals(60)\n"
        "print([float(s).hex() for d in DETECTORS.values() for s in clone(d).fit(k).score_samples(k[:9])])"
    )
    scores = [score for d in DETECTORS.values() for score in clone(d).fit(normals(60)).score_samples(normals(60)[:9])]
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    np.testing.assert_allclose([float.fromhex(each) for each in eval(found.stdout)], scores, rtol=1e-12)


def matrix(sessions):
    vectors, _ = distinct_vectors(sessions, "events")
    return vectors.counts.toarray()[vectors.inverse].astype(float)
