"""Cluster web events, gather their evidence and label them, in one estimator."""

from typing import Self

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError

from utils.datasets.contract import LABEL
from utils.detectors.labelling.evidence import WebEvidence
from utils.detectors.labelling.labeller import EvidenceLabeller, Seeds
from utils.detectors.web_clusters import WebClusters
from utils.errors import SchemaError
from utils.evaluation.inputs import Ints, as_labels
from utils.features.web_events import EventColumns


class WebEventLabeller(BaseEstimator):  # type: ignore[misc]
    """Label web events that nobody labelled: clusters of content, judged by evidence that content does not hold.

    Attributes:
        clusters_: the fitted :class:`~utils.detectors.web_clusters.WebClusters`.
        finder_: the fitted :class:`WebEvidence`.
        evidence_: evidence of the events of training.
        labeller_: the fitted :class:`EvidenceLabeller`.
        result_: its :class:`ClusterLabels`: table of clusters, labels of events.
        labels_: labels of the events of training.
    """

    def __init__(
        self,
        columns: EventColumns | None = None,
        *,
        clusters: WebClusters | None = None,
        labeller: EvidenceLabeller | None = None,
    ) -> None:
        """Choose the parts.

        Args:
            columns: what the columns mean; found by their names if not given.
            clusters: how events are clustered; with its defaults if not given.
            labeller: how evidence is weighed; with its defaults if not given.
        """
        self.columns = columns
        self.clusters = clusters
        self.labeller = labeller

    def fit(self, X: pl.DataFrame, y: object = None, *, seeds: pl.DataFrame | None = None) -> Self:
        """Cluster events, gather their evidence and label them.

        Args:
            X: raw web events, n rows.
            y: not used.
            seeds: known examples, as rows like those of ``X`` with a Boolean ``is_anomaly``: an analyst's list, or
                labelled events of another time.

        Returns:
            The estimator itself.

        Raises:
            SchemaError: if a column is missing or has the wrong type.
            DataError: if there is no event, or memory does not suffice.
        """
        self.clusters_ = clone(self.clusters or WebClusters()).set_params(columns=self.columns).fit(X)
        self.finder_ = WebEvidence(self.columns)
        self.evidence_ = self.finder_.fit_transform(X)
        known = None if seeds is None else self._placed(seeds)
        self.labeller_ = clone(self.labeller or EvidenceLabeller())
        self.labeller_.fit(self.clusters_.levels_, self.evidence_, seeds=known, absent=self.finder_.missing_)
        self.result_ = self.labeller_.result_
        self.labels_ = self.result_.labels
        return self

    def predict(self, X: pl.DataFrame) -> pl.Series:
        """Label new events, each by itself.

        Args:
            X: raw web events with the columns of training, n rows.

        Returns:
            Labels (n,): ``"good"``, ``"attack"`` or ``"unclassified"``.

        Raises:
            NotFittedError: before :meth:`fit`.
            SchemaError: if a column is missing or has the wrong type.
        """
        levels, evidence = self._seen(X)
        labels: pl.Series = self.labeller_.predict(levels, evidence)
        return labels

    def explain(self, X: pl.DataFrame) -> list[str]:
        """Say for each new event in one sentence what it is called and why.

        Args:
            X: as :meth:`predict`.

        Raises:
            NotFittedError: before :meth:`fit`.
            SchemaError: as :meth:`predict`.
        """
        levels, evidence = self._seen(X)
        sentences: list[str] = self.labeller_.explain(levels, evidence)
        return sentences

    def _seen(self, X: pl.DataFrame) -> tuple[Ints, pl.DataFrame]:
        if not hasattr(self, "result_"):
            raise NotFittedError("WebEventLabeller must be fitted before it labels events: call fit")
        return self.clusters_.predict(X), self.finder_.transform(X)

    def _placed(self, seeds: pl.DataFrame) -> Seeds:
        if LABEL not in seeds.columns:
            raise SchemaError(f"seeds must have a Boolean column {LABEL}, found {', '.join(seeds.columns)}: add it")
        return Seeds(self.clusters_.predict(seeds), np.asarray(as_labels(seeds[LABEL])))
