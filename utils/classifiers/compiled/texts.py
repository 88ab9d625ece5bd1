"""What is seen of the texts of one web event, as :func:`utils.features.web_events.traits` sees those of many."""

from collections.abc import Callable, Mapping
from typing import Any

from utils.features.tables.texts import TextReader
from utils.features.web_events import featuriser, lexical
from utils.features.web_events.columns import Texts, present

Measured = Callable[[Mapping[str, Any]], dict[str, Any] | None]
"""Adds what is made of its texts to a record; nothing where the record is not ordinary."""


def measured(reader: TextReader) -> Measured:
    """Make what reads one record as a reader reads frames of them.

    Ordinary are records with all inputs, texts as texts or missing, numbers as texts, whole numbers or missing.
    """
    parts: list[tuple[str, bool, Callable[[Texts], Any]]] = [
        (name, False, lexical.measure) for name in reader.columns.texts
    ]
    for role, name in present(reader.columns, without=("address",)).items():
        parts.append((name, name in reader.columns.numbers, featuriser.SINGLE_TRAITS[role][1]))

    def complete(record: Mapping[str, Any]) -> dict[str, Any] | None:
        values: list[float] = []
        for name, numeric, measure in parts:
            text = record.get(name, Ellipsis)
            text = str(text) if numeric and type(text) is int else text
            if text is not None and type(text) is not str:
                return None
            values += measure([text])[0].tolist()
        return {**record, **dict(zip(reader.names, values, strict=True))}

    return complete
