"""Requests made from the description, and broken ones: an answer to each, in one form, and the memory stays."""

import pytest

from tests.service import fuzz


@pytest.fixture(scope="module")
def fuzzed(service):
    fuzz.run(service, 40, 20, seed=7)
    before = fuzz.memory(service)
    return before, *fuzz.run(service, 150, 150, seed=3), fuzz.memory(service)


def test_nothing_is_wrong_with_any_answer(fuzzed):
    _, sound, broken, failures, _ = fuzzed
    assert failures == []
    assert set(sound) <= {200, 422}
    assert set(broken) <= {200, 415, 422}
    assert sound[200] > 100
    assert broken[422] > 80


def test_memory_stays(fuzzed):
    before, *_, after = fuzzed
    assert after < before + 60


def test_the_same_seed_makes_the_same_requests(service):
    description = service.get("/openapi.json").value
    first, second = (fuzz.Maker(description, 5) for _ in range(2))
    assert [repr(first.mutated()) for _ in range(20)] == [repr(second.mutated()) for _ in range(20)]
