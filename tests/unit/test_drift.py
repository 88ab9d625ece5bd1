"""Profiles of training, exact tests of drift, p-values in steps, and a watch that looks again and again."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from utils.errors import DataError, SchemaError
from utils.evaluation.conformal import ConformalPValues
from utils.evaluation.drift import Profile, Watch, drift, profile_of
from utils.evaluation.drift import cells as module
from utils.evaluation.drift.cells import Names, Numbers, column_of
from utils.evaluation.drift.steps import MOST_EXACT, Steps
from utils.evaluation.drift.testing import excess

ROWS = 6_000


def table(rows=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "size": rng.lognormal(size=rows),
            "packets": rng.poisson(3, rows),
            "idle": np.zeros(rows),
            "service": rng.choice(["http", "dns", "rare"], rows, p=[0.7, 0.2995, 0.0005]),
            "open": rng.random(rows) < 0.1,
            "noise": rng.normal(size=rows),
        }
    )
    gaps = pl.Series(rng.random(rows) < 0.2)
    lasted = pl.Series(rng.integers(1, 5_000, rows)).cast(pl.Duration("ms"))
    frame = frame.with_columns(pl.when(gaps).then(None).otherwise("noise").alias("noise"), lasted.alias("lasted"))
    return frame, rng.normal(size=rows)


@pytest.fixture(scope="module")
def known():
    frame, _ = table()
    held, apart = table(seed=1)[1], table(seed=2)[1]
    return profile_of(frame, held, held > 2).expecting(apart, apart > 2)


def asked(known, frame, scores, **options):
    found = drift(known, known.count(frame, scores, scores > 2), **options)
    return {row["column"]: row for row in found.to_dicts()}


def column(profile, name):
    return next(one for one in profile.columns if one.name == name)


# what is kept


def test_every_training_row_lies_in_one_cell(known):
    frame, _ = table()
    for one in known.inputs:
        assert one.counts.sum() == ROWS
        assert np.array_equal(one.count(frame[one.name]), one.counts)
    assert known.rows == ROWS
    assert known.scores.counts.sum() == known.alarms.counts.sum() == ROWS


def test_bounds_cut_off_the_shares_of_training_and_are_nobodys_value(known):
    frame, _ = table()
    size = column(known, "size")
    shares = [(frame["size"] < edge).mean() for edge in size.edges]
    assert shares == pytest.approx(module.LEVELS, abs=0.001)
    assert not set(size.edges) & set(frame["size"])
    assert max(len(f"{edge!r}") for edge in size.edges.tolist()) <= 9


def test_a_value_that_many_rows_have_gets_a_cell_of_its_own():
    values = pl.Series([0.0] * 900 + list(np.random.default_rng(0).exponential(size=100)))
    kept = Numbers.of("idle", values, np.ones(1_000))
    assert 900 in kept.counts
    assert kept.edges[0] < 0 < kept.edges[1] < values.filter(values > 0).min()
    assert kept.count(pl.Series([0.0, -1.0, None, float("nan"), 1e300, -np.inf, np.inf]))[:3].tolist() == [2, 2, 1]


def test_a_column_that_never_changes_notices_any_other_value(known):
    idle = column(known, "idle")
    assert idle.counts.tolist() == [0, 0, ROWS, 0]
    assert idle.count(pl.Series([0.0, 5.0, -5.0, None])).tolist() == [1, 1, 1, 1]


def test_whole_numbers_are_said_as_such(known):
    words = [column(known, "packets").said(place) for place in range(len(column(known, "packets").sets))]
    assert {"missing", "not missing", "0 or less", "1 or more", "3"} <= set(words)
    assert not any("." in word for word in words)


def test_durations_are_seconds(known):
    lasted = column(known, "lasted")
    assert 0 < lasted.edges[0] < lasted.edges[-1] < 5
    ms = pl.Series([2_000]).cast(pl.Duration("ms"))
    assert np.array_equal(lasted.count(ms), lasted.count(ms.cast(pl.Duration("ns"))))


def test_rare_names_are_not_kept(known):
    service = column(known, "service")
    assert service.names == ("http", "dns")
    assert "rare" not in known.to_json()
    assert service.count(pl.Series(["http", "rare", "new", None, "dns"])).tolist() == [1, 2, 1, 1]
    assert service.count(pl.Series([["http"]]))[1] == 1
    long = Names.of("agent", pl.Series(["x" * 100] * 50), np.ones(50))
    assert long.names == ()


def test_only_the_most_frequent_names_are_kept():
    values = pl.Series([f"n{number:02d}" for number in range(50) for _ in range(60 - number)])
    kept = Names.of("service", values, np.ones(len(values)))
    assert len(kept.names) == module.MOST_NAMES
    assert kept.names[0] == "n00"
    assert kept.counts[1] == sum(60 - number for number in range(30, 50))


def test_types_without_order_or_names_are_left_out():
    frame = pl.DataFrame(
        {"day": [pl.date(2020, 1, 1)] * 0, "list": [], "a": []}, schema_overrides={"list": pl.List(pl.Int8)}
    )
    assert column_of("list", frame["list"]) is None
    assert column_of("day", pl.Series([None], dtype=pl.Date)) is None
    assert column_of("empty", pl.Series([None] * 20)).counts.tolist() == [20, 0]
    assert column_of("numbers", pl.Series([None] * 20, dtype=pl.Int8)).counts.tolist() == [20, 0]


def test_rows_count_as_often_as_their_weight():
    frame, scores = table(500)
    weight = np.random.default_rng(1).integers(0, 4, 500)
    weighed = profile_of(frame, scores, scores > 1, weight=weight)
    place = np.repeat(np.arange(500), weight)
    repeated = profile_of(frame[place], scores[place], scores[place] > 1)
    assert weighed.to_json() == repeated.to_json()


def test_endless_and_missing_values_have_a_place():
    values = pl.Series([-np.inf] * 60 + [1.0, 2.0, 3.0] * 30 + [np.inf] * 60 + [None] * 5)
    kept = Numbers.of("odd", values, np.ones(len(values)))
    assert np.isfinite(kept.edges).all()
    assert kept.counts[0] == 5
    assert (kept.counts[1], kept.counts[-1]) == (60, 60)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(), st.integers(-5, 5).map(float)), min_size=1, max_size=300))
def test_any_numbers_can_be_counted(values):
    series = pl.Series(values, dtype=pl.Float64)
    kept = column_of("x", series)
    assert (np.diff(kept.edges) > 0).all()
    assert kept.counts.sum() == len(values)
    assert np.array_equal(kept.count(series), kept.counts)
    assert [kept.said(place) for place in range(len(kept.sets))]


# written and read


def test_a_profile_is_written_and_read_without_loss(known):
    text = known.to_json()
    again = Profile.from_json(text)
    assert again.to_json() == text
    frame, scores = table(300, seed=5)
    assert np.array_equal(again.p_values(scores), known.p_values(scores))
    assert np.array_equal(again.count(frame, scores, scores > 2).cells, known.count(frame, scores, scores > 2).cells)
    bare = profile_of(frame)
    assert Profile.from_json(bare.to_json()).p_values(scores) is None


def test_a_wide_profile_is_small():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({f"a column with a name {place}": rng.normal(size=60_000) for place in range(80)})
    scores = rng.normal(size=60_000)
    assert len(profile_of(frame, scores, scores > 2).expecting(scores, scores > 2).to_json()) < 60_000


def damaged(change):
    frame, scores = table(200)
    written = json.loads(profile_of(frame, scores, scores > 2).to_json())
    change(written)
    return json.dumps(written)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda written: written.update(version=9), "version 1, found 9"),
        (lambda written: written.pop("rows"), "KeyError"),
        (lambda written: written["inputs"][0]["counts"].pop(), "two counts more"),
        (lambda written: written["inputs"][0]["edges"].reverse(), "must rise"),
        (lambda written: written["p_values"].update(scores="%"), "cannot be read"),
        (lambda written: written["p_values"].update(at_least=[1, 2]), "must fall"),
        (lambda written: written.update(inputs=3), "TypeError"),
    ],
)
def test_what_is_no_profile_is_refused(change, found):
    with pytest.raises(DataError, match=found):
        Profile.from_json(damaged(change))


def test_text_that_is_no_profile_is_refused():
    for text in ("", "[]", "null", "{", '"x"'):
        with pytest.raises(DataError, match=r"profile\.json must be"):
            Profile.from_json(text)


def test_counts_need_the_columns_and_what_belongs_to_them(known):
    frame, scores = table(50)
    with pytest.raises(SchemaError, match="'size' is missing"):
        known.count(frame.drop("size"), scores, scores > 2)
    with pytest.raises(DataError, match="scores must be counted"):
        known.count(frame)
    with pytest.raises(DataError, match="decisions must be counted"):
        known.count(frame, scores)
    with pytest.raises(DataError, match="50 rows, found 3"):
        known.count(frame, scores[:3], scores > 2)
    with pytest.raises(DataError, match="found none"):
        profile_of(frame.clear())
    with pytest.raises(DataError, match="one a row"):
        profile_of(frame, scores[:3])
    with pytest.raises(DataError, match="found none"):
        known.expecting([], [])
    with pytest.raises(SchemaError, match="'no' is missing"):
        profile_of(frame, columns=["no"])


# p-values


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-3, 3).map(lambda value: round(value, 1)), min_size=1, max_size=400),
    st.lists(st.floats(-4, 4), max_size=40),
    st.booleans(),
)
def test_p_values_are_never_below_the_exact_ones_and_exact_where_small(calibration, new, weighed):
    weight = np.arange(len(calibration)) % 3 + (0.5 if weighed else 1)
    exact = ConformalPValues().fit(calibration, weight=weight)
    steps = Steps.from_dict(json.loads(json.dumps(Steps.of(exact).to_dict())))
    every = np.array([*new, *calibration, -1e308, 1e308, np.inf, -np.inf])
    mine, theirs = steps.p_values(every), exact.p_values(every)
    assert (mine >= theirs).all()
    assert np.array_equal(mine[theirs < 0.05], theirs[theirs < 0.05])
    assert (mine <= theirs * 1.1 + 3 / (1 + exact.n_calibration_)).all()
    order = np.argsort(every, kind="stable")
    assert (np.diff(mine[order]) <= 0).all()


def test_a_long_tail_is_thinned_from_below():
    scores = np.random.default_rng(0).normal(size=200_000)
    exact = ConformalPValues().fit(scores)
    steps = Steps.of(exact)
    assert len(steps.scores) < MOST_EXACT + 500
    mine, theirs = steps.p_values(scores), exact.p_values(scores)
    assert (mine >= theirs).all()
    assert np.array_equal(mine[theirs < 0.01], theirs[theirs < 0.01])
    assert (mine / theirs).max() < 1.011


def test_p_values_of_anomalies_and_nothing(known):
    frame, scores = table(400)
    y = scores > 1
    calibrated = profile_of(frame, scores, scores > 2, y=y)
    assert np.array_equal(calibrated.p_values([5.0]), ConformalPValues().fit(scores, y).p_values([5.0]))
    assert calibrated.p_values([]).shape == (0,)
    with pytest.raises(DataError, match="NaN in 1"):
        calibrated.p_values([np.nan, 1.0])


# the test


def test_tails_are_those_of_the_hypergeometric_law_and_never_smaller():
    rng = np.random.default_rng(0)
    before, now = rng.integers(0, 900, 3_000), rng.integers(0, 90, 3_000)
    exact = stats.hypergeom.logsf(now - 1, 1_000, before + now, 100)
    bound = excess(before, 900, now, 100)
    assert (bound >= exact - 1e-9).all()
    far = exact < np.log(1e-4)
    assert far.sum() > 500
    assert (bound[far] - exact[far]).max() < np.log(2)
    assert excess(np.array([0]), 0, np.array([5]), 5).tolist() == [0.0]


def test_rows_like_those_of_training_do_not_drift(known):
    frame, scores = table(1_000, seed=7)
    found = asked(known, frame, scores)
    assert list(found) == ["size", "packets", "idle", "service", "open", "noise", "lasted", "score", "alarm"]
    assert not any(row["drifted"] for row in found.values())
    assert [row["kind"] for row in found.values()] == ["input"] * 7 + ["score", "alarm"]


@pytest.mark.parametrize(
    ("name", "change", "where", "observed"),
    [
        ("size", pl.col("size") * 2, "or more", None),
        ("lasted", pl.col("lasted") * 1_000, "or more", 1.0),
        ("idle", pl.lit(5.0), "1 or more", 1.0),
        ("packets", pl.lit(None, dtype=pl.Int64), "missing", 1.0),
        ("noise", pl.lit(0.0), " to ", 1.0),
        (
            "service",
            pl.when(pl.int_range(pl.len()) % 20 == 0).then(pl.lit("new")).otherwise("service"),
            "another name",
            0.05,
        ),
        ("open", ~pl.col("open"), "true", None),
    ],
)
def test_a_changed_column_is_named(known, name, change, where, observed):
    frame, scores = table(1_000, seed=8)
    found = asked(known, frame.with_columns(change.alias(name)), scores)
    assert [row["column"] for row in found.values() if row["drifted"]] == [name]
    assert where in found[name]["where"]
    assert found[name]["size"] >= 0.2
    if observed is not None:
        assert found[name]["observed"] == pytest.approx(observed, abs=0.01)


def test_higher_scores_and_more_alarms_are_a_drift(known):
    frame, scores = table(1_000, seed=9)
    found = asked(known, frame, scores + 1)
    assert [name for name, row in found.items() if row["drifted"]] == ["score", "alarm"]
    assert found["alarm"]["where"] == "true"
    assert found["alarm"]["expected"] == pytest.approx(0.023, abs=0.01)


def test_a_sure_difference_that_is_small_does_not_matter():
    frame, _ = table(50_000)
    small = profile_of(frame.select("open"))
    new = pl.DataFrame({"open": np.arange(50_000) % 100 < 12})
    found = drift(small, small.count(new)).row(0, named=True)
    assert found["p_value"] < 1e-9
    assert not found["drifted"]
    assert drift(small, small.count(new), size=0.05)["drifted"].all()


def test_false_alarms_are_no_more_than_promised():
    alarms = 0
    rng = np.random.default_rng(3)
    for _ in range(150):
        train, new = (pl.DataFrame({"a": rng.normal(size=rows), "b": rng.poisson(1, rows)}) for rows in (150, 100))
        profile = profile_of(train)
        alarms += drift(profile, profile.count(new), alpha=0.2, size=0.0)["drifted"].any()
    assert alarms <= stats.binom.ppf(0.999, 150, 0.2)


def test_nothing_asked_is_no_drift(known):
    assert drift(known, known.none()).is_empty()
    assert drift(profile_of(pl.DataFrame({"list": [[1]]})), known.none()).is_empty()
    with pytest.raises(DataError, match="between 0 and 1"):
        drift(known, known.none(), alpha=1)


def test_a_quiet_profile_leaves_alarms_out():
    frame, scores = table(2_000)
    calm = profile_of(frame, quiet=True).scored(scores, scores > 3).expecting(scores, scores > 1.28)
    assert calm.quiet
    assert Profile.from_json(calm.to_json()).quiet
    new, found = table(1_000, seed=4)
    odd = found > 1.28
    new = new.with_columns(pl.when(pl.Series(odd)).then(1e6).otherwise("size").alias("size"))
    told = drift(calm, calm.count(new, found, odd))
    assert not told["drifted"].any()
    assert drift(calm, calm.count(new, found, np.zeros(1_000, dtype=bool)))["drifted"].any()


# looking again and again


def test_a_watch_looks_four_times_a_window_whatever_comes_at_once(known):
    frame, scores = table(2_300, seed=11)
    once, parts = Watch(known), Watch(known)
    looks = once.add(frame, scores, scores > 2)
    told = []
    for start in range(0, 2_300, 70):
        end = start + 70
        told += parts.add(frame[start:end], scores[start:end], scores[start:end] > 2)
    assert [look.counts.rows for look in looks] == [125, 250, 500, 1_000, 125, 250, 500, 1_000, 125, 250]
    assert [look.window for look in looks] == [1] * 4 + [2] * 4 + [3] * 2
    assert all(one.table.equals(other.table) for one, other in zip(looks, told, strict=True))
    assert sum(look.alpha for look in looks[:4]) == pytest.approx(0.001)
    assert (once.rows, once.windows, once.alarms, once.waiting, once.state) == (2_300, 2, 0, 200, "ok")


def test_a_watch_wakes_up_and_calms_down(known):
    watch = Watch(known, window=400)
    frame, scores = table(400, seed=12)
    odd = frame.with_columns(pl.col("size") * 1_000)
    assert watch.state == "too few rows"
    assert watch.shown is None
    watch.add(frame, scores, scores > 2)
    assert watch.state == "ok"
    watch.add(odd[:60], scores[:60], scores[:60] > 2)
    assert (watch.state, watch.alarms, watch.first_alarm) == ("drifting", 1, 450)
    assert watch.shown.table.filter("drifted")["column"].to_list() == ["size"]
    watch.add(frame[60:], scores[60:], scores[60:] > 2)
    assert (watch.state, watch.windows, watch.alarms) == ("drifting", 2, 1)  # a whole window must be quiet
    watch.add(frame[:399], scores[:399], scores[:399] > 2)
    assert watch.state == "drifting"
    watch.add(frame[399:], scores[399:], scores[399:] > 2)
    assert (watch.state, watch.alarmed) == ("ok", None)


def test_counts_of_several_places_add_up(known):
    frame, scores = table(200, seed=13)
    told = scores > 2
    halves = [known.count(frame[part], scores[part], told[part]) for part in (slice(0, 90), slice(90, 200))]
    whole = known.count(frame, scores, told)
    assert (halves[0] + halves[1]).rows == 200
    assert np.array_equal((halves[0] + halves[1]).cells, whole.cells)
    watch = Watch(known)
    assert watch.add_counts(halves[0]) == []
    with pytest.raises(DataError, match="at most 35 rows"):
        watch.add_counts(halves[1])
    with pytest.raises(DataError, match="80 rows at least"):
        Watch(known, window=10)


def test_a_quiet_profile_without_expected_scores_leaves_out_rows_with_an_alarm():
    frame, scores = table(400, seed=14)
    told = scores > 1
    quiet = profile_of(frame, scores, told, quiet=True)
    bare = profile_of(frame, quiet=True)
    alarms = np.array([0, 0, told.sum(), (~told).sum()])
    counted = quiet.count(frame, scores, told).cells
    assert counted.tolist() == [*bare.count(frame.filter(~told)).cells, *alarms]


def test_integers_wider_than_those_of_numpy_are_numbers():
    values = pl.Series("wide", [*range(99), None]).cast(pl.Int128)
    found, plain = (column_of("wide", one) for one in (values, values.cast(pl.Int64)))
    assert found.to_dict() == plain.to_dict()
