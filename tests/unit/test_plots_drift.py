"""Figures of drift: what they draw, and what they refuse."""

import plotly.graph_objects as go
import polars as pl
import pytest

from utils.errors import SchemaError
from utils.plots import drift as plots

TABLE = pl.DataFrame(
    {
        "column": ["size", "service", "score"],
        "where": ["5 or more", "another name", "below 1"],
        "expected": [0.1, 0.0, 0.5],
        "observed": [0.11, 0.4, 0.9],
        "size": [0.03, 1.4, 0.9],
        "drifted": [False, True, True],
    }
)
TRIALS = pl.DataFrame(
    {
        "model": ["api"] * 3 + ["waf"] * 3,
        "window": [100] * 3 + [1_000] * 3,
        "shift": ["scaled", "none", "new name", "none", "scaled", "attacks"],
        "share": [1.0, 0.0, None, 0.01, 0.8, 0.0],
        "rows": [12.0, None, None, None, 125.0, None],
    }
)


def named(figure):
    return {trace.name: trace for trace in figure.data if trace.name}


def test_columns_that_drifted_stand_first_and_are_marked():
    figure = plots.drift_columns(TABLE)
    drawn = named(figure)
    assert set(drawn) == {"expected", "drifted", "as in training"}
    assert list(drawn["drifted"].y) == ["service: another name", "score: below 1"]
    assert list(drawn["drifted"].x) == pytest.approx([40, 90])
    assert list(drawn["expected"].x) == pytest.approx([0, 50, 10])
    assert list(figure.layout.yaxis.categoryarray)[-1] == "service: another name"
    assert len({drawn[name].marker.symbol for name in drawn}) == 3
    quiet = named(plots.drift_columns(TABLE.filter(~pl.col("drifted"))))
    assert set(quiet) == {"expected", "as in training"}
    assert list(named(plots.drift_columns(TABLE, most=1))["drifted"].y) == ["service: another name"]


def test_shifts_stand_below_quiet_rows_and_unknown_cells_are_empty():
    (cells,) = plots.drift_shifts(TRIALS).data
    assert list(cells.y) == ["none", "scaled", "new name", "attacks"]
    assert list(cells.x) == ["api", "waf"]
    assert cells.z[0].tolist() == pytest.approx([0, 1])
    assert cells.z[2][0] != cells.z[2][0]
    assert list(cells.customdata[1]) == [" after 12 rows", " after 125 rows"]
    assert list(plots.drift_shifts(TRIALS, by="window").data[0].x) == ["100", "1000"]


def test_power_is_drawn_against_the_window():
    drawn = named(plots.drift_power(TRIALS))
    assert set(drawn) == {"scaled"}
    assert list(drawn["scaled"].x) == [100, 1_000]
    assert list(drawn["scaled"].y) == pytest.approx([12, 125])


@pytest.mark.parametrize("draw", [plots.drift_columns, plots.drift_shifts, plots.drift_power])
def test_figures_are_valid_and_refuse_other_tables(draw):
    figure = draw(TABLE if draw is plots.drift_columns else TRIALS)
    assert go.Figure(figure.to_dict()).layout.title.text.endswith("?")
    with pytest.raises(SchemaError, match="must have the column"):
        draw(pl.DataFrame({"a": [1]}))
