"""Fetching one public file over HTTP, so that it is either there, complete and verified, or not there at all.

The bytes go to a temporary name in the target folder, are checked, and take their place by one atomic rename. Whatever
goes wrong on the way (server, network, disk, an interrupt) leaves neither a half-written file nor an empty new folder.
The transport is pooch's ``HTTPDownloader`` over requests; what it lacks is added here: retries of what may pass
(server errors, broken and silent connections), a limit on the whole time, and a quick answer where there is no network.
"""

import contextlib
import errno
import logging
import math
import os
import queue
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from utils.errors import DownloadError

logger = logging.getLogger(__name__)

PART = ".part"
ABANDONED_AFTER = 3600.0
CHUNK = 32 * 1024
PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
PORTS = {"http": 80, "https": 443}

MEMORY_SECONDS = 60.0

# What stands between this process and each host that was asked for (empty: nothing), and when that was found out.
_faults: dict[str, tuple[str, float]] = {}


class Unavailable(DownloadError):
    """A public address did not deliver its file; nothing is wrong on this machine."""


@dataclass(frozen=True)
class Patience:
    """How long to wait for a public address.

    Attributes:
        reach: seconds for the first contact with a host, names looked up and all addresses tried.
        silence: seconds between two pieces of an answer.
        total: seconds for one attempt.
        attempts: how often to try what may pass.
        pause: seconds before the second attempt, doubled before each further one.
    """

    reach: float = 5.0
    silence: float = 20.0
    total: float = math.inf
    attempts: int = 3
    pause: float = 1.0


def fetch(
    url: str, target: Path, check: Callable[[Path], None], *, size: int | None = None, patience: Patience | None = None
) -> None:
    """Download a file, check it and put it in place.

    Args:
        url: public address.
        target: where the file goes; its folder is made if need be.
        check: raises :class:`DownloadError` if the file it is given is not the one wanted.
        size: expected bytes, for the log only.
        patience: time limits and retries.

    Raises:
        Unavailable: if the host cannot be reached or does not deliver.
        DownloadError: if what came is refused by ``check``, or the disk does not take it.
    """
    patience = patience or Patience()
    _contact(url, patience.reach)
    about = f" ({size / 1e6:.1f} MB)" if size else ""
    logger.info("downloading %s%s from %s", target.name, about, urlsplit(url).hostname)
    place(target, check, lambda part: _transfer(url, part, target.name, patience))


def place(target: Path, check: Callable[[Path], None], write: Callable[[Path], None]) -> None:
    """Write a file under a temporary name, check it, and give it its own name in one step.

    Args:
        target: where the file goes; its folder is made if need be.
        check: raises :class:`DownloadError` if the file it is given is not the one wanted.
        write: fills the file it is given.

    Raises:
        DownloadError: from ``write`` or ``check``, or if the disk does not take the file.
    """
    try:
        with _part(target) as part:
            write(part)
            check(part)
            _settle(part, target, check)
    except OSError as error:
        raise DownloadError(_disk_trouble(target, error)) from error


def forget_hosts() -> None:
    """Forget which hosts could be reached and which not, as happens by itself after a minute."""
    _faults.clear()


def _settle(part: Path, target: Path, check: Callable[[Path], None]) -> None:
    """Rename, unless another process was faster: a good file that somebody may be reading stays."""
    if target.is_file():
        with contextlib.suppress(DownloadError):
            check(target)
            return
    part.replace(target)


@contextlib.contextmanager
def _part(target: Path) -> Iterator[Path]:
    """A new empty file beside the target; it and the folders made for it are gone if it was not renamed."""
    made = [folder for folder in (target.parent, *target.parent.parents) if not folder.exists()]
    part = target.with_name(f".{target.name}.{secrets.token_hex(6)}{PART}")
    try:
        _create(part)
        _sweep(target.parent)
        yield part
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _create(part: Path, attempts: int = 3) -> None:
    """Make the folder and the file; another process that gives up may remove the folder in between."""
    for attempt in range(attempts):
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            part.open("xb").close()
        except FileNotFoundError:
            if attempt == attempts - 1:
                raise
        else:
            return


def _sweep(folder: Path) -> None:
    """Remove what a killed process left behind; a running download touches its file all the time."""
    for part in folder.glob(f".*{PART}"):
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > ABANDONED_AFTER:
                part.unlink()


def _disk_trouble(target: Path, error: OSError) -> str:
    remedy = "make room on the disk" if error.errno in {errno.ENOSPC, errno.EDQUOT} else "make the folder writable"
    return (
        f"{target} cannot be written in {target.parent}: expected room and the right to write, found "
        f"{error.strerror or error}: {remedy}, or name a folder that holds the file in ANOMALY_DATA_MIRROR; "
        "nothing half-written was left"
    )


def _transfer(url: str, part: Path, name: str, patience: Patience) -> None:
    """Download into the temporary file, again from the start after a fault that may pass."""
    for attempt in range(1, patience.attempts + 1):
        try:
            _attempt(url, part, name, patience)
        except _Passing as fault:
            if attempt == patience.attempts:
                raise Unavailable(f"{url} did not deliver in {attempt} attempts: {fault}") from fault
            pause = patience.pause * 2 ** (attempt - 1)
            logger.info("%s: %s; attempt %d in %.1f s", name, fault, attempt + 1, pause)
            time.sleep(pause)
        else:
            return


class _Passing(Exception):
    """A fault that another attempt may not meet."""


def _attempt(url: str, part: Path, name: str, patience: Patience) -> None:
    import requests
    from pooch import HTTPDownloader

    deadline = time.monotonic() + patience.total
    with part.open("wb") as file, _progress(name) as bar:
        limited = _Limited(file, deadline)
        # Identity: the bytes that are hashed and counted are the bytes that travel.
        transport = HTTPDownloader(
            progressbar=bar,
            chunk_size=CHUNK,
            timeout=(patience.reach, patience.silence),
            headers={"Accept-Encoding": "identity"},
        )
        try:
            transport(url, limited, None)
        except requests.RequestException as error:
            _judge(url, error, limited.written)
        except _TooLong:
            raise Unavailable(
                f"{url} was given up after {patience.total:.0f} s with {limited.written:,} bytes"
            ) from None
        except ValueError as error:
            raise Unavailable(f"{url} answered what is no HTTP: {error}") from error


class _TooLong(Exception):
    """The time for one attempt is over."""


class _Limited:
    """A file that takes no more after a deadline: the only place a streamed download passes through regularly."""

    def __init__(self, file: BinaryIO, deadline: float) -> None:
        self._file = file
        self._deadline = deadline
        self.written = 0

    def write(self, chunk: bytes) -> int:
        if time.monotonic() > self._deadline:
            raise _TooLong
        self.written += len(chunk)
        return self._file.write(chunk)

    def flush(self) -> None:
        """Left to the file's own buffer."""


@contextlib.contextmanager
def _progress(name: str) -> Iterator[Any]:
    """A bar on a terminal; elsewhere none, and the log says what happens."""
    if not sys.stderr.isatty():
        yield False
        return
    from tqdm import tqdm

    # The transport replaces the total, but takes a bar without one for no bar.
    with tqdm(total=1, desc=name, unit="B", unit_scale=True, leave=False) as bar:
        yield bar


def _judge(url: str, error: Exception, written: int) -> None:
    """Tell a fault that may pass from one that stays, and a host that is away from one that answers badly."""
    import requests

    answer = getattr(error, "response", None)
    if isinstance(error, requests.HTTPError) and answer is not None:
        status = f"the server answered {answer.status_code} {answer.reason}"
        if answer.status_code in PASSING_STATUS:
            raise _Passing(status) from error
        raise Unavailable(f"{url} is not to be had: {status}") from error
    if _is_away(error):
        _remember(_host(url), _reason(error))
        raise Unavailable(_away(url)) from error
    if _is_silent(error):
        raise _Passing(f"the server fell silent after {written:,} bytes") from error
    if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        raise _Passing(f"the connection broke after {written:,} bytes") from error
    raise Unavailable(f"{url} cannot be used: {_reason(error)}") from error


def _is_away(error: Exception) -> bool:
    """True if no connection was made at all: no name, no route, refused, no proxy, no trusted certificate."""
    import requests
    import urllib3

    inner = getattr(error.args[0] if error.args else None, "reason", None)
    no_contact = (requests.exceptions.ProxyError, requests.exceptions.SSLError, requests.ConnectTimeout)
    return isinstance(error, no_contact) or isinstance(inner, urllib3.exceptions.NewConnectionError)


def _is_silent(error: Exception) -> bool:
    """True if an answer stopped coming; requests tells silence before the answer from silence within it."""
    import requests
    import urllib3

    inner = error.args[0] if error.args else None
    return isinstance(error, requests.Timeout) or isinstance(inner, urllib3.exceptions.ReadTimeoutError)


def _contact(url: str, seconds: float) -> None:
    """Refuse at once a host that cannot be reached, asked once in a while: networks come back.

    Name servers and addresses that never answer make an ordinary connection hang for minutes, and no socket timeout
    covers the look-up of a name; hence a thread that is left behind when the time is over.
    """
    host = _host(url)
    _, asked = _faults.get(host, ("", -math.inf))
    if time.monotonic() - asked > MEMORY_SECONDS:
        _remember(host, _fault(url, seconds))
    if _faults[host][0]:
        raise Unavailable(_away(url))


def _remember(host: str, fault: str) -> None:
    _faults[host] = (fault, time.monotonic())


def _fault(url: str, seconds: float) -> str:
    """Say why no connection can be made, or nothing."""
    outcome: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_knock, args=(url, seconds, outcome), daemon=True).start()
    try:
        return outcome.get(timeout=seconds)
    except queue.Empty:
        return f"no answer within {seconds:g} s"


def _knock(url: str, seconds: float, outcome: "queue.SimpleQueue[str]") -> None:
    try:
        socket.create_connection(_first_hop(url), timeout=seconds).close()
    except (OSError, ValueError) as error:
        outcome.put(_reason(error))
    else:
        outcome.put("")


def _first_hop(url: str) -> tuple[str, int]:
    """Host and port that the first packet goes to: the proxy's, where the environment names one."""
    from requests.utils import get_environ_proxies, select_proxy

    proxy = select_proxy(url, get_environ_proxies(url))
    parts = urlsplit(proxy if proxy and "://" in proxy else f"http://{proxy}" if proxy else url)
    return parts.hostname or "", parts.port or PORTS.get(parts.scheme, 80)


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _away(url: str) -> str:
    host = _host(url)
    return f"{host} cannot be reached ({_faults[host][0]})"


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or os.strerror(errno.EIO)
