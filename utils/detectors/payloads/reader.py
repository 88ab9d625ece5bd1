"""Marks of texts as columns of a table, for models that read tables."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import polars as pl

from utils.datasets import require
from utils.detectors.payloads.evidence import measure
from utils.detectors.payloads.marks import marks
from utils.features.web_events.columns import distinct

WHAT = "the raw records"
BATCH = 20_000
"""Texts that are read at once."""


@cache
def names() -> tuple[str, ...]:
    """Names of the columns: family and mark; marks of one name that are read in different ways are numbered."""
    said = [f"{mark.family}: {mark.name}" for mark in marks()]
    before = [said[:place].count(name) for place, name in enumerate(said)]
    return tuple(f"{name} ({earlier + 1})" if earlier else name for name, earlier in zip(said, before, strict=True))


@dataclass(frozen=True)
class MarkReader:
    """Makes columns of the marks of a text: true where it has one.

    Attributes:
        column: the text of a record.
    """

    column: str = "payload"

    @property
    def inputs(self) -> tuple[str, ...]:
        """Columns that a record must have."""
        return (self.column,)

    @property
    def names(self) -> tuple[str, ...]:
        """Columns that are made."""
        return names()

    def read(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Add the columns of the marks (n rows); a missing text has none.

        Raises:
            SchemaError: if the text is missing or none.
        """
        require.columns(frame, self.inputs, WHAT)
        values = distinct(frame[self.column].cast(pl.String))
        texts = [value or "" for value in values.values]
        parts = [measure(texts[at : at + BATCH]).marks for at in range(0, max(len(texts), 1), BATCH)]
        rows = pl.DataFrame(values.spread(np.concatenate(parts)), schema=list(self.names))
        return frame.drop(self.names, strict=False).hstack(rows)
