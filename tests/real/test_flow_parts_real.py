"""Real flows by parts are those of the loader."""

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline

from utils.datasets import cicids2017
from utils.features import flow_parts
from utils.features.flows import FlowFeatures
from utils.features.traffic_graphs import Columns, edge_windows

TIMES = {cicids2017.TIME: "%Y-%m-%d %H:%M:%S%.f"}
WHO = Columns("Src IP", "Dst IP", cicids2017.TIME, bytes=("Total Length of Fwd Packet",), port="Dst Port")


@pytest.fixture(scope="module")
def files(mirror_dir):
    found = [mirror_dir / "cicids2017" / name for name in cicids2017.READS]
    if missing := [path.name for path in found if not path.exists()]:
        pytest.skip(f"{missing[0]} is not in the mirror")
    return found


def test_real_flows_by_parts_are_the_flows_at_once(files, tmp_path):
    parts = flow_parts.read_csv(files, tmp_path / "rows", cicids2017.RAW_SCHEMA, TIMES, part_bytes=1_000_000)
    whole = cicids2017.read(dict(zip(cicids2017.READS, files, strict=True)))["flows"]
    assert len(parts) > len(files)
    assert pl.concat([pl.read_parquet(part) for part in parts]).equals(whole)
    edges = flow_parts.write_edges(parts, tmp_path / "edges", WHO, kind=cicids2017.CLASS, most_rows=10_000)
    assert pl.concat([pl.read_parquet(part) for part in edges]).equals(edge_windows(whole, WHO, kind=cicids2017.CLASS))
    model = make_pipeline(FlowFeatures(columns=cicids2017.FEATURES), IsolationForest(n_estimators=10, random_state=0))
    model.fit(flow_parts.sample(parts, 3_000, 0))
    scores = pl.concat([pl.read_parquet(part) for part in flow_parts.write_scores(parts, model, tmp_path / "scores")])
    assert np.array_equal(scores["score"].to_numpy(), model.score_samples(whole))
