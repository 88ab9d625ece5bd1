"""``python -m utils.leaderboard`` shows who won; ``python -m utils.leaderboard readme`` writes the README's table."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from utils import settings
from utils.console import complain, say
from utils.errors import LabError
from utils.leaderboard import board, readme, shown


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 2 for anything that the user can put right."""
    parser = argparse.ArgumentParser(prog="python -m utils.leaderboard", description="Who won, read from the store.")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("show", help="print the best of each data set and stage (default)")
    write = commands.add_parser("readme", help="write the table of results into README.md")
    write.add_argument("--file", type=Path, help="another file (default: README.md of the laboratory)")
    given = parser.parse_args(arguments)
    try:
        found = board.read()
        if given.command == "readme":
            file = given.file or settings.current().root / "README.md"
            say(f"{file.name}: {'written' if readme.update(file, found) else 'nothing has changed'}")
        else:
            for line in lines(found):
                say(line)
    except LabError as error:
        complain(str(error))
        return 2
    return 0


def lines(found: board.Leaderboard) -> list[str]:
    """Write the leaderboard as text, one line a data set and kind, and what its lead is worth."""
    if found.note:
        return [found.note]
    rows = shown.scored(found.best).select("data set", "source", "learns from", "F1", "AUC", "best").rows()
    table = [("data set", "source", "learns from", "F1", "AUC", "best"), *rows]
    cells = [["" if cell is None else str(cell) for cell in row] for row in table]
    widths = [max(len(row[k]) for row in cells) for k in range(len(cells[0]))]
    texts = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    real = found.leads.filter("real")
    return [
        *texts,
        "",
        "Leads that are real:",
        *(f"  {row[0]}: {row[1]}" for row in real.select("data_set", "sentence").rows()),
    ]


if __name__ == "__main__":
    sys.exit(main())
