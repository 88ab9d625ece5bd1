"""Is the watch quiet where nothing has changed, and does it wake up where something has? Tried on held-out rows.

Every second held-out row says which scores and how many alarms to expect; the others are asked. Quiet rows are drawn
from these without replacement, window by window, again and again; and once more they come in their own order, as bursts
are what no test of independent rows is made for. A shift is made in rows that are drawn in the same way; it is found
when the watch gives its first alarm within four windows.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import polars as pl

from utils.errors import DataError
from utils.evaluation.drift.profile import Profile
from utils.evaluation.drift.shifts import EVENTS, kinds_of, shifted
from utils.evaluation.drift.testing import ALPHA, SIZE
from utils.evaluation.drift.watch import WINDOW, Watch
from utils.evaluation.inputs import Bools, Floats, Values, as_labels
from utils.evaluation.intervals import wilson
from utils.evaluation.thresholds import Threshold
from utils.settings import SEED

NONE, IN_ORDER = "none", "none, in the order of the rows"
PATIENCE = 4
"""Windows within which a shift has to be found."""

COLUMNS: dict[str, type[pl.DataType]] = {
    "shift": pl.String,
    "tried": pl.Int64,
    "alarms": pl.Int64,
    "share": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "rows": pl.Float64,
    "columns": pl.String,
}


class Model(Protocol):
    """What scores rows and says what to watch in them."""

    threshold_: Threshold

    def monitored(self, rows: Any, /) -> pl.DataFrame:  # noqa: ANN401 (raw input of any form)
        """Columns of the profile."""

    def score_samples(self, rows: Any, /) -> Floats:  # noqa: ANN401 (raw input of any form)
        """Score; HIGHER = MORE ABNORMAL."""


class _Asked(NamedTuple):
    """Rows as a watch takes them."""

    frame: pl.DataFrame
    scores: Floats
    decisions: Bools

    def taken(self, rows: Any) -> "_Asked":  # noqa: ANN401 (numbers of rows)
        return _Asked(self.frame[rows], self.scores[rows], self.decisions[rows])


def drift_trial(
    profile: Profile,
    model: Model,
    rows: pl.DataFrame,
    *,
    y: Values | None = None,
    kinds: Sequence[str] | None = None,
    windows: int = 300,
    repeats: int = 10,
    window: int = WINDOW,
    alpha: float = ALPHA,
    size: float = SIZE,
    seed: int = SEED,
) -> pl.DataFrame:
    """Measure false alarms and found shifts on held-out rows.

    Args:
        profile: what training of the model looked like.
        model: a champion, or a model of a log.
        rows: held-out rows in the order of time, n rows: what the model reads.
        y: true for an anomaly (n,), for attacks.
        kinds: shifts that are tried; all that can be made by default.
        windows: quiet windows that are tried.
        repeats: times that each shift is made, each time with another seed.
        window: rows of a window; half of the held-out rows at most.
        alpha: share of the windows that may give a false alarm.
        size: least size (Cohen's h) of a difference that matters.
        seed: of all draws.

    Returns:
        One row a shift, first ``"none"``: how often it was ``tried`` (windows without a shift, repeats with one), the
        ``alarms``, their ``share`` with its Wilson interval (``low``, ``high``), median number of ``rows`` until the
        alarm (null without one), and which ``columns`` gave alarms most often.

    Raises:
        DataError: if there are too few rows, or a kind cannot be made of them.
    """
    if rows.height < 2 * window:
        raise DataError(f"a trial needs twice {window:,} held-out rows, found {rows.height:,}: shorten the window")
    labels = None if y is None else as_labels(y, rows.height)
    rng = np.random.default_rng(seed)
    options: dict[str, Any] = {"window": window, "alpha": alpha, "size": size}
    given = rows if EVENTS in rows.columns else model.monitored(rows)
    expected, asked = _asked(model, given[::2]), _asked(model, given[1::2])
    known, left = profile.expecting(expected.scores, expected.decisions, frame=expected.frame), len(asked.scores)
    found = [_quiet(NONE, known, asked, _drawn(left, window, windows, rng), options)]
    found.append(_quiet(IN_ORDER, known, asked, [np.arange(left // window * window)], options))
    y_asked = None if labels is None else labels[1::2]
    for kind in kinds_of(given, labels) if kinds is None else kinds:
        seeds = rng.integers(1 << 31, size=repeats).tolist()
        found.append(_shift(kind, known, model, given[1::2], y_asked, seeds, options))
    return pl.DataFrame(found, schema=COLUMNS, orient="row")


def _asked(model: Model, rows: pl.DataFrame) -> _Asked:
    scores = model.score_samples(rows)
    return _Asked(model.monitored(rows), scores, model.threshold_.predict(scores))


def _drawn(rows: int, window: int, windows: int, rng: np.random.Generator) -> Iterator[Any]:
    """Rows of whole windows, shuffled again whenever they are used up."""
    while windows > 0:
        whole = min(rows // window, windows)
        yield rng.permutation(rows)[: whole * window]
        windows -= whole


def _quiet(name: str, profile: Profile, asked: _Asked, draws: Any, options: dict[str, Any]) -> tuple[object, ...]:  # noqa: ANN401
    """Count windows with an alarm where nothing has changed."""
    watch = Watch(profile, **options)
    named: list[str] = []
    for drawn in draws:
        for look in watch.add(*asked.taken(drawn)):
            named += look.table.filter("drifted")["column"].to_list()
    return _line(name, watch.windows, watch.alarms, None, named)


def _shift(
    kind: str,
    profile: Profile,
    model: Model,
    rows: pl.DataFrame,
    labels: Bools | None,
    seeds: Sequence[int],
    options: dict[str, Any],
) -> tuple[object, ...]:
    """Count how often a shift is found, and after how many rows."""
    waited, named = [], []
    for seed in seeds:
        drawn = np.random.default_rng(seed).permutation(rows.height)
        part = shifted(rows[drawn], kind, seed, y=None if labels is None else labels[drawn])
        watch = Watch(profile, **options)
        looks = watch.add(*_asked(model, part[: PATIENCE * watch.window]))
        first = next((look for look in looks if look.alarm), None)
        if first is not None and watch.first_alarm is not None:
            waited.append(float(watch.first_alarm))
            named += first.table.filter("drifted")["column"].to_list()
    return _line(kind, len(seeds), len(waited), float(np.median(waited)) if waited else None, named)


def _line(name: str, tried: int, alarms: int, rows: float | None, named: Sequence[str]) -> tuple[object, ...]:
    """One row of the table."""
    found = wilson(alarms, tried)
    most = pl.Series("column", named, dtype=pl.String).value_counts().sort("count", "column", descending=[True, False])
    share = alarms / tried if tried else None
    return name, tried, alarms, share, found.low, found.high, rows, ", ".join(most["column"].head(3).to_list())
