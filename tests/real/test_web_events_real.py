"""Web event features and signatures on the real payloads: fitted on the training part, judged on the test part."""

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score

from utils import datasets
from utils.detectors.rules.signatures import Signatures
from utils.features.web_events import WebEventFeatures, damage, traits

pytestmark = pytest.mark.real


@pytest.fixture
def waf(real_lab):
    return datasets.load("waf", "real", seed=0, budget="fast")


def parts(waf):
    payloads = waf["payloads"]
    return payloads.filter(split="train"), payloads.filter(split="test")


def test_features_of_the_training_part_tell_attacks_of_the_test_part(waf):
    train, test = parts(waf)
    features = WebEventFeatures()
    model = LogisticRegression(max_iter=1_000).fit(features.fit_transform(train), train["is_anomaly"].to_numpy())
    found, truth = model.predict_proba(features.transform(test))[:, 1], test["is_anomaly"].to_numpy()
    assert f1_score(truth, found > 0.5) > 0.998
    assert average_precision_score(truth, found) > 0.9995


@pytest.mark.parametrize("split", ["train", "test"])
def test_signatures_find_each_family_and_leave_ordinary_values_alone(waf, split):
    payloads = waf["payloads"].filter(split=split)
    rules = Signatures().fit(payloads)
    scores = pl.Series("alarm", rules.score_samples(payloads) >= 1)
    rate = dict(payloads.with_columns(scores).group_by("anomaly_type").agg(pl.col("alarm").mean()).iter_rows())
    assert rate["normal"] < 0.001
    assert rate["sqli"] > 0.995
    assert rate["xss"] > 0.92
    assert rate["path-traversal"] > 0.8
    assert rate["cmdi"] > 0.75


def test_signatures_name_the_family(waf):
    train, _ = parts(waf)
    found = Signatures().fit(train).families(train)
    for family, least in {"sqli": 0.99, "xss": 0.9, "path-traversal": 0.8, "cmdi": 0.7}.items():
        right = found.filter(train["anomaly_type"] == family)[family].mean()
        wrong = found.filter(~train["is_anomaly"])[family].mean()
        assert right > least
        assert wrong < 0.001


def test_signatures_travel_to_other_sources(mirror_dir):
    path = mirror_dir.parent / "reference" / "waf_cross_source_payloads.parquet"
    if not path.is_file():
        pytest.skip(f"{path.name} is not beside the mirror")
    payloads = pl.read_parquet(path)
    scores = pl.Series("alarm", Signatures().fit(payloads).score_samples(payloads) >= 1)
    rate = dict(payloads.with_columns(scores).group_by("attack_type").agg(pl.col("alarm").mean()).iter_rows())
    assert rate["norm"] < 0.06
    assert rate["sqli"] > 0.9
    assert rate["xss"] > 0.88


def test_traits_of_real_payloads_and_the_published_components(waf):
    payloads = waf["payloads"]
    table = traits(payloads)
    assert table.height == payloads.height
    assert table.null_count().sum_horizontal().item() == 0
    assert (table["payload.length"] == payloads["payload"].str.len_chars()).mean() > 0.9
    assert damage(payloads)["damage"].to_list() == []
    components = waf["mlpt"].select(waf.roles["mlpt"].features).to_numpy()
    assert components.shape == (57_833, 9)
    assert np.isfinite(components).all()
    assert waf["mlpt"]["cluster"].n_unique() == 62
