"""Figures of classifiers: what they show is what the tables say."""

import numpy as np
import plotly.graph_objects as go
import polars as pl
import pytest

from utils.errors import SchemaError
from utils.plots import classifiers, style

BOARD = pl.DataFrame(
    {
        "model": ["forest", "boosted", "tree", "odd", "dummy"],
        "f1": [0.95, 0.94, 0.8, 0.7, 0.5],
        "f1_low": [0.93, 0.9, 0.7, float("nan"), 0.5],
        "f1_high": [0.97, 0.98, 0.9, float("nan"), 0.5],
        "fit_seconds": [1.0, 0.1, 0.01, 2.0, 0.001],
        "verdict": ["best", "not told from the best", "worse", "no verdict", "worse"],
        "front": [True, True, True, False, True],
    }
)
TREATED = pl.DataFrame(
    {
        "treatment": ["as it is", "SMOTE"],
        "f1": [0.5, 0.7],
        "f1_low": [0.4, 0.6],
        "f1_high": [0.6, 0.8],
        "f1_moved": [0.8, 0.75],
        "f1_moved_low": [0.7, None],
        "f1_moved_high": [0.9, None],
        "brier": [0.01, 0.02],
        "brier_low": [0.005, 0.01],
        "brier_high": [0.02, 0.03],
    }
)
FIGURES = {
    "board": (classifiers.model_scoreboard, BOARD),
    "cost": (classifiers.score_against_cost, BOARD),
    "treatments": (classifiers.imbalance_comparison, TREATED),
}


def traces(figure):
    return {trace.name: trace for trace in figure.data}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_returned_in_the_house_style(name):
    make, table = FIGURES[name]
    figure = make(table)
    assert isinstance(figure, go.Figure)
    assert figure.layout.title.text
    assert figure.layout.xaxis.title.text.endswith(("(%)", "logarithmic)"))
    assert figure.layout.template.layout.font.color == style.INK
    assert make(table, title="Another?").layout.title.text == "Another?"
    assert isinstance(make(table.clear()), go.Figure)


@pytest.mark.parametrize("name", FIGURES)
def test_a_missing_column_is_named(name):
    make, table = FIGURES[name]
    with pytest.raises(SchemaError, match="f1_low"):
        make(table.drop("f1_low"))


def test_models_are_marked_by_verdict_with_their_intervals():
    figure = classifiers.model_scoreboard(BOARD)
    shown = traces(figure)
    assert set(shown) == {"best", "not told from the best", "worse", "no verdict", "dummy"}
    assert list(shown["worse"].y) == ["tree"]
    assert shown["best"].x[0] == pytest.approx(95)
    assert shown["best"].error_x.array[0] == pytest.approx(2, abs=1e-4)
    assert shown["best"].error_x.arrayminus[0] == pytest.approx(2, abs=1e-4)
    assert set(shown["dummy"].x) == {50.0}
    assert list(figure.layout.yaxis.categoryarray) == ["odd", "tree", "boosted", "forest"]
    symbols = [trace.marker.symbol for trace in figure.data if trace.mode == "markers"]
    assert len(set(symbols)) == len(symbols), "readable in greyscale"


def test_cost_is_logarithmic_and_the_front_is_marked():
    figure = classifiers.score_against_cost(BOARD)
    shown = traces(figure)
    assert figure.layout.xaxis.type == "log"
    np.testing.assert_allclose(shown[classifiers.FRONT].x, [0.01, 0.1, 1.0], rtol=1e-6)
    assert list(shown["on that line"].text) == ["tree", "boosted", "forest"]
    assert list(shown["others"].text) == ["odd"]
    assert not any("dummy" in (trace.text or ()) for trace in figure.data)


def test_treatments_stand_at_one_half_and_with_the_threshold_moved():
    shown = traces(classifiers.imbalance_comparison(TREATED))
    np.testing.assert_allclose(shown["at one half"].x, [50, 70], rtol=1e-6)
    np.testing.assert_allclose(shown["threshold moved"].x, [80, 75], rtol=1e-6)
    single = classifiers.imbalance_comparison(TREATED, metric="brier")
    assert [trace.name for trace in single.data] == ["Brier score"]
    assert single.layout.xaxis.range[0] == 0


def test_names_cover_neither_points_nor_each_other():
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.normal(400, 30, 12).clip(50, 750), rng.normal(40, 8, 12).clip(10, 300)])
    names = [f"model {place:02d}" for place in range(12)]
    offsets = classifiers._offsets(points, names)
    half = classifiers.LETTER * 8 / 2
    boxes = [
        (x + dx - half, y + dy - 8, x + dx + half, y + dy + 8) for (x, y), (dx, dy) in zip(points, offsets, strict=True)
    ]
    for place, box in enumerate(boxes):
        assert classifiers._inside(box)
        assert not any(classifiers._meet(box, other) for other in boxes[:place])
        assert not any(box[0] < x < box[2] and box[1] < y < box[3] for x, y in points)
    crowded = classifiers._offsets(np.full((400, 2), 100.0), ["model"] * 400)
    assert crowded[-1] == classifiers.PLACES[0], "where nothing is free a name stands above its point"


def test_names_stand_at_their_points():
    figure = classifiers.score_against_cost(BOARD)
    written = {note.text: (note.x, note.y) for note in figure.layout.annotations}
    assert set(written) == {"forest", "boosted", "tree", "odd"}
    assert written["boosted"] == pytest.approx((-1, 94))
