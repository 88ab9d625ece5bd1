"""The next-event detector: a recurrent network that has read normal sessions says how surprising each event is."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from utils.detectors.networks import Best, Course, Progress
from utils.detectors.next_event import interleavings, lessons, prefixes, training
from utils.detectors.next_event.lessons import Lessons
from utils.detectors.next_event.prefixes import Steps
from utils.detectors.next_event.recurrence import CELLS, Arrays, Cell, Network
from utils.errors import DataError, SettingsError
from utils.evaluation.conformal import ConformalPValues
from utils.evaluation.inputs import Bools, Floats, Values, as_series, normal_rows, observations
from utils.evaluation.thresholds import AlarmRate
from utils.features import log_sessions
from utils.features.log_sessions import Distinct, Sequences, Vocabulary
from utils.settings import SEED

Score = Literal["combined", "rank", "surprise", "mean", "excess"]

PARTS: tuple[Score, ...] = ("rank", "surprise", "mean", "excess")
SCORES: tuple[Score, ...] = ("combined", *PARTS)
COMBINED: tuple[Score, ...] = ("rank", "excess")
TIE = 1e-4
"""Combined scores that are equal are ordered by so much of the surprise."""

ALIKE = 1e-4
"""Scores that differ by no more are equal: the last digits of a score depend on what else is scored with it."""
END = "(end)"
UNSEEN = "(unseen)"
NULL = "(null)"
STEPS = {
    **dict.fromkeys(("sequence", "position", "rank"), pl.Int64()),
    **dict.fromkeys(("probability", "surprise"), pl.Float64()),
    "expected": pl.List(pl.String),
    "chances": pl.List(pl.Float64),
}
FOLDS = 5
"""Normal sessions are divided into as many parts at least; a member learns from all parts but one."""


class NextEvent(BaseEstimator):  # type: ignore[misc]
    """How surprising the most surprising step of a session is to a network; HIGHER = MORE ABNORMAL.

    The network (LSTM or GRU) reads a normal session from a begin token on and says after every event, in
    probabilities, what comes next, the end of the session included. It learns from distinct sequences weighted by the
    number of sessions that have them; with a ``count_power`` of 1 that is the loss over all sessions. The few sequences
    that most sessions share are learned from their first hundred copies, so the default lets the rare ones, which are
    those that raise false alarms, weigh more. Nothing is padded with symbols that no network can predict: a short
    session is surprising only if it ends where none should.

    A step is judged by its surprise, the negative logarithm of the probability of what came, and by its rank among
    all that might have come (1 = most probable; an event never seen in training has the last rank). ``score`` chooses
    what :meth:`score_samples` gives for a session: the worst ``"rank"``, which is the top-k rule of Du et al. (flagged
    if it exceeds k; a fraction below 1 orders equal ranks by surprise, so a score of k + 1 or more is flagged), the
    highest ``"surprise"``, its ``"mean"`` over the steps, its ``"excess"``: the surprise of all steps less what the
    network expects it to be, its entropy (0 on average if the network's probabilities are right: a test of whether the
    session is typical), or rank and excess ``"combined"``: Fisher's sum of the negative logarithms of their conformal
    p-values among held-out normal sessions. Each of the two misses what the other finds: how
    improbable the improbable is, networks say badly, which ranks do not ask; and a session may be odd in several
    places, of which ranks see one.

    With several ``members`` the probabilities of as many networks are averaged. The training sessions are divided at
    random into parts; each member learns from all parts but one, and that one says when to stop and what scores normal
    sessions have that a network has not learned from (:attr:`held_out_`, :meth:`threshold`). Copies of a sequence may
    stand on both sides of that division, as they do between training and what comes later: nine of ten sessions of a
    usual log repeat an earlier one, and a division by distinct sequence would take each of them for a novelty and set
    the threshold far too high.

    Where machines work side by side, training shows a few of the orders that their events may come in, and every other
    order would be a false alarm. So a member also learns from ``interleavings`` of its sessions, in which neighbours
    have changed places whose types it has seen in both orders (:mod:`.interleavings`). What is held out is not touched.

    Work is done once for each distinct sequence in training, and once for each distinct beginning in scoring. Fitted
    detectors hold plain arrays and need no TensorFlow. The same seed gives the same scores in every process.

    Args:
        events: list column of the events.
        cell: ``"lstm"`` or ``"gru"``.
        units: units of the recurrent layers.
        embedding: numbers that stand for an event, learned; ``None`` for a column for each event.
        dropout: share of the outputs of each recurrent layer left out in a step of training.
        window: how many tokens the network looks back; ``None`` for the whole session.
        epochs: most passes through the training sessions.
        batch: distinct sequences (or windows) of a step.
        learning_rate: of Adam at the beginning; it falls along a cosine.
        count_power: power of the number of its sessions with which a distinct sequence weighs in training: 1 for the
            loss over all sessions, 0 to count each sequence once.
        patience: epochs without a lower loss on held-out sessions after which training stops.
        members: networks whose probabilities are averaged.
        trusted: event types that fewer training sessions have count as unseen: a handful of sessions tells a network
            nothing of what is usual around an event.
        rare: share of the training sessions that may have such types at most; the rarest types come first, the others
            are learned.
        interleavings: other orders of the events of each distinct sequence that are learned from too; 0 for none.
        interleaving_share: weight of all of them together, as a share of that of the sequence.
        commuting: training sessions that must show an event type directly before another, and as many directly after
            it, for the two to change places.
        score: what :meth:`score_samples` gives.
        seed: of everything that is drawn.
        progress: called after each epoch with the number of epochs so far, the most there can be, and the loss on
            held-out sessions; it is not kept in pickles.

    Attributes:
        event_types_: the event types of training but those that count as unseen, sorted.
        networks_: the arrays of each member.
        unseen_share_: probability of an event type that training did not have, at any step.
        history_: for each member the loss on its held-out sessions after each epoch, in nats a step.
        epochs_: for each member the epoch that was kept.
        held_out_: ``rank``, ``surprise``, ``mean``, ``excess`` and ``combined`` scores of normal sessions, each by the
            one member that has not learned from it, and how many ``sessions`` have these scores, each of shape (k,);
            empty if there were too few. Sessions with events that count as unseen are left out: they are alarms by
            rule, at any threshold, and a handful of them must not decide how odd all others may be.
        n_sessions_: sessions that were learned from.

    Sources:
        Du, Li, Zheng, Srikumar, "DeepLog", CCS 2017 (ranks, windows); Good, "The population frequencies of species and
        the estimation of population parameters", Biometrika 40 (1953) (unseen events); Lakshminarayanan, Pritzel,
        Blundell, "Simple and scalable predictive uncertainty estimation using deep ensembles", NeurIPS 2017 (members);
        Vovk, "Cross-conformal predictors", Annals of Mathematics and AI 74 (2015) (held-out scores); Fisher,
        "Statistical Methods for Research Workers", 1925, section 21.1 (combination); Shannon, "A mathematical theory of
        communication", Bell System Technical Journal 27 (1948), section 7 (typical sequences); Mazurkiewicz,
        "Concurrent program schemes and their interpretations", DAIMI PB-78 (1977) (interleavings).
    """

    def __init__(
        self,
        events: str = "events",
        *,
        cell: Cell = "lstm",
        units: Sequence[int] = (64,),
        embedding: int | None = None,
        dropout: float = 0.3,
        window: int | None = None,
        epochs: int = 50,
        batch: int = 64,
        learning_rate: float = 0.01,
        count_power: float = 0.5,
        patience: int = 8,
        members: int = 2,
        trusted: int = 8,
        rare: float = 0.0015,
        interleavings: int = 3,
        interleaving_share: float = 0.5,
        commuting: int = 20,
        score: Score = "combined",
        seed: int = SEED,
        progress: Progress | None = None,
    ) -> None:
        self.events = events
        self.cell = cell
        self.units = units
        self.embedding = embedding
        self.dropout = dropout
        self.window = window
        self.epochs = epochs
        self.batch = batch
        self.learning_rate = learning_rate
        self.count_power = count_power
        self.patience = patience
        self.members = members
        self.trusted = trusted
        self.rare = rare
        self.interleavings = interleavings
        self.interleaving_share = interleaving_share
        self.commuting = commuting
        self.score = score
        self.seed = seed
        self.progress = progress

    def __getstate__(self) -> dict[str, Any]:
        """The state without the callback, which belongs to the process."""
        return {**super().__getstate__(), "progress": None}

    @property
    def vocabulary_(self) -> Vocabulary:
        """The event types of training and their codes."""
        check_is_fitted(self)
        return Vocabulary.fit(pl.Series("event", self.event_types_))

    def fit(self, X: pl.DataFrame, y: Values | None = None, weight: Values | None = None) -> Self:
        """Learn what follows what in normal sessions.

        Args:
            X: one row a session, with a list column of events (integers or texts).
            y: true for an anomaly, shape (n,); anomalies and rows without a label are left out. ``None``: all rows are
                normal.
            weight: how many sessions each row stands for, shape (n,); rows of weight 0 are left out.

        Returns:
            The detector itself.

        Raises:
            SettingsError: if a parameter is out of range.
            SchemaError: if the column is missing or holds no lists of integers or texts.
            DataError: if no normal session is left, or a weight is no number from 0 on.
        """
        check_parameters(self)
        seen = normal_sessions(X, y, weight, self.events, self.rare, self.trusted)
        self.event_types_ = seen.sequences.vocabulary.events.to_list()
        self.n_sessions_ = float(seen.counts.sum())
        self.unseen_share_ = unseen_share(seen)
        self._learn(seen)
        return self

    def score_samples(self, X: pl.DataFrame) -> Floats:
        """Score sessions as ``score`` says; HIGHER = MORE ABNORMAL.

        Args:
            X: n sessions.

        Returns:
            Scores, float64, shape (n,).

        Raises:
            SchemaError: if the column is missing or holds events of another kind than in training.
        """
        return _scored(self.scores(X), self.score)

    def scores(self, X: pl.DataFrame) -> pl.DataFrame:
        """Score sessions in every way.

        Args:
            X: n sessions.

        Returns:
            One row a session: ``rank`` (worst of any step), ``surprise`` (highest of any step, in nats), ``mean``
            (surprise of a step), ``excess`` (surprise of all steps above what was expected, in nats; negative where
            less came), ``place`` (step with the highest surprise, from 0; the number of events if the session should
            not have ended) and ``combined``.

        Raises:
            SchemaError: as :meth:`score_samples`.
        """
        seen = self._distinct(X)
        found = _summary(seen.sequences, self._steps(seen.sequences, self.networks_))
        return found.with_columns(combined=_combined(found, self.held_out_))[seen.inverse]

    def steps(self, X: pl.DataFrame, most: int = 3) -> pl.DataFrame:
        """Judge every step of sessions, for a closer look at some of them.

        Args:
            X: sessions.
            most: how many of the most probable events are named.

        Returns:
            One row a step: ``row`` (of X), ``position`` (from 0; the last one is the end of the session), ``event`` (as
            text, ``"(end)"`` for the end), ``probability``, ``rank``, ``surprise`` (nats), ``expected`` (list of the
            most probable events, as texts), ``chances`` (list of their probabilities).

        Raises:
            SchemaError: as :meth:`score_samples`.
            SettingsError: if ``most`` is below 1.
        """
        _whole("most", most)
        seen = self._distinct(X)
        return _table(seen, self._steps(seen.sequences, self.networks_, most), self.vocabulary_)

    def threshold(self, rate: float = 0.004) -> AlarmRate:
        """Choose a threshold for the scores of :meth:`score_samples` by :attr:`held_out_`.

        Args:
            rate: highest share of normal sessions that may be flagged, those with unseen events aside.

        Returns:
            The fitted threshold.

        Raises:
            DataError: if training had too few sessions to hold some out, or the rate is not between 0 and 1.
        """
        check_is_fitted(self)
        if not self.held_out_["sessions"].size:
            wanted = f"a threshold needs at least {lessons.LEAST_SESSIONS} normal sessions in training"
            found = f"found {self.n_sessions_:g}"
            raise DataError(f"{wanted}, {found}: give more, or fit AlarmRate on the scores of others")
        return AlarmRate(rate).fit(_scored(self.held_out_, self.score), weight=self.held_out_["sessions"])

    def _distinct(self, X: pl.DataFrame) -> Distinct:
        return log_sessions.distinct(X, self.events, vocabulary=self.vocabulary_)

    def _learn(self, seen: Distinct) -> None:
        """Train the members, each on all parts of the sessions but one."""
        parts = lessons.divided(seen.counts, max(FOLDS, self.members), self.seed)
        seeds = np.random.SeedSequence(self.seed).generate_state(self.members).tolist()
        self.networks_: list[Arrays] = []
        self.history_: list[list[float]] = []
        self.epochs_: list[int] = []
        known, held_out = _known(seen.sequences), []
        for member, seed in enumerate(seeds):
            out = parts[member] if parts else np.zeros(0)
            found = self._trained(seen, out, member, seed)
            self.networks_.append(found.arrays)
            self.history_.append(found.history)
            self.epochs_.append(found.epoch)
            if parts:
                rows = np.flatnonzero(np.where(known, out, 0))
                others = seen.sequences.take(rows)
                held_out.append((_summary(others, self._steps(others, [found.arrays])), out[rows]))
        self.held_out_ = _gathered(held_out)
        self.held_out_["combined"] = _combined(self.held_out_, self.held_out_, own=True)

    def _trained(self, seen: Distinct, out: Floats, member: int, seed: int) -> Best:
        counts = seen.counts - out if out.size else seen.counts
        learned = lessons_of(self, seen.sequences, counts, seed)
        judged = lessons.rows_of(seen.sequences, out, self.window) if out.size else learned
        course = Course(self.epochs, self.patience, self.learning_rate, self._told(member))
        return training.train(learned, judged, design_of(self, len(self.event_types_)), course, self.batch, seed)

    def _told(self, member: int) -> Progress | None:
        if self.progress is None:
            return None
        before, every, progress = member * self.epochs, self.members * self.epochs, self.progress
        return lambda epoch, _, loss: progress(before + epoch, every, loss)

    def _steps(self, sequences: Sequences, members: Sequence[Arrays], most: int = 0) -> Iterator[Steps]:
        networks = [Network(arrays, self.cell) for arrays in members]
        return prefixes.steps_of(sequences, networks, self.unseen_share_, window=self.window, most=most)


def normal_sessions(
    X: pl.DataFrame, y: Values | None, weight: Values | None, events: str, rare: float = 0.0, trusted: int = 8
) -> Distinct:
    """Distinct sequences of the normal sessions, with their numbers (arguments and errors as :meth:`NextEvent.fit`).

    The rarest event types are coded as unseen.
    """
    known = None if y is None else as_series(y).fill_null(value=True)
    normal, mass = normal_rows(known, weight, X.height, "a next-event network learns from")
    counts = observations(mass, int(normal.sum()))
    seen = log_sessions.distinct(X.filter(pl.Series(normal)), events, weight=counts)
    frequent = _frequent(seen, rare, trusted)
    if len(frequent) == seen.sequences.vocabulary.unseen:
        return seen
    vocabulary = Vocabulary(seen.sequences.vocabulary.events.gather(frequent))
    return seen._replace(sequences=log_sessions.encode(seen.events, vocabulary))


def _frequent(seen: Distinct, rare: float, trusted: int) -> NDArray[np.int64]:
    """Codes of the event types but the rarest: each in too few sessions, all together in no more than a share."""
    having = (log_sessions.count_vectors(seen.sequences)[:, :-1] > 0).tocoo()
    sessions = np.asarray(having.T @ seen.counts).ravel()
    order = np.argsort(sessions, kind="stable")
    rarest = np.full(having.shape[0], len(order))
    np.minimum.at(rarest, having.row, np.argsort(order)[having.col])
    touched = np.cumsum(np.bincount(rarest, seen.counts, minlength=len(order) + 1)[:-1])
    dropped = min(np.count_nonzero(sessions < trusted), np.count_nonzero(touched <= rare * seen.counts.sum()))
    return np.sort(order[dropped:])


def lessons_of(detector: NextEvent, sequences: Sequences, counts: Floats, seed: int) -> Lessons:
    """What a member of a detector learns from: sessions, and interleavings of them.

    Args:
        detector: its parameters say how.
        sequences: n distinct sequences.
        counts: sessions that have each, shape (n,); those of none are left out.
        seed: of the interleavings.
    """
    there = np.flatnonzero(counts > 0)
    chosen, sessions = sequences.take(there), counts[there]
    every, weight = interleavings.with_interleavings(
        chosen,
        sessions**detector.count_power,
        interleavings.commuting(chosen, sessions, detector.commuting),
        detector.interleavings,
        detector.interleaving_share,
        np.random.default_rng((seed, 1)),
    )
    return lessons.rows_of(every, weight, detector.window)


def design_of(detector: NextEvent, unseen: int) -> training.Design:
    """Form of the networks of a detector that knows so many event types."""
    units = tuple(np.atleast_1d(detector.units).tolist())
    return training.Design(unseen, detector.cell, units, detector.embedding, detector.dropout)


def check_parameters(detector: NextEvent) -> None:
    """Check the parameters of a detector.

    Raises:
        SettingsError: if one is out of range.
    """
    for name, choices in (("cell", CELLS), ("score", SCORES)):
        if (found := getattr(detector, name)) not in choices:
            raise SettingsError(f"{name} of NextEvent must be {' or '.join(choices)}, found {found!r}: choose one")
    if not len(np.atleast_1d(detector.units)):
        raise SettingsError("units of NextEvent must name a layer, found none: give (64,)")
    for size in np.atleast_1d(detector.units).tolist():
        _whole("units", size)
    for name in ("epochs", "batch", "patience", "members", "trusted", "commuting"):
        _whole(name, getattr(detector, name))
    for name in ("embedding", "window"):
        if getattr(detector, name) is not None:
            _whole(name, getattr(detector, name))
    if not 0 <= detector.dropout < 1:
        raise SettingsError(f"dropout must be from 0 to below 1, found {detector.dropout!r}: choose such a number")
    if not 0 <= detector.rare < 1:
        raise SettingsError(f"rare must be from 0 to below 1, found {detector.rare!r}: choose such a share")
    _whole("interleavings", detector.interleavings, least=0)
    if not 0 < detector.interleaving_share < np.inf:
        wanted = "interleaving_share must be a number above 0"
        raise SettingsError(f"{wanted}, found {detector.interleaving_share!r}: give one, or interleavings=0 for none")
    if not 0 <= detector.count_power <= 1:
        raise SettingsError(f"count_power must be from 0 to 1, found {detector.count_power!r}: choose such a number")
    if not 0 < detector.learning_rate <= 1:
        wanted = "learning_rate must be above 0 and at most 1"
        raise SettingsError(f"{wanted}, found {detector.learning_rate!r}: choose such a number")


def _whole(name: str, value: object, least: int = 1) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        wanted = f"{name} of NextEvent must be a whole number from {least} on"
        raise SettingsError(f"{wanted}, found {value!r}: choose one")


def unseen_share(seen: Distinct) -> float:
    """Probability that a step is of an unseen type: types that one session has are as many as will be new (Good).

    Null events have the code of unseen ones and count as such.
    """
    counts = log_sessions.count_vectors(seen.sequences)
    sessions = np.asarray((counts > 0).T @ seen.counts).ravel()
    once = float(((sessions[:-1] > 0) & (sessions[:-1] <= 1)).sum())
    nulls = float((np.asarray(counts[:, [-1]].todense()).ravel() * seen.counts).sum())
    steps = float(seen.counts @ (seen.sequences.lengths + 1))
    return (once + nulls + 0.5) / (steps + 1)


def _known(sequences: Sequences) -> Bools:
    """Whether every event of each sequence is of a type that was learned, shape (n,)."""
    strange = sequences.rows[sequences.codes >= sequences.vocabulary.unseen]
    unseen: Bools = np.bincount(strange, minlength=len(sequences)) > 0
    return ~unseen


def _summary(sequences: Sequences, blocks: Iterator[Steps]) -> pl.DataFrame:
    """Scores of each sequence."""
    rank, place = np.zeros((2, len(sequences)), np.int64)
    highest, mean, excess = np.zeros((3, len(sequences)))
    for steps in blocks:
        begins, lengths, rows = steps.offsets[:-1], np.diff(steps.offsets), steps.sequences
        surprise = -np.log(steps.probability)
        rank[rows] = np.maximum.reduceat(steps.rank, begins)
        highest[rows] = np.maximum.reduceat(surprise, begins)
        mean[rows] = np.add.reduceat(surprise, begins) / lengths
        excess[rows] = np.add.reduceat(surprise - steps.entropy, begins)
        places = np.where(surprise == np.repeat(highest[rows], lengths), np.arange(len(surprise)), len(surprise))
        place[rows] = np.minimum.reduceat(places, begins) - begins
    return pl.DataFrame({"rank": rank, "surprise": highest, "mean": mean, "excess": excess, "place": place})


def _scored(table: Mapping[str, Any] | pl.DataFrame, score: Score) -> Floats:
    """The score of that name; equal ranks are ordered by surprise."""
    values = np.asarray(table[score], dtype=np.float64)
    if score != "rank":
        return values
    surprise = np.asarray(table["surprise"], dtype=np.float64)
    ordered: Floats = values + surprise / (1 + surprise)
    return ordered


def _combined(
    table: Mapping[str, Any] | pl.DataFrame, held_out: Mapping[str, NDArray[Any]], *, own: bool = False
) -> Floats:
    """Fisher's statistic of the p-values of :data:`COMBINED`; the surprise alone where nothing was held out.

    With ``own`` the rows are the held-out ones themselves, each compared with the others.
    """
    total = TIE * np.asarray(table["surprise"], dtype=np.float64)
    for name in COMBINED if held_out["sessions"].size else ():
        known = ConformalPValues().fit(_scored(held_out, name), weight=held_out["sessions"])
        as_high = known.as_high(_scored(table, name) - ALIKE)
        total -= np.log((as_high + (0 if own else 1)) / (1 + known.n_calibration_))
    return total


def _gathered(found: list[tuple[pl.DataFrame, Floats]]) -> dict[str, NDArray[Any]]:
    """Held-out scores of all members as arrays; sessions with equal scores once."""
    kinds = {"rank": pl.Int64, **dict.fromkeys((*PARTS[1:], "sessions"), pl.Float64)}
    parts = [table.select(PARTS).with_columns(sessions=pl.Series(counts)) for table, counts in found]
    table = pl.concat(parts) if parts else pl.DataFrame(schema=kinds)
    table = table.group_by(PARTS, maintain_order=True).agg(pl.col("sessions").sum())
    whole = (table["sessions"] % 1 == 0).all()
    table = table.with_columns(pl.col("sessions").cast(pl.Int64)) if whole else table
    return {name: table[name].to_numpy() for name in kinds}


def _table(seen: Distinct, blocks: Iterator[Steps], vocabulary: Vocabulary) -> pl.DataFrame:
    """One row a step of each session."""
    names = pl.Series([*vocabulary.events.cast(pl.String), UNSEEN, END], dtype=pl.String)
    parts = [_block(steps, names) for steps in blocks]
    judged = pl.concat([pl.DataFrame(schema=STEPS), *(part.select(list(STEPS)) for part in parts)])
    events = pl.DataFrame({"sequence": np.arange(len(seen.sequences)), "event": _texts(seen)}).explode("event")
    events = events.with_columns(position=pl.int_range(pl.len()).over("sequence"))
    judged = judged.join(events, on=["sequence", "position"], how="left")
    rows = pl.DataFrame({"row": np.arange(len(seen.inverse)), "sequence": seen.inverse})
    order = ["row", "position", "event", "probability", "rank", "surprise", "expected", "chances"]
    return rows.join(judged, on="sequence").sort("row", "position").select(order)


def _block(steps: Steps, names: pl.Series) -> pl.DataFrame:
    lengths = np.diff(steps.offsets)
    most = min(steps.expected.shape[1], names.len())
    every = np.arange(len(steps.rank) + 1) * most
    expected = names.gather(steps.expected[:, :most].ravel())
    chances = pl.Series(steps.chances[:, :most].ravel().astype(np.float64))
    return pl.DataFrame(
        {
            "sequence": np.repeat(steps.sequences, lengths),
            "position": np.arange(len(steps.rank)) - np.repeat(steps.offsets[:-1], lengths),
            "probability": steps.probability,
            "rank": steps.rank,
            "surprise": -np.log(steps.probability),
            "expected": log_sessions.list_column(expected, every, "expected"),
            "chances": log_sessions.list_column(chances, every, "chances"),
        }
    )


def _texts(seen: Distinct) -> pl.Series:
    """Events of each distinct session as texts, with its end."""
    texts = seen.events.fill_null([]).list.eval(pl.element().cast(pl.String).fill_null(NULL))
    ended = pl.DataFrame({"event": texts, "end": pl.Series([[END]] * texts.len(), dtype=pl.List(pl.String))})
    return ended.select(pl.col("event").list.concat("end"))["event"]
