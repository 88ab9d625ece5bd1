"""Real logs parsed part by part are what they are when parsed at once."""

import gzip

import polars as pl
import pytest

from utils.datasets import sessions
from utils.features import log_parts
from utils.features.log_templates import parse_file, read_sessions

# What a session of each system could be; loghub gives none for these files.
NAMES = {
    "Apache": r"\[client ([\d.]+)\]",
    "HDFS": r"blk_-?\d+",
    "Linux": r"\w+\(?\w*\)?\[(\d+)\]:",
    "OpenSSH": r"sshd\[(\d+)\]",
    "OpenStack": r"\[instance: ([0-9a-f-]+)\]",
    "Zookeeper": r"\[([^\]]+):\w+@\d+\]",
}


@pytest.fixture(scope="module")
def logs(mirror_dir):
    found = {name: mirror_dir.parent / "loghub" / f"{name}_2k.log.gz" for name in NAMES}
    found["HDFS, longer"] = mirror_dir.parent / "reference" / "HDFS_first20000.log.gz"
    if missing := [path.name for path in found.values() if not path.exists()]:
        pytest.skip(f"{missing[0]} is not beside the mirror")
    return found


@pytest.mark.parametrize("name", [*NAMES, "HDFS, longer"])
@pytest.mark.parametrize("packed", [True, False])
def test_a_real_log_by_parts_is_the_log_at_once(logs, tmp_path, name, packed):
    plain, identifier = tmp_path / "plain.log", NAMES[name.partition(",")[0]]
    plain.write_bytes(gzip.decompress(logs[name].read_bytes()))
    log = log_parts.parse_log(logs[name] if packed else plain, tmp_path / "parsed", identifier, part_bytes=100_000)
    assert len(log.plan.pieces) > 1
    expected, parser = read_sessions(plain, identifier)
    assert expected.height > 1
    assert log.sessions().collect().sort("first_row").drop("first_row").equals(expected)
    assert log.lines().collect().equals(parse_file(plain, identifier=identifier).lines)
    assert log.parser().templates_.equals(parser.templates_)
    distinct = log.distinct().collect().sort("first_row").select("events", pl.col("count").cast(pl.UInt32))
    assert distinct.equals(sessions.distinct_sequences(expected).table.select("events", "count"))
