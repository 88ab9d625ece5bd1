"""How well templates agree with the true ones, in the measures of the log-parsing literature."""

from typing import NamedTuple

import polars as pl

from utils.errors import DataError


class Agreement(NamedTuple):
    """Agreement of found with true templates; shares in 0..1.

    Attributes:
        grouping: grouping accuracy (GA): lines whose group holds exactly the lines of their true group (Zhu et al.,
            "Tools and Benchmarks for Automated Log Parsing", ICSE-SEIP 2019).
        grouping_f1: F1 of grouping accuracy (FGA): the same counted over groups (Jiang et al., "A Large-Scale
            Evaluation for Log Parsing Techniques", ISSTA 2024).
        lines: lines compared.
        true_groups, found_groups: number of templates.
    """

    grouping: float
    grouping_f1: float
    lines: int
    true_groups: int
    found_groups: int


def agreement(true: pl.Series, found: pl.Series) -> Agreement:
    """Compare two groupings of the same lines; what the groups are called does not matter.

    Args:
        true: true template (or its id) of each line.
        found: found template (or its id) of each line.

    Raises:
        DataError: if there are no lines, or not the same number of both.
    """
    if true.len() != found.len() or true.is_empty():
        raise DataError(
            f"two groupings of the same lines must be given, found {true.len()} and {found.len()} lines: "
            "parse the lines whose truth is known"
        )
    pairs = pl.DataFrame({"true": true, "found": found}).group_by("true", "found").len("both")
    pairs = pairs.with_columns(n_true=pl.col("both").sum().over("true"), n_found=pl.col("both").sum().over("found"))
    right = pairs.filter((pl.col("both") == pl.col("n_true")) & (pl.col("both") == pl.col("n_found")))
    groups = pairs["true"].n_unique(), pairs["found"].n_unique()
    return Agreement(int(right["both"].sum()) / true.len(), 2 * right.height / sum(groups), true.len(), *groups)
