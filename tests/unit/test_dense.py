"""The dense network: what it learns, that a seed gives one network everywhere, and what it leaves alone."""

import pickle
import random
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from tests.unit.loading import refused
from utils.classifiers.dense import DenseClassifier, _log_softmax, _parts
from utils.detectors.networks import forward
from utils.errors import DataError, SchemaError, SettingsError

SMALL = {"sizes": (16, 8), "epochs": 20, "seed": 3}
FEW = {"sizes": (4,), "epochs": 1}


def rows(count, seed):
    """Rings around the origin: no single column tells the classes apart."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, 3))
    names = np.array(["inner", "middle", "outer"])
    return points, names[np.digitize(np.linalg.norm(points[:, :2], axis=1), [0.8, 1.6])]


@pytest.fixture(scope="module")
def fitted():
    return DenseClassifier(**SMALL).fit(*rows(600, 1))


def test_it_learns_what_a_line_cannot_tell(fitted):
    X, y = rows(300, 2)
    assert (fitted.predict(X) == y).mean() > 0.9
    assert fitted.classes_.tolist() == ["inner", "middle", "outer"]
    probabilities = fitted.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert fitted.history_[fitted.n_epochs_ - 1] == min(fitted.history_) < 0.5 * fitted.history_[0]


def test_the_error_that_stops_training_is_the_cross_entropy_of_the_held_out_rows(fitted):
    X, y = rows(600, 1)
    codes = np.searchsorted(fitted.classes_, y)
    scaled = (X - fitted.centre_) / fitted.scale_
    logits = forward(scaled, fitted.layers_, ["relu", "relu", "linear"])
    each = -_log_softmax(logits)[np.arange(600), codes]
    assert 0.3 * each.mean() < min(fitted.history_) < 3 * each.mean()
    np.testing.assert_allclose(np.exp(-each), fitted.predict_proba(X)[np.arange(600), codes])


def test_two_classes_may_be_truth_values():
    X, y = rows(300, 1)
    model = DenseClassifier(**SMALL).fit(X, y == "inner")
    assert model.classes_.tolist() == [False, True]
    assert model.predict(X).dtype == bool
    assert model.predict_proba(X).shape == (300, 2)


def test_the_same_seed_gives_the_same_network_and_another_seed_another(fitted):
    X, y = rows(600, 1)
    again = clone(fitted).fit(X[::-1], y[::-1])
    np.testing.assert_allclose(again.predict_proba(X), fitted.predict_proba(X), rtol=1e-6)
    other = DenseClassifier(**SMALL | {"seed": 4}).fit(X, y)
    assert not np.allclose(other.predict_proba(X), fitted.predict_proba(X), rtol=1e-2)


@pytest.mark.slow
def test_a_new_process_gets_the_same_scores_and_a_stored_network_needs_no_tensorflow(fitted, tmp_path):
    X, y = rows(600, 1)
    np.savez(tmp_path / "rows.npz", X=X, y=y)
    (tmp_path / "fitted.pkl").write_bytes(pickle.dumps(fitted))
    script = """
import pickle, sys
import numpy as np
given = np.load("rows.npz")
stored = pickle.load(open("fitted.pkl", "rb"))
scores = stored.predict_proba(given["X"])
assert not {"tensorflow", "keras"} & set(sys.modules)
from sklearn.base import clone
again = clone(stored).fit(given["X"], given["y"]).predict_proba(given["X"])
np.savez("scores.npz", stored=scores, again=again)
"""
    ran = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    found = np.load(tmp_path / "scores.npz")
    np.testing.assert_array_equal(found["stored"], fitted.predict_proba(X))
    np.testing.assert_array_equal(found["again"], fitted.predict_proba(X))


def test_generators_of_the_process_are_left_alone():
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - the generator that must not move
    states = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    DenseClassifier(**FEW).fit(*rows(60, 0))
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states  # noqa: NPY002


def test_weights_are_repeated_rows_and_none_is_left_out():
    X, y = rows(120, 1)
    weight = np.where(np.arange(120) < 50, 3, 1)
    weighted = DenseClassifier(**FEW).fit(X, y, sample_weight=weight).predict_proba(X)
    repeated = DenseClassifier(**FEW).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight)).predict_proba(X)
    np.testing.assert_array_equal(weighted, repeated)
    kept = np.arange(120) < 100
    without = DenseClassifier(**FEW).fit(X, y, sample_weight=kept.astype(int)).predict_proba(X)
    np.testing.assert_array_equal(without, DenseClassifier(**FEW).fit(X[kept], y[kept]).predict_proba(X))


def test_values_beyond_training_count_as_the_outermost(fitted):
    outermost = fitted.centre_ + fitted.scale_ * fitted.high_
    far = np.vstack([outermost, outermost + 10, np.full(3, 1e300)])
    np.testing.assert_allclose(fitted.predict_proba(far), np.repeat(fitted.predict_proba(far[:1]), 3, axis=0))


def test_few_rows_constant_columns_and_equal_rows_of_two_classes():
    for X in (np.ones((4, 2)), np.column_stack([np.zeros(30), np.arange(30.0)]), np.full((6, 1), 1e300)):
        y = np.arange(len(X)) % 2 == 0
        found = DenseClassifier(**FEW).fit(X, y).predict_proba(X)
        assert np.isfinite(found).all()
        assert found.shape == (len(X), 2)


def test_held_out_rows_are_of_every_class_that_can_spare_some():
    codes = np.repeat([0, 1, 2], [200, 40, 3])
    learned, held_out = _parts(codes, np.random.default_rng(0))
    assert np.bincount(codes[held_out], minlength=3).tolist() == [20, 4, 0]
    assert sorted([*learned, *held_out]) == list(range(243))
    few = _parts(codes[-10:], np.random.default_rng(0))
    assert few[0].tolist() == few[1].tolist() == list(range(10))


def test_progress_is_told_and_not_kept():
    told = []
    found = DenseClassifier((4,), epochs=3, patience=9, progress=lambda *now: told.append(now)).fit(*rows(60, 0))
    assert [(epoch, most) for epoch, most, _ in told] == [(1, 3), (2, 3), (3, 3)]
    assert [error for _, _, error in told] == found.history_
    assert pickle.loads(pickle.dumps(found)).progress is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("sizes", ()), ("sizes", (8, 0)), ("epochs", 0), ("batch", 2.5), ("patience", True), ("learning_rate", 0.0)],
)
def test_parameters_out_of_range_are_refused(name, value):
    refused(lambda: DenseClassifier(**{name: value}).fit(*rows(9, 0)), name, "DenseClassifier", error=SettingsError)


def test_what_cannot_be_learned_or_scored_is_refused(fitted):
    X, y = rows(30, 0)
    refused(lambda: DenseClassifier().fit(X, ["one"] * 30), "two classes", error=DataError)
    refused(lambda: DenseClassifier().fit(X, y[:20]), "20 classes for 30 rows", error=DataError)
    refused(lambda: DenseClassifier().fit(X, [None, *y[1:]]), "1 of them missing", error=DataError)
    refused(lambda: DenseClassifier().fit(X[:, :0], y), "at least one column")
    refused(lambda: DenseClassifier().fit(np.where(X > 0, np.nan, X), y), "finite", error=DataError)
    refused(lambda: fitted.predict_proba(X[:, :2]), "3 columns", "found 2", error=SchemaError)
    with pytest.raises(NotFittedError):
        DenseClassifier().predict(X)
