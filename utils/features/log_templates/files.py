"""A raw log file, of any length, to the template and the session of each line."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from utils.datasets import folders, sessions
from utils.features.log_sessions import list_column
from utils.features.log_templates import blocks
from utils.features.log_templates.estimator import LogTemplates, gathered, template_table
from utils.features.log_templates.identifiers import Identifiers
from utils.features.log_templates.masking import Numbers, Places, Skeletons, compiled

PART_LINES = 2_000_000


class ParsedFile(NamedTuple):
    """What became of a file.

    Attributes:
        parser: the templates: those that were given, or those of the file.
        lines: one row a line, or a line and identifier, in order: ``line`` (Int64, from 1), ``template_id`` (String),
            ``known`` (Boolean), and with an identifier ``session`` (String).
    """

    parser: LogTemplates
    lines: pl.DataFrame


def parse_file(
    path: str | os.PathLike[str],
    parser: LogTemplates | None = None,
    *,
    identifier: str | None = None,
    block_bytes: int = blocks.BLOCK_BYTES,
) -> ParsedFile:
    r"""Find the template of each line of a raw log file, and the session if asked for.

    The file is read once, in blocks; what is kept of a line are a few bytes, not its text.

    Args:
        path: text file, one line each.
        parser: fitted parser; ``None`` learns the templates from this file.
        identifier: regular expression of the session's name, as ``r"blk_-?\d+"`` (see
            :func:`utils.datasets.sessions.identify`): lines without one are left out, and a line with several
            different ones stands once for each.
        block_bytes: bytes to read at a time.

    Returns:
        The parser and the lines.

    Raises:
        DataError: if the identifier is no regular expression that names something.
        OSError: if the file cannot be read.
    """
    scanned = _scan(Path(path), identifier, block_bytes)
    parser = parser or scanned.learn()
    return ParsedFile(parser, scanned.frame(parser, 0, scanned.rows.size))


def write_parsed(
    path: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    parser: LogTemplates | None = None,
    *,
    identifier: str | None = None,
    block_bytes: int = blocks.BLOCK_BYTES,
) -> LogTemplates:
    """Write what :func:`parse_file` finds as Parquet parts, for files whose lines do not fit into memory as a frame.

    Args:
        path: text file, one line each.
        folder: gets ``lines-00000.parquet`` and so on, which ``polars.scan_parquet`` reads as one, and
            ``templates.parquet``; replaced if it exists. It appears when it is complete.
        parser: as :func:`parse_file`.
        identifier: as :func:`parse_file`.
        block_bytes: bytes to read at a time.

    Returns:
        The parser.

    Raises:
        DataError: as :func:`parse_file`.
        OSError: if the file cannot be read or the folder cannot be written; nothing is left behind.
    """
    scanned = _scan(Path(path), identifier, block_bytes)
    parser = parser or scanned.learn()
    with folders.replaced(Path(folder)) as unfinished:
        for number, begin in enumerate(range(0, max(scanned.rows.size, 1), PART_LINES)):
            part = scanned.frame(parser, begin, begin + PART_LINES)
            part.write_parquet(unfinished / f"lines-{number:05d}.parquet")
        parser.templates_.write_parquet(unfinished / "templates.parquet")
    return parser


def read_sessions(
    path: str | os.PathLike[str], identifier: str, parser: LogTemplates | None = None
) -> tuple[pl.DataFrame, LogTemplates]:
    r"""Read a raw log file as sessions of template ids, in one call.

    Args:
        path: text file, one line each.
        identifier: regular expression of the session's name, as ``r"blk_-?\d+"``.
        parser: fitted parser; ``None`` learns the templates from this file.

    Returns:
        One row a session, in order of first appearance, as :func:`utils.datasets.sessions.by_identifier`, with the list
        column ``lines`` (Int64) beside ``events``: an alarm leads back to the lines of the file. And the parser.

    Raises:
        DataError: if the identifier is no regular expression that names something.
        OSError: if the file cannot be read.
    """
    scanned = _scan(Path(path), identifier, blocks.BLOCK_BYTES)
    parser = parser or scanned.learn()
    offsets, order = np.zeros(scanned.names.len() + 1, dtype=np.int64), np.empty(scanned.line.size, dtype=np.int64)
    compiled().gather(scanned.number, offsets, order)
    line = scanned.line[order]
    table = {
        sessions.SESSION: scanned.names,
        "first_line": line[offsets[:-1]] + 1,
        "last_line": line[offsets[1:] - 1] + 1,
        "n_events": np.diff(offsets).astype(np.uint32),
        "events": list_column(scanned.templates(parser)["template_id"].gather(scanned.rows[line]), offsets, "events"),
        "lines": list_column(pl.Series(line + 1), offsets, "lines"),
    }
    return pl.DataFrame(table), parser


@dataclass(frozen=True)
class _Scanned:
    """What one pass over a file finds.

    Attributes:
        rows: number of each line's skeleton.
        skeletons: the skeletons.
        line: place of each line, or of the line of each identifier found, from 0.
        number: number of each identifier found.
        names: the distinct identifiers.
        named: whether identifiers were looked for.
    """

    rows: Numbers
    skeletons: Skeletons
    line: Places
    number: Numbers
    names: pl.Series
    named: bool

    def learn(self) -> LogTemplates:
        """Fit a parser."""
        return LogTemplates().add(self.skeletons)

    def templates(self, parser: LogTemplates) -> pl.DataFrame:
        """Template of each skeleton."""
        return template_table(parser.describe(self.skeletons.texts))

    def frame(self, parser: LogTemplates, first: int, end: int) -> pl.DataFrame:
        """Table of the lines with the places ``first <= place < end``."""
        begin, stop = np.searchsorted(self.line, [first, end])
        line = self.line[begin:stop]
        frame = gathered(self.templates(parser).drop("template"), self.rows[line], first + 1)
        if not self.named:
            return frame
        session = self.names.gather(self.number[begin:stop]).alias(sessions.SESSION)
        return frame.with_columns(pl.Series("line", line + 1), session)


def _scan(path: Path, identifier: str | None, block_bytes: int) -> _Scanned:
    """Number the skeletons of all lines, and find the identifiers."""
    skeletons, found = Skeletons(), None if identifier is None else Identifiers(identifier)
    parts, begin = [np.empty(0, dtype=np.int32)], 0
    for block in blocks.of_file(path, block_bytes):
        parts.append(skeletons.number(block))
        if found is not None:
            found.find(block, begin)
        begin += block.begins.size
    rows = np.concatenate(parts)
    if found is None:
        return _Scanned(rows, skeletons, np.arange(rows.size), rows, pl.Series([], dtype=pl.String), False)
    return _Scanned(rows, skeletons, *found.all(), found.names.all(), True)
