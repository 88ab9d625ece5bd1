"""Outlier detectors on matrices of numbers, behind one contract: fitted on normal rows, higher = more abnormal.

Each has ``fit(X, y=None, sample_weight=None)``, ``score_samples(X)`` and ``contributions(X)``
(:class:`utils.detectors.outliers.base.OutlierDetector`). :data:`DETECTORS` says which features each works best on.
"""

from utils.detectors.outliers.autoencoder import Autoencoder
from utils.detectors.outliers.base import OutlierDetector
from utils.detectors.outliers.boundary import OneClassSVM
from utils.detectors.outliers.choices import DETECTORS, Choice
from utils.detectors.outliers.forest import IsolationForest
from utils.detectors.outliers.neighbours import LocalOutlierFactor, NearestNeighbours
from utils.detectors.outliers.subspace import GaussianMixture, PrincipalComponents
from utils.detectors.outliers.tails import TailProbability

__all__ = [
    "DETECTORS",
    "Autoencoder",
    "Choice",
    "GaussianMixture",
    "IsolationForest",
    "LocalOutlierFactor",
    "NearestNeighbours",
    "OneClassSVM",
    "OutlierDetector",
    "PrincipalComponents",
    "TailProbability",
]
