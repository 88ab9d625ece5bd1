"""Parser, sessions, vocabulary, detector and threshold as one model: raw log lines in, verdicts with reasons out."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Self

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from utils import settings
from utils.datasets import require
from utils.datasets.contract import LABEL
from utils.detectors.log_monitor import made_up, reasons, traits
from utils.detectors.log_monitor.calibration import EVENTS, held_out_scores, repeated_share
from utils.detectors.log_monitor.naming import KnownTemplates
from utils.detectors.log_monitor.reading import Lines, Progress, Scanned, SessionRule, scan, tabular
from utils.detectors.log_monitor.surprise import CountSurprise
from utils.detectors.novelty import FIRES
from utils.detectors.session_vote import SessionVote
from utils.errors import DataError, SchemaError
from utils.evaluation.conformal import ConformalPValues
from utils.evaluation.drift import Profile, profile_of
from utils.evaluation.inputs import Bools, Floats, Ints, Values, as_labels, as_series, as_weights
from utils.evaluation.thresholds import AlarmRate, Fixed, Threshold
from utils.features.log_templates import LogTemplates

Report = Callable[[str], object]
"""Told what comes next in long work."""

Labels = Mapping[str, bool] | pl.DataFrame | Values
Order = Literal["file", "score"]
Explained = Literal["alarms", "all", "none"] | int

SESSION, LINES = "session", "lines"
FOLDS = 5
REPEATED = 0.5
"""Share of training sessions whose counts another one has, from which "never seen" says something."""

LEAST_LINES = 20
MOST_TEMPLATES = 0.5
"""Templates for each line above which lines have hardly anything in common; fewer lines say nothing about that."""

ORDERS, EXPLAINED = ("file", "score"), ("alarms", "all", "none")
DECISIONS: dict[str, pl.DataType | type[pl.DataType]] = {
    "decision": pl.Boolean,
    "score": pl.Float64,
    "threshold": pl.Float64,
    "p_value": pl.Float64,
    "reasons": pl.List(pl.String),
}


class LogMonitor(BaseEstimator):  # type: ignore[misc]
    """A log as one model: raw lines to sessions to verdicts; scores: HIGHER = MORE ABNORMAL.

    Fitted on normal sessions, or on sessions nearly all of which are normal. What is kept are templates with values
    masked, counts of events and what the detector keeps: no line.

    Where the detector is not given, sessions that mostly repeat each other get the vote of novelty rules
    (:class:`utils.detectors.session_vote.SessionVote`), and sessions hardly two of which are equal, such as windows of
    time, get :class:`CountSurprise`. Which of both is decided on the training sessions: by the share of them whose
    counts another one has.

    The threshold is chosen on held-out training sessions: fifths in the order of the file are left out in turn, so that
    a burst that spans several windows is held out as a whole. Of these scores come the p-values as well
    (:class:`utils.evaluation.conformal.ConformalPValues`). A detector that calibrates itself in this way, as the vote
    does, is taken at its word.

    Attributes:
        parser_: tells the template of each line.
        detector_: the fitted detector.
        threshold_: the fitted threshold.
        surprise_: tells which events make a session unusual.
        repeated_: share of the training sessions whose counts another one has.
        n_training_: training sessions.
        n_anomalies_: 0, as anomalies are left out.
        held_out_rate_: share of held-out training sessions that reach the threshold.
        texts_: text of each template by the name of its event.
        profile_: what normal training sessions looked like, in counts; it stands beside a stored model, not in it
            (``None`` there).
    """

    profile_: Profile | None = None

    def __init__(
        self,
        *,
        header: str | None = None,
        session: str | None = None,
        window: str | None = None,
        window_lines: int | None = None,
        time_format: str | None = None,
        year: int | None = None,
        encoding: str | None = None,
        detector: Any = None,  # noqa: ANN401 (any detector of sessions)
        threshold: Threshold | None = None,
        rate: float = 0.01,
        folds: int = FOLDS,
        seed: int = settings.SEED,
        progress: Progress | None = None,
    ) -> None:
        """Say how lines become sessions and what judges them.

        Args:
            header: regular expression of a line with a group ``content``, as in the catalogue.
            session: regular expression of a session's name; or a group ``session`` of the header.
            window: or sessions are stretches of time, as ``"10m"``.
            window_lines: or sessions are runs of so many lines.
            time_format: of the times, where it is not found.
            year: of the first line, where times have no year.
            encoding: of files, if not UTF-8.
            detector: of sessions with a list column ``events``; it is cloned.
            threshold: how the threshold is chosen; the detector's own if it has one, where it fires if it is
                a novelty rule, else ``AlarmRate(rate)``; it is cloned.
            rate: share of normal sessions that may be flagged.
            folds: parts that are held out in turn.
            seed: of the order in which rows that stand for several sessions are held out.
            progress: told how many lines were read so far.
        """
        self.header = header
        self.session = session
        self.window = window
        self.window_lines = window_lines
        self.time_format = time_format
        self.year = year
        self.encoding = encoding
        self.detector = detector
        self.threshold = threshold
        self.rate = rate
        self.folds = folds
        self.seed = seed
        self.progress = progress

    @property
    def packages(self) -> tuple[str, ...]:
        """Packages that reading lines needs beside those of every model."""
        return ("numba", "pyarrow", "scipy")

    @property
    def rule(self) -> SessionRule:
        """How lines become sessions."""
        return SessionRule(
            self.header, self.session, self.window, self.window_lines, self.time_format, self.year, self.encoding
        )

    def fit(self, lines: Lines, y: Labels | None = None) -> Self:
        """Learn templates and sessions of raw lines.

        Args:
            lines: path of a raw log (plain or packed), a Series or list of lines, a frame with one text column, or a
                frame of parsed lines (``content``, and ``time`` or ``session`` where these make the sessions).
            y: which sessions are anomalies, by name (a mapping, or a frame with ``session`` and ``is_anomaly``) or in
                the order of :meth:`sessions`; they are left out, and so are sessions without a label. ``None``: all
                sessions are (nearly all) normal.

        Raises:
            DataError: if the log is empty, the header does not fit, no line has a session, none is normal, or nearly
                every line has a template of its own.
            SchemaError: if the lines are no texts.
            OSError: if the file cannot be read.
        """
        return self.fit_scanned(self.scan(lines), y)

    def scan(self, lines: Lines) -> Scanned:
        """Read lines once and gather them into sessions (errors as :meth:`fit`)."""
        return scan(lines, self.rule, self.progress)

    def fit_scanned(self, scanned: Scanned, y: Labels | None = None, chosen: Bools | None = None) -> Self:
        """Fit on some of the sessions of lines that were read already.

        Args:
            scanned: what :meth:`scan` returned.
            y: as :meth:`fit`, for all sessions.
            chosen: true for the sessions to learn from, one a session; all by default.

        Raises:
            DataError: as :meth:`fit`.
        """
        kept = np.ones(scanned.rows.height, dtype=np.bool_) if chosen is None else chosen
        normal = kept & _normal(scanned.rows[SESSION], y)
        if not normal.any():
            raise DataError(f"a log is learned from normal sessions, found none in {int(kept.sum()):,}: give some")
        learned = scanned.learned_from(pl.Series(normal))
        parser = LogTemplates().add(learned)
        templates, lines = parser.templates_.height, int(learned.counts.sum())
        if lines >= LEAST_LINES and templates > lines * MOST_TEMPLATES:
            found = f"{templates:,} templates in {lines:,} lines"
            raise DataError(f"templates must recur to be learned, found {found}: check header, or take more lines")
        sessions, texts = scanned.sessions(parser)
        return self._fit(parser, sessions.filter(pl.Series(normal)), texts, None)

    def fit_sessions(
        self,
        sessions: pl.DataFrame,
        y: Values | None = None,
        weight: Values | None = None,
        *,
        templates: pl.DataFrame | None = None,
    ) -> Self:
        """Learn from sessions whose events are known, so that raw lines can be judged by them.

        Args:
            sessions: a list column ``events`` of template ids: texts, or the numbers in them (5 for ``E5``).
            y: true for an anomaly, shape (n,); these are left out, and so are rows without a label.
            weight: how many sessions each row stands for, shape (n,).
            templates: ``EventId`` and ``EventTemplate``, with ``<*>`` for values: lines are recognised by them; without
                any, all lines are unknown.

        Raises:
            DataError: if no normal session is left.
            SchemaError: if a column is missing, or events are neither texts nor numbers.
        """
        _require_sessions(sessions)
        normal = _normal(pl.Series(np.arange(sessions.height)), y)
        if not normal.any():
            raise DataError(f"a log is learned from normal sessions, found none in {sessions.height:,}: give some")
        mass = as_weights(weight, sessions.height)
        counted = None if mass is None else mass.astype(np.float64)[normal]
        parser = KnownTemplates({}) if templates is None else KnownTemplates.of(templates)
        texts = parser.texts | {number: parser.texts[name] for name, number in _numbers(parser).items()}
        return self._fit(parser, sessions.filter(pl.Series(normal)), texts, counted)

    def sessions(self, lines: Lines) -> pl.DataFrame:
        """Read lines as sessions of template ids, those of training.

        Returns:
            One row a session: ``session``, ``first_line``, ``last_line``, ``n_events``, ``events`` and ``lines``.

        Raises:
            NotFittedError: before :meth:`fit`.
            DataError: if the log is empty, the header does not fit, or no line has a session.
            SchemaError: if the lines are no texts.
            OSError: if the file cannot be read.
        """
        check_is_fitted(self, "detector_")
        return self.scan(lines).sessions(self.parser_)[0]

    def score_samples(self, lines: Lines) -> Floats:
        """Score sessions; HIGHER = MORE ABNORMAL.

        Args:
            lines: raw lines as :meth:`fit`, or sessions: a frame with a list column ``events``.

        Returns:
            One score a session, in the order of the sessions, shape (n_sessions,).

        Raises:
            NotFittedError: before :meth:`fit`.
            DataError: as :meth:`sessions`.
            SchemaError: as :meth:`sessions`.
        """
        check_is_fitted(self, "detector_")
        return self._scores(self._sessions_of(lines))

    def predict(self, lines: Lines) -> Bools:
        """Decide on sessions; true for an anomaly (arguments and errors as :meth:`score_samples`)."""
        decisions: Bools = self.threshold_.predict(self.score_samples(lines))
        return decisions

    def decide(
        self, lines: Lines, *, order: Order = "file", explained: Explained = "alarms", most: int = reasons.MOST_REASONS
    ) -> pl.DataFrame:
        """Decide on the sessions of raw lines and say why.

        Args:
            lines: as :meth:`fit`, or sessions: a frame with a list column ``events``.
            order: as in the ``"file"``, or by falling ``"score"``.
            explained: which sessions get reasons: the ``"alarms"``, ``"all"``, ``"none"``, or a number: those with the
                highest scores.
            most: most events that the reasons of a session name.

        Returns:
            One row a session: ``session``, ``decision`` (true for an anomaly), ``score``, ``threshold``, ``p_value``
            (share of held-out training sessions that score as high), ``reasons`` (clauses with the texts of templates
            and the numbers of lines), ``first_line``, ``last_line`` and ``n_events``.

        Raises:
            NotFittedError: before :meth:`fit`.
            DataError: as :meth:`sessions`.
            SchemaError: as :meth:`sessions`.
            SettingsError: if ``order`` or ``explained`` have no meaning.
        """
        check_is_fitted(self, "detector_")
        _check_choices(order, explained)
        given = tabular(lines)
        if isinstance(given, pl.DataFrame) and _are_sessions(given):
            return self.decide_sessions(given, order=order, explained=explained, most=most)
        sessions, texts = self.scan(given).sessions(self.parser_)
        return self._decided(sessions, self.texts_ | texts, order, explained, most)

    def decide_sessions(
        self,
        sessions: pl.DataFrame,
        *,
        order: Order = "file",
        explained: Explained = "alarms",
        most: int = reasons.MOST_REASONS,
        texts: Mapping[str, str] | None = None,
    ) -> pl.DataFrame:
        """Decide on sessions that are lists of events (other arguments, result and errors as :meth:`decide`).

        Args:
            sessions: a list column ``events`` of template ids, as in training; ``session``, ``first_line``,
                ``last_line`` and ``lines`` if they are known.
            order: as :meth:`decide`.
            explained: as :meth:`decide`.
            most: as :meth:`decide`.
            texts: texts of templates that training does not have, by event.
        """
        check_is_fitted(self, "detector_")
        _check_choices(order, explained)
        _require_sessions(sessions)
        return self._decided(_described(sessions), self.texts_ | dict(texts or {}), order, explained, most)

    def monitored(self, lines: Lines) -> pl.DataFrame:
        """Columns that drift is looked for in, those of the profile: what each session is like, in numbers.

        Args:
            lines: raw lines as :meth:`fit`, or sessions: a frame with a list column ``events``.

        Raises:
            NotFittedError: before :meth:`fit`.
            DataError: as :meth:`sessions`.
            SchemaError: as :meth:`sessions`.
        """
        check_is_fitted(self, "detector_")
        return self._traits(self._coded(self._sessions_of(lines)))

    def _sessions_of(self, lines: Lines) -> pl.DataFrame:
        """Sessions as they are, or those that raw lines make."""
        given = tabular(lines)
        return given if isinstance(given, pl.DataFrame) and _are_sessions(given) else self.sessions(given)

    def describe(self) -> list[str]:
        """Say what the model is made of, one sentence each."""
        check_is_fitted(self, "detector_")
        known = getattr(self.detector_, "vocabulary_", self.surprise_.vocabulary_).unseen
        made = f"{type(self.parser_).__name__} → {type(self.detector_).__name__} → {type(self.threshold_).__name__}"
        sentence, threshold = getattr(self.detector_, "sentence_", ""), self.threshold_.describe()
        return [
            made,
            f"reads raw lines of text, or sessions as lists of events; {known:,} event types are known",
            f"{self.repeated_:.0%} of the training sessions have counts that another one has",
            *([sentence] if sentence and sentence not in threshold else []),
            f"{self.held_out_rate_:.2%} of {self.p_values_.n_calibration_:,.0f} held-out training sessions are flagged",
        ]

    def example(self) -> pl.DataFrame:
        """A line for each known template with made-up values: an input that is nobody's log."""
        check_is_fitted(self, "detector_")
        texts = list(dict.fromkeys(self.texts_.values()))
        rule = {"header": self.header, "session": self.session, "time_format": self.time_format}
        return pl.DataFrame({"line": [made_up.line(text, **rule) for text in texts]}, schema={"line": pl.String})

    def __getstate__(self) -> dict[str, object]:
        """State without the function that is told of progress, and without the profile, which is stored beside it."""
        state: dict[str, object] = super().__getstate__()
        return state | {"progress": None, "profile_": None}

    def _fit(
        self,
        parser: LogTemplates | KnownTemplates,
        sessions: pl.DataFrame,
        texts: dict[str, str],
        weight: Floats | None,
    ) -> Self:
        """Fit detector and threshold on normal sessions."""
        rows = pl.DataFrame({EVENTS: sessions[EVENTS]})
        self.parser_ = parser
        self.surprise_ = CountSurprise().fit(rows, weight=weight)
        names = set(self.surprise_.vocabulary_.events.cast(pl.String))
        self.texts_ = texts if isinstance(parser, KnownTemplates) else {n: t for n, t in texts.items() if n in names}
        self.numbered_ = self.surprise_.vocabulary_.events.dtype != pl.String
        self.n_training_, self.n_anomalies_ = self.surprise_.n_sessions_, 0.0
        self.repeated_ = repeated_share(rows, weight)
        detector = self._default() if self.detector is None else self.detector
        self.detector_ = clone(detector).fit(rows, weight=weight)
        scores = self._calibration_scores(rows, weight)
        self.p_values_ = ConformalPValues().fit(scores)
        self.threshold_ = clone(self._threshold()).fit(scores)
        alarms = self.threshold_.predict(scores)
        self.held_out_rate_ = float(alarms.mean())
        counts = weight if weight is None or (weight % 1).any() else weight.astype(np.int64)
        bare = profile_of(self._traits(rows), weight=counts, quiet=True, always=[traits.UNKNOWN])
        self.profile_ = bare.scored(scores, alarms)
        return self

    def _traits(self, coded: pl.DataFrame) -> pl.DataFrame:
        return traits.traits(coded, self.surprise_.vocabulary_, traits.watched(self.surprise_.present))

    def _calibration_scores(self, rows: pl.DataFrame, weight: Floats | None) -> Floats:
        """Held-out scores of the training sessions; a detector that calibrates itself has them."""
        own = getattr(self.detector_, "calibration_", None)
        if isinstance(own, ConformalPValues):
            return np.repeat(own.scores_, np.rint(-np.diff(own.at_least_)).astype(np.int64))
        return held_out_scores(self.detector_, rows, weight, self.folds, self.seed)

    def _default(self) -> BaseEstimator:
        return SessionVote(rate=self.rate, seed=self.seed) if self.repeated_ >= REPEATED else CountSurprise()

    def _threshold(self) -> Threshold:
        if self.threshold is not None:
            return self.threshold
        own = getattr(self.detector_, "threshold_", None)
        if isinstance(own, float):
            return Fixed(own, self.detector_.sentence_)
        return Fixed(FIRES, "where the rule fires") if hasattr(self.detector_, "fires") else AlarmRate(self.rate)

    def _scores(self, sessions: pl.DataFrame) -> Floats:
        return np.asarray(self.detector_.score_samples(self._coded(sessions)), dtype=np.float64)

    def _coded(self, sessions: pl.DataFrame) -> pl.DataFrame:
        """Events as in training: numbers for ids such as E5 where training had numbers."""
        events = sessions[EVENTS]
        if self.numbered_ and events.dtype == pl.List(pl.String):
            number = _numbers(self.parser_) if isinstance(self.parser_, KnownTemplates) else {}
            known = pl.element().replace_strict(number, default=None, return_dtype=pl.String).cast(pl.Int64)
            events = events.list.eval(known)
        return pl.DataFrame({EVENTS: events})

    def _decided(
        self, sessions: pl.DataFrame, texts: Mapping[str, str], order: Order, explained: Explained, most: int
    ) -> pl.DataFrame:
        coded = self._coded(sessions)
        scores = np.asarray(self.detector_.score_samples(coded), dtype=np.float64) if coded.height else np.zeros(0)
        alarms = self.threshold_.predict(scores)
        rows = _explained_rows(explained, scores, alarms)
        said: list[list[str]] = [[] for _ in range(sessions.height)]
        for row, found in zip(rows.tolist(), self._reasons(sessions[rows], coded[rows], texts, most), strict=True):
            said[row] = found
        columns = (alarms, scores, np.full(len(alarms), self.threshold_.value_), self.p_values_.p_values(scores), said)
        decided = pl.DataFrame(dict(zip(DECISIONS, columns, strict=True)), schema=DECISIONS)
        places = [name for name in ("first_line", "last_line", "n_events") if name in sessions.columns]
        table = pl.concat([sessions.select(SESSION), decided, sessions.select(places)], how="horizontal")
        return table.sort("score", descending=True, maintain_order=True) if order == "score" else table

    def _reasons(
        self, sessions: pl.DataFrame, coded: pl.DataFrame, texts: Mapping[str, str], most: int
    ) -> list[list[str]]:
        """Clauses of some sessions: of the detector, then of the events that are unusual."""
        if not sessions.height:
            return []
        shown = coded if LINES not in sessions.columns else coded.with_columns(sessions[LINES])
        unit = (
            "window" if sessions.schema[SESSION].is_temporal() or sessions.schema[SESSION].is_integer() else "session"
        )
        said = reasons.clauses(self.surprise_, shown, texts, unit, most=most)
        if isinstance(self.detector_, CountSurprise) or not hasattr(self.detector_, "explain"):
            return said
        own = [reasons.readable(sentence, texts) for sentence in self.detector_.explain(coded)]
        return [[first, *rest] for first, rest in zip(own, said, strict=True)]


def _are_sessions(frame: pl.DataFrame) -> bool:
    return isinstance(frame.schema.get(EVENTS), pl.List)


def _check_choices(order: Order, explained: Explained) -> None:
    require.choice("order", order, ORDERS)
    if not isinstance(explained, int):
        require.choice("explained", explained, EXPLAINED)


def _explained_rows(explained: Explained, scores: Floats, alarms: Bools) -> Ints:
    """Rows that get reasons."""
    if explained == "alarms":
        return np.flatnonzero(alarms)
    order = np.argsort(-scores, kind="stable")
    return order[: len(scores) if explained == "all" else 0 if explained == "none" else max(int(explained), 0)]


def _require_sessions(sessions: pl.DataFrame) -> None:
    require.columns(sessions, [EVENTS], "the table of sessions")
    if not _are_sessions(sessions):
        found = sessions.schema[EVENTS]
        raise SchemaError(f"column {EVENTS!r} must hold lists of events, found {found}: sessionise first")


def _described(sessions: pl.DataFrame) -> pl.DataFrame:
    """Sessions with a name and a number of events each."""
    numbers = pl.int_range(1, sessions.height + 1, eager=True).cast(pl.String)
    named = sessions if SESSION in sessions.columns else sessions.with_columns(numbers.alias(SESSION))
    return named.with_columns(n_events=pl.col(EVENTS).list.len().fill_null(0))


def _numbers(parser: KnownTemplates) -> dict[str, str]:
    """Number in the id of each template, as text, where it has one: 5 for E5."""
    digits = {name: "".join(filter(str.isdigit, name)) for name in parser.texts}
    return {name: str(int(number)) for name, number in digits.items() if number}


def _normal(names: pl.Series, y: Labels | None) -> Bools:
    """Which sessions are normal for sure.

    Raises:
        DataError: if labels are not one a session, or no labels.
    """
    if y is None:
        return np.ones(names.len(), dtype=np.bool_)
    return np.asarray((~labels_of(names, y)).fill_null(value=False).to_numpy())


def labels_of(names: pl.Series, y: Labels) -> pl.Series:
    """Label of each session: true for an anomaly, null where there is none.

    Args:
        names: names of the sessions.
        y: labels by name (a mapping, or a frame with ``session`` and ``is_anomaly``), or one a session.

    Raises:
        DataError: if labels are not one a session, name no session, or are no verdicts.
        SchemaError: if a frame of labels lacks a column.
    """
    if isinstance(y, pl.DataFrame):
        require.columns(y, (SESSION, LABEL), "the labels")
        y = dict(y.select(pl.col(SESSION).cast(pl.String), LABEL).iter_rows())
    if isinstance(y, Mapping):
        y = _by_name(names.cast(pl.String), {str(name): label for name, label in y.items()})
    labels = as_series(y)
    if labels.len() != names.len():
        raise DataError(f"labels must be one a session, found {labels.len():,} for {names.len():,}: align them")
    known = labels.is_not_null()
    verdicts = np.zeros(labels.len(), dtype=np.bool_)
    if known.any():
        verdicts[known.to_numpy()] = as_labels(labels.filter(known))
    return pl.select(pl.when(known).then(pl.Series(verdicts))).to_series()


def _by_name(names: pl.Series, labels: Mapping[str, bool]) -> list[Any]:
    """Label of each session by its name, none for a session that is not named.

    Raises:
        DataError: if no session is named.
    """
    if labels and not any(name in labels for name in names):
        other = next(iter(labels))
        raise DataError(f"labels must name sessions such as {names[0]!r}, found only others such as {other!r}: correct")
    return [labels.get(name) for name in names]
