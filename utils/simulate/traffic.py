"""Simulated traffic between the hosts of an office: bytes, packets and flows of each edge in five-minute windows.

**Modelled.** Hosts have roles; :data:`LINKS` declares which role talks to which, how often at the busiest hour, how
much a flow carries and which daily rhythm it follows. Edges of one kind differ in strength, flow counts are
over-dispersed, bytes have heavy tails and now and then a large but harmless transfer. Over that lie episodes of
:data:`ANOMALIES`: bursts, port and host scans, exfiltration at night, a silent host, beacons, lateral movement, a flood
on one server and a tunnel through the name server. The truth is given for each row, that is, for each edge and window.

**Rows.** A row is there when the edge carried traffic in the window. An edge that expects four flows or more at that
hour is watched: while its hosts are up it carries at least one flow (the watcher's own), and when it is silent there is
a row of zeros. That is how a silent host shows; edges that may well be quiet have no row when they are.

**Calibrated on** no data set: the figures are orders of magnitude of a small office (a few web flows a minute and
client, nightly backups of gigabytes, scans of small packets). One to three rows in a hundred are anomalous, and none
has the bytes, packets and flows of a normal row.

**Not modelled.** Ports, sessions, routes and delays; one direction of an edge does not follow the other packet by
packet; hosts neither join nor leave; holidays are ordinary days. There is no real counterpart.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from utils.datasets.contract import ANOMALY_TYPE, LABEL, NORMAL
from utils.errors import DataError
from utils.simulate.draws import Floats, Ints, Knots, check_size, quantiles, whole

VERSION = 1
"""Part of the digest of what is made: raise it whenever the same seed makes something else."""

Bools = npt.NDArray[np.bool_]

MINUTES = 5
WINDOWS_A_DAY = 24 * 60 // MINUTES
WINDOWS_A_WEEK = 7 * WINDOWS_A_DAY
START = np.datetime64("2024-01-01T00:00", "us")
FEWEST_HOSTS = 4
FEWEST_WINDOWS = 24
WATCHED_FLOWS = 4.0
EDGE_SPREAD = 0.5
DISPERSION = 3.0
PACKET_SPREAD = 0.4
BYTE_SPREAD = 0.35
PACKET_SIZES = (62, 1_500)
LARGE_TRANSFERS = 0.002
LARGE_FACTOR: Knots = (2, 3, 4, 6, 12, 25, 80)
EDGE = ("window", "src", "dst")
VOLUME = ("bytes", "packets", "flows")
FIRST_DIFFERENCE = 8
LATE = 0.8

ROLE_ORDER: tuple[tuple[str, int, int], ...] = (
    ("gateway", 4, 1),
    ("dns", 4, 1),
    ("server", 4, 1),
    ("backup", 6, 1),
    ("printer", 8, 1),
    ("database", 8, 1),
    ("mail", 10, 1),
    ("server", 16, 1),
    ("server", 24, 1),
    ("printer", 24, 1),
)
"""Roles beside clients: role, from how many hosts on, how many. Above 24 hosts one in twelve is another server."""

RHYTHMS: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "office": (2, 2, 2, 2, 2, 3, 8, 25, 70, 95, 100, 95, 70, 85, 100, 95, 80, 55, 25, 14, 10, 7, 4, 3),
        "always": (60, 55, 50, 50, 50, 55, 60, 70, 85, 95, 100, 100, 95, 95, 100, 95, 90, 85, 80, 75, 75, 70, 65, 60),
        "visitors": (30, 20, 15, 12, 12, 15, 25, 40, 60, 70, 75, 80, 85, 80, 75, 75, 80, 85, 90, 100, 100, 85, 65, 45),
        "night": (5, 90, 100, 80, 20, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2),
    }
)
"""Per cent of the busiest hour, hour by hour."""

WEEKEND = MappingProxyType({"office": 0.2, "always": 0.8, "visitors": 0.9, "night": 1.0})


@dataclass(frozen=True)
class Link:
    """Traffic from one role to another.

    Attributes:
        source: role that sends.
        target: role that receives.
        flows: mean flows in a window of the busiest hour.
        packets: packets of a flow.
        size: bytes of a packet.
        rhythm: key of :data:`RHYTHMS`.
        share: share of the host pairs that talk at all.
    """

    source: str
    target: str
    flows: float
    packets: float
    size: float
    rhythm: str = "office"
    share: float = 1.0


LINKS: tuple[Link, ...] = (
    Link("client", "dns", 8, 1.5, 75),
    Link("dns", "client", 8, 1.5, 160),
    Link("client", "gateway", 12, 14, 140),
    Link("gateway", "client", 12, 22, 950),
    Link("client", "server", 3, 18, 240, share=0.6),
    Link("server", "client", 3, 26, 820, share=0.6),
    Link("client", "mail", 2, 12, 310),
    Link("mail", "client", 2, 16, 640),
    Link("client", "printer", 0.15, 120, 1_100, share=0.7),
    Link("server", "database", 25, 10, 210, "always"),
    Link("database", "server", 25, 14, 690, "always"),
    Link("gateway", "server", 15, 12, 190, "visitors"),
    Link("server", "gateway", 15, 18, 1_000, "visitors"),
    Link("dns", "gateway", 10, 1.5, 80, "always"),
    Link("gateway", "dns", 10, 1.5, 190, "always"),
    Link("mail", "gateway", 4, 20, 700, "always"),
    Link("gateway", "mail", 5, 22, 760, "always"),
    Link("server", "backup", 3, 3_000, 1_350, "night"),
    Link("database", "backup", 4, 5_000, 1_400, "night"),
    Link("client", "backup", 0.6, 900, 1_300, "night", share=0.5),
    Link("backup", "server", 3, 900, 70, "night"),
    Link("client", "client", 0.1, 10, 200, share=0.06),
)


@dataclass(frozen=True)
class Anomaly:
    """One kind of episode; quantities are a constant or seven quantiles (see ``draws.quantiles``).

    Attributes:
        name: anomaly type.
        a_week: episodes in a week of windows (at least one in any run of two hours or more).
        windows: how many windows an episode touches.
        sources: roles that send, and how many such hosts.
        targets: roles that receive, and how many such hosts.
        way: "add" flows to the pairs, "multiply" the traffic of usual edges, or "silence" all edges of the source.
        flows: flows added to each pair and window; the factor where ``way`` is "multiply".
        packets: packets of an added flow.
        size: bytes of an added packet.
        every: windows from one sign of life to the next.
        hours: hours of the day in which an episode starts.
    """

    name: str
    a_week: float
    windows: Knots
    sources: tuple[tuple[str, ...], int]
    targets: tuple[tuple[str, ...], int]
    way: Literal["add", "multiply", "silence"] = "add"
    flows: Knots = 1
    packets: Knots = 1
    size: Knots = 60
    every: int = 1
    hours: tuple[int, int] = (0, 24)


_BUSY = ("server", "database", "mail", "dns")
_EVERYONE = ("client", *_BUSY, "printer", "backup", "gateway")
ANOMALIES: tuple[Anomaly, ...] = (
    Anomaly(
        "burst", 42, (1, 1, 1, 2, 3, 4, 6), (_EVERYONE, 1), (_EVERYONE, 1), "multiply", (3, 4, 6, 10, 20, 35, 80),
        hours=(8, 18),
    ),
    Anomaly(
        "port_scan", 21, (1, 1, 1, 2, 3, 4, 8), (("client",), 1), (("server", "database", "mail"), 1),
        flows=(15, 40, 80, 200, 500, 900, 2_000), packets=(1, 1, 1, 1.2, 1.5, 2, 2), size=(42, 44, 48, 54, 58, 60, 60),
    ),
    Anomaly(
        "host_scan", 14, (1, 1, 1, 2, 3, 4, 8), (("client",), 1), (_EVERYONE, 10_000),
        flows=(1, 1, 1, 1, 2, 3, 6), packets=(1, 1, 1, 1.2, 2, 3, 3), size=(42, 44, 48, 54, 58, 60, 60),
    ),
    Anomaly(
        "exfiltration", 7, (4, 8, 12, 18, 24, 30, 40), (("client", "server", "database"), 1), (("gateway",), 1),
        flows=(1, 1, 1, 2, 3, 4, 6), packets=(60, 200, 500, 1_500, 4_000, 9_000, 20_000),
        size=(700, 1_000, 1_200, 1_300, 1_400, 1_440, 1_460), hours=(0, 5),
    ),
    Anomaly("silent_host", 10, (3, 4, 6, 8, 12, 16, 24), (_BUSY, 1), ((), 0), "silence", hours=(7, 18)),
    Anomaly(
        "beacon", 10, (24, 36, 48, 72, 96, 120, 200), (("client", "server"), 1), (("gateway",), 1),
        flows=(1, 1, 1, 1, 1, 1, 2), packets=(5, 6, 6, 7, 8, 9, 12), size=(90, 100, 110, 120, 140, 160, 220), every=3,
    ),
    Anomaly(
        "lateral_movement", 14, (2, 2, 3, 4, 6, 8, 12), (("client",), 1), (("client", "server", "database"), 5),
        flows=(1, 1, 1, 2, 4, 6, 12), packets=(8, 12, 20, 40, 80, 160, 400), size=(120, 180, 240, 320, 500, 800, 1_200),
    ),
    Anomaly(
        "ddos", 7, (1, 2, 2, 3, 4, 6, 10), (("client", "gateway"), 8), (("server",), 1),
        flows=(20, 60, 120, 250, 500, 900, 2_000), packets=(1, 2, 2, 3, 4, 5, 6), size=(50, 54, 60, 66, 80, 120, 240),
    ),
    Anomaly(
        "dns_tunnel", 7, (6, 8, 12, 16, 20, 24, 36), (("client",), 1), (("dns",), 1),
        flows=(10, 20, 30, 50, 90, 140, 250), packets=(1, 1, 1.5, 2, 2, 2.5, 4),
        size=(120, 150, 170, 190, 210, 230, 250),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class _Network:
    """Hosts and their usual edges."""

    names: tuple[str, ...]
    roles: tuple[str, ...]
    source: Ints
    target: Ints
    link: Ints
    strength: Floats

    def having(self, roles: tuple[str, ...]) -> Ints:
        """Numbers of the hosts in any of these roles."""
        return np.flatnonzero(np.isin(self.roles, roles))


@dataclass
class _Cells:
    """Usual traffic, edges by windows; episodes change it in place."""

    expected: Floats
    flows: Ints
    packets: Ints
    size: Ints
    kind: Ints


def simulate(size: int, seed: int, *, defects: bool = False, hosts: int = 24) -> dict[str, pl.DataFrame]:
    """Make the traffic of an office network.

    Args:
        size: time windows of five minutes, from a Monday at midnight on; runs of less than 24 windows are all normal.
        seed: the same seed gives identical tables.
        defects: plant what makes such data worthless: one host behind every episode, and all of them at the end.
        hosts: number of hosts, at least 4.

    Returns:
        ``windows``: one row for each edge and window (``window``, ``time``, ``src``, ``dst``, ``bytes``, ``packets``,
        ``flows``, ``is_anomaly``, ``anomaly_type``), sorted; ``hosts``: ``host``, ``role``.

    Raises:
        DataError: if ``size`` is below 1 or ``hosts`` below 4.
    """
    rng = np.random.default_rng(seed)
    network = _network(rng, hosts)
    cells = _usual(rng, network, check_size(size, "time window"))
    added = _episodes(rng, network, cells, defects=defects) if size >= FEWEST_WINDOWS else []
    rows = _rows(network, _tell_twins_apart(rng, _merge(network, cells, added)))
    return {"windows": rows, "hosts": pl.DataFrame({"host": network.names, "role": network.roles})}


def _roles(hosts: int) -> list[str]:
    """Roles of a network of that many hosts, clients last."""
    if hosts < FEWEST_HOSTS:
        raise DataError(f"a network needs at least {FEWEST_HOSTS} hosts, found {hosts}: ask for more")
    roles = [role for role, least, number in ROLE_ORDER if hosts >= least for _ in range(number)]
    roles += ["server"] * ((hosts - 24) // 12)
    return roles + ["client"] * (hosts - len(roles))


def _network(rng: np.random.Generator, hosts: int) -> _Network:
    """Name the hosts and draw which pairs talk."""
    roles = np.array(_roles(hosts))
    names = tuple(f"{role}-{(roles[:i] == role).sum() + 1:02d}" for i, role in enumerate(roles))
    edges: list[Ints] = []
    for number, link in enumerate(LINKS):
        pairs = np.argwhere((roles[:, None] == link.source) & (roles[None, :] == link.target))
        pairs = pairs[(pairs[:, 0] != pairs[:, 1]) & (rng.random(len(pairs)) < link.share)]
        edges.append(np.column_stack([pairs, np.full(len(pairs), number)]))
    table = np.concatenate(edges)
    strength = rng.lognormal(0, EDGE_SPREAD, len(table))
    return _Network(names, tuple(roles.tolist()), table[:, 0], table[:, 1], table[:, 2], strength)


def _rhythms(windows: int) -> Floats:
    """Activity of each link in each window, 1 at the busiest hour."""
    number = np.arange(windows)
    hour = (number % WINDOWS_A_DAY) * 24 / WINDOWS_A_DAY
    weekend = number // WINDOWS_A_DAY % 7 >= 5
    level = {
        name: np.interp(hour, np.arange(25), [*table, table[0]]) / 100 * np.where(weekend, WEEKEND[name], 1.0)
        for name, table in RHYTHMS.items()
    }
    return np.array([level[link.rhythm] for link in LINKS])


def _usual(rng: np.random.Generator, network: _Network, windows: int) -> _Cells:
    """Draw the traffic of the usual edges."""
    base = np.array([[link.flows, link.packets, link.size] for link in LINKS])[network.link]
    expected = (base[:, 0] * network.strength)[:, None] * _rhythms(windows)[network.link]
    flows = rng.poisson(expected * rng.gamma(DISPERSION, 1 / DISPERSION, expected.shape))
    flows = np.maximum(flows, expected >= WATCHED_FLOWS)
    packets = flows * base[:, 1, None] * rng.lognormal(0, PACKET_SPREAD, expected.shape)
    large = rng.random(expected.shape) < LARGE_TRANSFERS
    packets[large] *= quantiles(rng, LARGE_FACTOR, int(large.sum()))
    packets = np.maximum(np.rint(packets), flows).astype(np.int64)
    size = packets * np.clip(base[:, 2, None] * rng.lognormal(0, BYTE_SPREAD, expected.shape), *PACKET_SIZES)
    return _Cells(expected, flows, packets, np.rint(size).astype(np.int64), np.zeros(flows.shape, dtype=np.int64))


def _episodes(rng: np.random.Generator, network: _Network, cells: _Cells, *, defects: bool) -> list[Ints]:
    """Run all episodes: change usual traffic in place, return what they add (see :func:`_add`)."""
    windows = cells.flows.shape[1]
    added: list[Ints] = []
    for number, anomaly in enumerate(ANOMALIES, start=1):
        anomaly = replace(anomaly, hours=(0, 24), sources=(("client",), 1)) if defects else anomaly
        for _ in range(max(1, round(anomaly.a_week * windows / WINDOWS_A_WEEK))):
            when = _when(rng, anomaly, windows, first=int(windows * LATE) if defects else 0)
            senders = _choose(rng, network.having(anomaly.sources[0]), 1 if defects else anomaly.sources[1])
            senders = network.having(("client",))[-1:] if defects else senders
            if anomaly.way == "add":
                added.append(_add(rng, network, anomaly, number, senders, when))
            elif len(senders):
                _change(rng, network, cells, anomaly, number, int(senders[0]), when)
    return added


def _when(rng: np.random.Generator, anomaly: Anomaly, windows: int, first: int) -> Ints:
    """Windows that one episode touches."""
    hour = np.arange(windows) % WINDOWS_A_DAY * 24 // WINDOWS_A_DAY
    starts = np.flatnonzero((hour >= anomaly.hours[0]) & (hour < anomaly.hours[1]) & (np.arange(windows) >= first))
    start = int(rng.choice(starts if len(starts) else np.arange(windows)))
    return np.arange(start, min(start + int(whole(rng, anomaly.windows, 1)[0]), windows), anomaly.every)


def _choose(rng: np.random.Generator, hosts: Ints, number: int) -> Ints:
    """At most ``number`` of the hosts."""
    return rng.choice(hosts, min(number, len(hosts)), replace=False)


def _add(rng: np.random.Generator, network: _Network, anomaly: Anomaly, number: int, senders: Ints, when: Ints) -> Ints:
    """Traffic that an episode adds: columns window, source, target, bytes, packets, flows, anomaly number."""
    targets = _choose(rng, network.having(anomaly.targets[0]), anomaly.targets[1])
    window, source, target = (a.ravel() for a in np.meshgrid(when, senders, targets, indexing="ij"))
    apart = source != target
    window, source, target = window[apart], source[apart], target[apart]
    flows = np.maximum(whole(rng, anomaly.flows, len(window)), 1)
    packets = np.maximum(np.rint(flows * quantiles(rng, anomaly.packets, len(window))), flows)
    size = np.rint(packets * quantiles(rng, anomaly.size, len(window)))
    columns = [window, source, target, size, packets, flows, np.full(len(window), number)]
    return np.column_stack(columns).astype(np.int64)


def _change(
    rng: np.random.Generator, network: _Network, cells: _Cells, anomaly: Anomaly, number: int, host: int, when: Ints
) -> None:
    """Multiply the traffic of one usual edge of the host, or silence all its edges."""
    mine = np.flatnonzero(network.source == host)
    if anomaly.way == "silence":
        mine = np.flatnonzero((network.source == host) | (network.target == host))
    elif len(mine):
        mine = rng.choice(mine[_busiest(cells, mine, when)], 1)
    at = np.ix_(mine, when)
    factor = quantiles(rng, anomaly.flows, 1)[0] if anomaly.way == "multiply" else 0.0
    touched = cells.flows[at] > 0 if anomaly.way == "multiply" else np.ones((len(mine), len(when)), dtype=bool)
    for values in (cells.packets, cells.size):
        values[at] = np.rint(values[at] * np.where(touched, factor, 1)).astype(np.int64)
    if anomaly.way == "silence":
        cells.flows[at] = 0
    cells.kind[at] = np.where(touched, number, cells.kind[at])


def _busiest(cells: _Cells, edges: Ints, when: Ints) -> Bools:
    """Which edges carry any traffic in these windows (all, if none does)."""
    busy: Bools = cells.flows[np.ix_(edges, when)].sum(axis=1) > 0
    return busy if busy.any() else ~busy


def _merge(network: _Network, cells: _Cells, added: list[Ints]) -> pl.DataFrame:
    """Usual and added traffic in one table of numbers, one row for each edge and window, sorted."""
    edge, window = np.nonzero((cells.flows > 0) | (cells.expected >= WATCHED_FLOWS))
    usual = [window, network.source[edge], network.target[edge]]
    usual += [values[edge, window] for values in (cells.size, cells.packets, cells.flows, cells.kind)]
    table = np.concatenate([np.column_stack(usual), *added])
    frame = pl.DataFrame(dict(zip((*EDGE, *VOLUME, "kind"), table.T, strict=True)))
    return frame.group_by(EDGE).agg(pl.col(VOLUME).sum(), pl.col("kind").max()).sort(EDGE)


def _tell_twins_apart(rng: np.random.Generator, frame: pl.DataFrame) -> pl.DataFrame:
    """Add a few bytes to anomalous rows that look exactly like a normal one."""
    normal = frame.filter(pl.col("kind") == 0).select(VOLUME).unique()
    reach = FIRST_DIFFERENCE
    while True:
        guilty = frame.filter(pl.col("kind") > 0).with_row_index("row")
        twins = guilty.join(normal, on=VOLUME, how="semi")["row"].sort()
        if twins.is_empty():
            return frame
        at = frame.select((pl.col("kind") > 0).arg_true()).to_series()[twins].to_numpy()
        size = frame["bytes"].to_numpy().copy()
        size[at] += rng.integers(1, reach, len(at))
        frame, reach = frame.with_columns(pl.Series("bytes", size)), reach * 2


def _rows(network: _Network, frame: pl.DataFrame) -> pl.DataFrame:
    """The table with names, times and truth."""
    types = pl.Series([NORMAL, *(a.name for a in ANOMALIES)])
    hosts = pl.Series(network.names)
    minutes = (frame["window"].to_numpy() * MINUTES).astype("timedelta64[m]")
    return frame.select(
        "window",
        pl.Series("time", START + minutes),
        hosts.gather(frame["src"]).alias("src"),
        hosts.gather(frame["dst"]).alias("dst"),
        *VOLUME,
        (pl.col("kind") > 0).alias(LABEL),
        types.gather(frame["kind"]).alias(ANOMALY_TYPE),
    )
