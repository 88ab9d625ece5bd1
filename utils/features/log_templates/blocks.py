"""Files as blocks of whole lines, read once from front to back in bounded memory, plain or packed."""

import bz2
import gzip
import lzma
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np

from utils.errors import DataError
from utils.features.log_templates.masking import Block, Bytes

BLOCK_BYTES = 1 << 22
STEP = 1 << 12
MARK = b"\xef\xbb\xbf"
PACKED: Mapping[bytes, Callable[..., Any]] = MappingProxyType(
    {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
)
"""How files are unpacked that begin with these bytes: gzip, bzip2, xz."""


def is_packed(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file is packed with gzip, bzip2 or xz: such a file can only be read from its beginning.

    Raises:
        OSError: if the file cannot be read.
    """
    return _unpacker(Path(path)) is not None


def of_file(
    path: str | os.PathLike[str], size: int = BLOCK_BYTES, *, begin: int = 0, end: int | None = None
) -> Iterator[Block]:
    r"""Read a file as blocks of lines that end in ``\n`` (or ``\r\n``: masking takes ``\r`` for white space).

    A block has at least one line, however long; a byte order mark is left out. Files that are packed with gzip, bzip2
    or xz are unpacked on the way.

    Args:
        path: file of any encoding that keeps ASCII, as UTF-8 or Latin-1.
        size: bytes to read at a time.
        begin: byte at which to begin; a line must begin there.
        end: byte before which to end, likewise; ``None`` for the end of the file.

    Raises:
        DataError: if a packed file is damaged.
        OSError: if the file cannot be read.
    """
    unpack = _unpacker(Path(path))
    if unpack is None:
        with Path(path).open("rb") as file:
            yield from _blocks(file, size, begin, end)
        return
    lines = 0
    try:
        with unpack(path, "rb") as file:
            for block in _blocks(file, size, begin, end):
                lines += block.begins.size
                yield block
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        if getattr(error, "errno", None) is not None:
            raise
        problem = f"must be a whole packed file, found damage behind line {lines} ({error})"
        raise DataError(f"{path} {problem}: fetch or pack it again") from None


def _blocks(file: BinaryIO, size: int, begin: int, end: int | None) -> Iterator[Block]:
    if begin or file.read(len(MARK)) != MARK:
        file.seek(begin)
    rest = np.empty(0, dtype=np.uint8)
    left = np.inf if end is None else end - file.tell()
    while True:
        data = np.empty(rest.size + int(min(size, left)), dtype=np.uint8)
        data[: rest.size] = rest
        read = file.readinto(data[rest.size :].data)  # type: ignore[attr-defined]
        left -= read
        data = data[: rest.size + read]
        last = _behind_last_break(data, rest.size) if read else data.size
        if last:
            yield Block.of_bytes(data[:last])
        if not read:
            return
        rest = data[last:]


def _unpacker(path: Path) -> Callable[..., Any] | None:
    with path.open("rb") as file:
        first = file.read(max(map(len, PACKED)))
    return next((unpack for magic, unpack in PACKED.items() if first.startswith(magic)), None)


def _behind_last_break(data: Bytes, begin: int) -> int:
    """Place behind the last line break from ``begin`` on; 0 if there is none."""
    for first in range(data.size - STEP, begin - STEP, -STEP):
        found = data[max(first, begin) : first + STEP].tobytes().rfind(b"\n")
        if found >= 0:
            return max(first, begin) + found + 1
    return 0
