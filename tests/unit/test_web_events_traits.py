"""Traits of web events: decoding, characters, runs, words, agents; and that both engines of patterns agree."""

import itertools
import math
import re
from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.detectors.rules.signatures import AGENT_FAMILIES, FAMILIES
from utils.features.web_events import (
    TRAITS,
    agents,
    bytewise,
    canonical,
    decode,
    lexical,
    needs,
    ngrams,
    patterns,
    traits,
)
from utils.simulate import waf_events

ODD = [
    "",
    " ",
    "a",
    "\0",
    "🙂🙂",
    "ñandú",
    "\r\n",
    "%",
    "%zz",
    "&#x110000;",
    "\\ud800",
    "%c0%ae%c0%ae/",
    "'\"`",
    "+" * 30,
]


@pytest.mark.parametrize(
    ("text", "plain", "depth", "escapes"),
    [
        ("plain", "plain", 0, 0),
        ("%2e%2E%2f", "../", 1, 3),
        ("%252e%252e%252f", "../", 2, 3),
        ("%25252525252e", "%252e", 4, 1),
        ("%u002e%u002E/", "../", 1, 0),
        ("%c0%ae%c0%af", "./", 1, 4),
        ("%e0%80%af", "/", 1, 3),
        ("%d1ame", "Ñame", 1, 1),
        ("%c3%b1", "ñ", 1, 2),
        ("&lt;script&#62;&#x27;", "<script>'", 1, 0),
        (r"\x3cscript\u003e\u{41}", "<script>A", 1, 0),
        ("%26lt%3Bb", "<b", 1, 2),
        (r"{\"a\": 1}", '{"a": 1}', 0, 0),
        ("100% sure & quiet", "100% sure & quiet", 0, 0),
        (r"\ud800", "\ufffd", 1, 0),
        ("&#xd800;x", "\ufffdx", 1, 0),
        (r"\u{ffffff}", "\ufffd", 1, 0),
    ],
)
def test_escapes_are_undone(text, plain, depth, escapes):
    assert decode(text) == (plain, depth, escapes)


@given(st.text(st.sampled_from("%&#x;u\\2e5cfdAz09{}'\"+ é🙂<"), max_size=60))
@settings(deadline=None)
def test_decoding_is_bounded(text):
    found = decode(text)
    assert len(found.text) <= len(text)
    assert 0 <= found.depth <= 4
    assert found.text.encode().decode() == found.text


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("UNION/**/SELECT", "union select"),
        ("/*!50000UNION*/ SELECT", " union select"),
        ("un\0ion", "union"),
        ("a\t \x0b b", "a b"),
        ("a \r\n b", "a\nb"),
        ("a+or+1=1", "a or 1=1"),
        ("31+579", "31+579"),
        ("a + b", "a + b"),
        ("abc", "abc"),
    ],
)
def test_canonical_text(text, plain):
    assert canonical(text) == plain


@given(st.lists(st.text(max_size=30) | st.none(), max_size=60))
@settings(deadline=None)
def test_characters_are_counted_as_a_loop_counts_them(values):
    table = pl.DataFrame(lexical.measure(values), schema=list(TRAITS))
    for value, row in zip(values, table.iter_rows(named=True), strict=True):
        if value is None:
            assert all(math.isnan(number) for number in row.values())
            continue
        plain = decode(value).text
        data = plain.encode()
        share = {kind: number / len(data) for kind, number in Counter(data).items()}
        runs = [len(run) for run in _runs(data, lambda byte: byte)]
        assert row["length"] == len(plain)
        assert row["n_different"] == len(share)
        assert row["entropy"] == pytest.approx(-sum(part * math.log2(part) for part in share.values()), abs=1e-9)
        assert row["n_single_quotes"] == plain.count("'")
        assert row["longest_same_run"] == max(runs, default=0)
        digits = [len(run) for run in _runs(data, lambda byte: 48 <= byte < 58) if 48 <= run[0] < 58]
        assert row["longest_digit_run"] == max(digits, default=0)
        assert sum(row[name] for name in lexical.SHARES) == pytest.approx(1.0 if data else 0.0)


def _runs(data, key):
    runs = []
    for byte in data:
        if runs and key(runs[-1][-1]) == key(byte):
            runs[-1].append(byte)
        else:
            runs.append([byte])
    return runs


def test_runs_segments_and_balance():
    table = traits(pl.DataFrame({"payload": ["/a/b\\c//d", "ab123;;;;x", "f((x)", "it's", r"1\';\'2\';\'3"]}))
    assert table["payload.n_segments"].to_list() == [4, 0, 0, 0, 0]
    assert table["payload.longest_digit_run"].to_list() == [0, 3, 0, 0, 1]
    assert table["payload.longest_letter_run"].to_list() == [1, 2, 1, 2, 0]
    assert table["payload.longest_special_run"].to_list() == [2, 4, 2, 1, 0]
    assert table["payload.open_parentheses"].to_list() == [0, 0, 1, 0, 0]
    assert table["payload.odd_single_quotes"].to_list() == [0, 0, 0, 1, 0]
    assert table["payload.n_values"].to_list() == [1, 1, 1, 1, 3]


@pytest.mark.parametrize(
    ("family", "text"),
    [
        ("traversals", "..%2f..%5c"),
        ("sql_verbs", "1 UNION/**/SELECT 2"),
        ("sql_functions", "concat(1,2)"),
        ("sql_catalogues", "information_schema"),
        ("comparisons", "1=1"),
        ("comment_marks", "x'--"),
        ("tags", "&lt;b"),
        ("scripts", "java\\x73cript:alert(1)"),
        ("handlers", "x onload=1"),
        ("files", "/etc/passwd"),
        ("commands", ";ls"),
        ("code", "{{7*7}}"),
        ("addresses", "http://a"),
        ("line_breaks", "a%0d%0ab"),
    ],
)
def test_words_are_counted_in_decoded_text(family, text):
    table = traits(pl.DataFrame({"payload": [text, "plain words of someone"]}))
    assert table[f"payload.n_{family}"].to_list()[0] >= 1
    assert table[f"payload.n_{family}"].to_list()[1] == 0


def test_traits_are_those_of_each_row_alone():
    events = waf_events.simulate_events(300, np.random.default_rng(5))
    whole = traits(events)
    alone = pl.concat([traits(events[row]) for row in range(0, 300, 6)])
    assert whole[::6].equals(alone)
    assert whole.height == 300
    assert traits(events.clear()).schema == whole.schema


def test_missing_values_have_no_traits():
    frame = pl.DataFrame(
        {"payload": [None, "a"], "agent": ["x/1", None], "size": ["junk", "3"], "status": ["200", "9"]},
        schema_overrides={"payload": pl.String},
    )
    table = traits(frame)
    assert table["payload.length"].to_list() == [None, 1]
    assert table["agent.valid"].to_list() == [1, None]
    assert table["size.log"].to_list() == [None, pytest.approx(math.log(4))]
    assert table["status.class"].to_list() == [2, None]
    nothing = traits(pl.DataFrame({"payload": [None, None]}))
    assert nothing.null_count().sum_horizontal().item() == 2 * len(TRAITS)


def test_odd_texts_and_a_large_one():
    table = traits(pl.DataFrame({"payload": [*ODD, "%25' or 1=1 <a " * 70_000]}))
    assert table.height == len(ODD) + 1
    assert table.null_count().sum_horizontal().item() == 0
    assert table.select(pl.all().is_finite().all()).row(0) == (True,) * table.width


@pytest.mark.parametrize(
    ("agent", "valid"),
    [
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/1.0 Safari/537",
            True,
        ),
        ("Mozilla/5.0 (Linux; Android 6; X (Y) Build) like Gecko", True),
        ("curl/7.1", True),
        ("WordPress/4.6; http://a.example", True),
        ("Mozilla", False),
        ("Mozilla/5.0 (X11; Linux", False),
        ("() { :;}; /bin/id", False),
        (" curl/7.1", False),
        ("-", False),
        ("", False),
        ("a/" + "b" * 5000, False),
        (None, None),
    ],
)
def test_agents_are_well_formed_or_not(agent, valid):
    assert agents.is_valid(agent) is valid


def test_agents_of_kinds():
    table = pl.DataFrame(agents.measure(["sqlmap/1.0", "Mozilla/5.0 (iPhone) bot", None]), schema=list(agents.NAMES))
    assert table["scanner"].to_list()[:2] == [1, 0]
    assert table["browser"].to_list()[:2] == [0, 1]
    assert table["mobile"].to_list()[:2] == [0, 1]
    assert table["bot"].to_list()[:2] == [0, 1]
    assert all(math.isnan(number) for number in table.row(2))


def every_pattern():
    listed = [*lexical.WORDS.values(), *agents.WORDS.values()]
    tables = (*FAMILIES.values(), *AGENT_FAMILIES.values())
    return [*listed, *(signature.pattern for table in tables for signature in table)]


BANK = patterns.PatternBank(every_pattern())
PIECES = (
    "' or 1=1 -- ", "union select ", "null,null", "<script>", " onload=", "../", "/etc/passwd", ";id", "|ls ", "`",
    "$(", "{{7*7}}", "${jndi:", "<!--#exec", "<!entity", ")(|(", '{"$ne"', "\n", "set-cookie:", "http://127.0.0.1",
    "0x1f", "é", "🙂", "sleep(5)", "select a from b", "a", "1", " ", "=", '"', ">", "javascript:alert(1)", "\u212a",
    "ſ",
    "()", "order by 3",
)  # fmt: skip


@given(
    st.lists(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=8).map("".join), min_size=1, max_size=12)
)
@settings(deadline=None, max_examples=20)
def test_both_engines_find_the_same(texts):
    texts = [canonical(text) for text in texts]
    many = texts * (patterns.FEW_TEXTS // len(texts) + 1)
    assert np.array_equal(BANK.count(texts), BANK.count(many)[: len(texts)])
    assert np.array_equal(BANK.contains(texts), BANK.contains(many)[: len(texts)])
    assert np.array_equal(BANK.contains(texts), BANK.count(texts) > 0)


@pytest.mark.parametrize(
    ("pattern", "held", "settled"),
    [
        ("select|union", "a union b", "a noun b"),
        ("x{0,2}y", "y", "xx"),
        (r"[^a-z]q\b", "1q", "1a"),
        ("(?:ab)?c", "c", "ab"),
        ("é[0-9]", "é1", "e1"),
        ("[à-ü]<", "é<", "e<"),
        ("a(?:b|)c", "ac", "ab"),
        (r"\x00", "\0", None),
        ("(?i:q)", "Q", None),
        ("", "", None),
    ],
)
def test_what_a_pattern_needs_is_never_more_than_it_does(pattern, held, settled):
    wanted = needs.Needs([re.compile(pattern, re.ASCII | re.DOTALL)] * 2)
    assert list(wanted.met(held)) == [0, 1]
    assert settled is None or list(wanted.met(settled)) == []


def test_a_bank_without_texts():
    assert BANK.count([]).shape == BANK.contains([]).shape == (0, len(BANK.patterns))


@given(st.text(st.sampled_from("aB1 \t'<é\x00-"), max_size=12))
@settings(deadline=None)
def test_grams_are_those_of_a_loop(text):
    folded = _folded(text)
    wanted = Counter(folded)
    edged = ["⊣", *folded, "⊣"]
    wanted += Counter("".join(pair) for pair in itertools.pairwise(folded))
    wanted += Counter("".join(edged[at : at + 3]) for at in range(len(folded)))
    ((_, batch),) = bytewise.batches([text])
    _, numbers = ngrams.grams(batch)
    assert Counter(ngrams.gram_text(number) for number in numbers.tolist()) == wanted


def _folded(text):
    symbols = []
    for byte in text.lower().encode():
        symbol = (
            "0"
            if 48 <= byte < 58
            else "␣"
            if byte in b" \t"
            else "␛"
            if byte < 32
            else "¿"
            if byte > 127
            else chr(byte)
        )
        if not (symbols and symbols[-1] == symbol and symbol in ("0", "␣", "␛", "¿")):
            symbols.append(symbol)
    return symbols


def test_texts_are_counted_alike_in_one_batch_and_in_many(monkeypatch):
    texts = [
        event or "" for event in waf_events.simulate_events(200, np.random.default_rng(2))["MATCHED_VARIABLE_VALUE"]
    ]
    whole, documents = lexical.measure(texts), ngrams.document_counts(texts)
    monkeypatch.setattr(bytewise, "MOST_BYTES", 300)
    monkeypatch.setattr(bytewise, "MOST_TEXTS", 7)
    assert np.array_equal(lexical.measure(texts), whole)
    assert np.array_equal(ngrams.document_counts(texts), documents)
