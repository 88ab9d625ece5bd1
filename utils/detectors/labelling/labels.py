"""What labelling by evidence gives: clusters with their shares, labels of events, and how right they are."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from utils.detectors.labelling.shares import Rates
from utils.evaluation import inputs
from utils.evaluation.inputs import Ints, Values
from utils.evaluation.intervals import wilson

GOOD, ATTACK, UNCLASSIFIED = "good", "attack", "unclassified"
NOISE = -1
HOWS = ("cluster", "own alarm", "own marks in company", "odds", "nothing decides")
BY_CLUSTER, BY_ALARM, BY_MARKS, BY_ODDS, BY_NOTHING = range(len(HOWS))


@dataclass(frozen=True, eq=False)
class ClusterLabels:
    """Clusters with their evidence and labels, and the label of each event.

    Attributes:
        table: one row a cluster in which events were judged, the last ones what no cluster holds (``cluster`` -1):
            ``cluster``, ``level`` (0 is the finest clustering), ``rows`` (events judged here), ``label``, ``reason``,
            ``attack_share`` of the silent events with ``attack_share_low`` and ``_high`` (null where company says
            nothing), ``attack_events`` and ``unclassified_events``, and for each evidence its share, ``_low``,
            ``_high`` and ``_known`` (events of which it is known).
        clusters: cluster of the table in which each event was judged, -1 for none (n,).
        labels: label of each event (n,): ``"good"``, ``"attack"`` or ``"unclassified"``.
        how: what decided each event, one of :data:`HOWS` (n,).
        rates: how often attacks and others have each supporting evidence.
        absent: evidence that was not to be had, with the reason.
    """

    table: pl.DataFrame
    clusters: Ints
    labels: pl.Series
    how: pl.Series
    rates: Mapping[str, Rates]
    absent: Mapping[str, str] = field(default_factory=dict)

    @property
    def shares(self) -> dict[str, float]:
        """Share of the events with each label; NaN without an event."""
        rows = len(self.labels)
        return {name: float((self.labels == name).sum()) / rows if rows else np.nan
                for name in (GOOD, ATTACK, UNCLASSIFIED)}  # fmt: skip


def label_scores(
    labels: Values, anomalous: Values, kinds: Values | None = None, *, level: float = 0.95
) -> pl.DataFrame:
    """Score labels against truth: attacks called attack, good events so called, and what stays unclassified.

    Args:
        labels: ``"good"``, ``"attack"`` or ``"unclassified"`` of each event (n,).
        anomalous: true for an attack (n,).
        kinds: kind of each attack (n,), for a row a kind.
        level: nominal coverage of the intervals.

    Returns:
        ``events`` (``all``, ``attack``, ``good``, then the kinds), ``rows``, ``attack`` (share called attack),
        ``attack_low``, ``attack_high`` (Wilson), ``unclassified`` and ``good`` (shares).

    Raises:
        DataError: if the inputs do not fit together.
    """
    names = inputs.as_names(labels, len(inputs.as_series(labels)), "labels")
    truth = inputs.as_labels(anomalous, len(names))
    frame = pl.DataFrame({"label": names, "truth": truth})
    parts = [("all", frame), ("attack", frame.filter("truth")), ("good", frame.filter(~pl.col("truth")))]
    if kinds is not None:
        named = frame.with_columns(kind=inputs.as_names(kinds, len(names), "kinds")).filter("truth")
        parts += [(str(kind), named.filter(kind=kind)) for kind in named["kind"].unique().sort()]
    rows = [(name, part.height, *_called(part["label"], level)) for name, part in parts]
    columns = ("attack", "attack_low", "attack_high", "unclassified", "good")
    schema = {"events": pl.String, "rows": pl.Int64} | dict.fromkeys(columns, pl.Float64)
    return pl.DataFrame(rows, schema=schema, orient="row").fill_nan(None)


def _called(labels: pl.Series, level: float) -> tuple[float, ...]:
    rows = len(labels)
    attack, unclassified, good = (int((labels == name).sum()) for name in (ATTACK, UNCLASSIFIED, GOOD))
    interval = wilson(attack, rows, level)
    shares = [part / rows if rows else np.nan for part in (attack, unclassified, good)]
    return shares[0], interval.low, interval.high, *shares[1:]


def escaped(labels: Values, anomalous: Values, kinds: Values, evidence: pl.DataFrame) -> pl.DataFrame:
    """Say for each kind of attack how many are not called attack, and what evidence those lack.

    Args:
        labels: label of each event (n,).
        anomalous: true for an attack (n,).
        kinds: kind of each attack (n,).
        evidence: one Boolean column an evidence, n rows.

    Returns:
        ``kind``, ``rows``, ``escaped``, and for each evidence the share of the escaped events that have it (null where
        it is not known of any), the kind with most escaped events first.

    Raises:
        DataError: if the inputs do not fit together.
    """
    names = inputs.as_names(labels, evidence.height, "labels")
    truth = inputs.as_labels(anomalous, evidence.height)
    named = {"_kind": inputs.as_names(kinds, evidence.height, "kinds"), "_missed": names != ATTACK}
    attacks = evidence.with_columns(**named).filter(pl.Series(truth))
    missed = pl.col("_missed")
    shares = [pl.col(name).filter(missed).cast(pl.Float64).mean() for name in evidence.columns]
    table = attacks.group_by(pl.col("_kind").alias("kind")).agg(
        pl.len().cast(pl.Int64).alias("rows"), missed.sum().cast(pl.Int64).alias("escaped"), *shares
    )
    return table.sort(-pl.col("escaped"), "kind")
