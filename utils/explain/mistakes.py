"""False alarms and misses one by one: how sure the model was, why, and which training rows are most like them."""

from typing import Any, NamedTuple

import numpy as np
import polars as pl
from scipy.spatial.distance import cdist
from sklearn.pipeline import Pipeline

from utils.classifiers.champion import Champion
from utils.datasets import require
from utils.errors import DataError
from utils.evaluation.inputs import Bools, Floats, Ints, Values, as_labels, as_weights
from utils.explain.importance import FALSE_ALARM, MISS
from utils.settings import SEED

MOST = 20
CHUNK = 20_000
"""Training rows that are compared at once."""

MOST_TRAINING = 100_000
"""Training rows that neighbours are looked for among at most; rows of the same features are looked for among all."""

MISTAKES = {
    "row": pl.Int64,
    "mistake": pl.String,
    "rows": pl.Float64,
    "score": pl.Float64,
    "threshold": pl.Float64,
    "reasons": pl.String,
    "neighbour": pl.Int64,
    "neighbour_label": pl.Boolean,
    "distance": pl.Float64,
    "like_anomalies": pl.Int64,
    "like_normals": pl.Int64,
    "same_other": pl.Boolean,
}


class _Training(NamedTuple):
    """Encoded training rows on a common scale."""

    rows: Floats
    labels: Bools
    scale: Floats


def mistakes(
    champion: Champion,
    rows: pl.DataFrame,
    y: Values,
    training: pl.DataFrame,
    training_y: Values,
    weight: Values | None = None,
    *,
    most: int = MOST,
    neighbours: int = 5,
) -> pl.DataFrame:
    """List false alarms and misses, the most confident ones first.

    Nearest neighbours are looked for in the features of the model, each column divided by its spread in training (the
    5 % to 95 % range, or the standard deviation). A mistake whose nearest training row has the SAME features and the
    other label is marked: no model of these features can get both right.

    Args:
        champion: the fitted model.
        rows: test rows (n rows).
        y: true for an anomaly (n,).
        training: training rows (m rows).
        training_y: true for an anomaly (m,).
        weight: how many rows each test row stands for (n,).
        most: most mistakes of each kind.
        neighbours: training rows that are looked at around each.

    Returns:
        One row a mistake, false alarms before misses, farthest from the threshold first: ``row`` (its number),
        ``mistake``, ``rows`` that it stands for, ``score``, ``threshold``, ``reasons`` (one sentence), ``neighbour``
        (number of the nearest training row), ``neighbour_label``, ``distance`` to it, ``like_anomalies`` and
        ``like_normals`` (among the nearest training rows), ``same_other`` (a training row has the same features and
        the other label). No rows where there is no mistake.

    Raises:
        SchemaError: if a table is no polars frame, or a column is missing.
        DataError: if lengths differ, or there is no training row.
    """
    require.frame(training, "the training rows")
    labels, known = as_labels(y, rows.height), as_labels(training_y, training.height)
    if not training.height:
        raise DataError("mistakes are compared with training rows, found none: give those that the model learned from")
    mass = as_weights(weight, rows.height)
    scores = champion.score_samples(rows)
    decided = champion.threshold_.predict(scores)
    chosen = _chosen(labels, decided, scores, mass, most)
    made = pl.DataFrame(
        {
            "row": chosen,
            "mistake": np.where(labels[chosen], MISS, FALSE_ALARM),
            "rows": np.ones(len(chosen)) if mass is None else mass[chosen].astype(np.float64),
            "score": scores[chosen],
            "threshold": np.full(len(chosen), champion.threshold_.value_),
            "reasons": champion.explain(rows[chosen]) if len(chosen) else [],
        },
        schema={name: MISTAKES[name] for name in list(MISTAKES)[:6]},
    )
    table = _encoded(champion, training)
    around = _neighbours(_encoded(champion, rows[chosen]), _scaled(table, known), labels[chosen], neighbours)
    return pl.concat([made, around], how="horizontal")


def totals(y: Values, decisions: Values, weight: Values | None = None) -> dict[str, float]:
    """Count the mistakes: ``false alarms``, ``misses``, and both as a share of all ``rows``.

    Raises:
        DataError: if lengths differ.
    """
    labels = as_labels(y)
    decided, mass = as_labels(decisions, len(labels), "decisions"), as_weights(weight, len(labels))
    counts = np.ones(len(labels)) if mass is None else mass.astype(np.float64)
    false, missed = float(counts[~labels & decided].sum()), float(counts[labels & ~decided].sum())
    total = float(counts.sum())
    return {
        "false alarms": false,
        "misses": missed,
        "rows": total,
        "error rate": (false + missed) / total if total else float("nan"),
    }


def _chosen(labels: Bools, decided: Bools, scores: Floats, mass: Any, most: int) -> Ints:  # noqa: ANN401
    """Numbers of the mistakes to list: false alarms with the highest scores, misses with the lowest."""
    counted = np.ones(len(labels), dtype=np.bool_) if mass is None else mass > 0
    false, missed = np.flatnonzero(~labels & decided & counted), np.flatnonzero(labels & ~decided & counted)
    false = false[np.argsort(-scores[false], kind="stable")][:most]
    missed = missed[np.argsort(scores[missed], kind="stable")][:most]
    return np.concatenate([false, missed]).astype(np.int64)


def _encoded(champion: Champion, rows: pl.DataFrame) -> Floats:
    """Rows as the model's features, missing ones 0 beside a column that says so; shape (n, 2 outputs at most)."""
    pipeline: Pipeline = champion.pipeline_
    if not rows.height:
        return np.zeros((0, 0))
    made = pipeline[0].transform(champion.table(rows))
    matrix = np.asarray(made.toarray() if hasattr(made, "toarray") else made, dtype=np.float64)
    absent = np.isnan(matrix)
    return np.hstack([np.where(absent, 0.0, matrix), absent.astype(np.float64)])


def _scaled(matrix: Floats, labels: Bools) -> _Training:
    low, high = np.quantile(matrix, [0.05, 0.95], axis=0)
    deviation = matrix.std(axis=0)
    scale = np.where(high > low, high - low, np.where(deviation > 0, deviation, 1.0))
    return _Training(matrix, labels, scale)


def _neighbours(points: Floats, training: _Training, labels: Bools, wanted: int) -> pl.DataFrame:
    """Nearest training rows of some rows, and whether any has the same features and the other label."""
    schema = {name: MISTAKES[name] for name in list(MISTAKES)[6:]}
    if not len(points):
        return pl.DataFrame(schema=schema)
    drawn = np.arange(len(training.rows))
    if len(drawn) > MOST_TRAINING:
        drawn = np.sort(np.random.default_rng(SEED).choice(drawn, MOST_TRAINING, replace=False))
    wanted = min(wanted, len(drawn))
    best, place = np.full((len(points), 0), 0.0), np.zeros((len(points), 0), dtype=np.int64)
    for start in range(0, len(drawn), CHUNK):
        part = drawn[start : start + CHUNK]
        best = np.hstack([best, cdist(points / training.scale, training.rows[part] / training.scale)])
        place = np.hstack([place, np.broadcast_to(part, (len(points), len(part)))])
        order = np.argsort(best, axis=1, kind="stable")[:, :wanted]
        best, place = np.take_along_axis(best, order, axis=1), np.take_along_axis(place, order, axis=1)
    like = training.labels[place]
    columns = (
        place[:, 0],
        like[:, 0],
        best[:, 0],
        like.sum(axis=1),
        (~like).sum(axis=1),
        [_contradicted(point, training, label) for point, label in zip(points, labels, strict=True)],
    )
    return pl.DataFrame(dict(zip(schema, columns, strict=True)), schema=schema)


def _contradicted(point: Floats, training: _Training, label: bool) -> bool:
    """Whether a training row has exactly the same features and the other label."""
    others = training.rows[training.labels != label]
    return bool((others == point).all(axis=1).any())
