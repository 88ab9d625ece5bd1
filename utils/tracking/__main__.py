"""``python -m utils.tracking ui | move``: look at the laboratory's store, or copy it to a tracking server."""

import argparse
import sys
from collections.abc import Sequence

from utils.console import complain, ended_like_ctrl_c, say
from utils.errors import LabError
from utils.tracking import ui
from utils.tracking.move import move

TENTHS = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 if all went well, 2 for anything that the user can put right, 130 if interrupted.
    """
    given = _parser().parse_args(arguments)
    try:
        if given.command == "ui":
            return ui.serve(given.port)
        with ended_like_ctrl_c():
            found = move(given.to, given.artifacts, dry_run=given.dry_run, progress=_tell)
    except LabError as error:
        complain(str(error))
        return 2
    except KeyboardInterrupt:
        complain("Interrupted: call it again, and it goes on where it was.")
        return 130
    for line in (str(found), *found.notes):
        say(line)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m utils.tracking", description="Look at the recorded runs, or move them."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    show = commands.add_parser("ui", help="open the MLflow UI on the laboratory's store")
    show.add_argument("--port", type=int, default=ui.PORT, help="first port to try (default: %(default)s)")
    moving = commands.add_parser(
        "move", help="copy the local store to a tracking server; a second call copies what is new"
    )
    moving.add_argument("--to", required=True, help="database behind the server: its --backend-store-uri")
    moving.add_argument(
        "--artifacts", required=True, help="address of the server, or where it keeps files: its --artifacts-destination"
    )
    moving.add_argument("--dry-run", action="store_true", help="count only")
    return parser


def _tell(what: str, done: int, total: int) -> None:
    """Say how far a copy is, at each tenth."""
    if done == total or done * TENTHS // total > (done - 1) * TENTHS // total:
        say(f"{what}: {done:,} of {total:,}")


if __name__ == "__main__":
    sys.exit(main())
