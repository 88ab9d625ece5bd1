"""The rule to beat, on small tables whose answers are known: what is learned from training rows, what is counted."""

import datetime as dt
from dataclasses import replace
from typing import ClassVar

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit import small_data
from utils.datasets.contract import Roles
from utils.detectors import baselines, judging
from utils.detectors.baselines import sessions, thresholds
from utils.detectors.rules import FeatureRule, MeanPlusSigma, QuantileRule
from utils.errors import DataError
from utils.evaluation import metrics, splits
from utils.evaluation.conformal import ConformalCombination
from utils.features import tables

WEIGHT = tables.WEIGHT
WEIGHTED = {"withheld": {WEIGHT: "how many sessions each row stands for"}}
START = dt.datetime(2026, 3, 2)


def processed(frame, features, name="tiny", table="rows", **roles):
    given = {"label": "is_anomaly", "split": "split"} | roles
    return {name: small_data.dataset({table: frame}, {table: Roles("row", features=tuple(features), **given)}, name)}


def sided(train, test, **columns):
    """Rows of two sides, each a list of values and verdicts."""
    rows = [(value, verdict, side) for side, part in (("train", train), ("test", test)) for value, verdict in part]
    return pl.DataFrame(rows, schema=["x", "is_anomaly", "split"], orient="row").with_columns(**columns)


def known():
    """The rule is "x from 20 on": of three anomalies it finds two, and it flags one of four normals."""
    train = [(value, False) for value in range(1, 9)] + [(value, True) for value in range(20, 24)]
    test = [(1, False), (2, False), (3, False), (30, False), (2, True), (25, True), (26, True)]
    return sided(train, test)


def noisy(rows=400, seed=0):
    rng = np.random.default_rng(seed)
    label = rng.random(rows) < 0.3
    return pl.DataFrame(
        {
            "size": rng.lognormal(2 + label, 1),
            "rate": rng.random(rows) + 0.2 * label,
            "kind": np.where(rng.random(rows) < 0.5 + 0.3 * label, "a", "b"),
            "is_anomaly": label,
            "split": np.where(rng.random(rows) < 0.6, "train", "test"),
        }
    )


FEATURES = ("size", "rate", "kind")


def with_shuffled_labels(frame, rows, seed=1):
    """The same frame with other verdicts in the rows of the mask."""
    label, places = frame["is_anomaly"].to_numpy().copy(), np.flatnonzero(rows.to_numpy())
    label[places] = label[np.random.default_rng(seed).permutation(places)]
    assert not np.array_equal(label, frame["is_anomaly"].to_numpy())
    return frame.with_columns(is_anomaly=label)


def written_out(frame):
    return frame[np.repeat(np.arange(frame.height), frame[WEIGHT].to_numpy())].drop(WEIGHT)


def one_rule(frame, features=("x",), **roles):
    return baselines.best_rules(processed(frame, features, **roles), resamples=20, seed=0)["tiny", "rows"]


def test_a_rule_whose_f1_is_known():
    judged = one_rule(known())
    assert (judged.rule.feature_, judged.rule.direction_) == ("x", "high")
    assert judged.train_f1 == 1
    assert judged.estimate("f1").value == pytest.approx(2 / 3)
    assert judged.estimate("precision").value == pytest.approx(2 / 3)
    assert judged.estimate("recall").value == pytest.approx(2 / 3)
    assert judged.estimate("false_alarm_rate").value == 1 / 4
    assert judged.trivial_f1 == pytest.approx(6 / 10)
    assert judged.choice.honest_f1 == pytest.approx(2 / 3)
    assert judged.board["test_f1"].to_list() == pytest.approx([2 / 3])
    assert {each.unit for each in judged.estimates} == {"row"}


def test_the_overview_has_the_same_numbers():
    (line,) = baselines.overview(baselines.best_rules(processed(known(), ("x",)), resamples=20)).to_dicts()
    assert (line["data set"], line["table"]) == ("tiny", "rows")
    assert "x is at least" in line["rule"]
    assert [line[name] for name in ("training f1", "value", "precision", "recall", "false alarms", "trivial_f1")] == (
        pytest.approx([1, 2 / 3, 2 / 3, 2 / 3, 1 / 4, 0.6])
    )
    assert line["low"] < line["value"] < line["high"]
    assert line["f1"] == f"0.667 [{line['low']:.3f}, {line['high']:.3f}]"


def test_f1_where_anomalies_are_rare_is_that_of_recall_and_false_alarms():
    (line,) = baselines.overview(baselines.best_rules(processed(known(), ("x",)), resamples=20)).to_dicts()
    found, false, missed = 0.01 * 2 / 3, 0.99 / 4, 0.01 / 3
    assert line["f1 at 1 %"] == pytest.approx(2 * found / (2 * found + false + missed))


def test_results_for_the_record_of_a_run():
    judged = baselines.best_rules(processed(known(), ("x",)) | processed(noisy(), FEATURES, "other"), resamples=20)
    found, f1 = baselines.results(judged, "tiny"), judged["tiny", "rows"].estimate("f1")
    assert found == {
        "rows_rule_f1": f1.value,
        "rows_rule_f1_low": f1.low,
        "rows_rule_f1_high": f1.high,
        "rows_rule_f1_on_test": judged["tiny", "rows"].choice.f1,
        "rows_trivial_f1": judged["tiny", "rows"].trivial_f1,
        "rows_false_alarm_rate": 0.25,
    }
    assert baselines.results(judged, "nobody") == {}


def test_verdicts_of_test_rows_choose_nothing():
    frame = noisy()
    first, second = (
        one_rule(rows, FEATURES) for rows in (frame, with_shuffled_labels(frame, frame["split"] == "test"))
    )
    assert first.rule.sentence_ == second.rule.sentence_
    assert first.train_f1 == second.train_f1
    assert first.rule.scoreboard_.equals(second.rule.scoreboard_)
    assert first.estimate("f1").value != second.estimate("f1").value
    assert one_rule(with_shuffled_labels(frame, frame["split"] == "train"), FEATURES).train_f1 != first.train_f1


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000))
def test_a_threshold_from_test_rows_is_never_worse_and_intervals_hold_their_value(seed):
    judged = one_rule(noisy(80, seed), FEATURES)
    assert judged.choice.f1 >= judged.choice.honest_f1 - 1e-12
    assert judged.choice.honest_f1 == pytest.approx(judged.estimate("f1").value)
    for each in judged.estimates:
        assert np.isnan(each.value) or np.isnan(each.low) or each.low <= each.value <= each.high


def test_rows_of_one_group_are_drawn_together():
    """Ten copies of each row are no more evidence than the row."""
    frame = pl.concat([known().with_columns(vector=pl.int_range(pl.len()))] * 10)
    alone, grouped = one_rule(frame.drop("vector")), one_rule(frame, group="vector")
    assert grouped.estimate("f1").value == alone.estimate("f1").value
    assert width(grouped) > 2 * width(alone)


def width(judged):
    return judged.estimate("f1").high - judged.estimate("f1").low


def test_kinds_of_anomalies_have_a_recall_each():
    kinds = pl.when("is_anomaly").then(pl.when(pl.col("x") < 10).then(pl.lit("still")).otherwise(pl.lit("loud")))
    judged = one_rule(known().with_columns(kind=kinds.otherwise(pl.lit("normal"))), anomaly_type="kind")
    assert (judged.estimate("recall/still").value, judged.estimate("recall/loud").value) == (0, 1)


def weighted(seed=3, rows=120):
    rng = np.random.default_rng(seed)
    label = rng.random(rows) < 0.4
    return pl.DataFrame(
        {
            "x": rng.normal(size=rows) + label,
            "y": rng.normal(size=rows),
            WEIGHT: rng.integers(1, 20, rows),
            "is_anomaly": label,
            "split": np.where(np.arange(rows) % 2 == 0, "train", "test"),
        }
    )


def test_a_row_that_stands_for_many_counts_as_many():
    frame = weighted()
    short, long = one_rule(frame, ("x", "y"), **WEIGHTED), one_rule(written_out(frame), ("x", "y"))
    assert short.rule.rule_.point == long.rule.rule_.point
    assert short.train_f1 == long.train_f1
    assert short.choice == long.choice
    assert short.trivial_f1 == long.trivial_f1
    assert short.board["test_f1"].to_list() == long.board["test_f1"].to_list()
    for name in ("f1", "recall", "false_alarm_rate"):
        first, second = short.estimate(name), long.estimate(name)
        assert (first.value, first.low, first.high, first.n) == (second.value, second.low, second.high, second.n)
    plain = one_rule(frame.drop(WEIGHT), ("x", "y"))
    assert plain.estimate("f1").value != short.estimate("f1").value


def test_rows_without_a_label_are_left_out():
    """They are on both sides, and would be the only ones that speak for another feature."""
    frame = noisy()
    odd = frame.head(50).with_columns(size=pl.lit(-1e9), is_anomaly=pl.lit(None, pl.Boolean))
    many, fewer = processed(pl.concat([odd, frame]), FEATURES), processed(frame, FEATURES)
    first, second = (baselines.best_rules(each, resamples=20)["tiny", "rows"] for each in (many, fewer))
    assert first.rule.sentence_ == second.rule.sentence_
    assert first.estimate("f1") == second.estimate("f1")
    assert baselines.limits(many).equals(baselines.limits(fewer))
    assert baselines.alarm_tables(many)["tiny", "rows"].equals(baselines.alarm_tables(fewer)["tiny", "rows"])


def test_only_tables_with_both_classes_on_both_sides_are_judged():
    normal_training = known().filter(~pl.col("is_anomaly") | (pl.col("split") == "test"))
    one_side = known().filter(split="train")
    unlabelled = known().with_columns(is_anomaly=pl.lit(None, pl.Boolean))
    for frame in (normal_training, one_side, unlabelled, known().clear()):
        assert list(judging.labelled_tables(processed(frame, ("x",)))) == []
    for roles in ({"label": None}, {"split": None}):
        assert list(judging.labelled_tables(processed(known(), ("x",), **roles))) == []
    assert list(judging.labelled_tables(processed(known(), ()))) == []
    ((table, frame, _, split),) = judging.labelled_tables(processed(known(), ("x",)))
    assert (table, frame.height, split.train.size, split.test.size) == (("tiny", "rows"), 19, 12, 7)


def test_without_a_label_nothing_is_judged():
    roles, split = Roles("row", features=("x",)), splits.Split("by hand", np.arange(12), np.arange(12, 19))
    with pytest.raises(DataError, match="a rule is judged by labels, found none"):
        baselines.judge(known(), roles, split, FeatureRule(["x"]), resamples=2, seed=0)


def test_the_rule_that_is_given_stays_as_it_was():
    rule, roles = FeatureRule(["x"]), Roles("row", label="is_anomaly", features=("x",))
    split = splits.Split("by hand", np.arange(12), np.arange(12, 19))
    judged = baselines.judge(known(), roles, split, rule, resamples=2, seed=0)
    assert judged.rule is not rule
    assert not hasattr(rule, "rule_")


def in_time(rows=200, seed=4):
    """Until row 120 high sizes are anomalous, from then on low ones."""
    rng = np.random.default_rng(seed)
    label, past = rng.random(rows) < 0.4, np.arange(rows) < 120
    size = rng.normal(size=rows) + np.where(past, 6, -6) * label
    columns = {"size": size, "is_anomaly": label, "split": ["train", "test"] * (rows // 2)}
    return pl.DataFrame(columns), [START + dt.timedelta(hours=hour) for hour in range(rows)]


def later(frame, times, order=None, **changes):
    source = frame.with_columns(when=pl.Series(times, dtype=pl.Datetime))
    roles = Roles("row", label="is_anomaly", features=("size",), time="when")
    data = {"tiny": small_data.dataset({"rows": source}, {"rows": replace(roles, **changes)})}
    return baselines.later_rules(data, processed(frame, ("size",)), resamples=2)


def test_a_later_rule_is_learned_from_the_past_alone():
    frame, times = in_time()
    first = later(frame, times)["tiny", "rows"]
    assert (first.rule.direction_, first.train_f1) == ("high", pytest.approx(1, abs=0.05))
    assert first.estimate("f1").value < 0.2
    assert first.estimate("f1").n == 80
    future = with_shuffled_labels(frame, pl.Series(np.arange(200) >= 120))
    assert later(future, times)["tiny", "rows"].rule.sentence_ == first.rule.sentence_


def test_the_order_of_the_rows_is_not_that_of_the_times():
    frame, times = in_time()
    order = np.random.default_rng(5).permutation(200)
    shuffled = later(frame[order], [times[place] for place in order])["tiny", "rows"]
    assert shuffled.estimate("f1") == later(frame, times)["tiny", "rows"].estimate("f1")


def test_rows_without_a_time_or_a_label_are_left_out():
    frame, times = in_time()
    nameless = frame.with_columns(
        is_anomaly=pl.when(pl.int_range(pl.len()) < 3).then(pl.lit(None, pl.Boolean)).otherwise("is_anomaly")
    )
    found = later(nameless, [*times[:-2], None, None])["tiny", "rows"]
    assert found.estimate("f1").n == 78
    assert found.rule.n_rows_ == 117


def test_tables_without_times_or_with_one_class_later_are_left_out():
    frame, times = in_time()
    assert later(frame, times, time=None) == {}
    assert later(frame, [START] * 200) == {}
    assert later(frame.with_columns(is_anomaly=pl.int_range(pl.len()) % 2 == pl.int_range(pl.len()) // 100), times)
    early = frame.with_columns(is_anomaly=pl.int_range(pl.len()) < 40)
    assert later(early, times) == {}


def test_tables_whose_rows_are_not_those_of_their_frame_are_left_out():
    frame, times = in_time()
    made = processed(frame, ("size",))
    source = frame.head(150).with_columns(when=pl.Series(times[:150]))
    data = {"tiny": small_data.dataset({"rows": source}, {"rows": Roles("row", label="is_anomaly", time="when")})}
    assert baselines.later_rules(data, made, resamples=2) == {}
    other = {"tiny": small_data.dataset({"else": source}, {"else": Roles("row", label="is_anomaly", time="when")})}
    assert baselines.later_rules(other, made, resamples=2) == {}


def test_limits_are_those_of_normal_training_rows():
    """Normal training rows have mean 0 and deviation about 1.005; from 3.02 on a test row is flagged."""
    train = [(value, False) for value in (-1.0, 1.0) * 50] + [(1e6, True)] * 30
    test = [(0.0, False), (3.1, False), (2.9, False), (-3.1, True), (2.0, True)]
    found = baselines.limits(processed(sided(train, test), ("x",)))
    assert found["rule"].to_list() == ["MeanPlusSigma", "QuantileRule"]
    assert found["nominal"].to_list() == [None, 0.01]
    shares = found.row(0, named=True)
    assert (shares["real"], shares["recall"], shares["precision"], shares["f1"]) == (
        pytest.approx(1 / 3), 0.5, 0.5, 0.5,
    )  # fmt: skip


def test_limits_count_rows_that_stand_for_many():
    frame = weighted()
    short = baselines.limits(processed(frame, ("x", "y"), **WEIGHTED), rate=0.05, k=1.0)
    long = baselines.limits(processed(written_out(frame), ("x", "y")), rate=0.05, k=1.0)
    assert short.equals(long)
    assert not short.equals(baselines.limits(processed(frame, ("x", "y")), rate=0.05, k=1.0))


def exchangeable(seed, rows=600):
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "a": rng.exponential(size=rows),
            "b": rng.normal(size=rows),
            "is_anomaly": np.arange(rows) % 20 == 0,
            "split": rng.permutation(["train", "test"] * (rows // 2)),
        }
    )


def test_nominal_alarm_rates_hold_on_exchangeable_rows():
    repeats = 60
    found = [
        baselines.alarm_tables(processed(exchangeable(seed), ("a", "b")))["tiny", "rows"] for seed in range(repeats)
    ]
    real = np.array([each["real"].to_list() for each in found])
    nominal = np.array(found[0]["nominal"].to_list())
    error = real.std(axis=0, ddof=1) / np.sqrt(repeats)
    assert nominal.tolist() == [0.01, 0.05, 0.10]
    assert (real.mean(axis=0) <= nominal + 3 * error).all()
    assert (real.mean(axis=0) >= nominal - 0.01 - 3 * error).all()


def test_p_values_come_from_normal_training_rows_alone():
    frame = exchangeable(1)
    attacks = (pl.col("split") == "train") & pl.col("is_anomaly")
    wild = frame.with_columns(pl.when(attacks).then(1e9).otherwise("a").alias("a"))
    first, second = (baselines.alarm_tables(processed(rows, ("a", "b")))["tiny", "rows"] for rows in (frame, wild))
    assert first.equals(second)
    tested = frame.with_columns(pl.when("is_anomaly").then(1e9).otherwise("a").alias("a"))
    third = baselines.alarm_tables(processed(tested, ("a", "b")))["tiny", "rows"]
    assert third.select("real", "low", "high", "normals").equals(first.select("real", "low", "high", "normals"))
    assert third["recall"].to_list()[1:] == [1, 1]
    other = with_shuffled_labels(frame, frame["split"] == "test")
    assert baselines.alarm_tables(processed(other, ("a", "b")))["tiny", "rows"]["alarms"].equals(first["alarms"])


def test_rows_of_one_group_fit_the_limits_or_calibrate_them(monkeypatch):
    frame, halves = exchangeable(2).with_columns(group=pl.int_range(pl.len()) // 5), []
    monkeypatch.setattr(
        splits, "grouped", lambda *given, divide=splits.grouped: halves.append(divide(*given)) or halves[-1]
    )
    baselines.alarm_tables(processed(frame, ("a", "b"), group="group"))
    (division,) = halves
    normal = frame.filter(~pl.col("is_anomaly"), split="train")
    assert division.train.size + division.test.size == normal.height
    assert not set(normal["group"][division.train]) & set(normal["group"][division.test])


def test_alarms_count_rows_that_stand_for_many(monkeypatch):
    """Limits and p-values share the weight of the normal training rows; the test rows count theirs."""
    frame, given = weighted(rows=300), {}
    for kind in (MeanPlusSigma, QuantileRule, ConformalCombination):

        def fit(self, rows, *, weight, fit=kind.fit):
            given[type(self)] = int(weight.sum())
            return fit(self, rows, weight=weight)

        monkeypatch.setattr(kind, "fit", fit)
    found = baselines.alarm_tables(processed(frame, ("x", "y"), **WEIGHTED))["tiny", "rows"]
    trained, tested = (frame.filter(~pl.col("is_anomaly"), split=side)[WEIGHT].sum() for side in ("train", "test"))
    assert found["normals"].to_list() == [tested] * 3
    assert given[MeanPlusSigma] == given[QuantileRule]
    assert given[MeanPlusSigma] + given[ConformalCombination] == trained


def refused_columns(rows=400, seed=6):
    rng = np.random.default_rng(seed)
    label = rng.random(rows) < 0.3
    frame = pl.DataFrame(
        {
            "port": np.where(label, 22, rng.integers(1_000, 1_010, rows)),
            "client": [f"10.0.0.{place % 20}" for place in range(rows)],
            "row": range(rows),
            "is_anomaly": label,
        }
    )
    return small_data.dataset(
        {"flows": frame}, {"flows": Roles("flow", label="is_anomaly", identity=("client", "port", "row"))}
    )


def test_a_port_goes_far_and_is_refused():
    found = baselines.shortcuts({"tiny": refused_columns()})
    assert found["column"].to_list()[0] == "port"
    assert set(found["column"]) == {"port", "client", "row"}
    assert found["balanced_accuracy"].is_sorted(descending=True)
    strongest = found.row(0, named=True)
    assert (strongest["data set"], strongest["frame"], strongest["distinct"]) == ("tiny", "flows", 11)
    assert (strongest["balanced_accuracy"], strongest["recall"], strongest["false_alarm_rate"]) == (1, 1, 0)
    assert strongest["answer"].startswith("a rule on 'port' would recognise who it was")
    others = found.filter(pl.col("column") != "port")
    assert others["balanced_accuracy"].is_between(0.35, 0.65).all()
    assert found["answer"].str.contains("would recognise who it was").all()


def test_rows_without_a_label_say_nothing_about_shortcuts():
    plain = refused_columns()
    frame = pl.concat([plain["flows"], plain["flows"].head(60).with_columns(is_anomaly=pl.lit(None, pl.Boolean))])
    assert baselines.shortcuts({"tiny": replace(plain, frames={"flows": frame})}).equals(
        baselines.shortcuts({"tiny": plain})
    )


def test_columns_that_name_each_row_are_passed_over(monkeypatch):
    monkeypatch.setattr(thresholds, "MOST_VALUES", 30)
    assert set(baselines.shortcuts({"tiny": refused_columns()})["column"]) == {"port", "client"}
    monkeypatch.setattr(thresholds, "MOST_VALUES", 5)
    assert baselines.shortcuts({"tiny": refused_columns()}).is_empty()


def test_frames_without_two_classes_have_no_shortcuts():
    data = refused_columns()
    for roles in (replace(data.roles["flows"], label=None), replace(data.roles["flows"], identity=())):
        assert baselines.shortcuts({"tiny": replace(data, roles={"flows": roles})}).is_empty()
    normal = replace(data, frames={"flows": data["flows"].filter(~pl.col("is_anomaly"))})
    found = baselines.shortcuts({"tiny": normal})
    assert found.is_empty()
    assert found.head(8)["data set"].to_list() == []


def test_a_column_that_no_role_names_is_accepted():
    data = refused_columns()
    known = Roles("flow", label="is_anomaly", features=("port",))
    assert thresholds._answer(data["flows"], known, "port") == "accepted"


def test_repeated_splits_give_a_row_each():
    frame, roles = noisy(), Roles("row", label="is_anomaly", features=FEATURES)
    chosen = splits.repeated(frame["is_anomaly"], repeats=4, seed=1)
    rule = FeatureRule(feature="size", direction="high")
    found = baselines.over_splits(frame, roles, chosen, rule)
    assert found["split"].to_list() == [split.name for split in chosen]
    assert set(found["feature"]) == {"size"}
    assert (found["optimistic_f1"] >= found["honest_f1"]).all()
    split = chosen[0]
    fitted = FeatureRule(feature="size", direction="high").fit(frame[split.train], frame["is_anomaly"][split.train])
    tested = frame[split.test]
    assert found["honest_f1"][0] == metrics.f1(tested["is_anomaly"], fitted.predict(tested))
    assert found["cut"][0] == fitted.cut_


def test_spread_sums_up_splits():
    runs = pl.DataFrame({"honest_f1": [0.6, 0.7, 0.8], "optimistic_f1": [0.7, 0.75, 0.8], "cut": [4.0, 5.0, 12.0]})
    found = baselines.spread({("tiny", "as published"): runs, ("other", "one row"): runs})
    line = found.row(0, named=True)
    assert (line["data set"], line["protocol"], line["splits"]) == ("tiny", "as published", 3)
    assert (line["honest"], line["optimistic"]) == (pytest.approx(0.7), pytest.approx(0.75))
    assert (line["honest range"], line["optimistic range"]) == ("0.600 to 0.800", "0.700 to 0.800")
    assert line["cuts"] == "4 to 12"
    half = 4.302652729749462 * 0.1 * np.sqrt(1 / 3 + 0.2 / 0.8)
    assert line["honest f1"] == f"0.700 [{0.7 - half:.3f}, {min(0.7 + half, 1):.3f}]"
    assert baselines.spread_results(found, "tiny") == {
        "as_published_honest_f1": pytest.approx(0.7),
        "as_published_optimistic_f1": pytest.approx(0.75),
    }


def test_nothing_is_summed_up_as_nothing():
    found = baselines.spread({})
    assert found.is_empty()
    assert found.schema == pl.Schema(thresholds.SPREAD)
    assert baselines.spread_results(found, "tiny") == {}


def test_a_category_has_no_range_of_cuts():
    runs = pl.DataFrame(
        {"honest_f1": [0.6], "optimistic_f1": [0.6], "cut": [None]}, schema_overrides={"cut": pl.Float64}
    )
    assert baselines.spread({("tiny", "one"): runs})["cuts"].to_list() == [""]


def test_published_rows_are_rebuilt():
    """Graph b stands twice, its connections twice over; data centres stay out, and no edge is one edge."""
    graphs = pl.DataFrame(
        {
            "n_connections": [5, 7, 9, 0, None],
            "is_anomaly": [False, True, True, True, False],
            "ip_type": ["default", "default", "datacenter", "default", "default"],
            "upstream_rows": [1, 2, 3, 1, 1],
        }
    )
    found = baselines.as_published(graphs)
    assert found["n_connections"].to_list() == [5, 14, 14, 1, 1]
    assert found["is_anomaly"].to_list() == [False, True, True, True, False]
    assert set(found.columns) == {baselines.PUBLISHED.label, *baselines.PUBLISHED.features}
    for missing in ("ip_type", "upstream_rows"):
        with pytest.raises(DataError, match="use the data set api"):
            baselines.as_published(graphs.drop(missing))


def events():
    """Test rows: 8 of 10 injections have a known mark, 1 of 40 normal texts has one too."""
    attack, harmless = "' OR {0}={0} -- ", "value {0} of shop"
    train = [(attack, "sqli")] * 5 + [(harmless, "normal")] * 60
    test = [(attack, "sqli")] * 8 + [(harmless, "sqli")] * 2 + [(harmless, "normal")] * 39 + [(attack, "normal")]
    rows = [(text.format(place), kind) for place, (text, kind) in enumerate(train + test)]
    frame = pl.DataFrame(rows, schema=["payload", "anomaly_type"], orient="row").with_columns(
        is_anomaly=pl.col("anomaly_type") != "normal",
        length=pl.col("payload").str.len_chars(),
        split=pl.when(pl.int_range(pl.len()) < 65).then(pl.lit("train")).otherwise(pl.lit("test")),
    )
    return processed(frame, ("payload", "length"), table="payloads", anomaly_type="anomaly_type")


def test_signatures_are_judged_kind_by_kind():
    found = baselines.signatures(events())
    assert found.select("data set", "table").unique().row(0) == ("tiny", "payloads")
    lines = {line["anomaly_type"]: line for line in found.to_dicts()}
    assert (lines["sqli"]["rows"], lines["sqli"]["flagged"]) == (10, 0.8)
    assert (lines["normal"]["rows"], lines["normal"]["flagged"]) == (40, 1 / 40)
    assert lines["sqli"]["low"] == pytest.approx(0.4902, abs=1e-4)
    assert lines["sqli"]["high"] == pytest.approx(0.9433, abs=1e-4)


def test_tables_without_texts_have_no_signatures():
    assert baselines.signatures(processed(known(), ("x",))).is_empty()


def sequences():
    """Normal sessions of a and b; among test sessions an unseen event, an unseen set and a longer session."""
    rows = [
        (["a", "b"], 40, False, "train"),
        (["a", "b", "b"], 10, False, "train"),
        (["a", "b"], 300, False, "test"),
        (["a"], 5, False, "test"),
        (["a", "b", "c"], 20, True, "test"),
        (["b"], 10, True, "test"),
        (["a", "b", "b", "b"], 15, True, "test"),
        (["a", "b"], 5, True, "test"),
    ]
    frame = pl.DataFrame(rows, schema=["events", WEIGHT, "is_anomaly", "split"], orient="row")
    return frame, Roles("sequence", label="is_anomaly", split="split", sequence="events", **WEIGHTED)


@pytest.fixture(scope="module")
def judged_sessions():
    return {line["rule"]: line for line in baselines.session_rules(*sequences(), seed=1).to_dicts()}


@pytest.mark.parametrize(
    ("rule", "found", "false"),
    [("UnseenEvent", 20, 0), ("SessionLength", 25, 5), ("UnseenEventSet", 30, 5), ("UnseenCountVector", 45, 5)],
)
def test_sessions_are_counted_and_not_sequences(judged_sessions, rule, found, false):
    line = judged_sessions[rule]
    assert line["recall"] == pytest.approx(found / 50)
    assert line["precision"] == pytest.approx(found / (found + false))
    assert line["false_alarm_rate"] == pytest.approx(false / 305)
    assert line["f1"] == pytest.approx(2 * found / (found + false + 50))
    assert line["low"] <= line["f1"] <= line["high"]
    assert line["sentence"].startswith("abnormal if")


def test_all_novelty_rules_are_judged(judged_sessions):
    assert list(judged_sessions) == [kind.__name__ for kind in baselines.NOVELTY]


def test_sessions_count_as_written_out(judged_sessions):
    frame, roles = sequences()
    long = written_out(frame).with_columns(pl.lit(1).alias(WEIGHT))
    for line in baselines.session_rules(long, roles, seed=1).to_dicts():
        assert line["f1"] == pytest.approx(judged_sessions[line["rule"]]["f1"])
        assert line["sentence"] == judged_sessions[line["rule"]]["sentence"]


def test_test_sessions_change_no_rule(judged_sessions):
    frame, roles = sequences()
    other = frame.with_columns(is_anomaly=pl.col("is_anomaly") ^ (pl.col("split") == "test"))
    sentences = {line["rule"]: line["sentence"] for line in baselines.session_rules(other, roles).to_dicts()}
    assert sentences == {rule: line["sentence"] for rule, line in judged_sessions.items()}


class Recorder:
    """A rule that writes down what it is fitted on and flags what has an event c."""

    fitted: ClassVar[list] = []

    def fit(self, known, weight):
        type(self).fitted.append(dict(zip(map(tuple, known["events"].to_list()), weight.tolist(), strict=True)))
        assert not known["is_anomaly"].any()
        return self

    def fires(self, asked):
        return asked["events"].list.contains("c").to_numpy()


def test_other_draws_train_on_as_many_normals_and_test_on_all_others(monkeypatch):
    judged = []

    def f1(y, fired, weight):
        judged.append((np.asarray(y), np.asarray(weight)))
        return metrics_f1(y, fired, weight)

    metrics_f1 = metrics.f1
    monkeypatch.setattr(Recorder, "fitted", [])
    monkeypatch.setattr(sessions, "NOVELTY", (Recorder,))
    monkeypatch.setattr(sessions.metrics, "f1", f1)
    found = baselines.session_draws(*sequences(), draws=5, seed=9)
    assert len(Recorder.fitted) == len(judged) == 5
    totals = {("a", "b"): 340, ("a", "b", "b"): 10, ("a",): 5}
    for fitted, (y, weight) in zip(Recorder.fitted, judged, strict=True):
        assert sum(fitted.values()) == 50
        assert all(0 < number <= totals[events] for events, number in fitted.items())
        assert weight[y].sum() == 50
        assert weight[~y].sum() == 355 - 50
        assert (weight >= 0).all()
    assert len({tuple(sorted(fitted.items())) for fitted in Recorder.fitted}) > 1
    expected = 2 * 20 / (20 + 50)
    assert found.row(0)[:5] == (
        "Recorder",
        pytest.approx(expected),
        pytest.approx(0, abs=1e-9),
        *[pytest.approx(expected)] * 2,
    )


def test_draws_follow_their_seed_and_are_summed_up():
    frame, roles = sequences()
    first, again, one = (baselines.session_draws(frame, roles, draws=draws, seed=3) for draws in (4, 4, 1))
    assert first.equals(again)
    assert first["rule"].to_list() == [kind.__name__ for kind in baselines.NOVELTY]
    assert (first["min"] <= first["mean"] + 1e-12).all()
    assert (first["mean"] <= first["max"] + 1e-12).all()
    each = [baselines.session_draws(frame, roles, draws=1, seed=seed)["mean"] for seed in range(3, 7)]
    assert np.mean(each, axis=0) == pytest.approx(first["mean"].to_numpy())
    assert np.std(each, axis=0, ddof=1) == pytest.approx(first["sd"].to_numpy())
    assert np.min(each, axis=0).tolist() == first["min"].to_list()
    assert np.max(each, axis=0).tolist() == first["max"].to_list()
    assert one["sd"].null_count() == one.height


def test_sessions_without_a_weight_count_once(judged_sessions):
    frame, roles = sequences()
    found = baselines.session_rules(written_out(frame), replace(roles, withheld={}), seed=1).to_dicts()
    assert {line["rule"]: line["f1"] for line in found} == pytest.approx(
        {rule: line["f1"] for rule, line in judged_sessions.items()}
    )
    again = baselines.session_draws(written_out(frame), replace(roles, withheld={}), draws=2)
    assert again.equals(baselines.session_draws(frame, roles, draws=2))


def test_sessions_without_a_label_are_left_out(judged_sessions):
    frame, roles = sequences()
    odd = frame.with_columns(is_anomaly=pl.lit(None, pl.Boolean), events=pl.lit(["z"]))
    found = {line["rule"]: line for line in baselines.session_rules(pl.concat([frame, odd]), roles, seed=1).to_dicts()}
    assert found == judged_sessions
    assert baselines.session_draws(pl.concat([odd, frame]), roles, draws=2).equals(
        baselines.session_draws(frame, roles, draws=2)
    )


class Demanding(Recorder):
    """A rule that refuses every second time to learn from so few sessions."""

    fitted: ClassVar[list] = []
    sentence_ = "abnormal if c occurs"

    def fit(self, known, y=None, weight=None):
        type(self).fitted.append(known.height)
        if len(type(self).fitted) % 2 == 0:
            raise DataError("more sessions are needed")
        return self


def test_rules_that_need_more_sessions_are_left_out(monkeypatch):
    monkeypatch.setattr(Demanding, "fitted", [])
    monkeypatch.setattr(sessions, "NOVELTY", (Demanding, sessions.novelty.UnseenEvent))
    frame, roles = sequences()
    kinds = [baselines.session_rules(frame, roles)["rule"].to_list() for _ in range(2)]
    assert kinds == [["Demanding", "UnseenEvent"], ["UnseenEvent"]]
    assert baselines.session_draws(frame, roles, draws=2)["rule"].to_list() == ["UnseenEvent"]


def test_without_normal_sessions_there_is_no_rule():
    frame, roles = sequences()
    attacks = frame.with_columns(is_anomaly=pl.col("is_anomaly") | (pl.col("split") == "train"))
    assert baselines.session_rules(attacks, roles).is_empty()
    draws = baselines.session_draws(attacks, roles, draws=2)
    assert draws.columns[:5] == ["rule", "mean", "sd", "min", "max"]
    assert draws.is_empty()


def test_tables_of_sessions_that_can_be_judged_are_found():
    frame, roles = sequences()
    one = {"rows": frame.drop(WEIGHT)}, {"rows": replace(roles, withheld={})}
    two = {"sequences": frame, "blocks": frame}, {"sequences": roles, "blocks": roles}
    many = {"own": small_data.dataset(*one, "own"), "hdfs": small_data.dataset(*two, "hdfs")}
    found = baselines.session_tables(many)
    assert list(found) == [("own", "rows"), ("hdfs", "sequences")]
    assert found["hdfs", "sequences"][0].equals(frame)
    assert found["own", "rows"][1].sequence == "events"
    nameless = pl.concat([frame, frame.with_columns(is_anomaly=pl.lit(None, pl.Boolean))])
    kept, _ = baselines.session_tables({"own": small_data.dataset({"rows": nameless}, {"rows": roles})})["own", "rows"]
    assert kept.equals(frame)


@pytest.mark.parametrize(
    "changed",
    [
        lambda frame, roles: (frame, replace(roles, label=None)),
        lambda frame, roles: (frame, replace(roles, split=None)),
        lambda frame, roles: (frame, replace(roles, sequence=None)),
        lambda frame, roles: (frame.filter(split="train"), roles),
        lambda frame, roles: (frame.filter(~pl.col("is_anomaly")), roles),
        lambda frame, roles: (
            frame.with_columns(is_anomaly=pl.col("is_anomaly") | (pl.col("split") == "train")),
            roles,
        ),
        lambda frame, roles: (frame.with_columns(is_anomaly=pl.lit(None, pl.Boolean)), roles),
    ],
    ids=["no label", "no split", "no events", "no test", "no anomaly", "no normal in training", "labels missing"],
)
def test_other_tables_of_sessions_are_passed_over(changed):
    frame, roles = changed(*sequences())
    assert baselines.session_tables({"own": small_data.dataset({"rows": frame}, {"rows": roles})}) == {}


def test_tables_that_allow_no_rule_are_passed_over():
    """Nothing varies in training, or there is one normal row that cannot be halved."""
    still = processed(known().with_columns(x=pl.lit(1)), ("x",))
    assert baselines.best_rules(still, resamples=2) == {}
    flat = baselines.limits(still)
    assert flat.select("rule", "real", "recall").rows() == [("QuantileRule", 0, 0)]
    assert baselines.alarm_tables(still) == {}
    lonely = processed(known().filter((pl.col("split") == "test") | (pl.col("x") > 7)), ("x",))
    assert list(baselines.best_rules(lonely, resamples=2)) == [("tiny", "rows")]
    assert baselines.alarm_tables(lonely) == {}
    assert baselines.overview({}).columns == baselines.overview(baselines.best_rules(lonely, resamples=2)).columns


def test_session_numbers_for_the_record_of_a_run():
    rules = pl.DataFrame({"rule": ["UnseenEvent"], "f1": [0.5]})
    draws = pl.DataFrame({"rule": ["UnseenEvent"], "mean": [0.6], "min": [0.4]})
    both = {"UnseenEvent_f1": 0.5, "UnseenEvent_mean_f1": 0.6, "UnseenEvent_worst_f1": 0.4}
    assert baselines.session_results(rules, draws) == both
    assert baselines.session_results(None, None) == {}
