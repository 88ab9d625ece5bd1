"""Threads: as many as cores are free, and given back afterwards."""

import math

import numpy as np
import psutil
import pytest
from threadpoolctl import threadpool_info

from utils.compute import threads
from utils.errors import SettingsError


@pytest.fixture
def machine(monkeypatch):
    """A machine with so many cores, a quota and others that keep some busy."""

    def made(cores, quota=math.inf, others=0.0):
        monkeypatch.setattr(threads, "_affinity", lambda: cores)
        monkeypatch.setattr(threads, "_quota", lambda: quota)
        monkeypatch.setattr(threads, "_used_by_others", lambda seconds: others)
        return threads.free_cores(0)

    return made


@pytest.mark.parametrize(
    ("cores", "quota", "others", "free"),
    [(8, math.inf, 0.0, 8), (8, 4.0, 0.2, 4), (8, math.inf, 6.9, 1), (2, math.inf, 9.0, 1), (4, 0.5, 0.0, 1)],
)
def test_free_cores_are_those_allowed_less_those_in_use(machine, cores, quota, others, free):
    assert machine(cores, quota, others) == free


def test_this_machine_has_a_free_core_and_no_more_than_it_may_use():
    assert 1 <= threads.free_cores(0.01) <= threads._affinity()
    assert threads._affinity() <= psutil.cpu_count()


def test_a_negative_time_is_refused():
    with pytest.raises(SettingsError, match="0 seconds or more, found -1"):
        threads.free_cores(-1)


def test_others_are_what_the_machine_does_beside_this_process(monkeypatch):
    clock = iter([1.0, 1.5])
    monkeypatch.setattr(psutil, "cpu_percent", lambda interval: 100.0)
    monkeypatch.setattr(psutil, "cpu_count", lambda: 4)
    monkeypatch.setattr(psutil, "getloadavg", lambda: (2.5, 0.0, 0.0))
    monkeypatch.setattr(threads.time, "process_time", lambda: next(clock))
    assert threads._used_by_others(0.5) == pytest.approx(3.0)
    assert threads._used_by_others(0) == 2.5


def test_without_affinity_all_cores_count(monkeypatch):
    monkeypatch.delattr(threads.os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(threads.os, "cpu_count", lambda: None)
    assert threads._affinity() == 1


@pytest.mark.parametrize(
    ("file", "text", "cores"),
    [("cpu.max", "150000 100000\n", 1.5), ("cpu.max", "max 100000\n", math.inf), ("cpu.max", "nonsense", math.inf)],
)
def test_the_quota_of_a_container_is_read(tmp_path, file, text, cores):
    (tmp_path / file).write_text(text)
    assert threads._quota(tmp_path) == cores


@pytest.mark.parametrize(("quota", "cores"), [("300000", 3.0), ("-1", math.inf)])
def test_the_older_form_of_quota_is_read_too(tmp_path, quota, cores):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert threads._quota(tmp_path) == cores
    assert threads._quota(tmp_path / "none") == math.inf


def test_native_libraries_are_held_and_given_back():
    np.ones((50, 50)) @ np.ones((50, 50))
    before = [pool["num_threads"] for pool in threadpool_info()]
    with threads.limited(1) as number:
        assert number == 1
        assert {pool["num_threads"] for pool in threadpool_info()} <= {1}
    assert [pool["num_threads"] for pool in threadpool_info()] == before


def test_without_a_number_the_free_cores_are_taken(machine):
    machine(1)
    with threads.limited() as number:
        assert number == 1


def test_no_thread_is_too_few():
    with pytest.raises(SettingsError, match="at least 1 thread, found 0"), threads.limited(0):
        pass


def test_beside_a_cluster_a_fit_has_one_thread(machine, monkeypatch):
    monkeypatch.setenv("ANOMALY_COMPUTE", "tcp://127.0.0.1:8786")
    assert machine(8) == 1
