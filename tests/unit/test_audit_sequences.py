"""Checks of event sequences: logs that were cut, and the ceiling on F1."""

import datetime as dt
import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils import audit
from utils.audit import sequences

STEPS = 12


def log(sessions=400, cut=None, anomalous=0.1, seed=0):
    """Sessions that write one line a tick for twelve ticks; a tenth of them goes wrong in the last three.

    With ``cut``, the log ends at that tick: later lines are lost.
    """
    generator = np.random.default_rng(seed)
    first = np.sort(generator.integers(0, 200, sessions))
    wrong = generator.random(sessions) < anomalous
    rows = []
    for begin, bad in zip(first.tolist(), wrong.tolist(), strict=True):
        events = [*range(STEPS - 3), *([90, 91, 92] if bad else [70, 71, 72])]
        seen = events if cut is None else events[: max(cut - begin, 0)]
        if seen:
            rows.append((seen, begin, begin + len(seen) - 1, bad))
    return pl.DataFrame(rows, schema=["events", "first_line", "last_line", "is_anomaly"], orient="row")


def test_a009_is_quiet_on_a_whole_log():
    assert audit.truncated_sessions(log(), "events", "first_line", "last_line", label="is_anomaly") == []


def test_a009_finds_a_log_that_was_cut():
    cut = log(cut=150)
    open_sessions = int((cut["events"].list.len() < STEPS).sum())
    (found,) = audit.truncated_sessions(cut, "events", "first_line", "last_line", label="is_anomaly")
    assert (found.code, found.severity) == ("A009", "low")
    assert f"{open_sessions} of {cut.height}" in found.evidence
    ceiling = audit.f1_ceiling(cut, "events", "is_anomaly")
    assert f"no model of the sequence can exceed F1 {ceiling:.3f}" in found.evidence


def test_a009_is_grave_where_most_sessions_are_cut():
    (found,) = audit.truncated_sessions(log(cut=14), "events", "first_line", "last_line", label="is_anomaly")
    assert found.severity == "high"
    assert "anomalous sessions among them" in found.evidence
    assert audit.truncated_sessions(log(cut=14), "events", "first_line", "last_line")[0].severity == "medium"


def test_a009_takes_times_as_well_as_line_numbers():
    start = dt.datetime(2020, 1, 1)
    timed = log(cut=150).with_columns(
        (pl.lit(start) + pl.duration(minutes=pl.col(name))).alias(name) for name in ("first_line", "last_line")
    )
    by_line = audit.truncated_sessions(log(cut=150), "events", "first_line", "last_line")
    assert audit.truncated_sessions(timed, "events", "first_line", "last_line") == by_line


def test_a009_needs_sequences_and_places():
    whole = log(cut=150)
    assert audit.truncated_sessions(whole, "first_line", "first_line", "last_line") == []
    assert audit.truncated_sessions(whole, "events", "first_line", "absent") == []
    assert audit.truncated_sessions(whole.clear(), "events", "first_line", "last_line") == []
    named = whole.with_columns(first_line=pl.col("first_line").cast(pl.String))
    assert audit.truncated_sessions(named, "events", "first_line", "last_line") == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from(["a", "b", "ab", "", None]), max_size=4), min_size=1, max_size=12))
def test_beginnings_agree_with_comparing_all_pairs(drawn):
    got = sequences._is_beginning(pl.Series(drawn, dtype=pl.List(pl.String))).to_list()
    plain = [[event or "" for event in events] for events in drawn]
    others = [[other for other in plain if len(other) > len(events)] for events in plain]
    # the empty sequence has no event to continue: it is told apart by no text and never counts
    expected = [bool(e) and any(o[: len(e)] == e for o in rest) for e, rest in zip(plain, others, strict=True)]
    assert [g for g, e in zip(got, plain, strict=True) if e] == [x for x, e in zip(expected, plain, strict=True) if e]


@pytest.mark.parametrize("dtype", [pl.UInt8, pl.Int64, pl.String, pl.Categorical])
def test_beginnings_of_any_type_of_event(dtype):
    events = pl.Series([["1"], ["1", "2"], ["12"]]).cast(pl.List(pl.String if dtype == pl.Categorical else dtype))
    assert sequences._is_beginning(events.cast(pl.List(dtype))).to_list() == [True, False, False]


def best_f1_of_all_rules(rows):
    """Highest F1 over every way to flag distinct sequences."""
    kinds = sorted({sequence for sequence, _ in rows})
    scores = []
    for flags in itertools.product([False, True], repeat=len(kinds)):
        flagged = dict(zip(kinds, flags, strict=True))
        hits = sum(flagged[sequence] and label for sequence, label in rows)
        scores.append(2 * hits / (sum(flagged[s] for s, _ in rows) + sum(label for _, label in rows)))
    return max(scores)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=25))
def test_ceiling_is_the_best_of_all_rules(drawn):
    rows = [*drawn, (0, True)]
    frame = pl.DataFrame({"sequence": [s for s, _ in rows], "is_anomaly": [label for _, label in rows]})
    assert audit.f1_ceiling(frame, "sequence", "is_anomaly") == pytest.approx(best_f1_of_all_rules(rows))


def test_ceiling_without_anomalies_or_labels_is_none():
    frame = pl.DataFrame({"sequence": [[1], [2]], "is_anomaly": [False, False], "text": ["a", "b"]})
    assert audit.f1_ceiling(frame, "sequence", "is_anomaly") is None
    assert audit.f1_ceiling(frame, "sequence", "text") is None
    assert audit.f1_ceiling(frame, "sequence", "absent") is None
