"""Registration says whether the compiled form may serve, and the service keeps to it."""

import json

import numpy as np
import polars as pl
import pytest
from lightgbm import LGBMClassifier
from sklearn.pipeline import Pipeline

from tests.unit import small_data
from utils import tracking
from utils.classifiers.champion import Champion
from utils.classifiers.compiled import PARITY, CompiledChampion, Parity
from utils.features.flows import FlowFeatures
from utils.serving.registry import served_of
from utils.tracking import champions
from utils.tracking import registry as stored


def table(seed, spans=False):
    rng = np.random.default_rng(seed)
    y = rng.random(200) < 0.4
    frame = pl.DataFrame({"size": rng.normal(size=200) + 2.5 * y, "kind": rng.choice(["a", "b"], 200)})
    return (frame.with_columns(lasted=pl.duration(seconds=pl.Series(rng.integers(1, 60, 200)))) if spans else frame), y


def registered(name, spans):
    """Fit, judge and register a champion; the run's tag of the compiled form, and the version."""
    frame, y = table(0, spans)
    boosted = LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1)
    champion = Champion(Pipeline([("features", FlowFeatures()), ("classifier", boosted)]), folds=2).fit(frame, y)
    rows, truth = table(1, spans)
    with tracking.start(name, "champion", notebook="07", stage="champion", dataset=small_data.table()) as run:
        verdict = champions.challenge(run, name, champion, rows, truth, champions.Evidence(), resamples=20)
        tag = run.tags.get("model.compiled") or tracking.open_store().get_run(run.id).data.tags["model.compiled"]
    return tag, stored.version_of(name, verdict.version)


@pytest.mark.usefixtures("store")
def test_a_form_that_passed_its_gate_serves():
    tag, version = registered("plain", spans=False)
    found = Parity.from_json((version.folder / PARITY).read_text())
    assert found == Parity(200, 0, 0.0)
    assert tag == found.sentence
    served = served_of(stored.load(version))
    assert isinstance(served.compiled, CompiledChampion)
    rows, _ = table(2)
    assert np.array_equal(served.compiled.score_records(rows.to_dicts()), served.model.score_samples(rows))

    (version.folder / PARITY).write_text(json.dumps({"rows": 9, "differing": 1, "largest": 0.1, "in_trees": True}))
    assert served_of(stored.load(version)).compiled is None
    (version.folder / PARITY).unlink()
    assert served_of(stored.load(version)).compiled is None


@pytest.mark.usefixtures("store")
def test_what_cannot_be_compiled_is_registered_with_the_reason_and_served_plainly():
    tag, version = registered("spans", spans=True)
    assert "'lasted'" in tag
    assert tag.endswith("serve it plainly")
    assert not (version.folder / PARITY).exists()
    assert served_of(stored.load(version)).compiled is None
