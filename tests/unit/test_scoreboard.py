"""Detectors side by side: who learns from what, what the board says, what it names."""

import numpy as np
import polars as pl
import pytest

from tests.unit import small_data
from utils.datasets.contract import Roles
from utils.detectors import scoreboard
from utils.detectors.scoreboard import TRIVIAL, held_out, scoreboards
from utils.errors import DataError, SettingsError
from utils.evaluation import comparison, metrics

NAMES = ["NearestNeighbours", "IsolationForest"]


def rows(seed=0, n=600):
    """Normal rows around the origin; of two kinds of anomalies, far away, one is in the test part only."""
    rng = np.random.default_rng(seed)
    kinds = np.where(rng.random(n) < 0.15, "old", "normal")
    split = np.where(rng.random(n) < 0.6, "train", "test")
    kinds[(split == "test") & (rng.random(n) < 0.15)] = "new"
    points = rng.normal(0, 1, (n, 3)) + 6.0 * (kinds != "normal")[:, None]
    frame = pl.DataFrame(points, schema=["a", "b", "c"]).with_columns(
        pl.Series("kind", kinds), pl.Series("is_anomaly", kinds != "normal"), pl.Series("split", split)
    )
    roles = Roles("row", features=("a", "b", "c"), label="is_anomaly", anomaly_type="kind", split="split")
    return frame, roles


@pytest.fixture(scope="module")
def made():
    frame, roles = rows()
    return {"tiny": small_data.dataset({"rows": frame}, {"rows": roles})}


@pytest.fixture(scope="module")
def found(made):
    return scoreboards(made, names=NAMES, resamples=20)["tiny", "rows"]


def test_every_detector_is_judged_beside_the_trivial_baseline(found, made):
    assert found.board["detector"].to_list()[-1] == TRIVIAL
    assert set(found.board["detector"][:-1]) == set(NAMES)
    aucs = found.board["roc_auc"][:-1].to_list()
    assert aucs == sorted(aucs, reverse=True)
    assert min(aucs) > 0.95
    trivial = found.board.row(-1, named=True)
    y = made["tiny"]["rows"].filter(split="test")["is_anomaly"]
    assert trivial["f1"] == pytest.approx(metrics.f1(y, np.ones(len(y), dtype=bool)))
    assert trivial["real"] == 1.0


def test_the_second_detector_is_compared_with_the_best_on_the_same_rows(found):
    best, second, *others = found.board.to_dicts()
    scores = [found.scored[row["detector"]].test for row in (second, best)]
    apart = comparison.paired_bootstrap("roc_auc", found.y, *scores, weight=found.weight, resamples=20)
    assert second["compared_with"] == best["detector"]
    assert second["gap"] == pytest.approx(second["roc_auc"] - best["roc_auc"])
    assert (second["gap_low"], second["gap_high"]) == (apart.low, apart.high)
    assert all(row["gap"] is None for row in (best, *others))


def test_the_board_tells_what_the_decisions_on_test_rows_are_worth(found):
    for row in found.board[:-1].iter_rows(named=True):
        alarms = found.scored[row["detector"]].alarms
        assert row["f1"] == pytest.approx(metrics.f1(found.y, alarms))
        assert row["real"] == pytest.approx(metrics.false_alarm_rate(found.y, alarms))
        assert row["f1_low"] <= row["f1"] <= row["f1_high"]


def test_nothing_is_learned_from_anomalies_or_test_rows(found, made):
    frame = made["tiny"]["rows"]
    assert not found.learned["is_anomaly"].any()
    assert set(found.learned["split"]) == {"train"}
    normals = frame.filter(~pl.col("is_anomaly"), split="train").height
    held = len(found.scored[NAMES[0]].held)
    assert found.learned.height + held == normals
    assert held == pytest.approx(normals * scoreboard.HELD_OUT, abs=2)


def test_the_threshold_keeps_its_rate_on_the_held_out_rows(found):
    for scored in found.scored.values():
        assert (scored.held >= scored.threshold.value_).mean() <= 0.05 + 1e-9


def test_equal_rows_stay_on_one_side():
    frame, roles = rows()
    normal = pl.concat([frame.filter(~pl.col("is_anomaly"))] * 3)
    split = held_out(normal, roles, seed=0)
    sides = [set(normal[part].select("a", "b", "c").rows()) for part in (split.train, split.test)]
    assert not sides[0] & sides[1]


def test_recall_of_each_kind_says_whether_training_knew_it(found, made):
    table = found.recalls(made["tiny"]["rows"]["kind"])
    assert set(table["kind"]) == {"old", "new"}
    assert table.filter(kind="new")["in_training"].to_list() == [False, False]
    assert table.filter(kind="old")["in_training"].to_list() == [True, True]
    assert table["recall"].min() > 0.9
    assert table.filter(detector=NAMES[0])["rows"].sum() == found.y.sum()


def test_score_groups_name_every_test_row(found, made):
    scores, groups, threshold = found.score_groups(made["tiny"]["rows"]["kind"])
    assert set(groups) == {"normal", "known attack", "new attack"}
    assert len(scores) == len(groups) == len(found.y)
    assert threshold == found.scored[found.best].threshold.value_


def test_the_most_abnormal_rows_are_explained(found):
    top = found.most_abnormal(2)
    assert top["is_anomaly"].all()
    said = found.explained(2)
    assert said["detector"].unique().to_list() == [found.best]
    assert all(" of the score" in sentence for sentence in said["most abnormal test rows"])
    assert set(found.reasons(1)["feature"]) <= {"a", "b", "c"}


def test_results_are_named_after_table_and_detector(found):
    results = scoreboard.results({("tiny", "rows"): found}, "tiny")
    assert set(results) == {f"rows_{name}_{what}" for name in NAMES for what in ("roc_auc", "f1", "real")}
    assert scoreboard.results({("tiny", "rows"): found}, "another") == {}


def test_tables_with_few_normal_rows_are_left_out_and_names_are_told():
    frame, roles = rows(n=60)
    told = []
    assert scoreboards({"tiny": small_data.dataset({"rows": frame}, {"rows": roles})}, report=told.append) == {}
    assert told == []


def test_a_table_whose_rows_are_alike_does_not_stop_the_others(made):
    frame, roles = rows()
    alike = frame.with_columns(a=pl.lit(1.0), b=pl.lit(2.0), c=pl.lit(3.0))
    data = {"mine": small_data.dataset({"alike": alike}, {"alike": roles}), **made}
    assert set(scoreboards(data, names=NAMES[:1], resamples=5)) == {("tiny", "rows")}


def test_a_detector_that_is_not_there_and_a_rate_that_is_none_are_refused(made):
    with pytest.raises(SettingsError, match="NearestNeighbors"):
        scoreboards(made, names=["NearestNeighbors"])
    with pytest.raises(DataError, match=r"found 1\.5"):
        scoreboards(made, names=NAMES[:1], rate=1.5)


def test_a_sample_is_learned_from_where_there_are_more_rows(made):
    found = scoreboards(made, names=NAMES[:1], rows=50, resamples=5)["tiny", "rows"]
    assert found.learned.height == 50


def test_an_identity_among_the_features_is_left_out():
    frame, roles = rows()
    named = frame.with_columns(pl.Series("src_ip", [f"10.0.0.{place % 250}" for place in range(frame.height)]))
    wider = Roles("row", features=("a", "b", "c", "src_ip"), label="is_anomaly", anomaly_type="kind", split="split")
    told = []
    data = {"tiny": small_data.dataset({"rows": named}, {"rows": wider})}
    found = scoreboards(data, names=NAMES[:1], resamples=5, report=told.append)["tiny", "rows"]
    assert found.scored[NAMES[0]].detector.feature_names_in_.tolist() == ["a", "b", "c"]
    assert told == ["tiny rows"]
    assert roles.features == ("a", "b", "c")
