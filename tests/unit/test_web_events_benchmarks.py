"""Structure of the web event benchmarks at tiny sizes; nothing here looks at how long anything took."""

import numpy as np
import pytest

from benchmarks import registry, web_events
from benchmarks.registry import Scale
from utils.detectors.rules.signatures import Signatures
from utils.features.web_events import WebEventFeatures, traits

pytestmark = pytest.mark.usefixtures("no_repeats")
TINY = Scale(rounds=1, raw_lines=120)


@pytest.mark.parametrize(
    ("case", "bars"), [("web_events", ["< 20 s", "< 0.24 s"]), ("web_traits", [">= 10x"]), ("signatures", [])]
)
def test_each_case_gives_its_rows(case, bars):
    rows = registry.CASES[case](TINY)
    assert [str(row.bar) for row in rows if row.bar] == bars
    assert all("120 events" in row.size for row in rows)


def test_the_loop_measures_what_ours_measures():
    events = web_events._events(300).select(web_events.VALUE)
    loop = events.to_pandas()[web_events.VALUE].apply(web_events.traits_of_row)
    web_events._require_same(traits(events), loop)
    loop.iloc[3, 5] += 1
    with pytest.raises(RuntimeError, match="loop over rows"):
        web_events._require_same(traits(events), loop)


def test_other_results_for_one_event_are_not_accepted(monkeypatch):
    transform, score = WebEventFeatures.transform, Signatures.score_samples
    monkeypatch.setattr(WebEventFeatures, "transform", lambda self, X: transform(self, X) + np.float32(X.height))
    with pytest.raises(RuntimeError, match="check WebEventFeatures"):
        registry.CASES["web_events"](TINY)
    monkeypatch.setattr(Signatures, "score_samples", lambda self, X: score(self, X) + X.height)
    with pytest.raises(RuntimeError, match="check Signatures"):
        registry.CASES["signatures"](TINY)
