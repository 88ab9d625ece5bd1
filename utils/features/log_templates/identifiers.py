r"""Identifiers in log lines, found in one compiled pass where the pattern is simple.

Most names of sessions are a fixed beginning and some runs of characters (``blk_-?\d+``, ``req-[0-9a-f-]+``). Such a
pattern needs no regular-expression engine: at every place of a line there is one way to go on. Other patterns, and
lines beyond ASCII, go through :func:`utils.datasets.sessions.identify`; both find the same.
"""

import string
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from utils.datasets import sessions
from utils.features.log_templates.masking import ASCII, Block, Numbers, Places, compiled

ENDLESS = 1 << 30
MOST_STEPS = 64
DIGITS, WORDS, BLANKS = string.digits, string.ascii_letters + string.digits + "_", " \t\n\r\v\f"
CLASSES = {"d": DIGITS, "w": WORDS, "s": BLANKS}
CONTROLS = {"n": "\n", "t": "\t", "r": "\r"}
SPECIAL = set("\\[](){}.*+?|^$")
COUNTS = {"?": (0, 1), "+": (1, ENDLESS), "*": (0, ENDLESS)}
EVERYTHING = frozenset(map(chr, range(ASCII + 1)))


class Step(NamedTuple):
    """Some successive characters of one class."""

    members: frozenset[str]
    least: int
    most: int


@dataclass(frozen=True)
class Pattern:
    """A pattern with one way to go on at every place.

    Attributes:
        takes: shape (256,): for each byte, the steps that take it, as bits.
        wanted: the byte with which every match begins, eight times; 0 if there are several.
        least: fewest bytes of each step.
        most: most bytes of each step.
        begin: first step of what counts.
        end: step behind what counts.
    """

    takes: NDArray[np.uint64]
    wanted: np.uint64
    least: Places
    most: Places
    begin: int
    end: int

    @classmethod
    def of(cls, text: str) -> Self | None:
        """Read a regular expression; ``None`` if it is not so simple."""
        try:
            steps, begin, end = _steps(text)
        except (ValueError, IndexError):
            return None
        if not 0 < len(steps) <= MOST_STEPS or steps[0].least == 0 or not _one_way(steps):
            return None
        takes = np.zeros(256, dtype=np.uint64)
        for place, step in enumerate(steps):
            takes[[ord(char) for char in step.members]] |= np.uint64(1 << place)
        least, most = (np.array([step[field] for step in steps], dtype=np.int64) for field in (1, 2))
        first = [ord(char) for char in steps[0].members]
        wanted = np.uint64(first[0] * 0x0101010101010101 if len(first) == 1 else 0)
        return cls(takes, wanted, least, most, begin, end)


@dataclass
class Identifiers:
    """The identifiers of the lines of some blocks, numbered in order of first appearance.

    Attributes:
        text: the pattern as it was given.
        names: the distinct identifiers.
        rows: lines that have one, in order; a line stands once for each of its identifiers.
        numbers: number of each one's identifier.
    """

    text: str
    names: list[str] = field(default_factory=list)
    rows: list[Places] = field(default_factory=list)
    numbers: list[Numbers] = field(default_factory=list)
    _places: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the pattern.

        Raises:
            DataError: if the pattern is no regular expression, has several groups or matches the empty text.
        """
        sessions.count_unidentified(pl.DataFrame({"text": ["x"]}), self.text, text="text")
        self._pattern = Pattern.of(self.text)

    def find(self, block: Block, first_row: int) -> None:
        """Find the identifiers of the lines of a block, which are counted from ``first_row``."""
        simple = self._pattern is not None and not (block.data.size and block.data.max() > ASCII)
        rows, number, names = self._matched(block) if simple else self._searched(block)
        known = np.array([self._places.setdefault(name, len(self._places)) for name in names], dtype=np.int32)
        self.names += list(self._places)[len(self.names) :]
        self.rows.append(rows + first_row)
        self.numbers.append(known[number] if known.size else number)

    def all(self) -> tuple[Places, Numbers]:
        """Line and number of each identifier found, in the order of the lines."""
        nothing = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int32)
        return np.concatenate((nothing[0], *self.rows)), np.concatenate((nothing[1], *self.numbers))

    def _matched(self, block: Block) -> tuple[Places, Numbers, list[str]]:
        pattern = self._pattern
        assert pattern is not None
        size = block.begins.size
        while True:
            rows, number = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int32)
            table = np.zeros(1 << (2 * size + 1).bit_length(), dtype=np.int32)
            begin, end = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
            found, names = compiled().identify(
                *block, pattern.takes, pattern.wanted, pattern.least, pattern.most, pattern.begin, pattern.end,
                table, rows, number, begin, end,
            )  # fmt: skip
            if found >= 0:
                break
            size *= 4
        return rows[:found], number[:found], block.pieces(begin[:names], end[:names]).to_list()

    def _searched(self, block: Block) -> tuple[Places, Numbers, list[str]]:
        texts = block.texts()
        lines = pl.DataFrame({"_row": pl.int_range(texts.len(), eager=True), "_text": texts})
        named = sessions.identify(lines, self.text, text="_text")
        names = named[sessions.SESSION].unique(maintain_order=True)
        number = named[sessions.SESSION].replace_strict(names, np.arange(names.len()), return_dtype=pl.Int32)
        return named["_row"].to_numpy(), number.to_numpy(), names.to_list()


def _steps(text: str) -> tuple[list[Step], int, int]:
    """Read a pattern; returns its steps and the steps between which its group stands.

    Raises:
        ValueError: if there is more to it than characters, classes, counts and one group.
    """
    steps: list[Step] = []
    begin, end, place = 0, None, 0
    while place < len(text):
        if text[place] == "(":
            if end is not None or text[place + 1] == "?":
                raise ValueError
            begin, end, place = len(steps), -1, place + 1
            continue
        if text[place] == ")":
            if end != -1 or text[place + 1 : place + 2] in {"?", "*", "+", "{"}:
                raise ValueError
            end, place = len(steps), place + 1
            continue
        members, place = _members(text, place)
        least, most, place = _count(text, place)
        steps.append(Step(members, least, most))
    if end == -1:
        raise ValueError
    return steps, begin, len(steps) if end is None else end


def _members(text: str, place: int) -> tuple[frozenset[str], int]:
    char = text[place]
    if char == "\\":
        return _escaped(text[place + 1]), place + 2
    if char == "[":
        return _class(text, place + 1)
    if char == ".":
        return EVERYTHING - {"\n"}, place + 1
    if char in SPECIAL or char not in EVERYTHING:
        raise ValueError
    return frozenset(char), place + 1


def _escaped(char: str) -> frozenset[str]:
    if char.lower() in CLASSES:
        members = frozenset(CLASSES[char.lower()])
        return EVERYTHING - members if char.isupper() else members
    if char in CONTROLS:
        return frozenset(CONTROLS[char])
    if char.isalnum() or char not in EVERYTHING:
        raise ValueError
    return frozenset(char)


def _class(text: str, place: int) -> tuple[frozenset[str], int]:
    """Members of a class in brackets, and the place behind it."""
    negated = text[place] == "^"
    place += negated
    members: set[str] = set()
    while text[place] != "]":
        if text[place] in "[&~" or text[place] not in EVERYTHING:
            raise ValueError
        first, behind = (_escaped(text[place + 1]), place + 2) if text[place] == "\\" else ({text[place]}, place + 1)
        if text[behind] == "-" and text[behind + 1] != "]":
            if len(first) > 1 or text[behind + 1] in "\\[" or text[behind + 1] not in EVERYTHING:
                raise ValueError
            first, behind = set(map(chr, range(ord(min(first)), ord(text[behind + 1]) + 1))), behind + 2
        members |= first
        place = behind
    if not members:
        raise ValueError
    return EVERYTHING - members if negated else frozenset(members), place + 1


def _count(text: str, place: int) -> tuple[int, int, int]:
    """Fewest and most repetitions, and the place behind them."""
    least, most = 1, 1
    if text[place : place + 1] in COUNTS:
        least, most = COUNTS[text[place]]
        place += 1
    elif text[place : place + 1] == "{":
        close = text.index("}", place)
        low, comma, high = text[place + 1 : close].partition(",")
        least, most, place = int(low), int(high) if high else ENDLESS if comma else int(low), close + 1
    if text[place : place + 1] in {"?", "+", "*", "{"} and text[place : place + 1]:
        raise ValueError
    return least, most, place


def _one_way(steps: list[Step]) -> bool:
    """Whether no character can belong to a step that may still take more and to one that may follow it."""
    for place, step in enumerate(steps):
        if step.least == step.most:
            continue
        for later in steps[place + 1 :]:
            if step.members & later.members:
                return False
            if later.least:
                break
    return True
