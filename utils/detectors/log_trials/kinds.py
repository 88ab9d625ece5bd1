"""Which kinds of anomalies each detector finds, beside what makes them visible."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from utils import settings
from utils.detectors.judging import decided, recalls
from utils.detectors.log_trials import candidates
from utils.detectors.log_trials.candidates import LSTM, VOTE, WIDE, Bench
from utils.detectors.log_trials.names import recorded
from utils.detectors.log_trials.tables import Sessions
from utils.simulate.hdfs_blocks import ANOMALIES

DETECTORS = ("unseen event set", "unseen count vector", "back-off novelty", "unseen transition", VOTE, LSTM)
VISIBLE = {name: anomaly.visible for name, anomaly in ANOMALIES.items()}


@dataclass(frozen=True, eq=False)
class PerType:
    """Recall of each kind of anomaly.

    Attributes:
        each: one row a detector and kind: ``detector``, ``kind``, ``visible`` (what gives it away: events, counts or
            order; null where nobody knows), ``rows`` (sessions), ``recall``, ``low``, ``high``, ``real`` (share of
            normal sessions that the detector flags).
        notes: what was left out, and why.
    """

    each: pl.DataFrame
    notes: Sequence[str]

    @property
    def worst(self) -> pl.DataFrame:
        """One row a detector: ``recall`` and ``kind`` of the kind it finds least, and its ``real`` alarm rate."""
        ranked = self.each.sort("recall").group_by("detector", maintain_order=True).first()
        return ranked.select("detector", "kind", "recall", "real").sort("recall", descending=True)

    def results(self, name: str) -> dict[str, float]:
        """Numbers for the record of a run: recall of each kind by the wide vote, worst recall of each detector.

        Args:
            name: stands before each of them.
        """
        by_vote = self.each.filter(pl.col("detector") == WIDE)
        return recorded(name, by_vote, "kind", ("recall",)) | recorded(name, self.worst, "detector", ("recall", "real"))


def per_type(
    sessions: Sessions,
    bench: Bench,
    *,
    visible: Mapping[str, str] = VISIBLE,
    detectors: Sequence[str] = DETECTORS,
    seed: int = settings.SEED,
) -> PerType:
    """Measure the recall of each kind of anomaly on the split of a table.

    Args:
        sessions: the table.
        bench: fits the detectors, each once.
        visible: what each kind is visible in; those of the simulated HDFS by default.
        detectors: which ones; the vote is also asked at the threshold where any member raises an alarm.
        seed: of the detectors.

    Returns:
        The results.
    """
    judged, noted = sessions.judged, len(bench.notes)
    alarms, real = {}, {}
    for name in detectors:
        if (fitted := bench.fitted(name, sessions, seed)) is None:
            continue
        for each, one in candidates.at_thresholds(name, fitted).items():
            alarms[each] = candidates.decisions(one, judged)[1]
            real[each] = decided(judged["anomalous"], alarms[each], judged["sessions"])["real"]
    table = recalls(judged["kind"], alarms, judged["sessions"]).with_columns(
        pl.col("kind").replace_strict(dict(visible), default=None, return_dtype=pl.String).alias("visible"),
        pl.col("detector").replace_strict(real, return_dtype=pl.Float64).alias("real"),
    )
    names = ("detector", "kind", "visible", "rows", "recall", "low", "high", "real")
    return PerType(table.select(names), tuple(bench.notes[noted:]))
