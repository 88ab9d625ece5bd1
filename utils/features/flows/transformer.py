"""The transformer: columns by name in, one matrix of numbers out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import NotFittedError

from utils.datasets import require
from utils.datasets.contract import Roles
from utils.datasets.dtypes import is_text
from utils.datasets.identity import identity_columns
from utils.datasets.wording import listed
from utils.errors import DataError, SchemaError, SettingsError
from utils.features.flows import columns as plans
from utils.features.flows.columns import Column, Kind, Options, Scale

Matrix = NDArray[np.float64] | NDArray[np.float32]
SCALES = ("standard", "robust", "quantile", None)
NOMINALS = ("onehot", "native")
MISSINGS = ("fill", "keep")
DTYPES = ("float64", "float32")
DECLARED_KINDS = ("numeric", "binary", "nominal")
FLOWS = "the table of flow features"
BLOCK = 1_024
FEW_ROWS = 8
"""Up to so many rows it is faster to read them as Python values than to plan a query."""

MOST_NATIVE = 250
"""Categories that HistGradientBoosting can tell apart (255), less some for ``<other>`` and ``<missing>``."""


@dataclass(frozen=True)
class _Numeric:
    """All columns of numbers as arrays of their length, so that one pass does them all."""

    names: list[str]
    fill: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    logged: NDArray[np.intp]
    unit: NDArray[np.float64]
    centre: NDArray[np.float64]
    spread: NDArray[np.float64]
    curves: dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]]
    shown: NDArray[np.intp]
    flagged: NDArray[np.intp]


class FlowFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turn the typed columns of flows, or of any table, into a matrix of numbers; rows in the order of the table.

    | column | taken for | becomes |
    |---|---|---|
    | number | numeric | log1p where its tail is heavy, then the scale |
    | truth value, number that is 0 or 1 only | binary | 0 or 1 |
    | text, category, integer called a protocol, type, code, ... | nominal | one column a category, or one of codes |
    | any with a single value | dropped | nothing |

    **Identities never enter.** A column that is an address, port, time or identifier, by its role, name, type or
    content (:mod:`utils.datasets.identity`), or the label or withheld, is refused; there is no switch for it.

    **Logarithm.** A column gets sign(x) log(1 + |x| / unit) if the skewness of its magnitudes is above 1 and the
    logarithm leaves at most three quarters of it; the unit is 1, or the 5 % quantile of the positive magnitudes of a
    column that spans three decades and begins below one (seconds, shares of a second). On the quantile scale it would
    change nothing and is left out.

    **Missing.** Null and NaN become the training median, infinities the end of the training range; where training had
    any, an indicator column is added. Later ones are replaced alike. ``missing="keep"`` leaves NaN for models that
    handle it.

    **Categories.** Each frequent value has a code. Values of fewer than ``least_rows`` training rows, or beyond the
    ``most_categories`` most frequent, share ``<other>``; unseen values are ``<other>`` where training had such,
    and otherwise nothing: zero in all columns of one-hot, NaN (missing) in codes. Missing is a category of its own
    where training had any, and otherwise nothing.

    All is decided on the rows given to :meth:`fit`: give it training rows only.

    Args:
        roles: what the columns mean; its features are the columns used. Without it and without ``columns``, all are.
        columns: names of the columns to use, in this order.
        kinds: ``"numeric"``, ``"binary"`` or ``"nominal"`` for columns whose kind is known better than found.
        scale: ``"standard"`` (mean 0, standard deviation 1), ``"robust"`` (median 0, interquartile range that of a
            standard normal distribution; the standard deviation where that range is 0), ``"quantile"`` (distribution
            function, 0..1) or ``None``. Binary, one-hot and indicator columns stay 0 or 1.
        nominal: ``"onehot"``, or ``"native"`` for codes with :attr:`categorical_features_` (HistGradientBoosting).
        log: ``True`` to take the logarithm by the rule, ``False`` for never, or the names of the columns to take it of.
        missing: ``"fill"`` or ``"keep"``.
        most_categories: most categories of one column.
        least_rows: fewest training rows of a category of its own; ``None`` for 5, or 1 % of the rows if that is less.
        dtype: ``"float64"`` or ``"float32"``.

    Attributes:
        columns_: for each input column a :class:`utils.features.flows.columns.Column`: what was found and decided.
        report_: the same as a table.
        categorical_features_: (n_outputs,) Boolean, true for columns of codes.
        origins_: for each output column the input column that it comes from.
        feature_names_in_: names of the input columns.
        n_features_in_: their number.

    Source:
        The logarithm for heavy tails of traffic: Mosteller and Tukey, "Data Analysis and Regression" (1977), started
        logarithms; John and Draper, Applied Statistics 29 (1980), for values of both signs.
    """

    def __init__(
        self,
        roles: Roles | None = None,
        *,
        columns: Sequence[str] | None = None,
        kinds: Mapping[str, Kind] | None = None,
        scale: Scale | None = "standard",
        nominal: Literal["onehot", "native"] = "onehot",
        log: bool | Sequence[str] = True,
        missing: Literal["fill", "keep"] = "fill",
        most_categories: int = 100,
        least_rows: int | None = None,
        dtype: Literal["float64", "float32"] = "float64",
    ) -> None:
        self.roles = roles
        self.columns = columns
        self.kinds = kinds
        self.scale = scale
        self.nominal = nominal
        self.log = log
        self.missing = missing
        self.most_categories = most_categories
        self.least_rows = least_rows
        self.dtype = dtype

    def fit(self, X: pl.DataFrame, y: object = None) -> Self:
        """Decide, on training rows, what becomes of each column.

        Args:
            X: training rows.
            y: not used.

        Raises:
            SettingsError: if an argument of the constructor has no meaning.
            SchemaError: if a column is missing, of a type that no model can use, free text, or an identity.
            DataError: if there is no row, or nothing varies.
        """
        options = self._options()
        frame = _as_frame(X)
        names = self._chosen(frame)
        if frame.is_empty():
            raise DataError("flow features must be fitted on at least one row, found none: give training rows")
        self._refuse_identities(frame, names)
        self._require_names(names, options)
        self.columns_ = tuple(plans.fit_column(frame[name], options) for name in names)
        if not any(column.kind != "dropped" for column in self.columns_):
            found = f"all {len(names)} columns have one value or none in the {frame.height:,} training rows"
            raise DataError(f"flow features must vary, found that {found}: give more rows or other columns")
        self.feature_names_in_ = np.asarray(names, dtype=object)
        self.n_features_in_ = len(names)
        self._arrange()
        return self

    def transform(self, X: pl.DataFrame) -> Matrix:
        """Compute the features.

        Args:
            X: rows with the columns of training, in any order, beside others; none at all is allowed.

        Returns:
            (n_rows, n_outputs), in the order of :meth:`get_feature_names_out`.

        Raises:
            SchemaError: if a column is missing or has another type than in training.
        """
        self._require_fitted()
        frame = _as_frame(X)
        self._require_columns(frame)
        codes = [_codes(frame[column.name], column) for column in self.nominal_columns_]
        return self.assemble(_numbers_of(frame, self._numeric.names), codes)

    @property
    def number_names_(self) -> list[str]:
        """Columns that are read as numbers, in the order that :meth:`assemble` takes them."""
        self._require_fitted()
        return self._numeric.names

    @property
    def nominal_columns_(self) -> list[Column]:
        """Columns that are read as names, in the order that :meth:`assemble` takes them."""
        self._require_fitted()
        return [column for column in self.columns_ if column.kind == "nominal"]

    def assemble(self, numbers: NDArray[np.float64], codes: Sequence[plans.Codes]) -> Matrix:
        """Compute the features of rows whose numbers and codes were read already, as :meth:`transform` reads them.

        Args:
            numbers: the columns of :attr:`number_names_`, missing values NaN (n_rows, n_numbers); they are changed.
            codes: for each of :attr:`nominal_columns_` the code of each row, as its ``coding()`` gives it (n_rows,).

        Returns:
            (n_rows, n_outputs), in the order of :meth:`get_feature_names_out`.
        """
        out = np.zeros((len(numbers), len(self.origins_)), dtype=self.dtype)
        for start in range(0, len(numbers), BLOCK):
            block = slice(start, start + BLOCK)
            self._write_block(numbers[block], out[block])
        done = len(self._numeric.shown) + len(self._numeric.flagged)
        for column, found in zip(self.nominal_columns_ if codes else (), codes, strict=True):
            done += self._write_codes(found, column, out, done)
        return out

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Name the output columns: ``src_bytes``, ``src_bytes is missing``, ``protocol_type=tcp``."""
        self._require_fitted()
        return np.asarray(self._names_out, dtype=object)

    @property
    def report_(self) -> pl.DataFrame:
        """What was done, one row an input column: kind, logarithm, scale, categories, missing values, and why."""
        self._require_fitted()
        return pl.DataFrame([_described(column, self.nominal) for column in self.columns_], infer_schema_length=None)

    def _options(self) -> Options:
        """Check the arguments of the constructor."""
        require.choice("scale", self.scale, SCALES)
        require.choice("nominal", self.nominal, NOMINALS)
        require.choice("missing", self.missing, MISSINGS)
        require.choice("dtype", self.dtype, DTYPES)
        most = MOST_NATIVE if self.nominal == "native" else np.inf
        if not 1 <= self.most_categories <= most:
            raise SettingsError(
                f"most_categories must be in 1..{most}, found {self.most_categories}: choose such a number"
            )
        if self.least_rows is not None and self.least_rows < 1:
            raise SettingsError(f"least_rows must be 1 or more, found {self.least_rows}: choose such a number")
        if isinstance(self.log, str):
            raise SettingsError(f"log must be True, False or a list of names, found {self.log!r}: write [{self.log!r}]")
        for kind in (self.kinds or {}).values():
            require.choice("kinds", kind, DECLARED_KINDS)
        return Options(
            self.scale,
            self.log if isinstance(self.log, bool) else tuple(self.log),
            self.most_categories,
            self.least_rows,
            self.missing == "keep",
            dict(self.kinds or {}),
        )

    def _chosen(self, frame: pl.DataFrame) -> list[str]:
        """Names of the columns to use."""
        if self.columns is not None:
            names = list(self.columns)
        else:
            names = list(self.roles.features) if self.roles is not None else frame.columns
        if not names:
            raise SchemaError(
                "flow features need at least one column, found none: name columns, or roles with features"
            )
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise SchemaError(f"flow features must name each column once, found {listed(repeated)} twice: name it once")
        require.columns(frame, names, FLOWS)
        return names

    def _refuse_identities(self, frame: pl.DataFrame, names: Iterable[str]) -> None:
        if refused := identity_columns(frame, self.roles, names):
            each = ", ".join(f"{name!r} ({reason})" for name, reason in refused.items())
            raise SchemaError(
                f"features must not contain identity column{'s' * (len(refused) > 1)} {each}: addresses, ports, times"
                " and identifiers tell where rows come from, and labels tell the answer; leave them out of the features"
            )

    def _require_names(self, names: list[str], options: Options) -> None:
        named = {"kinds": options.kinds, "log": options.log if isinstance(options.log, tuple) else ()}
        for argument, given in named.items():
            if unknown := [name for name in given if name not in names]:
                found = f"{argument} must name columns that are used, found {listed(unknown)}"
                raise SchemaError(f"{found}: the columns are {listed(names)}")

    def _arrange(self) -> None:
        """Lay out the output: numbers and indicators in the order of the table, then the nominal columns."""
        numeric = [column for column in self.columns_ if column.kind not in ("nominal", "dropped")]
        nominal = [column for column in self.columns_ if column.kind == "nominal"]
        self._numeric = _numeric_of(numeric)
        native = self.nominal == "native"
        flags = [numeric[place].name for place in self._numeric.flagged]
        outputs = [(numeric[place].name, numeric[place].name, False) for place in self._numeric.shown]
        outputs += [(name, f"{name} is missing", False) for name in flags]
        for column in nominal:
            names = [column.name] if native else [f"{column.name}={label}" for label in column.labels]
            outputs += [(column.name, name, native) for name in names]
        self.origins_ = tuple(origin for origin, _, _ in outputs)
        self._names_out = _distinct([name for _, name, _ in outputs])
        self.categorical_features_ = np.asarray([code for _, _, code in outputs], dtype=bool)

    def _write_block(self, values: NDArray[np.float64], out: Matrix) -> None:
        """Fill the leading columns of some rows: so few that they stay in the processor's cache for all steps."""
        table, shown = self._numeric, len(self._numeric.shown)
        absent = ~np.isfinite(values)
        if absent.any():
            _replace(values, table, keep=self.missing == "keep")
        if table.flagged.size:
            out[:, shown : shown + len(table.flagged)] = absent[:, table.flagged]
        _scale(values, table)
        limit = np.finfo(out.dtype).max
        np.clip(values, -limit, limit, out=values)
        out[:, :shown] = values if shown == values.shape[1] else values[:, table.shown]

    def _write_codes(self, codes: plans.Codes, column: Column, out: Matrix, start: int) -> int:
        """Fill the columns of one nominal column from ``start`` on, and say how many they are."""
        if self.nominal == "native":
            out[:, start] = np.where(codes < 0, np.nan, codes)
            return 1
        known = np.flatnonzero(codes >= 0)
        out[known, start + codes[known]] = 1.0
        return len(column.labels)

    def _require_columns(self, frame: pl.DataFrame) -> None:
        """Check the columns that are used against those of training."""
        used = [column for column in self.columns_ if column.kind != "dropped"]
        require.columns(frame, [column.name for column in used], FLOWS)
        schema = dict(zip(frame.columns, frame.dtypes, strict=True))
        wrong = [column for column in used if not _fits(schema[column.name], column)]
        if wrong:
            each = ", ".join(f"{column.name!r} {column.dtype} (found {schema[column.name]})" for column in wrong[:6])
            raise SchemaError(f"flow features must have the types of training, {each}: convert the columns")

    def _require_fitted(self) -> None:
        if not hasattr(self, "origins_"):
            raise NotFittedError("FlowFeatures must be fitted before it is used: call fit with training rows")


def _as_frame(table: Any) -> pl.DataFrame:  # noqa: ANN401 - whatever a caller gives
    """Take a polars frame, or a table of another library that can be read as one without a loss."""
    if isinstance(table, pl.DataFrame):
        return table
    if hasattr(table, "__arrow_c_stream__") or hasattr(table, "__dataframe__"):
        return pl.DataFrame(table)
    found = type(table).__name__
    raise SchemaError(f"flow features need a polars frame with named columns, found {found}: give pl.DataFrame(...)")


def _numeric_of(columns: Sequence[Column]) -> _Numeric:
    def array(attribute: str) -> NDArray[np.float64]:
        return np.asarray([getattr(column, attribute) for column in columns], dtype=np.float64)

    def places(*chosen: bool) -> NDArray[np.intp]:
        return np.flatnonzero(np.asarray(chosen, dtype=bool))

    return _Numeric(
        names=[column.name for column in columns],
        fill=array("fill"),
        low=array("low"),
        high=array("high"),
        logged=places(*(bool(column.log) for column in columns)),
        unit=array("unit"),
        centre=array("centre"),
        spread=array("spread"),
        curves={
            place: (np.asarray(column.knots), np.asarray(column.places))
            for place, column in enumerate(columns)
            if column.knots
        },
        shown=places(*(column.kind != "missing only" for column in columns)),
        flagged=places(*(column.flagged for column in columns)),
    )


def _numbers_of(frame: pl.DataFrame, names: list[str]) -> NDArray[np.float64]:
    """A new matrix (rows, columns), missing values NaN."""
    if not names:
        return np.zeros((frame.height, 0))
    if frame.height <= FEW_ROWS and pl.Duration not in frame.dtypes:
        place = {name: number for number, name in enumerate(frame.columns)}
        rows = [[row[place[name]] for name in names] for row in frame.rows()]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(names))
    chosen = frame.select(names)
    if any(isinstance(dtype, pl.Duration) for dtype in chosen.dtypes):
        chosen = chosen.with_columns(pl.col(pl.Duration).to_physical())
    values = chosen.cast(pl.Float64).to_numpy(order="c")
    return values if values.flags.writeable else values.copy()


def _replace(values: NDArray[np.float64], table: _Numeric, *, keep: bool) -> None:
    """Put the training median and range in place of what is not finite, in place."""
    np.copyto(values, table.high, where=values == np.inf)
    np.copyto(values, table.low, where=values == -np.inf)
    if not keep:
        np.copyto(values, table.fill, where=np.isnan(values))


def _scale(values: NDArray[np.float64], table: _Numeric) -> None:
    """Take logarithms and scale, in place."""
    if table.logged.size:
        values[:, table.logged] = plans.logarithm(values[:, table.logged], table.unit[table.logged])
    for place, (knots, places) in table.curves.items():
        values[:, place] = np.interp(values[:, place], knots, places)
    with np.errstate(over="ignore"):
        values -= table.centre
        values /= table.spread


def _codes(values: pl.Series, column: Column) -> plans.Codes:
    """Code of each value: its place among the labels of the column, -1 for what training did not know."""
    known = plans.texts(values)
    coding = column.coding()
    if len(known) <= FEW_ROWS:
        return np.asarray([coding.of(text) for text in known.to_list()], dtype=np.int64)
    places = known.cast(pl.Enum(column.categories), strict=False).to_physical().cast(pl.Int64)
    if not places.has_nulls():
        return places.to_numpy()
    return np.where(known.is_null(), coding.missing, places.fill_null(coding.other).to_numpy())


def _fits(dtype: pl.DataType, column: Column) -> bool:
    """Whether values of a type can stand in a column of training; a column of nulls always can."""
    if isinstance(dtype, pl.Null):
        return True
    textual = is_text(dtype)
    if column.kind == "nominal":
        trained_on_text = not column.dtype.startswith(("Int", "UInt", "Float", "Decimal", "Boolean"))
        return textual if trained_on_text else dtype.is_numeric() or isinstance(dtype, pl.Boolean)
    if isinstance(dtype, pl.Duration) or column.dtype.startswith("Duration"):
        return str(dtype) == column.dtype
    return dtype.is_numeric() or isinstance(dtype, pl.Boolean)


def _distinct(names: Sequence[str]) -> list[str]:
    """Give names that occur again a number, so that every output has one of its own."""
    seen: dict[str, int] = {}
    taken = set(names)
    distinct = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        shown = name
        while seen[name] > 1 and shown in taken:
            shown = f"{name} ({seen[name]})"
            seen[name] += shown in taken
        taken.add(shown)
        distinct.append(shown)
    return distinct


def _described(column: Column, nominal: str) -> dict[str, object]:
    if column.kind == "nominal":
        outputs = 1 if nominal == "native" else len(column.labels)
    else:
        outputs = (column.kind in ("numeric", "binary")) + (column.flagged and column.kind != "dropped")
    scaled = column.kind == "numeric" and not column.knots
    return {
        "column": column.name,
        "type": column.dtype,
        "kind": column.kind,
        "logarithm": column.log,
        "unit": column.unit if column.log else None,
        "centre": column.centre if scaled else None,
        "spread": column.spread if scaled else None,
        "categories": len(column.categories) if column.kind == "nominal" else None,
        "pooled categories": column.pooled if column.kind == "nominal" else None,
        "missing share": column.missing / column.rows,
        "infinite share": column.infinite / column.rows,
        "indicator": column.flagged and column.kind != "nominal",
        "outputs": outputs,
        "why dropped": column.why,
    }
