"""Labels by evidence on the real payloads: contents alone, without a client, an agent or an answer to go by."""

import polars as pl
import pytest

from utils.detectors.labelling import ABSENT, WebEventLabeller, label_scores
from utils.detectors.rules.signatures import ALARM, Signatures
from utils.evaluation.clustering import agreement, composition

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def payloads(real_data):
    return real_data("waf")["payloads"]


@pytest.fixture(scope="module")
def made(payloads):
    return WebEventLabeller().fit(payloads.select("payload"))


def test_attacks_are_called_attack_and_good_values_are_not(payloads, made):
    scores = label_scores(made.labels_, payloads["is_anomaly"], payloads["anomaly_type"])
    assert made.result_.absent == dict(ABSENT)
    assert scores["attack"][1] > 0.99
    assert scores["attack"][2] < 0.002
    assert scores["unclassified"][0] < 0.01
    least = dict(zip(scores["events"], scores["attack"], strict=True))
    assert least["sqli"] > 0.99
    assert least["xss"] > 0.93
    assert least["path-traversal"] > 0.9
    assert least["cmdi"] > 0.8


def test_clusters_find_attacks_that_signatures_do_not(payloads, made):
    alarms = Signatures().fit(payloads).score_samples(payloads) >= ALARM
    found = (made.labels_ == "attack") & payloads["is_anomaly"]
    assert found.sum() > (pl.Series(alarms) & payloads["is_anomaly"]).sum() + 20


def test_clusters_are_pure_and_their_index_is_near_its_ceiling(payloads, made):
    seen = agreement(made.clusters_.labels_, payloads["is_anomaly"])
    assert seen.purity > 0.99 > seen.chance["purity"]
    assert seen.merged_ari > 0.98
    assert seen.ceilings["adjusted_rand"] - seen.adjusted_rand < 0.01
    table = composition(made.result_.clusters, payloads["anomaly_type"])
    assert table["units"].sum() == payloads.height


def test_payloads_of_other_sources_are_labelled_by_the_clusters_of_these(mirror_dir, payloads, made):
    file = mirror_dir.parent / "reference" / "waf_cross_source_payloads.parquet"
    if not file.is_file():
        pytest.skip(f"{file.name} is not at hand: no payloads of other sources")
    other = pl.read_parquet(file)
    text = next(name for name in ("payload", "text") if name in other.columns)
    labels = made.predict(other.select(payload=text))
    assert len(labels) == other.height
    assert labels.is_in(["good", "attack", "unclassified"]).all()
