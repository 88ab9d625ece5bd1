"""Clusters of the rows of a processed table, found without labels, and how they agree with the labels where there are.

The radius is looked for around the knee of the k-distances, for several weights of a core point, and the setting that
gives the same clusters when rows are drawn again is taken. No label has a part in that. One neighbour graph serves all
settings and all draws.

Sources:
    Ester, Kriegel, Sander and Xu, KDD 1996 (k-distances at the ``min_samples``-th neighbour); Hennig, "Cluster-wise
    assessment of cluster stability", Computational Statistics & Data Analysis 2007.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from utils import compute, settings
from utils.datasets.contract import Dataset, Roles
from utils.detectors.dbscan import DBSCAN, NeighbourGraph, Sweep, distinct, k_distances, knee, stability, sweep
from utils.detectors.judging import Report, detectable
from utils.detectors.outliers.points import kept_places
from utils.errors import DataError
from utils.evaluation import clustering
from utils.evaluation.inputs import Floats, Ints
from utils.features.flows import FlowFeatures
from utils.features.tables import Table, weight_of

MIN_SAMPLES = (5, 10, 20)
AROUND_KNEE = (0.35, 0.5, 0.71, 1.0, 1.41)
MOST_NOISE = 0.25
MOST_IN_ONE = 0.9
"""A clustering is taken if noise, and its largest cluster, hold no larger shares of the rows, where one does."""
RESAMPLES = 5
MOST_ROWS = 12_000
"""Rows whose neighbours fit into the memory that a graph may take, however near they are to each other."""
FEWEST_ROWS = 50
DENSITY = "DBSCAN"
Scale = Literal["standard", "robust", "quantile"]


@dataclass(frozen=True, eq=False)
class Clustered:
    """Clusters of the training rows of a table.

    Attributes:
        model: fitted DBSCAN of the chosen setting.
        features: fitted transformer of the columns.
        places: rows of the table that were clustered.
        points: their features, distinct ones.
        weight: how many rows each point stands for.
        inverse: point of each clustered row.
        distances: k-distances of the points, by weight of a core point.
        knees: their knees.
        settings: one row a setting: ``eps``, ``min_samples``, ``clusters``, shares, ``stability``, ``chosen``.
    """

    model: DBSCAN
    features: FlowFeatures
    places: Ints
    points: Floats
    weight: Floats
    inverse: Ints
    distances: Mapping[int, Floats]
    knees: Mapping[int, float]
    settings: pl.DataFrame

    @property
    def labels(self) -> Ints:
        """Cluster of each clustered row, -1 for noise."""
        return np.asarray(self.model.point_labels_[self.inverse], dtype=np.int64)

    def of_points(self, rows: pl.Series) -> pl.Series:
        """Values of the points: those of the first row that each stands for, of values of the rows of the table."""
        first = np.unique(self.inverse, return_index=True)[1]
        return rows.gather(self.places[first])


def cluster(
    frame: pl.DataFrame, roles: Roles, *, rows: int = MOST_ROWS, scale: Scale = "quantile", seed: int = settings.SEED
) -> Clustered:
    """Cluster the training rows of a table.

    Args:
        frame: the table.
        roles: what its columns mean; the label is not looked at.
        rows: most rows; beyond, a sample is drawn.
        scale: scale of the features (:class:`utils.features.flows.FlowFeatures`).
        seed: of the samples.

    Returns:
        The clusters of the most stable setting.

    Raises:
        DataError: if there are fewer than 50 rows, or they differ too little to have a density.
    """
    places = _drawn(frame, roles, min(rows, MOST_ROWS), seed)
    sample = frame[places]
    features = FlowFeatures(roles, columns=detectable(sample, roles), scale=scale).fit(sample)
    seen = distinct(features.transform(sample), _weights(sample, roles))
    distances = {k: k_distances(seen.points, k, seen.weight) for k in MIN_SAMPLES}
    knees = {k: _radius(values, seen.weight) for k, values in distances.items()}
    radii = sorted({around * radius for radius in knees.values() for around in AROUND_KNEE})
    graph = NeighbourGraph(seen.points, seen.weight, radius=radii[-1])
    table = _choose(graph, sweep(graph, radii, MIN_SAMPLES), knees, seed)
    best = table.row(by_predicate=pl.col("chosen"), named=True)
    model = DBSCAN(best["eps"], best["min_samples"]).fit(seen.points, sample_weight=seen.weight)
    return Clustered(model, features, places, seen.points, seen.weight, seen.inverse, distances, knees, table)


def clusters(
    processed: Mapping[str, Dataset],
    *,
    rows: int = MOST_ROWS,
    seed: int = settings.SEED,
    report: Report | None = None,
) -> dict[Table, Clustered]:
    """Cluster every processed table that has features and enough training rows that differ.

    Args:
        processed: processed data sets by name.
        rows: most rows of a table; beyond, a sample is drawn.
        seed: of the samples.
        report: told the name of each table.

    Returns:
        The clusters by data set and table; a table that cannot be clustered is left out.
    """
    jobs = {
        (name, table): (frame, roles, rows, seed)
        for name, dataset in processed.items()
        for table, frame in dataset.frames.items()
        for roles in [dataset.roles[table]]
        if frame.height >= FEWEST_ROWS and roles.split and detectable(frame, roles)
    }
    tell = compute.teller(report, [" ".join(table) for table in jobs])
    found = zip(jobs, compute.each(_clustered, list(jobs.values()), progress=tell), strict=True)
    return {table: clustered for table, clustered in found if clustered is not None}


def _clustered(frame: pl.DataFrame, roles: Roles, rows: int, seed: int) -> Clustered | None:
    """Clusters of a table; nothing where its training rows are too few or too much alike."""
    try:
        return cluster(frame, roles, rows=rows, seed=seed)
    except DataError:
        return None


def against(clustered: Clustered, classes: pl.Series, seed: int = settings.SEED) -> pl.DataFrame:
    """Compare clusters with known classes, beside k-means.

    Args:
        clustered: of :func:`cluster`.
        classes: class of each row of the table; rows without one are left out.
        seed: of k-means.

    Returns:
        One row a method, as :func:`utils.evaluation.clustering.compared` gives it.
    """
    kinds = classes.gather(clustered.places)
    known = kinds.is_not_null()
    found = {DENSITY: clustered.labels, **_k_means(clustered, kinds.n_unique(), seed)}
    labels = {method: pl.Series(each).filter(known) for method, each in found.items()}
    return clustering.compared(labels, kinds.filter(known))


def overview(
    grouped: Mapping[Table, Clustered], processed: Mapping[str, Dataset], seed: int = settings.SEED
) -> pl.DataFrame:
    """Compare the clusters of all tables that name kinds of rows with these, beside k-means.

    Returns:
        ``data set``, ``table``, and the columns of :func:`against`; no row where nothing is named.
    """
    rows = [pl.DataFrame()]
    for (name, table), found in grouped.items():
        roles = processed[name].roles[table]
        classes = roles.anomaly_type or roles.label
        if classes:
            owner = (pl.lit(name).alias("data set"), pl.lit(table).alias("table"))
            rows.append(against(found, processed[name][table][classes], seed).select(*owner, pl.all()))
    return pl.concat(rows, how="diagonal")


def classes(processed: Mapping[str, Dataset], table: Table) -> pl.Series:
    """Name each row of a table: ``normal`` or ``anomaly``, ``unlabelled`` where nobody said."""
    frame, roles = processed[table[0]][table[1]], processed[table[0]].roles[table[1]]
    label = pl.col(roles.label) if roles.label else pl.lit(None, dtype=pl.Boolean)
    named = pl.when(label).then(pl.lit("anomaly")).when(label.is_not_null()).then(pl.lit("normal"))
    return frame.with_columns(named.otherwise(pl.lit("unlabelled")).alias("class"))["class"]


def results(agreed: pl.DataFrame, name: str) -> dict[str, float]:
    """Numbers of one data set for the record of a run, from an :func:`overview`."""
    if not agreed.height:
        return {}
    own = agreed.filter((pl.col("data set") == name) & (pl.col("method") == DENSITY))
    measures = ("clusters", *clustering.COMPARED)
    return {f"{row['table']}_{measure}": row[measure] for row in own.iter_rows(named=True) for measure in measures}


def _drawn(frame: pl.DataFrame, roles: Roles, most: int, seed: int) -> Ints:
    """Training rows, or a sample of them.

    Raises:
        DataError: if there are too few.
    """
    rows = frame.with_row_index("row").filter(pl.col(str(roles.split)) == "train")["row"].to_numpy().astype(np.int64)
    if len(rows) < FEWEST_ROWS:
        raise DataError(f"clusters need at least {FEWEST_ROWS} training rows, found {len(rows):,}: give more")
    return rows[kept_places(len(rows), most, seed)]


def _weights(sample: pl.DataFrame, roles: Roles) -> Floats | None:
    weight = weight_of(sample, roles)
    return None if weight is None else weight.to_numpy().astype(np.float64)


def _radius(distances: Floats, weight: Floats) -> float:
    """Knee of the k-distances; their 95 % quantile where the curve has none.

    Raises:
        DataError: if all rows have so many equal ones that no distance is above 0.
    """
    try:
        found = knee(distances, weight=weight)
    except DataError:
        found = float(np.quantile(distances, 0.95))
    positive = distances[distances > 0]
    if not positive.size:
        raise DataError("clusters need rows that differ, found none without enough equal rows: give more features")
    return found if found > 0 else float(positive.min())


def _choose(graph: NeighbourGraph, swept: Sweep, knees: Mapping[int, float], seed: int) -> pl.DataFrame:
    """Say how stable each setting around a knee is, and which one is taken."""
    around = [(k, scale * radius) for k, radius in knees.items() for scale in AROUND_KNEE]
    measured = [(float(k), eps, stability(graph, eps, k, resamples=RESAMPLES, seed=seed).mean) for k, eps in around]
    schema = dict.fromkeys(("min_samples", "eps", "stability"), pl.Float64)
    known = pl.DataFrame(measured, schema=schema, orient="row")
    table = swept.table.join(known, on=["min_samples", "eps"], how="inner").sort("min_samples", "eps")
    few, spread = pl.col("noise_share") <= MOST_NOISE, pl.col("largest_share") <= MOST_IN_ONE
    best_first = [few & spread, few & (pl.col("clusters") > 1), pl.col("stability"), -pl.col("noise_share")]
    order = table.with_row_index("at").sort(best_first, descending=True)
    return table.with_columns(chosen=pl.int_range(pl.len()) == order["at"][0])


def _k_means(clustered: Clustered, classes: int, seed: int) -> dict[str, Ints]:
    """k-means with as many clusters as DBSCAN found, and as there are classes."""
    from sklearn.cluster import KMeans

    found = {}
    for k in sorted({clustered.model.n_clusters_, classes}):
        if 1 < k <= len(clustered.points):
            fitted = KMeans(k, n_init=3, random_state=seed).fit(clustered.points, sample_weight=clustered.weight)
            found[f"k-means, k = {k}"] = fitted.labels_[clustered.inverse].astype(np.int64)
    return found
