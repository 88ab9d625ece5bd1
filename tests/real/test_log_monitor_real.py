"""Raw logs of six systems to ranked windows, and HDFS from raw lines to verdicts.

The windows that a person would look at first are named here by what they hold; they were read in the files.
"""

import gzip
import shutil
import tomllib
from pathlib import Path

import polars as pl
import pytest

from utils import audit, datasets
from utils.datasets import hdfs as hdfs_files
from utils.detectors import log_monitor
from utils.evaluation import metrics
from utils.features import tables
from utils.tracking import log_champion

pytestmark = pytest.mark.real
CATALOG = Path(__file__).resolve().parents[2] / "data" / "catalog.toml"

ENTRIES = r"""
[apache]
header = '\[(?P<time>[^\]]+)\] \[(?P<level>\w+)\] (?P<content>.*)'
window = "1h"

[blocks]
header = '(?P<date>\d{6}) (?P<time>\d{6}) (?P<pid>\d+) (?P<level>\w+) (?P<component>[^:]+): (?P<content>.*)'
time_format = "%y%m%d %H%M%S"
session = 'blk_-?\d+'

[linux]
header = '(?P<time>\w{3} +\d+ [\d:]{8}) (?P<host>\S+) (?P<component>[^:\[]+)(\[(?P<pid>\d+)\])?: (?P<content>.*)'
window = "1d"
year = 2005

[openssh]
header = '(?P<time>\w{3} +\d+ [\d:]{8}) (?P<host>\S+) sshd\[(?P<pid>\d+)\]: (?P<content>.*)'
time_format = "%b %d %H:%M:%S"
window = "10m"

[openstack]
header = '(?P<logfile>\S+) (?P<time>\S+ \S+) (?P<pid>\d+) (?P<level>\w+) (?P<component>\S+) \[(?P<request>[^\]]*)\] (?P<content>.*)'
window = "1m"

[zookeeper]
header = '(?P<time>\S+ \S+) - (?P<level>\w+) +\[(?P<component>.*?)\] - (?P<content>.*)'
window_lines = 50
"""  # noqa: E501 (a pattern in TOML has one line)
FILES = {"blocks": "HDFS", "openssh": "OpenSSH", "openstack": "OpenStack"}
FIRST = {
    "apache": ("2005-12-05 07:00", "2005-12-05 13:00"),
    "linux": ("2005-07-27", "2005-07-07"),
    "openssh": ("2000-12-10 09:10", "2000-12-10 11:00", "2000-12-10 10:50"),
    "openstack": ("2017-05-16 00:09",),
    "zookeeper": ("28",),
}
SAID = {
    "apache": "in error state",
    "linux": "ROOT LOGIN",
    "openssh": "authentication failure",
    "openstack": "found <*> instances in the database",
    "zookeeper": "Expiring session",
}


@pytest.fixture(scope="module")
def own_logs(loghub, tmp_path_factory):
    """Each system by one entry of the catalogue, loaded as a notebook loads it, with the tables that were admitted."""
    root = tmp_path_factory.mktemp("own")
    (root / "data").mkdir()
    entries = ENTRIES
    for name in tomllib.loads(ENTRIES):
        file = loghub / f"{FILES.get(name, name.capitalize())}_2k.log.gz"
        entries = entries.replace(f"[{name}]", f'[{name}]\nkind = "log"\nfiles = ["{file}"]')
    shutil.copy(CATALOG, root / "data" / CATALOG.name)
    with (root / "data" / CATALOG.name).open("a") as catalog:
        catalog.write(entries)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANOMALY_ROOT", str(root))
        patch.setenv("ANOMALY_OFFLINE", "1")
        data = datasets.load_all(tomllib.loads(ENTRIES))
        processed = {name: audit.admitted_tables(dataset) for name, dataset in data.items()}
    return processed, data


def test_every_system_is_ranked_with_one_entry_each(own_logs):
    found = log_monitor.ranked(*own_logs)
    assert found.alarms["data set"].to_list() == list(tomllib.loads(ENTRIES))
    assert not [note for notes in found.notes.values() for note in notes if "not ranked" in note]
    assert (found.top.group_by("data set").len()["len"] >= 3).all()
    assert (found.top["sentence"].str.len_chars() > 0).any()
    assert not found.top["sentence"].str.contains(r"\b[a-z2-7]{12}\b").any()
    again = log_monitor.ranked(*own_logs)
    assert again.top.equals(found.top)


@pytest.mark.parametrize("name", FIRST)
def test_people_would_look_there_first(loghub, name):
    entry = tomllib.loads(ENTRIES)[name]
    found = log_monitor.verdicts(loghub / f"{FILES.get(name, name.capitalize())}_2k.log.gz", **entry)
    first = found.table.head(len(FIRST[name]))
    starts = [str(session) for session in first["session"]]
    assert sorted(start[: len(FIRST[name][0])] for start in starts) == sorted(FIRST[name])
    assert SAID[name] in str(first["reasons"].to_list())


def test_windows_of_lines_in_files_are_those_of_the_loader(own_logs, loghub):
    _, data = own_logs
    entry = tomllib.loads(ENTRIES)["linux"]
    found = log_monitor.LogMonitor(**entry).scan(loghub / "Linux_2k.log.gz").rows
    expected = data["linux"]["sessions"]
    assert found["session"].equals(expected["session"])
    assert found["lines"].to_list() == expected["line_ids"].to_list()


@pytest.fixture(scope="module")
def hdfs(real_data):
    data = real_data("hdfs")
    return data, tables.build(data, seed=42)


@pytest.fixture(scope="module")
def champion(hdfs):
    data, processed = hdfs
    monitor = log_champion.log_monitor_of("hdfs", data)
    return log_champion.fit_monitor(monitor, processed["sequences"], processed.roles["sequences"], data["templates"])


def test_all_lines_get_their_published_ids(hdfs, champion):
    data, _ = hdfs
    lines = data["lines"]
    scanned = log_monitor.LogMonitor(window_lines=lines.height).scan(lines)
    assert scanned.sessions(champion.parser_)[0]["events"][0].to_list() == lines["EventId"].to_list()


def test_the_champion_reaches_its_numbers_on_all_test_sessions(hdfs, champion):
    _, processed = hdfs
    test = processed["sequences"].filter(pl.col("split") == "test")
    flagged = champion.predict(test.select("events"))
    assert metrics.f1(test["is_anomaly"], flagged, test["n_sessions"]) >= 0.985
    assert metrics.recall(test["is_anomaly"], flagged, test["n_sessions"]) >= 0.999


def test_raw_lines_and_blocks_give_the_same_verdicts(hdfs, champion):
    data, _ = hdfs
    lines, blocks = data["lines"], data["blocks"]
    head = pl.concat_str("Date", "Time", "Pid", "Level", "Component", separator=" ")
    raw = lines.select(pl.concat_str(head, pl.lit(": "), "Content").alias("line"))
    by_lines = champion.decide(raw, explained="none")
    by_lists = champion.decide_sessions(blocks.rename({"BlockId": "session"}), explained="none")
    columns = ["session", "decision", "score", "p_value", "first_line", "last_line", "n_events"]
    assert by_lines.select(columns).equals(by_lists.select(columns))


def test_a_raw_file_of_hdfs_is_read_as_it_is(mirror_dir, champion):
    path = mirror_dir.parent / "reference" / "HDFS_first20000.log.gz"
    if not path.is_file():
        pytest.skip(f"{path} is missing")
    decided = champion.decide(path, explained=5, order="score")
    text = gzip.decompress(path.read_bytes()).decode()
    named = pl.Series(text.splitlines()).str.extract_all(hdfs_files.BLOCK_PATTERN).explode().drop_nulls()
    assert set(decided["session"]) == set(named)
    assert decided["last_line"].max() == len(text.splitlines())
    assert all(decided["reasons"].head(5).list.len() > 0)


def test_raw_lines_without_a_model_of_the_whole_set(hdfs):
    data, _ = hdfs
    labels = data["blocks"].select(pl.col("BlockId").alias("session"), "is_anomaly")
    found = log_monitor.verdicts(
        data["lines"], session=hdfs_files.BLOCK_PATTERN, labels=labels, train_share=0.2, rate=0.01
    )
    values = {one.name: one.value for one in found.estimates}
    assert values["f1"] >= 0.64
    judged = found.table.join(data["blocks"].select(session="BlockId", events="events"), on="session")
    by_sequence = judged.group_by("events").agg(pl.len(), pl.col("is_anomaly").sum().alias("bad"))
    ranked = by_sequence.sort(pl.col("bad") / pl.col("len"), descending=True)
    hit, flagged = ranked["bad"].cum_sum(), ranked["len"].cum_sum()
    assert values["f1"] <= (2 * hit / (flagged + hit[-1])).max()
