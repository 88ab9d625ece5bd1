"""Parsed parts to sessions: one share of the sessions after the other, each small enough for memory."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from utils.datasets import folders, sessions
from utils.features.log_parts.parsing import GROUP_ROWS, NAMES, ROWS, Piece
from utils.features.log_sessions import list_column
from utils.features.log_templates.identifiers import Names
from utils.features.log_templates.masking import Numbers, Places, compiled

PLAN, TEMPLATES, CODES = "plan.json", "templates.parquet", "codes.parquet"
FIRST_ROW, SHARE = "first_row", "share"
LEAST_GROUP_ROWS = 1 << 8

Codes = NDArray[np.uint32]


class Plan(NamedTuple):
    """How parsed pieces become sessions.

    Attributes:
        parts: folder of the pieces.
        pieces: the pieces in the order of their lines.
        files: the file of each piece.
        shares: number of shares of the sessions.
        identifier: regular expression of their names; ``None`` for lines without sessions.
    """

    parts: str
    pieces: list[Piece]
    files: list[str]
    shares: int
    identifier: str | None

    @classmethod
    def read(cls, folder: Path) -> "Plan":
        """Read the plan of a folder.

        Raises:
            OSError: if there is none.
        """
        plan = json.loads((folder / PLAN).read_text())
        return cls(**plan | {"pieces": [Piece(**piece) for piece in plan["pieces"]]})

    def write(self, folder: Path) -> None:
        """Write the plan into a folder."""
        plan = self._asdict() | {"pieces": [piece._asdict() for piece in self.pieces]}
        (folder / PLAN).write_text(json.dumps(plan))

    def firsts(self) -> list[tuple[int, int, int]]:
        """Number of the first line, row and skeleton of each piece among those of all pieces."""
        sizes = [(piece.lines, piece.row_borders[-1], piece.skeletons) for piece in self.pieces]
        return [tuple(row) for row in (np.cumsum([(0, 0, 0), *sizes], axis=0)[:-1]).tolist()]


def sessions_part(folder: str, share: int) -> None:
    """Gather the sessions of one share from all pieces.

    Makes ``sessions-<share>.parquet``, in the order in which the sessions appear, as
    :func:`~utils.features.log_templates.read_sessions` gives them, with ``first_row``, the place of a session's first
    line among those of all sessions; and ``sequences-<share>.parquet``, their distinct sequences of events. What is
    there already is not made again.

    Args:
        folder: with the plan, the templates and the template of each skeleton.
        share: number of the share.

    Raises:
        OSError: if a file cannot be read or written; nothing unfinished is left behind.
    """
    here = Path(folder)
    target = here / f"sessions-{share:05d}.parquet"
    if target.exists():
        return
    plan = Plan.read(here)
    names, first_row, number, line, code = _collected(
        plan, pl.read_parquet(here / CODES, glob=False)["code"].to_numpy(), share
    )
    offsets, order = np.zeros(names.used + 1, dtype=np.int64), np.empty(number.size, dtype=np.int64)
    compiled().gather(number, offsets, order)
    del number
    code, line = code[order], line[order]
    del order
    _write_sequences(here, share, plan.shares, code, offsets, first_row)
    table = {
        sessions.SESSION: names.all(),
        "first_line": line[offsets[:-1]],
        "last_line": line[offsets[1:] - 1],
        "n_events": np.diff(offsets).astype(np.uint32),
        "events": _named(here, code, offsets),
        "lines": list_column(pl.Series(line), offsets, "lines"),
        FIRST_ROW: first_row,
    }
    folders.write_parquet(pl.DataFrame(table), target)


def distinct_part(folder: str, share: int) -> None:
    """Count the distinct sequences of one share of the sequences, over all shares of the sessions.

    Makes ``distinct-<share>.parquet``: ``events``, ``n_events``, ``count`` (sessions) and ``first_row`` (of the
    first of them), by ``first_row``. What is there already is not made again.

    Args:
        folder: with the sequences of all shares of the sessions.
        share: number of the share.

    Raises:
        OSError: if a file cannot be read or written; nothing unfinished is left behind.
    """
    here = Path(folder)
    target = here / f"distinct-{share:05d}.parquet"
    if target.exists():
        return
    found = (
        pl.scan_parquet(sorted(here.glob("sequences-*.parquet")), glob=False)
        .filter(pl.col(SHARE) == share)
        .group_by("events")
        .agg(pl.col("count").sum(), pl.col(FIRST_ROW).min())
        .sort(FIRST_ROW)
        .collect()
    )
    code, offsets = _flat(found["events"])
    table = {
        "events": _named(here, code, offsets),
        "n_events": np.diff(offsets).astype(np.uint32),
        "count": found["count"],
        FIRST_ROW: found[FIRST_ROW],
    }
    folders.write_parquet(pl.DataFrame(table), target)


def _named(folder: Path, code: Codes, offsets: Places) -> pl.Series:
    """List column of template ids; each stands in memory once."""
    ids = pl.read_parquet(folder / TEMPLATES, glob=False)["template_id"]
    return list_column(ids.cast(pl.Enum(ids)).gather(code), offsets, "events")


def _flat(lists: pl.Series) -> tuple[Codes, Places]:
    """All values of a list column on end, and where each list begins."""
    offsets = np.zeros(lists.len() + 1, dtype=np.int64)
    np.cumsum(lists.list.len().to_numpy(), out=offsets[1:])
    return lists.explode(empty_as_null=False).to_numpy(), offsets


def _collected(plan: Plan, codes: Codes, share: int) -> tuple[Names, Places, Numbers, Places, Codes]:
    """Names and first rows of the sessions of a share; session, line (from 1) and event of each of its rows."""
    size = sum(piece.row_borders[share + 1] - piece.row_borders[share] for piece in plan.pieces)
    number, line = np.empty(size, dtype=np.int32), np.empty(size, dtype=np.int64)
    code, names, first_rows, done = np.empty(size, dtype=np.uint32), Names(), [np.empty(0, dtype=np.int64)], 0
    for piece, (first_line, first_row, skeleton) in zip(plan.pieces, plan.firsts(), strict=True):
        before, folder = names.used, Path(plan.parts) / piece.key
        if piece.name_borders[share] == piece.name_borders[share + 1]:
            continue
        known = _slice(folder / NAMES, piece.name_borders, share)
        entered = names.enter(known["name"])
        first_rows.append(known.filter(pl.Series(entered >= before))[FIRST_ROW].to_numpy() + np.int64(first_row))
        rows = _slice(folder / ROWS, piece.row_borders, share)
        here = slice(done, done + rows.height)
        number[here] = entered[rows["name"].to_numpy() - np.uint32(piece.name_borders[share])]
        line[here] = rows["line"].to_numpy() + np.int64(first_line + 1)
        code[here] = codes[rows["skeleton"].to_numpy() + np.int64(skeleton)]
        done += rows.height
    return names, np.concatenate(first_rows), number, line, code


def _write_sequences(folder: Path, share: int, shares: int, code: Codes, offsets: Places, first_row: Places) -> None:
    """Write the distinct sequences of the sessions, by the share of the sequence."""
    events = list_column(pl.Series(code), offsets, "events")
    found = (
        pl.DataFrame({"events": events, FIRST_ROW: first_row})
        .group_by("events")
        .agg(pl.len().cast(pl.UInt64).alias("count"), pl.col(FIRST_ROW).min())
    )
    flat, places = _flat(found["events"])
    data, places = flat.view(np.uint8), places * flat.itemsize
    dealt = np.empty(found.height, dtype=np.int32)
    compiled().scatter(data, places[:-1], places[1:], shares, dealt)
    ordered = found.with_columns(pl.Series(SHARE, dealt)).sort(SHARE, FIRST_ROW)
    groups = min(GROUP_ROWS, max(LEAST_GROUP_ROWS, found.height // shares))
    folders.write_parquet(ordered, folder / f"sequences-{share:05d}.parquet", groups)


def _slice(path: Path, borders: list[int], share: int) -> pl.DataFrame:
    begin, end = borders[share : share + 2]
    return pl.scan_parquet(path, glob=False).slice(begin, end - begin).collect()
