"""Traffic between hosts in time windows: made by the simulator only, there is no public file."""

from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import polars as pl

from utils.datasets import schema
from utils.datasets.contract import ANOMALY_TYPE, LABEL, Assembled, Kind, Roles
from utils.errors import DataError

KIND: Kind = "table"
READS: tuple[str, ...] = ()
TRUTH = "The simulator says which pairs of hosts misbehave in which window, and how."

WINDOW = "window"
TIME = "time"
FEATURES = ("bytes", "packets", "flows")
WINDOW_SCHEMA: schema.Schema = {
    WINDOW: schema.Column(pl.Int64),
    TIME: schema.Column(pl.Datetime("us")),
    **schema.columns(("src", "dst"), pl.String),
    **schema.columns(FEATURES, pl.Int64),
    LABEL: schema.Column(pl.Boolean),
    ANOMALY_TYPE: schema.Column(pl.String),
}
HOST_SCHEMA: schema.Schema = schema.columns(("host", "role"), pl.String)


def read(files: Mapping[str, Path]) -> NoReturn:
    """Refuse: there are no files.

    Raises:
        DataError: always.
    """
    found = ", ".join(sorted(files)) or "none"
    raise DataError(f"data set 'traffic' is simulated only, found the files {found}: load it with source='simulated'")


def assemble(raw: Mapping[str, pl.DataFrame]) -> Assembled:
    """Check the tables and say what their columns mean.

    Raises:
        SchemaError: if a table lacks a column or holds another type.
    """
    frames = {
        "windows": schema.check(raw["windows"], WINDOW_SCHEMA, "windows"),
        "hosts": schema.check(raw["hosts"], HOST_SCHEMA, "hosts"),
    }
    return Assembled(frames, {"windows": _window_roles(), "hosts": _host_roles()}, TRUTH)


def _window_roles() -> Roles:
    return Roles(
        unit="pair of hosts in a time window",
        label=LABEL,
        anomaly_type=ANOMALY_TYPE,
        features=FEATURES,
        identity=("src", "dst"),
        time=TIME,
        group=WINDOW,
        withheld={WINDOW: "is the number of the window, so a time"},
    )


def _host_roles() -> Roles:
    return Roles(unit="host", identity=("host",), withheld={"role": "describes the host for the reader of a figure"})
