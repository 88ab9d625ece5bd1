"""Classifiers as detectors on tables: labels in, scores and reasons in the words of the table out."""

import numpy as np
import polars as pl
import pytest
from sklearn.base import clone, is_classifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from utils.detectors.table_classifier import ClassifierScore, TableClassifier
from utils.errors import DataError, SchemaError, SettingsError
from utils.features.flows import FlowFeatures


def table(n=400, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.random(n) < 0.3
    frame = pl.DataFrame(
        {
            "size": np.where(y, 60.0, 10.0) + rng.normal(size=n),
            "flag": np.where(rng.random(n) < 0.1, "RST", "SF"),
            "noise": rng.normal(size=n),
        }
    )
    return frame, y


def classifier(**options):
    return TableClassifier(RandomForestClassifier(30, random_state=0), **options)


def test_anomalies_score_high_and_the_reason_is_the_column_that_tells_them():
    frame, y = table()
    new, truth = table(100, seed=1)
    fitted = classifier().fit(frame, y)
    scores = fitted.score_samples(new)
    assert scores[truth].min() > scores[~truth].max()
    row = new.filter(truth)[:1].with_columns(size=pl.lit(61.0))
    shares = fitted.contributions(row)
    assert shares.columns == ["size", "flag", "noise"]
    assert shares["size"][0] > 0.9
    reasons = fitted.reasons(row)
    assert reasons["feature"][0] == "size"
    assert reasons["value"][0] == "61"
    assert fitted.explain(row)[0].startswith("size is 61, usually ")


def test_what_is_usual_is_what_normal_rows_have():
    frame, y = table()
    low, _, high = classifier().fit(frame, y).reasons(frame.filter(y)[:1])["usual"][0].replace(",", "").split()[:3]
    assert 7 < float(low) < float(high) < 13


def test_it_is_a_classifier_of_two_classes_that_can_be_cloned():
    model = classifier(features=FlowFeatures(scale="quantile"))
    assert is_classifier(model)
    twin = clone(model)
    assert twin.features.scale == "quantile"
    assert twin.fit(*table()).classes_.tolist() == [False, True]


def test_weights_count_as_rows_written_down_so_often():
    frame, y = table(120)
    counts = np.random.default_rng(0).integers(0, 4, 120)
    model = TableClassifier(LogisticRegression(C=1.0, tol=1e-10, max_iter=1_000), FlowFeatures(scale=None))
    features = frame.select("size", "noise")
    weighted = model.fit(features, y, weight=counts).score_samples(features)
    written = clone(model).fit(features[np.repeat(np.arange(120), counts)], np.repeat(y, counts))
    np.testing.assert_allclose(weighted, written.score_samples(features), rtol=1e-4, atol=1e-5)


def test_new_rows_may_have_gaps_unseen_categories_other_columns_or_be_none():
    frame, y = table()
    fitted = classifier().fit(frame, y)
    odd = pl.DataFrame({"other": [1, 2], "noise": [None, 1e300], "flag": ["never", None], "size": [60.0, None]})
    assert np.isfinite(fitted.score_samples(odd)).all()
    assert len(fitted.explain(odd)) == 2
    assert fitted.score_samples(frame[:0]).shape == (0,)
    assert fitted.explain(frame[:0]) == []
    assert fitted.score_samples(frame[:1]).shape == (1,)


def test_what_cannot_be_learned_from_is_refused():
    frame, y = table()
    with pytest.raises(DataError, match="RandomForestClassifier learns from labels, found none: give y"):
        classifier().fit(frame)
    with pytest.raises(DataError, match="anomalies and normals are both needed"):
        classifier().fit(frame, np.zeros(400, dtype=bool))
    with pytest.raises(DataError, match="given for each of 400 rows, found 2"):
        classifier().fit(frame, [True, False])
    with pytest.raises(SchemaError, match="polars DataFrame"):
        classifier().fit(frame.to_numpy(), y)
    with pytest.raises(SettingsError, match="KNeighborsClassifier must take sample_weight"):
        TableClassifier(KNeighborsClassifier()).fit(frame, y, weight=np.ones(400))


def test_the_score_of_numbers_refuses_what_the_table_would():
    with pytest.raises(DataError, match="LogisticRegression learns from labels"):
        ClassifierScore(LogisticRegression()).fit(np.zeros((3, 1)))
    with pytest.raises(DataError, match="NaN"):
        ClassifierScore(LogisticRegression()).fit(np.array([[np.nan], [1.0]]), [True, False])
