"""Windows and edges that are worth a look: what figures of a trial are drawn from."""

import polars as pl

from utils.datasets.contract import ANOMALY_TYPE, LABEL, NORMAL
from utils.detectors.traffic_trials.candidates import COMBINED
from utils.detectors.traffic_trials.trial import Trial
from utils.features.traffic_graphs.windows import DST, SRC, TIME, VOLUMES, WINDOW

FLAGGED = "flagged"
WEEK, DAY = "1w", "1d"


def scene(trial: Trial, kind: str | None = None) -> dict[str, pl.DataFrame]:
    """Edges of a normal window beside those of an anomalous one at the same time of the week, or at least of the day.

    Args:
        trial: what was found.
        kind: kind of anomaly; the judged window with most rows of it is taken. By default, and where nothing is
            labelled, the window with the highest score of the combination.

    Returns:
        Edges by the title of their window: first the normal one, then the anomalous one, with ``flagged`` (an anomaly
        by its label, or an alarm of the combination where nothing is labelled).
    """
    judged = trial.judged.with_columns(
        pl.Series("score", trial.scores[COMBINED][trial.traffic.judged]), pl.Series(FLAGGED, trial.alarms[COMBINED])
    )
    if trial.traffic.labelled:
        judged = judged.with_columns(pl.col(LABEL).alias(FLAGGED))
    wanted = judged if kind is None else judged.filter(pl.col(ANOMALY_TYPE) == kind)
    ranked = (
        wanted.group_by(WINDOW).agg(pl.len(), pl.col("score").max()).sort("score" if kind is None else "len", WINDOW)
    )
    odd = judged.filter(pl.col(WINDOW) == ranked[WINDOW][-1])
    when = odd[TIME][0]
    usual = _usual(trial, when)
    what = (kind or "highest score").replace("_", " ")
    return {f"normal: {usual[TIME][0]:%a %d %b, %H:%M}": usual, f"{what}: {when:%a %d %b, %H:%M}": odd}


def mean_edges(trial: Trial) -> pl.DataFrame:
    """Mean volumes of each edge by kind: ``src``, ``dst``, ``kind``, ``bytes``, ``packets``, ``flows``, ``windows``.

    Args:
        trial: what was found; its judged rows are described, rows without a flow left out.
    """
    labelled = trial.traffic.labelled
    kinds = (
        pl.col(ANOMALY_TYPE)
        if labelled
        else pl.Series("kind", trial.alarms[COMBINED]).replace_strict(
            {True: "alarm", False: NORMAL}, return_dtype=pl.String
        )
    )
    rows = trial.judged.with_columns(kinds.alias("kind")).filter(pl.col("flows") > 0)
    volumes = pl.col(VOLUMES).cast(pl.Float64).mean()
    return rows.group_by(SRC, DST, "kind").agg(volumes, pl.len().alias("windows")).sort("kind", SRC, DST)


def _usual(trial: Trial, when: object) -> pl.DataFrame:
    """Edges of the window before that time which is most like it: same weekday and hour, and nothing odd in it."""
    edges = trial.traffic.edges
    past = edges.filter(pl.Series(trial.traffic.past))
    if trial.traffic.labelled:
        past = past.filter(~pl.col(LABEL).any().over(WINDOW))
    windows = past.select(WINDOW, TIME).unique()
    moment = pl.lit(when).cast(pl.Datetime("us"))
    apart = (pl.col(TIME).dt.time().cast(pl.Duration("us")) - moment.dt.time().cast(pl.Duration("us"))).abs()
    other_day = pl.col(TIME).dt.weekday() != moment.dt.weekday()
    best = windows.select(WINDOW, apart.alias("apart"), other_day.alias("other")).sort("apart", "other", WINDOW)
    return past.filter(pl.col(WINDOW) == best[WINDOW][0]).with_columns(pl.lit(False).alias(FLAGGED))
