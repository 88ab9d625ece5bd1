"""Headers and settings of the service that nobody expects."""

import asyncio

import pytest

from utils.errors import SettingsError
from utils.serving.__main__ import _listening
from utils.serving.answers import Refused
from utils.serving.limits import body_of, check_json
from utils.serving.options import Options


@pytest.mark.parametrize("given", ["application/json; odata=verbose", 'application/json; a=b; charset="UTF-8"; c=d'])
def test_other_parameters_of_a_content_type_say_nothing_of_the_encoding(given):
    check_json({"content-type": given})


def test_a_charset_is_found_among_other_parameters():
    with pytest.raises(Refused, match="found utf-16: write it in UTF-8"):
        check_json({"content-type": "application/json; a=b; charset=utf-16"})


async def small():
    return {"type": "http.request", "body": b"{}"}


def test_a_declared_length_that_is_no_number_is_not_believed():
    assert asyncio.run(body_of({"content-length": "\u00b2"}, small, 100, 1.0)) == b"{}"


def test_a_declared_length_of_thousands_of_digits_is_too_large():
    with pytest.raises(Refused, match="100"):
        asyncio.run(body_of({"content-length": "9" * 5_000}, small, 100, 1.0))


def test_a_time_without_end_is_refused():
    with pytest.raises(SettingsError, match="seconds must be above 0 and finite, found inf"):
        Options(seconds=float("inf"))


def test_a_host_that_cannot_be_a_name_is_refused():
    with pytest.raises(SettingsError, match="cannot be listened on"):
        _listening(Options(host="a..b"))
