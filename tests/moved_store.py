"""A store with one notebook's runs, moved to another folder and opened there with a plain ``mlflow ui``."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from nbformat import v4

from utils import runner, tracking
from utils.tracking.ui import free_port

WITHOUT_OUR_PLUGIN = '''"""Hide this project's entry points from the server: a clone that is not installed has none."""
import importlib.metadata as metadata

_all = metadata.entry_points


def _foreign(**query):
    return metadata.EntryPoints(entry for entry in _all(**query) if not entry.value.startswith("utils."))


metadata.entry_points = _foreign
'''
CELLS = (
    "import plotly.graph_objects as go\nimport polars as pl\nfrom utils import plots, tracking",
    'figure = go.Figure(go.Bar(x=["normal", "anomaly"], y=[97, 3]), layout={"title": {"text": "Balance of the data"}})',
    "plots.use_house_style()\nfigure",
    """with tracking.start("hdfs", "exploration", notebook="01_sample", stage="exploration", seed=SEED) as run:
    run.log_figure(figure, "balance")
    run.log_table(pl.DataFrame({"column": ["size"], "nulls": [3]}), "columns")
    run.log_results({"anomaly_share": 0.03})""",
)


@dataclass(frozen=True)
class MovedStore:
    """Where a moved store is served."""

    folder: Path
    address: str
    run_id: str
    record_id: str
    experiments: dict[str, str]


@pytest.fixture(scope="session")
def moved_store(tmp_path_factory):
    """Record a notebook, move the store away, delete the origin and serve the copy; ends with the session."""
    origin, folder = tmp_path_factory.mktemp("origin"), tmp_path_factory.mktemp("moved") / "elsewhere with ü"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANOMALY_ROOT", str(origin))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        _record(origin)
        runs = {run.info.run_name: run for run in tracking.open_store().search_runs(["1", "2"])}
    folder.mkdir()
    for name in ("mlflow.db", "mlartifacts"):
        shutil.move(origin / name, folder / name)
    shutil.rmtree(origin)
    with _plain_mlflow_ui(folder) as address:
        numbers = {"hdfs": runs["exploration"].info.experiment_id, "notebooks": runs["01_sample"].info.experiment_id}
        yield MovedStore(folder, address, runs["exploration"].info.run_id, runs["01_sample"].info.run_id, numbers)


def _record(root):
    parameters = v4.new_code_cell("SEED = 42", metadata={"tags": ["parameters"]})
    cells = [v4.new_markdown_cell("# Sample notebook"), parameters, *map(v4.new_code_cell, CELLS)]
    (root / "notebooks").mkdir()
    nbformat.write(v4.new_notebook(cells=cells), root / "notebooks" / "01_sample.ipynb")
    (outcome,) = runner.run()
    assert outcome.status == "ok", outcome


@contextlib.contextmanager
def _plain_mlflow_ui(folder):
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    port = free_port(5077 + 100 * worker)  # workers side by side must not find the same one free
    hidden = folder.parent / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(WITHOUT_OUR_PLUGIN)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ANOMALY", "MLFLOW"))}
    environment |= {"PYTHONPATH": str(hidden), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    command = [sys.executable, "-m", "mlflow", "ui", "--port", str(port), "--workers", "1"]
    with (folder.parent / "server.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            yield _wait(server, f"http://127.0.0.1:{port}", folder.parent / "server.log")
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(15)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)


def _wait(server, address, log):
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(f"{address}/health").read()
            return address
        time.sleep(0.5)
    pytest.fail(f"mlflow ui did not start: {log.read_text()[-2000:]}")
