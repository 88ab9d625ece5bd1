"""The featuriser of web events: one scikit-learn transformer from raw, damaged rows to numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import NotFittedError

from utils.errors import DataError
from utils.features.web_events import agents, lexical, names, numbers
from utils.features.web_events.blocks import (
    AgentBlock,
    Block,
    CodeBlock,
    NameBlock,
    NetworkBlock,
    SizeBlock,
    SourceBlock,
    TextBlock,
)
from utils.features.web_events.columns import (
    FEW,
    Distinct,
    EventColumns,
    Ints,
    check,
    columns_of,
    distinct,
    present,
    short_names,
)

MOST_CODES, MOST_SOURCES, MOST_NAMES = 24, 32, 48
SINGLE: dict[str, Callable[[], Block]] = {
    "agent": AgentBlock,
    "size": SizeBlock,
    "code": lambda: CodeBlock(MOST_CODES),
    "source": lambda: SourceBlock(MOST_SOURCES),
    "name": lambda: NameBlock(MOST_NAMES),
    "address": NetworkBlock,
}
Features = npt.NDArray[np.float32]


class WebEventFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turn web events, or bare payloads, into features.

    For each text: lexical traits (scaled) and character n-grams (the most frequent of the training texts, tf-idf); for
    the agent its traits; for size and code their logarithm and categories; for source and name of the matched variable
    which known one it is; with ``history``, for the client how many events its network (/24 or /64) has in training. No
    address is a feature. Nothing is learned from labels.

    :meth:`fit_transform` counts for each training row the other rows of its network, as :meth:`transform` does for new
    rows; ``fit(X).transform(X)`` would count the row itself.

    Args:
        columns: what the columns mean; found by their names in :meth:`fit` if not given.
        n_grams: most n-grams for each text; 0 for none.
        history: whether the number of events of the client's network in training is a feature; without it no address
            is read. It tells of clients that training knows: measure it on clients that training does not know.

    Attributes:
        columns_: the columns that are read.
        blocks_: the fitted parts, by column.
    """

    def __init__(self, columns: EventColumns | None = None, n_grams: int = 256, history: bool = False) -> None:
        self.columns = columns
        self.n_grams = n_grams
        self.history = history

    def fit(self, X: pl.DataFrame, y: object = None) -> "WebEventFeatures":
        """Learn scales, n-grams, categories and network counts.

        Args:
            X: raw web events.
            y: ignored.

        Returns:
            The transformer itself.

        Raises:
            SchemaError: if a column is missing or has the wrong type.
            DataError: if there is no row, or ``n_grams`` is negative.
        """
        self._learn(X)
        return self

    def fit_transform(self, X: pl.DataFrame, y: object = None, **fit_params: object) -> Features:
        """Learn from rows and return their features, as :meth:`fit` and :meth:`transform`, see the class."""
        return self._assemble(self._learn(X), own=1)

    def transform(self, X: pl.DataFrame) -> Features:
        """Compute the features.

        Args:
            X: raw web events; the columns of training must be there.

        Returns:
            Float32 of shape (rows, features), rows in their order, all values finite.

        Raises:
            SchemaError: if a column is missing or has the wrong type.
        """
        self._require_fitted()
        check(X, self.columns_)
        return self._assemble(self._values(X), own=0)

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[np.object_]:
        """Names of the features: column, a dot, and what it is."""
        self._require_fitted()
        found = [f"{self.titles_[name]}.{feature}" for name, block in self.blocks_.items() for feature in block.names]
        return np.array(found, dtype=object)

    def _learn(self, X: pl.DataFrame) -> dict[str, Distinct]:
        columns = self.columns or columns_of(X)
        if not self.history:
            columns = EventColumns(columns.texts, **present(columns, without=("address",)))
        check(X, columns)
        if X.is_empty() or self.n_grams < 0:
            found = f"found n_grams={self.n_grams}" if self.n_grams < 0 else "found no row"
            raise DataError(f"WebEventFeatures needs at least one event and n_grams of 0 or more, {found}: correct it")
        self.columns_ = columns
        self.titles_ = short_names([*columns.texts, *present(columns).values()], X.columns)
        values = self._values(X, few=0)
        self.blocks_ = {name: block.fit(found.values, _counts(found)) for (name, block), found
                        in zip(self._new_blocks().items(), values.values(), strict=True)}  # fmt: skip
        return values

    def _new_blocks(self) -> dict[str, Block]:
        texts: dict[str, Block] = {name: TextBlock(self.n_grams) for name in self.columns_.texts}
        return texts | {name: SINGLE[role]() for role, name in present(self.columns_).items()}

    def _values(self, X: pl.DataFrame, few: int = FEW) -> dict[str, Distinct]:
        numeric = self.columns_.numbers
        read = [*self.columns_.texts, *present(self.columns_).values()]
        return {name: distinct(numbers.as_texts(X[name]) if name in numeric else X[name], few) for name in read}

    def _assemble(self, values: dict[str, Distinct], own: int) -> Features:
        parts = [found.spread(self.blocks_[name].transform(found.values, own)) for name, found in values.items()]
        return np.hstack(parts, dtype=np.float32, casting="same_kind")

    def _require_fitted(self) -> None:
        if not hasattr(self, "blocks_"):
            raise NotFittedError("WebEventFeatures is not fitted: call fit first")


def traits(frame: pl.DataFrame, columns: EventColumns | None = None) -> pl.DataFrame:
    """Describe web events, or bare payloads, by what can be seen of each row alone; nothing is fitted.

    Args:
        frame: raw web events.
        columns: what the columns mean; found by their names if not given.

    Returns:
        One row an event, in their order. For each text ``<column>.<trait>`` with the traits of
        :data:`utils.features.web_events.TRAITS` (lengths in characters, shares in 0..1, entropy in bits, counts),
        and where there is such a column ``agent.<trait>``, ``size.log``, ``code.class`` (1 to 5), ``source.n_values``
        and ``name.n_values``; Float64, null where the value is missing or unreadable.

    Raises:
        SchemaError: if a column is missing or has the wrong type.
    """
    columns = columns or columns_of(frame)
    check(frame, columns)
    single = present(columns, without=("address",))
    titles = short_names([*columns.texts, *single.values()], frame.columns)
    parts = [_described(titles[name], distinct(frame[name]), lexical.NAMES, lexical.measure) for name in columns.texts]
    for role, name in single.items():
        texts = numbers.as_texts(frame[name]) if role in ("size", "code") else frame[name]
        parts.append(_described(titles[name], distinct(texts), *SINGLE_TRAITS[role]))
    return pl.concat(parts, how="horizontal")


def _counts(found: Distinct) -> Ints:
    codes = np.arange(len(found.values)) if found.codes is None else found.codes
    return np.bincount(codes, minlength=len(found.values))


def _described(title: str, found: Distinct, named: tuple[str, ...], measure: Callable[..., Any]) -> pl.DataFrame:
    table = found.spread(measure(found.values))
    schema = {f"{title}.{name}": pl.Float64 for name in named}
    return pl.DataFrame(table, schema=schema).fill_nan(None)


def _one_number(read: Callable[[str], float | None]) -> Callable[..., Any]:
    def measure(values: list[str | None]) -> npt.NDArray[np.float64]:
        found = [None if value is None else read(value) for value in values]
        return np.array(found, dtype=np.float64).reshape(-1, 1)

    return measure


def _log_size(value: str) -> float | None:
    size = numbers.size_of(value)
    return None if size is None else float(np.log1p(size))


def _code_class(value: str) -> float | None:
    code = numbers.code_of(value)
    return None if code is None else code // 100


SINGLE_TRAITS: dict[str, tuple[tuple[str, ...], Callable[..., Any]]] = {
    "agent": (agents.NAMES, agents.measure),
    "size": (("log",), _one_number(_log_size)),
    "code": (("class",), _one_number(_code_class)),
    "source": (("n_values",), _one_number(lambda value: len(names.split(value)))),
    "name": (("n_values",), _one_number(lambda value: len(names.split(value)))),
}
