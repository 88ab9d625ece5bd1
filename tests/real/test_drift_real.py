"""Drift on real connections: quiet on the other half of training, loud on the published test part and on shifts."""

import polars as pl
import pytest

from utils.classifiers import zoo
from utils.classifiers.champion import Champion
from utils.detectors.judging import detectable
from utils.evaluation.drift import drift, drift_trial, shifted
from utils.features import tables

MOST = 6_000

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def connections(real_data):
    processed = tables.build(real_data("nsl_kdd"), seed=42)
    frame, roles = processed["connections"], processed.roles["connections"]
    sides = {side: frame.filter(pl.col(roles.split) == side) for side in ("train", "test")}
    learned, held = (
        sides["train"].sample(2 * MOST, shuffle=True, seed=1)[part] for part in (slice(MOST), slice(MOST, None))
    )
    columns = detectable(learned, roles)
    champion = Champion(zoo.pipeline("lightgbm", columns=columns, n_estimators=40), folds=3)
    return champion.fit(learned, learned[roles.label]), held, sides["test"], roles.label


def test_the_other_half_of_training_is_quiet_and_shifts_are_found(connections):
    champion, held, _, label = connections
    found = drift_trial(champion.profile_, champion, held, y=held[label], windows=40, repeats=1, window=500)
    rows = {row["shift"]: row for row in found.to_dicts()}
    assert rows["none"]["alarms"] == 0
    assert rows["none, in the order of the rows"]["alarms"] == 0
    for kind in ("scaled", "unit", "zeros", "missing", "attacks"):
        assert rows[kind]["share"] == 1.0, kind


def test_p_values_hold_on_the_other_half(connections):
    champion, held, _, label = connections
    p = champion.profile_.p_values(champion.score_samples(held.filter(~pl.col(label))))
    for rate in (0.01, 0.05, 0.1):
        assert 0.5 * rate < (p <= rate).mean() < 1.6 * rate


def test_the_published_test_part_drifts(connections):
    champion, held, test, _ = connections
    known = champion.profile_.expecting(champion.score_samples(held), champion.predict(held))
    asked = test.sample(1_000, seed=1)
    table = drift(known, known.count(champion.monitored(asked), champion.score_samples(asked), champion.predict(asked)))
    assert table["drifted"].sum() > 5
    moved = shifted(champion.monitored(held), "unit", 1)
    found = drift(known, known.count(moved[:500], champion.score_samples(moved[:500]), champion.predict(moved[:500])))
    (named,) = [name for name in moved.columns if not moved[name].equals(champion.monitored(held)[name])]
    assert found.filter(column=named)["drifted"].item()
