"""Parts of the featuriser, one for each column: each is fitted on distinct values and their counts, and keeps numbers.

Every block has ``fit(values, counts)``, ``transform(values)`` with one row a value, and ``names``. Missing values have
a column of their own; their other columns are 0, the mean of what is scaled.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from utils.features.web_events import addresses, agents, lexical, names, ngrams, numbers
from utils.features.web_events.columns import Floats, Ints, Texts
from utils.features.web_events.decoding import decode_all

LEAST_SPREAD, MOST_SPREADS = 0.3, 3.0
"""Floor of the scale and limit of the scaled values: a mark that training hardly knows must not outweigh all others."""
GRAM_WEIGHT = 5.0
"""Length of the vector of n-grams; that of the scaled traits is about 8."""
LEAST_ROWS = 2
Table = npt.NDArray[Any]


class Block(Protocol):
    """Features of one column."""

    @property
    def names(self) -> Sequence[str]:
        """Names of the features."""

    def fit(self, values: Texts, counts: Ints) -> "Block":
        """Learn from distinct values and the rows that have each."""

    def transform(self, values: Texts, own: int = 0) -> Table:
        """Features of values; ``own`` is 1 if the values' own rows are among those of :meth:`fit`."""


class Scale:
    """Weighted mean and spread of columns; counts with heavy tails as logarithms."""

    def __init__(self, linear: npt.NDArray[np.bool_]) -> None:
        self.linear = linear

    def fit(self, table: Floats, counts: Ints) -> "Scale":
        """Learn means and spreads; rows of NaN do not count."""
        known = ~np.isnan(table).any(axis=1) & (counts > 0)
        logged, weight = self._logged(table[known]), counts[known].astype(np.float64)
        total = max(weight.sum(), 1.0)
        self.centre = weight @ logged / total
        spread = np.sqrt(weight @ (logged - self.centre) ** 2 / total)
        self.spread = np.maximum(spread, LEAST_SPREAD)
        return self

    def transform(self, table: Floats) -> Floats:
        """Scale; rows of NaN become 0."""
        scaled = np.clip((self._logged(table) - self.centre) / self.spread, -MOST_SPREADS, MOST_SPREADS)
        return np.asarray(np.nan_to_num(scaled, nan=0.0))

    def _logged(self, table: Floats) -> Floats:
        return np.asarray(np.where(self.linear, table, np.log1p(table)))


class TextBlock:
    """Traits and n-grams of a text."""

    def __init__(self, n_grams: int) -> None:
        self.n_grams = n_grams
        self.scale = Scale(np.array([name in lexical.LINEAR for name in lexical.NAMES]))

    def fit(self, values: Texts, counts: Ints) -> "TextBlock":
        """Learn the scale of the traits, and the n-grams that most distinct texts have."""
        decoded = decode_all([value or "" for value in values])
        self.scale.fit(lexical.measure_decoded(values, decoded), counts)
        self._learn_grams([text.text for text, rows in zip(decoded, counts, strict=True) if rows])
        return self

    def transform(self, values: Texts, own: int = 0) -> Table:
        """Missing, scaled traits, weighted n-grams."""
        decoded = decode_all([value or "" for value in values])
        first = 1 + len(lexical.NAMES)
        table = np.zeros((len(values), first + len(self.grams)), dtype=np.float32)
        table[:, 0] = [value is None for value in values]
        table[:, 1:first] = self.scale.transform(lexical.measure_decoded(values, decoded))
        if len(self.grams):
            self._fill_grams(table[:, first:], [text.text for text in decoded])
        return table

    @property
    def names(self) -> Sequence[str]:
        """Names of the features."""
        return ["missing", *lexical.NAMES, *(f"gram {ngrams.gram_text(number)}" for number in self.grams.tolist())]

    def _learn_grams(self, texts: list[str]) -> None:
        documents = ngrams.document_counts(texts) if self.n_grams else np.zeros(ngrams.ALL, dtype=np.int64)
        top = np.argsort(-documents, kind="stable")[: self.n_grams]
        self.grams = top[documents[top] >= LEAST_ROWS].astype(np.int32)
        self.rarity = np.log((1 + len(texts)) / (1 + documents[self.grams])) + 1

    @cached_property
    def place(self) -> npt.NDArray[np.int32]:
        """For each n-gram its column, or -1."""
        place = np.full(ngrams.ALL, -1, dtype=np.int32)
        place[self.grams] = np.arange(len(self.grams))
        return place

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "place"}

    def _fill_grams(self, table: npt.NDArray[np.float32], texts: list[str]) -> None:
        for part, found in ngrams.count(texts, self.place, len(self.grams)):
            weighted = np.log1p(found) * self.rarity
            length = np.sqrt((weighted**2).sum(axis=1, keepdims=True))
            table[part] = GRAM_WEIGHT * weighted / np.maximum(length, 1e-12)


class AgentBlock:
    """Traits of a user agent."""

    names: Sequence[str] = ("missing", *agents.NAMES)

    def __init__(self) -> None:
        self.scale = Scale(np.array([name in agents.LINEAR for name in agents.NAMES]))

    def fit(self, values: Texts, counts: Ints) -> "AgentBlock":
        """Learn the scale."""
        self.scale.fit(agents.measure(values), counts)
        return self

    def transform(self, values: Texts, own: int = 0) -> Table:
        """Missing and scaled traits."""
        missing = np.array([value is None for value in values], dtype=np.float64).reshape(-1, 1)
        return np.hstack([missing, self.scale.transform(agents.measure(values))])


class SizeBlock:
    """Logarithm of a size, and whether it is missing or unreadable."""

    names: Sequence[str] = ("missing", "unreadable", "log_size")

    def __init__(self) -> None:
        self.scale = Scale(np.array([False]))

    def fit(self, values: Texts, counts: Ints) -> "SizeBlock":
        """Learn the scale."""
        self.scale.fit(self._sizes(values), counts)
        return self

    def transform(self, values: Texts, own: int = 0) -> Table:
        """Missing, unreadable, scaled logarithm."""
        sizes = self._sizes(values)
        missing = np.array([value is None for value in values], dtype=np.bool_).reshape(-1, 1)
        return np.hstack([missing, np.isnan(sizes) & ~missing, self.scale.transform(sizes)])

    def _sizes(self, values: Texts) -> Floats:
        return np.array([numbers.size_of(value) for value in values], dtype=np.float64).reshape(-1, 1)


class CategoryBlock:
    """Which of the values that training knows are there; unknown values share a column."""

    def __init__(self, most: int) -> None:
        self.most = most

    def split(self, value: str) -> list[str]:
        """The categories of one value."""
        return [value]

    def fit(self, values: Texts, counts: Ints) -> "CategoryBlock":
        """Learn the categories that most rows have."""
        rows: dict[str, int] = {}
        for value, count in zip(values, counts.tolist(), strict=True):
            for category in set(self.split(value)) if value else ():
                rows[category] = rows.get(category, 0) + count
        often = sorted(
            (name for name, count in rows.items() if count >= LEAST_ROWS), key=lambda name: (-rows[name], name)
        )
        self.categories = {name: place for place, name in enumerate(often[: self.most], start=3)}
        return self

    def transform(self, values: Texts, own: int = 0) -> Table:
        """Missing, logarithm of the number of values, unknown, and one column a category."""
        table = np.zeros((len(values), 3 + len(self.categories)))
        for row, value in enumerate(values):
            found = self.split(value) if value else []
            table[row, 0], table[row, 1] = value is None, len(found)
            for category in found:
                table[row, self.categories.get(category, 2)] = 1.0
        table[:, 1] = np.log1p(table[:, 1])
        return table

    @property
    def names(self) -> Sequence[str]:
        """Names of the features."""
        return ["missing", "log_count", "unknown", *(f"is {name}" for name in self.categories)]


class SourceBlock(CategoryBlock):
    """Parts of the request."""

    def split(self, value: str) -> list[str]:
        """Sources, restored where they were cut off."""
        return names.sources_of(value)


class NameBlock(CategoryBlock):
    """Names of variables."""

    def split(self, value: str) -> list[str]:
        """Names without their source."""
        return names.names_of(value)


class CodeBlock(CategoryBlock):
    """Status codes and their classes."""

    def split(self, value: str) -> list[str]:
        """The code and its class; what is no code is ``unreadable``."""
        code = numbers.code_of(value)
        return [f"{code // 100}xx", str(code)] if code else ["unreadable"]


class NetworkBlock:
    """How often the network of a client was in training; the address itself is no feature and is not kept."""

    names: Sequence[str] = ("missing", "unreadable", "log_events", "share", "known")

    def fit(self, values: Texts, counts: Ints) -> "NetworkBlock":
        """Count the rows of each network; networks with one row are as good as unknown and are not kept."""
        rows: dict[str, int] = {}
        for found, count in zip(addresses.networks_of(values), counts.tolist(), strict=True):
            if found.network:
                rows[found.network] = rows.get(found.network, 0) + count
        self.total = int(counts.sum())
        self.rows = {network: count for network, count in rows.items() if count >= LEAST_ROWS}
        return self

    def transform(self, values: Texts, own: int = 0) -> Table:
        """Missing, unreadable, and of the other rows of training those of the same network."""
        table = np.zeros((len(values), len(self.names)))
        for row, found in enumerate(addresses.networks_of(values)):
            other = max(self.rows.get(found.network or "", 0) - own, 0)
            unreadable = found.kind is not None and found.network is None
            table[row] = (found.kind is None, unreadable, np.log1p(other), other / max(self.total - own, 1), other > 0)
        return table
