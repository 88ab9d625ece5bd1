"""Protocols: what is divided how, what never stands on both sides, and what is told about it."""

import datetime as dt
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.tree import DecisionTreeClassifier

from tests.unit import small_data
from utils import settings
from utils.classifiers import candidates, protocols
from utils.classifiers.candidates import Candidate
from utils.classifiers.protocols import api, cicids2017, nsl_kdd, tables, trials, waf
from utils.classifiers.protocols.outcome import Earlier, Outcome, means
from utils.classifiers.protocols.trials import OutOfFold, SmoothErrors, SmoothF1
from utils.datasets.cicids2017 import NATURAL_COUNTS
from utils.datasets.contract import Roles
from utils.errors import SettingsError
from utils.evaluation import metrics, splits
from utils.evaluation.splits import Split
from utils.evaluation.thresholds import BestF1
from utils.features.call_graph import PUBLISHED

BUDGET = replace(settings.budget("fast"), repeats=2, bootstrap=50)
SMALL = Candidate("a tree", lambda seed, threads: DecisionTreeClassifier(max_depth=5, random_state=seed), "is small")


@pytest.fixture(autouse=True)
def _small_models(monkeypatch):
    monkeypatch.setattr(candidates, "of", lambda dataset, binary=False: SMALL)


def behaviours(n=300, seed=0):
    rng = np.random.default_rng(seed)
    outlier = rng.random(n) < 0.3
    values = {name: rng.lognormal(3 - outlier, 0.5, n).round(1) for name in PUBLISHED}
    frame = pl.DataFrame(
        {
            **values,
            "num_users": np.where(outlier, 1, 200),
            "is_anomaly": outlier,
            "ip_type": np.where(outlier & (rng.random(n) < 0.2), "datacenter", "default"),
        }
    )
    roles = Roles(unit="behaviour", label="is_anomaly", features=(*PUBLISHED, "num_users"))
    made = small_data.dataset({"graphs": pl.concat([frame, frame[:20]])}, {"graphs": roles}, name="api")
    raw = small_data.dataset({"behaviors": frame, "edges": frame}, {"behaviors": roles, "edges": roles}, name="api")
    return {"api": raw}, {"api": made}


def connections(n=400, seed=0):
    rng = np.random.default_rng(seed)
    attack = rng.random(n) < 0.45
    frame = pl.DataFrame(
        {
            "src_bytes": rng.lognormal(4 + 2 * attack, 1),
            "rate": rng.random(n) + attack,
            "is_anomaly": attack,
            "in_train_20percent": np.arange(n) < 300,
        }
    )
    roles = Roles(unit="connection", label="is_anomaly", features=("src_bytes", "rate"))
    made = small_data.dataset({"connections": frame}, {"connections": roles}, name="nsl_kdd")
    return {"nsl_kdd": made}, {"nsl_kdd": made}


def flows(seed=0):
    """Six kinds of flow, one of them hardly there; every tenth has a twin that is a scan."""
    rng = np.random.default_rng(seed)
    kinds = np.array(["normal"] * 120 + ["DDoS"] * 80 + ["Botnet"] * 60 + ["Portscan"] * 40 + ["Heartbleed"] * 3)
    kinds = kinds[rng.permutation(kinds.size)]
    centre = {kind: place for place, kind in enumerate(np.unique(kinds))}
    first = pl.DataFrame(
        {
            "Flow Duration": rng.normal([3.0 * centre[kind] for kind in kinds], 0.5).round(3),
            "Idle Max": rng.normal(size=kinds.size).round(3),
            "anomaly_type": kinds,
        }
    )
    twins = first[::10].with_columns(pl.lit("Infiltration - Portscan").alias("anomaly_type"))
    frame = pl.concat([first, first[::10], twins]).with_columns(is_anomaly=pl.col("anomaly_type") != "normal")
    frame = frame.with_columns(vector=pl.struct("Flow Duration", "Idle Max").rank("dense"))
    start = dt.datetime(2017, 7, 3, 9)
    times = pl.Series("Timestamp", [start + dt.timedelta(seconds=place) for place in range(frame.height)])
    roles = Roles(
        unit="flow",
        label="is_anomaly",
        anomaly_type="anomaly_type",
        features=("Flow Duration", "Idle Max"),
        group="vector",
    )
    raw = small_data.dataset({"flows": frame.with_columns(times)}, {"flows": roles}, name="cicids2017")
    made = small_data.dataset({"flows": frame}, {"flows": roles}, name="cicids2017")
    return {"cicids2017": raw}, {"cicids2017": made}


def payloads(n=400, seed=0):
    rng = np.random.default_rng(seed)
    kinds = rng.choice(["normal", "sqli", "xss"], n)
    frame = pl.DataFrame(
        {
            "n_quotes": np.where(kinds == "sqli", 2, 0) + rng.integers(0, 2, n),
            "n_less": np.where(kinds == "xss", 2, 0) + rng.integers(0, 2, n),
            "length": np.where(rng.random(n) < 0.5, 7, rng.integers(10, 10_000, n)),
            "anomaly_type": kinds,
            "is_anomaly": kinds != "normal",
            "split": np.where(rng.random(n) < 0.7, "train", "test"),
        }
    )
    frame[0, "anomaly_type"] = "xxe"
    roles = Roles(
        unit="payload",
        label="is_anomaly",
        anomaly_type="anomaly_type",
        features=("n_quotes", "n_less", "length"),
        split="split",
    )
    made = small_data.dataset({"payloads": frame}, {"payloads": roles}, name="waf", source="simulated")
    return {"waf": made}, {"waf": made}


def own(n=300, seed=0):
    rng = np.random.default_rng(seed)
    anomalous = rng.random(n) < 0.3
    frame = pl.DataFrame(
        {
            "größe": rng.normal(3 * anomalous, 1),
            "n_sessions": rng.integers(1, 5, n),
            "is_anomaly": anomalous,
            "split": ["train", "train", "test"] * (n // 3),
        }
    )
    roles = Roles(
        unit="session",
        label="is_anomaly",
        features=("größe",),
        split="split",
        withheld={"n_sessions": "how many sessions"},
    )
    made = small_data.dataset({"rows": frame, "few": frame[:24]}, {"rows": roles, "few": roles}, name="mine")
    return {"mine": made}, {"mine": made}


@pytest.fixture(scope="module")
def found():
    data, processed = {}, {}
    for make in (behaviours, connections, flows, payloads, own):
        raw, made = make()
        data |= raw
        processed |= made
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "of", lambda dataset, binary=False: SMALL)
        patch.delenv("ANOMALY_DATA_MIRROR", raising=False)
        told = []
        results = protocols.run(data, processed, BUDGET, seed=1, report=told.append)
    return results, told


def outcomes(results, dataset):
    return [one for one in results.outcomes if one.table[0] == dataset]


def test_every_data_set_is_judged_and_told(found):
    results, told = found
    assert {one.table[0] for one in results.outcomes} == {"api", "nsl_kdd", "cicids2017", "waf", "mine"}
    assert len(told) == len(results.outcomes) + len(results.left_out)
    assert all(isinstance(sentence, str) and sentence.endswith(".") for sentence in told)


def test_table_and_results_hold_the_means(found):
    results, _ = found
    table = results.table
    assert table.height == sum(len(one.estimates) for one in results.outcomes) == len(results.results)
    assert table["value"].is_between(0, 1).all()
    assert table.filter(pl.col("splits") > 1).select((pl.col("low") <= pl.col("value")).all()).item()
    one = outcomes(results, "nsl_kdd")[0]
    assert one.value("accuracy") == pytest.approx(one.each["accuracy"].mean())
    row = table.row(by_predicate=(pl.col("data set") == "nsl_kdd") & (pl.col("earlier") == 0.9974), named=True)
    assert row["metric"] == "accuracy"
    assert row["splits"] == 1


def test_simulated_rows_are_not_set_beside_what_was_published(found):
    data, processed = connections()
    simulated = {"nsl_kdd": replace(processed["nsl_kdd"], source="simulated")}
    assert protocols.run(data, simulated, BUDGET).table["earlier"].null_count() == 8


def test_unknown_budgets_are_refused_and_nothing_gives_nothing():
    assert protocols.run({}, {}, "fast").table.height == 0
    with pytest.raises(SettingsError, match="gigantic"):
        protocols.run({}, {}, "gigantic")


def test_behaviours_leave_data_centres_and_answers_out():
    _, processed = behaviours()
    rows = api.behaviours(processed["api"])
    assert rows.height == processed["api"]["graphs"].filter(ip_type="default").height
    assert set(rows.columns) == {"is_anomaly", *PUBLISHED}


def test_equal_vectors_stay_on_one_side_only_where_it_says_so(monkeypatch):
    _, processed = behaviours()
    rows = api.behaviours(processed["api"])
    seen = []
    judge = trials.two_classes

    def watched(pipeline, frame, y, divisions, chosen):
        divisions = list(divisions)
        seen.append(
            [splits.distinct_rows(frame, PUBLISHED)[side].tolist() for side in (divisions[0].train, divisions[0].test)]
        )
        return judge(pipeline, frame, y, divisions, chosen)

    monkeypatch.setattr(trials, "two_classes", watched)
    apart, mixed = (api.judged(rows, list(PUBLISHED), api.NINE, 1, grouped=grouped) for grouped in (True, False))
    assert not set(seen[0][0]) & set(seen[0][1])
    assert set(seen[1][0]) & set(seen[1][1])
    assert "one side" in apart.name
    assert "one side" not in mixed.name
    assert api.TRANSDUCTIVE in apart.note


def test_without_the_published_features_api_is_left_out():
    data, processed = behaviours()
    bare = processed["api"]
    lacking = replace(
        bare,
        frames={"graphs": bare["graphs"].drop("n_connections")},
        roles={"graphs": replace(bare.roles["graphs"], features=PUBLISHED[1:])},
    )
    results = protocols.run({"api": replace(data["api"], frames={}, source="simulated")}, {"api": lacking}, BUDGET)
    assert not results.outcomes
    assert "n_connections" in results.left_out[0]
    assert api.REFERENCE in results.left_out[1]


def test_reference_features_are_joined_and_compared_with_size(tmp_path, monkeypatch):
    mirror = tmp_path / "mirror"
    (tmp_path / "reference").mkdir()
    mirror.mkdir()
    columns = [
        "graph_self_loops", "graph_num_nodes", "graph_out_deg_mean", "graph_out_deg_max", "graph_out_deg_std",
        "graph_in_deg_mean", "graph_in_deg_max", "graph_in_deg_std", "std_page_rank", "min_in_degree",
        "min_clustering_coefficient",
    ]  # fmt: skip
    table = pl.DataFrame({"_id": ["a", "b", "c"], "upstream_rows": [1, 4, 1], "graph_num_edges": [6, 8, 0],
                          "n_connections": [6, 32, 1], **{name: [2.0, 4.0, 1.0] for name in columns}})  # fmt: skip
    table.write_parquet(tmp_path / "reference" / api.REFERENCE)
    monkeypatch.setenv("ANOMALY_DATA_MIRROR", str(mirror))
    known = pl.DataFrame({"_id": ["a", "b", "c"], "is_anomaly": [False, True, True], "ip_type": ["default"] * 3})
    raw = small_data.dataset({"behaviors": known}, {"behaviors": Roles(unit="behaviour", label="is_anomaly")}, "api")
    rows = api.graph_features(raw, known)
    assert rows["n_connections"].to_list() == [6, 8]
    assert rows["edges_per_node"].to_list() == [3, 2]
    assert not {"_id", "ip_type", "upstream_rows"} & set(rows.columns)
    assert api.graph_features(replace(raw, source="simulated"), known) is None


def test_the_published_division_is_that_of_the_publication():
    y = pl.Series(np.random.default_rng(0).random(200) < 0.4)
    train, test = nsl_kdd.divided(y, 42)
    assert (train.size, test.size) == (160, 40)
    assert np.array_equal(nsl_kdd.divided(y, 42)[1], test)
    assert not np.isin(nsl_kdd.divided(y, 1)[1], test).all()


def test_connections_without_the_mark_are_left_out():
    data, processed = connections()
    bare = replace(data["nsl_kdd"], frames={"connections": data["nsl_kdd"]["connections"].drop("in_train_20percent")})
    results = protocols.run({"nsl_kdd": bare}, processed, BUDGET)
    assert not results.outcomes
    assert "in_train_20percent" in results.left_out[0]


def test_only_rows_of_the_published_file_are_judged(found):
    several, reproduced = outcomes(found[0], "nsl_kdd")
    assert several.each.select(pl.col("train") + pl.col("test")).to_series().to_list() == [300, 300]
    assert reproduced.each["split"].to_list() == ["seed 42"]
    assert "fewest errors" in several.threshold


def test_distinct_flows_are_the_first_of_their_kind():
    data, processed = flows()
    kept, rare = cicids2017.distinct_flows(data["cicids2017"]["flows"], processed["cicids2017"])
    assert rare == ["Heartbleed"]
    assert kept.select("Flow Duration", "Idle Max").is_unique().all()
    assert kept["Timestamp"].is_sorted()
    whole = data["cicids2017"]["flows"]
    assert kept.height == whole.select("Flow Duration", "Idle Max").n_unique() - 3
    assert not (kept["anomaly_type"] == "Infiltration - Portscan").any()


def test_flows_are_judged_as_sampled_and_at_natural_shares(found):
    binary, random, timed = outcomes(found[0], "cicids2017")
    assert {"f1", "f1_at_natural_shares"} <= set(binary.each.columns)
    assert random.name.startswith("4 classes")
    assert random.value("macro_f1") > 0.8
    assert timed.each.height == 1
    assert timed.estimates[0].low <= timed.value("macro_f1") <= timed.estimates[0].high
    assert "weakest classes" in timed.note
    assert any("Heartbleed" in sentence for sentence in found[0].left_out)


def test_natural_weights_give_classes_their_share():
    kinds = pl.Series(["normal", "normal", "DDoS", "Botnet"])
    weights = cicids2017.natural_weights(kinds)
    assert weights[2] / weights[3] == pytest.approx(NATURAL_COUNTS["DDoS"] / NATURAL_COUNTS["Botnet"])
    assert weights[:2].sum() / weights[2] == pytest.approx(NATURAL_COUNTS["BENIGN"] / NATURAL_COUNTS["DDoS"])


def test_unknown_classes_have_no_natural_share():
    data, processed = flows()
    rows, _ = cicids2017.distinct_flows(data["cicids2017"]["flows"], processed["cicids2017"])
    other = rows.with_columns(pl.col("anomaly_type").replace("DDoS", "something new"))
    outcome = cicids2017.attacks(other, ["Flow Duration", "Idle Max"], 1)
    assert "f1_at_natural_shares" not in outcome.each.columns


def test_a_class_of_one_time_stops_the_division_by_time_only():
    data, processed = flows()
    still = data["cicids2017"]["flows"].with_columns(pl.lit(dt.datetime(2017, 7, 3)).alias("Timestamp"))
    raw = replace(data["cicids2017"], frames={"flows": still})
    results = protocols.run({"cicids2017": raw}, processed, BUDGET)
    assert len(results.outcomes) == 2
    assert any(cicids2017.BY_TIME in sentence for sentence in results.left_out)


def test_flows_without_times_or_tables_without_their_data_are_passed_over():
    data, processed = flows()
    timeless = replace(data["cicids2017"], frames={"flows": data["cicids2017"]["flows"].drop("Timestamp")})
    results = protocols.run({"cicids2017": timeless}, processed, BUDGET)
    assert not results.outcomes
    assert "Timestamp" in results.left_out[0]
    for _, made in (behaviours(), connections(), flows()):
        assert protocols.run({}, made, BUDGET).table.height == 0


def test_payloads_with_equals_in_training_are_judged_apart(found):
    published, apart = outcomes(found[0], "waf")
    assert apart.each["test"][0] < published.each["test"][0]
    assert apart.each["train"][0] == published.each["train"][0]
    assert "%" in published.note
    assert any("xxe" in sentence for sentence in found[0].left_out)


def test_payloads_that_all_have_equals_leave_one_part():
    data, _ = payloads()
    frame = data["waf"]["payloads"].with_columns(pl.lit(1).alias("length"), n_quotes=pl.col("n_quotes") // 2 * 2,
                                                 n_less=pl.col("n_less") // 2 * 2)  # fmt: skip
    one = {"waf": replace(data["waf"], frames={"payloads": frame})}
    results = protocols.run(one, one, BUDGET)
    assert [outcome.name for outcome in results.outcomes] == [waf.PUBLISHED]
    assert any(waf.APART in sentence for sentence in results.left_out)


def test_payloads_without_a_division_are_told():
    data, _ = payloads()
    odd = data["waf"]["payloads"].with_columns(pl.lit("left").alias("split"))
    one = {"waf": replace(data["waf"], frames={"payloads": odd})}
    assert not protocols.run(one, one, BUDGET).outcomes
    assert waf.PUBLISHED in protocols.run(one, one, BUDGET).left_out[0]


def test_own_tables_are_judged_by_weight_and_small_ones_are_told(found):
    results, _ = found
    rows = next(one for one in outcomes(results, "mine") if one.table[1] == "rows")
    assert rows.name == tables.OWN
    assert rows.unit == "session"
    assert rows.each.height == 1
    assert {"f1", "average_precision"} <= {estimate.name for estimate in rows.estimates}
    assert "as often" in rows.note


def test_a_table_that_cannot_be_learned_from_is_a_sentence():
    data, _ = own()
    flat = data["mine"]["rows"].with_columns(pl.lit(1.0).alias("größe"))
    one = {"mine": replace(data["mine"], frames={"rows": flat}, roles={"rows": data["mine"].roles["rows"]})}
    results = protocols.run(one, one, BUDGET)
    assert not results.outcomes
    assert "mine" in results.left_out[0]


def test_thresholds_come_from_training_rows_of_models_that_have_not_seen_them():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"x": rng.normal(size=200)})
    y = pl.Series(frame["x"].to_numpy() + rng.normal(0, 0.7, 200) > 0.6)
    pipeline = Candidate("", lambda seed, threads: LogisticRegression(), "").pipeline(["x"])
    once, often = (OutOfFold(divisions=divisions, seed=3)(pipeline, frame, y) for divisions in (1, 4))
    assert (once.n_scores_, often.n_scores_) == (200, 800)
    assert isinstance(once, BestF1)
    least = OutOfFold(SmoothErrors(), weight=np.ones(200, dtype=int))(pipeline, frame, y)
    assert least.describe().count("fewest errors")
    assert "4 divisions" in str(OutOfFold(divisions=4))
    assert str(OutOfFold(SmoothErrors())).startswith("fewest errors")


def test_a_smoothed_curve_is_not_led_by_one_tooth():
    rng = np.random.default_rng(3)
    y = rng.random(4_000) < 0.3
    chance = 1 / (1 + np.exp(-rng.normal(np.where(y, 1.2, -1.2), 1)))
    truth = BestF1().fit(chance, y).value_
    found = {"jagged": [], "smooth": []}
    for start in range(0, 4_000, 100):
        part = slice(start, start + 100)
        found["jagged"].append(BestF1().fit(chance[part], y[part]).value_)
        found["smooth"].append(SmoothF1().fit(chance[part], y[part]).value_)
    off = {name: np.abs(np.array(values) - truth).mean() for name, values in found.items()}
    assert off["smooth"] < 0.8 * off["jagged"]


def test_fewest_errors_are_near_one_half_of_calibrated_scores():
    rng = np.random.default_rng(0)
    chance = rng.random(20_000)
    y = rng.random(20_000) < chance
    assert SmoothErrors(0.5).fit(chance, y).value_ == pytest.approx(0.5, abs=0.05)
    assert SmoothF1().fit(chance, y).value_ < 0.4


def test_a_smoothed_curve_lies_between_the_scores_and_says_so():
    scores, y = np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.9]), np.array([0, 0, 0, 1, 1, 1])
    threshold = SmoothF1().fit(scores, y)
    assert 0.3 < threshold.value_ < 0.7
    assert "smoothed" in threshold.describe()
    assert SmoothF1().fit(np.full(6, 0.5), y).predict(np.array([0.5])).all()


def test_test_labels_change_no_decision():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"x": rng.normal(size=120)})
    y = pl.Series(frame["x"].to_numpy() > 0.5)
    split = Split("one", np.arange(80), np.arange(80, 120))
    pipeline = SMALL.pipeline(["x"])
    first = trials.two_classes(pipeline, frame, y, [split], lambda part: OutOfFold(seed=1))
    turned = pl.Series(np.where(np.arange(120) < 80, y, ~y.to_numpy()))
    other = trials.two_classes(pipeline, frame, turned, [split], lambda part: OutOfFold(seed=1))
    assert first["threshold"].to_list() == other["threshold"].to_list()
    assert first["accuracy"][0] == pytest.approx(1 - other["accuracy"][0])


def test_macro_f1_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    truth, called = (pl.Series(rng.choice(list(letters), 500)) for letters in ("abc", "abcd"))
    cells = trials.confusion(truth, called)
    assert float(trials.macro_f1(cells)) == pytest.approx(f1_score(truth, called, average="macro", zero_division=0))
    table = trials.class_table([(truth[:250], called[:250]), (truth[250:], called[250:])])
    expected = dict(zip("abcd", f1_score(truth, called, average=None, labels=list("abcd")), strict=True))
    for name, value in table.select("class", "f1").rows():
        assert value == pytest.approx(expected[name])
    macro, share = trials.macro_estimates(truth, called, "row", 200, 0)
    assert macro.low < macro.value < macro.high
    assert share.value == pytest.approx((truth == called).mean())


def test_means_are_over_splits_with_a_corrected_interval():
    each = pl.DataFrame({"split": ["a", "b"], "train": [80, 80], "test": [20, 20], "f1": [0.8, 0.9]})
    (mean,) = means(each, ["f1"], "row", "as given")
    by_hand = metrics.mean_over_splits("f1", [0.8, 0.9], 0.2, "row", 20, "as given")
    assert mean == by_hand
    outcome = Outcome(("a", "b"), "n", "m", "row", "", "as given", each, (mean,), Earlier({"f1": 0.7}, "so"))
    assert "over 2 splits" in outcome.sentence
    with pytest.raises(KeyError):
        outcome.value("recall")
