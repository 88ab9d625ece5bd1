import random
import re
from datetime import date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from utils.datasets import sessions
from utils.errors import DataError, SchemaError

PATTERN = r"blk_-?\d+"
START = datetime(2008, 11, 9, 20, 35)
PIECES = st.sampled_from(["blk_1", "blk_-2", "blk_33", "no block", "blk_", "served to", "É"])
LINES = st.lists(
    st.tuples(st.lists(PIECES, max_size=4).map(" ".join), st.sampled_from(["E1", "E2", "E9"])), max_size=25
)


def table(lines, *, shuffled_by=None):
    rows = [(place, text, event) for place, (text, event) in enumerate(lines, start=1)]
    if shuffled_by is not None:
        random.Random(shuffled_by).shuffle(rows)
    schema = {"LineId": pl.Int64, "Content": pl.String, "EventId": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def reference(lines, pattern=PATTERN):
    """Sessions by identifier in plain Python: name -> places and events, in order of first appearance."""
    found = {}
    for place, (text, event) in enumerate(lines, start=1):
        for name in dict.fromkeys(re.findall(pattern, text)):
            found.setdefault(name, []).append((place, event))
    return found


@settings(deadline=None)
@given(lines=LINES, seed=st.integers(0, 5))
def test_by_identifier_equals_the_plain_loop_whatever_the_order_of_the_rows(lines, seed):
    got = sessions.by_identifier(table(lines, shuffled_by=seed), PATTERN)
    expected = reference(lines)
    assert got["session"].to_list() == list(expected)
    assert got["events"].to_list() == [[event for _, event in rows] for rows in expected.values()]
    assert got["first_line"].to_list() == [rows[0][0] for rows in expected.values()]
    assert got["last_line"].to_list() == [rows[-1][0] for rows in expected.values()]
    assert got["n_events"].to_list() == [len(rows) for rows in expected.values()]


@settings(deadline=None)
@given(lines=LINES)
def test_one_group_names_the_session(lines):
    got = sessions.by_identifier(table(lines), r"blk_(-?\d+)")
    assert dict(zip(got["session"], got["events"].to_list(), strict=True)) == {
        name: [event for _, event in rows] for name, rows in reference(lines, r"blk_(-?\d+)").items()
    }


def test_columns_and_types():
    got = sessions.by_identifier(table([("blk_1", "E1")]), PATTERN)
    assert dict(got.schema) == {
        "session": pl.String,
        "first_line": pl.Int64,
        "last_line": pl.Int64,
        "n_events": pl.UInt32,
        "events": pl.List(pl.String),
    }
    assert tuple(got.columns) == sessions.COLUMNS


def test_no_lines_give_no_sessions_of_the_same_form():
    one = sessions.by_identifier(table([("blk_1", "E1")]), PATTERN)
    none = sessions.by_identifier(table([]), PATTERN)
    assert none.height == 0
    assert none.schema == one.schema


def test_a_line_that_names_a_block_twice_counts_once_and_one_that_names_two_blocks_counts_for_both():
    got = sessions.by_identifier(table([("blk_1 as blk_1", "E1"), ("blk_2 from blk_1 and blk_2", "E2")]), PATTERN)
    assert got.select("session", "events").rows() == [("blk_1", ["E1", "E2"]), ("blk_2", ["E2"])]
    assert got["first_line"].to_list() == [1, 2]


def test_identify_repeats_a_line_for_each_block_and_leaves_out_lines_without():
    lines = table([("blk_1 blk_2", "E1"), ("nothing", "E2"), ("blk_2", "E3")]).with_columns(session=pl.lit("old"))
    got = sessions.identify(lines, PATTERN)
    assert got.select("LineId", "session").rows() == [(1, "blk_1"), (1, "blk_2"), (3, "blk_2")]


def test_lines_without_text_are_left_out():
    lines = table([("blk_1", "E1"), ("blk_2", "E2")]).with_columns(pl.Series("Content", [None, "blk_2"]))
    assert sessions.by_identifier(lines, PATTERN)["session"].to_list() == ["blk_2"]
    assert sessions.count_unidentified(lines, PATTERN) == 1


@settings(deadline=None)
@given(lines=LINES)
def test_every_line_is_in_a_session_or_counted_as_unidentified(lines):
    rows = table(lines)
    identified = sessions.identify(rows, PATTERN)["LineId"].n_unique()
    assert identified + sessions.count_unidentified(rows, PATTERN) == rows.height


def test_numbers_as_events_and_kept_columns_stay_in_line_order():
    lines = table([("blk_1", "x"), ("blk_2", "x"), ("blk_1", "x")]).with_columns(
        code=pl.Series([7, 8, 9], dtype=pl.UInt8), session=pl.lit("s"), events=pl.lit("e")
    )
    got = sessions.by_identifier(lines.reverse(), PATTERN, event="code", keep=["LineId", "code"])
    assert got.schema["events"] == pl.List(pl.UInt8)
    assert got["events"].to_list() == [[7, 9], [8]]
    assert got["LineId"].to_list() == [[1, 3], [2]]
    assert got["code"].to_list() == [[7, 9], [8]]


def test_columns_named_like_the_result_can_be_used():
    lines = pl.DataFrame({"session": ["blk_1", "blk_1"], "events": [2, 1], "n_events": ["b", "a"]})
    got = sessions.by_identifier(lines, PATTERN, text="session", order="events", event="n_events")
    assert got.rows() == [("blk_1", 1, 2, 2, ["a", "b"])]


@pytest.mark.parametrize(
    ("pattern", "word"), [("(", "regular expression"), (r"\d*", "empty text"), (r"(a)(b)", "at most one group")]
)
def test_patterns_that_cannot_name_sessions_are_refused(pattern, word):
    with pytest.raises(DataError, match=word):
        sessions.by_identifier(table([("blk_1", "E1")]), pattern)
    with pytest.raises(DataError, match=word):
        sessions.count_unidentified(table([("blk_1", "E1")]), pattern)


@pytest.mark.parametrize("how", ["identifier", "window", "count", "distinct", "identify", "unidentified"])
def test_a_missing_column_is_named(how):
    lines = pl.DataFrame({"time": [START]})
    calls = {
        "identifier": lambda: sessions.by_identifier(lines, PATTERN),
        "window": lambda: sessions.by_time_window(lines, "time", "5m"),
        "count": lambda: sessions.by_line_count(lines, 2),
        "distinct": lambda: sessions.distinct_sequences(lines),
        "identify": lambda: sessions.identify(lines, PATTERN),
        "unidentified": lambda: sessions.count_unidentified(lines, PATTERN),
    }
    with pytest.raises(SchemaError, match=r"must have the columns?.*(Content|LineId|events)"):
        calls[how]()


# ------------------------------------------------------------------------------------------------ windows of time


@settings(deadline=None)
@given(
    seconds=st.lists(st.integers(0, 1000), max_size=20),
    width=st.sampled_from([30, 60, 300]),
    seed=st.integers(0, 3),
)
def test_time_windows_equal_the_plain_division(seconds, width, seed):
    rows = [(place, START + timedelta(seconds=second), f"E{place}") for place, second in enumerate(seconds)]
    expected = {}
    for _, time, event in rows:
        start = START + timedelta(seconds=(time - START).seconds // width * width)
        expected.setdefault(start, []).append(event)
    random.Random(seed).shuffle(rows)
    lines = pl.DataFrame(rows, schema={"LineId": pl.Int64, "at": pl.Datetime("us"), "EventId": pl.String}, orient="row")
    got = sessions.by_time_window(lines, "at", f"{width}s")
    assert got.select("session", "events").rows() == sorted(expected.items())


def test_time_windows_keep_columns_and_leave_out_lines_without_time():
    lines = pl.DataFrame({"LineId": [1, 2, 3], "at": [START, None, START], "EventId": ["a", "b", "c"]})
    got = sessions.by_time_window(lines, "at", "1h", keep=["LineId"])
    assert got.select("session", "events", "LineId").rows() == [(datetime(2008, 11, 9, 20), ["a", "c"], [1, 3])]


def test_days_are_windows_too():
    lines = pl.DataFrame({"LineId": [1, 2], "at": [date(2008, 11, 9), date(2008, 11, 10)], "EventId": ["a", "b"]})
    assert sessions.by_time_window(lines, "at", "1d")["session"].to_list() == lines["at"].to_list()


@pytest.mark.parametrize("width", ["", "0s", "5", "5x", "-5m", "m", "five minutes", "1mo2d"])
def test_widths_that_are_no_duration_are_refused(width):
    lines = pl.DataFrame({"LineId": [1], "at": [START], "EventId": ["a"]})
    with pytest.raises(DataError, match=re.escape(repr(width))):
        sessions.by_time_window(lines, "at", width)


def test_times_that_are_text_are_refused():
    lines = pl.DataFrame({"LineId": [1], "at": ["20:35"], "EventId": ["a"]})
    with pytest.raises(SchemaError, match="must hold dates or times"):
        sessions.by_time_window(lines, "at", "5m")


# ---------------------------------------------------------------------------------------------------- line counts


@settings(deadline=None)
@given(count=st.integers(0, 30), size=st.integers(1, 12), seed=st.integers(0, 3))
def test_runs_of_lines_equal_slices(count, size, seed):
    lines = [("text", f"E{place}") for place in range(count)]
    got = sessions.by_line_count(table(lines, shuffled_by=seed), size)
    events = [event for _, event in lines]
    assert got["events"].to_list() == [events[start : start + size] for start in range(0, count, size)]
    assert got["session"].to_list() == list(range(-(-count // size)))


def test_a_run_without_lines_is_refused():
    with pytest.raises(DataError, match="at least 1 line, found 0"):
        sessions.by_line_count(table([("text", "E1")]), 0)


# ---------------------------------------------------------------------------------------------- distinct sequences


@settings(deadline=None)
@given(
    rows=st.lists(st.lists(st.integers(1, 3), max_size=3), max_size=20),
    dtype=st.sampled_from([pl.String, pl.UInt8]),
)
def test_distinct_sequences_equal_a_dictionary(rows, dtype):
    found = sessions.distinct_sequences(
        pl.DataFrame({"events": pl.Series(rows, dtype=pl.List(pl.Int64))}).cast({"events": pl.List(dtype)})
    )
    counts = {}
    for row in rows:
        counts[tuple(row)] = counts.get(tuple(row), 0) + 1
    numbers = {sequence: number for number, sequence in enumerate(counts)}
    assert [tuple(int(event) for event in events) for events in found.table["events"].to_list()] == list(counts)
    assert found.table["count"].to_list() == list(counts.values())
    assert found.table["n_events"].to_list() == [len(sequence) for sequence in counts]
    assert found.table["sequence_id"].to_list() == list(range(len(counts)))
    assert found.sequence_id.to_list() == [numbers[tuple(row)] for row in rows]
    assert found.table.schema["events"] == pl.List(dtype)


def test_the_mapping_gives_every_session_its_events_back():
    grouped = sessions.by_identifier(table([("blk_1", "a"), ("blk_2", "b"), ("blk_33", "a")]), PATTERN)
    found = sessions.distinct_sequences(grouped)
    back = found.table["events"].gather(found.sequence_id)
    assert_frame_equal(pl.DataFrame({"events": back}), grouped.select("events"))


def test_events_that_are_no_lists_are_refused():
    with pytest.raises(SchemaError, match="must hold lists of events, found String"):
        sessions.distinct_sequences(pl.DataFrame({"events": ["E1 E2"]}))
