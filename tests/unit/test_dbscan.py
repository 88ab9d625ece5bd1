"""DBSCAN against scikit-learn's on random, lattice, repeated and weighted points."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import DBSCAN as Reference

from utils.detectors.dbscan import DBSCAN, NeighbourGraph, distinct, k_distances, sweep


@st.composite
def clouds(draw):
    """Rows on a lattice (many distances equal a radius exactly), in clumps, or in general position; some repeated."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, width = draw(st.integers(1, 120)), draw(st.integers(1, 12))
    kind = draw(st.sampled_from(["lattice", "tenths", "normal", "clumps"]))
    if kind in ("lattice", "tenths"):
        points = random.integers(0, 4, (rows, width)) * (1.0 if kind == "lattice" else 0.1)
    else:
        points = random.normal(size=(rows, width)) * (1.0 if kind == "normal" else 0.3)
        points += 0.0 if kind == "normal" else 3.0 * random.integers(0, 3, (rows, 1))
    if draw(st.booleans()):
        points = points[random.integers(0, rows, 2 * rows)]
    weight = random.integers(0, 4, len(points)) if draw(st.booleans()) else None
    return points, weight


radii = st.sampled_from([0.1, 0.2, 0.1 * 2**0.5, 0.3, 0.5, 1.0, 2**0.5, 2.0])
least = st.integers(1, 12)


@given(clouds(), radii, least)
@settings(deadline=None, max_examples=150)
def test_labels_are_those_of_scikit_learn(cloud, eps, min_samples):
    points, weight = cloud
    theirs = Reference(eps=eps, min_samples=min_samples, algorithm="kd_tree").fit(points, sample_weight=weight)
    ours = DBSCAN(eps, min_samples).fit(points, sample_weight=weight)
    np.testing.assert_array_equal(ours.labels_, theirs.labels_)
    np.testing.assert_array_equal(ours.core_sample_indices_, theirs.core_sample_indices_)


@given(clouds(), st.lists(radii, min_size=1, max_size=4), st.lists(least, min_size=1, max_size=3))
@settings(deadline=None, max_examples=60)
def test_each_setting_of_a_sweep_is_that_of_scikit_learn(cloud, eps, min_samples):
    points, weight = cloud
    seen = distinct(points, weight)
    swept = sweep(NeighbourGraph(seen.points, seen.weight, radius=max(eps)), eps, min_samples)
    assert len(swept.eps) == len(set(eps)) * len(set(min_samples))
    for radius, least_weight, labels in zip(swept.eps, swept.min_samples, swept.labels, strict=True):
        theirs = Reference(eps=radius, min_samples=int(least_weight), algorithm="kd_tree")
        theirs.fit(points, sample_weight=weight)
        np.testing.assert_array_equal(labels[seen.inverse], theirs.labels_)


@given(clouds(), radii, least)
@settings(deadline=None, max_examples=60)
def test_a_point_is_core_where_eps_is_not_below_its_k_distance(cloud, eps, k):
    seen = distinct(*cloud)
    if seen.weight.sum() >= k:
        core = DBSCAN(eps, k).fit(seen.points, sample_weight=seen.weight).core_
        np.testing.assert_array_equal(k_distances(seen.points, k, seen.weight) <= eps, core)


def test_a_point_repeated_twenty_times_has_its_eighteenth_neighbour_at_zero():
    seen = distinct(np.vstack([np.zeros((20, 2)), [[3.0, 4.0]]]))
    assert k_distances(seen.points, 18, seen.weight) == pytest.approx([0.0, 5.0])
