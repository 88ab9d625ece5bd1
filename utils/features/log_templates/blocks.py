"""Files as blocks of whole lines, read once from front to back in bounded memory."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from utils.features.log_templates.masking import Block, Bytes

BLOCK_BYTES = 1 << 26
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
        while (read := np.frombuffer(file.read(size), dtype=np.uint8)).size:
            whole, rest = _cut(rest, read)
            if whole.size:
                yield Block.of_bytes(whole)
    if rest.size:
        yield Block.of_bytes(rest)


def _cut(rest: Bytes, read: Bytes) -> tuple[Bytes, Bytes]:
    """Whole lines, and what is left of the last one."""
    last = read.tobytes().rfind(b"\n")
    if last < 0:
        return rest[:0], np.concatenate((rest, read))
    whole = np.concatenate((rest, read[: last + 1])) if rest.size else read[: last + 1]
    return whole, read[last + 1 :].copy()
