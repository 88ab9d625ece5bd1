"""What helps where one class is rare: weights and thresholds first, resampling beside them.

One model on one table, fitted as it is, with class weights, and on training rows that were drawn again: the rare class
repeated, the other thinned out, or new rows made between rare ones (SMOTE). Resampling happens inside the training part
of each fold only: judged rows are never drawn, repeated or interpolated from. Every treatment is decided at one half
and with its threshold moved, which is chosen on the out-of-fold scores of the other folds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from utils import compute, settings
from utils.classifiers import zoo
from utils.classifiers.adapters import sampled_rows
from utils.classifiers.model_selection import SIGNIFICANCE, Effort, Fold, Task, kinds_of, training_task
from utils.compute.threads import limited
from utils.datasets.cicids2017 import BENIGN, NATURAL_COUNTS
from utils.datasets.contract import NORMAL, Roles
from utils.detectors.judging import Report, label_of
from utils.errors import DataError, SettingsError
from utils.evaluation import comparison, metrics
from utils.evaluation.inputs import Bools, Floats, Ints
from utils.evaluation.shares import reweight
from utils.evaluation.thresholds import BestF1
from utils.features.flows import FlowFeatures

AS_IT_IS, WEIGHTS = "as it is", "class weights"
REPEATED, THINNED, SYNTHETIC = "rare class repeated", "other class thinned out", "SMOTE"
HALF = 0.5
NEIGHBOURS = 5
MEASURES = ("f1", "f1_moved", "average_precision", "brier")
NATURAL = ("f1_natural", "f1_moved_natural")

Learned = tuple[Floats, Bools, Floats | None]
"""Rows, verdicts and weights that a model learns from."""
Treatment = Callable[[Floats, Bools, int], Learned]


@dataclass(frozen=True, eq=False)
class Treatments:
    """The treatments of one table.

    Attributes:
        board: one row a treatment: ``treatment``, ``f1`` (decided at one half), ``f1_moved`` (threshold moved),
            ``average_precision``, ``brier`` (mean squared error of the probabilities, 0 is best), with natural shares
            also ``f1_natural`` and ``f1_moved_natural``; each with its interval ``_low``, ``_high``. ``difference`` is
            that of ``f1_moved`` to the model as it is, with ``p_value`` and ``verdict``; ``learned_rows`` of a fold.
        folds: one row a treatment and fold with the measures.
        share: share of anomalies among the rows.
        how: rows, folds and model, in one sentence.
    """

    board: pl.DataFrame
    folds: pl.DataFrame
    share: float
    how: str

    @property
    def summary(self) -> str:
        """What the comparison found, in two sentences."""
        plain = self.board.row(0, named=True)
        best = self.board.sort("f1_moved", descending=True).row(0, named=True)
        drawn = self.board.filter(pl.col("treatment").is_in([REPEATED, THINNED, SYNTHETIC]))
        helped = drawn.filter((pl.col("difference") > 0) & (pl.col("p_value") < SIGNIFICANCE))
        said = f"{', '.join(helped['treatment'])} adds to that" if helped.height else "no resampling adds to that"
        return (
            f"With {100 * self.share:.1f} % anomalies, moving the threshold takes F1 from {plain['f1']:.3f} to "
            f"{plain['f1_moved']:.3f}; {said} beyond noise (highest: {best['treatment']}, {best['f1_moved']:.3f}). "
            f"{self.how}."
        )

    def results(self) -> dict[str, float]:
        """Numbers for the record of a run."""
        return {
            f"imbalance_{row['treatment'].replace(' ', '_')}_{measure}": row[measure]
            for row in self.board.iter_rows(named=True)
            for measure in (*MEASURES, *NATURAL)
            if row.get(measure) is not None
        }


def compare(
    frame: pl.DataFrame,
    roles: Roles,
    *,
    model: str = "hist gradient boosting",
    work: Effort | None = None,
    rare: float | None = None,
    shares: Mapping[str, float] | None = None,
    seed: int = settings.SEED,
    threads: int = 1,
    report: Report | None = None,
) -> Treatments:
    """Compare the treatments of a rare class on the training rows of one table.

    Args:
        frame: a labelled table.
        roles: what its columns mean.
        model: a classifier of :data:`utils.classifiers.zoo.ZOO` with probabilities and weights. All treatments see its
            columns as numbers without gaps, standardised, with a column for each category.
        work: how many rows, folds and rounds.
        rare: share of anomalies to which they are thinned out first; as they are if not given.
        shares: natural share of each kind of row, ``"normal"`` included (see :func:`natural_shares`): adds F1 at them.
        seed: of every random draw.
        threads: that a fit may start.
        report: told the name of each fold before its models are fitted.

    Raises:
        SettingsError: if there is no such model, or it gives no probabilities or takes no weights.
        DataError: if there are not enough rows of both classes, or the shares do not fit the kinds of row.
    """
    chosen = zoo.choice(model)
    if not chosen.weights or not hasattr(chosen.classifier(seed), "predict_proba"):
        raise SettingsError(f"the model must take weights and give probabilities, found {model}: take another one")
    rows = frame if rare is None else _thinned(frame, roles, rare, seed)
    task = training_task(rows, roles, work or Effort(), seed)
    weight = _natural_weight(task, shares)
    jobs = [(task, fold, chosen, seed + place, threads) for place, fold in enumerate(task.folds)]
    scores = compute.each(_scored_fold, jobs, progress=compute.teller(report, [fold.name for fold in task.folds]))
    folds = pl.concat([_measured(task, name, scores, weight) for name in TREATMENTS])
    how = f"{model} on {task.how}"
    return Treatments(_board(folds, task, bool(shares)), folds, float(task.y.mean()), how)


def natural_shares(kinds: pl.Series) -> dict[str, float]:
    """Share of each kind of flow in the whole corrected edition of CICIDS2017, of which the files are a level sample.

    Args:
        kinds: kind of each row, ``"normal"`` for normal rows.

    Returns:
        Share of each kind that is among the rows; they sum to 1.

    Raises:
        DataError: if a kind is none of that data set.
    """
    counts = {NORMAL if name == BENIGN else name: count for name, count in NATURAL_COUNTS.items()}
    present = sorted(kinds.drop_nulls().unique().to_list())
    unknown = [name for name in present if name not in counts]
    if unknown:
        raise DataError(
            f"kinds must be those of cicids2017, found {', '.join(unknown[:5])}: state their shares yourself"
        )
    total = sum(counts[name] for name in present)
    return {name: counts[name] / total for name in present}


def smote(matrix: Floats, number: int, seed: int = settings.SEED, neighbours: int = NEIGHBOURS) -> Floats:
    """Make rows between rows: each new one lies at random on the line from one row to one of its nearest neighbours.

    Args:
        matrix: rows of one class, shape (n, d): finite numbers of comparable spread.
        number: rows to make.
        seed: of the draws.
        neighbours: neighbours among which one is drawn, fewer where there are fewer rows.

    Returns:
        New rows, shape (number, d); copies where there is a single row.

    Raises:
        DataError: if there is no row to start from.

    Source:
        Chawla, Bowyer, Hall and Kegelmeyer, "SMOTE: synthetic minority over-sampling technique", JAIR 2002.
    """
    from sklearn.neighbors import NearestNeighbors

    if not len(matrix):
        raise DataError("new rows are made between rows of a class, found none: give at least one")
    rng = np.random.default_rng(seed)
    start = rng.permutation(np.arange(number) % len(matrix))
    near = min(neighbours, len(matrix) - 1)
    if not near:
        return np.asarray(matrix[start])
    others = NearestNeighbors(n_neighbors=near).fit(matrix).kneighbors(return_distance=False)
    end = others[start, rng.integers(near, size=number)]
    return np.asarray(matrix[start] + rng.random((number, 1)) * (matrix[end] - matrix[start]))


def _plain(matrix: Floats, y: Bools, seed: int) -> Learned:
    return matrix, y, None


def _weighted(matrix: Floats, y: Bools, seed: int) -> Learned:
    """Weights that give both classes the same sum."""
    return matrix, y, np.where(y, 0.5 / y.mean(), 0.5 / (1 - y.mean()))


def _repeated(matrix: Floats, y: Bools, seed: int) -> Learned:
    rare, other = _sides(y)
    drawn = np.random.default_rng(seed).choice(rare, len(other) - len(rare))
    rows = np.concatenate([np.arange(len(y)), drawn])
    return matrix[rows], y[rows], None


def _undersampled(matrix: Floats, y: Bools, seed: int) -> Learned:
    rare, other = _sides(y)
    kept = np.random.default_rng(seed).choice(other, len(rare), replace=False)
    rows = np.sort(np.concatenate([rare, kept]))
    return matrix[rows], y[rows], None


def _synthetic(matrix: Floats, y: Bools, seed: int) -> Learned:
    rare, other = _sides(y)
    made = smote(matrix[rare], len(other) - len(rare), seed)
    return np.concatenate([matrix, made]), np.concatenate([y, np.full(len(made), y[rare[0]])]), None


TREATMENTS: Mapping[str, Treatment] = {
    AS_IT_IS: _plain,
    WEIGHTS: _weighted,
    REPEATED: _repeated,
    THINNED: _undersampled,
    SYNTHETIC: _synthetic,
}
"""What is done to the training rows (n, d) with their verdicts (n,), by name."""


def _sides(y: Bools) -> tuple[Ints, Ints]:
    """Rows of the smaller class and rows of the other."""
    anomalies, normals = np.flatnonzero(y), np.flatnonzero(~y)
    return (anomalies, normals) if len(anomalies) <= len(normals) else (normals, anomalies)


def _thinned(frame: pl.DataFrame, roles: Roles, share: float, seed: int) -> pl.DataFrame:
    """All normal rows, and so many anomalies, of all kinds alike, that they have the share.

    Raises:
        DataError: if the share does not lie between 0 and that of the rows.
    """
    anomalous = pl.col(label_of(roles)).fill_null(value=False)
    anomalies, normals = frame.filter(anomalous), frame.filter(~anomalous)
    most = anomalies.height / max(frame.height, 1)
    if not 0 < share < most:
        raise DataError(f"a class is made rarer than it is ({most:.3g}), found {share:g}: give a lower share above 0")
    wanted = round(share / (1 - share) * normals.height)
    return pl.concat([normals, anomalies[sampled_rows(kinds_of(anomalies, roles), max(wanted, 2), seed)]])


def _natural_weight(task: Task, shares: Mapping[str, float] | None) -> Floats | None:
    if shares is None:
        return None
    if task.roles.anomaly_type is None:
        raise DataError("natural shares are stated by kind of row, found no kinds: name the role anomaly_type")
    kinds = task.frame[task.roles.anomaly_type]
    present = set(kinds.to_list())
    total = sum(share for name, share in shares.items() if name in present)
    return reweight(kinds, {name: share / total for name, share in shares.items() if name in present})


def _scored_fold(task: Task, fold: Fold, chosen: zoo.Choice, seed: int, threads: int) -> dict[str, Floats]:
    with limited(threads):
        return _scores(task, fold, chosen, seed, threads)


def _scores(task: Task, fold: Fold, chosen: zoo.Choice, seed: int, threads: int) -> dict[str, Floats]:
    """Probabilities of the judged rows of one fold by each treatment."""
    features = FlowFeatures(task.roles, columns=task.columns, **zoo.STANDARD).fit(task.frame[fold.split.train])
    learned, judged = (features.transform(task.frame[rows]) for rows in (fold.split.train, fold.split.test))
    found = {}
    for name, treat in TREATMENTS.items():
        matrix, y, weight = treat(np.asarray(learned, dtype=np.float64), task.y[fold.split.train], seed)
        arguments: dict[str, Any] = {} if weight is None else {"sample_weight": weight}
        model = chosen.classifier(seed, threads).fit(matrix, y, **arguments)
        found[name] = np.asarray(model.predict_proba(judged)[:, 1], dtype=np.float64)
    return found


def _measured(task: Task, name: str, scores: list[dict[str, Floats]], natural: Floats | None) -> pl.DataFrame:
    rows = []
    for place, fold in enumerate(task.folds):
        test, found = fold.split.test, scores[place][name]
        y = task.y[test]
        decisions = {"f1": found >= HALF, "f1_moved": _moved(task, fold, name, scores, found, None)}
        measured: dict[str, Any] = {
            key: None if made is None else metrics.f1(y, made) for key, made in decisions.items()
        }
        measured |= {"average_precision": metrics.average_precision(y, found), "brier": metrics.brier(y, found)}
        if natural is not None:
            moved = _moved(task, fold, name, scores, found, natural)
            measured["f1_natural"] = metrics.f1(y, found >= HALF, natural[test])
            measured["f1_moved_natural"] = None if moved is None else metrics.f1(y, moved, natural[test])
        rows.append({"treatment": name, "fold": fold.name, **measured})
    return pl.DataFrame(rows, infer_schema_length=None)


def _moved(
    task: Task, fold: Fold, name: str, scores: list[dict[str, Floats]], found: Floats, natural: Floats | None
) -> Bools | None:
    """Decisions with the threshold that the other folds choose."""
    if not fold.threshold_from:
        return None
    rows = np.concatenate([task.folds[place].split.test for place in fold.threshold_from])
    others = np.concatenate([scores[place][name] for place in fold.threshold_from])
    return BestF1().fit(others, task.y[rows], None if natural is None else natural[rows]).predict(found)


def _board(folds: pl.DataFrame, task: Task, natural: bool) -> pl.DataFrame:
    measures = (*MEASURES, *NATURAL) if natural else MEASURES
    values = {str(name): part for (name,), part in folds.group_by("treatment", maintain_order=True)}
    rows = []
    for name, part in values.items():
        row: dict[str, Any] = {"treatment": name}
        for measure in measures:
            given = part[measure].cast(pl.Float64).to_numpy()
            found = metrics.mean_over_splits(measure, given, task.test_share, task.roles.unit, part.height)
            row |= {measure: found.value, f"{measure}_low": found.low, f"{measure}_high": found.high}
        rows.append(row | _against(name, part, values[AS_IT_IS], task.test_share))
    return pl.DataFrame(rows, infer_schema_length=None)


def _against(name: str, part: pl.DataFrame, plain: pl.DataFrame, test_share: float) -> dict[str, Any]:
    """Difference of F1 with moved thresholds to the model as it is."""
    if name == AS_IT_IS:
        return {"difference": 0.0, "p_value": None, "verdict": "what the others are compared with"}
    own, other = (each["f1_moved"].cast(pl.Float64).to_numpy() for each in (part, plain))
    try:
        found = comparison.corrected_t_test(own, other, test_share, names=(name, AS_IT_IS))
    except DataError:
        return {"difference": None, "p_value": None, "verdict": "no verdict: too few folds"}
    return {"difference": found.difference, "p_value": found.p_value, "verdict": found.verdict}
