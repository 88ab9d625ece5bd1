"""A published experiment done again: three representations of NSL-KDD, a random forest and a network on each.

Published: the 25,192 connections of the 20 % training file, one division (:mod:`utils.detectors.published.nsl_kdd`),
50 columns by importance, 50 principal components, 25 codes of an autoencoder; accuracy on the test part. One number
each says nothing about luck: here every step is done with several seeds, and the published number is compared with
their spread. The autoencoder was published with the test part as validation data; ours never sees it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from utils import compute
from utils.classifiers.representations.codes import AutoencoderCodes
from utils.classifiers.representations.components import PrincipalComponents
from utils.classifiers.representations.importance import TopImportance
from utils.classifiers.representations.trials import ALL, CODES, COMPONENTS, FOREST, IMPORTANCE, NETWORK
from utils.compute.threads import limited
from utils.datasets.contract import Dataset
from utils.detectors.published.nsl_kdd import FRAME, HEAD, PUBLISHED_SEED, Connections, connections
from utils.detectors.published.reproduction import NOT_COMPARABLE, NOT_PUBLISHED
from utils.evaluation import metrics
from utils.evaluation.inputs import Floats
from utils.evaluation.intervals import LEVEL, tails, wilson
from utils.features.tables import Table

PUBLISHED = {
    (FOREST, IMPORTANCE): "99.74",
    (FOREST, COMPONENTS): "99.46",
    (FOREST, CODES): "99.42",
    (NETWORK, IMPORTANCE): "99.52",
    (NETWORK, COMPONENTS): "99.38",
    (NETWORK, CODES): "98.91",
}
"""Accuracy in per cent as it was printed."""
SIZES = {IMPORTANCE: 50, COMPONENTS: 50, CODES: 25}
LAYOUT, EPOCHS, RATE = (64, 32), 100, 1e-3
"""Of the network; published are the 100 epochs, the others are the usual defaults."""
TREES = 100
SAME, OF_SEEDS, OF_ROWS, OUTSIDE = (
    "equal as printed",
    "within the noise of seeds",
    "within the noise of the test rows",
    "outside",
)
SCHEMA = {
    **dict.fromkeys(("model", "representation"), pl.String),
    "size": pl.Int64,
    **dict.fromkeys(("published", "accuracy", "least", "most", "low", "high", "errors"), pl.Float64),
    "agreement": pl.String,
}


@dataclass(frozen=True, eq=False)
class Replay:
    """The published numbers beside ours.

    Attributes:
        table: one row a model and representation: ``published`` accuracy (%), ours (%): mean ``accuracy`` over the
            seeds, ``least`` and ``most``; ``low`` and ``high`` between which one more seed would lie in 95 % of cases;
            mean number of ``errors``; and how both agree in words.
        each: one row a model, representation and seed: ``accuracy`` in 0..1.
        comparable: whether these are the published rows.
        rows: rows of the test part.
    """

    table: pl.DataFrame
    each: pl.DataFrame
    comparable: bool
    rows: int

    @property
    def summary(self) -> str:
        """How many of the published numbers come out again, in one sentence."""
        compared = self.table.drop_nulls("published")
        if not compared.height:
            return "The published rows are not at hand, so numbers are not compared."
        counts = {words: compared.filter(agreement=words).height for words in (SAME, OF_SEEDS, OF_ROWS, OUTSIDE)}
        found = ", ".join(f"{count} {words}" for words, count in counts.items() if count)
        return f"Of {compared.height} published numbers {found}."


def replay(
    dataset: Dataset,
    seeds: Sequence[int] = (PUBLISHED_SEED,),
    *,
    layout: Sequence[int] = LAYOUT,
    epochs: int = EPOCHS,
    workers: int = 1,
) -> Replay:
    """Do the experiment again with several seeds, always on the published division.

    Args:
        dataset: NSL-KDD, real or simulated.
        seeds: of forests, networks and the autoencoder.
        layout: units of the hidden layers of the classifying network.
        epochs: of that network.
        workers: processes of this machine that work on seeds side by side; results do not depend on it.

    Raises:
        SchemaError: if the data set has no such connections.
        DataError: if there are fewer than 100, or one class only.
    """
    split = connections(dataset)
    jobs = [(split, seed, tuple(layout), epochs) for seed in seeds]
    rows = [row for found in compute.each(_with_seed, jobs, workers=workers) for row in found]
    each = pl.DataFrame(rows, schema=["model", "representation", "size", "seed", "accuracy"], orient="row")
    tested = len(split.y_test)
    keys = ("model", "representation", "size")
    table = [
        _row((str(model), str(name), int(str(size))), part["accuracy"].to_numpy(), tested, split.comparable)
        for (model, name, size), part in each.group_by(keys, maintain_order=True)
    ]
    return Replay(pl.DataFrame(table, schema=SCHEMA, orient="row"), each, split.comparable, tested)


def results(again: Replay) -> dict[str, float]:
    """Mean accuracies for the record of a run, in 0..1."""
    return {
        f"published_split_{model}_{name}_accuracy".replace(" ", "_"): accuracy / 100
        for model, name, accuracy in again.table.select("model", "representation", "accuracy").iter_rows()
    }


def published_rows(data: Mapping[str, Dataset], processed: Mapping[str, Dataset]) -> dict[Table, pl.Series]:
    """Masks of the rows of the published file, for processed tables of the same rows; none if there are no such."""
    return {
        (name, FRAME): dataset[FRAME][HEAD]
        for name, dataset in data.items()
        if FRAME in dataset.frames and HEAD in dataset[FRAME].columns
        if name in processed and FRAME in processed[name].frames
        if processed[name][FRAME].height == dataset[FRAME].height
    }


@limited(1)
def _with_seed(split: Connections, seed: int, layout: tuple[int, ...], epochs: int) -> list[tuple[Any, ...]]:
    """Accuracy of both models on each representation."""
    found = []
    for name, size, transformer in _representations(split, seed):
        train = split.train if transformer is None else transformer.transform(split.train)
        test = split.test if transformer is None else transformer.transform(split.test)
        for model, classifier in _classifiers(seed, layout, epochs).items():
            decisions = classifier.fit(train, split.y_train).predict(test)
            found.append((model, name, size, seed, metrics.accuracy(split.y_test, decisions)))
    return sorted(found, key=lambda row: row[0] != FOREST)


def _representations(split: Connections, seed: int) -> list[tuple[str, int, Any]]:
    """Name, size and what was fitted on the training part; nothing to fit for all features."""
    columns = split.train.shape[1]
    size = {name: min(wanted, columns) for name, wanted in SIZES.items()}
    return [
        (ALL, columns, None),
        (IMPORTANCE, size[IMPORTANCE], TopImportance(size[IMPORTANCE], seed=seed).fit(split.train, split.y_train)),
        (COMPONENTS, size[COMPONENTS], PrincipalComponents(size[COMPONENTS]).fit(split.train)),
        (CODES, size[CODES], AutoencoderCodes(size[CODES], seed=seed).fit(split.train)),
    ]


def _classifiers(seed: int, layout: tuple[int, ...], epochs: int) -> dict[str, Any]:
    from sklearn.ensemble import RandomForestClassifier

    from utils.classifiers.dense import DenseClassifier

    return {
        FOREST: RandomForestClassifier(TREES, random_state=seed),
        NETWORK: DenseClassifier(layout, epochs=epochs, patience=epochs, learning_rate=RATE, seed=seed),
    }


def _row(key: tuple[str, str, int], shares: Floats, tested: int, comparable: bool) -> tuple[Any, ...]:
    mean = float(shares.mean())
    half = prediction_half_width(shares)
    printed = PUBLISHED.get(key[:2])
    numbers = [100 * value for value in (mean, shares.min(), shares.max(), mean - half, min(mean + half, 1.0))]
    published = float(printed) if printed and comparable else None
    return (*key, published, *numbers, (1 - mean) * tested, _agreement(printed, shares, half, tested, comparable))


def prediction_half_width(values: Floats) -> float:
    """Half width of the interval in which one more value would lie in 95 % of cases; 0 for one value.

    Source:
        Hahn and Meeker, "Statistical Intervals", 1991: prediction interval for a normal population.
    """
    from scipy import stats

    if values.size < 2:
        return 0.0
    factor = stats.t.ppf(tails(LEVEL)[1], values.size - 1) * np.sqrt(1 + 1 / values.size)
    return float(factor * values.std(ddof=1))


def _agreement(printed: str | None, shares: Floats, half: float, tested: int, comparable: bool) -> str:
    """How a published accuracy agrees with those of several seeds."""
    if printed is None:
        return NOT_PUBLISHED
    if not comparable:
        return NOT_COMPARABLE
    decimals = len(printed.partition(".")[2])
    if any(f"{100 * share:.{decimals}f}" == printed for share in shares.tolist()):
        return SAME
    published, rounding = float(printed) / 100, 0.5 * 10.0 ** -(decimals + 2)
    if abs(published - shares.mean()) <= half + rounding:
        return OF_SEEDS
    chance = wilson(float(shares.mean()) * tested, tested)
    return OF_ROWS if chance.low <= published <= chance.high else OUTSIDE
