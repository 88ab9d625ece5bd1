"""The recipes for attacks that later days bring: which detectors, on which scale, with which share of the alarms.

Three ways to be new, and a detector for each:

* a little unusual in many values, as floods of plain requests are: the sum of absolute differences to the nearest
  normal row (city-block distance), on the scale of values and on the scale of ranks, the two taken together;
* far off in a few values, as scans are: the Euclidean distance to the nearest normal row, on the scale of ranks;
* like known attacks where normal rows are not: trees that learned from labels.

They fail on different families, so each raises alarms of its own: it has a share of the budget of alarms.
"""

from sklearn.base import BaseEstimator

from utils import settings
from utils.datasets.contract import Roles
from utils.detectors.city_block import CityBlockNeighbours
from utils.detectors.new_attacks import Recipe
from utils.detectors.new_attacks.learning import Shares
from utils.detectors.outliers import DETECTORS, NearestNeighbours
from utils.detectors.table_classifier import TableClassifier
from utils.detectors.table_detector import TableDetector
from utils.features.flows import FlowFeatures

BLOCKS, BLOCKS_BY_RANK, STRAIGHT_BY_RANK = "city block", "city block by rank", "straight line by rank"
EXTRA_TREES, BOOSTED_TREES = "extra trees", "boosted trees"
LABELLED, ONE_CLASS, COMBINED = "labelled", "one-class", "combined"
TREES = (EXTRA_TREES, BOOSTED_TREES)
CITY_BLOCKS = (BLOCKS, BLOCKS_BY_RANK)
MOST_POINTS = 5_000
RATE = 0.0475
"""Nominal alarm rate that :func:`utils.detectors.new_attacks.alarm_budget` chose on the first three days of
CICIDS2017, for at most 5 % real alarms on later days."""


def nearest_normals(
    roles: Roles, *, most_points: int = MOST_POINTS, seed: int = settings.SEED
) -> dict[str, TableDetector]:
    """Distances to the nearest normal row of training: they learn from normal rows alone.

    Args:
        roles: what the columns mean.
        most_points: most distinct normal rows that each keeps.
        seed: of their draw.

    Returns:
        Unfitted detectors by name.
    """
    blocks = CityBlockNeighbours(most_points=most_points, seed=seed)
    straight = NearestNeighbours(1, most_points=most_points, seed=seed)
    by_rank = FlowFeatures(roles, scale="quantile")
    return {
        BLOCKS: TableDetector(blocks, FlowFeatures(roles)),
        BLOCKS_BY_RANK: TableDetector(blocks, by_rank),
        STRAIGHT_BY_RANK: TableDetector(straight, by_rank),
    }


def trees(roles: Roles, *, seed: int = settings.SEED) -> dict[str, TableClassifier]:
    """Trees that learn normal rows and known attacks apart, on the values as they are.

    Args:
        roles: what the columns mean.
        seed: of the draws of rows, columns and cuts.

    Returns:
        Unfitted classifiers by name.
    """
    from lightgbm import LGBMClassifier
    from sklearn.ensemble import ExtraTreesClassifier

    extra = ExtraTreesClassifier(150, max_features=0.3, min_samples_leaf=2, random_state=seed)
    boosted = LGBMClassifier(
        n_estimators=150, learning_rate=0.1, colsample_bytree=0.5, n_jobs=1, random_state=seed, verbose=-1
    )
    plain = FlowFeatures(roles, scale=None, log=False)
    return {EXTRA_TREES: TableClassifier(extra, plain), BOOSTED_TREES: TableClassifier(boosted, plain)}


def later_attacks(roles: Roles, *, rate: float = RATE, most_points: int = MOST_POINTS) -> Recipe:
    """Distances to normal rows and trees, alone and together.

    Args:
        roles: what the columns of the table mean.
        rate: nominal alarm rate at which they decide.
        most_points: most distinct normal rows that each detector of distances keeps.
    """

    def members(seed: int) -> dict[str, BaseEstimator]:
        return {**nearest_normals(roles, most_points=most_points, seed=seed), **trees(roles, seed=seed)}

    detectors: dict[str, Shares] = {
        LABELLED: {TREES: 1.0},
        ONE_CLASS: {CITY_BLOCKS: 0.5, STRAIGHT_BY_RANK: 0.5},
        COMBINED: {CITY_BLOCKS: 0.45, STRAIGHT_BY_RANK: 0.45, TREES: 0.1},
    }
    return Recipe(members, detectors, rate=rate)


def each_without_labels(roles: Roles, *, rate: float = 0.05, most_rows: int | None = None) -> Recipe:
    """Every detector of :data:`utils.detectors.outliers.DETECTORS` alone, each on the features that it wants.

    Args:
        roles: what the columns of the table mean.
        rate: nominal alarm rate at which they decide.
        most_rows: most rows that a detector with a costly neighbourhood learns from.
    """

    def members(seed: int) -> dict[str, BaseEstimator]:
        return {
            name: TableDetector(choice.factory(seed, most_rows), FlowFeatures(roles, **choice.features))
            for name, choice in DETECTORS.items()
        }

    shares: dict[str, Shares] = {name: {name: 1.0} for name in DETECTORS}
    return Recipe(members, shares, rate=rate, held_out=0.25)
