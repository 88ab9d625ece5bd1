import json

import numpy as np
import plotly.graph_objects as go
import polars as pl
import pytest

from utils import plots
from utils.detectors.rules import FeatureRule
from utils.errors import DataError, SchemaError
from utils.evaluation.conformal import ConformalPValues, alarm_table
from utils.evaluation.thresholds import AlarmRate, BestF1, curve
from utils.plots import style
from utils.plots.evaluation import MOST_POINTS

RNG = np.random.default_rng(0)
Y = RNG.random(5_000) < 0.1
SCORES = RNG.normal(size=5_000) + 2 * Y
CURVE = curve(SCORES, Y)
CHOSEN = BestF1().fit(SCORES, Y)
ALARMS = alarm_table(ConformalPValues().fit(SCORES[:2_000], Y[:2_000]).p_values(SCORES[2_000:]), Y[2_000:])
FRAME = pl.DataFrame({"size": SCORES, "noise": RNG.normal(size=5_000)})
BOARD = FeatureRule().fit(FRAME, Y).compare(FRAME, Y)
CHOICES = pl.DataFrame({"data set": ["api", "hdfs"], "honest_f1": [0.71, 0.98], "optimistic_f1": [0.73, 0.985]})
FIGURES = {
    "threshold_curve": lambda: plots.threshold_curve(CURVE, CHOSEN.value_),
    "precision_recall": lambda: plots.precision_recall({"rule": CURVE, "noise": curve(-SCORES, Y)}, share=0.1),
    "roc": lambda: plots.roc({"rule": CURVE, "noise": curve(-SCORES, Y)}),
    "alarm_rates": lambda: plots.alarm_rates({"api": ALARMS, "hdfs": ALARMS}),
    "rule_scoreboard": lambda: plots.rule_scoreboard(BOARD),
    "score_distribution": lambda: plots.score_distribution(SCORES, Y, CHOSEN.value_),
    "chosen_where": lambda: plots.chosen_where(CHOICES),
    "confusion_matrix": lambda: plots.confusion_matrix(Y, CHOSEN.predict(SCORES), unit="flow"),
}


def traces(figure):
    return {trace.name: trace for trace in figure.data}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_valid_titled_and_hold_no_rows(name):
    figure = FIGURES[name]()
    go.Figure(json.loads(figure.to_json()))
    assert figure.layout.title.text
    assert figure.layout.xaxis.title.text
    for trace in figure.data:
        assert len(trace.x) <= MOST_POINTS
    assert len(figure.to_json()) < 30_000


@pytest.mark.parametrize("name", ["threshold_curve", "precision_recall", "roc", "alarm_rates", "score_distribution"])
def test_lines_differ_in_more_than_colour(name):
    lines = [trace for trace in FIGURES[name]().data if trace.mode and "lines" in trace.mode and trace.name != "chance"]
    assert len({(trace.line.dash, trace.marker.symbol) for trace in lines}) == len(lines)


def test_the_threshold_curve_keeps_its_shape_and_marks_the_choice():
    figure = FIGURES["threshold_curve"]()
    drawn = traces(figure)
    assert set(drawn) == {"precision", "recall", "F1", "chosen"}
    assert drawn["chosen"].x[0] == pytest.approx(CHOSEN.value_)
    assert drawn["chosen"].y[0] == pytest.approx(100 * CHOSEN.point_.f1)
    exact = np.interp(drawn["recall"].x, CURVE["threshold"], 100 * CURVE["recall"])
    assert np.allclose(drawn["recall"].y, exact, atol=0.2)
    assert max(drawn["F1"].y) == pytest.approx(100 * CHOSEN.point_.f1, abs=1)
    assert figure.layout.annotations[0].text == f"threshold {CHOSEN.value_:.4g}"


def test_a_threshold_beyond_the_scores_is_drawn_at_their_end():
    endless = AlarmRate(0.0001).fit(SCORES, Y)
    figure = plots.threshold_curve(CURVE, endless.value_)
    assert traces(figure)["chosen"].x[0] == pytest.approx(CURVE["threshold"][-1])
    assert figure.layout.annotations[0].text == "threshold inf"
    spread = plots.score_distribution(SCORES, Y, endless.value_)
    assert spread.layout.shapes[0].x0 <= SCORES.max() + 1


def test_curves_run_from_end_to_end():
    line = traces(FIGURES["roc"]())["rule"]
    assert (line.x[0], line.y[0]) == (0.0, 0.0)
    assert (line.x[-1], line.y[-1]) == (100.0, 100.0)
    assert (np.diff(line.x) >= 0).all()
    line = traces(FIGURES["precision_recall"]())["rule"]
    assert line.x[-1] == 100.0
    assert line.y[-1] == pytest.approx(100 * Y.mean(), abs=0.01)
    assert traces(FIGURES["precision_recall"]())["chance"].y == (10.0, 10.0)


def test_short_curves_are_drawn_point_by_point():
    few = curve([0.0, 1.0, 2.0], [0, 1, 1])
    drawn = traces(plots.threshold_curve(few, 0.5))
    assert list(drawn["recall"].y) == [100.0, 100.0, 50.0, 0.0]
    assert drawn["chosen"].y[0] == 100.0


def test_alarm_rates_carry_their_intervals_and_the_promise():
    drawn = traces(FIGURES["alarm_rates"]())
    assert set(drawn) == {"api", "hdfs", "as promised"}
    api = drawn["api"]
    assert np.allclose(api.x, [1, 5, 10])
    assert np.allclose(np.array(api.y) + api.error_y.array, 100 * ALARMS["high"])
    assert np.allclose(np.array(api.y) - api.error_y.arrayminus, 100 * ALARMS["low"])
    assert drawn["as promised"].x == drawn["as promised"].y


def test_the_scoreboard_shows_training_and_test_bars():
    drawn = traces(FIGURES["rule_scoreboard"]())
    assert np.allclose(drawn["training rows"].x, 100 * BOARD["f1"])
    assert np.allclose(drawn["test rows"].x, 100 * BOARD["test_f1"])
    assert list(drawn["test rows"].y) == BOARD["rule"].to_list()
    only = plots.rule_scoreboard(BOARD.drop("test_f1"), most=1)
    assert [trace.name for trace in only.data] == ["training rows"]
    assert len(only.data[0].x) == 1


def test_long_rules_are_cut_and_stay_different():
    board = pl.DataFrame({"rule": ["x" * 80 + "a", "x" * 80 + "b", "y"], "f1": [0.3, 0.2, 0.1]})
    names = plots.rule_scoreboard(board).data[0].y
    assert len(set(names)) == 3
    assert max(map(len, names)) < 60


def test_the_distribution_has_the_colours_of_the_verdicts_and_adds_up():
    drawn = traces(FIGURES["score_distribution"]())
    for verdict in ("normal", "anomaly"):
        assert drawn[verdict].line.color == style.VERDICTS[verdict]
        assert sum(drawn[verdict].y) == pytest.approx(100, abs=0.01)


@pytest.mark.parametrize(
    "scores",
    [
        np.append(np.zeros(99), 1e300),
        np.zeros(100),
        np.append(np.full(99, -np.inf), np.inf),
        np.append(SCORES[:99], 1e9),
    ],
    ids=["one far", "all equal", "endless", "outlier"],
)
def test_odd_scores_still_make_a_picture(scores):
    figure = plots.score_distribution(scores, np.arange(100) == 99, 0.5)
    for trace in figure.data:
        assert np.isfinite(trace.x).all()
        assert sum(trace.y) == pytest.approx(100, abs=0.01)


def test_one_outlier_does_not_squeeze_the_rest():
    figure = plots.score_distribution(np.append(SCORES, 1e9), np.append(Y, True))
    assert max(figure.data[0].x) < 100
    assert not figure.layout.shapes


def test_no_scores_make_an_empty_picture():
    assert all(sum(trace.y) == 0 for trace in plots.score_distribution([], []).data)


def test_the_two_choices_are_joined():
    figure = FIGURES["chosen_where"]()
    drawn = traces(figure)
    honest, optimistic = "threshold from training rows (honest)", "best threshold on the test rows (optimistic)"
    assert np.allclose(drawn[honest].x, [71, 98])
    assert np.allclose(drawn[optimistic].x, [73, 98.5])
    assert drawn[honest].marker.symbol != drawn[optimistic].marker.symbol
    joined = figure.data[0]
    assert np.allclose(joined.x[:2], [71, 73])
    assert np.isnan(joined.x[2])
    assert joined.y[:3] == ("api", "api", "api")
    with_interval = plots.chosen_where(CHOICES.with_columns(low=pl.lit(0.6), high=pl.lit(0.99)))
    assert np.allclose(traces(with_interval)[honest].error_x.arrayminus, [11, 38], atol=1e-4)


def test_the_confusion_matrix_counts_with_weights():
    figure = plots.confusion_matrix([0, 0, 1, 1], [0, 1, 1, 1], [3, 1, 5, 5])
    heat = figure.data[0]
    assert np.allclose(heat.z, [[75, 25], [0, 100]])
    assert heat.text[0][0] == "3<br>75.0 %"
    assert heat.text[1][1] == "10<br>100.0 %"
    assert list(heat.y) == ["normal rows", "anomalous rows"]


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (lambda: plots.threshold_curve(CURVE.drop("f1"), 0.5), SchemaError, "'f1'"),
        (lambda: plots.precision_recall({"a": CURVE.drop("recall")}), SchemaError, "'recall'"),
        (lambda: plots.roc({"a": CURVE.drop("false_alarm_rate")}), SchemaError, "'false_alarm_rate'"),
        (lambda: plots.alarm_rates({"a": ALARMS.drop("low")}), SchemaError, "'low'"),
        (lambda: plots.rule_scoreboard(BOARD.drop("rule")), SchemaError, "'rule'"),
        (lambda: plots.chosen_where(CHOICES, of="model"), SchemaError, "'model'"),
        (lambda: plots.score_distribution([np.nan], [1]), DataError, "NaN"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_a_sentence(action, error, message):
    with pytest.raises(error, match=message):
        action()
