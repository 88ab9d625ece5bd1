"""Moving the laboratory's store to a tracking server: artefacts through the server, records into its database.

The interface of a server gives every run a new identifier and the time of the copy, and MLflow's own command moves
folders of files to SQLite only; so records go from database to database, and addresses, links and model cards stay
true. Artefacts are copied first, records after them in one transaction: whoever sees a run sees its files. The store
is only read. A second call copies what is new, and takes up one that was interrupted.
"""

import contextlib
import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from utils.artifact_store import FOLDER, SQLITE, artifact_repository
from utils.errors import TrackingError
from utils.tracking import records
from utils.tracking.store import check_server, open_store, pages, store_file, store_uri

if TYPE_CHECKING:
    from mlflow.store.artifact.artifact_repo import ArtifactRepository
    from sqlalchemy import Engine

SCHEME = "mlflow-artifacts"
ADDRESSES = {"runs": "artifact_uri", "logged_models": "artifact_location", "model_versions": "storage_location"}
LOADED = "registered_model_meta"
"""File in which MLflow notes beside a model under which name it was loaded last; it belongs to the place."""

THREADS = 4
WEB = ("http://", "https://")

Progress = Callable[[str, int, int], None]
"""Called with what is done, how much of it is, and of how much."""


@dataclass(frozen=True)
class Moved:
    """What a move has copied, or would copy.

    Attributes:
        experiments: new experiments.
        runs: new runs.
        models: new logged models.
        versions: new versions of registered models.
        rows: new rows of all tables.
        files: new files.
        bytes: what they take.
        checked: files whose digests were compared after the copy.
        dry: whether nothing was copied.
        notes: what else is to know, one sentence each.
    """

    experiments: int
    runs: int
    models: int
    versions: int
    rows: int
    files: int
    bytes: int
    checked: int
    dry: bool
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The move in words."""
        counted = (
            f"{self.experiments:,} experiment(s), {self.runs:,} run(s), {self.models:,} model(s) with "
            f"{self.versions:,} registered version(s) ({self.rows:,} records), {self.files:,} file(s) of "
            f"{self.bytes / 1e6:,.1f} MB"
        )
        if self.dry:
            return f"Would copy {counted}."
        nothing = not (self.rows or self.files)
        found = f"the digests of all {self.checked:,} files and all records were compared: nothing is missing"
        return f"{'Nothing is new' if nothing else f'Copied {counted}'}; {found}."


def move(to: str, artifacts: str, *, dry_run: bool = False, progress: Progress | None = None) -> Moved:
    """Copy the local store to a server, and compare both afterwards.

    Args:
        to: database behind the server, as its ``--backend-store-uri`` names it.
        artifacts: address of the server, through which files go; or where it keeps them, as its
            ``--artifacts-destination`` names it: a folder, or an address such as ``s3://bucket/path``.
        dry_run: count only.
        progress: told how far the copy is.

    Returns:
        What was copied.

    Raises:
        TrackingError: if the store or the target cannot be used, the target is the store itself, or something is
            missing after the copy.
    """
    file = _source()
    _refuse_itself(file, to, artifacts)
    open_store(write=False)  # it also imports MLflow, quietly
    with (
        tempfile.TemporaryDirectory() as folder,
        records.snapshot(file, Path(folder)) as source,
        records.engine(to) as target,
    ):
        repository = _repository(artifacts, target)
        held, elsewhere = _files(source, file.parent / FOLDER)
        new = list(_new(repository, held, progress))
        if not dry_run:
            _send(repository, file.parent / FOLDER, new, progress)
        counts, numbers = records.copy(source, target, dry_run=dry_run)
        notes = _notes(source, target, numbers, elsewhere, dry_run)
        checked = 0 if dry_run else _check(repository, file.parent / FOLDER, held, progress)
        if not dry_run:
            notes += _check_records(records.compare(source, target, numbers))
    return Moved(
        experiments=counts[records.EXPERIMENTS],
        runs=counts[records.RUNS],
        models=counts["logged_models"],
        versions=counts[records.VERSIONS],
        rows=sum(counts.values()),
        files=len(new),
        bytes=sum(held[path] for path in new),
        checked=checked,
        dry=dry_run,
        notes=tuple(notes),
    )


def _source() -> Path:
    """The local store's file.

    Raises:
        TrackingError: if the store is a server, or not there.
    """
    file = store_file(store_uri())
    if file is None:
        raise TrackingError(
            f"MLFLOW_TRACKING_URI names the server {store_uri()}, but a local store is what moves: unset it, or let it "
            "name the store's file (sqlite:///...)"
        )
    if not file.exists():
        raise TrackingError(f"there is no MLflow store at {file} that could move: check ANOMALY_ROOT")
    return file


def _refuse_itself(file: Path, to: str, artifacts: str) -> None:
    """Refuse a target that is the store.

    Raises:
        TrackingError: if it is.
    """
    if to.startswith(WEB):
        raise TrackingError(
            f"--to must name the database behind the server, found {to}, which would give runs new identifiers: "
            "name its --backend-store-uri, and the server with --artifacts"
        )
    same = to.startswith(SQLITE) and Path(to.removeprefix(SQLITE)).expanduser().resolve() == file
    if same or (_local(artifacts) or Path()).resolve() == (file.parent / FOLDER).resolve():
        raise TrackingError(f"{to if same else artifacts} is the store that moves: name another place")


def _local(artifacts: str) -> Path | None:
    """The folder that an address names; nothing for other addresses."""
    parts = urlsplit(artifacts)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if "://" in artifacts else Path(artifacts).expanduser().resolve()


def _repository(artifacts: str, target: "Engine") -> "ArtifactRepository":
    """Where files go to.

    Raises:
        TrackingError: if no server answers, or it looks at another database.
    """
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    if artifacts.startswith(WEB):
        server = artifacts.rstrip("/")
        check_server(server, "--artifacts")
        _check_same(server, target)
        return artifact_repository(f"{SCHEME}:/", server, server)
    folder = _local(artifacts)
    with _told(f"the place {artifacts}"):
        return get_artifact_repository(artifacts if folder is None else folder.as_uri())


def _check_same(server: str, target: "Engine") -> None:
    """Refuse a server that does not look at the database.

    Raises:
        TrackingError: if its experiments are others.
    """
    from mlflow.entities import ViewType
    from mlflow.tracking import MlflowClient

    with _told(f"the list of experiments of {server}"):
        found = pages(MlflowClient(server, server).search_experiments, ViewType.ALL)
        names = {(int(one.experiment_id), one.name) for one in found}
    if names != (there := records.experiments(target)):
        raise TrackingError(
            f"the server {server} does not look at {target.url.render_as_string()}: it knows {len(names)} "
            f"experiment(s), the database {len(there)}; name the database that it was started with"
        )


def _files(source: "Engine", root: Path) -> tuple[dict[str, int], int]:
    """Files that the records of a store lead to, with their sizes, and how many addresses lead elsewhere.

    Raises:
        TrackingError: if an address leads out of the folder.
    """
    found: dict[str, int] = {}
    elsewhere = 0
    for address in records.addresses(source, ADDRESSES):
        parts = urlsplit(address)
        if parts.scheme != SCHEME or parts.netloc:
            elsewhere += parts.scheme != "models"
            continue
        folder = (root / unquote(parts.path).lstrip("/")).resolve()
        if not folder.is_relative_to(root.resolve()):
            raise TrackingError(f"{address} leads out of {FOLDER}: an artefact address must stay inside it")
        for file in folder.rglob("*"):
            if file.is_file() and file.name != LOADED:
                found[file.relative_to(root.resolve()).as_posix()] = file.stat().st_size
    return found, elsewhere


def _new(repository: "ArtifactRepository", held: dict[str, int], progress: Progress | None) -> Iterator[str]:
    """Files that the target has not, or not in their size."""
    folders: dict[str, list[str]] = {}
    for path in held:
        folders.setdefault(str(PurePosixPath(path).parent), []).append(path)

    def listed(folder: str) -> dict[str, int | None]:
        return {one.path: one.file_size for one in repository.list_artifacts(folder) if not one.is_dir}

    for (_, paths), there in zip(
        folders.items(), _each(listed, list(folders), "folders compared", progress), strict=True
    ):
        yield from (path for path in paths if there.get(path) != held[path])


def _send(repository: "ArtifactRepository", root: Path, paths: Sequence[str], progress: Progress | None) -> None:
    def send(path: str) -> None:
        repository.log_artifact(str(root / path), str(PurePosixPath(path).parent))

    for _ in _each(send, paths, "files copied", progress):
        pass


def _check(repository: "ArtifactRepository", root: Path, held: dict[str, int], progress: Progress | None) -> int:
    """Read every file back and compare its digest; return how many there are.

    Raises:
        TrackingError: if one differs.
    """
    with tempfile.TemporaryDirectory() as folder:

        def same(path: str) -> bool:
            copied = Path(folder) / hashlib.sha256(path.encode()).hexdigest()
            repository._download_file(path, str(copied))
            try:
                return _digest(copied) == _digest(root / path)
            finally:
                copied.unlink()

        paths = list(held)
        wrong = [
            path for path, right in zip(paths, _each(same, paths, "files checked", progress), strict=True) if not right
        ]
    if wrong:
        raise TrackingError(
            f"{len(wrong)} file(s) of the server are others than the store's, the first {wrong[0]}: "
            "delete them there, and move again"
        )
    return len(paths)


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _check_records(found: records.Compared) -> list[str]:
    """Say what the target holds with other values.

    Raises:
        TrackingError: if it lacks something.
    """
    if found.missing:
        raise TrackingError(f"{found.missing:,} of {found.rows:,} records are missing in the target: move again")
    return [f"{found.other:,} record(s) that were changed there since stay as they are there"] if found.other else []


def _notes(source: "Engine", target: "Engine", numbers: records.Numbers, elsewhere: int, dry_run: bool) -> list[str]:
    made = [] if dry_run else records.aliases_kept(source, target, numbers)
    others = {f"{name} {version}": there for (_, name, version), there in numbers.versions.items() if there != version}
    if others:
        made.append("versions got other numbers: " + ", ".join(f"{old} is {new}" for old, new in others.items()))
    if elsewhere:
        made.append(f"{elsewhere:,} address(es) of artefacts lead to other places than {FOLDER}, which were not copied")
    rest = records.left_out(source)
    if rest:
        made.append("not copied: " + ", ".join(f"{count:,} row(s) of {name}" for name, count in rest.items()))
    return made


def _each(function: Callable[[str], Any], paths: Sequence[str], what: str, progress: Progress | None) -> Iterator[Any]:
    """Call a function of files in several threads; results in order."""
    with _told(f"artefacts of the target ({what})"), ThreadPoolExecutor(THREADS) as pool:
        for done, result in enumerate(pool.map(function, paths), 1):
            if progress is not None:
                progress(what, done, len(paths))
            yield result


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn whatever MLflow or a file system says into one sentence.

    Raises:
        TrackingError: if the body fails.
    """
    import requests
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, requests.RequestException, OSError) as error:
        said = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise TrackingError(
            f"{what} could not be read or written ({said}): put that right and move again, which goes on where it was"
        ) from error
