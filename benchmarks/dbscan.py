"""DBSCAN: a sweep of settings and a fit against scikit-learn's, repeated rows, labels of single new rows.

The sweep is timed on the published features of 57,833 WAF events where they are at hand, else on points of the same
number and shape. scikit-learn is fitted on the rows as they are, once for each setting; because that takes minutes,
sweeps are measured in one round. Memory is what a process of its own needs on top of data and imports.
"""

import gc
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.cluster import DBSCAN as Reference
from sklearn.metrics import adjusted_rand_score

from benchmarks import peers
from benchmarks.apart import json_of
from benchmarks.measure import _peak_mb, _reset_peak, in_turns
from benchmarks.registry import Bar, Row, Scale, case
from utils import datasets, settings
from utils.detectors.dbscan import DBSCAN, NeighbourGraph, distinct, sweep
from utils.errors import LabError

Floats = np.ndarray[Any, np.dtype[np.float64]]

ROWS, REPEATED_ROWS, SINGLES = 57_833, 100_000, 1_000
EPS, MIN_SAMPLES = (0.02, 0.04, 0.0678, 0.1), (6, 10, 18)
WIDE_EPS = 0.25
REPEATED_EPS, REPEATED_LEAST = 2.0, 10
MOST_MB, LEAST_RATIO = 2_000, 10
THEIRS = "scikit-learn's DBSCAN"
INTELEX_SCRIPT = Path(__file__).parent / "intelex_fits.py"
REAL, SIMULATED = "real", "simulated (no real file at hand)"


@case("dbscan_sweep", "detectors")
def sweep_published(scale: Scale) -> list[Row]:
    """Cluster with twelve settings, from the rows on, and with one radius at which a third of all pairs are near."""
    rows, data = published_points(min(scale.sessions, ROWS))
    DBSCAN(EPS[0], MIN_SAMPLES[0]).fit(rows[:100])
    works: dict[str, Callable[[], Any]] = {
        "sweep": lambda: swept(rows, EPS, MIN_SAMPLES),
        "refits": lambda: refits(rows, EPS, MIN_SAMPLES),
        "wide": lambda: swept(rows, (WIDE_EPS,), MIN_SAMPLES[-1:]),
        "wide refit": lambda: refits(rows, (WIDE_EPS,), MIN_SAMPLES[-1:]),
    }
    cost = in_turns(works, 1)
    _require_same(cost["sweep"].value, cost["refits"].value)
    _require_same(cost["wide"].value, cost["wide refit"].value)
    size = f"{len(rows):,} x {rows.shape[1]}"
    titles = {
        "sweep": (f"DBSCAN: {len(EPS) * len(MIN_SAMPLES)} settings", "refits", Bar("ratio", 5)),
        "wide": (f"DBSCAN: eps {WIDE_EPS}", "wide refit", None),
    }
    return [
        Row(title, cost[name].median, cost[baseline].median, bar, size, data, cost[name].peak_mb, THEIRS)
        for name, (title, baseline, bar) in titles.items()
    ]


@case("dbscan_peer", "detectors")
def sweep_beside_intelex(scale: Scale) -> list[Row]:
    """The same twelve settings beside scikit-learn-intelex; the row says how far the labels agree."""
    rows, data = published_points(min(scale.sessions, ROWS))
    DBSCAN(EPS[0], MIN_SAMPLES[0]).fit(rows[:100])
    ours = in_turns({"sweep": lambda: swept(rows, EPS, MIN_SAMPLES)}, 1)["sweep"]
    size, title = f"{len(rows):,} x {rows.shape[1]}", f"DBSCAN: {len(EPS) * len(MIN_SAMPLES)} settings"
    python, why = peers.found(peers.INTELEX)
    seconds, agreement = _intelex(python, rows, ours.value) if python else (None, "")
    against = "scikit-learn-intelex, a fit a setting"
    said = f"{size}; {agreement}" if agreement else size
    return [Row(title, ours.median, seconds, None, said, data, ours.peak_mb, against, problem=why)]


@case("dbscan_fit", "detectors")
def fit_and_label(scale: Scale) -> list[Row]:
    """Fit once, in less than 2 GB, and label new rows one after the other."""
    rows, data = published_points(min(scale.sessions, ROWS))
    model = DBSCAN(EPS[2], MIN_SAMPLES[2]).fit(rows)
    new = rows[: min(SINGLES, len(rows))] + 0.01
    works: dict[str, Callable[[], Any]] = {
        "fit": lambda: fit_once(rows),
        "singles": lambda: np.concatenate([model.predict(new[row : row + 1]) for row in range(len(new))]),
    }
    cost = in_turns(works, scale.rounds)
    if not np.array_equal(cost["singles"].value, model.predict(new)):
        raise RuntimeError("one row must have the label that it has among many: check DBSCAN.predict")
    fit, singles, peak = cost["fit"], cost["singles"], memory_of("published", len(rows))
    size, bar = f"{len(rows):,} x {rows.shape[1]}", Bar("seconds", 0.001 * len(new))
    return [
        Row("DBSCAN: one fit", fit.median, None, Bar("seconds", 15), size, data, peak),
        Row("DBSCAN: memory that a fit adds", peak, None, Bar("megabytes", MOST_MB), size, data, peak, unit="MB"),
        Row("DBSCAN: labels, row by row", singles.median, None, bar, f"{len(new):,} rows", data),
    ]


@case("dbscan_repeats", "detectors")
def fit_repeated_rows(scale: Scale) -> list[Row]:
    """Fit rows of which 80 % are repeated: time, and memory of a process of its own."""
    rows = min(scale.sessions, REPEATED_ROWS)
    table = repeated_points(rows)
    DBSCAN(REPEATED_EPS, REPEATED_LEAST).fit(table[:100])
    works: dict[str, Callable[[], Any]] = {"ours": lambda: ours_once(table), "refit": lambda: theirs_once(table)}
    cost = in_turns(works, 1)
    _require_same([cost["ours"].value], [cost["refit"].value])
    ours, theirs = (memory_of(name, rows) for name in ("ours", "theirs"))
    size, bar = f"{rows:,} x {table.shape[1]}, 80 % repeated", Bar("ratio", LEAST_RATIO)
    return [
        Row("DBSCAN: repeated rows", cost["ours"].median, cost["refit"].median, bar, size, "simulator", ours, THEIRS),
        Row("DBSCAN: memory for repeated rows", ours, theirs, bar, size, "simulator", ours, THEIRS, unit="MB"),
    ]


def swept(rows: Floats, eps: tuple[float, ...], min_samples: tuple[int, ...]) -> list[Floats]:
    """Labels of all rows for each setting, by rising min_samples, then eps: one graph of the distinct points."""
    seen = distinct(rows)
    found = sweep(NeighbourGraph(seen.points, seen.weight, radius=max(eps)), eps, min_samples)
    return [labels[seen.inverse] for labels in found.labels]


def refits(rows: Floats, eps: tuple[float, ...], min_samples: tuple[int, ...]) -> list[Floats]:
    """The same from one fit of scikit-learn for each setting."""
    settings_ = [(radius, least) for least in min_samples for radius in eps]
    return [Reference(eps=radius, min_samples=least).fit(rows).labels_ for radius, least in settings_]


def ours_once(table: Floats) -> Floats:
    """Labels of ours for repeated rows."""
    return DBSCAN(REPEATED_EPS, REPEATED_LEAST).fit(table).labels_


def fit_once(rows: Floats) -> Floats:
    """Labels of ours with the published settings."""
    return DBSCAN(EPS[2], MIN_SAMPLES[2]).fit(rows).labels_


def theirs_once(table: Floats) -> Floats:
    """Labels of scikit-learn for repeated rows."""
    return Reference(eps=REPEATED_EPS, min_samples=REPEATED_LEAST).fit(table).labels_


def published_points(rows: int) -> tuple[Floats, str]:
    """The published features of WAF events, or as many points in blocks of different density."""
    try:
        frame = datasets.load("waf", "real")["mlpt"].drop("cluster")
        return frame.head(rows).to_numpy(), REAL
    except LabError:
        return _stand_in(rows), SIMULATED


def repeated_points(rows: int, width: int = 20) -> Floats:
    """Rows in 40 clusters with 2 % noise, of which four in five are copies of another."""
    random = np.random.default_rng(settings.SEED)
    kept = max(1, rows // 5)
    points = random.normal(size=(40, width))[random.integers(0, 40, kept)] * 3 + random.normal(size=(kept, width)) * 0.3
    points[: kept // 50] = random.uniform(-9, 9, (kept // 50, width))
    return points[random.permutation(np.concatenate([np.arange(kept), random.integers(0, kept, rows - kept)]))]


def memory_of(name: str, rows: int) -> float:
    """Peak memory (MB) that a fit adds to a new process.

    Raises:
        RuntimeError: if the process fails.
    """
    return float(json_of("benchmarks.dbscan", name, str(rows)))


def added_memory(name: str, rows: int) -> float:
    """Peak memory (MB) of a fit in this process, less what was there before it."""
    fit = {"ours": ours_once, "theirs": theirs_once, "published": fit_once}[name]
    table = published_points(rows)[0] if name == "published" else repeated_points(rows)
    fit(table[:100])
    gc.collect()
    _reset_peak()
    before = _peak_mb() or 0.0
    fit(table)
    return max((_peak_mb() or 0.0) - before, 0.1)


def _intelex(python: Path, rows: Floats, ours: list[Floats]) -> tuple[float, str]:
    """CPU seconds of scikit-learn-intelex for all settings, and how far its labels are ours."""
    with tempfile.TemporaryDirectory() as folder:
        given, labels = Path(folder) / "rows.npy", Path(folder) / "labels.npy"
        np.save(given, rows)
        chosen = ",".join(map(str, EPS)), ",".join(map(str, MIN_SAMPLES))
        found = json_of(str(INTELEX_SCRIPT), str(given), str(labels), *chosen, python=str(python))
        return float(found["seconds"]), _agreement(ours, list(np.load(labels)))


def _agreement(ours: list[Floats], theirs: list[Floats]) -> str:
    """How far two sets of labels agree, in the setting where they do least, in words.

    Labels of ours are those of scikit-learn exactly; another library may round distances that equal ``eps`` otherwise.
    """
    pairs = list(zip(ours, theirs, strict=True))
    least = min(float(adjusted_rand_score(mine, other)) for mine, other in pairs)
    noise = max(int(np.sum((mine < 0) != (other < 0))) for mine, other in pairs)
    return f"adjusted Rand index {least:.4f} or more, noise differs in {noise} rows at most"


def _stand_in(rows: int, width: int = 9) -> Floats:
    """Blocks of different density around 60 centres, a fifth of the rows repeated."""
    random = np.random.default_rng(settings.SEED)
    kept = max(1, rows * 4 // 5)
    block = np.minimum((random.pareto(0.7, kept) * 3).astype(int), 59)
    spread = 0.02 * 1.03 ** np.arange(60)
    points = random.normal(size=(60, width))[block] + random.normal(size=(kept, width)) * spread[block][:, None]
    return points[random.permutation(np.concatenate([np.arange(kept), random.integers(0, kept, rows - kept)]))]


def _require_same(ours: list[Floats], theirs: list[Floats]) -> None:
    """Check label by label: ours are numbered as scikit-learn's.

    Raises:
        RuntimeError: if one differs.
    """
    if len(ours) != len(theirs) or not all(map(np.array_equal, ours, theirs)):
        raise RuntimeError("labels must be those of scikit-learn, found others: check utils.detectors.dbscan")


if __name__ == "__main__":
    print(json.dumps(added_memory(sys.argv[1], int(sys.argv[2]))))
