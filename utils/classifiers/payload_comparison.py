"""What a list of payloads teaches and what marks of many sources teach, on the same texts."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from utils import settings
from utils.classifiers import candidates
from utils.classifiers.champion import Champion
from utils.classifiers.champion_trials import Trial, Trials
from utils.classifiers.payload_marks import KIN, LOOK_ALIKE, LOOK_ALIKES
from utils.datasets.contract import NORMAL, Dataset
from utils.detectors.judging import detectable, label_of
from utils.evaluation.inputs import Bools
from utils.evaluation.intervals import wilson
from utils.evaluation.splits import published
from utils.features import tables
from utils.features.tables import Table

ONE_LIST, MARKS = "traits of one list", "marks of many sources"
TEST, ALIKE, FORMS = "published test part", "benign look-alikes of other kinds", "attacks of other forms"
TEXT, NUMBER = pl.String, pl.Float64
COLUMNS: Mapping[str, type[pl.DataType]] = {
    **dict.fromkeys(("table", "texts", "truth"), TEXT),
    "n": pl.Int64,
    **{f"{who}{end}": NUMBER for who in (ONE_LIST, MARKS) for end in ("", " low", " high")},
}


def compared(
    trials: Trials, data: Mapping[str, Dataset], processed: Mapping[str, Dataset], *, seed: int = settings.SEED
) -> pl.DataFrame:
    """Let a classifier that learned the traits of a list of payloads decide on what the champion decides on.

    Simulated texts were never seen by the first; the champion's decisions on them are those of models that had seen
    none of their kind or form (:attr:`Trial.chosen_on`).

    Args:
        trials: as :func:`utils.classifiers.champion_trials.run` gives them.
        data: the data sets by name.
        processed: their processed tables.
        seed: of the classifier and its folds.

    Returns:
        One row a table, group of texts and truth: ``table``, ``texts``, ``truth``, number ``n``, and for
        :data:`ONE_LIST` and :data:`MARKS` the share called attacks with its interval (Wilson, 95 %). No rows where no
        champion learned from marks.
    """
    found: list[tuple[object, ...]] = []
    for table, trial in trials.by_table.items():
        if trial.rule == LOOK_ALIKES:
            other = _of_traits(table, data, processed, seed)
            found += [(" ".join(table), *row) for row in _rows(trial, other)]
    return pl.DataFrame(found, schema=dict(COLUMNS), orient="row")


def sentence(board: pl.DataFrame) -> str:
    """Say what both do on look-alikes; nothing where nothing was compared."""
    rows = board.filter(texts=ALIKE)
    return "; ".join(
        f"{row['table']}: of {row['n']:,} benign look-alikes {row[ONE_LIST]:.1%} are called attacks by {ONE_LIST}, "
        f"{row[MARKS]:.1%} by {MARKS}"
        for row in rows.iter_rows(named=True)
    )


def _of_traits(table: Table, data: Mapping[str, Dataset], processed: Mapping[str, Dataset], seed: int) -> Champion:
    """The general candidate, fitted to the traits of the training payloads."""
    name, frame, roles = table[0], processed[table[0]][table[1]], processed[table[0]].roles[table[1]]
    train = frame[published(frame, roles).train].drop_nulls(label_of(roles))
    pipeline = candidates.of(name).pipeline(detectable(train, roles), seed=seed)
    return Champion(pipeline, seed=seed).fit(train, train[label_of(roles)]).reading(tables.reader(data[name], table[1]))


def _rows(trial: Trial, other: Champion) -> list[tuple[object, ...]]:
    rule, train, label = trial.points.thresholds[trial.rule], trial.train, label_of(trial.roles)
    of_form = pl.col(label) & ~pl.col(KIN).str.starts_with("text ")
    groups = (
        (ALIKE, NORMAL, train, rule.predict(trial.chosen_on.scores), pl.col(LOOK_ALIKE)),
        (FORMS, "attack", train, rule.predict(trial.chosen_on.scores), of_form),
        (TEST, NORMAL, trial.test, trial.decisions, ~pl.col(label)),
        (TEST, "attack", trial.test, trial.decisions, pl.col(label)),
    )
    return [_row(other, *group) for group in groups]


def _row(
    other: Champion, texts: str, truth: str, frame: pl.DataFrame, called: Bools, which: pl.Expr
) -> tuple[object, ...]:
    chosen = frame.select(which.alias("chosen")).to_series().to_numpy()
    also = other.predict(frame.filter(pl.Series(chosen)).select("payload"))
    return texts, truth, int(chosen.sum()), *_share(also), *_share(called[chosen])


def _share(called: Bools) -> tuple[float, float, float]:
    if not called.size:
        return (np.nan,) * 3
    interval = wilson(int(called.sum()), called.size)
    return float(called.mean()), interval.low, interval.high
