"""Next-event networks on the real HDFS sessions: what is cheap to check, with a network that has barely learned."""

import numpy as np
import polars as pl
import pytest

from utils.detectors.next_event import NextEvent
from utils.evaluation import metrics


@pytest.fixture(scope="module")
def sessions(real_data):
    """Distinct sequences of each part with their numbers, and all sessions."""
    data = real_data("hdfs")
    joined = data["sessions"].join(data["sequences"], on="sequence_id", how="left", maintain_order="left")
    keys = ["sequence_id", "is_anomaly", "split"]
    counted = joined.group_by(keys, maintain_order=True).agg(pl.col("events").first(), pl.len().alias("n_sessions"))
    return counted, joined


@pytest.fixture(scope="module")
def fitted(sessions):
    train = sessions[0].filter(split="train")
    return NextEvent(cell="gru", units=(32,), epochs=12, members=1).fit(train, train["is_anomaly"], train["n_sessions"])


def test_every_session_has_the_score_of_its_sequence(fitted, sessions):
    counted, joined = sessions
    test = joined.filter(split="test")
    assert test.height == 570_204
    scores = fitted.scores(test).hstack(test.select("sequence_id"))
    assert scores.group_by("sequence_id").agg(pl.col("combined").n_unique())["combined"].max() == 1
    alone = fitted.scores(counted).hstack(counted.select("sequence_id")).unique("sequence_id")
    both = scores.unique("sequence_id").join(alone, on="sequence_id")
    for name in ("surprise", "mean"):
        assert both[name].to_numpy() == pytest.approx(both[f"{name}_right"].to_numpy(), rel=1e-4, abs=1e-4)
    differing = (both["combined"] - both["combined_right"]).abs() > 1e-3
    assert differing.sum() <= both.height / 500  # a held-out score lies within rounding of theirs


def test_even_a_short_training_ranks_anomalies_high(fitted, sessions):
    test = sessions[0].filter(split="test")
    precision = metrics.average_precision(test["is_anomaly"], fitted.score_samples(test), test["n_sessions"])
    assert precision > 0.5  # 0.03 by chance


def test_held_out_normals_foretell_the_alarms(fitted, sessions):
    test = sessions[0].filter(split="test")
    flagged = fitted.threshold(0.02).predict(fitted.score_samples(test))
    real = metrics.false_alarm_rate(test["is_anomaly"], flagged, test["n_sessions"])
    assert 0.002 < real < 0.04


def test_events_that_training_lacks_have_the_last_rank(fitted, sessions):
    test = sessions[0].filter(split="test")
    known = pl.Series(fitted.event_types_)
    strange = ~test["events"].list.eval(pl.element().cast(pl.Int64).is_in(known.implode())).list.all()
    assert strange.sum() > 100
    assert np.unique(fitted.scores(test.filter(strange))["rank"]).tolist() == [len(known) + 2]
