"""Raw log lines: read, taken apart by the header pattern, with time and place; no Python runs for each line."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from utils.datasets.contract import Defect
from utils.datasets.own import paths, pattern, text, times
from utils.datasets.own.entry import OwnEntry, groups
from utils.errors import DataError

LINE_ID = "line_id"
OWNER, RAW, FAMILY, SEARCH = pattern.INTERNAL


class Lines(NamedTuple):
    """The lines of a log and what was reported.

    Attributes:
        frame: line_id (1, 2, ... in reading order), file, line (number in the file, from 1), time, the other groups of
            the header, content, continuation (true for lines that the header does not match).
        defects: what was put right.
    """

    frame: pl.DataFrame
    defects: tuple[Defect, ...]


def read(entry: OwnEntry, found: Sequence[Path]) -> Lines:
    """Read log files line by line.

    A line that the header does not match continues the line before it (a stack trace): it takes over that line's time
    and groups. Lines of several files are merged by time if they have one. Empty lines are left out.

    Returns:
        The lines, and what was reported.

    Raises:
        CatalogError: if the time cannot be read as the entry says.
        DataError: if a file is empty or damaged, or the header matches less than half of the lines.
    """
    parts = [_file(entry, path) for path in found]
    raw = pl.concat([part for part, _ in parts])
    if raw.is_empty():
        raise DataError(f"data set {entry.name!r}: its files must hold lines, found blank ones only: correct files")
    matched = _matched(entry, raw)
    timed, time_defects = _timed(entry, matched)
    ordered = _inherited(timed) if timed["continuation"].any() else timed.drop(OWNER)
    if len(found) > 1 and "time" in ordered.columns:
        ordered = ordered.sort(pl.col("time").forward_fill().backward_fill().over("file"), maintain_order=True)
    numbered = ordered.with_row_index(LINE_ID, offset=1).drop(FAMILY)
    return Lines(numbered, (*_replaced(parts), *_continued(matched), *time_defects))


def _file(entry: OwnEntry, path: Path) -> tuple[pl.DataFrame, int]:
    """Read the lines of one file that are not empty, and count its lines with broken bytes."""
    data, broken = text.forgiving(entry, text.content(path))
    lines = pl.read_lines(data, name=RAW, row_index_name="line", row_index_offset=1)
    lines = lines.with_columns(pl.col(RAW).str.strip_chars_end("\r")).filter(pl.col(RAW).str.contains(r"\S"))
    place = path.relative_to(entry.folder) if path.is_relative_to(entry.folder) else path.name
    named = lines.with_columns(pl.lit(str(place)).alias("file"), pl.lit(paths.family(path)).alias(FAMILY))
    return named, int(lines[RAW].str.contains("\ufffd", literal=True).sum()) if broken else 0


def _matched(entry: OwnEntry, raw: pl.DataFrame) -> pl.DataFrame:
    """Take the lines apart.

    Raises:
        DataError: if more than half of them do not match.
    """
    names = groups(entry)
    parts = raw[RAW].str.extract_groups(pattern.anchored(entry.header))
    frame = raw.with_columns(parts.struct.field(name).alias(name) for name in names)
    frame = frame.with_columns(continuation=pl.col(pattern.CONTENT).is_null())
    others = int(frame["continuation"].sum())
    if others * 2 > frame.height:
        first = frame.filter("continuation").row(0, named=True)
        raise DataError(
            f"data set {entry.name!r}: header must match most lines, found {others:,} of {frame.height:,} that do not, "
            f"the first in {first['file']}, line {first['line']}: {first[RAW][:200]!r}: correct header "
            f"{entry.header!r}"
        )
    content = pl.when("continuation").then(RAW).otherwise(pattern.CONTENT).alias(pattern.CONTENT)
    owner = pl.when(~pl.col("continuation")).then(pl.col(OWNER)).forward_fill().over("file")
    frame = frame.with_row_index(OWNER).with_columns(content, owner).drop(RAW)
    first_columns = ["file", "line", *(name for name in names if name != pattern.CONTENT), pattern.CONTENT]
    return frame.select(*first_columns, "continuation", FAMILY, OWNER)


def _timed(entry: OwnEntry, frame: pl.DataFrame) -> tuple[pl.DataFrame, tuple[Defect, ...]]:
    """Parse the time of each line from the groups ``date`` and ``time``."""
    written = [name for name in ("date", "time") if name in frame.columns]
    if not written:
        return frame, ()
    whole = frame.select(pl.concat_str(written, separator=" ")).to_series()
    parsed = times.parse(entry, f"the group {' and '.join(written)} of header", whole, frame[FAMILY])
    place = frame.columns.index(written[0])
    rest = frame.drop(written)
    return rest.insert_column(place, parsed.values.alias("time")), parsed.defects


def _inherited(frame: pl.DataFrame) -> pl.DataFrame:
    """Let continuation lines take over the time and the groups of the line that they continue."""
    own = ("file", "line", pattern.CONTENT, "continuation", FAMILY, OWNER)
    shared = [name for name in frame.columns if name not in own]
    return frame.with_columns(pl.col(shared).gather(OWNER), pl.col(pattern.CONTENT).gather(OWNER).alias(SEARCH)).drop(
        OWNER
    )


def _replaced(parts: Sequence[tuple[pl.DataFrame, int]]) -> tuple[Defect, ...]:
    broken = sum(count for _, count in parts)
    what = "lines with bytes that are no text in the encoding of the file"
    handling = "each such byte is read as U+FFFD; encoding in the entry may name another"
    return (Defect(what, broken, handling),) if broken else ()


def _continued(matched: pl.DataFrame) -> tuple[Defect, ...]:
    others = matched.filter("continuation")
    orphans = others[OWNER].null_count()
    report = []
    if joined := others.height - orphans:
        report.append(
            Defect("lines that the header does not match", joined, "taken as continuing the line before them")
        )
    if orphans:
        handling = "kept without time and session"
        report.append(Defect("lines before the first that the header matches", orphans, handling))
    return tuple(report)
