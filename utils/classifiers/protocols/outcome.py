"""What a protocol reached: values of each split, their mean with an interval, and what was reached before."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from utils.evaluation.estimates import Estimate, mean_over_splits
from utils.features.tables import Table

ROWS = ("train", "test")
SCHEMA = {
    **dict.fromkeys(("data set", "protocol", "model", "metric"), pl.String),
    **dict.fromkeys(("value", "low", "high", "earlier"), pl.Float64),
    "splits": pl.Int64,
    **dict.fromkeys(("unit", "divided", "threshold", "earlier was"), pl.String),
}


@dataclass(frozen=True)
class Earlier:
    """What an earlier system reached, and what has to be known to compare it.

    Attributes:
        values: its figure, by metric.
        how: how it was found.
    """

    values: Mapping[str, float] = field(default_factory=dict)
    how: str = ""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one model reached under one protocol.

    Attributes:
        table: data set and table.
        name: the protocol, in a few words.
        model: what was learned.
        unit: what was judged, in the singular.
        divided: how rows were made distinct and divided.
        threshold: how decisions were made.
        each: one row a split: ``split``, ``train`` and ``test`` (rows), and one column a metric.
        estimates: one a metric, with its interval.
        earlier: what was reached before.
        note: what else a reader must know.
    """

    table: Table
    name: str
    model: str
    unit: str
    divided: str
    threshold: str
    each: pl.DataFrame
    estimates: tuple[Estimate, ...]
    earlier: Earlier = Earlier()
    note: str = ""

    def value(self, metric: str) -> float:
        """Mean of a metric over the splits.

        Raises:
            KeyError: if it was not measured.
        """
        return {estimate.name: estimate.value for estimate in self.estimates}[metric]

    @property
    def sentence(self) -> str:
        """The protocol, the model and its figures in one sentence."""
        figures = ", ".join(f"{one.name} {one.value:.4f}" for one in self.estimates)
        splits = f" over {self.each.height} splits" if self.each.height > 1 else ""
        return f"{self.table[0]}, {self.name}: {self.model} reaches {figures}{splits}."


@dataclass(frozen=True)
class Results:
    """Everything that could be measured.

    Attributes:
        outcomes: what each protocol gave, in order.
        left_out: sentences about what could not be measured, and why.
    """

    outcomes: tuple[Outcome, ...]
    left_out: tuple[str, ...] = ()

    @property
    def table(self) -> pl.DataFrame:
        """One row a protocol and metric, for a notebook.

        ``data set``, ``protocol``, ``model``, ``metric``, ``value`` with interval ``low`` and ``high``, ``earlier``
        (value of the earlier system), ``splits``, ``unit``, ``divided``, ``threshold``, ``earlier was`` (how that value
        was found).
        """
        return pl.DataFrame([row for one in self.outcomes for row in _rows(one)], schema=SCHEMA, orient="row")

    @property
    def results(self) -> dict[str, float]:
        """Means for the record of a run, by data set, table, protocol and metric."""
        return {
            re.sub(r"[^\w./-]+", "_", f"{'/'.join(one.table)}/{one.name}/{estimate.name}"): estimate.value
            for one in self.outcomes
            for estimate in one.estimates
        }


def means(each: pl.DataFrame, metrics: Sequence[str], unit: str, threshold: str) -> tuple[Estimate, ...]:
    """Mean and corrected interval of each metric over splits.

    Args:
        each: one row a split, as in :class:`Outcome`.
        metrics: columns to take.
        unit: what was judged.
        threshold: how decisions were made.
    """
    train, test = (float(each[side].to_numpy().mean()) for side in ROWS)
    share = test / (train + test)
    return tuple(mean_over_splits(name, each[name].to_list(), share, unit, round(test), threshold) for name in metrics)


def _rows(one: Outcome) -> list[tuple[object, ...]]:
    return [
        (
            one.table[0],
            one.name,
            one.model,
            each.name,
            each.value,
            each.low,
            each.high,
            one.earlier.values.get(each.name),
            one.each.height,
            one.unit,
            one.divided,
            one.threshold,
            one.earlier.how,
        )
        for each in one.estimates
    ]
