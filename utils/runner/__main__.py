"""``python -m utils.runner [--only 01,03] [--from 04] ...`` runs the notebooks; ``make run`` calls it."""

import argparse
import ast
import os
import sys
from collections.abc import Sequence

from tqdm import tqdm

from utils import settings
from utils.console import complain, ended_like_ctrl_c, say
from utils.errors import LabError, NotebookError
from utils.runner import CELL_SECONDS, Outcome, index, run
from utils.runner.notebooks import Notebook

SLOW_CELL = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 if all went well, 1 if a notebook failed, 2 if the command asks for what does not exist, 130 if interrupted.
    """
    given = _parser().parse_args(arguments)
    watcher = _Bars() if sys.stderr.isatty() else _Lines()
    try:
        with ended_like_ctrl_c():
            outcomes = run(
                _list(given.only),
                given.start_from,
                _parameters(given),
                timeout=given.timeout,
                in_place=given.in_place,
                watcher=watcher,
            )
    except LabError as error:
        complain(str(error))
        return 2
    except KeyboardInterrupt:
        complain("Interrupted: the kernel has been stopped.")
        return 130
    for line in table(outcomes):
        say(line)
    if (overview := settings.current().reports_dir / index.NAME).exists():
        say(f"\nAll pages: {os.path.relpath(overview, settings.current().root)}")
    return int(any(outcome.status == "failed" for outcome in outcomes))


def table(outcomes: Sequence[Outcome]) -> list[str]:
    """Sum up a run, one line a notebook."""
    rows: list[tuple[str, str, str, str]] = [
        (outcome.notebook, outcome.status, f"{outcome.seconds:.1f}", _relative(outcome) if outcome.report else "")
        for outcome in outcomes
    ]
    rows.insert(0, ("notebook", "status", "seconds", "report"))
    widths = [max(len(row[k]) for row in rows) for k in range(4)]
    lines = [f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}".rstrip() for row in rows]
    return ["", *lines]


class _Lines:
    """Progress for log files: a line at the start, for each slow cell and at the end."""

    def begin(self, notebook: Notebook) -> None:
        say(f"{notebook.name} ...")

    def cell(self, notebook: Notebook, done: int, total: int, seconds: float) -> None:
        if seconds >= SLOW_CELL or done == total:
            say(f"{notebook.name}  cell {done:>2} of {total}  {seconds:6.1f} s")

    def end(self, outcome: Outcome) -> None:
        _tell(outcome)


class _Bars:
    """Progress for terminals: one bar a notebook."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None

    def begin(self, notebook: Notebook) -> None:
        self._bar = tqdm(desc=notebook.name, unit="cell", file=sys.stderr)

    def cell(self, notebook: Notebook, done: int, total: int, seconds: float) -> None:
        if self._bar is not None:
            self._bar.total = total
            self._bar.update()

    def end(self, outcome: Outcome) -> None:
        if self._bar is not None:
            self._bar.close()
        _tell(outcome)


def _tell(outcome: Outcome) -> None:
    if outcome.error is not None:
        complain("\n".join(filter(None, [str(outcome.error), outcome.details])))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m utils.runner", description="Run the notebooks in order.")
    add = parser.add_argument
    add("--only", default="", metavar="01,03", help="numbers or names of the notebooks to run (default: all)")
    add("--from", dest="start_from", metavar="04", help="number or name of the first notebook to run")
    add("--source", default="auto", help="SOURCE: auto, real or simulated (default: %(default)s)")
    add("--budget", default="fast", help="BUDGET: fast or full (default: %(default)s)")
    add("--datasets", metavar="A,B", help="DATASETS: names of the catalogue (default: what each notebook says)")
    add("--seed", type=int, help="SEED (default: what each notebook says)")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="any other parameter, as often as needed")
    add("--timeout", type=float, default=CELL_SECONDS, help="seconds one cell may take (default: %(default)g)")
    add("--in-place", action="store_true", help="also write the executed notebooks back")
    return parser


def _parameters(given: argparse.Namespace) -> dict[str, object]:
    values: dict[str, object] = {"SOURCE": given.source, "BUDGET": given.budget}
    if given.datasets is not None:
        values["DATASETS"] = _list(given.datasets)
    if given.seed is not None:
        values["SEED"] = given.seed
    return values | dict(_assignment(text) for text in given.set)


def _assignment(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise NotebookError(f"--set needs NAME=VALUE, found {text!r}: correct it")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError):
        return name, value


def _list(text: str) -> list[str]:
    return [entry.strip() for entry in text.split(",") if entry.strip()]


def _relative(outcome: Outcome) -> str:
    root = settings.current().root
    return os.path.relpath(outcome.report or root, root)


if __name__ == "__main__":
    sys.exit(main())
