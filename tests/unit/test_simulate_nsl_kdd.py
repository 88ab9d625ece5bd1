import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from tests.unit.separation import best_single_column, conflicting_twins
from utils.errors import DataError
from utils.settings import BUDGETS
from utils.simulate import nsl_kdd
from utils.simulate.nsl_kdd_manners import MANNERS, MIX

COLUMNS = list(nsl_kdd.COLUMNS)
CATEGORICAL = ["protocol_type", "service", "flag"]
FAST = BUDGETS["fast"].simulated["nsl_kdd"]


@pytest.fixture(scope="module")
def fast():
    return nsl_kdd.simulate(FAST, 42)


def anomalous(frame):
    return (frame["attack"] != "normal").to_numpy()


def both(tables):
    return pl.concat(tables.values())


def test_same_seed_same_tables():
    first, again = nsl_kdd.simulate(500, 7), nsl_kdd.simulate(500, 7)
    assert all(first[k].equals(again[k]) for k in ("train", "test"))
    assert not first["train"].equals(nsl_kdd.simulate(500, 8)["train"])


@settings(max_examples=25, deadline=None)
@given(size=st.integers(1, 300), seed=st.integers(0, 2**32 - 1), defects=st.booleans())
def test_any_size_has_the_schema_and_the_ranges(size, seed, defects):
    tables = nsl_kdd.simulate(size, seed, defects=defects)
    frame = both(tables)
    assert len(frame) == size
    assert len(tables["test"]) == int(size * nsl_kdd.TEST_SHARE)
    assert frame.columns == [*COLUMNS, "attack", "difficulty"]
    assert [frame[c].dtype for c in CATEGORICAL] == [pl.String] * 3
    rates = frame.select(pl.col("^.*_rate$"))
    assert set(rates.dtypes) == {pl.Float64}
    assert ((rates.to_numpy() >= 0) & (rates.to_numpy() <= 1)).all()
    assert np.array_equal(rates.to_numpy(), np.round(rates.to_numpy(), 2))
    assert frame.null_count().to_numpy().sum() == 0
    assert frame.select(pl.col("count", "srv_count").is_between(1, 511).all()).row(0) == (True, True)
    assert frame.select(pl.col("dst_host_count", "dst_host_srv_count").is_between(1, 255).all()).row(0) == (True, True)
    assert frame.select(pl.col(pl.Int64).min() >= 0).to_numpy().all()
    assert frame["difficulty"].is_between(0, 21).all()


@pytest.mark.parametrize("size", [0, -1])
def test_no_connections_are_refused(size):
    with pytest.raises(DataError, match="at least 1 connection"):
        nsl_kdd.simulate(size, 0)


def test_counts_and_rates_of_a_row_agree(fast):
    frame = both(fast)
    share = (frame["dst_host_srv_count"] / frame["dst_host_count"]).clip(0, 1)
    assert np.allclose(share, frame["dst_host_same_srv_rate"], atol=0.0051)
    assert (frame["serror_rate"] + frame["rerror_rate"] <= 1.011).all()
    assert (frame.filter(pl.col("same_srv_rate") == 1)["diff_srv_rate"] == 0).all()
    refused = frame.filter(pl.col("flag") == "REJ")
    assert refused["rerror_rate"].mean() > 0.8
    assert frame.filter(pl.col("flag") == "S0")["serror_rate"].mean() > 0.8


def test_binary_columns_are_binary(fast):
    flags = both(fast).select("land", "logged_in", "root_shell", "is_host_login", "is_guest_login", "num_outbound_cmds")
    assert flags.max().row(0) == (1, 1, 1, 0, 1, 0)


def test_shares_drift_between_the_parts_as_in_the_real_files(fast):
    train, test = fast["train"], fast["test"]
    assert anomalous(train).mean() == pytest.approx(58_630 / 125_973, abs=0.02)
    assert anomalous(test).mean() == pytest.approx(12_833 / 22_544, abs=0.02)
    guessed = ["guess_passwd", "warezmaster", "snmpguess", "snmpgetattack", "httptunnel", "warezclient"]
    assert train["attack"].is_in(guessed).mean() < 0.015
    assert 0.1 < test["attack"].is_in(guessed).mean() < 0.15


def test_new_attacks_stand_in_the_test_part_only():
    tables = nsl_kdd.simulate(60_000, 0)
    new = set(tables["test"]["attack"]) - set(tables["train"]["attack"])
    assert {"mscan", "apache2", "processtable", "snmpguess", "saint", "mailbomb", "snmpgetattack", "httptunnel"} <= new
    assert set(tables["train"]["attack"]) <= {attack for attack, _, train, _ in MIX if train}


def test_every_manner_is_used_and_declared():
    assert {manner for _, manner, *_ in MIX} == set(MANNERS)
    knots = [
        value
        for manner in MANNERS.values()
        for value in [*vars(manner).values(), *manner.errors.values(), *manner.content.values()]
        if isinstance(value, tuple)
    ]
    assert all(len(k) == 7 and list(k) == sorted(k) and k[0] >= 0 for k in knots)


@pytest.mark.parametrize("seed", [0, 13])
def test_clean_data_have_no_column_that_tells_all_and_no_twins(seed):
    tables = nsl_kdd.simulate(FAST, seed)
    for part in tables.values():
        name, area = best_single_column(part.drop("attack"), anomalous(part))
        assert area < 0.97, name
    assert both(tables).select(COLUMNS).is_unique().all()


def test_defects_are_planted_at_the_documented_rates(fast):
    tables = nsl_kdd.simulate(FAST, 42, defects=True)
    assert {k: len(v) for k, v in tables.items()} == {k: len(v) for k, v in fast.items()}
    shared = tables["test"].join(tables["train"], on=COLUMNS, how="semi")
    assert 0.02 < len(shared) / len(tables["test"]) < 0.045
    assert conflicting_twins(both(tables), COLUMNS, "attack") >= 2
    assert not tables["train"].select(COLUMNS).is_unique().all()


def test_difficulty_is_no_answer_sheet_but_is_harder_for_attacks(fast):
    test = fast["test"].group_by(pl.col("attack") == "normal").agg(pl.col("difficulty").mean()).sort("attack")
    attacks, normals = test["difficulty"]
    assert attacks < normals


def numbers(frame, like):
    codes = {c: pl.Enum(sorted(set(like[c]) | set(frame[c]))) for c in CATEGORICAL}
    return frame.select(COLUMNS).with_columns(pl.col(c).cast(e).to_physical() for c, e in codes.items()).to_numpy()


def one_class_input(frame, like):
    logs = frame.select(pl.col(c).log1p() for c in COLUMNS if c not in CATEGORICAL)
    kinds = [(frame[c] == v).cast(pl.Float64) for c in CATEGORICAL for v in sorted(set(like[c]))]
    return np.column_stack([logs.to_numpy(), *(k.to_numpy() for k in kinds)])


def test_the_story_of_the_real_data_is_told(fast):
    """A random split is nearly solved; on new attacks the 0.5 threshold fails while the ranking holds."""
    train, test = fast["train"], fast["test"]
    y, y_test = anomalous(train), anomalous(test)
    x, x_test = numbers(train, both(fast)), numbers(test, both(fast))
    half = np.arange(len(y)) < len(y) * 0.7
    forest = RandomForestClassifier(60, random_state=0).fit(x[half], y[half])
    assert forest.score(x[~half], y[~half]) > 0.985
    score = forest.predict_proba(x_test)[:, 1]
    assert 0.70 < ((score > 0.5) == y_test).mean() < 0.88
    assert 0.88 < roc_auc_score(y_test, score) < 0.99
    new = ~test["attack"].is_in(train["attack"].unique().to_list()).to_numpy()
    assert (score[new] > 0.5).mean() < 0.6


def test_a_one_class_detector_of_normals_competes(fast):
    train, test = fast["train"], fast["test"]
    normals = train.filter(attack="normal")
    scaler = StandardScaler().fit(one_class_input(normals[:4_000], train))
    nearest = NearestNeighbors(n_neighbors=1).fit(scaler.transform(one_class_input(normals[:4_000], train)))
    score = nearest.kneighbors(scaler.transform(one_class_input(test, train)))[0][:, 0]
    assert 0.88 < roc_auc_score(anomalous(test), score) < 0.99
