"""``python -m utils.tracking ui [--port 5000]`` opens the MLflow UI on the laboratory's store."""

import argparse
import sys
from collections.abc import Sequence

from utils.console import complain
from utils.errors import LabError
from utils.tracking import ui


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 2 for anything that the user can put right."""
    parser = argparse.ArgumentParser(prog="python -m utils.tracking", description="Look at the recorded runs.")
    commands = parser.add_subparsers(dest="command", required=True)
    show = commands.add_parser("ui", help="open the MLflow UI on the laboratory's store")
    show.add_argument("--port", type=int, default=ui.PORT, help="first port to try (default: %(default)s)")
    given = parser.parse_args(arguments)
    try:
        return ui.serve(given.port)
    except LabError as error:
        complain(str(error))
        return 2


if __name__ == "__main__":
    sys.exit(main())
