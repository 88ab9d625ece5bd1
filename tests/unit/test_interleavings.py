"""Interleavings of sessions: which events change places, and that nothing else changes."""

from itertools import pairwise, permutations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from utils.detectors.next_event import NextEvent, interleavings
from utils.detectors.next_event.estimator import lessons_of
from utils.features import log_sessions

SIMPLE = hypothesis_settings(deadline=None, max_examples=60)
UNSEEN = 4
SESSIONS = st.lists(st.lists(st.integers(0, UNSEEN), max_size=9), min_size=1, max_size=9)
PAIRS = st.sets(st.tuples(st.integers(0, UNSEEN), st.integers(0, UNSEEN)))


def coded(sessions, types=UNSEEN):
    """Sessions of numbers; the number ``types`` and all above are unseen."""
    lists = pl.Series("events", sessions, dtype=pl.List(pl.Int64))
    return log_sessions.encode(lists, log_sessions.Vocabulary.fit(pl.Series(range(types))))


def lists(sequences):
    return [sequences[row].tolist() for row in range(len(sequences))]


def matrix(pairs):
    """Types that commute: a symmetric relation, of no type with itself."""
    made = np.zeros((UNSEEN + 1, UNSEEN + 1), bool)
    for one, other in pairs:
        made[one, other] = made[other, one] = one != other
    return made


def same_trace(one, other, commute):
    """Two sessions are one trace if for each two types that do not commute their events come in the same order."""
    return all(
        [event for event in one if event in (a, b)] == [event for event in other if event in (a, b)]
        for a in range(UNSEEN + 1)
        for b in range(UNSEEN + 1)
        if not commute[a, b]
    )


@SIMPLE
@given(SESSIONS, PAIRS, st.integers(0, 99), st.integers(0, 9))
def test_a_session_stays_the_same_trace(sessions, pairs, seed, rounds):
    commute = matrix(pairs)
    found = interleavings.interleaved(coded(sessions), commute, np.random.default_rng(seed), rounds)
    assert found.offsets.tolist() == coded(sessions).offsets.tolist()
    for before, after in zip(sessions, lists(found), strict=True):
        assert sorted(before) == sorted(after)
        assert same_trace(before, after, commute)
    if not rounds or not commute.any():
        assert lists(found) == sessions


@SIMPLE
@given(SESSIONS, st.lists(st.integers(0, 6), min_size=9, max_size=9), st.integers(1, 8))
def test_types_commute_that_enough_sessions_show_in_both_orders(sessions, counts, least):
    weight = np.array(counts[: len(sessions)], float)
    found = interleavings.commuting(coded(sessions), weight, least)
    shown = np.zeros((UNSEEN + 1, UNSEEN + 1))
    for events, count in zip(sessions, weight, strict=True):
        for pair in {*pairwise(events)}:
            shown[pair] += count
    for a in range(UNSEEN + 1):
        for b in range(UNSEEN + 1):
            enough = min(shown[a, b], shown[b, a]) >= least and a != b and UNSEEN not in (a, b)
            assert found[a, b] == enough


@SIMPLE
@given(SESSIONS, PAIRS, st.integers(1, 4), st.floats(0.1, 2), st.integers(0, 99))
def test_weight_is_kept_and_equal_sequences_are_one(sessions, pairs, copies, share, seed):
    sequences, commute = coded(sessions), matrix(pairs)
    weight = np.arange(1.0, len(sessions) + 1)
    found, mass = interleavings.with_interleavings(
        sequences, weight, commute, copies, share, np.random.default_rng(seed)
    )
    every = lists(found)
    assert len({tuple(events) for events in every}) == len(every)
    assert mass.sum() == pytest.approx((1 + share) * weight.sum())
    for events, own in zip(sessions, weight, strict=True):
        assert mass[every.index(events)] >= own
    for events in every:
        assert any(sorted(events) == sorted(one) and same_trace(one, events, commute) for one in sessions)
    for kind in {tuple(sorted(events)) for events in sessions}:
        before = sum(own for one, own in zip(sessions, weight, strict=True) if tuple(sorted(one)) == kind)
        after = sum(own for one, own in zip(every, mass, strict=True) if tuple(sorted(one)) == kind)
        assert after == pytest.approx((1 + share) * before)


def test_every_order_is_reached_and_none_without_reason():
    commute = matrix([(0, 1), (0, 2), (1, 2)])
    made = [(coded([[0, 1, 2, 3]]), np.ones(1)), (coded([[0, 3, 2, 1]]), np.ones(1))]
    first, second = (
        {tuple(events) for events in lists(
            interleavings.with_interleavings(*one, commute, 80, 1.0, np.random.default_rng(0))[0]
        )}
        for one in made
    )  # fmt: skip
    assert first == {(*order, 3) for order in permutations((0, 1, 2))}
    assert second == {(0, 3, 2, 1), (0, 3, 1, 2)}


def test_the_same_seed_gives_the_same_orders():
    sequences, weight = coded([[0, 1, 0, 1, 2, 3] * 3, [1, 0, 2]]), np.ones(2)
    commute = matrix([(0, 1), (1, 2)])
    one, two, other = (
        interleavings.with_interleavings(sequences, weight, commute, 3, 0.5, np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    assert lists(one[0]) == lists(two[0])
    assert one[1].tolist() == two[1].tolist()
    assert lists(one[0]) != lists(other[0])


@pytest.mark.parametrize("window", [None, 3])
def test_a_member_learns_from_sessions_and_their_interleavings(window):
    sequences, counts = coded([[0, 1, 2, 3], [1, 0, 2, 3], [3, 3], [2]]), np.array([25.0, 36.0, 4.0, 0.0])
    plain, mixed, apart = (
        lessons_of(NextEvent(window=window, **settings), sequences, counts, 5)
        for settings in ({"interleavings": 0}, {"commuting": 25}, {"commuting": 26})
    )
    assert mixed.wanted == pytest.approx(1.5 * plain.wanted)
    assert apart.wanted == pytest.approx(1.5 * plain.wanted)
    assert len(plain) == len(mixed) == len(apart) == (3 if window is None else len(plain))
    share = apart.weight / plain.weight
    assert share == pytest.approx(1.5)
    assert plain.weight.sum() == pytest.approx(5 + 6 + 2 if window is None else 5 * 5 + 6 * 5 + 2 * 3)


def test_without_copies_nothing_is_added():
    sequences, weight = coded([[0, 1], [0, 1], [1, 0]]), np.array([1.0, 2.0, 3.0])
    found, mass = interleavings.with_interleavings(
        sequences, weight, matrix([(0, 1)]), 0, 0.5, np.random.default_rng(0)
    )
    assert found is sequences
    assert mass is weight
