"""What commands share: writing lines to the people who call them, and ending cleanly when told to."""

import contextlib
import signal
import sys
from collections.abc import Iterator
from types import FrameType

_ENDINGS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


def say(line: str = "") -> None:
    """Write one line to standard output at once, so that it also appears in order in a log file."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def complain(line: str) -> None:
    """Write one line to standard error at once."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


@contextlib.contextmanager
def ended_like_ctrl_c() -> Iterator[None]:
    """Let a request to end, or a closed terminal, raise ``KeyboardInterrupt``, so that children are stopped too.

    What is ignored stays ignored: ``nohup`` lets a command outlive its terminal. Works in the main thread only, as
    Python's signal handlers do.
    """
    heeded = [number for number in _ENDINGS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, _interrupt) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
