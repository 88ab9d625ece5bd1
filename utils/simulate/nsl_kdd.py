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

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from utils.datasets.contract import NORMAL
from utils.simulate.draws import Floats, apportion, check_size, pick, quantiles, whole
from utils.simulate.nsl_kdd_manners import DRIFT, MANNERS, MIX, Manner

VERSION = 1
"""Part of the digest of what is made: raise it whenever the same seed makes something else."""

Columns = dict[str, Any]
Texts = npt.NDArray[np.str_]

TEST_SHARE = 0.15
WINDOW, HOST_WINDOW = 511, 255
"""Largest counts of connections in the last two seconds, and among the last ones of a host."""

LEARNERS = 21
TWINS_OF_TRAIN, TWINS_THAT_DISAGREE = 664 / 22_544, 51 / 664
"""Flaws of the real files: test rows that equal a training row, and the share of them under another label."""

REPEATS = {"train": 16 / 125_973, "test": 57 / 22_544}
"""Flaws of the real files: rows that repeat an earlier one of their part."""

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
    frame = pl.concat(made) if made else _connections(rng, NORMAL, "browsing", 0, split)
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
    if attack == NORMAL and split == "test":
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
    other = pl.when(pl.col("attack") == NORMAL).then(pl.lit("snmpgetattack")).otherwise(pl.lit(NORMAL))
    twins = twins.with_columns(attack=pl.when(disagree).then(other).otherwise("attack"))
    test = pl.concat([test[n:], twins]) if n else test
    return {"train": _repeat_rows(rng, train, "train"), "test": _repeat_rows(rng, test, "test")}


def _repeat_rows(rng: np.random.Generator, part: pl.DataFrame, split: str) -> pl.DataFrame:
    """Overwrite a few rows by copies of others and mix the order."""
    n = min(max(1, round(len(part) * REPEATS[split])), len(part) // 2)
    return pl.concat([part[n:], part[n : 2 * n]])[rng.permutation(len(part))]
