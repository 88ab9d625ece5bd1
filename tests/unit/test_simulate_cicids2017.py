from typing import get_args

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import QuantileTransformer

from tests.unit.separation import area_by_rate, best_single_column, clock_columns, conflicting_twins
from utils.errors import DataError
from utils.settings import BUDGETS
from utils.simulate import cicids2017
from utils.simulate.cicids2017_kinds import BENIGN, CLASSES, INSIDE_SCAN, KINDS, NAT, ROUTES, SCAN, Ending, Opening

FEATURES = list(cicids2017.FEATURES)
FAST = BUDGETS["fast"].simulated["cicids2017"]
PORTS = ("Src Port", "Dst Port", "Protocol")
TIMES_OF_DAY = pl.col("Timestamp").dt.hour() + pl.col("Timestamp").dt.minute() / 60


@pytest.fixture(scope="module")
def fast():
    return cicids2017.simulate(FAST, 42)["flows"]


@pytest.fixture(scope="module")
def flawed():
    return cicids2017.simulate(FAST, 42, defects=True)["flows"]


def anomalous(flows):
    return (flows["Label"] != BENIGN).to_numpy()


def test_same_seed_same_flows():
    first = cicids2017.simulate(400, 7)["flows"]
    assert first.equals(cicids2017.simulate(400, 7)["flows"])
    assert not first.equals(cicids2017.simulate(400, 8)["flows"])


@settings(max_examples=25, deadline=None)
@given(size=st.integers(1, 300), seed=st.integers(0, 2**32 - 1), defects=st.booleans())
def test_any_size_has_the_schema_and_consistent_columns(size, seed, defects):
    flows = cicids2017.simulate(size, seed, defects=defects)["flows"]
    assert len(flows) == size
    assert flows.columns == list(cicids2017.COLUMNS)
    assert flows.null_count().to_numpy().sum() == 0
    check_consistency(flows)


def check_consistency(flows):
    """Columns of one flow agree with each other."""
    seconds = pl.col("Flow Duration") / 1e6
    packets = pl.col("Total Fwd Packet") + pl.col("Total Bwd packets")
    size = pl.col("Total Length of Fwd Packet") + pl.col("Total Length of Bwd Packet")
    close = [
        ("Flow Packets/s", packets / seconds),
        ("Flow Bytes/s", size / seconds),
        ("Fwd Packets/s", pl.col("Total Fwd Packet") / seconds),
        ("Packet Length Mean", size / packets),
        ("Average Packet Size", size / packets),
        ("Packet Length Variance", pl.col("Packet Length Std") ** 2),
        ("Down/Up Ratio", pl.col("Total Bwd packets") / pl.col("Total Fwd Packet")),
        ("Flow IAT Mean", pl.col("Flow Duration") / (packets - 1)),
    ]
    wrong = flows.select((pl.col(c) / e - 1).abs().fill_nan(0).max().alias(c) for c, e in close)
    assert max(wrong.row(0)) < 1e-9, wrong
    stems = [c.removesuffix(" Mean") for c in flows.columns if c.endswith(" Mean")]
    between = [pl.col(f"{s} Mean").is_between(pl.col(f"{s} Min") - 1e-6, pl.col(f"{s} Max") + 1e-6) for s in stems]
    totals = [
        pl.col("Fwd IAT Total") <= pl.col("Flow Duration"),
        pl.col("Flow IAT Max") <= pl.col("Flow Duration"),
        pl.col("Total Fwd Packet") >= 1,
        pl.col("Fwd PSH Flags") <= pl.col("Total Fwd Packet"),
        pl.col("Flow Duration") >= 1,
    ]
    assert all(flows.select(e.all() for e in [*between, *totals]).to_numpy().ravel())


@pytest.mark.parametrize("size", [0, -1])
def test_no_flows_are_refused(size):
    with pytest.raises(DataError, match="at least 1 flow"):
        cicids2017.simulate(size, 0)


def test_flow_id_is_built_from_its_fields_and_addresses_differ(fast):
    fields = pl.concat_str("Src IP", "Dst IP", "Src Port", "Dst Port", "Protocol", separator="-")
    assert fast.select((fields == pl.col("Flow ID")).all()).item()
    assert fast.select((pl.col("Src IP") != pl.col("Dst IP")).all()).item()
    assert set(fast["Protocol"]) == {1, 6, 17}
    assert set(fast["Attempted Category"]) == {-1}


def test_rows_are_in_order_of_time_and_numbered_by_day(fast):
    assert fast["Timestamp"].is_sorted()
    steps = fast.group_by(pl.col("Timestamp").dt.date()).agg((pl.col("id").diff().drop_nulls() > 0).all())
    assert steps["id"].all()


def test_classes_have_their_names_days_and_shares(fast):
    counts = dict(fast["Label"].value_counts().iter_rows())
    assert set(counts) == {*CLASSES, BENIGN}
    assert anomalous(fast).mean() == pytest.approx(cicids2017.ATTACK_SHARE, abs=1e-4)
    assert counts["DDoS"] == pytest.approx(counts["DoS Hulk"], abs=1)
    assert max(counts[c] for c in ("Heartbleed", "Web Attack - XSS", "Web Attack - SQL Injection")) <= 3
    days = fast.group_by("Label").agg(pl.col("Timestamp").dt.weekday().unique().alias("days"))
    for label, found in days.iter_rows():
        expected = [1, 2, 3, 4, 5] if label == BENIGN else [CLASSES[label].day + 1]
        assert sorted(found) == expected, label


def test_attacks_keep_mostly_to_their_hour_and_benign_flows_run_beside_them(fast):
    for label in ("DDoS", "FTP-Patator", "DoS GoldenEye", SCAN):
        first, last = CLASSES[label].hours
        mine = fast.filter(Label=label)
        inside = mine.select(TIMES_OF_DAY.is_between(first - 0.02, last + 0.02).mean()).item()
        assert 0.7 < inside < 0.95
        beside = fast.filter(
            (pl.col("Timestamp").dt.weekday() == CLASSES[label].day + 1)
            & (pl.col("Label") == BENIGN)
            & TIMES_OF_DAY.is_between(first, last)
        )
        assert len(beside) > 0.4 * len(mine)


def test_knots_are_ascending():
    quantities = [k for kind in KINDS for k in (kind.sent, kind.received, kind.duration, *kind.acks, *kind.sizes)]
    tuples = [k for k in quantities if isinstance(k, tuple)]
    assert all(len(k) == 7 and list(k) == sorted(k) for k in tuples)
    assert {kind.label for kind in KINDS} == {*CLASSES, BENIGN}
    assert {kind.route for kind in KINDS} <= set(ROUTES)
    assert {opening for kind in KINDS for opening in kind.opening} == set(get_args(Opening))
    assert {ending for kind in KINDS for ending in kind.ending} == set(get_args(Ending))


@pytest.mark.parametrize("seed", [0, 13])
def test_clean_flows_have_no_column_that_tells_all_and_no_twins(seed):
    flows = cicids2017.simulate(FAST, seed)["flows"]
    label = anomalous(flows)
    name, area = best_single_column(flows.drop("Label", "Timestamp"), label, PORTS)
    assert area < 0.97, name
    name, area = best_single_column(clock_columns(flows["Timestamp"]), label)
    assert area < 0.97, name
    assert flows.select(FEATURES).is_unique().all()


def test_defects_give_the_label_away_as_documented(flawed):
    label = anomalous(flawed)
    assert label.mean() == pytest.approx(cicids2017.ATTACK_SHARE_OF_DRAW, abs=1e-3)
    nat = flawed.group_by("Label").agg((pl.col("Src IP") == NAT).mean().alias("nat"))
    nat = dict(nat.iter_rows())
    assert nat[BENIGN] == 0
    assert nat["DDoS"] == nat["SSH-Patator"] == 1
    ports = dict(flawed.group_by("Label").agg(pl.col("Dst Port").n_unique()).iter_rows())
    assert {label for label, n in ports.items() if n > 1} == {
        BENIGN,
        SCAN,
        INSIDE_SCAN,
    }
    assert area_by_rate(flawed["Src IP"], label) > 0.97


def test_defects_make_scans_twins_some_under_both_labels(flawed):
    scans = flawed.filter(Label=SCAN).select(FEATURES)
    assert scans.is_duplicated().mean() > 0.95
    assert scans.n_unique() < 0.08 * len(scans)
    assert conflicting_twins(flawed, FEATURES, "Label") > 100
    binary = flawed.with_columns(pl.col("Label") != BENIGN)
    assert conflicting_twins(binary, FEATURES, "Label") == 0


def test_a_random_split_is_saturated(fast):
    x, y = fast.select(FEATURES).to_numpy(), anomalous(fast)
    order = np.random.default_rng(0).permutation(len(y))
    train, test = order[: len(y) * 8 // 10], order[len(y) * 8 // 10 :]
    model = HistGradientBoostingClassifier(random_state=0).fit(x[train], y[train])
    assert f1_score(y[test], model.predict(x[test])) > 0.97
    assert roc_auc_score(y[test], model.predict_proba(x[test])[:, 1]) > 0.998


def test_new_attacks_are_missed_at_one_half_and_scans_are_found_by_neighbours(fast):
    early = (fast["Timestamp"].dt.weekday() <= 3).to_numpy()
    x, y = fast.select(FEATURES).to_numpy(), anomalous(fast)
    model = HistGradientBoostingClassifier(random_state=0).fit(x[early], y[early])
    assert f1_score(y[~early], model.predict(x[~early])) < 0.8
    scans = fast["Label"].is_in([SCAN, INSIDE_SCAN]).to_numpy()
    assert model.predict(x[scans]).mean() < 0.3
    benign = np.flatnonzero(early & ~y)
    known, held_out = benign[::2], benign[1::2]
    scale = QuantileTransformer(n_quantiles=300, output_distribution="normal", random_state=0).fit(x[known])
    nearest = NearestNeighbors(n_neighbors=1).fit(scale.transform(x[known]))

    def distance(rows):
        return nearest.kneighbors(scale.transform(x[rows]))[0][:, 0]

    threshold = np.quantile(distance(held_out), 0.95)
    assert (distance(scans) > threshold).mean() > 0.9
