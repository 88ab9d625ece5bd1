"""Protocols: how rows are made distinct, divided and judged for each data set, and what the candidates reach there.

A protocol is fixed before anything is measured. Training rows choose the threshold; test rows are looked at once a
recipe. Rows that are equal in all features never stand on both sides, unless a protocol is a reproduction and says so.

```python
from utils import settings
from utils.classifiers import protocols

found = protocols.run(data, processed, settings.budget("full"))
found.table, found.left_out
```

| module | data set | asked |
|---|---|---|
| :mod:`~utils.classifiers.protocols.api` | api | outlier or not: nine published features, all features of the graphs |
| :mod:`~utils.classifiers.protocols.nsl_kdd` | nsl_kdd | attack or not, published division over several splits |
| :mod:`~utils.classifiers.protocols.cicids2017` | cicids2017 | sixteen classes at random and by time, attack or not |
| :mod:`~utils.classifiers.protocols.waf` | waf | family of a payload, published division |
| :mod:`~utils.classifiers.protocols.tables` | any other | anomaly or not, the table's own division |

The recipes were fixed on divisions with other seeds than those that judge; see :mod:`utils.classifiers.candidates`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from utils import settings
from utils.classifiers.protocols import api, cicids2017, nsl_kdd, tables, waf
from utils.classifiers.protocols.outcome import Earlier, Outcome, Results
from utils.datasets.contract import Dataset
from utils.detectors.judging import Report
from utils.errors import LabError
from utils.settings import Budget

__all__ = ["Earlier", "Outcome", "Results", "run"]

MODULES = (api, nsl_kdd, cicids2017, waf, tables)


def run(
    data: Mapping[str, Dataset],
    processed: Mapping[str, Dataset],
    budget: Budget | str = "fast",
    *,
    seed: int = settings.SEED,
    threads: int = 1,
    report: Report | None = None,
) -> Results:
    """Judge the candidate of each data set that is at hand under its protocols.

    Args:
        data: data sets by name, as :func:`utils.datasets.load_all` gives them.
        processed: their processed tables, by the same names.
        budget: how many splits, and how many draws behind an interval of one split.
        seed: of the models and of the choice of thresholds. Splits have seeds of their own, 0, 1, ..., so that figures
            of different models can be paired.
        threads: threads of a model.
        report: told each sentence as soon as it is known.

    Returns:
        What was reached, and sentences about what could not be measured.

    Raises:
        SettingsError: if there is no such budget.
    """
    limits = settings.budget(budget) if isinstance(budget, str) else budget
    outcomes: list[Outcome] = []
    left_out: list[str] = []
    for found in _found(data, processed, limits, seed, threads):
        if isinstance(found, str):
            left_out.append(found)
        else:
            outcomes.append(_compared(found, processed[found.table[0]]))
        if report:
            report(found if isinstance(found, str) else found.sentence)
    return Results(tuple(outcomes), tuple(left_out))


def _compared(found: Outcome, dataset: Dataset) -> Outcome:
    """Set nothing beside simulated rows: what was published is about others."""
    return found if dataset.source == "real" else replace(found, earlier=Earlier())


def _found(
    data: Mapping[str, Dataset], processed: Mapping[str, Dataset], budget: Budget, seed: int, threads: int
) -> Iterator[Outcome | str]:
    """Go through the protocols; what one of them cannot do is a sentence and stops no other."""
    for module in MODULES:
        try:
            yield from module.run(data, processed, budget, seed=seed, threads=threads)
        except LabError as error:
            yield str(error)
