"""Which columns make the output of a model: Shapley values of raw rows, checked to add up.

Values belong to the ORIGINAL columns: what the outputs of a transformer get is summed to the column that they were made
of. Every explanation says on which scale the values add up, how they were computed, and by how much they fail to add
up; an explanation that fails by more than one millionth is refused.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from scipy import sparse
from sklearn.pipeline import Pipeline

from utils.datasets import require
from utils.detectors import table_detector
from utils.detectors.outliers.points import kept_places
from utils.errors import DataError, SettingsError
from utils.evaluation.inputs import Bools, Floats, Ints
from utils.evaluation.scoring import abnormality
from utils.explain import sampling, trees
from utils.explain.trees import DECISION, LOG_ODDS, PROBABILITY, Attribution
from utils.settings import SEED

EXACT = 1e-6
"""Largest failure to add up, as a share of the largest output, or of 1 if that is less."""

ORDERS = 32
BACKGROUND = 200
"""Background rows that are drawn from at most."""

WHAT = "the rows to explain"
SECONDS_A_STEP = 1.0e-9
"""What one step of the algorithm on trees takes on a common processor; used to choose a number of rows only."""

FEWEST_ROWS = 20


@dataclass(frozen=True, eq=False)
class Shapley:
    """Shapley values of some rows.

    Attributes:
        values: one column of values for each column of the table (n rows).
        rows: the explained values of those columns (n rows).
        base: mean output, to which the values of a row are added.
        output: output of the model (n,): the base and the values of a row add up to it.
        score: score of the model, its probability of an anomaly, or decision function (n,).
        scale: unit of values, base and output: ``"log-odds"``, ``"probability"`` or ``"decision value"``.
        method: how the values were computed, in one sentence.
        error: largest failure to add up, as a share of the largest output or of 1.
        sampling_error: standard error of each value, where they were estimated.
    """

    values: pl.DataFrame
    rows: pl.DataFrame
    base: float
    output: Floats
    score: Floats
    scale: str
    method: str
    error: float
    sampling_error: pl.DataFrame | None = None

    def __len__(self) -> int:
        return self.values.height

    @property
    def exact(self) -> bool:
        """Whether the values are exact and not estimated."""
        return self.sampling_error is None

    def describe(self) -> str:
        """Say in one sentence what the values are and how well they add up."""
        noise = ""
        if self.sampling_error is not None and self.sampling_error.width and len(self):
            noise = f", standard error {float(np.mean(self.sampling_error.to_numpy())):.2g} on average"
        return f"{self.method} ({self.scale}); they add up to the output within {self.error:.1g}{noise}."


def shapley(
    model: Any,  # noqa: ANN401 - a champion or any fitted pipeline
    rows: pl.DataFrame,
    background: pl.DataFrame | None = None,
    *,
    target: str | bool | None = None,
    orders: int = ORDERS,
    seed: int = SEED,
) -> Shapley:
    """Explain the output of a model for raw rows.

    Trees (decision tree, random forest, extra trees, bagging, AdaBoost, gradient boosting, HistGradientBoosting with
    and without categories, LightGBM, XGBoost) and linear models get exact values, every other classifier estimated
    ones with their standard errors.

    Args:
        model: a :class:`utils.classifiers.champion.Champion` or a fitted pipeline of features and a classifier.
        rows: n rows, at least one.
        background: rows that say what is common, normally training rows; at most 200 of them are used. Trees need none.
        target: the class to explain where there are more than two.
        orders: orders of the columns behind estimated values.
        seed: of what is drawn.

    Returns:
        The values with what they add up to.

    Raises:
        SettingsError: if the model is no pipeline, ``target`` is no class, or ``orders`` is too small.
        SchemaError: if a column is missing, or an output of the features has no known origin.
        DataError: if there is no row, a background is needed and missing, or the values do not add up.
    """
    pipeline = _pipeline(model)
    frame = model.table(rows) if hasattr(model, "table") else rows
    require.frame(frame, WHAT)
    if frame.is_empty():
        raise DataError(f"{WHAT} must be at least one, found none: choose some")
    names, origin = table_detector._traced(pipeline[0], frame.columns, {})
    member = np.asarray(origin[:, None] == np.arange(len(names)), dtype=np.bool_)
    place = _place(pipeline, target)
    distinct, first, inverse = _distinct(_encoded(pipeline, frame))
    found = _attributed(pipeline, distinct, _background(pipeline, background, seed), member, place, orders, seed)
    error = _require_sum(found)
    used = [name for place, name in enumerate(names) if member[:, place].any()]
    columns = [names.index(name) for name in used]
    return Shapley(
        values=_table(found.values[inverse], columns, used),
        rows=frame.select(name for name in used if name in frame.columns),
        base=found.base,
        output=found.output[inverse],
        score=_scores(pipeline, frame[first], place)[inverse],
        scale=found.scale,
        method=found.method,
        error=error,
        sampling_error=None if found.error is None else _table(found.error[inverse], columns, used),
    )


def affordable(model: Any, rows: int, seconds: float = 5.0) -> int:  # noqa: ANN401 - a champion or a pipeline
    """Say how many rows can be explained in about so many seconds, so that deep forests do not take minutes.

    Counted in steps of the algorithm, never timed: the same model gives the same number on every machine.

    Args:
        model: as in :func:`shapley`.
        rows: rows that there are.
        seconds: time on a common processor.

    Returns:
        A number up to ``rows``; at least 20 where there are so many.
    """
    pipeline = _pipeline(model)
    steps = trees.work(pipeline[-1]) if len(pipeline) == 2 else None
    if steps is None:
        return min(rows, BACKGROUND)
    return min(rows, max(FEWEST_ROWS, int(seconds / (SECONDS_A_STEP * max(steps, 1.0)))))


def drawn(frame: pl.DataFrame, most: int, seed: int = SEED) -> Ints:
    """Draw row numbers, rising: at most so many of the rows of a frame."""
    return kept_places(frame.height, most, seed)


def _pipeline(model: Any) -> Pipeline:  # noqa: ANN401
    pipeline = getattr(model, "pipeline_", model)
    if not isinstance(pipeline, Pipeline) or len(pipeline) < 2:
        wanted = "a champion or a fitted pipeline of features and a classifier can be explained"
        raise SettingsError(f"{wanted}, found {type(model).__name__}: make one")
    return pipeline


def _place(pipeline: Pipeline, target: str | bool | None) -> int:
    """Place of the explained class in ``classes_``."""
    classes = list(pipeline[-1].classes_)
    if target is None and len(classes) == 2:
        return 1
    if target not in classes:
        shown = ", ".join(map(str, classes[:12]))
        raise SettingsError(f"target must be one of the classes {shown}, found {target!r}: name the one to explain")
    return classes.index(target)


def _encoded(pipeline: Pipeline, frame: pl.DataFrame) -> Floats:
    made = pipeline[0].transform(frame)
    return np.asarray(made.toarray() if sparse.issparse(made) else made, dtype=np.float64)


def _distinct(matrix: Floats) -> tuple[Floats, Ints, Ints]:
    """Distinct rows, the first place of each, and which of them each row is."""
    plain = np.where(np.isnan(matrix), -np.inf, matrix) + 0.0
    _, first, inverse = np.unique(plain, axis=0, return_index=True, return_inverse=True)
    return matrix[first], first, np.asarray(inverse).ravel()


def _background(pipeline: Pipeline, background: pl.DataFrame | None, seed: int) -> Floats | None:
    if background is None or background.is_empty():
        return None
    return _encoded(pipeline, background[drawn(background, BACKGROUND, seed)])


def _attributed(
    pipeline: Pipeline,
    matrix: Floats,
    background: Floats | None,
    member: Bools,
    place: int,
    orders: int,
    seed: int,
) -> Attribution:
    """Values of the columns: exact where the model allows it.

    Raises:
        DataError: if a background is needed and missing.
    """
    classifier = pipeline[-1]
    if len(pipeline) == 2 and (found := trees.attribute(classifier, matrix, place)) is not None:
        return found._replace(values=found.values @ member)
    if background is None:
        name = type(classifier).__name__
        raise DataError(f"{name} is explained beside other rows, found none: give background, normally training rows")
    if len(pipeline) == 2 and (flat := _linear(classifier, matrix, background, place)) is not None:
        return flat._replace(values=flat.values @ member)
    score, scale = _scale(pipeline[1:] if len(pipeline) > 2 else pipeline[-1], place)
    return sampling.sampled(score, matrix, background, member, orders=orders, seed=seed, scale=scale)


def _linear(classifier: Any, matrix: Floats, background: Floats, place: int) -> Attribution | None:  # noqa: ANN401
    """Values of a linear model, nothing if it is none."""
    coefficients = getattr(classifier, "coef_", None)
    if coefficients is None or not hasattr(classifier, "decision_function") or sparse.issparse(coefficients):
        return None
    weights = np.atleast_2d(np.asarray(coefficients, dtype=np.float64))
    row = 0 if len(weights) == 1 else place
    if len(weights) not in (1, len(classifier.classes_)) or weights.shape[1] != matrix.shape[1]:
        return None
    output = np.asarray(classifier.decision_function(matrix), dtype=np.float64)
    output = output if output.ndim == 1 else output[:, row]
    scale = LOG_ODDS if hasattr(classifier, "predict_proba") and len(weights) == 1 else DECISION
    constant = float(np.atleast_1d(classifier.intercept_)[row])
    return sampling.linear(weights[row], constant, matrix, background, output, scale)


def _scale(rest: Any, place: int) -> tuple[Callable[[Floats], Floats], str]:  # noqa: ANN401
    """What is explained of a model that is neither trees nor linear, and its unit."""
    if hasattr(rest, "predict_proba"):
        return lambda rows: np.asarray(rest.predict_proba(rows), dtype=np.float64)[:, place], PROBABILITY
    if len(rest.classes_) == 2:
        return lambda rows: abnormality(rest, rows), DECISION
    return lambda rows: np.asarray(rest.decision_function(rows), dtype=np.float64)[:, place], DECISION


def _scores(pipeline: Pipeline, frame: pl.DataFrame, place: int) -> Floats:
    if len(pipeline[-1].classes_) == 2:
        return abnormality(pipeline, frame)
    found = pipeline.predict_proba if hasattr(pipeline, "predict_proba") else pipeline.decision_function
    return np.asarray(found(frame), dtype=np.float64)[:, place]


def _require_sum(found: Attribution) -> float:
    """Largest failure to add up.

    Raises:
        DataError: if it is more than one millionth.
    """
    size = max(1.0, float(np.abs(found.output).max()))
    error = float(np.abs(found.base + found.values.sum(axis=1) - found.output).max()) / size
    if not error <= EXACT:
        wanted = f"Shapley values must add up to the model's output within {EXACT:g}"
        raise DataError(f"{wanted}, found a gap of {error:.2g}: explain this model by its reasons instead")
    return error


def _table(values: Floats, columns: list[int], names: list[str]) -> pl.DataFrame:
    return pl.DataFrame({name: values[:, place] for place, name in zip(columns, names, strict=True)})
