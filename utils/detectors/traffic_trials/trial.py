"""What detectors of edges and hosts find on the latest part of the traffic, by kind of anomaly."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from utils import settings
from utils.datasets.contract import ANOMALY_TYPE, LABEL, NORMAL
from utils.detectors.judging import TRIVIAL, Report, decided, recalls
from utils.detectors.log_trials.names import recorded
from utils.detectors.traffic_trials import candidates
from utils.detectors.traffic_trials.tables import Traffic
from utils.evaluation import comparison, metrics
from utils.evaluation.inputs import Bools, Floats
from utils.evaluation.thresholds import AlarmRate, BestF1, Fixed, Threshold
from utils.features.traffic_graphs import TrafficFeatures
from utils.features.traffic_graphs.windows import SRC, TIME, WINDOW

RATE = 0.002
"""Nominal alarm rate among normal rows, chosen on simulated networks of the seeds 101 to 104: mean F1 of both together
is .89, .87, .85, .81, .72 at .001, .002, .003, .005, .01, and .002 finds twice as many bursts as .001."""

SHOW_RATE = 0.001
HOUR = 12
STRETCH_GAP = 12
USUALLY = 0.8
TRIVIAL_KIND = "trivial"
BOARD = {
    "detector": pl.String,
    "kind": pl.String,
    **dict.fromkeys(
        ("f1", "low", "high", "precision", "recall", "real", "roc_auc", "average_precision", "seconds"), pl.Float64
    ),
    "threshold": pl.String,
}


@dataclass(frozen=True, eq=False)
class Trial:
    """What was found in one data set.

    Attributes:
        traffic: the edges and their parts.
        features: fitted on the learned rows.
        described: features of all rows.
        judged: the judged rows with their truth.
        scores: of all rows by detector; higher is more abnormal.
        thresholds: by detector, chosen before the judged part.
        alarms: decisions on the judged rows by detector.
        board: one row a detector, best F1 first: ``f1`` with interval ``low`` and ``high`` (hours are drawn together),
            ``precision``, ``recall``, ``real`` (share of normal rows flagged), ``roc_auc``, ``average_precision``,
            ``seconds`` (processor time), ``threshold`` (how it was chosen), and for the second of those that saw no
            label, and of those that did, how far its F1 is from the first
            (:func:`utils.evaluation.comparison.with_gaps`). Without labels only ``real`` is known, the share of all
            rows.
        recalls: ``detector``, ``kind``, ``rows``, ``recall``, ``low``, ``high``.
        stretches: the same for stretches of time in which a kind goes on: found if any of its rows is flagged.
        hosts: as ``board``, one row a host and window.
        host_recalls: as ``recalls``.
        rate: nominal alarm rate.
    """

    traffic: Traffic
    features: TrafficFeatures
    described: pl.DataFrame
    judged: pl.DataFrame
    scores: Mapping[str, Floats]
    thresholds: Mapping[str, Threshold]
    alarms: Mapping[str, Bools]
    board: pl.DataFrame
    recalls: pl.DataFrame
    stretches: pl.DataFrame
    hosts: pl.DataFrame
    host_recalls: pl.DataFrame
    rate: float

    @property
    def best(self) -> str:
        """Detector with the highest F1 that saw no label; the combination where nothing is labelled."""
        unlabelled = self.board.filter(pl.col("kind") == "graph and history")
        return str(unlabelled["detector"][0]) if self.traffic.labelled else candidates.COMBINED

    def results(self, prefix: str = "") -> dict[str, float]:
        """Numbers for the record of a run.

        Args:
            prefix: stands before each of them.
        """
        measures = ("f1", "low", "high", "precision", "recall", "real", "roc_auc", "average_precision")
        found = recorded(f"{prefix}edges", self.board, "detector", measures)
        found |= recorded(f"{prefix}hosts", self.hosts, "detector", measures)
        kinds = self.recalls.filter(pl.col("detector") == candidates.COMBINED)
        return found | recorded(f"{prefix}recall", kinds, "kind", ("recall",))


def run(
    traffic: Traffic,
    *,
    rate: float | None = None,
    labels: bool = True,
    only: Collection[str] = (),
    resamples: int = 200,
    seed: int = settings.SEED,
    report: Report | None = None,
) -> Trial:
    """Let every detector learn from the past and judge it by the latest part.

    Args:
        traffic: edges and their parts.
        rate: nominal alarm rate; thresholds are chosen for it on the held rows. By default :data:`RATE`, or more where
            there are too few held rows to vouch for so little.
        labels: let classifiers learn from the labels of the past, for comparison, where there are any.
        only: names of the detectors of edges that are wanted; all by default.
        resamples: bootstrap draws of intervals.
        seed: of forests, classifiers and draws.
        report: told what comes next.
    """
    tell = report or (lambda _: None)
    rate = vouched_rate(int(traffic.held.sum())) if rate is None else rate
    tell("features")
    features = TrafficFeatures().fit(traffic.edges.filter(pl.Series(traffic.learned)))
    described = features.edges(traffic.edges)
    scorers = candidates.edge_scores(traffic, described, seed)
    supervised = candidates.labelled_scores(traffic, described, seed) if labels and _teaches(traffic) else {}
    wanted = {name: score for name, score in (scorers | supervised).items() if not only or name in only}
    scores, seconds = _timed(wanted, tell)
    thresholds = {name: _threshold(traffic, name, each, rate, name in supervised) for name, each in scores.items()}
    if candidates.PUBLISHED in scores:
        scores[candidates.PUBLISHED_K], seconds[candidates.PUBLISHED_K] = scores[candidates.PUBLISHED], 0.0
        thresholds[candidates.PUBLISHED_K] = Fixed(3.0, "k = 3, as published").fit(scores[candidates.PUBLISHED])
    alarms = {name: thresholds[name].predict(each[traffic.judged]) for name, each in scores.items()}
    judged = traffic.edges.filter(pl.Series(traffic.judged))
    board = _board(
        judged,
        {name: each[traffic.judged] for name, each in scores.items()},
        alarms,
        thresholds,
        seconds,
        resamples,
        seed,
    )
    kinds = judged[ANOMALY_TYPE] if traffic.labelled else None
    tell("hosts")
    hosts, host_recalls = _hosts(traffic, features, scores, rate, resamples, seed)
    return Trial(
        traffic, features, described, judged, scores, thresholds, alarms, board,
        recalls(kinds, alarms) if kinds is not None else _NO_RECALLS,
        stretches(judged, alarms) if kinds is not None else _NO_RECALLS,
        hosts, host_recalls, rate,
    )  # fmt: skip


def vouched_rate(rows: int) -> float:
    """Alarm rate that so many held rows can vouch for: :data:`RATE`, or that at which they let two of them pass."""
    return max(RATE, 3 / (rows + 1))


def shows(trial: Trial, rate: float = SHOW_RATE) -> pl.DataFrame:
    """Say for each kind of anomaly which feature gives it away.

    Each feature is a detector of its own here, with a threshold from held rows at the rate; which one shows a kind best
    is looked up on the judged rows, so this explains and is no result.

    Args:
        trial: a labelled trial.
        rate: alarm rate of each feature, or more where too few held rows vouch for so little.

    Returns:
        One row a kind, best found first: ``kind``, ``rows``, ``recall`` (of the combination), ``shows in`` (up to three
        features), ``alone`` (recall of the first of them), ``hidden`` (share of the rows that stand on an edge which is
        active then anyway, in 0..1).
    """
    traffic = trial.traffic
    rate = max(rate, 3 / (int(traffic.held.sum()) + 1))
    names = [*candidates.OF_HISTORY, *candidates.OF_GRAPH]
    names += [name for name in trial.described.columns if name.startswith("ports")]
    table = candidates.signed_away(trial.described.select(names)).to_numpy()
    flagged = {
        name: AlarmRate(rate).fit(table[traffic.held, place]).predict(table[traffic.judged, place])
        for place, name in enumerate(names)
    }
    _, _, active = trial.features.history_.expected(trial.judged)
    kinds, rows = trial.judged[ANOMALY_TYPE].to_numpy(), []
    for kind in sorted(set(kinds) - {NORMAL}):
        of_kind = kinds == kind
        alone = sorted(((float(each[of_kind].mean()), name) for name, each in flagged.items()), reverse=True)
        best = [name for share, name in alone[:3] if share > max(0.1, alone[0][0] / 3)]
        found = float(trial.alarms[candidates.COMBINED][of_kind].mean())
        hidden = float((active[of_kind] > USUALLY).mean())
        rows.append((kind, int(of_kind.sum()), found, ", ".join(best) or "nothing", alone[0][0], hidden))
    schema = {"kind": pl.String, "rows": pl.Int64, "recall": pl.Float64, "shows in": pl.String}
    schema |= {"alone": pl.Float64, "hidden": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row").sort("recall", descending=True)


def stretches(judged: pl.DataFrame, alarms: Mapping[str, Bools]) -> pl.DataFrame:
    """Recall of stretches of time in which a kind of anomaly goes on, by detector.

    Args:
        judged: rows with ``window`` and ``anomaly_type``.
        alarms: decisions on them by detector.

    Returns:
        ``detector``, ``kind``, ``rows`` (stretches), ``recall``: share with at least one alarm. Rows of one kind belong
        together if no more than an hour without any of them lies between; how many episodes ran at once is not known.
    """
    guilty = judged.select(WINDOW, ANOMALY_TYPE).with_columns(**{n: pl.Series(a) for n, a in alarms.items()})
    guilty = guilty.filter(pl.col(ANOMALY_TYPE) != NORMAL).sort(ANOMALY_TYPE, WINDOW)
    begins = (pl.col(WINDOW).diff().over(ANOMALY_TYPE).fill_null(STRETCH_GAP + 1) > STRETCH_GAP).cum_sum()
    found = guilty.with_columns(begins.alias("stretch")).group_by(ANOMALY_TYPE, "stretch").agg(pl.col(*alarms).any())
    shares = found.group_by(ANOMALY_TYPE).agg(pl.len().cast(pl.Int64).alias("rows"), pl.col(*alarms).mean())
    long = shares.unpivot(index=[ANOMALY_TYPE, "rows"], variable_name="detector", value_name="recall")
    return long.select("detector", pl.col(ANOMALY_TYPE).alias("kind"), "rows", "recall").sort("detector", "kind")


_NO_RECALLS = pl.DataFrame(
    schema={
        "detector": pl.String,
        "kind": pl.String,
        "rows": pl.Int64,
        "recall": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
    }
)


def _teaches(traffic: Traffic) -> bool:
    """Whether the past holds labelled anomalies that a classifier could learn from, and some for its threshold."""
    if not traffic.labelled:
        return False
    guilty = traffic.edges[LABEL].to_numpy()
    learned = candidates.learned_with_labels(traffic)
    return bool(guilty[learned].any() and guilty[traffic.past & ~learned].any())


def _timed(scorers: Mapping[str, Callable[[], Floats]], tell: Report) -> tuple[dict[str, Floats], dict[str, float]]:
    scores, seconds = dict[str, Floats](), dict[str, float]()
    for name, score in scorers.items():
        tell(name)
        start = time.process_time()
        scores[name] = score()
        seconds[name] = time.process_time() - start
    return scores, seconds


def _threshold(traffic: Traffic, name: str, scores: Floats, rate: float, supervised: bool) -> Threshold:
    """Alarm rate on held rows, or the best F1 there for classifiers."""
    if not supervised:
        return AlarmRate(rate).fit(scores[traffic.held])
    later = traffic.past & ~candidates.learned_with_labels(traffic)
    return BestF1().fit(scores[later], traffic.edges[LABEL].to_numpy()[later])


def _board(
    judged: pl.DataFrame,
    scores: Mapping[str, Floats],
    alarms: Mapping[str, Bools],
    thresholds: Mapping[str, Threshold],
    seconds: Mapping[str, float],
    resamples: int,
    seed: int,
) -> pl.DataFrame:
    """Measures of each detector on rows with a label, or the share of rows that it flags."""
    rows = []
    everything = {TRIVIAL: np.ones(judged.height, dtype=bool)} if LABEL in judged.columns else {}
    for name, flagged in {**alarms, **everything}.items():
        kind = candidates.KINDS.get(name, TRIVIAL_KIND if name in everything else "graph and history")
        words = thresholds[name].describe() if name in thresholds else "none: every row is flagged"
        measured = _measured(judged, scores.get(name), flagged, resamples, seed)
        rows.append((name, kind, *measured, seconds.get(name, 0.0), words))
    table = pl.DataFrame(rows, schema=BOARD, orient="row").fill_nan(None)
    table = table.sort("f1", descending=True, nulls_last=True, maintain_order=True)

    def compare(place: int, other: int) -> comparison.Comparison:
        flagged = [alarms[table["detector"][one]] for one in (place, other)]
        hours = judged[WINDOW] // HOUR
        return comparison.paired_bootstrap("f1", judged[LABEL], *flagged, groups=hours, resamples=resamples, seed=seed)

    return comparison.with_gaps(table, "detector", compare, _runners_up(table))


def _runners_up(board: pl.DataFrame) -> list[tuple[int, int]]:
    """Places of the second and first of those that saw no label, and of those that did."""
    competing = board.with_row_index("place").filter(pl.col("kind") != TRIVIAL_KIND)
    labelled = pl.col("kind") == candidates.KINDS[candidates.LABELS]
    parts = [competing.filter(part)["place"] for part in (~labelled, labelled)]
    return [pair for part in parts for pair in comparison.runner_up(board["f1"].to_list(), part)]


def _measured(judged: pl.DataFrame, scores: Floats | None, flagged: Bools, resamples: int, seed: int) -> list[float]:
    nothing = float("nan")
    if LABEL not in judged.columns:
        return [nothing] * 5 + [float(flagged.mean()), nothing, nothing]
    y, hours = judged[LABEL], judged[WINDOW] // HOUR
    if not y.any():
        return [nothing] * 5 + [decided(y, flagged)["real"], nothing, nothing]
    found = metrics.evaluate(y, decisions=flagged, groups=hours, resamples=resamples, seed=seed)
    f1 = next(each for each in found if each.name == "f1")
    shares = decided(y, flagged)
    ranks = [nothing, nothing]
    if scores is not None and not y.all():
        ranks = [metrics.roc_auc(y, scores), metrics.average_precision(y, scores)]
    return [f1.value, f1.low, f1.high, shares["precision"], shares["recall"], shares["real"], *ranks]


def _hosts(
    traffic: Traffic, features: TrafficFeatures, scores: Mapping[str, Floats], rate: float, resamples: int, seed: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Judge hosts in windows: a host is anomalous if an anomalous edge leaves it; edges lend it their highest score."""
    hosts = features.hosts(traffic.edges)
    lend = (candidates.PUBLISHED, candidates.RAW_FOREST, candidates.FOREST, candidates.COMBINED)
    names = [name for name in lend if name in scores]
    sent = traffic.edges.with_columns(
        pl.Series("learned", traffic.learned),
        pl.Series("past", traffic.past),
        *(pl.Series(name, scores[name]) for name in names),
    )
    truth = [pl.col(LABEL).any(), pl.col(ANOMALY_TYPE).filter(pl.col(LABEL)).mode().sort().first()]
    edge_part = [pl.col(names).max(), pl.col("past").first(), (pl.col(WINDOW) <= _last(traffic)).first().alias("early")]
    joined = hosts.select(WINDOW, TIME, pl.col("host").alias(SRC)).join(
        sent.group_by(WINDOW, SRC).agg(edge_part + (truth if traffic.labelled else [])),
        on=[WINDOW, SRC], how="left", maintain_order="left",
    )  # fmt: skip
    keep = joined["past"].is_not_null().to_numpy()
    hosts, joined = hosts.filter(pl.Series(keep)), joined.filter(pl.Series(keep))
    usual = ~joined[LABEL].to_numpy() if traffic.labelled else np.ones(joined.height, dtype=bool)
    early, past = joined["early"].to_numpy(), joined["past"].to_numpy()
    learned, held, judged = early & usual, past & ~early & usual, ~past
    by_edges = {f"edges: {name}": joined[name].to_numpy() for name in names}
    own, seconds = _timed(candidates.host_scores(hosts, learned, held, seed), lambda _: None)
    every = by_edges | own
    thresholds: dict[str, Threshold] = {name: AlarmRate(rate).fit(each[held]) for name, each in every.items()}
    alarms = {name: thresholds[name].predict(each[judged]) for name, each in every.items()}
    rows = joined.filter(pl.Series(judged))
    rows = rows.with_columns(pl.col(ANOMALY_TYPE).fill_null(NORMAL)) if traffic.labelled else rows
    of_judged = {name: each[judged] for name, each in every.items()}
    board = _board(rows, of_judged, alarms, thresholds, seconds, resamples, seed)
    return board, recalls(rows[ANOMALY_TYPE], alarms) if traffic.labelled else _NO_RECALLS


def _last(traffic: Traffic) -> int:
    """Last window of the learned part."""
    return int(traffic.edges[WINDOW].to_numpy()[traffic.learned].max())
