"""The leaderboard as people read it: tables with intervals and verdicts, sentences, and numbers for the record."""

import re

import polars as pl

from utils.leaderboard.board import ACROSS, Leaderboard
from utils.leaderboard.stages import LABELLED, RULE, UNLABELLED

VERDICTS = {True: "real", False: "no difference shown", None: "cannot be told"}
_FORBIDDEN = re.compile(r"[^A-Za-z0-9_./ -]")


def scored(best: pl.DataFrame) -> pl.DataFrame:
    """Write the numbers of the best: value with interval, the trivial answer, false alarms, cost.

    Args:
        best: as :attr:`utils.leaderboard.Leaderboard.best`.

    Returns:
        ``data set`` and table, ``source``, ``learns from``, ``best``, ``F1``, ``AUC``, ``trivial F1``, ``false alarms``
        in 1,000 normal units, ``CPU s``, ``version`` of the champion.
    """
    return best.with_columns(_written(best, "f1").alias("F1"), _written(best, "auc").alias("AUC")).select(
        _where().alias("data set"),
        "source",
        pl.col("kind").alias("learns from"),
        pl.col("method").alias("best"),
        "F1",
        "AUC",
        pl.col("trivial").alias("trivial F1"),
        pl.col("alarms").alias("false alarms"),
        pl.col("seconds").alias("CPU s"),
        "version",
    )


def judged(best: pl.DataFrame) -> pl.DataFrame:
    """Say by what each of the best was judged: rows, unit, choice of threshold, and from how many it was picked.

    Args:
        best: as :attr:`utils.leaderboard.Leaderboard.best`.
    """
    return best.select(
        _where().alias("data set"),
        pl.col("kind").alias("learns from"),
        "protocol",
        "unit",
        pl.col("picked").alias("picked from"),
        "budget",
        "threshold",
    )


def verdicts(leads: pl.DataFrame) -> pl.DataFrame:
    """Write what leads are worth.

    Args:
        leads: as :attr:`utils.leaderboard.Leaderboard.leads`.

    Returns:
        ``data set`` and table, ``learns from``, ``leader``, ``follower``, ``by``, ``interval``, ``p``, ``verdict``,
        ``test``.
    """
    words = [
        VERDICTS[real] if real is not False or high is None or high >= 0 else "really worse"
        for real, high in leads.select("real", "high").iter_rows()
    ]
    spans = [
        None if low is None else f"[{low:+.4f}, {high:+.4f}]" for low, high in leads.select("low", "high").iter_rows()
    ]
    return leads.select(
        _where().alias("data set"),
        pl.col("kind").alias("learns from"),
        "leader",
        "follower",
        pl.col("metric").replace({"f1": "F1", "auc": "AUC", "mean": "mean F1"}),
        pl.col("difference").alias("by"),
        pl.Series("interval", spans, pl.String),
        pl.col("p_value").alias("p"),
        pl.Series("verdict", words, pl.String),
        pl.col("method").alias("test"),
    )


def costs(board: Leaderboard) -> pl.DataFrame:
    """Say what each notebook took when it was last run, dearest first."""
    named = pl.col("status").replace({"finished": "ok"})
    return board.executions.select("notebook", named, "seconds", "source", "budget").sort(
        "seconds", descending=True, nulls_last=True
    )


def conclusions(board: Leaderboard) -> list[str]:
    """Say in a few sentences who won, whether leads are real, what labels buy and what it all took."""
    if board.note:
        return [board.note]
    within, across = board.leads.filter(pl.col("kind") != ACROSS), board.leads.filter(kind=ACROSS)
    return [
        f"**Best on test rows, by what it learns from.** {'; '.join(_winners(board))}.",
        f"**First against second.** {_counted(within)}",
        f"**Across stages, on the same test rows.** {_counted(across)}",
        f"**What labels buy.** {_bought(across)}",
        f"**Cost.** {_cost(board)}",
    ]


def results(board: Leaderboard) -> dict[str, float]:
    """Name the numbers for the record of a run: F1 of the best by data set and kind, and counts of leads."""
    found = {
        "standings": float(board.best.height),
        "leads": float(board.leads.height),
        "leads_real": float(board.leads["real"].fill_null(False).sum()),
        "leads_untested": float(board.leads["real"].null_count()),
        "notebook_seconds": float(board.executions["seconds"].sum()),
    }
    numbers = board.best.drop_nulls("f1").select("data_set", "table", "kind", "f1").iter_rows()
    return found | {_FORBIDDEN.sub("", f"{name}/{table}/{kind}/f1"): value for name, table, kind, value in numbers}


def with_interval(value: float | None, low: float | None, high: float | None) -> str | None:
    """Write a number to three digits, with its interval where it has one: ``0.919 [0.880, 0.954]``."""
    if value is None:
        return None
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _where() -> pl.Expr:
    """Data set and table, as in the notebooks that judged them."""
    return pl.concat_str("data_set", "table", separator=" ")


def _written(best: pl.DataFrame, metric: str) -> pl.Series:
    rows = best.select(metric, f"{metric}_low", f"{metric}_high").iter_rows()
    return pl.Series([with_interval(*row) for row in rows], dtype=pl.String)


def _winners(board: Leaderboard) -> list[str]:
    """The highest F1 of each data set among methods that were judged on test rows."""
    shown = board.best.filter(pl.col("f1").is_not_null(), ~pl.col("protocol").str.contains("training"))
    first = shown.sort("f1", descending=True).unique("data_set", keep="first", maintain_order=True)
    order = {name: place for place, name in enumerate(board.best["data_set"].unique(maintain_order=True))}
    rows = sorted(first.iter_rows(named=True), key=lambda row: order[row["data_set"]])
    return [
        f"{row['data_set']}{' (simulated)' * (row['source'] == 'simulated')}: {row['kind']}, {row['method']}, "
        f"F1 {with_interval(row['f1'], row['f1_low'], row['f1_high'])}"
        for row in rows
    ]


def _counted(leads: pl.DataFrame) -> str:
    """How many leads are real, are not, or cannot be told."""
    real, untold = int(leads["real"].fill_null(False).sum()), leads["real"].null_count()
    shown = leads.height - real - untold
    return f"{leads.height} leads: {real} real, {shown} that a test does not show, {untold} that cannot be told."


def _bought(across: pl.DataFrame) -> str:
    """In how many data sets labels are ahead of detectors without, and these of one rule."""
    said = []
    for better, other in ((UNLABELLED, RULE), (LABELLED, UNLABELLED), (LABELLED, RULE)):
        pairs = across.filter(_is(better, other) | _is(other, better))
        if pairs.height:
            ahead = int(pairs.select((_is(better, other) & pl.col("real").fill_null(False)).sum()).item())
            behind = int(pairs.select((_is(other, better) & pl.col("real").fill_null(False)).sum()).item())
            tail = f", really behind in {behind}" if behind else ""
            said.append(f"*{better}* is really ahead of *{other}* in {ahead} of {pairs.height} data sets{tail}")
    return f"{'; '.join(said)}." if said else "Nothing was judged on the same rows with and without labels."


def _is(leader: str, follower: str) -> pl.Expr:
    return pl.col("leader").str.starts_with(f"{leader} (") & pl.col("follower").str.starts_with(f"{follower} (")


def _cost(board: Leaderboard) -> str:
    known = costs(board).drop_nulls("seconds")
    if known.is_empty():
        return "No execution of a notebook is recorded."
    name, seconds = known.select("notebook", "seconds").row(0)
    return (
        f"{known.height} notebooks took {known['seconds'].sum() / 60:.0f} minutes, most of it {name} ({seconds:.0f} s)."
    )
