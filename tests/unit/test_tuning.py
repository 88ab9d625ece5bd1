"""Search of parameters: reproducible, taken up again, fair in its folds; gains told from noise on unseen rows."""

import contextlib
import warnings
from dataclasses import dataclass, field

import numpy as np
import optuna
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as known
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from benchmarks import classifiers as benchmark
from benchmarks import measure
from benchmarks.registry import CASES, Scale
from utils.classifiers import nested, spaces
from utils.classifiers.nested import gains
from utils.classifiers.spaces import OneOf, Real, Whole
from utils.classifiers.tuning import (
    METHODS,
    best_pipeline,
    early,
    folds,
    plans,
    search,
    share_folds,
    side_by_side,
    studies,
    targets,
    tune,
)
from utils.classifiers.zoo import ZOO
from utils.compute import threads
from utils.errors import DataError, SettingsError
from utils.evaluation import metrics, splits
from utils.evaluation.comparison import Comparison

TREE = {
    "max_depth": OneOf((None, 1, 2, 4, 8)),
    "min_samples_leaf": Whole(1, 30),
    "ccp_alpha": Real(1e-6, 1e-1, log=True),
}


@dataclass
class Candidate:
    """A stand-in for an entry of the zoo that counts what is asked of it."""

    model: type = DecisionTreeClassifier
    space: dict = field(default_factory=lambda: TREE)
    name: str = "tree"
    features: dict = field(default_factory=lambda: {"scale": None, "log": False})
    made: int = 0
    interrupt_at: int | None = None

    def make(self, seed, threads):
        self.made += 1
        if self.made == self.interrupt_at:
            raise KeyboardInterrupt
        takes_seed = "random_state" in self.model().get_params()
        return self.model(random_state=seed) if takes_seed else self.model()


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(7)
    values = rng.normal(size=(300, 4))
    y = values[:, 0] + values[:, 1] * values[:, 2] + rng.normal(size=300) * 0.5 > 0.7
    columns = {f"c {place}": values[:, place] for place in range(4)}
    frame = pl.DataFrame(columns | {"kind": rng.choice(["a", "b", None], 300)})
    return frame, pl.Series(y), pl.Series(np.where(y, np.where(values[:, 3] > 0, "scan", "flood"), "normal"))


@pytest.fixture(scope="module")
def found(table):
    return tune(table[0], table[1], Candidate(), trials=12)


def without_times(tuned):
    return tuned.trials.drop("seconds")


def test_the_best_trial_is_the_highest_and_never_below_the_defaults(found):
    trials = found.trials
    assert trials["state"][0] == "default"
    assert trials["score"][0] == found.default_score
    assert found.score == trials["score"].max() >= found.default_score
    assert found.gain == found.score - found.default_score
    assert trials.height == 13
    assert found.fits == trials["fits"].sum()
    best = trials.filter(pl.col("score") == found.score).row(0, named=True)
    assert best["min_samples_leaf"] == found.parameters["min_samples_leaf"]
    assert best["max_depth"] == str(found.parameters["max_depth"])


def test_the_score_is_the_mean_over_folds_of_fits_by_hand(table, found):
    frame, y, _ = table
    values, scores = [], np.full(len(y), np.nan)
    for fold in splits.k_fold(y, 3, found.seed):
        model = best_pipeline(found, Candidate()).fit(frame[fold.train], y.to_numpy()[fold.train])
        scores[fold.test] = model.predict_proba(frame[fold.test])[:, 1]
        values.append(metrics.average_precision(y.gather(fold.test), scores[fold.test]))
    assert np.mean(values) == pytest.approx(found.score, abs=1e-12)
    np.testing.assert_array_equal(found.scores, scores)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_trials_and_another_seed_others(table, method):
    frame, y, _ = table
    runs = [tune(frame, y, Candidate(), method=method, trials=7, folds=2, seed=seed) for seed in (1, 1, 2)]
    assert without_times(runs[0]).equals(without_times(runs[1]))
    assert not without_times(runs[0]).equals(without_times(runs[2]))


@pytest.mark.parametrize(("method", "interrupt_at"), [("tpe", 2), ("tpe", 12), ("random then grid", 11)])
def test_an_interrupted_study_goes_on_as_if_nothing_had_happened(table, tmp_path, method, interrupt_at):
    frame, y, _ = table
    file = tmp_path / "new" / "studies.journal"
    whole = tune(frame, y, Candidate(), method=method, trials=6, folds=2)
    stopped = Candidate(interrupt_at=interrupt_at)
    with pytest.raises(KeyboardInterrupt):
        tune(frame, y, stopped, method=method, trials=6, folds=2, storage=file)
    again = Candidate()
    resumed = tune(frame, y, again, method=method, trials=6, folds=2, storage=file)
    assert without_times(resumed).equals(without_times(whole))
    assert resumed.parameters == whole.parameters
    np.testing.assert_array_equal(resumed.scores, whole.scores)


def test_a_finished_study_is_read_and_not_repeated(table, tmp_path):
    frame, y, _ = table
    file, first, second = tmp_path / "studies.journal", Candidate(), Candidate()
    one = tune(frame, y, first, trials=3, folds=2, storage=file)
    two = tune(frame, y, second, trials=3, folds=2, storage=file)
    assert one.trials.equals(two.trials)
    assert second.made < first.made
    longer = tune(frame, y, Candidate(), trials=4, folds=2, storage=file)
    assert longer.trials.head(4).equals(one.trials)
    other = tune(frame, ~y, Candidate(), trials=1, folds=2, storage=file)
    assert other.default_score != one.default_score


def test_searches_of_outer_splits_are_kept_too(table, tmp_path):
    frame, y, _ = table
    file, first, second = tmp_path / "studies.journal", Candidate(), Candidate()
    given = {"outer": 2, "trials": 2, "folds": 2, "storage": file}
    one, two = (gains(frame, y, each, **given) for each in (first, second))
    assert one.splits.equals(two.splits)
    assert second.made < first.made
    split = splits.stratified(y, 0.3)
    whole, again = (
        side_by_side(frame, y, split, Candidate(), trials=2, folds=2, searches=("random",), storage=file, resamples=9)
        for _ in range(2)
    )
    assert whole.table.equals(again.table)
    assert whole.table.select("workers", "retried", "kept").row(1) == (1, 0, str(file))


@pytest.mark.parametrize("rows", [200, 400])
def test_every_row_must_have_a_label(table, rows):
    frame, y, _ = table
    labels = pl.concat([y, y])[:rows]
    split, options = splits.stratified(y, 0.3), {"trials": 1, "folds": 2}
    for work in (
        lambda: tune(frame, labels, Candidate(), **options),
        lambda: gains(frame, labels, Candidate(), outer=2, **options),
        lambda: side_by_side(frame, labels, split, Candidate(), **options),
    ):
        with pytest.raises(DataError, match=f"each of 300 rows must have a label, found {rows}: take the same rows"):
            work()


def test_defaults_that_cannot_be_fitted_are_a_sentence(table):
    X = table[0].select(pl.exclude("kind")).to_numpy().copy()
    X[0, 0] = np.nan
    linear = Candidate(model=LogisticRegression)
    with pytest.raises(DataError, match=r"must be fitted by its defaults, found .* \(Input X contains NaN\): give it"):
        tune(X, table[1], linear, space={"C": Real(0.1, 1.0)}, trials=1, folds=2)


def test_a_file_that_is_no_store_is_refused_and_left_alone(table, tmp_path):
    file = tmp_path / "notes.db"
    file.write_text("these are notes\n" * 100)
    with pytest.raises(SettingsError, match=r"notes.db cannot be used \(it is no journal\): set ANOMALY_STUDIES"):
        tune(table[0], table[1], Candidate(), trials=2, storage=file)
    assert file.read_text().startswith("these are notes")


def test_trials_below_the_median_are_stopped_and_say_so(table):
    tuned = tune(table[0], table[1], Candidate(), method="random", trials=20, seed=3)
    stopped = tuned.trials.filter(pl.col("state") == "stopped")
    assert stopped.height > 0
    assert (stopped["folds"] < 3).all()
    assert stopped["score"].null_count() == stopped.height
    every = tune(table[0], table[1], Candidate(), method="random", trials=20, seed=3, prune=False)
    assert set(every.trials["state"]) == {"default", "complete"}
    assert every.fits > tuned.fits


def test_a_point_that_comes_twice_is_fitted_once(table):
    few = {"max_depth": OneOf((1, 2))}
    tuned = tune(table[0], table[1], Candidate(), method="random", trials=6, space=few, prune=False)
    repeated = tuned.trials.filter((pl.col("state") == "complete") & (pl.col("fits") == 0))
    assert repeated.height == 4
    assert tuned.fits == 9
    assert repeated["score"].null_count() == 0


def test_where_no_trial_beats_the_defaults_they_are_kept(table):
    worse = {"max_depth": OneOf((1,)), "min_samples_leaf": OneOf((140,))}
    tuned = tune(table[0], table[1], Candidate(), trials=3, space=worse)
    assert tuned.parameters == {}
    assert tuned.score == tuned.default_score
    assert tuned.gain == 0.0
    np.testing.assert_array_equal(tuned.scores, tuned.default_scores)


def test_trials_that_cannot_be_fitted_are_left_out_with_their_reason(table):
    odd = {"max_depth": OneOf((2, "deep")), "min_samples_leaf": Whole(1, 30)}
    tuned = tune(table[0], table[1], Candidate(), method="random", trials=8, space=odd)
    failed = tuned.trials.filter(pl.col("state") == "failed")
    assert failed.height > 0
    assert failed["reason"].str.contains("max_depth").all()
    assert tuned.parameters["max_depth"] == 2
    with pytest.raises(DataError, match=r"all of 3 failed \(.*max_depth.*\): correct its space"):
        tune(table[0], table[1], Candidate(), trials=3, space={"max_depth": OneOf(("deep",))})


def test_progress_is_told_after_each_trial(table):
    told = []
    tuned = tune(table[0], table[1], Candidate(), trials=6, progress=told.append)
    assert [one.done for one in told] == [1, 2, 3, 4, 5, 6]
    assert told[-1].best == tuned.score
    assert str(told[0]).startswith("trial 1 of 6: 0.")
    assert str(told[0]._replace(score=float("nan"))).startswith("trial 1 of 6: stopped")


def test_nothing_is_written_and_the_settings_of_others_are_kept(table, capfd):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tune(table[0], table[1], Candidate(), trials=2).importance("ped-anova")
    assert optuna.logging.get_verbosity() == optuna.logging.WARNING
    assert capfd.readouterr() == ("", "")


def test_features_are_computed_once_for_all_trials_and_searches(table, monkeypatch):
    frame, y, _ = table
    fits = []
    real = folds.FlowFeatures.fit
    monkeypatch.setattr(folds.FlowFeatures, "fit", lambda self, *given: fits.append(1) or real(self, *given))
    shared = share_folds(frame, y)
    one = tune(frame, y, Candidate(), trials=4, shared=shared)
    tune(frame, y, Candidate(), trials=4, method="random", shared=shared)
    assert len(fits) == 3
    assert without_times(one).equals(without_times(tune(frame, y, Candidate(), trials=4)))
    for scale in ("standard", "robust", "quantile"):
        shared.parts({"scale": scale})
    assert len(shared._parts) == folds.KEPT


def test_a_matrix_is_taken_as_it_is(table):
    frame, y, _ = table
    matrix = frame.drop("kind").to_numpy()
    tuned = tune(matrix, y, Candidate(), trials=3)
    assert tuned.score > 0.4
    assert tuned.scores.shape == (300,)


def test_importance_names_the_parameter_that_matters(table):
    frame, y, _ = table
    tuned = tune(frame, y, Candidate(), method="random", trials=16, prune=False)
    for way in search.EVALUATORS:
        shares = tuned.importance(way)
        assert set(shares["parameter"]) == set(TREE)
        assert shares["importance"].sum() == pytest.approx(1.0)
        assert shares["importance"].is_sorted(descending=True)
    assert tuned.importance().equals(tuned.importance())
    with pytest.raises(SettingsError, match="fanova or ped-anova, found 'shap'"):
        tuned.importance("shap")


def test_importance_of_too_few_trials_is_empty(table):
    few = tune(table[0], table[1], Candidate(), trials=2).importance()
    assert few.columns == ["parameter", "importance"]
    assert few.is_empty()


def test_history_and_results_are_for_figures_and_records(found):
    history = found.history()
    assert history.columns == ["trial", "state", "score", "best", "default"]
    assert history["best"].is_sorted()
    assert history["best"][-1] == found.score
    numbers = found.results("tree_")
    assert numbers["tree_score"] == found.score
    assert numbers["tree_trials"] == 12.0
    assert all(isinstance(value, float) for value in numbers.values())


def test_several_classes_are_tuned_by_macro_f1(table):
    frame, _, kinds = table
    tuned = tune(frame, kinds, Candidate(), trials=4)
    assert tuned.metric == "macro_f1"
    assert tuned.scores is None
    assert tuned.score > 0.4


@pytest.mark.parametrize("metric", ["f1", "roc_auc", "false_alarm_rate", "recall_at_far_0.1"])
def test_verdicts_are_tuned_by_any_metric(table, metric):
    tuned = tune(table[0], table[1], Candidate(), trials=3, metric=metric)
    lower = metric == "false_alarm_rate"
    assert -1 <= tuned.score <= 0 if lower else 0 < tuned.score <= 1


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"method": "guess"}, SettingsError, "a search goes by tpe, random, grid, random then grid, found 'guess'"),
        ({"metric": "beauty"}, SettingsError, "beauty"),
        ({"trials": 0}, SettingsError, "at least 1 trial, found 3 parameters and 0 trials"),
        ({"space": {}}, SettingsError, "found 0 parameters"),
        ({"threads": 0}, SettingsError, "at least 1 thread"),
        ({"folds": 1}, DataError, "at least 2 folds, found 1"),
    ],
)
def test_settings_without_a_meaning_are_refused(table, change, error, message):
    with pytest.raises(error, match=message):
        tune(table[0], table[1], Candidate(), **({"trials": 2} | change))


def test_a_metric_of_verdicts_does_not_judge_classes(table):
    with pytest.raises(SettingsError, match="several classes are judged by macro_f1"):
        tune(table[0], table[2], Candidate(), trials=2, metric="roc_auc")


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (pl.Series([True] * 300), "rows of two classes, found 1"),
        (pl.Series([True, None] * 150), "150 missing"),
        (pl.Series([True, False] * 100), "each of 300 rows must have a label, found 200"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(table, y, message):
    with pytest.raises(DataError, match=message):
        tune(table[0], y, Candidate(), trials=2)


@pytest.mark.parametrize("y", [[0, 1] * 20, [False, True] * 20, [0.0, 1.0] * 20])
def test_zeros_and_ones_are_verdicts(y):
    assert targets.target(y).binary


def test_other_numbers_are_classes():
    wanted = targets.target([1, 2, 3] * 4)
    assert not wanted.binary
    assert set(wanted.y) == {"1", "2", "3"}


def test_a_tiny_table_gets_fewer_folds_and_says_so():
    frame = pl.DataFrame({"a": np.arange(12.0), "b": [1.0, 5.0] * 6})
    y = pl.Series([True, True] + [False] * 10)
    tuned = tune(frame, y, Candidate(), trials=3, folds=5)
    assert tuned.folds == 2
    assert tuned.notes == ("2 folds in place of 5: a class has too few rows or groups",)
    with pytest.raises(DataError, match="2 folds"):
        tune(frame, pl.Series([True] + [False] * 11), Candidate(), trials=3)


def test_classes_too_rare_to_be_judged_are_learned_from_all_the_same(table):
    rare = table[2].to_list()
    rare[:3] = ["worm", "worm", "probe"]
    wanted = targets.target(rare)
    made, notes = targets.folds_of(wanted, 3, 0)
    assert all({0, 1, 2} <= set(fold.train.tolist()) for fold in made)
    assert sorted(np.concatenate([fold.test for fold in made]).tolist()) == list(range(3, 300))
    assert notes == ("3 rows of classes too rare for 3 folds are learned from, never judged by",)
    outer, told = targets.repeats_of(wanted, 2, 0.25, 0)
    assert all(2 in fold.train for fold in outer)
    assert "1 rows of classes with a single row" in told[0]


@given(st.integers(0, 10_000), st.integers(2, 4))
@settings(deadline=None, max_examples=20)
def test_no_group_stands_on_both_sides_of_a_fold(seed, folds):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 40, 160)
    y = (groups % 3 == 0) ^ (rng.random(160) < 0.1)
    made, _ = targets.folds_of(targets.target(y, groups), folds, seed)
    for fold in made:
        assert not set(groups[fold.train]) & set(groups[fold.test])


def test_weights_count_as_rows_written_down_so_many_times(table):
    frame, y, _ = table
    once = targets.target(y, weight=pl.Series([2] * 300))
    tuned = tune(frame, y, Candidate(), trials=2, weight=pl.Series([2] * 300), metric="accuracy")
    assert tuned.score == pytest.approx(tune(frame, y, Candidate(), trials=2, metric="accuracy").score)
    assert once.take(np.array([0, 5])).weight.tolist() == [2, 2]
    neighbours = Candidate(KNeighborsClassifier, {"n_neighbors": Whole(1, 20)}, "neighbours")
    assert tune(frame, y, neighbours, trials=2, weight=pl.Series([2] * 300)).score > 0.3


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=25)
def test_metrics_of_classes_are_those_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    y, decided = (rng.choice(list("abcde"), 40, p=[0.4, 0.3, 0.2, 0.08, 0.02]) for _ in range(2))
    weight = rng.random(40)
    for given_weight in (None, weight):
        options = {"sample_weight": given_weight, "zero_division": 0}
        for name, expected in (
            ("macro_f1", known.f1_score(y, decided, average="macro", **options)),
            ("weighted_f1", known.f1_score(y, decided, average="weighted", **options)),
            ("accuracy", known.accuracy_score(y, decided, sample_weight=given_weight)),
            ("balanced_accuracy", known.recall_score(y, decided, labels=np.unique(y), average="macro", **options)),
        ):
            assert targets.of_classes(name, y, decided, given_weight) == pytest.approx(expected)


def test_draws_of_class_differences_are_centred_on_the_difference():
    rng = np.random.default_rng(0)
    y = rng.choice(list("abc"), 400)
    better, worse = (np.where(rng.random(400) < share, y, rng.choice(list("abc"), 400)) for share in (0.8, 0.5))
    drawn = targets.class_differences("macro_f1", y, better, worse, 300, 1)
    gap = targets.of_classes("macro_f1", y, better) - targets.of_classes("macro_f1", y, worse)
    assert abs(drawn.mean() - gap) < 0.01
    assert (drawn > 0).all()
    assert (targets.class_differences("accuracy", y, better, better, 50, 1) == 0).all()


def test_the_grid_search_tries_its_grid(table):
    tuned = tune(table[0], table[1], Candidate(), method="grid", trials=12, prune=False)
    points = spaces.lattice(spaces.within(TREE, 12))
    shown = tuned.trials.filter(pl.col("state") == "complete").select(list(TREE)).rows()
    assert shown == [tuple(str(value) if name == "max_depth" else value for name, value in p.items()) for p in points]


def test_stages_draw_then_look_around_the_best(table):
    tuned = tune(table[0], table[1], Candidate(), method="random then grid", stages=(6, 6, 3), prune=False)
    trials = tuned.trials.filter(pl.col("state") == "complete")
    assert trials.height == 15
    drawn, coarse = trials.head(6), trials.slice(6, 6)
    at_random = tune(table[0], table[1], Candidate(), method="random", trials=6, prune=False)
    assert drawn.drop("seconds").equals(at_random.trials.slice(1).drop("seconds"))
    middle = drawn.sort("score", descending=True, maintain_order=True).row(0, named=True)
    same = coarse.select((pl.col(name) == middle[name]).fill_null(False) for name in TREE).sum_horizontal()
    assert same.min() >= 1


@given(st.integers(1, 2_000))
@settings(deadline=None)
def test_stages_share_out_all_trials(trials):
    parts = plans.staged(trials)
    assert sum(parts) == trials
    assert min(parts) >= 0
    assert parts[0] * 3 >= trials


def test_the_published_stages_are_those_of_the_earlier_system():
    assert plans.STAGES == (100, 720, 121)
    plan = plans.plan_of("random then grid", TREE, 941, 0, plans.STAGES)
    assert plan.stages == plans.STAGES


def test_searches_stand_side_by_side_with_the_same_number_of_fits(table):
    frame, y, kinds = table
    for labels in (y, kinds):
        split = splits.stratified(labels, 0.3)
        made = side_by_side(frame, labels, split, Candidate(), trials=6, folds=2, resamples=60)
        lines = made.table
        assert lines["search"].to_list() == ["default", "random then grid", "random", "tpe"]
        complete = [one.trials.filter(pl.col("state") == "complete").height for one in made.searches]
        assert complete == [6, 6, 6]
        assert (lines["low"].fill_null(0) <= lines["high"].fill_null(0)).all()
        assert set(made.histories()["search"]) == {"random then grid", "random", "tpe"}
        assert made.results("x_")["x_tpe_fits"] == lines["fits"][-1]
        best = made.searches[-1]
        outer = tune(frame[split.train], labels.gather(split.train), Candidate(), trials=6, folds=2, prune=False)
        assert outer.parameters == best.parameters


def test_test_rows_never_reach_a_search(table):
    frame, y, _ = table
    split = splits.stratified(y, 0.3)
    spoiled = frame.with_columns(
        pl.when(pl.Series(np.isin(np.arange(300), split.test))).then(1e9).otherwise("c 0").alias("c 0")
    )
    one, other = (
        side_by_side(each, y, split, Candidate(), trials=4, folds=2, resamples=20) for each in (frame, spoiled)
    )
    assert one.table["inner"].equals(other.table["inner"])
    assert one.table["parameters"].equals(other.table["parameters"])
    assert not one.table["test"].equals(other.table["test"])


def test_a_comparison_of_decisions_has_no_interval_and_of_nothing_is_refused(table):
    frame, y, kinds = table
    split = splits.stratified(y, 0.3)
    made = side_by_side(frame, y, split, Candidate(), trials=3, folds=2, metric="f1", searches=("random",))
    assert np.isnan(made.table["low"][1])
    weighted = side_by_side(
        frame, kinds, split, Candidate(), trials=3, folds=2, searches=("random",), weight=pl.Series([2] * 300)
    )
    assert np.isnan(weighted.table["low"][1])
    with pytest.raises(SettingsError, match="found none"):
        side_by_side(frame, y, split, Candidate(), searches=())


def test_a_gain_is_measured_on_rows_that_no_search_saw(table):
    frame, y, _ = table
    candidate = Candidate(RandomForestClassifier, {"n_estimators": OneOf((5,)), "max_depth": Whole(1, 6)}, "forest")
    candidate.make = lambda seed, threads: RandomForestClassifier(5, random_state=seed)
    told = []
    made = gains(frame, y, candidate, outer=3, trials=3, folds=2, progress=told.append)
    assert made.splits.height == 3
    assert told[0] == "forest: stratified 1 of 3"
    first = splits.repeated(y, 0.25, 3)[0]
    inner = tune(frame[first.train], y.gather(first.train), candidate, trials=3, folds=2)
    assert made.splits["inner_best"][0] == inner.score
    pipeline = best_pipeline(inner, candidate).fit(frame[first.train], y.to_numpy()[first.train])
    scores = pipeline.predict_proba(frame[first.test])[:, 1]
    assert made.splits["tuned_average_precision"][0] == metrics.average_precision(y.gather(first.test), scores)
    assert made.verdict in ("helps", "noise", "harms")
    assert made.sentence().startswith("Tuning forest ")
    assert made.results()["optimism"] == made.optimism.mean
    gap = made.splits["inner_best"] - made.splits["tuned_average_precision"]
    assert made.optimism.mean == pytest.approx(gap.mean())


def test_tuning_that_must_help_is_seen_to_help(table):
    frame, y, _ = table
    candidate = Candidate(space={"max_depth": OneOf((4,)), "min_samples_leaf": OneOf((10,))})
    candidate.make = lambda seed, threads: DecisionTreeClassifier(max_depth=1, max_features=1, random_state=seed)
    candidate.space |= {"max_features": OneOf((None,))}
    made = gains(frame, y, candidate, outer=6, trials=1, folds=2, metric="roc_auc")
    assert made.verdict == "helps"
    assert "helps: +0." in made.sentence()


def test_where_tuning_changes_nothing_it_is_noise(table):
    same = Candidate(LogisticRegression, {"C": OneOf((1.0,))}, "regression", {})
    made = gains(table[0], table[2], same, outer=2, trials=1, folds=2)
    assert made.metric == "macro_f1"
    assert made.verdict == "noise"
    assert made.summary["difference"].to_list() == [0.0, 0.0, 0.0]
    assert made.splits["parameters"].to_list() == ["default", "default"]


def test_gains_take_groups_and_splits_as_given(table):
    frame, y, _ = table
    groups = np.arange(300) // 2
    made = gains(frame, y, Candidate(), outer=2, trials=2, folds=2, groups=groups, metric="accuracy")
    assert set(made.summary["metric"]) == {"accuracy", "average_precision", "roc_auc", "f1"}
    drawn = splits.repeated(y, 0.25, 2, 42, groups)
    same = gains(frame, y, Candidate(), outer=drawn, trials=2, folds=2, groups=groups, metric="accuracy")
    assert same.splits.drop("seconds").equals(made.splits.drop("seconds"))
    with pytest.raises(DataError, match="at least 2 outer splits"):
        gains(frame, y, Candidate(), outer=1, trials=2)


def test_weights_enter_the_outer_splits_too(table):
    frame, y, _ = table
    made = gains(frame, y, Candidate(), outer=2, trials=2, folds=2, weight=pl.Series([3] * 300))
    assert made.splits["tuned_f1"].is_between(0, 1).all()


@pytest.mark.parametrize(
    ("low", "high", "p_value", "word"),
    [(0.01, 0.03, 0.001, "helps"), (-0.03, -0.01, 0.001, "harms"), (-0.01, 0.03, 0.3, "noise"),
     (np.nan, np.nan, np.nan, "noise"), (0.001, 0.03, 0.06, "noise")],
)  # fmt: skip
def test_a_verdict_needs_interval_and_test(low, high, p_value, word):
    assert nested.verdict_of(Comparison("f1", (low + high) / 2, low, high, p_value, "", "")) == word


@pytest.fixture(scope="module")
def boostings():
    space = {"learning_rate": Real(0.1, 0.5)}
    return {name: (ZOO[name], space) for name in ("xgboost", "lightgbm", "hist gradient boosting")}


@pytest.mark.parametrize("name", ["xgboost", "lightgbm", "hist gradient boosting"])
def test_boosting_stops_early_on_rows_of_the_training_part(table, boostings, name):
    frame, y, kinds = table
    choice, space = boostings[name]
    for labels in (y, kinds):
        shared = share_folds(frame, labels, folds=2)
        part = shared.parts(choice.features)[0]
        classifier = choice.make(0, 1).set_params(learning_rate=0.4)
        model, used = early.fitted_until(classifier, part, 5, 0)
        assert 1 <= used < 150
        assert model.predict(part.judged).shape == part.wanted.y.shape
        tuned = tune(frame, labels, choice, trials=1, space=space, patience=5, shared=shared)
        rounds = early.ROUNDS[name]
        assert tuned.parameters == {} or 1 <= tuned.parameters[rounds] < 150


def test_rounds_take_the_place_of_those_that_were_named(table, boostings):
    frame, y, _ = table
    choice, space = boostings["hist gradient boosting"]
    poor = Candidate(name="boosting", features=choice.features, space=space)
    poor.make = lambda seed, threads: choice.make(seed, threads).set_params(learning_rate=1e-6)
    tuned = tune(frame, y, poor, trials=1, patience=5, folds=2)
    assert set(tuned.parameters) == {"learning_rate", "max_iter"}
    assert 1 <= tuned.parameters["max_iter"] < 100


def test_what_cannot_stop_early_is_fitted_as_it_is(table):
    frame, y, _ = table
    part = share_folds(frame, y, folds=2).parts({"scale": None})[0]
    assert early.fitted_until(DecisionTreeClassifier(), part, 5, 0)[1] is None
    assert early._held_out(targets.target([True, False, False], weight=[1, 1, 1]), 0) is None
    held = early._held_out(targets.target([True, False] * 40, groups=np.arange(80) // 4), 0)
    assert not set(held.train // 4) & set(held.test // 4)


def test_a_study_without_a_complete_trial_has_no_best():
    assert plans.best_of([]) is None
    assert plans.plan_of("random then grid", TREE, 5, 0)._around(None, 0.2, 5) == []
    assert studies.Default((0.5, 0.7), 1.0).score == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("name", "titles"),
    [("threads", ["free cores"]), ("categories", ["codes"]), ("tuning", ["once"]), ("bins", ["lightgbm", "xgboost"])],
)
def test_each_benchmark_compares_its_results_and_gives_its_rows(name, titles, monkeypatch):
    monkeypatch.setattr(measure, "LEAST_SECONDS", 1e-9)
    monkeypatch.setattr(benchmark, "_busy_cores", lambda number: contextlib.nullcontext())
    monkeypatch.setattr(benchmark, "nullcontext", lambda: threads.limited(1))
    monkeypatch.setattr(benchmark, "TRIALS", 2)
    monkeypatch.setattr(benchmark, "LEAVES", (15,))
    rows = CASES[f"classifier_{name}"](Scale(rounds=1, lines=200))
    assert [title in row.case for title, row in zip(titles, rows, strict=True)] == [True] * len(titles)
    assert all(row.ours > 0 and row.baseline > 0 for row in rows)


def test_benchmarks_refuse_scores_that_differ_and_leave_no_process_behind():
    benchmark._require_alike(np.zeros(2), np.full(2, 1e-9), "threads")
    with pytest.raises(RuntimeError, match=r"threads must not change scores, found differences up to 0\.5"):
        benchmark._require_alike(np.zeros(2), np.full(2, 0.5), "threads")
    with benchmark._busy_cores(1):
        pass
