"""Retraining against a store: who takes office, what is recorded, and that nothing is ever left half-written."""

import shutil
import time

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from tests.conftest import REPOSITORY
from utils import retraining, tracking
from utils.classifiers import candidates, champion_trials
from utils.classifiers.candidates import Candidate
from utils.retraining import __main__ as command
from utils.retraining import leftovers, pipeline
from utils.tracking import champions, models

ENTRY = r"""
[shop]
kind = "table"
files = ["own/shop.csv"]
columns = { label = "verdict" }
normal = ["ok"]

[parts]
kind = "table"
files = ["own/parts.csv"]
columns = { label = "verdict", split = "part", group = "user" }
normal = ["ok"]

[app]
kind = "log"
files = ["own/app.log"]
header = '(?P<time>\S+ \S+) (?P<level>\w+) (?P<content>.*)'
session = 'req-\d+'
labels = "own/app_labels.csv"
anomaly = ["bad"]
"""
QUICK = Candidate("logistic regression", lambda seed, threads: LogisticRegression(), "quick")


def rows(seed=0, n=300, gap=2.0):
    rng = np.random.default_rng(seed)
    bad = rng.random(n) < 0.3
    verdict = np.where(bad, "bad", "ok")
    size, rate = rng.normal(size=n) + gap * bad, rng.normal(size=n)
    return pl.DataFrame({"size": size, "rate": rate, "country": rng.choice(["DE", "FR"], n), "verdict": verdict})


def better():
    """More rows of data that tell more."""
    told = rows(seed=2, n=1500)
    return told.with_columns(rate=pl.col("rate") + 2 * (pl.col("verdict") == "bad"))


@pytest.fixture
def shop(store, monkeypatch):
    """A laboratory with own data sets, a store, and a candidate that is fitted at once: writes the rows of ``shop``."""
    data = store.parent / "data"
    (data / "own").mkdir()
    with (data / "catalog.toml").open("a", encoding="utf-8") as catalog:
        catalog.write(ENTRY)
    monkeypatch.setattr(candidates, "of", lambda *_, **__: QUICK)
    monkeypatch.setattr(pipeline.threads, "free_cores", lambda: 1)

    def write(frame):
        frame.write_csv(data / "own" / "shop.csv")

    write(rows())
    return write


@pytest.fixture
def no_training(monkeypatch):
    """Fail whatever trains."""

    def run(*_, **__):
        raise AssertionError("trained")

    monkeypatch.setattr(champion_trials, "run", run)


def runs(name="shop"):
    client = tracking.open_store()
    experiment = client.get_experiment_by_name(name)
    return [] if experiment is None else client.search_runs([experiment.experiment_id])


def versions(name="shop"):
    return sorted(int(each.version) for each in tracking.open_store().search_model_versions(f"name = '{name}'"))


def model_folders(store, name="shop"):
    return sorted(
        path.name for path in (store.parent / "mlartifacts" / name / "models").glob("*") if any(path.iterdir())
    )


def test_the_first_model_takes_office_and_the_same_data_change_nothing(shop, store):
    told = []
    first = retraining.retrain("shop", report=told.append)
    assert (first.status, first.version, first.gate) == ("champion", 1, "")
    assert first.sentence == "shop: version 1 is champion: nobody held the title."
    assert told == ["loaded: real data from own files", "audit of the table rows", "training", "registry"]
    (run,) = runs()
    assert (run.info.status, run.data.tags["stage"]) == ("FINISHED", "retraining")
    assert run.data.tags["retraining.outcome"] == "champion"
    assert run.data.tags["mlflow.note.content"] == first.sentence
    assert run.data.params == {"source": "auto", "allow_schema_change": "False"}
    assert run.data.metrics["findings_high_open"] == 0
    assert tracking.results("retraining", "shop")["seconds"] > 0
    assert "notebook retraining" in champions.card_of("shop")

    again = retraining.retrain("shop", source="real")
    assert (again.status, again.version) == ("kept", 1)
    assert "scores every test row as it does" in again.sentence
    assert versions() == [1]
    assert sorted(run.data.tags["retraining.outcome"] for run in runs()) == ["champion", "kept"]


@pytest.mark.usefixtures("no_training")
def test_a_gate_stops_before_training_and_leaves_a_run_that_says_so(shop, store, capsys):
    rng = np.random.default_rng(0)
    parts = rows().with_columns(part=pl.Series(rng.choice(["train", "test"], 300)), user=pl.int_range(300) % 20)
    parts.write_csv(store.parent / "data" / "own" / "parts.csv")
    assert command.main(["parts"]) == 1
    said = capsys.readouterr().out
    assert "stopped" in said
    assert "the gate 'audit' is closed: no finding of severity high may stand open against the table 'rows'" in said
    assert "A004" in said
    (run,) = runs("parts")
    assert (run.info.status, run.data.tags["retraining.gate"]) == ("FAILED", "audit")
    assert "A004" in run.data.tags["mlflow.note.content"]
    assert versions("parts") == []


@pytest.mark.usefixtures("no_training")
def test_too_few_rows_of_a_class_and_missing_labels_stop(shop):
    shop(rows().filter((pl.col("verdict") == "ok") | (pl.int_range(pl.len()) < 20)))
    few = retraining.retrain("shop")
    assert (few.status, few.gate) == ("stopped", "rows")
    shop(rows().with_columns(verdict=pl.lit("ok")))
    (unlabelled,) = retraining.retrain_all(["shop"])
    assert (unlabelled.status, unlabelled.gate) == ("stopped", "labels")
    assert [run.data.tags["retraining.gate"] for run in runs()] == ["rows"]


def test_all_leaves_out_what_cannot_have_a_champion_and_goes_on_after_failures(shop, monkeypatch):
    shop(rows().drop("verdict").with_columns(verdict=pl.lit("ok")))
    monkeypatch.setattr(pipeline.datasets, "names", lambda: ("nsl_kdd", "shop", "parts"))
    outcomes = {outcome.name: outcome for outcome in retraining.retrain_all(source="real")}
    assert {name: outcome.status for name, outcome in outcomes.items()} == {
        "nsl_kdd": "failed",
        "shop": "left out",
        "parts": "failed",
    }
    assert "nsl_kdd" in outcomes["nsl_kdd"].sentence
    assert "not at hand as real data" in outcomes["nsl_kdd"].sentence
    assert runs() == []


def test_training_rows_that_cannot_be_divided_stop(shop, monkeypatch):
    nothing = champion_trials.Trials({}, {("shop", "rows"): "three groups are too few"})
    monkeypatch.setattr(champion_trials, "run", lambda *_, **__: nothing)
    stopped = retraining.retrain("shop")
    assert (stopped.gate, stopped.version) == ("rows", None)
    assert "three groups are too few" in stopped.sentence


@pytest.mark.usefixtures("no_training")
def test_a_dry_run_goes_through_the_gates_and_writes_nothing(shop, store):
    before = store.read_bytes()
    ready = retraining.retrain("shop", dry_run=True)
    assert (ready.status, ready.version) == ("ready", None)
    assert "nothing was trained or written" in ready.sentence
    shop(rows().with_columns(verdict=pl.lit("ok")))
    assert retraining.retrain("shop", dry_run=True).gate == "labels"
    assert store.read_bytes() == before
    store.unlink()
    assert retraining.retrain("shop", dry_run=True).version is None
    assert not store.exists()


@pytest.fixture(scope="module")
def made(tmp_path_factory, empty_store):
    """A laboratory with a poor champion in office, the data of a better one, and that one's trial: made once."""
    root = tmp_path_factory.mktemp("made") / "lab"
    (root / "data" / "own").mkdir(parents=True)
    catalog = (REPOSITORY / "data" / "catalog.toml").read_text(encoding="utf-8")
    (root / "data" / "catalog.toml").write_text(catalog + ENTRY, encoding="utf-8")
    shutil.copy(empty_store, root / "mlflow.db")
    trials = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANOMALY_ROOT", str(root))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setattr(candidates, "of", lambda *_, **__: QUICK)
        rows(gap=0.4).write_csv(root / "data" / "own" / "shop.csv")
        retraining.retrain("shop")
        better().write_csv(root / "data" / "own" / "shop.csv")
        real = pipeline._trained
        patch.setattr(pipeline, "_trained", lambda material: trials.append(real(material)) or 1 / 0)
        with pytest.raises(ZeroDivisionError):
            retraining.retrain("shop")
    return root, trials[0]


@pytest.fixture
def office(made, tmp_path, monkeypatch):
    """A copy of it: writes the rows of ``shop``."""
    shutil.copytree(made[0], tmp_path / "lab")
    monkeypatch.setenv("ANOMALY_ROOT", str(tmp_path / "lab"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(candidates, "of", lambda *_, **__: QUICK)
    monkeypatch.setattr(pipeline.threads, "free_cores", lambda: 1)
    return lambda frame: frame.write_csv(tmp_path / "lab" / "data" / "own" / "shop.csv")


@pytest.fixture
def challenger(office, made, tmp_path, monkeypatch):
    """The copy with the better model fitted already: its store."""
    monkeypatch.setattr(pipeline, "_trained", lambda material: made[1])
    return tmp_path / "lab" / "mlflow.db"


def test_a_model_that_wins_the_paired_test_takes_office(challenger):
    won = retraining.retrain("shop")
    assert (won.status, won.version, versions()) == ("champion", 2, [1, 2])
    assert "the challenger is better by" in won.sentence


def test_a_model_that_does_not_win_is_not_registered(office, tmp_path):
    folders = model_folders(tmp_path / "lab" / "mlflow.db")
    office(rows(seed=1, gap=0.4))
    undecided = retraining.retrain("shop")
    assert (undecided.status, undecided.version) == ("kept", 1)
    assert "the challenger is not registered: no difference shown" in undecided.sentence
    assert (versions(), model_folders(tmp_path / "lab" / "mlflow.db")) == ([1], folders)


def test_a_break_of_the_schema_stops_until_it_is_allowed(office, monkeypatch):
    office(rows(seed=1).rename({"rate": "speed"}))
    with monkeypatch.context() as patch:
        patch.setattr(champion_trials, "run", None)
        (stopped,) = retraining.retrain_all(["shop"])
    assert (stopped.status, stopped.gate, stopped.version) == ("stopped", "schema", 1)
    assert "no column 'rate'" in stopped.sentence
    allowed = retraining.retrain("shop", allow_schema_change=True)
    assert (allowed.status, allowed.version) == ("champion", 2)
    assert set(tracking.load_model("shop").feature_names_in_) >= {"speed", "size"}


def test_a_model_that_may_not_be_registered_stops(challenger, monkeypatch):
    monkeypatch.setattr(champions, "_refusal", lambda *_: "it keeps rows of downloaded data")
    stopped = retraining.retrain("shop")
    assert (stopped.status, stopped.gate, versions()) == ("stopped", "registry", [1])
    (run,) = [run for run in runs() if run.info.status == "FAILED"]
    assert run.data.tags["retraining.gate"] == "registry"


def test_a_champion_that_cannot_be_loaded_bars_nobody(challenger):
    for file in (challenger.parent / "mlartifacts" / "shop" / "models").rglob("model.skops"):
        file.unlink()
    told = []
    outcome = retraining.retrain("shop", report=told.append)
    assert (outcome.status, outcome.version) == ("champion", 2)
    assert any("version 1 cannot be loaded, so its schema is not compared" in line for line in told)


STEPS = {
    "before the model is stored": (models, "save", True),
    "when its files are written": (models._Packing, "save_model", False),
    "before it is registered": (champions, "register", True),
    "when it is registered": (champions, "register", False),
    "before it has its card": (champions, "_describe", True),
    "before the alias moves": (champions, "set_alias", True),
}


@pytest.mark.parametrize(
    ("step", "failure"), [*((step, KeyboardInterrupt) for step in STEPS), ("before the alias moves", MemoryError)]
)
def test_nothing_half_written_is_left_whatever_interrupts_the_registry(challenger, monkeypatch, step, failure):
    owner, function, before = STEPS[step]
    original = getattr(owner, function)

    def interrupted(*given, **options):
        if not before:
            original(*given, **options)
        raise failure("stop")

    folders, card = model_folders(challenger), champions.card_of("shop")
    with monkeypatch.context() as patch:
        patch.setattr(owner, function, interrupted)
        with pytest.raises(failure):
            retraining.retrain("shop")
    assert (champions.current("shop"), versions(), model_folders(challenger)) == (1, [1], folders)
    assert champions.card_of("shop") == card
    client = tracking.open_store()
    assert len(client.search_logged_models([client.get_experiment_by_name("shop").experiment_id])) == 1
    status = {run.info.status for run in runs() if "retraining.outcome" not in run.data.tags}
    assert status == {"KILLED" if failure is KeyboardInterrupt else "FAILED"}
    tracking.load_model("shop").predict(rows().drop("verdict"))


def test_an_interruption_after_the_alias_has_moved_leaves_a_whole_champion(challenger, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(champions, "_tag", interrupted)
    with pytest.raises(KeyboardInterrupt):
        retraining.retrain("shop")
    assert champions.current("shop") == 2
    assert "1,200 training rows" in champions.card_of("shop")
    tracking.load_model("shop").predict(rows().drop("verdict"))


def test_an_interrupted_first_registration_leaves_no_name_behind(shop, store, made, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    shop(better())
    monkeypatch.setattr(pipeline, "_trained", lambda material: made[1])
    monkeypatch.setattr(champions, "set_alias", interrupted)
    with pytest.raises(KeyboardInterrupt):
        retraining.retrain("shop")
    assert tracking.open_store().search_registered_models() == []
    assert model_folders(store) == []


def test_an_interrupted_training_leaves_nothing_in_the_store(shop, store, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(champion_trials, "run", interrupted)
    assert command.main(["shop"]) == 130
    assert runs() == []
    assert not (store.parent / "mlartifacts").exists()


def test_what_a_killed_registration_left_is_taken_back_by_the_next_retraining(challenger, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(leftovers, "take_back", lambda *_: None)  # a killed process takes nothing back
        patch.setattr(champions, "set_alias", lambda *_: 1 / 0)
        patch.setattr("utils.tracking.runs._end", lambda *_: None)  # and ends no run
        with pytest.raises(ZeroDivisionError):
            retraining.retrain("shop")
    assert versions() == [1, 2]
    (left,) = [run for run in runs() if run.info.status == "RUNNING"]
    assert leftovers.sweep("shop") == 0, "it may still be at work"

    later = time.time_ns() + 2 * leftovers.GIVEN_UP * 1_000_000
    monkeypatch.setattr(leftovers.time, "time_ns", lambda: later)
    assert leftovers.sweep("shop") == 1
    assert versions() == [1]
    assert len(model_folders(challenger)) == 1
    ended = tracking.open_store().get_run(left.info.run_id)
    assert (ended.info.status, ended.data.tags["error"]) == ("KILLED", leftovers.KILLED)
    assert leftovers.sweep("no such data set") == 0


def test_a_log_is_retrained_by_the_model_of_its_sessions(shop, store):
    lines, labels = [], ["session,label"]
    for place in range(160):
        bad = place % 4 == 3
        said = ["open door", "read page", "close door"] if not bad else ["open door", "broke lock", "broke lock"]
        lines += [f"2024-05-01 08:00:{place % 60:02d} INFO req-{place} {what}" for what in said]
        labels += [f"req-{place},{'bad' if bad else 'good'}"]
    own = store.parent / "data" / "own"
    (own / "app.log").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (own / "app_labels.csv").write_text("\n".join(labels) + "\n", encoding="utf-8")
    told = []
    first = retraining.retrain("app", report=told.append)
    assert (first.status, first.version) == ("champion", 1)
    assert told[-2:] == ["audit of the table sessions", "training and registry"]
    (again,) = retraining.retrain_all(["app"])
    assert (again.status, versions("app")) == ("kept", [1])
    assert tracking.load_model("app").decide(own / "app.log").height == 160
    assert {run.data.tags["stage"] for run in runs("app")} == {"retraining"}
