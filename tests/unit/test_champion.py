"""A champion decides on raw rows of any form, says why, and keeps no training rows."""

import pickle

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier

from utils.classifiers import champion as module
from utils.classifiers.champion import Champion
from utils.classifiers.compiled import compiled
from utils.errors import DataError, SchemaError, SettingsError
from utils.evaluation.metrics import f1
from utils.evaluation.scoring import abnormality
from utils.evaluation.thresholds import AlarmRate, BestF1, Fixed, LowestCost
from utils.features.flows import FlowFeatures

ROWS = 400


def table(rows=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    anomalous = rng.random(rows) < 0.25
    frame = pl.DataFrame(
        {
            "size": rng.lognormal(5 + 2 * anomalous, 1.0),
            "state": rng.choice(["ok", "reset", "half"], rows, p=[0.8, 0.1, 0.1]),
            "open": rng.random(rows) < 0.5,
            "noise": rng.normal(size=rows),
            "label": anomalous,
        }
    )
    slow = pl.Series(rng.integers(1, 50, rows) + 40 * anomalous)
    frame = frame.with_columns(
        pl.when(pl.Series(rng.random(rows) < 0.1)).then(None).otherwise(pl.col("noise")).alias("noise"),
        pl.duration(seconds=slow).alias("lasted"),
        pl.when(pl.col("label") & pl.Series(rng.random(rows) < 0.5))
        .then(pl.lit("reset"))
        .otherwise("state")
        .alias("state"),
    )
    return frame.drop("label"), anomalous


def steps(classifier=None, **options):
    chosen = DecisionTreeClassifier(min_samples_leaf=3, random_state=0) if classifier is None else classifier
    return Pipeline([("features", FlowFeatures(**options)), ("classifier", chosen)])


@pytest.fixture(scope="module")
def fitted():
    frame, y = table()
    return Champion(steps(nominal="native", missing="keep")).fit(frame, y)


@pytest.fixture(scope="module")
def fresh():
    return table(200, seed=1)


def test_the_threshold_is_chosen_on_scores_of_rows_that_the_model_had_not_seen(fitted):
    frame, y = table()
    assert fitted.out_of_fold_rows_ == fitted.threshold_.n_scores_ == ROWS
    inside = BestF1().fit(fitted.score_samples(frame), y)
    assert inside.point_.f1 > fitted.threshold_.point_.f1  # scores of seen rows flatter
    assert "highest F1" in fitted.threshold_.describe()


def test_it_finds_anomalies_in_new_rows_and_agrees_with_its_pipeline(fitted, fresh):
    frame, y = fresh
    scores = fitted.score_samples(frame)
    assert np.array_equal(scores, abnormality(fitted.pipeline_, frame))
    assert np.array_equal(fitted.predict(frame), scores >= fitted.threshold_.value_)
    assert f1(y, fitted.predict(frame)) > 0.8
    assert fitted.classes_.tolist() == [False, True]


@pytest.mark.parametrize("rule", [BestF1(), LowestCost(miss=20), AlarmRate(0.1), Fixed(0.7)])
def test_the_rule_of_the_threshold_is_a_choice(rule):
    frame, y = table(150)
    champion = Champion(steps(GaussianNB()), rule, folds=3).fit(frame, y)
    assert type(champion.threshold_) is type(rule)
    assert champion.threshold_ is not rule
    assert champion.threshold_.value_ == pytest.approx(0.7) or not isinstance(rule, Fixed)


def test_every_form_of_rows_gives_the_same_decisions(fitted, fresh):
    frame, _ = fresh
    decided = fitted.predict(frame)
    records = frame.with_columns(pl.col("lasted").dt.total_seconds()).to_dicts()
    mixed = frame.select("noise", "lasted", pl.lit(1).alias("unknown"), "open", "state", "size")
    for form in (frame.to_pandas(), records, mixed, frame.with_columns(pl.col("lasted").cast(pl.Duration("ms")))):
        assert np.array_equal(fitted.predict(form), decided)
    assert np.array_equal(fitted.predict(records[0]), decided[:1])
    assert np.array_equal(fitted.predict(frame.with_columns(pl.col("state").cast(pl.Categorical))), decided)


@given(row=st.integers(0, 199))
@settings(max_examples=15, deadline=None)
def test_a_decision_does_not_depend_on_the_rows_beside_it(fitted, fresh, row):
    frame, _ = fresh
    alone, among = fitted.decide(frame[row], explained="all"), fitted.decide(frame, explained="all")
    assert alone.row(0) == among.row(row)


def test_decisions_come_with_reasons_for_alarms(fitted, fresh):
    frame, _ = fresh
    decided = fitted.decide(frame)
    assert decided.columns == ["decision", "score", "threshold", "reasons"]
    assert (decided["threshold"] == fitted.threshold_.value_).all()
    said = decided.filter("decision")["reasons"].to_list()
    assert all(said)
    assert not any(decided.filter(~pl.col("decision"))["reasons"].to_list())
    first = [clauses[0] for clauses in said]
    assert all("of the score)" in clause for clause in first)
    assert {clause.split(" is ")[0] for clause in first} <= {"size", "lasted", "state"}
    assert fitted.decide(frame, explained="none")["reasons"].list.len().sum() == 0


def test_reasons_have_the_form_of_all_detectors(fitted, fresh):
    frame, _ = fresh
    sentences = fitted.explain(frame)
    alarm = int(np.flatnonzero(fitted.predict(frame))[0])
    assert sentences[alarm] == "; ".join(fitted.clauses(frame[alarm])[0]) + "."
    assert "usual" in sentences[alarm]
    shares = fitted.contributions(frame).to_numpy()
    assert shares.min() >= 0
    assert np.isin(shares.sum(axis=1).round(9), [0, 1]).all()
    assert fitted.reasons(frame[alarm], 1).columns == ["row", "feature", "value", "usual", "share"]
    lowest = int(fitted.score_samples(frame).argmin())
    assert sentences[lowest] == "Nothing is more abnormal than usual."


def test_the_column_that_makes_the_difference_is_named():
    frame, _ = table()
    y = (frame["state"] == "reset").to_numpy()
    champion = Champion(steps(DecisionTreeClassifier(random_state=0))).fit(frame, y)
    alarm = frame.filter(pl.Series(y)).head(1)
    assert champion.clauses(alarm)[0][0].startswith("state is reset (never seen), usually ok")
    assert champion.clauses(alarm)[0][0].endswith("(100 % of the score)")


def test_a_missing_column_is_named_and_extra_ones_are_ignored(fitted, fresh):
    frame, _ = fresh
    with pytest.raises(SchemaError, match="must have the column 'size'"):
        fitted.predict(frame.drop("size"))
    with pytest.raises(SchemaError, match="size"):
        fitted.predict([{"state": "ok", "open": True, "noise": 0.1, "lasted": 3}])
    with pytest.raises(SchemaError, match="types of training"):
        fitted.predict(frame.with_columns(pl.lit("big").alias("size")))
    with pytest.raises(SchemaError, match="types of training"):
        fitted.predict(frame.with_columns(pl.lit("slow").alias("lasted")))


def test_a_column_that_never_varied_need_not_be_there():
    frame, y = table()
    champion = Champion(steps(GaussianNB())).fit(frame.with_columns(pl.lit(3).alias("constant")), y)
    assert len(champion.predict(frame)) == ROWS
    assert "constant" not in champion.input_schema_["column"].to_list()


def test_unknown_names_nulls_and_infinities_are_decided_on(fitted):
    odd = pl.DataFrame(
        {
            "size": [None, np.inf, -1.0],
            "state": ["new", None, "ok"],
            "open": [None, True, False],
            "noise": [np.nan, 0.0, 1e300],
        }
    ).with_columns(pl.duration(seconds=pl.Series([1, 2, 3])).alias("lasted"))
    decided = fitted.decide(odd, explained="all")
    assert decided["score"].is_finite().all()
    assert fitted.predict([dict.fromkeys(odd.columns)]).shape == (1,)


def test_no_rows_are_decided_on_too(fitted, fresh):
    frame, _ = fresh
    assert fitted.predict(frame.head(0)).shape == fitted.score_samples([]).shape == (0,)
    assert fitted.decide([]).shape == (0, 4)
    assert fitted.explain(frame.head(0)) == []


def test_what_is_no_table_is_refused(fitted):
    for rows in (3, "size", [1, 2], np.zeros((2, 5))):
        with pytest.raises(SchemaError, match="polars or pandas frame or a list of records"):
            fitted.predict(rows)
    with pytest.raises(SchemaError, match="of one type"):
        fitted.predict([{"size": 1.0}, {"size": [1]}])
    with pytest.raises(SettingsError, match="explained"):
        fitted.decide([], explained="some")
    with pytest.raises(SettingsError, match="number of reasons"):
        fitted.explain([], 0)


def test_weights_count_as_repeated_rows():
    frame, y = table(120)
    weight = np.where(np.arange(120) % 7 == 0, 0, 1)
    weighted = Champion(steps(DecisionTreeClassifier(max_depth=3, random_state=0))).fit(frame, y, weight)
    kept = weight > 0
    plain = Champion(steps(DecisionTreeClassifier(max_depth=3, random_state=0))).fit(
        frame.filter(pl.Series(kept)), y[kept]
    )
    assert np.array_equal(weighted.score_samples(frame), plain.score_samples(frame))
    assert weighted.threshold_.value_ == plain.threshold_.value_
    assert weighted.n_training_ == kept.sum()
    with pytest.raises(SettingsError, match="must take sample_weight"):
        Champion(steps(KNeighborsClassifier())).fit(frame, y, weight)


def test_no_group_stands_in_two_folds():
    frame, y = table(120)
    twice = pl.concat([frame, frame])
    groups = np.tile(np.arange(120), 2)
    labels = np.concatenate([y, y])
    kind = KNeighborsClassifier(1)
    apart = Champion(steps(kind)).fit(twice, labels, groups=groups)
    leaking = Champion(steps(kind)).fit(twice, labels)
    assert leaking.threshold_.point_.f1 > apart.threshold_.point_.f1


def test_few_rows_get_fewer_folds():
    frame, y = table(30)
    y = np.zeros(30, dtype=bool)
    y[:3] = True
    champion = Champion(steps(GaussianNB()), folds=10).fit(frame, y)
    assert champion.out_of_fold_rows_ == 30
    with pytest.raises(DataError, match="1 anomalies"):
        Champion(steps(GaussianNB())).fit(frame, np.arange(30) == 0)


def test_kinds_of_anomalies_are_told_apart():
    frame, y = table()
    kinds = np.where(y, np.where(frame["state"] == "reset", "scan", "flood"), None)
    family = steps(DecisionTreeClassifier(random_state=0))
    champion = Champion(steps(GaussianNB()), family=family).fit(frame, y, kinds=kinds)
    decided = champion.decide(frame)
    assert (decided["kind"].is_null() == ~decided["decision"]).all()
    found = decided.filter(pl.col("decision") & pl.Series(y))["kind"].to_numpy()
    assert (found == kinds[champion.predict(frame) & y]).mean() > 0.95
    only = Champion(steps(GaussianNB()), family=family).fit(frame, y, kinds=np.where(y, "scan", None))
    assert set(only.decide(frame).filter("decision")["kind"]) == {"scan"}
    nothing = Champion(steps(GaussianNB()), family=family).fit(
        frame, y, kinds=pl.Series([None] * ROWS, dtype=pl.String)
    )
    assert "kind" not in nothing.decide(frame).columns


def test_fitted_parts_become_a_champion_without_fitting_again(fresh):
    frame, y = table()
    pipeline = steps(LogisticRegression()).fit(frame, y)
    threshold = Fixed(1.0).fit(abnormality(pipeline, frame), y)
    champion = Champion.of_fitted(pipeline, threshold, frame, y)
    assert champion.pipeline_ is pipeline
    assert np.array_equal(champion.predict(fresh[0]), abnormality(pipeline, fresh[0]) >= 1.0)
    assert champion.clauses(frame.filter(pl.Series(y)))[0]
    assert "kind" not in champion.decide(frame).columns
    with pytest.raises(NotFittedError):
        Champion.of_fitted(pipeline, Fixed(1.0), frame, y)


def test_more_steps_between_features_and_classifier_are_allowed(fresh):
    frame, y = table()
    pipeline = Pipeline([("features", FlowFeatures()), ("codes", PCA(3)), ("classifier", LogisticRegression())])
    champion = Champion(pipeline).fit(frame, y)
    assert f1(fresh[1], champion.predict(fresh[0])) > 0.7
    assert champion.clauses(frame.filter(pl.Series(y)))[0]


def test_what_cannot_be_fitted_is_refused():
    frame, y = table(60)
    with pytest.raises(DataError, match="learns from labels"):
        Champion(steps()).fit(frame)
    with pytest.raises(SettingsError, match="needs a pipeline"):
        Champion(GaussianNB()).fit(frame, y)
    with pytest.raises(SettingsError, match="needs a pipeline"):
        Champion.of_fitted(GaussianNB(), Fixed(0).fit([0.0]), frame, y)
    with pytest.raises(NotFittedError):
        Champion(steps()).predict(frame)


def test_it_keeps_summaries_and_no_rows():
    frame, y = table()
    marked = frame.with_columns(size=pl.Series(np.random.default_rng(5).random(ROWS) * 1e3 + 1e6 * y))
    champion = Champion(steps(DecisionTreeClassifier(max_depth=2, random_state=0))).fit(marked, y)
    encoded = champion.pipeline_[0].transform(marked)
    kept = champion._references.rows
    assert len(kept) <= module.MOST_REFERENCES
    assert not (encoded[:, None] == kept).all(axis=2).any()
    written = pickle.dumps(champion)
    present = sum(value.tobytes() in written for value in marked["size"].to_numpy())
    assert present <= len(kept) + 10  # medians and quantiles are values of somebody; rows are not


def test_a_champion_survives_pickling_and_gives_an_example(fitted, fresh):
    again = pickle.loads(pickle.dumps(fitted))
    assert again.decide(fresh[0]).equals(fitted.decide(fresh[0]))
    example = fitted.example()
    assert example.schema == {
        "size": pl.Float64,
        "state": pl.String,
        "open": pl.Boolean,
        "noise": pl.Float64,
        "lasted": pl.Float64,
    }
    assert not fitted.predict(example)[0]
    schema = fitted.input_schema_
    assert schema.columns == ["column", "type", "usual"]
    assert schema["type"].to_list()[:3] == ["Float64", "String", "Boolean"]


def test_an_example_of_codes_and_of_a_column_without_values():
    frame = pl.DataFrame({"code": pl.Series([0, 1, 1, 1] * 20, dtype=pl.UInt8), "gap": [None, None, None, 1.5] * 20})
    y = np.tile([True, False, False, True], 20)
    champion = Champion(steps(GaussianNB())).fit(frame, y)
    assert champion.example().row(0) == (1, None)
    assert champion.example().schema["code"] == pl.UInt8
    assert len(champion.predict(champion.example())) == 1


def test_decimals_are_numbers_in_an_example_too():
    frame, y = table()
    prices = frame.select("state", "open", pl.col("size").cast(pl.Decimal(20, 2)).alias("price"))
    champion = Champion(steps()).fit(prices, y)
    example = champion.example()
    assert example.schema["price"] == pl.Float64
    assert example["price"].item() == pytest.approx(float(prices.filter(pl.Series(~y))["price"].median()), rel=0.05)
    assert not champion.predict(example).any()
    assert compiled(champion).predict(example.to_dicts()).tolist() == [False]
