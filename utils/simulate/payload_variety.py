"""Texts with more variety than simulated traffic has: benign look-alikes by kind, and attacks by family.

Traffic (:mod:`utils.simulate.waf_payloads`) is made as a site sees it: shares and lengths as measured. A detector that
shall serve another site needs the borders instead: what looks like an attack and is none, and attacks in many dialects,
positions and disguises. Nothing here is drawn in realistic shares. Each benign kind and each family stands apart, so
that kinds that were left out of the training can judge it.
"""

import re
from collections.abc import Mapping

import numpy as np
import polars as pl

from utils.simulate import payload_attacks, payload_negatives, waf_grammar
from utils.simulate.draws import apportion, check_size
from utils.simulate.grammar import Grammar, Texts, words
from utils.simulate.waf_payloads import FAMILIES, URL_CODES

VERSION = 1
"""Raise it whenever the same seed makes something else."""

BENIGN = Grammar(waf_grammar.RULES | payload_negatives.KINDS, waf_grammar.GENERATORS | payload_negatives.GENERATORS)
ATTACKS = Grammar(
    waf_grammar.RULES
    | {f"wide {family}": rules for family, rules in payload_attacks.RULES.items() if family in FAMILIES}
    | {name: rules for name, rules in payload_attacks.RULES.items() if name not in FAMILIES},
    waf_grammar.GENERATORS | payload_attacks.GENERATORS,
)
KINDS = tuple(payload_negatives.KINDS)
"""Kinds of benign texts."""
FAMILY_SHARES: Mapping[str, float] = {
    "sqli": 0.44,
    "xss": 0.24,
    "path-traversal": 0.11,
    "cmdi": 0.10,
    **dict.fromkeys(FAMILIES[4:], 0.11 / 9),
}
KEYWORD = re.compile(r"[A-Za-z]{2,}")
SPACES = ("/**/", "+", "%20", "\t", "\n", "%0a", "%09", "  ", "%0b", "/*x*/")
ATTACK_DISGUISES: Mapping[str, float] = {
    "none": 0.58,
    "upper": 0.07,
    "mixed": 0.08,
    "url": 0.08,
    "url twice": 0.03,
    "url all": 0.03,
    "spaces": 0.08,
    "entities": 0.02,
    "code points": 0.01,
    "tail": 0.02,
}
BENIGN_DISGUISES: Mapping[str, float] = {
    "none": 0.66,
    "upper": 0.13,
    "title": 0.05,
    "url": 0.08,
    "plus": 0.06,
    "entities": 0.02,
}


def benign(kind: str, rng: np.random.Generator, count: int) -> Texts:
    """Draw benign texts of a kind, some in capitals or encoded as a form sends them.

    Raises:
        KeyError: if there is no such kind.
    """
    return _disguised(BENIGN.expand(kind, count, rng), BENIGN_DISGUISES, rng)


def attacks(family: str, rng: np.random.Generator, count: int) -> Texts:
    """Draw attacks of a family in many dialects, some of them disguised.

    Raises:
        KeyError: if there is no such family.
    """
    return _disguised(ATTACKS.expand(f"wide {family}", count, rng), ATTACK_DISGUISES, rng)


def simulate(size: int, seed: int, *, attack_share: float = 0.45) -> pl.DataFrame:
    """Simulate distinct texts of all kinds, equally many of each, and of all families.

    Args:
        size: number of texts before repetitions are dropped.
        seed: equal seeds give equal frames.
        attack_share: share of attacks.

    Returns:
        ``payload``, ``family`` (``"normal"`` or the attack family) and ``kind`` (the kind of benign text, or
        the family).

    Raises:
        DataError: if ``size`` is below 1.
    """
    check_size(size, "text")
    rng = np.random.default_rng(seed)
    hostile = round(size * attack_share)
    parts = [
        _part(benign(kind, rng, count), "normal", kind)
        for kind, count in zip(KINDS, apportion(size - hostile, np.ones(len(KINDS))).tolist(), strict=True)
    ]
    counts = apportion(hostile, list(FAMILY_SHARES.values())).tolist()
    parts += [
        _part(attacks(family, rng, count), family, family) for family, count in zip(FAMILY_SHARES, counts, strict=True)
    ]
    return pl.concat(parts).unique("payload", keep="first", maintain_order=True)


def _part(texts: Texts, family: str, kind: str) -> pl.DataFrame:
    column = pl.Series("payload", texts.tolist(), dtype=pl.String)
    return pl.DataFrame({"payload": column}).with_columns(family=pl.lit(family), kind=pl.lit(kind))


def _disguised(texts: Texts, shares: Mapping[str, float], rng: np.random.Generator) -> Texts:
    names, weights = list(shares), np.array(list(shares.values()))
    drawn = rng.choice(len(names), size=len(texts), p=weights / weights.sum())
    return words([_respelled(str(text), names[way], rng) for text, way in zip(texts, drawn.tolist(), strict=True)])


def _respelled(text: str, way: str, rng: np.random.Generator) -> str:
    """Write a text another way that some reader of it undoes."""
    if way == "upper":
        return text.upper()
    if way == "title":
        return text.title()
    if way == "mixed":
        return KEYWORD.sub(lambda found: _mixed(found[0], rng), text)
    if way == "spaces":
        return text.replace(" ", str(rng.choice(SPACES)))
    if way == "plus":
        return text.replace("+", "%2B").replace(" ", "+")
    if way == "tail":
        return f"{text}{rng.choice(['%00', ' ', '%20', '&', '%0a', ';'])}"
    return _encoded(text, way)


def _encoded(text: str, way: str) -> str:
    if way == "url all":
        return "".join(f"%{byte:02x}" for byte in text.encode("utf-8", "replace"))
    if way == "entities":
        return "".join(f"&#{ord(letter)};" if letter in "<>'\"()" else letter for letter in text)
    if way == "code points":
        return "".join(f"%u{ord(letter):04x}" if letter in "<>'\"()./\\" else letter for letter in text)
    if way in ("url", "url twice"):
        once = "".join(URL_CODES.get(letter, letter) for letter in text)
        return once.replace("%", "%25") if way == "url twice" else once
    return text


def _mixed(word: str, rng: np.random.Generator) -> str:
    upper = rng.random(len(word)) < 0.5
    return "".join(letter.upper() if up else letter.lower() for letter, up in zip(word, upper, strict=True))
