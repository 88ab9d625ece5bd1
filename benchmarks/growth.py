"""How cost grows with size: CPU seconds and peak memory at three sizes or more, each in a process of its own.

``python -m benchmarks.growth SUBJECT SIZE ROUNDS`` measures one size and prints JSON. Every subject first works on a
little of the same kind, so that compiling and imports are not counted; the peak is that of the whole process, libraries
and input included. Counts that grow with the data (distinct sessions) and bytes on disk are told the same way.
"""

import gzip
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from benchmarks.apart import json_of
from benchmarks.hdfs_logs import REAL, _line_file, _session_files
from benchmarks.measure import in_turns
from benchmarks.registry import Case, Point, Row, Scale, case
from utils import settings
from utils.datasets import hdfs
from utils.features import log_sessions
from utils.features.log_templates import read_sessions, write_parsed
from utils.simulate import hdfs as simulator

Work = Callable[[], Any]
Prepared = tuple[Work, int, str]
DATA = "simulator"
LITTLE = 200
"""Items of the work that is done first."""

TAUGHT = 20_000
"""Sessions that teach the network whose scoring is measured."""

WIDTH = 10
SHARES = (0.1, 0.3, 1.0)
LINE_SHARES = (1 / 30, 0.1, 1 / 3, 1.0)


class Subject(NamedTuple):
    """Work whose cost is measured.

    Attributes:
        title: as the table calls it.
        items: what its size counts.
        most: the largest size, from the scale of the benchmarks.
        shares: of the largest size that are measured.
        prepare: makes the work of a size, in a folder for files; with the number of items, and where they came from.
    """

    title: str
    items: str
    most: Callable[[Scale], int]
    shares: tuple[float, ...]
    prepare: Callable[[int, Path], Prepared]


@case("distinct_sessions")
def distinct_by_size(scale: Scale) -> list[Row]:
    """How many distinct event sequences there are among the first sessions, in random order; and how long they are.

    Source:
        Heaps, Information Retrieval: Computational and Theoretical Aspects, 1978: the number of distinct words grows as
        a power of the length of a text.
    """
    with _session_files(scale) as (files, data):
        labelled, sequences = hdfs.read_sessions(files)
    rows = [_distinct_row("sequences of HDFS sessions", labelled[hdfs.SEQUENCE_ID], data)]
    events = labelled.join(sequences, on=hdfs.SEQUENCE_ID)[hdfs.EVENTS].list.len().mean()
    rows.append(Row("events of a session", events, None, None, f"{labelled.height:,} sessions", data, unit=""))
    if data == REAL:
        made = simulator.simulate(max(scale.sessions, simulator.LEAST_SESSIONS), settings.SEED, line_blocks=1)
        rows.append(_distinct_row("sequences of simulated sessions", made["sessions"]["sequence_id"], "simulator"))
    return rows


@case("storage")
def bytes_on_disk(scale: Scale) -> list[Row]:
    """Bytes of a line as raw text, packed by gzip, as parsed lines in Parquet; and of a session in Parquet."""
    rows = []
    with tempfile.TemporaryDirectory() as folder, _line_file(scale) as (structured, data):
        log, parts = Path(folder) / "HDFS.log", Path(folder) / "parts"
        lines = pl.read_csv(structured, infer_schema=False).select(hdfs.raw_line())
        lines.write_csv(log, include_header=False, quote_style="never")
        write_parsed(log, parts, identifier=hdfs.BLOCK_PATTERN)
        sessions, _ = read_sessions(log, hdfs.BLOCK_PATTERN)
        sessions.select("session", "events").write_parquet(Path(folder) / "sessions.parquet")
        raw = log.read_bytes()
        size = f"{lines.height:,} lines, {sessions.height:,} sessions"
        found = {
            "bytes of a raw line": len(raw) / lines.height,
            "bytes of a raw line, gzip": len(gzip.compress(raw, 6)) / lines.height,
            "bytes of a parsed line, Parquet": _bytes(parts) / lines.height,
            "bytes of a session, Parquet": _bytes(Path(folder) / "sessions.parquet") / sessions.height,
        }
        for title, value in found.items():
            rows.append(Row(title, value, None, None, size, data, unit="B"))
    return rows


def raw_lines(size: int, folder: Path) -> Prepared:
    """A raw file into templates and sessions."""
    path = folder / f"{size}.log"
    simulator.write_raw(path, size, settings.SEED)
    return lambda: read_sessions(path, hdfs.BLOCK_PATTERN), size, DATA


def windows(size: int, folder: Path) -> Prepared:
    """Sessions, as lists of events, into the distinct windows of ten with their counts."""
    events = _events(size)

    def work() -> log_sessions.DistinctWindows:
        coded = log_sessions.encode(events, log_sessions.Vocabulary.fit(events))
        return log_sessions.distinct_windows(log_sessions.windows(coded, WIDTH, begin=False, end=False))

    return work, events.len(), DATA


def sessions(size: int, folder: Path) -> Prepared:
    """Sessions, as lists of events, into distinct sequences with their counts."""
    events = _events(size).to_frame("events")
    return lambda: log_sessions.distinct(events), events.height, DATA


def call_graphs(size: int, folder: Path) -> Prepared:
    """Call graphs into the nine published features."""
    from benchmarks.call_graphs import published, simulated_edges

    edges = simulated_edges(size)
    return lambda: published(edges), edges.height, DATA


def dbscan(size: int, folder: Path) -> Prepared:
    """Points of WAF events into clusters."""
    from benchmarks.dbscan import ROWS, fit_once, published_points

    rows, data = published_points(ROWS)
    chosen = np.random.default_rng(settings.SEED).permutation(len(rows))[:size]
    return lambda: fit_once(rows[chosen]), len(chosen), data


def next_event(size: int, folder: Path) -> Prepared:
    """Sessions into scores of a network that predicts the next event."""
    from utils.detectors.next_event import NextEvent

    events = _events(size).to_frame("events")
    taught = _events(min(size, TAUGHT)).to_frame("events")
    detector = NextEvent(units=(64,), window=None, epochs=1, members=1).fit(taught)
    return lambda: detector.scores(events), events.height, DATA


def web_events(size: int, folder: Path) -> Prepared:
    """Web events into features."""
    from benchmarks.web_events import TRAINING, _events
    from utils.features.web_events import WebEventFeatures

    events = _events(size)
    features = WebEventFeatures(history=True).fit(events.head(TRAINING))
    return lambda: features.transform(events), events.height, DATA


def flows(size: int, folder: Path) -> Prepared:
    """Network flows into features."""
    from utils.features.flows import FlowFeatures
    from utils.simulate import nsl_kdd

    frame = nsl_kdd.simulate(size, settings.SEED)["train"].drop("attack", "difficulty")
    features = FlowFeatures().fit(frame)
    return lambda: features.transform(frame), frame.height, DATA


SUBJECTS = {
    "lines": Subject("raw lines to sessions", "lines", lambda scale: 3 * scale.raw_lines, LINE_SHARES,
                     raw_lines),
    "windows": Subject("sessions to distinct windows of ten", "sessions", lambda scale: scale.sessions,
                       SHARES, windows),
    "sessions": Subject("sessions to distinct sequences", "sessions", lambda scale: scale.sessions,
                        SHARES, sessions),
    "call_graphs": Subject("call graphs to nine features", "edges", lambda scale: min(scale.sessions, 35_000),
                           SHARES, call_graphs),
    "dbscan": Subject("DBSCAN, one fit", "points", lambda scale: min(scale.sessions, 57_833), SHARES, dbscan),
    "next_event": Subject("next-event scores of sessions", "sessions", lambda scale: scale.sessions,
                          SHARES, next_event),
    "web_events": Subject("features of web events", "events", lambda scale: min(scale.raw_lines, 150_000),
                          SHARES, web_events),
    "flows": Subject("features of network flows", "flows", lambda scale: min(scale.raw_lines, 150_000),
                     SHARES, flows),
}  # fmt: skip


def _growth_of(name: str) -> Case:
    """The case that measures one stage at all sizes."""

    def cost_by_size(scale: Scale) -> list[Row]:
        return [_row(name, SUBJECTS[name], scale)]

    return cost_by_size


def _row(name: str, subject: Subject, scale: Scale) -> Row:
    """CPU seconds and memory of one stage by size."""
    sizes = [max(LITTLE, int(share * subject.most(scale))) for share in subject.shares]
    found = [json_of("benchmarks.growth", name, str(size), str(scale.rounds)) for size in sizes]
    points = tuple(Point(one["size"], one["value"], one["peak_mb"]) for one in found)
    last = points[-1]
    said = f"{last.size:,} {subject.items}"
    return Row(subject.title, last.value, None, None, said, found[-1]["data"], last.peak_mb, points=points)


for _name in SUBJECTS:
    case(f"growth_{_name}")(_growth_of(_name))


def measured(name: str, size: int, rounds: int) -> dict[str, Any]:
    """Items, CPU seconds and peak memory (MB) of one size, in this process, and where the items came from."""
    with tempfile.TemporaryDirectory() as folder:
        prepare = SUBJECTS[name].prepare
        prepare(min(size, LITTLE), Path(folder))[0]()
        work, items, data = prepare(size, Path(folder))
        found = in_turns({name: work}, rounds)[name]
    return {"size": items, "value": found.median, "peak_mb": found.peak_mb, "data": data}


def _distinct_row(title: str, sequence: pl.Series, data: str) -> Row:
    shuffled = np.random.default_rng(settings.SEED).permutation(sequence.to_numpy())
    _, first = np.unique(shuffled, return_index=True)
    sizes = np.unique(np.geomspace(min(1_000, len(shuffled) // 8), len(shuffled), 7).astype(int))
    points = tuple(Point(int(size), int((first < size).sum())) for size in sizes)
    return Row(title, points[-1].value, None, None, f"{len(shuffled):,} sessions", data, unit="distinct", points=points)


def _events(sessions: int) -> pl.Series:
    """Simulated sessions; one list of event ids each."""
    tables = simulator.simulate(max(sessions, simulator.LEAST_SESSIONS), settings.SEED, line_blocks=1)
    events = tables["sessions"].join(tables["sequences"], on="sequence_id", maintain_order="left")["events"]
    return events.head(sessions)


def _bytes(place: Path) -> int:
    files = place.rglob("*.parquet") if place.is_dir() else [place]
    return sum(file.stat().st_size for file in files)


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
