"""What results depend on beside data and seeds: the code of this package and of the libraries that calculate."""

import hashlib
import platform
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from types import MappingProxyType

PACKAGE = Path(__file__).resolve().parents[1]
LIBRARIES = ("numpy", "scipy", "polars", "scikit-learn", "lightgbm", "xgboost", "tensorflow", "numba", "optuna")
NONE = "none"


@cache
def of_this_process() -> Mapping[str, str]:
    """Versions of Python, of the libraries that calculate, and a digest of the code of ``utils``."""
    code = of_code(PACKAGE.rglob("*.py"), PACKAGE)
    return MappingProxyType({"utils": code, "Python": platform.python_version()} | of_libraries(LIBRARIES))


def differences(wanted: Mapping[str, str]) -> list[str]:
    """What is another version here, each in words; libraries that one side lacks count as well.

    Args:
        wanted: what :func:`of_this_process` gave elsewhere.
    """
    here = of_this_process()
    names = dict.fromkeys([*wanted, *here])
    return [
        f"{name} {here.get(name, NONE)} instead of {wanted.get(name, NONE)}"
        for name in names
        if here.get(name, NONE) != wanted.get(name, NONE)
    ]


def of_code(files: Iterable[Path], root: Path) -> str:
    """First 12 hexadecimal digits of the SHA-256 over names and contents of modules.

    Args:
        files: the modules, in any order.
        root: folder that their names are relative to.
    """
    found = hashlib.sha256()
    for file in sorted(files):
        found.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return found.hexdigest()[:12]


def of_libraries(names: Iterable[str]) -> dict[str, str]:
    """Versions of packages, ``"none"`` for one that is not installed."""
    return {name: _version(name) for name in names}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return NONE
