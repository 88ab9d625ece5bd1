"""Event sequences of log sessions as numbers: codes, count vectors and windows.

:mod:`utils.datasets.sessions` groups lines into sessions and finds the distinct sequences; this module turns the list
column of events into one flat array with offsets (:class:`Sequences`, as the rows of a CSR matrix lie in memory), and
everything else is arithmetic on that array. Nothing loops over sessions.

Codes: the events of the vocabulary are 0, 1, ... in sorted order, then come three reserved codes: an event that was not
in training (also a null event), the beginning and the end of a session.

Count vectors of sessions are those of Xu, Huang, Fox, Patterson, Jordan, "Detecting Large-Scale System Problems by
Mining Console Logs", SOSP 2009; windows over the events with the next event as target are those of Du, Li, Zheng,
Srikumar, "DeepLog", CCS 2017. There the short sessions are often padded at the end with a symbol that no model can
predict, which flags them whatever they hold; here a window is padded at the beginning only, and the end of a session is
one token that can be learnt.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from utils.datasets import require, sessions
from utils.datasets.dtypes import is_text
from utils.errors import DataError, SchemaError

Codes = NDArray[np.unsignedinteger[Any]]
Ints = NDArray[np.int64]

KEY_BITS = 63


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The event types of the training sessions, and the code of each.

    Attributes:
        events: the event types, sorted; Int64, UInt64 or String. The code of an event is its place.
    """

    events: pl.Series

    @classmethod
    def fit(cls, column: pl.Series) -> Self:
        """Collect the event types of some sessions.

        Args:
            column: list column with the events of each session, or a column of events; integers or texts. Null events
                are no event types.

        Returns:
            The vocabulary.

        Raises:
            SchemaError: if the events are neither integers nor texts.
        """
        return cls(_plain(_flat(column)).drop_nulls().unique().sort().alias("event"))

    @property
    def unseen(self) -> int:
        """Code of every event that is not in the vocabulary."""
        return self.events.len()

    @property
    def begin(self) -> int:
        """Code of the token before the first event of a session."""
        return self.unseen + 1

    @property
    def end(self) -> int:
        """Code of the token after the last event of a session."""
        return self.unseen + 2

    @property
    def size(self) -> int:
        """Number of codes, the three reserved ones included."""
        return self.unseen + 3

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger[Any]]:
        """Smallest unsigned integer that holds every code."""
        return np.dtype(np.min_scalar_type(self.size))

    def codes(self, events: pl.Series) -> Codes:
        """Look up the codes of events.

        Args:
            events: a column of events, as wide an integer as they like, or texts.

        Returns:
            One code an event, shape (n,).

        Raises:
            SchemaError: if the events are of another kind than those of the vocabulary.
        """
        plain = _plain(events)
        if events.is_empty() or events.dtype == pl.Null or not self.unseen:
            return np.full(events.len(), self.unseen, self.dtype)
        if (plain.dtype == pl.String) != (self.events.dtype == pl.String):
            found = f"{events.dtype} against {self.events.dtype} in training"
            raise SchemaError(f"events must be of one kind, integers or texts, found {found}: write both the same way")
        numbers = pl.Series(np.arange(self.unseen, dtype=self.dtype))
        known = plain.cast(self.events.dtype, strict=False).replace_strict(
            self.events, numbers, default=self.unseen, return_dtype=numbers.dtype
        )
        return known.to_numpy()

    def decoded(self, codes: Codes) -> pl.Series:
        """Write codes as events again; every reserved code is null.

        Args:
            codes: codes, shape (n,).

        Returns:
            The events.
        """
        places = pl.Series(codes.astype(np.int64))
        return self.events.gather(places.set(places >= self.unseen, None))

    def name(self, code: int) -> str:
        """Name a code in words, for sentences and column titles."""
        reserved = {self.unseen: "unseen", self.begin: "begin", self.end: "end"}
        return reserved.get(code) or str(self.events[code])

    def places(self, events: Sequence[Any]) -> Ints:
        """Find the codes of some events that must be in the vocabulary or of its kind.

        Args:
            events: event types.

        Returns:
            The codes of those that are in the vocabulary, ascending.
        """
        column = pl.Series(list(events), dtype=None if events else self.events.dtype, strict=False)
        codes = np.unique(self.codes(column)).astype(np.int64)
        return codes[codes < self.unseen]


@dataclass(frozen=True, eq=False)
class Sequences:
    """Event sequences in one flat array: session i has the codes ``codes[offsets[i]:offsets[i + 1]]``.

    Attributes:
        codes: codes of all events, session after session, shape (n_events,).
        offsets: where each session begins, and the end of the last, shape (n_sessions + 1,).
        vocabulary: what the codes mean.
    """

    codes: Codes
    offsets: Ints
    vocabulary: Vocabulary

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, rows: int | slice) -> "Codes | Sequences":
        """Return the codes of one session, or the sessions of a slice; a step of 1 copies nothing."""
        if not isinstance(rows, slice):
            row = range(len(self))[rows]
            return self.codes[self.offsets[row] : self.offsets[row + 1]]
        first, last, step = rows.indices(len(self))
        if step != 1:
            return self.take(np.arange(first, last, step))
        bounds = self.offsets[first : max(first, last) + 1]
        return Sequences(self.codes[bounds[0] : bounds[-1]], bounds - bounds[0], self.vocabulary)

    @property
    def lengths(self) -> Ints:
        """Number of events of each session, shape (n_sessions,)."""
        return np.diff(self.offsets)

    @property
    def rows(self) -> Ints:
        """Session of each event, shape (n_events,)."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def take(self, rows: NDArray[np.integer[Any]]) -> "Sequences":
        """Copy some sessions, in the order given; one may be named several times.

        Args:
            rows: session numbers, shape (k,).

        Returns:
            The k sessions.
        """
        lengths = self.lengths[rows]
        places = np.repeat(self.offsets[:-1][rows], lengths) + _within(lengths)
        return Sequences(self.codes[places], _offsets(lengths), self.vocabulary)

    def to_series(self, name: str = "events") -> pl.Series:
        """Write the sessions as a list column of events again; an event that the vocabulary lacks is null.

        Args:
            name: name of the column.

        Returns:
            One list a session.
        """
        return list_column(self.vocabulary.decoded(self.codes), self.offsets, name)


class Distinct(NamedTuple):
    """The distinct sequences of some sessions, coded.

    Attributes:
        sequences: the k distinct sequences in order of first appearance.
        events: the same as a list column of events, with the events that the vocabulary lacks.
        counts: how many sessions (or how much weight) each stands for, shape (k,).
        inverse: the distinct sequence of each session, shape (n_sessions,).
    """

    sequences: Sequences
    events: pl.Series
    counts: NDArray[np.float64]
    inverse: Ints


def encode(column: pl.Series, vocabulary: Vocabulary) -> Sequences:
    """Code the events of sessions.

    Args:
        column: list column with the events of each session; an empty or null list is a session without events.
        vocabulary: the event types of training.

    Returns:
        The sequences.

    Raises:
        SchemaError: if the column holds no lists, or events of another kind than those of the vocabulary.
    """
    lists = _lists(column)
    lengths = lists.list.len().fill_null(0).to_numpy().astype(np.int64)
    return Sequences(vocabulary.codes(_flat(lists)), _offsets(lengths), vocabulary)


def distinct(
    frame: pl.DataFrame,
    events: str = "events",
    *,
    vocabulary: Vocabulary | None = None,
    weight: NDArray[Any] | None = None,
) -> Distinct:
    """Find and code the distinct sequences, so that work on sequences is done once for each.

    Args:
        frame: one row a session.
        events: list column with the events in order.
        vocabulary: the event types of training; those of this frame by default.
        weight: how many sessions each row stands for, shape (n_sessions,); 1 by default.

    Returns:
        The distinct sequences, their counts and the sequence of each session.

    Raises:
        SchemaError: if the column is missing, holds no lists, or events of another kind than those of the vocabulary.
    """
    _require_lists(frame, events)
    found = sessions.distinct_sequences(frame.select(_lists(frame[events]).alias(events)), events)
    column, inverse = found.table["events"], found.sequence_id.to_numpy().astype(np.int64)
    counts = np.bincount(inverse, weight, minlength=column.len()).astype(np.float64)
    return Distinct(encode(column, vocabulary or Vocabulary.fit(column)), column, counts, inverse)


def count_vectors(sequences: Sequences) -> sparse.csr_matrix:
    """Count the events of each session.

    Args:
        sequences: n sessions.

    Returns:
        Int64 counts, shape (n, number of event types + 1); column = code, so the last counts the unseen events. Column
        numbers of a row ascend.
    """
    shape = (len(sequences), sequences.vocabulary.unseen + 1)
    ones = np.ones(len(sequences.codes), np.int64)
    counts = sparse.csr_matrix((ones, sequences.codes.astype(np.int64), sequences.offsets.copy()), shape=shape)
    counts.sum_duplicates()
    return counts


@dataclass(frozen=True, eq=False)
class Windows:
    """All windows of ``width`` successive tokens that lie within one session.

    Attributes:
        tokens: events and tokens of all sessions in one array; that of the sequences itself if no token was added.
        width: tokens in a window.
        offsets: number of the first window of each session, and the number of windows, shape (n_sessions + 1,).
        begins: where in ``tokens`` the first window of each session begins, shape (n_sessions,).
        padding: tokens in front of the first event of a session.
        sequences: the sequences that the windows were cut from.
    """

    tokens: Codes
    width: int
    offsets: Ints
    begins: Ints
    padding: int
    sequences: Sequences

    def __len__(self) -> int:
        return int(self.offsets[-1])

    @cached_property
    def view(self) -> Codes:
        """Every run of ``width`` tokens as a row, without copying any: a read-only view, shape (n_runs, width).

        Rows that reach from one session into the next are in it too; ``starts`` names those that do not.
        """
        if len(self.tokens) < self.width:
            return np.empty((0, self.width), self.tokens.dtype)
        return np.lib.stride_tricks.sliding_window_view(self.tokens, self.width)

    @cached_property
    def starts(self) -> Ints:
        """Row of ``view`` of each window, shape (n_windows,)."""
        return np.repeat(self.begins - self.offsets[:-1], np.diff(self.offsets)) + np.arange(len(self))

    @cached_property
    def session(self) -> Ints:
        """Session of each window, shape (n_windows,)."""
        return np.repeat(np.arange(len(self.sequences)), np.diff(self.offsets))

    @property
    def position(self) -> Ints:
        """Place in its session of the last token of each window: 0 is the first event, n_events the end token."""
        return _within(np.diff(self.offsets)) + (self.width - 1 - self.padding)

    def values(self, rows: NDArray[Any] | slice = slice(None)) -> Codes:
        """Copy windows out of the view.

        Args:
            rows: which windows; all by default.

        Returns:
            Codes, shape (k, width).
        """
        return self.view[self.starts[rows]]

    def places(self, lines: pl.Series | None = None) -> pl.DataFrame:
        """Say for each window which session and events it covers, and on which log lines they stand.

        Args:
            lines: list column with the line of each event, as :mod:`utils.datasets.sessions` gathers with
                ``keep=["LineId"]``.

        Returns:
            One row a window: session (row of the sessions), first_event and last_event (places in the session from 0;
            null if the session has no event), and with ``lines`` first_line and last_line.

        Raises:
            DataError: if the lines are not as many as the events.
        """
        last = np.minimum(self.position, self.sequences.lengths[self.session] - 1)
        first = np.maximum(self.position - (self.width - 1), 0)
        table = pl.DataFrame({"session": self.session, "first_event": np.minimum(first, last), "last_event": last})
        covered = table.with_columns(pl.when(pl.col("last_event") >= 0).then(pl.col("^.*_event$")))
        return covered if lines is None else covered.with_columns(self._lines(covered, lines))

    def _lines(self, covered: pl.DataFrame, lines: pl.Series) -> list[pl.Series]:
        lengths = _lists(lines).list.len().fill_null(0).to_numpy()
        if not np.array_equal(lengths, self.sequences.lengths):
            found = f"{lengths.sum()} lines in {len(lengths)} lists"
            wanted = f"{len(self.sequences.codes)} events of {len(self.sequences)} sessions"
            raise DataError(f"there must be one line for each of the {wanted}, found {found}: gather them together")
        flat, begins = _flat(lines), pl.Series(self.sequences.offsets[self.session])
        return [flat.gather(begins + covered[f"{end}_event"]).alias(f"{end}_line") for end in ("first", "last")]


class DistinctWindows(NamedTuple):
    """The distinct windows of some sessions.

    Attributes:
        values: codes, shape (k, width), in the order of their codes.
        counts: windows equal to each, shape (k,).
        inverse: the distinct window of each window, shape (n_windows,).
    """

    values: Codes
    counts: Ints
    inverse: Ints


def windows(sequences: Sequences, width: int, *, begin: bool = True, end: bool = True) -> Windows:
    """Cut every session into windows that move by one token.

    With ``begin``, as many begin tokens go before each session as the first window needs to end at the first event, so
    each event is the last of exactly one window: with a width of h + 1, the h tokens before an event are its history
    and the last column is the event to predict. With ``end``, one window more ends at the end token. Nothing is padded
    at the end. Without ``begin``, a session shorter than the window gives none.

    Args:
        sequences: n sessions.
        width: tokens in a window, at least 1.
        begin: put begin tokens before the sessions.
        end: put one end token after each session.

    Returns:
        The windows, session after session; without tokens they are views of the codes themselves.

    Raises:
        DataError: if the width is below 1.
    """
    if width < 1:
        raise DataError(f"a window must be at least 1 token wide, found {width}: give a positive number")
    padding = width - 1 if begin else 0
    full = sequences.lengths + padding + end
    token_offsets = _offsets(full)
    per_session = np.maximum(full - (width - 1), 0)
    tokens = _padded(sequences, token_offsets, padding) if padding or end else sequences.codes
    return Windows(tokens, width, _offsets(per_session), token_offsets[:-1], padding, sequences)


def distinct_windows(cut: Windows) -> DistinctWindows:
    """Find the distinct windows, so that a model sees each once, weighted by its count.

    As many neighbouring tokens as fit are packed into one 64-bit number, exactly; wider windows are made of several
    such numbers, each replaced by its rank.

    Args:
        cut: windows.

    Returns:
        The distinct windows with their counts, and the distinct window of each window.
    """
    bits = max(1, (cut.sequences.vocabulary.size - 1).bit_length())
    at_once = min(cut.width, KEY_BITS // bits)
    packed = _packed(cut.tokens, at_once, bits)
    keys = packed[cut.starts]
    for first in range(at_once, cut.width, at_once):
        more, rank = _ranked(packed[cut.starts + min(first, cut.width - at_once)])
        keys = _ranked(keys)[1] * len(more) + rank
    unique, inverse = _ranked(keys)
    representative = np.zeros(len(unique), np.int64)
    representative[inverse] = np.arange(len(cut))
    return DistinctWindows(cut.values(representative), np.bincount(inverse, minlength=len(unique)), inverse)


class SessionCounts(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Count vectors of sessions, with the event types of the training sessions and one column for all others.

    Attributes:
        vocabulary_: the event types of training.
    """

    def __init__(self, events: str = "events") -> None:
        self.events = events

    def fit(self, X: pl.DataFrame, y: object = None) -> Self:
        """Learn the event types.

        Args:
            X: one row a session, with a list column of events.
            y: not used.

        Returns:
            The transformer itself.

        Raises:
            SchemaError: if the column is missing or holds no lists of integers or texts.
        """
        _require_lists(X, self.events)
        self.vocabulary_ = Vocabulary.fit(X[self.events])
        return self

    def transform(self, X: pl.DataFrame) -> sparse.csr_matrix:
        """Count the events of each session.

        Args:
            X: n sessions.

        Returns:
            Counts as float64, shape (n, number of event types + 1).

        Raises:
            SchemaError: if the column is missing or holds events of another kind than in training.
        """
        check_is_fitted(self)
        _require_lists(X, self.events)
        return count_vectors(encode(X[self.events], self.vocabulary_)).astype(np.float64)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Name the columns: ``count_<event>`` for each event type, and ``unseen_events``.

        Args:
            input_features: not used.

        Returns:
            The names, shape (number of event types + 1,).
        """
        check_is_fitted(self)
        names = [f"count_{event}" for event in self.vocabulary_.events]
        return np.array([*names, "unseen_events"], dtype=object)


def vector_keys(vectors: sparse.csr_matrix) -> pl.Series:
    """Write each row as a list of its columns and counts, which is equal exactly for equal rows.

    Args:
        vectors: whole numbers, shape (n, columns); columns in order and no stored zeros.

    Returns:
        A list column of n rows.
    """
    pairs = np.empty(2 * vectors.nnz, np.int64)
    pairs[0::2], pairs[1::2] = vectors.indices, vectors.data
    return list_column(pl.Series(pairs), 2 * vectors.indptr.astype(np.int64), "key")


def list_column(flat: pl.Series, offsets: Ints, name: str) -> pl.Series:
    """Make a list column of a flat column and the offsets of its lists.

    Args:
        flat: all values, list after list.
        offsets: where each list begins, and the end of the last, shape (n + 1,).
        name: name of the column.

    Returns:
        n lists.
    """
    values = flat.to_arrow(compat_level=pl.CompatLevel.oldest())
    lists = pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), values)
    made = pl.Series(name, lists)
    return made.cast(pl.List(flat.dtype)) if made.dtype != pl.List(flat.dtype) else made


def _plain(events: pl.Series) -> pl.Series:
    """Write events as Int64, UInt64 or String, so that equal events are equal whatever the width of their type.

    Raises:
        SchemaError: if they are neither integers nor texts.
    """
    if is_text(events.dtype) or events.dtype == pl.Null:
        return events.cast(pl.String)
    if events.dtype.is_unsigned_integer():
        return events.cast(pl.UInt64, strict=False)
    if events.dtype.is_integer():
        return events.cast(pl.Int64, strict=False)
    raise SchemaError(f"events must be integers or texts, found {events.dtype}: give event ids or template ids")


def _lists(column: pl.Series) -> pl.Series:
    """Return a column of lists.

    Raises:
        SchemaError: if it holds none.
    """
    if isinstance(column.dtype, pl.Array):
        return column.arr.to_list()
    if column.dtype == pl.Null:
        return column.cast(pl.List(pl.Null))
    if not isinstance(column.dtype, pl.List):
        raise SchemaError(f"column {column.name!r} must hold lists of events, found {column.dtype}: sessionise first")
    return column


def _flat(column: pl.Series) -> pl.Series:
    """All events of a column, list after list."""
    if not isinstance(column.dtype, pl.List | pl.Array):
        return column
    return _lists(column).explode(empty_as_null=False, keep_nulls=False)


def _require_lists(frame: pl.DataFrame, events: str) -> None:
    require.columns(frame, [events], "the table of sessions")
    _lists(frame[events])


def _offsets(lengths: NDArray[Any]) -> Ints:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def _within(lengths: Ints) -> Ints:
    """Count 0, 1, ... within each of some runs."""
    return np.arange(lengths.sum()) - np.repeat(_offsets(lengths)[:-1], lengths)


def _padded(sequences: Sequences, token_offsets: Ints, padding: int) -> Codes:
    """Lay the sessions out with begin tokens before and an end token after each, as far as there is room."""
    tokens = np.full(token_offsets[-1], sequences.vocabulary.begin, sequences.codes.dtype)
    shift = token_offsets[:-1] + padding - sequences.offsets[:-1]
    tokens[np.repeat(shift, sequences.lengths) + np.arange(len(sequences.codes))] = sequences.codes
    after = token_offsets[:-1] + padding + sequences.lengths
    tokens[after[after < token_offsets[1:]]] = sequences.vocabulary.end
    return tokens


def _packed(tokens: Codes, width: int, bits: int) -> Ints:
    """Pack the ``width`` tokens from each place on into one number: by doubling, as powers are computed."""
    keys, have = tokens.astype(np.int64), 1
    for more in f"{width:b}"[1:]:
        keys = (keys[: max(0, len(keys) - have)] << bits * have) | keys[have:]
        have *= 2
        if more == "1":
            keys = (keys[:-1] << bits) | tokens[have:]
            have += 1
    return keys


def _ranked(keys: Ints) -> tuple[Ints, Ints]:
    """Sorted distinct keys, and the rank of each key."""
    column = pl.Series(keys)
    unique = column.unique().sort()
    ranks = column.replace_strict(unique, pl.int_range(unique.len(), eager=True)) if keys.size else column
    return unique.to_numpy(), ranks.to_numpy()
