"""Figures of detectors: what they show is what the tables say, and they stay small."""

import json

import numpy as np
import plotly.graph_objects as go
import polars as pl
import pytest

from utils import plots
from utils.errors import DataError, SchemaError
from utils.plots import marks, style
from utils.plots.detectors import GROUPS

RNG = np.random.default_rng(0)
BOARD = pl.DataFrame(
    {
        "detector": ["neighbours", "forest", "flag everything"],
        "roc_auc": [0.96, 0.9, 0.5],
        "low": [0.95, 0.88, None],
        "high": [0.97, 0.93, None],
        "f1": [0.92, None, 0.6],
        "f1_low": [0.9, None, None],
        "f1_high": [0.93, None, None],
    }
)
RECALLS = pl.DataFrame(
    {
        "detector": ["neighbours"] * 3 + ["forest"] * 3,
        "kind": ["flood", "scan", "worm"] * 2,
        "rows": [90, 200, 5] * 2,
        "recall": [0.1, 0.2, 0.3, 0.4, 0.5, None],
        "in_training": [True, True, False] * 2,
    }
)
REASONS = pl.DataFrame(
    {
        "row": [0, 0, 1],
        "feature": ["flag", "bytes", "bytes"],
        "value": ["S0 (never seen)", "1,032", "7"],
        "usual": ["SF (94 %)", "105 to 8,314", "105 to 8,314"],
        "share": [0.3, 0.6, 1.0],
    }
)
LEARNED = pl.DataFrame(
    {
        "detector": ["forest", "density", "forest", "density", "flag everything"],
        "learned from": ["normals and attacks"] * 2 + ["normals alone"] * 2 + [None],
        "roc_auc": [0.7, 0.5, 0.97, 0.8, 0.5],
        "f1": [0.1, 0.2, 0.8, None, 0.6],
    }
)
SCORES = np.concatenate([RNG.normal(0, 1, 900), RNG.normal(4, 1, 300), RNG.normal(2, 1, 100)])
NAMES = np.repeat(["normal", "known attack", "new attack"], [900, 300, 100])
FIGURES = {
    "scoreboard": lambda: plots.detector_scoreboard(BOARD),
    "recall": lambda: plots.recall_map(RECALLS),
    "scores": lambda: plots.score_groups(SCORES, NAMES, 2.5),
    "reasons": lambda: plots.reason_bars(REASONS),
    "learned": lambda: plots.learned_from_whom(LEARNED),
}


def drawn(figure):
    return {trace.name: trace for trace in figure.data}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_valid_titled_and_small(name):
    figure = FIGURES[name]()
    go.Figure(json.loads(figure.to_json()))
    assert figure.layout.title.text
    assert figure.layout.xaxis.title.text
    assert len(figure.to_json()) < 12_000


def test_the_scoreboard_shows_both_measures_with_intervals_and_the_trivial_line():
    shown = drawn(FIGURES["scoreboard"]())
    ranking, decided = shown["AUC of the ranking"], shown["F1 at the threshold"]
    assert list(ranking.y) == ["neighbours", "forest"]
    assert np.allclose(ranking.x, [96, 90])
    assert np.allclose(ranking.error_x.arrayminus, [1, 2], atol=1e-4)
    assert np.allclose(ranking.error_x.array, [1, 3], atol=1e-4)
    assert np.isnan(decided.x[1])
    assert decided.marker.symbol != ranking.marker.symbol
    assert set(shown["F1 of “flag everything”"].x) == {60.0}


def test_the_scoreboard_does_without_intervals_and_without_a_trivial_line():
    plain = plots.detector_scoreboard(BOARD.head(2).select("detector", "roc_auc", "f1"))
    assert len(plain.data) == 2
    assert plain.data[0].error_x.array is None
    assert plain.layout.xaxis.range[0] <= 40


def test_the_axis_of_the_scoreboard_reaches_the_lowest_number():
    low = BOARD.with_columns(roc_auc=pl.lit(0.12), low=pl.lit(0.1))
    assert plots.detector_scoreboard(low).layout.xaxis.range[0] <= 10


def test_cells_of_the_recall_map_stand_where_their_kind_and_detector_do():
    heat = FIGURES["recall"]().data[0]
    assert list(heat.y) == ["scan (200)", "flood (90)", "worm, new (5)"]
    assert list(heat.x) == ["neighbours", "forest"]
    assert np.allclose(heat.z, [[20, 50], [10, 40], [30, np.nan]], equal_nan=True)


def test_the_recall_map_keeps_the_largest_kinds_and_knows_no_new_ones_without_training():
    heat = plots.recall_map(RECALLS.drop("in_training"), most=2).data[0]
    assert list(heat.y) == ["scan (200)", "flood (90)"]


def test_score_groups_add_up_and_differ_by_colour_and_dash():
    figure = FIGURES["scores"]()
    assert [trace.name for trace in figure.data] == ["normal (900)", "known attack (300)", "new attack (100)"]
    for trace in figure.data:
        assert sum(trace.y) == pytest.approx(100, abs=0.01)
    assert figure.data[0].line.color == style.VERDICTS["normal"]
    assert figure.data[1].line.color == style.VERDICTS["anomaly"]
    assert len({trace.line.dash for trace in figure.data}) == len(GROUPS)
    assert figure.layout.annotations[0].text == "threshold 2.5"


def test_scores_may_be_drawn_on_a_logarithmic_scale():
    figure = plots.score_groups(np.exp(SCORES), NAMES, 1e9, logarithmic=True)
    assert figure.layout.xaxis.type == "log"
    edges = figure.data[0].x
    assert np.allclose(np.diff(np.log(edges)), np.diff(np.log(edges))[0], rtol=1e-3)
    for trace in figure.data:
        assert sum(trace.y) == pytest.approx(100, abs=0.01)


@pytest.mark.parametrize("scores", [np.zeros(40), np.append(np.zeros(39), 1e300), np.append(np.zeros(39), np.inf)])
def test_odd_scores_still_make_a_picture(scores):
    figure = plots.score_groups(scores, ["odd"] * 40)
    assert np.isfinite(figure.data[0].x).all()
    assert sum(figure.data[0].y) == pytest.approx(100, abs=0.01)


def test_no_score_is_an_empty_picture():
    assert len(plots.score_groups([], pl.Series([], dtype=pl.String), 1.0).data) == 0


def test_scores_are_refused_without_a_group_or_a_logarithm():
    with pytest.raises(DataError, match="must have a group"):
        plots.score_groups(SCORES, NAMES[:-1])
    with pytest.raises(DataError, match="1 missing"):
        plots.score_groups([1.0, 2.0], pl.Series(["normal", None]))
    with pytest.raises(DataError, match="above 0"):
        plots.score_groups(SCORES, NAMES, logarithmic=True)


def test_reasons_of_one_record_come_largest_first_with_value_and_usual():
    bars = FIGURES["reasons"]().data[0]
    assert list(bars.y) == ["bytes", "flag"]
    assert np.allclose(bars.x, [60, 30])
    assert "S0 (never seen)" in bars.text[1]
    assert "usual: SF (94 %)" in bars.text[1]


def test_a_record_without_reasons_says_so():
    figure = plots.reason_bars(REASONS, row=7)
    assert figure.layout.annotations[0].text == "nothing is more abnormal than usual"


def test_learned_from_joins_the_two_ways_of_each_detector():
    shown = drawn(FIGURES["learned"]())
    assert np.allclose(shown["normals and attacks"].x, [70, 50])
    assert np.allclose(shown["normals alone"].x, [97, 80])
    assert shown["normals alone"].marker.symbol != shown["normals and attacks"].marker.symbol
    assert np.allclose(shown[None].x, [70, 97, np.nan, 50, 80, np.nan], equal_nan=True)
    assert set(shown["flag everything"].x) == {50.0}
    by_f1 = plots.learned_from_whom(LEARNED.drop_nulls("learned from"), measure="f1")
    assert by_f1.layout.xaxis.title.text == "F1 (%)"
    assert "flag everything" not in drawn(by_f1)


@pytest.mark.parametrize(
    ("draw", "table"),
    [
        (plots.detector_scoreboard, BOARD),
        (plots.recall_map, RECALLS),
        (plots.reason_bars, REASONS),
        (plots.learned_from_whom, LEARNED),
    ],
)
def test_a_table_without_a_column_is_refused(draw, table):
    with pytest.raises(SchemaError):
        draw(table.drop(table.columns[1]))


def test_names_of_groups_are_the_same_everywhere():
    assert marks.names_of([True, False]).to_list() == ["anomaly", "normal"]
    assert marks.names_of(pl.Series([3, -1, None])).to_list() == ["cluster 3", "noise", "unclassified"]
    assert marks.names_of(["b", None]).to_list() == ["b", "unclassified"]
    assert marks.VERDICTS["attack"].colour == style.VERDICTS["anomaly"]
    assert marks.VERDICTS["good"].colour == style.VERDICTS["normal"]
    assert marks.VERDICTS["noise"].colour == style.VERDICTS["unclassified"]


def test_long_names_stay_different():
    names = marks.short(["x" * 60 + "a", "x" * 60 + "b", "y", "y"])
    assert len(set(names)) == 4
    assert max(map(len, names)) <= marks.LONGEST_NAME
