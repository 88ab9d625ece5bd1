"""``python -m utils.retraining MODEL... [--source --budget --seed]`` retrains champions; ``make train`` calls it."""

import argparse
import sys
from collections.abc import Sequence

from utils import settings
from utils.console import complain, ended_like_ctrl_c, say
from utils.errors import LabError
from utils.retraining import FAILED, Outcome, retrain_all

ALL = "all"
EPILOG = """Exit code: 0 if every model was retrained, whether the new one took office or the champion was kept; 1 if
a gate stopped one or it failed; 2 if the command asks for what does not exist; 130 if interrupted. A model that does
not win is not registered, and what an interrupted registration had written is taken back."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 if all went well, 1 if a gate stopped a model or it failed, 2 if the command asks for what does not exist, 130
        if interrupted.
    """
    given = _parser().parse_args(arguments)
    outcomes = []
    try:
        with ended_like_ctrl_c():
            for outcome in retrain_all(
                () if ALL in given.models else given.models,
                given.source,
                budget=given.budget,
                seed=given.seed,
                allow_schema_change=given.allow_schema_change,
                dry_run=given.dry_run,
                report=_tell,
            ):
                outcomes.append(outcome)
                say(f"{outcome.status:<9} {outcome.seconds:6.1f} s  {outcome.sentence}")
    except LabError as error:
        complain(str(error))
        return 2
    except KeyboardInterrupt:
        complain("Interrupted: what was not finished has been taken back.")
        return 130
    return _ended(outcomes)


def _ended(outcomes: Sequence[Outcome]) -> int:
    return int(any(outcome.status in FAILED for outcome in outcomes))


def _tell(name: str, line: str) -> None:
    complain(f"{name}: {line} ...")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m utils.retraining",
        description="Retrain champions: data, audit, tables, training, paired test, registry.",
        epilog=EPILOG,
    )
    add = parser.add_argument
    add("models", nargs="+", metavar="MODEL", help=f"names of the catalogue, or {ALL}: those that can have a champion")
    add("--source", default="auto", help="auto, real or simulated (default: %(default)s)")
    add("--budget", default="fast", help="fast or full (default: %(default)s)")
    add("--seed", type=int, default=settings.SEED, help="of every random draw (default: %(default)s)")
    add("--allow-schema-change", action="store_true", help="train although columns that the champion reads are gone")
    add("--dry-run", action="store_true", help="go through the gates; train nothing and write nothing to the store")
    return parser


if __name__ == "__main__":
    sys.exit(main())
