"""``python -m utils.datasets [name ...]``: fetch what can be had and show it, where it is from, and what is missing.

Exit code 0 if every data set can be used, real or simulated; 1 if a file or an entry is refused; 2 if the command or
the catalogue is wrong; 130 if interrupted.
"""

import argparse
import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from utils import datasets, settings
from utils.console import complain, ended_like_ctrl_c, say
from utils.datasets import catalog, files
from utils.errors import LabError

Status = Literal["ok", "missing", "refused"]


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    entry: str
    file: str
    size: int | None
    status: Status
    place: str = ""
    remark: str = ""
    loss: str = ""
    optional: bool = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch, show, and return the exit code."""
    asked = _parser().parse_args(arguments)
    logging.basicConfig(format="%(message)s")
    logging.getLogger("utils").setLevel(logging.INFO)
    try:
        with ended_like_ctrl_c():
            return _run(asked.names)
    except LabError as error:
        complain(str(error))
        return 2
    except KeyboardInterrupt:
        complain("interrupted: nothing half-written was left; run the command again to go on")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m utils.datasets", description="Fetch the data sets.")
    parser.add_argument("names", nargs="*", metavar="name", help="data sets to fetch (default: all)")
    return parser


def _run(names: Sequence[str]) -> int:
    places = settings.current()
    listed = catalog.read(places.catalog_file)
    listed.require(names)
    wanted = [name for name in listed.names if name in names or not names]
    rows: list[Row] = []
    widths = _widths(wanted, listed)
    _write(widths, "data set", "file", "size", "status", "from", "remark")
    for row in _rows(wanted, listed, places):
        _write(widths, row.entry, row.file, _bytes(row.size), row.status, row.place, _remark(row, rows[-1:]))
        rows.append(row)
    say()
    for line in _conclusions(wanted, listed, rows):
        say(line)
    return int(any(row.status == "refused" for row in rows))


def _rows(wanted: Iterable[str], listed: catalog.Catalog, places: settings.Settings) -> Iterator[Row]:
    for name in wanted:
        if name in listed.own:
            yield _own_row(name, listed)
        else:
            yield from (_file_row(name, file, places) for file in listed.project[name].files)


def _file_row(entry: str, file: catalog.FileEntry, places: settings.Settings) -> Row:
    try:
        place = files.renew(entry, file, places)
    except LabError as error:
        return Row(entry, file.name, file.size, "refused", remark=str(error), optional=file.optional)
    if isinstance(place, files.Found):
        return Row(entry, file.name, place.size, "ok", place.origin, optional=file.optional)
    loss = file.without if file.optional else ""
    return Row(entry, file.name, file.size, "missing", remark=place.reason, loss=loss, optional=file.optional)


def _remark(row: Row, before: Sequence[Row]) -> str:
    """Say why a file is missing once for all files in a row that are missing for the same reason."""
    repeated = bool(row.remark) and any(row.remark == other.remark for other in before)
    reason = "as above" if repeated else row.remark
    return f"{reason}; without it: {row.loss}" if row.loss else reason


def _own_row(name: str, listed: catalog.Catalog) -> Row:
    try:
        own = datasets.load(name)
    except LabError as error:
        return Row(name, "", None, "refused", remark=str(error))
    rows = ", ".join(f"{frame} {table.height:,} rows" for frame, table in own.frames.items())
    return Row(name, _own_files(name, listed), None, "ok", own.origin, f"{own.kind}: {rows}")


def _own_files(name: str, listed: catalog.Catalog) -> str:
    named = listed.own[name].get("files")
    return ", ".join(map(str, named)) if isinstance(named, list) else ""


def _conclusions(wanted: Iterable[str], listed: catalog.Catalog, rows: Sequence[Row]) -> Iterator[str]:
    """Say which data sets are real, which are simulated and why, and which stop."""
    refused = {row.entry: row.file for row in reversed(rows) if row.status == "refused"}
    lacking = {row.entry: row.file for row in reversed(rows) if row.status == "missing" and not row.optional}
    usable = [name for name in wanted if name not in refused]
    project = [name for name in usable if name in listed.project]
    simulated = {name: lacking.get(name) for name in project if name in lacking or not listed.project[name].files}
    reasons = [
        f"{name} ({file} is missing)" if file else f"{name} (has no public files)" for name, file in simulated.items()
    ]
    yield f"Real: {_join(name for name in project if name not in simulated)}"
    yield f"Simulated: {_join(reasons)}"
    yield f"Your own: {_join(name for name in usable if name in listed.own)}"
    if refused:
        stopped = _join(f"{name} {file}".strip() for name, file in refused.items())
        yield f"Refused, stops until it is put right: {stopped}"


def _join(words: Iterable[str]) -> str:
    return ", ".join(words) or "none"


def _widths(wanted: Iterable[str], listed: catalog.Catalog) -> tuple[int, ...]:
    project = [entry for name, entry in listed.project.items() if name in wanted]
    cells = [(entry.name, file.name) for entry in project for file in entry.files]
    cells += [(name, _own_files(name, listed)) for name in wanted if name in listed.own]
    columns = zip(("data set", "file"), *cells, strict=True)
    return (*(max(map(len, column)) for column in columns), len("99.9 MB"), len("refused"), len("download"))


def _write(widths: Sequence[int], *cells: str) -> None:
    padded = "  ".join(f"{cell:<{width}}" for cell, width in zip(cells[:-1], widths, strict=True))
    say(f"{padded}  {cells[-1]}".rstrip())


def _bytes(size: int | None) -> str:
    if size is None:
        return ""
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"


if __name__ == "__main__":
    sys.exit(main())
