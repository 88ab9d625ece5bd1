"""Ranges of parameters: drawn inside, laid out within a budget, stored and read back unchanged."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.classifiers import spaces
from utils.classifiers.spaces import OneOf, Real, Whole
from utils.errors import SettingsError

SPACE = {
    "trees": Whole(20, 80, step=10),
    "depth": OneOf((None, 5, 10)),
    "share": Real(0.1, 1.0),
    "rate": Real(1e-3, 1.0, log=True),
    "leaf": Whole(1, 64, log=True),
    "sizes": OneOf(((64,), (64, 32))),
}
EARLIER = (
    spaces.FOREST_OF_THE_EVENTS,
    spaces.HISTOGRAM_TREES_OF_THE_GRAPHS,
    spaces.BOOSTED_TREES_OF_THE_FLOWS,
)


class Extreme:
    """A trial that always draws the lowest or the highest."""

    def __init__(self, end):
        self.end = end

    def suggest_int(self, name, low, high, *, step=1, log=False):
        return (low, high)[self.end]

    def suggest_float(self, name, low, high, *, step=None, log=False):
        return (low, high)[self.end]

    def suggest_categorical(self, name, choices):
        return choices[-self.end]


def inside(name, value):
    choice = SPACE[name]
    if isinstance(choice, OneOf):
        return value in choice.values
    on_step = isinstance(choice, Real) or (value - choice.low) % choice.step == 0
    return choice.low <= value <= choice.high and on_step


@pytest.mark.parametrize(
    "make",
    [
        lambda: Whole(3, 2),
        lambda: Real(1.0, 0.5),
        lambda: Real(0.0, 1.0, log=True),
        lambda: Whole(0, 9, log=True),
        lambda: Whole(1, 9, step=0),
        lambda: Whole(1, 9, log=True, step=2),
        lambda: Real(0.0, math.inf),
        lambda: OneOf(()),
        lambda: OneOf(("a", "a")),
    ],
)
def test_a_range_without_a_meaning_is_refused(make):
    with pytest.raises(SettingsError, match=r"found .*: "):
        make()


@pytest.mark.parametrize("end", [0, 1])
def test_a_trial_draws_each_parameter_by_its_own_range(end):
    drawn = spaces.suggest(Extreme(end), SPACE)
    assert drawn["trees"] == (20, 80)[end]
    assert drawn["sizes"] == ((64,), (64, 32))[end]
    assert drawn["depth"] == (None, 10)[end]


@given(st.integers(1, 400))
@settings(deadline=None, max_examples=40)
def test_the_finest_grid_keeps_to_its_budget_and_every_point_is_inside(most):
    values = spaces.within(SPACE, most)
    points = spaces.lattice(values)
    assert 1 <= len(points) == spaces.size(values) <= most
    assert all(inside(name, value) for point in points for name, value in point.items())
    grown = [name for name in SPACE if spaces.size(values | {name: [*values[name], "one more"]}) <= most]
    assert all(len(values[name]) == SPACE[name].size() for name in grown if not isinstance(SPACE[name], Real))


@given(
    st.fixed_dictionaries(
        {
            "trees": st.integers(2, 8).map(lambda tens: 10 * tens),
            "depth": st.sampled_from((None, 5, 10)),
            "share": st.floats(0.1, 1.0),
            "rate": st.floats(1e-3, 1.0),
            "leaf": st.integers(1, 64),
            "sizes": st.sampled_from(((64,), (64, 32))),
        }
    ),
    st.integers(1, 200),
    st.sampled_from((0.02, 0.2)),
)
@settings(deadline=None, max_examples=60)
def test_a_grid_around_a_point_holds_the_point_and_stays_inside(point, most, reach):
    points = spaces.lattice(spaces.around(SPACE, point, reach, most))
    assert point in points
    assert len(points) <= most
    assert len({repr(one) for one in points}) == len(points)
    assert all(inside(name, value) or value == point[name] for one in points for name, value in one.items())
    assert spaces.read(spaces.store(point, SPACE), SPACE) == point


def test_neighbours_are_one_step_or_the_stated_share_away():
    assert Whole(20, 80, step=10).around(50, 0.0, 3) == [50, 40, 60]
    assert Whole(0, 100).around(50, 0.2, 5) == [50, 30, 70, 10, 90]
    assert Real(1e-4, 1.0, log=True).around(1e-2, 0.25, 3) == pytest.approx([1e-2, 1e-3, 1e-1])
    assert Whole(1, 3).around(3, 0.0, 9) == [3, 2, 1]
    assert Whole(7, 7).around(7, 0.0, 3) == [7]
    assert OneOf(("a", "b", "c")).around("b", 0.5, 2) == ["b", "a"]


def test_whole_numbers_on_a_log_scale_move_by_one_step_at_least():
    assert spaces.around({"n": Whole(1, 30, log=True)}, {"n": 3}, 0.0, 3) == {"n": [3, 2, 4]}
    assert spaces.around({"n": Whole(5, 5, log=True)}, {"n": 5}, 0.0, 3) == {"n": [5]}


def test_points_are_spread_over_the_range_on_its_own_scale():
    assert Whole(1, 1000, log=True).points(4) == [1, 10, 100, 1000]
    assert Whole(1, 10, step=4).points(9) == [1, 5, 9]
    assert Whole(1, 9).points(1) == [5]
    assert Real(0.0, 1.0).points(3) == [0.0, 0.5, 1.0]
    assert Real(2.0, 2.0).points(3) == [2.0]


def test_a_grid_takes_all_choices_and_so_many_points_of_each_range():
    laid = spaces.grid(SPACE, {"trees": 3, "rate": 4})
    assert {name: len(values) for name, values in laid.items()} == {
        "trees": 3, "depth": 3, "share": 2, "rate": 4, "leaf": 2, "sizes": 2,
    }  # fmt: skip
    assert len(spaces.grid(SPACE, 5)["leaf"]) == 5
    assert spaces.size(laid) == len(spaces.lattice(laid)) == 288


@pytest.mark.parametrize("wrong", [lambda: spaces.grid(SPACE, 0), lambda: spaces.within(SPACE, 0)])
def test_an_empty_grid_is_refused(wrong):
    with pytest.raises(SettingsError, match="positive number"):
        wrong()


def test_a_space_with_a_continuous_range_is_endless():
    assert spaces.size(SPACE) == math.inf
    assert spaces.size({"a": Real(1.0, 1.0), "b": Whole(1, 4), "c": OneOf("xyz")}) == 12


def test_values_that_equal_each_other_are_told_apart_when_stored():
    space = {"odd": OneOf((True, 1, 1.0, "1", None)), "plain": OneOf((None, 3, "a"))}
    assert space["plain"].stored() == [None, 3, "a"]
    for point in spaces.lattice(spaces.grid(space, 1)):
        assert repr(spaces.read(spaces.store(point, space), space)) == repr(point)


@pytest.mark.parametrize("space", EARLIER)
def test_spaces_of_the_earlier_systems_can_be_searched(space):
    assert spaces.suggest(Extreme(0), space) != spaces.suggest(Extreme(1), space)
    assert len(spaces.lattice(spaces.within(space, 20))) > 8


def test_the_forest_of_the_earlier_system_is_as_it_was():
    space = spaces.FOREST_OF_THE_EVENTS
    assert (space["n_estimators"].low, space["n_estimators"].high, space["max_features"].high) == (20, 80, 9)
    assert space["max_leaf_nodes"].values == (None, 62, 124, 186)
    assert spaces.size(space) == 61 * 2 * 6 * 6 * 7 * 9 * 4
