"""Run a case in a process of its own: its memory is not that of earlier cases, and it may fail, crash or hang.

``python -m benchmarks.apart MODULE CASE SCALE FILE`` runs a case of a module and writes its rows to a file.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.registry import CASES, Row, Scale, from_record

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 900
"""Longest time of a case."""


class CaseFailed(RuntimeError):
    """A case gave no rows; the text says why."""


def apart(name: str, scale: Scale, seconds: float = SECONDS) -> list[Row]:
    """Run a case in a process of its own.

    Args:
        name: of a registered case.
        scale: size of the case.
        seconds: after which it is ended, with every process that it started.

    Returns:
        Its rows.

    Raises:
        CaseFailed: if it fails, crashes, or takes too long.
    """
    with tempfile.TemporaryDirectory() as folder:
        answer, said = Path(folder) / "rows.json", Path(folder) / "said"
        arguments = [CASES[name].__module__, name, json.dumps(asdict(scale)), str(answer)]
        code = _run([sys.executable, "-m", "benchmarks.apart", *arguments], said, seconds)
        if code != 0 or not answer.exists():
            raise CaseFailed(_reason(code, said, seconds))
        return [from_record(stored) for stored in json.loads(answer.read_text(encoding="utf-8"))]


def json_of(module: str, *arguments: str, seconds: float = SECONDS, python: str | None = None) -> Any:  # noqa: ANN401
    """Run ``python -m MODULE ARGUMENTS``, or a script for another Python, and read the JSON of its last line.

    Raises:
        RuntimeError: if it fails; the text is the last line that it wrote.
    """
    command = [python, module, *arguments] if python else [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=seconds)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise RuntimeError(f"{Path(module).name} {' '.join(arguments[:1])} failed: {last}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def _run(command: Sequence[str], said: Path, seconds: float) -> int | None:
    """Exit code; nothing if the time was up."""
    with said.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, cwd=ROOT, start_new_session=True)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a process and what it started, in so far as it still runs."""
    if hasattr(os, "killpg"):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
    else:
        process.kill()
    process.wait()


def _reason(code: int | None, said: Path, seconds: float) -> str:
    if code is None:
        return f"was ended after {seconds:g} s"
    if code < 0:
        return f"was ended by signal {signal.Signals(-code).name}"
    lines = said.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else f"ended with exit code {code}"


def main(module: str, name: str, scale: str, answer: str) -> int:
    """Run the case here and write its rows; the last line that is printed says what went wrong."""
    import_module(module)
    try:
        rows = CASES[name](Scale(**json.loads(scale)))
    except Exception as error:
        print(f"{type(error).__name__}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    Path(answer).write_text(json.dumps([row.record() for row in rows], default=float), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
