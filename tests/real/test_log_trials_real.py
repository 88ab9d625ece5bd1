"""Detectors of sessions that learn from normals only, on all real HDFS sessions: the bars, without networks.

Nothing is chosen on what is judged here: the recipe was chosen on other draws of training sessions and simulated logs.
"""

import numpy as np
import pytest

from utils import settings
from utils.datasets import hdfs
from utils.detectors import log_trials
from utils.detectors.judging import decided
from utils.detectors.log_trials import truncated_log
from utils.detectors.log_trials.candidates import VOTE, WIDE, decisions, wide

pytestmark = pytest.mark.real

DRAWS = range(42, 52)


@pytest.fixture(scope="module")
def sessions(real_data):
    data = real_data("hdfs")
    rows = hdfs.distinct(data["sessions"], data["sequences"]).rename({"is_anomaly": "anomalous"})
    train, test = (rows[side].to_numpy().astype(np.int64) for side in ("n_train", "n_test"))
    kinds = rows.select("events", "anomalous", kind=np.where(rows["anomalous"], "anomaly", "normal"))
    return log_trials.Sessions(("hdfs", "sequences"), kinds, train, test)


@pytest.fixture(scope="module")
def bench():
    return log_trials.Bench(settings.budget("full"))


def judged(fitted, sessions):
    rows = sessions.judged
    return decided(rows["anomalous"], decisions(fitted, rows)[1], rows["sessions"])


def test_the_vote_on_the_standard_split(sessions, bench):
    assert sessions.test.sum() == 570_204
    found = judged(bench.fitted(VOTE, sessions), sessions)
    assert found["f1"] >= 0.985
    assert found["recall"] >= 0.999


def test_the_vote_over_ten_draws_of_training_sessions(sessions, bench):
    found = []
    for draw in DRAWS:
        drawn = sessions.drawn(draw)
        found.append(judged(bench.fitted(VOTE, drawn), drawn)["f1"])
    assert np.mean(found) >= 0.985
    assert np.min(found) >= 0.97


def test_any_member_finds_no_less_at_a_small_alarm_rate(sessions, bench):
    fitted = bench.fitted(VOTE, sessions)
    narrow, broad = judged(fitted, sessions), judged(wide(fitted), sessions)
    assert narrow["recall"] <= broad["recall"]
    assert narrow["real"] <= broad["real"] <= 0.01


def test_each_alarm_is_explained(sessions, bench):
    fitted = bench.fitted(VOTE, sessions)
    rows = sessions.judged.filter("anomalous").head(400)
    said = fitted.detector.explain(rows)
    flagged = decisions(fitted, rows)[1]
    assert [
        sentence.startswith("abnormal, by counts: the count vector is new") for sentence in said
    ] == flagged.tolist()


def test_nothing_passes_the_ceiling_of_the_truncated_log(real_data, bench, monkeypatch):
    monkeypatch.setattr(truncated_log, "COUNTS", {})
    found = log_trials.truncated(real_data("hdfs")["blocks"], bench, splits=2, networks=0)
    assert found.whole == pytest.approx(0.668, abs=0.001)
    assert (found.each["f1"].fill_null(0) <= found.each["ceiling"]).all()
    f1 = dict(found.board.select("detector", "f1").iter_rows())
    assert f1[WIDE] >= 0.62
    assert f1[VOTE] >= 0.62


def test_the_quirks_of_the_labels_are_those_that_are_known(sessions, real_data):
    found = log_trials.quirks(sessions, real_data("hdfs")["blocks"]).rows_by_key("quirk", named=True, unique=True)
    rare = found["event 20 is in no normal training session"]
    assert (rare["normals"], rare["anomalies"]) == (219, 5_126)
    assert rare["highest f1"] == pytest.approx(0.9935, abs=0.0001)
    assert found["one sequence, both labels"]["anomalies"] == 159
