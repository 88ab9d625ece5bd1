"""Names of the call-graph features; ``utils.features.call_graph`` says what each one means."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from utils.datasets import api
from utils.datasets.wording import listed, nearest
from utils.errors import SettingsError
from utils.features.call_graph.edges import Floats

SIZES = ("n_connections", "n_unique_nodes", "n_self_loops", "n_sources", "n_destinations", "density")
RECIPROCITY = ("reciprocity",)
SOURCE_DEGREES = tuple(f"{statistic}_source_out_degree" for statistic in ("avg", "min", "max", "std"))
DEST_DEGREES = tuple(f"{statistic}_dest_in_degree" for statistic in ("avg", "min", "max", "std"))
NODE_DEGREES = ("avg_degree", "std_out_degree", "std_in_degree", "out_hub_share", "in_hub_share")
CLUSTERING = ("avg_clustering",)
PAGE_RANK = ("mean_page_rank", "std_page_rank", "max_page_rank")

GLOBAL_SOURCE = tuple(f"{statistic}_global_source_degrees" for statistic in ("avg", "min", "max", "std"))
GLOBAL_DEST = tuple(f"{statistic}_global_dest_degrees" for statistic in ("avg", "min", "max", "std"))

LOCAL = (*SIZES, *RECIPROCITY, *SOURCE_DEGREES, *DEST_DEGREES, *NODE_DEGREES, *CLUSTERING, *PAGE_RANK)
"""Features of one graph alone."""
GLOBAL = (*GLOBAL_SOURCE, *GLOBAL_DEST)
"""Features that need the degrees in other graphs."""
ALL = (*LOCAL, *GLOBAL)
PUBLISHED = api.PUBLISHED_FEATURES
"""The nine features of the published notebook, in its order."""
MISNAMED = {api.STD_LOCAL: "std_dest_in_degree"}
"""Published names that say something else than they hold, and what they hold."""

ZERO_IF_EMPTY = frozenset(SIZES)
WHOLE = frozenset(
    name for name in ALL if name.startswith("n_") or (name.startswith(("min_", "max_")) and "degree" in name)
)
"""Features that are whole numbers."""


def check_features(features: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Return the wanted features as a tuple.

    Raises:
        SettingsError: if there is none, or one is unknown or named twice.
    """
    wanted = (features,) if isinstance(features, str) else tuple(features)
    if not wanted or len(set(wanted)) < len(wanted):
        raise SettingsError(f"features must name at least one feature, each once, found {wanted}: choose from ALL")
    for name in wanted:
        if name not in known and MISNAMED.get(name) not in known:
            near = nearest(str(name), known)
            raise SettingsError(f"features must be among {listed(known, len(known))}, found {name!r}{near}: correct it")
    return wanted


def empty_values(features: Sequence[str], graphs: int) -> Floats:
    """Make the table of graphs without edges: counts and density 0, all else not a number."""
    row = [0.0 if name in ZERO_IF_EMPTY else np.nan for name in features]
    return np.tile(np.array(row, np.float64), (graphs, 1))


def to_columns(values: Floats, features: Sequence[str]) -> list[pl.Series]:
    """Turn a matrix, one row a graph, into typed columns: whole numbers as Int64, what is not defined as null."""
    columns = [pl.Series(name, values[:, place]).fill_nan(None) for place, name in enumerate(features)]
    return [column.cast(pl.Int64) if column.name in WHOLE else column for column in columns]
