"""Normal sessions of training as something to compare with: known counts, sequences, and which is nearest."""

from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import NamedTuple, Self

import numpy as np
import polars as pl
from scipy import sparse

from utils.datasets import require
from utils.detectors.novelty import UnseenCountVector
from utils.evaluation.inputs import Floats, Ints, Values, as_labels, as_series, as_weights
from utils.features import log_sessions
from utils.features.log_sessions import Sequences, Vocabulary

CANDIDATES = 30
"""Sequences with the same counts that are compared event by event, the most frequent ones."""

MOST_CELLS = 250_000
"""Longest pair of sequences that is compared event by event, as product of their lengths."""


class Neighbour(NamedTuple):
    """A count vector of training near a session.

    Attributes:
        counts: how often each event of the vocabulary occurs, by code; the last are unseen events (always 0).
        distance: sum of the absolute differences of counts.
        n_sessions: training sessions that have these counts.
        events: a training session with these counts, the one most like the session in order.
        n_like: training sessions with exactly these events in this order.
    """

    counts: Ints
    distance: int
    n_sessions: float
    events: list[object]
    n_like: float


@dataclass(frozen=True, eq=False)
class NormalSessions:
    """Distinct normal sessions of training by their event counts.

    It holds sequences of training to show one of them, so it belongs beside a model and not into it.

    Attributes:
        events: name of the list column.
        rule: the known count vectors, as :class:`~utils.detectors.novelty.UnseenCountVector` learned them.
        sequences: the distinct sequences.
        counts: training sessions with each sequence, shape (k,).
    """

    events: str
    rule: UnseenCountVector
    sequences: Sequences
    counts: Floats

    @classmethod
    def fit(
        cls, X: pl.DataFrame, y: Values | None = None, weight: Values | None = None, *, events: str = "events"
    ) -> Self:
        """Learn which normal sessions there are.

        Args:
            X: one row a session, with a list column of events.
            y: true for an anomaly, shape (n,); anomalies and rows without a label are left out. ``None``: all rows are
                normal.
            weight: how many sessions each row stands for, shape (n,); rows of weight 0 are left out.
            events: name of the list column.

        Raises:
            SchemaError: if the column is missing or holds no lists of integers or texts.
            DataError: if no normal session is left.
        """
        require.columns(X, [events], "the table of sessions")
        normal, mass = _normal(X, y, weight)
        kept = X.filter(normal)
        rule = UnseenCountVector(events).fit(kept, weight=mass[normal.to_numpy()])
        seen = log_sessions.distinct(kept, events, vocabulary=rule.vocabulary_, weight=mass[normal.to_numpy()])
        return cls(events, rule, seen.sequences, seen.counts)

    @property
    def vocabulary(self) -> Vocabulary:
        """The event types of training."""
        return self.rule.vocabulary_

    @property
    def n_sessions(self) -> float:
        """Normal sessions in training."""
        return float(self.counts.sum())

    @property
    def n_vectors(self) -> int:
        """Distinct count vectors of training."""
        return len(self.rule.known_.sessions)

    def nearest(self, sequences: Sequences, most: int = 3) -> list[list[Neighbour]]:
        """Find the known count vectors nearest to each of a few sessions; of equally near ones the most frequent.

        Args:
            sequences: n sessions in the codes of this vocabulary.
            most: vectors for each session.

        Returns:
            n lists of neighbours, nearest first.
        """
        vectors = log_sessions.count_vectors(sequences)
        return [self._near(np.asarray(sequences[row]), vectors[[row]], most) for row in range(len(sequences))]

    def _near(self, codes: Ints, vector: sparse.csr_matrix, most: int) -> list[Neighbour]:
        known = self.rule.known_
        distances = _distances(known.vectors, np.asarray(vector.todense()).ravel())
        found = []
        for place in np.argsort(distances, kind="stable")[:most].tolist():
            counts = np.asarray(known.vectors[[place]].todense()).ravel().astype(np.int64)
            like = self._most_like(codes, place)
            events = self.vocabulary.decoded(np.asarray(self.sequences[like])).to_list()
            sessions = float(known.sessions[place]), events, float(self.counts[like])
            found.append(Neighbour(counts, int(distances[place]), *sessions))
        return found

    def _most_like(self, codes: Ints, place: int) -> int:
        """Sequence with certain counts whose order is most like that of a session."""
        rows = np.flatnonzero(self.rule.known_.rows == place)
        rows = rows[np.argsort(-self.counts[rows], kind="stable")]
        same = [row for row in rows.tolist() if np.array_equal(np.asarray(self.sequences[row]), codes)]
        if same or len(codes) * len(np.asarray(self.sequences[int(rows[0])])) > MOST_CELLS:
            return int(same[0] if same else rows[0])
        matcher = SequenceMatcher(None, autojunk=False)
        matcher.set_seq2(codes.tolist())
        ratios = []
        for row in rows[:CANDIDATES].tolist():
            matcher.set_seq1(np.asarray(self.sequences[row]).tolist())
            ratios.append(matcher.ratio())
        return int(rows[int(np.argmax(ratios))])


def aligned(here: list[str], usual: list[str]) -> list[tuple[int | None, int | None]]:
    """Lay two sequences side by side so that as much as possible matches (longest matching blocks first).

    Args:
        here: a session.
        usual: the session that it is compared with.

    Returns:
        Pairs of places, in order; ``None`` where one of them has nothing. Empty if both are too long to compare.
    """
    if len(here) * len(usual) > MOST_CELLS:
        return []
    pairs: list[tuple[int | None, int | None]] = []
    for tag, first, last, begin, end in SequenceMatcher(None, here, usual, autojunk=False).get_opcodes():
        left: list[int | None] = list(range(first, last))
        right: list[int | None] = list(range(begin, end))
        if tag == "equal":
            pairs += zip(left, right, strict=True)
        else:
            longest = max(len(left), len(right))
            left += [None] * (longest - len(left))
            right += [None] * (longest - len(right))
            pairs += zip(left, right, strict=True)
    return pairs


def _normal(X: pl.DataFrame, y: Values | None, weight: Values | None) -> tuple[pl.Series, Floats]:
    """Which rows are normal and count, and how many sessions each row stands for."""
    mass = as_weights(weight, X.height)
    mass = np.ones(X.height) if mass is None else mass.astype(np.float64)
    if y is None:
        return pl.Series(mass > 0), mass
    labels = as_series(y)
    known = labels.cast(pl.Int8) if labels.dtype == pl.Boolean else labels
    return pl.Series(~as_labels(known.fill_null(1), X.height) & (mass > 0)), mass


def _distances(known: sparse.csr_matrix, counts: Ints) -> Floats:
    """Sum of absolute differences of a count vector from each known one: |a| + |b| - 2 sum(min(a, b))."""
    common = sparse.csr_matrix(
        (np.minimum(known.data, counts[known.indices]), known.indices, known.indptr), known.shape
    )
    totals = np.asarray(known.sum(axis=1) - 2 * common.sum(axis=1)).ravel()
    return np.asarray(totals + counts.sum(), dtype=np.float64)
