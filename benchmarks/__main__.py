"""Run the benchmark cases: ``python -m benchmarks [CASE ...] [--missing] [--quick] [--rounds N] [--to FOLDER]``.

``python -m benchmarks docs`` writes what was measured, and what follows from it, into ``docs/scaling.md``.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import (  # noqa: F401 (registers the cases)
    call_graphs,
    classifiers,
    dbscan,
    flow_scale,
    forests,
    growth,
    hdfs_logs,
    log_scale,
    log_templates,
    log_windows,
    next_event,
    notebooks,
    report,
    serving,
    web_events,
)
from benchmarks.apart import CaseFailed, apart
from benchmarks.registry import CASES, QUICK, Row, Scale

RESULTS = Path(__file__).parent / "results"

Run = Callable[[str, Scale], list[Row]]


def main(arguments: Sequence[str] | None = None, run: Run = apart) -> int:
    """Run cases, each in a process of its own, write the table after each, and say whether every bar was met.

    Args:
        arguments: command line; ``None`` for that of the process.
        run: runs one case.

    Returns:
        0, or 1 if a bar was missed or something could not be measured.
    """
    chosen = _parser().parse_args(arguments)
    if chosen.cases == ["docs"]:
        from benchmarks import docs

        print(docs.renew(report.read(chosen.to)))
        return 0
    folder, scale = _where_and_how(chosen)
    rows = report.read(folder)
    names = [name for name in chosen.cases or CASES if not (chosen.missing and _is_done(name, rows))]
    for place, name in enumerate(names, start=1):
        rows = report.merged(rows, _measured(name, scale, run, f"{place} of {len(names)}"), name)
        files = report.write(rows, folder)
    new = [row for row in rows if row["name"] in names]
    print(f"{report.markdown(new)}\n\n{report.growth(new)}\n")
    print(report.summary(rows), *(str(path) for path in files if names), sep="\n") if names else print("nothing to do")
    return int(any(row["met"] is False or row["problem"] for row in new))


def _where_and_how(chosen: argparse.Namespace) -> tuple[Path, Scale]:
    """The result folder and the scale; results of small sizes never mix with those of the claims."""
    if not chosen.quick:
        return chosen.to, Scale(rounds=chosen.rounds)
    return chosen.to / "quick", QUICK


def _measured(name: str, scale: Scale, run: Run, place: str) -> list[report.Record]:
    """Rows of a case; one that tells the reason where it gave none."""
    began, spent = time.perf_counter(), _spent()
    try:
        rows = run(name, scale)
    except CaseFailed as failed:
        rows = [Row(name, None, None, None, "", "", problem=str(failed))]
    seconds, cpu = time.perf_counter() - began, _spent() - spent
    print(f"{place}: {name}, {seconds:.0f} s, {cpu:.0f} s of CPU", file=sys.stderr, flush=True)
    found = report.records(name, rows, seconds, cpu)
    return found if scale.of_the_claims else [row | {"bar": None, "met": None} for row in found]


def _spent() -> float:
    """CPU seconds of all processes that this one has waited for."""
    times = os.times()
    return times.children_user + times.children_system


def _is_done(name: str, rows: Sequence[report.Record]) -> bool:
    """Whether a case has rows, all of them measured."""
    own = [row for row in rows if row["name"] == name]
    return bool(own) and not any(row["problem"] for row in own)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the speed claims.")
    parser.add_argument(
        "cases", nargs="*", metavar="CASE", type=_known,
        help=f"any of {', '.join(CASES)} (default: all); or docs: write docs/scaling.md anew",
    )  # fmt: skip
    parser.add_argument("--missing", action="store_true", help="only cases that have no results yet")
    parser.add_argument("--quick", action="store_true", help="small sizes, whose results are kept apart; no bars")
    parser.add_argument(
        "--rounds", type=_positive, default=Scale().rounds, help="measured rounds (default: %(default)s)"
    )
    parser.add_argument("--to", type=Path, default=RESULTS, help="folder of the result files (default: %(default)s)")
    return parser


def _known(text: str) -> str:
    if text not in (*CASES, "docs"):
        raise argparse.ArgumentTypeError(f"a case must be one of {', '.join(CASES)}, found {text!r}")
    return text


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"at least 1 round, found {number}")
    return number


if __name__ == "__main__":
    sys.exit(main())
