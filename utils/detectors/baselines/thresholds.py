"""The best rule on a single feature, fitted on one side of a split and judged on the other."""

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from sklearn.base import clone

from utils import compute, settings
from utils.datasets.contract import Dataset, Roles
from utils.detectors.judging import label_of, labelled_tables
from utils.detectors.rules import FeatureRule, OptimisticChoice, best_on_test, shortcut_strength
from utils.errors import DataError, LabError
from utils.evaluation import comparison, metrics, splits
from utils.evaluation.metrics import Estimate
from utils.evaluation.splits import Split
from utils.features import tables
from utils.features.tables import Table, weight_of

MOST_VALUES = 100_000
"""A column of more distinct values names its rows; how far it would get alone says nothing."""

TEST_SHARE = 0.2
LATER_SHARE = 0.4
RARE = 0.01
"""Share of anomalies at which F1 is stated as well: that of a quiet network, not that of a collection of attacks."""

PUBLISHED = Roles("behaviour", label="is_anomaly", features=("n_connections",))
"""What the columns of :func:`as_published` mean."""

OVERVIEW = {
    **dict.fromkeys(("data set", "table", "rule"), pl.String),
    "training f1": pl.Float64,
    "f1": pl.String,
    **dict.fromkeys(("value", "low", "high", "precision", "recall", "false alarms", "f1 at 1 %"), pl.Float64),
    **dict.fromkeys(("optimistic_f1", "trivial_f1"), pl.Float64),
}
RANGES = {"honest_f1": ".3f", "optimistic_f1": ".3f", "cut": "g"}
SPREAD = {
    **dict.fromkeys(("data set", "protocol"), pl.String),
    "splits": pl.Int64,
    **dict.fromkeys(("honest f1", "optimistic f1"), pl.String),
    **dict.fromkeys(("honest", "optimistic"), pl.Float64),
    **dict.fromkeys(("honest range", "optimistic range", "cuts"), pl.String),
}


@dataclass(frozen=True)
class Judged:
    """One rule, fitted on one side of a split and judged on the other.

    Attributes:
        rule: the fitted rule.
        board: every feature with what its best rule does on training and on test rows; the second also says how far
            its F1 is from that of the first (:func:`utils.evaluation.comparison.with_gaps`).
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

    A row that stands for many sessions (column ``n_sessions``) counts as many.

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
    rule, test = _fitted(frame, roles, split, rule)
    label, weight = label_of(roles), weight_of(test, roles)
    estimates = metrics.evaluate(
        test[label],
        decisions=rule.predict(test),
        threshold=rule.threshold_.describe(),
        unit=roles.unit,
        weight=weight,
        groups=test[roles.group] if roles.group else None,
        anomaly_type=test[roles.anomaly_type] if roles.anomaly_type else None,
        shares=RARE,
        resamples=resamples,
        seed=seed,
    )
    board = comparison.with_gaps(
        rule.compare(test, test[label], weight),
        "rule",
        _comparing(rule, test, roles, resamples, seed),
        [(1, 0)] if len(rule.rules_) > 1 else [],
    )
    return Judged(
        rule,
        board,
        float(rule.scoreboard_["f1"][0]),
        estimates,
        best_on_test(rule, test, test[label], weight),
        float(metrics.dummy(test[label], weight)["f1"][0]),
    )


def _comparing(
    rule: FeatureRule, test: pl.DataFrame, roles: Roles, resamples: int, seed: int
) -> Callable[[int, int], comparison.Comparison]:
    """How far apart two rules of a fitted scoreboard are on test rows, in F1."""

    def compare(place: int, other: int) -> comparison.Comparison:
        fired = [one.scores(test) >= one.point.threshold for one in (rule.rules_[place], rule.rules_[other])]
        return comparison.paired_bootstrap(
            "f1",
            test[label_of(roles)],
            *fired,
            weight=weight_of(test, roles),
            groups=test[roles.group] if roles.group else None,
            resamples=resamples,
            seed=seed,
        )

    return compare


def best_rules(processed: Mapping[str, Dataset], *, resamples: int, seed: int = settings.SEED) -> dict[Table, Judged]:
    """Find and judge the best single-feature rule of every table whose two sides have both classes.

    Args:
        processed: processed data sets by name.
        resamples: bootstrap resamples behind the intervals.
        seed: of the resamples and of the folds that score categories.

    Returns:
        By table; those are left out of which no feature varies in training.
    """
    found = {}
    for table, frame, roles, split in labelled_tables(processed):
        with contextlib.suppress(DataError):
            found[table] = judge(frame, roles, split, _rule(frame, roles, seed), resamples=resamples, seed=seed)
    return found


def overview(judged: Mapping[Table, Judged]) -> pl.DataFrame:
    """Tabulate judged rules.

    Returns:
        One row a table: ``data set``, ``table``, ``rule`` (in words), ``training f1``, ``f1`` (with interval),
        ``value``, ``low``, ``high``, ``precision``, ``recall``, ``false alarms`` (shares), ``f1 at 1 %`` (were so
        many rows anomalies), ``optimistic_f1``, ``trivial_f1``.
    """
    return pl.DataFrame([_line(table, each) for table, each in judged.items()], schema=OVERVIEW)


def later_rules(
    data: Mapping[str, Dataset], processed: Mapping[str, Dataset], *, resamples: int, seed: int = settings.SEED
) -> dict[Table, Judged]:
    """Judge the best rule of the past on the newest two fifths of the rows, for every table whose rows have times.

    Args:
        data: data sets as loaded, with the times.
        processed: their tables, whose rows stand in the same order.
        resamples: bootstrap resamples behind the intervals.
        seed: of the resamples and of the folds that score categories.

    Returns:
        By table; those are left out whose newest rows hold one class only.
    """
    found = {}
    for (name, table), frame, roles, _ in labelled_tables(processed):
        source = data[name].roles.get(table)
        if source is None or source.time is None or data[name][table].height != frame.height:
            continue
        with contextlib.suppress(DataError):
            split = _by_time(data[name][table][source.time], frame[label_of(roles)])
            found[name, table] = judge(frame, roles, split, _rule(frame, roles, seed), resamples=resamples, seed=seed)
    return found


def results(judged: Mapping[Table, Judged], name: str) -> dict[str, float]:
    """Numbers of one data set for the record of a run: F1 honest, optimistic and trivial, and false alarms."""
    found: dict[str, float] = {}
    for (owner, table), each in judged.items():
        if owner == name:
            f1 = each.estimate("f1")
            found |= {f"{table}_rule_f1": f1.value, f"{table}_rule_f1_low": f1.low, f"{table}_rule_f1_high": f1.high}
            found |= {f"{table}_rule_f1_on_test": each.choice.f1, f"{table}_trivial_f1": each.trivial_f1}
            found |= {f"{table}_false_alarm_rate": each.estimate("false_alarm_rate").value}
    return found


def over_splits(frame: pl.DataFrame, roles: Roles, chosen: Iterable[Split], rule: FeatureRule) -> pl.DataFrame:
    """Fit and judge a rule on many splits.

    Args:
        frame: processed table.
        roles: what its columns mean.
        chosen: the splits.
        rule: the rule, fitted anew on each.

    Returns:
        One row a split: ``split``, ``feature``, ``cut``, ``honest_f1``, ``optimistic_cut``, ``optimistic_f1``.
    """
    return pl.DataFrame(compute.each(_on_split, [(frame, roles, split, rule) for split in chosen]))


def spread(runs: Mapping[tuple[str, str], pl.DataFrame]) -> pl.DataFrame:
    """Sum up what :func:`over_splits` gave: means with corrected intervals, and ranges.

    Args:
        runs: its tables by data set and name of the protocol, each with splits that test on a fifth.

    Returns:
        One row a protocol: ``data set``, ``protocol``, ``splits``, ``honest f1`` and ``optimistic f1`` (mean with
        interval), ``honest`` and ``optimistic`` (means), ``honest range``, ``optimistic range``, ``cuts`` (range).
    """
    return pl.DataFrame([_summed(*name, found) for name, found in runs.items()], schema=SPREAD, orient="row")


def spread_results(found: pl.DataFrame, name: str) -> dict[str, float]:
    """Numbers of one data set for the record of a run: honest and optimistic means of each protocol."""
    own = found.filter(pl.col("data set") == name)
    return {
        f"{protocol.replace(' ', '_')}_{kind}_f1": value
        for protocol, *values in own.select("protocol", "honest", "optimistic").iter_rows()
        for kind, value in zip(("honest", "optimistic"), values, strict=True)
    }


def as_published(graphs: pl.DataFrame) -> pl.DataFrame:
    """Rebuild the rows of the published notebooks on call graphs: residential addresses, repeated graphs repeated.

    Upstream counted the edges of a graph that stands k times k times over. Only ``n_connections`` and the label are
    rebuilt, and the one empty graph, which upstream took for a graph of one edge, stays out.

    Args:
        graphs: table ``graphs`` with ``ip_type`` and ``upstream_rows``.

    Returns:
        ``n_connections`` and ``is_anomaly``.

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


def _on_split(frame: pl.DataFrame, roles: Roles, split: Split, rule: FeatureRule) -> dict[str, Any]:
    """One row of :func:`over_splits`."""
    fitted, test = _fitted(frame, roles, split, rule)
    choice = best_on_test(fitted, test, test[label_of(roles)], weight_of(test, roles))
    cuts = {"cut": choice.honest_cut, "optimistic_cut": choice.cut}
    values = {"honest_f1": choice.honest_f1, "optimistic_f1": choice.f1}
    return {"split": split.name, "feature": fitted.feature_, **cuts, **values}


def _fitted(frame: pl.DataFrame, roles: Roles, split: Split, rule: FeatureRule) -> tuple[FeatureRule, pl.DataFrame]:
    """A copy of the rule, fitted on the labelled training rows, and the labelled test rows."""
    label = label_of(roles)
    train, test = (frame[rows].filter(pl.col(label).is_not_null()) for rows in (split.train, split.test))
    return clone(rule).fit(train, train[label], weight_of(train, roles)), test


def _by_time(times: pl.Series, label: pl.Series) -> Split:
    """Past and future of the rows that have a label and a time."""
    known = (label.is_not_null() & times.is_not_null()).arg_true()
    split = splits.by_time(times.gather(known), LATER_SHARE, y=label.gather(known))
    rows = known.to_numpy()
    return Split(split.name, rows[split.train], rows[split.test])


def _summed(name: str, protocol: str, found: pl.DataFrame) -> tuple[object, ...]:
    means = [
        metrics.mean_over_splits("f1", found[column].to_numpy(), TEST_SHARE, "behaviour", found.height)
        for column in ("honest_f1", "optimistic_f1")
    ]
    ranges = [_range(found[column], form) for column, form in RANGES.items()]
    return (name, protocol, found.height, *map(str, means), *(mean.value for mean in means), *ranges)


def _range(values: pl.Series, form: str) -> str:
    known = values.drop_nulls().to_list()
    return f"{min(known):{form}} to {max(known):{form}}" if known else ""


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
        "f1 at 1 %": judged.estimate(f"f1_at_share_{RARE}").value,
        "optimistic_f1": judged.choice.f1,
        "trivial_f1": judged.trivial_f1,
    }


def _answer(rows: pl.DataFrame, roles: Roles, column: str) -> str:
    try:
        FeatureRule(feature=column, roles=roles).fit(rows, rows[label_of(roles)])
    except LabError as error:
        return str(error)
    return "accepted"
