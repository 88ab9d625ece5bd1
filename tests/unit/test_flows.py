import datetime as dt
import decimal
import pickle
import subprocess
import sys

import cloudpickle
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, RobustScaler, StandardScaler

from tests.unit.loading import refused
from utils.datasets.contract import Roles
from utils.datasets.identity import identity_columns, identity_reason
from utils.errors import DataError, SchemaError, SettingsError
from utils.features.flows import FlowFeatures
from utils.features.flows import columns as plans
from utils.simulate import cicids2017, nsl_kdd

ROWS = 400


def table(rows=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "bytes": rng.lognormal(6, 2, rows).round(),
            "rate": rng.random(rows),
            "proto": rng.choice(["tcp", "udp", "icmp"], rows, p=[0.7, 0.2, 0.1]),
            "encrypted": rng.random(rows) < 0.3,
        }
    )


def column(values, name="x", **options):
    """The one fitted column of a frame that has only this one."""
    return FlowFeatures(**options).fit(pl.DataFrame({name: values})).columns_[0]


def heavy(rows=ROWS, seed=1):
    return np.random.default_rng(seed).lognormal(3, 2, rows)


def test_the_matrix_is_what_scikit_learn_makes_of_the_same_columns():
    frame = table()
    features = FlowFeatures(log=["bytes"])
    found = features.fit_transform(frame)
    numbers = np.column_stack([np.log1p(frame["bytes"]), frame["rate"]])
    kinds = OneHotEncoder(sparse_output=False).fit_transform(frame["proto"].to_numpy()[:, None])
    expected = np.column_stack([StandardScaler().fit_transform(numbers), frame["encrypted"], kinds])
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert list(features.get_feature_names_out()) == [
        "bytes",
        "rate",
        "encrypted",
        "proto=icmp",
        "proto=tcp",
        "proto=udp",
    ]
    assert features.origins_ == ("bytes", "rate", "encrypted", "proto", "proto", "proto")
    assert not features.categorical_features_.any()


def test_robust_scale_is_that_of_scikit_learn():
    frame = table().select("rate")
    expected = RobustScaler(unit_variance=True).fit_transform(frame.to_numpy())
    np.testing.assert_allclose(FlowFeatures(scale="robust").fit_transform(frame), expected, rtol=1e-3)


def test_robust_scale_of_a_column_that_hardly_varies_uses_the_standard_deviation():
    values = [0.0] * 90 + [5.0] * 5 + [2.0] * 5
    fitted = column(values, scale="robust", log=False)
    assert fitted.centre == pytest.approx(np.mean(values))
    assert fitted.spread == pytest.approx(np.std(values))


def test_quantile_scale_is_the_mid_distribution_function():
    values = pl.Series("x", [1.0, 2.0, 2.0, 9.0])
    features = FlowFeatures(scale="quantile").fit(pl.DataFrame(values))
    asked = pl.DataFrame({"x": [1.0, 2.0, 9.0, 5.5, -100.0, 100.0]})
    np.testing.assert_allclose(features.transform(asked)[:, 0], [0.125, 0.5, 0.875, 0.6875, 0.125, 0.875])


def test_quantile_scale_makes_many_values_uniform_with_a_thousand_knots():
    values = heavy(5_000)
    features = FlowFeatures(scale="quantile").fit(pl.DataFrame({"x": values}))
    assert len(features.columns_[0].knots) <= plans.MOST_KNOTS
    found = features.transform(pl.DataFrame({"x": values}))[:, 0]
    np.testing.assert_allclose(np.sort(found), (np.arange(5_000) + 0.5) / 5_000, atol=2e-3)
    assert features.columns_[0].log == ""


@pytest.mark.parametrize(
    ("values", "log"),
    [
        (heavy(), "log1p"),
        (np.round(heavy()), "log1p"),
        (heavy() * np.where(np.arange(ROWS) % 2, 1, -1), "signed log1p"),
        (np.random.default_rng(0).normal(50, 5, ROWS), ""),
        (np.random.default_rng(0).random(ROWS), ""),
        (np.random.default_rng(0).random(ROWS) ** 4, ""),
        (np.random.default_rng(0).integers(0, 4, ROWS), ""),
        (heavy() + 1e9, ""),
    ],
    ids=["heavy", "counts", "both signs", "normal", "uniform", "shares", "few values", "far from zero"],
)
def test_the_logarithm_is_taken_where_it_tames_a_heavy_tail(values, log):
    assert column(values, "x rate").log == log


def test_the_rule_of_the_logarithm_is_the_one_stated():
    values = heavy()
    before, after = stats.skew(values), stats.skew(np.log1p(values))
    assert before > plans.SKEWNESS_LIMIT
    assert abs(after) <= plans.SKEWNESS_LEFT * before
    assert plans.skewness(values) == pytest.approx(before)
    assert plans.skewness(np.ones(3)) == 0.0


def test_fractions_of_a_second_are_spread_out_by_a_smaller_unit():
    seconds = heavy() / 1e5
    fitted = column(seconds)
    assert fitted.log == "log1p"
    assert fitted.unit == pytest.approx(np.quantile(seconds, 0.05))
    in_microseconds = column(seconds * 1e6, log=["x"])
    assert in_microseconds.unit == 1.0


@given(st.floats(-1e308, 1e308), st.floats(1e-6, 1e3))
@settings(deadline=None)
def test_the_logarithm_is_finite_odd_and_grows(value, unit):
    found = plans.logarithm(np.array([value, -value, np.nextafter(abs(value), np.inf)]), unit)
    assert np.isfinite(found[:2]).all()
    assert found[0] == -found[1]
    assert found[2] >= abs(found[0])


def test_missing_and_infinite_values_are_replaced_and_flagged_where_training_had_them():
    frame = pl.DataFrame({"x": [1.0, 2.0, 4.0, None, np.nan, np.inf, -np.inf], "y": [0.0, 1, 2, 3, 4, 5, 6]})
    features = FlowFeatures(scale=None, log=False).fit(frame)
    assert list(features.get_feature_names_out()) == ["x", "y", "x is missing"]
    found = features.transform(frame)
    np.testing.assert_array_equal(found[:, 0], [1, 2, 4, 2, 2, 4, 1])
    np.testing.assert_array_equal(found[:, 2], [0, 0, 0, 1, 1, 1, 1])
    later = features.transform(pl.DataFrame({"x": [3.0], "y": [None]}, schema={"x": pl.Float64, "y": pl.Float64}))
    np.testing.assert_array_equal(later, [[3.0, 3.0, 0.0]])
    row = features.report_.row(0, named=True)
    assert row["missing share"] == pytest.approx(2 / 7)
    assert row["infinite share"] == pytest.approx(2 / 7)
    assert row["outputs"] == 2


def test_missing_values_are_kept_for_models_that_handle_them():
    frame = pl.DataFrame({"x": [1.0, 2.0, 4.0, None]})
    features = FlowFeatures(scale=None, log=False, missing="keep").fit(frame)
    np.testing.assert_array_equal(features.transform(frame)[:, 0], [1, 2, 4, np.nan])
    assert list(features.get_feature_names_out()) == ["x"]


def test_a_column_that_says_something_only_by_being_missing_becomes_its_indicator():
    frame = pl.DataFrame({"x": [7.0, None, 7.0], "y": [1, 2, 3]})
    for missing in ("fill", "keep"):
        features = FlowFeatures(scale=None, missing=missing).fit(frame)
        assert features.columns_[0].kind == "missing only"
        assert list(features.get_feature_names_out()) == ["y", "x is missing"]
        np.testing.assert_array_equal(features.transform(frame)[:, 1], [0, 1, 0])


def test_columns_of_one_value_are_dropped_with_the_reason():
    frame = pl.DataFrame(
        {
            "one": [5] * 4,
            "none": [None] * 4,
            "nan": [np.nan] * 4,
            "text": ["a"] * 4,
            "x": [1, 2, 3, 4],
        }
    )
    features = FlowFeatures().fit(frame)
    assert list(features.get_feature_names_out()) == ["x"]
    why = dict(features.report_.select("column", "why dropped").iter_rows())
    assert why["one"] == why["text"] == "the same in all training rows"
    assert why["none"] == "no value in training"
    assert why["nan"] == "no finite value in training"
    assert features.transform(frame.select("x")).shape == (4, 1)


def test_rare_and_unseen_categories_share_a_code():
    frame = pl.DataFrame({"kind": ["a"] * 10 + ["b"] * 6 + ["c", "d"]})
    features = FlowFeatures(least_rows=5).fit(frame)
    assert list(features.get_feature_names_out()) == ["kind=a", "kind=b", "kind=<other>"]
    asked = pl.DataFrame({"kind": ["a", "c", "never seen", None]})
    np.testing.assert_array_equal(features.transform(asked), [[1, 0, 0], [0, 0, 1], [0, 0, 1], [0, 0, 0]])


@pytest.mark.parametrize(("rows", "least"), [(3, 1), (250, 2), (5_000, 5)])
def test_in_small_tables_rarer_values_have_their_own_code(rows, least):
    kinds = ["rare"] * least + ["rarer"] * (least - 1)
    frame = pl.DataFrame({"kind": kinds + ["common"] * (rows - len(kinds))})
    assert FlowFeatures().fit(frame).columns_[0].categories == ("common", "rare")


def test_a_column_of_rare_values_only_is_dropped():
    frame = pl.DataFrame({"kind": ["a", "b", "c"], "x": [1, 2, 3]})
    features = FlowFeatures(least_rows=2).fit(frame)
    assert features.report_["why dropped"].to_list() == ["no value in 2 training rows or more", ""]
    with_gaps = frame.with_columns(kind=pl.Series(["a", "b", None]))
    names = FlowFeatures(least_rows=2).fit(with_gaps).get_feature_names_out()
    assert list(names) == ["x", "kind=<other>", "kind=<missing>"]


def test_unseen_categories_are_nothing_where_training_pooled_none():
    frame = pl.DataFrame({"kind": ["a"] * 10 + ["b"] * 6})
    asked = pl.DataFrame({"kind": ["b", "new", None]})
    np.testing.assert_array_equal(FlowFeatures().fit(frame).transform(asked), [[0, 1], [0, 0], [0, 0]])
    native = FlowFeatures(nominal="native").fit(frame)
    np.testing.assert_array_equal(native.transform(asked)[:, 0], [1, np.nan, np.nan])


def test_missing_categories_are_a_category_where_training_had_some():
    frame = pl.DataFrame({"kind": ["a"] * 10 + ["b"] * 6 + [None] * 2})
    features = FlowFeatures().fit(frame)
    assert list(features.get_feature_names_out()) == ["kind=a", "kind=b", "kind=<missing>"]
    np.testing.assert_array_equal(features.transform(frame)[-1], [0, 0, 1])
    native = FlowFeatures(nominal="native").fit(frame)
    np.testing.assert_array_equal(native.transform(frame)[[0, 10, 16], 0], [0, 1, 2])


def test_only_the_most_frequent_categories_have_their_own_code():
    frame = pl.DataFrame({"kind": [f"k{place % 20:02d}" for place in range(210)]})
    features = FlowFeatures(most_categories=3).fit(frame)
    assert features.columns_[0].categories == ("k00", "k01", "k02")
    assert features.columns_[0].pooled == 17
    assert features.transform(frame)[:, -1].sum() == 210 - 33


@pytest.mark.parametrize("few", [True, False], ids=["few rows", "many rows"])
def test_one_row_alone_is_coded_as_it_is_among_others(few):
    frame = pl.DataFrame(
        {
            "kind": ["a", None, "rare", "b", "b"] * 8,
            "protocol": [6, 17, None, 1, 17] * 8,
            "x": [1.5, None, np.inf, 4.0, 5.0] * 8,
            "flag": [True, False, None, True, False] * 8,
        }
    )
    features = FlowFeatures(least_rows=8).fit(frame)
    together = features.transform(frame)
    size = 1 if few else 20
    apart = np.vstack([features.transform(part) for part in frame.iter_slices(size)])
    np.testing.assert_array_equal(together, apart)


def test_integers_that_number_kinds_are_nominal_and_counts_are_not():
    frame = pl.DataFrame({"Protocol": [6, 17, 1, 6] * 10, "ICMP Type": [0, 8, 3, 11] * 10, "urgent": [0, 1, 2, 3] * 10})
    kinds = {one.name: one.kind for one in FlowFeatures().fit(frame).columns_}
    assert kinds == {"Protocol": "nominal", "ICMP Type": "nominal", "urgent": "numeric"}
    assert FlowFeatures().fit(frame).columns_[0].categories == ("1", "6", "17")
    told = FlowFeatures(kinds={"Protocol": "numeric", "urgent": "nominal"}).fit(frame)
    assert [one.kind for one in told.columns_] == ["numeric", "nominal", "nominal"]


def test_whole_numbers_read_as_floats_are_the_same_kinds():
    frame = pl.DataFrame({"protocol": [6, 17, 1, 6] * 10})
    features = FlowFeatures().fit(frame)
    as_floats = frame.with_columns(pl.col("protocol").cast(pl.Float64))
    np.testing.assert_array_equal(features.transform(frame), features.transform(as_floats))


def test_numbers_of_every_type_are_understood():
    frame = pl.DataFrame(
        {
            "unsigned": pl.Series([1, 2, 2**64 - 1], dtype=pl.UInt64),
            "decimal": [decimal.Decimal("1.5"), decimal.Decimal("2.5"), decimal.Decimal("9")],
            "length": [dt.timedelta(seconds=1), dt.timedelta(seconds=2), None],
            "category": pl.Series(["a", "b", "a"], dtype=pl.Categorical),
            "enum": pl.Series(["p", "q", "p"], dtype=pl.Enum(["p", "q"])),
        }
    )
    features = FlowFeatures(scale=None, log=False, least_rows=1).fit(frame)
    found = features.transform(frame)
    np.testing.assert_array_equal(found[:, 0], [1, 2, 2.0**64])
    np.testing.assert_array_equal(found[:, 1], [1.5, 2.5, 9])
    assert np.isfinite(found).all()
    names = list(features.get_feature_names_out())
    assert names[3:] == ["length is missing", "category=a", "category=b", "enum=p", "enum=q"]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("scale", ["standard", "robust", "quantile", None])
def test_huge_values_stay_finite(dtype, scale):
    frame = pl.DataFrame({"x": [-1e308, 0.0, 1e-308, 1.0, 1e308], "y": [1.0, 2.0, 3.0, 4.0, 5.0]})
    features = FlowFeatures(scale=scale, dtype=dtype, log=False).fit(frame)
    asked = pl.DataFrame({"x": [1.7e308, -1.7e308], "y": [1e308, -1e308]})
    for found in (features.transform(frame), features.transform(asked)):
        assert found.dtype == dtype
        assert np.isfinite(found).all()


def test_negative_values_that_training_never_saw_are_no_error():
    features = FlowFeatures().fit(pl.DataFrame({"x": heavy()}))
    assert features.columns_[0].log == "log1p"
    assert np.isfinite(features.transform(pl.DataFrame({"x": [-5.0, -1.0]}))).all()


def test_no_row_and_one_row():
    features = FlowFeatures().fit(table())
    assert features.transform(table().clear()).shape == (0, 6)
    assert features.transform(table().head(1)).shape == (1, 6)


def test_many_rows_are_computed_as_a_few_are():
    frame = table(2_600).with_columns(gaps=pl.when(pl.int_range(pl.len()) % 7 > 0).then("rate"))
    for scale in ("standard", "quantile"):
        features = FlowFeatures(scale=scale).fit(frame)
        parts = [features.transform(part) for part in frame.iter_slices(100)]
        np.testing.assert_array_equal(features.transform(frame), np.vstack(parts))


def test_rows_and_columns_may_come_in_any_order():
    features = FlowFeatures().fit(table())
    found = features.transform(table())
    backwards = table().reverse().select(pl.lit("extra").alias("more"), "proto", "encrypted", "rate", "bytes")
    np.testing.assert_array_equal(features.transform(backwards), found[::-1])


def test_a_column_of_nulls_alone_is_missing_whatever_its_type():
    features = FlowFeatures().fit(table())
    nothing = pl.DataFrame({"bytes": [1.0], "rate": [None], "proto": [None], "encrypted": [None]})
    assert np.isfinite(features.transform(nothing)).all()


def test_frames_of_other_libraries_are_read():
    features = FlowFeatures().fit(table())
    np.testing.assert_array_equal(features.transform(table().to_pandas()), features.transform(table()))
    refused(lambda: features.transform(np.ones((2, 4))), "polars frame", "ndarray")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Dst Port", range(60)),
        ("srcport", [80, 443] * 30),
        ("dport", [80, 443] * 30),
        ("sport", ["80", "0x50"] * 30),
        ("L4_SRC_PORT", [1, 2] * 30),
        ("tcp.dstport", [1, 2] * 30),
        ("id.orig_h", ["a", "b"] * 30),
        ("id.resp_p", [1, 2] * 30),
        ("ip.src", ["a", "b"] * 30),
        ("ip.src_host", ["a", "b"] * 30),
        ("arp.dst.proto_ipv4", ["a", "b"] * 30),
        ("IPV4_DST_ADDR", ["a", "b"] * 30),
        ("Src Pt", [1, 2] * 30),
        ("dst_port_no", [1, 2] * 30),
        ("Port Number", [1, 2] * 30),
        ("saddr", ["a", "b"] * 30),
        ("Flow ID", [f"f{place}" for place in range(60)]),
        ("Timestamp", [1, 2] * 30),
        ("StartTime", [1.5, 2.5] * 30),
        ("FLOW_START_MILLISECONDS", [1, 2] * 30),
        ("Date first seen", ["a", "b"] * 30),
        ("stime", [1.5, 2.5] * 30),
        ("ts", [1.5, 2.5] * 30),
        ("Time", [float(place) for place in range(60)]),
        ("when", [dt.datetime(2024, 1, 1) + dt.timedelta(hours=place) for place in range(60)]),
        ("day", [dt.date(2024, 1, 1)] * 60),
        ("a", [f"10.0.0.{place % 7}" for place in range(60)]),
        ("b", ["fe80::1:2:3:4", "::1:2:3:4:5"] * 30),
        ("c", ["00:1b:44:11:3a:b7", "00-1b-44-11-3a-b8"] * 30),
        ("d", ["5862055b-93e7-3a6e-9a3f-97a6b1d8c0d1"] * 60),
        ("e", ["2024-05-01 08:00:12", "2024-05-02 09:01:13"] * 30),
        ("f", [f"user-{place}" for place in range(60)]),
        ("g", np.random.default_rng(0).permutation(60)),
        ("h", [1_714_550_400 + 60 * place for place in range(60)]),
        ("i", [1_714_550_400_000.0 + 60 * place for place in range(60)]),
        ("j", [80, 443, 53, 22, 25, 40_000] * 10),
    ],
)
def test_identities_are_refused_by_name_type_and_content(name, values):
    frame = pl.DataFrame({name: list(values), "x": list(range(60, 0, -1))}).with_columns(x=pl.col("x") % 7)
    refused(lambda: FlowFeatures().fit(frame), "features must not contain identity column", repr(name), "leave")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("dst_host_same_src_port_rate", [0.1, 0.2] * 30),
        ("dst_host_count", list(range(60))),
        ("n_ports", [1, 2] * 30),
        ("num_dst_ip_total", [1, 2] * 30),
        ("serial number", [1, 2] * 30),
        ("transport", ["tcp", "udp"] * 30),
        ("sport", ["football", "tennis"] * 30),
        ("ts", ["yes", "no"] * 30),
        ("event_id", [1, 2, 3] * 20),
        ("Total TCP Flow Time", [5, 2] * 30),
        ("time since last event", [5, 2] * 30),
        ("Fwd Seg Size Min", [20, 32, 40] * 20),
        ("time", [5.0, 2.0] * 30),
        ("memory_bytes", [1_714_550_400 + 60 * place for place in range(60)]),
        ("packets", list(range(60))),
        ("service", ["http", "80"] * 30),
        ("", [1, 2] * 30),
        ("??", [1, 2] * 30),
        ("window", [80, 443, 8192, 29200, 0, 1] * 10),
        ("empty", [None] * 60),
    ],
)
def test_measurements_are_no_identities(name, values):
    assert identity_reason(pl.Series(name, values)) == ""


def roles():
    return Roles(
        unit="flow",
        label="bad",
        features=("bytes", "rate", "proto"),
        identity=("who",),
        group="vector",
        withheld={"day": "each attack was played on one day"},
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("who", "identity by its role"),
        ("bad", "label by its role"),
        ("vector", "group by its role"),
        ("day", "withheld: each attack was played on one day"),
    ],
)
def test_columns_are_refused_by_their_role(name, reason):
    frame = table().with_columns(who=pl.col("rate"), bad=pl.col("encrypted"), vector=pl.lit(1), day=pl.lit("Mon"))
    refused(lambda: FlowFeatures(roles(), columns=["bytes", name]).fit(frame), repr(name), reason)
    assert identity_columns(frame, roles()).keys() == {"who", "bad", "vector", "day"}


def test_the_label_is_refused_without_roles_too():
    frame = table().with_columns(is_anomaly=pl.col("encrypted"), anomaly_type=pl.col("proto"))
    refused(lambda: FlowFeatures().fit(frame), "'is_anomaly' (the label)", "'anomaly_type' (the label)")


def test_a_feature_of_the_roles_that_is_an_identity_is_refused():
    wrong = Roles(unit="flow", features=("bytes", "Dst Port"), identity=("Dst Port",))
    frame = table().with_columns(pl.lit(80).alias("Dst Port"))
    refused(lambda: FlowFeatures(wrong).fit(frame), "'Dst Port' (identity by its role)")


def test_roles_name_the_columns_and_others_do_not_matter():
    frame = table().with_columns(pl.lit("10.0.0.1").alias("who"))
    features = FlowFeatures(roles()).fit(frame)
    assert list(features.feature_names_in_) == ["bytes", "rate", "proto"]
    assert features.n_features_in_ == 3
    features.transform(frame.drop("who", "encrypted"))


def test_wrong_tables_are_refused_in_one_sentence():
    features = FlowFeatures().fit(table())
    refused(lambda: features.transform(table().drop("rate", "bytes")), "'bytes', 'rate'")
    as_text = table().with_columns(pl.col("rate").cast(pl.String))
    refused(lambda: features.transform(as_text), "'rate' Float64 (found String)")
    as_number = table().with_columns(proto=pl.lit(6))
    refused(lambda: features.transform(as_number), "'proto' String (found Int32)")
    refused(lambda: FlowFeatures(columns=["nothing"]).fit(table()), "'nothing'")
    refused(lambda: FlowFeatures(columns=["rate", "rate"]).fit(table()), "once", "'rate'")
    refused(lambda: FlowFeatures(columns=[]).fit(table()), "at least one column")
    refused(lambda: FlowFeatures().fit(table().clear()), "at least one row", error=DataError)
    refused(lambda: FlowFeatures().fit(table().head(1)), "must vary", error=DataError)
    lists = pl.DataFrame({"events": [[1, 2], [3]], "x": [1, 2]})
    refused(lambda: FlowFeatures().fit(lists), "'events'", "List(Int64)")
    words = pl.DataFrame({"text": [f"a sentence about {'x' * place}" for place in range(90)] * 2})
    assert FlowFeatures().fit(words).columns_[0].kind == "nominal"
    refused(lambda: FlowFeatures().fit(words.head(120)), "'text'", "90 in 120 rows")
    refused(lambda: FlowFeatures(kinds={"proto": "numeric"}).fit(table()), "'proto'", "String")
    length = pl.DataFrame({"length": [dt.timedelta(seconds=1), dt.timedelta(seconds=2)]})
    refused(lambda: FlowFeatures().fit(length).transform(pl.DataFrame({"length": [1.0]})), "Duration", "found Float64")


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"scale": "minmax"}, ("scale", "'minmax'")),
        ({"nominal": "hash"}, ("nominal", "'hash'")),
        ({"missing": "drop"}, ("missing", "'drop'")),
        ({"dtype": "int8"}, ("dtype", "'int8'")),
        ({"most_categories": 0}, ("most_categories", "0")),
        ({"most_categories": 300, "nominal": "native"}, ("most_categories", "1..250")),
        ({"least_rows": 0}, ("least_rows", "0")),
        ({"log": "bytes"}, ("log", "['bytes']")),
        ({"kinds": {"bytes": "ordinal"}}, ("kinds", "'ordinal'")),
    ],
)
def test_wrong_settings_are_refused_in_fit(options, parts):
    features = FlowFeatures(**options)
    refused(lambda: features.fit(table()), *parts, error=SettingsError)


def test_settings_that_name_other_columns_are_refused():
    refused(lambda: FlowFeatures(log=["byte"]).fit(table()), "log", "'byte'")
    refused(lambda: FlowFeatures(kinds={"byte": "numeric"}).fit(table()), "kinds", "'byte'")


def test_using_it_before_fitting_is_said():
    for use in (lambda: FlowFeatures().transform(table()), lambda: FlowFeatures().get_feature_names_out()):
        with pytest.raises(NotFittedError):
            use()
    assert not hasattr(FlowFeatures(), "report_")


def test_output_names_are_distinct_whatever_the_columns_are_called():
    frame = pl.DataFrame({"a=b": [1.0, 2, 3, 4], "a": ["b", "c", "b", "c"], "a=b (2)": [4.0, 3, 2, 1]})
    features = FlowFeatures(least_rows=1).fit(frame)
    names = list(features.get_feature_names_out())
    assert len(set(names)) == len(names) == 4
    assert names[:2] == ["a=b", "a=b (2)"]


def test_codes_feed_gradient_boosting():
    frame = table(2_000)
    label = (frame["proto"] == "udp").to_numpy()
    features = FlowFeatures(nominal="native", columns=["rate", "proto"], missing="keep").fit(frame)
    np.testing.assert_array_equal(features.categorical_features_, [False, True])
    model = HistGradientBoostingClassifier(categorical_features=features.categorical_features_, max_iter=5)
    assert model.fit(features.transform(frame), label).score(features.transform(frame), label) == 1.0


def test_it_is_a_scikit_learn_transformer():
    features = FlowFeatures(roles(), scale="quantile", dtype="float32")
    copy = clone(features)
    assert copy.get_params()["roles"] == roles()
    label = table()["encrypted"].to_numpy()
    model = make_pipeline(FlowFeatures(), LogisticRegression()).fit(table(), label)
    assert model.score(table(), label) == 1.0
    shown = FlowFeatures().set_output(transform="polars").fit_transform(table())
    assert shown.columns == list(FlowFeatures().fit(table()).get_feature_names_out())


def test_a_copy_in_another_process_gives_the_same(tmp_path):
    features = FlowFeatures(roles(), scale="quantile").fit(table())
    (tmp_path / "features.pickle").write_bytes(cloudpickle.dumps(features))
    table().write_parquet(tmp_path / "rows.parquet")
    program = (
        "import pickle, sys, numpy as np, polars as pl\n"
        "features = pickle.load(open('features.pickle', 'rb'))\n"
        "np.save('found.npy', features.transform(pl.read_parquet('rows.parquet')))\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "found.npy"), features.transform(table()))


def test_no_training_rows_are_kept():
    rows = pl.DataFrame({"x": heavy(20_000), "kind": np.random.default_rng(0).choice(["a", "b"], 20_000)})
    for options in ({}, {"scale": "quantile"}):
        small, large = (len(pickle.dumps(FlowFeatures(**options).fit(rows.head(size)))) for size in (5_000, 20_000))
        assert large < 1.05 * small
        assert large < 60_000


@given(
    st.lists(
        st.one_of(st.none(), st.floats(), st.integers(-(2**60), 2**60).map(float)),
        min_size=2,
        max_size=40,
    ),
    st.sampled_from(["standard", "robust", "quantile", None]),
    st.booleans(),
)
@settings(deadline=None, max_examples=150)
def test_any_column_of_numbers_becomes_finite_numbers(values, scale, log):
    frame = pl.DataFrame({"x": pl.Series(values, dtype=pl.Float64), "y": range(len(values))})
    features = FlowFeatures(columns=["x", "y"], scale=scale, log=log).fit(frame)
    found = features.transform(frame)
    assert found.shape == (len(values), len(features.get_feature_names_out()))
    assert np.isfinite(found).all()
    part = frame.slice(1, 1)
    np.testing.assert_allclose(features.transform(part), found[1:2], rtol=1e-12)


@given(st.lists(st.one_of(st.none(), st.text(max_size=3)), min_size=2, max_size=40), st.integers(1, 4))
@settings(deadline=None)
def test_any_column_of_texts_becomes_at_most_one_mark_a_row(values, least_rows):
    frame = pl.DataFrame({"kind?": pl.Series(values, dtype=pl.String), "y": range(len(values))})
    features = FlowFeatures(columns=["kind?", "y"], least_rows=least_rows).fit(frame)
    found = features.transform(frame)[:, 1:]
    assert set(np.unique(found)) <= {0.0, 1.0}
    assert found.shape[1] == 0 or (found.sum(axis=1) == 1).all()
    report = features.report_
    assert report["outputs"].sum() == len(features.get_feature_names_out())


@pytest.mark.parametrize("simulator", [nsl_kdd, cicids2017], ids=["nsl_kdd", "cicids2017"])
def test_simulated_flows_go_through(simulator):
    from utils import datasets

    data = datasets.load(simulator.__name__.rpartition(".")[2], "simulated", budget="fast")
    frame, meaning = data[data.main], data.roles[data.main]
    features = FlowFeatures(meaning).fit(frame.head(4_000))
    found = features.transform(frame)
    assert np.isfinite(found).all()
    assert set(features.report_["column"]) == set(meaning.features)
    assert not set(features.origins_) & {*meaning.identity, *meaning.withheld}
    with pytest.raises(SchemaError, match="features must not contain"):
        FlowFeatures(meaning, columns=[*meaning.features, *[*meaning.identity, *meaning.withheld][:1]]).fit(frame)


def test_a_nominal_column_may_have_any_name_and_be_a_decimal():
    values = pl.Series([1, 2] * 20).cast(pl.Decimal(10, 2))
    frame = pl.DataFrame({"rows": ["a", "b"] * 20, "value": ["x", "y"] * 20, "exact": values})
    fitted = FlowFeatures(kinds={"exact": "nominal"}).fit(frame)
    expected = ["rows=a", "rows=b", "value=x", "value=y", "exact=1.00", "exact=2.00"]
    assert fitted.get_feature_names_out().tolist() == expected
    assert fitted.transform(frame)[:2].tolist() == [[1, 0] * 3, [0, 1] * 3]
