"""Recipes for attacks of later days, and the detector by city blocks that they use."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.unit.small_data import table
from utils import datasets
from utils.detectors import new_attacks, recipes_days
from utils.detectors.city_block import CityBlockNeighbours
from utils.errors import DataError, SettingsError
from utils.features import tables

SMALL = {"most_points": 300, "most_trees": 10, "held_out": 0.3}
MATRICES = arrays(np.float64, st.tuples(st.integers(1, 30), st.just(3)), elements=st.integers(-9, 9))


@given(MATRICES, MATRICES)
@settings(deadline=None, max_examples=60)
def test_scores_are_city_block_distances_to_the_nearest_row(known, asked):
    detector = CityBlockNeighbours().fit(known)
    apart = np.abs(asked[:, None, :] - known[None]).sum(axis=2)
    scores = detector.score_samples(asked)
    assert np.allclose(scores, apart.min(axis=1))
    assert (detector.score_samples(known) == 0).all()
    shares = detector.contributions(asked)
    assert (shares >= 0).all()
    sums = shares.sum(axis=1)
    assert np.allclose(sums[scores > detector.usual_score_], 1)
    assert (sums[scores <= detector.usual_score_] == 0).all()


def test_contributions_are_the_differences_to_the_nearest_row():
    rng = np.random.default_rng(0)
    detector = CityBlockNeighbours().fit(np.vstack([np.zeros(3), rng.normal(50, 1, (50, 3))]))
    assert detector.contributions(np.array([[0.0, 6.0, -2.0]])) == pytest.approx(np.array([[0, 0.75, 0.25]]))


def test_many_small_differences_weigh_as_much_as_a_large_one():
    detector = CityBlockNeighbours().fit(np.zeros((1, 10)))
    small, large = detector.score_samples(np.vstack([np.full(10, 0.1), np.eye(10)[0]]))
    assert small == pytest.approx(large)


def test_points_are_drawn_by_the_seed_where_there_are_too_many():
    known = np.random.default_rng(0).normal(size=(200, 2))
    one, same, other = (CityBlockNeighbours(most_points=20, seed=seed).fit(known) for seed in (1, 1, 2))
    assert one.n_learned_ == 20
    assert np.array_equal(one.points_, same.points_)
    assert not np.array_equal(one.points_, other.points_)
    everything = CityBlockNeighbours(most_points=None).fit(known)
    assert everything.n_learned_ == 200


def test_blocks_of_rows_do_not_change_the_scores(monkeypatch):
    rng = np.random.default_rng(0)
    known, asked = rng.normal(size=(50, 3)), rng.normal(size=(40, 3))
    whole = CityBlockNeighbours().fit(known).score_samples(asked)
    monkeypatch.setattr("utils.detectors.city_block.CELLS", 120)
    assert np.array_equal(CityBlockNeighbours().fit(known).score_samples(asked), whole)


def test_no_point_at_all_is_no_choice():
    with pytest.raises(SettingsError, match="most_points"):
        CityBlockNeighbours(most_points=0).fit(np.zeros((3, 2)))


@pytest.fixture(scope="module")
def simulated():
    return new_attacks.rows_of(datasets.load("cicids2017", "simulated", budget="fast"))


def test_simulated_days_are_judged_as_real_ones_are(simulated):
    frame, roles = simulated
    frame = frame.gather_every(2)
    recipe = recipes_days.later_attacks(roles, **SMALL)
    found = new_attacks.later_days(frame, roles, recipe, resamples=0)
    assert set(found.alarms["detector"]) == {recipes_days.LABELLED, recipes_days.ONE_CLASS, recipes_days.COMBINED}
    combined = found.results(recipe.rate, recipes_days.COMBINED)
    assert combined["real"] < 0.08
    assert combined["recall"] > 0.75
    assert combined["natural_precision"] > 0.8
    scans = found.side_by_side(recipe.rate).filter(pl.col("family").str.contains("Portscan"))
    assert scans[recipes_days.ONE_CLASS].min() > 0.9


def test_kinds_that_are_alike_are_left_out_together(simulated):
    frame, roles = simulated
    part = frame.filter(pl.int_range(pl.len()).over("anomaly_type") < pl.when("is_anomaly").then(20).otherwise(400))
    recipe = recipes_days.later_attacks(roles, **SMALL).of(recipes_days.LABELLED)
    found = new_attacks.left_out_families(part, roles, recipe, families=recipes_days.FAMILIES)
    assert {"scan", "web", "brute force", "fast DoS", "slow DoS"} <= set(found.families["family"])
    assert not set(recipes_days.FAMILIES) & set(found.families["family"])
    assert set(recipes_days.FAMILIES) <= set(frame["anomaly_type"])


def test_the_members_explain_in_the_words_of_the_table(simulated):
    frame, roles = simulated
    recipe = recipes_days.later_attacks(roles, **SMALL)
    learned = new_attacks.learn(frame.gather_every(8), roles, recipe)
    for ensemble in (learned.alone, learned.taught):
        for member in ensemble.members_.values():
            sentence = member.explain(frame.filter(anomaly_type="DDoS").head(1))[0]
            assert "of the score" in sentence or "Nothing" in sentence


def test_a_users_own_table_is_judged_and_ranked():
    data = table(600)
    made = tables.build(data)
    frame, roles = new_attacks.rows_of(data, made)
    assert "when" in frame.columns
    assert "client" not in roles.features
    recipe = recipes_days.later_attacks(roles, **SMALL)
    assert new_attacks.possible(frame, roles)["possible"].all()
    assert new_attacks.later_days(frame, roles, recipe, resamples=0).alarms["recall"].is_between(0, 1).all()
    assert new_attacks.left_out_families(frame, roles, recipe).families["family"].unique().len() == 2
    bare, without = new_attacks.rows_of(table(300, label=False))
    found = new_attacks.ranked(bare.drop("is_anomaly"), without, recipe, recipes_days.COMBINED, most=5)
    assert found.height == 5
    assert found["why"].str.contains("of the score").any()


def test_a_handful_of_rows_is_refused_in_one_sentence():
    frame, roles = new_attacks.rows_of(table(600))
    with pytest.raises(DataError):
        new_attacks.learn(frame.head(1), roles, recipes_days.later_attacks(roles, **SMALL))
