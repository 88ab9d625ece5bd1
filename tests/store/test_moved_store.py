"""A moved store answers every question that the MLflow UI asks, and records new runs over HTTP."""

import json
import sqlite3
import urllib.parse
import urllib.request

import pytest

from utils import tracking


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
