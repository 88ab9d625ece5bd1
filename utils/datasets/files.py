"""Where the files of a data set are, and whether they are the files that the catalogue names.

A file is looked for in the cache (``data/raw/<data set>/<name>``), then in the mirror folder, where it is read in
place, then at its public address. A file that is there but has none of the accepted digests stops everything: it is
damaged or another file, and no result must rest on it.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from utils.datasets import download
from utils.datasets.catalog import Entry, FileEntry
from utils.errors import DownloadError
from utils.settings import Settings

Origin = Literal["cache", "mirror", "download"]
BLOCK = 1 << 20
HASTE = download.Patience(silence=5.0, total=60.0, attempts=2)


@dataclass(frozen=True)
class Fingerprint:
    """Digests and size of a file as it was found; the digests are written as in the catalogue."""

    sha256: str
    git_blob: str
    size: int


@dataclass(frozen=True)
class Found:
    """A verified file: where it is, which place it came from, its SHA-256 (``sha256:<hex>``) and its bytes."""

    path: Path
    origin: Origin
    sha256: str
    size: int


@dataclass(frozen=True)
class Absent:
    """A file that is in none of the places, and what was found in each."""

    reason: str


def fingerprint(path: Path) -> Fingerprint:
    """Compute both kinds of digest in one pass.

    ``git-blob`` is the object id of Git: SHA-1 of ``"blob <length>"``, a zero byte and the content
    (Chacon and Straub, Pro Git, chapter 10.2).

    Returns:
        Both digests, and the bytes that were read.

    Raises:
        OSError: if the file cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        sha256 = hashlib.sha256()
        git_blob = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        while block := file.read(BLOCK):
            sha256.update(block)
            git_blob.update(block)
    return Fingerprint(f"sha256:{sha256.hexdigest()}", f"git-blob:{git_blob.hexdigest()}", size)


def verify(file: FileEntry, path: Path, remedy: str, *, shown: str = "") -> Fingerprint:
    """Check that a file is the one that the catalogue names.

    Args:
        file: what the catalogue says.
        path: the file.
        remedy: end of the sentence that refuses a wrong file.
        shown: how to name the file in that sentence, if not by its path.

    Returns:
        Digests and size of the file.

    Raises:
        DownloadError: if the file cannot be read or none of the accepted digests is its own.
    """
    try:
        found = fingerprint(path)
    except OSError as error:
        raise DownloadError(f"{path} cannot be read ({error.strerror}): make it a readable file") from error
    if found.sha256 not in file.digests and found.git_blob not in file.digests:
        raise DownloadError(
            f"{shown or path} is not the file that the catalogue names: expected "
            f"{' or '.join(map(_brief, file.digests))}, found {_brief(found.sha256)} ({found.size:,} bytes): {remedy}"
        )
    return found


def locate(entry: str, file: FileEntry, places: Settings) -> Found | Absent:
    """Look for a file on this machine: in the cache, then in the mirror.

    Args:
        entry: name of the data set.
        file: what the catalogue says of the file.
        places: where the cache and the mirror are.

    Returns:
        The verified file, or where it is not.

    Raises:
        DownloadError: if the file is there but is not the one that the catalogue names.
    """
    cached = _cached(entry, file, places)
    if _is_there(cached):
        return _found(file, cached, "cache", "delete it, or run `make data` to replace it")
    not_cached = f"not in {cached.parent.relative_to(places.root).as_posix()}"
    if places.data_mirror is None:
        return Absent(f"{not_cached}, no mirror is set")
    if not _is_there(places.data_mirror, folder=True):
        return Absent(f"{not_cached}, the mirror {places.data_mirror} is no folder")
    mirrored = places.data_mirror / entry / file.name
    if _is_there(mirrored):
        return _found(file, mirrored, "mirror", "put the right file there, or unset ANOMALY_DATA_MIRROR")
    return Absent(f"{not_cached}, not in the mirror {mirrored.parent}")


def obtain(
    entry: str, file: FileEntry, places: Settings, *, patience: download.Patience | None = None
) -> Found | Absent:
    """Look for a file on this machine, then at its public address, from where it goes into the cache.

    Args:
        entry: name of the data set.
        file: what the catalogue says of the file.
        places: where the cache and the mirror are.
        patience: time limits of a download.

    Returns:
        The verified file, or why there is none.

    Raises:
        DownloadError: if the file is not the one that the catalogue names, or the disk does not take it.
    """
    found = locate(entry, file, places)
    if isinstance(found, Found):
        return found
    if places.offline:
        return Absent(f"{found.reason}, ANOMALY_OFFLINE forbids the public address")
    try:
        return _download(entry, file, places, patience)
    except download.Unavailable as error:
        return Absent(f"{found.reason}, {error}")


def renew(entry: str, file: FileEntry, places: Settings) -> Found | Absent:
    """Like :func:`obtain`, but a wrong file in the cache is replaced by a right one if that can be had.

    Raises:
        DownloadError: if a wrong file stays, or another place delivers a wrong one.
    """
    try:
        return obtain(entry, file, places)
    except DownloadError as wrong:
        if not _is_there(_cached(entry, file, places)):
            raise
        try:
            return _replace(entry, file, places)
        except download.Unavailable as error:
            raise DownloadError(f"{wrong}; no right one could be had: {error}") from wrong


def gather(
    entry: Entry, names: Sequence[str], places: Settings, *, exhaustive: bool = True
) -> tuple[dict[str, Found], dict[str, str]]:
    """Get the files of a data set, wherever they are.

    What is on this machine is verified first, so that a wrong file is refused before anything is fetched. Optional
    files are fetched last, with little patience, and only if all the others are at hand.

    Args:
        entry: the data set.
        names: the files wanted.
        places: where the cache and the mirror are.
        exhaustive: false to stop at the first missing file that is not optional.

    Returns:
        The files found, and for each missing file the places where it is not.

    Raises:
        CatalogError: if the catalogue has no such file.
        DownloadError: if a file is not the one that the catalogue names, or the disk does not take it.
    """
    wanted = sorted((entry.file(name) for name in names), key=lambda file: file.optional)
    local = {file.name: locate(entry.name, file, places) for file in wanted}
    found = {name: place for name, place in local.items() if isinstance(place, Found)}
    absent: dict[str, str] = {}
    for file in wanted:
        if file.name in found:
            continue
        if any(not entry.file(name).optional for name in absent) and (file.optional or not exhaustive):
            break
        place = obtain(entry.name, file, places, patience=HASTE if file.optional else None)
        if isinstance(place, Found):
            found[file.name] = place
        else:
            absent[file.name] = place.reason
    return found, absent


def combined_digest(digests: Iterable[str]) -> str:
    """One SHA-256 over the digests of several files, whatever their order."""
    return "sha256:" + hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()


def _replace(entry: str, file: FileEntry, places: Settings) -> Found:
    """Put a right file over a wrong one in the cache; the wrong one stays if there is none."""
    mirrored = places.data_mirror / entry / file.name if places.data_mirror else None
    if mirrored is None or not _is_there(mirrored):
        if places.offline:
            raise download.Unavailable("it is in no mirror, and ANOMALY_OFFLINE forbids the public address")
        return _download(entry, file, places, None)
    _found(file, mirrored, "mirror", "put the right file there")
    target = _cached(entry, file, places)
    download.place(target, partial(_check, file, str(mirrored)), partial(shutil.copyfile, mirrored))
    return _found(file, target, "mirror", "run `make data`")


def _download(entry: str, file: FileEntry, places: Settings, patience: download.Patience | None) -> Found:
    target = _cached(entry, file, places)
    download.fetch(file.url, target, partial(_check, file, file.url), size=file.size, patience=patience)
    return _found(file, target, "download", "run `make data`")


def _check(file: FileEntry, shown: str, path: Path) -> None:
    verify(file, path, f"nothing was kept; put the right {file.name} into the mirror or try again later", shown=shown)


def _found(file: FileEntry, path: Path, origin: Origin, remedy: str) -> Found:
    seen = verify(file, path, remedy)
    return Found(path, origin, seen.sha256, seen.size)


def _brief(digest: str) -> str:
    kind, _, figures = digest.partition(":")
    return f"{kind}:{figures[:12]}…"


def _cached(entry: str, file: FileEntry, places: Settings) -> Path:
    return places.raw_dir / entry / file.name


def _is_there(path: Path, *, folder: bool = False) -> bool:
    try:
        return path.is_dir() if folder else path.is_file()
    except OSError as error:
        raise DownloadError(f"{path} cannot be looked for ({error.strerror}): make its folder readable") from error
