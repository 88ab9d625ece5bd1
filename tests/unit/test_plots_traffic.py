"""Figures of traffic: what is drawn, from what, and that odd input is no surprise."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from utils import plots
from utils.errors import SchemaError
from utils.plots.traffic import MOST_ARROWS, MOST_LABELS


def edges(hosts, **more):
    rows = [
        {"src": f"h{a:03}", "dst": f"h{(a + step) % hosts:03}", "bytes": 10.0**step}
        for a in range(hosts)
        for step in (1, 2)
    ]
    return pl.DataFrame([row | more for row in rows])


def names(figure):
    return [each.text for each in figure.layout.annotations]


def test_hosts_keep_their_places_and_groups_stand_together():
    layout = plots.host_layout(["b", "a", "c", "d"], {"a": 1, "b": 0, "c": 1, "d": 0})
    assert list(layout) == ["b", "d", "a", "c"]
    assert all(np.hypot(x, y) == pytest.approx(1) for x, y in layout.values())


def test_a_graph_has_a_panel_a_window_and_marks_what_is_odd():
    usual, odd = edges(12), edges(12).with_columns(flagged=pl.col("src") == "h000")
    figure = plots.host_graph({"normal": usual, "odd": odd}, plots.host_layout([f"h{n:03}" for n in range(12)]))
    assert sum(trace.name == "anomalous edge" for trace in figure.data) == 1
    assert names(figure).count("h003") == 2
    assert {"normal", "odd"} <= set(names(figure))
    lines = next(trace for trace in figure.data if trace.name == "anomalous edge")
    assert lines.line.dash == "5px,2px"
    assert len(lines.x) == 6
    hosts = [trace for trace in figure.data if trace.legendgroup == "hosts"]
    assert max(hosts[0].marker.size) <= 26


def test_many_hosts_are_named_where_there_is_room():
    size = 200
    many = edges(size).with_columns(flagged=pl.col("src") < f"h{MOST_ARROWS + 5:03}")
    figure = plots.host_graph({"odd": many}, plots.host_layout([f"h{n:03}" for n in range(size)]), most=50)
    assert 5 < len(names(figure)) - 1 <= MOST_LABELS
    assert next(trace for trace in figure.data if trace.name == "anomalous edge").line.dash == "solid"


def test_an_empty_graph_says_so():
    figure = plots.host_graph({"nothing": edges(3).clear()}, {})
    assert any("no edge" in text for text in names(figure))
    with pytest.raises(SchemaError, match="bytes"):
        plots.host_graph({"x": edges(3).drop("bytes")}, {"h000": (0, 1)})


def test_a_cloud_has_a_mark_a_kind():
    points = pl.DataFrame({"kind": ["normal"] * 4_000 + ["scan"], "bytes": 9.0, "packets": 1.0, "flows": [1.0] * 4_001})
    figure = plots.edge_cloud(points, most=100)
    assert [trace.name for trace in figure.data] == ["normal", "scan"]
    assert len(figure.data[0].x) <= 100
    assert figure.data[0].x[0] == pytest.approx(1)


def test_histograms_hold_every_row():
    rows = pl.DataFrame({"bytes": [0, 10, 1_000_000], "packets": [0, 1, 100], "flows": [0, 1, 5]})
    counts = plots.binned(rows, [False, True, False])
    assert all(table["normal"].sum() == 2 and table["anomaly"].sum() == 1 for table in counts.values())
    figure = plots.volume_histograms(counts)
    assert len(figure.data) == 6
    assert figure.data[0].line.dash != figure.data[1].line.dash


@pytest.mark.parametrize("column", ["hour", "dst"])
def test_frequencies_are_shares_of_windows(column):
    start = datetime(2024, 1, 1)
    rows = pl.DataFrame(
        {
            "window": [0, 1, 1, 12],
            "time": [start + timedelta(minutes=5 * w) for w in (0, 1, 1, 12)],
            "src": ["a", "a", "b", "a"],
            "dst": ["b", "b", "a", "c"],
            "flows": [1, 1, 0, 2],
        }
    )
    counts = plots.frequencies(rows, column).sort("src", column)
    expected = [("a", 0, 1.0), ("a", 1, 1.0)] if column == "hour" else [("a", "b", 2 / 3), ("a", "c", 1 / 3)]
    assert counts.select("src", column, "frequency").rows() == [
        (*key, pytest.approx(share)) for *key, share in expected
    ]
    figure = plots.frequency_map(counts, column)
    assert figure.data[0].zmax == 100
    assert any("nobody" in text for text in names(plots.frequency_map(counts.clear(), column)))


def test_a_timeline_shows_found_and_missed():
    start = datetime(2024, 1, 1)
    rows = pl.DataFrame(
        {
            "window": [0, 1, 1, 2],
            "time": [start + timedelta(minutes=5 * w) for w in (0, 1, 1, 2)],
            "anomaly_type": ["normal", "scan", "normal", "scan"],
        }
    )
    figure = plots.score_timeline(rows, [0.1, 0.9, 0.2, 0.3], 0.5)
    by_name = {trace.name: trace for trace in figure.data}
    assert list(by_name["highest score of a window"].y) == pytest.approx([0.1, 0.9, 0.3])
    assert len(by_name["anomaly, found"].x) == 1
    assert len(by_name["anomaly, missed"].x) == 1
    assert len(plots.score_timeline(rows.drop("anomaly_type"), [0, 0, 0, 0], 1.0).data) == 2
    assert any("no window" in text for text in names(plots.score_timeline(rows.clear(), [], 1.0)))


def test_a_graph_over_time_has_a_panel_a_number():
    graph = pl.DataFrame({"time": [datetime(2024, 1, 1)], "edges": [3], "density": [0.5]})
    figure = plots.graph_timeline(graph, {"edges": "edges", "density": "density"})
    assert len(figure.data) == 2
    with pytest.raises(SchemaError, match="hosts"):
        plots.graph_timeline(graph, {"hosts": "hosts"})
