"""The WAF simulator: grammar, payloads, raw events, damage, and no leak unless asked for."""

import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import roc_auc_score

from utils.errors import DataError
from utils.simulate import waf, waf_events, waf_payloads
from utils.simulate.grammar import Grammar, chain, code, integer, one_of, pronounceable, repeated, same_repeated

AGENT = re.compile(r"\(.*?\)(\s|$)|.*?/.*?(\s|$)")
"""What ML-PT calls a valid agent."""


@pytest.fixture(scope="module")
def run():
    return waf.simulate(20_000, 42)


@pytest.fixture(scope="module")
def flawed():
    return waf.simulate(20_000, 42, defects=True)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


# --- grammar -------------------------------------------------------------------------------------------------------


def test_grammar_expands_rules_inside_rules(rng):
    grammar = Grammar({"a": ("<«b»>",), "b": ("x", "y")}, {})
    assert set(grammar.expand("a", 50, rng)) == {"<x>", "<y>"}


def test_grammar_keeps_named_texts_within_an_alternative(rng):
    grammar = Grammar({"test": ("«n=number»=«n» or «number»",)}, {"number": integer(0, 10**9)})
    for text in grammar.expand("test", 30, rng):
        left, right, other = re.fullmatch(r"(\d+)=(\d+) or (\d+)", text).groups()
        assert left == right != other


def test_grammar_follows_weights(rng):
    grammar = Grammar({"a": {"often": 9, "seldom": 1}, "mixed": {"«a»!": 9, "never": 0}}, {})
    assert 0.85 < np.mean(grammar.expand("a", 2_000, rng) == "often") < 0.95
    assert "never" not in grammar.expand("mixed", 500, rng)


def test_grammar_leaves_braces_and_percent_signs_alone(rng):
    assert Grammar({"a": ('{"k":"%20{{7*7}}"}',)}, {}).expand("a", 1, rng)[0] == '{"k":"%20{{7*7}}"}'


def test_grammar_refuses_unknown_slots():
    with pytest.raises(KeyError, match="nobody"):
        Grammar({"a": ("«nobody»",)}, {})


def test_grammar_expands_nothing_to_nothing(rng):
    assert len(waf_payloads.GRAMMAR.expand("sqli", 0, rng)) == 0
    assert len(pronounceable(1, 2)(rng, 0)) == 0


@given(seed=st.integers(0, 10_000), count=st.integers(1, 40))
def test_generators_stay_in_their_bounds(seed, count):
    rng = np.random.default_rng(seed)
    assert all(5 <= int(text) <= 9 for text in integer(5, 9)(rng, count))
    assert all(re.fullmatch("[ab]{2,4}", text) for text in code("ab", 2, 4)(rng, count))
    assert all(re.fullmatch("(x-){0,2}x", text) for text in repeated("x", 1, 3, between="-")(rng, count))
    assert all(
        re.fullmatch(r"(\d),\1(,\1)?", text) for text in same_repeated(integer(0, 9), 2, 3, between=",")(rng, count)
    )
    assert all(re.fullmatch("y|y y|y y y", text) for text in chain(one_of(["y"]), 1, 3, between=" ")(rng, count))


def test_one_of_follows_zipf(rng):
    drawn = one_of(["a", "b", "c", "d"], exponent=1.0)(rng, 4_000)
    assert np.mean(drawn == "a") == pytest.approx(12 / 25, abs=0.03)


# --- disguises -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("url", "1%27%20or%201%3D1"),
        ("double-url", "1%2527%2520or%25201%253D1"),
        ("plus", "1'+or+1=1"),
        ("upper", "1' OR 1=1"),
        ("comments", "1'/**/or/**/1=1"),
    ],
)
def test_disguises(method, expected, rng):
    text = np.array(["1' or 1=1"], dtype=object)
    assert waf_payloads.disguised(text, {method: 1.0}, rng)[0] == expected


def test_mixed_case_and_whitespace_keep_the_letters(rng):
    text = np.array(["x union select y"] * 3, dtype=object)
    mixed = waf_payloads.disguised(text, {"mixed": 1.0}, rng)[0]
    assert mixed.lower() == "x union select y" != mixed
    spaced = waf_payloads.disguised(text, {"whitespace": 1.0}, rng)[0]
    assert re.sub(r"%09|%0a|\t|  ", " ", spaced) == "x union select y" != spaced


def test_disguised_leaves_its_argument_alone(rng):
    texts = waf_payloads.form_fields(rng, 50)
    before = texts.copy()
    waf_payloads.disguised(texts, {"upper": 0.5, "none": 0.5}, rng)
    assert (texts == before).all()


# --- payloads ------------------------------------------------------------------------------------------------------


def test_tables_have_the_raw_columns(run):
    assert dict(run["payloads"].schema) == {
        "payload": pl.String,
        "length": pl.Int64,
        "attack_type": pl.String,
        "label": pl.String,
        "split": pl.String,
    }
    assert dict(run["events"].schema) == dict.fromkeys((*waf_events.COLUMNS, "anomaly_type"), pl.String)


@settings(max_examples=12, deadline=None)
@given(size=st.integers(1, 300), seed=st.integers(0, 2**32 - 1), defects=st.booleans())
def test_same_seed_same_frames_other_seed_others(size, seed, defects):
    first, second = (waf.simulate(size, seed, defects=defects) for _ in range(2))
    other = waf.simulate(size, seed + 1, defects=defects)
    for table in first:
        assert first[table].equals(second[table])
    assert not first["events"].equals(other["events"])


@settings(max_examples=12, deadline=None)
@given(size=st.integers(1, 600), seed=st.integers(0, 10_000))
def test_payloads_of_any_size_are_distinct_and_complete(size, seed):
    payloads = waf.simulate(size, seed)["payloads"]
    assert payloads.height == payloads["payload"].n_unique() == max(1, size // 2)
    assert payloads.null_count().sum_horizontal().item() == 0
    assert (payloads["length"] == payloads["payload"].str.len_chars()).all()
    assert ((payloads["attack_type"] == "norm") == (payloads["label"] == "norm")).all()


@pytest.mark.parametrize("size", [0, -1])
def test_refuses_a_size_without_events(size):
    with pytest.raises(DataError, match="event"):
        waf.simulate(size, 1)


def test_payload_shares_and_split(run):
    payloads = run["payloads"]
    assert (payloads["label"] == "anom").mean() == pytest.approx(waf.PAYLOAD_ATTACK_SHARE, abs=0.001)
    assert set(payloads["attack_type"]) == {"norm", *waf_payloads.FAMILIES}
    train = payloads.group_by("attack_type").agg((pl.col("split") == "train").mean().alias("train"), pl.len())
    assert train.filter(pl.col("len") > 50)["train"].is_between(0.64, 0.69).all()
    assert set(payloads["split"]) == {"train", "test"}


def test_ten_families_or_more_beside_the_four_real_ones():
    assert {"sqli", "xss", "path-traversal", "cmdi"} < set(waf_payloads.FAMILIES)
    assert len(waf_payloads.FAMILIES) >= 10


MARKS = {
    "sqli": r"(?i)select|union|sleep|order by|drop table|=|'|\(|/\*",
    "xss": r"(?i)script|on\w+=|alert|document|data:|eval|prompt|confirm|fetch|image|throw",
    "path-traversal": r"(?i)\.\.|0x2e|/\.|%2e|file:|php:|boot\.ini|etc/|\\|git|var/|proc/|app/|home/|usr/|root/",
    "ssi": r"<!--#",
    "xxe": r"(?i)<!ENTITY|<!DOCTYPE|xinclude",
    "ldap": r"[*()\\&|]",
    "nosqli": r"(?i)\$|this\.|\[|new date",
    "crlf": r"(?i)%(?:25)?0[da]|\r|%E5%98",
    "ssti": r"[{@%#<]",
    "rfi": r"(?i)://|\\\\",
    "ssrf": r"(?i)127\.|169\.254|localhost|::1|10\.|192\.168|0x7f|2130706433|metadata|file:",
    "log4shell": r"\$\{",
}


@pytest.mark.parametrize("family", MARKS)
def test_undisguised_attacks_show_their_family(family, rng):
    texts = pl.Series(waf_payloads.GRAMMAR.expand(family, 400, rng).tolist())
    assert texts.str.contains(MARKS[family]).all(), texts.filter(~texts.str.contains(MARKS[family]))[:3].to_list()
    assert not texts.str.contains("«|»").any()
    assert texts.n_unique() > 200


def test_benign_values_hold_hard_negatives(rng):
    texts = pl.Series(waf_payloads.benign(rng, 20_000).tolist())
    for pattern in (
        r"(?i)\bselect\b",
        r"\bunion\b",
        r"<\w+>",
        r"\.\./",
        r"'",
        r"--",
        r"\{\{",
        r"https?://",
        r"^[0-9a-f-]{30,}$",
        r"@",
    ):
        assert texts.str.contains(pattern).sum() >= 5, pattern
    assert not texts.str.contains("«|»").any()


@pytest.mark.parametrize("seed", [1, 2])
def test_no_simple_measure_of_a_payload_tells_the_class(seed):
    payloads = waf.simulate(8_000, seed)["payloads"]
    attack = (payloads["label"] == "anom").to_numpy()
    text = pl.col("payload")
    measures = payloads.select(
        text.str.len_chars().alias("length"),
        text.str.contains(r"[A-Z]").cast(pl.Int8).alias("capitals"),
        text.str.contains("%", literal=True).cast(pl.Int8).alias("encoded"),
        text.str.count_matches(r"\d").alias("digits"),
        text.str.contains(r"(?i)select|union").cast(pl.Int8).alias("words"),
    )
    for measure in measures:
        auc = roc_auc_score(attack, measure.to_numpy())
        assert max(auc, 1 - auc) < 0.96, measure.name


def test_a_text_model_learns_the_payloads_from_the_training_part(run):
    payloads = run["payloads"]
    train, test = (payloads.filter(pl.col("split") == split) for split in ("train", "test"))
    grams = HashingVectorizer(analyzer="char", ngram_range=(2, 3), n_features=2**15)
    model = SGDClassifier(loss="log_loss", random_state=0).fit(grams.transform(train["payload"]), train["label"])
    attack = (test["label"] == "anom").to_numpy()
    score = -model.decision_function(grams.transform(test["payload"]))
    assert 0.97 < roc_auc_score(attack, score) < 0.9999


# --- events --------------------------------------------------------------------------------------------------------


@settings(max_examples=12, deadline=None)
@given(size=st.integers(1, 600), seed=st.integers(0, 10_000))
def test_events_of_any_size(size, seed):
    events = waf.simulate(size, seed)["events"]
    assert events.height == size
    assert events["anomaly_type"].null_count() == 0
    assert set(events["anomaly_type"]) <= {"normal", *waf_events.ANOMALY_TYPES}


def test_event_types_and_shares(run):
    kinds = run["events"]["anomaly_type"]
    assert (kinds != "normal").mean() == pytest.approx(waf_events.EVENT_ATTACK_SHARE, abs=0.01)
    assert set(kinds) == {"normal", "scanner", *waf_payloads.FAMILIES}


def test_response_codes_follow_the_documented_mix(run):
    shares = run["events"]["RESPONSE_CODE"].value_counts(normalize=True)
    share = dict(shares.iter_rows())
    for code_, real in {"200": 0.446, "404": 0.352, "302": 0.115, "403": 0.020, "304": 0.016}.items():
        assert share[code_] == pytest.approx(real, abs=0.015), code_


def test_heavy_clients(run):
    counts = run["events"]["CLIENT_IP"].value_counts(sort=True)["count"]
    assert counts[0] / 20_000 == pytest.approx(0.195, abs=0.015)
    assert 0.008 < counts[1] / 20_000 < 0.02
    assert 0.35 < len(counts) / 20_000 < 0.5


def test_addresses_are_of_both_versions(run):
    address = run["events"]["CLIENT_IP"].drop_nulls()
    four = address.str.contains(r"^\d{1,3}(\.\d{1,3}){3}$").mean()
    six = address.str.contains(r"^[0-9a-f]{1,4}(:[0-9a-f]{1,4}){7}$").mean()
    assert 0.9 < four < 0.97
    assert 0.02 < six < 0.08


def test_matched_variables_follow_the_documented_names(run):
    events = run["events"]
    name = events["MATCHED_VARIABLE_NAME"].str.split(".").list.last()
    share = dict(name.value_counts(normalize=True).iter_rows())
    documented = {"_": 0.193, "LtpaToken2": 0.068, "User-cn": 0.042, "action": 0.041, "rid": 0.041, "User-Agent": 0.035}
    for variable, real in documented.items():
        assert share[variable] == pytest.approx(real, abs=0.012), variable
    assert share[None] == pytest.approx(0.081, abs=0.015)
    assert events["MATCHED_VARIABLE_SRC"].n_unique() <= 22
    assert events["MATCHED_VARIABLE_VALUE"].n_unique() > 0.95 * events.height


def test_agents(run):
    agents = run["events"]["CLIENT_USERAGENT"].drop_nulls()
    distinct = agents.unique()
    malformed = np.mean([AGENT.match(agent) is None for agent in distinct])
    assert 0.05 < malformed < 0.14
    assert 0.05 < agents.str.contains("(?i)bot").mean() < 0.15
    assert agents.str.ends_with("\\").any()


def test_multi_valued_fields(run):
    events = run["events"]
    several = events.filter(pl.col("MATCHED_VARIABLE_SRC").str.contains(waf_events.DELIMITER, literal=True))
    assert several.height / events.height == pytest.approx(0.03, abs=0.005)
    parts = several["MATCHED_VARIABLE_SRC"].str.split(waf_events.DELIMITER)
    assert set(parts.list.len()) == {2}
    assert parts.list.last().str.len_chars().max() == 13
    values = several["MATCHED_VARIABLE_VALUE"].drop_nulls().str.split(waf_events.DELIMITER)
    assert values.list.len().max() > 3
    assert {"POST", "XMLHttpRequest"} < set(values.explode())
    assert (
        not events.filter(pl.col("anomaly_type") != "normal")["MATCHED_VARIABLE_VALUE"].str.starts_with("POST\\").any()
    )


def test_events_of_one_request_agree(run):
    events = run["events"].filter(pl.col("MATCHED_VARIABLE_NAME").str.ends_with("User-Agent").fill_null(True).not_())
    requests = (
        events.drop_nulls(["EVENT_ID", "CLIENT_USERAGENT"])
        .group_by("EVENT_ID")
        .agg(pl.len(), pl.col("CLIENT_IP", "REQUEST_SIZE", "anomaly_type").n_unique())
    )
    several = requests.filter(pl.col("len") > 1)
    assert several.height > 300
    assert several["len"].max() <= 8
    assert (several["anomaly_type"] == 1).mean() > 0.99
    assert (several["REQUEST_SIZE"] == 1).mean() > 0.98


def test_scanners_try_many_paths_from_few_addresses(run):
    scans = run["events"].filter(pl.col("anomaly_type") == "scanner")
    assert scans["MATCHED_VARIABLE_VALUE"].n_unique() > 0.9 * scans.height
    per_client = scans["CLIENT_IP"].value_counts(sort=True)["count"]
    assert per_client[0] > 10
    tools = (
        scans["CLIENT_USERAGENT"]
        .fill_null("")
        .str.contains("(?i)nikto|sqlmap|DirBuster|WPScan|libwww|curl|python|Java/|Go-http")
    )
    assert 0.15 < tools.mean() < 0.6


def damage_of(events):
    valid_ip = pl.col("CLIENT_IP").str.contains(r"^(\d{1,3}(\.\d{1,3}){3}|[0-9a-f]{1,4}(:[0-9a-f]{1,4}){7})$")
    everything = pl.all_horizontal(pl.col(waf_events.COLUMNS).is_null())
    return events.select(
        (~valid_ip).sum().alias("address"),
        everything.sum().alias("empty"),
        (~pl.col("RESPONSE_CODE").str.contains(r"^[2-5]\d\d$")).sum().alias("code"),
        (~pl.col("REQUEST_SIZE").str.contains(r"^\d+$")).sum().alias("size"),
        *(pl.col(name).is_null().sum().alias(f"no {name}") for name in waf_events.COLUMNS),
    ).row(0, named=True)


def test_damage_comes_at_the_documented_rates():
    """Counts of the real file: 103 invalid addresses, 40 kinds of invalid codes, 7 empty rows, nulls by column."""
    events = waf.simulate(waf_events.REAL_ROWS, 5)["events"]
    found = damage_of(events)
    documented = {"CLIENT_USERAGENT": 316, "REQUEST_SIZE": 39, "RESPONSE_CODE": 63, "MATCHED_VARIABLE_SRC": 103}
    documented |= {"MATCHED_VARIABLE_VALUE": 150, "EVENT_ID": 167}
    assert found["address"] == pytest.approx(103, abs=15)
    assert found["empty"] == 7
    assert 20 < found["code"] < 80
    assert 20 < found["size"] < 60
    for name, real in documented.items():
        assert found[f"no {name}"] == pytest.approx(real, rel=0.25, abs=8), name
    assert found["no MATCHED_VARIABLE_NAME"] == pytest.approx(4_666, rel=0.15)
    assert 12 <= events.is_duplicated().sum() <= 40
    assert events["EVENT_ID"].is_duplicated().sum() > 4_000


def test_broken_lines_go_on_in_the_next_row():
    events = waf.simulate(40_000, 9)["events"]
    tails = events.with_row_index("at").filter(
        pl.col("REQUEST_SIZE").is_null() & pl.col("CLIENT_USERAGENT").str.contains(r"^[\w-]{20}$")
    )
    assert tails.height >= 5
    heads = events[(tails["at"] - 1).to_list()]
    assert heads["EVENT_ID"].null_count() == heads.height
    assert heads["anomaly_type"].to_list() == tails["anomaly_type"].to_list()


def test_empty_rows_are_normal_and_small_runs_are_undamaged():
    events = waf.simulate(60_000, 3)["events"]
    empty = events.filter(pl.all_horizontal(pl.col(waf_events.COLUMNS).is_null()))
    assert set(empty["anomaly_type"]) == {"normal"}
    assert damage_of(waf.simulate(30, 3)["events"])["address"] == 0


def encoded_by_class(values, attack, seed=0):
    """AUC of the attack share of a value, learned on one half and applied to the other, both ways."""
    half = np.random.default_rng(seed).random(len(attack)) < 0.5
    table = pl.DataFrame({"value": values, "attack": attack.astype(float), "half": half})
    prior = float(attack.mean())
    parts = []
    for side in (True, False):
        known = (
            table.filter(pl.col("half") == side)
            .group_by("value")
            .agg(((pl.col("attack").sum() + 2 * prior) / (pl.len() + 2)).alias("score"))
        )
        parts.append(table.filter(pl.col("half") != side).join(known, on="value", how="left", nulls_equal=True))
    scored = pl.concat(parts).with_columns(pl.col("score").fill_null(prior))
    return roc_auc_score(scored["attack"] > 0, scored["score"])


@pytest.mark.parametrize("seed", [1, 2])
def test_no_column_of_an_event_tells_the_class(seed):
    events = waf.simulate(8_000, seed)["events"]
    attack = (events["anomaly_type"] != "normal").to_numpy()
    for name in waf_events.COLUMNS:
        assert encoded_by_class(events[name], attack) < 0.9, name
        for measure in (
            events[name].cast(pl.Float64, strict=False),
            events[name].str.len_chars(),
            events.select(pl.len().over(name)).to_series(),
        ):
            auc = roc_auc_score(attack, measure.fill_null(0).to_numpy())
            assert max(auc, 1 - auc) < 0.9, name


def test_attackers_share_addresses_and_agents_with_others(run):
    events = run["events"].drop_nulls(["CLIENT_IP", "CLIENT_USERAGENT"])
    normal, attacks = (events.filter((pl.col("anomaly_type") == "normal") == side) for side in (True, False))
    shared = attacks["CLIENT_IP"].is_in(normal["CLIENT_IP"].implode()).mean()
    browsers = attacks["CLIENT_USERAGENT"].str.starts_with("Mozilla/5.0 (").mean()
    assert shared > 0.3
    assert 0.4 < browsers < 0.9


# --- planted flaws -------------------------------------------------------------------------------------------------


def test_defects_make_addresses_and_agents_tell_the_class(flawed):
    events = flawed["events"]
    attack = (events["anomaly_type"] != "normal").to_numpy()
    assert encoded_by_class(events["CLIENT_IP"], attack) > 0.98
    assert encoded_by_class(events["CLIENT_USERAGENT"], attack) > 0.97


def test_defects_of_payloads(flawed):
    payloads = flawed["payloads"]
    assert (payloads["payload"] == payloads["payload"].str.to_lowercase()).all()
    assert payloads["payload"].n_unique() == payloads.height
    wrong = payloads.filter(pl.col("length") != pl.col("payload").str.len_chars())
    assert set(wrong["attack_type"]) == {"xss"}
    attack = (payloads["label"] == "anom").to_numpy()
    assert roc_auc_score(attack, payloads["length"].to_numpy()) > 0.965
    paths = payloads.filter(pl.col("attack_type") == "path-traversal")["payload"]
    assert paths.str.ends_with("{file}").mean() > 0.3
    assert payloads["payload"].str.contains(",cmdi,anom ", literal=True).any()
