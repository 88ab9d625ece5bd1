"""The published experiments from the first step to the last, for whatever data sets are at hand."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from utils import settings
from utils.datasets.contract import Dataset
from utils.detectors.published.mlpt import (
    AddressBlocks,
    Knees,
    address_blocks,
    event_clusters,
    events,
    knees,
    names_by_size,
)
from utils.detectors.published.nsl_kdd import (
    cluster_baselines,
    connections,
    density_clusters,
    isolation_forest,
    k_means,
    learned_from,
    local_outlier_factor,
    what_was_flagged,
)
from utils.detectors.published.reproduction import Reproduction, together
from utils.errors import DataError

NOTHING = "not at hand."


@dataclass(frozen=True, eq=False)
class EventsAgain:
    """The published clustering of web events, done again.

    Attributes:
        steps: published and reproduced numbers; no row if there are no such events.
        knees: what the radius rests on; ``None`` if there are no such events.
        blocks: what the clusters follow; ``None`` if there are no such events, or only noise.
        summary: in one sentence.
    """

    steps: pl.DataFrame
    knees: Knees | None = None
    blocks: AddressBlocks | None = None
    summary: str = NOTHING


@dataclass(frozen=True, eq=False)
class ConnectionsAgain:
    """The published experiment on connections, done again.

    Attributes:
        steps: published and reproduced numbers; no row if there are no such connections.
        flagged: what the alarms of each step hold.
        learned: the same detectors learned from the mixture and from normal rows alone.
        clusters: clusters beside k-means.
        summary: in one sentence.
    """

    steps: pl.DataFrame
    flagged: pl.DataFrame
    learned: pl.DataFrame
    clusters: pl.DataFrame
    summary: str = NOTHING


def replay_events(data: Mapping[str, Dataset], name: str = "waf") -> EventsAgain:
    """Cluster the published components again, look at the radius and at what the clusters are.

    Args:
        data: data sets by name.
        name: the one with the web events.
    """
    if name not in data:
        return EventsAgain(together([]))
    found = events(data[name])
    clustered = event_clusters(found)
    labels = clustered.labels["all"]
    steps = together([clustered, names_by_size(found, labels)])
    try:
        blocks = address_blocks(found, labels)
    except DataError:
        return EventsAgain(steps, knees(found), None, _equal(steps))
    alone = blocks.used.filter(columns="address")["adjusted_rand"].item()
    summary = f"{_equal(steps)} The address alone gives clusters with an adjusted Rand index of {alone:.3f} to these."
    return EventsAgain(steps, knees(found), blocks, summary)


def replay_connections(
    data: Mapping[str, Dataset], name: str = "nsl_kdd", *, seed: int = settings.SEED
) -> ConnectionsAgain:
    """Run the published detectors again on a mixture, and learned from normal rows alone.

    Args:
        data: data sets by name.
        name: the one with the connections.
        seed: of what was not published.
    """
    if name not in data:
        return ConnectionsAgain(together([]), pl.DataFrame(), pl.DataFrame(), pl.DataFrame())
    split = connections(data[name])
    density = density_clusters(split)
    steps: list[Reproduction] = [isolation_forest(split), local_outlier_factor(split), density]
    table = together([*steps, k_means(split)])
    flagged, learned = what_was_flagged(split, steps), learned_from(split, seed=seed)
    return ConnectionsAgain(table, flagged, learned, cluster_baselines(split, density, seed=seed), _equal(table))


def _equal(steps: pl.DataFrame) -> str:
    """How many of the published numbers came out again."""
    compared = steps.filter(pl.col("equal").is_not_null())
    if not compared.height:
        return "The published rows are not at hand, so numbers are not compared."
    return f"{compared['equal'].sum()} of {compared.height} printed numbers come out again to every digit."
