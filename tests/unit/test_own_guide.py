"""The guide of data/README.md keeps its promises: every example in it is loaded as it stands."""

import re

from tests.guide import GUIDE
from utils import datasets
from utils.datasets import own
from utils.datasets.own import entry as keys


def test_there_is_one_example_of_each_kind(guided):
    assert sorted(table["kind"] for table in guided.values()) == sorted(keys.KINDS)


def test_every_example_is_in_the_catalogue_and_loads(guided):
    assert datasets.names()[-len(guided) :] == tuple(guided)
    loaded = datasets.load_all(list(guided))
    assert all(item.source == "real" and item.origin == "own files" for item in loaded.values())
    assert all(any(roles.label for roles in item.roles.values()) for item in loaded.values())


def test_the_table_says_what_the_guide_says(guided):
    logins = datasets.load("logins")
    rows, roles = logins["rows"], logins.roles["rows"]
    assert roles.features == ("country", "failures", "seconds")
    assert roles.group == "user"
    assert "verdict" not in rows.columns
    assert rows["seconds"].to_list() == [1.25, 0.02, 2.5]
    assert rows["anomaly_type"].to_list() == ["normal", "brute force", "normal"]
    assert logins.truth == "verdicts of the security team, May 2024"


def test_the_events_say_what_the_guide_says(guided):
    sessions = datasets.load("clicks")["sessions"]
    assert sessions.select("session", "events", "is_anomaly").rows() == [
        ("v1", ["open"], False),
        ("v2", ["open", "pay"], True),
    ]


def test_the_call_graphs_say_what_the_guide_says(guided):
    behaviors = datasets.load("shop")["behaviors"]
    assert behaviors.select("_id", "n_edges", "n_nodes", "is_anomaly").rows() == [
        ("b1", 2, 3, False),
        ("b2", 1, 1, True),
    ]


def test_the_log_says_what_the_guide_says(guided):
    app = datasets.load("app")
    assert app["lines"]["continuation"].to_list() == [False, False, True]
    assert app["sessions"].select("session", "line_ids", "is_anomaly").rows() == [("req-17", [1, 2, 3], True)]
    assert app.roles["sessions"].unit == "session"


def test_the_headers_for_common_forms_match_such_lines(tmp_path):
    rows = re.findall(r"^\| ([\w ]+?)(?: \(.*?\))? \| `'(.*?)'`", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    samples = {
        "syslog": "Jun  9 04:06:20 combo sshd(pam_unix)[19939]: check pass; user unknown",
        "log4j": "2015-10-18 18:01:47,978 INFO [main] org.apache.App: started",
        "web server": '10.0.0.1 - anna [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326',
        "alert tag first": "- 1117838570 2005.06.03 R02-M1 instruction cache parity error corrected",
    }
    assert {name for name, _ in rows} == set(samples)
    for name, header in rows:
        (tmp_path / "x.log").write_text(samples[name] + "\n")
        table = {"kind": "log", "files": ["x.log"], "header": header, "window": "1h"}
        if "<label>" in header:
            table["normal"] = ["-"]
        lines = own.load(own.declare("mine", table, tmp_path))["lines"]
        assert lines["time"].null_count() == 0
        assert not lines["continuation"].any()


def test_every_key_and_role_is_in_the_guide_and_no_other():
    text = GUIDE.read_text(encoding="utf-8")
    keys_part, roles_part = text.partition("### All keys")[2].split("| role in `columns` |")
    named = {
        name for row in re.findall(r"^\| (`.*?) \|", keys_part, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }
    assert named == set(keys.KEYS)
    roles_part = roles_part.partition("### ")[0]
    roles = {
        name for row in re.findall(r"^\| (`.*?) \|", roles_part, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }
    assert roles == {role for single in keys.COLUMNS.values() for role in single} | set(keys.LISTS)


def test_the_guide_says_which_kinds_take_a_key():
    table = GUIDE.read_text(encoding="utf-8").partition("### All keys")[2].partition("| role in")[0]
    for names, kinds in re.findall(r"^\| (`.*?) \| (.*?) \|", table, re.MULTILINE):
        for name in re.findall(r"`(\w+)`", names):
            stated = keys.KINDS if kinds == "all" else tuple(kinds.split(", "))
            assert sorted(stated) == sorted(keys.KEYS[name][0]), name
