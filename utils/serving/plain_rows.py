"""Rows that can be seen at a glance to be right: what the schema would let pass as it is, in a tenth of its time."""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from types import NoneType
from typing import Any

Record = Mapping[str, Any]
Types = frozenset[type]

FRACTION, NOTHING = float, NoneType
BOUND = 2.0**62
"""Numbers are plain where their magnitudes sum up to less: none of them is infinite, or too large for 64 bits."""


class PlainRows:
    """Tells rows that need no check by the schema; of others it says nothing.

    Args:
        types: for each column the types that its values may have, as JSON is read.
    """

    def __init__(self, types: Mapping[str, Types]) -> None:
        kinds = list(dict.fromkeys(types.values()))
        self._columns = tuple(sorted(types, key=lambda name: kinds.index(types[name])))
        sizes = [sum(one == kind for one in types.values()) for kind in kinds]
        ends = [sum(sizes[: place + 1]) for place in range(len(sizes))]
        self._groups = [(slice(end - size, end), kind) for end, size, kind in zip(ends, sizes, kinds, strict=True)]
        self._take = itemgetter(*self._columns, *self._columns[:1])  # of two names or more it makes a tuple

    def of(self, rows: Sequence[Any]) -> list[Record] | None:
        """The rows with these columns alone, or nothing where one of them must be checked."""
        found: list[Record] = []
        for row in rows:
            if type(row) is not dict or (plain := self._plain(row)) is None:
                return None
            found.append(plain)
        return found

    def _plain(self, row: dict[str, Any]) -> Record | None:
        try:
            values = self._take(row)
            if not all(_fit(values[group], kinds) for group, kinds in self._groups):
                return None
        except (KeyError, OverflowError):
            return None
        return row if len(row) == len(self._columns) else dict(zip(self._columns, values, strict=False))


def _fit(values: Sequence[Any], kinds: Types) -> bool:
    """Whether values have these types, and magnitudes that are no matter."""
    if not kinds.issuperset(map(type, values)):
        return False
    if FRACTION not in kinds:
        return True
    total: float = sum(map(abs, filter(_known, values) if NOTHING in kinds else values))
    return total < BOUND


def _known(value: object) -> bool:
    return value is not None
