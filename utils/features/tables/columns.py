"""Columns of a frame as features of a table: which may be features, in which type and by which name."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import polars as pl
import polars.selectors as cs

from utils.datasets.contract import Defect, Roles
from utils.datasets.identity import identity_columns

SPLIT = "split"
TWINS = "vector"
RENAMED = "own_"


class Offered(NamedTuple):
    """Features of a frame.

    Attributes:
        frame: the features alone, one row a row.
        defects: columns that are no features after all, and those that have another name here.
    """

    frame: pl.DataFrame
    defects: tuple[Defect, ...]


def offered(
    frame: pl.DataFrame, roles: Roles, *, texts: Collection[str] = (), taken: Collection[str] = (SPLIT, TWINS)
) -> Offered:
    """Take the features of a frame, without what names, places or dates a row and without lists and bytes.

    Lengths of time become seconds, decimals and columns of nothing but nulls become floats.

    Args:
        frame: any frame.
        roles: what its columns mean.
        texts: columns that are texts whatever they look like.
        taken: names that the table gives itself.
    """
    wanted = [*dict.fromkeys(name for name in (*roles.features, *texts) if name in frame.columns)]
    refused = identity_columns(frame, roles, [name for name in wanted if name not in texts])
    wanted = [name for name in wanted if name not in refused]
    odd = frame.select(wanted).select(cs.nested() | cs.binary() | cs.object()).columns
    features = frame.select(name for name in wanted if name not in odd).with_columns(
        (cs.by_dtype(pl.Null) | cs.decimal()).cast(pl.Float64), cs.duration().dt.total_microseconds() / 1e6
    )
    names = {name: _free(name, {*taken, *frame.columns}) for name in features.columns if name in taken}
    found = (
        ("that name, place or date a row", [f"{name} ({why})" for name, why in refused.items()], "left out"),
        ("that hold lists or bytes", odd, "left out"),
        ("with a name that tables give themselves", list(names), f"called {', '.join(names.values())}"),
    )
    defects = [_defect(what, which, done, frame.height) for what, which, done in found if which and frame.height]
    return Offered(features.rename(names), tuple(defects))


def _defect(what: str, which: Sequence[str], done: str, rows: int) -> Defect:
    return Defect(f"features {what}: {', '.join(which)[:300]}", rows, done)


def _free(name: str, taken: Collection[str]) -> str:
    """The name with as many marks before it as make it another one."""
    while name in taken:
        name = RENAMED + name
    return name
