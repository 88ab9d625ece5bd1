"""Payloads of web requests: which family of attack, or none, under the published division of HttpParamsDataset.

The published division has payloads in its test part whose measured values stand in training, too, word for word
different but alike in all that is measured. So the same model is judged twice: on the whole test part, as a
reproduction, and on the part of it that has no equal in training.

A list of payloads says little about payloads of other sources; how far detection travels is measured by
:mod:`utils.detectors.payload_trials`.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl

from utils.classifiers import candidates
from utils.classifiers.protocols import trials
from utils.classifiers.protocols.outcome import Earlier, Outcome
from utils.datasets.contract import Dataset
from utils.errors import DataError
from utils.evaluation import splits
from utils.evaluation.splits import Split
from utils.features import tables
from utils.settings import Budget

NAME, TABLE, UNIT = "waf", "payloads", "payload"
PUBLISHED, APART = "families, published division", "families, published division without equals of training payloads"
FEWEST = 5
EARLIER = Earlier(how="clusters of events were learned, not attacks: no figure to compare")


def run(
    data: Mapping[str, Dataset], processed: Mapping[str, Dataset], budget: Budget, *, seed: int, threads: int
) -> Iterator[Outcome | str]:
    """Judge the candidate on families of attacks.

    Args:
        data: data sets by name; not used.
        processed: their processed tables.
        budget: says how many draws for the intervals.
        seed: of the model and the draws.
        threads: threads of the model.

    Yields:
        What was reached, or a sentence about what cannot be measured.
    """
    dataset = processed.get(NAME)
    if dataset is None or TABLE not in dataset.frames or dataset.roles[TABLE].anomaly_type is None:
        return
    frame, roles = dataset[TABLE], dataset.roles[TABLE]
    try:
        split = splits.published(frame, roles)
    except DataError as error:
        yield f"{NAME}, {PUBLISHED}: {error}"
        return
    columns = tables.measurable(frame, roles)
    kinds = frame[str(roles.anomaly_type)]
    split, rare = _common(split, kinds)
    if rare:
        yield f"{NAME}: families with fewer than {FEWEST} training payloads are left out: {', '.join(rare)}."
    chosen = candidates.of(NAME)
    pipeline = chosen.pipeline(columns, seed=seed, threads=threads)
    each, decided = trials.several_classes(pipeline, frame, kinds, [split])
    truth, called = decided[0]
    vectors = splits.distinct_rows(frame, columns)
    alone = ~np.isin(vectors[split.test], vectors[split.train])
    for name, kept in ((PUBLISHED, np.ones_like(alone)), (APART, alone)):
        if not kept.any():
            yield f"{NAME}, {name}: no test payload is left, so this is left out."
            continue
        known = truth.filter(pl.Series(kept)), called.filter(pl.Series(kept))
        estimates = trials.macro_estimates(*known, UNIT, budget.bootstrap, seed)
        found = {estimate.name: estimate.value for estimate in estimates}
        yield Outcome(
            table=(NAME, TABLE),
            name=name,
            model=chosen.name,
            unit=UNIT,
            divided="as published" if name == PUBLISHED else "as published, test payloads with an equal left out",
            threshold=trials.MOST_LIKELY,
            each=each.with_columns(
                pl.lit(int(kept.sum())).alias("test"), **{key: pl.lit(v) for key, v in found.items()}
            ),
            estimates=estimates,
            earlier=EARLIER,
            note=f"{1 - alone.mean():.1%} of the test payloads measure the same as a training payload",
        )


def _common(split: Split, kinds: pl.Series) -> tuple[Split, list[str]]:
    """Leave out families that training hardly has."""
    counts = kinds.gather(split.train).value_counts()
    common = counts.filter(pl.col("count") >= FEWEST)[kinds.name].to_list()
    rare = sorted(set(kinds.unique()) - set(common))
    kept = kinds.is_in(common).to_numpy()
    return Split(split.name, split.train[kept[split.train]], split.test[kept[split.test]]), rare
