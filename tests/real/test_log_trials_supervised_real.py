"""Supervised models on the real HDFS sessions: two protocols, few splits, and the truncated log at both levels."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from utils import audit
from utils.classifiers import log_trials
from utils.classifiers.log_trials import PROTOCOLS, RELATIONS, TRIVIAL, TWO_INPUT
from utils.detectors.session_counts import CountInvariants, CountPCA
from utils.evaluation import metrics
from utils.settings import BUDGETS

pytestmark = pytest.mark.real
BUDGET = replace(BUDGETS["fast"], repeats=3, bootstrap=20)


@pytest.fixture(scope="module")
def processed(real_data):
    return {"hdfs": audit.admitted_tables(real_data("hdfs"), seed=42)}


@pytest.fixture(scope="module")
def board(processed):
    chosen = tuple(each for each in PROTOCOLS if each.name in ("random 50", "new sequences", "new count vectors"))
    found = log_trials.run(processed, BUDGET, protocols=chosen, network=False)
    assert found.notes == ()
    return {(row["protocol"], row["model"]): row for row in found.board.iter_rows(named=True)}


def test_half_of_the_labels_suffice_where_sequences_repeat(board):
    best = max(board["random 50", model]["f1"] for model in ("decision tree", "random forest"))
    assert best >= 0.997
    assert board["random 50", TRIVIAL]["f1"] < 0.06
    assert 0.7 < board["random 50", TRIVIAL]["shared"] < 0.85


def test_no_sequence_in_both_parts_costs_little(board):
    assert board["new sequences", "decision tree"]["f1"] >= 0.995
    assert board["new sequences", TRIVIAL]["shared"] == 0


def test_relations_carry_over_to_new_count_vectors_and_counts_do_not(board):
    assert board["new count vectors", RELATIONS]["f1"] >= 0.95
    assert board["new count vectors", RELATIONS]["f1"] > board["new count vectors", "decision tree"]["f1"]


def test_truncated_log_is_judged_at_both_levels(real_data):
    found = log_trials.truncated(real_data("hdfs")["blocks"], replace(BUDGET, epochs=8, repeats=2))
    rows = {(row["model"], row["unit"]): row for row in found.board.iter_rows(named=True)}
    ceiling = 0.70
    assert 0.6 < rows["logistic regression", "session"]["f1"] < ceiling
    assert 0.4 < rows[TWO_INPUT, "session"]["f1"] < ceiling
    assert rows[TWO_INPUT, "window"]["f1"] > rows[TWO_INPUT, "window"]["published"] == 0


def test_classic_detectors_of_counts_reach_what_counts_allow(processed):
    table = processed["hdfs"]["sequences"]
    train, test = (table.filter(pl.col("split") == side) for side in ("train", "test"))
    invariants = CountInvariants().fit(train, train["is_anomaly"], train["n_sessions"])
    assert metrics.f1(test["is_anomaly"], invariants.score_samples(test) > 0, test["n_sessions"]) > 0.92
    assert any("event 22 = 1" in each for each in invariants.sentences_)
    pca = CountPCA().fit(train, train["is_anomaly"], train["n_sessions"])
    normal = train["n_sessions"].to_numpy() @ (pca.score_samples(train) > pca.q_limit_) / train["n_sessions"].sum()
    assert pca.alpha < normal < 0.05, "counts are no normal deviates: the published limit does not hold its rate"
    assert np.isfinite(pca.score_samples(test)).all()
