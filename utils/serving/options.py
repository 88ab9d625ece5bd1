"""How the service runs: where it listens, what it serves, and its limits."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from utils.errors import SettingsError

HOST, PORT = "127.0.0.1", 8000
KEY_VARIABLE = "ANOMALY_API_KEY"
LEAST_KEY = 8
MOST_PORT = 65_535


@dataclass(frozen=True)
class Options:
    """Settings of one service.

    Attributes:
        host: address that it listens on.
        port: port that it listens on; 0 for a free one.
        models: registered names that are served, loaded in this order; all that hold the alias if empty.
        key: what clients must present; nothing if empty.
        most_bytes: largest body of a request, in bytes.
        most_rows: most rows, events, sessions or lines of one request.
        seconds: longest time for one answer.
        watch_seconds: time between two looks at the alias.
        most_waiting: requests that may wait for one of the threads that decide.
        threads: requests that are decided on at the same time.
    """

    host: str = HOST
    port: int = PORT
    models: tuple[str, ...] = ()
    key: str = ""
    most_bytes: int = 8_000_000
    most_rows: int = 100_000
    seconds: float = 30.0
    watch_seconds: float = 2.0
    most_waiting: int = 256
    threads: int = 2

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            SettingsError: if a number is out of its range or the key is too short to be one.
        """
        if not 0 <= self.port <= MOST_PORT:
            raise SettingsError(f"the port must be in 0..{MOST_PORT}, found {self.port}: name another one")
        for name in ("most_bytes", "most_rows", "seconds", "watch_seconds", "most_waiting", "threads"):
            if not 0 < getattr(self, name) < math.inf:
                found = getattr(self, name)
                raise SettingsError(f"{name} must be above 0 and finite, found {found}: give another number")
        if self.key and len(self.key) < LEAST_KEY:
            found = f"found {len(self.key)}"
            raise SettingsError(f"an API key must have {LEAST_KEY} or more characters, {found}: choose a longer one")


def key_from(file: Path | None, environment: Mapping[str, str] | None = None) -> str:
    """Read the key of clients from a file, or else from the variable ``ANOMALY_API_KEY``; empty if there is none.

    Args:
        file: its first line is the key.
        environment: of this process if not given.

    Raises:
        SettingsError: if the file cannot be read or is empty.
    """
    if file is None:
        return (os.environ if environment is None else environment).get(KEY_VARIABLE, "").strip()
    try:
        key = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise SettingsError(f"the key file {file} cannot be read ({reason}): name a readable file") from None
    if not key:
        raise SettingsError(f"the key file {file} must hold a key in its first line, found nothing: write one")
    return key.splitlines()[0].strip()
