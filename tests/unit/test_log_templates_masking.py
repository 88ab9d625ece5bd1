"""Masking: what counts as a value, at the level of single lines."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.features.log_templates import LogTemplates
from utils.features.log_templates.masking import Block, Skeletons, collapsed, shown, skeleton


def masked(line):
    return shown([collapsed(skeleton(Block.of_texts(pl.Series([line])), 0).decode("utf-8", "replace"))])[0]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Received block blk_-16089 of size 91178 from /10.250.10.6", "Received block <*> of size <*> from <*>"),
        ("10.0.0.1:50010:Got exception", "<*>:Got exception"),
        ("lease of 00:11:43:e3:ba:c3 via eth0", "lease of <*> via <*>"),
        ("lease of ab:cd:ef:12:34:56 via eth0", "lease of <*> via <*>"),
        ("Connection closed by ::ffff:10.100.4.251", "Connection closed by <*>"),
        ("ping fe80::1ff:fe23:4567:890a lost", "ping <*> lost"),
        ("label a:b:c stays", "label a:b:c stays"),
        ("node R24-M0-N0-C:J12-U11 generating core.1234", "node <*> generating <*>"),
        ("session 0x14ed93111f20027 id deadbeef", "session <*> id <*>"),
        ("the facade of a cafe", "the facade of a cafe"),
        ("open /var/log/messages and relative/path/of/parts", "open <*> and <*>"),
        ("I/O error on read/write.", "I/O error on read/write."),
        ("C:\\Windows\\win.ini not found", "<*> not found"),
        ("GET http://example.org:80/a?b=c&d=e done", "GET <*> done"),
        ("mail to root@example failed", "mail to <*> failed"),
        ("connect to proxy.example.co.uk refused", "connect to <*> refused"),
        ("at java.io.IOException: broken", "at <*>: broken"),
        ("n.leader and user.dir stay", "n.leader and user.dir stay"),
        ("Foo.java:12 and mice.c:1766", "<*> and <*>"),
        ("estimated size 5.2 KB, free 317.5 MB", "estimated size <*>, free <*>"),
        ("lifetime <1 sec", "lifetime <*>"),
        ("lifetime 00:02", "lifetime <*>"),
        ("took 5 steps", "took <*> steps"),
        ("connection at Fri Jun 17 07:07:00 2005", "connection at <*>"),
        ("Sun Microsystems and March", "Sun Microsystems and March"),
        ("at 10:15 PM UTC done", "at <*> done"),
        ("visible=true state false", "visible=<*> state <*>"),
        ("logname= uid=0 ruser= rhost=1.2.3.4  user=root", "logname=<*> uid=<*> ruser=<*> rhost=<*> user=<*>"),
        ("a = b, c == d, e =", "a =<*>, c ==<*>, e =<*>"),
        ('tag="View Lock", name=\'a b\', ws=null', "tag=<*>, name=<*>, ws=<*>"),
        ("limit=<memory:8192, vCores:1> list=[1, 2] f=g(x, y) z", "limit=<*> list=<*> f=<*> z"),
        ("token = Window{9f4 token=Token{a64 u0}}, shown", "token =<*>, shown"),
        ("Skipping Window{9f4 token=Token{a64 u0}} -- hide", "Skipping Window{<*>} -- hide"),
        ('{"time": 5, "inner": {"a": "b"}, "text": "hello"}', '{"time": <*>, "inner": {<*>}, "text": "hello"}'),
        ("unclosed {5 and =[ and =\"x", "unclosed {<*> and =[ and =\"x"),
        ("from 1.2.3.4 () and call()", "from <*> (<*>) and call()"),
        ("[req-1 - -] [-] a - b", "[<*>] [<*>] a - b"),
        ("values 1, 2, 3, 4 end", "values <*> end"),
        ("node-1 <ok> node-2 <ok> node-3 <ok>", "<*> <ok>"),
        ("i-fetch......................0", "i-fetch.....................<*>"),
        ("用户123登录成功", "用户<*>登录成功"),
        ("a\t b \x00 c\x01d", "a b c d"),
        ("Exception in x\n\tat y\n\tat z", "Exception in x <*>"),
        ("ends with a break\n", "ends with a break"),
        ("succeeded.", "succeeded."),
        ("", ""),
        ("  ", ""),
        ("...", "..."),
    ],
)  # fmt: skip
def test_values_are_masked_and_words_stay(line, expected):
    if line.startswith("i-fetch"):
        assert masked(line).startswith("i-fetch..")
        assert masked(line).endswith("<*>")
        assert masked(line) == masked(line[:-1] + "1") != masked(line.replace("i-", "d-"))
    else:
        assert masked(line) == expected


def test_carriage_returns_and_spaces_do_not_matter():
    assert masked("a  5 b\r") == masked("\ta 7  b ") == "a <*> b"


def test_a_line_of_a_megabyte_has_a_short_skeleton():
    long = "word " * 200_000
    assert masked(long) == masked(long + "more")
    assert len(masked(long)) <= 1_100


def test_bytes_that_are_no_text_are_read():
    data = np.frombuffer(b"caf\xe9 failed 5\n\xff\xfe\x00\xc3\n", dtype=np.uint8)
    block = Block.of_bytes(data)
    table = Skeletons()
    assert table.number(block).tolist() == [0, 1]
    assert table.texts[0] == "caf\ufffd failed \x01"
    assert block.texts().to_list()[0] == "caf\ufffd failed 5"


def test_blocks_are_cut_at_line_breaks():
    block = Block.of_bytes(np.frombuffer(b"a\n\nb\r\nc", dtype=np.uint8))
    assert block.texts().to_list() == ["a", "", "b", "c"]
    assert Block.of_bytes(np.empty(0, dtype=np.uint8)).begins.size == 0


def test_null_is_an_empty_line_and_slices_are_understood():
    texts = pl.Series(["x", None, "a 5", "b 6"])
    assert LogTemplates().fit_transform(texts[1:3])["template"].to_list() == ["", "a <*>"]


def test_the_table_of_skeletons_grows():
    texts = pl.Series(
        [
            f"word{'x' * (number % 40)}{chr(97 + number % 26)} {chr(97 + number // 26 % 26)}{'y' * (number // 676)}"
            for number in range(5_000)
        ]
    )
    texts = texts.str.replace_all(r"\d", "")
    table = Skeletons()
    rows = table.number(Block.of_texts(texts))
    assert [table.texts[row] for row in rows] == texts.str.strip_chars().to_list()
    assert table.counts[: len(table.texts)].sum() == texts.len()
    assert np.array_equal(table.number(Block.of_texts(texts)), rows)


WORDS = st.sampled_from(
    [
        "block",
        "blk_5",
        "10.0.0.1",
        "a=b",
        "(x)",
        "{y 1}",
        "://",
        "=",
        "'",
        '"',
        "[",
        "]",
        "é",
        "..",
        "-",
        ":",
        "0x1f",
        "ff:",
        "::1",
        "<",
        "\\",
        "C:\\a",
        "KB",
        "5",
        "/",
    ]
)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.lists(WORDS, max_size=12).map(" ".join), st.lists(WORDS, max_size=12).map("".join), st.text(max_size=60)
    )
)
def test_any_text_gets_a_skeleton_that_does_not_depend_on_its_neighbours(line):
    alone = masked(line)
    among = Block.of_texts(pl.Series(["before 5", line, "after"]))
    table = Skeletons()
    numbers = table.number(among)
    assert shown([table.texts[numbers[1]]])[0] == alone
    assert alone == alone.strip(" ")
    assert "  " not in alone


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_other_numbers_give_the_same_skeleton(one, other):
    assert masked(f"job {one} on node-{one}: {one} of {one} MB, {one}:{one}") == masked(
        f"job {other} on node-{other}: {other} of {other} MB, {other}:{other}"
    )
