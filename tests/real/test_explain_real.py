"""Champions of the real tables decide on raw rows, say why, and their explanations add up."""

import numpy as np
import polars as pl
import pytest

from utils import explain
from utils.classifiers import zoo
from utils.classifiers.champion import Champion
from utils.detectors import judging
from utils.evaluation import metrics
from utils.explain.shapley import EXACT
from utils.features import tables
from utils.tracking import champions, models

pytestmark = pytest.mark.real

CASES = [
    ("api", "graphs", "lightgbm", 0.9),
    ("nsl_kdd", "connections", "lightgbm", 0.5),
    ("cicids2017", "flows", "xgboost", 0.9),
    ("waf", "payloads", "random forest", 0.8),
]
MOST = 4_000
EXPLAINED = 150


def chosen(rows, most, seed=0):
    rng = np.random.default_rng(seed)
    return rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))


@pytest.mark.parametrize(("name", "table", "kind", "least"), CASES, ids=[case[0] for case in CASES])
def test_a_champion_of_real_rows_decides_and_is_explained(real_data, name, table, kind, least):
    processed = {name: tables.build(real_data(name))}
    frame, roles, split = next(
        (frame, roles, split) for key, frame, roles, split in judging.labelled_tables(processed) if key[1] == table
    )
    train, test = frame[chosen(split.train, MOST)], frame[chosen(split.test, MOST)]
    columns = judging.detectable(frame, roles)
    trees = {"max_depth": 10, "n_estimators": 40} if kind == "random forest" else {"n_estimators": 100}
    champion = Champion(zoo.pipeline(kind, columns=columns, **trees), folds=3).fit(train, train[roles.label])
    decided = champion.predict(test)
    assert metrics.f1(test[roles.label], decided) > least

    found = explain.shapley(champion, test.head(EXPLAINED))
    assert found.exact
    assert found.error <= EXACT
    assert np.allclose(found.score, champion.score_samples(test.head(EXPLAINED)))
    assert explain.importance(found, resamples=100)["importance"][0] > 0

    alarms = test.filter(pl.Series(decided)).head(50)
    assert champion.decide(alarms)["reasons"].list.len().min() >= 1
    wrong = explain.mistakes(champion, test, test[roles.label], train, train[roles.label], most=5)
    assert wrong["reasons"].str.contains("of the score|usual").all()
    if roles.anomaly_type is not None:
        by_kind = explain.slices(test, test[roles.label], decided, [roles.anomaly_type], least_rows=1)
        assert by_kind["errors"].sum() == (test[roles.label].to_numpy() != decided).sum()
    kept = models.storage(champion)
    assert kept.serialization == "skops"
    assert kept.size < champions.COMPACT
