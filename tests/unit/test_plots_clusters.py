"""Figures of clusters: what they show is what the tables say, and they stay small."""

import json

import numpy as np
import plotly.graph_objects as go
import polars as pl
import pytest

from utils import plots
from utils.errors import DataError, SchemaError
from utils.plots import style
from utils.plots.clusters import MOST_MARKS, MOST_POINTS

RNG = np.random.default_rng(0)
DISTANCES = {"nearest neighbour": RNG.lognormal(-3, 1, 5_000), "18th neighbour": RNG.lognormal(-1, 1, 5_000)}
SWEEP = pl.DataFrame(
    {
        "eps": [0.1, 0.2, 0.1, 0.3],
        "min_samples": [5.0, 5.0, 10.0, 10.0],
        "clusters": [9, 4, 7, 2],
        "noise_share": [0.5, 0.25, 0.6, 0.1],
        "stability": [0.5, 0.9, 0.4, 0.8],
        "chosen": [False, True, False, False],
    }
)
SHARES = pl.DataFrame(
    {
        "cluster": [0, 1, -1],
        "rows": [10, 500, 90],
        "good": [0.1, 0.9, 0.0],
        "attack": [0.8, 0.0, 0.5],
        "unclassified": [0.1, 0.1, 0.5],
        "label": ["attack", "good", None],
    }
)
LABELLED = pl.DataFrame(
    {
        "cluster": [0, 1],
        "rows": [10, 40],
        "label": ["attack", "good"],
        "attack_events": [8, 0],
        "unclassified_events": [1, 4],
        "signature": [0.7, None],
        "signature_known": [10, 0],
        "errors": [0.1, 0.2],
        "errors_known": [10, 40],
    }
)
COMPONENTS = pl.DataFrame(
    {"column": ["pca0", "-", "pca1"], "stands_for": ["size", "first half", "constant"], "explained": [0.5, 0.99, None]}
)
PLACES = RNG.normal(size=(3_000, 3))
CLUSTERS = RNG.integers(-1, 12, 3_000)
FIGURES = {
    "distances": lambda: plots.k_distance_curve(DISTANCES, {"18th neighbour": 1.5}),
    "sweep": lambda: plots.sweep_map(SWEEP),
    "composition": lambda: plots.cluster_composition(SHARES),
    "evidence": lambda: plots.evidence_map(LABELLED),
    "explained": lambda: plots.explained_bars(COMPONENTS),
    "plane": lambda: plots.feature_space(PLACES[:, :2], CLUSTERS, axes=("one (40 %)", "two (20 %)")),
    "space": lambda: plots.feature_space(PLACES, CLUSTERS),
}


def drawn(figure):
    return {trace.name: trace for trace in figure.data}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_valid_titled_and_small(name):
    figure = FIGURES[name]()
    go.Figure(json.loads(figure.to_json()))
    assert figure.layout.title.text
    assert len(figure.to_json()) < 15_000


@pytest.mark.parametrize("name", ["distances", "composition", "evidence", "explained", "plane"])
def test_axes_are_titled(name):
    assert FIGURES[name]().layout.xaxis.title.text


def test_the_curve_of_distances_rises_through_every_height_and_marks_the_knee():
    figure = FIGURES["distances"]()
    for name, values in DISTANCES.items():
        line = drawn(figure)[name]
        assert len(line.x) <= MOST_POINTS
        assert (np.diff(line.y) >= 0).all()
        assert line.y[-1] == pytest.approx(values.max(), rel=1e-6)
        exact = np.interp(line.x, 100 * np.arange(1, len(values) + 1) / len(values), np.sort(values))
        assert np.allclose(line.y, exact, rtol=1e-3)
    (mark,) = [trace for trace in figure.data if "knee" in trace.name]
    assert mark.name == "knee of the 18th neighbour: 1.5"
    assert mark.x[0] == pytest.approx(100 * (DISTANCES["18th neighbour"] <= 1.5).mean())
    assert len({trace.line.dash for trace in figure.data if trace.mode == "lines"}) == 2


def test_distances_of_zero_keep_their_places_without_a_logarithm():
    line = plots.k_distance_curve({"first": np.repeat([0.0, 1.0], 50)}).data[0]
    assert min(line.x) > 50
    assert set(line.y) == {1.0}
    assert plots.k_distance_curve({"first": np.zeros(5)}).data[0].x.size == 0
    assert list(plots.k_distance_curve({"first": [0.5]}).data[0].y) == [0.5]


def test_no_distance_is_refused():
    with pytest.raises(DataError, match="at least one"):
        plots.k_distance_curve({"first": []})


def test_the_sweep_has_one_panel_a_measure_with_gaps_and_the_chosen_cell():
    figure = FIGURES["sweep"]()
    clusters, noise, stability = figure.data
    assert list(clusters.x) == ["0.1", "0.2", "0.3"]
    assert list(clusters.y) == ["5", "10"]
    assert np.allclose(clusters.z, [[9, 4, np.nan], [7, np.nan, 2]], equal_nan=True)
    assert np.allclose(noise.z[0][:2], [50, 25])
    assert np.allclose(stability.z[1][2], 80)
    assert len(figure.layout.shapes) == 3
    assert (figure.layout.shapes[0].x0, figure.layout.shapes[0].y0) == (0.5, -0.5)


def test_the_chosen_setting_may_be_given_or_unknown():
    plain = SWEEP.drop("chosen", "stability")
    assert len(plots.sweep_map(plain).layout.shapes) == 0
    framed = plots.sweep_map(plain, (0.3, 10))
    assert [(shape.x0, shape.y0) for shape in framed.layout.shapes] == [(1.5, 0.5)] * 2
    nobody = SWEEP.with_columns(chosen=pl.lit(value=False))
    assert len(plots.sweep_map(nobody).layout.shapes) == 0


def test_radii_that_look_alike_stay_different():
    close = SWEEP.with_columns(eps=pl.Series([0.1, 0.10001, 0.1, 0.10002]))
    assert len(set(plots.sweep_map(close).data[0].x)) == 3


def test_a_sweep_without_a_measure_is_refused():
    with pytest.raises(SchemaError, match="clusters"):
        plots.sweep_map(SWEEP.select("eps", "min_samples"))
    with pytest.raises(SchemaError):
        plots.sweep_map(SWEEP.drop("eps"))


def test_the_composition_shows_shares_by_cluster_the_largest_first():
    figure = FIGURES["composition"]()
    shown = drawn(figure)
    names = ["cluster 1 (500 rows): good", "noise (90 rows)", "cluster 0 (10 rows): attack"]
    assert list(shown["attack"].y) == names
    assert np.allclose(shown["attack"].x, [0, 50, 80])
    assert np.allclose(np.sum([trace.x for trace in figure.data], axis=0), 100)
    assert shown["attack"].marker.color == style.VERDICTS["anomaly"]
    assert shown["good"].marker.color == style.VERDICTS["normal"]
    assert len({trace.marker.pattern.shape for trace in figure.data}) == 3


def test_the_composition_of_labelled_events_is_counted():
    shown = drawn(plots.cluster_composition(LABELLED))
    assert np.allclose(shown["attack"].x, [0, 80])
    assert np.allclose(shown["unclassified"].x, [10, 10])
    assert np.allclose(shown["good"].x, [90, 10])


def test_clusters_that_are_not_shown_are_counted():
    figure = plots.cluster_composition(SHARES, most=1)
    assert "2 smaller clusters with 100 rows" in figure.layout.title.text
    assert "2 smaller clusters" in plots.evidence_map(SHARES, ["attack"], most=1).layout.title.text


def test_a_composition_without_shares_is_refused():
    with pytest.raises(SchemaError, match="unclassified"):
        plots.cluster_composition(SHARES.select("cluster", "rows"))


def test_the_evidence_map_finds_the_columns_of_evidence():
    heat = FIGURES["evidence"]().data[0]
    assert list(heat.x) == ["signature", "errors"]
    assert np.allclose(heat.z, [[np.nan, 20], [70, 10]], equal_nan=True)
    with pytest.raises(SchemaError):
        plots.evidence_map(LABELLED, ["nothing"])


def test_explained_variance_leaves_constant_columns_out():
    bars = FIGURES["explained"]().data[0]
    assert list(bars.y) == ["pca0 size", "first half"]
    assert np.allclose(bars.x, [50, 99])
    assert list(plots.explained_bars(COMPONENTS.drop("column")).data[0].y) == ["size", "first half"]


@pytest.mark.parametrize("name", ["plane", "space"])
def test_the_feature_space_shows_some_of_every_group_and_counts_all(name):
    figure = FIGURES[name]()
    solid = name == "space"
    assert sum(len(trace.x) for trace in figure.data) <= MOST_MARKS[2 + solid]
    counts = np.bincount(CLUSTERS + 1)
    shown = drawn(figure)
    assert f"noise ({counts[0]:,})" in shown
    assert sum(int(trace.split("(")[1].rstrip(")").replace(",", "")) for trace in shown) == 3_000
    assert len([trace for trace in shown if trace.startswith("cluster")]) == 7
    assert all(len(trace.x) for trace in figure.data)
    looks = {(trace.marker.color, trace.marker.symbol) for trace in figure.data}
    assert len(looks) == len(figure.data)
    if not solid:
        assert len({trace.marker.symbol for trace in figure.data}) == len(figure.data)
        assert figure.layout.xaxis.title.text == "one (40 %)"
    else:
        assert figure.layout.scene.zaxis.title.text == "coordinate 3"


def test_labels_keep_their_colours_in_the_feature_space():
    shown = drawn(plots.feature_space(PLACES[:100, :2], np.arange(100) < 30))
    assert shown["anomaly (30)"].marker.color == style.VERDICTS["anomaly"]
    assert shown["normal (70)"].marker.color == style.VERDICTS["normal"]


def test_rows_far_out_are_drawn_at_the_edge_and_counted():
    far = np.vstack([PLACES[:500, :2], [[1e6, 0.0]]])
    figure = plots.feature_space(far, ["a"] * 501)
    assert "1 of 501 rows" in figure.layout.title.text
    assert max(figure.data[0].x) < 20


@pytest.mark.parametrize("places", [np.zeros((4, 2)), np.zeros((1, 3)), np.full((3, 2), 1e300)])
def test_equal_rows_are_one_mark(places):
    figure = plots.feature_space(places, ["a"] * len(places))
    assert [len(trace.x) for trace in figure.data] == [1]


def test_no_row_is_an_empty_picture():
    assert len(plots.feature_space(np.empty((0, 2)), pl.Series([], dtype=pl.Int64)).data) == 0


def test_coordinates_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="two or three"):
        plots.feature_space(np.zeros((4, 5)), [0] * 4)
    with pytest.raises(DataError, match="not finite"):
        plots.feature_space([[0.0, np.nan]], [0])
    with pytest.raises(DataError, match="found 3"):
        plots.feature_space(np.zeros((4, 2)), [0] * 3)
