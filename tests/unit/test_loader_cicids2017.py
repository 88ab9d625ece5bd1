"""The loader of CICIDS2017 on hand-made files of the published form."""

import datetime as dt

import polars as pl
import pytest

from tests.unit.loading import assert_roles_complete, refused, rows_of, write
from utils.datasets import cicids2017
from utils.errors import DataError

HEADER = ",".join(cicids2017.RAW_SCHEMA) + "\n"


def line(label, number, time="2017-07-03 12:00:00.5", **changed):
    values = {name: "0.0" if column.dtype == pl.Float64 else "0" for name, column in cicids2017.RAW_SCHEMA.items()}
    values |= {
        "id": str(number),
        "Flow ID": f"flow-{number}",
        "Src IP": "172.16.0.1",
        "Dst IP": "192.168.10.50",
        "Timestamp": time,
        "Flow Duration": str(number),
        "Label": label,
        "Attempted Category": "-1",
    }
    values |= {name.replace("_", " "): str(value) for name, value in changed.items()}
    return ",".join(values.values()) + "\n"


def contents():
    """One file a class with one flow each, but three benign flows and a scan pair that shares its features."""
    numbers = {label: place for place, label in enumerate(cicids2017.NATURAL_COUNTS, start=1)}
    made = {_file_of(label): HEADER + line(label, number) for label, number in numbers.items()}
    made["BENIGN_5000.csv"] = (
        HEADER
        + line("BENIGN", 101, "2017-07-07 20:00:17")
        + line("BENIGN", 102, "2017-07-04 08:00:00.25")
        + line("BENIGN", 102, "2017-07-04 08:00:00.25")
        + line("BENIGN", 103, "2017-07-03 08:00:00.000001")
    )
    scan = line("Portscan", 50, "2017-07-07 17:00:00", Flow_Duration=77)
    made["Portscan_5000.csv"] = HEADER + scan + line("Portscan", 51, "2017-07-07 17:00:01", Flow_Duration=77)
    other = line("Infiltration - Portscan", 60, "2017-07-06 17:30:00", Flow_Duration=77)
    made["Infiltration_-_Portscan_5000.csv"] = HEADER + other
    return made


def _file_of(label):
    count = min(cicids2017.NATURAL_COUNTS[label], cicids2017.MOST_ROWS)
    return f"{label.replace(' ', '_')}_{count}.csv"


@pytest.fixture
def assembled(tmp_path):
    return cicids2017.assemble(cicids2017.read(write(tmp_path, contents())))


@pytest.fixture
def flows(assembled):
    return assembled.frames["flows"]


def test_there_are_82_measurements_and_77_features():
    assert len(cicids2017.MEASURED) == len(set(cicids2017.MEASURED)) == 82
    assert len(cicids2017.FEATURES) == 77
    assert cicids2017.FEATURES[:2] == ("Protocol", "Flow Duration")
    assert cicids2017.FEATURES[-1] == "Idle Min"


def test_the_names_of_the_files_follow_from_the_classes():
    assert len(cicids2017.READS) == 16
    assert {"BENIGN_5000.csv", "Web_Attack_-_SQL_Injection_13.csv", "Heartbleed_11.csv"} <= set(cicids2017.READS)


def test_roles_are_complete(assembled):
    assert_roles_complete(assembled)
    roles = assembled.roles["flows"]
    assert roles.group == "vector"
    assert roles.time == "Timestamp"
    assert {"Src IP", "Dst IP", "Src Port", "Dst Port", "Flow ID", "id"} == set(roles.identity)
    assert not {"Dst Port", "Timestamp", "day"} & set(roles.features)


def test_flows_are_in_the_order_of_time(flows):
    assert flows["Timestamp"].is_sorted()
    first = flows.row(0, named=True)
    assert first["Timestamp"] == dt.datetime(2017, 7, 3, 8, 0, 0, 1)
    assert first["day"] == "Monday"
    assert flows["day"][-1] == "Friday"


def test_labels(flows):
    assert set(flows.filter(~pl.col("is_anomaly"))["Label"]) == {"BENIGN"}
    assert set(flows.filter(~pl.col("is_anomaly"))["anomaly_type"]) == {"normal"}
    attacks = flows.filter("is_anomaly")
    assert attacks["anomaly_type"].to_list() == attacks["Label"].to_list()


def test_exact_repetitions_are_dropped(assembled, flows):
    assert flows.filter(id=102).height == 1
    assert rows_of(assembled, "stand twice") == 1


def test_twins_share_a_vector_and_conflicts_are_marked(assembled, flows):
    scans = flows.filter(pl.col("Flow Duration") == 77)
    assert scans["vector"].n_unique() == 1
    assert scans["conflicting_twin"].all()
    assert flows.filter("conflicting_twin").height == 3
    assert flows["vector"].n_unique() == flows.select(cicids2017.FEATURES).n_unique()
    assert rows_of(assembled, "share all 77 features") == 2
    assert rows_of(assembled, "1 vectors that carry more than one class (Infiltration - Portscan, Portscan)") == 3


def test_flows_that_differ_in_a_column_that_is_no_feature_are_twins():
    row = {name: [0] * 2 for name in cicids2017.MEASURED} | {"ICMP Code": [1, 2]}
    raw = pl.DataFrame(row).with_columns(
        pl.Series("Label", ["BENIGN", "BENIGN"]), pl.lit(dt.datetime(2017, 7, 3)).alias("Timestamp")
    )
    assert cicids2017.assemble({"flows": raw}).frames["flows"]["vector"].to_list() == [0, 0]


def test_weights_restore_the_whole_edition(assembled, flows):
    totals = flows.group_by("Label").agg(pl.col("natural_weight").sum())
    assert dict(totals.iter_rows()) == pytest.approx(dict(cicids2017.NATURAL_COUNTS))
    assert rows_of(assembled, "levels classes") == flows.height


def test_classes_that_the_edition_lacks_have_no_weight():
    table = pl.DataFrame({"Label": ["BENIGN", "New"]}).with_columns(cicids2017.natural_weight())
    assert table["natural_weight"].to_list() == [1_582_566.0, None]


def test_all_files_are_needed(tmp_path):
    paths = write(tmp_path, contents())
    del paths["Heartbleed_11.csv"]
    refused(lambda: cicids2017.read(paths), "Heartbleed_11.csv", error=DataError)


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("2017-07-07 20:00:17", "07/07/2017 20:00", ["'Timestamp'", "a time such as", "'07/07/2017 20:00' in row 1"]),
        ("BENIGN,-1\n", "Benign,-1\n", ["'Label'", "'Benign' in row 1"]),
        ("Dst Port,", "Destination Port,", ["column 'Dst Port'"]),
        (",103,", ",Infinity,", ["'Flow Duration'", "Int64", "'Infinity' in row 4"]),
    ],
)
def test_bad_files_are_refused(tmp_path, old, new, parts):
    made = contents()
    made["BENIGN_5000.csv"] = made["BENIGN_5000.csv"].replace(old, new)
    refused(lambda: cicids2017.read(write(tmp_path, made)), "BENIGN_5000.csv", *parts)
