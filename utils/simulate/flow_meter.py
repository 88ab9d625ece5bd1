"""A small flow meter: from packets in arrays to the 82 flow features of the CICFlowMeter CSV files.

The definitions follow the columns of the corrected CICIDS2017 edition (Engelen, Rimmer, Joosen, WTMC 2021; Liu et al.,
IEEE CNS 2022): lengths are payload bytes, times are microseconds, standard deviations have n - 1 below the line, a
pause above five seconds ends an active period, four data packets in one direction with pauses of at most one second
make a bulk, and what does not exist is 0 (ICMP fields: -1). Because every column is measured from the same packets, the
columns agree with each other.
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from utils.simulate.draws import Floats, Ints

Bools = npt.NDArray[np.bool_]
Features = dict[str, Ints | Floats]

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = 1, 2, 4, 8, 16, 32, 64, 128
TCP, UDP, ICMP = 6, 17, 1
ECHO_REQUEST = 8
SECOND = 1_000_000
IDLE_PAUSE = 5 * SECOND
BULK_PAUSE = SECOND
BULK_PACKETS = 4

# fmt: off
FEATURES = (
    "Protocol", "Flow Duration", "Total Fwd Packet", "Total Bwd packets", "Total Length of Fwd Packet",
    "Total Length of Bwd Packet", "Fwd Packet Length Max", "Fwd Packet Length Min", "Fwd Packet Length Mean",
    "Fwd Packet Length Std", "Bwd Packet Length Max", "Bwd Packet Length Min", "Bwd Packet Length Mean",
    "Bwd Packet Length Std", "Flow Bytes/s", "Flow Packets/s", "Flow IAT Mean", "Flow IAT Std", "Flow IAT Max",
    "Flow IAT Min", "Fwd IAT Total", "Fwd IAT Mean", "Fwd IAT Std", "Fwd IAT Max", "Fwd IAT Min", "Bwd IAT Total",
    "Bwd IAT Mean", "Bwd IAT Std", "Bwd IAT Max", "Bwd IAT Min", "Fwd PSH Flags", "Bwd PSH Flags", "Fwd URG Flags",
    "Bwd URG Flags", "Fwd RST Flags", "Bwd RST Flags", "Fwd Header Length", "Bwd Header Length", "Fwd Packets/s",
    "Bwd Packets/s", "Packet Length Min", "Packet Length Max", "Packet Length Mean", "Packet Length Std",
    "Packet Length Variance", "FIN Flag Count", "SYN Flag Count", "RST Flag Count", "PSH Flag Count",
    "ACK Flag Count", "URG Flag Count", "CWR Flag Count", "ECE Flag Count", "Down/Up Ratio", "Average Packet Size",
    "Fwd Segment Size Avg", "Bwd Segment Size Avg", "Fwd Bytes/Bulk Avg", "Fwd Packet/Bulk Avg",
    "Fwd Bulk Rate Avg", "Bwd Bytes/Bulk Avg", "Bwd Packet/Bulk Avg", "Bwd Bulk Rate Avg", "Subflow Fwd Packets",
    "Subflow Fwd Bytes", "Subflow Bwd Packets", "Subflow Bwd Bytes", "FWD Init Win Bytes", "Bwd Init Win Bytes",
    "Fwd Act Data Pkts", "Fwd Seg Size Min", "Active Mean", "Active Std", "Active Max", "Active Min", "Idle Mean",
    "Idle Std", "Idle Max", "Idle Min", "ICMP Code", "ICMP Type", "Total TCP Flow Time",
)
# fmt: on
"""The 82 features, in the order of the files."""


@dataclass(frozen=True)
class Packets:
    """Packets in the order of their flows and times.

    Attributes:
        flow: which flow (0 .. n - 1).
        pause: microseconds since the packet before in the same flow; 0 for its first packet.
        forward: true from the initiator.
        payload: bytes.
        header: bytes.
        flags: sum of ``FIN``, ``SYN``, ``RST``, ``PSH``, ``ACK``, ``URG``, ``ECE``, ``CWR``.
    """

    flow: Ints
    pause: Ints
    forward: Bools
    payload: Ints
    header: Ints
    flags: Ints

    def take(self, keep: Bools) -> "Packets":
        """Return the packets where ``keep`` is true."""
        return Packets(*(getattr(self, f.name)[keep] for f in fields(self)))


@dataclass(frozen=True)
class Summary:
    """Count, sum, extremes, mean and standard deviation of values by flow; 0 where a flow has no value."""

    n: Ints
    total: Ints
    low: Ints
    high: Ints
    mean: Floats
    std: Floats


def measure(packets: Packets, protocol: Ints, windows: tuple[Ints, Ints]) -> Features:
    """Measure all flows.

    Args:
        packets: at least one packet a flow.
        protocol: of each flow (6 TCP, 17 UDP).
        windows: initial TCP window of each flow, forward and backward.

    Returns:
        The 82 features from ``Protocol`` to ``Total TCP Flow Time``, in the order of the files.
    """
    n = len(protocol)
    time = _times(packets)
    duration = np.maximum(_last(time, packets.flow), 1)
    parts: Features = {"Protocol": protocol, "Flow Duration": duration}
    parts |= _lengths(packets, n, duration) | _pauses(packets, time, n) | _flags(packets, n)
    parts |= _subflows(packets, n) | _bulks(packets, time, n)
    parts |= _windows(packets, protocol, windows) | _activity(packets, time, n)
    ping = protocol == ICMP
    parts |= {"ICMP Code": np.where(ping, 0, -1), "ICMP Type": np.where(ping, ECHO_REQUEST, -1)}
    parts["Total TCP Flow Time"] = np.where(protocol == TCP, duration, 0)
    return {name: parts[name] for name in FEATURES}


def summarise(values: Ints, flow: Ints, n: int) -> Summary:
    """Summarise values by flow.

    Args:
        values: whole numbers.
        flow: flow of each value, ascending.
        n: number of flows.
    """
    count = np.bincount(flow, minlength=n)
    total = np.bincount(flow, weights=values, minlength=n)
    mean = total / np.maximum(count, 1)
    squares = np.bincount(flow, weights=(values - mean[flow]) ** 2, minlength=n)
    low, high = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    if len(values):
        there, start = np.flatnonzero(count), _starts(flow)
        low[there], high[there] = np.minimum.reduceat(values, start), np.maximum.reduceat(values, start)
    std = np.sqrt(squares / np.maximum(count - 1, 1))
    return Summary(count, total.astype(np.int64), low, high, mean, std)


def _starts(flow: Ints) -> Ints:
    """Position of the first packet of each flow that has one."""
    return np.flatnonzero(np.diff(flow, prepend=-1))


def _times(packets: Packets) -> Ints:
    """Microseconds since the start of the flow."""
    clock = np.cumsum(packets.pause)
    start = _starts(packets.flow)
    return clock - np.repeat(clock[start], np.diff(start, append=len(clock)))


def _last(values: Ints, flow: Ints) -> Ints:
    """The last value of each flow."""
    last: Ints = values[np.append(_starts(flow)[1:], len(flow)) - 1]
    return last


def _per(amount: Ints, duration: Ints) -> Floats:
    """Amount a second."""
    return amount / (duration / SECOND)


def _lengths(packets: Packets, n: int, duration: Ints) -> Features:
    """Counts, payload lengths and rates."""
    parts: Features = {}
    totals = []
    for side, keep, count_name in (
        ("Fwd", packets.forward, "Total Fwd Packet"),
        ("Bwd", ~packets.forward, "Total Bwd packets"),
    ):
        s = summarise(packets.payload[keep], packets.flow[keep], n)
        totals.append(s)
        parts |= {count_name: s.n, f"Total Length of {side} Packet": s.total, f"{side} Packets/s": _per(s.n, duration)}
        parts |= _spread(f"{side} Packet Length", s) | {f"{side} Segment Size Avg": s.mean}
        parts[f"{side} Header Length"] = np.bincount(packets.flow[keep], packets.header[keep], n).astype(np.int64)
    both = summarise(packets.payload, packets.flow, n)
    parts |= _spread("Packet Length", both) | {"Packet Length Variance": both.std**2, "Average Packet Size": both.mean}
    parts |= {"Flow Bytes/s": _per(both.total, duration), "Flow Packets/s": _per(both.n, duration)}
    parts["Down/Up Ratio"] = totals[1].n / np.maximum(totals[0].n, 1)
    return parts


def _spread(name: str, s: Summary) -> Features:
    return {f"{name} Max": s.high, f"{name} Min": s.low, f"{name} Mean": s.mean, f"{name} Std": s.std}


def _pauses(packets: Packets, time: Ints, n: int) -> Features:
    """Inter-arrival times of the flow and of either direction."""
    parts: Features = {}
    for side, keep in (("Flow", np.ones(len(time), dtype=bool)), ("Fwd", packets.forward), ("Bwd", ~packets.forward)):
        flow, at = packets.flow[keep], time[keep]
        follows = flow[1:] == flow[:-1]
        s = summarise(np.diff(at)[follows], flow[1:][follows], n)
        parts |= _spread(f"{side} IAT", s)
        if side != "Flow":
            parts[f"{side} IAT Total"] = s.total
    return parts


def _flags(packets: Packets, n: int) -> Features:
    """Flag counts, by direction where the files have them."""

    def count(flag: int, keep: Bools) -> Ints:
        return np.bincount(packets.flow[keep & (packets.flags & flag > 0)], minlength=n)

    anyway = np.ones(len(packets.flow), dtype=bool)
    names = {"FIN": FIN, "SYN": SYN, "RST": RST, "PSH": PSH, "ACK": ACK, "URG": URG, "ECE": ECE, "CWR": CWR}
    parts: Features = {f"{name} Flag Count": count(flag, anyway) for name, flag in names.items()}
    for side, keep in (("Fwd", packets.forward), ("Bwd", ~packets.forward)):
        parts |= {f"{side} {name} Flags": count(names[name], keep) for name in ("PSH", "RST", "URG")}
    return parts


def _subflows(packets: Packets, n: int) -> Features:
    """Subflow averages: the files divide by the number of packets."""
    parts: Features = {}
    packet_count = np.bincount(packets.flow, minlength=n)
    for side, keep in (("Fwd", packets.forward), ("Bwd", ~packets.forward)):
        count = np.bincount(packets.flow[keep], minlength=n)
        size = np.bincount(packets.flow[keep], packets.payload[keep], n).astype(np.int64)
        parts[f"Subflow {side} Packets"] = count // packet_count
        parts[f"Subflow {side} Bytes"] = size // packet_count
    return parts


def _bulks(packets: Packets, time: Ints, n: int) -> Features:
    """Averages over bulks: uninterrupted runs of data packets in one direction."""
    data = packets.payload > 0
    flow, forward, at, size = packets.flow[data], packets.forward[data], time[data], packets.payload[data]
    broken = np.ones(len(flow), dtype=bool)
    broken[1:] = (flow[1:] != flow[:-1]) | (forward[1:] != forward[:-1]) | (np.diff(at) > BULK_PAUSE)
    start = np.flatnonzero(broken)
    end = np.append(start[1:], len(flow)) - 1
    long = end - start + 1 >= BULK_PACKETS
    start, end = start[long], end[long]
    before = np.concatenate([[0], np.cumsum(size)])
    runs = {"bytes": before[end + 1] - before[start], "packets": end - start + 1, "time": at[end] - at[start]}
    parts: Features = {}
    for side, keep in (("Fwd", forward[start]), ("Bwd", ~forward[start])):
        sums = {k: np.bincount(flow[start][keep], v[keep], n) for k, v in runs.items()}
        number = np.maximum(np.bincount(flow[start][keep], minlength=n), 1)
        parts[f"{side} Bytes/Bulk Avg"] = (sums["bytes"] / number).astype(np.int64)
        parts[f"{side} Packet/Bulk Avg"] = (sums["packets"] / number).astype(np.int64)
        parts[f"{side} Bulk Rate Avg"] = (sums["bytes"] / np.maximum(sums["time"], 1) * SECOND).astype(np.int64)
    return parts


def _windows(packets: Packets, protocol: Ints, windows: tuple[Ints, Ints]) -> Features:
    """Initial windows, smallest forward header, forward data packets after the first packet."""
    n = len(protocol)
    answered = np.bincount(packets.flow[~packets.forward], minlength=n) > 0
    later = np.ones(len(packets.flow), dtype=bool)
    later[_starts(packets.flow)] = False
    useful = packets.forward & (packets.payload > 0) & later
    return {
        "FWD Init Win Bytes": np.where(protocol == TCP, windows[0], 0),
        "Bwd Init Win Bytes": np.where((protocol == TCP) & answered, windows[1], 0),
        "Fwd Act Data Pkts": np.bincount(packets.flow[useful], minlength=n),
        "Fwd Seg Size Min": summarise(packets.header[packets.forward], packets.flow[packets.forward], n).low,
    }


def _activity(packets: Packets, time: Ints, n: int) -> Features:
    """Active and idle periods; the period after the last long pause is not counted, as in the files."""
    pause = packets.pause > IDLE_PAUSE
    ends = np.flatnonzero(pause)
    flow = packets.flow[ends]
    first = np.zeros(len(ends), dtype=np.int64)
    same = flow[1:] == flow[:-1]
    first[1:][same] = time[ends[:-1]][same]
    active = time[np.maximum(ends - 1, 0)] - first
    seen = active > 0
    return _spread("Active", summarise(active[seen], flow[seen], n)) | _spread(
        "Idle", summarise(packets.pause[ends], flow, n)
    )
