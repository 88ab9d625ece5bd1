"""The registry of benchmark cases: what a case gets, what it returns, and how to add one.

A case is a function from a :class:`Scale` to rows, decorated with ``@case("name")``, in a module that
``benchmarks.__main__`` imports.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


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


@dataclass(frozen=True)
class Bar:
    """A claim: the ratio baseline / ours is at least so large, or ours takes less than so many CPU seconds."""

    kind: Literal["ratio", "seconds"]
    value: float

    def met(self, row: "Row") -> bool:
        """Tell whether a row keeps the claim."""
        if self.kind == "ratio":
            return row.ratio is not None and row.ratio >= self.value
        return row.ours < self.value

    def __str__(self) -> str:
        return f">= {self.value:g}x" if self.kind == "ratio" else f"< {self.value:g} s"


@dataclass(frozen=True)
class Row:
    """One line of the result.

    Attributes:
        case: what was measured.
        ours: median CPU seconds of the laboratory.
        baseline: median CPU seconds of the baseline, if there is one.
        bar: the claim, if this row makes one.
        size: how much was worked on.
        data: where the data came from.
        peak_mb: peak resident memory of the process during ours.
    """

    case: str
    ours: float
    baseline: float | None
    bar: Bar | None
    size: str
    data: str
    peak_mb: float | None = None

    @property
    def ratio(self) -> float | None:
        """Baseline / ours."""
        return self.baseline / self.ours if self.baseline is not None else None

    @property
    def met(self) -> bool | None:
        """Whether the claim is kept; ``None`` where the row makes none."""
        return self.bar.met(self) if self.bar else None


Case = Callable[[Scale], list[Row]]
CASES: dict[str, Case] = {}


def case(name: str) -> Callable[[Case], Case]:
    """Register a case under a name."""

    def register(function: Case) -> Case:
        CASES[name] = function
        return function

    return register
