import json

import numpy as np
import plotly.graph_objects as go
import polars as pl
import pytest

from tests.unit import small_data
from tests.unit.loading import refused
from utils import plots
from utils.features import selection
from utils.plots import features, style

MOST_POINTS = 600


def frame(rows=500, seed=0):
    rng = np.random.default_rng(seed)
    bad = rng.random(rows) < 0.3
    good = rng.normal(size=rows) + 2.0 * bad
    return pl.DataFrame(
        {
            "gives away": bad + 0.05 * rng.normal(size=rows),
            "good": good,
            "copy": good + 0.01 * rng.normal(size=rows),
            "turned": -good + 0.02 * rng.normal(size=rows),
            "noise": rng.normal(size=rows),
            "constant": np.ones(rows),
            "mostly missing": pl.Series(np.where(np.arange(rows) < 5, 1.0, np.nan)),
            "size": rng.lognormal(3, 2, rows),
            "is_anomaly": bad,
        }
    )


@pytest.fixture(scope="module")
def choice():
    return selection.select(frame(), "is_anomaly")


@pytest.fixture(scope="module")
def measured():
    return selection.stability(frame(), "is_anomaly", top=3, resamples=10)


def points(figure):
    return sum(len(trace.x) for trace in figure.data if trace.x is not None)


def rows_of(figure):
    return [name for trace in figure.data if trace.y is not None for name in trace.y if name is not None]


@pytest.fixture(scope="module")
def figures(choice, measured):
    table = small_data.table()
    return {
        "signal": plots.signal_map({"tiny": choice, "again": choice}),
        "information": plots.most_informative({"tiny": choice}),
        "stability": plots.stability_bars(measured, "tiny"),
        "groups": plots.correlation_groups(choice, "tiny"),
        "logarithm": plots.log_effect(table["flows"], table.roles["flows"], "size"),
    }


@pytest.mark.parametrize("name", ["signal", "information", "stability", "groups", "logarithm"])
def test_figures_are_titled_valid_and_hold_aggregates_only(figures, name):
    figure = figures[name]
    go.Figure(json.loads(figure.to_json()))
    assert len(figure.layout.title.text) > 20
    assert 0 < points(figure) < MOST_POINTS
    titles = [axis.title.text for axis in figure.select_xaxes()]
    assert any(titles)
    assert len(figure.to_json()) < 20_000


def test_the_signal_map_shows_each_measured_feature_with_its_interval_and_verdict(choice):
    figure = plots.signal_map({"tiny": choice})
    assert sorted(rows_of(figure)) == sorted(choice.table["feature"])
    by_verdict = {trace.name: trace for trace in figure.data if trace.error_x.array is not None}
    assert list(by_verdict["too good to be true"].y) == ["gives away"]
    assert by_verdict["too good to be true"].marker.color == style.ANOMALY
    kept = by_verdict["keep"]
    assert len(kept.error_x.array) == len(kept.error_x.arrayminus) == len(kept.x)
    row = choice.table.filter(feature=str(kept.y[0])).row(0, named=True)
    assert kept.x[0] + kept.error_x.array[0] == pytest.approx(row["auc_high"], abs=1e-5)
    assert kept.x[0] - kept.error_x.arrayminus[0] == pytest.approx(row["auc_low"], abs=1e-5)


def test_every_verdict_has_a_mark_of_its_own():
    assert set(features.MARKS) == set(selection.VERDICTS)
    assert len({symbol for _, symbol in features.MARKS.values()}) == len(selection.VERDICTS)


def test_verdicts_stand_once_in_the_legend(figures, choice):
    shown = [trace.name for trace in figures["signal"].data if trace.showlegend is not False]
    assert sorted(shown) == sorted(set(choice.table["verdict"]))


def test_the_most_informative_feature_comes_first(choice):
    figure = plots.most_informative({"tiny": choice}, most=3)
    order = figure.layout.yaxis.categoryarray
    assert order[-1] == "gives away"
    assert len(order) == len(rows_of(figure)) == 3


def test_stability_bars_name_the_index_and_the_interval(measured):
    figure = plots.stability_bars(measured, "tiny", most=4)
    assert f"stability {measured.index:.2f}" in figure.layout.title.text
    assert measured.verdict in figure.layout.title.text
    assert {trace.name for trace in figure.data} == {"chosen on all rows", "not chosen on all rows"}
    assert len(rows_of(figure)) == 4
    bar = figure.data[0]
    assert max(bar.x) == 100
    assert (np.asarray(bar.x) + np.asarray(bar.error_x.array) <= 100.001).all()


def test_correlated_features_stand_beside_the_one_that_stays(choice):
    figure = plots.correlation_groups(choice, "tiny")
    stays = next(name for name in ("good", "copy", "turned") if name in choice.kept)
    assert len(figure.data[0].y) == 2
    assert all(label.startswith(f"{stays}  ←  ") for label in figure.data[0].y)
    assert min(figure.data[0].x) >= 0.95
    assert {"circle", "x"} >= set(figure.data[0].marker.symbol)


def test_no_groups_and_no_labels_are_said_in_a_sentence():
    alone = selection.select(frame().select("good", "noise", "is_anomaly"), "is_anomaly")
    assert "no two features" in plots.correlation_groups(alone, "tiny").layout.title.text
    unlabelled = selection.select(frame().drop("is_anomaly"), None)
    for figure in (plots.signal_map({"tiny": unlabelled}), plots.most_informative({"tiny": unlabelled})):
        assert "No data set has labels" in figure.layout.title.text
        assert points(figure) == 0


def test_the_logarithm_is_shown_before_and_after_by_class():
    table = small_data.table()
    figure = plots.log_effect(table["flows"], table.roles["flows"], "size", bins=20)
    assert [trace.name for trace in figure.data] == ["normal", "anomaly"] * 2
    for trace in figure.data:
        assert trace.line.color == style.VERDICTS[trace.name]
        assert sum(trace.y) == pytest.approx(100)
        assert len(trace.x) == 21
    before, after = (note.text for note in figure.layout.annotations)
    assert float(before.rpartition(" ")[2]) > 3 * abs(float(after.rpartition(" ")[2]))


def test_the_unit_of_the_logarithm_is_named():
    table = small_data.table()
    figure = plots.log_effect(table["flows"], table.roles["flows"], "rate", unit=0.01)
    assert figure.layout.xaxis2.title.text == "log(1 + rate / 0.01)"


def test_odd_columns_of_the_logarithm():
    table = small_data.table(label=False)
    roles = table.roles["flows"]
    odd = table["flows"].with_columns(size=pl.Series([np.inf, None, np.nan, -4.0] * 100))
    figure = plots.log_effect(odd, roles, "size")
    assert [trace.name for trace in figure.data] == ["unclassified"] * 2
    assert "skewness 0.0" in figure.layout.annotations[0].text
    refused(lambda: plots.log_effect(odd, roles, "client"), "'client'", "String")
    refused(lambda: plots.log_effect(odd, roles, "nothing"), "'nothing'", "no such column")
    nothing = odd.with_columns(size=pl.lit(None, pl.Float64))
    refused(lambda: plots.log_effect(nothing, roles, "size"), "'size'", "found none")


def test_long_and_numeric_names_stay_apart():
    names = {"good": "x" * 50 + "1", "copy": "x" * 50 + "2", "turned": "x" * 50 + "3", "noise": "2024"}
    chosen = selection.select(frame().rename(names), "is_anomaly")
    for figure in (plots.signal_map({"tiny": chosen}), plots.most_informative({"tiny": chosen})):
        shown = rows_of(figure)
        assert len(set(shown)) == len(shown) == 8
        assert figure.layout.yaxis.type == "category"
    groups = plots.correlation_groups(chosen, "tiny")
    assert len(set(groups.data[0].y)) == 2
