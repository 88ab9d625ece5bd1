"""Published experiments done again, on simulated data and on points made by hand."""

import dataclasses

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.unit.small_data import dataset
from utils import datasets
from utils.datasets.contract import Roles
from utils.detectors import published
from utils.detectors.published import mlpt as on_events
from utils.detectors.published import nsl_kdd as on_connections
from utils.detectors.published.reproduction import Measured, printed_digits, reproduction
from utils.errors import DataError, SchemaError

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def simulated():
    return {name: datasets.load(name, "simulated", budget="fast") for name in ("nsl_kdd", "waf")}


@pytest.fixture(scope="module")
def split(simulated):
    return published.connections(simulated["nsl_kdd"])


@pytest.fixture(scope="module")
def steps(split):
    found = (published.isolation_forest, published.local_outlier_factor, published.density_clusters)
    return [step(split) for step in found]


@pytest.fixture(scope="module")
def events(simulated):
    return published.events(simulated["waf"])


@pytest.fixture(scope="module")
def clusters(events):
    return published.event_clusters(events)


def blocks(seed=0, degrees=20.0):
    """Events of four blocks of addresses whose last two words were turned, at scattered sizes."""
    random = np.random.default_rng(seed)
    first = np.repeat(np.round(random.random(8), 2) * 10, 60)
    plane = np.column_stack([first + random.integers(0, 4, 480) / 1e3, random.random(480) * 0.5])
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turned = plane @ np.array([[cosine, sine], [-sine, cosine]])
    points = np.column_stack([random.random(480) * 1e-3, turned, np.zeros((480, 6))])
    return on_events.Events(points, on_events.STANDS_FOR, None, None, mixed=True, comparable=False)


@pytest.mark.parametrize(
    ("text", "digits"),
    [("16", 2), ("3019", 4), ("-3.94e-05", 3), ("0.01846", 4), ("0.17912447916225435", 17), ("2.80", 3), ("0", 1)],
)
def test_digits_are_counted_as_printed(text, digits):
    assert printed_digits(text) == digits


@pytest.mark.parametrize(
    ("text", "value", "equal"),
    [
        ("0.01846", 0.018349, 2),
        ("0.01846", 0.0184634, 4),
        ("-3.94e-05", -3.939612e-05, 3),
        ("-3.94e-05", 3.939612e-05, 0),
        ("16", 16, 2),
        ("16", 54, 0),
        ("2.80", 2.797711, 3),
        ("2.80", 2.75, 2),
        ("0", 0.0, 1),
        ("5", np.nan, 0),
    ],
)
def test_equal_digits_are_those_to_which_ours_rounds(text, value, equal):
    assert published.equal_digits(text, value) == equal


@given(st.floats(-1e9, 1e9), st.integers(1, 15))
@settings(deadline=None)
def test_a_number_printed_with_some_digits_is_equal_to_all_of_them(value, digits):
    assume(abs(value) > 1e-200)
    text = f"{value:.{digits - 1}e}"
    assert published.equal_digits(text, value) == printed_digits(text) == digits


def test_a_published_text_must_be_a_number():
    with pytest.raises(DataError, match="as printed"):
        published.equal_digits("about 3", 3.0)


def test_a_reproduction_says_in_words_how_far_it_agrees():
    numbers = [
        Measured("a", "all", "3019", 3019),
        Measured("b", "all", "0.01846", 0.01835),
        Measured("c", "all", None, 1.0),
        Measured("d", "all", "9", 9),
    ]
    table = reproduction("step", numbers, comparable=True).table
    assert table["agreement"].to_list() == ["all digits", "2 of 4 digits", "not published", "the one digit"]
    assert table["equal"].to_list() == [True, False, None, True]
    assert table["reproduced"].to_list() == ["3019", "0.01835", "1", "9"]
    elsewhere = reproduction("step", numbers, comparable=False).table
    assert elsewhere["agreement"][0] == "not comparable: simulated data"
    assert elsewhere["equal"].to_list() == [None] * 4
    assert published.together([reproduction("x", numbers[:1], comparable=True)] * 2).height == 2
    assert published.together([]).is_empty()


def test_connections_are_encoded_in_the_published_order(split, simulated):
    head = simulated["nsl_kdd"]["connections"].filter("in_train_20percent")
    services, flags = head["service"].n_unique(), head["flag"].n_unique()
    protocols = head["protocol_type"].n_unique()
    assert len(split.columns) == 38 + services + flags + protocols - 3
    encoded = [name.rsplit("_", 1)[0] for name in split.columns[38:]]
    assert encoded[0] == "flag"
    assert encoded[flags - 1] == "protocol_type"
    assert split.columns[-1].startswith("service_")
    assert split.columns[:3] == ("duration", "src_bytes", "dst_bytes")
    assert f"flag_{min(head['flag'])}" not in split.columns


def test_the_split_is_scaled_on_its_training_part_and_stratified(split, simulated):
    head = simulated["nsl_kdd"]["connections"].filter("in_train_20percent")
    assert split.train.min() == 0
    assert split.train.max() == pytest.approx(1)
    assert len(split.test) / head.height == pytest.approx(0.2, abs=0.001)
    assert split.y_train.mean() == pytest.approx(split.y_test.mean(), abs=0.002)
    assert ((split.kinds_train != "normal").to_numpy() == split.y_train).all()
    assert ((split.kinds_test != "normal").to_numpy() == split.y_test).all()
    assert not split.comparable


def test_texts_and_numbers_of_the_classes_divide_differently(split, simulated):
    from sklearn.model_selection import train_test_split

    head = simulated["nsl_kdd"]["connections"].filter("in_train_20percent")
    y = head["is_anomaly"].to_numpy()
    rows, _ = train_test_split(np.arange(len(y)), test_size=0.2, random_state=42, stratify=y.astype(int))
    assert not np.array_equal(y[rows], split.y_train)


def test_other_tables_are_no_connections(simulated):
    with pytest.raises(SchemaError, match="connections"):
        published.connections(simulated["waf"])
    whole = simulated["nsl_kdd"]
    one_class = whole["connections"].filter(~pl.col("is_anomaly"))
    with pytest.raises(DataError, match="both classes"):
        published.connections(dataclasses.replace(whole, frames={"connections": one_class}))
    few = whole["connections"].filter("in_train_20percent").head(50)
    with pytest.raises(DataError, match="100 rows"):
        published.connections(dataclasses.replace(whole, frames={"connections": few}))


def test_every_step_compares_nothing_on_simulated_data(steps, split):
    table = published.together([*steps, published.k_means(split)])
    assert set(table["agreement"]) == {"not comparable: simulated data", "not published"}
    assert table["equal"].null_count() == table.height
    assert table["value"].is_finite().all()
    assert table["step"].unique(maintain_order=True).to_list() == [
        "isolation forest",
        "local outlier factor",
        "DBSCAN",
        "k-means, k = 3",
    ]


def test_numbers_of_a_step_are_those_of_its_labels(steps, split):
    from sklearn.cluster import DBSCAN
    from sklearn.metrics import adjusted_rand_score

    forest, _, density = steps
    row = forest.table.row(0, named=True)
    assert (row["measure"], row["value"]) == ("flagged rows", (forest.labels["train"] == -1).sum())
    by_name = dict(density.table.select("measure", "value").filter(pl.col("measure") != "ARI").iter_rows())
    assert by_name["noise rows"] == (density.labels["train"] == -1).sum()
    assert by_name["clusters"] == len(set(density.labels["train"]) - {-1})
    assert by_name["attacks among the noise"] == split.y_train[density.labels["train"] < 0].sum()
    index = adjusted_rand_score(split.y_test, DBSCAN(eps=0.5, min_samples=5).fit_predict(split.test))
    assert density.table.filter(part="test")["value"][0] == pytest.approx(index, abs=1e-12)


def test_what_was_flagged_is_counted_beside_flagging_everything(steps, split):
    table = published.what_was_flagged(split, steps)
    assert table["detector"].to_list() == [*(step.step for step in steps), "flag everything"]
    assert (table["attacks"] + table["normals"] == table["flagged"]).all()
    first = table.row(0, named=True)
    flagged = steps[0].labels["train"] < 0
    assert first["attacks"] == (flagged & split.y_train).sum()
    assert first["recall"] == pytest.approx((flagged & split.y_train).sum() / split.y_train.sum())
    last = table.row(-1, named=True)
    assert (last["recall"], last["flagged"]) == (1.0, len(split.y_train))
    assert last["adjusted_rand"] == 0


def test_detectors_learn_better_from_normal_rows_alone(split):
    names = ("isolation forest", "DBSCAN, distance to a core point")
    table = published.learned_from(split, names=names)
    assert table["detector"].to_list() == [*names, *names, "flag everything"]
    ranks = table.pivot("learned from", index="detector", values="roc_auc").drop_nulls("normals alone")
    assert (ranks["normals alone"] > ranks["normals and attacks"] + 0.1).all()
    normal = table.filter(pl.col("learned from") == "normals alone")
    assert (normal["rows"] == round(0.75 * (~split.y_train).sum())).all()
    assert (normal["real"] < 0.12).all()
    assert table.row(-1, named=True)["recall"] == 1


def test_every_detector_of_the_experiment_scores_higher_what_is_far():
    rows = RNG.normal(size=(300, 3))
    for name, detector in on_connections.DETECTORS.items():
        near, far = detector(rows)(np.array([[0.0, 0, 0], [9, 9, 9]]))
        assert far > near, name


def test_local_outlier_factor_takes_as_many_neighbours_as_there_are():
    assert on_connections._neighbours(np.zeros((5, 2))) == 4
    assert on_connections._neighbours(np.zeros((500, 2))) == 20


def test_cluster_baselines_stand_beside_chance_and_ceiling(split, steps):
    table = published.cluster_baselines(split, steps[2], ks=(3, 10**6))
    found = steps[2].labels["train"].max() + 1
    assert table["method"].unique(maintain_order=True).to_list() == [
        "DBSCAN",
        "k-means, k = 3",
        f"k-means, k = {found}",
    ]
    assert table["classes"].n_unique() == 2
    assert (table["adjusted_rand"] <= table["ceiling"] + 1e-9).all()
    assert (table["purity"] >= table["majority_share"] - 1e-9).all()
    first = table.row(0, named=True)
    kept = steps[2].labels["train"] >= 0
    own = pl.DataFrame({"cluster": steps[2].labels["train"][kept], "y": split.y_train[kept]})
    shares = (
        own.group_by("cluster").agg(pl.len(), pl.col("y").sum()).select(pl.max_horizontal("y", pl.col("len") - "y"))
    )
    assert first["purity_without_noise"] == pytest.approx(shares.to_series().sum() / own.height)


def test_raw_events_become_size_and_address_words(simulated):
    raw = (
        simulated["waf"]["events"]
        .head(3)
        .with_columns(
            CLIENT_IP=pl.Series(["1.2.3.4", "2001:db8::5", None]), REQUEST_SIZE=pl.Series(["10", "junk", "40"])
        )
    )
    found = published.events(dataset({"events": raw}, {"events": Roles("event")}, name="mine"))
    assert found.points.shape == (3, 9)
    assert found.stands_for[:3] == ("size", "address word 6", "address word 7")
    assert np.allclose(found.points.mean(axis=0), 0)
    assert found.points[:, 0].argsort().tolist() == [1, 0, 2]
    words = on_events._words("1.2.3.4")
    assert words == [0x2002, 0, 0, 0, 0, 0, 0x0102, 0x0304]
    assert on_events._words("2001:db8::5") == [0x2001, 0x0DB8, 0, 0, 0, 0, 0, 5]
    assert on_events._words("nonsense") == [0] * 8


def test_components_are_taken_as_they_are():
    frame = pl.DataFrame({f"pca{place}": RNG.normal(size=30) for place in range(9)}).with_columns(cluster=pl.lit(0))
    found = published.events(dataset({"mlpt": frame}, {"mlpt": Roles("event")}))
    assert np.array_equal(found.points, frame.drop("cluster").to_numpy())
    assert found.comparable
    assert found.mixed
    assert not published.events(dataset({"mlpt": frame}, {"mlpt": Roles("event")}, source="simulated")).comparable
    with pytest.raises(SchemaError, match="components"):
        published.events(dataset({"mlpt": frame.drop("pca3")}, {"mlpt": Roles("event")}))


def test_data_without_events_is_refused(simulated):
    with pytest.raises(DataError, match="connections"):
        published.events(simulated["nsl_kdd"])


def test_simulated_events_are_clustered_without_comparing(clusters, events):
    assert set(clusters.table["agreement"]) == {"not comparable: simulated data"}
    labels = clusters.labels["all"]
    by_name = dict(clusters.table.select("measure", "value").iter_rows())
    assert by_name["events"] == len(labels) == len(events.truth)
    assert by_name["clusters"] == labels.max() + 1
    assert by_name["noise (%)"] == pytest.approx(100 * (labels < 0).mean())


def test_published_labels_are_compared():
    found = blocks()
    labels = published.event_clusters(found).labels["all"]
    known = dataclasses.replace(found, published=labels)
    row = published.event_clusters(known).table.row(-1, named=True)
    assert (row["measure"], row["value"]) == ("ARI to the published labels", 1.0)


def test_noise_only_has_no_cluster():
    lonely = dataclasses.replace(blocks(), points=np.arange(90.0).reshape(10, 9) * 100)
    step = published.event_clusters(lonely)
    assert step.table.filter(measure="smallest cluster")["value"][0] == 0
    labels = step.labels["all"]
    with pytest.raises(DataError, match="noise only"):
        published.address_blocks(lonely, labels)
    with pytest.raises(DataError, match="noise only"):
        published.other_numbers_of_attacks(labels)
    assert published.names_by_size(lonely, labels).labels["all"].tolist() == [-1] * 10


@pytest.mark.parametrize("degrees", [0.0, 12.5, 45.0, 80.0])
def test_a_turned_plane_is_turned_back(degrees):
    found = blocks(degrees=degrees)
    angle, halves = on_events.turned_back(found.points[:, [1, 2]])
    gap = abs(angle - degrees) % 90
    assert min(gap, 90 - gap) <= 1.0
    assert np.allclose(halves.mean(axis=0), 0, atol=1e-9)


def test_clusters_of_address_blocks_are_found_out():
    found = blocks()
    labels = published.event_clusters(found).labels["all"]
    why = published.address_blocks(found, labels)
    explained = dict(zip(why.components["stands_for"], why.components["explained"], strict=True))
    assert max(explained[name] for name in on_events.TURNED) > 0.99
    assert explained["word 2"] is None
    assert why.used.filter(columns="address")["adjusted_rand"][0] > 0.99
    right = dict(zip(why.named["columns"], why.named["right"], strict=True))
    assert right["both halves of the address"] > 0.99
    assert right["size of the request"] < 0.9
    assert why.boxes["events"].is_sorted(descending=True)
    assert why.boxes["events"].sum() == (labels >= 0).sum()
    assert (why.boxes["purity"] == 1).all()
    assert why.plane.shape == (480, 2)


def test_variance_between_clusters_is_eta_squared():
    labels = np.array([0, 0, 1, 1])
    columns = np.array([[1.0, 0, 5], [1, 1, 5], [3, 0, 5], [3, 1, 5]])
    assert on_events._explained(columns, labels) == [1.0, 0.0, None]


def test_raw_columns_are_not_turned(events, clusters):
    why = published.address_blocks(events, clusters.labels["all"])
    assert why.angle == 0
    assert np.array_equal(why.plane, events.points[:, [1, 2]])


def test_knees_of_both_neighbours_are_compared(events):
    found = published.knees(events, sensitivities=(2,))
    table = found.table
    assert table["neighbour"].to_list() == [1, 1, 18, 18]
    assert table["sensitivity"].to_list() == [2, 14, 2, 14]
    assert table["published_noise"].null_count() == 4
    for row in table.drop_nulls("clusters").iter_rows(named=True):
        again = published.event_clusters(events, row["eps"]).labels["all"]
        assert row["clusters"] == again.max() + 1
        assert row["noise_share"] == pytest.approx((again < 0).mean())
    assert set(found.distances) == {1, 18}
    for values in found.distances.values():
        assert len(values) == len(events.points)
        assert (np.diff(values) >= 0).all()
    assert (found.distances[18] >= found.distances[1]).all()


def test_events_all_alike_have_no_knee():
    alike = dataclasses.replace(blocks(), points=np.zeros((40, 9)))
    found = published.knees(alike)
    assert found.table["eps"].null_count() == found.table.height
    assert found.eps == {}


def test_radii_beyond_the_memory_are_left_out(monkeypatch):
    points, weight, graph = RNG.normal(size=(400, 2)), np.ones(400), on_events.NeighbourGraph
    whole = on_events._clustered(points, weight, {0.05, 0.8})
    assert set(whole) == {0.05, 0.8}

    def small(points, weight, *, radius, memory):
        if radius > largest:
            raise DataError("too large")
        return graph(points, weight, radius=radius, memory=memory)

    monkeypatch.setattr(on_events, "NeighbourGraph", small)
    largest = 0.1
    assert on_events._clustered(points, weight, {0.05, 0.8}) == {0.05: whole[0.05]}
    largest = 0.01
    assert on_events._clustered(points, weight, {0.05, 0.8}) == {}


def test_names_by_size_do_what_was_published():
    labels = np.repeat([-1, 0, 1, 2], [5, 50, 10, 20])
    known = dataclasses.replace(blocks(), points=np.zeros((85, 9)), truth=np.repeat([False, True], [55, 30]))
    step = published.names_by_size(known, labels, attacks=2)
    assert step.labels["all"].tolist() == [-1] * 5 + [0] * 50 + [1] * 30
    by_name = dict(step.table.select("measure", "value").iter_rows())
    assert (by_name["good events"], by_name["attack events"], by_name["unclassified events"]) == (50, 30, 5)
    assert by_name["attacks that are called attack"] == by_name["called attack and attack"] == 1
    assert set(step.table["agreement"]) == {"not published"}
    shared = published.names_by_size(known, labels)
    assert (shared.labels["all"] == 1).sum() == 30
    with pytest.raises(DataError):
        published.names_by_size(known, labels[:-1])


def test_other_numbers_of_attacks_change_the_names():
    labels = np.repeat([-1, 0, 1, 2], [5, 50, 10, 20])
    table = published.other_numbers_of_attacks(labels, (0, 1, 2, 60, 70), truth=np.arange(85) >= 55)
    assert table["attack_clusters"].to_list() == [0, 1, 2, 3]
    assert table["attack_events"].to_list() == [0, 10, 30, 80]
    assert table["largest_attack"].to_list() == [None, 10, 20, 50]
    assert table["smallest_good"].to_list() == [10, 20, 50, None]
    assert table["recall"].to_list() == pytest.approx([0, 1 / 3, 1, 1])
    assert table["precision"][0] is None
    assert "recall" not in published.other_numbers_of_attacks(labels).columns
