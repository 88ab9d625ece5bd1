"""Own data: what an entry may say, and the sentence that refuses a wrong one."""

import contextlib
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.datasets import own
from utils.datasets.own.values import canonical
from utils.errors import CatalogError

TABLE = {"kind": "table", "files": ["a.csv"]}
LABELLED = TABLE | {"columns": {"label": "y"}, "anomaly": ["bad"]}
EVENTS = {"kind": "events", "files": ["a.csv"], "columns": {"event": "e", "session": "s", "time": "t"}}
GRAPH = {"kind": "call_graph", "files": ["a.csv"]}
LOG = {"kind": "log", "files": ["a.log"], "header": "(?P<time>.) (?P<content>.*)", "window": "5m"}


def with_header(header):
    return LOG | {"header": header}


WRONG = {
    "no kind": ({"files": ["a"]}, "kind must be one of table, events, call_graph, log, found none"),
    "unknown kind": ({"kind": "tabel"}, "found 'tabel' (did you mean 'table'?)"),
    "number as kind": ({"kind": 3}, "kind must be one of table, events, call_graph, log, found 3"),
    "list as kind": ({"kind": ["log"]}, "kind must be one of table, events, call_graph, log, found ['log']"),
    "no files": ({"kind": "table"}, "files must be a list of paths"),
    "files of a wrong type": ({"kind": "table", "files": "a.csv"}, "found 'a.csv'"),
    "no file in files": ({"kind": "table", "files": []}, "files must be a list of paths"),
    "empty name among files": ({"kind": "table", "files": [""]}, "files must be a list of paths"),
    "table among files": ({"kind": "table", "files": [{"name": "a"}]}, "files must be a list of paths"),
    "number among files": ({"kind": "table", "files": [3]}, "files must be a list of paths"),
    "unknown key": (TABLE | {"delimeter": ";"}, "delimeter is no key of kind 'table' (did you mean 'delimiter'?)"),
    "key of another kind": (TABLE | {"header": "(?P<content>.*)"}, "(it belongs to kind 'log')"),
    "role among the keys": (TABLE | {"label": "y"}, '(it belongs into columns = { label = "..." })'),
    "key among the roles": (
        TABLE | {"columns": {"anomaly": ["x"]}},
        "(it belongs to the entry itself, above its columns)",
    ),
    "unknown role": (
        TABLE | {"columns": {"lable": "y"}},
        "columns.lable is no key of kind 'table' (did you mean 'label'?)",
    ),
    "role of another kind": (TABLE | {"columns": {"event": "y"}}, "columns.event is no key of kind 'table'"),
    "columns are no table": (TABLE | {"columns": ["y"]}, "columns must be a table such as"),
    "role is no text": (TABLE | {"columns": {"time": 3}}, "columns.time must be a text that is not empty, found 3"),
    "list role is a text": (TABLE | {"columns": {"ignore": "a"}}, "columns.ignore must be a list of texts, found 'a'"),
    "label without a meaning": (TABLE | {"columns": {"label": "y"}}, "found neither anomaly nor normal"),
    "label with no anomaly values": (LABELLED | {"anomaly": []}, "anomaly must be a list of label values"),
    "anomaly is no list": (LABELLED | {"anomaly": "bad"}, "anomaly must be a list of label values"),
    "anomaly holds a table": (LABELLED | {"anomaly": [{}]}, "anomaly must be a list of label values"),
    "meaning without a label": (
        TABLE | {"normal": ["ok"]},
        "normal explains the values of a label, found no columns.label",
    ),
    "value in both lists": (LABELLED | {"normal": ["ok", "bad"]}, "found 'bad' in both"),
    "one and 1.0 are the same": (LABELLED | {"anomaly": [1], "normal": ["1.0"]}, "found '1' in both"),
    "type without a label": (TABLE | {"columns": {"type": "k"}}, "columns.type names kinds of anomaly"),
    "label as a feature": (
        LABELLED | {"columns": {"label": "y", "features": ["y"]}},
        "found 'y' as label and features",
    ),
    "time as a label": (LABELLED | {"columns": {"label": "y", "time": "y"}}, "found 'y' as label and time"),
    "ignored identity": (TABLE | {"columns": {"ignore": ["a"], "identity": ["a"]}}, "found 'a' as ignore and identity"),
    "names twice": (TABLE | {"names": ["a", "a"]}, "names must be a list of texts that are not empty, each once"),
    "names without a name": (TABLE | {"names": ["a", " "]}, "names must be a list of texts that are not empty"),
    "title is a number": (TABLE | {"title": 3}, "title must be a text"),
    "delimiter of two characters": (TABLE | {"delimiter": "||"}, "delimiter must be one plain character"),
    "decimal sign": (TABLE | {"decimal": ";"}, 'decimal must be "." or ","'),
    "encoding": (TABLE | {"encoding": "utf-99"}, "encoding must be the name of a text encoding"),
    "encoding of bytes": (TABLE | {"encoding": "base64"}, "encoding must be the name of a text encoding"),
    "format without a time": (TABLE | {"time_format": "%Y"}, "time_format needs a time, found no columns.time"),
    "year is no year": (LOG | {"year": 5}, "year must be a year such as 2024, found 5"),
    "year is a truth value": (LOG | {"year": True}, "year must be a year such as 2024, found True"),
    "event is missing": (EVENTS | {"columns": {}}, "columns.event must name the column"),
    "session and window of events": (EVENTS | {"window": "5m"}, "session and window exclude each other"),
    "window without a time": (EVENTS | {"columns": {"event": "e"}, "window": "5m"}, "window needs a time"),
    "labels without a session": (
        EVENTS | {"columns": {"event": "e"}, "labels": "l.csv", "anomaly": [1]},
        "labels labels sessions by their name, found no session",
    ),
    "labels and label": (
        EVENTS | {"columns": {**EVENTS["columns"], "label": "y"}, "labels": "l.csv", "anomaly": [1]},
        "labels and label exclude each other",
    ),
    "labels with an unknown key": (EVENTS | {"labels": {"file": "l", "key": "x"}}, "labels must be a path or a table"),
    "labels without a file": (EVENTS | {"labels": {"session": "x"}}, "labels must be a path or a table"),
    "labels with a number": (EVENTS | {"labels": {"file": 3}}, "labels must be a text that is not empty"),
    "labels by the session": (
        EVENTS | {"labels": {"file": "l", "session": "x", "label": "y", "type": "x"}, "anomaly": [1]},
        "labels must be a table that names one column as session and another one as label",
    ),
    "label of edges": (GRAPH | {"columns": {"label": "y"}, "anomaly": [1]}, "found no behaviors: name that file"),
    "no header": ({"kind": "log", "files": ["a"], "window": "5m"}, "header must be a regular expression of a line"),
    "header does not compile": (with_header("(?P<content>.*"), "missing ), unterminated subpattern at position 0"),
    "header without content": (with_header("(?P<text>.*)"), "with a group named content"),
    "header with look-ahead": (with_header("(?P<time>.)(?= )(?P<content>.*)"), "look-around such as (?=...)"),
    "header with look-behind": (with_header("(?P<time>.)(?<! )(?P<content>.*)"), "look-around such as (?=...)"),
    "header with a reference": (with_header(r"(?P<time>.)(?P=time)(?P<content>.*)"), "references to a group such as"),
    "header with a number reference": (with_header(r"(?P<time>.)\1(?P<content>.*)"), "references to a group such as"),
    "header of Python only": (with_header(r"(?P<time>.)(?P<content>.*)\Z"), "unrecognized escape sequence"),
    "header with a taken name": (with_header("(?P<line>.)(?P<time>.)(?P<content>.*)"), "without a group named line"),
    "lines without their content": (LOG | {"columns": {"ignore": ["content"]}}, "other than content, found 'content'"),
    "lines without their numbers": (LOG | {"columns": {"ignore": ["line_id"]}}, "other than content, found 'line_id'"),
    "no session": (
        {key: LOG[key] for key in ("kind", "files", "header")},
        "found none of session, window and window_lines",
    ),
    "session and window": (LOG | {"session": "x+"}, "session and window exclude each other"),
    "window and number": (LOG | {"window_lines": 3}, "window and window_lines exclude each other"),
    "session twice": (
        {"kind": "log", "files": ["a"], "header": "(?P<session>.)(?P<content>.*)", "session": "x+"},
        "session is a key and a group of the header",
    ),
    "session does not compile": (LOG | {"session": "[", "window": "5m"}, "session must be a regular expression"),
    "session matches nothing": (LOG | {"session": "x*"}, "session must be an expression that names a session"),
    "session of two groups": (LOG | {"session": "(a)(b)"}, "session must be an expression that names a session"),
    "window is no length": (LOG | {"window": "5 minutes"}, 'window must be a length of time above zero such as "30s"'),
    "window of zero": (LOG | {"window": "0m"}, "window must be a length of time above zero"),
    "window below zero": (LOG | {"window": "-5m"}, "window must be a length of time above zero"),
    "window of months and days": (LOG | {"window": "1mo2d"}, "window must be a length of time above zero"),
    "window is a number": (LOG | {"window": 5}, "window must be a length of time above zero"),
    "number of lines is zero": (LOG | {"window_lines": 0}, "window_lines must be a number of lines, at least 1"),
    "number of lines is true": (LOG | {"window_lines": True}, "window_lines must be a number of lines, at least 1"),
    "window without the group": (LOG | {"header": "(?P<content>.*)"}, "window needs a time, found no the group time"),
    "label group without a meaning": (
        with_header("(?P<label>.)(?P<time>.)(?P<content>.*)"),
        "found neither anomaly nor",
    ),
    "meaning without a label group": (LOG | {"anomaly": ["x"]}, "found no label group in header and no labels"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_entry_is_refused_with_one_sentence(case, tmp_path):
    table, said = WRONG[case]
    with pytest.raises(CatalogError) as refused:
        own.declare("mine", table, tmp_path)
    sentence = str(refused.value)
    assert sentence.startswith("catalogue entry [mine]: ")
    assert said in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize("table", [TABLE, LABELLED, EVENTS, GRAPH, LOG], ids=lambda table: table["kind"])
def test_the_smallest_entries_are_right(table, tmp_path):
    entry = own.declare("mine", table, tmp_path)
    assert (entry.name, entry.kind, entry.folder) == ("mine", table["kind"], tmp_path)


def test_an_entry_is_checked_without_looking_at_its_files():
    assert own.declare("mine", LABELLED, Path("nowhere")).anomaly == ("bad",)


def test_header_groups_may_be_written_in_other_ways(tmp_path):
    entry = own.declare("mine", LOG | {"header": "(?<Time>.)(?P<Content>.*)"}, tmp_path)
    assert entry.header == "(?P<time>.)(?P<content>.*)"


@pytest.mark.parametrize(
    ("value", "written"),
    [(1, "1"), (1.0, "1"), ("1.0", "1"), (True, "true"), ("FALSE", "false"), (" a ", "a"), ("1.50", "1.50")],
)
def test_label_values_are_written_in_one_way(value, written):
    assert canonical(value) == written


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(string.printable, max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3),
    max_leaves=4,
)
NAMES = st.sampled_from(
    ["files", "columns", "anomaly", "header", "session", "window", "labels", "year", "encoding", "x"]
)


@given(kind=st.sampled_from(["table", "events", "call_graph", "log"]), table=st.dictionaries(NAMES, VALUES, max_size=5))
def test_whatever_an_entry_holds_it_is_accepted_or_refused_in_a_sentence(kind, table):
    with contextlib.suppress(CatalogError):
        own.declare("mine", {"kind": kind, **table}, Path("nowhere"))
