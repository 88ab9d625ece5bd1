"""Processed tables of web events and payloads: the texts, and what can be seen of each row by itself."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import polars as pl

from utils.datasets import require
from utils.datasets.contract import Dataset, Roles
from utils.datasets.identity import identity_reason
from utils.errors import SchemaError
from utils.features import web_events
from utils.features.tables.columns import SPLIT, TWINS, offered
from utils.features.tables.keys import MOST_WORDS, Part, divided, keys, part, without_answers, without_constants
from utils.features.web_events import EventColumns

LENGTH, EVENT, SESSIONS = "length", "event", "sessions"
FREE_TEXT = "text with "
"""How the reason begins that withholds a text of the user for its many different values."""


def build(dataset: Dataset, seed: int) -> Iterator[tuple[str, Part]]:
    """Make one table for each frame that holds texts of web events.

    Args:
        dataset: any; frames without such texts are passed over, and so are names of events that sessions count.
        seed: of the division into training and test.

    Yields:
        The tables by the names of their frames; rows stand in the order of the frame.
    """
    for name, frame in dataset.frames.items():
        found = texts_of(frame, dataset.roles[name])
        counted = found == (EVENT,) and SESSIONS in dataset.frames
        if found and not counted:
            made = divided(_described(frame, dataset.roles[name]), seed)
            yield name, without_answers(without_constants(made))


@dataclass(frozen=True)
class TextReader:
    """Makes the columns of a table from raw records with texts.

    Attributes:
        columns: which columns of a record hold what.
        names: of the columns that are made.
    """

    columns: EventColumns
    names: tuple[str, ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Columns that a record must have."""
        return (*self.columns.strings, *self.columns.numbers)

    def read(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Add the columns that are made of the texts (n rows).

        Raises:
            SchemaError: if a column is missing or has the wrong type.
        """
        require.columns(frame, self.inputs, "the raw records")
        made = web_events.traits(frame.select(self.inputs), self.columns)
        return frame.drop(self.names, strict=False).hstack(
            made.rename(dict(zip(made.columns, self.names, strict=True)))
        )


def reader(dataset: Dataset, name: str) -> TextReader | None:
    """What makes the columns of a table from raw records; nothing where the records are the rows of the table.

    Args:
        dataset: as :func:`utils.datasets.load` gives it.
        name: of the frame, and of its processed table.
    """
    if name not in dataset.frames or not texts_of(dataset[name], dataset.roles[name]):
        return None
    columns = _columns(dataset[name], dataset.roles[name]) or EventColumns()
    without = replace(columns, address=None)
    return TextReader(without, tuple(web_events.traits(dataset[name].head(1), without).columns))


def texts_of(frame: pl.DataFrame, roles: Roles) -> tuple[str, ...]:
    """Columns with texts that clients sent: known by name, features or sequences of words, and rarely the same.

    A free text that is no feature only because it is one counts, too.
    """
    columns = _columns(frame, roles)
    return tuple(name for name in columns.texts if frame[name].n_unique() > MOST_WORDS) if columns else ()


def _columns(frame: pl.DataFrame, roles: Roles) -> EventColumns | None:
    """Meaning of the columns that may be features, or are texts that no other kind of table can use."""
    free = (name for name, why in roles.withheld.items() if why.startswith(FREE_TEXT) and name in frame.columns)
    named = [name for name in free if not identity_reason(frame[name])]
    try:
        return web_events.columns_of(frame.select(name for name in (*roles.features, *named) if name in frame.columns))
    except SchemaError:
        return None


def _described(frame: pl.DataFrame, roles: Roles) -> Part:
    columns = _columns(frame, roles) or EventColumns()
    single = [name for name in (columns.agent, columns.source, columns.name) if name]
    traits = web_events.traits(frame, columns)
    if LENGTH in roles.withheld:
        traits = traits.drop(f"{name}.{LENGTH}" for name in columns.texts)
    features = offered(frame, roles, texts=(*columns.texts, *single), taken=(SPLIT, TWINS, *traits.columns))
    return part(keys(frame, roles), features._replace(frame=features.frame.hstack(traits)), roles)
