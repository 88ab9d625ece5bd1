"""What the value of a key must be: each function takes what TOML gives and returns it checked.

All of them raise ``ValueError`` with what the key must be, to be put into a sentence: "a list of texts".
"""

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass

from utils.datasets import sessions
from utils.datasets.own import pattern

LABEL_FILE_KEYS = ("file", "session", "label", "type")


@dataclass(frozen=True)
class LabelFile:
    """A table that labels sessions: the file and the names of its columns."""

    file: str
    session: str = "session"
    label: str = "label"
    type: str | None = None


def canonical(value: object) -> str:
    """Write a label value as text: ``1``, ``1.0`` and ``"1"`` are the same, and so are ``true`` and ``"True"``."""
    text = str(value).strip()
    if text.lower() in ("true", "false"):
        return text.lower()
    return re.sub(r"^([+-]?\d+)\.0+$", r"\1", text)


def text(value: object) -> str:
    """Require a text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text that is not empty")
    return value


def texts(value: object) -> tuple[str, ...]:
    """Require a list of texts; each is kept once."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("a list of texts")
    return tuple(dict.fromkeys(value))


def names(value: object) -> tuple[str, ...]:
    """Require the names of columns, each of its own."""
    found = texts(value)
    if not all(name.strip() for name in found) or [*found] != value:
        raise ValueError("a list of texts that are not empty, each once")
    return found


def paths(value: object) -> tuple[str, ...]:
    """Require a list of paths."""
    if not isinstance(value, list) or not value or not all(isinstance(path, str) and path.strip() for path in value):
        raise ValueError('a list of paths such as ["own/mine.csv"]')
    return tuple(value)


def values(value: object) -> tuple[str, ...]:
    """Require a list of label values; they are written in one way."""
    if not isinstance(value, list) or not value or not all(isinstance(item, str | int | float) for item in value):
        raise ValueError('a list of label values such as ["attack"]')
    return tuple(canonical(item) for item in value)


def year(value: object) -> int:
    """Require a year."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1900 <= value <= 2200:
        raise ValueError("a year such as 2024")
    return value


def count(value: object) -> int:
    """Require a number of lines."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError("a number of lines, at least 1")
    return value


def window(value: object) -> str:
    """Require a length of time."""
    if not isinstance(value, str) or not sessions.is_width(value):
        raise ValueError('a length of time above zero such as "30s", "5m", "1h" or "1d"')
    return value


def character(value: object) -> str:
    """Require one character between fields."""
    if not isinstance(value, str) or len(value.encode()) != 1 or value in "\r\n\"'":
        raise ValueError('one plain character such as ";", "|" or "\\t"')
    return value


def decimal(value: object) -> str:
    """Require a decimal sign."""
    if value not in (".", ","):
        raise ValueError('"." or ","')
    return str(value)


def encoding(value: object) -> str:
    """Require the name of a text encoding."""
    try:
        codec = codecs.lookup(text(value))
        "".encode(codec.name)
    except (LookupError, ValueError):
        raise ValueError('the name of a text encoding such as "cp1252" or "utf-16"') from None
    return codec.name


def label_file(value: object) -> LabelFile:
    """Require a labels file: a path, or a table with the names of its columns."""
    if isinstance(value, str) and value.strip():
        return LabelFile(value)
    if not isinstance(value, Mapping) or "file" not in value or not set(value) <= set(LABEL_FILE_KEYS):
        raise ValueError('a path or a table such as { file = "own/labels.csv", session = "id", label = "class" }')
    source = LabelFile(**{key: text(item) for key, item in value.items()})
    if source.session in (source.label, source.type):
        raise ValueError("a table that names one column as session and another one as label and type")
    return source


def header(value: object) -> str:
    """Require the pattern of a log line."""
    return pattern.header(text(value))


def session(value: object) -> str:
    """Require the pattern of a session name."""
    return pattern.session(text(value))
