r"""Many regular expressions over many texts: Rust's engine for many texts, Python's for few, with equal answers.

Both engines understand what is used here: groups ``(?:...)``, classes, bounded repeats, ``^`` and ``\z`` for the
ends, and ``\b \s \d \w``, which mean ASCII characters only. Look-around, back references and ``$`` are not used.

Where texts are few and patterns many, only those are looked for that a text may hold
(:mod:`~utils.features.web_events.needs`).
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from utils.features.web_events.needs import Needs

FEW_TEXTS, FEW_CHARACTERS = 48, 20_000
"""Up to so much, Python's engine is faster: it has nothing to set up."""
MANY_PATTERNS = 64
"""From so many on, telling which ones a text may hold costs less than looking for all of them."""
CLASSES = {r"\s": " \\t\\n\\r\\x0b\\x0c", r"\d": "0-9", r"\w": "a-z0-9_A-Z"}
ESCAPE = re.compile(r"\\.", re.DOTALL)


class PatternBank:
    """Patterns, compiled once.

    Args:
        patterns: regular expressions.

    Attributes:
        patterns: the regular expressions as they were given.
        compiled: the same for Python's engine.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self.patterns = tuple(patterns)
        translated = [_ascii(pattern) for pattern in patterns]
        self.compiled = [re.compile(_python_end(pattern), re.ASCII | re.DOTALL) for pattern in translated]
        self._needs = Needs(self.compiled) if len(patterns) >= MANY_PATTERNS else None
        self._search = [pattern.search for pattern in self.compiled]
        self._rust = ["(?s)" + _rust_boundaries(pattern) for pattern in translated]

    def count(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """Count the matches that do not overlap: one row a text, one column a pattern."""
        if _few(texts):
            rows = [[len(pattern.findall(text)) for pattern in self.compiled] for text in texts]
            return np.array(rows, dtype=np.int64).reshape(len(texts), len(self.patterns))
        found = [pl.col("text").str.count_matches(pattern) for pattern in self._rust]
        return self._select(texts, found).astype(np.int64)

    def contains(self, texts: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Say which pattern is in which text: one row a text, one column a pattern."""
        if _few(texts):
            return self._found(texts)
        found = [pl.col("text").str.contains(pattern) for pattern in self._rust]
        return self._select(texts, found).astype(np.bool_)

    def first(self, place: int, text: str) -> str | None:
        """The first match of one pattern in a text."""
        found = self.compiled[place].search(text)
        return found[0] if found else None

    def _found(self, texts: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Search by Python's engine for the patterns that a text may hold."""
        found, every = np.zeros((len(texts), len(self.patterns)), dtype=np.bool_), range(len(self.patterns))
        for row, text in zip(found, texts, strict=True):
            places = every if self._needs is None else self._needs.met(text)
            row[[place for place in places if self._search[place](text)]] = True
        return found

    def _select(self, texts: Sequence[str], found: Sequence[pl.Expr]) -> npt.NDArray[Any]:
        frame = pl.DataFrame({"text": texts}, schema={"text": pl.String})
        table = frame.select(column.alias(str(place)) for place, column in enumerate(found))
        return table.to_numpy().reshape(len(texts), len(self.patterns))


def _few(texts: Sequence[str]) -> bool:
    return len(texts) <= FEW_TEXTS and sum(map(len, texts)) <= FEW_CHARACTERS


def _ascii(pattern: str) -> str:
    r"""Write ``\s``, ``\d`` and ``\w`` as the characters that they stand for."""
    written, inside, last = [], False, 0
    for found in re.finditer(r"\\.|\[|\]", pattern, re.DOTALL):
        written.append(pattern[last : found.start()])
        last = found.end()
        token = found[0]
        if token in CLASSES:
            token = CLASSES[token] if inside else f"[{CLASSES[token]}]"
        inside = token == "[" or (inside and token != "]")
        written.append(token)
    return "".join(written) + pattern[last:]


def _python_end(pattern: str) -> str:
    return ESCAPE.sub(lambda found: r"\Z" if found[0] == r"\z" else found[0], pattern)


def _rust_boundaries(pattern: str) -> str:
    return ESCAPE.sub(lambda found: r"(?-u:\b)" if found[0] == r"\b" else found[0], pattern)
