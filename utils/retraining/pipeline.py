"""One data set from its files to the registry, and several of them one after the other."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, NoReturn

import polars as pl

from utils import audit, datasets, settings, tracking
from utils.classifiers import champion_trials
from utils.classifiers.champion_trials import Trial
from utils.compute import threads
from utils.datasets import catalog, require
from utils.datasets.contract import Dataset, Roles
from utils.errors import LabError, SettingsError, TrackingError
from utils.features import tables
from utils.retraining import gates, leftovers
from utils.retraining.gates import GateClosed
from utils.retraining.leftovers import STAGE
from utils.tracking import champions
from utils.tracking.champions import Verdict
from utils.tracking.log_champion import log_champion
from utils.tracking.runs import Run

Status = Literal["champion", "kept", "ready", "left out", "stopped", "failed"]
FAILED: tuple[Status, ...] = ("stopped", "failed")
"""What a command must end with an error for."""

REGISTRY = "registry"
"""The gate that closes after training, inside the run that it marks."""

MOST_SEED = 2**32 - 1
"""Largest seed that NumPy and scikit-learn take."""

Report = Callable[[str], object]
"""Told what is done next."""


@dataclass(frozen=True)
class Outcome:
    """What became of one data set.

    Attributes:
        name: of the data set, which is that of its model.
        status: ``"champion"`` (the new model is in office), ``"kept"`` (the old one is), ``"ready"`` (nothing was asked
            but a check), ``"left out"`` (it has no champion and cannot have one), ``"stopped"`` (by a gate) or
            ``"failed"``.
        sentence: the same in words, with what to do.
        gate: name of the gate that closed; empty if none did.
        version: version that is in office now; ``None`` if none is.
        seconds: how long it took.
    """

    name: str
    status: Status
    sentence: str
    gate: str = ""
    version: int | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class _Order:
    """What is asked for one data set."""

    name: str
    source: str
    budget: str
    seed: int
    allow_schema_change: bool
    dry_run: bool
    report: Report


@dataclass(frozen=True, eq=False)
class _Material:
    """What passed the gates: the data set, its table to learn from, what the audit says."""

    order: _Order
    data: Dataset
    made: Dataset
    table: str
    findings: pl.DataFrame

    @property
    def frame(self) -> pl.DataFrame:
        return self.made[self.table]

    @property
    def roles(self) -> Roles:
        return self.made.roles[self.table]


def retrain(
    name: str,
    source: str = "auto",
    *,
    budget: str = "fast",
    seed: int = settings.SEED,
    allow_schema_change: bool = False,
    dry_run: bool = False,
    report: Report | None = None,
) -> Outcome:
    """Train the model of one data set again, and let it take office where it is better than the champion.

    Args:
        name: of the data set in the catalogue, which is that of its model.
        source: ``"auto"``, ``"real"`` or ``"simulated"``, as for :func:`utils.datasets.load`.
        budget: ``"fast"`` or ``"full"``.
        seed: of every random draw.
        allow_schema_change: train although columns that the champion reads are gone; the new model then takes office
            without a paired test, as the old one cannot judge the rows.
        dry_run: go through all gates but train nothing and write nothing to the store.
        report: told what is done next.

    Returns:
        What became of it. A closed gate gives ``"stopped"`` and, but in a dry run, a failed run in the store that says
        so; a data set without labels that has no champion is ``"left out"``, without a run.

    Raises:
        LabError: if there is no such data set, it cannot be loaded, or the store cannot be used.
    """
    _check(source, budget, seed)
    order = _Order(name, source, budget, seed, allow_schema_change, dry_run, report or _silent)
    began = time.perf_counter()
    data = datasets.load_all([name], source, seed=seed, budget=budget)[name]
    order.report(f"loaded: {data.source} data from {data.origin}")
    made = tables.build(data, seed=seed)
    try:
        outcome = _outcome(order, data, made)
    except GateClosed as closed:
        number = _in_office(name)
        no_candidate = closed.gate == "labels" and number is None
        outcome = Outcome(name, "left out" if no_candidate else "stopped", f"{name}: {closed}", closed.gate, number)
        if not (dry_run or no_candidate or closed.gate == REGISTRY):
            _record_stop(order, made, closed)
    return replace(outcome, seconds=time.perf_counter() - began)


def retrain_all(
    names: Iterable[str] = (),
    source: str = "auto",
    *,
    report: Callable[[str, str], object] | None = None,
    **options: Any,  # noqa: ANN401 (those of retrain)
) -> Iterator[Outcome]:
    """Retrain several data sets one after the other; what stops one does not stop the others.

    Args:
        names: the data sets; all of the catalogue if empty, but for those that have no champion and cannot have one.
        source: as for :func:`retrain`.
        report: told the name of the data set and what is done next.
        **options: the others of :func:`retrain`.

    Yields:
        What became of each, as soon as it is known.

    Raises:
        LabError: if a name, the budget or the source does not exist: before anything is loaded.
    """
    asked = tuple(dict.fromkeys(names))
    _check(source, options.get("budget", "fast"), options.get("seed", settings.SEED))
    wanted = asked or datasets.names()
    catalog.read(settings.current().catalog_file).require(wanted)
    return (_tolerated(name, source, bool(asked), report, options) for name in wanted)


def _check(source: str, budget: str, seed: int) -> None:
    """Check what is asked before anything is loaded.

    Raises:
        SettingsError: if there is no such source, budget or seed.
    """
    require.choice("source", source, settings.SOURCES)
    settings.budget(budget)
    if not 0 <= seed <= MOST_SEED:
        raise SettingsError(f"the seed must be in 0..{MOST_SEED}, found {seed}: choose another one")


def _tolerated(
    name: str, source: str, asked: bool, report: Callable[[str, str], object] | None, options: Mapping[str, Any]
) -> Outcome:
    """Retrain one of several; an error is an outcome, and who was asked for by name is not left out."""
    began = time.perf_counter()
    try:
        outcome = retrain(name, source, report=partial(report, name) if report else None, **options)
    except LabError as error:
        return Outcome(name, "failed", f"{name}: {error}", seconds=time.perf_counter() - began)
    return replace(outcome, status="stopped") if asked and outcome.status == "left out" else outcome


def _outcome(order: _Order, data: Dataset, made: Dataset) -> Outcome:
    """Go through the gates, train, and challenge."""
    material = _passed(order, data, made)
    if order.dry_run:
        said = f"{order.name}: all gates are open for the table {material.table!r}; nothing was trained or written."
        return Outcome(order.name, "ready", said, version=_in_office(order.name))
    leftovers.sweep(order.name)
    trial = None if data.kind == "log" else _trained(material)
    order.report("registry" if trial else "training and registry")
    began = time.process_time()
    with _run(order, made) as run, leftovers.taken_back(run):
        verdict = _challenged(run, material, trial)
        if _refused(verdict):
            _stop(run, GateClosed(REGISTRY, verdict.sentence))
        _record(run, material, trial, verdict, time.process_time() - began)
    status: Status = "champion" if verdict.champion else "kept"
    return Outcome(order.name, status, verdict.sentence, version=verdict.holder)


def _passed(order: _Order, data: Dataset, made: Dataset) -> _Material:
    """Let the data set through the gates.

    Raises:
        GateClosed: if one is closed.
    """
    log = data.kind == "log"
    table = gates.table_of(made, log=log)
    order.report(f"audit of the table {table}")
    findings = audit.survey({made.name: made})
    gates.check_audit(table, findings)
    gates.check_rows(made.name, table, made[table], made.roles[table], log=log)
    holder = None if order.allow_schema_change else _holder(order)
    if holder is not None:
        order.report("schema of the champion in office")
        gates.check_schema(made.name, holder, made[table], made.defects)
    return _Material(order, data, made, table, findings)


def _trained(material: _Material) -> Trial:
    """Fit and judge the candidate of a table, as notebook 07 does.

    Raises:
        GateClosed: if its training rows are too few to be divided.
    """
    order, table = material.order, material.table
    alone = replace(material.made, frames={table: material.frame}, roles={table: material.roles})
    order.report("training")
    trials = champion_trials.run(
        {order.name: alone},
        settings.budget(order.budget),
        data={order.name: material.data},
        seed=order.seed,
        threads=threads.free_cores(),
    )
    if (order.name, table) not in trials.by_table:
        raise GateClosed("rows", f"{order.name} cannot be trained on: {trials.notes[order.name, table]}")
    return trials.by_table[order.name, table]


def _challenged(run: Run, material: _Material, trial: Trial | None) -> Verdict:
    """Let the new model challenge the champion in office; one that does not win is not registered."""
    order = material.order
    if trial is None:
        draws = settings.budget(order.budget).bootstrap
        return log_champion(
            run, order.name, material.made, material.data, winners_only=True, resamples=draws, seed=order.seed
        )
    return champions.challenge_of(
        run, order.name, material.table, trial, material.made.truth, winners_only=True, seed=order.seed
    )


def _refused(verdict: Verdict) -> bool:
    """Whether a model may not be registered whatever it can do."""
    return verdict.version is None and verdict.comparison is None


def _record(run: Run, material: _Material, trial: Trial | None, verdict: Verdict, seconds: float) -> None:
    """Write down what the verdict rests on."""
    results = audit.results(material.findings) | {"seconds": seconds + (trial.seconds if trial else 0.0)}
    if trial is not None:
        results |= trial.points.results(f"{material.table}_")
        run.log_table(trial.points.points, f"{material.table}_operating_points")
    run.log_table(material.findings, "findings")
    run.log_batch(
        tags={
            "retraining.outcome": "champion" if verdict.champion else "kept",
            "retraining.table": material.table,
            "model.verdict": verdict.sentence,
            "mlflow.note.content": verdict.sentence,
        }
    )
    run.log_results(results)


def _record_stop(order: _Order, made: Dataset, closed: GateClosed) -> None:
    """Leave a failed run in the store that says which gate closed and why; the gate is told where that cannot be."""
    try:
        with contextlib.suppress(GateClosed), _run(order, made) as run:
            _stop(run, closed)
    except TrackingError as error:
        order.report(f"that the gate {closed.gate!r} closed is not recorded: {error}")


def _stop(run: Run, closed: GateClosed) -> NoReturn:
    run.log_batch(
        tags={"retraining.outcome": "stopped", "retraining.gate": closed.gate, "mlflow.note.content": str(closed)}
    )
    raise closed


def _run(order: _Order, made: Dataset) -> contextlib.AbstractContextManager[Run]:
    asked = {"source": order.source, "allow_schema_change": order.allow_schema_change}
    return tracking.start(
        order.name,
        STAGE,
        notebook=STAGE,
        stage=STAGE,
        dataset=made,
        seed=order.seed,
        budget=order.budget,
        params=asked,
    )


def _in_office(name: str) -> int | None:
    """Version of the champion in office; nothing, and no new store, where there is none."""
    file = tracking.store_file(tracking.store_uri())
    return None if file is not None and not file.exists() else champions.current(name)


def _holder(order: _Order) -> Any:  # noqa: ANN401 (any model that was registered)
    """The champion in office; nothing if there is none, or if it cannot be loaded and so bars nobody."""
    number = _in_office(order.name)
    if number is None:
        return None
    try:
        return tracking.load_model(order.name)
    except TrackingError as error:
        order.report(f"version {number} cannot be loaded, so its schema is not compared: {error}")
        return None


def _silent(line: str) -> None:
    """Say nothing."""
