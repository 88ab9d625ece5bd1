r"""Raw firewall events: who asked, with which agent, how much, what came back, and which variable matched a rule.

One request gives one event, sometimes several that share client, agent, size, code and event id. Benign requests match
rules too (no-cache counters, session cookies, agents, redirects), attacks come in at the same variables. Clients: one
address (a gateway) sends a fifth of all rows, a few send about one per cent each, most send one or two. A part of the
attacks comes from addresses that others share, with the agent of a browser; scanners try many paths from few addresses.

Rows are damaged as in the real file: lines broken in the middle of a value (the rest is a row of its own, beginning
with that rest), sizes and codes displaced by an unquoted comma in the agent, lines cut off, binary junk and cut
addresses in the first column, empty rows, repeated rows, missing fields. Each keeps the truth of the event that it was.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from utils.datasets.contract import ANOMALY_TYPE, NORMAL
from utils.simulate.draws import Floats, Ints, pick
from utils.simulate.grammar import (
    CODES,
    URL_SAFE_64,
    Grammar,
    Texts,
    code,
    constant,
    texts_of,
    words,
)
from utils.simulate.waf_grammar import EVENT_GENERATORS, EVENT_RULES, GENERATORS, RULES
from utils.simulate.waf_payloads import FAMILIES, attacks

Flags = npt.NDArray[np.bool_]

COLUMNS = (
    "CLIENT_IP",
    "CLIENT_USERAGENT",
    "REQUEST_SIZE",
    "RESPONSE_CODE",
    "MATCHED_VARIABLE_SRC",
    "MATCHED_VARIABLE_NAME",
    "MATCHED_VARIABLE_VALUE",
    "EVENT_ID",
)
DELIMITER = r"\';\'"
SCANNER = "scanner"
ANOMALY_TYPES = (SCANNER, *FAMILIES)

EVENT_ATTACK_SHARE = 0.10
"""Share of attack events. Nobody knows the real one; the published clusters call 7.4 % of the rows attack."""
TYPE_WEIGHTS = {SCANNER: 28, "sqli": 20, "xss": 12, "path-traversal": 12, "cmdi": 7} | dict.fromkeys(FAMILIES[4:], 2.3)

REAL_ROWS = 57_845
SAME_REQUEST = 3_260 / REAL_ROWS
"""Share of rows that belong to the request of the row before."""
TOP_CLIENT, OLD_FORMAT = 11_286 / REAL_ROWS, 0.12
"""Share of rows from the top client, and of rows that are written in the older way."""
BIG_CLIENTS = (771, 767, 757, 748, 687, 542, 303, 280, 214)
"""Rows of the next largest clients, of :data:`REAL_ROWS`."""
CLIENT_POOL, CLIENT_SKEW = 0.85, 1.35
"""Small clients: addresses a row, and the exponent that makes some of them come more often."""
AGENT_POOL, AGENT_SKEW = 0.13, 2.6
ATTACKERS = 1 / 700
"""Attackers' own addresses a row."""
SHARED_ATTACKS, TOOL_ATTACKS, BENIGN_FROM_ATTACKERS = 0.35, 0.40, 0.03
"""Shares: attacks from addresses of others, attacks with a tool's agent, benign events from attackers' addresses"""
IPV6 = 0.06
BROKEN_AGENT = (0.045, 0.002)
"""Share of rows with a malformed agent, for the top client and for the others."""
TRAILING_BACKSLASH = 0.02
TOOLS = 97
"""Different agents of attack tools."""

CODES_NORMAL = {200: 445, 404: 345, 302: 118, 403: 15, 304: 17, 504: 12, 301: 10, 502: 9.5, 500: 4.5, 400: 2.5}
CODES_NORMAL |= {401: 1.5, 405: 1.2, 206: 1, 416: 0.6, 413: 0.4, 503: 0.8, 201: 0.5, 204: 0.7, 303: 0.3, 307: 0.2}
CODES_ATTACK = CODES_NORMAL | {200: 330, 404: 400, 403: 80, 302: 90, 400: 15, 500: 15}
LARGEST_REQUEST = 10_529_650

ORDINARY_START = 0.2
"""Share of attacks in arguments that begin with an ordinary word."""
NAMELESS, AGENT_HEADER = "", "User-Agent"


@dataclass(frozen=True)
class Variable:
    """A variable that rules match: where it is, its name, what stands in it, and how often."""

    source: str
    name: str
    value: str
    weight: float


GET, POST, COOKIE, HEADER = "REQUEST_GET_ARGS", "REQUEST_POST_ARGS", "REQUEST_COOKIES", "REQUEST_HEADERS"
NORMAL_VARIABLES = (
    Variable(GET, "_", "nocache", 222),
    Variable(COOKIE, "LtpaToken2", "longtoken", 80),
    Variable(COOKIE, "User-cn", "common_name", 50),
    Variable(POST, "action", "action", 45),
    Variable(GET, "rid", "millis", 47),
    Variable(HEADER, AGENT_HEADER, "agent", 38),
    Variable(GET, "id", "event_value", 19),
    Variable(GET, "url", "link", 23),
    Variable(GET, "«parameter»", "event_value", 62),
    Variable(POST, "«parameter»", "event_value", 150),
    Variable(COOKIE, "«parameter»", "opaque", 85),
    Variable(HEADER, "Referer", "link", 25),
    Variable(HEADER, "«header»", "opaque", 15),
    Variable("REQUEST_JSON", "«parameter»", "event_json", 40),
    Variable("REQUEST_ARGS", "«parameter»", "event_value", 20),
    Variable("REQUEST_XML", "«parameter»", "article", 6),
    Variable("REQUEST_FILES", "«parameter»", "path", 6),
    Variable("REQUEST_URI", NAMELESS, "event_path", 20),
    Variable("REQUEST_PATH", NAMELESS, "event_path", 10),
    Variable("REQUEST_QUERY", NAMELESS, "event_query", 4),
    Variable("RESPONSE_BODY", NAMELESS, "article", 4),
    Variable("RESPONSE_HEADERS", "Location", "link", 3),
    Variable("CLIENT_SESSION_ID", NAMELESS, "urltoken", 2),
)
ATTACK_VARIABLES = (
    Variable(GET, "«parameter»", "", 300),
    Variable(GET, "id", "", 90),
    Variable(GET, "url", "", 50),
    Variable(GET, "_", "", 15),
    Variable(GET, "rid", "", 15),
    Variable(POST, "«parameter»", "", 190),
    Variable(POST, "action", "", 35),
    Variable(COOKIE, "«parameter»", "", 55),
    Variable(COOKIE, "LtpaToken2", "", 12),
    Variable(HEADER, AGENT_HEADER, "", 40),
    Variable(HEADER, "Referer", "", 25),
    Variable(HEADER, "«header»", "", 20),
    Variable("REQUEST_JSON", "«parameter»", "", 25),
    Variable("REQUEST_XML", "«parameter»", "", 15),
    Variable("REQUEST_ARGS", "«parameter»", "", 15),
    Variable("REQUEST_URI", NAMELESS, "", 60),
    Variable("REQUEST_PATH", NAMELESS, "", 35),
    Variable("REQUEST_QUERY", NAMELESS, "", 10),
)
SCANNER_VARIABLES = (
    Variable("REQUEST_URI", NAMELESS, "probe", 45),
    Variable("REQUEST_PATH", NAMELESS, "probe", 30),
    Variable(GET, "«parameter»", "probe_value", 15),
    Variable(HEADER, "Referer", "link", 5),
    Variable(POST, "«parameter»", "probe_value", 5),
)

MULTI_VALUED = 1_740 / REAL_ROWS
"""Share of rows with several values; the second source is cut to 13 characters."""
FORM_UPLOADS, AJAX = 0.58, 0.19
"""Shares of the multi-valued rows: method and content type of an upload, header of a script's request."""
SECOND_NAMES = 394 / 1_740 / (1 - FORM_UPLOADS - AJAX)
MOST_NAMES, MOST_VALUES, CUT_SOURCE = 11, 36, 13

DAMAGE = {"broken": 16, "shifted": 40, "cut": 134, "junk": 45, "short_address": 42, "empty": 7, "repeated": 6}
"""Damaged rows of each kind, of :data:`REAL_ROWS` (a broken line makes two rows)."""
MISSING = {"CLIENT_USERAGENT": 270, "CLIENT_IP": 1}
"""Further missing fields, of :data:`REAL_ROWS`."""
CUTS = {"REQUEST_SIZE": 22, "RESPONSE_CODE": 24, "MATCHED_VARIABLE_SRC": 40, "MATCHED_VARIABLE_NAME": 47, "EVENT_ID": 1}
"""First missing column of lines that end early."""
WHOLE = frozenset({"REQUEST_SIZE", "MATCHED_VARIABLE_SRC"})
"""Columns that are never cut inside."""
TOP_AGENT = "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko"
"""The agent that comes most often."""

GRAMMAR = Grammar(RULES | EVENT_RULES, GENERATORS | EVENT_GENERATORS)


def simulate_events(size: int, rng: np.random.Generator, *, leaks: bool = False) -> pl.DataFrame:
    """Simulate raw firewall events.

    Args:
        size: number of rows, damaged ones included.
        rng: source of randomness.
        leaks: all attacks come from addresses of their own, with agents of tools, and nothing else does.

    Returns:
        The eight raw columns as String and ``anomaly_type``.
    """
    head = _requests(size, rng)
    attack = _attacked(head, rng)
    kind = np.where(attack, pick(rng, TYPE_WEIGHTS, size), NORMAL)[head]
    attack = kind != NORMAL
    address, client = _clients(attack, rng, leaks=leaks)
    agent = _agents(attack, client, rng, leaks=leaks)[head]
    variables = _variables(kind, agent, rng)
    old = (rng.random(size) < OLD_FORMAT)[head]
    columns: dict[str, Texts] = {
        "CLIENT_IP": address[head],
        "CLIENT_USERAGENT": np.where(variables["name"] == AGENT_HEADER, variables["value"], agent),
        "REQUEST_SIZE": _sizes(agent, variables["value"], variables["upload"], rng)[head],
        "RESPONSE_CODE": _answers(attack, rng)[head],
        "MATCHED_VARIABLE_SRC": variables["source"],
        "MATCHED_VARIABLE_NAME": _full_names(variables, old),
        "MATCHED_VARIABLE_VALUE": _escaped(variables["value"]),
        "EVENT_ID": _event_ids(old, rng)[head],
    }
    _damage(columns, kind, rng)
    table = {name: pl.Series(column.tolist(), dtype=pl.String) for name, column in columns.items()}
    return pl.DataFrame(table | {ANOMALY_TYPE: pl.Series(kind.tolist(), dtype=pl.String)})


def _requests(size: int, rng: np.random.Generator) -> Ints:
    """For each row, the first row of the same request."""
    first = rng.random(size) >= SAME_REQUEST
    first[0] = True
    return np.maximum.accumulate(np.where(first, np.arange(size), 0))


def _attacked(head: Ints, rng: np.random.Generator) -> Flags:
    """Requests that attack: the share of :data:`EVENT_ATTACK_SHARE`, drawn without spread."""
    first = np.flatnonzero(head == np.arange(len(head)))
    attack = np.zeros(len(head), dtype=bool)
    attack[rng.permutation(first)[: round(EVENT_ATTACK_SHARE * len(first))]] = True
    return attack


def _clients(attack: Flags, rng: np.random.Generator, *, leaks: bool) -> tuple[Texts, Ints]:
    """Address of every row and its number; the top client is number 0."""
    size = len(attack)
    alone = attack if leaks else rng.random(size) < np.where(attack, 1 - SHARED_ATTACKS, BENIGN_FROM_ATTACKERS)
    big = np.array([TOP_CLIENT, *(rows / REAL_ROWS for rows in BIG_CLIENTS)]) / max(1 - alone.mean(), 0.5)
    pool, own = max(1, round(CLIENT_POOL * size)), max(2, round(ATTACKERS * size))
    small = len(big) + np.floor(pool * rng.random(size) ** CLIENT_SKEW).astype(np.int64)
    ordinary = np.where(rng.random(size) < big.sum(), rng.choice(len(big), size, p=big / big.sum()), small)
    attacker = len(big) + pool + np.floor(own * rng.random(size) ** 2).astype(np.int64)
    number = np.where(alone, attacker, ordinary)
    return _addresses(len(big) + pool + own, rng)[number], number


def _addresses(count: int, rng: np.random.Generator) -> Texts:
    """Addresses, most of them IPv4; the first is IPv4."""
    octets = texts_of(np.arange(256))
    parts = rng.integers(1, 255, (count, 4))
    parts[:, 0] = rng.choice([at for at in range(2, 223) if at != 127], count)
    texts: Texts = (
        octets[parts[:, 0]] + "." + octets[parts[:, 1]] + "." + octets[parts[:, 2]] + "." + octets[parts[:, 3]]
    )
    six = np.flatnonzero((rng.random(count) < IPV6) & (np.arange(count) > 0))
    groups = CODES[rng.integers(0, 256, (len(six), 14))]
    address = constant("2a0", len(six)) + texts_of(rng.integers(0, 10, len(six)))
    for at in range(0, 14, 2):
        address = address + ":" + groups[:, at] + groups[:, at + 1]
    texts[six] = address
    return texts


def _agents(attack: Flags, client: Ints, rng: np.random.Generator, *, leaks: bool) -> Texts:
    """Agent of every row: a pool of browsers and bots, one tool for each client that uses one, malformed ones."""
    size = len(attack)
    pool = GRAMMAR.expand("agent", max(5, round(AGENT_POOL * size)), rng)
    pool[0] = TOP_AGENT
    pool[rng.random(len(pool)) < TRAILING_BACKSLASH] += "\\"
    agents = pool[np.floor(len(pool) * rng.random(size) ** AGENT_SKEW).astype(np.int64)]
    tool = attack if leaks else attack & (rng.random(size) < TOOL_ATTACKS)
    tools = GRAMMAR.expand("attack_tool", TOOLS, rng)
    agents[tool] = tools[client[tool] % TOOLS]
    odd = ~tool & (rng.random(size) < np.where(client == 0, *BROKEN_AGENT))
    agents[odd] = GRAMMAR.expand("broken_agent", int(odd.sum()), rng)
    return agents


def _variables(kind: Texts, agent: Texts, rng: np.random.Generator) -> dict[str, Any]:
    """Source, name and value of every row, and whether the request is an upload."""
    size = len(kind)
    columns = {name: constant("", size) for name in ("source", "name", "value")}
    tables = {NORMAL: NORMAL_VARIABLES, SCANNER: SCANNER_VARIABLES} | dict.fromkeys(FAMILIES, ATTACK_VARIABLES)
    for name, table in tables.items():
        rows = np.flatnonzero(kind == name)
        chosen = rng.choice(len(table), len(rows), p=_shares(table))
        for at, variable in enumerate(table):
            mine = rows[chosen == at]
            if len(mine):
                columns["source"][mine] = variable.source
                columns["name"][mine] = _named(variable.name, len(mine), rng)
                columns["value"][mine] = _valued(variable, name, agent[mine], rng)
    return _several(columns, kind, rng)


def _shares(table: tuple[Variable, ...]) -> Floats:
    weights = np.array([variable.weight for variable in table])
    return np.asarray(weights / weights.sum())


def _named(name: str, count: int, rng: np.random.Generator) -> Texts:
    return GRAMMAR.expand(name[1:-1], count, rng) if name.startswith("«") else constant(name, count)


def _valued(variable: Variable, kind: str, agent: Texts, rng: np.random.Generator) -> Texts:
    """Values of rows of one variable; an attack stands alone, or behind something ordinary."""
    count = len(agent)
    if variable.value == "agent":
        return agent.copy()
    if variable.value:
        return GRAMMAR.expand(variable.value, count, rng)
    payloads = attacks(kind, rng, count)
    before = {"REQUEST_URI": "event_path", "REQUEST_PATH": "event_path", "REQUEST_QUERY": "event_query"}
    if variable.source in before:
        return np.asarray(GRAMMAR.expand(before[variable.source], count, rng) + payloads)
    led = rng.random(count) < ORDINARY_START
    payloads[led] = GRAMMAR.expand("name2", int(led.sum()), rng) + payloads[led]
    return payloads


def _several(columns: dict[str, Texts], kind: Texts, rng: np.random.Generator) -> dict[str, Any]:
    """Give some rows a second source, more names and more values."""
    in_arguments = np.isin(columns["source"].astype(str), (GET, POST))
    eligible = in_arguments | (kind == NORMAL)
    drawn = eligible & (rng.random(len(kind)) < MULTI_VALUED / max(eligible.mean(), MULTI_VALUED))
    part = rng.random(len(kind))
    upload = drawn & (kind == NORMAL) & ((part < FORM_UPLOADS) | ~in_arguments)
    ajax = drawn & ~upload & (part >= 1 - AJAX)
    _uploads(columns, upload, rng)
    columns["source"][drawn & ~upload] += DELIMITER + HEADER[:CUT_SOURCE]
    columns["value"][ajax] += DELIMITER + "XMLHttpRequest"
    _others(columns, np.flatnonzero(drawn & ~upload & ~ajax), rng)
    return columns | {"upload": upload}


def _uploads(columns: dict[str, Texts], rows: Flags, rng: np.random.Generator) -> None:
    """Method and content type of a form."""
    columns["source"][rows] = "REQUEST_METHOD" + DELIMITER + "REQUEST_CONTENT_TYPE"[:CUT_SOURCE]
    columns["name"][rows] = NAMELESS
    columns["value"][rows] = "POST" + DELIMITER + GRAMMAR.expand("boundary", int(rows.sum()), rng)


def _others(columns: dict[str, Texts], rows: Ints, rng: np.random.Generator) -> None:
    """More values of the same match; some rows name each variable."""
    more = np.minimum(rng.geometric(0.35, len(rows)), MOST_VALUES - 1)
    values, names = (GRAMMAR.expand(rule, int(more.sum()), rng) for rule in ("event_value", "parameter"))
    named = rng.random(len(rows)) < SECOND_NAMES
    for row, end, count, with_names in zip(rows, np.cumsum(more), more, named, strict=True):
        columns["value"][row] = DELIMITER.join([columns["value"][row], *values[end - count : end]])
        if with_names:
            further = [f"{HEADER}.{name}" for name in names[end - count : end][: MOST_NAMES - 1]]
            columns["name"][row] = DELIMITER.join([columns["name"][row], *further])


def _full_names(variables: Mapping[str, Texts], old: Flags) -> Texts:
    """Names with their source before them, as newer rows have them; nameless variables have none."""
    name, source = variables["name"], words([text.split(DELIMITER)[0] for text in variables["source"]])
    full = np.where(old, name, source + "." + name)
    full[name == NAMELESS] = None
    return np.asarray(full)


def _escaped(values: Texts) -> Texts:
    return words(pl.Series(values.tolist(), dtype=pl.String).str.replace_all('"', '\\"', literal=True).to_list())


def _sizes(agent: Texts, value: Texts, upload: Flags, rng: np.random.Generator) -> Texts:
    """Request sizes in bytes: line, headers, the value, and for uploads a body with a heavy tail."""
    length = np.array([len(a) + len(v) for a, v in zip(agent.tolist(), value.tolist(), strict=True)])
    body = np.where(upload, rng.lognormal(8.5, 1.8, len(value)), 0)
    body = np.where(rng.random(len(value)) < 0.01, rng.lognormal(9.5, 1.6, len(value)), body)
    size = 90 + length + rng.lognormal(5.5, 1.15, len(value)) + body
    return texts_of(np.minimum(size, LARGEST_REQUEST).astype(np.int64))


def _answers(attack: Flags, rng: np.random.Generator) -> Texts:
    normal, attacked = (pick(rng, table, len(attack)) for table in (CODES_NORMAL, CODES_ATTACK))
    return texts_of(np.where(attack, attacked, normal).astype(np.int64))


def _event_ids(old: Flags, rng: np.random.Generator) -> Texts:
    """Identifiers of a search engine: time, node and counter in 20 characters; older ones begin alike."""
    letters = URL_SAFE_64
    nodes = code(letters, 8, 8)(rng, 4)
    time, counter = code(letters, 5, 5)(rng, len(old)), code(letters, 4, 4)(rng, len(old))
    lead = np.where(old, constant("AVd", len(old)), code(letters, 3, 3)(rng, len(old)))
    return np.asarray(
        lead + time + np.where(old, constant(nodes[0], len(old)), nodes[rng.integers(1, 4, len(old))]) + counter
    )


def _damage(columns: dict[str, Texts], kind: Texts, rng: np.random.Generator) -> None:
    """Damage rows in place, no row twice."""
    size = len(kind)
    for name, rows in MISSING.items():
        columns[name][rng.random(size) < rows / REAL_ROWS] = None
    free = iter(rng.permutation(np.arange(0, size - 1, 2)).tolist())
    for name, method in METHODS.items():
        for row in islice(free, round(DAMAGE[name] * size / REAL_ROWS)):
            method(columns, kind, row, rng)


def _break(columns: dict[str, Texts], kind: Texts, row: int, rng: np.random.Generator) -> None:
    """A line break inside the value: the rest and the event id become the first fields of the next row."""
    value = columns["MATCHED_VARIABLE_VALUE"][row] or ""
    at = int(rng.integers(len(value) // 3, len(value) + 1))
    rest = [value[at:] or "Remote Code Execution", columns["EVENT_ID"][row]]
    columns["MATCHED_VARIABLE_VALUE"][row] = value[:at] or None
    columns["EVENT_ID"][row] = None
    for place, name in enumerate(COLUMNS):
        columns[name][row + 1] = rest[place] if place < len(rest) else None
    kind[row + 1] = kind[row]


def _shift(columns: dict[str, Texts], kind: Texts, row: int, rng: np.random.Generator) -> None:
    """A comma in the agent without quotes: the rest of the agent stands for the size, the size for the code."""
    agent = columns["CLIENT_USERAGENT"][row] or TOP_AGENT
    at = agent.find(",") if "," in agent else int(rng.integers(1, len(agent) + 1))
    columns["RESPONSE_CODE"][row] = columns["REQUEST_SIZE"][row]
    columns["CLIENT_USERAGENT"][row], columns["REQUEST_SIZE"][row] = agent[:at], agent[at + 1 :] or None


def _cut(columns: dict[str, Texts], kind: Texts, row: int, rng: np.random.Generator) -> None:
    """The line ends early: one field is cut, those after it are missing."""
    end = COLUMNS.index(pick(rng, CUTS, 1)[0])
    last = COLUMNS[end - 1]
    field = columns[last][row]
    columns[last][row] = field[: max(1, len(field) // 2)] if field and last not in WHOLE else field
    for name in COLUMNS[end:]:
        columns[name][row] = None


def _junk(columns: dict[str, Texts], kind: Texts, row: int, rng: np.random.Generator) -> None:
    """Binary data where the address was."""
    codes = rng.integers(1, 32, int(rng.integers(3, 18))).tolist()
    columns["CLIENT_IP"][row] = "".join(map(chr, codes)) + "\ufffd" * int(rng.integers(1, 5))


def _shorten(columns: dict[str, Texts], kind: Texts, row: int, rng: np.random.Generator) -> None:
    """An IPv6 address without its end."""
    groups = [f"{group:x}" for group in rng.integers(1, 65_536, int(rng.integers(2, 7)))]
    columns["CLIENT_IP"][row] = ":".join(["2a02", *groups])


def _empty(columns: dict[str, Texts], kind: Texts, row: int, rng: np.random.Generator) -> None:
    """Nothing is left of a normal event."""
    for column in columns.values():
        column[row] = None
    kind[row] = NORMAL


def _repeat(columns: dict[str, Texts], kind: Texts, row: int, rng: np.random.Generator) -> None:
    """The next row is the same."""
    for column in columns.values():
        column[row + 1] = column[row]
    kind[row + 1] = kind[row]


METHODS: Mapping[str, Callable[[dict[str, Texts], Texts, int, np.random.Generator], None]] = {
    "broken": _break,
    "shifted": _shift,
    "cut": _cut,
    "junk": _junk,
    "short_address": _shorten,
    "empty": _empty,
    "repeated": _repeat,
}
"""How each kind of damage is done."""
