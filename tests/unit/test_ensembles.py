"""Ensembles: members see what they may see, p-values hold, sentences name the loudest member."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.pipeline import make_pipeline

from utils.detectors.ensembles import Ensemble
from utils.errors import DataError, SettingsError
from utils.features.flows import FlowFeatures


class Distance(BaseEstimator):
    """Distance of one column from its mean; remembers what it was fitted on."""

    def __init__(self, column="a"):
        self.column = column

    def fit(self, X, y=None, weight=None):
        assert y is None
        self.seen_ = X
        self.weight_ = weight
        self.centre_ = float(np.average(X[self.column], weights=weight))
        return self

    def score_samples(self, X):
        return np.abs(X[self.column].to_numpy() - self.centre_)

    def explain(self, X):
        return [f"{self.column} is {value:.1f}" for value in X[self.column]]


class Recaller(ClassifierMixin, BaseEstimator):
    """A classifier that remembers what it was fitted on and scores by one column."""

    def fit(self, X, y):
        self.seen_, self.labels_ = X, np.asarray(y)
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        share = 1 / (1 + np.exp(-X["b"].to_numpy()))
        return np.column_stack([1 - share, share])


def rows(normals=400, anomalies=40, seed=0):
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame({"a": rng.normal(size=normals + anomalies), "b": rng.normal(size=normals + anomalies)})
    y = np.arange(normals + anomalies) >= normals
    return frame.with_columns(a=pl.col("a") + pl.Series(y * 6.0), b=pl.col("b") + pl.Series(y * 2.0)), y


MEMBERS = {"distance": Distance(), "recaller": Recaller()}


@pytest.mark.parametrize("held_out", [0.25, 4])
def test_members_never_learn_from_the_rows_that_calibrate_them(held_out, monkeypatch):
    frame, y = rows()
    fitted = []
    fit = Distance.fit
    monkeypatch.setattr(Distance, "fit", lambda self, X, y=None, weight=None: fitted.append(X) or fit(self, X))
    ensemble = Ensemble(MEMBERS, held_out=held_out).fit(frame, y)
    normals = set(frame.filter(~y)["a"])
    learned = [set(X["a"]) for X in fitted]
    assert all(some <= normals for some in learned)
    if held_out == 4:
        assert [len(some) for some in learned] == [300] * 4 + [400]
        assert set.union(*(normals - some for some in learned)) == normals
        assert ensemble.calibration_.height == ensemble.n_calibration_ == 400
    else:
        assert [len(some) for some in learned] == [300]
        assert ensemble.calibration_.height == ensemble.n_calibration_ == 100


def test_a_classifier_learns_from_all_anomalies_and_from_no_normal_that_calibrates():
    frame, y = rows()
    member = Ensemble(MEMBERS, held_out=0.25).fit(frame, y).members_["recaller"]
    assert member.labels_.tolist().count(1) == 40
    assert member.labels_.tolist().count(0) == 300
    assert set(member.seen_["a"]) >= set(frame.filter(y)["a"])


def test_the_alarm_rate_of_new_normal_rows_is_the_nominal_one():
    real = []
    for seed in range(20):
        frame, y = rows(seed=seed)
        fresh = rows(2_000, 0, seed=seed + 100)[0]
        real.append(Ensemble(MEMBERS, seed=seed).fit(frame, y).predict(fresh, 0.1).mean())
    assert 0.07 < np.mean(real) < 0.12


def test_anomalies_are_found_and_combined_scores_rise_as_p_values_fall():
    frame, y = rows()
    new, truth = rows(seed=1)
    ensemble = Ensemble(MEMBERS).fit(frame, y)
    scores, p_values = ensemble.score_samples(new), ensemble.p_values(new)
    order = np.argsort(scores)
    assert (np.diff(p_values[order]) <= 0).all()
    assert ensemble.predict(new)[truth].all()
    assert ensemble.member_scores(new).columns == ensemble.member_p_values(new).columns == list(MEMBERS)
    assert ensemble.member_p_values(new)["distance"].to_numpy()[truth].max() < 0.02


def test_copies_of_a_row_are_held_out_together():
    frame, _ = rows(60, 0)
    copies = pl.concat([frame] * 5)
    ensemble = Ensemble({"distance": Distance()}, held_out=0.3).fit(copies)
    seen = set(ensemble.members_["distance"].seen_["a"])
    assert len(seen) == 42
    assert ensemble.members_["distance"].seen_.height == 210


def test_groups_are_held_out_together():
    frame, _ = rows(100, 0)
    groups = pl.Series(["u", "v", "w", "x"] * 25)
    held = []
    for seed in range(3):
        ensemble = Ensemble({"distance": Distance()}, held_out=0.25, seed=seed).fit(frame, groups=groups)
        seen = frame["a"].is_in(ensemble.members_["distance"].seen_["a"].implode())
        assert (~seen).sum() == 25
        held.append(groups.filter(~seen).unique().to_list())
    assert all(len(group) == 1 for group in held)


def test_counts_of_distinct_rows_give_what_the_rows_themselves_give():
    frame, _ = rows(80, 0)
    counts = np.random.default_rng(0).integers(1, 4, size=80)
    written = frame[np.repeat(np.arange(80), counts)]
    once = Ensemble({"distance": Distance()}, held_out=4, seed=3).fit(frame, weight=counts, groups=np.arange(80) % 4)
    often = Ensemble({"distance": Distance()}, held_out=4, seed=3)
    often.fit(written, groups=np.repeat(np.arange(80) % 4, counts))
    assert once.n_calibration_ == often.n_calibration_ == counts.sum()
    np.testing.assert_allclose(once.p_values(frame), often.p_values(frame))


def test_rows_without_weight_teach_and_calibrate_nothing():
    frame, _ = rows(100, 0)
    weight = np.repeat([1, 0], 50)
    ensemble = Ensemble({"distance": Distance()}, held_out=5).fit(frame, weight=weight)
    assert ensemble.n_calibration_ == 50
    assert ensemble.members_["distance"].seen_.equals(frame[:50])


def test_pipelines_of_scikit_learn_are_members_with_their_direction_and_weights():
    frame, y = rows()
    members = {
        "forest": make_pipeline(FlowFeatures(), IsolationForest(n_estimators=20, random_state=0)),
        "trees": make_pipeline(FlowFeatures(), RandomForestClassifier(20, random_state=0)),
    }
    ensemble = Ensemble(members).fit(frame, y, weight=np.full(len(y), 2))
    assert ensemble.predict(frame, 0.1)[y].mean() > 0.9
    assert ensemble.member_p_values(frame)["forest"].to_numpy()[y].mean() < 0.1
    assert not hasattr(members["forest"][0], "columns_")


def test_matrices_are_rows_too():
    frame, y = rows()
    members = {"forest": IsolationForest(n_estimators=20, random_state=0)}
    ensemble = Ensemble(members).fit(frame.to_numpy(), y)
    assert ensemble.predict(frame.to_numpy())[y].mean() > 0.5


def test_a_sentence_names_the_rarity_the_loudest_member_and_what_it_saw():
    frame, y = rows()
    ensemble = Ensemble(MEMBERS).fit(frame, y)
    far, odd = ensemble.explain(pl.DataFrame({"a": [9.0, 0.0], "b": [0.0, 5.0]}))
    assert far.endswith("loudest distance (1.23%): a is 9.0")
    assert "of normal rows are as abnormal to 2 detectors together" in far
    assert odd.endswith("loudest recaller (1.23%)")


@pytest.mark.parametrize("method", ["fisher", "min", "mean"])
def test_a_subset_is_what_would_have_been_fitted_of_these_members_alone(method):
    frame, y = rows()
    weight = np.random.default_rng(1).integers(0, 3, len(y))
    both = Ensemble({"one": Distance("a"), "two": Distance("b")}, method=method, seed=2).fit(frame, y, weight)
    alone = Ensemble({"two": Distance("b")}, method=method, seed=2).fit(frame, y, weight)
    some = both.subset(["two"])
    np.testing.assert_array_equal(some.p_values(frame), alone.p_values(frame))
    assert some.members_["two"] is both.members_["two"]
    assert list(both.members_) == ["one", "two"]
    with pytest.raises(SettingsError, match="must name some of 'one', 'two', found"):
        both.subset(["three"])
    with pytest.raises(SettingsError, match="must name some of"):
        both.subset([])


def test_no_rows_give_no_answers():
    frame, y = rows()
    ensemble = Ensemble(MEMBERS).fit(frame, y)
    empty = frame[:0]
    assert ensemble.explain(empty) == []
    assert ensemble.p_values(empty).shape == ensemble.score_samples(empty).shape == (0,)
    assert ensemble.member_scores(empty).shape == (0, 2)
    assert ensemble.predict(frame[:1]).shape == (1,)


@given(seed=st.integers(0, 10_000), method=st.sampled_from(["fisher", "min", "mean"]), share=st.floats(0.1, 0.9))
@settings(deadline=None, max_examples=25)
def test_p_values_are_probabilities_whatever_the_rows(seed, method, share):
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame({"a": rng.choice([0.0, 1.0, 1e300, -5.0], size=30), "b": rng.normal(size=30)})
    groups = np.arange(30)
    ensemble = Ensemble({"one": Distance("a"), "two": Distance("b")}, method=method, held_out=share, seed=seed)
    p_values = ensemble.fit(frame, groups=groups).p_values(frame)
    assert ((p_values > 0) & (p_values <= 1)).all()


def test_an_ensemble_can_be_cloned_and_repeats_itself():
    frame, y = rows()
    ensemble = Ensemble(MEMBERS, held_out=3, seed=5)
    np.testing.assert_array_equal(ensemble.fit(frame, y).p_values(frame), clone(ensemble).fit(frame, y).p_values(frame))


@pytest.mark.parametrize("held_out", [0.0, 1.0, 1, -2, True, float("nan")])
def test_a_division_that_means_nothing_is_refused(held_out):
    with pytest.raises(SettingsError, match="held_out must be a share between 0 and 1 or a number of folds"):
        Ensemble(MEMBERS, held_out=held_out).fit(*rows())


def test_what_cannot_be_fitted_is_refused():
    frame, y = rows()
    with pytest.raises(SettingsError, match="found none"):
        Ensemble({}).fit(frame, y)
    with pytest.raises(DataError, match="'recaller' learn from labels, found no anomaly"):
        Ensemble(MEMBERS).fit(frame)
    with pytest.raises(DataError, match="found none in 440 rows"):
        Ensemble(MEMBERS).fit(frame, np.ones(440, dtype=bool))
    with pytest.raises(DataError, match="Recaller must take weights"):
        Ensemble(MEMBERS).fit(frame, y, weight=np.ones(440))
    with pytest.raises(DataError, match="given for each of 440 rows, found 3"):
        Ensemble(MEMBERS).fit(frame, y, groups=[1, 2, 3])
    with pytest.raises(DataError, match="must be one of fisher, min, mean"):
        Ensemble(MEMBERS, method="max").fit(frame, y)
