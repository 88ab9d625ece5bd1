"""The champion of a log: fitted on its normal training sessions, judged once on its test sessions, and registered."""

from typing import Any

import polars as pl

from utils import settings
from utils.datasets import catalog, hdfs
from utils.datasets.contract import Dataset, Roles
from utils.detectors.log_monitor import LogMonitor
from utils.errors import DataError
from utils.evaluation import metrics
from utils.features.tables import weight_of
from utils.tracking import champions
from utils.tracking.champions import Evidence, Verdict
from utils.tracking.runs import Run

TABLES = ("sequences", "sessions")
EVENTS = "events"
HEADER = r"(?P<date>\d{6}) (?P<time>\d{6}) (?P<pid>\d+) (?P<level>\w+) (?P<component>[^:]+): (?P<content>.*)"
"""Header of the raw lines of HDFS."""

RULE_KEYS = ("header", "session", "window", "window_lines", "time_format", "year", "encoding")
RATE = 0.01
RESAMPLES = 200
MOST_BYTES = 500_000
LIMITS = (
    "judges complete sessions: of one whose lines end too early it says only what these lines say",
    "lines of no known template count as unseen events: a new version of the software raises alarms until it is fitted "
    "again",
    "learned from one system in one time; what is normal elsewhere it does not know",
)
KNOWLEDGE = (
    "what is kept is aggregated rule knowledge: event types, the distinct vectors of event counts of normal sessions "
    "with how often each occurs, which event followed which, lengths, and the published texts of the templates; no "
    "line, no name, address, time or size of any block, and no session in its order"
)


def log_champion(
    run: Run,
    name: str,
    processed: Dataset,
    data: Dataset,
    *,
    monitor: LogMonitor | None = None,
    winners_only: bool = False,
    resamples: int = 1_000,
    seed: int = settings.SEED,
) -> Verdict:
    """Fit the model of a log on normal training sessions, judge it on the test sessions, and let it challenge.

    The model reads raw lines (text) and decides session by session; it takes sessions as lists of events as well. The
    rules of :func:`utils.tracking.champions.challenge` hold: simulated data never replace real ones, and a paired test
    on the same test sessions decides.

    Args:
        run: the open run.
        name: registered name, one a data set.
        processed: processed tables of the data set: ``sequences`` or ``sessions`` with ``events``, label and split.
        data: the data set itself, for its ``templates`` and the truth of its labels.
        monitor: the model, not fitted; that of :func:`log_monitor_of` by default.
        winners_only: as :func:`utils.tracking.champions.challenge`.
        resamples: resamples of the paired test.
        seed: of the model, of the resamples and of the simulator that makes the input example.

    Returns:
        The verdict; ``.sentence`` says it in words.

    Raises:
        DataError: if there is no labelled table of sessions with both sides.
        TrackingError: if the store cannot be written.
    """
    table, frame, roles = _table(name, processed)
    fitted = fit_monitor(monitor or log_monitor_of(name, data, seed=seed), frame, roles, _templates(data, processed))
    test = frame.filter(pl.col(roles.split or "") == "test")
    truth, weight = test[roles.label or ""], weight_of(test, roles)
    rows = test.select(EVENTS)
    estimates = metrics.evaluate(
        truth,
        fitted.score_samples(rows),
        threshold=fitted.threshold_,
        unit="session",
        weight=weight,
        resamples=RESAMPLES,
        seed=seed,
    )
    sessions = test.height if weight is None else int(weight.sum())
    evidence = Evidence(
        estimates=estimates,
        truth=data.truth,
        training=f"the normal training sessions of the table {table}, anomalies left out",
        test=f"all {sessions:,} test sessions ({rows[EVENTS].n_unique():,} distinct ones)",
        limits=LIMITS,
        notes=(KNOWLEDGE,),
    )
    example = simulated_lines(seed=seed) if name == "hdfs" else None
    return champions.challenge(
        run,
        name,
        fitted,
        rows,
        truth,
        evidence,
        example=example,
        weight=weight,
        most_bytes=MOST_BYTES,
        winners_only=winners_only,
        resamples=resamples,
        seed=seed,
    )


def log_monitor_of(name: str, data: Dataset, *, seed: int = settings.SEED) -> LogMonitor:
    """Make the model of a log, not fitted: how its raw lines become sessions, and the default detector.

    Args:
        name: of the data set; that of an own log is looked up in the catalogue.
        data: the data set.
        seed: of the model.
    """
    if name == "hdfs":
        return LogMonitor(header=HEADER, session=hdfs.BLOCK_PATTERN, rate=RATE, seed=seed)
    listed = catalog.read(settings.current().catalog_file).own.get(name, {})
    if listed.get("kind") == "log":
        keys: dict[str, Any] = {key: listed[key] for key in RULE_KEYS if key in listed}
        return LogMonitor(**keys, rate=RATE, seed=seed)
    named = data.frames[TABLES[1]].schema.get("session") == pl.String if TABLES[1] in data.frames else False
    return LogMonitor(session=r"\S+" if named else None, window_lines=None if named else 100, rate=RATE, seed=seed)


def fit_monitor(monitor: LogMonitor, frame: pl.DataFrame, roles: Roles, templates: pl.DataFrame | None) -> LogMonitor:
    """Fit a model on the normal training rows of a processed table of sessions.

    Args:
        monitor: the model.
        frame: ``events``, label and split, and perhaps how many sessions each row stands for.
        roles: what the columns mean.
        templates: ``EventId`` and ``EventTemplate``.

    Raises:
        DataError: if there is no normal training session.
    """
    train = frame.filter(pl.col(roles.split or "") == "train")
    labels = train[roles.label] if roles.label else None
    return monitor.fit_sessions(train.select(EVENTS), labels, weight_of(train, roles), templates=templates)


def simulated_lines(*, seed: int = settings.SEED) -> pl.DataFrame:
    """Raw lines of a normal and an anomalous block that the simulator wrote: an input that is nobody's log.

    Returns:
        A column ``line``.
    """
    from utils.simulate import hdfs as simulator

    made = simulator.simulate(simulator.LEAST_SESSIONS, seed)
    blocks = made["labels"].filter(pl.int_range(pl.len()).over("Label") < 1)["BlockId"]
    lines = made["lines"].filter(pl.col("Content").str.extract(f"({hdfs.BLOCK_PATTERN})").is_in(blocks.to_list()))
    return lines.select(hdfs.raw_line())


def _table(name: str, processed: Dataset) -> tuple[str, pl.DataFrame, Roles]:
    """Table of sessions that the model is learned from and judged on.

    Raises:
        DataError: if there is none with labels and both classes in its test part.
    """
    for table in TABLES:
        roles = processed.roles.get(table)
        if roles is None or roles.sequence != EVENTS or not roles.label or not roles.split:
            continue
        frame = processed[table].filter(pl.col(roles.label).is_not_null())
        if frame.filter(pl.col(roles.split) == "test")[roles.label].n_unique() == 2:
            return table, frame, roles
    problem = "needs a labelled table of sessions with both classes in its test part, found none"
    raise DataError(f"the champion of the log {name!r} {problem}: label sessions, or rank them without a champion")


def _templates(data: Dataset, processed: Dataset) -> pl.DataFrame | None:
    """Templates by their ids: the published ones, or those that were found."""
    if "templates" in data.frames:
        return data["templates"]
    if "templates" in processed.frames:
        return processed["templates"].select(EventId="template_id", EventTemplate="template")
    return None
