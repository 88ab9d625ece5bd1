"""A user's table may hold anything: the exploration must draw what can be drawn and never fall over the rest."""

import datetime as dt

import polars as pl
import pytest

from tests.unit import small_data
from utils import plots
from utils.datasets import profile
from utils.datasets.contract import Roles

DAY = dt.datetime(2026, 1, 1)
COLUMNS = {
    "all null": pl.Series([None] * 4, dtype=pl.Float64),
    "constant": pl.Series([1.0] * 4),
    "not finite": pl.Series([float("nan"), float("inf"), -float("inf"), 1.0]),
    "huge": pl.Series([0, 2**62, -(2**62), 1]),
    "text": pl.Series(["", "ä" * 500, None, "'; --"]),
    "yes or no": pl.Series([True, None, False, True]),
    "days": pl.Series([DAY.date(), None, DAY.date(), DAY.date()]),
    "lists": pl.Series([[1], [], None, [2, 3]]),
    "kinds": pl.Series(["a", "b", None, "a"], dtype=pl.Categorical),
    "decimal": pl.Series(["1.5", "2.5", None, "0"]).cast(pl.Decimal(10, 2)),
}


def explored(frame, roles):
    data = small_data.dataset({"rows": frame}, {"rows": roles})
    figures = [plots.balance({"tiny": data}), *plots.portraits(data).values()]
    for name in profile.tabular_frames(data):
        figures += [plots.distributions(data, name), plots.correlation_map(data, name, rows=100, seed=0)]
    return profile.overview({"tiny": data}), profile.survey({"tiny": data}), figures


@pytest.mark.parametrize("label", [[True, False, True, False], [True] * 4, [None] * 4, None])
@pytest.mark.parametrize("rows", [0, 1, 4])
def test_any_mixture_of_columns_is_explored(label, rows):
    frame = pl.DataFrame(COLUMNS)
    if label is not None:
        frame = frame.with_columns(pl.Series("is_anomaly", label, dtype=pl.Boolean))
    roles = Roles(unit="row", label="is_anomaly" if label is not None else None, features=tuple(COLUMNS))
    overview, survey, figures = explored(frame.head(rows), roles)
    assert overview["rows"].item() == rows
    assert survey.height == frame.width
    assert all(figure.to_json() for figure in figures)


@pytest.mark.parametrize(
    "times",
    [
        [None] * 4,
        [DAY] * 4,
        [DAY, DAY + dt.timedelta(days=20_000), None, DAY],
        [day.replace(tzinfo=dt.UTC) for day in [DAY] * 4],
    ],
)
def test_any_times_are_drawn(times):
    frame = pl.DataFrame({"when": times, "is_anomaly": [True, False, False, False]})
    frame = frame.with_columns(pl.col("when").cast(pl.Datetime) if frame.schema["when"] == pl.Null else pl.col("when"))
    explored(frame, Roles(unit="row", label="is_anomaly", time="when"))


def test_dates_without_a_clock_are_drawn():
    frame = pl.DataFrame({"when": [DAY.date()] * 3, "is_anomaly": [True, False, False]})
    explored(frame, Roles(unit="row", label="is_anomaly", time="when"))
