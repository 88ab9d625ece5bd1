"""Under load: a moved alias, a broken version, a killed service and a graceful end; no wrong answer, none lost."""

import itertools
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.service.conftest import copy_of_store, variables
from tests.waiting import eventually
from utils.serving import client

NAME = "traffic"


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    """A copy of the store whose alias is moved."""
    return copy_of_store(tmp_path_factory.mktemp("moved") / "lab")


@pytest.fixture(scope="module")
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def watched(moved, port):
    """A service of one model that looks at the alias often."""
    arguments = ["--watch-seconds", "0.1"]
    with client.running([NAME], port=port, arguments=arguments, environment=variables(moved)) as running:
        yield running


@pytest.fixture(scope="module")
def body(watched):
    operation = watched.get("/openapi.json").value["paths"][f"/{NAME}/predict"]["post"]
    return operation["requestBody"]["content"]["application/json"]["examples"]["rows"]["value"]


def changed(folder, *statements):
    """Change the registry as MLflow does, in one transaction."""
    with sqlite3.connect(folder / "mlflow.db", timeout=20) as database:
        for statement, values in statements:
            assert database.execute(statement, values).rowcount == 1


def add_version(folder, number, location=None):
    """Register another version: the files of the first, or others."""
    columns = "creation_time, last_updated_time, description, user_id, current_stage, source, run_id, status, workspace"
    changed(
        folder,
        (
            f"INSERT INTO model_versions (name, version, storage_location, {columns}) "
            f"SELECT name, ?, COALESCE(?, storage_location), {columns} FROM model_versions "
            "WHERE name = ? AND version = 1",
            (number, location, NAME),
        ),
    )


def move_alias(folder, number):
    changed(folder, ("UPDATE registered_model_aliases SET version = ? WHERE name = ?", (number, NAME)))


class Load:
    """Clients that ask all the time, until the block ends."""

    def __init__(self, address, body, clients=3):
        self.address, self.body, self.clients = address, body, clients
        self.seen = [[] for _ in range(clients)]
        self.over = threading.Event()

    def __enter__(self):
        self.pool = ThreadPoolExecutor(self.clients)
        self.tasks = [self.pool.submit(self._ask, seen) for seen in self.seen]
        return self

    def __exit__(self, *error):
        self.over.set()
        self.pool.shutdown()
        if error == (None, None, None):
            for task in self.tasks:
                task.result()

    def _ask(self, seen):
        asking = client.Client(self.address)
        while not self.over.is_set():
            try:
                reply = asking.predict(NAME, self.body)
            except OSError:
                seen.append("nobody")
                time.sleep(0.02)
                continue
            version = reply.value.get("version") if reply.status == 200 else reply.value["error"]["code"]
            seen.append((reply.status, version, reply.value.get("decisions", [{}])[0].get("score")))

    def wait_for(self, happened):
        """Wait until something was seen by every client."""
        eventually(lambda: all(any(map(happened, list(seen))) for seen in self.seen))


def has_version(number):
    return lambda one: one[:2] == (200, number)


def test_a_moved_alias_changes_the_version_once_and_fails_no_request(watched, moved, body):
    add_version(moved, 2)
    with Load(watched.address, body) as load:
        load.wait_for(has_version(1))
        move_alias(moved, 2)
        load.wait_for(has_version(2))
        time.sleep(0.3)
    for seen in load.seen:
        assert {status for status, *_ in seen} == {200}
        assert [version for version, _ in itertools.groupby(version for _, version, _ in seen)] == [1, 2]
        assert len({score for *_, score in seen}) == 1


def test_a_broken_version_is_told_and_the_old_one_stays(watched, moved, body):
    folder = moved / "mlartifacts" / NAME / "models" / "m-torn" / "artifacts"
    folder.mkdir(parents=True)
    (folder / "model.skops").write_bytes(b"torn")
    add_version(moved, 3, f"mlflow-artifacts:/{NAME}/models/m-torn/artifacts")
    with Load(watched.address, body) as load:
        load.wait_for(has_version(2))
        move_alias(moved, 3)
        # The line is written behind all else that is told, and by a thread that no answer waits for.
        failed = eventually(lambda: [line for line in watched.said if line["event"] == "load failed"])
    told = watched.get("/health").value["models"][NAME]
    assert (told["state"], told["version"]) == ("ready", 2)
    assert "version 3 cannot be used" in told["why"]
    assert {one[:2] for seen in load.seen for one in seen} == {(200, 2)}
    assert f'anomaly_loads_total{{model="{NAME}",outcome="failed"}} 1.0' in watched.get("/metrics").value
    assert [(line["level"], line["version"], line["before"]) for line in failed] == [("warning", 3, 2)]


def test_a_title_that_is_taken_away_and_given_back(watched, moved, body):
    def answered(status):
        def reply():
            reply = watched.predict(NAME, body)
            return reply if reply.status == status else None

        return eventually(reply)

    changed(moved, ("UPDATE registered_model_aliases SET alias = 'former' WHERE name = ?", (NAME,)))
    refused = answered(503).value["error"]
    assert (refused["code"], refused["field"]) == ("no_champion", "model")
    alias = "UPDATE registered_model_aliases SET alias = 'champion', version = 2 WHERE name = ?"
    changed(moved, (alias, (NAME,)))
    assert answered(200).value["version"] == 2


def test_killed_and_started_again_under_load_then_ended_in_good_order(watched, moved, port, body):
    with Load(watched.address, body) as load:
        load.wait_for(has_version(2))
        os.killpg(watched.process.pid, signal.SIGKILL)
        load.wait_for(lambda one: one == "nobody")
        with client.running([NAME], port=port, environment=variables(moved), ready=False) as again:
            seen = [len(one) for one in load.seen]
            later = list(zip(load.seen, seen, strict=True))
            eventually(lambda: all(any(map(has_version(2), one[start:])) for one, start in later), seconds=40)
            load.over.set()
            ended_in_good_order(again, body)
    statuses = Counter(one if one == "nobody" else one[0] for seen in load.seen for one in seen)
    assert set(statuses) == {"nobody", 200}
    assert len({one[2] for seen in load.seen for one in seen if one != "nobody"}) == 1


def ended_in_good_order(service, body):
    """Told to end while it decides: that answer still comes, nobody else is let in, and the exit code is 0."""
    rows = {"rows": body["rows"] * 3_000}
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(service.predict, NAME, rows, "all")
        eventually(lambda: "anomaly_requests_running 2.0" in service.get("/metrics").value or running.done())
        assert not running.done(), "the answer came before the service could be told to end"
        service.close()
        service.process.terminate()
        reply = running.result()
    assert reply.status == 200
    assert len(reply.value["decisions"]) == len(rows["rows"])
    assert service.process.wait(20) == 0
    with pytest.raises(OSError):  # noqa: PT011 - whatever a closed port raises
        client.Client(service.address).get("/health")
    assert "Stopped." in service.log.read_text()


def test_a_busy_port_is_told_in_one_sentence(moved):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "utils.serving", "--port", str(port)]
        ended = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, **variables(moved)}, check=False
        )
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"127.0.0.1:{port} cannot be listened on")
    assert "Traceback" not in ended.stderr
