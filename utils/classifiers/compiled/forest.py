"""Classifiers made of trees as flat arrays that one compiled loop walks through.

Sums are formed as the libraries form them: tree by tree, in their precision, on numbers compared in their precision.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utils.classifiers.compiled import trees
from utils.classifiers.compiled.trees import Nodes, Tree
from utils.evaluation.inputs import Floats
from utils.evaluation.scoring import abnormality

Scores = Callable[[NDArray[Any]], Floats]
"""Gives the abnormality of encoded rows (n, columns): (n,)."""

TINY_OF_LIGHTGBM = float(np.float32(1e-35))
"""Magnitudes up to it are 0 to LightGBM."""


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees whose outputs are added.

    Attributes:
        nodes: of all trees.
        begin: what the sum begins with, in its precision.
        compared: precision in which numbers are compared with thresholds.
        link: makes the probability of the second class of the sums.
        tiny: magnitudes up to it count as 0; none do if negative.
    """

    nodes: Nodes
    begin: np.floating[Any]
    compared: type[np.floating[Any]]
    link: Scores
    tiny: float = -1.0

    def sums(self, matrix: NDArray[Any]) -> Floats:
        """What the trees add up to for encoded rows (n, columns): log-odds for boosting (n,)."""
        from utils.classifiers.compiled import _kernel

        seen = np.ascontiguousarray(matrix, dtype=self.compared).astype(np.float64, copy=False)
        return np.asarray(_kernel.sums(seen, self.nodes, self.begin, self.tiny))

    def chances(self, matrix: NDArray[Any]) -> Floats:
        """Probability of the second class for encoded rows (n, columns), float64 (n,)."""
        return np.asarray(self.link(self.sums(matrix)), dtype=np.float64)


def scores_of(classifier: Any) -> tuple[Scores, bool]:  # noqa: ANN401 - any classifier
    """Make what :func:`utils.evaluation.scoring.abnormality` computes with a fitted classifier of two classes.

    Returns:
        The scores, and whether trees give them; else weights of the columns do, or the classifier is asked itself.
    """
    chances = _voted(classifier)
    if chances is not None:
        return chances, True
    forest = forest_of(classifier)
    if forest is None:
        return _weighed(classifier) or partial(abnormality, classifier), False
    return (forest.sums if hasattr(classifier, "decision_function") else forest.chances), True


def _weighed(classifier: Any) -> Scores | None:  # noqa: ANN401 - any classifier
    """The weighted sum of the columns that logistic regression decides by, without its checks."""
    from sklearn.linear_model import LogisticRegression

    if type(classifier) is not LogisticRegression:
        return None
    weights, begin = classifier.coef_[0], classifier.intercept_[0]
    return lambda matrix: np.asarray(matrix @ weights + begin, dtype=np.float64)


def forest_of(classifier: Any) -> Forest | None:  # noqa: ANN401 - any classifier
    """Write a fitted classifier of two classes as flat trees.

    Returns:
        The forest; nothing where the classifier is none, or has trees of another kind (splits by categories, linear
        leaves, dropped trees).
    """
    if len(getattr(classifier, "classes_", ())) != 2:
        return None
    kinds = (kind.__name__ for kind in type(classifier).__mro__)
    reader = next((READERS[name] for name in kinds if name in READERS), None)
    return None if reader is None else reader(classifier)


def _voted(vote: Any) -> Scores | None:  # noqa: ANN401 - any classifier
    """Mean probability of the members of a plain vote, where all are forests."""
    if type(vote).__name__ != "VotingClassifier" or vote.voting != "soft":
        return None
    members = [forest_of(member) for member in vote.estimators_]
    known = [member for member in members if member is not None]
    if len(known) < len(members):
        return None
    weights = vote._weights_not_none

    def chances(matrix: NDArray[Any]) -> Floats:
        return np.asarray(np.average([member.chances(matrix) for member in known], axis=0, weights=weights))

    return chances


def _forest(
    parts: Sequence[Tree],
    link: Scores,
    compared: type[np.floating[Any]],
    *,
    begin: np.floating[Any] = np.float64(0.0),  # noqa: B008 - a number
    tiny: float = -1.0,
) -> Forest:
    return Forest(trees.joined(parts, begin.dtype), begin, compared, link, tiny)


def _lightgbm(classifier: Any) -> Forest | None:  # noqa: ANN401
    header, *written = classifier.booster_.model_to_string().split("\nTree=")
    settings = dict(line.partition("=")[::2] for line in header.splitlines())
    objective = settings.get("objective", "").split()
    if "average_output" in settings or objective[:1] != ["binary"]:
        return None
    parts = [trees.of_lightgbm(text.split("\nend of trees")[0]) for text in written]
    known = [part for part in parts if part is not None]
    if not known or len(known) < len(parts):
        return None
    slope = float(dict(word.split(":") for word in objective[1:]).get("sigmoid", 1.0))
    return _forest(known, partial(_logistic, slope=slope), np.float64, tiny=TINY_OF_LIGHTGBM)


def _xgboost(classifier: Any) -> Forest | None:  # noqa: ANN401
    learner = trees.learner_of_xgboost(classifier)
    booster, parameters = learner["gradient_booster"], learner["learner_model_param"]
    if booster.get("name") != "gbtree" or learner["objective"]["name"] != "binary:logistic":
        return None
    parts = booster["model"]["trees"]
    if not parts or any(tree.get("categories") for tree in parts):
        return None
    begin = np.float32(trees.base_of_xgboost(parameters["base_score"], 1, 0))
    return _forest([trees.of_xgboost(tree) for tree in parts], _single_logistic, np.float32, begin=begin)


def _averaged(classifier: Any) -> Forest | None:  # noqa: ANN401
    members = getattr(classifier, "estimators_", None) or [classifier]
    if classifier.n_outputs_ != 1:
        return None
    parts = [trees.of_scikit_learn(member.tree_, member.tree_.value[:, 0, 1]) for member in members]
    return _forest(parts, partial(_mean, members=len(members)), np.float32)


def _bagged(classifier: Any) -> Forest | None:  # noqa: ANN401
    members = list(zip(classifier.estimators_, classifier.estimators_features_, strict=True))
    if not all(hasattr(member, "tree_") and len(member.classes_) == 2 for member, _ in members):
        return None
    parts = [trees.of_scikit_learn(one.tree_, one.tree_.value[:, 0, 1], np.asarray(at)) for one, at in members]
    return _forest(parts, partial(_mean, members=len(members)), np.float32)


def _histogram(classifier: Any) -> Forest | None:  # noqa: ANN401
    stages = [stage[0] for stage in classifier._predictors]
    if getattr(classifier, "_preprocessor", None) is not None or not stages:
        return None
    if any(stage.nodes["is_categorical"].any() for stage in stages):
        return None
    from scipy.special import expit

    begin = np.float64(np.ravel(classifier._baseline_prediction)[0])
    return _forest([trees.of_histogram(stage.nodes) for stage in stages], expit, np.float64, begin=begin)


def _logistic(sums: Floats, slope: float) -> Floats:
    from utils.classifiers.compiled import _kernel

    return np.asarray(_kernel.logistic(sums, slope))


def _single_logistic(sums: NDArray[Any]) -> Floats:
    from utils.classifiers.compiled import _kernel

    return np.asarray(_kernel.single_logistic(sums))


def _mean(sums: Floats, members: int) -> Floats:
    return sums / members


READERS: Mapping[str, Callable[[Any], Forest | None]] = MappingProxyType(
    {
        "LGBMClassifier": _lightgbm,
        "XGBClassifier": _xgboost,
        "RandomForestClassifier": _averaged,
        "ExtraTreesClassifier": _averaged,
        "DecisionTreeClassifier": _averaged,
        "BaggingClassifier": _bagged,
        "HistGradientBoostingClassifier": _histogram,
    }
)
"""How each kind of classifier is read."""
