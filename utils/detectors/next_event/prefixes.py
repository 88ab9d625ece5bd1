"""What networks expect at every step of sessions, computed once for every distinct beginning.

The state of a causal network depends on the tokens before and on nothing else, so sessions that begin alike share their
states: they are walked together, event by event, along the tree of their distinct beginnings (a trie). Only the states
of the beginnings of one length are held at a time, and sessions are taken in blocks, so memory is bounded whatever
their number and length.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import entr

from utils.detectors.next_event.recurrence import Network, Singles, State, gathered
from utils.evaluation.inputs import Floats
from utils.features import log_sessions
from utils.features.log_sessions import Codes, Ints, Sequences

CELLS = 4_000_000
"""Most probabilities, and most steps, that are held at a time."""

LEAST = 1e-30
"""A probability that single precision has rounded to zero counts as this."""


@dataclass(frozen=True, eq=False)
class Steps:
    """Every step of some sequences; a sequence of n events has n + 1 steps, the last one is its end.

    Attributes:
        sequences: numbers of the sequences, shape (m,).
        offsets: where the steps of each begin, and the end of the last, shape (m + 1,).
        probability: of what came, shape (n_steps,).
        rank: of what came: 1 if nothing was more probable, the number of outputs for an unseen event, (n_steps,).
        entropy: of what was expected, in nats: the surprise that the networks expect of the step, shape (n_steps,).
        expected: the most probable outputs of each step, shape (n_steps, most).
        chances: their probabilities, shape (n_steps, most).
    """

    sequences: Ints
    offsets: Ints
    probability: Floats
    rank: Ints
    entropy: Floats
    expected: Ints
    chances: Singles

    @classmethod
    def of(cls, sequences: Sequences, rows: Ints, most: int) -> "Steps":
        """Make room for the steps of some sequences."""
        offsets = np.concatenate([[0], np.cumsum(sequences.lengths[rows] + 1)])
        size = int(offsets[-1])
        expected = np.zeros((size, most), np.int64)
        probability, rank, entropy = np.zeros(size), np.zeros(size, np.int64), np.zeros(size)
        return cls(rows, offsets, probability, rank, entropy, expected, expected.astype(np.float32))

    def note(self, places: Ints, beginnings: Ints, tokens: Ints, expected: Singles, unseen_share: float) -> None:
        """Fill in some steps.

        Args:
            places: which steps, shape (m,).
            beginnings: row of ``expected`` of each, shape (m,).
            tokens: what came, as outputs, shape (m,).
            expected: probabilities after each distinct beginning, shape (k, outputs).
            unseen_share: probability of the unseen code.
        """
        outputs = expected.shape[1]
        pairs, steps = np.unique(beginnings * outputs + tokens, return_inverse=True)
        beginning, token = np.divmod(pairs, outputs)
        probability, rank = _judged(expected, beginning, token, unseen_share)
        self.probability[places], self.rank[places] = probability[steps], rank[steps]
        self.entropy[places] = entr(expected).sum(axis=1)[beginnings]
        if most := min(self.expected.shape[1], outputs):
            best = np.argsort(-expected, axis=1, kind="stable")[:, :most]
            self.expected[places, :most] = best[beginnings]
            self.chances[places, :most] = np.take_along_axis(expected, best, axis=1)[beginnings]


def steps_of(
    sequences: Sequences, networks: Sequence[Network], unseen_share: float, *, window: int | None = None, most: int = 0
) -> Iterator[Steps]:
    """Judge every step of sessions.

    Args:
        sequences: n distinct sequences; of equal ones each is judged.
        networks: their probabilities are averaged.
        unseen_share: probability of the unseen code at any step.
        window: tokens that the networks look back; ``None`` for all.
        most: how many of the most probable outputs of each step are named.

    Yields:
        The steps of a block of sequences, then those of the next.
    """
    for rows in _blocks(sequences):
        found = Steps.of(sequences, rows, most)
        if window is None:
            _walk(sequences, rows, networks, unseen_share, found)
        else:
            _look_back(sequences.take(rows), window, networks, unseen_share, found)
        yield found


def _blocks(sequences: Sequences) -> Iterator[Ints]:
    """Numbers of the sequences, longest first, in blocks that need a bounded memory."""
    order = np.argsort(-sequences.lengths, kind="stable")
    widest = max(1, CELLS // (sequences.vocabulary.unseen + 2))
    reached = np.cumsum(sequences.lengths[order] + 1)
    first = 0
    while first < len(order):
        before = reached[first - 1] if first else 0
        last = int(np.searchsorted(reached, before + CELLS, side="right"))
        last = min(max(last, first + 1), first + widest)
        yield order[first:last]
        first = last


def _walk(sequences: Sequences, rows: Ints, networks: Sequence[Network], unseen_share: float, found: Steps) -> None:
    """Walk sequences from beginning to end, the longest first, so that those that go on are always the first ones."""
    border = sequences.vocabulary.unseen + 1
    lengths, starts = sequences.lengths[rows], sequences.offsets[:-1][rows]
    states = _advanced(networks, [each.begin() for each in networks], np.zeros(1, np.int64), np.array([border]))
    node, here = np.zeros(len(rows), np.int64), len(rows)
    for position in range(int(lengths[0]) + 1):
        going = int(np.searchsorted(-lengths, -position))
        tokens = np.full(here, border)
        tokens[:going] = sequences.codes[starts[:going] + position]
        places = found.offsets[:here] + position
        found.note(places, node[:here], tokens, _mean(networks, states), unseen_share)
        if not going:
            return
        pairs, node = np.unique(node[:going] * border + tokens[:going], return_inverse=True)
        states = _advanced(networks, states, *np.divmod(pairs, border))
        here = going


def _look_back(
    sequences: Sequences, window: int, networks: Sequence[Network], unseen_share: float, found: Steps
) -> None:
    """Judge the distinct windows of sequences."""
    cut = log_sessions.windows(sequences, window + 1)
    distinct = log_sessions.distinct_windows(cut)
    border = sequences.vocabulary.unseen + 1
    tokens = np.minimum(distinct.values[:, -1].astype(np.int64), border)
    order = np.argsort(distinct.inverse, kind="stable")
    bounds = np.searchsorted(distinct.inverse[order], np.arange(len(tokens) + 1))
    size = max(1, CELLS // (border + 1))
    for first in range(0, len(tokens), size):
        block = slice(first, first + size)
        places = order[bounds[first] : bounds[min(first + size, len(tokens))]]
        expected, node = _after(distinct.values[block, :-1], networks, border + 1)
        which = distinct.inverse[places] - first
        found.note(places, node[which], tokens[block][which], expected, unseen_share)


def _after(contexts: Codes, networks: Sequence[Network], outputs: int) -> tuple[Singles, Ints]:
    """Probabilities after distinct contexts, and the row of each context."""
    states, node = [each.begin() for each in networks], np.zeros(len(contexts), np.int64)
    for column in contexts.T:
        pairs, node = np.unique(node * outputs + column, return_inverse=True)
        states = _advanced(networks, states, *np.divmod(pairs, outputs))
    return _mean(networks, states), node


def _advanced(networks: Sequence[Network], states: list[State], parents: Ints, tokens: Ints) -> list[State]:
    return [each.step(gathered(state, parents), tokens) for each, state in zip(networks, states, strict=True)]


def _mean(networks: Sequence[Network], states: list[State]) -> Singles:
    parts = [each.probabilities(state) for each, state in zip(networks, states, strict=True)]
    return np.asarray(sum(parts[1:], start=parts[0]) / np.float32(len(parts)))


def _judged(expected: Singles, beginning: Ints, token: Ints, unseen_share: float) -> tuple[Floats, Ints]:
    """Probability and rank of tokens after beginnings; ``expected`` gets the probability of the unseen code.

    Nothing is less expected than an event that training never had, so it has the last rank and at most the probability
    of the least expected event.
    """
    outputs = expected.shape[1]
    unseen = outputs - 2
    expected[:, unseen] = np.inf
    least = expected.min(axis=1)
    expected[:, unseen] = 0
    scale = np.float32(1 - unseen_share) / expected.sum(axis=1)
    expected *= scale[:, None]
    came = expected[beginning, token]
    rank = 1 + (expected[beginning] > came[:, None]).sum(axis=1)
    rank[token == unseen] = outputs
    expected[:, unseen] = np.minimum(unseen_share, least * scale)
    return np.maximum(expected[beginning, token].astype(np.float64), LEAST), rank
