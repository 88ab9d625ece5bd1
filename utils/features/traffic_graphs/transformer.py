"""Columns that describe edges and hosts of traffic graphs, learned from a past and computed without a look ahead."""

from typing import Self

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from utils.evaluation.inputs import Floats, Ints
from utils.features.traffic_graphs import structure
from utils.features.traffic_graphs.beats import BEAT, REACH, beats
from utils.features.traffic_graphs.history import RATIOS, EdgeHistory
from utils.features.traffic_graphs.windows import DST, PORTS, SRC, TIME, WINDOW

HISTORY = ("flows_surprise", "silence_surprise", "new_edge_surprise", *(f"{name}_deviation" for name in RATIOS))
AROUND = ("fan_out_surprise", "fan_in_surprise", "host_silence")
PLACE = ("crosses_communities", "log_bytes", "log_flows", "out_degree", "in_degree")
EDGE_FEATURES = (*HISTORY, BEAT, *AROUND, *PLACE)
"""Features of an edge in a window, besides ``ports_deviation`` where ports are known."""

HOST_FEATURES = (
    "out_degree",
    "in_degree",
    "fan_out_surprise",
    "fan_in_surprise",
    "new_edges",
    "host_silence",
    "flows_out_deviation",
    "bytes_out_deviation",
    "bytes_in_deviation",
    "balance_deviation",
    "crossing_share",
)
PORTS_DEVIATION = "ports_deviation"
LEAST_SPREAD = 0.25


class TrafficFeatures(BaseEstimator):  # type: ignore[misc]
    """Describe each edge, host and graph of a window by what was usual in training.

    Args:
        slots: parts of the day with means of their own (see :class:`EdgeHistory`).

    Attributes:
        history_: :class:`EdgeHistory` of the rows of training.
        communities_: community of each host of training, by name.
        partition_: likewise as numbers, in the order of ``communities_``.
        names_: features of an edge, those of :data:`EDGE_FEATURES`, and ``ports_deviation`` where ports are known.
    """

    def __init__(self, slots: int = 48) -> None:
        self.slots = slots

    def fit(self, edges: pl.DataFrame, y: object = None) -> Self:
        """Learn what is usual.

        Args:
            edges: rows of :func:`~utils.features.traffic_graphs.windows.edge_windows`, all taken for usual.
            y: not used.

        Returns:
            The features.

        Raises:
            SchemaError: if a column is missing.
            DataError: if there is no row.
        """
        self.history_ = EdgeHistory(self.slots).fit(edges)
        hosts = pl.concat([edges[SRC], edges[DST].alias(SRC)]).unique().sort().to_list()
        place = {host: number for number, host in enumerate(hosts)}
        self.partition_ = structure.communities(structure.matrix_of(edges, place))
        self.communities_ = dict(zip(hosts, self.partition_.tolist(), strict=True))
        self._sums = _host_sums(self.history_, place)
        self._hosts = place
        self.names_ = (*EDGE_FEATURES, PORTS_DEVIATION) if PORTS in edges.columns else EDGE_FEATURES
        self._ports = _centre_of_ports(edges) if PORTS in edges.columns else None
        self._usual = _usual_volumes(self._described(edges), self.history_.slot_of)
        return self

    def edges(self, edges: pl.DataFrame) -> pl.DataFrame:
        """Describe edges.

        Args:
            edges: n rows in the order of their windows. A row is described by its own window, by earlier rows of its
                edge among these, and by training.

        Returns:
            Columns :attr:`names_`, all Float64 and finite, n rows in the same order.

        Raises:
            NotFittedError: before :meth:`fit`.
            SchemaError: if a column is missing.
        """
        check_is_fitted(self, "history_")
        surprise = self.history_.surprise(edges)
        found = edges.select(WINDOW, SRC, DST, "bytes", "flows").with_columns(
            *(pl.Series(name, values) for name, values in surprise.items()),
            pl.Series(BEAT, self._beats(edges)),
            pl.Series("crosses_communities", self._crossing(edges)),
            log_bytes=pl.col("bytes").cast(pl.Float64).log1p(),
            log_flows=pl.col("flows").cast(pl.Float64).log1p(),
            out_degree=(pl.col("flows") > 0).sum().over(WINDOW, SRC),
            in_degree=(pl.col("flows") > 0).sum().over(WINDOW, DST),
        )
        around = self._around(edges)
        for side, what in ((SRC, "fan_out_surprise"), (DST, "fan_in_surprise")):
            name = pl.col(what).alias(what)
            found = found.join(
                around.select(WINDOW, pl.col("host").alias(side), name),
                on=[WINDOW, side],
                how="left",
                maintain_order="left",
            )
        found = found.with_columns(pl.Series("host_silence", self._host_silence(edges, around)))
        if self._ports is not None:
            found = found.with_columns(pl.Series(PORTS_DEVIATION, self._ports_deviation(edges)))
        return found.select(pl.col(name).cast(pl.Float64).fill_null(0.0).fill_nan(0.0) for name in self.names_)

    def hosts(self, edges: pl.DataFrame) -> pl.DataFrame:
        """Describe the hosts of each window.

        Args:
            edges: n rows in the order of their windows.

        Returns:
            One row a host and window: ``window``, ``time``, ``host``, and :data:`HOST_FEATURES`, all Float64 and
            finite, sorted by window and host.

        Raises:
            NotFittedError: before :meth:`fit`.
            SchemaError: if a column is missing.
        """
        check_is_fitted(self, "history_")
        described = self._described(edges)
        slots = pl.Series("slot", self.history_.slot_of(described[TIME]))
        joined = described.with_columns(slots).join(self._usual, on=["host", "slot"], how="left", maintain_order="left")
        joined = joined.with_columns(
            (
                (pl.col(name) - pl.col(f"{name}_centre").fill_null(pl.col(name)))
                / pl.col(f"{name}_spread").fill_null(1.0)
            ).alias(f"{name.removeprefix('log_')}_deviation")
            for name in _VOLUMES
        )
        found = pl.concat([joined, self._around(described, of_hosts=True)], how="horizontal")
        numbers = [pl.col(name).cast(pl.Float64).fill_null(0.0).fill_nan(0.0) for name in HOST_FEATURES]
        return found.select(WINDOW, TIME, "host", *numbers)

    def graph(self, edges: pl.DataFrame, *, every: int = 12) -> pl.DataFrame:
        """Describe the graph of each window, and how its communities differ from those of training.

        Args:
            edges: n rows.
            every: windows that are joined for communities, which take more than one window to show.

        Returns:
            The columns of :func:`~utils.features.traffic_graphs.structure.graph_windows`; ``crossing_share`` (of the
            bytes, between communities of training); ``modularity`` of the communities of training; and
            ``community_change``, the variation of information, 0 to 1, from the communities of training to those of the
            ``every`` windows around.

        Raises:
            NotFittedError: before :meth:`fit`.
            SchemaError: if a column is missing.
        """
        check_is_fitted(self, "history_")
        crossing = edges.with_columns(pl.Series("crosses", self._crossing(edges)))
        total = pl.col("bytes").sum().clip(1)
        share = crossing.group_by(WINDOW).agg(
            ((pl.col("crosses") * pl.col("bytes")).sum() / total).alias("crossing_share")
        )
        rows = []
        for (number,), part in edges.group_by(pl.col(WINDOW) // every, maintain_order=True):
            weight = structure.matrix_of(part, self._hosts)
            change = structure.partition_change(self.partition_, self._groups_of(weight))
            rows.append((number, structure.modularity(weight, self.partition_), change))
        schema = {"part": pl.Int64, "modularity": pl.Float64, "community_change": pl.Float64}
        parts = pl.DataFrame(rows, schema=schema, orient="row")
        windows = structure.graph_windows(edges, self.history_.edges_).join(share, on=WINDOW, how="left")
        windows = windows.with_columns((pl.col(WINDOW) // every).alias("part"))
        return windows.join(parts, on="part", how="left").drop("part").sort(WINDOW)

    def _beats(self, edges: pl.DataFrame) -> Floats:
        if edges.is_empty():
            return np.zeros(0)
        slots = self.history_.slots_of_windows(edges, REACH)
        row, _, _ = self.history_.expected(edges)
        past = self.history_
        return beats(row, edges[WINDOW].to_numpy(), edges["flows"].to_numpy(), past.active_, slots, past.n_windows_)

    def _groups_of(self, weight: Floats) -> Ints:
        """Communities of these windows; hosts that are silent there stay in their own."""
        groups = structure.communities(weight)
        quiet = ~(weight.any(axis=0) | weight.any(axis=1))
        groups[quiet] = self.partition_[quiet] + groups.max() + 1
        return groups

    def _crossing(self, edges: pl.DataFrame) -> Floats:
        """1 where the hosts of an edge are in different communities of training, 0 if not or unknown."""
        one, other = (
            edges[name].replace_strict(self.communities_, default=None, return_dtype=pl.Int64) for name in (SRC, DST)
        )
        return (one != other).fill_null(False).to_numpy().astype(np.float64)

    def _around(self, rows: pl.DataFrame, *, of_hosts: bool = False) -> pl.DataFrame:
        """How the degree of each host in each window compares with what its edges promise at that time."""
        hosts = rows if of_hosts else _degrees(rows)
        place = hosts["host"].replace_strict(self._hosts, default=len(self._hosts), return_dtype=pl.Int64).to_numpy()
        slot = self.history_.slot_of(hosts[TIME])
        found = {}
        for what, name in (("fan_out_surprise", "out_degree"), ("fan_in_surprise", "in_degree")):
            mean, variance = (part[place, slot] for part in self._sums[name])
            found[what] = (hosts[name].to_numpy() - mean) / np.sqrt(variance + 0.5)
        if of_hosts:
            return pl.DataFrame(found)
        return hosts.select(WINDOW, "host").with_columns(**{name: pl.Series(each) for name, each in found.items()})

    def _host_silence(self, edges: pl.DataFrame, around: pl.DataFrame) -> Floats:
        """How far the quieter host of a silent edge falls short of its usual degree; 0 for edges that carry traffic."""
        worst = around.select(
            WINDOW, "host", shortfall=-pl.min_horizontal("fan_out_surprise", "fan_in_surprise").clip(upper_bound=0.0)
        )
        found = edges.select(WINDOW, SRC, DST, "flows")
        for side in (SRC, DST):
            part = worst.select(WINDOW, pl.col("host").alias(side), pl.col("shortfall").alias(f"of_{side}"))
            found = found.join(part, on=[WINDOW, side], how="left", maintain_order="left")
        quiet = pl.when(pl.col("flows") == 0).then(pl.max_horizontal("of_src", "of_dst")).otherwise(0.0)
        return found.select(quiet.fill_null(0.0)).to_series().to_numpy()

    def _described(self, edges: pl.DataFrame) -> pl.DataFrame:
        """Volumes and degrees of each host in each window."""
        old = self.history_.edges_.select(SRC, DST, pl.lit(0).alias("new"))
        active = pl.col("flows") > 0
        known = (
            edges.select(WINDOW, TIME, SRC, DST, "bytes", "flows")
            .with_columns(pl.Series("crosses", self._crossing(edges)))
            .join(old, on=[SRC, DST], how="left")
            .with_columns(pl.col("new").fill_null(1))
        )
        sent = known.group_by(WINDOW, pl.col(SRC).alias("host")).agg(
            pl.col(TIME).first(),
            pl.col("bytes").sum().alias("out"),
            pl.col("flows").sum().alias("flows_out"),
            active.sum().alias("out_degree"),
            (pl.col("new") * active).sum().alias("new_edges"),
            ((pl.col("crosses") * pl.col("bytes")).sum() / pl.col("bytes").sum().clip(1)).alias("crossing_share"),
        )
        got = known.group_by(WINDOW, pl.col(DST).alias("host")).agg(
            pl.col(TIME).first().alias("time_in"), pl.col("bytes").sum().alias("in"), active.sum().alias("in_degree")
        )
        both = sent.join(got, on=[WINDOW, "host"], how="full", coalesce=True).sort(WINDOW, "host")
        numbers = ("out", "flows_out", "out_degree", "new_edges", "crossing_share", "in", "in_degree")
        both = both.with_columns(pl.coalesce(TIME, "time_in").alias(TIME), pl.col(numbers).fill_null(0)).drop("time_in")
        out, received = pl.col("out").cast(pl.Float64), pl.col("in").cast(pl.Float64)
        short = -pl.min_horizontal(*self._shortfalls(both)).clip(upper_bound=0.0)
        return both.with_columns(
            log_flows_out=pl.col("flows_out").cast(pl.Float64).log1p(),
            log_bytes_out=out.log1p(),
            log_bytes_in=received.log1p(),
            log_balance=((out + 1_000) / (received + 1_000)).log(),
            host_silence=short,
        )

    def _shortfalls(self, hosts: pl.DataFrame) -> list[pl.Series]:
        return [each.rename(f"short_{place}") for place, each in enumerate(self._around(hosts, of_hosts=True))]

    def _ports_deviation(self, edges: pl.DataFrame) -> Floats:
        usual = self._ports if self._ports is not None else pl.DataFrame()
        joined = edges.select(SRC, DST, PORTS).join(usual, on=[SRC, DST], how="left", maintain_order="left")
        logs = pl.col(PORTS).cast(pl.Float64).log1p()
        return joined.select((logs - pl.col("centre").fill_null(np.log(2.0))) / LEAST_SPREAD).to_series().to_numpy()


_VOLUMES = ("log_flows_out", "log_bytes_out", "log_bytes_in", "log_balance")


def _degrees(edges: pl.DataFrame) -> pl.DataFrame:
    """Out- and in-degree of each host in each window, edges without a flow left out."""
    active = (pl.col("flows") > 0).sum()
    sent = edges.group_by(WINDOW, pl.col(SRC).alias("host")).agg(pl.col(TIME).first(), active.alias("out_degree"))
    got = edges.group_by(WINDOW, pl.col(DST).alias("host")).agg(
        pl.col(TIME).first().alias("time_in"), active.alias("in_degree")
    )
    both = sent.join(got, on=[WINDOW, "host"], how="full", coalesce=True)
    both = both.with_columns(pl.coalesce(TIME, "time_in").alias(TIME), pl.col("out_degree", "in_degree").fill_null(0))
    return both.drop("time_in")


def _host_sums(history: EdgeHistory, place: dict[str, int]) -> dict[str, tuple[Floats, Floats]]:
    """Mean and variance of the degree of each host in each slot, edges taken as independent; 0 for unknown hosts."""
    active = history.active_[:-1]
    found = {}
    for name, side in (("out_degree", SRC), ("in_degree", DST)):
        rows = history.edges_[side].replace_strict(place, return_dtype=pl.Int64).to_numpy()
        mean, variance = (np.zeros((len(place) + 1, active.shape[1])) for _ in range(2))
        np.add.at(mean, rows, active)
        np.add.at(variance, rows, active * (1 - active))
        found[name] = (mean, variance)
    return found


def _usual_volumes(hosts: pl.DataFrame, slot_of: object) -> pl.DataFrame:
    """Median and spread of the volumes of each host in each slot."""
    slots = pl.Series("slot", slot_of(hosts[TIME]))  # type: ignore[operator]
    keyed = hosts.with_columns(slots)
    centre = keyed.group_by("host", "slot").agg(pl.col(name).median().alias(f"{name}_centre") for name in _VOLUMES)
    joined = keyed.join(centre, on=["host", "slot"])
    rest = [((pl.col(name) - pl.col(f"{name}_centre")) ** 2).mean().sqrt().alias(f"{name}_spread") for name in _VOLUMES]
    spread = joined.group_by("host").agg(rest).with_columns(pl.exclude("host").clip(LEAST_SPREAD))
    return centre.join(spread, on="host")


def _centre_of_ports(edges: pl.DataFrame) -> pl.DataFrame:
    """Median logarithm of the number of ports of each edge."""
    return edges.group_by(SRC, DST).agg(pl.col(PORTS).cast(pl.Float64).log1p().median().alias("centre"))
