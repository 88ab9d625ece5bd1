import datetime as dt
import pickle

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import balanced_accuracy_score, f1_score

from utils.datasets.contract import Roles
from utils.detectors.rules import (
    FeatureRule,
    MeanPlusSigma,
    QuantileRule,
    best_on_test,
    shortcut_strength,
    usable_columns,
)
from utils.errors import DataError, SchemaError
from utils.evaluation.scoring import out_of_fold
from utils.evaluation.thresholds import AlarmRate, BestF1, Fixed, LowestCost

QUICK = settings(max_examples=40, deadline=None)
ROLES = Roles(
    unit="flow",
    label="is_anomaly",
    anomaly_type="anomaly_type",
    features=("size", "rate", "service", "odd"),
    identity=("client", "Dst Port"),
    time="when",
    group="vector",
    split="split",
    sequence="row",
    withheld={"difficulty": "was made by models that saw the labels"},
)
START = dt.datetime(2026, 3, 2)


def flows(n=600, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.random(n) < 0.2
    attacked = np.where(y, rng.random(n) < 0.9, rng.random(n) < 0.15)
    return pl.DataFrame(
        {
            "size": np.where(attacked, rng.integers(1, 40, n), rng.integers(30, 500, n)),
            "rate": rng.normal(size=n) + y,
            "service": np.where(y & (rng.random(n) < 0.5), "ftp", rng.choice(["http", "smtp", "dns"], n)),
            "odd": rng.random(n) < np.where(y, 0.6, 0.3),
            "constant": 1.0,
            "empty": pl.Series([None] * n, dtype=pl.Float64),
            "client": [f"10.0.{place // 250}.{place % 250}" for place in range(n)],
            "Dst Port": np.where(y, 21, rng.integers(1024, 60_000, n)),
            "when": [START + dt.timedelta(minutes=place) for place in range(n)],
            "vector": np.arange(n),
            "split": "train",
            "row": np.arange(n),
            "difficulty": np.where(y, 3, 21),
            "is_anomaly": y,
            "anomaly_type": np.where(y, "scan", "normal"),
        }
    )


X = flows()
Y = X["is_anomaly"].to_numpy()
NEW = flows(seed=1)


def best_by_hand(values, y):
    """Highest F1 of ``value >= v`` and ``value <= v`` over all values; missing values are never flagged."""
    known = values[~np.isnan(values)]
    return max(f1_score(y, flagged) for v in np.unique(known) for flagged in (values >= v, values <= v))


VALUES = st.one_of(st.none(), st.sampled_from([float("nan"), float("inf"), -float("inf"), -1.0, 0.0, 0.5, 2.0, 1e300]))


@QUICK
@given(st.lists(st.tuples(VALUES, VALUES, st.booleans()), min_size=4, max_size=25))
def test_the_rule_is_the_best_of_all_columns_values_and_directions(rows):
    first, second, y = zip(*rows, strict=True)
    frame = pl.DataFrame({"a": first, "b": second}, schema={"a": pl.Float64, "b": pl.Float64})
    y = np.array(y)
    varies = [name for name in frame.columns if frame[name].fill_nan(None).drop_nulls().n_unique() > 1]
    if not varies or y.all() or not y.any():
        with pytest.raises(DataError):
            FeatureRule().fit(frame, y)
        return
    rule = FeatureRule().fit(frame, y)
    tables = [frame[name].fill_null(float("nan")).to_numpy() for name in varies]
    assert rule.rule_.point.f1 == pytest.approx(max(best_by_hand(values, y) for values in tables))
    flagged = rule.predict(frame)
    assert f1_score(y, flagged) == pytest.approx(rule.rule_.point.f1)
    missing = frame[rule.feature_].fill_nan(None).is_null().to_numpy()
    assert not flagged[missing].any()
    assert np.isfinite(rule.score_samples(frame)).all()
    assert np.array_equal(rule.threshold_.predict(rule.score_samples(frame)), flagged)


def test_the_scoreboard_ranks_all_features_and_says_what_is_left_out():
    rule = FeatureRule(["rate", "size", "odd", "service", "constant", "empty"]).fit(X, Y)
    board = rule.scoreboard_
    assert board["feature"].to_list()[0] == rule.feature_ == "size"
    assert set(board["feature"]) == {"rate", "size", "odd", "service"}
    assert board["f1"].is_sorted(descending=True)
    assert rule.left_out_ == {"constant": "is constant", "empty": "holds no value"}
    by_feature = {row["feature"]: row for row in board.iter_rows(named=True)}
    assert by_feature["size"]["direction"] == "low"
    assert by_feature["rate"]["direction"] == "high"
    assert by_feature["odd"]["rule"] == "odd is true"
    assert by_feature["service"]["kind"] == "nominal"
    assert by_feature["service"]["cut"] is None
    cut = by_feature["size"]["cut"]
    assert cut == int(cut)
    assert by_feature["size"]["f1"] == pytest.approx(f1_score(Y, X["size"].to_numpy() <= cut))
    assert by_feature["rate"]["recall"] == pytest.approx((X["rate"].to_numpy()[Y] >= by_feature["rate"]["cut"]).mean())


def test_compare_measures_the_trained_rules_on_other_rows():
    rule = FeatureRule(roles=ROLES).fit(X, Y)
    board = rule.compare(NEW, NEW["is_anomaly"])
    assert board.columns[: len(rule.scoreboard_.columns)] == rule.scoreboard_.columns
    assert board["test_f1"][0] == pytest.approx(f1_score(NEW["is_anomaly"], rule.predict(NEW)))
    rows = {row["feature"]: row for row in board.iter_rows(named=True)}
    flagged = NEW["service"].to_numpy() == "ftp"
    assert rows["service"]["test_f1"] == pytest.approx(f1_score(NEW["is_anomaly"], flagged))


def test_the_published_rule_is_one_feature_in_one_direction():
    rule = FeatureRule(feature="size", direction="low").fit(X, Y)
    assert (rule.feature_, rule.direction_) == ("size", "low")
    assert rule.sentence_.startswith(f"A row is anomalous if size is at most {int(rule.cut_)} (F1 0.")
    assert "600 training rows" in rule.sentence_
    assert np.array_equal(rule.predict(NEW), NEW["size"].to_numpy() <= rule.cut_)
    worse = FeatureRule(feature="size", direction="high").fit(X, Y)
    assert worse.rule_.point.f1 < rule.rule_.point.f1


def test_a_fixed_threshold_is_in_the_unit_of_the_column():
    rule = FeatureRule(feature="size", direction="low", threshold=Fixed(46)).fit(X, Y)
    assert rule.cut_ == 46
    assert np.array_equal(rule.predict(NEW), NEW["size"].to_numpy() <= 46)
    high = FeatureRule(feature="rate", direction="high", threshold=Fixed(1.5)).fit(X, Y)
    assert np.array_equal(high.predict(NEW), NEW["rate"].to_numpy() >= 1.5)
    assert high.sentence_.startswith("A row is anomalous if rate is at least 1.5 (")


def test_costs_and_alarm_rates_choose_in_their_way():
    cheap = FeatureRule(roles=ROLES, threshold=LowestCost(miss=50, false_alarm=1)).fit(X, Y)
    dear = FeatureRule(roles=ROLES, threshold=LowestCost(miss=1, false_alarm=50)).fit(X, Y)
    assert cheap.rule_.point.recall > dear.rule_.point.recall
    assert cheap.scoreboard_["merit"].is_sorted(descending=True)
    calm = FeatureRule(roles=ROLES, threshold=AlarmRate(0.05)).fit(X, Y)
    assert (calm.scoreboard_["false_alarm_rate"] <= 0.05).all()
    silent = FeatureRule(feature="size", threshold=AlarmRate(0.001)).fit(X, Y)
    assert "size is never conspicuous enough" in silent.sentence_
    assert not silent.predict(NEW).any()
    assert np.isinf(silent.cut_)


def test_weights_count_rows_and_importances_only_shift_the_balance():
    weight = np.random.default_rng(2).integers(0, 4, X.height)
    weighted = FeatureRule(["size", "rate"]).fit(X, Y, weight)
    repeated = np.repeat(np.arange(X.height), weight)
    plain = FeatureRule(["size", "rate"]).fit(X[repeated], Y[repeated])
    assert weighted.cut_ == plain.cut_
    assert weighted.rule_.point.f1 == pytest.approx(plain.rule_.point.f1)
    held = FeatureRule(feature="size", threshold=AlarmRate(0.05))
    importance = np.where(Y, 0.2, 9.5)
    assert held.fit(X, Y, importance).cut_ == held.fit(X, Y).cut_
    measured = weighted.compare(X, Y, weight)["test_f1"]
    assert np.allclose(measured, weighted.scoreboard_["f1"])


def test_explanations_name_the_value_and_the_rule():
    rule = FeatureRule(feature="size", direction="low", threshold=Fixed(46)).fit(X, Y)
    rows = pl.DataFrame({"size": [12, 200, None]})
    assert rule.explain(rows) == [
        "Anomalous: size is 12; the rule is that size is at most 46.",
        "Normal: size is 200; the rule is that size is at most 46.",
        "Normal: size is missing; the rule is that size is at most 46.",
    ]
    service = FeatureRule(feature="service").fit(X, Y)
    assert service.explain(pl.DataFrame({"service": ["ftp", "gopher"]})) == [
        "Anomalous: service is 'ftp'; the rule is that service is 'ftp'.",
        "Normal: service is 'gopher'; the rule is that service is 'ftp'.",
    ]
    truth = FeatureRule(feature="odd").fit(X, Y)
    assert truth.explain(pl.DataFrame({"odd": [True]})) == ["Anomalous: odd is true; the rule is that odd is true."]
    assert FeatureRule(feature="odd").fit(X, ~Y).rule_.words() in ("odd is false", "odd is at least 0")


def test_a_column_of_unique_names_gets_no_credit():
    rule = FeatureRule(["rate", "client"]).fit(X, Y)
    assert rule.feature_ == "rate"
    unique = rule.scoreboard_.filter(feature="client")["f1"][0]
    assert unique <= 2 * Y.mean() / (1 + Y.mean()) + 1e-9


def test_codes_can_be_declared_names():
    frame = pl.DataFrame({"protocol": np.where(Y, 6, np.where(np.arange(len(Y)) % 2, 1, 17))})
    as_number = FeatureRule().fit(frame, Y)
    as_name = FeatureRule(nominal=["protocol"]).fit(frame, Y)
    assert as_name.rule_.point.f1 == 1.0 > as_number.rule_.point.f1
    assert as_name.explain(frame[:1])[0].endswith("protocol is '6'.")
    assert np.array_equal(as_name.predict(frame), Y)


def test_values_never_seen_score_the_overall_share_and_missing_ones_lowest():
    rule = FeatureRule(feature="service").fit(X, Y)
    scores = rule.score_samples(pl.DataFrame({"service": ["ftp", "gopher", None, "http"]}))
    assert scores[0] > scores[1] > scores[3] > scores[2]
    assert scores[1] == pytest.approx(Y.mean())
    generous = FeatureRule(feature="service", threshold=Fixed(0.01)).fit(X, Y)
    assert "a value that training has not seen" in generous.sentence_
    assert generous.predict(pl.DataFrame({"service": ["gopher", None]})).tolist() == [True, False]


def test_long_lists_of_values_are_cut():
    many = pl.DataFrame({"path": [f"/{place % 20}" for place in range(400)]})
    y = np.arange(400) % 20 < 8
    words = FeatureRule().fit(many, y).rule_.words()
    assert words.count("'/") == 6
    assert words.endswith("or one of 2 more")
    long = pl.DataFrame({"path": np.where(y, "/" + "x" * 500, "/")})
    assert len(FeatureRule().fit(long, y).rule_.words()) < 100


def test_categories_and_enums_are_names():
    for dtype in (pl.Categorical, pl.Enum(["dns", "ftp", "http", "smtp"])):
        rule = FeatureRule().fit(X.select(pl.col("service").cast(dtype)), Y)
        assert np.array_equal(rule.predict(NEW.select("service")), NEW["service"].to_numpy() == "ftp")


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("Dst Port", "a rule on 'Dst Port' would recognise who it was"),
        ("client", "a rule on 'client' would recognise who it was"),
        ("when", "a rule on 'when' would recognise when it was recorded"),
        ("is_anomaly", "would repeat the label"),
        ("anomaly_type", "would repeat the label"),
        ("vector", "would recognise the group"),
        ("split", "would recognise the published split"),
        ("row", "would compare the numbers of sequences"),
        ("difficulty", "would use a withheld column, which was made by models that saw the labels"),
    ],
)
@pytest.mark.parametrize("asked", [lambda c: {"feature": c}, lambda c: {"features": ["size", c]}])
def test_columns_that_give_the_answer_away_are_refused(column, message, asked):
    for rule in (FeatureRule(**asked(column), roles=ROLES), MeanPlusSigma(features=["size", column], roles=ROLES)):
        with pytest.raises(DataError, match=message):
            rule.fit(X, Y)


def test_a_list_of_refused_columns_is_enough():
    with pytest.raises(DataError, match="a rule on 'Dst Port' would use a column that you refused"):
        FeatureRule(feature="Dst Port", refuse=["Dst Port"]).fit(X, Y)
    names = usable_columns(X, None, refuse=["Dst Port", "client"])
    assert "Dst Port" not in names
    assert not {"when", "is_anomaly", "anomaly_type"} & set(names)
    assert usable_columns(X, None, ROLES) == ["size", "rate", "service", "odd"]


def test_the_strength_of_a_refused_column_is_shown():
    table = shortcut_strength(X, Y, ["client", "Dst Port", "constant", "when"])
    rows = {row["column"]: row for row in table.iter_rows(named=True)}
    assert table["column"][0] == "Dst Port"
    assert rows["Dst Port"]["balanced_accuracy"] > 0.99
    assert rows["client"]["balanced_accuracy"] == pytest.approx(0.5)
    assert rows["constant"]["distinct"] == 1
    lasted = X.with_columns(lasted=pl.duration(minutes=pl.int_range(pl.len()) % 7))
    assert shortcut_strength(lasted, Y, ["lasted"])["distinct"].item() == 7
    half = shortcut_strength(X, Y, ["service"], weight=np.full(X.height, 2))
    assert half["balanced_accuracy"][0] == pytest.approx(
        balanced_accuracy_score(Y, X["service"].to_numpy() == "ftp"), abs=1e-9
    )


def test_choosing_on_the_test_rows_is_optimistic():
    rule = FeatureRule(feature="size", direction="low").fit(X, Y)
    y = NEW["is_anomaly"].to_numpy()
    chosen = best_on_test(rule, NEW, y)
    sizes = NEW["size"].to_numpy()
    assert chosen.f1 == pytest.approx(max(f1_score(y, sizes <= v) for v in np.unique(sizes)))
    assert chosen.honest_f1 == pytest.approx(f1_score(y, rule.predict(NEW)))
    assert chosen.optimism == pytest.approx(chosen.f1 - chosen.honest_f1)
    assert chosen.optimism >= 0
    assert chosen.honest_cut == rule.cut_
    tried = best_on_test(rule, NEW, y, candidates=X["size"].unique())
    assert tried.f1 <= chosen.f1
    assert tried.f1 == pytest.approx(f1_score(y, sizes <= tried.cut))
    high = best_on_test(FeatureRule(feature="rate").fit(X, Y), NEW, y)
    assert high.f1 == pytest.approx(f1_score(y, NEW["rate"].to_numpy() >= high.cut))


def test_mean_plus_sigma_is_the_standardised_distance():
    names = ["size", "rate"]
    rule = MeanPlusSigma(2, names).fit(X, Y)
    normal = X.filter(~Y).select(names).to_numpy().astype(float)
    distance = np.abs((NEW.select(names).to_numpy() - normal.mean(axis=0)) / normal.std(axis=0, ddof=1))
    assert np.allclose(rule.score_samples(NEW), distance.max(axis=1))
    assert np.array_equal(rule.predict(NEW), distance.max(axis=1) >= 2)
    assert np.allclose(rule.mean_, normal.mean(axis=0))
    assert np.allclose(rule.deviation_, normal.std(axis=0, ddof=1))
    one_sided = MeanPlusSigma(2, names, two_sided=False).fit(X.filter(~Y))
    signed = (NEW.select(names).to_numpy() - normal.mean(axis=0)) / normal.std(axis=0, ddof=1)
    assert np.allclose(one_sided.score_samples(NEW), signed.max(axis=1))
    assert "2 features lies at least 2 standard deviations from its mean" in rule.sentence_
    assert "above its mean" in one_sided.sentence_
    assert "if size lies at least 3 standard" in MeanPlusSigma(features=["size"]).fit(X, Y).sentence_
    place = int(distance.argmax()) // 2
    assert rule.explain(NEW[[place]])[0].startswith("Anomalous: ")


def test_mean_plus_sigma_counts_weights_and_bears_odd_values():
    weight = np.random.default_rng(2).integers(0, 4, X.height)
    repeated = np.repeat(np.arange(X.height), weight)
    weighted = MeanPlusSigma(features=["size"]).fit(X, weight=weight)
    plain = MeanPlusSigma(features=["size"]).fit(X[repeated])
    assert np.allclose(weighted.deviation_, plain.deviation_)
    odd = pl.DataFrame({"a": [1e307, -1e307, 0.0, None, float("nan")], "b": [5.0] * 5, "c": [1.0, 2.0, 3.0, 4.0, 5.0]})
    rule = MeanPlusSigma().fit(odd)
    assert rule.left_out_ == {"b": "is constant on normal rows"}
    assert rule.mean_[0] == 0.0
    new = pl.DataFrame({"a": [None, float("inf"), -1e307], "c": [None, 3.0, 3.0]}, schema_overrides={"c": pl.Float64})
    scores = rule.score_samples(new)
    assert scores[0] == 0.0
    assert np.isfinite(scores).all()
    endless = MeanPlusSigma().fit(pl.DataFrame({"a": [1.0, 2.0, 3.0, float("inf")]}))
    assert endless.mean_[0] == pytest.approx(2.0)
    assert endless.predict(pl.DataFrame({"a": [float("inf"), 2.0]})).tolist() == [True, False]


def test_a_quantile_rule_holds_its_rate_however_many_features():
    rng = np.random.default_rng(3)
    names = [f"x{place}" for place in range(12)]
    real = []
    for _ in range(40):
        rows = rng.gamma(2.0, size=(2_000, 12)) + rng.normal(size=(2_000, 1))
        normal, new = pl.DataFrame(rows[:1_500], schema=names), pl.DataFrame(rows[1_500:], schema=names)
        real.append(QuantileRule(0.05).fit(normal).predict(new).mean())
    error = np.sqrt(0.05 * 0.95 * (1 / 1_500 + 1 / 500) / 40)
    assert 0.04 < np.mean(real) < 0.05 + 4 * error


def test_a_quantile_rule_scores_the_most_extreme_feature():
    normal = pl.DataFrame({"a": np.arange(1.0, 100.0), "b": np.arange(1.0, 100.0)})
    rule = QuantileRule(0.05, two_sided=False).fit(normal)
    rows = pl.DataFrame({"a": [50.0, 99.0, 1e9, None, 0.0], "b": [50.0, 2.0, 3.0, None, 0.0]})
    p = 10 ** -rule.score_samples(rows)
    assert np.allclose(p, [0.51, 0.02, 0.01, 1.0, 1.0])
    both = QuantileRule(0.05).fit(normal)
    assert np.allclose(10 ** -both.score_samples(rows), [1.0, 0.04, 0.02, 1.0, 0.02])
    assert both.explain(rows[:1]) == ["Normal: a is as extreme as 1 of normal rows; limit 0.049."]
    assert both.explain(rows[2:3])[0].startswith("Anomalous: a is as extreme as 0.02 of normal rows")
    assert "2 features is so extreme" in both.sentence_
    assert "is so high" in rule.sentence_
    assert "No row is anomalous: Threshold inf: 99 normals cannot vouch" in QuantileRule(0.001).fit(normal).sentence_


def test_a_thinned_quantile_rule_never_finds_a_tail_too_thin():
    rng = np.random.default_rng(9)
    normal = pl.DataFrame({"a": rng.normal(size=30_000)})
    new = pl.DataFrame({"a": np.concatenate([rng.normal(size=500), [4.0, 5.0], normal["a"].sort().to_numpy()[::700]])})
    rule = QuantileRule(0.01, two_sided=False).fit(normal)
    p = 10 ** -rule.score_samples(new)
    values = np.sort(normal["a"].to_numpy())
    exact = (1 + len(values) - np.searchsorted(values, new["a"].to_numpy(), side="left")) / (1 + len(values))
    assert (p >= exact * (1 - 1e-9)).all()
    assert (p <= exact * 1.02 + 1e-9).all()
    rare = exact < 0.015
    assert np.allclose(p[rare], exact[rare])
    assert len(pickle.dumps(rule)) < 120_000


def test_a_quantile_rule_counts_weights():
    weight = np.random.default_rng(2).integers(0, 4, X.height)
    repeated = np.repeat(np.arange(X.height), weight)
    weighted = QuantileRule(0.05, ["size", "rate"]).fit(X, Y, weight)
    plain = QuantileRule(0.05, ["size", "rate"]).fit(X[repeated], Y[repeated])
    assert np.allclose(weighted.score_samples(NEW), plain.score_samples(NEW))
    assert np.array_equal(weighted.predict(NEW), plain.predict(NEW))


RULES = [
    FeatureRule(roles=ROLES, threshold=BestF1()),
    FeatureRule(feature="service", roles=ROLES),
    MeanPlusSigma(2, roles=ROLES),
    QuantileRule(0.05, roles=ROLES),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_every_rule_keeps_the_contract_of_a_detector(rule):
    with pytest.raises(NotFittedError):
        clone(rule).score_samples(X)
    fitted = clone(rule).fit(X, Y)
    scores = fitted.score_samples(NEW)
    assert (scores.dtype, scores.shape) == (np.float64, (NEW.height,))
    assert np.array_equal(fitted.predict(NEW), scores >= fitted.threshold_.value_)
    assert scores[NEW["is_anomaly"].to_numpy()].mean() > scores[~NEW["is_anomaly"].to_numpy()].mean()
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.score_samples(NEW), scores)
    assert len(fitted.explain(NEW)) == NEW.height
    assert np.array_equal(fitted.score_samples(NEW[[5]]), scores[[5]])
    for empty in (
        fitted.score_samples(NEW.clear()),
        fitted.predict(NEW.clear()),
        np.array(fitted.explain(NEW.clear())),
    ):
        assert empty.shape == (0,)
    assert fitted.sentence_.endswith(".")
    assert np.array_equal(out_of_fold(rule, X, Y, 3), out_of_fold(rule, X, Y, 3))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_missing_and_wrong_columns_are_named(rule):
    fitted = clone(rule).fit(X, Y)
    with pytest.raises(SchemaError, match="must have the column"):
        fitted.score_samples(NEW.select("odd"))
    wrong = NEW.with_columns(size=pl.col("when"), rate=pl.col("when"), service=pl.lit([1]))
    with pytest.raises(SchemaError, match="must hold"):
        fitted.score_samples(wrong)


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (lambda: FeatureRule().fit(X.to_numpy(), Y), SchemaError, "polars DataFrame, found numpy.ndarray"),
        (lambda: FeatureRule(["gone"]).fit(X, Y), SchemaError, "'gone'"),
        (lambda: FeatureRule(["when"]).fit(X, Y), SchemaError, "'when' must hold numbers, truth values or names"),
        (lambda: FeatureRule(["constant", "empty"]).fit(X, Y), DataError, "a column that varies"),
        (lambda: FeatureRule().fit(X.select("when"), Y), DataError, "found none to use"),
        (lambda: FeatureRule(direction="up").fit(X, Y), DataError, "'high', 'low' or None"),
        (lambda: FeatureRule(["size"]).fit(X, Y[:5]), DataError, "for each of 600 rows, found 5"),
        (lambda: FeatureRule(["size"]).fit(X, np.zeros(600)), DataError, "both needed"),
        (lambda: MeanPlusSigma(0).fit(X), DataError, "above 0"),
        (lambda: MeanPlusSigma(features=["constant"]).fit(X), DataError, "varies on normal rows"),
        (lambda: MeanPlusSigma(features=["service"]).fit(X), SchemaError, "must hold numbers"),
        (lambda: MeanPlusSigma().fit(X.select("service")), DataError, "numeric feature, found none"),
        (lambda: MeanPlusSigma(features=["size"]).fit(X, np.ones(600)), DataError, "normal rows, found none"),
        (lambda: QuantileRule(features=["size"]).fit(X, Y[:5]), DataError, "for each of 600 rows, found 5"),
        (lambda: QuantileRule(2.0, ["size"]).fit(X), DataError, "between 0 and 1"),
        (lambda: shortcut_strength(X, Y, ["gone"]), SchemaError, "'gone'"),
        (lambda: shortcut_strength(X.with_columns(bag=pl.lit([1])), Y, ["bag"]), SchemaError, "single values"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(action, error, message):
    with pytest.raises(error, match=message):
        action()
