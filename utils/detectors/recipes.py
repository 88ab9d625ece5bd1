"""Ensembles with a name, and how their members and alarm rates were chosen: by attacks that training had never seen.

A recipe that is chosen on attacks of known kinds is chosen for the wrong task, since every classifier finds those. What
counts is what becomes of attacks of kinds that training did not have, and of normal rows of a kind that it did not have
either. :func:`leave_out` makes such tasks of training rows alone, :func:`compare` runs candidates on them, and
:func:`best` takes one. The test part is not needed, and was not used, for any of it.

```python
tasks = recipes.leave_out(y, kinds, families=categories, normals_by=services)
table = recipes.compare(recipes.members(seed), recipes.CANDIDATES, features, y, kinds, tasks)
```

Source:
    Emmott, Das, Dietterich, Fern, Wong, "Systematic construction of anomaly detection benchmarks from real data",
    ODD workshop at KDD 2013 (classes left out as anomalies that nobody has seen).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from utils.datasets import require
from utils.datasets.wording import listed
from utils.detectors.city_block import CityBlockNeighbours
from utils.detectors.ensembles import Ensemble
from utils.detectors.outliers import (
    GaussianMixture,
    IsolationForest,
    NearestNeighbours,
    OutlierDetector,
    PrincipalComponents,
)
from utils.detectors.outliers.autoencoder import Autoencoder
from utils.detectors.table_classifier import TableClassifier
from utils.detectors.table_detector import TableDetector
from utils.errors import DataError, SettingsError
from utils.evaluation.conformal import ConformalCombination
from utils.evaluation.inputs import Bools, Ints, Values, as_alarm_rate, as_labels, as_names, codes
from utils.features.flows import FlowFeatures
from utils.settings import SEED

Names = NDArray[np.object_]

RATES = (0.01, 0.02, 0.03, 0.05, 0.07, 0.10)
UNUSUAL_SHARE = 0.25
TASK_ROWS = 3_000
KIND_ROWS = 300
"""Rows of one kind that judge; of the training rows of each kind a fifth, and no more than these."""


def detectors(seed: int = SEED, *, points: int = 15_000, epochs: int = 20) -> dict[str, BaseEstimator]:
    """Detectors that learn from normal rows of a table alone, not fitted.

    Args:
        seed: of all of them.
        points: most distinct rows that a search for neighbours keeps.
        epochs: most passes of the autoencoder through the training rows.

    Returns:
        Detectors by name.
    """
    found: dict[str, tuple[OutlierDetector, dict[str, Any]]] = {
        "neighbours": (NearestNeighbours(1, most_points=points, seed=seed), {}),
        "neighbours by rank": (NearestNeighbours(1, most_points=points, seed=seed), {"scale": "quantile"}),
        "neighbours by block": (CityBlockNeighbours(most_points=points // 3, seed=seed), {}),
        "autoencoder": (Autoencoder(epochs=epochs, seed=seed), {}),
        "mixture": (GaussianMixture(16, components=20, seed=seed), {}),
        "components": (PrincipalComponents(0.99), {}),
        "isolation": (IsolationForest(100, seed=seed), {"scale": "quantile"}),
    }
    return {name: TableDetector(detector, FlowFeatures(**options)) for name, (detector, options) in found.items()}


def classifiers(seed: int = SEED, *, trees: int = 100) -> dict[str, BaseEstimator]:
    """Classifiers that learn from labelled rows of a table, not fitted.

    Args:
        seed: of all of them.
        trees: of a forest; boosting takes twice as many.

    Returns:
        Classifiers by name, on one processor each.
    """
    from lightgbm import LGBMClassifier
    from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
    from xgboost import XGBClassifier

    drawn: dict[str, Any] = {"subsample": 0.7, "colsample_bytree": 0.5, "n_jobs": 1, "random_state": seed}
    boosted = LGBMClassifier(n_estimators=2 * trees, learning_rate=0.05, subsample_freq=1, verbose=-1, **drawn)
    found = {
        "forest": RandomForestClassifier(trees, random_state=seed),
        "smooth forest": RandomForestClassifier(trees, min_samples_leaf=5, random_state=seed),
        "extra trees": ExtraTreesClassifier(trees, random_state=seed),
        "xgboost": XGBClassifier(n_estimators=2 * trees, max_depth=6, learning_rate=0.1, **drawn),
        "lightgbm": boosted,
    }
    return {name: TableClassifier(classifier) for name, classifier in found.items()}


class LeftOut(NamedTuple):
    """A task made of training rows: kinds of attacks, and of normal rows, that are new when they come.

    Attributes:
        name: the attacks that are left out.
        train: rows to learn from (row numbers, rising), without them.
        new: attacks of the kinds left out.
        known: attacks of other kinds, not in ``train``.
        ordinary: normal rows like those of training, not in ``train``.
        unusual: normal rows of values left out; none where nothing says what kinds of normal rows there are.
    """

    name: str
    train: Ints
    new: Ints
    known: Ints
    ordinary: Ints
    unusual: Ints


def leave_out(
    y: Values,
    kinds: Values,
    *,
    families: Values | None = None,
    normals_by: Values | None = None,
    folds: int = 3,
    rows: int = TASK_ROWS,
    most_normals: int | None = 16_000,
    most_of_kind: int | None = 1_000,
    seed: int = SEED,
) -> list[LeftOut]:
    """Make tasks of training rows in which whole kinds of attacks, and of normal rows, are new.

    Args:
        y: true for an anomaly (n,).
        kinds: name of the kind of anomaly of each row (n,); those of normal rows do not matter.
        families: broader family of each row (n,), one left out in each task; kinds are dealt into ``folds`` parts of
            about equal numbers of kinds if not given.
        normals_by: what kinds of normal rows there are, such as the service (n,); the most frequent value always stays
            in training, the others are dealt to the tasks.
        folds: number of tasks where there are no families.
        rows: most normal rows of either sort that judge; of attacks, a tenth of it for each kind.
        most_normals: most normal rows to learn from; ``None`` for all.
        most_of_kind: most attacks of one kind to learn from; ``None`` for all.
        seed: of all draws.

    Returns:
        The tasks, in order of the names of families.

    Raises:
        DataError: if there are fewer than two families or kinds, or no normal row to learn from and to judge by.
    """
    anomalous = as_labels(y)
    n = anomalous.size
    names = as_names(kinds, n, "kinds").to_numpy()
    rng = np.random.default_rng(seed)
    if families is None:
        family = _dealt_kinds(names[anomalous], folds, rng)
    else:
        family = _families(names, as_names(families, n, "families").to_numpy(), anomalous)
    left = sorted(set(family.values()))
    if len(left) < 2:
        raise DataError(f"attacks of two families are needed to leave one out, found {len(left)}: give more rows")
    group = _dealt_normals(normals_by, anomalous, len(left), rng)
    limits = _Limits(rows, most_normals, most_of_kind)
    of_row = np.array([family.get(name, "") for name in names], dtype=object)
    return [
        _task(_said(family, which), anomalous, names, of_row == which, group == number, limits, rng)
        for number, which in enumerate(left)
    ]


class _Limits(NamedTuple):
    judging: int
    normals: int | None
    kind: int | None


def compare(
    members: Mapping[str, BaseEstimator],
    candidates: Mapping[str, Sequence[str]],
    X: pl.DataFrame,
    y: Values,
    tasks: Sequence[LeftOut],
    kinds: Values,
    *,
    rates: Sequence[float] = RATES,
    unusual_share: float = UNUSUAL_SHARE,
    held_out: float | int = 0.25,
    seed: int = SEED,
) -> pl.DataFrame:
    """Run candidates on tasks with left-out kinds; each member is fitted once a task, whatever candidates it is in.

    Args:
        members: unfitted detectors and classifiers by name.
        candidates: for each, the names of its members.
        X: training rows that the tasks were made of, feature columns only (n rows).
        y: true for an anomaly (n,).
        tasks: as :func:`leave_out` gives them.
        kinds: name of the kind of anomaly of each row (n,).
        rates: nominal alarm rates.
        unusual_share: share of unusual rows among the normal rows of a day like those to come; it is assumed, not
            known: the tasks only say how often each sort is flagged.
        held_out: of the ensemble.
        seed: of the ensemble.

    Returns:
        One row a candidate and rate, mean over the tasks: ``candidate``, ``rate`` (nominal); ``new`` and ``known``
        (recall, each kind counts the same), ``ordinary`` and ``unusual`` (share of normal rows flagged), ``real`` (of
        both in the assumed mixture), ``f1`` where half of the rows are attacks, half of these of new kinds.

    Raises:
        SettingsError: if a candidate names no member, or one that there is not, or a share is none.
        DataError: if there is no task or the rows do not fit together.
    """
    _check_candidates(candidates, members)
    if not tasks:
        raise DataError("candidates are compared on tasks, found none: make some with leave_out")
    if not 0 <= unusual_share <= 1:
        raise SettingsError(f"the share of unusual rows must be in 0..1, found {unusual_share}: write a tenth as 0.1")
    nominal = [as_alarm_rate(rate) for rate in rates]
    anomalous = as_labels(y, X.height)
    names = as_names(kinds, X.height, "kinds")
    found = [_judged(members, candidates, X, anomalous, task, names, nominal, held_out, seed) for task in tasks]
    columns = ("new", "known", "ordinary", "unusual")
    table = pl.concat(found).group_by("candidate", "rate", maintain_order=True).agg(pl.col(columns).mean())
    share = pl.when(pl.col("unusual").is_null()).then(0.0).otherwise(unusual_share)
    real = (1 - share) * pl.col("ordinary") + share * pl.col("unusual").fill_null(0.0)
    recall = (pl.col("new") + pl.col("known").fill_null(pl.col("new"))) / 2
    return (
        table.with_columns(real=real, recall=recall)
        .with_columns(f1=2 * pl.col("recall") / (pl.col("recall") + pl.col("real") + 1))
        .drop("recall")
    )


def best(table: pl.DataFrame) -> tuple[str, float]:
    """Take the candidate and the nominal alarm rate with the highest F1 on left-out kinds.

    Args:
        table: as :func:`compare` gives it.

    Returns:
        Name and rate; of equal ones the first.

    Raises:
        SchemaError: if a column is missing.
        DataError: if the table is empty.
    """
    require.columns(table, ("candidate", "rate", "f1"), "a comparison of candidates")
    if table.is_empty():
        raise DataError("a recipe is chosen among candidates, found none: compare at least one")
    row = table.row(int(table["f1"].arg_max() or 0), named=True)
    return row["candidate"], row["rate"]


def _check_candidates(candidates: Mapping[str, Sequence[str]], members: Mapping[str, BaseEstimator]) -> None:
    for name, parts in candidates.items():
        if isinstance(parts, str) or not parts:
            raise SettingsError(f"candidate {name!r} must list its members, found {parts!r}: name at least one")
        if unknown := [part for part in parts if part not in members]:
            raise SettingsError(
                f"members of {name!r} must be among {listed(members)}, found {listed(unknown)}: add them"
            )


def _judged(
    members: Mapping[str, BaseEstimator],
    candidates: Mapping[str, Sequence[str]],
    X: pl.DataFrame,
    anomalous: Bools,
    task: LeftOut,
    names: pl.Series,
    rates: Sequence[float],
    held_out: float | int,
    seed: int,
) -> pl.DataFrame:
    """Run all candidates on one task: one row a candidate and rate."""
    used = {name: member for name, member in members.items() if any(name in parts for parts in candidates.values())}
    fitted = Ensemble(used, held_out=held_out, seed=seed).fit(X[task.train], anomalous[task.train])
    sides = {side: getattr(task, side) for side in ("new", "known", "ordinary", "unusual")}
    scores = fitted.member_scores(X[np.concatenate(list(sides.values()))])
    ends = np.cumsum([rows.size for rows in sides.values()])
    rows = []
    for candidate, parts in candidates.items():
        together = ConformalCombination().fit(fitted.calibration_.select(parts))
        p_values = dict(zip(sides, np.split(together.p_values(scores.select(parts)), ends[:-1]), strict=True))
        for rate in rates:
            shares = {side: _share(p <= rate, names, side, sides[side]) for side, p in p_values.items()}
            rows.append({"candidate": candidate, "rate": rate, **shares})
    return pl.DataFrame(rows, schema_overrides=dict.fromkeys(sides, pl.Float64))


def _share(flagged: Bools, names: pl.Series, side: str, rows: Ints) -> float | None:
    """Share of rows that are flagged; of attacks, the mean of the shares of the kinds; nothing of no rows."""
    if not rows.size:
        return None
    if side in ("ordinary", "unusual"):
        return float(flagged.mean())
    number = codes(names.gather(rows))
    return float((np.bincount(number, flagged) / np.bincount(number)).mean())


def _families(names: Names, families: Names, anomalous: Bools) -> dict[str, str]:
    """Family of each kind of attack.

    Raises:
        DataError: if one kind is in two.
    """
    pairs = pl.DataFrame({"kind": names[anomalous], "family": families[anomalous]}).unique(maintain_order=True)
    if pairs["kind"].n_unique() < pairs.height:
        several = pairs.filter(pl.col("kind").is_duplicated())["kind"].unique().sort().to_list()
        raise DataError(f"each kind must be in one family, found {listed(several)} in several: correct the families")
    return dict(pairs.iter_rows())


def _dealt_kinds(names: Names, folds: int, rng: np.random.Generator) -> dict[str, str]:
    """Deal kinds to parts in turn, the most frequent first; each part has the number of its turn for a name."""
    kinds, counts = np.unique(names.astype(str), return_counts=True)
    order = np.lexsort((rng.random(kinds.size), -counts))
    return {str(kinds[place]): str(turn % folds) for turn, place in enumerate(order)}


def _dealt_normals(by: Values | None, anomalous: Bools, parts: int, rng: np.random.Generator) -> Ints:
    """Number the part to which each row's kind of normal row was dealt, -1 for what stays in training (n,)."""
    if by is None:
        return np.full(anomalous.size, -1)
    number = codes(by, anomalous.size, "kinds of normal rows")
    counts = np.bincount(number[~anomalous], minlength=int(number.max(initial=0)) + 1)
    part, held = np.full(counts.size, -1), np.zeros(parts)
    for which in np.argsort(-counts, kind="stable")[1:]:
        part[which] = int((held + rng.random(parts) * 1e-9).argmin())
        held[part[which]] += counts[which]
    return np.asarray(part[number])


def _task(
    name: str, anomalous: Bools, names: Names, new: Bools, unusual: Bools, limits: _Limits, rng: np.random.Generator
) -> LeftOut:
    """Divide the rows of one task.

    Raises:
        DataError: if no normal row is left on a side.
    """
    normal = rng.permutation(np.flatnonzero(~anomalous & ~unusual))
    judging = min(limits.judging, normal.size // 5)
    if not judging:
        raise DataError(f"a task without {name} needs five normal rows or more, found {normal.size}: give more rows")
    learned = normal[judging:][: limits.normals]
    known, attacks = [], []
    for kind in sorted(set(names[anomalous & ~new])):
        rows = rng.permutation(np.flatnonzero(anomalous & (names == kind)))
        judged = min(max(1, limits.judging // 10), rows.size // 5)
        known.append(rows[:judged])
        attacks.append(rows[judged:][: limits.kind])
    fresh = [
        rng.permutation(np.flatnonzero(anomalous & (names == kind)))[: max(1, limits.judging // 10)]
        for kind in sorted(set(names[anomalous & new]))
    ]
    others = rng.permutation(np.flatnonzero(~anomalous & unusual))[: limits.judging]
    train = np.concatenate([learned, *attacks])
    return LeftOut(name, *(np.sort(rows) for rows in (train, _joined(fresh), _joined(known), normal[:judging], others)))


def _joined(parts: Sequence[Ints]) -> Ints:
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


def _said(family: Mapping[str, str], which: str) -> str:
    """Name what is left out: the family, or its kinds where families are only numbers."""
    kinds = [kind for kind, one in family.items() if one == which]
    return which if not which.isdecimal() else listed(kinds)
