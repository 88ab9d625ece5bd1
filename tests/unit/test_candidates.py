"""Candidates: every data set has a pipeline that learns from a frame, and rare classes are not given up."""

import pickle

import numpy as np
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from utils.classifiers import candidates
from utils.classifiers.graph_ratios import DERIVED, GraphRatios
from utils.classifiers.lifted_vote import LiftedVote
from utils.errors import SchemaError
from utils.evaluation.scoring import abnormality
from utils.features.call_graph import PUBLISHED
from utils.features.flows import FlowFeatures


def flows(n=240, seed=0):
    """Rows of two kinds that two columns tell apart, with text, missing values, a constant and an identity beside."""
    rng = np.random.default_rng(seed)
    attack = rng.random(n) < 0.3
    frame = pl.DataFrame(
        {
            "Größe (byte)": rng.lognormal(5 + 2 * attack, 0.6),
            "rate": pl.Series(rng.random(n) + attack, dtype=pl.Float64),
            "protocol": np.where(rng.random(n) < 0.5, "tcp", "udp"),
            "constant": np.zeros(n),
            "client": [f"10.0.0.{k % 9}" for k in range(n)],
        }
    ).with_columns(pl.when(pl.int_range(pl.len()) % 9 == 0).then(None).otherwise("rate").alias("rate"))
    return frame, attack


COLUMNS = ["Größe (byte)", "rate", "protocol", "constant"]
NAMES = ["api", "nsl_kdd", "cicids2017", "waf", "hdfs", "a data set of my own"]


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_candidates_learn_from_frames_and_rank(name, binary):
    frame, attack = flows()
    model = candidates.of(name, binary=binary).pipeline(COLUMNS, seed=1).fit(frame[:160], attack[:160])
    scores = abnormality(model, frame[160:])
    assert scores[attack[160:]].mean() > scores[~attack[160:]].mean() + 0.5


@pytest.mark.parametrize("name", ["api", "cicids2017"])
def test_candidates_name_classes_and_survive_a_copy(name):
    frame, attack = flows()
    classes = np.where(~attack, "normal", np.where(frame["protocol"].to_numpy() == "tcp", "flood", "scan"))
    model = candidates.of(name).pipeline(COLUMNS).fit(frame, classes)
    again = pickle.loads(pickle.dumps(model))
    assert set(model.predict(frame)) == {"normal", "flood", "scan"}
    assert (model.predict(frame) == classes).mean() > 0.95
    np.testing.assert_array_equal(again.predict_proba(frame), model.predict_proba(frame))


def test_same_seed_same_scores_and_identities_are_refused():
    frame, attack = flows()
    first, second = (candidates.of("api").pipeline(COLUMNS, seed=3).fit(frame, attack) for _ in range(2))
    np.testing.assert_array_equal(abnormality(first, frame), abnormality(second, frame))
    with pytest.raises(SchemaError, match="client"):
        candidates.of("api").pipeline([*COLUMNS, "client"]).fit(frame, attack)


def test_binary_candidates_are_those_of_the_data_set():
    assert candidates.of("nsl_kdd", binary=True) is candidates.of("nsl_kdd")
    assert candidates.of("cicids2017", binary=True) is not candidates.of("cicids2017")
    assert candidates.of("mine") is candidates.of("mine", binary=True) is candidates.GENERAL
    assert all(one.why and one.name for one in (*candidates.CANDIDATES.values(), *candidates.BINARY.values()))


def imbalanced(seed=0):
    rng = np.random.default_rng(seed)
    y = np.array(["common"] * 900 + ["rare"] * 20)
    return rng.normal(0, 1, (920, 1)) + 1.5 * (y == "rare")[:, None], y


def test_rare_classes_are_lifted_as_far_as_asked():
    X, y = imbalanced()
    plain, lifted, whole = (LiftedVote([("one", LogisticRegression())], lift=lift).fit(X, y) for lift in (0, 0.3, 1))
    counts = [(model.predict(X) == "rare").sum() for model in (plain, lifted, whole)]
    assert counts[0] < counts[1] < counts[2]
    np.testing.assert_allclose(whole.predict_proba(X).sum(axis=1), 1)
    alone = LogisticRegression().fit(X, y).predict_proba(X)
    np.testing.assert_allclose(plain.predict_proba(X), alone)
    odds, before = (table[:, 1] / table[:, 0] for table in (whole.predict_proba(X), alone))
    np.testing.assert_allclose(odds, before * 900 / 20)


def test_weights_count_for_the_shares_and_parameters_survive_cloning():
    X, y = imbalanced()
    vote = clone(LiftedVote([("one", LogisticRegression())], lift=0.4))
    assert vote.lift == 0.4
    weight = np.where(y == "rare", 45.0, 1.0)
    np.testing.assert_allclose(vote.fit(X, y, sample_weight=weight).shares_, [0.5, 0.5])


def graphs(n=60, seed=0):
    rng = np.random.default_rng(seed)
    return pl.DataFrame({name: rng.integers(1, 4_000, n) for name in PUBLISHED}).with_columns(
        pl.when(pl.int_range(pl.len()) == 5).then(None).otherwise(pl.col(PUBLISHED[-1])).alias(PUBLISHED[-1])
    )


def test_ratios_follow_the_features_and_belong_to_their_columns():
    frame = graphs()
    options = {"scale": None, "log": False}
    plain, wide = FlowFeatures(**options).fit(frame), GraphRatios(**options).fit(frame)
    matrix, before = wide.transform(frame), plain.transform(frame)
    names = list(wide.get_feature_names_out())
    assert matrix.shape == (60, before.shape[1] + len(DERIVED)) == (60, len(names)) == (60, len(wide.origins_))
    np.testing.assert_array_equal(matrix[:, : before.shape[1]], before)
    assert np.isfinite(matrix).all()
    for name, made in DERIVED.items():
        assert wide.origins_[names.index(name)] == made.first
    evenness = (frame["avg_global_source_degrees"] / frame["max_global_source_degrees"]).to_numpy()
    np.testing.assert_allclose(matrix[:, names.index("source evenness")], evenness)
    assert matrix[5, names.index("local spread for the size")] == 0
    assert set(wide.feature_names_in_) == set(PUBLISHED)


def test_ratios_of_columns_that_are_not_there_are_left_out():
    frame = (
        graphs().select("n_connections", "min_global_dest_degrees").with_columns(other=pl.lit(1.5) * pl.int_range(60))
    )
    fitted = GraphRatios().fit(frame)
    assert list(fitted.derived_) == ["rarest dest for the size"]
    bare = GraphRatios().fit(frame.select("other"))
    assert bare.transform(frame).shape == (60, 1)
    one = fitted.transform(frame[:1].with_columns(pl.lit(0).alias("n_connections")))
    assert np.isfinite(one).all()
