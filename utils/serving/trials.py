"""What a notebook asks the service: raw records that no model has learned from, and whether both decide alike.

Every record is sent as a client would send it and decided on a second time by the registered model in the process of
the notebook, which has no compiled form and never sees the service.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import polars as pl

from utils import settings
from utils.classifiers.champion import Champion
from utils.datasets import hdfs
from utils.datasets.contract import Dataset, Roles
from utils.detectors.log_monitor import LogMonitor
from utils.evaluation.drift import Profile, drift_trial, kinds_of, profile_of, shifted
from utils.evaluation.drift.shifts import LOG_SHIFTS, TABLE_SHIFTS
from utils.evaluation.drift.trials import NONE
from utils.evaluation.drift.watch import FEWEST_ROWS, WINDOW
from utils.evaluation.inputs import Bools, Weights
from utils.features.tables import weight_of
from utils.serving import client
from utils.serving.client import Client

EVENTS, LINES = "events", "lines"
WATCHED: Mapping[str, type[pl.DataType]] = {
    "model": pl.String,
    "asked": pl.Int64,
    "as they are": pl.String,
    "shift": pl.String,
    "shifted": pl.String,
    "columns": pl.String,
}
SHIFTS = sorted({*TABLE_SHIFTS, *LOG_SHIFTS})
HALVES = "none, halves of the records"
ROWS_A_WINDOW = 4
"""Records for each row of a window: a quarter of them is asked where halves are compared."""

CALM = 0.05
"""Share of windows without a shift that may give an alarm where shifts are to be found."""

OK = 200
MOST_COLUMNS = 3
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

    def repeated(self, least: int) -> "Asked":
        """The same records, from the first on again where they are fewer; lines are never repeated."""
        if self.form == "lines" or len(self.records) >= least or not self.records:
            return self
        places = np.resize(np.arange(len(self.records)), least).tolist()
        labels = None if self.labels is None else self.labels[places]
        return Asked(self.name, self.form, [self.records[place] for place in places], self.rows[places], labels)


def served(service: Client) -> pl.DataFrame:
    """Tell what a service serves.

    Returns:
        One row a model: ``model``, ``version``, ``learned from`` (real or simulated data), ``f1`` on its test rows with
        the interval (``low``, ``high``; null where none is known), ``threshold``, whether it decides in a ``compiled``
        form and gives ``p_values``, and the ``forms`` that requests may have.

    Raises:
        OSError: if nobody answers.
    """
    rows = []
    for told in service.get("/models").value["models"]:
        f1 = told["metrics"].get("f1", {})
        rows.append(
            {
                "model": told["name"],
                "version": told["version"],
                "learned from": told["data"].get("source"),
                **dict(zip(("f1", "low", "high"), map(f1.get, ("value", "low", "high")), strict=True)),
                "threshold": told["threshold"],
                "compiled": told["compiled"],
                "p_values": told["p_values"],
                "forms": ", ".join(told["forms"]),
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)


def held_out(
    name: str, model: Champion | LogMonitor, processed: Dataset, *, most: int, seed: int = settings.SEED
) -> Asked | None:
    """Take raw records of the test part of the table that a model reads.

    Args:
        name: of the registered model.
        model: the model.
        processed: tables of its data set.
        most: records at most: some are drawn where there are more, and stay in their order. Where a row stands for
            several sessions, sessions are drawn as they occur, in random order.
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
    if not isinstance(model, LogMonitor) or lines is None or not set(hdfs.LINE_PARTS) <= set(lines.columns):
        return None
    texts = lines.head(most).select(hdfs.raw_line()).to_series().to_list()
    return Asked(name, "lines", texts, texts)


def agreement(service: Client, models: Mapping[str, Any], asked: Iterable[Asked], *, least: int = 0) -> pl.DataFrame:
    """Ask the service and the models, and count on how many records they differ.

    Args:
        service: the running service.
        models: the registered models by name, as :func:`utils.tracking.models.load_model` gives them.
        asked: records of each.
        least: where records are fewer, all are asked again and again until there are so many.

    Returns:
        One row a model and form: ``model``, ``form``, ``version`` that answered, records ``asked`` and how many of them
        are ``distinct``, ``alarms`` of the service, records that ``differ`` in their decision or by more than rounding
        in their score, the ``largest`` difference of scores, and records ``per_second`` in batches of 1,000.

    Raises:
        DataError: if the service refuses records.
        OSError: if nobody answers.
    """
    rows = [_compared(service, models[one.name], one.repeated(least)) for one in asked]
    return pl.DataFrame(rows, schema=dict(COLUMNS))


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


def watched(asked: Iterable[Asked], *, seed: int = settings.SEED) -> pl.DataFrame:
    """Send records to a service of their own as they are, then with a shift, and read what ``GET /{model}/drift`` says.

    Args:
        asked: records of each model, sent in random order; those that cannot be shifted are left out.
        seed: of the order and of the shift.

    Returns:
        One row a model: rows ``asked`` and the state ``as they are``, the ``shift``, the state ``shifted``, and the
        ``columns`` that then differ most.

    Raises:
        DataError: if the service refuses records.
        LabError: if it does not start.
    """
    kinds = {one.name: kinds_of(one.rows, one.labels) for one in asked if isinstance(one.rows, pl.DataFrame)}
    tried = [one for one in asked if one.form != "lines" and kinds.get(one.name)]
    if not tried:
        return pl.DataFrame(schema=WATCHED)
    with client.running([one.name for one in tried]) as service:
        found = [_states(service, one, kinds[one.name][0], seed) for one in tried]
    return pl.DataFrame([row for row in found if row is not None], schema=WATCHED, orient="row")


def drift_trials(
    asked: Iterable[Asked],
    models: Mapping[str, Any],
    profiles: Mapping[str, Profile],
    *,
    windows: int = 300,
    repeats: int = 10,
    seed: int = settings.SEED,
) -> pl.DataFrame:
    """Measure false alarms and found shifts on the held-out records of each model.

    Args:
        asked: records of each model.
        models: the registered models by name.
        profiles: what their training looked like, by name.
        windows: quiet windows that are tried.
        repeats: times that each shift is made.
        seed: of all draws.

    Returns:
        The tables of :func:`utils.evaluation.drift.drift_trial` with the ``model`` before, and one more row,
        :data:`HALVES`: one random half of the records is compared with the other, so that nothing can have changed.
        Models without a profile, or with too few records, are left out.
    """
    found = []
    for one in asked:
        if one.name not in profiles or one.form == "lines" or len(one.records) < ROWS_A_WINDOW * FEWEST_ROWS:
            continue
        window = min(WINDOW, len(one.records) // ROWS_A_WINDOW)
        options: dict[str, Any] = {"windows": windows, "repeats": repeats, "window": window, "seed": seed}
        table = drift_trial(profiles[one.name], models[one.name], one.rows, y=one.labels, **options)
        table = pl.concat([_halves(models[one.name], one, options), table])
        found.append(table.select(pl.lit(one.name).alias("model"), pl.all()))
    return pl.concat(found) if found else pl.DataFrame()


def results(name: str, agreed: pl.DataFrame, waited: pl.DataFrame, drifts: pl.DataFrame) -> dict[str, float]:
    """Numbers of one model for the record of a run.

    Args:
        name: of the model.
        agreed: as :func:`agreement` gives it.
        waited: as :func:`speeds` gives it.
        drifts: as :func:`drift_trials` gives it.

    Returns:
        Records ``asked`` and those that ``differ``; milliseconds of one client (``p50_ms``, ``p99_ms``) and requests
        that ``failed``; shares of false alarms of drift (``drift_false``) and of shifts found (``drift_found``, of a
        model that is :func:`calm`).
    """
    own = [table.filter(model=name) if table.height else table for table in (agreed, waited, drifts)]
    found: dict[str, float] = {}
    if own[0].height:
        found |= {"asked": float(own[0]["asked"].sum()), "differ": float(own[0]["differ"].sum())}
    if own[1].height:
        alone = own[1].sort("clients").row(0, named=True)
        found |= {"p50_ms": alone["p50_ms"], "p99_ms": alone["p99_ms"], "failed": float(own[1]["failed"].sum())}
    shifts = pl.col("shift").is_in(SHIFTS) & pl.col("model").is_in(calm(drifts))
    for key, chosen in (("drift_false", pl.col("shift") == HALVES), ("drift_found", shifts)):
        rows = own[2].filter(chosen) if own[2].height else own[2]
        if rows.height and rows["tried"].sum():
            found[key] = float(rows["alarms"].sum()) / float(rows["tried"].sum())
    return found


def _halves(model: Any, asked: Asked, options: Mapping[str, Any]) -> pl.DataFrame:  # noqa: ANN401 - any model
    """Count false alarms where one half of the records is what the other half is compared with."""
    order = np.random.default_rng(options["seed"]).permutation(len(asked.records))
    first, second = (asked.rows[part] for part in np.array_split(order, 2))
    known = profile_of(model.monitored(first))
    tried = drift_trial(known, model, second, kinds=(), **options)
    return tried.filter(shift=NONE).with_columns(shift=pl.lit(HALVES))


def calm(drifts: pl.DataFrame) -> list[str]:
    """Models whose held-out records look like training: shifts that are found in others were there before.

    Args:
        drifts: as :func:`drift_trials` gives it.
    """
    return (
        drifts.filter((pl.col("shift") == NONE) & (pl.col("share") <= CALM))["model"].to_list() if drifts.height else []
    )


def sent_as(form: client.Form, rows: pl.DataFrame) -> list[Any]:
    """Write rows that a model reads as the records of a request."""
    return rows[EVENTS].to_list() if form == "sessions" else _records(rows)


def _asked(
    name: str, model: Champion | LogMonitor, frame: pl.DataFrame, roles: Roles, most: int, seed: int
) -> Asked | None:
    """Records of one table; nothing where the model cannot read it."""
    columns = _read(model)
    if not set(columns) <= set(frame.columns):
        return None
    test = frame.filter(pl.col(roles.split) != "train") if roles.split else frame
    test = test if test.height else frame
    mass = weight_of(test, roles)
    rows = _drawn(test, None if mass is None else mass.to_numpy(), most, seed)
    labels = rows[roles.label].to_numpy() if roles.label and not rows[roles.label].null_count() else None
    if isinstance(model, LogMonitor):
        sessions = rows.select(EVENTS)
        return Asked(name, "sessions", sent_as("sessions", sessions), sessions, labels)
    raw = rows.select(columns)
    return Asked(name, "rows", sent_as("rows", raw), raw, labels)


def _read(model: Champion | LogMonitor) -> tuple[str, ...]:
    """Columns of raw records that a model reads."""
    if isinstance(model, LogMonitor):
        return (EVENTS,)
    return tuple(model.reader_.inputs if model.reader_ is not None else map(str, model.feature_names_in_))


def _drawn(frame: pl.DataFrame, weight: Weights | None, most: int, seed: int) -> pl.DataFrame:
    """Some rows in their order, or as many draws as wanted by weight."""
    rng = np.random.default_rng(seed)
    if weight is not None and weight.sum() > 0:
        return frame[rng.choice(frame.height, most, p=weight / weight.sum())]
    return frame[np.sort(rng.permutation(frame.height)[:most])]


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
        "differ": client.disagreements(answered, decided).height,
        "largest": float(apart.max() or 0.0),  # type: ignore[arg-type] # polars
        "per_second": len(asked.records) / seconds,
    }


def _decided(model: Any, asked: Asked) -> pl.DataFrame:  # noqa: ANN401 - any registered model
    """Decisions of the model in this process."""
    decide = model.decide_sessions if asked.form == "sessions" else model.decide
    return cast(pl.DataFrame, decide(asked.rows, explained="none"))


def _drifted(report: Mapping[str, Any]) -> str:
    """Names of the first columns that differ."""
    names = [column["column"] for column in report["columns"] if column["drifted"]]
    return ", ".join(names[:MOST_COLUMNS])


def _states(service: Client, asked: Asked, kind: str, seed: int) -> tuple[object, ...] | None:
    """One row of :func:`watched`; nothing where the model has no profile of its training."""
    order = np.random.default_rng(seed).permutation(len(asked.records))
    rows = asked.rows[order]
    moved = shifted(rows, kind, seed, y=None if asked.labels is None else asked.labels[order])
    states, report = [], {}
    for sent in (rows, moved):
        client.replay(service, asked.name, sent_as(asked.form, sent), form=asked.form)
        told = service.get(f"/{asked.name}/drift")
        if told.status != OK:
            return None
        report = told.value
        states.append(report["state"])
    return asked.name, len(order), states[0], kind, states[1], _drifted(report)
