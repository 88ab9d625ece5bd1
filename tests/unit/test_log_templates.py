"""The log parser: templates, ids, shards, unknown lines, parameters, odd input."""

import os
import pickle
import random
import subprocess
import sys

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from utils.errors import DataError, SchemaError
from utils.features.log_templates import LogTemplates, agreement, template_id
from utils.simulate import hdfs

NAMES = ["alice", "bob", "carol", "dave", "erin", "frank", "grace"]
LINES = [
    *(f"Accepted password for {name} from 10.0.0.{place} port {place}" for place, name in enumerate(NAMES)),
    *(f"session opened for user {name}" for name in NAMES[:3]),
    *(f"session closed for user {name}" for name in NAMES[:3]),
    "Server is LEADING now (id 5)",
    "Server is FOLLOWING now (id 6)",
    "Server is LOOKING now (id 7)",
    "VM Started on cloud (Event)",
    "VM Stopped on cloud (Event)",
    "VM Paused on cloud (Event)",
    "VM Resumed on cloud (Event)",
    "VM Deleted on cloud (Event)",
    *(f"{name} startup succeeded today" for name in NAMES),
    "Failed none for invalid login 5",
    "Failed password for invalid login 6",
]


def templates(lines):
    return LogTemplates().fit(lines).templates_["template"].to_list()


def test_names_are_values_and_states_actions_and_first_words_are_not():
    found = templates(LINES)
    assert "Accepted password for <*> from <*> port <*>" in found
    assert "session opened for user <*>" in found
    assert "session closed for user <*>" in found
    assert sum(text.startswith("Server is ") for text in found) == 3
    assert sum(text.startswith("VM ") for text in found) == 5
    assert sum(text.endswith("startup succeeded today") for text in found) == len(NAMES)
    assert sum(text.startswith("Failed ") for text in found) == 2


def test_a_word_is_a_value_where_some_lines_have_a_number():
    assert templates(["quota of user joe exceeded", "quota of user u17 exceeded"]) == ["quota of user <*> exceeded"]


def test_two_names_in_one_line_are_values():
    rng = random.Random(3)
    words = ["".join(rng.choices("bcdfgklmnoprst", k=6)) for _ in range(400)]
    lines = [
        f"Member {one} was moved over to {other} without trouble"
        for one, other in zip(words[:200], words[200:], strict=True)
    ]
    assert templates(lines) == ["Member <*> was moved over to <*> without trouble"]
    assert len(templates(lines[:5])) == 5


def test_transform_gives_one_row_a_line_in_order():
    parser = LogTemplates().fit(LINES)
    table = parser.transform(LINES)
    assert table["line"].to_list() == list(range(1, len(LINES) + 1))
    assert table.columns == ["line", "template_id", "template", "known"]
    assert table["known"].all()
    assert table["template"][0] == "Accepted password for <*> from <*> port <*>"
    assert table.select("template_id", "template").unique().height == parser.templates_.height
    assert table.equals(LogTemplates().fit_transform(LINES))


def test_counts_and_order_of_templates():
    frame = LogTemplates().fit(LINES).templates_
    assert frame.schema == {"template_id": pl.String, "template": pl.String, "count": pl.UInt64, "skeletons": pl.UInt32}
    assert frame["count"].sum() == len(LINES)
    assert frame.row(0)[1:] == ("Accepted password for <*> from <*> port <*>", 7, 7)


def test_new_names_are_recognised_and_new_statements_are_flagged():
    parser = LogTemplates().fit(LINES)
    table = parser.transform(["session opened for user zoe", "session lost for user zoe", "something 5 else"])
    assert table["template"].to_list() == [
        "session opened for user <*>",
        "session lost for user zoe",
        "something <*> else",
    ]
    assert table["known"].to_list() == [True, False, False]
    assert table["template_id"][2] == template_id("something <*> else")
    assert parser.templates_.equals(LogTemplates().fit(LINES).templates_)


def test_parameters_stand_as_in_the_line():
    lines = ["Accepted password for  zoe from 10.0.0.9 port 2 ", "x=1 y = 'a b' é=ü z", "1, 2,\t3 items", "plain"]
    values = LogTemplates().fit(LINES).transform(lines, parameters=True)["parameters"].to_list()
    assert values == [["zoe", "10.0.0.9", "2"], ["1", "'a b'", "ü"], ["1, 2,\t3"], []]


def test_parameters_of_collapsed_lists_and_of_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "odd.log"
    path.write_bytes(b"got 1 <ok> 2 <ok> 3 <ok>\ncaf\xe9 5\xff of caf\xe9 7\n")
    table = LogTemplates().fit_transform(path, parameters=True)
    assert table["template"].to_list() == ["got <*> <ok>", "caf\ufffd <*>\ufffd of caf\ufffd <*>"]
    assert table["parameters"].to_list() == [["1 <ok> 2 <ok> 3"], ["5", "7"]]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(LINES), min_size=1, max_size=60), st.randoms(use_true_random=False), st.integers(0, 60))
def test_neither_order_nor_shards_matter(lines, rng, cut):
    whole = LogTemplates().fit(lines)
    shuffled = rng.sample(lines, len(lines))
    merged = LogTemplates().fit(shuffled[:cut]).merge(LogTemplates().fit(shuffled[cut:]))
    stepwise = LogTemplates().partial_fit(shuffled[cut:]).partial_fit(shuffled[:cut])
    for other in (LogTemplates().fit(shuffled), merged, stepwise):
        assert other.templates_.equals(whole.templates_)
        assert other.transform(LINES).equals(whole.transform(LINES))


def test_merging_changes_what_was_worked_out_before():
    parser = LogTemplates().fit(["quota of user joe exceeded"])
    assert parser.templates_["template"].to_list() == ["quota of user joe exceeded"]
    parser.merge(LogTemplates().fit(["quota of user u17 exceeded"]))
    assert parser.templates_["template"].to_list() == ["quota of user <*> exceeded"]
    assert parser.transform(["quota of user joe exceeded"])["known"].item()


def test_ids_are_those_of_another_process_with_another_hash_seed():
    code = (
        "import pickle, sys; from utils.features.log_templates import LogTemplates; "
        "lines = pickle.load(sys.stdin.buffer); "
        "print(*LogTemplates().fit(lines[::-1]).transform(lines)['template_id'])"
    )
    there = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps(LINES),
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "1"},
    )
    assert there.stdout.decode().split() == LogTemplates().fit(LINES).transform(LINES)["template_id"].to_list()


def test_the_id_is_made_of_the_template_alone():
    assert template_id("a <*>") == template_id("a <*>") != template_id("b <*>")
    assert len(template_id("")) == 12
    assert LogTemplates().fit_transform(["a 5"])["template_id"].item() == template_id("a <*>")


def test_pickle_and_clone():
    parser = LogTemplates().fit(LINES)
    parser.transform(["session opened for user zoe"])
    again = pickle.loads(pickle.dumps(parser))
    assert again.transform(LINES).equals(parser.transform(LINES))
    assert not any("10.0.0." in str(value) for value in again.__getstate__().values())
    with pytest.raises(NotFittedError, match="call fit"):
        clone(parser).transform(LINES)
    with pytest.raises(NotFittedError, match="call fit"):
        LogTemplates().merge(parser)


NOTHING = pl.Series([], dtype=pl.String)


@pytest.mark.parametrize("lines", [[], NOTHING, pl.Series([]), pl.DataFrame({"content": NOTHING})])
def test_no_lines(lines):
    parser = LogTemplates().fit(lines)
    table = parser.transform(lines, parameters=True)
    assert table.height == 0
    assert table.schema == {
        "line": pl.Int64,
        "template_id": pl.String,
        "template": pl.String,
        "known": pl.Boolean,
        "parameters": pl.List(pl.String),
    }
    assert parser.templates_.height == 0
    assert parser.transform(["x"])["known"].to_list() == [False]


def test_lines_come_in_many_forms(tmp_path):
    path = tmp_path / "some.log"
    path.write_text("a 5\nb 6\n")
    series = pl.Series("x", ["a 5", "b 6"])
    expected = LogTemplates().fit_transform(series)
    forms = [["a 5", "b 6"], ("a 5", "b 6"), series.to_frame(), series.to_frame().lazy(), series.cast(pl.Categorical)]
    forms += [
        pl.DataFrame({"content": series, "level": ["x", "y"]}),
        pl.DataFrame({"level": ["x", "y"], "Content": series}),
        path,
    ]
    for lines in forms:
        assert LogTemplates().fit_transform(lines).equals(expected)
        assert LogTemplates().fit(lines).transform(lines).equals(expected)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("one line", "put a single line into a list"),
        ([1, 2], "texts"),
        (pl.Series([1, 2]), "Int64"),
        (pl.DataFrame({"a": ["x"], "b": ["y"]}), "content"),
    ],
)
def test_other_things_are_refused(lines, message):
    with pytest.raises(SchemaError, match=message):
        LogTemplates().fit(lines)


def test_simulated_lines_are_grouped_as_they_were_written():
    lines = hdfs.simulate(400, 7, line_blocks=400)["lines"]
    for seed in range(2):
        table = LogTemplates().fit_transform(lines["Content"].sample(fraction=1, shuffle=True, seed=seed))
        truth = lines["EventId"].sample(fraction=1, shuffle=True, seed=seed)
        result = agreement(truth, table["template_id"])
        assert (result.grouping, result.grouping_f1) == (1.0, 1.0)


def test_raw_lines_with_a_header_keep_a_stable_template():
    raw = hdfs.raw_lines(3_000, 5)
    content = raw.str.extract(r"^\d+ \d+ \d+ (?:INFO|WARN) [^ ]+ (.*)$")
    both = LogTemplates().fit_transform(raw)["template_id"], LogTemplates().fit_transform(content)["template_id"]
    assert agreement(*both).grouping == 1.0


def test_agreement_counts_lines_and_groups():
    true, found = pl.Series(["a", "a", "b", "b", "c"]), pl.Series([1, 1, 2, 3, 4])
    result = agreement(true, found)
    assert result == (0.6, 2 * 2 / 7, 5, 3, 4)
    with pytest.raises(DataError, match="5 and 4 lines"):
        agreement(true, found[:4])
    with pytest.raises(DataError, match="0 and 0 lines"):
        agreement(true[:0], found[:0])
