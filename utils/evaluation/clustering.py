"""How well clusters agree with known classes: purity, V-measure, adjusted Rand index, each beside what chance gives.

Clusters and classes are any names; a row may stand for many equal units (``weight``, whole numbers), and everything is
computed as if it were written down so many times. Noise (cluster ``-1`` of DBSCAN) is a cluster of its own, as in
published numbers, or is left out.

**Why 183 clusters against 2 classes cannot have a high ARI.** The adjusted Rand index counts pairs of units that are
together in both partitions. Clusters that divide a class lose the pairs between them, however pure they are: if no pair
of a cluster is of two classes, the index is that of the cluster sizes and the class sizes alone. :func:`ari_ceiling`
is that number; an index is to be read beside it, never beside 1. :func:`merged_ari` is what remains when each cluster
is called by its most frequent class, so that clusters of one class are one: the quality of a *labelling* by clusters.

Sources:
    Hubert and Arabie, "Comparing partitions", Journal of Classification 1985 (adjusted Rand index); Rosenberg and
    Hirschberg, "V-Measure: a conditional entropy-based external cluster evaluation measure", EMNLP-CoNLL 2007; Manning,
    Raghavan and Schuetze, "Introduction to Information Retrieval", 2008, chapter 16 (purity); Patefield, "Algorithm
    AS 159: an efficient method of generating r x c tables with given row and column totals", Applied Statistics 1981
    (random tables).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal, NamedTuple

import numpy as np
import polars as pl

from utils.errors import DataError
from utils.evaluation import inputs
from utils.evaluation.inputs import Floats, Ints, Values
from utils.settings import SEED

Noise = Literal["cluster", "left out"]

NOISE = -1
"""The cluster of what belongs to none."""
DRAWS = 20
"""Random tables behind the agreement by chance."""
COMPARED = ("noise_share", "purity", "v_measure", "adjusted_rand", "merged_ari", "majority_share")
METRICS = ("purity", "homogeneity", "completeness", "v_measure", "adjusted_rand")


class Contingency(NamedTuple):
    """Units by cluster and class; pairs that do not occur are left out.

    Attributes:
        counts: units of each pair that occurs (pairs,).
        cluster: number of its cluster (pairs,).
        kind: number of its class (pairs,).
        clusters: name of each cluster, in order of first appearance.
        classes: name of each class, in order of first appearance.
    """

    counts: Ints
    cluster: Ints
    kind: Ints
    clusters: pl.Series
    classes: pl.Series

    @property
    def cluster_sizes(self) -> Ints:
        """Units of each cluster."""
        return _sums(self.counts, self.cluster, len(self.clusters))

    @property
    def class_sizes(self) -> Ints:
        """Units of each class."""
        return _sums(self.counts, self.kind, len(self.classes))

    def table(self) -> Ints:
        """All pairs: shape (clusters, classes)."""
        cells = np.zeros((len(self.clusters), len(self.classes)), dtype=np.int64)
        cells[self.cluster, self.kind] = self.counts
        return cells


@dataclass(frozen=True)
class Agreement:
    """Clusters against classes; every number is NaN where there is no unit.

    Attributes:
        purity: share of the units that have the most frequent class of their cluster.
        homogeneity: 1 if every cluster holds one class only, 0 if clusters say nothing of classes.
        completeness: 1 if every class lies in one cluster.
        v_measure: harmonic mean of both.
        adjusted_rand: adjusted Rand index, 0 as by chance, 1 for equal partitions.
        ceilings: most that clusters and classes of these sizes could have, by name; purity has none here.
        merged_ari: index after each cluster has been called by its most frequent class.
        chance: the same five measures of random clusters of the same sizes, by name.
        n_clusters: clusters, noise not counted.
        n_classes: classes.
        units: units counted.
        noise_share: share of noise among all units, whether counted or left out.
        majority_share: share of the most frequent class, the purity of one single cluster.
        noise: how noise was taken.
    """

    purity: float
    homogeneity: float
    completeness: float
    v_measure: float
    adjusted_rand: float
    merged_ari: float
    ceilings: dict[str, float]
    chance: dict[str, float]
    n_clusters: int
    n_classes: int
    units: int
    noise_share: float
    majority_share: float
    noise: Noise

    def table(self) -> pl.DataFrame:
        """Measures beside chance and the most that clusters of these sizes could reach (null where it is not known).

        Returns:
            ``metric``, ``value``, ``by_chance`` and ``ceiling``.
        """
        values = asdict(self)
        rows = [(name, values[name], self.chance[name], self.ceilings.get(name)) for name in METRICS]
        rows.append((f"{METRICS[-1]}, clusters merged by class", self.merged_ari, 0.0, 1.0))
        schema = {"metric": pl.String} | dict.fromkeys(("value", "by_chance", "ceiling"), pl.Float64)
        return pl.DataFrame(rows, schema=schema, orient="row").fill_nan(None)


def agreement(
    clusters: Values,
    classes: Values,
    weight: Values | None = None,
    *,
    noise: Noise = "cluster",
    draws: int = DRAWS,
    seed: int = SEED,
) -> Agreement:
    """Compare clusters with classes.

    Args:
        clusters: cluster of each row, -1 for noise (rows,).
        classes: class of each row, Boolean or any names (rows,).
        weight: how many equal units each row stands for, whole numbers (rows,).
        noise: ``"cluster"`` takes noise as one cluster, ``"left out"`` judges the other units only.
        draws: random tables behind the agreement by chance; 0 for none (NaN).
        seed: seed of the random tables.

    Returns:
        All measures, with chance and ceiling.

    Raises:
        DataError: if the inputs do not fit together, a value is missing or the weights are no counts.
    """
    names, mass = inputs.as_series(clusters), _counts(weight, len(inputs.as_series(clusters)))
    is_noise = _is_noise(names)
    total = int(mass.sum())
    seen = contingency(names, classes, np.where(is_noise, 0, mass) if _checked(noise) == "left out" else mass)
    values = _measures(seen.counts, seen.cluster, seen.kind)
    return Agreement(
        **values,
        merged_ari=_merged(seen),
        ceilings=_ceilings(seen.cluster_sizes, seen.class_sizes),
        chance=_by_chance(seen, draws, seed),
        n_clusters=len(seen.clusters) - int(bool(_is_noise(seen.clusters).any())),
        n_classes=len(seen.classes),
        units=int(seen.counts.sum()),
        noise_share=float(mass[is_noise].sum() / total) if total else np.nan,
        majority_share=float(seen.class_sizes.max() / seen.counts.sum()) if seen.counts.size else np.nan,
        noise=noise,
    )


def compared(clusterings: Mapping[str, Values], classes: Values) -> pl.DataFrame:
    """Compare several clusterings of the same rows with the same classes.

    Args:
        clusterings: cluster of each row, -1 for noise, by the name of the method, each (rows,).
        classes: class of each row (rows,).

    Returns:
        One row a method: ``method``, ``clusters``, ``noise_share``, ``purity``, ``v_measure``, ``adjusted_rand``,
        ``merged_ari`` (each cluster called by its most frequent class) and ``majority_share`` (purity of one cluster).

    Raises:
        DataError: as :func:`agreement`.
    """
    agreed = {name: agreement(clusters, classes, draws=0) for name, clusters in clusterings.items()}
    return pl.DataFrame(
        [
            {"method": name, "clusters": each.n_clusters} | {shown: getattr(each, shown) for shown in COMPARED}
            for name, each in agreed.items()
        ]
    )


def purity(clusters: Values, classes: Values, weight: Values | None = None) -> float:
    """Share of the units that have the most frequent class of their cluster; NaN without a unit.

    It only rises as clusters are divided: read it beside the majority share and the number of clusters.

    Raises:
        DataError: as :func:`contingency`.
    """
    return _single("purity", clusters, classes, weight)


def v_measure(clusters: Values, classes: Values, weight: Values | None = None) -> float:
    """Harmonic mean of homogeneity and completeness, 0..1; NaN without a unit.

    It is not corrected for chance: many small random clusters have a V-measure above 0.

    Raises:
        DataError: as :func:`contingency`.
    """
    return _single("v_measure", clusters, classes, weight)


def adjusted_rand(clusters: Values, classes: Values, weight: Values | None = None) -> float:
    """Adjusted Rand index: 0 as by chance, 1 for equal partitions; NaN without a unit.

    Raises:
        DataError: as :func:`contingency`.
    """
    return _single("adjusted_rand", clusters, classes, weight)


def ari_ceiling(clusters: Values, classes: Values, weight: Values | None = None) -> float:
    """Highest adjusted Rand index that clusters and classes of these sizes could have; NaN without a unit.

    Pairs together in both partitions are at most those of the partition that has fewer. The bound is reached when no
    cluster is mixed (or no class divided), and it holds for whatever the clusters contain: only merging or dividing
    clusters can pass it.

    Raises:
        DataError: as :func:`contingency`.
    """
    seen = contingency(clusters, classes, weight)
    return _ceilings(seen.cluster_sizes, seen.class_sizes)["adjusted_rand"]


def merged_ari(clusters: Values, classes: Values, weight: Values | None = None) -> float:
    """Adjusted Rand index after each cluster has been called by its most frequent class; NaN without a unit.

    Raises:
        DataError: as :func:`contingency`.
    """
    return _merged(contingency(clusters, classes, weight))


def contingency(clusters: Values, classes: Values, weight: Values | None = None) -> Contingency:
    """Count the units of each cluster and class.

    Args:
        clusters: cluster of each row (rows,).
        classes: class of each row (rows,).
        weight: how many equal units each row stands for, whole numbers (rows,); rows of weight 0 do not count.

    Raises:
        DataError: if the inputs do not fit together, a value is missing or the weights are no counts.
    """
    first = inputs.as_series(clusters)
    rows = len(first)
    columns = {"cluster": _known(first, rows, "clusters"), "kind": _known(classes, rows, "classes")}
    frame = pl.DataFrame(columns | {"units": _counts(weight, rows)}).filter(pl.col("units") > 0)
    pairs = frame.group_by("cluster", "kind", maintain_order=True).agg(pl.col("units").sum())
    names = {name: pairs[name].unique(maintain_order=True) for name in columns}
    codes = {name: inputs.codes(pairs[name]) for name in columns}
    counts = pairs["units"].to_numpy().astype(np.int64)
    return Contingency(counts, codes["cluster"], codes["kind"], names["cluster"], names["kind"])


def composition(clusters: Values, classes: Values, weight: Values | None = None) -> pl.DataFrame:
    """Table of clusters by class, the largest cluster first.

    Args:
        clusters: cluster of each row (rows,).
        classes: class of each row, for example the anomaly type (rows,).
        weight: how many equal units each row stands for, whole numbers (rows,).

    Returns:
        ``cluster``, ``units``, ``main_class``, ``purity`` (share of the main class) and one column a class with its
        units, the most frequent class first.

    Raises:
        DataError: as :func:`contingency`.
    """
    seen = contingency(clusters, classes, weight)
    order = np.argsort(-seen.class_sizes, kind="stable")
    cells, names = seen.table()[:, order], seen.classes.cast(pl.String)[order.tolist()].to_list()
    units = seen.cluster_sizes
    main = cells.argmax(axis=1) if cells.size else np.zeros(0, dtype=np.int64)
    found = {
        "cluster": seen.clusters,
        "units": pl.Series(units, dtype=pl.Int64),
        "main_class": pl.Series([names[place] for place in main], dtype=pl.String),
        "purity": pl.Series(_maxima(seen.counts, seen.cluster, len(units)) / np.maximum(units, 1), dtype=pl.Float64),
    }
    table = pl.DataFrame(found)
    each = pl.DataFrame(cells, schema=dict.fromkeys(_apart(names, table.columns), pl.Int64))
    return pl.concat([table, each], how="horizontal").sort("units", descending=True, maintain_order=True)


def _apart(names: list[str], taken: list[str]) -> list[str]:
    """Names of columns for classes; one that is taken is put in quotes."""
    return [f"“{name}”" if name in taken else name for name in names]


def _checked(noise: Noise) -> Noise:
    if noise not in ("cluster", "left out"):
        raise DataError(f"noise must be taken as 'cluster' or 'left out', found {noise!r}: choose one of them")
    return noise


def _is_noise(clusters: pl.Series) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    if not clusters.dtype.is_numeric():
        return np.zeros(len(clusters), dtype=np.bool_)
    return np.asarray((clusters == NOISE).fill_null(value=False).to_numpy(), dtype=np.bool_)


def _known(values: Values, rows: int, what: str) -> pl.Series:
    series = inputs.without_nan(inputs.as_series(values))
    missing = series.null_count()
    if len(series) != rows or missing:
        found = f"{len(series):,} values, {missing:,} of them missing"
        raise DataError(f"{what} must be known for each of {rows:,} rows, found {found}: leave out unknown rows in all")
    return series


def _counts(weight: Values | None, rows: int) -> Ints:
    """Weights as counts.

    Raises:
        DataError: if they are no counts.
    """
    mass = inputs.as_weights(weight, rows)
    if mass is None:
        return np.ones(rows, dtype=np.int64)
    if mass.dtype != np.int64:
        raise DataError("weights of clusters must be counts of units, found numbers that are not whole: cast them")
    return np.asarray(mass, dtype=np.int64)


def _single(metric: str, clusters: Values, classes: Values, weight: Values | None) -> float:
    seen = contingency(clusters, classes, weight)
    return _measures(seen.counts, seen.cluster, seen.kind)[metric]


def _measures(counts: Ints, cluster: Ints, kind: Ints) -> dict[str, float]:
    """The five measures of a table given by its pairs."""
    if not counts.size:
        return dict.fromkeys(METRICS, np.nan)
    rows, columns = _sums(counts, cluster), _sums(counts, kind)
    shared = _entropy(rows) + _entropy(columns) - _entropy(counts)
    index = _rand(_pairs(counts), _pairs(rows), _pairs(columns), float(counts.sum()))
    found = (_maxima(counts, cluster).sum() / counts.sum(), *_v_measures(shared, rows, columns), index)
    return dict(zip(METRICS, map(float, found), strict=True))


def _v_measures(shared: float, rows: Ints, columns: Ints) -> tuple[float, float, float]:
    """Homogeneity, completeness and their harmonic mean from the information that both partitions share."""
    ratios = [shared / entropy if (entropy := _entropy(sizes)) > 0 else 1.0 for sizes in (columns, rows)]
    first, second = (min(max(ratio, 0.0), 1.0) for ratio in ratios)
    return first, second, 2 * first * second / (first + second) if first + second > 0 else 0.0


def _ceilings(rows: Ints, columns: Ints) -> dict[str, float]:
    """The measures if as many pairs and as much information were shared as the sizes allow."""
    if not rows.sum():
        return dict.fromkeys(METRICS[1:], np.nan)
    first, second = _pairs(rows), _pairs(columns)
    index = _rand(min(first, second), first, second, float(rows.sum()))
    found = (*_v_measures(min(_entropy(rows), _entropy(columns)), rows, columns), index)
    return dict(zip(METRICS[1:], map(float, found), strict=True))


def _merged(seen: Contingency) -> float:
    if not seen.counts.size:
        return np.nan
    order = np.lexsort((seen.kind, seen.counts))
    main = np.zeros(len(seen.clusters), dtype=np.int64)
    main[seen.cluster[order]] = seen.kind[order]
    cells = np.zeros((len(seen.classes), len(seen.classes)), dtype=np.int64)
    np.add.at(cells, (main[seen.cluster], seen.kind), seen.counts)
    cluster, kind = cells.nonzero()
    return _measures(cells[cluster, kind], cluster, kind)["adjusted_rand"]


def _by_chance(seen: Contingency, draws: int, seed: int) -> dict[str, float]:
    """Mean measures of random tables with the same sizes of clusters and of classes."""
    from scipy.stats import random_table

    if not seen.counts.size or draws < 1:
        return dict.fromkeys(METRICS, np.nan)
    rng = np.random.default_rng(seed)
    sizes = random_table(seen.cluster_sizes, seen.class_sizes)
    drawn = []
    for _ in range(draws):
        cells = sizes.rvs(random_state=rng).astype(np.int64)
        cluster, kind = cells.nonzero()
        drawn.append(_measures(cells[cluster, kind], cluster, kind))
    return {name: float(np.mean([values[name] for values in drawn])) for name in METRICS}


def _rand(together: float, first: float, second: float, units: float) -> float:
    """Adjusted Rand index from numbers of pairs that are together in both, in the one and in the other partition."""
    possible = units * (units - 1) / 2
    expected = first * second / possible if possible else 0.0
    span = (first + second) / 2 - expected
    return (together - expected) / span if span > 0 else 1.0


def _pairs(sizes: Ints) -> float:
    each = sizes.astype(np.float64)
    return float((each * (each - 1) / 2).sum())


def _entropy(sizes: Ints) -> float:
    shares = sizes[sizes > 0] / sizes.sum()
    return float(-(shares * np.log(shares)).sum())


def _sums(counts: Ints, codes: Ints, length: int = 0) -> Ints:
    sums = np.zeros(max(length, int(codes.max(initial=-1)) + 1), dtype=np.int64)
    np.add.at(sums, codes, counts)
    return sums


def _maxima(counts: Ints, codes: Ints, length: int = 0) -> Floats:
    most = np.zeros(max(length, int(codes.max(initial=-1)) + 1), dtype=np.int64)
    np.maximum.at(most, codes, counts)
    return np.asarray(most, dtype=np.float64)
