"""Calls of one function: in order, here and in processes; what a cluster is asked before it is there."""

import os
import socket
import subprocess
import sys
import time
import warnings

import pytest

from utils import compute
from utils.compute import cluster, jobs, versions
from utils.errors import ComputeError, DataError, SettingsError


@pytest.fixture(autouse=True)
def _here(monkeypatch):
    monkeypatch.delenv("ANOMALY_COMPUTE", raising=False)


def doubled(number):
    warnings.warn("A worker stopped while some jobs were given to the executor.", stacklevel=1)
    return 2 * number


def quiet(number):
    return os.getpid(), number


def refused(number):
    raise DataError(f"{number} is refused")


@pytest.mark.parametrize("workers", [1, 3])
def test_results_have_the_order_of_the_jobs_and_all_places_are_told(workers):
    told = []
    found = compute.each(quiet, [(number,) for number in range(5)], workers=workers, progress=told.append)
    assert [number for _, number in found] == told == [0, 1, 2, 3, 4]
    assert ({process for process, _ in found} == {os.getpid()}) == (workers == 1)


def test_a_worker_that_is_replaced_is_no_news(monkeypatch, recwarn):
    def noisy(jobs):
        return (function(*arguments) for function, arguments, _ in jobs)

    monkeypatch.setattr("joblib.Parallel", lambda **kwargs: noisy)
    assert compute.each(doubled, [(1,), (2,)], workers=2) == [2, 4]
    assert [str(one.message) for one in recwarn] == []


def test_a_job_begins_after_it_was_told_here():
    said = []
    compute.each(said.append, [("first",), ("second",)], progress=said.append)
    assert said == [0, "first", 1, "second"]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_a_job_comes_as_itself(workers):
    with pytest.raises(DataError, match=r"^1 is refused$"):
        compute.each(refused, [(1,), (2,)], workers=workers)


def slowly_refused(seconds):
    time.sleep(seconds)
    raise DataError(f"{seconds} is refused")


def test_the_first_error_in_the_order_of_the_jobs_comes_from_processes_too(recwarn):
    with pytest.raises(DataError, match=r"^0.5 is refused$") as caught:
        compute.each(slowly_refused, [(0.5,), (0,), (0.1,)], workers=2)
    assert not hasattr(caught.value, "__notes__")
    assert not recwarn.list


def test_an_error_that_nobody_expected_says_where_it_was_in_another_process():
    with pytest.raises(TypeError) as caught:
        compute.each(slowly_refused, [("soon",), (0,)], workers=2)
    assert "in slowly_refused" in caught.value.__notes__[0]


def deadly(number):
    os.kill(os.getpid(), 9)


def test_a_process_that_is_killed_is_said_in_one_sentence():
    with pytest.raises(ComputeError, match=r"must outlive its job, found: .*terminated.* Work with fewer processes"):
        compute.each(deadly, [(1,), (2,)], workers=2)
    assert [number for _, number in compute.each(quiet, [(1,), (2,)], workers=2)] == [1, 2]


def test_without_jobs_nothing_is_done():
    assert compute.each(refused, [], workers=4) == []


def test_no_worker_is_too_few():
    with pytest.raises(SettingsError, match="at least 1 worker, found 0"):
        compute.each(quiet, [(1,)], workers=0)


def test_one_job_needs_no_cluster(monkeypatch):
    monkeypatch.setenv("ANOMALY_COMPUTE", "tcp://127.0.0.1:1")
    assert compute.each(quiet, [(1,)]) == [(os.getpid(), 1)]


def test_jobs_of_a_job_of_a_cluster_are_done_where_it_is(monkeypatch):
    monkeypatch.setenv("ANOMALY_COMPUTE", "tcp://127.0.0.1:1")
    with jobs.inside():
        assert compute.each(quiet, [(1,), (2,)]) == [(os.getpid(), 1), (os.getpid(), 2)]
    assert jobs._scheduler() == "tcp://127.0.0.1:1"


def test_work_on_this_machine_imports_nothing_of_dask_or_joblib():
    check = """
import sys
from utils import compute
compute.each(abs, [(-1,), (2,)])
with compute.backend():
    compute.disconnect()
print(sorted({"dask", "distributed", "joblib", "cloudpickle", "numpy"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{nobody.getsockname()[1]}"
        monkeypatch.setenv("ANOMALY_COMPUTE", address)
        monkeypatch.setattr(cluster, "ANSWER", 0.3)
        with pytest.raises(ComputeError, match=f"must answer at {address} within 0 seconds, found none"):
            compute.each(quiet, [(1,), (2,)])


def test_without_dask_the_remedy_is_said(monkeypatch):
    monkeypatch.setenv("ANOMALY_COMPUTE", "tcp://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "distributed", None)
    for ask in (lambda: compute.each(quiet, [(1,), (2,)]), compute.backend):
        with pytest.raises(SettingsError, match=r"needs Dask, which is not installed: pip install distributed"):
            ask()


def test_a_digest_changes_with_the_code_and_its_place(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n")
    (tmp_path / "notes.txt").write_text("not code")
    first = versions.of_code(tmp_path.rglob("*.py"), tmp_path)
    (tmp_path / "notes.txt").write_text("still not code")
    assert versions.of_code(tmp_path.rglob("*.py"), tmp_path) == first
    (tmp_path / "a.py").write_text("x = 2\n")
    assert versions.of_code(tmp_path.rglob("*.py"), tmp_path) != first
    (tmp_path / "a.py").write_text("x = 1\n")
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    assert versions.of_code(tmp_path.rglob("*.py"), tmp_path) != first


def test_versions_are_those_that_are_installed():
    import numpy as np

    found = versions.of_this_process()
    assert found["numpy"] == np.__version__
    assert len(found["utils"]) == 12
    assert versions._version("no such library") == versions.NONE


def test_differences_are_named_with_both_versions():
    here = dict(versions.of_this_process())
    assert versions.differences(here) == []
    other = here | {"polars": "0.1"}
    del other["numba"]
    assert versions.differences(other) == [
        f"polars {here['polars']} instead of 0.1",
        f"numba {here['numba']} instead of {versions.NONE}",
    ]


def test_a_worker_refuses_other_versions_before_it_reads_the_call():
    import pickle

    wanted = pickle.dumps(dict(versions.of_this_process()) | {"utils": "another"})
    with pytest.raises(ComputeError, match=r"found utils [0-9a-f]{12} instead of another: install the same commit"):
        cluster.perform(wanted, b"cannot be read")


def test_a_call_puts_shared_arguments_in_their_places():
    import pickle

    wanted = pickle.dumps(dict(versions.of_this_process()))
    call = pickle.dumps((max, (cluster._Shared(1), 5, cluster._Shared(0))))
    assert cluster.perform(wanted, call, 7, 6) == 7


def test_only_large_arguments_of_several_jobs_are_sent_on_their_own():
    large, once, small, word = list(range(10_000)), list(range(10_001)), [1], "word" * 10_000
    assert set(cluster._in_common([(large, once, small, word), (large, large, small, word)])) == {id(large)}


class Failed:
    """A job that gave an error."""

    status = "error"

    def __init__(self, error):
        self.error = error

    def result(self, timeout):
        raise self.error


def test_a_worker_without_the_package_is_told_from_a_module_that_a_job_lacks():
    with pytest.raises(ComputeError, match=r"must have the package utils .* found none \(No module named 'utils'\)"):
        cluster._outcome(Failed(ModuleNotFoundError("No module named 'utils'", name="utils")), "tcp://host:1")
    for name in ("shap", None):
        with pytest.raises(ModuleNotFoundError, match="nothing"):
            cluster._outcome(Failed(ModuleNotFoundError("nothing", name=name)), "tcp://host:1")


def test_a_job_may_give_a_time_out_of_its_own():
    with pytest.raises(TimeoutError, match="mine"):
        cluster._outcome(Failed(TimeoutError("mine")), "tcp://host:1")


class Slow:
    """A job that was done, whose result is lost with its worker once before it can be had."""

    key, status, asked = "slow", "finished", 0

    def add_done_callback(self, callback):
        callback(self)

    def result(self, timeout):
        self.asked += 1
        if self.asked == 1:
            raise TimeoutError
        return "done"


class Watch:
    address, looked = "tcp://host:1", 0

    def look(self):
        self.looked += 1


def test_a_result_that_is_lost_with_its_worker_is_waited_for_again():
    job, watch, told = Slow(), Watch(), []
    assert cluster._collected([job], watch, told.append) == ["done"]
    assert (job.asked, watch.looked, told) == (2, 1, [0])


def test_a_job_that_ended_its_worker_is_named_before_the_results_that_went_with_it():
    class Deadly(Failed):
        key = "deadly"

        def add_done_callback(self, callback):
            callback(self)

    class Nobody(Watch):
        def look(self):
            raise ComputeError("nobody is left")

    lost = Slow()
    with pytest.raises(ValueError, match="ended its worker"):
        cluster._collected([lost, Deadly(ValueError("ended its worker"))], Nobody(), None)
    assert lost.asked == 2


def test_a_withdrawn_job_says_that_the_scheduler_is_gone():
    job = Slow()
    job.status = "cancelled"
    with pytest.raises(ComputeError, match="the Dask scheduler at tcp://host:1 ended before the work was done"):
        cluster._collected([job], Watch(), None)
    assert job.asked == 0
