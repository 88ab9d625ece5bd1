"""Clusters of web events by content: what is alike lies together, new events as those of training, damaged ones too."""

import pickle

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.cluster import DBSCAN
from sklearn.exceptions import NotFittedError

from utils.detectors.web_clusters import ContentFeatures, WebClusters
from utils.errors import DataError, SchemaError, SettingsError
from utils.evaluation.clustering import adjusted_rand, agreement
from utils.features.web_events import EventColumns
from utils.simulate.waf_events import simulate_events

KINDS = {"counter": "15{:011d}", "path": "/shop/item{}/view.html", "traversal": "../../../../etc/passwd{}"}


def frame(count=40, **more):
    texts = [pattern.format(number) for pattern in KINDS.values() for number in range(count)]
    return pl.DataFrame({"payload": [*texts, "<script>alert(1)</script>", None], **more})


@pytest.fixture(scope="module")
def events():
    return simulate_events(2_500, np.random.default_rng(1_040))


@pytest.fixture(scope="module")
def found(events):
    return WebClusters().fit(events)


def test_contents_of_a_kind_lie_in_one_cluster():
    made = WebClusters(eps=0.6).fit(frame())
    kinds = np.repeat(np.arange(3), 40)
    assert adjusted_rand(made.labels_[:120], kinds) == 1.0
    assert made.labels_[120:].tolist() == [-1, -1]


def test_labels_are_those_of_dbscan_on_the_points(events, found):
    points = found.features_.transform(events)
    for level, eps in enumerate(found.eps_):
        theirs = DBSCAN(eps=eps, min_samples=4).fit(points).labels_
        assert adjusted_rand(found.levels_[:, level], theirs) == pytest.approx(1.0, abs=1e-3)
        assert ((theirs < 0) == (found.levels_[:, level] < 0)).all()


def test_clusters_are_nested(found):
    for fine, coarse in zip(found.levels_.T, found.levels_.T[1:], strict=False):
        inside = pl.DataFrame({"fine": fine, "coarse": coarse}).filter(pl.col("fine") >= 0)
        main = inside.group_by("fine").agg(pl.col("coarse").n_unique())
        assert inside["coarse"].min() >= 0
        assert (main["coarse"] == 1).mean() > 0.98


def test_radii_are_halves_and_the_table_names_the_chosen_one(found):
    assert len(found.eps_) == 5
    assert np.allclose(found.eps_[1:] / found.eps_[:-1], 2)
    assert found.eps_[-1] == pytest.approx(np.quantile(found.k_distances_, 0.95))
    table = found.table()
    assert table["noise_share"].is_sorted(descending=True)
    assert table.filter("chosen")["eps"].item() == found.eps_[found.chosen_]
    assert table.filter("chosen")["evenness"].item() == table["evenness"].max()
    assert found.knee_ > 0


def test_clusters_of_resamples_are_compared_for_each_radius(found):
    table = found.stability(resamples=2)
    assert table["eps"].to_list() == found.eps_.tolist()
    assert table["stability"].is_between(0.5, 1).all()
    assert (table["lowest"] <= table["stability"]).all()


def test_attacks_and_good_events_do_not_share_clusters(events, found):
    seen = agreement(found.labels_, events["anomaly_type"] != "normal")
    assert seen.purity > seen.majority_share + 0.01
    assert seen.homogeneity > 5 * seen.chance["homogeneity"]
    assert agreement(found.labels_, events["anomaly_type"] != "normal", noise="left out").purity > 0.98


def test_new_events_are_labelled_as_those_of_training_and_each_by_itself(events, found):
    again = found.predict(events)
    core = found.levels_ >= 0
    assert (again == found.levels_)[core].mean() > 0.99
    alone = np.vstack([found.predict(events[row]) for row in (0, 7, 700)])
    assert (alone == again[[0, 7, 700]]).all()
    assert found.predict(events.clear()).shape == (0, 5)
    assert (found.predict(pl.DataFrame({"MATCHED_VARIABLE_VALUE": ["((((" * 900]}))[:, 0] == -1).all()


def test_clients_agents_and_answers_have_no_part_in_content(events, found):
    changed = events.with_columns(
        pl.lit("x").alias(name) for name in ("CLIENT_IP", "CLIENT_USERAGENT", "RESPONSE_CODE")
    )
    assert (WebClusters().fit(changed).levels_ == found.levels_).all()


def test_order_of_rows_does_not_matter(events, found):
    order = np.random.default_rng(3).permutation(events.height)
    mixed = WebClusters().fit(events[order.tolist()])
    assert adjusted_rand(mixed.labels_, found.labels_[order]) > 0.999


def test_exemplars_are_members_of_their_clusters(events, found):
    shown = found.exemplars(events, most=2)
    assert (found.labels_[shown["row"].to_numpy()] == shown["cluster"].to_numpy()).all()
    assert shown["rank"].max() == 1
    assert shown["MATCHED_VARIABLE_VALUE"].str.len_chars().max() <= 101
    whole = found.exemplars(events, np.zeros(events.height, dtype=np.int64), most=1)
    assert whole["cluster"].to_list() == [0]
    with pytest.raises(DataError, match="events of training"):
        found.exemplars(events.head(3))


def test_k_means_makes_as_many_clusters(events, found):
    labels = found.k_means(9)
    assert len(np.unique(labels)) == 9
    assert len(labels) == events.height
    assert len(np.unique(found.k_means())) <= found.labels_.max() + 1


def test_several_texts_count_and_missing_is_not_empty():
    two = pl.DataFrame({"url": ["/a", "/a", None, ""], "body": ["x=1", "<b>", "x=1", "x=1"]})
    features = ContentFeatures().fit(two)
    points = features.transform(two)
    assert features.columns_.texts == ("url", "body")
    assert points.shape == (4, len(features.get_feature_names_out()))
    assert len(np.unique(points, axis=0)) == 4
    assert np.isfinite(points).all()


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.one_of(st.none(), st.text(max_size=30), st.sampled_from(["", "\x00\ufffd", "1" * 5_000])), min_size=1)
)
def test_any_texts_can_be_clustered(texts):
    events = pl.DataFrame({"event": texts}, schema={"event": pl.String})
    made = WebClusters().fit(events)
    assert made.levels_.shape == (len(texts), 5)
    assert made.predict(events).shape == made.levels_.shape
    assert np.isfinite(made.eps_).all()
    assert (made.eps_ > 0).all()


def test_equal_contents_are_one_cluster():
    made = WebClusters().fit(pl.DataFrame({"payload": ["same"] * 9}))
    assert (made.levels_ == 0).all()
    assert np.isnan(made.knee_)
    assert made.exemplars(pl.DataFrame({"payload": ["same"] * 9})).height == 1


def test_it_survives_a_pickle_and_a_clone(events, found):
    again = pickle.loads(pickle.dumps(found))
    assert (again.predict(events.head(50)) == found.predict(events.head(50))).all()
    columns = EventColumns(("a",))
    assert clone(WebClusters(columns, levels=3)).columns is not None


@pytest.mark.parametrize(
    ("parameters", "words"),
    [({"min_samples": 0}, "min_samples"), ({"eps": [0.0, 1.0]}, "eps"), ({"levels": 0}, "levels must be 1 or more")],
)
def test_impossible_settings_are_refused(parameters, words):
    with pytest.raises(SettingsError, match=words):
        WebClusters(**parameters).fit(frame(5))


def test_what_cannot_be_clustered_is_refused():
    with pytest.raises(DataError, match="at least one web event"):
        WebClusters().fit(frame(2).clear())
    with pytest.raises(SchemaError, match="text column"):
        WebClusters().fit(pl.DataFrame({"bytes": [1, 2]}))
    with pytest.raises(NotFittedError):
        WebClusters().predict(frame(2))
    with pytest.raises(NotFittedError):
        ContentFeatures().transform(frame(2))
    with pytest.raises(DataError, match="memory"):
        WebClusters(memory="1 kB", eps=5.0).fit(frame(60))
