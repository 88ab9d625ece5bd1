"""What notebook 11 asks the service: held-out records, agreement, waiting times and drift."""

import polars as pl
import pytest

from utils import audit, datasets, plots
from utils.serving import trials
from utils.tracking import champions, models

NAMES = ("traffic", "hdfs")


@pytest.fixture(scope="module")
def made():
    """Small simulated data sets with their processed tables."""
    data = {name: datasets.load(name, "simulated", seed=7) for name in NAMES}
    return data, {name: audit.admitted_tables(dataset, seed=7) for name, dataset in data.items()}


@pytest.fixture
def loaded(in_reference):
    return {name: models.load_model(name) for name in NAMES}


@pytest.fixture
def asked(loaded, made):
    return [trials.held_out(name, loaded[name], made[1][name], most=400, seed=7) for name in NAMES]


class Contrary:
    """A model that decides otherwise."""

    def __init__(self, model):
        self.model = model

    def decide(self, rows, **options):
        return self.model.decide(rows, **options).with_columns(~pl.col("decision"))


def test_records_are_raw_and_of_the_test_part(asked, loaded, made):
    rows, sessions = asked
    table = made[1]["traffic"]["windows"]
    assert list(rows.records[0]) == list(map(str, loaded["traffic"].feature_names_in_))
    held = table.filter(pl.col(made[1]["traffic"].roles["windows"].split) != "train")
    assert rows.rows.join(held, on=rows.rows.columns, how="anti", nulls_equal=True).is_empty()
    assert (rows.form, sessions.form, len(rows.records), len(sessions.records)) == ("rows", "sessions", 400, 400)
    assert rows.labels.shape == (400,)


def test_a_model_that_reads_other_columns_is_asked_nothing(loaded, made):
    assert trials.held_out("traffic", loaded["traffic"], made[1]["hdfs"], most=5) is None
    assert trials.raw_lines("traffic", loaded["traffic"], made[0]["traffic"], most=5) is None


def test_lines_are_written_as_in_the_file(loaded, made):
    lines = trials.raw_lines("hdfs", loaded["hdfs"], made[0]["hdfs"], most=300)
    first = made[0]["hdfs"]["lines"].row(0, named=True)
    assert len(lines.records) == 300
    assert lines.records[0].endswith(f"{first['Level']} {first['Component']}: {first['Content']}")


def test_service_and_models_agree_and_a_contrary_one_is_noticed(service, loaded, made, asked):
    lines = trials.raw_lines("hdfs", loaded["hdfs"], made[0]["hdfs"], most=500)
    agreed = trials.agreement(service, loaded, [*asked, lines], least=900)
    assert agreed["differ"].to_list() == [0, 0, 0]
    assert agreed["asked"].to_list() == [900, 900, 500]
    assert (agreed["distinct"] <= 400).to_list() == [True, True, False]
    contrary = trials.agreement(service, {"traffic": Contrary(loaded["traffic"])}, asked[:1])
    assert contrary["differ"].to_list() == [400]


def test_what_is_served_is_told(service):
    told = trials.served(service)
    assert set(NAMES) <= set(told["model"])
    assert told.filter(model="hdfs")["forms"].to_list() == ["lines, sessions"]
    assert told.select((pl.col("low") <= pl.col("f1")) & (pl.col("f1") <= pl.col("high"))).to_series().all()


def test_times_are_measured_and_drawn(service, asked):
    waited = trials.speeds(service, asked, concurrency=(1, 2), requests=6)
    assert waited.select("model", "clients").rows() == [(name, number) for name in NAMES for number in (1, 2)]
    assert waited["failed"].sum() == 0
    figure = plots.waiting_times(waited)
    assert [trace.name for trace in figure.data if trace.name] == ["median", "95 %", "99 %"]
    shown = ["traffic, one at a time", "traffic, 2 at a time", "hdfs, one at a time", "hdfs, 2 at a time"]
    assert list(figure.data[-1].y) == shown


def test_drift_is_found_where_records_are_shifted_and_not_among_halves(service, loaded, asked):
    profiles = {name: profile for name in NAMES if (profile := champions.profile_of(name)) is not None}
    assert set(profiles) == set(NAMES)
    tried = trials.drift_trials(asked, loaded, profiles, windows=4, repeats=1, seed=7)
    assert tried.filter(shift=trials.HALVES)["alarms"].to_list() == [0, 0]
    assert tried.filter(model="traffic", shift="unit")["share"].to_list() == [1.0]
    assert set(trials.calm(tried)) <= set(NAMES)
    found = trials.results("traffic", pl.DataFrame(), pl.DataFrame(), tried)
    assert found["drift_false"] == 0.0
    assert ("drift_found" in found) == ("traffic" in trials.calm(tried))
    assert trials.drift_trials(asked, loaded, {}, windows=1).is_empty()


def test_a_fresh_service_says_what_it_was_asked(in_reference, asked):
    live = trials.watched(asked[:1], seed=7)
    assert live.select("model", "asked").rows() == [("traffic", 400)]
    assert live["shifted"].to_list() == ["drifting"]
    assert trials.watched([]).is_empty()


def test_results_are_those_of_one_model():
    agreed = pl.DataFrame({"model": ["a", "b"], "asked": [3, 4], "differ": [0, 1]})
    waited = pl.DataFrame(
        {"model": ["a", "a"], "clients": [8, 1], "p50_ms": [9.0, 2.0], "p99_ms": [9.5, 3.0], "failed": [1, 0]}
    )
    assert trials.results("a", agreed, waited, pl.DataFrame()) == {
        "asked": 3.0,
        "differ": 0.0,
        "p50_ms": 2.0,
        "p99_ms": 3.0,
        "failed": 1.0,
    }
