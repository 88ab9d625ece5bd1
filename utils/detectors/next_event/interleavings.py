"""Interleavings of training sessions: the same events in other orders that the same machines might have logged.

Events of parts of a system that do not wait for each other come in any order, and a log shows only a few of them. Where
training sessions show two types of events next to each other in both orders, the types are taken to commute: neighbours
of commuting types may change places. Whatever such swaps reach is one session to the system, a trace in the sense of
Mazurkiewicz: each event type keeps the number of its events, and events of types that do not commute keep their order.

A network that learns from some of these orders, too, is not surprised by those that training happens to lack.

Sources:
    Mazurkiewicz, "Concurrent program schemes and their interpretations", Aarhus University, DAIMI PB-78 (1977);
    Cook and Wolf, "Event-based detection of concurrency", FSE 1998 (concurrency from the orders in which events are
    seen).
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from utils.evaluation.inputs import Bools, Floats
from utils.features import log_sessions
from utils.features.log_sessions import Sequences

ROUNDS = 6
"""Chances of each event to change places with the one before it, and with the one after it."""

CHANCE = 0.5
"""Share of the possible swaps that are made: what mixes fastest."""


def commuting(sequences: Sequences, counts: Floats, least: float) -> Bools:
    """Find the types of events that come in either order.

    Unseen events, which may be of any type, commute with nothing.

    Args:
        sequences: n distinct sequences of k event types.
        counts: sessions that have each, shape (n,).
        least: how often, counted in sessions, two types must follow each other directly in one order and in the other.

    Returns:
        Whether each two types commute, shape (k + 1, k + 1); symmetric, false on the diagonal.
    """
    types, sessions = sequences.vocabulary.unseen + 1, sequences.rows
    together = sessions[1:] == sessions[:-1]
    pairs = sequences.codes[:-1].astype(np.int64) * types + sequences.codes[1:]
    places = np.unique(sessions[1:][together] * types**2 + pairs[together])
    session, pair = np.divmod(places, types**2)
    seen = np.bincount(pair, counts[session], minlength=types**2).reshape(types, types)
    found: NDArray[np.bool_] = np.minimum(seen, seen.T) >= least
    found[-1] = found[:, -1] = False
    np.fill_diagonal(found, val=False)
    return found


def interleaved(
    sequences: Sequences, commute: Bools, generator: np.random.Generator, rounds: int = ROUNDS
) -> Sequences:
    """Put the events of each session into another order that only swaps of commuting neighbours lead to.

    A round offers a swap to the neighbours at even places and then to those at odd places, so no event is asked twice
    at a time and all sessions are done at once.

    Args:
        sequences: n sequences of k event types.
        commute: whether two types commute, shape (k + 1, k + 1).
        generator: of the draws.
        rounds: how often each two neighbours are asked.

    Returns:
        The n sequences in their order, each with the events it had.
    """
    codes, sessions = sequences.codes.copy(), sequences.rows
    inside = sessions[1:] == sessions[:-1]
    odd = (np.arange(len(codes)) - sequences.offsets[sessions])[:-1] % 2
    for first in [np.flatnonzero(inside & (odd == parity)) for parity in (0, 1)] * rounds:
        free = first[commute[codes[first], codes[first + 1]]]
        chosen = free[generator.random(len(free)) < CHANCE]
        codes[chosen], codes[chosen + 1] = codes[chosen + 1], codes[chosen]
    return Sequences(codes, sequences.offsets, sequences.vocabulary)


def with_interleavings(
    sequences: Sequences, weight: Floats, commute: Bools, copies: int, share: float, generator: np.random.Generator
) -> tuple[Sequences, Floats]:
    """Add interleavings to sequences; equal ones become one with the sum of their weights.

    Args:
        sequences: n sequences of k event types.
        weight: of each, shape (n,).
        commute: whether two types commute, shape (k + 1, k + 1).
        copies: interleavings of each sequence.
        share: weight of all interleavings of a sequence, as a share of its own.
        generator: of the draws.

    Returns:
        Distinct sequences and their weights, which add up to 1 + ``share`` times those given.
    """
    if not copies:
        return sequences, weight
    parts = [sequences, *(interleaved(sequences, commute, generator) for _ in range(copies))]
    lengths, codes = np.tile(sequences.lengths, copies + 1), np.concatenate([part.codes for part in parts])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    every = Sequences(codes, offsets, sequences.vocabulary)
    mass = np.concatenate([weight, *[weight * (share / copies)] * copies])
    lists = log_sessions.list_column(pl.Series(codes), offsets, "events")
    seen = log_sessions.distinct(pl.DataFrame({"events": lists}))
    _, first = np.unique(seen.inverse, return_index=True)
    return every.take(first), np.bincount(seen.inverse, mass, minlength=len(first)).astype(np.float64)
