"""The border: good files become typed tables, bad ones are refused in one sentence that says where and what to do."""

import json
import pickle

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.loading import refused
from utils.datasets import schema
from utils.datasets.schema import Column
from utils.errors import DataError, SchemaError

TABLE = {"name": Column(pl.String), "size": Column(pl.Int64), "rate": Column(pl.Float64, nullable=True)}
GOOD = b"name,size,rate\na,1,0.5\nb,2,\n"


@pytest.fixture
def file(tmp_path):
    def write(data, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


def test_columns_declares_each_name():
    assert schema.columns(("a", "b"), pl.Int8, nullable=True) == {
        "a": Column(pl.Int8, nullable=True),
        "b": Column(pl.Int8, nullable=True),
    }


def test_take_names_the_file_that_is_missing(tmp_path):
    files = {"a.csv": tmp_path / "a.csv"}
    assert schema.take(files, "a.csv") == tmp_path / "a.csv"
    refused(lambda: schema.take(files, "b.csv"), "b.csv", "found a.csv", "make data", error=DataError)
    refused(lambda: schema.take({}, "b.csv"), "found no file", error=DataError)


def test_csv_is_read_with_the_declared_types(file):
    table = schema.read_csv(file(GOOD), TABLE)
    assert table.schema == {"name": pl.String, "size": pl.Int64, "rate": pl.Float64}
    assert table.rows() == [("a", 1, 0.5), ("b", 2, None)]


def test_csv_columns_come_in_declared_order_and_others_are_left_out(file):
    table = schema.read_csv(file(b"rate,more,size,name\n0.5,zzz,1,007\n"), TABLE)
    assert table.rows() == [("007", 1, 0.5)]


def test_csv_with_byte_order_mark_and_windows_line_ends(file):
    table = schema.read_csv(file(b"\xef\xbb\xbf" + GOOD.replace(b"\n", b"\r\n")), TABLE)
    assert table.rows() == [("a", 1, 0.5), ("b", 2, None)]


def test_csv_without_header(file):
    assert schema.read_csv(file(b"a,1,0.5\nb,2,0\n"), TABLE, header=False).rows() == [("a", 1, 0.5), ("b", 2, 0.0)]


def test_csv_with_another_separator(file):
    assert schema.read_csv(file(b"name;size;rate\na;1;0.5\n"), TABLE, separator=";").rows() == [("a", 1, 0.5)]


def test_csv_with_quotes_and_line_breaks_in_values(file):
    table = schema.read_csv(file(b'name,size,rate\n"say ""x"",\nplease",1,0.5\n'), TABLE)
    assert table["name"][0] == 'say "x",\nplease'


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        (b"", ["table.csv", "empty file"]),
        (b"\n \n", ["empty file"]),
        (b"name,size,rate\n", ["at least one row", "found none"]),
        (b"name,size\na,1\n", ["must have the column 'rate'", "found 'name', 'size'"]),
        (b"name,size,rate,size\na,1,0.5,2\n", ["'size' once", "found it twice"]),
        (b"a,1,0.5\nb,2,0.5\n", ["begin with a header line", "'name', 'size', 'rate'", "'a,1,0.5'"]),
        (b"name,size,rate\na,1,0.5\nb,2.5,0.5\n", ["'size'", "Int64", "found '2.5' in row 2"]),
        (b"name,size,rate\na,1,high\n", ["'rate'", "Float64", "found 'high' in row 1"]),
        (b"name,size,rate\na,99999999999999999999,0\n", ["'size'", "'99999999999999999999' in row 1"]),
        (b"name,size,rate\na,,0.5\n", ["'size'", "found nothing in row 1"]),
        (b"name,size,rate\na,1,0.5\nb\n", ["'size'", "found nothing in row 2"]),
        (b"name,size,rate\na,1,0.5\nb,2,0.5,9\n", ["3 fields in each line", "found 4 in row 2"]),
        (b"name,size,rate\na,1,0.5\n\xff,2,0\n", ["UTF-8", "0xff", "position 23", "line 3"]),
    ],
)
def test_bad_csv_is_refused(file, data, parts):
    refused(lambda: schema.read_csv(file(data), TABLE), "table.csv", schema.REMEDY, *parts)


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        (b"a,1\n", ["3 fields in each line", "found 2 in the first"]),
        (b"a,1,0.5\nb,x,0.5\n", ["'size'", "'x' in row 2"]),
        (b"a,1,0.5\nb,2,0.5,1\n", ["found 4 in row 2"]),
    ],
)
def test_bad_csv_without_header_is_refused(file, data, parts):
    refused(lambda: schema.read_csv(file(data), TABLE, header=False), *parts)


def test_csv_with_a_broken_quote_is_refused(file):
    refused(lambda: schema.read_csv(file(b'name,size,rate\na,1,"0.5\nb,2,0\n'), TABLE), "table.csv")


def test_long_values_are_shortened_in_the_message(file):
    data = b"name,size,rate\na," + b"9x" * 500 + b",0\n"
    with pytest.raises(SchemaError) as caught:
        schema.read_csv(file(data), TABLE)
    assert len(str(caught.value)) < 250


def test_a_missing_file_is_refused(tmp_path):
    refused(lambda: schema.read_csv(tmp_path / "no.csv", TABLE), "no.csv", "readable file")


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(st.integers(-(2**62), 2**62), st.booleans()), min_size=1, max_size=30))
def test_the_first_wrong_value_is_the_one_that_is_named(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_text("n\n" + "".join(f"{value}\n" if good else f"{value}x\n" for value, good in rows))
    wrong = [place for place, (_, good) in enumerate(rows, start=1) if not good]
    declared = {"n": Column(pl.Int64)}
    if wrong:
        refused(lambda: schema.read_csv(path, declared), f"found '{rows[wrong[0] - 1][0]}x' in row {wrong[0]}:")
    else:
        assert schema.read_csv(path, declared)["n"].to_list() == [value for value, _ in rows]


def test_parquet_is_checked(file, tmp_path):
    path = tmp_path / "t.parquet"
    pl.DataFrame({"a": [1, 2], "b": ["x", None]}).write_parquet(path)
    assert schema.read_parquet(path, {"a": Column(pl.Int64)}).columns == ["a"]
    refused(lambda: schema.read_parquet(path, {"a": Column(pl.Int32)}), "'a'", "Int32", "found Int64")
    refused(lambda: schema.read_parquet(path, {"b": Column(pl.String)}), "'b'", "found nothing in row 2")
    refused(lambda: schema.read_parquet(path, {"c": Column(pl.String)}), "column 'c'")
    refused(lambda: schema.read_parquet(file(b"not parquet", "p.parquet"), {}), "p.parquet", "parquet file")


JSON = {"id": Column(pl.String), "items": Column(pl.List(pl.Struct({"x": pl.String})), nullable=True)}


def test_json_list_of_objects(file):
    data = json.dumps([{"id": "a", "items": [{"x": "1"}, {"x": "2"}]}, {"id": "b", "items": []}, {"id": "c"}])
    table = schema.read_json(file(data.encode()), JSON)
    assert table["id"].to_list() == ["a", "b", "c"]
    assert table["items"].list.len().to_list() == [2, 0, None]


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        (b"", ["empty file"]),
        (b'{"id": "a"}', ["JSON list of objects", '\'{"id"']),
        (
            b'[{"id": "a", "items": []}, {"id": "b", "it',
            ["complete JSON list", "unterminated string starting at position 39 of 42"],
        ),
        (b'[{"id": "a", "items": []}] more', ["complete JSON list", "extra data at position 27"]),
        (b'[{"id": "a", "items": []}, 7]', ["list of objects", "'7' in place 2"]),
        (b'[{"id": "a", "items": "x"}]', ["objects with id (String), items"]),
        (b'[{"items": []}]', ["'id'", "found nothing in row 1"]),
        (b'[{"id": "\xff", "items": []}]', ["UTF-8", "0xff", "position 9"]),
        (b"[]", ["at least one row"]),
    ],
)
def test_bad_json_is_refused(file, data, parts):
    refused(lambda: schema.read_json(file(data, "g.json"), JSON), "g.json", schema.REMEDY, *parts)


@pytest.mark.parametrize("end", range(1, 52, 5))
def test_json_cut_anywhere_is_refused(file, end):
    data = b'[{"id": "a", "items": [{"x": "1"}]}, {"id": "b", "items": []}]'
    refused(lambda: schema.read_json(file(data[:end], "g.json"), JSON), "g.json", "JSON list")


def test_lines(file):
    assert schema.read_lines(file(b"a b\n\nc\n")).rows() == [("a b",), ("",), ("c",)]
    refused(lambda: schema.read_lines(file(b"")), "empty file")
    refused(lambda: schema.read_lines(file(b"a\nb\n\xe4\n")), "UTF-8", "0xe4", "line 3")


def test_arrays(tmp_path, file):
    path = tmp_path / "a.npz"
    np.savez(path, X=np.ones((3, 2)), y=np.arange(3), s=np.float64(1))
    assert schema.read_array(path, "X", np.float64, columns=2).shape == (3, 2)
    assert schema.read_array(path, "y", np.int64).tolist() == [0, 1, 2]
    refused(lambda: schema.read_array(path, "Z", np.float64), "'Z'", "no array of that name")
    refused(lambda: schema.read_array(path, "X", np.int64, columns=2), "int64", "found float64 of shape (3, 2)")
    refused(lambda: schema.read_array(path, "X", np.float64, columns=3), "(rows, 3)", "found float64 of shape (3, 2)")
    refused(lambda: schema.read_array(path, "X", np.float64), "of shape (rows)", "(3, 2)")
    refused(lambda: schema.read_array(path, "s", np.float64), "shape ()")
    refused(lambda: schema.read_array(file(b"PK nothing", "b.npz"), "X", np.float64), "b.npz", ".npz archive")
    refused(lambda: schema.read_array(file(path.read_bytes()[:200], "c.npz"), "X", np.float64), "c.npz", ".npz archive")


def test_pickled_arrays_are_never_loaded(tmp_path, file):
    path = tmp_path / "o.npz"
    np.savez(path, X=np.array([{"a": 1}], dtype=object))
    refused(lambda: schema.read_array(path, "X", np.float64), "o.npz", ".npz archive")
    refused(lambda: schema.read_array(file(pickle.dumps([1]), "p.npz"), "X", np.float64), "p.npz", ".npz archive")


def test_check_names_the_table():
    table = pl.DataFrame({"a": [1, None]})
    refused(lambda: schema.check(table, {"a": Column(pl.Int64)}, "windows"), "windows: column 'a'", "row 2")
    assert schema.check(table, {"a": Column(pl.Int64, nullable=True)}, "windows").equals(table)


def test_one_of():
    table = pl.DataFrame({"a": ["x", "y", "z"]})
    assert schema.one_of(table, "a", ("x", "y", "z"), "t") is table
    refused(lambda: schema.one_of(table, "a", ("x", "y"), "t"), "hold one of x, y", "found 'z' in row 3")


def test_once():
    assert schema.once(pl.DataFrame({"a": [1, 2]}), "a", "t").height == 2
    refused(lambda: schema.once(pl.DataFrame({"a": [1, 2, 1]}), "a", "t"), "each value once", "found 1 in row 3")


def test_converted():
    table = pl.DataFrame({"a": ["1", None, "x"]})
    number = pl.col("a").cast(pl.Int64, strict=False)
    assert schema.converted(table.head(2), "a", number, "numbers", "t")["a"].to_list() == [1, None]
    refused(lambda: schema.converted(table, "a", number, "numbers", "t"), "hold numbers", "found 'x' in row 3")
