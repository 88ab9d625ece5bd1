"""What clusters are made of: sizes, density, exemplars, silhouette."""

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from utils.detectors.dbscan.points import as_points
from utils.detectors.outliers.points import kept_places
from utils.errors import DataError, SettingsError
from utils.evaluation import inputs
from utils.evaluation.inputs import Floats, Ints, Values
from utils.settings import SEED

CANDIDATES = 500
"""Points of a cluster among which exemplars are looked for."""
ROWS = 4_000
"""Rows of the silhouette."""


class Silhouette(NamedTuple):
    """How much nearer rows are to their own cluster than to the next one.

    Attributes:
        mean: mean over the sampled rows, -1 to 1.
        rows: sampled rows, noise left out.
        clusters: table of ``cluster``, ``rows`` (sampled) and ``silhouette`` (mean).
    """

    mean: float
    rows: int
    clusters: pl.DataFrame


def cluster_table(
    points: ArrayLike,
    labels: Values,
    weight: Values | None = None,
    *,
    core: Values | None = None,
    neighbours: Values | None = None,
    seed: int = SEED,
) -> pl.DataFrame:
    """Describe clusters, the largest first, noise (-1) last.

    Args:
        points: distinct points (k, d).
        labels: cluster of each, -1 for noise (k,).
        weight: rows that each stands for (k,).
        core: which are core points (k,).
        neighbours: rows within eps of each, itself included (k,).
        seed: of the sample of candidates for the medoid in clusters of more than 500 points.

    Returns:
        ``cluster``, ``rows``, ``points``, ``share`` of all rows, ``core_share`` of its rows (null without ``core``),
        ``density`` (mean of the rows within eps of its rows, null without ``neighbours``), ``medoid`` (number of the
        point with the least sum of distances to the others) and ``radius`` (mean distance of its rows to the medoid).

    Raises:
        SchemaError: if the points are no matrix of numbers.
        DataError: if the parts do not have the same length.
    """
    places, mass, names = _checked(points, labels, weight)
    total = mass.sum()
    inside = None if core is None else inputs.as_labels(core, len(places), "core points").astype(np.float64)
    near = None if neighbours is None else inputs.as_scores(neighbours, len(places), "neighbours")
    rows = []
    for name, members in _members(names):
        own = mass[members]
        medoid = int(members[_medoid(places[members], own, seed)])
        rows.append(
            {
                "cluster": name,
                "rows": own.sum(),
                "points": len(members),
                "share": own.sum() / total,
                "core_share": None if inside is None else _mean(inside[members], own),
                "density": None if near is None else _mean(near[members], own),
                "medoid": medoid,
                "radius": _mean(_distances(places[members], places[medoid]), own),
            }
        )
    schema = {"cluster": pl.Int64, "rows": pl.Float64, "points": pl.Int64, "share": pl.Float64}
    schema |= {"core_share": pl.Float64, "density": pl.Float64, "medoid": pl.Int64, "radius": pl.Float64}
    table = pl.DataFrame(rows, schema=schema)
    return table.sort(pl.col("cluster") < 0, -pl.col("rows"), "cluster")


def exemplars(
    points: ArrayLike, labels: Values, weight: Values | None = None, *, most: int = 3, seed: int = SEED
) -> pl.DataFrame:
    """Choose points that show a cluster: its medoid, then each time the point farthest from those chosen.

    Args:
        points: distinct points (k, d).
        labels: cluster of each, -1 for noise (k,); noise has no exemplars.
        weight: rows that each stands for (k,).
        most: exemplars of a cluster.
        seed: of the sample of candidates in clusters of more than 500 points.

    Returns:
        ``cluster``, ``rank`` (0 is the medoid), ``point`` (its number) and ``rows`` that it stands for.

    Raises:
        SettingsError: if ``most`` is below 1.
        SchemaError: if the points are no matrix of numbers.
        DataError: if the parts do not have the same length.

    Source:
        Gonzalez, "Clustering to minimize the maximum intercluster distance", TCS 1985 (farthest first).
    """
    if most < 1:
        raise SettingsError(f"a cluster must have at least 1 exemplar, found {most}: choose more")
    places, mass, names = _checked(points, labels, weight)
    rows = []
    for name, members in _members(names):
        if name >= 0:
            chosen = members[_spread(places[members], mass[members], most, seed)]
            rows += [(name, rank, int(point), float(mass[point])) for rank, point in enumerate(chosen)]
    schema = {"cluster": pl.Int64, "rank": pl.Int64, "point": pl.Int64, "rows": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def silhouette(
    points: ArrayLike, labels: Values, weight: Values | None = None, *, rows: int = ROWS, seed: int = SEED
) -> Silhouette:
    """Silhouette of a sample of rows, noise left out.

    Args:
        points: distinct points (k, d).
        labels: cluster of each, -1 for noise (k,).
        weight: rows that each stands for (k,): a point is drawn in proportion to them.
        rows: most rows of the sample.
        seed: of the sample.

    Returns:
        Mean silhouette; NaN where the sample has fewer than two clusters or only clusters of one row.

    Raises:
        SettingsError: if fewer than 3 rows are asked for.
        SchemaError: if the points are no matrix of numbers.
        DataError: if the parts do not have the same length.

    Source:
        Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of cluster analysis", 1987.
    """
    from sklearn.metrics import silhouette_samples

    if rows < 3:
        raise SettingsError(f"a silhouette needs at least 3 rows, found {rows}: ask for more")
    places, mass, names = _checked(points, labels, weight)
    drawn = _drawn(np.where(names >= 0, mass, 0.0), rows, seed)
    sampled = names[drawn]
    kinds = len(np.unique(sampled))
    values = np.full(len(drawn), np.nan)
    if 2 <= kinds < len(drawn):
        values = silhouette_samples(places[drawn], sampled)
    table = pl.DataFrame({"cluster": sampled.astype(np.int64), "silhouette": values.astype(np.float64)})
    table = table.group_by("cluster").agg(rows=pl.len().cast(pl.Int64), silhouette=pl.col("silhouette").mean())
    return Silhouette(float(values.mean()) if len(values) else float("nan"), len(drawn), table.sort("cluster"))


def noise_share(labels: Values, weight: Values | None = None) -> float:
    """Share of the rows that are noise (-1).

    Raises:
        DataError: if there is no row, or labels and weights do not fit.
    """
    names = inputs.as_scores(labels, what="labels")
    mass = inputs.as_weights(weight, len(names))
    total = len(names) if mass is None else mass.sum()
    if not total:
        raise DataError(f"a share of noise needs rows with a weight, found none in {len(names):,}: give some")
    return float((names < 0).mean() if mass is None else mass[names < 0].sum() / total)


def _checked(points: ArrayLike, labels: Values, weight: Values | None) -> tuple[Floats, Floats, Ints]:
    places, mass = as_points(points, weight)
    return places, mass, inputs.as_scores(labels, len(places), "labels").astype(np.int64)


def _members(names: Ints) -> list[tuple[int, Ints]]:
    """Points of each label."""
    order = np.argsort(names, kind="stable")
    found, first = np.unique(names[order], return_index=True)
    return list(zip(found.tolist(), np.split(order, first[1:]), strict=True))


def _mean(values: Floats, mass: Floats) -> float:
    total = mass.sum()
    return float(values @ mass / total) if total else float(values.mean())


def _distances(points: Floats, one: Floats) -> Floats:
    found: Floats = np.sqrt(((points - one) ** 2).sum(axis=1))
    return found


def _candidates(mass: Floats, seed: int) -> Ints:
    """Points of a cluster that are looked at: all, or a sample."""
    return kept_places(len(mass), CANDIDATES, seed)


def _medoid(points: Floats, mass: Floats, seed: int) -> int:
    """Candidate with the least sum of distances to the candidates, by weight."""
    looked = _candidates(mass, seed)
    near, load = points[looked], mass[looked]
    sums = [_distances(near, one) @ load for one in near]
    return int(looked[int(np.argmin(sums))])


def _spread(points: Floats, mass: Floats, most: int, seed: int) -> Ints:
    """The medoid, then the candidate farthest from all chosen before."""
    looked = _candidates(mass, seed)
    chosen = [_medoid(points, mass, seed)]
    far = _distances(points[looked], points[chosen[0]])
    while len(chosen) < most and far.max() > 0:
        chosen.append(int(looked[int(far.argmax())]))
        far = np.minimum(far, _distances(points[looked], points[chosen[-1]]))
    return np.array(chosen)


def _drawn(mass: Floats, rows: int, seed: int) -> Ints:
    """Points of sampled rows: all rows where there are no more than asked for and weights are whole, else drawn."""
    total = mass.sum()
    if total <= rows and np.array_equal(mass, np.round(mass)):
        return np.repeat(np.arange(len(mass)), mass.astype(np.int64))
    places = np.sort(np.random.default_rng(seed).random(rows)) * total
    drawn: Ints = np.minimum(np.searchsorted(np.cumsum(mass), places, side="right"), len(mass) - 1)
    return drawn
