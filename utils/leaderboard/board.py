"""The leaderboard: the best of each data set and stage, what its lead is worth, what it cost, and how it came about.

Real data come before simulated ones, a full budget before a fast one, and the newest run before older ones; numbers of
several runs are never mixed into one standing. Two standings of a data set are compared only where they judged the
same rows: the same table, made of the same data by the same code, under the same protocol.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any

import polars as pl

from utils.leaderboard import reading, stages
from utils.leaderboard.reading import Snapshot
from utils.leaderboard.stages import KINDS, Recorded
from utils.leaderboard.standings import TEST_PART, UNIT, Lead, Standing, by_intervals

NOTEBOOKS = "notebooks"
EMPTY = "No finished run with results is in the store: run the notebooks first (make run)."
TRIES = 20
"""Runs of a stage that are looked at until one has a standing."""

WHERE: Mapping[str, type[pl.DataType]] = MappingProxyType(
    {
        "data_set": pl.String,
        "source": pl.String,
        "budget": pl.String,
        "kind": pl.String,
        "table": pl.String,
    }
)
ENTRY: Mapping[str, type[pl.DataType]] = MappingProxyType(
    {
        "method": pl.String,
        **dict.fromkeys(
            ("f1", "f1_low", "f1_high", "auc", "auc_low", "auc_high", "mean", "worst", "alarms", "seconds"), pl.Float64
        ),
        "threshold": pl.String,
    }
)
BEST: Mapping[str, type[pl.DataType]] = MappingProxyType(
    {
        **WHERE,
        **ENTRY,
        "ranked_by": pl.String,
        "picked": pl.Int64,
        "trivial": pl.Float64,
        "unit": pl.String,
        "protocol": pl.String,
        "real": pl.Boolean,
        "lead": pl.String,
        "version": pl.Int64,
        "notebook": pl.String,
        "notebook_seconds": pl.Float64,
        "started": pl.Int64,
        "run": pl.String,
        "digest": pl.String,
    }
)
LEADS: Mapping[str, type[pl.DataType]] = MappingProxyType(
    {
        **{name: kind for name, kind in WHERE.items() if name != "budget"},
        "leader": pl.String,
        "follower": pl.String,
        "metric": pl.String,
        **dict.fromkeys(("difference", "low", "high", "p_value"), pl.Float64),
        "method": pl.String,
        "real": pl.Boolean,
        "sentence": pl.String,
    }
)
HISTORY: Mapping[str, type[pl.DataType]] = MappingProxyType(
    {
        **{name: kind for name, kind in WHERE.items() if name != "table"},
        "seed": pl.String,
        "started": pl.Int64,
        "metric": pl.String,
        "value": pl.Float64,
        "name": pl.String,
        "run": pl.String,
        "digest": pl.String,
    }
)
DATA: Mapping[str, type[pl.DataType]] = MappingProxyType(
    {
        "data_set": pl.String,
        "source": pl.String,
        **dict.fromkeys(("rows", "anomaly_share", "findings_high", "findings_high_open"), pl.Float64),
    }
)
ACROSS = "across stages"
"""The kind of a lead of one stage over another."""


@dataclass(frozen=True)
class Leaderboard:
    """What the store says about who won.

    Attributes:
        best: the best of each data set, kind and table, columns as :data:`BEST`; kinds from what needs least to what
            needs most.
        entries: every method of every standing, best first, columns ``data_set`` ... ``table`` and :data:`ENTRY`.
        leads: what each lead is worth, within a kind and across kinds, columns as :data:`LEADS`.
        history: the headline of every finished run, oldest first, columns as :data:`HISTORY`.
        data: rows, share of anomalies and findings of each data set, columns as :data:`DATA`.
        executions: the newest execution of each notebook: ``notebook``, ``status``, ``seconds``, ``source``,
            ``budget``, ``error``, ``started`` in milliseconds since 1970.
        place: where the store is.
    """

    best: pl.DataFrame
    entries: pl.DataFrame
    leads: pl.DataFrame
    history: pl.DataFrame
    data: pl.DataFrame
    executions: pl.DataFrame
    place: str

    @property
    def note(self) -> str:
        """One sentence where there is nothing to show, else nothing."""
        return EMPTY if self.best.is_empty() else ""


def read(data_sets: Sequence[str] = (), source: str = "auto") -> Leaderboard:
    """Make the leaderboard of the laboratory's store (arguments as :func:`build`).

    Raises:
        TrackingError: if the store cannot be read.
    """
    return build(reading.read(), data_sets, source)


def build(store: Snapshot, data_sets: Sequence[str] = (), source: str = "auto") -> Leaderboard:
    """Make the leaderboard of a store that was read; no data set is loaded.

    Args:
        store: what the store holds.
        data_sets: names; empty for all.
        source: ``"simulated"`` for results of simulated data only; else real ones come first where there are any.
    """
    about = pl.col("data_set").is_in(list(data_sets)) if data_sets else pl.lit(True)
    made = pl.col("source") == "simulated" if source == "simulated" else pl.lit(True)
    store = replace(store, runs=store.runs.filter(pl.col("data_set").is_null() | (about & made)))
    found = _completed(_chosen_standings(store))
    return Leaderboard(
        best=_framed((_best_row(store, run, one) for run, one in found), BEST),
        entries=_framed(_entry_rows(found), {**WHERE, **ENTRY}),
        leads=_framed(_lead_rows(found), LEADS),
        history=_framed(_history_rows(store), HISTORY),
        data=_data(store),
        executions=_executions(store),
        place=store.place,
    )


def _framed(rows: Iterable[Mapping[str, Any]], schema: Mapping[str, type[pl.DataType]]) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema, orient="row")


def _results(store: Snapshot) -> pl.DataFrame:
    """Finished runs that are about a data set, those to prefer first."""
    runs = store.runs.filter(pl.col("data_set").is_not_null(), pl.col("experiment") != NOTEBOOKS, status="FINISHED")
    preferred = [pl.col("source") == "real", pl.col("budget") == "full", pl.col("started")]
    return runs.sort(preferred, descending=True, nulls_last=True)


def _chosen_standings(store: Snapshot) -> list[tuple[dict[str, Any], Standing]]:
    """Standings of each data set from one run a stage."""
    found: list[tuple[dict[str, Any], Standing]] = []
    runs = _results(store)
    known = [stage for stage in runs["stage"].unique().drop_nulls() if stages.reader_of(stage)]
    titled = pl.col("run").is_in(store.versions.filter("champion")["run"].drop_nulls().to_list())
    runs = runs.filter(pl.col("stage").is_in(known), titled | (pl.col("stage") != stages.RETRAINING))
    same = pl.col("stage").replace({stages.RETRAINING: stages.TUNING}).alias("same")
    for _, each in runs.group_by("data_set", same, maintain_order=True):
        for run in each.head(TRIES).iter_rows(named=True):
            if standings := stages.standings(Recorded(run, store)):
                found += [(run, one) for one in standings]
                break
    return sorted(found, key=lambda pair: (_place(store, pair[0]), pair[1].table, KINDS.index(pair[1].kind)))


def _completed(found: Sequence[tuple[dict[str, Any], Standing]]) -> list[tuple[dict[str, Any], Standing]]:
    """Give each standing the trivial answer and the unit that another one of the same rows knows."""
    trivial: dict[object, float | None] = {}
    units: dict[object, str] = {}
    for run, one in found:
        if one.trivial is not None:
            trivial.setdefault(_judged(run, one), one.trivial)
        if one.unit != UNIT:
            units.setdefault(_judged(run, one), one.unit)
    return [
        (run, replace(one, trivial=trivial.get(key, one.trivial), unit=units.get(key, one.unit)))
        for run, one in found
        for key in [_judged(run, one)]
    ]


def _judged(run: Mapping[str, Any], one: Standing) -> tuple[object, ...]:
    """What two standings share that judged the same rows in the same way."""
    where = (run["data_set"], one.table, one.protocol, run["digest"])
    return where if one.protocol == TEST_PART and run["digest"] else (*where, run["run"], one.kind)


def _place(store: Snapshot, run: Mapping[str, Any]) -> tuple[int, str]:
    """Data sets in the order in which they entered the store."""
    return store.entered.get(str(run["data_set"]), 0), str(run["data_set"])


def _best_row(store: Snapshot, run: Mapping[str, Any], one: Standing) -> dict[str, Any]:
    held = store.versions.filter(pl.col("champion"), run=run["run"])["version"]
    champion = one.kind in {stages.LABELLED, stages.SEQUENCES} and len(held)
    record = store.numbers(str(run["record"]))
    return {
        **_where(run, one),
        **asdict(one.best),
        "ranked_by": one.ranked_by,
        "picked": one.picked,
        "trivial": one.trivial,
        "unit": one.unit,
        "protocol": one.protocol,
        "real": one.lead.real,
        "lead": one.lead.sentence,
        "version": int(held[0]) if champion else None,
        "notebook": run["notebook"],
        "notebook_seconds": record.get("seconds"),
        **{name: run[name] for name in ("started", "run", "digest")},
    }


def _where(run: Mapping[str, Any], one: Standing) -> dict[str, Any]:
    return {name: run[name] for name in ("data_set", "source", "budget")} | {"kind": one.kind, "table": one.table}


def _entry_rows(found: Iterable[tuple[Mapping[str, Any], Standing]]) -> Iterator[dict[str, Any]]:
    for run, one in found:
        for entry in one.entries:
            yield _where(run, one) | asdict(entry)


def _lead_rows(found: Sequence[tuple[Mapping[str, Any], Standing]]) -> Iterator[dict[str, Any]]:
    """Leads within standings, then those of one kind over another on the same test rows."""
    for run, one in found:
        if one.lead.leader:
            yield _where(run, one) | asdict(one.lead)
    judged = [(run, one) for run, one in found if one.protocol == TEST_PART]
    for (run, one), (other_run, other) in itertools.combinations(judged, 2):
        if _judged(run, one) == _judged(other_run, other):
            yield _where(run, one) | {"kind": ACROSS} | asdict(_across(one, other))


def _across(one: Standing, other: Standing) -> Lead:
    ahead, behind = sorted((one, other), key=lambda each: each.best.value("f1"), reverse=True)
    named = [replace(each.best, method=f"{each.kind} ({each.best.method})") for each in (ahead, behind)]
    return by_intervals(named[0], named[1], "f1", picked=(ahead.picked, behind.picked))


def _history_rows(store: Snapshot) -> Iterator[dict[str, Any]]:
    for run in _results(store).sort("started", "run").iter_rows(named=True):
        if named := stages.headline_of(run["stage"]):
            kind, metric, headline = named
            if found := headline(Recorded(run, store)):
                yield run | {"kind": kind, "metric": metric, "name": found[0], "value": found[1]}


def _data(store: Snapshot) -> pl.DataFrame:
    runs = _results(store).filter(stage="exploration").unique("data_set", keep="first", maintain_order=True)
    rows = [run | store.numbers(run["run"]) for run in runs.iter_rows(named=True)]
    return _framed(sorted(rows, key=lambda run: _place(store, run)), DATA)


def _executions(store: Snapshot) -> pl.DataFrame:
    newest = (
        store.runs.filter(experiment=NOTEBOOKS)
        .sort("started", descending=True)
        .unique("notebook", keep="first", maintain_order=True)
    )
    seconds = pl.Series("seconds", [store.numbers(run).get("seconds") for run in newest["run"]], dtype=pl.Float64)
    return (
        newest.with_columns(seconds)
        .select(
            "notebook",
            pl.col("status").str.to_lowercase(),
            "seconds",
            source=pl.col("param_SOURCE"),
            budget=pl.col("param_BUDGET"),
            error="error",
            started="started",
        )
        .sort("notebook")
    )
