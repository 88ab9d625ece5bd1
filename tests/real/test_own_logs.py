"""Raw logs of six systems, each declared by one catalogue entry as a user would write it."""

import gzip
import tomllib

import polars as pl
import pytest

from utils.datasets import own

pytestmark = pytest.mark.real

ENTRIES = r"""
[Apache]
header = '\[(?P<time>[^\]]+)\] \[(?P<level>\w+)\] (?P<content>.*)'
window = "1h"

[HDFS]
header = '(?P<date>\d{6}) (?P<time>\d{6}) (?P<pid>\d+) (?P<level>\w+) (?P<component>[^:]+): (?P<content>.*)'
time_format = "%y%m%d %H%M%S"
session = 'blk_-?\d+'

[Linux]
header = '(?P<time>\w{3} +\d+ [\d:]{8}) (?P<host>\S+) (?P<component>[^:\[]+)(\[(?P<pid>\d+)\])?: (?P<content>.*)'
window = "1d"
year = 2005

[OpenSSH]
header = '(?P<time>\w{3} +\d+ [\d:]{8}) (?P<host>\S+) sshd\[(?P<session>\d+)\]: (?P<content>.*)'
time_format = "%b %d %H:%M:%S"

[OpenStack]
header = '(?P<logfile>\S+) (?P<time>\S+ \S+) (?P<pid>\d+) (?P<level>\w+) (?P<component>\S+) \[(?P<request>[^\]]*)\] (?P<content>.*)'
session = 'instance: ([0-9a-f-]{36})'

[Zookeeper]
header = '(?P<time>\S+ \S+) - (?P<level>\w+) +\[(?P<component>.*?)\] - (?P<content>.*)'
window_lines = 100
"""  # noqa: E501 (a pattern in TOML has one line)
FIRST = {
    "Apache": "2005-12-04 04:47:44",
    "HDFS": "2008-11-09 20:36:15",
    "Linux": "2005-06-14 15:16:01",
    "OpenSSH": "2000-12-10 06:55:46",
    "OpenStack": "2017-05-16 00:00:00.008",
    "Zookeeper": "2015-07-29 17:41:44.747",
}


@pytest.fixture(scope="module")
def systems(loghub):
    tables = tomllib.loads(ENTRIES)
    return {
        name: own.load(own.declare(name, {"kind": "log", "files": [f"{name}_2k.log.gz"], **table}, loghub))
        for name, table in tables.items()
    }


@pytest.fixture(scope="module")
def contents(loghub):
    return pl.read_parquet(loghub / "loghub_2k_structured.parquet")


@pytest.mark.parametrize("name", FIRST)
def test_every_line_matches_and_keeps_its_place_and_time(systems, name):
    lines = systems[name]["lines"]
    assert lines.height == 2000
    assert not lines["continuation"].any()
    assert lines["line"].to_list() == list(range(1, 2001))
    assert lines["time"].null_count() == 0
    assert lines["time"][0] == pl.Series([FIRST[name]]).str.to_datetime()[0]


@pytest.mark.parametrize("name", ["Apache", "HDFS", "Linux", "OpenStack", "Zookeeper", "OpenSSH"])
def test_the_content_is_that_of_the_published_parse(systems, contents, name):
    published = contents.filter(pl.col("System") == name).sort("LineId")["Content"].str.strip_chars()
    assert systems[name]["lines"]["content"].str.strip_chars().to_list() == published.to_list()


@pytest.mark.parametrize("name", FIRST)
def test_sessions_hold_every_line_that_belongs_to_one(systems, name):
    dataset = systems[name]
    inside = dataset["sessions"]["line_ids"].explode().unique()
    belonging = dataset["lines"].drop_nulls("session")["line_id"]
    assert sorted(inside) == sorted(belonging)


def test_hdfs_blocks_are_those_of_the_text(systems, loghub):
    text = gzip.decompress((loghub / "HDFS_2k.log.gz").read_bytes()).decode()
    expected = pl.Series(text.splitlines()).str.extract_all(r"blk_-?\d+").explode().unique()
    sessions = systems["HDFS"]["sessions"]
    assert sorted(sessions["session"]) == sorted(expected)
    assert systems["HDFS"].roles["sessions"].unit == "session"


def test_windows_are_hours_and_days_of_the_log(systems):
    apache, linux = systems["Apache"]["sessions"], systems["Linux"]["sessions"]
    assert (apache["start"] - apache["session"]).max().total_seconds() < 3600
    assert (apache["end"] - apache["session"]).max().total_seconds() < 3600
    assert linux["session"].is_sorted()
    assert linux["session"].dt.year().unique().to_list() == [2005]
    assert apache["n_events"].sum() == linux["n_events"].sum() == 2000


def test_runs_of_lines_ssh_processes_and_instances(systems):
    assert systems["Zookeeper"]["sessions"]["n_events"].to_list() == [100] * 20
    assert systems["OpenSSH"]["sessions"].height == systems["OpenSSH"]["lines"]["session"].n_unique() > 300
    outside = [defect for defect in systems["OpenStack"].defects if defect.what == "lines that name no session"]
    assert 0 < outside[0].rows < 2000


def test_an_assumed_year_is_said(systems):
    assert any("without a year" in defect.what for defect in systems["OpenSSH"].defects)
    assert "2005" in next(defect.handling for defect in systems["Linux"].defects if "without a year" in defect.what)
