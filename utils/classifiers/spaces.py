"""What a parameter may be: search spaces as pure data, read by every way of searching.

A :class:`Space` maps the names of a CLASSIFIER's parameters (not of the pipeline around it) to ranges. The same
declaration is drawn from by a study (:func:`suggest`), laid out as a grid (:func:`grid`, :func:`within`,
:func:`around`, all points by :func:`lattice`) and counted (:func:`size`).
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType
from typing import Any, Protocol

from utils.errors import SettingsError

Value = bool | int | float | str | None | tuple[int, ...]
"""What one parameter can be set to."""

TEXTS = (bool, int, float, str, type(None))
"""Types that a study stores as they are; others are stored by their text."""


ROUNDING = 1e-9
"""Distance from the end of a range that counts as the end."""


class Trial(Protocol):
    """The part of a study's trial that draws values (``optuna.Trial`` has it)."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """Draw a whole number."""
        ...

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Draw a number."""
        ...

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:  # noqa: ANN401
        """Draw one of several values."""
        ...


@dataclass(frozen=True)
class Whole:
    """Whole numbers from ``low`` to ``high``, both included.

    Attributes:
        low: smallest value.
        high: largest value.
        log: draw evenly on a logarithmic scale; needs ``low`` of at least 1 and a step of 1.
        step: distance of neighbouring values.

    Raises:
        SettingsError: if there is no such number.
    """

    low: int
    high: int
    log: bool = False
    step: int = 1

    def __post_init__(self) -> None:
        _require_order(self.low, self.high, self.log)
        if self.step < 1 or (self.log and self.step != 1):
            raise SettingsError(
                f"a range's step must be 1 or more, and 1 on a log scale, found {self.step}: correct it"
            )

    def draw(self, trial: Trial, name: str) -> int:
        """Draw a value for the parameter ``name``."""
        return trial.suggest_int(name, self.low, self.high, step=self.step, log=self.log)

    def size(self) -> int:
        """Number of different values."""
        return (self.high - self.low) // self.step + 1

    def at(self, share: float) -> int:
        """The value nearest to a share of the way from ``low`` to ``high``."""
        place = round((_on_scale(self, share) - self.low) / self.step)
        return self.low + self.step * min(max(place, 0), self.size() - 1)

    def points(self, number: int) -> list[Value]:
        """At most ``number`` different values, spread over the range, rising."""
        return _spread(self, min(number, self.size()))

    def around(self, value: Value, reach: float, number: int) -> list[Value]:
        """Values on both sides of one, nearest first, itself included (see :func:`around`)."""
        least = 0.0 if self.log and reach else 1 / max(1, self.size() - 1)
        return _neighbours(self, value, max(reach, least), number)


@dataclass(frozen=True)
class Real:
    """Numbers from ``low`` to ``high``, both included.

    Attributes:
        low: smallest value.
        high: largest value.
        log: draw evenly on a logarithmic scale; needs ``low`` above 0.

    Raises:
        SettingsError: if there is no such number.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _require_order(self.low, self.high, self.log)

    def draw(self, trial: Trial, name: str) -> float:
        """Draw a value for the parameter ``name``."""
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    def size(self) -> float:
        """Number of different values: endless, but for a range of one."""
        return 1 if self.low == self.high else math.inf

    def at(self, share: float) -> float:
        """The value at a share of the way from ``low`` to ``high``."""
        return min(max(_on_scale(self, share), float(self.low)), float(self.high))

    def points(self, number: int) -> list[Value]:
        """At most ``number`` different values, spread over the range, rising."""
        return _spread(self, number)

    def around(self, value: Value, reach: float, number: int) -> list[Value]:
        """Values on both sides of one, nearest first, itself included (see :func:`around`)."""
        return _neighbours(self, value, reach, number)


@dataclass(frozen=True)
class OneOf:
    """One of several values, in no order.

    Attributes:
        values: what can be drawn; the first is where a grid begins.

    Raises:
        SettingsError: if there is no value, or one stands twice.
    """

    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(self.values))
        if not self.values or len(set(map(repr, self.values))) < len(self.values):
            raise SettingsError(f"a choice needs different values, found {self.values}: name each of them once")

    def draw(self, trial: Trial, name: str) -> Value:
        """Draw a value for the parameter ``name``."""
        return self.read(trial.suggest_categorical(name, self.stored()))

    def stored(self) -> list[bool | int | float | str | None]:
        """The values as a study stores them: by their text unless all are plain values that differ (True is 1)."""
        plain = all(isinstance(value, TEXTS) for value in self.values) and len(set(self.values)) == len(self.values)
        return [*self.values] if plain else [*map(repr, self.values)]  # type: ignore[list-item]

    def read(self, stored: Any) -> Value:  # noqa: ANN401
        """The value that a study stored."""
        return self.values[self.stored().index(stored)]

    def points(self, number: int) -> list[Value]:
        """The first ``number`` values."""
        return list(self.values[:number])

    def around(self, value: Value, reach: float, number: int) -> list[Value]:
        """One value, then the others in their order (a choice has no distances: ``reach`` is for ranges)."""
        return [value, *(other for other in self.values if repr(other) != repr(value))][:number]

    def size(self) -> int:
        """Number of different values."""
        return len(self.values)


Range = Whole | Real | OneOf
Space = Mapping[str, Range]


def suggest(trial: Trial, space: Space) -> dict[str, Value]:
    """Draw one point of a space.

    Args:
        trial: an Optuna trial, or anything that draws as it does.
        space: ranges by parameter.

    Returns:
        A value for each parameter.
    """
    return {name: choice.draw(trial, name) for name, choice in space.items()}


def read(stored: Mapping[str, Any], space: Space) -> dict[str, Value]:
    """A point as :func:`suggest` returned it, from the parameters that a study stored."""
    return {
        name: choice.read(stored[name]) if isinstance(choice, OneOf) else stored[name] for name, choice in space.items()
    }


def store(point: Mapping[str, Value], space: Space) -> dict[str, Any]:
    """A point as a study stores it: the inverse of :func:`read`."""
    texts = {name: choice for name, choice in space.items() if isinstance(choice, OneOf)}
    return {
        name: texts[name].stored()[[*map(repr, texts[name].values)].index(repr(value))] if name in texts else value
        for name, value in point.items()
    }


def grid(space: Space, points: int | Mapping[str, int]) -> dict[str, list[Value]]:
    """Lay out values for each parameter.

    Args:
        space: ranges by parameter.
        points: most values of a range, for all or by parameter (2 where it is not named); choices keep all of theirs.

    Returns:
        Values by parameter; their combinations are the grid (:func:`lattice`).

    Raises:
        SettingsError: if a number of points is not positive.
    """
    numbers = {name: points if isinstance(points, int) else points.get(name, 2) for name in space}
    if wrong := [number for number in numbers.values() if number < 1]:
        raise SettingsError(f"a grid needs at least 1 value a parameter, found {wrong[0]}: give a positive number")
    whole = {name: choice.size() if isinstance(choice, OneOf) else numbers[name] for name, choice in space.items()}
    return {name: choice.points(whole[name]) for name, choice in space.items()}


def within(space: Space, most: int) -> dict[str, list[Value]]:
    """The finest even grid with at most so many points: parameters get one more value in turn, the first one first.

    Args:
        space: ranges by parameter.
        most: most points, at least 1.

    Returns:
        Values by parameter.
    """
    return _grown({name: choice.points for name, choice in space.items()}, most, 1)


def around(space: Space, point: Mapping[str, Value], reach: float, most: int) -> dict[str, list[Value]]:
    """A grid with a point in its middle, of at most so many points.

    Args:
        space: ranges by parameter.
        point: the middle.
        reach: distance of neighbouring values as a share of each range; whole numbers move by one step at least.
        most: most points of the grid, at least 1.

    Returns:
        Values by parameter, nearest first; parameters get two more values (both neighbours) in turn.
    """

    def nearest(name: str) -> Callable[[int], list[Value]]:
        return lambda number: space[name].around(point[name], reach, number)

    return _grown({name: nearest(name) for name in space}, most, 2)


def lattice(values: Mapping[str, Iterable[Value]]) -> list[dict[str, Value]]:
    """All combinations of values by parameter, the last parameter changing fastest."""
    return [dict(zip(values, point, strict=True)) for point in product(*values.values())]


def size(space: Space | Mapping[str, Sequence[Value]]) -> float:
    """Number of different points of a space (``inf`` with a continuous range) or of a grid."""
    counts = (len(choice) if isinstance(choice, Sequence) else choice.size() for choice in space.values())
    return math.prod(counts)


def _require_order(low: float, high: float, log: bool) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise SettingsError(f"a range must rise from low to high, found {low} to {high}: correct the space")
    if log and low <= 0:
        raise SettingsError(f"a range on a log scale must begin above 0, found {low}: raise it or leave log out")


def _on_scale(choice: Whole | Real, share: float) -> float:
    """The number at a share of the way, on the range's own scale."""
    if choice.log:
        return math.exp(math.log(choice.low) + share * (math.log(choice.high) - math.log(choice.low)))
    return choice.low + share * (choice.high - choice.low)


def _share(choice: Whole | Real, value: float) -> float:
    """How far a number is on the way from the lowest to the highest."""
    low, high, at = (math.log(end) if choice.log else end for end in (choice.low, choice.high, value))
    return (at - low) / (high - low) if high > low else 0.0


def _spread(choice: Whole | Real, number: int) -> list[Value]:
    """Values at equal distances, the middle one for a single value."""
    shares = [0.5] if number == 1 else [place / (number - 1) for place in range(number)]
    return [*sorted({choice.at(share) for share in shares})]


def _neighbours(choice: Whole | Real, value: Value, reach: float, number: int) -> list[Value]:
    """A value and those at equal distances on both sides of it, inside the range, nearest first."""
    middle = _share(choice, float(str(value)))
    moves = (side * turn * reach for turn in range(1, math.ceil(1 / reach) + 1) for side in (-1, 1))
    near = (choice.at(middle + move) for move in moves if -ROUNDING <= middle + move <= 1 + ROUNDING)
    return [*dict.fromkeys([value, *near])][:number]


def _grown(values: Mapping[str, Callable[[int], list[Value]]], most: int, step: int) -> dict[str, list[Value]]:
    """Give each parameter more values in turn for as long as the grid has at most so many points."""
    if most < 1:
        raise SettingsError(f"a grid needs at least 1 point, found {most}: give a positive number")
    grown = {name: given(1) for name, given in values.items()}
    growing = dict.fromkeys(values, 1)
    while growing:
        for name, number in list(growing.items()):
            more = values[name](number + step)
            if len(more) == len(grown[name]) or size(grown | {name: more}) > most:
                del growing[name]
            else:
                grown[name], growing[name] = more, number + step
    return grown


FOREST_OF_THE_EVENTS: Space = MappingProxyType(
    {
        "n_estimators": Whole(20, 80),
        "criterion": OneOf(("gini", "entropy")),
        "max_depth": OneOf((None, 10, 20, 30, 40, 50)),
        "min_samples_leaf": Whole(1, 6),
        "min_samples_split": Whole(2, 8),
        "max_features": Whole(1, 9),
        "max_leaf_nodes": OneOf((None, 62, 124, 186)),
    }
)
"""Random search of the earlier system for web events: 100 draws, three folds."""

HISTOGRAM_TREES_OF_THE_GRAPHS: Space = MappingProxyType(
    {
        "learning_rate": OneOf((0.1,)),
        "max_iter": Whole(10, 100),
        "max_leaf_nodes": Whole(10, 31),
        "max_depth": Whole(2, 10),
        "l2_regularization": Real(0.0, 10.0),
    }
)
"""Histogram gradient boosting of the earlier system for call graphs: 20 trials."""

BOOSTED_TREES_OF_THE_FLOWS: Space = MappingProxyType(
    {
        "n_estimators": Whole(50, 500),
        "max_depth": Whole(3, 15),
        "learning_rate": Real(0.01, 0.3),
        "subsample": Real(0.5, 1.0),
        "colsample_bytree": Real(0.5, 1.0),
        "gamma": Real(0.0, 1.0),
        "min_child_weight": Whole(1, 10),
        "reg_alpha": Real(1e-5, 1.0, log=True),
        "reg_lambda": Real(1e-5, 1.0, log=True),
    }
)
"""XGBoost of the earlier system for network flows: TPE, 20 trials."""
