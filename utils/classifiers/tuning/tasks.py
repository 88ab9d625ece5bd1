"""What the workers of a study need to know, written once to a folder that they can all read.

Rows as Parquet (or NumPy's format for a matrix), a pickle of labels, folds and classifier, and a manifest with the
digest of each file, the digest of the code and the versions of the libraries behind the numbers. The study
itself holds the digest of the manifest, so that a worker with other rows or other code refuses to work. A pickle can do
anything when it is read: the folder and the storage of studies belong to people who trust each other.
"""

import hashlib
import json
import pickle
import platform
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import polars as pl

from utils.classifiers.spaces import Space
from utils.classifiers.tuning.folds import Folds
from utils.classifiers.tuning.plans import Plan, plan_of
from utils.classifiers.tuning.storages import Kept, Location
from utils.classifiers.tuning.trials import Trials
from utils.compute.versions import PACKAGE, of_code, of_libraries
from utils.errors import SettingsError

MANIFEST, SECRETS = "task.json", "task.pickle"
DIGEST, NUMBER = "task", "trials"
"""What a study notes about itself: digest of the manifest, how many trials there will be."""

DECIDING = (
    *("classifiers/tuning/*.py", "classifiers/spaces.py", "classifiers/zoo.py", "classifiers/adapters.py"),
    *("classifiers/boosted.py", "classifiers/dense.py", "detectors/networks.py", "features/flows/*.py"),
    *("evaluation/counting.py", "evaluation/inputs.py", "evaluation/scoring.py", "evaluation/splits.py"),
)
"""Code that decides about the numbers of a trial: points, classifiers of the zoo, features, folds and metrics."""

LIBRARIES = ("numpy", "scipy", "polars", "scikit-learn", "optuna", "lightgbm", "xgboost", "tensorflow")


@dataclass(frozen=True)
class Search:
    """How a study chooses points: arguments of :func:`utils.classifiers.tuning.plans.plan_of`.

    Attributes:
        method: name of the method.
        trials: trials that were asked for when the study was made.
        stages: trials of the stages, where they are given.
        seed: seed of the draws.
    """

    method: str
    trials: int
    stages: tuple[int, int, int] | None
    seed: int

    def plan(self, space: Space, *, alone: bool) -> Plan:
        """The plan of one worker.

        Args:
            space: what is searched.
            alone: whether there is no other worker.
        """
        return plan_of(self.method, space, self.trials, self.seed, self.stages, alone=alone)


@dataclass(frozen=True)
class _Choice:
    """A tunable without what only its makers need."""

    name: str
    features: Mapping[str, Any]
    space: Space
    make: Any


@cache
def versions() -> Mapping[str, str]:
    """Digest of the code behind a trial, and versions of Python and of the libraries that decide about the numbers."""
    code = of_code((file for part in DECIDING for file in PACKAGE.glob(part)), PACKAGE)
    return {"python": ".".join(platform.python_version_tuple()[:2]), "code": code} | of_libraries(LIBRARIES)


def folder_of(location: Location, study: str) -> Path:
    """Folder of a study's task."""
    return location.tasks / re.sub(r"[^\w.-]+", "_", study)


def write(kept: Kept, trials: Trials, search: Search) -> Path:
    """Write the task of a study unless it stands there already; it appears whole or not at all.

    Args:
        kept: the study.
        trials: how a point is tried.
        search: how points are chosen.

    Returns:
        The folder.

    Raises:
        SettingsError: if the classifier cannot be given to another process, or the folder cannot be written.
    """
    location = location_of(kept)
    name = kept.study.study_name
    folder = folder_of(location, name)
    if _digest(folder / MANIFEST) != kept.study.user_attrs.get(DIGEST):
        fresh = folder.with_name(f".{folder.name}-{uuid4().hex[:8]}")
        try:
            fresh.mkdir(parents=True)
            _fill(fresh, name, trials, search)
            _swap(fresh, folder)
        except OSError as error:
            raise SettingsError(
                f"the task of {name!r} must be written to {folder} for its workers, found that it cannot be "
                f"({error.strerror}): make room, or name another place with ANOMALY_STUDIES"
            ) from None
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        kept.study.set_user_attr(DIGEST, _digest(folder / MANIFEST))
    return folder


def read(kept: Kept) -> tuple[Trials, Search]:
    """Read and check the task of a study.

    Args:
        kept: the study.

    Returns:
        How a point is tried, with a single thread, and how points are chosen.

    Raises:
        SettingsError: if a file is missing, is not the one that was written, or was written by another version, or
            the classifier is of a module that is not there.
    """
    folder = folder_of(location_of(kept), kept.study.study_name)
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise SettingsError(
            f"a worker must read {manifest}, found no such file: share the folder with this host, or copy it here"
        )
    if _digest(manifest) != kept.study.user_attrs.get(DIGEST):
        raise SettingsError(f"{manifest} must be what the study was begun with, found another: copy it here again")
    told = json.loads(manifest.read_text())
    _require_same(told["versions"], kept.study.study_name)
    for name, digest in told["files"].items():
        if _digest(folder / name) != digest:
            raise SettingsError(
                f"{folder / name} must have the digest {digest[:12]} that {MANIFEST} names, found "
                f"{_digest(folder / name)[:12] or 'no such file'}: copy it here again"
            )
    rows = folder / next(name for name in told["files"] if name != SECRETS)
    X = pl.read_parquet(rows) if rows.suffix == ".parquet" else np.load(rows)
    held = _unpickled(folder / SECRETS)
    folds = Folds(X, held["wanted"], held["splits"], held["columns"])
    choice, space = held["choice"], held["space"]
    given = (held["metric"], held["prune"], held["patience"])
    return Trials(choice, space, folds, *given, 1, held["seed"]), Search(**told["search"])


def location_of(kept: Kept) -> Location:
    """Where a study is kept.

    Raises:
        SettingsError: if it is in memory, where no other process finds it.
    """
    if kept.location is None:
        raise SettingsError("several workers need a study that is kept, found one in memory: set ANOMALY_STUDIES")
    return kept.location


def _fill(folder: Path, name: str, trials: Trials, search: Search) -> None:
    """Write all files, the manifest last."""
    folds = trials.folds
    rows = "rows.parquet" if isinstance(folds.X, pl.DataFrame) else "rows.npy"
    if isinstance(folds.X, pl.DataFrame):
        folds.X.write_parquet(folder / rows)
    else:
        np.save(folder / rows, np.asarray(folds.X))
    (folder / SECRETS).write_bytes(_pickled(trials))
    manifest = {
        "study": name,
        "classifier": trials.choice.name,
        "rows": len(folds.X),
        "folds": len(folds.splits),
        "metric": trials.metric,
        "search": {"method": search.method, "trials": search.trials, "stages": search.stages, "seed": search.seed},
        "versions": dict(versions()),
        "files": {file: _digest(folder / file) for file in (rows, SECRETS)},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")


def _pickled(trials: Trials) -> bytes:
    import cloudpickle  # type: ignore[import-untyped]

    folds, choice = trials.folds, trials.choice
    held = {
        "choice": _Choice(choice.name, dict(choice.features), dict(trials.space), choice.make),
        "space": dict(trials.space),
        "wanted": folds.wanted,
        "splits": folds.splits,
        "columns": None if folds.columns is None else list(folds.columns),
        "metric": trials.metric,
        "prune": trials.prune,
        "patience": trials.patience,
        "seed": trials.seed,
    }
    try:
        return bytes(cloudpickle.dumps(held))
    except (pickle.PicklingError, TypeError, AttributeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise SettingsError(
            f"{choice.name} must be pickled for its workers, found that it cannot be ({reason}): "
            "make it of importable functions, or set ANOMALY_TUNING_WORKERS=1"
        ) from None


def _unpickled(file: Path) -> dict[str, Any]:
    """What :func:`_pickled` wrote."""
    try:
        held: dict[str, Any] = pickle.loads(file.read_bytes())
    except (ImportError, AttributeError) as error:
        raise SettingsError(
            f"a worker must be able to import what {file} names, found: {error}: put it in a module that is installed "
            "beside every worker"
        ) from None
    return held


def _swap(fresh: Path, folder: Path) -> None:
    """Put a new folder in the place of an old one; where another process was faster, its folder stays."""
    if folder.exists():
        old = folder.with_name(f".{folder.name}-{uuid4().hex[:8]}-old")
        folder.replace(old)
        shutil.rmtree(old, ignore_errors=True)
    try:
        fresh.rename(folder)
    except OSError:
        if not (folder / MANIFEST).is_file():
            raise


def _digest(file: Path) -> str:
    """Digest of a file; empty where there is none."""
    if not file.is_file():
        return ""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _require_same(theirs: Mapping[str, str], study: str) -> None:
    ours = versions()
    other = [f"{name} {ours.get(name, 'none')} for {version}" for name, version in theirs.items()
             if ours.get(name) != version]  # fmt: skip
    if other:
        raise SettingsError(
            f"a worker of {study!r} must have the versions that it was begun with, found {', '.join(other)}: "
            "install those, or begin the study anew"
        )
