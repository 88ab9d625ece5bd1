"""Made-up log lines: the header and the sessions of a monitor can read what it gives as an example."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.detectors.log_monitor import LogMonitor, made_up

HEADERS = {
    "own": (r"(?P<time>\S+ \S+) (?P<level>\w+) (?P<content>\[.*)", None),
    "syslog": (
        r"(?P<time>\w{3} +\d+ [\d:]+) (?P<host>\S+) (?P<component>[^:\[]+)(\[(?P<pid>\d+)\])?: (?P<content>.*)",
        None,
    ),
    "log4j": (
        r"(?P<time>\S+ \S+) +(?P<level>\w+) +\[(?P<thread>[^\]]*)\] (?P<component>[^:]+): (?P<content>.*)",
        None,
    ),
    "web server": (r"(?P<ip>\S+) \S+ (?P<user>\S+) \[(?P<time>[^\]]+)\] (?P<content>.*)", None),
    "tagged": (r"(?P<label>\S+) (?P<time>\d+) \S+ (?P<node>\S+) (?P<content>.*)", None),
    "given": (r"(?P<time>[^|]+)\|(?P<content>.*)", "%d.%m.%Y %H-%M"),
    "blocks": (
        r"(?P<date>\d{6}) (?P<time>\d{6}) (?P<pid>\d+) (?P<level>\w+) (?P<component>[^:]+): (?P<content>.*)",
        None,
    ),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_made_up_line_has_the_form_of_the_header(name):
    header, time_format = HEADERS[name]
    made = made_up.line("[web] open <*> of <*>", header=header, time_format=time_format, session=r"req-\d+")
    found = re.match(header, made)
    assert found
    assert re.search(r"req-\d+", found["content"])
    assert "<*>" not in made
    assert made_up.line("[web] closed", header=header, time_format=time_format, session=r"req-\d+").endswith("req-1")


def test_without_header_and_sessions_only_values_are_put_in():
    assert made_up.line("open <*> of <*>") == "open x1 of x1"


@pytest.mark.parametrize(
    "expression",
    [
        r"req-\d+",
        r"blk_-?\d+",
        r"[0-9a-f]{8}",
        r"(?:id|key)=[^\s,]+",
        r"u[A-Z]\w{2,4}?\b",
        r"^a.c$",
        r"[^x1]\S",
        r"[\W\D]",
        r"[^\w\s]z",
        r"[^x]",
    ],
)
def test_a_made_up_text_is_matched(expression):
    assert re.fullmatch(expression, made_up.matching(expression))


@given(st.from_regex(r"[a-z]{1,4}(\\d|\\w|\\S|[.])([+]|\{1,3\}|)[-_/](\[\^[a-z:]\]|\[0-9\])[+]", fullmatch=True))
@settings(deadline=None, max_examples=60)
def test_many_expressions_are_matched(expression):
    assert re.fullmatch(expression, made_up.matching(expression))


@pytest.mark.parametrize(
    ("options", "head"),
    [
        ({"session": r"req-\d+"}, ""),
        ({"window": "1h", "header": HEADERS["own"][0]}, "2024-05-01 08:{:02d}:00,120 INFO "),
    ],
    ids=["named", "windows of time"],
)
def test_a_monitor_reads_its_own_example(options, head):
    lines = [
        f"{head.format(place)}[req-2{place}] {said}" for place in range(30) for said in ("open door", "close door")
    ]
    monitor = LogMonitor(**options).fit(lines)
    example = monitor.example()
    assert monitor.decide(example).height >= 1
    assert set(example["line"]).isdisjoint(lines)
