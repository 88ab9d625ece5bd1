"""The files of an entry: globs, order of rotated logs, digest."""

import glob
import re
from collections.abc import Iterable
from pathlib import Path

from utils.datasets import files
from utils.datasets.own.entry import OwnEntry
from utils.datasets.wording import nearest
from utils.errors import DataError

ROTATED = re.compile(r"\.(\d{1,4})$")
COMPRESSED = (".gz", ".bz2", ".xz")


def resolve(entry: OwnEntry, key: str, patterns: Iterable[str]) -> tuple[Path, ...]:
    """Find the files that an entry names.

    Args:
        entry: the entry.
        key: key of the entry that holds the names.
        patterns: paths or globs, absolute, from ``~`` or from the data folder.

    Returns:
        Each file once: in the order of the entry, and within a glob by name, rotated logs oldest first
        (``app.log.2``, ``app.log.1``, ``app.log``).

    Raises:
        CatalogError: if a file is missing, a folder, or cannot be looked for, or a glob finds none.
    """
    try:
        found = [path for text in patterns for path in _matches(entry, key, text)]
    except OSError as error:
        raise entry.wrong(key, f"names {error.filename}, found it unusable ({error.strerror}): correct it") from None
    return tuple(dict.fromkeys(found))


def digest(paths: Iterable[Path]) -> str:
    """One SHA-256 over the files.

    Raises:
        DataError: if one cannot be read.
    """
    try:
        return files.combined_digest(files.fingerprint(path).sha256 for path in paths)
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read ({error.strerror}): make it readable") from None


def plain_name(path: Path) -> str:
    """Name of a file without the ending of its compression."""
    return path.name.removesuffix(path.suffix) if path.suffix.lower() in COMPRESSED else path.name


def family(path: Path) -> str:
    """Name that all rotated parts of one log share."""
    return str(path.parent / ROTATED.sub("", plain_name(path)))


def _matches(entry: OwnEntry, key: str, text: str) -> list[Path]:
    path = entry.folder / _from_home(entry, key, text)
    if path.is_dir():
        raise entry.wrong(key, f"must name files, found the folder {text!r}: write {text.rstrip('/')}/* or the like")
    if path.exists():
        return [path]
    if not glob.has_magic(text):
        raise entry.wrong(key, f"names {text!r}, found no such file{_beside(path)}: correct the path ({path})")
    pattern = Path(glob.escape(str(entry.folder))) / _from_home(entry, key, text)
    every = map(Path, glob.glob(str(pattern), recursive=True))  # noqa: PTH207 (the pattern may be absolute)
    matches = sorted(filter(Path.is_file, every), key=_age)
    if not matches:
        raise entry.wrong(key, f"holds the glob {text!r}, found no file that it matches: correct it ({path})")
    return matches


def _from_home(entry: OwnEntry, key: str, text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise entry.wrong(key, f"names {text!r}, found no such user's folder: write the whole path") from None


def _beside(path: Path) -> str:
    """Hint for a misspelt name: the nearest one in the same folder."""
    if not path.parent.is_dir():
        return f" and no folder {path.parent}"
    if "\\" in path.name:
        return ", and \\ is no separator of folders here (write /)"
    return nearest(path.name, [other.name for other in path.parent.iterdir()])


def _age(path: Path) -> tuple[list[str | int], int]:
    """Sort key: names with numbers in the order of the numbers, rotated parts from the oldest."""
    rotation = ROTATED.search(plain_name(path))
    pieces = re.split(r"(\d+)", family(path))
    natural: list[str | int] = [int(piece) if piece.isdecimal() else piece for piece in pieces]
    return natural, -int(rotation.group(1)) if rotation else 0
