"""Tuning and operating points of every labelled table, as notebooks show them.

Searches see training rows only; the published test part is looked at once for each table, when its operating points are
judged. Rows that are equal in all features, or of one group, stay on one side of every split and fold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from sklearn.pipeline import Pipeline

from utils import settings
from utils.classifiers import nested, zoo
from utils.classifiers.adapters import sampled_rows
from utils.classifiers.nested import Gains
from utils.classifiers.operating_points import (
    OperatingPoints,
    Side,
    operating_points,
    out_of_fold_side,
    side_of,
)
from utils.classifiers.spaces import Value
from utils.classifiers.threads import limited
from utils.classifiers.tuning.folds import fitted_to, pipeline_of
from utils.classifiers.tuning.search import Tuned, tune
from utils.classifiers.tuning.targets import target
from utils.datasets.contract import Dataset, Roles
from utils.detectors.judging import Report, detectable, label_of, labelled_tables
from utils.errors import DataError, LabError
from utils.evaluation.inputs import Ints, row_codes
from utils.features.tables import Table, weight_of

BOARD = {
    "table": pl.String,
    "classifier": pl.String,
    "metric": pl.String,
    **dict.fromkeys(("default", "tuned", "difference", "low", "high", "p_value"), pl.Float64),
    "verdict": pl.String,
    **dict.fromkeys(("promised", "optimism", "seconds"), pl.Float64),
    "parameters": pl.String,
}


@dataclass(frozen=True, eq=False)
class Rows:
    """Labelled rows of one table.

    Attributes:
        X: the columns that a classifier may learn from (n rows).
        y: true for an anomaly (n,).
        groups: group of each row; equal rows where the table names none (n,).
        weight: how many rows each row stands for (n,).
        kinds: kind of each row, ``"normal"`` for normal ones (n,); ``None`` if unknown.
        unit: what a row is, in the singular.
    """

    X: pl.DataFrame
    y: pl.Series
    groups: Ints | pl.Series
    weight: pl.Series | None
    kinds: pl.Series | None
    unit: str

    @property
    def given(self) -> dict[str, Any]:
        """Groups and weights, as all functions of this package take them."""
        return {"groups": self.groups, "weight": self.weight}


@dataclass(frozen=True, eq=False)
class TunedTables:
    """What tuning gains on several tables.

    Attributes:
        board: one row a table and classifier: ``table``, ``classifier``, ``metric``, ``default`` and ``tuned`` means on
            outer test rows, ``difference`` with ``low`` to ``high`` and ``p_value``, ``verdict`` (``helps``, ``noise``,
            ``harms``), ``promised`` by the searches, ``optimism``, ``seconds`` (CPU), ``parameters`` of the first one.
        gains: all that was found, by table and classifier.
        left_out: a sentence for each table and classifier that could not be tuned.
    """

    board: pl.DataFrame
    gains: Mapping[tuple[Table, str], Gains]
    left_out: Sequence[str]

    def results(self, name: str) -> dict[str, float]:
        """Numbers of the tables of one data set for the record of a run."""
        return {
            f"{table}_{classifier.replace(' ', '_')}_{measure}": value
            for ((owner, table), classifier), found in self.gains.items()
            if owner == name
            for measure, value in found.results().items()
        }


@dataclass(frozen=True, eq=False)
class PointsOfTables:
    """Operating points of several tables.

    Attributes:
        points: all that was found, by table.
        left_out: a sentence for each table that has none.
    """

    points: Mapping[Table, OperatingPoints]
    left_out: Sequence[str]

    def results(self, name: str) -> dict[str, float]:
        """Numbers of the tables of one data set for the record of a run."""
        return {
            f"{table}_{measure}": value
            for (owner, table), found in self.points.items()
            if owner == name
            for measure, value in found.results().items()
        }


def rows_of(
    frame: pl.DataFrame, roles: Roles, places: Ints, most: int | None = None, seed: int = settings.SEED
) -> Rows:
    """Take some rows of a processed table.

    Args:
        frame: the table.
        roles: what its columns mean.
        places: row numbers.
        most: most rows; beyond, a sample with the classes' shares is drawn.
        seed: seed of the sample.

    Raises:
        DataError: if there is no label, or no column to learn from.
    """
    label = label_of(roles)
    kept = places if most is None else places[sampled_rows(frame[label].gather(places), most, seed)]
    part = frame[kept]
    columns = detectable(part, roles)
    if not columns:
        raise DataError("a classifier needs a column to learn from, found none that is a feature: name features")
    groups = part[roles.group] if roles.group else row_codes(part.select(columns))
    kinds = part[roles.anomaly_type] if roles.anomaly_type else None
    return Rows(part.select(columns), part[label], groups, weight_of(part, roles), kinds, roles.unit)


def tuned_tables(
    processed: Mapping[str, Dataset],
    classifiers: Sequence[str] | Mapping[Table, Sequence[str]],
    *,
    trials: int = 20,
    outer: int = 5,
    folds: int = 3,
    rows: int = 10_000,
    method: str = "tpe",
    metric: str | None = None,
    patience: int | None = None,
    threads: int = 1,
    seed: int = settings.SEED,
    report: Report | None = None,
) -> TunedTables:
    """Compare default and tuned parameters on outer splits of the training rows of every labelled table.

    Args:
        processed: processed data sets by name.
        classifiers: names of :data:`utils.classifiers.zoo.ZOO`, for all tables or by table.
        trials: trials of each search.
        outer: outer splits.
        folds: inner folds.
        rows: most training rows of a table; beyond, a sample is drawn.
        method: how points are chosen (see :func:`utils.classifiers.tuning.tune`).
        metric: what is maximised; average precision if not named.
        patience: rounds without gain after which boosting stops in the searches.
        threads: threads of a fit.
        seed: seed of everything that is drawn.
        report: told the table and classifier before each search.
    """
    found: dict[tuple[Table, str], Gains] = {}
    left_out, lines = [], []
    for table, frame, roles, split in labelled_tables(processed):
        for name in classifiers.get(table, ()) if isinstance(classifiers, Mapping) else classifiers:
            if report:
                report(f"{' '.join(table)}: {name}")
            try:
                given = rows_of(frame, roles, split.train, rows, seed)
                found[table, name] = nested.gains(
                    given.X, given.y, zoo.choice(name), outer=outer, trials=trials, folds=folds, method=method,
                    metric=metric, patience=patience, threads=threads, seed=seed, **given.given,
                )  # fmt: skip
            except LabError as error:
                left_out.append(f"{' '.join(table)}, {name}: {error}")
                continue
            lines.append(_line(table, name, found[table, name]))
    return TunedTables(pl.DataFrame(lines, schema=BOARD, orient="row"), found, tuple(left_out))


def searched(
    processed: Mapping[str, Dataset],
    table: Table,
    classifier: str,
    *,
    rows: int = 10_000,
    **search: Any,  # noqa: ANN401
) -> Tuned:
    """Search parameters on the training rows of one table, for its history and importance.

    Args:
        processed: processed data sets by name.
        table: data set and table.
        classifier: name in :data:`utils.classifiers.zoo.ZOO`.
        rows: most training rows.
        **search: as :func:`utils.classifiers.tuning.tune` takes them.

    Raises:
        LabError: if there is no such table or classifier, or the rows cannot be searched.
    """
    for name, frame, roles, split in labelled_tables(processed):
        if name == table:
            given = rows_of(frame, roles, split.train, rows, search.get("seed", settings.SEED))
            return tune(given.X, given.y, zoo.choice(classifier), **given.given, **search)
    raise LabError(f"a search needs a labelled table with a split, found none named {' '.join(table)}: choose another")


def points_of_tables(
    processed: Mapping[str, Dataset],
    classifiers: str | Mapping[Table, str],
    *,
    parameters: Mapping[Table, Mapping[str, Value]] | None = None,
    miss: float = 10.0,
    false_alarm: float = 1.0,
    budget: float = 10.0,
    folds: int = 5,
    rows: int = 50_000,
    resamples: int = 200,
    threads: int = 1,
    seed: int = settings.SEED,
    report: Report | None = None,
) -> PointsOfTables:
    """Choose thresholds and calibrations on training rows of every labelled table, and look at its test rows once.

    Args:
        processed: processed data sets by name.
        classifiers: name in :data:`utils.classifiers.zoo.ZOO`, for all tables or by table.
        parameters: of the classifier by table, where they are not the defaults.
        miss: cost of an anomaly that is not flagged.
        false_alarm: cost of a normal row that is flagged.
        budget: alarms that may be raised in 1,000 normal rows.
        folds: folds of the training rows.
        rows: most training rows of a table.
        resamples: bootstrap draws behind intervals of rankings.
        threads: threads of a fit.
        seed: seed of everything that is drawn.
        report: told each table before it is judged.
    """
    found, left_out = {}, []
    for table, frame, roles, split in labelled_tables(processed):
        name = classifiers if isinstance(classifiers, str) else classifiers.get(table)
        if name is None:
            continue
        if report:
            report(f"{' '.join(table)}: {name}")
        try:
            learned, tested = rows_of(frame, roles, split.train, rows, seed), rows_of(frame, roles, split.test)
            pipeline = pipeline_of(
                zoo.choice(name), (parameters or {}).get(table, {}), seed, threads, learned.X.columns
            )
            with limited(threads):
                sides = _sides(pipeline, learned, tested, frame[split.test], folds, seed)
            found[table] = operating_points(
                *sides, miss=miss, false_alarm=false_alarm, budget=budget, unit=roles.unit, resamples=resamples,
                seed=seed,
            )  # fmt: skip
        except LabError as error:
            left_out.append(f"{' '.join(table)}, {name}: {error}")
    return PointsOfTables(found, tuple(left_out))


def _sides(
    pipeline: Pipeline, learned: Rows, tested: Rows, rows: pl.DataFrame, folds: int, seed: int
) -> tuple[Side, Side]:
    """Training rows scored out of fold, and test rows scored by a model of all training rows."""
    chosen_on = out_of_fold_side(
        pipeline, learned.X, learned.y, folds=folds, kinds=learned.kinds, seed=seed, **learned.given
    )
    model = fitted_to(pipeline, learned.X, target(learned.y, **learned.given))
    judged = rows.select(learned.X.columns)
    return chosen_on, side_of(model, judged, tested.y, kinds=tested.kinds, weight=tested.weight)


def _line(table: Table, name: str, found: Gains) -> tuple[object, ...]:
    """One line of the board."""
    row = found.summary.row(by_predicate=pl.col("metric") == found.metric, named=True)
    numbers = (row[each] for each in ("default", "tuned", "difference", "low", "high", "p_value"))
    promised = float((found.splits["inner_best"] - found.splits["inner_default"]).to_numpy().mean())
    seconds = float(found.splits["seconds"].to_numpy().sum())
    shown = str(found.splits["parameters"][0])
    return (" ".join(table), name, found.metric, *numbers, found.verdict, promised, found.optimism.mean, seconds, shown)
