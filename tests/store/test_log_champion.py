"""The champion of a log: rules, card, no code and no rows inside; the same verdicts from raw lines after a move."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import mlflow
import polars as pl
import pytest

from tests.unit import small_data
from utils import tracking
from utils.datasets import hdfs
from utils.datasets.contract import Dataset
from utils.detectors.log_monitor import LogMonitor
from utils.errors import DataError
from utils.evaluation.thresholds import Fixed
from utils.features import tables
from utils.simulate import hdfs as simulator
from utils.tracking import champions, log_champion, models

DECIDE = """import json, sys
from pathlib import Path
import mlflow
model = mlflow.sklearn.load_model("models:/hdfs@champion")
print(json.dumps(model.decide(Path(sys.argv[1])).to_dicts()))
"""


@pytest.fixture(scope="module")
def simulated():
    """The simulator's data set with its tables."""
    made = hdfs.assemble(simulator.simulate(900, 3))
    kept = {"kind": "log", "source": "simulated", "origin": "simulator", "digest": "d1", "truth": made.truth}
    data = Dataset(name="hdfs", frames=made.frames, roles=made.roles, **kept)
    return data, tables.build(data, seed=3)


@pytest.fixture(scope="module")
def raw_file(tmp_path_factory):
    """Raw lines of another draw, as a file."""
    path = tmp_path_factory.mktemp("raw") / "hdfs.log"
    log_champion.simulated_lines(seed=9)["line"].to_frame().write_csv(path, include_header=False, quote_style="never")
    return path


def challenge(simulated, source="simulated", **options):
    data, processed = simulated
    shown = replace(data, source=source, origin="mirror" if source == "real" else "simulator")
    with tracking.start("hdfs", "champion", notebook="09_logs", stage="champion", dataset=shown, seed=3) as run:
        return log_champion.log_champion(run, "hdfs", processed, shown, resamples=100, **options)


def test_the_champion_of_a_log_is_small_and_tells_what_it_is(store, simulated, raw_file):
    verdict = challenge(simulated)
    assert verdict.champion
    assert verdict.sentence == "hdfs: version 1 is champion: nobody held the title."
    assert verdict.size < log_champion.MOST_BYTES
    card = champions.card_of("hdfs")
    for part in (
        "training sessions, 0 of them anomalies",
        "KnownTemplates → SessionVote",
        "SIMULATED data",
        "stored by skops: loading runs no code of the file",
        "f1: 0.",
        "Threshold 1",
        "aggregated rule knowledge",
        "judges complete sessions",
    ):
        assert part in card
    (folder,) = (store.parent / "mlartifacts/hdfs/models").glob("m-*/artifacts")
    example = json.loads((folder / "input_example.json").read_text())
    assert example["columns"] == ["line"]
    assert example["data"][0][0].startswith("081109 ")
    assert "numba==" in (folder / "requirements.txt").read_text()

    loaded = tracking.load_model("hdfs")
    decided = loaded.decide(raw_file)
    assert decided["decision"].to_list() == loaded.predict(raw_file).tolist()
    lines = pl.DataFrame({"line": raw_file.read_text().splitlines()})
    served = mlflow.pyfunc.load_model("models:/hdfs@champion")
    assert served.predict(lines.to_pandas()).tolist() == decided["decision"].to_list()

    again = challenge(simulated)
    assert (again.champion, again.version) == (False, None)
    assert "scores every test row as it does" in again.sentence


def test_simulated_never_replaces_real_and_a_worse_one_nothing(store, simulated):
    blunt = LogMonitor(session=r"blk_-?\d+", header=log_champion.HEADER, threshold=Fixed(-1.0))
    assert challenge(simulated, "real", monitor=blunt).champion
    kept = challenge(simulated)
    assert (kept.champion, kept.holder) == (False, 1)
    assert "learned from real data, the challenger from simulated data" in kept.sentence
    better = challenge(simulated, "real")
    assert better.champion
    assert "the challenger is better by" in better.sentence
    worse = challenge(simulated, "real", monitor=blunt)
    assert (worse.champion, worse.holder) == (False, better.version)
    assert worse.comparison is not None


def test_it_decides_on_raw_lines_in_a_fresh_process_after_the_move(store, simulated, raw_file, tmp_path):
    data, processed = simulated
    challenge(simulated)
    frame, roles = processed["sequences"], processed.roles["sequences"]
    twin = log_champion.fit_monitor(log_champion.log_monitor_of("hdfs", data), frame, roles, data["templates"])
    expected = twin.decide(raw_file).to_dicts()
    assert any(row["decision"] for row in expected)

    moved, elsewhere = tmp_path / "moved with ü", tmp_path / "elsewhere"
    store.parent.rename(moved)
    elsewhere.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ANOMALY", "MLFLOW"))}
    environment |= {"MLFLOW_TRACKING_URI": f"sqlite:///{moved / 'mlflow.db'}"}
    command = [sys.executable, "-W", "ignore", "-c", DECIDE, str(raw_file)]
    done = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == expected
    assert list(elsewhere.iterdir()) == []


def test_skops_gives_back_what_it_was_given(simulated, raw_file):
    import skops.io

    data, processed = simulated
    fitted = log_champion.fit_monitor(
        log_champion.log_monitor_of("hdfs", data),
        processed["sequences"],
        processed.roles["sequences"],
        data["templates"],
    )
    kept = models.storage(fitted)
    assert (kept.serialization, kept.refused) == ("skops", ())
    copy = skops.io.loads(skops.io.dumps(fitted), trusted=list(kept.trusted))
    assert copy.decide(raw_file).equals(fitted.decide(raw_file))


def test_the_example_is_the_simulators_and_has_both_verdicts(simulated):
    lines = log_champion.simulated_lines(seed=3)
    assert lines["line"].str.extract(r"(blk_-?\d+)").n_unique() == 2
    assert lines.height < 100


def test_a_log_without_labels_has_no_champion(store):
    data = small_data.table()
    run = tracking.start("tiny", "champion", notebook="09_logs", stage="champion", dataset=data)
    with run as opened, pytest.raises(DataError, match="needs a labelled table of sessions"):
        log_champion.log_champion(opened, "tiny", data, data)


def test_own_logs_have_a_model_of_their_own(simulated, lab):
    data, _ = simulated
    with lab.catalog_file.open("a") as entries:
        entries.write('[mine]\nkind = "log"\nfiles = ["a.log"]\nheader = "(?P<content>.*)"\nwindow_lines = 7\n')
    assert log_champion.log_monitor_of("mine", data).window_lines == 7
    named = data["blocks"].select(session="BlockId")
    own = replace(data, frames={"sessions": named})
    assert log_champion.log_monitor_of("other", own).session
    numbered = replace(data, frames={"sessions": named.with_row_index("number").select(session="number")})
    assert log_champion.log_monitor_of("other", numbered).window_lines
