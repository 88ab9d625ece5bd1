"""Structure of the benchmarks at tiny sizes; nothing here looks at how long anything took."""

import json
import sys
from collections import OrderedDict
from types import SimpleNamespace

import pandas as pd
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from benchmarks import __main__ as command
from benchmarks import apart, baselines, hdfs_logs, measure, registry, report
from benchmarks.apart import CaseFailed
from benchmarks.registry import QUICK, Bar, Point, Row, Scale
from utils.datasets import hdfs, sessions
from utils.simulate import hdfs as simulator

TINY = Scale(rounds=2, lines=400, sessions=300, raw_lines=500)
pytestmark = pytest.mark.usefixtures("lab", "no_repeats")


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
    assert row(bar=Bar("megabytes", 3_000), ours=2_999.0, unit="MB").met is True
    assert [row(bar=Bar("least", 0.85), ours=value, unit="").met for value in (0.85, 0.84, None)] == [
        True,
        False,
        False,
    ]
    assert row(problem="no network").met is None
    assert [str(Bar(kind, 3_000)) for kind in ("ratio", "seconds", "megabytes", "least")] == [
        ">= 3,000x",
        "< 3,000 s",
        "< 3,000 MB",
        ">= 3,000",
    ]


def test_plain_numbers_have_no_ratio():
    assert row(ours=0.9, baseline=0.8, unit="").ratio is None
    assert row(ours=2.0, baseline=8.0, unit="MB").ratio == 4.0
    assert row(ours=0.0).ratio is None


@given(st.floats(0.1, 3), st.floats(1e-6, 1e3), st.lists(st.integers(1, 10**9), min_size=3, max_size=6, unique=True))
@settings(deadline=None, max_examples=30)
def test_the_exponent_is_that_of_a_power_law(slope, level, sizes):
    assume(max(sizes) > 2 * min(sizes))
    points = tuple(Point(size, level * size**slope) for size in sizes)
    assert row(points=points).exponent == pytest.approx(slope, abs=1e-6)
    assert registry.power_law(points) == pytest.approx((level, slope), rel=1e-4)
    assert row(points=points[:2]).exponent is None


def test_rows_outlive_json():
    made = row(points=(Point(1, 0.5), Point(2, 1.0, 300.0), Point(4, 2.0)), against="a loop", unit="MB", peak_mb=1.0)
    again = registry.from_record(json.loads(json.dumps(made.record())))
    assert again == made
    assert again.record() == made.record()


def stored(*rows, name="sessionise"):
    return report.records(name, rows, 1.0, 0.5)


def test_the_table_and_its_files(tmp_path):
    points = (Point(10, 0.5, 200.0), Point(100, 5.0, 300.0), Point(1_000, 50.0, 400.0))
    rows = stored(row(), row(case="longer name", baseline=None, bar=None, peak_mb=1234.0, points=points), row(ours=2.0))
    rows += stored(row(case="peer", baseline=None, problem="no network"), name="simulate")
    tables = report.markdown(rows).splitlines()
    assert tables[0] == "## Data"
    assert len({len(line) for line in tables[2:]}) == 1
    assert [cell.strip() for cell in tables[2].split("|")[1:-1]] == list(report.HEADER)
    assert [line.split("|")[7].strip() for line in tables[4:]] == ["yes", "", "NO", "not measured"]
    json_file, md_file = report.write(rows, tmp_path / "new" / "folder")
    assert report.read(tmp_path / "new" / "folder") == json.loads(json_file.read_text())["rows"]
    assert [one["met"] for one in report.read(json_file.parent)] == [True, None, False, None]
    assert report.read(json_file.parent)[0]["ratio"] == 60.0
    text = md_file.read_text()
    assert text.startswith("1 of 2 bars met.\nMissed: a.\nNot measured: peer: no network.\n")
    assert "ten times the size costs 10 times as much" in text
    assert "200, 300, 400 MB" in text
    assert sorted(path.name for path in json_file.parent.iterdir()) == ["results.json", "results.md"]


def test_a_case_that_is_measured_again_replaces_its_rows_in_their_place():
    before = report.merged([], stored(row(case="old")), "sessionise")
    before = report.merged(before, stored(row(case="first"), name="log_windows"), "log_windows")
    after = report.merged(before, stored(row(case="new"), row(case="newer")), "sessionise")
    assert [one["case"] for one in after] == ["new", "newer", "first"]


def test_files_that_are_no_results_are_refused(tmp_path):
    assert report.read(tmp_path) == []
    for text in ("{", "[]", '{"rows": [{}]}', '{"rows": 3}'):
        (tmp_path / "results.json").write_text(text)
        with pytest.raises(RuntimeError, match="must hold the results"):
            report.read(tmp_path)


def test_without_git_no_commit_is_told(monkeypatch, tmp_path):
    assert report.commit() == "" or len(report.commit()) >= 7
    monkeypatch.setattr(report, "ROOT", tmp_path)
    assert report.commit() == ""


def test_quantities():
    shown = [report.quantity(value, unit) for value, unit in ((12.5, "s"), (0.0123, "s"), (1234.5, "MB"), (0.5, ""))]
    assert shown == ["12.50 s", "12.3 ms", "1,234 MB", "0.5"]


@pytest.fixture
def cases(monkeypatch):
    """Rows of three cases, or why there are none."""
    found = {"good": [row()], "bad": [row(case="slow", ours=30.0)], "broken": CaseFailed("sessions differ")}
    monkeypatch.setattr(command, "CASES", found)
    return found


def run_of(cases, calls=None):
    def run(name, scale):
        if calls is not None:
            calls.append((name, scale))
        if isinstance(cases[name], Exception):
            raise cases[name]
        return cases[name]

    return run


@pytest.mark.parametrize(
    ("chosen", "code", "said"),
    [
        (["good"], 0, "1 of 1 bars met."),
        (["good", "bad"], 1, "Missed: slow."),
        (["good", "broken"], 1, "Not measured: broken: sessions differ."),
    ],
)
def test_the_command_says_by_its_exit_code_whether_all_bars_were_met(cases, chosen, code, said, tmp_path, capsys):
    assert command.main([*chosen, "--to", str(tmp_path / "results")], run_of(cases)) == code
    printed = capsys.readouterr()
    assert said in printed.out
    assert f"{len(chosen)} of {len(chosen)}: {chosen[-1]}" in printed.err
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["results.json", "results.md"]


def test_only_missing_cases_are_measured_again(cases, tmp_path, capsys):
    calls = []
    command.main(["good", "broken", "--to", str(tmp_path)], run_of(cases))
    assert command.main(["--missing", "--to", str(tmp_path)], run_of(cases, calls)) == 1
    assert [name for name, _ in calls] == ["bad", "broken"]
    assert [one["name"] for one in report.read(tmp_path)] == ["good", "bad", "broken"]
    assert command.main(["good", "--missing", "--to", str(tmp_path)], run_of(cases, calls)) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_small_sizes_are_kept_apart_and_no_bar_counts_there(cases, tmp_path):
    calls = []
    assert command.main(["bad", "--quick", "--to", str(tmp_path)], run_of(cases, calls)) == 0
    assert calls == [("bad", QUICK)]
    (one,) = report.read(tmp_path / "quick")
    assert (one["bar"], one["met"]) == (None, None)
    assert report.read(tmp_path) == []
    command.main(["bad", "--rounds", "7", "--to", str(tmp_path)], run_of(cases, calls))
    assert calls[1][1] == Scale(rounds=7)


@pytest.mark.parametrize("wrong", [["nope"], ["--rounds", "0"]])
def test_unknown_cases_and_no_rounds_are_refused(cases, wrong, capsys):
    with pytest.raises(SystemExit) as stopped:
        command.main(wrong)
    assert stopped.value.code == 2
    assert wrong[-1] in capsys.readouterr().err


def test_every_case_has_a_topic_and_a_module_that_registers_it():
    assert set(registry.TOPIC_OF.values()) <= set(registry.TOPICS)
    assert all(case.__module__.startswith("benchmarks.") for case in registry.CASES.values())


OWN_CASES = """
import os, signal, time
from benchmarks.registry import Row, case

def fine(scale):
    return [Row("a", 0.5, None, None, str(scale.lines), "x")]

def wrong(scale):
    raise ValueError("lines\\ndiffer")

def killed(scale):
    os.kill(os.getpid(), signal.SIGKILL)

def slow(scale):
    time.sleep(60)

for made in (fine, wrong, killed, slow):
    case(made.__name__)(made)
"""


@pytest.fixture
def own_cases(tmp_path, monkeypatch):
    (tmp_path / "own_cases.py").write_text(OWN_CASES)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    made = SimpleNamespace(__module__="own_cases")
    monkeypatch.setattr(apart, "CASES", dict.fromkeys(("fine", "wrong", "killed", "slow"), made))


def test_a_case_runs_in_a_process_of_its_own(own_cases):
    (found,) = apart.apart("fine", Scale(lines=7))
    assert found == Row("a", 0.5, None, None, "7", "x")


@pytest.mark.parametrize(
    ("name", "seconds", "reason"),
    [("wrong", 60, "ValueError: lines differ"), ("killed", 60, "signal SIGKILL"), ("slow", 0.1, "ended after 0.1 s")],
)
def test_a_case_that_fails_crashes_or_hangs_is_told(own_cases, name, seconds, reason):
    with pytest.raises(CaseFailed, match=reason):
        apart.apart(name, Scale(), seconds)


def test_other_programs_answer_in_json_or_fail_with_their_last_line(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import sys\nprint('before')\nprint(sys.argv[1])\nint(sys.argv[1])")
    assert apart.json_of(str(script), "7", python=sys.executable) == 7
    with pytest.raises(RuntimeError, match=r"script.py x failed: ValueError: invalid literal"):
        apart.json_of(str(script), "x", python=sys.executable)


def test_reference_runs_are_read_from_the_store(monkeypatch):
    from utils.leaderboard import executions, reading

    def run(seconds, status="finished"):
        return SimpleNamespace(seconds=seconds, status=status, source="real", budget="full")

    found = {
        "04_unsupervised_detectors": run(100.0),
        "05_dbscan_labelling": run(1_000.0),
        "09_lstm_log_sequences": run(1.0, "failed"),
    }
    monkeypatch.setattr(reading, "read", lambda: None)
    monkeypatch.setattr(executions, "newest", lambda _: found)
    rows = registry.CASES["notebooks"](TINY)
    assert [one.met for one in rows] == [True, False, None, None, True]
    assert rows[-1].ours == 1_100.0
    assert "make reference" in rows[2].problem


def test_every_case_is_described():
    text = (command.RESULTS.parent / "README.md").read_text(encoding="utf-8")
    told = {name for name in registry.CASES if f"| `{name}` |" in text}
    assert set(registry.CASES) - told == {name for name in registry.CASES if name.startswith("growth_")}
    assert "| `growth_*` |" in text
