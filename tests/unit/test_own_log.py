"""Own data: raw logs of many systems, with everything that real logs do."""

import gzip
from datetime import datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.loading import load_own, reasons
from utils.datasets import own
from utils.errors import CatalogError, DataError, LabError

ANY_LINE = {"kind": "log", "files": ["a.log"], "header": "(?P<content>.*)", "window_lines": 2}
SIMPLE = r"(?P<time>\S+ \S+) (?P<level>[A-Z]+) (?P<content>.*)"


@pytest.fixture
def load(tmp_path):
    """Write a log (and other files) and load it."""

    def loaded(content, header=SIMPLE, name="app.log", more=None, **table):
        return load_own(tmp_path, {name: content, **(more or {})}, **{"kind": "log", "header": header, **table})

    return loaded


SYSTEMS = {
    "supercomputer with alert tags": (
        "- 1117838570 2005.06.03 R02-M1-N0 2005-06-03-15.42.50.363779 R02-M1-N0 RAS KERNEL INFO cache parity error\n"
        "APPREAD 1117869872 2005.06.04 R04-M1-N4 2005-06-04-00.24.32.432192 R04-M1-N4 RAS APP FATAL failed to read\n",
        r"(?P<label>\S+) \d+ \S+ (?P<node>\S+) (?P<time>\S+) \S+ \S+ (?P<component>\S+) (?P<level>\S+) (?P<content>.*)",
        {"window": "1h", "normal": ["-"]},
        datetime(2005, 6, 3, 15, 42, 50, 363779),
    ),
    "cluster with seconds since 1970": (
        "134681 node-246 unix.hw state_change.unavailable 1077804742 1 Component State Change\n"
        "350766 node-109 unix.hw state_change.unavailable 1084680778 1 Component State Change: unavailable\n",
        r"(?P<id>\d+) (?P<session>\S+) (?P<component>\S+) (?P<state>\S+) (?P<time>\d+) (?P<flag>\d+) (?P<content>.*)",
        {},
        datetime(2004, 2, 26, 14, 12, 22),
    ),
    "syslog inside an alert log": (
        "- 1131566461 2005.11.09 dn228 Nov 9 12:01:01 dn228/dn228 crond(pam_unix)[2915]: session closed for user root\n"
        "- 1131566479 2005.11.09 dn228 Nov  9 12:01:19 dn228/dn228 crond[2920]: (root) CMD (run-parts)\n",
        r"(?P<label>\S+) (?P<time>\d+) \S+ (?P<user>\S+) \w+ +\d+ \S+ \S+ "
        r"(?P<component>[^:\[]+)(\[(?P<pid>\d+)\])?: (?P<content>.*)",
        {"window": "1h", "anomaly": ["VAPI"], "normal": ["-"]},
        datetime(2005, 11, 9, 20, 1, 1),
    ),
    "log4j with a stack trace": (
        "2015-10-18 18:01:47,978 INFO [main] org.apache.hadoop.App: Created application\n"
        "2015-10-18 18:01:48,963 WARN [RMCommunicator Allocator] org.apache.hadoop.ipc.Client: Address change\n",
        r"(?P<time>\S+ \S+) (?P<level>\w+) \[(?P<thread>[^\]]+)\] (?P<component>[^:]+): (?P<content>.*)",
        {"window": "5m"},
        datetime(2015, 10, 18, 18, 1, 47, 978000),
    ),
    "two-figure years": (
        "17/06/09 20:10:40 INFO executor.CoarseGrainedExecutorBackend: Registered signal handlers for [TERM, HUP]\n"
        "17/06/09 20:10:41 INFO spark.SecurityManager: Changing view acls to: yarn,curi\n",
        r"(?P<time>\S+ \S+) (?P<level>\w+) (?P<component>[^:]+): (?P<content>.*)",
        {"window": "1h", "time_format": "%y/%m/%d %H:%M:%S"},
        datetime(2017, 6, 9, 20, 10, 40),
    ),
    "desktop": (
        "2016-09-28 04:30:30, Info                  CBS    Loaded Servicing Stack v6.1\r\n"
        "2016-09-28 04:30:31, Info                  CSI    00000001@2016/9/27:20:30:31.455 WcpInitialize\r\n",
        r"(?P<time>\S+ \S+), (?P<level>\w+) +(?P<component>\S+) +(?P<content>.*)",
        {"window": "1h"},
        datetime(2016, 9, 28, 4, 30, 30),
    ),
    "laptop": (
        "Jul  1 09:00:55 calvisitor-10-105-160-95 kernel[0]: IOThunderboltSwitch<0>(0x0)::listenerCallback\n"
        "Jul  1 09:01:05 calvisitor-10-105-160-95 com.apple.CDScheduler[43]: Thermal pressure state: 1\n",
        r"(?P<time>\w+ +\d+ \S+) (?P<user>\S+) (?P<component>[^\[]+)\[(?P<pid>\d+)\]( \([^)]*\))?: (?P<content>.*)",
        {"window": "1h", "year": 2017},
        datetime(2017, 7, 1, 9, 0, 55),
    ),
    "phone": (
        "03-17 16:13:38.811  1702  2395 D WindowManager: printFreezingDisplayLogs\n"
        "03-17 16:13:38.819  1702  8671 D PowerManagerService: acquire lock\n",
        r"(?P<date>\S+) (?P<time>\S+) +(?P<pid>\d+) +(?P<tid>\d+) (?P<level>\w) (?P<component>[^:]+): (?P<content>.*)",
        {"window": "5m", "year": 2017},
        datetime(2017, 3, 17, 16, 13, 38, 811000),
    ),
    "proxy": (
        "[10.30 16:49:06] chrome.exe - proxy.example:5070 open through proxy\n"
        "[10.30 16:49:07] chrome.exe *64 - proxy:5070 close, 0 bytes sent, lifetime 00:01\n",
        r"\[(?P<time>[^\]]+)\] (?P<component>.*?) - (?P<content>.*)",
        {"window": "1h", "year": 2015},
        datetime(2015, 10, 30, 16, 49, 6),
    ),
    "health app": (
        "20171223-22:15:29:606|Step_LSC|30002312|onStandStepChanged 3579\n"
        "20171224-0:1:2:61|Step_SPUtils|30002312| getTodayTotalDetailSteps\n",
        r"(?P<time>[^|]+)\|(?P<component>[^|]+)\|(?P<pid>\d+)\|(?P<content>.*)",
        {"window": "1d"},
        datetime(2017, 12, 23, 22, 15, 29, 606000),
    ),
    "web server": (
        '1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326\n'
        '1.2.3.5 - ann [10/Oct/2000:13:55:37 -0700] "GET /x HTTP/1.0" 404 2\n',
        r'(?P<ip>\S+) \S+ (?P<user>\S+) \[(?P<time>[^\]]+)\] (?P<content>"(?P<method>\w+).*)',
        {"window": "1m"},
        datetime(2000, 10, 10, 20, 55, 36),
    ),
}


@pytest.mark.parametrize("system", SYSTEMS)
def test_logs_of_many_systems_load_with_one_entry(load, system):
    content, header, table, first = SYSTEMS[system]
    dataset = load(content, header, **table)
    lines = dataset["lines"]
    assert lines.height == 2
    assert not lines["continuation"].any()
    assert lines["time"][0] == first
    assert lines["time"].is_sorted()
    assert not lines["content"].str.contains("\r").any()
    assert dataset["sessions"]["line_ids"].explode().sort().to_list() == [1, 2]


def test_alert_tags_label_lines_and_windows(load):
    content, header, table, _ = SYSTEMS["supercomputer with alert tags"]
    dataset = load(content, header, **table)
    assert dataset["lines"].select("is_anomaly", "anomaly_type").rows() == [(False, "normal"), (True, "APPREAD")]
    assert dataset["sessions"].select("is_anomaly", "anomaly_type").rows() == [(False, "normal"), (True, "APPREAD")]
    assert "label" not in dataset["lines"].columns
    assert dataset.main == "lines"


def test_an_optional_tag_that_is_missing_means_normal(load):
    dataset = load("ALARM x\ny\nz\n", r"((?P<label>[A-Z]+) )?(?P<content>.*)", window_lines=2, anomaly=["ALARM"])
    assert dataset["lines"]["is_anomaly"].to_list() == [True, False, False]


def test_columns_and_roles_of_lines(load):
    dataset = load(
        "2024-01-01 10:00:00 INFO host7 [req-1] a\n2024-01-01 10:00:01 WARN host8 [req-1] b\n",
        r"(?P<time>\S+ \S+) (?P<level>\w+) (?P<host>\S+) (?P<content>.*)",
        session=r"\[(req-\d+)\]",
    )
    meaning = dataset.roles["lines"]
    assert dataset["lines"].columns == [
        "line_id", "file", "line", "time", "level", "host", "content", "continuation", "session"
    ]  # fmt: skip
    assert (meaning.unit, meaning.features, meaning.identity) == ("line", ("level",), ("host",))
    assert (meaning.time, meaning.group, meaning.label) == ("time", "session", None)
    assert dataset["lines"]["session"].to_list() == ["req-1", "req-1"]
    assert dataset.roles["sessions"].time == "start"
    chosen = load(
        "a b c\n",
        r"(?P<one>\S) (?P<two>\S) (?P<content>.)",
        window_lines=1,
        columns={"identity": ["one"], "ignore": ["two"]},
    )
    assert chosen.roles["lines"].identity == ("one",)
    assert "two" not in chosen["lines"].columns
    hidden = load("a b\n", r"(?P<session>\S) (?P<content>.)", columns={"ignore": ["session"]})
    assert hidden.roles["lines"].group is None


TRACE = """2024-01-01 10:00:00 ERROR req-1 failed
  at module one

  at module req-9
2024-01-01 10:00:01 INFO req-2 fine
2024-01-01 10:00:02 INFO req-2 fine
2024-01-01 10:00:03 INFO nobody
"""


def test_lines_that_do_not_match_continue_the_one_before(load):
    dataset = load(TRACE, session=r"req-\d+")
    lines = dataset["lines"]
    assert lines["line"].to_list() == [1, 2, 4, 5, 6, 7]
    assert lines["continuation"].to_list() == [False, True, True, False, False, False]
    assert lines["session"].to_list() == ["req-1", "req-1", "req-1", "req-2", "req-2", None]
    assert lines["level"].to_list()[:3] == ["ERROR"] * 3
    assert lines["time"][2] == datetime(2024, 1, 1, 10)
    assert lines["content"][1] == "  at module one"
    assert dataset["sessions"].select("session", "line_ids", "n_events").rows() == [
        ("req-1", [1, 2, 3], 3),
        ("req-2", [4, 5], 2),
    ]
    assert reasons(dataset) == {"lines that the header does not match": 2, "lines that name no session": 1}


def test_lines_before_the_first_that_matches_belong_to_nothing(load):
    dataset = load("rotated\n" + TRACE, session=r"req-\d+")
    assert dataset["lines"].row(0, named=True)["time"] is None
    assert dataset["lines"]["session"][0] is None
    assert reasons(dataset)["lines before the first that the header matches"] == 1


def test_a_continued_line_keeps_what_it_does_not_have(load):
    dataset = load("1 a x\n1 - y\n  more\n", r"(?P<n>\d) (?:(?P<tag>[a-z])|-) (?P<content>.*)", window_lines=1)
    assert dataset["lines"]["tag"].to_list() == ["a", None, None]


def test_a_header_that_matches_too_few_lines_is_refused_with_the_first_such_line(load):
    with pytest.raises(DataError) as refused:
        load("2024-01-01 10:00:00 INFO a\nodd one\nodd two\n", window="1h")
    said = str(refused.value)
    assert "found 2 of 3 that do not, the first in app.log, line 2: 'odd one'" in said
    assert repr(SIMPLE) in said
    assert load("2024-01-01 10:00:00 INFO a\nodd one\n", window="1h")["lines"].height == 2


def test_the_header_must_match_from_the_start_of_the_line(load):
    dataset = load("x 1 a\n1 b\n1 c\n", r"(?P<n>\d|q) (?P<content>.*)", window_lines=3)
    assert dataset["lines"]["continuation"].to_list() == [True, False, False]


def test_a_log_of_blank_lines_is_refused(load):
    with pytest.raises(DataError, match="found blank ones only"):
        load("\x0b\n\x0b\n", window="1h")


def test_groups_may_have_any_other_name(load):
    dataset = load("1 2 3 x\n  more\n", r"(?P<raw>\d) (?P<family>\d) (?P<search>\d) (?P<content>.*)", window_lines=2)
    assert dataset["lines"].select("raw", "family", "search", "content").rows() == [
        ("1", "2", "3", "x"),
        ("1", "2", "3", "  more"),
    ]


def test_flags_and_verbose_patterns(load):
    verbose = "(?xi) (?P<level>info|error) \\s (?P<content>.*)  # the rest"
    assert load("INFO a\nError b\n", verbose, window_lines=1)["lines"]["content"].to_list() == ["a", "b"]


def test_a_line_that_names_several_sessions_belongs_to_each(load):
    dataset = load("d blk_1 blk_2\nd blk_1\n", r"(?P<level>d) (?P<content>.*)", session=r"blk_\d+")
    assert dataset["sessions"].select("session", "line_ids").rows() == [("blk_1", [1, 2]), ("blk_2", [1])]
    assert reasons(dataset) == {"places in sessions of lines that name several": 1}


def test_sessions_by_group_and_by_number_of_lines(load):
    content = "7 a\n8 b\n7 c\n"
    named = load(content, r"(?P<session>\d) (?P<content>.)")
    assert named["sessions"].select("session", "line_ids").rows() == [("7", [1, 3]), ("8", [2])]
    runs = load(content, r"(?P<n>\d) (?P<content>.)", window_lines=2)
    assert runs["lines"]["session"].to_list() == [0, 0, 1]
    assert runs["sessions"]["line_ids"].to_list() == [[1, 2], [3]]
    assert runs.roles["sessions"].unit == "window"


def test_windows_of_time_and_lines_without_a_time(load):
    content = "\n".join(f"2024-01-01 1{hour}:59:59 INFO x" for hour in range(4)) + "\nyesterday noon INFO y\n"
    dataset = load(content, window="2h", time_format="%Y-%m-%d %H:%M:%S")
    assert dataset["sessions"]["session"].to_list() == [datetime(2024, 1, 1, 10), datetime(2024, 1, 1, 12)]
    assert dataset["lines"]["session"][4] is None
    assert reasons(dataset)["lines without a time"] == 1
    assert [what for what in reasons(dataset) if "could not be read" in what]


def test_a_labels_file_labels_the_sessions_and_comes_first(load):
    dataset = load(
        TRACE, session=r"req-\d+", more={"l.csv": "session,label\nreq-1,1\nreq-2,0\n"}, labels="l.csv", anomaly=[1]
    )
    assert dataset.main == "sessions"
    assert dataset["sessions"]["is_anomaly"].to_list() == [True, False]
    assert dataset.roles["lines"].label is None


def test_broken_bytes_are_replaced_and_counted(load):
    content = (
        "2024-01-01 10:00:00 INFO é\n".encode() + b"2024-01-01 10:00:01 INFO caf\xe9 \xff\n2024-01-01 10:00:02 INFO x\n"
    )
    dataset = load(content, window="1h")
    assert dataset["lines"]["content"].to_list() == ["é", "caf\ufffd \ufffd", "x"]
    assert reasons(dataset) == {"lines with bytes that are no text in the encoding of the file": 1}
    assert load(content, window="1h", encoding="cp1252")["lines"]["content"][1] == "café ÿ"


@pytest.mark.parametrize("coding", ["utf-16", "utf-32", "utf-8-sig"])
def test_marked_encodings_are_found(load, coding):
    dataset = load("2024-01-01 10:00:00 INFO é\r\n2024-01-01 10:00:01 INFO y\r\n".encode(coding), window="1h")
    assert dataset["lines"]["content"].to_list() == ["é", "y"]
    assert dataset.defects == ()


def test_packed_and_rotated_logs_are_one_log(load):
    def day(number):
        return f"2024-01-{number:02d} 10:00:00 INFO day {number}\n2024-01-{number:02d} 10:00:01 INFO same\n"

    more = {"app.log.1": day(11), "app.log.2.gz": gzip.compress(day(10).encode()), "app.log.10": day(2)}
    dataset = load(day(12), more=more, files=["app.log*"], window="1d")
    assert dataset["lines"]["file"].unique(maintain_order=True).to_list() == [
        "app.log.10",
        "app.log.2.gz",
        "app.log.1",
        "app.log",
    ]
    assert dataset["lines"]["line"].to_list() == [1, 2] * 4
    assert dataset["lines"]["line_id"].to_list() == list(range(1, 9))


def test_logs_of_two_machines_are_merged_by_time(load):
    more = {"b.log": "2024-01-01 10:00:01 INFO b1\n  trace\n2024-01-01 10:00:03 INFO b2\n"}
    first = "2024-01-01 10:00:00 INFO a1\n2024-01-01 10:00:02 INFO a2\n"
    dataset = load(first, more=more, files=["*.log"], window="1h")
    assert dataset["lines"]["content"].to_list() == ["a1", "b1", "  trace", "a2", "b2"]
    assert dataset["sessions"]["line_ids"].to_list() == [[1, 2, 3, 4, 5]]


def test_years_go_on_over_rotated_logs_but_not_from_machine_to_machine(load):
    header = r"(?P<time>\w+ +\d+ \S+) (?P<content>.*)"
    more = {"a.log.1": "Dec 31 10:00:00 x\n", "b.log": "Dec 31 11:00:00 y\nJan  1 12:00:00 y\n"}
    dataset = load("Jan  1 10:00:00 x\n", header, "a.log", more, files=["a.log*", "b.log"], window="1d", year=2023)
    assert dataset["lines"]["time"].dt.year().to_list() == [2023, 2023, 2024, 2024]
    assert dataset["lines"]["file"].to_list() == ["a.log.1", "b.log", "a.log", "b.log"]


WRONG = {
    "no session anywhere": (
        {"session": r"blk_\d+"},
        DataError,
        "found no line with 'blk_\\\\d+'; the first content is 'a'",
    ),
    "an unknown group": (
        {"window": "1h", "columns": {"ignore": ["lvl"]}},
        CatalogError,
        "columns.ignore names the column 'lvl'",
    ),
    "another format": ({"window": "1h", "time_format": "%d.%m.%Y"}, CatalogError, "must fit the group time of header"),
    "a glob without a match": ({"window": "1h", "files": ["*.txt"]}, CatalogError, "found no file that it matches"),
    "a session group that never matches": (
        {"header": r"(?P<time>\S+ \S+) INFO (?P<session>\d+)?(?P<content>.*)"},
        DataError,
        "found no line with 'session'; the first content is 'a'",
    ),
    "labels of others": (
        {"session": "a|b", "labels": "l.csv", "anomaly": [1]},
        DataError,
        "found 'x' there and 'a' in the files",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_logs_are_refused_with_one_sentence(load, case):
    table, kind, said = WRONG[case]
    with pytest.raises(kind) as refused:
        load("2024-01-01 10:00:00 INFO a\n", **{"more": {"l.csv": "session,label\nx,1\n"}, **table})
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=10)


@given(st.lists(st.tuples(st.integers(0, 3), TEXTS, st.booleans()), min_size=1, max_size=30))
def test_every_line_is_kept_once_with_its_place(tmp_path_factory, drawn):
    folder = tmp_path_factory.mktemp("log")
    written = [("s0", "first", False), *((f"s{session}", text, odd) for session, text, odd in drawn)]
    fits = sum(not odd for _, _, odd in written)
    texts = [f"  {text}" if odd else f"{session} {text}" for session, text, odd in written]
    (folder / "a.log").write_bytes("\r\n".join(texts).encode())
    table = {"kind": "log", "files": ["a.log"], "header": r"(?P<session>s\d) (?P<content>.*)"}
    if fits * 2 < len(written):
        with pytest.raises(LabError):
            own.load(own.declare("mine", table, folder))
        return
    dataset = own.load(own.declare("mine", table, folder))
    owners, current = [], ""
    for session, _, odd in written:
        current = current if odd else session
        owners.append(current)
    lines = dataset["lines"]
    assert lines["session"].to_list() == owners
    assert lines["content"].to_list() == [f"  {text}" if odd else text for _, text, odd in written]
    gathered = dataset["sessions"].select("session", "line_ids").explode("line_ids").sort("line_ids")
    assert gathered["line_ids"].to_list() == lines["line_id"].to_list()
    assert gathered["session"].to_list() == owners
    assert isinstance(dataset["sessions"].schema["line_ids"], pl.List)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_log_or_refused_in_a_sentence(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("any")
    (folder / "a.log").write_bytes(data)
    try:
        lines = own.load(own.declare("mine", ANY_LINE, folder))["lines"]
    except LabError as error:
        assert "\n" not in str(error)  # noqa: PT017 (either outcome is right)
    else:
        assert lines["line"].is_sorted()
