"""What is seen of the texts of a record, as :class:`TextReader` sees those of many, and what marks texts have."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utils.detectors.payloads import MarkReader, evidence
from utils.features.tables.texts import TextReader
from utils.features.web_events import bytewise, featuriser, lexical
from utils.features.web_events.columns import present
from utils.features.web_events.decoding import DELIMITER, canonical, decode_all

Measured = Callable[[Mapping[str, Any]], dict[str, Any] | None]
"""Adds what is made of its texts to a record; nothing where the record is not ordinary."""


def measured(reader: TextReader) -> Measured:
    """Make what reads one record as a reader reads frames of them.

    Ordinary are records with all inputs, texts as texts or missing, numbers as texts, whole numbers or missing.
    """
    parts: list[tuple[str, bool, Callable[[str | None], Sequence[float]]]] = [
        (name, False, traits) for name in reader.columns.texts
    ]
    for role, name in present(reader.columns, without=("address",)).items():
        of_many = featuriser.SINGLE_TRAITS[role][1]
        parts.append((name, name in reader.columns.numbers, partial(_of_one, of_many)))

    def complete(record: Mapping[str, Any]) -> dict[str, Any] | None:
        values: list[float] = []
        for name, numeric, measure in parts:
            text = record.get(name, Ellipsis)
            text = str(text) if numeric and type(text) is int else text
            if text is not None and type(text) is not str:
                return None
            values += measure(text)
        return {**record, **dict(zip(reader.names, values, strict=True))}

    return complete


def marks(reader: MarkReader, records: Sequence[Mapping[str, Any]]) -> NDArray[np.bool_] | None:
    """The marks of the texts of records (n, marks), each text by itself; nothing where one is none, or missing."""
    texts = [record.get(reader.column, Ellipsis) for record in records]
    if not all(text is None or type(text) is str for text in texts):
        return None
    return np.concatenate([evidence.measure([text or ""]).marks for text in texts])


def traits(value: str | None) -> list[float]:
    """Measure one text as :func:`utils.features.web_events.lexical.measure` measures many."""
    from utils.classifiers.compiled import _kernel

    if value is None:
        return [np.nan] * len(lexical.NAMES)
    text, depth, escapes = decode_all([value])[0]
    data = np.frombuffer(text.encode("utf-8", "replace"), dtype=np.uint8)
    kinds = bytewise.DIGIT, bytewise.UPPER, bytewise.LOWER, bytewise.SPECIAL
    histogram, seen = _kernel.characters(data, bytewise.KIND_OF, *kinds)
    segments, *runs = seen.tolist()
    marks = histogram[lexical.MARK_BYTES].tolist()
    count = dict(zip(lexical.MARKS, marks, strict=True))
    return [
        int(histogram @ lexical.IS_CHARACTER),
        value.count(DELIMITER) + 1 if value else 0,
        segments,
        int(np.count_nonzero(histogram)),
        *(histogram @ lexical.KIND_TABLE / max(len(data), 1)).tolist(),
        float(bytewise.entropy(histogram[None])[0]),
        *runs,
        depth,
        escapes,
        count["single_quotes"] % 2,
        count["double_quotes"] % 2,
        abs(count["opening_parentheses"] - count["closing_parentheses"]),
        *marks,
        *lexical.BANK.count([canonical(text)])[0].tolist(),
    ]


def _of_one(of_many: Callable[..., Any], value: str | None) -> list[float]:
    found: list[float] = of_many([value])[0].tolist()
    return found
