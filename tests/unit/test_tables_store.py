"""Processed tables on disk: whole or not at all, and with the meaning of their columns."""

from dataclasses import replace

import polars as pl
import pytest

from utils.datasets.contract import Dataset, Defect, Roles
from utils.errors import DataError
from utils.features.tables import store


@pytest.fixture
def processed():
    frame = pl.DataFrame(
        {
            "row": pl.Series([0, 1, 2], dtype=pl.UInt32),
            "is_anomaly": [False, True, None],
            "anomaly_type": ["normal", "scan", None],
            "size": [1.0, float("nan"), None],
            "events": [[1, 2], [], None],
        }
    )
    roles = Roles(
        unit="event", label="is_anomaly", anomaly_type="anomaly_type", features=("size",), identity=("row",),
        sequence="events", withheld={"late": "comes after the fact"}, notes={"size": "in bytes"},
    )  # fmt: skip
    return Dataset(
        name="mine", kind="events", source="real", origin="own files", digest="sha256:1", truth="a person said so",
        frames={"events": frame, "none": frame.clear()}, roles={"events": roles, "none": roles},
        defects=(Defect("rows that repeat", 2, "kept once"),), missing={"b.csv": "no graphs"}, title="Mine",
    )  # fmt: skip


def test_tables_come_back_as_they_were_written(lab, processed):
    folder = store.write(processed, "first")
    back = store.read("mine", "real")
    assert folder == lab.processed_dir / "real" / "mine"
    assert replace(back, frames={}) == replace(processed, frames={})
    assert list(back.frames) == ["events", "none"]
    for name, frame in processed.frames.items():
        assert back[name].equals(frame, null_equal=True)
        assert back[name].schema == frame.schema
    assert store.recipe("mine", "real") == "first"


def test_new_tables_take_the_place_of_all_old_ones(lab, processed):
    store.write(processed, "first")
    fewer = replace(processed, frames={"events": processed["events"]}, digest="sha256:2")
    folder = store.write(fewer, "second")
    assert sorted(file.name for file in folder.iterdir()) == ["dataset.json", "events.parquet"]
    assert [item.name for item in folder.parent.iterdir()] == ["mine"]
    assert store.recipe("mine", "real") == "second"


def test_a_write_that_fails_leaves_the_old_tables(lab, processed, monkeypatch):
    store.write(processed, "first")

    def full_disk(self, *_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full_disk)
    with pytest.raises(DataError, match="'mine' must be written to data/processed, found: No space left"):
        store.write(replace(processed, digest="sha256:2"), "second")
    assert store.read("mine", "real").digest == "sha256:1"
    assert [item.name for item in (lab.processed_dir / "real").iterdir()] == ["mine"]


def test_a_rename_that_fails_puts_the_old_tables_back(lab, processed, monkeypatch):
    store.write(processed, "first")
    rename = type(lab.root).rename

    def refuse(self, target):
        if self.name == "new":
            raise OSError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(type(lab.root), "rename", refuse)
    with pytest.raises(DataError, match="Permission denied"):
        store.write(replace(processed, digest="sha256:2"), "second")
    assert store.read("mine", "real").digest == "sha256:1"


def test_tables_that_are_not_there_are_named_with_the_remedy(lab):
    with pytest.raises(DataError, match=r"tables of 'api' \(simulated\) .* found none: run notebook 02 again"):
        store.read("api", "simulated")
    assert store.recipe("api", "simulated") is None


@pytest.mark.parametrize("damage", ["text", "parquet", "missing", "plain", "empty"])
def test_damaged_tables_are_refused(lab, processed, damage):
    folder = store.write(processed, "first")
    table = folder / "events.parquet"
    if damage == "text":
        (folder / "dataset.json").write_text("{", encoding="utf-8")
    elif damage == "empty":
        (folder / "dataset.json").write_text("[]", encoding="utf-8")
    elif damage == "parquet":
        table.write_bytes(table.read_bytes()[:-9])
    elif damage == "missing":
        table.unlink()
    else:
        processed["events"].write_parquet(table)
    with pytest.raises(DataError, match=r"must be as they were written, found .*: run notebook 02 again"):
        store.read("mine", "real")
