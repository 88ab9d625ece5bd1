"""The compiled form of a champion scores as the champion does, to the last bit, and leaves to it what is odd."""

import json
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lightgbm import LGBMClassifier
from sklearn.decomposition import PCA
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from xgboost import XGBClassifier

from utils.classifiers import zoo
from utils.classifiers.champion import Champion
from utils.classifiers.compiled import Parity, compiled, parity, passed
from utils.classifiers.compiled.forest import forest_of, scores_of
from utils.classifiers.compiled.trees import of_lightgbm
from utils.classifiers.graph_ratios import GraphRatios
from utils.errors import DataError, LabError, SchemaError, SettingsError
from utils.evaluation.inputs import as_scores
from utils.evaluation.scoring import abnormality
from utils.evaluation.thresholds import BestF1
from utils.features.flows import FlowFeatures
from utils.features.tables.texts import TextReader
from utils.features.web_events import EventColumns, traits

SIZES = {
    "lightgbm": {"n_estimators": 30},
    "xgboost": {"n_estimators": 30},
    "hist gradient boosting": {"max_iter": 20},
    "extra trees": {"n_estimators": 10},
    "random forest": {"n_estimators": 10},
    "decision tree": {},
    "bagging": {"n_estimators": 5},
}
TAKE_MISSING = ("lightgbm", "xgboost", "hist gradient boosting", "random forest", "decision tree")
LARGEST = float(np.finfo(np.float32).max)


def matrix(rows, seed, missing=0.0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, 8)).astype(np.float32)
    values[:, 3] = rng.integers(0, 5, rows)
    values[rng.random(values.shape) < 0.05] = 0
    values[rng.random(values.shape) < missing] = np.nan
    return values


def answers(values, seed=9):
    noise = np.random.default_rng(seed).normal(size=len(values))
    return np.nan_to_num(values[:, 0]) + np.nan_to_num(values[:, 3]) + noise > 1.5


def made(name, seed=1, **parameters):
    return zoo.choice(name).classifier(seed, 1, **{**SIZES.get(name, {}), **parameters})


def odd_rows(missing):
    values = matrix(600, 5, missing)
    values[::40, 1], values[1::40, 2], values[2::40, 0] = 1e-36, LARGEST, -LARGEST
    return values


def table(rows=300, seed=0):
    rng = np.random.default_rng(seed)
    anomalous = rng.random(rows) < 0.3
    noise = pl.Series(rng.normal(size=rows))
    frame = pl.DataFrame(
        {
            "size": rng.lognormal(5 + 2 * anomalous, 1.0),
            "packets": rng.integers(1, 60, rows) + 20 * anomalous,
            "state": np.where(anomalous & (rng.random(rows) < 0.6), "reset", rng.choice(["ok", "half", "rare"], rows)),
            "protocol": rng.choice([1, 6, 17], rows),
            "open": rng.random(rows) < 0.5,
            "constant": np.ones(rows),
        }
    )
    some = pl.Series(rng.random(rows) < 0.1)
    frame = frame.with_columns(noise=pl.when(some).then(None).otherwise(noise))
    return frame, anomalous


def champion_of(classifier, frame, y, features=None, middle=()):
    steps = [("features", FlowFeatures() if features is None else features), *middle, ("classifier", classifier)]
    pipeline = Pipeline(steps).fit(frame, y)
    return Champion.of_fitted(pipeline, BestF1().fit(abnormality(pipeline, frame), y), frame, y)


@pytest.fixture(scope="module")
def boosted():
    frame, y = table()
    return champion_of(made("lightgbm"), frame, y, FlowFeatures(**zoo.BOOSTED))


@pytest.fixture(scope="module")
def fast(boosted):
    return compiled(boosted)


@pytest.mark.parametrize(
    ("name", "missing"), [*((name, 0.0) for name in SIZES), *((name, 0.1) for name in TAKE_MISSING)]
)
def test_trees_add_up_to_the_last_bit(name, missing):
    seen = matrix(400, 3, missing)
    classifier = made(name).fit(seen, answers(seen))
    rows = odd_rows(0.15 if name in TAKE_MISSING else 0.0)
    scores, in_trees = scores_of(classifier)
    assert in_trees
    wanted = abnormality(classifier, rows)
    assert np.array_equal(scores(rows), wanted)
    assert np.array_equal(np.concatenate([scores(rows[at : at + 1]) for at in range(30)]), wanted[:30])
    assert len(np.unique(wanted)) > 1
    assert np.array_equal(forest_of(classifier).chances(rows), classifier.predict_proba(rows)[:, 1].astype(np.float64))


@pytest.mark.parametrize("share", [0.04, 0.3, 0.72, 0.97])
def test_boosting_of_xgboost_starts_where_it_starts(share):
    seen = matrix(400, 4)
    y = np.argsort(np.argsort(seen[:, 0])) >= (1 - share) * len(seen)
    classifier = made("xgboost").fit(seen, y)
    wanted = XGBClassifier.predict(classifier, seen, output_margin=True)
    assert np.array_equal(forest_of(classifier).sums(seen), wanted)


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 0.5]])
def test_a_vote_of_forests_is_their_mean(weights):
    seen = matrix(300, 3)
    members = [(name, made(name)) for name in ("lightgbm", "extra trees", "xgboost")]
    vote = VotingClassifier(members, voting="soft", weights=weights).fit(seen, answers(seen))
    scores, in_trees = scores_of(vote)
    assert in_trees
    assert np.array_equal(scores(odd_rows(0.0)), abnormality(vote, odd_rows(0.0)))


@pytest.mark.parametrize(
    "classifier",
    [
        LogisticRegression(),
        made("gradient boosting", n_estimators=5),
        made("adaboost", n_estimators=5),
        VotingClassifier([("one", made("decision tree")), ("two", LogisticRegression())], voting="soft"),
        XGBClassifier(booster="dart", n_estimators=3, rate_drop=0.5),
        LGBMClassifier(n_estimators=3, zero_as_missing=True, verbose=-1, n_jobs=1),
        LGBMClassifier(n_estimators=3, linear_tree=True, verbose=-1, n_jobs=1),
        LGBMClassifier(n_estimators=3, boosting_type="rf", subsample=0.5, subsample_freq=1, verbose=-1, n_jobs=1),
    ],
    ids=lambda one: type(one).__name__,
)
def test_what_has_no_such_trees_is_asked_itself(classifier):
    seen = matrix(300, 3)
    classifier.fit(seen, answers(seen))
    scores, in_trees = scores_of(classifier)
    assert not in_trees
    assert np.array_equal(scores(seen), abnormality(classifier, seen))


def test_splits_by_categories_are_not_taken_for_others():
    seen = matrix(300, 3)
    y = np.isin(seen[:, 3], (1, 4)) ^ (np.arange(300) % 11 == 0)
    lightgbm = LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1).fit(seen, y, categorical_feature=[3])
    histograms = made("hist gradient boosting").set_params(categorical_features=[3]).fit(seen, y)
    assert "num_cat=1" in lightgbm.booster_.model_to_string()
    assert forest_of(lightgbm) is None
    assert forest_of(histograms) is None


def test_more_classes_than_two_are_no_matter_of_one_threshold():
    seen = matrix(300, 3)
    assert forest_of(made("lightgbm").fit(seen, seen[:, 3])) is None


def test_a_tree_that_never_splits_is_one_leaf():
    tree = of_lightgbm("0\nnum_leaves=1\nnum_cat=0\nleaf_value=-1.5\nis_linear=0\nshrinkage=1\n")
    assert tree.value.tolist() == [-1.5]
    assert tree.left.tolist() == [-1]


@pytest.mark.parametrize("options", [zoo.TREES, zoo.ONE_HOT, zoo.BOOSTED, zoo.STANDARD, zoo.RANKS], ids=repr)
def test_records_are_encoded_as_tables_are(options):
    frame, y = table()
    champion = champion_of(made("lightgbm", n_estimators=10), frame, y, FlowFeatures(**options))
    fast = compiled(champion)
    rows, _ = table(200, seed=1)
    assert fast._encoder.encode(rows.to_dicts()) is not None
    assert np.array_equal(fast.score_records(rows.to_dicts()), champion.score_samples(rows))
    assert np.array_equal(fast.score_samples(rows), champion.score_samples(rows))
    assert np.array_equal(fast.predict(rows), fast.predict(rows.to_dicts()))


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.sampled_from(["ok", "reset", "6", "", "new\0name", 6.0, 6.5, 17, 1e18, -1e19, 3e38, [1], {"a": 1}]),
)


def outcome(score, record):
    """The score, or what is complained of."""
    try:
        return score([record]).item()
    except LabError as error:
        return type(error), str(error)
    except pl.exceptions.PolarsError as error:
        return type(error)


@settings(max_examples=100, deadline=None)
@given(column=st.sampled_from(["size", "packets", "state", "protocol", "open", "noise", "constant"]), value=VALUES)
def test_an_odd_record_gets_the_champions_answer_or_complaint(boosted, fast, column, value):
    record = {**table(1, seed=2)[0].to_dicts()[0], column: value}
    assert outcome(fast.score_records, record) == outcome(boosted.score_samples, record)


def test_a_missing_column_is_the_champions_complaint(boosted, fast):
    record = table(1)[0].drop("noise").to_dicts()[0]
    with pytest.raises(SchemaError, match="noise"):
        fast.score_records([record])


def test_no_records_have_no_scores(fast):
    assert fast.score_records([]).shape == (0,)
    assert fast.score_samples(table(5)[0].head(0)).shape == (0,)


def test_columns_that_are_made_of_others_are_made_alike():
    rng = np.random.default_rng(0)
    names = [f"{kind}_global_{side}_degrees" for side in ("source", "dest") for kind in ("avg", "min", "max", "std")]
    frame = pl.DataFrame({"n_connections": rng.integers(0, 90, 300), "std_local_source_degrees": rng.random(300)})
    frame = frame.with_columns(pl.Series(name, rng.integers(0, 9, 300) / 1.0) for name in names)
    y = rng.random(300) < 0.3
    features = GraphRatios(columns=frame.columns, **zoo.TREES)
    champion = champion_of(made("extra trees"), frame, y, features)
    fast = compiled(champion)
    assert features.fit(frame).derived_
    assert np.array_equal(fast.score_records(frame.to_dicts()), champion.score_samples(frame))


@pytest.fixture(scope="module")
def reading_texts():
    plain = ["id=1", "q=shoes", "", "name=%41nn", "a/b/c", "7" * 30]
    attacks = [
        "' or 1=1 -- -",
        "<script>alert(1)</script>",
        "../../etc/passwd",
        "%3Cimg%20onerror=x%3E",
        "1;id",
        "${a}",
    ]
    frame = pl.DataFrame(
        {
            "payload": [f"{text}{n}" for n in range(20) for text in plain + attacks],
            "user_agent": ["Mozilla/5.0 (X11)", "sqlmap/1.0", None] * 80,
            "status": [200, 404, None, 500] * 60,
        }
    )
    y = np.array(([False] * len(plain) + [True] * len(attacks)) * 20)
    columns = EventColumns(("payload",), agent="user_agent", code="status")
    reader = TextReader(columns, tuple(traits(frame.head(1), columns).columns))
    table = reader.read(frame).select(reader.names)
    varying = [name for name in table.columns if table[name].drop_nulls().n_unique() > 1]
    champion = champion_of(made("lightgbm"), table, y, FlowFeatures(columns=varying, **zoo.BOOSTED)).reading(reader)
    return champion, compiled(champion), frame


@settings(max_examples=50, deadline=None)
@given(
    payload=st.one_of(
        st.none(), st.text(max_size=60), st.text("<>'\"%/\\&;=()x4127 \0\n+", max_size=40), st.integers()
    ),
    agent=st.one_of(st.none(), st.text(max_size=20)),
    code=st.one_of(st.none(), st.integers(-1, 700), st.sampled_from(["200", "x", 404.0, 1e300, True])),
)
def test_one_event_is_read_as_many_are(reading_texts, payload, agent, code):
    champion, fast, _ = reading_texts
    record = {"payload": payload, "user_agent": agent, "status": code, "beside": 1}
    assert outcome(fast.score_records, record) == outcome(champion.score_samples, record)


def test_events_and_rows_of_the_table_are_both_read(reading_texts):
    champion, fast, frame = reading_texts
    records = frame.to_dicts()
    made_rows = champion.reader_.read(frame).select(champion.reader_.names)
    wanted = champion.score_samples(frame)
    assert fast._encoder.encode(records) is not None
    assert np.array_equal(fast.score_records(records), wanted)
    assert np.array_equal(fast.score_records(made_rows.to_dicts()), wanted)
    assert parity(champion, fast, frame).passed
    assert parity(champion, fast, made_rows).passed


def test_more_steps_are_gone_through():
    frame, y = table()
    champion = champion_of(LogisticRegression(), frame, y, FlowFeatures(), [("pca", PCA(3, random_state=0))])
    fast = compiled(champion)
    assert not fast.in_trees
    assert fast.score_records(frame.to_dicts()) == pytest.approx(champion.score_samples(frame), abs=1e-9)


class Spoiled:
    """Scores that are wrong by a little."""

    def __init__(self, scores, by):
        self.scores, self.by = scores, by

    def __call__(self, encoded):
        return self.scores(encoded) + self.by


def test_the_champion_decides_where_rounding_could(boosted):
    frame, _ = table()
    scores = boosted.score_samples(frame)
    by = float(np.sort(np.abs(scores - boosted.threshold_.value_))[3])
    fast = compiled(boosted, margin=2 * by)
    fast._scores = Spoiled(fast._scores, by)
    assert np.array_equal(fast.predict(frame), boosted.predict(frame))
    assert np.array_equal(fast.predict(frame.to_dicts()), boosted.predict(frame))
    assert (fast.score_records(frame.to_dicts()) != scores).any()


def test_the_gate_lets_equal_forms_pass(boosted, fast):
    found = parity(boosted, fast, table(250, seed=3)[0])
    assert (found.rows, found.differing, found.largest, found.in_trees) == (250, 0, 0.0, True)
    assert found.passed
    assert found.sentence.startswith("the compiled form serves: 250 held-out rows, 0 decided otherwise")
    assert Parity.from_json(found.to_json()) == found
    assert json.loads(found.to_json())["passed"] is True
    served = passed(boosted, found.to_json())
    assert served.margin == 0.0
    assert served.champion is boosted


def test_the_gate_stops_other_decisions_and_other_scores(boosted):
    frame, _ = table(250, seed=3)
    for by, differing in ((50.0, True), (1e-5, False)):
        fast = compiled(boosted)
        fast._scores = Spoiled(fast._scores, by)
        found = parity(boosted, fast, frame)
        assert (found.differing > 0) is differing
        assert found.largest == pytest.approx(by, rel=1e-3)
        assert not found.passed
        assert "does not serve" in found.sentence
        assert passed(boosted, found.to_json()) is None


def test_without_rows_or_finding_nothing_has_passed(boosted, fast):
    assert not parity(boosted, fast, table(5)[0].head(0)).passed
    assert passed(boosted, None) is None
    assert not Parity(10, 0, math.nan).passed
    tied = Parity(10, 0, 1e-9)
    assert "nearer to the threshold the plain form decides" in tied.sentence
    assert passed(boosted, tied.to_json()).margin == 1e-9


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"rows": 1, "differing": "x", "largest": 0, "in_trees": true}'])
def test_what_is_no_finding_is_refused(boosted, text):
    with pytest.raises(DataError, match="parity"):
        passed(boosted, text)


class Doubled(FlowFeatures):
    """Features that do something else with the numbers."""

    def transform(self, X):
        return 2 * super().transform(X)


def test_what_cannot_be_compiled_says_why(boosted):
    frame, y = table()
    with pytest.raises(SettingsError, match="found str"):
        compiled("champion")
    with pytest.raises(SettingsError, match="found Champion"):
        compiled(Champion(boosted.pipeline_))
    with pytest.raises(SettingsError, match="found Doubled"):
        compiled(champion_of(made("decision tree"), frame, y, Doubled()))
    spans = frame.with_columns(pl.duration(seconds="packets").alias("lasted"))
    with pytest.raises(SettingsError, match="'lasted'"):
        compiled(champion_of(made("decision tree"), spans, y))


def test_another_reader_of_records_is_not_known(reading_texts):
    class Reader:
        inputs, names = ("payload",), ()

    champion = reading_texts[0]
    before = champion.reader_
    try:
        with pytest.raises(SettingsError, match="found Reader"):
            compiled(champion.reading(Reader()))
    finally:
        champion.reading(before)


@pytest.mark.parametrize(("scores", "rows"), [(np.zeros(5), 0), (np.zeros(5), 4), (np.zeros((2, 2)), 2)])
def test_scores_that_are_an_array_are_checked_as_others_are(scores, rows):
    with pytest.raises(DataError):
        as_scores(scores, rows)
    assert as_scores(np.array([0.0, np.inf]), 2).tolist() == [0.0, math.inf]
    with pytest.raises(DataError, match="NaN in 1 of 2"):
        as_scores(np.array([0.0, np.nan]))
