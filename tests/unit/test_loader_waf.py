"""The loader of web requests on hand-made files of the published form, damage included."""

import csv

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.loading import assert_roles_complete, refused, rows_of, write
from utils.datasets import waf
from utils.errors import DataError
from utils.simulate import waf as simulate

HEADER = '"payload","length","attack_type","label"\r\n'
TRAIN = HEADER + '"c/ caridad s/n","14","norm","norm"\r\n"1"" or 1=1","9","sqli","anom"\r\n'
TEST = HEADER + '"<script>x</script>","18","xss","anom"\r\n"../../etc","8","path-traversal","anom"\r\n'
FULL = HEADER + TEST.removeprefix(HEADER) + TRAIN.removeprefix(HEADER)
PAYLOADS = {waf.TRAIN_FILE: TRAIN, waf.TEST_FILE: TEST}
EVENT_HEADER = ",".join(waf.EVENT_COLUMNS) + "\n"
AGENT = "Mozilla/5.0 (Windows NT 6.1; WOW64) Gecko"


def event(
    ip="217.175.140.69", agent=AGENT, size="259", code="200", source="REQUEST_GET_ARGS", name="id", value="7", key="a"
):
    """One record in the form of the file: fields are quoted only where they must be."""
    fields = (ip, agent, size, code, source, name, value, key)
    return ",".join(_quoted(field) if set(field) & set(",\n") else field for field in fields) + "\n"


def _quoted(field):
    return '"' + field.replace('"', '""') + '"'


@pytest.fixture
def events(tmp_path):
    """Read an events file with the given records."""

    def make(*records, header=EVENT_HEADER):
        data = header.encode() + b"".join(r if isinstance(r, bytes) else r.encode() for r in records)
        return write(tmp_path, PAYLOADS | {waf.EVENT_FILE: data})

    return make


def test_payloads(tmp_path):
    assembled = waf.assemble(waf.read(write(tmp_path, PAYLOADS)))
    payloads = assembled.frames["payloads"]
    assert payloads["payload"].to_list() == ["c/ caridad s/n", '1" or 1=1', "<script>x</script>", "../../etc"]
    assert payloads["split"].to_list() == ["train", "train", "test", "test"]
    assert payloads["anomaly_type"].to_list() == ["normal", "sqli", "xss", "path-traversal"]
    assert payloads["is_anomaly"].to_list() == [False, True, True, True]
    assert rows_of(assembled, "not the number of characters") == 1
    assert rows_of(assembled, "in training and in test") == 0
    assert list(assembled.frames) == ["payloads"]
    assert "length" in assembled.roles["payloads"].withheld
    assert_roles_complete(assembled)


def test_payloads_on_both_sides_are_reported(tmp_path):
    both = PAYLOADS | {waf.TEST_FILE: TEST + '"c/ caridad s/n","14","norm","norm"\r\n'}
    assert rows_of(waf.assemble(waf.read(write(tmp_path, both))), "in training and in test") == 2


def test_the_file_of_all_payloads_must_hold_the_same(tmp_path):
    assert waf.read(write(tmp_path, PAYLOADS | {waf.FULL_FILE: FULL}))["payloads"].height == 4
    other = FULL.replace("caridad", "verdad")
    refused(
        lambda: waf.read(write(tmp_path, PAYLOADS | {waf.FULL_FILE: other})),
        waf.FULL_FILE,
        "4 rows",
        "2 of them in one",
    )
    longer = FULL + '"../../etc","8","path-traversal","anom"\r\n'
    refused(lambda: waf.read(write(tmp_path, PAYLOADS | {waf.FULL_FILE: longer})), waf.FULL_FILE, "found 5 rows")


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ('"xss","anom"', '"xss","bad"', ["'label'", "'bad' in row 1"]),
        ('"xss"', '"css"', ["'attack_type'", "'css' in row 1"]),
        ('"18"', '"long"', ["'length'", "'long' in row 1"]),
        ("payload", "text", ["column 'payload'"]),
    ],
)
def test_bad_payloads_are_refused(tmp_path, old, new, parts):
    refused(
        lambda: waf.read(write(tmp_path, PAYLOADS | {waf.TEST_FILE: TEST.replace(old, new)})), waf.TEST_FILE, *parts
    )


def test_payload_files_are_needed(tmp_path):
    refused(lambda: waf.read(write(tmp_path, {waf.TRAIN_FILE: TRAIN})), waf.TEST_FILE, error=DataError)


def test_events_are_kept_as_text(events):
    value = 'say "x",\nplease' + waf.DELIMITER + '\\"q\\"'
    records = event(value=value), event(ip="2a02:d8::1", agent='a "b" \\"c', name="", key="b")
    assembled = waf.assemble(waf.read(events(*records)))
    table = assembled.frames["events"]
    assert table["MATCHED_VARIABLE_VALUE"][0] == value
    assert table["CLIENT_USERAGENT"][1] == 'a "b" \\"c'
    assert table["MATCHED_VARIABLE_NAME"].to_list() == ["id", None]
    assert table["row"].to_list() == [0, 1]
    assert set(table.drop("row").dtypes) == {pl.String}
    assert assembled.roles["events"].label is None
    assert_roles_complete(assembled)


def test_damage_is_counted(events):
    records = [
        event(),
        event(),
        event(key="second"),
        ",,,,,,,\n",
        ",,,,,,,\n",
        "\n",
        event(ip="Remote Code Execution", size="", code="4o4", key="c"),
        b"\xff\xfe\x01,agent,1,200,REQUEST_URI,n,v,d\n",
        event(ip="2a02:d8:0:1", key="e"),
        "shifted value,200\n",
        event(size="-5", code="99", key="f"),
        event(source="REQUEST_METHOD" + waf.DELIMITER + "REQUEST_CONTE", key="g"),
        "1.2.3.4,a,1,200,REQUEST_URI,n,v,h,too,many\n",
    ]
    assembled = waf.assemble(waf.read(events(*records)))
    table = assembled.frames["events"]
    assert table.height == 9
    assert table["EVENT_ID"][-1] == "h,too,many"
    assert table["row"].to_list() == [0, 1, 3, 4, 5, 6, 7, 8, 9]
    expected = {
        "without any value": 2,
        "repeat an earlier one": 1,
        "is no address": 4,
        "REQUEST_SIZE is no number": 1,
        "no status from 100 to 599": 2,
        "not UTF-8": 1,
        "several values in MATCHED_VARIABLE_SRC": 1,
        "empty fields (REQUEST_SIZE 2, RESPONSE_CODE 1, MATCHED_VARIABLE_SRC 1": 2,
    }
    assert {words: rows_of(assembled, words) for words in expected} == expected


def test_an_unclosed_quote_swallows_lines_but_is_read(events):
    table = waf.read(events(event(), '1.2.3.4,a,1,200,S,n,"open,b\n', "x" * 200_000 + "\n"))["events"]
    assert table.height == 2
    assert table["MATCHED_VARIABLE_VALUE"][1].startswith("open,b\nxxx")
    assert csv.field_size_limit() == 131_072


words = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(*[words] * 8), min_size=1, max_size=6))
def test_what_a_csv_writer_wrote_is_read_back(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("waf") / waf.EVENT_FILE
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([waf.EVENT_COLUMNS, *rows])
    assert waf.read_events(path).rows() == rows


@pytest.mark.parametrize(
    ("header", "records", "parts"),
    [
        ("", [], ["empty file"]),
        (EVENT_HEADER, [], ["at least one row"]),
        (EVENT_HEADER.replace("CLIENT_IP", "IP"), [event()], ["must have the columns CLIENT_IP", "found IP, "]),
        ("1.2.3.4,agent,1\n", [event()], ["must have the columns"]),
    ],
)
def test_bad_events_are_refused(events, header, records, parts):
    refused(lambda: waf.read(events(*records, header=header)), waf.EVENT_FILE, *parts)


def test_a_field_beyond_all_bounds_is_refused(events, monkeypatch):
    monkeypatch.setattr(waf, "LONGEST_FIELD", 100)
    refused(lambda: waf.read(events(event(value="x" * 101))), waf.EVENT_FILE, "field larger than field limit (100)")
    assert csv.field_size_limit() == 131_072


def test_simulated_events_carry_their_label(events):
    raw = waf.read(events(event(), event(key="b")))
    raw["events"] = raw["events"].with_columns(pl.Series("anomaly_type", ["normal", "sqli"]))
    assembled = waf.assemble(raw)
    assert assembled.frames["events"]["is_anomaly"].to_list() == [False, True]
    assert assembled.roles["events"].label == "is_anomaly"
    assert_roles_complete(assembled)


def test_addresses():
    values = pl.Series(["1.2.3.4", "2a02:d8::1", "1.2.3", "", None, "1.2.3.4", "256.1.1.1", "fe80::1%eth0"])
    assert waf.valid_addresses(values).to_list() == [True, True, False, False, None, True, False, True]
    assert waf.valid_addresses(pl.Series([None], dtype=pl.String)).to_list() == [None]


def components(folder, rows=3, labels=3):
    np.savez(folder / waf.COMPONENT_FILE, X=np.arange(9.0 * rows).reshape(rows, 9))
    np.savez(folder / waf.CLUSTER_FILE, y=np.arange(labels) - 1)
    return write(folder, PAYLOADS) | {name: folder / name for name in (waf.COMPONENT_FILE, waf.CLUSTER_FILE)}


def test_components(tmp_path):
    assembled = waf.assemble(waf.read(components(tmp_path)))
    table = assembled.frames["mlpt"]
    assert table.row(1) == (*(float(value) for value in range(9, 18)), 0)
    assert "cluster" in assembled.roles["mlpt"].withheld
    assert_roles_complete(assembled)


def test_components_without_their_labels_are_left_out(tmp_path):
    paths = components(tmp_path)
    del paths[waf.CLUSTER_FILE]
    assert "mlpt" not in waf.read(paths)


def test_components_and_labels_must_match(tmp_path):
    refused(lambda: waf.read(components(tmp_path, labels=4)), waf.CLUSTER_FILE, "each of the 3 rows", "found 4")


def test_simulated_events_survive_the_file(tmp_path):
    simulated = simulate.simulate(1_500, 3)["events"].select(waf.EVENT_COLUMNS)
    simulated.write_csv(tmp_path / waf.EVENT_FILE)
    assert waf.read_events(tmp_path / waf.EVENT_FILE).equals(simulated)
