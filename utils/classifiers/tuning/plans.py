"""Which point is tried next: by chance, by a tree-structured Parzen estimator, on a grid, or in stages.

A plan looks at nothing but the place of a trial in its study and the finished trials, and draws every point from a seed
of its own. A study that was interrupted and resumed therefore tries the points that it would have tried without the
interruption, and several workers try the points that one would have tried: all of them by chance and on a grid; in
stages too, as a stage begins when the one before it is finished; the Parzen estimator learns from the trials that
happen to be finished.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from utils.classifiers import spaces
from utils.classifiers.spaces import Space, Value
from utils.errors import SettingsError

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

METHODS = ("tpe", "random", "grid", "random then grid")
STARTUP = 5
"""Random trials before the estimator has anything to learn from; the same for every budget."""

STAGES = (100, 720, 121)
"""Trials of the earlier system's search for web events: at random, on a coarse grid, on a fine grid."""

COARSE, FINE = 0.2, 0.0
"""Distance of neighbours on the grids around the best point, as a share of each range; 0 for a single step."""

FINE_REAL = 0.02
"""The smallest distance of neighbours on a continuous range, as a share of it."""


class Plan(Protocol):
    """What a way of searching has to say."""

    def size(self, trials: int) -> int:
        """How many of so many trials there are points for."""
        ...

    def sampler(self, place: int, done: Sequence["FrozenTrial"]) -> "BaseSampler | None":
        """Where the point of a place comes from, by the finished trials; ``None`` while it waits for more of them."""
        ...


@dataclass(frozen=True)
class AtRandom:
    """Random search (Bergstra and Bengio, JMLR 2012): its points do not depend on results.

    Attributes:
        seed: seed of the draws.
    """

    seed: int

    def size(self, trials: int) -> int:
        """Endless."""
        return trials

    def sampler(self, place: int, done: Sequence["FrozenTrial"]) -> "BaseSampler":
        """A source of random points."""
        from optuna.samplers import RandomSampler

        return RandomSampler(seed=seed_of(self.seed, place))


@dataclass(frozen=True)
class ByEstimator:
    """Tree-structured Parzen estimator (Bergstra et al., "Algorithms for hyper-parameter optimization", 2011).

    Attributes:
        seed: seed of the draws.
        alone: whether one trial runs at a time; points that others are trying are avoided otherwise.
    """

    seed: int
    alone: bool = True

    def size(self, trials: int) -> int:
        """Endless."""
        return trials

    def sampler(self, place: int, done: Sequence["FrozenTrial"]) -> "BaseSampler":
        """A source of points that are likely to be good, by what was found so far."""
        from optuna.samplers import TPESampler

        seed = seed_of(self.seed, place)
        return TPESampler(seed=seed, n_startup_trials=STARTUP, constant_liar=not self.alone)


@dataclass(frozen=True)
class OnGrid:
    """All points of a grid, in order.

    Attributes:
        space: what is searched.
        points: the grid.
    """

    space: Space
    points: Sequence[Mapping[str, Value]]

    def size(self, trials: int) -> int:
        """All points of the grid."""
        return min(trials, len(self.points))

    def sampler(self, place: int, done: Sequence["FrozenTrial"]) -> "BaseSampler":
        """A source of one point of the grid."""
        return given(self.points[place], self.space)


@dataclass(frozen=True)
class InStages:
    """Random search, a coarse grid around the best point, a fine grid around the best of all.

    What the grids leave of the trials is drawn at random.

    Attributes:
        space: what is searched.
        stages: most trials of the three stages.
        seed: seed of the random stage.
    """

    space: Space
    stages: tuple[int, int, int]
    seed: int

    def size(self, trials: int) -> int:
        """Endless."""
        return trials

    def sampler(self, place: int, done: Sequence["FrozenTrial"]) -> "BaseSampler | None":
        """A source of the next point; none before the stage before it is finished."""
        drawn, coarse, fine = self.stages
        begun = drawn
        for reach, most in ((COARSE, coarse), (FINE, fine)) if place >= drawn else ():
            earlier = [trial for trial in done if trial.number < begun]
            if len(earlier) < begun:
                return None
            grid = self._around(best_of(earlier), reach, most)
            if place < begun + len(grid):
                return given(grid[place - begun], self.space)
            begun += len(grid)
        return AtRandom(self.seed).sampler(place, done)

    def _around(self, best: "FrozenTrial | None", reach: float, most: int) -> list[dict[str, Value]]:
        """Points of the grid around a trial, without the trial itself."""
        if best is None or most < 1:
            return []
        middle = spaces.read(best.params, self.space)
        values = spaces.around(self.space, middle, max(reach, FINE_REAL) if self._continuous else reach, most + 1)
        return [point for point in spaces.lattice(values) if repr(point) != repr(middle)]

    @property
    def _continuous(self) -> bool:
        return any(isinstance(choice, spaces.Real) for choice in self.space.values())


def plan_of(
    method: str,
    space: Space,
    trials: int,
    seed: int,
    stages: tuple[int, int, int] | None = None,
    *,
    alone: bool = True,
) -> Plan:
    """Make a plan by name.

    Args:
        method: one of :data:`METHODS`.
        space: what is searched.
        trials: how many trials there will be.
        seed: seed of all draws.
        stages: trials of the three stages of ``"random then grid"``; in the proportions of :data:`STAGES`, with at
            least a third of them at random, if not given.
        alone: whether one trial runs at a time.

    Raises:
        SettingsError: if there is no such method, or nothing to search.
    """
    if not space or trials < 1:
        found = f"{len(space)} parameters and {trials} trials"
        raise SettingsError(f"a search needs a parameter to vary and at least 1 trial, found {found}: give both")
    if method == "tpe":
        return ByEstimator(seed, alone)
    if method == "random":
        return AtRandom(seed)
    if method == "grid":
        return OnGrid(space, spaces.lattice(spaces.within(space, trials)))
    if method == "random then grid":
        return InStages(space, stages or staged(trials), seed)
    raise SettingsError(f"a search goes by {', '.join(METHODS)}, found {method!r}: choose one of them")


def staged(trials: int) -> tuple[int, int, int]:
    """Divide trials among the stages of ``"random then grid"``: at least a third at random, the rest as published."""
    total = sum(STAGES)
    drawn = max(round(trials * STAGES[0] / total), -(-trials // 3))
    fine = round((trials - drawn) * STAGES[2] / (STAGES[1] + STAGES[2]))
    return drawn, trials - drawn - fine, fine


def best_of(done: Sequence["FrozenTrial"]) -> "FrozenTrial | None":
    """The complete trial with the highest value, the first of equals."""
    complete = [trial for trial in done if trial.state.name == "COMPLETE" and trial.value is not None]
    return max(complete, key=lambda trial: float(trial.value or 0.0), default=None)


def given(point: Mapping[str, Value], space: Space) -> "BaseSampler":
    """A source of one point."""
    from optuna.samplers import PartialFixedSampler, RandomSampler

    return PartialFixedSampler(spaces.store(point, space), RandomSampler(seed=0))


def seed_of(seed: int, place: int) -> int:
    """Seed of the trial at some place: its draws depend on nothing that happened before in the process."""
    return int(np.random.SeedSequence([seed, place]).generate_state(1)[0])
