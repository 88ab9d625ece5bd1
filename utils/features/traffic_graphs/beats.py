"""Signs of life at equal distances in time: the mark of a beacon on an edge that is usually quiet.

For each row and each period, the windows one, two, ... periods back are looked up. A beacon makes each of them active,
chance does so as often as the history of the edge says. The score is the logarithm of the likelihood ratio of both, of
the best period and the best number of repetitions: a cumulative sum test (Page, "Continuous inspection schemes",
Biometrika 41, 1954) run backwards from the present. What the windows just before those give is taken off, so that an
edge that wakes up and is active all the time does not pass for regular.
"""

import numpy as np

from utils.evaluation.inputs import Bools, Floats, Ints, Values

BEAT = "beat"
PERIODS = range(2, 13)
REPETITIONS = 10
REACH = max(PERIODS) * REPETITIONS + 1
"""How many windows the test looks back."""

HIT = 0.95
"""Chance that a beacon shows in a window in which it should."""

MOST_ACTIVE = 0.8
LEAST_ACTIVE = 0.005
LEAST_COUNT = 10.0
"""No edge is taken to be active less often than so many times in its history."""

MOST_CELLS = 1 << 28


def beats(edge: Ints, window: Values, flows: Values, active: Floats, slots: Ints, windows: float) -> Floats:
    """Score how regularly each edge has shown signs of life up to now; HIGHER = more like a beacon.

    Args:
        edge: number of the edge, shape (n,).
        window: number of the window, shape (n,); an edge stands once in a window.
        flows: flows in the window, shape (n,).
        active: chance that an edge shows by its history, shape (edges, slots).
        slots: slot of each window from :data:`REACH` before the first to the last one.
        windows: windows of history behind ``active``: the fewer, the less a small chance is believed.

    Returns:
        Logarithms of likelihood ratios, shape (n,); 0 for rows without a flow and for edges that are usually active or
        have no history.
    """
    numbers = np.asarray(window, dtype=np.int64)
    alive = np.asarray(np.asarray(flows, dtype=np.float64) > 0)
    found = np.zeros(len(edge))
    if not alive.any():
        return found
    place = numbers - numbers.min() + REACH
    least = min(LEAST_COUNT / max(windows, 1.0), MOST_ACTIVE)
    known = _Past(edge, place, alive, np.clip(active, least, 1 - LEAST_ACTIVE), slots)
    usual = active[edge, slots[place]]
    asked = np.flatnonzero(alive & (usual < MOST_ACTIVE) & (active.sum(axis=1)[edge] > 0))
    best = [_repeated(known, edge[asked], place[asked], period) for period in PERIODS]
    found[asked] = np.max(best, axis=0, initial=0.0)
    return found


class _Past:
    """Which windows each edge was active in, and what that says for a beacon."""

    def __init__(self, edge: Ints, place: Ints, alive: Bools, active: Floats, slots: Ints) -> None:
        self.hit, self.miss = np.log(np.maximum(HIT / active, 1.0)), np.log((1 - HIT) / (1 - active))
        self.slots, self.span = slots, len(slots)
        keys = edge[alive] * self.span + place[alive]
        size = len(active) * self.span
        self.table = np.zeros(size, dtype=bool) if size <= MOST_CELLS else None
        self.ordered = np.sort(keys)
        if self.table is not None:
            self.table[keys] = True

    def says(self, edge: Ints, place: Ints) -> Floats:
        """Logarithm of the likelihood ratio of one window each, shape (n,)."""
        slot = self.slots[place]
        return np.where(self._has(edge * self.span + place), self.hit[edge, slot], self.miss[edge, slot])

    def _has(self, keys: Ints) -> Bools:
        if self.table is not None:
            return np.asarray(self.table[keys])
        found = np.minimum(np.searchsorted(self.ordered, keys), len(self.ordered) - 1)
        return np.asarray(self.ordered[found] == keys)


def _repeated(past: _Past, edge: Ints, place: Ints, period: int) -> Floats:
    """Best sum over the last repetitions of one period, less what the windows just before them give by themselves."""
    total, beside = past.says(edge, place), past.says(edge, place - 1)
    best = np.zeros(len(edge))
    for back in range(1, REPETITIONS + 1):
        total += past.says(edge, place - back * period)
        beside += past.says(edge, place - back * period - 1)
        if back > 1:
            np.maximum(best, total - np.maximum(beside, 0.0), out=best)
    return best
