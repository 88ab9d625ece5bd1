"""Attack signatures, judged on the texts of web events."""

from collections.abc import Mapping

import polars as pl

from utils.datasets.contract import Dataset
from utils.detectors.judging import labelled_tables
from utils.detectors.rules.signatures import ALARM, Signatures
from utils.evaluation.intervals import wilson
from utils.features import tables
from utils.features.tables import Table


def signatures(processed: Mapping[str, Dataset]) -> pl.DataFrame:
    """Judge the attack signatures on the test rows of every labelled table with texts of web events.

    Returns:
        One row a table and kind: ``anomaly_type`` (``normal`` for the false alarms), ``rows``, ``flagged`` (share),
        with Wilson's interval ``low`` and ``high``.
    """
    found = []
    for (name, table), frame, roles, split in labelled_tables(processed):
        if roles.anomaly_type and tables.texts_of(frame, roles):
            test = frame[split.test]
            flagged = pl.Series(Signatures().fit(test).score_samples(test) >= ALARM)
            found.append(_by_kind(test[roles.anomaly_type], flagged, (name, table)))
    return pl.concat(found) if found else pl.DataFrame()


def _by_kind(kinds: pl.Series, flagged: pl.Series, table: Table) -> pl.DataFrame:
    counted = pl.DataFrame({"anomaly_type": kinds, "flagged": flagged}).group_by("anomaly_type")
    shares = counted.agg(rows=pl.len(), hits=pl.col("flagged").sum()).sort("anomaly_type")
    interval = [wilson(hits, rows) for hits, rows in shares.select("hits", "rows").iter_rows()]
    return shares.select(
        pl.lit(table[0]).alias("data set"), pl.lit(table[1]).alias("table"), "anomaly_type", "rows",
        (pl.col("hits") / pl.col("rows")).alias("flagged"),
        pl.Series("low", [each.low for each in interval]), pl.Series("high", [each.high for each in interval]),
    )  # fmt: skip
