"""What a session is like, in a few numbers: what is watched to tell whether a log still is what it was."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from utils.detectors.log_monitor.calibration import EVENTS
from utils.evaluation.inputs import Ints
from utils.features import log_sessions
from utils.features.log_sessions import Vocabulary

MOST_WATCHED = 40
LENGTH, TYPES, UNKNOWN = "events", "event types", "unknown events"


def traits(sessions: pl.DataFrame, vocabulary: Vocabulary, watched: Ints) -> pl.DataFrame:
    """Count in each session its events, its event types, the unknown events, and each of some event types.

    Args:
        sessions: a list column ``events``, as the vocabulary has them, n sessions.
        vocabulary: the event types of training.
        watched: codes of the event types that are counted one by one.

    Returns:
        Whole numbers: ``events``, ``event types``, ``unknown events`` and ``event <name>`` (n rows).
    """
    seen = log_sessions.distinct(sessions, EVENTS, vocabulary=vocabulary)
    counts = log_sessions.count_vectors(seen.sequences)
    names = vocabulary.events.cast(pl.String).gather(watched).to_list()
    each = counts[:, watched].toarray()
    found = {
        LENGTH: np.asarray(counts.sum(axis=1)).ravel(),
        TYPES: counts.getnnz(axis=1),
        UNKNOWN: counts[:, [vocabulary.unseen]].toarray().ravel(),
        **{f"event {name}": each[:, place] for place, name in enumerate(names)},
    }
    return pl.DataFrame({name: values[seen.inverse].astype(np.int64) for name, values in found.items()})


def watched(present: NDArray[np.float64]) -> Ints:
    """Codes of the event types that most sessions have, in the order of the codes.

    Args:
        present: training sessions that have each event type (k,).
    """
    return np.sort(np.argsort(-present, kind="stable")[:MOST_WATCHED]).astype(np.int64)
