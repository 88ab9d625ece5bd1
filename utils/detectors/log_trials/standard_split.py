"""All detectors of sessions on the split that their table came with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from utils import settings
from utils.detectors.judging import TRIVIAL, decided
from utils.detectors.log_trials import candidates, published
from utils.detectors.log_trials.candidates import COUNTS, LSTM, NETWORKS, RULES, VOTE, Bench, Fitted
from utils.detectors.log_trials.names import recorded
from utils.detectors.log_trials.tables import Sessions
from utils.evaluation import metrics
from utils.evaluation.inputs import Bools, Floats

MEASURES = ("f1", "precision", "recall", "real", "roc_auc", "average_precision")
EACH = {
    "detector": pl.String,
    "seed": pl.Int64,
    **dict.fromkeys(("f1", "low", "high", *MEASURES[1:], "seconds"), pl.Float64),
    "threshold": pl.String,
}
EVERY = (*RULES, *COUNTS, VOTE, *NETWORKS)


@dataclass(frozen=True, eq=False)
class Standard:
    """What the detectors reach on one table, all test sessions counted.

    Attributes:
        each: one row a detector and seed: ``f1`` with interval ``low`` and ``high``, ``precision``, ``recall``,
            ``real`` (share of normal sessions flagged), ``roc_auc``, ``average_precision``, ``seconds`` (processor time
            of learning), ``threshold`` (how it was chosen).
        judged: the test rows: ``events``, ``anomalous``, ``kind``, ``sessions``.
        scores: of the test rows by detector, first seed; higher is more abnormal.
        alarms: decisions on the test rows by detector, first seed.
        published: what others have published, and how they found it.
        notes: what was left out, and why.
    """

    each: pl.DataFrame
    judged: pl.DataFrame
    scores: Mapping[str, Floats]
    alarms: Mapping[str, Bools]
    published: pl.DataFrame
    notes: Sequence[str]

    @property
    def board(self) -> pl.DataFrame:
        """One row a detector, best F1 first: means over its seeds, ``f1_sd`` and the number of ``seeds``."""
        mean = pl.col("f1", "low", "high", *MEASURES[1:], "seconds").mean()
        spread = (pl.col("f1").std().alias("f1_sd"), pl.len().alias("seeds"), pl.col("threshold").first())
        return self.each.group_by("detector", maintain_order=True).agg(mean, *spread).sort("f1", descending=True)

    def results(self, name: str) -> dict[str, float]:
        """Numbers for the record of a run.

        Args:
            name: stands before each of them.
        """
        return recorded(name, self.board, "detector", ("f1", "precision", "recall", "average_precision", "f1_sd"))


def standard(sessions: Sessions, bench: Bench, *, repeats: int = 3, seed: int = settings.SEED) -> Standard:
    """Judge all detectors on the split of a table.

    Args:
        sessions: the table.
        bench: fits the detectors, each once.
        repeats: seeds of each network.
        seed: the first of them, and that of the intervals.

    Returns:
        The results; detectors that could not be fitted are left out and named in the notes.
    """
    judged, noted = sessions.judged, len(bench.notes)
    rows, scores, alarms = [], dict[str, Floats](), dict[str, Bools]()
    for name, fitted, each in _fits(sessions, bench, repeats, seed):
        found, flagged = candidates.decisions(fitted, judged)
        scores.setdefault(name, found)
        alarms.setdefault(name, flagged)
        rows.append((name, each, *_judged(judged, found, flagged, seed), fitted.seconds, fitted.threshold))
    found, flagged = candidates.trivial(judged.height)
    rows.append((TRIVIAL, seed, *_judged(judged, found, flagged, seed), 0.0, "none: every session is flagged"))
    table = pl.DataFrame(rows, schema=EACH, orient="row").fill_nan(None)
    others = published.whole_sessions() if sessions.name[0] == "hdfs" else published.whole_sessions().clear()
    return Standard(table, judged, scores, alarms, others, tuple(bench.notes[noted:]))


def _fits(sessions: Sessions, bench: Bench, repeats: int, seed: int) -> list[tuple[str, Fitted, int]]:
    """Every detector that could be fitted, with its seed."""
    found = []
    for name in EVERY:
        for each in candidates.seeds_of(name, seed, repeats if name == LSTM else 1):
            if (fitted := bench.fitted(name, sessions, each)) is not None:
                found += [(shown, one, each) for shown, one in candidates.at_thresholds(name, fitted).items()]
    return found


def _judged(judged: pl.DataFrame, scores: Floats, flagged: Bools, seed: int) -> tuple[float, ...]:
    """The measures in the order of the table, F1 with its interval."""
    y, weight = judged["anomalous"], judged["sessions"]
    shares = decided(y, flagged, weight)
    f1 = next(one for one in metrics.evaluate(y, decisions=flagged, weight=weight, seed=seed) if one.name == "f1")
    finite = np.nan_to_num(scores, posinf=np.finfo(np.float64).max)
    ranks = (metrics.roc_auc(y, finite, weight), metrics.average_precision(y, finite, weight))
    return (f1.value, f1.low, f1.high, shares["precision"], shares["recall"], shares["real"], *ranks)
