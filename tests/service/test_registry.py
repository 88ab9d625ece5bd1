"""Which version answers: loading in order, swaps as a whole, and a broken version that disturbs nobody."""

import sqlite3
import threading

import pytest

from tests.service import small
from utils import tracking
from utils.errors import DataError, TrackingError
from utils.serving import registry as served
from utils.tracking import models, registry
from utils.tracking.registry import Version


class Store:
    """A registry in memory; ``holders`` is what the alias says."""

    def __init__(self):
        self.holders, self.broken, self.loads, self.registered = {}, set(), [], ()
        self.down = ""

    def load(self, version):
        self.loads.append((version.name, version.number))
        if (version.name, version.number) in self.broken:
            raise TrackingError("the file is torn")
        return version

    def look(self):
        if self.down:
            raise TrackingError(self.down)
        return dict(self.holders)


@pytest.fixture
def store(monkeypatch):
    made = Store()
    monkeypatch.setattr(registry, "holders", made.look)
    monkeypatch.setattr(registry, "names", lambda: (*made.holders, *made.registered))
    monkeypatch.setattr(registry, "version_of", lambda name, number: Version(name, number, "", {}))
    monkeypatch.setattr(registry, "load", made.load)
    monkeypatch.setattr(served, "served_of", lambda loaded, seconds: loaded_one(loaded))
    return made


def loaded_one(version):
    class One:
        name, version_ = version.name, version.number

    One.version = version.number
    return One


def versions(of):
    return {name: one.version for name, one in of.served.items()}


def test_models_are_loaded_in_the_order_asked_for_or_all(store):
    store.holders = {"a": 1, "b": 2, "c": 3}
    chosen = served.Registry(("c", "a"))
    chosen.refresh()
    assert store.loads == [("c", 3), ("a", 1)]
    assert versions(chosen) == {"c": 3, "a": 1}
    assert not chosen.knows("b")
    everything = served.Registry()
    everything.refresh()
    assert versions(everything) == store.holders
    assert everything.ready


def test_a_model_that_somebody_waits_for_comes_next(store):
    store.holders = {"a": 1, "b": 2, "c": 3}
    of = served.Registry()
    of.want("c")
    of.want("c")
    of.refresh()
    assert store.loads == [("c", 3), ("a", 1), ("b", 2)]
    assert of._wanted == []


def test_a_moved_alias_is_followed_and_nothing_is_loaded_twice(store):
    told = []
    store.holders = {"a": 1, "b": 1}
    of = served.Registry(told=lambda event, facts: told.append((event, facts.get("model"), facts.get("before"))))
    of.refresh()
    of.refresh()
    store.holders["a"] = 2
    before = of.served
    of.refresh()
    assert versions(of) == {"a": 2, "b": 1}
    assert before["a"].version == 1
    assert store.loads == [("a", 1), ("b", 1), ("a", 2)]
    assert told[-1] == ("loaded", "a", 1)


def test_a_broken_version_leaves_the_old_one_and_is_tried_again_later(store, monkeypatch):
    told = []
    store.holders = {"a": 1}
    of = served.Registry(told=lambda event, facts: told.append(event))
    of.refresh()
    store.holders, store.broken = {"a": 2}, {("a", 2)}
    of.refresh()
    of.refresh()
    assert versions(of) == {"a": 1}
    assert of.state("a") == ("ready", "version 2 cannot be used: the file is torn")
    assert told == ["loaded", "load failed"]
    monkeypatch.setattr(served, "AGAIN_SECONDS", -1.0)
    store.broken = set()
    of.refresh()
    assert versions(of) == {"a": 2}
    assert of.state("a") == ("ready", "")


def test_a_version_that_raises_whatever_it_likes_is_broken(store, monkeypatch):
    def torn(loaded, seconds):
        raise ZeroDivisionError("somewhere")

    monkeypatch.setattr(served, "served_of", torn)
    store.holders = {"a": 1}
    of = served.Registry()
    of.refresh()
    assert of.state("a") == ("failed", "version 1 cannot be used: ZeroDivisionError: somewhere")
    assert of.ready


def test_a_title_that_is_taken_away_ends_the_service_of_the_model(store):
    store.holders = {"a": 1}
    of = served.Registry()
    assert of.state("a") == ("loading", "")
    of.refresh()
    store.holders, store.registered = {}, ("a",)
    of.refresh()
    assert versions(of) == {}
    assert of.state("a")[0] == "no champion"
    assert of.knows("a")
    assert not of.knows("b")


def test_a_store_that_is_away_for_a_while_changes_nothing(store):
    told = []
    store.holders = {"a": 1}
    of = served.Registry(told=lambda event, facts: told.append(event))
    of.refresh()
    store.down = "there is no store"
    of.refresh()
    of.refresh()
    assert versions(of) == {"a": 1}
    assert of.problem == "there is no store"
    assert told == ["loaded", "store failed"]
    store.down = ""
    of.refresh()
    assert of.problem == ""


def test_the_watcher_outlives_what_a_store_does(store, monkeypatch):
    seen, again = [], threading.Event()

    def strange():
        seen.append(1)
        if len(seen) > 2:
            again.set()
        raise ZeroDivisionError("strange")

    monkeypatch.setattr(registry, "holders", strange)
    of = served.Registry(seconds=0.01)
    of.start()
    assert again.wait(5)
    of.stop()
    of._thread.join(5)
    assert not of._thread.is_alive()
    assert of.problem == "ZeroDivisionError: strange"


def test_a_profile_that_does_not_fit_its_model_is_found_before_it_serves():
    with pytest.raises(DataError):
        small.served(texts={"profile.json": "{}"})


def test_a_registered_model_is_read_without_mlflow(in_reference):
    assert registry.holders()["waf"] == 1
    assert registry.holders("nobody") == {}
    assert set(registry.holders()) <= set(registry.names())
    version = registry.version_of("waf", 1)
    assert version.card.startswith("# waf\n")
    assert version.tags["data.name"] == "waf"
    loaded = registry.load(version)
    assert loaded.texts["model_card.md"].startswith("# waf\n")
    assert loaded.model.predict([{"payload": "' or 1=1 --"}]).tolist() == [True]
    with pytest.raises(TrackingError, match="version 99 of model 'waf' is not in"):
        registry.version_of("waf", 99)


def test_a_store_that_cannot_be_read(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("ANOMALY_ROOT", str(tmp_path))
    with pytest.raises(TrackingError, match="there is no MLflow store"):
        registry.holders()
    (tmp_path / "mlflow.db").write_bytes(b"no database at all, but long enough to look at" * 10)
    with pytest.raises(TrackingError, match="cannot be read"):
        registry.holders()


def test_addresses_stay_inside_the_folder_of_artefacts(in_reference):
    assert registry._folder("s3://elsewhere/model") is None
    with pytest.raises(TrackingError, match="leads out of"):
        registry._folder("mlflow-artifacts:/../../etc")


def test_a_torn_file_and_types_that_are_not_trusted_are_refused(in_reference, tmp_path, monkeypatch):
    file = tmp_path / "model.skops"
    file.write_bytes(b"torn")
    with pytest.raises(TrackingError, match="cannot be loaded"):
        models.load_packed(file, "models:/a/1")
    version = registry.version_of("traffic", 1)
    monkeypatch.setattr(models, "OWN", "nobody.")
    with pytest.raises(TrackingError, match="must hold trusted types only"):
        registry.load(version)


def test_other_stores_and_other_files_are_read_through_mlflow(in_reference, monkeypatch, tmp_path):
    """A server is asked through MLflow's client; here it is one on the same file."""
    client = tracking.open_store(write=False)
    monkeypatch.setattr(registry, "store_file", lambda uri: None)
    monkeypatch.setattr(registry, "open_store", lambda write=True: client)
    assert registry.holders()["traffic"] == 1
    assert "traffic" in registry.names()
    version = registry.version_of("traffic", 1)
    assert (version.folder, version.tags["data.name"]) == (None, "traffic")
    loaded = registry.load(version)
    assert loaded.texts["model_card.md"].startswith("# traffic\n")
    assert loaded.model.predict(loaded.model.example()).shape == (1,)
    with pytest.raises(TrackingError, match="version 99 of model 'traffic' cannot be read"):
        registry.version_of("traffic", 99)


def test_a_folder_without_skops_is_read_through_mlflow(in_reference, monkeypatch, tmp_path):
    monkeypatch.setattr(registry, "load_address", lambda address: address)
    version = Version("a", 3, "", {}, tmp_path)
    (tmp_path / "model_card.md").write_text("# a")
    assert registry.load(version).model == "models:/a/3"
    assert registry.load(version).texts == {"model_card.md": "# a"}


def test_the_schema_that_is_asked_is_that_of_mlflow(in_reference):
    with sqlite3.connect(f"file:{in_reference / 'mlflow.db'}?mode=ro", uri=True) as database:
        assert database.execute(registry._HOLDERS, ("champion",)).fetchall()


def test_estimators_of_scikit_learn_are_trusted_by_name_and_nothing_else_is():
    assert models._is_estimator("sklearn.linear_model._logistic.LogisticRegression")
    assert models._is_estimator("sklearn.pipeline.Pipeline")
    for name in ("sklearn.utils.discovery.all_estimators", "sklearn.nowhere.Thing", "sklearn", "os.system", "utils.X"):
        assert not models._is_estimator(name)
