"""Boosting that stops when it gains nothing more, judged by rows held out inside the training part of a fold.

Rows that judge a trial never tell it when to stop. What the folds needed on average becomes the number of rounds of the
final model, which learns from all training rows and stops for nobody.
"""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from utils.classifiers.tuning.folds import Part, fitted_to
from utils.classifiers.tuning.targets import Target
from utils.errors import DataError
from utils.evaluation import splits
from utils.evaluation.splits import Split

SHARE = 0.15
"""Share of the training rows of a fold that tell when to stop."""

ROUNDS = {"xgboost": "n_estimators", "lightgbm": "n_estimators", "hist gradient boosting": "max_iter"}
"""What the number of rounds is called, by the library of the model."""


def family_of(classifier: BaseEstimator) -> str | None:
    """Which boosting it is, by its class or what that inherits from; ``None`` if it cannot stop early."""
    names = {each.__name__ for each in type(classifier).__mro__}
    families = {
        "XGBClassifier": "xgboost",
        "LGBMClassifier": "lightgbm",
        "HistGradientBoostingClassifier": "hist gradient boosting",
    }
    return next((family for name, family in families.items() if name in names), None)


def fitted_until(classifier: BaseEstimator, part: Part, patience: int, seed: int) -> tuple[BaseEstimator, int | None]:
    """Fit a boosting until it gains nothing for some rounds; any other classifier is fitted as it is.

    Args:
        classifier: unfitted classifier.
        part: a fold as matrices.
        patience: rounds without gain after which it stops.
        seed: seed of the division of the training rows.

    Returns:
        The fitted classifier, and how many rounds it used; ``None`` where it did not stop by itself or the training
        rows are too few to hold some out.
    """
    family = family_of(classifier)
    held = None if family is None else _held_out(part.known, seed)
    if family is None or held is None:
        return fitted_to(classifier, part.learned, part.known), None
    rows, stop = part.known.take(held.train), part.known.take(held.test)
    X, X_stop = part.learned[held.train], part.learned[held.test]
    weights = {} if rows.weight is None else {"sample_weight": rows.weight}
    codes = np.searchsorted(np.unique(rows.y), stop.y)
    if family == "xgboost":
        classifier.set_params(early_stopping_rounds=patience)
        model = classifier.fit(X, rows.y, eval_set=[(X_stop, codes)], verbose=False, **weights)
        return model, int(model.best_iteration) + 1
    if family == "lightgbm":
        from lightgbm import early_stopping

        until: dict[str, Any] = {"callbacks": [early_stopping(patience, verbose=False)]}
        model = classifier.fit(X, rows.y, eval_X=X_stop, eval_y=codes, **until, **weights)
        return model, int(model.best_iteration_ or model.n_estimators)
    classifier.set_params(early_stopping=True, n_iter_no_change=patience)
    model = classifier.fit(X, rows.y, X_val=X_stop, y_val=stop.y, **weights)
    return model, int(model.n_iter_)


def _held_out(known: Target, seed: int) -> Split | None:
    """Hold out some of the training rows, all classes on both sides; ``None`` where they are too few."""
    try:
        if known.groups is None:
            return splits.stratified(known.y, SHARE, seed)
        return splits.grouped(known.y, known.groups, SHARE, seed)
    except DataError:
        return None
