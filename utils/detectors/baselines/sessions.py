"""Novelty rules of sessions, judged on the split of their table and on other draws of training sessions."""

import contextlib
from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl

from utils import settings
from utils.datasets.contract import Dataset, Roles
from utils.detectors import novelty
from utils.detectors.judging import decided, label_of
from utils.errors import DataError
from utils.evaluation import comparison, metrics
from utils.evaluation.inputs import Ints
from utils.features import tables
from utils.features.tables import Table

NOVELTY = (
    novelty.UnseenEvent,
    novelty.SessionLength,
    novelty.UnseenEventSet,
    novelty.UnseenCountVector,
    novelty.StructuralVector,
    novelty.BackOffNovelty,
)
NoveltyRule = (
    novelty.UnseenEvent
    | novelty.SessionLength
    | novelty.UnseenEventSet
    | novelty.UnseenCountVector
    | novelty.StructuralVector
    | novelty.BackOffNovelty
)
SEQUENCES = "sequences"
RULES = {
    "rule": pl.String,
    **dict.fromkeys(("f1", "low", "high", "precision", "recall", "false_alarm_rate"), pl.Float64),
    "sentence": pl.String,
}


def session_tables(processed: Mapping[str, Dataset]) -> dict[Table, tuple[pl.DataFrame, Roles]]:
    """Find the tables of sessions on which novelty rules can be judged.

    Args:
        processed: processed data sets by name.

    Returns:
        By data set and table, the labelled rows and what the columns mean: those with normal sessions for training
        and both classes for the test. Where distinct sequences are at hand, other tables of that data set stay out.
    """
    found = {}
    for table, rows, roles in labelled_sessions(processed):
        if roles.split:
            sides = dict(rows.group_by(roles.split).agg(pl.col(label_of(roles)).unique()).iter_rows())
            if False in sides.get("train", []) and len(sides.get("test", [])) == 2:
                found[table] = rows, roles
    return found


def labelled_sessions(processed: Mapping[str, Dataset]) -> Iterator[tuple[Table, pl.DataFrame, Roles]]:
    """Go through the tables of sessions with a label.

    Args:
        processed: processed data sets by name.

    Yields:
        Data set and table, the labelled rows, and what the columns mean. Where distinct sequences are at hand, other
        tables of that data set stay out.
    """
    for name, dataset in processed.items():
        for table, frame in dataset.frames.items():
            roles = dataset.roles[table]
            chosen = table == SEQUENCES or SEQUENCES not in dataset.frames
            if chosen and roles.sequence and roles.label:
                yield (name, table), frame.filter(pl.col(roles.label).is_not_null()), roles


def session_rules(table: pl.DataFrame, roles: Roles, *, seed: int = settings.SEED) -> pl.DataFrame:
    """Judge the novelty rules on the split of a table of sessions.

    Args:
        table: ``events``, label and split; with ``n_sessions`` a row stands for so many sessions.
        roles: what its columns mean.
        seed: not used by the rules; of the intervals.

    Returns:
        One row a rule: ``rule``, ``sentence``, ``f1``, ``low``, ``high``, ``precision``, ``recall``,
        ``false_alarm_rate``, all in sessions of the test part; rules that need more normal sessions are left out.
    """
    table = _weighed(table, roles)
    train, test = (table.filter(pl.col(roles.split or "") == side) for side in ("train", "test"))
    label, found = label_of(roles), []
    for kind in NOVELTY:
        with contextlib.suppress(DataError):
            rule = kind().fit(train, train[label], train[tables.WEIGHT])
            found.append((kind.__name__, *_judged(rule, test, label, seed), rule.sentence_))
    return pl.DataFrame(found, schema=RULES, orient="row")


def _judged(rule: NoveltyRule, test: pl.DataFrame, label: str, seed: int) -> tuple[float, ...]:
    """F1 with interval, precision, recall and false-alarm rate of a fitted rule."""
    fired, weight = rule.fires(test), test[tables.WEIGHT]
    estimate = metrics.bootstrap(
        "f1", test[label], fired, weight=weight, unit="session", threshold=rule.sentence_, seed=seed
    )
    shares = decided(test[label], fired, weight)
    return (estimate.value, estimate.low, estimate.high, shares["precision"], shares["recall"], shares["real"])


def session_draws(table: pl.DataFrame, roles: Roles, *, draws: int, seed: int = settings.SEED) -> pl.DataFrame:
    """Judge the novelty rules when other normal sessions are drawn for training, as many as the split had.

    All other sessions are tested on: a published split is one draw of many, and may be a lucky one.

    Args:
        table: as for :func:`session_rules`.
        roles: what its columns mean.
        draws: number of draws.
        seed: of the first draw; the next have the next numbers.

    Returns:
        One row a rule: ``rule``, ``mean``, ``sd``, ``min``, ``max`` of F1 over the draws, and for the second best its
        distance from the best (:func:`utils.evaluation.comparison.with_gaps`); rules that need more normal sessions
        are left out.
    """
    label, table = label_of(roles), _weighed(table, roles)
    sequences = table.group_by("events", label, maintain_order=True).agg(pl.col(tables.WEIGHT).sum())
    anomalous, sessions = sequences[label].to_numpy(), sequences[tables.WEIGHT].to_numpy().astype(np.int64)
    size = int(table.filter((pl.col(roles.split or "") == "train") & ~pl.col(label))[tables.WEIGHT].sum())
    found: dict[str, list[float]] = {kind.__name__: [] for kind in NOVELTY}
    for draw in range(seed, seed + draws):
        drawn = _drawn(np.where(anomalous, 0, sessions), size, draw)
        known = sequences.filter(pl.Series(drawn > 0))
        for kind in NOVELTY:
            with contextlib.suppress(DataError):
                fired = kind().fit(known, weight=drawn[drawn > 0]).fires(sequences)
                found[kind.__name__].append(metrics.f1(anomalous, fired, sessions - drawn))
    whole = {rule: values for rule, values in found.items() if len(values) == draws}
    values = pl.DataFrame(whole, schema=dict.fromkeys(whole, pl.Float64)).unpivot(variable_name="rule", value_name="f1")
    f1 = pl.col("f1")
    each = values.group_by("rule", maintain_order=True)
    board = each.agg(mean=f1.mean(), sd=f1.std(), min=f1.min(), max=f1.max())

    def compare(place: int, other: int) -> comparison.Comparison:
        return comparison.wilcoxon(whole[board["rule"][place]], whole[board["rule"][other]])

    places = comparison.runner_up(board["mean"].to_list()) if draws > 1 else []
    return comparison.with_gaps(board, "rule", compare, places)


def session_results(rules: pl.DataFrame | None, draws: pl.DataFrame | None) -> dict[str, float]:
    """Numbers for the record of a run: F1 of each rule on the split, its mean and its worst over draws."""
    found = {} if rules is None else {f"{rule}_f1": value for rule, value in rules.select("rule", "f1").iter_rows()}
    for rule, mean, worst in () if draws is None else draws.select("rule", "mean", "min").iter_rows():
        found |= {f"{rule}_mean_f1": mean, f"{rule}_worst_f1": worst}
    return found


def _weighed(table: pl.DataFrame, roles: Roles) -> pl.DataFrame:
    """Labelled rows with the number of sessions of each."""
    rows = table.filter(pl.col(label_of(roles)).is_not_null())
    return rows if tables.weight_column(roles) else rows.with_columns(pl.lit(1, pl.Int64).alias(tables.WEIGHT))


def _drawn(normals: Ints, size: int, seed: int) -> Ints:
    """How many of ``size`` sessions, drawn from all normal ones without replacement, have each sequence."""
    return np.random.default_rng(seed).multivariate_hypergeometric(normals, size, method="marginals")
