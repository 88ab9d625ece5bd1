"""Processed tables: what the features make of a data set, with a side for each row and the meaning of each column.

```python
from utils import datasets
from utils.features import tables

made = tables.build(datasets.load("api"))
made["graphs"], made.roles["graphs"].features
```

Tables hold label, kind of anomaly, group, ``split`` and features; identities, addresses, ports and times stay in the
frames that :func:`utils.datasets.load` gives, whose rows stand in the same order. Whatever is learned on the way (which
columns are constant, global degrees, templates, the vocabulary of events) is learned from training rows.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import polars as pl

from utils import settings
from utils.compute import versions
from utils.datasets.contract import Dataset, Roles
from utils.errors import DataError
from utils.features.tables import graphs, rows, sequences, store, texts
from utils.features.tables.keys import WEIGHT, Part, measurable, weight_column, weight_of
from utils.features.tables.store import folder, read
from utils.features.tables.texts import TextReader, reader, texts_of

__all__ = [
    "WEIGHT",
    "Table",
    "TextReader",
    "build",
    "current",
    "folder",
    "measurable",
    "read",
    "reader",
    "texts_of",
    "weight_column",
    "weight_of",
    "write",
]

Table = tuple[str, str]
"""Name of a data set and of one of its processed tables."""

OWN = "own files"
Builder = Callable[[Dataset, int], Iterator[tuple[str, Part]]]
BUILDERS: Mapping[str, tuple[Builder, ...]] = MappingProxyType(
    {
        "call_graph": (graphs.build,),
        "events": (texts.build, sequences.build),
        "log": (sequences.build,),
        "table": (texts.build, rows.build),
    }
)


def build(dataset: Dataset, *, seed: int = settings.SEED) -> Dataset:
    """Make the processed tables of a data set.

    Args:
        dataset: as :func:`utils.datasets.load` gives it.
        seed: of the division into training and test, where the data came without one.

    Returns:
        The tables as a data set of kind ``"table"``; the digest is one of what they hold and mean, so that it stays
        the same as long as they do, whatever was changed in the code.

    Raises:
        DataError: if the data set has nothing that features can be made of.
    """
    parts: dict[str, Part] = {}
    for builder in BUILDERS[dataset.kind]:
        parts |= {name: made for name, made in builder(dataset, seed) if name not in parts}
    if not parts and dataset.kind == "events":
        parts = dict(rows.build(dataset, seed))
    if not parts:
        found = ", ".join(dataset.frames)
        raise DataError(f"data set {dataset.name!r} must have columns to make features of, found none in {found}: name "
                        "features, or events and sessions, in its entry of data/catalog.toml")  # fmt: skip
    frames, roles = ({name: getattr(made, what) for name, made in parts.items()} for what in ("frame", "roles"))
    return replace(
        dataset,
        kind="table",
        digest=f"sha256:{_contents(frames, roles)}",
        frames=frames,
        roles=roles,
        defects=tuple(defect for made in parts.values() for defect in made.defects),
    )


def write(processed: Dataset, dataset: Dataset, *, seed: int = settings.SEED) -> Path:
    """Write all tables of a processed data set in place of those that were there.

    Args:
        processed: tables by name with their roles, as :func:`build` makes them.
        dataset: what they were made of, by the code as it is now.
        seed: that they were made with.

    Returns:
        The folder; it holds the old tables or the new ones, never some of each.

    Raises:
        DataError: if the folder cannot be written.
    """
    return store.write(processed, _recipe(dataset, seed))


def current(dataset: Dataset, *, seed: int = settings.SEED) -> Dataset | None:
    """Read the processed tables on disk, or nothing if they are not there, damaged, or of other data, seed or code."""
    if store.recipe(dataset.name, dataset.source) != _recipe(dataset, seed):
        return None
    with contextlib.suppress(DataError):
        return read(dataset.name, dataset.source)
    return None


def _recipe(dataset: Dataset, seed: int) -> str:
    """Tables are what the data, their meaning, the seed and the code of the features make them.

    What an entry of the catalogue makes of the user's files counts too: the same files may be read in many ways.
    """
    meaning = _contents(dataset.frames, dataset.roles) if dataset.origin == OWN else ""
    features = Path(__file__).parents[1]
    code = versions.of_code(features.rglob("*.py"), features)
    return hashlib.sha256(f"{dataset.digest}, {meaning}, {seed}, {code}".encode()).hexdigest()


def _contents(frames: Mapping[str, pl.DataFrame], roles: Mapping[str, Roles]) -> str:
    """SHA-256 over names, meaning, types and values of tables."""
    contents = hashlib.sha256()
    for name, frame in frames.items():
        contents.update(f"{name}: {roles[name]}, {frame.schema}".encode())
        contents.update(frame.hash_rows().to_numpy().tobytes())
    return contents.hexdigest()
