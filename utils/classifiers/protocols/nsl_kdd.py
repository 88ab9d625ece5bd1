"""NSL-KDD, the published division: the 20 % training file, 80/20 at random.

It says how well a model tells connections of ONE recording apart; attacks that training never saw are another question
(:mod:`utils.detectors.new_attack_trials`), and there the same accuracy falls to four fifths. The file has one pair of
equal connections, of which one is called an attack and one normal.

Published: a random forest on the fifty most important columns, 99.74 % on one split (seed 42). A reproduction of that
split stands apart from the mean over splits: it is one of the harder ones.

Two thresholds are told side by side, each the same for all splits as a rule: the one with the fewest errors to be
expected, from scores of training rows out of fold (``accuracy``), and 0.5, which needs no choice
(``accuracy_at_half``).
"""

from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from utils import settings
from utils.classifiers import candidates
from utils.classifiers.candidates import Candidate
from utils.classifiers.protocols import trials
from utils.classifiers.protocols.outcome import Earlier, Outcome, means
from utils.classifiers.protocols.trials import OutOfFold, SmoothErrors
from utils.datasets.contract import LABEL, Dataset
from utils.detectors.published.nsl_kdd import FRAME, HEAD, PUBLISHED_SEED, TEST_SHARE, divided
from utils.evaluation.splits import Split
from utils.settings import Budget

NAME, UNIT = "nsl_kdd", "connection"
RANDOM, REPRODUCTION = "published division, several splits", "published split (reproduction)"
METRICS = ("accuracy", "accuracy_at_half", "f1", "roc_auc")
EARLIER = {
    RANDOM: Earlier(how="published on one split only"),
    REPRODUCTION: Earlier({"accuracy": 0.9974}, "random forest on the fifty most important columns, the same split"),
}


def run(
    data: Mapping[str, Dataset], processed: Mapping[str, Dataset], budget: Budget, *, seed: int, threads: int
) -> Iterator[Outcome | str]:
    """Judge the candidate on several divisions, and on the published one.

    Args:
        data: data sets by name.
        processed: their processed tables, rows in the same order.
        budget: says how many splits.
        seed: of the models; the splits are the same whatever it is.
        threads: threads of a model.

    Yields:
        What was reached, or a sentence about what cannot be measured.
    """
    dataset = processed.get(NAME)
    if dataset is None or NAME not in data or FRAME not in dataset.frames:
        return
    whole = data[NAME][FRAME]
    if HEAD not in whole.columns:
        yield f"{NAME}, {RANDOM}: the column {HEAD} is missing, so this is left out."
        return
    frame = dataset[FRAME].filter(whole[HEAD])
    columns = list(dataset.roles[FRAME].features)
    for name, seeds in ((RANDOM, range(budget.repeats)), (REPRODUCTION, [PUBLISHED_SEED])):
        yield judged(frame, columns, name, seeds, seed=seed, threads=threads)


def judged(
    frame: pl.DataFrame,
    columns: Sequence[str],
    name: str,
    seeds: Sequence[int],
    *,
    candidate: Candidate | None = None,
    seed: int = settings.SEED,
    threads: int = 1,
) -> Outcome:
    """Judge a candidate on several splits.

    Args:
        frame: the published rows, with the label.
        columns: the features to take.
        name: of the protocol.
        seeds: of the splits.
        candidate: what is judged; that of the data set if not given.
        seed: of the model.
        threads: threads of the model.
    """
    chosen = candidate or candidates.of(NAME)
    pipeline = chosen.pipeline(columns, seed=seed, threads=threads)
    y, rule = frame[LABEL], OutOfFold(SmoothErrors(), seed=seed)
    each = trials.two_classes(
        pipeline, frame, y, (Split(f"seed {each}", *divided(y, each)) for each in seeds), lambda split: rule
    )
    return Outcome(
        table=(NAME, FRAME),
        name=name,
        model=chosen.name,
        unit=UNIT,
        divided=f"20 % training file, {1 - TEST_SHARE:.0%} at random within class, as published",
        threshold=str(rule),
        each=each,
        estimates=means(each, METRICS, UNIT, str(rule)),
        earlier=EARLIER[name],
        note="one pair of equal rows with different labels may stand on both sides",
    )
