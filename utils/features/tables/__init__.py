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

from utils import settings
from utils.datasets.contract import Dataset
from utils.errors import DataError
from utils.features.tables import graphs, rows, sequences, store, texts
from utils.features.tables.keys import WEIGHT, Part, measurable, weight_column, weight_of
from utils.features.tables.store import folder, read, write
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
        The tables as a data set of kind ``"table"``; the digest says what they were made of and by which code.

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
    return replace(
        dataset,
        kind="table",
        digest=_digest(dataset, seed),
        frames={name: made.frame for name, made in parts.items()},
        roles={name: made.roles for name, made in parts.items()},
        defects=tuple(defect for made in parts.values() for defect in made.defects),
    )


def current(dataset: Dataset, *, seed: int = settings.SEED) -> Dataset | None:
    """Read the processed tables on disk, or nothing if they are not there, damaged, or of other data, seed or code."""
    if store.digest(dataset.name, dataset.source) != _digest(dataset, seed):
        return None
    with contextlib.suppress(DataError):
        return read(dataset.name, dataset.source)
    return None


def _digest(dataset: Dataset, seed: int) -> str:
    """Tables are what the data, their meaning, the seed and the code of the features make them."""
    code = hashlib.sha256()
    for file in sorted(Path(__file__).parents[1].rglob("*.py")):
        code.update(file.read_bytes())
    recipe = f"{dataset.digest}, {_meaning(dataset)}, {seed}, {code.hexdigest()}"
    return "sha256:" + hashlib.sha256(recipe.encode()).hexdigest()


def _meaning(dataset: Dataset) -> str:
    """Digest of what an entry of the catalogue makes of the user's files: the same files may be read in many ways."""
    meaning = hashlib.sha256()
    for name, frame in dataset.frames.items() if dataset.origin == OWN else ():
        meaning.update(f"{name}: {dataset.roles[name]}, {frame.schema}".encode())
        meaning.update(frame.hash_rows().to_numpy().tobytes())
    return meaning.hexdigest()
