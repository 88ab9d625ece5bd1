"""The published experiments on the published files: the printed digits, and what they hide."""

import numpy as np
import polars as pl
import pytest

from utils.detectors import published

pytestmark = pytest.mark.real

FIRST_ROW = (7.72839861e-07, 2.47913911e-03)
"""Second and third number of the first training row, as printed."""


@pytest.fixture(scope="module")
def split(real_data):
    return published.connections(real_data("nsl_kdd"))


@pytest.fixture(scope="module")
def density(split):
    return published.density_clusters(split)


@pytest.fixture(scope="module")
def events(real_data):
    return published.events(real_data("waf"))


@pytest.fixture(scope="module")
def clusters(events):
    return published.event_clusters(events)


def values(step):
    return {(row["measure"], row["part"]): row["value"] for row in step.table.iter_rows(named=True)}


def test_the_split_is_the_published_one(split):
    assert split.comparable
    assert split.train.shape == (20_153, 115)
    assert split.test.shape == (5_039, 115)
    assert np.allclose(split.train[0, 1:3], FIRST_ROW, rtol=1e-8, atol=0)


def test_the_isolation_forest_agrees_to_all_printed_digits(split):
    step = published.isolation_forest(split)
    assert step.table["agreement"].to_list() == ["all digits"] * 3
    assert values(step)["flagged rows", "train"] == 16
    flagged = published.what_was_flagged(split, [step]).row(0, named=True)
    assert (flagged["attacks"], flagged["all attacks"]) == (6, 9_394)


def test_local_outlier_factor_agrees_to_all_printed_digits_where_no_distances_are_tied(split):
    step = published.local_outlier_factor(split)
    assert values(step)["flagged rows", "train"] == 3_019
    assert step.table["agreement"].to_list()[:2] == ["all digits"] * 2
    assert values(step)["ARI against two classes", "test"] == pytest.approx(0.0184, abs=2e-4)


def test_density_clusters_agree_to_all_seventeen_digits(density, split):
    assert density.table["agreement"].to_list()[:2] == ["all digits"] * 2
    found = values(density)
    assert found["clusters", "train"] == 183
    assert found["noise rows", "train"] == 682
    assert found["attacks among the noise", "train"] == 276
    noise = published.what_was_flagged(split, [density])["adjusted_rand"][0]
    assert noise == pytest.approx(-0.001, abs=1e-4)


def test_clusters_are_pure_although_their_index_is_low(density, split):
    table = published.cluster_baselines(split, density, ks=(3,)).filter(classes="normal or attack")
    found = {row["method"]: row for row in table.iter_rows(named=True)}
    assert found["DBSCAN"]["purity_without_noise"] > 0.97
    assert found["DBSCAN"]["ceiling"] < 0.2
    assert found["DBSCAN"]["merged_ari"] > 0.85
    assert found["k-means, k = 3"]["adjusted_rand"] > 0.5
    assert found["k-means, k = 183"]["adjusted_rand"] < found["DBSCAN"]["adjusted_rand"]


def test_three_means_beat_all_three_detectors(split):
    found = values(published.k_means(split))
    assert found["ARI against two classes", "train"] == pytest.approx(0.509, abs=5e-4)
    assert found["ARI against two classes", "test"] == pytest.approx(0.503, abs=5e-4)


def test_the_same_detectors_work_when_they_learn_from_normal_rows(split):
    names = ("isolation forest", "DBSCAN, distance to a core point")
    table = published.learned_from(split, names=names)
    ranks = table.pivot("learned from", index="detector", values="roc_auc")
    found = {row["detector"]: row for row in ranks.iter_rows(named=True)}
    forest = found["isolation forest"]
    assert forest["normals and attacks"] == pytest.approx(0.71, abs=0.03)
    assert forest["normals alone"] > 0.96
    density = table.filter(pl.col("detector") == names[1], pl.col("learned from") == "normals alone").row(0, named=True)
    assert density["f1"] > 0.93
    assert density["real"] == pytest.approx(density["nominal"], abs=0.015)


def test_the_published_clusters_of_events_are_found_again(clusters, events):
    assert clusters.table["equal"].drop_nulls().all()
    assert values(clusters)["ARI to the published labels", "all"] == 1.0
    assert np.array_equal(clusters.labels["all"] < 0, events.published < 0)
    rounded = values(published.event_clusters(events, 0.0678))
    assert rounded["ARI to the published labels", "all"] >= 0.999


def test_the_published_names_are_given_again(clusters, events):
    step = published.names_by_size(events, clusters.labels["all"])
    assert step.table["agreement"].to_list() == ["all digits"] * 3
    others = published.other_numbers_of_attacks(clusters.labels["all"])
    assert others["attack_share"].min() < 0.004
    assert others["attack_share"].max() > 0.6


def test_the_published_clusters_are_blocks_of_addresses(clusters, events):
    why = published.address_blocks(events, clusters.labels["all"])
    assert why.angle == pytest.approx(12.5, abs=1)
    explained = dict(zip(why.components["stands_for"], why.components["explained"], strict=True))
    assert explained["first half of the address, turned back"] > 0.99
    used = dict(zip(why.used["columns"], why.used["adjusted_rand"], strict=True))
    assert used["address"] > 0.96
    right = dict(zip(why.named["columns"], why.named["right"], strict=True))
    assert right["first half of the address"] > 0.97
    assert right["size of the request"] < 0.5
    boxes = why.boxes
    assert (boxes["purity"] * boxes["events"]).sum() / boxes["events"].sum() > 0.9
