"""The best rule on a single feature, fitted on one side of a split and judged on the other."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from utils import settings
from utils.datasets.contract import Dataset, Roles
from utils.detectors.baselines.judging import Table, label_of, labelled_tables
from utils.detectors.rules import FeatureRule, OptimisticChoice, best_on_test, shortcut_strength
from utils.errors import DataError, LabError
from utils.evaluation import metrics
from utils.evaluation.metrics import Estimate
from utils.evaluation.splits import Split
from utils.features import tables

MOST_VALUES = 100_000
"""A column of more distinct values names its rows; how far it would get alone says nothing."""


@dataclass(frozen=True)
class Judged:
    """One rule, fitted on one side of a split and judged on the other.

    Attributes:
        rule: the fitted rule.
        board: every feature with what its best rule does on training and on test rows.
        train_f1: F1 of the rule on the training rows that chose it.
        estimates: metrics on the test rows with intervals.
        choice: the honest threshold beside the one that would have been best on the test rows.
        trivial_f1: F1 of flagging every test row.
    """

    rule: FeatureRule
    board: pl.DataFrame
    train_f1: float
    estimates: Sequence[Estimate]
    choice: OptimisticChoice
    trivial_f1: float

    def estimate(self, name: str) -> Estimate:
        """One metric by name."""
        return next(each for each in self.estimates if each.name == name)


def judge(frame: pl.DataFrame, roles: Roles, split: Split, rule: FeatureRule, *, resamples: int, seed: int) -> Judged:
    """Fit a feature rule on the training rows of a split and judge it on the test rows.

    Args:
        frame: processed table.
        roles: what its columns mean; it must have a label.
        split: rows to learn from and to judge by; rows without a label are left out.
        rule: the rule, not fitted.
        resamples: bootstrap resamples behind the intervals, where rows come in groups.
        seed: of the resamples.

    Raises:
        DataError: if a class is missing on one side.
    """
    label = label_of(roles)
    train, test = (frame[rows].filter(pl.col(label).is_not_null()) for rows in (split.train, split.test))
    rule.fit(train, train[label])
    estimates = metrics.evaluate(
        test[label],
        decisions=rule.predict(test),
        threshold=rule.threshold_.describe(),
        unit=roles.unit,
        groups=test[roles.group] if roles.group else None,
        anomaly_type=test[roles.anomaly_type] if roles.anomaly_type else None,
        resamples=resamples,
        seed=seed,
    )
    return Judged(
        rule,
        rule.compare(test, test[label]),
        float(rule.scoreboard_["f1"][0]),
        estimates,
        best_on_test(rule, test, test[label]),
        float(metrics.dummy(test[label])["f1"][0]),
    )


def best_rules(processed: Mapping[str, Dataset], *, resamples: int, seed: int = settings.SEED) -> dict[Table, Judged]:
    """Find and judge the best single-feature rule of every table whose two sides have both classes.

    Args:
        processed: processed data sets by name.
        resamples: bootstrap resamples behind the intervals.
        seed: of the resamples and of the folds that score categories.
    """
    return {
        table: judge(frame, roles, split, _rule(frame, roles, seed), resamples=resamples, seed=seed)
        for table, frame, roles, split in labelled_tables(processed)
    }


def overview(judged: Mapping[Table, Judged]) -> pl.DataFrame:
    """Tabulate judged rules.

    Returns:
        One row a table: ``data set``, ``table``, ``rule`` (in words), ``training f1``, ``f1`` (with interval),
        ``value``, ``low``, ``high``, ``precision``, ``recall``, ``false alarms`` (shares), ``optimistic_f1``,
        ``trivial_f1``.
    """
    return pl.DataFrame([_line(table, each) for table, each in judged.items()])


def over_splits(
    frame: pl.DataFrame, roles: Roles, chosen: Iterable[Split], rule: FeatureRule, *, seed: int = settings.SEED
) -> pl.DataFrame:
    """Fit and judge a rule on many splits.

    Args:
        frame: processed table.
        roles: what its columns mean.
        chosen: the splits.
        rule: the rule, fitted anew on each.
        seed: of the folds that score categories.

    Returns:
        One row a split: ``split``, ``feature``, ``cut``, ``honest_f1``, ``optimistic_cut``, ``optimistic_f1``.
    """
    found = []
    for split in chosen:
        each = judge(frame, roles, split, rule, resamples=2, seed=seed)
        cuts = {"cut": each.choice.honest_cut, "optimistic_cut": each.choice.cut}
        values = {"honest_f1": each.choice.honest_f1, "optimistic_f1": each.choice.f1}
        found.append({"split": split.name, "feature": each.rule.feature_, **cuts, **values})
    return pl.DataFrame(found)


def as_published(graphs: pl.DataFrame) -> pl.DataFrame:
    """Rebuild the rows of the published notebooks on call graphs: residential addresses, repeated graphs repeated.

    Upstream counted the edges of a graph that stands k times k times over. Only ``n_connections`` and the label are
    rebuilt, and the one empty graph, which upstream took for a graph of one edge, stays out.

    Args:
        graphs: table ``graphs`` with ``ip_type`` and ``upstream_rows``.

    Raises:
        DataError: if the table does not tell which rows these are.
    """
    if not {"ip_type", "upstream_rows"} <= set(graphs.columns):
        raise DataError(
            "the published rows need the columns ip_type and upstream_rows, found neither: use the data set api"
        )
    home = graphs.filter(ip_type="default").with_columns(pl.col("n_connections").fill_null(0))
    counted = home.select(pl.col("n_connections") * pl.col("upstream_rows"), "is_anomaly", "upstream_rows")
    rows = counted.select(pl.col("n_connections", "is_anomaly").repeat_by("upstream_rows"))
    return rows.explode("n_connections", "is_anomaly").with_columns(pl.col("n_connections").clip(1))


def shortcuts(data: Mapping[str, Dataset]) -> pl.DataFrame:
    """Show how far the refused columns of each data set would get alone, and that a rule on them is refused.

    Args:
        data: data sets as loaded.

    Returns:
        One row a refused column of a labelled frame, strongest first: ``data set``, ``frame``, ``column``,
        ``distinct``, out of fold ``balanced_accuracy``, ``recall``, ``false_alarm_rate``, ``f1``, and ``answer``, what
        a rule on the column says.
    """
    found = []
    for name, dataset in data.items():
        for frame, roles in dataset.roles.items():
            rows = dataset[frame]
            columns = [column for column in roles.identity if rows[column].n_unique() <= MOST_VALUES]
            if roles.label and columns and rows[roles.label].drop_nulls().n_unique() == 2:
                known = rows.filter(pl.col(roles.label).is_not_null())
                strength = shortcut_strength(known, known[roles.label], columns)
                answers = [_answer(known, roles, column) for column in strength["column"]]
                said = strength.with_columns(pl.Series("answer", answers, dtype=pl.String))
                found.append(said.select(pl.lit(name).alias("data set"), pl.lit(frame).alias("frame"), pl.all()))
    ranked = (
        pl.concat(found) if found else pl.DataFrame(schema={"data set": pl.String, "balanced_accuracy": pl.Float64})
    )
    return ranked.sort("balanced_accuracy", descending=True, maintain_order=True)


def _rule(frame: pl.DataFrame, roles: Roles, seed: int) -> FeatureRule:
    return FeatureRule(tables.measurable(frame, roles), roles=roles, seed=seed)


def _line(table: Table, judged: Judged) -> dict[str, object]:
    f1 = judged.estimate("f1")
    return {
        "data set": table[0],
        "table": table[1],
        "rule": judged.rule.sentence_,
        "training f1": judged.train_f1,
        "f1": str(f1),
        "value": f1.value,
        "low": f1.low,
        "high": f1.high,
        "precision": judged.estimate("precision").value,
        "recall": judged.estimate("recall").value,
        "false alarms": judged.estimate("false_alarm_rate").value,
        "optimistic_f1": judged.choice.f1,
        "trivial_f1": judged.trivial_f1,
    }


def _answer(rows: pl.DataFrame, roles: Roles, column: str) -> str:
    try:
        FeatureRule(feature=column, roles=roles).fit(rows, rows[label_of(roles)])
    except LabError as error:
        return str(error)
    return "accepted"
