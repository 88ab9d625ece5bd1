"""Protocols for attacks of kinds that nobody has seen, on small generated tables."""

import datetime as dt
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from tests.unit.small_data import dataset, table
from utils.datasets.contract import Roles
from utils.detectors import new_attacks
from utils.detectors.ensembles import Ensemble
from utils.detectors.new_attacks import Recipe, SharedBudget
from utils.detectors.new_attacks.judging import Judged, share_of
from utils.errors import DataError, SettingsError
from utils.evaluation import splits
from utils.features.flows import FlowFeatures

START = dt.datetime(2026, 3, 2)
ROLES = Roles(
    unit="flow",
    label="is_anomaly",
    anomaly_type="anomaly_type",
    features=("a", "b", "c"),
    time="when",
)
FITS: list[str] = []


class Distance(BaseEstimator):
    """Distance from the mean of training in one column; counts how often it is fitted."""

    def __init__(self, column="a"):
        self.column = column

    def fit(self, X, y=None):
        FITS.append(self.column)
        self.centre_ = float(X[self.column].mean())
        return self

    def score_samples(self, X):
        return np.abs(X[self.column].to_numpy() - self.centre_)

    def explain(self, X):
        return [f"{self.column} is {value:.1f}" for value in X[self.column]]


class Memory(ClassifierMixin, BaseEstimator):
    """Knows the kinds of anomaly that it has been taught, by the sign of one column."""

    def fit(self, X, y):
        self.rows_ = X.height
        self.learned_ = X.filter(pl.Series(y == 1))
        self.classes_ = np.array([0, 1])
        return self

    def predict_proba(self, X):
        like = [float((self.learned_["c"] - value).abs().min() < 0.05) for value in X["c"]]
        return np.column_stack([1 - np.array(like), like])


def members(seed):
    return {"far in a": Distance("a"), "far in b": Distance("b"), "memory": Memory()}


RECIPE = Recipe(
    members,
    {
        "one-class": {"far in a": 0.5, "far in b": 0.5},
        "labelled": {"memory": 1.0},
        "combined": {"far in a": 0.4, "far in b": 0.4, "memory": 0.2},
    },
    rate=0.1,
)


def flows(rows=600, seed=0, days=5, kinds=("left", "up", "odd")):
    """Normal rows around 0 with c in 0..1; "left" is far in a, "up" far in b; each kind has its own c."""
    rng = np.random.default_rng(seed)
    kind = np.where(rng.random(rows) < 0.3, rng.choice(kinds, rows), "normal")
    values = {
        "a": rng.normal(size=rows) + 9 * (kind == "left"),
        "b": rng.normal(size=rows) + 9 * (kind == "up"),
        "c": np.select(
            [kind == "left", kind == "up", kind == "odd", kind == "strange"], [-1, -2, 2, 3], rng.random(rows)
        ),
    }
    when = [START + dt.timedelta(days=days * place / rows) for place in range(rows)]
    return pl.DataFrame({**values, "when": when, "is_anomaly": kind != "normal", "anomaly_type": kind})


def test_later_days_are_judged_by_what_the_earlier_ones_taught():
    found = new_attacks.later_days(flows(), ROLES, RECIPE, seeds=(1, 2), resamples=20)
    assert "earlier rows" in found.protocol
    combined = found.alarms.filter(detector="combined", nominal=0.1).row(0, named=True)
    assert combined["recall"] > 0.97
    assert combined["seeds"] == 2
    assert combined["low"] <= combined["real"] <= combined["high"]
    assert combined["f1_low"] <= combined["f1"] <= combined["f1_high"]
    assert combined["natural_f1"] is None
    beside = found.side_by_side(0.1)
    assert beside["family"].to_list() == ["left", "odd", "up"]
    assert beside["known"].all()
    assert beside.row(1, named=True)["one-class"] < 0.5 < beside.row(1, named=True)["labelled"]
    assert beside.row(0, named=True)["one-class"] > 0.9
    numbers = found.results(0.1, "combined")
    assert numbers["worst_family_recall"] == pytest.approx(beside["combined"].min())
    assert numbers["f1"] == combined["f1"]


def test_days_stay_whole_and_rows_of_one_day_are_divided_by_their_times():
    frame = flows(days=5)
    sides = new_attacks.split_by_days(frame, ROLES)
    earlier, later = (set(frame["when"].gather(rows).dt.date()) for rows in (sides.train, sides.test))
    assert not earlier & later
    assert max(earlier) < min(later)
    short = flows(days=0.2)
    sides = new_attacks.split_by_days(short, ROLES)
    assert sides.test.size == pytest.approx(0.4 * short.height, abs=1)


def test_numbers_serve_as_times():
    frame = flows().with_columns(when=pl.int_range(pl.len()))
    assert new_attacks.split_by_days(frame, ROLES).test.size == 240


def test_a_family_new_to_later_days_is_told_from_known_ones():
    frame = flows()
    late = pl.col("when") >= START + dt.timedelta(days=3)
    frame = frame.filter(late | (pl.col("anomaly_type") != "up"))
    found = new_attacks.later_days(frame, ROLES, RECIPE, resamples=0)
    known = dict(found.side_by_side(0.1).select("family", "known").iter_rows())
    assert known == {"left": True, "odd": True, "up": False}


def test_weights_of_the_wild_change_precision_and_nothing_else():
    plain = flows()
    weight = pl.when("is_anomaly").then(1.0).otherwise(50.0).alias("natural_weight")
    weighed = new_attacks.later_days(plain.with_columns(weight), ROLES, RECIPE, resamples=0).alarms
    plain = new_attacks.later_days(plain, ROLES, RECIPE, resamples=0).alarms
    same = ["detector", "nominal", "real", "recall", "precision", "f1"]
    assert weighed.select(same).equals(plain.select(same))
    assert (weighed["natural_precision"] <= weighed["precision"]).all()
    assert weighed.filter(detector="combined", nominal=0.1)["natural_precision"].item() < 0.4


def test_each_family_is_looked_for_by_what_the_others_taught():
    frame = flows(kinds=("left", "up", "odd", "strange"))
    told = []
    found = new_attacks.left_out_families(frame, ROLES, RECIPE, report=told.append)
    beside = found.side_by_side(0.1)
    assert beside["family"].to_list() == ["left", "odd", "strange", "up"]
    assert len(told) == 4
    assert beside["labelled"].max() < 0.5, "what is left out is not known"
    assert beside["one-class"].to_list()[0] > 0.9
    assert not beside["known"].any()
    assert found.families["n"].sum() == 9 * frame["is_anomaly"].sum()
    alarms = found.alarms.filter(detector="combined", nominal=0.1)
    assert alarms["f1"].item() is None
    assert alarms["recall"].item() == pytest.approx(beside["combined"].mean())


def test_families_can_be_left_out_together():
    frame = flows(kinds=("left", "up", "odd", "strange"))
    together = {"odd": "by c", "strange": "by c"}
    found = new_attacks.left_out_families(frame, ROLES, RECIPE, families=together).side_by_side(0.1)
    assert found["family"].to_list() == ["by c", "left", "up"]
    apart = new_attacks.left_out_families(frame, ROLES, RECIPE).side_by_side(0.1)
    assert found.row(0, named=True)["n"] == apart["n"][1] + apart["n"][2]


def test_what_learns_from_normal_rows_alone_is_fitted_once_for_all_families():
    FITS.clear()
    new_attacks.left_out_families(flows(), ROLES, RECIPE, held_out=0.3)
    assert sorted(FITS) == ["a", "b"]


def test_scores_taken_over_from_one_fit_are_those_of_a_joint_ensemble():
    """The parts of an ensemble divide the normal rows alike, so that their calibrations belong to the same rows."""
    frame = flows()
    learned = new_attacks.learn(frame, ROLES, RECIPE, seed=3)
    groups = splits.distinct_rows(frame, ROLES.features)
    whole = Ensemble(members(3), held_out=4, seed=3).fit(frame, frame["is_anomaly"], groups=groups)
    apart = pl.concat([learned.alone.calibration_, learned.taught.calibration_], how="horizontal")
    assert apart.select(whole.calibration_.columns).equals(whole.calibration_)
    assert learned.member_scores(frame).select(list(whole.members)).equals(whole.member_scores(frame))


def test_twins_of_a_tested_row_are_not_learned_from():
    frame = flows().with_columns(group=pl.int_range(pl.len()))
    twin = frame.filter(pl.col("anomaly_type") == "odd").head(1).with_columns(anomaly_type=pl.lit("left"))
    frame = pl.concat([frame, twin])
    found = new_attacks.left_out_families(frame, replace(ROLES, group="group"), RECIPE)
    assert found.side_by_side(0.1)["family"].to_list() == ["left", "odd", "up"]
    odd = found.families.filter(family="odd", detector="labelled", nominal=0.1).row(0, named=True)
    assert odd["recall"] == 0.0, "the twin under another name would give the family away"


def test_a_budget_keeps_the_real_rate_of_later_days_within_the_limit():
    frame = flows(3_000)
    told = []
    budget = new_attacks.alarm_budget(frame, ROLES, RECIPE, "combined", most=0.08, report=told.append)
    assert len(told) == 4
    everything = budget.table.filter(part="all")
    assert everything.filter(nominal=budget.rate)["high"].item() <= 0.08
    assert everything.filter(pl.col("nominal") > budget.rate)["high"].min() > 0.08 or budget.rate == 0.1
    assert (
        everything["normals"][0] == budget.table.filter(pl.col("part") != "all", nominal=budget.rate)["normals"].sum()
    )


def test_a_budget_shrinks_where_normal_rows_drift():
    frame = flows(2_000)
    day = (pl.col("when") - START).dt.total_days()
    drifting = frame.with_columns(a=pl.when("is_anomaly").then("a").otherwise(pl.col("a") * (1 + 0.3 * day)))
    still, moved = (
        new_attacks.alarm_budget(each, ROLES, RECIPE, "combined", most=0.08).rate for each in (frame, drifting)
    )
    assert moved < still


def test_a_budget_that_none_holds_is_the_lowest_of_the_grid():
    frame = flows(400)
    budget = new_attacks.alarm_budget(frame, ROLES, RECIPE, "combined", most=0.001, grid=(0.05, 0.1))
    assert budget.rate == 0.05


def test_a_budget_is_chosen_by_parts_of_a_single_day():
    budget = new_attacks.alarm_budget(flows(days=0.2), ROLES, RECIPE, "combined", most=0.2)
    assert budget.table["part"].n_unique() == 4


def test_rows_without_labels_are_put_in_order():
    frame = flows(kinds=("left",))
    bare = frame.drop("is_anomaly", "anomaly_type", "when")
    roles = Roles(unit="flow", features=ROLES.features)
    found = new_attacks.ranked(bare, roles, RECIPE, "combined", most=frame["is_anomaly"].sum())
    assert frame["is_anomaly"].gather(found["row"]).mean() > 0.3
    assert found["share_as_high"].is_sorted()
    first = found.row(0, named=True)
    assert first["why"] == f"{first['loudest'][-1]} is {bare[first['loudest'][-1]][first['row']]:.1f}"


def test_a_ranking_needs_a_member_that_needs_no_label():
    with pytest.raises(DataError, match="must have anomalies"):
        new_attacks.ranked(flows(), ROLES, RECIPE, "labelled")


def test_where_training_has_no_anomaly_detectors_go_on_without_the_members_that_need_them():
    frame = flows()
    late = pl.col("when") > START + dt.timedelta(days=3)
    frame = frame.filter(late | ~pl.col("is_anomaly"))
    found = new_attacks.later_days(frame, ROLES, RECIPE, resamples=0)
    assert set(found.alarms["detector"]) == {"one-class", "combined"}
    assert "no anomaly" in found.left_out["labelled"]
    both = found.families.partition_by("detector")
    assert both[0]["recall"].equals(both[1]["recall"])


def test_no_kind_of_anomaly_rules_the_others():
    frame = flows(2_000)
    capped = new_attacks.learn(frame, ROLES, replace(RECIPE, most_of_a_kind=20))
    learned = capped.taught.members_["memory"].learned_
    assert learned["anomaly_type"].value_counts().sort("anomaly_type")["count"].to_list() == [20, 20, 20]
    free = new_attacks.learn(frame, ROLES, replace(RECIPE, most_of_a_kind=None))
    assert free.taught.members_["memory"].learned_.height == frame["is_anomaly"].sum()


def test_new_rows_are_learned_from_before_copies():
    frame = flows()
    odd = frame.filter(pl.col("anomaly_type") == "odd")
    copies = pl.concat([odd.head(1)] * 500)
    learned = new_attacks.learn(pl.concat([frame, copies]), ROLES, replace(RECIPE, most_of_a_kind=odd.height))
    known = learned.taught.members_["memory"].learned_.filter(anomaly_type="odd")
    assert known.unique(ROLES.features).height == odd.height


@pytest.mark.parametrize(
    ("roles", "protocol", "why"),
    [
        (replace(ROLES, label=None), "later days", "labelled"),
        (replace(ROLES, label=None), "left-out families", "labelled"),
        (replace(ROLES, time=None), "later days", "no time"),
        (replace(ROLES, anomaly_type=None), "left-out families", "found 1"),
    ],
)
def test_a_table_says_which_protocols_it_allows(roles, protocol, why):
    found = new_attacks.possible(flows(), roles).filter(protocol=protocol).row(0, named=True)
    assert not found["possible"]
    assert why in found["why"]


def test_every_protocol_is_possible_with_labels_kinds_and_times():
    assert new_attacks.possible(flows(), ROLES)["possible"].all()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"when": pl.lit(START)}, "one time"),
        ({"is_anomaly": pl.col("when") >= START + dt.timedelta(days=3)}, "one class"),
        ({"is_anomaly": pl.col("when") < START + dt.timedelta(days=3)}, "no normal"),
    ],
)
def test_later_days_need_days_with_both_classes(change, why):
    frame = flows().with_columns(**change)
    found = new_attacks.possible(frame, ROLES).row(0, named=True)
    assert not found["possible"]
    assert why in found["why"]


def test_without_labels_or_times_a_protocol_refuses_in_one_sentence():
    with pytest.raises(DataError, match="labels"):
        new_attacks.later_days(flows(), replace(ROLES, label=None), RECIPE)
    with pytest.raises(DataError, match="left_out_families"):
        new_attacks.later_days(flows(), replace(ROLES, time=None), RECIPE)
    with pytest.raises(DataError, match="kind can be left out"):
        new_attacks.left_out_families(flows(kinds=("left",)), ROLES, RECIPE)
    with pytest.raises(DataError, match="at least 2 days"):
        new_attacks.alarm_budget(flows().with_columns(when=pl.lit(START)), ROLES, RECIPE, "combined")


def test_a_recipe_names_members_that_there_are():
    with pytest.raises(SettingsError, match="'nobody'"):
        new_attacks.learn(flows(), ROLES, replace(RECIPE, detectors={"lost": {"nobody": 1.0}}))


def test_a_recipe_can_be_narrowed_to_some_detectors():
    assert list(RECIPE.of("labelled").detectors) == ["labelled"]


def test_rows_keep_the_times_that_their_table_has_lost():
    data = table(300)
    frame, _ = new_attacks.rows_of(data)
    bare = frame.drop("when", "client")
    made = dataset({"flows": bare}, {"flows": replace(data.roles["flows"], time=None, identity=())})
    again, meaning = new_attacks.rows_of(data, made)
    assert meaning.time == "when"
    assert again["when"].equals(frame["when"])
    short = dataset({"flows": bare.head(10)}, made.roles)
    assert new_attacks.rows_of(data, short)[1].time is None


def test_rows_without_time_or_label_are_left_out():
    data = table(300)
    holes = pl.int_range(pl.len())
    frame = data["flows"].with_columns(
        when=pl.when(holes % 10 > 0).then("when"), is_anomaly=pl.when(holes % 7 > 0).then("is_anomaly")
    )
    rows, _ = new_attacks.rows_of(dataset({"flows": frame}, data.roles))
    assert rows.height == sum(place % 10 > 0 and place % 7 > 0 for place in range(300))


def test_a_label_that_no_row_has_is_none():
    data = table(50)
    frame = data["flows"].with_columns(is_anomaly=pl.lit(None, pl.Boolean), when=pl.lit(None, pl.Datetime))
    rows, roles = new_attacks.rows_of(dataset({"flows": frame}, data.roles))
    assert rows.height == 50
    assert roles.label is None
    assert roles.time is None
    assert new_attacks.possible(rows, roles)["possible"].to_list() == [False, False, True]


def test_a_budget_passes_over_days_that_taught_too_little():
    """A detector that needs attacks cannot be judged by a first day without any."""
    frame = flows().filter((pl.col("when") >= START + dt.timedelta(days=1)) | ~pl.col("is_anomaly"))
    budget = new_attacks.alarm_budget(frame, ROLES, RECIPE, "labelled", most=0.2)
    days = budget.table["part"].unique().sort().to_list()
    assert days == ["2026-03-04", "2026-03-05", "2026-03-06", "all"]
    with pytest.raises(DataError, match="must have anomalies"):
        new_attacks.alarm_budget(frame.filter(~pl.col("is_anomaly")), ROLES, RECIPE, "labelled")


def test_many_days_are_put_together():
    budget = new_attacks.alarm_budget(flows(days=60), ROLES, RECIPE, "one-class", most=0.2)
    assert budget.table["part"].n_unique() == 4


def test_a_table_that_is_not_there_is_refused():
    with pytest.raises(DataError, match="'flows'"):
        new_attacks.rows_of(table(50), table="hosts")


def test_a_kind_without_a_name_has_one():
    frame = flows().with_columns(
        anomaly_type=pl.when(pl.col("anomaly_type") == "up").then(None).otherwise("anomaly_type").fill_null("normal")
    )
    nameless = frame.with_columns(anomaly_type=pl.when(pl.col("anomaly_type") != "odd").then("anomaly_type"))
    found = new_attacks.later_days(nameless, ROLES, RECIPE, resamples=0)
    assert found.side_by_side(0.1)["family"].to_list() == ["left", "unnamed"]


def test_pipelines_and_transformers_are_members():
    tree = make_pipeline(FlowFeatures(ROLES, scale=None), DecisionTreeClassifier(max_depth=3, random_state=0))
    recipe = Recipe(lambda seed: {"tree": tree}, {"tree": {"tree": 1.0}})
    found = new_attacks.left_out_families(flows(), ROLES, recipe)
    assert found.alarms["real"].max() < 0.2
    assert found.families.filter(family="odd", nominal=0.05)["recall"].item() < 0.5


def test_twins_are_one_piece_of_evidence():
    alarms = np.array([1.0] * 90 + [0.0] * 10)
    _, low, high = share_of(alarms, np.arange(100))
    _, wider_low, wider_high = share_of(alarms, np.arange(100) // 10)
    assert wider_low < low < 0.9 < high < wider_high
    assert np.isnan(share_of(alarms[:0], np.arange(0))).all()


def test_a_class_that_is_missing_leaves_nulls():
    frame = flows().filter("is_anomaly")
    judged = Judged.of(frame, ROLES, set())
    p_values = pl.DataFrame({"one": np.linspace(0.01, 1, frame.height)})
    line = judged.alarms([p_values], [0.1], 0).row(0, named=True)
    assert line["real"] is None
    assert line["roc_auc"] is None
    assert line["recall"] == pytest.approx(0.1, abs=0.02)


@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.floats(0.05, 1), min_size=1, max_size=4),
    st.sampled_from([0.01, 0.05, 0.2]),
    st.booleans(),
)
@settings(deadline=None, max_examples=25)
def test_a_shared_budget_keeps_the_nominal_rate(seed, raw, rate, dependent):
    rng = np.random.default_rng(seed)
    shares = {f"m{place}": share / sum(raw) for place, share in enumerate(raw)}
    base = rng.normal(size=(6_000, 1))
    scores = base + rng.normal(size=(6_000, len(raw))) * (0.1 if dependent else 5)
    frame = pl.DataFrame(scores, schema=list(shares), orient="row")
    fitted = SharedBudget.fitted(shares, frame[:3_000])
    real = (fitted.p_values(frame[3_000:]) <= rate).mean()
    assert real <= rate + 5 * np.sqrt(2 * rate / 3_000)
    assert (fitted.p_values(frame[:0])).size == 0


def test_a_member_with_a_larger_share_raises_more_alarms():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"one": rng.normal(size=5_000), "two": rng.normal(size=5_000)})
    fitted = SharedBudget.fitted({"one": 0.9, "two": 0.1}, frame)
    loud = fitted.spoken(frame)[fitted.p_values(frame) <= 0.1].argmax(axis=1)
    assert (loud == 0).mean() == pytest.approx(0.9, abs=0.03)
