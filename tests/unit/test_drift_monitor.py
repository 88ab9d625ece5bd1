"""The monitor of a served model: cheap to add to, safe for many threads, and it tells what it found."""

import json
import threading

import numpy as np
import polars as pl
import pytest

from utils.errors import DataError
from utils.evaluation.drift import profile_of
from utils.serving.drift import DriftMonitor


def table(rows, seed=0):
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame({"size": rng.lognormal(size=rows), "service": rng.choice(["http", "dns"], rows)})
    return frame, rng.normal(size=rows)


@pytest.fixture(scope="module")
def profile():
    frame, scores = table(4_000)
    return profile_of(frame).expecting(scores, scores > 2)


def ask(monitor, frame, scores, rows=1):
    for start in range(0, frame.height, rows):
        end = start + rows
        monitor.add(frame[start:end].to_dicts(), scores[start:end].tolist(), (scores[start:end] > 2).tolist())


def test_single_records_are_counted_in_bulk(profile):
    reads = []

    def read(records):
        reads.append(len(records))
        return pl.DataFrame(records)

    frame, scores = table(600, seed=1)
    monitor = DriftMonitor(profile, read, window=400)
    ask(monitor, frame, scores)
    assert reads == [256, 256]
    report = monitor.report()
    assert reads == [256, 256, 88]
    assert (report["rows"], report["windows"], report["alarms"], report["state"]) == (600, 1, 0, "ok")
    assert (report["next_look"], report["compared"], report["skipped"]) == (200, 200, 0)
    whole = DriftMonitor(profile, window=400)
    whole.add(frame, scores, scores > 2)
    assert whole.report() == report


def test_a_shift_is_told_in_words_and_numbers(profile):
    frame, scores = table(400, seed=2)
    monitor = DriftMonitor(profile, window=400)
    assert monitor.report()["state"] == "too few rows"
    assert "compared first after 50 more" in monitor.report()["sentence"]
    assert monitor.table().is_empty()
    assert {metric.name for metric in monitor.metrics()} == {
        "anomaly_drift_state",
        "anomaly_drift_columns",
        "anomaly_drift_rows",
        "anomaly_drift_skipped_rows",
        "anomaly_drift_windows",
        "anomaly_drift_alarms",
    }
    odd = frame.with_columns(pl.lit("ftp").alias("service"))
    ask(monitor, odd, scores, 7)
    report = json.loads(json.dumps(monitor.report(), allow_nan=False))
    assert (report["state"], report["first_alarm"], report["alarms"]) == ("drifting", 50, 1)
    assert report["columns"][0]["column"] == "service"
    assert report["columns"][0]["drifted"]
    assert report["sentence"].startswith(
        "drifting: 'service' is another name in 100.0% of the rows, expected 0.0% (false alarms: at most one window"
    )
    by_name = {(metric.name, metric.labels.get("column")): metric for metric in monitor.metrics()}
    assert by_name["anomaly_drift_state", None].value == 2
    assert by_name["anomaly_drift_columns", None].value == 1
    assert by_name["anomaly_drift_rows", None] == (
        "anomaly_drift_rows",
        "Rows compared with training.",
        "counter",
        {},
        400.0,
    )
    assert by_name["anomaly_drift_size", "service"].value > 1
    assert by_name["anomaly_drift_p_value", "size"].labels == {"kind": "input", "column": "size"}


def test_several_columns_are_counted_in_the_sentence(profile):
    frame, scores = table(400, seed=3)
    monitor = DriftMonitor(profile, window=400)
    monitor.add(frame.with_columns(pl.col("size") * 100), scores + 3, scores > -1)
    assert ", and 2 more columns differ (" in monitor.report()["sentence"]
    other = DriftMonitor(profile, window=400)
    other.add(frame.with_columns(pl.col("size") * 100, service=pl.lit("ftp")), scores, scores > 2)
    assert ", and one more column differs (" in other.report()["sentence"]


def test_rows_that_cannot_be_read_are_skipped_and_the_others_count(profile):
    def read(rows):
        if "size" not in rows.columns:
            raise DataError("a size is needed")
        return rows

    frame, scores = table(20, seed=4)
    monitor = DriftMonitor(profile, read, window=400)
    ask(monitor, frame, scores)
    monitor.add([{"service": "http"}], [0.0], [False])
    monitor.add(frame[:3].to_dicts(), scores[:2], scores[:2] > 2)  # as many scores as rows are needed
    assert monitor.flush() == []
    report = monitor.report()
    assert (report["rows"], report["skipped"]) == (20, 3)


def test_rows_of_requests_that_do_not_go_together_are_counted_apart(profile):
    frame, scores = table(30, seed=8)
    monitor = DriftMonitor(profile, window=400)
    ask(monitor, frame[:10], scores[:10])
    for row in frame[10:].with_columns(beyond=pl.lit(1)).to_dicts():
        monitor.add([row], [0.0], [False])
    monitor.add([{**frame.row(0, named=True), "size": "a lot"}], [0.0], [False])
    report = monitor.report()
    assert (report["rows"], report["skipped"]) == (31, 0)


def test_memory_is_bounded_where_nobody_counts(profile):
    frame, scores = table(90, seed=5)
    monitor = DriftMonitor(profile, inline=False, most_waiting=50)
    ask(monitor, frame, scores)
    assert monitor.state == "too few rows"
    report = monitor.report()
    assert (report["rows"], report["skipped"]) == (50, 40)
    monitor.add(frame, scores, scores > 2)  # one request may be larger than what may wait
    assert monitor.report()["rows"] == 140


def test_many_threads_lose_nothing(profile):
    frame, scores = table(500, seed=6)
    monitor = DriftMonitor(profile, window=400)
    records, told = frame.to_dicts(), scores > 2

    def work():
        for record, score, decision in zip(records, scores, told, strict=True):
            monitor.add([record], [score], [decision])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        monitor.report()
    for thread in threads:
        thread.join()
    report = monitor.report()
    assert (report["rows"], report["skipped"], report["windows"]) == (2_000, 0, 5)


def test_adding_reads_nothing(profile):
    reads = []
    monitor = DriftMonitor(profile, reads.append, inline=False)
    frame, scores = table(300, seed=7)
    ask(monitor, frame, scores)
    assert reads == []
