"""Which detectors there are, what each works best on, and how much of the training rows it can afford."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from utils.detectors.outliers.autoencoder import Autoencoder
from utils.detectors.outliers.base import OutlierDetector
from utils.detectors.outliers.boundary import OneClassSVM
from utils.detectors.outliers.forest import IsolationForest
from utils.detectors.outliers.neighbours import LocalOutlierFactor, NearestNeighbours
from utils.detectors.outliers.subspace import GaussianMixture, PrincipalComponents
from utils.detectors.outliers.tails import TailProbability

Factory = Callable[[int, int | None], OutlierDetector]


@dataclass(frozen=True)
class Choice:
    """A detector with the settings that did best on validation rows of training.

    Attributes:
        factory: makes a new detector from a seed and the most rows or points that it may keep (``None``: the limit of
            the method).
        description: what the score is, in one line.
        source: where the method was published.
        features: options of :class:`utils.features.flows.FlowFeatures` that suit it.
    """

    factory: Factory
    description: str
    source: str
    features: Mapping[str, Any] = field(default_factory=dict)


def _limit(usual: int, rows: int | None) -> int:
    return usual if rows is None else min(usual, rows)


def _core_distance(seed: int, rows: int | None) -> OutlierDetector:
    from utils.detectors.dbscan import CoreDistance

    return CoreDistance()


DETECTORS: Mapping[str, Choice] = MappingProxyType(
    {
        "NearestNeighbours": Choice(
            lambda seed, rows: NearestNeighbours(1, most_points=_limit(15_000, rows), seed=seed),
            "distance to the nearest distinct point of training",
            "Ramaswamy, Rastogi, Shim, SIGMOD 2000",
        ),
        "LocalOutlierFactor": Choice(
            lambda seed, rows: LocalOutlierFactor(10, most_points=_limit(10_000, rows), seed=seed),
            "how much sparser the surroundings are than those of the neighbours in training",
            "Breunig, Kriegel, Ng, Sander, SIGMOD 2000",
        ),
        "OneClassSVM": Choice(
            lambda seed, rows: OneClassSVM(0.05, narrowness=16.0, most_points=_limit(5_000, rows), seed=seed),
            "distance from the region of training in the space of a Gaussian kernel",
            "Schölkopf, Platt, Shawe-Taylor, Smola, Williamson, Neural Computation 13 (2001)",
        ),
        "IsolationForest": Choice(
            lambda seed, rows: IsolationForest(100, sample=8_192, most_rows=_limit(200_000, rows), seed=seed),
            "how few random cuts set a row apart",
            "Liu, Ting, Zhou, ICDM 2008",
        ),
        "PrincipalComponents": Choice(
            lambda seed, rows: PrincipalComponents(),
            "what is left of a row when it is rebuilt from its principal components",
            "Jackson and Mudholkar, Technometrics 21 (1979)",
        ),
        "GaussianMixture": Choice(
            lambda seed, rows: GaussianMixture(32, components=30, most_rows=_limit(20_000, rows), seed=seed),
            "negative logarithm of the density of training on its principal axes and outside",
            "McLachlan and Peel (2000); Moghaddam and Pentland, IEEE TPAMI 19 (1997)",
        ),
        "TailProbability": Choice(
            lambda seed, rows: TailProbability("both"),
            "how rare so small or so large values are in training, summed over the features",
            "Li, Zhao, Hu, Botta, Ionescu, Chen, IEEE TKDE 35 (2022)",
        ),
        "Autoencoder": Choice(
            lambda seed, rows: Autoencoder(most_points=_limit(200_000, rows), seed=seed),
            "squared error of a row that a network copies through a narrow layer",
            "Hawkins, He, Williams, Baxter, DaWaK 2002",
        ),
        "CoreDistance": Choice(
            _core_distance,
            "distance to the nearest core point of DBSCAN, in multiples of its radius",
            "Ester, Kriegel, Sander, Xu, KDD 1996",
        ),
    }
)
"""Detectors by name, with the settings and features that did best on TRAINING data.

All take the logarithm and the standard scale, so one matrix serves them all.

How they were chosen: distinct normal rows of the training part (KDDTrain+; Monday to Wednesday of CICIDS2017; the same
parts of both simulators) were split into rows to learn from (at most 15,000) and rows held out (at most 5,000). The
attacks of the same part, at most 300 of a kind, were the rows to find; no row of a test part was used. The figure is
the mean of the area under the ROC curve over all attacks and of its mean over the kinds of attack, two splits:

| detector | scale | NSL-KDD | simulated | CICIDS2017 | simulated | mean |
|---|---|---|---|---|---|---|
| NearestNeighbours, k = 1 | **standard** | .980 | .939 | .981 | .861 | **.940** |
| | quantile | .966 | .906 | .980 | .830 | .921 |
| OneClassSVM, .05, narrowness 16 | **standard** | .977 | .931 | .982 | .870 | **.940** |
| | quantile | .973 | .935 | .979 | .817 | .926 |
| GaussianMixture, 32 on 30 axes | **standard** | .982 | .940 | .954 | .806 | **.921** |
| | quantile | .974 | .912 | .970 | .796 | .913 |
| PrincipalComponents, 10 | **standard** | .933 | .898 | .973 | .827 | **.908** |
| | quantile | .962 | .920 | .936 | .796 | .904 |
| IsolationForest, 8,192 rows a tree | **standard** | .944 | .909 | .944 | .802 | **.900** |
| | quantile | .955 | .923 | .955 | .801 | .909 |
| TailProbability, both | **standard** | .923 | .929 | .880 | .834 | **.891** |
| LocalOutlierFactor, 10 neighbours | **standard** | .911 | .851 | .935 | .604 | **.825** |
| | quantile | .913 | .844 | .925 | .626 | .827 |

The quantile scale is a little better for two, and is not taken: beyond the largest value of training all are equal
there, so that the one absurd number of a record that is else usual goes unseen.

Also tried, mean over the four on the standard scale: narrowness 4 and 64 (.918, .938), a share of .2 outside (.939);
2,048 and 15,000 rows a tree (.894, .905); 90 % and 95 % of the variance (.890, .889); 10 and 15 components in units of
the range (.907, .893); 32 Gaussians on 15 axes (.898) and on 95 % (.911), 64 on 20 (.902); 5 and 20 neighbours of the
local outlier factor (.826, .815); the largest tail sum (.890). On one split 3 and 5 nearest neighbours (.932, .928),
and the robust scale, which was not best for any of these.
"""
