"""Next-event networks: an epoch on distinct windows, and scoring all sessions, against every window by itself."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.hdfs_logs import _session_files
from benchmarks.measure import in_turns
from benchmarks.registry import Bar, Row, Scale, case
from utils import settings
from utils.datasets import hdfs
from utils.detectors.networks import Course, quiet_keras
from utils.detectors.next_event import NextEvent, lessons, training
from utils.features import log_sessions

WIDTH, UNITS, BATCH, TOP = 10, 64, 64, 9
RATE = 0.01
EPOCHS = 2
"""Scoring costs the same whatever the network has learned."""

SAMPLE = 40
"""Sessions that the baseline scores; its time is scaled to all windows."""

EQUAL = 1e-4
"""Relative difference of losses that single precision may make."""


class _Sessions(NamedTuple):
    """Sessions of a benchmark.

    Attributes:
        train: normal sessions to learn from, one row each.
        test: all other sessions, one row each.
        data: where they came from.
    """

    train: pl.DataFrame
    test: pl.DataFrame
    data: str


@case("next_event_training", "log sequences")
def epoch_on_distinct_windows(scale: Scale) -> list[Row]:
    """Train one epoch on the distinct windows of ten, weighted, and on all windows; the loss is the same."""
    known = _sessions(scale).train
    vocabulary = log_sessions.Vocabulary.fit(known["events"])
    design = training.Design(vocabulary.unseen, "lstm", (UNITS,), None, 0.0)
    seen = log_sessions.distinct(known, vocabulary=vocabulary)
    distinct = lessons.windows(seen.sequences, seen.counts, WIDTH)
    every = _all_windows(log_sessions.encode(known["events"], vocabulary))
    with quiet_keras() as keras:
        course = Course(100, 100, RATE)
        learners = [training.Learner(keras, rows, design, course, BATCH, settings.SEED) for rows in (distinct, every)]
        _require_same_loss(*(training.judge_of(learners[0].model, rows, design)() for rows in (distinct, every)))
        generator = np.random.default_rng(settings.SEED)
        for learner in learners:
            learner.learn(generator)  # builds the graph
        ours, usual = (_epoch(learner, generator) for learner in learners)
        by_dictionary = _epoch_of_dictionaries(keras, design, every)
        cost = in_turns({"distinct": ours, "all": usual}, scale.rounds) | in_turns({"dictionaries": by_dictionary}, 1)
    size = f"{len(distinct):,} distinct of {len(every):,} windows, same weighted loss"
    data, bar = _sessions(scale).data, Bar("ratio", 8)
    title, seconds, peak = "epoch of a next-event LSTM", cost["distinct"].median, cost["distinct"].peak_mb
    return [
        Row(title, seconds, cost["all"].median, bar, size, data, peak, "the same on all windows"),
        Row(title, seconds, cost["dictionaries"].median, None, size, data, peak, "deep-loglizer's loader, with Keras"),
    ]


@case("next_event_scoring", "log sequences")
def score_all_sessions(scale: Scale) -> list[Row]:
    """Score all test sessions, and some of them window by window; verdicts by the top nine must be the same."""
    train, test, data = _sessions(scale)
    kinds = {"windows of ten": WIDTH, "whole sessions": None}
    fitted = {
        name: NextEvent(units=(UNITS,), window=width, epochs=EPOCHS, members=1).fit(train)
        for name, width in kinds.items()
    }
    works: dict[str, Callable[[], Any]] = {name: partial(_flagged, each, test) for name, each in fitted.items()}
    cost = in_turns(works, scale.rounds)
    rows = np.random.default_rng(settings.SEED).choice(test.height, min(SAMPLE, test.height), replace=False)
    with _one_by_one(fitted["windows of ten"]) as verdict:
        began = time.process_time()
        verdicts = [verdict(events) for events in test["events"].gather(rows).to_list()]
        seconds = time.process_time() - began
    if verdicts != cost["windows of ten"].value[rows].tolist():
        raise RuntimeError("verdicts must be those of single windows, found others: check next_event.prefixes")
    lengths = test["events"].list.len().to_numpy() + 1
    scaled = seconds * float(lengths.sum() / lengths[rows].sum())
    size = f"{test.height:,} sessions, {lengths.sum():,} windows"
    ours = {name: cost[name].median for name in kinds}
    noted = f"{size}; single windows of {len(rows)} sessions, scaled"
    return [
        Row("score sessions, windows of ten", ours["windows of ten"], scaled, Bar("ratio", 20), noted, data,
            cost["windows of ten"].peak_mb, "a call for each window"),
        Row("score whole sessions", ours["whole sessions"], None, Bar("seconds", 15), size, data,
            cost["whole sessions"].peak_mb),
    ]  # fmt: skip


def _sessions(scale: Scale) -> _Sessions:
    """Sessions of the real files, or of the simulator."""
    with _session_files(scale) as (files, data):
        labelled, sequences = hdfs.read_sessions(files)
    rows = labelled.join(sequences, on=hdfs.SEQUENCE_ID, how="left", maintain_order="left")
    learned = (pl.col("split") == "train") & ~pl.col("is_anomaly")
    return _Sessions(rows.filter(learned).select("events"), rows.filter(~learned).select("events"), data)


def _all_windows(sequences: log_sessions.Sequences) -> lessons.Lessons:
    """Every window of ten as a row of its own."""
    cut = log_sessions.windows(sequences, WIDTH + 1)
    last, width = np.full(len(cut), WIDTH - 1), np.full(len(cut), WIDTH)
    return lessons.Lessons(cut.values(), last, width, np.ones(len(cut)))


def _flagged(detector: NextEvent, rows: pl.DataFrame) -> NDArray[np.bool_]:
    return detector.scores(rows)["rank"].to_numpy() > TOP


def _epoch_of_dictionaries(keras: Any, design: training.Design, rows: lessons.Lessons) -> Callable[[], None]:  # noqa: ANN401
    """An epoch as deep-loglizer has it: every window a dictionary, batches put together in Python, a step for each.

    Its network is of Torch; here it is ours in Keras, so that the two differ by how they are fed.
    """
    model = training.network(keras, design, settings.SEED)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    samples = [{"features": row[:-1], "window_labels": row[1:]} for row in rows.tokens.astype(np.int32).tolist()]
    generator = np.random.default_rng(settings.SEED)

    def epoch() -> None:
        order = generator.permutation(len(samples)).tolist()
        for begin in range(0, len(order) - BATCH + 1, BATCH):
            chosen = [samples[place] for place in order[begin : begin + BATCH]]
            batch = {key: np.array([sample[key] for sample in chosen]) for key in chosen[0]}
            last = np.minimum(batch["window_labels"], design.codes - 1)
            model.train_on_batch(np.minimum(batch["features"], design.codes - 1), last)

    return epoch


def _epoch(learner: training.Learner, generator: np.random.Generator) -> Callable[[], None]:
    return lambda: learner.learn(generator)


@contextmanager
def _one_by_one(detector: NextEvent) -> Iterator[Callable[[list[Any]], bool]]:
    """A function that judges a session as public code does: one call of the network for each window."""
    vocabulary = detector.vocabulary_
    border, unseen = vocabulary.begin, vocabulary.unseen
    with quiet_keras() as keras:
        import tensorflow as tf  # type: ignore[import-untyped]

        design = training.Design(unseen, "lstm", (UNITS,), None, 0.0)
        model = training.network(keras, design, 0)
        model.set_weights(detector.networks_[0])
        given = tf.TensorSpec((1, WIDTH), tf.int32)
        called = tf.function(lambda window: model(window)[0, -1], input_signature=[given], autograph=False)

        def judge(events: list[Any]) -> bool:
            codes = vocabulary.codes(pl.Series(events)).astype(np.int32).tolist()
            tokens = np.array([*[border] * WIDTH, *codes, border], np.int32)
            return any(_misses(called(tokens[None, at : at + WIDTH]).numpy(), tokens[at + WIDTH], unseen)
                       for at in range(len(codes) + 1))  # fmt: skip

        judge([])
        yield judge


def _misses(logits: NDArray[Any], token: int, unseen: int) -> bool:
    """Whether a token is not among the most probable ones."""
    if token == unseen:
        return len(logits) > TOP
    return int((np.delete(logits, unseen) > logits[token]).sum()) >= TOP


def _require_same_loss(ours: float, baseline: float) -> None:
    """Check the loss.

    Raises:
        RuntimeError: if the two differ.
    """
    if abs(ours - baseline) > EQUAL * abs(baseline):
        raise RuntimeError(f"the weighted loss must be that of all windows, {baseline}, found {ours}: check lessons")
