"""The tables behind the simulated CICIDS2017: hosts and routes, when each class ran, and how its flows look.

Quantiles are those of the corrected edition (Sharafaldin, Lashkari, Ghorbani, ICISSP 2018; Liu et al., IEEE CNS 2022),
rounded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from utils.simulate.draws import Knots
from utils.simulate.flow_meter import ICMP, TCP, UDP

BENIGN = "BENIGN"
SCAN = "Portscan"
INSIDE_SCAN = "Infiltration - Portscan"

NAT = "172.16.0.1"
WEB_SERVER, SECOND_SERVER, NAME_SERVER = "192.168.10.50", "192.168.10.51", "192.168.10.3"
GATEWAY = "192.168.10.1"
CLIENTS = tuple(f"192.168.10.{n}" for n in (5, 8, 9, 12, 14, 15, 16, 17, 19, 25))
OUTSIDE = ("205.174.165.73", "205.174.165.69", "72.21.91.29", "178.255.83.1", "162.208.20.178", "23.194.142.15")

Weights = Mapping[int, float]
Opening = Literal["full", "syn", "none"]
Ending = Literal["fin", "half", "rst_fwd", "rst_bwd", "open"]


@dataclass(frozen=True)
class Kind:
    """One kind of flow; quantities are a constant or seven quantiles (see ``draws.quantiles``).

    Attributes:
        label: class of the flow.
        weight: share among the kinds of the class.
        route: key of :data:`ROUTES`.
        ports: destination ports with weights; empty: any of the scanned ports.
        sent: data packets forward.
        received: data packets backward.
        acks: acknowledgements without data, forward and backward.
        sizes: payload bytes of a data packet, forward and backward.
        spread: how far sizes vary inside one flow, 0 to 1.
        duration: microseconds.
        evenness: shape of the gamma distribution of the pauses; small = a few long pauses.
        protocol: 6 TCP, 17 UDP, 1 ICMP.
        opening: "full" handshake, "syn" only, "none" (a flow cut out of a longer connection), with weights.
        ending: "fin", "half" (one FIN), "rst_fwd", "rst_bwd", "open", with weights.
        windows: initial TCP windows of the client, with weights.
        answer_windows: initial TCP windows of the server, with weights.
        headers: header bytes of the client's packets, with weights.
        push: share of data packets that carry PSH.
    """

    label: str
    weight: float
    route: str
    ports: Weights
    sent: Knots
    received: Knots
    acks: tuple[Knots, Knots]
    sizes: tuple[Knots, Knots]
    duration: Knots
    spread: float = 0.6
    evenness: float = 0.3
    protocol: int = TCP
    opening: Mapping[Opening, float] = field(default_factory=lambda: {"full": 0.93, "none": 0.07})
    ending: Mapping[Ending, float] = field(
        default_factory=lambda: {"fin": 0.68, "rst_fwd": 0.14, "rst_bwd": 0.08, "open": 0.1}
    )
    windows: Weights = field(default_factory=lambda: {8192: 0.37, 29200: 0.35, 65535: 0.2, 256: 0.04, 258: 0.04})
    answer_windows: Weights = field(
        default_factory=lambda: {
            229: 0.1,
            235: 0.2,
            247: 0.1,
            0: 0.06,
            122: 0.09,
            360: 0.1,
            972: 0.1,
            5000: 0.15,
            28960: 0.1,
        }
    )
    headers: Weights = field(default_factory=lambda: {20: 0.6, 32: 0.4})
    push: float = 0.55


@dataclass(frozen=True)
class Class:
    """When a class ran (hours as recorded, three ahead of local time) and its flows in the published draw."""

    day: int
    hours: tuple[float, float]
    flows: int


CLASSES: Mapping[str, Class] = MappingProxyType(
    {
        "FTP-Patator": Class(1, (12.32, 13.34), 3_972),
        "SSH-Patator": Class(1, (17.15, 19.07), 2_961),
        "DoS Slowloris": Class(2, (12.81, 13.17), 3_859),
        "DoS Slowhttptest": Class(2, (13.25, 13.59), 1_740),
        "DoS Hulk": Class(2, (13.72, 14.01), 5_000),
        "DoS GoldenEye": Class(2, (14.16, 14.33), 5_000),
        "Heartbleed": Class(2, (18.2, 18.54), 11),
        "Web Attack - Brute Force": Class(3, (12.32, 12.99), 73),
        "Web Attack - XSS": Class(3, (13.27, 13.57), 18),
        "Web Attack - SQL Injection": Class(3, (13.59, 13.71), 13),
        "Infiltration": Class(3, (17.31, 18.74), 36),
        INSIDE_SCAN: Class(3, (17.0, 18.77), 5_000),
        "Botnet": Class(4, (13.07, 14.03), 736),
        SCAN: Class(4, (16.94, 18.4), 5_000),
        "DDoS": Class(4, (18.94, 19.27), 5_000),
    }
)

_ANY = CLIENTS + OUTSIDE[:2]
ROUTES: Mapping[str, tuple[Mapping[str, float], Mapping[str, float]]] = MappingProxyType(
    {
        "names": (dict.fromkeys(CLIENTS, 1) | {NAME_SERVER: 3}, {NAME_SERVER: 0.7, GATEWAY: 0.3}),
        "web": (dict.fromkeys(CLIENTS, 1), dict.fromkeys(OUTSIDE, 1)),
        "visit": ({NAT: 3} | dict.fromkeys(_ANY, 0.2), {WEB_SERVER: 0.8, SECOND_SERVER: 0.2}),
        "inside": (
            dict.fromkeys(CLIENTS, 1),
            {NAME_SERVER: 0.25, WEB_SERVER: 0.2, SECOND_SERVER: 0.1} | dict.fromkeys(CLIENTS, 0.05),
        ),
        "attack": (
            {NAT: 3, "205.174.165.69": 0.6} | dict.fromkeys(CLIENTS, 0.12),
            {WEB_SERVER: 0.75, SECOND_SERVER: 0.15} | dict.fromkeys(CLIENTS, 0.01),
        ),
        "inside_attack": (
            {"192.168.10.8": 3} | dict.fromkeys(CLIENTS, 0.3),
            dict.fromkeys(CLIENTS, 1) | {SECOND_SERVER: 1},
        ),
        "call_home": (dict.fromkeys(CLIENTS, 1), {OUTSIDE[0]: 0.7, OUTSIDE[1]: 0.2, OUTSIDE[2]: 0.1}),
    }
)
"""Sources and destinations with weights."""

DOCUMENTED_ROUTES: Mapping[str, tuple[Mapping[str, float], Mapping[str, float]]] = MappingProxyType(
    dict(ROUTES)
    | {
        "visit": (dict.fromkeys(CLIENTS, 1), {WEB_SERVER: 1}),
        "attack": ({NAT: 1}, {WEB_SERVER: 1}),
        "inside_attack": ({"192.168.10.8": 0.99, NAT: 0.01}, ROUTES["inside_attack"][1]),
        "call_home": (dict.fromkeys(CLIENTS[:6], 1), {OUTSIDE[0]: 1}),
    }
)
"""The routes of the real files: one address stands behind nearly every attack."""

_WEB_PORTS = {80: 0.9, 8080: 0.07, 8000: 0.03}
_LINUX = {29200: 0.8, 8192: 0.1, 65535: 0.1}
_WINDOWS = {8192: 0.8, 29200: 0.1, 65535: 0.1}
_SERVER = {229: 0.2, 235: 0.5, 247: 0.1, 243: 0.05, 360: 0.05, 0: 0.05, 28960: 0.05}
_OPENED: Mapping[Opening, float] = {"full": 0.98, "none": 0.02}
_DATAGRAM: Mapping[Opening, float] = {"none": 1}
_SILENT: Mapping[Ending, float] = {"open": 1}

KINDS: tuple[Kind, ...] = (
    # --- benign
    Kind(
        BENIGN,
        0.51,
        "names",
        {53: 1},
        protocol=UDP,
        opening=_DATAGRAM,
        ending=_SILENT,
        sent=(1, 1, 1, 2, 2, 2, 8),
        received=(1, 1, 1, 2, 2, 2, 8),
        acks=(0, 0),
        sizes=((22, 31, 35, 42, 48, 57, 108), (23, 57, 77, 107, 142, 190, 416)),
        spread=0,
        duration=(99, 173, 220, 30_700, 61_200, 151_000, 1.2e8),
        evenness=0.5,
    ),
    Kind(
        BENIGN,
        0.2,
        "web",
        {443: 0.97, 8443: 0.03},
        sent=(0, 2, 3, 4, 6, 11, 106),
        received=(0, 1, 3, 6, 10, 25, 300),
        acks=((0, 2, 4, 7, 12, 18, 300), (0, 1, 2, 4, 8, 14, 100)),
        sizes=((20, 40, 80, 150, 280, 500, 1_460), (20, 46, 200, 500, 900, 1_400, 2_900)),
        duration=(108, 198_000, 925_000, 6.16e6, 6.94e7, 1.17e8, 1.2e8),
        evenness=0.08,
    ),
    Kind(
        BENIGN,
        0.08,
        "web",
        _WEB_PORTS,
        sent=(0, 0, 0, 1, 3, 8, 38),
        received=(0, 0, 0, 1, 3, 8, 120),
        acks=((0, 1, 2, 3, 9, 12, 100), (0, 0, 1, 3, 9, 12, 60)),
        sizes=((40, 200, 300, 420, 450, 700, 1_460), (100, 200, 400, 746, 1_300, 1_450, 2_900)),
        duration=(15_100, 155_000, 5.1e6, 6.29e6, 7.2e7, 1.16e8, 1.2e8),
        evenness=0.1,
    ),
    Kind(
        BENIGN,
        0.055,
        "visit",
        _WEB_PORTS,
        windows={29200: 0.5, 8192: 0.35, 65535: 0.15},
        answer_windows=_SERVER,
        sent=(1, 1, 1, 2, 3, 8, 60),
        received=(1, 2, 4, 6, 9, 16, 80),
        acks=((0, 2, 3, 5, 7, 10, 60), (0, 1, 2, 2, 4, 6, 40)),
        sizes=((60, 250, 320, 380, 450, 600, 1_400), (200, 700, 1_000, 1_300, 1_440, 1_448, 2_900)),
        duration=(8_000, 60_000, 300_000, 5.0e6, 1.1e7, 6e7, 1.2e8),
        evenness=0.12,
        push=0.5,
    ),
    Kind(
        BENIGN,
        0.015,
        "visit",
        {21: 0.95, 2121: 0.05},
        windows=_LINUX,
        answer_windows=_SERVER,
        sent=(2, 4, 6, 8, 12, 20, 60),
        received=(3, 6, 8, 10, 14, 24, 60),
        acks=((0, 2, 3, 5, 7, 10, 30), (0, 2, 4, 6, 9, 12, 30)),
        sizes=((6, 8, 12, 16, 24, 40, 120), (15, 20, 28, 36, 60, 90, 300)),
        duration=(50_000, 600_000, 3e6, 2e7, 6e7, 1.1e8, 1.2e8),
        evenness=0.12,
    ),
    Kind(
        BENIGN,
        0.015,
        "visit",
        {22: 0.95, 2222: 0.05},
        windows=_LINUX,
        answer_windows=_SERVER,
        headers={32: 0.9, 20: 0.1},
        sent=(4, 10, 14, 24, 60, 110, 300),
        received=(4, 10, 14, 26, 70, 130, 300),
        acks=((0, 4, 6, 12, 30, 50, 120), (0, 3, 5, 8, 20, 40, 100)),
        sizes=((16, 36, 48, 64, 120, 300, 1_400), (16, 36, 60, 100, 180, 400, 1_448)),
        duration=(200_000, 2e6, 8e6, 3e7, 9e7, 1.19e8, 1.2e8),
        evenness=0.12,
    ),
    Kind(
        BENIGN,
        0.045,
        "inside",
        {389: 0.2, 88: 0.2, 3268: 0.15, 139: 0.15, 445: 0.2, 465: 0.05, 444: 0.05},
        sent=(0, 2, 4, 10, 18, 24, 102),
        received=(0, 1, 3, 10, 18, 24, 94),
        acks=((0, 2, 4, 8, 14, 20, 60), (0, 2, 4, 8, 12, 16, 60)),
        sizes=((20, 60, 120, 210, 300, 700, 1_460), (20, 60, 100, 160, 250, 600, 1_460)),
        duration=(1_000, 6_000, 10_900, 1.25e6, 2.2e6, 1.06e8, 1.2e8),
        evenness=0.15,
        headers={32: 0.5, 20: 0.5},
    ),
    Kind(
        BENIGN,
        0.012,
        "call_home",
        {8080: 0.6, 80: 0.3, 444: 0.1},
        windows=_WINDOWS,
        sent=(1, 1, 1, 2, 3, 5, 30),
        received=(1, 1, 1, 2, 3, 6, 40),
        acks=((0, 1, 2, 2, 4, 6, 20), (0, 1, 1, 2, 3, 5, 20)),
        sizes=((60, 120, 180, 260, 400, 700, 1_460), (60, 110, 140, 300, 700, 1_200, 1_460)),
        duration=(30_000, 60_000, 90_000, 300_000, 5e6, 3e7, 1.1e8),
        evenness=0.2,
    ),
    Kind(
        BENIGN,
        0.06,
        "inside",
        {123: 0.6, 137: 0.24, 138: 0.06, 88: 0.06, 389: 0.04},
        protocol=UDP,
        opening=_DATAGRAM,
        ending=_SILENT,
        sent=(1, 1, 1, 2, 2, 13, 286),
        received=(0, 0, 0, 1, 2, 2, 40),
        acks=(0, 0),
        sizes=((45, 48, 48, 48, 62, 219, 1_350), (45, 48, 48, 48, 62, 163, 1_430)),
        spread=0.05,
        duration=(3, 18, 101, 22_400, 111_000, 6.6e7, 8.8e7),
        evenness=0.5,
    ),
    Kind(
        BENIGN,
        0.004,
        "inside",
        {},
        ending={"rst_bwd": 1},
        opening={"syn": 1},
        windows={8192: 0.8, 65535: 0.2},
        headers={32: 0.8, 28: 0.2},
        sent=0,
        received=0,
        acks=((1, 2, 2, 2, 2, 2, 3), (1, 2, 2, 2, 2, 2, 3)),
        sizes=(0, 0),
        duration=(400_000, 900_000, 1e6, 1.01e6, 1.02e6, 1.5e6, 3e6),
        evenness=4,
    ),
    Kind(
        BENIGN,
        0.004,
        "inside",
        {0: 1},
        protocol=ICMP,
        opening=_DATAGRAM,
        ending=_SILENT,
        sent=(1, 1, 2, 4, 4, 10, 60),
        received=(0, 1, 2, 4, 4, 10, 60),
        acks=(0, 0),
        sizes=(32, 32),
        spread=0,
        duration=(200, 900, 1e6, 3e6, 3.1e6, 9e6, 6e7),
        evenness=3,
    ),
    # --- password guessing
    Kind(
        "FTP-Patator",
        1,
        "attack",
        {21: 0.93, 2121: 0.07},
        windows=_LINUX,
        answer_windows={0: 0.7, 227: 0.15, 235: 0.15},
        opening=_OPENED,
        ending={"fin": 0.99, "open": 0.01},
        headers={32: 0.85, 20: 0.15},
        sent=(2, 7, 7, 7, 7, 7, 8),
        received=(3, 7, 7, 7, 7, 7, 8),
        acks=((0, 1, 1, 1, 1, 1, 2), (2, 6, 7, 7, 7, 7, 8)),
        sizes=((12, 15, 16, 17, 18, 20, 30), (24, 26, 27, 27, 27, 28, 32)),
        spread=0.25,
        duration=(3.3e6, 8.38e6, 8.68e6, 9e6, 9.39e6, 9.75e6, 1.08e7),
        evenness=0.15,
        push=1,
    ),
    Kind(
        "SSH-Patator",
        1,
        "attack",
        {22: 0.93, 2222: 0.07},
        windows=_LINUX,
        answer_windows={247: 0.7, 257: 0.15, 235: 0.15},
        opening=_OPENED,
        ending={"fin": 0.99, "open": 0.01},
        headers={32: 0.85, 20: 0.15},
        sent=(2, 16, 16, 16, 16, 16, 22),
        received=(3, 15, 15, 15, 15, 15, 21),
        acks=((0, 2, 3, 4, 5, 6, 10), (0, 14, 15, 16, 16, 17, 22)),
        sizes=((60, 120, 125, 126, 127, 130, 160), (90, 175, 180, 182, 185, 190, 240)),
        spread=0.8,
        duration=(1.69e6, 1.12e7, 1.16e7, 1.21e7, 1.29e7, 1.35e7, 6e7),
        evenness=0.12,
        push=1,
    ),
    # --- denial of service
    Kind(
        "DoS Slowloris",
        0.55,
        "attack",
        _WEB_PORTS,
        windows=_LINUX,
        answer_windows={235: 0.6, 0: 0.3, 243: 0.1},
        headers={32: 0.85, 20: 0.15},
        opening=_OPENED,
        ending={"open": 0.4, "rst_bwd": 0.45, "fin": 0.1, "rst_fwd": 0.05},
        sent=(1, 2, 3, 7, 11, 11, 12),
        received=(0, 0, 0, 0, 0, 1, 1),
        acks=((0, 0, 1, 2, 3, 4, 5), (0, 1, 2, 2, 3, 3, 4)),
        sizes=((60, 150, 190, 220, 231, 231, 286), (200, 300, 400, 450, 480, 483, 483)),
        spread=0.1,
        duration=(2e7, 6e7, 9.7e7, 1.03e8, 1.05e8, 1.06e8, 1.19e8),
        evenness=0.06,
        push=1,
    ),
    Kind(
        "DoS Slowloris",
        0.45,
        "attack",
        _WEB_PORTS,
        windows={229: 0.7, 29200: 0.3},
        answer_windows={0: 0.7, 235: 0.3},
        headers={32: 0.85, 20: 0.15},
        opening={"none": 1},
        ending={"open": 0.6, "rst_bwd": 0.4},
        sent=(1, 1, 1, 2, 2, 3, 3),
        received=0,
        acks=(0, (1, 1, 1, 2, 2, 3, 3)),
        sizes=(8, 0),
        spread=0,
        duration=(40, 80, 1e7, 5.1e7, 1.02e8, 1.06e8, 1.19e8),
        evenness=0.3,
        push=1,
    ),
    Kind(
        "DoS Slowhttptest",
        1,
        "attack",
        _WEB_PORTS,
        windows={29200: 0.75, 229: 0.2, 8192: 0.05},
        answer_windows={235: 0.7, 0: 0.13, 28960: 0.12, 243: 0.05},
        headers={32: 0.7, 20: 0.3},
        opening={"full": 0.8, "none": 0.2},
        ending={"open": 0.35, "fin": 0.3, "rst_fwd": 0.2, "rst_bwd": 0.15},
        sent=(1, 1, 2, 2, 3, 11, 15),
        received=(0, 0, 0, 0, 1, 1, 4),
        acks=((0, 0, 0, 1, 2, 4, 8), (1, 1, 1, 2, 2, 3, 6)),
        sizes=((4, 12, 120, 270, 350, 450, 533), (200, 700, 1_400, 1_448, 1_450, 1_980, 4_340)),
        spread=0.2,
        duration=(2e5, 2.1e7, 5.2e7, 1.08e8, 1.1e8, 1.11e8, 1.2e8),
        evenness=0.06,
        push=1,
    ),
    Kind(
        "DoS Hulk",
        1,
        "attack",
        _WEB_PORTS,
        windows=_LINUX,
        answer_windows={235: 0.8, 243: 0.1, 229: 0.1},
        headers={20: 0.55, 32: 0.45},
        opening=_OPENED,
        ending={"rst_fwd": 0.95, "fin": 0.05},
        sent=(1, 1, 1, 1, 1, 2, 6),
        received=(1, 2, 3, 3, 4, 4, 6),
        acks=((0, 2, 2, 3, 4, 5, 8), (0, 1, 1, 2, 2, 3, 5)),
        sizes=((284, 307, 324, 349, 367, 379, 422), (1_450, 2_200, 2_900, 3_600, 4_340, 5_800, 11_600)),
        spread=0.3,
        duration=(2_320, 26_000, 81_000, 163_000, 203_000, 1e6, 8e7),
        evenness=0.15,
        push=1,
    ),
    Kind(
        "DoS GoldenEye",
        1,
        "attack",
        _WEB_PORTS,
        windows=_LINUX,
        answer_windows={235: 0.7, 236: 0.1, 0: 0.1, 237: 0.1},
        headers={32: 0.85, 20: 0.15},
        opening=_OPENED,
        ending={"half": 0.6, "rst_fwd": 0.33, "rst_bwd": 0.05, "open": 0.02},
        sent=(1, 1, 1, 1, 1, 2, 11),
        received=(1, 1, 1, 2, 3, 4, 6),
        acks=((1, 2, 3, 4, 6, 7, 12), (0, 1, 1, 2, 2, 3, 5)),
        sizes=((216, 313, 355, 407, 476, 552, 791), (1_760, 2_200, 2_900, 3_520, 4_300, 5_800, 10_000)),
        spread=0.3,
        duration=(3.39e6, 8.9e6, 1.13e7, 1.19e7, 3.68e7, 8.96e7, 1.2e8),
        evenness=0.07,
        push=1,
    ),
    Kind(
        "Heartbleed",
        1,
        "attack",
        {444: 0.8, 443: 0.2},
        windows=_LINUX,
        answer_windows={235: 0.6, 349: 0.4},
        headers={32: 1},
        opening={"none": 0.9, "full": 0.1},
        ending={"open": 0.9, "rst_fwd": 0.1},
        sent=(25, 115, 118, 120, 120, 120, 123),
        received=(180, 500, 530, 545, 545, 546, 546),
        acks=((560, 2_500, 2_600, 2_660, 2_680, 2_690, 2_700), (260, 1_200, 1_450, 1_500, 1_550, 1_600, 1_650)),
        sizes=((64, 66, 66, 66, 66, 67, 120), (13_000, 13_500, 14_000, 14_450, 14_480, 14_500, 14_600)),
        spread=0.2,
        duration=(2.5e7, 1.19e8, 1.19e8, 1.19e8, 1.19e8, 1.19e8, 1.2e8),
        evenness=0.05,
    ),
    Kind(
        "DDoS",
        1,
        "attack",
        _WEB_PORTS,
        windows=_WINDOWS,
        answer_windows={229: 0.8, 235: 0.2},
        headers={20: 0.85, 32: 0.15},
        opening=_OPENED,
        ending={"rst_fwd": 0.7, "fin": 0.3},
        sent=1,
        received=(0, 1, 2, 2, 3, 3, 4),
        acks=((1, 3, 4, 4, 4, 5, 6), (0, 1, 1, 1, 2, 2, 4)),
        sizes=((18, 20, 20, 20, 20, 20, 330), (2_900, 3_800, 4_400, 5_800, 5_800, 7_200, 11_600)),
        spread=0.1,
        duration=(67_000, 1.97e6, 3.88e6, 6.65e6, 9.78e6, 1.15e7, 8.2e7),
        evenness=0.05,
        push=1,
    ),
    # --- web attacks
    Kind(
        "Web Attack - Brute Force",
        1,
        "attack",
        _WEB_PORTS,
        windows=_LINUX,
        answer_windows={1174: 0.4, 1176: 0.3, 235: 0.3},
        headers={32: 0.9, 20: 0.1},
        opening=_OPENED,
        ending={"fin": 1},
        sent=(12, 100, 101, 101, 101, 101, 101),
        received=(12, 100, 101, 101, 101, 101, 102),
        acks=((14, 90, 99, 100, 100, 100, 101), (2, 2, 2, 2, 2, 2, 4)),
        sizes=((400, 425, 430, 434, 436, 440, 460), (650, 690, 700, 715, 720, 730, 790)),
        spread=0.4,
        duration=(4.1e6, 3.29e7, 3.31e7, 3.41e7, 3.44e7, 3.52e7, 3.55e7),
        evenness=0.2,
        push=1,
    ),
    Kind(
        "Web Attack - XSS",
        1,
        "attack",
        _WEB_PORTS,
        windows=_LINUX,
        answer_windows={1149: 0.4, 1150: 0.3, 235: 0.3},
        headers={32: 0.9, 20: 0.1},
        opening=_OPENED,
        ending={"fin": 1},
        sent=(77, 100, 101, 101, 101, 101, 101),
        received=(77, 100, 101, 101, 101, 101, 101),
        acks=((80, 98, 100, 100, 101, 103, 110), (2, 2, 2, 2, 3, 4, 10)),
        sizes=((470, 480, 482, 484, 486, 488, 500), (1_700, 1_780, 1_800, 1_820, 1_830, 1_840, 1_870)),
        spread=0.25,
        duration=(5.32e7, 6.69e7, 6.7e7, 6.76e7, 6.83e7, 6.94e7, 7.02e7),
        evenness=0.2,
        push=1,
    ),
    Kind(
        "Web Attack - SQL Injection",
        1,
        "attack",
        _WEB_PORTS,
        windows=_LINUX,
        answer_windows={235: 0.5, 236: 0.4, 243: 0.1},
        headers={32: 0.9, 20: 0.1},
        opening=_OPENED,
        ending={"fin": 1},
        sent=(1, 1, 1, 1, 1, 1, 2),
        received=(1, 1, 1, 1, 1, 2, 2),
        acks=((1, 2, 2, 3, 3, 4, 5), (1, 1, 2, 2, 2, 3, 3)),
        sizes=((447, 460, 530, 540, 599, 600, 600), (530, 600, 1_840, 1_900, 2_020, 2_700, 4_150)),
        spread=0,
        duration=(5.005e6, 5.006e6, 5.008e6, 5.01e6, 5.04e6, 5.09e6, 6.55e6),
        evenness=0.01,
        push=1,
    ),
    # --- from inside
    Kind(
        "Infiltration",
        1,
        "call_home",
        {444: 0.7, 443: 0.2, 80: 0.1},
        windows={255: 0.55, 0: 0.25, 8192: 0.2},
        answer_windows={1452: 0.5, 3294: 0.2, 2956: 0.3},
        headers={20: 0.8, 32: 0.2},
        opening={"none": 0.85, "full": 0.15},
        ending={"open": 0.87, "fin": 0.08, "rst_bwd": 0.05},
        sent=(1, 11, 19, 34, 500, 1_500, 2_000),
        received=(0, 0, 0, 0, 0, 9, 60),
        acks=((0, 0, 1, 1, 5, 20, 60), (1, 15, 20, 35, 500, 1_500, 2_000)),
        sizes=((95, 250, 300, 350, 900, 1_400, 1_460), (90, 100, 120, 150, 200, 260, 300)),
        spread=0.5,
        duration=(540, 3.73e7, 6.95e7, 1e8, 1.16e8, 1.19e8, 1.2e8),
        evenness=0.05,
    ),
    Kind(
        "Botnet",
        1,
        "call_home",
        {8080: 0.85, 80: 0.1, 8000: 0.05},
        windows=_WINDOWS,
        answer_windows={237: 0.8, 245: 0.1, 1255: 0.1},
        headers={20: 0.9, 32: 0.1},
        opening=_OPENED,
        ending={"fin": 1},
        sent=(1, 1, 1, 1, 1, 1, 36),
        received=(1, 1, 1, 1, 1, 1, 2),
        acks=((1, 1, 1, 1, 1, 2, 4), (1, 1, 1, 1, 1, 2, 60)),
        sizes=((180, 192, 194, 195, 196, 200, 5_800), (120, 126, 128, 128, 128, 129, 139)),
        spread=0.03,
        duration=(54_700, 64_400, 68_400, 76_700, 95_900, 195_000, 716_000),
        evenness=0.1,
        push=1,
    ),
    # --- scans
    Kind(
        SCAN,
        0.99,
        "attack",
        {},
        windows={29200: 0.47, 1024: 0.43, 2048: 0.05, 4096: 0.05},
        answer_windows={0: 1},
        headers={40: 0.45, 24: 0.45, 32: 0.05, 20: 0.05},
        opening={"syn": 1},
        ending={"rst_bwd": 1},
        sent=0,
        received=0,
        acks=(0, 0),
        sizes=(0, 0),
        duration=(1, 20, 45, 100, 300, 1_200, 20_000),
        evenness=1,
    ),
    Kind(
        SCAN,
        0.01,
        "attack",
        {80: 0.4, 22: 0.3, 21: 0.3},
        windows={29200: 1},
        answer_windows={29200: 0.5, 28960: 0.5},
        headers={32: 1},
        opening={"full": 1},
        ending={"rst_fwd": 0.6, "fin": 0.4},
        sent=(0, 0, 0, 0, 0, 1, 1),
        received=(0, 0, 0, 0, 1, 1, 4),
        acks=(0, 0),
        sizes=((20, 60, 100, 120, 150, 160, 168), (50, 100, 300, 900, 1_448, 2_900, 5_790)),
        duration=(300, 900, 5_000, 60_000, 5e6, 1e7, 3.7e7),
        evenness=0.2,
    ),
    Kind(
        INSIDE_SCAN,
        0.55,
        "inside_attack",
        {},
        windows={1024: 0.9, 2048: 0.05, 3072: 0.05},
        answer_windows={0: 1},
        headers={24: 0.9, 40: 0.05, 20: 0.05},
        opening={"syn": 1},
        ending={"rst_bwd": 1},
        sent=0,
        received=0,
        acks=((0, 0, 0, 1, 1, 1, 1), (0, 0, 0, 1, 1, 1, 1)),
        sizes=(0, 0),
        duration=(1, 10, 30, 60, 200, 900, 15_000),
        evenness=0.5,
    ),
    Kind(
        INSIDE_SCAN,
        0.44,
        "inside_attack",
        {},
        windows={1024: 0.9, 2048: 0.05, 3072: 0.05},
        answer_windows={0: 1},
        headers={24: 0.9, 40: 0.05, 20: 0.05},
        opening={"syn": 1},
        ending=_SILENT,
        sent=0,
        received=0,
        acks=(1, 0),
        sizes=(0, 0),
        duration=(1, 5, 20, 50, 150, 700, 12_000),
        evenness=1,
    ),
    Kind(
        INSIDE_SCAN,
        0.01,
        "inside_attack",
        {80: 0.4, 445: 0.3, 135: 0.3},
        windows={8192: 0.7, 29200: 0.3},
        answer_windows={256: 0.4, 237: 0.3, 28960: 0.3},
        headers={20: 0.6, 32: 0.4},
        opening={"full": 1},
        ending={"fin": 0.7, "rst_fwd": 0.3},
        sent=(0, 1, 1, 2, 4, 8, 14),
        received=(0, 1, 1, 2, 4, 8, 14),
        acks=((0, 1, 1, 2, 3, 4, 6), (0, 1, 1, 2, 3, 4, 6)),
        sizes=((20, 60, 100, 150, 250, 400, 617), (20, 80, 150, 300, 700, 1_400, 2_900)),
        duration=(2_000, 2e4, 2e5, 2e6, 8e6, 1.5e7, 3.2e7),
        evenness=0.2,
    ),
)
