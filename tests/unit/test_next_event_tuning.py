"""Tuning of next-event networks; training itself is replaced by a formula here (test_next_event.py trains)."""

from types import MappingProxyType

import numpy as np
import polars as pl
import pytest

from utils.classifiers import next_event_tuning
from utils.classifiers.next_event_tuning import SPACE, tune_next_event
from utils.classifiers.spaces import OneOf, Real, Whole
from utils.detectors.networks import Best
from utils.detectors.next_event import NextEvent
from utils.errors import DataError, SettingsError


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    kinds = [["a", "b"], ["a", "b", "b"], ["b"], ["a", "a", "b"]]
    return pl.DataFrame({"events": [kinds[kind] for kind in rng.choice(4, 300, p=[0.6, 0.2, 0.15, 0.05])]})


@pytest.fixture
def trainings(monkeypatch):
    """What each training was asked for; a network is the better, the nearer its learning rate is to 0.02."""
    asked = []

    def train(learned, held_out, design, course, batch, seed):
        asked.append((learned, held_out, design, course))
        history = []
        for epoch in range(1, course.epochs + 1):
            history.append(abs(np.log(course.learning_rate / 0.02)) + 1 / epoch)
            course.progress(epoch, course.epochs, history[-1])
        return Best(arrays(design, sharp=history[-1] < 0.5), history, course.epochs)

    monkeypatch.setattr(next_event_tuning, "train", train)
    return asked


def arrays(design, *, sharp):
    """A network that says the same whatever came before: about what these sessions have, or nearly never that."""
    made, inputs = [], design.codes
    if design.embedding:
        made, inputs = [np.zeros((design.codes, design.embedding), np.float32)], design.embedding
    gates = {"lstm": 4, "gru": 3}[design.cell]
    for units in design.units:
        shapes = [(inputs, gates * units), (units, gates * units), (gates * units,)]
        made += [np.zeros(shape, np.float32) for shape in shapes]
        inputs = units
    bias = np.array([0.3, 0.4, 0.0, 0.3] if sharp else [1e-4, 1e-4, 1.0, 1.0], np.float32)
    return [*made, np.zeros((inputs, design.codes), np.float32), np.log(bias + 1e-6)]


def test_the_best_parameters_are_found_and_judged_by_sessions_kept_back(rows, trainings):
    told = []
    found = tune_next_event(rows, detector=NextEvent(epochs=6, learning_rate=0.002), trials=8, progress=told.append)
    assert found.helped
    assert found.tuned_loss < found.default_loss
    assert found.high < 0
    assert found.sentence.startswith("Tuning helped: ")
    assert "best of 8 trials" in found.sentence
    assert found.low <= found.tuned_loss - found.default_loss <= found.high
    assert found.sessions == 60
    assert found.table["trial"].to_list() == list(range(-1, 8))
    assert found.table["state"][0] == "default"
    assert found.table.columns[-len(SPACE) :] == list(SPACE)
    best = found.table.sort("loss", nulls_last=True).row(0, named=True)
    assert found.parameters["learning_rate"] == best["learning_rate"]
    assert found.parameters["units"] == (best["units"],) * best["layers"]
    assert found.table["best"].to_list() == sorted(found.table["best"], reverse=True)
    assert [one.done for one in told] == list(range(1, 9))
    assert told[-1].best == best["loss"]
    detector = found.detector(members=3)
    assert detector.members == 3
    assert detector.learning_rate == best["learning_rate"]
    assert detector.epochs == 6
    assert set(found.results("tuning_")) == {f"tuning_{name}" for name in ("default_loss", "tuned_loss", "low", "high")}


def test_rows_are_coded_once_and_no_session_is_on_two_sides(rows, trainings):
    found = tune_next_event(rows, detector=NextEvent(epochs=2), trials=4)
    learned, validation = trainings[0][:2]
    assert all(one[0] is learned and one[1] is validation for one in trainings)
    assert (learned.weight**2).sum() + validation.weight.sum() + found.sessions == pytest.approx(rows.height)
    assert (learned.weight**2).sum() == pytest.approx(3 / 5 * rows.height, abs=2)


def test_bad_trials_are_stopped(rows, trainings):
    space = MappingProxyType({"learning_rate": Real(1e-4, 1.0, log=True)})
    found = tune_next_event(rows, detector=NextEvent(epochs=8), trials=14, space=space)
    stopped = found.table.filter(pl.col("state") == "stopped")
    assert stopped.height
    assert stopped["loss"].is_null().all()
    assert (stopped["epochs"] < 8).all()
    again = tune_next_event(rows, detector=NextEvent(epochs=8), trials=14, space=space)
    assert again.table.drop("seconds").equals(found.table.drop("seconds"))
    assert again.results() == found.results()


def test_defaults_that_nothing_beats_stay(rows, trainings):
    found = tune_next_event(rows, detector=NextEvent(epochs=2, learning_rate=0.02, units=(7,)), trials=3)
    assert not found.helped
    assert found.parameters == {}
    assert found.tuned_loss == found.default_loss
    assert "did not help: none of 3 trials" in found.sentence
    assert found.detector().units == (7,)


def test_a_gain_within_noise_is_no_help(rows, trainings):
    found = tune_next_event(rows, detector=NextEvent(epochs=2, learning_rate=0.0199), trials=12)
    if found.parameters:
        assert "beyond noise" in found.sentence
        assert not found.helped


def test_no_trial_begins_after_the_time_is_over(rows, trainings):
    found = tune_next_event(rows, detector=NextEvent(epochs=1), trials=50, seconds=0.0)
    assert found.table.height == 1
    assert len(trainings) == 1


def test_units_may_be_named_layer_by_layer(rows, trainings):
    space = MappingProxyType({"units": Whole(3, 5), "cell": OneOf(("lstm",))})
    tune_next_event(rows, detector=NextEvent(epochs=1), trials=2, space=space)
    assert [len(one[2].units) for one in trainings] == [1, 1, 1]


def test_what_cannot_be_searched_is_named(rows, trainings):
    with pytest.raises(SettingsError, match="at least 1 trial"):
        tune_next_event(rows, trials=0)
    with pytest.raises(SettingsError, match="epochs"):
        tune_next_event(rows, detector=NextEvent(epochs=0))
    with pytest.raises(DataError, match="normal sessions"):
        tune_next_event(rows.head(10), trials=1)
