"""Feature selection on the real files, against what earlier projects published for them."""

import polars as pl
import pytest

from utils import datasets
from utils.features import selection

pytestmark = pytest.mark.real

PUBLISHED_POWER = {
    "min_global_dest_degrees": 0.593,
    "max_global_dest_degrees": 0.592,
    "n_connections": 0.587,
    "min_global_source_degrees": 0.549,
    "std_local_source_degrees": 0.533,
    "std_global_source_degrees": 0.444,
    "max_global_source_degrees": 0.367,
    "avg_global_dest_degrees": 0.337,
    "avg_global_source_degrees": 0.329,
}
"""Of 1,695 rows, 28 of them repeated; ours are the 1,673 distinct behaviours with a graph."""


@pytest.fixture
def api(real_lab):
    data = datasets.load("api", "real")
    return data["features"], data.roles["features"]


@pytest.fixture
def nsl_kdd(real_lab):
    data = datasets.load("nsl_kdd", "real")
    return data["connections"].filter(split="train"), data.roles["connections"]


@pytest.fixture
def cicids2017(real_lab):
    data = datasets.load("cicids2017", "real")
    return data["flows"], data.roles["flows"]


def test_the_published_powers_of_call_graph_features(api):
    frame, roles = api
    found = dict(selection.predictive_power(frame, roles.label, roles.features).select("feature", "power").iter_rows())
    for name, power in PUBLISHED_POWER.items():
        assert found[name] == pytest.approx(power, abs=0.045), name


def test_the_published_nine_are_what_the_published_way_leaves(api):
    """They were chosen so that no two correlate at .95: none of them goes, and none is too good."""
    frame, roles = api
    chosen = selection.select(frame, roles.label, roles.features, stands="widest")
    assert chosen.kept == roles.features
    assert chosen.too_good == ()


def test_statistics_of_the_same_graphs_fall_into_groups(mirror_dir):
    path = mirror_dir.parent / "reference" / "api_graph_features.parquet"
    if not path.is_file():
        pytest.skip("reference/api_graph_features.parquet does not lie beside the mirror")
    frame = pl.read_parquet(path).drop("_id", "upstream_rows")
    table = selection.correlated_groups(frame)
    group = dict(table.select("feature", "group").iter_rows())
    assert group["n_connections"] == group["graph_num_edges"] is not None
    assert table.filter(feature="n_connections")["correlation"].abs().item() >= 0.95
    gone = set(table.filter(~pl.col("kept"))["feature"])
    assert gone & {"n_connections", "graph_num_edges"}
    assert gone & {"n_connections", "graph_num_nodes"}


def test_nsl_kdd_repeats_its_error_rates(nsl_kdd):
    frame, roles = nsl_kdd
    chosen = selection.select(frame, roles.label, roles.features)
    represented = dict(chosen.table.select("feature", "representative").iter_rows())
    assert represented["num_root"] == represented["num_compromised"] is not None
    assert represented["serror_rate"] == represented["srv_serror_rate"] is not None
    assert represented["rerror_rate"] == represented["srv_rerror_rate"] is not None
    assert {"src_bytes", "service", "flag", "dst_bytes"} <= set(chosen.kept)
    assert chosen.too_good == ()
    assert chosen.table.sort("information", descending=True)["feature"][0] == "src_bytes"
    assert {"urgent", "land"} <= set(chosen.dropped)


def test_the_choice_for_nsl_kdd_is_stable(nsl_kdd):
    frame, roles = nsl_kdd
    found = selection.stability(frame, roles.label, roles.features, resamples=10)
    assert found.index > 0.95
    assert set(found.table.head(3)["feature"]) == {"src_bytes", "service", "dst_bytes"}


def test_cicids2017_gives_away_its_attacks_by_ports_and_repeats_itself(cicids2017):
    """D'hooge et al. (2022): the destination port alone is nearly the label."""
    frame, roles = cicids2017
    ports = selection.single_feature_auc(frame, roles.label, ["Dst Port", "Src IP"])
    assert (ports["auc"] > 0.95).all()
    chosen = selection.select(frame, roles.label, roles.features)
    assert chosen.dropped["Bwd URG Flags"] == "has one value or none"
    represented = dict(chosen.table.select("feature", "representative").iter_rows())
    assert represented["Fwd Segment Size Avg"] == represented["Fwd Packet Length Mean"] is not None
    assert len(chosen.kept) < 55
    weighted = selection.select(frame, roles.label, roles.features, weight="natural_weight")
    assert weighted.table["information"].is_finite().all()
    assert weighted.kept != chosen.kept
