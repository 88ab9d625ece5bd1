"""Log cases: raw lines to templates to sessions beside other parsers, memory for ten million lines, accuracy."""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from benchmarks import peers
from benchmarks.apart import json_of
from benchmarks.measure import in_turns
from benchmarks.registry import Bar, Row, Scale, case
from utils import settings
from utils.datasets import hdfs
from utils.features.log_templates import LogTemplates, agreement, parse_file, read_sessions
from utils.simulate import hdfs as simulator

HERE = Path(__file__).parent
DRAIN3_SCRIPT = HERE / "drain3_lines.py"
MEMORY_TIMES = 10
MOST_MB = 3_000
LEAST_MEAN, LEAST_HDFS = 0.85, 0.99
DATA = "simulator"


class Parser(NamedTuple):
    """Another way from a raw file to sessions.

    Attributes:
        title: as the table calls it.
        peer: package, and what installs it.
        script: fed to its Python.
        arguments: of the script, between file and identifier.
        one_in: it reads one line in so many, its time is scaled: it would take minutes.
        rounds: how often at most.
    """

    title: str
    peer: tuple[str, str]
    script: Path
    arguments: tuple[str, ...] = ()
    one_in: int = 1
    rounds: int = 1


DRAIN3 = Parser("drain3, line by line", peers.DRAIN3, DRAIN3_SCRIPT, ("plain",), rounds=3)
PARSERS = (
    Parser("drain3 with masks", peers.DRAIN3, DRAIN3_SCRIPT, ("masked",), one_in=10),
    Parser("LogLead 2.0, tipping", peers.LOGLEAD, HERE / "loglead_lines.py", ("tip",)),
    Parser("LogLead 2.0, IPLoM in polars", peers.LOGLEAD, HERE / "loglead_lines.py", ("pliplom",)),
    Parser("logparser3 Drain, and loglizer's loop over rows", peers.LOGPARSER, HERE / "logparser_lines.py", one_in=20),
)
"""Parsers without a claim."""


@case("log_templates", "features")
def lines_to_sessions(scale: Scale) -> list[Row]:
    """Turn a raw file into templates and sessions, beside drain3 fed line by line, and one line at a time."""
    with _raw_file(scale) as path:
        works: dict[str, Callable[[], Any]] = {
            "templates": lambda: parse_file(path),
            "sessions": lambda: read_sessions(path, hdfs.BLOCK_PATTERN),
        }
        works["sessions"]()
        cost = in_turns(works, scale.rounds)
        found = cost["sessions"].value[0]
        seconds, why = _theirs(DRAIN3, path, scale, found)
    templates, sessions = cost["templates"], cost["sessions"]
    size, latency = f"{scale.raw_lines:,} raw lines, {found.height:,} sessions", _one_line(scale)
    return [
        Row("raw file to templates", templates.median, None, None, size, DATA, templates.peak_mb),
        Row("raw file to sessions", sessions.median, seconds, Bar("ratio", 10), size, DATA, sessions.peak_mb,
            DRAIN3.title, problem=why),
        Row("one line to its template", latency, None, Bar("seconds", 0.001), "1 line", DATA),
    ]  # fmt: skip


@case("log_parsers", "features")
def other_parsers(scale: Scale) -> list[Row]:
    """The same beside other parsers, each in an environment of its own; the same sessions, event by event in number."""
    rows = []
    with _raw_file(scale) as path:
        work = {"ours": lambda: read_sessions(path, hdfs.BLOCK_PATTERN)}
        work["ours"]()
        for parser in PARSERS:
            ours = in_turns(work, 1)["ours"]
            seconds, why = _theirs(parser, path, scale, ours.value[0])
            part = f"; one line in {parser.one_in}, scaled" if parser.one_in > 1 else ""
            size = f"{scale.raw_lines:,} raw lines{part}"
            rows.append(Row("raw file to sessions", ours.median, seconds, None, size, DATA, ours.peak_mb, parser.title,
                            problem=why))  # fmt: skip
    return rows


@case("log_memory", "features")
def memory(scale: Scale) -> list[Row]:
    """Turn ten times as many raw lines into sessions in a process of its own, and look at its peak memory."""
    lines = MEMORY_TIMES * scale.raw_lines
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "HDFS.log"
        simulator.write_raw(path, lines, settings.SEED)
        seconds, peak, events, counted = json_of("benchmarks.log_templates", str(path))
        size = f"{lines:,} raw lines, {path.stat().st_size / 1e9:.2f} GB"
    if counted != lines or events < lines:
        raise RuntimeError(f"{lines} lines must be counted, found {counted} and {events} events: check parse_file")
    return [
        Row("many raw lines to sessions, from the start of Python", seconds, None, None, size, DATA, peak),
        Row("memory for many raw lines", peak, None, Bar("megabytes", MOST_MB), size, DATA, peak, unit="MB"),
    ]


@case("log_accuracy", "features")
def accuracy(scale: Scale) -> list[Row]:
    """Compare templates with the true ones of LogHub, beside drain3 on the same lines; one row a system."""
    folder = _loghub()
    if folder is None:
        why = "no loghub folder lies beside the one that ANOMALY_DATA_MIRROR names"
        return [Row("grouping accuracy", None, None, None, "", "", problem=why)]
    truth = pl.read_parquet(folder / "loghub_2k_structured.parquet")
    python, why = peers.found(peers.DRAIN3)
    rows: list[Row] = []
    ours, theirs = {}, {}
    for (name,), lines in truth.group_by("System", maintain_order=True):
        cost = in_turns({"fit": lambda lines=lines: LogTemplates().fit_transform(lines["Content"])}, scale.rounds)
        result = agreement(lines["EventTemplate"], cost["fit"].value["template_id"])
        ours[str(name)] = result.grouping
        grouping, seconds = _drain3_agreement(lines, python) if python else ({}, None)
        theirs |= {str(name): grouping.get("plain", 0.0)}
        said = ", ".join(f"{masks} {value:.3f}" for masks, value in grouping.items())
        size = f"{lines.height:,} lines, {result.true_groups} templates; GA {result.grouping:.3f}, drain3 {said}"
        rows.append(Row(f"templates of {name}", cost["fit"].median, seconds, None, size, "loghub", None,
                        DRAIN3.title, problem=why))  # fmt: skip
    size = f"{len(ours)} systems, one setting"
    other = statistics.mean(theirs.values()) if python else None
    mean = statistics.mean(ours.values())
    rows.append(Row("mean grouping accuracy", mean, other, Bar("least", LEAST_MEAN), size, "loghub", None,
                    DRAIN3.title if python else "", unit=""))  # fmt: skip
    if "HDFS" in ours:
        size = "2,000 lines"
        rows.append(Row("grouping accuracy of HDFS", ours["HDFS"], theirs["HDFS"] if python else None,
                        Bar("least", LEAST_HDFS), size, "loghub", None, DRAIN3.title if python else "",
                        unit=""))  # fmt: skip
    return rows


@contextmanager
def _raw_file(scale: Scale) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "HDFS.log"
        simulator.write_raw(path, scale.raw_lines, settings.SEED)
        yield path


def _one_line(scale: Scale) -> float:
    parser = LogTemplates().fit(simulator.raw_lines(2_000, settings.SEED))
    line = simulator.raw_lines(2_001, settings.SEED).tail(1).to_list()
    return in_turns({"one": lambda: parser.transform(line)}, scale.rounds)["one"].median


def _theirs(parser: Parser, path: Path, scale: Scale, ours: pl.DataFrame) -> tuple[float | None, str]:
    """CPU seconds of another parser for the whole file, or why there are none.

    Raises:
        RuntimeError: if its sessions are not those that ours found.
    """
    python, why = peers.found(parser.peer)
    if python is None:
        return None, why
    lines = scale.raw_lines // parser.one_in
    if parser.one_in > 1:
        path = _head(path, lines)
        ours = read_sessions(path, hdfs.BLOCK_PATTERN)[0]
    runs = []
    for _ in range(min(scale.rounds, parser.rounds)):
        try:
            runs.append(_fed(python, parser.script, path, *parser.arguments, hdfs.BLOCK_PATTERN))
        except (RuntimeError, subprocess.SubprocessError) as failed:
            return None, f"{parser.title}: {failed}"
    _require_same(parser, runs[-1]["sessions"], dict(ours.select("session", "n_events").iter_rows()))
    return statistics.median(run["seconds"] for run in runs) * scale.raw_lines / lines, ""


def _head(path: Path, lines: int) -> Path:
    """A file of the first lines."""
    some = path.with_suffix(f".{lines}")
    with path.open("rb") as source, some.open("wb") as target:
        target.writelines(line for _, line in zip(range(lines), source, strict=False))
    return some


def _drain3_agreement(lines: pl.DataFrame, python: Path) -> tuple[dict[str, float], float]:
    """Grouping accuracy of drain3 without and with masks, and its CPU seconds without."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lines.log"
        path.write_text("".join(f"{line}\n" for line in lines["Content"]), encoding="utf-8")
        runs = {masks: _fed(python, DRAIN3_SCRIPT, path, masks) for masks in ("plain", "masked")}
    found = {masks: agreement(lines["EventTemplate"], pl.Series(run["clusters"])) for masks, run in runs.items()}
    return {masks: result.grouping for masks, result in found.items()}, runs["plain"]["seconds"]


def _fed(python: Path, script: Path, path: Path, *arguments: str) -> dict[str, Any]:
    """Run a parser on a file."""
    result: dict[str, Any] = json_of(str(script), str(path), *arguments, python=str(python))
    return result


def _require_same(parser: Parser, theirs: Mapping[str, int], ours: Mapping[str, int]) -> None:
    """Check session by session, in order of appearance.

    Raises:
        RuntimeError: if one has another name or length.
    """
    if list(theirs.items()) != list(ours.items()):
        raise RuntimeError(f"sessions must have the names and lengths that {parser.title} finds: check read_sessions")


def _loghub() -> Path | None:
    mirror = settings.current().data_mirror
    folder = mirror.parent / "loghub" if mirror else None
    return folder if folder and (folder / "loghub_2k_structured.parquet").is_file() else None


def _cost_of(path: str) -> list[float]:
    """CPU seconds and peak memory (MB) of this process for the sessions of a file, their events, and lines counted."""
    sessions, parser = read_sessions(Path(path), hdfs.BLOCK_PATTERN)
    events, counted = int(sessions["n_events"].sum()), int(parser.templates_["count"].sum())
    return [time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, events, counted]


if __name__ == "__main__":
    print(json.dumps(_cost_of(sys.argv[1])))
