"""Codes, count vectors, event sets and windows of sessions, each against a plain loop."""

import pickle
from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone

from benchmarks import log_windows, measure
from benchmarks.registry import CASES, Scale
from utils.errors import DataError, SchemaError
from utils.features import log_sessions
from utils.features.log_sessions import SessionCounts, Vocabulary

EVENTS = ["E5", "E22", "E11", "E9", "blk * of size *", "", "ä"]
LISTS = st.lists(st.one_of(st.none(), st.lists(st.sampled_from(EVENTS), max_size=12)), max_size=8)
UNSEEN = "E99"


def column(lists, dtype=pl.String):
    return pl.Series("events", lists, dtype=pl.List(dtype))


def coded(lists, dtype=pl.String):
    events = column(lists, dtype)
    return log_sessions.encode(events, Vocabulary.fit(events))


def plain(lists):
    return [list(events or []) for events in lists]


def windows_by_loop(sequences, width, begin, end):
    """Windows, their session and the place of their last token, one after the other."""
    words, found = sequences.vocabulary, []
    for row in range(len(sequences)):
        before = [words.begin] * (width - 1) if begin else []
        tokens = before + sequences[row].tolist() + ([words.end] if end else [])
        for first in range(len(tokens) - width + 1):
            found.append((tokens[first : first + width], row, first + width - 1 - len(before)))
    return found


class TestVocabulary:
    def test_codes_are_places_in_sorted_order_and_three_are_reserved(self):
        words = Vocabulary.fit(column([["b", "a"], None, [], ["b", None]]))
        assert words.events.to_list() == ["a", "b"]
        assert (words.unseen, words.begin, words.end, words.size) == (2, 3, 4, 5)
        assert words.codes(pl.Series(["b", "x", None, "a"])).tolist() == [1, 2, 2, 0]
        assert [words.name(code) for code in range(5)] == ["a", "b", "unseen", "begin", "end"]
        assert words.places(["b", "x"]).tolist() == [1]
        assert words.places([]).tolist() == []

    @pytest.mark.parametrize("dtype", [pl.UInt8, pl.Int16, pl.Int64, pl.UInt64])
    def test_integers_of_any_width_are_the_same_events(self, dtype):
        words = Vocabulary.fit(column([[3, 7], [200]], pl.UInt8))
        assert words.codes(pl.Series([7, 3, 5], dtype=dtype)).tolist() == [1, 0, 3]

    def test_numbers_outside_the_range_of_training_are_unseen(self):
        assert Vocabulary.fit(column([[3]], pl.UInt8)).codes(pl.Series([-1, 3])).tolist() == [1, 0]
        large = pl.Series([2**64 - 1, 3], dtype=pl.UInt64)
        assert Vocabulary.fit(column([[-3, 3]], pl.Int8)).codes(large).tolist() == [2, 1]

    def test_template_ids_of_64_bits_stay_exact(self):
        ids = [2**64 - 1, 2**64 - 2, 2**53 + 1]
        words = Vocabulary.fit(column([ids], pl.UInt64))
        assert words.codes(pl.Series(ids, dtype=pl.UInt64)).tolist() == [2, 1, 0]
        assert words.decoded(np.array([2, 1, 0, 3], np.uint8)).to_list() == [*ids, None]

    @pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum(["a", "b", "c"])])
    def test_categories_are_texts(self, dtype):
        words = Vocabulary.fit(pl.Series([["b", "a"]], dtype=pl.List(dtype)))
        assert words.codes(pl.Series(["c", "b"], dtype=dtype)).tolist() == [2, 1]
        assert words.codes(pl.Series(["a"])).tolist() == [0]

    @pytest.mark.parametrize("lists", [column([[1.5]], pl.Float64), column([[True]], pl.Boolean), pl.Series([[[1]]])])
    def test_other_kinds_are_refused(self, lists):
        with pytest.raises(SchemaError, match="integers or texts"):
            Vocabulary.fit(lists)

    def test_texts_are_not_compared_with_integers(self):
        with pytest.raises(SchemaError, match=r"of one kind.*Int64 against String in training"):
            log_sessions.encode(column([[1]], pl.Int64), Vocabulary.fit(column([["a"]])))
        with pytest.raises(SchemaError, match="String against UInt64"):
            Vocabulary.fit(column([[1]], pl.UInt8)).codes(pl.Series(["1"]))

    @pytest.mark.parametrize("empty", [column([[], None]), pl.Series([None, None]), pl.Series([[], []])])
    def test_training_without_events_knows_none(self, empty):
        words = Vocabulary.fit(empty)
        assert words.unseen == 0
        assert log_sessions.encode(column([[1, 2]], pl.Int64), words).codes.tolist() == [0, 0]

    def test_sessions_without_events_suit_every_vocabulary(self):
        words = Vocabulary.fit(column([[1, 2]], pl.Int64))
        for empty in (pl.Series([None, None]), pl.Series([[], []]), column([[], None])):
            assert log_sessions.encode(empty, words).lengths.tolist() == [0, 0]
        assert log_sessions.encode(pl.Series([[None, None]]), words).codes.tolist() == [2, 2]

    def test_more_events_take_wider_codes(self):
        assert coded([list(range(200))], pl.Int64).codes.dtype == np.uint8
        assert coded([list(range(300))], pl.Int64).codes.dtype == np.uint16


class TestSequences:
    @settings(deadline=None, max_examples=50)
    @given(LISTS)
    def test_there_and_back(self, lists):
        sequences = coded(lists)
        assert len(sequences) == len(lists)
        assert sequences.lengths.tolist() == [len(events) for events in plain(lists)]
        assert sequences.to_series().to_list() == plain(lists)
        assert sequences.rows.tolist() == [row for row, events in enumerate(plain(lists)) for _ in events]

    @settings(deadline=None, max_examples=50)
    @given(LISTS, st.integers(-9, 9), st.integers(-9, 9), st.sampled_from([1, 1, 2, -1]))
    def test_slices_are_those_of_a_list(self, lists, first, last, step):
        cut = coded(lists)[first:last:step]
        assert cut.to_series().to_list() == plain(lists)[first:last:step]
        assert cut.offsets[0] == 0

    def test_slices_and_rows_copy_nothing(self):
        sequences = coded([["a", "b"], ["c"], ["a"]])
        assert np.shares_memory(sequences[1:].codes, sequences.codes)
        assert np.shares_memory(sequences[-3], sequences.codes)
        assert sequences[-3].tolist() == [0, 1]
        with pytest.raises(IndexError):
            sequences[3]

    def test_rows_may_be_taken_in_any_order_and_repeatedly(self):
        sequences = coded([["a", "b"], [], ["c"]])
        taken = sequences.take(np.array([2, 0, 0, 1]))
        assert taken.to_series("again").to_list() == [["c"], ["a", "b"], ["a", "b"], []]

    def test_unseen_events_come_back_as_null(self):
        words = Vocabulary.fit(column([["a"]]))
        assert log_sessions.encode(column([["a", UNSEEN, None]]), words).to_series().to_list() == [["a", None, None]]

    def test_a_slice_of_a_column_and_a_fixed_width_column_are_read_right(self):
        cut = column([["x"], ["a", "b"], ["b"]])[1:]
        assert log_sessions.encode(cut, Vocabulary.fit(cut)).codes.tolist() == [0, 1, 1]
        fixed = pl.Series("events", [[5, 3], [3, 3]], dtype=pl.Array(pl.Int32, 2))
        assert log_sessions.encode(fixed, Vocabulary.fit(fixed)).codes.tolist() == [1, 0, 0, 0]

    def test_what_holds_no_lists_is_refused(self):
        with pytest.raises(SchemaError, match="'events' must hold lists of events, found Int64"):
            log_sessions.encode(pl.Series("events", [1]), Vocabulary.fit(pl.Series([1])))


class TestDistinct:
    @settings(deadline=None, max_examples=50)
    @given(LISTS)
    def test_each_sequence_once_with_its_count(self, lists):
        frame = pl.DataFrame({"e": column(lists)})
        found = log_sessions.distinct(frame, "e")
        texts = found.sequences.to_series().to_list()
        assert [texts[row] for row in found.inverse] == plain(lists)
        assert found.counts.tolist() == [list(found.inverse).count(row) for row in range(len(found.sequences))]
        assert len(found.events) == len(found.sequences)

    def test_weights_are_added_and_the_vocabulary_may_be_given(self):
        frame = pl.DataFrame({"events": column([["a"], [UNSEEN], ["a"]])})
        found = log_sessions.distinct(frame, vocabulary=Vocabulary.fit(pl.Series(["a"])), weight=np.array([2, 5, 0.5]))
        assert found.counts.tolist() == [2.5, 5]
        assert found.sequences.codes.tolist() == [0, 1]
        assert found.events.to_list() == [["a"], [UNSEEN]]

    def test_a_missing_column_is_named(self):
        with pytest.raises(SchemaError, match="must have the column 'events', found 'e'"):
            log_sessions.distinct(pl.DataFrame({"e": [1]}))


class TestCountVectors:
    @settings(deadline=None, max_examples=50)
    @given(LISTS)
    def test_counts_are_those_of_a_loop(self, lists):
        sequences = coded(lists)
        counts = log_sessions.count_vectors(sequences)
        names = sequences.vocabulary.events.to_list()
        expected = [[Counter(events)[name] for name in names] + [0] for events in plain(lists)]
        assert counts.shape == (len(lists), len(names) + 1)
        assert counts.toarray().tolist() == expected
        assert counts.dtype == np.int64
        assert counts.has_canonical_format

    def test_a_thousand_event_types_and_long_sessions_stay_exact(self):
        sequences = coded([list(range(1_000)), [999] * 70_000, []], pl.Int64)
        counts = log_sessions.count_vectors(sequences)
        assert counts[0].toarray().ravel().tolist() == [1] * 1_000 + [0]
        assert counts[1, 999] == 70_000
        assert counts[2].nnz == 0

    def test_the_sequences_are_left_as_they_are(self):
        sequences = coded([["b", "a", "b"]])
        log_sessions.count_vectors(sequences)
        assert sequences.codes.tolist() == [1, 0, 1]
        assert sequences.offsets.tolist() == [0, 3]


class TestWindows:
    @settings(deadline=None, max_examples=100)
    @given(LISTS, st.integers(1, 6), st.booleans(), st.booleans())
    def test_windows_are_those_of_a_loop(self, lists, width, begin, end):
        sequences = coded(lists)
        cut = log_sessions.windows(sequences, width, begin=begin, end=end)
        expected = windows_by_loop(sequences, width, begin, end)
        assert len(cut) == len(expected)
        assert cut.values().tolist() == [tokens for tokens, _, _ in expected]
        assert cut.session.tolist() == [session for _, session, _ in expected]
        assert cut.position.tolist() == [place for _, _, place in expected]

    def test_each_event_is_the_last_of_one_window_and_the_end_of_one_more(self):
        sequences = coded([["a"], ["b", "a", "b"]])
        begin, end = sequences.vocabulary.begin, sequences.vocabulary.end
        assert log_sessions.windows(sequences, 3).values().tolist() == [
            [begin, begin, 0],
            [begin, 0, end],
            [begin, begin, 1],
            [begin, 1, 0],
            [1, 0, 1],
            [0, 1, end],
        ]

    def test_nothing_is_copied_until_it_is_asked_for(self):
        sequences = coded([["a", "b", "c"], ["c"], ["b", "a"]])
        bare = log_sessions.windows(sequences, 2, begin=False, end=False)
        assert np.shares_memory(bare.view, sequences.codes)
        assert not bare.view.flags.writeable
        tokens = log_sessions.windows(sequences, 2)
        assert np.shares_memory(tokens.view, tokens.tokens)
        assert not np.shares_memory(tokens.values(), tokens.tokens)

    def test_some_windows_only(self):
        cut = log_sessions.windows(coded([["a", "b", "c"]]), 2, begin=False, end=False)
        assert cut.values(np.array([1])).tolist() == [[1, 2]]
        assert cut.values(slice(0, 1)).tolist() == [[0, 1]]

    @pytest.mark.parametrize("lists", [[], [[]], [["a"]]])
    def test_too_few_tokens_give_no_window(self, lists):
        cut = log_sessions.windows(coded(lists), 5, begin=False, end=False)
        assert cut.values().shape == (0, 5)
        assert log_sessions.distinct_windows(cut).values.shape == (0, 5)
        assert cut.places().height == 0

    def test_a_window_needs_a_width(self):
        with pytest.raises(DataError, match="at least 1 token wide, found 0"):
            log_sessions.windows(coded([["a"]]), 0)

    def test_a_window_leads_back_to_its_lines(self):
        sequences = coded([["a", "b", "c"], [], ["b"]])
        lines = column([[10, 14, 15], None, [12]], pl.Int64)
        places = log_sessions.windows(sequences, 3).places(lines)
        assert places.rows() == [
            (0, 0, 0, 10, 10),
            (0, 0, 1, 10, 14),
            (0, 0, 2, 10, 15),
            (0, 1, 2, 14, 15),
            (1, None, None, None, None),
            (2, 0, 0, 12, 12),
            (2, 0, 0, 12, 12),
        ]
        assert places.columns == ["session", "first_event", "last_event", "first_line", "last_line"]

    @settings(deadline=None, max_examples=50)
    @given(LISTS, st.integers(1, 5), st.booleans(), st.booleans())
    def test_the_lines_hold_the_events_of_the_window(self, lists, width, begin, end):
        sequences = coded(lists)
        cut = log_sessions.windows(sequences, width, begin=begin, end=end)
        numbered = log_sessions.list_column(
            pl.Series(np.arange(len(sequences.codes)) + 100), sequences.offsets, "LineId"
        )
        places = cut.places(numbered)
        for tokens, row in zip(cut.values().tolist(), places.iter_rows(named=True), strict=True):
            inside = [code for code in tokens if code < sequences.vocabulary.unseen]
            if row["first_line"] is None:
                assert inside == []
            elif inside:
                assert sequences.codes[row["first_line"] - 100 : row["last_line"] - 99].tolist() == inside

    def test_lines_that_are_not_those_of_the_events_are_refused(self):
        cut = log_sessions.windows(coded([["a", "b"], ["b"]]), 2)
        with pytest.raises(DataError, match="one line for each of the 3 events of 2 sessions, found 3 lines in 2"):
            cut.places(column([[1], [2, 3]], pl.Int64))


class TestDistinctWindows:
    @settings(deadline=None, max_examples=100)
    @given(LISTS, st.integers(1, 6), st.booleans())
    def test_each_window_once_with_its_count(self, lists, width, tokens):
        cut = log_sessions.windows(coded(lists), width, begin=tokens, end=tokens)
        found = log_sessions.distinct_windows(cut)
        expected = Counter(map(tuple, cut.values().tolist()))
        assert dict(zip(map(tuple, found.values.tolist()), found.counts.tolist(), strict=True)) == expected
        assert found.values[found.inverse].tolist() == cut.values().tolist()

    @settings(deadline=None, max_examples=50)
    @given(st.lists(st.lists(st.sampled_from([0, 1, 2**40, 2**60]), max_size=40), max_size=4), st.integers(1, 45))
    def test_windows_too_wide_for_one_number_stay_exact(self, lists, width):
        words = Vocabulary.fit(pl.Series([0, 1, 2**40, 2**60, *range(2, 90)]))
        cut = log_sessions.windows(log_sessions.encode(column(lists, pl.Int64), words), width)
        found = log_sessions.distinct_windows(cut)
        assert len(found.values) == len(set(map(tuple, cut.values().tolist())))
        assert found.values[found.inverse].tolist() == cut.values().tolist()

    def test_windows_that_differ_in_their_last_or_first_token_only_are_two(self):
        words = Vocabulary.fit(pl.Series(range(100)))
        for width in (9, 10, 27, 40):
            base = [7] * width
            lists = [base, [8, *base[1:]], [*base[:-1], 8], base]
            cut = log_sessions.windows(
                log_sessions.encode(column(lists, pl.Int64), words), width, begin=False, end=False
            )
            assert sorted(log_sessions.distinct_windows(cut).counts.tolist()) == [1, 1, 2]


class TestSessionCounts:
    FRAME = pl.DataFrame({"id": [1, 2, 3], "events": column([["b", "a", "b"], None, ["b"]])})

    def test_counts_with_a_column_for_unseen_events(self):
        counts = SessionCounts().fit(self.FRAME)
        new = pl.DataFrame({"events": column([["a", UNSEEN, None], []])})
        assert counts.get_feature_names_out().tolist() == ["count_a", "count_b", "unseen_events"]
        assert counts.transform(self.FRAME).toarray().tolist() == [[1, 2, 0], [0, 0, 0], [0, 1, 0]]
        assert counts.transform(new).toarray().tolist() == [[1, 0, 2], [0, 0, 0]]

    def test_it_gives_a_csr_matrix_of_floats(self):
        found = SessionCounts().fit_transform(self.FRAME)
        assert isinstance(found, sparse.csr_matrix)
        assert found.dtype == np.float64

    @pytest.mark.parametrize("rows", [0, 1])
    def test_no_row_and_one_row(self, rows):
        assert SessionCounts().fit(self.FRAME).transform(self.FRAME.head(rows)).shape == (rows, 3)

    def test_clone_and_pickle(self):
        fitted = SessionCounts(events="events").fit(self.FRAME)
        again = pickle.loads(pickle.dumps(fitted))
        assert (again.transform(self.FRAME) != fitted.transform(self.FRAME)).nnz == 0
        assert not hasattr(clone(fitted), "vocabulary_")

    def test_an_event_of_the_name_of_the_reserved_column_is_no_clash(self):
        counts = SessionCounts().fit(pl.DataFrame({"events": column([["unseen_events", "unseen"]])}))
        assert len(set(counts.get_feature_names_out())) == 3

    def test_a_wrong_table_is_named(self):
        with pytest.raises(SchemaError, match="column 'events'"):
            SessionCounts().fit(self.FRAME.drop("events"))
        with pytest.raises(SchemaError, match="hold lists"):
            SessionCounts("id").fit(self.FRAME)
        with pytest.raises(SchemaError, match="of one kind"):
            SessionCounts().fit(self.FRAME).transform(pl.DataFrame({"events": [[1]]}))


class TestBenchmark:
    def test_the_case_compares_equal_results_and_makes_one_claim(self, lab, monkeypatch):
        monkeypatch.setattr(measure, "LEAST_SECONDS", 1e-9)
        rows = CASES["log_windows"](Scale(rounds=1, sessions=300))
        assert [str(row.bar) for row in rows if row.bar] == [">= 50x"]
        assert {row.size.split(",")[0] for row in rows} == {"300 sessions"}

    def test_different_windows_are_not_accepted(self):
        lists = [[1, 2, 3], [2, 3]]
        cut = log_sessions.windows(coded(lists, pl.Int64), 2, begin=False, end=False)
        good = log_windows.slice_by_loop(log_windows.code_by_loop(lists), 2)
        log_windows._require_same((cut.values(), cut.session), good)
        with pytest.raises(RuntimeError, match="slicing loop"):
            log_windows._require_same((cut.values(), cut.session), (good[0], good[1][::-1]))
        found, counts = log_sessions.distinct_windows(cut), Counter(map(tuple, good[0]))
        log_windows._require_same_counts(found, counts)
        with pytest.raises(RuntimeError, match="those of the loop"):
            log_windows._require_same_counts(found, counts + Counter({(1, 2): 1}))
