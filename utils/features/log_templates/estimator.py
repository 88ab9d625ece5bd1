"""The log parser as an estimator: fit on lines, then one row a line with the id of its template."""

import base64
import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from utils.errors import SchemaError
from utils.features.log_templates import blocks, parameters
from utils.features.log_templates.masking import Block, Numbers, Skeletons, shown
from utils.features.log_templates.merging import Merging

ID_LENGTH = 12
CONTENT = ("content", "Content")

Lines = pl.Series | Sequence[str] | pl.DataFrame | pl.LazyFrame | os.PathLike[str]


class Template(NamedTuple):
    """What is known of a skeleton: its template (values as the control character 1), the id, whether it was fitted."""

    text: str
    id: str
    known: bool


def template_id(template: str) -> str:
    """Name a template by its text alone: twelve characters, the same in every file, run and process.

    Args:
        template: text with ``<*>`` for each value.
    """
    digest = hashlib.blake2b(template.encode(), digest_size=8).digest()
    return base64.b32encode(digest).decode().lower()[:ID_LENGTH]


class LogTemplates(BaseEstimator):  # type: ignore[misc]
    """Log parser: raw lines to templates, with one setting for all systems.

    Every line is masked in one compiled pass (:mod:`.masking`); the few distinct skeletons that remain are compared
    with one another (:mod:`.merging`). The templates depend on the set of lines, not on their order, so shards that
    were fitted apart and merged give what all lines give at once.

    Lines are best given without their header (time, host, level). With it, the times are values and the rest of the
    header becomes part of the template.

    Attributes:
        counts_: lines of each distinct skeleton. Skeletons are lines without their values; names without digits are
            in them. No line is kept.
    """

    def fit(self, lines: Lines, y: object = None) -> Self:
        """Learn the templates of some lines.

        Args:
            lines: a String Series, a list of texts, a frame with one column or a column ``content``, or the path of a
                file (a :class:`pathlib.Path`), which is read block by block.
            y: ignored.

        Raises:
            SchemaError: if the lines are no texts.
            OSError: if the file cannot be read.
        """
        self.counts_: dict[str, int] = {}
        return self.partial_fit(lines)

    def partial_fit(self, lines: Lines, y: object = None) -> Self:
        """Learn from more lines; equal to fitting all of them at once.

        Raises:
            SchemaError: if the lines are no texts.
            OSError: if the file cannot be read.
        """
        self._number(lines)
        return self

    def fit_transform(self, lines: Lines, y: object = None, *, parameters: bool = False) -> pl.DataFrame:
        """Fit and transform with one pass over the lines; see :meth:`fit` and :meth:`transform`.

        Raises:
            SchemaError: if the lines are no texts.
            OSError: if the file cannot be read.
        """
        self.counts_ = {}
        rows, skeletons = self._number(lines)
        return self._table(lines, rows, skeletons, parameters)

    def merge(self, other: "LogTemplates") -> Self:
        """Add what another parser learned, as if its lines had been fitted here.

        Raises:
            NotFittedError: if one of the two was not fitted.
        """
        counts = self._fitted()
        for skeleton, count in other._fitted().items():
            counts[skeleton] = counts.get(skeleton, 0) + count
        self._forget()
        return self

    def transform(self, lines: Lines, *, parameters: bool = False) -> pl.DataFrame:
        """Find the template of each line.

        Args:
            lines: as :meth:`fit`.
            parameters: tell the values of each line, too.

        Returns:
            One row a line, in order: ``line`` (Int64, from 1), ``template_id`` (String, see :func:`template_id`),
            ``template`` (String with ``<*>``), ``known`` (Boolean, whether fitted lines had this template; a line
            like none of them is its own template), and on request ``parameters`` (List of String, one text for each
            ``<*>``, as it stands in the line).

        Raises:
            NotFittedError: if the parser was not fitted.
            SchemaError: if the lines are no texts.
            OSError: if the file cannot be read.
        """
        self._fitted()
        skeletons = Skeletons()
        rows = _numbered(lines, skeletons)
        return self._table(lines, rows, skeletons, parameters)

    @property
    def templates_(self) -> pl.DataFrame:
        """The templates: ``template_id``, ``template``, ``count`` (UInt64, lines), ``skeletons`` (UInt32, distinct).

        Most frequent first; ties by text.
        """
        self._learn()
        found = [self._templates[skeleton] for skeleton in self.counts_]
        frame = pl.DataFrame(
            {
                "template_id": [template.id for template in found],
                "template": shown([template.text for template in found]),
                "count": list(self.counts_.values()),
            },
            schema={"template_id": pl.String, "template": pl.String, "count": pl.UInt64},
        )
        grouped = frame.group_by("template_id", "template").agg(pl.col("count").sum(), pl.len().alias("skeletons"))
        return grouped.sort(["count", "template"], descending=[True, False])

    def describe(self, skeletons: Sequence[str]) -> list[Template]:
        """Find the template of each skeleton (see :mod:`.masking`).

        Raises:
            NotFittedError: if the parser was not fitted.
        """
        self._learn()
        new = sorted({text for text in skeletons if text not in self._templates})
        unseen = dict(zip(new, self._named(self._merging.apply(new)), strict=True))
        return [self._templates.get(text) or unseen[text] for text in skeletons]

    def __getstate__(self) -> dict[str, object]:
        """State without what can be worked out again."""
        return {name: value for name, value in super().__getstate__().items() if not name.startswith("_templates")}

    def _fitted(self) -> dict[str, int]:
        if not hasattr(self, "counts_"):
            raise NotFittedError("this LogTemplates has no templates yet: call fit or partial_fit with lines first")
        return self.counts_

    def _number(self, lines: Lines) -> tuple[Numbers, Skeletons]:
        skeletons = Skeletons()
        rows = _numbered(lines, skeletons)
        self.add(skeletons)
        return rows, skeletons

    def add(self, skeletons: Skeletons) -> Self:
        """Learn from lines whose skeletons were numbered already."""
        return self.add_counts(zip(skeletons.texts, skeletons.counts.tolist(), strict=False))

    def add_counts(self, counted: Iterable[tuple[str, int]]) -> Self:
        """Learn from skeletons, each with the number of lines that have it."""
        if not hasattr(self, "counts_"):
            self.counts_ = {}
        for text, count in counted:
            self.counts_[text] = self.counts_.get(text, 0) + count
        self._forget()
        return self

    def _forget(self) -> None:
        """Drop what follows from the counts, which have changed."""
        for name in ("_merging", "_templates"):
            self.__dict__.pop(name, None)

    def _learn(self) -> None:
        """Work out the merging and the template of each skeleton, unless that was done since the last line."""
        texts = list(self._fitted())
        if not hasattr(self, "_merging"):
            self._merging = Merging.of(texts)
        if not hasattr(self, "_templates"):
            merged = self._merging.apply(texts)
            self._known = set(merged)
            self._templates = dict(zip(texts, self._named(merged), strict=True))

    def _named(self, merged: Sequence[str]) -> list[Template]:
        ids = {text: template_id(template) for text, template in zip(merged, shown(merged), strict=True)}
        return [Template(text, ids[text], text in self._known) for text in merged]

    def _table(self, lines: Lines, rows: Numbers, skeletons: Skeletons, wanted: bool) -> pl.DataFrame:
        found = self.describe(skeletons.texts)
        table = gathered(template_table(found), rows)
        if not wanted:
            return table
        holes = [
            parameters.find_holes(exact, template.text) for exact, template in zip(skeletons.exact, found, strict=True)
        ]
        parts = [parameters.extract(block, part, holes) for block, part in _with_rows(lines, rows)]
        return table.with_columns(pl.concat([parameters.empty(), *parts]))


def template_table(found: Sequence[Template]) -> pl.DataFrame:
    """Table of templates: template_id, template (with ``<*>``), known."""
    return pl.DataFrame(
        {
            "template_id": [template.id for template in found],
            "template": shown([template.text for template in found]),
            "known": [template.known for template in found],
        },
        schema={"template_id": pl.String, "template": pl.String, "known": pl.Boolean},
    )


def gathered(table: pl.DataFrame, rows: Numbers, first_line: int = 1) -> pl.DataFrame:
    """Rows of a table of skeletons for the lines that have these skeletons, with the column ``line`` before them."""
    lines = table.select(pl.all().gather(pl.lit(pl.Series(rows))))
    return lines.insert_column(0, pl.Series("line", np.arange(first_line, first_line + rows.size)))


def _numbered(lines: Lines, skeletons: Skeletons) -> Numbers:
    parts = [skeletons.number(block) for block in _blocks(lines)]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int32)


def _with_rows(lines: Lines, rows: Numbers) -> Iterable[tuple[Block, Numbers]]:
    begin = 0
    for block in _blocks(lines):
        yield block, rows[begin : begin + block.begins.size]
        begin += block.begins.size


def _blocks(lines: Lines) -> Iterable[Block]:
    if isinstance(lines, os.PathLike):
        return blocks.of_file(Path(lines))
    return [Block.of_texts(_texts(lines))]


def _texts(lines: Lines) -> pl.Series:
    """Take the lines out of whatever holds them.

    Raises:
        SchemaError: if these are no texts.
    """
    if isinstance(lines, pl.LazyFrame):
        lines = lines.collect()
    if isinstance(lines, pl.DataFrame):
        lines = _content(lines)
    if isinstance(lines, str | bytes | os.PathLike):
        raise SchemaError(
            f"lines must be a Series, a list, a frame or a Path, found one {type(lines).__name__}: "
            "put a single line into a list, or a file name into pathlib.Path"
        )
    try:
        series = lines if isinstance(lines, pl.Series) else pl.Series(lines, dtype=pl.String)
    except (TypeError, pl.exceptions.PolarsError):
        raise SchemaError("lines must be texts, found a list with other values: convert them with str first") from None
    if series.dtype == pl.Null:
        series = series.cast(pl.String)
    if series.dtype not in (pl.String, pl.Categorical, pl.Enum):
        raise SchemaError(f"lines must be texts (String), found {series.dtype}: take the column with the text")
    return series.cast(pl.String)


def _content(frame: pl.DataFrame) -> pl.Series:
    named = [name for name in CONTENT if name in frame.columns] or frame.columns
    if len(named) != 1:
        raise SchemaError(
            f"a frame of lines must have a column 'content' or only one, found {frame.columns}: "
            "select the column with the text"
        )
    return frame[named[0]]
