"""Tuning and operating points of every labelled table: training rows for choices, test rows once, the rest left out."""

import numpy as np
import polars as pl
import pytest

from utils.classifiers import tuned_tables as tuned
from utils.datasets.contract import Dataset, Roles
from utils.errors import DataError, LabError
from utils.evaluation import splits

NAMES = ("decision tree", "logistic regression")


def dataset(name, frame, roles):
    return Dataset(name, "table", "simulated", "simulator", "", "", {"flows": frame}, {"flows": roles})


@pytest.fixture(scope="module")
def processed():
    rng = np.random.default_rng(5)
    values = rng.normal(size=(320, 3))
    y = values[:, 0] + rng.normal(size=320) * 0.4 > 0.5
    frame = pl.DataFrame(
        {
            "size (kB)": values[:, 0],
            "Dauer": pl.Series(np.where(rng.random(320) < 0.1, np.nan, values[:, 1])).fill_nan(None),
            "constant": 1.0,
            "kind": rng.choice(["tcp", "udp"], 320),
            "user": rng.integers(0, 80, 320),
            "is_anomaly": y,
            "anomaly_type": np.where(y, np.where(values[:, 2] > 0, "scan", "flood"), "normal"),
            "split": np.where(np.arange(320) % 4 == 0, "test", "train"),
        }
    )
    roles = Roles(
        "flow", "is_anomaly", "anomaly_type", ("size (kB)", "Dauer", "constant", "kind"), group="user", split="split"
    )
    few = frame.filter(pl.col("is_anomaly")).head(3).with_columns(split=pl.Series(["train", "test", "test"]))
    tiny = pl.concat([few, frame.filter(~pl.col("is_anomaly")).head(6)])
    return {"mine": dataset("mine", frame, roles), "tiny": dataset("tiny", tiny, roles)}


def test_rows_hold_features_alone_and_no_more_than_asked_for(processed):
    data = processed["mine"]
    frame, roles = data["flows"], data.roles["flows"]
    part = splits.published(frame, roles).train
    rows = tuned.rows_of(frame, roles, part)
    assert not {"is_anomaly", "anomaly_type", "split", "user"} & set(rows.X.columns)
    assert rows.X.height == len(rows.y) == len(rows.groups) == len(part)
    fewer = tuned.rows_of(frame, roles, part, most=100)
    assert abs(fewer.X.height - 100) <= 2
    assert fewer.y.mean() == pytest.approx(rows.y.mean(), abs=0.02)


def test_where_no_group_is_named_equal_rows_are_one():
    frame = pl.DataFrame({"a": [1.0, 2.0, 1.0, 3.0], "is_anomaly": [True, False, True, False], "split": ["train"] * 4})
    roles = Roles("flow", "is_anomaly", features=("a",), split="split")
    assert tuned.rows_of(frame, roles, np.arange(4)).groups.tolist() == [0, 1, 0, 2]
    with pytest.raises(DataError, match="column to learn from, found none"):
        tuned.rows_of(frame, Roles("flow", "is_anomaly"), np.arange(4))


def test_gains_are_tabulated_and_what_cannot_be_tuned_is_left_out_with_a_sentence(processed):
    told = []
    made = tuned.tuned_tables(processed, NAMES, trials=2, outer=2, folds=2, report=told.append)
    assert made.board["table"].to_list() == ["mine flows"] * 2
    assert made.board["classifier"].to_list() == list(NAMES)
    assert set(made.board["verdict"]) <= {"helps", "noise", "harms"}
    assert told[0] == "mine flows: decision tree"
    assert [sentence.split(":")[0] for sentence in made.left_out] == [f"tiny flows, {name}" for name in NAMES]
    assert made.results("mine")["flows_decision_tree_default_f1"] > 0.5
    assert made.results("other") == {}


def test_tuning_never_looks_at_test_rows(processed):
    data = processed["mine"]
    spoiled = data["flows"].with_columns(
        pl.when(pl.col("split") == "test").then(999.0).otherwise("size (kB)").alias("size (kB)")
    )
    other = dataset("mine", spoiled, data.roles["flows"])
    given = {"trials": 2, "outer": 2, "folds": 2}
    one, two = (tuned.tuned_tables({"mine": each}, NAMES[:1], **given).board for each in (data, other))
    assert one.height == 1
    assert one.drop("seconds").equals(two.drop("seconds"))


def test_classifiers_can_be_named_by_table(processed):
    table = ("mine", "flows")
    made = tuned.tuned_tables(processed, {table: NAMES[:1]}, trials=1, outer=2, folds=2)
    assert list(made.gains) == [(table, "decision tree")]
    assert made.left_out == ()
    points = tuned.points_of_tables(processed, {table: "decision tree"}, parameters={table: {"max_depth": 2}})
    assert list(points.points) == [table]
    plain = tuned.points_of_tables(processed, {table: "decision tree"})
    assert not plain.points[table].points.equals(points.points[table].points)


def test_points_are_chosen_in_training_and_found_on_test_rows(processed):
    made = tuned.points_of_tables(processed, "logistic regression", budget=30, report=lambda words: None)
    found = made.points["mine", "flows"]
    assert found.confusion.select(pl.sum_horizontal("tp", "fp", "fn", "tn")).item(0, 0) == 80
    assert set(found.kinds["kind"]) == {"scan", "flood"}
    assert made.results("mine")["flows_average_precision"] > 0.7
    assert [sentence.split(",")[0] for sentence in made.left_out] == ["tiny flows"]


def test_one_table_can_be_searched(processed):
    found = tuned.searched(processed, ("mine", "flows"), "decision tree", trials=4, folds=2)
    assert found.choice == "decision tree"
    assert found.history().height == 4
    with pytest.raises(LabError, match="found none named mine logs"):
        tuned.searched(processed, ("mine", "logs"), "decision tree")
