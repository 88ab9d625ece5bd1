"""Texts as one array of bytes, and counts of what each text has, without a loop over characters."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from utils.features.web_events.columns import Floats, Ints

SEPARATOR = 0xFF
"""Byte before, between and behind texts; no UTF-8 text has it."""
MOST_BYTES, MOST_TEXTS = 1 << 22, 4096
"""Size of a batch; one longer text makes a batch of its own."""

KINDS = ("lower", "upper", "digit", "space", "special", "control", "non_ascii")
LOWER, UPPER, DIGIT, SPACE, SPECIAL, CONTROL, NON_ASCII = range(7)


def _kinds() -> npt.NDArray[np.uint8]:
    kinds = np.full(256, NON_ASCII, dtype=np.uint8)
    kinds[:0x80], kinds[0x7F] = SPECIAL, CONTROL
    kinds[:0x20] = CONTROL
    kinds[[0x09, 0x0A, 0x0D, 0x1F, 0x20]] = SPACE
    kinds[ord("0") : ord("9") + 1] = DIGIT
    kinds[ord("A") : ord("Z") + 1] = UPPER
    kinds[ord("a") : ord("z") + 1] = LOWER
    kinds[SEPARATOR] = SEPARATOR
    return kinds


KIND_OF = _kinds()


class Joined(NamedTuple):
    """A batch of texts.

    Attributes:
        data: UTF-8 bytes of all texts, a separator before, between and behind them.
        owner: for each byte the place of its text; a separator belongs to the text behind it.
        lengths: bytes of each text.
    """

    data: npt.NDArray[np.uint8]
    owner: Ints
    lengths: Ints


def batches(texts: Sequence[str]) -> Iterator[tuple[slice, Joined]]:
    """Join texts in batches of bounded size."""
    encoded = [text.encode("utf-8", "replace") for text in texts]
    lengths = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
    for part in _slices(lengths):
        data = np.frombuffer(b"\xff" + b"\xff".join(encoded[part]) + b"\xff", dtype=np.uint8)
        owner = np.repeat(np.arange(part.stop - part.start + 1), np.append(lengths[part] + 1, 1))
        yield part, Joined(data, owner, lengths[part])


def histogram(batch: Joined) -> Ints:
    """Count the bytes of each text: shape (texts, 256)."""
    size = len(batch.lengths)
    inside = batch.data != SEPARATOR
    flat = batch.owner[inside] * 256 + batch.data[inside]
    return np.bincount(flat, minlength=size * 256).reshape(size, 256)


def entropy(counts: Ints) -> Floats:
    """Shannon entropy of each row of counts, in bits; 0 for no counts."""
    total = counts.sum(axis=1)
    weighted = np.zeros(counts.shape)
    np.log2(counts, out=weighted, where=counts > 0)
    spread = (counts * weighted).sum(axis=1) / np.maximum(total, 1)
    return np.asarray(np.maximum(np.log2(np.maximum(total, 1)) - spread, 0.0))


def segments(batch: Joined) -> Ints:
    """Count the stretches between slashes, of either kind, that follow one: the depth of a path."""
    slash = (batch.data == ord("/")) | (batch.data == ord("\\"))
    ends = slash[:-1] & ~slash[1:] & (batch.data[1:] != SEPARATOR)
    return np.bincount(batch.owner[:-1][ends], minlength=len(batch.lengths))


def longest_runs(batch: Joined) -> dict[str, Ints]:
    """Longest stretch in each text of digits, of letters, of special characters and of one character."""
    kind = KIND_OF[batch.data]
    kind = np.where(kind == UPPER, LOWER, kind)
    lengths = {
        name: _longest(batch, kind, of) for name, of in (("digit", DIGIT), ("letter", LOWER), ("special", SPECIAL))
    }
    return lengths | {"same": _longest(batch, batch.data, None)}


def _longest(batch: Joined, labels: npt.NDArray[np.uint8], of: int | None) -> Ints:
    starts = np.flatnonzero(np.append(True, labels[1:] != labels[:-1]))
    runs = np.diff(np.append(starts, len(labels)))
    counted = labels[starts] == of if of is not None else batch.data[starts] != SEPARATOR
    longest = np.zeros(len(batch.lengths), dtype=np.int64)
    np.maximum.at(longest, batch.owner[starts[counted]], runs[counted])
    return longest


def _slices(lengths: Ints) -> Iterator[slice]:
    ends = np.cumsum(lengths)
    start = 0
    while start < len(lengths):
        before = ends[start - 1] if start else 0
        stop = int(np.searchsorted(ends, before + MOST_BYTES, side="right"))
        stop = min(max(stop, start + 1), start + MOST_TEXTS)
        yield slice(start, stop)
        start = stop
