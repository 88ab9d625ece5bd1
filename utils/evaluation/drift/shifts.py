"""Shifts to try a watch on: what goes wrong between training and use, made on purpose in rows that have nothing wrong.

Which column is hit, and which rows, is drawn by seed. Kinds of tables: a number ``"scaled"`` by 2, in another
``"unit"`` (times 1,000), a sensor that sends ``"zeros"`` or has ``"missing"`` values, a ``"new name"`` in every
twentieth row, another ``"mix"`` (rows of one name, or of large numbers, three times as often), ``"attacks"`` (every
second normal row an anomaly). Kinds of logs: ``"unknown events"`` in every twentieth session, an event that is
``"lost"``, sessions ``"twice"`` as long, attacks.

Source:
    Rabanser, Günnemann and Lipton, "Failing loudly: an empirical study of methods for detecting dataset shift", NeurIPS
    2019 (kinds and shares of shifts).
"""

from collections.abc import Callable

import numpy as np
import polars as pl

from utils.datasets.dtypes import is_text
from utils.errors import DataError
from utils.evaluation.inputs import Bools, Values, as_labels

TABLE_SHIFTS = ("scaled", "unit", "zeros", "missing", "new name", "mix", "attacks")
LOG_SHIFTS = ("unknown events", "lost", "twice", "attacks")
EVENTS = "events"
NEW_NAME = "never seen"
NEW_SHARE = 0.05
ODDS = 3.0
VARIED = 0.5
"""Share of the rows in which a number must differ from zero, so that a factor changes it."""


def kinds_of(frame: pl.DataFrame, y: Values | None = None) -> tuple[str, ...]:
    """Kinds of shifts that can be made of some rows.

    Args:
        frame: rows of a table, or sessions with a list column ``events``.
        y: true for an anomaly (n,); without labels there are no attacks.
    """
    labelled = y is not None and bool(as_labels(y, frame.height).any())
    if EVENTS in frame.columns:
        return tuple(kind for kind in LOG_SHIFTS if kind != "attacks" or labelled)
    found = {"scaled", "unit", "zeros", "missing"} if _numbers(frame) else set()
    found |= {"new name"} if _names(frame) else set()
    found |= {"mix"} if _names(frame) or _numbers(frame) else set()
    found |= {"attacks"} if labelled else set()
    return tuple(kind for kind in TABLE_SHIFTS if kind in found)


def shifted(frame: pl.DataFrame, kind: str, seed: int, *, y: Values | None = None) -> pl.DataFrame:
    """Make a shift.

    Args:
        frame: rows of a table, or sessions with a list column ``events``, n rows.
        kind: one of :func:`kinds_of`.
        seed: of the column and the rows that are drawn.
        y: true for an anomaly (n,), for attacks.

    Returns:
        The rows with the shift; of ``"mix"`` half of them, in another order.

    Raises:
        DataError: if the kind cannot be made of these rows.
    """
    possible = kinds_of(frame, y)
    if kind not in possible:
        raise DataError(f"a shift of these rows must be one of {', '.join(possible)}, found {kind!r}: choose one")
    rng = np.random.default_rng(seed)
    if kind == "attacks":
        return _attacks(frame, as_labels([] if y is None else y, frame.height), rng)
    if EVENTS in frame.columns:
        return frame.with_columns(_OF_LOGS[kind](frame, rng).alias(EVENTS))
    if kind == "mix":
        return _mixed(frame, rng)
    if kind == "new name":
        name = str(rng.choice(_names(frame)))
        hit = pl.Series(rng.random(frame.height) < NEW_SHARE)
        return frame.with_columns(
            pl.when(hit).then(pl.lit(NEW_NAME)).otherwise(pl.col(name).cast(pl.String)).alias(name)
        )
    name = str(rng.choice(_numbers(frame)))
    return frame.with_columns(_OF_NUMBERS[kind](pl.col(name)).cast(frame.schema[name], strict=False).alias(name))


def _numbers(frame: pl.DataFrame) -> list[str]:
    """Columns of numbers that vary and mostly differ from zero."""
    numeric = [name for name, dtype in frame.schema.items() if dtype.is_numeric()]
    if not numeric or not frame.height:
        return []
    shares = frame.select((pl.col(numeric) != 0).mean()).row(0)
    spread = frame.select(pl.col(numeric).n_unique()).row(0)
    return [
        name
        for name, share, distinct in zip(numeric, shares, spread, strict=True)
        if (share or 0) >= VARIED and distinct > len(_OF_NUMBERS)
    ]


def _names(frame: pl.DataFrame) -> list[str]:
    return [name for name, dtype in frame.schema.items() if is_text(dtype)]


def _attacks(frame: pl.DataFrame, anomalous: Bools, rng: np.random.Generator) -> pl.DataFrame:
    """Rows of which every second normal one is replaced by an anomaly."""
    rows = np.arange(frame.height)
    normal = rng.permutation(np.flatnonzero(~anomalous))[: int((~anomalous).sum()) // 2]
    rows[normal] = rng.choice(np.flatnonzero(anomalous), len(normal))
    return frame[rows]


def _mixed(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Half of the rows; those of one name, or those with large numbers, three times as often as the others."""
    named = _names(frame)
    name = str(rng.choice(named or _numbers(frame)))
    values = frame[name]
    chosen = values == values.sample(1, seed=int(rng.integers(1 << 31)))[0] if named else values > values.median()
    odds = np.where(chosen.fill_null(value=False).to_numpy(), ODDS, 1.0)
    order = np.argsort(rng.exponential(size=frame.height) / odds, kind="stable")
    return frame[rng.permutation(order[: max(frame.height // 2, 1)])]


def _unknown(frame: pl.DataFrame, rng: np.random.Generator) -> pl.Series:
    """Sessions of which every twentieth has one event more, of a type that does not occur."""
    events = frame[EVENTS]
    flat = events.explode(empty_as_null=False, keep_nulls=False)
    new = NEW_NAME if flat.dtype == pl.String else int(flat.cast(pl.Int64).max() or 0) + 1_000  # type: ignore[arg-type]
    hit = pl.Series(rng.random(frame.height) < NEW_SHARE)
    longer = pl.concat_list(pl.col(EVENTS), pl.lit(new, dtype=flat.dtype if flat.dtype == pl.String else pl.Int64))
    return frame.select(pl.when(hit).then(longer).otherwise(pl.col(EVENTS)).alias(EVENTS))[EVENTS]


def _lost(frame: pl.DataFrame, rng: np.random.Generator) -> pl.Series:
    """Sessions without one of the event types that most of them have."""
    types = frame.select(pl.col(EVENTS).list.unique()).explode(EVENTS)[EVENTS].drop_nulls().value_counts()
    usual = types.filter(pl.col("count") >= VARIED * frame.height).sort(EVENTS)[EVENTS].to_list()
    if not usual:
        return frame[EVENTS]
    gone = usual[int(rng.integers(len(usual)))]
    return frame.select(pl.col(EVENTS).list.eval(pl.element().filter(pl.element() != gone)))[EVENTS]


def _twice(frame: pl.DataFrame, rng: np.random.Generator) -> pl.Series:
    return frame.select(pl.concat_list(pl.col(EVENTS), pl.col(EVENTS)))[EVENTS]


_OF_NUMBERS: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    "scaled": lambda column: column * 2,
    "unit": lambda column: column * 1_000,
    "zeros": lambda column: column * 0,
    "missing": lambda column: pl.lit(None),
}
_OF_LOGS: dict[str, Callable[[pl.DataFrame, np.random.Generator], pl.Series]] = {
    "unknown events": _unknown,
    "lost": _lost,
    "twice": _twice,
}
