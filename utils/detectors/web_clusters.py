"""Clusters of web events by what the clients sent: features of content, a ladder of densities, labels for new events.

**Content, nothing else.** :class:`ContentFeatures` sees the texts of an event (payload, value, path, query, ...): which
punctuation marks, words of attack languages and kinds of characters they are made of, and how long they are. Who asked,
with which agent and what came back are left out, so that they can be evidence for or against a cluster
(:mod:`utils.detectors.labelling`). Nothing is learned from labels, no vocabulary is learned at all.

**Several densities.** Counters and tokens lie a thousand times as dense as attacks, which come in many kinds of few
events; no single ``eps`` serves both. :class:`WebClusters` therefore clusters with rising ``eps`` from ONE neighbour
graph of the distinct contents. With equal ``min_samples`` the clusters are nested: a coarse one is made of finer ones
and of their noise.

Sources:
    Ester, Kriegel, Sander and Xu, "A density-based algorithm for discovering clusters in large spatial databases with
    noise", KDD 1996; Liu, Zhou and Wu, "VDBSCAN: varied density based spatial clustering of applications with noise",
    ICSSSM 2007 (several eps from one k-distance curve); Satopaa et al., "Finding a 'Kneedle' in a haystack", 2011;
    Kruegel and Vigna, "Anomaly detection of web-based attacks", CCS 2003 (what to measure of a parameter value).
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator, ClusterMixin, TransformerMixin
from sklearn.exceptions import NotFittedError

from utils.detectors.dbscan import NeighbourGraph, distinct, exemplars, k_distances, knee, stability, sweep
from utils.detectors.dbscan.points import as_positive
from utils.detectors.dbscan.tree import Tree
from utils.errors import DataError, SettingsError
from utils.evaluation.inputs import Floats, Ints, Values, as_series
from utils.features.web_events import EventColumns, columns_of, traits
from utils.features.web_events.columns import check
from utils.features.web_events.lexical import MARK_NAMES, SHARES, WORDS
from utils.settings import SEED

NOISE = -1
MIN_SAMPLES = 4
"""Events of like content that make a kind of content."""
LEVELS = 5
REACHED = 0.95
"""Share of the distinct contents that the largest radius makes core points."""
DECIMALS = 3
"""Digits that tell contents apart."""
MISSING = 3.0
"""Distance between a missing text and an empty one."""
EXCERPT = 100
WORD_NAMES = tuple(f"n_{family}" for family in WORDS)
WEIGHTS = {"marks": 1.0, "words": 2.0, "length": 0.5, "shares": 2.0}
"""Weights of log counts of marks, log counts of words, log length, and shares of kinds of characters."""


class ContentFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turn the texts of web events into points that lie close together where the contents are alike.

    For each text column: logarithms of the counts of 29 marks and of 15 families of words, the logarithm of the length,
    shares of kinds of characters, and whether the text is missing, weighted as :data:`WEIGHTS` says. Distances are
    Euclidean. Nothing is learned but which columns there are.

    Attributes:
        columns_: the text columns that are read.
    """

    def __init__(self, columns: EventColumns | None = None) -> None:
        """Choose the columns.

        Args:
            columns: what the columns mean; found by their names in :meth:`fit` if not given.
        """
        self.columns = columns

    def fit(self, X: pl.DataFrame, y: object = None) -> Self:
        """Find the columns.

        Args:
            X: web events, or bare payloads.
            y: not used.

        Returns:
            The transformer itself.

        Raises:
            SchemaError: if there is no text column or one has the wrong type.
        """
        found = EventColumns((self.columns or columns_of(X)).texts)
        check(X, found)
        self.columns_ = found
        return self

    def transform(self, X: pl.DataFrame) -> Floats:
        """Describe the contents.

        Args:
            X: web events, n rows.

        Returns:
            Points (n, features), finite, rounded to three digits.

        Raises:
            NotFittedError: before :meth:`fit`.
            SchemaError: if a column is missing or has the wrong type.
        """
        if not hasattr(self, "columns_"):
            raise NotFittedError("ContentFeatures must be fitted before it describes events: call fit")
        table = traits(X, self.columns_)
        width = len(table.columns) // len(self.columns_.texts)
        parts = [_placed(table[:, start : start + width]) for start in range(0, len(table.columns), width)]
        return np.asarray(np.round(np.hstack(parts), DECIMALS) + 0.0, dtype=np.float64)

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray[Any, np.dtype[np.object_]]:
        """Names of the features: column, a dot, and what it is."""
        each = [*MARK_NAMES, *WORD_NAMES, "length", *SHARES, "missing"]
        return np.array([f"{name}.{feature}" for name in self.columns_.texts for feature in each], dtype=object)


class WebClusters(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Cluster web events by content with rising ``eps``, and label new events.

    The largest ``eps`` is the distance to the ``min_samples``-th neighbour that 95 % of the distinct contents do not
    exceed; each finer one is half of the next. (The knee of the same curve, :attr:`knee_`, is near it, but moves from
    sample to sample.) A new event belongs, for each ``eps``, to the cluster of its nearest core point within it, else
    it is noise.

    Attributes:
        eps_: radii, finest first (levels,).
        levels_: cluster of each event for each radius, -1 for noise (n, levels).
        labels_: clusters of the level :attr:`chosen_` (n,).
        chosen_: number of the level that splits the events most evenly, see :meth:`table`.
        distinct_: distinct contents with the number of events of each.
        sweep_: clusterings of the distinct contents.
        k_distances_: distance of each distinct content to its ``min_samples``-th neighbour.
        knee_: knee of their curve, NaN where it has none.
        features_: the fitted :class:`ContentFeatures`.
    """

    def __init__(
        self,
        columns: EventColumns | None = None,
        *,
        eps: float | Sequence[float] | None = None,
        min_samples: float = MIN_SAMPLES,
        levels: int = LEVELS,
        memory: str | float = "2 GB",
    ) -> None:
        """Choose the densities.

        Args:
            columns: what the columns mean; found by their names if not given.
            eps: one radius or several; found from the events if not given.
            min_samples: events within ``eps`` that make a core point, the event itself included.
            levels: number of radii if they are found from the events.
            memory: most bytes for neighbours, or a text such as ``"2 GB"``.
        """
        self.columns = columns
        self.eps = eps
        self.min_samples = min_samples
        self.levels = levels
        self.memory = memory

    def fit(self, X: pl.DataFrame, y: object = None) -> Self:
        """Cluster events.

        Args:
            X: web events, n rows.
            y: not used.

        Returns:
            The estimator itself.

        Raises:
            SchemaError: if there is no text column or one has the wrong type.
            SettingsError: if a setting is no positive number.
            DataError: if there is no event, or memory does not suffice for the neighbours.
        """
        least = as_positive("min_samples", self.min_samples)
        if self.levels < 1:
            raise SettingsError(f"levels must be 1 or more, found {self.levels}: choose more")
        self.features_ = ContentFeatures(self.columns).fit(X)
        if X.is_empty():
            raise DataError("clusters need at least one web event, found none: give some")
        self.distinct_ = distinct(self.features_.transform(X))
        points, weight = self.distinct_.points, self.distinct_.weight
        self.k_distances_ = k_distances(points, min(least, weight.sum()), weight)
        self.knee_ = _knee(self.k_distances_)
        self.eps_ = self._radii()
        graph = NeighbourGraph(points, weight, radius=float(self.eps_[-1]), memory=self.memory)
        self.sweep_ = sweep(graph, self.eps_.tolist(), [least])
        self.levels_ = self.sweep_.labels.T[self.distinct_.inverse].astype(np.int64)
        self.chosen_ = int(np.argmax([_evenness(labels, weight) for labels in self.sweep_.labels]))
        self.labels_ = self.levels_[:, self.chosen_]
        self._trees = [_Cores.of(points, *pair) for pair in zip(self.sweep_.labels, self.sweep_.core, strict=True)]
        return self

    def predict(self, X: pl.DataFrame) -> Ints:
        """Clusters of new events for each radius, finest first; -1 for noise.

        Args:
            X: web events, n rows, with the columns of training.

        Returns:
            Labels (n, levels).

        Raises:
            NotFittedError: before :meth:`fit`.
            SchemaError: if a column is missing or has the wrong type.
        """
        self._require_fitted()
        if X.is_empty():
            return np.zeros((0, len(self.eps_)), dtype=np.int64)
        seen = distinct(self.features_.transform(X))
        found = [cores.nearest(seen.points, eps) for cores, eps in zip(self._trees, self.eps_, strict=True)]
        return np.stack(found, axis=1)[seen.inverse]

    def table(self) -> pl.DataFrame:
        """One row a radius: clusters, shares of noise and of the largest cluster, and evenness, which chooses.

        Evenness is the entropy of the shares of clusters and noise points (in bits): low where one cluster holds nearly
        everything as well as where most is noise taken as one.
        """
        self._require_fitted()
        evenness = [_evenness(labels, self.distinct_.weight) for labels in self.sweep_.labels]
        chosen = np.arange(len(evenness)) == self.chosen_
        return self.sweep_.table.with_columns(pl.Series("evenness", evenness), pl.Series("chosen", chosen))

    def stability(self, *, resamples: int = 5, seed: int = SEED) -> pl.DataFrame:
        """Cluster bootstrap samples of the events and compare them with the clusters of all events.

        Args:
            resamples: samples, from 1 on.
            seed: of the samples.

        Returns:
            One row a radius: ``eps``, and ``stability`` and ``lowest``, mean and lowest adjusted Rand index.

        Raises:
            NotFittedError: before :meth:`fit`.
            SettingsError: if there is no resample.
            DataError: if memory does not suffice for the neighbours.
        """
        self._require_fitted()
        points, weight = self.distinct_.points, self.distinct_.weight
        graph = NeighbourGraph(points, weight, radius=float(self.eps_[-1]), memory=self.memory)
        found = [stability(graph, eps, self.min_samples, resamples=resamples, seed=seed) for eps in self.eps_.tolist()]
        rows = [(eps, each.mean, each.lowest) for eps, each in zip(self.eps_.tolist(), found, strict=True)]
        return pl.DataFrame(rows, schema=dict.fromkeys(("eps", "stability", "lowest"), pl.Float64), orient="row")

    def exemplars(self, X: pl.DataFrame, clusters: Values | None = None, *, most: int = 3) -> pl.DataFrame:
        """Typical events of each cluster: the one in the middle, then those farthest from the ones chosen.

        Args:
            X: the events of training, n rows.
            clusters: cluster of each event (n,); :attr:`labels_` if not given. An event content in several clusters is
                shown in the one that has most of it.
            most: events a cluster.

        Returns:
            ``cluster``, ``rank`` (0 is the middle), ``rows`` (events of that very content), ``row`` (number of the
            event) and the texts, shortened.

        Raises:
            NotFittedError: before :meth:`fit`.
            DataError: if there are not as many events as in training.
        """
        self._require_fitted()
        names = self.labels_ if clusters is None else as_series(clusters).to_numpy()
        if not len(X) == len(names) == len(self.distinct_.inverse):
            expected = f"the {len(self.distinct_.inverse):,} events of training with a cluster each"
            raise DataError(f"exemplars need {expected}, found {len(X):,} and {len(names):,}: give the same events")
        owners, rows = _main_clusters(self.distinct_.inverse, names)
        table = exemplars(self.distinct_.points, owners, self.distinct_.weight, most=most)
        place = rows[table["point"].to_numpy()]
        texts = X[place.tolist()].select(_shortened(name) for name in self.features_.columns_.texts)
        return table.drop("point").with_columns(row=pl.Series(place)).hstack(texts)

    def k_means(self, clusters: int | None = None, *, seed: int = SEED) -> Ints:
        """Cluster the same points by k-means, as a baseline: cluster of each event (n,).

        Args:
            clusters: how many; as many as :attr:`labels_` has if not given.
            seed: seed of the starting points.

        Raises:
            NotFittedError: before :meth:`fit`.
        """
        from sklearn.cluster import MiniBatchKMeans

        self._require_fitted()
        points = self.distinct_.points
        wanted = min(clusters or max(int(self.labels_.max()) + 1, 1), len(points))
        made = MiniBatchKMeans(wanted, random_state=seed, n_init=1, batch_size=4096)
        found = made.fit(points, sample_weight=self.distinct_.weight).labels_
        return np.asarray(found[self.distinct_.inverse], dtype=np.int64)

    def _radii(self) -> Floats:
        if self.eps is not None:
            given = np.unique(np.atleast_1d(np.asarray(self.eps, dtype=np.float64)))
            return np.array([as_positive("eps", value) for value in given.tolist()])
        largest = float(np.quantile(self.k_distances_, REACHED)) or float(self.k_distances_.max()) or 1.0
        return np.asarray(largest / 2.0 ** np.arange(self.levels - 1, -1, -1), dtype=np.float64)

    def _require_fitted(self) -> None:
        if not hasattr(self, "levels_"):
            raise NotFittedError("WebClusters must be fitted before it is asked: call fit")


class _Cores:
    """Core points of one radius."""

    def __init__(self, labels: Ints, tree: Tree | None) -> None:
        self.labels, self.tree = labels, tree

    @classmethod
    def of(cls, points: Floats, labels: Ints, core: Ints) -> "_Cores":
        """Take the core points among all points."""
        chosen = np.flatnonzero(core)
        return cls(labels[chosen].astype(np.int64), Tree(points[chosen]) if chosen.size else None)

    def nearest(self, points: Floats, eps: float) -> Ints:
        """Cluster of the nearest core point, -1 if it is farther than eps."""
        if self.tree is None:
            return np.full(len(points), NOISE)
        core, square = self.tree.nearest(points)
        return np.where(square <= eps * eps, self.labels[core], NOISE)


def _placed(table: pl.DataFrame) -> Floats:
    """Points of one text column."""
    known = table.rename({name: name.rsplit(".", 1)[1] for name in table.columns})
    missing = known["length"].is_null().to_numpy().astype(np.float64)[:, None] * MISSING

    def part(names: Sequence[str], weight: float, *, logged: bool = True) -> Floats:
        values = known.select(names).fill_null(0.0).to_numpy()
        return np.asarray(weight * (np.log1p(values) if logged else values))

    return np.hstack(
        [
            part(MARK_NAMES, WEIGHTS["marks"]),
            part(WORD_NAMES, WEIGHTS["words"]),
            part(("length",), WEIGHTS["length"]),
            part(SHARES, WEIGHTS["shares"], logged=False),
            missing,
        ]
    )


def _knee(distances: Floats) -> float:
    try:
        return knee(distances)
    except DataError:
        return float("nan")


def _evenness(labels: Ints, weight: Floats) -> float:
    """Entropy of the shares of clusters, in bits, noise as one cluster."""
    shares = np.bincount(labels + 1, weight) / weight.sum()
    shares = shares[shares > 0]
    return float(-(shares * np.log2(shares)).sum())


def _main_clusters(inverse: Ints, names: Ints) -> tuple[Ints, Ints]:
    """Cluster that has most events of each distinct content, and the first such event."""
    frame = pl.DataFrame({"point": inverse, "cluster": names}).with_row_index("row")
    counts = frame.group_by("point", "cluster").agg(pl.len(), pl.col("row").min())
    main = counts.sort("point", -pl.col("len").cast(pl.Int64), "row").unique("point", keep="first").sort("point")
    return main["cluster"].to_numpy().astype(np.int64), main["row"].to_numpy().astype(np.int64)


def _shortened(name: str) -> pl.Expr:
    text = pl.col(name).cast(pl.String)
    long = text.str.len_chars() > EXCERPT
    return pl.when(long).then(text.str.slice(0, EXCERPT) + "…").otherwise(text).alias(name)
