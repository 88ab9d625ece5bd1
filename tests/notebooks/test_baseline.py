"""Notebook 03: it starts from the tables that notebook 02 wrote, and records the rules to beat."""

import pytest

from tests.notebooks.running import run
from utils import tracking
from utils.datasets import load
from utils.detectors import baselines
from utils.features import tables

FEATURES, NAME = "02_feature_engineering", "03_heuristic_baseline"

pytestmark = pytest.mark.slow


def written_files(lab):
    """When each file of the processed tables was written, and which file it is."""
    return {
        path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in lab.processed_dir.rglob("*") if path.is_file()
    }


def test_it_reads_the_tables_that_notebook_02_wrote(guided, store, lab):
    names = ["api", "hdfs", *guided]
    run(lab, "02", SOURCE="auto", DATASETS=names)
    before = written_files(lab)
    assert {path.parent.name for path in before} == set(names)
    shown = run(lab, "03", SOURCE="auto", DATASETS=names)
    assert written_files(lab) == before, "tables were built again"
    made = {name: tables.read(name, load(name).source) for name in names}
    client = tracking.open_store(write=False)
    for name in names:
        (experiment,) = client.search_experiments(filter_string=f"name = '{name}'")
        runs = {found.data.tags["notebook"]: found for found in client.search_runs([experiment.experiment_id])}
        assert set(runs) == {FEATURES, NAME}
        assert {found.data.tags["data.digest"] for found in runs.values()} == {made[name].digest}
    judged = baselines.best_rules(made, resamples=2)
    assert {table for _, table in judged} == {"graphs", "blocks"}
    assert tracking.results(NAME, "api")["graphs_rule_f1"] == judged["api", "graphs"].estimate("f1").value
    assert tracking.results(NAME, "hdfs")["blocks_rule_f1"] == judged["hdfs", "blocks"].estimate("f1").value
    assert judged["api", "graphs"].rule.feature_ in shown
    rules = baselines.session_rules(made["hdfs"]["sequences"], made["hdfs"].roles["sequences"])
    for rule, f1 in rules.select("rule", "f1").iter_rows():
        assert tracking.results(NAME, "hdfs")[f"{rule}_f1"] == pytest.approx(f1)


@pytest.mark.real
def test_it_shows_what_novelty_rules_reach_on_real_sessions(real_lab, store):
    shown = run(real_lab, "03", SOURCE="real", DATASETS=["hdfs"])
    assert set(tables.read("hdfs", "real").frames) == {"sequences", "templates"}
    found = tracking.results(NAME, "hdfs")
    assert found["UnseenEventSet_f1"] >= 0.985
    assert found["BackOffNovelty_mean_f1"] >= 0.98
    assert found["BackOffNovelty_worst_f1"] >= 0.96
    mean, worst = found["BackOffNovelty_mean_f1"], found["BackOffNovelty_worst_f1"]
    assert f"hdfs sequences: BackOffNovelty mean {mean:.3f}, worst draw {worst:.3f}" in shown
