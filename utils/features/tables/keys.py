"""What every processed table has besides its features: label, kind, group, and a side for each row."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import polars as pl

from utils import settings
from utils.datasets import profile
from utils.datasets.contract import Defect, Roles
from utils.errors import DataError
from utils.evaluation import splits
from utils.features.selection import single_feature_auc
from utils.features.tables.columns import SPLIT, TWINS, Offered

TEST_SHARE = 0.2
MOST_WORDS = 50
ROWS_A_WORD = 100
"""A text of more distinct values, and with fewer rows for each, is free text; others name kinds."""

ANSWER_AUC = 0.99
"""A feature that alone ranks the classes so well says how the data were collected, or is the label."""

WEIGHT = "n_sessions"
"""Column of a table of distinct sequences with the number of sessions that each row stands for."""

FEWEST = 5
"""Rows that each class must have in training; fewer are often told apart by chance."""


class Part(NamedTuple):
    """One processed table on its way.

    Attributes:
        frame: keys and features, one row for each row of the frame that it was made from unless said otherwise.
        roles: what its columns mean.
        defects: what had to be done to rows or columns on the way.
    """

    frame: pl.DataFrame
    roles: Roles
    defects: tuple[Defect, ...] = ()


def keys(frame: pl.DataFrame, roles: Roles) -> pl.DataFrame:
    """Take over label, kind of anomaly, group and published split; identities and times stay behind.

    Rows keep their order, which leads back to what stays behind.
    """
    wanted = (roles.label, roles.anomaly_type, roles.group, roles.split)
    return frame.select(*dict.fromkeys(name for name in wanted if name in frame.columns))


def part(
    kept: pl.DataFrame,
    columns: pl.DataFrame | Offered,
    roles: Roles,
    withheld: Mapping[str, str] | None = None,
    unit: str = "",
) -> Part:
    """Put keys and other columns side by side; these are features, but for those that are withheld.

    Raises:
        DataError: if a feature has the name of a key.
    """
    features, defects = columns if isinstance(columns, Offered) else (columns, ())
    meaning = Roles(
        unit=unit or roles.unit,
        label=_present(roles.label, kept),
        anomaly_type=_present(roles.anomaly_type, kept),
        group=_present(roles.group, kept),
        split=_present(roles.split, kept),
    )
    return widened(Part(kept, meaning, defects), features, withheld)


def widened(made: Part, columns: pl.DataFrame, withheld: Mapping[str, str] | None = None) -> Part:
    """Add columns to a table: features, but for those that are withheld.

    Raises:
        DataError: if the table has a column of the same name.
    """
    if shared := set(made.frame.columns) & set(columns.columns):
        raise DataError(f"a feature must not be called as a key, found {', '.join(sorted(shared))}: rename the column")
    withheld = dict(withheld or {})
    frame = pl.concat([made.frame, columns], how="horizontal")
    features = (*made.roles.features, *(name for name in columns.columns if name not in withheld))
    roles = replace(made.roles, features=features, withheld=dict(made.roles.withheld) | withheld)
    return made._replace(frame=frame, roles=roles)


def divided(made: Part, seed: int, order: Sequence[int] | pl.Series | None = None) -> Part:
    """Give each row a side, ``"train"`` or ``"test"``, unless the data came with one.

    With an order (where sessions begin in a log) and no group the last fifth is the test part. Else a fifth is drawn at
    random: whole groups, with equal shares of the classes where there are enough of each. Rows that are equal in all
    features become a group, ``vector``, where there are none and the features can tell rows apart.

    Args:
        made: the table.
        seed: of the draw.
        order: for each row its place in time.

    Returns:
        The table with a column ``split``; what could not be done is among its defects.
    """
    if made.roles.split is not None:
        return made
    made = made if order is not None or made.roles.group else _twins_grouped(made)
    side, problem = _drawn(made, seed) if order is None or made.roles.group else _latest(made, order)
    frame = widened(made, side.to_frame(), {SPLIT: "the side"}).frame
    handling = "divided without regard to it" if (side == "test").any() else "not divided: all rows are for training"
    found = (Defect(problem, made.frame.height, handling),) if problem and made.frame.height else ()
    return made._replace(frame=frame, roles=replace(made.roles, split=SPLIT), defects=(*made.defects, *found))


def measurable(frame: pl.DataFrame, roles: Roles, *, numeric: bool = False) -> list[str]:
    """Features of a table that are measured or name a kind: no free texts.

    Args:
        frame: processed table.
        roles: what its columns mean.
        numeric: numbers only.
    """
    if numeric:
        return profile.numeric(frame, roles.features)
    most = max(MOST_WORDS, frame.height // ROWS_A_WORD)
    texts = {name for name in roles.features if isinstance(frame.schema[name], pl.String | pl.Categorical | pl.Enum)}
    return [name for name in roles.features if name not in texts or frame[name].n_unique() <= most]


def weight_column(roles: Roles) -> str | None:
    """Name of the column with the sessions that each row stands for; nothing where a row stands for itself."""
    return WEIGHT if WEIGHT in roles.withheld else None


def weight_of(rows: pl.DataFrame, roles: Roles) -> pl.Series | None:
    """How many sessions each row stands for; nothing where each row stands for itself."""
    column = weight_column(roles)
    return rows[column] if column else None


def training(made: Part) -> pl.Series:
    """Mask of the training rows of a divided table."""
    return made.frame[made.roles.split or SPLIT] == "train"


def without_answers(made: Part) -> Part:
    """Drop features that alone tell the classes apart in training; it takes a divided table.

    Such a column says how the classes were collected, or is the label by another name, and any model that sees it is
    graded on that. It must do so where equal rows count once, too, lest it be learned by heart; nothing is dropped
    where a class has fewer than five rows.
    """
    label = made.roles.label
    rows = made.frame.filter(training(made))
    if label is None or min((rows[label] == side).sum() for side in (True, False)) < FEWEST:
        return made
    answers = _answers(rows, label, measurable(made.frame, made.roles))
    if answers and made.roles.group == TWINS:
        again = _answers(rows.unique([TWINS, label], maintain_order=True), label, list(answers))
        answers = {name: min(answers[name], again[name]) for name in again}
    if not answers:
        return made
    listed = ", ".join(f"{name} ({area:.3f})" for name, area in answers.items())
    return _dropped(made, list(answers), f"features that alone give the answer (AUC): {listed}")


def _answers(rows: pl.DataFrame, label: str, names: Sequence[str]) -> dict[str, float]:
    """Features that alone tell the classes apart, with their area under the ROC curve."""
    measured = single_feature_auc(rows, label, names)
    return dict(measured.filter(pl.col("best_auc") >= ANSWER_AUC).select("feature", "best_auc").iter_rows())


def without_constants(made: Part) -> Part:
    """Drop features that have one value in all training rows; it takes a divided table."""
    rows = made.frame.filter(training(made)).select(made.roles.features)
    varied = rows.select(pl.all().drop_nulls().n_unique() + pl.all().is_null().any()).row(0) if rows.width else ()
    idle = [name for name, values in zip(rows.columns, varied, strict=True) if values <= 1]
    if not idle or len(idle) == rows.width:
        return made
    return _dropped(made, idle, f"features with one value in training: {', '.join(idle)[:300]}")


def _dropped(made: Part, names: Sequence[str], what: str) -> Part:
    kept = tuple(name for name in made.roles.features if name not in set(names))
    notes = {name: note for name, note in made.roles.notes.items() if name in kept}
    note = Defect(what, made.frame.height, "left out")
    return Part(made.frame.drop(names), replace(made.roles, features=kept, notes=notes), (*made.defects, note))


def _twins_grouped(made: Part) -> Part:
    """Number rows that are equal in all features, if any are by more than chance, so that they stay on one side.

    The numbers are shuffled: in the order of the rows they would tell what the order tells.
    """
    if not profile.can_differ(made.frame, made.roles.features):
        return made
    vector = splits.distinct_rows(made.frame, made.roles.features)
    distinct = int(vector.max()) + 1
    if distinct == vector.size:
        return made
    shuffled = np.random.default_rng(settings.SEED).permutation(distinct)[vector]
    frame = made.frame.drop(TWINS, strict=False).with_columns(pl.Series(TWINS, shuffled, dtype=pl.UInt32))
    return made._replace(frame=frame, roles=replace(made.roles, group=TWINS))


def _present(name: str | None, frame: pl.DataFrame) -> str | None:
    return name if name in frame.columns else None


def _drawn(made: Part, seed: int) -> tuple[pl.Series, str]:
    """Draw sides at random, with regard to the label if that can be done."""
    frame, roles = made.frame, made.roles
    things = frame[roles.group] if roles.group else pl.Series(range(frame.height))
    label = frame[roles.label] if roles.label else None
    problem = ""
    for y in [label, None] if label is not None else [None]:
        try:
            split = splits.grouped(y, things, TEST_SHARE, seed)
        except DataError as error:
            problem = problem or str(error)
            continue
        return _sides(frame.height, split.test), problem
    return _sides(frame.height, np.array([], np.int64)), problem


def _latest(made: Part, order: Sequence[int] | pl.Series) -> tuple[pl.Series, str]:
    try:
        split = splits.by_time(np.asarray(order), TEST_SHARE)
    except DataError as error:
        return _sides(made.frame.height, np.array([], np.int64)), str(error)
    return _sides(made.frame.height, split.test), ""


def _sides(rows: int, test: np.ndarray) -> pl.Series:
    side = np.full(rows, "train", dtype=object)
    side[test] = "test"
    return pl.Series(SPLIT, side, dtype=pl.String)
