"""How cost grows with size, at tiny sizes; nothing here looks at how long anything took."""

import numpy as np
import polars as pl
import pytest

from benchmarks import growth, registry
from benchmarks.registry import Scale

TINY = Scale(rounds=1, lines=400, sessions=600, raw_lines=900)
pytestmark = pytest.mark.usefixtures("lab", "no_repeats")


@pytest.fixture
def network(monkeypatch):
    """A network that learns nothing."""
    from utils.detectors import next_event

    class Network:
        def __init__(self, **_):
            pass

        def fit(self, rows):
            return self

        def scores(self, rows):
            return rows

    monkeypatch.setattr(next_event, "NextEvent", Network)


@pytest.mark.parametrize("name", list(growth.SUBJECTS))
@pytest.mark.usefixtures("network")
def test_every_subject_measures_as_many_items_as_asked(name):
    found = growth.measured(name, 300, 1)
    assert found["value"] > 0
    assert found["peak_mb"] is None or found["peak_mb"] > 10
    assert found["size"] >= 200 if name in ("flows", "call_graphs") else found["size"] == 300


@pytest.mark.parametrize("name", ["lines", "dbscan"])
def test_sizes_rise_to_that_of_the_scale(name, monkeypatch):
    asked = []

    def json_of(module, subject, size, rounds):
        asked.append((module, subject, int(size), rounds))
        return {"size": int(size), "value": int(size) * 2e-6, "peak_mb": None, "data": "x"}

    monkeypatch.setattr(growth, "json_of", json_of)
    (row,) = registry.CASES[f"growth_{name}"](Scale(rounds=2))
    sizes = [size for _, _, size, _ in asked]
    assert sizes == sorted(set(sizes))
    assert len(sizes) >= 3
    assert sizes[-1] == {"lines": 3_000_000, "dbscan": 57_833}[name]
    assert {(module, subject, rounds) for module, subject, _, rounds in asked} == {("benchmarks.growth", name, "2")}
    assert row.exponent == pytest.approx(1.0)
    assert (row.ours, row.size.split()[0]) == (row.points[-1].value, f"{sizes[-1]:,}")


def test_distinct_sessions_are_counted_among_the_first_of_any_number():
    sequence = pl.Series(np.arange(4_000) % 1_500)
    row = growth._distinct_row("x", sequence, "y")
    shuffled = np.random.default_rng(growth.settings.SEED).permutation(sequence.to_numpy())
    assert [point.value for point in row.points] == [len(set(shuffled[: int(point.size)])) for point in row.points]
    assert (row.points[0].size, row.points[-1].size, row.ours) == (500, 4_000, 1_500)


def test_distinct_sessions_of_the_simulator_where_no_file_is_at_hand():
    row, length = registry.CASES["distinct_sessions"](TINY)
    assert 2 < length.ours < 300
    assert row.size == "600 sessions"
    assert row.points[-1].size == 600
    assert 0 < row.exponent <= 1


def test_bytes_on_disk_are_those_of_the_files():
    rows = {row.case: row for row in registry.CASES["storage"](TINY)}
    assert rows["bytes of a raw line"].ours > rows["bytes of a raw line, gzip"].ours > 1
    assert rows["bytes of a raw line"].ours > rows["bytes of a parsed line, Parquet"].ours > 1
    assert {row.size.split(",")[0] for row in rows.values()} == {"400 lines"}
