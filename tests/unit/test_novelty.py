"""Novelty rules of log sessions: one battery for all, then what each rule knows."""

import pickle
import subprocess
import sys
from itertools import pairwise

import cloudpickle
import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from utils.detectors import novelty
from utils.detectors.novelty import (
    BackOffNovelty,
    SessionLength,
    StructuralVector,
    UnseenCountVector,
    UnseenEvent,
    UnseenEventSet,
    UnseenTransition,
)
from utils.errors import DataError, SchemaError
from utils.features.log_sessions import Vocabulary

RULES = {
    "event": UnseenEvent(),
    "set": UnseenEventSet(),
    "length": SessionLength(),
    "counts": UnseenCountVector(),
    "structure": StructuralVector(free=("read",)),
    "back-off": BackOffNovelty(),
    "back-off, fixed": BackOffNovelty(free=["read"], m=2),
    "back-off, trusting": BackOffNovelty(trusted=5),
    "transition": UnseenTransition(),
}
battery = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
VECTOR_RULES = [UnseenCountVector(), StructuralVector(free=("read",)), BackOffNovelty(free=("read",), m=2)]


def table(lists, dtype=pl.String, **columns):
    return pl.DataFrame({"events": pl.Series(lists, dtype=pl.List(dtype)), **columns})


def session(reads, *, failed=0, closed=1):
    return ["open", *["write"] * 3, *["read"] * reads, *["fail"] * failed, *["close"] * closed]


def normals(n=300, seed=0):
    """Sessions whose reads vary freely, seldom with a failure (then never read)."""
    rng = np.random.default_rng(seed)
    reads = rng.geometric(0.12, n) - 1
    failed = rng.random(n) < 0.04
    return table([session(0 if f else r, failed=int(f)) for r, f in zip(reads.tolist(), failed, strict=True)])


@pytest.fixture
def known():
    return normals()


@pytest.fixture
def strange():
    """Sessions that every rule finds abnormal."""
    return table([[*session(2), "burn", "burn"] * 30, [*session(1, failed=3), "alien"] * 40])


class TestEveryRule:
    @battery
    def test_higher_is_more_abnormal_and_one_means_that_the_rule_fires(self, rule, known, strange):
        fitted = clone(rule).fit(known)
        inside, outside = fitted.score_samples(known), fitted.score_samples(strange)
        assert inside.dtype == np.float64
        assert inside.shape == (known.height,)
        assert (inside >= 0).all()
        assert (inside < 1).all()
        assert (outside >= 1).all()
        assert not fitted.fires(known).any()
        assert fitted.fires(strange).all()
        other = pl.concat([normals(200, seed=5), strange, table([[], ["open"], ["read"] * 40, ["x", "open"]])])
        assert fitted.fires(other).tolist() == (fitted.score_samples(other) >= 1).tolist()

    @battery
    def test_it_explains_each_row_in_one_sentence(self, rule, known, strange):
        fitted = clone(rule).fit(known)
        rows = pl.concat([strange, known.head(3), table([[], None])])
        sentences = fitted.explain(rows)
        assert len(sentences) == rows.height
        assert all(sentence and "\n" not in sentence for sentence in sentences)
        assert fitted.sentence_.startswith("abnormal if ")

    @battery
    def test_no_row_and_one_row(self, rule, known):
        fitted = clone(rule).fit(known)
        for rows in (0, 1):
            assert fitted.score_samples(known.head(rows)).shape == (rows,)
            assert len(fitted.explain(known.head(rows))) == rows
        alone = clone(rule).fit(known.head(1))
        assert not alone.fires(known.head(1)).any()

    @battery
    def test_an_empty_session_and_a_null_one_are_the_same(self, rule, known):
        fitted = clone(rule).fit(known)
        scores = fitted.score_samples(table([[], None]))
        assert np.isfinite(scores).all()
        assert scores[0] == scores[1]
        trained = clone(rule).fit(table([[], None, []]))
        assert not trained.fires(table([[]])).any()
        assert trained.fires(table([["open", "x"]])).all()

    @battery
    def test_null_events_count_as_unseen(self, rule, known):
        fitted = clone(rule).fit(known)
        row = table([[*session(1), None]])
        assert fitted.score_samples(row) == fitted.score_samples(table([[*session(1), "alien"]]))
        if not isinstance(rule, SessionLength):
            assert "(null)" in fitted.explain(row)[0]

    @battery
    def test_anomalies_and_rows_without_label_or_weight_are_not_learnt(self, rule, known, strange):
        rows = pl.concat([known, strange])
        labels = [False] * known.height + [True, None]
        expected = clone(rule).fit(known).score_samples(rows)
        for y in (pl.Series(labels), labels, [0] * known.height + [1, 1], np.array(labels)):
            assert np.array_equal(clone(rule).fit(rows, y).score_samples(rows), expected)
        weight = [1] * known.height + [0, 0]
        assert np.array_equal(clone(rule).fit(rows, weight=weight).score_samples(rows), expected)

    @battery
    def test_weights_stand_for_repeated_rows_and_the_order_does_not_matter(self, rule, known, strange):
        counted = known.group_by("events").len().sample(fraction=1, shuffle=True, seed=3)
        weighted = clone(rule).fit(counted, weight=counted["len"])
        rows = pl.concat([known, strange])
        assert np.allclose(weighted.score_samples(rows), clone(rule).fit(known).score_samples(rows), atol=1e-12)
        assert weighted.sentence_ == clone(rule).fit(known).sentence_

    @battery
    def test_clone_and_pickle(self, rule, known, strange, tmp_path):
        fitted = clone(rule).fit(known)
        assert pickle.loads(pickle.dumps(fitted)).explain(strange) == fitted.explain(strange)
        assert clone(fitted).get_params() == rule.get_params()
        with pytest.raises(NotFittedError):
            clone(fitted).score_samples(known)

    def test_another_process_gives_the_same_scores(self, known, strange, tmp_path):
        fitted = [clone(rule).fit(known) for rule in RULES.values()]
        (tmp_path / "rules").write_bytes(cloudpickle.dumps((fitted, strange)))
        code = (
            "import sys, cloudpickle; rules, rows = cloudpickle.load(open(sys.argv[1], 'rb'));"
            "print([rule.score_samples(rows).tolist() for rule in rules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "rules")], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == str([rule.score_samples(strange).tolist() for rule in fitted])

    @battery
    def test_integer_events_do_as_texts_do(self, rule, known, strange):
        numbers = {"open": 5, "write": 1, "read": 2, "fail": 9, "close": 7, "burn": 200, "alien": 201}

        def numbered(frame):
            return frame.with_columns(pl.col("events").list.eval(pl.element().replace_strict(numbers).cast(pl.UInt8)))

        twin = clone(rule)
        if getattr(rule, "free", None):
            twin.set_params(free=(2,))
        expected = clone(rule).fit(known).score_samples(pl.concat([known, strange]))
        got = twin.fit(numbered(known)).score_samples(numbered(pl.concat([known, strange])))
        assert np.allclose(got, expected, atol=1e-12)

    @battery
    def test_wrong_input_is_named(self, rule, known):
        with pytest.raises(SchemaError, match="must have the column 'events'"):
            clone(rule).fit(known.rename({"events": "e"}))
        with pytest.raises(SchemaError, match="must hold lists"):
            clone(rule).fit(pl.DataFrame({"events": ["a"]}))
        with pytest.raises(SchemaError, match="of one kind"):
            clone(rule).fit(known).score_samples(table([[1]], pl.Int64))
        for y in ([True] * known.height, pl.Series([None] * known.height)):
            with pytest.raises(DataError, match="needs normal sessions to learn from, found none in 300 rows"):
                clone(rule).fit(known, y)
        with pytest.raises(DataError, match="found none in 0 rows"):
            clone(rule).fit(known.clear())

    @pytest.mark.parametrize("weight", [[1.0], [-1.0] * 300, [np.nan] * 300, [np.inf] * 300])
    def test_wrong_weights_are_named(self, weight, known):
        with pytest.raises(DataError, match=r"weights must be (given for each of 300 rows, found 1|finite)"):
            UnseenEvent().fit(known, weight=weight)

    def test_wrong_labels_are_named(self, known):
        with pytest.raises(DataError, match="labels must be given for each of 300 rows, found 2"):
            UnseenEvent().fit(known, [True, False])
        for y in (["normal"] * 300, [2] * 300):
            with pytest.raises(DataError, match="labels must be true or false"):
                UnseenEvent().fit(known, y)

    @battery
    def test_the_rule_keeps_no_rows(self, rule):
        many = pl.concat([normals()] * 50)
        small, large = (len(pickle.dumps(clone(rule).fit(frame))) for frame in (normals(), many))
        assert large < 3 * small


class TestUnseenEvent:
    def test_it_counts_unseen_events_and_names_them(self):
        rule = UnseenEvent().fit(table([["a", "b"], ["a"]]))
        rows = table([["a", "x", "y", "x"], ["a"], ["b", "a"], []])
        assert rule.score_samples(rows)[0] == 3
        assert rule.score_samples(rows)[1] < rule.score_samples(rows)[2]
        assert rule.explain(rows) == [
            "events x and y in none of 2 training sessions",
            "every event type is known; the rarest, event a, in 2 of 2 training sessions",
            "every event type is known; the rarest, event b, in 1 of 2 training sessions",
            "the session has no events",
        ]
        assert "none of 2 training sessions has (2 are known)" in rule.sentence_

    def test_long_names_and_many_names_are_cut(self):
        rule = UnseenEvent().fit(table([["a"]]))
        long = "x" * 200
        (sentence,) = rule.explain(table([[long, "b", "c", "d", "e"]]))
        assert sentence == f"events {'x' * 57}..., b, c and 2 more in none of 1 training sessions"


class TestUnseenEventSet:
    def test_known_sets_in_any_order_and_number(self):
        rule = UnseenEventSet().fit(table([["a", "b"], ["b", "c", "c"]]))
        rows = table([["b", "a", "a"], ["a", "c"], ["a"], ["b", "c", "x"], ["x", "y"]])
        assert rule.fires(rows).tolist() == [False, True, True, True, True]
        assert rule.score_samples(rows)[1:].tolist() == [2, 1, 1, 3]
        said = rule.explain(rows)
        assert said[0] == "the set of event types is known from 1 of 2 training sessions"
        assert said[2] == "the set of event types is in no training session; the nearest one has event b"
        assert said[3] == "the set of event types is in no training session; the nearest one lacks unseen event x"
        assert said[1].endswith("the nearest one lacks event c and has event b")

    def test_rare_sets_rank_above_common_ones(self):
        rule = UnseenEventSet().fit(table([["a"]] * 99 + [["b"]]))
        common, rare = rule.score_samples(table([["a"], ["b"]]))
        assert 0 < common < 0.1 < rare < 1


class TestUnseenTransition:
    def test_it_names_new_transitions_beginnings_and_ends(self):
        rule = UnseenTransition().fit(table([["a", "b", "c"], ["a", "b", "b", "c"], ["a", "b", "c"]]))
        rows = table([["a", "b", "b", "b", "c"], ["a", "c"], ["b", "c"], ["a", "b"], ["c", "b", "a"]])
        assert rule.fires(rows).tolist() == [False, True, True, True, True]
        assert rule.score_samples(rows)[1:].tolist() == [1, 1, 1, 4]
        said = rule.explain(rows)
        assert said[0] == "every transition is known; the rarest, event b after event b, in 1 of 3 training sessions"
        assert said[1] == "event c after event a in none of 3 training sessions"
        assert said[2] == "event b at the beginning in none of 3 training sessions"
        assert said[3] == "the end after event b in none of 3 training sessions"

    def test_the_end_may_be_left_out(self):
        rule = UnseenTransition(end=False).fit(table([["a", "b", "c"]]))
        assert rule.fires(table([["a", "b"], ["a"], ["b"]])).tolist() == [False, False, True]

    def test_sessions_without_events_are_a_transition_of_their_own(self):
        assert UnseenTransition().fit(table([["a"]])).fires(table([[]])).all()
        rule = UnseenTransition().fit(table([["a"], []]))
        assert rule.explain(table([[]])) == [
            "every transition is known; the rarest, a session without events, in 1 of 2 training sessions"
        ]

    @settings(deadline=None, max_examples=30)
    @given(st.lists(st.lists(st.integers(0, 3), max_size=5), min_size=1, max_size=6), st.lists(st.integers(0, 4)))
    def test_it_fires_as_a_loop_does(self, known, asked):
        def pairs(events):
            tokens = ["begin", *events, "end"]
            return set(pairwise(tokens))

        seen = set().union(*map(pairs, known))
        rule = UnseenTransition().fit(table(known, pl.Int64))
        score = float(rule.score_samples(table([asked], pl.Int64))[0])
        unseen = {tuple("x" if token == 4 or token not in {e for k in known for e in k} | {"begin", "end"} else token
                        for token in pair) for pair in pairs(asked) - seen}  # fmt: skip
        assert score == len(unseen) if unseen else score < 1


class TestSessionLength:
    def test_shortest_and_longest(self):
        rule = SessionLength().fit(table([["a"] * n for n in (3, 5, 5, 9)]))
        scores = rule.score_samples(table([["a"] * n for n in (5, 3, 9, 2, 10, 1, 40)]))
        assert scores[0] == 0
        assert (scores[1:3] < 1).all()
        assert (scores[3:] >= 1).all()
        assert scores[5] > scores[3]
        assert scores[6] > scores[4]
        assert rule.explain(table([["a"] * 2, ["a"] * 10, ["a"] * 5])) == [
            "2 events, 1 fewer: training sessions have 3 to 9",
            "10 events, 1 more: training sessions have 3 to 9",
            "5 events: training sessions have 3 to 9",
        ]

    def test_quantiles_take_the_weight_into_account(self):
        frame = table([["a"] * n for n in (1, 2, 3)])
        rule = SessionLength(lower=0.1, upper=0.9).fit(frame, weight=[5, 90, 5])
        assert (rule.shortest_, rule.median_, rule.longest_) == (2, 2, 2)
        assert rule.fires(frame).tolist() == [True, False, True]

    @settings(deadline=None, max_examples=50)
    @given(st.lists(st.integers(0, 30), min_size=1, max_size=30), st.floats(0, 1), st.floats(0, 1))
    def test_quantiles_are_those_of_numpy(self, lengths, one, other):
        lower, upper = sorted((one, other))
        rule = SessionLength(lower=lower, upper=upper).fit(table([["a"] * n for n in lengths]))
        expected = np.quantile(lengths, [lower, 0.5, upper], method="inverted_cdf")
        assert rule.shortest_ == min(expected[:2])
        assert rule.longest_ == max(expected[1:])

    @pytest.mark.parametrize(("lower", "upper"), [(-0.1, 1), (0, 1.1), (0.6, 0.5), (float("nan"), 1)])
    def test_quantiles_out_of_range_are_named(self, lower, upper):
        with pytest.raises(DataError, match="0 <= lower <= upper <= 1"):
            SessionLength(lower=lower, upper=upper).fit(normals())


class TestVectors:
    def test_the_nearest_known_vector_is_named(self):
        rule = UnseenCountVector().fit(table([["a", "b", "b"], ["c"] * 9]))
        rows = table([["b", "a", "b"], ["a", "b", "b", "b", "x"], ["c"] * 1_200])
        assert rule.score_samples(rows)[1:].tolist() == [2, 1_191]
        assert rule.explain(rows) == [
            "the count vector is known from 1 of 2 training sessions",
            "the count vector is in no training session; it differs from the nearest one in unseen event x (1 instead "
            "of 0 times) and event b (3 instead of 2 times)",
            "the count vector is in no training session; it differs from the nearest one in event c (1,200 instead of "
            "9 times)",
        ]

    def test_free_events_are_not_looked_at(self):
        rule = StructuralVector(free=["read", "no such event"]).fit(table([session(2)]))
        assert rule.fires(table([session(99), session(0), session(2, closed=2)])).tolist() == [False, False, True]

    @pytest.mark.parametrize("rule", [StructuralVector(free="read"), BackOffNovelty(free="read")])
    def test_free_events_are_a_list(self, rule):
        with pytest.raises(DataError, match="free must be a list of event types, found 'read'"):
            rule.fit(normals())

    @pytest.mark.parametrize("rule", [StructuralVector(free=[1]), BackOffNovelty(free=[1], m=2)])
    def test_free_events_are_of_the_kind_of_the_events(self, rule):
        with pytest.raises(SchemaError, match="of one kind"):
            rule.fit(normals())

    @settings(deadline=None, max_examples=50)
    @given(st.data())
    def test_distances_are_those_of_a_loop(self, data):
        vectors = st.lists(st.lists(st.sampled_from([0, 0, 1, 2, 7]), min_size=3, max_size=3), min_size=1, max_size=6)
        known, asked = data.draw(vectors), data.draw(vectors)
        made = novelty._Known.of(sparse.csr_matrix(np.array(known)), np.ones(len(known)))
        rows = made.vectors.toarray()
        place, distance = made.nearest(sparse.csr_matrix(np.array(asked)))
        expected = np.abs(np.array(asked)[:, None] - rows).sum(axis=2)
        assert distance.tolist() == expected.min(axis=1).tolist()
        assert place.tolist() == expected.argmin(axis=1).tolist()
        assert sorted(map(tuple, rows.tolist())) == sorted(set(map(tuple, known)))
        assert [rows[at].tolist() for at in made.rows] == known
        found = made.find(sparse.csr_matrix(np.array(asked)))
        assert [rows[at].tolist() if at >= 0 else None for at in found] == [v if v in known else None for v in asked]

    def test_distances_are_the_same_in_small_parts(self, monkeypatch):
        rng = np.random.default_rng(1)
        made = novelty._Known.of(sparse.csr_matrix(rng.integers(0, 4, (20, 5))), np.ones(20))
        asked = sparse.csr_matrix(rng.integers(0, 9, (50, 5)))
        whole = made.nearest(asked)
        monkeypatch.setattr(novelty, "CELLS", 45)
        assert [part.tolist() for part in made.nearest(asked)] == [part.tolist() for part in whole]


def alarms_by_loop(sessions, free, m):
    """Hold each session out in turn, fit the rule on the others and ask it."""
    lists = sessions["events"].to_list()
    counts = [tuple(sorted(events)) for events in lists]
    alarms = 0
    for place, held_out in enumerate(counts):
        others = set(counts[:place] + counts[place + 1 :])
        structure = tuple(event for event in held_out if event not in free)
        like = sum(tuple(event for event in other if event not in free) == structure for other in others)
        alarms += held_out not in others and like < m
    return alarms


class TestBackOff:
    def test_it_finds_the_event_that_varies_and_says_so(self, known):
        rule = BackOffNovelty().fit(known)
        assert rule.free_ == ("read",)
        assert rule.m_ > 1
        assert rule.choice_["event"].to_list()[0] == "read"
        assert rule.choice_["freed"].to_list()[0]
        assert not rule.choice_["freed"].to_list()[-1] or rule.choice_.height == 1
        assert f"fewer than {rule.m_} of these have its structure (its counts without event read)" in rule.sentence_

    def test_new_counts_pass_where_counts_vary_and_nowhere_else(self, known):
        rule = BackOffNovelty().fit(known)
        rows = table([session(0), session(500), session(500, failed=1), session(1, closed=2), session(1, failed=2)])
        assert rule.fires(rows).tolist() == [False, False, True, True, True]
        seen, passed, in_closed, new, _ = rule.explain(rows)
        assert seen.startswith("the count vector is known from ")
        assert "its counts vary freely" in passed
        assert "1 known vectors have its structure (its counts without event read), fewer than" in in_closed
        assert "so is its structure" in new
        assert "event close (2 instead of 1 times)" in new

    def test_scores_rank_known_before_passed_before_closed_before_new_structures(self, known):
        rule = BackOffNovelty().fit(known)
        rows = table([session(0), session(500), session(500, failed=1), session(1, closed=2), session(1, closed=9)])
        assert (np.diff(rule.score_samples(rows)) > 0).all()

    @settings(deadline=None, max_examples=25)
    @given(st.integers(0, 10_000), st.integers(1, 60), st.sampled_from([None, 1, 2, 5, 30]))
    def test_held_out_alarms_are_those_of_leaving_one_out(self, seed, n, m):
        rows = normals(n, seed)
        rule = BackOffNovelty(m=m).fit(rows)
        alarms = alarms_by_loop(rows, rule.free_, rule.m_)
        assert rule.false_alarm_rate_ == pytest.approx(alarms / n)
        levels = 2 ** np.arange(int(np.log2(len(rule.known_.sessions))) + 1)
        for freed, step in enumerate(rule.choice_.iter_rows(named=True)):
            free = rule.choice_["event"].to_list()[:freed]
            before = np.mean([alarms_by_loop(rows, free, level) for level in levels])
            after = np.mean([alarms_by_loop(rows, [*free, step["event"]], level) for level in levels])
            assert (step["alarms_before"], step["alarms_after"]) == pytest.approx((before, after))

    def test_several_free_events_are_found_together(self):
        rng = np.random.default_rng(5)
        lists = [["open"] + ["get"] * g + ["put"] * p for g, p in rng.integers(0, 40, (400, 2)).tolist()]
        rule = BackOffNovelty().fit(table(lists))
        assert rule.free_ == ("get", "put")
        assert rule.fires(table([["open"] + ["get"] * 70, ["open", "open"]])).tolist() == [False, True]

    def test_an_event_that_is_there_or_not_is_never_free(self):
        lists = [["open"] + [f"rare {n}"] * (n > 0) for n in range(40)] + [["open"]] * 100
        rule = BackOffNovelty().fit(table(lists))
        assert rule.free_ == ()
        assert rule.choice_.height == 0
        assert rule.fires(table([["open", "rare 1", "rare 2"]])).all()

    def test_without_free_events_it_is_the_rule_of_count_vectors(self):
        rows = table([["a", "b"]] * 5 + [["b"]] * 5)
        rule = BackOffNovelty().fit(rows)
        asked = table([["a"], ["a", "b"], ["b", "b"], ["x"]])
        assert rule.free_ == ()
        assert rule.fires(asked).tolist() == UnseenCountVector().fit(rows).fires(asked).tolist()
        assert "(all counts)" in rule.sentence_

    def test_what_is_given_is_not_chosen(self, known):
        rule = BackOffNovelty(free=("read", "close"), m=7).fit(known)
        assert (rule.free_, rule.m_) == (("close", "read"), 7)
        assert BackOffNovelty(free=()).fit(known).free_ == ()

    def test_two_accidents_do_not_open_a_structure(self):
        """Two rare sessions alike but for the free event must not let every count of it through."""
        rows = pl.concat([normals(400, seed=2), table([session(3, closed=4), session(4, closed=4)])])
        rule = BackOffNovelty().fit(rows)
        assert rule.free_ == ("read",)
        assert rule.fires(table([session(9, closed=4)])).all()

    def test_a_structure_of_many_sessions_is_trusted_and_one_of_few_is_not(self, known):
        """Twelve sessions failed and were never read; whether one that was read is new to them is a matter of trust."""
        failed = int(known["events"].list.contains("fail").sum())
        row = table([session(500, failed=1)])
        for trusted, fires in ((None, True), (failed + 1, True), (failed, False), (1, False)):
            rule = BackOffNovelty(trusted=trusted).fit(known)
            assert rule.fires(row).tolist() == [fires]
        assert f"its structure is in {failed} of 300 training sessions" in rule.explain(row)[0]
        assert "unless 1 sessions or more do" in rule.sentence_

    @settings(deadline=None, max_examples=10)
    @given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 6))
    @example(0, 3, 1)  # one session alone has an event
    def test_held_out_alarms_know_of_trust(self, seed, n, trusted):
        rows = normals(n, seed)
        rule = BackOffNovelty(free=("read",), m=3, trusted=trusted).fit(rows)
        lists, alarms = rows["events"].to_list(), 0
        for place, held_out in enumerate(lists):
            others = table(lists[:place] + lists[place + 1 :])
            if others.height:
                again = BackOffNovelty(free=("read",), m=3, trusted=trusted).fit(others)
                alarms += int(again.fires(table([held_out]))[0])
            else:
                alarms += 1
        assert rule.false_alarm_rate_ == pytest.approx(alarms / n)

    def test_trust_out_of_range_is_named(self):
        with pytest.raises(DataError, match="trusted must be at least 1, found 0"):
            BackOffNovelty(trusted=0).fit(normals())

    @pytest.mark.parametrize("share", [0, -1, 1.1, float("nan")])
    def test_a_share_out_of_range_is_named(self, share):
        with pytest.raises(DataError, match="least_share must be above 0"):
            BackOffNovelty(least_share=share).fit(normals())

    def test_an_m_out_of_range_is_named(self):
        with pytest.raises(DataError, match="m must be at least 1, found 0"):
            BackOffNovelty(m=0).fit(normals())

    def test_a_thousand_event_types_take_no_time_to_speak_of(self):
        rng = np.random.default_rng(4)
        lists = [rng.integers(0, 1_000, rng.integers(1, 30)).tolist() for _ in range(500)]
        rule = BackOffNovelty().fit(table(lists, pl.Int64))
        assert rule.vocabulary_.unseen > 900
        assert rule.score_samples(table([[1_000] * 3, lists[0]], pl.Int64)).tolist()[1] < 1

    def test_the_hash_of_structures_tells_them_apart_as_the_counts_do(self):
        rng = np.random.default_rng(6)
        vectors = sparse.csr_matrix(rng.integers(0, 3, (200, 4)))
        hashes = novelty._Hashes(vectors)
        hashes.drop(1)
        expected = np.unique(vectors.toarray()[:, [0, 3]], axis=0, return_inverse=True)[1]
        groups = hashes.groups(2)
        assert len(set(zip(groups.tolist(), expected.tolist(), strict=True))) == len(set(expected.tolist()))


def test_a_vocabulary_names_its_codes_in_sentences():
    assert novelty.event_name(Vocabulary.fit(pl.Series([7, 3])), 1) == "event 7"
