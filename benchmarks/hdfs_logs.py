"""Log cases: sessionising lines, loading all sessions, simulating raw lines."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.baselines import read_structured, sessions_row_by_row
from benchmarks.measure import in_turns
from benchmarks.registry import Bar, Row, Scale, case
from utils import settings
from utils.datasets import hdfs, sessions
from utils.simulate import hdfs as simulator

REAL = "real"
SIMULATED = "simulated (no real file at hand)"


@case("sessionise", "data")
def sessionise(scale: Scale) -> list[Row]:
    """Sessionise structured lines: polars against the row-by-row loop, from memory and from the CSV file."""
    with _line_file(scale) as (path, data):
        polars_lines, pandas_lines = _read_lines(path), read_structured(path)
        works: dict[str, Callable[[], Any]] = {
            "read": lambda: _read_lines(path),
            "pandas read": lambda: read_structured(path),
            "group": lambda: sessions.by_identifier(polars_lines, hdfs.BLOCK_PATTERN),
            "pandas group": lambda: sessions_row_by_row(pandas_lines),
        }
        works["group"]()
        cost = in_turns(works, scale.rounds)
    _require_same(cost["group"].value, cost["pandas group"].value)
    seconds = {name: measured.median for name, measured in cost.items()}
    size, peak = f"{polars_lines.height:,} lines", cost["group"].peak_mb
    both = (seconds["read"] + seconds["group"], seconds["pandas read"] + seconds["pandas group"])
    return [
        Row("sessionise lines in memory", seconds["group"], seconds["pandas group"], Bar("ratio", 40), size, data, peak,
            "loglizer's loop over rows"),
        Row("read them from CSV", seconds["read"], seconds["pandas read"], None, size, data, cost["read"].peak_mb,
            "pandas"),
        Row("read from CSV and sessionise", *both, None, size, data, peak, "both"),
    ]  # fmt: skip


@case("sessions", "data")
def all_sessions(scale: Scale) -> list[Row]:
    """Load the session files and reduce them to distinct sequences with their counts."""

    def load() -> tuple[pl.DataFrame, pl.DataFrame]:
        labelled, sequences = hdfs.read_sessions(files)
        return labelled, hdfs.distinct(labelled, sequences)

    with _session_files(scale) as (files, data):
        cost = in_turns({"load": load}, scale.rounds)["load"]
    labelled, distinct = cost.value
    if distinct["n"].sum() != labelled.height:
        raise RuntimeError(f"the distinct sequences must stand for {labelled.height} sessions: check hdfs.distinct")
    size = f"{labelled.height:,} sessions, {distinct.height:,} distinct"
    return [Row("load and reduce sessions", cost.median, None, Bar("seconds", 3), size, data, cost.peak_mb)]


@case("simulate", "data")
def raw_lines(scale: Scale) -> list[Row]:
    """Simulate raw lines and write them to a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "HDFS.log"
        cost = in_turns({"write": lambda: simulator.write_raw(path, scale.raw_lines, settings.SEED)}, scale.rounds)
        size = f"{scale.raw_lines:,} lines, {path.stat().st_size / 1e6:,.0f} MB"
    measured = cost["write"]
    return [Row("simulate raw lines", measured.median, None, Bar("seconds", 10), size, "simulator", measured.peak_mb)]


def _real_files(*names: str) -> dict[str, Path] | None:
    """Find files in the cache or the mirror; nothing unless all are there."""
    here = settings.current()
    folders = [folder / "hdfs" for folder in (here.raw_dir, here.data_mirror) if folder]
    found = {name: folder / name for name in names for folder in reversed(folders) if (folder / name).is_file()}
    return found if len(found) == len(names) else None


@contextmanager
def _line_file(scale: Scale) -> Iterator[tuple[Path, str]]:
    if real := _real_files(hdfs.LINE_FILE):
        yield real[hdfs.LINE_FILE], REAL
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / hdfs.LINE_FILE
        blocks = max(simulator.LEAST_SESSIONS, scale.lines // 15)
        tables = simulator.simulate(blocks, settings.SEED, line_blocks=blocks)
        tables["lines"].head(scale.lines).write_csv(path)
        yield path, SIMULATED


@contextmanager
def _session_files(scale: Scale) -> Iterator[tuple[dict[str, Path], str]]:
    if real := _real_files(*hdfs.SESSION_FILES):
        yield real, REAL
        return
    with tempfile.TemporaryDirectory() as folder:
        tables = simulator.simulate(scale.sessions, settings.SEED, line_blocks=1)
        texts = tables["sessions"].join(
            tables["sequences"].with_columns(pl.col("events").list.eval(pl.element().cast(pl.String)).list.join(" ")),
            on="sequence_id",
            maintain_order="left",
        )
        files = {name: Path(folder) / name for name in hdfs.SESSION_FILES}
        for name, (split, is_anomaly) in hdfs.SESSION_FILES.items():
            part = texts.filter(split=split, is_anomaly=is_anomaly)
            part.select("events").write_csv(files[name], include_header=False, quote_style="never")
        yield files, SIMULATED


def _read_lines(path: Path) -> pl.DataFrame:
    """Read the columns that sessions need."""
    return pl.read_csv(path, columns=["LineId", "Content", "EventId"])


def _require_same(ours: pl.DataFrame, baseline: Mapping[str, list[str]]) -> None:
    """Check block by block and event by event.

    Raises:
        RuntimeError: if the two differ.
    """
    if ours["session"].to_list() != list(baseline) or ours["events"].to_list() != list(baseline.values()):
        raise RuntimeError("sessions must be those of the row-by-row loop, found others: check sessions.by_identifier")
