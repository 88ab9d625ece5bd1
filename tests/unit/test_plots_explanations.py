"""Figures of explanations: what they show is what the tables say, and they stay small."""

import json

import numpy as np
import plotly.graph_objects as go
import polars as pl
import pytest

from utils import explain, plots
from utils.errors import DataError, SchemaError
from utils.explain import Shapley
from utils.plots import explanations, style

ROWS = 2_000


def shapley(rows=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    table = pl.DataFrame(
        {
            "bytes": rng.lognormal(6, 3, rows).round(),
            "rate": rng.normal(size=rows),
            "state": rng.choice(["ok", "reset", None], rows, p=[0.7, 0.2, 0.1]),
            "open": rng.random(rows) < 0.5,
            "lasted": pl.Series(rng.integers(1, 90, rows)).cast(pl.Duration("ms")),
            "empty": pl.Series([None] * rows, dtype=pl.Float64),
        }
    )
    sizes = (3.0, 1.0, 2.0, 0.5, 0.2, 0.0)
    values = pl.DataFrame({name: size * rng.normal(size=rows) for name, size in zip(table.columns, sizes, strict=True)})
    output = -1.0 + values.to_numpy().sum(axis=1)
    return Shapley(values, table, -1.0, output, output, "log-odds", "made", 0.0)


FOUND = shapley()
IMPORTANCE = explain.importance(FOUND, resamples=50)
SLICES = pl.DataFrame(
    {
        "column": ["service", "kind", "service"],
        "value": ["http", "scan", None],
        "rows": [100.0, 40.0, 10.0],
        "errors": [20.0, 30.0, 0.0],
        "rate": [0.2, 0.75, 0.0],
        "low": [0.1, 0.6, 0.0],
        "high": [0.3, 0.85, 0.2],
        "beyond_chance": [False, True, False],
    }
)
MISTAKES = pl.DataFrame(
    {
        "row": [7, 3, 9],
        "mistake": ["false alarm", "miss", "miss"],
        "score": [0.9, 0.1, 0.2],
        "threshold": [0.5, 0.5, 0.5],
        "distance": [0.4, 0.0, 1.2],
        "same_other": [False, True, False],
    }
)
FIGURES = {
    "importance": lambda: plots.importance_bars(IMPORTANCE),
    "beeswarm": lambda: plots.beeswarm(FOUND),
    "waterfall": lambda: plots.waterfall(FOUND, 5, threshold=0.5),
    "numbers": lambda: plots.dependence_plot(FOUND, "rate"),
    "decades": lambda: plots.dependence_plot(FOUND, "bytes"),
    "names": lambda: plots.dependence_plot(FOUND, "state"),
    "slices": lambda: plots.slice_bars(SLICES),
    "mistakes": lambda: plots.mistakes_plot(MISTAKES),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_valid_titled_and_small(name):
    figure = FIGURES[name]()
    go.Figure(json.loads(figure.to_json()))
    assert figure.layout.title.text
    assert figure.layout.xaxis.title.text
    points = sum(len(trace.x) for trace in figure.data if trace.x is not None)
    assert points <= explanations.MOST_POINTS
    assert len(figure.to_json()) < 25_000


def test_importance_shows_the_table_with_its_intervals():
    bars = FIGURES["importance"]().data[0]
    assert list(bars.y) == IMPORTANCE["feature"].to_list()
    assert np.allclose(bars.x, IMPORTANCE["importance"])
    assert np.allclose(bars.x + bars.error_x.array, IMPORTANCE["high"], atol=1e-5)
    assert np.allclose(bars.x - bars.error_x.arrayminus, IMPORTANCE["low"], atol=1e-5)
    assert len(plots.importance_bars(IMPORTANCE, most=2).data[0].y) == 2


def test_the_beeswarm_shows_the_most_important_columns_and_colours_numbers_only():
    figure = FIGURES["beeswarm"]()
    assert list(figure.layout.yaxis.ticktext) == IMPORTANCE["feature"].to_list()
    numbers, names = figure.data
    assert names.marker.symbol == "circle-open"
    assert names.marker.color == style.TRAIN
    assert numbers.marker.colorbar.ticktext == ("low", "high")
    assert 0 <= min(numbers.marker.color) < max(numbers.marker.color) <= 1
    lines = np.rint(numbers.y).astype(int)
    place = IMPORTANCE["feature"].to_list().index("state")
    assert place not in set(lines)
    assert (np.abs(numbers.y - lines) < 0.45).all()
    shown = set(np.float32(FOUND.values["bytes"].to_numpy()))
    assert set(np.float32(numbers.x[lines == 0])) <= shown


def test_a_few_rows_are_all_shown():
    few = shapley(5)
    assert sum(len(trace.x) for trace in plots.beeswarm(few).data) == 5 * 6


def test_the_waterfall_leads_from_the_mean_to_the_record():
    figure = FIGURES["waterfall"]()
    bars, mean, record, threshold = figure.data
    assert bars.base[0] == pytest.approx(-1.0)
    assert bars.base[-1] + bars.x[-1] == pytest.approx(FOUND.output[5], abs=1e-5)
    assert "mean" in mean.name
    assert "this record" in record.name
    assert threshold.name == "threshold 0.5"
    assert len({mean.line.dash, record.line.dash, threshold.line.dash}) == 3
    steps = explain.single(FOUND, 5)
    assert [colour == style.ANOMALY for colour in bars.marker.color] == (steps["contribution"] >= 0).to_list()
    low, high = figure.layout.xaxis.range
    assert low < min(*steps["start"], *steps["end"])
    assert high > max(*steps["start"], *steps["end"])
    assert len(plots.waterfall(FOUND, 5, most=2, threshold=np.inf).data) == 3
    with pytest.raises(DataError):
        plots.waterfall(FOUND, ROWS)


def test_dependence_of_numbers_is_points_and_of_names_boxes():
    points = FIGURES["numbers"]().data[0]
    assert len(points.x) == explanations.MOST_POINTS
    boxes = {trace.x[0]: trace for trace in FIGURES["names"]().data}
    assert set(boxes) == {"ok", "reset"}
    values = FOUND.values["state"].filter(FOUND.rows["state"] == "ok")
    assert boxes["ok"].median[0] == pytest.approx(values.median())
    assert boxes["ok"].upperfence[0] == pytest.approx(values.max())


def test_values_over_decades_get_an_axis_of_decades():
    figure = FIGURES["decades"]()
    assert list(figure.layout.xaxis.ticktext)[:2] == ["0", "1"]
    assert max(figure.data[0].x) == pytest.approx(np.log10(1 + FOUND.rows["bytes"].max()), rel=0.3)
    plain = plots.dependence_plot(FOUND, "bytes", logarithmic=False)
    assert plain.layout.xaxis.ticktext is None
    assert plots.dependence_plot(FOUND, "lasted").layout.xaxis.ticktext is None
    assert len(plots.dependence_plot(FOUND, "empty").data[0].x) == 0


def test_slices_beyond_chance_are_marked():
    figure = FIGURES["slices"]()
    beyond, within = figure.data
    assert list(beyond.y) == ["kind = scan (40)"]
    assert list(within.y) == ["service = http (100)", "service = None (10)"]
    assert np.allclose(beyond.x, [75])
    assert np.allclose(beyond.error_x.arrayminus, [15], atol=1e-4)
    assert beyond.marker.symbol != within.marker.symbol
    assert len(plots.slice_bars(SLICES, most=1).data[0].y) == 0


def test_mistakes_show_kind_confidence_and_contradictions():
    traces = {trace.name: trace for trace in FIGURES["mistakes"]().data}
    assert set(traces) == {
        "false alarm (1)",
        "miss (1)",
        "miss, same features with the other label in training (1)",
    }
    assert np.allclose(traces["false alarm (1)"].x, [0.4])
    contradicted = traces["miss, same features with the other label in training (1)"]
    assert contradicted.marker.symbol == "diamond-open"
    assert list(contradicted.customdata) == [3]
    assert len(plots.mistakes_plot(MISTAKES.head(0)).data) == 0


@pytest.mark.parametrize(
    ("draw", "table"),
    [(plots.importance_bars, IMPORTANCE), (plots.slice_bars, SLICES), (plots.mistakes_plot, MISTAKES)],
)
def test_a_table_without_a_column_is_refused(draw, table):
    with pytest.raises(SchemaError):
        draw(table.drop(table.columns[1]))
