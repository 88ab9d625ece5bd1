"""Next-event networks: a session is as abnormal as its most surprising step.

```python
from utils.detectors.next_event import NextEvent

detector = NextEvent(members=3).fit(train, weight=train["n_sessions"])
threshold = detector.threshold(rate=0.002)
flagged = threshold.predict(detector.score_samples(test))
```

| module | what |
|---|---|
| :mod:`.estimator` | the public face: :class:`NextEvent` |
| :mod:`.lessons` | what is learned from: distinct sequences or windows, weighted |
| :mod:`.interleavings` | other orders of the same events that may come tomorrow |
| :mod:`.training` | Keras networks, trained until held-out sessions stop gaining |
| :mod:`.recurrence` | the trained networks as plain arrays |
| :mod:`.prefixes` | every step of all sessions, each distinct beginning computed once |
"""

from utils.detectors.next_event.estimator import NextEvent

__all__ = ["NextEvent"]
