"""Looking again and again at what is asked, with a stated rate of false alarms.

Rows are gathered in windows of fixed size, one after the other, none of them in two. A window is looked at four times,
when an eighth, a quarter, half and all of its rows are there, so that a large shift need not wait for the end. These
looks share the window's rate of false alarms (1/8, 1/8, 1/4 and 1/2 of it: Bonferroni), so where rows are drawn as
training rows were, at most ``alpha`` of the windows give a false alarm, however many there are. Rows that come in
bursts are not drawn so: that rate has to be measured.

Source:
    Pocock, "Group sequential methods in the design and analysis of clinical trials", Biometrika 1977; Lan and DeMets,
    "Discrete sequential boundaries for clinical trials", Biometrika 1983 (an error rate that is spent look by look).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from utils.errors import DataError
from utils.evaluation.drift.profile import Counts, Profile
from utils.evaluation.drift.testing import ALPHA, SIZE, drift
from utils.evaluation.inputs import Values, as_fraction, as_series

WINDOW = 1_000
LOOKS = (0.125, 0.25, 0.5, 1.0)
"""Shares of a window at which it is looked at."""

SPENT = (0.125, 0.125, 0.25, 0.5)
"""Share of the window's rate of false alarms that each look has."""

FEWEST_ROWS = 80
State = Literal["too few rows", "ok", "drifting"]


@dataclass(frozen=True, eq=False)
class Look:
    """One comparison with training.

    Attributes:
        window: number of the window, from 1 on.
        counts: its rows so far.
        alpha: rate of false alarms of this look.
        table: what :func:`utils.evaluation.drift.drift` found.
    """

    window: int
    counts: Counts
    alpha: float
    table: pl.DataFrame = field(repr=False)

    @property
    def alarm(self) -> bool:
        """Whether any column drifted."""
        return bool(self.table["drifted"].any())


class Watch:
    """Compares rows with training, window by window.

    Attributes:
        rows: rows seen.
        windows: windows that were completed.
        alarms: windows that gave an alarm.
        first_alarm: rows seen when the first look gave an alarm; ``None`` if none did.
        last: the last look; ``None`` before the first.
        alarmed: the last look that gave an alarm, of this or the previous window; ``None`` if none of them did.
    """

    def __init__(self, profile: Profile, *, window: int = WINDOW, alpha: float = ALPHA, size: float = SIZE) -> None:
        """Say what rows are compared with, and how often.

        Args:
            profile: what training looked like.
            window: rows of a window, 80 at least.
            alpha: share of the windows that may give a false alarm.
            size: least size (Cohen's h) of a difference that matters.

        Raises:
            DataError: if the window is too short, or ``alpha`` does not lie between 0 and 1.
        """
        if window < FEWEST_ROWS:
            raise DataError(f"a window must have {FEWEST_ROWS} rows at least, found {window}: take more")
        self.profile, self.window, self.size = profile, int(window), size
        self.alpha = as_fraction(alpha, "the rate of false alarms", "give a share such as 0.001")
        self.rows = self.windows = self.alarms = 0
        self.first_alarm: int | None = None
        self.last: Look | None = None
        self.alarmed: Look | None = None
        self._counts, self._looks = profile.none(), 0

    @property
    def state(self) -> State:
        """Whether the rows drift: from an alarm on until a whole window gave none."""
        if self.last is None:
            return "too few rows"
        return "ok" if self.alarmed is None else "drifting"

    @property
    def shown(self) -> Look | None:
        """The look that says why the state is what it is."""
        return self.alarmed or self.last

    @property
    def waiting(self) -> int:
        """Rows until the next look."""
        return self._until - self._counts.rows

    def add(self, frame: pl.DataFrame, scores: Values | None = None, decisions: Values | None = None) -> list[Look]:
        """Count rows and look where it is time to.

        Args:
            frame: the columns of training, n rows.
            scores: their scores (n,), where the profile has scores.
            decisions: true for an alarm (n,), where the profile has alarms.

        Returns:
            The looks that fell due.

        Raises:
            SchemaError: if a column is missing.
            DataError: if scores or decisions are needed and missing, or their number is not n.
        """
        told = [None if given is None else as_series(given) for given in (scores, decisions)]
        looks = []
        for start, rows in self._pieces(frame.height):
            piece = [None if one is None else one[start : start + rows] for one in told]
            looks += self.add_counts(self.profile.count(frame[start : start + rows], *piece))
        return looks

    def add_counts(self, counts: Counts) -> list[Look]:
        """Take rows that were counted already, no more than :attr:`waiting`.

        Raises:
            DataError: if there are more.
        """
        if counts.rows > self.waiting:
            raise DataError(
                f"at most {self.waiting} rows may come before the next look, found {counts.rows}: divide them"
            )
        self._counts += counts
        self.rows += counts.rows
        return [self._look()] if not self.waiting else []

    @property
    def _until(self) -> int:
        return int(self.window * LOOKS[self._looks])

    def _pieces(self, rows: int) -> Iterator[tuple[int, int]]:
        """Divide rows where looks fall due: first row and number."""
        start = 0
        while start < rows:
            taken = min(self.waiting, rows - start)
            yield start, taken
            start += taken

    def _look(self) -> Look:
        """Compare the rows of the window so far, and begin the next window after the last look."""
        alpha = self.alpha * SPENT[self._looks]
        table = drift(self.profile, self._counts, alpha=alpha, size=self.size)
        look = Look(self.windows + 1, self._counts, alpha, table)
        self.last = look
        if look.alarm:
            self._alarm(look)
        self._looks += 1
        if self._looks == len(LOOKS):
            self._complete(look)
        return look

    def _alarm(self, look: Look) -> None:
        if self.alarmed is None or self.alarmed.window != look.window:
            self.alarms += 1
        self.alarmed = look
        if self.first_alarm is None:
            self.first_alarm = self.rows

    def _complete(self, look: Look) -> None:
        self.windows += 1
        self._counts, self._looks = self.profile.none(), 0
        if self.alarmed is not None and self.alarmed.window != look.window:
            self.alarmed = None
