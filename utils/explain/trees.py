"""Shapley values of trees: every kind of tree ensemble written in one form, then explained by one exact algorithm.

The values are those of the path-dependent game: what is not known about a row is averaged over the training rows that
reach each node, so that no background rows are needed. Trees of LightGBM are explained by LightGBM itself, in double
precision; those of XGBoost are written out, as XGBoost explains in single precision only.

Source:
    Lundberg et al., "From local explanations to global understanding with explainable AI for trees", Nature Machine
    Intelligence 2 (2020), algorithm 2.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from utils.classifiers.compiled.trees import (
    Tree,
    base_of_xgboost,
    learner_of_xgboost,
    of_histogram,
    of_scikit_learn,
    of_xgboost,
    share_of,
)
from utils.evaluation.inputs import Floats, Ints

LOG_ODDS, PROBABILITY, DECISION = "log-odds", "probability", "decision value"
PATHS = "exact Shapley values of trees, averaged over training rows along the paths"
COST_LIGHTGBM = 1.5
"""What one step of LightGBM costs beside one of the other algorithm."""


class Attribution(NamedTuple):
    """Shapley values of encoded columns.

    Attributes:
        values: (rows, outputs).
        base: mean output.
        output: output of the model, computed by the model itself (rows,).
        scale: unit of all three.
        method: how they were computed.
        error: standard errors of the values (rows, outputs), where they were sampled.
    """

    values: Floats
    base: float
    output: Floats
    scale: str
    method: str
    error: Floats | None = None


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees whose outputs are added.

    Attributes:
        trees: the trees.
        offset: added to their sum.
        scale: what the output is.
        dtype: precision in which numbers are compared with thresholds.
        columns: numbers that the trees look at, made of encoded rows (rows, columns).
        origin: encoded column that each of these is made of.
        output: output of the model, computed by the model itself (rows,).
    """

    trees: list[Tree]
    offset: float
    scale: str
    dtype: type[np.floating[Any]]
    columns: Floats
    origin: Ints
    output: Floats


def attribute(classifier: Any, matrix: Floats, target: int) -> Attribution | None:  # noqa: ANN401 - any classifier
    """Explain a tree, or an ensemble of trees.

    Args:
        classifier: a fitted classifier.
        matrix: encoded rows (rows, outputs).
        target: place of the class to explain in ``classes_``; for two classes the second is explained.

    Returns:
        The values, or nothing if the classifier is no ensemble of trees that can be read.
    """
    if "LGBMClassifier" in _names(classifier):
        return _lightgbm(classifier, matrix, target)
    forest = read(classifier, matrix, target)
    return None if forest is None else _explained(forest, matrix.shape[1])


def work(classifier: Any) -> float | None:  # noqa: ANN401 - any classifier
    """Steps that explaining one row takes: leaves times squared depth, over all trees; nothing if it is no ensemble.

    Source:
        Lundberg et al. 2020: O(T L D^2).
    """
    if "LGBMClassifier" in _names(classifier):
        leaves, depths = _sizes_of_lightgbm(classifier)
        return float(COST_LIGHTGBM * (leaves * depths**2).sum())
    forest = read(classifier, np.zeros((1, classifier.n_features_in_)), 1)
    if forest is None:
        return None
    return float(sum((tree.left < 0).sum() * _depth(tree) ** 2 for tree in forest.trees))


def read(classifier: Any, matrix: Floats, target: int) -> Forest | None:  # noqa: ANN401 - any classifier
    """Write the trees of a classifier in the common form (arguments as :func:`attribute`)."""
    reader = next((READERS[name] for name in _names(classifier) if name in READERS), None)
    return None if reader is None else reader(classifier, matrix, target)


def _plain(tree: Tree) -> dict[str, NDArray[Any]]:
    """A tree in the form that the algorithm takes."""
    return {
        "children_left": tree.left.astype(np.int32),
        "children_right": tree.right.astype(np.int32),
        "children_default": tree.default.astype(np.int32),
        "features": np.where(tree.left < 0, -2, tree.feature).astype(np.int32),
        "thresholds": tree.threshold,
        "values": tree.value[:, None],
        "node_sample_weight": tree.cover,
    }


def _explained(forest: Forest, outputs: int) -> Attribution:
    """Run the algorithm on all trees and add what virtual columns got to the encoded columns they are made of."""
    import shap  # type: ignore[import-untyped]

    model = {
        "trees": [_plain(tree) for tree in forest.trees],
        "input_dtype": forest.dtype,
        "internal_dtype": np.float64,
        "tree_output": "raw_value",
    }
    explainer = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent")
    found = np.asarray(explainer.shap_values(forest.columns.astype(forest.dtype), check_additivity=False))
    values = np.zeros((len(found), outputs))
    np.add.at(values.T, forest.origin, found.reshape(len(found), -1).T.astype(np.float64))
    base = float(np.ravel(explainer.expected_value)[0]) + forest.offset
    return Attribution(values, base, forest.output, forest.scale, PATHS)


def _plain_forest(trees: list[Tree], scale: str, matrix: Floats, output: Floats, offset: float = 0.0) -> Forest:
    """A forest on the encoded columns themselves, in single precision as scikit-learn's trees compare."""
    return Forest(trees, offset, scale, np.float32, matrix, np.arange(matrix.shape[1]), output)


def _forest(classifier: Any, matrix: Floats, target: int) -> Forest | None:  # noqa: ANN401
    members = getattr(classifier, "estimators_", None) or [classifier]
    place = _second(classifier, target)
    trees = [of_scikit_learn(member.tree_, share_of(member.tree_, place) / len(members)) for member in members]
    return _plain_forest(trees, PROBABILITY, matrix, _chance(classifier, matrix, target))


def _bagging(classifier: Any, matrix: Floats, target: int) -> Forest | None:  # noqa: ANN401
    members = list(zip(classifier.estimators_, classifier.estimators_features_, strict=True))
    if not all(hasattr(member, "tree_") for member, _ in members):
        return None
    place, trees = _second(classifier, target), []
    for member, columns in members:
        found = np.flatnonzero(np.asarray(member.classes_) == place)
        share = share_of(member.tree_, int(found[0])) if found.size else np.zeros(member.tree_.node_count)
        trees.append(of_scikit_learn(member.tree_, share / len(members), np.asarray(columns)))
    return _plain_forest(trees, PROBABILITY, matrix, _chance(classifier, matrix, target))


def _adaboost(classifier: Any, matrix: Floats, target: int) -> Forest | None:  # noqa: ANN401
    members, classes = classifier.estimators_, len(classifier.classes_)
    if classes != 2 or not all(hasattr(member, "tree_") for member in members):
        return None
    weights = np.asarray(classifier.estimator_weights_[: len(members)], dtype=np.float64)
    trees = []
    for member, weight in zip(members, 2 * weights / weights.sum(), strict=True):
        voted = np.asarray(member.classes_)[member.tree_.value[:, 0].argmax(axis=1)] == classifier.classes_[1]
        trees.append(of_scikit_learn(member.tree_, np.where(voted, weight, -weight)))
    return _plain_forest(trees, DECISION, matrix, np.asarray(classifier.decision_function(matrix)))


def _gradient_boosting(classifier: Any, matrix: Floats, target: int) -> Forest | None:  # noqa: ANN401
    place = 0 if len(classifier.classes_) == 2 else target
    members = classifier.estimators_[:, place]
    trees = [of_scikit_learn(one.tree_, one.tree_.value[:, 0, 0] * classifier.learning_rate) for one in members]
    output = _decision(classifier, matrix, place)
    added = sum(np.asarray(one.predict(matrix[:1])) for one in members) * classifier.learning_rate
    return _plain_forest(trees, LOG_ODDS, matrix, output, float(np.ravel(output[:1] - added)[0]))


def _hist_gradient_boosting(classifier: Any, matrix: Floats, target: int) -> Forest | None:  # noqa: ANN401
    place = 0 if len(classifier.classes_) == 2 else target
    output = _decision(classifier, matrix, place)
    seen, order = matrix.astype(np.float64), np.arange(matrix.shape[1])
    if getattr(classifier, "_preprocessor", None) is not None:
        categorical = np.asarray(classifier.is_categorical_)
        seen = np.asarray(classifier._preprocessor.transform(seen), dtype=np.float64)
        order = np.concatenate([np.flatnonzero(categorical), np.flatnonzero(~categorical)])
    sides = _Sides(seen)
    trees = [_of_hist(stage[place], sides) for stage in classifier._predictors]
    offset = float(np.ravel(classifier._baseline_prediction)[place])
    origin = order[np.concatenate([np.arange(seen.shape[1]), np.asarray(sides.looked, dtype=np.int64)])]
    columns = np.column_stack([seen, *sides.columns])
    return Forest(trees, offset, LOG_ODDS, np.float64, columns, origin, output)


class _Sides:
    """The side that rows take at splits by categories, each written as a column of 0 (left) and 1 (right).

    Attributes:
        seen: rows as the trees see them (rows, columns).
        columns: the sides, one column for each distinct split.
        looked: column of ``seen`` that each split looks at.
    """

    def __init__(self, seen: Floats) -> None:
        self.seen = seen
        self.columns: list[Floats] = []
        self.looked: list[int] = []
        self._places: dict[tuple[int, bytes, bool], int] = {}

    def place(self, feature: int, bits: NDArray[np.uint32], missing_left: bool) -> int:
        """Return the place of the column of one split, adding it if it is new."""
        key = (feature, bits.tobytes(), missing_left)
        if key not in self._places:
            self._places[key] = self.seen.shape[1] + len(self.columns)
            self.columns.append(_side(self.seen[:, feature], bits, missing_left))
            self.looked.append(feature)
        return self._places[key]


def _side(codes: Floats, bits: NDArray[np.uint32], missing_left: bool) -> Floats:
    absent = np.isnan(codes)
    code = np.where(absent, 0, codes).astype(np.int64)
    left = (bits[code // 32] >> (code % 32).astype(np.uint32)) & 1
    return np.where(absent, not missing_left, left == 0).astype(np.float64)


def _of_hist(predictor: Any, sides: _Sides) -> Tree:  # noqa: ANN401
    nodes = predictor.nodes
    tree = of_histogram(nodes)
    for node in np.flatnonzero(nodes["is_categorical"].astype(bool) & (tree.left >= 0)):
        bits = predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]]
        tree.feature[node] = sides.place(int(tree.feature[node]), bits, bool(nodes["missing_go_to_left"][node]))
        tree.threshold[node] = 0.5
    return tree


def _xgboost(classifier: Any, matrix: Floats, target: int) -> Forest | None:  # noqa: ANN401
    """Read the trees of XGBoost; its output is added up from its own leaves in double precision."""
    written = learner_of_xgboost(classifier)
    model = written["gradient_booster"].get("model")
    if model is None or any(tree.get("categories") for tree in model["trees"]):
        return None
    classes = max(1, int(written["learner_model_param"]["num_class"]))
    wanted = [place for place, group in enumerate(model["tree_info"]) if group == (target if classes > 1 else 0)]
    trees = [of_xgboost(model["trees"][place]) for place in wanted]
    offset = base_of_xgboost(written["learner_model_param"]["base_score"], classes, target)
    output = offset + _sum_of_leaves(classifier, matrix, wanted, trees)
    return _plain_forest(trees, LOG_ODDS, matrix, output, offset)


def _sum_of_leaves(classifier: Any, matrix: Floats, wanted: list[int], trees: list[Tree]) -> Floats:  # noqa: ANN401
    import xgboost

    rows = xgboost.DMatrix(matrix.astype(np.float32))
    found = np.asarray(classifier.get_booster().predict(rows, pred_leaf=True), dtype=np.int64)
    leaves = found.reshape(len(matrix), -1)[:, wanted]
    return np.asarray(sum((tree.value[leaves[:, place]] for place, tree in enumerate(trees)), np.zeros(len(matrix))))


def _lightgbm(classifier: Any, matrix: Floats, target: int) -> Attribution:  # noqa: ANN401
    classes = len(classifier.classes_)
    found = np.asarray(classifier.booster_.predict(matrix, pred_contrib=True, num_threads=1), dtype=np.float64)
    output = np.asarray(classifier.booster_.predict(matrix, raw_score=True, num_threads=1), dtype=np.float64)
    if classes > 2:
        found, output = found.reshape(len(matrix), classes, -1)[:, target], output[:, target]
    base = float(found[0, -1]) if len(found) else 0.0
    return Attribution(found[:, :-1], base, output, LOG_ODDS, PATHS)


def _sizes_of_lightgbm(classifier: Any) -> tuple[Floats, Floats]:  # noqa: ANN401
    """Leaves and depth of each tree."""

    def depth(node: dict[str, Any]) -> int:
        return 1 + max(depth(node["left_child"]), depth(node["right_child"])) if "left_child" in node else 0

    trees = classifier.booster_.dump_model()["tree_info"]
    leaves = np.asarray([tree["num_leaves"] for tree in trees], dtype=np.float64)
    return leaves, np.asarray([depth(tree["tree_structure"]) for tree in trees], dtype=np.float64)


def _depth(tree: Tree) -> int:
    """Longest path from the root to a leaf; parents stand before their children."""
    depth = np.zeros(len(tree.left), dtype=np.int64)
    for node in np.flatnonzero(tree.left >= 0):
        depth[[tree.left[node], tree.right[node]]] = depth[node] + 1
    return int(depth.max(initial=0))


def _second(classifier: Any, target: int) -> int:  # noqa: ANN401
    return 1 if len(classifier.classes_) == 2 else target


def _chance(classifier: Any, matrix: Floats, target: int) -> Floats:  # noqa: ANN401
    return np.asarray(classifier.predict_proba(matrix)[:, _second(classifier, target)], dtype=np.float64)


def _decision(classifier: Any, matrix: Floats, place: int) -> Floats:  # noqa: ANN401
    found = np.asarray(classifier.decision_function(matrix), dtype=np.float64)
    return found if found.ndim == 1 else found[:, place]


def _names(classifier: object) -> list[str]:
    """Names of the classes that a classifier is of."""
    return [kind.__name__ for kind in type(classifier).__mro__]


READERS: Mapping[str, Callable[[Any, Floats, int], Forest | None]] = MappingProxyType(
    {
        "DecisionTreeClassifier": _forest,
        "RandomForestClassifier": _forest,
        "ExtraTreesClassifier": _forest,
        "BaggingClassifier": _bagging,
        "AdaBoostClassifier": _adaboost,
        "GradientBoostingClassifier": _gradient_boosting,
        "HistGradientBoostingClassifier": _hist_gradient_boosting,
        "XGBClassifier": _xgboost,
    }
)
"""How the trees of each kind of classifier are read."""
