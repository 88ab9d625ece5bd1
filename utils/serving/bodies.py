"""Bodies of requests as JSON: UTF-8, each name once, no NaN, no infinity, no depth without end."""

import json
import math
from collections.abc import Iterator
from typing import Any

from pydantic_core import from_json

from utils.errors import DataError
from utils.serving.answers import invalid

Value = Any
"""What JSON can say."""


def parsed(body: bytes) -> Value:
    """Read a body.

    Raises:
        Refused: if it is no JSON in UTF-8 (RFC 8259), or an object says one name twice.
    """
    if not body.strip():
        raise invalid("the body must be JSON, found nothing: send an object", "body")
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        place = _not_finite(body) or "body"
        raise invalid(f"the body must be JSON in UTF-8 without NaN and Infinity, found: {error}", place) from None
    if body.count(b":") == _names(value):
        return value
    try:
        return json.loads(body, object_pairs_hook=_once)
    except DataError as error:
        raise invalid(
            f"each name must stand once in an object, found {error} twice: leave one out", str(error)
        ) from None
    except ValueError as error:
        raise invalid(f"the body must be JSON that can be read, found: {error}", "body") from None


def inner(text: str, field: str) -> dict[str, Value]:
    """Read an event that is written as JSON inside a text; NaN stands for a missing value, as pandas writes it.

    Raises:
        Refused: if it is no JSON object, or says one name twice.
    """
    try:
        from_json(text, allow_inf_nan=True)
        event = json.loads(text, object_pairs_hook=_once, parse_constant=_missing)
    except DataError as error:
        said = f"each name must stand once in an event, found {error} twice: leave one out"
        raise invalid(said, f"{field}.{error}") from None
    except ValueError as error:
        raise invalid(f"an event must be a JSON object as text, found: {error}", field) from None
    if not isinstance(event, dict):
        raise invalid(f"an event must be a JSON object as text, found {type(event).__name__}: write an object", field)
    return event


def _names(value: Value) -> int:
    """Names in an object and in the objects of its lists; a body with no more colons than that says none twice."""
    if not isinstance(value, dict):
        return 0
    lists = (part for part in value.values() if isinstance(part, list))
    return len(value) + sum(len(row) for part in lists for row in part if isinstance(row, dict))


def _once(pairs: list[tuple[str, Value]]) -> dict[str, Value]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen: set[str] = set()
    raise DataError(next(name for name, _ in pairs if name in seen or seen.add(name)))  # type: ignore[func-returns-value]


def _not_finite(body: bytes) -> str:
    """Name of the first value that is NaN or infinite; empty where that is not what is wrong."""
    if b"NaN" not in body and b"Infinity" not in body:
        return ""
    try:
        return next(_places(json.loads(body), ""), "")
    except (ValueError, RecursionError):
        return ""


def _places(value: Value, place: str) -> Iterator[str]:
    """Names of the values that are NaN or infinite."""
    if isinstance(value, float) and not math.isfinite(value):
        yield place
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _places(part, f"{place}.{name}".removeprefix("."))
    elif isinstance(value, list):
        for at, part in enumerate(value):
            yield from _places(part, f"{place}[{at}]")


def _missing(word: str) -> None:
    if word != "NaN":
        raise ValueError(f"{word} is no number of JSON")
