"""The published clustering of WAF events from the published features."""

import numpy as np
import pytest
from sklearn.cluster import DBSCAN as Reference
from sklearn.metrics import adjusted_rand_score

from utils.detectors.dbscan import DBSCAN, NeighbourGraph, distinct, k_distances, knee, sweep

pytestmark = pytest.mark.real

COLUMNS = [f"pca{number}" for number in range(9)]
EPS, MIN_SAMPLES = 0.0678, 18


@pytest.fixture(scope="module")
def published(real_data):
    frame = real_data("waf")["mlpt"]
    return frame.select(COLUMNS).to_numpy(), frame["cluster"].to_numpy()


@pytest.fixture(scope="module")
def seen(published):
    return distinct(published[0])


def test_the_published_settings_give_the_published_clusters(published):
    rows, clusters = published
    model = DBSCAN(EPS, MIN_SAMPLES).fit(rows)
    assert model.n_clusters_ == 61
    assert adjusted_rand_score(clusters, model.labels_) >= 0.9999
    assert (model.labels_ != clusters).sum() <= 2
    assert (model.labels_ < 0).mean() == pytest.approx(0.0280, abs=5e-5)


def test_the_published_eps_is_the_knee_of_the_first_neighbour(published, seen):
    """The unrounded eps gives the published labels row by row; the plateaus of noise are the published ones too."""
    nearest = k_distances(seen.points, 2, seen.weight)
    noise = {14: 0.0280, 59: 0.0280, 10: 0.0256, 13: 0.0256, 8: 0.0192, 9: 0.0192, 2: 0.0140, 7: 0.0140}
    found = {sensitivity: knee(nearest, sensitivity, seen.weight) for sensitivity in noise}
    assert round(found[14], 4) == EPS
    swept = sweep(NeighbourGraph(seen.points, seen.weight, radius=max(found.values())), list(found.values()), [18])
    for sensitivity, share in noise.items():
        labels = swept.labels_of(found[sensitivity], 18)
        assert np.average(labels < 0, weights=seen.weight) == pytest.approx(share, abs=5e-5)
    exact = swept.labels_of(found[14], 18)[seen.inverse]
    np.testing.assert_array_equal(exact, published[1])
    assert (exact < 0).sum() == 1_618


def test_a_sweep_has_the_labels_of_scikit_learn(published):
    rows = published[0][:15_000]
    part = distinct(rows)
    swept = sweep(NeighbourGraph(part.points, part.weight, radius=0.1), [0.02, 0.0678, 0.1], [6, 18])
    for eps, min_samples in ((0.02, 6), (0.0678, 18)):
        theirs = Reference(eps=eps, min_samples=min_samples).fit(rows).labels_
        np.testing.assert_array_equal(swept.labels_of(eps, min_samples)[part.inverse], theirs)


def test_rows_of_training_are_labelled_again_except_at_borders(published):
    rows, _ = published
    model = DBSCAN(EPS, MIN_SAMPLES).fit(rows)
    again = model.predict(rows)
    other = np.flatnonzero(again != model.labels_)
    assert not np.isin(other, model.core_sample_indices_).any()
    assert len(other) < 50
    np.testing.assert_array_equal(again == -1, model.labels_ == -1)


def test_no_radius_is_too_large_for_the_stated_memory(seen):
    graph = NeighbourGraph(seen.points, seen.weight, radius=0.5, memory="200 MB")
    labels, _ = graph.clusters(0.5, 6)
    assert labels.max() + 1 == 16
    assert graph.nbytes < 1e8
