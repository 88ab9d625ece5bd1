"""Write the events of HDFS blocks as log lines: times, threads and the text of each statement.

The address plan, the pace and the threads follow the LogHub sample of HDFS_v1: a name node and 203 data nodes on a
private cloud, about ten new blocks a second. Text is made a column at a time: all lines of one statement are formatted
in one polars expression, and what depends on the sequence only is worked out once for each distinct sequence.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from utils.simulate.draws import Floats, Ints
from utils.simulate.hdfs_blocks import Events
from utils.simulate.hdfs_statements import DATASET, NAMES, NODE, SCANNER, STATEMENTS, Statement

START = datetime(2008, 11, 9, 20, 35, 18)
BLOCKS_A_SECOND = 10.0
FULL_BLOCK = 67_108_864
FULL_BLOCK_SHARE = 0.9
DATA_NODES = 203
NODES_A_BLOCK = 8
FEW_THREADS = {NAMES: (26, 10), SCANNER: (13, 1), NODE: (18, 2), DATASET: (18, 2)}
LAST_NEW_THREAD = 80_000.0

PHASES = {
    "open": ((5, 22), 0.8),
    "store": ((9, 11, 26, 13, 27, 7, 8, 10, 12, 14, 15, 1, 19), 40.0),
    "copy": ((25, 18, 6, 16, 17), 60.0),
    "read": ((3, 4), 120.0),
    "verify": ((2,), 200.0),
    "delete": ((20, 21, 23, 28), 400.0),
}
SAME_PHASE_DELAY = {"open": 0.5, "store": 0.4, "copy": 1.0, "read": 8.0, "verify": 200.0, "delete": 2.0}
DELAY_SHAPE = 2.0


@dataclass(frozen=True)
class Place:
    """What the place of an event in its sequence says, for all places of all distinct sequences on end.

    Attributes:
        start: where each sequence starts; one more entry than there are sequences.
        event: event number.
        turn: how often the event stood before in its sequence.
        delay: mean seconds since the event before.
    """

    start: Ints
    event: NDArray[np.uint8]
    turn: Ints
    delay: Floats


@dataclass(frozen=True)
class Lines:
    """Lines of some blocks in the order of time, as numbers.

    Attributes:
        moment: seconds since the start of the log.
        block: place of the block among the blocks.
        event: event number.
        turn: how often the block had this event before.
    """

    moment: Floats
    block: Ints
    event: NDArray[np.uint8]
    turn: Ints

    def until(self, moment: float) -> "Lines":
        """Return the lines before a moment."""
        end = int(np.searchsorted(self.moment, moment))
        return Lines(self.moment[:end], self.block[:end], self.event[:end], self.turn[:end])


@dataclass(frozen=True)
class Cluster:
    r"""What the lines of each block say.

    Attributes:
        name: block identifiers, ``blk_-?\d+``.
        nodes: shape (blocks, 8): numbers of the data nodes; the first three hold the replicas.
        size: bytes, as text.
        number: number of the block in the whole log.
    """

    name: pl.Series
    nodes: Ints
    size: pl.Series
    number: Ints


def places(sequences: Sequence[Events]) -> Place:
    """Work out once for each distinct sequence what its lines need."""
    start = np.cumsum([0, *(len(events) for events in sequences)])
    event = np.fromiter((event for events in sequences for event in events), np.uint8, count=int(start[-1]))
    turn = np.fromiter(_turns(sequences), np.int64, count=event.size)
    before = np.concatenate(([0], event[:-1]))
    before[start[:-1]] = 0
    return Place(start, event, turn, _delays()[before, event])


def timed(place: Place, sequence: Ints, started: Floats, rng: np.random.Generator) -> Lines:
    """Give every event of every block a time and put all of them in the order of time.

    Args:
        place: the distinct sequences.
        sequence: for each block, the number of its sequence.
        started: for each block, seconds since the start of the log, in ascending order.
        rng: source of randomness.
    """
    length = np.diff(place.start)[sequence]
    first = np.cumsum(length) - length
    block = np.repeat(np.arange(sequence.size), length)
    at = np.arange(block.size) - np.repeat(first - place.start[sequence], length)
    wait = rng.gamma(DELAY_SHAPE, place.delay[at] / DELAY_SHAPE)
    wait[first] = 0.0
    waited = np.cumsum(wait)
    moment = waited + np.repeat(started - waited[first], length)
    order = np.argsort(moment, kind="stable")
    at = at[order]
    return Lines(moment[order], block[order], place.event[at], place.turn[at])


def cluster(numbers: Ints, rng: np.random.Generator) -> Cluster:
    """Draw identifiers, data nodes and sizes of some blocks."""
    count = numbers.size
    identifier = rng.integers(-(2**63), 2**63, size=count, dtype=np.int64)
    nodes = (rng.integers(DATA_NODES, size=(count, 1)) + _steps(count, rng)) % DATA_NODES
    full = rng.random(count) < FULL_BLOCK_SHARE
    size = np.where(full, FULL_BLOCK, np.exp(rng.uniform(np.log(1e3), np.log(FULL_BLOCK), size=count)).astype(np.int64))
    name = "blk_" + pl.Series(identifier).cast(pl.String)
    return Cluster(name, nodes, pl.Series(size).cast(pl.String), numbers)


def table(lines: Lines, blocks: Cluster, rng: np.random.Generator, *, first_line: int = 1) -> pl.DataFrame:
    """Render lines as LogHub's structured table.

    Returns:
        LineId, Date (``yymmdd``), Time (``HHMMSS``), Pid, Level, Component, Content, EventId, EventTemplate.
    """
    clock, row = _clock(lines.moment)
    event = pl.Series(lines.event)
    return pl.DataFrame(
        {
            "LineId": np.arange(first_line, first_line + lines.event.size, dtype=np.int64),
            "Date": clock.str.slice(0, 6).gather(row),
            "Time": clock.str.slice(7, 6).gather(row),
            "Pid": _threads(lines, rng),
            "Level": _of_event(lambda statement: statement.level).gather(event),
            "Component": _of_event(lambda statement: statement.component).gather(event),
            "Content": _contents(lines, blocks, rng),
            "EventId": pl.Series([f"E{number}" for number in range(len(STATEMENTS) + 1)]).gather(event),
            "EventTemplate": _of_event(lambda statement: statement.template).gather(event),
        }
    )


def text(lines: Lines, blocks: Cluster, rng: np.random.Generator) -> pl.Series:
    """Render lines as raw text, ``Date Time Pid Level Component: Content``."""
    clock, row = _clock(lines.moment)
    source = _of_event(lambda statement: f"{statement.level} {statement.component}:")
    pid = pl.Series(_threads(lines, rng)).cast(pl.String)
    parts = {
        "time": clock.gather(row),
        "pid": pid,
        "source": source.gather(pl.Series(lines.event)),
        "content": _contents(lines, blocks, rng),
    }
    return pl.DataFrame(parts).select(pl.concat_str(pl.all(), separator=" ").alias("line")).to_series()


def templates() -> pl.DataFrame:
    """List the statements: EventId, EventTemplate."""
    names = [f"E{number}" for number in STATEMENTS]
    return pl.DataFrame({"EventId": names, "EventTemplate": [entry.template for entry in STATEMENTS.values()]})


def _turns(sequences: Iterable[Events]) -> Iterable[int]:
    for events in sequences:
        seen: dict[int, int] = {}
        for event in events:
            seen[event] = seen.get(event, -1) + 1
            yield seen[event]


def _delays() -> Floats:
    """Mean seconds between two events, shape (before, event)."""
    size = len(STATEMENTS) + 1
    delays = np.ones((size, size))
    for phase, (events, first) in PHASES.items():
        here = np.array(events)
        delays[:, here] = first
        delays[np.ix_(here, here)] = SAME_PHASE_DELAY[phase]
    return delays


def _steps(count: int, rng: np.random.Generator) -> Ints:
    """Distances between the nodes of a block: all different, the first one 0."""
    step = rng.integers(1, DATA_NODES // NODES_A_BLOCK, size=(count, NODES_A_BLOCK))
    step[:, 0] = 0
    return np.cumsum(step, axis=1)


def _clock(moment: Floats) -> tuple[pl.Series, Ints]:
    """Text ``yymmdd HHMMSS`` of each second from the first line to the last, and the place of each line in it."""
    second = moment.astype(np.int64)
    first, last = int(second.min()), int(second.max())
    begin = START + timedelta(seconds=first)
    moments = pl.datetime_range(begin, begin + timedelta(seconds=last - first), "1s", eager=True)
    return moments.dt.strftime("%y%m%d %H%M%S"), second - first


def _of_event(field: Callable[[Statement], str]) -> pl.Series:
    """One field of the statements, with the event number as place."""
    return pl.Series(["", *(field(statement) for statement in STATEMENTS.values())])


def _threads(lines: Lines, rng: np.random.Generator) -> Ints:
    """Thread numbers: few for the name node and the daemons, growing with time for the threads that serve a block."""
    few = [FEW_THREADS.get(statement.component, (140, 0)) for statement in STATEMENTS.values()]
    low, wide = np.array([(0, 0), *few]).T
    growing = 60 + np.minimum(lines.moment, LAST_NEW_THREAD) / 3
    spread = np.where(wide[lines.event] == 0, growing, wide[lines.event])
    threads: Ints = low[lines.event] + (rng.random(spread.size) * spread).astype(np.int64)
    return threads


def _contents(lines: Lines, blocks: Cluster, rng: np.random.Generator) -> pl.Series:
    """Text of each line: all lines of one statement at once, then back into the order of the lines."""
    grouped = np.argsort(lines.event, kind="stable")
    edges = np.searchsorted(lines.event[grouped], np.arange(len(STATEMENTS) + 2))
    texts = []
    for number, statement in STATEMENTS.items():
        rows = grouped[edges[number] : edges[number + 1]]
        if rows.size:
            texts.append(_render(statement.text, Slots(lines.block[rows], lines.turn[rows], blocks, rng)))
    back = np.empty_like(grouped)
    back[grouped] = np.arange(grouped.size)
    return pl.concat(texts).gather(back)


def _render(text: str, slots: "Slots") -> pl.Series:
    names = re.findall(r"\{(\w+)\}", text)
    columns = {name: getattr(slots, name)() for name in names}
    form = pl.format(re.sub(r"\{\w+\}", "{}", text), *(pl.col(name) for name in names))
    return pl.DataFrame(columns).select(form.alias("content")).to_series()


@dataclass(frozen=True)
class Slots:
    """Values of the slots of one statement's lines; one method for each slot name."""

    rows: Ints
    turn: Ints
    blocks: Cluster
    rng: np.random.Generator

    def block(self) -> pl.Series:
        """Block identifier."""
        return self.blocks.name.gather(self.rows)

    def size(self) -> pl.Series:
        """Bytes of the block."""
        return self.blocks.size.gather(self.rows)

    def node(self) -> pl.Series:
        """Address of the replica's data node."""
        return _addresses().gather(self.blocks.nodes[self.rows, self.turn % 3])

    def peer(self) -> pl.Series:
        """Address of another data node or client."""
        return _addresses().gather(self.blocks.nodes[self.rows, 3 + self.turn % (NODES_A_BLOCK - 3)])

    def port(self) -> pl.Series:
        """Port of a client."""
        return _words(30_000, 61_000).gather(self.rng.integers(31_000, size=self.rows.size))

    def replica(self) -> pl.Series:
        """Place of the replica in the pipeline, the last one first."""
        return _words(0, 3).gather(2 - self.turn % 3)

    def folder(self) -> pl.Series:
        """Number of a folder of the data node."""
        return _words(0, 64).gather(self.rng.integers(64, size=self.rows.size))

    def task(self) -> pl.Series:
        """Number of the map task, six digits."""
        return pl.Series(1_000_000 + self._part() % 1_000_000).cast(pl.String).str.slice(1)

    def part(self) -> pl.Series:
        """Number of the task's part, five digits."""
        return pl.Series(100_000 + self._part() % 100_000).cast(pl.String).str.slice(1)

    def _part(self) -> Ints:
        return self.blocks.number[self.rows] // 5


def _addresses() -> pl.Series:
    """Addresses of the data nodes: 10.250.* and 10.251.*, spread as on the real cluster."""
    number = np.arange(DATA_NODES)
    parts = (250 + number % 2, 6 + number * 37 % 211, 4 + number * 91 % 250)
    return pl.Series([f"10.{a}.{b}.{c}" for a, b, c in zip(*(part.tolist() for part in parts), strict=True)])


def _words(first: int, end: int) -> pl.Series:
    return pl.int_range(first, end, eager=True).cast(pl.String)
