"""Forests row by row, as a service scores them: the compiled form beside scikit-learn and ONNX Runtime."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from benchmarks import peers
from benchmarks.apart import json_of
from benchmarks.measure import in_turns
from benchmarks.registry import Row, Scale, case
from utils import settings
from utils.classifiers.compiled.forest import scores_of
from utils.datasets.contract import NORMAL
from utils.features.flows import FlowFeatures
from utils.simulate import nsl_kdd as simulator

ROWS, SINGLES, TREES = 20_000, 500, 100
SLOW_SINGLES = 20
"""Rows that scikit-learn scores; its time is scaled."""

SCRIPT = Path(__file__).parent / "onnx_forest.py"
SINGLE = 2e-6
"""Difference of probabilities that single precision may make; ours makes none."""

DATA = "simulator"
ONE_BY_ONE = "rows through a forest, one by one"


@case("forests", "service")
def forest_by_row(scale: Scale) -> list[Row]:
    """Score rows one by one with a forest of 100 trees; the same probabilities."""
    forest, matrix = _fitted(min(scale.lines, ROWS))
    compiled, _ = scores_of(forest)
    singles = [matrix[row : row + 1] for row in range(len(matrix))]
    works: dict[str, Callable[[], Any]] = {
        "ours": lambda: np.concatenate([compiled(one) for one in singles]),
        "theirs": lambda: [forest.predict_proba(one)[:, 1] for one in singles[:SLOW_SINGLES]],
    }
    works["ours"]()
    cost = in_turns(works, scale.rounds)
    wanted = forest.predict_proba(matrix)[:, 1]
    if not np.array_equal(cost["ours"].value, wanted):
        raise RuntimeError("the compiled forest must give the probabilities of scikit-learn: check compiled.forest")
    usual = cost["theirs"].median * len(singles) / len(singles[:SLOW_SINGLES])
    onnx, why = _onnx(forest, matrix, wanted)
    size, ours = f"{len(matrix):,} rows x {matrix.shape[1]}, {TREES} trees", cost["ours"].median
    return [
        Row(ONE_BY_ONE, ours, usual, None, size, DATA, None, "scikit-learn, predict_proba"),
        Row(ONE_BY_ONE, ours, onnx, None, size, DATA, None, "ONNX Runtime, single precision", problem=why),
    ]


def _fitted(rows: int) -> tuple[RandomForestClassifier, NDArray[np.float64]]:
    """A forest, and encoded rows that it did not see, in numbers that single precision holds."""
    made = simulator.simulate(rows + SINGLES, settings.SEED)["train"]
    connections = made.drop("attack", "difficulty")
    features = FlowFeatures(nominal="native", scale=None, log=False).fit(connections)
    matrix = np.asarray(features.transform(connections), dtype=np.float32).astype(np.float64)
    y = (made["attack"] != NORMAL).to_numpy()
    learned = len(matrix) - SINGLES
    forest = RandomForestClassifier(TREES, random_state=0, n_jobs=1).fit(matrix[:learned], y[:learned])
    return forest, matrix[learned:]


def _onnx(forest: RandomForestClassifier, matrix: NDArray[Any], wanted: NDArray[Any]) -> tuple[float | None, str]:
    """CPU seconds of ONNX Runtime for all rows one by one, or why there are none.

    Raises:
        RuntimeError: if its probabilities differ by more than single precision explains.
    """
    python, why = peers.found(peers.ONNX)
    if python is None:
        return None, why
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("forest.joblib", "rows.npy", "chances.npy")]
        joblib.dump(forest, files[0])
        np.save(files[1], matrix)
        found = json_of(str(SCRIPT), *map(str, files), python=str(python))
        apart = float(np.abs(np.load(files[2]) - wanted).max())
    if apart > SINGLE:
        raise RuntimeError(f"ONNX Runtime must give the same probabilities, found {apart:g} between them: check both")
    return float(found["one by one"]), ""
