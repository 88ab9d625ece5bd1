"""What can be watched: metrics for Prometheus, and one line of JSON a request. Contents of requests are in neither."""

import contextlib
import json
import logging
import queue
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from logging.handlers import QueueHandler, QueueListener
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

LAST_SECONDS = 2.0

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
        model = str(facts.get("model") or "")
        self._requests.labels(route, model, str(status)).inc()
        self._seconds.labels(route, model).observe(seconds)
        if (rows := facts.get("rows")) is not None:
            self._rows.labels(model).observe(rows)
            self._decisions.labels(model, "anomaly").inc(facts["alarms"])
            self._decisions.labels(model, "normal").inc(rows - facts["alarms"])
        level = logging.ERROR if status == 500 else logging.INFO
        self.say("request", {"route": route, "status": status, "ms": round(1e3 * seconds, 3), **facts}, level)

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
            line = {
                "time": round(time.time(), 3),
                "level": logging.getLevelName(level).lower(),
                "event": event,
                **facts,
            }
            LOGGER.log(level, "%s", json.dumps(line, ensure_ascii=True, default=str))

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


class _Dropping(QueueHandler):
    """Hands lines to a thread that writes them; a line more than fit is dropped, so that no request waits for a log."""

    def enqueue(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(queue.Full):
            self.queue.put_nowait(record)


class _Writing(QueueListener):
    """Writes the lines that wait; whoever does not read them cannot keep the service from ending."""

    def stop(self) -> None:
        with contextlib.suppress(queue.Full):
            self.queue.put(self._sentinel, timeout=LAST_SECONDS)  # type: ignore[attr-defined]
        if self._thread is not None:
            self._thread.join(LAST_SECONDS)


@contextlib.contextmanager
def logged_to_stderr(level: int = logging.INFO) -> Iterator[None]:
    """Write the lines to standard error as they are, in a thread of their own, until the block ends."""
    writing = logging.StreamHandler()
    writing.setFormatter(logging.Formatter("%(message)s"))
    lines: queue.Queue[logging.LogRecord] = queue.Queue(MOST_LINES)
    listener = _Writing(lines, writing)
    listener.start()
    LOGGER.handlers[:] = [_Dropping(lines)]
    LOGGER.setLevel(level)
    LOGGER.propagate = False
    try:
        yield
    finally:
        listener.stop()
        LOGGER.handlers.clear()
        LOGGER.propagate = True


def _names(found: object) -> Iterable[str]:
    return map(str, found) if isinstance(found, list) else ()
