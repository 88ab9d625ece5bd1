"""The service as a process with a client beside it: for notebooks and tests, which ask it as anybody would.

```python
with client.running(["waf"]) as service:
    answered = client.replay(service, "waf", events, form="events")
```
"""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

import numpy as np
import polars as pl

from utils.datasets import require
from utils.errors import DataError, LabError
from utils.serving.answers import JSON
from utils.serving.options import KEY_VARIABLE

Form = Literal["rows", "events", "feature", "call_graphs", "lines", "sessions"]
FORMS: tuple[Form, ...] = ("rows", "events", "feature", "call_graphs", "lines", "sessions")
START_SECONDS, STOP_SECONDS = 120.0, 45.0
LOOK_SECONDS = 0.05
ANNOUNCED = "Serving at "
DEEP = 1_000_000
ROUNDING = 1e-9
MILLISECONDS = 1e3
QUANTILES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
BROKEN = (http.client.HTTPException, OSError)
"""What a connection raises that the service does not answer."""

CLOSED = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)
"""What a connection raises that the service has closed."""


class Reply(NamedTuple):
    """One answer.

    Attributes:
        status: of HTTP.
        value: the parsed body; its text where it is no JSON.
        headers: by lower-case name.
        seconds: until it was there.
    """

    status: int
    value: Any
    headers: Mapping[str, str]
    seconds: float


@dataclass
class Client:
    """Asks one service; each thread keeps a connection of its own.

    Attributes:
        address: such as ``http://127.0.0.1:8000``.
        key: that is presented.
        timeout: longest time to wait, in seconds.
    """

    address: str
    key: str = field(default="", repr=False)
    timeout: float = 60.0
    _local: threading.local = field(default_factory=threading.local, repr=False)

    def get(self, path: str) -> Reply:
        """Ask for something.

        Raises:
            OSError: if nobody answers.
        """
        return self.send("GET", path)

    def predict(self, model: str, body: object, explain: str = "none") -> Reply:
        """Ask for decisions.

        Args:
            model: registered name.
            body: what JSON can say, or bytes that are sent as they are.
            explain: which rows get reasons: ``none``, ``alarms`` or ``all``.

        Raises:
            OSError: if nobody answers.
        """
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.send("POST", f"/{model}/predict?explain={explain}", raw, {"content-type": JSON})

    def send(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one request; an iterable of bytes is sent in chunks, without a length.

        Raises:
            OSError: if nobody answers.
        """
        said = {**({"x-api-key": self.key} if self.key else {}), **(headers or {})}
        start = time.perf_counter()
        try:
            answer, text = self._asked(method, path, body, said)
        except BROKEN as error:
            self.close()
            raise error if isinstance(error, OSError) else ConnectionError(str(error)) from error
        seconds = time.perf_counter() - start
        named = {name.lower(): value for name, value in answer.getheaders()}
        value = json.loads(text) if named.get("content-type", "").startswith(JSON) else text.decode(errors="replace")
        return Reply(answer.status, value, named, seconds)

    def close(self) -> None:
        """Close the connection of this thread."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
        self._local.connection = None

    def _asked(
        self, method: str, path: str, body: bytes | Iterable[bytes] | None, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """Ask, and once more where a connection that was left open has been closed meanwhile."""
        left_open = getattr(self._local, "connection", None) is not None
        try:
            return self._exchanged(method, path, body, headers)
        except CLOSED:
            self.close()
            if not left_open or not (body is None or isinstance(body, bytes)):
                raise
            return self._exchanged(method, path, body, headers)

    def _exchanged(
        self, method: str, path: str, body: bytes | Iterable[bytes] | None, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection = self._connection()
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        return answer, answer.read()

    def _connection(self) -> http.client.HTTPConnection:
        found: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if found is None:
            host = urlsplit(self.address)
            found = http.client.HTTPConnection(host.hostname or "", host.port, timeout=self.timeout)
            self._local.connection = found
        return found


@dataclass
class Running(Client):
    """A client of a service that was started for it.

    Attributes:
        process: of the service.
        log: file with what it says.
    """

    process: Any = field(default=None, repr=False)
    log: Path = field(default=Path(), repr=False)

    @property
    def said(self) -> list[dict[str, Any]]:
        """Lines of its log that are JSON."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


@contextlib.contextmanager
def running(
    models: Sequence[str] = (),
    *,
    port: int = 0,
    key: str = "",
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    ready: bool = True,
) -> Iterator[Running]:
    """Run the real service as a process; it and all its children end with the block.

    Args:
        models: registered names, loaded in this order; all champions if empty.
        port: to listen on; a free one if 0.
        key: that clients must present; none if empty.
        arguments: further arguments of ``python -m utils.serving``.
        environment: variables that differ from those of this process.
        ready: wait until all models are loaded, else only until it listens.

    Yields:
        A client of it.

    Raises:
        LabError: if it does not start.
    """
    chosen = ["--models", *models] if models else []
    command = [sys.executable, "-m", "utils.serving", "--port", str(port), *chosen, *arguments]
    variables = {**os.environ, **({KEY_VARIABLE: key} if key else {}), **(environment or {})}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "service.log"
        with log.open("wb") as written:
            process = subprocess.Popen(
                command, stdout=written, stderr=subprocess.STDOUT, env=variables, start_new_session=True
            )
        try:
            client = Running(_address(process, log), key, process=process, log=log)
            if ready:
                _wait(lambda: bool(client.get("/health").value["ready"]), process, log)
            yield client
            client.close()
        finally:
            _stop(process)


def replay(
    client: Client,
    model: str,
    records: Sequence[Any],
    *,
    form: Form = "rows",
    batch: int = 1_000,
    concurrency: int = 1,
    explain: str = "none",
) -> pl.DataFrame:
    """Send records in batches, as the client of the earlier service did, and gather the answers.

    Args:
        client: of a service.
        model: registered name.
        records: rows, events (objects that are sent as texts), flows of 77 numbers, call graphs, lines or sessions.
        form: how they are sent; ``feature`` sends one flow at a time, ``lines`` all lines in one request.
        batch: records of one request.
        concurrency: requests at the same time.
        explain: which rows get reasons.

    Returns:
        One row a decision, in the order of the records: ``decision``, ``score``, ``p_value``, ``version`` and what else
        the service says of each.

    Raises:
        DataError: if a request is refused; its answer is told.
        SettingsError: if there is no such form.
        OSError: if nobody answers.
    """
    require.choice("form", form, FORMS)
    step = {"feature": 1, "lines": max(len(records), 1)}.get(form, batch)
    parts = [records[start : start + step] for start in range(0, len(records), step)]

    def ask(part: Sequence[Any]) -> list[dict[str, Any]]:
        return _rows(client.predict(model, body_of(part, form), explain))

    with ThreadPoolExecutor(concurrency) as pool:
        answers = [row for rows in pool.map(ask, parts) for row in rows]
    return pl.DataFrame(answers, infer_schema_length=None)


def body_of(records: Sequence[Any], form: Form) -> object:
    """Write records as the body of a request (forms as in :func:`replay`)."""
    if form == "events":
        return [{"data": json.dumps(record, default=str)} for record in records]
    if form == "feature":
        return {"feature": list(records[0])}
    return {form: list(records)}


def disagreements(answered: pl.DataFrame, decided: pl.DataFrame, tolerance: float = ROUNDING) -> pl.DataFrame:
    """Rows on which the service says another thing than the model in the notebook.

    Args:
        answered: as :func:`replay` gives it, n rows.
        decided: as ``decide`` of the model gives it, n rows: ``decision`` and ``score``.
        tolerance: largest difference of scores that rounding explains, as rows are scored in other batches.

    Returns:
        One row a disagreement: ``row``, both decisions and both scores; none where both agree on all rows.

    Raises:
        DataError: if the tables are not of the same length.
    """
    if answered.height != decided.height:
        found = f"{answered.height:,} and {decided.height:,}"
        raise DataError(f"answers and decisions must be as many, found {found}: ask for the same rows")
    both = pl.DataFrame(
        {
            "service": answered["decision"],
            "notebook": decided["decision"],
            "service_score": answered["score"].cast(pl.Float64),
            "notebook_score": decided["score"].cast(pl.Float64),
        }
    ).with_row_index("row")
    first, second = pl.col("service_score"), pl.col("notebook_score")
    alike = first.eq_missing(second) | ((first - second).abs() <= tolerance).fill_null(False)
    return both.filter(pl.col("service").ne_missing(pl.col("notebook")) | ~alike)


def latency(
    client: Client,
    model: str,
    records: Sequence[Any],
    *,
    form: Form = "rows",
    concurrency: Sequence[int] = (1, 8, 32),
    requests: int = 500,
    warm: int = 20,
) -> pl.DataFrame:
    """Measure the time of requests for one record each.

    Args:
        client: of a service.
        model: registered name.
        records: sent in turn, one a request.
        form: how they are sent.
        concurrency: clients at the same time, one measurement each.
        requests: of each measurement.
        warm: requests before that are not measured.

    Returns:
        One row a measurement: ``clients``, ``requests``, ``p50_ms``, ``p95_ms``, ``p99_ms``, ``per_second`` and
        ``failed`` (answers other than 200).

    Raises:
        OSError: if nobody answers.
    """
    bodies = [json.dumps(body_of([record], form)).encode() for record in records]
    for at in range(warm):
        client.predict(model, bodies[at % len(bodies)])
    return pl.DataFrame([_measured(client, model, bodies, clients, requests) for clients in concurrency])


def error_answers(client: Client, model: str | None = None) -> pl.DataFrame:
    """Send requests that are wrong, and tell what is answered.

    Args:
        client: of a service.
        model: that is asked; the first that is served if not given.

    Returns:
        One row a request: what is ``sent``, ``status``, ``code``, ``field`` and ``message``.

    Raises:
        OSError: if nobody answers.
    """
    name = model or client.get("/models").value["models"][0]["name"]
    path, given = f"/{name}/predict", {"content-type": JSON}
    example = next(iter(_examples(client, name).values()))
    sound = json.dumps(example).encode()
    wrong: dict[str, Callable[[], Reply]] = {
        "nothing": lambda: client.send("POST", path, b"", given),
        "no JSON": lambda: client.send("POST", path, b"{rows: 1}", given),
        "an empty object": lambda: client.send("POST", path, b"{}", given),
        "an empty list of rows": lambda: client.send("POST", path, json.dumps(_emptied(example)).encode(), given),
        "a number in place of rows": lambda: client.send("POST", path, json.dumps(_numbered(example)).encode(), given),
        "a million brackets": lambda: client.send("POST", path, b"[" * DEEP, given),
        "UTF-16": lambda: client.send("POST", path, sound.decode().encode("utf-16"), given),
        "text/plain": lambda: client.send("POST", path, sound, {"content-type": "text/plain"}),
        "a compressed body": lambda: client.send("POST", path, sound, {**given, "content-encoding": "gzip"}),
        "9 MB": lambda: client.send("POST", path, b" " * 9_000_000, given),
        "an unknown choice of reasons": lambda: client.send("POST", f"{path}?explain=some", sound, given),
        "an unknown model": lambda: client.send("POST", "/nobody/predict", sound, given),
        "an unknown path": lambda: client.get("/nowhere"),
        "GET in place of POST": lambda: client.get(path),
    }
    return pl.DataFrame([_told(sent, ask()) for sent, ask in {**_wrong_rows(client, path, example), **wrong}.items()])


def _wrong_rows(client: Client, path: str, example: Any) -> dict[str, Callable[[], Reply]]:  # noqa: ANN401 - JSON
    """Requests with one row that is wrong; none where rows are not objects."""
    rows = example.get("rows") if isinstance(example, dict) else None
    if not rows:
        return {}
    row, column = rows[0], next(iter(rows[0]))

    def with_value(text: str) -> Callable[[], Reply]:
        marked = json.dumps({"rows": [{**row, column: "@"}]}).replace('"@"', text, 1).encode()
        return lambda: client.send("POST", path, marked, {"content-type": JSON})

    without = json.dumps({"rows": [{name: value for name, value in row.items() if name != column}]}).encode()
    return {
        f"no {column}": lambda: client.send("POST", path, without, {"content-type": JSON}),
        f"{column}: NaN": with_value("NaN"),
        f"{column}: 1e999": with_value("1e999"),
        f"{column}: a list": with_value("[1]"),
        f"{column}: true": with_value("true"),
        f"{column} twice": with_value(f'1, "{column}": 2'),
    }


def _examples(client: Client, model: str) -> dict[str, Any]:
    """Examples of the bodies of a model, by form."""
    operation = client.get("/openapi.json").value["paths"][f"/{model}/predict"]["post"]
    return {key: one["value"] for key, one in operation["requestBody"]["content"][JSON]["examples"].items()}


def _emptied(example: Any) -> Any:  # noqa: ANN401 - JSON
    return {key: [] for key in example} if isinstance(example, dict) else []


def _numbered(example: Any) -> Any:  # noqa: ANN401 - JSON
    return dict.fromkeys(example, 1) if isinstance(example, dict) else 1


def _told(sent: str, reply: Reply) -> dict[str, object]:
    error = reply.value["error"] if isinstance(reply.value, dict) and "error" in reply.value else {}
    return {"sent": sent, "status": reply.status, **{name: error.get(name) for name in ("code", "field", "message")}}


def _rows(reply: Reply) -> list[dict[str, Any]]:
    """Decisions of an answer, each with the version.

    Raises:
        DataError: if it is a refusal.
    """
    if reply.status != 200:
        said = reply.value["error"]["message"] if isinstance(reply.value, dict) else str(reply.value)[:200]
        raise DataError(f"the service must answer 200, found {reply.status} ({said}): correct the request")
    if isinstance(reply.value, list):
        return reply.value
    if "decisions" not in reply.value:
        return [reply.value]
    return [{**row, "version": reply.value["version"]} for row in reply.value["decisions"]]


def _measured(client: Client, model: str, bodies: list[bytes], clients: int, requests: int) -> dict[str, object]:
    """One measurement."""

    def ask(at: int) -> Reply:
        return client.predict(model, bodies[at % len(bodies)])

    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        replies = list(pool.map(ask, range(requests)))
    seconds = time.perf_counter() - start
    times = np.array([reply.seconds for reply in replies]) * MILLISECONDS
    places = {name: round(float(np.quantile(times, place)), 3) for name, place in QUANTILES.items()}
    failed = sum(reply.status != 200 for reply in replies)
    return {
        "clients": clients,
        "requests": requests,
        **places,
        "per_second": round(requests / seconds, 1),
        "failed": failed,
    }


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    """Address that a service announces.

    Raises:
        LabError: if it ends before, or says nothing in time.
    """
    found: list[str] = []

    def announced() -> bool:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        found.extend(
            line[len(ANNOUNCED) :].strip() for line in lines if line.startswith(ANNOUNCED) and line.endswith("\n")
        )
        return bool(found)

    _wait(announced, process, log)
    return found[0]


def _wait(happened: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until something has happened.

    Raises:
        LabError: if the service ends before, or it does not happen in time.
    """
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if happened():
                return
        time.sleep(LOOK_SECONDS)
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    raise LabError(f"the service did not start ({said[-1] if said else 'it said nothing'}): correct what it says")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End a service: asked first, then by force, with all its children."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
    finally:
        if os.name == "posix":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
