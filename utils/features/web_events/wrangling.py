r"""Clean columns from damaged web events, and how many rows were damaged in which way.

Nothing is replaced by a number or a text that looks like data: what cannot be read is null, and a ``..._valid`` column
tells an unreadable value (false) from a missing one (null). Each rule looks at its own row only.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from utils.features.web_events import addresses, agents, names, numbers
from utils.features.web_events.columns import Distinct, EventColumns, check, columns_of, distinct, present, short_names
from utils.features.web_events.decoding import DELIMITER

JUNK = r"[\x00-\x08\x0e-\x1f\x{fffd}]"
DAMAGE_SCHEMA = {"column": pl.String, "damage": pl.String, "rows": pl.Int64, "share": pl.Float64, "handling": pl.String}


class Damage(NamedTuple):
    """One kind of damage: rows of a column that have it, and what is done about it."""

    column: str
    damage: str
    rows: int
    handling: str


def wrangle(events: pl.DataFrame, columns: EventColumns | None = None) -> pl.DataFrame:
    r"""Clean web events: one row an event, in their order.

    Args:
        events: raw events; sizes and codes may be text or numbers.
        columns: what the columns mean; found by their names if not given.

    Returns:
        For each column that is there: ``network`` (IPv4 /24 or IPv6 /64, String) and ``address_kind`` (String),
        ``agent`` and ``agent_valid``, ``size`` (Int64, bytes) and ``size_valid``, ``code`` (Int64, 100 to 599) and
        ``code_valid``, ``sources`` (List of String, restored where they were cut off), ``names`` (List of String,
        without their source), and for each text its values (List of String, split at ``\';\'``), named ``values`` for
        ``MATCHED_VARIABLE_VALUE`` and ``<column>_values`` for others.

    Raises:
        SchemaError: if a column is missing or has the wrong type.
    """
    columns = columns or columns_of(events)
    check(events, columns)
    found: list[pl.Series] = []
    for role, name in present(columns).items():
        values = distinct(numbers.as_texts(events[name]) if role in ("size", "code") else events[name])
        found += [_spread(column, values) for column in CLEANERS[role](values)]
    for name, short in short_names(columns.texts, events.columns).items():
        values = distinct(events[name])
        title = "values" if short == "value" else f"{name}_values"
        found.append(_spread(_listed(title, values, names.split), values))
    return pl.DataFrame(found)


def damage(events: pl.DataFrame, columns: EventColumns | None = None) -> pl.DataFrame:
    """Count the damaged rows of each kind.

    Args:
        events: raw events.
        columns: what the columns mean; found by their names if not given.

    Returns:
        ``column``, ``damage``, ``rows``, ``share`` (of all rows) and ``handling``; one row for each kind that occurs,
        in the order of the columns.

    Raises:
        SchemaError: if a column is missing or has the wrong type.
    """
    columns = columns or columns_of(events)
    check(events, columns)
    clean = wrangle(events, columns)
    found = [*_single_damage(events, columns, clean), *_text_damage(events, columns)]
    found.sort(key=lambda kind: events.columns.index(kind.column))
    rows = [(*kind[:3], kind.rows / max(events.height, 1), kind.handling) for kind in found if kind.rows]
    return pl.DataFrame(rows, schema=DAMAGE_SCHEMA, orient="row")


def _spread(column: pl.Series, values: Distinct) -> pl.Series:
    return column if values.codes is None else column.gather(values.codes)


def _listed(title: str, values: Distinct, split: Callable[[str | None], list[str]]) -> pl.Series:
    lists = [None if value is None else split(value) for value in values.values]
    return pl.Series(title, lists, dtype=pl.List(pl.String))


def _address(values: Distinct) -> list[pl.Series]:
    found = addresses.networks_of(values.values)
    return [
        pl.Series("network", [each.network for each in found], dtype=pl.String),
        pl.Series("address_kind", [each.kind for each in found], dtype=pl.String),
    ]


def _agent(values: Distinct) -> list[pl.Series]:
    valid = [agents.is_valid(value) for value in values.values]
    return [pl.Series("agent", values.values, dtype=pl.String), pl.Series("agent_valid", valid, dtype=pl.Boolean)]


def _number(title: str, read: Callable[[str | None], int | None]) -> Callable[[Distinct], list[pl.Series]]:
    def cleaned(values: Distinct) -> list[pl.Series]:
        found = [read(value) for value in values.values]
        valid = [
            None if value is None else number is not None for value, number in zip(values.values, found, strict=True)
        ]
        return [pl.Series(title, found, dtype=pl.Int64), pl.Series(f"{title}_valid", valid, dtype=pl.Boolean)]

    return cleaned


CLEANERS: dict[str, Callable[[Distinct], list[pl.Series]]] = {
    "address": _address,
    "agent": _agent,
    "size": _number("size", numbers.size_of),
    "code": _number("code", numbers.code_of),
    "source": lambda values: [_listed("sources", values, names.sources_of)],
    "name": lambda values: [_listed("names", values, names.names_of)],
}


def _single_damage(events: pl.DataFrame, columns: EventColumns, clean: pl.DataFrame) -> Iterable[Damage]:
    if columns.address:
        for kind, handling in ADDRESS_DAMAGE.items():
            rows = _rows(clean["address_kind"] == kind)
            yield Damage(columns.address, f"address is {kind}", rows, handling)
    if columns.agent:
        yield Damage(columns.agent, "agent is malformed", _rows(~clean["agent_valid"]), "flagged")
    if columns.size:
        yield Damage(columns.size, "no number", _rows(~clean["size_valid"]), "null")
    if columns.code:
        rows = _rows(~clean["code_valid"])
        yield Damage(columns.code, "no status from 100 to 599", rows, "null")
    if columns.size and columns.code:
        shifted = ~clean["size_valid"] & numbers.as_texts(events[columns.code]).str.contains(r"^\d+$")
        yield Damage(columns.size, "text where the size was, a number beside it: shifted", _rows(shifted), "null")
    if columns.source:
        yield from _source_damage(columns.source, distinct(events[columns.source]))


ADDRESS_DAMAGE = {
    addresses.INVALID: "no network",
    addresses.TRUNCATED: "network only if the parts before the cut name it",
    addresses.MAPPED: "network of the IPv4 address",
}


def _source_damage(column: str, values: Distinct) -> Iterable[Damage]:
    split = [names.split(value) for value in values.values]
    restored = [[names.restore(source) for source in sources] for sources in split]
    cut = [sources != [full or source for source, full in zip(sources, fulls, strict=True)]
           for sources, fulls in zip(split, restored, strict=True)]  # fmt: skip
    unknown = [None in fulls for fulls in restored]
    yield Damage(column, "name cut off", _sum(values, cut), "restored: one known name begins so")
    yield Damage(column, "name unknown", _sum(values, unknown), "kept as it is")


def _text_damage(events: pl.DataFrame, columns: EventColumns) -> Iterable[Damage]:
    singles = present(columns)
    named = list(dict.fromkeys([*singles.values(), *columns.texts]))
    several = {*columns.texts, singles.get("source"), singles.get("name")}
    for name in named:
        texts = numbers.as_texts(events[name]) if name in columns.numbers else events[name].cast(pl.String)
        yield Damage(name, "missing", texts.null_count(), "null")
        yield Damage(name, "binary or not UTF-8", _rows(texts.str.contains(JUNK)), "kept, counted as a trait")
        if name in several:
            yield Damage(name, "several values", _rows(texts.str.contains(DELIMITER, literal=True)), "split")


def _rows(flags: pl.Series) -> int:
    return int(flags.sum() or 0)


def _sum(values: Distinct, flags: list[bool]) -> int:
    spread: Any = values.spread(np.array(flags, dtype=np.bool_))
    return int(spread.sum())
