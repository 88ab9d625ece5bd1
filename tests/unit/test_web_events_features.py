"""The featuriser: it learns nothing from labels, keeps no address, and does one row as it does many."""

import pickle
import subprocess
import sys

import cloudpickle
import numpy as np
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from utils.errors import DataError, SchemaError
from utils.features.web_events import EventColumns, WebEventFeatures
from utils.simulate import waf_events


@pytest.fixture(scope="module")
def events():
    return waf_events.simulate_events(3_000, np.random.default_rng(11))


@pytest.fixture(scope="module")
def fitted(events):
    return WebEventFeatures(history=True).fit(events)


def column(features, table, name):
    return table[:, features.get_feature_names_out().tolist().index(name)]


def test_one_row_gives_what_many_give(events, fitted):
    whole = fitted.transform(events)
    alone = np.vstack([fitted.transform(events[row]) for row in range(0, 3_000, 25)])
    assert whole.shape == (3_000, len(fitted.get_feature_names_out()))
    assert whole.dtype == np.float32
    assert np.array_equal(whole[::25], alone)
    assert np.array_equal(fitted.transform(events[::-1]), whole[::-1])
    assert np.isfinite(whole).all()
    assert fitted.transform(events.clear()).shape == (0, whole.shape[1])


def test_names_are_distinct_and_speak_of_columns(fitted):
    names = fitted.get_feature_names_out()
    assert len(set(names)) == len(names)
    assert {name.split(".")[0] for name in names} == {"value", "agent", "size", "code", "source", "name", "CLIENT_IP"}
    assert "value.entropy" in names
    assert "code.is 4xx" in names


def test_labels_and_order_of_rows_do_not_matter(events, fitted):
    other = WebEventFeatures(history=True).fit(events.sample(fraction=1.0, shuffle=True, seed=3), np.arange(3_000) % 2)
    assert fitted.get_feature_names_out().tolist() == other.get_feature_names_out().tolist()
    assert np.allclose(fitted.transform(events), other.transform(events), atol=1e-5)


def test_a_copy_and_a_pickle_do_the_same(events, fitted, tmp_path):
    fresh = clone(fitted)
    assert not hasattr(fresh, "blocks_")
    assert np.array_equal(fresh.fit(events).transform(events), fitted.transform(events))
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).transform(events), fitted.transform(events))
    assert len(pickle.dumps(fitted)) < 100_000


def test_another_process_does_the_same(events, fitted, tmp_path):
    (tmp_path / "features.pkl").write_bytes(cloudpickle.dumps(fitted))
    events.head(100).write_parquet(tmp_path / "events.parquet")
    code = (
        "import pickle, sys, numpy, polars; folder = sys.argv[1];"
        "features = pickle.load(open(folder + '/features.pkl', 'rb'));"
        "numpy.save(folder + '/out.npy', features.transform(polars.read_parquet(folder + '/events.parquet')))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=120)
    assert np.array_equal(np.load(tmp_path / "out.npy"), fitted.transform(events.head(100)))


def test_no_address_and_no_text_of_training_is_kept(events, fitted):
    kept = pickle.dumps(fitted)
    addresses = [address for address in events["CLIENT_IP"].drop_nulls().unique() if len(address) > 10]
    values = [value for value in events["MATCHED_VARIABLE_VALUE"].drop_nulls().unique() if len(value) > 25]
    assert not [text for text in (*addresses, *values) if text.encode() in kept]
    without = pickle.dumps(WebEventFeatures().fit(events))
    assert b"/24" in kept
    assert b"/24" not in without


def test_history_counts_the_other_events_of_the_network():
    frame = pl.DataFrame({"payload": ["a"] * 5, "ip": ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.9.9.9", None]})
    features = WebEventFeatures(history=True)
    trained = column(features, features.fit_transform(frame), "ip.log_events")
    assert trained.tolist() == pytest.approx([np.log(3)] * 3 + [0, 0])
    new = pl.DataFrame({"payload": ["b"] * 5, "ip": ["10.0.0.200", "10.9.9.1", "junk", "::ffff:10.0.0.5", None]})
    table = features.transform(new)
    assert column(features, table, "ip.log_events").tolist() == pytest.approx([np.log(4), 0, 0, np.log(4), 0])
    assert column(features, table, "ip.share").tolist() == pytest.approx([0.6, 0, 0, 0.6, 0])
    assert column(features, table, "ip.unreadable").tolist() == [0, 0, 1, 0, 0]
    assert column(features, table, "ip.missing").tolist() == [0, 0, 0, 0, 1]


def test_without_history_the_address_is_not_read(events):
    features = WebEventFeatures(n_grams=0).fit(events)
    other = events.with_columns(CLIENT_IP=pl.lit("10.0.0.1"))
    assert np.array_equal(features.transform(events), features.transform(other))
    assert np.array_equal(features.transform(events), features.transform(events.drop("CLIENT_IP")))
    assert not [name for name in features.get_feature_names_out() if "gram" in name or name.startswith("CLIENT_IP")]


def test_scaled_traits_have_their_limits_and_a_mean_of_nothing(fitted, events):
    names = fitted.get_feature_names_out()
    table = fitted.transform(events)
    scaled = table[:, [name.startswith("value.") and "gram" not in name and name != "value.missing" for name in names]]
    assert np.abs(scaled).max() <= 3
    assert np.abs(scaled.mean(axis=0)).max() < 0.2
    grams = table[:, ["gram" in name for name in names]]
    length = np.linalg.norm(grams, axis=1)
    assert np.allclose(length[length > 0], 5, atol=1e-3)
    missing = events["MATCHED_VARIABLE_VALUE"].is_null().to_numpy()
    assert (scaled[missing] == 0).all()
    assert np.array_equal(table[:, names.tolist().index("value.missing")] == 1, missing)


def test_damaged_numbers_are_flags_and_not_numbers():
    frame = pl.DataFrame(
        {"payload": ["a"] * 4, "size": ["10", "1000", "junk", None], "status": ["200", "404", "9", None]}
    )
    features = WebEventFeatures(n_grams=0).fit(frame)
    table = features.transform(frame)
    assert column(features, table, "size.unreadable").tolist() == [0, 0, 1, 0]
    assert column(features, table, "size.missing").tolist() == [0, 0, 0, 1]
    assert column(features, table, "size.log_size").tolist() == pytest.approx([-1, 1, 0, 0])
    assert column(features, table, "status.unknown").tolist() == [1, 1, 1, 0]
    assert column(features, table, "status.missing").tolist() == [0, 0, 0, 1]


def test_unseen_and_odd_values_are_fine(fitted, events):
    odd = pl.DataFrame(
        {name: [None, "🙂", "\0\0", "%00", "x" * 300_000, "' or 1=1"] for name in events.columns},
        schema=dict.fromkeys(events.columns, pl.String),
    )
    table = fitted.transform(odd)
    assert np.isfinite(table).all()
    assert np.abs(table).max() < 20
    nothing = pl.DataFrame({name: [None, None] for name in events.columns})
    assert np.isfinite(WebEventFeatures(history=True).fit(nothing).transform(odd)).all()
    assert np.isfinite(fitted.transform(nothing)).all()


def test_training_on_one_row_or_on_equal_rows(events):
    assert np.isfinite(WebEventFeatures().fit(events[0]).transform(events)).all()
    few = WebEventFeatures().fit(pl.concat([events[:3]] * 4))
    many = WebEventFeatures().fit(pl.concat([events[:3]] * 40))
    assert few.blocks_["MATCHED_VARIABLE_VALUE"].grams.tolist() == many.blocks_["MATCHED_VARIABLE_VALUE"].grams.tolist()


def test_users_own_columns():
    frame = pl.DataFrame(
        {"event": ["open", "pay"] * 30, "ua": ["x/1", "y/2"] * 30, "url": ["/a", "/b?x=1"] * 30, "n": [1, 2] * 30},
        schema_overrides={"event": pl.Categorical},
    )
    found = WebEventFeatures().fit(frame)
    assert found.columns_ == EventColumns(("url", "event"))
    named = WebEventFeatures(EventColumns(("url",), agent="ua", size="n")).fit(frame)
    assert {name.split(".")[0] for name in named.get_feature_names_out()} == {"url", "ua", "n"}
    assert "NaN" not in str(named.transform(frame))
    reordered = frame.select("n", "url", "ua")
    assert np.array_equal(named.transform(frame), named.transform(reordered))


def test_what_is_missing_is_named(events, fitted):
    with pytest.raises(SchemaError, match="REQUEST_SIZE"):
        fitted.transform(events.drop("REQUEST_SIZE"))
    with pytest.raises(SchemaError, match="MATCHED_VARIABLE_VALUE"):
        fitted.transform(events.with_columns(MATCHED_VARIABLE_VALUE=pl.lit(1)))
    with pytest.raises(SchemaError, match=r"found numpy\.ndarray"):
        WebEventFeatures().fit(np.zeros((2, 2)))
    with pytest.raises(DataError, match="found no row"):
        WebEventFeatures().fit(events.clear())
    with pytest.raises(DataError, match="n_grams=-1"):
        WebEventFeatures(n_grams=-1).fit(events)
    with pytest.raises(NotFittedError, match="call fit first"):
        WebEventFeatures().transform(events)
    with pytest.raises(NotFittedError, match="call fit first"):
        WebEventFeatures().get_feature_names_out()


def test_features_tell_attacks_of_unknown_clients(events):
    known = events.head(2_000).filter(pl.col("CLIENT_IP").is_not_null())
    attack = (known["anomaly_type"] != "normal").to_numpy()
    model = make_pipeline(WebEventFeatures(n_grams=64), LogisticRegression(max_iter=500))
    folds = GroupKFold(3, shuffle=True, random_state=0)
    groups = known["CLIENT_IP"].to_numpy()
    score = cross_val_score(
        model, known, attack, groups=groups, cv=folds, scoring="average_precision", error_score="raise"
    )
    assert score.mean() > 0.85
