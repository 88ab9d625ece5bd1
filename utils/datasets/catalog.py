"""The list of data sets: ``data/catalog.toml``, the project's entries and the user's own.

A project entry is a table with ``[[<name>.files]]``: where each public file comes from and what its bytes must be. A
user's entry has a ``kind``; what it holds is checked by :mod:`utils.datasets.own` when the entry is loaded. A slip in
one entry, even one that makes the file no TOML, stops that entry and no other.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from utils.datasets import salvage
from utils.datasets.wording import nearest
from utils.errors import CatalogError

PROJECT = ("api", "waf", "nsl_kdd", "cicids2017", "hdfs", "traffic")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|git-blob:[0-9a-f]{40}")
_ENTRY_KEYS: Mapping[str, type] = {"title": str, "licence": str, "cite": str, "files": list}
_FILE_KEYS: Mapping[str, type] = {
    "name": str,
    "url": str,
    "digests": list,
    "bytes": int,
    "optional": bool,
    "without": str,
    "note": str,
}
_TOML_TYPES = {str: "a string", list: "a list", int: "a whole number", bool: "true or false"}


@dataclass(frozen=True)
class FileEntry:
    """One public file.

    Attributes:
        name: plain file name in the cache and in the mirror.
        url: public address, pinned to a commit.
        digests: accepted digests, ``sha256:<hex>`` or ``git-blob:<hex>``; one match is enough.
        size: bytes of the file, where known; accepted digests decide, so this is only for showing.
        optional: true if the data set is still real without the file.
        without: what is lost when an optional file is not at hand.
        note: what is in the file.
    """

    name: str
    url: str
    digests: tuple[str, ...]
    size: int | None = None
    optional: bool = False
    without: str = ""
    note: str = ""


@dataclass(frozen=True)
class Entry:
    """One of the project's data sets; without files it exists in the simulated edition only."""

    name: str
    title: str = ""
    licence: str = ""
    cite: str = ""
    files: tuple[FileEntry, ...] = ()

    def file(self, name: str) -> FileEntry:
        """Look up one file by name.

        Raises:
            CatalogError: if the entry has no such file.
        """
        for file in self.files:
            if file.name == name:
                return file
        raise CatalogError(
            f"catalogue entry [{self.name}]: its loader reads {name!r}, which files does not list: add it"
        )


@dataclass(frozen=True)
class Catalog:
    """What ``data/catalog.toml`` says.

    Attributes:
        path: the file.
        project: the project's entries, checked.
        own: the user's entries as they stand, not yet checked.
        slips: entries that cannot be read, each with the sentence that says why; they are among ``own``, empty.
    """

    path: Path
    project: Mapping[str, Entry]
    own: Mapping[str, Mapping[str, object]]
    slips: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """All names, the project's first, then the user's in their order."""
        return (*self.project, *self.own)

    def require(self, names: Iterable[str]) -> None:
        """Check that all the names are in the catalogue and that their entries can be read.

        Raises:
            CatalogError: for the first name that is not, with the near one and the list; or for the first entry that
                cannot be read, with the reason.
        """
        for name in names:
            if name in self.slips:
                raise CatalogError(self.slips[name])
            if name not in self.names:
                raise CatalogError(
                    f"there is no data set {name!r}{nearest(str(name), self.names)}: "
                    f"choose one of {', '.join(self.names)}, or add an entry [{name}] to {self.path.name}"
                )


def read(path: Path) -> Catalog:
    """Read the catalogue and check the project's entries.

    Args:
        path: ``catalog.toml``.

    Raises:
        CatalogError: if the file is missing or no text, or a project's entry is wrong; the sentence names the entry and
            the key.
    """
    tables, slips = _parse(path)
    project = {name: _entry(name, tables[name]) for name in PROJECT if name in tables}
    users = {name: table for name, table in tables.items() if name not in PROJECT}
    slips = {**slips, **{name: slip for name, table in users.items() if (slip := _slip(name, table))}}
    own = {name: table for name, table in users.items() if isinstance(table, dict)} | {name: {} for name in slips}
    return Catalog(path, project, own, slips)


def _parse(path: Path) -> salvage.Salvaged:
    text = _text(path)
    try:
        return salvage.Salvaged(tomllib.loads(text), {})
    except tomllib.TOMLDecodeError:
        pass
    try:
        return salvage.entries(text)
    except tomllib.TOMLDecodeError as error:
        raise CatalogError(f"the catalogue {path} must be TOML, found an error: {error}; correct it there") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise CatalogError(
            f"the catalogue {path} is missing: restore it from the repository, or let ANOMALY_ROOT name the folder "
            "that holds data/catalog.toml"
        ) from None
    except UnicodeDecodeError as error:
        raise CatalogError(
            f"the catalogue {path} must be UTF-8 text, found byte {error.object[error.start]:#04x} at {error.start}: "
            "save it as UTF-8"
        ) from None
    except OSError as error:
        raise CatalogError(f"the catalogue {path} cannot be read ({error.strerror}): make it readable") from None


def _entry(name: str, table: object) -> Entry:
    where = f"catalogue entry [{name}]"
    if isinstance(table, dict) and "kind" in table:
        raise CatalogError(f"{where}: {name!r} is a name of the project's own data: give your entry another name")
    values = _checked(where, table, _ENTRY_KEYS, required=("title", "files"))
    files = tuple(_file(name, number, file) for number, file in enumerate(values.pop("files"), start=1))
    repeated = sorted({file.name for file in files if sum(other.name == file.name for other in files) > 1})
    if repeated:
        raise CatalogError(f"{where}: file name {repeated[0]!r} stands twice: keep one of them")
    return Entry(name=name, files=files, **values)


def _file(entry: str, number: int, table: object) -> FileEntry:
    named = table.get("name", number) if isinstance(table, dict) else number
    where = f"catalogue entry [{entry}], file {named}"
    values = _checked(where, table, _FILE_KEYS, required=("name", "url", "digests"))
    _check_address(where, values["name"], values["url"])
    if values.get("optional", False) != bool(values.get("without")):
        raise CatalogError(f'{where}: optional = true and without = "what is lost" go together: give both or neither')
    _check_digests(where, values["digests"])
    return FileEntry(size=values.pop("bytes", None), digests=tuple(values.pop("digests")), **values)


def _check_address(where: str, name: str, url: str) -> None:
    if not name or Path(name).name != name or "\\" in name or name.startswith("."):
        raise CatalogError(f"{where}: name must be a plain file name, found {name!r}")
    if not re.fullmatch(r"https?://[^/\s]+/\S+", url):
        raise CatalogError(f"{where}: url must be an http or https address, found {url!r}")


def _check_digests(where: str, digests: list[object]) -> None:
    if not digests:
        raise CatalogError(f"{where}: digests must hold at least one digest, found none")
    for digest in digests:
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise CatalogError(
                f"{where}: digests must be 'sha256:' and 64 or 'git-blob:' and 40 lower-case hexadecimal digits, "
                f"found {digest!r}"
            )


def _slip(name: str, table: object) -> str:
    """Say what is wrong with a user's entry as a table; empty if nothing is."""
    if isinstance(table, list):
        return f"catalogue entry [{name}]: must be one table, found [[{name}]]: write [{name}]"
    if not isinstance(table, dict):
        found = f"found the lone key {name!r}: put it below the head of an entry"
        return f"the catalogue must hold tables such as [mine], {found}"
    if not _NAME.fullmatch(name):
        return f"catalogue entry [{name!r}]: a name has letters, digits, _ and - only: rename it"
    dotted = [key for key, value in table.items() if isinstance(value, dict) and "kind" in value]
    if dotted and "kind" not in table:
        return f"catalogue entry [{name}.{dotted[0]}]: a name has no dots: write [{name}_{dotted[0]}] or the like"
    return ""


def _checked(where: str, table: object, keys: Mapping[str, type], required: Iterable[str]) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise CatalogError(f"{where}: expected a table of keys, found {_shown(table)}")
    for key, value in table.items():
        if key not in keys:
            raise CatalogError(f"{where}: unknown key {key!r}{nearest(key, keys)}: use {', '.join(keys)}")
        if type(value) is not keys[key]:
            raise CatalogError(f"{where}: {key} must be {_TOML_TYPES[keys[key]]}, found {_shown(value)}")
    for key in required:
        if key not in table:
            raise CatalogError(f"{where}: the key {key} is missing: add it")
    return dict(table)


def _shown(value: object) -> str:
    return "nothing" if value is None else f"{value!r}"
