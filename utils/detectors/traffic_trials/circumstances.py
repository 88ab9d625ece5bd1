"""The same detectors under other circumstances: networks of other sizes, and a past that nobody has cleaned."""

from collections.abc import Mapping, Sequence

import polars as pl

from utils import settings
from utils.datasets.contract import Dataset
from utils.detectors.traffic_trials.candidates import COMBINED, PUBLISHED, PUBLISHED_K
from utils.detectors.traffic_trials.tables import SIMULATED, WEEKS, prepare
from utils.detectors.traffic_trials.trial import run

SHOWN = (PUBLISHED_K, COMBINED)


def circumstances(
    data: Mapping[str, Dataset],
    hosts: Sequence[int] = (8, 24),
    *,
    usual: int = 24,
    weeks: int = WEEKS,
    resamples: int = 200,
    seed: int = settings.SEED,
) -> pl.DataFrame:
    """Run the published rule and the combination on simulated networks of several sizes, labelled past or not.

    Args:
        data: data sets by name; nothing is done without the simulated network.
        hosts: hosts of the networks that learn from a past without anomalies.
        usual: hosts of the network that learns from the past as it was, anomalies included.
        weeks: weeks that each network runs.
        resamples: bootstrap draws of intervals.
        seed: of the simulations; the same for all.

    Returns:
        One row a network and detector: ``hosts``, ``past`` (``"cleaned"`` or ``"as it was"``), ``rows`` (judged),
        ``detector``, ``f1``, ``low``, ``high``, ``precision``, ``recall``, ``real``.
    """
    found = []
    wanted = [(size, False) for size in hosts] + [(usual, True)]
    for size, unlabelled in wanted if SIMULATED in data else []:
        made, _ = prepare({SIMULATED: data[SIMULATED]}, weeks=weeks, hosts=size, unlabelled=unlabelled, seed=seed)
        trial = run(made[SIMULATED], labels=False, only=(PUBLISHED, COMBINED), resamples=resamples, seed=seed)
        columns = ("detector", "f1", "low", "high", "precision", "recall", "real")
        past = "as it was" if unlabelled else "cleaned"
        about = [pl.lit(size).alias("hosts"), pl.lit(past).alias("past"), pl.lit(trial.judged.height).alias("rows")]
        found.append(trial.board.filter(pl.col("detector").is_in(SHOWN)).select(*about, *columns))
    return pl.concat(found) if found else pl.DataFrame()
