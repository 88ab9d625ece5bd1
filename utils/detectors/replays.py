"""The published experiments from the first step to the last, for whatever data sets are at hand."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from utils import settings
from utils.datasets.contract import Dataset
from utils.detectors import published
from utils.detectors.published import AddressBlocks, Knees, Reproduction
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
        return EventsAgain(published.together([]))
    found = published.events(data[name])
    clustered = published.event_clusters(found)
    labels = clustered.labels["all"]
    steps = published.together([clustered, published.names_by_size(found, labels)])
    try:
        blocks = published.address_blocks(found, labels)
    except DataError:
        return EventsAgain(steps, published.knees(found), None, _equal(steps))
    alone = blocks.used.filter(columns="address")["adjusted_rand"].item()
    summary = f"{_equal(steps)} The address alone gives clusters with an adjusted Rand index of {alone:.3f} to these."
    return EventsAgain(steps, published.knees(found), blocks, summary)


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
        return ConnectionsAgain(published.together([]), pl.DataFrame(), pl.DataFrame(), pl.DataFrame())
    split = published.connections(data[name])
    density = published.density_clusters(split)
    steps: list[Reproduction] = [published.isolation_forest(split), published.local_outlier_factor(split), density]
    table = published.together([*steps, published.k_means(split)])
    flagged, learned = published.what_was_flagged(split, steps), published.learned_from(split, seed=seed)
    return ConnectionsAgain(
        table, flagged, learned, published.cluster_baselines(split, density, seed=seed), _equal(table)
    )


def _equal(steps: pl.DataFrame) -> str:
    """How many of the published numbers came out again."""
    compared = steps.filter(pl.col("equal").is_not_null())
    if not compared.height:
        return "The published rows are not at hand, so numbers are not compared."
    return f"{compared['equal'].sum()} of {compared.height} printed numbers come out again to every digit."
