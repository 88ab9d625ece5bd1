"""Held-out scores of training sessions, and how far these repeat each other."""

from typing import Any

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator, clone

from utils.errors import SettingsError
from utils.evaluation.inputs import Floats, Ints
from utils.features import log_sessions

EVENTS = "events"
FEWEST_FOLDS = 2
MOST_EXPANDED = 5_000_000
"""Sessions that are held out one by one; more are thinned."""


def repeated_share(rows: pl.DataFrame, weight: Floats | None) -> float:
    """Share of the sessions whose event counts another session has.

    Args:
        rows: sessions with a list column ``events``, n rows.
        weight: how many sessions each row stands for, shape (n,).
    """
    seen = log_sessions.distinct(rows, weight=weight)
    vectors = log_sessions.count_vectors(seen.sequences)
    keys = pl.Series([row.tobytes() for row in _compact(vectors)], dtype=pl.Binary)
    group = keys.rank("dense").to_numpy().astype(np.int64) - 1
    held = np.bincount(group, seen.counts)
    return float(held[held > 1].sum() / max(held.sum(), 1.0))


def _compact(vectors: Any) -> list[Ints]:  # noqa: ANN401 (a matrix of scipy)
    """Columns and counts of each row in one array."""
    pairs = np.stack([vectors.indices.astype(np.int64), vectors.data.astype(np.int64)], axis=1)
    return np.split(pairs, vectors.indptr[1:-1]) if vectors.shape[0] else []


def held_out_scores(
    detector: BaseEstimator, rows: pl.DataFrame, weight: Floats | None, folds: int, seed: int
) -> Floats:
    """Score training sessions by detectors that have not seen them; a single session by the one that has.

    Where the score depends on the number of training sessions, the others stand for all of them, lest held-out
    sessions score lower than new ones will.

    Args:
        detector: of sessions with a list column ``events``; it is cloned.
        rows: normal sessions in the order of the log, n rows.
        weight: how many sessions each row stands for, shape (n,).
        folds: parts that are held out in turn, each a run of successive sessions.
        seed: of the order of rows that stand for several sessions.

    Returns:
        One score a session, HIGHER = MORE ABNORMAL.

    Raises:
        SettingsError: if there are fewer than two folds.
    """
    if folds < FEWEST_FOLDS:
        raise SettingsError(f"folds must be at least {FEWEST_FOLDS}, found {folds}: give a number of folds such as 5")
    seen = log_sessions.distinct(rows)
    table = pl.DataFrame({EVENTS: seen.events})
    place = _one_each(seen.inverse, weight, seed)
    if len(place) < 2:
        return np.asarray(clone(detector).fit(table).score_samples(table), dtype=np.float64)
    fold = np.arange(len(place)) * min(folds, len(place)) // len(place)
    found = np.zeros(len(place))
    for number in range(int(fold[-1]) + 1):
        held = fold == number
        learned, asked = (np.bincount(place[side], minlength=table.height) for side in (~held, held))
        mass = learned[learned > 0] * (len(place) / learned.sum() if getattr(detector, "proportional", False) else 1.0)
        fitted = clone(detector).fit(table.filter(pl.Series(learned > 0)), weight=mass)
        scores = np.zeros(table.height)
        scores[asked > 0] = fitted.score_samples(table.filter(pl.Series(asked > 0)))
        found[held] = scores[place[held]]
    return found


def _one_each(inverse: Ints, weight: Floats | None, seed: int) -> Ints:
    """Distinct sequence of each session; those of rows that stand for several are shuffled, as they have no order."""
    if weight is None:
        return inverse
    counts = np.maximum(np.rint(weight), 0).astype(np.int64)
    if counts.sum() > MOST_EXPANDED:
        counts = np.maximum(counts * MOST_EXPANDED // counts.sum(), counts > 0)
    return np.random.default_rng(seed).permutation(np.repeat(inverse, counts))
