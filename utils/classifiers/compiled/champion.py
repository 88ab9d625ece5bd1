"""A champion that scores records without tables: the same decisions, in microseconds instead of milliseconds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from utils.classifiers.champion import Champion
from utils.classifiers.compiled.forest import scores_of
from utils.classifiers.compiled.records import Record, RecordEncoder
from utils.errors import SettingsError
from utils.evaluation.inputs import Bools, Floats


class CompiledChampion:
    """Scores rows as its champion does; scores: HIGHER = MORE ABNORMAL.

    Records that are not ordinary (a column missing, another type than in training, numbers beyond 1e18) go to the
    champion itself, and with them all that were given in the same call: its answer or its complaint is theirs. So do
    scores nearer to the threshold than ``margin``, so that rounding never decides.

    Args:
        champion: fitted.
        margin: largest difference between scores of both forms that was ever found, see
            :func:`utils.classifiers.compiled.parity`.

    Attributes:
        champion: the champion.
        margin: as given.
        in_trees: whether trees give the scores; else the classifier itself does, on the encoded rows.

    Raises:
        SettingsError: if the pipeline cannot be compiled; the reason is said.
    """

    def __init__(self, champion: Champion, *, margin: float = 0.0) -> None:
        if not isinstance(champion, Champion) or not hasattr(champion, "pipeline_"):
            found = type(champion).__name__
            raise SettingsError(f"a fitted Champion can be compiled, found {found}: serve it plainly")
        self.champion = champion
        self.margin = margin
        self._encoder = RecordEncoder(champion)
        pipeline = champion.pipeline_
        self._scores, self.in_trees = scores_of(pipeline[-1] if len(pipeline) == 2 else pipeline[1:])
        self._warm()

    def score_records(self, records: Sequence[Record]) -> Floats:
        """Score records, n of them, each by its columns or, where the champion reads texts, by its texts.

        Returns:
            Scores, float64 (n,).

        Raises:
            SchemaError: where the champion raises it, with its words.
        """
        encoded = self._encoder.encode(records) if records else None
        if encoded is None:
            return self.champion.score_samples(records)
        scores = self._scores(encoded)
        near = self._near(scores)
        if near.size:
            scores[near] = self.champion.score_samples([records[place] for place in near])
        return scores

    def score_samples(self, rows: pl.DataFrame) -> Floats:
        """Score rows of a table (arguments, result and errors as the champion's)."""
        table = self.champion.table(rows)
        if not table.height:
            return np.zeros(0)
        scores = self._scores(self.champion.features_.transform(table))
        near = self._near(scores)
        if near.size:
            scores[near] = self.champion.score_samples(table[near])
        return scores

    def predict(self, rows: pl.DataFrame | Sequence[Record]) -> Bools:
        """Decide on rows of a table or on records; true for an anomaly (n,)."""
        scores = self.score_samples(rows) if isinstance(rows, pl.DataFrame) else self.score_records(rows)
        return self.champion.threshold_.predict(scores)

    def _near(self, scores: Floats) -> Any:  # noqa: ANN401 - places
        """Scores that rounding could move over the threshold."""
        return (np.abs(scores - self.champion.threshold_.value_) <= self.margin).nonzero()[0]

    def _warm(self) -> None:
        """Load the compiled loops before the first record comes."""
        self.score_samples(self.champion.example())


def compiled(champion: Champion, *, margin: float = 0.0) -> CompiledChampion:
    """Compile a champion (arguments and errors as :class:`CompiledChampion`)."""
    return CompiledChampion(champion, margin=margin)
