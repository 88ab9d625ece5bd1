"""How well one column alone separates two classes, and which rows are twins: yardsticks for clean simulated data."""

import numpy as np
import polars as pl
from scipy.stats import rankdata


def area(score: np.ndarray, label: np.ndarray) -> float:
    """Area under the ROC curve, whichever direction is the better one; 0.5 where a class is missing."""
    positives = int(label.sum())
    negatives = len(label) - positives
    if not positives or not negatives:
        return 0.5
    value = (rankdata(score)[label].sum() - positives * (positives + 1) / 2) / (positives * negatives)
    return max(value, 1 - value)


def area_by_rate(values: pl.Series, label: np.ndarray) -> float:
    """Area of the share of anomalies that each value has in one half of the rows, measured on the other half."""
    half = np.random.default_rng(0).random(len(label)) < 0.5
    frame = pl.DataFrame({"value": values, "label": label})
    rate = frame.filter(half).group_by("value").agg(pl.col("label").mean().alias("rate"))
    other = frame.filter(~half).join(rate, on="value", how="left", maintain_order="left")
    return area(other["rate"].fill_null(label.mean()).to_numpy(), other["label"].to_numpy())


def best_single_column(frame: pl.DataFrame, label: np.ndarray, by_value: tuple[str, ...] = ()) -> tuple[str, float]:
    """The column that separates best: numbers as they are, text and the columns ``by_value`` by their rate."""
    areas = {}
    for column in frame.columns:
        if frame[column].dtype.is_numeric():
            areas[column] = area(frame[column].to_numpy(), label)
        if column in by_value or not frame[column].dtype.is_numeric():
            areas[f"{column} (rate)"] = area_by_rate(frame[column], label)
    return max(areas.items(), key=lambda pair: pair[1])


def clock_columns(time: pl.Series) -> pl.DataFrame:
    """Day, minute, and minute of the day."""
    return pl.DataFrame(
        {"day": time.dt.date(), "minute": time.dt.truncate("1m"), "time_of_day": time.dt.time().cast(pl.Int64)}
    )


def conflicting_twins(frame: pl.DataFrame, features: list[str], label: str) -> int:
    """Rows whose features stand under more than one label."""
    labels = frame.group_by(features).agg(pl.len().alias("rows"), pl.col(label).n_unique().alias("labels"))
    return int(labels.filter(pl.col("labels") > 1)["rows"].sum())
