"""Small hand-made data sets of every kind, for tests of what works on any data set."""

import datetime as dt

import numpy as np
import polars as pl

from utils.datasets.contract import Dataset, Roles

START = dt.datetime(2026, 3, 2, 8, 0, 0)


def dataset(frames, roles, name="tiny", kind="table", source="real"):
    return Dataset(
        name=name,
        kind=kind,
        source=source,
        origin="own files",
        digest="0" * 64,
        truth="made by hand",
        frames=frames,
        roles=roles,
    )


def table(rows=400, seed=0, label=True):
    rng = np.random.default_rng(seed)
    anomalous = rng.random(rows) < 0.1
    frame = pl.DataFrame(
        {
            "size": rng.lognormal(6 + anomalous, 1.5),
            "rate": rng.random(rows) + 0.3 * anomalous,
            "noise": rng.normal(size=rows),
            "constant": np.ones(rows),
            "client": [f"10.0.0.{place % 50}" for place in range(rows)],
            "when": [START + dt.timedelta(minutes=place) for place in range(rows)],
            "is_anomaly": anomalous,
            "anomaly_type": np.where(anomalous, np.where(rng.random(rows) < 0.5, "scan", "flood"), "normal"),
        }
    )
    roles = Roles(
        unit="flow",
        label="is_anomaly" if label else None,
        anomaly_type="anomaly_type" if label else None,
        features=("size", "rate", "noise", "constant"),
        identity=("client",),
        time="when",
    )
    return dataset({"flows": frame}, {"flows": roles})


def sessions():
    sequences = pl.DataFrame(
        {"sequence_id": [0, 1, 2], "events": [[5, 5, 22], [5, 9], [5]]}, schema_overrides={"events": pl.List(pl.UInt8)}
    )
    frame = pl.DataFrame(
        {
            "session_id": range(6),
            "is_anomaly": [False] * 4 + [True] * 2,
            "sequence_id": [0, 0, 1, 1, 2, 2],
            "split": ["train"] * 2 + ["test"] * 4,
        }
    )
    roles = Roles(unit="session", label="is_anomaly", sequence="sequence_id", split="split", identity=("session_id",))
    return dataset(
        {"sessions": frame, "sequences": sequences},
        {"sessions": roles, "sequences": Roles(unit="distinct sequence")},
        kind="log",
    )


def call_graphs():
    behaviours = pl.DataFrame({"_id": ["a", "b"], "is_anomaly": [False, True]})
    edges = pl.DataFrame({"_id": ["a", "a", "a", "b"], "from": ["x", "y", "x", "x"], "to": ["y", "z", "z", "x"]})
    roles = {"behaviors": Roles(unit="behaviour", label="is_anomaly", identity=("_id",)), "edges": Roles(unit="call")}
    return dataset({"behaviors": behaviours, "edges": edges}, roles, kind="call_graph")


def texts(rows=300):
    payloads = [f"value {place} of shop" if place % 10 else f"' OR {place}={place} -- <b>" for place in range(rows)]
    kinds = ["normal" if place % 10 else "sqli" for place in range(rows)]
    frame = pl.DataFrame(
        {"payload": payloads, "anomaly_type": kinds, "is_anomaly": [kind != "normal" for kind in kinds]}
    )
    roles = Roles(unit="payload", label="is_anomaly", anomaly_type="anomaly_type", features=("payload",))
    return dataset({"payloads": frame}, {"payloads": roles}, kind="events")


def host_traffic():
    frame = pl.DataFrame(
        {
            "src": ["a", "a", "b"],
            "dst": ["b", "c", "c"],
            "bytes": [10, 1_000, 100_000],
            "is_anomaly": [False, False, True],
        }
    )
    return dataset({"windows": frame}, {"windows": Roles(unit="edge", label="is_anomaly", features=("bytes",))})
