"""The payload detector on kinds of text that it has not seen: held-out kinds, and the published test part."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from utils import settings
from utils.datasets.contract import NORMAL, Dataset
from utils.detectors.payloads import PayloadDetector, alarm_threshold, has_payloads, held_out_scores, training_set
from utils.detectors.payloads.training import SMALL
from utils.evaluation.intervals import wilson
from utils.evaluation.thresholds import AlarmRate

RATE = 0.05
UNSEEN, LOOK_ALIKES, TEST = "held-out forms and kinds", "benign look-alikes of held-out kinds", "published test part"

KEYS = {UNSEEN: "unseen", LOOK_ALIKES: "look_alikes", TEST: "test"}


@dataclass(frozen=True, eq=False)
class PayloadTrials:
    """What the detector reached.

    Attributes:
        table: one row a group of texts: ``judged by``, ``family`` (``normal`` for false alarms), ``texts``,
            ``attack`` (share called attack) with interval ``low`` and ``high``.
        detector: learned from the whole training set.
        threshold: chosen on benign look-alikes of kinds that their detector had not seen.
        note: what was learned from.
    """

    table: pl.DataFrame
    detector: PayloadDetector
    threshold: AlarmRate
    note: str

    @property
    def summary(self) -> str:
        """False alarms among look-alikes and the worst recall, in one sentence."""
        normal = self.table.filter(pl.col("judged by") == LOOK_ALIKES)
        attacks = self.table.filter((pl.col("judged by") == UNSEEN) & (pl.col("family") != NORMAL)).sort("attack")
        worst = f"worst recall of held-out forms {attacks['attack'][0]:.3f} ({attacks['family'][0]})"
        return f"False alarms on look-alikes of held-out kinds {normal['attack'][0]:.3f}, {worst}."

    @property
    def results(self) -> dict[str, float]:
        """Shares called attack, for the record of a run."""
        rows = self.table.select("judged by", "family", "attack").iter_rows()
        return {f"payloads_{KEYS[by]}_{family}": share for by, family, share in rows}


def run(data: Mapping[str, Dataset], *, seed: int = settings.SEED, small: bool = False) -> PayloadTrials | None:
    """Learn from labelled payloads and simulated variety, and judge by what was not learned from.

    Args:
        data: data sets by name; the first with a labelled frame ``payloads`` is learned from and judged.
        seed: of the variety and of the trees.
        small: whether little variety is simulated, for a quick look.

    Returns:
        What was reached; ``None`` if there is no such data set.
    """
    dataset = next((each for each in data.values() if has_payloads(each)), None)
    if dataset is None:
        return None
    given = training_set(dataset, seed, **(SMALL if small else {}))
    scores = held_out_scores(PayloadDetector(seed=seed), given, seed=seed)
    threshold = alarm_threshold(scores, given, RATE)
    detector = PayloadDetector(seed=seed).fit(given.texts, given.families, given.weight)
    called = pl.Series(threshold.predict(scores))
    families = given.table["family"]
    parts = [_shares(families.filter(~given.hard), called.filter(~given.hard), UNSEEN)]
    parts.append(_shares(families.filter(given.hard), called.filter(given.hard), LOOK_ALIKES))
    test = dataset["payloads"].filter(split="test")
    if test.height:
        kinds = test[dataset.roles["payloads"].anomaly_type or "anomaly_type"]
        parts.append(_shares(kinds, pl.Series(threshold.predict(detector.score_samples(test["payload"]))), TEST))
    return PayloadTrials(pl.concat(parts), detector, threshold, given.note)


def _shares(families: pl.Series, called: pl.Series, judged_by: str) -> pl.DataFrame:
    counted = (
        pl.DataFrame({"family": families, "called": called})
        .group_by("family")
        .agg(texts=pl.len().cast(pl.Int64), hits=pl.col("called").sum())
    )
    rows = []
    for family, texts, hits in counted.sort("family").iter_rows():
        interval = wilson(hits, texts)
        rows.append((judged_by, family, texts, hits / texts, interval.low, interval.high))
    return pl.DataFrame(rows, schema=["judged by", "family", "texts", "attack", "low", "high"], orient="row")
