"""The loaders on the real files: counts and figures that the publishers and later studies state."""

import datetime as dt
import importlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.unit.loading import assert_roles_complete, rows_of
from utils.datasets import api, cicids2017, hdfs, nsl_kdd, schema

pytestmark = pytest.mark.real
NAMES = ("api", "waf", "nsl_kdd", "cicids2017", "hdfs")


def paths(mirror_dir, loader):
    folder = mirror_dir / Path(loader.__name__.rpartition(".")[2])
    return {name: folder / name for name in loader.READS if (folder / name).is_file()}


@pytest.fixture(scope="module")
def raw(mirror_dir):
    loaders = {name: importlib.import_module(f"utils.datasets.{name}") for name in NAMES}
    return {name: loader.read(paths(mirror_dir, loader)) for name, loader in loaders.items()}


@pytest.fixture(scope="module")
def assembled(raw):
    return {name: importlib.import_module(f"utils.datasets.{name}").assemble(tables) for name, tables in raw.items()}


@pytest.mark.parametrize("name", NAMES)
def test_roles_are_complete(assembled, name):
    assert_roles_complete(assembled[name])


@pytest.mark.parametrize("name", NAMES)
def test_features_have_values(assembled, name):
    for frame, table in assembled[name].frames.items():
        features = assembled[name].roles[frame].features
        nulls = {feature: table[feature].null_count() for feature in features}
        # A sample deviation needs two edges, and 37 graphs have one.
        assert {feature for feature, count in nulls.items() if count} <= {api.STD_LOCAL, api.STD_GLOBAL_SOURCE}, frame


def test_api_behaviors(raw, assembled):
    behaviors = assembled["api"].frames["behaviors"]
    assert raw["api"]["behaviors"].height == 1_699
    assert behaviors.height == 1_674
    assert behaviors["is_anomaly"].sum() == 568
    assert behaviors.filter(pl.col("upstream_rows") == 4).height == 7
    assert set(behaviors.filter(ip_type="datacenter")["anomaly_type"]) == {"outlier"}
    assert rows_of(assembled["api"], "stand several times, with the same values") == 21
    assert rows_of(assembled["api"], "no statistics") == 4


def test_api_label_is_the_number_of_users(assembled):
    behaviors = assembled["api"].frames["behaviors"]
    assert ((behaviors["num_users"] == 1) == behaviors["is_anomaly"]).all()
    assert behaviors.filter(~pl.col("is_anomaly"))["num_users"].min() == 101


def test_api_features(assembled):
    features = assembled["api"].frames["features"]
    assert features.height == 1_673
    # All distinct edges of the call-graph file.
    assert features["n_connections"].sum() == 417_155
    assert rows_of(assembled["api"], "counted several times over") == 7
    assert rows_of(assembled["api"], "null edge") == 1


def test_api_deviations_fit_graphs_of_two_edges(assembled):
    """Of two values the sample deviation is their distance over the square root of two, repaired graphs included."""
    pairs = assembled["api"].frames["features"].filter(n_connections=2)
    distance = pairs["max_global_source_degrees"].cast(pl.Int64) - pairs["min_global_source_degrees"].cast(pl.Int64)
    assert "a60aa35a-c8c7-343f-9b55-cc03e826a765" in pairs["_id"]
    np.testing.assert_allclose(pairs["std_global_source_degrees"], distance / np.sqrt(2))


def test_waf(assembled):
    payloads, mlpt = assembled["waf"].frames["payloads"], assembled["waf"].frames["mlpt"]
    assert dict(payloads["split"].value_counts().iter_rows()) == {"train": 20_712, "test": 10_355}
    kinds = {"normal": 19_304, "sqli": 10_852, "xss": 532, "path-traversal": 290, "cmdi": 89}
    assert dict(payloads["anomaly_type"].value_counts().iter_rows()) == kinds
    assert payloads["payload"].is_unique().all()
    assert rows_of(assembled["waf"], "not the number of characters") == 15
    assert mlpt.height == 57_833
    assert (mlpt["cluster"].min(), mlpt["cluster"].max()) == (-1, 60)
    assert mlpt.filter(cluster=-1).height == 1_618


def test_nsl_kdd_counts(assembled):
    connections = assembled["nsl_kdd"].frames["connections"]
    counts = {
        (split, category): count
        for split, category, count in connections.group_by("split", "attack_category").len().iter_rows()
    }
    train = {"normal": 67_343, "dos": 45_927, "probe": 11_656, "r2l": 995, "u2r": 52}
    test = {"normal": 9_711, "dos": 7_460, "probe": 2_421, "r2l": 2_885, "u2r": 67}
    assert counts == {("train", name): count for name, count in train.items()} | {
        ("test", name): count for name, count in test.items()
    }
    unseen = connections.filter("attack_unseen_in_train")
    assert (unseen.height, unseen["attack"].n_unique()) == (3_750, 17)
    assert connections.filter("in_test_21").height == 11_850
    assert connections.filter(split="train")["service"].n_unique() == 70
    assert connections.filter(split="test")["service"].n_unique() == 64


def test_nsl_kdd_twins(assembled):
    assert rows_of(assembled["nsl_kdd"], "feature-identical twin in training") == 664
    assert rows_of(assembled["nsl_kdd"], "train connections that repeat") == 16
    assert rows_of(assembled["nsl_kdd"], "test connections that repeat") == 57
    assert rows_of(assembled["nsl_kdd"], "num_outbound_cmds") == 148_517


def test_nsl_kdd_flags_agree_with_the_published_parts(mirror_dir, assembled):
    connections = assembled["nsl_kdd"].frames["connections"]
    columns = list(nsl_kdd.RAW_SCHEMA)
    head = schema.read_csv(mirror_dir / "nsl_kdd" / "KDDTrain+_20Percent.txt", nsl_kdd.RAW_SCHEMA, header=False)
    assert connections.filter("in_train_20percent").select(columns).equals(head)
    harder = schema.read_csv(mirror_dir / "nsl_kdd" / "KDDTest-21.txt", nsl_kdd.RAW_SCHEMA, header=False)
    flagged = connections.filter("in_test_21").select(columns)
    assert flagged.sort(columns).equals(harder.sort(columns))


def test_cicids2017(assembled):
    flows = assembled["cicids2017"].frames["flows"]
    assert flows.height == 43_419
    assert flows["vector"].n_unique() == 34_337
    counts = dict(flows["Label"].value_counts().iter_rows())
    assert counts == {name: min(count, 5_000) for name, count in cicids2017.NATURAL_COUNTS.items()}
    distinct = dict(flows.group_by("Label").agg(pl.col("vector").n_unique()).iter_rows())
    assert distinct["DoS Slowloris"] == 3_454
    days = dict(flows.filter("is_anomaly").group_by("Label").agg(pl.col("day").unique()).iter_rows())
    assert all(len(names) == 1 for names in days.values())
    assert days["Heartbleed"] == ["Wednesday"]
    assert flows.filter(~pl.col("is_anomaly"))["day"].n_unique() == 5
    assert flows["Attempted Category"].unique().to_list() == [-1]
    assert flows["natural_weight"].sum() == pytest.approx(2_087_997)


def test_cicids2017_twins(assembled):
    flows = assembled["cicids2017"].frames["flows"]
    conflicting = flows.filter("conflicting_twin")
    assert set(conflicting["Label"]) == {"Portscan", "Infiltration - Portscan"}
    assert rows_of(assembled["cicids2017"], "share all 77 features") == 43_419 - 34_337
    assert rows_of(assembled["cicids2017"], "more than one class") == conflicting.height == 2_820
    assert rows_of(assembled["cicids2017"], "Bwd URG Flags, Subflow Bwd Packets") == flows.height


def test_hdfs_sessions(assembled):
    sessions, sequences = (assembled["hdfs"].frames[name] for name in ("sessions", "sequences"))
    counts = {
        (split, label): count for split, label, count in sessions.group_by("split", "is_anomaly").len().iter_rows()
    }
    assert counts == {("train", False): 4_855, ("test", False): 553_366, ("test", True): 16_838}
    lengths = sequences["events"].list.len()
    assert lengths.gather(sessions["sequence_id"]).sum() == 11_172_157
    distinct = hdfs.distinct(sessions, sequences)
    assert distinct.height == 18_382
    assert dict(distinct["is_anomaly"].value_counts().iter_rows()) == {False: 14_259, True: 4_123}
    assert distinct["n"].sum() == 575_059
    assert rows_of(assembled["hdfs"], "sessions of 10 sequences that occur under both labels") == 22 + 24


def test_hdfs_e20_is_not_in_training(assembled):
    distinct = hdfs.distinct(assembled["hdfs"].frames["sessions"], assembled["hdfs"].frames["sequences"])
    with_e20 = distinct.filter(pl.col("events").list.contains(20))
    assert with_e20["n_train"].sum() == 0
    assert with_e20.filter("is_anomaly")["n"].sum() == 5_126
    assert with_e20.filter(~pl.col("is_anomaly"))["n"].sum() == 219


def test_hdfs_lines_and_blocks(assembled):
    lines, blocks = (assembled["hdfs"].frames[name] for name in ("lines", "blocks"))
    assert lines.height == blocks["n_events"].sum() == 104_815
    assert lines["timestamp"].max() - lines["timestamp"].min() == dt.timedelta(minutes=26, seconds=8)
    assert set(lines["Date"]) == {"081109"}
    assert blocks.height == 7_940
    assert blocks["is_anomaly"].sum() == 313
    assert rows_of(assembled["hdfs"], "events in the lines are those of a normal block") == 159
    assert rows_of(assembled["hdfs"], "cut off") == 2_084
    assert assembled["hdfs"].frames["templates"]["EventId"].to_list() == [f"E{number}" for number in range(1, 31)]


def test_hdfs_labels_of_all_blocks_are_accepted(raw):
    """The public label file covers the whole set; only the blocks in the lines are used."""
    labels = raw["hdfs"]["labels"]
    more = 575_061 - labels.height
    others = pl.DataFrame({"BlockId": [f"blk_{number}" for number in range(more)], "Label": ["Normal"] * more})
    assembled = hdfs.assemble(raw["hdfs"] | {"labels": pl.concat([others, labels])})
    assert assembled.frames["blocks"].height == 7_940
    assert assembled.frames["blocks"]["is_anomaly"].sum() == 313
    assert rows_of(assembled, "575061 labels, 7940 blocks") == 567_121
