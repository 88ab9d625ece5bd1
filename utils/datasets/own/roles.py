"""What the columns of a user's table mean: label, kind of anomaly, features, and what is kept out of them."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import polars as pl

from utils.datasets.contract import ANOMALY_TYPE, LABEL, Dataset, Defect, Roles
from utils.datasets.own import paths, times
from utils.datasets.own.entry import OwnEntry
from utils.datasets.wording import listed, nearest
from utils.errors import DataError

LOW_CARDINALITY = 50
FEW_ROWS = 20
DATE_LIKE = r"^\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})([T ]\s*\d{1,2}:\d{2}.*)?\s*$"
SPLITS: Mapping[str, str] = {"train": "train", "training": "train", "test": "test", "testing": "test"}


def require(entry: OwnEntry, frame: pl.DataFrame, where: str, named: Mapping[str, str]) -> None:
    """Check that columns which the entry names are in the file.

    Args:
        entry: the entry.
        frame: what was read.
        where: what was read, in words.
        named: key of the entry and the column that it names.

    Raises:
        CatalogError: for the first that is not, with near names.
    """
    for key, name in named.items():
        if name not in frame.columns:
            same = [other for other in frame.columns if other.lower() == name.lower()]
            near = f" (did you mean {same[0]!r}?)" if same else nearest(name, frame.columns)
            problem = f"names the column {name!r}, which {where} does not have{near}: its columns are "
            raise entry.wrong(key, problem + listed(frame.columns, 12))


def require_values(entry: OwnEntry, frame: pl.DataFrame, where: str, named: Mapping[str, str]) -> None:
    """Check that columns which the entry names are in the file, with one plain value in each row.

    Args:
        entry: the entry.
        frame: what was read.
        where: what was read, in words.
        named: key of the entry and the column that it names.

    Raises:
        CatalogError: for the first that is not there, or holds lists, bytes or lengths of time.
    """
    require(entry, frame, where, named)
    for key, name in named.items():
        dtype = frame.schema[name]
        if dtype.is_nested() or isinstance(dtype, pl.Binary | pl.Duration | pl.Object):
            problem = f"must name a column of texts, numbers or times, found {name!r} of {where} to hold {dtype}: "
            raise entry.wrong(key, problem + "name another column, or convert it")


def check_columns(entry: OwnEntry, frame: pl.DataFrame, where: str, but: Collection[str] = ()) -> None:
    """Check every column that the entry names, in other roles than ``but``, against the file.

    Args:
        entry: the entry.
        frame: what was read.
        where: what was read, in words.
        but: roles that are checked elsewhere.

    Raises:
        CatalogError: for the first that is not there or holds no plain values, or if the file uses a name that the
            labels need.
    """
    single = {f"columns.{role}": name for role, name in entry.columns.items() if role not in but}
    require_values(entry, frame, where, single)
    for role, names in entry.lists.items():
        for name in names:
            require(entry, frame, where, {f"columns.{role}": name})
    used = {entry.column("label"), entry.column("type"), *entry.lists.get("ignore", ())}
    for name in (LABEL, ANOMALY_TYPE):
        if name in frame.columns and name not in used:
            problem = f"must say what the column {name!r} of {where} is, a name that the laboratory gives itself: "
            raise entry.wrong("columns", problem + f'write label = "{name}" (or type), or add it to ignore')


def timed(
    entry: OwnEntry, frame: pl.DataFrame, column: str | None, *, in_order: bool = False
) -> tuple[pl.DataFrame, tuple[Defect, ...]]:
    """Turn the time column, if there is one, into Datetime[us]; ``in_order``: rows follow each other in time."""
    if column is None:
        return frame, ()
    chain = frame.select(pl.repeat(0, pl.len())).to_series() if in_order else None
    parsed = times.parse(entry, f"column {column!r}", frame[column], chain)
    return frame.with_columns(parsed.values.alias(column)), parsed.defects


def split(entry: OwnEntry, frame: pl.DataFrame, column: str | None) -> pl.DataFrame:
    """Write the published split as ``train`` and ``test``.

    Args:
        entry: the entry.
        frame: the table.
        column: its column with the split, if the entry names one.

    Returns:
        The table with ``train`` and ``test`` in that column.

    Raises:
        DataError: if it holds other values.
    """
    if column is None:
        return frame
    words = frame[column].cast(pl.String).str.strip_chars().str.to_lowercase()
    if others := [value for value in words.unique(maintain_order=True) if value not in SPLITS]:
        problem = f"column {column!r} must hold train and test, found {others[0]!r}: correct it, or take split out"
        raise DataError(f"data set {entry.name!r}: {problem}")
    return frame.with_columns(words.replace_strict(SPLITS, return_dtype=pl.String).alias(column))


def features(entry: OwnEntry, frame: pl.DataFrame, taken: Collection[str | None]) -> tuple[list[str], dict[str, str]]:
    """Choose the features: those of the entry, else all numbers, truth values and text of few values.

    Args:
        entry: the entry.
        frame: the table.
        taken: columns that have another role.

    Returns:
        The features, and the other columns, each with the reason why it is none.
    """
    free = [name for name in frame.columns if name not in taken]
    if "features" in entry.lists:
        chosen = [name for name in entry.lists["features"] if name in frame.columns]
        return chosen, {name: "not among the features of the entry" for name in free if name not in chosen}
    reasons = {name: _no_feature(frame[name]) for name in free}
    return [name for name in free if not reasons[name]], {name: why for name, why in reasons.items() if why}


def describe(
    entry: OwnEntry,
    frame: pl.DataFrame,
    unit: str,
    kept_out: Mapping[str, str] = MappingProxyType({}),
    *,
    labelled: bool,
    always: Sequence[str] = (),
    **roles: str | None,
) -> Roles:
    """Assign the roles of a table's columns.

    Args:
        entry: the entry.
        frame: the table, labelled or not.
        unit: what one row is.
        kept_out: columns that are no features, each with the reason.
        labelled: whether it has ``is_anomaly`` and ``anomaly_type``.
        always: columns that are identities whatever the entry says.
        roles: columns of the single roles (``time``, ``group``, ``split``) that this frame has.

    Returns:
        The roles of all its columns.
    """
    identity = tuple(name for name in (*always, *entry.lists.get("identity", ())) if name in frame.columns)
    outside = {name: why for name, why in kept_out.items() if name in frame.columns}
    chosen, others = features(entry, frame, {LABEL, ANOMALY_TYPE, *identity, *outside, *roles.values()})
    return Roles(
        unit=unit,
        label=LABEL if labelled else None,
        anomaly_type=ANOMALY_TYPE if labelled else None,
        features=tuple(chosen),
        identity=identity,
        time=roles.get("time"),
        group=roles.get("group"),
        split=roles.get("split"),
        withheld=outside | others,
    )


def dataset(
    entry: OwnEntry,
    frames: Mapping[str, pl.DataFrame],
    roles: Mapping[str, Roles],
    files: Sequence[Path],
    defects: Sequence[Defect],
) -> Dataset:
    """Put a user's data set together; its truth is what the entry says, or that nobody said."""
    return Dataset(
        name=entry.name,
        kind=entry.kind,
        source="real",
        origin="own files",
        digest=paths.digest(files),
        truth=entry.truth or _truth(entry, any(role.label for role in roles.values())),
        frames=frames,
        roles=roles,
        defects=tuple(defects),
        title=entry.title or f"own files of kind {entry.kind}",
        licence=entry.licence,
        cite=entry.cite,
    )


def _truth(entry: OwnEntry, labelled: bool) -> str:
    if not labelled:
        return "nobody labelled these data"
    values = [f"anomaly = {listed(entry.anomaly)}"] * bool(entry.anomaly)
    values += [f"normal = {listed(entry.normal)}"] * bool(entry.normal)
    return f"labels as the user's files have them ({'; '.join(values)}); the entry does not say who set them"


def _no_feature(column: pl.Series) -> str:
    """Say why a column is no feature; empty if it is one."""
    if column.null_count() == column.len():
        return "has no value"
    if column.dtype.is_integer() and _counts_rows(column):
        return "numbers the rows"
    if column.dtype.is_numeric() or column.dtype == pl.Boolean:
        return ""
    if isinstance(column.dtype, pl.Duration):
        return "a length of time; written as a number it would be a feature"
    if column.dtype.is_temporal():
        return "a time that the entry does not name"
    if not (column.dtype == pl.String or isinstance(column.dtype, pl.Categorical | pl.Enum)):
        return f"holds {column.dtype}"
    if column.drop_nulls().cast(pl.String).head(LOW_CARDINALITY).str.contains(DATE_LIKE).all():
        return "a time that the entry does not name"
    distinct = column.n_unique()
    every_row = distinct == column.len() >= FEW_ROWS
    return f"text with {distinct:,} different values" if distinct > LOW_CARDINALITY or every_row else ""


def _counts_rows(column: pl.Series) -> bool:
    return column.len() >= FEW_ROWS and column[0] in (0, 1) and bool((column.diff().drop_nulls() == 1).all())
