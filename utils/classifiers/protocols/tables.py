"""Any other labelled table, a user's own among them: the general candidate under the table's own division.

The threshold is chosen on out-of-fold scores of the training part; the test part is looked at once. Intervals are those
of one test part.
"""

from collections.abc import Iterator, Mapping

import polars as pl

from utils.classifiers import candidates
from utils.classifiers.protocols.outcome import Earlier, Outcome
from utils.classifiers.protocols.trials import Chance, OutOfFold
from utils.datasets.contract import Dataset, Roles
from utils.detectors.judging import detectable, label_of, labelled_tables
from utils.errors import LabError
from utils.evaluation import metrics
from utils.evaluation.inputs import Ints, codes
from utils.evaluation.splits import Split
from utils.features.tables import Table, weight_of
from utils.settings import Budget

OWN = "anomaly or not, own division"
METRICS = ("f1", "average_precision", "roc_auc", "accuracy")
SPECIAL = {("api", "graphs"), ("nsl_kdd", "connections"), ("cicids2017", "flows"), ("waf", "payloads")}
"""Tables that have protocols of their own."""


def run(
    data: Mapping[str, Dataset], processed: Mapping[str, Dataset], budget: Budget, *, seed: int, threads: int
) -> Iterator[Outcome | str]:
    """Judge the general candidate on each other labelled table.

    Args:
        data: data sets by name; not used.
        processed: processed tables.
        budget: says how many draws for the intervals, and how many rows a model may take.
        seed: of the models, the choice of thresholds and the draws.
        threads: threads of a model.

    Yields:
        What was reached, or a sentence about what cannot be measured.
    """
    for table, frame, roles, split in labelled_tables(processed):
        if table in SPECIAL:
            continue
        try:
            yield judged(table, frame, roles, split, budget, seed=seed, threads=threads)
        except LabError as error:
            yield f"{table[0]}, {table[1]}, {OWN}: {error}"


def judged(
    table: Table, frame: pl.DataFrame, roles: Roles, split: Split, budget: Budget, *, seed: int, threads: int
) -> Outcome:
    """Judge the general candidate on one table.

    Args:
        table: data set and table.
        frame: the table.
        roles: what its columns mean.
        split: labelled rows of both sides.
        budget: says how many draws for the intervals.
        seed: of the model, the choice of the threshold and the draws.
        threads: threads of the model.

    Raises:
        LabError: if too few rows, or no columns, are there to learn from.
    """
    chosen, label = candidates.of(table[0]), label_of(roles)
    pipeline = chosen.pipeline(detectable(frame, roles), seed=seed, threads=threads)
    train, test = frame[split.train], frame[split.test]
    mass = weight_of(test, roles)
    rule = OutOfFold(groups=_groups(train, roles), weight=weight_of(train, roles), seed=seed)
    threshold = rule(pipeline, train, train[label])
    scores = Chance(pipeline).fit(train, train[label]).score_samples(test)
    found = metrics.evaluate(
        test[label],
        scores,
        threshold=threshold,
        unit=roles.unit,
        weight=mass,
        resamples=budget.bootstrap,
        seed=seed,
    )
    estimates = tuple(one for name in METRICS for one in found if one.name == name)
    values = {one.name: one.value for one in estimates}
    sizes = {"split": split.name, "train": split.train.size, "test": split.test.size, "threshold": threshold.value_}
    return Outcome(
        table=table,
        name=OWN,
        model=chosen.name,
        unit=roles.unit,
        divided=f"the table's own division ({split.name})",
        threshold=str(rule),
        each=pl.DataFrame([{**sizes, **values}]),
        estimates=estimates,
        earlier=Earlier(),
        note="equal rows count once where models learn, and as often as they are where they are judged"
        if mass is not None
        else "",
    )


def _groups(train: pl.DataFrame, roles: Roles) -> Ints | None:
    return codes(train[roles.group]) if roles.group else None
