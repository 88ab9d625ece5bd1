"""Studies of several workers without their processes: places, leases, tasks, storages, and the command of a worker."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import optuna
import polars as pl
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.exceptions import StorageInternalError
from optuna.storages import InMemoryStorage
from sklearn.tree import DecisionTreeClassifier
from sqlalchemy.exc import OperationalError

from utils.classifiers.spaces import OneOf, Real, Whole
from utils.classifiers.tuning import crew, leases, share_folds, storages, studies, tasks, trying, tune, worker
from utils.classifiers.tuning.leases import LOST, REASON
from utils.classifiers.tuning.search import _shared_work
from utils.classifiers.tuning.storages import LEASE, Kept, Location
from utils.classifiers.tuning.tasks import Search
from utils.classifiers.tuning.trials import Trials
from utils.classifiers.tuning.trying import VALUES, Worker, finished
from utils.classifiers.zoo import ZOO
from utils.console import ended_like_ctrl_c
from utils.errors import DataError, SettingsError

SPACE = {
    "max_depth": OneOf((None, 1, 2, 4, 8)),
    "min_samples_leaf": Whole(1, 30),
    "ccp_alpha": Real(1e-6, 1e-1, log=True),
}
METHODS = ("random", "grid", "random then grid", "tpe")
ELSEWHERE = "elsewhere:1/77/12.00"


def make_tree(seed, threads):
    return DecisionTreeClassifier(random_state=seed)


@dataclass
class Candidate:
    space: dict = field(default_factory=lambda: dict(SPACE))
    name: str = "tree"
    features: dict = field(default_factory=lambda: {"scale": None, "log": False})
    make: object = make_tree


class Formula(Trials):
    """Trials whose values are computed from the parameters: nothing is fitted."""

    def values(self, parameters):
        leaf = parameters.get("min_samples_leaf", 15)
        for place in range(len(self.folds.splits)):
            yield 1 / (1 + abs(leaf - 11)) + parameters.get("ccp_alpha", 0) + place / 100


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(5)
    values = rng.normal(size=(80, 2))
    return pl.DataFrame(values, schema=["a", "b"]), pl.Series(values[:, 0] + values[:, 1] > 0.3)


@pytest.fixture(scope="module")
def folds(table):
    return share_folds(*table, folds=2)


def trials_of(folds, kind=Formula, prune=False):
    return kind(Candidate(), SPACE, folds, "average_precision", prune, None, 1, 0)


def in_memory(location=None):
    storage = InMemoryStorage()
    study = optuna.create_study(storage=storage, study_name="one", direction="maximize")
    return Kept(study, storage, location)


def journal(lab, name="one"):
    with studies.quiet():
        return storages.opened(storages.location_of(None, workers=2), name)


def begun(lab, folds, number=3, method="random", name="one", choice=None):
    """A study in the journal with its task."""
    kept = journal(lab, name)
    plotted = trials_of(folds, Trials)
    tasks.write(kept, plotted if choice is None else replace(plotted, choice=choice), Search(method, number, None, 0))
    kept.study.set_user_attr(tasks.NUMBER, number)
    return kept


class Interleaved:
    """Workers whose trials overlap in every order that hypothesis can think of."""

    def __init__(self, trials, search, workers):
        self.kept = in_memory(Location("nowhere", Path()))
        number = search.plan(SPACE, alone=True).size(search.trials)
        plan = search.plan(SPACE, alone=False)
        self.workers = [Worker(self.kept, trials, plan, number, f"worker {place}") for place in range(workers)]
        self.number, self.running = number, {}

    def take(self, who):
        if who in self.running:
            return
        seen = self.kept.seen()
        done = finished(seen, self.number)
        taken = self.workers[who].take(seen, done)
        if taken is not None:
            self.running[who] = (*taken, done)
            self.kept.note(taken[0].number, LEASE, [self.workers[who].name, 0, 0.0])

    def finish(self, who):
        if who in self.running:
            self.workers[who].judge(*self.running.pop(who))

    def lose(self, who):
        """The worker is killed; somebody notices; another of that place goes on."""
        if who in self.running:
            number = self.running.pop(who)[0].number
            if len(self.kept.seen()[number].user_attrs.get(LOST, ())) < leases.RETRIES:
                leases.lose(self.kept, self.kept.seen()[number])
            else:
                self.kept.put_back(number)

    def seem_lost(self, who):
        """The worker is believed dead, but goes on."""
        if who in self.running:
            trial = self.kept.seen()[self.running[who][0].number]
            if not trial.state.is_finished() and len(trial.user_attrs.get(LOST, ())) < leases.RETRIES:
                leases.lose(self.kept, trial)


ACTIONS = st.sampled_from(["take", "take", "finish", "finish", "lose", "seem_lost"])


def stuck(seconds):
    raise AssertionError("a worker waits for a trial that nobody works on")


STEPS = st.lists(st.tuples(ACTIONS, st.integers(0, 3)), max_size=60)


@given(STEPS, st.sampled_from(METHODS), st.integers(1, 14), st.integers(1, 4))
@settings(deadline=None, max_examples=30)
def test_every_place_is_finished_once_and_its_point_is_that_of_one_worker(steps, method, number, workers):
    folds = Formula.folds_for_all
    trials, search = trials_of(folds), Search(method, number, None, 7)
    with studies.quiet():
        many = Interleaved(trials, search, workers)
        for action, who in steps:
            getattr(many, action)(who % workers)
        for who in list(many.running):
            many.finish(who)
        last = Worker(many.kept, trials, many.workers[0].plan, many.number, "the last")
        steps_left = last.work()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(trying.time, "sleep", stuck)
            for _ in steps_left:
                pass
    one = studies.run(trials, search)
    done = finished(many.kept.seen(), many.number)
    assert [trial.number for trial in done] == list(range(many.number))
    assert all(trial.state.name == "COMPLETE" for trial in done)
    assert all(trial.state.name == "WAITING" for trial in many.kept.seen()[many.number :])
    if method != "tpe":
        assert [trial.params for trial in done] == [trial.params for trial in one.trials]
        assert [trial.value for trial in done] == [trial.value for trial in one.trials]


@pytest.fixture(autouse=True, scope="module")
def _folds_for_the_property(folds):
    Formula.folds_for_all = folds


@pytest.mark.parametrize("drawn", [1, 2])
@pytest.mark.parametrize("method", ["random", "tpe"])
def test_a_trial_that_was_interrupted_while_its_point_was_drawn_gets_the_same_point(folds, method, drawn):
    trials, search = trials_of(folds), Search(method, 8, None, 3)
    with studies.quiet():
        kept = in_memory()
        one = Worker(kept, trials, search.plan(SPACE, alone=True), 8)
        steps = one.work()
        for _ in range(6):
            next(steps)
        trial, sampler = one.take(kept.seen(), kept.seen())
        kept.study.sampler = sampler
        for name, choice in list(SPACE.items())[:drawn]:
            choice.draw(trial, name)
        kept.put_back(trial.number)
        for _ in one.work():
            pass
    whole = studies.run(trials, search)
    assert [each.params for each in kept.seen()] == [each.params for each in whole.trials]


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_an_ending_between_two_steps_waits_until_the_trial_can_go_back(folds, ending):
    kept = in_memory(Location("nowhere", Path()))
    one = Worker(kept, trials_of(folds), Search("random", 2, None, 0).plan(SPACE, alone=False), 2)
    take = one.take

    def ended_meanwhile(seen, done):
        signal.raise_signal(ending)
        return take(seen, done)

    object.__setattr__(one, "take", ended_meanwhile)
    with studies.quiet(), ended_like_ctrl_c(), pytest.raises(KeyboardInterrupt):
        next(one.work())
    assert [trial.state.name for trial in kept.seen()] == ["WAITING"]
    assert leases.worker_of(kept.seen()[0]) == ""


def test_no_trial_is_taken_before_its_point_can_be_said_or_when_another_was_faster(folds, monkeypatch):
    kept = in_memory()
    plan = Search("random then grid", 6, (2, 2, 2), 0).plan(SPACE, alone=False)
    one = Worker(kept, trials_of(folds), plan, 6)
    with studies.quiet():
        assert [one.take(kept.seen(), [])[0].number for _ in range(2)] == [0, 1]
        assert one.take(kept.seen(), []) is None
        assert kept.taken_up(0) is None
        kept.put_back(0)
        seen = kept.seen()
        assert kept.taken_up(0).number == 0
        assert one.take(seen, []) is None
        late = Worker(kept, trials_of(folds), Search("random", 2, None, 0).plan(SPACE, alone=False), 2)
        assert late.take([], []) is None
        assert [trial.state.name for trial in kept.seen()] == ["RUNNING", "RUNNING", "WAITING"]
        monkeypatch.setattr(trying.time, "sleep", stuck)
        with pytest.raises(AssertionError, match="nobody works on"):
            next(one.work())


def test_a_worker_is_gone_when_its_process_is():
    here = leases.worker_name()
    assert not leases.is_gone(here)
    machine, pid, _ = here.rsplit("/", 2)
    assert leases.is_gone(f"{machine}/{pid}/1.00")
    assert not leases.is_gone(ELSEWHERE)
    assert not leases.is_gone("")
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    assert leases.is_gone(f"{machine}/{child.pid}/1.00")


def test_a_running_trial_gives_signs_of_life(monkeypatch):
    monkeypatch.setattr(leases, "BEAT", 0.01)
    kept = in_memory(Location("nowhere", Path()))
    kept.study.ask()
    with leases.held(kept, 0, "me"):
        while kept.seen()[0].user_attrs.get(LEASE, ["", 0])[1] < 2:
            pass
    assert leases.worker_of(kept.seen()[0]) == "me"
    with leases.held(in_memory(), 0, "me"):
        pass


@pytest.mark.skipif(not psutil.LINUX, reason="elsewhere a process knows its start by the clock only")
def test_a_clock_that_is_set_ends_no_worker(monkeypatch):
    me, began, boot = leases.worker_name(), psutil.Process().create_time(), psutil.boot_time()
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: boot + 3600)
    assert psutil.Process().create_time() > began + 3000
    assert not leases.is_gone(me)


def test_a_worker_that_lives_again_does_not_sign_for_the_one_that_has_its_trial(monkeypatch):
    monkeypatch.setattr(leases, "BEAT", 0.01)
    kept = in_memory(Location("nowhere", Path()))
    kept.study.ask()
    with leases.held(kept, 0, "slow"):
        kept.note(0, LEASE, ["other", 0, 0.0])
        (beating,) = [thread for thread in threading.enumerate() if thread.name == "signs of life"]
        beating.join(30)
        assert not beating.is_alive()
    assert leases.worker_of(kept.seen()[0]) == "other"


def test_a_trial_without_signs_of_life_goes_back_and_fails_at_the_third_time(monkeypatch):
    kept, watch = in_memory(Location("nowhere", Path())), leases.Watch()
    clock = iter(range(0, 10_000, 50))
    monkeypatch.setattr(leases.time, "monotonic", lambda: float(next(clock)))
    states = []
    for attempt in range(3):
        assert kept.study.ask().number == 0
        kept.note(0, LEASE, [ELSEWHERE, attempt, 0.0])
        while kept.seen()[0].state.name == "RUNNING":
            watch.recover(kept, kept.seen())
            states.append(kept.seen()[0].state.name)
        assert kept.seen()[0].user_attrs[LOST] == [ELSEWHERE] * (attempt + 1)
    assert states.count("RUNNING") >= 6
    assert kept.seen()[0].state.name == "FAIL"
    assert kept.seen()[0].user_attrs[REASON] == "its worker was lost 3 times"
    assert leases.Watch().recover(in_memory(), []) == 0


def test_who_takes_a_trial_that_was_lost_is_not_mistaken_for_the_one_before():
    kept = in_memory(Location("nowhere", Path()))
    kept.study.ask()
    dead = "/".join([*leases.worker_name().split("/")[:2], "1.00"])
    kept.note(0, LEASE, [dead, 5, 0.0])
    assert leases.Watch().recover(kept, kept.seen()) == 1
    assert kept.study.ask().number == 0
    assert leases.Watch().recover(kept, kept.seen()) == 0
    assert kept.seen()[0].user_attrs[LOST] == [dead]


def test_a_trial_that_lives_again_is_left_alone():
    kept = in_memory(Location("nowhere", Path()))
    kept.study.ask()
    before = kept.seen()[0]
    kept.note(0, LEASE, [ELSEWHERE, 1, 0.0])
    leases.lose(kept, before)
    assert kept.seen()[0].state.name == "RUNNING"


def test_a_trial_taken_from_a_worker_is_not_finished_by_it(folds):
    with studies.quiet():
        kept = in_memory(Location("nowhere", Path()))
        slow = Worker(kept, trials_of(folds), Search("random", 1, None, 0).plan(SPACE, alone=False), 1, "slow")
        taken = (*slow.take([], []), [])
        kept.note(0, LEASE, ["other", 0, 0.0])
        slow.judge(*taken)
    assert kept.seen()[0].state.name == "RUNNING"
    assert VALUES not in kept.seen()[0].user_attrs


def lost_database(*_):
    raise StorageInternalError("this typically happens due to invalid data") from OperationalError("", {}, "no answer")


def test_a_storage_that_fails_is_a_sentence_and_no_fault_of_the_trial(folds, monkeypatch):
    kept = in_memory(Location("postgresql://me:secret@host/db", Path()))
    monkeypatch.setattr(studies, "opened", lambda location, name: kept)
    monkeypatch.setattr(kept.storage, "set_trial_intermediate_value", lost_database)
    search = Search("random", 2, None, 0)
    wanted = r"me:\*\*\*@host/db does not answer \(.*no answer.*\): see that it runs and begin again"
    with pytest.raises(SettingsError, match=wanted):
        studies.run(trials_of(folds), search, location=kept.location)
    assert [trial.state.name for trial in kept.seen()] == ["WAITING"]
    monkeypatch.undo()
    monkeypatch.setattr(studies, "opened", lambda location, name: kept)
    done = studies.run(trials_of(folds), search, location=kept.location)
    assert [trial.state.name for trial in done.trials] == ["COMPLETE"] * 2
    assert done.retried == 0


def test_a_database_that_is_lost_while_a_worker_waits_is_a_sentence(lab, monkeypatch, capsys):
    monkeypatch.setattr(worker, "status", lost_database)
    assert worker.main(["--wait"]) == 2
    assert worker.main(["--status"]) == 2
    assert capsys.readouterr().err.count("see that it runs and begin again, finished trials are kept\n") == 2


def test_a_password_among_the_options_is_not_shown():
    shown = str(Location("postgresql://host/db?user=me&Password=a%40b&sslmode=require", Path()))
    assert shown == "postgresql://host/db?user=me&Password=***&sslmode=require"


@pytest.mark.parametrize(
    ("given_place", "message"),
    [
        ("sqlite:///studies.db", r"found sqlite:///studies.db, where several workers wait .*: set ANOMALY_STUDIES to"),
        ("mysql://me:secret@host/db", r"found mysql://me:\*\*\*@host/db: set ANOMALY_STUDIES"),
        ("postgresql://", "found postgresql://: set"),
    ],
)
def test_what_is_no_journal_and_no_postgresql_is_refused(lab, monkeypatch, given_place, message):
    monkeypatch.setenv("ANOMALY_STUDIES", given_place)
    with pytest.raises(SettingsError, match=message):
        storages.location_of(None)


FOREIGN = (("old.db", b"SQLite format 3\0", "it is an SQLite file"), ("x", b"x", "it is no journal"))


def test_files_that_are_no_journals_are_refused_and_left_alone(lab, tmp_path):
    for name, content, reason in FOREIGN:
        file = tmp_path / name
        file.write_bytes(content)
        with pytest.raises(SettingsError, match=f"{name} cannot be used .{reason}"):
            storages.location_of(file)
        assert file.read_bytes() == content
    with pytest.raises(SettingsError, match="Is a directory"):
        storages.location_of(tmp_path)
    broken = tmp_path / "broken.journal"
    broken.write_text('{"op_code"\n{"op_code"\n')
    with pytest.raises(SettingsError, match=r"broken.journal cannot be used"):
        storages.opened(storages.location_of(broken), "one")


def test_a_database_that_does_not_answer_is_a_sentence_without_the_password(lab):
    location = storages.location_of("postgres://me:secret@127.0.0.1:1/studies")
    assert location.address == "postgresql+psycopg://me:secret@127.0.0.1:1/studies"
    assert storages.location_of("postgresql+psycopg2://a/b").address == "postgresql+psycopg2://a/b"
    with pytest.raises(SettingsError, match=r"postgresql\+psycopg://me:\*\*\*@127.0.0.1:1/studies cannot be used"):
        location.open()


def test_studies_are_kept_where_it_is_said(lab, monkeypatch, tmp_path):
    assert storages.location_of(None) is None
    assert storages.location_of(None, workers=2) == Location(str(lab.studies_file), lab.processed_dir / "studies")
    monkeypatch.setenv("ANOMALY_STUDIES", "shared/my.journal")
    assert storages.location_of(None).address == str(lab.root / "shared" / "my.journal")
    assert storages.location_of(tmp_path / "a").tasks == tmp_path / "studies"


def test_a_driver_that_is_not_installed_is_named(lab, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(
        SettingsError, match=r"the driver of .*/studies is not installed: pip install 'psycopg\[binary\]'"
    ):
        storages.location_of("postgresql://127.0.0.1:1/studies").open()


def test_a_task_is_read_as_it_was_written(lab, folds):
    kept = begun(lab, folds)
    trials, search = tasks.read(kept)
    assert search == Search("random", 3, None, 0)
    assert trials.folds.X.equals(folds.X)
    assert (trials.folds.wanted.y == folds.wanted.y).all()
    assert [fold.test.tolist() for fold in trials.folds.splits] == [fold.test.tolist() for fold in folds.splits]
    assert (trials.metric, trials.prune, trials.patience) == ("average_precision", False, None)
    assert (trials.threads, trials.seed) == (1, 0)
    assert dict(trials.space) == SPACE
    before = (tasks.folder_of(kept.location, "one") / tasks.MANIFEST).stat().st_mtime_ns
    tasks.write(kept, trials, search)
    assert (tasks.folder_of(kept.location, "one") / tasks.MANIFEST).stat().st_mtime_ns == before
    assert sorted(file.name for file in kept.location.tasks.iterdir()) == ["one"]


def test_a_task_of_another_study_in_the_way_is_replaced(lab, folds):
    kept = begun(lab, folds)
    folder = tasks.folder_of(kept.location, "one")
    (folder / tasks.MANIFEST).write_text("{}")
    tasks.write(kept, trials_of(folds, Trials), Search("random", 3, None, 0))
    assert json.loads((folder / tasks.MANIFEST).read_text())["study"] == "one"


def test_a_matrix_of_numbers_can_be_shared_too(lab, table):
    X = table[0].to_numpy()
    kept = begun(lab, share_folds(X, table[1], folds=2))
    assert (tasks.read(kept)[0].folds.X == X).all()


def spoiled(folder, what):
    manifest = folder / tasks.MANIFEST
    if what == "rows":
        (folder / "rows.parquet").write_bytes(b"other rows")
    elif what == "manifest":
        manifest.write_text(manifest.read_text() + " ")
    else:
        (folder / what).unlink()


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("rows", r"rows.parquet must have the digest \w{12} that task.json names, found \w{12}: copy it here again"),
        ("task.pickle", r"task.pickle must have the digest \w{12} .* found no such file"),
        ("manifest", "task.json must be what the study was begun with, found another"),
        ("task.json", "a worker must read .*task.json, found no such file: share the folder with this host"),
    ],
)
def test_a_worker_refuses_another_task(lab, folds, what, message, capsys):
    kept = begun(lab, folds)
    spoiled(tasks.folder_of(kept.location, "one"), what)
    assert worker.main(["one"]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert kept.seen() == []


def test_a_worker_of_another_version_refuses(lab, folds, monkeypatch, capsys):
    begun(lab, folds)
    other = {**tasks.versions(), "polars": "0.1", "code": "beef"}
    monkeypatch.setattr(tasks, "versions", lambda: other)
    assert worker.main([]) == 2
    assert "found code beef for" in (found := capsys.readouterr().err)
    assert "polars 0.1 for" in found
    assert found.endswith("install those, or begin the study anew\n")


def test_a_study_that_cannot_be_worked_on_keeps_nobody_from_the_others(lab, folds, monkeypatch, capsys):
    begun(lab, folds, number=1, name="an old one")
    spoiled(tasks.folder_of(storages.location_of(None, workers=2), "an old one"), "manifest")
    begun(lab, folds, number=1, name="one")
    assert worker.main(["--quiet"]) == 2
    assert "must be what the study was begun with" in capsys.readouterr().err
    assert worker.status(storages.location_of(None, workers=2))["done"].to_list() == [0, 1]
    turns = iter([None, None])
    monkeypatch.setattr(worker.time, "sleep", lambda _: next(turns))
    with pytest.raises(StopIteration):
        worker.main(["--wait", "--quiet"])
    assert capsys.readouterr().err.count("must be what the study was begun with") == 1


def test_a_classifier_of_a_module_that_a_worker_lacks_is_named(lab, folds, monkeypatch, capsys):
    module = ModuleType("models_of_mine")
    exec("def make(seed, threads): ...", module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    begun(lab, folds, choice=Candidate(make=module.make))
    monkeypatch.delitem(sys.modules, module.__name__)
    assert worker.main(["one"]) == 2
    assert re.search(
        r"import what .*task.pickle names, found: No module named 'models_of_mine': put it", capsys.readouterr().err
    )


def test_code_of_every_classifier_of_the_zoo_decides_about_a_task():
    zoo = [type(choice.classifier()) for choice in ZOO.values()]
    own = {kind.__module__.split(".", 1)[1].replace(".", "/") for kind in zoo if kind.__module__.startswith("utils.")}
    assert own >= {"classifiers/adapters", "classifiers/dense"}
    assert {f"{name}.py" for name in own} <= set(tasks.DECIDING)


def test_a_library_that_is_missing_is_a_version_too(monkeypatch):
    monkeypatch.setattr(tasks, "LIBRARIES", ("no such library",))
    assert tasks.versions.__wrapped__()["no such library"] == "none"


def test_a_classifier_that_cannot_be_pickled_is_refused(lab, folds):
    lock = threading.Lock()
    with pytest.raises(SettingsError, match="tree must be pickled for its workers, found that it cannot be"):
        begun(lab, folds, choice=Candidate(make=lambda seed, threads: lock))
    assert not list((lab.processed_dir / "studies").glob("*"))


def test_a_study_in_memory_has_no_task():
    with pytest.raises(SettingsError, match="found one in memory: set ANOMALY_STUDIES"):
        tasks.read(in_memory())


def test_a_folder_that_cannot_be_written_is_a_sentence(lab, folds):
    lab.processed_dir.mkdir(parents=True)
    (lab.processed_dir / "studies").write_text("in the way")
    with pytest.raises(SettingsError, match=r"the task of 'one' must be written to .*: make room"):
        begun(lab, folds)


def test_the_command_works_on_open_studies_and_shows_them(lab, folds, capsys):
    assert worker.main(["--status"]) == 0
    assert capsys.readouterr().out == "No study yet.\n"
    kept = begun(lab, folds)
    kept.study.set_user_attr(studies.DEFAULT, [[0.5, 0.7], 0.1])
    journal(lab, "without a task")
    assert worker.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[1] for line in lines] == [f"trial {place} of 3" for place in (1, 2, 3)]
    assert worker.main(["one"]) == 0
    assert capsys.readouterr().out == ""
    assert worker.main(["two"]) == 2
    assert "found 'two': choose among one, without a task" in capsys.readouterr().err
    assert worker.main(["--status"]) == 0
    head, one, other = (line.split() for line in capsys.readouterr().out.splitlines())
    assert head == list(worker.STATUS)
    assert one[:6] == ["one", "3", "3", "0", "0", "0"]
    assert float(one[6]) >= 0.6
    assert other[-6:] == ["0", "0", "0", "0", "0", "0"]


def test_a_worker_counts_as_alive_by_its_signs(lab, folds, monkeypatch):
    kept = begun(lab, folds, name="one")
    kept.study.ask()
    kept.note(0, LEASE, [leases.worker_name(), 0, worker.time.time()])
    assert worker.status(kept.location)["workers"].to_list() == [1]
    kept.note(0, LEASE, [leases.worker_name(), 0, worker.time.time() - 2 * leases.GRACE])
    assert worker.status(kept.location).select("running", "workers").row(0) == (1, 0)


def test_a_waiting_worker_ends_like_ctrl_c_and_one_without_its_parent_ends_by_itself(lab, folds, monkeypatch):
    def interrupted(seconds):
        raise KeyboardInterrupt

    begun(lab, folds, number=2)
    monkeypatch.setattr(worker.time, "sleep", interrupted)
    assert worker.main(["--wait", "--quiet"]) == 0
    location = storages.location_of(None, workers=2)
    assert worker.status(location)["done"].to_list() == [2]
    begun(lab, folds, number=2, name="another")
    assert worker.work(location, parent=os.getppid() + 1) == 1
    assert worker.work(location, parent=os.getppid()) == 1


class Ended:
    """A crew whose processes do what a line of Python says."""

    def __init__(self, monkeypatch, line):
        def started(self):
            return subprocess.Popen([sys.executable, "-S", "-c", line], stdin=subprocess.PIPE, stderr=self._errors)

        monkeypatch.setattr(crew.Crew, "_started", started)


def settled(made):
    for process in made._running:
        process.wait(30)


def test_a_worker_that_refuses_stops_the_search_with_its_sentence(monkeypatch):
    Ended(monkeypatch, "import sys; sys.stderr.write('noise\\nthe reason\\n'); sys.exit(2)")
    with crew.Crew(Location("x", Path()), "one", 1) as made:
        settled(made)
        with pytest.raises(SettingsError, match=r"^the reason$"):
            made.tend(1)
    Ended(monkeypatch, "import sys; sys.exit(1)")
    with crew.Crew(Location("x", Path()), "one", 1) as made:
        settled(made)
        with pytest.raises(SettingsError, match="ended without a word"):
            made.tend(1)


def test_workers_that_are_killed_are_replaced_until_it_is_too_often(monkeypatch):
    Ended(monkeypatch, "import os; os.kill(os.getpid(), 9)")
    with crew.Crew(Location("x", Path()), "one", 1) as made:
        for replaced in range(crew.REPLACEMENTS):
            settled(made)
            made.tend(1)
            assert made.replaced == replaced + 1
        settled(made)
        with pytest.raises(DataError, match=r"found 4 killed \(the last by signal 9\): give them more memory"):
            made.tend(1)


def test_workers_that_were_asked_to_end_are_replaced_once_nobody_is_left(monkeypatch):
    Ended(monkeypatch, "pass")
    with crew.Crew(Location("x", Path()), "one", 2) as made:
        settled(made)
        made.tend(1)
        assert made.replaced == 0  # the study may have ended with them
        for replaced in range(1, 2 * crew.REPLACEMENTS + 1):
            made.tend(1)
            assert made.replaced == replaced
            settled(made)
            made.tend(1)
        with pytest.raises(DataError, match=r"found 7 killed \(the last asked to end\)"):
            made.tend(1)


def test_a_worker_that_was_asked_to_end_is_not_replaced_beside_others(monkeypatch):
    lines = iter(["pass", "input()"])
    monkeypatch.setattr(
        crew.Crew,
        "_started",
        lambda self: subprocess.Popen([sys.executable, "-S", "-c", next(lines)], stdin=subprocess.PIPE),
    )
    with crew.Crew(Location("x", Path()), "one", 2) as made:
        made._running[0].wait(30)
        for _ in range(3):
            made.tend(2)
        assert (made.replaced, len(made.pids)) == (0, 1)


def test_a_worker_that_does_not_listen_is_killed(monkeypatch):
    monkeypatch.setattr(crew, "STOP_SECONDS", 0.2)
    Ended(monkeypatch, "import signal; signal.signal(15, signal.SIG_IGN); print(flush=True); input()")
    with crew.Crew(Location("x", Path()), "one", 1) as made:
        worker.time.sleep(0.3)
        assert len(made.pids) == 1
    assert made.pids == []


class Threads:
    """A crew that works in this process when it is tended."""

    def __init__(self, location, study, workers):
        self.location, self.study = location, study

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def tend(self, left):
        worker.work(self.location, [self.study])


def test_a_search_by_several_says_so_and_finds_what_one_finds(lab, table, monkeypatch):
    one = tune(*table, Candidate(), method="random", trials=5, folds=2, prune=False)
    assert (one.workers, one.retried, one.kept, one.notes) == (1, 0, None, ())
    monkeypatch.setenv("ANOMALY_TUNING_WORKERS", "3")
    monkeypatch.setattr(studies, "Crew", Threads)
    monkeypatch.setattr(studies, "PAUSE", 0.0)
    told = []
    many = tune(*table, Candidate(), method="random", trials=5, folds=2, prune=False, progress=told.append)
    assert many.trials.drop("seconds").equals(one.trials.drop("seconds"))
    assert [progress.done for progress in told] == [1, 2, 3, 4, 5]
    again = tune(*table, Candidate(), method="random", trials=5, folds=2, prune=False, progress=told.append)
    assert again.trials.equals(many.trials)
    assert len(told) == 5
    assert many.kept == str(lab.studies_file)
    longer = tune(*table, Candidate(), method="random", trials=7, folds=2, prune=False)
    assert longer.trials.head(6).equals(many.trials)


def test_notes_say_who_worked_and_what_was_lost(lab, folds):
    kept = journal(lab)
    for place, name in enumerate(("a/1/1", "b/1/1")):
        trial = kept.study.ask()
        kept.note(trial.number, LEASE, [name, 0, 0.0])
        if place:
            kept.note(trial.number, LOST, ["a/1/1"])
        kept.study.tell(trial, 0.5)
    done = studies.Done(kept.seen(), studies.Default((0.5,), 0.0), kept.location)
    assert (done.workers, done.retried) == (2, 1)
    assert _shared_work(done, "tpe") == (
        f"2 trials by 2 workers, kept in {lab.studies_file}",
        "points of tpe by several workers depend on which trials end first",
        "tried again because a worker was lost: 1 of 2 trials",
    )
