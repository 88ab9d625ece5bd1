"""What can be watched: metrics for Prometheus, and one line of JSON a request. Contents of requests are in neither."""

import contextlib
import json
import logging
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.core import Metric as PrometheusMetric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from utils.serving.drift import COUNTED, Metric

LOGGER = logging.getLogger("anomaly.serving")
SECONDS = (0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
ROWS = (1, 2, 5, 10, 50, 100, 500, 1_000, 5_000, 10_000, 100_000)
MOST_PLACES = 6
MOST_LINES = 10_000
"""Lines that may wait to be written."""

WRITE_SECONDS = 0.1
"""Time between two writings of lines."""

LAST_SECONDS = 2.0
LEVELS = {level: logging.getLevelName(level).lower() for level in (logging.INFO, logging.WARNING, logging.ERROR)}

METRICS_TYPE = CONTENT_TYPE_LATEST


class Observer:
    """Counts and writes what happens.

    The names of the metrics: ``anomaly_requests_total`` (route, model, status), ``anomaly_request_seconds`` (route,
    model), ``anomaly_rows`` (model; rows of a request), ``anomaly_decisions_total`` (model, decision),
    ``anomaly_requests_running``, ``anomaly_model_version`` (model), ``anomaly_loads_total`` (model, outcome),
    ``anomaly_models_ready``; those of drift are named by :mod:`utils.serving.drift`.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        shared: dict[str, Any] = {"registry": self.registry}
        self._requests = Counter("anomaly_requests", "Requests answered.", ("route", "model", "status"), **shared)
        self._seconds = Histogram(
            "anomaly_request_seconds", "Time to answer.", ("route", "model"), buckets=SECONDS, **shared
        )
        self._rows = Histogram("anomaly_rows", "Rows of a request.", ("model",), buckets=ROWS, **shared)
        self._decisions = Counter("anomaly_decisions", "Rows decided on.", ("model", "decision"), **shared)
        self._running = Gauge("anomaly_requests_running", "Requests being answered.", **shared)
        self._version = Gauge("anomaly_model_version", "Version that answers.", ("model",), **shared)
        self._loads = Counter("anomaly_loads", "Versions loaded or not.", ("model", "outcome"), **shared)
        self._ready = Gauge("anomaly_models_ready", "Models that answer.", **shared)
        ProcessCollector(registry=self.registry)
        self._models: set[str] = set()
        self._answered: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._decided: dict[str, tuple[Histogram, Counter, Counter]] = {}

    def began(self) -> None:
        """Count a request in."""
        self._running.inc()

    def ended(self, route: str, status: int, seconds: float, facts: Mapping[str, Any]) -> None:
        """Count a request out, and write its line.

        Args:
            route: template of the path, not the path.
            status: of the answer.
            seconds: that it took.
            facts: ``model``, ``version``, ``rows``, ``alarms``, ``request_id``, ``method``; no contents.
        """
        self._running.dec()
        model = facts.get("model") or ""
        requests, taken = self._answered.get((route, model, status)) or self._of_answers(route, model, status)
        requests.inc()
        taken.observe(seconds)
        if (number := facts.get("rows")) is not None:
            rows, anomalies, normal = self._decided.get(model) or self._of_decisions(model)
            rows.observe(number)
            anomalies.inc(facts["alarms"])
            normal.inc(number - facts["alarms"])
        level = logging.ERROR if status == 500 else logging.INFO
        self.say("request", {"route": route, "status": status, "ms": round(1e3 * seconds, 3), **facts}, level)

    def _of_answers(self, route: str, model: str, status: int) -> tuple[Counter, Histogram]:
        """Metrics of answers with their labels, which are looked up once."""
        made = self._requests.labels(route, model, str(status)), self._seconds.labels(route, model)
        return self._answered.setdefault((route, model, status), made)

    def _of_decisions(self, model: str) -> tuple[Histogram, Counter, Counter]:
        """Metrics of decisions with their labels."""
        anomalies, normal = (self._decisions.labels(model, said) for said in ("anomaly", "normal"))
        return self._decided.setdefault(model, (self._rows.labels(model), anomalies, normal))

    def told(self, event: str, facts: Mapping[str, object]) -> None:
        """Count and write what the registry tells."""
        failed = "failed" in event
        if (model := facts.get("model")) is not None:
            self._loads.labels(str(model), "failed" if failed else "loaded").inc()
        if event == "loaded":
            self._models.add(str(model))
            self._version.labels(str(model)).set(float(str(facts["version"])))
        for gone in _names(facts.get("models")):
            self._models.discard(gone)
            self._version.remove(gone)
        self._ready.set(len(self._models))
        self.say(event, facts, logging.WARNING if failed else logging.INFO)

    def say(self, event: str, facts: Mapping[str, object], level: int = logging.INFO) -> None:
        """Write one line of JSON."""
        if LOGGER.isEnabledFor(level):
            line = {"time": round(time.time(), 3), "level": LEVELS[level], "event": event, **facts}
            LOGGER.handle(logging.LogRecord(LOGGER.name, level, __file__, 0, _written(line), None, None))

    def failed(self, error: BaseException, facts: Mapping[str, object] | None = None) -> None:
        """Write where an error came from: types and places, no values."""
        places = traceback.extract_tb(error.__traceback__)[-MOST_PLACES:]
        trace = [type(error).__name__, *(f"{Path(at.filename).name}:{at.lineno} {at.name}" for at in places)]
        self.say("error", {**(facts or {}), "trace": trace}, logging.ERROR)

    def exposed(self, drifts: Mapping[str, Sequence[Metric]] | None = None) -> bytes:
        """All metrics in the text form of Prometheus.

        Args:
            drifts: of each model, what is known of its drift.
        """
        shown = CollectorRegistry()
        shown.register(_Drifts(drifts or {}))
        return generate_latest(self.registry) + generate_latest(shown)


class _Drifts(Collector):
    """Metrics of drift, with the model as one more label."""

    def __init__(self, drifts: Mapping[str, Sequence[Metric]]) -> None:
        self._drifts = drifts

    def collect(self) -> Iterable[PrometheusMetric]:
        families: dict[str, Any] = {}
        for model, metrics in self._drifts.items():
            for one in metrics:
                labels = ("model", *one.labels)
                kind = CounterMetricFamily if one.kind == COUNTED else GaugeMetricFamily
                family = families.setdefault(one.name, kind(one.name, one.help, labels=labels))
                family.add_metric((model, *one.labels.values()), one.value)
        return families.values()


class _Lines(logging.Handler):
    """Keeps lines until a thread writes them together; a line more than may wait is dropped.

    No request waits for a log, and no thread is woken for a line: that takes longer than to decide.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[str] = deque()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        if len(self._lines) < MOST_LINES:
            self._lines.append(record.getMessage())

    def close(self) -> None:
        """Write what waits; whoever does not read it cannot keep the service from ending."""
        self._ending.set()
        self._thread.join(LAST_SECONDS)
        super().close()

    def _run(self) -> None:
        while not self._ending.wait(WRITE_SECONDS):
            self._write()
        self._write()

    def _write(self) -> None:
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        if lines:
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write("\n".join((*lines, "")))
                sys.stderr.flush()


@contextlib.contextmanager
def logged_to_stderr(level: int = logging.INFO) -> Iterator[None]:
    """Write the lines to standard error as they are, in a thread of their own, until the block ends."""
    lines = _Lines()
    LOGGER.handlers[:] = [lines]
    LOGGER.setLevel(level)
    LOGGER.propagate = False
    try:
        yield
    finally:
        LOGGER.handlers.clear()
        LOGGER.propagate = True
        lines.close()


def _names(found: object) -> Iterable[str]:
    return map(str, found) if isinstance(found, list) else ()


_written = json.JSONEncoder(ensure_ascii=True, default=str).encode
