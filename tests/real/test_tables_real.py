"""Processed tables of the real files: no grave finding, and what had to be left out."""

import pytest

from utils import audit, datasets
from utils.features import evidence, tables

pytestmark = pytest.mark.real


@pytest.mark.parametrize("name", ["api", "waf", "nsl_kdd", "cicids2017", "hdfs"])
def test_no_table_that_is_written_has_a_grave_finding(real_lab, name):
    made = audit.admitted_tables(datasets.load(name, "real"))
    assert made.frames
    assert [finding for finding in audit.check(made) if finding.severity == "high"] == []


def test_the_truncated_log_does_not_pass_the_gate(real_lab):
    made = audit.admitted_tables(datasets.load("hdfs", "real"))
    assert "A008" in made.missing["blocks"]
    assert made["sequences"]["n_sessions"].sum() == 575_059


def test_raw_lines_become_the_published_events(real_lab):
    data = {"hdfs": datasets.load("hdfs", "real")}
    made = {"hdfs": tables.build(data["hdfs"])}
    (found,) = evidence.parsing(data, made).to_dicts()
    assert found["lines"] == 104_815
    assert found["grouping accuracy"] >= 0.99
