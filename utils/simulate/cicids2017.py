"""Simulated CICIDS2017: network flows of five days with fifteen attack classes, all columns of the CSV files.

**Modelled.** A *kind* of flow (a name look-up, a web visit, one request of a flood, one probe of a scan ...) declares
how many data packets and acknowledgements go either way, how large they are, how long the flow takes and how uneven its
pauses are, how it opens and ends, and the marks of the TCP stack. :data:`KINDS` declares them, :data:`CLASSES` says on
which day and when a class ran and how many flows it has. Packets are drawn from that and *measured* by
:mod:`utils.simulate.flow_meter`, so that all 82 features agree with each other; the Flow ID is built from its fields.
A quarter of the flows are attacks, the share of the corrected edition; inside that quarter classes have the shares of
the published draw of up to 5,000 flows a class, so that small classes stay small.

**Calibrated on** per-class quantiles of the corrected edition (Sharafaldin, Lashkari, Ghorbani, ICISSP 2018; Engelen,
Rimmer, Joosen, WTMC 2021; Liu et al., IEEE CNS 2022): packet counts, lengths, durations, flags, windows and
hours.

**Made harder than the real files** (unless ``defects=True``): benign clients stand behind the attackers' address and
use the services under attack, tools vary ports and stack marks, benign traffic is dense while attacks run, attacks
return outside their main hour, and no two flows have the same features.

**Not modelled.** No session links one flow to the next; packets have no content; order inside a flow is request and
answer at random after the handshake; "Attempted" attacks are left out as in the published draw (``-1`` everywhere).
"""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from utils.simulate.cicids2017_kinds import (
    BENIGN,
    CLASSES,
    DOCUMENTED_ROUTES,
    GATEWAY,
    INSIDE_SCAN,
    KINDS,
    ROUTES,
    SCAN,
    Kind,
)
from utils.simulate.draws import Floats, Ints, apportion, check_size, pick, quantiles, whole
from utils.simulate.flow_meter import (
    ACK,
    CWR,
    ECE,
    FEATURES,
    FIN,
    ICMP,
    PSH,
    RST,
    SYN,
    TCP,
    URG,
    Packets,
    measure,
)

VERSION = 1
"""Part of the digest of what is made: raise it whenever the same seed makes something else."""

ATTACK_SHARE = 0.25
ATTACK_SHARE_OF_DRAW = 38_419 / 43_419
MONDAY = np.datetime64("2017-07-03", "us")
WORKING_HOURS = (11.95, 20.0)
DAY_SHARES = {0: 0.245, 1: 0.191, 2: 0.205, 3: 0.185, 4: 0.174}
LONGEST = 119_999_999
"""Microseconds: CICFlowMeter cuts a flow after 120 seconds."""

LARGEST_PAYLOAD = 23_360
RARE_FLAG_RATE = 2e-4
SCANNED_PORTS = 1_000
FIRST_DELAY = 16
"""Microseconds by which flows that would be twins are told apart at first."""

SAME_AS_ATTACK, RETURN_SHARE = 0.5, 0.2
"""Clean runs: benign flows that start while attacks run, and attacks that return outside their hour."""

TWIN_SHARE = {SCAN: 0.99, INSIDE_SCAN: 0.86}
TWIN_VECTORS = {SCAN: 0.04, INSIDE_SCAN: 0.2}
BOTH_LABELS = 60
"""Flaws of the real files: scans that are twins, distinct vectors among them, vectors under both scan labels."""

COLUMNS = (
    *("id", "Flow ID", "Src IP", "Src Port", "Dst IP", "Dst Port", "Protocol", "Timestamp"),
    *FEATURES[1:],
    *("Label", "Attempted Category"),
)

_SYN_F, _SYN_B, _ACK, _DATA_F, _DATA_B, _ACK_F, _ACK_B, _FIN_F, _FIN_B, _RST_F, _RST_B = range(11)
_PHASE = np.array([0, 1, 2, 3, 3, 3, 3, 5, 6, 7, 7], dtype=np.float64)
_FORWARD = np.array([1, 0, 1, 1, 0, 1, 0, 1, 0, 1, 0], dtype=bool)
_FLAGS = np.array([SYN, SYN | ACK, ACK, ACK, ACK, ACK, ACK, FIN | ACK, FIN | ACK, RST, RST | ACK], dtype=np.int64)


@dataclass(frozen=True)
class _Plan:
    """Flows before their packets are drawn: one entry a flow in every array."""

    kind: Ints
    counts: Ints
    duration: Floats
    sizes: Floats
    windows: Ints
    headers: Ints


def simulate(size: int, seed: int, *, defects: bool = False) -> dict[str, pl.DataFrame]:
    """Make CICIDS2017-like flows, sorted by time.

    Args:
        size: flows.
        seed: the same seed gives identical tables.
        defects: plant the documented flaws: one address behind nearly every attack, one port and one stack mark a
            class, attacks only in their hour, classes balanced by the publisher (88 % attacks), scans that are twins
            of each other, some under both scan labels.

    Returns:
        ``flows``: the columns of the CSV files, ``Label`` with the true class.

    Raises:
        DataError: if ``size`` is below 1.
    """
    rng = np.random.default_rng(seed)
    kinds = tuple(_documented(k) for k in KINDS if k.route != "visit" or k.label != BENIGN) if defects else KINDS
    plan = _plan(rng, kinds, check_size(size, "flow"), ATTACK_SHARE_OF_DRAW if defects else ATTACK_SHARE)
    labels = pl.Series("Label", [k.label for k in kinds]).gather(plan.kind)
    features = _features(rng, kinds, plan)
    if defects:
        features = features[_scan_twins(rng, labels)]
    frame = features.with_columns(labels, **_identity(rng, kinds, plan.kind, defects=defects))
    frame = frame.with_columns(Timestamp=_times(rng, labels, defects=defects)).sort("Timestamp", maintain_order=True)
    return {"flows": frame.with_columns(**_row_numbers(rng, frame)).select(COLUMNS)}


def _documented(kind: Kind) -> Kind:
    """The kind as the real tool ran: one port, one stack mark (scans and benign traffic keep theirs)."""
    if kind.label in (BENIGN, SCAN, INSIDE_SCAN):
        return kind
    ports, windows, answers, headers = (
        dict([next(iter(weights.items()))]) for weights in (kind.ports, kind.windows, kind.answer_windows, kind.headers)
    )
    return replace(kind, ports=ports, windows=windows, answer_windows=answers, headers=headers)


def _plan(rng: np.random.Generator, kinds: tuple[Kind, ...], size: int, attack_share: float) -> _Plan:
    """Decide how many flows of each kind there are and what each consists of."""
    n_attacks = round(size * attack_share)
    per_class = dict(zip(CLASSES, apportion(n_attacks, [c.flows for c in CLASSES.values()]), strict=True))
    per_class[BENIGN] = size - n_attacks
    number = np.zeros(len(kinds), dtype=np.int64)
    for label, n in per_class.items():
        mine = [i for i, k in enumerate(kinds) if k.label == label]
        number[mine] = apportion(int(n), [kinds[i].weight for i in mine])
    parts = [_draw_kind(rng, kind, int(n)) for kind, n in zip(kinds, number, strict=True)]
    columns = [np.concatenate([part[i] for part in parts]) for i in range(5)]
    return _Plan(np.repeat(np.arange(len(kinds)), number), *columns)


def _draw_kind(rng: np.random.Generator, kind: Kind, n: int) -> tuple[Ints, Floats, Floats, Ints, Ints]:
    """Packet counts by role, duration, sizes, windows and header lengths of ``n`` flows of one kind."""
    counts = _packet_counts(rng, kind, n)
    duration = np.clip(quantiles(rng, kind.duration, n), 1, LONGEST)
    sizes = np.column_stack([quantiles(rng, s, n) for s in kind.sizes])
    windows = np.column_stack([pick(rng, w, n).astype(np.int64) for w in (kind.windows, kind.answer_windows)])
    headers = pick(rng, kind.headers, n).astype(np.int64) if kind.protocol == TCP else np.full(n, 8)
    return counts, duration, sizes, windows, headers


def _packet_counts(rng: np.random.Generator, kind: Kind, n: int) -> Ints:
    """How many packets of each role every flow has; at least two, the first of them forward."""
    opening, ending = pick(rng, kind.opening, n), pick(rng, kind.ending, n)
    full, syn = opening == "full", opening == "syn"
    counts = np.zeros((n, len(_PHASE)), dtype=np.int64)
    again = [whole(rng, a, n) for a in kind.acks]
    counts[:, [_SYN_F, _SYN_B, _ACK]] = full[:, None]
    counts[:, _SYN_F] += syn * (1 + again[0])
    counts[:, _DATA_F], counts[:, _DATA_B] = whole(rng, kind.sent, n), whole(rng, kind.received, n)
    counts[:, _ACK_F], counts[:, _ACK_B] = ~syn * again[0], ~syn * again[1]
    counts[:, _FIN_F] = np.isin(ending, ("fin", "half"))
    counts[:, _FIN_B] = ending == "fin"
    counts[:, _RST_F] = ending == "rst_fwd"
    counts[:, _RST_B] = (ending == "rst_bwd") * (1 + syn * again[1])
    more = _ACK_F if kind.protocol == TCP else _DATA_F
    counts[:, more] += counts[:, _FORWARD].sum(axis=1) == 0
    counts[:, more] += counts.sum(axis=1) < 2
    return counts


def _features(rng: np.random.Generator, kinds: tuple[Kind, ...], plan: _Plan) -> pl.DataFrame:
    """Draw the packets, measure them, and let no two flows have the same features."""
    packets = _packets(rng, kinds, plan)
    protocol = np.array([k.protocol for k in kinds])[plan.kind]
    frame = _measured(packets, protocol, plan.windows)
    reach = FIRST_DELAY
    while (twins := ~frame.hash_rows().is_first_distinct()).any():
        rows = twins.arg_true().to_numpy()
        delay = np.zeros(len(protocol), dtype=np.int64)
        delay[rows] = rng.integers(1, reach, len(rows))
        packets, reach = _later_by(packets, delay), reach * 2
        own = packets.take(np.isin(packets.flow, rows))
        own = replace(own, flow=np.searchsorted(rows, own.flow))
        changed = _measured(own, protocol[rows], plan.windows[rows])
        order = np.argsort(np.concatenate([twins.not_().arg_true().to_numpy(), rows]))
        frame = pl.concat([frame.filter(~twins), changed])[order]
    return frame


def _measured(packets: Packets, protocol: Ints, windows: Ints) -> pl.DataFrame:
    return pl.DataFrame(measure(packets, protocol, (windows[:, 0], windows[:, 1])))


def _later_by(packets: Packets, microseconds: Ints) -> Packets:
    """Delay the last packet of each flow."""
    last = np.flatnonzero(np.diff(packets.flow, append=-1))
    pause = packets.pause.copy()
    pause[last] += microseconds
    return replace(packets, pause=pause)


def _packets(rng: np.random.Generator, kinds: tuple[Kind, ...], plan: _Plan) -> Packets:
    """Draw the packets of all flows in the order of their times."""
    n, roles = plan.counts.shape
    repeat = plan.counts.ravel()
    flow = np.repeat(np.repeat(np.arange(n), roles), repeat)
    role = np.repeat(np.tile(np.arange(roles), n), repeat)
    key = _PHASE[role] + np.where(_PHASE[role] == _PHASE[_DATA_F], rng.random(len(role)), 0.0)
    first = np.flatnonzero(np.diff(flow, prepend=-1))
    key[first] = -1.0
    role = role[np.argsort(flow * 16.0 + key, kind="stable")]
    kind = plan.kind[flow]
    forward = _FORWARD[role]
    payload = _payloads(rng, kinds, plan, flow, role)
    pushed = (payload > 0) & (rng.random(len(role)) < np.array([k.push for k in kinds])[kind])
    tcp = np.array([k.protocol == TCP for k in kinds])[kind]
    rare = (rng.random((3, len(role))) < RARE_FLAG_RATE) * np.array([[URG], [ECE], [CWR]])
    flags = np.where(tcp, _FLAGS[role] | np.where(pushed, PSH, 0) | rare.sum(axis=0), 0)
    return Packets(flow, _draw_pauses(rng, kinds, plan, flow), forward, payload, plan.headers[flow], flags)


def _payloads(rng: np.random.Generator, kinds: tuple[Kind, ...], plan: _Plan, flow: Ints, role: Ints) -> Ints:
    """Payload bytes: the flow's own size in that direction, more or less."""
    spread = np.array([k.spread for k in kinds])[plan.kind[flow]]
    own = plan.sizes[flow, np.where(_FORWARD[role], 0, 1)]
    drawn = np.rint(own * (1 + spread * (2 * rng.random(len(role)) - 1)))
    data = (role == _DATA_F) | (role == _DATA_B)
    return np.where(data, np.clip(drawn, 1, LARGEST_PAYLOAD), 0).astype(np.int64)


def _draw_pauses(rng: np.random.Generator, kinds: tuple[Kind, ...], plan: _Plan, flow: Ints) -> Ints:
    """Pauses between packets: gamma weights that share the duration of the flow."""
    weight = rng.standard_gamma(np.array([k.evenness for k in kinds])[plan.kind[flow]]) + 1e-12
    weight[np.flatnonzero(np.diff(flow, prepend=-1))] = 0.0
    share = weight / np.bincount(flow, weights=weight)[flow]
    pauses = np.rint(share * plan.duration[flow]).astype(np.int64)
    last = np.flatnonzero(np.diff(flow, append=-1))
    pauses[last] += np.bincount(flow, weights=pauses) == 0
    return pauses


def _identity(rng: np.random.Generator, kinds: tuple[Kind, ...], kind: Ints, *, defects: bool) -> dict[str, pl.Series]:
    """Addresses and ports."""
    routes = DOCUMENTED_ROUTES if defects else ROUTES
    scanned = np.random.default_rng(SCANNED_PORTS).choice(np.arange(1, 65_535), SCANNED_PORTS, replace=False)
    parts = []
    for i, k in enumerate(kinds):
        n = int((kind == i).sum())
        source, destination = (pick(rng, side, n) for side in routes[k.route])
        port = pick(rng, k.ports, n).astype(np.int64) if k.ports else rng.choice(scanned, n)
        parts.append((source, np.where(source == destination, GATEWAY, destination), port))
    columns = [np.concatenate(side) for side in zip(*parts, strict=True)]
    icmp = np.array([k.protocol == ICMP for k in kinds])[kind]
    own_port = np.where(icmp, 0, rng.integers(1_024, 65_535, len(kind)))
    return {
        "Src IP": pl.Series(columns[0], dtype=pl.String),
        "Src Port": pl.Series(own_port),
        "Dst IP": pl.Series(columns[1], dtype=pl.String),
        "Dst Port": pl.Series(columns[2]),
    }


def _times(rng: np.random.Generator, labels: pl.Series, *, defects: bool) -> pl.Series:
    """Start of each flow: attacks in their hour, benign flows all week and densely while attacks run."""
    like = labels.to_numpy().astype(object)
    attacks = np.flatnonzero(like != BENIGN)
    benign = np.flatnonzero(like == BENIGN)
    if len(attacks) and not defects:
        borrowed = benign[rng.random(len(benign)) < SAME_AS_ATTACK]
        like[borrowed] = like[rng.choice(attacks, len(borrowed))]
    day = pick(rng, DAY_SHARES, len(like)).astype(np.int64)
    hour = rng.uniform(*WORKING_HOURS, len(like))
    back = rng.random(len(like)) < (0.0 if defects else RETURN_SHARE)
    for label, c in CLASSES.items():
        mine = like == label
        day[mine] = c.day
        hour[mine & ~back] = rng.uniform(*c.hours, int((mine & ~back).sum()))
    return pl.Series(MONDAY + (day * 86_400_000_000 + hour * 3_600_000_000).astype("timedelta64[us]"))


def _row_numbers(rng: np.random.Generator, frame: pl.DataFrame) -> dict[str, pl.Expr | pl.Series]:
    """Row number in the day's file, Flow ID, and the column that the draw left constant."""
    ends = [pl.col(c).cast(pl.String) for c in ("Src IP", "Dst IP", "Src Port", "Dst Port", "Protocol")]
    steps = pl.Series(rng.integers(1, 40, len(frame)))
    return {
        "id": pl.DataFrame({"step": steps, "day": frame["Timestamp"].dt.date()})
        .select(pl.col("step").cum_sum().over("day"))
        .to_series(),
        "Flow ID": pl.concat_str(ends, separator="-"),
        "Attempted Category": pl.lit(-1, dtype=pl.Int64),
    }


def _scan_twins(rng: np.random.Generator, labels: pl.Series) -> Ints:
    """For each flow the flow whose features it gets: scans repeat a few vectors, some under both labels."""
    source = np.arange(len(labels))
    rows = {label: np.flatnonzero(labels.to_numpy() == label) for label in TWIN_SHARE}
    models = {label: r[: max(1, round(len(r) * TWIN_VECTORS[label]))] for label, r in rows.items()}
    for label, mine in rows.items():
        twins = mine[rng.random(len(mine)) < TWIN_SHARE[label]]
        if len(twins):
            source[twins] = rng.choice(models[label], len(twins))
    inside = rows[INSIDE_SCAN][: BOTH_LABELS * 10]
    if len(inside) and len(models[SCAN]):
        source[inside] = rng.choice(models[SCAN][:BOTH_LABELS], len(inside))
    return source
