"""Files as blocks of whole lines, read once from front to back in bounded memory."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from utils.features.log_templates.masking import Block, Bytes

BLOCK_BYTES = 1 << 22
STEP = 1 << 12
MARK = b"\xef\xbb\xbf"


def of_file(path: str | os.PathLike[str], size: int = BLOCK_BYTES) -> Iterator[Block]:
    r"""Read a file as blocks of lines that end in ``\n`` (or ``\r\n``: masking takes ``\r`` for white space).

    A block has at least one line, however long; a byte order mark is left out.

    Args:
        path: file of any encoding that keeps ASCII, as UTF-8 or Latin-1.
        size: bytes to read at a time.

    Raises:
        OSError: if the file cannot be read.
    """
    rest = np.empty(0, dtype=np.uint8)
    with Path(path).open("rb") as file:
        if file.read(len(MARK)) != MARK:
            file.seek(0)
        while True:
            data = np.empty(rest.size + size, dtype=np.uint8)
            data[: rest.size] = rest
            read = file.readinto(data[rest.size :].data)
            data = data[: rest.size + read]
            end = _behind_last_break(data, rest.size) if read else data.size
            if end:
                yield Block.of_bytes(data[:end])
            if not read:
                return
            rest = data[end:]


def _behind_last_break(data: Bytes, begin: int) -> int:
    """Place behind the last line break from ``begin`` on; 0 if there is none."""
    for first in range(data.size - STEP, begin - STEP, -STEP):
        found = data[max(first, begin) : first + STEP].tobytes().rfind(b"\n")
        if found >= 0:
            return max(first, begin) + found + 1
    return 0
