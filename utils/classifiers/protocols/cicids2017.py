"""CICIDS2017: sixteen classes, and attack or not, on distinct flows.

Flows with the same measured values are one flow here, the first one seen, with its most frequent class: two scans in
five are copies, and a model that has them in training is asked what it was told. It is done before the division.

*At random* asks for more of the same days. *By time within class* learns each class's first seven tenths and judges by
the rest, so that the end of an attack is told from its beginning; across classes it is no forecast. Attacks of a kind
never seen are another question (:mod:`utils.detectors.recipes_days`).

Neither ports nor addresses are inputs. Classes with fewer than five distinct flows are left out.
"""

from collections.abc import Iterator, Mapping

import polars as pl

from utils import settings
from utils.classifiers import candidates
from utils.classifiers.candidates import Candidate
from utils.classifiers.imbalance import natural_shares
from utils.classifiers.protocols import trials
from utils.classifiers.protocols.outcome import Earlier, Outcome, means
from utils.datasets import require
from utils.datasets.cicids2017 import NATURAL_COUNTS, TIME, VECTOR
from utils.datasets.contract import ANOMALY_TYPE, NORMAL, Dataset
from utils.errors import DataError
from utils.evaluation import splits
from utils.evaluation.estimates import Estimate
from utils.evaluation.inputs import Values
from utils.evaluation.shares import reweight
from utils.evaluation.splits import Split
from utils.settings import Budget

NAME, TABLE, UNIT = "cicids2017", "flows", "flow"
TEST_SHARE, LATER_SHARE = 0.2, 0.3
FEWEST = 5
RANDOM, BY_TIME, BINARY = "classes, at random", "classes, by time within class", "attack or not, at random"
NATURAL = "natural_shares"
EARLIER = {
    RANDOM: Earlier(how="attack or not only"),
    BY_TIME: Earlier(how="attack or not only"),
    BINARY: Earlier(
        {"f1": 0.9967, "accuracy": 0.999}, "XGBoost of 20 trials, one split of all 2.2 million distinct flows"
    ),
}


def run(
    data: Mapping[str, Dataset], processed: Mapping[str, Dataset], budget: Budget, *, seed: int, threads: int
) -> Iterator[Outcome | str]:
    """Judge the candidates on classes, at random and by time, and on attack or not.

    Args:
        data: data sets by name.
        processed: their processed tables, rows in the same order.
        budget: says how many splits, and how many draws for the interval of the one split by time.
        seed: of the models; the splits are the same whatever it is.
        threads: threads of a model.

    Yields:
        What was reached, or a sentence about what cannot be measured.
    """
    dataset = processed.get(NAME)
    if dataset is None or NAME not in data or TABLE not in dataset.frames:
        return
    frame, left_out = distinct_flows(data[NAME][TABLE], dataset)
    columns = list(dataset.roles[TABLE].features)
    if left_out:
        yield f"{NAME}: classes with fewer than {FEWEST} distinct flows are left out: {', '.join(left_out)}."
    yield attacks(frame, columns, budget.repeats, seed=seed, threads=threads)
    yield classes(frame, columns, budget.repeats, seed=seed, threads=threads)
    try:
        yield by_time(frame, columns, budget.bootstrap, seed=seed, threads=threads)
    except DataError as error:
        yield f"{NAME}, {BY_TIME}: {error}"


def distinct_flows(flows: pl.DataFrame, dataset: Dataset) -> tuple[pl.DataFrame, list[str]]:
    """Keep the first of equal flows, with the most frequent class of them.

    Args:
        flows: as they were loaded, with their times.
        dataset: the processed tables, rows in the same order.

    Returns:
        Features, ``anomaly_type`` and time in the order of time; and the names of classes that are left out.

    Raises:
        SchemaError: if the class or the time is missing.
    """
    roles = dataset.roles[TABLE]
    require.columns(dataset[TABLE], [ANOMALY_TYPE], "the table of flows")
    require.columns(flows, [TIME], "the flows")
    vector = pl.Series(VECTOR, splits.distinct_rows(dataset[TABLE], roles.features))
    rows = dataset[TABLE].select(*roles.features, ANOMALY_TYPE).with_columns(flows[TIME], vector)
    kinds = rows.group_by(VECTOR, ANOMALY_TYPE).len().sort("len", ANOMALY_TYPE, descending=[True, False])
    kind = kinds.unique(VECTOR, keep="first", maintain_order=True).select(VECTOR, ANOMALY_TYPE)
    first = rows.sort(TIME, maintain_order=True).unique(VECTOR, keep="first", maintain_order=True)
    found = first.drop(ANOMALY_TYPE).join(kind, on=VECTOR, how="left", maintain_order="left").drop(VECTOR)
    counts = found[ANOMALY_TYPE].value_counts().sort(ANOMALY_TYPE)
    rare = counts.filter(pl.col("count") < FEWEST)[ANOMALY_TYPE].to_list()
    return found.filter(~pl.col(ANOMALY_TYPE).is_in(rare)), rare


def classes(
    frame: pl.DataFrame,
    columns: list[str],
    repeats: int,
    *,
    candidate: Candidate | None = None,
    first: int = 0,
    seed: int = settings.SEED,
    threads: int = 1,
) -> Outcome:
    """Judge a candidate on all classes, divided at random.

    Args:
        frame: of :func:`distinct_flows`.
        columns: the features to take.
        repeats: number of splits.
        candidate: what is judged; that of the data set if not given.
        first: seed of the first split; the next ones follow.
        seed: of the model.
        threads: threads of the model.
    """
    chosen = candidate or candidates.of(NAME)
    kinds = frame[ANOMALY_TYPE]
    divisions = (splits.stratified(kinds, TEST_SHARE, first + k) for k in range(repeats))
    each, decided = trials.several_classes(
        chosen.pipeline(columns, seed=seed, threads=threads), frame, kinds, divisions
    )
    estimates = means(each, ("macro_f1", "accuracy"), UNIT, trials.MOST_LIKELY)
    return _outcome(RANDOM, chosen, each, estimates, trials.MOST_LIKELY, kinds, _weak(decided))


def by_time(
    frame: pl.DataFrame,
    columns: list[str],
    resamples: int,
    *,
    candidate: Candidate | None = None,
    seed: int = settings.SEED,
    threads: int = 1,
) -> Outcome:
    """Judge a candidate on the latest flows of each class (arguments as :func:`classes`).

    Args:
        frame: of :func:`distinct_flows`.
        columns: the features to take.
        resamples: draws for the interval.
        candidate: what is judged.
        seed: of the model and the draws.
        threads: threads of the model.

    Raises:
        DataError: if a class has one time only.
    """
    chosen = candidate or candidates.of(NAME)
    kinds = frame[ANOMALY_TYPE]
    split = splits.by_time(frame[TIME], LATER_SHARE, within=kinds)
    pipeline = chosen.pipeline(columns, seed=seed, threads=threads)
    each, decided = trials.several_classes(pipeline, frame, kinds, [split])
    estimates = trials.macro_estimates(*decided[0], UNIT, resamples, seed)
    return _outcome(BY_TIME, chosen, each, estimates, trials.MOST_LIKELY, kinds, _weak(decided))


def attacks(
    frame: pl.DataFrame,
    columns: list[str],
    repeats: int,
    *,
    candidate: Candidate | None = None,
    first: int = 0,
    seed: int = settings.SEED,
    threads: int = 1,
) -> Outcome:
    """Judge a candidate on attack or not, as sampled and weighed back to the natural shares of the classes.

    The natural shares are known only for the classes of the data set; others keep the share that they have.
    Arguments as :func:`classes`.
    """
    chosen = candidate or candidates.of(NAME, binary=True)
    kinds = frame[ANOMALY_TYPE]

    def weights(split: Split) -> dict[str, Values]:
        return {NATURAL: natural_weights(kinds.gather(split.test))} if _known(kinds) else {}

    each = trials.two_classes(
        chosen.pipeline(columns, seed=seed, threads=threads),
        frame,
        kinds != NORMAL,
        (splits.stratified(kinds, TEST_SHARE, first + k) for k in range(repeats)),
        lambda split: trials.half,
        weights,
    )
    shown = [name for name in ("f1", f"f1_at_{NATURAL}", "accuracy", "roc_auc") if name in each.columns]
    estimates = means(each, shown, UNIT, trials.HALF)
    return _outcome(BINARY, chosen, each, estimates, trials.HALF, kinds, "")


def natural_weights(kinds: pl.Series) -> Values:
    """Weights under which classes have the shares of the whole edition, of those that are there.

    Args:
        kinds: class of each row, ``"normal"`` for normal ones (n,).
    """
    return reweight(kinds, natural_shares(kinds))


def _known(kinds: pl.Series) -> bool:
    return set(kinds.unique()) - {NORMAL} <= set(NATURAL_COUNTS)


def _weak(decided: list[tuple[pl.Series, pl.Series]]) -> str:
    worst = trials.class_table(decided).head(3)
    told = (
        f"{name} (F1 {f1:.3f}, {rows:,} test rows)" for name, rows, f1 in worst.select("class", "rows", "f1").rows()
    )
    return f"weakest classes over all splits: {', '.join(told)}"


def _outcome(
    name: str,
    chosen: Candidate,
    each: pl.DataFrame,
    estimates: tuple[Estimate, ...],
    threshold: str,
    kinds: pl.Series,
    note: str,
) -> Outcome:
    later = f"first {1 - LATER_SHARE:.0%} by time within class"
    how = later if name == BY_TIME else f"{1 - TEST_SHARE:.0%} at random within class"
    return Outcome(
        table=(NAME, TABLE),
        name=f"{kinds.n_unique()} {name}" if name != BINARY else name,
        model=chosen.name,
        unit=UNIT,
        divided=f"distinct feature vectors, {how}",
        threshold=threshold,
        each=each,
        estimates=estimates,
        earlier=EARLIER[name],
        note=note,
    )
