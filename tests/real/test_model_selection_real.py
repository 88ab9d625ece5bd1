"""Classifiers on the real files: who leads, that no test row is touched, and how far the dense network gets."""

import numpy as np
import pytest

from utils.classifiers import imbalance, model_selection, zoo
from utils.classifiers.model_selection import EQUAL, WORSE, Effort
from utils.detectors.judging import detectable
from utils.evaluation import metrics, splits
from utils.evaluation.scoring import abnormality, out_of_fold
from utils.evaluation.thresholds import BestF1
from utils.features import tables

LIGHT = ["extra trees", "xgboost", "decision tree", "logistic regression", "gaussian nb", "dummy"]


@pytest.fixture(scope="module")
def processed(real_data):
    return {name: tables.build(real_data(name)) for name in ("api", "cicids2017")}


@pytest.fixture(scope="module")
def boards(processed):
    return model_selection.compare(processed, Effort(3_000, 5, 1), names=LIGHT)


def test_trees_lead_where_they_are_known_to_and_the_dummy_is_worse(boards):
    assert set(boards) == {("api", "graphs"), ("cicids2017", "flows")}
    api = boards["api", "graphs"].board
    assert boards["api", "graphs"].best in ("extra trees", "xgboost")
    assert api["f1"][0] > 0.9
    assert api["average_precision"][0] > 0.975
    for found in boards.values():
        verdicts = dict(found.board.select("model", "verdict").iter_rows())
        assert verdicts["dummy"] == verdicts["gaussian nb"] == WORSE
        assert "dummy" not in found.worth_tuning
        assert found.left_out == {}
    assert boards["cicids2017", "flows"].board["f1"][0] > 0.996


def test_folds_keep_copies_together_and_to_the_training_part(processed):
    dataset = processed["cicids2017"]
    task = model_selection.training_task(dataset["flows"], dataset.roles["flows"], Effort(3_000, 5, 1))
    assert set(task.frame["split"]) == {"train"}
    for fold in task.folds:
        learned, judged = (set(task.frame[rows]["vector"]) for rows in (fold.split.train, fold.split.test))
        assert not learned & judged
    assert not set(task.columns) & {"vector", "split", "is_anomaly", "anomaly_type"}


def test_the_dense_network_tells_attacks_among_distinct_flows(processed):
    """The threshold is chosen on out-of-fold scores of training rows; the test rows are looked at once."""
    dataset = processed["cicids2017"]
    frame, roles = dataset["flows"].unique("vector", keep="first", maintain_order=True), dataset.roles["flows"]
    split = splits.grouped(frame["is_anomaly"], frame["vector"], 0.2, 0)
    train, test = frame[split.train], frame[split.test]
    y = train["is_anomaly"].to_numpy()
    model = zoo.pipeline("dense network", columns=detectable(train, roles))
    held = out_of_fold(model, train, y, 3)
    scores = abnormality(model.fit(train, y), test)
    decisions = BestF1().fit(held, y).predict(scores)
    assert metrics.f1(test["is_anomaly"], decisions) >= 0.998
    shares = imbalance.natural_shares(frame["anomaly_type"])
    natural = [metrics.reweight(part["anomaly_type"], _among(part, shares)) for part in (train, test)]
    moved = BestF1().fit(held, y, natural[0]).predict(scores)
    assert metrics.f1(test["is_anomaly"], moved, natural[1]) > 0.96


def _among(part, shares):
    present = set(part["anomaly_type"])
    total = sum(share for kind, share in shares.items() if kind in present)
    return {kind: share / total for kind, share in shares.items() if kind in present}


def test_resampling_adds_nothing_to_a_moved_threshold_on_rare_attacks(processed):
    dataset = processed["api"]
    found = imbalance.compare(
        dataset["graphs"], dataset.roles["graphs"], model="logistic regression", work=Effort(1_500, 5, 1), rare=0.1
    )
    plain = found.board.row(0, named=True)
    assert plain["f1_moved"] > plain["f1"]
    drawn = found.board.filter(found.board["treatment"] != imbalance.AS_IT_IS)
    assert (drawn["difference"] < 0.1).all()
    assert (drawn["brier"] > plain["brier"]).all(), "what is drawn again distorts the probabilities"
    assert np.isfinite(drawn["difference"].to_numpy()).all()
    assert EQUAL not in found.board["verdict"].to_list()
