"""Programs that the laboratory is measured against and that cannot be installed beside it.

Each gets a virtual environment of its own in the user's cache folder, made at first use. Where that fails (no network,
no package index), the case says so and measures ours alone.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pooch

FOLDER = pooch.os_cache("anomaly-lab") / "peers"
SECONDS = 300


class PeerMissing(RuntimeError):
    """The peer could not be installed; the text says why."""


def interpreter(name: str, requirement: str, folder: Path = FOLDER) -> Path:
    """Return the Python that has a peer, after installing it if need be.

    Args:
        name: package, as it is imported.
        requirement: package with version, as pip takes it.
        folder: holds one environment a peer.

    Raises:
        PeerMissing: if it cannot be installed; nothing is left behind.
    """
    home = folder / requirement.replace("==", "-")
    python = home / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    try:
        if not python.exists():
            _run([sys.executable, "-m", "venv", str(home)])
            _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement])
        _run([str(python), "-c", f"import {name}"])
    except (OSError, subprocess.SubprocessError) as error:
        shutil.rmtree(home, ignore_errors=True)
        raise PeerMissing(f"{requirement} could not be installed: {_reason(error)}") from None
    return python


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS)


def _reason(error: Exception) -> str:
    """Last line of what the command said, or the error."""
    lines = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
