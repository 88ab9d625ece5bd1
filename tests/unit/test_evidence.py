"""What is shown about features, compared with small tables whose answers are known."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from tests.unit import small_data
from utils import datasets
from utils.datasets.contract import Roles
from utils.features import evidence, tables
from utils.features.selection import VERDICTS

WEIGHT = tables.WEIGHT
LABELLED = {"label": "is_anomaly", "split": "split"}


def processed(frame, features, name="tiny", table="rows", **roles):
    return {name: small_data.dataset({table: frame}, {table: Roles("row", features=tuple(features), **roles)}, name)}


def signals(rows=300, seed=0, test=100):
    """One feature that is the label, one that hints at it, a copy of the hint, noise, a constant and free text."""
    rng = np.random.default_rng(seed)
    label = rng.random(rows) < 0.3
    hint = rng.normal(size=rows) + label
    return pl.DataFrame(
        {
            "answer": label.astype(float),
            "hint": hint,
            "copy": 2 * hint,
            "noise": rng.normal(size=rows),
            "constant": np.ones(rows),
            "text": [f"text {place}" for place in range(rows)],
            "is_anomaly": label,
            "split": np.where(np.arange(rows) < rows - test, "train", "test"),
        }
    )


FEATURES = ("answer", "hint", "copy", "noise", "constant", "text")


def shuffled_test_labels(frame, seed=1):
    label = frame["is_anomaly"].to_numpy().copy()
    tested = np.flatnonzero((frame["split"] == "test").to_numpy())
    label[tested] = label[np.random.default_rng(seed).permutation(tested)]
    assert not np.array_equal(label, frame["is_anomaly"].to_numpy())
    return frame.with_columns(is_anomaly=label)


@pytest.fixture(scope="module")
def simulated():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANOMALY_OFFLINE", "1")
        return {name: datasets.load(name, "simulated", seed=3, budget="fast") for name in ("api", "waf", "hdfs")}


@pytest.fixture(scope="module")
def built(simulated):
    return {name: tables.build(dataset, seed=3) for name, dataset in simulated.items()}


def test_training_rows_and_measured_features_are_looked_at():
    frame = signals()
    many = processed(frame, FEATURES, **LABELLED) | processed(frame, (), "bare")
    ((table, rows, _, features),) = evidence.learnable(many)
    assert table == ("tiny", "rows")
    assert rows.height == 200
    assert set(rows["split"]) == {"train"}
    assert features == ["answer", "hint", "copy", "noise", "constant"]


def test_a_table_without_sides_is_looked_at_as_a_whole():
    ((_, rows, _, _),) = evidence.learnable(processed(signals(), ("hint",), label="is_anomaly"))
    assert rows.height == 300


def test_features_are_chosen_with_known_reasons():
    chosen = evidence.choices(processed(signals(), FEATURES, **LABELLED))
    found = dict(chosen["tiny", "rows"].table.select("feature", "verdict").iter_rows())
    assert found["answer"] == "too good to be true"
    assert found["constant"] == "constant"
    assert {found["hint"], found["copy"]} == {"keep", "correlated"}
    (line,) = evidence.verdicts(chosen).to_dicts()
    assert (line["features"], line["keep"], line["correlated"], line["constant"]) == (5, 1, 1, 1)
    assert sum(line[verdict] for verdict in VERDICTS) == 5
    assert line["strongest"] == "answer (1.000)"


def test_labels_of_test_rows_choose_nothing():
    frame = signals()
    first, second = (
        evidence.choices(processed(rows, FEATURES, **LABELLED))["tiny", "rows"].table
        for rows in (frame, shuffled_test_labels(frame))
    )
    assert first.equals(second)


@pytest.mark.parametrize("labels", ["one class", "none"])
def test_without_two_classes_in_training_nothing_is_measured_by_the_label(labels):
    frame, roles = signals(), dict(LABELLED)
    if labels == "one class":
        frame = frame.with_columns(is_anomaly=pl.col("is_anomaly") & (pl.col("split") == "test"))
    else:
        roles.pop("label")
    many = processed(frame, FEATURES, **roles)
    chosen = evidence.choices(many)
    assert chosen["tiny", "rows"].table["auc"].null_count() == 5
    assert evidence.verdicts(chosen)["strongest"].to_list() == ["no label in training"]
    assert evidence.stabilities(many, resamples=5) == {}
    assert "rows_best_single_auc" not in evidence.results("tiny", many["tiny"], chosen, {})


def test_a_weighted_table_is_measured_as_its_written_out_rows():
    """Information over its share of the label's entropy is that entropy, which has no correction for few rows."""
    rng = np.random.default_rng(2)
    counts, label = rng.integers(1, 9, 200), rng.random(200) < 0.4
    short = pl.DataFrame({"hint": np.round(rng.normal(size=200) + label), WEIGHT: counts, "is_anomaly": label})
    long, weights = short[np.repeat(np.arange(200), counts)], {"withheld": {WEIGHT: "weight"}}
    weighted, written, plain = (
        evidence.choices(processed(rows, ("hint",), label="is_anomaly", **roles))["tiny", "rows"]
        .table.select(pl.col("information") / pl.col("entropy_share"))
        .item()
        for rows, roles in ((short, weights), (long, {}), (short, {}))
    )
    assert weighted == pytest.approx(written, abs=1e-9)
    assert weighted != pytest.approx(plain, abs=1e-4)


def test_stability_is_high_where_one_feature_says_all():
    frame = signals().with_columns(other=pl.col("noise").reverse())
    many = processed(frame, ("hint", "noise", "other", "constant"), **LABELLED)
    measured = evidence.stabilities(many, resamples=10, seed=4)["tiny", "rows"]
    assert measured.resamples == 10
    assert measured.table["feature"][0] == "hint"
    assert measured.table["frequency"][0] == 1
    again = evidence.stabilities(
        processed(shuffled_test_labels(frame), ("hint", "noise", "other", "constant"), **LABELLED),
        resamples=10, seed=4,
    )  # fmt: skip
    assert again["tiny", "rows"].table.equals(measured.table)


def test_results_name_each_table_of_their_data_set_alone():
    many = processed(signals(), FEATURES, **LABELLED) | processed(signals(seed=5), ("hint",), "other", **LABELLED)
    chosen, stable = evidence.choices(many), evidence.stabilities(many, resamples=5)
    found = evidence.results("tiny", many["tiny"], chosen, stable)
    assert found == {
        "tables": 1,
        "rows": 300,
        "rows_features": 5,
        "rows_kept": len(chosen["tiny", "rows"].kept),
        "rows_best_single_auc": 1,
        "rows_stability": stable["tiny", "rows"].index,
    }
    assert evidence.results("other", many["other"], chosen, stable)["rows_features"] == 1


def test_treatment_is_learned_from_training_rows():
    frame = pl.DataFrame(
        {
            "bytes": [1, 10, 100, 1_000, 10_000, 100_000] * 20,
            "kind": ["a", "b", "c"] * 40,
            "split": ["train"] * 100 + ["test"] * 20,
        }
    )
    tested = frame.with_columns(kind=pl.when(pl.col("split") == "test").then(pl.lit("new")).otherwise("kind"))
    first, second = (evidence.treatments(processed(rows, ("bytes", "kind"), split="split")) for rows in (frame, tested))
    assert first.equals(second)
    assert first["data set"].to_list() == ["tiny", "tiny"]
    found = {row["column"]: row for row in first.iter_rows(named=True)}
    assert found["bytes"]["logarithm"]
    assert (found["kind"]["kind"], found["kind"]["outputs"]) != (found["bytes"]["kind"], 1)


def test_treatment_of_a_table_without_sides_is_that_of_all_rows():
    found = evidence.treatments(processed(signals(), ("hint", "noise")))
    assert found["column"].to_list() == ["hint", "noise"]


def test_graphs_texts_and_sessions_are_no_typed_tables(built):
    assert evidence.typed_tables(built["api"]) == []
    assert evidence.typed_tables(built["waf"]) == []
    assert evidence.typed_tables(built["hdfs"]) == []
    assert evidence.treatments(built).is_empty()
    assert evidence.typed_tables(tables.build(small_data.table())) == ["flows"]


def test_a_dot_in_a_name_makes_no_text():
    many = processed(signals().rename({"hint": "bytes.in"}), ("bytes.in", "noise"))
    assert evidence.typed_tables(many["tiny"]) == ["rows"]


def test_the_heaviest_tail_that_gets_a_logarithm_is_named():
    rng = np.random.default_rng(0)
    rows = pl.DataFrame(
        {
            "flat": [10.5, 11.5] * 50,
            "heavy": 100 * rng.lognormal(0, 1, 100),
            "heavier": 100 * rng.lognormal(0, 2, 100),
            "flag": [0] * 99 + [1],
            "name": ["a"] * 100,
            "gap": pl.Series([None] * 100, dtype=pl.Float64),
        }
    )
    table = ("tiny", "rows")

    def named(*columns):
        return evidence.heaviest_tail(table, rows, evidence.treatments(processed(rows.select(columns), columns)))

    assert named(*rows.columns) == "heavier"
    assert named("flat", "heavy", "name", "flag") == "heavy"
    assert named("flat") is None
    assert named("flat", "flag") is None, "a flag has a skewness and no tail"
    assert evidence.heaviest_tail(table, rows, evidence.treatments({})) is None
    assert evidence.heaviest_tail(("other", "rows"), rows, evidence.treatments(processed(rows, ["heavy"]))) is None


def test_degrees_over_all_graphs_are_compared_on_test_graphs():
    """In training x makes 2 calls, one a graph; test graph c adds 2 and d adds 1: 4 and 3 by training, 5 by all."""
    calls = [("a", "x", "y"), ("b", "x", "y"), ("c", "x", "y"), ("c", "x", "z"), ("d", "x", "y"), ("d", "y", "x")]
    dataset = small_data.dataset(
        {
            "behaviors": pl.DataFrame({"_id": list("abcd")}),
            "edges": pl.DataFrame(calls, schema=["_id", "from", "to"], orient="row"),
        },
        {"behaviors": Roles("behaviour"), "edges": Roles("call")},
        kind="call_graph",
    )
    name = "max_global_source_degrees"
    made = pl.DataFrame({"split": ["train", "train", "test", "test"], name: [2.0, 2.0, 4.0, 3.0]})
    (line,) = evidence.degrees_by_counting(
        dataset, processed(made, (name,), table="graphs", split="split")["tiny"]
    ).to_dicts()
    assert line["feature"] == name
    assert (line["training graphs"], line["all graphs"]) == (3.5, 5)
    assert line["ratio"] == pytest.approx((4 / 5 + 3 / 5) / 2)


def test_degrees_of_simulated_graphs_keep_their_order(simulated, built):
    found = evidence.degrees_by_counting(simulated["api"], built["api"])
    assert set(found["feature"]) == {name for name in built["api"].roles["graphs"].features if "global" in name}
    assert found["ratio"].is_between(0.7, 0.9).all()
    assert found["rank correlation"].min() > 0.6


def test_without_edges_there_is_nothing_to_count(simulated, built):
    without = replace(simulated["api"], frames={"behaviors": simulated["api"]["behaviors"]})
    assert evidence.degrees_by_counting(without, built["api"]).is_empty()


def test_without_test_graphs_or_global_degrees_there_is_nothing_to_compare(simulated, built):
    api, graphs = built["api"], built["api"]["graphs"]
    roles = {"graphs": replace(api.roles["graphs"], features=("n_connections",))}
    for other in (
        replace(api, frames={"graphs": graphs.with_columns(split=pl.lit("train"))}),
        replace(api, roles=roles),
        replace(api, frames={}),
    ):
        assert evidence.degrees_by_counting(simulated["api"], other).is_empty()


def test_a_table_that_cannot_be_treated_is_left_out():
    still = signals().with_columns(hint=pl.lit(1.0))
    assert evidence.treatments(processed(still, ("hint",), **LABELLED)).is_empty()


def test_damage_is_counted_for_each_data_set_with_events(simulated):
    found = evidence.damages(simulated)
    assert set(found["data set"]) == {"waf"}
    events = simulated["waf"]["events"].height
    assert (found["rows"] / events).to_list() == pytest.approx(found["share"].to_list())
    assert evidence.damages({"api": simulated["api"]}).is_empty()


def log_of(statements, sides, true):
    """Raw lines, one session of two lines after the other, as a processed log and the frames that it came from."""
    lines = pl.DataFrame({"LineId": range(1, len(statements) + 1), "EventId": true})
    numbers = [[first, first + 1] for first in range(1, len(statements), 2)]
    events = [[statements[first - 1], statements[second - 1]] for first, second in numbers]
    blocks = pl.DataFrame({"line_ids": numbers, "events": events, "split": sides})
    learned = {event for row, side in zip(events, sides, strict=True) if side == "train" for event in row}
    templates = pl.DataFrame({"template_id": sorted(set(statements))}).with_columns(
        known=pl.col("template_id").is_in(list(learned))
    )
    made = small_data.dataset(
        {"blocks": blocks, "templates": templates}, {"blocks": Roles("block"), "templates": Roles("template")}
    )
    return small_data.dataset({"lines": lines}, {"lines": Roles("line")}, kind="log"), made


def test_a_grouping_is_compared_with_the_known_one():
    """Eight lines: a and b are one true event and found apart, c and d are right."""
    raw, made = log_of(list("acbcacdd"), ["train", "train", "test", "test"], ["1", "2", "1", "2", "1", "2", "3", "3"])
    (line,) = evidence.parsing({"tiny": raw}, {"tiny": made}).to_dicts()
    assert line == {
        "data set": "tiny",
        "lines": 8,
        "templates": 4,
        "unseen": 0.5,
        "grouping accuracy": 5 / 8,
        "true templates": 3,
    }


def test_a_log_without_published_events_has_no_accuracy():
    raw, made = log_of(list("abab"), ["train", "train"], list("1212"))
    raw = replace(raw, frames={"lines": raw["lines"].drop("EventId")})
    (line,) = evidence.parsing({"tiny": raw}, {"tiny": made}).to_dicts()
    assert (line["grouping accuracy"], line["true templates"], line["unseen"]) == (None, None, 0)


def test_data_without_raw_lines_are_not_parsed(simulated, built):
    assert evidence.parsing({"api": simulated["api"]}, {"api": built["api"]}).is_empty()


def test_statements_of_the_simulator_are_found_again(simulated, built):
    (line,) = evidence.parsing(simulated, built).to_dicts()
    assert line["data set"] == "hdfs"
    assert line["lines"] == simulated["hdfs"]["lines"].height
    assert line["grouping accuracy"] == 1
    assert line["true templates"] == simulated["hdfs"]["lines"]["EventId"].n_unique()


def counted_by_hand(sessions):
    windows = []
    for events in sessions:
        tokens = ["begin"] * (evidence.WINDOW - 1) + list(events) + ["end"]
        windows += [tuple(tokens[last - evidence.WINDOW : last]) for last in range(evidence.WINDOW, len(tokens) + 1)]
    return windows


@pytest.mark.parametrize("weighted", [False, True], ids=["sessions", "distinct sessions with weights"])
def test_sessions_and_windows_are_counted_as_by_hand(weighted):
    rng = np.random.default_rng(6)
    some = [rng.integers(0, 3, length).tolist() for length in (1, 2, 12, 15, 3)]
    times = [4, 1, 3, 2, 5]
    sessions = [events for events, often in zip(some, times, strict=True) for _ in range(often)]
    windows = counted_by_hand(sessions)
    frame = pl.DataFrame({"events": some, WEIGHT: times}) if weighted else pl.DataFrame({"events": sessions})
    withheld = {WEIGHT: "the sessions of a row"} if weighted else {}
    (line,) = evidence.reductions(processed(frame, (), sequence="events", withheld=withheld)).to_dicts()
    assert (line["sessions"], line["distinct sessions"]) == (15, 5)
    assert (line["windows"], line["distinct windows"]) == (len(windows), len(set(windows)))
    assert line["sessions, times fewer"] == 3
    assert line["windows, times fewer"] == pytest.approx(len(windows) / len(set(windows)))


def test_tables_without_sessions_reduce_nothing(built):
    empty = pl.DataFrame({"events": []}, schema={"events": pl.List(pl.Int64)})
    assert evidence.reductions({"api": built["api"]} | processed(empty, (), sequence="events")).is_empty()
