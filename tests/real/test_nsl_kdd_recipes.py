"""The recipes on KDDTest+, learned from KDDTrain+ alone: floors under what they reach, one seed."""

import polars as pl
import pytest

from utils import settings
from utils.detectors import recipes
from utils.evaluation import metrics
from utils.evaluation.conformal import alarm_table

pytestmark = pytest.mark.real
SEED = settings.SEED


@pytest.fixture(scope="module")
def judged(real_data):
    """Labels and features of KDDTest+ and the ensemble that saw some rows of KDDTrain+, fitted once for all tests."""
    data = real_data("nsl_kdd")
    frame, roles = data["connections"], data.roles["connections"]
    train, test = (frame.filter(split=side) for side in ("train", "test"))
    rows = recipes.most_of_each(train["is_anomaly"], train["anomaly_type"], seed=SEED)
    ensemble = recipes.together(SEED).fit(train[rows].select(roles.features), train[rows]["is_anomaly"])
    features = test.select(roles.features)
    return test, features, ensemble, ensemble.member_scores(features)


def figures(judged, names):
    test, _, ensemble, scores = judged
    combined = ensemble.subset(names).combination_
    p_values = combined.p_values(scores.select(names))
    table = alarm_table(p_values, test["is_anomaly"])
    area = metrics.roc_auc(test["is_anomaly"], combined.score_samples(scores.select(names)))
    accuracy = metrics.accuracy(test["is_anomaly"], p_values <= recipes.RATE)
    return area, accuracy, {row["nominal"]: row for row in table.iter_rows(named=True)}


def test_normal_rows_alone_find_new_attacks(judged):
    area, _, rows = figures(judged, recipes.ONE_CLASS)
    assert area >= 0.970
    assert rows[recipes.RATE]["f1"] >= 0.91


def test_labels_of_known_attacks_help_to_find_new_ones(judged):
    _, accuracy, rows = figures(judged, recipes.LABELLED)
    assert rows[recipes.RATE]["f1"] >= 0.94
    assert accuracy >= 0.93


def test_few_alarms_are_enough_for_most_attacks(judged):
    _, _, rows = figures(judged, recipes.FEW_ALARMS)
    assert rows[recipes.LOW_RATE]["real"] <= 0.045
    assert rows[recipes.LOW_RATE]["f1"] >= 0.895


def test_the_names_that_training_did_not_have_are_found_too(judged):
    test, _, ensemble, scores = judged
    labelled = ensemble.subset(recipes.LABELLED).combination_
    flagged = pl.Series(labelled.predict(scores.select(recipes.LABELLED), recipes.RATE))
    assert flagged.filter(test["attack_unseen_in_train"]).mean() >= 0.9


def test_an_alarm_says_which_member_spoke_and_what_is_unusual(judged):
    test, features, ensemble, _ = judged
    rows = features.filter(test["anomaly_type"] == "apache2")[:3]
    for sentence in ensemble.explain(rows):
        assert "of normal rows are as abnormal to 10 detectors together; loudest" in sentence
        assert "% of the score)" in sentence
