"""The network with two inputs: tiny networks on generated sessions; the only unit tests here that import Keras."""

import pickle
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from utils.detectors import networks, two_input
from utils.detectors.two_input import TwoInput, with_labels
from utils.errors import DataError, SchemaError, SettingsError
from utils.evaluation import metrics
from utils.features import log_sessions

TINY = {"width": 3, "units": 4, "embedding": 3, "hidden": 6, "epochs": 8, "batch": 64, "learning_rate": 0.03}


def table(lists, dtype=pl.String, **columns):
    return pl.DataFrame({"events": pl.Series(lists, dtype=pl.List(dtype)), **columns})


def sessions(n=200, seed=0):
    """Normal sessions close what they open; anomalous ones read after the close."""
    rng = np.random.default_rng(seed)
    anomalous = rng.random(n) < 0.2
    reads = rng.integers(0, 5, n)
    lists = [
        ["open", *["read"] * count, "close", *(["read"] * (1 + count % 2) if odd else [])]
        for count, odd in zip(reads.tolist(), anomalous.tolist(), strict=True)
    ]
    return table(lists, is_anomaly=anomalous)


@pytest.fixture(scope="module")
def known():
    return sessions()


@pytest.fixture(scope="module")
def fitted(known):
    heard = []
    model = TwoInput(**TINY, progress=lambda *told: heard.append(told)).fit(known, known["is_anomaly"])
    model.heard = heard
    return model


def test_order_tells_anomalous_sessions_apart(fitted, known):
    scores = fitted.score_samples(known)
    assert scores.dtype == np.float64
    assert ((scores >= 0) & (scores <= 1)).all()
    assert metrics.roc_auc(known["is_anomaly"], scores) > 0.99


def test_course_of_training_is_kept(fitted):
    assert len(fitted.history_) == len(fitted.heard) == 8 or fitted.n_epochs_ < len(fitted.history_)
    assert fitted.history_[fitted.n_epochs_ - 1] == min(fitted.history_)
    assert [told[:2] for told in fitted.heard] == [(place + 1, 8) for place in range(len(fitted.history_))]
    assert fitted.n_sessions_ == 200


def test_windows_are_the_steps_of_every_session(fitted, known):
    asked = known.head(7)
    windows = fitted.windows(asked, asked["is_anomaly"])
    lengths = asked["events"].list.len() + 1
    assert windows.columns == ["session", "position", "label", "probability"]
    assert windows["session"].to_list() == np.repeat(np.arange(7), lengths.to_numpy()).tolist()
    assert windows["position"].to_list() == [place for length in lengths for place in range(length)]
    assert windows["label"].equals(asked["is_anomaly"].gather(windows["session"]), check_names=False)
    highest = windows.group_by("session", maintain_order=True).agg(pl.col("probability").max())
    np.testing.assert_array_equal(highest["probability"], fitted.score_samples(asked))


def test_windows_without_labels_have_none(fitted, known):
    assert fitted.windows(known.head(2))["label"].null_count() == fitted.windows(known.head(2)).height
    with pytest.raises(DataError, match="one a row"):
        fitted.windows(known.head(2), [True])


def test_steps_before_the_odd_one_are_less_probable(fitted):
    windows = fitted.windows(table([["open", "read", "close", "read"]]))
    chance = dict(zip(windows["position"], windows["probability"], strict=True))
    assert chance[3] > 0.8
    assert chance[0] < 0.7


def test_sentence_names_the_step(fitted):
    told = fitted.explain(table([["open", "read", "close", "read"], ["open", "close"], ["strange"]]))
    assert "after" in told[0]
    assert "event close" in told[0]
    assert all("of an anomaly" in each for each in told)


def test_numpy_gives_what_keras_gives(fitted):
    rng = np.random.default_rng(0)
    windows = rng.integers(0, fitted.vocabulary_.size, (20, 4)).astype(np.int32)
    for cell in ("lstm", "gru"):
        with networks.quiet_keras() as keras:
            model = two_input._model(keras, two_input._Design(fitted.vocabulary_.size, 3, cell, 4, 3, 6), 1)
            logits = model([windows[:, :-1], windows[:, -1:]]).numpy()[:, 0]
            arrays = [np.array(variable.numpy()) for variable in model.trainable_variables]
        found = two_input._probabilities(windows, arrays, cell)
        np.testing.assert_allclose(found, 1 / (1 + np.exp(-logits)), atol=1e-6)


def test_distinct_sequences_with_weights_give_the_same_network(fitted, known):
    grouped = known.group_by("events", "is_anomaly", maintain_order=True).len()
    again = TwoInput(**TINY).fit(grouped, grouped["is_anomaly"], grouped["len"])
    np.testing.assert_allclose(again.score_samples(known), fitted.score_samples(known), atol=1e-6)


def test_rows_without_label_or_weight_are_left_out(fitted, known):
    more = table([["junk"] * 3] * 2, is_anomaly=[None, True])
    mixed = pl.concat([known, more.cast({"is_anomaly": pl.Boolean})])
    again = TwoInput(**TINY).fit(mixed, mixed["is_anomaly"], [1] * (known.height + 1) + [0])
    assert again.vocabulary_.events.to_list() == ["close", "open", "read"]
    np.testing.assert_allclose(again.score_samples(known), fitted.score_samples(known), atol=1e-6)


def test_pickle_scores_without_tensorflow_and_in_another_process(fitted, known, tmp_path):
    file = tmp_path / "model.pkl"
    fitted.heard = []
    file.write_bytes(pickle.dumps(fitted))
    known.head(9).write_parquet(tmp_path / "rows.parquet")
    code = (
        "import pickle, sys, polars as pl\n"
        f"model = pickle.load(open({str(file)!r}, 'rb'))\n"
        f"scores = model.score_samples(pl.read_parquet({str(tmp_path / 'rows.parquet')!r}))\n"
        "assert 'tensorflow' not in sys.modules and model.progress is None\n"
        "print([float(score) for score in scores])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    np.testing.assert_allclose(eval(told), fitted.score_samples(known.head(9)), rtol=1e-6)


def test_strange_sessions_are_scored(fitted):
    strange = table([[], None, ["never seen"], [None, "read"], ["read"] * 10_000])
    scores = fitted.score_samples(strange)
    assert np.isfinite(scores).all()
    assert scores[0] == scores[1]
    assert fitted.score_samples(strange[:0]).shape == (0,)
    assert fitted.windows(strange[:0]).height == 0
    assert fitted.explain(strange[:0]) == []


def test_few_sessions_can_be_learned_without_holding_any_back():
    few = table([["a", "b"], ["a", "c"]], is_anomaly=[False, True])
    model = TwoInput(**{**TINY, "epochs": 2, "cell": "gru", "width": 25}).fit(few, few["is_anomaly"])
    assert len(model.history_) == 2
    assert np.isfinite(model.score_samples(few)).all()


def test_held_back_sequences_stand_on_one_side():
    known = sessions(400, 3)
    seen = log_sessions.distinct(known, "events")
    classes = np.stack([np.bincount(seen.inverse, known["is_anomaly"] == side) for side in (False, True)])
    held = TwoInput()._held_out(classes)
    assert 0 < held.sum() < len(held) / 2
    lessons = two_input._lessons(seen.sequences, classes, held, 3, 0.5)
    assert lessons.weight.sum(axis=1) == pytest.approx([2.0, 2.0])
    learned = log_sessions.windows(seen.sequences.take(np.flatnonzero(~held)), 4)
    assert len(lessons.learned) == len(log_sessions.distinct_windows(learned).values)


def test_classes_weigh_the_same_and_counts_by_their_power():
    normal, anomalous = two_input._balanced([np.array([100.0, 0, 1]), np.array([0.0, 4, 4])], 0.5)
    assert normal == pytest.approx([10 / 11, 0, 1 / 11])
    assert anomalous == pytest.approx([0, 0.5, 0.5])


def test_forgotten_tokens_become_unseen_events():
    words = log_sessions.Vocabulary.fit(pl.Series([["a", "b"]]))
    windows = np.array([[words.begin, 0, 1, words.end]] * 500, dtype=np.int32)
    changed = two_input._Forgetful(words, 0.5)(windows, np.random.default_rng(0))
    assert (changed[:, [0, 3]] == windows[:, [0, 3]]).all()
    assert 0.4 < (changed[:, 1:3] == words.unseen).mean() < 0.6


@pytest.mark.parametrize(
    "wrong",
    [{"width": 0}, {"units": 1.5}, {"epochs": True}, {"cell": "rnn"}, {"power": 2}, {"forgotten": 0.9},
     {"learning_rate": 0}],
)  # fmt: skip
def test_parameters_are_checked(wrong, known):
    with pytest.raises(SettingsError, match="TwoInput"):
        TwoInput(**wrong).fit(known, known["is_anomaly"])


def test_bad_input_is_refused(fitted, known):
    with pytest.raises(NotFittedError):
        clone(fitted).score_samples(known)
    with pytest.raises(DataError, match="give y"):
        TwoInput().fit(known)
    with pytest.raises(DataError, match="both needed"):
        TwoInput().fit(known, [True] * known.height)
    with pytest.raises(DataError, match="found none in"):
        TwoInput().fit(known, [None] * known.height)
    with pytest.raises(DataError, match="one a row"):
        TwoInput().fit(known, [True])
    with pytest.raises(SchemaError, match="one kind"):
        fitted.score_samples(table([[1, 2]], pl.Int64))
    with pytest.raises(SchemaError, match="events"):
        fitted.score_samples(known.drop("events"))


def test_with_labels_keep_their_weights(known):
    rows, labels, weights = with_labels(known.head(4), [True, None, False, True], [2.0, 1.0, 3.0, 0.0], "a model")
    assert rows.height == 2
    assert labels.tolist() == [True, False]
    assert weights.tolist() == [2.0, 3.0]
