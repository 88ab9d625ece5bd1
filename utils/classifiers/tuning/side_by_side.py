"""Ways of searching side by side: the same rows, folds and number of fits, judged once on rows that none has seen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from utils import settings
from utils.classifiers.spaces import Space, Value
from utils.classifiers.tuning import targets
from utils.classifiers.tuning.folds import Folds, Part, Tunable, classifier_of, fitted_to
from utils.classifiers.tuning.search import Tuned, share_folds, tune
from utils.classifiers.tuning.storages import Place
from utils.compute.threads import limited
from utils.errors import SettingsError
from utils.evaluation import comparison, intervals
from utils.evaluation.inputs import Floats, Values
from utils.evaluation.scoring import Table
from utils.evaluation.splits import Split

SEARCHES = ("random then grid", "random", "tpe")
DEFAULT = "default"
NUMBERS = ("inner", "test", "difference", "low", "high", "p_value", "seconds")


@dataclass(frozen=True, eq=False)
class SideBySide:
    """What several searches found.

    Attributes:
        metric: what was maximised.
        table: one row a search, the defaults first: ``search``, ``inner`` score in cross-validation, ``test`` score,
            ``difference`` to the defaults on the test rows with ``low`` to ``high`` and ``p_value`` (paired bootstrap
            over rows; none for decisions between two classes or with weights), ``fits``, ``seconds`` (CPU),
            ``parameters``; where studies are kept also ``workers``, trials ``retried`` because a worker was lost, and
            the place where they are ``kept``.
        searches: what each search found.
    """

    metric: str
    table: pl.DataFrame
    searches: Sequence[Tuned]

    def histories(self) -> pl.DataFrame:
        """The histories of all searches, with a column ``search``."""
        named = [found.history().with_columns(search=pl.lit(found.method)) for found in self.searches]
        return pl.concat(named).select("search", pl.exclude("search"))

    def results(self, prefix: str = "") -> dict[str, float]:
        """Numbers for the record of a run."""
        return {
            f"{prefix}{row['search'].replace(' ', '_')}_{name}": float(row[name])
            for row in self.table.iter_rows(named=True)
            for name in (*NUMBERS, "fits")
            if row[name] is not None and np.isfinite(row[name])
        }


def side_by_side(
    X: Table,
    y: Values,
    split: Split,
    choice: Tunable,
    *,
    searches: Sequence[str] = SEARCHES,
    trials: int = 20,
    folds: int = 3,
    metric: str | None = None,
    space: Space | None = None,
    stages: tuple[int, int, int] | None = None,
    groups: Values | None = None,
    weight: Values | None = None,
    columns: Sequence[str] | None = None,
    storage: Place | None = None,
    threads: int = 1,
    resamples: int = 200,
    seed: int = settings.SEED,
    progress: Callable[[str], object] | None = None,
) -> SideBySide:
    """Search the training part of a split in several ways, then look at its test part once for each.

    No trial is stopped early, so that every search has the same number of fits.

    Args:
        X: all rows (polars frame with named columns, or matrix of numbers).
        y: true for an anomaly, or the class of each row (n,).
        split: training rows, and test rows that no search sees.
        choice: what is tuned.
        searches: methods of :func:`utils.classifiers.tuning.tune`.
        trials: trials of each search; with ``stages``, their sum.
        folds: inner folds.
        metric: what is maximised.
        space: another space than the choice's own.
        stages: trials of the stages of ``"random then grid"``.
        groups: group of each row; none stands on both sides of a fold (n,).
        weight: how many rows each row stands for (n,).
        columns: columns of the frame to use; all of them if not given.
        storage: journal file or PostgreSQL URL in which the searches are kept and taken up again.
        threads: threads of a fit.
        resamples: bootstrap draws behind the intervals.
        seed: seed of folds, draws and classifiers.
        progress: told before each search.

    Raises:
        DataError: if labels are missing, the training rows cannot be divided into folds, or nothing could be fitted.
        SettingsError: if a setting means nothing, or no search is named.
    """
    if not searches:
        raise SettingsError("a comparison of searches needs one, found none: name some")
    wanted = targets.target(y, groups, weight, rows=len(X))
    inner, rows = wanted.take(split.train), X[split.train]
    shared = share_folds(
        rows, inner.y, folds=folds, groups=inner.groups, weight=inner.weight, columns=columns, seed=seed
    )
    number, found = sum(stages) if stages else trials, []
    for method in searches:
        if progress:
            progress(f"{choice.name}: {method}")
        found.append(
            tune(rows, inner.y, choice, method=method, trials=number, metric=metric, space=space, stages=stages,
                 prune=False, storage=storage, threads=threads, seed=seed, shared=shared)
        )  # fmt: skip
    (part,) = Folds(X, wanted, [split], columns).parts(choice.features)
    usual = _Outer.of(choice, {}, found[0], part, threads)
    lines = [(DEFAULT, found[0].default_score, usual.value, *[None] * 4, 0.0, 0, DEFAULT)]
    for one in found:
        outer = _Outer.of(choice, one.parameters, one, part, threads) if one.parameters else usual
        compared = _compared(outer, usual, part, one.metric, resamples, seed)
        shown = ", ".join(f"{name}={value}" for name, value in one.parameters.items()) or DEFAULT
        lines.append((one.method, one.score, outer.value, *compared, one.seconds, one.fits, shown))
    schema = {"search": pl.String} | dict.fromkeys(NUMBERS, pl.Float64) | {"fits": pl.Int64, "parameters": pl.String}
    table = pl.DataFrame(lines, schema=schema, orient="row")
    return SideBySide(found[0].metric, table.hstack(_kept(found)), tuple(found))


@dataclass(frozen=True, eq=False)
class _Outer:
    """What some parameters give on the test part: value of the metric, and scores or decisions."""

    value: float
    given: Floats

    @classmethod
    def of(cls, choice: Tunable, parameters: dict[str, Value], found: Tuned, part: Part, threads: int) -> "_Outer":
        with limited(threads):
            model = fitted_to(classifier_of(choice, parameters, found.seed, threads), part.learned, part.known)
            value, scores = targets.judged(model, part.judged, part.wanted, found.metric)
            return cls(value, np.asarray(model.predict(part.judged)) if scores is None else scores)


def _kept(found: Sequence[Tuned]) -> list[pl.Series]:
    """Who worked on the searches and where they are kept, below an empty line for the defaults; nothing in memory."""
    if all(one.kept is None for one in found):
        return []
    columns = {"workers": pl.Int64, "retried": pl.Int64, "kept": pl.String}
    return [pl.Series(name, [None, *(getattr(one, name) for one in found)], kind) for name, kind in columns.items()]


def _compared(
    tuned: _Outer, usual: _Outer, part: Part, metric: str, resamples: int, seed: int
) -> tuple[float, float, float, float]:
    """Difference to the defaults with its interval and p-value."""
    wanted = part.wanted
    if wanted.binary and metric in ("average_precision", "roc_auc"):
        made = comparison.paired_bootstrap(
            metric, wanted.y, tuned.given, usual.given, weight=wanted.weight, resamples=resamples, seed=seed
        )
        return made.difference, made.low, made.high, made.p_value
    if wanted.binary or wanted.weight is not None:
        return tuned.value - usual.value, np.nan, np.nan, np.nan
    first, second = (np.asarray(each.given).astype(str) for each in (tuned, usual))
    drawn = targets.class_differences(metric, wanted.y, first, second, resamples, seed)
    found = intervals.percentile(drawn, tuned.value - usual.value, intervals.LEVEL, "paired bootstrap")
    tail = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return tuned.value - usual.value, found.low, found.high, min(1.0, 2 * (tail + 1) / (drawn.size + 1))
