"""Traffic comes from the simulator only; its tables are checked like those of files."""

import datetime as dt

import polars as pl
import pytest

from tests.unit.loading import assert_roles_complete, refused
from utils.datasets import traffic
from utils.errors import DataError


@pytest.fixture
def raw():
    windows = {
        "window": [0, 1],
        "time": [dt.datetime(2026, 1, 1, 0), dt.datetime(2026, 1, 1, 1)],
        "src": ["h1", "h2"],
        "dst": ["h2", "h3"],
        "bytes": [100, 9_000],
        "packets": [2, 90],
        "flows": [1, 3],
        "is_anomaly": [False, True],
        "anomaly_type": ["normal", "scan"],
    }
    return {"windows": pl.DataFrame(windows), "hosts": pl.DataFrame({"host": ["h1"], "role": ["client"]})}


def test_frames_are_those_of_the_simulator_with_roles(raw):
    assembled = traffic.assemble(raw)
    assert assembled.frames["windows"].equals(raw["windows"])
    assert assembled.frames["hosts"].equals(raw["hosts"])
    assert assembled.defects == ()
    assert_roles_complete(assembled)


def test_wrong_tables_are_refused(raw):
    short = raw | {"windows": raw["windows"].drop("bytes")}
    refused(lambda: traffic.assemble(short), "windows", "column 'bytes'")
    text = raw | {"windows": raw["windows"].with_columns(pl.col("packets").cast(pl.String))}
    refused(lambda: traffic.assemble(text), "windows", "'packets'", "Int64", "String")
    empty = raw | {"hosts": raw["hosts"].clear()}
    refused(lambda: traffic.assemble(empty), "hosts", "at least one row")


def test_there_are_no_files_to_read(tmp_path):
    assert traffic.READS == ()
    refused(lambda: traffic.read({}), "simulated only", "source='simulated'", error=DataError)
    refused(lambda: traffic.read({"a.csv": tmp_path}), "a.csv", error=DataError)
