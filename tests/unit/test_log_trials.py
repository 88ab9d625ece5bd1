"""Protocols of log sessions: what is counted, what is learned from, what is measured. No network is trained."""

import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from utils import settings
from utils.datasets.contract import Dataset, Roles
from utils.detectors import log_trials, novelty
from utils.detectors.judging import TRIVIAL
from utils.detectors.log_trials import beginnings, candidates, published, truncated_log
from utils.detectors.log_trials.candidates import LSTM, NETWORKS, OPEN_LSTM, VOTE, WIDE
from utils.detectors.next_event import NextEvent
from utils.detectors.session_counts import CountInvariants
from utils.errors import DataError, SettingsError
from utils.evaluation.thresholds import AlarmRate
from utils.simulate import hdfs_blocks

ROLES = Roles("session", label="is_anomaly", anomaly_type="anomaly_type", split="split", sequence="events")
ALLOWED = re.compile(r"[A-Za-z0-9_./ -]+")
FOREST = "isolation forest of counts"
FAST = settings.budget("fast")


class Stub(NextEvent):
    """A network that is a table of transitions, so that nothing is trained."""

    def fit(self, X, y=None, weight=None):
        self.rule_ = novelty.UnseenTransition(self.events).fit(X, y, weight)
        self.held_out_ = {"sessions": np.full(9, 10)}
        self.event_types_ = self.rule_.vocabulary_.events.to_list()
        return self

    def score_samples(self, X):
        return self.rule_.score_samples(X) + self.seed % 3

    def threshold(self, rate=0.002):
        return AlarmRate(0.5).fit(np.arange(9) / 10 + self.seed % 3)

    def steps(self, X, most=3):
        rows = X.with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))
        ended = rows.with_columns(pl.concat_list("events", pl.lit("(end)")).alias("event"))
        steps = ended.explode("event").with_columns(position=pl.int_range(pl.len()).over("row"))
        surprise = pl.when(pl.col("event") == "(end)").then(9.0).otherwise(pl.col("position").cast(pl.Float64))
        return steps.with_columns(surprise=surprise)


@pytest.fixture(autouse=True)
def _no_keras(monkeypatch):
    """Tables of transitions instead of networks, and no forest."""
    made = {name: (lambda seed: Stub(seed=seed)) for name in NETWORKS}
    opened = {OPEN_LSTM: lambda seed: beginnings.OpenEnd(Stub(seed=seed))}
    few = {FOREST: lambda _: CountInvariants()}
    monkeypatch.setattr(candidates, "MADE", {**candidates.MADE, **made, **opened, **few})


def session(reads, *more):
    return ["open", "write", "write", *["read"] * reads, *more, "close"]


def frame(n=500, seed=0):
    """Sessions with three kinds of anomalies: a new event, new counts, a new order; some rows stand for several."""
    rng = np.random.default_rng(seed)
    rows = [(session(int(r)), False, "normal") for r in rng.geometric(0.3, n) - 1]
    rows += [(session(int(r), "burn"), True, "fire") for r in rng.integers(0, 3, 12)]
    rows += [(["open", "write", "write", "write", "close", "close"], True, "repeated")] * 9
    rows += [(["close", "write", "write", "open"], True, "backwards")] * 7
    types = {"events": pl.List(pl.String), "is_anomaly": pl.Boolean, "anomaly_type": pl.String}
    table = pl.DataFrame(rows, schema=types, orient="row")
    train = np.where(table["is_anomaly"].to_numpy(), False, np.arange(table.height) < n // 2)
    return table.with_columns(split=pl.Series(np.where(train, "train", "test")))


@pytest.fixture(scope="module")
def sessions():
    return log_trials.distinct(frame(), ROLES, ("mine", "sessions"))


@pytest.fixture
def bench():
    return log_trials.Bench(FAST)


class TestSessions:
    def test_every_session_is_counted_once(self, sessions):
        rows = frame()
        assert sessions.train.sum() == (rows["split"] == "train").sum()
        assert sessions.test.sum() == (rows["split"] == "test").sum()
        assert sessions.rows.height == rows.select("events", "is_anomaly").unique().height
        assert sessions.judged["sessions"].sum() == sessions.test.sum()
        assert sessions.normals["sessions"].sum() == sessions.learned.sum() == 250

    def test_weights_and_rows_without_labels(self):
        rows = pl.DataFrame(
            {"events": [["a"], ["a"], ["b"]], "is_anomaly": [False, None, True], "n_sessions": [7, 9, 2]}
        )
        roles = Roles("session", label="is_anomaly", sequence="events", withheld={"n_sessions": "weight"})
        made = log_trials.distinct(rows, roles)
        assert made.test.sum() == (9 if "n_sessions" in roles.withheld else 2)
        assert made.train.sum() == 0
        assert made.rows["kind"].to_list() == ["normal", "anomaly"]

    def test_a_table_without_sequences_is_named(self):
        with pytest.raises(DataError, match="table mine rows must hold sequences of events"):
            log_trials.distinct(frame(), Roles("row", label="is_anomaly"), ("mine", "rows"))

    @hypothesis_settings(deadline=None, max_examples=20)
    @given(st.integers(0, 10_000))
    def test_draws_and_divisions_keep_all_sessions(self, seed):
        made = log_trials.distinct(frame(80), ROLES)
        every = made.train + made.test
        drawn, divided = made.drawn(seed), made.divided(0.8, seed)
        for one in (drawn, divided):
            assert (one.train + one.test).tolist() == every.tolist()
            assert min(one.train.min(), one.test.min()) >= 0
        assert drawn.learned.sum() == made.learned.sum()
        assert not drawn.train[drawn.anomalous].any()
        assert divided.test.sum() == pytest.approx(0.8 * every.sum(), abs=2)
        assert divided.test[made.anomalous].sum() == pytest.approx(0.8 * 28, abs=1)

    def test_labelled_tables_are_found(self):
        made = Dataset("mine", "log", "simulated", "here", "0", "none", {"sessions": frame()}, {"sessions": ROLES})
        unlabelled = Dataset(
            "other", "log", "simulated", "here", "0", "none", {"sessions": frame().drop("is_anomaly", "anomaly_type")},
            {"sessions": Roles("session", split="split", sequence="events")},
        )  # fmt: skip
        assert list(log_trials.labelled({"mine": made, "other": unlabelled})) == [("mine", "sessions")]


class TestBench:
    def test_each_detector_is_fitted_once(self, sessions):
        told = []
        bench = log_trials.Bench(FAST, report=told.append)
        first = bench.fitted("unseen event set", sessions)
        assert bench.fitted("unseen event set", sessions) is first
        assert bench.fitted("unseen event set", sessions, 1) is not first
        assert bench.fitted("unseen event set", sessions.drawn(5)) is not first
        assert len(told) == 3
        assert told[0].startswith("mine sessions: unseen event set")

    def test_what_cannot_be_fitted_is_noted(self, sessions, bench):
        nothing = sessions.__class__(sessions.name, sessions.rows, sessions.train * 0, sessions.test)
        assert bench.fitted("unseen event set", nothing) is None
        assert "unseen event set is left out: a rule needs normal sessions" in bench.notes[0]

    def test_an_unknown_name(self, sessions, bench):
        with pytest.raises(SettingsError, match=r"a detector must be one of .*, found 'oracle'"):
            bench.fitted("oracle", sessions)

    def test_networks_are_less_work_with_a_small_budget(self, sessions, bench):
        full, usual = log_trials.Bench(settings.budget("full")), NextEvent()
        for network in (bench.fitted(LSTM, sessions).detector, bench.fitted(OPEN_LSTM, sessions).detector.network_):
            assert network.members == network.interleavings == 1
            assert network.epochs == 5 * FAST.epochs < usual.epochs
        found = full.fitted(LSTM, sessions).detector
        assert (found.members, found.interleavings) == (usual.members, usual.interleavings)
        assert found.epochs == usual.epochs

    def test_thresholds_of_counts_come_from_held_out_sessions(self, sessions, bench):
        fitted = bench.fitted("invariants of counts", sessions)
        assert "of the 250 given" in fitted.threshold
        assert np.isfinite(fitted.bound)


@pytest.fixture(scope="module")
def found(sessions):
    with pytest.MonkeyPatch.context() as patch:
        made = {name: (lambda seed: Stub(seed=seed)) for name in NETWORKS}
        patch.setattr(candidates, "MADE", {**candidates.MADE, **made, FOREST: lambda _: CountInvariants()})
        return log_trials.standard(sessions, log_trials.Bench(FAST), repeats=2)


class TestStandard:
    def test_all_test_sessions_count(self, found, sessions):
        assert found.judged["sessions"].sum() == sessions.test.sum()
        row = found.board.filter(pl.col("detector") == TRIVIAL)
        assert row["recall"].item() == 1
        assert row["precision"].item() == pytest.approx(28 / sessions.test.sum())

    def test_the_numbers_are_those_of_a_loop(self, found, sessions):
        known = {frozenset(events) for events in sessions.normals["events"].to_list()}
        tp = fp = fn = 0
        for events, anomalous, _, n in sessions.judged.iter_rows():
            flagged = frozenset(events) not in known
            tp, fp, fn = (
                tp + n * (flagged and anomalous),
                fp + n * (flagged and not anomalous),
                fn + n * (anomalous and not flagged),
            )
        row = found.board.row(by_predicate=pl.col("detector") == "unseen event set", named=True)
        assert row["f1"] == pytest.approx(2 * tp / (2 * tp + fp + fn))
        assert row["low"] <= row["f1"] <= row["high"]

    def test_networks_have_several_seeds(self, found):
        seeds = dict(found.board.select("detector", "seeds").iter_rows())
        assert seeds[LSTM] == 2
        assert seeds[VOTE] == 1
        assert set(found.scores) == set(found.alarms) == {*seeds} - {TRIVIAL}

    def test_the_vote_finds_counts_and_any_member_order_too(self, found):
        recall = dict(found.board.select("detector", "recall").iter_rows())
        assert recall[VOTE] == pytest.approx(21 / 28)
        assert recall[WIDE] == 1

    def test_results_can_be_recorded(self, found):
        results = found.results("mine/standard")
        assert results["mine/standard/session vote/f1"] > 0.8
        assert all(ALLOWED.fullmatch(name) for name in results)
        assert np.isfinite(list(results.values())).all()

    def test_published_numbers_stand_beside_hdfs_only(self, found):
        assert found.published.is_empty()
        assert published.whole_sessions().null_count().sum_horizontal().item() == 0
        assert published.truncated_sessions()["f1"].to_list() == [0.07, 0.0]


class TestDraws:
    def test_each_draw_has_each_detector_and_networks_fewer(self, sessions, bench):
        found = log_trials.draws(sessions, bench, repeats=3, networks=1)
        counted = dict(found.board.select("detector", "draws").iter_rows())
        assert counted[LSTM] == 1
        assert {n for name, n in counted.items() if name != LSTM} == {3}
        assert found.size == 250
        assert "fitted on 1 of 3 draws" in found.notes[0]
        each = found.each.filter(pl.col("detector") == VOTE)
        board = found.board.row(by_predicate=pl.col("detector") == VOTE, named=True)
        assert board["mean"] == pytest.approx(each["f1"].mean())
        assert board["min"] == each["f1"].min()
        assert each["draw"].to_list() == [42, 43, 44]
        assert all(ALLOWED.fullmatch(name) for name in found.results("mine"))

    def test_the_same_seed_gives_the_same_draws(self, sessions):
        one, two = (log_trials.draws(sessions, log_trials.Bench(FAST), repeats=1, networks=0) for _ in range(2))
        assert one.each.equals(two.each)
        assert LSTM not in one.each["detector"].to_list()


class TestPerType:
    def test_recall_of_each_kind_with_what_it_is_visible_in(self, sessions, bench):
        found = log_trials.per_type(sessions, bench, visible={"fire": "events", "repeated": "counts"})
        rows = {(row["detector"], row["kind"]): row for row in found.each.iter_rows(named=True)}
        assert rows["unseen event set", "fire"]["recall"] == 1
        assert rows["unseen event set", "repeated"]["recall"] == 0
        assert rows[VOTE, "backwards"]["recall"] == 0
        assert rows[WIDE, "backwards"]["recall"] == 1
        assert rows[WIDE, "backwards"]["visible"] is None
        assert rows[VOTE, "fire"]["visible"] == "events"
        assert rows[VOTE, "fire"]["rows"] == 12
        assert rows[WIDE, "fire"]["real"] <= 0.05
        worst = dict(found.worst.select("detector", "kind").iter_rows())
        assert worst[VOTE] == "backwards"
        assert found.results("mine")["mine/backwards/recall"] == 1


def simulated(size, seed):
    """Simulated blocks, the first fifth of the normal ones for training."""
    made = hdfs_blocks.draw(size, np.random.default_rng(seed), quiet=size // 5)
    anomalous = made.anomaly > 0
    train = ~anomalous & (np.arange(size) < size // 5)
    rows = pl.DataFrame(
        {
            "events": pl.Series(made.sequences, dtype=pl.List(pl.UInt8)).gather(made.sequence),
            "is_anomaly": anomalous,
            "anomaly_type": np.array(hdfs_blocks.ANOMALY_TYPES)[made.anomaly],
            "split": np.where(train, "train", "test"),
        }
    )
    return log_trials.distinct(rows, ROLES, ("hdfs", "sequences"))


@pytest.mark.parametrize("seed", [1, 2])
def test_the_vote_finds_every_kind_of_simulated_anomaly_at_few_alarms(seed):
    found = log_trials.per_type(simulated(6_000, seed), log_trials.Bench(FAST), detectors=(VOTE,)).each
    by_any = found.filter(pl.col("detector") == WIDE)
    assert set(by_any["kind"]) == set(hdfs_blocks.ANOMALIES)
    assert by_any["recall"].min() >= 0.95
    assert by_any["real"].max() <= 0.01
    counted = found.filter((pl.col("detector") == VOTE) & (pl.col("visible") != "order"))
    assert counted["recall"].min() >= 0.95
    assert counted["real"].max() <= 0.005


class TestTruncated:
    @pytest.fixture
    def cut(self):
        """Sessions of which many are cut off after a few events, whatever they are."""
        rows, rng = frame(600, seed=3), np.random.default_rng(3)
        lengths = np.where(rng.random(rows.height) < 0.4, rng.integers(1, 4, rows.height), 99)
        return rows.with_columns(pl.col("events").list.head(pl.lit(pl.Series(lengths)))).drop("split", "anomaly_type")

    def test_nothing_passes_the_ceiling(self, cut, bench):
        found = log_trials.truncated(cut, bench, splits=2, networks=1)
        assert (found.each["f1"].fill_null(0) <= found.each["ceiling"] + 1e-9).all()
        assert 0 < found.whole < 1
        splits = dict(found.board.select("detector", "splits").iter_rows())
        assert splits[OPEN_LSTM] == 1
        assert splits[VOTE] == splits[TRIVIAL] == 2
        assert all(ALLOWED.fullmatch(name) for name in found.results("cut"))

    def test_supervised_and_published_stand_beside(self, cut, bench):
        given = pl.DataFrame({"model": ["tree", "tree"], "f1": [0.5, 0.7]})
        found = log_trials.truncated(cut, bench, splits=1, networks=0, supervised=given).beside
        shown = {name: (learns, f1) for name, learns, f1 in found.iter_rows()}
        assert shown["tree"] == ("labels", pytest.approx(0.6))
        assert shown["two-input LSTM"] == ("labels", 0.0)
        assert shown[VOTE][0] == "normal sessions"
        assert found["detector"].to_list()[0] == "ceiling of any model"

    def test_the_ceiling_is_that_of_all_choices(self):
        """Every set of sequences that could be flagged is tried."""
        rows = [("a", True), ("a", False), ("a", False), ("b", True), ("b", False), ("c", True), ("d", False)]
        table = pl.DataFrame({"events": [[e] for e, _ in rows], "is_anomaly": [label for _, label in rows]})
        made = log_trials.distinct(table, Roles("s", label="is_anomaly", sequence="events"))
        best = 0.0
        for chosen in range(16):
            flagged = [e for place, e in enumerate("abcd") if chosen >> place & 1]
            tp = sum(label for e, label in rows if e in flagged)
            best = max(best, 2 * tp / (sum(e in flagged for e, _ in rows) + 3))
        assert truncated_log.ceiling(made) == pytest.approx(best)


class TestBeginnings:
    def test_all_beginnings_with_the_sessions_that_have_them(self):
        rows = pl.DataFrame({"events": [["a", "b"], ["a"], ["c"], []], "sessions": [5, 2, 1, 4]})
        made = beginnings.beginnings(rows)
        found = {tuple(events): n for events, n in made.iter_rows()}
        assert found == {("a",): 7, ("a", "b"): 5, ("c",): 1, (): 4}

    def test_the_beginning_of_a_normal_session_is_normal(self):
        rows = pl.DataFrame({"events": [["a", "b", "c"]] * 3})
        cut = pl.DataFrame({"events": [["a", "b"], ["a"], ["b"], ["a", "c"]]})
        plain, learned = novelty.UnseenCountVector().fit(rows), beginnings.WithBeginnings().fit(rows)
        assert (plain.score_samples(cut) >= 1).all()
        assert (learned.score_samples(cut) >= learned.threshold_).tolist() == [False, False, True, True]
        assert "beginnings of training sessions count as training sessions" in learned.sentence_

    def test_long_sessions_are_kept_whole_and_begun_up_to_a_bound(self, monkeypatch):
        monkeypatch.setattr(beginnings, "LONGEST", 3)
        made = beginnings.beginnings(pl.DataFrame({"events": [[1, 2, 3, 4, 5]], "sessions": [2.0]}))
        assert sorted(made["events"].list.len()) == [1, 2, 3, 5]

    def test_a_session_is_not_blamed_for_its_end(self):
        rows = pl.DataFrame({"events": [["a", "b", "c"], ["a"], []]})
        fitted = beginnings.OpenEnd(Stub()).fit(rows)
        assert fitted.score_samples(rows).tolist() == [2, 0, 0]


class TestQuirks:
    def test_an_event_that_no_training_session_has(self):
        lists = [["a"]] * 150 + [["a", "rare"]] + [["a", "rare"]] * 5 + [["x"]] * 2
        rows = pl.DataFrame(
            {
                "events": lists,
                "is_anomaly": [False] * 151 + [True] * 7,
                "split": ["train"] * 20 + ["test"] * 138,
            }
        )
        made = log_trials.distinct(rows, Roles("s", label="is_anomaly", split="split", sequence="events"))
        cut = pl.DataFrame({"events": [["a"], ["a"], ["b"]], "is_anomaly": [True, False, True]})
        found = log_trials.quirks(made, cut)
        assert found["quirk"].to_list() == ["event rare is in no normal training session", "one sequence, both labels"]
        assert found["normals"].to_list() == [1, 1]
        assert found["anomalies"].to_list() == [5, 1]
        assert found["highest f1"].to_list() == pytest.approx([2 * 7 / (2 * 7 + 1), 0.8])

    def test_a_table_without_quirks(self, sessions):
        assert log_trials.quirks(sessions, pl.DataFrame({"events": [["a"]], "is_anomaly": [True]})).is_empty()
