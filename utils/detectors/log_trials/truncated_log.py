"""Sessions of a log that was cut off: what can be reached at all, and what normal sessions alone reach of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from utils import compute, settings
from utils.datasets.contract import LABEL, Roles
from utils.detectors.judging import TRIVIAL, decided
from utils.detectors.log_trials import candidates, published
from utils.detectors.log_trials.candidates import BEGINNINGS, COUNTS, LSTM, OPEN_LSTM, RULES, VOTE, Bench
from utils.detectors.log_trials.names import recorded
from utils.detectors.log_trials.tables import EVENTS, Sessions, distinct
from utils.evaluation.baselines import f1_ceiling

TEST_SHARE = 0.8
SPLITS = 5
MEASURES = ("f1", "precision", "recall", "real", "ceiling")
EACH = {"detector": pl.String, "split": pl.Int64, **dict.fromkeys(MEASURES, pl.Float64)}


@dataclass(frozen=True, eq=False)
class Truncated:
    """What detectors reach on truncated sessions, split by split.

    Attributes:
        each: one row a detector and ``split`` (its seed): ``f1``, ``precision``, ``recall``, ``real`` (share of normal
            sessions flagged) and ``ceiling`` (the highest F1 that any model of the sequence could reach on this test
            part).
        whole: the ceiling on all sessions.
        supervised: what others measured with labels on the same splits, as given.
        published: what others have published.
        notes: what was left out, and why.
    """

    each: pl.DataFrame
    whole: float
    supervised: pl.DataFrame | None
    published: pl.DataFrame
    notes: Sequence[str]

    @property
    def board(self) -> pl.DataFrame:
        """One row a detector, best F1 first: means over the splits, ``sd`` of F1, ``splits``."""
        spread = (pl.col("f1").std().alias("sd"), pl.len().alias("splits"))
        means = self.each.group_by("detector", maintain_order=True).agg(pl.col(*MEASURES).mean(), *spread)
        return means.sort("f1", descending=True)

    @property
    def beside(self) -> pl.DataFrame:
        """All F1 in one column, best first: ``detector``, ``learns from``, ``f1``; ceiling and published ones too."""
        shown = {"detector": pl.String, "learns from": pl.String, "f1": pl.Float64}
        own = self.board.select("detector", pl.lit("normal sessions").alias("learns from"), "f1")
        ceiling = pl.DataFrame([("ceiling of any model", "all labels", self._ceiling())], schema=shown, orient="row")
        others = self.published.select(*shown)
        frames = [ceiling, own, others, *([] if self.supervised is None else [self._labelled(self.supervised)])]
        return pl.concat(frames).sort("f1", descending=True)

    def _ceiling(self) -> float:
        return float(self.each["ceiling"].to_numpy().mean()) if self.each.height else float("nan")

    @staticmethod
    def _labelled(supervised: pl.DataFrame) -> pl.DataFrame:
        name = next(name for name in ("detector", "classifier", "model") if name in supervised.columns)
        rows = supervised.group_by(name, maintain_order=True).agg(pl.col("f1").cast(pl.Float64).mean())
        return rows.select(pl.col(name).alias("detector"), pl.lit("labels").alias("learns from"), "f1")

    def results(self, name: str) -> dict[str, float]:
        """Numbers for the record of a run.

        Args:
            name: stands before each of them.
        """
        found = recorded(name, self.board, "detector", ("f1", "precision", "recall"))
        return {f"{name}/ceiling": self._ceiling(), **found}


def truncated(
    blocks: pl.DataFrame,
    bench: Bench,
    *,
    splits: int = SPLITS,
    networks: int = 1,
    supervised: pl.DataFrame | None = None,
    seed: int = settings.SEED,
    label: str = LABEL,
) -> Truncated:
    """Learn from the normal sessions among 20 % of all, and judge by the other 80 %.

    Args:
        blocks: one row a session: ``events`` and the label.
        bench: fits the detectors, each once a split.
        splits: random splits.
        networks: splits on which networks are fitted too.
        supervised: F1 of classifiers on the same task, columns ``detector`` (or ``classifier``, ``model``) and ``f1``.
        seed: of the first split; the next have the next numbers.
        label: Boolean column of the label.

    Returns:
        The results; detectors that could not be fitted are left out and named in the notes.
    """
    sessions = distinct(blocks, Roles("session", label=label, sequence=EVENTS), ("hdfs", "blocks"))
    jobs = [(sessions, bench, seed + place, place < networks, seed) for place in range(splits)]
    names = [f"{' '.join(sessions.name)}: split {place + 1} of {splits}" for place in range(splits)]
    judged = compute.each(_on_split, jobs, progress=compute.teller(bench.report, names))
    rows = [row for found, _ in judged for row in found]
    columns = pl.DataFrame(rows, schema=EACH, orient="row").fill_nan(None)
    few = [f"networks: fitted on {networks} of {splits} splits"] if networks < splits else []
    notes = (*few, *dict.fromkeys(note for _, noted in judged for note in noted))
    return Truncated(columns, ceiling(sessions), supervised, published.truncated_sessions(), notes)


def ceiling(sessions: Sessions) -> float:
    """Highest F1 that any model of the sequence can reach on the test sessions, whatever it has learned from.

    Args:
        sessions: of which the test side counts; NaN if it has no anomaly.
    """
    highest = f1_ceiling(sessions.judged, EVENTS, "anomalous", "sessions")
    return float("nan") if highest is None else highest


def _on_split(
    sessions: Sessions, bench: Bench, split: int, with_networks: bool, seed: int
) -> tuple[list[tuple[object, ...]], list[str]]:
    """The rows of one split, and what could not be fitted on it."""
    noted, part = len(bench.notes), sessions.divided(TEST_SHARE, split)
    highest = ceiling(part)
    names = [*RULES, *COUNTS, VOTE, *BEGINNINGS, *((LSTM, OPEN_LSTM) if with_networks else ())]
    found = [one for name in names for one in _judged(name, part, bench, seed)]
    every = decided(part.judged["anomalous"], candidates.trivial(part.judged.height)[1], part.judged["sessions"])
    found.append((TRIVIAL, every))
    rows = [(name, split, *(shares[each] for each in MEASURES[:4]), highest) for name, shares in found]
    return list(rows), bench.notes[noted:]


def _judged(name: str, part: Sessions, bench: Bench, seed: int) -> list[tuple[str, dict[str, float]]]:
    """Shares of one detector, and those of the vote by any member."""
    fitted = bench.fitted(name, part, seed)
    if fitted is None:
        return []
    judged, found = part.judged, []
    for each, one in candidates.at_thresholds(name, fitted).items():
        flagged = np.asarray(candidates.decisions(one, judged)[1])
        found.append((each, decided(judged["anomalous"], flagged, judged["sessions"])))
    return found
