"""Log lines that nobody's system wrote: made from the header, the names of sessions and the texts of templates."""

import importlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from utils.datasets.own import pattern

PLACE = "<*>"
VALUE = "x1"
CHARACTERS = "1x-A_ .:/,;=#@'\"()[]{}<>+*?!%&|~^$\\`\t"
"""Characters that are tried, in this order, where a pattern takes one of several."""

MOMENT = datetime(2024, 11, 11, 11, 11, 11, tzinfo=UTC)
TIMES = (
    "%Y-%m-%d %H:%M:%S,000",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%SZ",
    "%b %d %H:%M:%S",
    "%a %b %d %H:%M:%S %Y",
    "%d/%b/%Y:%H:%M:%S +0000",
    "%d/%b/%Y:%H:%M:%S",
    "%s",
)
"""Forms of time that are tried where none is given; the first one that the header takes."""

CLASSES = {"DIGIT": re.compile(r"\d"), "SPACE": re.compile(r"\s"), "WORD": re.compile(r"\w")}


def line(text: str, *, header: str | None = None, session: str | None = None, time_format: str | None = None) -> str:
    """Make a line of a template.

    Args:
        text: of the template, with ``<*>`` where values stand.
        header: regular expression of a line, with a group ``content`` and perhaps ``time``.
        session: regular expression of a session's name in the content.
        time_format: of the time.

    Returns:
        A line that header and session match, where their patterns are within reach; else one that they may not match.
    """
    content = text
    if session is not None:
        name = matching(session)
        content = text.replace(PLACE, name, 1) if PLACE in text else f"{text} {name}"
    content = content.replace(PLACE, VALUE)
    if header is None:
        return content
    named = pattern.header(header)
    for form in (time_format,) if time_format else TIMES:
        made = matching(named, {"content": content, "time": _moment(form)})
        if re.match(named, made):
            return made
    return matching(named, {"content": content})


def matching(expression: str, groups: Mapping[str, str] | None = None) -> str:
    """Make a short text that a regular expression matches.

    Args:
        expression: without look-around.
        groups: texts of named groups, taken as they are.
    """
    parsed = importlib.import_module("re._parser").parse(expression)
    numbers = parsed.state.groupdict
    given = {numbers[name]: text for name, text in (groups or {}).items() if name in numbers}
    return _text(parsed, given)


def _text(parsed: Any, given: Mapping[int, str]) -> str:  # noqa: ANN401 (a parsed pattern)
    return "".join(_piece(str(kind), value, given) for kind, value in parsed)


def _piece(kind: str, value: Any, given: Mapping[int, str]) -> str:  # noqa: ANN401 (a part of a parsed pattern)
    if kind == "LITERAL":
        return chr(value)
    if kind in ("IN", "NOT_LITERAL", "ANY"):
        return _character(kind, value)
    if kind == "SUBPATTERN":
        taken: str | None = given.get(value[0])
        return _text(value[-1], given) if taken is None else taken
    if kind.endswith("REPEAT"):
        return _text(value[2], given) * int(value[0])
    if kind == "BRANCH":
        return _text(value[1][0], given)
    return _text(value, given) if kind == "ATOMIC_GROUP" else ""


def _character(kind: str, value: Any) -> str:  # noqa: ANN401 (a part of a parsed pattern)
    if kind == "NOT_LITERAL":
        return next(one for one in CHARACTERS if ord(one) != value)
    if kind == "ANY":
        return "x"
    refused = str(value[0][0]) == "NEGATE"
    parts = value[1:] if refused else value
    literal = [chr(part) for name, part in parts if str(name) == "LITERAL"]
    ranges = [chr(part[0]) for name, part in parts if str(name) == "RANGE"]
    return next((one for one in [*CHARACTERS, *literal, *ranges] if _holds(parts, one) is not refused), VALUE[0])


def _holds(parts: Any, one: str) -> bool:  # noqa: ANN401 (parts of a parsed pattern)
    """Whether a set of characters holds one."""
    return any(_is(str(name), part, one) for name, part in parts)


def _is(name: str, part: Any, one: str) -> bool:  # noqa: ANN401 (a part of a parsed pattern)
    if name == "LITERAL":
        return ord(one) == int(part)
    if name == "RANGE":
        return bool(part[0] <= ord(one) <= part[1])
    said = str(part).removeprefix("CATEGORY_")
    return bool(CLASSES[said.removeprefix("NOT_")].match(one)) is not said.startswith("NOT_")


def _moment(form: str) -> str:
    return str(int(MOMENT.timestamp())) if form == "%s" else MOMENT.strftime(form)
