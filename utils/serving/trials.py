"""What a notebook asks the service: raw records that no model has learned from, and whether both decide alike.

Every record is sent as a client would send it and decided on a second time by the registered model in the process of
the notebook, which has no compiled form and never sees the service.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import polars as pl

from utils import settings
from utils.classifiers.champion import Champion
from utils.datasets.contract import Dataset, Roles
from utils.detectors.log_monitor import LogMonitor
from utils.evaluation.inputs import Bools
from utils.serving import client
from utils.serving.client import Client

EVENTS, LINES = "events", "lines"
LINE_PARTS = ("Date", "Time", "Pid", "Level", "Component", "Content")
LINE = "{} {} {} {} {}: {}"
"""How a line of HDFS is written, of its columns in order."""

ROUNDING = 1e-9
"""Scores that differ by no more are equal: sums of the same numbers in another order."""

COLUMNS: Mapping[str, type[pl.DataType]] = {
    "model": pl.String,
    "form": pl.String,
    "version": pl.Int64,
    "asked": pl.Int64,
    "distinct": pl.Int64,
    "alarms": pl.Int64,
    "differ": pl.Int64,
    "largest": pl.Float64,
    "per_second": pl.Float64,
}


@dataclass(frozen=True, eq=False)
class Asked:
    """Raw records of one model.

    Attributes:
        name: of the registered model.
        form: how the records are sent (:data:`utils.serving.client.FORMS`).
        records: what is sent, n of them: rows, sessions, or lines.
        rows: the same as the model in the notebook reads it; for lines the lines themselves.
        labels: true for an anomaly (n,), where that is known of each record.
    """

    name: str
    form: client.Form
    records: Sequence[Any] = field(repr=False)
    rows: Any = field(repr=False)
    labels: Bools | None = field(repr=False, default=None)

    @property
    def distinct(self) -> int:
        """Number of records that differ from each other."""
        return len(set(map(repr, self.records)))


def held_out(
    name: str, model: Champion | LogMonitor, processed: Dataset, *, most: int, seed: int = settings.SEED
) -> Asked | None:
    """Take raw records of the test part of the table that a model reads.

    Args:
        name: of the registered model.
        model: the model.
        processed: tables of its data set.
        most: records at most; some are drawn where there are more, and all are asked again and again where there are
            fewer.
        seed: of the draw.

    Returns:
        The records; nothing where no table has the columns of the model.
    """
    for table, roles in processed.roles.items():
        found = _asked(name, model, processed[table], roles, most, seed)
        if found is not None:
            return found
    return None


def raw_lines(name: str, model: Champion | LogMonitor, data: Dataset, *, most: int) -> Asked | None:
    """Take the first lines of a log as they stand in its file.

    Args:
        name: of the registered model.
        model: the model of a log.
        data: its data set.
        most: lines at most.

    Returns:
        The lines; nothing where the model reads no lines, or the data set has none in parts.
    """
    lines = data.frames.get(LINES)
    if not isinstance(model, LogMonitor) or lines is None or not set(LINE_PARTS) <= set(lines.columns):
        return None
    written = lines.head(most).select(pl.format(LINE, *(pl.col(part).cast(pl.String) for part in LINE_PARTS)))
    texts = written.to_series().to_list()
    return Asked(name, "lines", texts, texts)


def agreement(service: Client, models: Mapping[str, Any], asked: Iterable[Asked]) -> pl.DataFrame:
    """Ask the service and the models, and count on how many records they differ.

    Args:
        service: the running service.
        models: the registered models by name, as :func:`utils.tracking.models.load_model` gives them.
        asked: records of each.

    Returns:
        One row a model and form: ``model``, ``form``, ``version`` that answered, records ``asked`` and how many of them
        are ``distinct``, ``alarms`` of the service, records that ``differ`` in their decision or by more than rounding
        in their score, the ``largest`` difference of scores, and records ``per_second`` in batches of 1,000.

    Raises:
        DataError: if the service refuses records.
        OSError: if nobody answers.
    """
    return pl.DataFrame([_compared(service, models[one.name], one) for one in asked], schema=dict(COLUMNS))


def speeds(
    service: Client, asked: Iterable[Asked], *, concurrency: Sequence[int] = (1, 8, 32), requests: int = 500
) -> pl.DataFrame:
    """Measure the time of requests for one record each (errors as :func:`utils.serving.client.latency`).

    Args:
        service: the running service.
        asked: records of each model.
        concurrency: clients at the same time.
        requests: of each measurement.

    Returns:
        The table of :func:`utils.serving.client.latency` with the name of the ``model``.
    """
    measured = [
        client.latency(
            service, one.name, one.records[:1_000], form=one.form, concurrency=concurrency, requests=requests
        ).select(pl.lit(one.name).alias("model"), pl.all())
        for one in asked
        if one.form != "lines"
    ]
    return pl.concat(measured) if measured else pl.DataFrame()


def _asked(
    name: str, model: Champion | LogMonitor, frame: pl.DataFrame, roles: Roles, most: int, seed: int
) -> Asked | None:
    """Records of one table; nothing where the model cannot read it."""
    columns = _read(model)
    if not set(columns) <= set(frame.columns):
        return None
    test = frame.filter(pl.col(roles.split) != "train") if roles.split else frame
    rows = _drawn(test if test.height else frame, most, seed)
    labels = rows[roles.label].to_numpy() if roles.label and not rows[roles.label].null_count() else None
    if isinstance(model, LogMonitor):
        sessions = rows.select(EVENTS)
        return Asked(name, "sessions", sessions[EVENTS].to_list(), sessions, labels)
    raw = rows.select(columns)
    return Asked(name, "rows", _records(raw), raw, labels)


def _read(model: Champion | LogMonitor) -> tuple[str, ...]:
    """Columns of raw records that a model reads."""
    if isinstance(model, LogMonitor):
        return (EVENTS,)
    return tuple(model.reader_.inputs if model.reader_ is not None else map(str, model.feature_names_in_))


def _drawn(frame: pl.DataFrame, most: int, seed: int) -> pl.DataFrame:
    """As many rows as wanted: some of many, or few of them several times."""
    order = np.random.default_rng(seed).permutation(frame.height)
    return frame[np.resize(order, most) if frame.height else order]


def _records(raw: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON has them: stretches of time in seconds, what is no number left out."""
    made = raw.with_columns(
        (pl.col(name).dt.total_nanoseconds() / 1e9).alias(name)
        for name, dtype in raw.schema.items()
        if isinstance(dtype, pl.Duration)
    )
    return made.with_columns(pl.selectors.float().fill_nan(None)).to_dicts()


def _compared(service: Client, model: Any, asked: Asked) -> dict[str, object]:  # noqa: ANN401 - any registered model
    """One row of :func:`agreement`."""
    began = time.perf_counter()
    answered = client.replay(service, asked.name, asked.records, form=asked.form)
    seconds = time.perf_counter() - began
    decided = _decided(model, asked)
    apart = (answered["score"].cast(pl.Float64) - decided["score"]).abs()
    return {
        "model": asked.name,
        "form": asked.form,
        "version": int(answered["version"].max()),  # type: ignore[arg-type] # polars
        "asked": len(asked.records),
        "distinct": asked.distinct,
        "alarms": int(answered["decision"].sum()),
        "differ": client.disagreements(answered, decided, ROUNDING).height,
        "largest": float(apart.max() or 0.0),  # type: ignore[arg-type] # polars
        "per_second": len(asked.records) / seconds,
    }


def _decided(model: Any, asked: Asked) -> pl.DataFrame:  # noqa: ANN401 - any registered model
    """Decisions of the model in this process."""
    explained: Literal["none"] = "none"
    if asked.form == "sessions":
        return model.decide_sessions(asked.rows, explained=explained)  # type: ignore[no-any-return]
    return model.decide(asked.rows, explained=explained)  # type: ignore[no-any-return]
