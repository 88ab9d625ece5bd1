"""The recipes for attacks that later days bring: which detectors, on which scale, with which share of the alarms.

Normal flows are many small crowds, of one service each. A new attack stands beside all of them, but seldom far off in
any one direction: the sum of absolute differences to the nearest normal flow (city-block distance) finds it where the
Euclidean distance asks for one large difference. What resembles normal traffic in all but the few values that earlier
attacks had in common is found by trees that have seen those. The two fail on different families, so each gets a share
of the alarms and raises its own.
"""

from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline, make_pipeline

from utils import settings
from utils.datasets.contract import Roles
from utils.detectors.city_block import CityBlockNeighbours
from utils.detectors.new_attacks import Recipe
from utils.detectors.new_attacks.learning import Shares
from utils.detectors.table_detector import TableDetector
from utils.features.flows import FlowFeatures
from utils.features.flows.columns import Scale

NEAR, NEAR_IN_RANK, TREES = "nearest normal row", "nearest in rank", "boosted trees"
LABELLED, ONE_CLASS, COMBINED = "labelled", "one-class", "combined"
SHARES: Shares = {(NEAR, NEAR_IN_RANK): 0.9, TREES: 0.1}
MOST_POINTS = 5_000


def nearest_normal(
    roles: Roles, *, scale: Scale = "standard", most_points: int = MOST_POINTS, seed: int = settings.SEED
) -> TableDetector:
    """City-block distance to the nearest normal row of training.

    Args:
        roles: what the columns mean.
        scale: of :class:`utils.features.flows.FlowFeatures`.
        most_points: most distinct normal rows that are kept.
        seed: of their draw.
    """
    detector = CityBlockNeighbours(most_points=most_points, seed=seed)
    return TableDetector(detector, FlowFeatures(roles, scale=scale))


def boosted_trees(roles: Roles, *, seed: int = settings.SEED) -> Pipeline:
    """Boosted trees that learn normal rows and known attacks apart, on the values as they are.

    Args:
        roles: what the columns mean.
        seed: of rows and columns drawn for each tree.
    """
    from lightgbm import LGBMClassifier

    trees = LGBMClassifier(
        n_estimators=150, learning_rate=0.1, colsample_bytree=0.5, n_jobs=1, random_state=seed, verbose=-1
    )
    return make_pipeline(FlowFeatures(roles, scale=None, log=False), trees)


def later_attacks(roles: Roles, *, rate: float = 0.04, most_points: int = MOST_POINTS) -> Recipe:
    """Nearest normal row and boosted trees, alone and together.

    Args:
        roles: what the columns of the table mean.
        rate: nominal alarm rate at which they decide.
        most_points: most distinct normal rows that the nearest-neighbour detector keeps.
    """

    def members(seed: int) -> dict[str, BaseEstimator]:
        return {
            NEAR: nearest_normal(roles, most_points=most_points, seed=seed),
            NEAR_IN_RANK: nearest_normal(roles, scale="quantile", most_points=most_points, seed=seed),
            TREES: boosted_trees(roles, seed=seed),
        }

    detectors: dict[str, Shares] = {LABELLED: {TREES: 1.0}, ONE_CLASS: {(NEAR, NEAR_IN_RANK): 1.0}, COMBINED: SHARES}
    return Recipe(members, detectors, rate=rate)


def each_without_labels(roles: Roles, *, rows: int = 10_000, rate: float = 0.05) -> Recipe:
    """Every detector of :data:`utils.detectors.outliers.DETECTORS` alone, each on the features that it wants.

    Args:
        roles: what the columns of the table mean.
        rows: most rows that a detector with a costly neighbourhood learns from.
        rate: nominal alarm rate at which they decide.
    """
    from utils.detectors.outliers import DETECTORS

    def members(seed: int) -> dict[str, BaseEstimator]:
        return {
            name: TableDetector(choice.factory(seed, rows), FlowFeatures(roles, **choice.features))
            for name, choice in DETECTORS.items()
        }

    return Recipe(members, {name: {name: 1.0} for name in DETECTORS}, rate=rate, held_out=0.25)
