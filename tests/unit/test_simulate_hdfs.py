import re
from collections import Counter

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from sklearn.metrics import f1_score, roc_auc_score

from utils.datasets import sessions
from utils.errors import DataError
from utils.simulate import hdfs, hdfs_blocks, hdfs_lines
from utils.simulate.hdfs_blocks import ANOMALIES, ANOMALY_TYPES
from utils.simulate.hdfs_statements import STATEMENTS

PATTERN = r"blk_-?\d+"
SIZE = 1_500
STRUCTURED = {
    "LineId": pl.Int64,
    "Date": pl.String,
    "Time": pl.String,
    "Pid": pl.Int64,
    "Level": pl.String,
    "Component": pl.String,
    "Content": pl.String,
    "EventId": pl.String,
    "EventTemplate": pl.String,
}


@pytest.fixture(scope="module")
def clean():
    return hdfs.simulate(SIZE, seed=7)


@pytest.fixture(scope="module")
def flawed():
    return hdfs.simulate(SIZE, seed=7, defects=True)


@pytest.fixture(scope="module")
def release():
    """Sequences of as many blocks as a tenth of the DeepLog release."""
    return hdfs.simulate(60_000, seed=3, line_blocks=1)


def with_events(tables):
    return tables["sessions"].join(tables["sequences"], on="sequence_id", maintain_order="left")


def sessionised(tables):
    return sessions.by_identifier(tables["lines"], PATTERN)


def names(events):
    return events.list.eval("E" + pl.element().cast(pl.String))


# -------------------------------------------------------------------------------------------------------- tables


def test_the_tables_have_the_columns_of_the_real_files(clean):
    assert dict(clean["lines"].schema) == STRUCTURED
    assert dict(clean["sessions"].schema) == {
        "session_id": pl.UInt32,
        "split": pl.String,
        "is_anomaly": pl.Boolean,
        "sequence_id": pl.UInt32,
        "anomaly_type": pl.String,
    }
    assert dict(clean["sequences"].schema) == {"sequence_id": pl.UInt32, "events": pl.List(pl.UInt8)}
    assert clean["labels"].columns == ["BlockId", "Label", "anomaly_type"]
    assert clean["templates"]["EventId"].to_list() == [f"E{number}" for number in range(1, 31)]


def test_the_same_seed_gives_the_same_tables_and_another_seed_others(clean):
    again = hdfs.simulate(SIZE, seed=7)
    for name, table in clean.items():
        assert_frame_equal(table, again[name])
    assert not hdfs.simulate(SIZE, seed=8)["lines"]["Content"].equals(clean["lines"]["Content"])


@pytest.mark.parametrize("size", [100, 777, SIZE])
def test_sessions_are_what_sessionising_the_lines_gives(size):
    tables = hdfs.simulate(size, seed=size)
    blocks = sessionised(tables)
    assert blocks.height == size
    assert blocks["session"].equals(tables["labels"]["BlockId"], check_names=False)
    assert blocks["events"].equals(names(with_events(tables)["events"]), check_names=False)


def test_only_the_earliest_sessions_are_written_as_lines():
    tables = hdfs.simulate(500, seed=1, line_blocks=120)
    blocks = sessionised(tables)
    assert tables["sessions"].height == 500
    assert tables["labels"].height == blocks.height == 120
    assert blocks["events"].equals(names(with_events(tables)["events"].head(120)), check_names=False)


def test_sequences_are_distinct_all_used_and_numbered_by_first_appearance(clean):
    events = clean["sequences"]["events"]
    assert events.n_unique() == events.len()
    assert clean["sequences"]["sequence_id"].to_list() == list(range(events.len()))
    assert clean["sessions"]["sequence_id"].unique(maintain_order=True).to_list() == list(range(events.len()))


def test_labels_say_the_same_as_sessions(clean):
    is_anomaly = clean["sessions"]["is_anomaly"]
    assert (clean["labels"]["Label"] == "Anomaly").equals(is_anomaly, check_names=False)
    assert clean["labels"]["anomaly_type"].equals(clean["sessions"]["anomaly_type"])
    assert ((clean["sessions"]["anomaly_type"] != "normal") == is_anomaly).all()


def test_too_few_sessions_are_refused():
    with pytest.raises(DataError, match="at least 100 sessions, found 99"):
        hdfs.simulate(99, seed=1)


# ---------------------------------------------------------------------------------------------------------- truth


def test_train_is_normal_and_earliest(clean):
    train = clean["sessions"].filter(split="train")
    assert train.height == SIZE // 5
    assert not train["is_anomaly"].any()
    normal = clean["sessions"].filter(~pl.col("is_anomaly"))
    assert normal["session_id"].head(train.height).equals(train["session_id"])


@pytest.mark.parametrize(("size", "train"), [(1_000, 200), (60_000, 4_855), (600_000, 6_000)])
def test_the_size_of_train(size, train, monkeypatch):
    monkeypatch.setattr(hdfs_blocks, "draw", lambda size, rng, quiet: quiet_only(size, quiet, seen))
    monkeypatch.setattr(hdfs, "_lines", lambda *_, **__: (pl.DataFrame(), pl.DataFrame()))
    seen = []
    assert (hdfs.simulate(size, seed=1)["sessions"]["split"] == "train").sum() == train
    assert seen == [2 * train]


def quiet_only(size, quiet, seen):
    seen.append(quiet)
    return hdfs_blocks.Blocks([(5, 22)], np.zeros(size, np.int64), np.zeros(size, np.int64))


def test_anomalies_have_thirteen_types_in_the_stated_shares(release):
    found = release["sessions"].filter("is_anomaly")["anomaly_type"].value_counts()
    assert sum(found["count"]) == round(60_000 * 16_838 / 575_059)
    shares = dict(found.with_columns(pl.col("count") / pl.sum("count")).rows())
    assert len(ANOMALIES) == 13
    assert shares == pytest.approx({name: anomaly.share for name, anomaly in ANOMALIES.items()}, abs=0.002)


@pytest.mark.parametrize("seed", range(4))
def test_no_sequence_has_both_labels(seed):
    tables = hdfs.simulate(20_000, seed, line_blocks=1)["sessions"]
    both = tables.group_by("sequence_id").agg(pl.col("is_anomaly").n_unique()).filter(pl.col("is_anomaly") > 1)
    assert both.is_empty()


@pytest.mark.parametrize("name", ANOMALIES)
@pytest.mark.parametrize("variant", range(hdfs_blocks.VARIANTS))
def test_each_anomaly_shows_in_what_it_says(name, variant, release):
    """Judged against the training sessions of a tenth of the release: their event sets, counts and sequences."""
    normal = with_events(release).filter(split="train")["events"].unique().to_list()
    life = hdfs_blocks.Life((5, 5, 5, 22), (11, 9, 11, 9, 11, 9, 26, 26, 26), (), (4, 3, 4), hdfs_blocks.DELETION)
    events = ANOMALIES[name].edit(life, variant)
    assert tuple(events) not in {tuple(one) for one in normal}
    seen = {
        "events": frozenset(events) in {frozenset(one) for one in normal},
        "counts": frozenset(Counter(events).items()) in {frozenset(Counter(one).items()) for one in normal},
    }
    expected = {
        "events": {"events": False, "counts": False},
        "counts": {"events": True, "counts": False},
        "order": {"events": True, "counts": True},
    }[ANOMALIES[name].visible]
    assert seen == expected


def test_normal_blocks_store_three_replicas(release):
    normal = with_events(release).filter(~pl.col("is_anomaly"))["events"].unique()
    for event in (9, 11):
        assert set(normal.list.count_matches(event)) == {3}
    assert set(normal.list.count_matches(22)) == {1}


def test_no_training_session_deletes_an_unknown_block_but_some_test_normals_do(release):
    table = with_events(release).filter(~pl.col("is_anomaly")).with_columns(odd=pl.col("events").list.contains(20))
    assert not table.filter(split="train")["odd"].any()
    assert 0 < table["odd"].mean() < 0.001


# -------------------------------------------------------------------------- calibration on the DeepLog release


def test_normal_sessions_have_the_lengths_of_the_release(release):
    length = with_events(release).filter(~pl.col("is_anomaly"))["events"].list.len()
    quantiles = [length.quantile(share, "nearest") for share in (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)]
    assert quantiles == pytest.approx([13, 13, 19, 19, 20, 25, 28, 32], abs=1)


def test_normal_sessions_repeat_as_in_the_release(release):
    normal = release["sessions"].filter(~pl.col("is_anomaly"))
    counts = normal["sequence_id"].value_counts(sort=True)["count"]
    assert counts.head(3).sum() / normal.height == pytest.approx(0.347, abs=0.03)
    assert counts.head(100).sum() / normal.height == pytest.approx(0.79, abs=0.02)
    assert counts.len() / normal.height == pytest.approx(0.064, abs=0.012)


def test_train_covers_as_much_of_the_test_normals_as_in_the_release(release):
    train = release["sessions"].filter(split="train")["sequence_id"]
    normal = release["sessions"].filter(pl.col("split") == "test", ~pl.col("is_anomaly"))
    assert normal["sequence_id"].is_in(train.implode()).mean() == pytest.approx(0.89, abs=0.015)


def test_events_are_as_frequent_as_in_the_release(release):
    normal = with_events(release).filter(~pl.col("is_anomaly"))["events"]
    real = {2: 0.144, 3: 0.240, 4: 0.226, 5: 1.0, 9: 1.0, 11: 1.0, 21: 0.817, 22: 1.0, 23: 0.815, 25: 0.0032, 26: 1.0}
    shares = {event: normal.list.contains(event).mean() for event in real}
    assert shares == pytest.approx(real, abs=0.01)
    assert {event for event in range(1, 31) if normal.list.contains(event).any()} == {*real, 6, 16, 18, 20}


def test_simple_rules_do_well_but_not_perfectly(release):
    table = with_events(release).with_columns(
        event_set=pl.col("events").list.unique().list.sort(), counts=pl.col("events").list.sort()
    )
    train, test = table.filter(split="train"), table.filter(split="test")
    for rule, least in (("event_set", 0.88), ("counts", 0.9)):
        alarm = ~test[rule].is_in(train[rule].unique().implode())
        assert least < f1_score(test["is_anomaly"], alarm) < 0.98
    alarm = ~test["event_set"].is_in(train["event_set"].unique().implode())
    assert roc_auc_score(test["is_anomaly"], alarm) < 0.97


def test_no_single_number_of_a_session_separates_the_classes(release):
    table = with_events(release)
    numbers = {f"E{event}": pl.col("events").list.count_matches(event) for event in STATEMENTS}
    numbers |= {"length": pl.col("events").list.len(), "kinds": pl.col("events").list.n_unique()}
    numbers |= {"session_id": pl.col("session_id"), "sequence_id": pl.col("sequence_id")}
    for name, values in table.select(**numbers).to_dict().items():
        area = roc_auc_score(table["is_anomaly"], values)
        assert max(area, 1 - area) < 0.97, name


# ---------------------------------------------------------------------------------------------------------- lines


def test_every_content_fits_its_template_and_names_one_block(clean):
    lines = clean["lines"]
    for (template,), group in lines.group_by("EventTemplate"):
        form = re.compile("(?s)" + ".+".join(re.escape(piece) for piece in template.split("<*>")))
        assert all(form.fullmatch(content) for content in group["Content"].head(50)), template
    assert lines["Content"].str.extract_all(PATTERN).list.n_unique().unique().to_list() == [1]


def test_component_level_and_template_belong_to_the_event(clean):
    kinds = clean["lines"].select("EventId", "Component", "Level", "EventTemplate").unique()
    assert kinds.height == kinds["EventId"].n_unique()
    for event, component, level, template in kinds.rows():
        statement = STATEMENTS[int(event[1:])]
        assert (statement.component, statement.level, statement.template) == (component, level, template)


def test_lines_are_in_order_of_time_and_blocks_are_interleaved(clean):
    lines = clean["lines"]
    assert lines["LineId"].to_list() == list(range(1, lines.height + 1))
    assert (lines["Date"] + lines["Time"]).is_sorted()
    assert lines["Date"].str.contains(r"^\d{6}$").all()
    assert lines["Time"].str.contains(r"^([01]\d|2[0-3])[0-5]\d[0-5]\d$").all()
    open_at_once = sessionised(clean).filter(pl.col("first_line") <= 2_000, pl.col("last_line") > 2_000)
    assert open_at_once.height > 50


def test_the_date_changes_at_midnight():
    rng = np.random.default_rng(0)
    moment = np.array([0.0, 12_281.9, 12_282.0, 86_400.0])
    lines = hdfs_lines.Lines(moment, np.zeros(4, np.int64), np.full(4, 2, np.uint8), np.zeros(4, np.int64))
    table = hdfs_lines.table(lines, hdfs_lines.cluster(np.arange(1), rng), rng)
    assert table.select("Date", "Time").rows() == [
        ("081109", "203518"),
        ("081109", "235959"),
        ("081110", "000000"),
        ("081110", "203518"),
    ]


def test_a_block_keeps_its_size_and_its_three_nodes(clean):
    stored = (
        clean["lines"]
        .filter(EventId="E26")
        .with_columns(
            block=pl.col("Content").str.extract(f"({PATTERN})"),
            size=pl.col("Content").str.extract(r"size (\d+)"),
            node=pl.col("Content").str.extract(r"(\d+\.\d+\.\d+\.\d+):50010"),
        )
    )
    by_block = stored.group_by("block").agg(pl.col("size").n_unique(), pl.col("node").n_unique(), pl.len())
    assert set(by_block["size"]) == {1}
    assert (by_block["node"] == by_block["len"].clip(upper_bound=3)).all()


def test_clean_lines_cut_no_session_and_end_with_the_last_one(clean):
    ended = sessionised(clean)["last_line"].max()
    assert ended == clean["lines"].height
    assert clean["lines"].height == with_events(clean)["events"].list.len().sum()


# -------------------------------------------------------------------------------------------------------- defects


def test_flawed_lines_are_cut_and_blocks_are_beginnings_of_their_sessions(flawed):
    blocks = sessionised(flawed)
    whole = names(with_events(flawed)["events"])
    assert blocks["session"].equals(flawed["labels"]["BlockId"], check_names=False)
    pairs = list(zip(blocks["events"].to_list(), whole.to_list(), strict=True))
    assert all(seen == full[: len(seen)] for seen, full in pairs)
    assert np.mean([seen != full for seen, full in pairs]) > 0.3


def test_flawed_lines_leave_anomalies_that_look_normal(flawed):
    blocks = sessionised(flawed)
    found = sessions.distinct_sequences(blocks).sequence_id
    is_anomaly = flawed["labels"]["Label"] == "Anomaly"
    shared = found.filter(is_anomaly).is_in(found.filter(~is_anomaly).implode())
    assert shared.mean() > 0.3


def test_flawed_sessions_hold_sequences_with_both_labels(flawed, clean):
    anomalies = flawed["sessions"]["is_anomaly"].sum()
    normal = flawed["sessions"].filter(~pl.col("is_anomaly"))["sequence_id"]
    conflicting = flawed["sessions"].filter("is_anomaly")["sequence_id"].is_in(normal.implode()).sum()
    assert conflicting == max(1, round(0.05 * anomalies))
    assert flawed["sessions"]["is_anomaly"].equals(clean["sessions"]["is_anomaly"])


# ------------------------------------------------------------------------------------------------------- raw logs

RAW = re.compile(r"(\d{6}) (\d{6}) (\d+) (INFO|WARN) (dfs\.[\w$]+): (.+)")


def test_raw_lines_have_the_form_of_the_real_log():
    lines = hdfs.raw_lines(3_000, seed=2)
    parts = [RAW.fullmatch(line) for line in lines]
    assert lines.len() == 3_000
    assert all(parts)
    times = [part[1] + part[2] for part in parts]
    assert times == sorted(times)


def test_write_raw_writes_raw_lines_and_returns_the_truth_of_their_blocks(tmp_path):
    truth = hdfs.write_raw(tmp_path / "hdfs.log", 3_000, seed=2)
    written = (tmp_path / "hdfs.log").read_text(encoding="utf-8")
    assert written.endswith("\n")
    assert written.splitlines() == hdfs.raw_lines(3_000, seed=2).to_list()
    blocks = list(dict.fromkeys(re.findall(PATTERN, written)))
    assert truth["BlockId"].to_list() == blocks
    assert set(truth["Label"]) == {"Normal", "Anomaly"}
    assert [path.name for path in tmp_path.iterdir()] == ["hdfs.log"]


def test_parts_join_without_a_seam(monkeypatch):
    monkeypatch.setattr(hdfs, "PART_BLOCKS", 150)
    parts = list(hdfs.raw_parts(6_000, seed=4))
    assert len(parts) > 2
    text = pl.concat([part.lines for part in parts])
    truth = pl.concat([part.blocks for part in parts])
    assert text.str.slice(0, 13).is_sorted()
    assert text.str.extract(f"({PATTERN})").unique(maintain_order=True).to_list() == truth["BlockId"].to_list()
    assert max(part.lines.len() for part in parts) < 6_000
    number = text.str.extract(r"part-(\d+)").drop_nulls().cast(pl.Int64)
    assert number.max() == (truth.height - 1) // 5


def test_blocks_of_a_raw_log_begin_with_their_writing():
    """All but those whose events are in the wrong order: a log that begins anew holds no end of an older block."""
    parts = list(hdfs.raw_parts(20_000, seed=5))
    wrong = pl.concat([part.blocks for part in parts]).filter(anomaly_type="wrong_order")["BlockId"]
    text = pl.concat([part.lines for part in parts]).to_frame("line")
    first = text.group_by(pl.col("line").str.extract(f"({PATTERN})").alias("block")).first()
    orderly = first.filter(~pl.col("block").is_in(wrong.implode()))["line"]
    assert orderly.len() > 500
    assert orderly.str.contains(r"Receiving block|allocateBlock").all()


@pytest.mark.parametrize("count", [0, -3])
def test_a_log_without_lines_is_refused_and_leaves_nothing(tmp_path, count):
    with pytest.raises(DataError, match=f"at least 1 line, found {count}"):
        hdfs.write_raw(tmp_path / "hdfs.log", count, seed=1)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_half_way_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    target = tmp_path / "hdfs.log"
    target.write_text("old\n")

    def full(n_lines, seed):
        yield next(parts)
        raise OSError(28, "No space left on device")

    parts = hdfs.raw_parts(1_000, seed=1)
    monkeypatch.setattr(hdfs, "raw_parts", full)
    with pytest.raises(OSError, match="No space left"):
        hdfs.write_raw(target, 1_000, seed=1)
    assert target.read_text() == "old\n"
    assert [path.name for path in tmp_path.iterdir()] == ["hdfs.log"]


def test_one_line_is_a_log():
    assert hdfs.raw_lines(1, seed=1).len() == 1


def test_all_statements_can_be_rendered():
    """Also those that no simulated block logs."""
    rng = np.random.default_rng(0)
    count = len(STATEMENTS)
    lines = hdfs_lines.Lines(
        np.arange(count, dtype=float),
        np.zeros(count, np.int64),
        np.arange(1, count + 1, dtype=np.uint8),
        np.arange(count),
    )
    table = hdfs_lines.table(lines, hdfs_lines.cluster(np.arange(1), rng), rng)
    assert table["EventId"].to_list() == [f"E{number}" for number in STATEMENTS]
    assert not table["Content"].str.contains(r"[{}]").any()
    assert ANOMALY_TYPES[0] == "normal"
