"""The one place that writes lines for the people who call a command."""

import sys


def say(line: str = "") -> None:
    """Write one line to standard output at once, so that it also appears in order in a log file."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def complain(line: str) -> None:
    """Write one line to standard error at once."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
