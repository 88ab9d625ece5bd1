"""Explanations of log sessions: steps, the nearest normal session, reasons and the paragraph say what is there."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils import explain
from utils.detectors import novelty
from utils.errors import DataError, SchemaError
from utils.evaluation import thresholds
from utils.explain import normal_sessions
from utils.explain.normal_sessions import aligned
from utils.explain.sessions import DEPARTS, END, SURPRISED, UNSEEN, EventNames

USUAL = [5, 22, 5, 11, 9, 26, 21]
NORMALS = pl.DataFrame(
    {"events": [USUAL, [22, 5, 5, 11, 9, 26, 21], [5, 22, 5, 11, 9, 11, 9, 26, 26, 21]], "n": [70, 20, 10]},
    schema={"events": pl.List(pl.UInt8), "n": pl.UInt32},
)
TEMPLATES = pl.DataFrame(
    {
        "EventId": ["E5", "E9", "E11", "E20", "E21", "E22", "E26"],
        "EventTemplate": [
            "<*>Receiving block<*>",
            "Received",
            "Responder",
            "Unexpected error",
            "Deleting",
            "New",
            "Kept",
        ],
    }
)
ODD = [5, 22, 5, 11, 9, 26, 20, 21]
TEXTS = pl.DataFrame(
    {
        "template_id": ["a1b2c3d4", "ffffffff", "ffff0000", "eeeeeeee"],
        "template": [*["User <*> logged in from the web"] * 3, "User left"],
    }
)


class Frequencies:
    """The simplest sequence model: what followed an event in training, as :class:`NextEvent` tells it."""

    def fit(self, X, weight):
        self.follows = {}
        for events, times in zip(X["events"].to_list(), weight.to_list(), strict=True):
            for before, after in zip(["(begin)", *map(str, events)], [*map(str, events), "(end)"], strict=True):
                heap = self.follows.setdefault(before, {})
                heap[after] = heap.get(after, 0) + times
        return self

    def steps(self, X):
        rows = []
        for row, events in enumerate(X["events"].to_list()):
            before = "(begin)"
            for position, event in enumerate([*map(str, events or []), "(end)"]):
                heap = self.follows.get(before, {})
                probability = (heap.get(event, 0) + 1e-6) / (sum(heap.values()) + 1e-5)
                best = sorted(heap, key=heap.get, reverse=True)[:2]
                rank = 1 + sum(times > heap.get(event, 0) for times in heap.values())
                chances = [heap[name] / sum(heap.values()) for name in best]
                rows.append((row, position, event, probability, rank, -math.log(probability), best, chances))
                before = event
        names = ["row", "position", "event", "probability", "rank", "surprise", "expected", "chances"]
        return pl.DataFrame(rows, schema=names, orient="row")


class Plain:
    """A detector that gives scores and nothing else."""

    def score_samples(self, X):
        return X["events"].list.len().cast(pl.Float64).to_numpy()


@pytest.fixture(scope="module")
def normal():
    return explain.NormalSessions.fit(NORMALS, weight=NORMALS["n"])


@pytest.fixture(scope="module")
def model():
    return Frequencies().fit(NORMALS, NORMALS["n"])


@pytest.fixture(scope="module")
def detectors():
    kinds = {"event set": novelty.UnseenEventSet(), "length": novelty.SessionLength()}
    return {name: rule.fit(NORMALS, weight=NORMALS["n"]) for name, rule in kinds.items()}


def sessions(*events, kind=pl.Int64):
    return pl.DataFrame({"events": list(events)}, schema={"events": pl.List(kind)})


def one(explainer, events, **columns):
    table = sessions(events).with_columns(**{name: pl.Series([value]) for name, value in columns.items()})
    return explainer.explain(table, ["block 7"])[0]


def test_known_sessions_are_counted_as_often_as_they_weigh(normal):
    assert normal.n_sessions == 100
    assert normal.n_vectors == 2
    assert normal.vocabulary.unseen == 6


def test_anomalies_rows_without_label_and_rows_without_weight_are_not_normal():
    table = sessions([1], [2], [3], [4])
    y = pl.Series([False, True, None, False])
    found = explain.NormalSessions.fit(table, y, [1, 1, 1, 0])
    assert found.vocabulary.events.to_list() == [1]
    assert explain.NormalSessions.fit(table, pl.Series([0, 1, None, 1])).vocabulary.events.to_list() == [1]
    with pytest.raises(DataError, match="normal sessions"):
        explain.NormalSessions.fit(table, [True] * 4)
    with pytest.raises(SchemaError, match="events"):
        explain.NormalSessions.fit(pl.DataFrame({"other": [1]}))


def test_the_nearest_session_is_the_one_with_the_fewest_different_counts(normal):
    explained = one(explain.SessionExplainer(normal), [5, 22, 5, 11, 9, 11, 9, 26, 21])
    assert explained.nearest["distance"].to_list() == [1, 2]
    assert explained.nearest["sessions"].to_list() == [10, 90]
    assert explained.nearest["difference"][0] == "26 1 instead of 2 times"
    assert explained.nearest["events"][0].to_list() == ["5", "22", "5", "11", "9", "11", "9", "26", "26", "21"]


def test_of_sessions_with_the_same_counts_the_one_most_alike_in_order_is_shown(normal):
    explained = one(explain.SessionExplainer(normal), [22, 5, 5, 11, 9, 21, 26])
    assert explained.nearest["events"][0].to_list() == ["22", "5", "5", "11", "9", "26", "21"]
    assert explained.nearest["equal_sessions"][0] == 20
    assert "90 of 100 normal training sessions have exactly these event counts; only the order is new" in (
        explained.sentence
    )


def test_a_session_that_training_has_is_said_to_be_known(normal):
    explained = one(explain.SessionExplainer(normal), USUAL)
    assert "70 of 100 normal training sessions have exactly this sequence." in explained.sentence
    assert explained.aligned["same"].all()
    assert explained.worst is None
    assert explained.counts["difference"].abs().sum() == 0


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.lists(st.integers(0, 5), max_size=8), min_size=1, max_size=12), st.lists(st.integers(0, 7), max_size=9)
)
def test_distances_are_those_of_brute_force(known, events):
    found = explain.NormalSessions.fit(sessions(*known))
    table = explain.SessionExplainer(found, neighbours=2).explain(sessions(events))[0].nearest
    expected = sorted({tuple(sorted(other)): _distance(events, other) for other in known}.values())
    assert table["distance"].to_list() == expected[:2]


def _distance(first, second):
    return sum(abs(first.count(event) - second.count(event)) for event in {*first, *second})


@settings(deadline=None, max_examples=60)
@given(st.text("abc", max_size=9), st.text("abc", max_size=9))
def test_alignment_keeps_both_sequences_and_their_order(here, usual):
    pairs = aligned(list(here), list(usual))
    assert [left for left, _ in pairs if left is not None] == list(range(len(here)))
    assert [right for _, right in pairs if right is not None] == list(range(len(usual)))
    assert all(pair != (None, None) for pair in pairs)


def test_the_step_that_surprised_most_is_marked_with_what_was_expected(normal, model):
    explained = one(explain.SessionExplainer(normal, model, templates=TEMPLATES), ODD)
    step = explained.steps.row(explained.worst, named=True)
    assert explained.steps.height == len(ODD) + 1
    assert step["step"] == 7
    assert step["event"] == "E20"
    assert step["text"] == "Unexpected error"
    assert step["mark"] == SURPRISED
    assert step["expected"].startswith("E21 ")
    assert step["likeliest"] == "E21"
    assert not step["known"]
    assert step["probability"] < 1e-4
    assert step["surprise"] == pytest.approx(-math.log(step["probability"]))
    assert explained.steps["event"].to_list()[-1] == END
    assert explained.sentence.startswith("Block 7: 8 events. Step 7 surprised most: E20 (Unexpected error), which no")
    assert "probability below 0.01 %" in explained.sentence
    assert "E20 1 instead of 0 times" in explained.sentence


def test_an_early_end_surprises_too(normal, model):
    explained = one(explain.SessionExplainer(normal, model), [5, 22])
    assert explained.steps["mark"].to_list() == [None, None, SURPRISED]
    assert "Step 3 surprised most: the session ended with a probability below" in explained.sentence


def test_without_a_model_the_unseen_event_stands_out_or_where_the_order_departs(normal):
    explainer = explain.SessionExplainer(normal)
    unseen, moved = one(explainer, ODD), one(explainer, [5, 22, 5, 11, 9, 21, 26])
    assert unseen.steps["mark"].to_list()[6] == UNSEEN
    assert unseen.steps["surprise"].null_count() == unseen.steps.height
    assert "Step 7 stands out: 20, which no training session has, came." in unseen.sentence
    assert moved.steps["mark"][moved.worst] == DEPARTS
    assert unseen.table().columns == ["step", "event", "mark"]


def test_lines_are_shown_where_they_are_known(normal, model):
    lines = pl.DataFrame({"LineId": range(100, 200), "Content": [f"text {number}" for number in range(100, 200)]})
    explainer = explain.SessionExplainer(normal, model, templates=TEMPLATES, lines=lines)
    explained = one(explainer, ODD, line_ids=[*range(150, 157), 500])
    assert explained.steps["line"].to_list() == [*range(150, 157), 500, None]
    assert explained.steps["text"].to_list()[:7] == [f"text {number}" for number in range(150, 157)]
    assert explained.steps["text"][7] == "Deleting"
    assert ", line 156 surprised most" in explained.sentence
    assert one(explainer, ODD, lines=[*range(150, 157), 500]).steps.equals(explained.steps)
    assert one(explainer, ODD, lines=8).steps["line"].null_count() == 9
    with pytest.raises(DataError, match="found 2 lines for 8 events in block 7"):
        one(explainer, ODD, line_ids=[1, 2])
    with pytest.raises(SchemaError, match="LineId"):
        one(explain.SessionExplainer(normal, lines=TEMPLATES), ODD, line_ids=[1] * 8)


def test_detectors_say_whether_and_why_they_fire(normal, detectors):
    limit = thresholds.Fixed(5.0).fit([1.0])
    explainer = explain.SessionExplainer(normal, None, {**detectors, "plain": Plain(), "cut": Plain()}, {"cut": limit})
    reasons = one(explainer, ODD).reasons
    assert dict(reasons.select("detector", "fired").iter_rows()) == {
        "event set": True,
        "cut": True,
        "length": False,
        "plain": None,
    }
    assert reasons["fired"].to_list() == [True, True, False, None]
    said = dict(reasons.select("detector", "reason").iter_rows())
    assert said["event set"] == detectors["event set"].explain(sessions(ODD))[0]
    assert said["plain"] == "score 8"
    sentence = one(explainer, ODD).sentence
    assert sentence.endswith(
        "2 of 4 detectors fired: event set (the set of event types is in no training session) and cut (score 8)."
    )
    assert one(explainer, [5, 22]).sentence.count("detectors fired: event set") == 1


def test_no_detector_fired_is_said_so(normal, detectors):
    explained = one(explain.SessionExplainer(normal, None, {"length": detectors["length"]}), USUAL)
    assert explained.sentence.endswith("0 of 1 detectors fired.")


def test_odd_sessions_are_explained(normal, model, detectors):
    explainer = explain.SessionExplainer(normal, model, detectors, templates=TEMPLATES)
    empty, null, hollow, single = explainer.explain(sessions([], None, [None, 5], [22]))
    assert [empty.n_events, null.n_events, hollow.n_events, single.n_events] == [0, 0, 2, 1]
    assert empty.sentence.startswith("Session 0: 0 events.")
    assert "E5 0 instead of 2 times" in null.sentence
    assert hollow.steps["event"].to_list() == ["(null)", "E5", END]
    assert single.sentence.startswith("Session 3: 1 event.")
    assert explainer.explain(sessions()) == []


def test_events_that_are_null_in_training_are_counted():
    normal = explain.NormalSessions.fit(sessions([1, None], [1, 2]))
    explained = explain.SessionExplainer(normal).explain(sessions([1, None], [1, 3]))
    assert "have exactly this sequence" in explained[0].sentence
    assert "3 1 instead of 0 times" in explained[1].sentence


@pytest.mark.parametrize("kind", [pl.String, pl.Int64, pl.UInt64, pl.UInt8])
def test_events_of_any_kind_are_explained(kind):
    usual = ["1", "2", "3"] if kind == pl.String else [1, 2, 3]
    normal = explain.NormalSessions.fit(sessions(usual, kind=kind))
    explained = explain.SessionExplainer(normal).explain(sessions([*usual[:2], usual[0]], kind=kind))[0]
    assert explained.steps["event"].to_list() == ["1", "2", "1"]
    assert "1 2 instead of 1 times and 3 0 instead of 1 times" in explained.sentence


def test_a_long_session_shows_the_neighbourhood_of_what_stands_out(normal, model):
    long = (USUAL * 1_500)[:10_000]
    long[6_000] = 99
    explained = one(explain.SessionExplainer(normal, model), long)
    table = explained.table(around=5)
    assert explained.steps.height == 10_001
    assert table["step"].to_list() == list(range(5_996, 6_007))
    assert explained.left_out(5) == "5,995 steps before and 3,995 steps after are left out"
    assert explained.left_out(5, whole=20_000) == ""
    assert explained.worst == 6_000


def test_what_is_too_long_to_be_laid_side_by_side_is_not(monkeypatch, normal):
    monkeypatch.setattr(normal_sessions, "MOST_CELLS", 10)
    explained = one(explain.SessionExplainer(normal), ODD)
    assert explained.aligned.is_empty()
    assert explained.nearest["distance"][0] == 1
    assert aligned(["a"] * 4, ["a"] * 3) == []


def test_the_first_steps_are_shown_where_none_stands_out():
    normal = explain.NormalSessions.fit(sessions([1, 2] * 50))
    explained = explain.SessionExplainer(normal).explain(sessions([1, 2] * 50))[0]
    assert explained.shown(around=3) == (0, 7)
    assert explained.left_out(3) == "93 steps after are left out"


def test_long_names_of_events_give_way_to_the_beginning_of_their_template():
    names = EventNames.of(TEXTS)
    assert names.name("a1b2c3d4") == "User * logged in from the web"
    assert names.name("ffffffff") == "User * logged in from th… [ffff]"
    assert names.name("ffff0000") == "User * logged in fro… [ffff0000]"
    assert names.quoted("eeeeeeee") == "“User left”"
    assert names.phrase("ffffffff") == "“User * logged in from the web”"
    assert names.phrase("x" * 50) == "x" * 31 + "…"
    assert names.text("nothing") is None
    assert EventNames.of({"eeeeeeee": "User left"}).name("eeeeeeee") == "User left"
    assert EventNames.of(TEMPLATES).phrase(5) == "E5 (Receiving block *)"
    with pytest.raises(SchemaError, match="EventTemplate"):
        EventNames.of(pl.DataFrame({"EventId": ["E1"]}))


def test_a_model_need_not_say_what_it_expected(normal, model):
    class Silent:
        def steps(self, X):
            return model.steps(X).drop("expected", "chances")

    explained = one(explain.SessionExplainer(normal, Silent()), ODD)
    assert explained.steps["expected"].null_count() == explained.steps.height
    assert "expected was" not in explained.sentence
    assert explained.worst == 6

    class Nameless:
        def steps(self, X):
            return pl.DataFrame({"row": [0]})

    with pytest.raises(SchemaError, match="position"):
        one(explain.SessionExplainer(normal, Nameless()), ODD)


def test_names_must_be_as_many_as_sessions(normal):
    with pytest.raises(DataError, match="found 2"):
        explain.SessionExplainer(normal).explain(sessions([5]), ["one", "two"])
    with pytest.raises(SchemaError, match="events"):
        explain.SessionExplainer(normal).explain(pl.DataFrame({"other": [1]}))


def test_examples_are_the_highest_alarms_one_of_each_kind_and_both_mistakes():
    scores = [9.0, 8.0, 7.0, 1.0, 6.0, 0.5, 2.0]
    flagged = [True, True, True, False, True, False, False]
    y = [True, True, False, True, True, True, False]
    kinds = ["storm", "storm", "normal", "order", "end", "order", "normal"]
    found = explain.session_examples(scores, flagged, y, kinds, most=2)
    assert dict(found.iter_rows()) == {
        0: "highest alarm; storm",
        1: "highest alarm",
        2: "false alarm",
        5: "miss",
        4: "end",
        3: "order, missed",
    }
    assert explain.session_examples(scores, flagged, most=1).rows() == [(0, "highest alarm")]
    assert explain.session_examples([], [], most=1).is_empty()


def test_explanations_do_not_depend_on_the_company(normal, model, detectors):
    explainer = explain.SessionExplainer(normal, model, detectors)
    together = explainer.explain(sessions(ODD, USUAL, [5]), ["a", "b", "c"])
    alone = [explainer.explain(sessions(events), [name])[0] for events, name in ((ODD, "a"), (USUAL, "b"), ([5], "c"))]
    for first, second in zip(together, alone, strict=True):
        assert first.sentence == second.sentence
        assert first.steps.equals(second.steps)
        assert first.nearest.equals(second.nearest)


def test_the_kinds_in_counts_are_those_of_both_sessions(normal):
    counts = one(explain.SessionExplainer(normal), ODD).counts
    assert counts.rows()[0] == ("20", None, 1, 0, 1)
    assert np.array_equal(counts["here"] - counts["nearest"], counts["difference"])
    assert counts["here"].sum() == len(ODD)
