"""Own data: tables in all the forms in which people keep them."""

import bz2
import csv
import gzip
import io
import json
import lzma
from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.loading import load_own, reasons
from utils.datasets import own
from utils.datasets.own import delimited
from utils.datasets.own.entry import OwnEntry
from utils.errors import CatalogError, DataError, LabError, SchemaError

LABEL = {"columns": {"label": "y"}, "anomaly": ["bad"]}
PLAIN = "a,y\n1,bad\n2,ok\n"


@pytest.fixture
def put(tmp_path):
    """Write files into the data folder."""

    def write(**files):
        for name, content in files.items():
            path = tmp_path / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(exist_ok=True, parents=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path

    return write


@pytest.fixture
def load(tmp_path):
    def loaded(content=None, name="f.csv", **table):
        contents = {} if content is None else {name: content}
        return load_own(tmp_path, contents, **{"kind": "table", "files": [name], **table})

    return loaded


def test_a_table_gets_its_labels_roles_and_origin(load):
    content = "when,user,n,kind,y,note\n" + "".join(
        f"2024-01-{day:02d},u{day % 3},{day},{'dos,bad' if day % 5 == 0 else ',ok'},text {day}\n"
        for day in range(1, 31)
    )
    roles = {"label": "y", "type": "kind", "time": "when", "group": "user", "ignore": ["note"]}
    dataset = load(content, columns=roles, anomaly=["bad"], title="Mine", licence="none", cite="me")
    rows, meaning = dataset["rows"], dataset.roles["rows"]
    assert (dataset.source, dataset.origin, dataset.kind, dataset.main) == ("real", "own files", "table", "rows")
    assert dataset.digest.startswith("sha256:")
    assert (dataset.title, dataset.licence, dataset.cite) == ("Mine", "none", "me")
    assert "the entry does not say who set them" in dataset.truth
    assert rows.filter("is_anomaly")["anomaly_type"].unique().to_list() == ["dos"]
    assert rows.filter(~pl.col("is_anomaly"))["anomaly_type"].unique().to_list() == ["normal"]
    assert rows.schema["when"] == pl.Datetime("us")
    assert "note" not in rows.columns
    assert meaning.features == ()
    assert (meaning.unit, meaning.time, meaning.group) == ("row", "when", "user")
    assert meaning.withheld == {"n": "numbers the rows"}
    assert rows.columns == ["when", "user", "n", "is_anomaly", "anomaly_type"]


def test_a_table_without_a_label_says_that_nobody_labelled_it(load):
    dataset = load("a,b\n1,x\n2,y\n")
    assert dataset.truth == "nobody labelled these data"
    assert dataset.title == "own files of kind table"
    assert dataset.roles["rows"].label is None
    assert dataset["rows"].columns == ["a", "b"]


def test_features_are_numbers_truth_values_and_words_of_few_values(load):
    rows = [
        f"{row * 1.5},{row % 2 == 0},w{row % 3},name{row},{row},,2024-01-01,{'bad' if row % 7 == 0 else 'ok'}"
        for row in range(60)
    ]
    dataset = load("number,truth,word,name,row,empty,day,y\n" + "\n".join(rows), **LABEL)
    meaning = dataset.roles["rows"]
    assert meaning.features == ("number", "truth", "word")
    assert set(meaning.withheld) == {"name", "row", "empty", "day"}
    assert "60 different values" in meaning.withheld["name"]


def test_chosen_features_are_the_only_ones(load):
    dataset = load(
        "a,b,c,y\n1,2,3,bad\n1,2,3,ok\n",
        columns={"label": "y", "features": ["b", "b"], "identity": ["c"]},
        anomaly=["bad"],
    )
    meaning = dataset.roles["rows"]
    assert (meaning.features, meaning.identity) == (("b",), ("c",))
    assert meaning.withheld["a"] == "not among the features of the entry"


DIALECTS = {
    "semicolon, decimal comma, BOM, CRLF": b"\xef\xbb\xbfx;y\r\n1,5;bad\r\n-2,25;ok\r\n",
    "tab": b"x\ty\n1.5\tbad\n-2.25\tok\n",
    "pipe": b"x|y\n1.5|bad\n-2.25|ok\n",
    "carriage returns only": b"x,y\r1.5,bad\r-2.25,ok\r",
    "UTF-16 as spreadsheets write it": "x\ty\n1.5\tbad\n-2.25\tok\n".encode("utf-16"),
    "spaces around": b" x , y\n 1.5 , bad\n-2.25,ok \n",
    "blank lines": b"x,y\n\n1.5,bad\n,\n-2.25,ok\n\n",
    "quotes": b'"x","y"\n"1.5","bad"\n"-2.25","ok"\n',
    "no newline at the end": b"x,y\n1.5,bad\n-2.25,ok",
    "stray quotes elsewhere": b'x,y,z\n1.5,bad,5" disk\n-2.25,ok,6"\n',
    "spaces before quotes": b'x,y,z\n1.5,bad, "a, b"\n-2.25,ok, "c"\n',
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_dialects_of_csv_are_read_alike(load, dialect):
    rows = load(DIALECTS[dialect], **LABEL)["rows"]
    assert rows["x"].to_list() == [1.5, -2.25]
    assert rows["is_anomaly"].to_list() == [True, False]


COLUMNS = {
    "integers": (["1", "-2", "+3"], [1, -2, 3]),
    "floats": (["1", "2.5", "1e3"], [1.0, 2.5, 1000.0]),
    "words for missing": (["1", "NA", "n/a", "-", "", "NaN"], [1, None, None, None, None, None]),
    "codes": (["007", "012"], ["007", "012"]),
    "zero point": (["0.5", "00.5"], [0.5, 0.5]),
    "long numbers": (
        ["12345678901234567890", "12345678901234567891"],
        ["12345678901234567890", "12345678901234567891"],
    ),
    "one odd value": (["1"] * 9 + ["x"], ["1"] * 9 + ["x"]),
    "truth": (["true", "FALSE", "NA"], [True, False, None]),
    "truth and numbers": (["true", "1"], ["true", "1"]),
    "percent": (["5%", "6%"], ["5%", "6%"]),
    "only words for missing": (["NA", "NA"], ["NA", "NA"]),
    "country code of Namibia": (["NA", "DE"], ["NA", "DE"]),
    "decimal commas": (["1,5", "2,25", "NA"], [1.5, 2.25, None]),
    "decimal commas and no end": (["1,5", "-inf", "Infinity"], [1.5, None, None]),
    "points and commas": (["1.234,5", "2"], [1234.5, 2.0]),
    "thousands": (["1,234,567", "2"], [1234567.0, 2.0]),
    "thousands and points": (["1,234.5", "2"], [1234.5, 2.0]),
    "either": (["1,234", "5,678"], ["1,234", "5,678"]),
    "lists of numbers": (["1,2,3", "4,5"], ["1,2,3", "4,5"]),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_types_are_found_over_all_values(load, case):
    values, expected = COLUMNS[case]
    rows = load("x;z\n" + "".join(f'"{value}";k\n' for value in values))["rows"]
    assert rows["x"].to_list() == expected


def test_commas_in_numbers_are_reported_and_decimal_settles_them(load):
    either = "x;z\n1,234;k\n5,678;k\n"
    assert "commas in 'x' that may be decimal or thousands" in reasons(load(either))
    assert load(either, decimal=",")["rows"]["x"].to_list() == [1.234, 5.678]
    assert load(either, decimal=".")["rows"]["x"].to_list() == [1234.0, 5678.0]
    assert reasons(load("x;z\n1,5;k\n5;k\n")) == {"commas in the numbers of 'x'": 1}


def test_decimal_commas_leave_numbers_without_one_numbers(load):
    content = "n;b;x;code\n" + "".join(f"{n};{n % 2 == 0};1.00{n % 10},5;0{n % 10}\n" for n in range(60))
    rows = load(content.lower(), decimal=",")["rows"]
    assert rows.dtypes == [pl.Int64, pl.Boolean, pl.Float64, pl.String]
    assert rows["x"][3] == 1003.5


def test_the_first_comma_may_stand_far_down(load):
    rows = load("x;z\n" + "5;k\n" * 1_500 + "2,5;k\n")["rows"]
    assert (rows["x"][0], rows["x"][-1]) == (5.0, 2.5)


def test_infinite_numbers_are_missing_and_counted(load):
    dataset = load("a,b\nInfinity,1\n2,-inf\n3,4\n")
    assert dataset["rows"]["a"].to_list() == [None, 2.0, 3.0]
    assert reasons(dataset) == {"rows with an infinite number": 2}


ODD = {
    "a word": (["1", "2.5"] * 10 + ["timeout"], "texts such as 'timeout' among the numbers of 'x'"),
    "a unit": (["1,5", "2"] * 10 + ["3 ms"], "texts such as '3 ms' among the numbers of 'x'"),
    "mostly text": (["1"] * 10 + ["a", "b"], ""),
    "codes": (["007"] * 20, ""),
    "long numbers": (["12345678901234567890"] * 20, ""),
}


@pytest.mark.parametrize("case", ODD)
def test_texts_among_numbers_are_reported_and_nulls_settle_them(load, case):
    values, what = ODD[case]
    content = "x;z\n" + "".join(f"{value};k\n" for value in values)
    dataset = load(content)
    assert dataset["rows"]["x"].to_list() == values
    assert [(found, rows) for found, rows in reasons(dataset).items()] == ([(what, 1)] if what else [])
    if what:
        assert load(content, nulls=[values[-1]])["rows"]["x"].dtype == pl.Float64


def test_json_with_texts_among_numbers_is_settled_in_the_same_way(load):
    objects = [{"in": {"ms": n + 0.5}, "code": "007"} for n in range(20)] + [{"in": {"ms": "timeout"}}, {}]
    content = "\n".join(map(json.dumps, objects))
    assert reasons(load(content, name="f.jsonl")) == {"texts such as 'timeout' among the numbers of 'in.ms'": 1}
    rows = load(content, name="f.jsonl", nulls=["timeout"])["rows"]
    assert (rows["in.ms"].sum(), rows["in.ms"].null_count()) == (200.0, 2)
    assert rows["code"][0] == "007"


def test_labels_that_mean_nothing_are_left_out_with_nulls(load):
    content, lists = "a,y\n1,yes\n2,no\n3,unknown\n4,no\n", {"anomaly": ["yes"], "normal": ["no"]}
    with pytest.raises(DataError, match=r"found also 'unknown': add them to anomaly or normal .* or to nulls to leave"):
        load(content, columns={"label": "y"}, **lists)
    dataset = load(content, columns={"label": "y"}, nulls=["unknown"], **lists)
    assert dataset["rows"]["a"].to_list() == [1, 2, 4]
    assert reasons(dataset) == {"rows without a label": 1}
    numbers = load("a,y\n1,1\n2,0\n3,-1\n4,0\n", columns={"label": "y"}, anomaly=[1], nulls=["-1"])
    assert numbers["rows"]["is_anomaly"].to_list() == [True, False, False]


def test_further_words_for_missing(load, put):
    rows = load("a,b,c\n1,x,k\nmissing,?,k\n", nulls=["missing", "?"])["rows"]
    assert rows.rows() == [(1, "x", "k"), (None, None, "k")]
    pl.DataFrame({"b": ["x", "?"]}).write_parquet(put() / "g.parquet")
    assert load(name="g.parquet", nulls=["?"])["rows"]["b"].to_list() == ["x", None]


def test_column_names_are_made_unique(load):
    assert load("a, a,,b\n1,2,3,4\n5,6,7,8\n")["rows"].columns == ["a", "a_duplicated_0", "column_3", "b"]
    assert load("a, a,a\n1,2,3\n")["rows"].columns == ["a", "a_duplicated_1", "a_duplicated_0"]
    assert "a column name that stands twice: a_duplicated_0" in reasons(load("a,a\n1,2\n"))


def test_files_without_a_header(load):
    assert load("1,bad\n2,ok\n", names=["a", "y"], **LABEL)["rows"]["a"].to_list() == [1, 2]
    assert load('1,b"d\n2,ok\n', names=["a", "y"])["rows"]["y"].to_list() == ['b"d', "ok"]
    with pytest.raises(CatalogError, match=r"names must name the 2 columns of .*, found 3 names"):
        load("1,bad\n2,ok\n", names=["a", "y", "z"])


@pytest.mark.parametrize("form", ["jsonl", "json", "json lines", "parquet", "csv.gz", "csv.bz2", "csv.xz", "no ending"])
def test_forms_of_files_are_found(load, put, form):
    objects = [{"a": 1, "y": "bad", "in": {"b": {"c": 1.5}}}, {"a": 2, "y": "ok", "in": {"b": {"c": None}}}]
    lines = "\n".join(map(json.dumps, objects))
    written = {
        "jsonl": ("f.jsonl", lines.encode()),
        "json": ("f.json", json.dumps(objects).encode()),
        "json lines": ("f.json", lines.encode()),
        "csv.gz": ("f.csv.gz", gzip.compress(PLAIN.encode())),
        "csv.bz2": ("f.csv.bz2", bz2.compress(PLAIN.encode())),
        "csv.xz": ("f.csv.xz", lzma.compress(PLAIN.encode())),
        "no ending": ("KDDTrain+", PLAIN.encode()),
        "parquet": ("f.parquet", parquet(objects)),
    }
    name, content = written[form]
    rows = load(content, name, **LABEL)["rows"]
    assert rows["a"].to_list() == [1, 2]
    assert rows["is_anomaly"].to_list() == [True, False]
    if "json" in form or form == "parquet":
        assert rows["in.b.c"].to_list() == [1.5, None]


def parquet(objects):
    buffer = io.BytesIO()
    pl.DataFrame(objects).write_parquet(buffer)
    return buffer.getvalue()


def test_several_files_are_one_table_in_natural_order(load, put):
    put(d__f10_csv="a,b\n10,x\n", d__f2_csv="b,a\ny,2\n", d__f1_csv="a,b\n1,z\n")
    dataset = load(files=["d/f*.csv"])
    assert dataset["rows"].rows() == [(1, "z"), (2, "y"), (10, "x")]
    assert load(files=["d/f10.csv", "d/f*.csv"])["rows"]["a"].to_list() == [10, 1, 2]
    assert load(files=[str(put() / "d" / "f1.csv")])["rows"].height == 1
    assert load(files=["**/f1.csv"])["rows"].height == 1


def test_the_home_folder_and_names_with_brackets(load, put, monkeypatch):
    folder = put(home__a_csv=PLAIN, own__x=PLAIN)
    (folder / "own" / "odd [1].csv").write_text(PLAIN)
    monkeypatch.setenv("HOME", str(folder / "home"))
    assert load(files=["~/a.csv"])["rows"].height == 2
    assert load(files=["own/odd [1].csv"])["rows"].height == 2


def test_globs_work_in_a_data_folder_with_brackets_and_with_odd_digits(tmp_path):
    folder = tmp_path / "copy [2]"
    folder.mkdir()
    assert load_own(folder, {"a1²3.csv": PLAIN, "a1²4.csv": PLAIN}, kind="table", files=["a*.csv"])["rows"].height == 4


def test_the_digest_is_that_of_the_files_whatever_their_place(load, put):
    first = load(PLAIN).digest
    assert load(PLAIN, "g.csv").digest == first
    assert load(PLAIN + "3,ok\n").digest != first


def test_rows_without_a_label_are_left_out_or_mean_what_the_entry_says(load):
    content = "a,y\n1,bad\n2,\n3,ok\n"
    assert reasons(load(content, **LABEL)) == {"rows without a label": 1}
    assert load(content, columns={"label": "y"}, normal=["", "ok"])["rows"]["is_anomaly"].to_list() == [
        True,
        False,
        False,
    ]
    assert load("a,y\n1,bad\n2,\n", columns={"label": "y"}, normal=[""])["rows"]["is_anomaly"].to_list() == [
        True,
        False,
    ]
    assert load(content, columns={"label": "y"}, anomaly=["", "bad"])["rows"]["anomaly_type"].to_list() == [
        "bad",
        "anomaly",
        "normal",
    ]


def test_one_class_only_is_reported(load):
    dataset = load("a,y\n1,ok\n2,ok\n", columns={"label": "y"}, anomaly=["bad"], normal=["ok"])
    assert reasons(dataset) == {"every label says normal: one class only": 2}


def test_a_label_may_have_the_name_that_the_laboratory_uses(load):
    dataset = load(
        "a,is_anomaly,anomaly_type\n1,1,dos\n2,0,\n",
        columns={"label": "is_anomaly", "type": "anomaly_type"},
        anomaly=[1],
    )
    assert dataset["rows"].rows() == [(1, True, "dos"), (2, False, "normal")]
    assert dataset.roles["rows"].features == ("a",)


@pytest.mark.parametrize(
    ("values", "anomaly"),
    [("1,0", [1]), ("1.0,0.0", [1]), ("True,False", [True]), ("-1,1", [-1]), (" bad , ok", ["bad"])],
)
def test_label_values_may_be_words_numbers_or_truth_values(load, values, anomaly):
    content = "a;y\n" + "".join(f"{place};{value}\n" for place, value in enumerate(values.split(",")))
    assert load(content, columns={"label": "y"}, anomaly=anomaly)["rows"]["is_anomaly"].to_list() == [True, False]


@pytest.mark.parametrize("values", [[True, False], [1, 0], [1.0, 0.0]])
def test_typed_labels_of_parquet(load, put, values):
    pl.DataFrame({"a": [1, 2], "y": values}).write_parquet(put() / "f.parquet")
    dataset = load(name="f.parquet", columns={"label": "y"}, anomaly=[values[0]])
    assert dataset["rows"].select("is_anomaly", "anomaly_type").rows() == [(True, "anomaly"), (False, "normal")]


def test_kinds_of_anomaly_are_the_labels_unless_there_is_one_number_only(load):
    content = "a,y\n" + "".join(f"{place},{place % 3}\n" for place in range(6))
    several = load(content, columns={"label": "y"}, normal=[0])["rows"]
    assert several["anomaly_type"].to_list() == ["normal", "1", "2"] * 2
    one = load(content, columns={"label": "y"}, anomaly=[2])["rows"]
    assert one["anomaly_type"].to_list() == ["normal", "normal", "anomaly"] * 2
    named = load("a,y,k\n1,x,\n2,x,dos\n3,,dos\n", columns={"label": "y", "type": "k"}, anomaly=["x"], normal=[""])[
        "rows"
    ]
    assert named["anomaly_type"].to_list() == ["anomaly", "dos", "normal"]


def test_a_published_split_is_written_in_one_way(load):
    dataset = load("a,s,y\n1,Train,bad\n2,testing,ok\n", columns={"label": "y", "split": "s"}, anomaly=["bad"])
    assert dataset["rows"]["s"].to_list() == ["train", "test"]
    assert dataset.roles["rows"].split == "s"


BROKEN = {
    "no such file": (None, {"files": ["own/mine.csv"]}, CatalogError, "files names 'own/mine.csv', found no such file"),
    "a near name": (PLAIN, {"files": ["g.csv"]}, CatalogError, "(did you mean 'f.csv'?)"),
    "a glob without a match": (PLAIN, {"files": ["*.tsv"]}, CatalogError, "holds the glob '*.tsv', found no file"),
    "the home of nobody": (PLAIN, {"files": ["~no-such-user/a.csv"]}, CatalogError, "found no such user's folder"),
    "a name that is too long": (PLAIN, {"files": ["a" * 300]}, CatalogError, "found it unusable (File name too long)"),
    "a folder": (PLAIN, {"files": ["."]}, CatalogError, "must name files, found the folder '.'"),
    "an empty file": ("", {}, DataError, "must hold data, found an empty file"),
    "white space only": (b"\xef\xbb\xbf\r\n \n", {}, DataError, "must hold data, found an empty file"),
    "a header only": ("a,y\n", {}, SchemaError, "must hold rows, found a header only"),
    "blank rows only": ("a,y\n,\n,\n", {}, SchemaError, "must hold rows, found a header only"),
    "notes only": (b"#separator \\x09\n#close\t2024\n", {}, SchemaError, "must hold rows, found none"),
    "no UTF-8": ("a,y\n1,é\n".encode("latin-1"), {}, SchemaError, "found byte 0xe9 at position 6 (line 2)"),
    "another encoding": (
        "a,y\n1,é\n".encode(),
        {"encoding": "ascii"},
        SchemaError,
        "must be text in ascii, found byte 0xc3",
    ),
    "zero bytes": (b"a,y\n1,\x00\n", {}, SchemaError, "found zero bytes"),
    "too many fields": ("a,y\n1,bad\n1,2,3\n", {}, SchemaError, "must have 2 columns in each row, found 3 in line 3"),
    "an open quote": ('a,y\n1,bad\n2,"ok\n', {}, SchemaError, "found the row from line 3 broken"),
    "no such column": (PLAIN, {"columns": {"time": "why"}}, CatalogError, "columns.time names the column 'why'"),
    "a near column": (PLAIN, {"columns": {"time": "Y"}}, CatalogError, "(did you mean 'y'?): its columns are 'a', 'y'"),
    "no such listed column": (
        PLAIN,
        {"columns": {"ignore": ["b"]}},
        CatalogError,
        "columns.ignore names the column 'b'",
    ),
    "a taken name": (
        "a,is_anomaly\n1,1\n",
        {},
        CatalogError,
        'write label = "is_anomaly" (or type), or add it to ignore',
    ),
    "unknown label values": (
        PLAIN,
        {"columns": {"label": "y"}, "anomaly": ["bad"], "normal": ["good"]},
        DataError,
        "must hold the values of anomaly and normal only, found also 'ok'",
    ),
    "label values that do not occur": (PLAIN, LABEL | {"anomaly": ["Bad"]}, DataError, "found 'bad', 'ok': correct it"),
    "hardly any label": ("a,y\n1,bad\n2,\n3,\n4,\n", LABEL, DataError, "must have a label, found none in 3 of 4"),
    "no label at all": ("a,y\n1,\n2,\n", LABEL, DataError, "must have a label, found none in 2 of 2"),
    "another split": (
        PLAIN,
        {"columns": {"split": "y"}},
        DataError,
        "column 'y' must hold train and test, found 'bad'",
    ),
    "no time": (PLAIN, {"columns": {"time": "y"}}, CatalogError, "time_format is needed to read column 'y'"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_cannot_be_used_is_refused_with_one_sentence(load, case):
    content, table, kind, said = BROKEN[case]
    with pytest.raises(kind) as refused:
        load(content, **table)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


DAMAGED = {
    "f.csv.gz": (gzip.compress(PLAIN.encode())[:-9], DataError, "is a damaged .gz file"),
    "f.csv.bz2": (bz2.compress(PLAIN.encode())[:-9], DataError, "is a damaged .bz2 file"),
    "f.csv.xz": (lzma.compress(PLAIN.encode())[:-9], DataError, "is a damaged .xz file"),
    "g.csv.gz": (PLAIN.encode(), DataError, "must be packed as its ending .gz says"),
    "f.zip": (b"PK\x03\x04rest", DataError, "found a zip archive or an Excel sheet"),
    "f.parquet": (b"PAR1rest", SchemaError, "is a damaged parquet file"),
    "g.parquet": (PLAIN.encode(), SchemaError, "must be a parquet file as its ending says"),
    "f.jsonl": (b'{"a": 1}\n{"a": \n', SchemaError, "with one object a line, found line 2 broken"),
    "g.jsonl": (b'{"a": 1}\n3\n', SchemaError, "found line 2 to be none"),
    "f.json": (b'[{"a": 1},\n{"a": ]', SchemaError, "found line 2 broken"),
    "h.jsonl": (b'{"a": 1}\n{"a": NaN}\n', SchemaError, "with one object a line, found line 2 broken"),
    "g.json": (b"[1, [2]]", SchemaError, "must be JSON"),
    "k.json": (b"[" + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"]", SchemaError, "must be JSON"),
    "j.json": (b'[{"a": {"b": 1}, "a.b": 2}]', SchemaError, "found keys within 'a' that clash"),
    "h.json": (b"[]", SchemaError, "must"),
    "i.json": (b"[{}]", SchemaError, "must hold rows"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_are_refused(load, name):
    content, kind, said = DAMAGED[name]
    with pytest.raises(kind) as refused:
        load(content, name)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("role", ["label", "type", "time", "group", "split"])
@pytest.mark.parametrize("value", [[1, 2], b"\xff", timedelta(1)], ids=["list", "bytes", "length of time"])
def test_a_role_needs_a_column_of_plain_values(load, put, role, value):
    pl.DataFrame({"odd": [value, value], "y": ["bad", "ok"]}).write_parquet(put() / "f.parquet")
    columns = {"label": "y", role: "odd"}
    with pytest.raises(CatalogError, match=f"columns.{role} must name a column of texts, .* found 'odd'"):
        load(files=["f.parquet"], columns=columns, anomaly=["bad"])


def test_a_time_may_be_a_category(load, put):
    times = pl.Series(["2024-01-01", "2024-01-02"], dtype=pl.Categorical)
    pl.DataFrame({"when": times, "n": [1, 2]}).write_parquet(put() / "f.parquet")
    assert load(files=["f.parquet"], columns={"time": "when"})["rows"]["when"].dt.day().to_list() == [1, 2]


def test_files_that_do_not_belong_together_are_refused(load, put):
    put(f1_csv="a,b\n1,x\n", f2_csv="a,c\n1,x\n", f3_csv="a,b\n1,x\n")
    with pytest.raises(SchemaError, match=r"found 'b' missing in .*f2.csv"):
        load(files=["f1.csv", "f2.csv"])
    pl.DataFrame({"a": [[1]], "b": ["x"]}).write_parquet(put() / "f4.parquet")
    with pytest.raises(SchemaError, match="must have the same types"):
        load(files=["f3.csv", "f4.parquet"])


def test_an_unreadable_file_is_refused(load, monkeypatch):
    from pathlib import Path

    def denied(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(DataError, match=r"f.csv cannot be read \(Permission denied\)"):
        load(PLAIN)


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00\ufeff"), max_size=8).filter(
    lambda cell: cell == cell.strip()
)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=12), st.sampled_from(delimited.DELIMITERS))
def test_any_csv_that_python_writes_is_read_back(rows, delimiter):
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([("one", "two"), *rows])
    entry = OwnEntry("mine", "table", None, ("x",), delimiter=delimiter)
    frame = delimited.parse(entry, None, buffer.getvalue().encode())
    assert [tuple(cell or "" for cell in row) for row in frame.rows()] == rows


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_in_a_sentence(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("any")
    (folder / "f.csv").write_bytes(data)
    try:
        own.load(own.declare("mine", {"kind": "table", "files": ["f.csv"]}, folder))
    except LabError as error:
        refusal = str(error)
    else:
        refusal = "accepted"
    assert "\n" not in refusal


def test_a_windows_path_elsewhere_says_what_separates_folders(load):
    with pytest.raises(CatalogError, match=r"found no such file, and \\ is no separator of folders here \(write /\)"):
        load(files=["own\\f.csv"])


def test_a_wrong_delimiter_is_named_where_rows_break(load):
    with pytest.raises(SchemaError, match=r"close its quotes, or correct delimiter = ',' in the entry"):
        load('a;"b";c\n"1;2";3;"4\n', delimiter=",")


@pytest.mark.parametrize("names", [[], ["when", "peer", "sent", "y"]])
def test_zeek_logs_are_read_with_their_notes(load, names):
    notes = "#separator \\x09\n#unset_field\t-\n#fields\tts\tid.resp_h\torig_bytes\tlabel\n#types\ttime\taddr\n"
    rows = "1714550400.5\t10.0.0.1\t-\tbad\n1714550401.5\t10.0.0.2\t40\tok\n"
    written = names or ["ts", "id.resp_h", "orig_bytes", "label"]
    columns = {"label": written[3], "time": written[0]}
    content = f"{notes}{rows}#close\t2024-05-01\n"
    table = load(content, "conn.log", columns=columns, anomaly=["bad"], names=names)["rows"]
    assert table.columns[:3] == written[:3]
    assert table[written[2]].to_list() == [None, 40]
    assert table["is_anomaly"].to_list() == [True, False]


def test_a_length_of_time_is_withheld_with_the_way_to_use_it(put):
    took = pl.Series([timedelta(seconds=s) for s in range(3)])
    data = put()
    pl.DataFrame({"took": took, "n": [1, 2, 5], "y": ["bad", "ok", "ok"]}).write_parquet(data / "f.parquet")
    dataset = load_own(data, {}, kind="table", files=["f.parquet"], **LABEL)
    assert "written as a number" in dataset.roles["rows"].withheld["took"]
