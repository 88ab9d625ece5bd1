"""The array meter against a slow one that walks through the packets of each flow."""

import itertools
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.simulate import flow_meter as fm

SECOND = 1_000_000
PACKET = st.tuples(
    st.one_of(st.integers(0, 2_000), st.integers(0, 12 * SECOND)),
    st.booleans(),
    st.one_of(st.just(0), st.integers(1, 1_460)),
    st.sampled_from([20, 32, 40]),
    st.integers(0, 255),
)
FLOWS = st.lists(st.lists(PACKET, min_size=1, max_size=12), min_size=1, max_size=5)


def as_packets(flows):
    rows = [(i, 0 if j == 0 else p[0], *p[1:]) for i, flow in enumerate(flows) for j, p in enumerate(flow)]
    flow, pause, forward, payload, header, flags = (np.array(c) for c in zip(*rows, strict=True))
    return fm.Packets(flow, pause, forward.astype(bool), payload, header, flags)


def spread(name, values):
    return {
        f"{name} Max": max(values, default=0),
        f"{name} Min": min(values, default=0),
        f"{name} Mean": statistics.fmean(values) if values else 0,
        f"{name} Std": statistics.stdev(values) if len(values) > 1 else 0,
    }


def gaps(times):
    return [b - a for a, b in itertools.pairwise(times)]


def bulks(packets, forward):
    """Runs of at least four data packets of one direction without a pause above a second."""
    runs, run = [], []
    for time, to_server, payload in packets:
        if not payload:
            continue
        if run and (run[-1][1] != to_server or time - run[-1][0] > SECOND):
            runs.append(run)
            run = []
        run.append((time, to_server, payload))
    runs = [r for r in [*runs, run] if len(r) >= 4 and r[0][1] == forward]
    n = max(len(runs), 1)
    size = sum(p[2] for r in runs for p in r)
    time = sum(r[-1][0] - r[0][0] for r in runs)
    return size // n, sum(len(r) for r in runs) // n, int(size / max(time, 1) * SECOND)


def slowly(flow):
    time, rows = 0, []
    for j, (pause, forward, payload, header, flags) in enumerate(flow):
        time += pause if j else 0
        rows.append((time, forward, payload, header, flags))
    duration = max(rows[-1][0], 1)
    sides = {"Fwd": [r for r in rows if r[1]], "Bwd": [r for r in rows if not r[1]]}
    out = {"Flow Duration": duration} | spread("Packet Length", [r[2] for r in rows])
    out |= spread("Flow IAT", gaps([r[0] for r in rows]))
    out["Flow Bytes/s"] = sum(r[2] for r in rows) / duration * SECOND
    for side, mine in sides.items():
        size = sum(r[2] for r in mine)
        out |= spread(f"{side} Packet Length", [r[2] for r in mine]) | spread(f"{side} IAT", gaps([r[0] for r in mine]))
        out[f"{side} Header Length"] = sum(r[3] for r in mine)
        out[f"{side} Packets/s"] = len(mine) / duration * SECOND
        out[f"{side} PSH Flags"] = sum(r[4] & fm.PSH > 0 for r in mine)
        out[f"Subflow {side} Bytes"] = size // len(rows)
        bulk = bulks([(r[0], r[1], r[2]) for r in rows], side == "Fwd")
        out |= dict(zip([f"{side} {n} Avg" for n in ("Bytes/Bulk", "Packet/Bulk", "Bulk Rate")], bulk, strict=True))
    for name in ("FIN", "SYN", "RST", "ACK", "URG", "ECE", "CWR"):
        out[f"{name} Flag Count"] = sum(r[4] & getattr(fm, name) > 0 for r in rows)
    out["Down/Up Ratio"] = len(sides["Bwd"]) / max(len(sides["Fwd"]), 1)
    out["Fwd Act Data Pkts"] = sum(r[1] and r[2] > 0 for r in rows[1:])
    start, last, active, idle = 0, 0, [], []
    for time, *_ in rows[1:]:
        if time - last > 5 * SECOND:
            active += [last - start] if last > start else []
            idle.append(time - last)
            start = time
        last = time
    return out | spread("Active", active) | spread("Idle", idle)


@settings(max_examples=150, deadline=None)
@given(FLOWS)
def test_every_feature_is_what_a_walk_through_the_packets_finds(flows):
    n = len(flows)
    windows = (np.full(n, 29_200), np.full(n, 235))
    measured = fm.measure(as_packets(flows), np.full(n, fm.TCP), windows)
    for i, flow in enumerate(flows):
        for name, expected in slowly(flow).items():
            assert measured[name][i] == pytest.approx(expected, rel=1e-9, abs=1e-6), name


def test_columns_are_those_of_the_files_in_their_order():
    one = as_packets([[(0, True, 10, 20, 0), (5, False, 0, 20, 0)]])
    measured = fm.measure(one, np.array([fm.TCP]), (np.array([1]), np.array([2])))
    assert tuple(measured) == fm.FEATURES
    assert len(fm.FEATURES) == 82


def test_windows_belong_to_tcp_and_to_flows_with_an_answer():
    flows = as_packets([[(0, True, 10, 8, 0)], [(0, True, 10, 20, 0)], [(0, True, 10, 20, 0), (9, False, 1, 20, 0)]])
    protocol = np.array([fm.UDP, fm.TCP, fm.TCP])
    measured = fm.measure(flows, protocol, (np.array([7, 7, 7]), np.array([9, 9, 9])))
    assert measured["FWD Init Win Bytes"].tolist() == [0, 7, 7]
    assert measured["Bwd Init Win Bytes"].tolist() == [0, 0, 9]
    assert measured["Total TCP Flow Time"].tolist() == [0, 1, 9]


def test_icmp_fields_are_minus_one_but_for_pings():
    flows = as_packets([[(0, True, 32, 8, 0)], [(0, True, 32, 8, 0)]])
    measured = fm.measure(flows, np.array([fm.ICMP, fm.UDP]), (np.zeros(2, int), np.zeros(2, int)))
    assert measured["ICMP Type"].tolist() == [8, -1]
    assert measured["ICMP Code"].tolist() == [0, -1]


def test_taking_packets_keeps_all_fields_together():
    packets = as_packets([[(0, True, 10, 20, 1), (5, False, 0, 32, 2)]])
    kept = packets.take(np.array([False, True]))
    assert [kept.pause[0], kept.payload[0], kept.header[0], kept.flags[0]] == [5, 0, 32, 2]
