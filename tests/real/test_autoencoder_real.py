"""The autoencoder on real connections: ranking on held-out rows of training, and reasons in the words of the table."""

import re

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from utils.detectors.outliers import Autoencoder
from utils.detectors.table_detector import TableDetector
from utils.features.flows import FlowFeatures

pytestmark = pytest.mark.real

LEAST_ROWS = 10
"""Attacks of fewer rows say nothing about a ranking."""


@pytest.fixture(scope="module")
def connections(real_data):
    data = real_data("nsl_kdd")
    return data["connections"], data.roles["connections"]


@pytest.fixture(scope="module")
def judged(connections):
    """A model of four fifths of the normal training rows, the other fifth, and all attacks of the training part."""
    frame, roles = connections
    train = frame.filter(split="train")
    normal = train.filter(~pl.col("is_anomaly"))
    held_out = np.random.default_rng(0).random(normal.height) < 0.2
    model = TableDetector(Autoencoder(seed=0), FlowFeatures(roles)).fit(normal.filter(~pl.Series(held_out)))
    return model, normal.filter(pl.Series(held_out)), train.filter("is_anomaly")


def ranking(normal, attacks):
    return roc_auc_score(np.repeat([0, 1], [len(normal), len(attacks)]), np.concatenate([normal, attacks]))


def test_attacks_that_training_has_not_seen_rank_above_held_out_normal_rows(judged):
    model, normal, attacks = judged
    usual = model.score_samples(normal)
    scored = attacks.select("anomaly_type").with_columns(score=pl.Series(model.score_samples(attacks)))
    assert ranking(usual, scored["score"]) > 0.985
    kinds = [kind["score"] for _, kind in scored.group_by("anomaly_type") if kind.height >= LEAST_ROWS]
    assert len(kinds) > 15
    assert np.mean([ranking(usual, kind) for kind in kinds]) > 0.97


def test_the_learned_part_of_the_rows_is_scored_like_the_held_out_part(judged, connections):
    model, normal, _ = judged
    frame, _ = connections
    learned = frame.filter(pl.col("split") == "train", ~pl.col("is_anomaly")).join(
        normal, on=normal.columns, how="anti"
    )
    limit = np.quantile(model.score_samples(learned), 0.95)
    assert 0.04 < np.mean(model.score_samples(normal) > limit) < 0.065


def test_floods_are_explained_by_what_they_are(judged):
    """A smurf attack is a flood of echo replies (ICMP), neptune one of connections that are never opened."""
    model, _, attacks = judged
    echoes = attacks.filter(anomaly_type="smurf").head(300)
    named = model.reasons(echoes)["feature"].value_counts(sort=True)["feature"]
    assert set(named[:2]) == {"service", "protocol_type"}
    rare = re.compile(r"service is ecr_i \(0\.\d %\), usually http \(5\d %\)")
    said = [sentence for sentence in model.explain(echoes) if rare.search(sentence)]
    assert len(said) > 150
    found = model.reasons(attacks.filter(anomaly_type="neptune").head(300))
    assert found["row"].n_unique() > 295
    telling = pl.col("feature").str.contains("serror|rerror|same_srv_rate|^flag$|count")
    assert found.filter(telling)["row"].n_unique() > 270


def test_what_is_planted_in_a_real_row_is_named_first(judged):
    model, normal, _ = judged
    rows = normal.head(50)
    for column, value in {"src_bytes": 2_000_000_000, "service": "never_heard_of", "duration": 1_000_000}.items():
        odd = rows.with_columns(pl.lit(value).cast(rows.schema[column], strict=False).alias(column))
        first = model.reasons(odd, most=1)
        assert (first["feature"] == column).mean() > 0.9, column
