"""Novelty rules on all real HDFS sessions: the bars, with every threshold and parameter from training normals.

Each distinct sequence is scored once and counts as often as test sessions have it.
"""

import numpy as np
import polars as pl
import pytest

from utils.datasets import hdfs, load
from utils.detectors.novelty import BackOffNovelty, UnseenCountVector, UnseenEventSet
from utils.features import log_sessions

pytestmark = pytest.mark.real

DRAWN = 4_855
SEEDS = range(10)


@pytest.fixture
def sequences(real_lab):
    """One row a distinct sequence and label, with the sessions that have it in either part."""
    data = load("hdfs", "real")
    return hdfs.distinct(data["sessions"], data["sequences"])


def draw(sequences, seed):
    """How many of 4,855 normal sessions, drawn from all normal sessions, have each sequence."""
    normals = np.where(sequences["is_anomaly"].to_numpy(), 0, sequences["n"].to_numpy().astype(np.int64))
    chosen = np.random.default_rng(seed).choice(normals.sum(), DRAWN, replace=False)
    return np.bincount(np.repeat(np.arange(len(normals)), normals)[chosen], minlength=len(normals))


def f1(rule, sequences, train):
    """F1 of the fired rule, fitted on ``train`` sessions of each sequence, over all other sessions."""
    fitted = rule.fit(sequences.filter(pl.Series(train > 0)), weight=train[train > 0])
    test = sequences["n"].to_numpy().astype(np.int64) - train
    is_anomaly, fired = sequences["is_anomaly"].to_numpy(), fitted.fires(sequences)
    found = test[fired & is_anomaly].sum()
    return 2 * found / (test[fired].sum() + test[is_anomaly].sum())


def published(sequences):
    return sequences["n_train"].to_numpy().astype(np.int64)


def test_the_standard_split_has_all_sessions(sequences):
    assert published(sequences).sum() == DRAWN
    assert sequences["n_test"].sum() == 570_204


def test_unseen_event_sets_on_the_standard_split(sequences):
    assert f1(UnseenEventSet(), sequences, published(sequences)) >= 0.985


def test_back_off_on_the_standard_split(sequences):
    rule = BackOffNovelty()
    assert f1(rule, sequences, published(sequences)) >= 0.975
    assert rule.free_ == (2, 3, 4)


def test_back_off_over_ten_draws_of_training_normals(sequences):
    found = np.array([f1(BackOffNovelty(), sequences, draw(sequences, seed)) for seed in SEEDS])
    assert found.mean() >= 0.98
    assert found.min() >= 0.96


def test_back_off_beats_the_exact_count_vector_by_its_choice_on_every_draw(sequences):
    for seed in SEEDS:
        train = draw(sequences, seed)
        assert f1(BackOffNovelty(), sequences, train) > f1(UnseenCountVector(), sequences, train)


def test_each_sentence_of_a_fired_rule_names_a_difference(sequences):
    train = published(sequences)
    rule = BackOffNovelty().fit(sequences.filter(pl.Series(train > 0)), weight=train[train > 0])
    fired = pl.Series(rule.fires(sequences))
    said = pl.Series(rule.explain(sequences))
    assert said.filter(fired).str.contains(r"events? \d+.* \([\d,]+ instead of [\d,]+ times\)").all()
    assert not said.filter(~fired).str.contains("instead of").any()


def test_all_events_are_counted_and_every_window_is_found(sequences):
    coded = log_sessions.encode(sequences["events"], log_sessions.Vocabulary.fit(sequences["events"]))
    weight = sequences["n"].to_numpy().astype(np.int64)
    assert (log_sessions.count_vectors(coded).sum(axis=1).A1 * weight).sum() == 11_172_157
    cut = log_sessions.windows(coded, 11)
    found = log_sessions.distinct_windows(cut)
    assert len(cut) == len(coded.codes) + len(coded)
    assert np.array_equal(found.values[found.inverse], cut.values())
