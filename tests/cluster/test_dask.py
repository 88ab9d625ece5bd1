"""The same results on a Dask cluster as here, a worker killed on the way; and what is said when a cluster fails."""

import os
import time

import joblib
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.cluster import work
from tests.unit import small_data
from utils import compute, settings
from utils.classifiers import model_selection
from utils.classifiers.model_selection import Effort
from utils.compute import cluster, versions
from utils.datasets.contract import Roles
from utils.detectors import cluster_tables
from utils.errors import ComputeError, DataError
from utils.features import log_parts
from utils.simulate import hdfs

MODELS = ["decision tree", "random forest", "logistic regression", "dummy"]
MEASURES = ["model", "fold", "f1", "roc_auc", "average_precision", "learned_rows"]


@pytest.fixture(scope="module")
def processed():
    """Three small tables with sides."""
    made = {}
    for seed, name in enumerate(("one", "two", "three")):
        drawn = small_data.table(400, seed)
        sides = pl.Series("split", np.where(np.arange(400) % 5 == 4, "test", "train"))
        roles = Roles("flow", label="is_anomaly", features=("size", "rate", "noise"), split="split")
        made[name] = small_data.dataset({"flows": drawn["flows"].with_columns(sides)}, {"flows": roles}, name)
    return made


def test_cross_validation_is_the_same_with_a_worker_killed(processed, machines, monkeypatch):
    monkeypatch.delenv("ANOMALY_COMPUTE", raising=False)
    chosen = {"work": Effort(300, 3, 1), "names": MODELS}
    here = model_selection.compare(processed, **chosen)
    machines.have(2)
    monkeypatch.setenv("ANOMALY_COMPUTE", machines.address)
    there = model_selection.compare(processed, **chosen, report=machines.kill_one)
    assert machines.killed == 1
    assert list(there) == list(here)
    for table, board in here.items():
        assert_frame_equal(there[table].folds.select(MEASURES), board.folds.select(MEASURES), check_exact=True)
        assert there[table].how == board.how
        same = ["model", "f1", "f1_low", "f1_high", "difference", "p_value", "verdict"]
        assert_frame_equal(there[table].board[same], board.board[same], check_exact=True)


def test_a_sweep_is_the_same_with_a_worker_killed(processed, machines, monkeypatch):
    monkeypatch.delenv("ANOMALY_COMPUTE", raising=False)
    here = cluster_tables.clusters(processed)
    machines.have(2)
    monkeypatch.setenv("ANOMALY_COMPUTE", machines.address)
    there = cluster_tables.clusters(processed, report=machines.kill_one)
    assert machines.killed == 1
    assert list(there) == list(here)
    for table, found in here.items():
        assert_frame_equal(there[table].settings, found.settings, check_exact=True)
        np.testing.assert_array_equal(there[table].labels, found.labels)
        np.testing.assert_array_equal(there[table].points, found.points)


def test_a_log_is_parsed_the_same_with_a_worker_killed(machines, monkeypatch, tmp_path):
    hdfs.write_raw(tmp_path / "HDFS.log", 6_000, 1)

    def parsed(name, **told):
        log = log_parts.parse_log(tmp_path / "HDFS.log", tmp_path / name, r"blk_-?\d+", part_bytes=100_000, **told)
        return log.templates, log.lines().collect(), log.sessions().collect(), log.distinct().collect()

    monkeypatch.delenv("ANOMALY_COMPUTE", raising=False)
    here = parsed("here")
    machines.have(2)
    monkeypatch.setenv("ANOMALY_COMPUTE", machines.address)
    there = parsed("there", progress=machines.kill_one)
    assert machines.killed == 1
    for one, other in zip(here, there, strict=True):
        assert one.height > 0
        assert_frame_equal(one, other, check_exact=True)


def test_large_arguments_of_several_jobs_are_sent_once(dask, monkeypatch):
    table = np.arange(100_000)
    sent = []
    connection = cluster.client_of(dask.address)
    submit = connection.submit
    monkeypatch.setattr(connection, "submit", lambda *given, **named: sent.append(given) or submit(*given, **named))
    told = []
    found = compute.each(work.scaled, [(table, factor) for factor in range(4)], progress=told.append)
    assert found == [work.scaled(table, factor) for factor in range(4)]
    assert sorted(told) == [0, 1, 2, 3]
    assert sum(len(part) > table.nbytes for given in sent for part in given if isinstance(part, bytes)) == 1


def test_a_worker_has_one_native_thread_and_does_jobs_of_its_jobs_itself(dask):
    assert compute.each(work.native_threads, [(0,), (1,)]) == [{1}, {1}]
    found = compute.each(work.of_a_job, [(0,), (1,)])
    assert [results for _, results in found] == [[0, 1], [1, 2]]
    assert {process for process, _ in found} <= {worker.pid for worker in dask.workers}


def test_the_first_error_in_the_order_of_the_jobs_comes_as_itself(dask):
    with pytest.raises(DataError, match=r"^2 is refused$"):
        compute.each(work.refused, [(0,), (2,), (1,)])


def test_a_function_that_workers_cannot_import_is_named(dask, monkeypatch):
    monkeypatch.setattr(work.slow, "__module__", "tests.cluster.nowhere")
    monkeypatch.setitem(__import__("sys").modules, "tests.cluster.nowhere", work)
    with pytest.raises(ComputeError, match=r"must be able to import what it is to call, found: No module named"):
        compute.each(work.slow, [(1,), (2,)])


def test_workers_with_other_versions_refuse(dask, monkeypatch):
    other = dict(versions.of_this_process()) | {"utils": "another", "polars": "0.1"}
    monkeypatch.setattr(versions, "of_this_process", lambda: other)
    with pytest.raises(ComputeError, match=r"found utils [0-9a-f]{12} instead of another, polars \S+ instead of 0\.1"):
        compute.each(work.slow, [(1,), (2,)])


def test_an_interrupt_cancels_what_has_not_begun(dask):
    def interrupt(place):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compute.each(work.slow, [(number,) for number in range(100)], progress=interrupt)
    waited = time.monotonic() + 10
    while any(cluster.client_of(dask.address).processing().values()) and time.monotonic() < waited:
        time.sleep(0.05)
    assert not any(cluster.client_of(dask.address).processing().values())


def test_loops_of_joblib_run_on_the_cluster(dask):
    with compute.backend():
        found = joblib.Parallel(n_jobs=2)(joblib.delayed(os.getpid)() for _ in range(4))
    assert set(found) <= {worker.pid for worker in dask.workers}


def test_a_job_that_ends_its_workers_is_named_and_then_nobody_is_left(dask, monkeypatch):
    with pytest.raises(ComputeError, match="a worker must outlive its job, found 2 that ended during one and the same"):
        compute.each(work.deadly, [(0,), (1,)])
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    with pytest.raises(ComputeError, match=f"must have a worker, found none at {dask.address} for"):
        compute.each(work.slow, [(1,), (2,)])


def test_workers_that_die_while_work_is_waited_for_are_missed(dask, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 1.0)

    def kill_all(place):
        for worker in dask.workers:
            worker.kill()

    with pytest.raises(ComputeError, match="must have a worker, found none"):
        compute.each(work.slow, [(number,) for number in range(10)], progress=kill_all)


def test_a_scheduler_that_ends_is_said(machines, monkeypatch):
    machines.have(1)
    monkeypatch.setenv("ANOMALY_COMPUTE", machines.address)
    with pytest.raises(ComputeError, match=f"the Dask scheduler at {machines.address} ended before the work was done"):
        compute.each(work.slow, [(number,) for number in range(10)], progress=lambda _: machines.scheduler.kill())
    assert settings.current().compute == machines.address
