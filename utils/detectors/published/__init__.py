"""Published experiments of others, done again step by step, and why they say less than they seem to say.

:mod:`~utils.detectors.published.nsl_kdd` repeats an experiment on NSL-KDD that ran detectors of rare rows on a
mixture with 47 % attacks; :mod:`~utils.detectors.published.mlpt` a clustering of web events that was read as "good"
and "attack". Each step is one function that returns a :class:`Reproduction`: the published numbers beside ours and to
how many digits they are equal. On simulated data the same steps run and the published numbers are not compared.
"""

from utils.detectors.published.mlpt import (
    AddressBlocks,
    Events,
    Knees,
    address_blocks,
    event_clusters,
    events,
    knees,
    names_by_size,
    other_numbers_of_attacks,
)
from utils.detectors.published.nsl_kdd import (
    Connections,
    cluster_baselines,
    connections,
    density_clusters,
    isolation_forest,
    k_means,
    learned_from,
    local_outlier_factor,
    what_was_flagged,
)
from utils.detectors.published.reproduction import Reproduction, equal_digits, together

__all__ = [
    "AddressBlocks",
    "Connections",
    "Events",
    "Knees",
    "Reproduction",
    "address_blocks",
    "cluster_baselines",
    "connections",
    "density_clusters",
    "equal_digits",
    "event_clusters",
    "events",
    "isolation_forest",
    "k_means",
    "knees",
    "learned_from",
    "local_outlier_factor",
    "names_by_size",
    "other_numbers_of_attacks",
    "together",
    "what_was_flagged",
]
