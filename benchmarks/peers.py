"""Programs that the laboratory is measured against and that cannot be installed beside it.

Each gets a virtual environment of its own in the user's cache folder, made at first use, by uv where it is and by pip
else. Where that fails (no network, no package index), the case says so and measures ours alone.
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pooch

FOLDER = pooch.os_cache("anomaly-lab") / "peers"
SECONDS = 600
"""Longest time of an installation."""

DRAIN3 = ("drain3", "drain3==0.9.11")
LOGLEAD = ("loglead", "loglead==2.0.0")
LOGPARSER = ("logparser", "logparser3==1.0.4")
INTELEX = ("sklearnex", "scikit-learn-intelex==2026.2.0")
IGRAPH = ("igraph", "igraph==1.0.0 numpy")
RUSTWORKX = ("rustworkx", "rustworkx==0.18.1")
ONNX = ("onnxruntime", f"onnxruntime==1.32.0 skl2onnx==1.20.0 joblib scikit-learn=={version('scikit-learn')}")


class PeerMissing(RuntimeError):
    """The peer could not be installed; the text says why."""


def interpreter(name: str, requirement: str, folder: Path = FOLDER) -> Path:
    """Return the Python that has a peer, after installing it if need be.

    Args:
        name: package, as it is imported.
        requirement: package with version, and others that it needs, with blanks between.
        folder: holds one environment a peer.

    Raises:
        PeerMissing: if it cannot be installed; nothing is left behind.
    """
    home = folder / requirement.split()[0].replace("==", "-")
    python = home / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    try:
        if not python.exists():
            for command in _commands(home, python, requirement):
                _run(command)
        _run([str(python), "-c", f"import {name}"])
    except (OSError, subprocess.SubprocessError) as error:
        shutil.rmtree(home, ignore_errors=True)
        raise PeerMissing(f"{requirement} could not be installed: {_reason(error)}") from None
    return python


def found(peer: tuple[str, str]) -> tuple[Path | None, str]:
    """The Python that has a peer, or why there is none."""
    try:
        return interpreter(*peer), ""
    except PeerMissing as missing:
        return None, str(missing)


def _commands(home: Path, python: Path, requirement: str) -> Sequence[list[str]]:
    """What makes an environment and installs a package there."""
    if find_spec("uv"):
        uv = [sys.executable, "-m", "uv"]
        return (
            [*uv, "venv", "--quiet", "--python", sys.executable, str(home)],
            [*uv, "pip", "install", "--quiet", "--python", str(python), *requirement.split()],
        )
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirement.split()]
    return ([sys.executable, "-m", "venv", str(home)], pip)


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS)


def _reason(error: Exception) -> str:
    """Last line of what the command said, or the error."""
    lines = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
