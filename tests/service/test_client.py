"""The client that notebooks and tests ask with."""

import socket
import threading

import polars as pl
import pytest

from tests.service.conftest import variables
from utils.errors import DataError, LabError, SettingsError
from utils.serving import client


def test_latencies_are_told_for_each_number_of_clients(service):
    table = client.latency(
        service, "waf", [{"payload": "a"}, {"payload": "b"}], requests=12, concurrency=(1, 3), warm=1
    )
    assert table["clients"].to_list() == [1, 3]
    assert table["failed"].to_list() == [0, 0]
    assert (table["p50_ms"] <= table["p99_ms"]).all()
    assert (table["per_second"] > 0).all()
    assert client.latency(service, "waf", [{"payload": 5}], requests=3, concurrency=(1,), warm=0)["failed"].item() == 3


def test_a_refused_replay_tells_why(service):
    with pytest.raises(DataError, match=r"found 422 \(rows\[0\]\.payload must be a text"):
        client.replay(service, "waf", [{"payload": 5}])
    with pytest.raises(SettingsError, match="form"):
        client.replay(service, "waf", [], form="letters")


def test_disagreements_are_shown_with_both_scores():
    decided = pl.DataFrame({"decision": [True, False, True], "score": [1.0, 2.0, 3.0]})
    assert client.disagreements(decided, decided).is_empty()
    other = decided.with_columns(decision=pl.Series([True, True, True]), score=pl.Series([1.0, 2.0, 3.5]))
    assert client.disagreements(other, decided)["row"].to_list() == [1, 2]
    assert client.disagreements(other, decided, tolerance=1.0)["row"].to_list() == [1]
    missing = decided.with_columns(score=pl.Series([None, 2.0, float("nan")], dtype=pl.Float64))
    assert client.disagreements(missing, decided)["row"].to_list() == [0, 2]
    with pytest.raises(DataError, match="found 3 and 2"):
        client.disagreements(decided, decided[:2])


def test_a_connection_that_was_left_open_and_closed_meanwhile_is_made_again():
    served = []
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def answer():
            for _ in range(2):
                connection, _ = listening.accept()
                with connection:
                    served.append(connection.recv(65_536))
                    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: text/plain\r\n\r\nok")

        thread = threading.Thread(target=answer)
        thread.start()
        asking = client.Client(f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=10)
        assert [asking.get("/").value, asking.get("/").value] == ["ok", "ok"]
        thread.join()
        asking.close()
    assert len(served) == 2


def test_nobody_there():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(OSError):  # noqa: PT011 - whatever the system calls it
        client.Client(address).get("/health")


def test_a_service_that_cannot_start_says_why(tmp_path):
    options = {"arguments": ["--seconds", "0"], "environment": variables(tmp_path)}
    with pytest.raises(LabError, match="seconds must be above 0"), client.running(["api"], **options):
        raise AssertionError("never reached")
    assert list(tmp_path.iterdir()) == []
