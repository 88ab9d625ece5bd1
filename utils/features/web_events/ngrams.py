"""Character n-grams of decoded text, counted without a loop over characters.

Characters are folded to 63 symbols of six bits: letters without case, one symbol for a stretch of digits and one for a
stretch of spaces, 32 punctuation marks, one symbol each for stretches of control and of other characters, and one for
the edge of the text. A trigram is then a number below 2**18, and a vocabulary is a table that is looked up: no hashing,
no collisions. N-grams of bytes as features of attacks go back to Wang and Stolfo, "Anomalous Payload-based Network
Intrusion Detection" (RAID 2004).
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from utils.features.web_events import bytewise
from utils.features.web_events.bytewise import Joined
from utils.features.web_events.columns import Floats, Ints

BITS = 6
EDGE, DIGITS, SPACES, CONTROLS, OTHERS = 0, 27, 28, 61, 62
PUNCTUATION = bytes(code for code in range(0x21, 0x7F) if not chr(code).isalnum())
ORDERS = (1, 2, 3)
STARTS = {1: 0, 2: 1 << BITS, 3: (1 << BITS) + (1 << 2 * BITS)}
"""Place of the first n-gram of each order in one numbering of all."""
ALL = (1 << BITS) + (1 << 2 * BITS) + (1 << 3 * BITS)


def _symbols() -> npt.NDArray[np.uint8]:
    symbols = np.full(256, OTHERS, dtype=np.uint8)
    symbols[:0x20], symbols[0x7F] = CONTROLS, CONTROLS
    symbols[[0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x1F, 0x20]] = SPACES
    symbols[ord("0") : ord("9") + 1] = DIGITS
    symbols[ord("a") : ord("z") + 1] = symbols[ord("A") : ord("Z") + 1] = np.arange(1, 27)
    symbols[np.frombuffer(PUNCTUATION, dtype=np.uint8)] = np.arange(29, 61)
    symbols[bytewise.SEPARATOR] = EDGE
    return symbols


SYMBOL_OF = _symbols()
TEXT_OF = ["⊣", *"abcdefghijklmnopqrstuvwxyz", "0", "␣", *PUNCTUATION.decode(), "␛", "¿"]


def grams(batch: Joined) -> tuple[Ints, Ints]:
    """Number the n-grams of each text, of orders 1 to 3; those of order 2 and 3 may have the edge at either end.

    Returns:
        The text of each n-gram, and its number below :data:`ALL`.
    """
    symbols = SYMBOL_OF[batch.data]
    same = symbols[1:] == symbols[:-1]
    stretched = (symbols[1:] == DIGITS) | (symbols[1:] == SPACES) | (symbols[1:] >= CONTROLS)
    kept = np.append(True, ~(same & stretched))
    folded, owner = symbols[kept].astype(np.int64), batch.owner[kept]
    inner = folded > EDGE
    pair = (folded[:-1] << BITS) | folded[1:]
    triple = (pair[:-1] << BITS) | folded[2:]
    middle = inner[1:-1]
    both = inner[:-1] & inner[1:]
    texts = (owner[inner], owner[:-1][both], owner[1:-1][middle])
    numbers = (folded[inner], STARTS[2] + pair[both], STARTS[3] + triple[middle])
    return np.concatenate(texts), np.concatenate(numbers)


def gram_text(number: int) -> str:
    """Write an n-gram down: ``⊣`` is an edge, ``0``, ``␣``, ``␛`` and ``¿`` are digits, spaces, controls and others."""
    order = next(order for order in reversed(ORDERS) if number >= STARTS[order])
    code = number - STARTS[order]
    places = [code >> BITS * at & (1 << BITS) - 1 for at in reversed(range(order))]
    return "".join(TEXT_OF[place] for place in places)


def document_counts(texts: Sequence[str]) -> Ints:
    """Count for each n-gram the texts that have it: shape (:data:`ALL`,)."""
    counts = np.zeros(ALL, dtype=np.int64)
    for _, batch in bytewise.batches(texts):
        owner, number = grams(batch)
        pairs = np.sort(owner * ALL + number)
        first = np.append(True, pairs[1:] != pairs[:-1])[: len(pairs)]
        counts += np.bincount(pairs[first] % ALL, minlength=ALL)
    return counts


def count(texts: Sequence[str], place: npt.NDArray[np.int32], width: int) -> Iterator[tuple[slice, Floats]]:
    """Count the n-grams of a vocabulary.

    Args:
        texts: decoded texts.
        place: for each n-gram its column, or -1.
        width: number of columns.

    Yields:
        Parts of the texts and their counts of shape (texts of the part, width).
    """
    for part, batch in bytewise.batches(texts):
        owner, number = grams(batch)
        column = place[number]
        known = column >= 0
        size = len(batch.lengths)
        flat = owner[known] * width + column[known]
        yield part, np.bincount(flat, minlength=size * width).reshape(size, width).astype(np.float64)
