"""Verdicts that the service remembers: the same as if every session were decided on, and only so many."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.serving import remembered
from utils.serving.remembered import Remembered

SESSIONS = st.lists(st.lists(st.integers(0, 2), max_size=4), min_size=1, max_size=12)


class Model:
    """Counts events, and what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, frame):
        sessions = frame["events"].to_list()
        self.asked += sessions
        return {
            "session": [str(place) for place in range(1, len(sessions) + 1)],
            "decision": [len(events) > 2 for events in sessions],
            "score": [float(sum(events)) for events in sessions],
        }


def frame(sessions):
    return pl.DataFrame({"events": sessions}, schema={"events": pl.List(pl.Int64)})


@settings(deadline=None)
@given(requests=st.lists(SESSIONS, min_size=1, max_size=4), most=st.integers(0, 30))
def test_remembered_verdicts_are_those_of_the_model(requests, most):
    memory, model = Remembered(most), Model()
    for sessions in requests:
        assert memory.columns(frame(sessions), model) == Model()(frame(sessions))
        assert sum(len(key) + 1 for key in memory._verdicts) <= most


def test_each_distinct_session_is_decided_on_once():
    memory, model = Remembered(), Model()
    for _ in range(3):
        memory.columns(frame([[1, 2], [2], [1, 2]]), model)
    assert sorted(model.asked) == [[1, 2], [2]]
    assert len(memory) == 2


def test_the_session_that_was_asked_longest_ago_is_forgotten(monkeypatch):
    monkeypatch.setattr(remembered, "LONGEST", 3)
    memory, model = Remembered(most=4), Model()
    for events in ([1], [2], [1], [0], [1], [2], [0, 0, 0, 0], [0, 0, 0, 0]):
        memory.columns(frame([events]), model)
    assert model.asked == [[1], [2], [0], [2], [0, 0, 0, 0], [0, 0, 0, 0]]
