"""Figures of tuning and operating points: what they draw, and what they refuse."""

import numpy as np
import polars as pl
import pytest

from utils.errors import SchemaError
from utils.plots import tuning as plots

HISTORY = pl.DataFrame(
    {
        "trial": [0, 1, 2, 3],
        "state": ["complete", "stopped", "failed", "complete"],
        "score": [0.6, None, None, 0.8],
        "best": [0.6, 0.6, 0.6, 0.8],
        "default": [0.5] * 4,
    }
)
POINTS = pl.DataFrame(
    {"rule": ["best F1", "alarm budget"]}
    | {
        f"{part}{name}{end}": [0.5 + shift, 0.6 + shift]
        for name in ("precision", "recall", "f1")
        for part, end, shift in (("expected_", "", 0.1), ("", "", 0.0), ("", "_low", -0.1), ("", "_high", 0.2))
    }
)
RELIABILITY = pl.DataFrame(
    {
        "calibration": ["before", "before", "isotonic", "isotonic"],
        "predicted": [0.1, 0.9, 0.2, 0.8],
        "observed": [0.2, 0.7, 0.2, 0.8],
        "low": [0.1, 0.6, 0.1, 0.7],
        "high": [0.3, 0.8, 0.3, 0.9],
    }
)
GAINS = pl.DataFrame(
    {
        "classifier": ["forest", "tree", "network"],
        "difference": [0.01, 0.0, -0.02],
        "low": [0.005, -0.01, -0.03],
        "high": [0.015, 0.01, -0.01],
        "verdict": ["helps", "noise", "harms"],
        "promised": [0.02, 0.01, 0.0],
    }
)
SHARES = pl.DataFrame(
    {"rule": ["a", "a"], "share": [0.1, 0.01], "precision": [0.9, 0.5], "low": [0.8, 0.4], "high": [0.95, 0.6]}
)


def named(figure):
    return {trace.name: trace for trace in figure.data}


def test_the_history_marks_trials_by_how_they_ended():
    drawn = named(plots.search_history(HISTORY, metric="average_precision"))
    assert {"complete (2)", "stopped (1)", "failed (1)", "best so far", "defaults"} == set(drawn)
    assert drawn["stopped (1)"].y[0] == pytest.approx(0.5)
    assert list(drawn["defaults"].y) == [0.5, 0.5]
    assert len({trace.marker.symbol for trace in drawn.values() if trace.mode == "markers"}) == 3


def test_several_searches_are_lines_that_differ_in_dashes():
    both = pl.concat([HISTORY.with_columns(search=pl.lit(name)) for name in ("tpe", "random")])
    drawn = named(plots.search_history(both))
    assert set(drawn) == {"tpe", "random", "defaults"}
    assert drawn["tpe"].line.dash != drawn["random"].line.dash
    assert not plots.search_history(HISTORY.head(0)).data[0].x.size


def test_importance_is_ranked_from_the_top():
    table = pl.DataFrame({"parameter": ["depth", "leaf"], "importance": [0.7, 0.3]})
    figure = plots.parameter_importance(table)
    assert list(figure.data[0].x) == pytest.approx([70, 30])
    assert figure.layout.yaxis.categoryarray == ("leaf", "depth")
    assert "too few" in plots.parameter_importance(table.head(0)).layout.annotations[0].text


def test_gains_differ_by_symbol_with_their_verdict():
    drawn = named(plots.default_against_tuned(GAINS))
    assert set(drawn) == {"helps", "noise", "harms", "promised by the search"}
    assert len({trace.marker.symbol for trace in drawn.values()}) == 4
    assert drawn["helps"].error_x.array[0] == pytest.approx(0.5)
    assert drawn["helps"].error_x.arrayminus[0] == pytest.approx(0.5)
    assert set(named(plots.default_against_tuned(GAINS.drop("promised").head(1)))) == {"helps"}


def test_thresholds_stand_as_expected_and_as_found():
    figure = plots.threshold_choices(POINTS)
    drawn = named(figure)
    assert len(drawn) == 6
    found, expected = drawn["F1, found on test rows"], drawn["F1, expected"]
    assert list(found.x) == pytest.approx([50, 60])
    assert list(expected.x) == pytest.approx([60, 70])
    assert expected.marker.symbol == f"{found.marker.symbol}-open"
    assert found.error_x.array[0] == pytest.approx(20)
    assert figure.layout.yaxis.categoryarray[-1] == "best F1: precision"
    assert plots.threshold_choices(POINTS.drop("f1_high")).data[4].error_x.array is None


def test_calibration_stands_against_the_diagonal():
    drawn = named(plots.calibration_curve(RELIABILITY))
    assert set(drawn) == {"as it says", "before calibration", "isotonic"}
    assert list(drawn["before calibration"].y) == pytest.approx([20, 70])
    assert drawn["isotonic"].error_y.array[0] == pytest.approx(10)
    assert drawn["before calibration"].marker.symbol != drawn["isotonic"].marker.symbol


def test_shares_stand_on_a_logarithmic_axis():
    figure = plots.natural_shares(SHARES)
    assert figure.layout.xaxis.type == "log"
    np.testing.assert_allclose(figure.data[0].x, [1, 10])
    assert figure.layout.xaxis.ticktext == ("1", "10")


@pytest.mark.parametrize(
    ("draw", "table"),
    [
        (plots.search_history, HISTORY),
        (plots.parameter_importance, pl.DataFrame({"parameter": ["a"], "importance": [1.0]})),
        (plots.default_against_tuned, GAINS.drop("promised")),
        (plots.threshold_choices, POINTS.drop("precision_high", "recall_high", "f1_high")),
        (plots.calibration_curve, RELIABILITY),
        (plots.natural_shares, SHARES),
    ],
)
def test_a_table_without_a_column_is_refused_and_every_figure_is_titled(draw, table):
    for name in table.columns:
        with pytest.raises(SchemaError, match=name):
            draw(table.drop(name))
    figure = draw(table, title="A question?")
    assert figure.layout.title.text == "A question?"
    assert figure.layout.xaxis.title.text
