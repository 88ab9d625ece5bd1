"""Representations crossed with classifiers, over repeated splits of the training part of a table.

Each split fits everything on its own training rows: what makes numbers of the columns, what makes fewer columns of
them, and the classifier. Equal rows count once and stand on one side. The test part of the table is looked at once, at
the end, with each representation at its largest size.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from utils import compute, settings
from utils.classifiers.representations.codes import AutoencoderCodes
from utils.classifiers.representations.components import PrincipalComponents
from utils.classifiers.representations.elimination import RecursiveElimination
from utils.classifiers.representations.importance import TREES, TopImportance, overlap
from utils.compute.threads import limited
from utils.datasets.contract import NORMAL, Dataset, Roles
from utils.detectors.judging import Report, detectable, label_of, labelled_tables
from utils.detectors.projection import sampled
from utils.errors import DataError
from utils.evaluation import comparison, metrics, splits
from utils.evaluation.estimates import mean_over_splits
from utils.evaluation.inputs import Bools, Floats, Ints, row_codes
from utils.evaluation.intervals import LEVEL
from utils.evaluation.scoring import abnormality
from utils.evaluation.splits import Split
from utils.features.flows import FlowFeatures
from utils.features.tables import Table

SIZES = (10, 25, 50)
TEST_SHARE = 0.2
ROWS = 25_000
FEWEST = 10
"""Distinct rows that each class must have, so that it stands on both sides of a split and in the inner one."""
FEWEST_COLUMNS = 2
MANY = 10
"""Splits from which on a budget has room for several sizes."""
UNNAMED = "of no named kind"
ALL = "all features"
IMPORTANCE, ELIMINATION = "top by importance", "recursive elimination"
COMPONENTS, CODES = "principal components", "autoencoder codes"
FOREST, NETWORK = "random forest", "dense network"
MEASURES = ("accuracy", "f1", "average_precision")
RANKS = (1, 2, 3, 5, 7, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100)
"""Numbers of best columns of which two rankings are compared."""
CURVE = (1, 2, 3, 5, 7, 10, 15, 20, 25, 30, 40, 50, 75, 100)
"""Numbers of principal components whose error is computed; it costs next to nothing."""
EACH = {
    **dict.fromkeys(("model", "representation"), pl.String),
    **dict.fromkeys(("size", "split", "columns"), pl.Int64),
    **dict.fromkeys((*MEASURES, "prepare_seconds", "fit_seconds", "predict_seconds"), pl.Float64),
}
ERRORS = {
    "representation": pl.String,
    **dict.fromkeys(("size", "split"), pl.Int64),
    **dict.fromkeys(("lost", "explained"), pl.Float64),
}
RANKINGS = {**dict.fromkeys(("split", "k"), pl.Int64), **dict.fromkeys(("overlap", "chance"), pl.Float64)}


@dataclass(frozen=True)
class Plan:
    """How much work is done.

    Attributes:
        sizes: numbers of columns that are tried; those that a table does not have are left out.
        models: names of the classifiers.
        repeats: splits.
        rows: most distinct rows of a table.
        epochs: most epochs of a network.
        trees: trees of the forests that classify.
        elimination: most rows and number of trees of a forest of the elimination, and the share of the columns that
            leaves in a round.
        seed: of draws, splits and models.
    """

    sizes: tuple[int, ...] = SIZES
    models: tuple[str, ...] = (FOREST, NETWORK)
    repeats: int = 10
    rows: int = ROWS
    epochs: int = 30
    trees: int = TREES
    elimination: tuple[int, int, float] = (5_000, 50, 0.1)
    seed: int = settings.SEED


def plans(budget: settings.Budget, seed: int = settings.SEED) -> tuple[Plan, Plan]:
    """How much work a budget allows: on the table that is looked at closely, and on each other table."""
    many, epochs = budget.repeats >= MANY, max(10, min(budget.epochs, 20))
    quick = Plan((SIZES[0],), repeats=max(2, budget.repeats // 3), epochs=epochs, trees=50, seed=seed)
    quick = replace(quick, rows=budget.rows // 10, elimination=(2_500, 30, 0.2))
    other = replace(quick, sizes=SIZES[:2]) if many else quick
    close = replace(quick, repeats=budget.repeats, rows=budget.rows // 6)
    return (replace(close, sizes=(SIZES[0], SIZES[-1])) if many else close), other


@dataclass(frozen=True, eq=False)
class Rows:
    """Distinct training rows of a table.

    Attributes:
        frame: the rows (n rows).
        columns: features.
        roles: what the columns mean.
        y: true for an anomaly (n,).
        kinds: kind of each row, or its label where no kinds are named (n,).
        groups: rows of one group stay on one side (n,).
        width: columns of the matrix that is made of the features.
    """

    frame: pl.DataFrame
    columns: tuple[str, ...]
    roles: Roles
    y: Bools
    kinds: pl.Series
    groups: Ints
    width: int


@dataclass(frozen=True, eq=False)
class Trials:
    """What representations are worth on one table.

    Attributes:
        each: one row a model, representation, size and split: ``columns``, ``accuracy``, ``f1``,
            ``average_precision``, and processor seconds: ``prepare_seconds`` to fit the representation, ``fit_seconds``
            the classifier, ``predict_seconds`` for 10,000 rows through both.
        errors: one row a representation that can be undone, size and split: ``lost`` share of the variance of held-out
            rows, ``explained`` share of the variance of training rows (principal components only).
        rankings: one row a split and number ``k`` of columns: ``overlap`` of the two rankings, and ``chance``.
        tested: as ``each``, learned from all rows and judged by the test part of the table, once.
        rows: distinct rows that were divided.
        width: columns of the matrix of all features.
        test_share: share of the rows in each test part.
        unit: what one row is.
    """

    each: pl.DataFrame
    errors: pl.DataFrame
    rankings: pl.DataFrame
    tested: pl.DataFrame
    rows: int
    width: int
    test_share: float
    unit: str = "row"

    @property
    def splits(self) -> int:
        """Number of splits."""
        return self.each["split"].n_unique()

    @cached_property
    def scores(self) -> pl.DataFrame:
        """One row a model, representation, size and metric: ``metric``, ``value``, ``low``, ``high``."""
        keys = ("model", "representation", "size")
        found = []
        for key, part in self.each.group_by(keys, maintain_order=True):
            for name in MEASURES:
                estimate = mean_over_splits(
                    name, part[name].to_numpy(), self.test_share, self.unit, self.rows, "0.5, not chosen"
                )
                found.append((*key, name, estimate.value, estimate.low, estimate.high))
        return pl.DataFrame(found, schema=[*keys, "metric", "value", "low", "high"], orient="row")

    @cached_property
    def verdicts(self) -> pl.DataFrame:
        """Each representation against all features, on the same splits.

        Returns:
            ``model``, ``representation``, ``size``, ``difference`` of F1, ``low``, ``high``, ``p_value``, ``verdict``.
            The level of all intervals together is 95 % (Bonferroni).
        """
        pairs = list(self._pairs())
        level = 1 - (1 - LEVEL) / max(len(pairs), 1)
        found = []
        for (model, name, size), ours, all_of_them in pairs:
            names = (f"{name}, {size}", ALL)
            one = comparison.corrected_t_test(ours, all_of_them, self.test_share, names=names, level=level)
            found.append((model, name, size, one.difference, one.low, one.high, one.p_value, one.verdict))
        numbers = dict.fromkeys(("difference", "low", "high", "p_value"), pl.Float64)
        texts = {"model": pl.String, "representation": pl.String, "size": pl.Int64}
        return pl.DataFrame(found, schema={**texts, **numbers, "verdict": pl.String}, orient="row")

    @property
    def costs(self) -> pl.DataFrame:
        """Mean processor seconds of each model, representation and size over the splits."""
        seconds = ("prepare_seconds", "fit_seconds", "predict_seconds")
        return self.each.group_by("model", "representation", "size", maintain_order=True).agg(
            pl.col("columns").max(), pl.col(*seconds).mean()
        )

    @property
    def board(self) -> pl.DataFrame:
        """F1 with its interval, the difference to all features, the cost, and how far the second is from the best."""
        keys = ["model", "representation", "size"]
        scores = self.scores.filter(metric="f1").select(*keys, f1="value", low="low", high="high")
        accuracy = self.scores.filter(metric="accuracy").select(*keys, accuracy="value")
        against = self.verdicts.select(*keys, "difference", "verdict")
        found = scores.join(accuracy, on=keys, how="left", maintain_order="left")
        found = found.join(against, on=keys, how="left", maintain_order="left")
        found = found.join(self.costs.drop("columns"), on=keys, how="left", maintain_order="left")
        return self._with_gap(found)

    @property
    def summary(self) -> str:
        """For each model what all features reach, which narrow representation comes nearest, and how many are worse."""
        scores = {row[:3]: row[4:] for row in self.scores.filter(metric="f1").iter_rows()}
        lines = []
        for (model,), part in self.verdicts.group_by("model", maintain_order=True):
            best = part.sort("difference", descending=True, nulls_last=True).row(0, named=True)
            value, low, high = next(found for key, found in scores.items() if key[:2] == (model, ALL))
            worse = part.filter(pl.col("high") < 0).height
            nearest = f"{best['representation']}, {best['size']} ({best['difference']:+.4f})"
            reached = f"F1 {value:.4f} [{low:.4f}, {high:.4f}] with all {self.width} columns"
            lines.append(f"{model}: {reached}; best of fewer: {nearest}; {worse} of {part.height} shown to be worse")
        return "; ".join(lines) or "one split only, nothing to compare"

    def results(self) -> dict[str, float]:
        """Numbers for the record of a run."""
        shown = self.scores.filter(pl.col("metric").is_in(["accuracy", "f1"]))
        return {
            f"{model}_{name}_{size}_{metric}".replace(" ", "_"): value
            for model, name, size, metric, value, _, _ in shown.iter_rows()
        }

    def _with_gap(self, board: pl.DataFrame) -> pl.DataFrame:
        """Compare the two best on the same splits."""
        each = self.each.partition_by("model", "representation", "size", as_dict=True)
        keys = board.select("model", "representation", "size").rows()
        words = board.select(pl.format("{}, {} ({})", "model", "representation", "size").alias("name"))

        def compare(place: int, other: int) -> comparison.Comparison:
            one, two = (_by_split(each[keys[which]]) for which in (place, other))
            return comparison.corrected_t_test(one, two, self.test_share)

        places = comparison.runner_up(board["f1"].to_list())
        return board.hstack(comparison.with_gaps(words, "name", compare, places).drop("name"))

    def _pairs(self) -> Iterator[tuple[tuple[str, str, int], Floats, Floats]]:
        """F1 of each representation and of all features, split by split."""
        if self.splits < 2:
            return
        whole = {model: part for (model,), part in self.each.filter(representation=ALL).group_by("model")}
        narrow = self.each.filter(pl.col("representation") != ALL)
        for (model, name, size), part in narrow.group_by("model", "representation", "size", maintain_order=True):
            yield (str(model), str(name), int(str(size))), _by_split(part), _by_split(whole[model])


class _Judged(NamedTuple):
    """What one split gave."""

    each: list[dict[str, Any]]
    errors: list[dict[str, Any]]
    rankings: list[dict[str, Any]]


class _Parts(NamedTuple):
    """Matrices of both sides of a split."""

    train: Floats
    test: Floats
    y_train: Bools
    y_test: Bools


class _Fitted(NamedTuple):
    """A fitted representation and what it cost."""

    name: str
    size: int
    transformer: Any
    seconds: float


def over_tables(
    processed: Mapping[str, Dataset],
    plans: Mapping[str, Plan],
    *,
    otherwise: Plan | None = None,
    only: Mapping[Table, pl.Series] | None = None,
    workers: int = 1,
    report: Report | None = None,
) -> tuple[dict[Table, Trials], dict[Table, str]]:
    """Run the trials on every labelled table.

    Args:
        processed: processed data sets by name.
        plans: how much work is done on the tables of a data set, by its name.
        otherwise: the same for data sets that have no plan of their own.
        only: masks of rows to draw from, by table.
        workers: processes of this machine that work on splits side by side; results do not depend on it.
        report: told the table before it begins.

    Returns:
        What was found by table, and for tables that cannot be judged so the reason in one sentence.
    """
    found: dict[Table, Trials] = {}
    left_out: dict[Table, str] = {}
    for table, frame, roles, split in labelled_tables(processed):
        plan = plans.get(table[0], otherwise or Plan())
        if report:
            report(" ".join(table))
        try:
            found[table] = run(frame, roles, split, plan, only=(only or {}).get(table), workers=workers)
        except DataError as error:
            left_out[table] = str(error)
    return found, left_out


def run(
    frame: pl.DataFrame,
    roles: Roles,
    split: Split,
    plan: Plan | None = None,
    *,
    only: pl.Series | None = None,
    workers: int = 1,
) -> Trials:
    """Judge the representations on the training part of a table, and once on its test part.

    Args:
        frame: a labelled table.
        roles: what its columns mean.
        split: training and test part.
        plan: how much work is done.
        only: mask of rows to draw from (rows of ``frame``).
        workers: processes of this machine that work on splits side by side.

    Raises:
        DataError: if a class has fewer than 10 distinct training rows, or there are fewer than two columns of numbers.
    """
    plan = plan or Plan()
    rows = distinct_training(frame, roles, split, plan, only)
    sizes = sizes_within(rows.width, plan.sizes)
    divided = splits.repeated(rows.y, TEST_SHARE, plan.repeats, plan.seed, groups=rows.groups)
    jobs = [(rows, one, number, sizes, plan) for number, one in enumerate(divided)]
    judged = compute.each(_on_split, jobs, workers=workers)
    tested = _on_test_part(rows, frame[split.test], sizes, plan)
    shares = [one.test_share for one in divided]
    return Trials(
        each=_table((row for one in judged for row in one.each), EACH),
        errors=_table((row for one in judged for row in one.errors), ERRORS),
        rankings=_table((row for one in judged for row in one.rankings), RANKINGS),
        tested=_table(tested, EACH).drop("split"),
        rows=rows.frame.height,
        width=rows.width,
        test_share=float(np.mean(shares)),
        unit=roles.unit,
    )


def results(found: Mapping[Table, Trials], name: str) -> dict[str, float]:
    """Numbers of the tables of one data set for the record of a run."""
    return {
        f"{table}_{measure}": value
        for (owner, table), one in found.items()
        if owner == name
        for measure, value in one.results().items()
    }


def distinct_training(
    frame: pl.DataFrame, roles: Roles, split: Split, plan: Plan, only: pl.Series | None = None
) -> Rows:
    """Take the distinct rows of the training part, and draw some where there are too many.

    Rows that are equal in all features stay apart if their labels differ, in one group.

    Args:
        frame: a labelled table.
        roles: what its columns mean.
        split: training and test part.
        plan: most rows, and the seed of the draw.
        only: mask of rows to draw from.

    Raises:
        DataError: if a class has fewer than 10 rows, or the features make fewer than two columns of numbers.
    """
    places = split.train if only is None else split.train[only.gather(split.train).to_numpy().astype(bool)]
    train, label = frame[places], label_of(roles)
    columns = detectable(train, roles)
    if not columns:
        raise DataError("representations are made of features, found none that is measured: name features")
    train = train.unique([*columns, label], keep="first", maintain_order=True)
    train = train[sampled(train.height, plan.rows, plan.seed, _kinds(train, roles))]
    y = train[label].to_numpy().astype(bool)
    rarer = int(min(y.sum(), (~y).sum()))
    if rarer < FEWEST:
        wanted = f"repeated splits need {FEWEST} distinct rows of each class"
        raise DataError(f"{wanted}, found {rarer} of the rarer one: give more rows or merge kinds")
    groups = row_codes(train.select([roles.group] if roles.group else columns))
    width = FlowFeatures(roles, columns=columns).fit(train).transform(train[:1]).shape[1]
    if width < FEWEST_COLUMNS:
        raise DataError(f"fewer columns can be had of {FEWEST_COLUMNS} or more, found {width}: nothing to compare")
    return Rows(train, tuple(columns), roles, y, _kinds(train, roles), groups, width)


def sizes_within(width: int, sizes: Sequence[int] = SIZES) -> tuple[int, ...]:
    """Sizes that a table of so many columns has; a quarter and a half of the columns if none of them is smaller."""
    fitting = tuple(sorted({size for size in sizes if size < width}))
    return fitting or tuple(sorted({max(1, width // 4), max(1, width // 2)}))


def representations(X: Floats, y: Bools, sizes: Sequence[int], plan: Plan) -> Iterator[_Fitted]:
    """Fit each representation in each size; what several sizes share is done once.

    Args:
        X: training rows (n, d).
        y: true for an anomaly (n,).
        sizes: numbers of columns; larger ones than ``d`` become ``d``.
        plan: epochs, rows and seed.

    Yields:
        Name, size, fitted transformer, and processor seconds of the fit.
    """
    most = X.shape[1]
    for name, make in _SHARED.items():
        learned, seconds = _timed(lambda make=make: make(plan).fit(X, y))  # type: ignore[misc]
        yield from (_Fitted(name, size, learned.resized(min(size, most)), seconds) for size in sizes)
    for size in sizes:
        codes = AutoencoderCodes(min(size, most), epochs=plan.epochs, seed=plan.seed)
        fitted, seconds = _timed(lambda codes=codes: codes.fit(X))  # type: ignore[misc]
        yield _Fitted(CODES, size, fitted, seconds)


_SHARED: Mapping[str, Callable[[Plan], Any]] = {
    IMPORTANCE: lambda plan: TopImportance(1, trees=plan.trees, seed=plan.seed),
    ELIMINATION: lambda plan: _elimination(*plan.elimination, plan.seed),
    COMPONENTS: lambda _: PrincipalComponents(1),
}
"""Representations of which one fit gives all sizes."""


def _elimination(rows: int, trees: int, step: float, seed: int) -> RecursiveElimination:
    return RecursiveElimination(1, step=step, trees=trees, most_rows=rows, seed=seed)


def _forest(plan: Plan) -> Any:  # noqa: ANN401 - a classifier
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(plan.trees, random_state=plan.seed)


def _network(plan: Plan) -> Any:  # noqa: ANN401 - a classifier
    from utils.classifiers.dense import DenseClassifier

    return DenseClassifier(epochs=plan.epochs, seed=plan.seed)


MODELS: Mapping[str, Callable[[Plan], Any]] = {FOREST: _forest, NETWORK: _network}


@limited(1)
def _on_split(rows: Rows, split: Split, number: int, sizes: tuple[int, ...], plan: Plan) -> _Judged:
    """Fit and judge everything on one split."""
    sides = _matrices(rows, rows.frame[split.train], rows.frame[split.test])
    parts = _Parts(*sides, rows.y[split.train], rows.y[split.test])
    fitted = list(representations(parts.train, parts.y_train, sizes, plan))
    errors = [error for one in fitted for error in _errors(one, parts)] + _curve(fitted, parts)
    each = _judge_all(fitted, parts, rows.width, plan)
    return _Judged(*([{**row, "split": number} for row in found] for found in (each, errors, _ranks(fitted))))


@limited(1)
def _on_test_part(rows: Rows, test: pl.DataFrame, sizes: tuple[int, ...], plan: Plan) -> list[dict[str, Any]]:
    """Learn from all rows, judge by the test part, at the largest size only."""
    sides = _matrices(rows, rows.frame, test)
    parts = _Parts(*sides, rows.y, test[label_of(rows.roles)].to_numpy().astype(bool))
    fitted = list(representations(parts.train, parts.y_train, sizes[-1:], plan))
    return [{**row, "split": 0} for row in _judge_all(fitted, parts, rows.width, plan)]


def _matrices(rows: Rows, train: pl.DataFrame, test: pl.DataFrame) -> tuple[Floats, Floats]:
    features = FlowFeatures(rows.roles, columns=rows.columns).fit(train)
    return np.asarray(features.transform(train)), np.asarray(features.transform(test))


def _judge_all(fitted: Sequence[_Fitted], parts: _Parts, width: int, plan: Plan) -> list[dict[str, Any]]:
    whole = _Fitted(ALL, width, None, 0.0)
    return [_judge(one, model, parts, plan) for model in plan.models for one in (whole, *fitted)]


def _judge(one: _Fitted, model: str, parts: _Parts, plan: Plan) -> dict[str, Any]:
    """Fit one classifier on one representation, judge it by the test rows."""
    train = parts.train if one.transformer is None else one.transformer.transform(parts.train)
    classifier, fit_seconds = _timed(lambda: MODELS[model](plan).fit(train, parts.y_train))

    def scored() -> Floats:
        return abnormality(classifier, parts.test if one.transformer is None else one.transformer.transform(parts.test))

    scores, predict_seconds = _timed(scored)
    decisions = scores > 0.5
    return {
        "model": model,
        "representation": one.name,
        "size": one.size,
        "columns": train.shape[1],
        "accuracy": metrics.accuracy(parts.y_test, decisions),
        "f1": metrics.f1(parts.y_test, decisions),
        "average_precision": metrics.average_precision(parts.y_test, scores),
        "prepare_seconds": one.seconds,
        "fit_seconds": fit_seconds,
        "predict_seconds": predict_seconds / len(parts.test) * 10_000,
    }


def _errors(one: _Fitted, parts: _Parts) -> list[dict[str, Any]]:
    """What is lost on held-out rows when codes are undone."""
    if one.name != CODES:
        return []
    lost = lost_variance(one.transformer, parts.train, parts.test)
    return [{"representation": one.name, "size": one.size, "lost": lost, "explained": None}]


def _curve(fitted: Sequence[_Fitted], parts: _Parts) -> list[dict[str, Any]]:
    """What is lost, and what was explained in training, for many numbers of principal components."""
    components = next(one.transformer for one in fitted if one.name == COMPONENTS)
    sizes = sorted({*CURVE, *(one.size for one in fitted if one.name == COMPONENTS)})
    explained = np.cumsum(components.explained_)
    return [
        {
            "representation": COMPONENTS,
            "size": size,
            "lost": lost_variance(components.resized(size), parts.train, parts.test),
            "explained": float(explained[size - 1]),
        }
        for size in sizes
        if size <= parts.train.shape[1]
    ]


def lost_variance(transformer: Any, train: Floats, rows: Floats) -> float:  # noqa: ANN401 - any that can be undone
    """Share of the variance of rows that a representation cannot give back; the mean of training would lose 1.

    Args:
        transformer: fitted, with ``inverse_transform``.
        train: training rows (n, d).
        rows: held-out rows (m, d).
    """
    back = transformer.inverse_transform(transformer.transform(rows))
    whole = float(((rows - train.mean(axis=0)) ** 2).sum())
    return float(((rows - back) ** 2).sum()) / max(whole, np.finfo(np.float64).tiny)


def _ranks(fitted: Sequence[_Fitted]) -> list[dict[str, Any]]:
    """How far the two rankings agree."""
    orders = {one.name: one.transformer.order_ for one in fitted if one.name in (IMPORTANCE, ELIMINATION)}
    columns = len(orders[IMPORTANCE])
    return [
        {"k": k, "overlap": overlap(orders[IMPORTANCE], orders[ELIMINATION], k), "chance": k / columns}
        for k in RANKS
        if k < columns
    ]


def _kinds(frame: pl.DataFrame, roles: Roles) -> pl.Series:
    if roles.anomaly_type:
        return frame[roles.anomaly_type].cast(pl.String).fill_null(UNNAMED)
    return names_of_labels(frame[label_of(roles)])


def names_of_labels(labels: pl.Series) -> pl.Series:
    """``"anomaly"`` or ``"normal"`` for each row."""
    return labels.replace_strict({True: "anomaly", False: NORMAL}, return_dtype=pl.String)


def _by_split(part: pl.DataFrame) -> Floats:
    return np.asarray(part.sort("split")["f1"].to_numpy(), dtype=np.float64)


def _table(rows: Any, schema: Mapping[str, Any]) -> pl.DataFrame:  # noqa: ANN401 - rows as dictionaries
    return pl.DataFrame(list(rows), schema=dict(schema))


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What some work gives, and the processor seconds that it took."""
    began = time.process_time()
    return work(), time.process_time() - began
