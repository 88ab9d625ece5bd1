"""Texts from a grammar, many at a time: every rule is expanded once for all rows that need it.

A rule is a set of alternatives. In an alternative, ``«name»`` stands for another rule or for a generator of numbers,
words or codes, and ``«x=name»`` also keeps the text under ``x``, so that ``«x»`` later in the same alternative is the
same text again (``«n=int4»=«n»`` gives ``4711=4711``). Everything else is taken as it stands.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Texts = npt.NDArray[np.object_]
Generator = Callable[[np.random.Generator, int], Texts]
Alternatives = Sequence[str] | Mapping[str, float]

SLOT = re.compile(r"«(?:(\w+)=)?([\w-]+)»")
SYLLABLES = (
    "ba be bi bo bu ca ce ci co cu cha da de di do du fa fe fi ga go gue ha he i ja jo la le li lo lu lla ma me mi mo "
    "mu na ne ni no nu o pa pe pi po que ra re ri ro ru rra sa se si so su ta te ti to tu tra tro va ve vi vo ya za "
    "zo bra cri dre fle gran pla pre tri an en in on al el ar er or as es is os"
)
CODES = np.array([f"{value:02x}" for value in range(256)], dtype=object)
URL_SAFE_64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class Grammar:
    """Rules and generators by name.

    Args:
        rules: alternatives of each rule; a mapping gives each alternative a weight.
        generators: functions that draw texts, by the name that stands in slots.

    Raises:
        KeyError: if a slot names neither a rule nor a generator.
    """

    def __init__(self, rules: Mapping[str, Alternatives], generators: Mapping[str, Generator]) -> None:
        self._generators = dict(generators)
        self._rules = {name: _Rule(alternatives) for name, alternatives in rules.items()}
        for name, rule in self._rules.items():
            unknown = rule.slots - self._rules.keys() - self._generators.keys()
            if unknown:
                raise KeyError(f"rule {name!r} has the slots {sorted(unknown)}, which are neither rules nor generators")

    def expand(self, name: str, count: int, rng: np.random.Generator) -> Texts:
        """Draw ``count`` texts of a rule or generator."""
        if name in self._generators:
            return self._generators[name](rng, count)
        rule = self._rules[name]
        chosen = rng.choice(len(rule.parts), size=count, p=rule.weights)
        if rule.words is not None:
            return np.asarray(rule.words[chosen])
        texts = np.empty(count, dtype=object)
        for at, parts in enumerate(rule.parts):
            rows = np.flatnonzero(chosen == at)
            if len(rows):
                texts[rows] = self._filled(parts, len(rows), rng)
        return texts

    def _filled(self, parts: "_Parts", count: int, rng: np.random.Generator) -> Texts:
        text, kept = constant("", count), dict[str, Texts]()
        for literal, keep, slot in parts:
            if slot:
                piece = kept[slot] if slot in kept else self.expand(slot, count, rng)
                if keep:
                    kept[keep] = piece
                text = text + piece
            if literal:
                text = text + literal
        return text


_Parts = list[tuple[str, str, str]]
"""Text after the slot, name under which the slot's text is kept, slot; the first entry has no slot."""


class _Rule:
    """Parsed alternatives; ``words`` where none has a slot."""

    def __init__(self, alternatives: Alternatives) -> None:
        weights = np.array([alternatives[a] if isinstance(alternatives, Mapping) else 1.0 for a in alternatives])
        self.weights = weights / weights.sum()
        self.parts = [_parsed(alternative) for alternative in alternatives]
        self.slots = {slot for parts in self.parts for slot in _needed(parts)}
        self.words = None if any(len(parts) > 1 for parts in self.parts) else words(alternatives)


def _parsed(alternative: str) -> _Parts:
    pieces = SLOT.split(alternative)
    slots = zip(pieces[3::3], pieces[1::3], pieces[2::3], strict=True)
    return [(pieces[0], "", ""), *((literal, keep or "", slot) for literal, keep, slot in slots)]


def _needed(parts: _Parts) -> set[str]:
    """Slots that must be a rule or generator: those that are not kept texts."""
    kept, needed = set[str](), set[str]()
    for _, keep, slot in parts[1:]:
        if slot not in kept:
            needed.add(slot)
        if keep:
            kept.add(keep)
    return needed


def constant(text: str, count: int) -> Texts:
    """The same text many times."""
    texts = np.empty(count, dtype=object)
    texts[:] = text
    return texts


def vocabulary(text: str) -> tuple[str, ...]:
    """Words that stand in a text, apart by spaces."""
    return tuple(text.split())


def words(vocabulary: Sequence[str] | Mapping[str, Any]) -> Texts:
    """A vocabulary as an array of texts."""
    texts = np.empty(len(vocabulary), dtype=object)
    texts[:] = list(vocabulary)
    return texts


def one_of(vocabulary: Sequence[str], *, exponent: float = 0.0) -> Generator:
    """Draw words; with an exponent the n-th word has weight ``n ** -exponent`` (Zipf)."""
    table = words(vocabulary)
    weights = np.arange(1, len(table) + 1, dtype=float) ** -exponent
    heights = np.cumsum(weights / weights.sum())
    return lambda rng, count: table[np.searchsorted(heights[:-1], rng.random(count))]


def integer(low: int, high: int) -> Generator:
    """Draw whole numbers from ``low`` to ``high``, both included."""
    return lambda rng, count: texts_of(rng.integers(low, high, size=count, endpoint=True))


def magnitude(low: float, high: float) -> Generator:
    """Draw whole numbers whose logarithm is uniform."""
    return lambda rng, count: texts_of(np.exp(rng.uniform(np.log(low), np.log(high), count)).astype(np.int64))


def texts_of(numbers: npt.NDArray[np.integer[Any]]) -> Texts:
    """Whole numbers as texts."""
    return words([str(number) for number in numbers.tolist()])


def hexadecimal(bytes_: int) -> Generator:
    """Draw codes of two hexadecimal digits a byte."""
    return lambda rng, count: _joined(CODES[rng.integers(0, 256, (count, bytes_))])


def code(alphabet: str, low: int, high: int) -> Generator:
    """Draw codes of ``low`` to ``high`` characters of an alphabet."""
    letters = np.array(list(alphabet))

    def draw(rng: np.random.Generator, count: int) -> Texts:
        drawn = letters[rng.integers(0, len(letters), (count, high))].view(f"<U{high}").ravel().tolist()
        lengths = rng.integers(low, high, size=count, endpoint=True).tolist()
        return words([text[:length] for text, length in zip(drawn, lengths, strict=True)])

    return draw


def pronounceable(low: int, high: int) -> Generator:
    """Draw words of ``low`` to ``high`` syllables."""
    table = words(SYLLABLES.split())

    def draw(rng: np.random.Generator, count: int) -> Texts:
        syllables = table[rng.integers(0, len(table), (count, high))]
        syllables[np.arange(high) >= rng.integers(low, high, size=(count, 1), endpoint=True)] = ""
        return _joined(syllables)

    return draw


def repeated(text: str, low: int, high: int, *, between: str = "") -> Generator:
    """Draw ``low`` to ``high`` repetitions of a text."""
    table = words([between.join([text] * times) for times in range(low, high + 1)])
    return lambda rng, count: table[rng.integers(0, len(table), count)]


def chain(generator: Generator, low: int, high: int, *, between: str = "") -> Generator:
    """Draw ``low`` to ``high`` texts of a generator, joined."""

    def draw(rng: np.random.Generator, count: int) -> Texts:
        links = generator(rng, count * high).reshape(count, high)
        links[:, 1:] = between + links[:, 1:]
        links[np.arange(high) >= rng.integers(low, high, size=(count, 1), endpoint=True)] = ""
        return _joined(links)

    return draw


def same_repeated(generator: Generator, low: int, high: int, *, between: str = "") -> Generator:
    """Draw one text of a generator and repeat it ``low`` to ``high`` times."""

    def draw(rng: np.random.Generator, count: int) -> Texts:
        text = generator(rng, count)
        times = rng.integers(low - 1, high - 1, size=count, endpoint=True).astype(object)
        return np.asarray((text + between) * times + text)

    return draw


def _joined(pieces: Texts) -> Texts:
    return np.asarray(pieces.sum(axis=1)) if pieces.size else words([""] * len(pieces))
