"""The service over HTTP: one event's latency, the throughput beside the usual way, and the time to the first answer.

The champions are those of the store, in a copy whose compiled forms pass their gate on simulated rows, as they do on
held-out rows at registration. Server and clients have a core each. Latency and start are wall seconds, what a client
waits for; throughput is compared by the CPU seconds of the server for one request, as a core answers the reciprocal of
them a second at most, whatever else the machine does; what was seen by the wall clock stands beside.
"""

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
import polars as pl
import psutil

from benchmarks.registry import Bar, Point, Row, Scale, case
from utils import datasets, settings
from utils.classifiers.champion import Champion
from utils.classifiers.compiled import PARITY, compiled, parity
from utils.features import tables
from utils.serving import client
from utils.tracking import registry as store
from utils.tracking.log_champion import simulated_lines

MODELS = ("nsl_kdd", "cicids2017", "waf", "api")
LOG = "hdfs"
CLIENTS = 32
CROWDS = (1, 8, 32, 128)
REQUESTS, USUAL_REQUESTS, WARM = 4_000, 300, 100
RECORDS = 200
GATE_ROWS = 2_000
TOLERANCE = 1e-9
"""Largest difference between scores of both services that counts as rounding of a threaded sum."""

DATA = "simulator"
USUAL = "a pandas frame a request"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "ANOMALY_OFFLINE": "1"}


@dataclass(frozen=True)
class Load:
    """What sending requests found.

    Attributes:
        elapsed: seconds for all of them.
        seconds: of each request.
        cpu: CPU seconds of the server for one request.
        answers: the first answer to each body.
    """

    elapsed: float
    seconds: Sequence[float]
    cpu: float
    answers: Sequence[Any]

    @property
    def each(self) -> float:
        """Seconds of the server for one request: 1 / throughput."""
        return self.elapsed / len(self.seconds)

    def quantile(self, share: float) -> float:
        """Milliseconds within which a share of the requests is answered."""
        return float(np.quantile(self.seconds, share)) * 1e3

    def __str__(self) -> str:
        return f"p50 {self.quantile(0.5):.2f}, p99 {self.quantile(0.99):.2f}, CPU {self.cpu * 1e3:.2f} ms"


class _Server(NamedTuple):
    """A server that runs."""

    process: Any
    port: int


@case("serving_latency", "service")
def latency(scale: Scale) -> list[Row]:
    """One event a request, one client, one core: the median time until the answer is there."""
    rows = []
    with _lab() as lab, _service(lab) as (running, _):
        for name in MODELS:
            load = _sent(running, f"/{name}/predict", _bodies(_records(name)), 1, REQUESTS // 4)
            rows.append(_latency_row(f"{name}: one event over HTTP", load))
        lines = json.dumps({"lines": simulated_lines()["line"].to_list()}).encode()
        load = _sent(running, f"/{LOG}/predict", [lines], 1, USUAL_REQUESTS)
        median = statistics.median(load.seconds)
        return [*rows, Row(f"{LOG}: lines of two sessions over HTTP", median, None, None, str(load), DATA)]


@case("serving_throughput", "service")
def throughput(scale: Scale) -> list[Row]:
    """One event a request, 32 clients at the same time, beside the usual way with the same bodies; answers compared."""
    rows = []
    with _lab() as lab:
        for name in MODELS:
            bodies = _bodies(_records(name))
            with _service(lab, name) as (running, _):
                ours = _sent(running, f"/{name}/predict", bodies, CLIENTS, REQUESTS)
            with _usual(lab, name) as running:
                usual = _sent(running, "/predict", bodies, CLIENTS, USUAL_REQUESTS)
            _require_same(name, ours.answers, usual.answers)
            size = f"{CLIENTS} clients, {1 / ours.each:,.0f}/s: {ours}; usual {1 / usual.each:,.0f}/s: {usual}"
            rows.append(
                Row(f"{name}: one of many requests", ours.cpu, usual.cpu, Bar("ratio", 15), size, DATA, None, USUAL)
            )
    return rows


@case("serving_clients", "service")
def by_clients(scale: Scale) -> list[Row]:
    """CPU seconds of a request by the number of clients that ask at the same time."""
    name = MODELS[0]
    with _lab() as lab, _service(lab, name) as (running, _):
        bodies = _bodies(_records(name))
        loads = {clients: _sent(running, f"/{name}/predict", bodies, clients, REQUESTS) for clients in CROWDS}
    points = tuple(Point(clients, load.cpu) for clients, load in loads.items())
    said = "; ".join(
        f"{clients} clients: {1 / load.each:,.0f}/s, p50 {load.quantile(0.5):.2f}, p99 {load.quantile(0.99):.2f} ms"
        for clients, load in loads.items()
    )
    return [Row(f"{name}: one request, by clients", points[-1].value, None, None, said, DATA, points=points)]


@case("serving_start", "service")
def start(scale: Scale) -> list[Row]:
    """From the command to the first decision of a tabular model, with all models to load."""
    body = _bodies(_records(MODELS[0]))[0]
    taken = []
    with _lab() as lab:
        for _ in range(scale.rounds):
            begin = time.perf_counter()
            with _service(lab, ready=False) as (_, asking):
                reply = asking.predict(MODELS[0], body)
                taken.append(time.perf_counter() - begin)
            if reply.status != 200:
                raise RuntimeError(f"the first answer must be a decision, found {reply.status}: see {reply.value}")
    return [Row("service start to first answer", statistics.median(taken), None, Bar("seconds", 8), "all models", DATA)]


def _latency_row(title: str, load: Load) -> Row:
    return Row(title, statistics.median(load.seconds), None, Bar("seconds", 0.003), str(load), DATA)


@contextlib.contextmanager
def _lab() -> Iterator[Path]:
    """A copy of the store whose compiled forms have passed their gate."""
    root, before = settings.current().root, os.environ.get("ANOMALY_ROOT")
    with tempfile.TemporaryDirectory() as folder:
        lab = Path(folder)
        (lab / "data").mkdir()
        shutil.copy(root / "data" / "catalog.toml", lab / "data")
        shutil.copy(root / "mlflow.db", lab)
        shutil.copytree(root / "mlartifacts", lab / "mlartifacts")
        os.environ["ANOMALY_ROOT"] = folder
        try:
            for name in MODELS:
                _pass_gate(name)
            yield lab
        finally:
            os.environ.pop("ANOMALY_ROOT")
            os.environ.update({"ANOMALY_ROOT": before} if before else {})


def _pass_gate(name: str) -> None:
    """Write beside a champion what comparing its compiled form found.

    Raises:
        RuntimeError: if it does not pass.
    """
    loaded = store.load(store.version_of(name, store.holders()[name]))
    champion: Champion = loaded.model
    found = parity(champion, compiled(champion), _rows(name, champion).head(GATE_ROWS))
    if not found.passed or loaded.version.folder is None:
        raise RuntimeError(f"{name}: the compiled form must pass its gate: {found.sentence}")
    (loaded.version.folder / PARITY).write_text(found.to_json(), encoding="utf-8")


def _rows(name: str, champion: Champion) -> pl.DataFrame:
    """Simulated rows with the columns that a champion reads."""
    data = datasets.load(name, "simulated", budget="fast")
    wanted = list(champion.reader_.inputs if champion.reader_ else champion.input_types_)
    frames = [*data.frames.values(), *tables.build(data).frames.values()]
    return next(frame.select(wanted) for frame in frames if set(wanted) <= set(frame.columns))


def _records(name: str) -> list[dict[str, Any]]:
    """Simulated records without missing values."""
    loaded: Any = store.load(store.version_of(name, store.holders()[name])).model
    return _rows(name, loaded).drop_nulls().head(RECORDS).to_dicts()


def _bodies(records: Sequence[Mapping[str, Any]]) -> list[bytes]:
    return [json.dumps({"rows": [record]}).encode() for record in records]


@contextlib.contextmanager
def _on_core(core: int) -> Iterator[None]:
    """Keep this process, and what it starts, on one core where the system can do that and has two."""
    known = hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) > 1
    if not known:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(before)[core]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def _service(lab: Path, *models: str, ready: bool = True) -> Iterator[tuple[_Server, client.Client]]:
    """The real service on the first core."""
    environment = {**ONE_THREAD, "ANOMALY_ROOT": str(lab)}
    with contextlib.ExitStack() as stack:
        with _on_core(0):
            running = stack.enter_context(client.running(models, environment=environment, ready=ready))
        port = urlsplit(running.address).port
        assert port is not None
        yield _Server(running.process, port), running


@contextlib.contextmanager
def _usual(lab: Path, name: str) -> Iterator[_Server]:
    """The usual service of one model on the first core."""
    command = [sys.executable, "-m", "benchmarks.usual_service", name]
    environment = {**os.environ, **ONE_THREAD, "ANOMALY_ROOT": str(lab)}
    with _on_core(0):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=_ROOT)
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        if "Serving" not in said:
            raise RuntimeError(f"{name}: the usual service must start, found {said!r}: run {' '.join(command)}")
        yield _Server(process, int(said.rsplit(":", 1)[1]))
    finally:
        process.terminate()
        process.wait()


def _sent(running: _Server, path: str, bodies: Sequence[bytes], clients: int, count: int) -> Load:
    """Send requests from another process on the second core.

    Raises:
        RuntimeError: if a request failed.
    """
    port = running.port
    server = psutil.Process(running.process.pid)
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file, _on_core(1):
        file.write(b"\n".join(bodies))
        file.flush()
        _run_load(port, path, file.name, clients, WARM)
        before = server.cpu_times()
        found = _run_load(port, path, file.name, clients, count)
        after = server.cpu_times()
    if found["failed"]:
        raise RuntimeError(
            f"every request must be answered, found {found['failed']} that were not: {found['answers'][:1]}"
        )
    cpu = (after.user + after.system - before.user - before.system) / count
    return Load(found["elapsed"], found["seconds"], cpu, [json.loads(one) for one in found["answers"]])


def _run_load(port: int, path: str, bodies: str, clients: int, count: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.load", str(port), path, bodies, str(clients), str(count)]
    said = subprocess.run(command, capture_output=True, check=True, text=True, cwd=_ROOT).stdout
    found: dict[str, Any] = json.loads(said)
    return found


def _require_same(name: str, ours: Sequence[Any], usual: Sequence[Any]) -> None:
    """Check that both services decided alike.

    Raises:
        RuntimeError: if they did not.
    """
    for mine, other in zip(ours, usual, strict=True):
        for one, two in zip(mine["decisions"], other["decisions"], strict=True):
            if one["decision"] != two["decision"] or abs(one["score"] - two["score"]) > TOLERANCE:
                raise RuntimeError(
                    f"{name}: both services must decide alike, found {one} and {two}: check the compiled form"
                )


_ROOT = Path(__file__).resolve().parents[1]
