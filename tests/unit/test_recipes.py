"""Recipes: tasks with left-out kinds hold what they promise, and candidates are compared on them."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from utils.detectors import recipes
from utils.detectors.outliers import NearestNeighbours
from utils.detectors.table_classifier import TableClassifier
from utils.detectors.table_detector import TableDetector
from utils.errors import DataError, SchemaError, SettingsError

FAMILY = {"flood": "dos", "smurf": "dos", "sweep": "probe", "scan": "probe", "guess": "r2l"}


def connections(n=1_200, seed=0):
    """Normal rows around 0; each kind of attack far out in a direction of its own."""
    rng = np.random.default_rng(seed)
    names = np.array([*FAMILY, "normal"])
    kind = names[rng.choice(6, n, p=[0.15, 0.05, 0.1, 0.05, 0.05, 0.6])]
    values = rng.normal(size=(n, 3))
    for place, name in enumerate(FAMILY):
        direction = np.random.default_rng(place).normal(size=3)
        values[kind == name] += 8 * direction / np.linalg.norm(direction)
    frame = pl.DataFrame(values, schema=["a", "b", "c"])
    service = rng.choice(["http", "smtp", "ftp", "dns", "ntp"], n, p=[0.5, 0.2, 0.1, 0.1, 0.1])
    family = np.array([FAMILY.get(name, "none") for name in kind])
    return frame, kind != "normal", kind, family, service


MEMBERS = {
    "near": TableDetector(NearestNeighbours()),
    "line": TableClassifier(LogisticRegression()),
}


SMALL = recipes.Sizes(points=300, epochs=2, trees=10)


def test_a_family_that_is_left_out_is_nowhere_in_training():
    _, y, kind, family, service = connections()
    tasks = recipes.leave_out(y, kind, families=family, normals_by=service)
    assert [task.name for task in tasks] == ["dos", "probe", "r2l"]
    for task in tasks:
        assert set(family[task.new]) == {task.name}
        assert task.name not in set(family[task.train]) | set(family[task.known])
        assert set(kind[task.new]) == {name for name, group in FAMILY.items() if group == task.name}
        assert not y[task.ordinary].any()
        assert not y[task.unusual].any()


def test_normal_rows_of_left_out_kinds_are_new_and_each_kind_but_the_largest_is_left_out_once():
    _, y, kind, family, service = connections()
    tasks = recipes.leave_out(y, kind, families=family, normals_by=service)
    away = [set(service[task.unusual]) for task in tasks]
    assert sorted(name for names in away for name in names) == ["dns", "ftp", "ntp", "smtp"]
    for task, names in zip(tasks, away, strict=True):
        normal = task.train[~y[task.train]]
        assert not names & (set(service[normal]) | set(service[task.ordinary]))
        assert "http" in set(service[normal])


@given(seed=st.integers(0, 1_000), folds=st.integers(2, 5), rows=st.integers(5, 200), most=st.integers(1, 50))
@settings(deadline=None, max_examples=30)
def test_the_parts_of_a_task_share_no_row_and_hold_no_more_than_asked(seed, folds, rows, most):
    _, y, kind, _, service = connections(400, seed)
    tasks = recipes.leave_out(
        y, kind, folds=folds, normals_by=service, rows=rows, most_normals=most, most_of_kind=most, seed=seed
    )
    assert len(tasks) == folds
    for task in tasks:
        parts = [task.train, task.new, task.known, task.ordinary, task.unusual]
        joined = np.concatenate(parts)
        assert np.unique(joined).size == joined.size
        assert all((np.diff(part) > 0).all() for part in parts)
        assert max(task.ordinary.size, task.unusual.size) <= rows
        assert pl.Series(kind[task.train]).unique_counts().max() <= most
        assert not set(kind[task.new]) & (set(kind[task.train]) | set(kind[task.known]))
    assert sorted(set(np.concatenate([kind[task.new] for task in tasks]))) == sorted(set(kind[y]))


def test_tasks_repeat_themselves_and_differ_by_seed():
    _, y, kind, family, _ = connections()
    first, again, other = (recipes.leave_out(y, kind, families=family, seed=seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.train, again.train)
    assert not np.array_equal(first.ordinary, other.ordinary)
    assert first.unusual.size == 0


def test_tasks_that_cannot_be_made_are_refused():
    _, y, kind, family, _ = connections()
    with pytest.raises(DataError, match="two families are needed to leave one out, found 1"):
        recipes.leave_out(y, kind, families=np.full(y.size, "one"))
    with pytest.raises(DataError, match="each kind must be in one family, found 'flood'"):
        recipes.leave_out(y, kind, families=np.where(np.arange(y.size) % 2, family, "other"))
    with pytest.raises(DataError, match="needs five normal rows or more, found 0"):
        recipes.leave_out(y[y], kind[y], families=family[y])
    with pytest.raises(DataError, match="kinds must be given"):
        recipes.leave_out(y, kind[:3])


def test_who_knows_normal_rows_finds_new_kinds_and_who_knows_labels_only_known_ones():
    frame, y, kind, family, _ = connections()
    tasks = recipes.leave_out(y, kind, families=family)
    candidates = {"near": ["near"], "line": ["line"], "both": ["near", "line"]}
    table = recipes.compare(MEMBERS, candidates, frame, y, tasks, kind, rates=(0.02, 0.05))
    assert table.columns == ["candidate", "rate", "new", "known", "ordinary", "unusual", "real", "f1", "worst", "auc"]
    assert table.height == 6
    row = {(name, rate): values for name, rate, *values in table.iter_rows()}
    assert row["near", 0.05][0] > 0.95
    assert row["near", 0.05][0] > row["line", 0.05][0] + 0.1
    assert table["unusual"].null_count() == 6
    assert (table["real"] - table["ordinary"]).abs().max() < 1e-12
    assert table.filter(rate=0.05)["ordinary"].is_between(0.0, 0.12).all()
    assert recipes.best(table)[0] in ("near", "both")


def test_the_real_rate_mixes_ordinary_and_unusual_rows():
    frame, y, kind, family, service = connections()
    frame = frame.with_columns(a=pl.col("a") + 5.0 * pl.Series(service != "http"))
    tasks = recipes.leave_out(y, kind, families=family, normals_by=service)
    table = recipes.compare(MEMBERS, {"near": ["near"]}, frame, y, tasks, kind, unusual_share=0.4, rates=[0.1])
    row = table.row(0, named=True)
    assert row["unusual"] > row["ordinary"]
    assert row["real"] == pytest.approx(0.6 * row["ordinary"] + 0.4 * row["unusual"])
    recall = (row["new"] + row["known"]) / 2
    assert row["f1"] == pytest.approx(2 * recall / (recall + row["real"] + 1), abs=0.005)
    assert row["worst"] <= row["f1"]
    blind = recipes.compare(MEMBERS, {"near": ["near"]}, frame, y, tasks, kind, unusual_share=0.0, rates=[0.1])
    assert blind["auc"][0] > row["auc"] > 0.5


def test_frequent_attacks_are_drawn_and_normal_rows_and_rare_attacks_kept():
    _, y, kind, _, _ = connections()
    rows = recipes.most_of_each(y, kind, 80, seed=1)
    assert (np.diff(rows) > 0).all()
    kept = dict(pl.Series(kind[rows]).value_counts().iter_rows())
    for name, count in pl.Series(kind).value_counts().iter_rows():
        assert kept[name] == (count if name == "normal" else min(count, 80))
    np.testing.assert_array_equal(rows, recipes.most_of_each(y, kind, 80, seed=1))
    assert not np.array_equal(rows, recipes.most_of_each(y, kind, 80, seed=2))
    with pytest.raises(SettingsError, match="most rows of a kind must be 1 or more, found 0"):
        recipes.most_of_each(y, kind, 0)


def test_kinds_of_normal_rows_are_found_where_normal_rows_crowd():
    rng = np.random.default_rng(0)
    crowd = rng.integers(0, 3, 300)
    frame = pl.DataFrame({"a": 20.0 * crowd + rng.normal(size=300), "b": 20.0 * (crowd == 1) + rng.normal(size=300)})
    y = np.arange(300) < 20
    kinds = recipes.normal_kinds(frame, y, 3, seed=0)
    assert kinds.shape == (300,)
    pairs = set(zip(crowd[~y].tolist(), kinds[~y].tolist(), strict=True))
    assert len(pairs) == 3
    assert recipes.normal_kinds(frame[:25], y[:25], 100).max() < 5
    with pytest.raises(DataError, match="found none in 20"):
        recipes.normal_kinds(frame[:20], y[:20])


def test_recipes_find_new_kinds_explain_themselves_and_share_their_work():
    frame, y, _, family, _ = connections(900)
    known = family != "r2l"
    every = recipes.together(1, sizes=SMALL).fit(frame.filter(known), y[known])
    new = frame.filter(family == "r2l")
    for names in (recipes.ONE_CLASS, recipes.LABELLED, recipes.FEW_ALARMS):
        recipe = every.subset(names)
        assert recipe.predict(new, recipes.RATE).mean() > 0.9
        assert recipe.predict(frame.filter(~y), recipes.RATE).mean() < 0.1
        assert "loudest" in recipe.explain(new[:1])[0]
    assert "of the score)" in every.explain(new[:1])[0]


def test_each_recipe_is_made_of_its_members_with_the_sizes_asked_for():
    for make, names in (
        (recipes.one_class, recipes.ONE_CLASS),
        (recipes.with_labels, recipes.LABELLED),
        (recipes.few_alarms, recipes.FEW_ALARMS),
    ):
        ensemble = make(3, sizes=SMALL, held_out=4)
        assert tuple(ensemble.members) == names
        assert (ensemble.held_out, ensemble.seed) == (4, 3)
        assert set(names) <= set(recipes.together().members)
        assert names in recipes.CANDIDATES.values()
    assert recipes.with_labels(3, sizes=SMALL).members["forest"].classifier.n_estimators == SMALL.trees
    assert recipes.one_class(3, sizes=SMALL).members["neighbours"].detector.most_points == SMALL.points
    assert recipes.detectors(3, SMALL)["autoencoder"].detector.epochs == SMALL.epochs
    every = {**recipes.detectors(), **recipes.classifiers()}
    assert all(set(parts) <= set(every) for parts in recipes.CANDIDATES.values())


def test_each_member_is_fitted_once_a_task_and_one_that_nobody_wants_never(monkeypatch):
    frame, y, kind, family, _ = connections(400)
    fits = []
    fit = TableDetector.fit
    monkeypatch.setattr(TableDetector, "fit", lambda self, *a, **k: fits.append(self) or fit(self, *a, **k))
    members = {**MEMBERS, "idle": TableDetector(NearestNeighbours(5))}
    tasks = recipes.leave_out(y, kind, families=family)
    recipes.compare(members, {"near": ["near"], "both": ["near", "line"]}, frame, y, tasks, kind)
    assert len(fits) == len(tasks)


def test_comparisons_that_mean_nothing_are_refused():
    frame, y, kind, family, _ = connections(400)
    tasks = recipes.leave_out(y, kind, families=family)
    with pytest.raises(SettingsError, match="members of 'x' must be among 'near', 'line', found 'far'"):
        recipes.compare(MEMBERS, {"x": ["far"]}, frame, y, tasks, kind)
    with pytest.raises(SettingsError, match="candidate 'x' must list its members"):
        recipes.compare(MEMBERS, {"x": "near"}, frame, y, tasks, kind)
    with pytest.raises(SettingsError, match="share of unusual rows"):
        recipes.compare(MEMBERS, {"x": ["near"]}, frame, y, tasks, kind, unusual_share=2)
    with pytest.raises(DataError, match="found none: make some with leave_out"):
        recipes.compare(MEMBERS, {"x": ["near"]}, frame, y, [], kind)
    with pytest.raises(DataError, match="alarm rate"):
        recipes.compare(MEMBERS, {"x": ["near"]}, frame, y, tasks, kind, rates=[0])
    with pytest.raises(SchemaError, match="'f1'"):
        recipes.best(pl.DataFrame({"candidate": ["x"], "rate": [0.1]}))
    with pytest.raises(DataError, match="found none: compare at least one"):
        recipes.best(pl.DataFrame({"candidate": [], "rate": [], "f1": []}))
