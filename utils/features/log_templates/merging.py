"""From skeletons to templates: values without digits (names, states of many kinds) are found by comparing skeletons.

Skeletons that differ in one word only are one statement with a value there, if the words that stand there are many, or
fewer behind a word that announces a name (``user``, ``host``, ``from``), or if some lines have a value with a digit
there. The same goes for two words, if very many different pairs stand there. Actions (``opened``, ``closing``) and
codes in capitals (``LEADING``) need many more, the first word of a line too: they tell statements apart. This is
repeated until nothing changes.

Drain (He et al., ICWS 2017) and IPLoM (Makanju et al., KDD 2009) look for such words as well, the first line by line,
the second by splitting groups of equal length. Here the result depends on the set of skeletons, not on their order.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from utils.features.log_templates.masking import VARIABLE

MOST_ROUNDS = 8
LEAST_WORDS = 5
LEAST_ANNOUNCED = 3
LEAST_DOUBTFUL = 16
LEAST_CONTEXT = 2
LEAST_PAIRS = 10
MOST_APART = 12
ANNOUNCERS = """
    for from by user users username login account owner group host hostname node server client peer machine domain name
    named id device interface service daemon process job task module driver queue topic table database
"""
ANNOUNCING = frozenset(ANNOUNCERS.split())
MARKS = r"""=()\[\]{}<>"'`:,;|"""
TOKEN = re.compile(rf" ?(?:{VARIABLE}|[{MARKS}]|[^ {VARIABLE}{MARKS}]+)")
RUN = re.compile(rf"{VARIABLE}(?:[ !#$%&*+,\-./:;?@\\^|~]*{VARIABLE})+")
QUOTES = "'\"`"

Keys = NDArray[np.uint64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Word:
    """What the merging knows of one token.

    Attributes:
        code: stable hash.
        is_value: it is a value already.
        is_word: it holds a letter or digit.
        is_doubtful: it is an action or a code, which rather tells statements apart.
        announces: a name follows it.
    """

    code: int
    is_value: bool
    is_word: bool
    is_doubtful: bool
    announces: bool

    @classmethod
    def of(cls, token: str) -> "Word":
        """Look at a token."""
        text = token.strip()
        plain = text.rstrip(".!?")
        low = plain.lower()
        code = int.from_bytes(hashlib.blake2b(token.encode(), digest_size=8).digest(), "little")
        doubtful = (len(plain) > 1 and plain.isupper()) or (len(plain) > 4 and low.endswith(("ed", "ing")))
        spoken = any(char.isalnum() for char in text)
        return cls(code, text == VARIABLE, spoken, doubtful, low in ANNOUNCING or text in QUOTES)


@dataclass
class Holes:
    """All tokens of some skeletons on end, each as a place where the skeleton could have a hole.

    Attributes:
        row: skeleton of each token.
        whole: hash of the skeleton.
        key: hash of the skeleton with a hole instead of the token.
        code: hash of the token.
        word: the token is a word.
        value: it is a value.
        doubtful: it is an action or a code.
        announced: the token before announces a name.
        first: no word stands before the token.
        context: words of the skeleton besides the token.
    """

    row: NDArray[np.int64]
    whole: Keys
    key: Keys
    code: Keys
    word: Flags
    value: Flags
    doubtful: Flags
    announced: Flags
    first: Flags
    context: NDArray[np.int64]

    @classmethod
    def of(cls, split: Sequence[Sequence[str]]) -> "Holes":
        """Lay out the tokens of skeletons."""
        words = {token: Word.of(token) for token in {token for text in split for token in text}}
        flat = [words[token] for text in split for token in text]
        length = np.array([len(text) for text in split], dtype=np.int64)
        row = np.repeat(np.arange(length.size), length)
        start = (np.cumsum(length) - length)[row]
        code = np.array([word.code for word in flat], dtype=np.uint64)
        word = np.array([word.is_word for word in flat], dtype=bool)
        announces = np.array([word.announces for word in flat], dtype=bool)
        before = np.cumsum(word) - word
        place = np.arange(row.size) - start
        whole, key = _keys(code, row, place, length)
        return cls(
            row=row,
            whole=whole,
            key=key,
            code=code,
            word=word,
            value=np.array([word.is_value for word in flat], dtype=bool),
            doubtful=np.array([word.is_doubtful for word in flat], dtype=bool),
            announced=np.roll(announces, 1) & (place > 0),
            first=before == before[start],
            context=np.bincount(row, weights=word, minlength=length.size).astype(np.int64)[row] - word,
        )

    def pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64], Keys]:
        """Places of two words of one skeleton that are not too far apart, and the hash with holes in both places."""
        usable = np.flatnonzero(self.word & ~self.value & ~self.doubtful & ~self.first & (self.context > LEAST_CONTEXT))
        left = [usable[:-step] for step in range(1, MOST_APART + 1)]
        right = [usable[step:] for step in range(1, MOST_APART + 1)]
        one, other = np.concatenate(left), np.concatenate(right)
        together = self.row[one] == self.row[other]
        one, other = one[together], other[together]
        return one, other, self.key[one] + self.key[other] - self.whole[one]


class Round(NamedTuple):
    """Holes that were found to be filled by values: those with one token, and those with two."""

    single: Keys
    double: Keys


@dataclass
class Merging:
    """The words that were found to be values, as the keys of the holes in which they stand."""

    rounds: list[Round] = field(default_factory=list)

    @classmethod
    def of(cls, skeletons: Sequence[str]) -> "Merging":
        """Compare skeletons; equal ones count once."""
        merging, texts = cls(), sorted(set(skeletons))
        for _ in range(MOST_ROUNDS):
            split = [TOKEN.findall(text) for text in texts]
            holes = Holes.of(split)
            single = _single(holes)
            found = Round(single, single[:0] if single.size else _double(holes))
            if not (found.single.size or found.double.size):
                break
            merging.rounds.append(found)
            texts = sorted(set(_filled(split, holes, found)))
        return merging

    def apply(self, skeletons: Sequence[str]) -> list[str]:
        """Replace the words that are values; skeletons never seen before may have such words as well."""
        texts = list(skeletons)
        for found in self.rounds:
            split = [TOKEN.findall(text) for text in texts]
            texts = _filled(split, Holes.of(split), found)
        return texts


def _single(holes: Holes) -> Keys:
    """Keys of the holes that many different words fill."""
    usable = np.flatnonzero(holes.word | holes.value)
    key, group, size = np.unique(holes.key[usable], return_inverse=True, return_counts=True)

    def summed(flags: Flags) -> NDArray[np.int64]:
        return np.bincount(group, weights=flags[usable], minlength=key.size).astype(np.int64)

    words = summed(holes.word)
    doubtful = 2 * summed(holes.doubtful) > words
    needed = np.where(summed(holes.announced) > 0, LEAST_ANNOUNCED, LEAST_WORDS)
    needed = np.where(summed(holes.value) > 0, 1, needed)
    needed = np.where(doubtful | (summed(holes.first) > 0), LEAST_DOUBTFUL, needed)
    spoken = summed(holes.context >= LEAST_CONTEXT) > 0
    return key[(words >= needed) & (size > 1) & spoken]


def _double(holes: Holes) -> Keys:
    """Keys of the pairs of holes that many different pairs of words fill, with many different words in each."""
    one, other, key = holes.pairs()
    found, group, size = np.unique(key, return_inverse=True, return_counts=True)
    many = size[group] >= LEAST_PAIRS
    for place in (one, other):
        words = np.unique(np.stack((group[many].astype(np.uint64), holes.code[place[many]])), axis=1)[0]
        size = np.minimum(size, np.bincount(words.astype(np.int64), minlength=found.size))
    return found[size >= LEAST_PAIRS]


def _filled(split: Sequence[Sequence[str]], holes: Holes, found: Round) -> list[str]:
    """Join tokens to texts, with a value for each word in one of the holes."""
    hit = holes.word & ~holes.value & np.isin(holes.key, found.single)
    if found.double.size:
        one, other, key = holes.pairs()
        both = np.isin(key, found.double)
        hit[one[both]] = hit[other[both]] = True
    tokens = [list(text) for text in split]
    first = np.cumsum([0, *(len(text) for text in tokens)])
    for place in np.flatnonzero(hit).tolist():
        row = int(holes.row[place])
        at = place - int(first[row])
        tokens[row][at] = (" " if tokens[row][at][0] == " " else "") + VARIABLE
    return [RUN.sub(VARIABLE, "".join(text)) for text in tokens]


def _keys(code: Keys, row: NDArray[np.int64], place: NDArray[np.int64], length: NDArray[np.int64]) -> tuple[Keys, Keys]:
    """Hash of each token's skeleton (the sum of all its tokens' hashes), and of the same with a hole for the token."""
    weighted = _mixed(code ^ _mixed(place.astype(np.uint64)))
    total = np.zeros(length.size, dtype=np.uint64)
    np.add.at(total, row, weighted)
    hole = _mixed(place.astype(np.uint64) + (length.astype(np.uint64)[row] << np.uint64(32)))
    return total[row], total[row] - weighted + hole


def _mixed(value: Keys) -> Keys:
    """Finaliser of splitmix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
