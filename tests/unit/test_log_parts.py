"""Logs parsed part by part are the logs that are parsed at once."""

import bz2
import gzip
import lzma
import shutil

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from utils.datasets import sessions
from utils.errors import DataError
from utils.features import log_parts
from utils.features.log_parts import grouping, log, parsing
from utils.features.log_templates import LogTemplates, blocks, parse_file, read_sessions
from utils.simulate import hdfs

BLOCK = r"blk_-?\d+"
PACK = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    path = tmp_path_factory.mktemp("raw") / "HDFS.log"
    hdfs.write_raw(path, 3_000, 5)
    return path


@pytest.fixture(scope="module")
def parsed(raw, tmp_path_factory):
    return log_parts.parse_log(raw, tmp_path_factory.mktemp("parsed"), BLOCK, part_bytes=60_000)


def in_order(frame):
    return frame.collect().sort("first_row").drop("first_row")


def require_same(found, path, identifier=BLOCK, parser=None):
    """Check everything against the way through memory."""
    whole = parse_file(path, parser, identifier=identifier)
    assert found.lines().collect().equals(whole.lines)
    assert found.files["lines"].sum() == found.templates["count"].sum()
    if parser is None:
        assert found.parser().templates_.equals(whole.parser.templates_)
        assert found.templates.drop("known").equals(whole.parser.templates_.drop("skeletons"))
    if identifier is None:
        return
    expected, _ = read_sessions(path, identifier, parser)
    assert in_order(found.sessions()).equals(expected)
    distinct = sessions.distinct_sequences(expected).table.drop("sequence_id")
    assert in_order(found.distinct()).cast({"count": pl.UInt32}).equals(distinct)


def test_parts_are_whole_lines_and_the_whole_file(raw):
    data = raw.read_bytes()
    for size in (1, 100, 12_345, len(data), 1 << 30):
        parts = log_parts.divide(raw, size)
        pieces = [data[part.begin : part.end] for part in parts]
        assert b"".join(pieces) == data
        assert all(piece.endswith(b"\n") for piece in pieces)
        assert all(
            piece[:size].count(b"\n") <= piece.count(b"\n") <= piece[: size - 1].count(b"\n") + 1 for piece in pieces
        )
    assert len(log_parts.divide(raw, 1)) == 3_000
    assert len(log_parts.divide(raw, 1 << 30)) == 1


def test_a_parsed_log_is_the_parsed_file(parsed, raw):
    assert len(parsed.plan.pieces) == -(-raw.stat().st_size // 60_000)
    assert parsed.plan.shares == 8
    require_same(parsed, raw)


def test_without_sessions_there_are_lines(raw, tmp_path):
    found = log_parts.parse_log(raw, tmp_path, part_bytes=100_000)
    require_same(found, raw, None)
    with pytest.raises(DataError, match="identifier"):
        found.sessions()


def test_a_fitted_parser_is_used(raw, tmp_path):
    parser = LogTemplates().fit(hdfs.raw_lines(50, 5))
    found = log_parts.parse_log(raw, tmp_path, BLOCK, parser=parser, part_bytes=100_000)
    assert not found.templates["known"].all()
    require_same(found, raw, parser=parser)


def test_several_files_are_one_log(raw, tmp_path):
    lines = raw.read_bytes().splitlines(keepends=True)
    cuts = (0, 700, 700, 2_100, 3_000)
    files = [tmp_path / f"{number}.log{ending}" for number, ending in enumerate(PACK)]
    for number, pack in enumerate(PACK.values()):
        files[number].write_bytes(pack(b"".join(lines[cuts[number] : cuts[number + 1]])))
    found = log_parts.parse_log(files, tmp_path / "parsed", BLOCK, part_bytes=50_000)
    require_same(found, raw)
    assert found.files["file"].to_list() == [str(files[place]) for place in (0, 2, 3)]
    assert found.files["first_line"].to_list() == [1, 701, 2_101]


LINES = st.lists(
    st.one_of(
        st.builds("step {} of blk_{} and blk_{} done".format, st.integers(0, 9), st.integers(0, 4), st.integers(0, 4)),
        st.builds("opened blk_{} by user {}".format, st.integers(0, 3), st.sampled_from(["ada", "bob", "cid", "dan"])),
        st.sampled_from(
            [
                "",
                "\r",
                "nothing here",
                "blk_7",
                "x" * 60 + " blk_1",
                "é blk_2 \ud83d".encode("utf-8", "replace").decode(),
            ]
        ),
    ),
    max_size=15,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=LINES,
    part_bytes=st.integers(20, 300),
    pack=st.sampled_from(["", "", ".gz"]),
    end=st.sampled_from(["\n", "\r\n"]),
    finished=st.booleans(),
    mark=st.booleans(),
)
def test_any_division_gives_the_same(tmp_path, lines, part_bytes, pack, end, finished, mark):
    path = tmp_path / f"any.log{pack}"
    text = end.join(lines) + end * (finished and bool(lines))
    data = b"\xef\xbb\xbf" * mark + text.encode()
    path.write_bytes(PACK[pack](data))
    plain = tmp_path / "plain.log"
    plain.write_bytes(data)
    found = log_parts.parse_log(path, tmp_path / "any", BLOCK, part_bytes=part_bytes)
    require_same(found, plain)


def test_one_session_may_be_all_lines(tmp_path):
    # folders may be called anything
    tmp_path = tmp_path / "a[b]*"
    tmp_path.mkdir()
    path = tmp_path / "one.log"
    path.write_text("".join(f"step {number % 7} of blk_1\n" for number in range(2_000)))
    found = log_parts.parse_log(path, tmp_path / "parsed", BLOCK, part_bytes=1_000)
    assert found.sessions().select("n_events").collect().item() == 2_000
    require_same(found, path)


def test_processes_give_the_same(raw, parsed, tmp_path):
    found = log_parts.parse_log(raw, tmp_path, BLOCK, part_bytes=60_000, workers=2)
    assert in_order(found.sessions()).equals(in_order(parsed.sessions()))
    assert in_order(found.distinct()).equals(in_order(parsed.distinct()))


def changed(folder):
    return {path.name: path.stat().st_mtime_ns for path in sorted(folder.rglob("*.parquet"))}


def test_what_is_there_is_not_made_again(raw, tmp_path, monkeypatch):
    log_parts.parse_log(raw, tmp_path, BLOCK, part_bytes=60_000)
    before = changed(tmp_path)
    killed = [tmp_path / "parts" / ".killed", tmp_path / ".log.json.1.part"]
    killed[0].mkdir()
    killed[1].touch()
    monkeypatch.setattr(parsing, "scan", lambda *_: pytest.fail("lines are scanned again"))
    monkeypatch.setattr(grouping, "_collected", lambda *_: pytest.fail("sessions are gathered again"))
    require_same(log_parts.parse_log(raw, tmp_path, BLOCK, part_bytes=60_000), raw)
    assert changed(tmp_path) == before
    assert not any(path.exists() for path in killed)
    require_same(log_parts.open_log(tmp_path), raw)


@pytest.mark.parametrize("pack", ["", ".gz"])
def test_a_log_that_has_grown_is_parsed_from_where_it_grew(raw, tmp_path, monkeypatch, pack):
    lines = raw.read_bytes().splitlines(keepends=True)
    path = tmp_path / f"growing.log{pack}"
    scanned, scan = [], parsing.scan
    monkeypatch.setattr(parsing, "scan", lambda lines, identifier: scanned.append(1) or scan(lines, identifier))
    for count in (2_500, 3_000):
        path.write_bytes(PACK[pack](b"".join(lines[:count])))
        scanned.clear()
        found = log_parts.parse_log(path, tmp_path / "parsed", BLOCK, part_bytes=60_000)
        require_same(found, path)
        pieces = len(found.plan.pieces)
        assert len(scanned) == (2 if count == 3_000 and not pack else pieces)
    kept = {folder.name for folder in (tmp_path / "parsed" / "parts").iterdir()}
    assert kept == {piece.key for piece in found.plan.pieces}
    assert len(list((tmp_path / "parsed" / "groups").iterdir())) == 1


@pytest.mark.parametrize("round_", ["parse_part", "sessions_part", "distinct_part"])
def test_an_interrupted_run_leaves_nothing_unfinished_and_goes_on(raw, tmp_path, monkeypatch, round_):
    whole, calls = getattr(log, round_), []

    def interrupted(*job):
        calls.append(job)
        if len(calls) == 3:
            monkeypatch.setattr(
                pl.DataFrame, "write_parquet", lambda *_, **__: (_ for _ in ()).throw(OSError("disk full"))
            )
        return whole(*job)

    with monkeypatch.context() as broken:
        broken.setattr(log, round_, interrupted)
        with pytest.raises(OSError, match="disk full"):
            log_parts.parse_log(raw, tmp_path, BLOCK, part_bytes=60_000)
        monkeypatch.undo()
    assert not list(tmp_path.rglob(".*"))
    with pytest.raises(DataError, match="found none complete"):
        log_parts.open_log(tmp_path)
    before = changed(tmp_path)
    require_same(log_parts.parse_log(raw, tmp_path, BLOCK, part_bytes=60_000), raw)
    assert before
    assert before.items() <= changed(tmp_path).items()


def test_two_workers_may_write_the_same_part(tmp_path):
    path = tmp_path / "twice.log"
    path.write_text("a blk_1\nb blk_2\n" * 40)
    found = log_parts.parse_log(path, tmp_path / "parsed", BLOCK, part_bytes=32)
    assert len({piece.key for piece in found.plan.pieces}) == 2
    require_same(found, path)
    part = tmp_path / "made"
    part.mkdir()
    (part / "one").touch()
    shutil.copytree(part, tmp_path / "there")
    parsing._appear(part, tmp_path / "there")
    with pytest.raises(OSError, match="No such"):
        parsing._appear(part, tmp_path / "no" / "such")


def test_other_settings_make_other_parts(raw, tmp_path):
    by_block = log_parts.parse_log(raw, tmp_path, BLOCK, part_bytes=100_000)
    keys = [piece.key for piece in by_block.plan.pieces]
    by_thread = log_parts.parse_log(raw, tmp_path, r"^\d+ \d+ (\d+)", part_bytes=100_000)
    assert not {piece.key for piece in by_thread.plan.pieces} & set(keys)
    require_same(by_thread, raw, r"^\d+ \d+ (\d+)")


def test_what_is_no_log_is_refused(raw, tmp_path):
    with pytest.raises(DataError, match="at least one file"):
        log_parts.parse_log([], tmp_path)
    with pytest.raises(DataError, match="at least 1 byte"):
        log_parts.parse_log(raw, tmp_path, part_bytes=0)
    with pytest.raises(DataError, match="session pattern"):
        log_parts.parse_log(raw, tmp_path, "a*")
    with pytest.raises(FileNotFoundError):
        log_parts.parse_log(tmp_path / "nowhere.log", tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("written", ["", "{}", "[]", '{"group": 1}'])
def test_a_folder_that_says_nothing_of_a_log_is_refused(tmp_path, written):
    (tmp_path / "log.json").write_text(written)
    with pytest.raises(DataError, match="must be the folder of a parsed log, found none complete"):
        log_parts.open_log(tmp_path)


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz"])
def test_damage_of_a_packed_file_is_named_with_its_line(raw, tmp_path, ending):
    path = tmp_path / f"broken.log{ending}"
    path.write_bytes(PACK[ending](raw.read_bytes())[:-40])
    with pytest.raises(DataError, match=r"broken\.log.* damage behind line \d+"):
        log_parts.parse_log(path, tmp_path / "parsed", BLOCK)
    assert not list((tmp_path / "parsed").rglob("*.parquet"))


def test_packed_files_are_read_into_memory_too(raw, tmp_path):
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(raw.read_bytes()))
    assert blocks.is_packed(packed)
    assert not blocks.is_packed(raw)
    assert read_sessions(packed, BLOCK)[0].equals(read_sessions(raw, BLOCK)[0])


def test_an_empty_log_has_no_lines(tmp_path):
    path = tmp_path / "empty.log"
    path.touch()
    found = log_parts.parse_log(path, tmp_path / "parsed", BLOCK)
    assert found.lines().collect().height == 0
    assert found.sessions().collect().height == 0
    assert found.distinct().collect().height == 0
    assert found.files.height == found.templates.height == 0
