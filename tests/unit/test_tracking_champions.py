"""Who holds the title: rules of the registry, the card, and models that load with nothing but the package."""

import json
import zipfile
from dataclasses import replace

import mlflow
import numpy as np
import polars as pl
import pytest
import skops.io
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier

from tests.unit import small_data
from utils import tracking
from utils.classifiers.champion import Champion
from utils.errors import DataError, TrackingError
from utils.evaluation import drift, metrics
from utils.evaluation.thresholds import Fixed
from utils.features import tables
from utils.features.flows import FlowFeatures
from utils.tracking import champions, models
from utils.tracking.champions import Evidence

COLUMNS = ["size", "rate", "kind"]
CARD = (
    "# tiny",
    "real data from own files",
    "digest d1",
    "made by hand",
    "highest F1",
    "300 training rows",
    "knows one kind of anomaly",
    "chosen among two",
    "seed 42",
    "git commit",
    "f1: 0.",
    "stored by skops",
)


def table(rows=300, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.random(rows) < 0.4
    frame = pl.DataFrame(
        {
            "size": rng.normal(size=rows) + 2.5 * y,
            "rate": rng.integers(0, 9, rows),
            "kind": rng.choice(["a", "b"], rows),
        }
    )
    return frame, y


TEST, TRUTH = table(seed=9)


def model(classifier=None, threshold=None, seed=0):
    frame, y = table(seed=seed)
    chosen = LogisticRegression() if classifier is None else classifier
    return Champion(Pipeline([("features", FlowFeatures()), ("classifier", chosen)]), threshold, folds=3).fit(frame, y)


GOOD = model()
POOR = model(threshold=Fixed(-9.0))
BLIND = model(DummyClassifier())


def data(source="real", digest="d1", origin="own files"):
    return replace(small_data.table(), source=source, digest=digest, origin=origin)


def challenge(champion, dataset=None, rows=TEST, evidence=None, seed=42, **options):
    dataset = data() if dataset is None else dataset
    with tracking.start("tiny", "champion", notebook="07_tuning", stage="champion", dataset=dataset, seed=seed) as run:
        evidence = evidence or Evidence()
        return champions.challenge(
            run, "tiny", champion, rows, TRUTH[: rows.height], evidence, resamples=200, **options
        )


def test_the_first_model_takes_the_title_with_card_tags_and_example(store):
    evidence = Evidence(
        estimates=[metrics.bootstrap("f1", TRUTH, GOOD.predict(TEST), resamples=50)],
        truth="made by hand",
        test="300 rows of another draw",
        limits=["knows one kind of anomaly"],
        notes=["chosen among two"],
    )
    verdict = challenge(GOOD, evidence=evidence)
    assert (verdict.champion, verdict.version, verdict.holder, verdict.comparison) == (True, 1, 1, None)
    assert str(verdict) == "tiny: version 1 is champion: nobody held the title."
    assert champions.current("tiny") == 1

    card = champions.card_of("tiny")
    for part in CARD:
        assert part in card
    (folder,) = (store.parent / "mlartifacts/tiny/models").glob("m-*/artifacts")
    assert (folder / champions.CARD).read_text() == card
    version = tracking.open_store().get_model_version("tiny", "1")
    assert version.tags["data.source"] == "real"
    assert version.tags["f1"].startswith("0.")
    run = tracking.open_store().get_run(version.run_id)
    assert run.data.tags["model.verdict"] == str(verdict)
    example = json.loads((folder / "input_example.json").read_text())
    assert example["columns"] == COLUMNS
    assert example["data"] == [list(GOOD.example().row(0))]
    loaded = mlflow.pyfunc.load_model("models:/tiny@champion")
    for rows in (TEST, TEST.with_columns(pl.when(pl.col("rate") > 4).then("rate").alias("rate"))):
        assert (loaded.predict(rows.to_pandas()) == GOOD.predict(rows)).all()
    with zipfile.ZipFile(folder / "model.skops") as packed:
        assert {entry.compress_type for entry in packed.infolist()} == {zipfile.ZIP_LZMA}
    assert "polars==" in (folder / "requirements.txt").read_text()


def test_a_better_challenger_takes_over_and_a_worse_one_does_not(store):
    challenge(POOR)
    better = challenge(GOOD)
    assert (better.champion, better.version, better.holder) == (True, 2, 2)
    assert "the challenger is better by" in str(better)
    worse = challenge(POOR)
    assert (worse.champion, worse.version, worse.holder) == (False, 3, 2)
    assert "version 2 stays champion, version 3 does not take over: the champion is better" in str(worse)
    assert champions.current("tiny") == 2
    assert (tracking.load_model("tiny").predict(TEST) == GOOD.predict(TEST)).all()


def test_no_difference_shown_means_no_change(store):
    challenge(GOOD)
    twin = challenge(model(seed=3), metric="average_precision", seed=7)
    assert not twin.champion
    assert "no difference shown" in str(twin)
    assert "may have learned from some of these rows" in str(twin)


def test_the_same_model_on_the_same_data_is_not_stored_again(store):
    challenge(GOOD)
    again = challenge(model())
    assert (again.champion, again.version, again.holder) == (False, None, 1)
    assert "scores every test row as it does" in str(again)
    assert len(list((store.parent / "mlartifacts/tiny/models").glob("m-*"))) == 1
    assert challenge(model(), data(digest="d2")).version == 2


def test_a_model_of_simulated_data_never_replaces_one_of_real_data(store):
    challenge(POOR)
    simulated = challenge(GOOD, data("simulated", origin="simulator"))
    assert not simulated.champion
    assert "learned from real data, the challenger from simulated data" in str(simulated)
    assert champions.current("tiny") == 1


def test_a_model_of_real_data_replaces_one_of_simulated_data_unless_it_is_worse(store):
    challenge(GOOD, data("simulated", origin="simulator"))
    assert not challenge(POOR).champion
    real = challenge(model(seed=3))
    assert real.champion
    assert "learned from simulated data only" in str(real)
    assert "SIMULATED" not in champions.card_of("tiny")


def test_a_champion_that_cannot_read_todays_rows_is_replaced(store):
    challenge(GOOD)
    narrow = TEST.drop("size")
    frame, y = table()
    other = Champion(Pipeline([("features", FlowFeatures()), ("classifier", LogisticRegression())])).fit(
        frame.drop("size"), y
    )
    verdict = challenge(other, rows=narrow)
    assert verdict.champion
    assert "version 1 cannot be used on these rows" in str(verdict)
    assert "'size'" in str(verdict)


def test_models_that_keep_downloaded_rows_are_not_registered(store):
    neighbours = model(KNeighborsClassifier())
    refused = challenge(neighbours, data(origin="mirror"))
    assert (refused.champion, refused.version, refused.holder) == (False, None, None)
    assert "KNeighborsClassifier keeps rows of downloaded data" in str(refused)
    assert challenge(neighbours).champion
    too_large = challenge(GOOD, most_bytes=100)
    assert too_large.holder == 1
    assert "more than 0.0 MB" in str(too_large)


def test_what_skops_does_not_trust_is_stored_by_cloudpickle_and_the_card_says_so(store):
    frame, y = table()
    pipeline = Pipeline(
        [
            ("features", FlowFeatures()),
            ("twice", FunctionTransformer(lambda rows: rows * 2)),
            ("c", LogisticRegression()),
        ]
    )
    challenge(Champion(pipeline).fit(frame, y))
    assert "stored by cloudpickle" in champions.card_of("tiny")
    assert len(tracking.load_model("tiny").predict(TEST)) == TEST.height


def test_storage_tells_types_and_size():
    kept = models.storage(GOOD)
    assert kept.serialization == "skops"
    assert kept.refused == ()
    assert "utils.classifiers.champion.Champion" in kept.trusted
    assert 1_000 < kept.size < champions.COMPACT
    assert models.storage(lambda: 1).serialization == "cloudpickle"
    assert models.storage(iter(zip())).size >= 0


def test_boosted_champions_are_stored_by_skops_with_their_library_required():
    from lightgbm import LGBMClassifier

    from utils.classifiers.boosted import BoostedTrees

    for library, boosted in (("lightgbm", LGBMClassifier(n_estimators=3, verbose=-1)), ("xgboost", BoostedTrees())):
        champion = model(boosted.set_params(n_estimators=3, n_jobs=1))
        kept = models.storage(champion)
        assert kept.serialization == "skops"
        assert library in champions._packages(champion)
        again = skops.io.loads(skops.io.dumps(champion), trusted=kept.trusted)
        assert np.array_equal(again.score_samples(TEST), champion.score_samples(TEST))


def test_rankings_cannot_be_compared_with_a_model_without_scores(store):
    with tracking.start("tiny", "other", notebook="07_tuning", stage="champion") as run:
        plain = DecisionTreeClassifier(max_depth=1).fit(TEST.select("size", "rate").to_pandas(), TRUTH)
        bare = Pipeline([("pick", FunctionTransformer()), ("tree", plain)])
        tracking.register(
            run.log_model(bare, TEST.select("size", pl.col("rate").cast(pl.Float64)).head(2)), "tiny", alias="champion"
        )
    frame, y = table()
    narrow = Champion(Pipeline([("features", FlowFeatures()), ("c", LogisticRegression())])).fit(
        frame.select("size", "rate"), y
    )
    with pytest.raises(DataError, match="average_precision needs scores"):
        challenge(narrow, rows=TEST.select("size", "rate"), metric="average_precision")
    assert champions.current("tiny") == 1
    assert challenge(narrow, rows=TEST.select("size", "rate")).version == 2


def test_the_example_comes_from_the_simulator_where_there_is_one(lab, monkeypatch):
    def load(name, source, *, seed, budget):
        if name != "tiny":
            raise DataError("your own data has no simulator")
        assert source == "simulated"
        return small_data.table()

    monkeypatch.setattr("utils.datasets.load", load)
    made = tables.build(small_data.table())["flows"]
    pipeline = Pipeline([("features", FlowFeatures(columns=["size", "rate"])), ("c", LogisticRegression())])
    champion = Champion(pipeline, folds=2).fit(made, made["is_anomaly"])
    example = champions.simulated_example("tiny", "flows", champion)
    assert example.height == champions.EXAMPLE_ROWS
    assert example.columns == ["size", "rate"]
    assert set(example["size"]) < set(made["size"])
    assert champions.simulated_example("tiny", "no such table", champion).equals(champion.example())
    assert champions.simulated_example("mine", "flows", champion).equals(champion.example())


def test_there_is_no_card_without_a_model(store):
    assert champions.current("none") is None
    with pytest.raises(TrackingError, match=r"models:/none@champion does not exist"):
        champions.card_of("none")


def test_a_store_that_does_not_answer_is_no_vacant_title(store, monkeypatch):
    challenge(GOOD)

    def busy(*_):
        raise mlflow.exceptions.MlflowException("the server is busy")

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.tracking.MlflowClient, "get_model_version_by_alias", busy)
        with pytest.raises(TrackingError, match=r"who holds models:/tiny@champion cannot be read \(the server is busy"):
            challenge(POOR)
    assert champions.current("tiny") == 1


def test_who_holds_a_title_is_read_without_making_a_store(lab):
    with pytest.raises(TrackingError, match="there is no MLflow store"):
        champions.current("none")
    assert not lab.store_file.exists()


def test_what_training_looked_like_stands_beside_the_model_with_the_scores_to_expect(store):
    challenge(GOOD)
    (file,) = (store.parent / "mlartifacts/tiny/models").glob("m-*/artifacts/profile.json")
    profile = champions.profile_of("tiny")
    assert profile.to_json() == file.read_text() == models.read_beside("tiny", drift.FILE, number=1)
    assert [one.name for one in profile.inputs] == COLUMNS
    assert profile.rows == 300
    assert profile.scores.counts.sum() == TEST.height
    assert profile.alarms.counts[2] == GOOD.predict(TEST).sum()
    assert np.array_equal(profile.p_values([0.9]), GOOD.profile_.p_values([0.9]))
    assert not drift.drift(profile, profile.count(GOOD.monitored(TEST), GOOD.score_samples(TEST), GOOD.predict(TEST)))[
        "drifted"
    ].any()
    assert models.load_model("tiny").profile_ is None


def test_the_same_model_is_stored_again_where_its_profile_was_not(store, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(champions, "_profile", lambda *_: {})
        challenge(GOOD)
    assert champions.profile_of("tiny") is None
    verdict = challenge(GOOD)
    assert (verdict.champion, verdict.version) == (True, 2)
    assert str(verdict).startswith("tiny: version 2 is champion: it scores every test row as the champion does")
    assert champions.profile_of("tiny") is not None
    again = challenge(GOOD)
    assert (again.champion, again.version, again.holder) == (False, None, 2)


def test_a_champion_whose_file_is_cut_short_is_one_sentence(store):
    challenge(GOOD)
    (file,) = (store.parent / "mlartifacts/tiny/models").glob("m-*/artifacts/model.skops")
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(TrackingError, match="model models:/tiny@champion cannot be loaded"):
        models.load_model("tiny")


def test_a_file_of_no_version_is_refused(store):
    with pytest.raises(TrackingError, match=r"profile\.json of model models:/none@champion cannot be read"):
        champions.profile_of("none")
    with pytest.raises(TrackingError, match="models:/none/3 cannot be read"):
        models.read_beside("none", "x", number=3)
