"""Sessionising and the simulator's calibration, judged on the real HDFS files."""

import re
from collections import OrderedDict

import polars as pl
import pytest

from utils.datasets import sessions
from utils.simulate import hdfs
from utils.simulate.hdfs_statements import STATEMENTS

pytestmark = pytest.mark.real
PATTERN = r"blk_-?\d+"


@pytest.fixture(scope="module")
def lines(mirror_dir):
    path = mirror_dir / "hdfs" / "HDFS_100k.log_structured.csv"
    return pl.read_csv(path, schema_overrides={"Date": pl.String, "Time": pl.String})


@pytest.fixture(scope="module")
def blocks(lines):
    return sessions.by_identifier(lines, PATTERN, keep=["LineId"])


def sequences(path):
    """Distinct sequences of one session file with their counts."""
    text = pl.read_csv(path, has_header=False, new_columns=["text"])["text"].str.strip_chars()
    counts = text.value_counts(sort=True, name="count")
    return counts.with_columns(events=pl.col("text").str.split(" ").list.eval(pl.element().cast(pl.UInt8)))


def test_all_lines_fall_into_7940_blocks_as_a_plain_loop_finds_them(lines, blocks):
    expected = OrderedDict()
    for content, event in lines.select("Content", "EventId").iter_rows():
        for block in set(re.findall(PATTERN, content)):
            expected.setdefault(block, []).append(event)
    assert blocks.height == 7_940
    assert blocks["session"].to_list() == list(expected)
    assert blocks["events"].to_list() == list(expected.values())
    assert blocks["n_events"].sum() == lines.height == 104_815
    assert sessions.count_unidentified(lines, PATTERN) == 0


def test_the_order_of_the_rows_does_not_matter(lines, blocks):
    shuffled = sessions.by_identifier(lines.sample(fraction=1, shuffle=True, seed=1), PATTERN, keep=["LineId"])
    assert shuffled.equals(blocks)
    assert blocks["LineId"].list.sort().equals(blocks["LineId"])


def test_blocks_are_those_of_the_label_file(mirror_dir, blocks):
    labels = pl.read_csv(mirror_dir / "hdfs" / "anomaly_label.csv")
    assert blocks["session"].is_in(labels["BlockId"].implode()).all()


def test_159_anomalous_blocks_share_their_sequence_with_a_normal_block(mirror_dir, blocks):
    labels = pl.read_csv(mirror_dir / "hdfs" / "anomaly_label.csv")
    labelled = blocks.join(labels, left_on="session", right_on="BlockId", maintain_order="left")
    found = sessions.distinct_sequences(labelled).sequence_id
    is_anomaly = labelled["Label"] == "Anomaly"
    shared = found.filter(is_anomaly).is_in(found.filter(~is_anomaly).implode())
    assert (is_anomaly.sum(), shared.sum()) == (313, 159)


def test_distinct_sequences_of_the_whole_test_part(mirror_dir):
    path = mirror_dir / "hdfs" / "hdfs_test_normal"
    text = pl.read_csv(path, has_header=False, new_columns=["text"]).with_columns(pl.col("text").str.strip_chars())
    events = text.select(events=pl.col("text").str.split(" ").list.eval(pl.element().cast(pl.UInt8)))
    found = sessions.distinct_sequences(events)
    assert found.table["count"].sum() == events.height == 553_366
    assert found.table.height == text["text"].n_unique() == 14_177
    assert found.table["events"].gather(found.sequence_id).equals(events["events"])


def test_five_minutes_hold_the_lines_of_five_minutes(lines):
    timed = lines.with_columns(time=pl.concat_str("Date", "Time").str.to_datetime("%y%m%d%H%M%S"))
    windows = sessions.by_time_window(timed, "time", "5m")
    assert windows["n_events"].to_list() == [32_186, 37_182, 34_283, 612, 427, 125]
    assert windows["last_line"].to_list()[-1] == lines.height


# ------------------------------------------------------------------------------- the simulator beside the real files


def test_the_simulated_normals_are_distributed_as_the_real_ones(mirror_dir):
    """At the size of the release: share of distinct sequences, lengths, heads of the distribution."""
    real = sequences(mirror_dir / "hdfs" / "hdfs_test_normal")
    tables = hdfs.simulate(575_059, seed=1, line_blocks=1)
    normal = tables["sessions"].filter(~pl.col("is_anomaly"), pl.col("split") == "test")
    counts = (
        normal["sequence_id"]
        .value_counts(sort=True, name="count")
        .join(tables["sequences"], on="sequence_id", maintain_order="left")
    )
    assert counts.height == pytest.approx(real.height, rel=0.15)
    for head in (1, 3, 10, 100, 1_000):
        assert share(counts, head) == pytest.approx(share(real, head), abs=0.025)
    for quantile in (0.01, 0.25, 0.5, 0.75, 0.9, 0.99):
        assert length(counts, quantile) == pytest.approx(length(real, quantile), abs=1)
    assert [tuple(one) for one in counts["events"].head(4)] == [tuple(one) for one in real["events"].head(4)]


def share(counts, head):
    return counts["count"].head(head).sum() / counts["count"].sum()


def length(counts, quantile):
    ordered = counts.select(pl.col("events").list.len().alias("length"), "count").sort("length")
    reached = ordered["count"].cum_sum() / ordered["count"].sum() >= quantile
    return ordered["length"][reached.arg_true()[0]]


def test_simulated_statements_have_the_templates_components_and_levels_of_the_real_lines(lines):
    real = lines.select("EventId", "EventTemplate", "Component", "Level").unique()
    ours = {
        (f"E{number}", statement.template, statement.component, statement.level)
        for number, statement in STATEMENTS.items()
    }
    assert set(real.rows()) <= ours


def test_simulated_lines_are_as_long_as_real_ones(lines):
    real = lines["Content"].str.len_chars()
    ours = hdfs.simulate(2_000, seed=1, defects=True)["lines"]["Content"].str.len_chars()
    assert ours.mean() == pytest.approx(real.mean(), rel=0.1)
