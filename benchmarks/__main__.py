"""Run the benchmark cases: ``python -m benchmarks [CASE ...] [--rounds N] [--to FOLDER]``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import (  # noqa: F401 (registers the cases)
    call_graphs,
    classifiers,
    dbscan,
    hdfs_logs,
    log_templates,
    log_windows,
    next_event,
    report,
    serving,
    web_events,
)
from benchmarks.registry import CASES, Row, Scale
from utils.errors import LabError

RESULTS = Path(__file__).parent / "results"


def main(arguments: Sequence[str] | None = None, scale: Scale | None = None) -> int:
    """Run cases, print their table, write it, and say by the exit code whether every bar was met.

    Args:
        arguments: command line; ``None`` for that of the process.
        scale: size of the cases; ``None`` for that of the claims.

    Returns:
        0, or 1 if a bar was missed or a case could not be run.
    """
    chosen = _parser().parse_args(arguments)
    rows: list[Row] = []
    failed = False
    for name in chosen.cases or CASES:
        try:
            rows += CASES[name](scale or Scale(rounds=chosen.rounds))
        except (LabError, OSError, RuntimeError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed = True
    print(report.markdown(rows))
    for path in report.write(rows, chosen.to):
        print(path)
    missed = [row.case for row in rows if row.met is False]
    if missed:
        print(f"missed: {', '.join(missed)}", file=sys.stderr)
    return int(failed or bool(missed))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the speed claims.")
    parser.add_argument(
        "cases", nargs="*", metavar="CASE", type=_known, help=f"any of {', '.join(CASES)} (default: all)"
    )
    parser.add_argument(
        "--rounds", type=_positive, default=Scale().rounds, help="measured rounds (default: %(default)s)"
    )
    parser.add_argument("--to", type=Path, default=RESULTS, help="folder of the result files (default: %(default)s)")
    return parser


def _known(text: str) -> str:
    if text not in CASES:
        raise argparse.ArgumentTypeError(f"a case must be one of {', '.join(CASES)}, found {text!r}")
    return text


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"at least 1 round, found {number}")
    return number


if __name__ == "__main__":
    sys.exit(main())
