"""What a stream of events far beyond one machine needs: arithmetic from what was measured and from named assumptions.

Nothing here was run at that size. Each line says how it is computed, so that it can be done again with other numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from benchmarks.registry import Row, from_record, power_law

DAY = 86_400
MONTH = 30 * DAY


@dataclass(frozen=True)
class Assumed:
    """What is not measured here; each is a choice or a price, to be replaced by one's own."""

    events_a_second: float = 1e6
    peak: float = 3.0
    busy: float = 0.6
    cores: float = 32
    memory_gb: float = 128
    network_gbit: float = 10
    asked_online: float = 0.05
    raw_days: float = 30
    parsed_days: float = 365
    entry_bytes: float = 64
    part_mb: float = 256
    features: float = 40
    bins: float = 64
    members: float = 3
    epochs: float = 60
    windows_times: float = 100
    core_hour: float = 0.04
    gb_month: float = 0.023


MEANING = {
    "events_a_second": "events a second, mean of a day",
    "peak": "busiest second against the mean",
    "busy": "share of a core that is used at the peak",
    "cores": "cores of a machine",
    "memory_gb": "memory of a machine, GB",
    "network_gbit": "network of a machine, Gbit/s",
    "asked_online": "share of events that are also asked of the service, one by one",
    "raw_days": "days that raw text is kept, packed",
    "parsed_days": "days that parsed lines are kept",
    "entry_bytes": "bytes of an entry in the table of distinct sessions: key, count, score, first seen",
    "part_mb": "MB of raw text in a part",
    "features": "features that drift is watched on",
    "bins": "bins of a feature",
    "members": "networks in an ensemble",
    "epochs": "epochs of a training",
    "windows_times": "distinct windows against those of the benchmark",
    "core_hour": "price of a core for an hour, $",
    "gb_month": "price of a GB for a month, $",
}


class Measured(NamedTuple):
    """What the plan takes from the results, in seconds and bytes of one core and one item.

    Attributes:
        line: CPU seconds of a raw line, to its place in a session, through parts on disk.
        session: CPU seconds of a session's score.
        request: CPU seconds of the dearest model's answer to one event.
        epoch: CPU seconds of an epoch on distinct windows.
        raw_bytes: of a line.
        gzip_bytes: of a line.
        parsed_bytes: of a line, in Parquet.
        session_bytes: of a session, in Parquet.
        lines: of a session.
        distinct: factor and exponent of the number of distinct sessions.
    """

    line: float
    session: float
    request: float
    epoch: float
    raw_bytes: float
    gzip_bytes: float
    parsed_bytes: float
    session_bytes: float
    lines: float
    distinct: tuple[float, float]


class Need(NamedTuple):
    """One line of the plan.

    Attributes:
        what: is needed.
        value: how much, in the unit.
        unit: of the value.
        how: it is computed, in words.
    """

    what: str
    value: float
    unit: str
    how: str


class Limit(NamedTuple):
    """Where something ends.

    Attributes:
        what: ends.
        events: a second at which it does.
        remedy: what is done then.
    """

    what: str
    events: float
    remedy: str


def measured(records: Sequence[Mapping[str, Any]]) -> Measured:
    """Take from results what the plan needs.

    Raises:
        RuntimeError: if a case was not measured.
    """
    lines, sessions = _row(records, "log_parts"), _row(records, "growth_next_event")

    def number(name: str, title: str) -> float:
        return float(_row(records, name, title).ours or 0)

    requests = [float(row["ours"]) for row in records if row["name"] == "serving_throughput" and row["ours"]]
    if not requests:
        raise _missing("serving_throughput")
    return Measured(
        line=_each(lines),
        session=_each(sessions),
        request=max(requests),
        epoch=number("next_event_training", ""),
        raw_bytes=number("storage", "bytes of a raw line"),
        gzip_bytes=number("storage", "bytes of a raw line, gzip"),
        parsed_bytes=number("storage", "bytes of a parsed line, Parquet"),
        session_bytes=number("storage", "bytes of a session, Parquet"),
        lines=number("distinct_sessions", "events of a session"),
        distinct=power_law(_row(records, "distinct_sessions", "sequences of HDFS sessions").points),
    )


def needs(known: Measured, given: Assumed) -> list[Need]:
    """What the stream needs of each resource, and what it costs."""
    events, top = given.events_a_second, given.events_a_second * given.peak
    sessions = events / known.lines
    parsing, scoring = top * known.line / given.busy, top / known.lines * known.session / given.busy
    serving = top * given.asked_online * known.request / given.busy
    training = known.epoch * given.windows_times * given.epochs * given.members
    machines = _machines(parsing + scoring + serving, given)
    factor, power = known.distinct
    distinct = factor * (sessions * DAY) ** power
    raw = events * known.gzip_bytes * given.raw_days * DAY / 1e9
    parsed = (events * known.parsed_bytes + sessions * known.session_bytes) * given.parsed_days * DAY / 1e9
    cores_paid = (parsing + scoring + serving) * MONTH / 3600 * given.core_hour
    return [
        Need("events a day", events * DAY, "", "events a second x 86,400"),
        Need("raw text, in", top * known.raw_bytes * 8 / 1e9, "Gbit/s", "peak x bytes of a raw line x 8"),
        Need("cores: lines to sessions", parsing, "cores", "peak x CPU s of a line / used"),
        Need("cores: scores of sessions", scoring, "cores", "peak / lines of a session x CPU s of a score / used"),
        Need("cores: single questions", serving, "cores", "peak x asked share x CPU s of the dearest answer / used"),
        Need("machines", machines, "", "all cores / cores of a machine, rounded up, and one to spare"),
        Need("parts of raw text", events * known.raw_bytes / (given.part_mb * 1e6), "parts/s", "bytes a second / part"),
        Need("shuffle of sessions", top * known.parsed_bytes * 8 / 1e9, "Gbit/s",
             "peak x bytes of a parsed line x 8; by hash of the session's name, all machines together"),
        Need("raw text kept, gzip", raw / 1e3, "TB", "events x packed bytes x days"),
        Need("lines and sessions kept, Parquet", parsed / 1e3, "TB", "(lines x bytes + sessions x bytes) x days"),
        Need("sessions a day", sessions * DAY, "", "events / lines of a session"),
        Need("distinct sessions after a day", distinct, "", f"{factor:.2g} x sessions ^ {power:.2f}"),
        Need("their table", distinct * given.entry_bytes / 1e9, "GB", "distinct sessions x bytes of an entry"),
        Need("training, each time", training / 3600, "core hours", "epoch x distinct windows x epochs x members"),
        Need("drift counts of a replica", given.features * given.bins * 8 / 1e3, "kB",
             "features x bins x 8 bytes; sums of replicas are exact, whatever their order"),
        Need("cores, a month", cores_paid, "$", "cores x hours x price; paid for the peak all month"),
        Need("storage, a month", (raw + parsed) * given.gb_month, "$", "GB x price"),
    ]  # fmt: skip


def limits(known: Measured, given: Assumed) -> list[Limit]:
    """What ends first, by events a second."""
    used = given.busy / given.peak
    hash_table = (given.memory_gb * 1e9 / 2 / given.entry_bytes / known.distinct[0]) ** (1 / known.distinct[1])
    found = [
        Limit("one core of the service, every event asked", used / known.request, "more replicas: they share nothing"),
        Limit("one core that turns lines into sessions", used / known.line, "more processes on the machine"),
        Limit("one core that scores sessions", used * known.lines / known.session, "more processes on the machine"),
        Limit("all cores of one machine, lines to sessions", given.cores * used / known.line,
              "a cluster: parts by name of the file, then by hash of the session"),
        Limit("network of one machine, raw text", given.network_gbit * 1e9 / 8 / known.raw_bytes / given.peak,
              "parse where the lines are written, and send parsed parts"),
        Limit("network of one machine, parsed lines", given.network_gbit * 1e9 / 8 / known.parsed_bytes / given.peak,
              "shuffle between more machines"),
        Limit("table of a day's distinct sessions in half a machine's memory", hash_table * known.lines / DAY,
              "divide it by hash of the sequence, as the sessions are"),
    ]  # fmt: skip
    return sorted(found, key=lambda limit: limit.events)


def assumptions(given: Assumed) -> list[tuple[str, float]]:
    """Each assumption in words, with its value."""
    return [(MEANING[field.name], getattr(given, field.name)) for field in fields(given)]


def _machines(cores: float, given: Assumed) -> float:
    return -(-cores // given.cores) + 1


def _each(row: Row) -> float:
    """Cost of one item at the largest size."""
    last = row.points[-1]
    return last.value / last.size


def _row(records: Sequence[Mapping[str, Any]], name: str, title: str = "") -> Row:
    """The first row of a case, or that of a title, that was measured."""
    for record in records:
        if record["name"] == name and title in ("", record["case"]) and record["ours"]:
            return from_record(record)
    raise _missing(name)


def _missing(name: str) -> RuntimeError:
    return RuntimeError(f"the plan needs results of {name!r}, found none: run python -m benchmarks {name}")
