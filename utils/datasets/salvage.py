"""Reading a catalogue that is no TOML as a whole: entry by entry, so that a slip stops the entry that it is in."""

import re
import tomllib
from collections.abc import Mapping
from typing import NamedTuple

HEAD = re.compile(r"\s*\[{1,2}(?P<name>[^\[\],={}]*)\]{0,2}\s*(#.*)?$")
PLACE = re.compile(r"\s*\(at (?:line (?P<line>\d+)|end)[^)]*\)")
REMEDIES: tuple[tuple[str, str], ...] = (
    ("[“”„‘’]", "write straight quotes, \" or '"),
    (r'".*\\.*"', "write texts that hold \\ between single quotes"),
    (r"^[\w-]+\s*:", "write = between a key and its value"),
    (r"\{[^}]*$|,\s*\}", "write what is between { and } on one line, without a comma at its end"),
    (r"^\[", "a name has letters, digits, _ and - only, between [ and ]"),
    (r"=\s*(\[\s*)?[^\s\"'\[\]{}\d]", "write texts between quotes"),
)
"""What is usually wrong with a line that holds this."""

Line = tuple[int, str]


class Salvaged(NamedTuple):
    """What could be read.

    Attributes:
        tables: the entries that are TOML.
        slips: for each other entry, one sentence.
    """

    tables: Mapping[str, object]
    slips: Mapping[str, str]


def entries(text: str) -> Salvaged:
    """Read the entries of a catalogue one by one.

    Args:
        text: the catalogue.

    Raises:
        TOMLDecodeError: if what stands above the first entry is no TOML.
    """
    tables: dict[str, object] = {}
    slips: dict[str, str] = {}
    for name, lines in _blocks(text).items():
        try:
            tables |= tomllib.loads("\n".join(line for _, line in lines))
        except tomllib.TOMLDecodeError as error:
            if not name:
                raise
            slips[name] = _sentence(name, lines, str(error))
    return Salvaged(tables, slips)


def _blocks(text: str) -> dict[str, list[Line]]:
    """Gather the numbered lines of each entry and of its sub-tables; the lines above all entries have no name."""
    blocks: dict[str, list[Line]] = {"": []}
    name = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if head := HEAD.match(line):
            name = _root(head["name"].strip()) or name
        blocks.setdefault(name, []).append((number, line))
    return blocks


def _root(head: str) -> str:
    """Name of the entry in the head of a table: of ``api.files`` it is ``api``."""
    quoted = re.match(r"(['\"])(.*?)\1", head)
    return quoted[2] if quoted else head.partition(".")[0].strip()


def _sentence(name: str, lines: list[Line], error: str) -> str:
    """Say which line is wrong, why, and what to write."""
    place = PLACE.search(error)
    at = int(place["line"]) if place and place["line"] else len(lines)
    number, line = lines[min(at, len(lines)) - 1]
    reason = PLACE.sub("", error)
    found = f"line {number} must be TOML, found {line.strip()} ({reason})"
    return f"catalogue entry [{name}]: {found}: {_remedy(line, reason)}"


def _remedy(line: str, reason: str) -> str:
    if "declare" in reason:
        return "give every entry a name of its own, which the project's data do not have"
    if "overwrite" in reason:
        return "keep each key once"
    usual = (remedy for pattern, remedy in REMEDIES if re.search(pattern, line.strip()))
    return next(usual, "correct it there")
