"""Structure of the benchmarks at tiny sizes; nothing here looks at how long anything took."""

import json
from collections import OrderedDict
from types import SimpleNamespace

import pandas as pd
import polars as pl
import pytest

from benchmarks import __main__ as command
from benchmarks import baselines, hdfs_logs, measure, registry, report
from benchmarks.registry import Bar, Row, Scale
from utils.datasets import hdfs, sessions
from utils.simulate import hdfs as simulator

TINY = Scale(rounds=2, lines=400, sessions=300, raw_lines=500)
pytestmark = pytest.mark.usefixtures("lab")


@pytest.fixture(autouse=True)
def _no_repeats(monkeypatch):
    monkeypatch.setattr(measure, "LEAST_SECONDS", 1e-9)
    monkeypatch.setattr(measure, "gc", SimpleNamespace(collect=lambda: None))


@pytest.fixture
def lines():
    return simulator.simulate(100, seed=1)["lines"]


def row(**changes):
    values = {"case": "a", "ours": 0.5, "baseline": 30.0, "bar": Bar("ratio", 40), "size": "1", "data": "real"}
    return Row(**{**values, **changes})


def test_the_baseline_finds_the_sessions_that_ours_finds(lines):
    loop = baselines.sessions_row_by_row(pd.DataFrame(lines.to_dict(as_series=False)))
    ours = sessions.by_identifier(lines, hdfs.BLOCK_PATTERN)
    assert list(loop) == ours["session"].to_list()
    assert list(loop.values()) == ours["events"].to_list()


def test_different_results_are_not_accepted(lines):
    ours = sessions.by_identifier(lines, hdfs.BLOCK_PATTERN)
    good = OrderedDict(zip(ours["session"], ours["events"].to_list(), strict=True))
    hdfs_logs._require_same(ours, good)
    moved = OrderedDict(good)
    moved.move_to_end(ours["session"][0])
    name = ours["session"][3]
    for bad in (moved, {**good, name: [*good[name][::-1], "E1"]}, {}):
        with pytest.raises(RuntimeError, match="row-by-row loop"):
            hdfs_logs._require_same(ours, bad)


@pytest.mark.parametrize(
    ("case", "rows", "bars"), [("sessionise", 3, [">= 40x"]), ("sessions", 1, ["< 3 s"]), ("simulate", 1, ["< 10 s"])]
)
def test_each_case_gives_its_rows(case, rows, bars):
    got = registry.CASES[case](TINY)
    assert len(got) == rows
    assert [str(one.bar) for one in got if one.bar] == bars
    assert all(one.ours > 0 for one in got)


def test_without_real_files_the_simulator_makes_as_many_and_says_so():
    in_memory, *_ = registry.CASES["sessionise"](TINY)
    (loaded,) = registry.CASES["sessions"](TINY)
    assert (in_memory.size, in_memory.data) == ("400 lines", hdfs_logs.SIMULATED)
    assert loaded.size.startswith("300 sessions")
    assert loaded.data == hdfs_logs.SIMULATED


@pytest.mark.parametrize("place", ["mirror", "cache"])
def test_real_files_are_taken_where_they_are(place, lab, tmp_path, monkeypatch, lines):
    folder = (tmp_path / "mirror" if place == "mirror" else lab.raw_dir) / "hdfs"
    folder.mkdir(parents=True)
    if place == "mirror":
        monkeypatch.setenv("ANOMALY_DATA_MIRROR", str(tmp_path / "mirror"))
    lines.write_csv(folder / hdfs.LINE_FILE)
    for name, text in zip(hdfs.SESSION_FILES, ("5 22\n5 22 \n", "5 22\n22 5\n", "5\n"), strict=True):
        (folder / name).write_text(text)
    assert {one.data for one in registry.CASES["sessionise"](TINY)} == {"real"}
    (loaded,) = registry.CASES["sessions"](TINY)
    assert (loaded.data, loaded.size) == ("real", "5 sessions, 3 distinct")


def test_a_wrong_count_of_sessions_is_not_accepted(monkeypatch):
    monkeypatch.setattr(hdfs, "distinct", lambda labelled, sequences: pl.DataFrame({"n": [1]}))
    with pytest.raises(RuntimeError, match="must stand for 300 sessions"):
        registry.CASES["sessions"](TINY)


def test_works_take_turns_and_the_median_counts():
    calls = []
    cost = measure.in_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=3)
    assert "".join(calls) == "ababab"
    assert measure.Measured((3.0, 1.0, 2.0), None, None).median == 2.0
    assert len(cost["a"].seconds) == 3
    assert cost["a"].peak_mb is None or cost["a"].peak_mb > 10


def test_short_work_is_repeated_and_its_mean_taken(monkeypatch):
    clock = iter([0.0, 0.2, 0.4, 0.6])
    monkeypatch.setattr(measure.time, "process_time", lambda: next(clock))
    monkeypatch.setattr(measure, "LEAST_SECONDS", 0.5)
    calls = []
    cost = measure.in_turns({"a": lambda: calls.append(1)}, rounds=1)
    assert len(calls) == 3
    assert cost["a"].seconds == pytest.approx((0.2,))


def test_where_memory_cannot_be_read_the_peak_is_unknown(monkeypatch, tmp_path):
    monkeypatch.setattr(measure, "STATUS", tmp_path / "none")
    monkeypatch.setattr(measure, "RESET_PEAK", tmp_path / "no" / "folder")
    assert measure.in_turns({"a": lambda: 7}, rounds=1)["a"].peak_mb is None


def test_bars():
    assert row(ours=0.5, baseline=30.0).met is True
    assert row(ours=1.0, baseline=30.0).met is False
    assert row(baseline=None).met is False
    assert row(bar=None).met is None
    assert row(bar=Bar("seconds", 0.6), baseline=None).met is True
    assert row(bar=Bar("seconds", 0.5), baseline=None).met is False


def test_the_table_and_its_files(tmp_path):
    rows = [row(), row(case="longer name", baseline=None, bar=None, peak_mb=1234.0), row(ours=2.0)]
    table = report.markdown(rows).splitlines()
    assert len({len(line) for line in table}) == 1
    assert [cell.strip() for cell in table[0].split("|")[1:-1]] == list(report.HEADER)
    assert [line.split("|")[6].strip() for line in table[2:]] == ["yes", "", "NO"]
    json_file, md_file = report.write(rows, tmp_path / "new" / "folder")
    stored = json.loads(json_file.read_text())
    assert [one["met"] for one in stored["rows"]] == [True, None, False]
    assert stored["rows"][0]["ratio"] == 60.0
    assert md_file.read_text().startswith("\n".join(table))


@pytest.fixture
def cases(monkeypatch):
    made = {"good": lambda scale: [row()], "bad": lambda scale: [row(case="slow", ours=30.0)]}

    def broken(scale):
        raise RuntimeError("sessions differ")

    made["broken"] = broken
    monkeypatch.setattr(command, "CASES", made)
    return made


@pytest.mark.parametrize(
    ("chosen", "code", "said"),
    [(["good"], 0, ""), (["good", "bad"], 1, "missed: slow"), (["broken"], 1, "broken: sessions differ")],
)
def test_the_command_says_by_its_exit_code_whether_all_bars_were_met(cases, chosen, code, said, tmp_path, capsys):
    assert command.main([*chosen, "--to", str(tmp_path / "results")]) == code
    printed = capsys.readouterr()
    assert printed.err.strip() == said
    assert "| case" in printed.out
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["results.json", "results.md"]


@pytest.mark.parametrize("wrong", [["nope"], ["--rounds", "0"]])
def test_unknown_cases_and_no_rounds_are_refused(cases, wrong, capsys):
    with pytest.raises(SystemExit) as stopped:
        command.main(wrong)
    assert stopped.value.code == 2
    assert wrong[-1] in capsys.readouterr().err


def test_the_log_cases_run_through_the_command(tmp_path, capsys):
    code = command.main(["sessionise", "sessions", "simulate", "--to", str(tmp_path)], scale=TINY)
    stored = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert [one["case"] for one in stored] == [
        "sessionise lines in memory",
        "read them from CSV",
        "read from CSV and sessionise",
        "load and reduce sessions",
        "simulate raw lines",
    ]
    assert code == int(any(one["met"] is False for one in stored))
