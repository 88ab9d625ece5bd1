"""From raw log lines to sessions of line skeletons, chunk by chunk; a few bytes a line are kept, not its text."""

import bz2
import codecs
import gzip
import lzma
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol, Self, cast

import numpy as np
import polars as pl

from utils.datasets import sessions
from utils.datasets.own import pattern, times
from utils.datasets.own.entry import OwnEntry
from utils.errors import CatalogError, DataError, SchemaError
from utils.features.log_sessions import list_column
from utils.features.log_templates.estimator import Template
from utils.features.log_templates.identifiers import Names
from utils.features.log_templates.masking import Block, Skeletons

Lines = str | os.PathLike[str] | pl.DataFrame | pl.Series | list[str] | Any
"""Path of a raw log, or its lines: a Series or list of texts, a frame of one text column (polars or pandas), a list of
such records, or a frame of parsed lines."""

Progress = Callable[[int], object]
"""Told how many lines were read so far."""

SESSION, LINE, TEXT, TIME = "session", "line", "text", "time"
CONTENT = ("content", "Content")
NUMBERS = ("line_id", "LineId")
TIMES = ("time", "timestamp")
CHUNK_BYTES = 1 << 24
MARKS: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
SHOWN = 120
WHERE = "the log"


class Parser(Protocol):
    """Tells the template of each skeleton."""

    def describe(self, skeletons: list[str], /) -> list[Template]:
        """Find the template of each skeleton."""


@dataclass(frozen=True)
class SessionRule:
    """How raw lines become sessions; the keys are those of a log in the catalogue.

    Attributes:
        header: regular expression of a line from its start with a group ``content``; without one the whole line is the
            message.
        session: regular expression of a session's name in the message.
        window: sessions are stretches of time (``"10m"``); the header has a group ``time``.
        window_lines: sessions are runs of so many lines.
        time_format: of the times, where it is not found.
        year: of the first line, where times have no year.
        encoding: of the file, if not UTF-8 (or UTF-16 with a mark).
    """

    header: str | None = None
    session: str | None = None
    window: str | None = None
    window_lines: int | None = None
    time_format: str | None = None
    year: int | None = None
    encoding: str | None = None

    def checked(self) -> Self:
        """Check the keys, alone and together.

        Raises:
            DataError: naming the key, what was found and what to write.
        """
        if self.header is not None:
            _valid("header", self.header, pattern.header)
        if self.session is not None:
            _valid("session", self.session, pattern.session)
        given = [name for name in ("session", "window", "window_lines") if getattr(self, name) is not None]
        given += ["a group session of the header"] * (SESSION in self.groups)
        if len(given) != 1:
            found = " and ".join(given) or "none of session, window and window_lines"
            raise DataError(f"one thing must say what a session of {WHERE} is, found {found}: give exactly one of them")
        if self.window is not None and not sessions.DURATION.fullmatch(str(self.window)):
            raise DataError(f"window must be a duration such as '30s', '5m' or '1h', found {self.window!r}: correct it")
        if self.window_lines is not None and not _is_count(self.window_lines):
            found = repr(self.window_lines)
            raise DataError(f"window_lines must be a whole number of at least 1, found {found}: give such a number")
        if self.encoding is not None:
            _valid("encoding", self.encoding, _codec)
        return self

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups of the header."""
        return pattern.groups(pattern.header(self.header)) if self.header else ()

    @property
    def unit(self) -> str:
        """What a session is called: ``"session"`` where it has a name, else ``"window"``."""
        return "window" if self.window or self.window_lines else "session"


@dataclass(frozen=True, eq=False)
class Scanned:
    """What one pass over the lines finds.

    Attributes:
        skeletons: the distinct lines without their values.
        rows: one row a session, in order: ``session``, ``first_line``, ``last_line``, ``n_events``, ``rows`` (list of
            the numbers of the skeletons) and ``lines`` (list of the numbers of the lines, from 1).
        n_lines: lines that are not blank.
        n_outside: lines that belong to no session.
    """

    skeletons: Skeletons
    rows: pl.DataFrame
    n_lines: int
    n_outside: int

    def learned_from(self, chosen: pl.Series) -> Skeletons:
        """Skeletons of the lines of some sessions, with their counts.

        Args:
            chosen: true for a session whose lines count, one a session.
        """
        found = self.rows.filter(chosen).select("rows", "lines").explode("rows", "lines").unique("lines")
        counts = np.bincount(found["rows"].to_numpy(), minlength=len(self.skeletons.texts))
        kept = np.flatnonzero(counts).tolist()
        texts = [self.skeletons.texts[place] for place in kept]
        exact = [self.skeletons.exact[place] for place in kept]
        return Skeletons(texts=texts, exact=exact, counts=counts[kept].astype(np.int64))

    def sessions(self, parser: Parser) -> tuple[pl.DataFrame, dict[str, str]]:
        """Write the sessions with the ids of their templates.

        Returns:
            One row a session: ``session``, ``first_line``, ``last_line``, ``n_events``, ``events`` (list of template
            ids) and ``lines``; and the text of each template by its id.
        """
        found = parser.describe(self.skeletons.texts)
        ids = pl.Series("events", [template.id for template in found], dtype=pl.String)
        lengths = self.rows["rows"].list.len().to_numpy()
        flat = self.rows["rows"].explode(empty_as_null=False, keep_nulls=False)
        events = list_column(ids.gather(flat), np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]), "events")
        table = self.rows.drop("rows").insert_column(-1, events)
        return table, {template.id: template.text.replace("\x01", "<*>") for template in found}


def scan(lines: Lines, rule: SessionRule, progress: Progress | None = None) -> Scanned:
    """Read lines and gather them into sessions.

    A line that the header does not match continues the one before it: it takes over its session and its time.

    Args:
        lines: path of a text file (plain, gzip, bzip2 or xz), or the lines themselves.
        rule: how lines become sessions.
        progress: told how many lines were read.

    Returns:
        The sessions, those of windows in the order of time, others in order of first appearance.

    Raises:
        DataError: if the file is empty or damaged, the header matches less than half of the lines, or no line has a
            session.
        SchemaError: if the lines are no texts.
        OSError: if the file cannot be read.
    """
    reader = _Reader(rule.checked())
    for chunk in _chunks(lines, rule):
        reader.read(chunk)
        if progress is not None:
            progress(reader.n_lines)
    return reader.finished()


@dataclass
class _Reader:
    """Goes through chunks of lines; what must be known of the last line is carried over."""

    rule: SessionRule
    skeletons: Skeletons = field(default_factory=Skeletons)
    names: Names = field(default_factory=Names)
    n_lines: int = 0
    n_unmatched: int = 0
    example: str = ""
    _parts: list[pl.DataFrame] = field(default_factory=list)
    _last: pl.DataFrame | None = None

    def read(self, chunk: pl.DataFrame) -> None:
        """Number the skeletons of some lines, and find what names their sessions."""
        parsed = chunk if TEXT not in chunk.columns else self._parsed(chunk)
        numbers = self.skeletons.number(Block.of_texts(parsed["content"]))
        named = parsed.drop("content").with_columns(pl.Series("row", numbers, dtype=pl.Int32))
        self.n_lines += parsed.height
        self._parts.append(self._keyed(named))

    def finished(self) -> Scanned:
        """Gather the lines into sessions.

        Raises:
            DataError: if there is no line or no session, or the header does not fit.
        """
        if not self.n_lines:
            raise DataError(f"{WHERE} must hold lines, found none or blank ones only: give a file with text")
        if self.n_unmatched * 2 > self.n_lines:
            found = f"{self.n_unmatched:,} of {self.n_lines:,} that do not, the first {self.example[:SHOWN]!r}"
            raise DataError(f"header must match most lines of {WHERE}, found {found}: correct {self.rule.header!r}")
        keyed = self._with_sessions(pl.concat(self._parts))
        if keyed.is_empty():
            found = f"the first line is {self.example[:SHOWN]!r}" if self.example else "no line has one"
            what = self.rule.session or self.rule.window or SESSION
            raise DataError(
                f"lines of {WHERE} must name sessions by {what!r}, found no line that does; {found}: correct"
            )
        outside = self.n_lines - keyed["line"].n_unique()
        return Scanned(self.skeletons, self._gathered(keyed), self.n_lines, outside)

    def _parsed(self, chunk: pl.DataFrame) -> pl.DataFrame:
        """Take raw lines apart by the header."""
        self.example = self.example or chunk[TEXT][0]
        rule = self.rule
        if rule.header is None:
            return chunk.rename({TEXT: "content"}).with_columns(search="content")
        parts = chunk[TEXT].str.extract_groups(pattern.anchored(pattern.header(rule.header)))
        unmatched = parts.struct.field("content").is_null()
        if unmatched.any():
            self.example = self.example if self.n_unmatched else chunk[TEXT].filter(unmatched)[0]
            self.n_unmatched += int(unmatched.sum())
        content = parts.struct.field("content")
        written = [name for name in ("date", "time") if name in rule.groups]
        found: dict[str, pl.Series] = {"search": content}
        if rule.window:
            when = [parts.struct.field(name) for name in written]
            found = {TIME: pl.select(pl.concat_str(when, separator=" ")).to_series()} if when else {}
        elif SESSION in rule.groups:
            found = {SESSION: parts.struct.field(SESSION)}
        inherited = self._inherited(pl.DataFrame(found), unmatched)
        return inherited.with_columns(chunk[LINE], content.zip_with(~unmatched, chunk[TEXT]).alias("content"))

    def _inherited(self, found: pl.DataFrame, unmatched: pl.Series) -> pl.DataFrame:
        """Let lines that continue others take over what names the session of these."""
        if not found.width:
            return pl.DataFrame({"search": unmatched.cast(pl.String)})
        owner = np.maximum.accumulate(np.where(unmatched.to_numpy(), -1, np.arange(found.height)))
        before = pl.DataFrame(schema=found.schema).clear(1) if self._last is None else self._last
        taken = pl.concat([before, found])[owner + 1]
        self._last = taken.tail(1)
        return taken

    def _keyed(self, named: pl.DataFrame) -> pl.DataFrame:
        """What names the session of each line, in a few bytes; a line that names several stands once for each."""
        rule = self.rule
        if rule.session is not None:
            named = sessions.identify(named, pattern.session(rule.session), text="search")
        if SESSION in named.columns:
            named = named.drop_nulls(SESSION)
            key = pl.Series("key", self.names.enter(named[SESSION].cast(pl.String)), dtype=pl.Int32)
        elif rule.window_lines:
            key = pl.Series("key", (np.arange(named.height) + self.n_lines - named.height) // rule.window_lines)
        elif TIME in named.columns:
            key = named[TIME].alias("key")
        else:
            raise DataError(
                f"{WHERE} needs {'a time' if rule.window else 'a session'} in each line, found none: name it"
            )
        return named.select(LINE, "row", key)

    def _with_sessions(self, keyed: pl.DataFrame) -> pl.DataFrame:
        """Put the start of the window in place of the time."""
        if not self.rule.window:
            return keyed
        entry = OwnEntry(WHERE, "log", Path(), time_format=self.rule.time_format, year=self.rule.year)
        try:
            moments = times.parse(
                entry, "the time of lines", keyed["key"], pl.repeat(0, keyed.height, eager=True)
            ).values
        except CatalogError as error:
            raise DataError(str(error).replace("catalogue entry [the log]", WHERE)) from None
        return keyed.with_columns(moments.dt.truncate(self.rule.window).alias("key")).drop_nulls("key")

    def _gathered(self, keyed: pl.DataFrame) -> pl.DataFrame:
        lists = keyed.lazy().group_by("key", maintain_order=True).agg(rows="row", lines=LINE).collect()
        lists = lists.sort("key") if self.rule.window else lists
        names = self.names.all().gather(lists["key"]) if self._named(lists) else lists["key"]
        lines = pl.col("lines")
        return lists.select(
            names.alias(SESSION),
            first_line=lines.list.min(),
            last_line=lines.list.max(),
            n_events=lines.list.len(),
            rows="rows",
            lines=lines,
        )

    def _named(self, lists: pl.DataFrame) -> bool:
        return self.names.used > 0 and not self.rule.window and not self.rule.window_lines


def tabular(lines: Lines) -> Lines:
    """Write a pandas frame or a list of records as a polars frame; anything else stays as it is."""
    if isinstance(lines, list) and lines and isinstance(lines[0], Mapping):
        return pl.DataFrame(lines, infer_schema_length=None)
    if type(lines).__module__.partition(".")[0] == "pandas":
        return pl.from_pandas(lines)
    return lines


def _chunks(lines: Lines, rule: SessionRule) -> Iterator[pl.DataFrame]:
    """Lines in pieces: ``line`` (number from 1) and ``text``, or ``content`` and what names the session."""
    lines = tabular(lines)
    if isinstance(lines, str | os.PathLike):
        yield from _numbered(_of_file(Path(lines), rule.encoding))
    elif isinstance(lines, pl.DataFrame) and any(name in lines.columns for name in CONTENT):
        yield _of_parsed(lines, rule)
    else:
        yield from _numbered([_texts(lines)])


def _numbered(parts: Any) -> Iterator[pl.DataFrame]:  # noqa: ANN401 (an iterable of Series)
    """Number lines, and leave out blank ones."""
    done = 0
    for texts in parts:
        numbers = pl.Series(LINE, np.arange(done + 1, done + 1 + texts.len()))
        done += texts.len()
        frame = pl.DataFrame([numbers, texts.alias(TEXT)])
        kept = frame.filter(pl.col(TEXT).str.contains(r"\S"))
        if kept.height:
            yield kept


def _of_parsed(frame: pl.DataFrame, rule: SessionRule) -> pl.DataFrame:
    """Lines that were taken apart already: the message, and the columns that name the session.

    Raises:
        SchemaError: if there is no column that names the session as the rule says, or messages are no texts.
    """
    content = frame[next(name for name in CONTENT if name in frame.columns)]
    if content.dtype.is_nested() or content.dtype in (pl.Object, pl.Binary):
        raise SchemaError(f"column {content.name!r} must hold texts, found {content.dtype}: give the message of a line")
    chosen = [_line_numbers(frame), content.cast(pl.String).fill_null("").alias("content")]
    if rule.session is not None:
        chosen.append(chosen[1].alias("search"))
    elif not rule.window_lines:
        wanted = TIMES if rule.window else (SESSION,)
        name = next((name for name in wanted if name in frame.columns), None)
        if name is None:
            raise SchemaError(f"parsed lines need a column {wanted[0]!r}, found {', '.join(frame.columns)}: add it")
        chosen.append(frame[name].alias(TIME if rule.window else SESSION))
    return pl.DataFrame(chosen)


def _line_numbers(frame: pl.DataFrame) -> pl.Series:
    """Numbers of parsed lines: those given where they are whole and tell the lines apart, else from 1 on."""
    given = next((frame[name] for name in NUMBERS if name in frame.columns), pl.Series(dtype=pl.Null))
    if given.dtype.is_integer() and not given.null_count() and given.n_unique() == frame.height:
        return given.cast(pl.Int64).alias(LINE)
    return pl.Series(LINE, np.arange(1, frame.height + 1))


def _texts(lines: Lines) -> pl.Series:
    """Take raw lines out of whatever holds them.

    Raises:
        SchemaError: if these are no texts.
    """
    if isinstance(lines, pl.DataFrame):
        texts = [name for name, dtype in lines.schema.items() if dtype in (pl.String, pl.Null)]
        if len(texts) != 1:
            found = ", ".join(lines.columns) or "none"
            raise SchemaError(f"a frame of raw lines must have one text column, or 'content', found {found}: select it")
        lines = lines[texts[0]]
    try:
        series = lines if isinstance(lines, pl.Series) else pl.Series(list(cast(Any, lines)), dtype=pl.String)
    except (TypeError, UnicodeEncodeError, pl.exceptions.PolarsError):
        raise SchemaError("lines must be texts, found other values: convert them with str first") from None
    if series.dtype not in (pl.String, pl.Null):
        raise SchemaError(f"lines must be texts, found {series.dtype}: take the column with the text")
    return series.cast(pl.String).fill_null("")


def _of_file(path: Path, encoding: str | None) -> Iterator[pl.Series]:
    """Read a file in bounded memory, unpacking it if it is packed.

    Raises:
        DataError: if it is damaged or a folder.
        OSError: if it cannot be read.
    """
    if not os.path.isfile(path):  # noqa: PTH113 (Path.is_file raises where a text is too long to be a name)
        found = "a folder" if os.path.isdir(path) else "none"  # noqa: PTH112
        raise DataError(f"{str(path)[:SHOWN]!r} must be the path of a text file, found {found}: correct it")
    with path.open("rb") as file:
        mark = file.read(6)
    opened = next((opener for magic, opener in MARKS.items() if mark.startswith(magic)), None)
    chosen = encoding or ("utf-16" if mark.startswith(UTF16) else "utf-8-sig")
    if opened is None:
        with path.open("rb") as plain:
            yield from _decoded(plain, chosen)
        return
    try:
        with opened(path, "rb") as packed:
            yield from _decoded(cast("IO[bytes]", packed), chosen)
    except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if getattr(error, "errno", None) is not None:  # the disk, not what is in the file
            raise
        raise DataError(f"{path} is a damaged packed file ({error}): fetch or pack it again") from None


def _decoded(file: IO[bytes], encoding: str) -> Iterator[pl.Series]:
    """Whole lines of a file; bytes that are no text become U+FFFD."""
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    rest = ""
    while True:
        data = file.read(CHUNK_BYTES)
        rest += decoder.decode(data, final=not data)
        end = rest.rfind("\n") + 1 if data else len(rest)
        if end:
            yield pl.Series([rest[:end].removesuffix("\n")]).str.split("\n").explode().str.strip_chars_end("\r")
            rest = rest[end:]
        if not data:
            return


def _is_count(number: object) -> bool:
    return isinstance(number, int | np.integer) and not isinstance(number, bool) and bool(number >= 1)


def _codec(name: str) -> None:
    """Check that Python knows an encoding.

    Raises:
        ValueError: if it does not.
    """
    try:
        codecs.lookup(name)
    except LookupError:
        raise ValueError("an encoding such as 'utf-8' or 'cp1252'") from None


def _valid(name: str, value: str, check: Callable[[str], object]) -> None:
    try:
        check(value)
    except ValueError as error:
        raise DataError(f"{name} must be {error}, found {value!r}: correct it") from None
