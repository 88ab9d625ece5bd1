"""DBSCAN against scikit-learn's on random, lattice, repeated and weighted points; the graph and what it refuses."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.cluster import DBSCAN as Reference
from sklearn.exceptions import NotFittedError

from utils.detectors.dbscan import DBSCAN, NeighbourGraph, distinct, k_distances, sweep
from utils.detectors.dbscan.points import as_bytes, in_words
from utils.errors import DataError, SchemaError, SettingsError


@st.composite
def clouds(draw, most=150, widest=20):
    """Rows on a lattice (many distances equal a radius exactly), in clumps, or in general position; some repeated."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, width = draw(st.integers(1, most)), draw(st.integers(1, widest))
    kind = draw(st.sampled_from(["lattice", "tenths", "normal", "clumps", "far"]))
    points = random.integers(0, 4, (rows, width)) * (0.1 if kind == "tenths" else 1.0)
    if kind in ("normal", "clumps", "far"):
        points = random.normal(size=(rows, width)) * 0.5 + (kind == "clumps") * 3.0 * random.integers(0, 3, (rows, 1))
        points += 4e4 * (kind == "far")
    if draw(st.booleans()):
        points = points[random.integers(0, rows, 2 * rows)]
    weight = random.integers(0, 4, len(points)) if draw(st.booleans()) else None
    if weight is not None:
        weight[0] = 1
    return points, weight


radii = st.sampled_from([0.1, 0.2, 0.1 * 2**0.5, 0.3, 0.5, 1.0, 2**0.5, 2.0, 5.0])
least = st.integers(1, 12)


def reference(points, eps, min_samples, weight):
    """scikit-learn's clusters of the pairs whose squared distance, column after column, is at most eps squared."""
    squares = np.zeros((len(points), len(points)))
    for column in points.T:
        squares += (column[:, None] - column) ** 2
    apart = np.where(squares <= eps * eps, 0.0, 2.0)
    return Reference(eps=1.0, min_samples=min_samples, metric="precomputed").fit(apart, sample_weight=weight)


@given(clouds(), radii, least)
@settings(deadline=None, max_examples=120)
def test_labels_are_those_of_scikit_learn(cloud, eps, min_samples):
    points, weight = cloud
    theirs = reference(points, eps, min_samples, weight)
    ours = DBSCAN(eps, min_samples).fit(points, sample_weight=weight)
    np.testing.assert_array_equal(ours.labels_, theirs.labels_)
    np.testing.assert_array_equal(ours.core_sample_indices_, theirs.core_sample_indices_)


@pytest.mark.parametrize("width", [1, 2, 3, 9, 16])
@pytest.mark.parametrize("eps", [1.0, 2**0.5, 2.0])
def test_points_at_exactly_eps_are_neighbours_as_for_scikit_learn(width, eps):
    points = np.random.default_rng(width).integers(0, 5, (2_000, width)).astype(float)
    for algorithm in ("kd_tree", "brute"):
        theirs = Reference(eps=eps, min_samples=5, algorithm=algorithm).fit(points)
        ours = DBSCAN(eps, 5).fit(points)
        np.testing.assert_array_equal(ours.labels_, theirs.labels_)
        np.testing.assert_array_equal(ours.core_sample_indices_, theirs.core_sample_indices_)


@pytest.mark.parametrize("width", [2, 9, 30])
def test_many_leaves_have_the_labels_of_scikit_learn(width):
    random = np.random.default_rng(width)
    points = np.vstack(
        [random.normal(size=(2_500, width)) * 0.4 + 3 * random.integers(0, 3, (2_500, 1)), [[50] * width]]
    )
    near = np.sort(k_distances(points, 8))
    radius = near[-10]
    graph = NeighbourGraph(points, radius=radius)
    swept = sweep(graph, [near[250], near[1_250], near[2_400], radius], [4, 9])
    for eps, min_samples, labels in zip(swept.eps, swept.min_samples, swept.labels, strict=True):
        theirs = Reference(eps=eps, min_samples=int(min_samples), algorithm="kd_tree").fit(points)
        np.testing.assert_array_equal(labels, theirs.labels_)
    assert swept.table["clusters"].n_unique() > 1


@given(clouds(), st.lists(radii, min_size=1, max_size=4), st.lists(least, min_size=1, max_size=3))
@settings(deadline=None, max_examples=50)
def test_each_setting_of_a_sweep_is_a_fit_of_its_own(cloud, eps, min_samples):
    points, weight = cloud
    seen = distinct(points, weight)
    swept = sweep(NeighbourGraph(seen.points, seen.weight, radius=max(eps)), eps, min_samples)
    assert len(swept.eps) == len(set(eps)) * len(set(min_samples))
    for radius, enough, labels, core in zip(swept.eps, swept.min_samples, swept.labels, swept.core, strict=True):
        theirs = reference(points, radius, int(enough), weight)
        np.testing.assert_array_equal(labels[seen.inverse], theirs.labels_)
        np.testing.assert_array_equal(np.flatnonzero(core[seen.inverse]), theirs.core_sample_indices_)
        np.testing.assert_array_equal(swept.labels_of(radius, enough), labels)


@given(clouds(), st.lists(radii, min_size=1, max_size=3))
@settings(deadline=None, max_examples=50)
def test_weights_within_a_radius_are_counted_exactly(cloud, eps):
    seen = distinct(*cloud)
    squares = ((seen.points[:, None] - seen.points) ** 2).sum(axis=2)
    near = NeighbourGraph(seen.points, seen.weight, radius=max(eps)).weights_within(eps)
    for radius, found in zip(eps, near, strict=True):
        certain = np.abs(squares - radius**2) > 1e-9 * np.maximum(squares, radius**2)
        if certain.all():
            np.testing.assert_array_equal(found, (squares <= radius**2) @ seen.weight)


def test_a_graph_answers_in_any_order_of_radii():
    points = np.random.default_rng(0).normal(size=(800, 3))
    used, radii_asked = NeighbourGraph(points, radius=1.0), [0.2, 1.0, 0.05, 0.4]
    for eps in radii_asked:
        fresh = NeighbourGraph(points, radius=1.0)
        for enough in (3, 10):
            np.testing.assert_array_equal(used.clusters(eps, enough)[0], fresh.clusters(eps, enough)[0])
            np.testing.assert_array_equal(used.clusters(eps, enough)[0][0], DBSCAN(eps, enough).fit(points).labels_)


def test_the_table_of_a_sweep_counts_rows():
    seen = distinct([[0.0], [0.0], [0.0], [0.1], [5.0]])
    (row,) = sweep(NeighbourGraph(seen.points, seen.weight, radius=1.0), [0.1], [4]).table.to_dicts()
    assert row == {
        "eps": 0.1,
        "min_samples": 4.0,
        "clusters": 1,
        "noise_share": pytest.approx(0.2),
        "core_share": pytest.approx(0.8),
        "border_share": pytest.approx(0.0),
        "largest_share": pytest.approx(0.8),
    }


def test_a_setting_that_was_not_swept_is_refused():
    swept = sweep(NeighbourGraph([[0.0], [1.0]], radius=1.0), [0.5, 1.0], [2])
    with pytest.raises(SettingsError, match=r"eps 0\.5 to 1 .* found eps=0\.7"):
        swept.labels_of(0.7, 2)


@pytest.mark.parametrize(
    ("eps", "min_samples", "message"),
    [([2.0], [2], "at most the radius"), ([], [2], "eps must be one"), ([0.5], [], "min_samples must be one"),
     ([-1.0], [2], "eps must be a finite number above 0"), ([0.5], [0], "min_samples must be a finite"),
     ([float("nan")], [2], "found nan")],
)  # fmt: skip
def test_settings_that_mean_nothing_are_refused(eps, min_samples, message):
    with pytest.raises(SettingsError, match=message):
        sweep(NeighbourGraph([[0.0], [1.0]], radius=1.0), eps, min_samples)


def test_a_graph_that_does_not_fit_says_what_would():
    points = np.random.default_rng(0).normal(size=(20_000, 4))
    with pytest.raises(
        DataError, match=r"20,000 distinct points with radius 1 .* more than the 5 MB allowed"
    ) as refusal:
        NeighbourGraph(points, radius=1.0, memory="5 MB")
    words = str(refusal.value).split()
    radius = float(words[words.index("about", words.index("radius", words.index("take"))) + 1])
    rows = int(words[words.index("points,") - 1].replace(",", ""))
    assert NeighbourGraph(points, radius=0.8 * radius, memory="5 MB").nbytes < 5e6
    assert NeighbourGraph(points[: int(0.8 * rows)], radius=1.0, memory="5 MB").nbytes < 5e6
    with pytest.raises(DataError, match="for the points alone"):
        NeighbourGraph(points, radius=1.0, memory="1 MB")


def test_the_graph_keeps_within_the_memory_it_states():
    points = np.random.default_rng(0).normal(size=(3_000, 3))
    graph = NeighbourGraph(points, radius=0.5)
    assert NeighbourGraph(points, radius=0.5, memory=2 * graph.nbytes).n_edges == graph.n_edges
    with pytest.raises(DataError):
        NeighbourGraph(points, radius=0.5, memory=graph.nbytes // 2)


@pytest.mark.parametrize(("text", "size"), [("2 GB", 2e9), ("512MB", 5.12e8), (" 3 kb ", 3e3), (100, 100), ("7", 7)])
def test_memory_is_read_as_it_is_written(text, size):
    assert as_bytes(text) == size


@pytest.mark.parametrize("memory", ["much", "GB", 0, "-1 MB", True, float("inf")])
def test_memory_that_is_none_is_refused(memory):
    with pytest.raises(SettingsError, match="memory must be"):
        as_bytes(memory)


def test_memory_in_words():
    assert [in_words(size) for size in (10, 2e9, 512_000_000)] == ["10 B", "2 GB", "512 MB"]


@given(clouds())
@settings(deadline=None, max_examples=40)
def test_distinct_points_stand_in_order_of_first_appearance(cloud):
    points, weight = cloud
    seen = distinct(points, weight)
    np.testing.assert_array_equal(seen.points[seen.inverse], points)
    np.testing.assert_array_equal(points[seen.first], seen.points)
    assert (np.diff(seen.first) > 0).all()
    assert len(np.unique(points, axis=0)) == len(seen.points)
    assert seen.weight.sum() == (len(points) if weight is None else weight.sum())


def test_zero_and_minus_zero_are_one_point():
    assert distinct([[0.0], [-0.0]]).inverse.tolist() == [0, 0]


def test_new_rows_take_the_nearest_core_point_within_eps():
    model = DBSCAN(1.0, 3).fit([[0.0], [0.5], [1.0], [9.0], [9.5], [10.0], [20.0]])
    assert model.labels_.tolist() == [0, 0, 0, 1, 1, 1, -1]
    assert model.n_clusters_ == 2
    rows = [[2.0], [2.000001], [0.4], [8.0], [20.0], [1e12]]
    assert model.predict(rows).tolist() == [0, -1, 0, 1, -1, -1]
    np.testing.assert_allclose(model.score_samples(rows), [1.0, 1.000001, 0.1, 1.0, 10.0, 1e12 - 10])
    assert model.predict(np.empty((0, 1))).tolist() == []


@given(clouds(), radii, least)
@settings(deadline=None, max_examples=60)
def test_new_rows_against_every_core_point(cloud, eps, min_samples):
    points, weight = cloud
    model = DBSCAN(eps, min_samples).fit(points, sample_weight=weight)
    rows = points[::-1] + 0.05
    cores = model.distinct_.points[model.core_]
    if not len(cores):
        assert (model.predict(rows) == -1).all()
        assert np.isinf(model.score_samples(rows)).all()
        return
    squares = np.zeros((len(rows), len(cores)))
    for column, other in zip(rows.T, cores.T, strict=True):
        squares += (column[:, None] - other) ** 2
    nearest = squares.argmin(axis=1)
    labels = np.where(squares.min(axis=1) <= eps * eps, model.point_labels_[model.core_][nearest], -1)
    np.testing.assert_array_equal(model.predict(rows), labels)
    np.testing.assert_allclose(model.score_samples(rows), np.sqrt(squares.min(axis=1)) / eps, rtol=1e-12)
    np.testing.assert_array_equal(model.predict(cores), model.point_labels_[model.core_])


def test_one_row_and_rows_that_are_all_alike():
    assert DBSCAN(1.0, 1).fit([[1.0, 2.0]]).labels_.tolist() == [0]
    assert DBSCAN(1.0, 2).fit([[1.0, 2.0]]).labels_.tolist() == [-1]
    assert DBSCAN(1.0, 5).fit(np.ones((500, 2))).labels_.tolist() == [0] * 500


def test_huge_numbers_and_constant_columns():
    rows = np.column_stack([np.full(60, 7.0), np.repeat([1e17, -1e17], 30), np.arange(60.0)])
    model = DBSCAN(1.5, 2).fit(rows)
    assert np.bincount(model.labels_).tolist() == [30, 30]


def test_a_fitted_model_can_be_kept_and_cloned():
    model = DBSCAN(0.5, 4).fit(np.random.default_rng(0).normal(size=(300, 2)))
    again = pickle.loads(pickle.dumps(model))
    rows = np.random.default_rng(1).normal(size=(50, 2))
    np.testing.assert_array_equal(again.predict(rows), model.predict(rows))
    assert clone(model).get_params() == {"eps": 0.5, "min_samples": 4, "memory": "2 GB"}


@pytest.mark.parametrize(
    ("rows", "weight", "error", "message"),
    [([[1.0], [float("nan")]], None, DataError, "finite"), ([1.0, 2.0], None, SchemaError, "matrix"),
     ([["a"]], None, SchemaError, "numbers"), (np.empty((0, 2)), None, DataError, "needs rows"),
     (np.empty((2, 0)), None, DataError, "needs rows"), ([[1.0], [2.0]], [1], DataError, "weights"),
     ([[1.0], [2.0]], [1, -1], DataError, "weights")],
)  # fmt: skip
def test_rows_that_cannot_be_clustered_are_refused(rows, weight, error, message):
    with pytest.raises(error, match=message):
        DBSCAN().fit(rows, sample_weight=weight)


@pytest.mark.parametrize("parameters", [{"eps": 0}, {"eps": "1"}, {"min_samples": -1}, {"memory": "none"}])
def test_parameters_are_checked(parameters):
    with pytest.raises(SettingsError):
        DBSCAN(**parameters).fit([[1.0]])


def test_new_rows_must_look_like_those_of_training():
    with pytest.raises(NotFittedError, match="call fit"):
        DBSCAN().predict([[1.0]])
    with pytest.raises(SchemaError, match="fitted on 1 columns, found 2"):
        DBSCAN().fit([[1.0]]).predict([[1.0, 2.0]])
