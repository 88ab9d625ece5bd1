"""Processed tables on disk: ``data/processed/<source>/<data set>/<table>.parquet`` with the meaning of every column.

Each parquet file carries the roles of its columns in its own metadata, and ``dataset.json`` beside them says what the
tables were made of. A folder is written under a temporary name and renamed when it is whole.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path

import polars as pl

from utils import settings
from utils.datasets import folders
from utils.datasets.contract import Dataset, Defect, Roles
from utils.errors import DataError

DESCRIPTION = "dataset.json"
ROLES = "anomaly-lab.roles"
REMEDY = "run notebook 02 again"
TEXTS = ("name", "kind", "source", "origin", "digest", "truth", "title", "licence", "cite")


def folder(name: str, source: str) -> Path:
    """Folder of the processed tables of a data set, whether it exists or not."""
    return settings.current().processed_dir / source / name


def write(processed: Dataset, recipe: str) -> Path:
    """Write all tables of a processed data set in place of those that were there.

    Args:
        processed: tables by name with their roles, as :func:`utils.features.tables.build` makes them.
        recipe: what :func:`recipe` gives back as long as these tables are there.

    Returns:
        The folder; it holds the old tables or the new ones, never some of each.

    Raises:
        DataError: if the folder cannot be written.
    """
    target = folder(processed.name, processed.source)
    try:
        with folders.replaced(target) as part:
            for name, frame in processed.frames.items():
                roles = json.dumps(_plain_roles(processed.roles[name]))
                frame.write_parquet(part / f"{name}.parquet", metadata={ROLES: roles})
            (part / DESCRIPTION).write_text(
                json.dumps(_description(processed, recipe), indent=2) + "\n", encoding="utf-8"
            )
    except OSError as error:
        problem = f"tables of {processed.name!r} must be written to data/processed, found: {error.strerror or error}"
        raise DataError(f"{problem}: make room or grant access, then {REMEDY}") from None
    return target


def read(name: str, source: str) -> Dataset:
    """Read the processed tables of a data set.

    Args:
        name: of the data set.
        source: ``"real"`` or ``"simulated"``.

    Returns:
        The tables with their roles, as they were written.

    Raises:
        DataError: if there are none, or they are damaged.
    """
    place = folder(name, source)
    if not (place / DESCRIPTION).is_file():
        raise DataError(f"processed tables of {name!r} ({source}) are expected in data/processed, found none: {REMEDY}")
    try:
        said = json.loads((place / DESCRIPTION).read_text(encoding="utf-8"))
        files = {table: place / f"{table}.parquet" for table in said["tables"]}
        frames = {table: pl.read_parquet(file) for table, file in files.items()}
        roles = {table: _roles(json.loads(pl.read_parquet_metadata(file)[ROLES])) for table, file in files.items()}
        defects = tuple(Defect(**defect) for defect in said["defects"])
        texts = {key: said[key] for key in TEXTS}
        return Dataset(frames=frames, roles=roles, defects=defects, missing=said["missing"], **texts)
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
        problem = f"processed tables of {name!r} ({source}) must be as they were written, found {type(error).__name__}"
        raise DataError(f"{problem} ({str(error).splitlines()[0][:120] if str(error) else ''}): {REMEDY}") from None


def recipe(name: str, source: str) -> str | None:
    """What the tables on disk were made of, or nothing if there are none that can be read."""
    try:
        said = json.loads((folder(name, source) / DESCRIPTION).read_text(encoding="utf-8"))
        return str(said["recipe"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _description(processed: Dataset, recipe: str) -> dict[str, object]:
    return {
        **{key: getattr(processed, key) for key in TEXTS},
        "recipe": recipe,
        "tables": list(processed.frames),
        "defects": [asdict(defect) for defect in processed.defects],
        "missing": dict(processed.missing),
    }


def _plain_roles(roles: Roles) -> dict[str, object]:
    plain = {item.name: getattr(roles, item.name) for item in fields(Roles)}
    return plain | {"withheld": dict(roles.withheld), "notes": dict(roles.notes)}


def _roles(plain: Mapping[str, object]) -> Roles:
    lists = {key: tuple(value) for key, value in plain.items() if isinstance(value, list)}
    return Roles(**{**plain, **lists})  # type: ignore[arg-type]
