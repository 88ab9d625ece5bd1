"""Traffic graphs of the real flows: a Monday is learned, the days with attacks are judged.

The bars lie well below what was measured; nothing was chosen on what is judged here but the bars themselves.
"""

import polars as pl
import pytest

from utils.detectors import traffic_trials
from utils.detectors.traffic_trials import COMBINED

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def trial(real_data):
    made, notes = traffic_trials.prepare({"cicids2017": real_data("cicids2017")})
    assert notes == ()
    return traffic_trials.run(made["cicids2017"], resamples=50)


def test_a_day_without_attacks_is_learned_and_the_others_are_judged(trial):
    traffic = trial.traffic
    days = traffic.edges["time"].dt.weekday()
    assert set(days.filter(pl.Series(traffic.past))) == {1}
    assert set(days.filter(pl.Series(traffic.judged))) == {2, 3, 4, 5}
    assert "before the first attack" in traffic.divided


def test_most_windows_of_attacks_are_found_without_labels(trial):
    found = trial.board.filter(detector=COMBINED).row(0, named=True)
    assert found["recall"] > 0.7
    assert found["roc_auc"] > 0.9
    assert found["real"] < 0.1
    recall = dict(trial.recalls.filter(detector=COMBINED).select("kind", "recall").iter_rows())
    for kind in ("Botnet", "DDoS", "DoS Hulk", "Portscan", "Infiltration - Portscan", "FTP-Patator", "SSH-Patator"):
        assert recall[kind] > 0.6, kind


def test_a_new_pair_of_addresses_alone_is_no_alarm(trial):
    found = trial.board.filter(detector="new edge").row(0, named=True)
    assert found["f1"] < 0.1


def test_a_picture_shows_the_bots_and_their_master(trial):
    _, odd = traffic_trials.scene(trial, "Botnet").values()
    flagged = odd.filter("flagged")
    assert flagged["dst"].unique().to_list() == ["205.174.165.73"]
    assert flagged["src"].n_unique() > 2


@pytest.mark.parametrize("name", ["nsl_kdd", "waf", "api", "hdfs"])
def test_data_without_a_graph_between_hosts_are_left_out(real_data, name):
    made, notes = traffic_trials.prepare({name: real_data(name)})
    assert made == {}
    assert name in notes[0]
