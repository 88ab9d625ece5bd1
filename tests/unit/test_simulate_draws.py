import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.errors import DataError
from utils.simulate import draws

KNOTS = (0, 2, 5, 10, 40, 100, 1_000)


def test_quantiles_of_a_large_draw_are_the_knots():
    values = draws.quantiles(np.random.default_rng(0), KNOTS, 200_000)
    found = np.quantile(values, draws.PROBABILITIES[1:-1])
    assert found == pytest.approx(KNOTS[1:-1], rel=0.05)
    assert values.min() >= 0
    assert values.max() <= 1_000


def test_a_tail_between_two_knots_is_bent_downwards():
    values = draws.quantiles(np.random.default_rng(0), KNOTS, 100_000)
    assert np.quantile(values, 0.95) < 400  # a straight line from 100 to 1,000 would give 550


def test_a_constant_is_drawn_as_it_is():
    assert draws.whole(np.random.default_rng(0), 7, 3).tolist() == [7, 7, 7]


def test_pick_follows_the_weights():
    drawn = draws.pick(np.random.default_rng(0), {"a": 3, "b": 1, "c": 0}, 40_000)
    assert (drawn == "a").mean() == pytest.approx(0.75, abs=0.01)
    assert "c" not in drawn


@given(st.integers(0, 10_000), st.lists(st.floats(0, 1e6), min_size=1, max_size=20).filter(lambda s: sum(s) > 0))
def test_apportion_gives_away_everything_and_stays_within_one(total, shares):
    counts = draws.apportion(total, shares)
    exact = total * np.array(shares) / np.sum(shares)
    assert counts.sum() == total
    assert (np.abs(counts - exact) < 1 + 1e-6).all()


@pytest.mark.parametrize("size", [0, -3])
def test_nothing_to_simulate_is_refused(size):
    with pytest.raises(DataError, match=f"at least 1 flow, found {size}"):
        draws.check_size(size, "flow")
