"""The outlier detectors on NSL-KDD: trained on normal connections of KDDTrain+ alone, judged on KDDTest+."""

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from utils.detectors.outliers import DETECTORS
from utils.detectors.table_detector import TableDetector
from utils.features.flows import FlowFeatures

pytestmark = pytest.mark.real

FLOORS = {
    "NearestNeighbours": 0.955,
    "LocalOutlierFactor": 0.83,
    "OneClassSVM": 0.96,
    "IsolationForest": 0.94,
    "PrincipalComponents": 0.94,
    "GaussianMixture": 0.95,
    "TailProbability": 0.945,
}
CHANGES = ("src_bytes", "duration", "hot", "num_compromised")
"""Columns of counts in which a value far beyond training is planted."""


@pytest.fixture(scope="module")
def connections(real_data):
    data = real_data("nsl_kdd")
    frame, roles = data["connections"], data.roles["connections"]
    return frame.filter((pl.col("split") == "train") & ~pl.col("is_anomaly")), frame.filter(split="test"), roles


@pytest.mark.parametrize("name", FLOORS)
def test_new_attacks_rank_above_normal_connections_and_planted_values_are_named(connections, name):
    train, test, roles = connections
    choice = DETECTORS[name]
    detector = TableDetector(choice.factory(1, 10_000), FlowFeatures(roles, **choice.features)).fit(train)
    score = detector.score_samples(test)
    assert np.isfinite(score).all()
    assert roc_auc_score(test["is_anomaly"], score) >= FLOORS[name]
    for column in CHANGES:
        assert most_to_blame(detector, train, column) == column


def most_to_blame(detector, train, column):
    """The column that carries most of a usual connection in which one number is a thousand times the largest known."""
    some = train.head(300)
    usual = some[int(detector.score_samples(some).argmin())]
    shares = detector.contributions(usual.with_columns(pl.lit(train[column].max() * 1_000).alias(column)))
    return max(shares.columns, key=lambda name: shares[name].item())
