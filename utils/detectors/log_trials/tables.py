"""Tables of log sessions as the trials take them: distinct sequences, and how many sessions of each side have them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from utils.datasets.contract import NORMAL, Dataset, Roles
from utils.detectors.baselines import sessions
from utils.detectors.judging import label_of
from utils.errors import DataError
from utils.evaluation import splits
from utils.evaluation.inputs import Bools, Ints
from utils.features import tables
from utils.features.tables import Table

EVENTS = "events"
TRAIN, TEST = "train", "test"


@dataclass(frozen=True, eq=False)
class Sessions:
    """Labelled sessions, one row a distinct sequence, label and kind of anomaly.

    Attributes:
        name: data set and table.
        rows: ``events`` (list), ``anomalous`` (Boolean), ``kind`` (text, ``"normal"`` for normal sessions).
        train: sessions of each row that detectors may learn from, shape (n,); those of anomalies are not learned from.
        test: sessions of each row that are judged, shape (n,).
    """

    name: Table
    rows: pl.DataFrame
    train: Ints
    test: Ints

    @property
    def anomalous(self) -> Bools:
        """Whether each row is an anomaly, shape (n,)."""
        return self.rows["anomalous"].to_numpy().astype(np.bool_)

    @property
    def learned(self) -> Ints:
        """Normal training sessions of each row, shape (n,)."""
        return np.where(self.anomalous, 0, self.train)

    @property
    def normals(self) -> pl.DataFrame:
        """Distinct sequences of the normal training sessions, with their number in ``sessions``."""
        known = self.rows.with_columns(sessions=pl.Series(self.learned)).filter(pl.col("sessions") > 0)
        return known.select(EVENTS, "sessions")

    @property
    def judged(self) -> pl.DataFrame:
        """Rows with sessions on the test side, with their number in ``sessions``."""
        return self.rows.with_columns(sessions=pl.Series(self.test)).filter(pl.col("sessions") > 0)

    def drawn(self, seed: int) -> "Sessions":
        """Draw other training sessions, as many normal ones as there were; all other sessions are the test.

        Args:
            seed: of the draw.
        """
        every, size = self.train + self.test, int(self.learned.sum())
        normals = np.where(self.anomalous, 0, every)
        drawn = np.random.default_rng(seed).multivariate_hypergeometric(normals, size, method="marginals")
        return replace(self, train=drawn, test=every - drawn)

    def divided(self, test_share: float, seed: int) -> "Sessions":
        """Divide all sessions anew at random, each class by the same share.

        Args:
            test_share: share of the sessions that are judged.
            seed: of the division.
        """
        every = self.train + self.test
        owner = np.repeat(np.arange(len(every)), every)
        split = splits.stratified(self.anomalous[owner], test_share, seed)
        test = np.bincount(owner[split.test], minlength=len(every)).astype(np.int64)
        return replace(self, train=every - test, test=test)


def labelled(processed: Mapping[str, Dataset]) -> dict[Table, Sessions]:
    """Find the labelled tables of sessions and make them distinct.

    Args:
        processed: processed data sets by name.

    Returns:
        By data set and table, the sessions of those with normal sessions for training and both classes for the test.
    """
    found = sessions.session_tables(processed)
    return {name: distinct(frame, roles, name) for name, (frame, roles) in found.items()}


def distinct(frame: pl.DataFrame, roles: Roles, name: Table = ("", "")) -> Sessions:
    """Make labelled sessions distinct.

    Args:
        frame: sessions or distinct sequences with a weight; rows without a label are left out. Without a split, all
            rows are test rows.
        roles: what its columns mean.
        name: data set and table.

    Raises:
        DataError: if there are no sequences or no labels.
    """
    if roles.sequence is None:
        raise DataError(f"table {' '.join(name)} must hold sequences of events, found none: choose a table of sessions")
    label = label_of(roles)
    kind = pl.col(roles.anomaly_type) if roles.anomaly_type else pl.lit(None, pl.String)
    plain = pl.when(pl.col(label)).then(pl.lit("anomaly")).otherwise(pl.lit(NORMAL))
    weight = pl.col(tables.weight_column(roles) or "").cast(pl.Int64) if tables.weight_column(roles) else pl.lit(1)
    in_train = pl.col(roles.split) == TRAIN if roles.split else pl.lit(value=False)
    rows = frame.filter(pl.col(label).is_not_null()).select(
        pl.col(roles.sequence).alias(EVENTS),
        pl.col(label).cast(pl.Boolean).alias("anomalous"),
        kind.cast(pl.String).fill_null(plain).alias("kind"),
        (weight * in_train).cast(pl.Int64).alias(TRAIN),
        (weight * ~in_train).cast(pl.Int64).alias(TEST),
    )
    summed = rows.group_by(EVENTS, "anomalous", "kind", maintain_order=True).agg(pl.col(TRAIN, TEST).sum())
    train, test = (summed[side].to_numpy().astype(np.int64) for side in (TRAIN, TEST))
    return Sessions(name, summed.select(EVENTS, "anomalous", "kind"), train, test)
