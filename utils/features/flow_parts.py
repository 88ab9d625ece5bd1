"""Tables of flows that are larger than memory: cleaned, added up by host pair and window, and scored part by part.

```python
from utils.datasets import cicids2017
from utils.features import flow_parts, traffic_graphs

times = {"Timestamp": "%Y-%m-%d %H:%M:%S%.f"}
parts = flow_parts.read_csv(["monday.csv", "tuesday.csv"], "parts", cicids2017.RAW_SCHEMA, times)
model = make_pipeline(FlowFeatures(columns=cicids2017.FEATURES), IsolationForest())
scores = flow_parts.write_scores(parts, model.fit(flow_parts.sample(parts, 100_000, 42)), "scores")
edges = flow_parts.write_edges(parts, "edges", traffic_graphs.Columns("Src IP", "Dst IP", "Timestamp"))
```

Every stage is a pure function from files to a Parquet file, done by :func:`utils.compute.each`: here, in processes or
on a cluster. A process holds one part in memory; what is fitted is fitted on a sample.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from utils.compute import each
from utils.datasets import folders, schema
from utils.errors import DataError, SchemaError
from utils.features.log_parts.division import Part, Paths, divide
from utils.features.log_templates import blocks
from utils.features.traffic_graphs.windows import EVERY, Columns, edge_windows

PART_BYTES = 1 << 26
MOST_ROWS = 500_000
SCORE = "score"
VERSION = "1"


class Scorer(Protocol):
    """A fitted model of rows: higher is more abnormal, or lower, as the model has it."""

    def score_samples(self, X: pl.DataFrame) -> NDArray[np.float64]:
        """Score rows."""


class _Span(NamedTuple):
    """Some successive windows, and the parts that have flows of their time."""

    begin: datetime
    end: datetime
    parts: list[str]


def read_csv(
    files: Paths,
    folder: str | Path,
    columns: schema.Schema,
    times: Mapping[str, str] | None = None,
    *,
    part_bytes: int = PART_BYTES,
    workers: int = 1,
) -> list[Path]:
    """Turn CSV files with a header, of any length, into typed Parquet parts, by the rules of the loaders.

    A part that is there already, made of the same bytes in the same way, is not made again.

    Args:
        files: one file or several, in the order of their rows; no field may hold a line break.
        folder: gets the parts; other parts that it holds are removed.
        columns: the columns that are read, with their types; see :func:`utils.datasets.schema.read_csv`.
        times: format of each text column that is turned into a time.
        part_bytes: bytes of CSV in one part; more than the header is long.
        workers: processes, where the work is done on this machine.

    Returns:
        The parts in the order of the rows.

    Raises:
        SchemaError: as :func:`utils.datasets.schema.read_csv`; the sentence gives the file, the line
            behind which the part begins, and the row in the part.
        DataError: if there is no file, or one is packed.
        OSError: if a file cannot be read or written; nothing unfinished is left behind.
    """
    parts, target = divide(files, part_bytes), Path(folder).resolve()
    if packed := [part.path for part in parts if part.end is None]:
        raise DataError(f"{packed[0]} must be plain CSV, found a packed file: unpack it")
    for path in [files] if isinstance(files, str | os.PathLike) else files:
        if not Path(path).stat().st_size:
            schema.read_bytes(Path(path))
    target.mkdir(parents=True, exist_ok=True)
    jobs = [(part, str(target), number, dict(columns), dict(times or {})) for number, part in enumerate(parts)]
    made = [Path(path) for path in each(table_part, jobs, workers=workers)]
    _keep(target, "rows-*.parquet", made)
    return made


def table_part(part: Part, folder: str, number: int, columns: dict[str, schema.Column], times: dict[str, str]) -> str:
    """Turn some lines of a CSV file into a Parquet file of typed columns.

    Args:
        part: of :func:`utils.features.log_parts.divide`.
        folder: gets the file.
        number: of the part, for the order of the names.
        columns: as :func:`read_csv`.
        times: as :func:`read_csv`.

    Returns:
        The file, which is named by the number and by the digest of what it was made of.

    Raises:
        SchemaError: as :func:`read_csv`.
        OSError: if a file cannot be read or written; nothing unfinished is left behind.
    """
    with Path(part.path).open("rb") as file:
        header = file.readline()
        file.seek(part.begin)
        lines = file.read((part.end or 0) - part.begin)
    data = (lines if part.begin == 0 else header + lines).removeprefix(blocks.MARK)
    key = hashlib.sha256(f"{VERSION} {columns} {times} ".encode() + data).hexdigest()[:32]
    target = Path(folder) / f"rows-{number:05d}-{key}.parquet"
    if not target.exists():
        name = Path(part.path).name
        try:
            table = _typed(name, data, columns, times)
        except SchemaError:
            _typed(f"{name} behind line {_lines_before(part)}" if part.begin else name, data, columns, times)
            raise
        folders.write_parquet(table, target)
    return str(target)


def sample(parts: Sequence[Path], rows: int, seed: int) -> pl.DataFrame:
    """Draw rows without replacement, each with the same probability.

    Args:
        parts: of :func:`read_csv`.
        rows: how many; all, if there are no more.
        seed: of the draw.

    Returns:
        The rows in their order.

    Raises:
        DataError: if there is no row.
    """
    heights = [_height(part) for part in parts]
    if not sum(heights):
        raise DataError("a sample needs at least one row, found none: give parts with rows")
    chosen = np.sort(np.random.default_rng(seed).choice(sum(heights), min(rows, sum(heights)), replace=False))
    first = np.concatenate(([0], np.cumsum(heights)))
    borders = np.searchsorted(chosen, first)
    drawn = []
    for place, part in enumerate(parts):
        rows_of_part = chosen[borders[place] : borders[place + 1]] - first[place]
        drawn.append(pl.scan_parquet(part, glob=False).select(pl.all().gather(rows_of_part)).collect())
    return pl.concat(drawn)


def write_scores(parts: Sequence[Path], model: Scorer, folder: str | Path, *, workers: int = 1) -> list[Path]:
    """Score the rows of each part.

    Rows are scored on their own, so scores are those of all rows at once.

    Args:
        parts: of :func:`read_csv`.
        model: fitted, such as a pipeline of :class:`~utils.features.flows.FlowFeatures` and an isolation forest.
        folder: gets a file with the column ``score`` (Float64) for each part, of the same name and rows.
        workers: processes, where the work is done on this machine.

    Returns:
        The files, in the order of the parts.

    Raises:
        OSError: if a file cannot be read or written; nothing unfinished is left behind.
    """
    target = Path(folder).resolve()
    target.mkdir(parents=True, exist_ok=True)
    made = [target / part.name for part in parts]
    each(score_part, [(str(part), model, str(path)) for part, path in zip(parts, made, strict=True)], workers=workers)
    return made


def score_part(part: str, model: Scorer, target: str) -> None:
    """Score the rows of a part.

    Args:
        part: Parquet file.
        model: fitted.
        target: Parquet file that gets the column ``score``.

    Raises:
        OSError: if a file cannot be read or written; nothing unfinished is left behind.
    """
    scores = model.score_samples(pl.read_parquet(part, glob=False))
    folders.write_parquet(pl.DataFrame({SCORE: np.asarray(scores, dtype=np.float64)}), Path(target))


def write_edges(
    parts: Sequence[Path],
    folder: str | Path,
    columns: Columns,
    *,
    every: timedelta = EVERY,
    label: str | None = None,
    kind: str | None = None,
    most_rows: int = MOST_ROWS,
    workers: int = 1,
) -> list[Path]:
    """Add up traffic by pair of hosts and window of time, some windows after the other.

    The result is that of :func:`~utils.features.traffic_graphs.edge_windows` on all rows at once; sums of volumes that
    are no whole numbers may differ in the last digit. Each file is made of the flows of successive windows, which are
    in memory at a time. It is read from the parts in which such flows are: fastest where rows are about in the order of
    time.

    Args:
        parts: of :func:`read_csv`.
        folder: gets the files; other files of edges that it holds are removed.
        columns: where to find what.
        every: length of a window.
        label: as :func:`~utils.features.traffic_graphs.edge_windows`.
        kind: as :func:`~utils.features.traffic_graphs.edge_windows`.
        most_rows: flows that are in memory at a time; those of one window are, however many.
        workers: processes, where the work is done on this machine.

    Returns:
        The files in the order of the windows.

    Raises:
        SchemaError: if a column is missing.
        DataError: if no row has source, destination and time, or a length is not positive.
        OSError: if a file cannot be read or written; nothing unfinished is left behind.
    """
    if every <= timedelta(0) or most_rows < 1:
        raise DataError(f"windows need a length and flows above 0, found {every} and {most_rows}: correct them")
    target = Path(folder).resolve()
    start, spans = _spans(parts, columns, every, most_rows)
    target.mkdir(parents=True, exist_ok=True)
    made = [target / f"edges-{number:05d}.parquet" for number in range(len(spans))]
    jobs = [
        (span.parts, columns, (start, span.begin, span.end), (every, label, kind), str(path))
        for span, path in zip(spans, made, strict=True)
    ]
    each(edges_part, jobs, workers=workers)
    _keep(target, "edges-*.parquet", made)
    return made


def edges_part(
    parts: Sequence[str],
    columns: Columns,
    times: tuple[datetime, datetime, datetime],
    options: tuple[timedelta, str | None, str | None],
    target: str,
) -> None:
    """Add up the traffic of some time.

    Args:
        parts: Parquet files of flows.
        columns: where to find what.
        times: when window 0 begins, and from when to when flows are added up.
        options: length of a window, column of the label, column of the kind.
        target: Parquet file that gets the edges.

    Raises:
        OSError: if a file cannot be read or written; nothing unfinished is left behind.
    """
    (start, begin, end), (every, label, kind) = times, options
    names = list(dict.fromkeys((*columns.names, *(name for name in (label, kind) if name is not None))))
    when = pl.col(columns.time).cast(pl.Datetime("us"))
    rows = pl.scan_parquet(list(parts), glob=False).select(names).filter((when >= begin) & (when < end)).collect()
    folders.write_parquet(edge_windows(rows, columns, every=every, label=label, kind=kind, start=start), Path(target))


def _typed(name: str, data: bytes, columns: schema.Schema, times: Mapping[str, str]) -> pl.DataFrame:
    table = schema.parse_csv(name, data, columns)
    for column, written in times.items():
        time = pl.col(column).str.to_datetime(written, time_unit="us", strict=False)
        table = schema.converted(table, column, time, f"a time written as {written}", name)
    return table


def _lines_before(part: Part) -> int:
    begin, count = part.begin, 0
    with Path(part.path).open("rb") as file:
        while begin > 0:
            block = file.read(min(begin, blocks.BLOCK_BYTES))
            count, begin = count + block.count(b"\n"), begin - len(block)
    return count


def _spans(parts: Sequence[Path], columns: Columns, every: timedelta, most_rows: int) -> tuple[datetime, list[_Span]]:
    """Midnight of the first day, and the spans of successive windows with so many flows."""
    when = pl.col(columns.time).cast(pl.Datetime("us")).alias("when")
    who = [columns.source, columns.destination, columns.time]
    timed = [pl.scan_parquet(part, glob=False).drop_nulls(who).select(when) for part in parts]
    ranges = [
        rows.select(pl.col("when").min().alias("first"), pl.col("when").max().alias("last")).collect().row(0)
        for rows in timed
    ]
    known = [first for first, _ in ranges if first is not None]
    if not known:
        raise DataError("traffic needs rows with source, destination and time, found none: check these columns")
    start = min(known).replace(hour=0, minute=0, second=0, microsecond=0)
    number = ((pl.col("when") - start).dt.total_microseconds() // (every // timedelta(microseconds=1))).alias("window")
    counted = pl.concat([rows.group_by(number).agg(pl.len().alias("rows")) for rows in timed]).collect()
    windows = counted.group_by("window").agg(pl.col("rows").sum()).sort("window")
    group = (pl.col("rows").cum_sum() - 1) // most_rows
    ends = windows.group_by(group, maintain_order=True).agg(
        pl.col("window").min().alias("first"), pl.col("window").max().alias("last")
    )
    spans = []
    for first, last in ends.select("first", "last").iter_rows():
        begin, end = start + every * first, start + every * (last + 1)
        within = [
            str(part)
            for part, (low, high) in zip(parts, ranges, strict=True)
            if low is not None and low < end and high >= begin
        ]
        spans.append(_Span(begin, end, within))
    return start, spans


def _height(part: Path) -> int:
    return int(pl.scan_parquet(part, glob=False).select(pl.len()).collect().item())


def _keep(folder: Path, pattern: str, made: Sequence[Path]) -> None:
    """Remove the other files of a folder that are called like these, and what was left unfinished."""
    for path in set(folder.glob(pattern)) - set(made):
        path.unlink()
    folders.remove_unfinished(folder)
