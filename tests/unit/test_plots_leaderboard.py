"""Figures of the leaderboard: what they draw, in which order, and what they leave out."""

import polars as pl
import pytest

from tests.unit.test_leaderboard import CLASSIFIERS, DETECTOR_RUN, RULE_METRICS, RULE_RUN, TUNING_RUN, run, snapshot
from utils import leaderboard, plots
from utils.errors import SchemaError
from utils.plots import leaderboard as pictures


@pytest.fixture(scope="module")
def board():
    simulated = RULE_RUN | {"data_set": "hosts", "source": "simulated", "budget": "fast"}
    later = RULE_RUN | {"metrics": RULE_METRICS | {"flows_rule_f1": 0.8}}
    selection = run("net", "selection", tables=CLASSIFIERS)
    return leaderboard.build(snapshot(RULE_RUN, DETECTOR_RUN, selection, TUNING_RUN, simulated, later))


def traces(figure):
    return {trace.name: trace for trace in figure.data}


def test_scores_stand_by_data_set_and_kind_with_intervals_and_the_trivial_answer(board):
    figure = plots.leaderboard_scores(board.best)
    drawn = traces(figure)
    assert set(drawn) == {"flag everything", "one rule", "no labels", "with labels, defaults", "with labels"}
    assert drawn["no labels"].x.tolist() == pytest.approx([85.0])
    assert drawn["no labels"].error_x.array.tolist() == pytest.approx([1.0], rel=1e-3)
    assert list(drawn["one rule"].marker.symbol) == ["square", "square"]
    assert list(drawn["with labels, defaults"].marker.symbol) == ["cross-open"]
    assert list(figure.layout.yaxis.ticktext) == [
        "<b>net</b> flows   one rule",
        "no labels",
        "with labels, defaults",
        "with labels",
        "<b>hosts</b> flows, simulated   one rule",
    ]
    assert list(figure.layout.yaxis.categoryarray)[-1] == figure.layout.yaxis.tickvals[0]


def test_costs_leave_out_what_nobody_measured(board):
    drawn = traces(plots.leaderboard_costs(board.best))
    assert set(drawn) == {"no labels", "with labels, defaults", "with labels"}
    assert drawn["with labels"].y.tolist() == pytest.approx([10.0])
    perfect = board.best.with_columns(f1=pl.lit(1.0))
    assert traces(plots.leaderboard_costs(perfect))["no labels"].y.tolist() == pytest.approx([pictures.LEAST_LOSS])


def test_history_keeps_source_and_budget_apart(board):
    figure = plots.leaderboard_history(board.history)
    rules = [trace for trace in figure.data if trace.name == "one rule"]
    assert [trace.y.tolist() for trace in rules] == [pytest.approx([70.0, 80.0]), pytest.approx([70.0])]
    assert [trace.marker.symbol for trace in rules] == ["square", "square-open"]
    assert [trace.line.dash for trace in rules] == ["solid", "dot"]
    assert sum(bool(trace.showlegend) for trace in rules) == 1
    assert [note.text for note in figure.layout.annotations] == ["net", "hosts"]


def test_empty_frames_make_empty_figures_and_others_are_refused(board):
    empty = leaderboard.build(snapshot())
    for figure in (plots.leaderboard_scores(empty.best), plots.leaderboard_costs(empty.best)):
        assert not any(len(trace.x) for trace in figure.data)
    assert plots.leaderboard_history(empty.history).data == ()
    for plot in (plots.leaderboard_scores, plots.leaderboard_costs, plots.leaderboard_history):
        with pytest.raises(SchemaError, match="must have the columns"):
            plot(pl.DataFrame({"x": [1]}))


def test_a_kind_that_nobody_knows_is_drawn_too(board):
    own = board.best.with_columns(kind=pl.lit("of my own"))
    assert "of my own" in traces(plots.leaderboard_scores(own))
