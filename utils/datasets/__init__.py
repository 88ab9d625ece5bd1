"""The data sets of the laboratory: ``load`` gives one, real where it can be had and simulated where not.

```python
from utils import datasets

datasets.names()                           # what there is
hdfs = datasets.load("hdfs")               # real files if they can be had, else the simulator
mine = datasets.load("mine")               # an entry that you added to data/catalog.toml
```
"""

import hashlib
import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol, cast

import polars as pl

from utils import settings
from utils.datasets import catalog, files
from utils.datasets.contract import Assembled, Dataset, Kind, Source
from utils.datasets.wording import nearest
from utils.errors import DataError, DownloadError, SettingsError

__all__ = ["load", "load_all", "names"]

HIGHEST_SEED = 2**32 - 1
"""Highest seed of scikit-learn; numpy takes higher ones."""


class _Loader(Protocol):
    """A module ``utils.datasets.<name>``."""

    KIND: Kind
    READS: tuple[str, ...]
    read: Callable[[Mapping[str, Path]], dict[str, pl.DataFrame]]
    assemble: Callable[[Mapping[str, pl.DataFrame]], Assembled]


def names() -> tuple[str, ...]:
    """Return the names of all data sets, the project's first, then the user's.

    Raises:
        CatalogError: if the catalogue cannot be read.
    """
    return catalog.read(settings.current().catalog_file).names


def load(name: str, source: str = "auto", *, seed: int = settings.SEED, budget: str = "full") -> Dataset:
    """Load one data set.

    Args:
        name: a name in the catalogue.
        source: ``"real"`` for the verified files only, ``"simulated"`` for the simulator, ``"auto"`` for the files
            where they can be had and else the simulator.
        seed: of the simulator.
        budget: ``"fast"`` or ``"full"``: how much the simulator makes.

    Returns:
        The data set. ``source``, ``origin`` and ``digest`` say what was read; ``missing`` names the optional files
        that were not at hand, with the consequence.

    Raises:
        CatalogError: if there is no such data set, or its entry is wrong.
        SettingsError: if there is no such source or budget, or the seed is no seed.
        DownloadError: if a file is not the one that the catalogue names (with any source but ``"simulated"``), or,
            with ``"real"``, is not to be had.
        SchemaError: if a file does not have the columns or types that it must have.
        DataError: if the data set does not exist in the edition asked for.
    """
    _check(source, seed)
    sizes = settings.budget(budget).simulated
    places = settings.current()
    listed = catalog.read(places.catalog_file)
    listed.require([name])
    if name in listed.own:
        return _load_own(name, listed, source, places)
    entry = listed.project[name]
    if source == "real" and not entry.files:
        raise DataError(f"data set {name!r} has no public files, found source 'real': use 'simulated' or 'auto'")
    real = _load_real(entry, places, insist=source == "real") if entry.files and source != "simulated" else None
    return real or _simulate(entry, sizes[name], seed)


def load_all(
    names: Iterable[str] = (), source: str = "auto", *, seed: int = settings.SEED, budget: str = "full"
) -> dict[str, Dataset]:
    """Load several data sets; those that exist in one edition only come in that edition.

    Args:
        names: the data sets, all of the catalogue if empty.
        source: as for :func:`load`.
        seed: as for :func:`load`.
        budget: as for :func:`load`.

    Returns:
        The data sets by name, in the order asked for.

    Raises:
        LabError: as :func:`load`; unknown names are found before anything is loaded.
    """
    _check(source, seed)
    listed = catalog.read(settings.current().catalog_file)
    wanted = tuple(dict.fromkeys([names] if isinstance(names, str) else names)) or listed.names
    listed.require(wanted)
    return {name: load(name, _edition(name, listed, source), seed=seed, budget=budget) for name in wanted}


def _edition(name: str, listed: catalog.Catalog, source: str) -> str:
    if name in listed.own:
        return "real"
    return source if listed.project[name].files else "simulated"


def _check(source: str, seed: int) -> None:
    """Refuse a source that there is not, and a seed that numpy and scikit-learn do not take."""
    if source not in settings.SOURCES:
        near = nearest(str(source), settings.SOURCES)
        raise SettingsError(
            f"source must be one of {', '.join(settings.SOURCES)}, found {source!r}{near}: choose one of them"
        )
    if not 0 <= seed <= HIGHEST_SEED:
        raise SettingsError(f"seed must be a whole number from 0 to {HIGHEST_SEED:,}, found {seed!r}: choose another")


def _load_own(name: str, listed: catalog.Catalog, source: str, places: settings.Settings) -> Dataset:
    from utils.datasets import own

    if source == "simulated":
        raise DataError(f"data set {name!r} is your own and has no simulator, found source 'simulated': use 'auto'")
    return own.load(own.declare(name, listed.own[name], places.data_dir))


def _load_real(entry: catalog.Entry, places: settings.Settings, *, insist: bool) -> Dataset | None:
    """Read the files, or return nothing if one that is needed is not to be had and nobody insists."""
    loader = cast(_Loader, importlib.import_module(f"utils.datasets.{entry.name}"))
    found, absent = files.gather(entry, loader.READS, places, exhaustive=insist)
    lacking = {name: reason for name, reason in absent.items() if not entry.file(name).optional}
    if lacking and insist:
        raise DownloadError(_not_at_hand(entry, lacking))
    if lacking:
        return None
    assembled = loader.assemble(loader.read({name: file.path for name, file in found.items()}))
    return _dataset(
        entry,
        loader,
        assembled,
        source="real",
        origin=" + ".join(sorted({file.origin for file in found.values()})),
        digest=files.combined_digest(file.sha256 for file in found.values()),
        missing={name: entry.file(name).without for name in absent} | dict(assembled.missing),
    )


def _simulate(entry: catalog.Entry, size: int, seed: int) -> Dataset:
    loader = cast(_Loader, importlib.import_module(f"utils.datasets.{entry.name}"))
    simulator = importlib.import_module(f"utils.simulate.{entry.name}")
    assembled = loader.assemble(simulator.simulate(size, seed))
    planted = "planted by the simulator, so known for every row"
    truth = f"{planted}; in the real data: {assembled.truth}" if entry.files else assembled.truth
    return _dataset(
        entry,
        loader,
        replace(assembled, truth=truth),
        source="simulated",
        origin="simulator",
        digest=_recipe_digest(entry.name, seed, size, simulator.VERSION),
        missing=assembled.missing,
    )


def _dataset(
    entry: catalog.Entry,
    loader: _Loader,
    assembled: Assembled,
    *,
    source: Source,
    origin: str,
    digest: str,
    missing: Mapping[str, str],
) -> Dataset:
    return Dataset(
        name=entry.name,
        kind=loader.KIND,
        source=source,
        origin=origin,
        digest=digest,
        truth=assembled.truth,
        frames=assembled.frames,
        roles=assembled.roles,
        defects=assembled.defects,
        missing=missing,
        title=entry.title,
        licence=entry.licence,
        cite=entry.cite,
    )


def _recipe_digest(*recipe: object) -> str:
    """A simulated data set is what its name, seed, size and the version of its simulator make it."""
    return "sha256:" + hashlib.sha256(", ".join(map(str, recipe)).encode()).hexdigest()


def _not_at_hand(entry: catalog.Entry, lacking: Mapping[str, str]) -> str:
    listed = "; ".join(f"{name} ({reason})" for name, reason in lacking.items())
    return (
        f"data set {entry.name!r} is not at hand as real data: expected all files that are not optional, found missing "
        f"{listed}: run `make data` with a network, let ANOMALY_DATA_MIRROR name a folder that holds them, or use "
        "source='auto'"
    )
