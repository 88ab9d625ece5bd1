r"""Web requests: labelled parameter payloads, and raw events of a web application firewall without labels.

Sources: HttpParamsDataset (github.com/Morzeux/HttpParamsDataset, MIT) for the payloads; ML-PT
(github.com/ivan-zapreev/ML-PT, GPL-3.0) for 57,845 events of a firewall and for the components and cluster labels that
were published of them. The events are damaged in places: values shifted by line breaks, cut off, or binary. Several
values of one field are joined by the five characters ``\';\'``. Everything is kept as text here; features parse it.
"""

import csv
import io
import ipaddress
from collections.abc import Mapping
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import polars as pl

from utils.datasets import schema
from utils.datasets.contract import ANOMALY_TYPE, LABEL, NORMAL, Assembled, Defect, Kind, Roles
from utils.errors import SchemaError

KIND: Kind = "events"
TRAIN_FILE = "payload_train.csv"
TEST_FILE = "payload_test.csv"
FULL_FILE = "payload_full.csv"
EVENT_FILE = "part_10_raw.csv"
COMPONENT_FILE = "mlpt_X.npz"
CLUSTER_FILE = "mlpt_y.npz"
READS = (TRAIN_FILE, TEST_FILE, FULL_FILE, EVENT_FILE, COMPONENT_FILE, CLUSTER_FILE)
TRUTH = (
    "Payloads: the list that they come from (CSIC 2010 for benign values; sqlmap, XSSYA, Vega and FuzzDB for attacks). "
    "Events: nobody labelled them; the published cluster labels are no truth."
)

SPLIT = "split"
PAYLOAD = "payload"
LENGTH = "length"
NORM, ANOM = "norm", "anom"
ATTACK_TYPES = (NORM, "sqli", "xss", "path-traversal", "cmdi")
PAYLOAD_SCHEMA: schema.Schema = {
    PAYLOAD: schema.Column(pl.String),
    LENGTH: schema.Column(pl.Int64),
    **schema.columns(("attack_type", "label"), pl.String),
}

CLIENT_IP = "CLIENT_IP"
USER_AGENT = "CLIENT_USERAGENT"
REQUEST_SIZE = "REQUEST_SIZE"
RESPONSE_CODE = "RESPONSE_CODE"
VARIABLE_SOURCE = "MATCHED_VARIABLE_SRC"
VARIABLE_NAME = "MATCHED_VARIABLE_NAME"
VARIABLE_VALUE = "MATCHED_VARIABLE_VALUE"
EVENT_ID = "EVENT_ID"
EVENT_COLUMNS = (
    CLIENT_IP,
    USER_AGENT,
    REQUEST_SIZE,
    RESPONSE_CODE,
    VARIABLE_SOURCE,
    VARIABLE_NAME,
    VARIABLE_VALUE,
    EVENT_ID,
)
EVENT_FEATURES = (USER_AGENT, REQUEST_SIZE, RESPONSE_CODE, VARIABLE_SOURCE, VARIABLE_NAME, VARIABLE_VALUE)
EVENT_SCHEMA: schema.Schema = schema.columns(EVENT_COLUMNS, pl.String, nullable=True)
ROW = "row"
DELIMITER = r"\';\'"
REPLACEMENT = "\ufffd"
# The csv module refuses fields above 128 KiB; one unclosed quote may swallow the rest of the file.
LONGEST_FIELD = 1 << 28

COMPONENTS = tuple(f"pca{number}" for number in range(9))
CLUSTER = "cluster"

PAYLOAD_WITHHELD = {
    LENGTH: "alone it ranks the classes with AUC 0.98: benign values are single form fields, attacks are whole strings "
    "of attack tools"
}
MLPT_WITHHELD = {CLUSTER: "is the published DBSCAN label, computed from the same components"}


def read(files: Mapping[str, Path]) -> dict[str, pl.DataFrame]:
    """Read the files that are at hand.

    Args:
        files: paths by file name; only the training and the test payloads are needed.

    Returns:
        ``payloads``, and where at hand ``events`` (all text, as they stand in the file) and ``mlpt`` (published
        components and cluster labels).

    Raises:
        DataError: if the payloads are not at hand.
        SchemaError: if a file is not what it must be, or the file of all payloads holds other ones.
    """
    raw = {"payloads": _read_payloads(files)}
    if EVENT_FILE in files:
        raw["events"] = read_events(files[EVENT_FILE])
    if {COMPONENT_FILE, CLUSTER_FILE} <= files.keys():
        raw["mlpt"] = _read_components(files[COMPONENT_FILE], files[CLUSTER_FILE])
    return raw


def read_events(path: Path) -> pl.DataFrame:
    """Read raw firewall events, damaged rows included, as text.

    Quotes and line breaks are read as RFC 4180 has them. Rows that are too short are filled up with nulls; fields too
    many stay in the last column, joined by commas; bytes that are not UTF-8 become U+FFFD; empty lines are skipped.

    Returns:
        The eight columns as String; empty fields are null.

    Raises:
        SchemaError: if the file is empty, has no row or lacks a column.
    """
    text = schema.read_bytes(path).decode("utf-8", errors="replace")
    previous = csv.field_size_limit(LONGEST_FIELD)
    try:
        header, *records = csv.reader(io.StringIO(text, newline=""))
    except csv.Error as error:
        raise SchemaError(f"{path.name} must be a CSV file, found {error}: {schema.REMEDY}") from error
    finally:
        csv.field_size_limit(previous)
    if not set(EVENT_COLUMNS) <= set(header):
        found = ", ".join(header)[:100]
        raise SchemaError(
            f"{path.name} must have the columns {', '.join(EVENT_COLUMNS)}, found {found}: fetch it again"
        )
    fitted = [_fitted(record, len(header)) for record in records if record]
    table = pl.DataFrame(fitted, schema=dict.fromkeys(header, pl.String), orient="row")
    filled = table.select(pl.col(EVENT_COLUMNS).replace("", None))
    return schema.check(filled, EVENT_SCHEMA, path.name)


def assemble(raw: Mapping[str, pl.DataFrame]) -> Assembled:
    """Label the payloads, drop empty and repeated events, and count the damage."""
    frames, defects = {}, []
    frames["payloads"], found = _payloads(raw["payloads"])
    roles = {"payloads": _payload_roles()}
    defects += found
    if "events" in raw:
        frames["events"], found = _events(raw["events"])
        roles["events"] = _event_roles(labelled=LABEL in frames["events"].columns)
        defects += found
    if "mlpt" in raw:
        frames["mlpt"] = raw["mlpt"]
        roles["mlpt"] = Roles(unit="event", features=COMPONENTS, withheld=MLPT_WITHHELD)
    return Assembled(frames, roles, TRUTH, tuple(defect for defect in defects if defect.rows))


def valid_addresses(addresses: pl.Series) -> pl.Series:
    """Say which values are IPv4 or IPv6 addresses; each distinct value is looked at once.

    Args:
        addresses: String values; nulls are allowed.

    Returns:
        Boolean, null where the value is null.
    """
    known = addresses.drop_nulls().unique()
    verdicts = pl.Series([_is_address(value) for value in known], dtype=pl.Boolean)
    return addresses.replace_strict(known, verdicts, default=None, return_dtype=pl.Boolean)


def _read_payloads(files: Mapping[str, Path]) -> pl.DataFrame:
    parts = []
    for split, name in (("train", TRAIN_FILE), ("test", TEST_FILE)):
        table = _read_payload_file(schema.take(files, name), name)
        parts.append(table.with_columns(pl.lit(split).alias(SPLIT)))
    payloads = pl.concat(parts)
    if FULL_FILE in files:
        _require_same_payloads(payloads, _read_payload_file(files[FULL_FILE], FULL_FILE))
    return payloads


def _read_payload_file(path: Path, name: str) -> pl.DataFrame:
    table = schema.read_csv(path, PAYLOAD_SCHEMA)
    schema.one_of(table, "attack_type", ATTACK_TYPES, name)
    return schema.one_of(table, "label", (NORM, ANOM), name)


def _require_same_payloads(payloads: pl.DataFrame, full: pl.DataFrame) -> None:
    parts = payloads.select(full.columns)
    unknown = (
        parts.join(full, on=full.columns, how="anti").height + full.join(parts, on=full.columns, how="anti").height
    )
    if unknown or parts.height != full.height:
        wanted = f"{FULL_FILE} must hold the {parts.height} rows of {TRAIN_FILE} and {TEST_FILE}"
        found = f"{full.height} rows, {unknown} of them in one only"
        raise SchemaError(f"{wanted}, found {found}: {schema.REMEDY}")


def _read_components(components: Path, clusters: Path) -> pl.DataFrame:
    values = schema.read_array(components, "X", np.float64, columns=len(COMPONENTS))
    labels = schema.read_array(clusters, "y", np.int64)
    if len(values) != len(labels):
        wanted = f"{clusters.name} must hold one label for each of the {len(values)} rows of {components.name}"
        raise SchemaError(f"{wanted}, found {len(labels)}: {schema.REMEDY}")
    table = pl.DataFrame(values, schema=dict.fromkeys(COMPONENTS, pl.Float64))
    return table.with_columns(pl.Series(CLUSTER, labels))


def _fitted(record: list[str], width: int) -> list[str | None]:
    """Make a record as long as the header."""
    if len(record) > width:
        return [*record[: width - 1], ",".join(record[width - 1 :])]
    return list(chain(record, repeat(None, width - len(record))))


def _payloads(raw: pl.DataFrame) -> tuple[pl.DataFrame, list[Defect]]:
    payloads = raw.with_columns(
        (pl.col("label") != NORM).alias(LABEL), pl.col("attack_type").replace(NORM, NORMAL).alias(ANOMALY_TYPE)
    )
    wrong_length = payloads.filter(pl.col(PAYLOAD).str.len_chars() != pl.col(LENGTH)).height
    sides = payloads.group_by(PAYLOAD).agg(pl.col(SPLIT).n_unique().alias("sides"), pl.len())
    found = [
        Defect(f"{LENGTH} is not the number of characters of the payload", wrong_length, "kept as published"),
        Defect(
            "payloads that stand in training and in test",
            int(sides.filter(pl.col("sides") > 1)["len"].sum()),
            "kept, as published: a check of the split must report them",
        ),
    ]
    return payloads.drop("label", "attack_type"), found


def _events(raw: pl.DataFrame) -> tuple[pl.DataFrame, list[Defect]]:
    """Number the distinct rows, which is how the published components count them, then drop the empty one."""
    empty = pl.all_horizontal(pl.col(EVENT_COLUMNS).is_null())
    distinct = raw.unique(list(EVENT_COLUMNS), keep="first", maintain_order=True)
    events = distinct.with_row_index(ROW).filter(~empty)
    if ANOMALY_TYPE in raw.columns:
        events = events.with_columns((pl.col(ANOMALY_TYPE) != NORMAL).alias(LABEL))
    empties = raw.filter(empty).height
    found = [
        Defect("events without any value", empties, "dropped"),
        Defect("events that repeat an earlier one", raw.height - empties - events.height, "kept once"),
        *_damage(events),
    ]
    return events, found


def _damage(events: pl.DataFrame) -> list[Defect]:
    invalid = ~valid_addresses(events[CLIENT_IP])
    counts = events.select(
        size=_is_number(REQUEST_SIZE).not_().sum(),
        code=(_is_number(RESPONSE_CODE) & pl.col(RESPONSE_CODE).str.contains("^[1-5][0-9]{2}$")).not_().sum(),
        bytes=pl.any_horizontal(pl.col(EVENT_COLUMNS).str.contains(REPLACEMENT, literal=True)).sum(),
        several=pl.col(VARIABLE_SOURCE).str.contains(DELIMITER, literal=True).sum(),
        empty=pl.any_horizontal(pl.col(EVENT_COLUMNS).is_null()).sum(),
    ).row(0, named=True)
    nulls = {name: events[name].null_count() for name in EVENT_COLUMNS}
    listed = ", ".join(f"{name} {count}" for name, count in nulls.items() if count)
    raw = "kept raw, for the features to parse"
    return [
        Defect(f"{CLIENT_IP} is no address: the row is shifted, cut off or binary", int(invalid.sum() or 0), raw),
        Defect(f"{REQUEST_SIZE} is no number", counts["size"], raw),
        Defect(f"{RESPONSE_CODE} is no status from 100 to 599", counts["code"], raw),
        Defect("bytes that are not UTF-8", counts["bytes"], "read as U+FFFD"),
        Defect(f"several values in {VARIABLE_SOURCE}, the last one often cut off", counts["several"], raw),
        Defect(f"empty fields ({listed})", counts["empty"], "kept as null"),
    ]


def _is_number(column: str) -> pl.Expr:
    return pl.col(column).str.contains("^[0-9]+$")


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _payload_roles() -> Roles:
    return Roles(
        unit="payload",
        label=LABEL,
        anomaly_type=ANOMALY_TYPE,
        features=(PAYLOAD,),
        split=SPLIT,
        withheld=PAYLOAD_WITHHELD,
    )


def _event_roles(*, labelled: bool) -> Roles:
    return Roles(
        unit="event",
        label=LABEL if labelled else None,
        anomaly_type=ANOMALY_TYPE if labelled else None,
        features=EVENT_FEATURES,
        identity=(ROW, CLIENT_IP, EVENT_ID),
        group=CLIENT_IP,
    )
