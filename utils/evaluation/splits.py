"""Divide rows into a training and a test part that have nothing in common that would give answers away.

Every function is deterministic by its seed and returns row numbers, rising. Rows that are copies of each other, that
belong to one session or that share an entity are no independent evidence: give them one group (:func:`distinct_rows`,
:func:`linked`) and split by group.

| question about new data | split |
|---|---|
| more of the same | :func:`stratified`, :func:`repeated`, :func:`k_fold`, each with ``groups`` where rows repeat |
| from other hosts, users, sessions | :func:`grouped`, :func:`entity_disjoint` |
| from tomorrow | :func:`by_time` |
| anomalies of a kind never seen | :func:`leave_one_group_out` |
| as others published | :func:`published` |
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl
from scipy import sparse
from scipy.sparse import csgraph

from utils import settings
from utils.datasets import require
from utils.datasets.contract import NORMAL, Roles
from utils.datasets.wording import listed
from utils.errors import DataError, SchemaError
from utils.evaluation import inputs
from utils.evaluation.inputs import Bools, Floats, Ints, Values

TRIES = 8
"""Random draws of groups of which the one with the nearest class shares is taken."""

MOVES = 200
"""Most corrections of one draw of groups."""


@dataclass(frozen=True, eq=False)
class Split:
    """Rows to learn from and rows to judge by.

    Attributes:
        name: how the rows were divided, for tables and runs.
        train: row numbers of the training part, rising (int64, read-only).
        test: row numbers of the test part.

    Raises:
        DataError: if a part is empty, or a row stands twice or on both sides.
    """

    name: str
    train: Ints
    test: Ints

    def __post_init__(self) -> None:
        for side in ("train", "test"):
            object.__setattr__(self, side, _row_numbers(getattr(self, side), f"{self.name}: {side}"))
        if _repeats(self.train, self.test):
            raise DataError(f"{self.name}: each row must stand once, found some twice or on both sides: divide them")

    @property
    def test_share(self) -> float:
        """Share of the test rows among both parts."""
        return self.test.size / (self.test.size + self.train.size)

    def inside(self, inner: "Split") -> "Split":
        """Apply a split of the training rows (numbered from 0) to the whole table: both parts lie in training."""
        return Split(f"{self.name}, {inner.name}", self.train[inner.train], self.train[inner.test])


@dataclass(frozen=True)
class _Things:
    """Single rows, or groups of rows, that go to one side as a whole.

    Attributes:
        place: class of each row (rows,).
        classes: how an error calls each class.
        group: group of each row (rows,); ``None`` where each row goes alone.
    """

    place: Ints
    classes: list[str]
    group: Ints | None

    def sizes(self) -> Floats:
        """Rows of each class in each group (groups, classes)."""
        assert self.group is not None
        groups, classes = int(self.group.max()) + 1, len(self.classes)
        counts = np.bincount(self.group * classes + self.place, minlength=groups * classes)
        return counts.reshape(groups, classes).astype(np.float64)

    def totals(self) -> Ints:
        """Rows of each class (classes,)."""
        return np.bincount(self.place, minlength=len(self.classes))


def stratified(y: Values, test_share: float = 0.2, seed: int = settings.SEED) -> Split:
    """Divide rows at random, each class by the same share.

    Args:
        y: class of each row, of any type (rows,).
        test_share: share of the rows that go to the test part.
        seed: seed of the draw.

    Returns:
        A split with at least one row of each class on both sides.

    Raises:
        DataError: if a class has fewer than two rows, or the share does not lie between 0 and 1.
    """
    return _by_thing("stratified", _things(y, None), test_share, seed)


def grouped(y: Values | None, groups: Values, test_share: float = 0.2, seed: int = settings.SEED) -> Split:
    """Divide rows so that no group stands on both sides and the class shares are as near as the groups allow.

    Args:
        y: class of each row (rows,); ``None`` to look at sizes only.
        groups: group of each row (rows,); a row without one stands alone.
        test_share: share of the rows that go to the test part.
        seed: seed of the draw.

    Raises:
        DataError: if a class stands in fewer than two groups, or the groups are too large to divide.
    """
    return _by_thing("grouped", _things(y, groups), test_share, seed)


def repeated(
    y: Values,
    test_share: float = 0.2,
    repeats: int = 10,
    seed: int = settings.SEED,
    groups: Values | None = None,
) -> list[Split]:
    """Divide rows again and again, as :func:`stratified` or, with groups, :func:`grouped` does.

    The splits overlap: their values are no independent sample. Use
    :func:`utils.evaluation.metrics.over_splits`, which corrects for it.

    Args:
        y: class of each row (rows,).
        test_share: share of the rows that go to each test part.
        repeats: number of splits; the first ones are the same whatever the number.
        seed: seed of the draws.
        groups: group of each row (rows,).

    Raises:
        DataError: if the rows cannot be divided so, or there are no repeats.
    """
    if repeats < 1:
        raise DataError(f"repeated splits need at least 1 repeat, found {repeats}: give a positive number")
    things = _things(y, groups)
    name = "stratified" if groups is None else "grouped"
    return [_by_thing(f"{name} {k + 1} of {repeats}", things, test_share, (seed, k)) for k in range(repeats)]


def k_fold(y: Values | None, folds: int = 5, seed: int = settings.SEED, groups: Values | None = None) -> list[Split]:
    """Divide rows into folds, each the test part once, class shares as near as possible.

    Args:
        y: class of each row (rows,); with groups it may be ``None``.
        folds: number of folds.
        seed: seed of the draw.
        groups: group of each row (rows,); no group stands in two folds.

    Raises:
        DataError: if a class has fewer rows (or groups) than there are folds.
    """
    things = _things(y, groups)
    if folds < 2:
        raise DataError(f"cross-validation needs at least 2 folds, found {folds}: give a larger number")
    _require_spread(things, folds, f"{folds} folds")
    rng = np.random.default_rng(seed)
    fold = _deal_rows(things, folds, rng) if things.group is None else _deal_groups(things, folds, rng)[things.group]
    for part in range(folds):
        _require_both_sides(things, fold == part, f"fold {part + 1} of {folds}")
    return [Split(f"fold {part + 1} of {folds}", *_sides(fold == part)) for part in range(folds)]


def by_time(
    times: Values,
    test_share: float = 0.2,
    *,
    y: Values | None = None,
    within: Values | None = None,
    gap: timedelta | float | None = None,
) -> Split:
    """Learn from the past and judge by the future: the newest rows are the test part; rows of one time stay together.

    Args:
        times: time of each row: dates, times or numbers (rows,).
        test_share: share of the rows that go to the test part, as near as equal times allow.
        y: class of each row; given, each must stand on both sides.
        within: class of each row; given, each class is divided by its own time, so that classes that came one after
            the other stand on both sides. Test rows of one class may then be older than training rows of another.
        gap: training rows that are this much or less older than the first test row are left out.

    Raises:
        DataError: if a time is missing or endless, all are equal, or a class of ``y`` stands on one side only.
        SchemaError: if the times are no times and no numbers, or the gap does not fit them.
    """
    clock, least = _clock(times, gap)
    share = inputs.as_test_share(test_share)
    if within is None:
        train, test = _past_and_future(clock, share, least, "rows")
    else:
        classes, place = _classes(within, clock.size)
        numbers = [np.flatnonzero(place == number) for number in range(len(classes))]
        parts = [
            [rows[side] for side in _past_and_future(clock[rows], share, least, name)]
            for rows, name in zip(numbers, classes, strict=True)
        ]
        train, test = (np.concatenate(side) for side in zip(*parts, strict=True))
    if y is not None:
        tested = np.zeros(clock.size, dtype=np.bool_)
        tested[test] = True
        _require_both_sides(_things(y, None), tested, "a split by time", np.union1d(train, test))
    return Split("by time" if within is None else "by time within class", train, test)


def entity_disjoint(
    y: Values | None,
    entities: pl.DataFrame | Mapping[str, Values],
    test_share: float = 0.2,
    seed: int = settings.SEED,
    *,
    same_kind: bool = False,
) -> Split:
    """Divide rows so that no value of any entity column (user, host, address) stands on both sides.

    Rows that share a value are linked, and so are their other rows: whole chains go to one side.

    Args:
        y: class of each row (rows,); ``None`` to look at sizes only.
        entities: the entity columns; a row without a value is not linked by that column.
        test_share: share of the rows that go to the test part.
        seed: seed of the draw.
        same_kind: compare values across columns, as source and destination addresses.

    Raises:
        DataError: if one chain takes in so many rows that the rest gives less than half of the test share, or a class
            stands in one chain only.
    """
    columns = pl.DataFrame(dict(entities)) if isinstance(entities, Mapping) else entities
    chain = linked(columns, same_kind=same_kind)
    largest = int(np.bincount(chain).max(initial=0))
    left = chain.size - largest
    if left < inputs.as_test_share(test_share) * chain.size / 2:
        raise DataError(_swallowed(columns, largest))
    return _by_thing("entity-disjoint", _things(y, chain), test_share, seed)


def leave_one_group_out(
    types: Values,
    test_share: float = 0.2,
    seed: int = settings.SEED,
    *,
    normal: str = NORMAL,
    groups: Values | None = None,
) -> list[Split]:
    """Judge by anomalies of a kind that training never saw: one split for each kind.

    The test part holds all rows of one kind and the same share of the normals each time; the other kinds and the other
    normals are the training part.

    Args:
        types: kind of each row, ``normal`` for normal rows (rows,).
        test_share: share of the normals that go to the test part.
        seed: seed of the draw of the normals.
        normal: the name of normal rows.
        groups: group of each row; training rows whose group is tested are left out (rows,).

    Raises:
        DataError: if there are fewer than two kinds of anomaly or fewer than two normals.
    """
    kinds = _plain_names(types)
    normals = np.flatnonzero((kinds == normal).to_numpy())
    families = sorted(kinds.filter(kinds != normal).unique().to_list())
    if len(families) < 2:
        raise DataError(f"a kind can be left out only where others stay, found {len(families)} kinds: use stratified")
    numbers = None if groups is None else inputs.codes(groups, len(kinds))
    same = pl.repeat("normals", normals.size, eager=True)
    inner = _by_thing(normal, _things(same, None if numbers is None else numbers[normals]), test_share, seed)
    found = []
    for family in families:
        tested = (kinds == family).to_numpy()
        tested[normals[inner.test]] = True
        train, test = _sides(tested)
        if numbers is not None:
            train = train[~np.isin(numbers[train], numbers[test])]
        found.append(Split(f"without {family}", train, test))
    return found


def published(frame: pl.DataFrame, roles: Roles) -> Split:
    """Take the split that the data came with.

    Args:
        frame: any table.
        roles: what its columns mean; ``roles.split`` names the column with ``"train"`` and ``"test"``.

    Raises:
        SchemaError: if there is no such column.
        DataError: if it holds something else.
    """
    if roles.split is None or roles.split not in frame.columns:
        raise SchemaError(f"a published split needs a split column, found {roles.split!r}: use stratified or by_time")
    side = frame[roles.split].cast(pl.String)
    other = side.filter(~side.is_in(["train", "test"]).fill_null(False)).unique().sort().to_list()
    if other:
        raise DataError(f"column {roles.split!r} must hold 'train' and 'test', found {listed(other)}: map them")
    return Split("published", *_sides((side == "test").to_numpy()))


def distinct_rows(frame: pl.DataFrame, columns: Sequence[str] | None = None) -> Ints:
    """Number the distinct rows 0, 1, ... in order of first appearance: groups that keep copies on one side.

    Args:
        frame: any table; lists (event sequences) are compared as a whole, missing values are equal.
        columns: what is compared; all columns by default.

    Returns:
        The number of each row (rows,).

    Raises:
        SchemaError: if a column is missing.
    """
    names = list(frame.columns if columns is None else columns)
    require.columns(frame, names, "the table")
    if not names:
        raise SchemaError("distinct rows need a column to be compared by, found none: name columns")
    return inputs.row_codes(frame.select(names))


def linked(entities: pl.DataFrame, *, same_kind: bool = False) -> Ints:
    """Number the chains of rows that share a value of any column (connected components).

    Args:
        entities: the entity columns; missing values link nothing.
        same_kind: compare values across columns.

    Returns:
        The chain of each row (rows,).
    """
    height = entities.height
    rows, values, size = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)], height
    for known, number in _entity_values(entities, same_kind):
        rows.append(known)
        values.append(number + size)
        size += int(number.max(initial=-1)) + 1
    row, value = np.concatenate(rows), np.concatenate(values)
    graph = sparse.coo_matrix((np.ones(row.size, dtype=np.int8), (row, value)), shape=(size, size))
    chain = csgraph.connected_components(graph, directed=False)[1][:height]
    return inputs.codes(pl.Series(chain))


def _entity_values(entities: pl.DataFrame, same_kind: bool) -> Iterator[tuple[Ints, Ints]]:
    """Number the values of the columns: rows that have one, and its number; one pair for each kind of entity."""
    columns = entities.get_columns()
    kinds = [[column.cast(pl.String) for column in columns]] if same_kind and columns else [[one] for one in columns]
    for kind in kinds:
        values = pl.concat([column.alias("value") for column in kind])
        values = inputs.without_nan(values)
        known = np.flatnonzero(values.is_not_null().to_numpy())
        yield known % max(entities.height, 1), inputs.codes(values)[known]


def _row_numbers(rows: Ints, what: str) -> Ints:
    """Take row numbers, rising and read-only.

    Raises:
        DataError: if there are none or they cannot be row numbers.
    """
    given = np.asarray(rows)
    if given.ndim != 1 or not given.size or given.dtype.kind not in "iu" or given.min() < 0:
        raise DataError(f"{what} must be row numbers, at least one, found {given.dtype} {given.shape}: give some rows")
    sorted_rows = np.sort(given.astype(np.int64), kind="stable")
    sorted_rows.setflags(write=False)
    return sorted_rows


def _repeats(*parts: Ints) -> bool:
    """Tell whether any row number stands twice, in one of the rising parts or in two of them."""
    rows = np.concatenate(parts)
    rows.sort(kind="stable")
    return bool((rows[1:] == rows[:-1]).any())


def _sides(tested: Bools) -> tuple[Ints, Ints]:
    return np.flatnonzero(~tested), np.flatnonzero(tested)


def _plain_names(values: Values) -> pl.Series:
    series = inputs.as_series(values)
    return inputs.as_names(series, len(series), "types")


def _classes(y: Values, rows: int) -> tuple[list[str], Ints]:
    """Name the classes for errors and number the class of each row."""
    series = inputs.as_series(y)
    if series.dtype == pl.Boolean and not series.null_count() and len(series) == rows:
        return _two_classes(series)
    kinds = inputs.as_names(series, rows, "classes")
    present = sorted(kinds.unique().to_list())
    place = kinds.replace_strict(present, range(len(present)), return_dtype=pl.Int64).to_numpy()
    return [f"rows of class {name!r}" for name in present], np.asarray(place, dtype=np.int64)


def _two_classes(verdicts: pl.Series) -> tuple[list[str], Ints]:
    place = verdicts.cast(pl.Int64).to_numpy()
    names = ("normals", "anomalies")
    present = [number for number in (0, 1) if (place == number).any()]
    return [names[number] for number in present], place - min(present, default=0)


def _things(y: Values | None, groups: Values | None) -> _Things:
    """Check what is to be divided.

    Raises:
        DataError: if there are fewer than two rows or the inputs do not fit together.
    """
    if y is not None:
        size = len(inputs.as_series(y))
    elif groups is not None:
        size = len(inputs.as_series(groups))
    else:
        raise DataError("rows are divided by class or by group, found neither: give y or groups")
    if size < 2:
        raise DataError(f"{size} rows cannot stand on both sides of a split: give more rows")
    names, place = _classes(y, size) if y is not None else (["rows"], np.zeros(size, dtype=np.int64))
    return _Things(place, names, None if groups is None else inputs.codes(groups, size))


def _require_spread(things: _Things, parts: int, where: str) -> None:
    """Check that each class has at least one row, or group, for each part.

    Raises:
        DataError: if one does not.
    """
    totals = things.totals()
    holders = totals if things.group is None else np.count_nonzero(things.sizes(), axis=0)
    for name, total, held in zip(things.classes, totals, holders, strict=True):
        if held < parts:
            among = "" if things.group is None else f" in {held:,} {'group' if held == 1 else 'groups'}"
            raise DataError(
                f"{total:,} {name}{among} cannot stand on {where}: add rows, merge classes or divide otherwise"
            )


def _require_both_sides(things: _Things, tested: Bools, where: str, among: Ints | None = None) -> None:
    """Check that each class stands on both sides.

    Args:
        things: the classes of all rows.
        tested: which rows are in the test part (rows,).
        where: how an error calls the division.
        among: rows that are in either part; all by default.

    Raises:
        DataError: if one does not.
    """
    place, side = (things.place, tested) if among is None else (things.place[among], tested[among])
    counts = np.bincount(place * 2 + side, minlength=2 * len(things.classes)).reshape(-1, 2)
    for name, (trained, judged) in zip(things.classes, counts, strict=True):
        if not trained or not judged:
            raise DataError(
                f"{where} leaves {trained:,} {name} to training and {judged:,} to the test: choose another share "
                "or seed, merge classes, or divide otherwise (by time: within=)"
            )


def _by_thing(name: str, things: _Things, test_share: float, seed: int | tuple[int, int]) -> Split:
    """Choose the rows or groups of the test part.

    Raises:
        DataError: if a class cannot stand on both sides.
    """
    share = inputs.as_test_share(test_share)
    _require_spread(things, 2, "both sides of a split")
    rng = np.random.default_rng(seed)
    if things.group is None:
        tested = _draw_rows(things, share, rng)
    else:
        tested = _draw_groups(things.sizes(), share, rng)[things.group]
        _require_both_sides(things, tested, f"a division of {int(things.group.max()) + 1:,} groups")
    return Split(name, *_sides(tested))


def _draw_rows(things: _Things, share: float, rng: np.random.Generator) -> Bools:
    """Draw the same share of each class; what rounding leaves over goes to the classes that lost most."""
    totals = things.totals()
    wanted = np.floor(share * totals).astype(np.int64)
    left = round(share * things.place.size) - int(wanted.sum())
    wanted[np.argsort(wanted - share * totals, kind="stable")[: max(left, 0)]] += 1
    wanted = np.clip(wanted, 1, totals - 1)
    order = _shuffled_by_class(things, rng)
    rank = np.arange(order.size) - np.repeat(np.cumsum(totals) - totals, totals)
    tested = np.zeros(order.size, dtype=np.bool_)
    tested[order] = rank < np.repeat(wanted, totals)
    return tested


def _shuffled_by_class(things: _Things, rng: np.random.Generator) -> Ints:
    """Row numbers class by class, in random order within the class."""
    order = rng.permutation(things.place.size)
    return np.asarray(order[np.argsort(things.place[order], kind="stable")])


def _draw_groups(sizes: Floats, share: float, rng: np.random.Generator) -> Bools:
    """Draw groups at random, then move as few kinds of groups as bring the class shares nearest; best of some draws."""
    kind = inputs.row_codes(pl.DataFrame(sizes))
    first = np.unique(kind, return_index=True)[1]
    vectors, counts = sizes[first], np.bincount(kind)
    tries = [_balanced(vectors, counts, share, rng) for _ in range(TRIES)]
    taken = min(tries, key=lambda some: float(_distance(some @ vectors, counts @ vectors, share)))
    order = rng.permutation(kind.size)
    order = order[np.argsort(kind[order], kind="stable")]
    rank = np.arange(kind.size) - np.repeat(np.cumsum(counts) - counts, counts)
    tested = np.zeros(kind.size, dtype=np.bool_)
    tested[order] = rank < np.repeat(taken, counts)
    return tested


def _balanced(vectors: Floats, counts: Ints, share: float, rng: np.random.Generator) -> Ints:
    """Choose how many groups of each kind are tested.

    Starts from a random share of each kind, groups that alone overshoot left out, and then moves groups of one kind
    after the other across, each time those that bring the class shares nearest.

    Args:
        vectors: rows of each class in one group of the kind (kinds, classes).
        counts: groups of each kind (kinds,).
        share: wanted share of each class.
        rng: source of the draw.
    """
    totals = counts @ vectors
    fits = ((vectors / totals - share) ** 2).sum(axis=1) < share**2 * totals.size
    room = float((counts * fits) @ vectors.sum(axis=1) / totals.sum())
    expected = counts * fits * min(1.0, share / room if room else 0.0)
    taken = np.minimum(np.floor(expected + rng.random(counts.size)).astype(np.int64), counts)
    scale = np.square(vectors / totals).sum(axis=1)
    for _ in range(MOVES):
        held = taken @ vectors
        best = np.rint((((share * totals - held) / totals**2) @ vectors.T) / scale).astype(np.int64)
        moves = np.clip(np.stack([best, np.ones_like(best), -np.ones_like(best)]), -taken, counts - taken)
        reached = _distance(held + moves[..., None] * vectors, totals, share)
        way, kind = np.unravel_index(int(reached.argmin()), reached.shape)
        if reached[way, kind] >= _distance(held, totals, share) - 1e-15:
            break
        taken[kind] += moves[way, kind]
    return np.asarray(taken)


def _distance(held: Floats, totals: Floats, share: float) -> Floats:
    """How far the tested share of each class is from the wanted one; a class on one side only is far off."""
    missing = (held <= 0) | (held >= totals)
    return np.asarray((np.square(held / totals - share) + missing).sum(axis=-1))


def _deal_rows(things: _Things, folds: int, rng: np.random.Generator) -> Ints:
    """Deal the rows of each class in turn, so that neither classes nor folds differ by more than one row."""
    fold = np.empty(things.place.size, dtype=np.int64)
    fold[_shuffled_by_class(things, rng)] = np.arange(fold.size) % folds
    return fold


def _deal_groups(things: _Things, folds: int, rng: np.random.Generator) -> Ints:
    """Deal groups of one kind evenly, and what is left over, the largest first, where its classes are scarcest."""
    sizes = things.sizes()
    kind = inputs.row_codes(pl.DataFrame(sizes))
    order = rng.permutation(kind.size)
    order = order[np.argsort(kind[order], kind="stable")]
    counts = np.bincount(kind)
    rank = np.arange(kind.size) - np.repeat(np.cumsum(counts) - counts, counts)
    even = rank < np.repeat(counts - counts % folds, counts)
    fold = np.full(kind.size, -1, dtype=np.int64)
    fold[order[even]] = rank[even] % folds
    totals = sizes.sum(axis=0)
    held = np.stack([sizes[fold == part].sum(axis=0) for part in range(folds)]) / totals
    left = order[~even]
    for group in left[np.argsort(-sizes[left].sum(axis=1), kind="stable")]:
        share = sizes[group] / totals
        part = int((held @ share + rng.random(folds) * 1e-12).argmin())
        fold[group] = part
        held[part] += share
    return fold


def _clock(times: Values, gap: timedelta | float | None) -> tuple[Ints | Floats, float]:
    """Turn times into numbers, and the gap into the same unit.

    Raises:
        DataError: if a time is missing or endless, or the gap is negative.
        SchemaError: if the times are no times and no numbers, or the gap does not fit them.
    """
    series = inputs.as_series(times)
    per_second = _per_second(series.dtype)
    if per_second is None and not series.dtype.is_numeric():
        raise SchemaError(f"times must be dates, times or numbers, found {series.dtype}: parse them first")
    if isinstance(gap, timedelta) != (per_second is not None) and gap is not None:
        raise SchemaError(f"the gap must be a timedelta for times and a number for numbers, found {gap!r}: convert it")
    series = series.to_physical() if per_second is not None else series
    missing = series.null_count() + (int((~series.is_finite()).sum()) if series.dtype.is_float() else 0)
    if missing:
        raise DataError(f"each row must have a time, found {missing:,} of {len(series):,} without: leave them out")
    least = gap.total_seconds() * (per_second or 1.0) if isinstance(gap, timedelta) else float(gap or 0)
    if least < 0:
        raise DataError(f"the gap must not be negative, found {gap!r}: give a positive one")
    return np.asarray(series.cast(pl.Int64 if series.dtype.is_integer() else pl.Float64).to_numpy()), least


def _per_second(kind: pl.DataType) -> float | None:
    """Physical units of a type of time in one second; ``None`` for what is no time."""
    if isinstance(kind, pl.Date):
        return 1 / 86_400
    if isinstance(kind, pl.Datetime | pl.Duration):
        return {"ns": 1e9, "us": 1e6, "ms": 1e3}[kind.time_unit]
    return None


def _past_and_future(clock: Ints | Floats, share: float, gap: float, what: str) -> tuple[Ints, Ints]:
    """Cut between two times, as near to the share as equal times allow.

    Raises:
        DataError: if there are no two times, or the gap leaves nothing to learn from.
    """
    distinct, counts = np.unique(clock, return_counts=True)
    if distinct.size < 2:
        raise DataError(f"{clock.size:,} {what} of one time cannot stand on both sides of a split by time: use grouped")
    past = np.cumsum(counts)[:-1]
    first_test = distinct[1 + int(np.abs(past - (1 - share) * clock.size).argmin())]
    older = first_test - clock
    train = np.flatnonzero((older > gap) & (older > 0))
    if not train.size:
        raise DataError(f"a gap of {gap:g} leaves none of {clock.size:,} {what} to training: choose a shorter one")
    return train, np.flatnonzero(older <= 0)


def _swallowed(entities: pl.DataFrame, largest: int) -> str:
    """Say what links too much, and what to do; values themselves are not shown."""
    counted = {name: int(entities[name].drop_nulls().unique_counts().to_numpy().max()) for name in entities.columns}
    most = max(counted, key=lambda name: counted[name])
    return (
        f"rows linked by {', '.join(entities.columns)} must fall into several chains, found one chain of {largest:,} "
        f"of {entities.height:,} rows: leave out the column that links most (one value of {most!r} stands in "
        f"{counted[most]:,} rows), use grouped with one column, or by_time"
    )
