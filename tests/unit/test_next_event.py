"""Next-event networks: what they learn from, that numpy runs them as Keras does, and what sessions score."""

import pickle

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sklearn.base import clone

from utils.detectors import networks
from utils.detectors.networks import Course
from utils.detectors.next_event import NextEvent, estimator, lessons, prefixes, training
from utils.detectors.next_event.recurrence import Network
from utils.errors import DataError, SchemaError, SettingsError
from utils.features import log_sessions

TINY = {"units": (6,), "epochs": 2, "batch": 16, "members": 1}
SIMPLE = hypothesis_settings(deadline=None, max_examples=40)
SESSIONS = st.lists(st.lists(st.integers(0, 4), max_size=9), min_size=1, max_size=12)


NUMBERS, TEXTS = pl.List(pl.Int64), pl.List(pl.String)


def frame(sessions, dtype=NUMBERS):
    return pl.DataFrame({"events": pl.Series(sessions, dtype=dtype)})


def coded(sessions, known=(0, 1, 2, 3)):
    return log_sessions.encode(frame(sessions)["events"], log_sessions.Vocabulary.fit(pl.Series(known)))


def random_arrays(cell, units, embedding, codes, seed=0):
    """Arrays as Keras gives them, of random numbers."""
    rng, gates = np.random.default_rng(seed), {"lstm": 4, "gru": 3}[cell]
    shapes, inputs = [], codes
    if embedding:
        shapes, inputs = [(codes, embedding)], embedding
    for size in units:
        bias = (2, gates * size) if cell == "gru" else (gates * size,)
        shapes += [(inputs, gates * size), (size, gates * size), bias]
        inputs = size
    arrays = [rng.normal(size=shape).astype(np.float32) for shape in (*shapes, (inputs, codes), (codes,))]
    arrays[-1][codes - 2] = -40  # the unseen code is never wanted in training
    return arrays


def one_by_one(network, events, border, unseen_share):
    """Probabilities of each step of one session by the plain loop, its ranks, and the entropy of what was expected."""
    state, chances, ranks, entropies = network.begin(), [], [], []
    for before, after in zip([border, *events], [*events, border], strict=True):
        state = network.step(state, np.array([before]))
        expected = network.probabilities(state)[0].astype(np.float64)
        possible = np.delete(expected, border - 1)
        expected[border - 1] = min(unseen_share, possible.min() / possible.sum() * (1 - unseen_share))
        unseen = after == border - 1
        chances.append(expected[after] * (1 if unseen else 1 - unseen_share))
        ranks.append(border + 1 if unseen else 1 + int((expected > expected[after]).sum()))
        every = [*possible / possible.sum() * (1 - unseen_share), expected[border - 1]]
        entropies.append(-sum(share * np.log(share) for share in every if share > 0))
    return chances, ranks, entropies


# ---------------------------------------------------------------- what is learned from


@SIMPLE
@given(SESSIONS, st.integers(1, 4))
def test_weights_of_distinct_sessions_are_those_of_all_sessions(sessions, width):
    every = coded(sessions)
    distinct = log_sessions.distinct(frame(sessions), vocabulary=every.vocabulary)
    ones = np.ones(len(every))
    for make in (lessons.whole_sessions, lambda rows, weight: lessons.windows(rows, weight, width)):
        plain, merged = make(every, ones), make(distinct.sequences, distinct.counts)
        assert merged.wanted == plain.wanted == len(every.codes) + len(every)
        assert pairs(merged) == pytest.approx(pairs(plain))


def pairs(rows):
    """Weight of every wanted token with the tokens given before it."""
    found = {}
    for tokens, first, length, weight in zip(rows.tokens, rows.first, rows.lengths, rows.weight, strict=True):
        for place in range(first, length):
            key = (*tokens[: place + 1].tolist(), "->", int(tokens[place + 1]))
            found[key] = found.get(key, 0) + weight
    return found


@SIMPLE
@given(st.lists(st.integers(0, 700), min_size=1, max_size=4))
def test_rows_are_short_and_want_every_event_once(lengths):
    rng = np.random.default_rng(sum(lengths))
    sequences = coded([rng.integers(0, 4, size).tolist() for size in lengths])
    rows = lessons.whole_sessions(sequences, np.ones(len(lengths)))
    assert rows.lengths.max() <= lessons.STRIDE + lessons.LEAD
    assert rows.wanted == sum(lengths) + len(lengths)
    asked = [
        rows.tokens[row, rows.first[row] + 1 : rows.lengths[row] + 1].repeat(int(rows.weight[row]))
        for row in range(len(rows))
    ]
    counts = np.bincount(np.concatenate(asked), minlength=7)
    assert counts[:4].tolist() == np.bincount(sequences.codes, minlength=4)[:4].tolist()
    assert counts[sequences.vocabulary.end] == len(lengths)


@SIMPLE
@given(SESSIONS)
def test_a_power_of_the_counts_weighs_rare_sessions_more(sessions):
    distinct = log_sessions.distinct(frame(sessions))
    for power in (0.0, 0.5, 1.0):
        rows = lessons.rows_of(distinct.sequences, distinct.counts, power=power)
        assert rows.weight.tolist() == (distinct.counts**power).tolist()


# ---------------------------------------------------------------- numpy runs what Keras trains


@pytest.mark.parametrize(
    ("cell", "units", "embedding"), [("lstm", (5,), None), ("lstm", (4, 3), 2), ("gru", (5,), None), ("gru", (4, 3), 2)]
)
def test_numpy_gives_the_probabilities_of_keras(cell, units, embedding):
    design = training.Design(5, cell, units, embedding, 0.0)
    with networks.quiet_keras() as keras:
        model = training.network(keras, design, 3)
        arrays = random_arrays(cell, units, embedding, design.codes)
        model.set_weights(arrays)
        tokens = np.random.default_rng(1).integers(0, design.codes, (4, 11)).astype(np.int32)
        logits = np.asarray(model(tokens))
    wanted = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    network = Network(arrays, cell)
    state = network.begin(4)
    for place in range(tokens.shape[1]):
        state = network.step(state, tokens[:, place])
        assert network.probabilities(state) == pytest.approx(wanted[:, place], abs=1e-5)


def test_the_loss_over_distinct_sessions_is_that_over_all_sessions():
    sessions = [[0, 1, 2], [0, 1, 2], [0, 1, 2], [3], [3], [], [1] * 150, [1] * 150]
    every, distinct = coded(sessions), log_sessions.distinct(frame(sessions))
    design = training.Design(4, "lstm", (5,), None, 0.0)
    with networks.quiet_keras() as keras:
        model = training.network(keras, design, 0)
        for make in (lessons.whole_sessions, lambda rows, weight: lessons.windows(rows, weight, 3)):
            plain = training.judge_of(model, make(every, np.ones(len(sessions))), design)()
            merged = training.judge_of(model, make(distinct.sequences, distinct.counts), design)()
            assert merged == pytest.approx(plain, rel=1e-5)


@SIMPLE
@given(SESSIONS, st.sampled_from(["lstm", "gru"]), st.integers(1, 2), st.integers(0, 3))
def test_every_step_is_judged_as_by_the_plain_loop(sessions, cell, members, most):
    sequences = coded(sessions)
    border = sequences.vocabulary.unseen + 1
    nets = [Network(random_arrays(cell, (4,), 3, border + 1, seed), cell) for seed in range(members)]
    (found,) = prefixes.steps_of(sequences, nets[:1], 0.01, most=most)
    for place, row in enumerate(found.sequences):
        steps = slice(found.offsets[place], found.offsets[place + 1])
        chances, ranks, entropies = one_by_one(nets[0], sequences[int(row)].tolist(), border, 0.01)
        assert found.probability[steps] == pytest.approx(chances, rel=1e-3, abs=1e-6)
        assert np.abs(found.rank[steps] - ranks).max() <= 1
        assert found.entropy[steps] == pytest.approx(entropies, rel=1e-3, abs=1e-5)
        assert found.expected[steps].shape == (len(chances), most)
        assert (np.diff(found.chances[steps], axis=1) <= 0).all()
    (both,) = prefixes.steps_of(sequences, [*nets, nets[0]], 0.01)
    mean = sum((next(prefixes.steps_of(sequences, [one], 0.01)).probability for one in [*nets, nets[0]]), start=0.0)
    known = np.concatenate([[*sequences[int(row)], border] for row in both.sequences]) != border - 1
    assert both.probability[known] == pytest.approx(mean[known] / (members + 1), rel=1e-3, abs=1e-6)


@SIMPLE
@given(SESSIONS, st.integers(1, 4))
def test_windows_are_judged_as_by_the_plain_loop(sessions, width):
    sequences = coded(sessions)
    border = sequences.vocabulary.unseen + 1
    network = Network(random_arrays("lstm", (4,), None, border + 1), "lstm")
    (found,) = prefixes.steps_of(sequences, [network], 0.01, window=width)
    for place, row in enumerate(found.sequences):
        events = sequences[int(row)].tolist()
        tokens = [border] * width + [*events, border]
        for step in range(len(events) + 1):
            state = network.begin()
            for token in tokens[step : step + width]:
                state = network.step(state, np.array([token]))
            expected = network.probabilities(state)[0].astype(np.float64)
            expected[border - 1] = min(0.01 / 0.99, np.delete(expected, border - 1).min())
            chance = 0.99 * expected[tokens[step + width]]
            assert found.probability[found.offsets[place] + step] == pytest.approx(chance, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("window", [None, 3])
def test_blocks_change_nothing(window, monkeypatch):
    rng = np.random.default_rng(4)
    sequences = coded([rng.integers(0, 5, size).tolist() for size in rng.integers(0, 30, 60)])
    network = Network(random_arrays("gru", (4,), None, 6), "gru")
    (whole,) = prefixes.steps_of(sequences, [network], 0.01, window=window)
    monkeypatch.setattr(prefixes, "CELLS", 40)
    parts = list(prefixes.steps_of(sequences, [network], 0.01, window=window))
    assert len(parts) > 5
    assert np.concatenate([part.sequences for part in parts]).tolist() == whole.sequences.tolist()
    assert np.concatenate([part.probability for part in parts]) == pytest.approx(whole.probability, rel=1e-5)


# ---------------------------------------------------------------- the detector


@pytest.fixture(scope="module")
def normal():
    """Sessions of a small grammar, many of them equal."""
    rng = np.random.default_rng(0)
    middle = [["b", "c"], ["c", "b"], ["b", "b", "c"]]
    sessions = [["a", *middle[number], "d"] for number in rng.choice(3, 240, p=[0.7, 0.25, 0.05])]
    return frame(sessions, TEXTS)


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def fitted(normal, told):
    return NextEvent(
        units=(8,), epochs=60, batch=8, learning_rate=0.05, members=2, progress=lambda *news: told.append(news)
    ).fit(normal)


def test_odd_sessions_are_more_surprising_than_usual_ones(fitted):
    odd = frame([["a", "b", "c", "d"], ["a", "b", "b", "c", "d"], ["a", "b", "c"], ["d", "a", "b", "c"], ["a", "x"]],
                TEXTS)  # fmt: skip
    scores = fitted.scores(odd)
    assert scores.columns == ["rank", "surprise", "mean", "excess", "place", "combined"]
    surprise = scores["surprise"].to_numpy()
    assert surprise[0] < surprise[1] < min(surprise[2:])
    assert scores["rank"][0] == 1
    assert scores["rank"][4] == 6
    assert scores["place"].to_list()[2:4] == [3, 0]
    assert (scores["mean"] <= scores["surprise"]).all()
    flagged = fitted.threshold(0.02).predict(fitted.score_samples(odd))
    assert flagged.tolist()[0] is False
    assert flagged[2:].all()


def test_excess_is_what_no_entropy_explains(fitted, normal):
    """A usual session has none, and each odd step of another adds to it."""
    odd = fitted.scores(frame([["a", "b", "c", "d"], ["a", "c", "d"], ["a", "d", "c", "c"]], TEXTS))
    excess, surprise = odd["excess"], odd["surprise"]
    assert excess[0] < 0 < excess[1] < surprise[2] < excess[2]


def test_a_score_is_chosen_by_name(fitted, normal):
    table = fitted.scores(normal)
    assert fitted.score_samples(normal).tolist() == table["combined"].to_list()
    for name in ("surprise", "mean", "excess"):
        detector = pickle.loads(pickle.dumps(fitted)).set_params(score=name)
        assert detector.score_samples(normal).tolist() == table[name].to_list()
    ranks = pickle.loads(pickle.dumps(fitted)).set_params(score="rank").score_samples(normal)
    assert np.floor(ranks).tolist() == table["rank"].to_list()
    order = np.lexsort((table["surprise"], table["rank"]))
    assert (np.diff(ranks[order]) >= 0).all()


def test_combined_scores_are_fisher_sums_of_p_values(fitted, normal):
    held_out, table = fitted.held_out_, fitted.scores(normal.head(20))
    total = 1e-4 * table["surprise"].to_numpy()
    for name in ("rank", "excess"):
        known, asked = (np.asarray(one[name], float) for one in (held_out, table))
        if name == "rank":
            known, asked = (
                base + np.asarray(one["surprise"]) / (1 + np.asarray(one["surprise"]))
                for base, one in ((known, held_out), (asked, table))
            )
        above = ((known[None, :] >= asked[:, None] - 1e-4) * held_out["sessions"]).sum(axis=1)
        total -= np.log((1 + above) / (1 + held_out["sessions"].sum()))
    assert table["combined"].to_numpy() == pytest.approx(total)


def test_progress_counts_the_epochs_of_all_members(fitted, told):
    counted, most, losses = zip(*told, strict=True)
    assert counted[0] == 1
    assert list(counted) == sorted(counted)
    assert max(counted) <= 120
    assert set(most) == {120}
    assert list(losses) == [loss for history in fitted.history_ for loss in history]
    assert [min(history) for history in fitted.history_] == [
        history[epoch - 1] for history, epoch in zip(fitted.history_, fitted.epochs_, strict=True)
    ]
    assert fitted.history_[0][-1] < fitted.history_[0][0]


def test_steps_say_what_was_expected(fitted):
    table = fitted.steps(frame([["a", "x"], [], ["a", "x"]], TEXTS), most=2)
    assert table["row"].to_list() == [0, 0, 0, 1, 2, 2, 2]
    assert table["event"].to_list() == ["a", "x", "(end)", "(end)", "a", "x", "(end)"]
    assert table["position"].to_list() == [0, 1, 2, 0, 0, 1, 2]
    assert table["expected"][0].to_list()[0] == "a"
    assert table["expected"].list.len().unique().to_list() == [2]
    assert table["rank"].to_list()[:2] == [1, 6]
    assert 0 < table["probability"][1] < fitted.unseen_share_ * 1.001
    assert (table["surprise"] + table["probability"].log()).abs().max() < 1e-12
    assert (table["chances"].list.sum() <= 1).all()
    scores = fitted.scores(frame([["a", "x"], []], TEXTS))
    worst = table.filter(pl.col("row") < 2).group_by("row", maintain_order=True).agg(pl.col("surprise").max())
    assert worst["surprise"].to_list() == scores["surprise"].to_list()


def test_held_out_scores_are_those_of_sessions_a_member_has_not_learned_from(fitted, normal):
    held_out = fitted.held_out_
    assert held_out["sessions"].sum() == pytest.approx(2 / 5 * normal.height, abs=2)
    assert set(held_out) == {"rank", "surprise", "mean", "excess", "sessions", "combined"}
    chosen = fitted.threshold(0.1)
    assert chosen.point_.false_alarm_rate <= 0.1
    assert chosen.n_normals_ == held_out["sessions"].sum()


def test_a_model_is_stored_like_any_other(fitted, normal):
    import skops.io

    stored = skops.io.loads(data := skops.io.dumps(fitted), trusted=skops.io.get_untrusted_types(data=data))
    copied = pickle.loads(pickle.dumps(fitted))
    for other in (stored, copied):
        assert other.score_samples(normal).tolist() == fitted.score_samples(normal).tolist()
        assert other.vocabulary_.events.to_list() == ["a", "b", "c", "d"]
    assert skops.io.get_untrusted_types(data=data) == ["utils.detectors.next_event.estimator.NextEvent"]
    assert clone(fitted).get_params() == fitted.get_params()
    assert copied.progress is None


def test_counts_stand_for_sessions(normal):
    distinct = normal.group_by("events", maintain_order=True).agg(pl.len().alias("n"))
    one = NextEvent(**TINY).fit(normal)
    other = NextEvent(**TINY).fit(distinct, weight=distinct["n"])
    assert one.score_samples(normal).tolist() == other.score_samples(normal).tolist()
    assert one.held_out_["sessions"].sum() == other.held_out_["sessions"].sum()


def test_anomalies_and_unlabelled_rows_are_left_out(normal):
    strange = frame([["z", "z"], ["y"]], TEXTS)
    labels = pl.Series([False] * normal.height + [True, None])
    mixed = NextEvent(**TINY).fit(pl.concat([normal, strange]), labels)
    assert mixed.event_types_ == ["a", "b", "c", "d"]
    assert mixed.n_sessions_ == normal.height
    with pytest.raises(DataError, match="normal"):
        NextEvent(**TINY).fit(normal, [True] * normal.height)


def test_no_generator_of_the_process_matters():
    rows = pl.DataFrame({"events": [[1, 2, 3], [1, 3, 2], [1], [2, 2]] * 10})
    detector = NextEvent(units=(4,), epochs=2, batch=4, dropout=0.2, embedding=3, members=1)
    scores = []
    for state in (1, 2):
        with networks.quiet_keras() as keras:
            keras.utils.set_random_seed(state)
        scores.append(clone(detector).fit(rows).score_samples(rows.head(4)).tolist())
    assert scores[0] == scores[1]
    other = clone(detector).set_params(seed=1).fit(rows)
    assert other.score_samples(rows.head(4)).tolist() != scores[0]


@pytest.mark.parametrize(
    ("trusted", "rare", "known"),
    [
        (1, 0.5, "abyz"),
        (4, 0.0006, "abyz"),  # y is in two of 3,000 sessions, z in these and another
        (4, 0.0007, "abz"),
        (4, 0.001, "ab"),
        (3, 1.0, "abz"),
        (8, 1.0, "ab"),
        (3_000, 0.4, "ab"),  # b would be next, and has too many
        (3_000, 0.9999, "ab"),
        (3_001, 1.0, ""),
    ],
)
def test_event_types_of_a_handful_of_sessions_count_as_unseen(trusted, rare, known):
    rows = frame([["a", "b"], ["a", "z", "y"], ["a", "z", "z"], ["b"]], TEXTS)
    counts = [2996, 2, 1, 1]
    seen = estimator.normal_sessions(rows, None, counts, "events", rare, trusted)
    assert seen.sequences.vocabulary.events.to_list() == list(known)
    assert seen.counts.tolist() == counts
    unseen = sum(event not in known for event in "abazyazzb")
    assert (seen.sequences.codes == len(known)).sum() == unseen


def test_sessions_with_unseen_events_decide_no_threshold():
    usual, strange = [["a", "b"]] * 900, [["a", name] for name in "xyz"]
    detector = NextEvent(**TINY, trusted=2, rare=0.01).fit(frame([*usual, *strange], TEXTS))
    assert detector.event_types_ == ["a", "b"]
    assert detector.held_out_["rank"].max() < 4
    assert 175 <= detector.held_out_["sessions"].sum() <= 181


@pytest.mark.parametrize("window", [None, 4])
def test_odd_logs_are_learned_and_judged(window):
    odd = frame([[], None, ["a"], [None], ["a", None, "b"], ["new"], ["a"] * 300], TEXTS)
    detector = NextEvent(units=(4,), epochs=1, window=window, members=2).fit(odd)
    scores = detector.scores(odd)
    assert np.isfinite(scores["surprise"].to_numpy()).all()
    assert scores["rank"][0] == scores["rank"][1]
    assert scores["surprise"][0] == scores["surprise"][1]
    assert detector.scores(frame([["zz"]], TEXTS))["rank"][0] == len(detector.event_types_) + 2
    assert detector.scores(odd.clear()).height == 0
    assert detector.steps(odd.clear()).columns[:3] == ["row", "position", "event"]
    assert detector.steps(odd)["event"].to_list().count("(null)") == 2
    with pytest.raises(DataError, match="at least 20 normal sessions"):
        detector.threshold()


def test_logs_of_one_event_or_none_are_learned():
    one = NextEvent(**TINY).fit(frame([[7]] * 30))
    ranks = one.scores(frame([[7], [8]]))["rank"].to_list()
    assert ranks[0] <= 2
    assert ranks[1] == 3
    none = NextEvent(**TINY).fit(frame([[]] * 30))
    assert none.scores(frame([[], [5]]))["rank"][1] == 2
    with pytest.raises(SchemaError, match="one kind"):
        one.scores(frame([["a"]], TEXTS))
    with pytest.raises(SchemaError, match="events"):
        one.scores(pl.DataFrame({"other": [1]}))


def test_weights_that_are_no_counts_divide_sequences():
    rows = frame([[number % 7, number] for number in range(40)])
    detector = NextEvent(**TINY).fit(rows, weight=np.full(40, 0.5))
    assert detector.held_out_["sessions"].sum() == pytest.approx(8)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"cell": "rnn"}, "lstm or gru"),
        ({"score": "max"}, "combined or rank or surprise or mean or excess"),
        ({"units": ()}, "name a layer"),
        ({"units": (0,)}, "units"),
        ({"epochs": 0}, "epochs"),
        ({"members": True}, "members"),
        ({"window": 0}, "window"),
        ({"embedding": 2.5}, "embedding"),
        ({"dropout": 1.0}, "dropout"),
        ({"count_power": 1.5}, "count_power"),
        ({"rare": 1.0}, "rare"),
        ({"trusted": 0}, "trusted of NextEvent must be a whole number from 1 on, found 0"),
        ({"interleavings": -1}, "interleavings of NextEvent must be a whole number from 0 on, found -1"),
        ({"interleavings": 1.5}, "interleavings"),
        ({"interleaving_share": 0.0}, "interleaving_share must be a number above 0, found 0.0"),
        ({"interleaving_share": float("nan")}, "interleaving_share"),
        ({"commuting": 0}, "commuting"),
        ({"learning_rate": 0.0}, "learning_rate"),
    ],
)
def test_parameters_out_of_range_are_named(wrong, text, normal):
    with pytest.raises(SettingsError, match=text):
        NextEvent(**wrong).fit(normal)


def test_a_step_names_at_least_one_event(fitted, normal):
    with pytest.raises(SettingsError, match="most"):
        fitted.steps(normal, most=0)


def test_training_stops_when_nothing_is_gained():
    sequences = coded([[0, 1], [0, 1], [2]])
    rows = lessons.whole_sessions(sequences, np.ones(3))
    course = Course(epochs=50, patience=2, learning_rate=1.0)
    found = training.train(rows, rows, training.Design(4, "gru", (3,), None, 0.0), course, 2, 0)
    assert len(found.history) == min(50, found.epoch + 2)
    assert found.history[found.epoch - 1] == min(found.history)
