"""Raw log lines to verdicts: sessions as the catalogue makes them, surprise by hand, reasons, errors, one model."""

import bz2
import gzip
import lzma
import math
import pickle
import re
from dataclasses import replace
from datetime import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from tests.unit import small_data
from tests.unit.loading import load_own, refused
from utils.detectors import log_monitor
from utils.detectors.log_monitor import CountSurprise, KnownTemplates, LogMonitor, SessionRule, reading
from utils.detectors.log_monitor.calibration import held_out_scores, repeated_share
from utils.detectors.log_monitor.reading import scan
from utils.detectors.novelty import UnseenEvent
from utils.detectors.session_vote import SessionVote
from utils.errors import DataError, SettingsError
from utils.evaluation.thresholds import AlarmRate
from utils.features import tables
from utils.simulate import hdfs

HEADER = r"(?P<time>\S+ \S+) (?P<level>\w+) (?P<content>.*)"
REQUEST = r"req-\d+"
CYCLE = ("open file {n} of {who}", "read {n} bytes for {who}", "close file {n} of {who}")


def request(number, lines=CYCLE):
    """Lines of one request."""
    return [line.format(n=number * 7, who=f"req-{number}") for line in lines]


def raw(requests=60, odd=()):
    """A log of requests, one second a line; odd ones have a line that no other has, and lack one."""
    texts = []
    for number in range(requests):
        lines = (CYCLE[0], "disk {n} failed while {who} was read", "disk {n} failed while {who} was read")
        texts += request(number, lines if number in odd else CYCLE)
    return [f"2024-05-01 08:{place // 60 % 60:02}:{place % 60:02} INFO {text}" for place, text in enumerate(texts)]


def frame(*sessions):
    return pl.DataFrame({"events": [list(events) for events in sessions]}, schema={"events": pl.List(pl.String)})


@pytest.fixture(scope="module")
def blocks():
    """The simulator's HDFS: tables, and the same blocks as raw lines."""
    made = hdfs.simulate(700, 3)
    lines = made["lines"]
    head = pl.concat_str("Date", "Time", "Pid", "Level", "Component", separator=" ")
    return made, lines.select(line=pl.concat_str(head, pl.lit(": "), "Content"))["line"]


HDFS_HEADER = r"(?P<date>\d+) (?P<time>\d+) (?P<pid>\d+) (?P<level>\w+) (?P<component>[^:]+): (?P<content>.*)"
BLOCK = r"blk_-?\d+"


@pytest.fixture(scope="module")
def on_lists(blocks):
    """A model that learned from sessions as lists of numbers."""
    made, _ = blocks
    train = made["sessions"].filter(pl.col("split") == "train").join(made["sequences"], on="sequence_id")
    counted = train.group_by("events", maintain_order=True).len()
    monitor = LogMonitor(header=HDFS_HEADER, session=BLOCK)
    return monitor.fit_sessions(counted.select("events"), weight=counted["len"], templates=made["templates"])


# ---- from lines to sessions

RULES = {
    "identifier": {"session": REQUEST},
    "one group": {"session": r"(req-\d+)\b"},
    "time": {"window": "10s"},
    "lines": {"window_lines": 7},
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("chunk", [1 << 24, 100])
def test_sessions_are_those_that_a_catalogue_entry_makes(tmp_path, monkeypatch, rule, chunk):
    monkeypatch.setattr(reading, "CHUNK_BYTES", chunk)
    lines = raw(20)
    lines[9:9] = ["Traceback: first of two lines", "second", "", "   "]
    lines[2] = lines[2] + " for req-9 and req-2"
    text = "orphan req-1\n" + "\r\n".join(lines) + "\n"
    dataset = load_own(tmp_path, {"app.log": text}, kind="log", header=HEADER, **rule)
    expected, numbers = dataset["sessions"], dataset["lines"]["line"].to_list()
    found = scan(tmp_path / "app.log", SessionRule(header=HEADER, **rule)).rows
    assert [str(name) for name in found["session"]] == [str(name) for name in expected["session"]]
    assert found["lines"].to_list() == [[numbers[line - 1] for line in ids] for ids in expected["line_ids"]]


def test_a_session_of_the_header_and_lines_that_continue_others(monkeypatch):
    monkeypatch.setattr(reading, "CHUNK_BYTES", 30)
    header = r"(?P<session>s\d) (?P<content>.*)"
    lines = ["no header yet", "s1 a", " more of s1", "s2 b", "s1 c", " more of s1"]
    found = scan(lines, SessionRule(header=header))
    assert found.rows["session"].to_list() == ["s1", "s2"]
    assert found.rows["lines"].to_list() == [[2, 3, 5, 6], [4]]
    assert (found.n_lines, found.n_outside) == (6, 1)


def packed(text):
    return {"plain": text, "gz": gzip.compress(text), "bz2": bz2.compress(text), "xz": lzma.compress(text)}


@pytest.mark.parametrize("kind", ["plain", "gz", "bz2", "xz"])
def test_packed_files_are_read(tmp_path, kind):
    text = "\n".join(raw(10)).encode()
    (tmp_path / "log").write_bytes(packed(text)[kind])
    told = []
    found = scan(str(tmp_path / "log"), SessionRule(session=REQUEST), told.append)
    assert found.rows.equals(scan(raw(10), SessionRule(session=REQUEST)).rows)
    assert told[-1] == 30


@pytest.mark.parametrize(("encoding", "given"), [("latin-1", "latin-1"), ("utf-16", None), ("utf-8-sig", None)])
def test_other_encodings_give_the_same_templates(tmp_path, encoding, given):
    lines = [f"Grüße an req-{place // 3}" for place in range(30)]
    (tmp_path / "log").write_bytes("\n".join(lines).encode(encoding))
    found = scan(tmp_path / "log", SessionRule(session=REQUEST, encoding=given))
    assert found.skeletons.texts == scan(lines, SessionRule(session=REQUEST)).skeletons.texts
    assert "Grüße" in found.skeletons.texts[0]


def test_bytes_that_are_no_text_do_not_stop_it(tmp_path):
    (tmp_path / "log").write_bytes(b"\xff\xfa ok req-1\n\x00\x80 ok req-2\nok req-1\n")
    assert scan(tmp_path / "log", SessionRule(session=REQUEST)).rows["session"].to_list() == ["req-1", "req-2"]


def test_parsed_lines_need_no_header():
    parsed = pl.DataFrame({"content": ["a", "b", "c"], "session": ["x", None, "x"], "line_id": [5, 6, 9]})
    found = scan(parsed, SessionRule(header=r"(?P<session>\d) (?P<content>.*)"))
    assert found.rows.row(0, named=True)["lines"] == [5, 9]
    timed = pl.DataFrame({"Content": ["a", "b"], "timestamp": [datetime(2024, 1, 1, 8), datetime(2024, 1, 1, 9)]})
    assert scan(timed, SessionRule(window="1h")).rows["session"].to_list() == timed["timestamp"].to_list()
    named = pl.DataFrame({"Content": ["a req-1", "b"]})
    assert scan(named, SessionRule(session=REQUEST)).rows["session"].to_list() == ["req-1"]
    for held in (named.to_pandas(), named.to_dicts(), named.rename({"Content": "line"}).to_pandas()):
        assert scan(held, SessionRule(window_lines=1)).rows.height == 2


WRONG_RULES = {
    "nothing": ({}, "none of session, window and window_lines"),
    "two things": ({"session": REQUEST, "window_lines": 3}, "session and window_lines"),
    "no content": ({"header": "(?P<x>.*)", "window_lines": 3}, "a group named content"),
    "bad header": ({"header": "(?P<content>.*", "window_lines": 3}, "regular expression"),
    "bad session": ({"session": "req-("}, "session must be"),
    "window": ({"header": HEADER, "window": "5x"}, "'5x'"),
    "no lines": ({"window_lines": 0}, "at least 1"),
    "lines as text": ({"window_lines": "5"}, "found '5'"),
    "window as a number": ({"header": HEADER, "window": 5}, "found 5"),
    "encoding": ({"session": REQUEST, "encoding": "klingon"}, "'klingon'"),
    "no time": ({"window": "5m"}, "a time"),
    "unfit time": ({"header": HEADER, "window": "5m", "time_format": "%d"}, "time_format must fit"),
    "unfit header": ({"header": r"X(?P<content>.*)", "window_lines": 3}, "header must match most lines"),
    "unfit session": ({"session": "nobody"}, "found no line that does"),
}


@pytest.mark.parametrize(("rule", "words"), WRONG_RULES.values(), ids=WRONG_RULES)
def test_wrong_rules_are_refused_in_one_sentence(rule, words):
    refused(lambda: scan(raw(5), SessionRule(**rule)), words, error=DataError)


WRONG_FILES = {
    "empty": (b"", "found none or blank ones only"),
    "blank": (b"\n  \n\r\n", "found none or blank ones only"),
    "damaged": (gzip.compress(b"a req-1\n" * 9999)[:60], "damaged"),
    "binary": (bytes(range(256)) * 40, "found no line that does"),
}


@pytest.mark.parametrize(("content", "words"), WRONG_FILES.values(), ids=WRONG_FILES)
def test_wrong_files_are_refused_in_one_sentence(tmp_path, content, words):
    (tmp_path / "log").write_bytes(content)
    refused(lambda: scan(tmp_path / "log", SessionRule(session=REQUEST)), words, error=DataError)
    refused(lambda: scan(tmp_path, SessionRule(session=REQUEST)), "a folder", error=DataError)
    refused(lambda: scan(tmp_path / "none", SessionRule(session=REQUEST)), "none", error=DataError)


def test_damage_inside_of_a_packed_file_is_told(tmp_path):
    packed = bz2.compress(np.random.default_rng(0).bytes(5000))
    (tmp_path / "log").write_bytes(packed[:2000] + bytes(9) + packed[2009:])
    refused(lambda: scan(tmp_path / "log", SessionRule(session=REQUEST)), "damaged", error=DataError)


def test_a_text_in_place_of_a_path_is_refused():
    refused(lambda: scan("\n".join(raw(99)), SessionRule(session=REQUEST)), "must be the path", error=DataError)


@pytest.mark.parametrize("numbers", [["x"] * 4, [7, 7, 8, 8], [1, None, 2, 3]])
def test_numbers_that_do_not_tell_lines_apart_are_not_taken(numbers):
    parsed = pl.DataFrame({"content": ["a", "b", "a", "c"], "LineId": numbers})
    scanned = scan(parsed, SessionRule(window_lines=2))
    assert scanned.rows["lines"].to_list() == [[1, 2], [3, 4]]
    assert scanned.n_outside == 0
    apart = parsed.with_columns(LineId=pl.Series([9, 8, 7, 6]))
    assert scan(apart, SessionRule(window_lines=4)).rows["lines"].to_list() == [[9, 8, 7, 6]]


def test_messages_that_are_no_texts_are_refused():
    refused(lambda: scan(pl.DataFrame({"content": [["a"]]}), SessionRule(window_lines=2)), "'content' must hold texts")


@pytest.mark.parametrize(
    "lines", [["half of a sign \ud800"], [1, 2], pl.Series([1]), pl.DataFrame({"a": ["x"], "b": ["y"]}), pl.DataFrame()]
)
def test_what_is_no_text_is_refused(lines):
    refused(lambda: scan(lines, SessionRule(window_lines=2)), "text")


def test_parsed_lines_without_what_names_their_session_are_refused():
    refused(lambda: scan(pl.DataFrame({"content": ["a"]}), SessionRule(window="1m")), "'time'")


# ---- surprise


def test_surprise_by_hand():
    train = frame("a", "a", "ab", "abb", "aa", "aab", "aab", "aab", "a")
    fitted = CountSurprise().fit(train)
    n = 9
    rare_b = -math.log(2 * (1 + 1) / (1 + n))  # one session of nine has b twice
    burst = -math.log(2 * 1 / (1 + n)) + math.log((5 + 1) / (2 + 1))
    new = -math.log(2 * 1 / (1 + n)) + math.log(3 + 1)
    missing = -math.log(2 * 1 / (1 + n))  # each of the nine has a
    scores = fitted.score_samples(frame("ab", "abb", "abbbbb", "axxx", "b", "axxxyyy"))
    assert scores == pytest.approx([0, rare_b, burst, new, missing, 2 * new])
    assert fitted.lengths_ == (1, 2, 3)
    assert fitted.usual(0) == (9.0, 1, 2)


def test_shares_add_up_and_name_the_events():
    fitted = CountSurprise().fit(frame(*["ab"] * 20))
    asked = frame("ab", "axxy", "")
    shares = fitted.shares(asked)
    assert shares.filter(pl.col("row") == 1)["event"].to_list() == ["x", "y", "b"]
    assert shares.filter(pl.col("row") == 2)["event"].to_list() == ["a", "b"]
    total = shares.group_by("row").agg(pl.col("share").sum()).sort("row")
    scores = fitted.score_samples(asked)
    assert total["share"].to_list() == pytest.approx(scores[total["row"].to_numpy()].tolist())
    assert set(shares.filter(~pl.col("known"))["event"]) == {"x", "y"}
    assert scores[0] == 0


@given(st.lists(st.text("abc", max_size=6), min_size=1, max_size=12), st.integers(1, 4))
@settings(deadline=None, max_examples=20)
def test_weights_are_sessions_and_more_of_a_new_event_is_more_abnormal(train, times):
    rows, weight = frame(*train), np.arange(len(train)) % 3 + times
    weighed = CountSurprise().fit(rows, weight=weight)
    repeated = CountSurprise().fit(frame(*np.repeat(train, weight).tolist()))
    asked = frame("abc", "aabbcc", "x", "xx", "xxxxxx", "")
    assert weighed.score_samples(asked) == pytest.approx(repeated.score_samples(asked))
    new = weighed.score_samples(asked)[2:5]
    assert new[0] < new[1] < new[2]
    assert (weighed.score_samples(asked) >= 0).all()


def test_surprise_learns_from_normal_sessions_only():
    rows = frame("a", "z", "a")
    with_labels = CountSurprise().fit(rows, [False, True, False])
    assert with_labels.score_samples(frame("z")) == CountSurprise().fit(frame("a", "a")).score_samples(frame("z"))
    with pytest.raises(DataError):
        CountSurprise().fit(rows, [True, True, True])
    with pytest.raises(NotFittedError):
        CountSurprise().score_samples(rows)


def test_held_out_scores_are_of_sessions_that_the_detector_has_not_seen():
    rows = frame(*["a"] * 9, "b")
    scores = held_out_scores(UnseenEvent(), rows, None, 5, 0)
    assert (scores >= 1).tolist() == [False] * 9 + [True]
    weighed = held_out_scores(UnseenEvent(), frame("a", "b"), np.array([9.0, 1.0]), 5, 0)
    assert sorted(weighed >= 1) == [False] * 9 + [True]
    assert len(held_out_scores(UnseenEvent(), frame("a"), None, 5, 0)) == 1
    assert repeated_share(rows, None) == 0.9
    assert repeated_share(frame("ab", "ba", "c"), None) == pytest.approx(2 / 3)


def test_new_events_are_no_alarm_where_each_session_has_one():
    monitor = LogMonitor(rate=0.05).fit_sessions(pl.DataFrame({"events": [[f"e{row}"] for row in range(100)]}))
    new = pl.DataFrame({"events": [[f"f{row}"] for row in range(50)]})
    assert not monitor.decide_sessions(new)["decision"].any()
    assert monitor.decide_sessions(pl.DataFrame({"events": [["f1", "f2", "f3"]]}))["decision"].all()
    assert monitor.surprise_.recurring == 0


def test_the_alarm_rate_holds_for_windows_like_those_of_training():
    rates = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        share = rng.dirichlet(np.full(30, 0.2))
        events = [[f"t{event}" for event in rng.choice(30, rng.poisson(20) + 1, p=share)] for _ in range(500)]
        rows = pl.DataFrame({"events": events})
        monitor = LogMonitor(rate=0.1, detector=CountSurprise()).fit_sessions(rows.head(200))
        rates.append(monitor.predict(rows.tail(300)).mean())
    assert 0.06 < np.mean(rates) < 0.13


# ---- known templates


def test_lines_get_the_published_ids(blocks):
    made, _ = blocks
    lines = made["lines"]
    scanned = scan(lines, SessionRule(window_lines=lines.height))
    found = scanned.sessions(KnownTemplates.of(made["templates"]))[0]["events"][0]
    assert found.to_list() == lines["EventId"].to_list()


def test_a_line_of_no_known_template_is_its_own():
    known = KnownTemplates({"E1": "open <*> now", "E2": "open <*>"})
    described = known.describe(["open \x01 now", "open \x01", "shut \x01"])
    assert [(found.id, found.known) for found in described[:2]] == [("E1", True), ("E2", True)]
    assert not described[2].known
    numbered = KnownTemplates.of(pl.DataFrame({"EventId": [7], "EventTemplate": ["shut <*>"]}))
    assert numbered.describe(["shut \x01"])[0].id == "7"
    nameless = pl.DataFrame({"EventId": ["E1"], "EventTemplate": [None]}, schema_overrides={"EventTemplate": pl.String})
    refused(lambda: KnownTemplates.of(nameless), "an id and a text", error=DataError)
    assert re.fullmatch(r"[a-z2-7]{12}", described[2].id)
    refused(lambda: KnownTemplates.of(pl.DataFrame({"EventId": ["a", "a"], "EventTemplate": ["x", "y"]})), "'a' twice")
    refused(lambda: KnownTemplates.of(pl.DataFrame({"id": ["a"]})), "EventId")


# ---- the model


def test_lines_and_lists_of_events_give_the_same_verdicts(blocks, on_lists):
    made, lines = blocks
    by_lines = on_lists.decide(lines)
    numbers = made["sessions"].join(made["sequences"], on="sequence_id", maintain_order="left")["events"]
    labels = made["labels"].with_columns(events=numbers.head(made["labels"].height)).rename({"BlockId": "session"})
    by_lists = on_lists.decide_sessions(labels)
    joined = by_lists.join(by_lines, on="session", suffix="_of_lines")
    assert joined.height == made["labels"].height
    for column in ("decision", "score", "p_value"):
        assert joined[column].equals(joined[f"{column}_of_lines"], check_names=False)
    anomalous = joined.join(labels.select("session", "Label"), on="session")
    flagged = anomalous.filter("decision")
    assert (flagged["Label"] == "Anomaly").mean() > 0.5
    assert flagged.filter(pl.col("Label") == "Anomaly").height >= 0.9 * (labels["Label"] == "Anomaly").sum()
    assert on_lists.predict(lines).tolist() == by_lines["decision"].to_list()
    assert on_lists.score_samples(labels).tolist() == by_lists["score"].to_list()


def test_reasons_name_templates_and_lines():
    monitor = LogMonitor(session=REQUEST).fit(raw(200))
    lines = [*raw(200), *request(777, (CYCLE[0], "disk {n} failed while {who} was read"))]
    decided = monitor.decide(lines, order="score")
    top = decided.row(0, named=True)
    assert (top["session"], top["decision"], top["first_line"], top["last_line"]) == ("req-777", True, 601, 602)
    assert 'disk <*> failed while <*> was read" once (line 602) is new: none of 200 training sessions has it' in str(
        top["reasons"]
    )
    assert any("is missing" in reason for reason in top["reasons"])
    assert not any(re.search(r"\b[a-z2-7]{12}\b", reason) for reason in top["reasons"])
    assert decided["decision"].sum() == 1
    assert decided.filter(~pl.col("decision"))["reasons"].list.len().max() == 0
    assert decided.columns[:6] == ["session", "decision", "score", "threshold", "p_value", "reasons"]
    assert decided.columns[6:] == ["first_line", "last_line", "n_events"]
    assert monitor.decide(lines, explained="none")["reasons"].list.len().sum() == 0
    assert (monitor.decide(lines, explained="all")["reasons"].list.len() > 0).all()
    assert (monitor.decide(lines, explained=2)["reasons"].list.len() > 0).sum() == 2
    assert top["p_value"] == pytest.approx(1 / 201)


def test_windows_are_ranked_by_bursts_and_by_many_rare_lines():
    rng = np.random.default_rng(0)
    usual = ["beat {}", "poll node {}", "sent {} bytes", "cache hit for {}", "saved {} rows"]
    quiet = [usual[kind].format(place) for place, kind in enumerate(rng.integers(0, 5, 1200))]
    burst, mixed = quiet[:20].copy(), quiet[:20].copy()
    burst[3:19] = [f"login of user u{place} failed" for place in range(16)]
    mixed[5:9] = ["kernel panic", "disk is gone", "reboot", "root shell opened"]
    train = [*quiet[:600], *burst[:3], "login of user u7 failed", *quiet[600:616]]
    monitor = LogMonitor(window_lines=20, rate=0.05).fit(train)
    assert isinstance(monitor.detector_, CountSurprise)
    decided = monitor.decide([*quiet[620:820], *burst, *mixed, *quiet[900:1000]], order="score")
    assert set(decided["session"].head(2)) == {10, 11}
    assert decided["decision"].head(2).all()
    assert "kernel panic" in str(decided.filter(pl.col("session") == 11)["reasons"][0].to_list())
    said = str(decided.filter(pl.col("session") == 10)["reasons"][0].to_list())
    assert "more than ever in training: 1 of 31 training windows has it, at most 1 times" in said


def test_a_model_keeps_no_line_and_comes_back_as_it_was():
    vote = SessionVote(folds=2)
    monitor = LogMonitor(session=REQUEST, detector=vote, progress=print).fit([*raw(100), "note for req-5 from zorro"])
    lines, copy = raw(120, odd=(110,)), pickle.loads(pickle.dumps(monitor))
    assert copy.decide(lines).equals(monitor.decide(lines))
    assert copy.progress is None
    assert not re.search(rb"req-\d+|08:00", pickle.dumps(monitor).replace(REQUEST.encode(), b""))
    again = clone(monitor).fit([*raw(100), "note for req-5 from zorro"])
    assert again.decide(lines).equals(monitor.decide(lines))


def test_labelled_anomalies_are_left_out():
    lines = raw(80, odd=(5, 6))
    labels = {f"req-{number}": number in (5, 6) for number in range(80)}
    as_frame = pl.DataFrame({"session": list(labels), "is_anomaly": list(labels.values())})
    plain = LogMonitor(session=REQUEST, detector=UnseenEvent())
    found = [clone(plain).fit(lines, y) for y in (labels, as_frame, list(labels.values()))]
    for monitor in found:
        assert monitor.n_training_ == 78
        assert monitor.predict(lines).nonzero()[0].tolist() == [5, 6]
        assert not any("failed" in text for text in monitor.texts_.values())
    partly = clone(plain).fit(lines, {f"req-{number}": False for number in range(50) if number > 9})
    assert partly.n_training_ == 40
    unlabelled = clone(plain).fit(lines)
    assert not unlabelled.predict(lines).any()


def test_a_detector_and_a_threshold_can_be_given():
    monitor = LogMonitor(session=REQUEST, detector=UnseenEvent()).fit(raw(60))
    assert "every event type is known" in monitor.decide(raw(3), explained="all")["reasons"][0][0]
    assert monitor.threshold_.value_ == 1
    rated = LogMonitor(session=REQUEST, threshold=AlarmRate(0.1)).fit(raw(60))
    assert rated.threshold_.rate == 0.1
    described = " ".join(rated.describe())
    assert "SessionVote" in described
    assert "3 event types are known" in described
    assert rated.example()["line"].str.contains("x1").all()
    assert rated.predict(rated.example().with_columns(pl.col("line") + " req-1")).shape == (1,)


def test_odd_sessions_are_judged(on_lists):
    odd = pl.DataFrame({"events": [[], None, [None], [99], [5] * 10_000]}, schema={"events": pl.List(pl.Int64)})
    decided = on_lists.decide_sessions(odd, explained="all")
    assert decided["decision"].all()
    assert decided["n_events"].to_list() == [0, 0, 1, 1, 10_000]
    assert "a line of no known template" in str(decided["reasons"][2].to_list())
    assert on_lists.decide_sessions(odd.head(0)).height == 0
    ids = pl.DataFrame({"events": [["E5", "E22", "E5", "nonsense"]]})
    numbers = pl.DataFrame({"events": [[5, 22, 5, None]]})
    assert on_lists.score_samples(ids) == on_lists.score_samples(numbers)
    assert on_lists.score_samples(ids.to_dicts()) == on_lists.score_samples(numbers)
    refused(lambda: on_lists.decide_sessions(pl.DataFrame({"events": [1]})), "lists")
    refused(lambda: on_lists.decide_sessions(pl.DataFrame({"x": [1]})), "'events'")


def test_what_cannot_be_learned_or_decided_is_refused():
    letters = np.random.default_rng(0).choice(list("abcdefghijklmnop"), (100, 3, 8))
    unique = [" ".join("".join(word) for word in words) + f" req-{place}" for place, words in enumerate(letters)]
    refused(lambda: LogMonitor(session=REQUEST).fit(unique), "templates must recur", error=DataError)
    everything = {f"req-{number}": True for number in range(9)}
    refused(lambda: LogMonitor(session=REQUEST).fit(raw(9), everything), "normal sessions", error=DataError)
    refused(lambda: LogMonitor(session=REQUEST).fit(raw(9), [None] * 9), "normal sessions", error=DataError)
    refused(lambda: LogMonitor(session=REQUEST).fit(raw(9), [True]), "one a session", error=DataError)
    refused(lambda: LogMonitor(session=REQUEST).fit(raw(9), pl.DataFrame({"x": [1]})), "'session'")
    refused(lambda: LogMonitor(session=REQUEST).fit(raw(9), {"job-1": True}), "such as 'req-0'", error=DataError)
    refused(lambda: LogMonitor(session=REQUEST).fit(raw(9), {"req-1": "bad"}), "true or false", error=DataError)
    once = LogMonitor(detector=CountSurprise(), folds=1)
    refused(lambda: once.fit_sessions(frame("a", "b")), "folds must be at least 2", error=SettingsError)
    refused(lambda: LogMonitor().fit_sessions(frame("a"), [True]), "normal sessions", error=DataError)
    refused(lambda: LogMonitor().fit_sessions(pl.DataFrame({"x": [1]})), "'events'")
    fitted = LogMonitor(session=REQUEST).fit(raw(9))
    refused(lambda: fitted.decide(raw(9), order="size"), "'size'", error=SettingsError)
    refused(lambda: fitted.decide(raw(9), explained="some"), "'some'", error=SettingsError)
    with pytest.raises(NotFittedError):
        LogMonitor(session=REQUEST).decide(raw(9))


def test_one_session_can_be_learned_from():
    monitor = LogMonitor(session=REQUEST).fit(request(1))
    assert monitor.n_training_ == 1
    assert monitor.decide([*request(2), *request(3, CYCLE[:1])]).height == 2


# ---- a raw file in one call


def test_a_file_in_one_call_without_labels(tmp_path):
    (tmp_path / "app.log").write_text("\n".join([*raw(100, odd=(80, 90)), "a line of nobody"]))
    found = log_monitor.verdicts(tmp_path / "app.log", session=REQUEST)
    assert found.table["session"].head(2).sort().to_list() == ["req-80", "req-90"]
    assert found.table.height == 50
    assert found.table["score"].is_sorted(descending=True)
    assert found.notes[0].startswith("Learned from the first 50 sessions, judged the other 50. The first are taken for")
    assert "1 of 301 lines belong to no session" in found.notes[1]
    assert found.estimates == ()
    assert 'failed while <*> was read" 2 times (lines 242 and 243) is new' in str(
        found.table.filter(pl.col("session") == "req-80")["reasons"][0].to_list()
    )


def test_a_file_in_one_call_with_labels():
    lines = raw(100, odd=(3, 80, 90))
    labels = {f"req-{number}": number in (3, 80, 90) for number in range(99)}
    options = {"session": REQUEST, "detector": UnseenEvent()}
    found = log_monitor.verdicts(lines, labels=labels, train_share=0.6, **options)
    assert "(1 that are not known to be normal left out), judged the other 40" in found.notes[0]
    assert {one.name: one.value for one in found.estimates}["f1"] == 1
    assert found.table.filter("is_anomaly").height == 2
    assert found.table["is_anomaly"].null_count() == 1
    numbers = pl.DataFrame({"session": list(labels), "is_anomaly": [int(label) for label in labels.values()]})
    assert log_monitor.verdicts(lines, labels=numbers, train_share=0.6, **options).table.equals(found.table)
    in_order = [int(number in (3, 80, 90)) for number in range(99)] + [None]
    assert log_monitor.verdicts(lines, labels=in_order, train_share=0.6, **options).table.equals(found.table)
    alike = log_monitor.verdicts(lines, labels=dict.fromkeys(labels, False), **options)
    assert alike.estimates == ()


def test_what_to_beware_of_is_said():
    changed = [*raw(50), *(f"start of job req-{number // 2}" for number in range(200, 300))]
    notes = " ".join(log_monitor.verdicts(changed, session=REQUEST, detector=UnseenEvent()).notes)
    assert "100% of the judged sessions are flagged, and 1 of their 1 event types are not in the training part" in notes
    once = [f"{word} req-{place // 2}" for place, word in enumerate(["up", "down", "left", "right", "in", "out", "on"])]
    assert "are in one session only" in " ".join(log_monitor.verdicts(once, session=REQUEST).notes)
    cut = log_monitor.verdicts(raw(100)[:-8], header=HEADER, window="10s")
    assert "The last window ends with the log" in cut.notes[-1]
    few = log_monitor.verdicts(raw(10), header=HEADER, window="10s")
    assert "look at the sessions by rank, not by alarm" in few.notes[1]
    assert few.table.schema["session"] == pl.Datetime("us")
    refused(lambda: log_monitor.verdicts(raw(1), session=REQUEST), "found 1", error=DataError)
    refused(lambda: log_monitor.verdicts(raw(9), session=REQUEST, train_share=2), "train_share", error=DataError)


# ---- tables of users' own logs


def built(dataset):
    return {"mine": tables.build(dataset, seed=1)}, {"mine": dataset}


def test_own_logs_are_ranked_by_their_first_part(tmp_path):
    parts = {"app.log.1": "\n".join(raw(60)), "app.log": "\n".join(raw(100, odd=(95,))[180:])}
    dataset = load_own(tmp_path, parts, kind="log", header=HEADER, session=REQUEST, files=["app.log*"])
    names = []
    found = log_monitor.ranked(*built(dataset), report=names.append)
    top = found.top.row(0, named=True)
    assert (top["data set"], top["table"], top["session"], top["decision"]) == ("mine", "sessions", "req-95", True)
    assert top["first_line"] == "app.log:106"
    assert 'failed while <*> was read" 2 times (lines app.log:107 and app.log:108) is new' in top["sentence"]
    assert found.alarms.row(0, named=True)["judged"] == 20
    assert found.results("mine") == {
        "sessions_ranked_judged": 20.0,
        "sessions_ranked_alarms": 1.0,
        "sessions_ranked_share": 0.05,
    }
    assert found.results("other") == {}
    assert found.notes == {"mine": ()}
    assert names == ["mine sessions"]
    monitor = found.monitors["mine", "sessions"]
    assert monitor.n_training_ == 80
    assert found.top.height == 10


def test_own_windows_with_labels_are_ranked_without_the_known_anomalies(tmp_path):
    lines = [f"{'BAD' if number in (7, 95) else '-'} {line[20:]}" for number, line in enumerate(raw(40))]
    header = r"(?P<label>\S+) (?P<level>\w+) (?P<content>.*)"
    dataset = load_own(tmp_path, {"a.log": "\n".join(lines)}, kind="log", header=header, window_lines=6, normal=["-"])
    found = log_monitor.ranked(*built(dataset), top=3)
    assert found.top["is_anomaly"].dtype == pl.Boolean
    assert found.alarms["training"][0] == 14
    assert not found.top["is_anomaly"].all()
    assert "by rank" in found.notes["mine"][0]


def test_events_of_own_sessions_are_ranked_and_other_tables_are_not(tmp_path):
    rows = [f"{place},s{place // 3},{'xyz'[place % 3]}" for place in range(300)]
    rows[-1] = "299,s99,odd"
    text = "at,visit,action\n" + "\n".join(rows)
    columns = {"event": "action", "session": "visit"}
    dataset = load_own(tmp_path, {"a.csv": text}, kind="events", columns=columns)
    found = log_monitor.ranked(*built(dataset))
    assert found.top["session"][0] == "s99"
    assert "event odd once is new" in found.top["sentence"][0]

    labelled = replace(small_data.table(), origin="mirror")
    none = log_monitor.ranked({"tiny": labelled}, {})
    assert none.top.is_empty()
    assert none.alarms.is_empty()


def test_a_table_with_one_side_is_named_in_the_notes(tmp_path):
    dataset = load_own(tmp_path, {"a.log": "\n".join(raw(40))}, kind="log", header=HEADER, session=REQUEST)
    processed, data = built(dataset)
    one_sided = {name: table.with_columns(split=pl.lit("train")) for name, table in processed["mine"].frames.items()}
    found = log_monitor.ranked({"mine": replace(processed["mine"], frames=one_sided)}, data)
    assert "sessions: not ranked" in found.notes["mine"][0]
    nameless = log_monitor.ranked(processed, {})
    assert sorted(nameless.top["session"], key=int) == [str(row) for row in range(1, 9)]
    assert "first_line" not in nameless.top.columns
