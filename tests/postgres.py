"""A real PostgreSQL for the tests: a temporary cluster on this machine, as many fresh databases as are asked for."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import psycopg

BINARIES = ("initdb", "postgres")
DEBIAN = Path("/usr/lib/postgresql")
USER = "lab"
QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "32MB",
         "max_connections": "60", "unix_socket_directories": "", "listen_addresses": "127.0.0.1"}  # fmt: skip
"""Settings of a cluster that nobody will miss after the tests."""

PATIENCE = 60
"""Seconds until a cluster must answer."""


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[str], str]]:
    """A function from a name to the URL of a fresh database; skipped where there is no PostgreSQL."""
    pytest.importorskip("psycopg", reason="psycopg is not installed (extra postgres)")
    binaries = _binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed (no initdb on PATH or in /usr/lib/postgresql)")
    owner = _owner()
    if owner is None:
        pytest.skip("initdb refuses root, and there is no user postgres or nobody to run it as")
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        os.chown(folder, *owner)
        with _Cluster(binaries, folder, owner) as cluster:
            yield cluster.database
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Cluster:
    """A running cluster.

    Args:
        binaries: folder of PostgreSQL's programs.
        folder: empty folder of the user who runs it.
        owner: user and group that it runs as.
    """

    def __init__(self, binaries: Path, folder: Path, owner: tuple[int, int]) -> None:
        self.data, self.binaries = folder / "data", binaries
        self.log = folder / "log"
        self.rights = {"user": owner[0], "group": owner[1], "extra_groups": []} if os.getuid() == 0 else {}
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "_Cluster":
        made = ["-D", self.data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        self._run([self.binaries / "initdb", *made]).check_returncode()
        for _ in range(3):
            self.port = _free_port()
            options = [part for name, value in QUICK.items() for part in ("-c", f"{name}={value}")]
            self.process = self._start([self.binaries / "postgres", "-D", self.data, "-p", str(self.port), *options])
            if self._answers():
                return self
        raise RuntimeError(f"PostgreSQL did not start: {self.log.read_text()}")

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(PATIENCE)

    def database(self, name: str) -> str:
        """Make a database, or an empty one of the same name, and return its URL for SQLAlchemy."""
        with self._connected() as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            connection.execute(f'CREATE DATABASE "{name}"')
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/{name}"

    def _connected(self) -> "psycopg.Connection":
        import psycopg

        address = f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"
        return psycopg.connect(address, autocommit=True, connect_timeout=PATIENCE)

    def _answers(self) -> bool:
        """Wait until the server answers; false if it ended, as it does when somebody else took its port."""
        import psycopg

        last = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < last:
            try:
                self._connected().close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return True
        return False

    def _run(self, command: list[object]) -> subprocess.CompletedProcess[bytes]:
        with self.log.open("ab") as log:
            return subprocess.run(command, cwd="/", stdout=log, stderr=log, check=False, **self.rights)

    def _start(self, command: list[object]) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(command, cwd="/", stdout=log, stderr=log, start_new_session=True, **self.rights)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _binaries() -> Path | None:
    """Folder of PostgreSQL's programs: the one on PATH, or the newest that Debian installed."""
    found = shutil.which("initdb")
    numbered = sorted(DEBIAN.glob("*/bin"), key=lambda folder: int(folder.parent.name), reverse=True)
    folders = [*([Path(found).resolve().parent] if found else []), *numbered]
    return next((folder for folder in folders if all((folder / name).exists() for name in BINARIES)), None)


def _owner() -> tuple[int, int] | None:
    """User and group that the server runs as: those of the tests, or somebody else in place of root."""
    if os.getuid() != 0:
        return os.getuid(), os.getgid()
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    return None
