"""Processed tables: what they hold, what they must not hold, and that nothing is learned from test rows."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from tests.unit import loading, small_data
from utils import audit, datasets
from utils.datasets.contract import Roles
from utils.errors import DataError
from utils.features import tables
from utils.features.tables import keys, rows, store

PROJECT = ("api", "waf", "nsl_kdd", "cicids2017", "hdfs", "traffic")


@pytest.fixture(scope="module")
def simulated():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANOMALY_OFFLINE", "1")
        return {name: datasets.load(name, "simulated", seed=3, budget="fast") for name in PROJECT}


@pytest.fixture(scope="module")
def built(simulated):
    return {name: tables.build(dataset, seed=3) for name, dataset in simulated.items()}


@pytest.mark.parametrize("name", PROJECT)
def test_each_column_has_one_meaning_and_no_row_is_lost(simulated, built, name):
    made = built[name]
    loading.assert_roles_complete(made)
    for table, frame in made.frames.items():
        source = simulated[name].frames.get({"graphs": "behaviors"}.get(table, table))
        if table not in ("templates", "sequences"):
            assert frame.height == source.height
            assert frame["is_anomaly"].equals(source["is_anomaly"])
        if table != "templates":
            assert set(frame["split"]) == {"train", "test"}


@pytest.mark.parametrize("name", PROJECT)
def test_no_grave_finding_in_any_table(built, name):
    assert [finding for finding in audit.check(built[name]) if finding.severity == "high"] == []


@pytest.mark.parametrize("name", PROJECT)
def test_no_identity_and_no_withheld_column_comes_through(simulated, built, name):
    for frame in built[name].roles.values():
        for roles in simulated[name].roles.values():
            assert not set(frame.features) & {*roles.identity, *roles.withheld}


def test_equal_rows_stay_on_one_side(built):
    graphs = built["api"]["graphs"]
    assert built["api"].roles["graphs"].group == "vector"
    assert graphs.group_by("vector").agg(pl.col("split").n_unique())["split"].max() == 1


def test_global_degrees_are_counted_over_training_graphs(simulated):
    """Other names for what test graphs call change nothing in the training rows."""
    api = simulated["api"]
    before = tables.build(api, seed=3)
    tested = api["behaviors"].filter(before["graphs"]["split"] == "test")["_id"].implode()
    elsewhere = pl.when(pl.col("_id").is_in(tested)).then(pl.lit("elsewhere ")).otherwise(pl.lit(""))
    edges = api["edges"].with_columns((elsewhere + pl.col(end)).alias(end) for end in ("from", "to"))
    after = tables.build(replace(api, frames=dict(api.frames) | {"edges": edges}), seed=3)
    names = [name for name in before["graphs"].columns if "global" in name]
    training = before["graphs"]["split"] == "train"
    assert names
    assert after["graphs"]["split"].equals(before["graphs"]["split"])
    assert after["graphs"].filter(training).select(names).equals(before["graphs"].filter(training).select(names))
    assert not after["graphs"].filter(~training).select(names).equals(before["graphs"].filter(~training).select(names))


def test_distinct_sequences_count_all_sessions(simulated, built):
    sequences, sessions = built["hdfs"]["sequences"], simulated["hdfs"]["sessions"]
    assert sequences["n_sessions"].sum() == sessions.height
    counted = sequences.group_by("split", "is_anomaly").agg(pl.col("n_sessions").sum()).sort("split", "is_anomaly")
    expected = sessions.group_by("split", "is_anomaly").len().sort("split", "is_anomaly")
    assert counted["n_sessions"].to_list() == expected["len"].to_list()
    counts = sequences.select(name for name in sequences.columns if name.startswith("count_"))
    both = counts.sum_horizontal() + sequences["unseen_events"]
    assert both.cast(pl.Int64).to_list() == sequences["events"].list.len().cast(pl.Int64).to_list()
    assert "unseen_events" in built["hdfs"].roles["sequences"].features


def test_sessions_of_raw_lines_lead_back_to_them(simulated, built):
    blocks, lines = built["hdfs"]["blocks"], simulated["hdfs"]["lines"]
    texts = built["hdfs"]["templates"]
    assert texts["n_lines"].sum() == lines.height
    assert (blocks["line_ids"].list.len() == blocks["events"].list.len()).all()
    flat = blocks.select("line_ids", "events").explode("line_ids", "events")
    joined = flat.join(lines, left_on="line_ids", right_on="LineId", how="left", maintain_order="left")
    pairs = joined.select("events", "EventId").unique()
    assert pairs["EventId"].is_unique().all(), "each statement of the simulator has its own template"
    assert pairs["events"].n_unique() == joined["events"].n_unique()


def test_the_last_fifth_of_a_log_is_tested(simulated, built):
    split, first = built["hdfs"]["blocks"]["split"], simulated["hdfs"]["blocks"]["first_line"]
    assert first.filter(split == "test").min() > first.filter(split == "train").max()


def test_tables_of_the_guide(guided):
    """Every kind of own data gives a table, however small."""
    for name in guided:
        made = tables.build(datasets.load(name))
        loading.assert_roles_complete(replace(made, defects=()))
        assert all(frame.height for frame in made.frames.values())


def test_tables_are_built_once(lab, monkeypatch):
    small = small_data.table()
    first = audit.admitted_tables(small)
    monkeypatch.setattr(tables, "build", lambda *_, **__: pytest.fail("built again"))
    again = audit.admitted_tables(small)
    assert again["flows"].equals(first["flows"])
    assert again.roles == first.roles
    assert tables.current(small, seed=7) is None
    assert tables.current(replace(small, digest="other")) is None


def test_the_digest_is_one_of_what_the_tables_hold_and_mean():
    small = small_data.table()
    made = tables.build(small)
    assert made.digest == tables.build(replace(small, digest="other")).digest
    other = small["flows"].with_columns(pl.col("is_anomaly").reverse())
    assert made.digest != tables.build(replace(small, frames={"flows": other})).digest
    told = replace(small.roles["flows"], unit="packet")
    assert made.digest != tables.build(replace(small, roles={"flows": told})).digest


def test_tables_of_other_code_are_built_again(lab, monkeypatch):
    small = small_data.table()
    audit.admitted_tables(small)
    assert tables.current(small) is not None
    monkeypatch.setattr(tables.versions, "of_code", lambda *_: "other")
    assert tables.current(small) is None


def test_damaged_tables_are_built_again(lab):
    small = small_data.table()
    audit.admitted_tables(small)
    (store.folder(small.name, small.source) / "flows.parquet").write_bytes(b"nothing")
    assert tables.current(small) is None
    assert audit.admitted_tables(small)["flows"].height == 400


def test_the_gate_leaves_out_what_has_an_open_grave_finding(lab, simulated):
    hdfs = simulated["hdfs"]
    contradicting = hdfs["blocks"].with_columns(is_anomaly=pl.int_range(pl.len()) % 2 == 0)
    kinds = pl.when("is_anomaly").then(pl.lit("odd")).otherwise(pl.lit("normal"))
    torn = replace(hdfs, frames=dict(hdfs.frames) | {"blocks": contradicting.with_columns(anomaly_type=kinds)})
    made = audit.admitted_tables(torn)
    assert set(made.frames) == {"sequences", "templates"}
    assert set(made.roles) == {"sequences", "templates"}
    assert made.missing["blocks"].startswith("A008 Equal rows carry different labels.")
    assert tables.read("hdfs", "simulated").missing["blocks"] == made.missing["blocks"]
    assert set(audit.admitted_tables(torn).frames) == {"sequences", "templates"}


def test_the_gate_lets_pass_what_the_roles_handle():
    findings = pl.DataFrame(
        {"data set": ["tiny", "tiny"], "frame": ["flows", "flows"], "code": ["A002", "A003"], "what": ["a", "b"],
         "severity": ["high", "medium"], "handled": [True, False]}
    )  # fmt: skip
    assert audit.refused(findings) == {}
    assert list(audit.admit(small_data.table(), findings).frames) == ["flows"]


def test_a_data_set_of_which_nothing_passes_has_no_main_frame():
    findings = pl.DataFrame(
        {"data set": ["tiny"], "frame": ["flows"], "code": ["A008"], "what": ["Twins."], "severity": ["high"],
         "handled": [False]}
    )  # fmt: skip
    left = audit.admit(small_data.table(), findings)
    assert (left.main, left.missing["flows"]) == ("", "A008 Twins.")


def test_a_data_set_without_features_is_refused(lab):
    bare = small_data.dataset({"rows": pl.DataFrame({"who": ["a", "b"]})}, {"rows": Roles("row", identity=("who",))})
    with pytest.raises(DataError, match="'tiny' must have columns to make features of, found none in rows"):
        tables.build(bare)


def part_of(frame, **roles):
    features = tuple(name for name in frame.columns if name not in ("is_anomaly", "split", "who"))
    return keys.Part(frame, Roles("row", features=features, **roles))


def test_one_class_is_divided_without_regard_to_it():
    made = keys.divided(
        part_of(pl.DataFrame({"x": range(50), "is_anomaly": [False] * 49 + [True]}), label="is_anomaly"), 0
    )
    assert made.frame["split"].value_counts().sort("split")["count"].to_list() == [10, 40]
    assert "anomal" in made.defects[0].what


def test_what_cannot_be_divided_is_all_training():
    made = keys.divided(part_of(pl.DataFrame({"x": [1]})), 0)
    assert made.frame["split"].to_list() == ["train"]
    assert made.defects


def test_a_published_split_is_kept():
    frame = pl.DataFrame({"x": [1, 2], "split": ["test", "train"]})
    assert keys.divided(part_of(frame, split="split"), 0).frame.equals(frame)


def test_features_that_give_the_answer_go_and_say_so():
    rng = np.random.default_rng(0)
    label = rng.random(400) < 0.3
    frame = pl.DataFrame(
        {
            "answer": label + rng.normal(0, 0.05, 400),
            "hint": label + rng.normal(size=400),
            "is_anomaly": label,
            "split": "train",
        }
    )
    made = keys.without_answers(part_of(frame, label="is_anomaly", split="split"))
    assert made.roles.features == ("hint",)
    assert "answer (1.000)" in made.defects[0].what
    unlabelled = keys.without_answers(part_of(frame.drop("is_anomaly"), split="split"))
    assert unlabelled.roles.features == ("answer", "hint")


def test_constants_of_training_go_unless_all_are():
    frame = pl.DataFrame({"one": [1, 1, 2], "gap": [1, None, 1], "two": [1, 2, 1], "split": ["train", "train", "test"]})
    assert keys.without_constants(part_of(frame, split="split")).roles.features == ("gap", "two")
    assert keys.without_constants(part_of(frame.select("one", "split"), split="split")).roles.features == ("one",)


def test_a_feature_cannot_have_the_name_of_a_key():
    frame = pl.DataFrame({"is_anomaly": [True]})
    with pytest.raises(DataError, match="must not be called as a key, found is_anomaly"):
        keys.part(frame, frame, Roles("row", label="is_anomaly"))


def test_pairs_of_hosts_are_described_by_their_window():
    windows = pl.DataFrame(
        {"window": [0, 0, 0, 1], "src": list("abaa"), "dst": list("bacb"), "bytes": [30, 10, 10, 5],
         "packets": [3, 0, 1, 1], "flows": [1, 1, 1, 1]}
    )  # fmt: skip
    made = rows.pair_features(windows)
    assert made["bytes_per_packet"].to_list() == [10, 10, 10, 5]
    assert made["share_of_source"].to_list() == [0.75, 1, 0.25, 1]
    assert made["n_destinations"].to_list() == [2, 1, 2, 1]
    assert made["n_sources"].to_list() == [1, 1, 1, 1]
    assert made["answered_share"].to_list() == [0.25, 0.75, 0, 0]


def test_pairs_of_hosts_may_stand_several_times_in_a_window():
    windows = pl.DataFrame(
        {"window": [0, 0, 0], "src": list("aab"), "dst": list("bba"), "bytes": [10, 20, 30],
         "packets": [1, 2, 1], "flows": [1, 1, 1]}
    )  # fmt: skip
    made = rows.pair_features(windows)
    assert made["answered_share"].to_list() == [0.75, 0.6, 0.5]
    assert made["n_destinations"].to_list() == made["n_sources"].to_list() == [1, 1, 1]


@pytest.mark.parametrize("changed", [{"bytes": ["much", "little"]}, {"dst": [1, 2]}])
def test_a_table_that_only_looks_like_pairs_of_hosts_keeps_its_own_features(changed):
    frame = pl.DataFrame({"window": [0, 0], "src": ["a", "b"], "dst": ["b", "a"]} | dict.fromkeys(rows.VOLUMES, 1))
    frame = frame.with_columns(**{name: pl.Series(values) for name, values in changed.items()})
    assert not rows._host_pairs(frame)


def test_a_table_of_contradictions_is_refused_though_its_twins_are_grouped(lab):
    """Every row stands once as normal and once as an anomaly: equal rows of one group are no parts of a whole."""
    rng = np.random.default_rng(0)
    half = pl.DataFrame({"a": rng.normal(size=150), "b": rng.normal(size=150)})
    frame = pl.concat([half.with_columns(is_anomaly=False), half.with_columns(is_anomaly=True)])
    frame = frame.with_columns(anomaly_type=pl.when("is_anomaly").then(pl.lit("odd")).otherwise(pl.lit("normal")))
    roles = Roles("row", label="is_anomaly", anomaly_type="anomaly_type", features=("a", "b"))
    made = audit.admitted_tables(small_data.dataset({"rows": frame}, {"rows": roles}))
    assert made.frames == {}
    assert made.missing["rows"].startswith("A008")
