"""Which columns of a frame of web events mean what: text, agent, size, code, source, name and client address."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from utils.datasets import require
from utils.datasets.dtypes import is_text
from utils.errors import SchemaError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Texts = Sequence[str | None]

EVENTS = "web events"
FEW = 32
"""Up to so many rows are worked on as they are; of more, each distinct value once."""

TEXT_NAMES = (
    *("matched_variable_value", "payload", "request_uri", "uri", "url", "path", "query", "query_string"),
    *("request", "request_line", "params", "parameters", "body", "referer", "referrer", "event"),
)
ROLE_NAMES = {
    "agent": ("client_useragent", "user_agent", "useragent", "http_user_agent", "agent"),
    "size": ("request_size", "request_bytes", "bytes", "size", "content_length"),
    "code": ("response_code", "status_code", "status", "http_status"),
    "source": ("matched_variable_src",),
    "name": ("matched_variable_name",),
    "address": ("client_ip", "clientip", "client_address", "remote_addr", "remote_address", "remote_ip", "source_ip",
                "src_ip", "ip", "ip_address"),
}  # fmt: skip
"""Names, in lower case, by which a column is known to have a role."""
SHORT = {
    "MATCHED_VARIABLE_VALUE": "value",
    "MATCHED_VARIABLE_SRC": "source",
    "MATCHED_VARIABLE_NAME": "name",
    "CLIENT_USERAGENT": "agent",
    "REQUEST_SIZE": "size",
    "RESPONSE_CODE": "code",
}
"""Short names of the firewall's columns, for the names of features."""


@dataclass(frozen=True)
class EventColumns:
    """Names of the columns of web events; what is ``None`` is not there.

    Attributes:
        texts: what the client sent: payloads, values, paths.
        agent: user agent.
        size: size of the request in bytes.
        code: status code of the response.
        source: part of the request in which a rule matched (``REQUEST_GET_ARGS``).
        name: name of the variable in which a rule matched.
        address: address of the client.
    """

    texts: tuple[str, ...] = ()
    agent: str | None = None
    size: str | None = None
    code: str | None = None
    source: str | None = None
    name: str | None = None
    address: str | None = None

    @property
    def strings(self) -> tuple[str, ...]:
        """The columns that must be text."""
        single = (self.agent, self.source, self.name, self.address)
        return (*self.texts, *(name for name in single if name))

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns that hold numbers, as numbers or as text."""
        return tuple(name for name in (self.size, self.code) if name)


def columns_of(frame: pl.DataFrame) -> EventColumns:
    """Find the columns of web events by their names (capitals do not matter).

    Known are the names of the ``waf`` frames (``payload``; ``MATCHED_VARIABLE_VALUE``, ``CLIENT_IP``, ...), of the
    frames of users' own ``events`` (``event``) and names that web servers' logs use (``url``, ``status``, ``bytes``,
    ``user_agent``, ``remote_addr``, ...). A column that looks like a text by its name but is none is left out.

    Raises:
        SchemaError: if no text column is known, or this is no polars frame.
    """
    require.frame(frame, EVENTS)
    known = {name.lower(): name for name in reversed(frame.columns)}
    texts = tuple(known[name] for name in TEXT_NAMES if name in known and _is_text(frame, known[name]))
    if not texts:
        found = ", ".join(frame.columns)[:200] or "no column"
        wanted = f"web events must have a text column, one of {', '.join(TEXT_NAMES)}"
        raise SchemaError(f"{wanted}, found {found}: name it with columns=EventColumns(texts=(...))")
    single = {role: next((known[name] for name in names if name in known), None) for role, names in ROLE_NAMES.items()}
    words = {
        role: name for role, name in single.items() if name and (role in ("size", "code") or _is_text(frame, name))
    }
    return EventColumns(texts, **words)


def check(frame: pl.DataFrame, columns: EventColumns) -> None:
    """Check that a frame has the columns, each with one meaning, and that texts are text.

    Raises:
        SchemaError: if a column is missing, has the wrong type or is named twice, or there is no text.
    """
    require.frame(frame, EVENTS)
    named = [*columns.strings, *columns.numbers]
    if not columns.texts or len(set(named)) < len(named):
        raise SchemaError(f"EventColumns must name at least one text and no column twice, found {', '.join(named)}: "
                          "name each column once")  # fmt: skip
    require.columns(frame, named, EVENTS)
    unlike = [name for name in columns.strings if not _is_text(frame, name)]
    unlike += [name for name in columns.numbers if not (frame.schema[name].is_numeric() or _is_text(frame, name))]
    if unlike:
        found = ", ".join(f"{name} ({frame.schema[name]})" for name in unlike)
        raise SchemaError(f"{EVENTS} must have text (or numbers for size and code), found {found}: cast it")


def short_names(columns: Sequence[str], taken: Sequence[str]) -> dict[str, str]:
    """Names of columns as features begin with them: the firewall's shortened, others as they are."""
    return {name: SHORT[name] if name in SHORT and SHORT[name] not in taken else name for name in columns}


class Distinct(NamedTuple):
    """The distinct values of a column.

    Attributes:
        values: values, each once (for few rows: as they stand).
        codes: for each row the place of its value; ``None`` where the values are the rows.
    """

    values: Texts
    codes: Ints | None

    def spread(self, table: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """Rows of a table over the values, one for each row of the column."""
        return table if self.codes is None else table[self.codes]


def distinct(column: pl.Series, few: int = FEW) -> Distinct:
    """Find the distinct values of a text column, the missing one last; up to ``few`` rows are taken as they are."""
    texts = column.cast(pl.String) if column.dtype != pl.String else column
    if len(texts) <= few:
        return Distinct(texts.to_list(), None)
    known = texts.drop_nulls().unique(maintain_order=True)
    codes = texts.replace_strict(known, np.arange(len(known)), default=len(known), return_dtype=pl.Int64)
    return Distinct([*known.to_list(), None], codes.to_numpy())


def present(columns: EventColumns, *, without: Sequence[str] = ()) -> dict[str, str]:
    """The single columns that are there, by role."""
    named = {field.name: getattr(columns, field.name) for field in fields(columns) if field.name != "texts"}
    return {role: name for role, name in named.items() if name and role not in without}


def _is_text(frame: pl.DataFrame, name: str) -> bool:
    return is_text(frame.schema[name]) or isinstance(frame.schema[name], pl.Null)
