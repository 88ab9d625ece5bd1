"""The pipeline that is proposed as champion of each data set, and why; any other table gets the general one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from sklearn.base import ClassifierMixin
from sklearn.pipeline import Pipeline

from utils import settings
from utils.datasets.contract import Roles
from utils.features.flows import FlowFeatures

DIVISIONS = 1
Make = Callable[[int, int], ClassifierMixin]
"""Makes a classifier of a matrix from a seed and a number of threads."""
PLAIN = MappingProxyType({"scale": None, "log": False})
"""Trees look at the order of values only: no scale and no logarithm."""


@dataclass(frozen=True)
class Candidate:
    """A pipeline, not fitted.

    Attributes:
        name: what it is, in a few words.
        make: makes the classifier.
        why: what speaks for it.
        features: options of :class:`utils.features.flows.FlowFeatures`.
    """

    name: str
    make: Make
    why: str
    features: Mapping[str, Any] = field(default_factory=lambda: PLAIN)

    def pipeline(
        self,
        columns: Sequence[str] | None = None,
        *,
        roles: Roles | None = None,
        seed: int = settings.SEED,
        threads: int = 1,
    ) -> Pipeline:
        """Make the pipeline: steps ``features`` and ``classifier``; it takes a polars frame.

        Args:
            columns: names of the columns to use; the features of ``roles`` if not given, else all columns.
            roles: what the columns mean.
            seed: of the classifier.
            threads: threads of the classifier.
        """
        features = FlowFeatures(roles, columns=None if columns is None else list(columns), **self.features)
        return Pipeline([("features", features), ("classifier", self.make(seed, threads))])


def of(dataset: str, *, binary: bool = False) -> Candidate:
    """Look up the candidate of a data set.

    Args:
        dataset: name of a data set, the project's or a user's.
        binary: anomaly or not, where a data set has another candidate for its classes.

    Returns:
        Its candidate, or the general one.
    """
    return (BINARY if binary else CANDIDATES).get(dataset, GENERAL)


def _general(seed: int, threads: int) -> ClassifierMixin:
    from lightgbm import LGBMClassifier

    return LGBMClassifier(n_estimators=200, learning_rate=0.05, random_state=seed, n_jobs=threads, verbose=-1)


def _boosted(seed: int, threads: int) -> ClassifierMixin:
    from xgboost import XGBClassifier

    return XGBClassifier(n_estimators=300, learning_rate=0.1, max_depth=6, random_state=seed, n_jobs=threads)


def _connections(seed: int, threads: int) -> ClassifierMixin:
    from lightgbm import LGBMClassifier

    return LGBMClassifier(
        n_estimators=400,
        learning_rate=0.05,
        colsample_bytree=0.5,
        random_state=seed,
        n_jobs=threads,
        verbose=-1,
    )


def _behaviours(seed: int, threads: int) -> ClassifierMixin:
    from sklearn.ensemble import ExtraTreesClassifier, VotingClassifier

    trees = ExtraTreesClassifier(200, max_features=None, min_samples_leaf=2, random_state=seed, n_jobs=threads)
    return VotingClassifier([("boosted", _general(seed, threads)), ("extra", trees)], voting="soft")


def _flows(seed: int, threads: int) -> ClassifierMixin:
    from sklearn.ensemble import ExtraTreesClassifier, VotingClassifier
    from xgboost import XGBClassifier

    boosted = XGBClassifier(n_estimators=80, learning_rate=0.2, max_depth=6, random_state=seed, n_jobs=threads)
    trees = ExtraTreesClassifier(100, max_features=0.3, class_weight="balanced", random_state=seed, n_jobs=threads)
    return VotingClassifier([("boosted", boosted), ("extra", trees)], voting="soft")


GENERAL = Candidate("LightGBM", _general, "fast, takes missing values and wide tables, and is rarely far from the best")
CANDIDATES: Mapping[str, Candidate] = MappingProxyType(
    {
        "api": Candidate("vote of LightGBM and extra trees", _behaviours, "..."),
        "nsl_kdd": Candidate("LightGBM, half of the columns a tree", _connections, "..."),
        "cicids2017": Candidate("vote of XGBoost and extra trees", _flows, "..."),
    }
)
BINARY: Mapping[str, Candidate] = MappingProxyType({"cicids2017": Candidate("XGBoost", _boosted, "...")})
