"""A tracking server on PostgreSQL with artefacts behind it: what is recorded, many writers, a store that moves."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import nbformat
import plotly.graph_objects as go
import polars as pl
import pytest
from nbformat import v4

from tests.unit import small_data
from tests.unit import test_tracking_champions as titles
from tests.unit.test_tracking_move import digests, record
from utils import tracking
from utils.errors import TrackingError
from utils.leaderboard import reading
from utils.tracking import __main__ as command
from utils.tracking import champions, move, registry, turns

PATIENCE = 180


@pytest.fixture(scope="module")
def server(postgres, tmp_path_factory):
    """A running server: its address, database and folder of artefacts."""
    database, folder = postgres("tracking"), tmp_path_factory.mktemp("server")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    places = ["--backend-store-uri", database, "--artifacts-destination", str(folder / "artifacts")]
    command_ = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1", *places]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ANOMALY", "MLFLOW"))}
    environment |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "log").open("wb") as log:
        started = subprocess.Popen(
            command_, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            _wait(started, address, folder / "log")
            yield SimpleNamespace(address=address, database=database, artifacts=folder / "artifacts")
        finally:
            os.killpg(started.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                started.wait(15)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)


def _wait(process, address, log):
    last = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < last:
        with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(f"{address}/health"):
            return
        time.sleep(0.2)
    pytest.fail(f"the server did not start: {log.read_text()[-2000:]}")


@pytest.fixture
def on_server(server, lab, monkeypatch):
    """A laboratory that records on the server."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address)
    return server


def test_a_notebook_records_everything_through_the_server(on_server, lab, monkeypatch):
    monkeypatch.setenv("ANOMALY_SESSION", "s1")
    data = small_data.table()
    with tracking.start("remote", "tuning", notebook="07_tuning", stage="tuning", dataset=data) as run:
        run.log_curves({"loss": [3.0, 2.0, 1.0]})
        figure = run.log_figure(go.Figure(go.Bar(x=["normal"], y=[97])), "balance")
        run.log_table(pl.DataFrame({"column": ["size"], "nulls": [3]}), "columns")
        run.log_results({"f1": 0.9})
        with run.child("trial", params={"depth": 3}) as child:
            child.log_metrics({"f1": 0.8})
    page = nbformat.writes(v4.new_notebook(cells=[v4.new_markdown_cell("# Tuning")]))
    tracking.log_notebook("07_tuning", session="s1", executed=page, page="<html></html>", params={}, seconds=1.0)

    client = tracking.open_store()
    assert tracking.results("07_tuning", data.name) == {"f1": 0.9}
    (top,) = [one for one in tracking.runs_of_session("s1") if one.experiment == "remote"]
    assert top.id == run.id
    assert "notebook.run" in top.tags
    assert client.get_run(child.id).data.tags["mlflow.parentRunId"] == run.id
    assert [one.value for one in client.get_metric_history(run.id, "loss")] == [3.0, 2.0, 1.0]
    files = on_server.artifacts / "remote" / run.id / "artifacts"
    assert {figure, "tables/columns.json", "results.json"} <= digests(files).keys()
    shown = reading.read()
    found = shown.runs.row(by_predicate=pl.col("run") == run.id, named=True)
    assert shown.table(found, "columns") == [{"column": "size", "nulls": 3}]
    assert not lab.store_file.exists()


def test_challengers_that_come_at_once_decide_one_after_another(on_server, monkeypatch):
    together, register = threading.Barrier(3), champions.register

    def at_once(*given, **options):
        together.wait(120)
        return register(*given, **options)

    monkeypatch.setattr(champions, "register", at_once)
    monkeypatch.setattr(turns, "PAUSE", 0.05)
    with ThreadPoolExecutor(3) as pool:
        verdicts = list(pool.map(titles.challenge, [titles.POOR, titles.GOOD, titles.BLIND]))
    verdicts.sort(key=lambda one: one.version)
    assert [one.version for one in verdicts] == [1, 2, 3]
    assert sum(one.comparison is None for one in verdicts) == 1
    holder = None
    for verdict in verdicts:
        holder = verdict.version if verdict.champion else holder
        assert verdict.holder == holder
    assert champions.current("tiny") == registry.holders()["tiny"] == holder
    assert (tracking.load_model("tiny").predict(titles.TEST) == titles.GOOD.predict(titles.TEST)).all()
    versions = tracking.open_store().search_model_versions("name = 'tiny'")
    assert not [one for one in versions if turns.TAG in one.tags]


def test_the_interface_of_a_server_is_its_own(on_server, capsys):
    assert command.main(["ui"]) == 0
    assert capsys.readouterr().out == f"The store is a server: open {on_server.address}\n"


def test_a_store_moves_to_the_server_with_everything_that_was_said_of_it(server, lab, empty_store, monkeypatch):
    moved_from = record(lab.root, empty_store)
    source = reading.of_file(lab.store_file)
    model = registry.load(registry.version_of("tiny", 2)).model
    mine = server.database, server.address
    before = digests(server.artifacts)
    would, done, again = move.move(*mine, dry_run=True), move.move(*mine), move.move(*mine)
    assert (would.rows, would.files) == (done.rows, done.files)
    assert (again.rows, again.files) == (0, 0)
    assert done.runs == 4
    assert len(digests(server.artifacts)) == len(before) + done.files

    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address)
    served, ours = reading.read(), pl.col("run").is_in(source.runs["run"].implode())
    order = "run", "metric"
    assert served.metrics.filter(ours).sort(order).equals(source.metrics.sort(order))
    assert served.runs.filter(ours)["run"].to_list() == source.runs["run"].to_list()
    assert tracking.open_store().get_run(moved_from.child.id).data.tags["mlflow.parentRunId"] == moved_from.run.id
    versions = tracking.open_store().search_model_versions("name = 'tiny'")
    loaded = registry.load(registry.version_of("tiny", max(int(one.version) for one in versions))).model
    assert (loaded.predict(titles.TEST) == model.predict(titles.TEST)).all()
    with tracking.start("made after the move", "first", notebook="01_first", stage="x") as run:
        run.log_results({"n": 1})
    assert tracking.results("01_first") == {"n": 1.0}


def test_a_server_that_looks_at_another_database_is_refused(server, postgres, lab, empty_store):
    shutil.copy(empty_store, lab.store_file)
    other = postgres("other")
    with pytest.raises(TrackingError, match="holds no MLflow store"):
        move.move(other, server.address)
    copied = lab.root / "copied.db"
    shutil.copy(empty_store, copied)
    with pytest.raises(TrackingError, match="does not look at"):
        move.move(f"sqlite:///{copied}", server.address)
