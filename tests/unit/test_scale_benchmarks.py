"""Benchmarks of inputs larger than memory at tiny sizes; nothing here looks at how long anything took."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import flow_scale, log_scale
from benchmarks.registry import QUICK
from utils.features.log_templates import read_sessions

pytestmark = pytest.mark.usefixtures("lab")


def test_raw_lines_of_three_sizes(monkeypatch, tmp_path):
    def here(path, limit):
        asked.append(limit)
        folder = tmp_path / str(len(asked))
        folder.mkdir()
        if limit:
            raise RuntimeError("no memory")
        return log_scale.parse(path, folder, 0)

    asked = []
    monkeypatch.setattr(log_scale, "_apart", here)
    cost, peak, line, limited = log_scale.raw_lines_on_disk(replace(QUICK, raw_lines=400))
    assert [point.size for point in cost.points] == [400, 1_200, 4_000]
    assert peak.ours == cost.peak_mb > 0
    assert (str(peak.bar), str(line.bar)) == ("< 3,000 MB", ">= 0.833333x")
    assert line.ours == pytest.approx(cost.ours / 4_000)
    assert (limited.ours, limited.problem) == (None, "no memory")
    assert asked == [0, 0, 0, log_scale.LIMIT_BYTES]


def test_missing_lines_or_other_sessions_are_not_accepted(monkeypatch, tmp_path):
    monkeypatch.setattr(log_scale, "_apart", lambda *_: log_scale.Measured(1.0, 1.0, 99, 99, 9))
    with pytest.raises(RuntimeError, match="100 lines must be counted"):
        log_scale._median(tmp_path, 100, 1)
    path = log_scale._written(tmp_path, 300)
    monkeypatch.setattr(log_scale, "read_sessions", lambda path, name: (read_sessions(path, name)[0].head(1), None))
    with pytest.raises(RuntimeError, match="must be those in memory"):
        log_scale._require_same(path)


def test_flows_of_three_sizes(monkeypatch, tmp_path):
    def here(way, path):
        folder = tmp_path / f"{way} {path.stem}"
        folder.mkdir()
        return {"parts": flow_scale.by_parts, "memory": flow_scale.in_memory}[way](Path(path), folder)

    for name, value in {"COPIED": 400, "SAMPLE": 300, "PART_BYTES": 150_000, "_apart": here}.items():
        monkeypatch.setattr(flow_scale, name, value)
    cost, peak = flow_scale.flows_on_disk(replace(QUICK, raw_lines=2_400))
    assert [point.size for point in cost.points] == [400, 480, 1_200]
    assert len(list((tmp_path / "parts 1200" / "parts").iterdir())) > 2
    assert (cost.unit, peak.unit) == ("s", "MB")
    with pytest.raises(RuntimeError, match="must give what they give in memory"):
        flow_scale._require_same(flow_scale.Measured(1, 1, 5, 5, 1.0, 1.0), flow_scale.Measured(1, 1, 5, 6, 1.0, 1.0))
