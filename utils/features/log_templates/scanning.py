"""One pass over the lines of a log: their skeletons, and the sessions that they name."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl

from utils.datasets import sessions
from utils.features.log_templates.estimator import LogTemplates, gathered, template_table
from utils.features.log_templates.identifiers import Identifiers, Names
from utils.features.log_templates.masking import Block, Numbers, Places, Skeletons


@dataclass(frozen=True)
class Scanned:
    """What one pass over a file finds.

    Attributes:
        rows: number of each line's skeleton.
        skeletons: the skeletons.
        line: place of each line, or of the line of each identifier found, from 0.
        number: number of each identifier found.
        names: the distinct identifiers; ``None`` if none were looked for.
    """

    rows: Numbers
    skeletons: Skeletons
    line: Places
    number: Numbers
    names: Names | None

    def learn(self) -> LogTemplates:
        """Fit a parser."""
        return LogTemplates().add(self.skeletons)

    def templates(self, parser: LogTemplates) -> pl.DataFrame:
        """Template of each skeleton."""
        return template_table(parser.describe(self.skeletons.texts))

    def frame(self, parser: LogTemplates, first: int, end: int) -> pl.DataFrame:
        """Table of the lines with the places ``first <= place < end``."""
        begin, stop = np.searchsorted(self.line, [first, end])
        line = self.line[begin:stop]
        frame = gathered(self.templates(parser).drop("template"), self.rows[line], first + 1)
        if self.names is None:
            return frame
        session = self.names.all().gather(self.number[begin:stop]).alias(sessions.SESSION)
        return frame.with_columns(pl.Series("line", line + 1), session)


def scan(lines: Iterable[Block], identifier: str | None) -> Scanned:
    """Number the skeletons of all lines, and find the identifiers.

    Args:
        lines: the lines, block by block; each block is looked at once and not kept.
        identifier: regular expression of the session's name; ``None`` to look for none.

    Raises:
        DataError: if the identifier is no regular expression that names something.
    """
    skeletons, found = Skeletons(), None if identifier is None else Identifiers(identifier)
    parts, begin = [np.empty(0, dtype=np.int32)], 0
    for block in lines:
        parts.append(skeletons.number(block))
        if found is not None:
            found.find(block, begin)
        begin += block.begins.size
    rows = np.concatenate(parts)
    if found is None:
        return Scanned(rows, skeletons, np.arange(rows.size), rows, None)
    return Scanned(rows, skeletons, *found.all(), found.names)
