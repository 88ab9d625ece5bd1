"""The vote on log sessions: levels of alarm, calibration without waste, sentences, odd logs."""

import pickle
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError

from utils.detectors import novelty, session_vote
from utils.detectors.session_vote import SessionVote, default_members, held_out_scores
from utils.errors import DataError, SchemaError


def table(lists, dtype=pl.String):
    return pl.DataFrame({"events": pl.Series(lists, dtype=pl.List(dtype))})


def session(reads, *, failed=0, closed=1):
    return ["open", *["write"] * 3, *["read"] * reads, *["fail"] * failed, *["close"] * closed]


def normals(n=400, seed=0):
    rng = np.random.default_rng(seed)
    return table([session(r) for r in (rng.geometric(0.2, n) - 1).tolist()])


@pytest.fixture(scope="module")
def vote():
    return SessionVote().fit(normals())


ODD_COUNTS = ["open", "write", "write", "close"]
ODD_ORDER = ["write", "open", "write", "write", "close"]


class Longer(BaseEstimator):
    """A member that is no rule: the longer, the stranger."""

    def fit(self, X, y=None, weight=None):
        return self

    def score_samples(self, X):
        return X["events"].list.len().to_numpy()


class TestLevels:
    def test_new_counts_stand_above_new_order_and_that_above_what_is_known(self, vote):
        counts, order, known = vote.score_samples(table([ODD_COUNTS, ODD_ORDER, session(1)]))
        assert 1 <= counts < 1.5
        assert 0.5 <= order < 1
        assert 0 <= known < 0.5

    def test_only_leading_members_raise_alarms_until_the_threshold_is_wide(self, vote):
        rows = table([ODD_COUNTS, ODD_ORDER, session(1)])
        assert vote.threshold_ == 1
        assert vote.fires(rows).tolist() == [True, False, False]
        assert (vote.score_samples(rows) >= vote.wide_threshold_).tolist() == [True, True, False]

    def test_free_events_may_vary(self, vote):
        assert not vote.fires(table([session(90)])).any()

    def test_p_values_are_low_for_the_abnormal(self, vote):
        p = vote.p_values(table([ODD_COUNTS, ODD_ORDER, session(1)]))
        assert p[0] <= p[1] < 0.02 < p[2] <= 1
        assert p[0] >= 1 / (1 + vote.n_sessions_)

    def test_stranger_than_everything_is_still_ranked(self, vote):
        one, many = vote.score_samples(table([[*session(1), "burn"], [*session(1), *["burn", "ash", "burn"] * 9]]))
        assert many > one > 1

    def test_votes_show_each_member(self, vote):
        shown = vote.votes(table([ODD_COUNTS, ODD_ORDER]))
        assert shown.height == 2
        assert shown.width == 3 * len(vote.members_)
        assert shown["counts fires"].to_list() == [True, False]
        assert shown["order fires"].to_list()[1]
        assert (shown["counts p"] <= 1).all()


class TestTrust:
    def test_what_a_few_training_sessions_did_is_not_taken_for_normal(self):
        """Two sessions with a rare event do not excuse all others that have it."""
        rare = table([[*session(1), "move"], [*session(4), "move"]])
        vote = SessionVote().fit(pl.concat([normals(), rare]))
        assert vote.fires(table([[*session(9), "move"]])).all()

    def test_what_many_did_is_normal_whatever_its_free_events_do(self):
        often = table([[*session(r % 3), "move"] for r in range(60)])
        vote = SessionVote().fit(pl.concat([normals(), often]))
        assert not vote.fires(table([[*session(9), "move"]])).any()
        assert "its structure is in 60 of 460 training sessions" in vote.explain(table([[*session(9), "move"]]))[0]


class TestSentences:
    def test_the_member_that_fires_speaks(self, vote):
        counts, order, known, empty = vote.explain(table([ODD_COUNTS, ODD_ORDER, session(1), []]))
        assert counts.startswith("abnormal, by counts: the count vector is new")
        assert order.startswith("no alarm, by order: ")
        assert "event write at the beginning" in order
        assert "event open after event write" in order
        assert known.startswith("no alarm, by ")
        assert empty.startswith("abnormal, by counts")
        assert all("\n" not in said and "(p = " in said for said in (counts, order, known, empty))

    def test_a_member_without_words_gives_its_score(self):
        vote = SessionVote(members={"long": Longer()}).fit(normals())
        (said,) = vote.explain(table([["x"] * 500]))
        assert said.startswith("abnormal, by long: score 500")

    def test_the_rule_is_one_sentence(self, vote):
        assert vote.sentence_.startswith("abnormal if counts fires (score of at least 1)")
        assert "of 400 held-out training sessions do" in vote.sentence_


class TestCalibration:
    def test_a_member_that_is_no_rule_fires_above_every_held_out_session(self):
        vote = SessionVote(members={"long": Longer()}, leading=["long"]).fit(normals())
        longest = int(normals()["events"].list.len().max())
        assert vote.fires(table([["x"] * longest, ["x"] * (longest + 1)])).tolist() == [False, True]

    def test_folds_divide_sessions_and_lose_none(self):
        counts = np.array([1.0, 2, 30, 500])
        cells = session_vote._folds(counts, 10, 0)
        assert cells.sum(axis=1).tolist() == counts.tolist()
        assert np.ptp(cells.sum(axis=0)) <= 1

    def test_importances_lie_in_one_fold_each(self):
        counts = np.array([0.5, 1.5, 2.25])
        cells = session_vote._folds(counts, 2, 0)
        assert cells.sum(axis=1).tolist() == counts.tolist()
        assert ((cells > 0).sum(axis=1) == 1).all()

    def test_a_single_session_is_new_when_held_out_and_repeated_ones_are_not(self):
        rows = table([session(1), session(1, failed=2)])
        scores, weight = held_out_scores({"set": novelty.UnseenEventSet()}, rows, [99, 1])
        assert weight.sum() == 100
        assert weight[scores[:, 0] >= 1].sum() == 1

    def test_one_session_is_scored_by_what_knows_it(self):
        scores, weight = held_out_scores({"set": novelty.UnseenEventSet()}, table([session(1)]), [1])
        assert scores.shape == (1, 1)
        assert scores[0, 0] < 1
        assert weight.tolist() == [1]

    def test_where_everything_is_new_the_threshold_rises_until_the_rate_holds(self):
        rng = np.random.default_rng(3)
        chaos = table([[f"e{e}" for e in rng.integers(0, 40, 12)] for _ in range(300)])
        vote = SessionVote(rate=0.05).fit(chaos)
        assert vote.threshold_ > 1
        assert vote.false_alarm_rate_ <= 0.05
        fresh = table([[f"e{e}" for e in rng.integers(0, 40, 12)] for _ in range(300)])
        assert vote.fires(fresh).mean() < 0.15

    def test_another_threshold_comes_from_the_same_sessions(self, vote):
        held = vote.threshold(0.2)
        fresh = normals(2_000, seed=9)
        assert 0.02 < held.predict(vote.score_samples(fresh)).mean() < 0.3
        assert vote.threshold(0.0001).value_ > vote.calibration_.scores_.max()
        with pytest.raises(DataError, match="rate"):
            vote.threshold(1.5)

    @settings(deadline=None, max_examples=5)
    @given(st.integers(1, 30), st.integers(0, 100))
    def test_few_sessions_are_enough_and_none_of_them_is_abnormal(self, n, seed):
        rows = normals(n, seed)
        vote = SessionVote(folds=3).fit(rows)
        assert np.isfinite(vote.score_samples(rows)).all()
        assert not vote.fires(rows).any()
        assert vote.fires(table([["burn", "open"]])).all() or vote.threshold_ > 1


class TestContract:
    def test_weights_are_sessions(self):
        rows = normals()
        few = rows.group_by("events", maintain_order=True).len()
        one = SessionVote().fit(rows)
        other = SessionVote().fit(few.select("events"), weight=few["len"])
        asked = pl.concat([rows.head(20), table([ODD_COUNTS, ODD_ORDER])])
        assert one.score_samples(asked).tolist() == other.score_samples(asked).tolist()

    def test_anomalies_are_not_learned(self):
        rows = pl.concat([normals(), table([ODD_COUNTS] * 50)])
        vote = SessionVote().fit(rows, [False] * 400 + [True] * 50)
        assert vote.n_sessions_ == 400
        assert vote.fires(table([ODD_COUNTS])).all()

    def test_it_can_be_cloned_pickled_and_asked_about_nothing(self, vote):
        again = pickle.loads(pickle.dumps(vote))
        rows = pl.concat([normals(30, 4), table([ODD_COUNTS])])
        assert again.score_samples(rows).tolist() == vote.score_samples(rows).tolist()
        assert vote.score_samples(rows.clear()).shape == (0,)
        assert vote.explain(rows.clear()) == []
        with pytest.raises(NotFittedError):
            clone(vote).score_samples(rows)

    def test_scores_do_not_depend_on_the_other_rows(self, vote):
        rows = pl.concat([normals(30, 4), table([ODD_COUNTS, [], ODD_ORDER])])
        alone = [float(vote.score_samples(rows[place])[0]) for place in range(rows.height)]
        assert alone == vote.score_samples(rows).tolist()

    def test_the_members_are_left_as_they_were_given(self):
        member = novelty.UnseenEventSet()
        SessionVote(members={"set": member}).fit(normals())
        assert not hasattr(member, "known_")

    def test_odd_events_and_empty_sessions(self):
        vote = SessionVote(folds=2).fit(table([["a", None], [], None, ["a"], ["b" * 500]]))
        scores = vote.score_samples(table([[], None, ["z"], ["b" * 500], [None]]))
        assert np.isfinite(scores).all()
        assert scores[0] == scores[1]

    def test_a_long_session_and_one_event_type(self):
        vote = SessionVote(folds=2).fit(table([["a"] * 10_000, ["a"] * 3, ["a"] * 3]))
        assert vote.fires(table([["a", "b"]])).all() or vote.threshold_ > 1

    def test_another_column_of_integers(self):
        rows = pl.DataFrame({"codes": [[1, 2, 3]] * 40 + [[1, 2]] * 40})
        vote = SessionVote(events="codes").fit(rows)
        assert vote.fires(pl.DataFrame({"codes": [[1, 2, 9], [1, 2]]})).tolist() == [True, False]
        with pytest.raises(SchemaError, match="one kind"):
            vote.score_samples(pl.DataFrame({"codes": [["x"]]}))

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"folds": 1}, "folds must be at least 2, found 1"),
            ({"rate": 0.0}, "rate"),
            ({"members": {}}, "needs at least one member, found none"),
            ({"leading": ["order", "luck"]}, "leading must be among counts, order, event set, length, found luck"),
            ({"method": "median"}, "a combination must be one of"),
        ],
    )
    def test_wrong_parameters_are_named(self, wrong, said):
        with pytest.raises(DataError, match=said):
            SessionVote(**wrong).fit(normals(20))

    def test_no_normal_session(self):
        with pytest.raises(DataError, match="a vote needs normal sessions to learn from, found none in 2 rows"):
            SessionVote().fit(normals(2), [True, True])

    def test_the_default_recipe_reads_the_column_that_is_named(self):
        assert {member.events for member in default_members("codes").values()} == {"codes"}

    def test_equal_scores_in_another_process(self, vote):
        code = (
            "import io, sys, polars as pl;"
            "from utils.detectors.session_vote import SessionVote;"
            "known, asked = (pl.read_json(io.StringIO(line)) for line in sys.stdin.read().split('|'));"
            "print(SessionVote().fit(known).score_samples(asked).sum().hex())"
        )
        rows = "|".join(frame.write_json() for frame in (normals(), normals(50, 8)))
        found = subprocess.run([sys.executable, "-c", code], input=rows, capture_output=True, text=True, check=True)
        assert found.stdout.strip() == vote.score_samples(normals(50, 8)).sum().hex()
