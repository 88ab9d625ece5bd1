"""Marks of payloads as a table: what is read, what is learned from, and where the threshold comes from."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from tests.unit import small_data
from utils import datasets
from utils.classifiers import payload_marks
from utils.classifiers.compiled import texts
from utils.detectors.payloads import MarkReader
from utils.detectors.payloads.marks import marks
from utils.errors import SchemaError
from utils.features.tables import WEIGHT

TEXTS = ["hello world", "' or '1'='1", None, "<script>alert(1)</script>", "", "%3Cscript%3Ealert(1)%3C/script%3E"]
READER = MarkReader()


@pytest.fixture(scope="module")
def waf():
    dataset = datasets.load("waf", "simulated", seed=1, budget="fast")
    return replace(dataset, frames=dict(dataset.frames) | {"payloads": dataset["payloads"].gather_every(6)})


@pytest.fixture(scope="module")
def made(waf):
    return payload_marks.of_payloads(waf, 5_000, seed=1)


def test_each_mark_is_a_column_of_its_own():
    assert len(set(READER.names)) == len(READER.names) == len(marks())
    table = READER.read(pl.DataFrame({"n": range(6), "payload": TEXTS}))
    assert table.columns == ["n", "payload", *READER.names]
    assert set(table.select(READER.names).dtypes) == {pl.Boolean}
    found = table.select(pl.any_horizontal(READER.names)).to_series()
    assert found.to_list()[1:] == [True, False, True, False, True]
    assert table["xss: script element"].to_list() == [False, False, False, True, False, True]
    assert READER.read(table).equals(table)


def test_few_and_many_texts_are_read_alike():
    many = READER.read(pl.DataFrame({"payload": TEXTS * 50})).select(READER.names)
    few = pl.concat([READER.read(pl.DataFrame({"payload": [text]}, schema={"payload": pl.String})) for text in TEXTS])
    assert many.equals(pl.concat([few.select(READER.names)] * 50))
    found = texts.marks(READER, [{"payload": text, "n": 1} for text in TEXTS])
    assert np.array_equal(found, few.select(READER.names).to_numpy())
    assert texts.marks(READER, [{"payload": "a"}, {"payload": 1}]) is None
    assert texts.marks(READER, [{"text": "a"}]) is None


def test_no_rows_and_no_text():
    assert READER.read(pl.DataFrame({"payload": []}, schema={"payload": pl.String})).shape == (0, 1 + len(marks()))
    with pytest.raises(SchemaError, match="payload"):
        READER.read(pl.DataFrame({"text": ["a"]}))


def test_what_is_learned_from_has_no_test_payload_and_what_judges_has_no_other(waf, made):
    frame, roles, split = made
    tested = waf["payloads"].filter(split="test")
    assert frame[split.test]["payload"].to_list() == tested["payload"].to_list()
    assert frame[split.test]["is_anomaly"].to_list() == tested["is_anomaly"].to_list()
    assert set(frame[split.train]["split"]) == {"train"}
    trained = set(waf["payloads"].filter(split="train")["payload"])
    assert trained <= set(frame[split.train]["payload"])
    assert frame[split.train].height > 2 * len(trained)
    assert roles.features == READER.names
    assert set(frame.columns) - set(roles.features) == {roles.label, roles.anomaly_type, roles.split, *roles.withheld}
    assert "simulated variety" in roles.notes["split"]


def test_texts_of_one_kind_or_form_are_kin(made):
    frame, _, split = made
    train = frame[split.train]
    normal = train.filter(~pl.col("is_anomaly"))
    assert normal.group_by(payload_marks.KIN).agg(pl.col(payload_marks.LOOK_ALIKE).n_unique())["look_alike"].max() == 1
    assert normal["kin"].n_unique() < normal.height / 5
    assert not train.filter(payload_marks.LOOK_ALIKE)["is_anomaly"].any()
    assert (train[WEIGHT] > 0).all()


def test_the_threshold_lets_a_twentieth_of_the_look_alikes_pass(made):
    frame, _, split = made
    train = frame[split.train]
    scores = np.random.default_rng(1).normal(size=train.height)
    (rule, found), *others = payload_marks.threshold(train, scores).items()
    assert (rule, others) == (payload_marks.LOOK_ALIKES, [])
    alike = scores[train[payload_marks.LOOK_ALIKE].to_numpy()]
    share = (alike >= found.value).mean()
    assert payload_marks.RATE - 2 / alike.size <= share <= payload_marks.RATE
    assert f"{alike.size:,} benign look-alikes" in found.why
    assert payload_marks.threshold(train.drop(payload_marks.LOOK_ALIKE), scores) == {}
    none = train.with_columns(look_alike=pl.lit(value=False))
    assert payload_marks.threshold(none, scores) == {}


def test_other_tables_keep_their_columns(waf):
    assert payload_marks.applies(waf, "payloads")
    assert not payload_marks.applies(waf, "events")
    assert not payload_marks.applies(None, "payloads")
    assert not payload_marks.applies(small_data.table(), "flows")
    unlabelled = replace(waf.roles["payloads"], label=None)
    assert not payload_marks.applies(replace(waf, roles={"payloads": unlabelled}), "payloads")


def test_a_word_without_end_is_read_in_bounded_steps():
    assert not [mark.name for mark in marks() if mark.pattern.startswith("[a-z]{2,}")]
    long = ["a" * 60 + ending for ending in (". b", "! ", "?", " `b`", " `b", ".b")]
    marked = READER.read(pl.DataFrame({"payload": long}))
    assert marked["benign: sentence that ends"].to_list() == [True, True, True, False, False, False]
    assert marked["benign: word in backticks inside a sentence"].to_list() == [False] * 3 + [True, False, False]
