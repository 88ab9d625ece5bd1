"""Clusters of tables: the setting is chosen without labels, and compared with them afterwards."""

import numpy as np
import polars as pl
import pytest

from tests.unit import small_data
from utils.datasets.contract import Roles
from utils.detectors import cluster_tables
from utils.errors import DataError

ROLES = Roles("row", features=("a", "b"), label="is_anomaly", anomaly_type="kind", split="split")


def blobs(n=300, seed=0):
    """Three crowds, one of them abnormal."""
    rng = np.random.default_rng(seed)
    crowd = rng.integers(0, 3, n)
    points = rng.normal(0, 0.2, (n, 2)) + np.array([[0, 0], [4, 0], [0, 4]])[crowd]
    return pl.DataFrame(points, schema=["a", "b"]).with_columns(
        pl.Series("kind", np.array(["normal", "normal", "flood"])[crowd]),
        pl.Series("is_anomaly", crowd == 2),
        pl.Series("split", np.where(rng.random(n) < 0.8, "train", "test")),
        pl.Series("crowd", crowd),
    )


@pytest.fixture(scope="module")
def frame():
    return blobs()


@pytest.fixture(scope="module")
def found(frame):
    return cluster_tables.cluster(frame, ROLES, scale="standard")


def test_crowds_are_found_on_training_rows_alone(frame, found):
    assert set(frame[found.places]["split"]) == {"train"}
    crowd = frame["crowd"].gather(found.places).to_numpy()
    inside = found.labels >= 0
    assert inside.mean() > 0.75
    for label in np.unique(found.labels[inside]):
        assert len(np.unique(crowd[found.labels == label])) == 1


def test_one_setting_is_chosen_and_stable(found):
    chosen = found.settings.filter("chosen")
    assert chosen.height == 1
    row = chosen.row(0, named=True)
    assert (found.model.eps, found.model.min_samples) == (row["eps"], row["min_samples"])
    assert row["noise_share"] <= cluster_tables.MOST_NOISE
    assert 0 < row["stability"] <= 1
    assert found.settings.height == len(cluster_tables.MIN_SAMPLES) * len(cluster_tables.AROUND_KNEE)


def test_labels_have_no_part_in_the_choice(frame, found):
    flipped = frame.with_columns(is_anomaly=~pl.col("is_anomaly"), kind=pl.lit("normal"))
    again = cluster_tables.cluster(flipped, ROLES, scale="standard")
    assert again.settings.equals(found.settings)
    assert (again.labels == found.labels).all()


def test_clusters_stand_beside_k_means(frame, found):
    table = cluster_tables.against(found, frame["kind"])
    assert table["method"][0] == cluster_tables.DENSITY
    assert any("k-means" in method for method in table["method"])
    assert table["merged_ari"][0] > 0.6
    assert table["majority_share"].n_unique() == 1


def test_rows_without_a_class_are_left_out_of_the_comparison(frame, found):
    some = frame["kind"].to_list()
    some[:50] = [None] * 50
    assert cluster_tables.against(found, pl.Series(some))["majority_share"][0] < 1


def test_values_of_points_are_those_of_their_rows(frame, found):
    shown = found.of_points(frame["crowd"])
    assert len(shown) == len(found.points)
    assert (shown.to_numpy()[found.inverse] == frame["crowd"].gather(found.places).to_numpy()).all()


def test_a_sample_is_drawn_where_there_are_more_rows(frame):
    found = cluster_tables.cluster(frame, ROLES, rows=80)
    assert len(found.places) == 80
    assert (np.diff(found.places) > 0).all()


def test_all_tables_are_gone_through_and_told(frame):
    few = frame.head(20)
    plain = Roles("row", features=("a", "b"), split="split")
    data = small_data.dataset(
        {"rows": frame, "few": few, "plain": frame}, {"rows": ROLES, "few": ROLES, "plain": plain}
    )
    grouped = cluster_tables.clusters({"tiny": data})
    assert set(grouped) == {("tiny", "rows"), ("tiny", "plain")}
    table = cluster_tables.overview(grouped, {"tiny": data})
    assert set(table["table"]) == {"rows"}
    results = cluster_tables.results(table, "tiny")
    assert results["rows_clusters"] == table.filter(method=cluster_tables.DENSITY)["clusters"][0]
    assert cluster_tables.results(table, "another") == {}
    assert cluster_tables.results(pl.DataFrame(), "tiny") == {}
    assert set(cluster_tables.classes({"tiny": data}, ("tiny", "rows"))) == {"normal", "anomaly"}
    unlabelled = cluster_tables.classes({"tiny": data}, ("tiny", "plain"))
    assert set(unlabelled) == {"unlabelled"}
    assert len(unlabelled) == frame.height


def test_a_table_that_cannot_be_clustered_does_not_stop_the_others(frame):
    few = frame.head(60).with_columns(split=pl.Series(["train"] * 40 + ["test"] * 20))
    alike = frame.with_columns(a=pl.lit(1.0), b=pl.lit(2.0))
    binary = frame.with_columns((pl.col("a", "b") > 2).cast(pl.Int8))
    frames = {"rows": frame, "few": few, "alike": alike, "binary": binary}
    grouped = cluster_tables.clusters({"tiny": small_data.dataset(frames, dict.fromkeys(frames, ROLES))})
    assert set(grouped) == {("tiny", "rows")}


def test_too_few_rows_are_refused(frame):
    with pytest.raises(DataError, match="at least 50 training rows, found"):
        cluster_tables.cluster(frame.head(40), ROLES)


def test_rows_that_are_all_alike_are_refused():
    alike = pl.DataFrame({"a": [1.0, 2.0] * 60, "split": ["train"] * 120})
    with pytest.raises(DataError, match="rows that differ"):
        cluster_tables.cluster(alike, Roles("row", features=("a",), split="split"))


def test_rows_that_stand_for_many_weigh_so_much():
    frame = blobs().with_columns(n_sessions=pl.lit(3, dtype=pl.Int64))
    roles = Roles(
        "row", features=("a", "b"), split="split", withheld={"n_sessions": "how many sessions each row stands for"}
    )
    found = cluster_tables.cluster(frame, roles)
    assert found.weight.sum() == 3 * len(found.places)
