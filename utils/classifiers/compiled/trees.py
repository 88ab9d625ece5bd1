"""Trees of LightGBM, XGBoost and scikit-learn, all written in one form."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from utils.evaluation.inputs import Floats, Ints

NO_CHILD = -1
CATEGORICAL, DEFAULT_LEFT = 1, 2
"""Bits of LightGBM's types of decisions; the two above them say what is missing: 0 nothing, 1 zero, 2 NaN."""


class Nodes(NamedTuple):
    """Nodes of many trees, one tree after the other.

    Attributes:
        roots: first node of each tree, int32.
        left: left child of each node, -1 for leaves, int32.
        right: right child, int32.
        default: child for missing numbers, int32.
        feature: column that each node looks at, int32.
        threshold: highest number that goes left.
        value: what each node adds, in the precision of the sum.
    """

    roots: NDArray[np.int32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    default: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: Floats
    value: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Tree:
    """One tree: a row goes left where its number is at most the threshold; leaves have no children.

    Attributes:
        left: left child of each node, -1 for leaves.
        right: right child.
        default: child for missing numbers.
        feature: column that each node looks at.
        threshold: highest number that goes left.
        value: what each node adds to the output.
        cover: training rows that reached it.
    """

    left: Ints
    right: Ints
    default: Ints
    feature: Ints
    threshold: Floats
    value: Floats
    cover: Floats


def joined(trees: Sequence[Tree], precision: np.dtype[Any]) -> Nodes:
    """Lay the nodes of trees one after the other, their values in the precision of the sum."""
    sizes = np.array([len(tree.left) for tree in trees])
    roots = np.cumsum(sizes) - sizes

    def children(side: str) -> NDArray[np.int32]:
        moved = [getattr(tree, side) + root for tree, root in zip(trees, roots, strict=True)]
        return np.where(leaf, NO_CHILD, np.concatenate(moved)).astype(np.int32)

    leaf = np.concatenate([tree.left for tree in trees]) < 0
    return Nodes(
        roots.astype(np.int32),
        children("left"),
        children("right"),
        children("default"),
        np.concatenate([tree.feature for tree in trees]).astype(np.int32),
        np.concatenate([tree.threshold for tree in trees]),
        np.concatenate([tree.value for tree in trees]).astype(precision),
    )


def of_scikit_learn(tree: Any, value: Floats, columns: Ints | None = None) -> Tree:  # noqa: ANN401 - Cython class
    """Write a tree of scikit-learn.

    Args:
        tree: the fitted ``tree_``.
        value: what each node adds.
        columns: columns of the matrix that the tree was fitted on, all if not given.
    """
    left, right = tree.children_left.astype(np.int64), tree.children_right.astype(np.int64)
    default = np.where(np.asarray(tree.missing_go_to_left, dtype=bool), left, right)
    feature = tree.feature.astype(np.int64)
    feature = feature if columns is None else np.where(feature >= 0, columns[np.maximum(feature, 0)], feature)
    cover = tree.weighted_n_node_samples.astype(np.float64)
    return Tree(left, right, default, feature, tree.threshold.astype(np.float64), value.astype(np.float64), cover)


def of_histogram(nodes: NDArray[Any]) -> Tree:
    """Write a tree of scikit-learn's boosting on histograms, given its nodes; splits by categories are not read."""
    leaf = nodes["is_leaf"].astype(bool)
    left, right = (np.where(leaf, NO_CHILD, nodes[side].astype(np.int64)) for side in ("left", "right"))
    default = np.where(nodes["missing_go_to_left"].astype(bool), left, right)
    feature, threshold = nodes["feature_idx"].astype(np.int64), nodes["num_threshold"].astype(np.float64)
    return Tree(left, right, default, feature, threshold, nodes["value"].copy(), nodes["count"].astype(np.float64))


def of_xgboost(written: dict[str, Any]) -> Tree:
    """Write a tree of XGBoost's JSON: left is below the split, at most the number of single precision before."""
    left = np.asarray(written["left_children"], dtype=np.int64)
    right = np.asarray(written["right_children"], dtype=np.int64)
    split = np.asarray(written["split_conditions"], dtype=np.float32)
    default = np.where(np.asarray(written["default_left"], dtype=bool), left, right)
    below = np.nextafter(split, np.float32(-np.inf)).astype(np.float64)
    feature = np.asarray(written["split_indices"], dtype=np.int64)
    value = np.where(left < 0, split.astype(np.float64), 0.0)
    return Tree(left, right, default, feature, below, value, np.asarray(written["sum_hessian"], dtype=np.float64))


def of_lightgbm(written: str) -> Tree | None:
    """Write a tree of LightGBM's text form.

    Inner nodes come first, then the leaves. Where missing numbers have no branch of their own, NaN counts as 0.

    Returns:
        The tree; nothing where it splits by categories, takes zero for missing, or has linear leaves.
    """
    lines = dict(line.split("=", 1) for line in written.splitlines() if "=" in line)
    if int(lines.get("num_cat", 0)) or int(lines.get("is_linear", 0)):
        return None
    leaves = _numbers(lines["leaf_value"], np.float64)
    inner = int(lines["num_leaves"]) - 1
    kinds, threshold = (
        _numbers(lines.get("decision_type", ""), np.int64),
        _numbers(lines.get("threshold", ""), np.float64),
    )
    if (kinds >> 2 & 3 == 1).any():
        return None
    feature = _numbers(lines.get("split_feature", ""), np.int64)
    sides = (_numbers(lines.get(f"{side}_child", ""), np.int64) for side in ("left", "right"))
    left, right = (np.where(side < 0, inner + ~side, side) for side in sides) if inner else (_NONE, _NONE)
    goes_left = np.where(kinds >> 2 & 3 == 2, kinds & DEFAULT_LEFT > 0, threshold >= 0)
    ends = np.full(len(leaves), NO_CHILD)
    cover = [_numbers(lines.get("internal_count", ""), np.float64), _numbers(lines.get("leaf_count", "0"), np.float64)]
    return Tree(
        left=np.append(left, ends),
        right=np.append(right, ends),
        default=np.append(np.where(goes_left, left, right), ends),
        feature=np.append(feature, np.zeros(len(leaves), dtype=np.int64)),
        threshold=np.append(threshold, np.zeros(len(leaves))),
        value=np.append(np.zeros(inner), leaves),
        cover=np.concatenate(cover),
    )


def learner_of_xgboost(classifier: Any) -> dict[str, Any]:  # noqa: ANN401 - imported late
    """What a classifier of XGBoost learned, up to its best round where it stopped early."""
    booster = classifier.get_booster()
    rounds = getattr(classifier, "best_iteration", None) if booster.attr("best_iteration") else None
    booster = booster if rounds is None else booster[: rounds + 1]
    learner: dict[str, Any] = json.loads(bytes(booster.save_raw("json")))["learner"]
    return learner


def share_of(tree: Any, place: int) -> Floats:  # noqa: ANN401 - Cython class
    """Share of a class in each node of a tree of scikit-learn."""
    counts = tree.value[:, 0]
    return np.asarray(counts[:, place] / counts.sum(axis=1))


def base_of_xgboost(written: str, classes: int, target: int) -> float:
    """Log-odds that XGBoost starts from, in its precision; for two classes it is written as a probability."""
    scores = np.atleast_1d(np.asarray(json.loads(written), dtype=np.float32))
    if classes > 1:
        return float(scores[target] if scores.size > 1 else scores[0])
    odds = np.float32(1.0) / scores[0] - np.float32(1.0)
    return float(np.float32(-np.log(np.float64(odds))))


_NONE = np.empty(0, dtype=np.int64)


def _numbers(text: str, dtype: type[np.number[Any]]) -> NDArray[Any]:
    return np.array(text.split(), dtype=dtype)
