"""What helps where a class is rare: what is drawn from which rows, what is compared, what the numbers mean."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.unit.loading import refused
from utils.classifiers import imbalance
from utils.classifiers.imbalance import AS_IT_IS, REPEATED, SYNTHETIC, THINNED, TREATMENTS, WEIGHTS, compare, smote
from utils.classifiers.model_selection import Effort
from utils.datasets.contract import Roles
from utils.errors import DataError, SettingsError
from utils.evaluation import metrics

ROLES = Roles("row", features=("a", "b", "text"), label="is_anomaly", anomaly_type="kind", split="split")
WORK = Effort(600, 4, 1)
MODEL = "logistic regression"


def rows(n=800, seed=0, share=0.08):
    rng = np.random.default_rng(seed)
    anomalous = rng.random(n) < share
    return pl.DataFrame(
        {
            "a": rng.normal(size=n) + 1.8 * anomalous,
            "b": rng.normal(size=n) + 1.2 * anomalous,
            "text": rng.choice(["x", "y"], n),
            "kind": np.where(anomalous, np.where(rng.random(n) < 0.5, "scan", "worm"), "normal"),
            "is_anomaly": anomalous,
            "split": np.where(np.arange(n) % 4 == 3, "test", "train"),
        }
    )


@pytest.fixture(scope="module")
def found():
    shares = {"normal": 0.99, "scan": 0.005, "worm": 0.005}
    return compare(rows(), ROLES, model=MODEL, work=WORK, shares=shares)


def learned(name, seed=0):
    rng = np.random.default_rng(1)
    y = np.arange(100) % 10 == 0
    matrix = rng.normal(size=(100, 3)) + 10 * y[:, None]
    return matrix, y, *TREATMENTS[name](matrix, y, seed)


def test_what_each_treatment_learns_from():
    matrix, y, same, verdicts, weight = learned(AS_IT_IS)
    assert same is matrix
    assert verdicts is y
    assert weight is None
    _, y, _, _, weight = learned(WEIGHTS)
    assert weight[y].sum() == pytest.approx(weight[~y].sum())
    assert weight.mean() == pytest.approx(1)
    matrix, y, repeated, verdicts, _ = learned(REPEATED)
    assert (verdicts.sum(), (~verdicts).sum()) == (90, 90)
    np.testing.assert_array_equal(repeated[:100], matrix)
    assert {*map(tuple, repeated[100:])} <= {*map(tuple, matrix[y])}
    matrix, y, thinned, verdicts, _ = learned(THINNED)
    assert (verdicts.sum(), (~verdicts).sum()) == (10, 10)
    assert {*map(tuple, thinned[verdicts])} == {*map(tuple, matrix[y])}
    assert len({*map(tuple, thinned)}) == 20, "no row is drawn twice"
    matrix, y, made, verdicts, _ = learned(SYNTHETIC)
    assert (verdicts.sum(), (~verdicts).sum()) == (90, 90)
    assert made[100:].min() >= matrix[y].min()
    assert made[100:].max() <= matrix[y].max()


def test_the_smaller_class_may_be_the_normal_one():
    y = np.arange(60) % 6 != 0
    matrix = np.random.default_rng(0).normal(size=(60, 2))
    for name in (REPEATED, THINNED, SYNTHETIC):
        _, verdicts, _ = TREATMENTS[name](matrix, y, 0)
        assert verdicts.mean() == 0.5
    _, _, weight = TREATMENTS[WEIGHTS](matrix, y, 0)
    assert weight[~y][0] > weight[y][0]


@hypothesis_settings(deadline=None, max_examples=30)
@given(st.integers(2, 12), st.integers(1, 4), st.integers(0, 40), st.integers(0, 100))
def test_new_rows_lie_between_a_row_and_a_neighbour(n, columns, number, seed):
    matrix = np.random.default_rng(seed).normal(size=(n, columns))
    made = smote(matrix, number, seed)
    assert made.shape == (number, columns)
    start, end = np.repeat(np.arange(n), n), np.tile(np.arange(n), n)
    way = matrix[end] - matrix[start]
    length = np.maximum((way**2).sum(axis=1), 1e-300)
    for row in made:
        along = np.clip(((row - matrix[start]) * way).sum(axis=1) / length, 0, 1)
        assert np.abs(matrix[start] + along[:, None] * way - row).max(axis=1).min() < 1e-9
    np.testing.assert_array_equal(smote(matrix, number, seed), made)


def test_new_rows_keep_to_their_neighbours():
    """Two far clusters: with two neighbours each, no row is made between them."""
    matrix = np.vstack([np.zeros((5, 2)), np.full((5, 2), 100.0)]) + np.random.default_rng(0).random((10, 2))
    made = smote(matrix, 300, neighbours=2)
    assert ((made < 2) | (made > 99)).all()
    np.testing.assert_array_equal(smote(matrix[:1], 3), np.repeat(matrix[:1], 3, axis=0))
    refused(lambda: smote(matrix[:0], 3), "at least one", error=DataError)


def test_one_row_a_treatment_with_intervals(found):
    assert found.board["treatment"].to_list() == list(TREATMENTS)
    for measure in (*imbalance.MEASURES, *imbalance.NATURAL):
        for name, part in found.folds.group_by("treatment"):
            row = found.board.row(by_predicate=pl.col("treatment") == name[0], named=True)
            expected = metrics.mean_over_splits(measure, part[measure].to_numpy(), 0.25, "row", 4)
            assert row[measure] == pytest.approx(expected.value)
            assert row[f"{measure}_high"] == pytest.approx(expected.high)
    assert found.share == pytest.approx(0.08, abs=0.03)


def test_moving_the_threshold_does_what_weights_do_and_spares_the_probabilities(found):
    plain, weighted = (found.board.row(by_predicate=pl.col("treatment") == name, named=True)
                       for name in (AS_IT_IS, WEIGHTS))  # fmt: skip
    assert plain["f1_moved"] > plain["f1"]
    assert plain["f1_moved"] == pytest.approx(weighted["f1_moved"], abs=0.08)
    assert plain["brier"] < 0.6 * weighted["brier"]
    assert plain["f1_natural"] < plain["f1"]
    assert plain["verdict"] == "what the others are compared with"


def test_the_summary_says_whether_resampling_adds_anything(found):
    assert "moving the threshold takes F1 from" in found.summary
    assert "test rows were not touched" in found.summary
    better = found.board.with_columns(
        difference=pl.when(treatment=SYNTHETIC).then(0.1).otherwise("difference"),
        p_value=pl.when(treatment=SYNTHETIC).then(0.001).otherwise("p_value"),
    )
    other = imbalance.Treatments(better, found.folds, 0.1, found.how)
    assert f"{SYNTHETIC} adds to that" in other.summary


def test_results_for_the_record(found):
    results = found.results()
    assert results["imbalance_SMOTE_f1_moved"] == found.board.filter(treatment=SYNTHETIC)["f1_moved"][0]
    assert len(results) == len(TREATMENTS) * 6


def test_the_same_seed_gives_the_same_numbers_and_test_rows_change_nothing(found):
    shares = {"normal": 0.99, "scan": 0.005, "worm": 0.005, "unseen": 0.2}
    spoiled = rows().with_columns(pl.when(split="test").then(1e5).otherwise("a").alias("a"))
    told = []
    again = compare(spoiled, ROLES, model=MODEL, work=WORK, shares=shares, report=told.append)
    assert again.folds.equals(found.folds)
    assert len(told) == 4


def test_a_class_can_be_made_rarer():
    made = compare(rows(share=0.5), ROLES, model="gaussian nb", work=Effort(900, 3, 1), rare=0.05)
    assert made.share == pytest.approx(0.05, abs=0.015)
    refused(lambda: compare(rows(), ROLES, rare=0.5), "rarer", "0.5", error=DataError)


def test_natural_shares_are_those_of_the_whole_edition():
    shares = imbalance.natural_shares(pl.Series(["normal", "DDoS", "normal", None]))
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["normal"] > shares["DDoS"] > 0
    refused(lambda: imbalance.natural_shares(pl.Series(["worm"])), "worm", error=DataError)


def test_what_cannot_be_compared_is_refused():
    refused(lambda: compare(rows(), ROLES, model="svc"), "probabilities", "svc", error=SettingsError)
    refused(lambda: compare(rows(), ROLES, model="nearest neighbours"), "weights", error=SettingsError)
    bare = Roles("row", features=("a", "b"), label="is_anomaly")
    refused(lambda: compare(rows(), bare, model=MODEL, shares={"normal": 1.0}), "anomaly_type", error=DataError)
