"""Raw logs larger than memory to lines, sessions and distinct sequences, part by part, here or on many machines."""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from utils.compute import Told, each
from utils.datasets import folders, sessions
from utils.errors import DataError
from utils.features.log_parts.division import PART_BYTES, Part, Paths, divide
from utils.features.log_parts.grouping import CODES, TEMPLATES, Plan, distinct_part, sessions_part
from utils.features.log_parts.parsing import NAMES, ROWS, SKELETONS, Piece, parse_part
from utils.features.log_templates.estimator import LogTemplates, template_table
from utils.features.log_templates.identifiers import Identifiers

PARTS, GROUPS, LOG = "parts", "groups", "log.json"
LINES = {"line": pl.Int64, "template_id": pl.String, "known": pl.Boolean}
PACKED_RATIO = 20
"""How many times longer than a packed log its lines are taken to be; it sets the number of shares only."""


@dataclass(frozen=True)
class ParsedLog:
    """A parsed log on disk; nothing of it is in memory.

    Attributes:
        folder: what :func:`parse_log` wrote.
        plan: the pieces.
    """

    folder: Path
    plan: Plan

    @property
    def templates(self) -> pl.DataFrame:
        """The templates: ``template_id``, ``template``, ``known``, ``count`` (UInt64, lines), most frequent first."""
        return pl.read_parquet(self.folder / TEMPLATES, glob=False)

    @property
    def files(self) -> pl.DataFrame:
        """The files: ``file``, ``first_line`` (Int64, among the lines of all files, from 1), ``lines`` (Int64)."""
        first = [first_line + 1 for first_line, _, _ in self.plan.firsts()]
        table = {"file": self.plan.files, "first_line": first, "lines": [piece.lines for piece in self.plan.pieces]}
        frame = pl.DataFrame(table, schema={"file": pl.String, "first_line": pl.Int64, "lines": pl.Int64})
        return frame.group_by("file", maintain_order=True).agg(pl.col("first_line").first(), pl.col("lines").sum())

    def parser(self) -> LogTemplates:
        """Parser fitted on all lines, the same as one that saw them at once."""
        return _learned(Path(self.plan.parts), self.plan.pieces)

    def lines(self) -> pl.LazyFrame:
        """The lines, or lines and identifiers, as :func:`~utils.features.log_templates.parse_file` gives them.

        Collected piece by piece or with the streaming engine, no more than a few pieces are in memory.
        """
        codes = pl.read_parquet(self.folder / CODES, glob=False)["code"]
        known = self.templates.select("template_id", "known")
        parts = [
            self._lines_of(piece, first_line, known[codes[skeleton : skeleton + piece.skeletons].to_numpy()])
            for piece, (first_line, _, skeleton) in zip(self.plan.pieces, self.plan.firsts(), strict=True)
        ]
        if not parts:
            return pl.LazyFrame(schema=LINES | ({} if self.plan.identifier is None else {sessions.SESSION: pl.String}))
        return pl.concat(parts)

    def sessions(self) -> pl.LazyFrame:
        """The sessions, as :func:`~utils.features.log_templates.read_sessions` gives them, share by share.

        With ``first_row`` (Int64, the place of a session's first line among all lines and identifiers): sorted by it,
        the sessions are in order of first appearance.
        """
        return self._of_shares("sessions")

    def distinct(self) -> pl.LazyFrame:
        """The distinct sequences, share by share: ``events``, ``n_events``, ``count`` (sessions) and ``first_row``.

        Sorted by ``first_row`` they are in order of first appearance, as
        :func:`utils.datasets.sessions.distinct_sequences` numbers them.
        """
        return self._of_shares("distinct")

    def _of_shares(self, name: str) -> pl.LazyFrame:
        if self.plan.identifier is None:
            raise DataError(f"{self.folder} holds lines without sessions: give parse_log an identifier")
        found = sorted(self.folder.glob(f"{name}-*.parquet"))
        return pl.scan_parquet(found, glob=False).with_columns(pl.col("events").cast(pl.List(pl.String)))

    def _lines_of(self, piece: Piece, first_line: int, known: pl.DataFrame) -> pl.LazyFrame:
        folder = Path(self.plan.parts) / piece.key
        template = known.with_row_index("skeleton").lazy()
        rows = (
            pl.scan_parquet(folder / ROWS, glob=False)
            .sort("row")
            .join(template, on="skeleton", how="left", maintain_order="left")
        )
        line = (pl.col("line").cast(pl.Int64) + first_line + 1).alias("line")
        if self.plan.identifier is None:
            return rows.select(line, "template_id", "known")
        names = (
            pl.scan_parquet(folder / NAMES, glob=False)
            .select(pl.col("name").alias(sessions.SESSION))
            .with_row_index("name")
        )
        return rows.join(names, on="name", how="left", maintain_order="left").select(
            line, "template_id", "known", sessions.SESSION
        )


def parse_log(
    files: Paths,
    folder: str | os.PathLike[str],
    identifier: str | None = None,
    *,
    parser: LogTemplates | None = None,
    part_bytes: int = PART_BYTES,
    workers: int = 1,
    progress: Told | None = None,
) -> ParsedLog:
    r"""Parse raw log files of any length into lines, sessions and distinct sequences on disk.

    Three rounds of pure functions from files to files, see :func:`parse_part`, :func:`sessions_part` and
    :func:`distinct_part`; between the first two the skeletons of all parts are merged. Rounds are done by
    :func:`utils.compute.each`, so they run here, in processes or on the cluster that ``ANOMALY_COMPUTE`` names. A run
    that was stopped goes on where it was, and a log that has grown is parsed from where it grew: what is there already
    is recognised by the digest of the bytes from which it was made.

    Memory of a process does not grow with the number of lines: 0.39 GB with libraries, 50 bytes for each line of a
    part, 120 bytes for each session of a share, the longest line, the longest session and the distinct skeletons.

    Args:
        files: one file or several, in the order of their lines, plain or packed (gzip, bzip2, xz).
        folder: gets the results; what it holds of an earlier run is used, and removed if it does not belong to the log.
        identifier: regular expression of the session's name, as ``r"blk_-?\d+"``, see
            :func:`utils.datasets.sessions.identify`; ``None`` for lines without sessions.
        parser: fitted parser; ``None`` learns the templates from these files.
        part_bytes: bytes of the lines of a part, and of a share of the sessions.
        workers: processes, where the work is done on this machine.
        progress: see :func:`utils.compute.each`.

    Returns:
        The parsed log.

    Raises:
        DataError: if there is no file, one is damaged, or the identifier names nothing.
        OSError: if a file cannot be read or written; nothing unfinished is left behind.
    """
    if identifier is not None:
        Identifiers(identifier)
    home, parts = Path(folder).resolve(), divide(files, part_bytes)
    shares = _shares(parts, part_bytes) if identifier else 1
    jobs = [(part, str(home / PARTS), identifier, shares, part_bytes) for part in parts]
    found = each(parse_part, jobs, workers=workers, progress=progress)
    pieces = [piece for made in found for piece in made]
    sources = [part.path for part, made in zip(parts, found, strict=True) for _ in made]
    group = _prepared(home, Plan(str(home / PARTS), pieces, sources, shares, identifier), parser)
    if identifier is not None:
        for work in (sessions_part, distinct_part):
            each(work, [(str(group), share) for share in range(shares)], workers=workers, progress=progress)
    _finish(home, group, {piece.key for piece in pieces})
    return open_log(home)


def open_log(folder: str | os.PathLike[str]) -> ParsedLog:
    """Open what :func:`parse_log` wrote.

    Raises:
        DataError: if the folder holds no complete parsed log.
    """
    home = Path(folder).resolve()
    try:
        group = home / GROUPS / json.loads((home / LOG).read_text())["group"]
        return ParsedLog(group, Plan.read(group)._replace(parts=str(home / PARTS)))
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(f"{home} must be the folder of a parsed log, found none complete: run parse_log") from None


def _shares(parts: list[Part], part_bytes: int) -> int:
    """A power of two, so that a log that grows a little keeps its shares."""
    sizes = (
        PACKED_RATIO * Path(part.path).stat().st_size if part.end is None else part.end - part.begin for part in parts
    )
    return 1 << max(0, -(-sum(sizes) // part_bytes) - 1).bit_length()


def _prepared(home: Path, plan: Plan, parser: LogTemplates | None) -> Path:
    """Write what the sessions of all shares need: the plan, the templates, and the template of each skeleton."""
    keys = [repr(plan.identifier), *(piece.key for piece in plan.pieces)] + (
        [] if parser is None else sorted(parser.counts_)
    )
    group = home / GROUPS / hashlib.sha256("\n".join(keys).encode()).hexdigest()[:32]
    if group.exists():
        return group
    templates, codes = _coded(Path(plan.parts), plan.pieces, parser)
    with folders.replaced(group) as unfinished:
        templates.write_parquet(unfinished / TEMPLATES)
        codes.write_parquet(unfinished / CODES)
        plan.write(unfinished)
    return group


def _coded(parts: Path, pieces: list[Piece], parser: LogTemplates | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The templates, and for each skeleton of each piece the place of its template among them."""
    learned = _learned(parts, pieces)
    texts = list(learned.counts_)
    described = template_table((parser or learned).describe(texts))
    counted = described.with_columns(pl.Series("count", list(learned.counts_.values()), dtype=pl.UInt64))
    templates = counted.group_by("template_id", "template", "known").agg(pl.col("count").sum())
    templates = templates.sort(["count", "template"], descending=[True, False])
    code = described.select("template_id").join(
        templates.select("template_id").with_row_index("code"), on="template_id", how="left", maintain_order="left"
    )["code"]
    code_of = dict(zip(texts, code.to_list(), strict=True))
    codes = [[code_of[text] for text, _ in _skeletons(parts, piece)] for piece in pieces]
    return templates, pl.DataFrame({"code": pl.Series(np.concatenate([[], *codes]), dtype=pl.UInt32)})


def _learned(parts: Path, pieces: list[Piece]) -> LogTemplates:
    parser = LogTemplates().add_counts(())
    for piece in pieces:
        parser.add_counts(_skeletons(parts, piece))
    return parser


def _skeletons(parts: Path, piece: Piece) -> list[tuple[str, int]]:
    return pl.read_parquet(parts / piece.key / SKELETONS, glob=False).rows()


def _finish(home: Path, group: Path, keys: set[str]) -> None:
    """Say that the log is complete, and remove what does not belong to it."""
    with folders.whole_file(home / LOG) as unfinished:
        unfinished.write_text(json.dumps({"group": group.name}))
    for folder in (home, group):
        folders.remove_unfinished(folder)
    for path in (*(home / GROUPS).iterdir(), *(home / PARTS).glob("*")):
        if path != group and path.name not in keys:
            shutil.rmtree(path, ignore_errors=True)
