"""Fewer columns, chosen or learned: fitted on training rows, the same in every process, judged over splits."""

import pickle
from dataclasses import replace as changed

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import RFE
from sklearn.linear_model import LogisticRegression

from utils import datasets
from utils.classifiers.representations import (
    AutoencoderCodes,
    PrincipalComponents,
    RecursiveElimination,
    TopImportance,
    overlap,
    replay,
    trials,
    views,
)
from utils.classifiers.representations.trials import ALL, CODES, COMPONENTS, ELIMINATION, FOREST, IMPORTANCE, NETWORK
from utils.datasets.contract import Dataset, Roles
from utils.errors import DataError, SchemaError, SettingsError
from utils.evaluation import splits
from utils.settings import BUDGETS

ROWS = 240
QUICK = trials.Plan(sizes=(4,), repeats=2, epochs=2, trees=15, elimination=(200, 10, 0.3))
FORESTS = changed(QUICK, models=(trials.FOREST,), epochs=1)
KINDS = (
    TopImportance(2, trees=10),
    RecursiveElimination(2, trees=10),
    PrincipalComponents(2),
    AutoencoderCodes(2, epochs=3),
)


def told(rows=ROWS, seed=0):
    """Eight columns: two tell the classes apart together, a third is nearly a copy, the others are noise."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(rows, 8))
    X[:, 2] = X[:, 0] + 0.01 * random.normal(size=rows)
    return X, X[:, 0] + X[:, 1] > 0


@pytest.fixture(scope="module")
def table():
    X, y = told()
    frame = pl.DataFrame({f"c{place}": X[:, place] for place in range(8)})
    kinds = np.where(~y, "normal", np.where(X[:, 3] > 0, "scan", "flood"))
    frame = frame.with_columns(
        pl.Series("where", np.where(X[:, 4] > 0, "in", "out")), pl.Series("wrong", y), pl.Series("kind", kinds)
    )
    side = np.where(np.arange(ROWS) % 5 == 0, "test", "train")
    frame = frame.with_columns(pl.Series("split", side))
    features = (*(f"c{place}" for place in range(8)), "where")
    return frame, Roles("row", label="wrong", anomaly_type="kind", features=features, split="split")


@pytest.fixture(scope="module")
def found(table):
    """Trials with another model in place of the network, which takes its time."""
    frame, roles = table
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(trials.MODELS, NETWORK, lambda plan: LogisticRegression(random_state=plan.seed))
        return trials.run(frame, roles, splits.published(frame, roles), QUICK)


@pytest.fixture(scope="module")
def simulated():
    return datasets.load("nsl_kdd", "simulated", budget="fast")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)
def test_each_is_a_transformer_that_learns_from_training_rows_alone(kind):
    X, y = told()
    fitted = clone(kind).fit(X[:200], y[:200])
    narrow = fitted.transform(X)
    assert narrow.shape == (ROWS, 2)
    assert len(fitted.get_feature_names_out()) == 2
    np.testing.assert_array_equal(fitted.transform(X[200:]), narrow[200:])
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.transform(X), narrow)
    np.testing.assert_array_equal(clone(kind).fit(X[:200], y[:200]).transform(X), narrow)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)
def test_what_cannot_be_is_refused_in_a_sentence(kind):
    X, y = told(60)
    with pytest.raises(NotFittedError):
        clone(kind).transform(X)
    name = "k" if "k" in kind.get_params() else "size"
    for size in (0, 9, 2.5, True):
        with pytest.raises(SettingsError, match="1 to 8 columns"):
            clone(kind).set_params(**{name: size}).fit(X, y)
    with pytest.raises(DataError, match="needs rows"):
        clone(kind).fit(X[:0], y[:0])
    with pytest.raises(DataError, match="finite"):
        clone(kind).fit(np.where(X > 2, np.nan, X), y)
    with pytest.raises(SchemaError, match="columns of training"):
        clone(kind).fit(X, y).transform(X[:, :5])


def test_importance_ranks_columns_as_the_forest_does():
    X, y = told()
    fitted = TopImportance(3, trees=20, seed=5).fit(X, y)
    forest = RandomForestClassifier(20, random_state=5).fit(X, y)
    np.testing.assert_array_equal(fitted.importances_, forest.feature_importances_)
    np.testing.assert_array_equal(fitted.selected_, np.argsort(-forest.feature_importances_, kind="stable")[:3])
    np.testing.assert_array_equal(fitted.transform(X), X[:, fitted.selected_])
    assert fitted.get_feature_names_out(list("abcdefgh")).tolist() == ["abcdefgh"[place] for place in fitted.selected_]
    assert set(fitted.selected_) == {0, 1, 2}


@given(step=st.sampled_from([1, 2, 3]), k=st.integers(1, 7), seed=st.integers(0, 3))
@settings(deadline=None, max_examples=10)
def test_elimination_leaves_the_columns_that_scikit_learn_leaves(step, k, seed):
    X, y = told(80, seed)
    ours = RecursiveElimination(k, step=step, trees=8, seed=seed).fit(X, y)
    theirs = RFE(RandomForestClassifier(8, random_state=seed), n_features_to_select=k, step=step).fit(X, y)
    assert set(ours.selected_) == set(np.flatnonzero(theirs.support_))
    assert sorted(ours.order_) == list(range(8))


def test_elimination_goes_by_shares_and_serves_larger_sizes():
    X, y = told()
    fitted = RecursiveElimination(1, step=0.5, trees=10).fit(X, y)
    assert fitted.rounds_ == 4, "8, 4, 2 and 1 columns"
    wider = fitted.resized(4)
    assert set(wider.selected_) == set(RecursiveElimination(4, step=0.5, trees=10).fit(X, y).selected_)
    assert fitted.k == 1
    with pytest.raises(SettingsError, match="went down to 4"):
        wider.resized(3)
    for step in (0, -1, 1.5):
        with pytest.raises(SettingsError, match="step"):
            RecursiveElimination(1, step=step).fit(X, y)


def test_labels_must_fit_and_differ():
    X, y = told(40)
    with pytest.raises(DataError, match="must have a label"):
        TopImportance(2).fit(X, y[:-1])
    with pytest.raises(DataError, match="one class"):
        TopImportance(2).fit(X, np.ones(40, dtype=bool))
    names = np.where(y, "attack", "normal")
    np.testing.assert_array_equal(TopImportance(2).fit(X, names).order_, TopImportance(2).fit(X, ~y).order_)


def test_components_are_those_of_scikit_learn_up_to_the_sign():
    X, _ = told()
    ours, theirs = PrincipalComponents(3).fit(X), PCA(3, svd_solver="full").fit(X)
    np.testing.assert_allclose(ours.explained_[:3], theirs.explained_variance_ratio_)
    np.testing.assert_allclose(np.abs(ours.transform(X)), np.abs(theirs.transform(X)), atol=1e-9)
    back = ours.inverse_transform(ours.transform(X))
    np.testing.assert_allclose(back, theirs.inverse_transform(theirs.transform(X)), atol=1e-9)
    np.testing.assert_allclose(ours.resized(8).inverse_transform(ours.resized(8).transform(X)), X, atol=1e-9)
    assert (ours.directions_[np.arange(8), np.abs(ours.directions_).argmax(axis=1)] > 0).all()


def test_components_of_constant_columns_are_nothing():
    fitted = PrincipalComponents(2).fit(np.ones((5, 3)))
    np.testing.assert_array_equal(fitted.transform(np.ones((2, 3))), 0)
    np.testing.assert_array_equal(fitted.explained_, 0)


def test_codes_are_standard_and_can_be_undone():
    X, _ = told()
    fitted = AutoencoderCodes(4, epochs=12, seed=1).fit(X)
    codes = fitted.transform(X)
    np.testing.assert_allclose(codes.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(codes.std(axis=0), 1, atol=1e-9)
    errors = ((fitted.inverse_transform(codes) - X) ** 2).mean(axis=1)
    scaled = ((fitted.inverse_transform(codes) - X) ** 2 / fitted.network_.scale_**2).mean(axis=1)
    np.testing.assert_allclose(scaled, fitted.network_.score_samples(X), atol=1e-9)
    assert errors.mean() < 0.9 * X.var(), "it has learned something"
    assert not np.allclose(AutoencoderCodes(4, epochs=12, seed=2).fit(X).transform(X), codes)
    assert [len(layer[1]) for layer in AutoencoderCodes(2, width=3, epochs=1).fit(X).network_.weights_] == [4, 2, 4, 8]


@given(st.permutations(range(6)), st.permutations(range(6)), st.integers(1, 6))
@settings(deadline=None)
def test_overlap_is_the_share_of_the_best_in_common(first, second, k):
    assert overlap(first, second, k) == len(set(first[:k]) & set(second[:k])) / k
    assert overlap(first, first, k) == 1
    with pytest.raises(SettingsError):
        overlap(first, second, 7)


def test_trials_cross_every_representation_with_both_models(found):
    sizes = {(row[0], row[1]) for row in found.each.select("representation", "size").unique().iter_rows()}
    narrow = (IMPORTANCE, ELIMINATION, COMPONENTS, CODES)
    assert sizes == {(ALL, found.width), *((name, 4) for name in narrow)}
    assert found.width == 10
    assert found.splits == 2
    assert found.each.height == 2 * 5 * 2
    narrower = found.each.filter(pl.col("representation") != ALL)
    assert (narrower["columns"] == narrower["size"]).all()
    assert found.tested.height == 2 * 5
    assert set(found.tested.filter(pl.col("representation") != ALL)["size"]) == {4}
    best = found.scores.filter(model=FOREST, representation=IMPORTANCE, size=4, metric="f1").row(0, named=True)
    noise = found.each.filter(model=FOREST, representation=IMPORTANCE, size=4)["f1"].to_list()
    assert best["value"] == pytest.approx(np.mean(noise))
    assert best["low"] <= best["value"] <= best["high"]
    assert best["value"] > 0.8


def test_the_network_is_the_dense_classifier():
    network = trials.MODELS[NETWORK](changed(QUICK, seed=9))
    assert (type(network).__name__, network.epochs, network.seed) == ("DenseClassifier", QUICK.epochs, 9)


def test_verdicts_compare_the_same_splits_at_a_level_for_all(found):
    assert found.verdicts.height == 8
    row = found.verdicts.filter(model=NETWORK, representation=COMPONENTS, size=4).row(0, named=True)
    values = {
        name: found.each.filter(model=NETWORK, representation=name).filter(pl.col("size") == size).sort("split")["f1"]
        for name, size in ((COMPONENTS, 4), (ALL, 10))
    }
    gap = (values[COMPONENTS] - values[ALL]).mean()
    assert row["difference"] == pytest.approx(gap)
    assert found.board.height == 10
    assert found.board["difference"].null_count() == 2, "all features are compared with nothing"
    assert FOREST in found.summary
    assert "of 4 shown to be worse" in found.summary
    names = found.results()
    assert names["random_forest_top_by_importance_4_f1"] == pytest.approx(
        found.scores.filter(model=FOREST, representation=IMPORTANCE, size=4, metric="f1")["value"].item()
    )


def test_one_split_gives_no_verdict(found):
    one = changed(found, each=found.each.filter(split=0))
    assert one.verdicts.is_empty()
    assert one.summary == "one split only, nothing to compare"
    assert one.board["difference"].null_count() == one.board.height


def test_what_is_lost_is_counted_on_held_out_rows(found):
    components = found.errors.filter(representation=COMPONENTS, split=0).sort("size")
    assert components["lost"].is_sorted(descending=True)
    assert components["explained"].is_sorted()
    assert components.filter(size=10)["lost"].item() == pytest.approx(0, abs=1e-9)
    assert found.errors.filter(representation=CODES).height == 2
    train, rows = told()[0][:100], told()[0][100:]
    nothing = PrincipalComponents(1).fit(train)
    nothing.directions_ = np.zeros_like(nothing.directions_)
    assert trials.lost_variance(nothing, train, rows) == pytest.approx(1)


def test_rankings_are_compared_at_each_number_of_columns(found):
    assert set(found.rankings["k"]) == {1, 2, 3, 5, 7}
    assert found.rankings["chance"].to_list() == pytest.approx((found.rankings["k"] / 10).to_list())
    assert found.rankings["overlap"].is_between(0, 1).all()


def test_distinct_rows_are_drawn_and_equal_ones_stay_on_one_side(table):
    frame, roles = table
    twice = pl.concat([frame, frame.filter(split="train")])
    rows = trials.distinct_training(twice, roles, splits.published(twice, roles), QUICK)
    assert rows.frame.height == frame.filter(split="train").height
    few = trials.distinct_training(twice, roles, splits.published(twice, roles), changed(QUICK, rows=60))
    assert few.frame.height == 60
    other = twice.with_columns(~pl.col("wrong"))
    both = pl.concat([frame, other])
    rows = trials.distinct_training(both, roles, splits.published(both, roles), QUICK)
    assert rows.frame.height == 2 * frame.filter(split="train").height
    assert len(set(rows.groups)) == frame.filter(split="train").height
    only = pl.Series(np.arange(ROWS) < 120)
    part = trials.distinct_training(frame, roles, splits.published(frame, roles), QUICK, only)
    assert part.frame.equals(frame[:120].filter(split="train"))


def test_a_table_that_cannot_be_judged_is_left_out_with_a_sentence(table):
    frame, roles = table
    rare = frame.filter(~pl.col("wrong") | (pl.int_range(pl.len()) < 12))
    data = {
        name: Dataset(name, "table", "real", "own files", "", "", {"rows": rows}, {"rows": roles})
        for name, rows in (("rare", rare), ("good", frame))
    }
    said = []
    found, left_out = trials.over_tables(data, {"good": FORESTS}, otherwise=FORESTS, report=said.append)
    assert set(found) == {("good", "rows")}
    assert "of the rarer one" in left_out["rare", "rows"]
    assert said == ["rare rows", "good rows"]
    assert any(name.startswith("rows_random_forest") for name in trials.results(found, "good"))
    assert trials.results(found, "rare") == {}
    with pytest.raises(DataError, match="found 1"):
        trials.run(frame, changed(roles, features=("c0",)), splits.published(frame, roles), FORESTS)


def test_odd_tables_are_judged():
    """Nulls, constant columns, texts, huge values, odd names, no kinds."""
    X, y = told(90)
    frame = pl.DataFrame({"a b": X[:, 0] * 1e17, "%": X[:, 1], "": [None, *X[1:, 2]], "same": np.ones(90)})
    frame = frame.with_columns(pl.Series("colour", ["red", None, "blue"] * 30), pl.Series("y", y))
    frame = frame.with_columns(pl.Series("side", ["train", "train", "test"] * 30))
    roles = Roles("row", label="y", features=("a b", "%", "", "same", "colour"), split="side")
    found = trials.run(frame, roles, splits.published(frame, roles), changed(FORESTS, sizes=(50,)))
    assert set(found.each["size"]) == {found.width, found.width // 4, found.width // 2}
    assert found.scores.filter(metric="f1")["value"].is_finite().all()


@pytest.mark.parametrize(
    ("width", "sizes", "wanted"),
    [
        (112, (10, 25, 50), (10, 25, 50)),
        (26, (10, 25, 50), (10, 25)),
        (9, (10,), (2, 4)),
        (2, (10,), (1,)),
        (50, (50, 10), (10,)),
    ],
)
def test_sizes_are_those_that_a_table_has(width, sizes, wanted):
    assert trials.sizes_within(width, sizes) == wanted


def test_a_budget_says_how_much_is_done():
    close, other = trials.plans(BUDGETS["full"], 7)
    assert (close.repeats, close.seed) == (10, 7)
    assert other.rows < close.rows
    quick, _ = trials.plans(BUDGETS["fast"])
    assert (quick.rows, len(quick.sizes)) < (close.rows, len(close.sizes))


@pytest.fixture(scope="module")
def replayed(simulated):
    return replay.replay(simulated, (1,), epochs=2)


def test_the_published_steps_run_on_simulated_connections(replayed):
    assert replayed.table.height == 8
    assert replayed.table["published"].null_count() == 8
    assert not replayed.comparable
    assert "not compared" in replayed.summary
    assert (replayed.table.filter(model=FOREST)["accuracy"] > 80).all()
    assert (replayed.table["low"] <= replayed.table["least"]).all()
    names = replay.results(replayed)
    assert names["published_split_random_forest_principal_components_accuracy"] == pytest.approx(
        replayed.table.filter(model=FOREST, representation=COMPONENTS)["accuracy"].item() / 100
    )


def test_summary_counts_what_comes_out_again(replayed):
    compared = replayed.table.with_columns(
        published=pl.Series([None, 99.0, 99.0, 99.0, None, 99.0, 99.0, 99.0]),
        agreement=pl.Series(["", *[replay.SAME, replay.OF_SEEDS, replay.OF_ROWS], "", *[replay.SAME] * 3]),
    )
    assert changed(replayed, table=compared).summary == (
        "Of 6 published numbers 4 equal as printed, 1 within the noise of seeds, 1 within the noise of the test rows."
    )


@pytest.mark.parametrize(
    ("printed", "shares", "wanted"),
    [
        ("99.50", [0.99501, 0.98], replay.SAME),
        ("99.50", [0.994, 0.997, 0.995], replay.SAME),
        ("99.55", [0.994, 0.997, 0.995], replay.OF_SEEDS),
        ("99.60", [0.995, 0.995, 0.995], replay.OF_ROWS),
        ("97.00", [0.995, 0.995, 0.995], replay.OUTSIDE),
        (None, [0.995], "not published"),
    ],
)
def test_a_published_number_agrees_or_not(printed, shares, wanted):
    values = np.array(shares)
    assert replay._agreement(printed, values, replay.prediction_half_width(values), 5_039, True) == wanted


def test_one_more_seed_lies_in_the_interval_as_often_as_promised():
    random = np.random.default_rng(0)
    draws = random.normal(size=(4_000, 4))
    halves = np.array([replay.prediction_half_width(row[:3]) for row in draws])
    within = np.abs(draws[:, 3] - draws[:, :3].mean(axis=1)) <= halves
    assert within.mean() == pytest.approx(0.95, abs=0.02)
    assert replay.prediction_half_width(np.array([0.5])) == 0


def test_rows_of_the_published_file_are_found(simulated):
    masks = replay.published_rows({"nsl_kdd": simulated}, {"nsl_kdd": simulated})
    assert masks["nsl_kdd", "connections"].sum() > 100
    assert replay.published_rows({"nsl_kdd": simulated}, {}) == {}
    shorter = changed(simulated, frames={"connections": simulated["connections"][:50]})
    assert replay.published_rows({"nsl_kdd": simulated}, {"nsl_kdd": shorter}) == {}


def test_views_are_of_distinct_rows_and_say_what_they_keep(table):
    frame, roles = table
    twice = pl.concat([frame, frame])
    seen = views.look(twice, roles, splits.published(twice, roles), sample=80, sizes=(2, 4), epochs=2)
    assert seen.distinct == frame.filter(split="train").height
    assert {name: picture.coordinates.shape for name, picture in seen.pictures.items()} == {
        "principal components, 2-D": (80, 2),
        "t-SNE, 2-D": (80, 2),
        "t-SNE, 3-D": (80, 3),
    }
    assert len(seen.labels) == len(seen.kinds) == 80
    assert ((seen.kinds == "normal") == ~seen.labels).all()
    names = ["autoencoder codes, 2-D", "principal components, 4-D", "autoencoder codes, 4-D"]
    assert seen.kept["view"].to_list() == [views.ORIGINAL, *seen.pictures, *names]
    assert seen.kept.row(0)[2:4] == (1.0, 1.0)
    assert seen.kept["trustworthiness"].is_between(0, 1).all()


def test_a_legend_has_room_for_the_largest_kinds():
    kinds = pl.Series("kind", [name for number, name in enumerate("abcdefghi") for _ in range(20 - number)])
    labels = pl.Series([True] * len(kinds))
    shown = views.Views({}, labels, kinds, pl.DataFrame(), 0).shown_kinds
    assert set(shown) == {*"abcdefg", views.OTHER_KINDS}
    assert (shown == views.OTHER_KINDS).sum() == 13 + 12
    assert shown.filter(shown != views.OTHER_KINDS).equals(kinds.filter(kinds.is_in(list("abcdefg"))))


def test_neighbourhoods_are_kept_by_a_turn_and_lost_by_a_shuffle():
    random = np.random.default_rng(0)
    points = random.normal(size=(120, 2))
    turned = points @ np.array([[0.0, 1.0], [-1.0, 0.0]]) * 5
    kinds = pl.Series(np.where(points[:, 0] > 0, "a", "b"))
    kept = views.neighbourhoods(points, {"turned": turned, "shuffled": random.permutation(points)}, kinds)
    turned_row, shuffled = kept.row(1, named=True), kept.row(2, named=True)
    assert (turned_row["trustworthiness"], turned_row["neighbours_kept"]) == (1.0, 1.0)
    assert turned_row["same_kind"] == kept.row(0, named=True)["same_kind"] > 0.8
    assert shuffled["neighbours_kept"] < 0.3
    assert shuffled["same_kind"] == pytest.approx(0.5, abs=0.1)
    with pytest.raises(DataError, match="5 rows"):
        views.neighbourhoods(points[:4], {}, kinds[:4])


def test_too_few_points_make_no_picture():
    frame = pl.DataFrame({"a": [0.0, 1.0] * 40, "b": [0.0, 1.0] * 40, "y": [True, False] * 40, "s": ["train"] * 80})
    roles = Roles("row", label="y", features=("a", "b"), split="s")
    both = pl.concat([frame, frame.with_columns(pl.lit("test").alias("s"))])
    with pytest.raises(DataError, match="distinct"):
        views.look(both, roles, splits.published(both, roles))
