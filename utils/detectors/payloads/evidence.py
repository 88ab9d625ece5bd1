"""Which marks a text has: decoding, reading as tokens and looking for all of them, many texts at a time."""

import base64
import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from utils.detectors.payloads.marks import ENCODING, QUOTED, TOKENS, WRITTEN, marks
from utils.detectors.payloads.tokens import Reading, read
from utils.detectors.rules import signatures
from utils.features.web_events import Decoded, canonical
from utils.features.web_events.decoding import decode_all
from utils.features.web_events.patterns import PatternBank

LONGEST = 1 << 15
"""Of longer texts the beginning and the end are looked at."""
PLAIN_SIGNS = {0x2215: "/", 0x2044: "/", 0x2216: "\\", 0x29F8: "/"} | {
    wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)
}
EXCERPT = 60
BASE_64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
ESCAPED_LETTER = re.compile(r"%(?:4[1-9a-f]|5[0-9a]|6[1-9a-f]|7[0-9a])|&#(?:x[46]|x5|9\d|1[01]\d)", re.IGNORECASE)
LONE = re.compile(
    r"(?:%(?:25)*[0-9a-f]{2}|%u[0-9a-f]{4}|&#x?[0-9a-f]{2,8};?|&\w{2,5};?|\\(?:x|u00)[0-9a-f]{2}){1,2}", re.IGNORECASE
)
COMMENT_INSIDE = re.compile(r"[\w'\")]/\*[^*]{0,40}\*/|\*/\w")
OVERLONG = re.compile(r"%c[01]%|%e0%80|%f0%80|%f8%80|%fc%80|%u(?:221[56]|ff)|%25%|%%", re.IGNORECASE)
MIXED = re.compile(r"\b[A-Z]{0,2}(?:[a-z]{1,2}[A-Z]{1,2}){2,}[a-z]{0,2}\b")
LINE_BREAK = re.compile(r"%(?:25)?0[ad]", re.IGNORECASE)
SCRIPT_ESCAPE = re.compile(r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|[0-7]{2,3}\b)|&#|%u[0-9a-f]{4}", re.IGNORECASE)


@cache
def _writing() -> PatternBank:
    signed = [item.pattern for items in signatures.FAMILIES.values() for item in items]
    return PatternBank([*signed, *(pattern for items in WRITTEN.values() for _, pattern in items)])


@cache
def _tokens() -> tuple[PatternBank, PatternBank]:
    return PatternBank([pattern for _, pattern in TOKENS]), PatternBank([pattern for _, pattern in QUOTED])


class Evidence(NamedTuple):
    """What was found in texts.

    Attributes:
        marks: true where a text has a mark, shape (texts, marks).
        readings: the tokens of each text in three contexts.
    """

    marks: npt.NDArray[np.bool_]
    readings: list[Reading]


def peel(text: str) -> str:
    """Return the text that a text in base 64 holds, or the text itself if it holds none that can be read."""
    if len(text) % 4 or not 12 <= len(text) <= LONGEST or not BASE_64.fullmatch(text):
        return text
    try:
        inner = base64.b64decode(text, validate=True).decode("ascii")
    except ValueError:
        return text
    return inner if inner.isprintable() else text


def measure(texts: Sequence[str]) -> Evidence:
    """Look for all marks.

    Args:
        texts: any texts, each distinct one once.

    Returns:
        What was found.
    """
    decoded = [_folded(item) for item in decode_all([_ends(peel(text)) for text in texts])]
    lowered = [canonical(item.text) for item in decoded]
    readings = [read(item.text, text) for item, text in zip(decoded, lowered, strict=True)]
    found = (
        _writing().contains(lowered),
        _tokens()[0].contains([reading.plain for reading in readings]),
        _inside(readings),
        _encoding(texts, decoded),
    )
    return Evidence(np.concatenate(found, axis=1), readings)


def _inside(readings: Sequence[Reading]) -> npt.NDArray[np.bool_]:
    """Marks behind the first quote of either kind; most texts have none."""
    quoted = _tokens()[1]
    found = np.zeros((len(readings), len(quoted.patterns)), dtype=np.bool_)
    for inside in ([reading.single for reading in readings], [reading.double for reading in readings]):
        if any(inside):
            found |= quoted.contains(inside)
    return found


def _encoding(texts: Sequence[str], decoded: Sequence[Decoded]) -> npt.NDArray[np.bool_]:
    rows = [_encoded(text, item) for text, item in zip(texts, decoded, strict=True)]
    return np.array(rows, dtype=np.bool_).reshape(len(texts), len(ENCODING))


def _encoded(text: str, decoded: Decoded) -> tuple[bool, ...]:
    plain = decoded.text
    if not decoded.depth and text.isalnum():
        return (False,) * len(ENCODING)
    return (
        decoded.depth > 0,
        decoded.depth > 1 and "%25" in text,
        ESCAPED_LETTER.search(text) is not None,
        len(plain) <= 2 < len(text) and LONE.fullmatch(text) is not None,
        "\0" in plain,
        COMMENT_INSIDE.search(plain) is not None,
        OVERLONG.search(text) is not None,
        "/*!" in plain,
        MIXED.search(plain) is not None,
        SCRIPT_ESCAPE.search(text) is not None,
        LINE_BREAK.search(text) is not None,
    )


def _folded(decoded: Decoded) -> Decoded:
    """Write full-width signs and slashes of mathematics as the plain ones that some readers take them for."""
    if decoded.text.isascii():
        return decoded
    return decoded._replace(text=decoded.text.translate(PLAIN_SIGNS))


def _ends(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} {text[-LONGEST // 2 :]}"


def excerpts(text: str, evidence: Evidence, places: Sequence[int]) -> list[tuple[str, str]]:
    """Show what marks matched.

    Args:
        text: the text that was measured.
        evidence: its evidence, of this text alone.
        places: marks, by their columns.

    Returns:
        For each mark its name with the family and the part of the canonical text that it matched; for marks of tokens
        and of the encoding the beginning of the text.
    """
    lowered = canonical(_folded(decode_all([_ends(peel(text))])[0]).text)
    written = len(_writing().patterns)
    found = []
    for place in places:
        mark = marks()[place]
        matched = _writing().first(place, lowered) if place < written else lowered
        found.append((f"{mark.family}: {mark.name}", _shown(matched or lowered)))
    return found


def _shown(text: str) -> str:
    plain = "".join(letter if letter.isprintable() else " " for letter in text).strip()
    return plain if len(plain) <= EXCERPT else plain[: EXCERPT - 1] + "…"
