"""A part of a raw log to the skeleton and session of each line, in a folder that is named by what was read."""

import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from utils.features.log_parts.division import Part
from utils.features.log_templates import blocks
from utils.features.log_templates.masking import Block, Numbers, Places, compiled
from utils.features.log_templates.scanning import Scanned, scan

VERSION = "1"
ROWS, NAMES, SKELETONS, FACTS = "rows.parquet", "names.parquet", "skeletons.parquet", "piece.json"
GROUP_ROWS = 1 << 14
READ_BYTES = 1 << 20


class Piece(NamedTuple):
    """What is known of a parsed part, or of a piece of a packed file.

    Attributes:
        key: digest of the bytes and of how they were read; names the folder.
        lines: lines of the part.
        skeletons: distinct skeletons of the part.
        row_borders: where the rows of each share of the sessions begin, and where the last ends.
        name_borders: likewise for the names of sessions.
    """

    key: str
    lines: int
    skeletons: int
    row_borders: list[int]
    name_borders: list[int]


def parse_part(part: Part, folder: str, identifier: str | None, shares: int, part_bytes: int) -> list[Piece]:
    """Parse the lines of a part on their own.

    Each piece becomes a folder that appears when it is complete: ``rows.parquet`` (``row`` and ``line``, counted from 0
    in the piece, ``skeleton``, and with an identifier ``name``; by share of the session, then by line),
    ``names.parquet`` (``name`` and its ``first_row``) and ``skeletons.parquet`` (``skeleton``, ``count``). A folder
    that is there already is not made again.

    Args:
        part: of :func:`~utils.features.log_parts.divide`.
        folder: gets the folders.
        identifier: regular expression of the session's name; ``None`` for lines without sessions.
        shares: number of shares into which sessions are dealt out by the hash of their name.
        part_bytes: bytes of the lines of one piece of a packed file.

    Returns:
        The pieces in the order of their lines: one, or as many as a packed file takes.

    Raises:
        DataError: if the identifier names nothing, or a packed file is damaged.
        OSError: if a file cannot be read or written; nothing unfinished is left behind.
    """
    settings = f"{VERSION} {identifier!r} {shares} {part_bytes if part.end is None else ''}"
    source = _digest(part)
    if part.end is not None:
        lines = blocks.of_file(part.path, min(part_bytes, blocks.BLOCK_BYTES), begin=part.begin, end=part.end)
        return [_piece(lines, Path(folder), _key(settings, source), identifier, shares)]
    pieces = []
    for number, lines in enumerate(_cut(blocks.of_file(part.path, min(part_bytes, blocks.BLOCK_BYTES)), part_bytes)):
        pieces.append(_piece(lines, Path(folder), _key(settings, source, number), identifier, shares))
        for _ in lines:
            pass
    return pieces


def _piece(lines: Iterator[Block], folder: Path, key: str, identifier: str | None, shares: int) -> Piece:
    target = folder / key
    if not target.exists():
        scanned = scan(lines, identifier)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=folder) as work:
            unfinished = Path(work) / key
            unfinished.mkdir()
            _write(scanned, unfinished, key, shares)
            _appear(unfinished, target)
    return Piece(**json.loads((target / FACTS).read_text()))


def _appear(folder: Path, target: Path) -> None:
    """Give a folder its name, unless another worker was faster with the same bytes."""
    try:
        folder.rename(target)
    except OSError:
        if not target.exists():
            raise


def _write(scanned: Scanned, folder: Path, key: str, shares: int) -> None:
    """Write the rows of each share one after the other, in the order of the lines."""
    columns: dict[str, Any] = {}
    name_borders: Places = np.zeros(2, dtype=np.int64)
    order, row_borders = np.arange(scanned.line.size), np.array([0, scanned.line.size])
    if scanned.names is not None:
        share = scanned.names.shares(shares)
        names, name_borders = _by_share(share, shares)
        order, row_borders = _by_share(share[scanned.number], shares)
        place = np.empty(names.size, dtype=np.uint32)
        place[names] = np.arange(names.size, dtype=np.uint32)
        columns["name"] = place[scanned.number[order]]
        first = _first_rows(scanned.number, names.size)[names]
        _parquet({"name": scanned.names.all().gather(names), "first_row": first}, folder / NAMES)
    line = scanned.line[order]
    columns = {
        "row": order.astype(np.uint32),
        "line": line.astype(np.uint32),
        "skeleton": scanned.rows[line].astype(np.uint32),
    } | columns
    _parquet(columns, folder / ROWS)
    texts = scanned.skeletons.texts
    counted = {"skeleton": pl.Series(texts, dtype=pl.String), "count": scanned.skeletons.counts[: len(texts)]}
    _parquet(counted, folder / SKELETONS)
    facts = Piece(key, scanned.rows.size, len(texts), row_borders.tolist(), name_borders.tolist())
    (folder / FACTS).write_text(json.dumps(facts._asdict()))


def _by_share(share: Numbers, shares: int) -> tuple[Places, Places]:
    """Order that puts shares one behind the other and keeps the order within, and where each begins."""
    borders, order = np.zeros(shares + 1, dtype=np.int64), np.empty(share.size, dtype=np.int64)
    compiled().gather(share, borders, order)
    return order, borders


def _first_rows(number: Numbers, count: int) -> Places:
    """Row at which each name stands first; names are numbered in order of first appearance."""
    highest = np.maximum.accumulate(number)
    return np.searchsorted(highest, np.arange(count)).astype(np.uint32)


def _parquet(columns: dict[str, Any], path: Path) -> None:
    pl.DataFrame(columns).write_parquet(path, compression="lz4", row_group_size=GROUP_ROWS, statistics=False)


def _cut(lines: Iterable[Block], most: int) -> Iterator[Iterator[Block]]:
    """Cut blocks into runs of about so many bytes; each run must be used up before the next is asked for."""
    rest = iter(lines)
    for first in rest:
        yield _run(first, rest, most)


def _run(first: Block, rest: Iterator[Block], most: int) -> Iterator[Block]:
    read = 0
    for block in chain([first], rest):
        yield block
        read += block.data.size
        if read >= most:
            return


def _digest(part: Part) -> bytes:
    """SHA-256 of the bytes of a part, as they stand in the file."""
    found = hashlib.sha256()
    with Path(part.path).open("rb", buffering=0) as file:
        file.seek(part.begin)
        left = np.inf if part.end is None else part.end - part.begin
        while left and (block := file.read(int(min(READ_BYTES, left)))):
            found.update(block)
            left -= len(block)
    # a byte order mark counts at the beginning of a file only
    return found.digest() + (b"" if part.begin else b"first")


def _key(settings: str, source: bytes, number: int = 0) -> str:
    return hashlib.sha256(f"{settings} {number} ".encode() + source).hexdigest()[:32]
