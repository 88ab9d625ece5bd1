"""Explanations: values that add up, against the definition of Shapley values; mistakes; slices."""

import itertools
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lightgbm import LGBMClassifier
from sklearn.base import clone
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

from utils import explain
from utils.classifiers.boosted import BoostedTrees
from utils.classifiers.champion import Champion
from utils.errors import DataError, SchemaError, SettingsError
from utils.evaluation.thresholds import Fixed
from utils.explain import sampling, trees
from utils.explain.shapley import EXACT
from utils.features.flows import FlowFeatures

ROWS = 300
NATIVE = {"nominal": "native", "missing": "keep", "scale": None, "log": False, "dtype": "float32"}
TREES = NATIVE | {"missing": "fill"}
KINDS = ["ok", "reset", "half", "new"]
SMALL = {"random_state": 0, "n_jobs": 1}
MODELS = {
    "decision tree": (DecisionTreeClassifier(max_depth=5, random_state=0), NATIVE),
    "random forest": (RandomForestClassifier(8, max_depth=6, **SMALL), TREES),
    "extra trees": (ExtraTreesClassifier(8, max_depth=6, **SMALL), TREES),
    "bagging": (BaggingClassifier(n_estimators=6, max_features=0.6, **SMALL), TREES),
    "adaboost": (AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), n_estimators=8, random_state=0), TREES),
    "gradient boosting": (GradientBoostingClassifier(n_estimators=10, random_state=0), TREES),
    "histograms": (HistGradientBoostingClassifier(max_iter=10, random_state=0), NATIVE),
    "histograms of categories": (
        HistGradientBoostingClassifier(max_iter=10, random_state=0, categorical_features=[2]),
        NATIVE,
    ),
    "lightgbm": (LGBMClassifier(n_estimators=10, verbose=-1, **SMALL), NATIVE),
    "xgboost": (XGBClassifier(n_estimators=10, **SMALL), NATIVE),
    "xgboost of texts": (BoostedTrees(n_estimators=10, **SMALL), NATIVE),
    "logistic regression": (LogisticRegression(), {}),
    "linear vectors": (LinearSVC(), {}),
    "gaussian nb": (GaussianNB(), {}),
    "neighbours": (KNeighborsClassifier(), {}),
    "hinge": (SGDClassifier(random_state=0), {}),
}
ESTIMATED = {"gaussian nb", "neighbours"}


def table(rows=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    size, rate = rng.normal(size=rows), rng.normal(size=rows)
    state = rng.choice(KINDS, rows, p=[0.6, 0.2, 0.15, 0.05])
    y = size + (state == "reset") * (rate > 0) * 2 + 0.3 * rng.normal(size=rows) > 0.9
    frame = pl.DataFrame({"size": size, "rate": rate, "state": state, "code": rng.integers(0, 30, rows)})
    return frame.with_columns(pl.when(pl.Series(rng.random(rows) < 0.08)).then(None).otherwise("rate").alias("rate")), y


FRAME, Y = table()
TEST, TRUTH = table(120, seed=1)


def fitted(name, y=Y):
    classifier, options = MODELS[name]
    return Pipeline([("features", FlowFeatures(**options)), ("classifier", clone(classifier))]).fit(FRAME, y)


@pytest.fixture(scope="module")
def champion():
    pipeline = Pipeline(
        [("features", FlowFeatures(**TREES)), ("c", DecisionTreeClassifier(max_depth=4, random_state=0))]
    )
    return Champion(pipeline).fit(FRAME, Y)


@pytest.fixture(scope="module")
def found(champion):
    return explain.shapley(champion, TEST)


@pytest.mark.parametrize("name", MODELS)
def test_values_add_up_to_the_models_own_output(name):
    pipeline = fitted(name, Y.astype(int) if name == "xgboost" else Y)
    found = explain.shapley(pipeline, TEST, FRAME, orders=8)
    total = found.base + found.values.to_numpy().sum(axis=1)
    if hasattr(pipeline, "predict_proba") and found.scale != "decision value":
        chance = 1 / (1 + np.exp(-total)) if found.scale == "log-odds" else total
        assert np.abs(chance - pipeline.predict_proba(TEST)[:, 1]).max() <= EXACT
    else:
        assert np.abs(total - pipeline.decision_function(TEST)).max() <= EXACT
    assert found.error <= EXACT
    assert found.exact == (name not in ESTIMATED)
    assert found.values.columns == FRAME.columns
    assert len(found) == TEST.height
    assert "add up" in found.describe()


@pytest.mark.parametrize("name", ["decision tree", "bagging", "histograms of categories", "lightgbm", "xgboost"])
def test_every_class_of_several_can_be_explained(name):
    y = np.where(Y, "b", np.where(FRAME["code"] > 15, "c", "a"))
    codes = np.unique(y, return_inverse=True)[1]
    pipeline = fitted(name, codes if name == "xgboost" else y)
    total = 0
    for place, target in enumerate(pipeline[-1].classes_):
        found = explain.shapley(pipeline, TEST, target=target)
        total = total + found.base + found.values.to_numpy().sum(axis=1) if found.scale == "probability" else 1.0
        assert np.allclose(found.score, pipeline.predict_proba(TEST)[:, place], atol=1e-6)
    assert np.allclose(total, 1)
    with pytest.raises(SettingsError, match="target must be one of"):
        explain.shapley(pipeline, TEST)


def brute(value, columns):
    """Shapley values by their definition: the mean over all orders of what each column adds."""
    parts = np.zeros(columns)
    for size in range(columns):
        weight = math.factorial(size) * math.factorial(columns - size - 1) / math.factorial(columns)
        for known in itertools.combinations(range(columns), size):
            for column in set(range(columns)) - set(known):
                parts[column] += weight * (value({*known, column}) - value(set(known)))
    return parts


def along_paths(tree, row, known, node=0):
    """Output of a tree when only some columns are known, averaged over the training rows of each branch."""
    left, right = tree.left[node], tree.right[node]
    if left < 0:
        return tree.value[node]
    if tree.feature[node] in known:
        number = row[tree.feature[node]]
        default = tree.default[node] if np.isnan(number) else left if number <= tree.threshold[node] else right
        return along_paths(tree, row, known, default)
    parts = [tree.cover[child] * along_paths(tree, row, known, child) for child in (left, right)]
    return sum(parts) / sum(tree.cover[child] for child in (left, right))


@pytest.mark.parametrize("name", ["decision tree", "histograms", "xgboost", "adaboost"])
def test_values_of_trees_are_shapley_values_by_definition(name):
    pipeline = fitted(name, Y.astype(int) if name == "xgboost" else Y)
    matrix = np.asarray(pipeline[0].transform(TEST.head(4)), dtype=np.float64)
    forest = trees.read(pipeline[-1], matrix, 1)
    values = trees.attribute(pipeline[-1], matrix, 1).values
    for row, found in zip(forest.columns, values, strict=True):
        seen = row.astype(forest.dtype).astype(np.float64)
        wanted = brute(lambda known, seen=seen: sum(along_paths(t, seen, known) for t in forest.trees), matrix.shape[1])
        assert np.allclose(found, wanted, atol=1e-6)


def test_estimated_values_approach_those_of_the_definition():
    rng = np.random.default_rng(3)
    rows, background = rng.normal(size=(3, 4)), rng.normal(size=(1, 4))
    member = np.eye(4, dtype=bool)

    def score(matrix):
        return matrix[:, 0] * matrix[:, 1] * np.exp(matrix[:, 2]) - 2 * matrix[:, 3] ** 2

    few, many = (
        sampling.sampled(score, rows, background, member, orders=orders, seed=0, scale="x") for orders in (8, 512)
    )
    for row, found, error in zip(rows, many.values, many.error, strict=True):
        known = lambda columns, row=row: score(  # noqa: E731
            np.where(np.isin(np.arange(4), list(columns)), row, background[0])[None]
        )[0]
        assert np.abs(found - brute(known, 4)).max() <= 4 * error.max() + 1e-9
    assert few.error.mean() >= many.error.mean()
    with pytest.raises(SettingsError, match="even number of orders"):
        sampling.sampled(score, rows, background, member, orders=5, seed=0, scale="x")


def test_linear_values_are_coefficients_times_distance_from_the_mean():
    pipeline = Pipeline([("features", FlowFeatures(columns=["size"])), ("c", LogisticRegression())]).fit(FRAME, Y)
    found = explain.shapley(pipeline, TEST, FRAME.head(100))
    encoded, middle = pipeline[0].transform(TEST), pipeline[0].transform(FRAME.head(100)).mean(axis=0)
    assert np.allclose(found.values.to_numpy(), (encoded - middle) * pipeline[-1].coef_)
    assert "linear model" in found.method


def test_a_linear_model_of_several_classes_is_explained_by_its_decision_values():
    y = np.where(Y, "b", np.where(FRAME["code"] > 15, "c", "a"))
    pipeline = fitted("hinge", y)
    found = explain.shapley(pipeline, TEST, FRAME, target="c")
    assert np.allclose(found.output, pipeline.decision_function(TEST)[:, 2])


def test_repeated_rows_are_explained_alike_and_order_does_not_matter(champion):
    twice = pl.concat([TEST, TEST[::-1]])
    found = explain.shapley(champion, twice)
    half = found.values[: TEST.height]
    assert found.values[TEST.height :][::-1].equals(half)
    assert np.array_equal(found.score, champion.score_samples(twice))


def test_more_steps_are_explained_by_estimates():
    pipeline = Pipeline(
        [("features", FlowFeatures()), ("best", SelectKBest(k=3)), ("c", DecisionTreeClassifier(max_depth=3))]
    )
    found = explain.shapley(pipeline.fit(FRAME, Y), TEST.head(10), FRAME, orders=8)
    assert not found.exact
    assert found.sampling_error.columns == found.values.columns
    assert "standard error" in found.describe()
    assert explain.affordable(pipeline, 5_000) == 200


def test_the_number_of_rows_that_can_be_afforded_falls_with_the_depth_of_the_trees():
    shallow, deep = fitted("decision tree"), fitted("random forest")
    assert explain.affordable(shallow, 1_000) == 1_000
    assert 20 <= explain.affordable(deep, 10**9, seconds=0.01) < explain.affordable(shallow, 10**9, seconds=0.01)
    assert explain.affordable(deep, 7, seconds=1e-9) == 7
    assert explain.affordable(fitted("lightgbm"), 10**9) > 1_000
    assert explain.affordable(fitted("gaussian nb"), 10**9) == 200


def test_what_cannot_be_explained_is_refused(champion):
    with pytest.raises(SettingsError, match="a fitted pipeline"):
        explain.shapley(DecisionTreeClassifier(), TEST)
    with pytest.raises(DataError, match="at least one"):
        explain.shapley(champion, TEST.head(0))
    with pytest.raises(DataError, match="give background"):
        explain.shapley(fitted("gaussian nb"), TEST)
    with pytest.raises(SchemaError, match="size"):
        explain.shapley(champion, TEST.drop("size"))


def test_values_that_do_not_add_up_are_refused(monkeypatch):
    exact = trees.attribute
    monkeypatch.setattr(trees, "attribute", lambda *given: exact(*given)._replace(base=9.0))
    with pytest.raises(DataError, match="must add up"):
        explain.shapley(fitted("decision tree"), TEST)


def test_importance_is_the_mean_size_with_an_interval_around_it(found):
    table = explain.importance(found, resamples=200)
    sizes = np.abs(found.values.to_numpy()).mean(axis=0)
    assert dict(table.select("feature", "importance").iter_rows()) == pytest.approx(
        dict(zip(found.values.columns, sizes, strict=True))
    )
    assert table["feature"][0] == "size"
    assert (table["low"] <= table["importance"]).all()
    assert (table["high"] >= table["importance"]).all()
    assert table["high"][0] > table["low"][0]


def test_weights_of_importance_count_as_repeated_rows_and_groups_widen_it(found, champion):
    weight = np.arange(TEST.height) % 3
    weighted = explain.importance(found, weight, resamples=10)
    repeated = explain.importance(
        explain.shapley(champion, TEST[np.repeat(np.arange(TEST.height), weight)]), resamples=10
    )
    assert weighted["importance"].to_list() == pytest.approx(repeated["importance"].to_list())
    twice = explain.shapley(champion, pl.concat([TEST, TEST]))
    pairs = explain.importance(twice, groups=np.tile(np.arange(TEST.height), 2))
    alone = explain.importance(twice)
    assert (pairs["high"] - pairs["low"])[0] > 1.2 * (alone["high"] - alone["low"])[0]


def test_stability_is_high_for_a_clear_signal_and_low_for_noise():
    def refit(labels):
        def fit(rows):
            tree = DecisionTreeClassifier(max_depth=4, random_state=0)
            return Pipeline([("features", FlowFeatures(**TREES)), ("c", tree)]).fit(FRAME[rows], labels[rows])

        return fit

    noise = np.random.default_rng(0).random(ROWS) < 0.5
    clear = explain.stability(refit(Y), ROWS, TEST, refits=4)
    random = explain.stability(refit(noise), ROWS, TEST, refits=4)
    assert clear.mean > random.mean
    assert clear.refits == 4
    assert len(clear.correlations) == 6
    assert clear.importances["feature"][0] == "size"
    assert clear.importances["most_rank"][0] == 1
    assert "4 refits" in clear.describe()
    grouped = explain.stability(refit(Y), ROWS, TEST, refits=2, groups=np.arange(ROWS) // 2)
    assert grouped.refits == 2
    with pytest.raises(DataError, match="two refits"):
        explain.stability(refit(Y), ROWS, TEST, refits=1)


def test_a_model_that_uses_nothing_is_perfectly_stable():
    def fit(rows):
        tree = DecisionTreeClassifier(min_samples_leaf=ROWS)
        return Pipeline([("features", FlowFeatures(**TREES)), ("c", tree)]).fit(FRAME, Y)

    assert explain.stability(fit, ROWS, TEST, refits=2).mean == 1.0


@given(row=st.integers(0, 119), most=st.integers(1, 5))
@settings(max_examples=20, deadline=None)
def test_steps_of_a_waterfall_lead_from_the_base_to_the_output(found, row, most):
    steps = explain.single(found, row, most)
    assert steps["start"][0] == pytest.approx(found.base)
    assert steps["end"][-1] == pytest.approx(found.output[row])
    assert np.allclose(steps["start"][1:], steps["end"][:-1])
    assert steps.height == min(most + 1, 4)
    sizes = steps.filter(pl.col("feature") != "other columns")["contribution"].abs().to_list()
    assert sizes == sorted(sizes, reverse=True)


def test_a_waterfall_names_values_and_refuses_rows_that_are_not_there(found):
    words = dict(explain.single(found, 0, 4).select("feature", "value").iter_rows())
    assert words["state"] == TEST["state"][0]
    assert words["rate"] == ("missing" if TEST["rate"][0] is None else words["rate"])
    missing = int(TEST["rate"].is_null().arg_max())
    assert dict(explain.single(found, missing).select("feature", "value").iter_rows())["rate"] == "missing"
    with pytest.raises(DataError, match=r"0\.\.119"):
        explain.single(found, 120)


def test_dependence_pairs_values_with_their_shapley_values(champion):
    lasted = FRAME.with_columns(pl.duration(seconds=pl.col("code")).alias("lasted")).drop("code")
    pipeline = Pipeline([("features", FlowFeatures(**TREES)), ("c", DecisionTreeClassifier(max_depth=5))]).fit(
        lasted, Y
    )
    found = explain.shapley(pipeline, lasted.head(50))
    assert explain.dependence(found, "lasted")["value"].to_list() == sorted(map(float, FRAME["code"].head(50)))
    table = explain.dependence(found, "size")
    assert table["value"].is_sorted()
    assert explain.dependence(found, "state")["value"].dtype == pl.String
    with pytest.raises(SchemaError, match="weight"):
        explain.dependence(found, "weight")


def test_examples_are_the_surest_of_each_outcome():
    y = [True, True, False, False, True]
    scores = [0.9, 0.8, 0.7, 0.2, 0.1]
    assert explain.examples(y, np.array(scores) >= 0.5, scores) == {"true alarm": 0, "false alarm": 2, "miss": 4}
    assert explain.examples([True], [True], [0.5]) == {"true alarm": 0}


@pytest.fixture(scope="module")
def coarse():
    pipeline = Pipeline(
        [("features", FlowFeatures(**NATIVE)), ("c", DecisionTreeClassifier(max_depth=2, random_state=0))]
    )
    return Champion(pipeline, Fixed(0.5)).fit(FRAME, Y)


def test_mistakes_are_listed_with_reasons_and_neighbours(coarse):
    table = explain.mistakes(coarse, TEST, TRUTH, FRAME, Y)
    decided = coarse.predict(TEST)
    assert set(table["row"]) == set(np.flatnonzero(decided != TRUTH))
    false = table.filter(pl.col("mistake") == "false alarm")
    assert false["score"].is_sorted(descending=True)
    assert not TRUTH[false["row"].to_numpy()].any()
    missed = table.filter(pl.col("mistake") == "miss")
    assert missed["score"].is_sorted()
    assert table["mistake"].to_list() == ["false alarm"] * false.height + ["miss"] * missed.height
    assert all("of the score" in sentence for sentence in false["reasons"])
    assert (table["like_anomalies"] + table["like_normals"] == 5).all()
    assert (table["neighbour_label"] == pl.Series(Y)[table["neighbour"].to_list()]).all()
    assert not table["same_other"].any()


def test_the_nearest_training_row_is_the_nearest(coarse):
    table = explain.mistakes(coarse, TEST, TRUTH, FRAME, Y, neighbours=1)
    encoded = coarse.pipeline_[0].transform(FRAME).astype(float)
    spread = np.quantile(np.nan_to_num(encoded), 0.95, axis=0) - np.quantile(np.nan_to_num(encoded), 0.05, axis=0)
    point = coarse.pipeline_[0].transform(TEST[table["row"].to_list()]).astype(float)
    complete = ~np.isnan(encoded).any(axis=1)
    for at, near, distance in zip(point, table["neighbour"], table["distance"], strict=True):
        if not np.isnan(at).any():
            apart = np.linalg.norm((encoded[complete] - at) / spread, axis=1)
            assert apart.min() == pytest.approx(distance) or not complete[near]


def test_rows_of_the_same_features_with_the_other_label_are_marked(coarse):
    wrong = explain.mistakes(coarse, TEST, TRUTH, FRAME, Y)["row"].to_list()
    training = pl.concat([FRAME, TEST[wrong[:1]]])
    table = explain.mistakes(coarse, TEST, TRUTH, training, np.append(Y, ~TRUTH[wrong[0]]))
    assert table["same_other"].to_list() == [True] + [False] * (len(wrong) - 1)
    assert table["distance"][0] == 0


def test_most_mistakes_and_weights_are_kept_to(coarse):
    weight = np.arange(TEST.height) % 2
    table = explain.mistakes(coarse, TEST, TRUTH, FRAME, Y, weight, most=2)
    assert set(table["row"] % 2) == {1}
    assert table.group_by("mistake").len()["len"].max() <= 2


def test_without_mistakes_the_table_is_empty(coarse):
    right = coarse.predict(TEST) == TRUTH
    rows = pl.Series(right)
    table = explain.mistakes(coarse, TEST.filter(rows), TRUTH[right], FRAME, Y)
    assert table.is_empty()
    assert table.columns == explain.mistakes(coarse, TEST, TRUTH, FRAME, Y).columns
    with pytest.raises(DataError, match="training rows"):
        explain.mistakes(coarse, TEST, TRUTH, FRAME.head(0), [])


def test_totals_count_both_kinds_of_mistakes():
    assert explain.totals([True, True, False, False], [True, False, True, True], [1, 2, 3, 0]) == {
        "false alarms": 3.0,
        "misses": 2.0,
        "rows": 6.0,
        "error rate": 5 / 6,
    }
    assert np.isnan(explain.totals([], [])["error rate"])


def judged(rows=2_000, seed=0):
    rng = np.random.default_rng(seed)
    kind = rng.choice(["normal", "scan", "flood"], rows, p=[0.6, 0.2, 0.2])
    frame = pl.DataFrame(
        {
            "kind": kind,
            "service": rng.choice(["a", "b", "c"], rows),
            "many": [str(place) for place in range(rows)],
            "number": rng.normal(size=rows),
            "one": ["x"] * rows,
            "on": rng.random(rows) < 0.5,
        }
    )
    y = kind != "normal"
    wrong = np.where(kind == "scan", rng.random(rows) < 0.4, rng.random(rows) < 0.03)
    return frame, y, y ^ wrong


def test_the_slice_with_more_errors_than_chance_is_found_first():
    frame, y, decisions = judged()
    table = explain.slices(frame, y, decisions)
    assert set(table["column"]) == {"kind", "service", "on"}
    assert table.select("column", "value").row(0) == ("kind", "scan")
    assert table.filter("beyond_chance").select("column", "value").rows() == [("kind", "scan")]
    assert table["excess"].is_sorted(descending=True)
    scan = table.row(0, named=True)
    chosen = (frame["kind"] == "scan").to_numpy()
    assert scan["rows"] == chosen.sum()
    assert scan["errors"] == (decisions != y)[chosen].sum()
    assert scan["low"] < scan["rate"] < scan["high"]
    by_kind = table.filter(pl.col("column") == "kind")
    assert by_kind["expected"].sum() == pytest.approx((decisions != y).sum())


def test_without_a_pattern_nothing_is_beyond_chance():
    alarms = 0
    for seed in range(20):
        frame, y, _ = judged(600, seed)
        random = y ^ (np.random.default_rng(seed + 100).random(600) < 0.2)
        alarms += explain.slices(frame, y, random)["beyond_chance"].any()
    assert alarms <= 3


def test_weights_of_slices_count_as_rows_and_named_columns_are_kept_to():
    frame, y, decisions = judged(300)
    weight = np.arange(300) % 3
    repeated = np.repeat(np.arange(300), weight)
    weighted = explain.slices(frame, y, decisions, ["service"], weight)
    plain = explain.slices(frame[repeated], y[repeated], decisions[repeated], ["service"])
    assert weighted.select("value", "rows", "errors", "expected").equals(
        plain.select("value", "rows", "errors", "expected")
    )
    assert set(weighted["column"]) == {"service"}
    with pytest.raises(SchemaError, match="port"):
        explain.slices(frame, y, decisions, ["port"])


def test_missing_values_are_a_slice_and_small_slices_are_left_out():
    frame = pl.DataFrame({"state": ["a"] * 20 + [None] * 10 + ["b"] * 2})
    y = np.zeros(32, dtype=bool)
    table = explain.slices(frame, y, y)
    assert dict(table.select("value", "rows").iter_rows()) == {"a": 20, "missing": 10}
    assert (table["rate"] == 0).all()
    assert not table["beyond_chance"].any()
    assert explain.slices(frame.select(pl.lit("x").alias("one")).head(1), [True], [False]).is_empty()
    assert explain.slices(pl.DataFrame({"x": pl.Series([1.0, 2.0])}), [True, False], [False, True]).is_empty()
