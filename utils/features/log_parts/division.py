"""Files cut into parts at the borders of lines, without copying any."""

import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, NamedTuple

from utils.errors import DataError
from utils.features.log_templates import blocks

PART_BYTES = 1 << 27
STEP = 1 << 16

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


class Part(NamedTuple):
    """Some successive lines of a file.

    Attributes:
        path: the file.
        begin: byte of the file at which the first line begins.
        end: byte behind the last line; ``None`` for the end of a packed file, whose length is not known before.
    """

    path: str
    begin: int
    end: int | None


def divide(files: Paths, part_bytes: int = PART_BYTES) -> list[Part]:
    r"""Cut log files into parts of whole lines.

    Only a few bytes around each border are read. A file that is packed (gzip, bzip2, xz) is one part, because it can
    only be read from its beginning; :func:`~utils.features.log_parts.parse_part` takes it in pieces.

    Args:
        files: one file or several, in the order of their lines; each ends a line, with or without ``\n``.
        part_bytes: bytes of a part, up to one line more.

    Returns:
        The parts, in the order of the lines; none of an empty file.

    Raises:
        DataError: if there is no file, or a part has no byte.
        OSError: if a file cannot be read.
    """
    paths = [files] if isinstance(files, str | os.PathLike) else list(files)
    if not paths:
        raise DataError("a log must have at least one file, found none: name its files")
    if part_bytes < 1:
        raise DataError(f"a part must have at least 1 byte, found {part_bytes}: give a positive number")
    return [part for path in paths for part in _of_file(Path(path).resolve(), part_bytes)]


def _of_file(path: Path, part_bytes: int) -> list[Part]:
    if blocks.is_packed(path):
        return [Part(str(path), 0, None)]
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        borders = [0]
        while borders[-1] < size:
            borders.append(_border(file, borders[-1] + part_bytes, size))
    return [Part(str(path), begin, end) for begin, end in pairwise(borders)]


def _border(file: BinaryIO, place: int, size: int) -> int:
    """Where the first line begins at or behind a place; the size if none does."""
    file.seek(place - 1)
    while step := file.read(STEP):
        found = step.find(b"\n")
        if found >= 0:
            return file.tell() - len(step) + found + 1
    return size
