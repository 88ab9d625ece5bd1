"""Trials of detectors on traffic between hosts: which edge, which host, which window is out of the ordinary?

```python
from utils import datasets
from utils.detectors import traffic_trials

traffic, notes = traffic_trials.prepare(datasets.load_all(["traffic", "cicids2017"]))
trial = traffic_trials.run(traffic["traffic"])
trial.board, trial.recalls, trial.hosts, traffic_trials.shows(trial)
```

| module | what |
|---|---|
| :mod:`.tables` | edges in windows of a data set, divided by time: to learn from, for thresholds, to judge |
| :mod:`.candidates` | the detectors of edges and of hosts |
| :mod:`.trial` | what they find, by kind of anomaly, and what gives each kind away |
| :mod:`.circumstances` | the same on networks of other sizes, and with a past that nobody has cleaned |
| :mod:`.scenes` | windows and edges for figures |
"""

from utils.detectors.traffic_trials.candidates import COMBINED, GRAPH, HISTORY, LABELS, PUBLISHED, ROBUST
from utils.detectors.traffic_trials.circumstances import circumstances
from utils.detectors.traffic_trials.scenes import mean_edges, scene
from utils.detectors.traffic_trials.tables import WEEKS, Traffic, edges_of, prepare
from utils.detectors.traffic_trials.trial import RATE, Trial, run, shows

__all__ = [
    "COMBINED",
    "GRAPH",
    "HISTORY",
    "LABELS",
    "PUBLISHED",
    "RATE",
    "ROBUST",
    "WEEKS",
    "Traffic",
    "Trial",
    "circumstances",
    "edges_of",
    "mean_edges",
    "prepare",
    "run",
    "scene",
    "shows",
]
