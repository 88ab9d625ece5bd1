"""What is asked of a table or a setting before it is used, each refused in the same words."""

from collections.abc import Collection, Iterable

import polars as pl

from utils.datasets.wording import listed
from utils.errors import SchemaError, SettingsError


def frame(given: object, what: str) -> None:
    """Check that a table is a polars frame.

    Args:
        given: the table.
        what: how an error calls it.

    Raises:
        SchemaError: if it is something else.
    """
    if not isinstance(given, pl.DataFrame):
        kind = type(given)
        found = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__.split('.')[0]}.{kind.__name__}"
        raise SchemaError(f"{what} must be a polars DataFrame, found {found}: convert it")


def columns(table: pl.DataFrame, names: Iterable[str], what: str) -> None:
    """Check that a frame has some columns.

    Args:
        table: the frame.
        names: the columns.
        what: how an error calls the frame.

    Raises:
        SchemaError: if one is missing.
    """
    held = set(table.columns)
    if missing := [name for name in names if name not in held]:
        several, found = "s" * (len(missing) > 1), listed(table.columns) or "none"
        raise SchemaError(f"{what} must have the column{several} {listed(missing)}, found {found}: rename or add")


def choice(name: str, value: object, choices: Collection[object]) -> None:
    """Check that a setting is one of those that there are.

    Args:
        name: the setting.
        value: what it is set to.
        choices: what it can be.

    Raises:
        SettingsError: if it is something else.
    """
    if value not in choices:
        raise SettingsError(f"{name} must be one of {listed(choices)}, found {value!r}: choose one of them")
