"""How unusual the counts of a session are, event by event: rare, new, many at once, or missing."""

from collections.abc import Iterator
from typing import ClassVar, NamedTuple, Self

import numpy as np
import polars as pl
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from utils.evaluation.inputs import Floats, Ints, Values, normal_rows
from utils.features import log_sessions
from utils.features.log_sessions import Distinct

UNKNOWN = "(unknown)"
"""Name of an event that has none."""


class Parts(NamedTuple):
    """What each event of each session adds to its score.

    Attributes:
        row: distinct session of each part.
        code: code of the event; that of unseen events stands for all of them.
        times: how often the session has it.
        share: what it adds.
    """

    row: Ints
    code: Ints
    times: Ints
    share: Floats


class CountSurprise(BaseEstimator):  # type: ignore[misc]
    """Sums up how rare the count of each event is among normal sessions; HIGHER = MORE ABNORMAL.

    For windows of time or of lines, hardly two of which have the same counts, so that "never seen" says nothing. Each
    event type adds ``-ln(2 p)`` where that is above zero; p is the share of the n training sessions that have the event
    at least as often (or at most as often, if that is rarer), the session itself counted: ``(1 + k) / (1 + n)``. Beyond
    the highest count c of training the tail goes on as ``(c + 1) / (count + 1)``: a burst of a hundred adds more than
    one of ten; an event type that training does not have has c = 0. Many rare events at once add up, as in
    Fisher's combination of p-values.

    The sum is no p-value: events depend on each other. :class:`utils.evaluation.conformal.ConformalPValues` of held-out
    sessions makes one of it.

    Attributes:
        vocabulary_: the known event types.
        n_sessions_: training sessions.
        lengths_: fewest, median and most events of a training session.

    Source:
        Fisher, "Statistical Methods for Research Workers", 1932 (sum of log p); Vovk, Gammerman and Shafer,
        "Algorithmic Learning in a Random World", 2005 (p-values that count the session itself).
    """

    proportional: ClassVar[bool] = True
    """Weights need not be whole: a part of the sessions can stand for all of them, so that scores compare."""

    def __init__(self, events: str = "events") -> None:
        self.events = events

    def fit(self, X: pl.DataFrame, y: Values | None = None, weight: Values | None = None) -> Self:
        """Learn how often normal sessions have each event.

        Args:
            X: one row a session, with a list column of events.
            y: true for an anomaly, shape (n,); these are left out.
            weight: how many sessions each row stands for, shape (n,).

        Raises:
            SchemaError: if the column is missing or holds no lists of integers or texts.
            DataError: if no normal session is left.
        """
        normal, mass = normal_rows(y, weight, X.height, "counts are learned from")
        weights = np.ones(int(normal.sum())) if mass is None else mass.astype(np.float64)
        rows = X.filter(pl.Series(normal)).filter(pl.Series(weights > 0))
        seen = log_sessions.distinct(rows, self.events, weight=weights[weights > 0])
        self.vocabulary_, self.n_sessions_ = seen.sequences.vocabulary, float(seen.counts.sum())
        self.lengths_ = _lengths(seen.sequences.lengths, seen.counts)
        self._learn(log_sessions.count_vectors(seen.sequences)[:, : self.vocabulary_.unseen].tocsc(), seen.counts)
        return self

    def score_samples(self, X: pl.DataFrame) -> Floats:
        """Score sessions; HIGHER = MORE ABNORMAL.

        Args:
            X: n sessions.

        Returns:
            Scores from 0 on, shape (n,).

        Raises:
            SchemaError: if the column is missing or holds events of another kind than in training.
        """
        seen = self._distinct(X)
        parts, _ = self._parts(seen)
        scores = np.bincount(parts.row, parts.share, minlength=len(seen.sequences))[seen.inverse]
        return scores.astype(np.float64)

    def shares(self, X: pl.DataFrame) -> pl.DataFrame:
        """Tell what each event adds to the score of each session.

        Args:
            X: n sessions.

        Returns:
            ``row`` (of X), ``event`` (as text), ``known`` (false for one that training does not have), ``code``,
            ``count`` and ``share`` of what adds anything, row by row, the largest share first.

        Raises:
            SchemaError: as :meth:`score_samples`.
        """
        seen = self._distinct(X)
        parts, unseen = self._parts(seen)
        code = pl.Series("code", parts.code)
        known = (code < self.vocabulary_.unseen).alias("known")
        names = self.vocabulary_.events.cast(pl.String).gather(code.filter(known))
        named = pl.concat([names.alias("event"), unseen.alias("event")])
        found = pl.DataFrame({"place": parts.row, "event": named, "known": known, "code": code, "count": parts.times})
        added = found.with_columns(share=pl.Series(parts.share)).filter(pl.col("share") > 0)
        rows = pl.DataFrame({"place": seen.inverse}).with_row_index("row")
        joined = rows.join(added, on="place").drop("place")
        return joined.sort("row", "share", "event", descending=[False, True, False])

    def _parts(self, seen: Distinct) -> tuple[Parts, pl.Series]:
        """What each event adds, those of training first; and the names of the unseen ones."""
        counts = log_sessions.count_vectors(seen.sequences).tocoo()
        known = counts.col < self.vocabulary_.unseen
        row, code, count = (np.asarray(each)[known].astype(np.int64) for each in (counts.row, counts.col, counts.data))
        here = Parts(row, code, count, self._share(code, count.astype(np.float64)))
        unseen, names = self._unseen(seen)
        return Parts(*(np.concatenate(each) for each in zip(here, self._absent(seen), unseen, strict=True))), names

    def usual(self, code: int) -> tuple[float, int, int]:
        """Say how many training sessions have an event, and the median and highest count where it is there."""
        begin, end = self._begins[code], self._begins[code + 1]
        at_least, values = self._at_least[begin:end], self._values[begin:end]
        middle = values[np.flatnonzero(at_least * 2 >= at_least[0])[-1]]
        return float(at_least[0]), int(middle), int(values[-1])

    @property
    def present(self) -> Floats:
        """Training sessions that have each event type (k,)."""
        return self._present

    @property
    def recurring(self) -> float:
        """Share of the event types that more than one training session has."""
        return float((self._present > 1).mean()) if self._present.size else 0.0

    def _learn(self, vectors: sparse.csc_matrix, weight: Floats) -> None:
        """Keep for each event its distinct counts and how many sessions have it at least so often."""
        found = list(_survivals(vectors, weight))
        self._begins = np.concatenate([[0], np.cumsum([len(values) for values, _ in found], dtype=np.int64)])
        self._values = np.concatenate([np.zeros(0, np.int64), *(values for values, _ in found)])
        self._at_least = np.concatenate([np.zeros(0), *(at_least for _, at_least in found)])
        self._present = np.array([at_least[0] for _, at_least in found])

    def _share(self, codes: Ints, counts: Floats) -> Floats:
        """What known events with these counts add."""
        ends = self._begins[codes + 1]
        scale = max(float(self._values.max(initial=0)), float(counts.max(initial=0))) + 2
        keys = np.repeat(np.arange(len(self._present)), np.diff(self._begins)) * scale + self._values
        place = np.searchsorted(keys, codes * scale + counts)
        beyond = place >= ends
        inside = np.where(beyond, 0.0, self._at_least[np.minimum(place, ends - 1)])
        highest = self._values[ends - 1]
        tail = np.where(beyond, np.log((counts + 1) / (highest + 1)), 0.0)
        upper = np.log((1 + inside) / (1 + self.n_sessions_)) - tail
        after = np.searchsorted(keys, codes * scale + counts, side="right")
        more = np.where(after >= ends, 0.0, self._at_least[np.minimum(after, ends - 1)])
        lower = np.log((1 + self.n_sessions_ - more) / (1 + self.n_sessions_))
        share: Floats = np.maximum(-np.log(2) - np.minimum(upper, lower), 0.0)
        return share

    def _absent(self, seen: Distinct) -> Parts:
        """What known events add that a session does not have."""
        missing = np.log((1 + self.n_sessions_ - self._present) / (1 + self.n_sessions_))
        share = np.maximum(-np.log(2) - missing, 0.0)
        usual = np.flatnonzero(share > 0)
        held = log_sessions.count_vectors(seen.sequences)[:, usual].toarray() > 0
        row, place = np.nonzero(~held)
        return Parts(row, usual[place], np.zeros(len(row), np.int64), share[usual[place]])

    def _unseen(self, seen: Distinct) -> tuple[Parts, pl.Series]:
        """What events add that training does not have, each type by itself, and their names."""
        unseen = self.vocabulary_.unseen
        places = np.flatnonzero(seen.sequences.codes == unseen)
        flat = seen.events.explode(empty_as_null=False, keep_nulls=False).gather(places).cast(pl.String)
        table = pl.DataFrame({"row": seen.sequences.rows[places], "event": flat.fill_null(UNKNOWN)})
        counted = table.group_by("row", "event", maintain_order=True).len()
        count = counted["len"].to_numpy().astype(np.int64)
        share = np.maximum(np.log((1 + self.n_sessions_) / 2) + np.log1p(count), 0.0)
        return Parts(counted["row"].to_numpy(), np.full(len(count), unseen), count, share), counted["event"]

    def _distinct(self, X: pl.DataFrame) -> Distinct:
        check_is_fitted(self, "vocabulary_")
        return log_sessions.distinct(X, self.events, vocabulary=self.vocabulary_)


def _lengths(lengths: Ints, weight: Floats) -> tuple[int, int, int]:
    """Fewest, median and most events."""
    order = np.argsort(lengths, kind="stable")
    middle = int(np.searchsorted(np.cumsum(weight[order]) * 2, weight.sum()))
    return int(lengths[order[0]]), int(lengths[order[min(middle, len(order) - 1)]]), int(lengths[order[-1]])


def _survivals(vectors: sparse.csc_matrix, weight: Floats) -> Iterator[tuple[Ints, Floats]]:
    """Distinct counts above zero of each event, rising, and the sessions that have it at least so often."""
    for code in range(vectors.shape[1]):
        span = slice(vectors.indptr[code], vectors.indptr[code + 1])
        values, place = np.unique(vectors.data[span], return_inverse=True)
        mass = np.bincount(place, weight[vectors.indices[span]])
        yield values.astype(np.int64), np.cumsum(mass[::-1])[::-1].astype(np.float64)
