import datetime as dt

import numpy as np
import polars as pl
import pytest

from utils.features.target_encoding import BINS, bins, codes, most_bins, smoothed_share


def test_codes_keep_the_order_of_numbers_and_set_missing_values_apart():
    assert codes(pl.Series([3.0, float("nan"), -1.0, None, 7.0])).tolist() == [2, 0, 1, 0, 3]
    assert codes(pl.Series([dt.date(2020, 1, 2), None, dt.date(2020, 1, 1)])).tolist() == [2, 0, 1]
    text = codes(pl.Series(["b", "a", None, "b"]))
    assert text[0] == text[3] != text[1]
    assert text[2] == 0


def test_bins_have_equal_frequency_and_never_swallow_missing_values():
    values = pl.Series([None, *range(1_000)])
    binned = bins(codes(values), np.ones(1_001), 10)
    assert binned[0] == 0
    assert np.bincount(binned)[1:].tolist() == [100] * 10


def test_a_heavy_value_keeps_a_bin_of_its_own():
    values = pl.Series([1] * 500 + list(range(101, 601)))
    binned = bins(codes(values), np.ones(1_000), 16)
    assert set(binned[:500]).isdisjoint(set(binned[500:]))


def test_values_of_any_type_have_codes():
    assert codes(pl.Series([[1], [2], None, [1]])).tolist()[0] == codes(pl.Series([[1], [2], None, [1]])).tolist()[3]
    assert codes(pl.Series([[1], [2], None])).tolist()[2] == 0
    assert codes(pl.Series([object(), object()])).tolist() == [0, 0]
    assert codes(pl.Series([None, None])).tolist() == [0, 0]


@pytest.mark.parametrize(("rows", "expected"), [(0, 2), (25, 2), (400, 40), (10**6, BINS)])
def test_bins_are_as_many_as_the_rows_can_fill(rows, expected):
    assert most_bins(rows) == expected


def test_a_share_without_rows_is_the_overall_one():
    counts = np.array([[0.0, 0.0], [3.0, 1.0]])
    assert smoothed_share(counts, 0.5, 0.0).tolist() == [0.5, 0.25]
    assert smoothed_share(counts, 0.5, 4.0).tolist() == [0.5, 0.375]
