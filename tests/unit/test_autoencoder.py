"""The autoencoder: what it learns, that it is the same for a seed, and what it leaves alone in the process."""

import os
import pickle
import random
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from tests.unit.loading import refused
from utils.detectors.networks import HELD_OUT, LEAST_DRAWN, Rows, dense_layers, environment, held_out_parts
from utils.detectors.outliers import Autoencoder
from utils.detectors.outliers.autoencoder import _activations
from utils.errors import SettingsError

SMALL = {"sizes": (16, 3, 16), "epochs": 12}
FEATURES = 10


def rows(count, seed, shape=0):
    """Standardised rows near a curved surface of two dimensions among ten."""
    axes, rng = np.random.default_rng(shape).normal(size=(5, FEATURES)), np.random.default_rng(seed)
    inner = rng.normal(size=(count, 2))
    bent = np.column_stack([inner, inner[:, 0] ** 2, inner[:, 0] * inner[:, 1], np.sin(2 * inner[:, 1])])
    made = bent @ axes + 0.05 * rng.normal(size=(count, FEATURES))
    return made / np.linalg.norm(axes, axis=0)


@pytest.fixture(scope="module")
def fitted():
    return Autoencoder(**SMALL, seed=3).fit(rows(1_500, 1))


def broken(values, seed=5):
    """Each feature drawn anew from some other row: the ranges are right, the company is wrong."""
    return np.random.default_rng(seed).permuted(values, axis=0)


def test_it_learns_what_a_plane_cannot_hold(fitted):
    new = rows(500, 2)
    scores = np.concatenate([fitted.score_samples(new), fitted.score_samples(broken(new))])
    assert roc_auc_score(np.repeat([0, 1], 500), scores) > 0.9
    assert fitted.history_[-1] < 0.5 * fitted.history_[0]
    assert fitted.history_[fitted.n_epochs_ - 1] == min(fitted.history_)


def test_contributions_are_the_squared_residuals(fitted):
    new = broken(rows(50, 2))
    scaled = (new - fitted.centre_) / fitted.scale_
    squares = (scaled - fitted._copied(scaled)) ** 2
    np.testing.assert_allclose(fitted.score_samples(new), squares.mean(axis=1), rtol=1e-9)
    above = fitted.score_samples(new) > fitted.usual_score_
    assert above.sum() > 30
    expected = squares / squares.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fitted.contributions(new)[above], expected[above], atol=1e-12)


def test_a_feature_that_does_not_fit_the_others_is_named(fitted):
    new = rows(40, 4)
    new[:, 6] += 6
    assert (fitted.contributions(new).argmax(axis=1) == 6).mean() > 0.9


def test_the_copy_of_numpy_is_that_of_the_keras_model(fitted):
    import keras

    model = dense_layers(keras, FEATURES, (*SMALL["sizes"], FEATURES), _activations(SMALL["sizes"]), 0)
    assert [layer.activation.__name__ for layer in model.layers] == ["relu", "linear", "relu", "linear"]
    model.set_weights([part for layer in fitted.weights_ for part in layer])
    scaled = (rows(60, 2) - fitted.centre_) / fitted.scale_
    within = np.clip(scaled, fitted.low_, fitted.high_).astype(np.float32)
    np.testing.assert_allclose(fitted._copied(scaled), model.predict(within, verbose=0), atol=1e-4)


def test_the_same_seed_gives_the_same_network_and_another_seed_another(fitted):
    values, new = rows(1_500, 1), rows(30, 2)
    again = Autoencoder(**SMALL, seed=3).fit(values)
    np.testing.assert_array_equal(again.score_samples(new), fitted.score_samples(new))
    shuffled = Autoencoder(**SMALL, seed=3).fit(values[::-1])
    np.testing.assert_allclose(shuffled.score_samples(new), fitted.score_samples(new), rtol=1e-6)
    other = Autoencoder(**SMALL, seed=4).fit(values)
    assert not np.allclose(other.score_samples(new), fitted.score_samples(new), rtol=1e-3)


def test_other_models_of_the_process_are_left_alone():
    import keras
    import tensorflow as tf

    mine = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    before, level = mine.predict(np.ones((2, 3)), verbose=0), tf.get_logger().level
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - the generator that must not move
    tf.random.set_seed(0)
    states = random.getstate(), np.random.get_state()[1].tolist(), tf.random.uniform(())  # noqa: NPY002
    tf.random.set_seed(0)
    Autoencoder(sizes=(4,), epochs=1).fit(rows(60, 0))
    assert random.getstate() == states[0]
    assert np.random.get_state()[1].tolist() == states[1]  # noqa: NPY002
    assert tf.random.uniform(()) == states[2]
    assert tf.get_logger().level == level
    np.testing.assert_array_equal(mine.predict(np.ones((2, 3)), verbose=0), before)


def test_weights_are_repeated_rows():
    values = rows(300, 1)
    weight = np.where(np.arange(300) < 150, 3, 1)
    settings = {"sizes": (8, 3, 8), "epochs": 3, "seed": 1}
    weighted = Autoencoder(**settings).fit(values, sample_weight=weight)
    repeated = Autoencoder(**settings).fit(np.repeat(values, weight, axis=0))
    np.testing.assert_array_equal(weighted.score_samples(values), repeated.score_samples(values))
    plain = Autoencoder(**settings).fit(values)
    assert not np.array_equal(plain.score_samples(values), weighted.score_samples(values))


def test_an_epoch_draws_rows_as_often_as_they_count():
    counts = np.array([1.0, 1, 1, 1, 4_000, 1, 1, 1])
    learned = np.array([0, 1, 2, 4])
    few = Rows(np.zeros((8, 2), np.float32), counts, learned, np.array([3]), 256)
    order = few.order(np.random.default_rng(0))
    assert len(order) == few.steps * 256 == LEAST_DRAWN
    assert np.bincount(order, minlength=4)[3] >= LEAST_DRAWN - 4
    equal = Rows(np.zeros((9_000, 1), np.float32), np.ones(9_000), np.arange(9_000), np.array([0]), 1_000)
    assert sorted(equal.order(np.random.default_rng(1)).tolist()) == list(range(9_000))


def test_few_rows_equal_rows_and_constant_features():
    for values in (np.ones((1, 3)), np.ones((5, 2)), rows(7, 0), np.column_stack([np.zeros(60), rows(60, 0)])):
        found = Autoencoder(sizes=(4, 2, 4), epochs=2).fit(values)
        assert np.isfinite(found.score_samples(values)).all()
    odd = np.column_stack([np.full(60, 9.0), rows(60, 0)])
    assert (found.score_samples(odd) > found.score_samples(values)).all()
    assert (found.contributions(odd)[:, 0] > 0.5).all()


def test_huge_values_give_numbers(fitted):
    new = rows(3, 2)
    new[0, 0], new[1, 1], new[2] = 1e30, -1e308, 1e300
    scores = fitted.score_samples(new)
    assert np.isfinite(scores).all()
    assert (scores > 1e30).all()
    shares = fitted.contributions(new)
    assert shares[0].argmax() == 0
    assert shares[1].argmax() == 1
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    learned = Autoencoder(sizes=(4, 2, 4), epochs=2).fit(np.vstack([rows(80, 0), new]))
    assert np.isfinite(learned.score_samples(np.vstack([rows(80, 0), new]))).all()


def test_a_value_beyond_training_is_never_copied(fitted):
    new = rows(1, 2)
    scores = []
    for beyond in (10, 100, 1_000):
        far = new.copy()
        far[0] *= beyond
        scores.append(fitted.score_samples(far)[0])
    assert scores[0] < scores[1] < scores[2]
    assert scores[2] > 1e4


def test_a_row_scores_the_same_alone(fitted):
    new = rows(40, 9)
    together = fitted.score_samples(new)
    alone = np.array([fitted.score_samples(new[place : place + 1])[0] for place in range(40)])
    np.testing.assert_allclose(alone, together, rtol=1e-12)


def test_training_stops_when_held_out_rows_say_so():
    noise = np.random.default_rng(0).normal(size=(60, 6))
    found = Autoencoder(sizes=(64, 64), epochs=200, patience=2, learning_rate=0.02).fit(noise)
    assert len(found.history_) < 200
    assert len(found.history_) == found.n_epochs_ + 2
    assert found.history_[found.n_epochs_ - 1] == min(found.history_)


def test_progress_is_told_and_not_kept():
    told = []
    found = Autoencoder(sizes=(4,), epochs=3, patience=9, progress=lambda *told_now: told.append(told_now))
    found.fit(rows(60, 0))
    assert [(epoch, most) for epoch, most, _ in told] == [(1, 3), (2, 3), (3, 3)]
    assert [error for _, _, error in told] == found.history_
    stored = pickle.loads(pickle.dumps(found))
    assert stored.progress is None
    np.testing.assert_array_equal(stored.score_samples(rows(9, 1)), found.score_samples(rows(9, 1)))


def test_most_points_are_a_draw_of_the_distinct_rows():
    found = Autoencoder(sizes=(4,), epochs=1, most_points=50).fit(rows(200, 0))
    assert (found.n_learned_, found.n_distinct_, found.n_rows_) == (50, 200, 200)
    assert Autoencoder(sizes=(4,), epochs=1, most_points=None).fit(rows(99, 0)).n_learned_ == 99


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sizes", ()),
        ("sizes", (8, 0, 8)),
        ("epochs", 0),
        ("batch", 2.5),
        ("patience", 0),
        ("most_points", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
    ],
)
def test_parameters_out_of_range_are_refused(name, value):
    refused(lambda: Autoencoder(**{name: value}).fit(np.ones((3, 2))), name, "Autoencoder", error=SettingsError)


def test_clones_and_parameters():
    found = clone(Autoencoder((9, 2, 9), epochs=7, seed=5))
    assert found.get_params() == Autoencoder((9, 2, 9), epochs=7, seed=5).get_params()


def test_a_tenth_is_held_out_where_there_are_enough():
    learned, held_out = held_out_parts(1_000, np.random.default_rng(0))
    assert len(held_out) == HELD_OUT * 1_000
    assert sorted([*learned, *held_out]) == list(range(1_000))
    few = held_out_parts(5, np.random.default_rng(0))
    assert few[0].tolist() == few[1].tolist() == [0, 1, 2, 3, 4]


def test_the_environment_is_put_back(monkeypatch):
    monkeypatch.setenv("SOME_SWITCH", "before")
    monkeypatch.delenv("OTHER_SWITCH", raising=False)
    with environment({"SOME_SWITCH": "1", "OTHER_SWITCH": "2"}):
        assert (os.environ["SOME_SWITCH"], os.environ["OTHER_SWITCH"]) == ("1", "2")
    assert os.environ["SOME_SWITCH"] == "before"
    assert "OTHER_SWITCH" not in os.environ


def in_a_new_process(script, folder):
    ran = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    return ran.stdout


def test_a_new_process_scores_without_tensorflow(fitted, tmp_path):
    new = rows(5, 2)
    (tmp_path / "fitted.pkl").write_bytes(pickle.dumps(fitted))
    np.save(tmp_path / "rows.npy", new)
    script = """
import pickle, sys
import numpy as np
fitted = pickle.load(open("fitted.pkl", "rb"))
np.save("scores.npy", fitted.score_samples(np.load("rows.npy")))
assert not {"tensorflow", "keras"} & set(sys.modules)
"""
    assert in_a_new_process(script, tmp_path) == ""
    np.testing.assert_allclose(np.load(tmp_path / "scores.npy"), fitted.score_samples(new), rtol=1e-12)


@pytest.mark.slow
def test_a_new_process_trains_without_a_word_and_gets_its_switches_back(tmp_path):
    script = """
import os, sys
import numpy as np
from utils.detectors.outliers import Autoencoder
assert "tensorflow" not in sys.modules
os.environ.pop("TF_CPP_MIN_LOG_LEVEL", None)
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
for _ in range(6):
    Autoencoder(sizes=(4,), epochs=1).fit(np.random.default_rng(0).normal(size=(30, 2)))
assert "tensorflow" in sys.modules
assert "TF_CPP_MIN_LOG_LEVEL" not in os.environ
assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "1"
"""
    assert in_a_new_process(script, tmp_path) == ""
