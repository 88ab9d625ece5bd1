r"""Undo what hides a text: URL, HTML and JavaScript escapes, again and again, at most :data:`ROUNDS` times.

URL escapes are those of RFC 3986 (``%2e``), with the ``%u002e`` of old servers and the overlong UTF-8 (``%c0%ae``) that
some decoders let pass; bytes that are not UTF-8 are read as Latin-1. HTML character references are those of the HTML
standard, JavaScript escapes ``\x2e`` and ``\u002e`` those of ECMA-262.
"""

import html
import re
from collections.abc import Sequence
from typing import NamedTuple

ROUNDS = 4
DELIMITER = r"\';\'"
PLUS_FOR_SPACE = re.compile(r"(?<=[^\s+\d])\+(?=[^\s+])|(?<=[^\s+])\+(?=[^\s+\d])")
PERCENT = re.compile(r"(?:%[0-9a-fA-F]{2})+")
UNICODE_PERCENT = re.compile(r"%[uU]([0-9a-fA-F]{4})")
BACKSLASH = re.compile(r"\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2}))")
OVERLONG = re.compile(rb"[\xc0\xc1](.)|\xe0\x80([\x80-\xbf])", re.DOTALL)
COMMENT = re.compile(r"/\*!?\d{0,6}|\*/")
INNER = re.compile(r"/\*(?!!)[^*]{0,200}\*/")
BLANKS = re.compile(r"[^\S\r\n]+|[\x01-\x09\x0b\x0c\x0e-\x20]+")
LINE_BREAKS = re.compile(r"[ \r\n]*[\r\n][ \r\n]*")
BETWEEN = "\x1f"
"""What stands between several values of one field (the unit separator of ASCII)."""


class Decoded(NamedTuple):
    """A text without its escapes.

    Attributes:
        text: what is left.
        depth: rounds in which something was decoded.
        escapes: URL escapes in the text as it came.
    """

    text: str
    depth: int
    escapes: int


def decode(text: str, rounds: int = ROUNDS) -> Decoded:
    r"""Decode a text until nothing changes or the rounds are used up; ``\"`` loses its backslash.

    Args:
        text: any text.
        rounds: most rounds.

    Returns:
        The decoded text, never longer than the text.
    """
    plain = text.replace('\\"', '"') if '\\"' in text else text
    if "%" not in plain and "&" not in plain and "\\" not in plain:
        return Decoded(plain, 0, 0)
    escapes = sum(len(found) // 3 for found in PERCENT.findall(plain))
    for depth in range(rounds):
        decoded = _once(plain)
        if decoded == plain:
            return Decoded(plain, depth, escapes)
        plain = decoded
    return Decoded(plain, rounds, escapes)


def decode_all(texts: Sequence[str]) -> list[Decoded]:
    r"""Decode texts; between values joined by ``\';\'`` a separator is left that counts as a space."""
    return [decode(text.replace(DELIMITER, BETWEEN) if DELIMITER in text else text) for text in texts]


def canonical(text: str) -> str:
    """Lower-case a decoded text and write every kind of space as one blank, and line breaks as one.

    Comments that SQL reads as a space (``/**/``) and control characters are spaces too, what stands in a conditional
    comment (``/*!50000 ...*/``) is kept. In a text without blanks a ``+`` that does not stand between digits is one.
    NUL is left out.
    """
    lower = text.lower()
    if "+" in lower and " " not in lower:
        lower = PLUS_FOR_SPACE.sub(" ", lower)
    if "/*" in lower:
        lower = COMMENT.sub(" ", INNER.sub(" ", lower))
    return lower if lower.isalnum() else _spaced(lower.replace("\0", ""))


def _spaced(text: str) -> str:
    blank = BLANKS.sub(" ", text)
    return LINE_BREAKS.sub("\n", blank) if "\n" in blank or "\r" in blank else blank


def _once(text: str) -> str:
    if "%" in text:
        text = PERCENT.sub(_bytes, UNICODE_PERCENT.sub(_character, text))
    if "\\" in text:
        text = BACKSLASH.sub(_character, text)
    return _without_surrogates(html.unescape(text)) if "&" in text else text


def _bytes(found: re.Match[str]) -> str:
    raw = bytes.fromhex(found[0].replace("%", ""))
    raw = OVERLONG.sub(_shortened, raw)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _shortened(found: re.Match[bytes]) -> bytes:
    last = (found[1] or found[2])[0]
    return bytes([last if last < 0x80 else last & 0x3F | (found[0][0] & 1) << 6])


def _character(found: re.Match[str]) -> str:
    place = int(next(group for group in found.groups() if group), 16)
    return chr(place) if place < 0x110000 and not 0xD800 <= place < 0xE000 else "\ufffd"


def _without_surrogates(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
