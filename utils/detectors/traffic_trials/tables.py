"""Edges in windows of time of any data set with sources and destinations, divided by time."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import polars as pl

from utils import settings
from utils.datasets.contract import LABEL, Dataset
from utils.errors import DataError
from utils.evaluation.inputs import Bools, Ints
from utils.features.traffic_graphs import columns_of, edge_windows
from utils.features.traffic_graphs.windows import EVERY, TIME, WINDOW, Columns

SIMULATED = "traffic"
WEEKS = 3
"""Weeks that the simulated network runs: one to learn from, one for thresholds, one to judge."""

FEWEST_WINDOWS = 12
PARTS = 3


@dataclass(frozen=True, eq=False)
class Traffic:
    """Edges in windows, and what each row is for.

    Attributes:
        name: data set.
        edges: rows of :func:`~utils.features.traffic_graphs.edge_windows`, with label and kind where there are any.
        learned: rows that features and detectors learn from, shape (n,); normal ones where there are labels.
        held: later rows that thresholds are chosen on, shape (n,); likewise.
        judged: the latest rows, shape (n,).
        past: all rows before the judged ones, anomalies among them, shape (n,): what labels can be learned from.
        labelled: whether there is a label.
        divided: how time was divided, in a sentence.
        truth: what the label of a row means, in a sentence.
    """

    name: str
    edges: pl.DataFrame
    learned: Bools
    held: Bools
    judged: Bools
    past: Bools
    labelled: bool
    divided: str
    truth: str


def prepare(
    data: Mapping[str, Dataset],
    *,
    weeks: int = WEEKS,
    hosts: int = 24,
    every: timedelta = EVERY,
    unlabelled: bool = False,
    seed: int = settings.SEED,
) -> tuple[dict[str, Traffic], tuple[str, ...]]:
    """Make edges of every data set that says who talked to whom and when.

    Args:
        data: data sets by name. The simulated network is run anew for so many weeks, as one that does not see the same
            weekday twice says nothing of habits; all others are taken as they are.
        weeks: weeks of the simulated network, at least 3.
        hosts: hosts of the simulated network, at least 4.
        every: length of a window.
        unlabelled: learn from anomalies, too, as if nobody had labelled the past.
        seed: of the simulation.

    Returns:
        The edges by data set, and a sentence for each data set that was left out.
    """
    made, notes = dict[str, Traffic](), []
    for name, dataset in data.items():
        found = _with_habits(dataset, weeks, hosts, seed) if name == SIMULATED else dataset
        try:
            made[name] = edges_of(found, every=every, unlabelled=unlabelled)
        except DataError as error:
            notes.append(f"{name} is left out: {error}")
    return made, tuple(notes)


def edges_of(dataset: Dataset, *, every: timedelta = EVERY, unlabelled: bool = False) -> Traffic:
    """Make edges of one data set and divide them by time.

    Where the data begin with whole days without an anomaly, these are the past, two thirds of it to learn from and one
    for thresholds, and everything after is judged. Else the weeks (or days, or windows, where there are fewer than
    three) are divided into three parts that follow each other.

    Args:
        dataset: any data set.
        every: length of a window.
        unlabelled: learn from anomalies, too.

    Raises:
        DataError: if no table has a source, a destination and a time, or there are too few windows to divide.
    """
    name, columns = _traffic_of(dataset)
    roles = dataset.roles[name]
    edges = edge_windows(dataset[name], columns, every=every, label=roles.label, kind=roles.anomaly_type)
    number = edges[WINDOW].to_numpy()
    if edges[WINDOW].n_unique() < FEWEST_WINDOWS:
        found = f"{edges[WINDOW].n_unique()} of {_minutes(every)} minutes"
        raise DataError(f"a past and a present need at least {FEWEST_WINDOWS} windows with traffic, found {found}")
    labelled = roles.label is not None
    guilty = edges[LABEL].to_numpy() if labelled else np.zeros(edges.height, dtype=bool)
    begin, end, divided = _ends(edges, guilty)
    usable = np.ones(edges.height, dtype=bool) if unlabelled else ~guilty
    learned, held = (number < begin) & usable, (number >= begin) & (number < end) & usable
    if not (learned.any() and held.any() and (number >= end).any()):
        raise DataError("a past, a part for thresholds and a part to judge need normal rows each, found one without")
    unit = f"a pair of hosts in {_minutes(every)} minutes"
    truth = (
        f"A row is {unit}; it is anomalous if any of its traffic is." if labelled else f"A row is {unit}, unlabelled."
    )
    return Traffic(dataset.name, edges, learned, held, number >= end, number < end, labelled, divided, truth)


def _with_habits(dataset: Dataset, weeks: int, hosts: int, seed: int) -> Dataset:
    """The simulated network over several weeks."""
    from utils.simulate import traffic

    if weeks < PARTS:
        raise DataError(f"habits need at least {PARTS} weeks (to learn, for thresholds, to judge), found {weeks}")
    made = traffic.simulate(weeks * traffic.WINDOWS_A_WEEK, seed, hosts=hosts)
    return replace(dataset, frames={name: made[name] for name in dataset.frames})


def _traffic_of(dataset: Dataset) -> tuple[str, Columns]:
    """Name of the first frame that is traffic, and its columns."""
    for name, frame in dataset.frames.items():
        columns = columns_of(frame, dataset.roles[name])
        if columns is not None:
            return name, columns
    raise DataError("a graph of traffic needs columns with source, destination and time, found no such table")


def _ends(edges: pl.DataFrame, guilty: Bools) -> tuple[int, int, str]:
    """First window for thresholds, first window to judge, and both in words."""
    number = edges[WINDOW].to_numpy()
    day = edges[TIME].dt.date()
    quiet = day.to_numpy() < day.filter(pl.Series(guilty)).min() if guilty.any() else np.zeros(len(number), dtype=bool)
    if quiet.any():
        windows = np.unique(number[quiet])
        begin, end = int(windows[len(windows) * 2 // PARTS]), int(windows[-1]) + 1
        days = day.filter(pl.Series(quiet)).n_unique()
        return (
            begin,
            end,
            f"Learned: two thirds of the {_days(days)} before the first attack; thresholds: the last third.",
        )
    for what, label in (("week", day.dt.truncate("1w")), ("day", day), ("window", edges[WINDOW])):
        units = label.unique().sort()
        if len(units) >= PARTS:
            third = len(units) // PARTS
            first = [_first_window(number, label, units[len(units) - parts * third]) for parts in (2, 1)]
            words = (
                f"Learned: the first {len(units) - 2 * third} of {len(units)} {what}s; thresholds: the next {third}."
            )
            return first[0], first[1], words
    raise DataError(f"a past and a present need at least {PARTS} windows, found {edges[WINDOW].n_unique()}")


def _first_window(number: Ints, label: pl.Series, unit: object) -> int:
    return int(number[(label == unit).to_numpy()].min())


def _days(days: int) -> str:
    return "day" if days == 1 else f"{days} days"


def _minutes(every: timedelta) -> str:
    return f"{every / timedelta(minutes=1):g}"
