"""Clusters against known classes: the numbers of scikit-learn, counts as copies, chance and ceiling."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from utils.errors import DataError
from utils.evaluation import clustering
from utils.evaluation.clustering import METRICS, agreement, composition, contingency

rows = st.lists(st.tuples(st.integers(-1, 5), st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=40).filter(
    lambda found: any(weight for *_, weight in found)
)


def columns(found):
    return (np.array(part) for part in zip(*found, strict=True))


@settings(deadline=None, max_examples=60)
@given(rows)
def test_measures_are_those_of_scikit_learn_on_rows_written_down_as_often_as_they_count(found):
    clusters, classes, weight = columns(found)
    a, b = np.repeat(clusters, weight), np.repeat(classes, weight)
    ours = agreement(clusters, classes, weight, draws=0)
    assert ours.homogeneity == pytest.approx(metrics.homogeneity_score(b, a), abs=1e-9)
    assert ours.completeness == pytest.approx(metrics.completeness_score(b, a), abs=1e-9)
    assert ours.v_measure == pytest.approx(metrics.v_measure_score(b, a), abs=1e-9)
    assert ours.adjusted_rand == pytest.approx(metrics.adjusted_rand_score(b, a), abs=1e-9)
    table = metrics.cluster.contingency_matrix(b, a)
    assert ours.purity == pytest.approx(table.max(axis=0).sum() / table.sum())
    assert ours.units == len(a)
    assert clustering.adjusted_rand(clusters, classes, weight) == ours.adjusted_rand
    assert clustering.v_measure(clusters, classes, weight) == ours.v_measure
    assert clustering.purity(clusters, classes, weight) == ours.purity


@settings(deadline=None, max_examples=60)
@given(rows)
def test_no_measure_is_above_its_ceiling(found):
    clusters, classes, weight = columns(found)
    ours = agreement(clusters, classes, weight, draws=0)
    for name, most in ours.ceilings.items():
        assert getattr(ours, name) <= most + 1e-9


def test_pure_clusters_reach_the_ceiling_and_merged_ones_the_classes():
    classes = np.repeat(["good", "attack"], [900, 100])
    clusters = np.concatenate([np.arange(900) % 170, 200 + np.arange(100) % 13])
    ours = agreement(clusters, classes)
    assert ours.purity == 1.0
    assert ours.adjusted_rand == pytest.approx(ours.ceilings["adjusted_rand"])
    assert ours.adjusted_rand < 0.02
    assert ours.merged_ari == clustering.merged_ari(clusters, classes) == 1.0
    assert clustering.ari_ceiling(clusters, classes) == ours.ceilings["adjusted_rand"]


def test_chance_is_near_zero_for_the_index_and_the_majority_for_purity():
    rng = np.random.default_rng(0)
    ours = agreement(rng.integers(0, 4, 2_000), rng.random(2_000) < 0.2)
    assert ours.chance["adjusted_rand"] == pytest.approx(0, abs=0.01)
    assert ours.chance["purity"] == pytest.approx(ours.majority_share, abs=0.01)
    assert abs(ours.adjusted_rand) < 0.01
    table = ours.table()
    assert table["metric"].to_list() == [*METRICS, "adjusted_rand, clusters merged by class"]
    assert table["ceiling"][0] is None


def test_random_tables_depend_on_the_seed_only():
    clusters, classes = np.arange(60) % 7, np.arange(60) % 3
    assert agreement(clusters, classes, seed=1).chance == agreement(clusters, classes, seed=1).chance
    assert agreement(clusters, classes, seed=1).chance != agreement(clusters, classes, seed=2).chance


def test_noise_is_a_cluster_or_is_left_out():
    clusters, classes = [-1, -1, 0, 0, 1], ["a", "b", "a", "a", "b"]
    counted, left = agreement(clusters, classes), agreement(clusters, classes, noise="left out")
    assert (counted.n_clusters, left.n_clusters) == (2, 2)
    assert counted.noise_share == left.noise_share == 0.4
    assert (counted.units, left.units) == (5, 3)
    assert counted.purity == pytest.approx(0.8)
    assert left.purity == 1.0


def test_names_of_any_kind_are_clusters_and_text_has_no_noise():
    ours = agreement(["x", "y", "y"], [True, False, False])
    assert (ours.adjusted_rand, ours.noise_share, ours.n_clusters) == (1.0, 0.0, 2)


def test_nothing_is_not_a_number():
    ours = agreement([], [])
    assert np.isnan([getattr(ours, name) for name in METRICS]).all()
    assert np.isnan([ours.merged_ari, ours.noise_share, *ours.ceilings.values(), *ours.chance.values()]).all()
    assert ours.table()["value"].null_count() == 6
    assert composition([], []).is_empty()


def test_composition_counts_units_by_class_with_the_largest_cluster_first():
    table = composition([3, 3, -1, 7], ["units", "b", "b", "b"], [1, 2, 1, 5])
    assert table["cluster"].to_list() == [7, 3, -1]
    assert table["units"].to_list() == [5, 3, 1]
    assert table["main_class"].to_list() == ["b", "b", "b"]
    assert table["purity"].to_list() == pytest.approx([1.0, 2 / 3, 1.0])
    assert table["b"].to_list() == [5, 2, 1]
    assert table["“units”"].to_list() == [0, 1, 0]


def test_contingency_leaves_out_rows_without_weight():
    seen = contingency([0, 1, 1], ["a", "b", "c"], [2, 0, 3])
    assert seen.clusters.to_list() == [0, 1]
    assert seen.classes.to_list() == ["a", "c"]
    assert seen.table().tolist() == [[2, 0], [0, 3]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([0, 1], ["a"]), "classes must be known for each of 2 rows"),
        (([0, None], ["a", "b"]), "clusters must be known"),
        (([0, 1], ["a", None]), "classes must be known"),
        (([0, 1], ["a", "b"], [0.5, 1.0]), "counts of units"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, words):
    with pytest.raises(DataError, match=words):
        contingency(*arguments)


def test_an_unknown_way_to_take_noise_is_refused():
    with pytest.raises(DataError, match="noise must be taken"):
        agreement([0], ["a"], noise="drop")


def test_a_frame_column_is_as_good_as_a_list():
    frame = pl.DataFrame({"cluster": [0, 0, 1], "kind": ["a", "a", "b"]})
    assert agreement(frame["cluster"], frame["kind"]).purity == 1.0


def test_a_cluster_that_is_not_a_number_is_not_known():
    with pytest.raises(DataError, match="clusters must be known for each of 3 rows, found 3 values, 1 of them missing"):
        agreement(np.array([1.0, np.nan, 1.0]), [True, False, True])
