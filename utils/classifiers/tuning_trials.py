"""What tuning is worth on each labelled table: defaults against tuned parameters, and ways of searching side by side.

Searches and judgement stay inside the training rows of a table's split. Models and spaces are those that earlier
systems tuned, where there are any.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import polars as pl

from utils import settings
from utils.classifiers import nested, spaces
from utils.classifiers.adapters import sampled_rows
from utils.classifiers.nested import Gains
from utils.classifiers.spaces import Space
from utils.classifiers.tuning import SideBySide, side_by_side
from utils.classifiers.tuning.targets import repeats_of, target
from utils.classifiers.zoo import ZOO
from utils.datasets.contract import Dataset, Roles
from utils.detectors.judging import Report, detectable, label_of, labelled_tables
from utils.errors import DataError
from utils.evaluation.inputs import row_codes
from utils.evaluation.splits import Split
from utils.features.tables import Table, weight_of
from utils.settings import Budget

EARLIER: Mapping[str, tuple[str, Space]] = MappingProxyType(
    {
        "api": ("hist gradient boosting", spaces.HISTOGRAM_TREES_OF_THE_GRAPHS),
        "waf": ("random forest", spaces.FOREST_OF_THE_EVENTS),
        "cicids2017": ("xgboost", spaces.BOOSTED_TREES_OF_THE_FLOWS),
    }
)
"""What the earlier systems tuned, and in which space."""

OTHERWISE = "lightgbm"
OUTER = 5
FOLDS = 3
TEST_SHARE = 0.25
PART = 10
"""A search learns from the budget's rows divided by this: hundreds of fits are made."""

LENGTHIEST = 25
"""Trials of a search inside an outer split, at most; the budget may ask for fewer."""

COLUMNS = ("metric", nested.DEFAULT, nested.TUNED, "difference", "low", "high", "verdict")


@dataclass(frozen=True, eq=False)
class Trials:
    """What tuning is worth.

    Attributes:
        gains: default against tuned, by table.
        searches: ways of searching side by side, by table.
        notes: why a table was left out.
    """

    gains: Mapping[Table, Gains]
    searches: Mapping[Table, SideBySide]
    notes: Mapping[Table, str]

    @property
    def overview(self) -> pl.DataFrame:
        """One row a table, for the metric that was tuned for: means, difference with its interval, verdict, promise."""
        rows = []
        for (name, table), found in self.gains.items():
            row = found.summary.row(by_predicate=pl.col("metric") == found.metric, named=True)
            promised = float((found.splits["inner_best"] - found.splits["inner_default"]).to_numpy().mean())
            shown = {column: row[column] for column in COLUMNS}
            rows.append({"data set": name, "table": table, "model": found.choice, **shown, "promised": promised})
        return pl.DataFrame(rows, infer_schema_length=None)

    def results(self, name: str) -> dict[str, float]:
        """Numbers of the tables of one data set for the record of a run."""
        found: dict[str, float] = {}
        for part in (self.gains, self.searches):
            for (owner, table), each in part.items():
                found |= each.results(f"{table}_") if owner == name else {}
        return found


def run(
    processed: Mapping[str, Dataset],
    budget: Budget,
    *,
    side_by_side_on: str = "waf",
    seed: int = settings.SEED,
    threads: int = 1,
    report: Report | None = None,
) -> Trials:
    """Measure what tuning gains on every labelled table.

    Args:
        processed: processed data sets by name.
        budget: says how many rows, trials and outer splits.
        side_by_side_on: data set on whose main table the ways of searching are compared.
        seed: of splits, folds, draws and classifiers.
        threads: threads of a fit.
        report: told what comes next.
    """
    gains: dict[Table, Gains] = {}
    searches: dict[Table, SideBySide] = {}
    notes: dict[Table, str] = {}
    for table, frame, roles, split in labelled_tables(processed):
        if report:
            report(" ".join(table))
        given = _Given.of(table[0], frame, roles, split, budget, seed)
        try:
            gains[table] = given.gains(budget, seed, threads)
            if table[0] == side_by_side_on and not searches:
                searches[table] = given.side_by_side(budget, seed, threads)
        except DataError as error:
            notes[table] = str(error)
    return Trials(gains, searches, notes)


@dataclass(frozen=True, eq=False)
class _Given:
    """A sample of the training rows of a table, and what is tuned on them; equal rows are one group."""

    model: str
    space: Space
    rows: pl.DataFrame
    y: pl.Series
    groups: pl.Series
    weight: pl.Series | None
    columns: list[str]

    @classmethod
    def of(cls, name: str, frame: pl.DataFrame, roles: Roles, split: Split, budget: Budget, seed: int) -> "_Given":
        drawn = sampled_rows(frame[label_of(roles)].gather(split.train), budget.rows // PART, seed)
        rows = frame[split.train[drawn]]
        model, space = EARLIER.get(name, (OTHERWISE, ZOO[OTHERWISE].space))
        columns = detectable(rows, roles)
        groups = rows[roles.group] if roles.group else pl.Series(row_codes(rows.select(columns)))
        return cls(model, space, rows, rows[label_of(roles)], groups, weight_of(rows, roles), columns)

    def gains(self, budget: Budget, seed: int, threads: int) -> Gains:
        """Default against tuned on outer splits."""
        return nested.gains(
            self.rows,
            self.y,
            ZOO[self.model],
            outer=min(OUTER, budget.repeats),
            test_share=TEST_SHARE,
            trials=min(LENGTHIEST, budget.trials) // 2,
            folds=FOLDS,
            space=self.space,
            groups=self.groups,
            weight=self.weight,
            columns=self.columns,
            threads=threads,
            seed=seed,
        )

    def side_by_side(self, budget: Budget, seed: int, threads: int) -> SideBySide:
        """Random then grid, random, TPE: the same number of fits, judged on rows that none of them has seen."""
        drawn, _ = repeats_of(target(self.y, self.groups, self.weight), 1, TEST_SHARE, seed)
        return side_by_side(
            self.rows,
            self.y,
            drawn[0],
            ZOO[self.model],
            trials=budget.trials,
            folds=FOLDS,
            space=self.space,
            groups=self.groups,
            weight=self.weight,
            columns=self.columns,
            threads=threads,
            resamples=budget.bootstrap // 4,
            seed=seed,
        )
