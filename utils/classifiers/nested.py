"""Is tuning worth it? Default and tuned parameters on the same outer splits, which the search never saw.

The score of the best trial is the highest of many and flatters itself. Here every search runs inside the training part
of an outer split; thresholds are chosen there too, on scores out of fold; the test part is looked at once for the
defaults and once for the tuned parameters. The difference gets the interval of the corrected resampled t-test, and a
plain word.

Sources:
    Cawley and Talbot, "On over-fitting in model selection and subsequent selection bias in performance evaluation",
    JMLR 2010; Nadeau and Bengio, "Inference for the generalization error", Machine Learning 2003.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from utils import compute, settings
from utils.classifiers.spaces import Space, Value
from utils.classifiers.tuning import targets
from utils.classifiers.tuning.folds import Folds, Part, Tunable, classifier_of, fitted_to
from utils.classifiers.tuning.search import Tuned, tune
from utils.classifiers.tuning.storages import Place
from utils.compute.threads import limited
from utils.errors import DataError
from utils.evaluation import comparison, intervals, metrics
from utils.evaluation.comparison import Comparison
from utils.evaluation.inputs import Floats, Values
from utils.evaluation.intervals import LEVEL, Repeats
from utils.evaluation.scoring import Table
from utils.evaluation.splits import Split
from utils.evaluation.thresholds import BestF1

OF_VERDICTS = ("average_precision", "roc_auc", "f1")
OF_CLASSES = ("macro_f1", "weighted_f1", "accuracy")
DEFAULT, TUNED = "default", "tuned"
HELPS, NOISE, HARMS = "helps", "noise", "harms"
SUMMARY = {"metric": pl.String, **dict.fromkeys((DEFAULT, TUNED, "difference", "low", "high", "p_value"), pl.Float64)}


@dataclass(frozen=True, eq=False)
class Gains:
    """What tuning gained on rows that the search never saw.

    Attributes:
        choice: what was tuned.
        metric: what the searches maximised, and what the verdict is about.
        splits: one row an outer split: ``split``, for each metric ``default_<metric>``, ``tuned_<metric>``, then
            ``inner_default`` and ``inner_best`` (cross-validation inside the training part), ``parameters`` as text,
            ``fits``, ``seconds`` (CPU).
        summary: one row a metric: ``metric``, mean ``default`` and ``tuned``, ``difference`` with the interval ``low``
            to ``high``, ``p_value``, ``verdict`` (``helps``, ``noise`` or ``harms``), ``in words``.
        optimism: by how much the best inner score exceeds that of the same parameters on outer test rows. Models of the
            inner folds learn from fewer rows, which lowers it.
        searches: what each search found.
        notes: a sentence for each departure from what was asked for.
    """

    choice: str
    metric: str
    splits: pl.DataFrame
    summary: pl.DataFrame
    optimism: Repeats
    searches: Sequence[Tuned]
    notes: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """``helps``, ``noise`` or ``harms``, by the metric that was tuned for."""
        return str(self.summary.filter(pl.col("metric") == self.metric)["verdict"][0])

    def sentence(self) -> str:
        """The answer in one sentence."""
        row = self.summary.row(by_predicate=pl.col("metric") == self.metric, named=True)
        span = f"{row['difference']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}] {self.metric}"
        words = {HELPS: "helps", NOISE: "is noise", HARMS: "harms"}[self.verdict]
        held = f"the searches themselves promised {self._promised():+.4f}"
        return f"Tuning {self.choice} {words}: {span} over {self.splits.height} outer splits; {held}."

    def results(self, prefix: str = "") -> dict[str, float]:
        """Numbers for the record of a run."""
        found: dict[str, float] = {"optimism": self.optimism.mean, "promised_gain": self._promised()}
        for row in self.summary.iter_rows(named=True):
            found |= {f"{name}_{row['metric']}": row[name] for name in (DEFAULT, TUNED, "difference", "low", "high")}
        return {f"{prefix}{name}": float(value) for name, value in found.items() if np.isfinite(value)}

    def _promised(self) -> float:
        gains = self.splits["inner_best"] - self.splits["inner_default"]
        return float(np.mean(gains.to_numpy()))


def gains(
    X: Table,
    y: Values,
    choice: Tunable,
    *,
    outer: Sequence[Split] | int = 5,
    test_share: float = 0.25,
    metric: str | None = None,
    method: str = "tpe",
    trials: int = 20,
    folds: int = 3,
    space: Space | None = None,
    stages: tuple[int, int, int] | None = None,
    patience: int | None = None,
    groups: Values | None = None,
    weight: Values | None = None,
    columns: Sequence[str] | None = None,
    storage: Place | None = None,
    threads: int = 1,
    seed: int = settings.SEED,
    progress: Callable[[str], object] | None = None,
) -> Gains:
    """Compare default and tuned parameters on outer splits.

    Args:
        X: rows (polars frame with named columns, or matrix of numbers).
        y: true for an anomaly, or the class of each row (n,).
        choice: what is tuned.
        outer: the outer splits, or how many to draw.
        test_share: share of the rows that each drawn test part gets.
        metric: what the searches maximise (see :func:`utils.classifiers.tuning.tune`).
        method: how points are chosen.
        trials: trials of each search.
        folds: inner folds.
        space: another space than the choice's own.
        stages: trials of the stages of ``"random then grid"``.
        patience: rounds without gain after which boosting stops in the searches.
        groups: group of each row; none stands on both sides of a split or fold (n,).
        weight: how many rows each row stands for (n,).
        columns: columns of the frame to use; all of them if not given.
        storage: journal file or PostgreSQL URL in which the searches are kept and taken up again.
        threads: threads of a fit.
        seed: seed of splits, folds, draws and classifiers.
        progress: told before each outer split.

    Raises:
        DataError: if labels are missing, the rows cannot be divided twice, or the defaults or all trials could not be
            fitted.
        SettingsError: if a setting means nothing.
    """
    wanted = targets.target(y, groups, weight, rows=len(X))
    drawn, notes = targets.repeats_of(wanted, outer, test_share, seed) if isinstance(outer, int) else (list(outer), ())
    if len(drawn) < 2:
        raise DataError(f"a gain needs at least 2 outer splits to be told from noise, found {len(drawn)}: draw more")
    search: dict[str, Any] = {"metric": metric, "method": method, "trials": trials, "folds": folds, "space": space}
    search |= {"stages": stages, "patience": patience, "columns": columns, "storage": storage}
    search |= {"threads": threads, "seed": seed}
    jobs = [(X, wanted, choice, split, search) for split in drawn]
    tell = compute.teller(progress, [f"{choice.name}: {split.name}" for split in drawn])
    rows, searches = zip(*compute.each(_on_split, jobs, progress=tell), strict=True)
    table = pl.DataFrame(rows, infer_schema_length=None)
    share = float(np.mean([split.test_share for split in drawn]))
    names = _metrics(wanted.binary, searches[0].metric)
    optimism = table["inner_best"].to_numpy() - table[f"{TUNED}_{searches[0].metric}"].to_numpy()
    told = tuple(dict.fromkeys([*notes, *(note for found in searches for note in found.notes)]))
    summary = _summary(table, names, share)
    return Gains(
        choice.name, searches[0].metric, table, summary, intervals.repeats(optimism, share), tuple(searches), told
    )


def _on_split(
    X: Table, wanted: targets.Target, choice: Tunable, split: Split, search: Mapping[str, Any]
) -> tuple[dict[str, Any], Tuned]:
    """Search on one outer training part, and compare with the default on its test part."""
    inner = wanted.take(split.train)
    found = tune(X[split.train], inner.y, choice, groups=inner.groups, weight=inner.weight, **search)
    (part,) = Folds(X, wanted, [split], search["columns"]).parts(choice.features)
    return {"split": split.name} | _outer(choice, found, part, search["threads"]) | _inner(found), found


def verdict_of(found: Comparison, level: float = LEVEL) -> str:
    """``helps`` or ``harms`` where interval and test agree that tuned and default differ, else ``noise``."""
    if np.isnan(found.low) or np.isnan(found.p_value) or found.p_value >= 1 - level or found.low <= 0 <= found.high:
        return NOISE
    return HELPS if found.difference > 0 else HARMS


def _outer(choice: Tunable, found: Tuned, part: Part, threads: int) -> dict[str, float]:
    """Metrics of default and tuned parameters on the outer test part."""
    measured = {DEFAULT: _measured(choice, {}, found, found.default_scores, part, threads)}
    measured[TUNED] = measured[DEFAULT]
    if found.parameters:
        measured[TUNED] = _measured(choice, found.parameters, found, found.scores, part, threads)
    return {f"{which}_{name}": value for which, values in measured.items() for name, value in values.items()}


def _measured(
    choice: Tunable, parameters: Mapping[str, Value], found: Tuned, scores: Floats | None, part: Part, threads: int
) -> dict[str, float]:
    """Fit on the outer training part, threshold from out-of-fold scores there, metrics on the outer test part."""
    with limited(threads):
        model = fitted_to(classifier_of(choice, parameters, found.seed, threads), part.learned, part.known)
        value, tested = targets.judged(model, part.judged, part.wanted, found.metric)
        if tested is None or scores is None:
            decisions = np.asarray(model.predict(part.judged)).astype(str)
            wanted = part.wanted
            several = {name: targets.of_classes(name, wanted.y, decisions, wanted.weight) for name in OF_CLASSES}
            return several | {found.metric: value}
    y, weight = part.wanted.y, part.wanted.weight
    known = ~np.isnan(scores)
    mass = None if part.known.weight is None else part.known.weight[known]
    threshold = BestF1().fit(scores[known], part.known.y[known], mass)
    return {
        "average_precision": metrics.average_precision(y, tested, weight),
        "roc_auc": metrics.roc_auc(y, tested, weight),
        "f1": metrics.f1(y, threshold.predict(tested), weight),
    } | ({} if found.metric in OF_VERDICTS else {found.metric: value})


def _inner(found: Tuned) -> dict[str, Any]:
    """What the search itself says."""
    return {
        "inner_default": found.default_score,
        "inner_best": found.score,
        "parameters": ", ".join(f"{name}={value}" for name, value in found.parameters.items()) or DEFAULT,
        "fits": found.fits,
        "seconds": found.seconds,
    }


def _metrics(binary: bool, tuned_for: str) -> list[str]:
    return list(dict.fromkeys([tuned_for, *(OF_VERDICTS if binary else OF_CLASSES)]))


def _summary(table: pl.DataFrame, names: Sequence[str], share: float) -> pl.DataFrame:
    """One row a metric: means, difference with interval, verdict."""
    lines = []
    for name in names:
        usual, found = (table[f"{which}_{name}"].to_numpy() for which in (DEFAULT, TUNED))
        compared = comparison.corrected_t_test(found, usual, share, metric=name, names=(TUNED, DEFAULT))
        means = float(np.nanmean(usual)), float(np.nanmean(found))
        limits = compared.difference, compared.low, compared.high, compared.p_value
        lines.append((name, *means, *limits, verdict_of(compared), compared.verdict))
    schema = SUMMARY | {"verdict": pl.String, "in words": pl.String}
    return pl.DataFrame(lines, schema=schema, orient="row")
