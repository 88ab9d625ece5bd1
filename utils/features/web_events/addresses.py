"""Client addresses to networks: IPv4 to /24, IPv6 to /64, the levels at which providers hand out addresses.

RFC 4291 (IPv6 addressing: the last 64 bits name the interface), RFC 6177 (one site has at least a /64).
"""

import ipaddress
import re
from collections.abc import Sequence
from typing import NamedTuple

IPV4, IPV6, MAPPED, TRUNCATED, INVALID = "IPv4", "IPv6", "IPv4-mapped", "truncated", "invalid"
KINDS = (IPV4, IPV6, MAPPED, TRUNCATED, INVALID)
LONGEST = 64
PLAIN_IPV4 = re.compile(r"(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})", re.ASCII)
PORT = re.compile(r"\[([^\[\]]*)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+):\d+", re.ASCII)
PART_OF_IPV6 = re.compile(r"[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,7}:?|::?", re.IGNORECASE)
PART_OF_IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){1,2}\.?", re.ASCII)


class Network(NamedTuple):
    """What is known of an address.

    Attributes:
        kind: one of :data:`KINDS`; ``None`` for a missing address.
        network: canonical text of the network, as ``192.0.2.0/24`` or ``2001:db8:0:1::/64``; ``None`` if unknown.
    """

    kind: str | None
    network: str | None


def network_of(address: str | None) -> Network:
    """Find the network of an address.

    An IPv4 address written as IPv6 (``::ffff:192.0.2.1``) belongs to the IPv4 network. Ports, brackets, zones and, in a
    list of proxies, all but the first address are ignored. Of an address that is cut off, the network is told if
    the parts before the cut name it; the last part may itself be cut, so it does not count.
    """
    if address is None:
        return Network(None, None)
    if (found := PLAIN_IPV4.fullmatch(address)) and _is_ipv4(found.groups()):
        return Network(IPV4, f"{found[1]}.{found[2]}.{found[3]}.0/24")
    text = _bare(address)
    if not text:
        return Network(INVALID if address.strip() else None, None)
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return _cut_off(text)
    if isinstance(parsed, ipaddress.IPv4Address):
        return Network(IPV4, _level(parsed))
    mapped = parsed.ipv4_mapped
    return Network(MAPPED, _level(mapped)) if mapped else Network(IPV6, _level(parsed))


def networks_of(addresses: Sequence[str | None]) -> list[Network]:
    """Find the networks of addresses, as :func:`network_of` does."""
    return [network_of(address) for address in addresses]


def _is_ipv4(octets: Sequence[str]) -> bool:
    return all(int(octet) < 256 and (octet[0] != "0" or octet == "0") for octet in octets)


def _bare(address: str) -> str:
    first = address[:256].split(",", 1)[0].strip()
    found = PORT.fullmatch(first)
    bare = (found[1] or found[2] or "") if found else first
    bare = bare.split("%", 1)[0]
    return bare if len(bare) <= LONGEST else "?"


def _level(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    host = 8 if address.version == 4 else 64
    start = type(address)(int(address) >> host << host)
    return f"{start}/{address.max_prefixlen - host}"


def _cut_off(text: str) -> Network:
    if PART_OF_IPV4.fullmatch(text):
        octets = text.split(".")[:-1]
        known = len(octets) == 3 and _is_ipv4(octets)
        return Network(TRUNCATED, f"{'.'.join(octets)}.0/24" if known else None)
    if ":" in text and PART_OF_IPV6.fullmatch(text):
        groups = text.split(":")[:-1]
        start = ipaddress.IPv6Address(":".join([*groups[:4], ":"])) if len(groups) >= 4 else None
        return Network(TRUNCATED, _level(start) if start else None)
    return Network(INVALID, None)
