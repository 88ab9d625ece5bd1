"""The zoo: what it declares, that every pipeline reads tables, tells classes apart, and is stored whole."""

import pickle

import numpy as np
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.utils.validation import has_fit_parameter

from tests.unit.loading import refused
from utils.classifiers import adapters, spaces, zoo
from utils.classifiers.adapters import BinnedBernoulli, BoundedNeighbours, BoundedVectors, sampled_rows
from utils.datasets.contract import Roles
from utils.errors import SettingsError
from utils.evaluation import metrics
from utils.evaluation.scoring import abnormality

PUBLISHED = (
    "bagging",
    "random forest",
    "xgboost",
    "extra trees",
    "nearest neighbours",
    "decision tree",
    "gradient boosting",
    "gaussian nb",
    "logistic regression",
    "svc",
    "adaboost",
    "multinomial nb",
    "bernoulli nb",
)
OTHERS = ("dummy", "hist gradient boosting", "lightgbm", "dense network")
SLOW = {
    "dense network": {"epochs": 15},
    "lightgbm": {"n_estimators": 40, "min_child_samples": 3},
    "extra trees": {"max_features": 1.0},
}
COLUMNS = ["bytes", "größe (kB)", "protocol", "sometimes", "constant"]


def flows(rows, seed=0):
    """Three kinds of rows with a heavy tail, a nominal column, gaps and a constant."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(["flood", "normal", "scan"], rows, p=[0.2, 0.6, 0.2])
    shift = np.where(kind == "flood", 2.5, 0.0)
    frame = pl.DataFrame(
        {
            "bytes": rng.lognormal(5 + shift, 1.0),
            "größe (kB)": rng.normal(3.0 * (kind == "scan"), 1.0),
            "protocol": np.where(kind == "flood", "udp", rng.choice(["tcp", "icmp"], rows)),
            "sometimes": rng.normal(size=rows),
            "constant": np.ones(rows),
            "kind": kind,
        }
    )
    gaps = pl.Series(rng.random(rows) < 0.1)
    return frame.with_columns(
        pl.when(~gaps).then("sometimes").alias("sometimes"), (pl.col("kind") != "normal").alias("y")
    )


@pytest.fixture(scope="module")
def data():
    return flows(300), flows(200, seed=1)


def make(name, **parameters):
    return zoo.pipeline(name, seed=1, columns=COLUMNS, **(SLOW.get(name, {}) | parameters))


@pytest.fixture(scope="module")
def fitted(data):
    return {name: make(name).fit(data[0], data[0]["y"].to_numpy()) for name in zoo.ZOO}


def test_the_table_declares_the_thirteen_and_four_more():
    assert tuple(zoo.ZOO) == PUBLISHED + OTHERS
    assert [name for name, each in zoo.ZOO.items() if each.published] == list(PUBLISHED)
    scores = [zoo.ZOO[name].f1 for name in PUBLISHED]
    assert scores == sorted(scores, reverse=True)
    assert (scores[0], scores[-1]) == (0.9931, 0.1195)
    table = zoo.table()
    assert table["model"].to_list() == list(zoo.ZOO)
    assert table.filter(pl.col("published F1").is_null())["model"].to_list() == list(OTHERS)
    assert dict(table.drop_nulls("most rows").select("model", "most rows").iter_rows()) == {
        "nearest neighbours": BoundedNeighbours.most_rows,
        "svc": BoundedVectors.most_rows,
    }
    assert not table["source"].str.len_chars().eq(0).any()


@pytest.mark.parametrize("name", zoo.ZOO)
def test_spaces_name_parameters_that_the_classifier_has(name):
    choice = zoo.ZOO[name]
    made = choice.make(0, 1)
    assert set(choice.space) <= set(made.get_params())
    for point in (0, -1):
        drawn = {key: values[point] for key, values in spaces.grid(choice.space, 2).items()}
        assert str(choice.classifier(0, 1, **drawn).get_params()) == str(clone(made).set_params(**drawn).get_params())
    assert bool(choice.space) == (name != zoo.DUMMY)
    assert has_fit_parameter(made, "sample_weight") == choice.weights


def test_each_gets_the_preprocessing_that_it_needs():
    words = dict(zoo.table().select("model", "columns become").iter_rows())
    assert words["random forest"] == "as they are, codes of categories"
    assert words["lightgbm"] == words["xgboost"] == words["hist gradient boosting"]
    assert "missing values kept" in words["lightgbm"]
    assert "standardised" in words["svc"]
    assert words["multinomial nb"] == "ranks in 0..1, one-hot"


@pytest.mark.parametrize("name", [name for name in zoo.ZOO if name != zoo.DUMMY])
def test_two_classes_are_told_apart_on_new_rows(name, fitted, data):
    assert metrics.roc_auc(data[1]["y"], abnormality(fitted[name], data[1])) > 0.75
    assert fitted[name].predict(data[1]).dtype == bool


def test_the_dummy_says_the_most_frequent_class(fitted, data):
    assert not fitted["dummy"].predict(data[1]).any()
    assert len(set(abnormality(fitted["dummy"], data[1]))) == 1


@pytest.mark.parametrize("name", zoo.ZOO)
def test_three_classes_are_texts_in_and_out(name, data):
    learned, new = data
    model = make(name).fit(learned, learned["kind"].to_numpy())
    said = model.predict(new)
    assert list(model.classes_) == ["flood", "normal", "scan"]
    assert set(said) <= {"flood", "normal", "scan"}
    assert (said == new["kind"].to_numpy()).mean() > (0.5 if name == zoo.DUMMY else 0.7)


@pytest.mark.parametrize("name", zoo.ZOO)
def test_a_stored_pipeline_says_the_same(name, fitted, data):
    again = pickle.loads(pickle.dumps(fitted[name]))
    np.testing.assert_array_equal(abnormality(again, data[1]), abnormality(fitted[name], data[1]))


@pytest.mark.parametrize("name", ["random forest", "extra trees", "xgboost", "adaboost", "bagging"])
def test_the_same_seed_gives_the_same_scores_whatever_the_threads(name, fitted, data):
    again = zoo.pipeline(name, seed=1, threads=2, columns=COLUMNS, **SLOW.get(name, {}))
    again.fit(data[0], data[0]["y"].to_numpy())
    np.testing.assert_allclose(abnormality(again, data[1]), abnormality(fitted[name], data[1]), atol=1e-9)


@pytest.mark.parametrize("name", [name for name, each in zoo.ZOO.items() if each.weights and name != zoo.DUMMY])
def test_weights_reach_the_classifier(name, fitted, data):
    heavy = np.where(data[0]["y"].to_numpy(), 50, 1)
    model = make(name).fit(data[0], data[0]["y"].to_numpy(), classifier__sample_weight=heavy)
    assert not np.array_equal(abnormality(model, data[1]), abnormality(fitted[name], data[1]))


def test_columns_come_from_roles_too(data):
    roles = Roles("flow", features=("bytes", "protocol"), label="y")
    model = zoo.pipeline("decision tree", roles=roles).fit(data[0], data[0]["y"].to_numpy())
    assert model["features"].feature_names_in_.tolist() == ["bytes", "protocol"]


@pytest.mark.parametrize("name", zoo.ZOO)
def test_odd_tables_are_learned_from(name):
    odd = pl.DataFrame(
        {
            "huge": [1e300, -1e308, 0.0, 5.0] * 8,
            "nothing": [None] * 32,
            "rare text": ["a"] * 31 + ["b"],
            "holes": [None, 1.0, float("nan"), float("inf")] * 8,
        },
        schema_overrides={"nothing": pl.Float64},
    )
    y = np.arange(32) % 4 == 3
    model = zoo.pipeline(name, **({"epochs": 2} if name == "dense network" else {})).fit(odd, y)
    unseen = odd.head(2).with_columns(pl.Series("rare text", ["c", None]), pl.Series("holes", [None, -1e308]))
    assert np.isfinite(abnormality(model, unseen)).all()


def test_unknown_names_and_parameters_are_refused():
    refused(lambda: zoo.pipeline("forest"), "random forest", "'forest'", error=SettingsError)
    refused(lambda: zoo.pipeline("svc", depth=3), "svc", "depth", "gamma", error=SettingsError)


def test_parameters_are_set():
    assert zoo.pipeline("adaboost", estimator__max_depth=7)["classifier"].estimator.max_depth == 7
    assert zoo.pipeline("random forest", 3, 2, n_estimators=7)["classifier"].get_params()["n_estimators"] == 7


class TestSampledRows:
    def test_all_rows_where_they_are_few(self):
        assert sampled_rows(["a", "b", "a"], 3).tolist() == [0, 1, 2]

    def test_classes_keep_their_shares_and_rare_ones_two_rows(self):
        classes = np.repeat([0, 1, 2, 3], [900, 90, 9, 1])
        kept = sampled_rows(classes, 100, seed=5)
        assert np.bincount(classes[kept]).tolist() == [88, 9, 2, 1]
        assert len(kept) == 100
        assert (np.diff(kept) > 0).all()
        assert sampled_rows(classes, 100, seed=5).tolist() == kept.tolist()
        assert sampled_rows(classes, 100, seed=6).tolist() != kept.tolist()

    def test_many_small_classes_are_more_than_wanted(self):
        assert len(sampled_rows(np.repeat(np.arange(50), 3), 20)) == 100


class TestBounded:
    @pytest.mark.parametrize("kind", [BoundedNeighbours, BoundedVectors])
    def test_no_more_rows_are_learned_than_stated(self, kind, monkeypatch):
        monkeypatch.setattr(kind, "most_rows", 40)
        rng = np.random.default_rng(0)
        y = rng.random(300) < 0.2
        X = rng.normal(size=(300, 3)) + 4 * y[:, None]
        model = clone(kind()).fit(X, y)
        assert model.n_learned_ == 40
        assert (model.predict(X) == y).mean() > 0.95
        monkeypatch.setattr(kind, "most_rows", 1_000)
        assert kind().fit(X, y).n_learned_ == 300

    def test_weights_follow_the_rows(self, monkeypatch):
        monkeypatch.setattr(BoundedVectors, "most_rows", 30)
        rng = np.random.default_rng(1)
        X, y = rng.normal(size=(90, 2)), np.arange(90) % 3 == 0
        plain = BoundedVectors().fit(X, y).decision_function(X)
        assert np.array_equal(BoundedVectors().fit(X, y, np.ones(90)).decision_function(X), plain)
        assert not np.array_equal(BoundedVectors().fit(X, y, np.where(y, 9.0, 1.0)).decision_function(X), plain)


def test_bins_hold_what_the_middle_cannot():
    """The class is rare values at both ends: no cut in the middle finds it."""
    rng = np.random.default_rng(0)
    X = rng.random((600, 1))
    y = np.abs(X[:, 0] - 0.5) > 0.4
    found = BinnedBernoulli().fit(X, y)
    assert (found.predict(X) == y).mean() > 0.95
    assert (BinnedBernoulli(2).fit(X, y).predict(X) == y).mean() < 0.85
    assert found.predict_proba([[-3.0], [2.0]])[:, 1].min() > 0.5
    assert adapters.BinnedBernoulli(5)._binned([[0.0, 0.99], [0.5, 1.0]]).sum(axis=1).tolist() == [2, 2]
