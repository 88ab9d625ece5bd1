"""Figures of representations: what they show is what the tables say."""

import numpy as np
import polars as pl
import pytest

from utils.errors import SchemaError
from utils.plots import representations, style

SIZES = (10, 25, 50)
NAMES = ("top by importance", "principal components")
SCORES = pl.DataFrame(
    [
        (model, name, size, metric, 0.9 + size / 1_000, 0.89, 0.97)
        for model in ("random forest", "dense network")
        for name, sizes in (("all features", (60,)), *((name, SIZES) for name in NAMES))
        for size in sizes
        for metric in ("f1", "accuracy")
    ],
    schema=["model", "representation", "size", "metric", "value", "low", "high"],
    orient="row",
)
RANKINGS = pl.DataFrame(
    {"split": [0, 0, 1, 1], "k": [10, 1, 1, 10], "overlap": [0.8, 1.0, 0.0, 0.6], "chance": [0.2, 0.02, 0.02, 0.2]}
)
ERRORS = pl.DataFrame(
    {
        "representation": [*["autoencoder codes"] * 2, *["principal components"] * 4],
        "size": [10, 25, 1, 10, 1, 10],
        "split": [0, 0, 0, 0, 1, 1],
        "lost": [0.05, 0.02, 0.7, 0.2, 0.8, 0.3],
        "explained": [None, None, 0.3, 0.8, 0.2, 0.7],
    },
    schema_overrides={"explained": pl.Float64},
)
FIGURES = {
    "scores": lambda: representations.representation_scores(SCORES),
    "rankings": lambda: representations.ranking_agreement(RANKINGS),
    "reconstruction": lambda: representations.reconstruction(ERRORS),
}


@pytest.mark.parametrize("name", FIGURES)
def test_each_has_a_title_axes_and_the_house_style(name):
    figure = FIGURES[name]()
    assert figure.layout.title.text
    axes = [axis.title.text for axis in (*figure.select_xaxes(), *figure.select_yaxes())]
    assert sum(bool(text) for text in axes) >= 2
    assert figure.layout.template.layout.font.family == style.new_figure("").layout.template.layout.font.family
    assert len(figure.to_json()) < 20_000


def traces(figure, name):
    return [trace for trace in figure.data if trace.name == name]


def test_scores_stand_with_their_intervals_side_by_side():
    figure = FIGURES["scores"]()
    assert {annotation.text for annotation in figure.layout.annotations} == {"random forest", "dense network"}
    first, second = (traces(figure, name)[0] for name in NAMES)
    np.testing.assert_allclose(first.y, [91, 92.5, 95], rtol=1e-5)
    np.testing.assert_allclose(first.error_y.array, [6, 4.5, 2], rtol=1e-4)
    np.testing.assert_allclose(first.error_y.arrayminus, [2, 3.5, 6], rtol=1e-4)
    assert list(first.customdata) == list(SIZES)
    assert (np.asarray(first.x) < np.asarray(second.x)).all()
    assert (first.line.dash, first.marker.symbol) != (second.line.dash, second.marker.symbol)
    whole = traces(figure, "all features")
    assert len(whole) == 2
    assert [trace.showlegend for trace in whole] == [True, False]
    np.testing.assert_allclose(whole[0].y, [96, 96], rtol=1e-5)
    accuracy = representations.representation_scores(SCORES, "accuracy")
    assert accuracy.layout.yaxis.title.text == "accuracy (%)"


def test_scores_without_intervals_or_rows_are_drawn_too():
    bare = SCORES.with_columns(low=pl.lit(float("nan")), high=pl.lit(float("nan")))
    figure = representations.representation_scores(bare)
    assert all(value is None or np.isnan(value) for value in traces(figure, NAMES[0])[0].error_y.array)
    band = next(trace for trace in figure.data if trace.fill == "toself")
    np.testing.assert_allclose(band.y, [96] * 4, rtol=1e-5)
    narrow = SCORES.filter(pl.col("representation") != "all features")
    assert not traces(representations.representation_scores(narrow), "all features")
    assert len(representations.representation_scores(SCORES.clear()).data) == 0


def test_rankings_show_mean_range_and_chance():
    figure = FIGURES["rankings"]()
    mean, chance = traces(figure, "in common, mean of the splits")[0], traces(figure, "by chance")[0]
    assert list(mean.x) == [1, 10]
    np.testing.assert_allclose(mean.y, [50, 70])
    np.testing.assert_allclose(chance.y, [2, 20], rtol=1e-6)
    span = traces(figure, "range over the splits")[0]
    np.testing.assert_allclose(span.y, [100, 80, 60, 0], rtol=1e-6)


def test_reconstruction_shows_what_is_explained_and_what_is_lost():
    figure = FIGURES["reconstruction"]()
    explained, lost = traces(figure, "principal components")
    np.testing.assert_allclose(explained.y, [25, 75], rtol=1e-5)
    np.testing.assert_allclose(lost.y, [75, 25], rtol=1e-5)
    np.testing.assert_allclose(lost.error_y.array, [5, 5], rtol=1e-4)
    (codes,) = traces(figure, "autoencoder codes")
    np.testing.assert_allclose(codes.y, [5, 2], rtol=1e-5)
    assert figure.layout.yaxis2.type is None
    fine = representations.reconstruction(ERRORS.with_columns(pl.col("lost") / 100))
    assert fine.layout.yaxis2.type == "log"
    rounding = representations.reconstruction(ERRORS.with_columns(pl.col("lost") * 1e-30))
    np.testing.assert_allclose(traces(rounding, "principal components")[1].y, representations.LEAST_LOST)


@pytest.mark.parametrize(
    ("draw", "table"),
    [
        (representations.representation_scores, SCORES.drop("low")),
        (representations.ranking_agreement, RANKINGS.drop("chance")),
        (representations.reconstruction, ERRORS.drop("lost")),
    ],
)
def test_a_missing_column_is_named(draw, table):
    with pytest.raises(SchemaError, match="must have the column"):
        draw(table)
