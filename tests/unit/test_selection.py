import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, mutual_info_score, roc_auc_score
from sklearn.tree import DecisionTreeClassifier

from tests.unit.loading import refused
from utils.errors import DataError, SettingsError
from utils.features import selection, target_encoding
from utils.features.selection import redundancy, signal

ROWS = 600


def frame(rows=ROWS, seed=0):
    """Features whose worth is known: an almost perfect one, a good one and its copies, one of two sides, noise."""
    rng = np.random.default_rng(seed)
    bad = rng.random(rows) < 0.3
    good = rng.normal(size=rows) + 2.0 * bad
    return pl.DataFrame(
        {
            "gives away": bad + 0.05 * rng.normal(size=rows),
            "good": good,
            "good copy": 10 * good + 0.1 * rng.normal(size=rows),
            "good turned": -good + 0.01 * rng.normal(size=rows),
            "two sides": np.where(bad, rng.choice([-3.5, 3.5], rows), 0.0) + rng.normal(size=rows),
            "noise": rng.normal(size=rows),
            "kind": np.where(bad & (rng.random(rows) < 0.8), "x", rng.choice(["a", "b"], rows)),
            "constant": np.ones(rows),
            "nothing": pl.Series([None] * rows, dtype=pl.Float64),
            "is_anomaly": bad,
        }
    )


def by(table, column, name):
    return table.filter(feature=name)[column].item()


def test_gaps_are_counted():
    rows = pl.DataFrame(
        {
            "holes": [1.0, None, np.nan, np.inf, 1.0],
            "one": [3] * 5,
            "one or none": ["a", None, "a", "a", "a"],
            "empty": [None] * 5,
        }
    )
    table = selection.gaps(rows)
    assert table.row(0) == ("holes", 0.4, 0.2, 2, pytest.approx(2 / 3), False)
    assert table["constant"].to_list() == [False, True, False, True]
    assert table["distinct"].to_list() == [2, 1, 1, 0]
    assert table["top_share"].to_list()[3] is None
    assert selection.gaps(rows.clear())["constant"].all()


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_correlations_are_those_of_polars(method):
    rows = frame().select("good", "two sides", "noise", "gives away")
    found = selection.correlation(rows, method=method)
    for one in rows.columns:
        for other in rows.columns:
            expected = rows.select(pl.corr(one, other, method=method)).item()
            assert by(found, other, one) == pytest.approx(expected, abs=1e-12)


def test_each_pair_is_correlated_on_the_rows_that_have_both():
    rows = frame().select("good", "good copy", "noise")
    holes = rows.with_columns(
        pl.when(pl.int_range(pl.len()) % 3 == 0).then(None).otherwise("good").alias("good"),
        pl.when(pl.int_range(pl.len()) % 5 == 0).then(np.nan).otherwise("noise").alias("noise"),
    )
    found = selection.correlation(holes)
    for one, other in (("good", "noise"), ("good", "good copy"), ("noise", "good copy")):
        both = holes.select(one, other).with_columns(pl.all().fill_nan(None)).drop_nulls()
        assert by(found, other, one) == pytest.approx(both.select(pl.corr(one, other)).item(), abs=1e-12)


def test_weights_count_as_repeated_rows():
    holes = pl.when(pl.int_range(80) % 7 > 0).then("noise")
    rows = frame(80).drop("nothing").with_columns(n=pl.int_range(80) % 4, noise=holes)
    repeated = rows.select(pl.all().repeat_by("n")).explode(pl.all()).drop("n")
    plain = rows.drop("n")
    np.testing.assert_allclose(
        selection.correlation(rows, plain.columns, weight="n").drop("feature").to_numpy(),
        selection.correlation(repeated, plain.columns).drop("feature").to_numpy(),
        atol=1e-12,
    )
    assert (
        selection.correlated_groups(rows, weight="n")["representative"].to_list()
        == selection.correlated_groups(repeated)["representative"].to_list()
    )
    entropy = [
        selection.mutual_information(part, "is_anomaly", ["kind"], weight=weight)["information"].item()
        / selection.mutual_information(part, "is_anomaly", ["kind"], weight=weight)["entropy_share"].item()
        for part, weight in ((rows, "n"), (repeated, None))
    ]
    assert entropy[0] == pytest.approx(entropy[1])


def test_correlation_survives_odd_columns():
    rows = pl.DataFrame(
        {
            "huge": [1e308, -1e308, 0.0, 5.0],
            "huge too": [1e308, -1e308, 0.0, 1e200],
            "constant": [0.1 + 0.2] * 4,
            "infinite": [np.inf, 1.0, 2.0, 3.0],
            "empty": pl.Series([None] * 4, dtype=pl.Float64),
            "yes": [True, False, True, False],
            "text": ["a", "b", "c", "d"],
        }
    )
    found = selection.correlation(rows)
    assert found["feature"].to_list() == ["huge", "huge too", "constant", "infinite", "empty", "yes"]
    matrix = found.drop("feature").to_numpy()
    assert np.isfinite(matrix).all()
    np.testing.assert_array_equal(np.diag(matrix), 1.0)
    assert by(found, "huge too", "huge") == pytest.approx(1.0)
    assert by(found, "huge", "constant") == by(found, "huge", "empty") == 0.0


def test_groups_name_the_feature_with_the_highest_variance():
    table = selection.correlated_groups(frame())
    assert table["feature"].to_list() == frame().drop("is_anomaly").columns
    for name in ("good", "good copy", "good turned"):
        assert by(table, "representative", name) == "good copy"
        assert by(table, "kept", name) == (name == "good copy")
    assert by(table, "correlation", "good turned") < -0.95
    assert by(table, "group", "noise") is None
    assert table.filter("kept").height == 7


def test_groups_name_the_strongest_feature_if_strengths_are_given():
    table = selection.correlated_groups(frame(), strength={"good turned": 3.0, "good": 1.0})
    assert by(table, "representative", "good copy") == "good turned"


def chain(rows=500):
    """Three columns, each close to the next: the ends are not close."""
    rng = np.random.default_rng(3)
    middle = rng.normal(size=rows)
    one, other = (middle + 0.3 * rng.normal(size=rows) for _ in range(2))
    return pl.DataFrame({"one": one, "middle": middle, "other": other})


def test_ways_of_grouping_differ_on_chains():
    limit = 0.94
    assert by(selection.correlation(chain()), "other", "one") < limit
    strength = {"one": 3.0, "middle": 2.0, "other": 1.0}
    direct = selection.correlated_groups(chain(), limit=limit, strength=strength)
    linked = selection.correlated_groups(chain(), limit=limit, strength=strength, grouping="connected")
    assert direct["kept"].to_list() == [True, False, True]
    assert linked["kept"].to_list() == [True, False, False]
    assert linked["representative"].to_list() == ["one"] * 3


@given(st.integers(0, 10_000), st.floats(0.3, 0.99), st.sampled_from(["representative", "connected"]))
@settings(deadline=None, max_examples=40)
def test_whatever_goes_is_linked_to_what_stays(seed, limit, grouping):
    rng = np.random.default_rng(seed)
    rows = pl.DataFrame(rng.normal(size=(30, 3)) @ rng.normal(size=(3, 6)))
    table = selection.correlated_groups(rows, limit=limit, grouping=grouping)
    gone = table.filter(~pl.col("kept"))
    staying = set(table.filter("kept")["feature"])
    assert set(gone["representative"]) <= staying
    if grouping == "representative":
        assert (gone["correlation"].abs() >= limit).all()
        matrix = selection.correlation(rows.select(staying)).drop("feature").to_numpy()
        assert (np.abs(matrix[~np.eye(len(matrix), dtype=bool)]) < limit).all()


def tree_power(values, label, fold, folds):
    """Power by a full decision tree of scikit-learn in the same folds."""
    found = []
    for one in range(folds):
        test = fold == one
        model = DecisionTreeClassifier(random_state=0).fit(values[~test, None], label[~test])
        found.append(f1_score(label[test], model.predict(values[test, None]), average="weighted"))
    share = label.mean()
    common = max(share, 1 - share)
    naive = max(2 * common * common / (1 + common), share**2 + (1 - share) ** 2)
    return max((np.mean(found) - naive) / (1 - naive), 0.0)


@pytest.mark.parametrize("name", ["gives away", "good", "two sides", "noise", "few"])
def test_power_is_that_of_a_full_decision_tree(name):
    rows = frame().with_columns(few=(pl.col("good") * 3).round())
    label = rows["is_anomaly"].cast(pl.Int64).to_numpy()
    fold = target_encoding.assign_folds(label, 4, 7)
    # Trees of scikit-learn see float32: ranks keep the order, but not the distances.
    values = rows[name].to_numpy().astype(np.float32)
    rounded = rows.with_columns(pl.Series(name, values))
    found = selection.predictive_power(rounded, "is_anomaly", [name], seed=7)
    assert found["power"].item() == pytest.approx(tree_power(values, label, fold, 4), abs=1e-9)
    assert found["low"].item() <= found["power"].item() <= found["high"].item()


def test_power_of_texts_and_of_missing_values():
    rows = frame()
    holes = rows.with_columns(gone=pl.when("is_anomaly").then(None).otherwise(1.0))
    found = selection.predictive_power(holes, "is_anomaly", ["kind", "gone", "nothing", "constant"])
    assert by(found, "power", "gone") == 1.0
    assert 0.6 < by(found, "power", "kind") < 1.0
    assert by(found, "power", "nothing") == by(found, "power", "constant") == 0.0
    identifiers = rows.with_columns(name=pl.int_range(pl.len()).cast(pl.String))
    assert selection.predictive_power(identifiers, "is_anomaly", ["name"])["power"].item() == 0.0


def test_power_weighs_rows():
    rows = frame(200).with_columns(n=pl.when("is_anomaly").then(3).otherwise(1))
    found = selection.predictive_power(rows, "is_anomaly", ["good"], weight="n")
    share = 3 * rows["is_anomaly"].sum() / rows["n"].sum()
    common = max(share, 1 - share)
    assert found["naive_f1"].item() == pytest.approx(max(2 * common**2 / (1 + common), share**2 + (1 - share) ** 2))


def test_the_nearest_value_decides_and_the_smaller_of_two_equally_near():
    known = np.array([-np.inf, 1.0, 3.0, np.inf])
    np.testing.assert_array_equal(signal._nearest(known, np.array([1.5, 2.0, 2.5, 1e308])), [1, 1, 2, 2])
    np.testing.assert_array_equal(signal._nearest(np.array([4.0]), np.array([0.0, 9.0])), [0, 0])


def test_area_under_the_curve_is_that_of_out_of_fold_shares():
    rows = frame()
    label = rows["is_anomaly"].to_numpy()
    found = selection.single_feature_auc(rows, "is_anomaly", ["kind"], seed=3)
    fold = target_encoding.assign_folds(label.astype(int), 5, 3)
    score = np.zeros(len(label))
    for one in range(5):
        rest = rows.filter(fold != one)
        prior = label.mean()
        share = rest.group_by("kind").agg(
            (pl.col("is_anomaly").sum() + target_encoding.SMOOTHING * prior) / (pl.len() + target_encoding.SMOOTHING)
        )
        lookup = dict(share.iter_rows())
        score[fold == one] = [lookup.get(kind, prior) for kind in rows.filter(fold == one)["kind"]]
    assert found["auc"].item() == pytest.approx(roc_auc_score(label, score), abs=1e-9)
    assert found["rank_auc"].item() is None


def test_area_under_the_curve_knows_no_direction_and_no_shape():
    found = selection.single_feature_auc(frame(3_000), "is_anomaly")
    assert by(found, "rank_auc", "good turned") == pytest.approx(1 - by(found, "rank_auc", "good"), abs=0.01)
    assert by(found, "auc", "good turned") == pytest.approx(by(found, "rank_auc", "good"), abs=0.03)
    assert abs(by(found, "rank_auc", "two sides") - 0.5) < 0.05
    assert by(found, "auc", "two sides") > 0.93
    assert by(found, "low", "noise") < 0.5
    assert by(found, "auc", "noise") < 0.53
    assert found.filter("too_good")["feature"].to_list() == ["gives away"]
    assert ((found["low"] <= found["auc"]) & (found["auc"] <= found["high"])).all()


def test_the_interval_of_the_area_covers_the_truth():
    truth = 0.921  # Phi(2 / sqrt 2)
    held = 0
    for seed in range(60):
        found = selection.single_feature_auc(frame(500, seed), "is_anomaly", ["good"])
        rank = found["rank_auc"].item()
        normal, bad = (frame(500, seed).filter(is_anomaly=value)["good"].to_numpy() for value in (False, True))
        counts = [np.histogram(part, np.linspace(-6, 9, 4_000))[0].astype(float) for part in (normal, bad)]
        area, low, high = signal._area(*counts, (len(normal), len(bad)))
        assert area == pytest.approx(rank, abs=1e-3)
        held += low <= truth <= high
    assert held >= 52


def test_the_interval_of_the_area_is_that_of_delong():
    normal, bad = np.array([1.0, 2, 2, 3, 5]), np.array([2.0, 4, 4, 6])
    wins = (bad[:, None] > normal) + 0.5 * (bad[:, None] == normal)
    area = wins.mean()
    spread = wins.mean(axis=1).var(ddof=1) / 4 + wins.mean(axis=0).var(ddof=1) / 5
    reach = 1.959964 * np.sqrt(spread) / (area * (1 - area))
    ends = [1 / (1 + np.exp(-(np.log(area / (1 - area)) + sign * reach))) for sign in (-1, 1)]
    counts = [np.bincount(part.astype(int), minlength=7).astype(float) for part in (normal, bad)]
    assert signal._area(*counts, (5, 4)) == pytest.approx((area, *ends), abs=1e-6)
    assert signal._area(*(7 * part for part in counts), (5, 4)) == pytest.approx((area, *ends), abs=1e-6)


def test_times_and_truth_values_are_ranked_too():
    start = dt.datetime(2024, 1, 1)
    rows = frame().with_columns(
        when=pl.Series([start + dt.timedelta(minutes=place) for place in range(ROWS)]), yes=pl.col("good") > 1
    )
    found = selection.single_feature_auc(rows, "is_anomaly", ["when", "yes"])
    assert by(found, "rank_auc", "yes") > 0.8
    assert 0.4 < by(found, "rank_auc", "when") < 0.6


def test_information_is_that_of_the_counts_less_the_bias():
    rows = frame(4_000)
    label, kind = rows["is_anomaly"].to_numpy(), rows["kind"].to_numpy()
    found = selection.mutual_information(rows, "is_anomaly", ["kind", "noise", "is_bad", "gives away"][:2])
    plain = mutual_info_score(label, kind) / np.log(2)
    filled = len(set(zip(label, kind, strict=True)))
    bias = (filled - 3 - 2 + 1) / (2 * 4_000 * np.log(2))
    assert by(found, "information", "kind") == pytest.approx(plain - bias, abs=1e-12)
    assert by(found, "information", "noise") < 0.003
    share = label.mean()
    entropy = -(share * np.log2(share) + (1 - share) * np.log2(1 - share))
    assert by(found, "entropy_share", "kind") == pytest.approx(by(found, "information", "kind") / entropy)


def test_noise_has_no_information_on_average():
    rng = np.random.default_rng(5)
    rows = pl.DataFrame({f"n{place}": rng.normal(size=500) for place in range(60)}).with_columns(
        is_anomaly=pl.Series(rng.random(500) < 0.2)
    )
    found = selection.mutual_information(rows, "is_anomaly")["information"]
    assert found.median() < 0.005
    assert found.max() < 0.04


@pytest.mark.parametrize("rows", [60, 400, 5_000])
def test_a_feature_that_separates_few_rows_is_too_good(rows):
    rng = np.random.default_rng(2)
    bad = np.arange(rows) < rows // 4
    table = pl.DataFrame({"is_anomaly": bad, "sharp": rng.normal(size=rows) + 20 * bad, "noise": rng.random(rows)})
    found = selection.single_feature_auc(table, "is_anomaly")
    assert found["too_good"].to_list() == [True, False]
    assert found["best_auc"][0] == 1.0
    assert 0.5 <= found["best_auc"][1] < 0.75


def test_bins_hold_equal_weight_and_keep_missing_values_apart():
    code = target_encoding.codes(pl.Series([None, 1.0, 2.0, 3.0, 4.0, np.nan, 5.0, 6.0]))
    np.testing.assert_array_equal(code, [0, 1, 2, 3, 4, 0, 5, 6])
    np.testing.assert_array_equal(target_encoding.bins(code, np.ones(8), 3), [0, 1, 1, 2, 2, 0, 3, 3])
    np.testing.assert_array_equal(target_encoding.bins(code, np.ones(8), 6), code)


def test_stability_of_equal_and_of_opposite_choices():
    same = np.tile([True, True, False, False], (10, 1))
    assert selection.stability_index(same) == (1.0, 1.0, 1.0)
    turned = np.vstack([same[:5], ~same[:5]])
    index, low, high = selection.stability_index(turned)
    assert index < 0
    assert low <= index <= high
    assert selection.stability_index(np.ones((5, 3), dtype=bool)) == (1.0, 1.0, 1.0)


def test_the_index_is_that_of_its_definition_and_zero_for_chance():
    rng = np.random.default_rng(0)
    choices = np.zeros((2_000, 12), dtype=bool)
    for row in choices:
        row[rng.choice(12, 4, replace=False)] = True
    index, low, high = selection.stability_index(choices)
    variances = choices.var(axis=0, ddof=1).mean()
    assert index == pytest.approx(1 - variances / (4 / 12 * 8 / 12))
    assert low < 0 < high
    assert high - low < 0.03


def test_the_interval_of_the_index_holds_what_many_repeats_give():
    rng = np.random.default_rng(1)
    scores = np.array([3.0, 2.5, 2.0, 1.9, 1.8, 0, 0, 0])
    indices, widths = [], []
    for _ in range(300):
        noisy = scores + 0.7 * rng.normal(size=(40, 8))
        choices = noisy >= np.sort(noisy, axis=1)[:, [-3]]
        index, low, high = selection.stability_index(choices)
        indices.append(index)
        widths.append((high - low) / 2)
    assert np.mean(widths) == pytest.approx(1.96 * np.std(indices), rel=0.2)


def test_stability_finds_the_features_that_always_win():
    found = selection.stability(frame(1_500), "is_anomaly", top=3, resamples=20)
    assert found.resamples == 20
    assert found.top == 3
    assert found.table.row(0, named=True)["feature"] == "gives away"
    assert by(found.table, "frequency", "gives away") == 1.0
    assert by(found.table, "frequency", "noise") == 0.0
    assert found.table["frequency"].sum() == pytest.approx(3.0)
    assert found.table["chosen"].sum() == 3
    assert ((found.table["low"] <= found.table["frequency"]) & (found.table["frequency"] <= found.table["high"])).all()
    assert found.low <= found.index <= found.high
    assert found.verdict in {"excellent", "fair", "poor"}


def test_stability_is_poor_where_nothing_is_known():
    rng = np.random.default_rng(2)
    rows = pl.DataFrame(rng.normal(size=(300, 30))).with_columns(is_anomaly=pl.Series(rng.random(300) < 0.5))
    found = selection.stability(rows, "is_anomaly", resamples=20)
    assert found.top == 10
    assert found.verdict == "poor"
    again = selection.stability(rows, "is_anomaly", resamples=20)
    assert again.table.equals(found.table)


def test_stability_words():
    table = pl.DataFrame()
    words = [selection.Stability(table, index, index, index, 1, 2).verdict for index in (0.8, 0.5, 0.1)]
    assert words == ["excellent", "fair", "poor"]


def test_selection_gives_a_reason_for_each_feature_that_goes():
    chosen = selection.select(frame(2_000), "is_anomaly")
    verdicts = dict(chosen.table.select("feature", "verdict").iter_rows())
    assert verdicts == {
        "gives away": "too good to be true",
        **{name: verdicts[name] for name in ("good", "good copy", "good turned")},
        "two sides": "keep",
        "noise": "no signal",
        "kind": "keep",
        "constant": "constant",
        "nothing": "constant",
    }
    assert sorted(verdicts[name] for name in ("good", "good copy", "good turned")) == ["correlated"] * 2 + ["keep"]
    best = next(name for name in ("good", "good copy", "good turned") if verdicts[name] == "keep")
    assert chosen.kept == ("gives away", best, "two sides", "kind")
    assert chosen.too_good == ("gives away",)
    assert set(chosen.dropped) == set(verdicts) - set(chosen.kept)
    assert all(chosen.dropped.values())
    other = next(name for name in ("good", "good copy") if name != best)
    assert chosen.dropped[other].startswith(f"says what {best} says")


def test_a_feature_too_good_is_dropped_only_if_asked():
    rows = frame(1_000).with_columns(pl.col("gives away").alias("its copy") * 2)
    flagged = selection.select(rows, "is_anomaly")
    assert sum(name in flagged.kept for name in ("gives away", "its copy")) == 1
    assert set(flagged.too_good) == {"gives away", "its copy"}
    dropped = selection.select(rows, "is_anomaly", drop_too_good=True)
    assert {"gives away", "its copy"} <= set(dropped.dropped)
    assert "AUC 1.000" in dropped.dropped["gives away"]


def test_the_widest_of_a_group_stands_for_it_if_asked():
    chosen = selection.select(frame(), "is_anomaly", stands="widest")
    assert "good copy" in chosen.kept
    assert {"good", "good turned"} <= set(chosen.dropped)


def test_features_that_are_mostly_missing_go():
    rows = frame().with_columns(rare=pl.when(pl.int_range(pl.len()) < 20).then("good"))
    chosen = selection.select(rows, "is_anomaly")
    assert chosen.dropped["rare"] == "lacks 96.7% of its values"
    assert "rare" in selection.select(rows, "is_anomaly", ["rare", "kind"], most_missing=0.99).kept


@pytest.mark.parametrize("label", [None, "is_anomaly"])
def test_selection_without_labels_or_with_one_class(label):
    rows = frame().with_columns(is_anomaly=pl.lit(False))
    chosen = selection.select(rows, label)
    assert {"constant", "nothing"} <= set(chosen.dropped)
    assert sum(name in chosen.kept for name in ("good", "good copy", "good turned")) == 1
    assert {"noise", "kind", "two sides"} <= set(chosen.kept)
    assert chosen.too_good == ()
    assert chosen.table["power"].null_count() == chosen.table.height


def test_odd_feature_names_in_reasons():
    rows = frame().rename({"good": "{}", "good copy": "{feature}"})
    chosen = selection.select(rows, "is_anomaly")
    assert sum("says what {" in why or "says what good turned" in why for why in chosen.dropped.values()) == 2


@pytest.mark.parametrize("rows", [0, 1, 2, 5])
def test_few_rows_are_no_error(rows):
    chosen = selection.select(frame().head(rows), "is_anomaly")
    assert chosen.table.height == 9
    assert set(chosen.kept) | set(chosen.dropped) == set(chosen.table["feature"])


def test_weights_and_rows_without_a_label():
    rows = frame().with_columns(n=pl.lit(2.0))
    weighted = selection.select(rows, "is_anomaly", weight="n")
    assert "n" not in weighted.table["feature"]
    plain = selection.select(rows.drop("n"), "is_anomaly")
    assert weighted.kept == plain.kept
    np.testing.assert_allclose(weighted.table["information"], plain.table["information"], atol=1e-9)
    unlabelled = frame().with_columns(
        is_anomaly=pl.when(pl.int_range(pl.len()) < 300).then("is_anomaly").otherwise(None)
    )
    np.testing.assert_allclose(
        selection.mutual_information(unlabelled, "is_anomaly")["information"],
        selection.mutual_information(frame().head(300), "is_anomaly")["information"],
    )


def test_measures_are_null_without_two_classes():
    one = frame().with_columns(is_anomaly=pl.lit(True))
    assert selection.predictive_power(one, "is_anomaly")["power"].null_count() == 9
    assert selection.single_feature_auc(one, "is_anomaly")["auc"].null_count() == 9
    assert selection.mutual_information(one, "is_anomaly")["information"].null_count() == 9
    unweighted = frame().with_columns(n=pl.col("is_anomaly").cast(pl.Float64))
    assert selection.single_feature_auc(unweighted, "is_anomaly", weight="n")["auc"].null_count() == 9
    few = frame().filter(~pl.col("is_anomaly") | (pl.col("is_anomaly").cum_sum() <= 2))
    assert selection.predictive_power(few, "is_anomaly")["power"].null_count() == 9


def test_wrong_questions_are_refused():
    rows = frame()
    refused(lambda: selection.gaps(rows, ["godo"]), "'godo'")
    refused(lambda: selection.gaps(rows, ["good", "good"]), "once")
    refused(lambda: selection.gaps(rows.with_columns(many=pl.lit([1]))), "'many'", "List")
    refused(lambda: selection.mutual_information(rows, "label"), "'label'", "Boolean")
    refused(lambda: selection.mutual_information(rows, "good"), "'good'", "Float64")
    refused(lambda: selection.mutual_information(rows, "is_anomaly", ["is_anomaly"]), "without the label")
    refused(lambda: selection.mutual_information(rows, "is_anomaly", weight="kind"), "weight 'kind'", "String")
    refused(lambda: selection.mutual_information(rows, "is_anomaly", weight="n"), "weight 'n'")
    refused(lambda: selection.select(rows, "is_anomaly", weight="good"), "'good'", "not negative", error=DataError)
    refused(lambda: selection.correlation(rows, method="kendall"), "'kendall'", error=SettingsError)
    refused(lambda: selection.correlated_groups(rows, grouping="all"), "'all'", error=SettingsError)
    refused(lambda: selection.correlated_groups(rows, limit=0), "limit", error=SettingsError)
    refused(lambda: selection.select(rows, None, stands="first"), "'first'", error=SettingsError)
    refused(lambda: selection.predictive_power(rows, "is_anomaly", folds=1), "folds", error=SettingsError)
    refused(lambda: selection.stability(rows, "is_anomaly", top=0), "top", error=SettingsError)
    refused(lambda: selection.stability(rows, "is_anomaly", resamples=1), "resamples", error=SettingsError)
    one = rows.with_columns(is_anomaly=pl.lit(True))
    refused(lambda: selection.stability(one, "is_anomaly"), "both classes", error=DataError)


def test_the_rows_of_the_caller_are_not_changed():
    rows = frame()
    before = rows.clone()
    selection.select(rows, "is_anomaly")
    selection.stability(rows, "is_anomaly", resamples=3)
    assert rows.equals(before)


def test_constants_of_the_limits_agree():
    assert redundancy.LIMIT == 0.95
    assert selection.TOO_GOOD == 0.98
    assert selection.VERDICTS[0] == "keep"


def test_columns_may_be_called_as_columns_of_the_results():
    rows = pl.DataFrame({"rows": ["a", "b", "b"], "feature": [1.0, 2.0, 3.0]})
    assert selection.gaps(rows)["distinct"].to_list() == [2, 3]
    refused(lambda: selection.correlation(rows), "no feature must be called 'feature'", "rename it")
