"""Rows of many columns projected to two or three coordinates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from utils.detectors.projection import LEAST_OF_GROUP, project, sampled
from utils.errors import DataError, SchemaError, SettingsError

RNG = np.random.default_rng(0)
BLOBS = np.vstack([RNG.normal(centre, 0.1, (200, 6)) for centre in (0, 3, 6)])
KINDS = np.repeat(["a", "b", "c"], 200)


def test_principal_components_are_those_of_scikit_learn():
    from sklearn.decomposition import PCA

    points = RNG.normal(size=(300, 5)) * [5, 3, 1, 0.5, 0.1]
    found = project(points, 3, sample=300)
    fitted = PCA(3).fit(points)
    assert np.allclose(np.abs(found.coordinates), np.abs(fitted.transform(points)), atol=1e-8)
    assert found.axes[0] == f"component 1 ({100 * fitted.explained_variance_ratio_[0]:.0f} % of the variance)"
    assert found.rows.tolist() == list(range(300))


def test_components_do_not_flip_with_the_order_of_the_rows():
    first = project(BLOBS, 2, sample=600).coordinates
    assert np.allclose(project(BLOBS[::-1], 2, sample=600).coordinates[::-1], first)


def test_a_sample_has_the_coordinates_of_its_rows():
    whole, part = project(BLOBS, 2, sample=600), project(BLOBS, 2, sample=50, seed=3)
    assert len(part.rows) == 50
    assert (np.diff(part.rows) > 0).all()
    assert np.allclose(part.coordinates, whole.coordinates[part.rows])
    assert not np.array_equal(part.rows, project(BLOBS, 2, sample=50, seed=4).rows)
    assert np.array_equal(part.rows, project(BLOBS, 2, sample=50, seed=3).rows)


def test_small_groups_are_seen():
    groups = np.append(np.zeros(9_990, dtype=int), np.arange(1, 11))
    rows = sampled(10_000, 100, groups=groups)
    assert len(rows) == 100
    assert set(groups[rows]) == set(range(11))
    assert (groups[sampled(10_000, 30, groups=groups)] == 0).sum() >= LEAST_OF_GROUP


@pytest.mark.parametrize("dimensions", [2, 3])
def test_tsne_keeps_groups_apart_and_repeats(dimensions):
    found = project(BLOBS, dimensions, "tsne", sample=180)
    assert found.coordinates.shape == (180, dimensions)
    assert found.axes[0] == "t-SNE 1 (no unit)"
    kinds = KINDS[found.rows]
    centres = {kind: found.coordinates[kinds == kind].mean(axis=0) for kind in set(kinds)}
    nearest = [min(centres, key=lambda kind: np.linalg.norm(row - centres[kind])) for row in found.coordinates]
    assert np.mean(np.array(nearest) == kinds) > 0.95
    assert np.array_equal(found.coordinates, project(BLOBS, dimensions, "tsne", sample=180).coordinates)


@given(arrays(np.float64, st.tuples(st.integers(1, 8), st.integers(1, 4)), elements=st.floats(-1e300, 1e300)))
@settings(deadline=None, max_examples=60)
def test_any_finite_matrix_has_finite_coordinates(points):
    found = project(points, 3)
    assert found.coordinates.shape == (len(points), 3)
    assert np.isfinite(found.coordinates).all()


def test_directions_that_rows_do_not_have_are_zero():
    found = project(np.arange(5.0)[:, None], 3)
    assert (found.coordinates[:, 1:] == 0).all()
    assert found.axes[1] == "component 2 (0 % of the variance)"
    assert project([[1.0, 2.0]]).coordinates.tolist() == [[0.0, 0.0]]
    assert np.isfinite(project(np.ones((6, 2)), 2, "tsne").coordinates).all()


@pytest.mark.parametrize(
    ("points", "more", "error", "words"),
    [
        ([[1.0, np.nan]], {}, DataError, "1 rows"),
        ([1.0, 2.0], {}, DataError, "shape"),
        (np.empty((0, 3)), {}, DataError, "shape"),
        ([["a"]], {}, SchemaError, "numbers"),
        (np.zeros((4, 2)), {"method": "tsne"}, DataError, "at least 5"),
        (np.zeros((4, 2)), {"sample": 0}, SettingsError, "at least 1"),
        (np.zeros((4, 2)), {"dimensions": 4}, SettingsError, "dimensions"),
        (np.zeros((4, 2)), {"method": "umap"}, SettingsError, "method"),
        (np.zeros((4, 2)), {"groups": [1, 2]}, DataError, "groups"),
    ],
)
def test_what_cannot_be_projected_is_refused(points, more, error, words):
    with pytest.raises(error, match=words):
        project(points, **more)
