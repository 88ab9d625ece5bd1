"""The loader of NSL-KDD on hand-made lines of the published form."""

import polars as pl
import pytest

from tests.unit.loading import assert_roles_complete, refused, rows_of, write
from utils.datasets import nsl_kdd
from utils.errors import DataError


def line(attack="normal", difficulty=21, **changed):
    values = {name: "0.00" if name.endswith("_rate") else "0" for name in nsl_kdd.COLUMNS}
    values |= {"protocol_type": "tcp", "service": "http", "flag": "SF"} | {key: str(v) for key, v in changed.items()}
    return ",".join([*values.values(), attack, str(difficulty)]) + "\n"


TRAIN = "".join(
    [
        line(duration=1),
        line("neptune", 20, duration=2),
        line(duration=3),
        line(duration=3),
        line("neptune", 20, duration=4),
        line("spy", 20, duration=5),
    ]
)
TEST = "".join(
    [
        line(duration=1),
        line("mscan", 11, duration=3),
        line("neptune", 21, duration=7, serror_rate="0.25"),
        line(duration=8, difficulty=20),
    ]
)


@pytest.fixture
def files(tmp_path):
    return write(tmp_path, {nsl_kdd.TRAIN_FILE: TRAIN, nsl_kdd.TEST_FILE: TEST})


@pytest.fixture
def assembled(files):
    return nsl_kdd.assemble(nsl_kdd.read(files))


@pytest.fixture
def connections(assembled):
    return assembled.frames["connections"]


def test_there_are_41_columns_of_four_groups():
    assert len(nsl_kdd.COLUMNS) == len(set(nsl_kdd.COLUMNS)) == 41
    assert set(nsl_kdd.NUMERIC) | set(nsl_kdd.CATEGORICAL) == set(nsl_kdd.FEATURES)
    assert len(nsl_kdd.FEATURES) == 40


def test_each_attack_has_one_category():
    names = [attack for attacks in nsl_kdd.CATEGORIES.values() for attack in attacks]
    assert len(names) == len(set(names)) == 39
    assert nsl_kdd.CATEGORY_OF["normal"] == "normal"


def test_roles_are_complete(assembled):
    assert_roles_complete(assembled)
    roles = assembled.roles["connections"]
    assert roles.split == "split"
    assert {"difficulty", "attack", "in_test_21", "num_outbound_cmds"} <= set(roles.withheld)


def test_rows_keep_their_order_and_values(connections):
    assert connections["split"].to_list() == ["train"] * 6 + ["test"] * 4
    assert connections["duration"].to_list() == [1, 2, 3, 3, 4, 5, 1, 3, 7, 8]
    assert connections["serror_rate"][8] == 0.25
    assert connections.schema["src_bytes"] == pl.Int64


def test_labels_categories_and_flags(connections):
    attacks = connections.filter("is_anomaly")
    assert attacks["attack"].to_list() == ["neptune", "neptune", "spy", "mscan", "neptune"]
    assert attacks["attack_category"].to_list() == ["dos", "dos", "r2l", "probe", "dos"]
    assert attacks["anomaly_type"].to_list() == attacks["attack"].to_list()
    assert connections.filter("attack_unseen_in_train")["attack"].to_list() == ["mscan"]
    assert connections.filter("in_test_21")["difficulty"].to_list() == [11, 20]


def test_the_20_percent_are_the_head_of_training():
    raw = {
        "train": pl.concat([_typed(TRAIN)] * 50),
        "test": _typed(TEST),
    }
    flagged = nsl_kdd.assemble(raw).frames["connections"].with_row_index().filter("in_train_20percent")
    assert flagged["index"].to_list() == list(range(60))


def _typed(text):
    names = list(nsl_kdd.RAW_SCHEMA)
    dtypes = {name: column.dtype for name, column in nsl_kdd.RAW_SCHEMA.items()}
    return pl.read_csv(text.encode(), has_header=False, new_columns=names, schema_overrides=dtypes)


def test_twins_are_counted(assembled):
    assert rows_of(assembled, "feature-identical twin in training") == 2
    assert rows_of(assembled, "one of the other class") == 3
    assert rows_of(assembled, "train connections that repeat") == 1
    assert rows_of(assembled, "test connections that repeat") == 0
    assert rows_of(assembled, "num_outbound_cmds") == 10


def test_a_column_that_varies_is_not_called_constant(tmp_path):
    paths = write(tmp_path, {nsl_kdd.TRAIN_FILE: TRAIN + line(num_outbound_cmds=2), nsl_kdd.TEST_FILE: TEST})
    assert rows_of(nsl_kdd.assemble(nsl_kdd.read(paths)), "num_outbound_cmds") == 0


@pytest.mark.parametrize(
    ("train", "parts"),
    [
        ("", ["empty file"]),
        ("1,2,3\n", ["43 fields", "found 3"]),
        (TRAIN + line("newattack"), ["'attack'", "'newattack' in row 7"]),
        (TRAIN + line(duration="long"), ["'duration'", "'long' in row 7"]),
        (TRAIN + line(duration=""), ["'duration'", "found nothing in row 7"]),
        (TRAIN + "1,tcp\n", ["found nothing in row 7"]),
    ],
)
def test_bad_files_are_refused(tmp_path, train, parts):
    paths = write(tmp_path, {nsl_kdd.TRAIN_FILE: train, nsl_kdd.TEST_FILE: TEST})
    refused(lambda: nsl_kdd.read(paths), nsl_kdd.TRAIN_FILE, *parts)


def test_both_files_are_needed(files):
    del files[nsl_kdd.TEST_FILE]
    refused(lambda: nsl_kdd.read(files), nsl_kdd.TEST_FILE, error=DataError)


def test_attacks_of_no_category_are_refused(files):
    raw = nsl_kdd.read(files)
    raw["test"] = raw["test"].with_columns(attack=pl.lit("teleport"))
    refused(lambda: nsl_kdd.assemble(raw), "known category", "'teleport' in 4 rows")
