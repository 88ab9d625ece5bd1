"""What the newest execution of each notebook gave, in a few words: status, time, and the results that it recorded."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from utils.leaderboard import stages
from utils.leaderboard.board import NOTEBOOKS
from utils.leaderboard.reading import Snapshot
from utils.leaderboard.shown import with_interval
from utils.leaderboard.stages import Recorded
from utils.leaderboard.standings import Standing

MOST_NUMBERS = 4
"""Numbers that are told of a run without methods to compare."""


@dataclass(frozen=True)
class Told:
    """What one run of a notebook recorded about one data set.

    Attributes:
        data_set: its name; that of the experiment where the run names none.
        source: ``"real"`` or ``"simulated"``; empty where the run does not say.
        results: key results, one sentence each.
    """

    data_set: str
    source: str
    results: tuple[str, ...]


@dataclass(frozen=True)
class Execution:
    """The newest execution of a notebook that the store knows.

    Attributes:
        notebook: its name.
        status: as MLflow says it, in small letters: ``finished``, ``failed``, ``running``, ``killed``.
        seconds: how long it took; ``None`` where it did not end.
        started: when it was recorded, in milliseconds since 1970.
        source: parameter ``SOURCE``.
        budget: parameter ``BUDGET``.
        error: what went wrong.
        told: what its runs recorded, by data set.
    """

    notebook: str
    status: str
    seconds: float | None
    started: int
    source: str
    budget: str
    error: str
    told: tuple[Told, ...]


def newest(store: Snapshot) -> dict[str, Execution]:
    """Find the newest execution of each notebook, with the results of the runs that it recorded.

    Args:
        store: what the store holds.
    """
    found = store.runs.filter(pl.col("notebook").is_not_null(), experiment=NOTEBOOKS).sort("started", descending=True)
    by_record = store.runs.filter(pl.col("record").is_not_null()).partition_by("record", as_dict=True)
    return {
        run["notebook"]: Execution(
            run["notebook"],
            str(run["status"]).lower(),
            store.numbers(run["run"]).get("seconds"),
            int(run["started"] or 0),
            run["param_SOURCE"] or "",
            run["param_BUDGET"] or run["budget"] or "",
            run["error"] or "",
            tuple(_told(store, by_record.get((run["run"],)))),
        )
        for run in found.unique("notebook", keep="first", maintain_order=True).iter_rows(named=True)
    }


def _told(store: Snapshot, runs: pl.DataFrame | None) -> Iterator[Told]:
    for run in () if runs is None else runs.iter_rows(named=True):
        standings = stages.standings(Recorded(run, store))
        said = [_sentence(one) for one in standings] or _plain(store.numbers(run["run"]))
        if said:
            yield Told(run["data_set"] or run["experiment"], run["source"] or "", tuple(said))


def _sentence(one: Standing) -> str:
    """The best of a standing in words: what it learns from, its number, its name."""
    best = one.best
    shown = {
        "auc": f"AUC {with_interval(best.auc, best.auc_low, best.auc_high)}",
        "f1": f"F1 {with_interval(best.f1, best.f1_low, best.f1_high)}",
        "mean": f"F1 {with_interval(best.mean, None, None)} over draws, worst {with_interval(best.worst, None, None)}",
    }
    number = shown[one.ranked_by] if getattr(best, one.ranked_by) is not None else "no number"
    return f"{one.kind}: {number}, {best.method}"


def _plain(numbers: Mapping[str, Any]) -> list[str]:
    told = [f"{name.replace('_', ' ')} {_number(value)}" for name, value in list(numbers.items())[:MOST_NUMBERS]]
    return [", ".join(told)] if told else []


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.3f}"
