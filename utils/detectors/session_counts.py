"""Classic detectors on the count vectors of log sessions: principal components, invariants, any outlier detector.

All share the contract of session detectors: they are fitted on normal sessions only (rows that ``y`` marks as anomalies
are left out), work once for each distinct count vector, weighted by the sessions that have it, and keep no training
rows. ``score_samples`` rises with abnormality and ``explain`` says in one sentence a session what carries the score.
What order the events came in none of them can see.
"""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, Self, get_args

import numpy as np
import polars as pl
from scipy import sparse, stats
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from utils.detectors import novelty
from utils.detectors.outliers import IsolationForest, OutlierDetector, PrincipalComponents
from utils.detectors.outliers.base import LARGEST
from utils.errors import SettingsError
from utils.evaluation.inputs import Bools, Floats, Values, as_alarm_rate, as_weights, row_codes
from utils.features import log_sessions
from utils.features.log_sessions import Ints, Vocabulary
from utils.settings import SEED

Weighting = Literal["counts", "log", "tf-idf"]

CELLS = 4_000_000
"""Most numbers of a dense matrix that are held at a time."""

MOST_NAMED = 3
MOST_INVARIANT_EVENTS = 60
MOST_INVARIANT_VECTORS = 4_000
"""Invariants are looked for among the most frequent events and checked on the most frequent count vectors."""

FACTORS = (1, 2, 3)
LEAST_SESSIONS = 10


class Vectors(NamedTuple):
    """The distinct count vectors of some sessions.

    Attributes:
        counts: distinct vectors, int64, shape (k, event types + 1); the last column counts unseen events.
        weight: sessions that have each, shape (k,).
        inverse: the vector of each session, shape (n,).
    """

    counts: sparse.csr_matrix
    weight: Floats
    inverse: Ints

    def parts(self) -> Iterator[Floats]:
        """The vectors as dense matrices of bounded size, one after the other."""
        step = max(1, CELLS // self.counts.shape[1])
        for first in range(0, self.counts.shape[0], step):
            yield np.asarray(self.counts[first : first + step].toarray(), dtype=np.float64)


def distinct_vectors(
    X: pl.DataFrame, events: str, vocabulary: Vocabulary | None = None, weight: Values | None = None
) -> tuple[Vectors, Vocabulary]:
    """Count the events of sessions, each distinct vector once.

    Args:
        X: n sessions, with a list column of events.
        events: name of that column.
        vocabulary: the event types of training; those of these sessions by default.
        weight: how many sessions each row stands for, shape (n,); 1 by default.

    Returns:
        The vectors in order of first appearance, and the vocabulary.

    Raises:
        SchemaError: if the column is missing or holds no lists of integers or texts.
        DataError: if a weight is no number from 0 on.
    """
    mass = as_weights(weight, X.height)
    seen = log_sessions.distinct(X, events, vocabulary=vocabulary, weight=mass)
    counts = log_sessions.count_vectors(seen.sequences)
    code = row_codes(log_sessions.vector_keys(counts).to_frame())
    first = np.unique(code, return_index=True)[1]
    total = np.bincount(code, seen.counts, minlength=len(first)).astype(np.float64)
    return Vectors(counts[first], total, code[seen.inverse]), seen.sequences.vocabulary


class _CountDetector(BaseEstimator):  # type: ignore[misc]
    """What all share: distinct count vectors in, scores and sentences for all sessions out."""

    events: str

    def fit(self, X: pl.DataFrame, y: Values | None = None, weight: Values | None = None) -> Self:
        """Learn what the counts of normal sessions look like.

        Args:
            X: one row a session, with a list column of events (integers or texts).
            y: true for an anomaly, shape (n,); anomalies and rows without a label are left out. ``None``: all rows are
                normal.
            weight: how many sessions each row stands for, shape (n,); rows of weight 0 are left out.

        Returns:
            The detector itself.

        Raises:
            SchemaError: if the column is missing or holds no lists of integers or texts.
            DataError: if no normal session is left, or a weight is no number from 0 on.
            SettingsError: if a parameter is out of range.
        """
        self._check_parameters()
        normal, weights = novelty.normal_sessions(X, y, weight, type(self).__name__)
        vectors, self.vocabulary_ = distinct_vectors(normal, self.events, weight=weights)
        self.n_sessions_ = float(vectors.weight.sum())
        self._learn(vectors)
        return self

    def score_samples(self, X: pl.DataFrame) -> Floats:
        """Score sessions; HIGHER = MORE ABNORMAL.

        Args:
            X: n sessions.

        Returns:
            Scores, float64, shape (n,).

        Raises:
            SchemaError: if the column is missing or holds events of another kind than in training.
        """
        vectors = self._vectors(X)
        scores = [np.zeros(0), *(self._score(part) for part in vectors.parts())]
        return np.concatenate(scores).astype(np.float64)[vectors.inverse]

    def explain(self, X: pl.DataFrame) -> list[str]:
        """Say for each session in one sentence what carries its score.

        Args:
            X: n sessions.

        Returns:
            n sentences.

        Raises:
            SchemaError: as ``score_samples``.
        """
        vectors = self._vectors(X)
        sentences = [sentence for part in vectors.parts() for sentence in self._say(part)]
        return [sentences[row] for row in vectors.inverse.tolist()]

    def _vectors(self, X: pl.DataFrame) -> Vectors:
        check_is_fitted(self)
        return distinct_vectors(X, self.events, self.vocabulary_)[0]

    def _name(self, code: int) -> str:
        return "unseen events" if code == self.vocabulary_.unseen else novelty.event_name(self.vocabulary_, code)

    def _check_parameters(self) -> None:
        """Check the parameters.

        Raises:
            SettingsError: if one is out of range.
        """

    def _learn(self, vectors: Vectors) -> None:
        raise NotImplementedError

    def _score(self, counts: Floats) -> Floats:
        """Score distinct vectors (k, event types + 1)."""
        raise NotImplementedError

    def _say(self, counts: Floats) -> list[str]:
        raise NotImplementedError


class CountOutliers(_CountDetector):
    """Any outlier detector of :mod:`utils.detectors.outliers` on count vectors; HIGHER = MORE ABNORMAL.

    An event that training lacks stands in a column of its own that is always 0 there.

    Args:
        detector: an :class:`~utils.detectors.outliers.base.OutlierDetector`; it is cloned. An isolation forest by
            default.
        events: list column of the events.
        weighting: ``"counts"`` as they are, ``"log"`` for ln(1 + count), or ``"tf-idf"`` for counts times the logarithm
            of how rare it is that a session has the event at all.
        seed: of the isolation forest, if no detector is given.

    Attributes:
        vocabulary_: the known event types.
        detector_: the fitted detector.
        factor_: what the counts are multiplied by, shape (event types + 1,).
        usual_: mean count of each event in training, shape (event types + 1,).
    """

    def __init__(
        self,
        detector: OutlierDetector | None = None,
        *,
        events: str = "events",
        weighting: Weighting = "log",
        seed: int = SEED,
    ) -> None:
        self.detector = detector
        self.events = events
        self.weighting = weighting
        self.seed = seed

    def _check_parameters(self) -> None:
        if self.weighting not in get_args(Weighting):
            wanted = f"weighting of {type(self).__name__} must be one of {', '.join(get_args(Weighting))}"
            raise SettingsError(f"{wanted}, found {self.weighting!r}: choose one of them")

    def _make(self) -> OutlierDetector:
        return IsolationForest(seed=self.seed) if self.detector is None else clone(self.detector)

    def _learn(self, vectors: Vectors) -> None:
        share = vectors.weight / self.n_sessions_
        held = np.asarray((vectors.counts > 0).T @ vectors.weight).ravel()
        rarity = np.log(self.n_sessions_ / np.maximum(held, 1.0))
        self.factor_ = rarity if self.weighting == "tf-idf" else np.ones(len(held))
        self.usual_ = np.asarray(vectors.counts.T @ share).ravel()
        matrix = np.concatenate([self._weighed(part) for part in vectors.parts()])
        self.detector_ = self._make().fit(matrix, sample_weight=as_counts(vectors.weight))

    def _weighed(self, counts: Floats) -> Floats:
        return np.asarray((np.log1p(counts) if self.weighting == "log" else counts) * self.factor_)

    def _score(self, counts: Floats) -> Floats:
        return self.detector_.score_samples(self._weighed(counts))

    def _say(self, counts: Floats) -> list[str]:
        shares = self.detector_.contributions(self._weighed(counts))
        return [self._sentence(row, share) for row, share in zip(counts, shares, strict=True)]

    def _sentence(self, counts: Floats, share: Floats) -> str:
        leading = [code for code in np.argsort(-share, kind="stable")[:MOST_NAMED].tolist() if share[code] > 0]
        if not leading:
            return "the counts are as usual"
        named = [f"{self._name(c)} ({counts[c]:,.0f} times, {self.usual_[c]:,.2f} on average)" for c in leading]
        return f"unusual counts of {novelty.joined(named)}"


class CountPCA(CountOutliers):
    """Squared distance of a count vector from the subspace of normal counts; HIGHER = MORE ABNORMAL.

    The score is the squared prediction error (SPE): the squared length of what is left of a vector after it has been
    projected on the leading principal components of the normal sessions. ``q_limit_`` is the published threshold, the
    Q-statistic at the level ``alpha``: it holds for normal deviates, which counts are not, so a threshold chosen on
    held-out normal sessions (:class:`utils.evaluation.thresholds.AlarmRate`) keeps its promise where this one does not.

    Args:
        components: share of the variance that the components explain (above 0, below 1), or their number.
        events: list column of the events.
        weighting: as :class:`CountOutliers`; the source weighs by tf-idf.
        alpha: share of normal sessions above the published threshold, if they were normally distributed.

    Attributes:
        detector_: the fitted :class:`~utils.detectors.outliers.PrincipalComponents`.
        q_limit_: the published threshold of the score.

    Source:
        Xu, Huang, Fox, Patterson, Jordan, "Detecting Large-Scale System Problems by Mining Console Logs", SOSP 2009 (95
        % of the variance, alpha = 0.001); Jackson and Mudholkar, Technometrics 21 (1979), for the limit.
    """

    def __init__(
        self,
        components: int | float = 0.95,
        *,
        events: str = "events",
        weighting: Weighting = "counts",
        alpha: float = 0.001,
    ) -> None:
        self.components = components
        self.events = events
        self.weighting = weighting
        self.alpha = alpha

    def _check_parameters(self) -> None:
        super()._check_parameters()
        as_alarm_rate(self.alpha)

    def _make(self) -> OutlierDetector:
        return PrincipalComponents(self.components)

    def _learn(self, vectors: Vectors) -> None:
        super()._learn(vectors)
        share, spread = vectors.weight / self.n_sessions_, np.zeros((1, 1))
        ends = np.cumsum([0, *(len(part) for part in vectors.parts())])
        for part, first in zip(vectors.parts(), ends[:-1], strict=True):
            left = self._residual(part)
            spread = spread + (left * share[first : first + len(part), None]).T @ left
        self.q_limit_ = q_limit(spread, self.alpha)

    def _residual(self, counts: Floats) -> Floats:
        fitted: Any = self.detector_
        centred = self._weighed(counts) / fitted.scale_ - fitted.mean_
        return np.asarray(centred - centred @ fitted.axes_ @ fitted.axes_.T)

    def _score(self, counts: Floats) -> Floats:
        return np.minimum(super()._score(counts), np.sqrt(LARGEST)) ** 2

    def _sentence(self, counts: Floats, share: Floats) -> str:
        error = float(self._score(counts[None])[0])
        side = "above" if error > self.q_limit_ else "below"
        return f"{super()._sentence(counts, share)}; squared error {error:,.3g}, {side} the limit {self.q_limit_:,.3g}"


def q_limit(covariance: Floats, alpha: float) -> float:
    """Limit of the squared prediction error that a share ``alpha`` of normally distributed rows exceeds.

    Args:
        covariance: of what the principal components leave, shape (d, d).
        alpha: share of the rows.

    Returns:
        The limit, in squared units of the rows; 0 where nothing is left.

    Source:
        Jackson and Mudholkar, "Control procedures for residuals associated with principal component analysis",
        Technometrics 21 (1979), equation 3.2.
    """
    values = np.maximum(np.linalg.eigvalsh(covariance), 0.0)
    first, second, third = (float((values**power).sum()) for power in (1, 2, 3))
    if first <= np.finfo(float).tiny or third <= 0:
        return 0.0
    exponent = 1 - 2 * first * third / (3 * second**2)
    if exponent <= 0:
        return _box_limit(first, second, alpha)
    deviate = float(stats.norm.ppf(1 - alpha))
    inner = deviate * np.sqrt(2 * second * exponent**2) / first + 1 + second * exponent * (exponent - 1) / first**2
    return float(first * max(inner, 0.0) ** (1 / exponent))


def _box_limit(first: float, second: float, alpha: float) -> float:
    """The same limit by a scaled chi-square, for spectra that the other formula is not made for.

    Source:
        Box, Annals of Mathematical Statistics 25 (1954).
    """
    return float(second / first * stats.chi2.ppf(1 - alpha, first**2 / second))


class Invariant(NamedTuple):
    """A sum of counts that equals another in normal sessions.

    Attributes:
        left: events and factors of one side.
        right: events and factors of the other side; none for a side that is a constant alone.
        constant: number that is added on the right.
        support: share of the training sessions with one of the events in which both sides are equal.
        weight: surprise when it is broken, in nats.
    """

    left: tuple[tuple[int, int], ...]
    right: tuple[tuple[int, int], ...]
    constant: int
    support: float
    weight: float


class CountInvariants(_CountDetector):
    """Equalities between event counts that hold in normal sessions and are broken here; HIGHER = MORE ABNORMAL.

    Looked for are, from the simplest on: a count that never changes (``event 22 = 1``), two counts in a fixed ratio
    (``event 9 = event 11``, ``2 x event 3 = event 4``), and one count that is the sum of two (``event 5 = event 9 +
    event 6``). An equality is an invariant if it holds in at least ``least_share`` of the training sessions that have
    one of its events, and if these are enough to tell. One that follows from others is left out. That an event of
    which training knows nothing does not occur is an invariant too.

    Score: sum over the broken invariants of minus the logarithm of the share of training sessions that break it, so
    that an equality without exception counts more than one with some; 0 if none is broken.

    Args:
        least_share: share of the sessions in which an equality must hold.
        least_sessions: share of the training sessions that must have one of its events (and ten sessions at least).
        events: list column of the events.

    Attributes:
        vocabulary_: the known event types.
        invariants_: the invariants, the simplest first.

    Source:
        Lou, Fu, Yang, Xu, Li, "Mining Invariants from Console Logs for System Problem Detection", USENIX ATC 2010
        (sparse linear equations with small whole factors that hold in 98 % of the sessions). Their search goes through
        the null space of the count matrix; this one tries all pairs and triples of the sixty most frequent events.
    """

    def __init__(self, least_share: float = 0.98, *, least_sessions: float = 0.01, events: str = "events") -> None:
        self.least_share = least_share
        self.least_sessions = least_sessions
        self.events = events

    def _check_parameters(self) -> None:
        if not 0.5 <= self.least_share <= 1 or not 0 <= self.least_sessions <= 1:
            found = f"least_share={self.least_share} and least_sessions={self.least_sessions}"
            raise SettingsError(
                f"CountInvariants needs shares, the first from 0.5 on, found {found}: give 0.98 and 0.01"
            )

    @property
    def sentences_(self) -> list[str]:
        """The invariants in words, with the share of training sessions in which they hold."""
        check_is_fitted(self)
        return [f"{self._equation(each)} (in {each.support:.2%})" for each in self.invariants_]

    def _learn(self, vectors: Vectors) -> None:
        search = _Search(vectors, self.least_share, self.least_sessions)
        unseen = Invariant(((self.vocabulary_.unseen, 1),), (), 0, 1.0, float(np.log(self.n_sessions_ + 2)))
        self.invariants_ = [unseen, *search.constants(), *search.ratios(), *search.sums()]

    def _sides(self, counts: Floats) -> Iterator[tuple[Invariant, Floats, Floats]]:
        for each in self.invariants_:
            yield each, _side(counts, each.left, 0), _side(counts, each.right, each.constant)

    def _score(self, counts: Floats) -> Floats:
        scores = np.zeros(len(counts))
        for each, left, right in self._sides(counts):
            scores += np.where(left != right, each.weight, 0.0)
        return scores

    def _say(self, counts: Floats) -> list[str]:
        broken: list[list[tuple[float, str]]] = [[] for _ in counts]
        for each, left, right in self._sides(counts):
            for row in np.flatnonzero(left != right).tolist():
                text = f"{self._equation(each)} broken: {left[row]:,.0f} against {right[row]:,.0f}"
                broken[row].append((-each.weight, text))
        return [self._sentence(sorted(found, key=lambda each: each[0])) for found in broken]

    def _sentence(self, broken: list[tuple[float, str]]) -> str:
        if not broken:
            return f"all {len(self.invariants_):,} invariants hold"
        return novelty.joined([text for _, text in broken])

    def _equation(self, each: Invariant) -> str:
        right = [self._term(code, factor) for code, factor in each.right]
        right += [f"{each.constant}"] if each.constant or not right else []
        return f"{' + '.join(self._term(*term) for term in each.left)} = {' + '.join(right)}"

    def _term(self, code: int, factor: int) -> str:
        return self._name(code) if factor == 1 else f"{factor} x {self._name(code)}"


class _Search:
    """Looks for equalities on the most frequent count vectors, the simplest first, none that follows from others."""

    def __init__(self, vectors: Vectors, least_share: float, least_sessions: float) -> None:
        heaviest = np.argsort(-vectors.weight, kind="stable")[:MOST_INVARIANT_VECTORS]
        self.weight = vectors.weight[heaviest]
        self.total = float(self.weight.sum())
        held = np.asarray((vectors.counts[heaviest] > 0).T @ self.weight).ravel()
        self.least, self.least_share = max(least_sessions * self.total, LEAST_SESSIONS), least_share
        order = np.argsort(-held, kind="stable")[:MOST_INVARIANT_EVENTS]
        self.codes = np.sort(order[held[order] >= self.least])
        self.counts = vectors.counts[heaviest][:, self.codes].toarray().astype(np.float64)
        self.basis = np.zeros((0, len(self.codes) + 1))

    def constants(self) -> list[Invariant]:
        """Counts that never change, 0 not among them."""
        found = []
        for place in range(len(self.codes)):
            values = self.counts[:, place]
            usual = _weighted_median(values, self.weight)
            holds = values == usual
            if usual > 0 and self._supports(holds, np.ones_like(holds)):
                found += self._accepted([(place, 1)], [], int(usual), holds, np.ones_like(holds))
        return found

    def ratios(self) -> list[Invariant]:
        """Pairs of counts of which one is a small multiple of the other."""
        found = []
        for a, b in ((a, b) for a in FACTORS for b in FACTORS if np.gcd(a, b) == 1):
            for place in range(len(self.codes)):
                others = np.arange(place + 1, len(self.codes))
                equal = a * self.counts[:, [place]] == b * self.counts[:, others]
                there = (self.counts[:, [place]] > 0) | (self.counts[:, others] > 0)
                for column in np.flatnonzero(self._supported(equal, there)).tolist():
                    sides = [(place, a)], [(int(others[column]), b)]
                    found += self._accepted(*sides, 0, equal[:, column], there[:, column])
        return found

    def sums(self) -> list[Invariant]:
        """Counts that are the sum of two others."""
        found = []
        for first in range(len(self.codes)):
            for second in range(first + 1, len(self.codes)):
                total = self.counts[:, first] + self.counts[:, second]
                equal = self.counts == total[:, None]
                there = (self.counts > 0) | (total > 0)[:, None]
                supported = self._supported(equal, there)
                supported[[first, second]] = False
                for place in np.flatnonzero(supported).tolist():
                    sides = [(place, 1)], [(first, 1), (second, 1)]
                    found += self._accepted(*sides, 0, equal[:, place], there[:, place])
        return found

    def _supports(self, holds: Bools, there: Bools) -> bool:
        return bool(self._supported(holds[:, None], there[:, None])[0])

    def _supported(self, holds: Bools, there: Bools) -> Bools:
        """Which columns hold in enough of the sessions that have one of the events; enough of these there must be."""
        mass = self.weight @ there
        return np.asarray((mass >= self.least) & (self.weight @ (holds & there) >= self.least_share * mass))

    def _accepted(
        self, left: list[tuple[int, int]], right: list[tuple[int, int]], constant: int, holds: Bools, there: Bools
    ) -> list[Invariant]:
        """The equality, unless it follows from those that were found before."""
        equation = np.zeros(len(self.codes) + 1)
        for sign, side in ((1, left), (-1, right)):
            for place, factor in side:
                equation[place] = sign * factor
        equation[-1] = -constant
        widened = np.vstack([self.basis, equation])
        if np.linalg.matrix_rank(widened) == len(self.basis):
            return []
        self.basis = widened
        mass = float(self.weight @ there)
        kept = float(self.weight @ (holds & there))
        surprise = float(-np.log((self.total - self.weight @ holds + 1) / (self.total + 2)))
        named = [tuple((int(self.codes[place]), factor) for place, factor in side) for side in (left, right)]
        return [Invariant(named[0], named[1], constant, kept / mass, surprise)]


def as_counts(weight: Floats) -> Ints | Floats:
    """Weights as whole numbers where all are whole: then they count sessions."""
    whole = weight.astype(np.int64)
    return whole if np.array_equal(whole, weight) else weight


def _side(counts: Floats, terms: tuple[tuple[int, int], ...], constant: int) -> Floats:
    total = np.full(len(counts), float(constant))
    for code, factor in terms:
        total += factor * counts[:, code]
    return total


def _weighted_median(values: Floats, weight: Floats) -> float:
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weight[order])
    return float(values[order[np.searchsorted(reached, reached[-1] / 2)]])
