"""Structure of a traffic graph: communities of hosts, and numbers that describe the graph of a window.

Source:
    Communities: Blondel, Guillaume, Lambiotte, Lefebvre, "Fast unfolding of communities in large networks", J. Stat.
    Mech. 2008 (Louvain method); modularity: Newman, Girvan, Phys. Rev. E 69 (2004). Difference of two partitions:
    Meila, "Comparing clusterings", J. Multivariate Analysis 98 (2007), divided by log n.
"""

import numpy as np
import polars as pl

from utils.evaluation.inputs import Floats, Ints
from utils.features.traffic_graphs.windows import DST, SRC, TIME, WINDOW

MOST_ROUNDS = 20
GAIN = 1e-9


def communities(weight: Floats) -> Ints:
    """Divide hosts into groups that talk among themselves, by the Louvain method; deterministic.

    Args:
        weight: strength of each edge, from 0 on, shape (hosts, hosts); both directions are added.

    Returns:
        Number of the community of each host, 0 for that of the first host, shape (hosts,). Hosts without any edge stand
        alone.
    """
    graph = np.asarray(weight, dtype=np.float64)
    graph = graph + graph.T
    groups = np.arange(len(graph))
    while graph.sum() > 0:
        moved = _move(graph)
        if len(np.unique(moved)) == len(graph):
            break
        groups = moved[groups]
        member = np.eye(moved.max() + 1)[moved]
        graph = member.T @ graph @ member
    return _numbered(groups)


def modularity(weight: Floats, groups: Ints) -> float:
    """Share of the traffic inside communities beyond what chance would put there, -0.5 to 1; 0 without traffic."""
    graph = np.asarray(weight, dtype=np.float64)
    graph = graph + graph.T
    total = graph.sum()
    if not total:
        return 0.0
    member = np.eye(int(groups.max()) + 1)[groups]
    inside = np.diag(member.T @ graph @ member).sum() / total
    return float(inside - ((member.T @ graph.sum(axis=1) / total) ** 2).sum())


def partition_change(before: Ints, after: Ints) -> float:
    """Variation of information between two divisions of the same hosts, from 0 (equal) to 1."""
    n = len(before)
    if n < 2:
        return 0.0
    joint = np.zeros((int(before.max()) + 1, int(after.max()) + 1))
    np.add.at(joint, (before, after), 1.0 / n)
    rows, columns = joint.sum(axis=1, keepdims=True), joint.sum(axis=0, keepdims=True)
    seen = joint > 0
    lost = -(joint[seen] * np.log((joint**2 / np.maximum(rows * columns, 1e-300))[seen])).sum()
    return float(np.clip(lost / np.log(n), 0.0, 1.0))


def matrix_of(edges: pl.DataFrame, place: dict[str, int]) -> Floats:
    """Logarithm of the bytes between hosts, added up over the rows; hosts without a place are left out."""
    known = edges.filter(pl.col(SRC).is_in(place.keys()) & pl.col(DST).is_in(place.keys()))
    row, column = (known[name].replace_strict(place, return_dtype=pl.Int64).to_numpy() for name in (SRC, DST))
    total = np.zeros((len(place), len(place)))
    np.add.at(total, (row, column), known["bytes"].to_numpy().astype(np.float64) + known["flows"].to_numpy())
    return np.log1p(total)


def graph_windows(edges: pl.DataFrame, known: pl.DataFrame | None = None) -> pl.DataFrame:
    """Describe the graph of each window.

    Args:
        edges: rows of :func:`~utils.features.traffic_graphs.windows.edge_windows`.
        known: ``src`` and ``dst`` of the edges of training; without it no edge is new.

    Returns:
        One row a window: ``window``, ``time``, ``hosts``, ``edges``, ``density`` (share of the ordered pairs that
        talk), ``reciprocity`` (share of the edges that are answered), ``new_edges``, ``bytes``, ``packets``, ``flows``,
        ``largest_share`` (of the bytes, by one edge), ``evenness`` (entropy of the shares of the edges, 0 to 1).
    """
    active = edges.filter(pl.col("flows") > 0)
    if known is not None:
        old = known.select(SRC, DST).unique().with_columns(pl.lit(True).alias("old"))
        active = active.join(old, on=[SRC, DST], how="left").with_columns(pl.col("old").fill_null(False))
    else:
        active = active.with_columns(pl.lit(True).alias("old"))
    share = pl.col("bytes") / pl.col("bytes").sum()
    entropy = -(share * (share + 1e-300).log()).sum() / pl.len().clip(2).cast(pl.Float64).log()
    found = active.group_by(WINDOW).agg(
        pl.col(TIME).first(),
        pl.concat([pl.col(SRC), pl.col(DST)]).n_unique().alias("hosts"),
        pl.len().alias("edges"),
        (pl.col("answer") > 0).mean().alias("reciprocity"),
        (~pl.col("old")).sum().alias("new_edges"),
        pl.col("bytes", "packets", "flows").sum(),
        (pl.col("bytes").max() / pl.col("bytes").sum().clip(1)).alias("largest_share"),
        entropy.fill_nan(0.0).clip(0.0, 1.0).alias("evenness"),
    )
    pairs = pl.col("hosts").cast(pl.Float64) * (pl.col("hosts") - 1).clip(1)
    return found.with_columns((pl.col("edges") / pairs).alias("density")).sort(WINDOW)


def _move(graph: Floats) -> Ints:
    """Move single hosts to the neighbouring community with the highest gain of modularity until none gains."""
    n, strength = len(graph), graph.sum(axis=1)
    total = strength.sum()
    groups = np.arange(n)
    mass = strength.copy()
    links = graph.copy()
    np.fill_diagonal(links, 0.0)
    for _ in range(MOST_ROUNDS):
        changed = False
        for host in np.flatnonzero(links.any(axis=1)):
            mass[groups[host]] -= strength[host]
            inside = np.bincount(groups, links[host], minlength=n)
            gain = inside - strength[host] * mass / total
            best = int(gain.argmax())
            if gain[best] > gain[groups[host]] + GAIN * total:
                groups[host], changed = best, True
            mass[groups[host]] += strength[host]
        if not changed:
            break
    return _numbered(groups)


def _numbered(groups: Ints) -> Ints:
    """Number communities 0, 1, ... in order of first appearance."""
    _, first, place = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[place].astype(np.int64)
