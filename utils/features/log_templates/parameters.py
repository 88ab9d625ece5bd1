"""The values of lines: what stands in each line where its template has ``<*>``."""

import re
from collections.abc import Sequence

import numpy as np
import polars as pl

from utils.features.log_sessions import list_column
from utils.features.log_templates.masking import VARIABLE, Block, Numbers, compiled

NAME = "parameters"
REPLACED = re.escape("\ufffd".encode())


def empty() -> pl.Series:
    """No values of no lines."""
    return pl.Series(NAME, [], dtype=pl.List(pl.String))


def extract(block: Block, rows: Numbers, holes: Sequence[Sequence[tuple[int, int]]]) -> pl.Series:
    """Take the values out of the lines of a block.

    Args:
        block: the lines.
        rows: number of each line's skeleton.
        holes: for each skeleton, where the values of its template stand in it, see :func:`find_holes`.

    Returns:
        For each line the list of its values, as they stand in it.
    """
    first_hole = np.cumsum([0, *(len(found) for found in holes)])
    flat = np.array([hole for found in holes for hole in found], dtype=np.int64).reshape(-1, 2)
    offsets = np.concatenate(([0], np.cumsum(np.diff(first_hole)[rows])))
    begin, end = np.zeros(offsets[-1], dtype=np.int64), np.zeros(offsets[-1], dtype=np.int64)
    compiled().locate(
        *block, rows, first_hole, np.ascontiguousarray(flat[:, 0]), np.ascontiguousarray(flat[:, 1]), begin, end
    )
    return list_column(block.pieces(begin, end), offsets, NAME)


def find_holes(skeleton: bytes, template: str) -> list[tuple[int, int]]:
    """Find where the values of a template stand in one of its skeletons: begin and end in bytes."""
    pieces = [re.escape(piece.encode()).replace(REPLACED, b".{1,3}?") for piece in template.split(VARIABLE)]
    found = re.fullmatch(b"(.+?)".join(pieces), skeleton, re.DOTALL)
    return [found.span(group) for group in range(1, len(pieces))] if found else []
