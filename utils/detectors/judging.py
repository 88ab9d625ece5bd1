"""Tables with labels on both sides of their split, and what decisions on them are worth."""

from collections.abc import Callable, Iterator, Mapping

import polars as pl

from utils.datasets import identity
from utils.datasets.contract import Dataset, Roles
from utils.errors import DataError
from utils.evaluation import metrics, splits
from utils.evaluation.inputs import Bools, Values
from utils.evaluation.splits import Split
from utils.features import tables
from utils.features.tables import Table

TRIVIAL = "flag everything"
"""Name of the trivial baseline in every table of detectors."""
Report = Callable[[str], object]
"""Told what comes next in long work."""


def labelled_tables(processed: Mapping[str, Dataset]) -> Iterator[tuple[Table, pl.DataFrame, Roles, Split]]:
    """Go through the tables with a label and both classes on both sides of their split.

    Args:
        processed: processed data sets by name.

    Yields:
        Data set and table, all its rows, what the columns mean, and the sides of its labelled rows.
    """
    for name, dataset in processed.items():
        for table, frame in dataset.frames.items():
            roles = dataset.roles[table]
            if roles.label and roles.split and tables.measurable(frame, roles):
                sides = frame.group_by(roles.split).agg(pl.col(roles.label).drop_nulls().n_unique().alias("classes"))
                if sides.height == 2 and (sides["classes"] == 2).all():
                    yield (name, table), frame, roles, _labelled(splits.published(frame, roles), frame[roles.label])


def detectable(frame: pl.DataFrame, roles: Roles) -> list[str]:
    """Name the features that detectors may learn from: measurable, and nothing that tells where a row comes from."""
    names = tables.measurable(frame, roles)
    refused = identity.identity_columns(frame, roles, names)
    return [name for name in names if name not in refused]


def recalls(tested: pl.Series, alarms: Mapping[str, Bools], weight: Values | None = None) -> pl.DataFrame:
    """Recall of each kind of anomaly by each detector.

    Args:
        tested: kind of each test row, ``"normal"`` for normal rows (n,).
        alarms: decisions on the test rows by detector, each (n,).
        weight: how many rows each test row stands for (n,).

    Returns:
        One row a detector and kind: ``detector``, ``kind``, ``rows``, ``recall`` with interval ``low`` and ``high``.
    """
    found = [
        (name, each.name.removeprefix("recall/"), each.n, each.value, each.low, each.high)
        for name, decisions in alarms.items()
        for each in metrics.per_type(tested, decisions, weight=weight)
    ]
    return pl.DataFrame(found, schema=["detector", "kind", "rows", "recall", "low", "high"], orient="row")


def label_of(roles: Roles) -> str:
    """Name the label.

    Raises:
        DataError: if there is none.
    """
    if roles.label is None:
        raise DataError("a rule is judged by labels, found none: choose a labelled table")
    return roles.label


def decided(y: Values, flagged: Values, weight: Values | None = None) -> dict[str, float]:
    """Share of normals flagged (``real``), recall, precision and F1 of decisions."""
    return {
        "real": metrics.false_alarm_rate(y, flagged, weight),
        "recall": metrics.recall(y, flagged, weight),
        "precision": metrics.precision(y, flagged, weight),
        "f1": metrics.f1(y, flagged, weight),
    }


def _labelled(split: Split, label: pl.Series) -> Split:
    """Leave out the rows that nobody labelled."""
    known = label.is_not_null().to_numpy()
    return Split(split.name, split.train[known[split.train]], split.test[known[split.test]])
