"""Simulated NSL-KDD: connection records of 41 features, with a test part that holds attacks nobody has seen.

**Modelled.** A connection is made by a *manner* (browsing, mail, a SYN flood, a password guesser ...): a mix of
protocol, service and TCP status, and seven quantiles for each quantity. :data:`MANNERS` declares them, :data:`MIX`
says which attack behaves in which manner how often, with the row counts of KDDTrain+ and KDDTest+. Rates and counts
of one row agree with each other: ``same_srv_rate`` is a share of ``count``, ``dst_host_same_srv_rate`` is
``dst_host_srv_count`` over ``dst_host_count``, SYN errors go with S-flags and rejections with REJ and RST. The test
part drifts as the real one does: r2l rises from 0.8 % to 13 % of the rows, 17 attack names occur there only, known
attacks change their manner (neptune is refused, passwords are guessed over POP3), and normal traffic moves.

**Calibrated on** the class counts and rounded per-class quantiles of KDDTrain+ and KDDTest+ (Tavallaee, Bagheri, Lu,
Ghorbani, CISDA 2009). 46.5 % of the training part and 57 % of the test part are attacks, as there.

**Not modelled.** Connections are drawn one by one: there is no packet, address or clock behind them, counters of
neighbouring rows do not continue each other, and quantities are independent within a manner. Normal hosts use rarely
seen services a little more often than the real ones, so that ``service`` alone does not tell the classes apart.
``difficulty`` is a plausible stand-in for the count of 21 learners that were right: it is drawn from the label.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from utils.simulate.draws import Floats, Knots, apportion, check_size, pick, quantiles, whole

Columns = dict[str, Any]
Texts = npt.NDArray[np.str_]

TEST_SHARE = 0.15
WINDOW = 511
HOST_WINDOW = 255
LEARNERS = 21
TWINS_OF_TRAIN = 664 / 22_544
TWINS_THAT_DISAGREE = 51 / 664
REPEATS = {"train": 16 / 125_973, "test": 57 / 22_544}

# fmt: off
COLUMNS = (
    "duration", "protocol_type", "service", "flag", "src_bytes", "dst_bytes", "land", "wrong_fragment", "urgent",
    "hot", "num_failed_logins", "logged_in", "num_compromised", "root_shell", "su_attempted", "num_root",
    "num_file_creations", "num_shells", "num_access_files", "num_outbound_cmds", "is_host_login", "is_guest_login",
    "count", "srv_count", "serror_rate", "srv_serror_rate", "rerror_rate", "srv_rerror_rate", "same_srv_rate",
    "diff_srv_rate", "srv_diff_host_rate", "dst_host_count", "dst_host_srv_count", "dst_host_same_srv_rate",
    "dst_host_diff_srv_rate", "dst_host_same_src_port_rate", "dst_host_srv_diff_host_rate", "dst_host_serror_rate",
    "dst_host_srv_serror_rate", "dst_host_rerror_rate", "dst_host_srv_rerror_rate",
)
# fmt: on
CONTENT = COLUMNS[6:22]
SYN_FLAGS = ("S0", "S1", "S2", "S3", "SH")
REJECT_FLAGS = ("REJ", "RSTR", "RSTO", "RSTOS0", "OTH")

# fmt: off
RARE_SERVICES = (
    "Z39_50", "auth", "bgp", "courier", "csnet_ns", "ctf", "daytime", "discard", "domain", "echo", "efs", "exec",
    "gopher", "hostnames", "http_443", "imap4", "iso_tsap", "klogin", "kshell", "ldap", "link", "login", "mtp",
    "name", "netbios_dgm", "netbios_ns", "netbios_ssn", "netstat", "nnsp", "nntp", "printer", "remote_job", "rje",
    "shell", "sql_net", "ssh", "sunrpc", "supdup", "systat", "telnet", "time", "uucp", "uucp_path", "vmnet",
    "whois", "finger", "ftp", "smtp",
)
# fmt: on


@dataclass(frozen=True)
class Manner:
    """How one kind of connection looks; every quantity is a constant or seven quantiles (see ``draws.quantiles``).

    Attributes:
        cells: "protocol/service/flag" with weights.
        duration: seconds.
        sent: bytes from source to destination.
        received: bytes back.
        count: connections to the same host in the last two seconds.
        same: share of these that ask for the same service.
        elsewhere: connections to the same service on other hosts in the last two seconds.
        spread: share of ``count`` that goes to different services, where not all ask for the same one.
        hosts: connections to the same host among the last 100 or so (``dst_host_count``).
        host_srv: of the same service among them.
        host_spread: share to different services, where not all ask for the same one.
        host_port: share from the same source port.
        host_far: share of the service's connections from different hosts.
        echo: share of the two-second window with the row's own kind of error.
        host_echo: the same among the host's last connections.
        errors: error rates that do not come from the row's own status.
        content: content features (``hot``, ``logged_in`` ...).
        misses: mean number of the 21 learners that are wrong.
    """

    cells: Mapping[str, float]
    duration: Knots = 0
    sent: Knots = 0
    received: Knots = 0
    count: Knots = (1, 1, 1, 1, 1, 2, 8)
    same: Knots = (0.2, 1, 1, 1, 1, 1, 1)
    elsewhere: Knots = 0
    spread: Knots = (0.05, 0.1, 0.3, 0.6, 1, 1, 1)
    hosts: Knots = (1, 20, 60, 140, 255, 255, 255)
    host_srv: Knots = (1, 2, 8, 30, 60, 100, 255)
    host_spread: Knots = (0.01, 0.02, 0.02, 0.04, 0.08, 0.2, 1)
    host_port: Knots = (0, 0, 0, 0.01, 0.02, 0.05, 1)
    host_far: Knots = (0, 0, 0, 0, 0.02, 0.05, 1)
    echo: Knots = (0.3, 0.9, 1, 1, 1, 1, 1)
    host_echo: Knots = (0.01, 0.02, 0.05, 0.2, 0.6, 1, 1)
    errors: Mapping[str, Knots] = field(default_factory=dict)
    content: Mapping[str, Knots] = field(default_factory=dict)
    misses: float = 1.0


_FEW = (0, 0, 0, 0, 0, 0, 1)
_QUIET = {
    "serror_rate": (0, 0, 0, 0, 0, 0, 0.5),
    "rerror_rate": (0, 0, 0, 0, 0, 0, 0.4),
    "dst_host_serror_rate": (0, 0, 0, 0, 0, 0.01, 0.3),
    "dst_host_rerror_rate": (0, 0, 0, 0, 0, 0.01, 0.5),
}
_LOGGED_IN = {"logged_in": 1}
_SHELL = {
    "logged_in": (0, 1, 1, 1, 1, 1, 1),
    "hot": (0, 0, 0, 2, 3, 4, 10),
    "num_compromised": (0, 0, 0, 1, 2, 5, 50),
    "root_shell": (0, 0, 0, 0.8, 1, 1, 1),
    "num_root": (0, 0, 0, 0, 2, 5, 60),
    "num_file_creations": (0, 0, 0, 0, 1, 2, 6),
    "num_shells": (0, 0, 0, 0, 0, 0.6, 2),
    "num_access_files": (0, 0, 0, 0, 0, 0.6, 2),
    "urgent": (0, 0, 0, 0, 0, 0, 2),
}
_FLOOD_SERVICES = {"private": 0.47, "telnet": 0.04, "ftp_data": 0.03, "http": 0.03, "finger": 0.03}


def _flood(flags: Mapping[str, float]) -> dict[str, float]:
    """Cells of a flood over half the service table, which is what neptune does."""
    rare = (1 - sum(_FLOOD_SERVICES.values())) / len(RARE_SERVICES)
    services = {name: _FLOOD_SERVICES.get(name, 0.0) + rare for name in RARE_SERVICES} | {
        name: share for name, share in _FLOOD_SERVICES.items() if name not in RARE_SERVICES
    }
    return {f"tcp/{name}/{flag}": share * w for name, share in services.items() for flag, w in flags.items()}


MANNERS: Mapping[str, Manner] = MappingProxyType(
    {
        # --- normal traffic
        "browsing": Manner(
            cells={"tcp/http/SF": 0.985, "tcp/http_443/SF": 0.008, "tcp/http/RSTO": 0.007},
            sent=(0, 200, 220, 250, 310, 330, 40_000),
            received=(0, 320, 660, 1_700, 4_300, 11_000, 900_000),
            count=(1, 1, 3, 7, 13, 22, 90),
            same=(0.5, 1, 1, 1, 1, 1, 1),
            elsewhere=(0, 0, 0, 1, 3, 8, 30),
            hosts=(1, 8, 27, 110, 255, 255, 255),
            host_srv=(1, 245, 255, 255, 255, 255, 255),
            host_port=(0, 0, 0, 0.01, 0.04, 0.12, 1),
            host_far=(0, 0, 0, 0.02, 0.04, 0.05, 1),
            errors=_QUIET,
            content={
                "logged_in": (0, 1, 1, 1, 1, 1, 1),
                "hot": (0, 0, 0, 0, 0, 0, 5),
                "root_shell": _FEW,
            },
            misses=0.15,
        ),
        "web_refused": Manner(
            cells={
                "tcp/http/REJ": 0.81,
                "tcp/http/S0": 0.08,
                "tcp/http/S1": 0.05,
                "tcp/http/S2": 0.03,
                "tcp/http/RSTO": 0.03,
            },
            received=(0, 0, 0, 0, 0, 0, 3e6),
            count=(1, 1, 1, 1, 1, 3, 60),
            elsewhere=(0, 0, 0, 0, 1, 3, 30),
            hosts=(1, 5, 20, 70, 180, 255, 255),
            host_srv=(1, 200, 255, 255, 255, 255, 255),
            host_echo=(0.01, 0.02, 0.05, 0.2, 0.5, 0.8, 1),
            misses=0.8,
        ),
        "mail": Manner(
            cells={"tcp/smtp/SF": 0.975, "tcp/smtp/S0": 0.01, "tcp/smtp/RSTO": 0.005, "tcp/smtp/REJ": 0.01},
            duration=(0, 0, 0, 0, 2, 5, 300),
            sent=(0, 700, 880, 1_200, 1_800, 2_800, 250_000),
            received=(0, 320, 330, 335, 360, 400, 3_000),
            count=(1, 1, 1, 1, 1, 2, 100),
            same=(0.02, 1, 1, 1, 1, 1, 1),
            elsewhere=(0, 0, 0, 0, 1, 2, 20),
            hosts=(1, 24, 62, 120, 200, 255, 255),
            host_srv=(1, 38, 96, 140, 170, 190, 250),
            host_spread=(0.01, 0.02, 0.02, 0.04, 0.07, 0.14, 1),
            errors=_QUIET,
            content={
                "logged_in": (0, 1, 1, 1, 1, 1, 1),
                "num_access_files": _FEW,
                "num_file_creations": _FEW,
                "num_root": _FEW,
            },
            misses=0.4,
        ),
        "names": Manner(
            cells={"udp/domain_u/SF": 1},
            duration=(0, 0, 0, 0, 0, 0, 5_000),
            sent=(17, 41, 43, 44, 45, 46, 150),
            received=(0, 42, 45, 78, 130, 134, 500),
            count=(1, 2, 18, 100, 170, 240, 330),
            same=(0.5, 0.99, 1, 1, 1, 1, 1),
            elsewhere=(0, 0, 0, 1, 5, 60, 200),
            spread=(0.01, 0.01, 0.01, 0.01, 0.02, 0.1, 1),
            hosts=(1, 110, 255, 255, 255, 255, 255),
            host_srv=(1, 90, 210, 250, 252, 255, 255),
            host_spread=(0.01, 0.01, 0.01, 0.01, 0.01, 0.02, 1),
            host_port=(0, 0, 0, 0, 0.01, 0.13, 1),
            host_far=(0, 0, 0, 0, 0, 0, 1),
            misses=0.2,
        ),
        "file_data": Manner(
            cells={"tcp/ftp_data/SF": 0.985, "tcp/ftp_data/S1": 0.01, "tcp/ftp_data/RSTO": 0.005},
            duration=(0, 0, 0, 0, 0, 0, 3_000),
            sent=(0, 26, 240, 770, 7_200, 35_000, 1.5e7),
            received=(0, 0, 0, 0, 0, 0, 5e6),
            count=(1, 1, 1, 2, 7, 15, 160),
            same=(0.01, 1, 1, 1, 1, 1, 1),
            elsewhere=(0, 0, 0, 0, 0, 1, 10),
            hosts=(1, 15, 50, 130, 240, 255, 255),
            host_srv=(1, 13, 34, 62, 87, 110, 180),
            host_port=(0, 0.08, 0.17, 0.31, 0.46, 0.78, 1),
            host_far=(0, 0, 0, 0.02, 0.03, 0.05, 0.5),
            errors=_QUIET,
            content={"logged_in": (0, 0, 0, 1, 1, 1, 1), "num_root": (0, 0, 0, 0, 0, 0, 9)},
            misses=0.6,
        ),
        "udp_talk": Manner(
            cells={"udp/other/SF": 1},
            duration=(0, 0, 0, 1_900, 4_500, 9_000, 30_000),
            sent=(23, 140, 146, 147, 150, 520, 520),
            received=(0, 0, 4, 100, 105, 105, 150),
            count=(1, 1, 1, 2, 5, 260, 500),
            same=(0, 0.25, 0.5, 1, 1, 1, 1),
            spread=(0.05, 0.1, 0.2, 0.5, 0.6, 0.67, 1),
            hosts=(1, 190, 255, 255, 255, 255, 255),
            host_srv=(1, 1, 1, 2, 3, 255, 255),
            host_spread=(0.02, 0.3, 0.44, 0.6, 0.7, 0.84, 1),
            host_port=(0, 0.81, 0.89, 0.96, 1, 1, 1),
            misses=1.5,
        ),
        "udp_private": Manner(
            cells={"udp/private/SF": 0.95, "udp/ntp_u/SF": 0.05},
            duration=(0, 0, 0, 0, 0, 5, 23),
            sent=(100, 104, 105, 105, 105, 106, 220),
            received=(0, 0, 140, 146, 147, 147, 210),
            count=(1, 1, 1, 2, 4, 7, 11),
            same=(0.1, 0.14, 0.25, 1, 1, 1, 1),
            hosts=(1, 20, 100, 255, 255, 255, 255),
            host_srv=(1, 14, 92, 210, 240, 245, 250),
            host_spread=(0.01, 0.01, 0.01, 0.01, 0.02, 0.05, 0.5),
            host_port=(0, 0, 0, 0.01, 0.02, 0.08, 1),
            misses=1.0,
        ),
        "udp_busy": Manner(
            cells={"udp/private/SF": 1},
            sent=(1, 1, 46, 53, 56, 105, 105),
            received=(0, 0, 43, 52, 56, 146, 146),
            count=(1, 2, 12, 210, 510, 511, 511),
            same=(0.02, 0.26, 1, 1, 1, 1, 1),
            hosts=(6, 255, 255, 255, 255, 255, 255),
            host_srv=(1, 12, 250, 255, 255, 255, 255),
            host_port=(0, 0.01, 0.11, 0.83, 0.93, 1, 1),
            content={"wrong_fragment": (0, 0, 0, 0, 0, 0, 3)},
            misses=3,
        ),
        "ftp_session": Manner(
            cells={"tcp/ftp/SF": 0.965, "tcp/ftp/RSTO": 0.02, "tcp/ftp/S1": 0.015},
            duration=(0, 20, 23, 27, 30, 32, 870),
            sent=(0, 230, 280, 890, 1_500, 1_520, 1_600),
            received=(0, 770, 900, 2_600, 4_200, 4_230, 4_250),
            hosts=(1, 21, 68, 140, 230, 255, 255),
            host_srv=(1, 4, 13, 31, 47, 58, 79),
            content={
                "hot": (0, 4, 5, 18, 30, 30, 30),
                "logged_in": (0, 1, 1, 1, 1, 1, 1),
                "is_guest_login": (0, 1, 1, 1, 1, 1, 1),
                "num_failed_logins": _FEW,
            },
            misses=1.5,
        ),
        "telnet_session": Manner(
            cells={"tcp/telnet/SF": 0.84, "tcp/telnet/S1": 0.07, "tcp/telnet/RSTO": 0.06, "tcp/telnet/RSTR": 0.03},
            duration=(0, 0, 9, 57, 850, 12_000, 41_000),
            sent=(0, 86, 100, 170, 520, 1_300, 14_000),
            received=(0, 780, 2_000, 7_300, 21_000, 140_000, 4e6),
            hosts=(1, 9, 51, 140, 255, 255, 255),
            host_srv=(1, 1, 2, 8, 23, 49, 110),
            host_spread=(0.01, 0.02, 0.03, 0.05, 0.09, 0.33, 1),
            host_port=(0, 0, 0, 0.01, 0.02, 0.11, 1),
            host_far=(0, 0, 0, 0, 0, 0.67, 1),
            content={
                "logged_in": (0, 0, 1, 1, 1, 1, 1),
                "num_compromised": (0, 0, 0, 0, 2, 7, 7_500),
                "root_shell": (0, 0, 0, 0, 0, 0.3, 1),
                "su_attempted": (0, 0, 0, 0, 0, 0, 2),
                "num_root": (0, 0, 0, 0, 0, 2, 7_500),
                "num_file_creations": (0, 0, 0, 0, 0, 2, 43),
                "num_access_files": (0, 0, 0, 0, 0, 0.3, 9),
                "num_shells": _FEW,
                "hot": (0, 0, 0, 0, 0, 0.3, 70),
                "num_failed_logins": (0, 0, 0, 0, 0, 0, 4),
                "urgent": _FEW,
            },
            misses=3,
        ),
        "echo_messages": Manner(
            cells={
                "icmp/urp_i/SF": 0.45,
                "icmp/eco_i/SF": 0.37,
                "icmp/ecr_i/SF": 0.16,
                "icmp/red_i/SF": 0.01,
                "icmp/tim_i/SF": 0.01,
            },
            sent=(8, 30, 30, 64, 130, 180, 1_000),
            count=(1, 1, 1, 2, 6, 19, 150),
            same=(0.05, 0.14, 0.29, 0.5, 1, 1, 1),
            elsewhere=(0, 0, 0, 0, 0, 2, 100),
            hosts=(1, 42, 170, 255, 255, 255, 255),
            host_srv=(1, 3, 7, 21, 94, 190, 255),
            host_spread=(0.01, 0.01, 0.01, 0.01, 0.01, 0.03, 1),
            host_port=(0, 0.03, 0.06, 0.11, 1, 1, 1),
            host_far=(0, 0, 0, 0, 0, 0.22, 1),
            misses=1.5,
        ),
        "small_services": Manner(
            cells={
                "tcp/finger/SF": 0.28,
                "tcp/other/SF": 0.17,
                "tcp/auth/SF": 0.12,
                "tcp/pop_3/SF": 0.13,
                "tcp/time/SF": 0.05,
                "tcp/X11/SF": 0.04,
                "tcp/IRC/RSTR": 0.07,
                "tcp/IRC/S1": 0.02,
                "tcp/other/REJ": 0.05,
                "tcp/domain/SF": 0.03,
                "tcp/other/RSTR": 0.04,
            },
            duration=(0, 0, 0, 0, 0, 27, 20_000),
            sent=(0, 5, 8, 35, 150, 5_800, 9e7),
            received=(0, 0, 0, 48, 220, 6_300, 7e6),
            count=(1, 1, 1, 1, 2, 12, 290),
            same=(0.01, 0.08, 0.5, 1, 1, 1, 1),
            spread=(0.02, 0.05, 0.1, 0.2, 0.7, 1, 1),
            hosts=(1, 11, 39, 100, 200, 255, 255),
            host_srv=(1, 1, 2, 6, 11, 21, 230),
            host_port=(0, 0, 0.01, 0.02, 0.22, 0.46, 1),
            host_far=(0, 0, 0, 0, 0.18, 0.4, 1),
            content={
                "logged_in": (0, 0, 0, 0, 1, 1, 1),
                "num_root": _FEW,
                "hot": _FEW,
                "land": _FEW,
            },
            misses=3,
        ),
        "rare_services": Manner(
            cells=_flood({"SF": 0.8, "REJ": 0.12, "S0": 0.08}),
            duration=(0, 0, 0, 0, 2, 20, 3_000),
            sent=(0, 0, 30, 150, 600, 3_000, 60_000),
            received=(0, 0, 40, 300, 1_500, 8_000, 200_000),
            count=(1, 1, 1, 1, 3, 10, 60),
            host_srv=(1, 2, 5, 12, 40, 90, 255),
            host_echo=(0.01, 0.01, 0.02, 0.05, 0.1, 0.2, 0.6),
            content={"logged_in": (0, 0, 0, 0, 1, 1, 1)},
            misses=3,
        ),
        # --- denial of service
        "syn_flood": Manner(
            cells=_flood({"S0": 0.83, "REJ": 0.17}),
            count=(1, 57, 110, 180, 240, 280, 300),
            same=(0.004, 0.01, 0.03, 0.07, 0.11, 0.21, 1),
            spread=(0.01, 0.05, 0.06, 0.06, 0.07, 0.08, 0.5),
            hosts=(60, 255, 255, 255, 255, 255, 255),
            host_srv=(1, 2, 5, 12, 18, 24, 150),
            host_spread=(0.01, 0.05, 0.06, 0.07, 0.07, 0.08, 0.6),
            host_port=(0, 0, 0, 0, 0, 0, 0.2),
            host_far=0,
            echo=(0.5, 1, 1, 1, 1, 1, 1),
            host_echo=(0.5, 0.98, 1, 1, 1, 1, 1),
            misses=2,
        ),
        "refused_flood": Manner(
            cells=_flood({"S0": 0.33, "REJ": 0.62, "RSTO": 0.05}),
            count=(1, 105, 130, 200, 240, 270, 300),
            same=(0.004, 0.01, 0.03, 0.06, 0.09, 0.14, 1),
            spread=(0.01, 0.06, 0.06, 0.06, 0.07, 0.08, 1),
            hosts=(60, 255, 255, 255, 255, 255, 255),
            host_srv=(1, 2, 5, 11, 16, 19, 255),
            host_spread=(0.01, 0.05, 0.06, 0.06, 0.07, 0.09, 0.9),
            host_port=(0, 0, 0, 0, 0, 0, 0.2),
            host_far=0,
            echo=(0.5, 0.97, 1, 1, 1, 1, 1),
            host_echo=(0.3, 0.9, 1, 1, 1, 1, 1),
            misses=2,
        ),
        "ping_flood": Manner(
            cells={"icmp/ecr_i/SF": 1},
            sent=(508, 520, 1_032, 1_032, 1_032, 1_032, 1_032),
            count=(1, 85, 200, 400, 508, 510, 511),
            same=1,
            hosts=(5, 170, 255, 255, 255, 255, 255),
            host_srv=(1, 36, 88, 170, 255, 255, 255),
            host_spread=(0.01, 0.01, 0.01, 0.01, 0.03, 0.15, 0.26),
            host_port=(0.01, 0.18, 0.41, 0.78, 1, 1, 1),
            host_far=0,
            misses=2.5,
        ),
        "backslashes": Manner(
            cells={"tcp/http/SF": 0.89, "tcp/http/RSTR": 0.11},
            duration=(0, 0, 0, 0, 0, 0, 14),
            sent=(13_000, 54_540, 54_540, 54_540, 54_540, 54_540, 54_540),
            received=(0, 7_300, 8_314, 8_314, 8_314, 8_314, 8_314),
            count=(1, 2, 2, 3, 4, 5, 19),
            same=(0.7, 1, 1, 1, 1, 1, 1),
            elsewhere=(0, 0, 0, 0, 1, 3, 20),
            hosts=(1, 40, 90, 200, 255, 255, 255),
            host_srv=(40, 200, 255, 255, 255, 255, 255),
            errors={
                "rerror_rate": (0, 0, 0, 0, 0.05, 0.35, 1),
                "dst_host_rerror_rate": (0, 0.01, 0.02, 0.04, 0.05, 0.1, 1),
            },
            content={"hot": (0, 2, 2, 2, 2, 2, 3), "logged_in": 1, "num_compromised": (0, 1, 1, 1, 1, 1, 1)},
            misses=2,
        ),
        "fragments": Manner(
            cells={"udp/private/SF": 1},
            sent=28,
            count=(1, 10, 25, 52, 80, 100, 200),
            same=(0.01, 0.5, 1, 1, 1, 1, 1),
            hosts=(20, 150, 255, 255, 255, 255, 255),
            host_srv=(1, 12, 29, 57, 83, 99, 180),
            host_spread=(0.01, 0.01, 0.01, 0.03, 0.48, 0.71, 1),
            host_port=(0.01, 0.05, 0.13, 0.24, 0.35, 0.49, 0.8),
            errors={
                "dst_host_rerror_rate": (0, 0, 0, 0, 0.5, 0.67, 0.9),
                "dst_host_serror_rate": (0, 0, 0, 0, 0.02, 0.09, 0.2),
            },
            content={"wrong_fragment": (1, 3, 3, 3, 3, 3, 3)},
            misses=4,
        ),
        "big_pings": Manner(
            cells={"icmp/ecr_i/SF": 0.97, "icmp/tim_i/SF": 0.03},
            sent=(564, 1_480, 1_480, 1_480, 1_480, 1_480, 1_480),
            count=(1, 1, 1, 2, 6, 14, 20),
            same=1,
            elsewhere=(0, 0, 0, 1, 2, 2, 3),
            hosts=(1, 1, 2, 3, 255, 255, 255),
            host_srv=(1, 4, 9, 18, 150, 150, 160),
            host_port=(0.01, 0.03, 0.07, 0.67, 1, 1, 1),
            host_far=(0, 0, 0, 0.04, 0.5, 0.52, 0.67),
            content={"wrong_fragment": (0, 1, 1, 1, 1, 1, 1)},
            misses=4,
        ),
        "own_address": Manner(
            cells={"tcp/finger/S0": 0.94, "tcp/telnet/S0": 0.06},
            count=(1, 1, 1, 1, 1, 1, 20),
            elsewhere=(0, 0, 1, 1, 1, 1, 2),
            hosts=(1, 1, 1, 1, 2, 12, 255),
            host_srv=(1, 1, 2, 3, 5, 8, 9),
            host_port=(0.01, 0.07, 1, 1, 1, 1, 1),
            host_far=(0, 0, 0.25, 0.38, 1, 1, 1),
            host_echo=(0.07, 0.58, 1, 1, 1, 1, 1),
            content={"land": 1},
            misses=5,
        ),
        "slow_requests": Manner(
            cells={"tcp/http/RSTR": 0.65, "tcp/http/S0": 0.34, "tcp/http/S3": 0.01},
            duration=(0, 0, 0, 800, 910, 2_100, 2_100),
            sent=(0, 0, 0, 50_000, 62_000, 74_000, 100_000),
            received=(0, 0, 0, 0, 0, 0, 260),
            count=(1, 9, 13, 35, 66, 89, 130),
            same=1,
            hosts=(230, 255, 255, 255, 255, 255, 255),
            host_srv=(228, 240, 245, 250, 255, 255, 255),
            host_spread=0.01,
            host_port=(0, 0, 0, 0, 0, 0, 0.02),
            echo=(0.1, 0.3, 0.6, 0.95, 1, 1, 1),
            host_echo=(0.05, 0.11, 0.22, 0.41, 0.57, 0.69, 0.84),
            content={"logged_in": (0, 0, 0, 1, 1, 1, 1)},
            misses=5,
        ),
        "hung_logins": Manner(
            cells={"tcp/telnet/SF": 0.65, "tcp/telnet/S3": 0.35},
            duration=(0, 0, 0, 7_400, 7_700, 8_100, 8_200),
            received=(15, 15, 44, 44, 44, 44, 44),
            count=(1, 1, 1, 1, 1, 1, 5),
            hosts=(150, 255, 255, 255, 255, 255, 255),
            host_srv=(3, 54, 90, 150, 200, 230, 250),
            host_spread=(0.01, 0.02, 0.02, 0.03, 0.25, 0.62, 0.87),
            host_port=0,
            host_far=0,
            host_echo=(0.01, 0.22, 0.33, 0.4, 0.5, 0.54, 0.78),
            errors={
                "dst_host_serror_rate": (0, 0.01, 0.2, 0.3, 0.45, 0.5, 0.7),
                "dst_host_rerror_rate": (0.01, 0.01, 0.01, 0.11, 0.25, 0.6, 0.85),
            },
            misses=7,
        ),
        "mail_flood": Manner(
            cells={"tcp/smtp/SF": 1},
            duration=(1, 1, 1, 1, 1, 1, 11),
            sent=(2_400, 2_599, 2_599, 2_599, 2_599, 2_599, 2_700),
            received=(263, 290, 293, 293, 293, 294, 294),
            count=(1, 2, 2, 3, 3, 3, 5),
            same=(0.6, 0.75, 1, 1, 1, 1, 1),
            hosts=255,
            host_srv=(2, 33, 77, 160, 230, 240, 250),
            host_spread=(0.04, 0.04, 0.09, 0.13, 0.15, 0.16, 0.16),
            host_port=(0, 0, 0, 0, 0, 0, 0.04),
            host_far=0,
            errors={
                "dst_host_rerror_rate": (0.03, 0.03, 0.08, 0.38, 0.68, 0.85, 0.97),
                "rerror_rate": (0, 0, 0, 0, 0, 0.25, 0.33),
            },
            content=_LOGGED_IN,
            misses=9,
        ),
        # --- probes
        "ping_sweep": Manner(
            cells={"icmp/eco_i/SF": 0.96, "icmp/ecr_i/SF": 0.03, "icmp/urp_i/SF": 0.01},
            sent=(8, 8, 8, 8, 18, 18, 20),
            count=(1, 1, 1, 1, 1, 1, 3),
            same=1,
            elsewhere=(0, 0, 0, 15, 34, 45, 60),
            hosts=(1, 1, 1, 2, 2, 8, 100),
            host_srv=(1, 5, 25, 70, 120, 190, 255),
            host_port=(0.1, 1, 1, 1, 1, 1, 1),
            host_far=(0, 0.25, 0.5, 0.5, 0.55, 1, 1),
            misses=3,
        ),
        "host_sweep": Manner(
            cells={
                "tcp/private/REJ": 0.6,
                "tcp/finger/SF": 0.1,
                "tcp/ftp/RSTO": 0.1,
                "tcp/time/SF": 0.1,
                "tcp/telnet/RSTO": 0.1,
            },
            received=(0, 0, 0, 0, 0, 20, 5_000),
            count=1,
            elsewhere=(0, 0, 0, 0, 3, 15, 40),
            hosts=(1, 1, 2, 5, 30, 90, 255),
            host_srv=(1, 1, 1, 2, 4, 15, 60),
            host_spread=(0.05, 0.3, 0.6, 1, 1, 1, 1),
            host_port=(0.01, 0.02, 0.04, 0.1, 0.5, 1, 1),
            host_echo=(0.1, 0.5, 0.8, 0.9, 1, 1, 1),
            misses=4,
        ),
        "port_sweep": Manner(
            cells={
                "tcp/private/RSTR": 0.53,
                "tcp/other/RSTR": 0.17,
                "tcp/private/REJ": 0.18,
                "tcp/private/RSTOS0": 0.03,
            }
            | {f"tcp/{name}/RSTR": 0.002 for name in RARE_SERVICES},
            duration=(0, 0, 0, 0, 14_000, 36_000, 43_000),
            sent=(0, 0, 0, 0, 1, 1, 1.4e9),
            count=(1, 1, 1, 2, 2, 120, 450),
            same=(0.003, 0.01, 0.5, 1, 1, 1, 1),
            hosts=(1, 150, 255, 255, 255, 255, 255),
            host_srv=(1, 1, 1, 1, 2, 2, 60),
            host_spread=(0.01, 0.15, 0.35, 0.6, 0.75, 0.85, 1),
            host_port=(0, 0.2, 0.45, 0.85, 1, 1, 1),
            host_far=0,
            echo=(0, 0.98, 1, 1, 1, 1, 1),
            host_echo=(0.01, 0.21, 0.45, 0.9, 1, 1, 1),
            misses=2.5,
        ),
        "half_open_scan": Manner(
            cells={"tcp/private/SH": 0.9} | {f"tcp/{name}/SH": 0.002 for name in RARE_SERVICES},
            count=(1, 1, 1, 1, 1, 1, 3),
            hosts=(1, 20, 50, 100, 160, 190, 220),
            host_srv=(1, 1, 1, 1, 1, 1, 3),
            host_spread=(0.5, 0.98, 1, 1, 1, 1, 1),
            host_port=(0.9, 0.98, 1, 1, 1, 1, 1),
            host_far=0,
            echo=1,
            host_echo=(0.9, 0.98, 1, 1, 1, 1, 1),
            misses=3,
        ),
        "udp_probe": Manner(
            cells={"udp/private/SF": 0.75, "udp/other/SF": 0.25},
            sent=(0, 1, 1, 1, 1, 2, 300),
            received=(0, 0, 0, 0, 0, 0, 60),
            count=(1, 5, 12, 25, 150, 400, 511),
            same=(0.002, 0.003, 0.01, 0.05, 0.4, 0.9, 1),
            spread=(0.02, 0.1, 0.4, 0.9, 1, 1, 1),
            hosts=(20, 255, 255, 255, 255, 255, 255),
            host_srv=(1, 1, 1, 3, 12, 40, 240),
            host_spread=(0.02, 0.1, 0.4, 0.8, 0.95, 1, 1),
            host_port=(0, 0, 0, 0.3, 0.7, 1, 1),
            host_far=0,
            errors={
                "rerror_rate": (0, 0, 0, 0, 0.6, 0.9, 1),
                "dst_host_rerror_rate": (0, 0, 0.1, 0.5, 0.85, 0.9, 1),
            },
            misses=3,
        ),
        "udp_ping": Manner(
            cells={"udp/private/SF": 0.95, "udp/other/SF": 0.05},
            sent=(100, 205, 207, 207, 207, 210, 220),
            received=(0, 0, 0, 0, 0, 0, 60),
            hosts=(1, 10, 40, 90, 160, 220, 255),
            host_srv=(1, 10, 40, 85, 150, 200, 255),
            host_port=(0.6, 0.84, 0.9, 0.95, 0.98, 1, 1),
            host_far=0,
            misses=3,
        ),
        "port_scan": Manner(
            cells={"tcp/other/REJ": 0.52, "tcp/private/REJ": 0.36, "tcp/other/S0": 0.04, "tcp/private/S0": 0.02}
            | {f"tcp/{name}/REJ": 0.0012 for name in RARE_SERVICES},
            duration=(0, 0, 0, 0, 0, 0, 11),
            sent=(0, 0, 0, 0, 0, 0, 1_700),
            received=(0, 0, 0, 0, 0, 0, 18_000),
            count=(1, 40, 150, 380, 480, 510, 511),
            same=(0.002, 0.002, 0.003, 0.005, 0.02, 0.3, 1),
            spread=(0.03, 0.5, 1, 1, 1, 1, 1),
            hosts=(100, 255, 255, 255, 255, 255, 255),
            host_srv=(1, 1, 1, 1, 2, 8, 60),
            host_spread=(0.05, 0.4, 0.8, 1, 1, 1, 1),
            host_port=(0, 0, 0, 0, 0, 0.3, 1),
            host_far=0,
            echo=(0.3, 0.8, 0.86, 0.91, 0.94, 0.96, 1),
            host_echo=(0.02, 0.4, 0.7, 0.88, 0.92, 0.95, 1),
            errors={
                "serror_rate": (0, 0, 0.02, 0.05, 0.08, 0.14, 0.4),
                "dst_host_serror_rate": (0, 0, 0.02, 0.05, 0.09, 0.16, 0.5),
            },
            misses=2,
        ),
        "many_services": Manner(
            cells={
                "tcp/sunrpc/REJ": 0.13,
                "tcp/pop_3/RSTO": 0.13,
                "tcp/imap4/RSTO": 0.13,
                "tcp/telnet/RSTO": 0.1,
                "tcp/telnet/REJ": 0.09,
                "tcp/telnet/SF": 0.09,
                "tcp/imap4/REJ": 0.06,
                "tcp/imap4/S0": 0.06,
                "tcp/pop_3/S0": 0.06,
                "tcp/http/SF": 0.05,
                "tcp/domain/SF": 0.1,
            },
            duration=(0, 0, 0, 0, 1, 2, 9),
            sent=(0, 0, 0, 0, 0, 10, 44),
            received=(0, 0, 0, 0, 36, 48, 1_300),
            count=(1, 1, 1, 2, 3, 4, 5),
            same=(0.2, 0.25, 0.33, 0.5, 1, 1, 1),
            elsewhere=(0, 0, 1, 4, 8, 13, 34),
            hosts=(1, 33, 78, 170, 255, 255, 255),
            host_srv=(1, 16, 40, 59, 85, 87, 250),
            echo=(0.2, 0.33, 0.5, 1, 1, 1, 1),
            host_echo=(0.02, 0.17, 0.4, 0.65, 0.88, 0.9, 1),
            errors={"rerror_rate": (0, 0, 0, 0.3, 0.5, 1, 1), "dst_host_rerror_rate": (0, 0, 0, 0.2, 0.6, 0.85, 1)},
            content={"logged_in": (0, 0, 0, 0, 0, 1, 1)},
            misses=6,
        ),
        # --- remote to local
        "illegal_copies": Manner(
            cells={"tcp/ftp_data/SF": 1},
            sent=(30, 334, 334, 334, 400, 9_000, 5e6),
            count=(1, 1, 1, 1, 2, 2, 3),
            hosts=(1, 2, 4, 9, 120, 255, 255),
            host_srv=(1, 10, 20, 37, 56, 99, 140),
            host_port=(0.02, 0.3, 1, 1, 1, 1, 1),
            host_far=(0, 0, 0.05, 0.1, 0.15, 0.2, 0.67),
            content=_LOGGED_IN,
            misses=4,
        ),
        "illegal_downloads": Manner(
            cells={"tcp/ftp/SF": 0.99, "tcp/other/SF": 0.01},
            duration=(0, 1, 3, 300, 3_000, 9_000, 15_000),
            sent=(100, 280, 640, 980, 1_200, 4_000, 10_000),
            received=(300, 980, 1_600, 2_300, 2_450, 2_500, 8_000),
            hosts=(1, 3, 20, 120, 255, 255, 255),
            host_srv=(1, 8, 20, 35, 56, 90, 140),
            content={"hot": (1, 6, 24, 28, 28, 28, 30), "logged_in": 1, "is_guest_login": (0, 1, 1, 1, 1, 1, 1)},
            misses=5,
        ),
        "guesses_telnet": Manner(
            cells={"tcp/telnet/RSTO": 0.86, "tcp/telnet/RSTR": 0.08, "tcp/telnet/SF": 0.06},
            duration=(0, 0, 0, 0, 1, 2, 60),
            sent=(100, 120, 125, 125, 126, 126, 130),
            received=(170, 179, 179, 179, 179, 179, 2_100),
            hosts=(1, 20, 60, 120, 255, 255, 255),
            host_srv=(1, 5, 20, 40, 60, 80, 100),
            host_echo=(0.1, 0.3, 0.5, 0.7, 0.9, 1, 1),
            content={"hot": (0, 1, 1, 1, 1, 1, 2), "num_failed_logins": (0, 1, 1, 1, 1, 1, 5)},
            misses=8,
        ),
        "guesses_mail": Manner(
            cells={"tcp/pop_3/SF": 0.66, "tcp/telnet/SF": 0.29, "tcp/ftp/SF": 0.05},
            duration=(0, 0, 0, 4, 4, 5, 60),
            sent=(15, 26, 28, 32, 120, 125, 130),
            received=(46, 93, 93, 93, 174, 176, 2_400),
            count=(1, 1, 1, 1, 1, 1, 8),
            hosts=(1, 82, 220, 255, 255, 255, 255),
            host_srv=(1, 25, 92, 190, 240, 250, 255),
            host_spread=(0.01, 0.01, 0.01, 0.02, 0.02, 0.04, 0.35),
            host_port=(0, 0, 0, 0, 0, 0.01, 1),
            errors={"dst_host_rerror_rate": (0, 0, 0, 0.02, 0.04, 0.08, 0.65)},
            content={"num_failed_logins": (0, 0, 0, 0, 1, 1, 1), "logged_in": (0, 0, 0, 1, 1, 1, 1)},
            misses=12,
        ),
        "warez_sessions": Manner(
            cells={"tcp/ftp/SF": 1},
            duration=(0, 1, 280, 280, 281, 282, 290),
            sent=(80, 150, 157, 158, 160, 162, 200),
            received=(300, 580, 590, 593, 598, 602, 3_000),
            hosts=(1, 2, 6, 76, 255, 255, 255),
            host_srv=(1, 4, 10, 18, 42, 91, 130),
            host_port=(0, 0, 0, 0.02, 0.3, 1, 1),
            content={"hot": (0, 1, 2, 2, 2, 2, 2), "logged_in": 1, "is_guest_login": 1},
            misses=11,
        ),
        "warez_uploads": Manner(
            cells={"tcp/ftp_data/SF": 1},
            duration=(0, 0, 0, 1, 9, 10, 160),
            sent=(5, 12, 12, 200, 200_000, 283_618, 283_700),
            received=(0, 0, 0, 0, 0, 30_000, 5.2e6),
            hosts=(1, 2, 6, 76, 255, 255, 255),
            host_srv=(1, 4, 10, 18, 42, 91, 130),
            host_port=(0, 0.05, 0.2, 0.8, 1, 1, 1),
            host_far=(0, 0, 0, 0, 0.14, 0.21, 1),
            errors={"dst_host_rerror_rate": (0, 0, 0, 0, 0.02, 0.6, 1)},
            misses=9,
        ),
        "community_guesses": Manner(
            cells={"udp/private/SF": 0.99, "icmp/urp_i/SF": 0.01},
            sent=(36, 42, 43, 45, 48, 50, 56),
            received=(0, 0, 0, 0, 0, 40, 52),
            count=(1, 2, 2, 3, 4, 5, 370),
            same=(0.67, 1, 1, 1, 1, 1, 1),
            hosts=(9, 250, 255, 255, 255, 255, 255),
            host_srv=(9, 250, 251, 254, 255, 255, 255),
            host_spread=0.01,
            host_port=(0, 0, 0, 0.01, 0.01, 0.02, 1),
            host_far=0,
            misses=12,
        ),
        "snmp_reads": Manner(
            cells={"udp/private/SF": 0.96, "udp/other/SF": 0.04},
            sent=(100, 104, 105, 105, 105, 106, 150),
            received=(0, 105, 145, 146, 147, 147, 150),
            count=(1, 1, 1, 1, 2, 3, 4),
            same=(0.33, 0.75, 1, 1, 1, 1, 1),
            hosts=(3, 49, 120, 255, 255, 255, 255),
            host_srv=(1, 31, 120, 250, 252, 254, 255),
            host_spread=(0.01, 0.01, 0.01, 0.01, 0.01, 0.02, 0.6),
            host_port=(0, 0, 0, 0.01, 0.01, 0.03, 1),
            misses=16,
        ),
        "tunnel": Manner(
            cells={"tcp/other/REJ": 0.8, "tcp/other/SF": 0.16, "tcp/http/SF": 0.04},
            duration=(0, 0, 0, 0, 0, 1, 1_400),
            sent=(0, 0, 0, 0, 0, 240, 46_000),
            received=(0, 0, 0, 0, 0, 200, 47_000),
            count=(1, 1, 1, 1, 1, 2, 4),
            hosts=(42, 78, 150, 255, 255, 255, 255),
            host_srv=(1, 3, 8, 15, 23, 40, 97),
            host_spread=(0.01, 0.01, 0.02, 0.02, 0.03, 0.06, 0.12),
            host_port=(0, 0, 0, 0, 0.01, 0.01, 0.54),
            host_echo=(0.01, 0.02, 0.04, 0.07, 0.1, 0.13, 0.2),
            misses=10,
        ),
        "mailbox_exploit": Manner(
            cells={"tcp/imap4/SF": 0.55, "tcp/imap4/SH": 0.36, "tcp/imap4/S1": 0.09},
            sent=(0, 0, 0, 0, 1_300, 1_400, 1_500),
            received=(0, 0, 0, 0, 160, 10_000, 600_000),
            elsewhere=(0, 0, 0, 100, 140, 160, 160),
            hosts=(1, 2, 3, 7, 10, 11, 255),
            host_srv=(1, 1, 2, 5, 9, 10, 11),
            host_echo=(0.3, 0.4, 0.5, 0.56, 0.67, 1, 1),
            misses=9,
        ),
        "server_exploit": Manner(
            cells={
                "tcp/domain/SF": 0.2,
                "tcp/X11/SF": 0.3,
                "tcp/smtp/SF": 0.25,
                "tcp/http/SF": 0.15,
                "tcp/other/SF": 0.1,
            },
            duration=(0, 0, 0, 2, 100, 300, 900),
            sent=(10, 40, 130, 1_600, 7_900, 57_000, 6e7),
            received=(0, 0, 30, 600, 10_000, 36_000, 200_000),
            hosts=(1, 2, 5, 60, 255, 255, 255),
            host_srv=(1, 1, 1, 2, 3, 15, 150),
            errors={"dst_host_rerror_rate": (0, 0, 0, 0.05, 0.3, 0.5, 1)},
            content={
                "logged_in": (0, 0, 0, 0, 0.6, 1, 1),
                "num_root": (0, 0, 0, 0, 1, 3, 10),
                "root_shell": (0, 0, 0, 0, 0, 1, 1),
            },
            misses=12,
        ),
        # --- user to root, and r2l that ends in a shell
        "root_shells": Manner(
            cells={"tcp/telnet/SF": 0.68, "tcp/ftp_data/SF": 0.22, "tcp/ftp/SF": 0.1},
            duration=(0, 0, 5, 60, 150, 300, 2_000),
            sent=(0, 0, 130, 1_500, 2_300, 2_800, 6_300),
            received=(0, 700, 2_000, 3_800, 5_500, 20_000, 200_000),
            count=(1, 1, 1, 1, 1, 2, 4),
            hosts=(1, 1, 2, 5, 60, 255, 255),
            host_srv=(1, 1, 2, 3, 12, 60, 160),
            host_port=(0, 0.02, 0.2, 0.5, 1, 1, 1),
            content=_SHELL,
            misses=10,
        ),
    }
)

MIX: tuple[tuple[str, str, int, int], ...] = (
    ("normal", "browsing", 34_700, 6_560),
    ("normal", "web_refused", 3_237, 120),
    ("normal", "mail", 7_029, 618),
    ("normal", "names", 9_034, 892),
    ("normal", "file_data", 4_984, 320),
    ("normal", "udp_talk", 2_251, 33),
    ("normal", "udp_private", 1_146, 150),
    ("normal", "udp_busy", 180, 690),
    ("normal", "ftp_session", 918, 48),
    ("normal", "telnet_session", 917, 44),
    ("normal", "echo_messages", 1_309, 93),
    ("normal", "small_services", 1_638, 143),
    ("normal", "rare_services", 2_000, 200),
    ("neptune", "syn_flood", 41_214, 1_500),
    ("neptune", "refused_flood", 0, 3_157),
    ("smurf", "ping_flood", 2_646, 665),
    ("back", "backslashes", 956, 359),
    ("teardrop", "fragments", 892, 12),
    ("pod", "big_pings", 201, 41),
    ("land", "own_address", 18, 7),
    ("apache2", "slow_requests", 0, 737),
    ("processtable", "hung_logins", 0, 685),
    ("mailbomb", "mail_flood", 0, 293),
    ("udpstorm", "fragments", 0, 2),
    ("worm", "server_exploit", 0, 2),
    ("satan", "port_scan", 2_100, 430),
    ("satan", "udp_probe", 1_533, 305),
    ("ipsweep", "ping_sweep", 3_150, 141),
    ("ipsweep", "host_sweep", 449, 0),
    ("portsweep", "port_sweep", 2_931, 157),
    ("nmap", "ping_sweep", 985, 0),
    ("nmap", "udp_ping", 250, 0),
    ("nmap", "half_open_scan", 258, 73),
    ("mscan", "many_services", 0, 996),
    ("saint", "port_scan", 0, 210),
    ("saint", "ping_sweep", 0, 109),
    ("warezclient", "illegal_copies", 580, 0),
    ("warezclient", "illegal_downloads", 310, 0),
    ("warezmaster", "warez_uploads", 20, 444),
    ("warezmaster", "warez_sessions", 0, 500),
    ("guess_passwd", "guesses_telnet", 53, 25),
    ("guess_passwd", "guesses_mail", 0, 1_206),
    ("snmpguess", "community_guesses", 0, 331),
    ("snmpgetattack", "snmp_reads", 0, 178),
    ("httptunnel", "tunnel", 0, 133),
    ("imap", "mailbox_exploit", 11, 1),
    ("ftp_write", "root_shells", 8, 3),
    ("multihop", "root_shells", 7, 18),
    ("phf", "server_exploit", 4, 2),
    ("spy", "root_shells", 2, 0),
    ("named", "server_exploit", 0, 17),
    ("sendmail", "server_exploit", 0, 14),
    ("xlock", "server_exploit", 0, 9),
    ("xsnoop", "server_exploit", 0, 4),
    ("buffer_overflow", "root_shells", 30, 20),
    ("rootkit", "root_shells", 10, 13),
    ("loadmodule", "root_shells", 9, 2),
    ("perl", "root_shells", 3, 2),
    ("ps", "root_shells", 0, 15),
    ("xterm", "root_shells", 0, 13),
    ("sqlattack", "root_shells", 0, 2),
)
"""Attack, manner, rows in KDDTrain+, rows in KDDTest+ (the split between manners of one attack is ours)."""

DRIFT: Mapping[str, tuple[float, Knots]] = MappingProxyType(
    {
        "src_bytes": (0.06, (1.2, 1.3, 1.6, 2, 3, 5, 8)),
        "dst_bytes": (0.06, (0.1, 0.2, 0.3, 0.5, 1.5, 3, 6)),
        "dst_host_srv_count": (0.06, (0.02, 0.05, 0.1, 0.3, 0.5, 0.8, 1)),
    }
)
"""How normal traffic of the test part moves: share of rows, factor."""


def simulate(size: int, seed: int, *, defects: bool = False) -> dict[str, pl.DataFrame]:
    """Make NSL-KDD-like connection records.

    Args:
        size: connections, training and test part together (about 85 : 15).
        seed: the same seed gives identical tables.
        defects: plant the documented flaws: test rows that repeat training rows, some with another label, and
            repeats within each part.

    Returns:
        ``train`` and ``test``: 41 features, ``attack`` (true type, ``"normal"`` for normal rows), ``difficulty``.

    Raises:
        DataError: if ``size`` is below 1.
    """
    rng = np.random.default_rng(seed)
    n_test = int(check_size(size, "connection") * TEST_SHARE)
    parts = {"train": _part(rng, size - n_test, "train"), "test": _part(rng, n_test, "test")}
    parts = _tell_twins_apart(parts)
    return _with_flaws(rng, parts) if defects else parts


def _part(rng: np.random.Generator, size: int, split: str) -> pl.DataFrame:
    """Rows of one part in random order."""
    counts = apportion(size, [train if split == "train" else test for _, _, train, test in MIX])
    made = [
        _connections(rng, attack, manner, n, split) for (attack, manner, *_), n in zip(MIX, counts, strict=True) if n
    ]
    frame = pl.concat(made) if made else _connections(rng, "normal", "browsing", 0, split)
    return frame[rng.permutation(len(frame))]


def _connections(rng: np.random.Generator, attack: str, name: str, size: int, split: str) -> pl.DataFrame:
    """``size`` connections of one attack that behave in one manner."""
    manner = MANNERS[name]
    columns: Columns = {"duration": whole(rng, manner.duration, size)}
    flags = _cells(rng, manner, size, columns)
    columns["src_bytes"] = whole(rng, manner.sent, size)
    columns["dst_bytes"] = whole(rng, manner.received, size)
    columns |= {c: whole(rng, manner.content.get(c, 0), size) for c in CONTENT}
    columns |= _two_seconds(rng, manner, size) | _host_history(rng, manner, size) | _error_rates(rng, manner, flags)
    if attack == "normal" and split == "test":
        _drift(rng, columns, size)
    difficulty = np.clip(LEARNERS - rng.poisson(manner.misses * rng.exponential(1, size)), 0, LEARNERS)
    frame = pl.DataFrame({c: columns[c] for c in COLUMNS})
    return frame.with_columns(attack=pl.lit(attack), difficulty=pl.Series(difficulty, dtype=pl.Int64))


def _cells(rng: np.random.Generator, manner: Manner, size: int, columns: Columns) -> Texts:
    """Draw protocol, service and flag together; return the flags."""
    parts = [cell.split("/") for cell in manner.cells]
    drawn = pick(rng, dict(zip(range(len(parts)), manner.cells.values(), strict=True)), size).astype(np.int64)
    for i, column in enumerate(("protocol_type", "service", "flag")):
        columns[column] = pl.Series([p[i] for p in parts], dtype=pl.String).gather(drawn)
    return np.array([p[2] for p in parts])[drawn]


def _rate(values: Floats) -> Floats:
    """A rate as the files state it: between 0 and 1, two decimals."""
    return np.asarray(np.round(np.clip(values, 0, 1), 2), dtype=np.float64)


def _two_seconds(rng: np.random.Generator, manner: Manner, size: int) -> Columns:
    """Counts and service rates of the last two seconds."""
    count = np.clip(whole(rng, manner.count, size), 1, WINDOW)
    same = np.clip(np.rint(count * quantiles(rng, manner.same, size)), 1, count)
    srv_count = np.clip(same + whole(rng, manner.elsewhere, size), 1, WINDOW)
    spread = np.maximum(quantiles(rng, manner.spread, size), 1 / count)
    same_rate = _rate(same / count)
    return {
        "count": count,
        "srv_count": srv_count.astype(np.int64),
        "same_srv_rate": same_rate,
        "diff_srv_rate": np.where(same_rate < 1, _rate(spread), 0.0),
        "srv_diff_host_rate": _rate(np.maximum(srv_count - same, 0) / srv_count),
    }


def _host_history(rng: np.random.Generator, manner: Manner, size: int) -> Columns:
    """Counts and rates over the host's last connections."""
    hosts = np.clip(whole(rng, manner.hosts, size), 1, HOST_WINDOW)
    services = np.clip(whole(rng, manner.host_srv, size), 1, HOST_WINDOW)
    same = _rate(services / hosts)
    spread = np.maximum(quantiles(rng, manner.host_spread, size), 1 / hosts)
    return {
        "dst_host_count": hosts,
        "dst_host_srv_count": services,
        "dst_host_same_srv_rate": same,
        "dst_host_diff_srv_rate": np.where(same < 1, _rate(spread), 0.0),
        "dst_host_same_src_port_rate": _rate(quantiles(rng, manner.host_port, size)),
        "dst_host_srv_diff_host_rate": _rate(quantiles(rng, manner.host_far, size)),
    }


def _error_rates(rng: np.random.Generator, manner: Manner, flags: Texts) -> Columns:
    """SYN-error and rejection rates: the row's own kind of error echoes in both windows; the two share 1 at most."""
    columns: Columns = {}
    own = {"serror_rate": np.isin(flags, SYN_FLAGS), "rerror_rate": np.isin(flags, REJECT_FLAGS)}
    for prefix, echo in (("", manner.echo), ("dst_host_", manner.host_echo)):
        level = quantiles(rng, echo, len(flags))
        drawn = {
            k: np.maximum(hit * level, quantiles(rng, manner.errors.get(prefix + k, 0), len(flags)))
            for k, hit in own.items()
        }
        total = np.maximum(drawn["serror_rate"] + drawn["rerror_rate"], 1.0)
        for kind, rate in drawn.items():
            own_service = np.where(own[kind], np.maximum(rate / total, 0.9), rate / total)
            columns[prefix + kind] = _rate(rate / total)
            columns[f"{prefix}srv_{kind}"] = _rate(own_service * (rng.random(len(flags)) < 0.9))
    return columns


def _drift(rng: np.random.Generator, columns: Columns, size: int) -> None:
    """Move part of the test normals away from what the training part has."""
    for name, (share, factor) in DRIFT.items():
        moved = rng.random(size) < share
        values = np.where(moved, columns[name] * quantiles(rng, factor, size), columns[name])
        columns[name] = np.rint(values).astype(np.int64)
    services = np.maximum(columns["dst_host_srv_count"], 1)
    same = _rate(services / columns["dst_host_count"])
    other = np.where(same < 1, np.maximum(columns["dst_host_diff_srv_rate"], 0.01), 0.0)
    columns |= {"dst_host_srv_count": services, "dst_host_same_srv_rate": same, "dst_host_diff_srv_rate": other}


def _tell_twins_apart(parts: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Make every feature vector of both parts occur once, by a few bytes more in the later rows."""
    frame = pl.concat([part.with_columns(part=pl.lit(name)) for name, part in parts.items()])
    while (later := _repeats(frame)).sum():
        frame = frame.with_columns(src_bytes=pl.col("src_bytes") + later)
    return {name: frame.filter(part=name).drop("part") for name in parts}


def _repeats(frame: pl.DataFrame) -> pl.Series:
    """How many earlier rows have the same features."""
    twins = frame.select(COLUMNS).hash_rows().alias("twins")
    return pl.DataFrame(twins).select(pl.int_range(pl.len(), dtype=pl.Int64).over("twins")).to_series()


def _with_flaws(rng: np.random.Generator, parts: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Plant the twins that Tavallaee's files have: across the parts, with conflicting labels, within a part."""
    train, test = parts["train"], parts["test"]
    n = min(max(3, round(len(test) * TWINS_OF_TRAIN)), len(test), len(train))
    twins = train[rng.choice(len(train), n, replace=False)]
    disagree = pl.Series(np.arange(n) < max(1, round(n * TWINS_THAT_DISAGREE)))
    other = pl.when(pl.col("attack") == "normal").then(pl.lit("snmpgetattack")).otherwise(pl.lit("normal"))
    twins = twins.with_columns(attack=pl.when(disagree).then(other).otherwise("attack"))
    test = pl.concat([test[n:], twins]) if n else test
    return {"train": _repeat_rows(rng, train, "train"), "test": _repeat_rows(rng, test, "test")}


def _repeat_rows(rng: np.random.Generator, part: pl.DataFrame, split: str) -> pl.DataFrame:
    """Overwrite a few rows by copies of others and mix the order."""
    n = min(max(1, round(len(part) * REPEATS[split])), len(part) // 2)
    return pl.concat([part[n:], part[n : 2 * n]])[rng.permutation(len(part))]
