"""Checks of columns: each fires on the leak that is planted and keeps quiet without it."""

import datetime as dt
import uuid

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from utils import audit
from utils.audit import columns, strength
from utils.datasets.identity import identity_kind
from utils.features.target_encoding import SMOOTHING

ROWS = 600


@pytest.fixture
def noise():
    """Features that know nothing of the label, in several types."""
    generator = np.random.default_rng(3)
    return pl.DataFrame(
        {
            "is_anomaly": generator.random(ROWS) < 0.2,
            "size": generator.lognormal(8, 2, ROWS),
            "count": generator.poisson(4, ROWS),
            "kind": generator.choice(["a", "b", "c"], ROWS),
            "flag": generator.random(ROWS) < 0.5,
        }
    )


def codes_of(findings):
    return [finding.code for finding in findings]


def features(frame):
    return [name for name in frame.columns if name != "is_anomaly"]


# strength


def row_by_row_auc(values, labels, folds):
    """The same score the slow way: shares of the other folds looked up row by row."""
    prior, scores = labels.mean(), []
    for value, fold in zip(values, folds, strict=True):
        others = [label for v, label, f in zip(values, labels, folds, strict=True) if v == value and f != fold]
        scores.append((sum(others) + SMOOTHING * prior) / (len(others) + SMOOTHING))
    return roc_auc_score(labels, np.round(scores, 12))


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=12, max_size=60),
    seed=st.integers(0, 2**16),
)
def test_counted_auc_equals_the_row_by_row_one(rows, seed):
    values, labels = [v for v, _ in rows] + [0, 1], [label for _, label in rows] + [True, False]
    on = strength.target(pl.Series(labels), seed)
    got = strength.measure(pl.Series(values), on, binned=False).auc
    assert got == pytest.approx(row_by_row_auc(values, np.array(labels, dtype=int), on.fold))


def test_folds_are_balanced_within_each_class():
    on = strength.target(pl.Series([True] * 50 + [False] * 1000))
    counts = np.bincount(on.fold * 2 + on.label, minlength=10).reshape(5, 2)
    assert (counts == [200, 10]).all()


def test_near_unique_values_get_no_credit():
    generator = np.random.default_rng(0)
    on = strength.target(pl.Series(generator.random(2_000) < 0.3))
    assert strength.measure(pl.Series([f"u{i}" for i in range(2_000)]), on).auc == pytest.approx(0.5)


# A001


def test_a001_finds_a_feature_that_is_all_but_the_label(noise):
    leaking = noise.with_columns(users=pl.when("is_anomaly").then(1).otherwise(pl.int_range(pl.len()) + 101))
    (found,) = audit.single_feature_separates(leaking, "is_anomaly", features(leaking))
    assert (found.code, found.severity, found.columns) == ("A001", "high", ("users",))
    assert "AUC 1.0000" in found.evidence


@pytest.mark.parametrize("rows", [100, 400])
def test_a001_finds_a_leak_in_few_rows(rows):
    generator = np.random.default_rng(4)
    label = np.arange(rows) < rows // 2
    leaking = pl.DataFrame({"is_anomaly": label, "sharp": generator.normal(20 * label, 1)})
    assert codes_of(audit.single_feature_separates(leaking, "is_anomaly", ["sharp"])) == ["A001"]


def test_a001_finds_a_leak_that_is_not_monotone(noise):
    leaking = noise.with_columns(middle=pl.when("is_anomaly").then(0.5).otherwise(pl.int_range(pl.len()) % 2 * 1.0))
    (found,) = audit.single_feature_separates(leaking, "is_anomaly", ["middle"])
    assert found.severity == "high"


def test_a001_finds_a_leak_by_missing_values(noise):
    leaking = noise.with_columns(field=pl.when(~pl.col("is_anomaly")).then("size"))
    assert codes_of(audit.single_feature_separates(leaking, "is_anomaly", ["field"])) == ["A001"]


def test_a001_does_not_call_a_good_feature_a_leak():
    generator = np.random.default_rng(1)
    label = generator.random(5_000) < 0.4
    good = pl.DataFrame({"is_anomaly": label, "bytes": generator.normal(label * 2.6, 1)})
    measured = strength.measure(good["bytes"], strength.target(good["is_anomaly"]))
    assert 0.95 < measured.auc < columns.SUSPICIOUS_AUC
    assert audit.single_feature_separates(good, "is_anomaly", ["bytes"]) == []


def test_a001_grades_between_suspicious_and_leaking():
    generator = np.random.default_rng(1)
    label = generator.random(20_000) < 0.5
    frame = pl.DataFrame({"is_anomaly": label, "x": generator.normal(label * 3.07, 1)})
    (found,) = audit.single_feature_separates(frame, "is_anomaly", ["x"])
    assert found.severity == "medium"


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0.02, 0.98), rows=st.integers(20, 400))
def test_shuffled_labels_give_no_separation_and_no_rule(seed, share, rows):
    generator = np.random.default_rng(seed)
    label = generator.permutation(np.arange(rows) < share * rows)
    frame = pl.DataFrame(
        {
            "is_anomaly": label,
            "normal": generator.normal(size=rows),
            "few": generator.integers(0, 3, rows),
            "many": generator.integers(0, 1_000, rows),
            "word": generator.choice(list("abcdefgh"), rows),
            "maybe": pl.Series(generator.normal(size=rows)).set(pl.Series(generator.random(rows) < 0.3), None),
        }
    )
    assert audit.single_feature_separates(frame, "is_anomaly", features(frame)) == []
    assert audit.label_is_a_rule(frame, "is_anomaly", features(frame)) == []


# A002


@pytest.mark.parametrize(
    ("name", "values", "why"),
    [
        ("Dst Port", [80, 443], "name"),
        ("client_ip", ["x", "y"], "name"),
        ("when", [dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 2)], "time"),
        ("peer", ["10.0.0.1", "192.168.1.20:80"], "an address by its content"),
        ("peer", ["2001:db8:0:0:0:0:0:1", "fe80::1:2:3:4"], "an address by its content"),
        ("key", [str(uuid.UUID(int=1)), str(uuid.UUID(int=2**100))], "an identifier by its content"),
        ("noted", ["2017-07-03 11:55:58", "3/7/2017 8:55"], "a time by its content"),
        ("row", list(range(2, 102)), "row number"),
        ("ticket", [f"T-{i}" for i in range(100)], "an identifier by its content"),
    ],
)
def test_identities_and_times_are_recognised(name, values, why):
    assert why in identity_kind(pl.Series(name, values))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("src_bytes", [100, 200, 100]),
        ("dst_host_count", list(range(0, 2_000, 20))),
        ("Total TCP Flow Time", [0.5, 1.5]),
        ("ip_type", ["default", "datacenter"]),
        ("EventId", [f"E{i % 20}" for i in range(1_000)]),
        ("payload", [f"id={i}' OR 1=1 --" for i in range(100)]),
        ("is_host_login", [True, False]),
        ("empty", [None, None]),
        ("elapsed", [dt.timedelta(seconds=1), dt.timedelta(seconds=2)]),
    ],
)
def test_measurements_are_not_taken_for_identities(name, values):
    assert identity_kind(pl.Series(name, values)) == ""


def test_a002_finds_an_address_that_tells_the_class(noise):
    address = (
        pl.when("is_anomaly").then(pl.lit("172.16.0.1")).otherwise(pl.format("10.0.0.{}", pl.int_range(pl.len()) % 9))
    )
    (found,) = audit.identity_columns(noise.with_columns(peer=address), "is_anomaly", ["peer", "size", "kind"])
    assert (found.code, found.severity, found.columns) == ("A002", "high", ("peer",))
    assert "172.16.0.1" in found.evidence
    assert "100.0 % anomalous" in found.evidence


def test_a002_finds_a_time_that_tells_the_class(noise):
    start = dt.datetime(2020, 1, 1)
    seconds = [dt.timedelta(seconds=i) for i in range(ROWS)]
    ordered = noise.sort("is_anomaly").with_columns(pl.Series("when", [start + second for second in seconds]))
    for times in (pl.col("when"), pl.col("when").dt.to_string("%Y-%m-%d %H:%M:%S")):
        (found,) = audit.identity_columns(ordered.with_columns(times), "is_anomaly", ["when"])
        assert (found.severity, found.columns) == ("high", ("when",))


def test_a002_grades_an_address_that_helps_as_medium(noise):
    generator = np.random.default_rng(0)
    told = generator.random(ROWS) < 0.85
    site = np.where(told, noise["is_anomaly"].to_numpy(), ~noise["is_anomaly"].to_numpy()).astype(int)
    (found,) = audit.identity_columns(noise.with_columns(pl.Series("port", site)), "is_anomaly", ["port"])
    assert found.severity == "medium"


@pytest.mark.parametrize(("label", "lacking"), [("bad", "too few rows of one class"), (None, "no labels")])
def test_a002_says_why_identities_are_not_measured(label, lacking):
    frame = pl.DataFrame({"user_id": [f"u{n}" for n in range(30)], "bad": [True] + [False] * 29})
    (found,) = columns.identity_columns(frame, label, ["user_id"])
    assert found.evidence == f"There are {lacking} to measure it against."


def test_a002_puts_silent_identities_into_one_low_finding(noise):
    quiet = noise.with_columns(user_id=pl.int_range(pl.len()).shuffle(1), port=pl.col("count") + 8000)
    (found,) = audit.identity_columns(quiet, "is_anomaly", ["user_id", "port", "size"])
    assert (found.severity, found.columns) == ("low", ("user_id", "port"))


def test_a002_measures_what_the_roles_declare(noise):
    (found,) = audit.identity_columns(noise, "is_anomaly", ["count", "size"], declared=["count"])
    assert found.columns == ("count",)


def test_a002_without_labels_only_names_the_columns(noise):
    (found,) = audit.identity_columns(noise.with_columns(port=1), None, ["port"])
    assert (found.severity, found.columns) == ("low", ("port",))
    assert "no labels" in found.evidence


def test_a002_is_quiet_on_measurements(noise):
    assert audit.identity_columns(noise, "is_anomaly", features(noise)) == []


# A006, A007


def test_a006_reads_names_and_documentation():
    (found,) = audit.computed_over_all_rows(
        ["min_global_degree", "n_edges", "rank"], {"rank": "transductive: over all graphs"}
    )
    assert (found.code, found.severity, found.columns) == ("A006", "medium", ("min_global_degree", "rank"))
    assert audit.computed_over_all_rows(["globalisation", "n_edges"], {"n_edges": "edges of one graph"}) == []
    assert audit.computed_over_all_rows(["min_global_degree"], {"min_global_degree": "over training graphs"}) == []


def test_a007_finds_constant_and_missing_features(noise):
    poor = noise.with_columns(
        zero=0,
        nothing=pl.lit(None),
        rare=pl.when(pl.int_range(pl.len()) < 10).then(1.0).otherwise(float("nan")),
        half=pl.when(pl.int_range(pl.len()) < 400).then(1),
    )
    constant, heavy = audit.uninformative_columns(poor, features(poor))
    assert (constant.code, constant.columns) == ("A007", ("zero", "nothing"))
    assert heavy.columns == ("rare",)
    assert "98.3 %" in heavy.evidence


def test_a007_is_quiet_on_full_features_and_single_rows(noise):
    assert audit.uninformative_columns(noise, features(noise)) == []
    assert audit.uninformative_columns(noise.head(1), features(noise)) == []


# A010


@pytest.mark.parametrize("anomalous_is_high", [True, False])
def test_a010_states_a_threshold(noise, anomalous_is_high):
    side = pl.col("is_anomaly") == anomalous_is_high
    frame = noise.with_columns(users=pl.when(side).then(pl.int_range(pl.len()) + 101).otherwise(1))
    (found,) = audit.label_is_a_rule(frame, "is_anomaly", features(frame))
    assert (found.code, found.severity, found.columns) == ("A010", "high", ("users",))
    low, high = ("normal", "anomalous") if anomalous_is_high else ("anomalous", "normal")
    least = frame.filter(side)["users"].min()
    assert f"up to 1 is {low}, from {least} on {high}, without exception" in found.evidence


def test_a010_finds_an_interval_and_a_code(noise):
    step = pl.int_range(pl.len()) % 7
    frame = noise.with_columns(
        between=pl.when("is_anomaly").then(50).otherwise(step * 100),
        code=pl.when("is_anomaly").then(step).otherwise(step + 7),
    ).with_columns(code=pl.format("c{}", "code"))
    found = audit.label_is_a_rule(frame, "is_anomaly", ["between", "code", "size"])
    assert [finding.columns for finding in found] == [("between",), ("code",)]


def test_a010_finds_a_rule_of_two_columns(noise):
    frame = noise.with_columns(is_anomaly=(pl.col("kind") == "b") & pl.col("flag"))
    (found,) = audit.label_is_a_rule(frame, "is_anomaly", features(frame))
    assert (found.severity, found.columns) == ("high", ("kind", "flag"))


def test_a010_is_quiet_when_one_row_breaks_the_rule(noise):
    frame = noise.with_columns(is_anomaly=(pl.col("kind") == "b") & pl.col("flag"))
    frame = frame.with_columns(is_anomaly=pl.col("is_anomaly") ^ (pl.int_range(pl.len()) == 5))
    assert audit.label_is_a_rule(frame, "is_anomaly", features(frame)) == []


def test_a010_does_not_take_unique_names_for_a_rule(noise):
    frame = noise.with_columns(name=pl.format("n{}", pl.int_range(pl.len())))
    assert audit.label_is_a_rule(frame, "is_anomaly", ["name"]) == []


@pytest.fixture
def clusters():
    sizes = [300, 200, 40, 30]
    return pl.DataFrame({"cluster": np.repeat(np.arange(4), sizes), "x": np.arange(570)})


def test_a010_finds_names_given_by_cluster_size(clusters):
    named = clusters.with_columns(name=pl.when(pl.col("cluster") < 2).then(pl.lit("good")).otherwise(pl.lit("attack")))
    (found,) = audit.label_from_cluster(named, "cluster", "name")
    assert (found.code, found.severity) == ("A010", "high")
    assert "4 clusters of 30 to 300 rows; each has one label only, and their size decides which" in found.evidence
    mixed_sizes = clusters.with_columns(name=pl.col("cluster") % 2 == 0)
    assert "size decides" not in audit.label_from_cluster(mixed_sizes, "cluster", "name")[0].evidence


def test_a010_is_quiet_on_clusters_that_do_not_decide(clusters):
    independent = clusters.with_columns(name=pl.col("x") % 3 == 0)
    assert audit.label_from_cluster(independent, "cluster", "name") == []
    assert audit.label_from_cluster(independent, "nowhere", "name") == []
    assert audit.label_from_cluster(independent, "x", "name") == []


def test_a010_warns_of_clusters_without_labels(clusters):
    (found,) = audit.label_from_cluster(clusters, "cluster")
    assert found.severity == "medium"


# A013


@pytest.mark.parametrize(
    ("name", "reason", "made"),
    [
        ("difficulty", "", True),
        ("attack_category", "", True),
        ("Attempted Category", "", True),
        ("Label", "", True),
        ("in_test_21", "is difficulty < 21, so it was made by models that saw the labels", True),
        ("natural_weight", "is derived from the label: weighs rows back", True),
        ("num_users", "is the label: 1 for every outlier, at least 101 for every normal behaviour", False),
        ("source", "names one of two applications", False),
        ("classroom", "", False),
        ("target_port", "", False),
    ],
)
def test_label_made_columns_are_known_by_name_or_reason(name, reason, made):
    assert columns.is_label_made(name, reason) is made


def test_a013_finds_what_was_made_from_the_label(noise):
    frame = noise.with_columns(
        attack=pl.when("is_anomaly").then(pl.lit("dos")).otherwise(pl.lit("normal")), difficulty="count"
    )
    (found,) = audit.label_made_columns(frame, "is_anomaly", features(frame))
    assert (found.code, found.severity, found.columns) == ("A013", "high", ("attack", "difficulty"))
    assert "attack 1.000" in found.evidence
    (milder,) = audit.label_made_columns(frame, "is_anomaly", ["difficulty", "size"])
    assert (milder.severity, milder.columns) == ("medium", ("difficulty",))
    assert audit.label_made_columns(noise, "is_anomaly", features(noise)) == []


def test_too_few_labels_or_none_at_all_give_nothing(noise):
    few = noise.with_columns(is_anomaly=pl.int_range(pl.len()) < 5, port=pl.int_range(pl.len()))
    text = noise.with_columns(is_anomaly=pl.lit("yes"))
    missing = noise.with_columns(is_anomaly=pl.lit(None, dtype=pl.Boolean))
    for frame in (few, text, missing, noise.clear()):
        assert audit.single_feature_separates(frame, "is_anomaly", features(frame)) == []
        assert audit.label_is_a_rule(frame, "is_anomaly", features(frame)) == []
        assert audit.label_made_columns(frame, "is_anomaly", ["difficulty", *features(frame)]) == []
