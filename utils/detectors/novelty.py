"""Novelty rules for log sessions: what no normal session in training has shown is abnormal.

No rule learns anything but a list of known things: event types, sets of them, lengths, count vectors. Landauer,
Skopik, Wurzenberger, "A Critical Review of Common Log Data Sets Used for Evaluation of Sequence-based Anomaly Detection
Techniques", FSE 2024, shows that such rules are the baseline that sequence models must beat.

All rules share one contract. They are fitted on normal sessions only: rows that ``y`` marks as anomalies are left out.
``score_samples`` rises with abnormality and is 1 or more exactly where the rule fires; below 1 it ranks what is known
by how rare it was in training. Work is done once for each distinct sequence, so a table of distinct sequences with a
``weight`` (sessions that each stands for) gives the same rule as the sessions themselves. A fitted rule keeps distinct
vectors with their frequencies, no training rows.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from utils.datasets import sessions
from utils.errors import DataError
from utils.evaluation.inputs import Floats, Values, as_labels, as_series, as_weights
from utils.features import log_sessions
from utils.features.log_sessions import Distinct, Ints, Vocabulary

FIRES = 1.0
"""A score from here on means that the rule fires."""

LEAST_VALUES = 3
"""An event whose count takes fewer values than this does not vary freely: it is there or not."""

CELLS = 4_000_000
"""Most distances that are held at a time."""

MOST_DIFFERENCES = 3
LONGEST_NAME = 60
BELOW_ONE = float(np.nextafter(1.0, 0.0))


class _SessionRule(BaseEstimator):  # type: ignore[misc]
    """What all rules share: distinct sequences in, scores and sentences for all sessions out."""

    events: str
    sentence_: str

    def fit(self, X: pl.DataFrame, y: Values | None = None, weight: Values | None = None) -> Self:
        """Learn what is known from normal sessions.

        Args:
            X: one row a session, with a list column of events (integers or texts).
            y: true for an anomaly, shape (n,); anomalies and rows without a label are left out. ``None``: all rows are
                normal.
            weight: how many sessions each row stands for, shape (n,); rows of weight 0 are left out.

        Returns:
            The rule itself.

        Raises:
            SchemaError: if the column is missing or holds no lists of integers or texts.
            DataError: if no normal session is left, a weight is no number from 0 on, or a parameter is out of range.
        """
        self._check_parameters()
        normal, weights = normal_sessions(X, y, weight, "a rule")
        seen = log_sessions.distinct(normal, self.events, weight=weights)
        self.vocabulary_ = seen.sequences.vocabulary
        self.n_sessions_ = float(seen.counts.sum())
        self._learn(seen)
        return self

    def score_samples(self, X: pl.DataFrame) -> Floats:
        """Score sessions; HIGHER = MORE ABNORMAL, and 1 or more where the rule fires.

        Args:
            X: n sessions.

        Returns:
            Scores from 0 on, float64, shape (n,).

        Raises:
            SchemaError: if the column is missing or holds events of another kind than in training.
        """
        seen = self._distinct(X)
        return self.rated(seen)[seen.inverse]

    def rated(self, seen: Distinct) -> Floats:
        """Score sequences that are coded already, by the event types that the rule knows; HIGHER = MORE ABNORMAL.

        Args:
            seen: k sequences; :meth:`score_samples` finds the distinct ones of sessions.

        Returns:
            Scores from 0 on, float64, shape (k,).
        """
        check_is_fitted(self)
        return self._rate(seen).astype(np.float64)

    def fires(self, X: pl.DataFrame) -> NDArray[np.bool_]:
        """Tell for which sessions the rule fires.

        Args:
            X: n sessions.

        Returns:
            True where the score is 1 or more, shape (n,).

        Raises:
            SchemaError: as ``score_samples``.
        """
        return self.score_samples(X) >= FIRES

    def explain(self, X: pl.DataFrame) -> list[str]:
        """Say for each session in one sentence why the rule fires, or why not.

        Args:
            X: n sessions.

        Returns:
            n sentences.

        Raises:
            SchemaError: as ``score_samples``.
        """
        seen = self._distinct(X)
        sentences = self._say(seen)
        return [sentences[row] for row in seen.inverse.tolist()]

    def _distinct(self, X: pl.DataFrame) -> Distinct:
        check_is_fitted(self)
        return log_sessions.distinct(X, self.events, vocabulary=self.vocabulary_)

    def _of_training(self, sessions: float) -> str:
        return f"{sessions:,.0f} of {self.n_sessions_:,.0f} training sessions"

    def _surprise(self, sessions: Floats) -> Floats:
        """Rarity from 0 (in all training sessions) to nearly 1 (in one): logarithm of how rare, over that of one."""
        share = np.log(self.n_sessions_ / np.maximum(sessions, 1e-300)) / np.log1p(self.n_sessions_)
        clipped: Floats = np.clip(share, 0.0, BELOW_ONE)
        return clipped

    def _check_parameters(self) -> None:
        """Check the parameters.

        Raises:
            DataError: if one is out of range.
        """

    def _learn(self, seen: Distinct) -> None:
        raise NotImplementedError

    def _rate(self, seen: Distinct) -> Floats:
        raise NotImplementedError

    def _say(self, seen: Distinct) -> list[str]:
        raise NotImplementedError


class UnseenEvent(_SessionRule):
    """Fires where an event type occurs that no training session has; HIGHER = MORE ABNORMAL.

    Score: number of such events in the session; if there is none, the rarity of its rarest event.

    Attributes:
        vocabulary_: the known event types.
        sentence_: the rule in words.
    """

    def __init__(self, events: str = "events") -> None:
        self.events = events

    def _learn(self, seen: Distinct) -> None:
        self.sessions_with_ = _presence(log_sessions.count_vectors(seen.sequences)).T @ seen.counts
        self.sentence_ = (
            f"abnormal if an event type occurs that none of {self.n_sessions_:,.0f} training sessions has "
            f"({self.vocabulary_.unseen} are known)"
        )

    def _rate(self, seen: Distinct) -> Floats:
        counts = log_sessions.count_vectors(seen.sequences)
        unseen = _column(counts, self.vocabulary_.unseen)
        return np.where(unseen > 0, unseen, _highest(counts, self._surprise(self.sessions_with_)))

    def _say(self, seen: Distinct) -> list[str]:
        unseen, sentences = _unseen_events(seen), []
        for row in range(len(seen.sequences)):
            codes = np.asarray(seen.sequences[row])
            if names := unseen.get(row):
                sentences.append(f"{_listed(names)} in none of {self.n_sessions_:,.0f} training sessions")
            elif codes.size:
                rarest = codes[np.argmin(self.sessions_with_[codes])]
                name, among = event_name(self.vocabulary_, rarest), self._of_training(self.sessions_with_[rarest])
                sentences.append(f"every event type is known; the rarest, {name}, in {among}")
            else:
                sentences.append("the session has no events")
        return sentences


class UnseenTransition(_SessionRule):
    """Fires where two events follow each other that no training session has in this order; HIGHER = MORE ABNORMAL.

    The beginning and the end of a session count as events. Score: number of different unseen transitions; if there is
    none, the rarity of the rarest one. The only rule here that looks at the order, and the cheapest that can: a table
    of pairs. It is the n-gram novelty of Forrest, Hofmeyr, Somayaji, Longstaff, "A Sense of Self for Unix Processes",
    IEEE S&P 1996, with n = 2.

    Attributes:
        pairs_: the known transitions, two codes in one number, ascending.
        sessions_with_: training sessions that have each.
        sentence_: the rule in words.
    """

    def __init__(self, events: str = "events", *, end: bool = True) -> None:
        """Choose what counts as a transition.

        Args:
            events: list column of the events.
            end: whether the end of a session does; not where sessions may be cut off.
        """
        self.events = events
        self.end = end

    def _learn(self, seen: Distinct) -> None:
        pairs, rows = self._transitions(seen)
        self.pairs_, place = np.unique(pairs, return_inverse=True)
        self.sessions_with_ = np.bincount(place, seen.counts[rows], minlength=len(self.pairs_)).astype(np.float64)
        self.sentence_ = (
            f"abnormal if an event follows another as in none of {self.n_sessions_:,.0f} training sessions "
            f"({len(self.pairs_):,} transitions are known)"
        )

    def _transitions(self, seen: Distinct) -> tuple[Ints, Ints]:
        """The different transitions of each session, and the session of each, session after session."""
        cut = log_sessions.windows(seen.sequences, 2, end=self.end)
        tokens, size = cut.values().astype(np.int64), seen.sequences.vocabulary.size
        keys = np.unique(cut.session * size**2 + tokens[:, 0] * size + tokens[:, 1])
        return keys % size**2, keys // size**2

    def _found(self, seen: Distinct) -> tuple[Ints, Ints, Floats]:
        """Transitions, their sessions, and how many training sessions have each."""
        pairs, rows = self._transitions(seen)
        place = np.minimum(np.searchsorted(self.pairs_, pairs), len(self.pairs_) - 1)
        known = (self.pairs_[place] == pairs) if len(self.pairs_) else np.zeros(len(pairs), np.bool_)
        return (
            pairs,
            rows,
            np.where(known, self.sessions_with_[place], 0.0) if len(self.pairs_) else np.zeros(len(pairs)),
        )

    def _rate(self, seen: Distinct) -> Floats:
        _, rows, support = self._found(seen)
        unseen = np.bincount(rows, support == 0, minlength=len(seen.sequences)).astype(np.float64)
        rarest = np.zeros(len(seen.sequences))
        np.maximum.at(rarest, rows, self._surprise(support))
        return np.where(unseen > 0, unseen, rarest)

    def _say(self, seen: Distinct) -> list[str]:
        pairs, rows, support = self._found(seen)
        unseen, sentences = _unseen_events(seen), [""] * len(seen.sequences)
        for row, first, last in _spans(rows):
            names = unseen.get(row, [])
            new = pairs[first:last][support[first:last] == 0].tolist()
            if new:
                steps = joined([self._step(pair, names) for pair in new])
                sentences[row] = f"{steps} in none of {self.n_sessions_:,.0f} training sessions"
            else:
                rarest = first + int(np.argmin(support[first:last]))
                step, among = self._step(pairs[rarest], names), self._of_training(support[rarest])
                sentences[row] = f"every transition is known; the rarest, {step}, in {among}"
        return [sentence or "the session has no events" for sentence in sentences]

    def _step(self, pair: int, unseen: Sequence[str]) -> str:
        """Write a transition in words, with the names of the unseen events of its session."""
        vocabulary = self.vocabulary_
        before, after = (
            f"unseen {_listed(unseen)}" if code == vocabulary.unseen else event_name(vocabulary, code)
            for code in divmod(int(pair), vocabulary.size)
        )
        begins, ends = pair // vocabulary.size == vocabulary.begin, pair % vocabulary.size == vocabulary.end
        if begins:
            return "a session without events" if ends else f"{after} at the beginning"
        return f"the end after {before}" if ends else f"{after} after {before}"


class SessionLength(_SessionRule):
    """Fires where a session has fewer or more events than the training sessions; HIGHER = MORE ABNORMAL.

    Score: outside the known lengths 1 + |ln((n + 1) / (bound + 1))|, inside the distance from the median as a share of
    the distance to the bound (slightly below 1 on the bound).

    Attributes:
        shortest_: smallest length that is normal.
        longest_: largest length that is normal.
        median_: median length of the training sessions.
        sentence_: the rule in words.
    """

    def __init__(self, events: str = "events", *, lower: float = 0.0, upper: float = 1.0) -> None:
        """Choose the bounds.

        Args:
            events: list column of the events.
            lower: share of the training sessions that may be shorter than normal, 0..1; 0 takes the shortest.
            upper: share of the training sessions that may not be longer than normal, ``lower``..1; 1 takes the longest.
        """
        self.events = events
        self.lower = lower
        self.upper = upper

    def _check_parameters(self) -> None:
        if not 0 <= self.lower <= self.upper <= 1:
            found = f"lower={self.lower} and upper={self.upper}"
            raise DataError(f"quantiles must be 0 <= lower <= upper <= 1, found {found}: give shares")

    def _learn(self, seen: Distinct) -> None:
        lengths = seen.sequences.lengths
        self.shortest_, self.median_, self.longest_ = (
            _quantile(lengths, seen.counts, share) for share in (self.lower, 0.5, self.upper)
        )
        self.shortest_, self.longest_ = min(self.shortest_, self.median_), max(self.longest_, self.median_)
        self.sentence_ = (
            f"abnormal if a session has fewer than {self.shortest_:,} or more than {self.longest_:,} events "
            f"(quantiles {self.lower:g} and {self.upper:g} of {self.n_sessions_:,.0f} training sessions)"
        )

    def _rate(self, seen: Distinct) -> Floats:
        lengths = seen.sequences.lengths.astype(np.float64)
        bound = np.where(lengths < self.median_, self.shortest_, self.longest_)
        inside = np.abs(lengths - self.median_) / (np.abs(bound - self.median_) + 1)
        outside = (lengths < self.shortest_) | (lengths > self.longest_)
        score: Floats = np.where(outside, FIRES + np.abs(np.log((lengths + 1) / (bound + 1))), inside)
        return score

    def _say(self, seen: Distinct) -> list[str]:
        normal = f"training sessions have {self.shortest_:,} to {self.longest_:,}"
        sentences = []
        for length in seen.sequences.lengths.tolist():
            less, more = self.shortest_ - length, length - self.longest_
            how = f", {less:,} fewer" if less > 0 else f", {more:,} more" if more > 0 else ""
            sentences.append(f"{length:,} events{how}: {normal}")
        return sentences


@dataclass(frozen=True, eq=False)
class _Known:
    """Distinct vectors of the training sessions, the most frequent first.

    Attributes:
        vectors: counts, shape (k, codes).
        sessions: training sessions that have each, shape (k,).
        keys: the same vectors as lists, with their row.
        rows: the known vector of each vector that it was made of.
    """

    vectors: sparse.csr_matrix
    sessions: Floats
    keys: pl.DataFrame
    rows: Ints

    @classmethod
    def of(cls, vectors: sparse.csr_matrix, weight: Floats) -> "_Known":
        keys = log_sessions.vector_keys(vectors)
        found = sessions.distinct_sequences(pl.DataFrame({"events": keys}))
        group = found.sequence_id.to_numpy().astype(np.int64)
        total = np.bincount(group, weight, minlength=found.table.height).astype(np.float64)
        first = np.zeros(len(total), np.int64)
        first[group[::-1]] = np.arange(len(group))[::-1]
        order = np.argsort(-total, kind="stable")
        rank = np.argsort(order)
        table = pl.DataFrame({"key": keys.gather(first[order]), "place": np.arange(len(order))})
        return cls(vectors[first[order]], total[order], table, rank[group])

    def find(self, vectors: sparse.csr_matrix) -> Ints:
        """Row of each vector, -1 where it is not known."""
        asked = pl.DataFrame({"key": log_sessions.vector_keys(vectors)})
        found = asked.join(self.keys, on="key", how="left", maintain_order="left", nulls_equal=True)
        return found["place"].fill_null(-1).to_numpy().astype(np.int64)

    def nearest(self, vectors: sparse.csr_matrix) -> tuple[Ints, Floats]:
        """Row of the nearest known vector of each (the most frequent of equally near ones), and the distance.

        The distance is the sum of absolute differences: |a| + |b| - 2 sum(min(a, b)). Each count is written as so many
        ones in columns of its own, so that the sum of minima is a product of sparse matrices.
        """
        most = np.asarray(self.vectors.max(axis=0).todense()).ravel().astype(np.int64)
        known, totals = _unary(self.vectors, most), _totals(self.vectors)
        step = max(1, CELLS // len(totals))
        parts = [
            _totals(part)[:, None] + totals - 2 * np.asarray((_unary(part, most) @ known.T).todense())
            for part in (vectors[first : first + step] for first in range(0, vectors.shape[0], step))
        ]
        rows = [part.argmin(axis=1) for part in parts]
        least = [part.min(axis=1) for part in parts]
        return np.concatenate([np.zeros(0, np.int64), *rows]), np.concatenate([np.zeros(0), *least])


class _UnseenVector(_SessionRule):
    """Fires where the vector of a session is none of the known ones."""

    thing: ClassVar[str]

    def fires(self, X: pl.DataFrame) -> NDArray[np.bool_]:
        """Tell for which sessions the rule fires, without looking for the nearest known vector.

        Args:
            X: n sessions.

        Returns:
            True where the score is 1 or more, shape (n,).

        Raises:
            SchemaError: as ``score_samples``.
        """
        seen = self._distinct(X)
        return (self.known_.find(self._represent(seen)) < 0)[seen.inverse]

    def _represent(self, seen: Distinct) -> sparse.csr_matrix:
        raise NotImplementedError

    def _learn(self, seen: Distinct) -> None:
        self.known_ = _Known.of(self._represent(seen), seen.counts)
        self.sentence_ = (
            f"abnormal if {self.thing} of the session is none of the {len(self.known_.sessions):,} of "
            f"{self.n_sessions_:,.0f} training sessions"
        )

    def _rate(self, seen: Distinct) -> Floats:
        vectors = self._represent(seen)
        place = self.known_.find(vectors)
        score = self._surprise(self.known_.sessions[place])
        new = place < 0
        score[new] = self.known_.nearest(vectors[new])[1]
        return score

    def _say(self, seen: Distinct) -> list[str]:
        vectors = self._represent(seen)
        place = self.known_.find(vectors)
        differing = _Differences(seen, vectors, self.known_, np.flatnonzero(place < 0))
        return [
            f"{self.thing} is known from {self._of_training(self.known_.sessions[known])}"
            if known >= 0
            else f"{self.thing} is in no training session; {self._differs(differing, row)}"
            for row, known in enumerate(place.tolist())
        ]

    def _differs(self, differing: "_Differences", row: int) -> str:
        return differing.counts(row)


class UnseenEventSet(_UnseenVector):
    """Fires where the set of event types of a session is that of no training session; HIGHER = MORE ABNORMAL.

    Score: number of event types by which the set differs from the nearest known set; for a known set its rarity.

    Attributes:
        sentence_: the rule in words.
    """

    thing = "the set of event types"

    def __init__(self, events: str = "events") -> None:
        self.events = events

    def _represent(self, seen: Distinct) -> sparse.csr_matrix:
        return _presence(log_sessions.count_vectors(seen.sequences))

    def _differs(self, differing: "_Differences", row: int) -> str:
        return differing.types(row)


class UnseenCountVector(_UnseenVector):
    """Fires where the event counts of a session are those of no training session; HIGHER = MORE ABNORMAL.

    Score: sum of absolute differences from the nearest known count vector; for a known one its rarity.

    Attributes:
        sentence_: the rule in words.
    """

    thing = "the count vector"

    def __init__(self, events: str = "events") -> None:
        self.events = events

    def _represent(self, seen: Distinct) -> sparse.csr_matrix:
        return log_sessions.count_vectors(seen.sequences)


class StructuralVector(_UnseenVector):
    """Fires where the counts of all but the free events are those of no training session; HIGHER = MORE ABNORMAL.

    Score: as :class:`UnseenCountVector`, without the free events.

    Attributes:
        sentence_: the rule in words.
    """

    thing = "the structure (counts without the free events)"

    def __init__(self, events: str = "events", *, free: Sequence[Any] = ()) -> None:
        """Name the free events.

        Args:
            events: list column of the events.
            free: event types whose counts vary freely and are not looked at; one that training lacks is not free.
        """
        self.events = events
        self.free = free

    def _check_parameters(self) -> None:
        _require_list(self.free)

    def _represent(self, seen: Distinct) -> sparse.csr_matrix:
        codes = self.vocabulary_.places(self.free)
        return _without(log_sessions.count_vectors(seen.sequences), codes)


class BackOffNovelty(_SessionRule):
    """Fires on new event counts, except where new counts are what normal sessions keep showing; HIGHER = MORE ABNORMAL.

    A session whose count vector is known is normal. For a new one the rule backs off to the structure, the counts
    without the free events: it fires if training knows fewer than ``m`` distinct count vectors with that structure.

    Which events are free, and m, are chosen on held-out normal sessions: each training session is held out once, the
    others are the training set (leave-one-out, computed in closed form: only a session whose count vector occurs once
    can raise an alarm). Neither an anomaly nor a session outside ``fit`` is ever looked at.

    * **Free events.** Freeing an event can only lower the false alarms, and blinds the rule, so each must earn it.
      Starting from none, the event that removes most held-out alarms, averaged over m = 1, 2, 4, ... (so that events
      count that gather many vectors, not accidents of a single session), is freed as long as it removes at least
      ``least_share`` of the alarms that there are without free events. An event with fewer than three different counts
      does not vary.
    * **m.** A structure must be let through if that removes at least the same share of alarms, averaged likewise. m is
      the geometric mean of the largest m that lets all these through and the largest number of vectors among the
      smaller structures: as far, in ratio, from closing what must be open as from opening what need not be.

    With ``trusted``, a new vector is also let through if at least so many training sessions have its structure: new
    counts of free events in a structure that is common are no anomaly, however few vectors it had, while what one or
    two training sessions did is not taken for normal on their word alone.

    Score: 2 minus the share of m that training knows where the rule fires; 2 plus the distance from the nearest
    structure where the structure is new; below 1/2 a known vector's rarity, from 1/2 to 1 new vectors let through.

    Attributes:
        free_: the free events.
        m_: the least number of known vectors with which a structure is let through.
        false_alarm_rate_: share of held-out training sessions on which the rule fires.
        choice_: one row a step of the choice: event, alarms_before, alarms_after (mean number of held-out sessions),
            share (of the alarms without free events), freed.
        sentence_: the rule in words.
    """

    def __init__(
        self,
        events: str = "events",
        *,
        free: Sequence[Any] | None = None,
        m: int | None = None,
        least_share: float = 0.1,
        trusted: int | None = None,
    ) -> None:
        """Leave the choice to the validation, or fix it.

        Args:
            events: list column of the events.
            free: event types whose counts vary freely; chosen on held-out normal sessions by default.
            m: least number of distinct vectors with which a structure is let through; chosen likewise by default.
            least_share: share of the held-out alarms that an event must remove to be freed, above 0, at most 1.
            trusted: number of training sessions from which on a structure is let through; by default none is.
        """
        self.events = events
        self.free = free
        self.m = m
        self.least_share = least_share
        self.trusted = trusted

    def _check_parameters(self) -> None:
        if not 0 < self.least_share <= 1:
            raise DataError(f"least_share must be above 0 and at most 1, found {self.least_share}: give a share")
        if self.m is not None and self.m < 1:
            raise DataError(f"m must be at least 1, found {self.m}: give a number of count vectors, or None")
        if self.trusted is not None and self.trusted < 1:
            raise DataError(f"trusted must be at least 1, found {self.trusted}: give a number of sessions, or None")
        _require_list(self.free or ())

    def _learn(self, seen: Distinct) -> None:
        self.known_ = _Known.of(log_sessions.count_vectors(seen.sequences), seen.counts)
        held_out = _HeldOut(self.known_, self.least_share)
        codes, self.choice_ = held_out.free_events(self.vocabulary_)
        if self.free is not None:
            codes = self.vocabulary_.places(self.free)
        self.free_ = tuple(self.vocabulary_.events.gather(codes))
        structures = _without(self.known_.vectors, codes)
        self.structures_ = _Known.of(structures, self.known_.sessions)
        self.vectors_per_structure_ = np.bincount(self.structures_.rows)
        self.m_ = self.m if self.m is not None else held_out.least_vectors(self.structures_.rows)
        strange = _alone_with_an_event(self.known_)
        trusted = self._is_trusted(self.structures_.sessions[self.structures_.rows] - 1)
        alarms = held_out.alarms(self.structures_.rows, np.array([self.m_]), ~(trusted | strange))
        self.false_alarm_rate_ = (alarms + strange.sum()) / self.n_sessions_
        self.sentence_ = (
            f"abnormal if the count vector is none of the {len(self.known_.sessions):,} of {self.n_sessions_:,.0f} "
            f"training sessions and fewer than {self.m_:,} of these have its structure ({self._structure()})"
        )
        if self.trusted is not None:
            self.sentence_ += f", unless {self.trusted:,} sessions or more do"

    def _is_trusted(self, sessions: Floats) -> NDArray[np.bool_]:
        """Whether so many sessions with a structure are enough to let it through."""
        return sessions >= (np.inf if self.trusted is None else self.trusted)

    def _structure(self) -> str:
        return f"its counts without {_listed([_short(event) for event in self.free_])}" if self.free_ else "all counts"

    def _back_off(self, seen: Distinct) -> "_Support":
        vectors = log_sessions.count_vectors(seen.sequences)
        structures = _without(vectors, self.vocabulary_.places(self.free_))
        place = self.structures_.find(structures)
        support = np.where(place < 0, 0, self.vectors_per_structure_[place])
        having = np.where(place < 0, 0.0, self.structures_.sessions[place])
        return _Support(vectors, structures, self.known_.find(vectors), support, having)

    def _rate(self, seen: Distinct) -> Floats:
        _, structures, place, support, common = self._back_off(seen)
        fires = (support < self.m_) & ~self._is_trusted(common)
        passed = np.minimum(0.5 + 0.5 * self.m_ / (support + 1), 0.5 + 0.5 / (common + 1) ** 0.5)
        passed = np.where(support < self.m_, passed, 0.5 + 0.5 * self.m_ / (support + 1))
        score = np.where(fires, 2 - support / self.m_, passed)
        score = np.where(place >= 0, self._surprise(self.known_.sessions[place]) / 2, score)
        new = (place < 0) & (support == 0)
        score[new] += self.structures_.nearest(structures[new])[1]
        return score

    def _say(self, seen: Distinct) -> list[str]:
        vectors, structures, place, support, common = self._back_off(seen)
        fires = (place < 0) & (support < self.m_) & ~self._is_trusted(common)
        whole = _Differences(seen, vectors, self.known_, np.flatnonzero(fires & (support > 0)))
        part = _Differences(seen, structures, self.structures_, np.flatnonzero(fires & (support == 0)))
        sentences = []
        for row, (known, similar) in enumerate(zip(place.tolist(), support.tolist(), strict=True)):
            if known >= 0:
                sentence = f"the count vector is known from {self._of_training(self.known_.sessions[known])}"
            elif similar >= self.m_:
                has = f"{similar:,} known vectors have its structure ({self._structure()}), at least {self.m_:,}"
                sentence = f"the count vector is new, but {has}: its counts vary freely"
            elif similar and not fires[row]:
                sentence = f"the count vector is new, but its structure is in {self._of_training(common[row])}"
            elif similar:
                has = f"{similar:,} known vectors have its structure ({self._structure()}), fewer than {self.m_:,}"
                sentence = f"the count vector is new and {has}; {whole.counts(row)}"
            else:
                sentence = f"the count vector is new and so is its structure ({self._structure()}); {part.counts(row)}"
            sentences.append(sentence)
        return sentences


def _alone_with_an_event(known: _Known) -> NDArray[np.bool_]:
    """Which count vectors are those of one session that alone has an event type: unseen, where that one is held out."""
    has = known.vectors > 0
    sessions = known.sessions @ has
    return np.asarray(has @ (sessions == 1)).astype(np.bool_)


class _Support(NamedTuple):
    """What training knows of some sessions.

    Attributes:
        vectors: count vectors.
        structures: count vectors without the free events.
        place: place of the known vector, or -1.
        similar: known vectors with the structure.
        common: training sessions with the structure.
    """

    vectors: sparse.csr_matrix
    structures: sparse.csr_matrix
    place: Ints
    similar: Ints
    common: Floats


class _HeldOut:
    """Alarms of the back-off rule on training sessions, each held out once.

    A session that is held out raises an alarm if no other has its count vector and fewer than m of the other vectors
    have its structure.
    """

    def __init__(self, known: _Known, least_share: float) -> None:
        self.vectors = known.vectors
        self.single = (known.sessions == 1).astype(np.float64)
        self.levels = 2 ** np.arange(int(np.log2(len(self.single))) + 1)
        self.least = max(least_share * self.single.sum(), 1.0)

    def alarms(self, structure: Ints, levels: Ints, doubted: NDArray[np.bool_] | None = None) -> float:
        """Sessions that raise an alarm, averaged over several m.

        Args:
            structure: number of the structure of each known vector.
            levels: values of m, ascending.
            doubted: whether each known vector may raise an alarm at all; all may by default.
        """
        able = self.single if doubted is None else self.single * doubted
        return float(able @ (1 - self._quiet(np.bincount(structure), levels)[structure]))

    @staticmethod
    def _quiet(vectors: Ints, levels: Ints) -> Floats:
        """Share of the values of m at which a structure with so many vectors is let through, one of them held out."""
        quiet: Floats = np.searchsorted(levels, vectors - 1, side="right") / len(levels)
        return quiet

    def free_events(self, vocabulary: Vocabulary) -> tuple[Ints, pl.DataFrame]:
        """Free one event after the other while it pays; the codes, and the steps as a table."""
        hashes = _Hashes(self.vectors)
        left, freed, steps = _varying(self.vectors), list[int](), []
        before = self.alarms(hashes.groups(), self.levels)
        while left:
            after, best = min((self.alarms(hashes.groups(code), self.levels), code) for code in left)
            pays = before - after >= self.least
            steps.append((vocabulary.name(best), before, after, (before - after) / max(self.single.sum(), 1.0), pays))
            if not pays:
                break
            hashes.drop(best)
            left.remove(best)
            freed.append(best)
            before = after
        names = {"event": pl.String, "alarms_before": pl.Float64, "alarms_after": pl.Float64, "share": pl.Float64}
        return np.array(sorted(freed), np.int64), pl.DataFrame(steps, {**names, "freed": pl.Boolean}, orient="row")

    def least_vectors(self, structure: Ints) -> int:
        """m: between the structures that must be let through and those below them that need not be."""
        vectors = np.bincount(structure)
        must = np.bincount(structure, self.single) * self._quiet(vectors, self.levels) >= self.least
        if not must.any():
            return int(vectors.max()) + 1
        highest = int(vectors[must].min()) - 1
        lowest = int(vectors[~must & (vectors <= highest)].max(initial=1))
        return int(np.ceil(np.sqrt(lowest * highest)))


class _Hashes:
    """Structures of many candidate sets of free events, told apart by a hash that is linear in the counts.

    Dropping an event subtracts its part, so that each candidate costs one subtraction. Used to choose only; what a rule
    knows is compared exactly.
    """

    def __init__(self, vectors: sparse.csr_matrix) -> None:
        factors = np.random.default_rng(0).integers(1, 2**63, vectors.shape[1], dtype=np.uint64) | np.uint64(1)
        parts = vectors.astype(np.uint64).multiply(factors[None, :]).tocsr()
        self.columns = parts.tocsc()
        self.total = np.asarray(parts.sum(axis=1, dtype=np.uint64)).ravel()

    def groups(self, code: int | None = None) -> Ints:
        """Number of the structure of each vector, one event more dropped."""
        total = self.total if code is None else self._without(code)
        return np.unique(total, return_inverse=True)[1].astype(np.int64)

    def drop(self, code: int) -> None:
        """Drop an event for good."""
        self.total = self._without(code)

    def _without(self, code: int) -> NDArray[np.uint64]:
        span = slice(self.columns.indptr[code], self.columns.indptr[code + 1])
        total = self.total.copy()
        total[self.columns.indices[span]] -= self.columns.data[span]
        return total


class _Differences:
    """How new vectors differ from the nearest known ones, in words."""

    def __init__(self, seen: Distinct, vectors: sparse.csr_matrix, known: _Known, new: Ints) -> None:
        self.vocabulary = seen.sequences.vocabulary
        self.unseen = _unseen_events(seen) if new.size else {}
        self.nearest = known.vectors[known.nearest(vectors[new])[0]]
        self.delta = (vectors[new] - self.nearest).tocsr()
        self.delta.eliminate_zeros()
        self.place = {row: place for place, row in enumerate(new.tolist())}

    def counts(self, row: int) -> str:
        """Name the events whose counts differ most, and both counts."""
        differing = [f"{name} ({here:,} instead of {there:,} times)" for name, here, there in self._differing(row)]
        return f"it differs from the nearest one in {joined(differing)}"

    def types(self, row: int) -> str:
        """Name the event types that the nearest set lacks, and those that it has besides."""
        differing = self._differing(row)
        lacks = [name for name, here, _ in differing if here]
        has = [name for name, here, _ in differing if not here]
        parts = [f"{verb} {joined(names)}" for verb, names in (("lacks", lacks), ("has", has)) if names]
        return f"the nearest one {' and '.join(parts)}"

    def _differing(self, row: int) -> list[tuple[str, int, int]]:
        at = self.place[row]
        span = slice(self.delta.indptr[at], self.delta.indptr[at + 1])
        codes, deltas = self.delta.indices[span], self.delta.data[span]
        order = np.lexsort((codes, -np.abs(deltas), codes != self.vocabulary.unseen))
        named = []
        for code, delta in zip(codes[order].tolist(), deltas[order].tolist(), strict=True):
            there = int(self.nearest[at, code])
            named.append((self._name(row, code), there + int(delta), there))
        return named

    def _name(self, row: int, code: int) -> str:
        if code == self.vocabulary.unseen:
            return f"unseen {_listed(self.unseen[row])}"
        return event_name(self.vocabulary, code)


def normal_sessions(X: pl.DataFrame, y: Values | None, weight: Values | None, who: str) -> tuple[pl.DataFrame, Floats]:
    """Take the sessions to learn from.

    Args:
        X: one row a session.
        y: true for an anomaly, shape (n,); anomalies and rows without a label are left out. ``None``: all are normal.
        weight: how many sessions each row stands for, shape (n,); rows of weight 0 are left out.
        who: how an error calls what learns.

    Returns:
        The normal rows, and how many sessions each stands for.

    Raises:
        DataError: if there is none, or labels or weights are not one a row or not usable.
    """
    mass = as_weights(weight, X.height)
    weights = np.ones(X.height) if mass is None else mass.astype(np.float64)
    rows = weights > 0
    if y is not None:
        labels = as_series(y)
        known = labels.is_not_null()
        anomalous = np.ones(labels.len(), dtype=np.bool_)
        anomalous[known.to_numpy()] = as_labels(labels.filter(known))
        rows = ~as_labels(anomalous, X.height) & rows
    if not rows.any():
        raise DataError(f"{who} needs normal sessions to learn from, found none in {X.height} rows: give some")
    return X.filter(pl.Series(rows)), weights[rows]


def _require_list(free: Sequence[Any]) -> None:
    if isinstance(free, str):
        raise DataError(f"free must be a list of event types, found {free!r}: write [{free!r}]")


def _presence(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    return (counts > 0).astype(np.int64)


def _without(vectors: sparse.csr_matrix, codes: Ints) -> sparse.csr_matrix:
    """Set some columns to zero."""
    left = vectors.copy()
    left.data[np.isin(left.indices, codes)] = 0
    left.eliminate_zeros()
    return left


def _unary(vectors: sparse.csr_matrix, most: Ints) -> sparse.csr_matrix:
    """Write a count c of column j as ones in the first c of the ``most[j]`` columns that stand for j."""
    columns = vectors.indices.astype(np.int64)
    times = np.minimum(vectors.data.astype(np.int64), most[columns])
    begins = np.concatenate([[0], np.cumsum(most)])
    ends = np.concatenate([[0], np.cumsum(times)])
    places = np.repeat(begins[columns] - ends[:-1], times) + np.arange(ends[-1])
    return sparse.csr_matrix((np.ones(len(places)), places, ends[vectors.indptr]), (vectors.shape[0], begins[-1]))


def _totals(vectors: sparse.csr_matrix) -> Floats:
    return np.asarray(vectors.sum(axis=1), dtype=np.float64).ravel()


def _column(vectors: sparse.csr_matrix, code: int) -> Floats:
    return np.asarray(vectors[:, [code]].todense(), dtype=np.float64).ravel()


def _highest(vectors: sparse.csr_matrix, values: Floats) -> Floats:
    """Highest value among the columns that a row has; 0 for an empty row."""
    held = sparse.csr_matrix((values[vectors.indices], vectors.indices, vectors.indptr), vectors.shape)
    return np.asarray(held.max(axis=1).todense(), dtype=np.float64).ravel()


def _varying(vectors: sparse.csr_matrix) -> list[int]:
    """Codes of the events whose counts take at least three values."""
    held = vectors.tocoo()
    table = (
        pl.DataFrame({"code": held.col, "count": held.data})
        .group_by("code")
        .agg(pl.len().alias("rows"), pl.col("count").n_unique().alias("values"))
    )
    values = pl.col("values") + (pl.col("rows") < vectors.shape[0]).cast(pl.UInt32)
    return sorted(table.filter(values >= LEAST_VALUES)["code"].to_list())


def _quantile(values: Ints, weight: Floats, share: float) -> int:
    """Smallest value that at least this share of the weight does not exceed."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weight[order]) / weight.sum()
    place = int(np.searchsorted(reached, share - 1e-12))
    return int(values[order[min(place, len(order) - 1)]])


def _spans(rows: Ints) -> Iterator[tuple[int, int, int]]:
    """Each row with the places from and to which it stands, of rows that ascend."""
    begins = np.flatnonzero(np.diff(rows, prepend=-1))
    ends = np.append(begins, len(rows))[1:]
    yield from zip(rows[begins].tolist(), begins.tolist(), ends.tolist(), strict=True)


def _unseen_events(seen: Distinct) -> dict[int, list[str]]:
    """Names of the unseen events of each distinct session that has some, as they stand in the data."""
    sequences = seen.sequences
    unseen = np.flatnonzero(sequences.codes == sequences.vocabulary.unseen)
    if not unseen.size:
        return {}
    flat = seen.events.explode(empty_as_null=False, keep_nulls=False).gather(unseen)
    table = pl.DataFrame({"row": sequences.rows[unseen], "event": flat.cast(pl.String).fill_null("(null)")})
    names = table.group_by("row", maintain_order=True).agg(pl.col("event").unique(maintain_order=True))
    return {row: [_short(event) for event in events] for row, events in names.iter_rows()}


def _short(event: object) -> str:
    text = str(event)
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 3]}..."


def event_name(vocabulary: Vocabulary, code: int) -> str:
    """Name a code of a vocabulary in a sentence, shortened: ``"event 5"``."""
    return f"event {_short(vocabulary.name(int(code)))}"


def _listed(names: Sequence[str]) -> str:
    return f"event{'s' if len(names) > 1 else ''} {joined(names)}"


def joined(parts: Iterable[str]) -> str:
    """Join with commas and a final "and", at most three and the number of the others."""
    named = list(parts)
    more = len(named) - MOST_DIFFERENCES
    if more > 0:
        named = [*named[:MOST_DIFFERENCES], f"{more} more"]
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
