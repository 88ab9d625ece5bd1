"""Damaged web events: addresses to networks, numbers, agents, several values, cut names, and the count of damage."""

import ipaddress

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.errors import SchemaError
from utils.features.web_events import EventColumns, columns_of, damage, network_of, wrangle
from utils.simulate import waf_events

RAW = pl.DataFrame(
    {
        "CLIENT_IP": ["10.1.2.3", "2001:db8:1:2:3::9", "::ffff:10.1.2.9", "2a02:1:2:3:4", "\x01\x02\ufffd", None],
        "CLIENT_USERAGENT": ["curl/7.1", "Mozilla/5.0 (X11", "-", None, "Mozilla/5.0 (X11; Linux) Gecko/1", ""],
        "REQUEST_SIZE": ["0", "-5", " 12 ", "1e3", None, " like Gecko) Safari"],
        "RESPONSE_CODE": ["200", "099", "600", "404", None, "512"],
        "MATCHED_VARIABLE_SRC": [r"REQUEST_GET_ARGS\';\'REQUEST_HEADE", "REQUEST_CONTE", "REQUEST_", None, "OTHER", ""],
        "MATCHED_VARIABLE_NAME": [
            r"REQUEST_GET_ARGS.id\';\'REQUEST_HEADERS.Host",
            "id",
            "a.b",
            None,
            "",
            "REQUEST_URI",
        ],
        "MATCHED_VARIABLE_VALUE": [r"1\';\'x;y\';\'", "v", "\ufffd", None, "", r"a\';b"],
    }
)


@pytest.mark.parametrize(
    ("address", "kind", "network"),
    [
        ("192.0.2.77", "IPv4", "192.0.2.0/24"),
        (" 192.0.2.77 ", "IPv4", "192.0.2.0/24"),
        ("192.0.2.77:8080", "IPv4", "192.0.2.0/24"),
        ("192.0.2.77, 10.0.0.1", "IPv4", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "IPv4-mapped", "192.0.2.0/24"),
        ("2001:DB8::1", "IPv6", "2001:db8::/64"),
        ("[2001:db8::1]:443", "IPv6", "2001:db8::/64"),
        ("fe80::1%eth0", "IPv6", "fe80::/64"),
        ("2001:db8:0:7:1:2:3:4", "IPv6", "2001:db8:0:7::/64"),
        ("2001:db8:0:7:1", "truncated", "2001:db8:0:7::/64"),
        ("2001:db8:0:7", "truncated", None),
        ("2001:db8:", "truncated", None),
        ("192.0.2.", "truncated", "192.0.2.0/24"),
        ("192.0.2", "truncated", None),
        ("192.0.2.256", "invalid", None),
        ("192.00.2.1", "invalid", None),
        ("Remote Code Execution", "invalid", None),
        ("\x01\x02\ufffd", "invalid", None),
        ("1" * 5000, "invalid", None),
        ("1٢.0.0.1", "invalid", None),
        ("", None, None),
        ("  ", None, None),
        (None, None, None),
    ],
)
def test_addresses_become_networks(address, kind, network):
    assert network_of(address) == (kind, network)


@given(st.ip_addresses(), st.booleans())
@settings(deadline=None)
def test_the_network_of_any_address_holds_it(address, long):
    text = address.exploded if long else str(address)
    found = network_of(text)
    mapped = getattr(address, "ipv4_mapped", None)
    assert (mapped or address) in ipaddress.ip_network(found.network)
    assert found.network.endswith("/24" if mapped or address.version == 4 else "/64")


@given(st.text(max_size=40))
@settings(deadline=None)
def test_any_text_has_a_network_or_none(text):
    found = network_of(text)
    assert found.network is None or ipaddress.ip_network(found.network)


def test_every_column_is_cleaned_and_missing_stays_missing():
    clean = wrangle(RAW)
    assert clean["network"].to_list() == [
        "10.1.2.0/24",
        "2001:db8:1:2::/64",
        "10.1.2.0/24",
        "2a02:1:2:3::/64",
        None,
        None,
    ]
    assert clean["address_kind"].to_list() == ["IPv4", "IPv6", "IPv4-mapped", "truncated", "invalid", None]
    assert clean["agent_valid"].to_list() == [True, False, False, None, True, False]
    assert clean["size"].to_list() == [0, None, 12, None, None, None]
    assert clean["size_valid"].to_list() == [True, False, True, False, None, False]
    assert clean["code"].to_list() == [200, None, None, 404, None, 512]
    assert clean["code_valid"].to_list() == [True, False, False, True, None, True]
    assert clean["sources"].to_list() == [
        ["REQUEST_GET_ARGS", "REQUEST_HEADERS"], ["REQUEST_CONTENT_TYPE"], ["REQUEST_"], None, ["OTHER"], [],
    ]  # fmt: skip
    assert clean["names"].to_list() == [["id", "Host"], ["id"], ["a.b"], None, [], ["REQUEST_URI"]]
    assert clean["values"].to_list() == [["1", "x;y", ""], ["v"], ["\ufffd"], None, [], [r"a\';b"]]


def test_rows_are_cleaned_by_themselves():
    events = waf_events.simulate_events(400, np.random.default_rng(3)).drop("anomaly_type")
    alone = pl.concat([wrangle(events[row]) for row in range(0, 400, 8)])
    assert wrangle(events)[::8].equals(alone)
    assert wrangle(events.clear()).schema == alone.schema


def test_the_damage_is_counted_by_column():
    found = {(row["column"], row["damage"]): row["rows"] for row in damage(RAW).iter_rows(named=True)}
    assert found["CLIENT_IP", "address is invalid"] == 1
    assert found["CLIENT_IP", "address is truncated"] == 1
    assert found["CLIENT_IP", "missing"] == 1
    assert found["CLIENT_IP", "binary or not UTF-8"] == 1
    assert found["CLIENT_USERAGENT", "agent is malformed"] == 3
    assert found["REQUEST_SIZE", "no number"] == 3
    assert found["REQUEST_SIZE", "text where the size was, a number beside it: shifted"] == 3
    assert found["RESPONSE_CODE", "no status from 100 to 599"] == 2
    assert found["MATCHED_VARIABLE_SRC", "name cut off"] == 2
    assert found["MATCHED_VARIABLE_SRC", "name unknown"] == 2
    assert found["MATCHED_VARIABLE_VALUE", "several values"] == 1
    shares = damage(RAW)
    assert shares["share"].to_list() == pytest.approx([rows / RAW.height for rows in shares["rows"]])
    assert damage(RAW.clear()).is_empty()


def test_the_damage_of_simulated_events_is_that_of_the_simulator():
    events = waf_events.simulate_events(20_000, np.random.default_rng(1))
    found = {(row["column"], row["damage"]): row["rows"] for row in damage(events).iter_rows(named=True)}
    junk = round(waf_events.DAMAGE["junk"] * 20_000 / waf_events.REAL_ROWS)
    assert found["CLIENT_IP", "binary or not UTF-8"] == junk
    assert found["CLIENT_IP", "address is invalid"] >= junk
    assert found["REQUEST_SIZE", "no number"] >= 0.8 * waf_events.DAMAGE["shifted"] * 20_000 / waf_events.REAL_ROWS
    assert found["MATCHED_VARIABLE_SRC", "name cut off"] > 300
    assert ("MATCHED_VARIABLE_SRC", "name unknown") not in found


def test_numbers_may_come_as_numbers():
    frame = pl.DataFrame(
        {"url": ["/a"] * 4, "bytes": [1.0, float("nan"), float("inf"), -2.0], "status": [200, 99, None, 599]}
    )
    clean = wrangle(frame)
    assert clean["size"].to_list() == [1, None, None, None]
    assert clean["code"].to_list() == [200, None, None, 599]
    assert clean["url_values"].to_list() == [["/a"]] * 4


def test_columns_are_known_by_their_names():
    frame = pl.DataFrame(
        {"URL": ["/"], "User_Agent": ["x/1"], "Status": [200], "remote_addr": ["::1"], "path": [1], "x": ["y"]}
    )
    assert columns_of(frame) == EventColumns(("URL",), agent="User_Agent", code="Status", address="remote_addr")
    assert columns_of(pl.DataFrame({"payload": ["a"], "ip": [5]})) == EventColumns(("payload",))
    assert columns_of(RAW).texts == ("MATCHED_VARIABLE_VALUE",)


@pytest.mark.parametrize(
    ("frame", "columns", "message"),
    [
        (pl.DataFrame({"other": ["a"]}), None, "must have a text column.*found other"),
        (pl.DataFrame(), None, "found no column"),
        (pl.DataFrame({"payload": ["a"]}), EventColumns(("text",)), "must have the column 'text', found 'payload'"),
        (pl.DataFrame({"payload": [1]}), EventColumns(("payload",)), r"payload \(Int64\)"),
        (pl.DataFrame({"payload": ["a"], "n": [[1]]}), EventColumns(("payload",), size="n"), r"n \(List"),
        (pl.DataFrame({"payload": ["a"]}), EventColumns(("payload",), agent="payload"), "no column twice"),
        (pl.DataFrame({"payload": ["a"]}), EventColumns(), "at least one text"),
        ([1, 2], None, "polars DataFrame, found list"),
    ],
)
def test_what_cannot_be_used_is_refused(frame, columns, message):
    with pytest.raises(SchemaError, match=message):
        wrangle(frame, columns)


def test_a_number_with_a_fraction_is_no_size():
    events = pl.DataFrame({"payload": ["a"] * 5, "size": [3.0, 1.5, float("inf"), float("nan"), None]})
    clean = wrangle(events)
    assert clean["size"].to_list() == [3, None, None, None, None]
    assert clean["size_valid"].to_list() == [True, False, False, None, None]
