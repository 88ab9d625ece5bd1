"""Life cycles of HDFS blocks as event sequences: what a name node and its data nodes log about one block.

A life cycle is a small probabilistic program. A block is allocated (22) while three replicas are being received (5);
each replica is stored (9, 11) and reported (26), the three interleaved; some blocks are copied again (25, 18, 5, 6,
16), read (3, 4) or verified (2); most are deleted (23, 21). Every stage takes one fragment from a weighted list. An
anomaly is an edit of such a life. Event numbers are those of the LogHub templates (``E5`` = 5).

The weights were measured on the 558,221 normal sessions of the DeepLog release of HDFS_v1 (Xu et al., SOSP 2009; Du et
al., CCS 2017), of which 99.6 % have this form. The shares of the anomalies follow its 16,838 anomalous sessions, except
that one in nine of the simulated ones uses only events that normal blocks have too: so no rule on the set of events,
nor on the number of events, separates the classes.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise, product
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from utils.datasets.contract import NORMAL
from utils.simulate.draws import Floats, Ints

Events = tuple[int, ...]

ANOMALY_SHARE = 16_838 / 575_059
SLOW_SHARE = 0.2525
SMALL_FILE_SHARE = 0.0042
COPIED_SHARE = 0.0041
COPIED_ONCE = 0.75
ODD_DELETION_SHARE = 0.0004
VARIANTS = 10


class Life(NamedTuple):
    """The stages of one block's life."""

    opened: Events
    stored: Events
    copied: Events
    used: Events
    deleted: Events

    @property
    def events(self) -> Events:
        """All events in order."""
        return self.opened + self.stored + self.copied + self.used + self.deleted


@dataclass(frozen=True)
class Options:
    """The fragments of which each block takes one, with weights that depend on what happened before.

    Attributes:
        fragments: the different fragments.
        weights: shape (contexts, fragments); each row adds up to 1.
    """

    fragments: tuple[Events, ...]
    weights: Floats

    @classmethod
    def of(cls, *contexts: Mapping[Events, float]) -> "Options":
        """Join the weighted fragments of each context."""
        fragments = tuple(dict.fromkeys(fragment for weights in contexts for fragment in weights))
        table = np.array([[weights.get(fragment, 0.0) for fragment in fragments] for weights in contexts])
        return cls(fragments, table / table.sum(axis=1, keepdims=True))

    def draw(self, rng: np.random.Generator, context: NDArray[np.integer]) -> Ints:
        """Draw one fragment number for each context."""
        drawn = np.empty(context.size, np.int64)
        for number, weights in enumerate(self.weights):
            here = np.flatnonzero(context == number)
            drawn[here] = rng.choice(weights.size, size=here.size, p=weights)
        return drawn


class Blocks(NamedTuple):
    """Simulated blocks, each with the number of its event sequence.

    Attributes:
        sequences: the different sequences.
        sequence: for each block, the place of its sequence in ``sequences``.
        anomaly: for each block, the place of its anomaly type in :data:`ANOMALY_TYPES` (0 = normal).
    """

    sequences: list[Events]
    sequence: Ints
    anomaly: Ints


def draw(size: int, rng: np.random.Generator, *, quiet: int = 0) -> Blocks:
    """Draw the event sequences of some blocks.

    Args:
        size: number of blocks.
        rng: source of randomness.
        quiet: the first so many blocks have no deletion of an unknown block (20) among the normal ones, as no training
            session of the DeepLog release has.

    Returns:
        The blocks; normal and anomalous ones share no sequence.
    """
    anomaly = _anomalies(size, rng)
    choices = _choices(anomaly, rng)
    odd = (anomaly == 0) & (rng.random(size) < ODD_DELETION_SHARE) & (np.arange(size) >= quiet)
    choices["deleted"][odd] = len(DELETED) - 1
    stages = (OPENED, _stored().fragments, COPIED, _used().fragments, DELETED)
    radix = (*(len(fragments) for fragments in stages), len(ANOMALY_TYPES), VARIANTS)
    keys, key = np.unique(np.ravel_multi_index(tuple(choices.values()), radix), return_inverse=True)
    numbers: dict[Events, int] = {}
    lives = zip(*(column.tolist() for column in np.unravel_index(keys, radix)), strict=True)
    of_key = [numbers.setdefault(_sequence(*life), len(numbers)) for life in lives]
    return Blocks(list(numbers), np.array(of_key, np.int64)[key], anomaly)


def _anomalies(size: int, rng: np.random.Generator) -> Ints:
    """Spread the anomaly types by their shares over a fixed number of random blocks."""
    count = max(1, round(size * ANOMALY_SHARE))
    ends = np.cumsum([anomaly.share for anomaly in ANOMALIES.values()])
    anomaly = np.zeros(size, np.int64)
    places = rng.choice(size, size=count, replace=False)
    anomaly[places] = 1 + np.searchsorted(ends / ends[-1], (np.arange(count) + 0.5) / count)
    return anomaly


def _choices(anomaly: Ints, rng: np.random.Generator) -> dict[str, Ints]:
    """Draw for each block the number of the fragment of each stage."""
    size, odd = anomaly.size, anomaly > 0
    slow = (rng.random(size) < SLOW_SHARE).astype(np.int64)
    opened = np.where(slow == 1, 0, 1 + rng.choice(3, size=size, p=OPENED_FAST))
    stored = _stored().draw(rng, slow)
    small = ~odd & (rng.random(size) < SMALL_FILE_SHARE)
    opened[small] = rng.integers(4, len(OPENED), size=int(small.sum()))
    stored[small] = _stored().fragments.index(())
    early = np.array([fragment[:1] == (26,) for fragment in _stored().fragments])[stored].astype(np.int64)
    read = (rng.random(size) < READ_SHARE[slow, early]).astype(np.int64)
    cycles = np.where(rng.random(size) < COPIED_ONCE, rng.integers(1, 3, size=size), rng.integers(3, 11, size=size))
    copied = np.where(~odd & (rng.random(size) < COPIED_SHARE), cycles, 0)
    kept = (rng.random(size) >= DELETED_SHARE[slow, early]) & (read == 0)
    deleted = np.where(kept | ((copied > 0) & (read == 0)), 0, 1 + rng.choice(3, size=size, p=DELETED_ORDERS))
    return {
        "opened": opened,
        "stored": stored,
        "copied": np.where(deleted > 0, 0, copied),
        "used": _used().draw(rng, read),
        "deleted": deleted,
        "anomaly": anomaly,
        "variant": np.where(odd, rng.integers(VARIANTS, size=size), 0),
    }


def _sequence(opened: int, stored: int, copied: int, used: int, deleted: int, anomaly: int, variant: int) -> Events:
    life = Life(OPENED[opened], _stored().fragments[stored], COPIED[copied], _used().fragments[used], DELETED[deleted])
    return life.events if anomaly == 0 else ANOMALIES[ANOMALY_TYPES[anomaly]].edit(life, variant)


# ------------------------------------------------------------------------------------------------------ stages


def _events(text: str) -> Events:
    return tuple(int(word) for word in text.split())


OPENED = tuple(
    _events(text)
    for text in (
        "22 5 5 5",
        "5 5 5 22",
        "5 22 5 5",
        "5 5 22 5",
        # small files: a replica is stored before the next one is opened
        "5 11 9 5 11 9 5 11 9 26 26 26 22",
        "5 11 9 5 11 9 5 11 9 26 26 22 26",
        "5 11 9 5 11 9 5 11 9 26 22 26 26",
        "5 11 9 5 11 9 5 11 9 22 26 26 26",
        "5 5 22 11 9 11 9 5 11 9 26 26 26",
        "5 5 22 11 9 5 11 9 11 9 26 26 26",
        "5 22 5 11 9 5 11 9 11 9 26 26 26",
        "22 5 11 9 5 11 9 5 11 9 26 26 26",
    )
)
OPENED_FAST = (0.456, 0.2845, 0.2595)
COPY_CYCLES = (_events("25 18 5 6 16 26 26 21"), _events("25 18 5 16 6 26 26 21"))
COPIED = (
    (),
    *COPY_CYCLES,
    *(COPY_CYCLES[i] + COPY_CYCLES[j] + COPY_CYCLES[k] for i, j, k in product((0, 1), repeat=3)),
)
DELETION = _events("23 23 23 21 21 21")
DELETED = ((), DELETION, _events("21 23 23 23 21 21"), _events("23 23 23 2 21 21 21"), _events("20 23 23 23 21 21 21"))
DELETED_ORDERS = (0.9986, 0.0006, 0.0008)
READ_SHARE = np.array([[0.137, 0.308], [0.261, 0.661]])
DELETED_SHARE = np.array([[0.737, 0.85], [0.746, 0.997]])

STORED_FAST = {
    "11 9 11 9 11 9 26 26 26": 0.7579,
    "11 9 11 9 26 26 11 9 26": 0.0804,
    "11 9 26 11 9 11 9 26 26": 0.0511,
    "11 9 11 9 26 11 9 26 26": 0.0238,
    "11 9 11 9 26 26 26 11 9": 0.0181,
    "26 11 9 11 9 11 9 26 26": 0.0083,
    "11 9 26 26 11 9 11 9 26": 0.0082,
    "11 9 26 26 26 11 9 11 9": 0.0053,
    "26 26 26 11 9 11 9 11 9": 0.0039,
    "26 26 11 9 11 9 11 9 26": 0.0025,
}
STORED_SLOW = {
    "26 26 26 11 9 11 9 11 9": 0.4948,
    "11 9 11 9 11 9 26 26 26": 0.2039,
    "26 26 11 9 11 9 11 9 26": 0.0495,
    "26 26 11 9 11 9 26 11 9": 0.0463,
    "26 11 9 26 26 11 9 11 9": 0.0284,
    "11 9 11 9 26 26 11 9 26": 0.0246,
    "11 9 26 26 26 11 9 11 9": 0.0234,
    "11 9 11 9 26 26 26 11 9": 0.0167,
    "11 9 26 11 9 11 9 26 26": 0.0153,
    "26 11 9 11 9 11 9 26 26": 0.0146,
    "26 11 9 11 9 26 26 11 9": 0.0134,
    "11 9 11 9 26 11 9 26 26": 0.0064,
    "26 26 11 9 26 11 9 11 9": 0.0047,
    "11 9 26 26 11 9 11 9 26": 0.0038,
}


@cache
def _stored() -> Options:
    """How the three replicas are stored and reported; contexts: allocated late (0) or first (1)."""
    fast, slow = _blurred(STORED_FAST), _blurred(STORED_SLOW)
    return Options.of(fast | {(): 0.0}, slow)


def _blurred(heads: Mapping[str, float], near: float = 0.8) -> dict[Events, float]:
    """Give the weight that the common orders leave to orders that differ by one or two exchanged neighbours."""
    weights = defaultdict(float, {_events(text): weight for text, weight in heads.items()})
    tail = 1 - sum(heads.values())
    for text, weight in heads.items():
        first = list(_swaps(_events(text)))
        second = [far for once in first for far in _swaps(once)]
        for swapped, share in ((first, near), (second, 1 - near)):
            for order in swapped:
                weights[order] += tail * weight / sum(heads.values()) * share / len(swapped)
    return dict(weights)


def _swaps(events: Events) -> Iterator[Events]:
    for place in range(len(events) - 1):
        before, after = events[place : place + 2]
        if before != after:
            yield (*events[:place], after, before, *events[place + 2 :])


WAVES = ((3, 3, 4), (3, 4, 3), (4, 3, 3))
WAVE_FIRST = (0.55, 0.38, 0.07)
WAVE_NEXT = ((0.735, 0.248, 0.017), (0.375, 0.565, 0.06), (0.18, 0.41, 0.41))
WAVE_COUNTS = (0.041, 0.171, 0.101, 0.099)
CUT_SHARE = 0.1
ATTEMPTS = {"4 3 4": 0.2491, "4 4 3": 0.2021}
OTHER_READS = {
    "3": 0.0279,
    "3 3 3 3": 0.0119,
    "3 3 3 3 3 3 3 3": 0.0076,
    "3 3 3 3 3 3": 0.0071,
    "4 3 4 3 4 3 4": 0.0065,
    "4 3 4 3 4 3": 0.0059,
    "3 3": 0.0027,
    "4 3": 0.0024,
    "4 3 4 4": 0.0014,
}
RETRIES = 16
RETRIES_SHARE = 0.0288


def _attempts() -> dict[Events, float]:
    """One map task reads the block: served at the second or third attempt, or after fifteen refused ones."""
    weights = {_events(text): weight for text, weight in ATTEMPTS.items()}
    for served in range(RETRIES):
        late = 0.23 if served == RETRIES - 1 else 0.77 / (RETRIES - 1)
        weights[(4,) * served + (3,) + (4,) * (RETRIES - 1 - served)] = RETRIES_SHARE * late
    return weights


def _waves() -> dict[Events, float]:
    """Other reads: mostly waves of three, one for each replica; the last event of a wave may be missing."""
    weights = defaultdict(float, {_events(text): weight for text, weight in OTHER_READS.items()})
    for length, share in enumerate(WAVE_COUNTS, start=1):
        for waves in product(range(3), repeat=length):
            steps = (WAVE_NEXT[before][after] for before, after in pairwise(waves))
            weight = share * WAVE_FIRST[waves[0]] * prod(steps)
            events = sum((WAVES[wave] for wave in waves), ())
            weights[events] += weight * (1 - CUT_SHARE)
            weights[events[:-1]] += weight * CUT_SHARE
    return dict(weights)


VERIFIED_UNREAD = {(): 0.9384, (2,): 0.0587, (2, 2): 0.0028, (2, 2, 2): 0.0001}
VERIFIED_ATTEMPTS = {
    (0, 0): 0.3534,
    (0, 1): 0.247,
    (0, 2): 0.1085,
    (0, 3): 0.09,
    (1, 2): 0.0532,
    (1, 0): 0.0561,
    (1, 1): 0.0371,
    (2, 1): 0.0219,
    (3, 0): 0.0152,
    (2, 0): 0.0093,
}
VERIFIED_WAVES = {
    (0, 0): 0.8145,
    (1, 0): 0.074,
    (0, 1): 0.0324,
    (0, 2): 0.007,
    (1, 1): 0.0037,
    (2, 0): 0.0034,
}


@cache
def _used() -> Options:
    """Reads and verifications between storing and deleting; contexts: not read (0) or read (1)."""
    attempts, waves = _verified(_attempts(), VERIFIED_ATTEMPTS), _verified(_waves(), VERIFIED_WAVES)
    read = {events: attempts.get(events, 0.0) + waves.get(events, 0.0) for events in attempts | waves}
    return Options.of(VERIFIED_UNREAD, read)


def _verified(reads: Mapping[Events, float], around: Mapping[tuple[int, int], float]) -> dict[Events, float]:
    """Put verifications before and after the reads; what is left of the weight goes to one in their midst."""
    weights: dict[Events, float] = defaultdict(float)
    within = 1 - sum(around.values())
    for events, weight in reads.items():
        for (before, after), share in around.items():
            weights[(2,) * before + events + (2,) * after] += weight * share
        for place in range(1, len(events)):
            weights[(*events[:place], 2, *events[place:])] += weight * within / (len(events) - 1)
    return dict(weights)


# --------------------------------------------------------------------------------------------------- anomalies


@dataclass(frozen=True)
class Anomaly:
    """One kind of anomaly.

    Attributes:
        share: its share of all anomalies.
        visible: what gives it away: "events" (a set of events that normal blocks lack), "counts" or "order".
        edit: makes the anomalous events from a normal life and a variant number from 0 to 9.
    """

    share: float
    visible: str
    edit: Callable[[Life, int], Events]


INTERRUPTED = tuple(_events(text) for text in ("5 22", "22 5 5", "22 5", "5 5 22", "5 22 5"))
BROKEN_WRITES = tuple(
    _events(text)
    for text in (
        "11 10 7 14 7 8 11",
        "14 7 11 10 7",
        "11 10 7",
        "7 11 10",
        "14 7 8 11 7 11 10",
        "11 11 10 15 5 1 11 9 15 5 1 11 9 26 26 11 9 26",
        "14 7 11 10 5 11 10 15 14 7 8 11 15 5 11 9 11 9 26",
        "12 14 11 10 15 5 12 11 10 8 11 15 5 11 9 26",
        "5 11 10 14 8 11 15 5 11 9 26 14 11 12 5 19",
        "14 7 14 7 11 10 14 7 8 11",
    )
)
LATE_READS = ((4, 3, 4), (4, 4, 3), (3,), (3, 3, 4, 3, 3, 4))


def _interrupted_write(life: Life, variant: int) -> Events:
    return INTERRUPTED[variant % len(INTERRUPTED)]


def _delete_unknown_block(life: Life, variant: int) -> Events:
    place = 4 + variant % 3
    return life._replace(deleted=(*DELETION[:place], 20, *DELETION[place:])).events


def _delete_after_replication(life: Life, variant: int) -> Events:
    return life._replace(copied=COPY_CYCLES[variant % 2], deleted=DELETION).events


def _stored_after_delete(life: Life, variant: int) -> Events:
    return life._replace(deleted=_events("23 23 23 21 21 28 26 21")).events


def _redundant_stored(life: Life, variant: int) -> Events:
    last = len(life.stored) - life.stored[::-1].index(26)
    place = last - variant % 2
    return life._replace(stored=(*life.stored[:place], 27, *life.stored[place:])).events


def _empty_packet(life: Life, variant: int) -> Events:
    packets = [(13, event) if event == 11 else (event,) for event in life.stored]
    return life._replace(stored=sum(packets, ())).events


def _write_exception(life: Life, variant: int) -> Events:
    return life.opened + BROKEN_WRITES[variant]


def _transfer_failed(life: Life, variant: int) -> Events:
    return life._replace(copied=(25, 18, 17, *COPY_CYCLES[variant % 2])).events


def _duplicate_delete(life: Life, variant: int) -> Events:
    again = 1 + variant % 3
    return life._replace(deleted=(23,) * (3 + again) + (21,) * (3 + again)).events


def _replication_storm(life: Life, variant: int) -> Events:
    cycles = [COPY_CYCLES[(variant >> place) % 2] for place in range(4 + variant % 4)]
    return life._replace(copied=sum(cycles, ()), used=(), deleted=()).events


def _missing_replica(life: Life, variant: int) -> Events:
    stored = list(life.stored)
    for event in (11, 9, 26):
        del stored[len(stored) - 1 - stored[::-1].index(event)]
    return life._replace(stored=tuple(stored), deleted=_events("23 23 21 21") if life.deleted else ()).events


def _wrong_order(life: Life, variant: int) -> Events:
    opened, stored, _, used, _ = life
    backwards = opened + stored + used + DELETION[::-1]
    too_early = opened + DELETION + stored + used
    unopened = stored + opened + used + DELETION
    return (backwards, too_early, unopened)[variant % 3]


def _read_after_delete(life: Life, variant: int) -> Events:
    late = life.used if {3, 4} & set(life.used) else LATE_READS[variant % len(LATE_READS)]
    return life.opened + life.stored + DELETION + late


ANOMALIES: dict[str, Anomaly] = {
    "interrupted_write": Anomaly(0.27, "events", _interrupted_write),
    "delete_unknown_block": Anomaly(0.23, "events", _delete_unknown_block),
    "delete_after_replication": Anomaly(0.14, "events", _delete_after_replication),
    "stored_after_delete": Anomaly(0.08, "events", _stored_after_delete),
    "redundant_stored": Anomaly(0.06, "events", _redundant_stored),
    "empty_packet": Anomaly(0.04, "events", _empty_packet),
    "write_exception": Anomaly(0.04, "events", _write_exception),
    "transfer_failed": Anomaly(0.03, "events", _transfer_failed),
    "duplicate_delete": Anomaly(0.02, "counts", _duplicate_delete),
    "replication_storm": Anomaly(0.02, "counts", _replication_storm),
    "missing_replica": Anomaly(0.02, "counts", _missing_replica),
    "wrong_order": Anomaly(0.03, "order", _wrong_order),
    "read_after_delete": Anomaly(0.02, "order", _read_after_delete),
}
ANOMALY_TYPES = (NORMAL, *ANOMALIES)
