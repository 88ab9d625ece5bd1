"""Still images of figures, for places where no JavaScript runs: GitHub, the MLflow UI, a printed report.

Drawn by Kaleido in a Chrome or Chromium on this machine, which is started once a process. Where there is none,
figures stay interactive and :func:`svg` returns ``None``.
"""

import atexit
import contextlib
import functools
import threading
import warnings
from collections.abc import Collection, Iterator
from pathlib import Path

import plotly.graph_objects as go
import plotly.io as pio

from utils.plots.slim import slim

FONT = "Inter, Helvetica, Arial, sans-serif"
POLL_SECONDS = 0.02


@functools.cache
def available() -> bool:
    """Whether this process can draw still images; starts the browser on the first call."""
    import kaleido
    from choreographer.browsers.chromium import Chromium

    browser = Chromium.find_browser(skip_local=False)
    if browser is None or not Path(browser).is_file():
        return False
    known = set(threading.enumerate())
    with _silent_threads():
        kaleido.start_sync_server(n=1, mathjax=False, silence_warnings=True)
        atexit.register(kaleido.stop_sync_server, silence_warnings=True)
        return _draws(set(threading.enumerate()) - known)


def _draws(servers: Collection[threading.Thread]) -> bool:
    """Whether a first figure is drawn before the server's thread ends, as it does if its browser can't start."""
    drawn: list[str] = []
    first = threading.Thread(target=lambda: drawn.append(_draw(go.Figure())), daemon=True)
    first.start()
    while first.is_alive() and any(server.is_alive() for server in servers):
        first.join(POLL_SECONDS)
    return bool(drawn)


@contextlib.contextmanager
def _silent_threads() -> Iterator[None]:
    """Keep what threads end with (a browser that can't start, no shared memory ...) out of the notebook."""
    usual = threading.excepthook
    threading.excepthook = lambda _: None
    try:
        yield
    finally:
        threading.excepthook = usual


def svg(figure: go.Figure) -> str | None:
    """Draw a figure as SVG text, or return ``None`` where no browser can draw it.

    A notebook shows a figure and a run stores it: the same figure is drawn once.
    """
    return _slim_svg(figure.to_json()) if available() else None


@functools.lru_cache(maxsize=128)
def _slim_svg(figure: str) -> str:
    return slim(_draw(pio.from_json(figure)), FONT)


def _draw(figure: go.Figure) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # plotly passes options that a running Kaleido server ignores
        return bytes(figure.to_image(format="svg")).decode()
