"""The flow features on the real files: what the rule of the logarithm decides, what is refused, what it is good for."""

import numpy as np
import polars as pl
import pytest
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import MinMaxScaler

from tests.unit.loading import refused
from utils import datasets
from utils.datasets.identity import identity_columns
from utils.features.flows import FlowFeatures

pytestmark = pytest.mark.real


@pytest.fixture
def nsl_kdd(real_lab):
    data = datasets.load("nsl_kdd", "real")
    return data["connections"], data.roles["connections"]


@pytest.fixture
def cicids2017(real_lab):
    data = datasets.load("cicids2017", "real")
    return data["flows"], data.roles["flows"]


def test_nsl_kdd_takes_logarithms_of_bytes_and_durations_and_of_no_rate(nsl_kdd):
    frame, roles = nsl_kdd
    features = FlowFeatures(roles).fit(frame.filter(split="train"))
    report = features.report_
    logged = set(report.filter(logarithm="log1p")["column"])
    assert {"src_bytes", "dst_bytes", "duration", "count", "srv_count"} <= logged
    assert not {name for name in logged if name.endswith("rate")}
    kinds = dict(report.select("column", "kind").iter_rows())
    assert {name for name, kind in kinds.items() if kind == "nominal"} == {"protocol_type", "service", "flag"}
    assert kinds["land"] == kinds["logged_in"] == "binary"
    test = features.transform(frame.filter(split="test"))
    assert test.shape == (22_544, len(features.get_feature_names_out()))
    assert np.isfinite(test).all()


def test_cicids2017_drops_what_never_varies_and_reads_protocols_as_kinds(cicids2017):
    frame, roles = cicids2017
    features = FlowFeatures(roles, dtype="float32").fit(frame)
    report = features.report_
    dropped = report.filter(kind="dropped")["column"].to_list()
    assert dropped == ["Bwd URG Flags", "Subflow Bwd Packets"]
    assert report.row(0, named=True)["kind"] == "nominal"
    assert report.filter(column="Fwd Header Length")["logarithm"].item() == "signed log1p"
    assert report.filter(column="Flow Bytes/s")["logarithm"].item() == "log1p"
    found = features.transform(frame)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


@pytest.mark.parametrize("name", ["Dst Port", "Src Port", "Src IP", "Timestamp", "Flow ID", "natural_weight", "day"])
def test_cicids2017_refuses_identities_and_what_is_withheld(cicids2017, name):
    frame, roles = cicids2017
    refused(lambda: FlowFeatures(roles, columns=["Flow Duration", name]).fit(frame), "must not contain", repr(name))


def test_cicids2017_refuses_ports_and_addresses_without_any_roles(cicids2017):
    frame, roles = cicids2017
    found = identity_columns(frame.drop("is_anomaly", "anomaly_type"))
    assert set(found) == {*roles.identity, roles.time}
    renamed = frame.rename({"Dst Port": "service", "Src IP": "origin"})
    reasons = identity_columns(renamed, among=["service", "origin"])
    assert reasons == {"service": "a port by its content", "origin": "an address by its content"}


@pytest.mark.parametrize("name", ["nsl_kdd", "cicids2017", "api", "hdfs"])
def test_no_feature_of_the_projects_own_data_is_taken_for_an_identity(real_lab, name):
    data = datasets.load(name, "real")
    for frame, roles in data.roles.items():
        assert identity_columns(data[frame], roles, roles.features) == {}, frame


def recall_at_five_percent(normal, validation, label):
    """Recall of the distance to the nearest training normal, at the distance that 5 % of other normals exceed."""
    distance = NearestNeighbors(n_neighbors=1).fit(normal).kneighbors(validation)[0][:, 0]
    return float((distance[label] > np.quantile(distance[~label], 0.95)).mean())


@pytest.mark.parametrize(("name", "gain"), [("nsl_kdd", 0.0), ("cicids2017", 0.1)])
def test_the_logarithm_helps_a_nearest_neighbour_detector(request, name, gain):
    """Normals only are known, attacks of the training part are looked for: decisive where numbers span decades."""
    frame, roles = request.getfixturevalue(name)
    rows = frame.filter(split="train") if roles.split else frame.unique("vector", maintain_order=True)
    drawn = rows.sample(fraction=1, shuffle=True, seed=0)
    normals, attacks = drawn.filter(~pl.col("is_anomaly")), drawn.filter("is_anomaly").head(1_500)
    train, validation = normals.head(2_500), pl.concat([normals.slice(2_500, 1_500), attacks])
    label = validation["is_anomaly"].to_numpy()
    recall = {}
    for way, features in {
        "logarithm": FlowFeatures(roles).fit(train),
        "as it is": FlowFeatures(roles, scale=None, log=False).fit(train),
    }.items():
        known, asked = features.transform(train), features.transform(validation)
        if way == "as it is":
            scaler = MinMaxScaler().fit(known)
            known, asked = scaler.transform(known), scaler.transform(asked)
        recall[way] = recall_at_five_percent(known, asked, label)
    assert recall["logarithm"] >= 0.94
    assert recall["logarithm"] > recall["as it is"] + gain
