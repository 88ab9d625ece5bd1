"""``python -m utils.classifiers.tuning.worker``: a process that tries points of kept studies; ``--status`` shows them.

Start as many as there are cores, on any host that reaches the storage (``ANOMALY_STUDIES``) and reads the tasks beside
it. Workers come and go: a study needs no particular one of them.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import polars as pl

from utils.classifiers.tuning import tasks
from utils.classifiers.tuning.leases import GRACE, LOST, is_gone, worker_of
from utils.classifiers.tuning.plans import best_of
from utils.classifiers.tuning.storages import LEASE, Kept, Location, in_reach, location_of, opened
from utils.classifiers.tuning.studies import DEFAULT, Default, progress_of, quiet
from utils.classifiers.tuning.trying import Worker, finished
from utils.compute.threads import limited
from utils.console import complain, ended_like_ctrl_c, say
from utils.errors import LabError, SettingsError

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

LOOK = 2.0
"""Seconds between two looks for a new study."""

STATUS = {"study": pl.String, "trials": pl.Int64, "done": pl.Int64, "running": pl.Int64, "failed": pl.Int64,
          "lost": pl.Int64, "best": pl.Float64, "workers": pl.Int64}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 2 for anything that the user can put right."""
    given = _parser().parse_args(arguments)
    try:
        location = location_of(None, workers=2)
        if location is None:
            raise AssertionError("several workers always have a place for their studies")
        with in_reach(location), ended_like_ctrl_c(), suppress(KeyboardInterrupt):
            if given.status:
                for line in _lines(status(location)):
                    say(line)
                return 0
            work(location, given.studies, wait=given.wait, loud=not given.quiet, parent=given.parent)
    except LabError as error:
        complain(str(error))
        return 2
    return 0


def work(
    location: Location,
    names: Sequence[str] = (),
    *,
    wait: bool = False,
    loud: bool = False,
    parent: int | None = None,
) -> int:
    """Work on studies until they are finished.

    A study that cannot be worked on here, such as one that was begun with other code, keeps nobody from the others.

    Args:
        location: where they are kept.
        names: their names; all that have a task here if not given.
        wait: look for new ones and go on until interrupted.
        loud: say what each trial gave.
        parent: number of the process that this one ends with.

    Returns:
        Number of trials that this process tried.

    Raises:
        SettingsError: if a study that is named is unknown, or the task of one is missing or another; of several that
            are not named only at the end, and while this waits for new ones it is said once.
    """
    tried, refused = 0, dict[str, str]()
    with quiet(), limited(1):
        while True:
            for name in open_studies(location, names):
                try:
                    for line in _work_on(opened(location, name)):
                        tried += 1
                        if loud:
                            say(f"{name}: {line}")
                        if parent is not None and os.getppid() != parent:
                            return tried
                except SettingsError as error:
                    if names:
                        raise
                    if wait and refused.get(name) != str(error):
                        complain(str(error))
                    refused[name] = str(error)
            if not wait and refused:
                raise SettingsError(next(iter(refused.values())))
            if not wait:
                return tried
            time.sleep(LOOK)


def open_studies(location: Location, names: Sequence[str] = ()) -> list[str]:
    """Names of the studies that are not finished.

    Args:
        location: where they are kept.
        names: those that are meant; all that have a task in reach if not given.

    Raises:
        SettingsError: if one that is named does not exist.
    """
    table = status(location)
    known = table["study"].to_list()
    if missing := sorted(set(names) - set(known)):
        shown = ", ".join(known) or "none"
        raise SettingsError(f"a worker must be given studies of {location}, found {missing[0]!r}: choose among {shown}")
    left = table.filter(pl.col("done") < pl.col("trials"))["study"].to_list()
    return [
        name
        for name in left
        if (name in names if names else (tasks.folder_of(location, name) / tasks.MANIFEST).is_file())
    ]


def status(location: Location) -> pl.DataFrame:
    """One row a study.

    Args:
        location: where they are kept.

    Returns:
        ``study``, ``trials`` that there will be, ``done``, ``running``, ``failed`` (among those done), ``lost`` (how
        often a worker was lost with a trial), ``best`` value so far and ``workers`` that gave a sign of life lately.
    """
    with quiet():
        storage = location.open()
        rows = []
        for study in storage.get_all_studies():
            found = storage.get_all_trials(storage.get_study_id_from_name(study.study_name), deepcopy=False)
            rows.append(_row(study.study_name, sorted(found, key=lambda trial: trial.number), study.user_attrs))
    return pl.DataFrame(rows, schema=STATUS, orient="row").sort("study")


def _work_on(kept: Kept) -> Iterator[str]:
    """Try points of one study; a line after each."""
    trials, search = tasks.read(kept)
    number = int(kept.study.user_attrs[tasks.NUMBER])
    nothing = Default((float("-inf"),), 0.0)
    for done in Worker(kept, trials, search.plan(trials.space, alone=False), number).work():
        values = kept.study.user_attrs.get(DEFAULT)
        yield str(progress_of(done, number, Default(tuple(values[0]), values[1]) if values else nothing))


def _row(name: str, seen: "Sequence[FrozenTrial]", noted: Mapping[str, Any]) -> tuple[object, ...]:
    number, default = int(noted.get(tasks.NUMBER, len(seen))), noted.get(DEFAULT)
    done = finished(seen, number)
    running = [trial for trial in seen[:number] if trial.state.name == "RUNNING"]
    failed = sum(trial.state.name == "FAIL" for trial in done)
    lost = sum(len(trial.user_attrs.get(LOST, ())) for trial in seen[:number])
    usual = [] if default is None else [sum(default[0]) / len(default[0])]
    best = best_of(done)
    reached = max([*usual, *([] if best is None or best.value is None else [best.value])], default=None)
    alive = {worker_of(trial) for trial in running if _is_alive(trial)}
    return name, number, len(done), len(running), failed, lost, reached, len(alive)


def _is_alive(trial: "FrozenTrial") -> bool:
    """Whether a running trial's worker gave a sign lately, by the clocks of both hosts."""
    sign = trial.user_attrs.get(LEASE)
    return sign is not None and not is_gone(worker_of(trial)) and time.time() - float(sign[2]) < GRACE


def _lines(table: pl.DataFrame) -> list[str]:
    """A table as text."""
    if table.is_empty():
        return ["No study yet."]
    rows = [table.columns, *([_shown(cell) for cell in row] for row in table.rows())]
    widths = [max(len(row[place]) for row in rows) for place in range(table.width)]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _shown(cell: object) -> str:
    return "" if cell is None else f"{cell:.4f}" if isinstance(cell, float) else str(cell)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m utils.classifiers.tuning.worker",
        description="Try points of the studies in ANOMALY_STUDIES; the tasks are read beside them.",
    )
    parser.add_argument("studies", nargs="*", metavar="STUDY", help="names of studies (default: all that are open)")
    ends = parser.add_mutually_exclusive_group()
    ends.add_argument("--until-done", action="store_true", help="end when they are finished (default)")
    ends.add_argument("--wait", action="store_true", help="wait for new studies until interrupted")
    ends.add_argument("--status", action="store_true", help="show the studies and end")
    parser.add_argument("--quiet", action="store_true", help="say nothing about trials")
    parser.add_argument("--parent", type=int, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
