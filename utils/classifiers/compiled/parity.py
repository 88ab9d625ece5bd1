"""The gate before a compiled form may serve: it decides on every held-out row as the champion does."""

import json
from dataclasses import asdict, dataclass
from typing import Self

import numpy as np
import polars as pl

from utils.classifiers.champion import Champion
from utils.classifiers.compiled.champion import CompiledChampion
from utils.errors import DataError

PARITY = "parity.json"
"""File beside a registered model that says what was found."""

MOST = 1e-6
"""Largest difference between scores of both forms that rounding explains."""

BLOCK = 4_096


@dataclass(frozen=True)
class Parity:
    """What comparing a compiled form with its champion found.

    The rule for ties: a score of at least the threshold is an anomaly, and a score that lies no farther from the
    threshold than the largest difference found is computed by the champion itself.

    Attributes:
        rows: rows that both decided on.
        differing: rows on which they decided otherwise.
        largest: largest difference between their scores.
        in_trees: whether trees gave the scores, or the classifier itself on rows encoded without a table.
    """

    rows: int
    differing: int
    largest: float
    in_trees: bool = True

    @property
    def passed(self) -> bool:
        """Whether the compiled form may serve."""
        return self.rows > 0 and self.differing == 0 and self.largest <= MOST

    @property
    def sentence(self) -> str:
        """The finding in words."""
        apart = f"scores at most {self.largest:.3g} apart"
        found = f"{self.rows:,} held-out rows, {self.differing:,} decided otherwise, {apart}"
        verdict = "serves" if self.passed else "does not serve"
        tie = ", nearer to the threshold the plain form decides" if self.passed and self.largest > 0 else ""
        return f"the compiled form {verdict}: {found}{tie}"

    def to_json(self) -> str:
        """Write the finding down."""
        return json.dumps({**asdict(self), "passed": self.passed, "sentence": self.sentence}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a finding.

        Raises:
            DataError: if the text is none.
        """
        try:
            read = json.loads(text)
            return cls(int(read["rows"]), int(read["differing"]), float(read["largest"]), bool(read["in_trees"]))
        except (ValueError, KeyError, TypeError):
            found = repr(text[:60])
            raise DataError(
                f"a finding of parity must be JSON of rows, differing and largest, found {found}: write it again"
            ) from None


def parity(champion: Champion, compiled: CompiledChampion, rows: pl.DataFrame) -> Parity:
    """Compare the scores and decisions of both forms, the compiled one reading records.

    Args:
        champion: the champion.
        compiled: its compiled form.
        rows: held-out rows, raw, n rows.

    Raises:
        SchemaError: if the rows do not fit the champion.
    """
    plain = champion.score_samples(rows)
    wanted = _read(champion, rows)
    blocks = (wanted[start : start + BLOCK].to_dicts() for start in range(0, rows.height, BLOCK))
    fast = np.concatenate([np.zeros(0), *(compiled.score_records(block) for block in blocks)])
    with np.errstate(invalid="ignore"):
        apart = np.where(plain == fast, 0.0, np.abs(plain - fast))
    differing = champion.threshold_.predict(plain) != champion.threshold_.predict(fast)
    return Parity(rows.height, int(differing.sum()), float(apart.max(initial=0.0)), compiled.in_trees)


def passed(champion: Champion, finding: str | None) -> CompiledChampion | None:
    """The compiled form of a stored champion, where the finding beside it says that it may serve.

    Args:
        champion: as it was loaded.
        finding: text of the file :data:`PARITY`, nothing where there is none.

    Raises:
        DataError: if the text is no finding.
    """
    if finding is None or not (found := Parity.from_json(finding)).passed:
        return None
    return CompiledChampion(champion, margin=found.largest)


def _read(champion: Champion, rows: pl.DataFrame) -> pl.DataFrame:
    """The columns that are read; of raw records where the rows have both, so that reading texts is compared, too."""
    made = () if champion.reader_ is None else (*champion.reader_.inputs, *champion.reader_.names)
    raw = champion.reader_ is not None and set(champion.reader_.inputs) <= set(rows.columns)
    names = [name for name in champion.input_types_ if not (raw and name in made)]
    inputs = list(champion.reader_.inputs) if raw and champion.reader_ is not None else []
    return rows.select(list(dict.fromkeys([*inputs, *names])))
