"""What a next-event network learns from: tokens in, tokens wanted, and how many sessions each row stands for.

A whole session is one row, wanted at every place: its distinct sequence is learned from once, weighted by the number
of sessions that have it, so the weighted loss is that over all sessions. Sessions longer than :data:`STRIDE` events are
cut into rows that overlap by :data:`LEAD` tokens, of which only the later ones are wanted, so that a row has a bounded
length and no event is learned twice. The classic form (Du et al., "DeepLog", CCS 2017) has a row for each distinct
window, wanted at its last place.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utils.evaluation.inputs import Floats
from utils.features import log_sessions
from utils.features.log_sessions import Codes, Ints, Sequences

STRIDE = 128
"""Events of a session that one row wants, at most."""

LEAD = 32
"""Tokens before them in the same row, from which the state is built up."""

LEAST_SESSIONS = 20
"""Fewer sessions than this are too few to hold some out; the loss of training then says when to stop."""

MOST_DRAWN = 10**9
"""As many sessions are divided by distinct sequence: numpy draws no more of them one by one."""


@dataclass(frozen=True, eq=False)
class Lessons:
    """Rows of training.

    Attributes:
        tokens: codes of each row, shape (n, width + 1): all but the last are given, all but the first are wanted.
        first: place of the first wanted token among the wanted, shape (n,).
        lengths: given tokens of each row; what comes after is padding, shape (n,).
        weight: sessions that each row stands for, shape (n,).
    """

    tokens: Codes
    first: Ints
    lengths: Ints
    weight: Floats

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def wanted(self) -> float:
        """Weight of all wanted tokens."""
        return float(self.weight @ (self.lengths - self.first))

    def take(self, rows: NDArray[Any]) -> "Lessons":
        """Copy some rows."""
        return Lessons(self.tokens[rows], self.first[rows], self.lengths[rows], self.weight[rows])


def divided(counts: Floats, parts: int, seed: int) -> list[Floats]:
    """Divide sessions at random into parts of equal size: how many sessions of each sequence go to each.

    Weights that are no whole numbers cannot be divided into sessions; sequences are then divided as they are.

    Args:
        counts: sessions that have each sequence, shape (n,).
        parts: number of parts.
        seed: of the draws.

    Returns:
        For each part how many sessions have each sequence, shape (n,); no part if there are too few sessions.
    """
    total = counts.sum()
    if total < LEAST_SESSIONS or len(counts) < 2:
        return []
    generator = np.random.default_rng(seed)
    if (counts % 1).any() or total >= MOST_DRAWN:
        part = generator.permutation(len(counts)) % parts
        return [np.where(part == number, counts, 0.0) for number in range(parts)]
    left, found = counts.astype(np.int64), []
    for number in range(parts, 0, -1):
        drawn = generator.multivariate_hypergeometric(left, int(left.sum()) // number, method="marginals")
        found.append(drawn.astype(np.float64))
        left = left - drawn
    return found


def rows_of(sequences: Sequences, counts: Floats, window: int | None = None, power: float = 1.0) -> Lessons:
    """Rows of training for the sessions of some sequences.

    Args:
        sequences: n distinct sequences.
        counts: sessions that have each, shape (n,); those of none are left out.
        window: tokens that the network looks back; ``None`` for whole sessions.
        power: to which the counts are raised.
    """
    rows = np.flatnonzero(counts > 0)
    chosen, weight = sequences.take(rows), counts[rows] ** power
    return whole_sessions(chosen, weight) if window is None else windows(chosen, weight, window)


def whole_sessions(sequences: Sequences, weight: Floats) -> Lessons:
    """Rows that hold sessions from their beginning to their end, or overlapping parts of long ones.

    Args:
        sequences: n distinct sequences.
        weight: sessions that have each, shape (n,).
    """
    cut = log_sessions.windows(sequences, 2, begin=True, end=True)
    parts = -(-(sequences.lengths + 1) // STRIDE)
    session = np.repeat(np.arange(len(sequences)), parts)
    place = np.arange(len(session)) - np.repeat(np.cumsum(parts) - parts, parts)
    begins = np.maximum(place * STRIDE - LEAD, 0)
    ends = np.minimum((place + 1) * STRIDE, sequences.lengths[session] + 1)
    lengths = ends - begins
    columns = np.arange(lengths.max(initial=0) + 1)
    inside = columns <= lengths[:, None]
    places = (cut.begins[session] + begins)[:, None] + np.where(inside, columns, 0)
    tokens = np.where(inside, cut.tokens[places], sequences.vocabulary.begin).astype(cut.tokens.dtype)
    return _merged(Lessons(tokens, place * STRIDE - begins, lengths, weight[session]), parts)


def windows(sequences: Sequences, weight: Floats, width: int) -> Lessons:
    """Rows that hold the distinct windows of ``width`` tokens and the token after each.

    Args:
        sequences: n distinct sequences.
        weight: sessions that have each, shape (n,).
        width: tokens that are given.
    """
    cut = log_sessions.windows(sequences, width + 1)
    found = log_sessions.distinct_windows(cut)
    counts = np.bincount(found.inverse, weight[cut.session], minlength=len(found.values)).astype(np.float64)
    return Lessons(found.values, np.full(len(counts), width - 1), np.full(len(counts), width), counts)


def _merged(lessons: Lessons, parts: Ints) -> Lessons:
    """Join equal rows; only parts of long sessions can be equal."""
    if len(parts) == len(lessons):
        return lessons
    keys = np.column_stack([lessons.first, lessons.lengths, lessons.tokens])
    _, rows, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    merged = lessons.take(rows)
    weight = np.bincount(inverse.ravel(), lessons.weight).astype(np.float64)
    return Lessons(merged.tokens, merged.first, merged.lengths, weight)
