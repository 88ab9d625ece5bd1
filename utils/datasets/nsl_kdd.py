"""NSL-KDD: connections of a simulated military network of 1998, described by 41 features.

Source: Tavallaee, Bagheri, Lu, Ghorbani, "A Detailed Analysis of the KDD CUP 99 Data Set", IEEE CISDA 2009. The test
file holds attacks that the training file does not have; a random split of the training file says nothing about them.
"""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from utils.datasets import schema
from utils.datasets.contract import ANOMALY_TYPE, LABEL, NORMAL, Assembled, Defect, Kind, Roles
from utils.errors import SchemaError

KIND: Kind = "table"
TRAIN_FILE = "KDDTrain+.txt"
TEST_FILE = "KDDTest+.txt"
READS = (TRAIN_FILE, TEST_FILE)
TRUTH = (
    "Each connection carries the name of the attack that was played in the DARPA-1998 simulation, or 'normal'; "
    "an anomaly is any attack."
)

CATEGORICAL = ("protocol_type", "service", "flag")
BASIC = ("duration", *CATEGORICAL, "src_bytes", "dst_bytes", "land", "wrong_fragment", "urgent")
CONTENT = (
    "hot",
    "num_failed_logins",
    "logged_in",
    "num_compromised",
    "root_shell",
    "su_attempted",
    "num_root",
    "num_file_creations",
    "num_shells",
    "num_access_files",
    "num_outbound_cmds",
    "is_host_login",
    "is_guest_login",
)
TIME_TRAFFIC = (
    "count",
    "srv_count",
    "serror_rate",
    "srv_serror_rate",
    "rerror_rate",
    "srv_rerror_rate",
    "same_srv_rate",
    "diff_srv_rate",
    "srv_diff_host_rate",
)
HOST_TRAFFIC = (
    "dst_host_count",
    "dst_host_srv_count",
    "dst_host_same_srv_rate",
    "dst_host_diff_srv_rate",
    "dst_host_same_src_port_rate",
    "dst_host_srv_diff_host_rate",
    "dst_host_serror_rate",
    "dst_host_srv_serror_rate",
    "dst_host_rerror_rate",
    "dst_host_srv_rerror_rate",
)
COLUMNS = BASIC + CONTENT + TIME_TRAFFIC + HOST_TRAFFIC
CONSTANT = "num_outbound_cmds"
FEATURES = tuple(name for name in COLUMNS if name != CONSTANT)
NUMERIC = tuple(name for name in FEATURES if name not in CATEGORICAL)

ATTACK = "attack"
DIFFICULTY = "difficulty"
HARDEST = 21
SPLIT = "split"
TRAIN, TEST = "train", "test"
# KDDTrain+_20Percent.txt is the head of KDDTrain+.txt: its rows out of all rows.
HEAD_ROWS, TRAIN_ROWS = 25_192, 125_973

CATEGORIES: Mapping[str, tuple[str, ...]] = {
    "dos": (
        "apache2",
        "back",
        "land",
        "mailbomb",
        "neptune",
        "pod",
        "processtable",
        "smurf",
        "teardrop",
        "udpstorm",
        "worm",
    ),
    "probe": ("ipsweep", "mscan", "nmap", "portsweep", "saint", "satan"),
    "r2l": (
        "ftp_write",
        "guess_passwd",
        "httptunnel",
        "imap",
        "multihop",
        "named",
        "phf",
        "sendmail",
        "snmpgetattack",
        "snmpguess",
        "spy",
        "warezclient",
        "warezmaster",
        "xlock",
        "xsnoop",
    ),
    "u2r": ("buffer_overflow", "loadmodule", "perl", "ps", "rootkit", "sqlattack", "xterm"),
}
CATEGORY_OF = {NORMAL: NORMAL} | {attack: category for category, names in CATEGORIES.items() for attack in names}


def _dtype(name: str) -> schema.DType:
    if name in CATEGORICAL:
        return pl.String
    return pl.Float64 if name.endswith("_rate") else pl.Int64


RAW_SCHEMA: schema.Schema = {
    **{name: schema.Column(_dtype(name)) for name in COLUMNS},
    ATTACK: schema.Column(pl.String),
    DIFFICULTY: schema.Column(pl.Int64),
}
WITHHELD = {
    ATTACK: "is the label",
    "attack_category": "is the label, coarser",
    "attack_unseen_in_train": "is derived from the label",
    DIFFICULTY: "counts how many of 21 models were right, and they saw the labels",
    "in_test_21": f"is {DIFFICULTY} < 21, so it was made by models that saw the labels",
    "in_train_20percent": "is the place in the file",
    CONSTANT: "is 0 in both files",
}


def read(files: Mapping[str, Path]) -> dict[str, pl.DataFrame]:
    """Read the training and the test file; they have no header line.

    Returns:
        ``train`` and ``test``: the 41 features, ``attack`` and ``difficulty``.

    Raises:
        DataError: if one of them is not at hand.
        SchemaError: if one of them is not what it must be, or names an attack of no known category.
    """
    raw = {}
    for split, name in ((TRAIN, TRAIN_FILE), (TEST, TEST_FILE)):
        table = schema.read_csv(schema.take(files, name), RAW_SCHEMA, header=False)
        raw[split] = schema.one_of(table, ATTACK, CATEGORY_OF.keys(), name)
    return raw


def assemble(raw: Mapping[str, pl.DataFrame]) -> Assembled:
    """Put both files into one frame, add the attack category and the flags, and count twins.

    Raises:
        SchemaError: if an attack belongs to no known category.
    """
    train, test = raw[TRAIN], raw[TEST]
    head = pl.int_range(pl.len()) * TRAIN_ROWS < HEAD_ROWS * train.height
    connections = pl.concat(
        [
            train.with_columns(pl.lit(TRAIN).alias(SPLIT), head.alias("in_train_20percent")),
            test.with_columns(pl.lit(TEST).alias(SPLIT), pl.lit(False).alias("in_train_20percent")),
        ]
    ).with_columns(
        ((pl.col(SPLIT) == TEST) & (pl.col(DIFFICULTY) != HARDEST)).alias("in_test_21"),
        (~pl.col(ATTACK).is_in(train[ATTACK].unique().implode())).alias("attack_unseen_in_train"),
        pl.col(ATTACK).replace_strict(CATEGORY_OF, default=None, return_dtype=pl.String).alias("attack_category"),
        (pl.col(ATTACK) != NORMAL).alias(LABEL),
        pl.col(ANOMALY_TYPE if ANOMALY_TYPE in train.columns else ATTACK).alias(ANOMALY_TYPE),
    )
    _require_categories(connections)
    return Assembled({"connections": connections}, {"connections": _roles()}, TRUTH, tuple(_defects(connections)))


def _require_categories(connections: pl.DataFrame) -> None:
    strange = connections.filter(pl.col("attack_category").is_null())
    if strange.height:
        found = f"{strange[ATTACK][0]!r} in {strange.height} rows"
        raise SchemaError(f"each attack must belong to a known category, found {found}: add it to CATEGORIES")


def _defects(connections: pl.DataFrame) -> list[Defect]:
    vectors = connections.select(SPLIT, LABEL, pl.struct(COLUMNS).rank("dense").alias("vector"))
    per_vector = vectors.group_by("vector").agg(
        *((pl.col(SPLIT) == split).sum().alias(split) for split in (TRAIN, TEST)),
        (pl.col(LABEL).n_unique() > 1).alias("conflicting"),
    )
    shared = per_vector.filter((pl.col(TRAIN) > 0) & (pl.col(TEST) > 0))
    conflicting = per_vector.filter("conflicting")
    kept = "kept, as published: a check of the split must report them"
    found = [
        Defect("test connections with a feature-identical twin in training", _total(shared, TEST), kept),
        Defect(
            "connections that share all features with one of the other class", _total(conflicting, TRAIN, TEST), kept
        ),
        *(
            Defect(f"{split} connections that repeat the features of an earlier one", _repeats(per_vector, split), kept)
            for split in (TRAIN, TEST)
        ),
    ]
    if connections[CONSTANT].n_unique() == 1:
        found.append(Defect(f"{CONSTANT} has the same value everywhere", connections.height, "withheld"))
    return [defect for defect in found if defect.rows]


def _total(vectors: pl.DataFrame, *splits: str) -> int:
    return sum(int(vectors[split].sum()) for split in splits)


def _repeats(vectors: pl.DataFrame, split: str) -> int:
    return _total(vectors, split) - int((vectors[split] > 0).sum())


def _roles() -> Roles:
    return Roles(
        unit="connection",
        label=LABEL,
        anomaly_type=ANOMALY_TYPE,
        features=FEATURES,
        split=SPLIT,
        withheld=WITHHELD,
    )
