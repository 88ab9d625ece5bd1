"""Structure of the log parser's benchmarks at tiny sizes; drain3 itself is not needed."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from benchmarks import log_templates, measure, peers, registry
from benchmarks.registry import Scale

TINY = Scale(rounds=1, raw_lines=600)
pytestmark = pytest.mark.usefixtures("lab")


@pytest.fixture(autouse=True)
def _no_repeats(monkeypatch):
    monkeypatch.setattr(measure, "LEAST_SECONDS", 1e-9)
    monkeypatch.setattr(measure, "gc", SimpleNamespace(collect=lambda: None))


@pytest.fixture
def no_peer(monkeypatch):
    def refuse(*_):
        raise peers.PeerMissing("drain3 could not be installed: no network")

    monkeypatch.setattr(peers, "interpreter", refuse)


@pytest.fixture
def stand_in(monkeypatch):
    """A drain3 that gives every line a cluster of its own and finds the sessions of the loop."""

    def fed(python, path, masks, *identifier):
        lines = Path(path).read_text().splitlines()
        found, _ = log_templates.read_sessions(path, identifier[0]) if identifier else (None, None)
        lengths = dict(found.select("session", "n_events").iter_rows()) if identifier else {}
        return {"seconds": 2.0, "clusters": list(range(len(lines))), "sessions": lengths}

    monkeypatch.setattr(peers, "interpreter", lambda *_: Path(sys.executable))
    monkeypatch.setattr(log_templates, "_fed", fed)
    return fed


def test_without_drain3_ours_is_measured_alone_and_the_reason_is_told(no_peer):
    rows = registry.CASES["log_templates"](TINY)
    assert [row.baseline for row in rows] == [None] * 4
    assert rows[1].data == "drain3 could not be installed: no network"
    assert [row.met for row in rows[:3]] == [None] * 3


def test_beside_drain3(stand_in):
    templates, plain, masked, one = registry.CASES["log_templates"](TINY)
    assert (plain.baseline, masked.baseline) == (2.0, 20.0)
    assert str(plain.bar) == ">= 10x"
    assert str(one.bar) == "< 0.001 s"
    assert templates.size.startswith("600 raw lines")


def test_other_sessions_are_not_accepted(stand_in, monkeypatch):
    monkeypatch.setattr(log_templates, "_fed", lambda *some: {**stand_in(*some), "sessions": {"blk_1": 3}})
    with pytest.raises(RuntimeError, match="loop with drain3"):
        registry.CASES["log_templates"](TINY)


def test_memory_is_that_of_a_process_of_its_own(monkeypatch):
    (row,) = registry.CASES["log_memory"](TINY)
    assert row.size.startswith("6,000 raw lines")
    assert 0 < row.peak_mb < log_templates.MOST_MB
    for found, message in (
        ([1.0, 3_001, 6_000, 6_000], "less than 3000 MB"),
        ([1.0, 9, 6_000, 5_999], "6000 lines must"),
    ):
        answer = SimpleNamespace(stdout=json.dumps(found))
        monkeypatch.setattr(subprocess, "run", lambda *_, answer=answer, **__: answer)
        with pytest.raises(RuntimeError, match=message):
            registry.CASES["log_memory"](TINY)


def test_accuracy_is_shown_beside_drain3_or_skipped(stand_in, tmp_path, monkeypatch, capsys):
    assert registry.CASES["log_accuracy"](TINY) == []
    assert "skipped" in capsys.readouterr().err
    folder = tmp_path / "loghub"
    folder.mkdir()
    (tmp_path / "mirror").mkdir()
    monkeypatch.setenv("ANOMALY_DATA_MIRROR", str(tmp_path / "mirror"))
    lines = {"System": ["A"] * 3, "Content": ["a 1", "a 2", "b c"], "EventTemplate": ["a <*>", "a <*>", "b c"]}
    pl.DataFrame(lines).write_parquet(folder / "loghub_2k_structured.parquet")
    (row,) = registry.CASES["log_accuracy"](TINY)
    assert row.case == "A: GA 1.000, FGA 1.000; drain3 plain 0.333 / 0.400, masked 0.333 / 0.400"
    assert "1.000" in capsys.readouterr().out
    pl.DataFrame({**lines, "EventTemplate": ["x", "y", "y"]}).write_parquet(folder / "loghub_2k_structured.parquet")
    with pytest.raises(RuntimeError, match="mean GA"):
        registry.CASES["log_accuracy"](TINY)


def test_a_peer_gets_an_environment_once(tmp_path, monkeypatch):
    commands = []

    def run(command, **_):
        commands.append(command[1:])
        if "venv" in command:
            python = Path(command[-1]) / ("Scripts" if sys.platform == "win32" else "bin") / "python"
            python.parent.mkdir(parents=True)
            python.touch()

    monkeypatch.setattr(subprocess, "run", run)
    for _ in range(2):
        python = peers.interpreter("drain3", "drain3==0.9.11", tmp_path)
    assert python.is_relative_to(tmp_path / "drain3-0.9.11")
    assert [command[:2] for command in commands] == [["-m", "venv"], ["-m", "pip"], *[["-c", "import drain3"]] * 2]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (subprocess.CalledProcessError(1, "pip", stderr="looking\nno such package\n"), "no such package"),
        (subprocess.TimeoutExpired("pip", 3), "timed out"),
        (OSError("disk full"), "disk full"),
    ],
)
def test_a_peer_that_cannot_be_installed_leaves_nothing(tmp_path, monkeypatch, error, reason):
    def run(command, **_):
        (tmp_path / "peers" / "drain3-0").mkdir(parents=True)
        raise error

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(peers.PeerMissing, match=f"drain3==0 could not be installed: .*{reason}"):
        peers.interpreter("drain3", "drain3==0", tmp_path / "peers")
    assert list((tmp_path / "peers").iterdir()) == []


def test_the_script_answers_in_json(tmp_path, monkeypatch):
    fake = """
class TemplateMiner:
    def __init__(self, config):
        pass

    def add_log_message(self, line):
        return {"cluster_id": len(line)}
"""
    package = tmp_path / "drain3"
    package.mkdir()
    (package / "__init__.py").write_text(fake)
    (package / "masking.py").write_text("MaskingInstruction = lambda *some: some\n")
    (package / "template_miner_config.py").write_text("class TemplateMinerConfig: pass\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    log = tmp_path / "x.log"
    log.write_text("blk_1 a\nblk_2\nblk_1\n")
    assert log_templates._fed(Path(sys.executable), log, "masked")["clusters"] == [7, 5, 5]
    result = log_templates._fed(Path(sys.executable), log, "plain", r"blk_\d")
    assert (result["clusters"], result["sessions"]) == ([], {"blk_1": 2, "blk_2": 1})
    assert json.dumps(result)
