"""The log parser on real lines: grouping accuracy on six systems of LogHub with one setting, whatever the order."""

import gzip

import polars as pl
import pytest

from utils.datasets import sessions
from utils.features.log_templates import LogTemplates, agreement, read_sessions

pytestmark = pytest.mark.real
LEAST = {"Apache": 1.0, "HDFS": 1.0, "Linux": 0.75, "OpenSSH": 0.99, "OpenStack": 0.99, "Zookeeper": 0.99}


@pytest.fixture(scope="module")
def loghub(mirror_dir):
    folder = mirror_dir.parent / "loghub"
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing: no labelled lines of other systems to read")
    return pl.read_parquet(folder / "loghub_2k_structured.parquet")


@pytest.fixture(scope="module")
def raw_hdfs(mirror_dir):
    path = mirror_dir.parent / "reference" / "HDFS_first20000.log.gz"
    if not path.is_file():
        pytest.skip(f"{path} is missing: no raw HDFS lines to read")
    return gzip.decompress(path.read_bytes())


@pytest.mark.parametrize("system", LEAST)
def test_templates_of_real_lines(loghub, system):
    lines = loghub.filter(System=system)
    found = LogTemplates().fit_transform(lines["Content"])
    assert agreement(lines["EventTemplate"], found["template_id"]).grouping >= LEAST[system]


def test_mean_accuracy_with_one_setting(loghub):
    accuracy = [
        agreement(lines["EventTemplate"], LogTemplates().fit_transform(lines["Content"])["template_id"]).grouping
        for _, lines in loghub.group_by("System")
    ]
    assert sum(accuracy) / len(accuracy) >= 0.95


def test_one_parser_for_all_systems_together(loghub):
    found = LogTemplates().fit_transform(loghub["Content"])
    truth = loghub.select(pl.format("{} {}", "System", "EventTemplate")).to_series()
    assert agreement(truth, found["template_id"]).grouping >= 0.85


def test_whole_lines_with_their_header(loghub):
    accuracy = [
        agreement(lines["EventTemplate"], LogTemplates().fit_transform(lines["Raw"])["template_id"]).grouping
        for _, lines in loghub.group_by("System")
    ]
    assert sum(accuracy) / len(accuracy) >= 0.8


@pytest.mark.parametrize("system", LEAST)
def test_order_and_shards_of_real_lines_do_not_matter(loghub, system):
    lines = loghub.filter(System=system)["Content"]
    whole = LogTemplates().fit(lines)
    shuffled = lines.sample(fraction=1, shuffle=True, seed=1)
    merged = LogTemplates().fit(shuffled[:700]).merge(LogTemplates().fit(shuffled[700:]))
    assert LogTemplates().fit(shuffled).templates_.equals(whole.templates_)
    assert merged.templates_.equals(whole.templates_)
    assert merged.transform(lines).equals(whole.transform(lines))


@pytest.mark.parametrize("system", LEAST)
def test_values_put_into_the_template_give_the_line(loghub, system):
    lines = loghub.filter(System=system)["Content"]
    table = LogTemplates().fit_transform(lines, parameters=True)
    for line, template, values in zip(lines, table["template"], table["parameters"], strict=True):
        pieces = template.split("<*>")
        assert len(values) == len(pieces) - 1
        filled = pieces[0] + "".join(value + piece for value, piece in zip(values, pieces[1:], strict=True))
        assert "".join(filled.split()) == "".join(line.replace("<1", "1").split())


def test_lines_that_were_not_fitted_get_a_template(loghub):
    lines = loghub.filter(System="OpenSSH")["Content"]
    parser = LogTemplates().fit(lines[:1_000])
    table = parser.transform(lines[1_000:])
    assert table["known"].mean() > 0.9
    assert table["template_id"].null_count() == 0


def test_raw_lines_to_sessions(raw_hdfs, tmp_path):
    path = tmp_path / "HDFS.log"
    path.write_bytes(raw_hdfs)
    found, parser = read_sessions(path, r"blk_-?\d+")
    lines = pl.Series(raw_hdfs.decode().splitlines())
    table = parser.transform(lines).with_columns(lines.alias("text"))
    expected = sessions.by_identifier(
        table, r"blk_-?\d+", text="text", order="line", event="template_id", keep=["line"]
    )
    assert found.equals(expected.rename({"line": "lines"}))
    assert parser.templates_.height < 40
    assert parser.templates_["count"].sum() == lines.len()
