"""Rows that are taken without the schema are those that the schema takes, and are read alike."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from utils.detectors.session_vote import SessionVote
from utils.serving import bodies
from utils.serving.answers import Refused
from utils.serving.plain_rows import PlainRows
from utils.serving.requests import _column_type, _plain_types, _table_adapter

COLUMNS = {"a": ("Int64", False), "b": ("Float64", True), "c": ("String", False), "d": ("Boolean", True)}
SCHEMA = _table_adapter("Row", {name: _column_type(*kind) for name, kind in COLUMNS.items()})
PLAIN = PlainRows({name: _plain_types(*kind) for name, kind in COLUMNS.items()})
NUMBERS = st.one_of(st.integers(-5, 5), st.floats(allow_nan=False), st.sampled_from([2**62, -(2**64), 10**400, 1e300]))
VALUES = st.one_of(NUMBERS, st.none(), st.booleans(), st.text(max_size=3), st.just([1]), st.just({"x": 1}))
ROWS = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {"a": NUMBERS, "b": NUMBERS | st.none(), "c": st.text(max_size=3), "d": st.booleans() | st.none()},
            optional={"beyond": VALUES},
        ),
        st.dictionaries(st.sampled_from([*COLUMNS, "beyond"]), VALUES),
        VALUES,
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=150, deadline=None)
@given(ROWS)
def test_what_is_plain_the_schema_takes_and_reads_alike(rows):
    found = PLAIN.of(rows)
    if found is None:
        return
    assert found == SCHEMA.validate_python(rows)
    assert all(set(row) == set(COLUMNS) for row in found)


@pytest.mark.parametrize(
    "row",
    [
        {"a": 3, "b": 0.5, "c": "x", "d": True},
        {"a": 3.0, "b": None, "c": "", "d": None, "beyond": {}},
        {"d": False, "c": "x", "b": 7, "a": -3},
    ],
)
def test_usual_rows_are_plain(row):
    assert PLAIN.of([row, row]) == [{name: row[name] for name in COLUMNS}] * 2


@pytest.mark.parametrize(
    ("column", "value"), [("a", None), ("a", True), ("a", "1"), ("c", None), ("c", 3), ("d", 1), ("a", float("inf"))]
)
def test_what_the_schema_refuses_is_never_plain(column, value):
    row = {"a": 1, "b": 1.0, "c": "x", "d": True, column: value}
    assert PLAIN.of([row]) is None
    with pytest.raises(ValidationError):
        SCHEMA.validate_python([row])


def test_columns_that_are_missing_and_numbers_beyond_measure_are_left_to_the_schema():
    row = {"a": 1, "b": 1.0, "c": "x", "d": True}
    assert PLAIN.of([{name: row[name] for name in "abc"}]) is None
    for enormous in (2**63, 10**400):
        assert PLAIN.of([{**row, "a": enormous}]) is None
    assert PlainRows({"only": frozenset({str})}).of([{"only": "x", "other": 1}]) == [{"only": "x"}]


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_bodies_are_read_as_python_reads_them(value):
    written = json.dumps(value).encode()
    assert bodies.parsed(written) == json.loads(written)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": 1, "a": 2}',
        b'{"rows": [{"x": 1, "x": 2}]}',
        b'{"rows": [], "rows": []}',
        b'{"rows": [{"x": {"y": 1, "y": 2}}]}',
        b'[{"x": 1, "x": 2}]',
        b'{"rows": [[{"x": 1, "x": 1}]]}',
        b'{"rows": [{"a:b": 1, "a:b": 2, "c": ":"}]}',
    ],
)
def test_a_name_that_stands_twice_is_always_found(body):
    with pytest.raises(Refused, match="twice"):
        bodies.parsed(body)


def test_few_sessions_score_as_many_do():
    draw = np.random.default_rng(0)
    sessions = [[1, *draw.integers(2, 5, draw.integers(1, 4)).tolist(), 9] for _ in range(120)]
    vote = SessionVote(folds=3).fit(pl.DataFrame({"events": sessions}))
    asked = pl.DataFrame({"events": [*sessions[:5], [1, 77, 9], [], [9, 1], None, [1, 77, 9]] * 8})
    whole = vote.score_samples(asked)
    alone = [vote.score_samples(asked[place : place + 1])[0] for place in range(10)]
    assert whole.tolist() == alone * 8
    assert len(set(alone)) > 3
