"""The user's own data: a catalogue entry of kind ``table``, ``events``, ``call_graph`` or ``log``, with no Python.

``declare`` checks an entry, ``load`` reads its files; ``data/README.md`` explains the keys, with an example of each
kind.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from utils.datasets.contract import Dataset
from utils.datasets.own import call_graph, events, log, table
from utils.datasets.own.entry import OwnEntry, declare

__all__ = ["OwnEntry", "declare", "load"]

_LOADERS: Mapping[str, Callable[[OwnEntry], Dataset]] = MappingProxyType(
    {"table": table.load, "events": events.load, "call_graph": call_graph.load, "log": log.load}
)


def load(entry: OwnEntry) -> Dataset:
    """Load a user's data set.

    Args:
        entry: a checked catalogue entry.

    Returns:
        A data set of source ``"real"`` and origin ``"own files"``. Frames by kind: ``rows``; ``events`` and, with a
        session or window, ``sessions``; ``behaviors`` and ``edges``; ``lines`` and ``sessions``.

    Raises:
        CatalogError: if the entry does not fit its files: a missing file, column or time format.
        SchemaError: if a file is no table, or has another encoding.
        DataError: if a file is empty or damaged, or its labels or lines are not as the entry says.
    """
    return _LOADERS[entry.kind](entry)
