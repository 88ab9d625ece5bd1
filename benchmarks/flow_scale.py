"""Flows larger than memory: cost and peak memory of cleaning, scoring and host-pair windows, at three sizes.

``python -m benchmarks.flow_scale parts|memory FILE FOLDER`` does it for one CSV file in a process of its own, part by
part or in memory at once, and prints CPU seconds, peak memory in MB, rows, edges, and the sums of the scores and bytes.
"""

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import polars as pl
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline

from benchmarks.apart import json_of
from benchmarks.log_scale import peak_mb
from benchmarks.registry import Point, Row, Scale, case
from utils import settings
from utils.datasets import cicids2017, schema
from utils.features import flow_parts
from utils.features.flows import FlowFeatures
from utils.features.traffic_graphs import Columns, edge_windows
from utils.simulate import cicids2017 as simulator

SHARES = (20, 5, 2)
"""One flow for so many raw lines of the scale."""

COPIED = 10_000
SAMPLE = 20_000
PART_BYTES = 1 << 25
TREES = 25
DATA = "simulator"
TIMES = {cicids2017.TIME: "%Y-%m-%d %H:%M:%S%.f"}
WHO = Columns("Src IP", "Dst IP", cicids2017.TIME, bytes=("Total Length of Fwd Packet", "Total Length of Bwd Packet"))


class Measured(NamedTuple):
    """What a process of its own says.

    Attributes:
        seconds: CPU seconds, without the imports and the fit of the model.
        peak_mb: peak resident memory of the process, with them.
        rows: flows that have a score.
        edges: pairs of hosts and windows.
        score: sum of the scores.
        bytes: sum of the bytes of the edges.
    """

    seconds: float
    peak_mb: float
    rows: int
    edges: int
    score: float
    bytes: float


@case("flow_parts", "scale")
def flows_on_disk(scale: Scale) -> list[Row]:
    """Clean, score and add up flows of three sizes part by part, and the largest in memory at once."""
    sizes = [max(COPIED, scale.raw_lines // share) for share in SHARES]
    with tempfile.TemporaryDirectory() as folder:
        files = [_written(Path(folder), rows) for rows in sizes]
        found = [_apart("parts", path) for path in files]
        whole = _apart("memory", files[-1])
        gigabytes = files[-1].stat().st_size / 1e9
    largest, size = found[-1], f"{sizes[-1]:,} flows, {gigabytes:.2f} GB of CSV"
    _require_same(largest, whole)
    costs = tuple(Point(rows, each.seconds, each.peak_mb) for each, rows in zip(found, sizes, strict=True))
    peaks = tuple(Point(rows, each.peak_mb, each.peak_mb) for each, rows in zip(found, sizes, strict=True))
    title, against = "flows to scores and windows on disk", "in memory at once"
    return [
        Row(title, largest.seconds, whole.seconds, None, size, DATA, largest.peak_mb, against, points=costs),
        Row("peak memory of it", largest.peak_mb, whole.peak_mb, None, size, DATA, None, against, "MB", peaks),
    ]


def by_parts(path: Path, folder: Path) -> Measured:
    """Do the work part by part."""
    begin = time.process_time()
    parts = flow_parts.read_csv(path, folder / "parts", cicids2017.RAW_SCHEMA, TIMES, part_bytes=PART_BYTES)
    model, fitted = _fit(flow_parts.sample(parts, SAMPLE, settings.SEED))
    scores = flow_parts.write_scores(parts, model, folder / "scores")
    edges = flow_parts.write_edges(parts, folder / "edges", WHO)
    seconds, peak = time.process_time() - begin - fitted, peak_mb()
    return _measured(
        seconds, peak, [pl.read_parquet(part) for part in scores], [pl.read_parquet(part) for part in edges]
    )


def in_memory(path: Path, folder: Path) -> Measured:
    """Do the same work on one table; the folder gets the rows to draw the same sample from."""
    begin = time.process_time()
    rows = schema.read_csv(path, cicids2017.RAW_SCHEMA)
    rows = rows.with_columns(pl.col(cicids2017.TIME).str.to_datetime(TIMES[cicids2017.TIME], time_unit="us"))
    whole = folder / "rows.parquet"
    rows.write_parquet(whole, compression="lz4")
    model, fitted = _fit(flow_parts.sample([whole], SAMPLE, settings.SEED))
    scores, edges = pl.DataFrame({"score": model.score_samples(rows)}), edge_windows(rows, WHO)
    seconds, peak = time.process_time() - begin - fitted, peak_mb()
    return _measured(seconds, peak, [scores], [edges])


def _fit(rows: pl.DataFrame) -> tuple[flow_parts.Scorer, float]:
    begin = time.process_time()
    forest = IsolationForest(n_estimators=TREES, random_state=settings.SEED)
    model = make_pipeline(FlowFeatures(columns=cicids2017.FEATURES), forest).fit(rows)
    return model, time.process_time() - begin


def _measured(seconds: float, peak: float, scores: Sequence[pl.DataFrame], edges: Sequence[pl.DataFrame]) -> Measured:
    score, edge = pl.concat(scores), pl.concat(edges)
    return Measured(seconds, peak, score.height, edge.height, float(score["score"].sum()), float(edge["bytes"].sum()))


def _written(folder: Path, rows: int) -> Path:
    """Write simulated flows again and again, each time a week later."""
    flows = (
        simulator.simulate(COPIED, settings.SEED)["flows"].select(cicids2017.RAW_SCHEMA.keys()).sort(cicids2017.TIME)
    )
    path = folder / f"{rows}.csv"
    with path.open("wb") as file:
        for week in range(-(-rows // COPIED)):
            time_ = (pl.col(cicids2017.TIME) + timedelta(weeks=week)).dt.to_string("%Y-%m-%d %H:%M:%S%.6f")
            copied = flows.head(rows - week * COPIED).with_columns(time_)
            copied.write_csv(file, include_header=week == 0)
    return path


def _apart(way: str, path: Path) -> Measured:
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        return Measured(*json_of("benchmarks.flow_scale", way, str(path), folder))


def _require_same(ours: Measured, whole: Measured) -> None:
    """Check rows, edges and sums.

    Raises:
        RuntimeError: if the two ways differ.
    """
    close = abs(ours.score - whole.score) <= 1e-9 * abs(whole.score)
    if not (ours.rows == whole.rows and ours.edges == whole.edges and ours.bytes == whole.bytes and close):
        raise RuntimeError(f"flows by parts must give what they give in memory, found {ours} and {whole}")


def main(way: str, path: str, folder: str) -> int:
    """Measure one file and print what is found as JSON."""
    print(json.dumps({"parts": by_parts, "memory": in_memory}[way](Path(path), Path(folder))))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
