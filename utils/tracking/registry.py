"""What the registry holds, read without importing MLflow where the store is a file of this machine.

A service starts in a second or two less, and looks at the alias with one question to the database. Stores that are
servers, and models that skops did not write, are read through MLflow.
"""

import contextlib
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from utils.artifact_store import FOLDER
from utils.errors import TrackingError
from utils.tracking.models import CHAMPION, PACKED, load_address, load_packed
from utils.tracking.store import in_use, open_store, pages, store_file, store_uri

if TYPE_CHECKING:
    from mlflow.entities.model_registry import RegisteredModel

SCHEME = "mlflow-artifacts"

_HOLDERS = "SELECT name, version FROM registered_model_aliases WHERE alias = ? ORDER BY name"
_NAMES = "SELECT name FROM registered_models ORDER BY name"
_VERSION = (
    "SELECT description, storage_location, source FROM model_versions "
    "WHERE name = ? AND version = ? AND current_stage IS NOT 'Deleted_Internal'"
)
_TAGS = "SELECT key, value FROM model_version_tags WHERE name = ? AND version = ?"


@dataclass(frozen=True)
class Version:
    """One version of a registered model.

    Attributes:
        name: registered name.
        number: of the version.
        card: its model card, in Markdown.
        tags: its tags: data, commit, and metrics as text.
        folder: where its files are, if they are on this machine.
    """

    name: str
    number: int
    card: str
    tags: Mapping[str, str]
    folder: Path | None = None


@dataclass(frozen=True)
class Loaded:
    """A model that was loaded, and the small text files beside it.

    Attributes:
        version: what was loaded.
        model: the model.
        texts: files beside the model by name: card, profile, examples.
    """

    version: Version
    model: Any
    texts: Mapping[str, str]


def names() -> tuple[str, ...]:
    """Names of all registered models.

    Raises:
        TrackingError: if the store cannot be read.
    """
    if store_file(store_uri()) is None:
        return tuple(sorted(one.name for one in _registered()))
    with _database() as database:
        return tuple(name for (name,) in database.execute(_NAMES))


def holders(alias: str = CHAMPION) -> dict[str, int]:
    """Which version of each registered model holds an alias; models without one are left out.

    Raises:
        TrackingError: if the store cannot be read.
    """
    if store_file(store_uri()) is None:
        return {one.name: int(one.aliases[alias]) for one in _registered() if alias in one.aliases}
    with _database() as database:
        return {name: int(version) for name, version in database.execute(_HOLDERS, (alias,))}


def version_of(name: str, number: int) -> Version:
    """Look up one version.

    Raises:
        TrackingError: if there is no such version or the store cannot be read.
    """
    if store_file(store_uri()) is None:
        with _told(name, number):
            found = open_store(write=False).get_model_version(name, str(number))
        return Version(name, number, str(found.description or ""), dict(found.tags or {}))
    with _database() as database:
        row = database.execute(_VERSION, (name, number)).fetchone()
        tags = dict(database.execute(_TAGS, (name, number)).fetchall())
    if row is None:
        raise TrackingError(f"version {number} of model {name!r} is not in {store_uri()}: register it first")
    return Version(name, number, str(row[0] or ""), tags, _folder(str(row[1] or row[2] or "")))


def load(version: Version) -> Loaded:
    """Load the model of a version and the texts beside it.

    Raises:
        TrackingError: if it cannot be loaded.
    """
    address = f"models:/{version.name}/{version.number}"
    if version.folder is not None and (version.folder / PACKED).is_file():
        return Loaded(version, load_packed(version.folder / PACKED, address), _texts(version.folder))
    if version.folder is not None:
        return Loaded(version, load_address(address), _texts(version.folder))
    with _told(version.name, version.number), tempfile.TemporaryDirectory() as temporary:
        open_store(write=False)
        import mlflow

        folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=address, dst_path=temporary))
        packed = folder / PACKED
        model = load_packed(packed, address) if packed.is_file() else load_address(address)
        return Loaded(version, model, _texts(folder))


def _registered() -> "Iterator[RegisteredModel]":
    """All registered models of a server."""
    return pages(open_store(write=False).search_registered_models)


def import_skops_lightly() -> None:
    """Import skops without all of scikit-learn, in a process that loads registered models and nothing else.

    To list the estimators that it trusts, skops imports every module of scikit-learn, and with them whatever those
    look for (dask, pytest). Here the list stays empty, and :func:`utils.tracking.models.load_packed` looks up the
    estimators of its file one by one. Models that MLflow itself loads by skops cannot be read in such a process.
    """
    import sklearn.utils

    walk = sklearn.utils.all_estimators
    sklearn.utils.all_estimators = lambda *arguments, **options: []
    try:
        import skops.io  # type: ignore[import-untyped]  # noqa: F401
    finally:
        sklearn.utils.all_estimators = walk


@contextlib.contextmanager
def _database() -> Iterator[sqlite3.Connection]:
    """The store's file, opened for reading only.

    Raises:
        TrackingError: if it is missing or no store.
    """
    file = store_file(store_uri())
    if file is None or not file.exists():
        raise TrackingError(f"there is no MLflow store at {file}: make one by running a notebook (make run)")
    try:
        with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
            yield database
    except sqlite3.Error as error:
        remedy = "try again" if in_use(error) else "restore it, or move it away"
        raise TrackingError(f"the MLflow store {file} cannot be read ({error}): {remedy}") from error


def _folder(location: str) -> Path | None:
    """Folder of artefacts beside the store's file; nothing for any other place.

    Raises:
        TrackingError: if the address leads out of the folder of artefacts.
    """
    parts = urlsplit(location)
    file = store_file(store_uri())
    if parts.scheme != SCHEME or file is None:
        return None
    root = (file.parent / FOLDER).resolve()
    folder = (root / unquote(parts.path).lstrip("/")).resolve()
    if not folder.is_relative_to(root):
        raise TrackingError(f"{location} leads out of {FOLDER}: an artefact address must stay inside it")
    return folder


def _texts(folder: Path) -> dict[str, str]:
    """Texts beside a model, by name.

    Raises:
        TrackingError: if one cannot be read.
    """
    files = sorted(file for kind in ("*.json", "*.md") for file in folder.glob(kind))
    try:
        return {file.name: file.read_text(encoding="utf-8") for file in files}
    except (OSError, UnicodeDecodeError) as error:
        raise TrackingError(f"a text beside the model {folder} cannot be read ({error}): register it again") from error


@contextlib.contextmanager
def _told(name: str, number: int) -> Iterator[None]:
    """Turn whatever MLflow says of a version into one sentence.

    Raises:
        TrackingError: if the body fails.
    """
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TrackingError(
            f"version {number} of model {name!r} cannot be read from {store_uri()} ({said}): register it again"
        ) from error
