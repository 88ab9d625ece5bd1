"""A raw log file, of any length, to the template and the session of each line."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from utils.datasets import sessions
from utils.features.log_templates import blocks
from utils.features.log_templates.estimator import LogTemplates, template_columns
from utils.features.log_templates.masking import Numbers, Skeletons

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
    rows, skeletons, named = _scan(Path(path), identifier, block_bytes)
    if parser is None:
        parser = LogTemplates()
        parser.add(skeletons)
    return ParsedFile(parser, _frame(rows, parser, skeletons, named, 0))


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
    rows, skeletons, named = _scan(Path(path), identifier, block_bytes)
    if parser is None:
        parser = LogTemplates()
        parser.add(skeletons)
    with _complete_only(Path(folder)) as unfinished:
        for number, begin in enumerate(range(0, max(rows.size, 1), PART_LINES)):
            part = _frame(rows[begin : begin + PART_LINES], parser, skeletons, _between(named, begin), begin)
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
    parsed = parse_file(path, parser, identifier=identifier)
    found = sessions.by_name(parsed.lines, order="line", event="template_id", keep=["line"])
    return found.rename({"line": "lines"}), parsed.parser


def _scan(path: Path, identifier: str | None, block_bytes: int) -> tuple[Numbers, Skeletons, pl.DataFrame | None]:
    """Number the skeletons of all lines, and name their sessions: ``_row`` and ``session``."""
    skeletons = Skeletons()
    rows, named, begin = [np.empty(0, dtype=np.int32)], [], 0
    for block in blocks.of_file(path, block_bytes):
        rows.append(skeletons.number(block))
        if identifier is not None:
            named.append(sessions.identify(_placed(block.texts(), begin), identifier, text="_text").drop("_text"))
        begin += rows[-1].size
    if identifier is None:
        return np.concatenate(rows), skeletons, None
    empty = sessions.identify(_placed(pl.Series([], dtype=pl.String), 0), identifier, text="_text").drop("_text")
    return np.concatenate(rows), skeletons, pl.concat([empty, *named])


def _placed(texts: pl.Series, begin: int) -> pl.DataFrame:
    return pl.DataFrame({"_row": pl.int_range(begin, begin + texts.len(), eager=True), "_text": texts})


def _between(named: pl.DataFrame | None, begin: int) -> pl.DataFrame | None:
    """Names of the lines of one part, counted from its begin."""
    if named is None:
        return None
    first, end = named["_row"].search_sorted(pl.Series([begin, begin + PART_LINES])).to_list()
    return named[first:end].with_columns(pl.col("_row") - begin)


def _frame(
    rows: Numbers, parser: LogTemplates, skeletons: Skeletons, named: pl.DataFrame | None, begin: int
) -> pl.DataFrame:
    used = rows if named is None else rows[named["_row"].to_numpy()]
    line = np.arange(rows.size) if named is None else named["_row"].to_numpy()
    columns = template_columns(parser.describe(skeletons.texts), used)
    frame = pl.DataFrame(
        [pl.Series("line", line + begin + 1), *(column for column in columns if column.name != "template")]
    )
    return frame if named is None else frame.with_columns(named["session"])


@contextmanager
def _complete_only(folder: Path) -> Iterator[Path]:
    """A folder to write to, which gets its name only if nothing went wrong."""
    unfinished = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.replace(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
