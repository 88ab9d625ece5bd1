"""Shifts made on purpose, and whether models notice them: tables and logs, each with its own profile."""

import pickle

import numpy as np
import polars as pl
import pytest
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier

from utils.classifiers.champion import Champion
from utils.detectors.log_monitor import LogMonitor
from utils.detectors.log_monitor.surprise import CountSurprise
from utils.errors import DataError, SchemaError
from utils.evaluation.conformal import ConformalPValues
from utils.evaluation.drift import drift, drift_trial, kinds_of, shifted
from utils.evaluation.drift.shifts import LOG_SHIFTS, NEW_NAME, TABLE_SHIFTS
from utils.evaluation.drift.trials import IN_ORDER
from utils.features.flows import FlowFeatures


def table(rows, seed):
    rng = np.random.default_rng(seed)
    anomalous = rng.random(rows) < 0.2
    frame = pl.DataFrame(
        {
            "size": rng.lognormal(3 + anomalous),
            "packets": rng.poisson(4, rows) + 1,
            "service": rng.choice(["http", "dns", "ftp"], rows, p=[0.6, 0.3, 0.1]),
        }
    )
    return frame, anomalous


def sessions(rows, seed):
    rng = np.random.default_rng(seed)
    anomalous = rng.random(rows) < 0.1
    events = [
        ["open", *["write"] * int(rng.integers(1, 6)), *(["error"] * 3 if odd else []), "close"] for odd in anomalous
    ]
    return pl.DataFrame({"events": events}), anomalous


@pytest.fixture(scope="module")
def champion():
    frame, y = table(1_500, 0)
    steps = [("features", FlowFeatures()), ("tree", DecisionTreeClassifier(min_samples_leaf=20, random_state=0))]
    return Champion(Pipeline(steps), folds=3).fit(frame.with_columns(unused=pl.lit(None)), y)


@pytest.fixture(scope="module")
def monitor():
    frame, y = sessions(800, 0)
    return LogMonitor(session=r"\S+", detector=CountSurprise()).fit_sessions(frame, y)


# profiles of models


def test_a_champion_knows_its_columns_and_its_scores_out_of_fold(champion):
    frame, y = table(300, 1)
    profile = champion.profile_
    assert [one.name for one in profile.inputs] == champion.monitored(frame).columns == list(champion.input_types_)
    assert (profile.rows, profile.quiet, profile.scores) == (1_500, False, None)
    assert profile.alarms.counts.sum() == 1_500
    normal = profile.p_values(champion.score_samples(frame.filter(pl.Series(~y))))
    assert ((normal > 0) & (normal <= 1)).all()
    assert (normal <= 0.1).mean() < 0.2
    assert profile.p_values([-9.0]) == [1.0]


def test_the_profile_stands_beside_a_stored_champion_not_in_it(champion):
    loaded = pickle.loads(pickle.dumps(champion))
    assert loaded.profile_ is None
    assert champion.profile_ is not None
    frame, _ = table(50, 2)
    assert np.array_equal(loaded.score_samples(frame), champion.score_samples(frame))


def test_a_champion_of_a_fitted_pipeline_has_p_values_where_scores_are_given(champion):
    frame, y = table(300, 3)
    made = Champion.of_fitted(champion.pipeline_, champion.threshold_, frame, y)
    assert made.profile_.p_values([0.5]) is None
    assert len(made.profile_.inputs) == 3
    scores = np.linspace(0, 1, 300)
    weight = np.arange(300) % 2
    told = Champion.of_fitted(champion.pipeline_, champion.threshold_, frame, y, weight, scores)
    exact = ConformalPValues().fit(scores, y, weight)
    assert told.profile_.p_values([2.0]) == exact.p_values([2.0])
    assert told.profile_.rows == 150
    with pytest.raises(DataError, match="300 rows, found 2"):
        Champion.of_fitted(champion.pipeline_, champion.threshold_, frame, y, None, [1.0, 2.0])


def test_a_log_is_watched_by_what_its_sessions_are_like(monitor):
    asked = pl.DataFrame({"events": [["open", "close", "hack", "hack"], []]})
    watched = monitor.monitored(asked)
    assert watched.columns == [
        "events",
        "event types",
        "unknown events",
        "event close",
        "event open",
        "event write",
    ]
    assert watched.rows() == [(4, 3, 2, 1, 1, 0), (0, 0, 0, 0, 0, 0)]
    profile = monitor.profile_
    assert (profile.quiet, profile.always) == (True, ("unknown events",))
    assert profile.rows == monitor.n_training_
    scores = monitor.score_samples(asked)
    assert np.array_equal(profile.p_values(scores), monitor.p_values_.p_values(scores))
    assert pickle.loads(pickle.dumps(monitor)).profile_ is None


def test_sessions_count_as_often_as_their_weight():
    frame, y = sessions(200, 5)
    weight = np.arange(200) % 3 + 1
    counted, repeated = (
        LogMonitor(session=r"\S+", detector=CountSurprise()).fit_sessions(*given).profile_
        for given in ((frame, y, weight), (frame[np.repeat(np.arange(200), weight)], np.repeat(y, weight)))
    )
    assert counted.rows == repeated.rows
    assert [one.to_dict() for one in counted.inputs] == [one.to_dict() for one in repeated.inputs]


def test_unknown_events_are_expected_as_in_held_out_sessions(monitor):
    held, _ = sessions(600, 6)
    scores = monitor.score_samples(held)
    told = monitor.threshold_.predict(scores)
    seen = monitor.monitored(held)
    known = monitor.profile_.expecting(scores, told, frame=seen)
    unknown = next(one for one in known.inputs if one.name == "unknown events")
    assert unknown.counts.sum() == 600
    assert unknown.counts[-1] == (seen["unknown events"] > 0).sum() > 20
    assert not drift(known, known.count(seen, scores, told))["drifted"].any()
    with pytest.raises(SchemaError, match="'unknown events' is missing"):
        monitor.profile_.expecting(scores, told, frame=seen.drop("unknown events"))


# shifts


def test_each_kind_of_shift_changes_what_it_says():
    frame, y = table(400, 7)
    assert kinds_of(frame, y) == TABLE_SHIFTS
    assert kinds_of(frame) == TABLE_SHIFTS[:-1]
    assert kinds_of(frame.select("service")) == ("new name", "mix")
    assert kinds_of(frame.select(pl.lit(value=True))) == ()
    for kind, factor in (("scaled", 2), ("unit", 1_000), ("zeros", 0)):
        made = shifted(frame, kind, 3)
        (name,) = [name for name in frame.columns if not made[name].equals(frame[name])]
        assert made[name].to_list() == (frame[name] * factor).to_list()
        assert made.schema == frame.schema
    assert shifted(frame, "missing", 3).null_count().sum_horizontal().item() == 400
    named = shifted(frame, "new name", 3)["service"]
    assert 0.01 < (named == NEW_NAME).mean() < 0.12
    mixed = shifted(frame, "mix", 4)
    assert mixed.height == 200
    assert mixed.join(frame, on=frame.columns, how="anti").is_empty()
    number = shifted(frame.select("size"), "mix", 4)
    assert number["size"].median() > frame["size"].median()
    attacked = (
        shifted(frame, "attacks", 5, y=y)
        .with_row_index()
        .join(frame.filter(pl.Series(y)), on=frame.columns, how="semi")
    )
    assert attacked.height == pytest.approx(y.sum() + (~y).sum() / 2, abs=1)
    assert shifted(frame, "mix", 4).equals(mixed)


def test_each_kind_of_shift_of_a_log():
    frame, y = sessions(400, 8)
    assert kinds_of(frame, y) == LOG_SHIFTS
    unknown = shifted(frame, "unknown events", 1)["events"]
    assert 0.01 < unknown.list.contains(NEW_NAME).mean() < 0.12
    lost = shifted(frame, "lost", 1)["events"].explode()
    assert lost.n_unique() == frame["events"].explode().n_unique() - 1
    assert shifted(frame, "twice", 1)["events"].list.len().equals(frame["events"].list.len() * 2)
    assert shifted(frame, "attacks", 1, y=y)["events"].list.contains("error").mean() > 0.4
    numbers = pl.DataFrame({"events": [[1, 2], [1]] * 50})
    made = shifted(numbers, "unknown events", 1)["events"]
    assert made.list.max().max() == 1_002
    assert shifted(pl.DataFrame({"events": [["a"], ["b"], ["c"]]}), "lost", 1)["events"].list.len().sum() == 3


def test_a_shift_that_cannot_be_made_is_refused():
    frame, y = table(50, 9)
    with pytest.raises(DataError, match=r"must be one of scaled, unit, .*, found 'attacks'"):
        shifted(frame, "attacks", 1)
    with pytest.raises(DataError, match="found 'lost'"):
        shifted(frame, "lost", 1, y=y)


# trials


def test_a_table_is_quiet_and_its_shifts_are_found(champion):
    frame, y = table(1_200, 10)
    found = drift_trial(
        champion.profile_,
        champion,
        frame,
        y=y,
        windows=20,
        repeats=3,
        window=300,
        kinds=["unit", "new name", "attacks"],
    )
    rows = {row["shift"]: row for row in found.to_dicts()}
    assert list(rows) == ["none", IN_ORDER, "unit", "new name", "attacks"]
    assert (rows["none"]["tried"], rows["none"]["alarms"], rows["none"]["rows"]) == (20, 0, None)
    assert rows["none"]["high"] < 0.2
    assert rows[IN_ORDER]["tried"] == 2
    assert (rows["unit"]["share"], rows["unit"]["alarms"]) == (1.0, 3)
    assert rows["unit"]["rows"] <= 75
    assert set(rows["unit"]["columns"].split(", ")) & set(frame.columns)
    assert rows["new name"]["columns"] == "service"
    assert rows["attacks"]["share"] == 1.0


def test_a_log_is_quiet_and_its_shifts_are_found(monitor):
    frame, y = sessions(900, 11)
    calm = frame.filter(pl.Series(~y))
    found = drift_trial(monitor.profile_, monitor, calm, windows=10, repeats=2, window=200)
    shares = dict(found.select("shift", "share").iter_rows())
    assert shares == {"none": 0.0, IN_ORDER: 0.0, "unknown events": 1.0, "lost": 1.0, "twice": 1.0}
    named = dict(found.select("shift", "columns").iter_rows())
    assert "unknown events" in named["unknown events"]


def test_a_trial_needs_rows(champion):
    frame, _ = table(150, 12)
    with pytest.raises(DataError, match="twice 100 held-out rows, found 150"):
        drift_trial(champion.profile_, champion, frame, window=100)
