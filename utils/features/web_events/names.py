"""Parts of requests and names of variables: several values split, cut names restored, the part taken off the name."""

import re
from collections.abc import Sequence

from utils.features.web_events.decoding import DELIMITER

KNOWN_SOURCES = (
    *("REQUEST_GET_ARGS", "REQUEST_POST_ARGS", "REQUEST_ARGS", "REQUEST_COOKIES", "REQUEST_HEADERS", "REQUEST_JSON"),
    *("REQUEST_XML", "REQUEST_FILES", "REQUEST_URI", "REQUEST_PATH", "REQUEST_QUERY", "REQUEST_METHOD", "REQUEST_BODY"),
    *("REQUEST_CONTENT_TYPE", "REQUEST_PROTOCOL", "RESPONSE_BODY", "RESPONSE_HEADERS", "CLIENT_SESSION_ID"),
)
"""Parts of a request in which rules match, by their full names."""
PREFIX = re.compile(rf"(?:{'|'.join(sorted(KNOWN_SOURCES, key=len, reverse=True))})\.")


def split(value: str | None) -> list[str]:
    r"""Split the values of a field, joined by ``\';\'``; a missing field has none."""
    return value.split(DELIMITER) if value else []


def restore(source: str, known: Sequence[str] = KNOWN_SOURCES) -> str | None:
    """Restore a source that was cut off: the one known name that begins so.

    Returns:
        The full name; ``None`` if none begins so, or several.
    """
    if source in known:
        return source
    found = [name for name in known if source and name.startswith(source)]
    return found[0] if len(found) == 1 else None


def sources_of(value: str | None) -> list[str]:
    """Split the sources of an event and restore those that were cut off; an unknown one stays as it is."""
    return [restore(source) or source for source in split(value)]


def names_of(value: str | None) -> list[str]:
    """Split the variables of an event and take the source off each (``REQUEST_GET_ARGS.id`` is ``id``)."""
    return [PREFIX.sub("", name, count=1) if PREFIX.match(name) else name for name in split(value)]
