"""Executing one notebook in a kernel of this very Python, and saying well what went wrong."""

import asyncio
import contextlib
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, CellExecutionError, CellTimeoutError
from nbformat import NotebookNode

from utils import errors

ENVIRONMENT = MappingProxyType(
    {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "JUPYTER_PLATFORM_DIRS": "1",
    }
)
"""What keeps banners of libraries out of the notebooks; a value that is already set stands."""

SOCKET_PATH_LENGTH = 107
SHORT_FOLDER = Path("/tmp")
EXCERPT_LINES = 3
TRACEBACK_LINES = 30

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_LINE = re.compile(r"Cell In\s?\[\d+\], line (\d+)")

Progress = Callable[[int, int, float], None]
"""Called after each code cell: how many are done, how many there are, seconds of this one."""


@dataclass(frozen=True)
class Failure:
    """What went wrong in a notebook.

    Attributes:
        summary: one sentence.
        details: the lines around the failing one and the traceback.
    """

    summary: str
    details: str


class _OwnKernel(AsyncKernelManager):
    """A kernel of the Python that runs this, whatever kernels the machine has installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        """The command that starts the kernel."""
        launch = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=launch, display_name="Python 3", language="python")


def execute(
    content: NotebookNode,
    name: str,
    folder: Path,
    *,
    environment: Mapping[str, str],
    timeout: float,
    progress: Progress | None = None,
) -> Failure | None:
    """Run all cells in place and return what went wrong, ``None`` if nothing did.

    Args:
        content: the notebook; outputs and execution counts are written into it, also of a run that fails.
        name: what to call it in messages.
        folder: working directory of the kernel.
        environment: variables for the kernel beside those of this process.
        timeout: seconds that one cell may take.
        progress: called after each code cell.

    Raises:
        NotebookError: if it is called inside a running event loop, as that of a notebook.
        KeyboardInterrupt: if the run was interrupted; its kernel has been stopped.
    """
    _refuse_inside_loop()
    with _private_folder() as private:
        client = _client(content, private, timeout, progress)
        variables = {**ENVIRONMENT, **os.environ, **environment}
        variables |= {"IPYTHONDIR": str(private / "ipython"), "JUPYTER_RUNTIME_DIR": str(private)}
        if _too_long_for_sockets(tempfile.gettempdir()):
            variables["TMPDIR"] = str(private)  # Chrome, which draws still images, keeps a socket there too
        log = private / "kernel.log"
        with log.open("wb") as output:
            try:
                asyncio.run(_run(client, cwd=str(folder), env=variables, stdout=output, stderr=output))
            except CellTimeoutError:
                return _failed(
                    client, name, content, f"a cell took more than {timeout:g} s: raise --timeout or mend it"
                )
            except CellExecutionError:
                return _failed(client, name, content, None)
            except (CellControlSignal, RuntimeError) as error:
                reason = _last_line(log) or str(error)
                return _failed(client, name, content, f"the kernel died ({reason}): is there enough memory?")
    return None


def _refuse_inside_loop() -> None:
    with contextlib.suppress(RuntimeError):  # there is none, as in every command
        asyncio.get_running_loop()
        raise errors.NotebookError(
            "notebooks must be run from a shell or a script, found a running event loop such as that of a notebook: "
            "call make run, or python -m utils.runner"
        )


async def _run(client: "_Client", **kernel: Any) -> None:  # noqa: ANN401 - options of the kernel's process
    client.task = asyncio.current_task()
    try:
        await client.async_execute(**kernel)
    except BaseException:
        if client.interrupted:
            raise KeyboardInterrupt from None
        raise


class _Client(NotebookClient):
    """A notebook client that knows the cell it is in and lets Ctrl-C end the run instead of one cell."""

    task: "asyncio.Task[Any] | None" = None
    interrupted = False
    position = 0
    started = 0.0

    def interrupt(self) -> None:
        """Stop the kernel at once and end the run."""
        self.interrupted = True
        self.shutdown_kernel = "immediate"
        if self.task is not None:
            self.task.cancel()

    def take_signals(self) -> None:
        """Handle Ctrl-C and requests to end from here on."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(RuntimeError, NotImplementedError, ValueError):
                loop.add_signal_handler(number, self.interrupt)


def _client(content: NotebookNode, private: Path, timeout: float, progress: Progress | None) -> _Client:
    client = _Client(
        content,
        timeout=timeout,
        kernel_name="python3",
        kernel_manager_class=_OwnKernel,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        record_timing=False,
    )
    total = sum(1 for cell in content.cells if _is_code(cell))
    done = 0

    def begin(cell: NotebookNode, cell_index: int) -> None:
        client.position, client.started = cell_index, time.monotonic()

    def end(cell: NotebookNode, cell_index: int, execute_reply: Mapping[str, Any]) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total, time.monotonic() - client.started)

    client.on_notebook_start = lambda notebook: client.take_signals()
    client.on_cell_execute = begin
    client.on_cell_executed = end
    manager = client.create_kernel_manager()
    manager.connection_file = str(private / "k.json")
    if os.name == "posix" and not _too_long_for_sockets(str(private)):
        manager.transport = "ipc"
    return client


@contextlib.contextmanager
def _private_folder() -> Iterator[Path]:
    """Make a short-named folder for sockets and state, so that no home folder is needed."""
    usual = tempfile.gettempdir()
    place = SHORT_FOLDER if _too_long_for_sockets(usual) and os.access(SHORT_FOLDER, os.W_OK) else usual
    with tempfile.TemporaryDirectory(prefix="lab-", dir=place, ignore_cleanup_errors=True) as path:
        yield Path(path)


def _too_long_for_sockets(folder: str) -> bool:
    """Whether a socket in a folder of this folder may exceed the 107 characters that a socket's path may have."""
    return os.name == "posix" and len(folder) > SOCKET_PATH_LENGTH // 2


def _failed(client: _Client, name: str, content: NotebookNode, reason: str | None) -> Failure:
    cell = content.cells[client.position]
    place = f"{name}, cell {client.position + 1} of {len(content.cells)}"
    error = next((output for output in cell.get("outputs", []) if output.output_type == "error"), None)
    if reason is not None or error is None:
        return Failure(f"{place}: {reason or 'the cell failed without saying why'}", _excerpt(cell.source, None))
    trace = _COLOUR.sub("", "\n".join(error.traceback))
    lines = _LINE.findall(trace)
    details = f"{_excerpt(cell.source, int(lines[-1]) if lines else None)}\n\n{_shorten(trace)}"
    said = error.evalue.strip() or "no message"
    if _is_lab_error(error.ename):
        return Failure(f"{said} ({place})", details)
    return Failure(f"{place}: {error.ename}: {said.splitlines()[0]}", details)


def _excerpt(source: str, line: int | None) -> str:
    lines = source.splitlines()
    around = range(len(lines)) if line is None else range(max(0, line - 1 - EXCERPT_LINES), line + EXCERPT_LINES)
    shown = [k for k in around if k < len(lines)][: 2 * EXCERPT_LINES + 1]
    return "\n".join(f"{'>' if line == k + 1 else ' '} {k + 1:>3} | {lines[k]}" for k in shown)


def _shorten(trace: str) -> str:
    """Drop the places where Python and its packages are installed, and the middle of a long traceback."""
    for place in {sys.prefix, sys.base_prefix, str(Path(errors.__file__).resolve().parents[1])}:
        trace = trace.replace(f"{place}{os.sep}", "")
    lines = [line for line in trace.splitlines() if line.strip("- ")]
    if len(lines) > TRACEBACK_LINES:
        lines = [*lines[:4], "    ...", *lines[5 - TRACEBACK_LINES :]]
    return "\n".join(lines)


def _is_lab_error(name: str) -> bool:
    kind = getattr(errors, name, None)
    return isinstance(kind, type) and issubclass(kind, errors.LabError)


def _is_code(cell: NotebookNode) -> bool:
    return bool(cell.cell_type == "code" and cell.source.strip())


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else ""
