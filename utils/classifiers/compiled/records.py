"""Records straight to the matrix that a classifier reads, without a table of polars in between.

Only ordinary records are read here: all columns there, numbers as numbers, names as texts. Whatever else a record
holds is left to the champion, whose answers and complaints stay the only ones.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from types import NoneType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from utils.classifiers.champion import HUGE, Champion
from utils.classifiers.compiled.assembling import Assembler
from utils.classifiers.compiled.texts import Measured, marks, measured
from utils.classifiers.graph_ratios import GraphRatios
from utils.detectors.payloads import MarkReader
from utils.errors import SettingsError
from utils.features.flows import FlowFeatures
from utils.features.flows.columns import Column
from utils.features.tables.texts import TextReader

Record = Mapping[str, Any]
LARGEST_WHOLE = 1e15
"""Whole numbers up to it are written alike as integers and as floats."""


class RecordEncoder:
    """Reads records as the champion's table and features do.

    Args:
        champion: fitted, with :class:`~utils.features.flows.FlowFeatures` first in its pipeline.

    Raises:
        SettingsError: if its columns are read in a way that is not known here.
    """

    def __init__(self, champion: Champion) -> None:
        features, reader = champion.features_, champion.reader_
        _require_known(champion)
        self._measured: Measured | None = measured(reader) if isinstance(reader, TextReader) else None
        self._used = frozenset(champion.input_types_)
        numbers, nominal = features.number_names_, features.nominal_columns_
        named = [column.name for column in nominal]
        self._take = itemgetter(*dict.fromkeys((*numbers, *named, *self._used)), *self._used)  # always a tuple
        self._numbers = slice(len(numbers))
        self._types = {int, float, NoneType} | ({bool} if "Boolean" in champion.input_types_.values() else set())
        self._codes = [(place, _reader_of_names(column)) for place, column in enumerate(nominal, len(numbers))]
        self._assemble = Assembler(features)
        self._marked = (
            reader if isinstance(reader, MarkReader) and not named and self._used <= {*reader.names} else None
        )
        self._places = [] if self._marked is None else [self._marked.names.index(name) for name in numbers]

    def encode(self, records: Sequence[Record]) -> NDArray[Any] | None:
        """Encode records (n, outputs); nothing where one of them is not ordinary."""
        if self._marked is not None and not any(self._used <= record.keys() for record in records):
            found = marks(self._marked, records)
            return None if found is None else self._assemble(found[:, self._places].astype(np.float64), [])
        return self._of_columns(records)

    def _of_columns(self, records: Sequence[Record]) -> NDArray[Any] | None:
        """Encode records by their columns, or by texts of which columns are made."""
        try:
            rows = [self._take(cast("Record", record)) for record in self._completed(records)]
        except (KeyError, TypeError):
            return None
        numbers = self._read(rows)
        codes = [[code(row[place]) for row in rows] for place, code in self._codes]
        if numbers is None or any(None in column for column in codes):
            return None
        return self._assemble(numbers, cast("list[list[int]]", codes))

    def _completed(self, records: Sequence[Record]) -> Iterator[Record | None]:
        """Records with the columns that are made of their texts; nothing for one that cannot be read."""
        if self._measured is None:
            yield from records
            return
        for record in records:
            yield record if self._used <= record.keys() else self._measured(record)

    def _read(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64] | None:
        """Numbers of rows, missing ones NaN (n, columns); nothing where one is none, or beyond all measure."""
        parts = [row[self._numbers] for row in rows]
        if not all(self._types.issuperset(map(type, part)) for part in parts):
            return None
        try:
            numbers = np.array(parts, dtype=np.float64)
        except OverflowError:
            return None
        magnitude = np.abs(numbers)
        return None if ((magnitude > HUGE) & (magnitude < np.inf)).any() else numbers


def _require_known(champion: Champion) -> None:
    """Refuse what is read in a way that is not known here.

    Raises:
        SettingsError: if there is such a thing.
    """
    features, reader = champion.features_, champion.reader_
    spans = [name for name, dtype in champion.input_types_.items() if dtype.startswith("Duration")]
    wanted = ""
    if type(features) not in (FlowFeatures, GraphRatios):
        wanted = f"read columns by FlowFeatures, found {type(features).__name__}"
    elif not isinstance(reader, TextReader | MarkReader | None):
        wanted = f"read records by TextReader or MarkReader, found {type(reader).__name__}"
    elif spans:
        wanted = f"read numbers and names, found stretches of time in {spans[0]!r}"
    if wanted:
        raise SettingsError(f"a champion that is compiled must {wanted}: serve it plainly")


def _reader_of_names(column: Column) -> Callable[[Any], int | None]:
    """What makes a code of a value; nothing of one that is not ordinary."""
    coding = column.coding()
    if column.dtype.startswith(("Int", "UInt", "Float", "Boolean")):

        def code_of_number(value: object) -> int | None:
            if value is None or value != value:
                return coding.missing
            ordinary = type(value) in (int, float) and abs(value) < LARGEST_WHOLE  # type: ignore[arg-type]
            return coding.of(str(int(value))) if ordinary else None  # type: ignore[call-overload]

        return code_of_number

    def code_of_text(value: object) -> int | None:
        return coding.of(value) if value is None or type(value) is str else None

    return code_of_text
