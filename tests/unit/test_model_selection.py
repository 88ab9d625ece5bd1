"""Comparing classifiers: who is judged on what, what the intervals and verdicts say, what is left out and why."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from tests.unit import small_data
from tests.unit.loading import refused
from utils import settings
from utils.classifiers import model_selection, zoo
from utils.classifiers.model_selection import BEST, EQUAL, NO_VERDICT, WORSE, Effort, Fold, compare, training_task
from utils.datasets.contract import Roles
from utils.errors import DataError, SettingsError
from utils.evaluation import comparison, metrics
from utils.evaluation.splits import Split
from utils.evaluation.thresholds import BestF1

NAMES = ["decision tree", "gaussian nb", "logistic regression", "dummy"]
WORK = Effort(rows=400, folds=4, rounds=2)
ROLES = Roles("row", features=("a", "b", "text"), label="is_anomaly", anomaly_type="kind", split="split", group="pair")


def rows(n=600, seed=0, distance=2.0):
    """A third of the rows are anomalies, one way apart from normal rows; every two rows are one group."""
    rng = np.random.default_rng(seed)
    kinds = rng.choice(["normal", "scan", "worm"], n, p=[0.7, 0.25, 0.05])
    anomalous = kinds != "normal"
    return pl.DataFrame(
        {
            "a": rng.normal(size=n) + distance * anomalous,
            "b": rng.lognormal(size=n) * np.where(anomalous, 3.0, 1.0),
            "text": rng.choice(["x", "y"], n),
            "kind": kinds,
            "is_anomaly": anomalous,
            "pair": np.arange(n) // 2,
            "split": np.where(np.arange(n) % 5 == 4, "test", "train"),
        }
    )


def data(frame, roles=ROLES):
    return {"tiny": small_data.dataset({"rows": frame}, {"rows": roles})}


@pytest.fixture(scope="module")
def board():
    return compare(data(rows()), WORK, names=NAMES)["tiny", "rows"]


def test_every_model_is_judged_on_every_fold(board):
    assert board.folds.height == len(NAMES) * WORK.folds * WORK.rounds
    assert board.folds.group_by("model").agg(pl.col("fold").n_unique())["fold"].to_list() == [8] * 4
    assert set(board.board["model"]) == set(NAMES)
    assert board.board["f1"].to_list() == sorted(board.board["f1"], reverse=True)
    assert board.left_out == {}
    costs = board.board.select("fit_seconds", "predict_microseconds", "size_kb")
    assert (costs.min_horizontal() > 0).all()


def test_means_and_intervals_are_those_of_the_folds(board):
    for row in board.board.iter_rows(named=True):
        part = board.folds.filter(model=row["model"])
        for measure in ("f1", "roc_auc", "average_precision"):
            expected = metrics.mean_over_splits(measure, part[measure].to_numpy(), 1 / WORK.folds, "row", 8)
            assert row[measure] == pytest.approx(expected.value)
            assert (row[f"{measure}_low"], row[f"{measure}_high"]) == pytest.approx((expected.low, expected.high))
        assert row["fit_seconds"] == part["fit_seconds"].median()


def test_verdicts_are_those_of_the_paired_test_with_the_best(board):
    best = board.folds.filter(model=board.best)["f1"].to_numpy()
    for row in board.board[1:].iter_rows(named=True):
        own = board.folds.filter(model=row["model"])["f1"].to_numpy()
        expected = comparison.corrected_t_test(own, best, 1 / WORK.folds)
        assert row["difference"] == pytest.approx(expected.difference)
        assert row["p_value"] == pytest.approx(expected.p_value)
        assert row["verdict"] == (WORSE if expected.p_value < 0.05 else EQUAL)
    assert board.board["verdict"][0] == BEST
    assert board.board.filter(model="dummy")["verdict"].to_list() == [WORSE]


def test_what_is_worth_tuning_is_as_good_as_the_best_and_cheapest_first(board):
    expected = board.board.filter(pl.col("verdict").is_in([BEST, EQUAL])).sort("fit_seconds")["model"]
    assert board.worth_tuning == tuple(expected)
    assert "dummy" not in board.worth_tuning


def test_the_summary_says_who_leads_and_how_it_was_found(board):
    assert board.summary.startswith(f"{board.best} leads with f1 0.")
    assert "divided 2 times into 4 folds with rows of one pair in one fold; test rows were not touched" in board.summary
    assert "400 training rows drawn from 480" in board.summary
    assert "out-of-fold scores of the other folds" in board.summary
    assert "(dummy 0." in board.summary


def test_the_front_holds_what_nothing_dominates(board):
    for row in board.board.iter_rows(named=True):
        beaten = board.board.filter(
            (pl.col("f1") >= row["f1"]) & (pl.col("fit_seconds") <= row["fit_seconds"]), model_is_not(row["model"])
        )
        assert row["front"] == (beaten.height == 0)


def model_is_not(name):
    return pl.col("model") != name


def test_the_same_seed_gives_the_same_scores_whatever_else_is_compared(board):
    again = compare(data(rows()), WORK, names=NAMES[::-1][:2])["tiny", "rows"]
    for name in NAMES[::-1][:2]:
        for measure in ("f1", "roc_auc", "average_precision"):
            assert (again.folds.filter(model=name)[measure] == board.folds.filter(model=name)[measure]).all()
    other = compare(data(rows()), WORK, names=["gaussian nb"], seed=7)["tiny", "rows"]
    assert other.folds["f1"].to_list() != board.folds.filter(model="gaussian nb")["f1"].to_list()


def test_test_rows_change_nothing(board):
    frame = rows()
    spoiled = frame.with_columns(
        pl.when(split="test").then(pl.lit(1e6)).otherwise("a").alias("a"),
        pl.when(split="test").then(~pl.col("is_anomaly")).otherwise("is_anomaly").alias("is_anomaly"),
    )
    again = compare(data(spoiled), WORK, names=["gaussian nb"])["tiny", "rows"]
    assert again.folds["f1"].to_list() == board.folds.filter(model="gaussian nb")["f1"].to_list()


def test_folds_part_no_group_and_no_fold_chooses_its_own_threshold():
    task = training_task(rows(), ROLES, WORK)
    assert set(task.frame["split"]) == {"train"}
    assert task.frame.height == 400
    for place, fold in enumerate(task.folds):
        sides = [set(task.frame[part]["pair"]) for part in (fold.split.train, fold.split.test)]
        assert not sides[0] & sides[1]
        assert place not in fold.threshold_from
        judged = [task.folds[other].split.test for other in fold.threshold_from]
        assert sorted(np.concatenate(judged)) == fold.split.train.tolist(), "the other folds of the same round"


def test_equal_rows_stay_in_one_fold_where_there_are_no_groups():
    frame = pl.concat([rows(200)] * 3)
    roles = Roles("row", features=("a", "b"), label="is_anomaly")
    task = training_task(frame, roles, Effort(600, 3, 1))
    for fold in task.folds:
        sides = [set(task.frame[part].select("a", "b").rows()) for part in (fold.split.train, fold.split.test)]
        assert not sides[0] & sides[1]
    assert "equal rows in one fold" in task.how


def test_f1_of_a_fold_is_that_of_the_threshold_of_the_others():
    task = training_task(rows(), ROLES, Effort(400, 3, 1))
    scores = np.random.default_rng(0).random(400) + 0.3 * task.y
    trials = [model_selection._Trial(scores[fold.split.test]) for fold in task.folds]
    found = model_selection._measured(task, "made up", trials)
    for fold, value in zip(task.folds, found["f1"], strict=True):
        threshold = BestF1().fit(scores[fold.split.train], task.y[fold.split.train])
        assert value == metrics.f1(task.y[fold.split.test], threshold.predict(scores[fold.split.test]))


def test_a_time_makes_blocks_that_are_judged_by_those_before():
    frame = rows().with_columns(pl.Series("when", [small_data.START + dt.timedelta(minutes=m) for m in range(600)]))
    roles = Roles("row", features=("a", "b"), label="is_anomaly", time="when", split="split")
    task = training_task(frame, roles, Effort(600, 3, 2))
    assert [fold.threshold_from for fold in task.folds] == [(), (0,), (0, 1), (0, 1, 2)]
    for fold in task.folds:
        assert task.frame[fold.split.train]["when"].max() < task.frame[fold.split.test]["when"].min()
    found = compare(data(frame, roles), Effort(600, 3, 2), names=NAMES[1:3])["tiny", "rows"]
    assert found.folds.filter(fold="block 2")["f1"].null_count() == 2
    assert found.folds.filter(fold="block 2")["roc_auc"].null_count() == 0
    assert found.folds["f1"].drop_nulls().len() == 6
    assert found.board["f1_low"].is_not_nan().all()
    assert "5 blocks of time" in found.summary
    late = frame.with_columns(is_anomaly=pl.int_range(600) > 500)
    refused(lambda: training_task(late, roles, WORK), "block of time", "both classes", error=DataError)


def test_weights_count_as_rows(monkeypatch):
    frame = rows(300).with_columns(n_sessions=pl.Series(np.arange(300) % 3 + 1))
    roles = Roles("row", features=("a", "b"), label="is_anomaly", withheld={"n_sessions": "how often"})
    task = training_task(frame, roles, Effort(300, 3, 1))
    assert task.weight.sum() == frame["n_sessions"].sum()
    weighted = compare(data(frame, roles), Effort(300, 3, 1), names=["gaussian nb", "nearest neighbours"])
    plain = compare(data(frame.drop("n_sessions"), roles_without(roles)), Effort(300, 3, 1), names=["gaussian nb"])
    assert weighted["tiny", "rows"].left_out == {}
    assert weighted["tiny", "rows"].folds["roc_auc"][0] != plain["tiny", "rows"].folds["roc_auc"][0]


def roles_without(roles):
    return Roles("row", features=roles.features, label=roles.label)


def test_a_model_that_fails_is_left_out_and_the_others_go_on(monkeypatch):
    def broken(seed, threads):
        raise ValueError("out of paper\nand ink")

    odd = zoo.Choice("gaussian nb", broken, zoo.RANKS, {}, "never works", "nobody")
    monkeypatch.setattr(zoo, "ZOO", {**zoo.ZOO, "gaussian nb": odd})
    found = compare(data(rows()), Effort(200, 3, 1), names=NAMES)["tiny", "rows"]
    assert found.left_out == {"gaussian nb": "ValueError: out of paper"}
    assert set(found.board["model"]) == set(NAMES) - {"gaussian nb"}
    alone = compare(data(rows()), Effort(200, 3, 1), names=["gaussian nb"])["tiny", "rows"]
    assert alone.board.is_empty()
    assert alone.worth_tuning == ()
    assert alone.summary == "No model could be fitted: gaussian nb: ValueError: out of paper."


def test_tables_that_cannot_be_compared_on_are_named_with_the_reason():
    frame = rows()
    processed = data(frame) | {
        "one class": small_data.dataset({"rows": frame.with_columns(is_anomaly=pl.lit(value=False))}, {"rows": ROLES}),
        "rare": small_data.dataset({"rows": frame.with_columns(is_anomaly=pl.int_range(600) == 0)}, {"rows": ROLES}),
        "bare": small_data.dataset({"rows": frame}, {"rows": Roles("row", label="is_anomaly")}),
        "alike": small_data.dataset(
            {"rows": frame.with_columns(a=pl.when(pl.int_range(600) < 2).then(1.0).otherwise(0.0))},
            {"rows": Roles("row", features=("a",), label="is_anomaly", split="split")},
        ),
        "unlabelled": small_data.dataset({"rows": frame}, {"rows": Roles("row", features=("a",))}),
    }
    said = model_selection.left_out(processed)
    assert [sentence.split(" rows")[0] for sentence in said] == ["one class", "rare", "bare", "alike"]
    assert "both classes" in said[0]
    assert "column to learn from" in said[2]
    assert set(compare(processed, Effort(100, 3, 1), names=["dummy"])) == {("tiny", "rows")}


def test_few_rows_get_fewer_folds():
    frame = rows(40).filter((pl.col("kind") != "worm") & (pl.int_range(pl.len()) < 30))
    rare = frame.with_columns(is_anomaly=pl.int_range(pl.len()) % 10 == 0, kind=None)
    roles = Roles("row", features=("a", "b"), label="is_anomaly")
    task = training_task(rare, roles, Effort(400, 5, 1))
    assert len(task.folds) == int(rare["is_anomaly"].sum())
    found = compare(data(rare, roles), Effort(400, 5, 1), names=NAMES)["tiny", "rows"]
    assert found.board["roc_auc"].is_not_null().all()


def test_labels_may_be_missing_and_columns_odd():
    frame = rows(200).with_columns(
        pl.when(pl.int_range(200) % 4 > 0).then("is_anomaly").alias("is_anomaly"),
        pl.lit(1.0).alias("constant"),
        pl.lit(None, dtype=pl.Float64).alias("nothing"),
    ).rename({"a": "größe [kB] {x}"})  # fmt: skip
    roles = Roles("row", features=("größe [kB] {x}", "b", "constant", "nothing", "text"), label="is_anomaly")
    found = compare(data(frame, roles), Effort(400, 3, 1), names=[*NAMES, "hist gradient boosting"])["tiny", "rows"]
    assert found.left_out == {}
    assert f"150 training rows, {frame['is_anomaly'].sum()} of them anomalies" in found.how


def test_an_overview_ranks_models_over_tables(board):
    second = compare(data(rows(seed=3, distance=0.5)), WORK, names=NAMES)["tiny", "rows"]
    table = model_selection.overview({("one", "rows"): board, ("two", "rows"): second})
    assert table["tables"].to_list() == [2] * 4
    assert table["model"][-1] == "dummy"
    assert table["mean_rank"].sum() == pytest.approx(10)
    assert table["best"].sum() == 2
    refused(lambda: model_selection.overview({}), "table", error=DataError)


def test_results_are_named_after_table_and_model(board):
    found = model_selection.results({("tiny", "rows"): board}, "tiny")
    assert found["rows_gaussian_nb_f1"] == board.board.filter(model="gaussian nb")["f1"][0]
    assert len(found) == len(NAMES) * 6
    assert model_selection.results({("tiny", "rows"): board}, "another") == {}


def test_progress_is_told():
    told = []
    compare(data(rows()), Effort(100, 3, 1), names=["dummy"], report=told.append)
    assert told == [f"tiny rows: round 1, fold {part} of 3" for part in (1, 2, 3)]


def test_unknown_measures_and_models_are_refused():
    refused(lambda: compare(data(rows()), metric="accuracy"), "f1", "'accuracy'", error=DataError)
    refused(lambda: compare(data(rows()), names=["oracle"]), "'oracle'", error=SettingsError)


def test_a_budget_says_how_much_work():
    fast, full = (model_selection.effort(settings.budget(name)) for name in ("fast", "full"))
    assert fast.rows < full.rows
    assert fast.rounds < full.rounds


def test_verdicts_without_spread():
    same = {"difference": -0.1, "p_value": float("nan")}
    assert model_selection._verdict(same) == WORSE
    assert model_selection._verdict({"difference": None, "p_value": None}) == NO_VERDICT
    one = model_selection._against(np.array([0.5]), np.array([0.6]), False, 0.2, "f1")
    assert one["p_value"] is None
    assert isinstance(Fold("one", Split("one", np.array([0]), np.array([1])), ()), Fold)
