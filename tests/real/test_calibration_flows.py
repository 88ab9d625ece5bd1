"""The connection and flow simulators against the files that they imitate."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from utils.simulate import cicids2017, nsl_kdd
from utils.simulate.cicids2017_kinds import BENIGN, INSIDE_SCAN, NAT, SCAN
from utils.simulate.flow_meter import FEATURES

pytestmark = pytest.mark.real

FEWEST = 100
FACTOR = 2.0
RATE_DIFFERENCE = 0.2
WITHIN = 0.93
MARGIN = dt.timedelta(minutes=2)
SCANS = (SCAN, INSIDE_SCAN)
WIDENED = ("Flow Duration", "Flow IAT Mean", "Flow IAT Max")  # in clean scans, which must not be twins
FLOW_COLUMNS = (
    "Flow Duration",
    "Total Fwd Packet",
    "Total Bwd packets",
    "Total Length of Fwd Packet",
    "Total Length of Bwd Packet",
    "Fwd Packet Length Max",
    "Bwd Packet Length Max",
    "Bwd Packet Length Std",
    "Flow IAT Mean",
    "Flow IAT Std",
    "Flow IAT Max",
    "Fwd PSH Flags",
    "Bwd PSH Flags",
    "FIN Flag Count",
    "SYN Flag Count",
    "RST Flag Count",
    "ACK Flag Count",
    "FWD Init Win Bytes",
    "Bwd Init Win Bytes",
    "Fwd Seg Size Min",
    "Fwd Header Length",
    "Bwd Header Length",
    "Fwd Act Data Pkts",
    "Idle Max",
)


@pytest.fixture(scope="module")
def connections(mirror_dir):
    names = [*nsl_kdd.COLUMNS, "attack", "difficulty"]
    return {
        part: pl.read_csv(mirror_dir / "nsl_kdd" / f"KDD{part.title()}+.txt", has_header=False, new_columns=names)
        for part in ("train", "test")
    }


@pytest.fixture(scope="module")
def made_connections():
    return nsl_kdd.simulate(120_000, 0)


@pytest.fixture(scope="module")
def flows(mirror_dir):
    files = sorted((mirror_dir / "cicids2017").glob("*.csv"))
    return pl.concat([pl.read_csv(f, infer_schema_length=None, try_parse_dates=True) for f in files])


@pytest.fixture(scope="module")
def made_flows():
    return cicids2017.simulate(56_000, 0)["flows"]


def apart(real, made):
    """Distance of two medians on a log scale that knows zero."""
    return abs(np.log1p(real.median()) - np.log1p(made.median()))


def test_connections_have_the_columns_and_types_of_the_files(connections, made_connections):
    for part, real in connections.items():
        assert made_connections[part].schema == real.schema


def test_attacks_have_their_shares_of_either_part(connections, made_connections):
    for part, real in connections.items():
        expected = dict(real["attack"].value_counts(normalize=True).iter_rows())
        found = dict(made_connections[part]["attack"].value_counts(normalize=True).iter_rows())
        assert {name: found.get(name, 0) for name in expected} == pytest.approx(expected, abs=0.012)
        assert set(found) <= set(expected)


def test_ranges_of_connections_lie_inside_those_of_the_files(connections, made_connections):
    real, made = pl.concat(connections.values()), pl.concat(made_connections.values())
    for column in nsl_kdd.COLUMNS:
        if made[column].dtype == pl.String:
            assert set(made[column]) <= set(real[column]), column
        else:
            assert made[column].max() <= real[column].max() * 1.01, column


def test_typical_values_of_connections_are_those_of_each_attack(connections, made_connections):
    close = []
    for part, real in connections.items():
        common = real["attack"].value_counts().filter(pl.col("count") >= FEWEST)["attack"]
        for attack in common:
            mine, theirs = made_connections[part].filter(attack=attack), real.filter(attack=attack)
            for column in nsl_kdd.COLUMNS:
                if column.endswith("_rate"):
                    close.append(abs(mine[column].mean() - theirs[column].mean()) < RATE_DIFFERENCE)
                elif mine[column].dtype.is_numeric():
                    close.append(apart(theirs[column], mine[column]) < np.log(FACTOR))
    assert len(close) > 800
    assert np.mean(close) > WITHIN


def test_flows_have_the_columns_and_types_of_the_files(flows, made_flows):
    assert made_flows.schema == flows.schema
    assert set(made_flows["Label"]) == set(flows["Label"])


def test_typical_values_of_flows_are_those_of_each_class(flows, made_flows):
    close = []
    for label in set(flows["Label"]):
        mine, theirs = made_flows.filter(Label=label), flows.filter(Label=label)
        columns = [c for c in FLOW_COLUMNS if not (label in SCANS and c in WIDENED)]
        close += [apart(theirs[c], mine[c]) < np.log(FACTOR) for c in columns]
    assert len(close) > 350
    assert np.mean(close) > WITHIN


def test_classes_ran_on_the_day_and_in_the_hours_of_the_files(flows, made_flows):
    spans = (
        flows.filter(pl.col("Label") != BENIGN)
        .group_by("Label")
        .agg(pl.col("Timestamp").min().alias("first"), pl.col("Timestamp").max().alias("last"))
    )
    for label, first, last in spans.iter_rows():
        mine = made_flows.filter(Label=label)["Timestamp"]
        assert set(mine.dt.date()) == {first.date()}
        inside = mine.is_between(first - MARGIN, last + MARGIN).mean()
        assert inside > (0.7 if len(mine) > 50 else 0), label


def test_defects_are_as_frequent_as_in_the_files(flows):
    flawed = cicids2017.simulate(43_419, 0, defects=True)["flows"]
    features = list(FEATURES)
    for label in SCANS:
        real, made = (f.filter(Label=label).select(features).is_duplicated().mean() for f in (flows, flawed))
        assert made == pytest.approx(real, abs=0.12)
    counts = [dict(f["Label"].value_counts().iter_rows()) for f in (flows, flawed)]
    assert counts[1] == pytest.approx(counts[0], abs=2)
    nat = [f.group_by("Label").agg((pl.col("Src IP") == NAT).mean()) for f in (flows, flawed)]
    assert dict(nat[1].iter_rows()) == pytest.approx(dict(nat[0].iter_rows()), abs=0.02)
