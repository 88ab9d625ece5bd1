"""Raw logs larger than memory: cost and peak memory at three sizes, and one run with less memory than the file.

``python -m benchmarks.log_scale FILE FOLDER LIMIT [PART_BYTES]`` parses one file in a process of its own, whose
private memory may be limited to so many bytes (0: no limit), and prints CPU seconds, peak memory in MB, lines, events
and sessions.
"""

import json
import re
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import polars as pl

from benchmarks.apart import json_of
from benchmarks.registry import Bar, Point, Row, Scale, case
from utils import settings
from utils.datasets import hdfs, sessions
from utils.features import log_parts
from utils.features.log_templates import read_sessions
from utils.simulate import hdfs as simulator

TIMES = (1, 3, 10)
MOST_MB = 3_000
LIMIT_BYTES = 1_000_000_000
"""Private memory (heap and anonymous mappings, RLIMIT_DATA) of a process: less than ten million lines are long."""

LEAST_RATIO = 1 / 1.2
WARM_LINES = 1_000
DATA = "simulator"


class Measured(NamedTuple):
    """What a process of its own says.

    Attributes:
        seconds: CPU seconds of the parsing, without the imports.
        peak_mb: peak resident memory of the process, with them.
        lines: lines that have a template.
        events: events of all sessions.
        sessions: sessions, as the counts of the distinct sequences add up.
    """

    seconds: float
    peak_mb: float
    lines: int
    events: int
    sessions: int


@case("log_parts", "scale")
def raw_lines_on_disk(scale: Scale) -> list[Row]:
    """Turn one, three and ten times as many raw lines into sessions on disk, each in a process of its own."""
    sizes = [times * scale.raw_lines for times in TIMES]
    with tempfile.TemporaryDirectory() as folder:
        files = [_written(Path(folder), lines) for lines in sizes]
        _require_same(files[0])
        found = [_median(path, lines, scale.rounds) for path, lines in zip(files, sizes, strict=True)]
        limited, problem = _limited(files[-1])
        gigabytes = files[-1].stat().st_size / 1e9
    per_line = [each.seconds / lines for each, lines in zip(found, sizes, strict=True)]
    largest, size = found[-1], f"{sizes[-1]:,} raw lines, {gigabytes:.2f} GB"
    costs = tuple(Point(lines, each.seconds, each.peak_mb) for each, lines in zip(found, sizes, strict=True))
    peaks = tuple(Point(lines, each.peak_mb, each.peak_mb) for each, lines in zip(found, sizes, strict=True))
    where, less = f"as long as {sizes[0]:,} lines", f"{size}; at most {LIMIT_BYTES / 1e9:g} GB of memory"
    return [
        Row("raw lines to sessions on disk", largest.seconds, None, None, size, DATA, largest.peak_mb, points=costs),
        Row("peak memory of it", largest.peak_mb, None, Bar("megabytes", MOST_MB), size, DATA, unit="MB", points=peaks),
        Row("one line of it", per_line[-1], per_line[0], Bar("ratio", LEAST_RATIO), size, DATA, None, where),
        Row("with less memory than the file", limited and limited.seconds, None, None, less, DATA,
            limited and limited.peak_mb, problem=problem),
    ]  # fmt: skip


def parse(path: Path, folder: Path, limit: int, part_bytes: int = log_parts.division.PART_BYTES) -> Measured:
    """Parse a file in this process; what is compiled is loaded before the time runs.

    Args:
        path: raw lines of blocks.
        folder: gets the results.
        limit: bytes of private memory that this process may have; 0 for no limit.
        part_bytes: of a part.
    """
    if limit:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    warm = folder / "warm.log"
    simulator.write_raw(warm, WARM_LINES, settings.SEED)
    log_parts.parse_log(warm, folder / "warm", hdfs.BLOCK_PATTERN)
    begin = time.process_time()
    log = log_parts.parse_log(path, folder / "parsed", hdfs.BLOCK_PATTERN, part_bytes=part_bytes)
    seconds = time.process_time() - begin
    peak = peak_mb()
    events = log.sessions().select(pl.col("n_events").sum().cast(pl.Int64)).collect().item()
    counted = log.distinct().select(pl.col("count").sum()).collect().item()
    return Measured(seconds, peak, int(log.templates["count"].sum()), events, counted)


def peak_mb() -> float:
    """Peak resident memory of this process; ``getrusage`` would say that of its parent, if that had more (Linux)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1e3 if found else 0.0


def _written(folder: Path, lines: int) -> Path:
    path = folder / f"{lines}.log"
    simulator.write_raw(path, lines, settings.SEED)
    return path


def _median(path: Path, lines: int, rounds: int) -> Measured:
    """Run of the median cost.

    Raises:
        RuntimeError: if lines or events are missing.
    """
    found = sorted(_apart(path, 0) for _ in range(rounds))[rounds // 2]
    if found.lines != lines or found.events < lines:
        raise RuntimeError(f"{lines} lines must be counted, found {found}: check log_parts")
    return found


def _limited(path: Path) -> tuple[Measured | None, str]:
    """Parse with less memory than the file has bytes; or say why not."""
    try:
        return _apart(path, LIMIT_BYTES), ""
    except RuntimeError as error:
        return None, str(error)


def _apart(path: Path, limit: int) -> Measured:
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        return Measured(*json_of("benchmarks.log_scale", str(path), folder, str(limit)))


def _require_same(path: Path) -> None:
    """Check session by session.

    Raises:
        RuntimeError: if the two ways differ.
    """
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        log = log_parts.parse_log(path, folder, hdfs.BLOCK_PATTERN)
        found = log.sessions().collect().sort("first_row").drop("first_row")
        distinct = log.distinct().collect().sort("first_row").select("events", "n_events", "count")
    expected, _ = read_sessions(path, hdfs.BLOCK_PATTERN)
    table = sessions.distinct_sequences(expected).table.select("events", "n_events", pl.col("count").cast(pl.UInt64))
    if not (found.equals(expected) and distinct.equals(table)):
        raise RuntimeError("sessions on disk must be those in memory, found others: check log_parts")


def main(path: str, folder: str, *numbers: str) -> int:
    """Measure one file and print what is found as JSON."""
    print(json.dumps(parse(Path(path), Path(folder), *map(int, numbers))))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
