"""The MLflow store: made once, written completely or not at all, read back, and refused when it is not ours."""

import contextlib
import ctypes
import functools
import http.server
import io
import json
import multiprocessing
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import plotly.graph_objects as go
import polars as pl
import pytest

from tests.unit import small_data
from utils import settings, tracking
from utils.datasets.contract import Dataset, Roles
from utils.errors import SettingsError, TrackingError
from utils.plots import static
from utils.tracking import __main__ as command
from utils.tracking import registry, runs, ui

FRAME = pl.DataFrame(
    {"size": [1.5, 2.0], "port": [80, 443], "events": [[1, 2], [3]], "is_anomaly": [False, True]},
    schema_overrides={"port": pl.UInt16, "events": pl.List(pl.UInt8)},
)
DATA = Dataset(
    name="hdfs",
    kind="log",
    source="simulated",
    origin="simulator",
    digest="sha256:" + "ab" * 32,
    truth="the simulator's",
    frames={"sessions": FRAME},
    roles={"sessions": Roles("session", label="is_anomaly")},
)


def start(name="exploration", **changes):
    given = {"notebook": "01_exploration", "stage": "exploration", "dataset": DATA, "seed": 7, "budget": "fast"}
    return tracking.start("hdfs", name, **(given | changes))


def rows(file, question):
    with contextlib.closing(sqlite3.connect(file)) as database:
        return database.execute(question).fetchall()


def status_of(file):
    return dict(rows(file, "SELECT name, status FROM runs"))


# ---------------------------------------------------------------------------------------------------- where it is


def test_importing_tracking_imports_no_mlflow():
    program = "import sys; from utils import tracking; print('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "False\n"


def test_the_store_is_beside_the_notebooks_from_any_folder(lab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert tracking.store_uri() == f"sqlite:///{lab.root}/mlflow.db"


@pytest.mark.parametrize(
    ("given", "expected"),
    [("sqlite:///other.db", "sqlite:///{cwd}/other.db"), ("http://127.0.0.1:5000/", "http://127.0.0.1:5000")],
)
def test_another_store_is_named_by_the_environment(lab, tmp_path, monkeypatch, given, expected):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", given)
    assert tracking.store_uri() == expected.format(cwd=tmp_path)


@pytest.mark.parametrize("uri", ["./mlruns", "file:///somewhere", "postgresql://host/db"])
def test_other_kinds_of_store_are_refused(lab, monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(TrackingError, match="must start with sqlite:///, http:// or https://, found"):
        tracking.store_uri()


def test_a_store_of_a_user_that_there_is_not_is_refused(lab, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///~nobody-of-this-name/mlflow.db")
    with pytest.raises(TrackingError, match="names a user that there is not"):
        tracking.store_uri()


def test_a_folder_that_mlflow_cannot_address_is_refused(lab, monkeypatch):
    monkeypatch.setenv("ANOMALY_ROOT", f"{lab.root}/what?")
    with pytest.raises(TrackingError, match="question mark"):
        tracking.store_uri()


# ---------------------------------------------------------------------------------------------------- how it is made


def test_a_new_store_is_complete_and_holds_no_path_of_this_machine(empty_store):
    assert sorted(path.name for path in empty_store.parent.iterdir()) == ["mlflow.db", "mlflow.db.lock"]
    assert rows(empty_store, "SELECT name, artifact_location FROM experiments") == [("Default", "mlflow-artifacts:/0")]


def _make_store(barrier, root):
    os.environ["ANOMALY_ROOT"] = root
    barrier.wait(60)
    with start(dataset=None) as run:
        run.log_metrics({"n": 1})


def _forkserver():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["utils.tracking.runs", "mlflow.store.tracking.sqlalchemy_store", "filelock"])
    return context


def _in_process(target, *arguments):
    """Run a function in a process of its own and return what it puts into the queue that it gets first."""
    context = _forkserver()
    queue = context.Queue()
    child = context.Process(target=target, args=(queue, *arguments))
    child.start()
    found = queue.get(timeout=90)
    child.join(30)
    return found


def test_four_processes_may_make_the_store_at_once(lab):
    context = _forkserver()
    barrier = context.Barrier(4)
    children = [context.Process(target=_make_store, args=(barrier, str(lab.root))) for _ in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join(90)

    assert [child.exitcode for child in children] == [0, 0, 0, 0]
    assert rows(
        lab.store_file, "SELECT COUNT(*), COUNT(DISTINCT experiment_id) FROM runs WHERE status = 'FINISHED'"
    ) == [(4, 1)]


def _tell(queue, action):
    try:
        action()
    except TrackingError as error:
        queue.put(str(error))
    except BaseException as error:
        queue.put(repr(error))
    else:
        queue.put("no error")


def _without_override_of_rights():
    """Give up root's power to write where the rights say no; nothing to give up for anyone else."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()
    libc.capget(header, sets)
    sets[0] &= ~0b110  # effective
    sets[1] &= ~0b110  # permitted
    assert libc.capset(header, sets) == 0


def _start_without_rights(queue, root):
    os.environ["ANOMALY_ROOT"] = root
    _without_override_of_rights()
    _tell(queue, lambda: start().__enter__())


@pytest.mark.skipif(sys.platform != "linux", reason="gives up rights as Linux does")
@pytest.mark.parametrize("exists", [False, True])
def test_a_read_only_folder_is_one_sentence(lab, empty_store, exists):
    if exists:
        shutil.copy(empty_store, lab.store_file)
        lab.store_file.chmod(0o444)
    lab.root.chmod(0o555)
    before = sorted(lab.root.iterdir())
    try:
        said = _in_process(_start_without_rights, str(lab.root))
    finally:
        lab.root.chmod(0o755)

    assert "cannot be written" in said
    assert "make the folder writable" in said
    assert sorted(lab.root.iterdir()) == before


def _start_on_full_disk(queue, root):
    os.environ["ANOMALY_ROOT"] = root
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    _tell(queue, lambda: start().__enter__())


@pytest.mark.skipif(sys.platform == "win32", reason="limits file sizes as POSIX does")
def test_no_room_for_a_new_store_leaves_nothing_behind(lab):
    said = _in_process(_start_on_full_disk, str(lab.root))

    assert "cannot be written" in said
    assert "make room" in said
    assert [path.name for path in lab.root.iterdir() if "mlflow" in path.name] in ([], ["mlflow.db.lock"])


def _log_on_full_disk(queue, root):
    os.environ["ANOMALY_ROOT"] = root
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))

    def action():
        with start() as run:
            run.log_text("x" * 4_000_000, "big.txt")

    _tell(queue, action)


@pytest.mark.skipif(sys.platform == "win32", reason="limits file sizes as POSIX does")
def test_no_room_for_an_artefact_fails_the_run_and_leaves_no_part_of_it(store):
    said = _in_process(_log_on_full_disk, str(store.parent))

    assert said.startswith("artefact 'big.txt' could not be stored")
    assert status_of(store) == {"exploration": "FAILED"}
    assert [path for path in (store.parent / "mlartifacts").rglob("*") if path.is_file()] == []


# ---------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("content", [b"", b"not a database", b"PK\x03\x04" * 50])
def test_a_file_that_is_no_database_is_refused_and_kept(lab, content):
    lab.store_file.write_bytes(content)
    with pytest.raises(TrackingError, match=r"is no SQLite database: move it away"):
        start().__enter__()
    assert lab.store_file.read_bytes() == content


def test_another_database_is_refused_and_kept(lab):
    with contextlib.closing(sqlite3.connect(lab.store_file)) as database:
        database.execute("CREATE TABLE mine (x INTEGER)")
        database.commit()
    before = lab.store_file.read_bytes()
    with pytest.raises(TrackingError, match="is a SQLite database but no MLflow store"):
        start().__enter__()
    assert lab.store_file.read_bytes() == before


def test_a_store_that_another_process_is_writing_is_not_called_broken(store, monkeypatch):
    with contextlib.closing(sqlite3.connect(store)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        monkeypatch.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, timeout=0))
        with pytest.raises(TrackingError, match="is being written by another process: try again"):
            tracking.open_store()
        with pytest.raises(TrackingError, match=r"\(database is locked\): try again"):
            registry.names()


@pytest.mark.parametrize("revision", ["000000000000", "451aebb31d03"])
def test_a_store_of_another_mlflow_version_is_refused_and_kept(store, revision):
    with contextlib.closing(sqlite3.connect(store)) as database:
        database.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        database.commit()
    before = store.read_bytes()
    with pytest.raises(TrackingError, match=f"another MLflow version .schema {revision}.*mlflow db upgrade"):
        start().__enter__()
    assert store.read_bytes() == before


def test_a_server_that_does_not_answer_is_one_sentence(lab, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(TrackingError, match=r"no MLflow server answers \(ConnectionError\): start it, or unset"):
        start().__enter__()


def test_a_server_that_is_no_mlflow_server_is_one_sentence(lab, monkeypatch):
    class Missing(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(404)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Missing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(TrackingError, match=r"no MLflow server answers \(status 404\)"):
            start().__enter__()
        server.shutdown()


# ---------------------------------------------------------------------------------------------------- what is recorded


def test_a_run_carries_its_tags_parameters_and_numbers(store):
    with start(params={"model": "counts", "window": 10}) as run:
        run.log_batch(metrics={"f1": 0.5}, params={"k": 3}, tags={"note": "x"})
        run.log_metrics({"auc": 0.75}, step=2)
        assert status_of(store) == {"exploration": "RUNNING"}

    found = run.client.get_run(run.id)
    assert status_of(store) == {"exploration": "FINISHED"}
    assert found.data.params == {"model": "counts", "window": "10", "k": "3"}
    assert found.data.metrics == {"f1": 0.5, "auc": 0.75}
    tags = {key: value for key, value in found.data.tags.items() if not key.startswith("mlflow.")}
    assert tags == {
        "notebook": "01_exploration",
        "stage": "exploration",
        "git.commit": runs._commit(),
        "seed": "7",
        "budget": "fast",
        "data.name": "hdfs",
        "data.source": "simulated",
        "data.origin": "simulator",
        "data.digest": DATA.digest,
        "note": "x",
    }
    assert found.data.tags["mlflow.source.name"] == "01_exploration"
    assert found.info.artifact_uri == f"mlflow-artifacts:/hdfs/{run.id}/artifacts"


def test_the_data_set_is_described_without_its_rows_and_without_a_warning(store):
    with warnings.catch_warnings(), start() as run:
        warnings.simplefilter("error")
        run.log_dataset(DATA)

    (given,) = run.client.get_run(run.id).inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == ("hdfs", "ab" * 18)
    assert json.loads(given.dataset.source) == {"uri": "utils/simulate/hdfs.py"}
    assert json.loads(given.dataset.profile) == {"num_rows": 2, "num_elements": 8}
    types = {column["name"]: column["type"] for column in json.loads(given.dataset.schema)["mlflow_colspec"]}
    assert types == {"size": "double", "port": "integer", "events": "string", "is_anomaly": "boolean"}


def test_a_data_set_of_which_no_table_is_left_is_described_too(store):
    with start(dataset=replace(DATA, frames={}, roles={})) as run:
        pass
    (given,) = run.client.get_run(run.id).inputs.dataset_inputs
    assert json.loads(given.dataset.profile) == {"num_rows": 0, "num_elements": 0}


def test_a_run_that_raises_is_failed_and_holds_the_error(store):
    with pytest.raises(ZeroDivisionError), start() as run, run.child("trial"):
        raise ZeroDivisionError("by nothing")

    assert status_of(store) == {"exploration": "FAILED", "trial": "FAILED"}
    assert run.client.get_run(run.id).data.tags["error"] == "ZeroDivisionError: by nothing"


def test_an_interrupted_run_is_killed(store):
    with pytest.raises(KeyboardInterrupt), start():
        raise KeyboardInterrupt
    assert status_of(store) == {"exploration": "KILLED"}


def test_nested_runs_hang_below_their_parent_and_share_its_tags(store):
    with start() as run:
        for k in range(2):
            with run.child(f"trial {k}", params={"depth": k}) as trial:
                trial.log_curves({"loss": [3.0, 2.0, 1.0]})

    found = trial.client.get_run(trial.id)
    assert found.data.tags["mlflow.parentRunId"] == run.id
    assert found.data.tags["data.digest"] == DATA.digest
    assert found.data.params == {"depth": "1"}
    history = trial.client.get_metric_history(trial.id, "loss")
    assert [(point.step, point.value) for point in history] == [(0, 3.0), (1, 2.0), (2, 1.0)]


def test_more_than_one_batch_is_stored_completely(store):
    with start(params={f"p{k}": k for k in range(250)}) as run:
        run.log_metrics({f"m{k}": k for k in range(2_500)})

    found = run.client.get_run(run.id).data
    assert (len(found.params), len(found.metrics)) == (250, 2_500)
    assert found.metrics["m2499"] == 2_499


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "0.5", None, [1.0]])
def test_a_metric_that_is_no_finite_number_is_refused(store, value):
    with start() as run, pytest.raises(TrackingError, match="metric 'f1' must be a finite number, found"):
        run.log_metrics({"f1": value})
    assert run.client.get_run(run.id).data.metrics == {}


def test_a_metric_with_an_impossible_name_is_one_sentence(store):
    with start() as run, pytest.raises(TrackingError, match="run 'exploration' could not be stored in"):
        run.log_metrics({"f1%$": 1.0})


def test_an_unknown_budget_is_refused_before_a_run_exists(store):
    with pytest.raises(SettingsError, match="budget must be one of"):
        start(budget="huge").__enter__()
    assert status_of(store) == {}


def test_a_deleted_experiment_comes_back(store):
    with start() as run:
        pass
    run.client.delete_experiment(run.experiment_id)
    with start("again") as again:
        pass
    assert again.experiment_id == run.experiment_id


def test_a_figure_is_stored_as_svg_where_a_browser_draws_it(store, monkeypatch):
    monkeypatch.setattr(static, "svg", lambda figure: "<svg>drawn</svg>")
    with start() as run:
        assert run.log_figure(go.Figure(), "balance") == "figures/balance.svg"
    stored = store.parent / f"mlartifacts/hdfs/{run.id}/artifacts/figures/balance.svg"
    assert stored.read_text() == "<svg>drawn</svg>"


def test_a_figure_is_a_page_that_needs_no_network_where_no_browser_draws_it(store, monkeypatch):
    monkeypatch.setattr(static, "svg", lambda figure: None)
    with start() as run:
        path = run.log_figure(go.Figure(go.Bar(x=[1], y=[2])), "balance")
    page = (store.parent / f"mlartifacts/hdfs/{run.id}/artifacts/{path}").read_text()
    assert path == "figures/balance.html"
    assert "<script src=" not in page
    assert "Plotly.newPlot" in page


def test_a_table_is_stored_with_every_kind_of_value(store):
    frame = pl.DataFrame(
        {
            "n": [1, None],
            "share": [0.5, float("nan")],
            "when": pl.Series([0, 1_000_000], dtype=pl.Datetime("us")),
            "events": [[1, 2], []],
            "struct": [{"a": 1.0}, {"a": None}],
        }
    )
    with start() as run:
        path = run.log_table(frame, "overview")
        run.log_table(frame, "overview")

    content = json.loads((store.parent / f"mlartifacts/hdfs/{run.id}/artifacts/{path}").read_text())
    assert content["columns"] == frame.columns
    assert content["data"] == [
        [1, 0.5, "1970-01-01 00:00:00", [1, 2], {"a": 1.0}],
        [None, None, "1970-01-01 00:00:01", [], {"a": None}],
    ]
    tagged = json.loads(run.client.get_run(run.id).data.tags["mlflow.loggedArtifacts"])
    assert tagged == [{"path": "tables/overview.json", "type": "table"}]


def test_a_file_that_is_not_there_is_one_sentence(store, tmp_path):
    with start() as run, pytest.raises(TrackingError, match=r"artefact 'gone.txt' could not be stored"):
        run.log_file(tmp_path / "gone.txt")


# ---------------------------------------------------------------------------------------------------- reading back


def test_results_come_from_the_newest_finished_run_of_that_notebook_and_data(store):
    for value in (1, 2):
        with start() as run:
            run.log_results({"sessions": value})
    with contextlib.suppress(ZeroDivisionError), start() as run:
        run.log_results({"sessions": 3})
        raise ZeroDivisionError
    with start("later, without results"):
        pass

    assert tracking.results("01_exploration", "hdfs") == {"sessions": 2.0}
    assert tracking.results("01_exploration") == {"sessions": 2.0}


def test_results_that_do_not_exist_are_one_sentence(store):
    with pytest.raises(TrackingError, match="no finished run of notebook 02_x on hdfs has recorded results"):
        tracking.results("02_x", "hdfs")
    with pytest.raises(TrackingError, match="quotation mark"):
        tracking.results("02' or '1'='1")


@pytest.mark.parametrize("text", ["", '{"sessions": ', "[1]", '{"sessions": null}'])
def test_results_that_were_cut_short_are_one_sentence(store, text):
    with start() as run:
        run.log_text(text, runs.RESULTS_FILE)
    with pytest.raises(TrackingError, match=r"results\.json of run .* cannot be read: run the notebook again"):
        tracking.results("01_exploration")


def test_a_notebook_without_a_seed_is_recorded_too(store):
    tracking.log_notebook("01_a", session="s", executed=None, page="<p>", params={"SEED": None}, seconds=1.0)
    assert status_of(store) == {"01_a": "FINISHED"}


def test_results_without_a_store_make_none(lab):
    with pytest.raises(TrackingError, match=r"there is no MLflow store at .*make run"):
        tracking.results("01_exploration")
    assert not lab.store_file.exists()


def test_an_executed_notebook_is_linked_from_the_runs_it_recorded(store, monkeypatch):
    monkeypatch.setenv(settings.SESSION_VARIABLE, "s1")
    with start() as run, run.child("trial"):
        pass
    opened = start("left open")
    left_open = opened.__enter__()
    monkeypatch.delenv(settings.SESSION_VARIABLE)
    tracking.log_notebook(
        "01_exploration",
        session="s1",
        executed="{}",
        page="<html>",
        params={"SEED": 5, "BUDGET": "full"},
        seconds=1.5,
        error=TrackingError("cell 3 failed"),
    )

    assert status_of(store) == {
        "exploration": "FINISHED",
        "trial": "FINISHED",
        "left open": "FAILED",
        "01_exploration": "FAILED",
    }
    assert run.client.get_run(left_open.id).data.tags["error"] == "cell 3 failed"
    tags = run.client.get_run(run.id).data.tags
    record = run.client.get_run(tags["notebook.run"])
    assert f"/runs/{record.info.run_id}/artifacts/01_exploration.html" in tags["mlflow.note.content"]
    assert (record.data.params["SEED"], record.data.metrics["seconds"]) == ("5", 1.5)
    assert record.data.tags["error"] == "cell 3 failed"
    kept = {entry.path for entry in run.client.list_artifacts(record.info.run_id)}
    assert kept == {"01_exploration.ipynb", "01_exploration.html"}


# ---------------------------------------------------------------------------------------------------- models


def test_a_model_is_stored_registered_and_loaded_by_its_alias(store):
    from sklearn.ensemble import HistGradientBoostingClassifier

    rows = pl.DataFrame({"size": [0.0, 1.0] * 30, "port": [80.0, 443.0] * 30})
    model = HistGradientBoostingClassifier(max_iter=5).fit(rows.to_pandas(), [0, 1] * 30)
    with start(params={"depth": 3}) as run, warnings.catch_warnings():
        warnings.simplefilter("error")
        address = run.log_model(model, rows.head(2))
        number = tracking.register(address, "hdfs", alias="champion")

    again = tracking.load_model("hdfs")
    assert number == 1
    assert (again.predict(rows.to_pandas()) == model.predict(rows.to_pandas())).all()
    (folder,) = (store.parent / "mlartifacts/hdfs/models").glob("m-*/artifacts")
    described = (folder / "MLmodel").read_text()
    assert str(store.parent) not in described
    assert 'inputs: \'[{"type": "double", "name": "size"' in described
    assert {line.partition("==")[0] for line in (folder / "requirements.txt").read_text().splitlines()} == {
        "mlflow",
        "scikit-learn",
        "numpy",
        "pandas",
        "skops",
    }


def test_a_model_that_skops_does_not_trust_is_refused_and_cloudpickle_is_a_choice(store):
    from sklearn.preprocessing import FunctionTransformer

    class Flag:
        def fit(self, rows):
            return self

        def predict(self, rows):
            return FunctionTransformer(abs).transform(rows).to_numpy().sum(axis=1) > 1

    example = pl.DataFrame({"size": [0.5, 2.0]})
    with start() as run:
        with pytest.raises(TrackingError, match="model 'model' could not be stored"):
            run.log_model(Flag(), example)
        address = run.log_model(Flag(), example, serialization="cloudpickle")
        tracking.register(address, "flag", alias="champion")

    assert list(tracking.load_model("flag").predict(example.to_pandas())) == [False, True]


def test_a_model_that_does_not_exist_is_one_sentence(store):
    with pytest.raises(TrackingError, match=r"model models:/none@champion cannot be loaded"):
        tracking.load_model("none")


# ---------------------------------------------------------------------------------------------------- the UI command


def test_without_a_store_the_ui_says_so_and_makes_none(lab, capsys):
    assert command.main(["ui"]) == 2
    assert capsys.readouterr().err == (
        f"there is no MLflow store at {lab.store_file}: make one by running the notebooks (make run)\n"
    )
    assert not lab.store_file.exists()


def test_a_server_has_its_own_page(lab, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert command.main(["ui"]) == 0
    assert capsys.readouterr().out == "The store is a server: open http://127.0.0.1:5000\n"


def test_the_guide_leads_to_the_run_tables(store):
    with start():
        pass
    lines = ui.guide(store, "http://127.0.0.1:5000")
    assert lines[0] == "MLflow UI: http://127.0.0.1:5000"
    assert lines[1].endswith("1 run(s)  http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning")
    assert "Model training" in lines[-1]


def test_a_store_that_cannot_be_read_has_no_guide(tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"SQLite format 3\x00 cut short")
    with pytest.raises(TrackingError, match=r"cannot be read \(.*\): call it again"):
        ui.guide(tmp_path / "mlflow.db", "http://127.0.0.1:5000")


def test_an_empty_store_is_explained(store):
    assert "no runs yet" in ui.guide(store, "http://127.0.0.1:5000")[1]


def test_a_busy_port_and_ports_that_browsers_refuse_are_passed_over(monkeypatch):
    monkeypatch.setattr(ui, "_is_free", lambda port: port not in {5059, 5062})
    assert ui.free_port(5059) == 5063


def test_a_port_that_is_taken_is_seen():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert not ui._is_free(taken.getsockname()[1])


def test_ports_that_cannot_be_had_are_one_sentence(monkeypatch):
    with pytest.raises(TrackingError, match=r"must be in 1\.\.65535, found 70000"):
        ui.free_port(70_000)
    monkeypatch.setattr(ui, "_is_free", lambda port: False)
    with pytest.raises(TrackingError, match="no port from 5000 to 5019 is free"):
        ui.free_port(5000)


def test_a_server_that_does_not_start_says_why(monkeypatch):
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    with pytest.raises(TrackingError, match=r"did not start \(no such luck\)"):
        ui._wait_until_ready(process, "http://127.0.0.1:9", io.BytesIO(b"first\nno such luck\n"))


STAND_IN = """#!{python}
import http.server, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path("child").write_text(str(child.pid))
pathlib.Path("arguments").write_text("\\n".join(sys.argv[1:]))

class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass

http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Healthy).serve_forever()
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A server that starts at once in place of MLflow's, with a child of its own."""
    program = tmp_path / "stand_in"
    program.write_text(STAND_IN.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setattr(ui, "sys", SimpleNamespace(executable=str(program)))


def _wait_until_gone(pid):
    deadline = time.monotonic() + 20
    state = Path(f"/proc/{pid}/stat")
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        while state.read_text().split()[2] not in "ZX":
            assert time.monotonic() < deadline, f"process {pid} lives on"
            time.sleep(0.02)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_ctrl_c_stops_the_server_and_its_children(store, stand_in, monkeypatch, capsys):
    monkeypatch.setattr(subprocess.Popen, "wait", _interrupted_once(subprocess.Popen.wait))
    assert command.main(["ui", "--port", "5999"]) == 0

    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"Starting the MLflow UI of {store} (up to a minute) ..."
    assert told[1].startswith("MLflow UI: http://127.0.0.1:")
    assert told[-1] == "Stopped."
    _wait_until_gone(int((store.parent / "child").read_text()))
    arguments = (store.parent / "arguments").read_text().splitlines()
    assert arguments[:3] == ["-m", "mlflow", "ui"]
    given = dict(zip(arguments[3::2], arguments[4::2], strict=True))
    assert given == {
        "--backend-store-uri": f"sqlite:///{store}",
        "--artifacts-destination": str(store.parent / "mlartifacts"),
        "--host": "127.0.0.1",
        "--port": told[1].rpartition(":")[2],
        "--workers": "1",
    }


def _interrupted_once(wait):
    calls = []

    def _wait(process, timeout=None):
        calls.append(timeout)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return wait(process, timeout)

    return _wait


def test_a_server_that_ends_by_itself_is_told(store, stand_in, monkeypatch, capsys):
    monkeypatch.setattr(subprocess.Popen, "wait", lambda process, timeout=None: process.kill())
    assert command.main(["ui"]) == 2
    assert capsys.readouterr().err == "the MLflow UI has stopped by itself: start it again\n"


def test_a_data_set_that_two_runs_log_at_once_is_logged_again(store, monkeypatch):
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    log, refused = MlflowClient.log_inputs, [MlflowException("it already exists")]

    def at_once(self, *given, **options):
        if refused:
            raise refused.pop()
        return log(self, *given, **options)

    monkeypatch.setattr(MlflowClient, "log_inputs", at_once)
    with tracking.start("tiny", "a", notebook="01_a", stage="test") as run:
        run.log_dataset(small_data.table())
    (given,) = tracking.open_store().get_run(run.id).inputs.dataset_inputs
    assert given.dataset.name == "tiny"
