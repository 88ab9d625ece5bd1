"""Distances, knee, stability, description of clusters, and the outlier detector that is made of core points."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from utils.detectors.dbscan import (
    DBSCAN,
    CoreDistance,
    NeighbourGraph,
    distinct,
    exemplars,
    k_distances,
    knee,
    stability,
)
from utils.errors import DataError, SettingsError


def clumps(rows=300, seed=0, width=2):
    random = np.random.default_rng(seed)
    return random.normal(size=(rows, width)) * 0.2 + 4.0 * (np.arange(rows) % 3)[:, None]


@given(st.integers(1, 80), st.integers(1, 15), st.integers(1, 9), st.booleans(), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=80)
def test_k_distances_against_sorting(rows, width, k, whole, seed):
    random = np.random.default_rng(seed)
    points = random.integers(0, 3, (rows, width)).astype(float)
    seen = distinct(points, random.integers(1, 4, rows) if whole else random.random(rows) + 0.1)
    if seen.weight.sum() < k:
        with pytest.raises(DataError, match=f"{k}-th neighbour"):
            k_distances(seen.points, k, seen.weight)
        return
    squares = ((seen.points[:, None] - seen.points) ** 2).sum(axis=2)
    order = np.argsort(squares, axis=1)
    reached = np.cumsum(seen.weight[order], axis=1)
    place = np.minimum((reached < k - 1e-9).sum(axis=1), len(order) - 1)
    expected = np.sqrt(np.take_along_axis(squares, order, axis=1)[np.arange(len(order)), place])
    np.testing.assert_allclose(k_distances(seen.points, k, seen.weight), expected)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.sampled_from([0.1, 0.3, 2**0.5 / 10, 1.0]))
@settings(deadline=None, max_examples=40)
def test_a_point_is_core_exactly_where_eps_is_not_below_its_k_distance(seed, k, eps):
    random = np.random.default_rng(seed)
    seen = distinct(random.integers(0, 5, (90, 2)) * 0.1, random.integers(1, 3, 90))
    core = DBSCAN(eps, k).fit(seen.points, sample_weight=seen.weight).core_
    np.testing.assert_array_equal(k_distances(seen.points, k, seen.weight) <= eps, core)
    at = k_distances(seen.points, k, seen.weight)
    assert DBSCAN(max(at.max(), 1e-9), k).fit(seen.points, sample_weight=seen.weight).core_.all()


def test_a_point_repeated_twenty_times_has_its_eighteenth_neighbour_at_zero():
    seen = distinct(np.vstack([np.zeros((20, 2)), [[3.0, 4.0]]]))
    assert k_distances(seen.points, 18, seen.weight) == pytest.approx([0.0, 5.0])


def test_points_of_weight_zero_are_no_neighbours():
    assert k_distances([[0.0], [1.0], [5.0]], 2, [1, 0, 1]) == pytest.approx([5.0, 4.0, 5.0])


def curve(flat=60, steep=20):
    """Distances that are flat and then rise: the knee is the last flat one."""
    return np.concatenate([np.linspace(0, 0.05, flat), 0.05 + np.arange(1, steep + 1) / steep])


def test_the_knee_is_where_the_curve_turns_upwards():
    assert knee(curve(), 5.0) == pytest.approx(0.05)
    assert knee(np.random.default_rng(0).permutation(curve()), 5.0) == pytest.approx(0.05)


def test_the_knee_does_not_depend_on_the_scale():
    assert knee(1e6 * curve() + 3.0, 5.0) == pytest.approx(1e6 * 0.05 + 3.0)


@given(st.integers(0, 2**32 - 1), st.floats(0.5, 30.0))
@settings(deadline=None, max_examples=50)
def test_repeated_values_are_as_good_as_weights(seed, sensitivity):
    random = np.random.default_rng(seed)
    values, counts = np.round(random.exponential(size=40) ** 3, 3), random.integers(0, 5, 40)
    results = []
    for arguments in ((np.repeat(values, counts), sensitivity), (values, sensitivity, counts)):
        try:
            results.append(knee(*arguments))
        except DataError:
            results.append(None)
    assert results[0] == results[1]


def test_a_higher_sensitivity_asks_for_a_longer_flat_part():
    steps = np.concatenate([np.linspace(0, 0.01, 100), np.linspace(0.3, 0.31, 10), np.linspace(0.8, 1.0, 4)])
    assert knee(steps, 2.0) > knee(steps, 50.0) == pytest.approx(0.01)
    with pytest.raises(DataError, match="no knee at sensitivity 1000"):
        knee(steps, 1_000.0)


def slow_knee(values, sensitivity):
    """Kneedle row by row, as the paper tells it, on the curve turned by 180 degrees."""
    values = np.sort(values)
    n = len(values)
    heights = (values[-1] - values[::-1]) / (values[-1] - values[0])
    difference = heights - np.arange(n) / (n - 1)
    top = None
    for i in range(1, n):
        if difference[i] < difference[i - 1]:
            top = i - 1 if top is None else top
            if top and difference[i] < difference[top] - sensitivity / (n - 1):
                return values[n - 1 - top]
        else:
            top = None
    return None


@given(st.integers(0, 2**32 - 1), st.floats(0.5, 12.0))
@settings(deadline=None, max_examples=60)
def test_the_knee_is_that_of_the_paper_read_row_by_row(seed, sensitivity):
    values = np.random.default_rng(seed).exponential(size=50) ** 3
    expected = slow_knee(values, sensitivity)
    if expected is None:
        with pytest.raises(DataError, match="no knee"):
            knee(values, sensitivity)
    else:
        assert knee(values, sensitivity) == expected


@pytest.mark.parametrize(
    ("values", "error"),
    [([1.0, 1.0, 2.0], DataError), ([1.0, np.inf, 2.0, 3.0], DataError), ([1.0, np.nan, 2.0], DataError)],
)
def test_a_curve_without_a_shape_has_no_knee(values, error):
    with pytest.raises(error):
        knee(values)
    with pytest.raises(SettingsError, match="sensitivity"):
        knee([1.0, 2.0, 3.0], 0.0)


def test_clear_clusters_are_stable_and_chance_ones_are_not():
    clear = NeighbourGraph(clumps(), radius=1.0)
    found = stability(clear, 1.0, 5, resamples=4)
    assert found.values.shape == found.clusters.shape == (4,)
    assert found.mean == pytest.approx(1.0)
    assert set(found.clusters) == {3}
    chance = NeighbourGraph(np.random.default_rng(0).random((300, 2)), radius=0.06)
    loose = stability(chance, 0.06, 5, resamples=4)
    assert loose.lowest == loose.values.min() <= loose.mean < 0.9


def test_stability_is_that_of_fits_of_the_drawn_rows():
    points = np.round(np.random.default_rng(3).random((200, 2)), 1)
    seen = distinct(points)
    found = stability(NeighbourGraph(seen.points, seen.weight, radius=0.1), 0.1, 8, resamples=1, seed=5)
    drawn = np.random.default_rng(5).multinomial(200, seen.weight / 200)
    there = drawn > 0
    part = DBSCAN(0.1, 8).fit(seen.points[there], sample_weight=drawn[there]).labels_
    whole = DBSCAN(0.1, 8).fit(points).point_labels_[there]
    counts = seen.weight[there].astype(int)
    assert found.mean == pytest.approx(adjusted_rand_score(np.repeat(whole, counts), np.repeat(part, counts)))
    with pytest.raises(SettingsError, match="at least 1 resample"):
        stability(NeighbourGraph(points, radius=1.0), 1.0, 2, resamples=0)


def test_exemplars_begin_with_the_medoid_and_spread():
    points = np.array([[0.0], [1.0], [2.0], [7.0], [50.0]])
    table = exemplars(points, [0, 0, 0, 0, -1], most=3)
    assert table["point"].to_list() == [1, 3, 0]
    assert table["rank"].to_list() == [0, 1, 2]
    assert exemplars(points[:1], [0], [4], most=3)["rows"].to_list() == [4.0]
    assert exemplars(points, np.full(5, -1)).height == 0
    many = np.random.default_rng(0).normal(size=(3_000, 2))
    assert np.abs(many[exemplars(many, np.zeros(3_000), most=1)["point"][0]]).max() < 0.3
    with pytest.raises(SettingsError, match="at least 1 exemplar"):
        exemplars(points, [0, 0, 0, 0, -1], most=0)


def test_core_distance_rises_away_from_the_dense_part():
    detector = CoreDistance(min_samples=5).fit(clumps())
    scores = detector.score_samples([[0.0, 0.0], [1.5, 0.0], [2.0, 0.0], [100.0, 0.0]])
    assert (np.diff(scores) > 0).all()
    assert scores[0] < 1 < scores[1]
    assert detector.n_core_ == pytest.approx(0.99 * 300, abs=1)


def test_core_distance_of_a_row_is_the_distance_to_its_nearest_core_point():
    points = clumps(seed=2)
    detector = CoreDistance(min_samples=5, core_share=0.8).fit(points)
    core = points[k_distances(points, 5) <= detector.eps_]
    rows = clumps(20, seed=3) + 0.7
    gaps = rows[:, None] - core
    squares = (gaps**2).sum(axis=2)
    np.testing.assert_allclose(detector.score_samples(rows), np.sqrt(squares.min(axis=1)) / detector.eps_)
    parts = gaps[np.arange(20), squares.argmin(axis=1)] ** 2
    unusual = detector.score_samples(rows) > detector.usual_score_
    assert unusual.any()
    np.testing.assert_allclose(
        detector.contributions(rows)[unusual], (parts / parts.sum(axis=1, keepdims=True))[unusual]
    )


def test_core_distance_counts_repeated_rows():
    points, counts = clumps(60), np.random.default_rng(0).integers(1, 5, 60)
    weighted = CoreDistance(4).fit(points, sample_weight=counts)
    written = CoreDistance(4).fit(np.repeat(points, counts, axis=0))
    assert weighted.eps_ == written.eps_
    np.testing.assert_array_equal(weighted.score_samples(points + 1), written.score_samples(points + 1))


@pytest.mark.parametrize("rows", [[[1.0, 2.0]], [[1.0, 2.0]] * 50, [[0.0, 0.0]] * 50 + [[1.0, 0.0]]])
def test_core_distance_of_few_or_equal_rows(rows):
    detector = CoreDistance().fit(rows)
    scores = detector.score_samples([rows[0], [9.0, 9.0]])
    assert scores[0] == 0 < scores[1] < np.inf
    np.testing.assert_allclose(detector.contributions([[9.0, 9.0]]).sum(axis=1), 1.0)


@pytest.mark.parametrize("parameters", [{"min_samples": 0}, {"core_share": 0.0}, {"core_share": 1.5}])
def test_parameters_of_core_distance_are_checked(parameters):
    with pytest.raises(SettingsError):
        CoreDistance(**parameters).fit(clumps())
