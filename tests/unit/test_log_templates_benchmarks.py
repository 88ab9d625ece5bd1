"""Structure of the log parser's benchmarks at tiny sizes; drain3 itself is not needed."""

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from benchmarks import log_templates, peers, registry
from benchmarks.registry import Scale
from utils.datasets import hdfs

TINY = Scale(rounds=1, raw_lines=600)
pytestmark = pytest.mark.usefixtures("lab", "no_repeats")


@pytest.fixture
def no_peer(monkeypatch):
    def refuse(*_):
        raise peers.PeerMissing("drain3 could not be installed: no network")

    monkeypatch.setattr(peers, "interpreter", refuse)


@pytest.fixture
def stand_in(monkeypatch):
    """A parser that gives every line a cluster of its own and finds the sessions of the loop."""

    def fed(python, script, path, *arguments):
        lines = Path(path).read_text().splitlines()
        identifier = arguments[-1] if arguments[-1] == hdfs.BLOCK_PATTERN else None
        found = log_templates.read_sessions(path, identifier)[0] if identifier else None
        lengths = {} if found is None else dict(found.select("session", "n_events").iter_rows())
        return {"seconds": 2.0, "clusters": list(range(len(lines))), "sessions": lengths}

    monkeypatch.setattr(peers, "interpreter", lambda *_: Path(sys.executable))
    monkeypatch.setattr(log_templates, "_fed", fed)
    return fed


def test_without_drain3_ours_is_measured_alone_and_the_reason_is_told(no_peer):
    templates, beside, one = registry.CASES["log_templates"](TINY)
    assert [row.baseline for row in (templates, beside, one)] == [None] * 3
    assert beside.problem == "drain3 could not be installed: no network"
    assert (templates.met, beside.met) == (None, None)


def test_beside_drain3(stand_in):
    templates, beside, one = registry.CASES["log_templates"](TINY)
    assert (beside.baseline, str(beside.bar), beside.against) == (2.0, ">= 10x", "drain3, line by line")
    assert str(one.bar) == "< 0.001 s"
    assert templates.size.startswith("600 raw lines")


def test_beside_other_parsers_on_all_lines_or_on_some(stand_in):
    rows = registry.CASES["log_parsers"](TINY)
    assert [row.baseline for row in rows] == [20.0, 2.0, 2.0, 40.0]
    assert ["scaled" in row.size for row in rows] == [True, False, False, True]


def test_a_parser_that_fails_is_told(stand_in, monkeypatch):
    def fail(*_):
        raise RuntimeError("no such column")

    monkeypatch.setattr(log_templates, "_fed", fail)
    assert registry.CASES["log_parsers"](TINY)[1].problem == "LogLead 2.0, tipping: no such column"


def test_other_sessions_are_not_accepted(stand_in, monkeypatch):
    monkeypatch.setattr(log_templates, "_fed", lambda *some: {**stand_in(*some), "sessions": {"blk_1": 3}})
    with pytest.raises(RuntimeError, match="that drain3, line by line finds"):
        registry.CASES["log_templates"](TINY)


def test_memory_is_that_of_a_process_of_its_own(monkeypatch):
    seconds, memory = registry.CASES["log_memory"](TINY)
    assert seconds.size.startswith("6,000 raw lines")
    assert 0 < memory.ours < log_templates.MOST_MB
    assert (memory.unit, str(memory.bar)) == ("MB", "< 3,000 MB")
    monkeypatch.setattr(log_templates, "json_of", lambda *_: [1.0, 9.0, 6_000, 5_999])
    with pytest.raises(RuntimeError, match="6000 lines must"):
        registry.CASES["log_memory"](TINY)


def test_accuracy_is_shown_beside_drain3_or_told_to_be_missing(stand_in, tmp_path, monkeypatch):
    (missing,) = registry.CASES["log_accuracy"](TINY)
    assert "no loghub folder" in missing.problem
    folder = tmp_path / "loghub"
    folder.mkdir()
    (tmp_path / "mirror").mkdir()
    monkeypatch.setenv("ANOMALY_DATA_MIRROR", str(tmp_path / "mirror"))
    lines = {"System": ["A"] * 3, "Content": ["a 1", "a 2", "b c"], "EventTemplate": ["a <*>", "a <*>", "b c"]}
    pl.DataFrame(lines).write_parquet(folder / "loghub_2k_structured.parquet")
    system, mean = registry.CASES["log_accuracy"](TINY)
    assert (system.case, system.size) == (
        "templates of A",
        "3 lines, 2 templates; GA 1.000, drain3 plain 0.333, masked 0.333",
    )
    assert (mean.ours, mean.baseline, mean.ratio, mean.met) == (1.0, pytest.approx(1 / 3), None, True)
    wrong = {**lines, "System": ["HDFS"] * 3, "EventTemplate": ["x", "y", "y"]}
    pl.DataFrame(wrong).write_parquet(folder / "loghub_2k_structured.parquet")
    assert [row.met for row in registry.CASES["log_accuracy"](TINY)] == [None, False, False]


@pytest.mark.parametrize(
    ("with_uv", "made"), [(True, [["-m", "uv"], ["-m", "uv"]]), (False, [["-m", "venv"], ["-m", "pip"]])]
)
def test_a_peer_gets_an_environment_once(with_uv, made, tmp_path, monkeypatch):
    commands = []

    def run(command, **_):
        commands.append(command[1:])
        if "venv" in command:
            python = Path(command[-1]) / ("Scripts" if sys.platform == "win32" else "bin") / "python"
            python.parent.mkdir(parents=True)
            python.touch()

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(peers, "find_spec", lambda name: with_uv or None)
    for _ in range(2):
        python = peers.interpreter("drain3", "drain3==0.9.11 numpy", tmp_path)
    assert python.is_relative_to(tmp_path / "drain3-0.9.11")
    assert [command[:2] for command in commands] == [*made, *[["-c", "import drain3"]] * 2]
    assert commands[1][-2:] == ["drain3==0.9.11", "numpy"]


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
    script = log_templates.DRAIN3_SCRIPT
    assert log_templates._fed(Path(sys.executable), script, log, "masked")["clusters"] == [7, 5, 5]
    result = log_templates._fed(Path(sys.executable), script, log, "plain", r"blk_\d")
    assert (result["clusters"], result["sessions"]) == ([], {"blk_1": 2, "blk_2": 1})
