"""Logs to ranked sessions: of a raw file in one call, and of the tables of users' own logs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from utils import settings
from utils.datasets.contract import LABEL, Dataset, Roles
from utils.detectors.log_monitor.calibration import EVENTS
from utils.detectors.log_monitor.monitor import LINES, SESSION, Labels, LogMonitor, Report, labels_of
from utils.detectors.log_monitor.naming import ID, TEXT
from utils.detectors.log_monitor.reading import Lines
from utils.errors import DataError, LabError
from utils.evaluation import metrics
from utils.evaluation.inputs import as_fraction
from utils.evaluation.metrics import Estimate
from utils.features.log_sessions import list_column
from utils.features.tables import Table, weight_of

OWN = "own files"
RATE = 0.05
TOP = 10
EXPLAINED = 100
SEVERAL_FILES = 2
MOSTLY = 0.5
"""Share of flagged sessions from which the log has changed rather than gone wrong."""

NOTICED = 3
"""Ranks that everybody looks at."""

RECURRING = 0.1
"""Share of event types in several training sessions below which a log says little about itself."""

TABLE = {"data set": pl.String, "table": pl.String}
TOP_COLUMNS = ("session", "score", "p_value", "decision", "first_line", "last_line", "n_events", "sentence")


@dataclass(frozen=True, eq=False)
class LogVerdicts:
    """What became of a raw log.

    Attributes:
        table: the judged sessions, the most abnormal first: as :meth:`LogMonitor.decide`, with ``is_anomaly`` where
            labels are known.
        monitor: the fitted model; it judges further lines of the same log.
        estimates: how good the decisions are, where labels are known.
        notes: what was done and what to beware of, one sentence each.
    """

    table: pl.DataFrame
    monitor: LogMonitor
    estimates: tuple[Estimate, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Ranked:
    """The sessions of users' own logs, ranked by models that learned from the first part of each.

    Attributes:
        top: the most abnormal sessions of each table: ``data set``, ``table``, ``session``, ``score``, ``p_value``,
            ``decision``, ``first_line``, ``last_line``, ``n_events`` and ``sentence``.
        alarms: one row a table: ``detector``, sessions of ``training``, ``judged`` ones, ``nominal`` alarm rate,
            ``alarms``, their ``share``, and ``threshold`` in words.
        monitors: the fitted models by data set and table.
        notes: by data set, one sentence each.
    """

    top: pl.DataFrame
    alarms: pl.DataFrame
    monitors: Mapping[Table, LogMonitor] = field(default_factory=dict)
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def results(self, name: str) -> dict[str, float]:
        """Numbers of one data set for the record of a run."""
        found: dict[str, float] = {}
        for row in self.alarms.filter(pl.col("data set") == name).iter_rows(named=True):
            found |= {f"{row['table']}_ranked_{key}": float(row[key]) for key in ("judged", "alarms", "share")}
        return found


def verdicts(
    lines: Lines,
    *,
    labels: Labels | None = None,
    train_share: float = 0.5,
    rate: float = RATE,
    explained: int = EXPLAINED,
    **options: Any,  # noqa: ANN401 (whatever LogMonitor takes)
) -> LogVerdicts:
    r"""Rank the sessions of a raw log, in one call.

    The model learns from the sessions that begin first, without those that are labelled as anomalies, and judges the
    others. ``log_monitor.verdicts(Path("app.log"), header=r"(?P<time>\S+ \S+) (?P<content>.*)", window="10m")``.

    Args:
        lines: path of a raw log, or its lines; see :meth:`LogMonitor.fit`.
        labels: which sessions are anomalies; see :meth:`LogMonitor.fit`. Without any the first part is taken for
            normal.
        train_share: share of the sessions to learn from, in the order in which they begin.
        rate: share of normal sessions that may be flagged.
        explained: most sessions that get reasons, those with the highest scores.
        options: ``header``, ``session``, ``window``, ``window_lines`` and other arguments of :class:`LogMonitor`.

    Returns:
        The ranked sessions, the model, and what to beware of.

    Raises:
        DataError: if there are fewer than two sessions, no normal one to learn from, or as :meth:`LogMonitor.fit`.
        SchemaError: if the lines are no texts.
        OSError: if the file cannot be read.
    """
    share = as_fraction(train_share, "train_share", "give a share such as 0.5")
    monitor = LogMonitor(rate=rate, **options)
    scanned = monitor.scan(lines)
    count = scanned.rows.height
    if count < 2:
        raise DataError(f"sessions are ranked against others, found {count}: take narrower windows or a longer log")
    rank = scanned.rows["first_line"].rank("ordinal").to_numpy()
    first = rank <= min(max(round(share * count), 1), count - 1)
    monitor.fit_scanned(scanned, labels, first)
    sessions, texts = scanned.sessions(monitor.parser_)
    judged = sessions.filter(pl.Series(~first))
    table = monitor.decide_sessions(judged, explained=explained, texts=texts)
    said = [_divided(first, monitor, labels is not None), *_outside(scanned.n_outside, scanned.n_lines)]
    estimates: tuple[Estimate, ...] = ()
    if labels is not None:
        table = table.with_columns(labels_of(sessions[SESSION], labels).filter(pl.Series(~first)).alias(LABEL))
        estimates = _estimates(table, monitor)
    notes = (*said, *_warnings(table, judged, monitor))
    return LogVerdicts(table.sort("score", descending=True, maintain_order=True), monitor, estimates, notes)


def ranked(
    processed: Mapping[str, Dataset],
    data: Mapping[str, Dataset],
    *,
    rate: float = RATE,
    top: int = TOP,
    seed: int = settings.SEED,
    report: Report | None = None,
) -> Ranked:
    """Rank the sessions of every table of users' own logs, and of any other log without labels.

    Each model learns from the training part of the table's split, which is the first part of the log where the split
    is by time, without the rows that are labelled as anomalies; it judges the rest.

    Args:
        processed: processed data sets by name.
        data: the data sets that the tables were made of, for the lines of each session.
        rate: share of normal sessions that may be flagged.
        top: sessions of each table to show.
        seed: of the models.
        report: told the name of each table before it is ranked.

    Returns:
        The sessions to look at first, and the alarms; what could not be ranked is among the notes.
    """
    tops, alarms, monitors = [], [], {}
    notes: dict[str, list[str]] = {}
    for (name, table), frame, roles in _tables(processed):
        if report is not None:
            report(f"{name} {table}")
        said = notes.setdefault(name, [])
        try:
            monitor, judged, shown = _ranked(frame, roles, processed[name], data.get(name), table, rate, top, seed)
        except LabError as error:
            said.append(f"{table}: not ranked: {error}")
            continue
        monitors[name, table] = monitor
        alarms.append({"data set": name, "table": table, **_alarm_row(monitor, judged, rate)})
        tops.append(shown.with_columns(pl.lit(name).alias("data set"), pl.lit(table).alias("table")))
        said += [f"{table}: {note}" for note in _warnings(judged, frame.filter(_rest(frame, roles)), monitor)]
    whole = pl.concat(tops, how="diagonal_relaxed") if tops else pl.DataFrame(schema=TABLE)
    listed = pl.DataFrame(alarms, infer_schema_length=None) if alarms else pl.DataFrame(schema=TABLE)
    ordered = whole.select(*TABLE, pl.exclude(*TABLE))
    return Ranked(ordered, listed, monitors, {name: tuple(said) for name, said in notes.items()})


def _tables(processed: Mapping[str, Dataset]) -> list[tuple[Table, pl.DataFrame, Roles]]:
    """Tables of sessions that are ranked: of own logs, and those without labels."""
    found = []
    for name, dataset in processed.items():
        for table, frame in dataset.frames.items():
            roles = dataset.roles[table]
            wanted = dataset.origin == OWN or roles.label is None
            if wanted and roles.sequence == EVENTS and roles.split and EVENTS in frame.columns:
                found.append(((name, table), frame, roles))
    return found


def _ranked(
    frame: pl.DataFrame,
    roles: Roles,
    dataset: Dataset,
    source: Dataset | None,
    table: str,
    rate: float,
    top: int,
    seed: int,
) -> tuple[LogMonitor, pl.DataFrame, pl.DataFrame]:
    """Fit on the training rows, judge the others; the model, all verdicts, and those to look at first."""
    rest = _rest(frame, roles)
    if rest.all() or not rest.any():
        raise DataError(f"a table is ranked by its training part, found {frame.height:,} rows on one side: add lines")
    named = _placed(frame, source, table)
    learned, judged = named.filter(~rest), named.filter(rest)
    weight = weight_of(frame, roles)
    monitor = LogMonitor(rate=rate, seed=seed).fit_sessions(
        learned,
        learned[roles.label] if roles.label else None,
        None if weight is None else weight.filter(~rest),
        templates=_templates(dataset),
    )
    verdict = monitor.decide_sessions(judged, explained=top)
    if roles.label:
        verdict = verdict.with_columns(judged[roles.label].alias(LABEL))
    best = verdict.sort("score", descending=True, maintain_order=True).head(top)
    shown = best.with_columns(pl.col(SESSION).cast(pl.String), sentence=pl.col("reasons").list.join("; "))
    columns = [name for name in (*TOP_COLUMNS, LABEL) if name in shown.columns]
    return monitor, verdict, shown.select(columns)


def _rest(frame: pl.DataFrame, roles: Roles) -> pl.Series:
    """Mask of the rows that are judged."""
    return frame[roles.split or ""] != "train"


def _templates(dataset: Dataset) -> pl.DataFrame | None:
    if "templates" not in dataset.frames or "template_id" not in dataset["templates"].columns:
        return None
    return dataset["templates"].select(pl.col("template_id").alias(ID), pl.col("template").alias(TEXT))


def _placed(frame: pl.DataFrame, source: Dataset | None, table: str) -> pl.DataFrame:
    """Add names of the sessions and places of their lines, where the data set that they were made of tells them."""
    kept = frame.select(name for name in (EVENTS, LABEL) if name in frame.columns)
    if source is None or table not in source.frames or source[table].height != frame.height:
        return kept
    origin = source[table]
    kept = kept.with_columns(origin.select(name for name in (SESSION, "first_line", "last_line") if name in origin))
    if "line_ids" not in origin.columns or LINES not in source.frames:
        return kept
    lines = origin["line_ids"]
    whole = source[LINES].select("line_id", _place(source[LINES])).sort("line_id")
    flat = lines.explode(empty_as_null=False, keep_nulls=False)
    shown = whole["place"].gather(whole["line_id"].search_sorted(flat))
    offsets = np.concatenate([[0], np.cumsum(lines.list.len().to_numpy(), dtype=np.int64)])
    places = list_column(shown, offsets, LINES)
    ends = places.list.first().alias("first_line"), places.list.last().alias("last_line")
    return kept.with_columns(places, *ends)


def _place(lines: pl.DataFrame) -> pl.Expr:
    """Number of a line in its file, with the file where there are several."""
    several = lines["file"].n_unique() >= SEVERAL_FILES
    number = pl.col("line").cast(pl.String)
    return (pl.concat_str(pl.col("file"), number, separator=":") if several else number).alias("place")


def _alarm_row(monitor: LogMonitor, judged: pl.DataFrame, rate: float) -> dict[str, object]:
    alarms = int(judged["decision"].sum())
    return {
        "detector": type(monitor.detector_).__name__,
        "training": int(monitor.n_training_),
        "judged": judged.height,
        "nominal": rate,
        "alarms": alarms,
        "share": alarms / max(judged.height, 1),
        "threshold": monitor.threshold_.describe(),
    }


def _divided(first: np.ndarray, monitor: LogMonitor, labelled: bool) -> str:
    left = int(first.sum()) - int(monitor.n_training_)
    out = f" ({left:,} that are not known to be normal left out)" if left else ""
    taken = "" if labelled else " The first are taken for normal: what went wrong in them counts as usual."
    return (
        f"Learned from the first {int(first.sum()):,} sessions{out}, judged the other {int((~first).sum()):,}.{taken}"
    )


def _outside(outside: int, lines: int) -> list[str]:
    return [f"{outside:,} of {lines:,} lines belong to no session and are not judged."] if outside else []


def _warnings(judged: pl.DataFrame, sessions: pl.DataFrame, monitor: LogMonitor) -> list[str]:
    """What to beware of: a threshold that cannot be vouched for, a log that has changed."""
    said = []
    if np.isinf(monitor.threshold_.value_) or (monitor.n_training_ + 1) * monitor.rate < 1:
        said.append(
            f"{monitor.n_training_:,.0f} training sessions cannot vouch for an alarm rate of {monitor.rate:g}: "
            "look at the sessions by rank, not by alarm."
        )
    if judged.schema[SESSION].is_temporal() and (judged["score"] > judged["score"][-1]).sum() < NOTICED:
        said.append("The last window ends with the log and may be incomplete: what is missing in it may come later.")
    if monitor.surprise_.recurring < RECURRING:
        said.append(
            f"{1 - monitor.surprise_.recurring:.0%} of the event types of the training part are in one session only: "
            "take wider windows, or a header that leaves less in the message."
        )
    share = int(judged["decision"].sum()) / max(judged.height, 1)
    if share > MOSTLY:
        events = sessions[EVENTS].list.eval(pl.element().cast(pl.String)).explode().drop_nulls().unique()
        known = set(monitor.surprise_.vocabulary_.events.cast(pl.String))
        new = sum(event not in known for event in events)
        said.append(
            f"{share:.0%} of the judged sessions are flagged, and {new:,} of their {events.len():,} event types are "
            "not in the training part: the log has changed rather than gone wrong; learn from a later part."
        )
    return said


def _estimates(table: pl.DataFrame, monitor: LogMonitor) -> tuple[Estimate, ...]:
    """How good the decisions on labelled sessions are; none where a class is missing."""
    known = table.filter(pl.col(LABEL).is_not_null())
    if known[LABEL].n_unique() < 2:
        return ()
    return tuple(metrics.evaluate(known[LABEL], known["score"], threshold=monitor.threshold_, unit="session"))
