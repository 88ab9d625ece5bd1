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
from utils.simulate.draws import apportion, check_size, pick
from utils.simulate.grammar import Alternatives, Grammar, Texts, constant, words
from utils.simulate.waf_payloads import FAMILIES, URL_CODES

VERSION = 1
"""Raise it whenever the same seed makes something else."""


def _forms(name: str, alternatives: Alternatives) -> dict[str, float]:
    """Each alternative of a rule as a rule of its own: their names and weights."""
    weights = alternatives.values() if isinstance(alternatives, Mapping) else [1.0] * len(alternatives)
    return {f"{name} {place}": weight for place, weight in enumerate(weights)}


def _alone(name: str, alternatives: Alternatives) -> dict[str, Alternatives]:
    return {f"{name} {place}": (text,) for place, text in enumerate(alternatives)}


BENIGN_FORMS = {kind: _forms(kind, rules) for kind, rules in payload_negatives.KINDS.items()}
ATTACK_FORMS = {family: _forms(family, payload_attacks.RULES[family]) for family in FAMILIES}
BENIGN = Grammar(
    waf_grammar.RULES
    | payload_negatives.RULES
    | {name: rule for kind, rules in payload_negatives.KINDS.items() for name, rule in _alone(kind, rules).items()},
    waf_grammar.GENERATORS | payload_negatives.GENERATORS,
)
ATTACKS = Grammar(
    waf_grammar.RULES
    | {name: rule for name, rule in payload_attacks.RULES.items() if name not in FAMILIES}
    | {name: rule for family in FAMILIES for name, rule in _alone(family, payload_attacks.RULES[family]).items()},
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
ATTACK_SHARE = 0.45
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


def benign(kind: str, rng: np.random.Generator, count: int) -> pl.DataFrame:
    """Draw benign texts of a kind, some in capitals or encoded as a form sends them.

    Args:
        kind: one of :data:`KINDS`.
        rng: source of randomness.
        count: number of texts.

    Returns:
        ``payload`` and ``form`` (the alternative of the grammar that it follows), ``count`` rows.

    Raises:
        KeyError: if there is no such kind.
    """
    return _drawn(BENIGN, BENIGN_FORMS[kind], BENIGN_DISGUISES, rng, count)


def attacks(family: str, rng: np.random.Generator, count: int) -> pl.DataFrame:
    """Draw attacks of a family in many dialects, some of them disguised.

    Args:
        family: one of :data:`utils.simulate.waf_payloads.FAMILIES`.
        rng: source of randomness.
        count: number of texts.

    Returns:
        ``payload`` and ``form``, ``count`` rows.

    Raises:
        KeyError: if there is no such family.
    """
    return _drawn(ATTACKS, ATTACK_FORMS[family], ATTACK_DISGUISES, rng, count)


def simulate(size: int, seed: int) -> pl.DataFrame:
    """Simulate distinct texts of all kinds, and of all families.

    Args:
        size: number of texts before repetitions are dropped.
        seed: equal seeds give equal frames.

    Returns:
        ``payload``, ``family`` (``"normal"`` or the attack family), ``kind`` (the kind of benign text, or
        the family) and ``form`` (the alternative of the grammar).

    Raises:
        DataError: if ``size`` is below 1.
    """
    check_size(size, "text")
    rng = np.random.default_rng(seed)
    hostile = round(size * ATTACK_SHARE)
    parts = [
        _part(benign(kind, rng, count), "normal", kind)
        for kind, count in zip(
            KINDS,
            apportion(size - hostile, [payload_negatives.SHARES.get(kind, 1.0) for kind in KINDS]).tolist(),
            strict=True,
        )
    ]
    counts = apportion(hostile, list(FAMILY_SHARES.values())).tolist()
    parts += [
        _part(attacks(family, rng, count), family, family) for family, count in zip(FAMILY_SHARES, counts, strict=True)
    ]
    return pl.concat(parts).unique("payload", keep="first", maintain_order=True)


def _part(texts: pl.DataFrame, family: str, kind: str) -> pl.DataFrame:
    return texts.with_columns(family=pl.lit(family), kind=pl.lit(kind))


def _drawn(
    grammar: Grammar, forms: Mapping[str, float], disguises: Mapping[str, float], rng: np.random.Generator, count: int
) -> pl.DataFrame:
    """Draw texts of several forms, with probabilities in proportion to the weights of the forms."""
    chosen = pick(rng, forms, count)
    texts = constant("", count)
    for form in forms:
        rows = np.flatnonzero(chosen == form)
        if len(rows):
            texts[rows] = grammar.expand(form, len(rows), rng)
    payload = pl.Series("payload", _disguised(texts, disguises, rng).tolist(), dtype=pl.String)
    return pl.DataFrame({"payload": payload, "form": pl.Series(chosen.tolist(), dtype=pl.String)})


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
