"""What each edge usually does at each time of the day, learned from windows of the past.

Counts are compared with the negative binomial distribution (a Poisson count whose rate varies), the natural model of
over-dispersed flow counts: Lambert and Liu, "Adaptive thresholds: monitoring streams of network counts", JASA 101
(2006). Means by time of day are shrunk towards the edge's overall mean, so that few days of history will do. Sizes are
compared with median and MAD of the edge (Hampel, "The influence curve and its role in robust estimation", JASA 1974).
"""

from typing import Self

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from utils.datasets import require
from utils.errors import DataError
from utils.evaluation.inputs import Floats, Ints
from utils.features.traffic_graphs.windows import DST, EDGE, SRC, TIME, VOLUMES, WINDOW

SLOTS = 48
"""Parts of a day that have their own means."""

NEIGHBOUR = 0.25
"""Weight of the slots before and after."""

PRIOR_WINDOWS = 2.0
PRIOR_ROWS = 10.0
DISPERSIONS = (0.3, 100.0)
MOST_SURPRISE = 300.0
MAD_TO_SIGMA = 1.4826
ENOUGH_ROWS = 5
TAIL_PART = 20
TAIL_INDEX = (1.0, 5.0)
"""Limits of the exponent of the tail of flow counts."""

LEAST_SPREAD = 0.1
"""Smallest standard deviation of a logarithm of size: a tenth, so that constant sizes do not make every byte odd."""

RATIOS = ("packets_a_flow", "bytes_a_packet", "share_of_source", "balance")


def ratios() -> list[pl.Expr]:
    """Logarithms of what describes an edge and window beside its number of flows."""
    sent = pl.col("bytes").sum().over(WINDOW, SRC)
    return [
        ((pl.col("packets") + 1) / (pl.col("flows") + 1)).log().alias("packets_a_flow"),
        ((pl.col("bytes") + 40) / (pl.col("packets") + 1)).log().alias("bytes_a_packet"),
        ((pl.col("bytes") + 40) / (sent + 40)).log().alias("share_of_source"),
        ((pl.col("bytes") + 1_000) / (pl.col("answer") + 1_000)).log().alias("balance"),
    ]


class EdgeHistory(BaseEstimator):  # type: ignore[misc]
    """Usual flows, sizes and times of each edge.

    Args:
        slots: parts of the day with means of their own; working days and weekends are told apart.

    Attributes:
        edges_: known edges: ``src``, ``dst``, ``edge`` (number), ``dispersion``, and ``<ratio>_centre``,
            ``<ratio>_spread`` of each of :data:`RATIOS`.
        rate_: mean flows in a window, shape (edges + 1, 2 * slots); the last row is that of an unknown edge, 0.
        active_: probability that a window holds any flow, likewise.
        n_windows_: windows of the time of training.
        new_rate_: chance that a row of a host's is the first of its edge, by ``src``; ``new_rate_of_all_`` for others.
    """

    def __init__(self, slots: int = SLOTS) -> None:
        self.slots = slots

    def fit(self, edges: pl.DataFrame, y: object = None) -> Self:
        """Learn from edges in windows; all rows are taken for usual.

        Args:
            edges: rows of :func:`~utils.features.traffic_graphs.windows.edge_windows`.
            y: not used.

        Returns:
            The history.

        Raises:
            SchemaError: if a column is missing.
            DataError: if there is no row.
        """
        require.columns(edges, (*EDGE, TIME, *VOLUMES, "answer"), "the table of edges")
        if edges.is_empty():
            raise DataError("a history needs windows of the past, found none: give rows before those to judge")
        pairs = edges.select(SRC, DST).unique(maintain_order=True).with_row_index("edge")
        self.edges_ = pairs.with_columns(pl.col("edge").cast(pl.Int64))
        row, slot = self._places(edges)
        flows = edges["flows"].to_numpy().astype(np.float64)
        windows = self._windows_of_slots(edges)
        self.n_windows_ = float(windows.sum())
        self.rate_ = self._means(row, slot, flows, windows)
        self.active_ = np.clip(self._means(row, slot, (flows > 0).astype(np.float64), windows), 0.0, 1.0)
        self._learn_spread(edges, row, flows - self.rate_[row, slot], self.rate_[row, slot], windows)
        self._learn_new_edges(edges)
        self._learn_all_flows(row, flows)
        return self

    def expected(self, edges: pl.DataFrame) -> tuple[Ints, Floats, Floats]:
        """Number (the number of known edges for an unknown one), mean flows and activity of each row, shape (n,)."""
        check_is_fitted(self, "rate_")
        row, slot = self._places(edges)
        return row, self.rate_[row, slot], self.active_[row, slot]

    def slot_of(self, times: pl.Series) -> Ints:
        """Number of the part of the day, those of weekends after those of working days, shape (n,)."""
        minutes = times.dt.hour().cast(pl.Int64) * 60 + times.dt.minute().cast(pl.Int64)
        weekend = (times.dt.weekday() > 5).cast(pl.Int64)
        return (minutes * self.slots // (24 * 60) + weekend * self.slots).to_numpy().astype(np.int64)

    def slots_of_windows(self, edges: pl.DataFrame, before: int = 0) -> Ints:
        """Slot of every window from the first to the last one of some edges, seen or not.

        Args:
            edges: n rows, at least one.
            before: so many windows before the first come first.
        """
        numbers, times = edges[WINDOW].to_numpy(), edges[TIME].dt.timestamp("us").to_numpy()
        first, last = int(numbers.min()), int(numbers.max())
        every = max((int(times.max()) - int(times.min())) // max(last - first, 1), 1)
        steps = times.min() + np.arange(-before, last - first + 1) * every
        return self.slot_of(pl.Series(steps.astype(np.int64)).cast(pl.Datetime("us")))

    def surprise(self, edges: pl.DataFrame) -> dict[str, Floats]:
        """Compare each row with the history of its edge.

        Args:
            edges: n rows.

        Returns:
            Each of shape (n,), 0 where nothing is odd: ``flows_surprise`` (-log10 of the chance of so many flows or
            more; the less is known of an edge, the more it is compared with all edges), ``silence_surprise`` (-log10 of
            the chance of no flow, where there is none), ``new_edge_surprise`` (-log10 of the rate of new edges of the
            source, where the edge is unknown) and ``<ratio>_deviation`` (signed robust standard deviations).
        """
        row, rate, active = self.expected(edges)
        flows = edges["flows"].to_numpy().astype(np.float64)
        known = row < self.edges_.height
        found = {
            "flows_surprise": self._flows_surprise(flows, row, rate),
            "silence_surprise": np.where(known & (flows == 0), -np.log10(np.clip(1 - active, 1e-12, 1.0)), 0.0),
            "new_edge_surprise": np.where(known, 0.0, -np.log10(self._new_rates(edges))),
        }
        table = edges.select(ratios()).to_numpy()
        deviations = (table - self._centre[row]) / self._spread[row]
        deviations[flows == 0] = 0.0
        return found | {f"{name}_deviation": deviations[:, place] for place, name in enumerate(RATIOS)}

    def _places(self, edges: pl.DataFrame) -> tuple[Ints, Ints]:
        numbers = edges.select(SRC, DST).join(self.edges_, on=[SRC, DST], how="left", maintain_order="left")["edge"]
        return numbers.fill_null(self.edges_.height).to_numpy(), self.slot_of(edges[TIME])

    def _windows_of_slots(self, edges: pl.DataFrame) -> Floats:
        """How many windows of the time of training lie in each slot, seen or not; shape (2 * slots,)."""
        return np.bincount(self.slots_of_windows(edges), minlength=2 * self.slots).astype(np.float64)

    def _means(self, row: Ints, slot: Ints, values: Floats, windows: Floats) -> Floats:
        """Mean of values by edge and slot, shrunk to that of the slot on all days, and that to the mean of the edge."""
        shape = (self.edges_.height, 2, self.slots)
        cells = row * 2 * self.slots + slot
        counted = np.bincount(cells, values, minlength=shape[0] * shape[1] * shape[2]).astype(np.float64)
        sums, counts = _smooth(counted.reshape(shape)), _smooth(windows.reshape(2, self.slots))
        whole = sums.sum(axis=(1, 2)) / max(counts.sum(), 1.0)
        daily = (sums.sum(axis=1) + PRIOR_WINDOWS * whole[:, None]) / (counts.sum(axis=0) + PRIOR_WINDOWS)
        means = (sums + PRIOR_WINDOWS * daily[:, None]) / (counts + PRIOR_WINDOWS)
        return np.vstack([means.reshape(shape[0], -1), np.zeros((1, 2 * self.slots))])

    def _learn_spread(self, edges: pl.DataFrame, row: Ints, rest: Floats, rate: Floats, windows: Floats) -> None:
        """Dispersion of flow counts by moments, and median and MAD of the ratios, each shrunk to that of all edges."""
        n = self.edges_.height
        rates = self.rate_[:n]
        absent = np.maximum((windows * rates**2).sum(axis=1) - np.bincount(row, rate**2, minlength=n), 0.0)
        variance = np.bincount(row, np.minimum(rest**2, 25 * (rate + rate**2 + 1)), minlength=n) + absent
        excess = np.maximum(variance - (windows * rates).sum(axis=1), 0.0)
        square = (windows * rates**2).sum(axis=1)
        usual = max(excess.sum(), 1e-9) / max(square.sum(), 1e-9)
        weight = PRIOR_ROWS * max(float(np.mean(rate**2)), 1e-9)
        dispersion = np.clip((square + weight) / np.maximum(excess + weight * usual, 1e-9), *DISPERSIONS)
        self._dispersion = np.append(dispersion, float(np.clip(1 / max(usual, 1e-9), *DISPERSIONS)))
        self._learn_ratios(edges, row)
        columns = {"dispersion": self._dispersion[:n]} | {
            f"{name}_{what}": values[:n, place]
            for what, values in (("centre", self._centre), ("spread", self._spread))
            for place, name in enumerate(RATIOS)
        }
        self.edges_ = self.edges_.with_columns(**{name: pl.Series(values) for name, values in columns.items()})

    def _learn_ratios(self, edges: pl.DataFrame, row: Ints) -> None:
        table = edges.select("flows", *ratios()).with_columns(pl.Series("edge", row)).filter(pl.col("flows") > 0)
        table = table if table.height else edges.select("flows", *ratios()).with_columns(pl.Series("edge", row))
        middle = table.with_columns((pl.col(name) - pl.col(name).median().over("edge")).abs() for name in RATIOS)
        by_edge = (
            table.group_by("edge")
            .agg(pl.len(), pl.col(RATIOS).median())
            .join(middle.group_by("edge").agg(pl.col(RATIOS).median().name.suffix("_mad")), on="edge")
        )
        everywhere = table.select(RATIOS).to_numpy()
        centre = np.median(everywhere, axis=0)
        whole = np.maximum(everywhere.std(axis=0), LEAST_SPREAD)
        often = middle.filter(pl.len().over("edge") >= ENOUGH_ROWS)
        typical = MAD_TO_SIGMA * np.median(often.select(RATIOS).to_numpy(), axis=0) if often.height else whole
        within = np.maximum(typical, LEAST_SPREAD)
        n = by_edge["len"].to_numpy()[:, None]
        mads = MAD_TO_SIGMA * by_edge.select(f"{name}_mad" for name in RATIOS).to_numpy()
        place = by_edge["edge"].to_numpy()
        self._centre = np.tile(centre, (self.edges_.height + 1, 1))
        self._spread = np.tile(whole, (self.edges_.height + 1, 1))
        self._centre[place] = by_edge.select(RATIOS).to_numpy()
        shrunk = np.sqrt((n * mads**2 + PRIOR_ROWS * within**2) / (n + PRIOR_ROWS))
        doubt = np.sqrt(1 + 1 / n)
        self._spread[place] = np.maximum(shrunk * doubt, LEAST_SPREAD)

    def _learn_all_flows(self, row: Ints, flows: Floats) -> None:
        """Active windows of each edge, flows of all active windows, and how fast their tail falls (Hill, 1975)."""
        self._seen = np.append(np.bincount(row[flows > 0], minlength=self.edges_.height).astype(np.float64), 0.0)
        self._flows = np.sort(flows[flows > 0]) if (flows > 0).any() else np.ones(1)
        highest = self._flows[-max(2, len(self._flows) // TAIL_PART) :]
        fall = float(np.log(highest / highest[0]).mean())
        self._tail_index = float(np.clip(1 / max(fall, 1e-9), *TAIL_INDEX))

    def _learn_new_edges(self, edges: pl.DataFrame) -> None:
        """How often, in the second half of the past, a row of a host was the first of its edge."""
        numbers = edges[WINDOW].to_numpy()
        middle = (int(numbers.min()) + int(numbers.max()) + 1) // 2
        first = pl.col(WINDOW) == pl.col(WINDOW).min().over(SRC, DST)
        late = edges.with_columns(first.alias("first")).filter(pl.col(WINDOW) >= middle)
        overall = (int(late["first"].sum()) + 1) / (late.height + 2)
        rates = late.group_by(SRC).agg((pl.col("first").sum() + overall * PRIOR_ROWS) / (pl.len() + PRIOR_ROWS))
        self.new_rate_of_all_ = overall
        self.new_rate_: dict[str, float] = dict(rates.iter_rows())

    def _new_rates(self, edges: pl.DataFrame) -> Floats:
        rates = edges[SRC].replace_strict(self.new_rate_, default=self.new_rate_of_all_, return_dtype=pl.Float64)
        return np.asarray(np.clip(rates.to_numpy(), 1e-9, 1.0))

    def _flows_surprise(self, flows: Floats, row: Ints, rate: Floats) -> Floats:
        """-log10 of the chance of so many flows: that of the edge, and with the weight of one window that of all."""
        doubt = 1 / (1 + self._seen[row])
        chance = (1 - doubt) * self._tail(flows, rate, self._dispersion[row]) + doubt * self._tail_of_all(flows)
        return np.where(flows > 0, -np.log10(np.clip(chance, 10.0**-MOST_SURPRISE, 1.0)), 0.0)

    def _tail_of_all(self, flows: Floats) -> Floats:
        """Share of active windows of all edges with so many flows or more; a Pareto tail beyond the highest number."""
        total, top = len(self._flows), float(self._flows[-1])
        as_many = total - np.searchsorted(self._flows, flows, side="left")
        return np.asarray((1 + as_many) / (1 + total) * (np.maximum(flows, top) / top) ** -self._tail_index)

    def _tail(self, flows: Floats, rate: Floats, dispersion: Floats) -> Floats:
        """P(X >= flows) of a negative binomial with this mean and dispersion."""
        from scipy.special import betainc

        mean = np.maximum(rate, 1e-6)
        return np.asarray(betainc(np.maximum(flows, 1.0), dispersion, mean / (mean + dispersion)))


def _smooth(cells: Floats) -> Floats:
    """Weigh each slot with its neighbours, round the clock; the last axis is the day."""
    beside = np.roll(cells, 1, -1) + np.roll(cells, -1, -1)
    return np.asarray((1 - 2 * NEIGHBOUR) * cells + NEIGHBOUR * beside)
