"""API behaviours with their call graphs: two applications, shared hubs, and seven kinds of outlier.

**What is modelled.** Two applications, E and F, own disjoint sets of APIs. The popularity of an API falls as a power
of its rank; the first API of each application is a hub that nearly every visitor calls, and a few APIs are entered far
more often than the rest. A behaviour visits a set of APIs (popular ones first) and its call graph has the distinct
(from, to) pairs: one way in to every visited API, self calls, and further pairs drawn by the weight of caller and
callee. Normal behaviours follow the sizes seen in their application. Each outlier type has its own way of moving:

| type | behaviour |
|---|---|
| ``small_crawl`` | a few popular APIs in a chain, then gone |
| ``hub_scraper`` | one hub calls everything else, nothing else branches |
| ``endpoint_enumeration`` | rare APIs one after the other, past the hubs |
| ``loop_abuse`` | the same few APIs call themselves and each other again and again |
| ``cross_application`` | one behaviour that walks through both applications |
| ``datacenter_script`` | a short script from a datacenter address |
| ``slow_replay`` | an imitation of normal browsing with less preference for the usual ways: the hard one |

**What it is calibrated on.** The labelled part of the API access behaviour data set (1,699 rows, 1,673 graphs): class
and application shares, quantiles of nodes, edges, calls, minutes and sessions by class, edges ~ c * nodes^1.30,
degrees of the hubs, self calls, density. The rule "few connections = outlier" and a classifier on graph features reach
about the F1 that they reach on the real graphs.

**What it does not model.** The order and time of calls, drift, the meaning of an API, users that appear in two
behaviours, APIs that belong together. In the real table the label is a function of ``num_users``; here that holds with
``defects=True`` only. Clean runs have rare normal behaviours with few users and outliers (shared tools) with many, so
their sessions, users and uniqueness overlap more than the real ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from utils.datasets.contract import ANOMALY_TYPE, NORMAL
from utils.simulate.draws import Floats, Ints, check_size

VERSION = 1
"""Part of the digest of what is made: raise it whenever the same seed makes something else."""

ANOMALY_SHARE = 593 / 1699
"""Share of outliers, as in the labelled real rows."""

APPLICATIONS = ("E", "F")
OUTLIER = "outlier"
API_COUNT = (1_500, 80)
"""APIs of each application."""

EDGE_EXPONENT = 1.30
SMALLER_IN_F = 0.6
"""Outliers in the small application visit fewer APIs."""
QUANTILE_LEVELS = np.array([0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1])
CHUNK = 2_048
"""Graphs drawn at once: bounds the memory of the graph x API matrix."""


@dataclass(frozen=True)
class Pattern:
    """How one kind of behaviour moves through an application.

    Attributes:
        name: anomaly type, ``"normal"`` for normal behaviours.
        share: weight among the outliers; for normal patterns, weight among the normal behaviours.
        nodes: quantiles of the number of APIs visited, at :data:`QUANTILE_LEVELS`.
        density: c of edges ~ c * nodes^1.30.
        popularity: exponent on the popularity of an API; below 1 rare APIs are visited more.
        hub: probability that the hub of the application is visited.
        star: probability that an API is entered from the hub.
        chain: probability that an API is entered from the one visited just before.
        weighting: exponent on the caller's and callee's weight for the further pairs.
        self_calls: share of the visited APIs that call themselves.
        in_f: probability of application F.
        datacenter: probability of a datacenter address.
        both: whether the behaviour walks through both applications.
    """

    name: str
    share: float
    nodes: tuple[float, ...]
    density: float
    popularity: float = 1.0
    hub: float = 0.55
    star: float = 0.1
    chain: float = 0.1
    weighting: float = 1.0
    self_calls: float = 0.3
    in_f: float = 0.0
    datacenter: float = 0.0
    both: bool = False


PATTERNS = (  # the two normal ones first
    Pattern(NORMAL, 936, (3, 11, 19, 44, 80, 135, 280, 454, 514), 0.84, hub=1.0, self_calls=0.24),
    Pattern(NORMAL, 170, (2, 3, 4, 10, 17, 29, 49, 59, 63), 0.70, hub=0.93, self_calls=0.30, in_f=1.0),
    Pattern("small_crawl", 205, (1, 1, 2, 3, 6, 12, 20, 26, 34), 0.60, chain=0.75, in_f=0.07),
    Pattern("hub_scraper", 55, (3, 4, 6, 10, 16, 26, 45, 62, 80), 0.50, hub=1.0, star=0.9, weighting=1.8, in_f=0.03),
    Pattern("endpoint_enumeration", 55, (4, 6, 8, 12, 20, 32, 56, 90, 120), 0.45, popularity=0.3, hub=0.1, chain=0.9),
    Pattern("loop_abuse", 40, (1, 1, 2, 4, 6, 10, 16, 20, 24), 1.20, hub=0.3, weighting=0.3, self_calls=0.9, in_f=0.05),
    Pattern("cross_application", 22, (3, 4, 5, 9, 14, 24, 40, 52, 60), 0.60, hub=0.6, in_f=0.1, both=True),
    Pattern("datacenter_script", 157, (1, 1, 1, 3, 8, 15, 37, 60, 92), 0.60, chain=0.75, in_f=0.06, datacenter=1.0),
    Pattern("slow_replay", 84, (8, 10, 14, 24, 36, 54, 86, 105, 120), 0.70, 0.75, hub=0.7, weighting=0.5, in_f=0.04),
)
ANOMALY_TYPES = tuple(pattern.name for pattern in PATTERNS[2:])

CALLS = {
    "normal E": (2.6, 3.0, 6.4, 11.4, 18.1, 34.3, 82.4, 97.3, 103.6),
    "normal F": (2.0, 2.02, 2.1, 10.1, 12.0, 14.4, 18.2, 42.4, 60.2),
    "outlier": (2, 2, 2, 7, 21, 77, 656, 2078, 3303),
}
"""Quantiles of the mean calls per session."""
MINUTES = {
    "normal E": (2, 2, 3, 98, 232, 4399, 10391, 14280, 22128),
    "normal F": (1, 1, 2, 77, 102, 137, 366, 1994, 3567),
    "outlier": (1, 1, 1, 4, 240, 3579, 49490, 139900, 1352948),
}
"""Quantiles of the session minutes."""
SESSIONS = {
    "normal E": (105, 112, 132, 207, 379, 1152, 3895, 8022, 9299),
    "normal F": (98, 101, 102, 115, 132, 154, 199, 219, 288),
    "outlier": (2, 2, 2, 2, 3, 6, 31, 154, 350),
}
"""Quantiles of the number of sessions."""
RARE_SESSIONS = (2, 2, 3, 8, 20, 50, 90, 110, 130)
SHARED_SESSIONS = (5, 7, 10, 40, 120, 350, 1500, 4000, 6000)
"""Clean runs: sessions of rare normal behaviours, and of tools that many users run."""
RARE_NORMAL, SHARED_OUTLIER, SINGLE_USER, DATACENTER_NORMAL = 0.24, 0.20, 0.6, 0.02
"""Clean runs: shares of normal behaviours with few users, of outliers with many, of the other outliers with one user,
and of normal behaviours from datacenters."""
LEAST_USERS = 101
"""Fewest users of a normal behaviour in the real table."""
CORRELATION = {
    "calls": {"normal E": 0.6, "normal F": 0.6, "outlier": 0.93},
    "minutes": {"normal E": 0.5, "normal F": 0.5, "outlier": 0.6},
    "sessions": {"normal E": 0.55, "normal F": 0.3, "outlier": 0.0},
}
"""Rank correlation of a measured value with the size of the graph, by group."""

RETURNS = 0.2
"""Share of the first calls into an API that go the other way round: the API was an entry and called an earlier one."""
HABIT = 0.35
"""Spread (of the logarithm) of an API's weight from one behaviour to the next."""

REPEATED_IDS, REPEATS, NULL_ROWS, EMPTY_GRAPHS = 7, 4, 4, 1
"""Flaws of the real files: ids that occur four times, rows without calls, further empty graphs."""


def simulate(size: int, seed: int, *, defects: bool = False) -> dict[str, pl.DataFrame]:
    """Simulate API behaviours and their call graphs.

    Args:
        size: number of distinct behaviours.
        seed: equal seeds give equal frames.
        defects: plant the flaws of the real files: the label is an exact function of ``num_users`` (101 or more, or 1),
            seven ids stand four times in both tables, four rows have no calls, five graphs are empty (one row with null
            ``from`` and ``to`` each, as the real file explodes to).

    Returns:
        ``behaviors`` (one row per behaviour, in random order, with ``anomaly_type``) and ``edges`` (one row per
            distinct call ``from`` -> ``to`` of a behaviour, about 240 times as many rows as behaviours).

    Raises:
        DataError: if ``size`` is below 1.
    """
    rng = np.random.default_rng(seed)
    check_size(size, "behaviour")
    world = _applications(rng)
    plan = _plan(size, rng)
    ids = uuids(size, rng)
    parts = [_graphs(start, plan.slice(start, CHUNK), world, rng) for start in range(0, size, CHUNK)]
    behaviour, source, target = (np.concatenate(column) for column in zip(*parts, strict=True))
    edges = pl.DataFrame(
        {"_id": ids.gather(behaviour), "from": world.ids.gather(source), "to": world.ids.gather(target)}
    )
    visited = _visited(size, behaviour, source, target)
    behaviors = _table(plan, ids, visited, rng, defects=defects)
    return _with_defects(behaviors, edges, rng) if defects else {"behaviors": behaviors, "edges": edges}


def uuids(count: int, rng: np.random.Generator) -> pl.Series:
    """Draw ``count`` identifiers in the form of a name-based (version 3) UUID."""
    raw = rng.integers(0, 256, (count, 16), dtype=np.uint8)
    raw[:, 6] = raw[:, 6] & 0x0F | 0x30
    raw[:, 8] = raw[:, 8] & 0x3F | 0x80
    digits = raw.tobytes().hex()
    texts = [digits[at : at + 32] for at in range(0, 32 * count, 32)]
    return pl.Series("_id", [f"{t[:8]}-{t[8:12]}-{t[12:16]}-{t[16:20]}-{t[20:]}" for t in texts], dtype=pl.String)


@dataclass(frozen=True)
class _Applications:
    """All APIs, those of E first: names, popularity (log) and weights as caller and callee."""

    ids: pl.Series
    log_popularity: Floats
    calling: Floats
    called: Floats
    in_f: npt.NDArray[np.bool_]


def _applications(rng: np.random.Generator) -> _Applications:
    rank = np.concatenate([np.arange(count) for count in API_COUNT])
    in_f = np.repeat([False, True], API_COUNT)
    popularity = (rank + 4.0) ** -1.5
    calling = (rank + 2.0) ** -0.45 * rng.lognormal(0, 0.6, rank.size)
    called = (rank + 2.0) ** -0.40 * rng.lognormal(0, 0.6, rank.size)
    calling[rank == 0] = np.where(in_f[rank == 0], 0.15, 2.8)
    called[(rank < 3) & ~in_f] = 3.6
    called[(rank == 0) & in_f] = 8.0
    return _Applications(uuids(rank.size, rng), np.log(popularity), calling, called, in_f)


def _plan(size: int, rng: np.random.Generator) -> pl.DataFrame:
    """Pattern, application, address type and size of every behaviour, in random order."""
    outlier = rng.permutation(size) < (max(1, round(ANOMALY_SHARE * size)) if size > 1 else 0)
    pattern = np.where(outlier, _drawn(PATTERNS[2:], size, rng) + 2, _drawn(PATTERNS[:2], size, rng))
    in_f, datacenter = (rng.random(size) < _of(name, pattern) for name in ("in_f", "datacenter"))
    position = rng.standard_normal(size)
    nodes = _at_quantiles(np.array([p.nodes for p in PATTERNS], dtype=float)[pattern], position)
    nodes = np.minimum(nodes * np.where(in_f & outlier, SMALLER_IN_F, 1), np.where(in_f, *API_COUNT[::-1]))
    nodes = np.rint(nodes).clip(1).astype(np.int64)
    edges = np.rint(_of("density", pattern) * nodes**EDGE_EXPONENT * rng.lognormal(0, 0.15, size))
    edges = edges.clip(np.maximum(nodes - 1, 1), nodes**2).astype(np.int64)
    columns = {"pattern": pattern, "outlier": outlier, "in_f": in_f, "datacenter": datacenter}
    return pl.DataFrame(columns | {"position": position, "nodes": nodes, "edges": edges})


def _drawn(patterns: Sequence[Pattern], size: int, rng: np.random.Generator) -> Ints:
    """Positions of patterns, drawn by their shares."""
    shares = np.array([pattern.share for pattern in patterns])
    return rng.choice(len(patterns), size, p=shares / shares.sum())


def _of(attribute: str, pattern: Ints) -> Floats:
    """An attribute of the pattern of every behaviour, as a number."""
    return np.asarray(np.array([getattr(p, attribute) for p in PATTERNS], dtype=float)[pattern])


def _at_quantiles(tables: Floats, position: Floats) -> Floats:
    """Value at a standard-normal position of the distribution whose quantiles stand in the row of ``tables``.

    Between two quantiles the logarithm is linear in the probability.
    """
    probability = _normal_cdf(position)
    right = np.clip(np.searchsorted(QUANTILE_LEVELS, probability), 1, len(QUANTILE_LEVELS) - 1)
    low, high = QUANTILE_LEVELS[right - 1], QUANTILE_LEVELS[right]
    part = (probability - low) / (high - low)
    logs = np.log(tables)
    rows = np.arange(len(position))
    return np.asarray(np.exp((1 - part) * logs[rows, right - 1] + part * logs[rows, right]))


def _normal_cdf(position: Floats) -> Floats:
    """Logistic approximation of the standard normal distribution function (Bowling et al. 2009), error below 0.0002."""
    return np.asarray(1 / (1 + np.exp(-(0.07056 * position**3 + 1.5976 * position))))


@dataclass(frozen=True)
class _Walks:
    """The visits of many behaviours, one behaviour after the other.

    ``owner`` (behaviour number) and ``visits`` (API) have one entry a visit, the others one a behaviour: ``first`` is
    the position of its first visit, ``nodes`` and ``edges`` are its numbers of APIs and of distinct calls.
    """

    owner: Ints
    visits: Ints
    first: Ints
    nodes: Ints
    edges: Ints
    pattern: Ints


def _graphs(start: int, plan: pl.DataFrame, world: _Applications, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
    """Call graphs of a run of behaviours: behaviour number, caller and callee of every edge."""
    nodes, edges, pattern = (plan[column].to_numpy() for column in ("nodes", "edges", "pattern"))
    owner, first = np.repeat(np.arange(len(nodes)), nodes), np.cumsum(nodes) - nodes
    walks = _Walks(owner, _visits(plan, owner, first, world, rng), first, nodes, edges, pattern)
    candidates = (_entries(walks, rng), _self_calls(walks, rng), _pairs(walks, world, rng), _filling(walks, rng))
    caller, callee = (np.concatenate(column) for column in zip(*candidates, strict=True))
    chosen = _first_distinct(owner[caller], caller, callee, edges)
    return start + owner[caller[chosen]], walks.visits[caller[chosen]], walks.visits[callee[chosen]]


def _visits(plan: pl.DataFrame, owner: Ints, first: Ints, world: _Applications, rng: np.random.Generator) -> Ints:
    """APIs visited by each behaviour, one after the other."""
    nodes, pattern = plan["nodes"].to_numpy(), plan["pattern"].to_numpy()
    both, in_f = _of("both", pattern) > 0, plan["in_f"].to_numpy()
    visits, step = np.empty(len(owner), dtype=np.int64), np.arange(len(owner)) - first[owner]
    everywhere = np.full_like(world.in_f, True)
    for inside, pool in ((both, everywhere), (~both & ~in_f, ~world.in_f), (~both & in_f, world.in_f)):
        if inside.any():
            apis = np.flatnonzero(pool)
            order = _ranking(pattern[inside], apis, world, rng, int(nodes[inside].max()))
            row, mine = np.cumsum(inside) - 1, inside[owner]
            visits[mine] = apis[order[row[owner[mine]], step[mine]]]
    return visits


def _ranking(pattern: Ints, apis: Ints, world: _Applications, rng: np.random.Generator, depth: int) -> Ints:
    """The ``depth`` first APIs of each behaviour in order of visit: a weighted draw without replacement.

    Gumbel noise on log weights, sorted, is such a draw (Kool, van Hoof, Welling, ICML 2019).
    """
    keys = rng.gumbel(size=(len(pattern), len(apis))).astype(np.float32)
    keys += (_of("popularity", pattern)[:, None] * world.log_popularity[apis]).astype(np.float32)
    hubs = np.flatnonzero(np.diff(world.in_f[apis], prepend=~world.in_f[apis[0]]))
    visited = rng.random((len(pattern), len(hubs))) < _of("hub", pattern)[:, None]
    keys[:, hubs] = np.where(visited, np.float32(50), np.float32(-50))
    return np.asarray(np.argsort(-keys, axis=1)[:, :depth])


def _entries(walks: _Walks, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """One call into every visited API but the first: from the hub, from the one before, or from an earlier one."""
    at = np.arange(len(walks.owner))
    origin = walks.first[walks.owner]
    star, chain = (_of(name, walks.pattern)[walks.owner] for name in ("star", "chain"))
    style = rng.random(len(at))
    earlier = origin + np.floor(rng.random(len(at)) * (at - origin)).astype(np.int64)
    caller = np.where(style < star, origin, np.where(style < star + chain, at - 1, earlier))
    back = rng.random(len(at)) < RETURNS
    later = at > origin
    return np.where(back, at, caller)[later], np.where(back, caller, at)[later]


def _self_calls(walks: _Walks, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """A call to itself for a share of the visited APIs."""
    at = np.flatnonzero(rng.random(len(walks.owner)) < _of("self_calls", walks.pattern)[walks.owner])
    return at, at


def _pairs(walks: _Walks, world: _Applications, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Pairs by the weights of caller and callee, more than will be kept because many are equal."""
    wanted = np.repeat(np.arange(len(walks.edges)), (1.7 * walks.edges).astype(np.int64) + 2)
    power = _of("weighting", walks.pattern)[walks.owner]
    habits = [rng.lognormal(0, HABIT, len(power)) for _ in range(2)]
    callers, callees = (weight[walks.visits] ** power for weight in (world.calling, world.called))
    return _weighted(callers * habits[0], walks, wanted, rng), _weighted(callees * habits[1], walks, wanted, rng)


def _weighted(weight: Floats, walks: _Walks, wanted: Ints, rng: np.random.Generator) -> Ints:
    """For each wanted behaviour one of its visits, with probability proportional to the weight."""
    total = np.concatenate([[0.0], np.cumsum(weight)])
    last = walks.first + walks.nodes - 1
    low, high = total[walks.first][wanted], total[last + 1][wanted]
    at: Ints = np.searchsorted(total, low + rng.random(len(wanted)) * (high - low), side="right") - 1
    return np.clip(at, walks.first[wanted], last[wanted])


def _filling(walks: _Walks, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Uniform pairs for graphs in which the weighted ones repeat too often."""
    wanted = np.repeat(np.arange(len(walks.edges)), walks.edges // 2 + 2)
    steps = np.floor(rng.random((2, len(wanted))) * walks.nodes[wanted]).astype(np.int64)
    caller, callee = walks.first[wanted] + steps
    return caller, callee


def _first_distinct(graph: Ints, caller: Ints, callee: Ints, edges: Ints) -> Ints:
    """Positions of the first distinct pairs of each graph, at most as many as the graph is to have, by graph."""
    pairs = pl.DataFrame({"graph": graph, "pair": caller * (callee.max(initial=0) + 1) + callee}).with_row_index("at")
    kept = pairs.unique("pair", keep="first", maintain_order=True).with_columns(
        pl.col("at").cum_count().over("graph").alias("nth")
    )
    limit = pl.Series(edges).gather(kept["graph"])
    return kept.filter(kept["nth"] <= limit).sort("graph", maintain_order=True)["at"].to_numpy()


def _visited(size: int, behaviour: Ints, source: Ints, target: Ints) -> Ints:
    """Distinct APIs in each graph."""
    apis = sum(API_COUNT)
    seen = pl.Series(np.concatenate([behaviour * apis + source, behaviour * apis + target])).unique().to_numpy()
    return np.asarray(np.bincount(seen // apis, minlength=size))


def _table(
    plan: pl.DataFrame, ids: pl.Series, visited: Ints, rng: np.random.Generator, *, defects: bool
) -> pl.DataFrame:
    """The behaviour table: what a gateway would measure of each behaviour."""
    outlier, in_f, datacenter = (plan[column].to_numpy() for column in ("outlier", "in_f", "datacenter"))
    plan = plan.with_columns(group=np.where(outlier, "outlier", np.where(in_f, "normal F", "normal E")))
    calls, minutes = _measured("calls", CALLS, plan, rng), np.rint(_measured("minutes", MINUTES, plan, rng))
    sessions, users = _known_audience(plan, rng) if defects else _audience(plan, rng)
    if defects:
        calls = np.where(outlier, np.rint(calls), calls)
    else:
        datacenter = datacenter | (~outlier & (rng.random(len(plan)) < DATACENTER_NORMAL))
    # In the real table the statistics of an outlier are those of one session, those of a normal behaviour are pooled.
    pooled = calls * np.where(outlier & defects, 1, sessions)
    apis = np.rint(visited * np.where(rng.random(len(plan)) < 0.1, 1.02, 1))
    spread = rng.lognormal(0, 0.1, (2, len(plan)))
    return pl.DataFrame(
        {
            "_id": ids,
            "inter_api_access_duration(sec)": minutes / 60 / pooled * spread[0],
            "api_access_uniqueness": np.minimum(1.1 * apis / pooled * spread[1], 1),
            "sequence_length(count)": calls,
            "vsession_duration(min)": minutes,
            "ip_type": np.where(datacenter, "datacenter", "default"),
            "num_sessions": sessions,
            "num_users": users,
            "num_unique_apis": apis,
            "source": np.array(APPLICATIONS)[in_f.astype(int)],
            "classification": np.where(outlier, OUTLIER, NORMAL),
            ANOMALY_TYPE: np.array([pattern.name for pattern in PATTERNS])[plan["pattern"]],
        }
    )


def _measured(
    name: str, tables: Mapping[str, tuple[float, ...]], plan: pl.DataFrame, rng: np.random.Generator
) -> Floats:
    """Values with the quantiles of each behaviour's group, correlated in rank with the size of its graph."""
    group = plan["group"].replace_strict({key: at for at, key in enumerate(tables)}, return_dtype=pl.Int64).to_numpy()
    rho: Floats = np.array([CORRELATION[name][key] for key in tables])[group]
    position = rho * plan["position"].to_numpy() + np.sqrt(1 - rho**2) * rng.standard_normal(len(plan))
    return _at_quantiles(np.array(list(tables.values()), dtype=float)[group], position)


def _known_audience(plan: pl.DataFrame, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Sessions and users of the real table: one user for an outlier, at least 101 for a normal behaviour."""
    sessions = np.rint(_measured("sessions", SESSIONS, plan, rng))
    users = np.maximum(np.rint(sessions * rng.beta(6, 2, len(plan))), LEAST_USERS)
    return sessions, np.where(plan["outlier"].to_numpy(), 1.0, users)


def _audience(plan: pl.DataFrame, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Sessions and users that do not tell the class: some normal behaviours are rare, some outliers are shared."""
    outlier, size = plan["outlier"].to_numpy(), len(plan)
    usual = _measured("sessions", SESSIONS, plan, rng)
    unusual = rng.random(size) < np.where(outlier, SHARED_OUTLIER, RARE_NORMAL)
    tables: Floats = np.array([RARE_SESSIONS, SHARED_SESSIONS], dtype=float)[outlier.astype(int)]
    sessions = np.rint(np.where(unusual, _at_quantiles(tables, rng.standard_normal(size)), usual))
    users = np.ceil(sessions * rng.beta(6, 2, size))
    return sessions, np.where(outlier & ~unusual & (rng.random(size) < SINGLE_USER), 1.0, users)


def _with_defects(behaviors: pl.DataFrame, edges: pl.DataFrame, rng: np.random.Generator) -> dict[str, pl.DataFrame]:
    """Repeat ids, silence rows and empty graphs; fewer of each where there are few outliers."""
    outliers = behaviors.filter(pl.col("classification") == OUTLIER)["_id"]
    outliers = outliers.gather(rng.permutation(len(outliers)))
    share = max(1, len(outliers) // 4)
    empty = outliers[: min(NULL_ROWS + EMPTY_GRAPHS, 2 * share)]
    again = pl.col("_id").is_in(outliers[len(empty) :][: min(REPEATED_IDS, share)].implode())
    nothing = pl.DataFrame({"_id": empty, "from": None, "to": None}, schema=edges.schema)
    behaviors = _silenced(behaviors, empty[: min(NULL_ROWS, share)])
    edges = edges.filter(~pl.col("_id").is_in(empty.implode()))
    return {
        "behaviors": pl.concat([behaviors, *[behaviors.filter(again)] * (REPEATS - 1)]),
        "edges": pl.concat([edges, *[edges.filter(again)] * (REPEATS - 1), nothing]),
    }


def _silenced(behaviors: pl.DataFrame, ids: pl.Series) -> pl.DataFrame:
    """Rows without calls: from a datacenter, length 0, averages over nothing."""
    silent = pl.col("_id").is_in(ids.implode())
    nothing: dict[str, float | str | None] = {"inter_api_access_duration(sec)": None, "api_access_uniqueness": None}
    nothing |= {"sequence_length(count)": 0.0, "num_unique_apis": 0.0, "ip_type": "datacenter"}
    return behaviors.with_columns(
        pl.when(silent).then(pl.lit(value)).otherwise(pl.col(column)).alias(column) for column, value in nothing.items()
    )
