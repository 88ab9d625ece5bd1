"""Flows cleaned, scored and added up part by part are those that are in memory at once."""

import re
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline

from utils.datasets import cicids2017, schema
from utils.errors import DataError, SchemaError
from utils.features import flow_parts
from utils.features.flows import FlowFeatures
from utils.features.traffic_graphs import Columns, edge_windows
from utils.simulate import cicids2017 as simulator

TIMES = {cicids2017.TIME: "%Y-%m-%d %H:%M:%S%.f"}
WHO = Columns("Src IP", "Dst IP", cicids2017.TIME, bytes=("Total Length of Fwd Packet",), packets=("Total Fwd Packet",),
              port="Dst Port")  # fmt: skip


@pytest.fixture(scope="module")
def flows():
    """Typed flows as the loader gives them."""
    return simulator.simulate(2_000, 3)["flows"].select(cicids2017.RAW_SCHEMA.keys())


@pytest.fixture(scope="module")
def files(flows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("csv")
    written = flows.with_columns(pl.col(cicids2017.TIME).dt.to_string("%Y-%m-%d %H:%M:%S%.6f"))
    for number, part in enumerate((written.head(900), written.tail(-900))):
        part.write_csv(folder / f"{number}.csv")
    return [folder / "0.csv", folder / "1.csv"]


@pytest.fixture(scope="module")
def parts(files, tmp_path_factory):
    return flow_parts.read_csv(
        files, tmp_path_factory.mktemp("parts"), cicids2017.RAW_SCHEMA, TIMES, part_bytes=150_000
    )


def joined(paths):
    return pl.concat([pl.read_parquet(path) for path in paths])


def test_parts_are_the_table_that_the_loader_reads(parts, files, flows):
    assert len(parts) > 4
    whole = pl.concat([cicids2017._read_class(path) for path in files])
    assert joined(parts).equals(whole)
    assert whole.equals(flows)


def test_parts_are_made_once(files, parts, monkeypatch):
    monkeypatch.setattr(schema, "parse_csv", lambda *_, **__: pytest.fail("parsed again"))
    (parts[0].parent / "rows-00099-old.parquet").touch()
    again = flow_parts.read_csv(files, parts[0].parent, cicids2017.RAW_SCHEMA, TIMES, part_bytes=150_000)
    assert again == parts
    assert sorted(parts[0].parent.iterdir()) == parts


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(st.integers(-5, 5), st.text("abc é", max_size=6)), min_size=1, max_size=12),
    part_bytes=st.integers(9, 80),
    end=st.sampled_from(["\n", "\r\n"]),
    finished=st.booleans(),
    mark=st.booleans(),
)
def test_any_division_of_a_table_gives_the_same(tmp_path, rows, part_bytes, end, finished, mark):
    path = tmp_path / "any.csv"
    text = end.join(["n,text", *(f"{number},{text}" for number, text in rows)]) + end * finished
    path.write_bytes(b"\xef\xbb\xbf" * mark + text.encode())
    columns = schema.columns(["n"], pl.Int64) | schema.columns(["text"], pl.String, nullable=True)
    if len(flow_parts.divide(path, part_bytes)) > 1 and part_bytes <= 8 + len(end) + 3 * mark:
        return
    found = flow_parts.read_csv(path, tmp_path / "parts", columns, part_bytes=part_bytes)
    assert joined(found).equals(schema.read_csv(path, columns))


def test_a_wrong_value_is_named_with_its_file_and_line(files, tmp_path):
    lines = files[0].read_text().splitlines(keepends=True)
    broken = tmp_path / "broken.csv"
    broken.write_text("".join([*lines[:700], lines[700].replace("2017-", "2o17-"), *lines[701:]]))
    with pytest.raises(SchemaError, match=r"broken\.csv behind line \d+: .*2o17") as error:
        flow_parts.read_csv(broken, tmp_path / "parts", cicids2017.RAW_SCHEMA, TIMES, part_bytes=50_000)
    behind, row = (int(word) for word in re.findall(r"(?:line|row) (\d+)", str(error.value)))
    assert behind + row == 701
    assert not list((tmp_path / "parts").glob(".*"))
    broken.write_text(lines[0] + lines[1].replace("2017-", "2o17-"))
    with pytest.raises(SchemaError, match=r"broken\.csv: column"):
        flow_parts.read_csv(broken, tmp_path / "parts", cicids2017.RAW_SCHEMA, TIMES)


def test_what_is_no_table_is_refused(tmp_path):
    packed, empty = tmp_path / "packed.csv", tmp_path / "empty.csv"
    packed.write_bytes(b"\x1f\x8b123")
    empty.touch()
    with pytest.raises(DataError, match="unpack it"):
        flow_parts.read_csv(packed, tmp_path / "parts", cicids2017.RAW_SCHEMA)
    with pytest.raises(SchemaError, match="found an empty file"):
        flow_parts.read_csv(empty, tmp_path / "parts", cicids2017.RAW_SCHEMA)
    assert not (tmp_path / "parts").exists()


def test_a_sample_is_drawn_from_all_parts(parts, flows):
    drawn = flow_parts.sample(parts, 500, 7)
    assert drawn.height == 500
    assert drawn.equals(flow_parts.sample(parts, 500, 7))
    assert not drawn.equals(flow_parts.sample(parts, 500, 8))
    hashes = flows.hash_rows()
    places = np.array([hashes.index_of(value) for value in drawn.hash_rows()])
    assert flows[places].equals(drawn)
    assert (np.diff(places) > 0).all()
    assert np.median(places) == pytest.approx(1_000, abs=150)
    assert flow_parts.sample(parts, 10_000, 7).equals(flows)
    with pytest.raises(DataError, match="found none"):
        flow_parts.sample([], 5, 7)


def test_scores_are_those_of_all_rows_at_once(parts, flows, tmp_path):
    features = FlowFeatures(columns=cicids2017.FEATURES)
    model = make_pipeline(features, IsolationForest(n_estimators=20, random_state=1)).fit(
        flow_parts.sample(parts, 600, 7)
    )
    scores = flow_parts.write_scores(parts, model, tmp_path)
    assert [path.name for path in scores] == [path.name for path in parts]
    assert np.array_equal(joined(scores)["score"].to_numpy(), model.score_samples(flows))


@pytest.mark.parametrize("most_rows", [1, 100, 5_000])
def test_edges_are_those_of_all_rows_at_once(parts, flows, tmp_path, most_rows):
    (tmp_path / "edges-00999.parquet").touch()
    options = {"every": timedelta(minutes=15), "kind": cicids2017.CLASS}
    found = flow_parts.write_edges(parts, tmp_path, WHO, most_rows=most_rows, **options)
    assert joined(found).equals(edge_windows(flows, WHO, **options))
    assert sorted(tmp_path.iterdir()) == found
    assert (len(found) == 1) == (most_rows == 5_000)


def test_edges_of_times_with_a_zone_are_those_of_all_rows_at_once(tmp_path, flows):
    zoned = flows.head(50).with_columns(pl.col(cicids2017.TIME).dt.replace_time_zone("Europe/Berlin"))
    zoned.write_parquet(tmp_path / "zoned.parquet")
    found = flow_parts.write_edges([tmp_path / "zoned.parquet"], tmp_path / "edges", WHO)
    assert joined(found).equals(edge_windows(zoned, WHO))


def test_edges_need_traffic_and_a_length(parts, tmp_path):
    with pytest.raises(DataError, match="above 0"):
        flow_parts.write_edges(parts, tmp_path, WHO, most_rows=0)
    nobody = tmp_path / "nobody.parquet"
    joined(parts).with_columns(pl.lit(None, pl.String).alias("Src IP")).write_parquet(nobody)
    with pytest.raises(DataError, match="found none"):
        flow_parts.write_edges([nobody], tmp_path / "edges", WHO)
