"""What fitting and tuning classifiers costs: threads, categories, features and bins that are made once or every time.

Each row stands beside the usual way of doing the same work, in the same run, with the results compared.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from statistics import median
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier

from benchmarks.measure import Measured, in_turns
from benchmarks.registry import Bar, Row, Scale, case
from utils import settings
from utils.classifiers.tuning import share_folds
from utils.classifiers.tuning.folds import Folds
from utils.compute import threads
from utils.datasets.contract import NORMAL
from utils.evaluation import metrics, splits
from utils.evaluation.scoring import Table
from utils.features.flows import FlowFeatures
from utils.simulate import nsl_kdd as simulator

DATA = "simulator"
ROWS = 20_000
FEW = 5_000
"""Rows for what takes very long the usual way."""

NOISE = 0.08
"""Share of labels that are turned, so that classifiers differ."""

TRIALS = 12
"""Parameters that are tried on the same folds."""

ALIKE = 0.01
"""Difference of average precision below which two codings of categories count as equal."""

LEAVES = (15, 31, 63)
HALF, WHOLE = {"nominal": "onehot", "scale": None, "log": False}, {"nominal": "native", "scale": None, "log": False}
BUSY = "while True: pass"


@case("classifier_threads", "classifiers")
def pinned_threads(scale: Scale) -> list[Row]:
    """Fit boosting with the threads that are free, and with one a core, beside processes that keep all cores busy.

    Wall seconds: what is lost is waiting.
    """
    frame, y = (part[:FEW] for part in _table(scale))
    X = FlowFeatures(**WHOLE).fit(frame).transform(frame)
    walls: dict[str, list[float]] = {"pinned": [], "one a core": []}
    said: dict[str, NDArray[Any]] = {}
    with _busy_cores(threads._affinity()):
        for _ in range(scale.rounds):
            for name, held in (("pinned", threads.limited(threads.free_cores())), ("one a core", nullcontext())):
                with held:
                    began = time.perf_counter()
                    said[name] = (
                        HistGradientBoostingClassifier(max_iter=20, random_state=0).fit(X, y).predict_proba(X)[:, 1]
                    )
                    walls[name].append(time.perf_counter() - began)
    _require_alike(said["pinned"], said["one a core"], "threads")
    ours, usual = (median(walls[name]) for name in walls)
    size = f"{len(y):,} rows, every core busy"
    return [
        Row("boosting on free cores only (wall)", ours, usual, Bar("ratio", 2), size, DATA, None, "a thread a core")
    ]


@case("classifier_categories", "classifiers")
def native_categories(scale: Scale) -> list[Row]:
    """Fit boosting on codes of categories, and on one column a category; both find the same anomalies."""
    frame, y = _table(scale)
    split = splits.stratified(y, 0.3)
    learned, tested = frame[split.train], frame[split.test]

    def ranked(options: dict[str, Any]) -> NDArray[Any]:
        features = FlowFeatures(**options).fit(learned)
        model = HistGradientBoostingClassifier(random_state=0).fit(features.transform(learned), y[split.train])
        return np.asarray(model.decision_function(features.transform(tested)))

    with threads.limited(1):
        cost = in_turns({"codes": lambda: ranked(WHOLE), "one-hot": lambda: ranked(HALF)}, scale.rounds)
    found = {name: metrics.average_precision(y[split.test], one.value) for name, one in cost.items()}
    if abs(found["codes"] - found["one-hot"]) > ALIKE and len(y) == ROWS:
        raise RuntimeError(f"codes must rank as one-hot columns do, found {found}: check the coding of categories")
    size = f"{split.train.size:,} rows, 3 nominal columns"
    return [
        _row(
            "boosting on codes of categories",
            cost["codes"],
            cost["one-hot"],
            Bar("ratio", 1.3),
            size,
            "a column a category",
        )
    ]


@case("classifier_tuning", "classifiers")
def features_made_once(scale: Scale) -> list[Row]:
    """Try parameters on folds whose features were made once, and with a pipeline that makes them for every trial."""
    frame, y = _table(scale)
    depths = range(2, 2 + TRIALS)
    cost = in_turns(
        {"once": lambda: _shared(frame, y, depths), "every time": lambda: _repeated(frame, y, depths)}, scale.rounds
    )
    if cost["once"].value != cost["every time"].value:
        raise RuntimeError("trials on shared folds must score as pipelines do, found others: check tuning.folds")
    size = f"{len(y):,} rows, {TRIALS} trials of a tree, 3 folds"
    return [
        _row(
            "trials on features made once",
            cost["once"],
            cost["every time"],
            Bar("ratio", 1.2),
            size,
            "made for every trial",
        )
    ]


@case("classifier_bins", "classifiers")
def shared_bins(scale: Scale) -> list[Row]:
    """Try parameters of boosting on binned columns that all trials share, and with bins made for every trial.

    It does not pay enough to leave the interface of scikit-learn for, so searches bin every time: no bar.
    """
    frame, y = _table(scale)
    X = FlowFeatures(**WHOLE).fit(frame).transform(frame)
    works: dict[str, Callable[[], Any]] = {
        "lightgbm once": lambda: _lightgbm(X, y, shared=True),
        "lightgbm every time": lambda: _lightgbm(X, y, shared=False),
        "xgboost once": lambda: _xgboost(X, y, shared=True),
        "xgboost every time": lambda: _xgboost(X, y, shared=False),
    }
    with threads.limited(1):
        cost = in_turns(works, scale.rounds)
    found = []
    for name in ("lightgbm", "xgboost"):
        once, usual = cost[f"{name} once"], cost[f"{name} every time"]
        _require_alike(once.value, usual.value, f"bins of {name}")
        found.append(_row(f"{name} on shared bins", once, usual, None, f"{len(y):,} rows, {len(LEAVES)} trials",
                          "bins for every trial"))  # fmt: skip
    return found


@contextmanager
def _busy_cores(number: int) -> Iterator[None]:
    """Keep so many cores busy with something else."""
    running = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(number)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def _table(scale: Scale) -> tuple[pl.DataFrame, NDArray[np.bool_]]:
    """Simulated connections without a constant column, and labels of which some are turned."""
    made = simulator.simulate(min(scale.lines, ROWS) + 1_000, settings.SEED)["train"].head(min(scale.lines, ROWS))
    y = (made["attack"] != NORMAL).to_numpy()
    turned = np.random.default_rng(settings.SEED).random(len(y)) < NOISE
    return made.drop("attack", "difficulty"), y ^ turned


def _shared(frame: pl.DataFrame, y: NDArray[Any], depths: range) -> list[float]:
    folds: Folds = share_folds(frame, y)
    parts = folds.parts(WHOLE)
    found = []
    for depth in depths:
        model = DecisionTreeClassifier(max_depth=depth, random_state=0)
        values = [_value(clone(model).fit(p.learned, p.known.y), p.judged, p.wanted.y) for p in parts]
        found.append(float(np.mean(values)))
    return found


def _repeated(frame: pl.DataFrame, y: NDArray[Any], depths: range) -> list[float]:
    divided = splits.k_fold(y, 3, settings.SEED)
    found = []
    for depth in depths:
        tree = DecisionTreeClassifier(max_depth=depth, random_state=0)
        pipeline = Pipeline([("features", FlowFeatures(**WHOLE)), ("classifier", tree)])
        values = [
            _value(clone(pipeline).fit(frame[fold.train], y[fold.train]), frame[fold.test], y[fold.test])
            for fold in divided
        ]
        found.append(float(np.mean(values)))
    return found


def _value(model: ClassifierMixin, X: Table, y: NDArray[Any]) -> float:
    return metrics.average_precision(y, model.predict_proba(X)[:, 1])


def _lightgbm(X: NDArray[Any], y: NDArray[Any], *, shared: bool) -> NDArray[Any]:
    import lightgbm

    fixed = {"objective": "binary", "num_threads": 1, "verbose": -1, "deterministic": True, "force_row_wise": True}

    def binned() -> lightgbm.Dataset:
        return lightgbm.Dataset(X, y.astype(float), params=fixed, free_raw_data=False).construct()

    kept = binned() if shared else None
    scores = []
    for leaves in LEAVES:
        model = lightgbm.train(fixed | {"num_leaves": leaves}, kept or binned(), num_boost_round=60)
        scores.append(model.predict(X[:1_000]))
    return np.concatenate(scores)


def _xgboost(X: NDArray[Any], y: NDArray[Any], *, shared: bool) -> NDArray[Any]:
    import xgboost

    fixed = {"objective": "binary:logistic", "nthread": 1, "tree_method": "hist", "grow_policy": "lossguide"}
    rows = xgboost.DMatrix(X[:1_000], nthread=1)

    def binned() -> xgboost.QuantileDMatrix:
        return xgboost.QuantileDMatrix(X, y, nthread=1)

    kept = binned() if shared else None
    scores = []
    for leaves in LEAVES:
        given = fixed | {"max_leaves": leaves, "max_depth": 0}
        model = xgboost.train(given, kept or binned(), num_boost_round=60)
        scores.append(model.predict(rows))
    return np.concatenate(scores)


def _row(title: str, ours: Measured, usual: Measured, bar: Bar | None, size: str, against: str) -> Row:
    return Row(title, ours.median, usual.median, bar, size, DATA, ours.peak_mb, against)


def _require_alike(ours: NDArray[Any], usual: NDArray[Any], what: str) -> None:
    """Check that two ways give the same scores.

    Raises:
        RuntimeError: if they differ.
    """
    if not np.allclose(ours, usual, atol=1e-6):
        gap = float(np.abs(ours - usual).max())
        raise RuntimeError(f"{what} must not change scores, found differences up to {gap:g}: check what is compared")
