"""Checks of equal rows: twins across a split, twins with two labels, repeats, and the exact expectation behind them."""

import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils import audit
from utils.audit import rows
from utils.errors import DataError


def table(values, split=None, label=None, kind=None):
    columns = {"x": values, "y": [value * 2.5 for value in values]}
    given = {"split": split, "is_anomaly": label, "anomaly_type": kind}
    return pl.DataFrame(columns | {name: column for name, column in given.items() if column is not None})


def share_over_all_splits(groups, tested):
    """Average over every test part of the given size, by trying them all."""
    shares = []
    for test in itertools.combinations(range(len(groups)), tested):
        train = {groups[row] for row in range(len(groups)) if row not in test}
        shares.append(np.mean([groups[row] in train for row in test]))
    return np.mean(shares)


# expectation


@settings(max_examples=40, deadline=None)
@given(groups=st.lists(st.integers(0, 3), min_size=2, max_size=9), test_share=st.sampled_from([0.2, 0.34, 0.5, 0.8]))
def test_expected_twin_share_equals_the_average_over_all_splits(groups, test_share):
    tested = round(test_share * len(groups))
    sizes = np.unique(groups, return_counts=True)[1]
    expected = share_over_all_splits(groups, tested) if 0 < tested < len(groups) else 0.0
    assert audit.expected_twin_share(sizes, test_share) == pytest.approx(expected)


def test_expected_twin_share_of_distinct_and_of_equal_rows():
    assert audit.expected_twin_share(np.ones(1_000, dtype=int)) == 0
    assert audit.expected_twin_share(np.array([1_000])) == 1
    assert audit.expected_twin_share(np.array([500_000, 3, 1])) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("test_share", [0, 1, -0.2, 1.5])
def test_expected_twin_share_refuses_a_share_that_is_none(test_share):
    with pytest.raises(DataError, match="between 0 and 1"):
        audit.expected_twin_share(np.array([2, 3]), test_share)


# keys


def test_row_keys_treat_missing_values_and_zeros_as_values():
    frame = pl.DataFrame({"a": [float("nan"), float("nan"), None, 0.0, -0.0], "b": [[1], [1], [1], None, None]})
    keys = rows.row_keys(frame, ["a", "b", "absent"]).to_list()
    assert keys[0] == keys[1] != keys[2]
    assert keys[3] == keys[4]


def test_row_keys_without_a_usable_column_are_all_equal():
    frame = pl.DataFrame({"o": pl.Series([object(), object()], dtype=pl.Object)})
    assert rows.row_keys(frame, ["o"]).to_list() == [0, 0]


# A003


def test_a003_counts_twins_of_a_published_split_by_class():
    frame = table(
        [1, 2, 3, 4, 1, 2, 9, 10],
        split=["train"] * 4 + ["test"] * 4,
        label=[False, True, False, True, False, True, True, True],
    )
    (found,) = audit.twins_across_split(frame, ["x", "y"], "split", label="is_anomaly")
    assert (found.code, found.severity) == ("A003", "high")
    assert "2 of 4 test rows (50.0 %) equal a training row" in found.evidence
    assert "1 of 1 normal (100 %), 1 of 3 anomalous (33.3 %)" in found.evidence


def test_a003_is_milder_where_training_is_normal_only_and_for_sequences():
    one_class = table([1, 1, 2, 1, 3, 9], split=["train"] * 3 + ["test"] * 3, label=[False] * 4 + [True] * 2)
    (found,) = audit.twins_across_split(one_class, ["x"], "split", label="is_anomaly")
    assert found.severity == "medium"
    assert "training holds one class only" in found.evidence
    both = one_class.with_columns(is_anomaly=pl.Series([True, False, False, False, True, True]))
    assert audit.twins_across_split(both, ["x"], "split", label="is_anomaly")[0].severity == "high"
    assert audit.twins_across_split(both, ["x"], "split", label="is_anomaly", recurring=True)[0].severity == "medium"


def test_a003_few_twins_are_of_low_severity():
    split = ["train"] * 400 + ["test"] * 400
    frame = table([*range(799), 0], split, [True, False] * 400)
    (found,) = audit.twins_across_split(frame, ["x"], "split", label="is_anomaly")
    assert found.severity == "low"
    assert "1 of 400 test rows (0.2 %)" in found.evidence


def test_a003_is_quiet_without_twins_across():
    split = ["train"] * 3 + ["test"] * 3
    assert audit.twins_across_split(table([1, 1, 2, 3, 4, 4], split), ["x", "y"], "split") == []
    assert audit.twins_across_split(table(list(range(6))), ["x", "y"]) == []
    assert audit.twins_across_split(table([1, 1]), ["absent"]) == []
    assert audit.twins_across_split(table([1, 1]).clear(), ["x"]) == []


def test_a003_without_a_split_gives_the_exact_expectation():
    frame = table([0] * 50 + list(range(1, 51)), label=[False, True] * 50)
    (found,) = audit.twins_across_split(frame, ["x", "y"], label="is_anomaly")
    assert found.severity == "high"
    assert "100 rows, 51 distinct; a random split of 80 to 20 gives 50.0 % of the test rows" in found.evidence
    assert audit.twins_across_split(frame, ["x", "y"])[0].severity == "medium"


def test_a003_a_split_of_one_part_counts_as_none():
    frame = table([1, 1, 1, 2], split=["train"] * 4)
    assert "random split" in audit.twins_across_split(frame, ["x"], "split")[0].evidence


# A008


def test_a008_counts_conflicts_and_pairs_across_the_split():
    frame = table(
        [1, 1, 1, 2, 2, 3, 4],
        split=["train", "train", "test", "train", "test", "test", "train"],
        label=[False, False, True, True, True, False, False],
    )
    (found,) = audit.conflicting_twins(frame, ["x", "y"], "is_anomaly", split="split")
    assert (found.code, found.severity) == ("A008", "high")
    assert (
        "1 distinct rows stand under both labels: 3 rows, of which 1 anomalous (33.3 % of the anomalies)"
        in found.evidence
    )
    assert "at least 1 errors for any model; 2 pairs of a training and a test row disagree" in found.evidence


@pytest.mark.parametrize(("conflicts", "severity"), [(20, "high"), (5, "medium"), (1, "low")])
def test_a008_grades_by_the_share_of_anomalies_that_cannot_be_told(conflicts, severity):
    anomalies = list(range(200))
    normal = list(range(conflicts)) + list(range(1_000, 1_400))
    frame = table(anomalies + normal, label=[True] * 200 + [False] * len(normal))
    (found,) = audit.conflicting_twins(frame, ["x"], "is_anomaly")
    assert found.severity == severity
    assert f"{conflicts} distinct rows" in found.evidence


def test_a008_tells_conflicts_of_the_kind_from_conflicts_of_the_label():
    frame = table([1, 1, 2, 3], label=[True, True, True, False], kind=["scan", "probe", "scan", "normal"])
    (found,) = audit.conflicting_twins(frame, ["x"], "is_anomaly", anomaly_type="anomaly_type")
    assert found.severity == "medium"
    assert "1 distinct rows (2 rows, 66.7 % of the anomalies) stand under several kinds" in found.evidence
    assert "probe" in found.evidence


def test_a008_is_quiet_where_twins_agree():
    frame = table([1, 1, 2, 2], label=[True, True, False, False], kind=["scan", "scan", "normal", "normal"])
    assert audit.conflicting_twins(frame, ["x"], "is_anomaly", anomaly_type="anomaly_type") == []
    assert audit.conflicting_twins(frame, ["absent"], "is_anomaly") == []
    assert audit.conflicting_twins(frame.with_columns(is_anomaly=pl.lit("no")), ["x"], "is_anomaly") == []


def test_a008_leaves_out_rows_without_a_label():
    frame = table([1, 1, 2], label=[True, None, False])
    assert audit.conflicting_twins(frame, ["x"], "is_anomaly") == []


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=40))
def test_a008_agrees_with_a_dictionary(drawn):
    frame = table([value for value, _ in drawn], label=[label for _, label in drawn])
    seen = {value: {label for v, label in drawn if v == value} for value, _ in drawn}
    mixed = [value for value, labels in seen.items() if len(labels) == 2]
    found = audit.conflicting_twins(frame, ["x", "y"], "is_anomaly")
    assert bool(found) == bool(mixed)
    assert all(finding.evidence.startswith(f"{len(mixed)} distinct rows") for finding in found)


# A015


def test_a015_counts_repeats_within_each_part_only():
    split = ["train"] * 4 + ["test"] * 3
    (found,) = audit.repeats_within_part(table([1, 1, 1, 2, 2, 3, 3], split), ["x", "y"], "split")
    assert (found.code, found.severity) == ("A015", "medium")
    assert found.evidence == "Repeated rows: 1 of 3 in test, 2 of 4 in train."


def test_a015_without_a_split_and_without_repeats():
    (found,) = audit.repeats_within_part(table([*range(100), 5]), ["x", "y"])
    assert found.severity == "low"
    assert found.evidence == "Repeated rows: 1 of 101 in all rows."
    assert audit.repeats_within_part(table([1, 2, 1, 2], ["train", "train", "test", "test"]), ["x"], "split") == []
    assert audit.repeats_within_part(table([1]).clear(), ["x"]) == []
