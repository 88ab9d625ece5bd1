"""Web events of every data set clustered on content, labelled by evidence, and scored where the truth is known."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from utils import settings
from utils.datasets.contract import Dataset, Roles
from utils.detectors.judging import Report
from utils.detectors.labelling import WebEventLabeller, label_scores
from utils.evaluation import clustering
from utils.evaluation.inputs import Ints
from utils.features import tables
from utils.features.tables import Table

FEWEST_EVENTS = 50


@dataclass(frozen=True, eq=False)
class LabelledEvents:
    """Events with their clusters and labels.

    Attributes:
        labeller: fitted on the events; it labels new ones.
        events: the events that were clustered.
        truth: true for an attack (n,); ``None`` where nobody knows.
        kinds: kind of attack, ``normal`` else (n,); ``None`` where nobody knows.
        scores: of :func:`utils.detectors.labelling.label_scores`; without a row where nobody knows.
    """

    labeller: WebEventLabeller
    events: pl.DataFrame
    truth: pl.Series | None
    kinds: pl.Series | None
    scores: pl.DataFrame

    @property
    def clusters(self) -> Ints:
        """Cluster of each event at the level that splits the events most evenly, -1 for noise."""
        return np.asarray(self.labeller.clusters_.labels_)

    def score(self, events: str = "attack", measure: str = "attack") -> float:
        """One of the scores; NaN where nobody knows."""
        found = self.scores.filter(events=events)
        return float(found[measure][0]) if found.height else float("nan")

    def agreements(self, seed: int = settings.SEED) -> pl.DataFrame:
        """Clusters against the kinds of events, beside k-means with as many clusters.

        Returns:
            One row a method, as :func:`utils.evaluation.clustering.compared` gives it; none where nobody knows.
        """
        if self.kinds is None:
            return pl.DataFrame()
        means = self.labeller.clusters_.k_means(seed=seed)
        found = {"DBSCAN": self.clusters, f"k-means, k = {means.max() + 1}": means}
        return clustering.compared(found, self.kinds)


def label_events(
    data: Mapping[str, Dataset], *, rows: int = 50_000, seed: int = settings.SEED, report: Report | None = None
) -> dict[Table, LabelledEvents]:
    """Cluster and label the web events of every data set that holds some.

    Args:
        data: data sets by name, as :func:`utils.datasets.load_all` gives them.
        rows: most events of one frame; beyond, a sample is drawn.
        seed: of the sample.
        report: told the name of each frame before it is clustered.

    Returns:
        By data set and frame; frames with fewer than 50 events are left out.
    """
    found = {}
    for name, dataset in data.items():
        for table, frame in dataset.frames.items():
            roles = dataset.roles[table]
            if frame.height >= FEWEST_EVENTS and tables.texts_of(frame, roles):
                if report:
                    report(f"{name} {table}")
                drawn = frame.sample(min(rows, frame.height), seed=seed) if frame.height > rows else frame
                found[name, table] = _labelled(drawn, roles)
    return found


def results(labelled: Mapping[Table, LabelledEvents], name: str) -> dict[str, float]:
    """Numbers of one data set for the record of a run: shares called attack and unclassified."""
    found = {}
    for (owner, table), each in labelled.items():
        if owner.partition(",")[0] == name:
            prefix = table if owner == name else f"{table}_simulated"
            found[f"{prefix}_unclassified"] = each.labeller.result_.shares["unclassified"]
            if each.truth is not None:
                found |= {f"{prefix}_attacks_found": each.score(), f"{prefix}_good_called_attack": each.score("good")}
    return found


def _labelled(frame: pl.DataFrame, roles: Roles) -> LabelledEvents:
    """Label without the answers, then compare with them."""
    answers = [name for name in (roles.label, roles.anomaly_type, roles.split) if name in frame.columns]
    labeller = WebEventLabeller().fit(frame.drop(answers))
    truth = frame[roles.label] if roles.label and not frame[roles.label].null_count() else None
    kinds = frame[roles.anomaly_type] if truth is not None and roles.anomaly_type else None
    scores = pl.DataFrame(schema={"events": pl.String, "attack": pl.Float64})
    if truth is not None:
        scores = label_scores(labeller.labels_, truth, kinds)
    return LabelledEvents(labeller, frame, truth, kinds, scores)
