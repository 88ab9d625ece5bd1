"""Recipes seed by seed, and protocols for new attacks on whatever tables allow them."""

import numpy as np
import polars as pl
import pytest

from tests.unit import small_data
from tests.unit.test_scoreboard import rows
from utils.datasets.contract import Roles
from utils.detectors import new_attack_trials, recipe_trials, recipes_days
from utils.detectors.new_attack_trials import DAYS, LEFT_OUT
from utils.evaluation import metrics


@pytest.fixture(scope="module")
def trials():
    frame, roles = rows(n=700)
    return recipe_trials.run_table(
        small_data.dataset({"rows": frame}, {"rows": roles}), seeds=(1, 2), small=True
    ), frame


def test_each_seed_is_judged_at_each_rate(trials):
    found, _ = trials
    assert found.each.height == 3 * 2 * len(recipe_trials.RATES)
    assert set(found.each["recipe"]) == set(recipe_trials.RECIPES)
    assert found.means.height == 3 * len(recipe_trials.RATES)
    assert found.means["seeds"].unique().to_list() == [2]
    assert found.each["roc_auc"].min() > 0.95


def test_decisions_are_those_of_the_p_values(trials):
    found, frame = trials
    assert found.y.equals(frame.filter(split="test")["is_anomaly"])
    first = found.each.filter(seed=1, nominal=0.05)
    for row in first.iter_rows(named=True):
        flagged = found.p_values[row["recipe"]] <= 0.05
        assert row["f1"] == pytest.approx(metrics.f1(found.y, flagged))
        assert row["real"] == pytest.approx(metrics.false_alarm_rate(found.y, flagged))


def test_recall_of_kinds_and_results(trials):
    found, frame = trials
    table = found.recalls(frame["kind"])
    assert set(table["kind"]) == {"old", "new"}
    assert table.filter(detector=recipe_trials.WITHOUT)["rows"].sum() == found.y.sum()
    assert found.results()["with_labels_f1"] == pytest.approx(
        found.means.filter(recipe=recipe_trials.WITH, nominal=0.05)["f1"][0]
    )


def dated(n=900, seed=0):
    """Three days: floods on the first two, scans on the last."""
    rng = np.random.default_rng(seed)
    day = np.sort(rng.integers(0, 3, n))
    attack = rng.random(n) < 0.25
    kinds = np.where(~attack, "normal", np.where(day == 2, "scan", np.where(rng.random(n) < 0.5, "flood", "worm")))
    away = {"normal": (0, 0), "flood": (5, 0), "worm": (0, 5), "scan": (5, 5)}
    points = rng.normal(0, 1, (n, 2)) + np.array([away[kind] for kind in kinds])
    seconds = day * 86_400 + rng.integers(0, 86_400, n)
    return pl.DataFrame(points, schema=["a", "b"]).with_columns(
        pl.Series("kind", kinds),
        pl.Series("is_anomaly", attack),
        pl.Series("time", seconds * 1_000_000, dtype=pl.Int64).cast(pl.Datetime("us")),
        pl.Series("split", np.where(rng.random(n) < 0.7, "train", "test")),
    )


FEATURES = {"features": ("a", "b"), "split": "split"}
KNOWN = {"label": "is_anomaly", "anomaly_type": "kind"}


@pytest.fixture(scope="module")
def dataset():
    return small_data.dataset({"rows": dated()}, {"rows": Roles("row", time="time", **FEATURES, **KNOWN)}, "mine")


@pytest.fixture(scope="module")
def later(dataset):
    return new_attack_trials.run({"mine": dataset}, {"mine": dataset}, small=True, resamples=10)


def test_both_protocols_run_where_labels_and_times_are(later):
    assert set(later) == {("mine", DAYS), ("mine", LEFT_OUT)}
    for found in later.values():
        assert set(new_attack_trials.decided(found)["detector"]) == {"labelled", "one-class", "combined"}
    by_day = new_attack_trials.recalls(later["mine", DAYS])
    assert set(by_day["kind"]) == {"scan"}
    assert not by_day["in_training"].any()
    assert set(new_attack_trials.recalls(later["mine", LEFT_OUT])["kind"]) == {"flood", "worm", "scan"}


def test_numbers_are_recorded_and_said(later):
    results = new_attack_trials.results(later, "mine")
    assert results["later_days_real"] == later["mine", DAYS].results(recipes_days.RATE, "combined")["real"]
    assert new_attack_trials.results(later, "another") == {}
    assert "mine, later days: F1" in new_attack_trials.in_words(("mine", DAYS), later["mine", DAYS])
    assert "worst family" in new_attack_trials.in_words(("mine", LEFT_OUT), later["mine", LEFT_OUT])


def test_tables_without_times_are_passed_over(dataset):
    bare = small_data.dataset({"rows": dated().drop("time")}, {"rows": Roles("row", **FEATURES, **KNOWN)}, "mine")
    assert new_attack_trials.run({"mine": bare}, {"mine": bare}) == {}


def test_a_table_whose_rows_are_alike_does_not_stop_the_others(dataset):
    binary = dated().with_columns((pl.col("a", "b") > 2).cast(pl.Int8))
    labelled = {"rows": Roles("row", time="time", **FEATURES, **KNOWN)}
    mine = {"other": small_data.dataset({"rows": binary}, labelled, "other"), "mine": dataset}
    found = new_attack_trials.run(mine, mine, small=True, resamples=0)
    assert {name for name, _ in found} == {"mine"}
    alike = small_data.dataset(
        {"rows": dated().with_columns(a=1.0, b=2.0)}, {"rows": Roles("row", **FEATURES)}, "other"
    )
    assert new_attack_trials.rankings({"other": alike}) == {}


def test_tables_without_labels_are_ranked_with_reasons():
    frame = dated(400)
    plain = small_data.dataset({"rows": frame}, {"rows": Roles("row", **FEATURES)}, "mine")
    found = new_attack_trials.rankings({"mine": plain}, most=5, rows=300)
    table = found["mine", "rows"]
    assert table.height == 5
    assert frame["is_anomaly"].gather(table["row"]).mean() >= 0.6
    assert all(table["why"].str.len_chars() > 10)
    labelled = small_data.dataset({"rows": frame}, {"rows": Roles("row", **FEATURES, **KNOWN)}, "mine")
    assert new_attack_trials.rankings({"mine": labelled}) == {}
