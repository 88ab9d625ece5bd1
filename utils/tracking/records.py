"""Records of a store's database, copied into the database behind a tracking server.

Runs, logged models, registered models and all that belongs to them keep their identifiers, times and steps, which the
interface of a server would give anew. Numbers that the target has given to others already are replaced wherever they
are written: those of experiments, and versions of registered models. What the target holds is never changed, but for
runs that were copied while they were open: they are copied again.
"""

import contextlib
import re
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from utils.errors import TrackingError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Table

EXPERIMENTS, RUNS, VERSIONS, ALIASES = "experiments", "runs", "model_versions", "registered_model_aliases"
TABLES = (
    EXPERIMENTS,
    "experiment_tags",
    RUNS,
    "params",
    "metrics",
    "latest_metrics",
    "tags",
    "datasets",
    "inputs",
    "input_tags",
    "logged_models",
    "logged_model_params",
    "logged_model_metrics",
    "logged_model_tags",
    "registered_models",
    "registered_model_tags",
    VERSIONS,
    "model_version_tags",
    ALIASES,
)
"""Tables that are copied, those that others refer to first."""

OF_VERSIONS = frozenset({VERSIONS, "model_version_tags", ALIASES})
OF_RUNS = ("tags", "params", "metrics", "latest_metrics", RUNS)
NOT_OURS = frozenset({"workspaces", "alembic_version", "scheduler_leases", "job_locks"})
OPEN = ("RUNNING", "SCHEDULED")
DIALECTS = ("postgresql", "sqlite")
ROWS = 500
"""Rows of one statement: PostgreSQL takes 65,535 values in one, SQLite 32,766."""

RUNS_AT_ONCE = 20
"""Runs that are compared at once."""

NO_STORE = "holds no MLflow store: start the server on it once, which makes one"
NOTE = "mlflow.note.content"
VERSION_TAG = "model.version"
_LINK = re.compile(r"#/experiments/(\d+)")
_LOCK = f"LOCK TABLE {EXPERIMENTS}, registered_models, {VERSIONS}, {ALIASES} IN SHARE ROW EXCLUSIVE MODE"
_SEQUENCE = f"pg_get_serial_sequence('{EXPERIMENTS}', 'experiment_id')"
_PAST = f"SELECT setval({_SEQUENCE}, greatest(max(experiment_id), nextval({_SEQUENCE}))) FROM {EXPERIMENTS}"

Row = dict[str, Any]
Version = tuple[str, str, int]
"""Workspace, registered name and number."""


@dataclass(frozen=True)
class Numbers:
    """Numbers of the source that mean the same in the target.

    Attributes:
        experiments: number of each experiment there, by its number here.
        versions: number of each registered version there.
        data_sets: identifier of each data set there.
        renumbered: other numbers of the versions that a run made, by the run.
    """

    experiments: Mapping[int, int]
    versions: Mapping[Version, int]
    data_sets: Mapping[str, str]
    renumbered: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def row(self, table: str, row: Row) -> Row:
        """Rewrite a row of a table."""
        made = dict(row)
        if "experiment_id" in made and made["experiment_id"] is not None:
            made["experiment_id"] = self.experiments[int(made["experiment_id"])]
        if table in OF_VERSIONS:
            version = (made["workspace"], made["name"], made["version"])
            made["version"] = self.versions.get(version, made["version"])
        if table == "inputs" and made["source_type"] == "DATASET":
            made["source_id"] = self.data_sets.get(made["source_id"], made["source_id"])
        if table == "datasets":
            made["dataset_uuid"] = self.data_sets.get(made["dataset_uuid"], made["dataset_uuid"])
        if made.get("key") == NOTE and made["value"]:
            made["value"] = _LINK.sub(self._link, made["value"])
        if table == "tags" and made["key"] == VERSION_TAG:
            made["value"] = self.renumbered.get(made["run_uuid"], {}).get(made["value"], made["value"])
        return made

    def _link(self, found: re.Match[str]) -> str:
        number = int(found[1])
        return f"#/experiments/{self.experiments.get(number, number)}"


@dataclass(frozen=True)
class Compared:
    """What a target holds of a source.

    Attributes:
        rows: rows of the source.
        missing: how many of them the target has not.
        other: how many the target holds with other values.
    """

    rows: int
    missing: int
    other: int


@contextlib.contextmanager
def snapshot(file: Path, folder: Path) -> Iterator["Engine"]:
    """Open a copy of a store as it is now; the store itself is only read, and stays free for others.

    Args:
        file: the store's database.
        folder: where the copy is kept meanwhile.

    Raises:
        TrackingError: if it cannot be read.
    """
    copied = folder / "snapshot.db"
    with (
        told(str(file)),
        contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as given,
        contextlib.closing(sqlite3.connect(copied)) as made,
    ):
        given.backup(made)
    with engine(f"sqlite:///{copied.as_posix()}") as opened:
        yield opened


@contextlib.contextmanager
def engine(uri: str) -> Iterator["Engine"]:
    """Connect to a database that holds an MLflow store of the installed version.

    Args:
        uri: address as SQLAlchemy takes it, such as ``postgresql+psycopg://mlflow@host:5432/mlflow``.

    Raises:
        TrackingError: if it is of another kind, does not answer, or holds no such store.
    """
    opened = _engine(uri)
    shown = opened.url.render_as_string()
    try:
        with told(shown), opened.connect() as connection:
            _check_revision(connection, shown)
        yield opened
    finally:
        opened.dispose()


@contextlib.contextmanager
def told(what: str) -> Iterator[None]:
    """Turn whatever a database says into one sentence.

    Raises:
        TrackingError: if the body fails.
    """
    import sqlalchemy.exc

    try:
        yield
    except (sqlalchemy.exc.SQLAlchemyError, sqlite3.Error) as error:
        origin = getattr(error, "orig", None) or error
        said = next(iter(str(origin).strip().splitlines()), type(error).__name__)
        raise TrackingError(f"{what} could not be read or written ({said}): nothing was changed in it") from error


def copy(source: "Engine", target: "Engine", *, dry_run: bool = False) -> tuple[dict[str, int], Numbers]:
    """Copy what the target has not, in one transaction: all of it, or nothing.

    Args:
        source: database of the store.
        target: database behind the server.
        dry_run: take everything back at the end.

    Returns:
        How many rows of each table are new, and the numbers that they have there.

    Raises:
        TrackingError: if a database fails.
    """
    import sqlalchemy as sa

    with told(target.url.render_as_string()), source.connect() as given, target.connect() as taking:
        if postgres := target.dialect.name == "postgresql":
            taking.execute(sa.text(_LOCK))
        numbers = matched(given, taking)
        _forget_open(given, taking)
        new = {name: _copy_table(given, taking, name, numbers) for name in TABLES}
        if dry_run:
            taking.rollback()
            return new, numbers
        _restore(given, taking, numbers)
        if postgres and new[EXPERIMENTS]:
            taking.execute(sa.text(_PAST))
        taking.commit()
    return new, numbers


def matched(source: "Connection", target: "Connection") -> Numbers:
    """Find out which numbers stand for the same, and choose numbers for what is new."""
    experiments = _experiments(source, target)
    versions = _versions(source, target)
    renumbered: dict[str, dict[str, str]] = defaultdict(dict)
    for row in _rows(source, VERSIONS):
        number = versions[row["workspace"], row["name"], row["version"]]
        if number != row["version"] and row["run_id"]:
            renumbered[row["run_id"]][str(row["version"])] = str(number)
    return Numbers(experiments, versions, _data_sets(source, target, experiments), renumbered)


def compare(source: "Engine", target: "Engine", numbers: Numbers) -> Compared:
    """Read every row of the source back from the target.

    Raises:
        TrackingError: if a database fails.
    """
    rows = missing = other = 0
    with told(target.url.render_as_string()), source.connect() as given, target.connect() as held:
        for name in TABLES:
            keys = [column.name for column in _table(name).primary_key]
            for part, there in _beside(given, held, name, numbers):
                expected = {tuple(row[key] for key in keys): row for row in part}
                found = {tuple(row[key] for key in keys): row for row in there}
                rows += len(expected)
                missing += len(expected.keys() - found.keys())
                if name != EXPERIMENTS:  # they are matched by name, whatever else they say
                    other += sum(found[key] != expected[key] for key in expected.keys() & found.keys())
    return Compared(rows, missing, other)


def experiments(target: "Engine") -> set[tuple[int, str]]:
    """Numbers and names of all experiments."""
    with target.connect() as held:
        return {(int(row["experiment_id"]), row["name"]) for row in _rows(held, EXPERIMENTS)}


def addresses(source: "Engine", columns: Mapping[str, str]) -> list[str]:
    """Distinct values of some columns, named by their tables."""
    import sqlalchemy as sa

    with source.connect() as given:
        found = [given.scalars(sa.select(_table(table).c[column])) for table, column in columns.items()]
        return sorted({value for values in found for value in values if value})


def left_out(source: "Engine") -> dict[str, int]:
    """Count rows of tables that are not copied, such as traces."""
    import sqlalchemy as sa

    with source.connect() as given:
        names = set(sa.inspect(given).get_table_names()) - set(TABLES) - NOT_OURS
        counts = {name: given.scalar(sa.text(f'SELECT count(*) FROM "{name}"')) or 0 for name in sorted(names)}
    return {name: count for name, count in counts.items() if count}


def aliases_kept(source: "Engine", target: "Engine", numbers: Numbers) -> list[str]:
    """Say which aliases name another version in the target than the source's."""
    with source.connect() as given, target.connect() as held:
        there = {(row["name"], row["alias"]): row["version"] for row in _rows(held, ALIASES)}
        wanted = [numbers.row(ALIASES, row) for row in _rows(given, ALIASES)]
    return [
        f"{row['name']}@{row['alias']} stays with version {there[key]} there; the store's is version {row['version']}"
        for row in wanted
        if there.get(key := (row["name"], row["alias"]), row["version"]) != row["version"]
    ]


def _engine(uri: str) -> "Engine":
    import sqlalchemy as sa

    try:
        url = sa.make_url(uri)
    except sa.exc.ArgumentError as error:
        raise TrackingError(
            "--to must be the address of a database, such as postgresql+psycopg://mlflow@127.0.0.1:5432/mlflow, found "
            f"{uri!r}: name the server's --backend-store-uri"
        ) from error
    shown, kind = url.render_as_string(), url.get_backend_name()
    if kind not in DIALECTS:
        raise TrackingError(f"--to must start with {' or '.join(DIALECTS)}, found {shown}: name another database")
    if kind == "sqlite" and not Path(url.database or "").is_file():  # SQLite would make it
        raise TrackingError(f"{shown} {NO_STORE}")
    try:
        return sa.create_engine(url)
    except (ModuleNotFoundError, sa.exc.NoSuchModuleError) as error:
        raise TrackingError(
            f"{shown} needs a driver that is not installed ({error}): install the extra postgres"
        ) from error


def _check_revision(connection: "Connection", shown: str) -> None:
    import sqlalchemy as sa
    from mlflow.store.db.utils import _get_latest_schema_revision

    found = None
    if sa.inspect(connection).has_table("alembic_version"):
        found = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    if found is None:
        raise TrackingError(f"{shown} {NO_STORE}")
    expected = _get_latest_schema_revision()
    if found != expected:
        raise TrackingError(
            f"{shown} was made by another MLflow version (schema {found}, expected {expected}): "
            "upgrade the older side with 'mlflow db upgrade', after a backup"
        )


def _table(name: str) -> "Table":
    import mlflow.store.model_registry.dbmodels.models
    import mlflow.store.tracking.dbmodels.models  # noqa: F401 (both fill the list of tables)
    from mlflow.store.db.base_sql_model import Base

    return cast("Table", Base.metadata.tables[name])


def _rows(connection: "Connection", name: str) -> list[Row]:
    table = _table(name)
    return [dict(row) for row in connection.execute(table.select().order_by(*table.primary_key)).mappings()]


def _parts(connection: "Connection", table: "Table") -> Iterator[list[Row]]:
    """Rows of a table, some hundred at a time."""
    found = connection.execution_options(yield_per=ROWS).execute(table.select())
    for part in found.mappings().partitions():
        yield [dict(row) for row in part]


def _beside(
    source: "Connection", target: "Connection", name: str, numbers: Numbers
) -> Iterator[tuple[list[Row], list[Row]]]:
    """Rows of a table as they should be in the target, and those that are there: of some runs, or some hundred rows."""
    import sqlalchemy as sa

    table = _table(name)
    if name in OF_RUNS:  # whole runs: a question for each row would let a database look through all others
        runs = sorted(source.scalars(sa.select(_table(RUNS).c.run_uuid)))
        for k in range(0, len(runs), RUNS_AT_ONCE):
            chosen = table.select().where(table.c.run_uuid.in_(runs[k : k + RUNS_AT_ONCE]))
            given, held = ([dict(row) for row in side.execute(chosen).mappings()] for side in (source, target))
            yield [numbers.row(name, row) for row in given], held
        return
    keys = [table.c[column.name] for column in table.primary_key]
    for part in _parts(source, table):
        wanted = [numbers.row(name, row) for row in part]
        chosen = table.select().where(sa.tuple_(*keys).in_([tuple(row[key.name] for key in keys) for row in wanted]))
        yield wanted, [dict(row) for row in target.execute(chosen).mappings()]


def _copy_table(source: "Connection", target: "Connection", name: str, numbers: Numbers) -> int:
    table = _table(name)
    adding, counted = _insert(target)(table).on_conflict_do_nothing(), {"preserve_rowcount": True}
    new = 0
    for part in _parts(source, table):
        rows = [numbers.row(name, row) for row in part]
        new += target.execute(adding, rows, execution_options=counted).rowcount
    return new


def _insert(target: "Connection") -> Callable[["Table"], Any]:
    from sqlalchemy.dialects import postgresql, sqlite

    return postgresql.insert if target.dialect.name == "postgresql" else sqlite.insert


def _experiments(source: "Connection", target: "Connection") -> dict[int, int]:
    """Number of each experiment in the target: that of the same name, else its own or the next that is free."""
    there, here = _rows(target, EXPERIMENTS), _rows(source, EXPERIMENTS)
    named = {(row["workspace"], row["name"]): int(row["experiment_id"]) for row in there}
    taken = {int(row["experiment_id"]) for row in there}
    free = max([*taken, *(int(row["experiment_id"]) for row in here)], default=0) + 1
    made: dict[int, int] = {}
    for row in here:
        number, name = int(row["experiment_id"]), (row["workspace"], row["name"])
        made[number] = named.get(name, free if number in taken else number)
        free += made[number] == free
    return made


def _versions(source: "Connection", target: "Connection") -> dict[Version, int]:
    """Number of each version in the target; where others have the numbers, the new ones come after them."""
    known: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    taken: dict[tuple[str, str], set[int]] = defaultdict(set)
    for row in _rows(target, VERSIONS):
        known[_identity(row)].append(row["version"])
        taken[row["workspace"], row["name"]].add(row["version"])
    made: dict[Version, int] = {}
    new: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in _rows(source, VERSIONS):
        model = (row["workspace"], row["name"])
        if same := known.get(_identity(row)):
            made[*model, row["version"]] = same.pop(0)
        else:
            new[model].append(row["version"])
    for model, numbers in new.items():
        last = max(taken[model], default=0)
        given = numbers if not taken[model] & set(numbers) else range(last + 1, last + 1 + len(numbers))
        made |= {(*model, number): there for number, there in zip(numbers, given, strict=True)}
    return made


def _identity(row: Row) -> tuple[Any, ...]:
    """What tells versions of a model apart, whatever their numbers."""
    return row["workspace"], row["name"], row["source"], row["creation_time"]


def _data_sets(source: "Connection", target: "Connection", experiments: Mapping[int, int]) -> dict[str, str]:
    there = {
        (row["experiment_id"], row["name"], row["digest"]): row["dataset_uuid"] for row in _rows(target, "datasets")
    }
    keys = {
        row["dataset_uuid"]: (experiments[int(row["experiment_id"])], row["name"], row["digest"])
        for row in _rows(source, "datasets")
    }
    return {uuid: there[key] for uuid, key in keys.items() if key in there}


def _forget_open(source: "Connection", target: "Connection") -> None:
    """Take runs out of the target that were copied while they were open and have ended since."""
    runs = _table(RUNS)
    still = runs.select().with_only_columns(runs.c.run_uuid)
    opened = set(target.scalars(still.where(runs.c.status.in_(OPEN))))
    ended = sorted(opened & set(source.scalars(still.where(runs.c.status.not_in(OPEN)))))
    for k in range(0, len(ended), ROWS):
        for name in OF_RUNS:
            table = _table(name)
            target.execute(table.delete().where(table.c.run_uuid.in_(ended[k : k + ROWS])))


def _restore(source: "Connection", target: "Connection", numbers: Numbers) -> None:
    """Bring back experiments that were deleted in the target but are in use in the source."""
    table = _table(EXPERIMENTS)
    used = [numbers.experiments[int(row["experiment_id"])] for row in _rows(source, EXPERIMENTS) if _active(row)]
    gone = table.c.experiment_id.in_(used), table.c.lifecycle_stage == "deleted"
    target.execute(table.update().where(*gone).values(lifecycle_stage="active"))


def _active(row: Row) -> bool:
    return bool(row["lifecycle_stage"] == "active")
