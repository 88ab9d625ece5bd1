"""Kind ``log``: raw text lines with a header, gathered into sessions."""

import re

import polars as pl

from utils.datasets.contract import LABEL, Dataset, Defect, Roles
from utils.datasets.own import labels, lines, paths, roles, sequences
from utils.datasets.own.entry import OwnEntry, groups
from utils.datasets.own.lines import LINE_ID, SEARCH
from utils.datasets.own.sequences import ANY_TEXT, SESSION, Keys
from utils.errors import DataError

IDENTITY = frozenset(
    {"host", "hostname", "node", "ip", "address", "port", "pid", "tid", "thread", "user", "client", "id"}
)


def load(entry: OwnEntry) -> Dataset:
    """Load a log as the frames ``lines`` and ``sessions``; the one that carries the labels comes first.

    Sessions hold the numbers of their lines (``line_ids``), in order: a line that names several sessions belongs to
    each of them.

    Raises:
        CatalogError: if the entry names files or columns that are not there, or its time format does not fit.
        DataError: if a file is damaged, the header does not fit, or no line names a session.
    """
    found = paths.resolve(entry, "files", entry.files)
    read = lines.read(entry, found)
    roles.check_columns(entry, read.frame, "the header")
    frame, label_defects = _labelled(entry, read.frame)
    keys = Keys(LINE_ID, LINE_ID, SEARCH, entry.session or ANY_TEXT, timed="time" in frame.columns)
    searched = frame.with_columns(_searched(entry, frame))
    gathered = sequences.gather(entry, searched, keys).rename({"events": "line_ids"})
    defects = [*read.defects, *label_defects, *_outside(entry, searched, gathered)]
    if entry.labels:
        gathered, more, table = sequences.label_from(entry, entry.labels, gathered)
        defects += more
        found = (*found, *table.files)
    frame = _with_session(entry, searched).drop(SEARCH, *entry.lists.get("ignore", ()), strict=False)
    withheld = {"line_ids": "numbers of the lines in the frame lines"}
    frames = {"lines": frame, "sessions": gathered}
    meanings = {"lines": _line_roles(entry, frame), "sessions": sequences.describe(entry, gathered, None, withheld)}
    if entry.labels:
        frames = dict(reversed(frames.items()))
    return roles.dataset(entry, frames, meanings, found, defects)


def _labelled(entry: OwnEntry, frame: pl.DataFrame) -> tuple[pl.DataFrame, tuple[Defect, ...]]:
    """Label the lines from the group ``label``; a line where it is empty is normal."""
    if "label" not in groups(entry):
        return frame, ()
    kinds = "type" if "type" in groups(entry) else None
    labelled = labels.label(entry, frame, "label", kinds, "the header", empty="normal")
    return labelled.frame, labelled.defects


def _searched(entry: OwnEntry, frame: pl.DataFrame) -> pl.Expr:
    """Text in which a line's session is found; a continuation line is searched in the line that it continues."""
    if SESSION in groups(entry):
        return pl.col(SESSION).alias(SEARCH)
    return pl.col(SEARCH if SEARCH in frame.columns else "content").alias(SEARCH)


def _with_session(entry: OwnEntry, frame: pl.DataFrame) -> pl.DataFrame:
    """Name the session of each line: the first one that it names."""
    if SESSION in groups(entry):
        return frame
    if entry.window:
        return frame.with_columns(pl.col("time").dt.truncate(entry.window).alias(SESSION))
    if entry.window_lines:
        return frame.with_columns(((pl.col(LINE_ID) - 1) // entry.window_lines).alias(SESSION))
    pattern = entry.session or ANY_TEXT
    return frame.with_columns(pl.col(SEARCH).str.extract(pattern, min(1, re.compile(pattern).groups)).alias(SESSION))


def _outside(entry: OwnEntry, frame: pl.DataFrame, gathered: pl.DataFrame) -> list[Defect]:
    """Report lines of no session and lines of several.

    Raises:
        DataError: if there is no session at all.
    """
    if gathered.is_empty():
        example = frame["content"][0][:200]
        problem = f"session must be found in the content of lines, found no line with {entry.session or SESSION!r}"
        raise DataError(f"data set {entry.name!r}: {problem}; the first content is {example!r}: correct the pattern")
    inside = gathered["line_ids"].explode()
    several = inside.len() - inside.n_unique()
    report = []
    if lost := frame.height - inside.n_unique():
        what = "lines without a time" if entry.window else "lines that name no session"
        report.append(Defect(what, lost, "kept among the lines, left out of the sessions"))
    if several:
        report.append(
            Defect("places in sessions of lines that name several", several, "the line belongs to each of them")
        )
    return report


def _line_roles(entry: OwnEntry, frame: pl.DataFrame) -> Roles:
    named = entry.session is not None or SESSION in groups(entry)
    addresses = tuple(name for name in frame.columns if name.lower() in IDENTITY and "identity" not in entry.lists)
    kept_out = dict.fromkeys((LINE_ID, "file", "line"), "where the line stands")
    kept_out["continuation"] = "whether the header did not match the line"
    kept_out["content"] = "the message, from which features are made"
    kept_out |= {} if named else {SESSION: "the window of the line"}
    return roles.describe(
        entry,
        frame,
        "line",
        kept_out,
        labelled=LABEL in frame.columns,
        always=addresses,
        time="time" if "time" in frame.columns else None,
        group=SESSION if named and SESSION in frame.columns else None,
    )
