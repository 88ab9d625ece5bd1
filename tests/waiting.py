"""Wait for what another thread or process does."""

import time
from collections.abc import Callable
from typing import TypeVar

Seen = TypeVar("Seen")


def eventually(look: Callable[[], Seen], seconds: float = 20) -> Seen:
    """Look again and again until there is something to see, and give what was seen.

    Raises:
        AssertionError: if nothing was seen in time; it shows the last look.
    """
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"nothing to see after {seconds} s: {seen!r}"
        time.sleep(0.02)
    return seen
