"""A raw log file, of any length, to the template and the session of each line."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from utils.datasets import folders, sessions
from utils.features.log_sessions import list_column
from utils.features.log_templates import blocks
from utils.features.log_templates.estimator import LogTemplates
from utils.features.log_templates.masking import compiled
from utils.features.log_templates.scanning import scan

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
    scanned = scan(blocks.of_file(path, block_bytes), identifier)
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
    scanned = scan(blocks.of_file(path, block_bytes), identifier)
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
    scanned = scan(blocks.of_file(path), identifier)
    parser = parser or scanned.learn()
    names = scanned.names.all() if scanned.names is not None else pl.Series([], dtype=pl.String)
    offsets, order = np.zeros(names.len() + 1, dtype=np.int64), np.empty(scanned.line.size, dtype=np.int64)
    compiled().gather(scanned.number, offsets, order)
    line = scanned.line[order]
    table = {
        sessions.SESSION: names,
        "first_line": line[offsets[:-1]] + 1,
        "last_line": line[offsets[1:] - 1] + 1,
        "n_events": np.diff(offsets).astype(np.uint32),
        "events": list_column(scanned.templates(parser)["template_id"].gather(scanned.rows[line]), offsets, "events"),
        "lines": list_column(pl.Series(line + 1), offsets, "lines"),
    }
    return pl.DataFrame(table), parser
