"""The model that is registered: features, classifier and threshold as one; raw rows in, decisions with reasons out.

A champion keeps summaries of its training rows (ranges, medians, shares of names, medians of groups of rows), never a
row. What a classifier keeps by itself (the neighbours of k nearest neighbours) it keeps here, too: such a classifier is
no champion to hand on.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, Self, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from utils.classifiers.tuning.targets import folds_of, target
from utils.datasets import require
from utils.detectors import table_detector
from utils.detectors.outliers.points import Places, distinct_points
from utils.detectors.table_detector import LEAST_SAID, MOST_REASONS, NO_REASON, NOMINAL_KINDS, TableDetector
from utils.detectors.usual_values import Usual, UsualNames, UsualNumbers, percent, quoted
from utils.errors import DataError, SchemaError, SettingsError
from utils.evaluation.drift import Profile, profile_of
from utils.evaluation.inputs import (
    Bools,
    Floats,
    Values,
    Weights,
    as_labels,
    as_names,
    as_scores,
    as_series,
    as_weights,
    require_both_classes,
)
from utils.evaluation.scoring import abnormality, out_of_fold
from utils.evaluation.thresholds import BestF1, Threshold
from utils.settings import SEED

Rows = pl.DataFrame | Sequence[Mapping[str, object]] | Any
"""A polars or pandas frame, or a list of records."""
Explained = Literal["alarms", "all", "none"]

WHAT = "the rows to decide on"
FOLDS = 5
LEAST_ALIKE = 20
"""Fewest normal rows whose medians make one row to compare with, so that it is nobody's own."""

MOST_REFERENCES = 24
SAMPLE = 5_000
"""Normal rows among which groups are looked for."""

CELLS = 4_000_000
"""Numbers that are scored at once."""

CERTAIN = 1e-12
"""Probabilities nearer to 0 or 1 count as so near."""

HUGE = 1e18
"""Larger numbers count as this one."""

MISSING = -1.7e308
"""Stands for a missing number while rows are compared: none comes from a table."""

DECISIONS: dict[str, pl.DataType | type[pl.DataType]] = {
    "decision": pl.Boolean,
    "score": pl.Float64,
    "threshold": pl.Float64,
    "reasons": pl.List(pl.String),
}


class Reader(Protocol):
    """Makes the columns of a training table from raw records, as :func:`utils.features.tables.reader` does."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Columns that a record must have."""

    @property
    def names(self) -> tuple[str, ...]:
        """Columns that are made."""

    def read(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Add the columns that are made."""


class _References(NamedTuple):
    """Usual rows to compare others with."""

    rows: Floats
    spread: Floats
    score: float


class Champion(ClassifierMixin, TableDetector):  # type: ignore[misc]
    """A pipeline and its threshold as one classifier of raw rows; scores: HIGHER = MORE ABNORMAL.

    The threshold is chosen on scores of training rows by models that have not seen them, the pipeline is then fitted on
    all training rows. Every row is read by column names: columns may stand in any order beside others, unknown
    categories and missing values are what the pipeline makes of them.

    Reasons have the form of :class:`utils.detectors.table_detector.TableDetector`: a column's share is what the
    log-odds of an anomaly lose when it takes the value of the usual normal row that is most like the row, and what they
    gain for that usual row the other way round. All outputs that were made of one column change together.

    Args:
        pipeline: transformer of polars frames, then steps on matrices, last a classifier of two classes; it is cloned.
        threshold: how the threshold is chosen, :class:`utils.evaluation.thresholds.BestF1` if not given; it is cloned.
        family: a pipeline that tells kinds of anomalies apart, fitted on anomalies only; ``None`` for none.
        folds: folds of the scores that the threshold is chosen on; fewer where a class has fewer rows or groups.
        seed: of the folds.

    Attributes:
        pipeline_: the fitted pipeline.
        threshold_: the fitted threshold.
        family_: the fitted pipeline of kinds, or the only kind, or ``None``.
        classes_: ``[False, True]``, true for an anomaly.
        feature_names_in_: columns that are read.
        usual_: what is usual in each of them among normal training rows.
        input_types_: polars type of each in training, as text.
        reader_: what makes these columns from raw records, see :meth:`reading`; ``None`` where rows have them.
        profile_: what training looked like, in counts; it stands beside a stored model, not in it (``None`` there).
        n_training_: training rows, n_anomalies_ of them anomalies.

    Source:
        Threshold on out-of-fold scores: Provost and Fawcett, "Robust classification for imprecise environments",
        Machine Learning 2001. Reasons: first and last of the orders that the Shapley value averages over (Shapley,
        "A value for n-person games", 1953; Strumbelj and Kononenko, Knowledge and Information Systems 41, 2014).
    """

    origins = None
    profile_: Profile | None = None

    def __init__(
        self,
        pipeline: Pipeline,
        threshold: Threshold | None = None,
        *,
        family: Pipeline | None = None,
        folds: int = FOLDS,
        seed: int = SEED,
    ) -> None:
        self.pipeline = pipeline
        self.threshold = threshold
        self.family = family
        self.folds = folds
        self.seed = seed

    def fit(
        self,
        frame: pl.DataFrame,
        y: Values | None = None,
        weight: Values | None = None,
        groups: Values | None = None,
        kinds: Values | None = None,
    ) -> Self:
        """Choose the threshold on out-of-fold scores, then fit the pipeline on all training rows.

        Args:
            frame: training rows, n rows.
            y: true for an anomaly, shape (n,).
            weight: how many rows each row stands for, shape (n,).
            groups: group of each row, shape (n,); no group stands in two folds.
            kinds: kind of each row, shape (n,), for ``family``; those of normal rows are not read.

        Returns:
            The champion itself.

        Raises:
            SettingsError: if there are weights and the classifier takes none, or the pipeline is none.
            SchemaError: if ``frame`` is no polars frame, or a column is missing or no feature.
            DataError: if ``y`` is missing, or a class has fewer than two rows or groups.
        """
        labels, mass = _checked(frame, y, weight)
        frame = _bounded(frame, frame.columns)
        known = np.ones(len(labels), dtype=np.bool_) if mass is None else mass > 0
        names = None if groups is None else as_series(groups).filter(pl.Series(known))
        rows, labels, mass = frame.filter(pl.Series(known)), labels[known], None if mass is None else mass[known]
        folds, _ = folds_of(target(labels, names), max(self.folds, 2), self.seed)
        scores = out_of_fold(_Weighed(self.pipeline), rows, labels, folds, weight=mass)
        threshold = clone(BestF1() if self.threshold is None else self.threshold).fit(scores, labels, mass)
        self.out_of_fold_rows_ = len(scores)
        fitted = _Weighed(self.pipeline).fit(rows, labels, mass).pipeline_
        self._adopt(fitted, threshold, rows, labels, mass, scores)
        return self._fit_family(
            rows, labels, mass, None if kinds is None else as_series(kinds).filter(pl.Series(known))
        )

    @classmethod
    def of_fitted(
        cls,
        pipeline: Pipeline,
        threshold: Threshold,
        frame: pl.DataFrame,
        y: Values,
        weight: Values | None = None,
        scores: Values | None = None,
    ) -> Self:
        """Make a champion of a fitted pipeline and a fitted threshold, without fitting them again.

        Args:
            pipeline: fitted on the training rows; it is kept as it is.
            threshold: fitted on scores of rows that the scoring models had not seen.
            frame: the training rows, n rows: they say what is usual.
            y: true for an anomaly, shape (n,).
            weight: how many rows each row stands for, shape (n,).
            scores: scores of the training rows by models that had not seen them, shape (n,): what p-values come from
                and what later scores are compared with; without them there are neither.

        Raises:
            SettingsError: if the pipeline is none.
            SchemaError: if ``frame`` is no polars frame, or a column is missing.
            DataError: if a class is missing, or scores are not one a row.
            NotFittedError: if pipeline or threshold are not fitted.
        """
        check_is_fitted(threshold, "value_")
        labels, mass = _checked(frame, y, weight)
        found = None if scores is None else as_scores(scores, frame.height)
        known = np.ones(len(labels), dtype=np.bool_) if mass is None else mass > 0
        made = cls(clone(pipeline), clone(threshold))
        weights, found = None if mass is None else mass[known], None if found is None else found[known]
        made._adopt(pipeline, threshold, frame.filter(pl.Series(known)), labels[known], weights, found)
        made.family_ = None
        return made

    def predict(self, rows: Rows) -> Bools:
        """Decide on raw rows.

        Args:
            rows: n rows with the columns of training, in any order beside others: a polars or pandas frame, or a list
                of records; may be empty.

        Returns:
            True for an anomaly, shape (n,).

        Raises:
            NotFittedError: before :meth:`fit`.
            SchemaError: if a column is missing or has another type than in training; it is named.
        """
        scores = self.score_samples(rows)
        return self.threshold_.predict(scores)

    def score_samples(self, rows: Rows) -> Floats:
        """Score raw rows; HIGHER = MORE ABNORMAL (the probability of an anomaly, or the decision function).

        Args:
            rows: as :meth:`predict`.

        Returns:
            Scores, float64, shape (n,).

        Raises:
            NotFittedError: before :meth:`fit`.
            SchemaError: as :meth:`predict`.
        """
        table = self.table(rows)
        return abnormality(self.pipeline_, table) if table.height else np.zeros(0)

    def decide(self, rows: Rows, *, explained: Explained = "alarms", most: int = MOST_REASONS) -> pl.DataFrame:
        """Decide on raw rows and say why.

        Args:
            rows: as :meth:`predict`.
            explained: which rows get reasons: the ``"alarms"``, ``"all"``, or ``"none"``.
            most: most reasons of a row.

        Returns:
            n rows: ``decision`` (true for an anomaly), ``score``, ``threshold``, ``reasons`` (a list of clauses such as
            ``"src_bytes is 54,540, usually 105 to 8,314, median 244 (71 % of the score)"``, the largest share first)
            and, where the champion tells kinds apart, ``kind`` (null where no anomaly is found).

        Raises:
            NotFittedError: before :meth:`fit`.
            SchemaError: as :meth:`predict`.
            SettingsError: if ``explained`` or ``most`` have no meaning.
        """
        require.choice("explained", explained, ("alarms", "all", "none"))
        table = self.table(rows)
        scores = self.score_samples(table)
        alarms = self.threshold_.predict(scores)
        chosen = alarms if explained == "alarms" else np.full(len(alarms), explained == "all")
        reasons: list[list[str]] = [[] for _ in range(table.height)]
        for row, said in zip(np.flatnonzero(chosen), self.clauses(table.filter(pl.Series(chosen)), most), strict=True):
            reasons[row] = said
        columns = (alarms, scores, np.full(len(alarms), self.threshold_.value_), reasons)
        decided = pl.DataFrame(dict(zip(DECISIONS, columns, strict=True)), schema=DECISIONS)
        return decided if self.family_ is None else decided.with_columns(self._kinds(table, alarms))

    def clauses(self, rows: Rows, most: int = MOST_REASONS) -> list[list[str]]:
        """Say for each row what makes its score, one clause a column; none where nothing is more abnormal than usual.

        Raises:
            SchemaError: as :meth:`predict`.
            SettingsError: if ``most`` is below 1.
        """
        table = self.table(rows)
        found = self._largest(table, most)
        clauses: list[list[str]] = [[] for _ in range(table.height)]
        places = zip(found.row.tolist(), found.column.tolist(), found.share.tolist(), strict=True)
        for (row, column, share), words in zip(places, self._words(table, found, "compared"), strict=True):
            if share >= LEAST_SAID or not clauses[row]:
                name = quoted(self.feature_names_in_[column])
                clauses[row].append(f"{name} is {words} ({percent(share)} of the score)")
        return clauses

    def explain(self, rows: Rows, most: int = MOST_REASONS) -> list[str]:
        """Say for each row in one sentence what makes its score (see :meth:`TableDetector.explain`).

        Raises:
            SchemaError: as :meth:`predict`.
            SettingsError: if ``most`` is below 1.
        """
        return [f"{'; '.join(parts)}." if parts else NO_REASON for parts in self.clauses(rows, most)]

    def contributions(self, rows: Rows) -> pl.DataFrame:
        """Share of the score that each column carries (see :meth:`TableDetector.contributions`).

        Raises:
            SchemaError: as :meth:`predict`.
        """
        return super().contributions(self.table(rows))

    def reasons(self, rows: Rows, most: int = MOST_REASONS) -> pl.DataFrame:
        """Reasons as a table (see :meth:`TableDetector.reasons`).

        Raises:
            SchemaError: as :meth:`predict`.
            SettingsError: if ``most`` is below 1.
        """
        return super().reasons(self.table(rows), most)

    def table(self, rows: Rows) -> pl.DataFrame:
        """Read rows of any supported form as a polars frame with the types of training.

        Durations may be given in seconds, as JSON has none.

        Raises:
            NotFittedError: before :meth:`fit`.
            SchemaError: if the rows are no table, or a column is missing or has another type than in training.
        """
        check_is_fitted(self, "pipeline_")
        used = {name: self.input_types_[name] for name in self._used}
        frame = self._made(_as_frame(rows, used), used)
        require.columns(frame, used, WHAT)
        wrong = {name: dtype for name, dtype in used.items() if dtype.startswith("Duration")}
        frame = (
            frame.with_columns(_as_duration(frame[name], dtype) for name, dtype in wrong.items()) if wrong else frame
        )
        return _bounded(frame, list(used))

    def reading(self, reader: Reader | None) -> Self:
        """Let raw records be read, of which a reader makes the columns of the training table.

        Rows that have those columns already are read as they are.

        Returns:
            The champion itself.
        """
        self.reader_: Reader | None = reader
        return self

    def _made(self, frame: pl.DataFrame, used: Mapping[str, str]) -> pl.DataFrame:
        """Make the columns of the training table where the rows are raw records."""
        if self.reader_ is None or set(used) <= set(frame.columns):
            return frame
        require.columns(frame, self.reader_.inputs, WHAT)
        empty = [name for name in self.reader_.inputs if frame.schema[name] == pl.Null]
        return self.reader_.read(frame.with_columns(pl.col(empty).cast(pl.String)))

    @property
    def input_schema_(self) -> pl.DataFrame:
        """Columns that are read: ``column``, ``type`` (polars, in training) and what is ``usual`` among normal rows."""
        used = self._used
        return pl.DataFrame(
            {
                "column": used,
                "type": [self.input_types_[name] for name in used],
                "usual": [self.usual_[name].usual for name in used],
            },
            schema={"column": pl.String, "type": pl.String, "usual": pl.String},
        )

    def example(self) -> pl.DataFrame:
        """Make one row of usual values (medians and most frequent names), column by column: nobody's own row."""
        check_is_fitted(self, "pipeline_")
        return pl.DataFrame([_usual_value(name, self.usual_[name], self.input_types_[name]) for name in self._used])

    @property
    def features_(self) -> Any:  # noqa: ANN401 - any transformer
        """The fitted transformer of frames, first step of the pipeline."""
        return self.pipeline_[0]

    def monitored(self, rows: Rows) -> pl.DataFrame:
        """Columns that drift is looked for in, those of the profile (arguments and errors as :meth:`table`)."""
        return self.table(rows).select(self._used)

    def __getstate__(self) -> dict[str, object]:
        """State without the profile, which is stored beside the model."""
        state: dict[str, object] = super().__getstate__()
        return state | {"profile_": None}

    def _adopt(
        self,
        pipeline: Pipeline,
        threshold: Threshold,
        rows: pl.DataFrame,
        labels: Bools,
        mass: Weights | None,
        scores: Floats | None,
    ) -> None:
        """Take over what is fitted, and summarise the training rows."""
        if not isinstance(pipeline, Pipeline) or len(pipeline) < 2:
            found = type(pipeline).__name__
            raise SettingsError(f"a champion needs a pipeline of features and a classifier, found {found}: make one")
        self.pipeline_, self.threshold_ = pipeline, threshold
        names, self._origin = table_detector._traced(pipeline[0], rows.columns, {})
        self.classes_ = np.array([False, True])
        self.family_: Pipeline | str | None = None
        self.reading(None)
        self.feature_names_in_, self.n_features_in_ = np.asarray(names, dtype=object), len(names)
        counts = np.ones(rows.height) if mass is None else mass.astype(np.float64)
        self.n_training_, self.n_anomalies_ = float(counts.sum()), float(counts[labels].sum())
        normal = rows.filter(pl.Series(~labels))
        self.usual_ = self._usual(normal, counts[~labels])
        self.input_types_ = {name: str(normal.schema[name]) for name in self._used}
        self._references = self._usual_rows(normal.select(self._used))
        alarms = None if scores is None else threshold.predict(scores)
        self.profile_ = profile_of(rows, scores, alarms, y=labels, weight=mass, columns=self._used)

    def _fit_family(self, rows: pl.DataFrame, labels: Bools, mass: Weights | None, kinds: pl.Series | None) -> Self:
        """Fit the pipeline of kinds on the anomalies of known kind; a single kind needs none."""
        if self.family is None or kinds is None:
            return self
        names = kinds.cast(pl.String)
        known = labels & names.is_not_null().to_numpy()
        found = as_names(names.filter(pl.Series(known)), int(known.sum()), "kinds")
        if not len(found):
            return self
        if found.n_unique() == 1:
            self.family_ = str(found[0])
            return self
        weight = None if mass is None else mass[known]
        self.family_ = _fitted(clone(self.family), rows.filter(pl.Series(known)), found.to_numpy(), weight)
        return self

    def _kinds(self, table: pl.DataFrame, alarms: Bools) -> pl.Series:
        """Kind of each alarm, null for the other rows."""
        found = np.full(table.height, None, dtype=object)
        if alarms.any():
            told = self.family_
            found[alarms] = told if isinstance(told, str) else cast(Any, told).predict(table.filter(pl.Series(alarms)))
        return pl.Series("kind", found.tolist(), dtype=pl.String)

    def _usual_rows(self, normal: pl.DataFrame) -> _References:
        """Medians and most frequent names of groups of like normal rows: what other rows are compared with."""
        sample = normal if normal.height <= SAMPLE else normal.sample(SAMPLE, seed=SEED)
        encoded = _matrix(self.pipeline_[0], sample)
        nominal = {plan.name for plan in getattr(self.features_, "columns_", ()) if plan.kind in NOMINAL_KINDS}
        groups = pl.Series("group", _groups(encoded))
        aggregated = sample.with_columns(groups).group_by("group", maintain_order=True)
        summary = aggregated.agg(_middle(name, dtype, name in nominal) for name, dtype in sample.schema.items())
        rows = _matrix(self.pipeline_[0], summary.drop("group").select(sample.columns))
        low, high = np.nanquantile(_filled(encoded), [0.05, 0.95], axis=0)
        deviation = _filled(encoded).std(axis=0)
        spread = np.where(high > low, high - low, np.where(deviation > 0, deviation, 1.0))
        return _References(rows, spread, float(np.median(self._log_odds(encoded))))

    def _shares(self, frame: pl.DataFrame) -> tuple[Floats, Places]:
        """Shares of the columns in the score of distinct rows, and which of these each row is."""
        if not frame.height:
            return np.zeros((0, self.n_features_in_)), np.zeros(0, dtype=np.intp)
        points = distinct_points(np.nan_to_num(_matrix(self.pipeline_[0], frame), nan=MISSING))
        values = np.where(points.values == MISSING, np.nan, points.values)
        scores = self._log_odds(values)
        shares = np.zeros((len(values), self.n_features_in_))
        unusual = np.flatnonzero(scores > self._references.score)
        if unusual.size:
            shares[unusual] = self._attribute(values[unusual], scores[unusual])
        return shares, points.inverse

    def _attribute(self, values: Floats, scores: Floats) -> Floats:
        """Shares of the columns in the scores of some rows, shape (k, columns); each row sums to 1."""
        member = self._origin[:, None] == np.arange(self.n_features_in_)
        usual = self._most_alike(values)
        apart = np.abs(_filled(values) - _filled(usual)) / self._references.spread
        row, column = np.nonzero((apart > 0) @ member)
        before = self._log_odds(usual)
        parts = np.zeros((len(values), self.n_features_in_))
        step = max(1, CELLS // values.shape[1])
        for start in range(0, len(row), step):
            at, of = row[start : start + step], column[start : start + step]
            swapped = member.T[of]
            fall = scores[at] - self._log_odds(np.where(swapped, usual[at], values[at]))
            rise = self._log_odds(np.where(swapped, values[at], usual[at])) - before[at]
            parts[at, of] = np.maximum(fall, 0) + np.maximum(rise, 0)
        lost = ~(parts.max(axis=1) > 0)
        parts[lost] = apart[lost] @ member
        total = parts.sum(axis=1, keepdims=True)
        return np.asarray(parts / np.where(total > 0, total, 1.0))

    def _most_alike(self, values: Floats) -> Floats:
        """The usual row that is most like each row: an output counts by its distance, 1 at most."""
        rows, spread = self._references.rows, self._references.spread
        distance = np.stack(
            [np.minimum(np.abs(_filled(values) - one) / spread, 1.0).sum(axis=1) for one in _filled(rows)]
        )
        return np.asarray(rows[distance.argmin(axis=0)])

    def _log_odds(self, matrix: Floats) -> Floats:
        """Log-odds of an anomaly for encoded rows, or the decision function where there is no probability."""
        rest = self.pipeline_[-1] if len(self.pipeline_) == 2 else self.pipeline_[1:]
        if not hasattr(rest, "predict_proba"):
            return abnormality(rest, matrix)
        chance = np.clip(np.asarray(rest.predict_proba(matrix), dtype=np.float64)[:, 1], CERTAIN, 1 - CERTAIN)
        return np.asarray(np.log(chance) - np.log1p(-chance))


class _Weighed(BaseEstimator):  # type: ignore[misc]
    """A pipeline that takes weights in ``fit`` as such, whatever its last step calls them."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline

    def fit(self, X: pl.DataFrame, y: Bools, weight: Weights | None = None) -> Self:
        self.pipeline_ = _fitted(clone(self.pipeline), X, y, weight)
        return self

    def score_samples(self, X: pl.DataFrame) -> Floats:
        return abnormality(self.pipeline_, X)


def _fitted(pipeline: Pipeline, X: pl.DataFrame, y: NDArray[Any], weight: Weights | None) -> Pipeline:
    """Fit a pipeline, with weights for its last step where there are any.

    Raises:
        SettingsError: if it is no pipeline, or there are weights and its classifier takes none.
    """
    if not isinstance(pipeline, Pipeline) or len(pipeline) < 2:
        found = type(pipeline).__name__
        raise SettingsError(f"a champion needs a pipeline of features and a classifier, found {found}: make one")
    if weight is None:
        return pipeline.fit(X, y)
    name, last = pipeline.steps[-1]
    if not has_fit_parameter(last, "sample_weight"):
        raise SettingsError(
            f"{type(last).__name__} must take sample_weight in fit, but it does not: leave the weights out"
        )
    return pipeline.fit(X, y, **{f"{name}__sample_weight": weight})


def _checked(frame: pl.DataFrame, y: Values | None, weight: Values | None) -> tuple[Bools, Weights | None]:
    require.frame(frame, "the training rows of a champion")
    if y is None:
        raise DataError("a champion learns from labels, found none: give y")
    labels, mass = as_labels(y, frame.height), as_weights(weight, frame.height)
    require_both_classes(labels, mass)
    return labels, mass


def _as_frame(rows: Rows, used: Mapping[str, str]) -> pl.DataFrame:
    """Take a table of any supported form.

    Raises:
        SchemaError: if it is none.
    """
    if isinstance(rows, pl.DataFrame):
        return rows
    if hasattr(rows, "__arrow_c_stream__") or hasattr(rows, "__dataframe__"):
        return pl.DataFrame(rows)
    if isinstance(rows, Mapping):
        rows = [rows]
    if isinstance(rows, Sequence) and all(isinstance(row, Mapping) for row in rows):
        if not rows:
            return pl.DataFrame(schema=dict.fromkeys(used, pl.Null))
        try:
            return pl.DataFrame(list(rows), infer_schema_length=None)
        except (TypeError, pl.exceptions.PolarsError) as error:
            found = str(error).splitlines()[0]
            raise SchemaError(
                f"each column of {WHAT} must be of one type, found {found}: correct the records"
            ) from None
    found = type(rows).__name__
    raise SchemaError(f"{WHAT} must be a polars or pandas frame or a list of records, found {found}: convert them")


def _as_duration(values: pl.Series, dtype: str) -> pl.Series:
    """Stretches of time in the unit of training; numbers are seconds."""
    unit = cast(Literal["ms", "us", "ns"], (re.findall(r"'(ms|us|ns)'", dtype) or ["us"])[0])
    if isinstance(values.dtype, pl.Duration):
        return values.cast(pl.Duration(unit))
    if not values.dtype.is_numeric():
        return values
    scale = {"ms": 1e3, "us": 1e6, "ns": 1e9}[unit]
    whole = (values.cast(pl.Float64).fill_nan(None) * scale).round().cast(pl.Int64)
    return whole.cast(pl.Duration(unit)).alias(values.name)


def _bounded(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Let finite numbers beyond 1e18 count as 1e18, which single precision holds and sums stand."""
    floats = [name for name in names if frame.schema[name].is_float()]
    if not floats:
        return frame
    number = pl.col(floats)
    return frame.with_columns(pl.when(number.is_infinite()).then(number).otherwise(number.clip(-HUGE, HUGE)))


def _matrix(features: Any, frame: pl.DataFrame) -> Floats:  # noqa: ANN401 - any transformer
    """The outputs of a transformer, shape (n, outputs), missing ones NaN."""
    made = features.transform(frame)
    return np.asarray(made.toarray() if sparse.issparse(made) else made, dtype=np.float64)


def _filled(matrix: Floats) -> Floats:
    """Numbers to measure distances with: a missing one is 0."""
    return np.where(np.isnan(matrix), 0.0, matrix)


def _groups(encoded: Floats) -> NDArray[np.int64]:
    """Groups of like rows, each of at least 20; all rows are one where there are fewer than 40."""
    wanted = min(MOST_REFERENCES, len(encoded) // (2 * LEAST_ALIKE))
    if wanted < 2:
        return np.zeros(len(encoded), dtype=np.int64)
    from sklearn.cluster import MiniBatchKMeans

    filled = _filled(encoded)
    scaled = np.clip(filled / np.where(filled.std(axis=0) > 0, filled.std(axis=0), 1.0), -1e6, 1e6)
    found = MiniBatchKMeans(wanted, random_state=SEED, n_init=1, batch_size=2_048).fit_predict(scaled)
    sizes = np.bincount(found, minlength=wanted)
    return np.where(sizes[found] >= LEAST_ALIKE, found, sizes.argmax()).astype(np.int64)


def _middle(name: str, dtype: pl.DataType, nominal: bool) -> pl.Expr:
    """Median of a column of numbers, most frequent value of any other; missing if most values are."""
    column = pl.col(name)
    if not nominal and (dtype.is_numeric() or isinstance(dtype, pl.Duration)):
        middle: pl.Expr = column.drop_nulls().quantile(0.5, "lower").cast(dtype)
        return pl.when(column.null_count() * 2 <= pl.len()).then(middle).alias(name)
    return column.mode().sort().first().alias(name)


def _usual_value(name: str, usual: Usual, dtype: str) -> pl.Series:
    """Median or most frequent value in the type of training; spans in seconds, decimals as floats, names as text."""
    if isinstance(usual, UsualNumbers):
        value: float | str | None = None if np.isnan(usual.median) else usual.median
    else:
        value = cast(UsualNames, usual).most_frequent
        value = float(value.replace(",", "")) if value is not None and cast(UsualNames, usual).numeric else value
    if dtype == "Boolean":
        return pl.Series(name, [None if value is None else str(value) in ("true", "1.0")])
    if dtype.startswith(("Int", "UInt", "Float")):
        return pl.Series(name, [value], dtype=pl.Float64).cast(getattr(pl, dtype))
    return pl.Series(name, [value], dtype=pl.Float64 if dtype.startswith(("Decimal", "Duration")) else pl.String)
