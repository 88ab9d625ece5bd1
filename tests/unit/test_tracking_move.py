"""A store moves with its identifiers, files and links; a second move finds nothing new, an interrupted one goes on."""

import hashlib
import shutil
import sqlite3
from contextlib import closing
from types import SimpleNamespace

import pytest

from tests.unit import small_data
from tests.unit import test_tracking_champions as titles
from utils import tracking
from utils.errors import TrackingError
from utils.tracking import __main__ as command
from utils.tracking import champions, move, records, registry


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, empty_store):
    """A small store."""
    return record(tmp_path_factory.mktemp("recorded"), empty_store)


def record(root, empty_store):
    """Make a store with nested runs, a curve, files, a link, data, and a champion that took over from another."""
    shutil.copy(empty_store, root / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANOMALY_ROOT", str(root))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        with tracking.start("flows", "tuning", notebook="07_tuning", stage="tuning", dataset=small_data.table()) as run:
            run.log_curves({"loss": [3.0, 2.0, 1.0]})
            run.log_text("a word", "words/ü 1.txt")
            run.log_results({"f1": 0.9})
            with run.child("trial", params={"depth": 3}) as child:
                child.log_metrics({"f1": 0.8})
            link = f"#/experiments/{run.experiment_id}/runs/{child.id}"
            run.log_batch(tags={"mlflow.note.content": f"see [the trial]({link})"})
        titles.challenge(titles.POOR)
        titles.challenge(titles.GOOD)
    return SimpleNamespace(root=root, run=run, child=child, digest=digest(root / "mlflow.db"))


@pytest.fixture
def source(recorded, tmp_path, monkeypatch):
    """The recorded store, in a folder of this test."""
    root = tmp_path / "source"
    shutil.copytree(recorded.root, root)
    monkeypatch.setenv("ANOMALY_ROOT", str(root))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return root


@pytest.fixture
def target(empty_store, tmp_path):
    """An empty store elsewhere: the address of its database, and its folder of artefacts."""
    folder = tmp_path / "target"
    folder.mkdir()
    shutil.copy(empty_store, folder / "mlflow.db")
    return f"sqlite:///{folder / 'mlflow.db'}", str(folder / "mlartifacts")


def digest(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


def digests(folder):
    return {str(file.relative_to(folder)): digest(file) for file in folder.rglob("*") if file.is_file()}


def use(monkeypatch, target):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", target[0])
    return tracking.open_store()


def ask(uri, question):
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as database, database:
        return database.execute(question).fetchall()


def test_everything_arrives_with_its_identifiers_and_the_source_is_as_it_was(source, target, recorded, monkeypatch):
    before = digests(source / "mlartifacts")
    made = {path: one for path, one in before.items() if not path.endswith("/registered_model_meta")}
    assert len(made) < len(before)
    said = []
    moved = move.move(*target, progress=lambda *told: said.append(told))
    assert (moved.experiments, moved.runs, moved.models, moved.versions) == (2, 4, 2, 2)
    assert moved.files == moved.checked == len(made)
    assert ("files checked", moved.files, moved.files) in said
    assert digests(source.parent / "target" / "mlartifacts") == made
    assert moved.notes == ()
    assert str(moved).endswith("were compared: nothing is missing.")

    here = use(monkeypatch, (f"sqlite:///{source / 'mlflow.db'}", "")).get_run(recorded.run.id).to_dictionary()
    client = use(monkeypatch, target)
    assert client.get_run(recorded.run.id).to_dictionary() == here
    assert client.get_run(recorded.child.id).data.tags["mlflow.parentRunId"] == recorded.run.id
    curve = client.get_metric_history(recorded.run.id, "loss")
    assert [(one.step, one.value) for one in curve] == [(0, 3.0), (1, 2.0), (2, 1.0)]
    assert tracking.results("07_tuning", small_data.table().name) == {"f1": 0.9}
    assert champions.current("tiny") == 2
    assert "# tiny" in champions.card_of("tiny")
    assert (tracking.load_model("tiny").predict(titles.TEST) == titles.GOOD.predict(titles.TEST)).all()
    assert registry.names() == ("tiny",)
    assert digest(source / "mlflow.db") == recorded.digest
    assert digests(source / "mlartifacts") == before


def test_a_second_move_copies_what_is_new_only(source, target):
    assert move.move(*target).rows > 0
    again = move.move(*target)
    assert (again.rows, again.files) == (0, 0)
    assert str(again).startswith("Nothing is new; the digests of all")
    with tracking.start("flows", "later", notebook="08_more", stage="tuning") as run:
        run.log_text("news", "news.txt")
    later = move.move(*target)
    assert (later.experiments, later.runs, later.files) == (0, 1, 1)


def test_a_dry_run_counts_and_copies_nothing(source, target):
    empty = digests(source.parent / "target")
    would = move.move(*target, dry_run=True)
    assert str(would).startswith("Would copy 2 experiment(s), 4 run(s), 2 model(s) with 2 registered version(s)")
    assert digests(source.parent / "target") == empty
    done = move.move(*target)
    assert (done.rows, done.files, done.bytes) == (would.rows, would.files, would.bytes)


def test_an_interrupted_move_shows_no_run_without_its_files_and_goes_on(source, target, monkeypatch):
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

    sent, send = [], LocalArtifactRepository.log_artifact

    def full(self, local_file, artifact_path=None):
        if len(sent) == 3:
            raise OSError(28, "no space left on device")
        sent.append(local_file)
        send(self, local_file, artifact_path)

    monkeypatch.setattr(move, "THREADS", 1)
    with monkeypatch.context() as patch:
        patch.setattr(LocalArtifactRepository, "log_artifact", full)
        with pytest.raises(TrackingError, match=r"files copied\) could not be read or written .*no space left"):
            move.move(*target)
    assert ask(target[0], "SELECT count(*) FROM runs") == [(0,)]
    taken_up = move.move(*target)
    assert taken_up.files == taken_up.checked - 3


def test_what_fails_in_the_database_leaves_nothing_there(source, target):
    ask(target[0], "DROP TABLE registered_model_aliases")
    with pytest.raises(TrackingError, match=r"no such table.*nothing was changed in it"):
        move.move(*target)
    assert ask(target[0], "SELECT count(*) FROM runs") == [(0,)]


def test_numbers_that_others_have_there_are_replaced_wherever_they_are_written(source, target, recorded, monkeypatch):
    use(monkeypatch, target)
    with tracking.start("others", "theirs", notebook="01_theirs", stage="x"):
        pass
    with tracking.start("flows", "theirs", notebook="01_theirs", stage="x", dataset=small_data.table()) as theirs:
        pass
    titles.challenge(titles.POOR)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")

    moved = move.move(*target)
    assert moved.experiments == 0
    assert "versions got other numbers: tiny 1 is 2, tiny 2 is 3" in moved.notes
    assert "tiny@champion stays with version 1 there; the store's is version 3" in moved.notes
    client = use(monkeypatch, target)
    run = client.get_run(recorded.run.id)
    assert run.info.experiment_id == theirs.experiment_id == "2"
    assert run.data.tags["mlflow.note.content"] == f"see [the trial](#/experiments/2/runs/{recorded.child.id})"
    assert [one.dataset.name for one in run.inputs.dataset_inputs] == [small_data.table().name]
    version = client.get_model_version("tiny", "3")
    assert client.get_run(version.run_id).data.tags["model.version"] == "3"
    assert champions.current("tiny") == 1
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    again = move.move(*target)
    assert (again.rows, again.files) == (0, 0)


def test_a_new_experiment_takes_the_next_number_where_its_own_is_taken(source, target, monkeypatch):
    use(monkeypatch, target)
    with tracking.start("others", "theirs", notebook="01_theirs", stage="x"):
        pass
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert move.move(*target).experiments == 2
    assert ask(target[0], "SELECT experiment_id, name FROM experiments ORDER BY 1") == [
        (0, "Default"), (1, "others"), (2, "tiny"), (3, "flows"),
    ]  # fmt: skip
    assert move.move(*target).rows == 0


def test_a_run_that_was_open_is_copied_again_when_it_has_ended(source, target):
    with tracking.start("flows", "long", notebook="08_more", stage="tuning") as run:
        run.log_metrics({"loss": 2.0})
        move.move(*target)
        assert ask(target[0], f"SELECT status FROM runs WHERE run_uuid = '{run.id}'") == [("RUNNING",)]
        run.log_metrics({"loss": 1.0}, step=1)
        run.log_batch(tags={"data.name": "late"})
    assert move.move(*target).runs == 1
    assert ask(target[0], f"SELECT status FROM runs WHERE run_uuid = '{run.id}'") == [("FINISHED",)]
    assert ask(target[0], f"SELECT value FROM latest_metrics WHERE run_uuid = '{run.id}'") == [(1.0,)]


def test_what_was_changed_there_stays_and_is_told(source, target, recorded):
    move.move(*target)
    ask(target[0], f"UPDATE tags SET value = 'theirs' WHERE run_uuid = '{recorded.run.id}' AND key = 'stage'")
    ask(target[0], "UPDATE experiments SET lifecycle_stage = 'deleted' WHERE name = 'flows'")
    again = move.move(*target)
    assert again.notes == ("1 record(s) that were changed there since stay as they are there",)
    found = ask(target[0], f"SELECT value FROM tags WHERE run_uuid = '{recorded.run.id}' AND key = 'stage'")
    assert found == [("theirs",)]
    assert ask(target[0], "SELECT lifecycle_stage FROM experiments WHERE name = 'flows'") == [("active",)]


def test_a_file_of_the_same_size_and_other_content_is_found(source, target):
    move.move(*target)
    words = next((source.parent / "target").rglob("ü 1.txt"))
    words.write_text("a wurd")
    with pytest.raises(
        TrackingError, match=r"1 file\(s\) of the server are others than the store's, the first .*ü 1.txt"
    ):
        move.move(*target)


def test_what_does_not_move_is_told(source, target, recorded):
    uri = f"sqlite:///{source / 'mlflow.db'}"
    ask(uri, "INSERT INTO jobs (id, creation_time, job_name, params, status, retry_count, last_update_time)"
             " VALUES ('j', 1, 'n', '{}', 0, 0, 1)")  # fmt: skip
    ask(uri, f"UPDATE runs SET artifact_uri = 'file:///elsewhere' WHERE run_uuid = '{recorded.child.id}'")
    notes = move.move(*target, dry_run=True).notes
    assert notes[0].startswith("1 address(es) of artefacts lead to other places")
    assert notes[1] == "not copied: 1 row(s) of jobs"
    ask(uri, f"UPDATE runs SET artifact_uri = 'mlflow-artifacts:/../..' WHERE run_uuid = '{recorded.child.id}'")
    with pytest.raises(TrackingError, match="leads out of mlartifacts"):
        move.move(*target)


@pytest.mark.parametrize(
    ("to", "artifacts", "said"),
    [
        ("{source}/mlflow.db", "{tmp}/a", "is the store that moves"),
        ("{target}/mlflow.db", "{source}/mlartifacts", "is the store that moves"),
        ("{target}/mlflow.db", "file://{source}/mlartifacts", "is the store that moves"),
        ("http://127.0.0.1:9", "http://127.0.0.1:9", "would give runs new identifiers"),
        ("{target}/mlflow.db", "http://127.0.0.1:9", "--artifacts names http://127.0.0.1:9, where no MLflow server"),
        ("{target}/mlflow.db", "ftps://nobody/x", "could not be read or written"),
        ("{tmp}/none.db", "{tmp}/a", "holds no MLflow store: start the server on it once"),
        ("mysql://me:secret@127.0.0.1/x", "{tmp}/a", "must start with postgresql or sqlite, found mysql://me:"),
        ("postgresql+none://127.0.0.1/x", "{tmp}/a", "needs a driver that is not installed"),
        ("nonsense", "{tmp}/a", "must be the address of a database"),
        ("postgresql+psycopg://me:secret@127.0.0.1:9/x", "{tmp}/a", "could not be read or written"),
    ],
)
def test_targets_that_cannot_be_used_are_refused_in_one_sentence(source, target, to, artifacts, said):
    places = {"source": source, "target": source.parent / "target", "tmp": source.parent}
    uri = to.format(**places)
    uri = f"sqlite:///{uri}" if uri.startswith("/") else uri
    with pytest.raises(TrackingError, match=said) as told:
        move.move(uri, artifacts.format(**places))
    assert "secret" not in str(told.value)
    assert not (source.parent / "none.db").exists()


def test_stores_that_do_not_move_are_refused(source, target, monkeypatch, tmp_path):
    ask(target[0], "UPDATE alembic_version SET version_num = 'older'")
    with pytest.raises(TrackingError, match=r"another MLflow version \(schema older"):
        move.move(*target)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(TrackingError, match=r"names the server http://127\.0\.0\.1:9, but a local store is what moves"):
        move.move(*target)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/none.db")
    with pytest.raises(TrackingError, match="there is no MLflow store at"):
        move.move(*target)


def test_missing_records_are_an_error():
    with pytest.raises(TrackingError, match="2 of 9 records are missing"):
        move._check_records(records.Compared(9, 2, 0))


def test_the_command_moves_and_says_what_it_did(source, target, capsys, monkeypatch):
    arguments = ["move", "--to", target[0], "--artifacts", target[1]]
    assert command.main([*arguments, "--dry-run"]) == 0
    assert "Would copy 2 experiment(s)" in capsys.readouterr().out
    assert command.main(arguments) == 0
    said = capsys.readouterr().out
    assert "Copied 2 experiment(s)" in said
    assert said.count("files copied: ") <= 10
    assert command.main(["move", "--to", "nonsense", "--artifacts", "x"]) == 2
    assert "must be the address of a database" in capsys.readouterr().err

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "move", interrupted)
    assert command.main(arguments) == 130
    assert "goes on where it was" in capsys.readouterr().err
