"""Detectors of rare rows on a mixture with 47 % attacks: a published NSL-KDD experiment, and what it leaves out.

Published: the 25,192 connections of the 20 % training file, 80/20 at random; one column a category, the first of each
left out, scaled to 0..1; isolation forest, local outlier factor and DBSCAN with default settings on the training part,
normals and attacks together, judged by the adjusted Rand index (ARI) against the two classes. All three are near 0.

The detectors are not to blame. An isolation forest with ``contamination="auto"`` flags what is *rare*, and nothing is
rare about a class of 47 %; an ARI of 183 clusters against 2 classes cannot be high however pure they are
(:mod:`utils.evaluation.clustering`); and a detector that learns from normal rows alone ranks the same attacks well.

Source:
    The experiment is a public notebook on the data of Tavallaee, Bagheri, Lu, Ghorbani, "A Detailed Analysis of the
    KDD CUP 99 Data Set", IEEE CISDA 2009; Liu, Ting and Zhou, "Isolation Forest", ICDM 2008; Breunig, Kriegel, Ng and
    Sander, "LOF", SIGMOD 2000; Ester, Kriegel, Sander and Xu, KDD 1996 (DBSCAN).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from utils import settings
from utils.datasets import nsl_kdd, require
from utils.datasets.contract import LABEL, Dataset
from utils.detectors.dbscan import DBSCAN
from utils.detectors.judging import TRIVIAL
from utils.detectors.published.reproduction import Measured, Reproduction, reproduction
from utils.errors import DataError
from utils.evaluation import clustering, metrics
from utils.evaluation.inputs import Bools, Floats, Ints, Values, as_labels
from utils.evaluation.thresholds import AlarmRate

FRAME = "connections"
HEAD = "in_train_20percent"
CATEGORY = "attack_category"
ROWS = 25_192
"""Rows of the published file."""
PUBLISHED_SEED, TEST_SHARE = 42, 0.2
ENCODED = ("flag", "protocol_type", "service")
"""Order of the encoded columns, after the numbers. An isolation forest draws columns, so its digits depend on it."""
TREES, NEIGHBOURS, EPS, MIN_SAMPLES = 100, 20, 0.5, 5
HELD_OUT = 0.25
FEWEST_ROWS = 100
MIXTURE, NORMALS = "normals and attacks", "normals alone"
LEARNED = {
    **dict.fromkeys(("detector", "learned from"), pl.String),
    **dict.fromkeys(("rows", "roc_auc", "nominal", "real", "recall", "precision", "f1"), pl.Float64),
}
Scorer = Callable[[Floats], Floats]
Detector = Callable[[Floats], Scorer]


@dataclass(frozen=True, eq=False)
class Connections:
    """The published split.

    Attributes:
        train: scaled rows of the training part (n, d).
        test: of the test part (m, d), scaled as training.
        y_train: true for an attack (n,).
        y_test: true for an attack (m,).
        kinds_train: category of attack, "normal" for normals (n,).
        kinds_test: the same (m,).
        columns: names of the d columns.
        comparable: whether these are the published rows.
    """

    train: Floats
    test: Floats
    y_train: Bools
    y_test: Bools
    kinds_train: pl.Series
    kinds_test: pl.Series
    columns: tuple[str, ...]
    comparable: bool


def connections(dataset: Dataset) -> Connections:
    """Encode, scale and divide the connections as published.

    Args:
        dataset: NSL-KDD, real or simulated.

    Raises:
        SchemaError: if it has no such connections.
        DataError: if there are fewer than 100, or one class only.
    """
    frame = dataset.frames.get(FRAME, pl.DataFrame())
    require.columns(frame, (*nsl_kdd.COLUMNS, HEAD, LABEL, CATEGORY), "the table of connections")
    head = frame.filter(HEAD)
    if head.height < FEWEST_ROWS or head[LABEL].n_unique() != 2:
        found = f"{head.height:,} rows of {head[LABEL].n_unique()} classes"
        raise DataError(f"the experiment needs {FEWEST_ROWS} rows of both classes, found {found}: use a larger budget")
    matrix, names = _encoded(head)
    y = head[LABEL].to_numpy().astype(np.bool_)
    train, test = divided(y)
    learned, judged = _scaled(matrix[train], matrix[test])
    return Connections(
        train=learned,
        test=judged,
        y_train=y[train],
        y_test=y[test],
        kinds_train=head[CATEGORY].gather(train),
        kinds_test=head[CATEGORY].gather(test),
        columns=names,
        comparable=dataset.source == "real" and head.height == ROWS,
    )


def divided(y: Values, seed: int = PUBLISHED_SEED) -> tuple[Ints, Ints]:
    """Divide rows as published: places of the training and of the test rows, in the order in which they were drawn.

    The published division is stratified by the texts "anomaly" and "normal": their alphabetical order decides which
    rows are drawn, so 0 and 1 for normal and attack would give another division.

    Args:
        y: true for an attack (n,).
        seed: of the draw.
    """
    from sklearn.model_selection import train_test_split

    words = np.where(as_labels(y), "anomaly", "normal")
    train, test = train_test_split(np.arange(len(words)), test_size=TEST_SHARE, random_state=seed, stratify=words)
    return np.asarray(train, dtype=np.int64), np.asarray(test, dtype=np.int64)


def isolation_forest(split: Connections) -> Reproduction:
    """Isolation forest with 100 trees and default contamination, learned from normals and attacks together."""
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(n_estimators=TREES, random_state=PUBLISHED_SEED).fit(split.train)
    labels = {"train": _ints(forest.predict(split.train)), "test": _ints(forest.predict(split.test))}
    return _alarms(split, "isolation forest", labels, "16", ("-3.94e-05", "-8.64e-05"))


def local_outlier_factor(split: Connections) -> Reproduction:
    """Local outlier factor of 20 neighbours; published on the test part with the density of the test part itself."""
    from sklearn.neighbors import LocalOutlierFactor

    parts = {"train": split.train, "test": split.test}
    labels = {name: _ints(LocalOutlierFactor(_neighbours(rows)).fit_predict(rows)) for name, rows in parts.items()}
    return _alarms(split, "local outlier factor", labels, "3019", ("-0.00086", "0.01846"))


def density_clusters(split: Connections) -> Reproduction:
    """DBSCAN with radius 0.5 and 5 neighbours, on each part by itself as published."""
    parts = {"train": split.train, "test": split.test}
    labels = {name: _ints(DBSCAN(EPS, MIN_SAMPLES).fit(rows).labels_) for name, rows in parts.items()}
    noise, found = labels["train"] < 0, split.y_train
    measured = [
        *_indices(split, labels, ("0.17912447916225435", "0.16924404315876476")),
        Measured("clusters", "train", None, labels["train"].max() + 1),
        Measured("noise rows", "train", None, noise.sum()),
        Measured("attacks among the noise", "train", None, found[noise].sum()),
    ]
    return reproduction("DBSCAN", measured, comparable=split.comparable, labels=labels)


def k_means(split: Connections, k: int = 3) -> Reproduction:
    """k-means, the one-line baseline that was not tried.

    Args:
        split: the published split.
        k: number of clusters.
    """
    from sklearn.cluster import KMeans

    fitted = KMeans(k, random_state=PUBLISHED_SEED, n_init=10).fit(split.train)
    labels = {"train": _ints(fitted.labels_), "test": _ints(fitted.predict(split.test))}
    measured = _indices(split, labels, (None, None))
    return reproduction(f"k-means, k = {k}", measured, comparable=split.comparable, labels=labels)


def what_was_flagged(split: Connections, steps: Sequence[Reproduction]) -> pl.DataFrame:
    """What the alarms (or the noise) of each step hold, and what flagging every row would give.

    Args:
        split: the published split.
        steps: of :func:`isolation_forest`, :func:`local_outlier_factor`, :func:`density_clusters`.

    Returns:
        One row a step, of the training part: ``detector``, ``flagged``, ``attacks`` and ``normals`` among them,
        ``rows`` and ``all attacks`` there are, ``recall``, ``precision``, ``f1``, and ``adjusted_rand`` of flagged or
        not.
    """
    decisions = {step.step: step.labels["train"] < 0 for step in steps}
    decisions[TRIVIAL] = np.ones(len(split.y_train), dtype=np.bool_)
    rows = []
    for name, flagged in decisions.items():
        cells = metrics.confusion(split.y_train, flagged)
        counts = {"flagged": cells.tp + cells.fp, "attacks": cells.tp, "normals": cells.fp}
        totals = {"rows": len(flagged), "all attacks": cells.tp + cells.fn}
        found = {name: value(split.y_train, flagged) for name, value in _DECIDED.items()}
        index = clustering.adjusted_rand(flagged, split.y_train)
        whole = {name: int(value) for name, value in (counts | totals).items()}
        rows.append({"detector": name, **whole, **found, "adjusted_rand": index})
    return pl.DataFrame(rows).fill_nan(None)


def learned_from(
    split: Connections, *, rate: float = 0.05, names: Sequence[str] | None = None, seed: int = settings.SEED
) -> pl.DataFrame:
    """The same detectors with the same settings, learned from the mixture and from its normal rows alone.

    A quarter of the rows that are learned from is held out for the threshold: the nominal share of them is above it.
    Without labels that is a share of the mixture. Test rows are scored once, by a detector that never saw them.

    Args:
        split: the published split. It is a random one, where attacks of the test part have twins in training; new
            attacks are another question.
        rate: nominal alarm rate.
        names: of :data:`DETECTORS`; all of them if not given.
        seed: of the division of the training rows.

    Returns:
        One row a detector and what it learned from: ``detector``, ``learned from``, ``rows`` learned from,
        ``roc_auc``, ``nominal`` and ``real`` alarm rate among normals, ``recall``, ``precision``, ``f1``. The last row
        flags everything.
    """
    rows: list[tuple[object, ...]] = []
    for learned, places in ((MIXTURE, np.arange(len(split.train))), (NORMALS, np.flatnonzero(~split.y_train))):
        drawn = np.random.default_rng(seed).permutation(places)
        held, kept = np.split(drawn, [max(1, round(HELD_OUT * len(drawn)))])
        for name in names or DETECTORS:
            scorer = DETECTORS[name](split.train[np.sort(kept)])
            scores, threshold = scorer(split.test), AlarmRate(rate).fit(scorer(split.train[held]))
            auc = metrics.roc_auc(split.y_test, scores)
            rows.append((name, learned, len(kept), auc, rate, *_decided(split.y_test, threshold.predict(scores))))
    everything = np.ones(len(split.y_test), dtype=np.bool_)
    rows.append((TRIVIAL, None, 0, 0.5, None, *_decided(split.y_test, everything)))
    return pl.DataFrame(rows, schema=LEARNED, orient="row").fill_nan(None)


def cluster_baselines(
    split: Connections, found: Reproduction, ks: Sequence[int] = (2, 3, 4, 6, 8, 16), *, seed: int = settings.SEED
) -> pl.DataFrame:
    """DBSCAN beside k-means with several numbers of clusters, also with as many as DBSCAN, on the training part.

    Args:
        split: the published split.
        found: of :func:`density_clusters`.
        ks: numbers of clusters; more than there are rows are left out.
        seed: of k-means.

    Returns:
        One row a method and kind of classes: ``method``, ``classes`` ("normal or attack", "category of attack"),
        ``clusters``, ``noise_share``, ``purity`` (noise is one more cluster), ``purity_without_noise`` and
        ``majority_share`` (purity of one single cluster), ``v_measure``, ``adjusted_rand`` beside its ``ceiling`` for
        clusters of these sizes, and ``merged_ari`` (each cluster called by its most frequent class).
    """
    labels = {found.step: found.labels["train"]} | _k_means(split.train, ks, found.labels["train"], seed)
    truths = {"normal or attack": pl.Series(split.y_train), "category of attack": split.kinds_train}
    return pl.DataFrame(
        [
            {"method": method, "classes": classes, **_agreement(clusters, truth)}
            for classes, truth in truths.items()
            for method, clusters in labels.items()
        ]
    )


def _forest(rows: Floats) -> Scorer:
    from sklearn.ensemble import IsolationForest

    fitted = IsolationForest(n_estimators=TREES, random_state=PUBLISHED_SEED).fit(rows)
    return lambda new: -fitted.score_samples(new)


def _local_density(rows: Floats) -> Scorer:
    from sklearn.neighbors import LocalOutlierFactor

    fitted = LocalOutlierFactor(_neighbours(rows), novelty=True).fit(rows)
    return lambda new: -fitted.score_samples(new)


def _core_distance(rows: Floats) -> Scorer:
    return DBSCAN(EPS, MIN_SAMPLES).fit(rows).score_samples


DETECTORS: Mapping[str, Detector] = {
    "isolation forest": _forest,
    "local outlier factor": _local_density,
    "DBSCAN, distance to a core point": _core_distance,
}
"""The three published detectors with their published settings, as scores of new rows."""
_DECIDED: Mapping[str, Callable[..., float]] = {
    "recall": metrics.recall,
    "precision": metrics.precision,
    "f1": metrics.f1,
}


def _decided(y: Bools, flagged: Bools) -> tuple[float, ...]:
    return metrics.false_alarm_rate(y, flagged), *(value(y, flagged) for value in _DECIDED.values())


def _encoded(frame: pl.DataFrame) -> tuple[Floats, tuple[str, ...]]:
    """Numbers in the order of the file, then a column for each category but the first in alphabetical order."""
    numbers = [name for name in nsl_kdd.COLUMNS if name not in nsl_kdd.CATEGORICAL]
    categories = [(name, value) for name in ENCODED for value in sorted(frame[name].unique())[1:]]
    chosen = [pl.col(numbers).cast(pl.Float64)]
    chosen += [(pl.col(name) == value).cast(pl.Float64).alias(f"{name}_{value}") for name, value in categories]
    table = frame.select(chosen)
    return np.ascontiguousarray(table.to_numpy()), tuple(table.columns)


def _scaled(train: Floats, test: Floats) -> tuple[Floats, Floats]:
    from sklearn.preprocessing import MinMaxScaler

    scaler = MinMaxScaler().fit(train)
    return scaler.transform(train), scaler.transform(test)


def _ints(labels: Any) -> Ints:  # noqa: ANN401 (arrays of scikit-learn have no types)
    return np.asarray(labels, dtype=np.int64)


def _neighbours(rows: Floats) -> int:
    return min(NEIGHBOURS, len(rows) - 1)


def _alarms(
    split: Connections, step: str, labels: Mapping[str, Ints], flagged: str, indices: tuple[str, str]
) -> Reproduction:
    count = Measured("flagged rows", "train", flagged, int((labels["train"] < 0).sum()))
    numbers = [count, *_indices(split, labels, indices)]
    return reproduction(step, numbers, comparable=split.comparable, labels=labels)


def _indices(
    split: Connections, labels: Mapping[str, Ints], published: tuple[str | None, str | None]
) -> list[Measured]:
    """Adjusted Rand index of both parts against the two classes, by the function of the publication."""
    from sklearn.metrics import adjusted_rand_score

    truths = {"train": split.y_train, "test": split.y_test}
    return [
        Measured("ARI against two classes", part, text, float(adjusted_rand_score(truths[part], labels[part])))
        for part, text in zip(truths, published, strict=True)
    ]


def _k_means(rows: Floats, ks: Sequence[int], like: Ints, seed: int) -> dict[str, Ints]:
    from sklearn.cluster import KMeans

    wanted = sorted({*ks, int(like.max()) + 1})
    return {
        f"k-means, k = {k}": _ints(KMeans(k, n_init=3, random_state=seed).fit(rows).labels_)
        for k in wanted
        if 1 < k <= len(rows)
    }


def _agreement(clusters: Ints, truth: pl.Series) -> dict[str, float]:
    found = clustering.agreement(clusters, truth, draws=0)
    return {
        "clusters": found.n_clusters,
        "noise_share": found.noise_share,
        "purity": found.purity,
        "purity_without_noise": clustering.purity(clusters[clusters >= 0], truth.filter(clusters >= 0)),
        "majority_share": found.majority_share,
        "v_measure": found.v_measure,
        "adjusted_rand": found.adjusted_rand,
        "ceiling": found.ceilings["adjusted_rand"],
        "merged_ari": found.merged_ari,
    }
