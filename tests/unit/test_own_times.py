"""Own data: times as users write them."""

from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.datasets.own import times
from utils.datasets.own.entry import OwnEntry
from utils.errors import CatalogError, DataError

MOMENT = datetime(2017, 6, 19, 13, 45, 56)
IN_MS = MOMENT.replace(microsecond=120_000)


def parse(values, time_format=None, year=None, chains=None):
    entry = OwnEntry("mine", "table", None, ("x",), time_format=time_format, year=year)
    series = values if isinstance(values, pl.Series) else pl.Series(values)
    return times.parse(entry, "the time", series, None if chains is None else pl.Series(chains))


def parsed(values, **how):
    return parse(values, **how).values.to_list()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2017-06-19 13:45:56", MOMENT),
        ("2017-06-19 13:45:56.12", IN_MS),
        ("2017-06-19 13:45:56,120", IN_MS),
        ("2017-06-19T13:45:56Z", MOMENT),
        ("2017-06-19T15:45:56.120+02:00", IN_MS),
        ("2017-06-19 13:45", MOMENT.replace(second=0)),
        ("2017-06-19", datetime(2017, 6, 19)),
        ("2017-06-19-13.45.56.120000", IN_MS),
        ("20170619-13:45:56:120", IN_MS),
        ("20170619 134556", MOMENT),
        ("170619 134556", MOMENT),
        ("2017/06/19 13:45:56", MOMENT),
        ("19/06/2017 13:45:56", MOMENT),
        ("06/19/2017 1:45:56 PM", MOMENT),
        ("19.06.2017 13:45", MOMENT.replace(second=0)),
        ("19/Jun/2017:06:45:56 -0700", MOMENT),
        ("Mon Jun 19 13:45:56 2017", MOMENT),
        ("  2017-06-19   13:45:56 ", MOMENT),
        ("1497879956", MOMENT),
        ("1497879956120", IN_MS),
    ],
)
def test_common_formats_are_found(written, meant):
    assert parsed([written, None, written]) == [meant, None, meant]


@pytest.mark.parametrize(
    ("written", "time_format", "meant"),
    [
        ("19|06|17 13h45", "%d|%m|%y %Hh%M", MOMENT.replace(second=0)),
        ("13:45:56.12 on 2017-06-19", "%H:%M:%S.%f on %Y-%m-%d", IN_MS),
        ("13:45:56,120 2017-06-19", "%H:%M:%S,%f %Y-%m-%d", IN_MS),
        ("13:45:56,120000 2017-06-19", "%H:%M:%S,%f %Y-%m-%d", IN_MS),
        ("2017-06-19 13:45:56;12", "%Y-%m-%d %H:%M:%S;%f", IN_MS),
        ("1497879956.12", "epoch", IN_MS),
        ("1497879956", "%s", MOMENT),
        ("1497879956120000", "epoch_us", IN_MS),
        ("1497879956120000000", "epoch_ns", IN_MS),
    ],
)
def test_a_format_is_that_of_python(written, time_format, meant):
    assert parsed([written], time_format=time_format) == [meant]


def test_numbers_and_times_with_a_zone_are_understood():
    assert parsed([1497879956, None]) == [MOMENT, None]
    assert parsed([1497879956.12]) == [IN_MS]
    zoned = pl.Series([MOMENT]).dt.replace_time_zone("UTC").dt.convert_time_zone("America/New_York")
    assert parsed(zoned) == [MOMENT]
    assert parsed([MOMENT.date()]) == [datetime(2017, 6, 19)]
    assert parsed([5, 6], time_format="epoch") == [datetime(1970, 1, 1, 0, 0, 5), datetime(1970, 1, 1, 0, 0, 6)]


def test_a_date_that_may_be_two_is_refused_until_one_value_settles_it():
    with pytest.raises(CatalogError, match=r"may be '%d/%m/%Y' or '%m/%d/%Y': write which"):
        parse(["03/04/2020", "05/06/2020"])
    assert parsed(["03/04/2020", "25/06/2020"])[0] == datetime(2020, 4, 3)
    assert parsed(["03/04/2020", "06/25/2020"])[0] == datetime(2020, 3, 4)


@pytest.mark.parametrize(
    ("values", "how", "said"),
    [
        (["soon", "later"], {}, "time_format is needed to read the time, found times such as 'soon'"),
        ([1.5, 2.5], {}, "time_format must say what the numbers in the time are, found such as 1.5"),
        (["2020-01-01", "2020-01-02"], {"time_format": "%d.%m.%Y"}, "failing for 2 of 2 values, first '2020-01-01'"),
        ([True], {}, "time_format must say what the numbers"),
        (["5", "6"], {"time_format": "%S"}, "must be a format of times, found '%S' (Invalid format string: Found sec"),
        (["2024-01-01 10"], {"time_format": "%Y-%m-%d %H"}, "time_format must"),
        ([1497879956000, 1497879957000], {"time_format": "epoch"}, "failing for 2 of 2 values, first 1497879956000"),
        ([1497879956000000000], {"time_format": "epoch"}, "failing for 1 of 1 values"),
        ([timedelta(1)], {}, "must hold dates or times of day with a date"),
    ],
)
def test_what_cannot_be_read_is_refused(values, how, said):
    with pytest.raises(CatalogError) as refused:
        parse(values, **how)
    assert said in str(refused.value)


def test_no_time_at_all_is_refused():
    with pytest.raises(DataError, match="found no value"):
        parse(pl.Series([None, None], dtype=pl.String))
    with pytest.raises(DataError, match="found no value"):
        parse([" ", ""])


def test_a_few_odd_times_are_missing_and_counted():
    read = parse(["2020-01-01 00:00:00"] * 30 + ["broken", "", None])
    assert read.values.null_count() == 3
    assert [(defect.rows, "'broken'" in defect.what) for defect in read.defects] == [(1, True)]


@pytest.mark.parametrize("odd", [datetime(1, 1, 1), datetime(9999, 12, 31)])
def test_the_ends_of_the_calendar_are_no_times(odd):
    usual = [datetime(2024, 1, 1)] * 20
    written = ["01.01.2024"] * 20
    for values in ([*usual, odd], [*written, f"31.12.{odd.year:04d}"]):
        read = parse(values)
        assert read.values.to_list() == [*usual, None]
        assert [defect.rows for defect in read.defects] == [1]


def test_a_year_that_is_not_written_goes_on_over_new_year():
    written = [
        "Dec 30 23:59:59",
        "Dec 31 23:59:59",
        "Jan  1 00:00:01",
        "Dec 31 23:59:58",
        "Jan  1 00:00:02",
        "Jan  3 00:00:00",
    ]
    read = parse(written, chains=[0] * 6)
    assert [time.year for time in read.values] == [2000, 2000, 2001, 2000, 2001, 2001]
    assert "set year in the entry" in read.defects[0].handling
    assert [time.year for time in parsed(written, chains=[0] * 6, year=2023)] == [2023, 2023, 2024, 2023, 2024, 2024]


def test_rows_in_no_order_are_all_in_one_year():
    assert {time.year for time in parsed(["Dec 31 10:00:00", "Jan 1 10:00:00", "Dec 2 10:00:00"])} == {2000}


def test_every_log_begins_in_the_same_year():
    written = ["Dec 31 10:00:00", "Jan 1 10:00:00", "Dec 31 10:00:00", "Jan 1 10:00:00"]
    assert [time.year for time in parsed(written, chains=["a", "a", "b", "b"])] == [2000, 2001, 2000, 2001]


def test_a_leap_day_finds_its_year_or_is_refused():
    written = ["Dec 31 10:00:00", "Jan 1 10:00:00", "Feb 29 10:00:00"]
    assert [time.year for time in parsed(written, chains=[0] * 3)] == [2003, 2004, 2004]
    with pytest.raises(CatalogError, match="29 February outside a leap year"):
        parse(written, year=2022, chains=[0] * 3)


def test_a_weekday_does_not_contradict_the_assumed_year():
    assert parsed(["Tue Jun 20 10:00:00"], time_format="%a %b %d %H:%M:%S", year=2017) == [datetime(2017, 6, 20, 10)]


def test_times_of_day_go_on_over_midnight():
    read = parse(["23:59:58", "23:59:59", None, "00:00:01", "23:59:59", "00:00:02"], chains=[0] * 6)
    assert [time and time.day for time in read.values] == [1, 1, None, 2, 1, 2]
    assert read.defects[0].what == "times without a date"


MOMENTS = st.datetimes(datetime(1999, 1, 1), datetime(2035, 1, 1))


@given(st.lists(MOMENTS, min_size=1, max_size=20), st.sampled_from(["%Y-%m-%d %H:%M:%S.%f", "%d.%m.%Y %H:%M:%S.%f"]))
def test_what_python_writes_is_read_back(moments, written):
    assert parsed([moment.strftime(written) for moment in moments], time_format=written) == moments


@given(
    st.lists(st.integers(0, 25 * 86_400), min_size=2, max_size=60),
    st.datetimes(datetime(2001, 1, 1), datetime(2020, 1, 1)).map(lambda moment: moment.replace(microsecond=0)),
)
def test_a_log_without_years_keeps_its_times_however_long_it_runs(steps, start):
    moments = [start + timedelta(seconds=sum(steps[:place])) for place in range(len(steps) + 1)]
    written = [moment.strftime("%b %d %H:%M:%S") for moment in moments]
    assert parsed(written, year=start.year, chains=[0] * len(written)) == moments
