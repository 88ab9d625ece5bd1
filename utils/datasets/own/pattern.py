"""The regular expressions of a log entry: written in Python's style, run by the Rust engine that polars uses."""

import re

import polars as pl

from utils.datasets import sessions
from utils.errors import DataError

CONTENT = "content"
STANDARD = ("content", "time", "date", "level", "component", "session", "label", "type")
INTERNAL = ("_owner", "_raw", "_family", "_search")
RESERVED = frozenset({"line_id", "file", "line", "continuation", "is_anomaly", "anomaly_type", *INTERNAL})
CAPTURE = re.compile(r"\(\?<(?![=!])")


def header(text: str) -> str:
    """Check the pattern of a log line.

    Args:
        text: regular expression with named groups, one of which is ``content``; it must match from the start of a line.

    Returns:
        The pattern with the groups named as the columns of the lines: the standard names in lower case.

    Raises:
        ValueError: saying what the pattern must be.
    """
    named = _standard_names(CAPTURE.sub("(?P<", text))
    compiled = _compiled(named)
    if CONTENT not in compiled.groupindex:
        raise ValueError("a regular expression with a group named content, as in (?P<content>.*)")
    if clash := sorted(RESERVED & set(compiled.groupindex)):
        raise ValueError(f"a regular expression without a group named {clash[0]}, a name that the lines need")
    return named


def session(text: str) -> str:
    """Check the pattern of a session identifier.

    Raises:
        ValueError: saying what the pattern must be.
    """
    named = CAPTURE.sub("(?P<", text)
    _compiled(named)
    try:
        sessions.count_unidentified(pl.DataFrame({"text": ["x"]}), named, text="text")
    except DataError as error:
        raise ValueError(f"an expression that names a session ({error})") from None
    return named


def groups(named: str) -> tuple[str, ...]:
    """Names of the groups of a checked header, in their order."""
    return tuple(re.compile(named).groupindex)


def anchored(named: str) -> str:
    """The header as it is run: from the start of the line."""
    # a verbose pattern may end in a comment, which must not swallow the bracket
    closing = "\n)" if re.compile(named).flags & re.VERBOSE else ")"
    return rf"\A(?:{named}{closing}"


def _standard_names(text: str) -> str:
    def lower(found: re.Match[str]) -> str:
        name = found.group(1)
        return f"(?P<{name.lower() if name.lower() in STANDARD else name}>"

    return re.sub(r"\(\?P<(\w+)>", lower, text)


def _compiled(text: str) -> re.Pattern[str]:
    """Compile with both engines.

    Raises:
        ValueError: with the reason of the engine that refuses the pattern.
    """
    try:
        compiled = re.compile(text)
    except re.error as error:
        raise ValueError(f"a regular expression ({error})") from None
    try:
        pl.select(pl.lit("").str.contains(text)).item()
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"a regular expression that polars can run ({_explained(str(error))})") from None
    return compiled


def _explained(message: str) -> str:
    reason = message.rpartition("error:")[2].strip()
    if "look-around" in reason or "look-ahead" in reason:
        return "look-around such as (?=...), (?!...) or (?<=...) is not supported; write the text out or use a group"
    if "backreference" in reason or "unrecognized flag" in reason:
        return "references to a group such as \\1 or (?P=name) are not supported"
    return reason.replace("\n", " ") or "it is refused"
