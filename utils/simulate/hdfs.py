"""Simulate the logs of a Hadoop file system: block life cycles as event sequences and as log lines.

:func:`simulate` makes the raw tables of the ``hdfs`` data set; :func:`write_raw` writes a raw log of any length in
bounded memory. ``hdfs_blocks`` tells what a block goes through, ``hdfs_lines`` how it is written down.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from utils.datasets.contract import ANOMALY_TYPE, LABEL
from utils.errors import DataError
from utils.simulate import hdfs_blocks, hdfs_lines
from utils.simulate.draws import Floats, Ints
from utils.simulate.hdfs_blocks import ANOMALY_TYPES, Blocks

VERSION = 1
"""Part of the digest of what is made: raise it whenever the same seed makes something else."""

LEAST_SESSIONS = 100
LINE_BLOCKS = 8_000
TRAIN_SESSIONS = 4_855
PART_BLOCKS = 10_000
CONFLICTING_SHARE = 0.05
TAIL_SECONDS = 60.0


class Part(NamedTuple):
    """Some successive lines of a raw log.

    Attributes:
        lines: raw text, one line each.
        blocks: the blocks that begin in this part: BlockId, Label, anomaly_type.
    """

    lines: pl.Series
    blocks: pl.DataFrame


def simulate(size: int, seed: int, *, defects: bool = False, line_blocks: int = LINE_BLOCKS) -> dict[str, pl.DataFrame]:
    """Simulate the HDFS data set.

    Sessions are numbered by the time at which they begin. 2.9 % are anomalous, of thirteen kinds. The training part is
    the earliest normal sessions: a fifth of all, at most 4,855 (as in the DeepLog release), at least 1 %.

    Clean data (``defects=False``): no sequence has both labels, every block in ``lines`` is complete, and since one
    anomaly in nine consists of events that normal sessions have too, neither the set of events nor the length separates
    the classes.

    Args:
        size: sessions, at least 100.
        seed: seed of all randomness.
        defects: plant the flaws of the real files: ``lines`` ends when the last block has just been written, which cuts
            most sessions and leaves anomalies that look like normal ones; and one anomalous session in twenty has the
            sequence of a normal one.
        line_blocks: so many of the earliest sessions are written as log lines as well.

    Returns:
        ``sessions`` (session_id, split, is_anomaly, sequence_id, anomaly_type), ``sequences`` (sequence_id, events),
        ``lines`` (LineId, Date, Time, Pid, Level, Component, Content, EventId, EventTemplate), ``labels`` (BlockId,
        Label, anomaly_type; row i is session i) and ``templates`` (EventId, EventTemplate).

    Raises:
        DataError: if the size is too small.
    """
    if size < LEAST_SESSIONS:
        raise DataError(f"the HDFS simulator makes at least {LEAST_SESSIONS} sessions, found {size}: ask for more")
    rng = np.random.default_rng(seed)
    train = max(size // 100, min(size // 5, TRAIN_SESSIONS))
    blocks = hdfs_blocks.draw(size, rng, quiet=2 * train)
    if defects:
        blocks = _with_conflicts(blocks, rng)
    sessions, sequences = _sessions(blocks, train)
    lines, labels = _lines(blocks, min(size, line_blocks), rng, cut=defects)
    return {
        "sessions": sessions,
        "sequences": sequences,
        "lines": lines,
        "labels": labels,
        "templates": hdfs_lines.templates(),
    }


def write_raw(path: str | os.PathLike[str], n_lines: int, seed: int) -> pl.DataFrame:
    """Write a raw HDFS log, ``Date Time Pid Level Component: Content``, in bounded memory.

    The log ends after ``n_lines`` lines, as a log that was taken from a running system does: the latest blocks are not
    finished. The file appears under its name when it is complete.

    Args:
        path: file to write; replaced if it exists.
        n_lines: lines, at least 1; a million lines are about 140 MB.
        seed: seed of all randomness.

    Returns:
        The truth: BlockId, Label, anomaly_type of each block in the file, in order of first appearance.

    Raises:
        DataError: if the number of lines is not positive.
        OSError: if the file cannot be written; nothing is left behind.
    """
    target = Path(path)
    unfinished = target.with_name(f"{target.name}.part")
    truth = []
    try:
        with unfinished.open("wb") as file:
            for part in raw_parts(n_lines, seed):
                part.lines.to_frame().write_csv(file, include_header=False, quote_style="never")
                truth.append(part.blocks)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return pl.concat(truth)


def raw_lines(n_lines: int, seed: int) -> pl.Series:
    """Return the lines that :func:`write_raw` writes, in memory.

    Raises:
        DataError: if the number of lines is not positive.
    """
    return pl.concat([part.lines for part in raw_parts(n_lines, seed)])


def raw_parts(n_lines: int, seed: int) -> Iterator[Part]:
    """Make a raw HDFS log part by part; see :func:`write_raw`.

    Raises:
        DataError: if the number of lines is not positive.
    """
    if n_lines < 1:
        raise DataError(f"a raw log has at least 1 line, found {n_lines}: ask for a positive number")
    rng = np.random.default_rng(seed)
    step = min(PART_BLOCKS, 100 + n_lines // 10)
    moment, waiting = np.empty(0), pl.Series("line", [], dtype=pl.String)
    begun, left = 0, n_lines
    clock = 0.0
    while left:
        started = clock + _starts(step + 1, rng)
        blocks = hdfs_blocks.draw(step, rng)
        place = hdfs_lines.places(blocks.sequences)
        lines = hdfs_lines.timed(place, blocks.sequence, started[:-1], rng)
        cluster = hdfs_lines.cluster(np.arange(begun, begun + step), rng)
        moment = np.concatenate((moment, lines.moment))
        order = np.argsort(moment, kind="stable")
        moment = moment[order]
        waiting = pl.concat([waiting, hdfs_lines.text(lines, cluster, rng)]).gather(order)
        ready = min(left, int(np.searchsorted(moment, started[-1])))
        shown = int(np.searchsorted(started[:-1], moment[ready - 1], side="right"))
        yield Part(waiting[:ready], _labels(cluster.name, blocks.anomaly)[:shown])
        moment, waiting, clock = moment[ready:], waiting[ready:], float(started[-1])
        begun, left = begun + step, left - ready


def _starts(count: int, rng: np.random.Generator) -> Floats:
    return np.cumsum(rng.exponential(1 / hdfs_lines.BLOCKS_A_SECOND, size=count))


def _with_conflicts(blocks: Blocks, rng: np.random.Generator) -> Blocks:
    """Give some anomalous sessions the sequence of a normal one."""
    anomalous, normal = np.flatnonzero(blocks.anomaly > 0), np.flatnonzero(blocks.anomaly == 0)
    count = max(1, round(anomalous.size * CONFLICTING_SHARE))
    sequence = blocks.sequence.copy()
    sequence[rng.choice(anomalous, size=count, replace=False)] = sequence[rng.choice(normal, size=count)]
    return blocks._replace(sequence=sequence)


def _sessions(blocks: Blocks, train: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Tables of the sessions and of the sequences that occur, numbered in order of first appearance."""
    occurs, first, number = np.unique(blocks.sequence, return_index=True, return_inverse=True)
    by_appearance = np.argsort(first)
    rank = np.empty_like(by_appearance)
    rank[by_appearance] = np.arange(rank.size)
    normal = blocks.anomaly == 0
    sessions = pl.DataFrame(
        {
            "session_id": np.arange(normal.size, dtype=np.uint32),
            "split": np.where(normal & (np.cumsum(normal) <= train), "train", "test"),
            LABEL: ~normal,
            "sequence_id": rank[number].astype(np.uint32),
            ANOMALY_TYPE: pl.Series(ANOMALY_TYPES).gather(blocks.anomaly),
        }
    )
    events = [blocks.sequences[place] for place in occurs[by_appearance].tolist()]
    sequences = pl.DataFrame(
        {
            "sequence_id": np.arange(rank.size, dtype=np.uint32),
            "events": pl.Series(events, dtype=pl.List(pl.UInt8)),
        }
    )
    return sessions, sequences


def _lines(blocks: Blocks, count: int, rng: np.random.Generator, *, cut: bool) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Write the first blocks as lines; a cut log ends soon after the last block has begun."""
    started = _starts(count, rng)
    lines = hdfs_lines.timed(hdfs_lines.places(blocks.sequences), blocks.sequence[:count], started, rng)
    if cut:
        lines = lines.until(started[-1] + TAIL_SECONDS)
    cluster = hdfs_lines.cluster(np.arange(count), rng)
    return hdfs_lines.table(lines, cluster, rng), _labels(cluster.name, blocks.anomaly[:count])


def _labels(names: pl.Series, anomaly: Ints) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "BlockId": names,
            "Label": pl.Series(["Normal", "Anomaly"]).gather((anomaly > 0).astype(np.int64)),
            ANOMALY_TYPE: pl.Series(ANOMALY_TYPES).gather(anomaly),
        }
    )
