"""Runs: what a notebook records, and how tests and later notebooks read it back."""

import contextlib
import functools
import json
import math
import numbers
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from utils import settings
from utils.datasets.contract import Dataset
from utils.errors import LabError, TrackingError
from utils.tracking.store import open_store, pages, store_uri, stored

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl
    from mlflow.entities import Dataset as Entry
    from mlflow.tracking import MlflowClient

    from utils.tracking.models import Predictor

NOTEBOOKS = "notebooks"
RESULTS_FILE = "results.json"
METRICS_IN_A_BATCH = 1000
PARAMS_IN_A_BATCH = 100
ERROR_LENGTH = 1000
DIGITS = 6
"""Digits of numbers in stored tables, which are for people to read; results are stored in full."""

_DIGEST_LENGTH = 36
_TABLES_TAG = "mlflow.loggedArtifacts"
_COLUMN_TYPES = {
    "Boolean": "boolean",
    "Binary": "binary",
    "Date": "datetime",
    "Datetime": "datetime",
    "Float32": "float",
    "Float64": "double",
    "Int8": "integer",
    "Int16": "integer",
    "Int32": "integer",
    "UInt8": "integer",
    "UInt16": "integer",
    "Int64": "long",
    "UInt32": "long",
    "UInt64": "long",
}


@dataclass(frozen=True)
class Run:
    """One MLflow run; its methods work while it is open and after it is closed.

    Attributes:
        id: MLflow's identifier of the run.
        experiment: name of the experiment.
        experiment_id: its number in the store.
        name: what the run table shows.
        tags: the laboratory's tags, without MLflow's own.
    """

    id: str
    experiment: str
    experiment_id: str
    name: str
    tags: Mapping[str, str]
    client: "MlflowClient" = field(repr=False, compare=False)

    @contextlib.contextmanager
    def child(self, name: str, *, params: Mapping[str, object] | None = None) -> Iterator["Run"]:
        """Open a nested run (a trial, a fold, a seed) with the tags of this one.

        Raises:
            TrackingError: if the store cannot be written.
        """
        nested = _create(self.client, self.experiment, self.experiment_id, name, self.tags, parent=self.id)
        with _closing(nested):
            nested.log_batch(params=params)
            yield nested

    def log_params(self, params: Mapping[str, object]) -> None:
        """Store parameters in one batch.

        Raises:
            TrackingError: if the store cannot be written, or a parameter already has another value.
        """
        self.log_batch(params=params)

    def log_metrics(self, metrics: Mapping[str, float], *, step: int = 0) -> None:
        """Store numbers in one batch.

        Raises:
            TrackingError: if a value is no finite number, or the store cannot be written.
        """
        self.log_batch(metrics=metrics, step=step)

    def log_batch(
        self,
        *,
        metrics: Mapping[str, float] | None = None,
        params: Mapping[str, object] | None = None,
        tags: Mapping[str, str] | None = None,
        step: int = 0,
    ) -> None:
        """Store parameters, numbers and tags in one transaction (one for each 1,000 numbers or 100 parameters).

        Raises:
            TrackingError: if a metric is no finite number, or the store cannot be written.
        """
        points = [(name, value, step) for name, value in (metrics or {}).items()]
        self._send(points, params or {}, tags or {})

    def log_curves(self, curves: Mapping[str, Sequence[float]]) -> None:
        """Store whole curves, one number a step (an epoch, a trial), in one batch.

        Raises:
            TrackingError: if a value is no finite number, or the store cannot be written.
        """
        self._send([(name, value, step) for name, curve in curves.items() for step, value in enumerate(curve)])

    def log_figure(self, figure: "go.Figure", name: str) -> str:
        """Store a plotly figure as SVG, or as a page that needs no network where no browser can draw it.

        Returns:
            The path of the artefact in the run.

        Raises:
            TrackingError: if the store cannot be written.
        """
        from utils.plots import static

        drawn = static.svg(figure)
        path = f"figures/{name}.{'html' if drawn is None else 'svg'}"
        self.log_text(figure.to_html(include_plotlyjs=True) if drawn is None else drawn, path)
        return path

    def log_table(self, frame: "pl.DataFrame", name: str) -> str:
        """Store a frame so that the MLflow UI shows it as a table, its numbers to six digits.

        Returns:
            The path of the artefact in the run.

        Raises:
            TrackingError: if the store cannot be written.
        """
        path = f"tables/{name}.json"
        rows = [[_plain(value) for value in row] for row in frame.iter_rows()]
        self.log_text(json.dumps({"columns": frame.columns, "data": rows}), path)
        with stored(f"table {name!r}"):
            tables = json.loads(self.client.get_run(self.id).data.tags.get(_TABLES_TAG, "[]"))
        if {"path": path, "type": "table"} not in tables:
            self.log_batch(tags={_TABLES_TAG: json.dumps([*tables, {"path": path, "type": "table"}])})
        return path

    def log_text(self, text: str, path: str) -> None:
        """Store a text as the artefact ``path`` of this run.

        Raises:
            TrackingError: if the store cannot be written.
        """
        with stored(f"artefact {path!r}"):
            self.client.log_text(self.id, text, path)

    def log_file(self, file: Path, folder: str | None = None) -> None:
        """Store a copy of a file, in a folder of this run's artefacts if one is named.

        Raises:
            TrackingError: if the file cannot be read, or the store cannot be written.
        """
        with stored(f"artefact {file.name!r}"):
            self.client.log_artifact(self.id, str(file), folder)

    def log_dataset(self, dataset: Dataset, *, context: str = "training") -> None:
        """Show a data set in the Dataset column: name, digest, columns and size of its main frame, never its rows.

        Its address is relative to the laboratory and says the same on every machine.

        Raises:
            TrackingError: if the store cannot be written.
        """
        from mlflow.entities import DatasetInput, InputTag

        given = DatasetInput(_describe(dataset), [InputTag("mlflow.data.context", context)])
        # A server refuses a data set that two runs log for the first time at once: then it is there.
        with contextlib.suppress(TrackingError), stored(f"data set {dataset.name!r}"):
            self.client.log_inputs(self.id, [given])
            return
        with stored(f"data set {dataset.name!r}"):
            self.client.log_inputs(self.id, [given])

    def log_results(self, results: Mapping[str, float]) -> None:
        """Record the numbers that the conclusions rest on, as metrics and as ``results.json``.

        :func:`results` reads them back; the tests of the notebooks do.

        Raises:
            TrackingError: if a value is no finite number, or the store cannot be written.
        """
        clean = {name: _number(name, value) for name, value in results.items()}
        self.log_batch(metrics=clean)
        self.log_text(json.dumps(clean, indent=2) + "\n", RESULTS_FILE)

    def log_model(
        self,
        model: "Predictor",
        example: object,
        *,
        name: str = "model",
        serialization: Literal["skops", "cloudpickle"] = "skops",
        trusted: Sequence[str] = (),
        packages: Sequence[str] = (),
        beside: Mapping[str, str] | None = None,
    ) -> str:
        """Store a scikit-learn estimator or a Keras model with signature, input example and given requirements.

        Args:
            model: a fitted estimator with ``predict``, or a Keras model.
            example: a few rows of input from a simulator, never downloaded data; a polars frame becomes a pandas one.
            name: the model's name in the run.
            serialization: ``"skops"`` stores no executable code; ``"cloudpickle"`` is for estimators that skops cannot
                store, and loading one runs whatever it holds.
            trusted: types that skops may load beside those of :data:`utils.tracking.models.TRUSTED`.
            packages: installed packages that loading needs beside scikit-learn; their versions are written down.
            beside: texts that are stored with the model, by file name.

        Returns:
            The address ``models:/m-...`` that :func:`utils.tracking.register` takes.

        Raises:
            TrackingError: if the model cannot be stored.
        """
        from utils.tracking import models

        with stored(f"model {name!r}"):
            return models.save(self.client, self.id, model, example, name, serialization, trusted, packages, beside)

    def _send(
        self,
        points: Sequence[tuple[str, float, int]],
        params: Mapping[str, object] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        from mlflow.entities import Metric, Param, RunTag

        now = _milliseconds()
        metrics = [Metric(name, _number(name, value), now, step) for name, value, step in points]
        settings_ = [Param(name, str(value)) for name, value in (params or {}).items()]
        marks = [RunTag(name, str(value)) for name, value in (tags or {}).items()]
        batches = max(bool(marks), -(-len(metrics) // METRICS_IN_A_BATCH), -(-len(settings_) // PARAMS_IN_A_BATCH))
        with stored(f"run {self.name!r}"):
            for k in range(batches):
                self.client.log_batch(
                    self.id,
                    metrics[k * METRICS_IN_A_BATCH : (k + 1) * METRICS_IN_A_BATCH],
                    settings_[k * PARAMS_IN_A_BATCH : (k + 1) * PARAMS_IN_A_BATCH],
                    marks if k == 0 else [],
                )


@contextlib.contextmanager
def start(
    experiment: str,
    name: str,
    *,
    notebook: str,
    stage: str,
    dataset: Dataset | None = None,
    seed: int = settings.SEED,
    budget: str = "fast",
    params: Mapping[str, object] | None = None,
) -> Iterator[Run]:
    """Open the run of one notebook on one data set; it is closed, or marked failed, at the end of the block.

    Args:
        experiment: name of the experiment, one a data set.
        name: what the run table shows.
        notebook: file name of the notebook without its ending.
        stage: the step of the analysis, in one or two words.
        dataset: the data; its source, origin and digest become tags and its shape the Dataset column.
        seed: seed of everything random in the run.
        budget: name of the budget.
        params: what was set, stored in one batch.

    Yields:
        The open run; :meth:`Run.child` opens nested ones.

    Raises:
        TrackingError: if the store cannot be used.
    """
    client = open_store()
    tags = _tags(notebook, stage, dataset, seed, budget)
    run = _create(client, experiment, _experiment_id(client, experiment), name, tags)
    with _closing(run):
        run.log_batch(params=params)
        if dataset is not None:
            run.log_dataset(dataset)
        yield run


def results(notebook: str, dataset: str | None = None) -> dict[str, float]:
    """Read the results that the newest finished run of a notebook recorded.

    Args:
        notebook: file name of the notebook without its ending.
        dataset: name of the data set; ``None`` for the newest run on any data.

    Raises:
        TrackingError: if there is no store, or no such run with results.
    """
    client = open_store(write=False)
    conditions = [f"tags.notebook = '{_quotable(notebook)}'", "attributes.status = 'FINISHED'"]
    if dataset is not None:
        conditions.append(f"tags.`data.name` = '{_quotable(dataset)}'")
    for found in _search(client, " and ".join(conditions)):
        recorded = _read_results(client, found.info.run_id)
        if recorded is not None:
            return recorded
    about = f"notebook {notebook}" + (f" on {dataset}" if dataset else "")
    raise TrackingError(f"no finished run of {about} has recorded results in {store_uri()}: run the notebook first")


def runs_of_session(session: str) -> list[Run]:
    """Return the top-level runs that carry the session tag which the notebook runner gives, oldest first.

    Raises:
        TrackingError: if the store cannot be read.
    """
    client = open_store(write=False)
    found = _search(client, f"tags.session = '{_quotable(session)}'")
    names = {entry.experiment_id: entry.name for entry in client.search_experiments()}
    return [
        Run(
            id=entry.info.run_id,
            experiment=names[entry.info.experiment_id],
            experiment_id=entry.info.experiment_id,
            name=entry.info.run_name,
            tags={key: value for key, value in entry.data.tags.items() if not key.startswith("mlflow.")},
            client=client,
        )
        for entry in reversed(found)
        if "mlflow.parentRunId" not in entry.data.tags
    ]


def end_left_running(session: str, reason: str) -> int:
    """Mark the runs of a session that a killed process left open as failed; return how many there were.

    Raises:
        TrackingError: if the store cannot be written.
    """
    client = open_store()
    left = _search(client, f"tags.session = '{_quotable(session)}' and attributes.status = 'RUNNING'")
    for entry in left:
        with stored("the end of a run"):
            client.set_tag(entry.info.run_id, "error", reason[:ERROR_LENGTH])
            client.set_terminated(entry.info.run_id, "FAILED")
    return len(left)


def log_notebook(
    name: str,
    *,
    session: str,
    executed: str | None,
    page: str,
    params: Mapping[str, object],
    seconds: float,
    error: LabError | None = None,
) -> None:
    """Record one execution of a notebook as a run of the experiment ``notebooks``, and link it from its other runs.

    The executed notebook and its page are stored once; the description of each run that the notebook recorded leads
    to them. Runs that a killed kernel left open are marked failed.

    Args:
        name: file name of the notebook without its ending.
        session: the session tag that the execution gave its runs.
        executed: the executed notebook as text; nothing where it was written back into its own file.
        page: the report as a page that needs no network.
        params: the parameters that the notebook ran with.
        seconds: how long it took.
        error: what went wrong.

    Raises:
        TrackingError: if the store cannot be written.
    """
    try:
        seed = int(str(params.get("SEED", settings.SEED)))
    except ValueError:  # a notebook of one's own may have None; its parameters are recorded as they are
        seed = settings.SEED
    budget = str(params.get("BUDGET") or "fast")
    opened = start(NOTEBOOKS, name, notebook=name, stage="notebook", seed=seed, budget=budget, params=params)
    with contextlib.suppress(_Failed), opened as run:
        end_left_running(session, str(error or "the notebook ended before the run did"))
        run.log_metrics({"seconds": seconds})
        if executed is not None:
            run.log_text(executed, f"{name}.ipynb")
        run.log_text(page, f"{name}.html")
        link = f"#/experiments/{run.experiment_id}/runs/{run.id}/artifacts/{name}.html"
        for other in runs_of_session(session):
            other.log_batch(
                tags={"mlflow.note.content": f"Executed notebook: [{name}]({link})", "notebook.run": run.id}
            )
        if error is not None:
            raise _Failed(str(error))


class _Failed(Exception):
    """Ends a run as failed."""


@contextlib.contextmanager
def _closing(run: Run) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(TrackingError):  # the first failure is the one to tell
            run.log_batch(tags={"error": _say(error)[:ERROR_LENGTH]})
        with contextlib.suppress(TrackingError):
            _end(run, "FAILED" if isinstance(error, Exception) else "KILLED")
        raise
    _end(run, "FINISHED")


def _say(error: BaseException) -> str:
    return str(error) if isinstance(error, _Failed) else f"{type(error).__name__}: {error}"


def _end(run: Run, status: str) -> None:
    with stored(f"the end of run {run.name!r}"):
        run.client.set_terminated(run.id, status)


def _create(
    client: "MlflowClient",
    experiment: str,
    experiment_id: str,
    name: str,
    tags: Mapping[str, str],
    parent: str | None = None,
) -> Run:
    own = {"mlflow.user": "laboratory", "mlflow.source.type": "NOTEBOOK", "mlflow.source.name": tags["notebook"]}
    if parent is not None:
        own["mlflow.parentRunId"] = parent
    with stored(f"run {name!r}"):
        made = client.create_run(experiment_id, start_time=_milliseconds(), tags=dict(tags) | own, run_name=name)
    return Run(made.info.run_id, experiment, experiment_id, name, dict(tags), client)


def _tags(notebook: str, stage: str, dataset: Dataset | None, seed: int, budget: str) -> dict[str, str]:
    tags = {
        "notebook": notebook,
        "stage": stage,
        "git.commit": _commit(),
        "seed": str(seed),
        "budget": settings.budget(budget).name,
    }
    if dataset is not None:
        tags |= {
            "data.name": dataset.name,
            "data.source": dataset.source,
            "data.origin": dataset.origin,
            "data.digest": dataset.digest,
        }
    if session := settings.current().session:
        tags["session"] = session
    return tags


@functools.cache
def _commit() -> str:
    repository = Path(__file__).resolve().parents[2]
    if not (repository / ".git").exists():
        return "unknown"
    command = ["git", "-C", str(repository), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _experiment_id(client: "MlflowClient", name: str) -> str:
    from mlflow.exceptions import MlflowException

    with stored(f"experiment {name!r}"):
        found = client.get_experiment_by_name(name)
        if found is None:
            location = f"mlflow-artifacts:/{re.sub(r'[^A-Za-z0-9_.-]+', '_', name)}"
            try:
                return str(client.create_experiment(name, artifact_location=location))
            except MlflowException:
                found = client.get_experiment_by_name(name)  # another process may have made it meanwhile
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)


def _describe(dataset: Dataset) -> "Entry":
    import polars as pl
    from mlflow.entities import Dataset as Entry

    frame = dataset[dataset.main] if dataset.frames else pl.DataFrame()
    folder = f"data/raw/{dataset.name}" if dataset.source == "real" else f"utils/simulate/{dataset.name}.py"
    columns = [
        {"type": _COLUMN_TYPES.get(str(dtype.base_type()), "string"), "name": name, "required": True}
        for name, dtype in frame.schema.items()
    ]
    return Entry(
        name=dataset.name,
        digest=dataset.digest.split(":")[-1][:_DIGEST_LENGTH],
        source_type="local",
        source=json.dumps({"uri": folder}),
        schema=json.dumps({"mlflow_colspec": columns}),
        profile=json.dumps({"num_rows": frame.height, "num_elements": frame.height * frame.width}),
    )


def _search(client: "MlflowClient", condition: str) -> list[Any]:
    with stored("the search"):
        experiments = [entry.experiment_id for entry in pages(client.search_experiments)]
        newest_first = ["attributes.start_time DESC"]
        return list(pages(client.search_runs, experiments, condition, order_by=newest_first))


def _read_results(client: "MlflowClient", run_id: str) -> dict[str, float] | None:
    import mlflow.artifacts
    from mlflow.exceptions import MlflowException

    try:
        if not any(entry.path == RESULTS_FILE for entry in client.list_artifacts(run_id)):
            return None
        read = json.loads(mlflow.artifacts.load_text(f"runs:/{run_id}/{RESULTS_FILE}"))
        return {str(name): float(value) for name, value in read.items()}
    except (MlflowException, OSError, ValueError, TypeError, AttributeError) as error:
        raise TrackingError(f"{RESULTS_FILE} of run {run_id} cannot be read: run the notebook again") from error


def _number(name: str, value: object) -> float:
    if isinstance(value, numbers.Real) and math.isfinite(value):
        return float(value)
    raise TrackingError(f"metric {name!r} must be a finite number, found {value!r}: leave it out or compute it")


def _plain(value: object) -> object:
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, datetime | date | time_of_day | timedelta):
        return str(value)
    return repr(value) if not isinstance(value, dict) else {key: _plain(entry) for key, entry in value.items()}


def _quotable(text: str) -> str:
    if "'" in text or '"' in text:
        raise TrackingError(f"{text!r} has a quotation mark, which no notebook or data set name has: correct it")
    return text


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000
