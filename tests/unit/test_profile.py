import dataclasses
import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from tests.unit import small_data
from utils.datasets import profile
from utils.datasets.contract import Defect, Roles


def test_overview_has_one_row_a_frame_with_true_counts():
    data = {"tiny": small_data.table(), "logs": small_data.sessions()}
    table = profile.overview(data)
    assert table["frame"].to_list() == ["flows", "sessions", "sequences"]
    flows = table.row(0, named=True)
    frame = data["tiny"]["flows"]
    assert flows["rows"] == frame.height
    assert flows["anomaly share"] == pytest.approx(frame["is_anomaly"].mean())
    assert flows["repeated rows"] == 0
    assert table.row(2, named=True)["anomaly share"] is None


def test_repeated_rows_are_counted_on_the_features_only():
    frame = pl.DataFrame({"id": [1, 2, 3], "a": [7, 7, 8], "is_anomaly": [True, False, False]})
    data = small_data.dataset({"rows": frame}, {"rows": Roles(unit="row", label="is_anomaly", features=("a",))})
    assert profile.overview({"tiny": data})["repeated rows"].item() == 1


@pytest.mark.parametrize(("rows", "features"), [([], ("a",)), ([1, 1], ("absent",))])
def test_repeated_rows_are_unknown_where_there_is_nothing_to_compare(rows, features):
    frame = pl.DataFrame({"a": rows}, schema={"a": pl.Int64})
    data = small_data.dataset({"rows": frame}, {"rows": Roles(unit="row", features=features)})
    assert profile.overview({"tiny": data})["repeated rows"].to_list() == [None]


def test_columns_name_types_roles_and_nulls():
    frame = pl.DataFrame({"a": [1.0, None, 3.0, 4.0], "secret": [1, 2, 3, 4], "is_anomaly": [False, False, True, True]})
    roles = Roles(unit="row", label="is_anomaly", features=("a",), withheld={"secret": "made from the label"})
    table = profile.columns(frame, roles)
    assert table["role"].to_list() == ["feature", "withheld", "label"]
    assert table["null_share"].to_list() == [0.25, 0.0, 0.0]
    assert table["rank_auc"].to_list() == [1.0, 1.0, None]


def test_columns_of_large_tables_may_hold_lists(monkeypatch):
    monkeypatch.setattr(profile, "ESTIMATED_ROWS", 2)
    frame = pl.DataFrame({"events": [["a"], ["a"], ["b", "a"]], "n": [1, 2, 3]})
    assert profile.columns(frame, Roles(unit="session", sequence="events"))["distinct"].to_list() == [2, 3]


@given(
    st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=4, max_size=60).filter(
        lambda rows: 0 < sum(label for _, label in rows) < len(rows)
    )
)
def test_rank_auc_equals_the_roc_curve_of_scikit_learn(rows):
    frame = pl.DataFrame(rows, schema=["score", "label"], orient="row")
    ours = profile.rank_auc(frame, "label", ["score"])["rank_auc"].item()
    assert ours == pytest.approx(roc_auc_score(frame["label"].to_numpy(), frame["score"].to_numpy()))


def test_rank_auc_of_one_class_or_of_nulls_is_unknown():
    frame = pl.DataFrame(
        {"a": [1, 2], "empty": [None, None], "label": [True, True]}, schema_overrides={"empty": pl.Int64}
    )
    assert profile.rank_auc(frame, "label", ["a", "empty"])["rank_auc"].to_list() == [None, None]


def test_most_separating_puts_the_telling_feature_first_in_either_direction():
    label = np.arange(200) % 4 == 0
    rng = np.random.default_rng(1)
    frame = pl.DataFrame(
        {"noise": rng.normal(size=200), "inverse": -5.0 * label + rng.normal(size=200), "is_anomaly": label}
    )
    roles = Roles(unit="row", label="is_anomaly", features=("noise", "inverse"))
    assert profile.most_separating(frame, roles, 1) == ["inverse"]


def test_histogram_shares_add_up_and_heavy_tails_become_logarithmic():
    data = small_data.table(rows=2_000)
    frame, roles = data["flows"], data.roles["flows"]
    heavy, logarithmic = profile.histogram(frame, roles, "size")
    flat, plain = profile.histogram(frame, roles, "rate")
    assert logarithmic
    assert not plain
    for counted in (heavy, flat):
        assert counted.group_by("class").agg(pl.col("share").sum())["share"].to_list() == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize("values", [[], [None, None], [float("nan"), float("inf")], [3.0, 3.0], [-1e308, 1.7e308]])
def test_histogram_stands_degenerate_columns(values):
    frame = pl.DataFrame(
        {"a": values, "is_anomaly": [False] * len(values)}, schema={"a": pl.Float64, "is_anomaly": pl.Boolean}
    )
    counted, logarithmic = profile.histogram(frame, Roles(unit="row", label="is_anomaly"), "a")
    assert not logarithmic
    assert counted.is_empty() or counted["share"].sum() == pytest.approx(1.0)


def test_timeline_counts_every_row_once_in_few_buckets():
    data = small_data.table(rows=2_000)
    counted = profile.timeline(data["flows"], data.roles["flows"], most_buckets=50)
    assert counted["rows"].sum() == 2_000
    assert counted["time"].n_unique() <= 51
    assert counted["every"].unique().to_list() == ["1h"]


@pytest.mark.parametrize(("most", "every"), [(10, "1h"), (9, "6h"), (40, "15m")])
def test_timeline_takes_the_finest_stretch_that_is_coarse_enough(most, every):
    start = dt.datetime(2026, 3, 2)
    frame = pl.DataFrame({"when": [start, start + dt.timedelta(hours=10)]})
    assert set(profile.timeline(frame, Roles(unit="row", time="when"), most_buckets=most)["every"]) == {every}


def test_type_counts_share_is_of_the_split():
    frame = pl.DataFrame(
        {"anomaly_type": ["normal", "x", "normal", "normal"], "split": ["train", "train", "test", "test"]}
    )
    counts = profile.type_counts(frame, Roles(unit="row", anomaly_type="anomaly_type", split="split"))
    assert counts.filter(pl.col("type") == "x")["share"].to_list() == [0.5]
    assert counts.filter(pl.col("split") == "test")["share"].to_list() == [1.0]


def test_correlations_of_complete_columns_are_spearmans():
    frame = pl.DataFrame(np.random.default_rng(3).normal(size=(200, 3)) @ np.array([[1, 1, 0], [0, 1, 1], [0, 0, 1]]))
    square = profile.correlations(frame, frame.columns, 200, seed=0)
    for name in frame.columns:
        for other in square["column"]:
            expected = frame.select(pl.corr(name, other, method="spearman")).item()
            found = square.filter(pl.col("column") == other)[name].item()
            assert found == pytest.approx(expected, abs=1e-9)


def test_gaps_in_one_column_take_nothing_from_the_correlations_of_the_others():
    frame = pl.DataFrame(
        {"a": range(40), "b": range(40), "c": [*range(20), *[None] * 20], "d": [*[None] * 20, *range(20)]}
    )
    square = profile.correlations(frame, frame.columns, 40, seed=0)
    found = {
        (name, other): value
        for name, *values in square.rows()
        for other, value in zip(square["column"], values, strict=True)
    }
    assert found["a", "b"] == pytest.approx(1)
    assert found["a", "c"] == pytest.approx(1)
    assert found["c", "d"] == 0
    assert found["d", "d"] == pytest.approx(1)


def test_correlations_are_square_symmetric_and_skip_constants():
    data = small_data.table()
    square = profile.correlations(data["flows"], ["size", "rate", "noise", "constant"], 300, seed=0)
    names = square["column"].to_list()
    matrix = square.drop("column").to_numpy()
    assert sorted(names) == ["noise", "rate", "size"]
    assert np.allclose(matrix, matrix.T)
    assert np.allclose(np.diag(matrix), 1.0)


def test_class_of_keeps_unknown_labels_apart():
    frame = pl.DataFrame({"is_anomaly": [True, False, None]})
    assert profile.class_of(frame, Roles(unit="row", label="is_anomaly")).to_list() == [
        "anomaly",
        "normal",
        "unclassified",
    ]
    assert profile.class_of(frame, Roles(unit="row")).to_list() == ["unclassified"] * 3


def test_survey_points_at_gaps_constants_and_columns_that_tell():
    frame = pl.DataFrame(
        {
            "good": [1, 2, 2, 1, 2, 1],
            "gaps": [1, None, 2, 3, 1, 2],
            "same": [0] * 6,
            "tells": [1, 2, 3, 7, 8, 9],
            "is_anomaly": [False] * 3 + [True] * 3,
        }
    )
    roles = Roles(unit="row", label="is_anomaly", features=("good", "gaps", "same", "tells"))
    table = profile.survey({"tiny": small_data.dataset({"rows": frame}, {"rows": roles})})
    assert table.filter(profile.needs_a_look())["column"].to_list() == ["gaps", "same", "tells"]


def test_truths_and_defects_list_every_data_set():
    data = small_data.table()
    flawed = dataclasses.replace(data, defects=(Defect("twins", 3, "kept"),), missing={"raw.json": "no graphs"})
    assert profile.truths({"tiny": flawed})["what a label means"].to_list() == ["made by hand"]
    assert profile.defects({"tiny": flawed})["what"].to_list() == ["twins", "raw.json is not at hand"]


def test_results_leave_the_share_out_where_nobody_labelled():
    assert "anomaly_share" not in profile.results(small_data.table(label=False))
    labelled = small_data.table()
    assert profile.results(labelled)["anomaly_share"] == pytest.approx(labelled["flows"]["is_anomaly"].mean())
