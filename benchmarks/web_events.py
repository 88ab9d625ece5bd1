"""Web event cases: the featuriser on many events and on one, traits against a loop over rows, signatures."""

import math
import re
from collections import Counter
from collections.abc import Callable
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from benchmarks.measure import in_turns
from benchmarks.registry import Bar, Row, Scale, case
from utils import settings
from utils.detectors.rules.signatures import Signatures
from utils.features.web_events import TRAITS, WebEventFeatures, canonical, decode, traits
from utils.features.web_events.decoding import DELIMITER
from utils.features.web_events.lexical import BANK, MARKS, WORDS
from utils.simulate import waf_events

EVENTS, TRAINING, LOOPED, SINGLES = 50_000, 5_000, 5_000, 1_000
DATA = "simulator"
VALUE = "MATCHED_VARIABLE_VALUE"


@case("web_events", "features")
def featurise(scale: Scale) -> list[Row]:
    """Transform many raw events at once, and one after the other; network history on, so that every column is read."""
    events = _events(min(scale.raw_lines, EVENTS))
    features = WebEventFeatures(history=True).fit(events.head(TRAINING))
    singles = [events[row] for row in range(min(SINGLES, events.height))]
    works: dict[str, Callable[[], Any]] = {
        "many": lambda: features.transform(events),
        "one by one": lambda: np.vstack([features.transform(one) for one in singles]),
    }
    cost = in_turns(works, scale.rounds)
    many, single = cost["many"], cost["one by one"]
    if not np.array_equal(many.value[: len(singles)], single.value):
        raise RuntimeError("one event must have the features that it has among many: check WebEventFeatures")
    size = f"{events.height:,} events, {many.value.shape[1]} features"
    bar = Bar("seconds", 0.002 * len(singles))
    return [
        Row("features of web events", many.median, None, Bar("seconds", 20), size, DATA, many.peak_mb),
        Row("features, event by event", single.median, None, bar, f"{len(singles):,} events", DATA, single.peak_mb),
    ]


@case("web_traits", "features")
def describe(scale: Scale) -> list[Row]:
    """Measure the values of events: distinct values in arrays against pandas apply, row by row."""
    events = _events(min(scale.raw_lines, LOOPED)).select(VALUE)
    table = events.to_pandas()
    works: dict[str, Callable[[], Any]] = {
        "ours": lambda: traits(events),
        "loop": lambda: table[VALUE].apply(traits_of_row),
    }
    cost = in_turns(works, scale.rounds)
    _require_same(cost["ours"].value, cost["loop"].value)
    size = f"{events.height:,} events, {len(TRAITS)} traits"
    ours = cost["ours"]
    loop = cost["loop"].median
    return [Row("traits of values", ours.median, loop, Bar("ratio", 10), size, DATA, ours.peak_mb, "pandas apply")]


@case("signatures", "detectors")
def match(scale: Scale) -> list[Row]:
    """Score events by their signatures, many at once and one after the other."""
    events = _events(min(scale.raw_lines, EVENTS))
    rules = Signatures().fit(events)
    singles = [events[row] for row in range(min(SINGLES, events.height))]
    works: dict[str, Callable[[], Any]] = {
        "many": lambda: rules.score_samples(events),
        "one by one": lambda: np.concatenate([rules.score_samples(one) for one in singles]),
    }
    cost = in_turns(works, scale.rounds)
    many, single = cost["many"], cost["one by one"]
    if not np.array_equal(many.value[: len(singles)], single.value):
        raise RuntimeError("one event must have the score that it has among many: check Signatures")
    size = f"{events.height:,} events"
    return [
        Row("signatures of web events", many.median, None, None, size, DATA, many.peak_mb),
        Row("signatures, event by event", single.median, None, None, f"{len(singles):,} events", DATA, single.peak_mb),
    ]


def traits_of_row(value: str | None) -> pd.Series:
    """Measure one value with loops over its characters: the way of earlier systems."""
    if not isinstance(value, str):
        return pd.Series(np.nan, index=list(TRAITS))
    decoded = decode(value.replace(DELIMITER, "\x1f"))
    data, plain = decoded.text.encode(), decoded.text
    counts = Counter(data)
    kinds = Counter(_kind(byte) for byte in data)
    runs = [(kind, len(list(run))) for kind, run in groupby(map(_kind_without_case, data))]
    found: dict[str, float] = {
        "length": len(plain),
        "n_values": value.count(DELIMITER) + 1 if value else 0,
        "n_segments": len(re.findall(r"[/\\]+(?=[^/\\])", plain)),
        "n_different": len(counts),
        "entropy": -sum(part / len(data) * math.log2(part / len(data)) for part in counts.values()),
        "longest_same_run": max((len(list(run)) for _, run in groupby(data)), default=0),
        "decode_depth": decoded.depth,
        "n_escapes": decoded.escapes,
        "odd_single_quotes": plain.count("'") % 2,
        "odd_double_quotes": plain.count('"') % 2,
        "open_parentheses": abs(plain.count("(") - plain.count(")")),
    }
    found |= {f"share_{kind}": kinds[kind] / max(len(data), 1) for kind in SHARES}
    found |= {
        f"longest_{kind}_run": max((length for of, length in runs if of == kind), default=0)
        for kind in ("digit", "letter", "special")
    }
    found |= {f"n_{name}": plain.count(mark) for name, mark in MARKS.items()}
    words = canonical(plain)
    found |= {f"n_{family}": len(pattern.findall(words)) for family, pattern in zip(WORDS, LOOP_PATTERNS, strict=True)}
    return pd.Series(found)[list(TRAITS)]


SHARES = ("lower", "upper", "digit", "space", "special", "control", "non_ascii")
LOOP_PATTERNS = BANK.compiled
"""The same patterns in Python's engine."""


def _kind(byte: int) -> str:
    letter = chr(byte)
    if byte > 127:
        return "non_ascii"
    if letter in "\t\n\r\x1f ":
        return "space"
    if byte < 32 or byte == 127:
        return "control"
    if letter.isdigit():
        return "digit"
    if letter.isalpha():
        return "upper" if letter.isupper() else "lower"
    return "special"


def _kind_without_case(byte: int) -> str:
    kind = _kind(byte)
    return "letter" if kind in ("upper", "lower") else kind


def _events(count: int) -> pl.DataFrame:
    return waf_events.simulate_events(count, np.random.default_rng(settings.SEED)).drop("anomaly_type")


def _require_same(ours: pl.DataFrame, loop: pd.DataFrame) -> None:
    """Check trait by trait.

    Raises:
        RuntimeError: if the two differ.
    """
    if not np.allclose(ours.to_numpy(), loop.to_numpy(dtype=np.float64), atol=1e-9, equal_nan=True):
        raise RuntimeError("traits must be those of the loop over rows, found others: check web_events.traits")
