"""The protocols for new attacks on whatever tables allow them, with the recipe for later attacks."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import polars as pl

from utils import settings
from utils.datasets.contract import Dataset, Roles
from utils.detectors import recipes_days
from utils.detectors.judging import Report, detectable
from utils.detectors.new_attacks import NewAttacks, Recipe, later_days, left_out_families, possible, ranked, rows_of
from utils.errors import DataError
from utils.features.tables import Table

Key = tuple[str, str]
"""Name of a data set and of a protocol."""
FEWEST_ROWS = 50
DAYS, LEFT_OUT = "later days", "families left out"
DECIDED = ("detector", "nominal", "real", "low", "high", "recall", "precision", "f1", "f1_low", "f1_high", "roc_auc")
MOST_FAMILIES = 16
"""Families that are left out one after the other, at most; a table with more of them is judged by later days only."""


def run(
    data: Mapping[str, Dataset],
    processed: Mapping[str, Dataset],
    *,
    seeds: Sequence[int] = (settings.SEED,),
    small: bool = False,
    resamples: int = 200,
    report: Report | None = None,
) -> dict[Key, NewAttacks]:
    """Run the protocols on the main table of every data set that has labels and times.

    Args:
        data: data sets by name.
        processed: their tables.
        seeds: of the protocol of later days; families are left out with the first.
        small: whether members are small, for a quick look.
        resamples: bootstrap resamples behind the intervals of F1.
        report: told what comes next.

    Returns:
        By data set and protocol, :data:`DAYS` or :data:`LEFT_OUT`; what a table does not allow is left out.
    """
    found: dict[Key, NewAttacks] = {}
    for name, frame, roles in _dated(data, processed):
        recipe = _small(roles) if small else recipes_days.later_attacks(roles)
        with contextlib.suppress(DataError):
            found[name, DAYS] = later_days(frame, roles, recipe, seeds=list(seeds), resamples=resamples, report=report)
        families = _families(frame, roles)
        if 1 < len(set(families.values())) <= MOST_FAMILIES:
            with contextlib.suppress(DataError):
                found[name, LEFT_OUT] = left_out_families(
                    frame, roles, recipe, families=families, seed=seeds[0], report=report
                )
    return found


def decided(found: NewAttacks) -> pl.DataFrame:
    """What each detector did at each nominal alarm rate, with the columns that a reader needs first."""
    return found.alarms.select(name for name in DECIDED if name in found.alarms.columns)


def recalls(found: NewAttacks, nominal: float = recipes_days.RATE) -> pl.DataFrame:
    """Recall of each family at one nominal rate: ``detector``, ``kind``, ``rows``, ``recall``, ``in_training``."""
    return found.at(nominal).select("detector", "recall", "low", "high", kind="family", rows="n", in_training="known")


def in_words(key: Key, found: NewAttacks, nominal: float = recipes_days.RATE) -> str:
    """The combined detector in one sentence."""
    values = found.results(nominal, recipes_days.COMBINED)
    worst = f"worst family {values['worst_family_recall']:.2f}" if "worst_family_recall" in values else "no family"
    f1 = f"F1 {values['f1']:.3f}, " if values.get("f1") is not None else ""
    return f"{key[0]}, {key[1]}: {f1}{worst} at {values['real']:.1%} real alarms"


def results(later: Mapping[Key, NewAttacks], name: str, nominal: float = recipes_days.RATE) -> dict[str, float]:
    """Numbers of one data set for the record of a run."""
    return {
        f"{protocol.replace(' ', '_')}_{measure}": value
        for (owner, protocol), found in later.items()
        if owner == name
        for measure, value in found.results(nominal, recipes_days.COMBINED).items()
        if measure in ("f1", "real", "recall", "roc_auc", "worst_family_recall")
    }


def rankings(
    processed: Mapping[str, Dataset], *, most: int = 5, rows: int = 5_000, seed: int = settings.SEED
) -> dict[Table, pl.DataFrame]:
    """Rank the rows of every table that has features and no label, most abnormal first (see :func:`ranked`).

    Args:
        processed: processed data sets by name.
        most: rows that are listed.
        rows: most rows of a table that are ranked; beyond, a sample is drawn.
        seed: of samples, members and folds.

    Returns:
        By data set and table; those are left out whose rows are too few or too much alike.
    """
    found = {}
    for name, dataset in processed.items():
        for table, frame in dataset.frames.items():
            roles = dataset.roles[table]
            columns = detectable(frame, roles)
            if not roles.label and roles.split and columns and frame.height >= FEWEST_ROWS:
                with contextlib.suppress(DataError):
                    found[name, table] = _ranking(frame, roles, columns, most, rows, seed)
    return found


def _ranking(frame: pl.DataFrame, roles: Roles, columns: list[str], most: int, rows: int, seed: int) -> pl.DataFrame:
    """The most abnormal rows of a table, or of a sample of it.

    Raises:
        DataError: if the rows are too few or too much alike.
    """
    numbered = frame.with_row_index("row of the table").sample(min(rows, frame.height), seed=seed)
    recipe = recipes_days.later_attacks(replace(roles, features=tuple(columns)))
    listed = ranked(numbered, roles, recipe, recipes_days.ONE_CLASS, most=most, seed=seed)
    places = numbered["row of the table"].gather(listed["row"])
    return listed.with_columns(row=places.cast(pl.Int64))


def _small(roles: Roles) -> Recipe:
    return recipes_days.later_attacks(roles, most_points=1_000, most_trees=30, held_out=0.25)


def _dated(data: Mapping[str, Dataset], processed: Mapping[str, Dataset]) -> Iterator[tuple[str, pl.DataFrame, Roles]]:
    """Main tables with labels and times, as the protocols want them."""
    for name, made in processed.items():
        if made.main in made.frames and made.main in data[name].frames:
            frame, roles = rows_of(data[name], made)
            if roles.features and possible(frame, roles).filter(protocol="later days")["possible"].item():
                yield name, frame, roles


def _families(frame: pl.DataFrame, roles: Roles) -> dict[str, str]:
    """Family of each kind of anomaly; a kind that nobody put into one is one by itself."""
    if not roles.anomaly_type:
        return {}
    kinds = frame.filter(pl.col(str(roles.label)))[roles.anomaly_type].drop_nulls().unique().sort().to_list()
    return {kind: recipes_days.FAMILIES.get(kind, kind) for kind in kinds}
