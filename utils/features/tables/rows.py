"""Processed tables of typed rows: flows, connections, host pairs and users' own tables."""

from collections.abc import Iterator

import polars as pl

from utils.datasets.contract import Dataset, Roles
from utils.features.tables.columns import Offered, offered
from utils.features.tables.keys import Part, divided, keys, part, without_answers, without_constants

SRC, DST, WINDOW = "src", "dst", "window"
VOLUMES = ("bytes", "packets", "flows")


def build(dataset: Dataset, seed: int) -> Iterator[tuple[str, Part]]:
    """Make one table for each frame that has features, without identities and without constants.

    Args:
        dataset: any; frames without features are passed over.
        seed: of the division into training and test.

    Yields:
        The tables by the names of their frames; rows stand in the order of the frame.
    """
    for name, frame in dataset.frames.items():
        roles = dataset.roles[name]
        features = _typed(frame, roles)
        if features.frame.width:
            made = divided(part(keys(frame, roles), features, roles), seed)
            yield name, without_answers(without_constants(made))


def _typed(frame: pl.DataFrame, roles: Roles) -> Offered:
    """Features as the roles name them, and for pairs of hosts what the window around them tells."""
    features = offered(frame, roles)
    if not _host_pairs(frame):
        return features
    return features._replace(frame=pl.concat([features.frame, pair_features(frame)], how="horizontal"))


def _host_pairs(frame: pl.DataFrame) -> bool:
    if not {SRC, DST, WINDOW, *VOLUMES} <= set(frame.columns):
        return False
    return frame.schema[SRC] == frame.schema[DST] and all(frame.schema[name].is_numeric() for name in VOLUMES)


def pair_features(windows: pl.DataFrame) -> pl.DataFrame:
    """Describe each pair of hosts in a window of time by its proportions and by the other pairs of that window.

    Args:
        windows: rows of pairs and windows: window, src, dst, bytes, packets, flows; a pair may have several in a
            window.

    Returns:
        Bytes a packet, packets a flow, share of the pair in the bytes that its source sends and its destination
        receives, number of destinations of the source and of sources of the destination, and bytes in the other
        direction over both; all within the window, so that nothing is fitted. One row a row.
    """
    ends = (WINDOW, pl.col(DST).alias(SRC), pl.col(SRC).alias(DST))
    back = windows.group_by(ends).agg(pl.col("bytes").sum().alias("answer"))
    both = windows.join(back, on=[WINDOW, SRC, DST], how="left", maintain_order="left")
    answer = pl.col("answer").fill_null(0)
    return both.select(
        bytes_per_packet=pl.col("bytes") / pl.col("packets").clip(1),
        packets_per_flow=pl.col("packets") / pl.col("flows").clip(1),
        share_of_source=pl.col("bytes") / pl.col("bytes").sum().over(WINDOW, SRC).clip(1),
        share_of_destination=pl.col("bytes") / pl.col("bytes").sum().over(WINDOW, DST).clip(1),
        n_destinations=pl.col(DST).n_unique().over(WINDOW, SRC),
        n_sources=pl.col(SRC).n_unique().over(WINDOW, DST),
        answered_share=answer / (answer + pl.col("bytes")).clip(1),
    )
