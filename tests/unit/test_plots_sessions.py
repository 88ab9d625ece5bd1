"""Figures of log sessions and of detectors on them: what they show is what the tables say, and they stay small."""

import json
import math
from types import SimpleNamespace

import numpy as np
import plotly.graph_objects as go
import polars as pl
import pytest

from utils import explain, plots
from utils.errors import DataError, SchemaError
from utils.plots import sessions as drawing

USUAL = [5, 22, 5, 11, 9, 26, 21]
ODD = [5, 22, 5, 11, 9, 26, 20, 21]
TEMPLATES = pl.DataFrame({"EventId": ["E5", "E20"], "EventTemplate": ["<*>Receiving block<*>", "Unexpected error"]})
LONG = pl.DataFrame(
    {"template_id": ["k1aaaaaaaa", "k2bbbbbbbb"], "template": ["User logs in from <*> with a key", "User leaves"]}
)
BOARD = pl.DataFrame(
    {
        "detector": [
            "unseen event set",
            "a very long name of a detector that has to be cut somewhere",
            "one",
            "flag all",
        ],
        "kind": ["counting", "sequence model", "sequence model", "trivial"],
        "f1": [0.99, 0.95, 1.0, None],
        "low": [0.98, 0.94, None, None],
        "high": [0.995, 0.96, None, None],
        "precision": [0.98, 0.91, None, None],
        "recall": [1.0, 0.99, None, None],
        "threshold": ["a rule", None, None, None],
    }
)
PUBLISHED = pl.DataFrame({"detector": ["DeepLog"], "f1": [0.96], "how it was found": ["top 9"], "learns from": ["x"]})
VALUES = pl.DataFrame(
    {"detector": ["steady"] * 3 + ["lucky"] * 3 + ["gone"], "f1": [0.98, 0.99, 0.985, 0.5, 0.9, None, float("nan")]}
)
CHOICES = pl.DataFrame(
    {
        "k": [1, 2, 3],
        "nominal": [0.2, 0.01, 0.0],
        "real": [0.3, 0.02, 0.001],
        "f1": [0.4, 0.9, 0.8],
        "chosen": [False, True, False],
    }
)
TRUNCATED = pl.DataFrame(
    {
        "detector": ["ceiling of any model", "vote", "tree", "old network"],
        "learns from": ["all labels", "normal sessions", "labels", "normal sessions"],
        "f1": [0.668, 0.65, 0.645, 0.07],
    }
)
OLD = pl.DataFrame({"detector": ["old network"], "f1": [0.07]})
RECALLS = pl.DataFrame(
    {
        "detector": ["rule"] * 3 + ["network"] * 3,
        "kind": ["wrong_order", "storm", "new_event"] * 2,
        "visible": ["order", "counts", "events"] * 2,
        "rows": [3, 9, 5] * 2,
        "recall": [0.0, 1.0, 1.0, 1.0, None, 0.9],
        "real": [0.01] * 3 + [None] * 3,
    }
)
HISTORY = pl.DataFrame(
    {
        "network": ["first"] * 3 + ["second"] * 3,
        "epoch": [1, 2, 3] * 2,
        "loss": [2.0, 1.0, 0.1, 3.0, 2.0, float("nan")],
        "held_out": [2.1, 1.2, 1.3, 3.1, 2.1, 2.0],
        "best": [False, True, False, False, False, True],
    }
)
WORK = pl.DataFrame({"thing": ["sessions", "windows"], "all": [570_204, 5_420_000], "distinct": [17_000, 45_739]})
FIGURES = {
    "f1": lambda: plots.detector_f1(BOARD, PUBLISHED),
    "draws": lambda: plots.draw_spread(VALUES),
    "budget": lambda: plots.budget_curve(CHOICES),
    "truncation": lambda: plots.truncation(TRUNCATED, published=OLD),
    "recall": lambda: plots.recall_by_type(RECALLS),
    "training": lambda: plots.training_curve(HISTORY),
    "work": lambda: plots.work_done_once(WORK),
}
EMPTY = {
    "f1": lambda: plots.detector_f1(BOARD.clear()),
    "f1 unknown": lambda: plots.detector_f1(BOARD.with_columns(f1=pl.lit(None, pl.Float64))),
    "draws": lambda: plots.draw_spread(VALUES.tail(1)),
    "budget": lambda: plots.budget_curve(CHOICES.clear()),
    "truncation": lambda: plots.truncation(TRUNCATED.clear()),
    "recall": lambda: plots.recall_by_type(RECALLS.clear()),
    "training": lambda: plots.training_curve(HISTORY.clear()),
    "work": lambda: plots.work_done_once(WORK.clear()),
    "work of nothing": lambda: plots.work_done_once(WORK.with_columns(distinct=pl.lit(0))),
}
ONE_ROW = {
    "f1": lambda: plots.detector_f1(BOARD.head(1)),
    "f1 alone": lambda: plots.detector_f1(BOARD.head(1).select("detector", "f1")),
    "draws": lambda: plots.draw_spread(VALUES.head(1)),
    "budget": lambda: plots.budget_curve(CHOICES.head(1).select("k", "nominal")),
    "budget of zeros": lambda: plots.budget_curve(pl.DataFrame({"k": [1], "nominal": [0.0]})),
    "truncation": lambda: plots.truncation(TRUNCATED[1:2].select("detector", "f1"), 0.4),
    "recall": lambda: plots.recall_by_type(RECALLS.head(1).select("detector", "kind", "recall")),
    "training": lambda: plots.training_curve(HISTORY.head(1).select("network", "epoch", "held_out")),
    "work": lambda: plots.work_done_once(WORK.head(1)),
}


class Frequencies:
    """What followed an event in training, as a sequence model tells it."""

    def steps(self, X):
        rows = []
        for row, events in enumerate(X["events"].to_list()):
            for position, event in enumerate([*map(str, events or []), "(end)"]):
                usual = [*map(str, USUAL), "(end)"]
                likeliest = usual[min(position, len(usual) - 1)]
                probability = 0.9 if event == likeliest else 1e-20 if event == "20" else 0.05
                rank, expected = 1 + (event != likeliest), [likeliest, "(unseen)"]
                rows.append((row, position, event, probability, rank, -math.log(probability), expected, [0.9, 0.1]))
        names = ["row", "position", "event", "probability", "rank", "surprise", "expected", "chances"]
        return pl.DataFrame(rows, schema=names, orient="row")


def explained(events, usual=USUAL, *, model=None, templates=TEMPLATES, kind=pl.Int64):
    tables = [pl.DataFrame({"events": [one]}, schema={"events": pl.List(kind)}) for one in (usual, events)]
    normal = explain.NormalSessions.fit(tables[0])
    return explain.SessionExplainer(normal, model, templates=templates).explain(tables[1], ["block 7"])[0]


def drawn(figure):
    return {trace.name or trace.type: trace for trace in figure.data}


def words(figure):
    return " ".join(annotation.text for annotation in figure.layout.annotations)


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_valid_titled_and_small(name):
    figure = FIGURES[name]()
    go.Figure(json.loads(figure.to_json()))
    assert figure.layout.title.text.endswith("?")
    assert figure.layout.xaxis.title.text
    assert len(figure.to_json()) < 10_000


@pytest.mark.parametrize("name", EMPTY)
def test_without_rows_figures_say_so(name):
    figure = EMPTY[name]()
    assert not figure.data
    assert words(figure)


@pytest.mark.parametrize("name", ONE_ROW)
def test_figures_of_one_row_are_drawn(name):
    assert ONE_ROW[name]().data


def test_missing_columns_are_named():
    for draw in (plots.detector_f1, plots.draw_spread, plots.truncation, plots.recall_by_type, plots.training_curve):
        with pytest.raises(SchemaError, match="other"):
            draw(pl.DataFrame({"other": [1]}))
    for draw in (plots.budget_curve, plots.work_done_once):
        with pytest.raises(SchemaError, match="other"):
            draw(pl.DataFrame({"other": [1]}))


def test_detectors_stand_below_their_kind_and_published_ones_last_and_hollow():
    figure = plots.detector_f1(BOARD, PUBLISHED, order=["sequence model"])
    labels = list(figure.layout.yaxis.ticktext)
    kinds = [label for label in labels if label.startswith("<b>")]
    assert kinds == ["<b>sequence model</b>", "<b>counting</b>", "<b>trivial</b>", "<b>published</b>"]
    assert labels[1] == "one"
    own, theirs = drawn(figure)["F1"], drawn(figure)["F1 as published"]
    assert theirs.marker.symbol == "circle-open"
    assert theirs.text[0] == "DeepLog: F1 as published 96.00 %<br>top 9"
    assert len(own.x) == 3
    assert "<b>99.0</b> [98.0, 99.5]" in words(figure)
    assert any("a rule" in text for text in own.text)


def test_the_scale_of_f1_widens_towards_one_and_keeps_the_order():
    found = drawn(FIGURES["f1"]())
    place = dict(zip((text.split(":")[0] for text in found["F1"].text), found["F1"].x, strict=True))
    assert place["one"] == pytest.approx(math.log2(2_000), abs=1e-4)
    assert place["unseen event set"] == pytest.approx(math.log2(100), abs=1e-4)
    assert found["F1"].error_x.array[1] == 0 or np.nanmin(found["F1"].error_x.array) >= 0
    ticks = FIGURES["f1"]().layout.xaxis.tickvals
    assert list(ticks) == sorted(ticks)


def test_kinds_of_known_detectors_need_not_be_given():
    figure = plots.detector_f1(BOARD.drop("kind"), kinds={"one": "first kind"})
    assert {"<b>first kind</b>", "<b>other</b>"} <= set(figure.layout.yaxis.ticktext)
    figure = plots.detector_f1(BOARD.drop("kind"))
    assert list(figure.layout.yaxis.ticktext)[:2] == ["<b>counting: novelty rules</b>", "unseen event set"]


def test_protocols_say_how_many_anomalies_training_had_seen():
    board = pl.DataFrame(
        {
            "table": ["sequences"] * 3,
            "protocol": ["random 50", "random 50", "new sequences"],
            "model": ["tree", "forest", "tree"],
            "f1": [0.998, 0.995, 0.99],
            "shared": [0.8, 0.6, None],
        }
    )
    labels = plots.protocol_f1(board).layout.yaxis.ticktext
    assert labels == ("<b>random 50: 70 % of anomalies seen</b>", "tree", "forest", "<b>new sequences</b>", "tree")
    two = plots.protocol_f1(pl.concat([board, board.with_columns(table=pl.lit("blocks"))]).drop("shared"))
    assert "<b>random 50 of blocks</b>" in two.layout.yaxis.ticktext
    with pytest.raises(SchemaError, match="protocol"):
        plots.protocol_f1(BOARD)


def test_draws_show_mean_spread_and_the_worst():
    found = drawn(FIGURES["draws"]())
    assert list(found["mean"].y) == ["steady", "lucky"]
    assert list(found["mean"].text) == ["98.5 ± 0.5", "70.0 ± 28.3"]
    assert np.allclose(found["worst draw"].customdata, [98, 50])
    assert len(found["one draw"].x) == 5


def test_the_budget_shows_both_rates_f1_and_what_was_chosen():
    figure = FIGURES["budget"]()
    found = drawn(figure)
    assert np.allclose(found["normals of the test part"].y, [30, 2, 0.1])
    assert np.isnan(found["held-out normals"].y[2])
    assert found["F1 in the test part"].yaxis == "y2"
    assert words(figure) == "chosen on held-out<br>normals: k = 2"
    assert figure.layout.shapes[0].x0 == 2
    none = plots.budget_curve(CHOICES.with_columns(chosen=pl.lit(value=False)))
    assert not none.layout.shapes
    assert "too few held-out normals" in words(none)


def test_the_ceiling_is_a_line_and_published_bars_are_hollow():
    figure = FIGURES["truncation"]()
    found = drawn(figure)
    assert figure.layout.shapes[0].x0 == pytest.approx(66.8)
    assert "66.8 %" in words(figure)
    assert list(found["learned from labels"].y) == ["tree"]
    assert found["published"].marker.color == "white"
    assert list(found["published"].y) == ["old network"]
    assert list(figure.layout.yaxis.categoryarray) == ["old network", "tree", "vote"]
    assert not plots.truncation(TRUNCATED[1:]).layout.shapes
    bounded = plots.truncation(TRUNCATED[1:2].with_columns(low=pl.lit(0.6), high=pl.lit(0.7)), 0.668)
    assert np.allclose(bounded.data[0].error_x.arrayminus, [5], atol=1e-3)


def test_recalls_stand_in_the_order_of_what_gives_them_away():
    figure = FIGURES["recall"]()
    cells = figure.data[0]
    assert list(cells.y) == ["new event (events), 5", "storm (counts), 9", "wrong order (order), 3"]
    assert list(cells.x) == ["rule<br>(1 % false alarms)", "network"]
    assert np.array_equal(cells.z[:, 0], np.array([100, 100, 0], np.float32))
    assert np.isnan(cells.z[1, 1])


def test_losses_are_drawn_for_each_network_with_the_epoch_that_was_kept():
    figure = FIGURES["training"]()
    kept = [trace for trace in figure.data if trace.mode == "lines+markers"]
    assert [(trace.name, trace.x[0]) for trace in kept] == [("first", 2), ("second", 3)]
    assert kept[0].marker.symbol != kept[1].marker.symbol
    assert figure.layout.yaxis.type == "log"
    detector = SimpleNamespace(history_=[[2.0, 1.9], [2.0, 1.8]], epochs_=[2, 1])
    told = plots.training_curve({"network": detector, "other": SimpleNamespace(history_=[[1.0]], epochs_=[1])})
    assert [trace.name for trace in told.data if trace.mode == "lines+markers"] == ["network, 1", "network, 2", "other"]
    assert told.layout.yaxis.type == "linear"
    many = plots.training_curve({f"n{number}": detector for number in range(4)})
    assert "the first 5 of 8 networks" in many.layout.xaxis.title.text


def test_work_is_shown_with_how_often_it_is_repeated():
    found = drawn(FIGURES["work"]())
    assert list(found["distinct"].x) == [17_000, 45_739]
    assert found["all"].text[0] == "  570,204 (34 times)"
    assert FIGURES["work"]().layout.xaxis.type == "log"


def test_a_session_is_drawn_with_surprise_expectation_and_its_nearest_normal():
    figure = plots.session_picture(explained(ODD, model=Frequencies()))
    found = drawn(figure)
    bars, cells, expected = found["bar"], found["heatmap"], found["scatter"]
    assert len(bars.x) == len(ODD) + 1
    assert list(np.flatnonzero(np.asarray(bars.marker.color) == plots.style.ANOMALY)) == [6]
    assert max(bars.y) <= -math.log(drawing.LEAST_PROBABILITY) + 1e-4
    assert list(cells.y) == ["this session", "nearest normal"]
    assert cells.text[0][6] == "E20"
    assert cells.z[0][6] == drawing.CELLS["only here"]
    assert math.isnan(cells.z[1][6])
    assert list(expected.text) == ["21", "end"]
    assert "<b>step 7: E20</b> (never in training)<br>expected 21 90 %" in words(figure)
    assert "<b>E20</b> Unexpected error" in words(figure)
    assert figure.layout.title.text == "Block 7: what was unusual in this session?"
    assert len(figure.to_json()) < 8_000


def test_without_a_model_only_the_strips_are_drawn():
    figure = plots.session_picture(explained(ODD))
    assert [trace.type for trace in figure.data] == ["heatmap"]
    assert "step 7: E20" in words(figure)
    assert not figure.layout.yaxis.visible


def test_a_known_session_without_a_model_is_drawn_without_a_mark():
    figure = plots.session_picture(explained(USUAL))
    assert "step" not in words(figure)
    assert set(np.ravel(figure.data[0].z)) == {drawing.CELLS["same"]}


def test_a_session_without_events_says_so():
    figure = plots.session_picture(explained([]))
    assert list(figure.data[0].y) == ["this session", "nearest normal"]
    figure = plots.session_picture(explained([], usual=[]))
    assert words(figure) == "the session has no events"
    assert words(plots.counts_difference(explained([], usual=[]))) == "neither session has events"
    assert plots.session_picture(explained([], model=Frequencies())).data


def test_endless_surprise_and_none_at_all_are_drawn():
    class Odd(Frequencies):
        def steps(self, X):
            odd = [math.inf, math.nan, None, *[1.0] * (len(ODD) - 2)]
            chance = [0.0, math.nan, None, *[0.3] * (len(ODD) - 2)]
            return super().steps(X).with_columns(surprise=pl.Series(odd), probability=pl.Series(chance))

    told = explained(ODD, model=Odd())
    bars = drawn(plots.session_picture(told))["bar"]
    assert told.worst == 0
    assert max(bars.y[0], 0) == pytest.approx(-math.log(drawing.LEAST_PROBABILITY), abs=1e-4)
    assert "probability below 0.01 %" in told.sentence


def test_a_long_session_is_cut_to_what_stands_out():
    long = (USUAL * 1_500)[:10_000]
    long[6_000] = 20
    figure = plots.session_picture(explained(long, model=Frequencies()))
    cells = drawn(figure)["heatmap"]
    assert np.asarray(cells.z).shape[1] == drawing.MOST_COLUMNS
    assert "steps before and" in figure.layout.xaxis.title.text
    assert "6,001" in words(figure)
    assert len(figure.to_json()) < 15_000


def test_letters_stand_for_long_names():
    usual = ["k1aaaaaaaa", "k2bbbbbbbb"]
    figure = plots.session_picture(explained([*usual, "new"], usual, templates=LONG, kind=pl.String))
    assert list(figure.data[0].text[0]) == ["a", "b", "c"]
    assert "<b>a</b> User logs in from * with a key" in words(figure)
    assert "<b>c</b> new" in words(figure)
    many = [f"event number {number}" for number in range(30)]
    figure = plots.session_picture(explained(many, usual, kind=pl.String))
    assert "other events" in words(figure)
    assert "27" in list(figure.data[0].text[0])


def test_markup_in_a_log_is_shown_as_it_is():
    told = explained(["<b>x</b> & co", "<i>"], ["ok", "<i>"], templates=None, kind=pl.String)
    for figure in (plots.session_picture(told), plots.counts_difference(told)):
        assert "&lt;b>x&lt;/b> &amp; co" in str(json.loads(figure.to_json()))


def test_counts_are_shown_beside_those_of_the_nearest_session():
    figure = plots.counts_difference(explained([5, 5, 5, *ODD]), most=4)
    here, normal = drawn(figure)["block 7"], drawn(figure)["nearest normal (1 in training)"]
    assert list(here.y)[:2] == ["E5  Receiving block *", "E20  Unexpected error"]
    assert list(here.x)[:2] == [5, 1]
    assert list(normal.x)[:2] == [2, 0]
    assert "3 events with smaller differences left out" in figure.layout.xaxis.title.text
    assert figure.layout.xaxis.dtick == 1
    assert plots.counts_difference(explained([5] * 40)).layout.xaxis.dtick is None


def test_repeated_work_is_counted_exactly():
    table = pl.DataFrame({"events": [[1, 2], [1, 3], [1, 2]], "n_sessions": [2, 1, 4]})
    found = explain.repeated_work({"training": table, "test": table.drop("n_sessions")}, width=2)
    assert found.rows() == [
        ("sessions, training", 7, 2),
        ("sessions, test", 3, 2),
        ("steps, training", 21, 4),
        ("steps, test", 9, 4),
        ("windows of 2, training", 21, 5),
        ("windows of 2, test", 9, 5),
    ]
    assert explain.repeated_work({"none": table.clear()})["all"].to_list() == [0, 0, 0]
    with pytest.raises(DataError, match="at least 1"):
        explain.repeated_work({"training": table}, width=0)


class Ranks:
    """A fitted detector that knows the worst rank of held-out sessions and of others."""

    held_out_ = {"rank": np.array([1, 2, 3, 9]), "sessions": np.array([9_000.0, 900.0, 95.0, 5.0])}  # noqa: RUF012

    def scores(self, X):
        return X.select("rank")


def test_k_is_chosen_on_held_out_sessions_and_all_others_are_told():
    table = pl.DataFrame({"rank": [1, 2, 3, 12, 20], "y": [False, False, False, True, True]})
    found = explain.rank_choices(Ranks(), table, table["y"], [80, 10, 9, 1, 5], rate=0.02)
    assert found.filter("chosen")["k"].to_list() == [2]
    assert found["nominal"].head(3).to_list() == pytest.approx([0.1, 0.01, 0.0005])
    assert found["real"].head(3).to_list() == pytest.approx([19 / 99, 9 / 99, 0.0])
    assert found.filter(pl.col("k") == 3)["f1"].item() == 1.0
    assert found.height == 20
    few = SimpleNamespace(held_out_={"rank": np.array([1, 2]), "sessions": np.ones(2)}, scores=Ranks().scores)
    assert not explain.rank_choices(few, table, table["y"])["chosen"].any()
    with pytest.raises(DataError, match="found none"):
        explain.rank_choices(
            SimpleNamespace(held_out_={"rank": np.zeros(0), "sessions": np.zeros(0)}), table, table["y"]
        )
    assert plots.budget_curve(found).data
