"""The recipes of :mod:`utils.detectors.recipes` on a table, seed by seed: learned from training rows, judged once.

Each seed fits all members once; the recipes are subsets, and that without labels saw normal rows only. The
nominal alarm rate is that of held-out normal training rows, and stands beside the real one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl

from utils import compute, settings
from utils.datasets.contract import Dataset, Roles
from utils.detectors import recipes
from utils.detectors.ensembles import Ensemble
from utils.detectors.judging import Report, detectable, label_of, recalls
from utils.evaluation import metrics, splits
from utils.evaluation.inputs import Floats, Ints
from utils.evaluation.splits import Split

RATES = (0.01, 0.025, 0.05, 0.1)
WITHOUT, WITH, FEW = "normal rows only", "with labels", "few alarms"
RECIPES = {WITHOUT: recipes.ONE_CLASS, WITH: recipes.LABELLED, FEW: recipes.FEW_ALARMS}
SMALL = recipes.Sizes(points=2_000, epochs=5, trees=40)
"""For a quick look; the recipes' own sizes are those of the figures that are told."""
MEASURES = {
    "f1": metrics.f1,
    "accuracy": metrics.accuracy,
    "recall": metrics.recall,
    "precision": metrics.precision,
    "real": metrics.false_alarm_rate,
}


@dataclass(frozen=True, eq=False)
class Trials:
    """What the recipes reached.

    Attributes:
        each: one row a recipe, seed and nominal rate: ``recipe``, ``seed``, ``nominal``, ``roc_auc``, ``f1``,
            ``accuracy``, ``recall``, ``precision``, ``real`` (alarm rate among normals).
        ensembles: of the first seed, by recipe.
        p_values: of the test rows of the first seed, by recipe.
        y: labels of the test rows.
        places: rows of the table that the test rows are.
    """

    each: pl.DataFrame
    ensembles: dict[str, Ensemble]
    p_values: dict[str, Floats]
    y: pl.Series
    places: Ints

    @property
    def means(self) -> pl.DataFrame:
        """One row a recipe and nominal rate: means over the seeds, ``f1_sd`` their standard deviation, ``seeds``."""
        grouped = self.each.group_by("recipe", "nominal", maintain_order=True)
        return grouped.agg(pl.col("roc_auc", *MEASURES).mean(), f1_sd=pl.col("f1").std(), seeds=pl.len())

    @property
    def decided(self) -> pl.DataFrame:
        """Means of each recipe at the nominal rate that was chosen for it."""
        rate = pl.when(pl.col("recipe") == FEW).then(recipes.LOW_RATE).otherwise(recipes.RATE)
        return self.means.filter(pl.col("nominal") == rate)

    def recalls(self, kinds: pl.Series, nominal: float = 0.05) -> pl.DataFrame:
        """Recall of each kind of anomaly at a nominal rate, with the first seed.

        Args:
            kinds: kind of each row of the whole table, ``"normal"`` for normal rows.
            nominal: alarm rate.

        Returns:
            ``detector`` (the recipe), ``kind``, ``rows``, ``recall``, ``low``, ``high``.
        """
        return recalls(kinds.gather(self.places), {name: p <= nominal for name, p in self.p_values.items()})

    def results(self) -> dict[str, float]:
        """Means at the chosen nominal rates for the record of a run."""
        found: dict[str, float] = {}
        for row in self.decided.iter_rows(named=True):
            name = row["recipe"].replace(" ", "_")
            found |= {f"{name}_{measure}": row[measure] for measure in ("nominal", "roc_auc", *MEASURES)}
        return found


def run_table(
    processed: Dataset, table: str | None = None, *, seeds: Sequence[int] = (settings.SEED,), small: bool = False
) -> Trials:
    """Run the recipes on a processed table with its own split (arguments as :func:`run`); the main one if not named."""
    name = table or processed.main
    frame, roles = processed[name], processed.roles[name]
    return run(frame, roles, splits.published(frame, roles), seeds=seeds, small=small)


def run(
    frame: pl.DataFrame,
    roles: Roles,
    split: Split,
    *,
    seeds: Sequence[int] = (settings.SEED,),
    rates: Sequence[float] = RATES,
    small: bool = False,
    report: Report | None = None,
) -> Trials:
    """Fit the recipes with each seed and judge the test rows.

    Args:
        frame: a labelled table.
        roles: what its columns mean.
        split: training and test rows.
        seeds: of members and divisions.
        rates: nominal alarm rates.
        small: whether members are small, for a quick look.
        report: told the number of each seed before it begins.

    Raises:
        DataError: if training lacks a class, or has too few normal rows to hold some out.
    """
    columns, label = detectable(frame, roles), label_of(roles)
    train, test = frame[split.train], frame[split.test]
    tell = compute.teller(report, [f"seed {seed}" for seed in seeds])
    jobs = [(train, test, columns, roles, seed, tuple(rates), small, place == 0) for place, seed in enumerate(seeds)]
    judged = compute.each(_with_seed, jobs, progress=tell)
    rows = [row for one in judged for row in one.rows]
    columns_of = ("recipe", "seed", "nominal", "roc_auc", *MEASURES)
    found = pl.DataFrame(rows, schema=columns_of, orient="row")
    return Trials(found, judged[0].ensembles, judged[0].p_values, test[label], split.test)


class _Seed(NamedTuple):
    """What the recipes reached with one seed, and what they are where that is kept."""

    rows: list[tuple[object, ...]]
    ensembles: dict[str, Ensemble]
    p_values: dict[str, Floats]


def _with_seed(
    train: pl.DataFrame,
    test: pl.DataFrame,
    columns: list[str],
    roles: Roles,
    seed: int,
    rates: Sequence[float],
    small: bool,
    kept: bool,
) -> _Seed:
    """Fit all recipes with one seed and judge the test rows."""
    y, found = test[label_of(roles)], _Seed([], {}, {})
    fitted = _fitted(train, columns, roles, seed, small)
    scores = fitted.member_scores(test.select(columns))
    for name, members in RECIPES.items():
        one = fitted.subset(members)
        own = scores.select(list(one.members_))
        p = np.asarray(one.combination_.p_values(own))
        auc = metrics.roc_auc(y, one.combination_.score_samples(own))
        found.rows.extend((name, seed, rate, auc, *_measured(y, p, rate)) for rate in rates)
        if kept:
            found.ensembles[name], found.p_values[name] = one, p
    return found


def _fitted(train: pl.DataFrame, columns: list[str], roles: Roles, seed: int, small: bool) -> Ensemble:
    kinds = train[roles.anomaly_type or label_of(roles)].cast(pl.String)
    chosen = recipes.most_of_each(train[label_of(roles)], kinds, seed=seed)
    recipe = recipes.together(seed, sizes=SMALL if small else recipes.SIZES)
    return recipe.fit(train[chosen].select(columns), train[label_of(roles)].gather(chosen))


def _measured(y: pl.Series, p_values: Floats, rate: float) -> list[float]:
    flagged = p_values <= rate
    return [measure(y, flagged) for measure in MEASURES.values()]
