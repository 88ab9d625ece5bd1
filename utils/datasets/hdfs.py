r"""HDFS: logs of a Hadoop file system, as event sequences of blocks (the whole set) and as log lines (its beginning).

Sources: Xu, Huang, Fox, Patterson, Jordan, "Detecting Large-Scale System Problems by Mining Console Logs", SOSP 2009
(logs and labels); Du, Li, Zheng, Srikumar, "DeepLog", CCS 2017 (the three session files); Zhu, He, He, Liu, Lyu,
"Loghub", ISSRE 2023 (lines and templates). A session is all that the log says about one block, ``blk_-?\d+``.

Of 575,059 sessions only about three in a hundred are distinct, so sessions hold the number of their sequence and each
sequence is kept, and parsed, once.
"""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from utils.datasets import schema, sessions
from utils.datasets.contract import ANOMALY_TYPE, LABEL, NORMAL, Assembled, Defect, Kind, Roles
from utils.errors import SchemaError

KIND: Kind = "log"
# Session files with the split and the label of all sessions in them.
SESSION_FILES: Mapping[str, tuple[str, bool]] = {
    "hdfs_train": ("train", False),
    "hdfs_test_normal": ("test", False),
    "hdfs_test_abnormal": ("test", True),
}
LINE_FILE = "HDFS_100k.log_structured.csv"
LABEL_FILE = "anomaly_label.csv"
TEMPLATE_FILE = "HDFS_templates.csv"
READS = (*SESSION_FILES, LINE_FILE, LABEL_FILE, TEMPLATE_FILE)
TRUTH = (
    "Each block is normal or an anomaly by hand-made rules of the publishers (Xu et al. 2009); "
    "lines have no labels of their own."
)

BLOCK_PATTERN = r"blk_-?\d+"
LINE_PARTS = ("Date", "Time", "Pid", "Level", "Component", "Content")
"""Columns that a line of the log is written of."""

EVENT_IDS = range(1, 31)
ANOMALY = "anomaly"
SPLIT = "split"
SEQUENCE_ID = "sequence_id"
EVENTS = "events"
TIMESTAMP = "timestamp"
# Share of blocks that may end early by nature; above it, the lines themselves end too early.
CUT_SHARE = 0.05

LINE_SCHEMA: schema.Schema = {
    "LineId": schema.Column(pl.Int64),
    "Date": schema.Column(pl.String),
    "Time": schema.Column(pl.String),
    "Pid": schema.Column(pl.Int64),
    **schema.columns(("Level", "Component", "Content", "EventId", "EventTemplate"), pl.String),
}
LABEL_SCHEMA: schema.Schema = schema.columns(("BlockId", "Label"), pl.String)
TEMPLATE_SCHEMA: schema.Schema = schema.columns(("EventId", "EventTemplate"), pl.String)
LABELS = ("Normal", "Anomaly")


def read(files: Mapping[str, Path]) -> dict[str, pl.DataFrame]:
    """Read all files.

    Returns:
        ``sessions`` (session_id, split, is_anomaly, sequence_id), ``sequences`` (sequence_id, events as List(UInt8), id
        k for event Ek), ``lines``, ``labels`` and ``templates``.

    Raises:
        DataError: if a file is not at hand.
        SchemaError: if a file is not what it must be.
    """
    labelled, sequences = read_sessions(files)
    labels = schema.once(schema.read_csv(schema.take(files, LABEL_FILE), LABEL_SCHEMA), "BlockId", LABEL_FILE)
    return {
        "sessions": labelled,
        "sequences": sequences,
        "lines": schema.read_csv(schema.take(files, LINE_FILE), LINE_SCHEMA),
        "labels": schema.one_of(labels, "Label", LABELS, LABEL_FILE),
        "templates": schema.read_csv(schema.take(files, TEMPLATE_FILE), TEMPLATE_SCHEMA),
    }


def read_sessions(files: Mapping[str, Path]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read the three session files: one session a line, event ids separated by blanks.

    Lines are made distinct as text before any is parsed.

    Returns:
        The sessions (session_id UInt32, split, is_anomaly, sequence_id UInt32) in file order, and the distinct
        sequences (sequence_id, events List(UInt8)) in order of first appearance.

    Raises:
        DataError: if a file is not at hand.
        SchemaError: if a file is empty or not UTF-8, or a line is not a list of ids from 1 to 30; the line is named.
    """
    texts = pl.concat([_read_session_file(schema.take(files, name), name) for name in SESSION_FILES])
    distinct = texts.select("text").unique(maintain_order=True)
    parsed = distinct.with_columns(pl.col("text").str.extract_all(r"\S+").list.eval(_event_id()).alias(EVENTS))
    _require_events(parsed, texts)
    found = sessions.distinct_sequences(parsed)
    keyed = distinct.with_columns(found.sequence_id.alias(SEQUENCE_ID))
    labelled = (
        texts.lazy()
        .join(keyed.lazy(), on="text", how="left", maintain_order="left")
        .join(_session_files().lazy(), on="file", how="left", maintain_order="left")
        .with_row_index("session_id")
        .select("session_id", SPLIT, LABEL, SEQUENCE_ID)
        .collect()
    )
    return labelled, found.table.select(SEQUENCE_ID, EVENTS)


def assemble(raw: Mapping[str, pl.DataFrame]) -> Assembled:
    """Label the sessions, sessionise the lines and report what is cut off or ambiguous.

    Raises:
        SchemaError: if a time or an event id of a line has not the expected form, or a block of the lines has no label.
    """
    labelled = raw["sessions"].with_columns(_anomaly_type(raw["sessions"]))
    lines = _with_timestamp(raw["lines"])
    blocks = _blocks(lines, raw["labels"])
    defects = [
        _conflicting_sequences(labelled),
        _conflicting_blocks(blocks),
        _cut_blocks(blocks, raw["sequences"]),
        _unused_labels(blocks, raw["labels"]),
    ]
    frames = {
        "sessions": labelled,
        "sequences": raw["sequences"],
        "lines": lines,
        "blocks": blocks,
        "templates": raw["templates"],
    }
    return Assembled(frames, _roles(), TRUTH, tuple(defect for defect in defects if defect.rows))


def distinct(labelled: pl.DataFrame, sequences: pl.DataFrame) -> pl.DataFrame:
    """Reduce sessions to their distinct sequences, so that each is scored once and weighted by its count.

    Args:
        labelled: the frame ``sessions``.
        sequences: the frame ``sequences``.

    Returns:
        One row for each pair of sequence and label: sequence_id, is_anomaly, n_train, n_test, n (sessions, UInt32) and
        events, by sequence_id.
    """
    counts = labelled.group_by(SEQUENCE_ID, LABEL).agg(
        *((pl.col(SPLIT) == split).sum().alias(f"n_{split}") for split in ("train", "test")), pl.len().alias("n")
    )
    return counts.sort(SEQUENCE_ID, LABEL).join(sequences, on=SEQUENCE_ID, how="left", maintain_order="left")


def raw_line() -> pl.Expr:
    """A line as it stands in the log, of :data:`LINE_PARTS`: ``Date Time Pid Level Component: Content``."""
    head = pl.concat_str(*LINE_PARTS[:-1], separator=" ")
    return pl.concat_str(head, pl.lit(": "), LINE_PARTS[-1]).alias("line")


def _read_session_file(path: Path, name: str) -> pl.DataFrame:
    lines = schema.read_lines(path)
    return lines.select(pl.col("text").str.strip_chars(), pl.lit(name, pl.Enum(list(SESSION_FILES))).alias("file"))


def _session_files() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "file": pl.Series(list(SESSION_FILES), dtype=pl.Enum(list(SESSION_FILES))),
            SPLIT: [split for split, _ in SESSION_FILES.values()],
            LABEL: [is_anomaly for _, is_anomaly in SESSION_FILES.values()],
        }
    )


def _event_id() -> pl.Expr:
    number = pl.element().cast(pl.UInt8, strict=False)
    return pl.when(number.is_between(EVENT_IDS[0], EVENT_IDS[-1])).then(number)


def _require_events(parsed: pl.DataFrame, texts: pl.DataFrame) -> None:
    wrong = parsed.filter(
        (pl.col(EVENTS).list.len() == 0) | pl.col(EVENTS).list.eval(pl.element().is_null()).list.any()
    )
    if wrong.is_empty():
        return
    text = wrong["text"][0]
    file = texts.filter(pl.col("text") == text)["file"][0]
    line = texts.filter(pl.col("file") == file)["text"].index_of(text)
    strange = [word for word in text.split() if not (word.isdecimal() and int(word) in EVENT_IDS)]
    wanted = f"event ids from {EVENT_IDS[0]} to {EVENT_IDS[-1]} separated by blanks"
    found = f"{strange[0][:40]!r}" if strange else "an empty line"
    raise SchemaError(f"{file} must hold {wanted}, found {found} in line {(line or 0) + 1}: {schema.REMEDY}")


def _anomaly_type(table: pl.DataFrame) -> pl.Expr:
    if ANOMALY_TYPE in table.columns:
        return pl.col(ANOMALY_TYPE)
    return pl.when(LABEL).then(pl.lit(ANOMALY)).otherwise(pl.lit(NORMAL)).alias(ANOMALY_TYPE)


def _with_timestamp(lines: pl.DataFrame) -> pl.DataFrame:
    both = lines.with_columns((pl.col("Date") + pl.col("Time")).alias(TIMESTAMP))
    time = pl.col(TIMESTAMP).str.to_datetime("%y%m%d%H%M%S", time_unit="us", strict=False)
    return schema.converted(both, TIMESTAMP, time, "Date and Time as 081109 and 203518", LINE_FILE)


def _blocks(lines: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """Group the lines into one session a block and join the labels."""
    number = pl.col("EventId").str.strip_prefix("E").cast(pl.UInt8, strict=False)
    numbered = schema.converted(lines, "EventId", number, "event ids such as E5", LINE_FILE)
    blocks = sessions.by_identifier(numbered, BLOCK_PATTERN).rename({sessions.SESSION: "BlockId"})
    labelled = blocks.join(labels, on="BlockId", how="left", maintain_order="left", validate="m:1")
    unlabelled = labelled.filter(pl.col("Label").is_null())
    if unlabelled.height:
        found = f"none for {unlabelled.height} of {blocks.height}, first {unlabelled['BlockId'][0]}"
        raise SchemaError(f"{LABEL_FILE} must label each block of {LINE_FILE}, found {found}: {schema.REMEDY}")
    labelled = labelled.with_columns((pl.col("Label") == LABELS[1]).alias(LABEL))
    return labelled.with_columns(_anomaly_type(labelled)).drop("Label")


def _conflicting_sequences(labelled: pl.DataFrame) -> Defect:
    per_sequence = labelled.group_by(SEQUENCE_ID).agg(pl.len(), pl.col(LABEL).n_unique().alias("labels"))
    conflicting = per_sequence.filter(pl.col("labels") > 1)
    return Defect(
        f"sessions of {conflicting.height} sequences that occur under both labels",
        int(conflicting["len"].sum()),
        "kept; no model of the sequence can tell them apart",
    )


def _conflicting_blocks(blocks: pl.DataFrame) -> Defect:
    coded = sessions.distinct_sequences(blocks)
    labels = pl.DataFrame({SEQUENCE_ID: coded.sequence_id, LABEL: blocks[LABEL]})
    shared = labels.filter(pl.col(LABEL) & (~pl.col(LABEL)).any().over(SEQUENCE_ID)).height
    return Defect(
        "anomalous blocks whose events in the lines are those of a normal block",
        shared,
        "kept; no model of the sequence can tell them apart",
    )


def _cut_blocks(blocks: pl.DataFrame, sequences: pl.DataFrame) -> Defect:
    """Count blocks that are the beginning of some whole session, but never a whole one."""
    whole = _as_text(sequences).sort()
    seen = _as_text(blocks)
    place = whole.search_sorted(seen).clip(upper_bound=whole.len() - 1)
    pairs = pl.DataFrame({"seen": seen, "following": whole.gather(place)})
    cut = pl.col("following").str.starts_with(pl.col("seen")) & (pl.col("following") != pl.col("seen"))
    rows = pairs.filter(cut).height
    return Defect(
        "blocks that are cut off: the lines end before them, what is there is only the beginning of a session",
        rows if rows > CUT_SHARE * blocks.height else 0,
        "kept; which blocks are complete is unknown, so results on them are no results on whole sessions",
    )


def _as_text(table: pl.DataFrame) -> pl.Series:
    """Write each sequence so that text order is sequence order and a shorter one begins a longer one."""
    return table[EVENTS].list.eval(pl.element().cast(pl.String).str.zfill(2) + " ").list.join("")


def _unused_labels(blocks: pl.DataFrame, labels: pl.DataFrame) -> Defect:
    return Defect(
        f"labels of blocks that the lines do not name ({labels.height} labels, {blocks.height} blocks)",
        labels.height - blocks.height,
        "not used",
    )


def _roles() -> dict[str, Roles]:
    return {
        "sessions": Roles(
            unit="session",
            label=LABEL,
            anomaly_type=ANOMALY_TYPE,
            identity=("session_id",),
            split=SPLIT,
            sequence=SEQUENCE_ID,
        ),
        "sequences": Roles(unit="sequence", identity=(SEQUENCE_ID,), sequence=EVENTS),
        "lines": Roles(
            unit="line",
            features=("Level", "Component", "Content", "EventId", "EventTemplate"),
            identity=("LineId", "Pid"),
            time=TIMESTAMP,
            withheld={"Date": "is part of the time", "Time": "is part of the time"},
        ),
        "blocks": Roles(
            unit="session",
            label=LABEL,
            anomaly_type=ANOMALY_TYPE,
            features=("n_events",),
            identity=("BlockId",),
            sequence=EVENTS,
            withheld={"first_line": "is a place in the file", "last_line": "is a place in the file"},
        ),
        "templates": Roles(unit="template", features=("EventTemplate",), identity=("EventId",)),
    }
