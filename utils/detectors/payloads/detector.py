"""A detector for attacks in texts: marks of structure, weighed by a linear model and by boosted trees.

Raw characters and lengths are no inputs, because lists of attacks and values of one site differ in both for reasons
that hold nowhere else. The inputs are the marks of :mod:`utils.detectors.payloads.marks`, which are true or false.
The linear model holds where a new form of attack shows known marks in a new combination; the trees know combinations.
The score is the mean of their log-odds.
A decision is explained by the marks that moved it, after Lundberg et al., "From local explanations to global
understanding with explainable AI for trees", Nature Machine Intelligence 2 (2020).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_is_fitted

from utils.datasets.contract import NORMAL
from utils.datasets.dtypes import is_text
from utils.detectors.payloads.evidence import Evidence, excerpts, measure
from utils.detectors.payloads.marks import marks
from utils.errors import DataError, SchemaError
from utils.evaluation.inputs import Values, as_labels, as_names, as_series, as_weights, require_both_classes
from utils.features.web_events.columns import distinct
from utils.settings import SEED

if TYPE_CHECKING:
    from lightgbm import Booster

Floats = npt.NDArray[np.float64]
Texts = pl.Series | pl.DataFrame | Sequence[str | None]
ATTACK = "attack"
BATCH = 20_000
NAMED = 3
"""Most marks that a sentence names."""
LEAST = 1e-9


class PayloadDetector(BaseEstimator):  # type: ignore[misc]
    """Score texts by what in them has the structure of an attack: HIGHER = MORE ABNORMAL.

    Scores are log-odds of the training set, in which attacks and benign texts weigh the same; a threshold is chosen
    apart (:func:`utils.detectors.payloads.alarm_threshold`). Each distinct text is looked at once. Missing and empty
    texts have no marks and score as the most ordinary text does.

    Attributes:
        families_: the attack families seen in training, sorted; ``("attack",)`` if only labels were given.
        booster_: the fitted trees, over the columns of :func:`utils.detectors.payloads.marks.marks`.
        weights_: the linear model: one weight a mark.
        intercept_: its log-odds without any mark.
        importances_: one row a mark that is used: ``family``, ``mark``, ``weight`` (linear), ``gain`` (share of the
            total in the trees).
    """

    def __init__(
        self,
        *,
        trees: int = 200,
        leaves: int = 31,
        learning_rate: float = 0.08,
        least: int = 20,
        strength: float = 1.0,
        seed: int = SEED,
    ) -> None:
        """Set how the marks are weighed.

        Args:
            trees: number of boosted trees.
            leaves: most leaves of a tree.
            learning_rate: how much each tree changes.
            least: fewest distinct training texts in a leaf.
            strength: how far the weights of the linear model may go (inverse of the penalty on their squares).
            seed: seed of the sampling of rows and marks.
        """
        self.trees = trees
        self.leaves = leaves
        self.learning_rate = learning_rate
        self.least = least
        self.strength = strength
        self.seed = seed

    def fit(self, texts: Texts, y: Values, weight: Values | None = None) -> Self:
        """Learn what the marks weigh.

        Args:
            texts: n texts (a Series, a frame with one text column, or a list).
            y: length n; true for an attack, or the family of each (``"normal"`` for none).
            weight: how many rows each text stands for, length n.

        Returns:
            The fitted detector.

        Raises:
            DataError: if lengths differ, or one class is missing.
            SchemaError: if the texts are no text.
        """
        rows = _column(texts)
        names = _families(y, len(rows))
        attack = (names != NORMAL).to_numpy()
        mass = as_weights(weight, len(rows))
        require_both_classes(attack, mass)
        balanced = _balanced(attack, mass)
        found = measure(rows.fill_null("").to_list()).marks
        self.booster_ = self._boosted(found, attack, balanced)
        self.weights_, self.intercept_ = self._linear(found, attack, balanced)
        self.families_, self.family_weights_ = _profiles(found[attack], names.filter(pl.Series(attack)))
        self.n_texts_ = len(rows)
        return self

    def score_samples(self, texts: Texts) -> Floats:
        """Score texts; HIGHER is more abnormal.

        Args:
            texts: n texts; missing ones count as empty.

        Returns:
            Log-odds of an attack, finite, length n.

        Raises:
            SchemaError: if the texts are no text.
        """
        check_is_fitted(self, "booster_")
        values = distinct(_column(texts))
        plain = [value or "" for value in values.values]
        parts = [self._scores(measure(plain[at : at + BATCH])) for at in range(0, len(plain), BATCH)]
        return np.asarray(values.spread(np.concatenate([np.empty(0), *parts])), dtype=np.float64)

    def families(self, texts: Texts) -> pl.Series:
        """Name the attack family that each text would most likely belong to, if it were an attack.

        Args:
            texts: n texts.

        Returns:
            String, length n; one of :attr:`families_`.

        Raises:
            SchemaError: if the texts are no text.
        """
        check_is_fitted(self, "booster_")
        values = distinct(_column(texts))
        plain = [value or "" for value in values.values]
        parts = [self._likeliest(measure(plain[at : at + BATCH])) for at in range(0, len(plain), BATCH)]
        places = values.spread(np.concatenate([np.empty(0, dtype=np.int64), *parts]))
        return pl.Series("family", np.array(self.families_, dtype=object)[places].tolist(), dtype=pl.String)

    def explain(self, texts: Texts, threshold: float = 0.0) -> list[str]:
        """Say for each text in one sentence what speaks for an attack: family, marks, and what they matched.

        Args:
            texts: n texts.
            threshold: score from which a text is called an attack, such as the ``value_`` of a fitted threshold.

        Returns:
            One sentence a text.

        Raises:
            SchemaError: if the texts are no text.
        """
        check_is_fitted(self, "booster_")
        values = distinct(_column(texts))
        plain = [value or "" for value in values.values]
        sentences = [self._sentence(text, threshold) for text in plain]
        return sentences if values.codes is None else [sentences[code] for code in values.codes.tolist()]

    @property
    def importances_(self) -> pl.DataFrame:
        """How much each mark is used: ``family``, ``mark``, ``weight`` (linear), ``gain`` (share in the trees)."""
        check_is_fitted(self, "booster_")
        gain = self.booster_.feature_importance("gain")
        table = {
            "family": [mark.family for mark in marks()],
            "mark": [mark.name for mark in marks()],
            "weight": self.weights_,
            "gain": gain / max(gain.sum(), LEAST),
        }
        used = (pl.col("gain") > 0) | (pl.col("weight") != 0)
        return pl.DataFrame(table).filter(used).sort("gain", descending=True, maintain_order=True)

    def _boosted(self, found: npt.NDArray[np.bool_], attack: npt.NDArray[np.bool_], weight: Floats) -> "Booster":
        import lightgbm

        settings = {
            "objective": "binary",
            "learning_rate": self.learning_rate,
            "num_leaves": self.leaves,
            "min_data_in_leaf": self.least,
            "feature_fraction": 0.3,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "lambda_l2": 5.0,
            "seed": self.seed,
            "deterministic": True,
            "num_threads": 1,
            "verbose": -1,
            "min_sum_hessian_in_leaf": LEAST,
        }
        data = lightgbm.Dataset(found.astype(np.float32), attack, weight=weight, params={"verbose": -1})
        return lightgbm.train(settings, data, num_boost_round=self.trees)

    def _linear(
        self, found: npt.NDArray[np.bool_], attack: npt.NDArray[np.bool_], weight: Floats
    ) -> tuple[Floats, float]:
        model = LogisticRegression(C=self.strength, solver="liblinear", random_state=self.seed)
        model.fit(sparse.csr_matrix(found, dtype=np.float64), attack, sample_weight=weight)
        return model.coef_[0], float(model.intercept_[0])

    def _scores(self, evidence: Evidence) -> Floats:
        found = evidence.marks.astype(np.float32)
        trees = np.asarray(self.booster_.predict(found, raw_score=True, num_threads=1), dtype=np.float64)
        return (trees + found @ self.weights_ + self.intercept_) / 2

    def _shares(self, evidence: Evidence) -> Floats:
        """What each mark adds to the score of one text."""
        found = evidence.marks.astype(np.float32)
        trees = np.asarray(self.booster_.predict(found, pred_contrib=True, num_threads=1))[0, :-1]
        return np.asarray((trees + found[0] * self.weights_) / 2)

    def _likeliest(self, evidence: Evidence) -> npt.NDArray[np.int64]:
        rows = evidence.marks.astype(np.float64)
        return np.asarray((rows @ self.family_weights_[:-1] + self.family_weights_[-1]).argmax(axis=1), dtype=np.int64)

    def _sentence(self, text: str, threshold: float) -> str:
        evidence = measure([text])
        score = float(self._scores(evidence)[0])
        shares = self._shares(evidence)
        family = self.families_[int(self._likeliest(evidence)[0])]
        here = np.flatnonzero(evidence.marks[0])
        hostile = score >= threshold
        order = here[np.argsort(-shares[here] if hostile else shares[here], kind="stable")]
        moved = [place for place in order[:NAMED].tolist() if (shares[place] > 0) == hostile]
        listed = "; ".join(
            f"{name} «{excerpt}»" if excerpt else name for name, excerpt in excerpts(text, evidence, moved)
        )
        verdict = f"an attack, most likely {family}" if hostile else f"below the {threshold:.1f} of an attack"
        return f"Score {score:.1f}, {verdict}: {listed or 'no mark of one'}."


def _column(texts: Texts) -> pl.Series:
    """The texts as one String column.

    Raises:
        SchemaError: if they are no text, or a frame has not exactly one text column.
    """
    if isinstance(texts, pl.DataFrame):
        named = [name for name, kind in texts.schema.items() if is_text(kind)]
        if len(named) != 1:
            found = ", ".join(named) or "none"
            raise SchemaError(f"a frame of texts must have one text column, found {found}: select the column")
        texts = texts[named[0]]
    try:
        column = texts if isinstance(texts, pl.Series) else pl.Series("text", list(texts), dtype=pl.String)
    except (TypeError, UnicodeEncodeError) as error:
        raise SchemaError(f"texts must be text, found {error}: cast them") from error
    if not (is_text(column.dtype) or isinstance(column.dtype, pl.Null)):
        raise SchemaError(f"texts must be text, found {column.dtype}: cast them")
    return column.cast(pl.String)


def _families(y: Values, rows: int) -> pl.Series:
    """Families by row: those given, or ``attack`` and ``normal`` by the labels."""
    given = as_series(y)
    if is_text(given.dtype):
        return as_names(given.cast(pl.String), rows, "families")
    labels = as_labels(y, rows)
    return pl.Series(np.where(labels, ATTACK, NORMAL).tolist(), dtype=pl.String)


def _balanced(attack: npt.NDArray[np.bool_], weight: npt.NDArray[Any] | None) -> Floats:
    """Weights with which both classes weigh the same, one on average."""
    mass = np.ones(len(attack)) if weight is None else weight.astype(np.float64)
    hostile, benign = mass[attack].sum(), mass[~attack].sum()
    if not hostile or not benign:
        raise DataError("a detector learns from attacks and benign texts of positive weight, found one class: add rows")
    share = np.where(attack, benign, hostile)
    return np.asarray(mass * share * (len(attack) / (2 * hostile * benign)), dtype=np.float64)


def _profiles(found: npt.NDArray[np.bool_], names: pl.Series) -> tuple[tuple[str, ...], Floats]:
    """How much each mark speaks for each family among attacks: the logarithms of naive Bayes, smoothed.

    Returns:
        The families, and weights of shape (marks + 1, families), the last row without any mark.
    """
    families = tuple(names.unique().sort().to_list())
    columns = []
    for family in families:
        rows = found[(names == family).to_numpy()]
        share = (rows.sum(axis=0) + 0.5) / (len(rows) + 5.0)
        columns.append(np.append(np.log(share / (1 - share)), np.log(1 - share).sum()))
    return families, np.stack(columns, axis=1)
