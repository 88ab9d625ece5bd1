"""Novelty rules of log sessions, judged on the published split and on other draws of training sessions."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from utils import settings
from utils.datasets.contract import Roles
from utils.detectors import novelty
from utils.detectors.baselines.judging import decided, label_of
from utils.evaluation import metrics
from utils.features import tables

Ints = NDArray[np.int64]
NOVELTY = (
    novelty.UnseenEvent,
    novelty.SessionLength,
    novelty.UnseenEventSet,
    novelty.UnseenCountVector,
    novelty.StructuralVector,
    novelty.BackOffNovelty,
)


def session_rules(table: pl.DataFrame, roles: Roles, *, seed: int = settings.SEED) -> pl.DataFrame:
    """Judge the novelty rules on the split of a table of distinct sequences.

    Args:
        table: ``events``, label, split and ``n_sessions``, the sessions that each row stands for.
        roles: what its columns mean.
        seed: not used by the rules; of the intervals.

    Returns:
        One row a rule: ``rule``, ``sentence``, ``f1``, ``low``, ``high``, ``precision``, ``recall``,
        ``false_alarm_rate``, all in sessions of the test part.
    """
    train, test = (table.filter(pl.col(roles.split or "") == side) for side in ("train", "test"))
    label, found = label_of(roles), []
    for kind in NOVELTY:
        rule = kind().fit(train, train[label], train[tables.WEIGHT])
        fired = rule.fires(test)
        estimate = metrics.bootstrap(
            "f1", test[label], fired, weight=test[tables.WEIGHT], unit="session", threshold=rule.sentence_, seed=seed
        )
        shares = decided(test[label], fired, test[tables.WEIGHT])
        found.append(
            {
                "rule": kind.__name__,
                "f1": estimate.value,
                "low": estimate.low,
                "high": estimate.high,
                "precision": shares["precision"],
                "recall": shares["recall"],
                "false_alarm_rate": shares["real"],
                "sentence": rule.sentence_,
            }
        )
    return pl.DataFrame(found)


def session_draws(table: pl.DataFrame, roles: Roles, *, draws: int, seed: int = settings.SEED) -> pl.DataFrame:
    """Judge the novelty rules when other normal sessions are drawn for training, as many as the split had.

    All other sessions are tested on: a published split is one draw of many, and may be a lucky one.

    Args:
        table: as for :func:`session_rules`.
        roles: what its columns mean.
        draws: number of draws.
        seed: of the first draw; the next have the next numbers.

    Returns:
        One row a rule: ``rule``, ``mean``, ``sd``, ``min``, ``max`` of F1 over the draws.
    """
    label = label_of(roles)
    sequences = table.group_by("events", label, maintain_order=True).agg(pl.col(tables.WEIGHT).sum())
    anomalous, sessions = sequences[label].to_numpy(), sequences[tables.WEIGHT].to_numpy().astype(np.int64)
    size = int(table.filter((pl.col(roles.split or "") == "train") & ~pl.col(label))[tables.WEIGHT].sum())
    found: dict[str, list[float]] = {kind.__name__: [] for kind in NOVELTY}
    for draw in range(seed, seed + draws):
        drawn = _drawn(np.where(anomalous, 0, sessions), size, draw)
        known = sequences.filter(pl.Series(drawn > 0))
        for kind in NOVELTY:
            fired = kind().fit(known, weight=drawn[drawn > 0]).fires(sequences)
            found[kind.__name__].append(metrics.f1(anomalous, fired, sessions - drawn))
    values = pl.DataFrame(found).unpivot(variable_name="rule", value_name="f1")
    f1 = pl.col("f1")
    return values.group_by("rule", maintain_order=True).agg(mean=f1.mean(), sd=f1.std(), min=f1.min(), max=f1.max())


def session_results(rules: pl.DataFrame | None, draws: pl.DataFrame | None) -> dict[str, float]:
    """Numbers for the record of a run: F1 of each rule on the split, its mean and its worst over draws."""
    found = {} if rules is None else {f"{rule}_f1": value for rule, value in rules.select("rule", "f1").iter_rows()}
    for rule, mean, worst in () if draws is None else draws.select("rule", "mean", "min").iter_rows():
        found |= {f"{rule}_mean_f1": mean, f"{rule}_worst_f1": worst}
    return found


def _drawn(normals: Ints, size: int, seed: int) -> Ints:
    """How many of ``size`` sessions, drawn from all normal ones without replacement, have each sequence."""
    return np.random.default_rng(seed).multivariate_hypergeometric(normals, size, method="marginals")
