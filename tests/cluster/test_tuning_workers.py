"""Real worker processes on a real PostgreSQL and on a journal, some of them killed: no trial is lost, none doubled."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import cloudpickle
import numpy as np
import polars as pl
import psutil
import pytest
from sklearn.tree import DecisionTreeClassifier

from utils.classifiers.spaces import OneOf, Whole
from utils.classifiers.tuning import leases, storages, tune, worker
from utils.classifiers.tuning.leases import LOST, worker_of

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # as what is written in a notebook is

TRIALS = 14
MEETING = "SLOW_TREES_MEET"
"""Variable with the folder where workers meet, the process that stays away, and how many must come."""

VICTIM = "victim"
"""File with the number of the process that is to be killed."""

SPACE = {"max_depth": OneOf((None, 1, 2, 4, 8)), "min_samples_leaf": Whole(1, 90)}


class Slow(DecisionTreeClassifier):
    """A tree that takes a while; where workers meet, the first to go on stays at its trial until it is killed."""

    def fit(self, X, y, sample_weight=None):
        folder, leader, number = os.environ.get(MEETING, " 0 0").split(" ")
        if folder and int(leader) != os.getpid():
            Path(folder, str(os.getpid())).touch()
            last = time.monotonic() + 120
            while len(list(Path(folder).iterdir())) < int(number) and time.monotonic() < last:
                time.sleep(0.02)
            with suppress(FileExistsError), Path(folder, VICTIM).open("x") as file:
                file.write(str(os.getpid()))
                file.flush()
                time.sleep(240)
        time.sleep(0.05)
        return super().fit(X, y, sample_weight)


def make_slow(seed, threads):
    return Slow(random_state=seed)


@dataclass
class Candidate:
    make: object = make_slow
    name: str = "slow tree"
    features: dict = field(default_factory=lambda: {"scale": None, "log": False})
    space: dict = field(
        default_factory=lambda: {"max_depth": OneOf((None, 1, 2, 4, 8)), "min_samples_leaf": Whole(1, 90)}
    )


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(3)
    values = rng.normal(size=(200, 3))
    y = values[:, 0] + values[:, 1] * values[:, 2] > 0.4
    return pl.DataFrame(values, schema=["a", "b", "c"]), pl.Series(y)


@pytest.fixture(scope="module")
def alone(table):
    """What a single worker finds."""
    quick = Candidate(make=lambda seed, threads: DecisionTreeClassifier(random_state=seed))
    return tune(*table, quick, method="random", trials=TRIALS, folds=2, prune=False)


class Killer:
    """Kills the worker that stays at its trial."""

    def __init__(self, meeting):
        self.meeting, self.told, self.pid = meeting, [], None

    def __call__(self, progress):
        self.told.append(progress)
        if self.pid is None:
            self.kill()

    def kill(self):
        last = time.monotonic() + 120
        while not (found := self.victim()) and time.monotonic() < last:
            time.sleep(0.02)
        self.pid = int(found)
        os.kill(self.pid, signal.SIGKILL)

    def victim(self):
        file = self.meeting / VICTIM
        return file.read_text() if file.exists() else ""


@pytest.fixture
def meeting(tmp_path_factory):
    return tmp_path_factory.mktemp("meeting")


def pid_of(name):
    return int(name.split("/")[-2])


def trials_of():
    storage = storages.location_of(None, workers=2).open()
    (study,) = storage.get_all_studies()
    return storage.get_all_trials(storage.get_study_id_from_name(study.study_name))


def numbers(tuned):
    return tuned.trials.drop("seconds", "fits")


def searched(table, progress):
    return tune(*table, Candidate(), method="random", trials=TRIALS, folds=2, prune=False, progress=progress)


def check(tuned, alone, killer):
    """All places are finished once, with the points and values of a single worker."""
    assert numbers(tuned).equals(numbers(alone))
    assert tuned.parameters == alone.parameters
    assert [one.done for one in killer.told] == list(range(1, TRIALS + 1))
    counted = [trial for trial in trials_of() if trial.number < TRIALS]
    assert [trial.number for trial in counted] == list(range(TRIALS))
    assert all(trial.state.name == "COMPLETE" for trial in counted)
    assert not [trial for trial in trials_of()[TRIALS:] if trial.state.name != "WAITING"]
    (lost,) = [trial for trial in counted if LOST in trial.user_attrs]
    assert [pid_of(name) for name in lost.user_attrs[LOST]] == [killer.pid]
    assert pid_of(worker_of(lost)) != killer.pid
    assert tuned.retried == 1
    assert f"tried again because a worker was lost: 1 of {TRIALS} trials" in tuned.notes


def test_four_workers_on_postgresql_lose_one_and_nothing_else(
    table, alone, lab, postgres, meeting, monkeypatch, capsys
):
    monkeypatch.setenv("ANOMALY_STUDIES", postgres("studies"))
    monkeypatch.setenv("ANOMALY_TUNING_WORKERS", "4")
    monkeypatch.setenv(MEETING, f"{meeting} {os.getpid()} 4")
    killer = Killer(meeting)
    tuned = searched(table, killer)
    assert len(list(meeting.iterdir())) >= 4 + 1
    check(tuned, alone, killer)
    names = {worker_of(trial) for trial in trials_of()[:TRIALS]}
    assert tuned.workers == len(names) >= 3
    assert len({pid_of(name) for name in names} | {killer.pid}) >= 4
    assert tuned.kept.startswith("postgresql+psycopg://lab@127.0.0.1")
    assert worker.main(["--status"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["study", "trials", "done", "running", "failed", "lost", "best", "workers"]
    assert row.split()[-7:] == [str(TRIALS), str(TRIALS), "0", "0", "1", f"{tuned.score:.4f}", "0"]
    assert not [name for name in names if not leases.is_gone(name)]


def test_a_journal_shared_by_two_workers_survives_ctrl_c_and_a_kill(table, alone, lab, meeting, monkeypatch):
    monkeypatch.setenv("ANOMALY_TUNING_WORKERS", "2")

    def interrupt(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        searched(table, interrupt)
    assert not [child for child in psutil.Process().children() if worker.__name__ in " ".join(command_of(child))]
    left = trials_of()
    assert {trial.state.name for trial in left} <= {"COMPLETE", "WAITING"}
    begun = sum(trial.state.name == "COMPLETE" for trial in left)
    assert 0 < begun < TRIALS
    (name,) = worker.status(storages.location_of(None, workers=2))["study"]
    monkeypatch.setenv(MEETING, f"{meeting} {os.getpid()} 2")
    processes = [subprocess.Popen([sys.executable, "-m", worker.__name__, name, "--quiet"]) for _ in range(2)]
    killer = Killer(meeting)
    killer.kill()
    assert sorted(process.wait(240) for process in processes) == [-signal.SIGKILL, 0]
    tuned = searched(table, killer)
    assert numbers(tuned).equals(numbers(alone))
    assert killer.told == []
    assert tuned.retried == 1
    assert tuned.kept == str(lab.studies_file)


def command_of(process):
    with suppress(psutil.Error):
        return process.cmdline()
    return []
