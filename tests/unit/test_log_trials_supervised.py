"""Supervised models of log sessions: the classifier on counts, the protocols, and what their boards say."""

import pickle
import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from utils.classifiers import log_trials
from utils.classifiers.log_trials import PROTOCOLS, RELATIONS, TRIVIAL, TWO_INPUT, Protocol
from utils.classifiers.session_classifier import CountRelations, SessionClassifier
from utils.datasets.contract import Roles
from utils.errors import DataError, SchemaError, SettingsError
from utils.settings import BUDGETS

FAST = replace(BUDGETS["fast"], repeats=2, bootstrap=20)
ROLES = Roles("session", label="is_anomaly", sequence="events")
NAMES = re.compile(r"[A-Za-z0-9_./ -]+")


class Holder:
    """Stands for a processed data set."""

    def __init__(self, roles=ROLES, **frames):
        self.frames, self.roles = frames, dict.fromkeys(frames, roles)


class Network:
    """Stands for the network with two inputs: says at once what it can read off the sessions."""

    fits: list = []  # noqa: RUF012

    def fit(self, X, y, weight):
        self.fits.append((X, y, weight))
        return self

    def score_samples(self, X):
        return X["events"].list.contains("fail").cast(pl.Float64).to_numpy()

    def windows(self, X, y):
        rows = pl.DataFrame({"session": np.arange(X.height), "label": y, "probability": self.score_samples(X)})
        return rows.join(pl.DataFrame({"position": [0, 1]}), how="cross")


@pytest.fixture
def network(monkeypatch):
    monkeypatch.setattr(Network, "fits", [])
    monkeypatch.setattr(log_trials, "_two_input", lambda budget, seed: Network())


def table(lists, dtype=pl.String, **columns):
    return pl.DataFrame({"events": pl.Series(lists, dtype=pl.List(dtype)), **columns})


def sessions(n=300, seed=0):
    """Every block that is opened is closed, except in anomalous sessions; some of these fail."""
    rng = np.random.default_rng(seed)
    lists, anomalous = [], rng.random(n) < 0.2
    drawn = zip(anomalous.tolist(), rng.integers(1, 7, n).tolist(), rng.integers(0, 6, n).tolist(), strict=True)
    for odd, blocks, reads in drawn:
        closed = (blocks + 2) % 6 if odd else blocks
        lists.append(["open"] * blocks + ["read"] * reads + ["close"] * closed + ["fail"] * odd)
    return table(lists, is_anomaly=anomalous)


@pytest.fixture(scope="module")
def known():
    return sessions()


@pytest.fixture(scope="module")
def rows(known):
    return log_trials._Rows.of(known, ROLES)


@pytest.fixture(scope="module")
def found(known):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Network, "fits", [])
        patch.setattr(log_trials, "_two_input", lambda budget, seed: Network())
        made = log_trials.run({"mine": Holder(sessions=known)}, FAST, seed=1)
        return made, Network.fits


class TestSessionClassifier:
    def test_relations_are_logarithms_presence_and_order(self):
        found = CountRelations().fit_transform(np.array([[0.0, 2.0, 2.0]]))
        assert found.tolist() == [[0, np.log(3), np.log(3), 0, 1, 1, -1, -1, 0]]

    def test_broken_equalities_carry_over_to_new_counts(self, known):
        rng = np.random.default_rng(0)
        odd = rng.random(300) < 0.2
        lists = [["open"] * n + ["close"] * (n - n // 2 * o) for n, o in zip(rng.integers(2, 8, 300), odd, strict=True)]
        fitted = SessionClassifier().fit(table(lists), odd)
        new = table([["open"] * 12 + ["close"] * 12, ["open"] * 12 + ["close"] * 3])
        assert fitted.predict(new).tolist() == [False, True]
        assert "fewer event close than event open" in fitted.explain(new)[1]

    @pytest.mark.parametrize("power", [1.0, 0.5])
    def test_distinct_sessions_with_weights_give_the_same_model(self, known, power):
        grouped = known.group_by("events", "is_anomaly", maintain_order=True).len()
        model = SessionClassifier(LogisticRegression(), power=power)
        whole = clone(model).fit(known, known["is_anomaly"])
        reduced = clone(model).fit(grouped, grouped["is_anomaly"], grouped["len"])
        np.testing.assert_allclose(whole.score_samples(known), reduced.score_samples(known), atol=1e-6)

    def test_power_one_learns_from_sessions(self, known):
        model = SessionClassifier(LogisticRegression(max_iter=2000), representation="counts", power=1.0)
        found = model.fit(known, known["is_anomaly"]).predict_proba(known)
        counts = np.stack([known["events"].list.count_matches(name) for name in ("close", "fail", "open", "read")], 1)
        plain = LogisticRegression(max_iter=2000).fit(counts, known["is_anomaly"].to_numpy())
        np.testing.assert_allclose(found, plain.predict_proba(counts), atol=1e-3)
        np.testing.assert_array_equal(
            model.score_samples(known), model.classifier_.decision_function(matrix(model, known))
        )

    def test_any_classifier_can_be_taken(self, known):
        for classifier in (DecisionTreeClassifier(random_state=0), RandomForestClassifier(5, random_state=0)):
            fitted = SessionClassifier(classifier, representation="counts").fit(known, known["is_anomaly"])
            assert fitted.predict_proba(known).shape == (known.height, 2)
            assert (fitted.predict(known) == known["is_anomaly"].to_numpy()).mean() > 0.95
            assert re.fullmatch(r"probability \d\.\d{3} of an anomaly", fitted.explain(known)[0])

    def test_counts_are_named_in_sentences(self, known):
        linear = SessionClassifier(LogisticRegression(), representation="counts")
        told = linear.fit(known, known["is_anomaly"]).explain(table([["open", "fail"]]))
        assert "event fail (1 times)" in told[0]

    def test_only_frequent_events_have_columns(self):
        rng = np.random.default_rng(0)
        many = table([rng.integers(0, 300, 5).tolist() for _ in range(400)], pl.Int64, is_anomaly=rng.random(400) < 0.5)
        fitted = SessionClassifier().fit(many, many["is_anomaly"])
        assert len(fitted.columns_) == 40
        own = matrix(fitted, many)[:, 40]
        assert np.expm1(own).max() <= 5
        assert np.isfinite(fitted.score_samples(table([[], None, [999_999], [1] * 10_000], pl.Int64))).all()

    def test_no_sessions_are_scored(self, known):
        fitted = SessionClassifier().fit(known, known["is_anomaly"])
        assert fitted.score_samples(known[:0]).shape == (0,)
        assert fitted.predict_proba(known[:0]).shape == (0, 2)
        assert fitted.predict(known[:0]).shape == (0,)
        assert fitted.explain(known[:0]) == []

    def test_pickles_answer_alike(self, known):
        fitted = SessionClassifier().fit(known, known["is_anomaly"])
        again = pickle.loads(pickle.dumps(fitted))
        np.testing.assert_array_equal(again.predict_proba(known), fitted.predict_proba(known))

    def test_bad_input_is_refused(self, known):
        y = known["is_anomaly"]
        with pytest.raises(NotFittedError):
            SessionClassifier().score_samples(known)
        with pytest.raises(DataError, match="give y"):
            SessionClassifier().fit(known)
        with pytest.raises(SettingsError, match="representation"):
            SessionClassifier(representation="words").fit(known, y)
        with pytest.raises(SettingsError, match="power"):
            SessionClassifier(power=2).fit(known, y)
        with pytest.raises(SchemaError, match="one kind"):
            SessionClassifier().fit(known, y).predict(table([[1]], pl.Int64))


def matrix(model, frame):
    vectors = model._vectors(frame)
    return model._matrix(vectors)[vectors.inverse]


class TestDivision:
    @pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda each: each.name)
    def test_every_session_stands_on_one_side(self, rows, protocol):
        for sides in rows.divided(protocol, rows.sessions, protocol.test_share, 2, 0):
            assert (sides.train + sides.test == rows.sessions).all()
            assert (sides.train @ rows.y, sides.test @ rows.y) > (0, 0)
            assert min(sides.train.min(), sides.test.min()) == 0

    def test_random_splits_share_sequences_and_say_so(self, rows):
        sides = next(rows.divided(Protocol("random", 0.5), rows.sessions, 0.5, 1, 0))
        assert sides.test.sum() == rows.sessions.sum() // 2
        both = np.bincount(rows.sequence, sides.train) * np.bincount(rows.sequence, sides.test * rows.y)
        assert (both > 0).any()
        known = np.bincount(rows.sequence, sides.train)[rows.sequence] > 0
        expected = (sides.test * rows.y)[known].sum() / (sides.test * rows.y).sum()
        assert rows.shared(sides) == expected > 0.3

    @pytest.mark.parametrize(("disjoint", "codes"), [("sequence", "sequence"), ("vector", "vector")])
    def test_disjoint_splits_share_nothing(self, rows, disjoint, codes):
        for sides in rows.divided(Protocol("new", 0.5, disjoint), rows.sessions, 0.5, 3, 0):
            code = getattr(rows, codes)
            assert not set(code[sides.train > 0]) & set(code[sides.test > 0])
            assert rows.shared(sides) == 0

    def test_a_part_can_be_divided_again(self, rows):
        protocol = Protocol("new", 0.5, "vector")
        sides = next(rows.divided(protocol, rows.sessions, 0.5, 1, 0))
        inner = next(rows.divided(protocol, sides.train, 0.3, 1, 0))
        assert (inner.train + inner.test == sides.train).all()
        assert not set(rows.vector[inner.train > 0]) & set(rows.vector[inner.test > 0])

    @given(
        lists=st.lists(st.tuples(st.lists(st.integers(0, 2), max_size=4), st.booleans(), st.integers(1, 4)), min_size=4)
    )
    @settings(max_examples=30, deadline=None)
    def test_rows_are_distinct_and_lose_no_session(self, lists):
        events, anomalous, weight = zip(*lists, strict=True)
        frame = table(list(events), pl.UInt8, is_anomaly=list(anomalous), n_sessions=list(weight))
        roles = replace(ROLES, withheld={"n_sessions": "weight"})
        if len(set(anomalous)) < 2:
            with pytest.raises(DataError, match="both classes"):
                log_trials._Rows.of(frame, roles)
            return
        found = log_trials._Rows.of(frame, roles)
        assert found.sessions.sum() == sum(weight)
        assert found.sessions @ found.y == sum(count for count, odd in zip(weight, anomalous, strict=True) if odd)
        assert len({(tuple(row), odd) for row, odd in zip(found.frame["events"], found.y, strict=True)}) == len(found.y)
        assert (found.y[found.first][found.cell] == found.y).all()
        assert (found.vector[found.first][found.cell] == found.vector).all()

    def test_the_network_learns_from_so_many_events_and_no_more(self, rows):
        counts = rows._bounded(rows.sessions, replace(FAST, rows=20), 0)
        lengths = rows.frame["events"].list.len().to_numpy() + 1
        assert 0 < lengths[counts > 0].sum() <= 100
        assert (rows._bounded(rows.sessions, FAST, 0) == rows.sessions).all()


class TestBoard:
    def test_every_protocol_and_model_has_a_row(self, found):
        found, _ = found
        assert found.notes == ()
        assert found.board.schema == log_trials.BOARD
        models = [TRIVIAL, *log_trials.MODELS]
        expected = [
            (protocol.name, model) for protocol in PROTOCOLS for model in [*models, *[TWO_INPUT] * protocol.network]
        ]
        assert found.board.select("protocol", "model").rows() == expected

    def test_numbers_are_shares_and_intervals_hold_them(self, found):
        found, _ = found
        board = found.board.filter(pl.col("f1").is_finite())
        assert board.height > 20
        assert ((board["low"] <= board["f1"] + 1e-12) & (board["f1"] <= board["high"] + 1e-12)).all()
        assert board.filter(pl.col("model") == RELATIONS)["f1"][0] > 0.9
        assert board.filter(pl.col("model") == TWO_INPUT)["splits"].to_list() == [1, 1]
        assert (board.filter(pl.col("protocol").str.starts_with("new"))["shared"] == 0).all()

    def test_flagging_everything_gives_the_share_of_anomalies(self, found, known):
        found, _ = found
        row = found.board.row(
            by_predicate=(pl.col("model") == TRIVIAL) & (pl.col("protocol") == "random 50"), named=True
        )
        share = known["is_anomaly"].mean()
        assert row["precision"] == pytest.approx(share, abs=0.01)
        assert row["f1"] == pytest.approx(2 * share / (1 + share), abs=0.01)
        assert row["recall"] == 1
        assert row["threshold"] is None

    def test_results_are_numbers_with_plain_names(self, found):
        found, _ = found
        results = found.results("mine")
        assert all(NAMES.fullmatch(name) and np.isfinite(value) for name, value in results.items())
        assert "sessions/supervised/random 50/decision tree/f1" in results
        assert results["sessions/supervised/new count vectors/shared"] == 0
        assert found.results("other") == {}

    def test_the_threshold_of_the_network_is_chosen_in_training(self, found, rows):
        _, _, weight = found[1][0]
        sides = next(rows.divided(PROTOCOLS[0], rows.sessions, 0.5, FAST.repeats, 1))
        assert (weight <= sides.train).all()
        assert 0 < weight.sum() < sides.train.sum()

    def test_two_runs_are_the_same(self, found, known, network):
        again = log_trials.run({"mine": Holder(sessions=known)}, FAST, protocols=PROTOCOLS[-1:], seed=1).board
        before = found[0].board.filter(pl.col("protocol") == PROTOCOLS[-1].name)
        assert again.drop("seconds").equals(before.drop("seconds"))

    def test_what_comes_next_is_told(self, known, network):
        told = []
        log_trials.run({"mine": Holder(sessions=known)}, FAST, protocols=PROTOCOLS[:1], report=told.append)
        assert told == ["mine sessions random 50"]

    def test_network_can_be_left_out(self, known, network):
        found = log_trials.run({"mine": Holder(sessions=known)}, FAST, protocols=PROTOCOLS[:1], network=False)
        assert TWO_INPUT not in found.board["model"].to_list()
        assert Network.fits == []

    def test_what_cannot_be_judged_is_left_out_with_a_sentence(self, known, network):
        normal = known.filter(~pl.col("is_anomaly"))
        few = pl.concat([normal, known.filter("is_anomaly")[:1]])
        processed = {"normal": Holder(sessions=normal), "few": Holder(sessions=few), "none": Holder(sessions=known[:0])}
        found = log_trials.run(processed, FAST)
        assert found.board.height == 0
        assert len(found.notes) == 2 + len(PROTOCOLS) + sum(each.network for each in PROTOCOLS)
        assert all(note.split(",")[0] in processed and "left out, for" in note for note in found.notes)

    def test_the_classifiers_stay_where_the_network_fails(self, known, monkeypatch):
        def refuse(self, X, y, weight):
            raise DataError("it cannot")

        monkeypatch.setattr(log_trials.TwoInput, "fit", refuse)
        found = log_trials.run({"mine": Holder(sessions=known)}, FAST, protocols=PROTOCOLS[:1])
        assert found.board.height == 1 + len(log_trials.MODELS)
        assert found.notes == ("mine, sessions, random 50 (two inputs): left out, for it cannot",)

    def test_only_labelled_tables_of_sessions_are_judged(self, known):
        unlabelled = Holder(Roles("session", sequence="events"), sessions=known)
        plain = Holder(Roles("row", label="is_anomaly"), rows=known)
        both = Holder(sequences=known, blocks=known)
        chosen = log_trials.labelled_sessions({"a": unlabelled, "b": plain, "c": both})
        assert [table for table, _, _ in chosen] == [("c", "sequences")]

    def test_rows_without_label_are_left_out(self, known):
        more = pl.concat([known, known[:5].with_columns(is_anomaly=pl.lit(None, pl.Boolean))])
        ((_, frame, _),) = log_trials.labelled_sessions({"a": Holder(sessions=more)})
        assert frame.height == known.height


class TestTruncated:
    def test_both_levels_stand_beside_what_was_published(self, known, network):
        found = log_trials.truncated(known, FAST, seed=3)
        assert found.notes == ()
        assert found.board.schema == log_trials.LEVELS
        units = found.board.filter(pl.col("model") == TWO_INPUT).select("unit", "published").rows()
        assert units == [("session", None), ("window", 0.0)]
        assert found.board["splits"].to_list() == [2] * 5 + [1] * 2
        assert all(NAMES.fullmatch(name) for name in found.results())
        assert found.results()["blocks/supervised/two inputs/window_f1"] == pytest.approx(1.0)

    def test_one_session_in_five_is_learned_from(self, known, network):
        log_trials.truncated(known, FAST)
        _, _, weight = Network.fits[0]
        assert weight.sum() == pytest.approx(0.7 * 0.2 * known.height, abs=3)

    def test_a_log_without_anomalies_is_left_out(self, known):
        found = log_trials.truncated(known.filter(~pl.col("is_anomaly")), FAST)
        assert found.board.height == 0
        assert "both classes are needed" in found.notes[0]
        assert found.results() == {}


def test_the_network_is_made_by_budget():
    made = log_trials._two_input(FAST, 5)
    assert (made.epochs, made.seed) == (2 * FAST.epochs, 5)
