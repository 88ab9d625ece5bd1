"""Where the MLflow store is, whether it can be used, and how it is made."""

import contextlib
import functools
import logging
import os
import sqlite3
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from utils import settings
from utils.artifact_store import SQLITE
from utils.errors import TrackingError

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

ENVIRONMENT = MappingProxyType(
    {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
        "MLFLOW_UV_AUTO_DETECT": "false",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
        "GIT_PYTHON_REFRESH": "quiet",
    }
)
"""What MLflow must find in the environment before it is imported; a value that is already set stands."""

VARIABLE = "MLFLOW_TRACKING_URI"
SQLITE_HEADER = b"SQLite format 3\x00"
LOCK_SECONDS = 120.0
SERVER_SECONDS = 5.0
IN_USE = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
"""What SQLite says of a database that another process is writing; of extended codes the last byte."""

PAGE = 1_000
"""Most entries that MLflow gives at once."""


def pages(search: Callable[..., Any], *arguments: object, **options: object) -> Iterator[Any]:
    """All that a search of MLflow's client finds, page by page.

    Args:
        search: a method of the client, such as ``client.search_runs``.
        arguments: given to it.
        options: given to it.
    """
    token = None
    while True:
        page = search(*arguments, **options, max_results=PAGE, page_token=token)
        yield from page
        if not (token := page.token):
            return


def store_uri() -> str:
    """Return the address of the MLflow store, absolute whatever the working directory is.

    Raises:
        TrackingError: if ``MLFLOW_TRACKING_URI`` names a kind of store that cannot be used.
    """
    now = settings.current()
    uri = now.tracking_uri or f"{SQLITE}{now.store_file.as_posix()}"
    if uri.startswith(("http://", "https://")):
        return uri.rstrip("/")
    if not uri.startswith(SQLITE):
        raise TrackingError(
            f"MLFLOW_TRACKING_URI must start with sqlite:///, http:// or https://, found {uri!r}: correct or unset it"
        )
    try:
        path = Path(uri.removeprefix(SQLITE)).expanduser().resolve()
    except RuntimeError as error:
        raise TrackingError(f"MLFLOW_TRACKING_URI names a user that there is not, found {uri!r}: correct it") from error
    if "?" in str(path):
        raise TrackingError(f"{path} has a question mark in its name, which MLflow cannot address: rename the folder")
    if unquote(str(path)) != str(path):  # MLflow would write to the folder that the decoded name means
        raise TrackingError(f"{path} has an escape such as %20 in its name, which MLflow decodes: rename the folder")
    return f"{SQLITE}{path.as_posix()}"


def store_file(uri: str) -> Path | None:
    """Return the database file behind a store address, ``None`` for a server."""
    return Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None


def open_store(*, write: bool = True) -> "MlflowClient":
    """Connect to the store; with ``write``, make it first where there is none.

    A new store is built under another name and renamed when it is complete, under a file lock: several processes may
    start their first runs at once, and an interrupted one leaves nothing behind.

    Raises:
        TrackingError: if the store is missing, unreadable, read-only, or made by another MLflow version, or if no
            server answers.
    """
    uri = store_uri()
    path = store_file(uri)
    if path is None:
        check_server(uri)
    elif write:
        _make(path)
    elif not path.exists():
        raise TrackingError(f"there is no MLflow store at {path}: make one by running a notebook (make run)")
    _import_mlflow()
    if path is not None:
        check_file(path)
    if path is not None and write:
        _check_writable(path)
    return _connect(uri)


@contextlib.contextmanager
def stored(what: str) -> Iterator[None]:
    """Turn whatever MLflow, SQLite or the file system says into one sentence about ``what``.

    Raises:
        TrackingError: if the body fails.
    """
    import sqlalchemy.exc
    from mlflow.exceptions import MlflowException

    failures = (MlflowException, OSError, sqlite3.Error, sqlalchemy.exc.SQLAlchemyError, ValueError, TypeError)
    try:
        yield
    except failures as error:
        raise TrackingError(f"{what} could not be stored in {_place()}: {_reason(error)}") from error


def check_file(path: Path) -> None:
    """Refuse a file that is no store of the installed MLflow version, before MLflow could change it.

    Raises:
        TrackingError: if the file is no database, no MLflow store, or of another version.
    """
    found = schema_revision(path)
    expected = _expected_revision()
    if found != expected:
        import mlflow

        raise TrackingError(
            f"{path} was made by another MLflow version (schema {found}, expected {expected} of MLflow "
            f"{mlflow.__version__}): back it up and run 'mlflow db upgrade {SQLITE}{path}', or move it away"
        )


def schema_revision(path: Path) -> str:
    """Read the schema revision of a store file without changing it.

    Raises:
        TrackingError: if the file is no readable MLflow store, or another process keeps it locked.
    """
    remedy = "move it away, and the next run makes a new store"
    try:
        with path.open("rb") as file:
            header = file.read(len(SQLITE_HEADER))
    except OSError as error:
        raise TrackingError(f"the MLflow store {path} cannot be read ({error.strerror}): check its rights") from error
    if header != SQLITE_HEADER:
        raise TrackingError(f"{path} must be an MLflow store but is no SQLite database: {remedy}")
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            row = database.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        if in_use(error):
            raise TrackingError(f"the MLflow store {path} is being written by another process: try again") from error
        raise TrackingError(f"{path} is a SQLite database but no MLflow store ({error}): {remedy}") from error
    return str(row[0]) if row else "none"


def in_use(error: sqlite3.Error) -> bool:
    """Whether a database could not be read only because another process is writing it."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in IN_USE


def _make(path: Path) -> None:
    if path.exists():
        return
    from filelock import FileLock, Timeout

    lock = path.with_name(f"{path.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock, timeout=LOCK_SECONDS):
            if not path.exists():
                _build(path)
    except Timeout as error:
        raise TrackingError(
            f"the MLflow store {path} is being made by another process for more than {LOCK_SECONDS:.0f} s: "
            f"wait for it, or delete {lock.name} if there is none"
        ) from error
    except OSError as error:
        raise _unwritable(path.parent, error) from error


def _build(path: Path) -> None:
    import sqlalchemy.exc

    _import_mlflow()
    from mlflow.exceptions import MlflowException
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        store = SqlAlchemyStore(f"{SQLITE}{part.as_posix()}", "mlflow-artifacts:/")
        store.engine.dispose()
        with contextlib.closing(sqlite3.connect(part)) as database:
            with database:
                database.execute("UPDATE experiments SET artifact_location = 'mlflow-artifacts:/0'")
            database.execute("VACUUM")
        part.replace(path)
    except (sqlite3.Error, sqlalchemy.exc.SQLAlchemyError, MlflowException) as error:
        raise _unwritable(path.parent, error) from error
    finally:
        for leftover in path.parent.glob(f"{part.name}*"):
            leftover.unlink()


def _connect(uri: str) -> "MlflowClient":
    import mlflow
    from mlflow.tracking import MlflowClient

    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    with stored("the connection"):
        return MlflowClient(uri, uri)


def _import_mlflow() -> None:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "IProgress not found")  # MLflow's bars are off, so they need no widgets
        import mlflow  # noqa: F401
        import tqdm.auto  # noqa: F401

    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # each failure is raised as well


@functools.cache
def _expected_revision() -> str:
    from mlflow.store.db.utils import _get_latest_schema_revision

    return str(_get_latest_schema_revision())


def check_server(uri: str, named: str = VARIABLE) -> None:
    """Refuse an address where no MLflow server answers.

    Args:
        uri: the address.
        named: what names it, for the sentence.

    Raises:
        TrackingError: if none answers.
    """
    import requests

    try:
        answer = requests.get(f"{uri}/health", timeout=SERVER_SECONDS)
        found = f"status {answer.status_code}"
    except requests.RequestException as error:
        found = type(error).__name__
    else:
        if answer.ok:
            return
    remedy = "unset the variable" if named == VARIABLE else "correct the address"
    raise TrackingError(f"{named} names {uri}, where no MLflow server answers ({found}): start it, or {remedy}")


def _check_writable(path: Path) -> None:
    for needed in (path, path.parent):
        if not os.access(needed, os.W_OK):
            raise _unwritable(needed, PermissionError(13, "read-only"))


def _unwritable(path: Path, error: Exception) -> TrackingError:
    return TrackingError(
        f"the MLflow store in {path} cannot be written ({_reason(error)}): "
        "make the folder writable, make room, or set MLFLOW_TRACKING_URI to another place"
    )


def _place() -> str:
    return store_uri().removeprefix(SQLITE)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
