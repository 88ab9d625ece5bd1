"""The same detectors when other normal sessions are drawn for training: a published split is one draw of many."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from utils import compute, settings
from utils.detectors.judging import decided
from utils.detectors.log_trials import candidates
from utils.detectors.log_trials.candidates import COUNTS, LSTM, RULES, VOTE, Bench
from utils.detectors.log_trials.names import recorded
from utils.detectors.log_trials.tables import Sessions

DRAWS = 10
EACH = {
    "detector": pl.String,
    "draw": pl.Int64,
    **dict.fromkeys(("f1", "precision", "recall", "real"), pl.Float64),
}


@dataclass(frozen=True, eq=False)
class Draws:
    """What the detectors reach over draws of training sessions.

    Attributes:
        each: one row a detector and ``draw`` (its seed): ``f1``, ``precision``, ``recall``, ``real`` over all other
            sessions.
        size: normal sessions in each draw.
        notes: what was left out, and why.
    """

    each: pl.DataFrame
    size: int
    notes: Sequence[str]

    @property
    def board(self) -> pl.DataFrame:
        """One row a detector, best mean first: ``mean``, ``sd``, ``min``, ``max`` of F1, number of ``draws``."""
        f1 = pl.col("f1")
        spread = (f1.mean().alias("mean"), f1.std().alias("sd"), f1.min().alias("min"), f1.max().alias("max"))
        counted = self.each.group_by("detector", maintain_order=True).agg(*spread, draws=pl.len())
        return counted.sort("mean", descending=True)

    def results(self, name: str) -> dict[str, float]:
        """Numbers for the record of a run.

        Args:
            name: stands before each of them.
        """
        return recorded(name, self.board, "detector", ("mean", "sd", "min"))


def draws(
    sessions: Sessions, bench: Bench, *, repeats: int = DRAWS, networks: int = 3, seed: int = settings.SEED
) -> Draws:
    """Draw as many normal training sessions as the split had, again and again, and judge by all other sessions.

    Args:
        sessions: the table; its own split says only how many sessions are drawn.
        bench: fits the detectors, each once a draw.
        repeats: number of draws.
        networks: draws on which the network is fitted too; it costs more than all others together.
        seed: of the first draw; the next have the next numbers.

    Returns:
        The results; detectors that could not be fitted are left out and named in the notes.
    """
    jobs = [(sessions, bench, seed + place, place < networks, seed) for place in range(repeats)]
    names = [f"{' '.join(sessions.name)}: draw {place + 1} of {repeats}" for place in range(repeats)]
    judged = compute.each(_on_draw, jobs, progress=compute.teller(bench.report, names))
    rows = [row for found, _ in judged for row in found]
    table = pl.DataFrame(rows, schema=EACH, orient="row").fill_nan(None)
    few = [f"{LSTM}: fitted on {networks} of {repeats} draws"] if networks < repeats else []
    return Draws(
        table, int(sessions.learned.sum()), (*few, *dict.fromkeys(note for _, notes in judged for note in notes))
    )


def _on_draw(
    sessions: Sessions, bench: Bench, draw: int, with_network: bool, seed: int
) -> tuple[list[tuple[object, ...]], list[str]]:
    """The rows of one draw, and what could not be fitted on it."""
    rows: list[tuple[object, ...]] = []
    noted, drawn = len(bench.notes), sessions.drawn(draw)
    judged = drawn.judged
    for name in (*RULES, *COUNTS, VOTE, *((LSTM,) if with_network else ())):
        if (fitted := bench.fitted(name, drawn, seed)) is None:
            continue
        for each, one in candidates.at_thresholds(name, fitted).items():
            _, flagged = candidates.decisions(one, judged)
            found = decided(judged["anomalous"], flagged, judged["sessions"])
            rows.append((each, draw, found["f1"], found["precision"], found["recall"], found["real"]))
    return rows, bench.notes[noted:]
