"""Explanations of real sessions: for every kind of alarm on HDFS, and for raw lines of its beginning."""

import numpy as np
import polars as pl
import pytest

from utils import explain, plots
from utils.datasets import hdfs
from utils.detectors import novelty
from utils.explain.sessions import EventNames

pytestmark = pytest.mark.real
FEW = 60


@pytest.fixture(scope="module")
def sequences(real_data):
    data = real_data("hdfs")
    return hdfs.distinct(data["sessions"], data["sequences"])


@pytest.fixture(scope="module")
def explainer(sequences, real_data):
    train = sequences.filter(pl.col("n_train") > 0)
    weight = train["n_train"]
    rule = novelty.UnseenEventSet().fit(train, train["is_anomaly"], weight)
    normal = explain.NormalSessions.fit(train, train["is_anomaly"], weight)
    return explain.SessionExplainer(normal, None, {"event set": rule}, templates=real_data("hdfs")["templates"])


@pytest.fixture(scope="module")
def judged(sequences, explainer):
    """Some distinct test sessions of each outcome, with the decision of the rule."""
    test = sequences.filter(pl.col("n_test") > 0)
    fired = explainer.detectors["event set"].fires(test)
    outcomes = test.with_columns(fired=pl.Series(fired)).group_by("is_anomaly", "fired", maintain_order=True)
    return outcomes.head(FEW // 4)


@pytest.fixture(scope="module")
def explained(judged, explainer):
    return explainer.explain(judged)


def test_training_is_what_was_published(explainer):
    assert explainer.normal.n_sessions == 4_855
    assert len(explainer.normal.sequences) == 839


def test_every_explanation_agrees_with_what_the_session_holds(judged, explained):
    known = set(explain.NormalSessions.fit(judged.filter(~pl.col("is_anomaly"))).vocabulary.events.to_list())
    assert {20} <= known
    for events, fired, told in zip(judged["events"], judged["fired"], explained, strict=True):
        assert told.n_events == len(events)
        assert told.counts["here"].sum() == len(events)
        assert told.counts["difference"].abs().sum() == told.nearest["distance"][0]
        assert told.aligned["step"].drop_nulls().to_list() == list(range(1, len(events) + 1))
        assert told.aligned["usual"].drop_nulls().to_list() == told.nearest["events"][0].to_list()
        assert told.reasons["fired"].to_list() == [fired]
        assert ("1 of 1 detectors fired" in told.sentence) == fired


def test_an_event_that_training_lacks_stands_out(judged, explained):
    unseen = [20 in events for events in judged["events"]]
    assert any(unseen)
    for odd, told in zip(unseen, explained, strict=True):
        if odd:
            assert told.steps["known"][told.worst] is False
            assert "which no training session has" in told.sentence


def test_every_picture_is_small(explained):
    sizes = [len(plots.session_picture(told).to_json()) for told in explained[:: FEW // 12]]
    assert max(sizes) < 15_000


def test_events_have_the_names_of_their_templates(real_data):
    names = EventNames.of(real_data("hdfs")["templates"])
    assert names.name(5) == "E5"
    assert names.phrase(5).startswith("E5 (Receiving block")


def test_truncated_sessions_lead_back_to_their_lines(real_data):
    data = real_data("hdfs")
    found = _with_lines(data).sample(40, seed=7)
    normal = explain.NormalSessions.fit(found)
    told = explain.SessionExplainer(normal, templates=data["templates"], lines=data["lines"]).explain(
        found, found["BlockId"].to_list()
    )
    for name, one in zip(found["BlockId"], told, strict=True):
        assert all(name in text for text in one.steps["text"])
        assert "have exactly this sequence" in one.sentence


def _with_lines(data):
    """Sessions of the lines with the numbers of their lines."""
    lines = data["lines"].with_columns(BlockId=pl.col("Content").str.extract(f"({hdfs.BLOCK_PATTERN})"))
    numbers = lines.group_by("BlockId").agg(pl.col("LineId").sort().alias("line_ids"))
    blocks = data["blocks"].join(numbers, on="BlockId", how="inner", maintain_order="left")
    return blocks.filter(pl.Series(np.asarray(blocks["line_ids"].list.len() == blocks["events"].list.len())))
