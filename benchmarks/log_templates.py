"""Log cases: raw lines to templates to sessions beside drain3, memory for ten million lines, grouping accuracy."""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks import peers
from benchmarks.measure import in_turns
from benchmarks.registry import Bar, Row, Scale, case
from utils import settings
from utils.datasets import hdfs
from utils.features.log_templates import LogTemplates, agreement, parse_file, read_sessions
from utils.simulate import hdfs as simulator

DRAIN3 = "drain3==0.9.11"
SCRIPT = Path(__file__).parent / "drain3_lines.py"
MASKED_SHARE = 10
MEMORY_TIMES = 10
MOST_MB = 3_000
LEAST_MEAN, LEAST_HDFS = 0.85, 0.99
DATA = "simulator"


@case("log_templates")
def lines_to_sessions(scale: Scale) -> list[Row]:
    """Turn a raw file into templates and sessions, beside drain3 fed line by line, and one line at a time."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "HDFS.log"
        simulator.write_raw(path, scale.raw_lines, settings.SEED)
        works: dict[str, Callable[[], Any]] = {
            "templates": lambda: parse_file(path),
            "sessions": lambda: read_sessions(path, hdfs.BLOCK_PATTERN),
        }
        works["sessions"]()
        cost = in_turns(works, scale.rounds)
        found = cost["sessions"].value[0]
        plain, masked, why = _drain3(path, scale, dict(found.select("session", "n_events").iter_rows()))
    size, latency = f"{scale.raw_lines:,} raw lines, {found.height:,} sessions", _one_line(scale)
    return [
        Row("raw file to templates", cost["templates"].median, None, None, size, DATA, cost["templates"].peak_mb),
        Row("raw file to sessions, beside drain3", cost["sessions"].median, plain, plain and Bar("ratio", 10), size,
            why or DATA, cost["sessions"].peak_mb),
        Row("the same, beside drain3 with masks", cost["sessions"].median, masked, None,
            f"{size}; drain3 on one line in {MASKED_SHARE}, scaled", why or DATA),
        Row("one line to its template", latency, None, Bar("seconds", 0.001), "1 line", DATA),
    ]  # fmt: skip


@case("log_memory")
def memory(scale: Scale) -> list[Row]:
    """Turn ten times as many raw lines into sessions in a process of its own, and look at its peak memory."""
    lines = MEMORY_TIMES * scale.raw_lines
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "HDFS.log"
        simulator.write_raw(path, lines, settings.SEED)
        code = (
            "import json, sys, time, resource; from utils.features.log_templates import read_sessions; "
            "sessions, parser = read_sessions(sys.argv[1], sys.argv[2]); "
            "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3; "
            "count = parser.templates_['count'].sum(); "
            "print(json.dumps([time.process_time(), peak, sessions['n_events'].sum(), count]))"
        )
        command = [sys.executable, "-c", code, str(path), hdfs.BLOCK_PATTERN]
        run = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1])
        size = f"{lines:,} raw lines, {path.stat().st_size / 1e9:.2f} GB"
    seconds, peak, events, counted = json.loads(run.stdout)
    if counted != lines or events < lines:
        raise RuntimeError(f"{lines} lines must be counted, found {counted} and {events} events: check parse_file")
    if peak > MOST_MB:
        raise RuntimeError(f"{size} must take less than {MOST_MB} MB, found {peak:.0f} MB: check the blocks")
    return [Row("many raw lines to sessions, from the start of Python", seconds, None, None, size, DATA, peak)]


@case("log_accuracy")
def accuracy(scale: Scale) -> list[Row]:
    """Compare templates with the true ones of LogHub, beside drain3 on the same lines; one row a system."""
    folder = _loghub()
    if folder is None:
        print(
            "log_accuracy: skipped, no loghub folder lies beside the one that ANOMALY_DATA_MIRROR names",
            file=sys.stderr,
        )
        return []
    truth = pl.read_parquet(folder / "loghub_2k_structured.parquet")
    systems = {str(name): lines for (name,), lines in truth.group_by("System", maintain_order=True)}
    rows, ours, (python, why) = [], {}, _python()
    for name, lines in systems.items():
        cost = in_turns({"fit": lambda lines=lines: LogTemplates().fit_transform(lines["Content"])}, scale.rounds)[
            "fit"
        ]
        result = agreement(lines["EventTemplate"], cost.value["template_id"])
        ours[name] = result.grouping
        theirs, seconds = _drain3_agreement(lines, python) if python else (why, None)
        title = f"{name}: GA {result.grouping:.3f}, FGA {result.grouping_f1:.3f}; drain3 {theirs}"
        rows.append(
            Row(title, cost.median, seconds, None, f"{lines.height:,} lines, {result.true_groups} templates", "loghub")
        )
    mean = statistics.mean(ours.values())
    if mean < LEAST_MEAN or ours.get("HDFS", 1.0) < LEAST_HDFS:
        raise RuntimeError(f"mean GA must be {LEAST_MEAN} and that of HDFS {LEAST_HDFS}, found {mean:.3f} and {ours}")
    print(f"mean grouping accuracy of {len(ours)} systems, one setting: {mean:.3f}")
    return rows


def _one_line(scale: Scale) -> float:
    parser = LogTemplates().fit(simulator.raw_lines(2_000, settings.SEED))
    line = simulator.raw_lines(2_001, settings.SEED).tail(1).to_list()
    return in_turns({"one": lambda: parser.transform(line)}, scale.rounds)["one"].median


def _drain3(path: Path, scale: Scale, lengths: dict[str, int]) -> tuple[float | None, float | None, str]:
    """CPU seconds of drain3 without and with masks, or why there are none.

    Raises:
        RuntimeError: if its sessions are not those that ours found.
    """
    python, why = _python()
    if python is None:
        return None, None, why
    plain = [_fed(python, path, "plain", hdfs.BLOCK_PATTERN) for _ in range(scale.rounds)]
    if list(plain[-1]["sessions"].items()) != list(lengths.items()):
        raise RuntimeError("sessions must have the names and lengths of the loop with drain3: check read_sessions")
    some = path.with_suffix(".some")
    with path.open("rb") as source, some.open("wb") as target:
        target.writelines(line for _, line in zip(range(scale.raw_lines // MASKED_SHARE), source, strict=False))
    masked = _fed(python, some, "masked", hdfs.BLOCK_PATTERN)["seconds"] * MASKED_SHARE
    return statistics.median(run["seconds"] for run in plain), masked, ""


def _python() -> tuple[Path | None, str]:
    """The Python that has drain3, or why there is none."""
    try:
        return peers.interpreter("drain3", DRAIN3), ""
    except peers.PeerMissing as missing:
        return None, str(missing)


def _drain3_agreement(lines: pl.DataFrame, python: Path) -> tuple[str, float]:
    """Grouping accuracy of drain3 without and with masks in words, and its CPU seconds without."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lines.log"
        path.write_text("".join(f"{line}\n" for line in lines["Content"]), encoding="utf-8")
        runs = {masks: _fed(python, path, masks) for masks in ("plain", "masked")}
    found = {masks: agreement(lines["EventTemplate"], pl.Series(run["clusters"])) for masks, run in runs.items()}
    words = ", ".join(f"{masks} {result.grouping:.3f} / {result.grouping_f1:.3f}" for masks, result in found.items())
    return words, runs["plain"]["seconds"]


def _fed(python: Path, path: Path, masks: str, *identifier: str) -> dict[str, Any]:
    """Run drain3 on a file."""
    run = subprocess.run(
        [str(python), str(SCRIPT), str(path), masks, *identifier], check=True, capture_output=True, text=True
    )
    result: dict[str, Any] = json.loads(run.stdout)
    return result


def _loghub() -> Path | None:
    mirror = settings.current().data_mirror
    folder = mirror.parent / "loghub" if mirror else None
    return folder if folder and (folder / "loghub_2k_structured.parquet").is_file() else None
