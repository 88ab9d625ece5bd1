"""What sessions repeat: how much work on them is there only once, and what each choice of k promises and does."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from utils.datasets import require
from utils.detectors.judging import decided
from utils.detectors.next_event import NextEvent
from utils.errors import DataError
from utils.evaluation.inputs import Values, as_labels, as_weights
from utils.evaluation.thresholds import AlarmRate
from utils.features import log_sessions
from utils.features.log_sessions import Sequences
from utils.features.tables import WEIGHT

WIDTH = 10
"""Events before the next one in a window, as DeepLog takes them (Du et al., CCS 2017)."""

WORK = {"thing": pl.String, "all": pl.Int64, "distinct": pl.Int64}
CHOICES = {
    "k": pl.Int64,
    **dict.fromkeys(("nominal", "real", "f1", "precision", "recall"), pl.Float64),
    "chosen": pl.Boolean,
}


def repeated_work(
    parts: Mapping[str, pl.DataFrame], *, events: str = "events", weight: str = WEIGHT, width: int = WIDTH
) -> pl.DataFrame:
    """Count sessions, steps and windows, and how many of them are distinct.

    A step is an event of a session or its end; a network that knows the beginning of a session need not read it again,
    so steps after equal beginnings are one piece of work.

    Args:
        parts: tables of sessions by name, such as training and test; each with a list column of events.
        events: name of that column.
        weight: column with the number of sessions that each row stands for; 1 where there is none.
        width: events in a window before the one that is predicted.

    Returns:
        ``thing``, ``all`` and ``distinct``: three rows a table.

    Raises:
        SchemaError: if a table lacks the events.
        DataError: if the width is below 1, or a weight is negative.
    """
    if width < 1:
        raise DataError(f"a window must hold at least 1 event before the next one, found {width}: give a number")
    rows = [
        (f"{thing}, {name}", every, once)
        for name, table in parts.items()
        for thing, every, once in _counted(table, events, weight, width)
    ]
    return pl.DataFrame(rows, schema=WORK, orient="row").sort(
        pl.col("thing").str.split(", ").list.first(), maintain_order=True
    )


def rank_choices(
    detector: NextEvent,
    X: pl.DataFrame,
    y: Values,
    weight: Values | None = None,
    *,
    rate: float = 0.002,
    most: int = 25,
) -> pl.DataFrame:
    """Say for each k of the top-k rule what it promises on held-out normal sessions, and what it does on others.

    A session is flagged if an event of it is not among the k most probable ones of its step (Du et al., CCS 2017). k is
    chosen as :class:`~utils.evaluation.thresholds.AlarmRate` chooses, on the held-out normal sessions of training; what
    the other k do on the sessions given is shown, and no choice comes from it.

    Args:
        detector: fitted, with held-out sessions.
        X: n sessions that are judged.
        y: true for an anomaly, shape (n,).
        weight: how many sessions each row stands for, shape (n,).
        rate: nominal alarm rate for the choice of k.
        most: largest k, if the chosen one is not larger.

    Returns:
        One row a k: ``k``, ``nominal`` (share of held-out normals flagged), ``real`` (share of the normals of ``X``),
        ``f1``, ``precision``, ``recall``, ``chosen`` (of none, where too few sessions were held out for the rate).

    Raises:
        DataError: if the detector held no sessions out, or labels or weights are not usable.
    """
    held_out, mass = detector.held_out_["rank"], detector.held_out_["sessions"]
    if not len(held_out):
        raise DataError("k is chosen on held-out normal sessions, found none: train on more, or choose another score")
    labels, weights = as_labels(y, X.height), as_weights(weight, X.height)
    ranks = detector.scores(X)["rank"].to_numpy()
    whole = mass.astype(np.int64) if (mass % 1 == 0).all() else mass
    cut = AlarmRate(rate).fit(held_out, weight=whole).value_
    chosen = int(np.ceil(cut)) - 1 if np.isfinite(cut) else None
    last = max(chosen or 1, min(most, int(max(held_out.max(), ranks.max(initial=1)))))
    rows = []
    for k in range(1, last + 1):
        found = decided(labels, ranks > k, weights)
        nominal = float(mass[held_out > k].sum() / mass.sum())
        rows.append((k, nominal, found["real"], found["f1"], found["precision"], found["recall"], k == chosen))
    return pl.DataFrame(rows, schema=CHOICES, orient="row").fill_nan(None)


def _counted(table: pl.DataFrame, events: str, weight: str, width: int) -> list[tuple[str, int, int]]:
    require.columns(table, [events], "the table of sessions")
    mass = as_weights(table[weight], table.height) if weight in table.columns else None
    seen = log_sessions.distinct(table, events, weight=mass)
    times = np.rint(seen.counts).astype(np.int64)
    cut = log_sessions.windows(seen.sequences, width + 1)
    return [
        ("sessions", int(times.sum()), len(times)),
        ("steps", int(times @ (seen.sequences.lengths + 1)), _beginnings(seen.sequences)),
        (f"windows of {width}", int(times @ np.diff(cut.offsets)), len(log_sessions.distinct_windows(cut).counts)),
    ]


def _beginnings(sequences: Sequences) -> int:
    """Number of distinct beginnings of sessions, the empty one included."""
    size, found = sequences.vocabulary.size, int(len(sequences) > 0)
    rows, beginning = np.arange(len(sequences)), np.zeros(len(sequences), np.int64)
    for place in range(int(sequences.lengths.max(initial=0))):
        longer = sequences.lengths[rows] > place
        rows, beginning = rows[longer], beginning[longer]
        keys = beginning * size + sequences.codes[sequences.offsets[rows] + place]
        unique, beginning = np.unique(keys, return_inverse=True)
        found += len(unique)
    return found
