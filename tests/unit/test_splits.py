"""Splits hold apart what must be apart, keep the class shares, and say what is too small."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.datasets.contract import Roles
from utils.errors import DataError, SchemaError
from utils.evaluation import splits
from utils.evaluation.splits import Split

quick = settings(deadline=None, max_examples=60)
shares = st.floats(0.05, 0.95)
seeds = st.integers(0, 2**32)


@st.composite
def classes(draw, least=2, most=60):
    """Labels with at least two rows of each of their classes."""
    names = draw(st.lists(st.sampled_from("abc"), min_size=0, max_size=most))
    return np.array(names + ["a"] * least + ["b"] * least)


def assert_divides(split, rows):
    assert split.train.dtype == split.test.dtype == np.int64
    assert sorted([*split.train, *split.test]) == list(range(rows))
    assert (np.diff(split.train) > 0).all()
    assert (np.diff(split.test) > 0).all()


def same(one, other):
    return np.array_equal(one.train, other.train) and np.array_equal(one.test, other.test)


class TestSplit:
    def test_rows_rise_and_cannot_be_changed(self):
        split = Split("mine", np.array([3, 1]), np.array([0, 2]))
        assert split.train.tolist() == [1, 3]
        assert split.test_share == 0.5
        with pytest.raises(ValueError, match="read-only"):
            split.train[0] = 7

    def test_the_callers_array_stays_his(self):
        mine = np.array([3, 1])
        Split("mine", mine, np.array([0]))
        mine[0] = 5
        assert mine.tolist() == [5, 1]

    @pytest.mark.parametrize(("train", "test"), [([0, 1], [1, 2]), ([0, 0], [1]), ([0], [2, 2]), ([5, 0, 9], [1, 9])])
    def test_a_row_stands_once(self, train, test):
        with pytest.raises(DataError, match="mine: each row must stand once"):
            Split("mine", np.array(train), np.array(test))

    @pytest.mark.parametrize("wrong", [[], [-1], [0.5], [[1, 2]], ["a"], [True, False]])
    def test_row_numbers_are_row_numbers(self, wrong):
        with pytest.raises(DataError, match="mine: test must be row numbers, at least one"):
            Split("mine", np.array([7]), np.array(wrong))

    def test_inside_divides_the_training_rows(self):
        outer = Split("outer", np.array([2, 4, 6, 8]), np.array([0, 1]))
        inner = outer.inside(Split("inner", np.array([0, 3]), np.array([1, 2])))
        assert (inner.train.tolist(), inner.test.tolist(), inner.name) == ([2, 8], [4, 6], "outer, inner")


class TestStratified:
    @quick
    @given(classes(), shares, seeds)
    def test_each_class_is_divided_by_the_share(self, y, share, seed):
        y = np.concatenate([y, y])
        split = splits.stratified(y, share, seed)
        assert_divides(split, y.size)
        for name in set(y):
            held, all_rows = (y[split.test] == name).sum(), (y == name).sum()
            assert 1 <= held <= all_rows - 1
            assert abs(held - share * all_rows) < 1 or held in (1, all_rows - 1)

    def test_the_total_is_the_share_where_classes_are_large(self):
        y = np.repeat(["a", "b", "c"], [333, 333, 334])
        assert splits.stratified(y, 0.2).test.size == 200

    def test_seeds_decide(self):
        y = np.arange(1_000) % 10 == 0
        assert same(splits.stratified(y, 0.2, 3), splits.stratified(y, 0.2, 3))
        assert not same(splits.stratified(y, 0.2, 3), splits.stratified(y, 0.2, 4))

    def test_rows_are_drawn_evenly(self):
        y = np.arange(50) % 5 == 0
        drawn = np.zeros(50)
        for seed in range(2_000):
            drawn[splits.stratified(y, 0.2, seed).test] += 1
        assert np.abs(drawn / 2_000 - 0.2).max() < 5 * np.sqrt(0.16 / 2_000)

    @pytest.mark.parametrize("form", [list, np.array, pl.Series, lambda y: pl.Series(y, dtype=pl.Categorical)])
    def test_labels_of_any_form(self, form):
        y = ["x", "y"] * 10
        assert same(splits.stratified(form(y)), splits.stratified(np.array(y)))

    def test_one_class_is_fine(self):
        assert splits.stratified(np.zeros(10, dtype=bool), 0.3).test.size == 3

    def test_what_is_too_small_is_said(self):
        with pytest.raises(DataError, match="1 anomalies cannot stand on both sides of a split: add rows"):
            splits.stratified(np.arange(10) == 0)
        with pytest.raises(DataError, match="1 rows of class 'rare' cannot stand"):
            splits.stratified(["rare", "often", "often"])
        with pytest.raises(DataError, match="1 rows cannot stand on both sides"):
            splits.stratified([True])
        with pytest.raises(DataError, match="0 rows cannot stand on both sides"):
            splits.stratified([])

    @pytest.mark.parametrize("share", [0, 1, -0.2, 1.5, float("nan")])
    def test_the_share_lies_between(self, share):
        with pytest.raises(DataError, match="the test share must lie between 0 and 1"):
            splits.stratified([True, True, False, False], share)

    def test_missing_labels_are_refused(self):
        with pytest.raises(DataError, match="1 of 3 missing"):
            splits.stratified([True, None, False])


class TestGrouped:
    @quick
    @given(st.lists(st.tuples(st.booleans(), st.integers(0, 25)), min_size=40, max_size=150), shares, seeds)
    def test_no_group_on_both_sides(self, rows, share, seed):
        y, groups = (np.array(column) for column in zip(*rows, strict=True))
        try:
            split = splits.grouped(y, groups, share, seed)
        except DataError as error:
            assert "cannot stand" in str(error) or "leaves 0" in str(error)  # noqa: PT017
            return
        assert_divides(split, y.size)
        assert not set(groups[split.train]) & set(groups[split.test])
        assert set(y[split.test]) == set(y[split.train]) == set(y)
        assert same(split, splits.grouped(y, groups, share, seed))

    @pytest.mark.parametrize("share", [0.1, 0.3])
    def test_class_shares_are_near_with_groups_of_every_size(self, share):
        rng = np.random.default_rng(5)
        groups = np.sort(rng.zipf(1.6, 20_000) % 3_000)
        y = rng.random(20_000) < np.where(groups % 7 == 0, 0.3, 0.02)
        split = splits.grouped(y, groups, share, 1)
        assert abs(y[split.test].sum() / y.sum() - share) < 0.002
        assert abs(split.test_share - share) < 0.002

    def test_a_group_that_is_too_large_stays_in_training(self):
        groups = np.concatenate([np.zeros(600, int), np.arange(1, 401)])
        for seed in range(5):
            split = splits.grouped(None, groups, 0.2, seed)
            assert 0 not in groups[split.test]
            assert split.test.size == 200

    def test_few_groups_come_as_near_as_they_can(self):
        groups = np.repeat(np.arange(5), [50, 40, 30, 20, 10])
        assert {splits.grouped(None, groups, 0.2, seed).test.size for seed in range(20)} == {30}

    def test_groups_take_turns(self):
        groups = np.repeat(np.arange(20), 5)
        seen = {int(group) for seed in range(60) for group in groups[splits.grouped(None, groups, 0.2, seed).test]}
        assert seen == set(range(20))

    def test_rows_without_a_group_stand_alone(self):
        groups = pl.Series([None] * 50 + ["a"] * 50)
        split = splits.grouped(None, groups, 0.2)
        assert split.test.size == 20
        assert split.test.max() < 50

    def test_what_is_too_small_is_said(self):
        y = np.array([True, True, False, False, False])
        with pytest.raises(DataError, match="2 anomalies in 1 group cannot stand on both sides"):
            splits.grouped(y, ["a", "a", "b", "c", "d"])
        with pytest.raises(DataError, match="5 rows in 1 group cannot stand"):
            splits.grouped(None, ["a"] * 5)
        with pytest.raises(DataError, match="groups must be given for each of 5 rows, found 2"):
            splits.grouped(y, ["a", "b"])

    def test_groups_that_cannot_be_divided_are_refused(self):
        with pytest.raises(DataError, match=r"a division of 3 groups leaves .* to the test: choose another share"):
            splits.grouped(["a", "c", "a", "b", "b", "c"], [1, 1, 2, 2, 3, 3], 0.5)


class TestRepeated:
    def test_the_first_ones_are_the_same_whatever_the_number(self):
        y = np.arange(100) % 4 == 0
        three, five = splits.repeated(y, repeats=3), splits.repeated(y, repeats=5)
        assert all(same(a, b) for a, b in zip(three, five, strict=False))
        assert not same(five[0], five[1])
        assert [split.name for split in three] == [f"stratified {k} of 3" for k in (1, 2, 3)]

    def test_groups_stay_together(self):
        groups = np.arange(100) // 4
        for split in splits.repeated(np.arange(100) % 2 == 0, repeats=4, groups=groups):
            assert not set(groups[split.train]) & set(groups[split.test])
            assert split.name.startswith("grouped")

    def test_at_least_one(self):
        with pytest.raises(DataError, match="at least 1 repeat, found 0"):
            splits.repeated([True, False] * 4, repeats=0)


class TestKFold:
    @quick
    @given(classes(least=5), st.integers(2, 5), seeds)
    def test_each_row_is_tested_once_and_classes_spread_evenly(self, y, folds, seed):
        y = np.concatenate([y, np.repeat(sorted(set(y)), folds)])
        parts = splits.k_fold(y, folds, seed)
        assert sorted(np.concatenate([part.test for part in parts])) == list(range(y.size))
        for part in parts:
            assert_divides(part, y.size)
            for name in set(y):
                assert abs((y[part.test] == name).sum() - (y == name).sum() / folds) < 1
        assert np.ptp([part.test.size for part in parts]) <= 1

    def test_groups_stand_in_one_fold(self):
        rng = np.random.default_rng(0)
        groups, y = rng.integers(0, 150, 2_000), rng.random(2_000) < 0.1
        parts = splits.k_fold(y, 5, groups=groups)
        assert sorted(np.concatenate([part.test for part in parts])) == list(range(2_000))
        for part in parts:
            assert not set(groups[part.train]) & set(groups[part.test])
            assert abs(part.test_share - 0.2) < 0.01
            assert abs(y[part.test].sum() / y.sum() - 0.2) < 0.02

    def test_equal_groups_are_dealt_evenly(self):
        parts = splits.k_fold(None, 4, groups=np.arange(400) // 2)
        assert {part.test.size for part in parts} == {100}

    def test_what_is_too_small_is_said(self):
        with pytest.raises(DataError, match="4 anomalies cannot stand on 5 folds"):
            splits.k_fold(np.arange(20) < 4, 5)
        with pytest.raises(DataError, match="6 rows in 2 groups cannot stand on 3 folds"):
            splits.k_fold(None, 3, groups=[1, 1, 1, 2, 2, 2])
        with pytest.raises(DataError, match="at least 2 folds, found 1"):
            splits.k_fold([True, False], 1)
        with pytest.raises(DataError, match="found neither: give y or groups"):
            splits.k_fold(None, 2)


class TestByTime:
    @quick
    @given(st.lists(st.integers(0, 12), min_size=2, max_size=60), shares)
    def test_test_rows_are_younger_and_ties_stay_together(self, times, share):
        times = np.array(times)
        if np.unique(times).size < 2:
            with pytest.raises(DataError, match="of one time cannot stand on both sides"):
                splits.by_time(times, share)
            return
        split = splits.by_time(times, share)
        assert_divides(split, times.size)
        assert times[split.train].max() < times[split.test].min()
        cuts = [abs((times >= cut).mean() - share) for cut in np.unique(times)[1:]]
        assert abs(split.test_share - share) == pytest.approx(min(cuts))

    def test_order_of_the_rows_is_no_matter(self):
        split = splits.by_time([5, 1, 4, 2, 3], 0.4)
        assert split.test.tolist() == [0, 2]

    @pytest.mark.parametrize("unit", ["ms", "us", "ns"])
    def test_a_gap_leaves_out_what_is_too_near(self, unit):
        hours = [datetime(2024, 1, 1, hour) for hour in range(10)]
        times = pl.Series(hours, dtype=pl.Datetime(unit))
        split = splits.by_time(times, 0.3, gap=timedelta(hours=2))
        assert split.test.tolist() == [7, 8, 9]
        assert split.train.tolist() == [0, 1, 2, 3, 4]

    def test_times_of_many_forms(self):
        days = [date(2024, 1, day) for day in range(1, 11)]
        forms = [
            pl.Series(days),
            days,
            np.array(days, dtype="datetime64[s]"),
            pl.Series([datetime(2024, 1, day, tzinfo=UTC) for day in range(1, 11)]),
            pl.Series([timedelta(days=day) for day in range(10)]),
            np.arange(10) / 10,
            pl.Series(range(10), dtype=pl.UInt8),
            pl.Series(range(10), dtype=pl.UInt64),
        ]
        assert all(splits.by_time(times, 0.2).test.tolist() == [8, 9] for times in forms)
        assert splits.by_time(days, 0.2, gap=timedelta(days=1)).train.tolist() == list(range(7))
        assert splits.by_time(np.arange(10), 0.2, gap=3).train.tolist() == list(range(5))

    def test_classes_must_stand_on_both_sides_if_asked(self):
        y = np.arange(10) >= 8
        with pytest.raises(DataError, match="a split by time leaves 8 normals to training and 0 to the test"):
            splits.by_time(np.arange(10), 0.2, y=y)
        within = splits.by_time(np.arange(10), 0.5, y=y, within=y)
        assert within.test.tolist() == [4, 5, 6, 7, 9]

    def test_each_class_is_divided_by_its_own_time(self):
        times, label = np.array([1, 2, 3, 4, 101, 102, 103, 104]), np.repeat(["early", "late"], 4)
        split = splits.by_time(times, 0.25, within=label, gap=1)
        assert (split.train.tolist(), split.test.tolist()) == ([0, 1, 4, 5], [3, 7])
        with pytest.raises(DataError, match="1 rows of class 'b' of one time"):
            splits.by_time([1, 2, 3], within=["a", "a", "b"])

    def test_errors(self):
        with pytest.raises(SchemaError, match="times must be dates, times or numbers, found String"):
            splits.by_time(["2024-01-01", "2024-01-02"])
        with pytest.raises(SchemaError, match="the gap must be a timedelta for times and a number for numbers"):
            splits.by_time([1, 2], gap=timedelta(hours=1))
        with pytest.raises(SchemaError, match="the gap must be a timedelta"):
            splits.by_time([date(2024, 1, 1), date(2024, 1, 2)], gap=1)
        with pytest.raises(DataError, match="each row must have a time, found 1 of 3 without"):
            splits.by_time([1.0, float("nan"), 2.0])
        with pytest.raises(DataError, match="each row must have a time"):
            splits.by_time([date(2024, 1, 1), None, date(2024, 1, 2)])
        with pytest.raises(DataError, match="a gap of 50 leaves none of 3 rows"):
            splits.by_time([1, 2, 3], gap=50)
        with pytest.raises(DataError, match="must not be negative"):
            splits.by_time([1, 2, 3], gap=-1)
        with pytest.raises(DataError, match="classes must be given for each of 3 rows, found 2"):
            splits.by_time([1, 2, 3], within=[True, False])


class TestEntities:
    @quick
    @given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=30, max_size=60), seeds)
    def test_no_value_on_both_sides(self, rows, seed):
        entities = pl.DataFrame(rows, schema=["user", "host"], orient="row")
        try:
            split = splits.entity_disjoint(None, entities, 0.3, seed)
        except DataError as error:
            assert "must fall into several chains" in str(error)  # noqa: PT017
            return
        assert_divides(split, len(rows))
        for column in entities:
            assert not set(column.gather(split.train)) & set(column.gather(split.test))

    @quick
    @given(st.lists(st.tuples(*[st.none() | st.integers(0, 15)] * 2), max_size=30), st.booleans())
    def test_chains_are_those_of_a_walk(self, rows, same_kind):
        entities = pl.DataFrame(rows, schema={"a": pl.Int64, "b": pl.Int64}, orient="row")
        chain = splits.linked(entities, same_kind=same_kind)
        label = list(range(len(rows)))
        for _ in rows:
            for i, one in enumerate(rows):
                for j, other in enumerate(rows):
                    pairs = [(p, q) for p in (0, 1) for q in (0, 1) if same_kind or p == q]
                    if any(one[p] is not None and one[p] == other[q] for p, q in pairs):
                        label[i] = label[j] = min(label[i], label[j])
        first = {number: place for place, number in reversed(list(enumerate(chain.tolist())))}
        assert [first[number] for number in chain.tolist()] == label

    def test_columns_of_one_kind_are_compared_with_each_other(self):
        entities = {"source": ["x", "z", "u", "w"], "target": ["y", "x", "v", "q"]}
        frame = pl.DataFrame(entities)
        assert splits.linked(frame).tolist() == [0, 1, 2, 3]
        assert splits.linked(frame, same_kind=True).tolist() == [0, 0, 1, 2]
        split = splits.entity_disjoint(None, entities, 0.5, same_kind=True)
        assert {0, 1} in (set(split.train.tolist()), set(split.test.tolist()))

    def test_nothing_known_links_nothing(self):
        frame = pl.DataFrame({"a": [None, None, 1.0, float("nan"), float("nan")]}, strict=False)
        assert splits.linked(frame).tolist() == [0, 1, 2, 3, 4]
        assert splits.linked(pl.DataFrame()).tolist() == []
        assert splits.linked(pl.DataFrame(), same_kind=True).tolist() == []

    def test_one_chain_is_refused_with_what_to_do_and_without_values(self):
        entities = {"user": [f"u{k}" for k in range(100)], "host": ["secret"] * 90 + [f"h{k}" for k in range(10)]}
        message = r"one chain of 90 of 100 rows: leave out .*\(one value of 'host' stands in 90 rows\).* or by_time"
        with pytest.raises(DataError, match=message) as caught:
            splits.entity_disjoint(None, entities, 0.3)
        assert "secret" not in str(caught.value)
        assert splits.entity_disjoint(None, entities, 0.2).test.tolist() == list(range(90, 100))


class TestLeaveOneGroupOut:
    types = np.array(["normal"] * 50 + ["dos"] * 5 + ["scan"] * 7 + ["sql"] * 2)

    def test_a_family_stands_in_the_test_part_only(self):
        parts = splits.leave_one_group_out(self.types, 0.2)
        assert [part.name for part in parts] == ["without dos", "without scan", "without sql"]
        for part, family in zip(parts, ("dos", "scan", "sql"), strict=True):
            assert_divides(part, self.types.size)
            assert set(self.types[part.test]) == {"normal", family}
            assert set(self.types[part.train]) == {"normal", "dos", "scan", "sql"} - {family}
            assert (self.types[part.test] == "normal").sum() == 10
        normals = [set(part.test[self.types[part.test] == "normal"].tolist()) for part in parts]
        assert normals[0] == normals[1] == normals[2]

    def test_training_rows_of_tested_groups_are_left_out(self):
        groups = np.arange(64)
        groups[50], groups[55] = 1_000, 1_000
        without_dos = splits.leave_one_group_out(self.types, 0.2, groups=groups)[0]
        assert 55 not in without_dos.train
        assert not set(groups[without_dos.train]) & set(groups[without_dos.test])

    def test_errors(self):
        with pytest.raises(DataError, match="found 1 kinds: use stratified"):
            splits.leave_one_group_out(["normal", "normal", "dos"])
        with pytest.raises(DataError, match="0 rows cannot stand on both sides"):
            splits.leave_one_group_out(["dos", "scan"])
        assert len(splits.leave_one_group_out(["ok", "ok", "dos", "scan"], 0.5, normal="ok")) == 2


class TestPublished:
    def test_takes_the_column(self):
        frame = pl.DataFrame({"part": ["train", "test", "train"]})
        split = splits.published(frame, Roles("row", split="part"))
        assert (split.train.tolist(), split.test.tolist()) == ([0, 2], [1])

    def test_errors(self):
        frame = pl.DataFrame({"part": ["train", "test", "valid", None]})
        with pytest.raises(DataError, match=r"must hold 'train' and 'test', found None, 'valid'"):
            splits.published(frame, Roles("row", split="part"))
        for roles in (Roles("row"), Roles("row", split="other")):
            with pytest.raises(SchemaError, match="a published split needs a split column"):
                splits.published(frame, roles)
        with pytest.raises(DataError, match="published: test must be row numbers, at least one"):
            splits.published(pl.DataFrame({"part": ["train"]}), Roles("row", split="part"))


class TestDistinctRows:
    def test_copies_get_one_number(self):
        frame = pl.DataFrame({"a": [1, 1, None, None, 2], "b": [[1, 2], [1, 2], [3], [3], []]})
        assert splits.distinct_rows(frame).tolist() == [0, 0, 1, 1, 2]
        assert splits.distinct_rows(frame, ["a"]).tolist() == [0, 0, 1, 1, 2]
        assert splits.distinct_rows(frame.head(0)).tolist() == []
        assert splits.distinct_rows(pl.DataFrame({"row": [1, 1], "code": [2, 2], "1": [3, 4]})).tolist() == [0, 1]

    @quick
    @given(st.lists(st.tuples(st.sampled_from("xy"), st.floats() | st.none()), max_size=20))
    def test_numbers_are_equal_where_rows_are(self, rows):
        frame = pl.DataFrame(rows, schema={"a": pl.String, "b": pl.Float64}, orient="row")
        keys = [repr((a, None if b is None else b + 0.0)) for a, b in rows]
        first = {}
        assert splits.distinct_rows(frame).tolist() == [first.setdefault(key, len(first)) for key in keys]

    def test_errors(self):
        with pytest.raises(SchemaError, match="must have the column 'c'"):
            splits.distinct_rows(pl.DataFrame({"a": [1]}), ["c"])
        with pytest.raises(SchemaError, match="need a column to be compared by"):
            splits.distinct_rows(pl.DataFrame())


def test_nan_is_a_missing_value():
    nan = float("nan")
    assert len(set(splits.inputs.codes(np.array([1.0, nan, nan, 1.0])).tolist())) == 3
    with pytest.raises(DataError, match="classes must be known in every row, found 2 of 4 missing"):
        splits.stratified(np.array([1.0, nan, 1.0, nan]))
    with pytest.raises(DataError, match="each row must have a time, found 1 of 3"):
        splits.by_time([1.0, 2.0, float("inf")])
