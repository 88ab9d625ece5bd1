"""Clusters of web events that were called "good" and "attack": a published experiment, and what its clusters are.

Published: 57,833 events of a web application firewall, described by address, size, status code and tf-idf of their
texts, reduced to nine principal components; DBSCAN with ``min_samples=18`` and an ``eps`` from the knee of the sorted
neighbour distances; the 50 smallest of 61 clusters called attack, the 11 largest good, noise unclassified.

Three things went wrong, and all three can be seen in the published components. The components were computed on columns
that had not been scaled, so that only the columns of large numbers are left: the size of the request and the eight
16-bit words of the client's address. The knee was read from the nearest neighbour, not from the 18th. And nothing in
the size of a cluster of addresses says whether its requests are attacks.

Source:
    github.com/ivan-zapreev/ML-PT (components and labels as published); Ester, Kriegel, Sander and Xu, KDD 1996;
    Satopaa, Albrecht, Irwin and Raghavan, "Finding a 'Kneedle' in a haystack", ICDCS Workshops 2011; Hyvarinen and Oja,
    "Independent component analysis", Neural Networks 2000 (mixed columns have more entropy than what was mixed).
"""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from utils.datasets import require, waf
from utils.datasets.contract import LABEL, Dataset
from utils.detectors.dbscan import DBSCAN, NeighbourGraph, distinct, k_distances, knee, sweep
from utils.detectors.published.reproduction import Measured, Reproduction, reproduction
from utils.errors import DataError
from utils.evaluation import clustering, metrics
from utils.evaluation.inputs import Bools, Floats, Ints, Values, as_labels, as_scores
from utils.features.web_events import numbers

EPS, MIN_SAMPLES = 0.06780965, 18
"""Radius as the published knee has it, printed as 0.0678; with the rounded one, two events more are noise."""
ATTACK_CLUSTERS = 50
ATTACK_SHARE = ATTACK_CLUSTERS / 61
SENSITIVITY = 14
PUBLISHED_NOISE = {
    1: "0.53",
    2: "1.40",
    7: "1.40",
    8: "1.92",
    9: "1.92",
    10: "2.56",
    13: "2.56",
    14: "2.80",
    59: "2.80",
}
"""Noise (%) by sensitivity of the knee, as published."""
NEAREST = 2
"""The nearest neighbour, a row itself being its first."""
MEMORY = "2 GB"
SIZE, WORDS = "size", tuple(f"address word {number}" for number in range(8))
STANDS_FOR = (SIZE, *("words 6 and 7, mixed",) * 2, *(f"word {number}" for number in (2, 5, 1, 3, 4, 0)))
"""Which column each published component is."""
LAST_WORDS = (1, 2)
"""Places of the components that hold the last two words, in which all IPv4 addresses differ."""
FROM_IPV4 = 0x2002
BINS = 500
STEP = 0.5
"""Bins of the histogram whose entropy is least, and step in degrees, when a turned plane is turned back."""
TURNED = ("first half of the address, turned back", "second half of the address, turned back")
KNEES = {
    "neighbour": pl.Int64,
    "sensitivity": pl.Float64,
    "eps": pl.Float64,
    "clusters": pl.Int64,
    "noise_share": pl.Float64,
    "published_noise": pl.Float64,
}


@dataclass(frozen=True, eq=False)
class Events:
    """What was clustered.

    Attributes:
        points: nine columns an event (n, 9).
        stands_for: what each column is.
        published: published cluster of each event, -1 for noise; ``None`` where there is none.
        truth: true for an attack; ``None`` where nobody knows.
        mixed: whether the last two words of the address are mixed, as in the published components.
        comparable: whether these are the published events.
    """

    points: Floats
    stands_for: tuple[str, ...]
    published: Ints | None
    truth: Bools | None
    mixed: bool
    comparable: bool


@dataclass(frozen=True, eq=False)
class Knees:
    """Radii that two curves of neighbour distances suggest.

    Attributes:
        table: ``neighbour`` (1 as published, 18 as DBSCAN asks for), ``sensitivity`` of the knee, ``eps`` (null where
            the curve has no knee), ``clusters`` and ``noise_share`` with it (null where so many events are neighbours
            that they do not fit into memory: nearly all is one cluster then), ``published_noise`` where published.
        distances: sorted distances of the events by neighbour.
        eps: the knee at the published sensitivity by neighbour, where there is one.
    """

    table: pl.DataFrame
    distances: Mapping[int, Floats]
    eps: Mapping[int, float]


@dataclass(frozen=True, eq=False)
class AddressBlocks:
    """How well the clusters are explained by the client's address alone.

    Attributes:
        components: ``column``, ``stands_for``, ``explained`` (share of the variance of the clustered events that lies
            between clusters, 0..1; null for a constant column); also of the address halves turned back.
        used: ``columns`` that DBSCAN was given, ``clusters``, ``noise_share``, ``adjusted_rand`` to the clusters of all
            columns.
        named: ``columns`` that as many boxes as there are clusters may use, ``right`` (share of the clustered events in
            a box of their own cluster) beside ``majority_share``.
        boxes: one row a cluster: ``cluster``, ``events``, ``inside`` (events of any kind within its bounds in the
            address columns), ``purity`` (share of them that are its own), ``width`` and ``height`` (share of the range
            of the first and the second half of the address that it takes).
        plane: first and second half of each event's address, turned back, in no unit (n, 2).
        angle: degrees by which the plane of the last two words had been turned.
    """

    components: pl.DataFrame
    used: pl.DataFrame
    named: pl.DataFrame
    boxes: pl.DataFrame
    plane: Floats
    angle: float


def events(dataset: Dataset) -> Events:
    """Take the published components, or make such columns of raw events where they are not at hand.

    Args:
        dataset: web events, real or simulated.

    Raises:
        DataError: if it holds neither components nor raw events.
    """
    if "mlpt" in dataset.frames:
        frame = dataset["mlpt"]
        require.columns(frame, (*waf.COMPONENTS, waf.CLUSTER), "the table of published components")
        points = np.ascontiguousarray(frame.select(waf.COMPONENTS).to_numpy().astype(np.float64))
        published = frame[waf.CLUSTER].to_numpy().astype(np.int64)
        return Events(points, STANDS_FOR, published, None, mixed=True, comparable=dataset.source == "real")
    if "events" in dataset.frames:
        frame = dataset["events"]
        truth = frame[LABEL].to_numpy().astype(np.bool_) if LABEL in frame.columns else None
        return Events(
            _columns_of_raw(frame), (SIZE, *WORDS[6:], *WORDS[:6]), None, truth, mixed=False, comparable=False
        )
    found = ", ".join(dataset.frames) or "none"
    raise DataError(f"published components or raw events must be among the tables of {dataset.name!r}, found {found}")


def event_clusters(found: Events, eps: float = EPS) -> Reproduction:
    """DBSCAN with the published radius and weight of a core point.

    Args:
        found: the events.
        eps: radius.
    """
    labels = DBSCAN(eps, MIN_SAMPLES, memory=MEMORY).fit(found.points).labels_.astype(np.int64)
    sizes = np.bincount(labels[labels >= 0])
    measured = [
        Measured("events", "all", "57833", len(labels)),
        Measured("clusters", "all", "61", len(sizes)),
        Measured("noise (%)", "all", "2.80", 100 * float((labels < 0).mean())),
        Measured("largest cluster", "all", "15820", int(sizes.max(initial=0))),
        Measured("smallest cluster", "all", "9", int(sizes.min()) if len(sizes) else 0),
    ]
    if found.published is not None:
        index = clustering.adjusted_rand(labels, found.published)
        measured.append(Measured("ARI to the published labels", "all", None, index))
    return reproduction("DBSCAN", measured, comparable=found.comparable, labels={"all": labels})


def knees(found: Events, sensitivities: Sequence[float] = (1, 2, 7, 8, 10, 14, 30, 59)) -> Knees:
    """Knees of the distances to the nearest neighbour, as published, and to the 18th, as DBSCAN asks for.

    Args:
        found: the events.
        sensitivities: Kneedle's S; the published choice, 14, is always among them.
    """
    seen = distinct(found.points)
    distances = {1: NEAREST, MIN_SAMPLES: MIN_SAMPLES}
    values = {name: k_distances(seen.points, min(k, len(found.points)), seen.weight) for name, k in distances.items()}
    wanted = sorted({*map(float, sensitivities), float(SENSITIVITY)})
    rows = [(name, s, _knee(each, s, seen.weight)) for name, each in values.items() for s in wanted]
    radii = {eps for _, _, eps in rows if eps}
    clustered = _clustered(seen.points, seen.weight, radii) if radii else {}
    shown = [
        (name, s, eps, *clustered.get(eps or 0.0, (None, None)), _published(name, s, found.comparable))
        for name, s, eps in rows
    ]
    chosen = {name: eps for name, s, eps in rows if s == SENSITIVITY and eps}
    curves = {name: np.sort(each[seen.inverse]) for name, each in values.items()}
    return Knees(pl.DataFrame(shown, schema=KNEES, orient="row"), curves, chosen)


def address_blocks(found: Events, labels: Values) -> AddressBlocks:
    """Ask how much of a clustering the address alone explains.

    The two components of the last address words are a mixture of both: a plane that was turned. It is turned back to
    the angle at which its two columns have the least entropy, as repeated halves of addresses do.

    Args:
        found: the events.
        labels: cluster of each event, -1 for noise (n,).

    Raises:
        DataError: if labels do not fit, or there is no cluster.
    """
    names = as_scores(labels, len(found.points), "labels").astype(np.int64)
    inside = names >= 0
    if not inside.any():
        raise DataError("address blocks are asked of clusters, found noise only: take a larger eps")
    plane = found.points[:, LAST_WORDS]
    angle, halves = turned_back(plane) if found.mixed else (0.0, plane)
    address = np.column_stack([halves, found.points[:, 3:]])
    explained = [*_explained(found.points[inside], names[inside]), *_explained(halves[inside], names[inside])]
    columns = [*waf.COMPONENTS, "-", "-"]
    components = {"column": columns, "stands_for": [*found.stands_for, *TURNED], "explained": explained}
    return AddressBlocks(
        components=pl.DataFrame(components, schema_overrides={"explained": pl.Float64}),
        used=_used(found.points, names),
        named=_named(found.points[inside], halves[inside], names[inside]),
        boxes=_boxes(address, names),
        plane=halves,
        angle=angle,
    )


def turned_back(plane: Floats) -> tuple[float, Floats]:
    """Undo the turn of a plane: the angle at which its two columns have the least entropy.

    Args:
        plane: two columns (n, 2).

    Returns:
        The angle in degrees, 0 to 90, and the columns turned back (n, 2), centred.
    """
    centred = plane - plane.mean(axis=0)
    looked = np.unique(centred, axis=0)
    angles = np.arange(0.0, 90.0, STEP)
    entropies = [sum(_entropy(column) for column in _turned(looked, angle).T) for angle in angles]
    best = float(angles[int(np.argmin(entropies))])
    return best, _turned(centred, best)


def names_by_size(found: Events, labels: Values, attacks: int | None = None) -> Reproduction:
    """Name clusters as published: noise unclassified, the smallest clusters attack, all others good.

    Args:
        found: the events.
        labels: cluster of each event, -1 for noise (n,).
        attacks: how many of the smallest clusters are called attack; if not given, 50 of 61 as published, or the same
            share of another number.

    Returns:
        Events of each name. ``labels["all"]``: 1 for attack, 0 for good, -1 for unclassified.

    Raises:
        DataError: if labels do not fit.
    """
    clusters = as_scores(labels, len(found.points), "labels").astype(np.int64)
    smallest = round((clusters.max(initial=-1) + 1) * ATTACK_SHARE) if attacks is None else attacks
    names = _names(clusters, smallest)
    published = {"good": (0, "51953"), "attack": (1, "4262"), "unclassified": (-1, "1618")}
    measured = [
        Measured(
            f"{name} events", "all", text if attacks in (None, ATTACK_CLUSTERS) else None, int((names == code).sum())
        )
        for name, (code, text) in published.items()
    ]
    if found.truth is not None:
        called = names == 1
        measured.append(Measured("attacks that are called attack", "all", None, metrics.recall(found.truth, called)))
        measured.append(Measured("called attack and attack", "all", None, metrics.precision(found.truth, called)))
    return reproduction("naming by size", measured, comparable=found.comparable, labels={"all": names})


def other_numbers_of_attacks(
    labels: Values, attacks: Sequence[int] = (10, 20, 30, 40, 50, 55, 60), truth: Values | None = None
) -> pl.DataFrame:
    """What the published names would be if another number of the smallest clusters were called attack.

    Args:
        labels: cluster of each event, -1 for noise (n,).
        attacks: numbers of clusters; those beyond the clusters there are count as all of them.
        truth: true for an attack, where known (n,).

    Returns:
        One row a number: ``attack_clusters``, ``largest_attack`` and ``smallest_good`` (events of those clusters, null
        where there is none), ``attack_events``, ``attack_share`` of all events; with truth also ``recall`` and
        ``precision``.

    Raises:
        DataError: if there is no event, or truth does not fit.
    """
    names = as_scores(labels, what="labels").astype(np.int64)
    sizes = np.sort(np.bincount(names[names >= 0]))
    if not len(sizes):
        raise DataError("names are given to clusters, found noise only: take a larger eps")
    rows = []
    for number in sorted({min(number, len(sizes)) for number in attacks}):
        called = _names(names, number) == 1
        row = {
            "attack_clusters": number,
            "largest_attack": int(sizes[number - 1]) if number else None,
            "smallest_good": int(sizes[number]) if number < len(sizes) else None,
            "attack_events": int(called.sum()),
            "attack_share": float(called.mean()),
        }
        if truth is not None:
            known = as_labels(truth, len(names))
            row |= {"recall": metrics.recall(known, called), "precision": metrics.precision(known, called)}
        rows.append(row)
    return pl.DataFrame(rows).fill_nan(None)


def _names(labels: Ints, attacks: int) -> Ints:
    """1 for events of the smallest clusters, 0 for other clusters, -1 for noise."""
    sizes = np.bincount(labels[labels >= 0])
    small = np.zeros(len(sizes) + 1, dtype=np.int64)
    small[np.argsort(sizes, kind="stable")[:attacks]] = 1
    small[-1] = -1
    return small[labels]


def _columns_of_raw(frame: pl.DataFrame) -> Floats:
    """Size and address words of raw events, scaled to standard deviation 1, in the order of the components."""
    addresses = frame[waf.CLIENT_IP].fill_null("")
    texts = addresses.unique(maintain_order=True)
    places = addresses.replace_strict(texts, pl.Series(range(len(texts)), dtype=pl.Int64), return_dtype=pl.Int64)
    address = np.array([_words(text) for text in texts])[places.to_numpy()]
    sizes = [
        -1 if (size := numbers.size_of(text)) is None else size for text in numbers.as_texts(frame[waf.REQUEST_SIZE])
    ]
    values = np.column_stack([sizes, address[:, 6:], address[:, :6]]).astype(np.float64)
    spread = values.std(axis=0)
    return np.asarray((values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0), dtype=np.float64)


def _words(address: str) -> list[float]:
    """Eight 16-bit words; an IPv4 address stands in the last two, after 2002 in the first; zeros for no address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return [0.0] * len(WORDS)
    bits = int(parsed) | (FROM_IPV4 << 112 if parsed.version == 4 else 0)
    return [float((bits >> shift) & 0xFFFF) for shift in range(112, -1, -16)]


def _knee(distances: Floats, sensitivity: float, weight: Floats) -> float | None:
    try:
        return knee(distances, sensitivity, weight) or None
    except DataError:
        return None


def _published(neighbour: int, sensitivity: float, comparable: bool) -> float | None:
    text = PUBLISHED_NOISE.get(int(sensitivity)) if comparable and neighbour == 1 else None
    return float(text) / 100 if text else None


def _clustered(points: Floats, weight: Floats, radii: set[float]) -> dict[float, tuple[int, float]]:
    """Clusters and share of noise with each radius whose neighbours fit into memory."""
    for radius in sorted(radii, reverse=True):
        try:
            graph = NeighbourGraph(points, weight, radius=radius, memory=MEMORY)
        except DataError:
            continue
        table = sweep(graph, [eps for eps in radii if eps <= radius], [MIN_SAMPLES]).table
        return {eps: (clusters, noise) for eps, clusters, noise in table["eps", "clusters", "noise_share"].iter_rows()}
    return {}


def _explained(columns: Floats, labels: Ints) -> list[float | None]:
    """Share of the variance of each column that lies between clusters (eta squared)."""
    counts = np.bincount(labels)
    means = np.stack([np.bincount(labels, column) for column in columns.T], axis=1) / np.maximum(counts, 1)[:, None]
    total = ((columns - columns.mean(axis=0)) ** 2).sum(axis=0)
    within = ((columns - means[labels]) ** 2).sum(axis=0)
    return [float(1 - w / t) if t > 0 else None for w, t in zip(within, total, strict=True)]


def _used(points: Floats, labels: Ints) -> pl.DataFrame:
    """Cluster again with some of the columns."""
    chosen = {"size and address": list(range(9)), "address": list(range(1, 9)), "its last two words": list(LAST_WORDS)}
    rows = []
    for name, places in chosen.items():
        again = DBSCAN(EPS, MIN_SAMPLES, memory=MEMORY).fit(points[:, places])
        index = clustering.adjusted_rand(again.labels_, labels)
        rows.append((name, len(places), again.n_clusters_, float((again.labels_ < 0).mean()), index))
    columns = ("columns", "n_columns", "clusters", "noise_share", "adjusted_rand")
    return pl.DataFrame(rows, schema=columns, orient="row")


def _named(points: Floats, halves: Floats, labels: Ints) -> pl.DataFrame:
    """Name the clusters by as many boxes as there are clusters, in some of the columns."""
    from sklearn.tree import DecisionTreeClassifier

    clusters = len(np.unique(labels))
    chosen = {
        "size of the request": points[:, :1],
        "first half of the address": halves[:, :1],
        "both halves of the address": halves,
        "whole address": np.column_stack([halves, points[:, 3:]]),
    }
    trees = {name: DecisionTreeClassifier(max_leaf_nodes=max(clusters, 2), random_state=0) for name in chosen}
    right = [float(trees[name].fit(columns, labels).score(columns, labels)) for name, columns in chosen.items()]
    majority = float(np.bincount(labels).max() / len(labels))
    return pl.DataFrame({"columns": list(chosen), "boxes": clusters, "right": right, "majority_share": majority})


def _boxes(address: Floats, labels: Ints) -> pl.DataFrame:
    """Bounds of each cluster in the columns of the address, and what lies within."""
    ranges = np.maximum(np.ptp(address[:, :2], axis=0), np.finfo(float).tiny)
    rows = []
    for cluster in range(int(labels.max()) + 1):
        own = address[labels == cluster]
        low, high = own.min(axis=0), own.max(axis=0)
        within = int(((address >= low) & (address <= high)).all(axis=1).sum())
        width, height = (high - low)[:2] / ranges
        rows.append((cluster, len(own), within, len(own) / within, float(width), float(height)))
    columns = ("cluster", "events", "inside", "purity", "width", "height")
    return pl.DataFrame(rows, schema=columns, orient="row").sort("events", descending=True, maintain_order=True)


def _turned(plane: Floats, degrees: float) -> Floats:
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.asarray(plane @ np.array([[cosine, -sine], [sine, cosine]]))


def _entropy(column: Floats) -> float:
    counts = np.histogram(column, BINS)[0]
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares @ np.log(shares)))
