"""The loader of HDFS on hand-made files of the published form."""

import datetime as dt

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.loading import assert_roles_complete, refused, rows_of, write
from utils.datasets import hdfs
from utils.errors import DataError

LINE_HEADER = "LineId,Date,Time,Pid,Level,Component,Content,EventId,EventTemplate\n"
WHOLE = ["5 5 22 11 9", "22 5 26"]


def log_line(number, block, event, time="000001"):
    return f'{number},081109,{time},{100 + number},INFO,dfs.DataNode,"Got {block}, ok",E{event},Got <*>\n'


# blk_1 and blk_-2 are whole, blk_3 is the beginning of a whole session and an anomaly like the normal blk_4.
LINES = "".join(
    [
        LINE_HEADER,
        *(log_line(place, "blk_1", event) for place, event in enumerate((22, 5, 26), start=1)),
        log_line(4, "blk_-2", 5, "235959"),
        log_line(5, "blk_3", 5),
        log_line(6, "blk_-2", 5),
        log_line(7, "blk_4", 5),
        *(log_line(place, "blk_-2", event) for place, event in enumerate((22, 11, 9), start=8)),
    ]
)
CONTENTS = {
    "hdfs_train": "5 5 22 11 9\n22 5 26\n5 5 22 11 9\n",
    "hdfs_test_normal": "22 5 26 \r\n5 5 22 11 9 \r\n",
    "hdfs_test_abnormal": " 22  5 26\n7 30 1\n",
    hdfs.LINE_FILE: LINES,
    hdfs.LABEL_FILE: "BlockId,Label\nblk_1,Normal\nblk_-2,Normal\nblk_3,Anomaly\nblk_4,Normal\nblk_99,Normal\n",
    hdfs.TEMPLATE_FILE: 'EventId,EventTemplate\nE1,"<*>a, b<*>"\nE2,<*>c\n',
}


def files(folder, **changed):
    return write(folder, CONTENTS | {name: changed.get(name, data) for name, data in CONTENTS.items()})


@pytest.fixture
def assembled(tmp_path):
    return hdfs.assemble(hdfs.read(files(tmp_path)))


def test_frames_and_roles_are_complete(assembled):
    assert list(assembled.frames) == ["sessions", "sequences", "lines", "blocks", "templates"]
    assert_roles_complete(assembled)
    assert assembled.frames["templates"]["EventTemplate"].to_list() == ["<*>a, b<*>", "<*>c"]


def test_sessions_hold_the_number_of_their_sequence(assembled):
    sessions, sequences = assembled.frames["sessions"], assembled.frames["sequences"]
    assert sessions["sequence_id"].to_list() == [0, 1, 0, 1, 0, 1, 2]
    assert sessions["split"].to_list() == ["train"] * 3 + ["test"] * 4
    assert sessions["is_anomaly"].to_list() == [False] * 5 + [True] * 2
    assert sessions["anomaly_type"].to_list() == ["normal"] * 5 + ["anomaly"] * 2
    assert sequences["events"].to_list() == [[5, 5, 22, 11, 9], [22, 5, 26], [7, 30, 1]]
    assert sequences.schema == {"sequence_id": pl.UInt32, "events": pl.List(pl.UInt8)}
    assert sessions.schema["session_id"] == pl.UInt32
    assert rows_of(assembled, "sessions of 1 sequences that occur under both labels") == 3


def test_the_kind_of_anomaly_is_kept_where_it_is_known(tmp_path):
    raw = hdfs.read(files(tmp_path))
    kinds = ["normal"] * 5 + ["lost replica", "interrupted"]
    raw["sessions"] = raw["sessions"].with_columns(pl.Series("anomaly_type", kinds))
    raw["labels"] = raw["labels"].with_columns(
        anomaly_type=pl.when(Label="Anomaly").then(pl.lit("interrupted")).otherwise(pl.lit("normal"))
    )
    assembled = hdfs.assemble(raw)
    assert assembled.frames["sessions"]["anomaly_type"].to_list() == kinds
    assert assembled.frames["blocks"].filter("is_anomaly")["anomaly_type"].to_list() == ["interrupted"]
    assert_roles_complete(assembled)


def test_distinct_counts_each_pair_of_sequence_and_label(assembled):
    counted = hdfs.distinct(assembled.frames["sessions"], assembled.frames["sequences"])
    assert counted.drop("events").rows() == [
        (0, False, 2, 1, 3),
        (1, False, 1, 1, 2),
        (1, True, 0, 1, 1),
        (2, True, 0, 1, 1),
    ]
    assert counted["events"].to_list()[1:] == [[22, 5, 26], [22, 5, 26], [7, 30, 1]]
    assert counted.columns == ["sequence_id", "is_anomaly", "n_train", "n_test", "n", "events"]


texts = st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=6), min_size=1, max_size=12)


@settings(max_examples=40, deadline=None)
@given(train=texts, normal=texts, abnormal=texts, blanks=st.sampled_from(["", " ", "\r", " \r"]))
def test_reading_distinct_lines_loses_nothing(train, normal, abnormal, blanks, tmp_path_factory):
    parts = (train, normal, abnormal)
    data = ["".join(" ".join(map(str, session)) + blanks + "\n" for session in part) for part in parts]
    paths = write(tmp_path_factory.mktemp("hdfs"), dict(zip(hdfs.SESSION_FILES, data, strict=True)))
    sessions, sequences = hdfs.read_sessions(paths)
    assert sequences["events"].gather(sessions["sequence_id"]).to_list() == [*train, *normal, *abnormal]
    assert sequences["events"].n_unique() == sequences.height
    assert sessions["is_anomaly"].sum() == len(abnormal)
    counted = hdfs.distinct(sessions, sequences)
    assert (counted["n_train"].sum(), counted["n_test"].sum()) == (len(train), len(normal) + len(abnormal))


@pytest.mark.parametrize(
    ("name", "data", "parts"),
    [
        ("hdfs_train", "5 5\n5 x 9\n", ["'x' in line 2", "ids from 1 to 30"]),
        ("hdfs_train", "5 5\n5 0 9\n", ["'0' in line 2"]),
        ("hdfs_test_normal", "5\n5\n5\n31 5\n", ["'31' in line 4"]),
        ("hdfs_test_abnormal", "5 5.0\n", ["'5.0' in line 1"]),
        ("hdfs_test_abnormal", "5 999\n", ["'999' in line 1"]),
        ("hdfs_test_abnormal", "5 -5\n", ["'-5' in line 1"]),
        ("hdfs_train", "5\n\n5\n", ["an empty line in line 2"]),
        ("hdfs_train", "", ["empty file"]),
        ("hdfs_train", b"5\n5\n\x80 5\n", ["UTF-8", "line 3"]),
    ],
)
def test_bad_sessions_are_refused(tmp_path, name, data, parts):
    refused(lambda: hdfs.read(files(tmp_path, **{name: data})), name, *parts)


def test_all_files_are_needed(tmp_path):
    paths = files(tmp_path)
    for name in hdfs.READS:
        rest = {other: path for other, path in paths.items() if other != name}
        refused(lambda rest=rest: hdfs.read(rest), name, error=DataError)


def test_lines_keep_date_and_time_as_text_and_get_a_timestamp(assembled):
    lines = assembled.frames["lines"]
    assert lines.schema["Date"] == lines.schema["Time"] == pl.String
    assert lines["Date"][0] == "081109"
    assert lines["Time"][0] == "000001"
    assert lines["timestamp"][3] == dt.datetime(2008, 11, 9, 23, 59, 59)
    assert lines["Content"][0] == "Got blk_1, ok"
    assert lines["EventId"][0] == "E22"


def test_blocks_are_the_lines_of_one_identifier_in_order(assembled):
    blocks = assembled.frames["blocks"]
    assert blocks["BlockId"].to_list() == ["blk_1", "blk_-2", "blk_3", "blk_4"]
    assert blocks["events"].to_list() == [[22, 5, 26], [5, 5, 22, 11, 9], [5], [5]]
    assert blocks.schema["events"] == assembled.frames["sequences"].schema["events"]
    assert blocks["n_events"].to_list() == [3, 5, 1, 1]
    assert blocks["first_line"].to_list() == [1, 4, 5, 7]
    assert blocks["last_line"].to_list() == [3, 10, 5, 7]
    assert blocks["is_anomaly"].to_list() == [False, False, True, False]


def test_what_the_lines_cannot_tell_is_reported(assembled):
    assert rows_of(assembled, "cut off") == 2
    assert rows_of(assembled, "events in the lines are those of a normal block") == 1
    assert rows_of(assembled, "5 labels, 4 blocks") == 1


def test_a_beginning_is_not_a_text_prefix(tmp_path):
    """[2] begins no session although the text '2' begins '22 5 26', and blocks beyond the last sequence are not cut."""
    lines = LINE_HEADER + log_line(1, "blk_1", 2) + log_line(2, "blk_4", 29)
    made = files(tmp_path, **{hdfs.LINE_FILE: lines})
    assert rows_of(hdfs.assemble(hdfs.read(made)), "cut off") == 0


def test_single_blocks_that_end_early_are_no_defect_of_the_file(tmp_path):
    whole = "".join(log_line(place, f"blk_{place // 3}", (22, 5, 26)[place % 3]) for place in range(300))
    lines = LINE_HEADER + whole + log_line(300, "blk_100", 5)
    labels = "BlockId,Label\n" + "".join(f"blk_{place},Normal\n" for place in range(101))
    made = files(tmp_path, **{hdfs.LINE_FILE: lines, hdfs.LABEL_FILE: labels})
    assert rows_of(hdfs.assemble(hdfs.read(made)), "cut off") == 0


@pytest.mark.parametrize(
    ("name", "old", "new", "parts"),
    [
        (hdfs.LABEL_FILE, "blk_3,Anomaly\n", "", ["label each block", "none for 1 of 4, first blk_3"]),
        (hdfs.LABEL_FILE, "Anomaly", "anomalous", ["'Label'", "Normal, Anomaly", "'anomalous' in row 3"]),
        (hdfs.LABEL_FILE, "blk_99", "blk_1", ["'BlockId'", "each value once", "'blk_1' in row 5"]),
        (hdfs.LINE_FILE, "LineId", "Line", ["column 'LineId'"]),
        (hdfs.LINE_FILE, "E26", "X26", ["'EventId'", "event ids such as E5", "'X26' in row 3"]),
        (hdfs.LINE_FILE, "235959", "246060", ["081109 and 203518", "'081109246060' in row 4"]),
        (hdfs.LINE_FILE, "\n1,", "\none,", ["'LineId'", "'one' in row 1"]),
        (hdfs.TEMPLATE_FILE, "EventTemplate", "Template", ["column 'EventTemplate'"]),
    ],
)
def test_bad_tables_are_refused(tmp_path, name, old, new, parts):
    changed = {name: CONTENTS[name].replace(old, new)}
    refused(lambda: hdfs.assemble(hdfs.read(files(tmp_path, **changed))), name, *parts)
