"""The MLflow UI on the laboratory's store, from any folder, on this machine only."""

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from utils.artifact_store import FOLDER, SQLITE
from utils.console import ended_like_ctrl_c, say
from utils.errors import TrackingError
from utils.tracking.store import ENVIRONMENT, check_file, store_file, store_uri

HOST = "127.0.0.1"
PORT = 5000
PORTS_TRIED = 20
START_SECONDS = 180.0
ANSWER_SECONDS = 5.0
STOP_SECONDS = 10.0
REFUSED_BY_BROWSERS = frozenset({5060, 5061, 6000, 6566, *range(6665, 6670), 6679, 6697, 10080})
RUN_TABLE = "?workflowType=machine_learning"

_RUN_COUNTS = """
    SELECT e.experiment_id, e.name, COUNT(r.run_uuid) FROM experiments e JOIN runs r USING (experiment_id)
    WHERE e.lifecycle_stage = 'active' AND r.lifecycle_stage = 'active' GROUP BY 1, 2 ORDER BY e.experiment_id
"""


def serve(port: int = PORT) -> int:
    """Show the store until Ctrl-C.

    Args:
        port: first port to try; the next free one is taken where it is busy.

    Returns:
        The exit code: 0 after Ctrl-C, or at once where the store is a server that has its own page.

    Raises:
        TrackingError: if there is no store, no free port, or the server does not start.
    """
    uri = store_uri()
    file = store_file(uri)
    if file is None:
        say(f"The store is a server: open {uri}")
        return 0
    if not file.exists():
        raise TrackingError(f"there is no MLflow store at {file}: make one by running the notebooks (make run)")
    check_file(file)
    address = f"http://{HOST}:{free_port(port)}"
    say(f"Starting the MLflow UI of {file} (up to a minute) ...")
    with ended_like_ctrl_c(), contextlib.suppress(KeyboardInterrupt), server(file, address) as process:
        for line in guide(file, address):
            say(line)
        process.wait()
        raise TrackingError("the MLflow UI has stopped by itself: start it again")
    say("Stopped.")
    return 0


def guide(file: Path, address: str) -> list[str]:
    """Say where the runs are, one line an experiment, and how to get there from MLflow's start page.

    Raises:
        TrackingError: if the store cannot be read.
    """
    try:
        with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
            counts = database.execute(_RUN_COUNTS).fetchall()
    except sqlite3.Error as error:
        raise TrackingError(f"the MLflow store {file} cannot be read ({error}): call it again") from error
    width = max((len(name) for _, name, _ in counts), default=0)
    tables = [
        f"  {name:<{width}}  {runs:>4} run(s)  {address}/#/experiments/{number}/runs{RUN_TABLE}"
        for number, name, runs in counts
    ]
    return [
        f"MLflow UI: {address}",
        *(tables or ["  no runs yet: make run records some"]),
        'If it opens in GenAI mode, choose "Model training" at the top left. Ctrl-C stops it.',
    ]


def free_port(first: int) -> int:
    """Return the first free port from ``first`` on that browsers do not refuse.

    Raises:
        TrackingError: if the port cannot exist or the next ones are all busy.
    """
    if not 1 <= first <= 65535:
        raise TrackingError(f"the port must be in 1..65535, found {first}: name another one")
    for port in range(first, min(first + PORTS_TRIED, 65536)):
        if port not in REFUSED_BY_BROWSERS and _is_free(port):
            return port
    raise TrackingError(f"no port from {first} to {first + PORTS_TRIED - 1} is free: name another one with --port")


@contextlib.contextmanager
def server(file: Path, address: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run one MLflow server on a store file; it and all its children end with the block.

    Raises:
        TrackingError: if it does not start.
    """
    port = address.rpartition(":")[2]
    store = ["--backend-store-uri", f"{SQLITE}{file.as_posix()}", "--artifacts-destination", str(file.parent / FOLDER)]
    command = [sys.executable, "-m", "mlflow", "ui", *store, "--host", HOST, "--port", port, "--workers", "1"]
    environment = {**ENVIRONMENT, **os.environ}
    environment.pop("MLFLOW_TRACKING_URI", None)
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=file.parent, start_new_session=True
        )
        try:
            _wait_until_ready(process, address, log)
            yield process
        finally:
            _stop(process)


def _wait_until_ready(process: subprocess.Popen[bytes], address: str, log: IO[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy leads to this very machine
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), direct.open(f"{address}/health", timeout=ANSWER_SECONDS):
            return
        time.sleep(0.3)
    log.seek(0)
    said = log.read().decode(errors="replace").strip().splitlines()
    raise TrackingError(f"the MLflow UI did not start ({said[-1] if said else 'it said nothing'}): try another --port")


def _stop(process: subprocess.Popen[bytes]) -> None:
    _signal(process, signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    finally:
        if os.name == "posix":
            _signal(process, signal.SIGKILL)
        process.kill()
        process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if os.name != "posix":
        process.terminate()
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
