"""Simulated API behaviours and payloads against the real ones: sizes, shares, and the scores that a model reaches."""

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from utils.simulate import api, waf

pytestmark = pytest.mark.real

MIDDLE = (0.25, 0.5, 0.75)
STATISTICS = {"avg": pl.Expr.mean, "min": pl.Expr.min, "max": pl.Expr.max, "std": pl.Expr.std}
PUBLISHED = (
    "n_connections",
    "avg_global_source_degrees",
    "min_global_source_degrees",
    "max_global_source_degrees",
    "std_global_source_degrees",
    "avg_global_dest_degrees",
    "min_global_dest_degrees",
    "max_global_dest_degrees",
    "std_local_source_degrees",
)


@pytest.fixture(scope="module")
def real_behaviors(mirror_dir):
    table = pl.read_csv(mirror_dir / "api" / "supervised_dataset.csv").unique("_id", maintain_order=True)
    counted = pl.col("num_sessions", "num_users", "num_unique_apis", "vsession_duration(min)").cast(pl.Float64)
    return table.drop_nulls("api_access_uniqueness").with_columns(counted)


@pytest.fixture(scope="module")
def real_graphs(mirror_dir, real_behaviors):
    features = pl.read_parquet(mirror_dir / "api" / "supervised_clean_data_w_features.parquet")
    once = features.select("_id", *PUBLISHED).filter(pl.len().over("_id") == 1)
    return once.join(real_behaviors, on="_id", maintain_order="left")


@pytest.fixture(scope="module")
def runs():
    return {"clean": api.simulate(1_678, 42), "flawed": api.simulate(1_678, 42, defects=True)}


@pytest.fixture(scope="module")
def graphs(runs):
    edges, behaviors = runs["clean"]["edges"], runs["clean"]["behaviors"]
    return published_features(edges).join(behaviors, on="_id", maintain_order="left")


def published_features(edges):
    degrees = edges.with_columns(
        pl.len().over("from").alias("global_source"),
        pl.len().over("to").alias("global_dest"),
        pl.len().over("_id", "from").alias("local_source"),
    )
    made = {
        f"{name}_{end}_degrees": statistic(pl.col(end))
        for name, statistic in STATISTICS.items()
        for end in ("global_source", "global_dest", "local_source")
    }
    counted = degrees.group_by("_id", maintain_order=True).agg(pl.len().alias("n_connections"), **made)
    return counted.select("_id", *PUBLISHED)


def ratios(simulated, real, column):
    """Simulated over real value at the quartiles."""
    return np.array([simulated[column].quantile(q) / real[column].quantile(q) for q in MIDDLE])


GROUPS = [("E", "normal", 1.35), ("F", "normal", 1.5), ("E", "outlier", 2.0)]


@pytest.mark.parametrize(("source", "kind", "factor"), GROUPS)
@pytest.mark.parametrize("column", ["n_connections", "num_unique_apis"])
def test_graphs_are_as_large(graphs, real_graphs, source, kind, factor, column):
    chosen = (pl.col("source") == source) & (pl.col("classification") == kind) & (pl.col("ip_type") == "default")
    found = ratios(graphs.filter(chosen), real_graphs.filter(chosen), column)
    assert ((found < factor) & (found > 1 / factor)).all(), found


@pytest.mark.parametrize(("source", "kind", "factor"), GROUPS)
def test_calls_and_minutes_are_alike(runs, real_behaviors, source, kind, factor):
    chosen = (pl.col("source") == source) & (pl.col("classification") == kind)
    parts = runs["clean"]["behaviors"].filter(chosen), real_behaviors.filter(chosen)
    for column, wider in {"sequence_length(count)": 1.0, "vsession_duration(min)": 2.0}.items():
        found = ratios(*parts, column)
        assert ((found < factor * wider) & (found > 1 / factor / wider)).all(), (column, found)


def test_classes_applications_and_addresses_have_the_real_shares(runs, real_behaviors):
    for column in ("classification", "source", "ip_type"):
        simulated, real = (
            dict(table[column].value_counts(normalize=True).iter_rows())
            for table in (runs["clean"]["behaviors"], real_behaviors)
        )
        for value, share in real.items():
            assert simulated[value] == pytest.approx(share, abs=0.03), (column, value)


def test_hubs_are_as_busy(graphs, real_graphs):
    for end in ("source", "dest"):
        column = f"max_global_{end}_degrees"
        simulated, real = (table[column].max() / table["n_connections"].sum() for table in (graphs, real_graphs))
        assert simulated == pytest.approx(real, rel=0.3), end
        small, real_small = (t.filter(pl.col("source") == "F")[column].median() for t in (graphs, real_graphs))
        assert small == pytest.approx(real_small, rel=0.4), end


def test_flawed_runs_have_the_real_audience(runs, real_behaviors):
    flawed = runs["flawed"]["behaviors"].drop_nulls()
    for column, factor in {"num_sessions": 1.6, "num_users": 1.8, "api_access_uniqueness": 2.0}.items():
        for kind in ("normal", "outlier"):
            found = ratios(
                *(table.filter(pl.col("classification") == kind) for table in (flawed, real_behaviors)), column
            )
            assert ((found < factor) & (found > 1 / factor)).all(), (column, kind, found)


def test_rule_and_classifier_reach_the_real_scores(graphs, real_graphs):
    scores = [scores_of(table) for table in (graphs, real_graphs)]
    (rule, features), (real_rule, real_features) = scores
    assert rule == pytest.approx(real_rule, abs=0.06)
    assert features == pytest.approx(real_features, abs=0.05)
    assert features - rule > 0.1


def scores_of(table):
    """F1 of the best rule on connections and, out of fold, of a classifier on the nine published features."""
    default = table.filter(pl.col("ip_type") == "default")
    outlier = (default["classification"] == "outlier").to_numpy()
    connections = default["n_connections"].to_numpy()
    rule = max(f1_score(outlier, connections <= at) for at in np.unique(connections))
    model = HistGradientBoostingClassifier(random_state=0)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return rule, f1_score(outlier, cross_val_predict(model, default.select(PUBLISHED).to_numpy(), outlier, cv=folds))


@pytest.fixture(scope="module")
def real_payloads(mirror_dir):
    return pl.read_csv(mirror_dir / "waf" / "payload_full.csv")


@pytest.fixture(scope="module")
def payloads():
    return {defects: waf.simulate(62_134, 42, defects=defects)["payloads"] for defects in (False, True)}


@pytest.mark.parametrize(
    ("kind", "defects", "factor"),
    [
        ("norm", False, 1.35),
        ("norm", True, 1.25),
        ("sqli", False, 1.25),
        ("xss", False, 1.3),
        ("path-traversal", False, 1.6),
        ("cmdi", False, 2.6),
    ],
)
def test_payloads_are_as_long(payloads, real_payloads, kind, defects, factor):
    chosen = pl.col("attack_type") == kind
    found = ratios(payloads[defects].filter(chosen), real_payloads.filter(chosen), "length")
    assert ((found < factor) & (found > 1 / factor)).all(), found


def test_payloads_have_the_real_share_of_attacks(payloads, real_payloads):
    simulated, real = ((table["label"] == "anom").mean() for table in (payloads[False], real_payloads))
    assert simulated == pytest.approx(real, abs=0.001)
    assert payloads[False].height == real_payloads.height


def test_length_leaks_in_the_real_payloads_and_in_flawed_runs_only(payloads, real_payloads):
    real, flawed, clean = (
        roc_auc_score(table["label"] == "anom", table["length"])
        for table in (real_payloads, payloads[True], payloads[False])
    )
    assert real > 0.97
    assert flawed > 0.965
    assert clean < 0.96


@pytest.mark.parametrize("pattern", [r"^\d+$", r"^[a-zñ]+$", "@", r"\s"])
def test_form_fields_have_the_real_shapes(payloads, real_payloads, pattern):
    simulated, real = (
        table.filter(pl.col("attack_type") == "norm")["payload"].str.contains(pattern).mean()
        for table in (payloads[True], real_payloads)
    )
    assert simulated == pytest.approx(real, abs=0.08)
