"""What the payload detector learns from, and scores on which its threshold may be chosen.

Labelled payloads of one source teach the shortcuts of this source: in HttpParamsDataset benign values are form fields
and attacks come from four tools, so that a classifier calls every text with a quote or a keyword an attack. Simulated
traffic and simulated variety (:mod:`utils.simulate.payload_variety`) stand beside them. No payload of another source
is used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.base import clone

from utils.datasets.contract import ANOMALY_TYPE, NORMAL, Dataset
from utils.detectors.payloads.detector import PayloadDetector
from utils.errors import DataError, SchemaError
from utils.evaluation.thresholds import AlarmRate
from utils.features import tables
from utils.settings import SEED
from utils.simulate import payload_variety, waf

Floats = npt.NDArray[np.float64]
PAYLOADS = "payloads"
VARIETY, TRAFFIC = 30_000, 24_000
SMALL: Mapping[str, int] = MappingProxyType({"variety": 4_000, "traffic": 3_000})
"""Numbers of simulated texts for a quick look."""
REAL_WEIGHT = 0.4
"""Weight of payloads of the real set, which repeat few forms many times."""
FOLDS = 6
TINY = 1e-12
RATE = 0.05
"""Share of benign look-alikes of a kind that training has not seen which may be called attacks."""


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Texts with their families.

    Attributes:
        table: ``payload``, ``family`` (``"normal"`` or the attack family), ``kind`` (the kind of benign text or the
            family, with the source), ``form`` (alternative of the grammar, null if not of one) and ``weight``.
        source: ``"real"`` if labelled payloads of a real set are among them, else ``"simulated"``.
        note: in one sentence what the texts are.
    """

    table: pl.DataFrame
    source: str
    note: str

    @property
    def texts(self) -> pl.Series:
        """The texts, length n."""
        return self.table["payload"]

    @property
    def families(self) -> pl.Series:
        """The family of each, length n."""
        return self.table["family"]

    @property
    def kin(self) -> pl.Series:
        """What each text has in common with others, so that all of them stand in one fold: its kind or form, length n.

        A text of no form stands alone.
        """
        alone = pl.format("text {}", pl.int_range(pl.len()))
        common = pl.when(pl.col("family") == NORMAL).then("kind").otherwise(pl.coalesce("form", alone))
        return self.table.select(common.alias("kin")).to_series()

    @property
    def weight(self) -> Floats:
        """The weight of each, length n."""
        return self.table["weight"].to_numpy()

    @property
    def attack(self) -> npt.NDArray[np.bool_]:
        """True for attacks, length n."""
        return (self.families != NORMAL).to_numpy()

    @property
    def hard(self) -> npt.NDArray[np.bool_]:
        """True for benign texts that look like attacks, length n."""
        return self.table["kind"].is_in(payload_variety.KINDS).to_numpy()


def training_set(
    dataset: Dataset | None = None, seed: int = SEED, *, variety: int = VARIETY, traffic: int = TRAFFIC
) -> TrainingSet:
    """Join the training payloads of a data set with simulated traffic and simulated variety.

    Args:
        dataset: the ``waf`` data set, real or simulated; without it, or where it has no frame ``payloads``, simulated
            texts alone. Of its payloads those of the published training part are used.
        seed: seed of what is simulated.
        variety: texts of simulated variety, before repetitions are dropped.
        traffic: simulated events of a site; half as many payloads.

    Returns:
        Distinct texts with families, kinds and weights.

    Raises:
        DataError: if a number of texts is below 1.
        SchemaError: if the frame ``payloads`` lacks a column.
    """
    columns = ("payload", "family", "kind", "form")
    parts = [payload_variety.simulate(variety, seed).select(*columns, weight=pl.lit(1.0))]
    parts.append(_payloads(_as_loaded(waf.simulate(traffic, seed)[PAYLOADS]), "simulated", 1.0))
    real = dataset is not None and dataset.source == "real" and PAYLOADS in dataset.frames
    if dataset is not None and PAYLOADS in dataset.frames:
        parts.append(_payloads(dataset[PAYLOADS], dataset.source, REAL_WEIGHT if real else 1.0))
    table = _evened(pl.concat(parts).unique("payload", keep="first", maintain_order=True))
    attacks = table.filter(pl.col("family") != NORMAL).height
    what = f"training payloads of {dataset.name}, " if real and dataset is not None else ""
    note = f"{table.height:,} texts, {attacks:,} of them attacks: {what}simulated traffic and simulated variety."
    return TrainingSet(table, "real" if real else "simulated", note)


def has_payloads(dataset: Dataset) -> bool:
    """Whether a data set has labelled payloads of named families in a frame ``payloads``, divided into two sides."""
    if PAYLOADS not in dataset.frames:
        return False
    frame, roles = dataset[PAYLOADS], dataset.roles[PAYLOADS]
    wanted = {"payload", "split"} <= set(frame.columns)
    return wanted and bool(roles.label and roles.anomaly_type and tables.texts_of(frame, roles))


def held_out_scores(detector: PayloadDetector, data: TrainingSet, folds: int = FOLDS, seed: int = SEED) -> Floats:
    """Score every text by a detector that has not seen its like.

    Kinds of benign texts and forms of simulated attacks are divided among the folds as a whole, so that the scores are
    those of texts that nobody thought of; other attacks are divided one by one.

    Args:
        detector: settings; it is cloned, not fitted.
        data: the training set, n texts.
        folds: number of folds.
        seed: seed of the division.

    Returns:
        Scores, HIGHER is more abnormal, length n.

    Raises:
        DataError: if there are fewer than two folds.
    """
    if folds < 2:
        raise DataError(f"held-out scores need at least 2 folds, found {folds}: give more")
    fold = _folds(data, folds, seed)
    scores = np.zeros(len(fold))
    for at in range(folds):
        inside = pl.Series(fold != at)
        learned = data.table.filter(inside)
        fitted = clone(detector).fit(learned["payload"], learned["family"], learned["weight"])
        scores[fold == at] = fitted.score_samples(data.table.filter(~inside)["payload"])
    return scores


def alarm_threshold(scores: Floats, data: TrainingSet, rate: float = RATE) -> AlarmRate:
    """Choose the threshold that a share of benign look-alikes reaches, each kind unseen.

    Args:
        scores: of :func:`held_out_scores`, length n.
        data: the training set, n texts.
        rate: share of the benign look-alikes that may be called attacks.

    Returns:
        The fitted threshold.

    Raises:
        DataError: if the rate is not between 0 and 1, or lengths differ.
    """
    chosen = data.hard
    if len(scores) != len(chosen):
        raise DataError(f"scores must be those of the {len(chosen)} texts, found {len(scores)}: score the same texts")
    return AlarmRate(rate).fit(scores[chosen])


def _evened(table: pl.DataFrame) -> pl.DataFrame:
    """Let an attack family of n times the weight of another count the root of n times as much."""
    total = pl.col("weight").sum().over("family")
    attacks = pl.col("family") != NORMAL
    of_all = pl.col("weight").filter(attacks).sum()
    root = pl.when(attacks).then(pl.col("weight") / total.sqrt()).otherwise(pl.col("weight"))
    evened = table.with_columns(weight=root)
    scale = table.select(of_all).item() / max(evened.select(of_all).item(), TINY)
    return evened.with_columns(weight=pl.when(attacks).then(pl.col("weight") * scale).otherwise(pl.col("weight")))


def _folds(data: TrainingSet, folds: int, seed: int) -> npt.NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    kinds = data.table.filter(pl.Series(~data.attack))["kind"].unique().sort()
    forms = data.table.filter(pl.Series(data.attack) & pl.col("form").is_not_null())["form"].unique().sort()
    of_kind = {name: place for names in (kinds, forms) for name, place in _dealt(names, folds, rng).items()}
    drawn = rng.integers(0, folds, data.table.height)
    held = np.where(data.attack, data.table["form"].to_numpy(), data.table["kind"].to_numpy())
    return np.array(
        [of_kind.get(name, place) for name, place in zip(held, drawn.tolist(), strict=True)], dtype=np.int64
    )


def _dealt(names: pl.Series, folds: int, rng: np.random.Generator) -> dict[str, int]:
    order = rng.permutation(names.to_numpy()).tolist()
    return {name: place % folds for place, name in enumerate(order)}


def _payloads(frame: pl.DataFrame, source: str, weight: float) -> pl.DataFrame:
    """The training payloads of a frame of the data set.

    Raises:
        SchemaError: if a column is missing.
    """
    _require(frame, ("payload", ANOMALY_TYPE))
    rows = frame.filter(pl.col("split") == "train") if "split" in frame.columns else frame
    family = pl.col(ANOMALY_TYPE)
    kind = pl.format("{} ({})", family, pl.lit(source))
    chosen = rows.drop_nulls("payload").select("payload", family.alias("family"), kind.alias("kind"))
    return chosen.with_columns(form=pl.lit(None, dtype=pl.String), weight=pl.lit(weight))


def _as_loaded(payloads: pl.DataFrame) -> pl.DataFrame:
    return payloads.with_columns(pl.col("attack_type").replace(waf.NORM, NORMAL).alias(ANOMALY_TYPE))


def _require(frame: pl.DataFrame, columns: Sequence[str]) -> None:
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        found = ", ".join(frame.columns)[:100]
        raise SchemaError(
            f"payloads must have the columns {', '.join(columns)}, found {found}: load the data set again"
        )
