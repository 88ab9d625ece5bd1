"""Grammar of request parameter values: what people type and programs send, and what attackers put there.

Attack families are grammars with slots and then disguises (URL encoding once or twice, mixed case, comments or control
characters for spaces), so that no list of known strings is needed: ``sqli`` (boolean, union, error, time, stacked),
``xss``, ``path-traversal``, ``cmdi``, ``ssi``, ``xxe``, ``ldap``, ``nosqli``, ``crlf``, ``ssti``, ``rfi``, ``ssrf``,
``log4shell``. Benign values have the shapes of a Spanish web shop (names, addresses, mails, document numbers) and of
today's applications (JSON, tokens, paths, addresses of pages), with hard negatives: SQL words in plain English, code in
questions about code, markup in articles, relative paths, quotes in names.
"""

from collections.abc import Mapping

import numpy as np
import polars as pl

from utils.simulate.grammar import Grammar, Texts, words
from utils.simulate.waf_grammar import GENERATORS, RULES

GRAMMAR = Grammar(RULES, GENERATORS)

FAMILIES = (
    *("sqli", "xss", "path-traversal", "cmdi"),
    *("ssi", "xxe", "ldap", "nosqli", "crlf", "ssti", "rfi", "ssrf", "log4shell"),
)
"""Attack families, the four of the real payload file first."""

SQL_WORDS = ("select", "union", "from", "where", "and", "or", "order by", "sleep", "concat", "case", "when", "char")
URL_CODES = {
    "%": "%25",
    " ": "%20",
    "'": "%27",
    '"': "%22",
    "<": "%3C",
    ">": "%3E",
    "(": "%28",
    ")": "%29",
    "=": "%3D",
    "/": "%2F",
    "\\": "%5C",
    ";": "%3B",
    "|": "%7C",
    "&": "%26",
    "#": "%23",
    "{": "%7B",
    "}": "%7D",
    ",": "%2C",
    ":": "%3A",
    "`": "%60",
    "\n": "%0A",
}
DISGUISES: Mapping[str, float] = {
    "none": 0.66,
    "url": 0.13,
    "double-url": 0.03,
    "plus": 0.05,
    "upper": 0.04,
    "mixed": 0.04,
    "comments": 0.03,
    "whitespace": 0.02,
}
"""Shares of attack payloads by disguise."""
BENIGN_ENCODINGS: Mapping[str, float] = {"none": 0.93, "url": 0.03, "plus": 0.02, "upper": 0.02}
"""Shares of benign values that arrive encoded or in capitals."""


def attacks(family: str, rng: np.random.Generator, count: int) -> Texts:
    """Draw attack payloads of a family, some of them disguised.

    Raises:
        KeyError: if there is no such family.
    """
    return disguised(GRAMMAR.expand(family, count, rng), DISGUISES, rng)


def benign(rng: np.random.Generator, count: int) -> Texts:
    """Draw values of ordinary parameters, a few of them encoded."""
    return disguised(GRAMMAR.expand("norm", count, rng), BENIGN_ENCODINGS, rng)


def form_fields(rng: np.random.Generator, count: int) -> Texts:
    """Draw values of single form fields only: names, numbers, addresses, mails, passwords."""
    return GRAMMAR.expand("form", count, rng)


def disguised(texts: Texts, shares: Mapping[str, float], rng: np.random.Generator) -> Texts:
    """Encode or respell some texts, each by at most one method."""
    names = list(shares)
    drawn = rng.choice(len(names), size=len(texts), p=np.array(list(shares.values())))
    texts = texts.copy()
    for at, name in enumerate(names):
        rows = np.flatnonzero(drawn == at)
        if name != "none" and len(rows):
            texts[rows] = words(_respelled(pl.Series(texts[rows], dtype=pl.String), name, rng).to_list())
    return texts


def _respelled(texts: pl.Series, method: str, rng: np.random.Generator) -> pl.Series:
    encoded = texts.str.replace_many(list(URL_CODES), list(URL_CODES.values()))
    if method == "url":
        return encoded
    if method == "double-url":
        return encoded.str.replace_all("%", "%25", literal=True)
    if method == "upper":
        return texts.str.to_uppercase()
    if method == "mixed":
        return texts.str.replace_many(list(SQL_WORDS), [_mixed(word, rng) for word in SQL_WORDS])
    space = {"plus": "+", "comments": "/**/", "whitespace": rng.choice(["%09", "%0a", "\t", "  "])}[method]
    return texts.str.replace_all(" ", str(space), literal=True)


def _mixed(word: str, rng: np.random.Generator) -> str:
    upper = rng.random(len(word)) < 0.5
    return "".join(letter.upper() if up else letter for letter, up in zip(word, upper, strict=True))
