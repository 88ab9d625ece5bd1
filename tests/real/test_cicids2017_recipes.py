"""The recipe for attacks of later days on real CICIDS2017: chosen on three days, judged by the other two."""

import polars as pl
import pytest

from utils import datasets
from utils.detectors import new_attacks, recipes_days


@pytest.fixture
def flows(real_lab):
    return new_attacks.rows_of(datasets.load("cicids2017", "real"))


def test_three_days_are_learned_from_and_two_judge(flows):
    frame, roles = flows
    assert new_attacks.possible(frame, roles)["possible"].all()
    sides = new_attacks.split_by_days(frame, roles)
    assert frame[sides.train]["day"].unique().sort().to_list() == ["Monday", "Tuesday", "Wednesday"]
    assert frame[sides.test]["day"].unique().sort().to_list() == ["Friday", "Thursday"]
    kinds = [set(frame[rows]["anomaly_type"]) - {"normal"} for rows in (sides.train, sides.test)]
    assert not kinds[0] & kinds[1], "every attack of the later days is a new one"


def test_the_earlier_days_alone_choose_the_alarm_rate(flows):
    frame, roles = flows
    earlier = frame[new_attacks.split_by_days(frame, roles).train]
    budget = new_attacks.alarm_budget(earlier, roles, recipes_days.later_attacks(roles), recipes_days.COMBINED)
    assert budget.rate == pytest.approx(recipes_days.RATE, abs=0.0051)
    assert budget.table["part"].n_unique() == 3


def test_attacks_of_later_days_are_found_at_five_percent_real_alarms(flows):
    frame, roles = flows
    recipe = recipes_days.later_attacks(roles)
    found = new_attacks.later_days(frame, roles, recipe, rates=(), resamples=50)
    combined = found.results(recipe.rate, recipes_days.COMBINED)
    assert combined["f1"] >= 0.93
    assert combined["real"] <= 0.05
    assert combined["worst_family_recall"] >= 0.8
    assert combined["natural_precision"] >= 0.9
    beside = found.side_by_side(recipe.rate)
    assert beside.height == 8
    alone = [beside[name].min() for name in (recipes_days.LABELLED, recipes_days.ONE_CLASS)]
    assert combined["worst_family_recall"] > max(alone), "labels and distances fail on different families"
    scans = beside.filter(pl.col("family") == "Portscan").row(0, named=True)
    assert scans["groups"] < 0.1 * scans["n"], "twins are told from evidence"
