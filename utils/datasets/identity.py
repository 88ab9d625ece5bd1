"""Which columns name, place or date a row, and are therefore never features.

Addresses, ports, times and identifiers say where a recording was made, not what happened in it: on ten data sets the
destination port alone tells attacks with 70 to 100 % accuracy, and means nothing elsewhere (D'hooge et al.,
"Establishing the Contaminating Effect of Metadata Feature Inclusion in Machine-Learned Network Intrusion Detection
Models", DIMVA 2022). A column counts as an identity by its role, by its name in any of the styles of flow exporters
(NetFlow, Zeek, Argus, CICFlowMeter, Wireshark), by its type, or by what it holds.
"""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import polars as pl

from utils.datasets.contract import ANOMALY_TYPE, LABEL, Roles
from utils.datasets.dtypes import is_text
from utils.datasets.profile import role_of

ENOUGH_ROWS = 50
"""Fewest rows on which uniqueness, order or range is taken as a sign."""

SAMPLE = 1_000
MOST = 0.95
"""Share of the sampled values that must look alike before content decides."""

KINDS_OF_CODE = 256
ROWS_A_CODE = 20
"""An "id" of at most so many values, each with so many rows, numbers kinds and not things."""


def words_of(text: str) -> frozenset[str]:
    """The words of a text, each once."""
    return frozenset(text.split())


WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
LAST_WORDS = words_of(
    "id ip port addr address mac uuid guid ipv hostname timestamp datetime date epoch srcport dstport srcip dstip"
    " srcaddr dstaddr saddr daddr dsport dport smac dmac stime ltime"
)
NUMBERED_PORTS = frozenset({"sport"})
"""Names that are an identity only if they hold numbers."""

ENDPOINTS = words_of("src source dst dest destination client server remote local orig originator resp responder peer")
PLACES = words_of("ip ipv port pt addr address mac eth host h p")
QUALIFIERS = words_of("number no nr name str string hex int value")
"""Words that say how a thing is written, after the word that says what it is: ``dst_port_no``."""

FILLERS = words_of("id tcp udp arp hw proto l")
TIME_MARKS = words_of("start end first last begin stop event log capture frame created received")
TIME_ENDS = words_of("time seen milliseconds microseconds nanoseconds ms us ns")
LENGTHS_OF_TIME = words_of("since between inter delta duration elapsed")
MEASURES = words_of(
    "count counts num bytes size length len packets pkts rate ratio share mean avg std min max total sum"
    " duration variance amount score"
)
CONTENTS: Mapping[str, str] = MappingProxyType(
    {
        "an address": r"^(\d{1,3}\.){3}\d{1,3}(:\d+|/\d+)?$"
        r"|^[0-9A-Fa-f]{0,4}(:[0-9A-Fa-f]{0,4}){3,7}$|^[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}$",
        "an identifier": r"^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$",
        "a time": r"^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ]\d{1,2}:\d{2}.*)?$|^\d{1,2}:\d{2}:\d{2}",
    }
)
TOKEN = r"^[A-Za-z0-9_.:#-]*\d[A-Za-z0-9_.:#-]*$"
NUMBER = r"^\s*(0[xX][0-9A-Fa-f]+|\d+(\.0*)?)\s*$"

WELL_KNOWN_PORTS = words_of(
    "20 21 22 23 25 53 67 80 88 110 111 123 135 137 138 139 143 161 179 389 443 445 465 514 587 993 995 1433 1521 1883"
    " 3306 3389 5060 5353 5432 6379 8000 8080 8443"
)
KINDS_OF_PORT = 5
HIGHEST_PORT = 65_535
FIRST_SECOND, LAST_SECOND = 946_684_800, 2_208_988_800
"""The years 2000 to 2039, in seconds since 1970."""


def identity_columns(
    frame: pl.DataFrame, roles: Roles | None = None, among: Iterable[str] | None = None
) -> dict[str, str]:
    """Find the columns that must not be features, each with the reason.

    Args:
        frame: any table.
        roles: what its columns mean, if that is known.
        among: columns to look at; ``None`` for all.

    Returns:
        Column and reason ("identity by its role", "by its name", "a time by its content", ...), in the frame's order.
    """
    wanted = set(frame.columns if among is None else among)
    reasons = {name: identity_reason(frame[name], roles) for name in frame.columns if name in wanted}
    return {name: reason for name, reason in reasons.items() if reason}


def identity_reason(values: pl.Series, roles: Roles | None = None) -> str:
    """Say why a column must not be a feature; empty if it may be one.

    Args:
        values: the column, with its name; up to 1,000 distinct texts are looked at.
        roles: what the columns of its frame mean, if that is known.
    """
    return _by_role(values.name, roles) or identity_kind(values)


def identity_kind(values: pl.Series) -> str:
    """Say what makes a column an identity or a time, whatever its role; empty if nothing does.

    Args:
        values: the column, with its name; up to 1,000 distinct texts are looked at.
    """
    return _by_name(values) or _by_content(values)


def words(name: str) -> list[str]:
    """Split the name of a column into words in small letters, however they are joined: ``dstPort``, ``Dst Port``."""
    return [word.lower() for word in WORD.findall(name)]


def _by_role(name: str, roles: Roles | None) -> str:
    if roles is None:
        return "the label" if name in (LABEL, ANOMALY_TYPE) else ""
    if name in roles.withheld:
        return f"withheld: {roles.withheld[name]}"
    role = "identity" if name in roles.identity else role_of(roles, name)
    return "" if role in ("feature", "") else f"{role} by its role"


def _by_name(values: pl.Series) -> str:
    named_by = words(values.name)
    while len(named_by) > 1 and named_by[-1] in QUALIFIERS:
        named_by.pop()
    if not named_by:
        return ""
    last = named_by[-1]
    identity = last in LAST_WORDS and not (last == "id" and _numbers_kinds(values))
    numbered = last in NUMBERED_PORTS and _holds_numbers(values)
    if identity or numbered or _names_an_endpoint(named_by) or _names_a_time(values, named_by):
        return "by its name"
    return ""


def _names_an_endpoint(named_by: list[str]) -> bool:
    """Whether a name says whose address or port and nothing else: ``ip.src``, ``id.orig_h``, ``Dst Pt``."""
    letters = {word for word in named_by if not word.isdigit()}
    return bool(letters & ENDPOINTS and letters & PLACES) and letters <= ENDPOINTS | PLACES | FILLERS


def _names_a_time(values: pl.Series, named_by: list[str]) -> bool:
    if LENGTHS_OF_TIME & set(named_by):
        return False
    if named_by == ["ts"]:
        return _holds_numbers(values)
    if named_by == ["time"]:
        return len(values) >= ENOUGH_ROWS and values.dtype.is_numeric() and values.is_sorted() and values.n_unique() > 1
    return named_by[-1] == "seen" or (named_by[-1] in TIME_ENDS and bool(TIME_MARKS & set(named_by[:-1])))


def _by_content(values: pl.Series) -> str:
    if isinstance(values.dtype, pl.Date | pl.Datetime | pl.Time):
        return "a time by its type"
    if values.dtype.is_numeric():
        return _number_kind(values)
    return _text_kind(values) if is_text(values.dtype) else ""


def _number_kind(values: pl.Series) -> str:
    """Row numbers, seconds since 1970 and ports, unless the name says that something is measured."""
    measured = MEASURES & set(words(values.name))
    known = values.drop_nulls().drop_nans() if values.dtype.is_float() else values.drop_nulls()
    if measured or len(known) < ENOUGH_ROWS:
        return ""
    exact = int if values.dtype.is_integer() else float
    low, high = exact(known.min()), exact(known.max())  # type: ignore[arg-type]
    if _is_clock(low, high):
        return "a time by its content"
    if not values.dtype.is_integer():
        return ""
    if len(known) == len(values) and high - low + 1 < 1.5 * len(values) and values.n_unique() == len(values):
        return "a row number by its content"
    return "a port by its content" if low >= 0 and high <= HIGHEST_PORT and _are_ports(known) else ""


def _is_clock(low: float, high: float) -> bool:
    """Whether a range lies in the years 2000 to 2039, counted in seconds or thousandths, millionths, ... of them."""
    return low < high and any(FIRST_SECOND * unit <= low and high <= LAST_SECOND * unit for unit in (1, 1e3, 1e6, 1e9))


def _are_ports(values: pl.Series) -> bool:
    """Whether most values are numbers of well-known services, of several kinds, beside others."""
    known = values.filter(values.is_in([int(port) for port in WELL_KNOWN_PORTS]))
    most = len(known) > len(values) / 2 and known.n_unique() >= KINDS_OF_PORT
    return most and bool((values > 1_023).any())


def _numbers_kinds(values: pl.Series) -> bool:
    distinct = values.n_unique()
    return distinct <= KINDS_OF_CODE and len(values) >= ROWS_A_CODE * distinct


def _holds_numbers(values: pl.Series) -> bool:
    if values.dtype.is_numeric():
        return True
    sample = _sample(values)
    return not sample.is_empty() and _share(sample, NUMBER) >= MOST


def _text_kind(values: pl.Series) -> str:
    sample = _sample(values)
    if sample.is_empty():
        return ""
    for kind, pattern in CONTENTS.items():
        if _share(sample, pattern) >= MOST:
            return f"{kind} by its content"
    unique = len(values) >= ENOUGH_ROWS and values.n_unique() >= MOST * len(values)
    return "an identifier by its content" if unique and _share(sample, TOKEN) >= MOST else ""


def _sample(values: pl.Series) -> pl.Series:
    return values.drop_nulls().head(10 * SAMPLE).unique().head(SAMPLE).cast(pl.String)


def _share(texts: pl.Series, pattern: str) -> float:
    return float(texts.str.contains(pattern).mean())  # type: ignore[arg-type]
