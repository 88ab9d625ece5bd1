"""Folders and files of results: whole or as they were before, never some of each."""

import contextlib
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

UNFINISHED = ".part"


@contextlib.contextmanager
def replaced(target: Path) -> Iterator[Path]:
    """Give an empty folder that takes the place of the target when the block ends well.

    Args:
        target: the folder, whether it exists or not; folders above it are made.

    Yields:
        Where to write. If the block or the exchange fails, nothing of it is left, and the target is what it was.

    Raises:
        OSError: if the folder cannot be made or exchanged.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        fresh = work / "new"
        fresh.mkdir()
        yield fresh
        _exchange(fresh, target, work / "old")
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextlib.contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Give a name of its own for a file that takes the name of the target when the block ends well.

    Two processes may write the same target at the same time: the later one stands.

    Args:
        target: the file, whether it exists or not; its folder must exist.

    Yields:
        Where to write. If the block fails, nothing of it is left, and the target is what it was.

    Raises:
        OSError: if the file cannot be named.
    """
    unfinished = target.with_name(f".{target.name}.{uuid.uuid4().hex}{UNFINISHED}")
    try:
        yield unfinished
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def write_parquet(frame: "pl.DataFrame", target: Path, group_rows: int | None = None) -> None:
    """Write a table to a file that appears whole or not at all.

    Args:
        frame: the table.
        target: the file; its folder must exist.
        group_rows: rows of a row group; ``None`` for what polars chooses.

    Raises:
        OSError: if the file cannot be written; nothing unfinished is left behind.
    """
    with whole_file(target) as unfinished:
        frame.write_parquet(unfinished, compression="lz4", row_group_size=group_rows)


def remove_unfinished(folder: Path) -> None:
    """Remove what processes that were killed left of :func:`whole_file`; no other may be writing there."""
    for path in folder.glob(f".*{UNFINISHED}"):
        path.unlink(missing_ok=True)


def _exchange(fresh: Path, target: Path, aside: Path) -> None:
    """Put the new folder in the place of the old one; the old one comes back if that fails."""
    if target.exists():
        target.rename(aside)
    try:
        fresh.rename(target)
    except OSError:
        if aside.exists():
            aside.rename(target)
        raise
