"""Running the notebooks in order, from Python or as ``python -m utils.runner``.

Each notebook runs in a kernel of its own; its executed copy and an HTML report go to ``reports/`` and, beside the runs
that it recorded, to the MLflow store. ``reports/index.html`` leads to all of them.
"""

import contextlib
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from nbformat import NotebookNode

from utils import settings, tracking
from utils.errors import LabError, NotebookError, TrackingError
from utils.runner import index, kernel, notebooks, report
from utils.runner.notebooks import Notebook

__all__ = ["CELL_SECONDS", "Outcome", "Watcher", "run"]

CELL_SECONDS = 1800.0


@dataclass(frozen=True)
class Outcome:
    """How one notebook ended.

    Attributes:
        notebook: its name.
        status: ``"ok"``, ``"failed"``, or ``"not run"`` because an earlier one failed.
        seconds: how long it took.
        report: the HTML page, ``None`` if it was not run.
        error: what went wrong, in one sentence.
        details: the failing lines and the traceback.
    """

    notebook: str
    status: Literal["ok", "failed", "not run"]
    seconds: float = 0.0
    report: Path | None = None
    error: NotebookError | None = None
    details: str = ""


class Watcher(Protocol):
    """Who is told how the run goes."""

    def begin(self, notebook: Notebook) -> None:
        """A notebook starts."""

    def cell(self, notebook: Notebook, done: int, total: int, seconds: float) -> None:
        """A code cell is done; ``seconds`` is its own time."""

    def end(self, outcome: Outcome) -> None:
        """A notebook has ended."""


def run(
    only: Sequence[str] = (),
    start_from: str | None = None,
    parameters: Mapping[str, object] | None = None,
    *,
    timeout: float = CELL_SECONDS,
    in_place: bool = False,
    watcher: Watcher | None = None,
) -> list[Outcome]:
    """Run notebooks in the order of their numbers, and stop at the first that fails.

    Args:
        only: numbers or names of notebooks; empty for all.
        start_from: number or name of the first one.
        parameters: values for the cells tagged ``parameters``; every notebook must have them.
        timeout: seconds that one cell may take.
        in_place: also write the executed notebook back; its parameters stay as they are and say what it ran with.
        watcher: told about each notebook and cell.

    Returns:
        One outcome for each notebook asked for.

    Raises:
        NotebookError: if a notebook or a parameter does not exist, or reports cannot be written; nothing has run then.
        LabError: if a parameter or ``MLFLOW_TRACKING_URI`` has a value that means nothing; nothing has run then.
        KeyboardInterrupt: if interrupted; the kernel has been stopped.
    """
    places = settings.current()
    chosen = notebooks.select(places.notebooks_dir, only, start_from)
    values = [notebooks.check(notebook, parameters or {}) for notebook in chosen]
    notebooks.check_folder(places.reports_dir)
    variables = _variables(places)
    outcomes: list[Outcome] = []
    try:
        for notebook, given in zip(chosen, values, strict=True):
            if any(outcome.status == "failed" for outcome in outcomes):
                outcomes.append(Outcome(notebook.name, "not run"))
                continue
            if watcher is not None:
                watcher.begin(notebook)
            outcomes.append(_run_one(notebook, given, places, variables, timeout, in_place, watcher))
            if watcher is not None:
                watcher.end(outcomes[-1])
    finally:
        if outcomes:
            index.write(places.reports_dir, index.readable(places.notebooks_dir), outcomes)
    return outcomes


def _run_one(
    notebook: Notebook,
    given: Mapping[str, object],
    places: settings.Settings,
    variables: Mapping[str, str],
    timeout: float,
    in_place: bool,
    watcher: Watcher | None,
) -> Outcome:
    content = (notebooks.rewrite if in_place else notebooks.inject)(notebook, given)
    session = uuid.uuid4().hex
    started = time.monotonic()
    try:
        failure = kernel.execute(
            content,
            notebook.name,
            places.notebooks_dir,
            environment={**variables, settings.SESSION_VARIABLE: session},
            timeout=timeout,
            progress=None if watcher is None else lambda *done: watcher.cell(notebook, *done),
        )
    except KeyboardInterrupt:
        _end_runs(session)
        raise
    seconds = time.monotonic() - started
    page = _write_reports(notebook, content, places.reports_dir, failure)
    written_back = in_place and failure is None
    if written_back:
        notebooks.write(notebooks.restore(content, notebook, given), notebook.path)
    error = None if failure is None else NotebookError(failure.summary)
    unrecorded = _record(notebook, content, given, session, seconds, written_back, error)
    error = error or unrecorded
    return Outcome(
        notebook.name, "failed" if error else "ok", seconds, page, error, "" if failure is None else failure.details
    )


def _variables(places: settings.Settings) -> dict[str, str]:
    """Places in full: a kernel works in another folder, where a relative path would name another place."""
    found = {"ANOMALY_ROOT": str(places.root)}
    if places.data_mirror is not None:
        found["ANOMALY_DATA_MIRROR"] = str(places.data_mirror)
    if places.tracking_uri is not None:
        found["MLFLOW_TRACKING_URI"] = tracking.store_uri()
    return found


def _end_runs(session: str) -> None:
    """Mark the runs as failed that an interrupted notebook left open, as nobody else will."""
    with contextlib.suppress(LabError):
        file = tracking.store_file(tracking.store_uri())
        if file is None or file.exists():
            tracking.end_left_running(session, "the notebook was interrupted")


def _write_reports(notebook: Notebook, content: NotebookNode, folder: Path, failure: kernel.Failure | None) -> Path:
    notebooks.write(content, folder / f"{notebook.name}.ipynb")
    summary = "" if failure is None else failure.summary
    page = folder / f"{notebook.name}.html"
    notebooks.write_text(report.build(content, notebook.name, interactive=True, failure=summary), page)
    return page


def _record(
    notebook: Notebook,
    content: NotebookNode,
    given: Mapping[str, object],
    session: str,
    seconds: float,
    written_back: bool,
    error: NotebookError | None,
) -> NotebookError | None:
    """Put the executed notebook and its page beside its runs, and return what prevented it."""
    effective: dict[str, Any] = {**notebook.parameters, **given}
    try:
        tracking.log_notebook(
            notebook.name,
            session=session,
            executed=None if written_back else report.live(content),
            page=report.build(content, notebook.name, interactive=False, failure=str(error or "")),
            params=effective,
            seconds=seconds,
            error=error,
        )
    except TrackingError as trouble:
        return NotebookError(f"{notebook.name} has run, but its record is missing: {trouble}")
    return None
