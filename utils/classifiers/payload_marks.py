"""What the champion of payloads learns from: marks of attacks in texts of many sources, not the traits of one list.

Labelled payloads of one list teach what this list is like: its benign values are single form fields, so that a
classifier of their traits calls every text with a quote or a date an attack, and nothing on the published test part
says so. The champion therefore learns from the training payloads together with simulated variety
(:mod:`utils.detectors.payloads.training`), sees the marks of :class:`utils.detectors.payloads.MarkReader` alone, and
takes its threshold from benign look-alikes whose kind the scoring model had not seen.

The candidate was chosen on forms and kinds of texts held out of training, at a twentieth of the look-alikes: logistic
regression recalls .77 (remote files) to 1.00 of each family, half of the families .97 or more; LightGBM .79 to 1.00,
half of them .96 or more, at ten times the cost and with less than logistic regression where a family has few texts.
"""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from utils.classifiers import zoo
from utils.classifiers.candidates import Candidate
from utils.datasets.contract import Dataset, Roles
from utils.detectors.payloads import MarkReader, has_payloads, training_set
from utils.detectors.payloads.training import PAYLOADS, SMALL, VARIETY, TrainingSet
from utils.evaluation.inputs import Floats
from utils.evaluation.splits import Split, published
from utils.evaluation.thresholds import AlarmRate, Fixed
from utils.features.tables import WEIGHT

RATE = 0.05
"""Share of benign look-alikes of a kind that training has not seen which may be called attacks."""

LOOK_ALIKES = "look-alikes"
"""The rule of a champion whose threshold is chosen on them."""

LOOK_ALIKE, KIN = "look_alike", "kin"
CANDIDATE = Candidate(
    "logistic regression on marks",
    lambda seed, threads: zoo.choice("logistic regression").classifier(seed, threads),
    "each mark of an attack has one weight, which holds where a text of another source shows known marks in a new "
    "combination; traits of the list at hand would not",
    zoo.STANDARD,
)


def applies(dataset: Dataset | None, table: str) -> bool:
    """Whether a champion of this table is to learn from marks."""
    return dataset is not None and table == PAYLOADS and has_payloads(dataset)


def of_payloads(dataset: Dataset, most: int, *, seed: int) -> tuple[pl.DataFrame, Roles, Split]:
    """Make the table of marks: what training gives with simulated variety, then the test part.

    Args:
        dataset: with labelled payloads (see :func:`applies`).
        most: texts that will be learned from at most; where they are few, little is simulated.
        seed: of what is simulated.

    Returns:
        One row a text: ``payload``, label, family, side, ``kin`` (texts of one kind or form), ``look_alike`` (benign
        text that looks like an attack), weight, and a column a mark; what the columns mean; the sides.
    """
    roles, reader = dataset.roles[PAYLOADS], MarkReader()
    label, kind = str(roles.label), str(roles.anomaly_type)
    learned = training_set(dataset, seed, **(SMALL if most < VARIETY else {}))
    given = _given(learned, label, kind)
    tested = dataset[PAYLOADS].filter(pl.col("split") == "test").drop_nulls(["payload", label])
    judged = tested.select(
        *("payload", label, kind, "split"),
        pl.format("test {}", pl.int_range(pl.len())).alias(KIN),
        pl.lit(value=False).alias(LOOK_ALIKE),
        pl.lit(1.0).alias(WEIGHT),
    )
    alike = judged.select(pl.col(name).cast(dtype) for name, dtype in given.schema.items())
    frame = reader.read(pl.concat([given, alike]))
    meaning = replace(
        _meaning(roles.unit, label, kind, reader.names), notes={"split": f"drawn from {learned.note.rstrip('.')}"}
    )
    return frame, meaning, published(frame, meaning)


def threshold(train: pl.DataFrame, scores: Floats) -> dict[str, Fixed]:
    """The threshold that a share of the look-alikes reaches, each scored by a model that has not seen its kind.

    Args:
        train: training rows (n rows).
        scores: of models that had not seen them (n,).

    Returns:
        The threshold by its rule; none where rows are no texts with look-alikes among them.
    """
    if LOOK_ALIKE not in train.columns or not train[LOOK_ALIKE].any():
        return {}
    alike = scores[train[LOOK_ALIKE].to_numpy()]
    value = AlarmRate(RATE).fit(alike).value_
    return {LOOK_ALIKES: Fixed(value, f"{RATE:.0%} of {len(alike):,} benign look-alikes of kinds left out of training")}


def _given(texts: TrainingSet, label: str, kind: str) -> pl.DataFrame:
    """The training side: keys of each text."""
    return pl.DataFrame(
        {
            "payload": texts.texts,
            label: texts.attack,
            kind: texts.families,
            "split": ["train"] * len(texts.texts),
            KIN: texts.kin,
            LOOK_ALIKE: texts.hard,
            WEIGHT: texts.weight,
        }
    )


def _meaning(unit: str, label: str, kind: str, features: Sequence[str]) -> Roles:
    withheld = {
        "payload": "the text itself",
        KIN: "says where a text comes from",
        LOOK_ALIKE: "says how a text was made",
        WEIGHT: "how much a text counts",
    }
    return Roles(
        unit=unit, label=label, anomaly_type=kind, features=tuple(features), group=KIN, split="split", withheld=withheld
    )
