"""Still images of figures, for places where no JavaScript runs: GitHub, the MLflow UI, a printed report.

Drawn by Kaleido in a Chrome or Chromium on this machine, which is started once a process. Where there is none,
figures stay interactive and :func:`svg` returns ``None``.
"""

import atexit
import functools
import warnings

import plotly.graph_objects as go
import plotly.io as pio

from utils.plots.slim import slim

FONT = "Inter, Helvetica, Arial, sans-serif"


@functools.cache
def available() -> bool:
    """Whether this process can draw still images; starts the browser on the first call."""
    import kaleido

    try:
        kaleido.start_sync_server(n=1, mathjax=False, silence_warnings=True)
        atexit.register(kaleido.stop_sync_server, silence_warnings=True)
        return bool(_draw(go.Figure()))
    except Exception:  # Kaleido has no common base class: no browser, a browser that can't start, no shared memory ...
        return False


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
