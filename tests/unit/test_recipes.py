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
    assert table.columns == ["candidate", "rate", "new", "known", "ordinary", "unusual", "real", "f1"]
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
    new, known, ordinary, unusual, real, f1 = table.row(0)[2:]
    assert real == pytest.approx(0.6 * ordinary + 0.4 * unusual)
    recall = (new + known) / 2
    assert f1 == pytest.approx(2 * recall / (recall + real + 1))


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
