"""Detectors for logs that were cut off: a session that is still open is the beginning of a whole one.

In a truncated log most sessions never had the chance to end. What a detector knows of whole sessions says little of
them, but each beginning of a normal session is normal too, and can be learned; and a session that has no end must not
be blamed for ending.

Whether that pays is a question to the data. It does where normal sessions are cut off at places that no training
session was cut off at. Where training holds as many cut sessions as the test, as in random splits of one log, the
beginnings that occur are known already, and those that never occurred are what broken sessions look like.
"""

from typing import Self

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator, clone

from utils.detectors import novelty
from utils.detectors.next_event import NextEvent
from utils.detectors.next_event.estimator import END
from utils.evaluation.inputs import Floats, Values
from utils.features import log_sessions

LONGEST = 300
"""Beginnings of more events than this are not made: their number grows with the square of the length."""


class WithBeginnings(BaseEstimator):  # type: ignore[misc]
    """A detector that learns from normal sessions and from all their beginnings; HIGHER = MORE ABNORMAL.

    Attributes:
        detector_: the fitted detector.
        threshold_: its own threshold, 1 for a rule.
        sentence_: its rule in words.
    """

    def __init__(self, detector: BaseEstimator | None = None, events: str = "events") -> None:
        """Choose the detector.

        Args:
            detector: a detector of sessions; :class:`~utils.detectors.novelty.UnseenCountVector` by default.
            events: list column of the events.
        """
        self.detector = detector
        self.events = events

    def fit(self, X: pl.DataFrame, y: Values | None = None, weight: Values | None = None) -> Self:
        """Learn from normal sessions and their beginnings.

        Args:
            X: one row a session, with a list column of events.
            y: true for an anomaly, shape (n,); anomalies and rows without a label are left out.
            weight: how many sessions each row stands for, shape (n,).

        Returns:
            The detector itself.

        Raises:
            SchemaError: if the column is missing or holds no lists of integers or texts.
            DataError: if no normal session is left.
        """
        normal, weights = novelty.normal_sessions(X, y, weight, "a detector")
        seen = log_sessions.distinct(normal, self.events, weight=weights)
        every = beginnings(pl.DataFrame({self.events: seen.events, "sessions": seen.counts}), self.events)
        detector = novelty.UnseenCountVector(self.events) if self.detector is None else clone(self.detector)
        self.detector_ = detector.fit(every.drop("sessions"), weight=every["sessions"].to_numpy())
        self.threshold_ = float(getattr(self.detector_, "threshold_", novelty.FIRES))
        self.sentence_ = f"{self.detector_.sentence_}; beginnings of training sessions count as training sessions"
        return self

    def score_samples(self, X: pl.DataFrame) -> Floats:
        """Score sessions; HIGHER = MORE ABNORMAL.

        Args:
            X: n sessions.

        Returns:
            Scores of the detector, shape (n,).
        """
        return np.asarray(self.detector_.score_samples(X), np.float64)


class OpenEnd(BaseEstimator):  # type: ignore[misc]
    """Surprise of the most surprising event of a session, its end left out; HIGHER = MORE ABNORMAL.

    Attributes:
        network_: the fitted next-event network.
    """

    def __init__(self, network: NextEvent | None = None) -> None:
        """Choose the network.

        Args:
            network: a next-event network; the default one by default.
        """
        self.network = network

    def fit(self, X: pl.DataFrame, y: Values | None = None, weight: Values | None = None) -> Self:
        """Learn what follows what in normal sessions (see :meth:`utils.detectors.next_event.NextEvent.fit`)."""
        self.network_ = (NextEvent() if self.network is None else clone(self.network)).fit(X, y, weight)
        return self

    def score_samples(self, X: pl.DataFrame) -> Floats:
        """Score sessions; HIGHER = MORE ABNORMAL.

        Args:
            X: n sessions.

        Returns:
            Highest negative log-likelihood of an event in nats, 0 for a session without events, shape (n,).
        """
        events = self.network_.events
        seen = log_sessions.distinct(X, events, vocabulary=self.network_.vocabulary_)
        steps = self.network_.steps(pl.DataFrame({events: seen.events}), most=1)
        last = pl.col("position") == pl.col("position").max().over("row")
        worst = steps.filter(~last | (pl.col("event") != END)).group_by("row").agg(pl.col("surprise").max())
        scores = np.zeros(len(seen.sequences))
        scores[worst["row"].to_numpy()] = worst["surprise"].to_numpy()
        return scores[seen.inverse]


def beginnings(sessions: pl.DataFrame, events: str = "events") -> pl.DataFrame:
    """Make the distinct beginnings of sessions, whole sessions among them.

    Args:
        sessions: list column of the events and ``sessions``, how many have this sequence.
        events: name of the list column.

    Returns:
        The same columns, one row a distinct beginning of one event or more (or whole session), with the number of
        sessions that begin so.
    """
    length = pl.col(events).list.len().cast(pl.Int64)
    ends = pl.int_ranges(1, pl.min_horizontal(length, LONGEST) + 1)
    cut = sessions.with_columns(ends=ends).explode("ends", empty_as_null=False, keep_nulls=False)
    parts = cut.select(pl.col(events).list.head(pl.col("ends")), "sessions")
    rest = sessions.filter((length == 0) | (length > LONGEST) | length.is_null()).select(events, "sessions")
    return pl.concat([parts, rest]).group_by(events, maintain_order=True).agg(pl.col("sessions").sum())
