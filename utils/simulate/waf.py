"""Web requests: labelled parameter payloads, and raw firewall events with a truth, damaged rows included.

**What is modelled.** ``payloads`` are distinct parameter values of :mod:`utils.simulate.waf_payloads`: benign ones and
13 attack families, split two to one into training and test within each family. ``events`` are rows of a web
application firewall by :mod:`utils.simulate.waf_events`: who asked, with which agent, how much, what came back, and
which variable matched a rule; benign requests match rules too. The two tables share the grammar, not the values.

**What it is calibrated on.** Payloads: shares of the classes and quantiles of the lengths of HttpParamsDataset. Events:
counts and rates that ML-PT documents of its 57,845 raw rows (response codes, sources and names of variables,
multi-valued fields, agents, heavy clients, nulls, damage, repetitions).

**What it does not model.** Anything that needs the application: whether an attack worked, sessions, order and time;
attack strings beyond the grammar, languages beyond Spanish-looking words and English. Some benign values are longer
than the real ones (JSON, tokens, code), so that length alone does not separate the classes as it does there.
"""

from functools import partial

import numpy as np
import polars as pl

from utils.simulate.draws import apportion, check_size
from utils.simulate.grammar import Generator
from utils.simulate.waf_events import simulate_events
from utils.simulate.waf_payloads import FAMILIES, attacks, benign, form_fields

VERSION = 1
"""Part of the digest of what is made: raise it whenever the same seed makes something else."""

PAYLOAD_ATTACK_SHARE = 11_763 / 31_067
"""Share of attacks among the payloads, as in HttpParamsDataset."""
FAMILY_SHARES = {
    "sqli": 0.800,
    "xss": 0.060,
    "path-traversal": 0.036,
    "cmdi": 0.020,
    **dict.fromkeys(FAMILIES[4:], 0.084 / 9),
}
"""Shares among the attacks. Real: sqli .923, xss .045, path-traversal .025, cmdi .008, no others."""
TRAIN_SHARE = 2 / 3
NORM, ANOM = "norm", "anom"
PATH_END = r"(?:etc|var|usr|home|root|proc|app|boot|windows|winnt|inetpub|users)[^%]*$"
"""The file at the end of a path."""
WRONG_LENGTHS, BROKEN_LINES, PLACEHOLDERS = 0.028, 2 / 89, 0.7
"""Flawed runs: shares of xss rows with a wrong length, of cmdi rows that hold the rest of a CSV line, and of
path-traversal rows in which the file is a placeholder."""


def simulate(size: int, seed: int, *, defects: bool = False) -> dict[str, pl.DataFrame]:
    """Simulate payloads and firewall events.

    Args:
        size: number of events; there are half as many payloads (at least one).
        seed: equal seeds give equal frames.
        defects: plant flaws of the real files and leaks. Benign payloads are single form fields, hence short; all are
            in lower case; lengths of some ``xss`` rows are wrong, some ``cmdi`` rows hold the rest of a broken CSV
            line, most files in ``path-traversal`` rows are the word ``{file}``, and texts that become equal stand once.
            Attack events come from addresses of their own with agents of tools, and nothing else comes from there.

    Returns:
        ``payloads`` (payload, length in characters, attack_type, label, split) and ``events`` (the eight raw columns as
        String, damaged rows included, and ``anomaly_type``).

    Raises:
        DataError: if ``size`` is below 1.
    """
    check_size(size, "event")
    rng = np.random.default_rng(seed)
    payloads = _payloads(max(size // 2, 1), rng, form_fields if defects else benign)
    return {
        "payloads": _flawed(payloads, rng) if defects else payloads,
        "events": simulate_events(size, rng, leaks=defects),
    }


def _payloads(count: int, rng: np.random.Generator, ordinary: Generator) -> pl.DataFrame:
    """Distinct payloads of all classes in random order."""
    shares = [1 - PAYLOAD_ATTACK_SHARE, *(PAYLOAD_ATTACK_SHARE * share for share in FAMILY_SHARES.values())]
    seen: set[str] = set()
    rows = []
    for kind, wanted in zip((NORM, *FAMILY_SHARES), apportion(count, shares).tolist(), strict=True):
        texts = _distinct(ordinary if kind == NORM else partial(attacks, kind), wanted, seen, rng)
        first = rng.permutation(wanted) < round(TRAIN_SHARE * wanted)
        rows += list(zip(texts, [kind] * wanted, np.where(first, "train", "test").tolist(), strict=True))
    schema = {"payload": pl.String, "attack_type": pl.String, "split": pl.String}
    table = pl.DataFrame(rows, schema=schema, orient="row")
    label = pl.when(pl.col("attack_type") == NORM).then(pl.lit(NORM)).otherwise(pl.lit(ANOM)).alias("label")
    length = pl.col("payload").str.len_chars().cast(pl.Int64).alias("length")
    return table.select("payload", length, "attack_type", label, "split")[rng.permutation(count)]


def _distinct(draw: Generator, wanted: int, seen: set[str], rng: np.random.Generator) -> list[str]:
    """Draw until there are enough texts that no class has yet."""
    found: list[str] = []
    while len(found) < wanted:
        missing = wanted - len(found)
        fresh = [text for text in dict.fromkeys(draw(rng, missing + missing // 10 + 4)) if text not in seen]
        seen.update(fresh[:missing])
        found += fresh[:missing]
    return found


def _flawed(payloads: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """The payloads as the real file has them: lower case, placeholders, broken lines, some wrong lengths."""
    kind, text = pl.col("attack_type"), pl.col("payload").str.to_lowercase()
    draw = pl.Series(rng.random(payloads.height))
    chosen = payloads.with_columns(draw.alias("draw")).with_columns(
        pl.when((kind == "path-traversal") & (pl.col("draw") < PLACEHOLDERS))
        .then(text.str.replace(PATH_END, "{file}"))
        .when((kind == "cmdi") & (pl.col("draw") < BROKEN_LINES))
        .then(pl.format('{}",{},cmdi,anom {}"', text, pl.col("length"), text))
        .otherwise(text)
        .alias("payload")
    )
    wrong = (kind == "xss") & (pl.col("draw") < WRONG_LENGTHS)
    length = pl.col("payload").str.len_chars().cast(pl.Int64) + wrong.cast(pl.Int64)
    return chosen.with_columns(length.alias("length")).drop("draw").unique("payload", keep="first", maintain_order=True)
