"""Raw files to template ids and sessions; identifiers in compiled loops."""

import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.datasets import sessions
from utils.errors import DataError, SchemaError
from utils.features.log_templates import LogTemplates, blocks, files, parse_file, read_sessions, write_parsed
from utils.features.log_templates.identifiers import Identifiers, Pattern
from utils.features.log_templates.masking import Block
from utils.simulate import hdfs

BLOCK = r"blk_-?\d+"


@pytest.fixture(scope="module")
def raw():
    return hdfs.raw_lines(2_000, 11)


@pytest.fixture
def log(raw, tmp_path):
    path = tmp_path / "HDFS.log"
    path.write_text("\n".join(raw) + "\n")
    return path


def by_polars(lines, pattern):
    frame = pl.DataFrame({"line": pl.int_range(1, lines.len() + 1, eager=True), "text": lines})
    return sessions.identify(frame, pattern, text="text").select("line", "session")


@pytest.mark.parametrize("size", [1, 7, 1_000, 1 << 24])
def test_the_size_of_the_blocks_does_not_matter(log, raw, size):
    lines = [text for block in blocks.of_file(log, size) for text in block.texts().to_list()]
    assert lines == raw.to_list()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a", ["a"]),
        (b"a\n\nb", ["a", "", "b"]),
        (b"\xef\xbb\xbfa\r\nb\r\n", ["a", "b"]),
        (b"x" * 9_000 + b"\ny\n", ["x" * 9_000, "y"]),
        (b"a\n" * 5_000 + b"b", ["a"] * 5_000 + ["b"]),
    ],
)
@pytest.mark.parametrize("size", [3, 5_000, 1 << 20])
def test_files_of_all_kinds_are_cut(tmp_path, data, expected, size):
    path = tmp_path / "x.log"
    path.write_bytes(data)
    assert [text for block in blocks.of_file(path, size) for text in block.texts().to_list()] == expected
    assert parse_file(path, block_bytes=size).lines["line"].to_list() == list(range(1, len(expected) + 1))


def test_a_parsed_file_is_its_lines(log, raw):
    parser, lines = parse_file(log, block_bytes=10_000)
    expected = LogTemplates().fit_transform(raw)
    assert lines.equals(expected.drop("template"))
    assert parser.templates_.equals(LogTemplates().fit(log).templates_)
    assert parse_file(log, parser).lines.equals(lines)


def test_a_fitted_parser_flags_what_it_does_not_know(log, tmp_path):
    other = tmp_path / "other.log"
    other.write_text(log.read_text() + "an unheard of line\n")
    known = parse_file(other, parse_file(log).parser).lines["known"]
    assert known.to_list() == [True] * 2_000 + [False]


def test_identifiers_of_lines(log, raw):
    lines = parse_file(log, identifier=BLOCK, block_bytes=10_000).lines
    assert lines.select("line", "session").equals(by_polars(raw, BLOCK))


def test_sessions_are_those_of_the_lines(log, raw):
    found, parser = read_sessions(log, BLOCK)
    table = parser.transform(raw).with_columns(raw.alias("text"))
    expected = sessions.by_identifier(table, BLOCK, text="text", order="line", event="template_id", keep=["line"])
    assert found.equals(expected.rename({"line": "lines"}))
    assert found["lines"].list.get(0).equals(found["first_line"])


def test_sessions_of_a_file_without_any(log, tmp_path):
    for path, pattern in ((log, "nowhere-1"), (tmp_path / "empty.log", BLOCK)):
        path.touch()
        found, _ = read_sessions(path, pattern)
        assert found.height == 0
        assert found.schema["events"] == pl.List(pl.String)


def test_parts_are_the_parsed_file(log, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "PART_LINES", 300)
    for identifier in (None, BLOCK):
        folder = tmp_path / "parsed"
        parser = write_parsed(log, folder, identifier=identifier)
        whole = parse_file(log, identifier=identifier).lines
        assert pl.read_parquet(folder / "lines-*.parquet").equals(whole)
        assert pl.read_parquet(folder / "templates.parquet").equals(parser.templates_)
        assert len(list(folder.glob("lines-*.parquet"))) == 7
    assert not (tmp_path / "parsed.part").exists()


def test_a_failed_write_leaves_the_old_parts(log, tmp_path, monkeypatch):
    folder = tmp_path / "parsed"
    write_parsed(log, folder)
    before = sorted(path.name for path in folder.iterdir())
    monkeypatch.setattr(pl.DataFrame, "write_parquet", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_parsed(log, folder)
    assert sorted(path.name for path in folder.iterdir()) == before
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []
    with pytest.raises(FileNotFoundError):
        parse_file(tmp_path / "nowhere.log")


@pytest.mark.parametrize("pattern", ["(", "(a)(b)", "a*"])
def test_patterns_that_name_nothing_are_refused(log, pattern):
    with pytest.raises(DataError, match="session pattern"):
        parse_file(log, identifier=pattern)


SIMPLE = [
    BLOCK,
    r"id=(\w+)",
    r"req-[0-9a-f-]{3,8}",
    r"[A-Z]\d{2}",
    r"\[([^\]]+)\]",
    r"x\.?y+",
    r"a\tb",
    r"([^@\s]+)@",
    r"n.\D",
    r"[\d.]+:",
    r"k\W",
]
HARD = [
    "a|b",
    r"\bx",
    "^a",
    "a$",
    "(?:a)b",
    "a+?",
    "(ab)+c",
    r"\d+\d",
    "[[:alpha:]]",
    "a{2}{3}",
    r"\p{L}",
    "é+",
    "a?",
    "[a&&b]",
    r"\x41",
]


@pytest.mark.parametrize("pattern", SIMPLE)
def test_simple_patterns_are_compiled(pattern):
    assert Pattern.of(pattern) is not None


@pytest.mark.parametrize("pattern", [*HARD, "", "(", "[", "a{", "\\", "(a", "[]"])
def test_other_patterns_are_left_to_the_engine(pattern):
    assert Pattern.of(pattern) is None


ALPHABET = "ab xyk_-.:=@[]019ABf\tqnid"


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([*SIMPLE, *(pattern for pattern in HARD if pattern not in {"a{2}{3}", "a?", "(ab)+c"})]),
    st.lists(
        st.one_of(
            st.text(ALPHABET, max_size=25),
            st.sampled_from(["blk_1 blk_-2 blk_1", "id=a id=b id=a", "req-0f-1 req-zz", "é id=x", "[a] [b] [a]"]),
        ),
        max_size=8,
    ),
)  # fmt: skip
def test_identifiers_are_those_of_the_regular_expression(pattern, lines):
    block = Block.of_bytes(np.frombuffer("".join(f"{line}\n" for line in lines).encode(), dtype=np.uint8))
    found = Identifiers(pattern)
    found.find(block, 1)
    line, number = found.all()
    expected = by_polars(pl.Series(lines, dtype=pl.String), pattern)
    assert line.tolist() == expected["line"].to_list()
    assert found.names.all().gather(number).to_list() == expected["session"].to_list()


def test_many_identifiers_in_one_line_find_room():
    data = (" ".join(f"blk_{number}" for number in range(500)) + "\n").encode()
    found = Identifiers(BLOCK)
    found.find(Block.of_bytes(np.frombuffer(data, dtype=np.uint8)), 0)
    assert found.names.all().to_list() == re.findall(BLOCK, data.decode())
    assert found.all()[0].tolist() == [0] * 500


def test_sessions_by_name_need_names():
    frame = pl.DataFrame({"LineId": [1, 2, 3], "EventId": ["a", "b", "c"], "session": ["x", None, "x"]})
    assert sessions.by_name(frame)["events"].to_list() == [["a", "c"]]
    with pytest.raises(SchemaError, match="session"):
        sessions.by_name(frame.drop("session"))
