"""One battery for every outlier detector of the table, and what each method alone must do."""

import pickle
import subprocess
import sys
from functools import cache
from itertools import permutations, product

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score

from tests.unit.loading import refused
from utils.detectors import outliers
from utils.detectors.outliers import (
    DETECTORS,
    GaussianMixture,
    IsolationForest,
    LocalOutlierFactor,
    NearestNeighbours,
    OneClassSVM,
    PrincipalComponents,
    TailProbability,
    points,
)
from utils.detectors.outliers.base import LARGEST, OutlierDetector
from utils.errors import DataError, LabError, SettingsError
from utils.features.flows import FlowFeatures

FEATURES = 8
EVERY = pytest.mark.parametrize("name", DETECTORS)
PARAMETERS = [
    (NearestNeighbours, "neighbours", 0),
    (NearestNeighbours, "most_points", 0),
    (LocalOutlierFactor, "neighbours", 2.5),
    (LocalOutlierFactor, "most_points", True),
    (OneClassSVM, "nu", 1.0),
    (OneClassSVM, "narrowness", -1.0),
    (OneClassSVM, "most_points", 0),
    (IsolationForest, "trees", 0),
    (IsolationForest, "sample", "auto"),
    (PrincipalComponents, "components", 1.5),
    (PrincipalComponents, "components", 0),
    (PrincipalComponents, "scaling", "minmax"),
    (GaussianMixture, "mixtures", 0),
    (GaussianMixture, "components", 0.0),
    (GaussianMixture, "covariance", "round"),
    (TailProbability, "tails", "left"),
]


def clustered(rows, seed):
    """Rows of three clusters that lie near a space of three dimensions among eight."""
    shape, rng = np.random.default_rng(0), np.random.default_rng(seed)
    centres, axes = shape.normal(0, 2, (3, 3)), shape.normal(0, 1, (3, FEATURES))
    inside = centres[rng.integers(0, 3, rows)] + rng.normal(0, 0.4, (rows, 3))
    return inside @ axes / np.sqrt(3) + rng.normal(0, 0.15, (rows, FEATURES))


def scattered(rows, seed):
    """Rows from everywhere in a box somewhat larger than what the clusters fill."""
    return np.random.default_rng(seed).uniform(-6, 6, (rows, FEATURES))


SMALL = {"Autoencoder": {"epochs": 5, "sizes": (16, 3, 16)}, "IsolationForest": {"trees": 50}}
"""Settings that fit faster and do as well on so little data."""

TRAIN, NORMAL, ODD = clustered(600, 1), clustered(200, 2), scattered(100, 3)
BOTH = np.vstack([NORMAL[:40], ODD[:40]])


def new(name, seed=7):
    return DETECTORS[name].factory(seed, None).set_params(**SMALL.get(name, {}))


@cache
def fitted(name):
    """A detector that several tests read and none changes."""
    return new(name).fit(TRAIN)


def agree(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * (1 + np.abs(expected).max()))


@EVERY
def test_scattered_rows_score_above_rows_like_those_of_training(name):
    score = fitted(name).score_samples(np.vstack([NORMAL, ODD]))
    assert score.dtype == np.float64
    assert score.shape == (300,)
    assert roc_auc_score(np.arange(300) >= 200, score) >= 0.9


@EVERY
def test_a_row_far_from_all_others_scores_above_nearly_all_of_training(name):
    detector = fitted(name)
    far = detector.score_samples(np.full((1, FEATURES), 50.0))
    assert far[0] > np.quantile(detector.score_samples(TRAIN), 0.98)


@EVERY
def test_the_order_of_the_training_rows_changes_nothing(name):
    order = np.random.default_rng(4).permutation(len(TRAIN))
    np.testing.assert_array_equal(new(name).fit(TRAIN[order]).score_samples(BOTH), fitted(name).score_samples(BOTH))


@EVERY
def test_a_row_scores_and_explains_alone_as_in_a_batch(name):
    detector = fitted(name)
    score, share = detector.score_samples(BOTH), detector.contributions(BOTH)
    places = np.random.default_rng(5).permutation(len(BOTH))
    agree(detector.score_samples(BOTH[places]), score[places])
    for place in (0, 45, 79):
        agree(detector.score_samples(BOTH[place : place + 1]), score[place : place + 1])
        np.testing.assert_allclose(detector.contributions(BOTH[place : place + 1])[0], share[place], atol=1e-4)


@EVERY
def test_a_seed_gives_the_same_detector_again(name):
    again = clone(fitted(name))
    assert again.get_params() == fitted(name).get_params()
    with pytest.raises(NotFittedError):
        again.score_samples(BOTH)
    np.testing.assert_array_equal(again.fit(TRAIN).score_samples(BOTH), fitted(name).score_samples(BOTH))


@EVERY
def test_weights_are_repeated_rows_and_rows_of_weight_0_are_left_out(name):
    counts = np.random.default_rng(6).integers(0, 4, len(TRAIN))
    weighted = new(name).fit(TRAIN, sample_weight=counts)
    repeated = new(name).fit(np.repeat(TRAIN, counts, axis=0))
    np.testing.assert_array_equal(weighted.score_samples(BOTH), repeated.score_samples(BOTH))
    assert weighted.n_rows_ == repeated.n_rows_ == counts.sum()
    assert weighted.n_distinct_ == repeated.n_distinct_ == (counts > 0).sum()


@EVERY
def test_importances_count_by_their_proportions(name):
    importance = np.linspace(0.1, 0.9, len(TRAIN))
    score = new(name).fit(TRAIN, sample_weight=importance).score_samples(BOTH)
    assert roc_auc_score(np.arange(80) >= 40, score) >= 0.9


@EVERY
def test_no_row_is_no_score(name):
    detector = fitted(name)
    assert detector.score_samples(np.zeros((0, FEATURES))).shape == (0,)
    assert detector.contributions(np.zeros((0, FEATURES))).shape == (0, FEATURES)


@EVERY
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_few_training_rows_are_enough_and_what_is_far_from_them_scores_higher(name, rows):
    detector = new(name).fit(TRAIN[:rows])
    score = detector.score_samples(np.vstack([TRAIN[:rows], TRAIN[:1] + 100]))
    assert np.isfinite(score).all()
    assert score[-1] >= np.median(score[:-1])
    assert detector.n_distinct_ == rows
    assert detector.contributions(BOTH).shape == BOTH.shape


@EVERY
def test_a_single_repeated_row_can_be_trained_on(name):
    detector = new(name).fit(np.repeat(TRAIN[:1], 30, axis=0))
    assert (detector.n_rows_, detector.n_distinct_) == (30, 1)
    assert np.isfinite(detector.score_samples(BOTH)).all()


@EVERY
def test_one_feature_is_enough(name):
    detector = new(name).fit(TRAIN[:, :1])
    assert detector.score_samples(np.array([[60.0]])) > np.quantile(detector.score_samples(TRAIN[:, :1]), 0.9)
    np.testing.assert_array_equal(detector.contributions(np.array([[60.0]])), [[1.0]])


@EVERY
def test_constant_features_do_no_harm_and_carry_nothing(name):
    constant = np.hstack([TRAIN, np.full((len(TRAIN), 1), 3.0), np.zeros((len(TRAIN), 1))])
    asked = np.hstack([BOTH, np.full((len(BOTH), 1), 3.0), np.zeros((len(BOTH), 1))])
    detector = new(name).fit(constant)
    score = detector.score_samples(asked)
    assert roc_auc_score(np.arange(80) >= 40, score) >= 0.9
    assert detector.contributions(asked)[:, FEATURES:].max() < 0.05
    assert np.isfinite(new(name).fit(np.ones((20, 3))).score_samples(np.eye(3))).all()


@EVERY
def test_duplicate_rows_get_one_score(name):
    detector = fitted(name)
    asked = np.repeat(BOTH[35:45], [3, 1, 1, 2, 1, 1, 1, 4, 1, 2], axis=0)
    for found in (detector.score_samples(asked), detector.contributions(asked)[:, 0]):
        same = np.array([np.ptp(found[(asked == row).all(axis=1)]) for row in BOTH[35:45]])
        assert (same == 0).all()


@EVERY
def test_huge_numbers_are_finite_scores_and_as_abnormal_as_can_be(name):
    detector = fitted(name)
    huge = np.repeat(NORMAL[:4], 2, axis=0)
    huge[np.arange(8), np.arange(8)] = np.tile([1e300, -1e300], 4)
    score, share = detector.score_samples(huge), detector.contributions(huge)
    assert np.isfinite(score).all()
    assert (score > np.quantile(detector.score_samples(TRAIN), 0.9)).all()
    assert (share.argmax(axis=1) == np.arange(8)).all()
    trained = new(name).fit(np.vstack([TRAIN[:200], huge]))
    assert np.isfinite(trained.score_samples(BOTH)).all()
    assert np.isfinite(trained.contributions(BOTH)).all()


@EVERY
def test_single_precision_whole_numbers_and_truth_values_are_numbers(name):
    detector = fitted(name)
    single = BOTH.astype(np.float32)
    np.testing.assert_array_equal(detector.score_samples(single), detector.score_samples(single.astype(np.float64)))
    whole = np.round(BOTH).astype(np.int16)
    np.testing.assert_array_equal(detector.score_samples(whole), detector.score_samples(whole.astype(float)))
    np.testing.assert_array_equal(detector.score_samples(whole > 0), detector.score_samples((whole > 0).astype(float)))
    np.testing.assert_array_equal(detector.score_samples(BOTH.tolist()), detector.score_samples(BOTH))


@EVERY
def test_input_is_left_as_it_was(name):
    train, asked = TRAIN[:100].copy(), BOTH.copy()
    asked[0, 0] = 1e300
    given_train, given_asked = train.copy(), asked.copy()
    detector = new(name).fit(train)
    detector.score_samples(asked)
    detector.contributions(asked)
    np.testing.assert_array_equal(train, given_train)
    np.testing.assert_array_equal(asked, given_asked)


def refuses_what_is_no_matrix_of_finite_numbers(call):
    bad = BOTH.copy()
    bad[3, 2], bad[5, 1] = np.nan, np.inf
    refused(lambda: call(bad), "2 NaN or infinite", "row 3, column 2", error=DataError)
    refused(lambda: call(BOTH.astype(str)), "matrix of numbers", "encode")
    refused(lambda: call(np.array([[None, "a"]], dtype=object)), "matrix of numbers", "object")
    refused(lambda: call(BOTH[0]), "(8,)", "reshape")
    refused(lambda: call(sparse.csr_matrix(BOTH)), "dense")


@EVERY
def test_what_is_no_matrix_of_finite_numbers_is_refused(name):
    detector = fitted(name)
    refuses_what_is_no_matrix_of_finite_numbers(new(name).fit)
    refuses_what_is_no_matrix_of_finite_numbers(detector.score_samples)
    refuses_what_is_no_matrix_of_finite_numbers(detector.contributions)
    refused(lambda: detector.score_samples(BOTH[:, :5]), "fitted on 8 columns", "found 5")
    refused(lambda: detector.contributions(BOTH[:, :5]), "fitted on 8 columns", "found 5")


@EVERY
def test_nothing_to_learn_from_and_weights_that_do_not_fit_are_refused(name):
    refused(lambda: new(name).fit(TRAIN[:0]), "found none", error=DataError)
    refused(lambda: new(name).fit(TRAIN[:, :0]), "at least one column")
    refused(lambda: new(name).fit(TRAIN, sample_weight=np.zeros(600)), "found none", error=DataError)
    refused(lambda: new(name).fit(TRAIN, sample_weight=np.ones(5)), "600", error=DataError)
    refused(lambda: new(name).fit(TRAIN, sample_weight=-np.ones(600)), "negative", error=DataError)


@EVERY
def test_before_fit_nothing_is_scored(name):
    for call in (new(name).score_samples, new(name).contributions):
        with pytest.raises(NotFittedError, match="call fit"):
            call(BOTH)


@EVERY
def test_a_refused_fit_leaves_a_fitted_detector_as_it_was(name):
    detector = new(name).fit(TRAIN[:100])
    before = detector.score_samples(BOTH)
    refused(lambda: detector.fit(np.full((5, FEATURES), np.nan)), "NaN", error=LabError)
    np.testing.assert_array_equal(detector.score_samples(BOTH), before)


@EVERY
def test_shares_are_of_one_or_of_nothing_where_a_row_is_usual(name):
    detector = fitted(name)
    score, share = detector.score_samples(BOTH), detector.contributions(BOTH)
    assert share.dtype == np.float64
    assert share.shape == BOTH.shape
    assert (share >= 0).all()
    unusual = score > detector.usual_score_
    np.testing.assert_allclose(share.sum(axis=1), unusual.astype(float), atol=1e-9)
    assert 0 < unusual[:40].sum() < 40
    assert unusual[40:].mean() > 0.9


@EVERY
def test_the_one_extreme_feature_of_a_new_row_carries_most(name):
    """Each of the eight features in turn, far above and far below what training has."""
    detector = fitted(name)
    usual = NORMAL[detector.score_samples(NORMAL) <= detector.usual_score_]
    planted = usual[np.arange(32) % len(usual)]
    column = np.arange(32) % FEATURES
    planted[np.arange(32), column] = np.where(np.arange(32) < 16, 30.0, -30.0)
    assert (detector.contributions(planted).argmax(axis=1) == column).all()


@EVERY
def test_two_extreme_features_share(name):
    detector = fitted(name)
    planted = NORMAL[detector.score_samples(NORMAL) <= detector.usual_score_][:6].copy()
    planted[:, 1], planted[:, 4] = 25.0, -25.0
    largest = np.sort(np.argsort(detector.contributions(planted), axis=1)[:, -2:], axis=1)
    np.testing.assert_array_equal(largest, np.tile([1, 4], (6, 1)))


@EVERY
def test_the_table_says_what_a_detector_is_and_which_features_suit_it(name):
    choice = DETECTORS[name]
    detector = choice.factory(11, 50)
    assert isinstance(detector, OutlierDetector)
    assert type(detector).__name__ == name
    assert detector.get_params().get("seed", 11) == 11
    assert choice.description.strip()
    assert choice.source.strip()
    frame = pl.DataFrame({"size": [1.0, 10.0, 100.0], "kind": ["a", "b", "a"]})
    assert np.isfinite(FlowFeatures(**choice.features).fit_transform(frame)).all()
    assert np.isfinite(detector.fit(TRAIN[:200]).score_samples(BOTH)).all()


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """What another process answers that reads the pickled detectors, and the modules that importing them brings."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "models").write_bytes(pickle.dumps(({name: fitted(name) for name in DETECTORS}, BOTH)))
    script = (
        "import pathlib, pickle, sys, utils.detectors.outliers; brought = list(sys.modules);"
        "folder = pathlib.Path(sys.argv[1]); models, rows = pickle.loads((folder / 'models').read_bytes());"
        "answers = {name: (model.score_samples(rows), model.contributions(rows)) for name, model in models.items()};"
        "(folder / 'answers').write_bytes(pickle.dumps((answers, brought)))"
    )
    subprocess.run([sys.executable, "-c", script, str(folder)], check=True)
    return pickle.loads((folder / "answers").read_bytes())


@EVERY
def test_a_detector_answers_alike_in_another_process(name, elsewhere):
    score, share = elsewhere[0][name]
    agree(score, fitted(name).score_samples(BOTH))
    np.testing.assert_allclose(share, fitted(name).contributions(BOTH), atol=1e-4)


def test_every_public_detector_is_in_the_table():
    named = {name for name in outliers.__all__ if isinstance(getattr(outliers, name), type)}
    assert named - {"Choice", "OutlierDetector"} <= set(DETECTORS)


@pytest.mark.parametrize("heavy", ["tensorflow", "keras", "numba", "sklearn.ensemble", "sklearn.svm"])
def test_importing_the_detectors_is_light(heavy, elsewhere):
    assert heavy not in elsewhere[1]


@pytest.mark.parametrize(
    ("method", "parameter", "value"), PARAMETERS, ids=lambda value: getattr(value, "__name__", None)
)
def test_parameters_out_of_range_are_refused(method, parameter, value):
    refused(
        lambda: method(**{parameter: value}).fit(TRAIN), parameter, method.__name__, repr(value), error=SettingsError
    )


matrices = st.integers(1, 4).flatmap(
    lambda columns: st.lists(
        st.lists(st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.1, 1e300, 5e-324]), min_size=columns, max_size=columns),
        min_size=1,
        max_size=30,
    )
)


@given(matrices, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=60)
def test_distinct_points_are_the_rows_each_once_in_any_order(rows, shuffler):
    matrix = np.array(rows)
    found = points.distinct_points(matrix)
    np.testing.assert_array_equal(found.values[found.inverse], matrix)
    expected, counts = np.unique(matrix + 0.0, axis=0, return_counts=True)
    assert len(found) == len(expected)
    assert sorted(found.counts) == sorted(counts)
    order = list(range(len(matrix)))
    shuffler.shuffle(order)
    np.testing.assert_array_equal(points.distinct_points(matrix[order]).values, found.values)


def test_rows_whose_hashes_collide_are_told_apart(monkeypatch):
    monkeypatch.setattr(points, "_hashes", lambda matrix: np.zeros(len(matrix), np.uint64))
    matrix = np.array([[1.0, 2.0], [1.0, 3.0], [1.0, 2.0]])
    found = points.distinct_points(matrix, np.array([1, 5, 2]))
    np.testing.assert_array_equal(found.values[found.inverse], matrix)
    np.testing.assert_array_equal(found.counts[found.inverse], [3, 5, 3])


def test_hashes_of_different_rows_differ():
    """Numbers of few digits, as one-hot columns and counts are, have nearly all bits 0."""
    matrix = np.array([[a, b, c, d] for a in range(12) for b in range(12) for c in range(12) for d in range(12)], float)
    assert len(np.unique(points._hashes(matrix))) == len(matrix)


def test_drawn_rows_are_the_rows_while_they_are_few_and_a_fair_sample_beyond():
    values, counts = np.arange(3.0)[:, None], np.array([1.0, 0.0, 3.0])
    np.testing.assert_array_equal(points.drawn_rows(values, counts, 4, 0).ravel(), [0, 2, 2, 2])
    drawn = points.drawn_rows(values, counts * 1e6, 4_000, 0).ravel()
    assert len(drawn) == 4_000
    assert abs((drawn == 2).mean() - 0.75) < 0.03
    assert not (drawn == 1).any()
    np.testing.assert_array_equal(drawn, points.drawn_rows(values, counts * 1e6, 4_000, 0).ravel())


def test_typical_places_are_as_frequent_as_rows():
    places = points.typical_places(np.array([1.0, 98.0, 1.0]), 100)
    np.testing.assert_array_equal(np.bincount(places), [1, 98, 1])
    np.testing.assert_array_equal(points.typical_places(np.array([0.2]), 100), [0])


def test_numbers_beyond_the_largest_count_as_the_largest():
    detector = NearestNeighbours().fit(TRAIN)
    asked = np.zeros((2, FEATURES))
    asked[:, 0] = [LARGEST, 1e300]
    assert np.ptp(detector.score_samples(asked)) == 0


@pytest.mark.parametrize("neighbours", [1, 3])
def test_nearest_neighbours_are_those_of_a_plain_search(neighbours):
    detector = NearestNeighbours(neighbours).fit(np.vstack([TRAIN, TRAIN[:50]]))
    apart = np.sqrt(((BOTH[:, None] - TRAIN) ** 2).sum(axis=2))
    np.testing.assert_allclose(detector.score_samples(BOTH), np.sort(apart, axis=1)[:, neighbours - 1])
    nearest = TRAIN[np.argsort(apart, axis=1)[:, neighbours - 1]]
    squares = (BOTH - nearest) ** 2
    expected = squares / squares.sum(axis=1, keepdims=True)
    shown = detector.contributions(BOTH)
    unusual = shown.sum(axis=1) > 0
    np.testing.assert_allclose(shown[unusual], expected[unusual])


@pytest.mark.parametrize("neighbours", [1, 3])
def test_leave_one_out_scores_are_those_of_detectors_that_have_not_seen_the_row(neighbours):
    detector = NearestNeighbours(neighbours).fit(TRAIN[:30])
    found = detector.leave_one_out_scores(TRAIN[:30])
    for row in range(0, 30, 6):
        without = NearestNeighbours(neighbours).fit(np.delete(TRAIN[:30], row, axis=0))
        np.testing.assert_allclose(found[row], without.score_samples(TRAIN[row : row + 1])[0])
    if neighbours == 1:
        assert (detector.score_samples(TRAIN[:30]) == 0).all()
    np.testing.assert_allclose(detector.leave_one_out_scores(BOTH), detector.score_samples(BOTH))
    assert detector.leave_one_out_scores(BOTH[:0]).shape == (0,)


def test_leave_one_out_of_a_single_point():
    detector = NearestNeighbours().fit(np.zeros((3, 1)))
    np.testing.assert_array_equal(detector.leave_one_out_scores([[0.0], [2.0]]), [0.0, 2.0])


@pytest.mark.parametrize("method", [NearestNeighbours, LocalOutlierFactor])
def test_fewer_points_than_neighbours_are_used_and_said(method):
    assert method(20).fit(TRAIN[:5]).n_neighbours_ == (5 if method is NearestNeighbours else 4)
    assert method(20).fit(TRAIN[:1]).n_neighbours_ == 1
    assert method(20).fit(TRAIN).n_neighbours_ == 20


@pytest.mark.parametrize("method", [NearestNeighbours, LocalOutlierFactor, OneClassSVM])
def test_limits_of_points_draw_distinct_ones_by_the_seed(method):
    repeated = np.vstack([TRAIN[:100], np.repeat(TRAIN[:1], 500, axis=0)])
    detector = method(most_points=60, seed=1).fit(repeated)
    assert (detector.n_rows_, detector.n_distinct_, detector.n_learned_) == (600, 100, 60)
    other = method(most_points=60, seed=2).fit(repeated)
    assert (detector.score_samples(BOTH) != other.score_samples(BOTH)).any()
    assert method(most_points=None).fit(repeated).n_learned_ == 100


def test_limits_of_rows_are_kept_and_said():
    assert IsolationForest(5, most_rows=50).fit(TRAIN).n_learned_ == 50
    assert IsolationForest(5).fit(TRAIN).n_sample_ == 600
    assert GaussianMixture(2, most_rows=50).fit(TRAIN).n_learned_ == 50


def test_the_local_outlier_factor_is_about_one_among_alike_whatever_the_density():
    rng = np.random.default_rng(0)
    dense, sparse_rows = rng.normal(0, 0.01, (300, 2)), rng.normal(10, 1, (300, 2))
    detector = LocalOutlierFactor().fit(np.vstack([dense, sparse_rows]))
    score = detector.score_samples([[0.0, 0.0], [10.0, 10.0], [0.0, 0.2]])
    assert score[:2] == pytest.approx([1, 1], abs=0.15)
    assert score[2] > 5


def test_the_support_vector_machine_ranks_as_scikit_learn_and_tells_far_from_farther():
    from sklearn.svm import OneClassSVM as Machine

    detector = OneClassSVM(0.1, narrowness=1.0).fit(TRAIN)
    machine = Machine(nu=0.1, gamma="scale").fit(TRAIN)
    near = NORMAL + np.linspace(0, 2, len(NORMAL))[:, None]
    expected = machine.decision_function(near)
    found = detector.score_samples(near)
    total = machine.dual_coef_.sum()
    np.testing.assert_allclose(np.exp(-found) * total, expected + machine.offset_[0], rtol=0.02, atol=0.05)
    assert ((found > detector.boundary_) == (expected < 0)).mean() > 0.98
    far = detector.score_samples(np.array([[100.0], [1000.0], [1e6]]) * np.ones(FEATURES))
    assert (np.diff(far) > 0).all()


def test_the_width_of_the_kernel_follows_the_spread_of_the_data():
    assert OneClassSVM(narrowness=2.0).fit(TRAIN).gamma_ == pytest.approx(2 / (FEATURES * TRAIN.var()))
    one, other = (OneClassSVM().fit(TRAIN * unit).score_samples(BOTH * unit) for unit in (1.0, 1e6))
    np.testing.assert_allclose(one, other, rtol=0.01)


@pytest.mark.parametrize("rows", [5, 600])
def test_principal_components_rebuild_as_scikit_learn_does(rows):
    from sklearn.decomposition import PCA

    detector, peer = PrincipalComponents(3).fit(TRAIN[:rows]), PCA(3).fit(TRAIN[:rows])
    residual = BOTH - peer.inverse_transform(peer.transform(BOTH))
    np.testing.assert_allclose(detector.score_samples(BOTH), np.linalg.norm(residual, axis=1), rtol=1e-6)
    assert detector.explained_ == pytest.approx(peer.explained_variance_ratio_.sum())


def test_principal_components_share_the_squared_distance_by_shapley_values():
    """From the usual row that is most like the row, over all orders in which the four features can change."""
    detector = PrincipalComponents(2).fit(TRAIN[:, :4])
    usual, row = detector._most_alike(ODD[:1, :4])[0], ODD[0, :4]
    worth = {}
    for chosen in product([False, True], repeat=4):
        worth[chosen] = detector.score_samples([np.where(chosen, row, usual)])[0] ** 2
    values = np.zeros(4)
    for order in permutations(range(4)):
        chosen = [False] * 4
        for feature in order:
            before = worth[tuple(chosen)]
            chosen[feature] = True
            values[feature] += (worth[tuple(chosen)] - before) / 24
    positive = np.maximum(values, 0)
    np.testing.assert_allclose(detector.contributions([row])[0], positive / positive.sum(), rtol=1e-6)


def test_principal_components_leave_one_direction_at_least():
    assert PrincipalComponents(FEATURES).fit(TRAIN).n_components_ == FEATURES - 1
    assert PrincipalComponents(50).fit(TRAIN[:4]).n_components_ == 3
    assert PrincipalComponents(0.5).fit(TRAIN[:1]).n_components_ == 0
    assert PrincipalComponents().fit(TRAIN).n_components_ == FEATURES // 2
    assert PrincipalComponents().fit(np.hstack([TRAIN] * 4)).n_components_ == FEATURES
    share = PrincipalComponents(0.9).fit(TRAIN)
    assert share.explained_ >= 0.9
    assert share.explained_ - share.variances_[-1] / (share.variances_.sum() / share.explained_) < 0.9


def test_rows_inside_the_subspace_have_no_distance_to_it_but_rounding():
    plane = np.random.default_rng(0).normal(size=(100, 2)) @ np.array([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])
    detector = PrincipalComponents(2).fit(plane)
    assert (detector.score_samples(plane) == 0).all()
    assert (detector.contributions(plane) == 0).all()
    assert detector.score_samples(plane[:1] + np.array([0.0, 0.0, 0.1])) > 0.01


@pytest.mark.parametrize("scaling", ["range", "deviation"])
def test_scaled_principal_components_do_not_depend_on_units(scaling):
    unit = 10.0 ** np.arange(FEATURES)
    one, other = (PrincipalComponents(3, scaling=scaling).fit(TRAIN * factor) for factor in (1.0, unit))
    np.testing.assert_allclose(one.score_samples(BOTH), other.score_samples(BOTH * unit), rtol=1e-6)
    raw = PrincipalComponents(3).fit(TRAIN).score_samples(BOTH)
    assert not np.allclose(raw, one.score_samples(BOTH))


@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical"])
def test_one_gaussian_on_all_axes_is_the_normal_density(covariance):
    from scipy.stats import multivariate_normal

    rows = np.random.default_rng(0).normal(size=(4_000, 3)) * [1.0, 2.0, 3.0]
    detector = GaussianMixture(1, components=2, covariance=covariance).fit(rows)
    assert (detector.n_mixtures_, detector.n_components_, detector.converged_) == (1, 2, True)
    expected = -multivariate_normal(rows.mean(axis=0), np.cov(rows.T)).logpdf(rows[:50])
    np.testing.assert_allclose(detector.score_samples(rows[:50]), expected, atol=0.2)


def test_a_mixture_sees_gaps_between_clusters_and_uses_no_more_gaussians_than_rows():
    rows = np.concatenate([np.random.default_rng(0).normal(place, 0.1, (200, 2)) for place in (-3, 3)])
    detector = GaussianMixture(2, components=1).fit(rows)
    assert detector.score_samples([[0.0, 0.0]]) > detector.score_samples(rows).max()
    assert GaussianMixture(16, components=2).fit(TRAIN[:60]).n_mixtures_ == 6
    assert GaussianMixture(16).fit(TRAIN[:3]).n_mixtures_ == 1
    assert GaussianMixture(16).fit(TRAIN[:1]).n_mixtures_ == 0


def test_tails_are_the_shares_of_training_that_are_as_far_out():
    train = np.array([[0.0], [1.0], [1.0], [2.0], [9.0]])
    score = TailProbability("both").fit(train).score_samples([[1.0], [0.0], [9.0], [-9.0]])
    np.testing.assert_allclose(score, [-np.log(4 / 6), -np.log(2 / 6), -np.log(2 / 6), np.log(6) + np.log(2)])


def test_the_skewness_says_which_tail_counts():
    train = np.array([[0.0, 0.0], [0.0, 9.0], [0.0, 9.0], [9.0, 9.0]])
    detector = TailProbability("skewness").fit(train)
    np.testing.assert_array_equal(detector.skewed_left_, [False, True])
    assert detector.score_samples([[9.0, 9.0]]) == pytest.approx(-np.log(2 / 5))
    assert detector.score_samples([[0.0, 0.0]]) == pytest.approx(-np.log(2 / 5))


def test_the_largest_of_three_sums_is_taken_and_shared_exactly():
    detector = TailProbability("largest").fit(TRAIN)
    parts = detector._parts(BOTH)
    score = detector.score_samples(BOTH)
    np.testing.assert_allclose(parts.sum(axis=1), score)
    skewed = TailProbability("skewness").fit(TRAIN).score_samples(BOTH)
    both = TailProbability("both").fit(TRAIN).score_samples(BOTH)
    assert (score >= skewed - 1e-9).all()
    assert (both >= score - 1e-9).all()
    assert (score > skewed + 1e-9).any()


def test_a_row_that_only_differs_where_no_change_matters_is_shared_by_deviation():
    """A score that neither falls nor rises with one feature alone still has shares that add up to 1."""

    class OnlyTogether(OutlierDetector):
        def _learn(self, values, counts):
            pass

        def _score(self, values):
            return ((values > 5).sum(axis=1) >= 3).astype(float) - (values > 5).sum(axis=1).clip(2, 2) * 0

    detector = OnlyTogether().fit(TRAIN[:, :4])
    share = detector.contributions(np.array([[20.0, 20.0, 20.0, 20.0], [0.0, 0.0, 0.0, 0.0]]))
    np.testing.assert_allclose(share.sum(axis=1), [1, 0])
    assert (share[0] > 0).all()
