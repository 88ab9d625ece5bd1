"""The API simulator: same seed same frames, graphs that hold together, no leak unless asked for, the real story."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from utils.errors import DataError
from utils.simulate import api

PUBLISHED = (
    "n_connections",
    "avg_global_source",
    "min_global_source",
    "max_global_source",
    "std_global_source",
    "avg_global_dest",
    "min_global_dest",
    "max_global_dest",
    "std_local_source",
)
COLUMNS = {
    "_id": pl.String,
    "inter_api_access_duration(sec)": pl.Float64,
    "api_access_uniqueness": pl.Float64,
    "sequence_length(count)": pl.Float64,
    "vsession_duration(min)": pl.Float64,
    "ip_type": pl.String,
    "num_sessions": pl.Float64,
    "num_users": pl.Float64,
    "num_unique_apis": pl.Float64,
    "source": pl.String,
    "classification": pl.String,
    "anomaly_type": pl.String,
}


def graph_features(edges: pl.DataFrame) -> pl.DataFrame:
    """The nine features of the published notebook, with nodes and self calls."""
    degrees = edges.with_columns(
        pl.len().over("from").alias("global_source"),
        pl.len().over("to").alias("global_dest"),
        pl.len().over("_id", "from").alias("local_source"),
    )
    source, dest = pl.col("global_source"), pl.col("global_dest")
    return degrees.group_by("_id", maintain_order=True).agg(
        pl.len().alias("n_connections"),
        *(f(source).alias(f"{n}_global_source") for n, f in STATISTICS.items()),
        *(f(dest).alias(f"{n}_global_dest") for n, f in STATISTICS.items()),
        pl.col("local_source").std().alias("std_local_source"),
        pl.col("from").append(pl.col("to")).n_unique().alias("nodes"),
        (pl.col("from") == pl.col("to")).sum().alias("self_calls"),
    )


STATISTICS = {"avg": pl.Expr.mean, "min": pl.Expr.min, "max": pl.Expr.max, "std": pl.Expr.std}


def best_rule_f1(outlier, connections):
    return max(f1_score(outlier, connections <= at) for at in np.unique(connections))


@pytest.fixture(scope="module")
def run():
    return api.simulate(1_700, 42)


@pytest.fixture(scope="module")
def flawed():
    return api.simulate(1_678, 42, defects=True)


def test_tables_have_the_raw_columns(run):
    assert dict(run["behaviors"].schema) == COLUMNS
    assert dict(run["edges"].schema) == {"_id": pl.String, "from": pl.String, "to": pl.String}


@settings(max_examples=15, deadline=None)
@given(size=st.integers(1, 60), seed=st.integers(0, 2**32 - 1), defects=st.booleans())
def test_same_seed_same_frames_other_seed_others(size, seed, defects):
    first, second = (api.simulate(size, seed, defects=defects) for _ in range(2))
    other = api.simulate(size, seed + 1, defects=defects)
    for table in first:
        assert first[table].equals(second[table])
        assert not first[table].equals(other[table])


@settings(max_examples=15, deadline=None)
@given(size=st.integers(1, 400), seed=st.integers(0, 10_000))
def test_every_behaviour_has_one_graph_of_distinct_calls(size, seed):
    run = api.simulate(size, seed)
    behaviors, edges = run["behaviors"], run["edges"]
    assert behaviors["_id"].n_unique() == behaviors.height == size
    assert edges.is_duplicated().sum() == 0
    assert edges.null_count().sum_horizontal().item() == 0
    assert set(edges["_id"]) == set(behaviors["_id"])
    assert behaviors.null_count().sum_horizontal().item() == 0


@settings(max_examples=15, deadline=None)
@given(size=st.integers(1, 400), seed=st.integers(0, 10_000))
def test_measured_values_are_possible(size, seed):
    behaviors = api.simulate(size, seed)["behaviors"]
    assert behaviors["api_access_uniqueness"].is_between(0, 1).all()
    assert (behaviors["num_users"] >= 1).all()
    assert (behaviors["num_users"] <= behaviors["num_sessions"]).all()
    assert (behaviors["sequence_length(count)"] >= 1).all()
    assert (behaviors["inter_api_access_duration(sec)"] > 0).all()


def test_chunks_do_not_show(monkeypatch):
    monkeypatch.setattr(api, "CHUNK", 50)
    run = api.simulate(120, 3)
    assert set(run["edges"]["_id"]) == set(run["behaviors"]["_id"])
    assert run["edges"].is_duplicated().sum() == 0


@pytest.mark.parametrize("size", [0, -5])
def test_refuses_a_size_without_behaviours(size):
    with pytest.raises(DataError, match="behaviour"):
        api.simulate(size, 1)


def test_anomaly_types_and_shares(run):
    behaviors = run["behaviors"]
    outlier = behaviors["classification"] == "outlier"
    assert outlier.mean() == pytest.approx(api.ANOMALY_SHARE, abs=0.001)
    assert set(behaviors["anomaly_type"]) == {"normal", *api.ANOMALY_TYPES}
    assert len(api.ANOMALY_TYPES) >= 5
    assert ((behaviors["anomaly_type"] != "normal") == outlier).all()


def test_only_cross_application_behaviours_join_the_applications(run):
    kinds = run["behaviors"].select("_id", "source", "anomaly_type")
    calls = run["edges"].join(kinds, on="_id").filter(pl.col("anomaly_type") != "cross_application")
    apis = {key[0]: set(part["from"]) | set(part["to"]) for key, part in calls.group_by("source")}
    assert not apis["E"] & apis["F"]
    crossing = run["edges"].join(kinds.filter(pl.col("anomaly_type") == "cross_application"), on="_id")
    touched = crossing.group_by("_id").agg(pl.col("from").append(pl.col("to")))
    both = [bool(set(t) & apis["E"]) and bool(set(t) & apis["F"]) for t in touched["from"]]
    assert np.mean(both) > 0.5


def test_each_type_moves_in_its_own_way(run):
    kinds = graph_features(run["edges"]).join(run["behaviors"].select("_id", "anomaly_type"), on="_id")
    largest = run["edges"].group_by("_id", "from").len().group_by("_id").agg(pl.col("len").max().alias("out"))
    kinds = kinds.join(largest, on="_id").with_columns(
        (pl.col("self_calls") / pl.col("nodes")).alias("self_share"),
        (pl.col("out") / pl.col("n_connections")).alias("star"),
        (pl.col("n_connections") / pl.col("nodes") ** 1.3).alias("density"),
    )
    numbers = pl.selectors.numeric()
    typical = {
        row["anomaly_type"]: row for row in kinds.group_by("anomaly_type").agg(numbers.median()).iter_rows(named=True)
    }
    others = [name for name in typical if name not in ("hub_scraper", "loop_abuse", "endpoint_enumeration")]
    larger = [name for name in others if typical[name]["n_connections"] >= 15]
    assert typical["loop_abuse"]["self_share"] > 2 * max(typical[name]["self_share"] for name in others)
    assert typical["hub_scraper"]["star"] > 1.3 * max(typical[name]["star"] for name in larger)
    assert typical["endpoint_enumeration"]["max_global_source"] < typical["normal"]["max_global_source"] / 3
    assert typical["small_crawl"]["nodes"] < typical["slow_replay"]["nodes"] / 3
    assert typical["endpoint_enumeration"]["density"] < typical["normal"]["density"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_column_tells_the_class(seed):
    behaviors = api.simulate(1_200, seed)["behaviors"]
    outlier = (behaviors["classification"] == "outlier").to_numpy()
    numbers = behaviors.select(pl.selectors.numeric(), (pl.col("ip_type") == "datacenter").cast(pl.Float64))
    for column in numbers:
        auc = roc_auc_score(outlier, column.to_numpy())
        assert max(auc, 1 - auc) < 0.96, column.name
    users = behaviors["num_users"].to_numpy()
    assert best_rule_f1(outlier, users) < 0.93
    datacenter = behaviors.filter(pl.col("ip_type") == "datacenter")
    assert {"normal", "outlier"} == set(datacenter["classification"])


@pytest.mark.parametrize("seed", [11, 12])
def test_tells_the_real_story(seed):
    run = api.simulate(1_700, seed)
    table = graph_features(run["edges"]).join(run["behaviors"], on="_id").filter(pl.col("ip_type") == "default")
    outlier = (table["classification"] == "outlier").to_numpy()
    rule = best_rule_f1(outlier, table["n_connections"].to_numpy())
    folds = StratifiedKFold(4, shuffle=True, random_state=0)
    model = HistGradientBoostingClassifier(max_iter=60, random_state=0)
    found = cross_val_predict(model, table.select(PUBLISHED).to_numpy(), outlier, cv=folds)
    features = f1_score(outlier, found)
    assert 0.62 <= rule <= 0.78
    assert 0.87 <= features <= 0.96
    assert features - rule > 0.1


def test_defects_make_users_the_label(flawed):
    behaviors = flawed["behaviors"]
    outlier = behaviors["classification"] == "outlier"
    assert (behaviors.filter(outlier)["num_users"] == 1).all()
    assert (behaviors.filter(~outlier)["num_users"] >= 101).all()
    calls = behaviors.filter(outlier)["sequence_length(count)"]
    assert (calls == calls.round()).all()


def test_defects_repeat_seven_outliers_four_times(flawed):
    counts = flawed["behaviors"].group_by("_id").agg(pl.len(), pl.col("classification").first())
    repeated = counts.filter(pl.col("len") > 1)
    assert repeated["len"].to_list() == [4] * 7
    assert set(repeated["classification"]) == {"outlier"}
    assert flawed["behaviors"].height == 1_678 + 21
    graphs = flawed["edges"].group_by("_id", "from", "to").len().join(repeated.select("_id"), on="_id")
    assert set(graphs["len"]) == {4}


def test_defects_silence_four_rows_and_empty_five_graphs(flawed):
    silent = flawed["behaviors"].filter(pl.col("api_access_uniqueness").is_null())
    assert silent.height == 4
    assert set(silent["classification"]) == {"outlier"}
    assert set(silent["ip_type"]) == {"datacenter"}
    assert set(silent["sequence_length(count)"]) == {0.0}
    assert silent["inter_api_access_duration(sec)"].null_count() == 4
    empty = flawed["edges"].filter(pl.col("from").is_null())
    assert empty["_id"].n_unique() == empty.height == 5
    assert set(silent["_id"]) < set(empty["_id"])
    assert not set(empty["_id"]) & set(flawed["edges"].drop_nulls()["_id"])


@pytest.mark.parametrize("size", [1, 2, 3, 4, 9])
def test_defects_of_tiny_runs(size):
    run = api.simulate(size, 5, defects=True)
    assert run["behaviors"]["_id"].n_unique() == size
    assert set(run["edges"]["_id"]) == set(run["behaviors"]["_id"])


def test_uuids_are_name_based():
    ids = api.uuids(500, np.random.default_rng(0))
    assert ids.str.contains(r"^[0-9a-f]{8}-[0-9a-f]{4}-3[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$").all()
    assert ids.n_unique() == 500
