"""A moved store answers every question that the MLflow UI asks, and records new runs over HTTP."""

import json
import os
import sqlite3
import subprocess
import sys
import urllib.parse
import urllib.request

import numpy as np
import polars as pl
import pytest

from utils import tracking
from utils.classifiers import zoo
from utils.classifiers.champion import Champion
from utils.leaderboard import reading
from utils.tracking import champions

DECIDE = """import json, os, sys
import mlflow
from utils import tracking
load, name = mlflow.sklearn.load_model, "models:/flows@champion"
if sys.argv[1] == "laboratory":
    load, name = tracking.load_model, "flows"
model = load(name)
rows = json.loads(os.environ["ROWS"])
print(json.dumps(model.decide(rows).to_dicts()))
"""


@pytest.fixture
def ask(moved_store):
    """A function that sends one request to the server of the moved store."""

    def _ask(path, /, body=None, **query):
        address = f"{moved_store.address}/{path}?{urllib.parse.urlencode(query)}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return answer.read().decode()

    return _ask


def test_the_run_table_is_complete(ask, moved_store):
    found = json.loads(ask("api/2.0/mlflow/runs/search", {"experiment_ids": list(moved_store.experiments.values())}))
    statuses = {run["info"]["run_name"]: run["info"]["status"] for run in found["runs"]}
    assert statuses["exploration"] == "FINISHED"
    assert statuses["01_sample"] == "FINISHED"


def test_figures_tables_and_results_open(ask, moved_store):
    listed = {}
    for folder in ("", "figures", "tables"):
        answer = json.loads(ask("api/2.0/mlflow/artifacts/list", run_id=moved_store.run_id, path=folder))
        listed |= {entry["path"]: entry for entry in answer["files"]}
    figure = next(path for path in listed if path.startswith("figures/balance."))

    assert {"results.json", "tables/columns.json", figure} < set(listed)
    assert "Balance of the data" in ask("get-artifact", run_uuid=moved_store.run_id, path=figure)
    assert json.loads(ask("get-artifact", run_uuid=moved_store.run_id, path="results.json")) == {"anomaly_share": 0.03}


def test_the_executed_notebook_opens(ask, moved_store):
    notebook = json.loads(ask("get-artifact", run_uuid=moved_store.record_id, path="01_sample.ipynb"))
    counts = [cell["execution_count"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert counts == [1, 2, 3, 4, 5]
    assert "Sample notebook" in ask("get-artifact", run_uuid=moved_store.record_id, path="01_sample.html")


def test_no_file_of_the_store_names_a_place_of_its_origin(moved_store):
    with sqlite3.connect(f"{(moved_store.folder / 'mlflow.db').as_uri()}?mode=ro", uri=True) as database:
        locations = [row[0] for row in database.execute("SELECT artifact_location FROM experiments")]
        locations += [row[0] for row in database.execute("SELECT artifact_uri FROM runs")]
        tags = [row[0] for row in database.execute("SELECT value FROM tags")]
    assert all(location.startswith("mlflow-artifacts:/") for location in locations)
    assert not [tag for tag in tags if "origin" in tag or "site-packages" in tag]


def test_runs_are_recorded_over_http_too(moved_store, lab, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", moved_store.address)
    with tracking.start("api", "remote", notebook="01_remote", stage="test") as run:
        run.log_text("over http", "note.txt")
        run.log_results({"n": 2})

    assert tracking.results("01_remote") == {"n": 2.0}
    stored = moved_store.folder / f"mlartifacts/api/{run.id}/artifacts/note.txt"
    assert stored.read_text() == "over http"
    assert not lab.store_file.exists()


def test_the_leaderboard_reads_a_server_as_it_reads_its_file(moved_store, lab, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", moved_store.address)
    served, filed = reading.read(), reading.of_file(moved_store.folder / "mlflow.db")
    assert served.runs.equals(filed.runs)
    assert served.metrics.sort("run", "metric").equals(filed.metrics.sort("run", "metric"))
    run = served.runs.row(by_predicate=pl.col("run") == moved_store.run_id, named=True)
    assert served.table(run, "columns") == filed.table(run, "columns") == [{"column": "size", "nulls": 3}]
    assert served.table(run, "none") == []


def test_a_champion_decides_on_raw_rows_in_a_fresh_process_after_the_move(store, tmp_path):
    rng = np.random.default_rng(0)
    y = rng.random(300) < 0.4
    rows = pl.DataFrame({"bytes": rng.lognormal(5 + 2 * y, 1), "state": rng.choice(["SF", "S0", "REJ"], 300)})
    model = Champion(zoo.pipeline("lightgbm", n_estimators=20), folds=2).fit(rows, y)
    with tracking.start("flows", "champion", notebook="07_tuning", stage="champion") as run:
        assert champions.challenge(run, "flows", model, rows, y, champions.Evidence()).champion

    moved, elsewhere = tmp_path / "moved with ü", tmp_path / "elsewhere"
    store.parent.rename(moved)
    elsewhere.mkdir()
    raw = [*rows.head(5).to_dicts(), {"bytes": None, "state": "never seen", "other": 1}]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ANOMALY", "MLFLOW"))}
    environment |= {"ROWS": json.dumps(raw)}
    places = {
        "laboratory": {"ANOMALY_ROOT": str(moved)},
        "plain MLflow": {"MLFLOW_TRACKING_URI": f"sqlite:///{moved / 'mlflow.db'}"},
    }
    for how, place in places.items():
        command = [sys.executable, "-W", "ignore", "-c", DECIDE, how]
        done = subprocess.run(command, cwd=elsewhere, env=environment | place, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        assert json.loads(done.stdout.splitlines()[-1]) == model.decide(raw).to_dicts()
    assert list(elsewhere.iterdir()) == []
