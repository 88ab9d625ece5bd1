r"""Identifiers in log lines, found in one compiled pass where the pattern is simple.

Most names of sessions are a fixed beginning and some runs of characters (``blk_-?\d+``, ``req-[0-9a-f-]+``). Such a
pattern needs no regular-expression engine: at every place of a line there is one way to go on. Other patterns, and
lines beyond ASCII, go through :func:`utils.datasets.sessions.identify`; both find the same.
"""

import string
from dataclasses import dataclass, field
from typing import NamedTuple, Self, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from utils.datasets import sessions
from utils.features.log_templates.masking import ASCII, Block, Bytes, Numbers, Places, compiled

ENDLESS = 1 << 30
ROOM = 1 << 10
LONGEST_LINE = 1 << 13
FREQUENT = ")(][z9876q_,=jx543/kw-:210vy.bgfhmpucdlsrnioate "
"""Characters of log lines, the rarest first; capitals and what is not here are rarer still."""
MOST_STEPS = 64
Number = TypeVar("Number", bound=np.generic)
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
        anchor: the step to look for first; so many bytes stand before it.
        wanted: the byte that it takes, eight times; 0 if there are several.
        least: fewest bytes of each step.
        most: most bytes of each step.
        begin: first step of what counts.
        end: step behind what counts.
    """

    takes: NDArray[np.uint64]
    anchor: int
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
        anchor = _rarest(steps)
        single = len(steps[anchor].members) == 1
        wanted = np.uint64(ord(min(steps[anchor].members)) * 0x0101010101010101 if single else 0)
        return cls(takes, anchor, wanted, least, most, begin, end)


@dataclass
class Names:
    """Distinct texts, numbered in order of first appearance.

    Attributes:
        used: how many there are.
    """

    used: int = 0
    _table: Numbers = field(default_factory=lambda: np.zeros(4 * ROOM, dtype=np.int32))
    _offsets: Places = field(default_factory=lambda: np.zeros(ROOM + 1, dtype=np.int64))
    _texts: Bytes = field(default_factory=lambda: np.empty(16 * ROOM, dtype=np.uint8))

    def all(self) -> pl.Series:
        """The texts."""
        begin, end = self._offsets[: self.used], self._offsets[1 : self.used + 1]
        return Block(self._texts, begin, end).pieces(begin, end)

    def shares(self, count: int) -> Numbers:
        """Deal the texts out to a number of shares by their hash, which is the same everywhere."""
        share = np.empty(self.used, dtype=np.int32)
        compiled().scatter(self._texts, self._offsets[: self.used], self._offsets[1 : self.used + 1], count, share)
        return share

    def enter(self, texts: pl.Series) -> Numbers:
        """Number texts."""
        block, numbers, row = Block.of_texts(texts), np.empty(texts.len(), dtype=np.int32), 0
        while True:
            state = (self._table, self._offsets, self._texts, self.used)
            row, self.used = compiled().enter(*block, row, *state, numbers)
            if row == numbers.size:
                return numbers
            self._make_room(int(block.ends[row] - block.begins[row]))

    def find(self, block: Block, pattern: Pattern) -> tuple[Places, Numbers]:
        """Number the identifiers in the lines of a block; returns line and number of each."""
        size = block.begins.size
        rows, numbers = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int32)
        row, found = 0, 0
        steps = (pattern.takes, pattern.anchor, pattern.wanted, pattern.least, pattern.most, pattern.begin, pattern.end)
        while True:
            state = (self._table, self._offsets, self._texts, self.used)
            row, found, self.used = compiled().identify(*block, row, *steps, *state, rows, numbers, found)
            if row == size:
                return rows[:found], numbers[:found]
            longest = int(block.ends[row] - block.begins[row])
            self._make_room(longest)
            more = rows.size + size + longest
            rows, numbers = _extended(rows, more), _extended(numbers, more)

    def _make_room(self, size: int) -> None:
        """Make four times the room, unless there is room for all texts that could stand in so many bytes."""
        most = self.used + size + 1
        if (
            2 * most < self._table.size
            and most < self._offsets.size
            and self._offsets[self.used] + size < self._texts.size
        ):
            return
        self._offsets = _extended(self._offsets, 4 * self._offsets.size + size)
        self._texts = _extended(self._texts, 4 * self._texts.size + size)
        table, offsets = (
            np.zeros(_power_of_two(4 * self._offsets.size), dtype=np.int32),
            np.zeros(self._offsets.size, dtype=np.int64),
        )
        known = Block(self._texts, self._offsets[: self.used], self._offsets[1 : self.used + 1])
        numbers = np.empty(self.used, dtype=np.int32)
        compiled().enter(*known, 0, table, offsets, np.empty(self._texts.size, dtype=np.uint8), 0, numbers)
        self._table = table


@dataclass
class Identifiers:
    """The identifiers of the lines of some blocks, numbered in order of first appearance.

    Attributes:
        text: the pattern as it was given.
        names: the distinct identifiers.
    """

    text: str
    names: Names = field(default_factory=Names)
    _rows: list[Places] = field(default_factory=list)
    _numbers: list[Numbers] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Check the pattern.

        Raises:
            DataError: if the pattern is no regular expression, has several groups or matches the empty text.
        """
        sessions.count_unidentified(pl.DataFrame({"text": ["x"]}), self.text, text="text")
        self._pattern = Pattern.of(self.text)

    def find(self, block: Block, first_row: int) -> None:
        """Find the identifiers of the lines of a block, which are counted from ``first_row``."""
        if self._pattern is not None and _is_plain(block):
            rows, numbers = self.names.find(block, self._pattern)
        else:
            texts = block.texts()
            lines = pl.DataFrame({"_row": pl.int_range(texts.len(), eager=True), "_text": texts})
            named = sessions.identify(lines, self.text, text="_text")
            rows, numbers = named["_row"].to_numpy(), self.names.enter(named[sessions.SESSION])
        self._rows.append(rows + first_row)
        self._numbers.append(numbers)

    def all(self) -> tuple[Places, Numbers]:
        """Line and number of each identifier found, in the order of the lines."""
        nothing = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int32)
        return np.concatenate((nothing[0], *self._rows)), np.concatenate((nothing[1], *self._numbers))


def _is_plain(block: Block) -> bool:
    """Whether all lines are ASCII, and short: at each of its places a line may be read to its end."""
    if not block.data.size:
        return True
    return bool(block.data.max() <= ASCII and (block.ends - block.begins).max() <= LONGEST_LINE)


def _extended(values: NDArray[Number], size: int) -> NDArray[Number]:
    """Copy an array into a larger one; what is new is 0."""
    larger = np.zeros(size, dtype=values.dtype)
    larger[: values.size] = values
    return larger


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()


def _rarest(steps: list[Step]) -> int:
    """Step to look for first: of those that always stand at the same distance, the one that log lines have least of."""
    fixed = next((place for place, step in enumerate(steps) if not step.least == step.most == 1), len(steps) - 1)
    single = [place for place in range(fixed + 1) if len(steps[place].members) == 1 and steps[place].least]
    return min(single, key=lambda place: FREQUENT.rfind(min(steps[place].members)), default=0)


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
