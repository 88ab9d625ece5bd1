"""A detector of outliers on a table: columns by name in, scores and reasons in the words of the table out.

Detectors of outliers work on matrices of numbers. :class:`TableDetector` puts a transformer before one of them and
leads its answers back: what encoded columns contribute is summed to the column that they were made of, and beside each
value that stands out is said what is usual there. Every detector explains a new row in the same form:

    src_bytes is 54,540, usually 105 to 8,314, median 244 (71 % of the score); flag is RSTR (0.2 %), usually SF (94 %)
    (19 % of the score).

A value that is usual by itself, and unusual only beside the others, is said to be so: ``count is 300, within the usual
1 to 340, median 4``, ``flag is SF (94 %), as usual``.

Rows that the transformer cannot tell apart are learned from, scored and explained once.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import polars as pl
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from utils.datasets import require
from utils.datasets.wording import listed
from utils.detectors.outliers.points import DistinctPoints, Places, distinct_points
from utils.detectors.usual_values import Usual, percent, quoted, usual_values
from utils.errors import SchemaError, SettingsError
from utils.evaluation.inputs import Floats, Values, normal_rows
from utils.features.flows import FlowFeatures

TABLE = "the table of a detector"
NOMINAL_KINDS = ("nominal", "binary")
SEPARATORS = ("=", "_", " ")
MOST_REASONS = 3
LEAST_SAID = 0.01
"""A sentence does not name columns that carry less of the score, unless none carries more."""

NO_REASON = "Nothing is more abnormal than usual."
REASONS = {"row": pl.Int64, "feature": pl.String, "value": pl.String, "usual": pl.String, "share": pl.Float64}


class _Reasons(NamedTuple):
    """The largest shares of some rows: row, place of the column and share, sorted by row, the largest share first."""

    row: Places
    column: Places
    share: Floats


class TableDetector(BaseEstimator):  # type: ignore[misc]
    """A detector of outliers that reads a table and says why; HIGHER = MORE ABNORMAL.

    Args:
        detector: what scores rows of numbers: ``fit(X, y=None, sample_weight=None)``, ``score_samples(X)`` and
            ``contributions(X)``; it is cloned.
        features: what makes numbers of the columns, :class:`utils.features.flows.FlowFeatures` with its defaults if not
            given; it is cloned. Any transformer with ``get_feature_names_out`` will do.
        origins: for each output of ``features`` the column that it is made of. Not needed if ``features`` knows
            (``origins_``), or its outputs are named ``column`` or ``column=...``, ``column_...``, ``column ...``.

    Attributes:
        detector_: the fitted detector.
        features_: the fitted transformer.
        feature_names_in_: columns that are read, in the order of ``contributions``.
        n_features_in_: their number.
        usual_: what is usual in each of them, a :class:`utils.detectors.usual_values.Usual`: no rows.
        n_rows_: normal training rows.
        n_distinct_: how many of them the transformer can tell apart.
    """

    def __init__(
        self,
        detector: Any,  # noqa: ANN401 - any estimator of the contract
        features: Any = None,  # noqa: ANN401 - any transformer
        *,
        origins: Mapping[str, str] | None = None,
    ) -> None:
        self.detector = detector
        self.features = features
        self.origins = origins

    def fit(self, frame: pl.DataFrame, y: Values | None = None, weight: Values | None = None) -> Self:
        """Learn what is normal.

        Args:
            frame: training rows, n rows. Columns beside those that ``features`` reads are left alone.
            y: true for an anomaly, shape (n,); only the other rows are learned from. ``None``: all rows are normal.
            weight: how many rows each row stands for, shape (n,); the transformer sees each row once.

        Returns:
            The detector itself.

        Raises:
            SettingsError: if ``detector`` does not keep the contract.
            SchemaError: if ``frame`` is no polars frame, a column is missing or no feature, or an output of
                ``features`` has no known origin.
            DataError: if no normal row is left, or nothing varies.
        """
        _require_contract(self.detector)
        require.frame(frame, TABLE)
        rows, counts = normal_rows(y, weight, frame.height, "a detector learns from")
        normal = frame.filter(pl.Series(rows))
        mass = np.ones(normal.height, dtype=np.int64) if counts is None else counts
        features = clone(FlowFeatures() if self.features is None else self.features).fit(normal)
        names, origin = _traced(features, normal.columns, self.origins or {})
        points = distinct_points(_matrix(features, normal))
        sums = np.bincount(points.inverse, mass).astype(mass.dtype)
        self.detector_ = clone(self.detector).fit(points.values, sample_weight=sums)
        self.features_, self._origin = features, origin
        self.feature_names_in_, self.n_features_in_ = np.asarray(names, dtype=object), len(names)
        self.n_rows_, self.n_distinct_ = normal.height, len(points)
        self.usual_ = self._usual(normal, mass.astype(np.float64))
        return self

    def score_samples(self, frame: pl.DataFrame) -> Floats:
        """Score rows; HIGHER = MORE ABNORMAL.

        Args:
            frame: n rows with the columns of training, in any order; may be empty.

        Returns:
            Scores of the detector, shape (n,).

        Raises:
            SchemaError: if a column is missing or has another type than in training.
        """
        points = self._points(frame)
        if not len(points):
            return np.zeros(0)
        return np.asarray(self.detector_.score_samples(points.values), dtype=np.float64)[points.inverse]

    def contributions(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Share of the score that each column carries.

        Args:
            frame: as :meth:`score_samples`.

        Returns:
            n rows, one column of shares from 0 on for each of :attr:`feature_names_in_`; a row sums to 1, or to 0 if it
            is not more abnormal than usual. Columns that the transformer drops have 0.

        Raises:
            SchemaError: as :meth:`score_samples`.
        """
        shares, inverse = self._shares(frame)
        names = self.feature_names_in_.tolist()
        return pl.DataFrame({name: shares[inverse, place] for place, name in enumerate(names)})

    def reasons(self, frame: pl.DataFrame, most: int = MOST_REASONS) -> pl.DataFrame:
        """Tell which values make the score of each row, and what is usual there.

        Args:
            frame: as :meth:`score_samples`.
            most: most reasons of a row.

        Returns:
            Up to ``most`` rows for each row of the table, the largest share first, none where nothing is more abnormal
            than usual: ``row`` (its number), ``feature``, ``value`` in words (names with their share of the normal
            training rows, or "never seen"), ``usual`` in words ("105 to 8,314, median 244", the 5 % and 95 % quantile;
            "SF (94 %)"), and ``share`` of the score.

        Raises:
            SchemaError: as :meth:`score_samples`.
            SettingsError: if ``most`` is below 1.
        """
        found = self._largest(frame, most)
        names = self.feature_names_in_[found.column].tolist()
        usual = {name: self.usual_[name].usual for name in set(names)}
        columns = {
            "row": found.row,
            "feature": names,
            "value": self._words(frame, found, "written"),
            "usual": [usual[name] for name in names],
            "share": found.share,
        }
        return pl.DataFrame(columns, schema=REASONS)

    def explain(self, frame: pl.DataFrame, most: int = MOST_REASONS) -> list[str]:
        """Say for each row in one sentence what makes its score.

        Args:
            frame: as :meth:`score_samples`.
            most: most columns that a sentence names.

        Returns:
            n sentences, in the same form for every detector.

        Raises:
            SchemaError: as :meth:`score_samples`.
            SettingsError: if ``most`` is below 1.
        """
        found = self._largest(frame, most)
        names = self.feature_names_in_[found.column].tolist()
        said = self._words(frame, found, "compared")
        clauses: list[list[str]] = [[] for _ in range(frame.height)]
        for row, name, words, share in zip(found.row.tolist(), names, said, found.share.tolist(), strict=True):
            if share >= LEAST_SAID or not clauses[row]:
                clauses[row].append(f"{quoted(name)} is {words} ({percent(share)} of the score)")
        return [f"{'; '.join(parts)}." if parts else NO_REASON for parts in clauses]

    @property
    def _used(self) -> list[str]:
        """Columns that an output is made of."""
        used = set(self._origin.tolist())
        return [name for place, name in enumerate(self.feature_names_in_.tolist()) if place in used]

    def _usual(self, normal: pl.DataFrame, weight: Floats) -> dict[str, Usual]:
        """What is usual in each column that an output is made of."""
        nominal = {plan.name for plan in getattr(self.features_, "columns_", ()) if plan.kind in NOMINAL_KINDS}
        return {name: usual_values(normal[name], weight, nominal=name in nominal) for name in self._used}

    def _points(self, frame: pl.DataFrame) -> DistinctPoints:
        """Rows of numbers that differ, and how the rows of a table are made of them."""
        check_is_fitted(self, "detector_")
        require.frame(frame, TABLE)
        require.columns(frame, self._used, TABLE)
        return distinct_points(_matrix(self.features_, frame) if frame.height else np.zeros((0, len(self._origin))))

    def _shares(self, frame: pl.DataFrame) -> tuple[Floats, Places]:
        """Shares of the columns in the score of distinct rows, and which of these each row is."""
        points = self._points(frame)
        shares = np.zeros((len(points), self.n_features_in_))
        if len(points):
            encoded = np.asarray(self.detector_.contributions(points.values), dtype=np.float64)
            for output, place in enumerate(self._origin):
                shares[:, place] += encoded[:, output]
        return shares, points.inverse

    def _largest(self, frame: pl.DataFrame, most: int) -> _Reasons:
        if most < 1:
            raise SettingsError(f"the number of reasons must be 1 or more, found {most}: ask for at least one")
        shares, inverse = self._shares(frame)
        best = np.argsort(-shares, axis=1, kind="stable")[:, :most]
        size = np.take_along_axis(shares, best, axis=1)[inverse]
        row, rank = np.nonzero(size > 0)
        return _Reasons(row, best[inverse][row, rank], size[row, rank])

    def _words(self, frame: pl.DataFrame, found: _Reasons, form: Literal["written", "compared"]) -> list[str]:
        """The value of each reason in words."""
        words = np.empty(len(found.row), dtype=object)
        for place in np.unique(found.column):
            name = self.feature_names_in_[place]
            chosen = np.flatnonzero(found.column == place)
            words[chosen] = getattr(self.usual_[name], form)(frame[name].gather(found.row[chosen]))
        said: list[str] = words.tolist()
        return said


def _require_contract(detector: object) -> None:
    """Check that a detector can be fitted on weighted rows, scores rows, and tells what contributes.

    Raises:
        SettingsError: if it does not.
    """
    missing = [name for name in ("fit", "score_samples", "contributions") if not hasattr(detector, name)]
    if not missing and not has_fit_parameter(detector, "sample_weight"):
        missing = ["fit(X, y, sample_weight)"]
    if missing:
        what = "a detector must have fit with sample_weight, score_samples and contributions"
        found = f"found {type(detector).__name__} without {listed(missing)}"
        raise SettingsError(f"{what}, {found}: give one of utils.detectors.outliers")


def _traced(features: Any, columns: list[str], origins: Mapping[str, str]) -> tuple[list[str], Places]:  # noqa: ANN401
    """Names of the columns that a transformer reads, and the place of the column that each output is made of.

    Raises:
        SchemaError: if that of one is not known.
    """
    names = [str(name) for name in getattr(features, "feature_names_in_", columns)]
    outputs = [str(name) for name in features.get_feature_names_out()]
    known = dict(zip(outputs, getattr(features, "origins_", ()), strict=False)) | dict(origins)
    place = {name: number for number, name in enumerate(names)}
    found = [place.get(str(known.get(output) or _origin(output, names))) for output in outputs]
    if None in found:
        unknown = [output for output, number in zip(outputs, found, strict=True) if number is None]
        what = f"each output of the features must come from one of the columns {listed(names)}"
        raise SchemaError(f"{what}, found {listed(unknown)}: name the column of each in origins")
    return names, np.asarray(found, dtype=np.intp)


def _matrix(features: Any, frame: pl.DataFrame) -> Floats:  # noqa: ANN401 - any transformer
    """The outputs of a transformer, shape (n, outputs)."""
    made = features.transform(frame)
    return np.asarray(made.toarray() if sparse.issparse(made) else made, dtype=np.float64)


def _origin(output: str, names: list[str]) -> str | None:
    """The column that an output is named after: the longest name that it is, or begins with before a separator."""
    for shown in (output, output.partition("__")[2]):
        fitting = [name for name in names if shown == name or shown.startswith(tuple(name + end for end in SEPARATORS))]
        if fitting:
            return max(fitting, key=len)
    return None
