"""The registry of benchmark cases: what a case gets, what it returns, and how to add one.

A case is a function from a :class:`Scale` to rows, decorated with ``@case("name", topic)``, in a module that
``benchmarks.__main__`` imports.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

TOPICS = ("data", "features", "detectors", "classifiers", "log sequences", "service", "scale")
"""What cases are about, in the order of the table."""


@dataclass(frozen=True)
class Scale:
    """How large the cases are; the defaults are those of the claims.

    Attributes:
        rounds: measured rounds of each case.
        lines: structured log lines, where they are simulated.
        sessions: event sequences, where they are simulated.
        raw_lines: raw log lines to simulate.
    """

    rounds: int = 3
    lines: int = 104_815
    sessions: int = 575_059
    raw_lines: int = 1_000_000

    @property
    def of_the_claims(self) -> bool:
        """Whether sizes are those that the bars are about."""
        return self == Scale(rounds=self.rounds)


QUICK = Scale(rounds=1, lines=2_000, sessions=1_500, raw_lines=6_000)
"""Sizes at which everything can be tried in minutes; bars do not count there."""


@dataclass(frozen=True)
class Bar:
    """A claim.

    Attributes:
        kind: ``ratio``: baseline / ours is at least the value; ``seconds`` and ``megabytes``: ours is less than it;
            ``least``: ours is at least the value.
        value: of the claim.
    """

    kind: Literal["ratio", "seconds", "megabytes", "least"]
    value: float

    def met(self, row: "Row") -> bool:
        """Tell whether a row keeps the claim."""
        if self.kind == "ratio":
            return row.ratio is not None and row.ratio >= self.value
        if row.ours is None:
            return False
        return row.ours >= self.value if self.kind == "least" else row.ours < self.value

    def __str__(self) -> str:
        shown = f"{self.value:,g}"
        return {
            "ratio": f">= {shown}x",
            "seconds": f"< {shown} s",
            "megabytes": f"< {shown} MB",
            "least": f">= {shown}",
        }[self.kind]


@dataclass(frozen=True)
class Point:
    """What one size costs.

    Attributes:
        size: how much was worked on.
        value: seconds, or whatever the unit of the row is.
        peak_mb: peak resident memory of a process of its own, what it imports included.
    """

    size: float
    value: float
    peak_mb: float | None = None


@dataclass(frozen=True)
class Row:
    """One line of the result.

    Attributes:
        case: what was measured.
        ours: median CPU seconds of the laboratory, or whatever the unit is; ``None`` where it could not be measured.
        baseline: the same of the baseline, if there is one.
        bar: the claim, if this row makes one.
        size: how much was worked on.
        data: where the data came from.
        peak_mb: peak resident memory of the process during ours.
        against: name of the baseline.
        unit: of ours and of the baseline: ``s``, ``MB``, ``B``, or nothing for a plain number.
        points: what each of several sizes costs; ours is then that of the largest.
        problem: why something could not be measured.
    """

    case: str
    ours: float | None
    baseline: float | None
    bar: Bar | None
    size: str
    data: str
    peak_mb: float | None = None
    against: str = ""
    unit: str = "s"
    points: tuple[Point, ...] = ()
    problem: str = ""

    @property
    def ratio(self) -> float | None:
        """Baseline / ours; nothing for plain numbers."""
        return self.baseline / self.ours if self.baseline is not None and self.ours and self.unit else None

    @property
    def met(self) -> bool | None:
        """Whether the claim is kept; ``None`` where the row makes none, or where it could not be measured."""
        return self.bar.met(self) if self.bar and not self.problem else None

    @property
    def exponent(self) -> float | None:
        """Growth with size: the exponent b of a x size^b, by least squares of logarithms; from three sizes on."""
        if len(self.points) < 3:
            return None
        return float(power_law(self.points)[1])

    def record(self) -> dict[str, Any]:
        """Everything about the row, for JSON."""
        return asdict(self) | {"ratio": self.ratio, "met": self.met, "exponent": self.exponent}


def power_law(points: tuple[Point, ...]) -> tuple[float, float]:
    """Fit value = a x size^b by least squares of logarithms; returns a and b."""
    sizes, values = np.log([point.size for point in points]), np.log([point.value for point in points])
    slope, level = np.polyfit(sizes, values, 1)
    return float(np.exp(level)), float(slope)


def from_record(stored: Mapping[str, Any]) -> Row:
    """Make a row from what :meth:`Row.record` gave."""
    plain = {name: stored[name] for name in Row.__dataclass_fields__ if name in stored}
    bar = Bar(**plain["bar"]) if plain["bar"] else None
    return Row(**plain | {"bar": bar, "points": tuple(Point(**point) for point in plain.get("points", ()))})


Case = Callable[[Scale], list[Row]]
CASES: dict[str, Case] = {}
TOPIC_OF: dict[str, str] = {}


def case(name: str, topic: str = "scale") -> Callable[[Case], Case]:
    """Register a case under a name and a topic of :data:`TOPICS`."""

    def register(function: Case) -> Case:
        CASES[name] = function
        TOPIC_OF[name] = topic
        return function

    return register
