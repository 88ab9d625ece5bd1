"""Which patterns a text may hold, told from its characters and pairs of them alone.

Each pattern is read as CPython's own parser reads it, and sets of characters, and of pairs of neighbours, are taken
from it, each of which must have one in the text. What is not understood asks for nothing, so a pattern that matches is
never left out. For a short text most patterns of a long list are settled by a few comparisons of bits.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise, product
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import numpy as np

ASCII = 128
OTHER = 1 << (ASCII - 1)
"""Stands for all characters beyond ASCII, and for the last one of it."""
ALWAYS = 1
"""Bit of NUL, which counts as being in every text."""
ALL = (1 << ASCII) - 1
HALF = (1 << 64) - 1
BITS = {chr(code): 1 << code for code in range(ASCII)}
USUAL = frozenset(map(ord, " etaoinsrhldcumfpgwybvk0123456789.-/"))
"""Characters that most texts have some of: a set of them rules little out."""
FEW = 6
"""Sets of a pattern that are looked at, those that rule most out."""
MOST_PAIRS = 48
"""Pairs above which a set of them is not looked at."""

Tree = Iterable[tuple[Any, Any]]
Pairs = frozenset[str]


class Needs:
    """Tells which of many patterns a text may hold.

    Args:
        patterns: compiled, for texts (n patterns); those that take capitals for small letters are always met.
    """

    def __init__(self, patterns: Sequence[re.Pattern[str]]) -> None:
        trees = [_tree(pattern) for pattern in patterns]
        asked = [sorted(_characters(tree), key=_cost)[:FEW] or [ALL] for tree in trees]
        self._starts = np.cumsum([0, *map(len, asked)])[:-1]
        needs = [need for some in asked for need in some]
        self._low = np.array([need & HALF for need in needs], dtype=np.uint64)
        self._high = np.array([need >> 64 for need in needs], dtype=np.uint64)
        self._pairs = [min(_pairs(tree), key=len, default=None) for tree in trees]

    def met(self, text: str) -> Iterator[int]:
        """Places of the patterns that may match somewhere in a text, in their order."""
        bits = BITS
        seen = ALWAYS
        for letter in set(text):
            seen |= bits.get(letter, OTHER)
        found = (self._low & np.uint64(seen & HALF)) | (self._high & np.uint64(seen >> 64))
        places = np.logical_and.reduceat(found, self._starts).nonzero()[0].tolist()
        neighbours = set(map("".join, pairwise(text)))
        for place in places:
            pairs = self._pairs[place]
            if pairs is None or not pairs.isdisjoint(neighbours):
                yield place


def _tree(pattern: re.Pattern[str]) -> Tree:
    return () if pattern.flags & re.IGNORECASE else list(parser.parse(pattern.pattern, pattern.flags))


def _characters(tree: Tree) -> set[int]:
    """Sets of characters, as bits, of each of which every match has one."""
    found: set[int] = set()
    for code, value in tree:
        if code is codes.LITERAL:
            found.add(_bit(value))
        elif code is codes.IN:
            found.add(_class(value))
        elif code is codes.BRANCH:
            branches = [_characters(branch) for branch in value[1]]
            if all(branches):
                found |= {_together(branches)} | set.intersection(*branches)
        elif (inner := _always(code, value)) is not None:
            found |= _characters(inner)
    return found


def _pairs(tree: Tree) -> set[Pairs]:
    """Sets of pairs of neighbours of each of which every match has one."""
    found: set[Pairs] = set()
    before = ""
    for code, value in tree:
        letters = _letters(code, value)
        if before and letters and len(before) * len(letters) <= MOST_PAIRS:
            found.add(frozenset(map("".join, product(before, letters))))
        before = letters if code is not codes.AT else before
        if code is codes.BRANCH:
            branches = [_pairs(branch) for branch in value[1]]
            if all(branches):
                either = frozenset().union(*(min(branch, key=len) for branch in branches))
                found |= {either} if len(either) <= MOST_PAIRS else set()
        elif (inner := _always(code, value)) is not None:
            found |= _pairs(inner)
    return found


def _always(code: Any, value: Any) -> Tree | None:  # noqa: ANN401 - of CPython's parser
    """What stands inside a group, or inside a repeat that comes once at least."""
    if code is codes.SUBPATTERN:
        return None if value[1] else list(value[3])  # flags of its own are not understood
    repeated = code in (codes.MAX_REPEAT, codes.MIN_REPEAT) and value[0] > 0
    return list(value[2]) if repeated else None


def _letters(code: Any, value: Any) -> str:  # noqa: ANN401 - of CPython's parser
    """The characters that one place of a pattern may have, where they are few and told one by one."""
    if code is codes.LITERAL:
        return chr(value)
    if code is codes.IN and all(inner is codes.LITERAL for inner, _ in value):
        return "".join(chr(letter) for _, letter in value)
    return ""


def _together(branches: Sequence[set[int]]) -> int:
    together = 0
    for branch in branches:
        together |= min(branch, key=_cost)
    return together


def _class(items: Tree) -> int:
    """Characters of a class; all of them where it holds more than letters and ranges."""
    found, negated = 0, False
    for code, value in items:
        if code is codes.NEGATE:
            negated = True
        elif code in (codes.LITERAL, codes.RANGE):
            first, last = (value, value) if code is codes.LITERAL else value
            for place in range(first, min(last, ASCII) + 1):
                found |= _bit(place)
            found |= OTHER if last >= ASCII else 0
        else:
            return ALL
    return ALL & ~found | OTHER if negated else found


def _bit(code: int) -> int:
    return 1 << code if code < ASCII else OTHER


def _cost(need: int) -> tuple[int, int]:
    """How likely a text has a character of a set: few usual ones first; the set itself makes the order sure."""
    bits = [place for place in range(ASCII) if need >> place & 1]
    return sum(5 if place in USUAL else 1 for place in bits), need
