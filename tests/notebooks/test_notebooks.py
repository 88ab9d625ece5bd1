"""All notebooks run in order on simulated data in a copy of the laboratory, and record what they claim."""

import math
import shutil
from pathlib import Path

import nbformat
import pytest

from utils import datasets, runner, tracking

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))
PARAMETERS = {"SOURCE": "simulated", "BUDGET": "fast", "SEED": 42}

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not NOTEBOOKS, reason="there are no notebooks")]


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory):
    """A laboratory with the project's catalogue and notebooks, an empty store, no real data and no network."""
    root = tmp_path_factory.mktemp("laboratory")
    (root / "data").mkdir()
    shutil.copy(ROOT / "data" / "catalog.toml", root / "data")
    shutil.copytree(ROOT / "notebooks", root / "notebooks", ignore=shutil.ignore_patterns(".*"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANOMALY_ROOT", str(root))
        patch.setenv("ANOMALY_OFFLINE", "1")
        patch.delenv("ANOMALY_DATA_MIRROR", raising=False)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield root


@pytest.fixture(scope="module")
def outcomes(laboratory):
    """How each notebook ended."""
    return {outcome.notebook: outcome for outcome in runner.run(parameters=PARAMETERS)}


@pytest.fixture(params=NOTEBOOKS)
def notebook(request, outcomes):
    outcome = outcomes[request.param]
    if outcome.status == "not run":
        pytest.skip("an earlier notebook failed")
    return outcome


def recorded(outcomes, name):
    client = tracking.open_store(write=False)
    experiments = {entry.experiment_id: entry.name for entry in client.search_experiments()}
    found = client.search_runs(list(experiments), f"tags.notebook = '{name}'")
    return {(experiments[run.info.experiment_id], run.info.run_name): run for run in found}


def test_it_runs(notebook):
    assert notebook.status == "ok", f"{notebook.error}\n{notebook.details}"


def test_it_leaves_a_report_and_an_executed_copy(notebook, laboratory):
    executed = nbformat.read(laboratory / f"reports/{notebook.notebook}.ipynb", as_version=4)
    code = [cell for cell in executed.cells if cell.cell_type == "code" and cell.source.strip()]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert [output for cell in code for output in cell.outputs if output.get("name") == "stderr"] == []
    assert notebook.report.stat().st_size > 10_000


def test_its_runs_have_finished_and_say_what_they_were_made_from(notebook, outcomes):
    runs = recorded(outcomes, notebook.notebook)
    assert runs
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    for run in runs.values():
        assert {"notebook", "stage", "git.commit", "seed", "budget"} <= set(run.data.tags)
        assert run.data.tags.get("data.source", "simulated") == "simulated"


def test_the_executed_notebook_is_linked_from_its_runs(notebook, outcomes):
    runs = recorded(outcomes, notebook.notebook)
    record = runs.pop(("notebooks", notebook.notebook))
    linked = [run for run in runs.values() if "mlflow.parentRunId" not in run.data.tags]
    assert linked
    assert {run.data.tags.get("notebook.run") for run in linked} == {record.info.run_id}


def test_it_recorded_numbers(notebook):
    results = tracking.results(notebook.notebook)
    assert results
    assert all(math.isfinite(value) for value in results.values())


@pytest.mark.parametrize("dataset", ["api", "waf", "nsl_kdd", "cicids2017", "hdfs", "traffic"])
def test_exploration_looked_at_every_data_set(outcomes, dataset):
    if outcomes["01_exploration"].status != "ok":
        pytest.skip("notebook 01 failed")
    results = tracking.results("01_exploration", dataset)
    main = datasets.load(dataset, "simulated", seed=PARAMETERS["SEED"], budget="fast")
    assert main[main.main].height in results.values()
    client = tracking.open_store(write=False)
    experiment = client.get_experiment_by_name(dataset).experiment_id
    (run,) = client.search_runs([experiment], "tags.notebook = '01_exploration'")
    assert run.data.tags["data.digest"] == main.digest
    assert {entry.path for entry in client.list_artifacts(run.info.run_id)} >= {"figures", "results.json"}
