"""Checks of splits: groups, time, what was fitted on the test part, and the labels on both sides."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils import audit
from utils.audit import labels, splits
from utils.errors import DataError
from utils.evaluation.thresholds import BestF1

SPLIT = ["train"] * 6 + ["test"] * 4


# A004


def test_a004_counts_groups_on_both_sides():
    frame = pl.DataFrame({"session": list("aabbcc") + list("ccde"), "split": SPLIT})
    (found,) = audit.groups_across_split(frame, "session", "split")
    assert (found.code, found.severity, found.columns) == ("A004", "high", ("session",))
    assert found.evidence == "1 values of session stand on both sides; they hold 2 of 4 test rows (50.0 %)."


def test_a004_is_quiet_when_groups_stay_together():
    frame = pl.DataFrame({"session": list("aabbcc") + list("ddee"), "split": SPLIT})
    assert audit.groups_across_split(frame, "session", "split") == []
    assert audit.groups_across_split(frame, "absent", "split") == []


def test_a004_missing_groups_are_no_group():
    frame = pl.DataFrame({"session": [None, *"abbcc", None, *"dee"], "split": SPLIT})
    assert audit.groups_across_split(frame, "session", "split") == []


def test_a004_without_a_split_names_the_price_of_ignoring_groups():
    frame = pl.DataFrame({"session": np.repeat(np.arange(50), 4)})
    (found,) = audit.groups_across_split(frame, "session")
    assert found.severity == "medium"
    assert "200 rows in 50 groups" in found.evidence
    assert audit.groups_across_split(pl.DataFrame({"session": np.arange(200)}), "session") == []


# A005


def test_a005_counts_test_rows_older_than_training():
    days = [dt.date(2020, 1, day) for day in (1, 2, 3, 4, 5, 8, 6, 7, 9, 10)]
    (found,) = audit.time_overlap(pl.DataFrame({"day": days, "split": SPLIT}), "day", "split")
    assert (found.code, found.severity, found.columns) == ("A005", "medium", ("day",))
    assert "2 of 4 test rows (50.0 %)" in found.evidence


@pytest.mark.parametrize("as_type", [pl.Date, pl.Datetime("ms", "UTC"), pl.Int32, pl.Float64])
def test_a005_is_quiet_when_the_test_part_comes_after(as_type):
    frame = pl.DataFrame({"day": pl.Series(range(10)).cast(as_type), "split": SPLIT})
    assert audit.time_overlap(frame, "day", "split") == []
    backwards = frame.with_columns(pl.col("day").reverse())
    assert "4 of 4 test rows" in audit.time_overlap(backwards, "day", "split")[0].evidence


def test_a005_needs_a_time_and_two_parts():
    frame = pl.DataFrame({"day": list("abcdefghij"), "number": [*range(9), None], "split": SPLIT})
    assert audit.time_overlap(frame, "day", "split") == []
    assert audit.time_overlap(frame, "number", "absent") == []
    assert audit.time_overlap(frame.head(6), "number", "split") == []


def attacks_in(spans):
    """Kinds of anomaly, 30 rows each, in the given seconds, among normal rows over 10,000 s."""
    normal = pl.DataFrame({"kind": "normal", "time": np.linspace(0, 10_000, 500)})
    kinds = [pl.DataFrame({"kind": kind, "time": np.linspace(*span, 30)}) for kind, span in spans.items()]
    return pl.concat([normal, *kinds])


def test_a005_finds_kinds_that_happen_in_a_time_of_their_own():
    frame = attacks_in({"dos": (1_000, 1_100), "scan": (4_000, 4_400), "theft": (0, 9_000)})
    (found,) = audit.anomalies_in_own_time(frame, "time", "kind")
    assert found.severity == "medium"
    assert "2 of 3 kinds (dos, scan), 66.7 % of the anomalies, lie each within 4.0 % of the time" in found.evidence
    dates = frame.with_columns(time=pl.from_epoch(pl.col("time").cast(pl.Int64)))
    assert audit.anomalies_in_own_time(dates, "time", "kind")[0].evidence == found.evidence


def test_a005_one_short_kind_among_many_is_low_and_spread_kinds_are_none():
    spread = {"a": (0, 9_000), "b": (500, 9_500)}
    assert audit.anomalies_in_own_time(attacks_in(spread), "time", "kind") == []
    (found,) = audit.anomalies_in_own_time(attacks_in(spread | {"c": (10, 20)}), "time", "kind")
    assert found.severity == "low"
    assert audit.anomalies_in_own_time(attacks_in(spread), "kind", "kind") == []
    still = pl.DataFrame({"kind": ["dos"] * 40, "time": [1.0] * 40})
    assert audit.anomalies_in_own_time(still, "time", "kind") == []


# A006


def centred(fitted_on, shown):
    return shown.select(centred=pl.col("x") - fitted_on["x"].mean(), doubled=pl.col("x") * 2, name=pl.lit("a"))


@pytest.fixture
def parts():
    return pl.DataFrame({"x": [1.0, 2.0, 3.0]}), pl.DataFrame({"x": [10.0, 20.0, None]})


def test_a006_proves_that_features_saw_the_test_rows(parts):
    train, test = parts
    published = centred(pl.concat(parts), test)
    (found,) = audit.fitted_on_all(centred, train, test, published)
    assert (found.code, found.severity, found.columns) == ("A006", "high", ("centred",))
    assert "1 of 3 columns; 2 of 3 test rows" in found.evidence


def test_a006_is_quiet_on_features_fitted_on_training(parts):
    train, test = parts
    assert audit.fitted_on_all(centred, train, test, centred(train, test)) == []


def test_a006_does_not_accuse_features_that_nobody_can_reproduce(parts):
    train, test = parts
    other = centred(train, test).with_columns(centred=pl.lit(99.0), name=pl.lit("b"))
    assert audit.fitted_on_all(centred, train, test, other) == []


def test_a006_refuses_features_of_other_rows(parts):
    train, test = parts
    with pytest.raises(DataError, match="publication must have 3 rows, found 2"):
        audit.fitted_on_all(centred, train, test, centred(train, test).head(2))


# A011


@pytest.fixture
def scored():
    """Scores whose best threshold is another in the test part, because the normal rows have shifted."""
    generator = np.random.default_rng(0)
    train = (
        np.arange(400) < 100,
        np.where(np.arange(400) < 100, generator.normal(3, 1, 400), generator.normal(0, 1, 400)),
    )
    test = (
        np.arange(400) < 100,
        np.where(np.arange(400) < 100, generator.normal(4, 1, 400), generator.normal(1.5, 1, 400)),
    )
    return *train, *test


def test_a011_finds_a_threshold_chosen_on_the_test_labels(scored):
    best = splits._best_threshold(scored[2], scored[3])
    (found,) = audit.test_fitted_threshold(best, *scored)
    assert (found.code, found.severity) == ("A011", "high")
    assert f"{best:.6g}" in found.evidence


def test_a011_is_quiet_on_a_threshold_chosen_on_training(scored):
    assert audit.test_fitted_threshold(splits._best_threshold(scored[0], scored[1]), *scored) == []
    assert audit.test_fitted_threshold(0.0, *scored) == []


def test_a011_does_not_accuse_an_honest_threshold_that_is_best_on_test_by_luck():
    train = [0, 0, 1, 1], [0.0, 1.0, 3.0, 4.0]
    test = [0, 0, 1, 1], [0.0, 1.5, 2.5, 4.0]
    for honest in (2.0, 2.4, BestF1().fit(train[1], train[0]).value_):
        assert audit.test_fitted_threshold(honest, *train, *test) == []


def test_a011_finds_a_threshold_that_only_the_test_part_could_choose():
    (found,) = audit.test_fitted_threshold(2.0, [0, 0, 1, 1], [0.0, 1.0, 1.8, 4.0], [0, 0, 1, 1], [0.0, 1.9, 2.5, 4.0])
    assert found.severity == "high"


def test_a011_does_not_accuse_where_both_parts_choose_the_same(scored):
    labels_, scores = scored[:2]
    best = splits._best_threshold(labels_, scores)
    assert audit.test_fitted_threshold(best, labels_, scores, labels_, scores) == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=30))
def test_best_threshold_beats_all_others(rows):
    y, s = np.array([label for label, _ in rows] + [True]), np.array([score for _, score in rows] + [4.0], dtype=float)
    best = splits._f1(y, s >= splits._best_threshold(y, s))
    assert best == pytest.approx(max(splits._f1(y, s >= value) for value in np.unique(s)))


def test_a011_refuses_parts_that_cannot_be_scored(scored):
    with pytest.raises(DataError, match="training labels and scores must have the same length"):
        audit.test_fitted_threshold(0.5, [1, 0], [0.1], *scored[2:])
    with pytest.raises(DataError, match="the test part must have at least one anomaly, found 2 rows"):
        audit.test_fitted_threshold(0.5, *scored[:2], [0, 0], [0.1, 0.2])


# A012, A014


def labelled(anomalous, normal, **more):
    return pl.DataFrame({"is_anomaly": [True] * anomalous + [False] * normal, **more})


@pytest.mark.parametrize(("anomalous", "severity"), [(60, ["medium"]), (30, ["low"]), (20, []), (0, []), (100, [])])
def test_a012_without_a_known_share(anomalous, severity):
    found = audit.class_share(labelled(anomalous, 100 - anomalous), "is_anomaly")
    assert [finding.severity for finding in found] == severity
    assert {finding.code for finding in found} <= {"A012"}


@pytest.mark.parametrize(("natural", "far"), [(0.25, True), (0.8, False), (0.85, False), (0.99, True)])
def test_a012_with_a_known_share(natural, far):
    found = audit.class_share(labelled(87, 13), "is_anomaly", labels.NaturalShare(natural, "field"))
    assert bool(found) is far
    assert all("87.0 % of 100 rows" in finding.evidence for finding in found)


def test_a012_precision_follows_bayes():
    assert labels._precision(0.5, recall=1.0, false_alarms=1.0) == 0.5
    assert labels._precision(0.01) == pytest.approx(0.009 / (0.009 + 0.0099))


def test_a014_finds_rows_without_a_label():
    frame = pl.DataFrame({"is_anomaly": [True, False, None, False]})
    (found,) = audit.gaps(frame, "is_anomaly")
    assert (found.code, found.severity) == ("A014", "medium")
    assert found.evidence == "1 of 4 rows (25.0 %)."


@pytest.mark.parametrize("value", [True, False])
def test_a014_finds_a_single_class(value):
    (found,) = audit.gaps(pl.DataFrame({"is_anomaly": [value] * 3}), "is_anomaly")
    assert ("anomalous" if value else "normal") in found.evidence


@pytest.mark.parametrize(
    ("anomalous", "told", "measured"),
    [
        (7, "7 of 500 labelled rows are anomalous", False),
        (15, "15 of 500", True),
        (495, "5 of 500 labelled rows are normal", False),
    ],
)
def test_a014_tells_that_a_class_is_too_small(anomalous, told, measured):
    (found,) = labels.few_of_a_class(labelled(anomalous, 500 - anomalous), "is_anomaly")
    assert (found.code, found.severity) == ("A014", "medium")
    assert told in found.evidence
    assert ("was not measured" not in found.evidence) is measured


@pytest.mark.parametrize("anomalous", [0, 20, 480, 500])
def test_a014_has_enough_of_each_class(anomalous):
    assert labels.few_of_a_class(labelled(anomalous, 500 - anomalous), "is_anomaly") == []


def test_a014_finds_a_test_part_of_one_class():
    frame = labelled(3, 7, split=["train"] * 6 + ["test"] * 4)
    (found,) = audit.gaps(frame, "is_anomaly", "split")
    assert found.what == "The test part holds one class only."
    assert audit.gaps(frame.with_columns(split=pl.Series(["test", "train"] * 5)), "is_anomaly", "split") == []


def test_a014_finds_labels_that_are_none():
    assert audit.gaps(pl.DataFrame({"x": [1]}), None)[0].severity == "low"
    (found,) = audit.gaps(pl.DataFrame({"y": ["yes", "no"]}), "y")
    assert "y holds String" in found.evidence
    assert audit.gaps(labelled(2, 2), "is_anomaly") == []
