"""Deep models in the store."""

import numpy as np
import pytest

from utils import tracking


@pytest.mark.slow
def test_a_keras_model_is_stored_and_answers_the_same(store, monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    keras = pytest.importorskip("keras", reason="TensorFlow is not installed")
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="softmax")])
    rows = np.linspace(0, 1, 8, dtype="float32").reshape(2, 4)
    with tracking.start("hdfs", "deep", notebook="09_lstm", stage="test") as run:
        tracking.register(run.log_model(model, rows), "deep", alias="champion")

    again = tracking.load_model("deep")
    assert np.array_equal(again.predict(rows, verbose=0), model.predict(rows, verbose=0))
