"""The store as tables: runs, their numbers and registered versions, with one query for each kind of thing.

A SQLite store is asked directly, read-only and without importing MLflow; a server is asked through MLflow's client.
Both give the same frames. Nested runs (trials, folds) are no results of their own and are left out.
"""

import contextlib
import functools
import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import polars as pl

from utils.artifact_store import FOLDER
from utils.errors import TrackingError
from utils.tracking import store

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

SCHEME = "mlflow-artifacts:/"
CHAMPION = "champion"
PARENT = "mlflow.parentRunId"
TABLES = "mlflow.loggedArtifacts"
TAGS: Mapping[str, str] = MappingProxyType(
    {
        "notebook": "notebook",
        "stage": "stage",
        "data.name": "data_set",
        "data.source": "source",
        "data.digest": "digest",
        "model.classifier": "classifier",
        "model.rule": "rule",
        "budget": "budget",
        "seed": "seed",
        "session": "session",
        "notebook.run": "record",
        "error": "error",
        TABLES: "tables",
    }
)
"""Tags of a run that are read, and the columns that they become."""

PARAMS = ("SOURCE", "BUDGET", "DATASETS")
RUNS: Mapping[str, type[pl.DataType]] = MappingProxyType(
    {
        "run": pl.String,
        "experiment": pl.String,
        "name": pl.String,
        "status": pl.String,
        "started": pl.Int64,
        "ended": pl.Int64,
        "artifacts": pl.String,
        **dict.fromkeys(TAGS.values(), pl.String),
        **dict.fromkeys((f"param_{name}" for name in PARAMS), pl.String),
    }
)
METRICS: Mapping[str, type[pl.DataType]] = MappingProxyType(
    {"run": pl.String, "metric": pl.String, "value": pl.Float64}
)
VERSIONS: Mapping[str, type[pl.DataType]] = MappingProxyType(
    {"model": pl.String, "version": pl.Int64, "run": pl.String, "champion": pl.Boolean, "f1": pl.String}
)

_ACTIVE = """
    runs r JOIN experiments e USING (experiment_id)
    WHERE r.lifecycle_stage = 'active' AND e.lifecycle_stage = 'active'
    AND NOT EXISTS (SELECT 1 FROM tags p WHERE p.run_uuid = r.run_uuid AND p.key = 'mlflow.parentRunId')
"""
_RUN_ROWS = f"SELECT r.run_uuid, e.name, r.name, r.status, r.start_time, r.end_time, r.artifact_uri FROM {_ACTIVE}"
_METRIC_ROWS = f"""
    SELECT m.run_uuid, m.key, m.value FROM latest_metrics m
    WHERE NOT m.is_nan AND m.run_uuid IN (SELECT r.run_uuid FROM {_ACTIVE})
"""
_VERSION_ROWS = """
    SELECT v.name, v.version, v.run_id, a.alias IS NOT NULL, t.value FROM model_versions v
    LEFT JOIN registered_model_aliases a ON a.name = v.name AND a.version = v.version AND a.alias = 'champion'
    LEFT JOIN model_version_tags t ON t.name = v.name AND t.version = v.version AND t.key = 'f1'
    WHERE v.current_stage IS NOT 'Deleted_Internal'
"""
"""MLflow keeps the rows and tags of versions that were deleted, and its client leaves them out."""

Artifact = Callable[[Mapping[str, Any], str], str | None]
"""Text of an artefact of a run (a row of the runs), ``None`` where it is missing."""


@dataclass(frozen=True)
class Snapshot:
    """What a store holds at one moment.

    Attributes:
        runs: one row a run that is not nested, columns as :data:`RUNS`; times in milliseconds since 1970.
        metrics: ``run``, ``metric``, ``value``; the newest value of each.
        versions: registered models: ``model``, ``version``, the ``run`` that made it, whether it holds the alias
            ``champion``, and its tag ``f1``.
        place: where the store is, for messages.
        artifact: reads the text of an artefact.
    """

    runs: pl.DataFrame
    metrics: pl.DataFrame
    versions: pl.DataFrame
    place: str
    artifact: Artifact = field(repr=False, compare=False)

    def numbers(self, run: str) -> dict[str, float]:
        """Return the metrics of a run by name."""
        return self._numbers.get(run, {})

    def table(self, run: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
        """Return the rows of a stored table; none where it is missing or no table.

        Args:
            run: a row of :attr:`runs`.
            name: as it was given to :meth:`utils.tracking.Run.log_table`.
        """
        text = self.artifact(run, f"tables/{name}.json")
        with contextlib.suppress(ValueError, KeyError, TypeError):
            read = json.loads(text or "")
            columns = [str(column) for column in read["columns"]]
            return [dict(zip(columns, row, strict=True)) for row in read["data"]]
        return []

    @functools.cached_property
    def f1_of_versions(self) -> dict[str, list[tuple[str | None, str]]]:
        """The run and the tag ``f1`` of every registered version that has one, by model; champions first."""
        found: dict[str, list[tuple[str | None, str]]] = {}
        known = self.versions.drop_nulls("f1").sort("champion", "version", descending=True)
        for model, run, text in known.select("model", "run", "f1").iter_rows():
            found.setdefault(model, []).append((run, text))
        return found

    @functools.cached_property
    def entered(self) -> dict[str, int]:
        """When each data set entered the store, as a place in that order."""
        names = self.runs.drop_nulls("data_set")["data_set"].unique(maintain_order=True)
        return {name: place for place, name in enumerate(names)}

    @functools.cached_property
    def _numbers(self) -> dict[str, dict[str, float]]:
        found: dict[str, dict[str, float]] = {}
        for run, metric, value in self.metrics.iter_rows():
            found.setdefault(run, {})[metric] = value
        return found


def read() -> Snapshot:
    """Read the laboratory's store, or the one that ``MLFLOW_TRACKING_URI`` names; one that is not made yet is empty.

    Raises:
        TrackingError: if the store cannot be read.
    """
    path = store.store_file(store.store_uri())
    if path is None:
        return of_server(store.open_store(write=False))
    return of_file(path) if path.exists() else _empty(path)


def of_file(path: Path) -> Snapshot:
    """Read a SQLite store; its artefacts are in ``mlartifacts`` beside it.

    Raises:
        TrackingError: if there is no such file, or it is no MLflow store that can be read.
    """
    if not path.exists():
        raise TrackingError(f"there is no MLflow store at {path}: make one by running a notebook (make run)")
    store.schema_revision(path)
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            rows = database.execute(_RUN_ROWS).fetchall()
            tags = _by_run(database.execute(_chosen("tags", tuple(TAGS))), TAGS)
            params = _by_run(database.execute(_chosen("params", PARAMS)), {name: f"param_{name}" for name in PARAMS})
            metrics = database.execute(_METRIC_ROWS).fetchall()
            versions = database.execute(_VERSION_ROWS).fetchall()
    except sqlite3.Error as error:
        raise TrackingError(
            f"{path} cannot be read as an MLflow store ({error}): is it of another version, or in use?"
        ) from error
    plain = list(RUNS)[:7]
    found = [dict(zip(plain, row, strict=True)) | tags.get(row[0], {}) | params.get(row[0], {}) for row in rows]
    return Snapshot(
        _runs(found),
        pl.DataFrame(metrics, schema=METRICS, orient="row"),
        pl.DataFrame([(*row[:3], bool(row[3]), row[4]) for row in versions], schema=VERSIONS, orient="row"),
        str(path),
        functools.partial(_file_beside, path.parent / FOLDER),
    )


def of_server(client: "MlflowClient") -> Snapshot:
    """Read a store through MLflow's client.

    Raises:
        TrackingError: if the server does not answer as an MLflow server does.
    """
    from mlflow.exceptions import MlflowException

    try:
        names = {entry.experiment_id: entry.name for entry in store.pages(client.search_experiments)}
        found = store.pages(client.search_runs, list(names)) if names else ()
        entries = [run for run in found if PARENT not in run.data.tags]
        versions = _versions(client)
    except MlflowException as error:
        raise TrackingError(f"the store at {store.store_uri()} cannot be read: {error}") from error
    metrics = [(run.info.run_id, key, value) for run in entries for key, value in run.data.metrics.items()]
    return Snapshot(
        _runs([_described(run, names[run.info.experiment_id]) for run in entries]),
        pl.DataFrame(metrics, schema=METRICS, orient="row").filter(pl.col("value").is_finite()),
        pl.DataFrame(versions, schema=VERSIONS, orient="row"),
        store.store_uri(),
        _over_http,
    )


def _empty(path: Path) -> Snapshot:
    runs, metrics, versions = (pl.DataFrame(schema=schema) for schema in (RUNS, METRICS, VERSIONS))
    return Snapshot(runs, metrics, versions, str(path), functools.partial(_file_beside, path.parent / FOLDER))


def _chosen(table: str, keys: tuple[str, ...]) -> str:
    """Query of the rows of a table of keys and values that have one of these keys."""
    return f"SELECT run_uuid, key, value FROM {table} WHERE key IN ({', '.join(map(repr, keys))})"


def _by_run(rows: Any, columns: Mapping[str, str]) -> dict[str, dict[str, str]]:  # noqa: ANN401 (a cursor)
    found: dict[str, dict[str, str]] = {}
    for run, key, value in rows:
        found.setdefault(run, {})[columns[key]] = value
    return found


def _runs(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=RUNS).sort("started", "run")


def _described(run: Any, experiment: str) -> dict[str, Any]:  # noqa: ANN401 (a run of MLflow)
    info, tags, params = run.info, run.data.tags, run.data.params
    plain = (info.run_id, experiment, info.run_name, info.status, info.start_time, info.end_time, info.artifact_uri)
    return (
        dict(zip(RUNS, plain, strict=False))
        | {column: tags[key] for key, column in TAGS.items() if key in tags}
        | {f"param_{name}": params[name] for name in PARAMS if name in params}
    )


def _versions(client: "MlflowClient") -> list[tuple[str, int, str | None, bool, str | None]]:
    holders = {
        model.name: int(model.aliases[CHAMPION])
        for model in store.pages(client.search_registered_models)
        if CHAMPION in model.aliases
    }
    found = store.pages(client.search_model_versions)
    return [
        (one.name, int(one.version), one.run_id, holders.get(one.name) == int(one.version), one.tags.get("f1"))
        for one in found
    ]


def _file_beside(folder: Path, run: Mapping[str, Any], path: str) -> str | None:
    """Read an artefact of a run of a SQLite store."""
    place = str(run["artifacts"] or "")
    if place.startswith(SCHEME):
        file = folder / place.removeprefix(SCHEME) / path
    else:
        file = Path(place.removeprefix("file://")) / path
    with contextlib.suppress(OSError, ValueError):
        return file.read_text(encoding="utf-8")
    return None


def _over_http(run: Mapping[str, Any], path: str) -> str | None:
    """Fetch an artefact of a run from where a server keeps it."""
    import mlflow.artifacts
    from mlflow.exceptions import MlflowException

    with contextlib.suppress(MlflowException, OSError):
        return str(mlflow.artifacts.load_text(f"runs:/{run['run']}/{path}"))
    return None
