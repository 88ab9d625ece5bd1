"""What a data set holds, in numbers: shape, nulls, duplicates, balance, distributions, correlations.

Everything here returns small tables of aggregates, never rows of the data, so figures and stored runs made from them
can be shown to people who may not see the data.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import polars as pl
import polars.selectors as cs

from utils.datasets.contract import Dataset, Roles

CROWDED = 10
"""Different rows that the features must allow for each row there is; else equal rows are a matter of course."""

ESTIMATED_ROWS = 1_000_000
"""Rows above which different values are estimated (HyperLogLog) and not counted."""

EXTREME_AUC = 0.95
"""Area under the ROC curve from which on a column alone is worth a look."""

SKEW_LIMIT = 3.0
BUCKETS = {
    "1s": 1,
    "10s": 10,
    "1m": 60,
    "5m": 300,
    "15m": 900,
    "1h": 3_600,
    "6h": 21_600,
    "1d": 86_400,
    "7d": 604_800,
    "30d": 2_592_000,
}
"""Round stretches of time, as polars writes them, with their seconds."""


def overview(data: Mapping[str, Dataset]) -> pl.DataFrame:
    """Tabulate every frame of every data set: size, balance, nulls, duplicates and where it came from."""
    rows = [_frame_facts(dataset, name) for dataset in data.values() for name in dataset.frames]
    return pl.DataFrame(rows, infer_schema_length=None)


def truths(data: Mapping[str, Dataset]) -> pl.DataFrame:
    """Tabulate what the labels of each data set mean, and the terms of use."""
    rows = [(dataset.name, dataset.truth, dataset.licence) for dataset in data.values()]
    return pl.DataFrame(
        rows, schema={"data set": pl.String, "what a label means": pl.String, "licence": pl.String}, orient="row"
    )


def defects(data: Mapping[str, Dataset]) -> pl.DataFrame:
    """Tabulate the flaws that the loaders met, the rows they touch, and what was done; files not at hand come last."""
    met = [
        (data_set.name, flaw.what, flaw.rows, flaw.handling) for data_set in data.values() for flaw in data_set.defects
    ]
    absent = [
        (dataset.name, f"{what} is not at hand", None, why)
        for dataset in data.values()
        for what, why in dataset.missing.items()
    ]
    schema = {"data set": pl.String, "what": pl.String, "rows": pl.Int64, "what was done": pl.String}
    return pl.DataFrame(met + absent, schema=schema, orient="row")


def tabular_frames(dataset: Dataset) -> list[str]:
    """Frames with at least two numeric features and one row: those whose distributions can be compared."""
    return [
        name
        for name, frame in dataset.frames.items()
        if frame.height and len(numeric(frame, dataset.roles[name].features)) > 1
    ]


def columns(frame: pl.DataFrame, roles: Roles) -> pl.DataFrame:
    """Tabulate the columns of one frame: type, role, nulls, distinct values and how well each alone ranks anomalies.

    Args:
        frame: any table.
        roles: what its columns mean.

    Returns:
        One row a column: ``column``, ``type``, ``role``, ``null_share``, ``distinct``, ``rank_auc`` (null for text and
        for unlabelled frames).
    """
    separation = dict(rank_auc(frame, roles.label, numeric(frame)).iter_rows()) if roles.label else {}
    distinct = frame.select(_distinct(name, dtype, frame.height) for name, dtype in frame.schema.items()).row(0)
    nulls = frame.null_count().row(0)
    return pl.DataFrame(
        {
            "column": frame.columns,
            "type": [str(kind) for kind in frame.dtypes],
            "role": [role_of(roles, name) for name in frame.columns],
            "null_share": [count / max(frame.height, 1) for count in nulls],
            "distinct": distinct,
            "rank_auc": [separation.get(name) for name in frame.columns],
            "why withheld": [roles.withheld.get(name, "") for name in frame.columns],
        },
        schema_overrides={"rank_auc": pl.Float64},
    )


def survey(data: Mapping[str, Dataset]) -> pl.DataFrame:
    """Tabulate the columns of every frame of every data set (see :func:`columns`)."""
    tables = [
        columns(frame, dataset.roles[name]).select(
            pl.lit(dataset.name).alias("data set"), pl.lit(name).alias("frame"), pl.all()
        )
        for dataset in data.values()
        for name, frame in dataset.frames.items()
    ]
    return pl.concat(tables)


def needs_a_look() -> pl.Expr:
    """Mask for :func:`survey`: gaps, a single value, no role, or a column that alone ranks the classes apart."""
    lone = (pl.col("rank_auc") - 0.5).abs() > EXTREME_AUC - 0.5
    return (pl.col("null_share") > 0) | (pl.col("distinct") <= 1) | (pl.col("role") == "") | lone.fill_null(False)


def results(dataset: Dataset) -> dict[str, float]:
    """Numbers of one data set that a run records: rows, features and anomaly share of its main frame."""
    frame, roles = dataset[dataset.main], dataset.roles[dataset.main]
    counts = class_counts(frame, roles)
    labelled = counts["normal"] + counts["anomaly"]
    shares = {"anomaly_share": counts["anomaly"] / labelled} if labelled else {}
    return {"rows": frame.height, "features": len(roles.features), "frames": len(dataset.frames), **shares}


def role_of(roles: Roles, column: str) -> str:
    """Name the role of a column in words."""
    single = {
        roles.label: "label",
        roles.anomaly_type: "anomaly type",
        roles.split: "split",
        roles.time: "time",
        roles.group: "group",
        roles.sequence: "sequence",
    }
    if column in single:
        return single[column]
    named = (("feature", roles.features), ("identity", roles.identity), ("withheld", roles.withheld))
    return next((role for role, members in named if column in members), "")


def numeric(frame: pl.DataFrame, among: Iterable[str] | None = None) -> list[str]:
    """Names of the numeric columns (Booleans are not), in the order of the frame."""
    wanted = set(frame.columns if among is None else among)
    return [name for name in frame.select(cs.numeric()).columns if name in wanted]


def rank_auc(frame: pl.DataFrame, label: str, names: Sequence[str]) -> pl.DataFrame:
    """Area under the ROC curve of each column taken alone as a score, ties counted half.

    Computed from rank sums (Mann and Whitney, 1947). 0.5 says nothing; near 0 or 1 the column alone gives the label.

    Args:
        frame: any table; rows without a label or a value are left out, column by column.
        label: Boolean column.
        names: numeric columns.

    Returns:
        ``column`` and ``rank_auc`` in 0..1 (null where a class is missing or the column is all null).
    """
    if not names:
        return pl.DataFrame(schema={"column": pl.String, "rank_auc": pl.Float64})
    positive = pl.col(label)
    scored = frame.select(_column_auc(name, positive) for name in names)
    return scored.transpose(include_header=True, header_name="column", column_names=["rank_auc"])


def most_separating(frame: pl.DataFrame, roles: Roles, most: int) -> list[str]:
    """Numeric features that alone tell the classes apart best; in unlabelled frames those with most distinct values.

    Args:
        frame: any table.
        roles: what its columns mean.
        most: how many names to return.
    """
    names = numeric(frame, roles.features)
    if roles.label and frame[roles.label].n_unique() == 2:
        strength = rank_auc(frame, roles.label, names).with_columns((pl.col("rank_auc") - 0.5).abs().fill_null(0))
        return strength.sort("rank_auc", descending=True, maintain_order=True)["column"].head(most).to_list()
    return sorted(names, key=lambda name: -frame[name].n_unique())[:most]


def can_differ(frame: pl.DataFrame, names: Sequence[str]) -> bool:
    """Whether columns can tell the rows apart: they allow for ten different rows for each there is.

    Else equal rows are a matter of course, and say nothing about where they come from.

    Args:
        frame: any table.
        names: its columns; without any, no row differs.
    """
    possible = 1
    for name in names:
        possible *= frame[name].n_unique()
        if possible >= CROWDED * frame.height > 0:
            return True
    return False


def class_counts(frame: pl.DataFrame, roles: Roles) -> dict[str, int]:
    """Number of normal and anomalous rows, and of those that nobody classified."""
    if roles.label is None:
        return {"normal": 0, "anomaly": 0, "unclassified": frame.height}
    label = frame[roles.label]
    anomalies, nulls = int(label.sum() or 0), label.null_count()
    return {"normal": frame.height - anomalies - nulls, "anomaly": anomalies, "unclassified": nulls}


def type_counts(frame: pl.DataFrame, roles: Roles) -> pl.DataFrame:
    """Rows of each anomaly type, by published split where there is one.

    Args:
        frame: any table.
        roles: what its columns mean.

    Returns:
        ``type``, ``split`` (``"all"`` without a split), ``rows``, ``share`` of the rows of its split.

    Raises:
        ValueError: if the frame has no anomaly types.
    """
    if roles.anomaly_type is None:
        raise ValueError("the frame names no anomaly types")
    split = pl.col(roles.split) if roles.split else pl.lit("all")
    counted = frame.group_by(type=pl.col(roles.anomaly_type), split=split).agg(rows=pl.len())
    return counted.with_columns(share=pl.col("rows") / pl.col("rows").sum().over("split")).sort("split", "rows", "type")


def histogram(frame: pl.DataFrame, roles: Roles, column: str, bins: int = 30) -> tuple[pl.DataFrame, bool]:
    """Count one column in equal bins, on a log1p scale where its tail is heavy.

    Args:
        frame: any table.
        roles: what its columns mean.
        column: numeric column; values that are not finite are left out.
        bins: number of bins.

    Returns:
        ``class``, ``left``, ``right`` (bin edges in the column's unit), ``share`` of the class, empty without a finite
        value; and whether the bins are logarithmic.
    """
    values = frame[column].cast(pl.Float64)
    finite = values.is_finite().fill_null(False)
    classes = class_of(frame, roles).filter(finite)
    kept = values.filter(finite).to_numpy()
    if not kept.size:
        return pl.DataFrame(), False
    logarithmic = _heavy_tailed(kept)
    scaled = np.log1p(kept) if logarithmic else kept
    edges = _edges(scaled, bins)
    shown = np.expm1(edges) if logarithmic else edges
    parts = []
    for name in sorted(set(classes)):
        counts = np.histogram(scaled[(classes == name).to_numpy()], edges)[0]
        share = counts / max(counts.sum(), 1)
        parts.append(pl.DataFrame({"class": name, "left": shown[:-1], "right": shown[1:], "share": share}))
    return pl.concat(parts), logarithmic


def class_of(frame: pl.DataFrame, roles: Roles) -> pl.Series:
    """The verdict of each row in words: ``normal``, ``anomaly`` or ``unclassified``."""
    if roles.label is None:
        return pl.Series("class", ["unclassified"], dtype=pl.String).new_from_index(0, frame.height)
    verdict = pl.when(pl.col(roles.label)).then(pl.lit("anomaly")).otherwise(pl.lit("normal"))
    known = pl.when(pl.col(roles.label).is_null()).then(pl.lit("unclassified")).otherwise(verdict)
    return frame.select(known.alias("class")).to_series()


def timeline(frame: pl.DataFrame, roles: Roles, most_buckets: int = 160) -> pl.DataFrame:
    """Rows of each class in equal stretches of time, the finest round stretch that gives at most ``most_buckets``.

    Args:
        frame: any table; rows without a time are left out.
        roles: what its columns mean.
        most_buckets: most stretches of time.

    Returns:
        ``time`` (start of the stretch), ``class``, ``rows``, ``every`` (the stretch, as polars writes it).

    Raises:
        ValueError: if the frame has no time.
    """
    if roles.time is None:
        raise ValueError("the frame has no time column")
    time = pl.col(roles.time)
    seconds = frame.select((time.max() - time.min()).dt.total_seconds(fractional=True)).item() or 0
    every = next((bucket for bucket, length in BUCKETS.items() if seconds / length <= most_buckets), "30d")
    start = time.dt.truncate(every).alias("time")
    counted = frame.with_columns(class_of(frame, roles)).filter(time.is_not_null())
    return counted.group_by(start, "class").agg(rows=pl.len()).with_columns(every=pl.lit(every)).sort("time", "class")


def correlations(frame: pl.DataFrame, names: Sequence[str], rows: int, seed: int) -> pl.DataFrame:
    """Spearman rank correlation of numeric columns on a sample, columns ordered so that alike ones stand together.

    Constant columns are left out: they correlate with nothing. Each pair is measured on the rows that have both values,
    so that gaps in one column take nothing from the others.

    Args:
        frame: any table.
        names: numeric columns.
        rows: size of the sample.
        seed: seed of the sample.

    Returns:
        A square frame with a leading ``column`` column; values in -1..1.
    """
    sample = frame.select(names).sample(min(rows, frame.height), seed=seed)
    varying = [name for name in names if sample[name].drop_nulls().n_unique() > 1]
    if len(varying) < 2:
        return pl.DataFrame(schema={"column": pl.String})
    matrix = _pairwise(sample.select(pl.col(varying).rank()))
    order = _similar_together(matrix)
    ordered = [varying[place] for place in order]
    square = pl.DataFrame(matrix[np.ix_(order, order)], schema=ordered, orient="row")
    return square.insert_column(0, pl.Series("column", ordered))


def _distinct(name: str, dtype: pl.DataType, rows: int) -> pl.Expr:
    """Number of different values; estimated in large tables, except of lists, for which there is no estimate."""
    estimated = rows > ESTIMATED_ROWS and not dtype.is_nested()
    return pl.col(name).approx_n_unique() if estimated else pl.col(name).n_unique()


def _frame_facts(dataset: Dataset, name: str) -> dict[str, object]:
    frame, roles = dataset.frames[name], dataset.roles[name]
    counts = class_counts(frame, roles)
    labelled = counts["normal"] + counts["anomaly"]
    cells = max(frame.height * frame.width, 1)
    return {
        "data set": dataset.name,
        "frame": name,
        "one row is a": roles.unit,
        "rows": frame.height,
        "columns": frame.width,
        "features": len(roles.features),
        "anomaly share": counts["anomaly"] / labelled if labelled else None,
        "null share": sum(frame.null_count().row(0)) / cells,
        "repeated rows": _repeated(frame, roles),
        "source": dataset.source,
        "origin": dataset.origin,
    }


def _repeated(frame: pl.DataFrame, roles: Roles) -> int | None:
    compared = [name for name in roles.features or tuple(frame.columns) if name in frame.columns]
    if frame.is_empty() or not compared:
        return None
    return frame.height - int(frame.select(pl.struct(compared).n_unique()).item())


def _column_auc(name: str, positive: pl.Expr) -> pl.Expr:
    known = pl.col(name).is_not_null() & positive.is_not_null()
    if_positive = known & positive
    above = if_positive.sum().cast(pl.Float64)
    below = (known & ~positive).sum().cast(pl.Float64)
    rank_sum = pl.when(known).then(pl.col(name)).rank("average").filter(if_positive).sum()
    area = (rank_sum - above * (above + 1) / 2) / (above * below)
    return pl.when((above > 0) & (below > 0)).then(area).alias(name)


def _heavy_tailed(values: np.ndarray) -> bool:
    if values.size < 3 or values.min() < 0:
        return False
    median, high = np.quantile(values, [0.5, 0.99])
    return bool(high > SKEW_LIMIT * max(median, 1.0) and high > 10)


def _edges(values: np.ndarray, bins: int) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    high = high if high > low else low + 1.0
    # halves, where the whole range is larger than the largest number
    return np.linspace(low, high, bins + 1) if np.isfinite(high - low) else 2 * np.linspace(low / 2, high / 2, bins + 1)


def _pairwise(ranks: pl.DataFrame) -> np.ndarray:
    """Pearson correlation of each pair of columns over the rows that have both; 0 where there is none."""
    known = ranks.select(pl.all().is_not_null()).to_numpy().astype(np.float64)
    centred = ranks.select((pl.all() - pl.all().mean()).fill_null(0.0)).to_numpy()
    rows, sums, squares = known.T @ known, centred.T @ known, (centred**2).T @ known
    with np.errstate(divide="ignore", invalid="ignore"):
        covariance = centred.T @ centred - sums * sums.T / rows
        variance = squares - sums**2 / rows
        matrix = covariance / np.sqrt(variance * variance.T)
    says = (rows > 2) & (np.minimum(variance, variance.T) > 0) & np.isfinite(matrix)
    return np.clip(np.where(says, matrix, np.eye(len(matrix))), -1.0, 1.0)


def _similar_together(matrix: np.ndarray) -> np.ndarray:
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    distance = 1.0 - np.abs(np.nan_to_num(matrix))
    np.fill_diagonal(distance, 0.0)
    return np.asarray(leaves_list(linkage(squareform(distance, checks=False), "average")))
