"""Processed tables of web events and payloads: the texts, and what can be seen of each row by itself."""

from collections.abc import Iterator

import polars as pl

from utils.datasets.contract import Dataset, Roles
from utils.errors import SchemaError
from utils.features import web_events
from utils.features.tables.keys import MOST_WORDS, Part, divided, keys, part, without_answers, without_constants

LENGTH = "length"


def build(dataset: Dataset, seed: int) -> Iterator[tuple[str, Part]]:
    """Make one table for each frame that holds texts of web events.

    Args:
        dataset: any; frames without such texts are passed over.
        seed: of the division into training and test.

    Yields:
        The tables by the names of their frames; rows stand in the order of the frame.
    """
    for name, frame in dataset.frames.items():
        if texts_of(frame, dataset.roles[name]):
            made = divided(_described(frame, dataset.roles[name]), seed)
            yield name, without_answers(without_constants(made))


def texts_of(frame: pl.DataFrame, roles: Roles) -> tuple[str, ...]:
    """Columns with texts that clients sent: known by name, features or sequences of words, and rarely the same."""
    try:
        known = web_events.columns_of(frame)
    except SchemaError:
        return ()
    return tuple(name for name in known.texts if name in roles.features and frame[name].n_unique() > MOST_WORDS)


def _described(frame: pl.DataFrame, roles: Roles) -> Part:
    columns = web_events.columns_of(frame)
    traits = web_events.traits(frame, columns)
    if LENGTH in roles.withheld:
        traits = traits.drop(f"{name}.{LENGTH}" for name in columns.texts)
    return part(keys(frame, roles), frame.select(roles.features).hstack(traits), roles)
