"""From lines to skeletons: values become ``<*>``, the words of the statement stay.

One fixed set of rules for all systems, applied to bytes in one pass (compiled, see ``_kernel``). A line is cut into
words at white space and at ``= ( ) [ ] { } < > " ' ` : , ; |``. A value is

- a word with a digit or a backslash (numbers, hexadecimal numbers, addresses, UUIDs, versions, node names, Windows
  paths), a number together with its unit (``5.2 KB``, ``<1 sec``), a letters-only hexadecimal word of eight or more;
- a path, a URL, an e-mail, hardware or IP address, a domain name, the full dotted name of a class or package, a dotted
  word with a port or line number;
- ``true``, ``false``, ``null``, a date with names of days or months, a time zone behind a time;
- what stands behind ``=``, quoted, bracketed or empty; the inside of braces; empty brackets; a dash inside brackets;
- everything behind the first line of a text of several lines, and behind 1,024 bytes of skeleton.

Values that follow one another, with nothing but punctuation between them, are one. White space is one blank.

The idea of masking before grouping is that of Drain's preprocessing (He et al., "Drain: An Online Log Parsing Approach
with Fixed Depth Tree", ICWS 2017), without its list of regular expressions for each system.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

WILDCARD = "<*>"
VARIABLE = "\x01"
FIRST_CAPACITY = 1 << 6
ASCII = 127
LIST = re.compile(rf"{VARIABLE}([^{VARIABLE}]+){VARIABLE}(?:\1{VARIABLE})+|{VARIABLE}([^{VARIABLE}]+)(?:{VARIABLE}\2)+")

Bytes = NDArray[np.uint8]
Places = NDArray[np.int64]
Numbers = NDArray[np.int32]


class Block(NamedTuple):
    """Some lines as bytes.

    Attributes:
        data: the bytes.
        begins: where each line begins.
        ends: where each line ends.
    """

    data: Bytes
    begins: Places
    ends: Places

    @classmethod
    def of_texts(cls, texts: pl.Series) -> "Block":
        """Lay out a String column; null counts as an empty line."""
        filled = texts.fill_null("") if texts.has_nulls() else texts
        array = filled.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
        _, offsets, data = array.buffers()
        places = np.frombuffer(offsets, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
        content = np.frombuffer(data, dtype=np.uint8) if data is not None else np.empty(0, dtype=np.uint8)
        return cls(content, places[:-1], places[1:])

    @classmethod
    def of_bytes(cls, data: Bytes) -> "Block":
        r"""Cut bytes at ``\n``; an unfinished last line counts as a line."""
        ends = np.flatnonzero(data == ord("\n"))
        if data.size and data[-1] != ord("\n"):
            ends = np.append(ends, data.size)
        return cls(data, np.concatenate(([0], ends[:-1] + 1))[: ends.size], ends)

    def texts(self) -> pl.Series:
        """The lines of a cut block as texts; bytes that are no UTF-8 are shown as such."""
        if self.data.size and self.data.max() > ASCII:
            try:
                self.data.tobytes().decode("utf-8")
            except UnicodeDecodeError:
                lines = (self.data[begin:end].tobytes() for begin, end in zip(self.begins, self.ends, strict=True))
                decoded = [line.decode("utf-8", "replace") for line in lines]
                return pl.Series(decoded, dtype=pl.String).str.strip_suffix("\r")
        offsets = pa.py_buffer(np.append(self.begins, self.data.size))
        whole = pa.LargeStringArray.from_buffers(self.begins.size, offsets, pa.py_buffer(self.data))
        return pl.Series(whole, dtype=pl.String).str.strip_suffix("\n").str.strip_suffix("\r")

    def pieces(self, begin: Places, end: Places) -> pl.Series:
        """Pieces of the data as texts; bytes that are no UTF-8 are shown as such."""
        offsets = np.concatenate(([0], np.cumsum(end - begin)))
        out = np.empty(offsets[-1], dtype=np.uint8)
        compiled().cut(self.data, begin, end, offsets, out)
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(out)]
        raw = pl.Series(pa.LargeBinaryArray.from_buffers(pa.large_binary(), begin.size, buffers), dtype=pl.Binary)
        texts = raw.cast(pl.String, strict=False)
        if texts.null_count():
            texts = pl.Series([value.decode("utf-8", "replace") for value in raw], dtype=pl.String)
        return texts


@dataclass
class Skeletons:
    """The distinct skeletons of the blocks that were numbered so far.

    Attributes:
        texts: skeletons in order of first appearance, with the control character 1 for each value; those that differ
            in bytes that are no UTF-8, or in the length of a list only, have equal texts.
        exact: their bytes.
        counts: lines of each.
    """

    texts: list[str] = field(default_factory=list)
    exact: list[bytes] = field(default_factory=list)
    counts: Places = field(default_factory=lambda: np.zeros(FIRST_CAPACITY, dtype=np.int64))
    _hashes: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(4 * FIRST_CAPACITY, dtype=np.uint64))
    _slots: Numbers = field(default_factory=lambda: np.zeros(4 * FIRST_CAPACITY, dtype=np.int32))

    def number(self, block: Block) -> Numbers:
        """Number the skeleton of each line of a block; new ones get the next numbers."""
        kernel = compiled()
        rows = np.empty(block.begins.size, dtype=np.int32)
        done, used = 0, len(self.texts)
        while True:
            examples = np.empty(self.counts.size, dtype=np.int64)
            done, used = kernel.number(*block, done, self._hashes, self._slots, used, rows, examples, self.counts)
            new = [skeleton(block, int(row)) for row in examples[len(self.texts) : used]]
            self.exact += new
            self.texts += [collapsed(text.decode("utf-8", "replace")) for text in new]
            if done == rows.size:
                return rows
            self._grow()

    def _grow(self) -> None:
        """Make four times the room."""
        taken = np.flatnonzero(self._hashes)
        hashes, slots = self._hashes[taken], self._slots[taken]
        size = 4 * self._hashes.size
        self._hashes, self._slots = np.zeros(size, dtype=np.uint64), np.zeros(size, dtype=np.int32)
        compiled().insert(hashes, slots, self._hashes, self._slots)
        self.counts = np.concatenate((self.counts, np.zeros(3 * self.counts.size, dtype=np.int64)))


def compiled() -> Any:  # noqa: ANN401 (a module of compiled functions)
    """Return the compiled loops; the first call of a process imports numba."""
    from utils.features.log_templates import _kernel

    return _kernel


def skeleton(block: Block, row: int) -> bytes:
    """Skeleton of one line, as the compiled loops make it: lists are not collapsed yet."""
    kernel = compiled()
    out = np.empty(kernel.MOST_BYTES + 8, dtype=np.uint8)
    return out[: kernel.write(block.data, block.begins[row], block.ends[row], out)].tobytes()


def collapsed(text: str) -> str:
    """Take a list of values for one value: three or more that the same words separate, or two that they also follow."""
    return LIST.sub(lambda found: VARIABLE + (found[2] or ""), text) if text.count(VARIABLE) > 1 else text


def shown(texts: Sequence[str]) -> list[str]:
    """Skeletons with ``<*>`` for each value."""
    return [text.replace(VARIABLE, WILDCARD) for text in texts]
