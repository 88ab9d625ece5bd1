"""Why a log session was flagged: step by step, against the nearest normal session, and in words.

What a sequence model expected at each step is the explanation that Du, Li, Zheng, Srikumar, "DeepLog", CCS 2017, gives
of an anomaly; the nearest known count vector is that of Landauer, Skopik, Wurzenberger, "A Critical Review of Common
Log Data Sets", FSE 2024. Both stand side by side here, with what each detector says, so that an alarm of any of them
leads back to lines that a person can read.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
import polars as pl

from utils.datasets import require
from utils.errors import DataError
from utils.evaluation.inputs import Bools, Values, as_decisions, as_labels, as_names, finite_scores
from utils.evaluation.thresholds import Threshold
from utils.explain.importance import FALSE_ALARM, MISS, examples
from utils.explain.normal_sessions import Neighbour, NormalSessions, aligned
from utils.features import log_sessions
from utils.features.log_sessions import Vocabulary

END, NO_EVENT = "end of session", "(null)"
TOKENS: Mapping[object, str] = {None: END, "(end)": END, "(unseen)": "an event never seen"}
"""What a sequence model expects beside events."""

ID_LENGTH = 6
"""Longest identifier of an event that is shown as it is; a longer one gives way to the beginning of its template."""

NAME_LENGTH, TEXT_LENGTH = 32, 64
AROUND = 6
"""Steps on each side of the most surprising one that a table of a long session shows."""

WHOLE = 40
"""Sessions up to this long are shown whole."""

MOST_DIFFERENCES = 4
LEAST_SHARE, LEAST_EXPECTED = 1e-4, 0.005
"""Smallest probability that is written as a number, and smallest one of an event that is said to be expected."""

TEMPLATE_COLUMNS = (("EventId", "EventTemplate"), ("template_id", "template"))
NUMBERS = ("line_ids", "lines")
LINE_COLUMNS = (("LineId", "Content"), ("line_id", "content"))
TENTH, NEARLY_ONE = 0.1, 0.995
SURPRISED, UNSEEN, DEPARTS = "surprised most", "never seen in training", "departs from the nearest normal session"

STEPS = {
    "step": pl.Int64,
    "line": pl.Int64,
    "event": pl.String,
    "text": pl.String,
    "expected": pl.String,
    "likeliest": pl.String,
    "likeliest_probability": pl.Float64,
    "probability": pl.Float64,
    "rank": pl.Int64,
    "surprise": pl.Float64,
    "known": pl.Boolean,
    "mark": pl.String,
}
COUNTS = {
    "event": pl.String,
    "text": pl.String,
    "here": pl.Int64,
    "nearest": pl.Int64,
    "difference": pl.Int64,
}
NEAREST: dict[str, pl.DataType | type[pl.DataType]] = {
    "distance": pl.Int64,
    "sessions": pl.Float64,
    "difference": pl.String,
    "events": pl.List(pl.String),
    "equal_sessions": pl.Float64,
}
ALIGNED = {"step": pl.Int64, "here": pl.String, "usual": pl.String, "same": pl.Boolean}
REASONS = {"detector": pl.String, "fired": pl.Boolean, "score": pl.Float64, "reason": pl.String}


class Steps(Protocol):
    """A sequence model that can say what it expected, such as :class:`utils.detectors.next_event.NextEvent`."""

    def steps(self, X: pl.DataFrame) -> pl.DataFrame:
        """Probability, rank and surprise of each step of each session, and what was expected."""


@dataclass(frozen=True)
class EventNames:
    """What people call the events.

    Attributes:
        names: short name by event, for pictures and sentences.
        texts: template by event.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, templates: pl.DataFrame | Mapping[str, str] | None) -> Self:
        """Take names from templates by event, or a frame of them.

        The frame has ``EventId`` and ``EventTemplate``, or ``template_id`` and ``template``. An event 5 is the template
        E5.

        Raises:
            SchemaError: if the frame has neither pair of columns.
        """
        if templates is None:
            return cls()
        names: dict[str, str] = {}
        texts: dict[str, str] = {}
        if isinstance(templates, pl.DataFrame):
            key, text = _pair(templates, TEMPLATE_COLUMNS, "the frame of templates")
            templates = dict(templates.select(pl.col(key).cast(pl.String), text).drop_nulls().iter_rows())
        for event, template in templates.items():
            name = event if len(event) <= ID_LENGTH else _beginning(template, event, names.values())
            for known in (event, event.removeprefix("E")):
                names[known], texts[known] = name, template
        return cls(names, texts)

    def name(self, event: object) -> str:
        """Short name of an event."""
        return NO_EVENT if event is None else self.names.get(str(event)) or _cut(str(event), NAME_LENGTH)

    def text(self, event: object) -> str | None:
        """Template of an event, if it is known."""
        return self.texts.get(str(event))

    def phrase(self, event: object) -> str:
        """Name of an event with its template in brackets, unless the name is its beginning already."""
        name, text = self.name(event), self.text(event)
        said = _cut(_tidy(text), TEXT_LENGTH) if text else name
        return f"{name} ({said})" if text and len(name) <= ID_LENGTH else f"“{said}”" if text else self.quoted(event)

    def quoted(self, event: object) -> str:
        """Short name of an event, in quotation marks where it is no identifier."""
        name = self.name(event)
        return f"“{name}”" if " " in name else name


@dataclass(frozen=True, eq=False)
class SessionExplanation:
    """Why a session was flagged, or why not.

    Attributes:
        name: what the session is called.
        n_events: its number of events.
        steps: one row an event, and the end of the session if the model looks at it: ``step`` from 1, ``line`` (its
            number), ``event``, ``text`` (line or template), ``expected`` (the most probable events with probabilities),
            ``likeliest`` and ``likeliest_probability`` (the first of them), ``probability`` of what came in 0..1,
            ``rank`` from 1, ``surprise`` (negative logarithm of the probability, nats), ``known`` (in training),
            ``mark`` (why this step stands out). Null where nothing can say.
        counts: one row an event of this session or of the nearest normal one, largest difference first: ``here``,
            ``nearest``, ``difference``.
        nearest: known count vectors, nearest first: ``distance``, ``sessions`` of training that have it,
            ``difference`` in words, ``events`` of one such session, ``equal_sessions`` of training.
        aligned: the session beside the nearest normal one, matching events side by side; empty if both are too long.
        reasons: one row a detector: whether it ``fired``, its ``score``, its ``reason``.
        sentence: the most important of it in plain words.
    """

    name: str
    n_events: int
    steps: pl.DataFrame
    counts: pl.DataFrame
    nearest: pl.DataFrame
    aligned: pl.DataFrame
    reasons: pl.DataFrame
    sentence: str

    @property
    def worst(self) -> int | None:
        """Row of ``steps`` that stands out most, if any does."""
        places = self.steps["mark"].is_not_null().arg_true()
        return int(places[0]) if len(places) else None

    def table(self, around: int = AROUND) -> pl.DataFrame:
        """Steps to be shown: all of a short session, else those near the one that stands out.

        Columns that say nothing about any of them are left out.

        Args:
            around: steps on each side.
        """
        first, last = self.shown(around)
        table = self.steps[first:last].drop("likeliest", "likeliest_probability", "known")
        return table.select(column for column in table if column.null_count() < max(table.height, 1))

    def shown(self, around: int = AROUND, whole: int = WHOLE) -> tuple[int, int]:
        """First row of ``steps`` to be shown, and the one after the last.

        Args:
            around: steps on each side of the one that stands out.
            whole: longest session that is shown whole.
        """
        if self.steps.height <= whole:
            return 0, self.steps.height
        first = max(0, min((self.worst or 0) - around, self.steps.height - 2 * around - 1))
        return first, min(self.steps.height, first + 2 * around + 1)

    def left_out(self, around: int = AROUND, whole: int = WHOLE) -> str:
        """Say which steps are not shown; an empty text if all are."""
        first, last = self.shown(around, whole)
        before, after = first, self.steps.height - last
        parts = [f"{number:,} steps {where}" for number, where in ((before, "before"), (after, "after")) if number]
        return f"{' and '.join(parts)} are left out" if parts else ""


class _Session(NamedTuple):
    """What is known of one session before it is put into words."""

    name: str
    events: list[object]
    known: Bools
    lines: list[int] | None
    model: pl.DataFrame | None
    neighbours: list[Neighbour]
    reasons: pl.DataFrame


@dataclass(frozen=True, eq=False)
class SessionExplainer:
    """Explains sessions, one by one; for the few that a person looks at.

    Attributes:
        normal: the normal sessions of training.
        model: fitted sequence model with ``steps``; ``None`` for counts only.
        detectors: fitted detectors by name; ``explain(X)``, ``fires(X)`` and ``score_samples(X)`` are used as far as
            they have them.
        thresholds: fitted thresholds of detectors by name, where they do not say themselves whether they fire.
        templates: template of each event, by event or as a frame (see :meth:`EventNames.of`).
        lines: frame with the text of each line, ``LineId`` and ``Content`` or ``line_id`` and ``content``, for sessions
            with the numbers of their lines.
        neighbours: nearest count vectors that are named.
    """

    normal: NormalSessions
    model: Steps | None = None
    detectors: Mapping[str, Any] = field(default_factory=dict)
    thresholds: Mapping[str, Threshold] = field(default_factory=dict)
    templates: pl.DataFrame | Mapping[str, str] | None = None
    lines: pl.DataFrame | None = None
    neighbours: int = 3

    def explain(self, X: pl.DataFrame, names: Sequence[object] | None = None) -> list[SessionExplanation]:
        """Explain sessions.

        Args:
            X: n sessions with their events, and optionally the numbers of their lines as lists, ``line_ids`` or
                ``lines``.
            names: what the sessions are called; their row numbers by default.

        Returns:
            n explanations.

        Raises:
            SchemaError: if a column is missing or of another kind than in training.
            DataError: if there are not n names, or not as many lines as events in a session.
        """
        if names is not None and len(names) != X.height:
            raise DataError(f"each of {X.height:,} sessions needs a name, found {len(names):,}: give one for each")
        require.columns(X, [self.normal.events], "the table of sessions")
        called = EventNames.of(self.templates)
        return [self._explained(session, called) for session in self._sessions(X, names)] if X.height else []

    def _sessions(self, X: pl.DataFrame, names: Sequence[object] | None) -> Iterator[_Session]:
        sequences = log_sessions.encode(X[self.normal.events], self.normal.vocabulary)
        neighbours = self.normal.nearest(sequences, max(1, self.neighbours))
        model = _by_row(self.model.steps(X)) if self.model is not None else {}
        reasons = _reasons(X, self.detectors, self.thresholds)
        numbers = next((X[name] for name in NUMBERS if isinstance(X.schema.get(name), pl.List)), None)
        for row, events in enumerate(X[self.normal.events].to_list()):
            lines = None if numbers is None or numbers[row] is None else numbers[row].to_list()
            name = f"session {row}" if names is None else str(names[row])
            known = np.asarray(sequences[row]) < sequences.vocabulary.unseen
            yield _Session(name, events or [], known, lines, model.get(row), neighbours[row], reasons[row])

    def _explained(self, session: _Session, called: EventNames) -> SessionExplanation:
        nearest = session.neighbours[0]
        side_by_side = _aligned(session.events, nearest.events, called)
        steps = _marked(self._steps(session, called), side_by_side)
        counts = _counts(session, nearest, called, self.normal.vocabulary)
        words = [_differing(session, near, called, self.normal.vocabulary) for near in session.neighbours]
        near = pl.DataFrame(
            [
                (found.distance, found.n_sessions, said, list(map(called.name, found.events)), found.n_like)
                for found, said in zip(session.neighbours, words, strict=True)
            ],
            schema=NEAREST,
            orient="row",
        )
        sentence = " ".join(_paragraph(session, steps, words[0], self.normal, called))
        return SessionExplanation(
            session.name, len(session.events), steps, counts, near, side_by_side, session.reasons, sentence
        )

    def _steps(self, session: _Session, called: EventNames) -> pl.DataFrame:
        """The steps as people read them."""
        if session.lines is not None and len(session.lines) != len(session.events):
            found = f"{len(session.lines):,} lines for {len(session.events):,} events in {session.name}"
            raise DataError(f"each event needs the number of its line, found {found}: gather them together")
        frame = pl.DataFrame(
            {
                "position": pl.int_range(len(session.events), eager=True),
                "line": pl.Series(session.lines or [None] * len(session.events), dtype=pl.Int64),
                "event": pl.Series([called.name(event) for event in session.events], dtype=pl.String),
                "text": pl.Series([called.text(event) for event in session.events], dtype=pl.String),
                "known": session.known,
            }
        )
        frame = self._with_lines(frame)
        frame = frame.join(_expectations(session, called), on="position", how="full", coalesce=True).sort("position")
        frame = frame.with_columns(pl.col("event").fill_null(END), step=pl.col("position") + 1)
        missing = [pl.lit(None, kind).alias(name) for name, kind in STEPS.items() if name not in frame.columns]
        return frame.with_columns(missing).select(pl.col(name).cast(kind) for name, kind in STEPS.items())

    def _with_lines(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Put the text of the line in the place of its template, where it is known."""
        if self.lines is None:
            return frame
        number, text = _pair(self.lines, LINE_COLUMNS, "the frame of lines")
        texts = self.lines.select(pl.col(number).cast(pl.Int64).alias("line"), pl.col(text).alias("content"))
        wanted = texts.filter(pl.col("line").is_in(frame["line"].drop_nulls().to_list())).unique("line", keep="first")
        joined = frame.join(wanted, on="line", how="left", maintain_order="left")
        return joined.with_columns(text=pl.coalesce("content", "text")).drop("content")


def session_examples(
    scores: Values,
    flagged: Values,
    y: Values | None = None,
    kinds: Values | None = None,
    *,
    most: int = 3,
) -> pl.DataFrame:
    """Choose sessions worth looking at: the highest alarms, one of each kind of anomaly, a false alarm, a miss.

    Args:
        scores: higher is more abnormal (n,).
        flagged: true for an alarm (n,).
        y: true for an anomaly (n,), if that is known.
        kinds: kind of each anomaly (n,), if that is known.
        most: number of highest alarms.

    Returns:
        ``row`` and ``why``, each row once.

    Raises:
        DataError: if lengths differ, or a score is NaN.
    """
    ranks = finite_scores(scores)
    alarms = as_decisions(flagged, len(ranks))
    order = np.argsort(-ranks, kind="stable")
    chosen = [(int(row), "highest alarm") for row in order[alarms[order]][: max(0, most)]]
    if y is not None:
        labels = as_labels(y, len(ranks))
        found = examples(labels, alarms, ranks)
        chosen += [(found[name], name) for name in (FALSE_ALARM, MISS) if name in found]
        if kinds is not None:
            named = as_names(kinds, len(ranks), "kinds of anomaly").to_numpy()
            chosen += _one_of_each(named, labels, alarms, order)
    table = pl.DataFrame(chosen, schema={"row": pl.Int64, "why": pl.String}, orient="row")
    return table.group_by("row", maintain_order=True).agg(pl.col("why").unique(maintain_order=True).str.join("; "))


def _one_of_each(
    kinds: np.ndarray, labels: np.ndarray, alarms: np.ndarray, order: np.ndarray
) -> Iterator[tuple[int, str]]:
    """The flagged session with the highest score of each kind of anomaly, or the highest at all if none is flagged."""
    for kind in sorted(set(kinds[labels])):
        rows = order[(labels & (kinds == kind))[order]]
        found = rows[alarms[rows]]
        yield (int(found[0]), str(kind)) if found.size else (int(rows[0]), f"{kind}, missed")


def _by_row(steps: pl.DataFrame) -> dict[int, pl.DataFrame]:
    """Steps of each session, with the columns of expected events under their own names.

    Raises:
        SchemaError: if a column is missing.
    """
    require.columns(steps, ("row", "position", "probability", "rank", "surprise"), "the table of steps")
    renamed = {}
    for name, kind in steps.schema.items():
        if isinstance(kind, pl.List):
            renamed[name] = "shares" if kind.inner is not None and kind.inner.is_float() else "candidates"
    parts = steps.rename(renamed).partition_by("row", as_dict=True)
    return {int(row[0]): part for row, part in parts.items()}


def _expectations(session: _Session, called: EventNames) -> pl.DataFrame:
    """What a model says about each position."""
    schema = {name: STEPS[name] for name in ("probability", "rank", "surprise")}
    if session.model is None:
        return pl.DataFrame(schema={"position": pl.Int64})
    said = session.model.select(pl.col("position").cast(pl.Int64), *schema)
    if "candidates" not in session.model.columns:
        return said
    rows: list[tuple[str | None, str | None, float | None]] = []
    for events, shares in session.model.select("candidates", "shares").iter_rows():
        named = list(zip(events or [], shares or [], strict=False))
        listed = [*named[:1], *(pair for pair in named[1:] if pair[1] >= LEAST_EXPECTED)]
        words = ", ".join(f"{_candidate(event, called.quoted)} {_percent(share)}" for event, share in listed)
        rows.append((words, _candidate(listed[0][0], called.name), listed[0][1]) if listed else (None, None, None))
    kinds = {name: STEPS[name] for name in ("expected", "likeliest", "likeliest_probability")}
    return said.hstack(pl.DataFrame(rows, schema=kinds, orient="row"))


def _candidate(event: object, named: Callable[[object], str]) -> str:
    return TOKENS[event] if event in TOKENS else named(event)


def _reasons(X: pl.DataFrame, detectors: Mapping[str, Any], thresholds: Mapping[str, Threshold]) -> list[pl.DataFrame]:
    """What each detector says about each session."""
    columns = []
    for name, detector in detectors.items():
        scores = np.asarray(detector.score_samples(X), dtype=np.float64).tolist()
        fired = _fired(X, detector, thresholds.get(name), scores)
        said = list(detector.explain(X)) if hasattr(detector, "explain") else [f"score {score:.4g}" for score in scores]
        columns.append([(name, *told) for told in zip(fired, scores, said, strict=True)])
    return [
        pl.DataFrame([column[row] for column in columns], schema=REASONS, orient="row").sort(
            "fired", descending=True, nulls_last=True, maintain_order=True
        )
        for row in range(X.height)
    ]


def _fired(X: pl.DataFrame, detector: object, threshold: Threshold | None, scores: list[float]) -> list[bool | None]:
    if threshold is not None:
        return [bool(fired) for fired in threshold.predict(scores)]
    if hasattr(detector, "fires"):
        return [bool(fired) for fired in detector.fires(X)]
    return [None] * len(scores)


def _aligned(events: list[object], usual: list[object], called: EventNames) -> pl.DataFrame:
    here, there = [called.name(event) for event in events], [called.name(event) for event in usual]
    rows = []
    for left, right in aligned([str(event) for event in events], [str(event) for event in usual]):
        step = None if left is None else left + 1
        mine, its = None if left is None else here[left], None if right is None else there[right]
        rows.append((step, mine, its, left is not None and right is not None and events[left] == usual[right]))
    return pl.DataFrame(rows, schema=ALIGNED, orient="row")


def _marked(steps: pl.DataFrame, side_by_side: pl.DataFrame) -> pl.DataFrame:
    """Mark the step that stands out: by surprise, else by an unseen event, else where it leaves the normal session."""
    surprise = steps["surprise"].fill_nan(None)
    unseen = (~steps["known"].fill_null(value=True)).arg_true()
    departs = side_by_side.filter(~pl.col("same") & pl.col("step").is_not_null())["step"]
    if surprise.null_count() < len(surprise):
        place, why = int(surprise.arg_max() or 0), SURPRISED
    elif len(unseen):
        place, why = int(unseen[0]), UNSEEN
    elif len(departs):
        place, why = int(departs[0]) - 1, DEPARTS
    else:
        return steps
    return steps.with_columns(mark=pl.when(pl.int_range(pl.len()) == place).then(pl.lit(why)))


def _tallies(session: _Session, nearest: Neighbour, vocabulary: Vocabulary) -> list[tuple[object, int, int]]:
    """Events of a session or of its neighbour with both counts, largest difference first."""
    here: dict[object, int] = {}
    for event in session.events:
        here[event] = here.get(event, 0) + 1
    held = np.flatnonzero(nearest.counts)
    there = dict(zip(vocabulary.decoded(held.astype(np.uint64)).to_list(), nearest.counts[held].tolist(), strict=True))
    events = [*here, *(event for event in there if event not in here)]
    rows = [(event, here.get(event, 0), there.get(event, 0)) for event in events]
    return sorted(rows, key=lambda row: -abs(row[1] - row[2]))


def _counts(session: _Session, nearest: Neighbour, called: EventNames, vocabulary: Vocabulary) -> pl.DataFrame:
    rows = [
        (called.name(event), called.text(event), here, there, here - there)
        for event, here, there in _tallies(session, nearest, vocabulary)
    ]
    return pl.DataFrame(rows, schema=COUNTS, orient="row")


def _differing(session: _Session, nearest: Neighbour, called: EventNames, vocabulary: Vocabulary) -> str:
    """Differences in counts in words; empty if there are none."""
    differing = [row for row in _tallies(session, nearest, vocabulary) if row[1] != row[2]]
    parts = [f"{called.quoted(event)} {here:,} instead of {there:,} times" for event, here, there in differing]
    more = len(parts) - MOST_DIFFERENCES
    return _and([*parts[:MOST_DIFFERENCES], *([f"{more} more"] if more > 0 else [])])


def _paragraph(
    session: _Session,
    steps: pl.DataFrame,
    differing: str,
    normal: NormalSessions,
    called: EventNames,
) -> Iterator[str]:
    """The most important of an explanation, sentence by sentence."""
    number = len(session.events)
    yield f"{session.name[:1].upper()}{session.name[1:]}: {number:,} event{'' if number == 1 else 's'}."
    yield from _of_step(session, steps, called)
    yield from _of_neighbour(session, differing, normal)
    fired = session.reasons.filter(pl.col("fired"))
    if session.reasons["fired"].drop_nulls().len():
        reasons = fired.select("detector", pl.col("reason").str.split("; ").list.first()).iter_rows()
        said = _and([f"{name} ({reason})" for name, reason in reasons])
        among = f"{fired.height} of {session.reasons.height} detectors fired"
        yield f"{among}{': ' if said else ''}{said}."


def _of_step(session: _Session, steps: pl.DataFrame, called: EventNames) -> Iterator[str]:
    marked = steps.filter(pl.col("mark").is_not_null())
    if marked.is_empty():
        return
    step = marked.row(0, named=True)
    place = step["step"] - 1
    came = called.phrase(session.events[place]) if place < len(session.events) else "the session ended"
    verb = " came" if place < len(session.events) else ""
    line = f", line {step['line']:,}" if step["line"] is not None else ""
    never = ", which no training session has," if step["known"] is False else ""
    if step["mark"] != SURPRISED:
        yield f"Step {step['step']:,}{line} stands out: {came}{never}{verb}."
        return
    share = _percent(step["probability"])
    probability = share if share.startswith("below") else f"of {share}"
    seen = f"{came}{never}{verb} with a probability {probability} (rank {step['rank']})"
    expected = f"; expected was {step['expected']}" if step["expected"] else ""
    yield f"Step {step['step']:,}{line} surprised most: {seen}{expected}."


def _of_neighbour(session: _Session, differing: str, normal: NormalSessions) -> Iterator[str]:
    nearest = session.neighbours[0]
    of = f"of {normal.n_sessions:,.0f} normal training sessions"
    if differing:
        have = f"the nearest of {normal.n_vectors:,} known ones, which {nearest.n_sessions:,.0f} {of} have"
        yield f"Its event counts are new: from {have}, they differ in {differing}."
    elif session.events == nearest.events:
        yield f"{nearest.n_like:,.0f} {of} have exactly this sequence."
    else:
        yield f"{nearest.n_sessions:,.0f} {of} have exactly these event counts; only the order is new."


def _pair(frame: pl.DataFrame, pairs: Iterable[tuple[str, str]], what: str) -> tuple[str, str]:
    """The first pair of columns that a frame has.

    Raises:
        SchemaError: if it has none.
    """
    known = list(pairs)
    found = next((pair for pair in known if set(pair) <= set(frame.columns)), None)
    if found is None:
        require.columns(frame, known[0], what)
    return found or known[0]


def _beginning(template: str, event: str, taken: Iterable[str]) -> str:
    """Beginning of a template as a name that no other event has."""
    name = _cut(_tidy(template).lstrip("* :,.-"), NAME_LENGTH) or event
    known = set(taken)
    numbered = (f"{_cut(name, NAME_LENGTH - length - 3)} [{event[:length]}]" for length in (4, 8, 12))
    return next((found for found in (name, *numbered) if found not in known), event)


def _tidy(text: str) -> str:
    return " ".join(text.replace("<*>", " * ").split()).removeprefix("* ")


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"


def _percent(share: float | None) -> str:
    if share is None or math.isnan(share):
        return "unknown"
    if share < LEAST_SHARE:
        return "below 0.01 %"
    return f"{100 * share:.2g} %" if share < TENTH else f"{100 * share:.{int(share > NEARLY_ONE)}f} %"


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""
