"""What becomes of one column: its kind, its logarithm, its scale, its categories; decided once, on training rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from utils.datasets.dtypes import is_text
from utils.datasets.identity import words, words_of
from utils.errors import SchemaError

Kind = Literal["numeric", "binary", "nominal", "missing only", "dropped"]
Scale = Literal["standard", "robust", "quantile"]
Numbers = NDArray[np.float64]
Codes = NDArray[np.int64]

SKEWNESS_LIMIT = 1.0
"""Skewness from which a distribution counts as highly skewed (Bulmer, "Principles of Statistics", 1979)."""

SKEWNESS_LEFT = 0.75
"""The logarithm is taken only if it leaves at most so much of the skewness."""

DECADES_BELOW_ONE = 1_000.0
"""Ratio of the largest to the small magnitudes from which fractions of one are spread out, too."""

MOST_KNOTS = 1_000
MOST_CODES = 32
LEAST_ROWS = 5
ROWS_PER_HUNDRED = 100
FREE_TEXT = 50
"""Values that a nominal column may have however few rows there are."""

CODE_WORDS = words_of(
    "protocol proto type code class kind category method status state service version vlan tos dscp action os"
)
OTHER, MISSING = "<other>", "<missing>"
INTERQUARTILE_NORMAL = 1.349
"""Interquartile range of a normal distribution, in standard deviations."""


@dataclass(frozen=True)
class Options:
    """How columns are treated; see :class:`utils.features.flows.FlowFeatures`."""

    scale: Scale | None
    log: bool | tuple[str, ...]
    most_categories: int
    least_rows: int | None
    keep_missing: bool
    kinds: Mapping[str, Kind] = field(default_factory=dict)


class Coding(NamedTuple):
    """Codes of a nominal column: places among its labels, -1 for what training did not know.

    Attributes:
        codes: code of each category.
        other: code of any other value.
        missing: code of a missing value.
    """

    codes: Mapping[str, int]
    other: int
    missing: int

    def of(self, text: str | None) -> int:
        """Code of one value."""
        return self.missing if text is None else self.codes.get(text, self.other)


@dataclass(frozen=True)
class Column:
    """One input column as training saw it and what is done with it.

    Attributes:
        name: name of the column.
        dtype: its polars type in training, as text.
        kind: what it is taken for.
        why: why it is dropped; empty if it is not.
        rows: training rows.
        missing: training rows without a value (null or NaN).
        infinite: training rows with an infinite value.
        flagged: whether an indicator of missing and infinite values is added.
        log: ``"log1p"``, ``"signed log1p"`` or empty.
        unit: magnitudes are divided by it before the logarithm.
        fill: median of the finite values, put in place of missing ones.
        low: smallest finite value, put in place of minus infinity.
        high: largest finite value, put in place of plus infinity.
        centre: subtracted, after the logarithm.
        spread: divided by, after that.
        knots: values at which the distribution function is known (quantile scale).
        places: the distribution function there, 0..1.
        categories: values of a nominal column that have a code of their own, in order of the codes.
        pooled: number of rarer values that share the code of ``<other>``.
    """

    name: str
    dtype: str
    kind: Kind
    rows: int
    why: str = ""
    missing: int = 0
    infinite: int = 0
    flagged: bool = False
    log: str = ""
    unit: float = 1.0
    fill: float = 0.0
    low: float = 0.0
    high: float = 0.0
    centre: float = 0.0
    spread: float = 1.0
    knots: tuple[float, ...] = ()
    places: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    pooled: int = 0

    @property
    def labels(self) -> tuple[str, ...]:
        """Codes in words: the categories, then ``<other>`` and ``<missing>`` where training had any."""
        return (*self.categories, *[OTHER] * bool(self.pooled), *[MISSING] * self.flagged)

    def coding(self) -> "Coding":
        """How values of a nominal column become codes."""
        other = len(self.categories) if self.pooled else -1
        missing = len(self.labels) - 1 if self.flagged else -1
        return Coding({name: number for number, name in enumerate(self.categories)}, other, missing)


def fit_column(values: pl.Series, options: Options) -> Column:
    """Decide what becomes of a column.

    Args:
        values: the training rows.
        options: how columns are treated.

    Raises:
        SchemaError: if a model cannot use values of its type, or its texts are free texts.
    """
    if values.null_count() == len(values):
        why = "no value in training"
        return Column(values.name, str(values.dtype), "dropped", len(values), why, missing=len(values))
    if _is_nominal(values, options.kinds.get(values.name)):
        return _nominal(values, options)
    return _numeric(values, options)


def texts(values: pl.Series) -> pl.Series:
    """Write the values of a nominal column as texts; whole numbers without a decimal point."""
    if isinstance(values.dtype, pl.String):
        return values
    whole = values.cast(pl.Int64, strict=False) if values.dtype.is_float() else values
    return whole.cast(pl.String)


def numbers(values: pl.Series) -> Numbers:
    """Write a column as numbers, missing values as NaN; stretches of time in their own unit."""
    plain = values.to_physical() if isinstance(values.dtype, pl.Duration) else values
    return plain.cast(pl.Float64).to_numpy()


def logarithm(values: Numbers, unit: Numbers | float) -> Numbers:
    """Compute sign(x) log(1 + |x| / unit), the same as log1p for positive values of unit 1; never infinite."""
    magnitude = np.abs(values)
    if np.any(np.not_equal(unit, 1.0)):
        with np.errstate(over="ignore"):
            magnitude /= unit
        np.minimum(magnitude, np.finfo(np.float64).max, out=magnitude)
    np.log1p(magnitude, out=magnitude)
    return np.asarray(np.copysign(magnitude, values))


def skewness(values: Numbers) -> float:
    """Third standardised moment; 0 for a column of equal values."""
    centred = _centred(values)
    squares = centred * centred
    variance = float(squares.mean())
    return float(np.dot(squares, centred)) / len(centred) / variance**1.5 if variance > 0 else 0.0


def _is_nominal(values: pl.Series, declared: Kind | None) -> bool:
    dtype = values.dtype
    if is_text(dtype):
        if declared in ("numeric", "binary"):
            found = f"{declared} column {values.name!r} must hold numbers, found {dtype}"
            raise SchemaError(f"{found}: convert it, or declare it nominal")
        return True
    if not (dtype.is_numeric() or isinstance(dtype, pl.Boolean | pl.Duration)):
        found = f"feature {values.name!r} must hold numbers, truth values or names of kinds, found {dtype}"
        raise SchemaError(f"{found}: convert it, or leave it out")
    if declared is not None:
        return declared == "nominal"
    return dtype.is_integer() and _is_code(values)


def _is_code(values: pl.Series) -> bool:
    """Whether integers number a few kinds: their name says so, and they are more than yes and no."""
    named_by = words(values.name)
    return bool(named_by) and named_by[-1] in CODE_WORDS and 2 < values.drop_nulls().n_unique() <= MOST_CODES


def _nominal(values: pl.Series, options: Options) -> Column:
    known = texts(values).alias("value")
    counts = known.drop_nulls().value_counts(name="rows").sort(["rows", "value"], descending=[True, False])
    _refuse_free_text(values, counts.height)
    missing = known.null_count()
    least = options.least_rows or min(LEAST_ROWS, max(1, len(values) // ROWS_PER_HUNDRED))
    kept = counts.filter(pl.col("rows") >= least).head(options.most_categories)["value"]
    why = "" if missing or counts.height > 1 else "the same in all training rows"
    why = why or ("" if missing or len(kept) else f"no value in {least} training rows or more")
    return Column(
        values.name,
        str(values.dtype),
        "dropped" if why else "nominal",
        len(values),
        why,
        missing=missing,
        flagged=missing > 0,
        categories=tuple(sorted(kept, key=lambda name: (len(name), name) if values.dtype.is_numeric() else name)),
        pooled=counts.height - len(kept),
    )


def _refuse_free_text(values: pl.Series, distinct: int) -> None:
    if distinct > max(FREE_TEXT, len(values) / 2):
        found = f"nominal column {values.name!r} must repeat its values, found {distinct:,} in {len(values):,} rows"
        raise SchemaError(f"{found}: free text and identifiers are no features of a flow, leave it out")


def _numeric(values: pl.Series, options: Options) -> Column:
    every = numbers(values)
    known = every[np.isfinite(every)]
    missing = int(np.isnan(every).sum())
    infinite = len(every) - len(known) - missing
    common = {"rows": len(every), "missing": missing, "infinite": infinite}
    flagged = infinite > 0 or (missing > 0 and not options.keep_missing)
    if not known.size or known.min() == known.max():
        return _without_spread(values, known, flagged=flagged, options=options, counted=common)
    low, high = float(known.min()), float(known.max())
    fill = float(np.median(known))
    kind: Kind = "binary" if options.kinds.get(values.name) != "numeric" and _is_binary(known) else "numeric"
    plan: dict[str, object] = {**common, "flagged": flagged, "low": low, "high": high, "fill": fill}
    if kind == "numeric":
        plan |= _scaled(values.name, known, options)
    return Column(values.name, str(values.dtype), kind, **plan)  # type: ignore[arg-type]


def _without_spread(
    values: pl.Series, known: Numbers, *, flagged: bool, options: Options, counted: Mapping[str, int]
) -> Column:
    """A column of one value: dropped, unless it says something by being missing."""
    says = bool(known.size) and len(known) < len(values)
    kind: Kind = "missing only" if says else "dropped"
    why = "" if says else "the same in all training rows" if known.size else "no finite value in training"
    value = float(known[0]) if known.size else 0.0
    return Column(
        values.name,
        str(values.dtype),
        kind,
        why=why,
        flagged=says and (flagged or options.keep_missing),
        fill=value,
        low=value,
        high=value,
        rows=counted["rows"],
        missing=counted["missing"],
        infinite=counted["infinite"],
    )


def _is_binary(known: Numbers) -> bool:
    return bool(known.min() == 0 and known.max() == 1 and ((known == 0) | (known == 1)).all())


def _scaled(name: str, known: Numbers, options: Options) -> dict[str, object]:
    if options.scale == "quantile":
        knots, places = _distribution(known)
        return {"knots": knots, "places": places}
    log, unit = _log_of(name, known, options.log)
    shown = logarithm(known, unit) if log else known
    centre, spread = _location(shown, options.scale)
    return {"log": log, "unit": unit, "centre": centre, "spread": spread}


def _log_of(name: str, known: Numbers, wanted: bool | tuple[str, ...]) -> tuple[str, float]:
    """Whether to take the logarithm, and in which unit."""
    if wanted is False or (isinstance(wanted, tuple) and name not in wanted):
        return "", 1.0
    kind = "signed log1p" if known.min() < 0 else "log1p"
    if isinstance(wanted, tuple):
        return kind, _unit(known)
    magnitudes = np.abs(known)
    before = abs(skewness(magnitudes))
    if before <= SKEWNESS_LIMIT:
        return "", 1.0
    unit = _unit(known)
    after = skewness(logarithm(magnitudes, unit))
    return (kind, unit) if abs(after) <= SKEWNESS_LEFT * before else ("", 1.0)


def _unit(known: Numbers) -> float:
    """One, or what is small in this column if it spans decades below one, such as seconds."""
    magnitudes = np.abs(known)
    positive = magnitudes[magnitudes > 0]
    if positive.min(initial=1.0) >= 1:
        return 1.0
    small = float(np.quantile(positive, 0.05))
    return small if small < 1 and positive.max() >= DECADES_BELOW_ONE * small else 1.0


def _location(shown: Numbers, scale: str | None) -> tuple[float, float]:
    if scale is None:
        return 0.0, 1.0
    if scale == "robust":
        low, middle, high = np.quantile(shown, (0.25, 0.5, 0.75))
        if high > low:
            return float(middle), float(high - low) / INTERQUARTILE_NORMAL
    largest = float(np.abs(shown).max())
    mean = float(np.mean(shown / largest)) * largest
    spread = float(np.std(shown / largest)) * largest
    return mean, spread if spread > 0 else 1.0


def _distribution(known: Numbers) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The mid-distribution function P(X < x) + P(X = x) / 2 at up to 1,000 values (Parzen 2004)."""
    distinct, counts = np.unique(known, return_counts=True)
    places = (np.cumsum(counts) - counts / 2) / len(known)
    if len(distinct) > MOST_KNOTS:
        wanted = np.linspace(0, 1, MOST_KNOTS) * (places[-1] - places[0]) + places[0]
        kept = np.unique(np.searchsorted(places, wanted).clip(0, len(places) - 1))
        distinct, places = distinct[kept], places[kept]
    return tuple(distinct.tolist()), tuple(places.tolist())


def _centred(values: Numbers) -> Numbers:
    """Deviations from the mean in units of the largest magnitude, so that their powers stay finite."""
    largest = float(np.abs(values).max(initial=0.0))
    scaled = values / largest if largest > 0 else values
    return np.asarray(scaled - scaled.mean())
